//! Restores a table from a snapshot, with another one as a fallback (HBase: `Admin.restoreSnapshot`).

use crate::admin::ProcedureError;
use crate::client::Client;
use hregion::locator::TableState;
use hregion::{Clock as _, Error, Result, SnapshotDescription, SystemClock, TableName};

/// The default of `hbase.snapshot.restore.failsafe.name`.
pub(crate) const FAILSAFE: &str = "hbase-failsafe-{snapshot.name}-{restore.timestamp}";

impl Client {
    /// Restores the table of a snapshot to its state at that time. The table must be disabled, and stays so;
    /// one that does not exist is created (HBase: `Admin.restoreSnapshot`).
    ///
    /// Before, another snapshot is taken of a table that exists
    /// ([`failsafe_snapshot`](crate::ClientBuilder::failsafe_snapshot)). If the master fails, the table is
    /// brought back to that one, which is then deleted. It is kept, and the error names it, if the outcome is
    /// not known, or the master fails again.
    ///
    /// # Errors
    ///
    /// If the name is invalid, there is no such snapshot, the table is not disabled, or no master completes
    /// it in time.
    pub async fn restore_snapshot(&self, name: &str) -> Result<()> {
        // before another snapshot is taken
        SnapshotDescription::check_name(name)?;
        let snapshots = self.snapshots().await?;
        let Some(found) = snapshots.iter().find(|found| found.name() == name) else {
            return Err(Error::invalid_argument(format!("there is no snapshot {name}")));
        };
        let table = found.table();
        match &self.0.failsafe {
            Some(format) if self.table_exists(table).await? => {
                self.check_disabled(table).await?;
                self.restore_with(name, table, &failsafe_name(format, name, table)).await
            }
            _ => Ok(self.restore(name, table).await?),
        }
    }

    /// Restores a table, and takes the snapshot `failsafe` of it before.
    async fn restore_with(&self, name: &str, table: &TableName, failsafe: &str) -> Result<()> {
        self.snapshot(table, failsafe).await?;
        let Err(ProcedureError { error, is_final }) = self.restore(name, table).await else {
            return self.delete_snapshot(failsafe).await.map_err(|error| {
                let message = format!("{table} is restored, but snapshot {failsafe} is left");
                because(message, &error)
            });
        };
        let left = format!("snapshot {failsafe} has what {table} was before");
        if !is_final {
            // the master, or the next one, may still be doing it
            return Err(because(format!("{name} may be restored or not, {left}"), &error));
        }
        if let Err(ProcedureError { error: again, .. }) = self.restore(failsafe, table).await {
            let message = format!("{name} is not restored ({}), {left}", error.message());
            return Err(because(message, &again));
        }
        let kept = match self.delete_snapshot(failsafe).await {
            Ok(()) => format!("{table} is as it was before"),
            Err(_) => format!("{table} is as it was before, and in snapshot {failsafe}"),
        };
        Err(because(format!("{name} is not restored, {kept}"), &error))
    }

    async fn check_disabled(&self, table: &TableName) -> Result<()> {
        match self.table_state(table).await? {
            TableState::Disabled => Ok(()),
            _ => Err(Error::invalid_argument(format!("table {table} is not disabled"))),
        }
    }
}

fn because(message: String, error: &Error) -> Error {
    Error::new(error.kind(), format!("{message}: {}", error.message()))
}

/// Returns the name of the snapshot that is taken before another one is restored.
fn failsafe_name(format: &str, name: &str, table: &TableName) -> String {
    let name = format.replace("{snapshot.name}", name);
    let name = name.replace("{table.name}", &table.to_string().replace(':', "."));
    name.replace("{restore.timestamp}", &SystemClock.now().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_as_hbase_makes_them() {
        let table = TableName::parse("ns:t").unwrap();
        let name = failsafe_name(FAILSAFE, "s1", &table);
        let time = name.strip_prefix("hbase-failsafe-s1-").unwrap();
        assert!(time.parse::<u64>().unwrap() > 1_600_000_000_000, "{name}");
        assert_eq!(failsafe_name("before-{table.name}-{snapshot.name}", "s1", &table), "before-ns.t-s1");
    }
}
