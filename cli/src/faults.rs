//! The faults of a command that continues after them.

use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use hregion::TableName;
use std::mem;

/// Collects faults. The one that decides the exit code is printed at the end, the others at once.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The first of those with the greatest exit code.
    worst: Option<CommandError>,
}

impl Faults {
    /// Adds a fault. Of it and the worst one so far, prints the one that does not decide the exit code.
    pub(crate) fn add(&mut self, fault: CommandError, out: &mut Output) {
        let Some(worst) = &mut self.worst else {
            out.found(fault.exit());
            self.worst = Some(fault);
            return;
        };
        if worst.line() == fault.line() {
            return;
        }
        let other = if fault.exit() > worst.exit() { mem::replace(worst, fault) } else { fault };
        out.found(worst.exit());
        out.print_error(&other);
    }

    /// Returns what was read of a table, or `None` after its fault was added. The fault of a target that is
    /// not one of several tables is returned.
    pub(crate) fn take<T>(
        &mut self,
        table: Option<&TableName>,
        found: Result<T, Failure>,
        out: &mut Output,
    ) -> Result<Option<T>, Failure> {
        match (found, table) {
            (Err(Failure::Fault(fault)), Some(table)) => {
                self.add(fault.of_table(table), out);
                Ok(None)
            }
            (found, _) => found.map(Some),
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.worst.is_none()
    }

    /// Adds the failure that has ended the command, if any. Returns the fault that decides the exit code.
    pub(crate) fn end(mut self, done: Result<(), Failure>, out: &mut Output) -> Result<Exit, Failure> {
        match done {
            Err(Failure::Fault(fault)) => self.add(*fault, out),
            done => done?,
        }
        self.finish()
    }

    /// Returns the fault that decides the exit code.
    pub(crate) fn finish(self) -> Result<Exit, Failure> {
        self.worst.map_or(Ok(Exit::Done), |fault| Err(fault.into()))
    }
}
