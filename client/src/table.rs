//! Reads and writes of a table of a cluster (HBase: `AsyncTable`).

use crate::cell_block::CellBlock;
use crate::client::ClientCore;
use crate::fault::Fault;
use crate::multi::Action;
use crate::proto;
use crate::results::only_row;
use crate::scanner::Scanner;
use crate::tries::{Place, Tries};
use hregion::locator::LocateType;
use hregion::{
    Append, CheckAndMutate, CheckResult, Corruption, Delete, Error, Get, Increment, Mutation, Put, Result,
    Row, RowBuf, Scan, TableName,
};
use prost::Message;
use std::fmt;
use std::sync::Arc;

/// A table of a cluster, with the reads and writes of an embedded [`hregion::Table`].
///
/// Operations find the servers of their rows, and are repeated as the client's
/// [settings](crate::ClientBuilder::retries) say while regions are split, merged or moved and servers end.
/// Errors name the server. Those that end an operation after several attempts list what failed.
#[derive(Clone)]
pub struct Table {
    pub(crate) core: Arc<ClientCore>,
    pub(crate) name: TableName,
}

impl Table {
    pub(crate) fn new(core: Arc<ClientCore>, name: TableName) -> Self {
        Self { core, name }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// Reads a row. A row that does not exist has no cells.
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, it has no such family, or no attempt succeeds.
    pub async fn get(&self, get: &Get) -> Result<Row> {
        let message = get.to_proto_bytes()?.into();
        let mut request = proto::GetRequest { region: None, get: Some(message) };
        let mut tries = Tries::new(&self.core);
        loop {
            let place = tries.place(&self.name, get.row(), LocateType::At).await?;
            request.region = Some(proto::RegionSpecifier::of(place.locations.region()));
            let read =
                |response: proto::GetResponse, cells| only_row(response.result.as_ref(), cells, get.row());
            match call(&place, "Get", &request, &tries, read).await {
                Ok(row) => return Ok(row),
                Err(fault) => tries.failed(&place.locations, fault).await?,
            }
        }
    }

    /// Whether a row has any of the cells requested.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn exists(&self, get: &Get) -> Result<bool> {
        Ok(!self.get(get).await?.is_empty())
    }

    /// Reads rows, with one call for the rows of a server, and returns them in order. Each is read as by
    /// [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), if any of them fails.
    pub async fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        let actions: Result<Vec<_>> = gets.iter().map(Action::get).collect();
        self.multi(actions?).await.into_iter().collect()
    }

    /// Starts a scan. No server is asked before the first row is read.
    ///
    /// # Errors
    ///
    /// If HBase has no such filter.
    pub fn scan(&self, scan: Scan) -> Result<Scanner> {
        Scanner::new(self.clone(), scan)
    }

    /// Writes values of a row.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); if the put has no values. If no answer arrives, the values may have been
    /// written.
    pub async fn put(&self, put: Put) -> Result<()> {
        self.mutate(&put.into()).await.map(drop)
    }

    /// Deletes cells of a row.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub async fn delete(&self, delete: Delete) -> Result<()> {
        self.mutate(&delete.into()).await.map(drop)
    }

    /// Adds to counters of a row, and returns the new cells. Servers know a call that is repeated, and do not
    /// add twice.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put), and if a value is not a counter.
    pub async fn increment(&self, increment: Increment) -> Result<Row> {
        self.mutate(&increment.into()).await
    }

    /// Appends to values of a row, and returns the new cells. Servers know a call that is repeated, and do
    /// not append twice.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub async fn append(&self, append: Append) -> Result<Row> {
        self.mutate(&append.into()).await
    }

    /// Writes a mutation.
    async fn mutate(&self, mutation: &Mutation) -> Result<Row> {
        Ok(self.mutate_if(mutation, None).await?.cells)
    }

    /// Writes a mutation, if a condition holds.
    async fn mutate_if(&self, mutation: &Mutation, condition: Option<Vec<u8>>) -> Result<CheckResult> {
        let nonce = if condition.is_some() || returns_cells(mutation) { self.core.nonce() } else { 0 };
        let mut request = proto::MutateRequest {
            region: None,
            mutation: Some(mutation.to_proto_bytes(nonce)?.into()),
            condition: condition.map(Into::into),
            nonce_group: (nonce != 0).then_some(self.core.nonce_group()),
        };
        let mut tries = Tries::new(&self.core);
        loop {
            let place = tries.place(&self.name, mutation.row(), LocateType::At).await?;
            request.region = Some(proto::RegionSpecifier::of(place.locations.region()));
            let read = |response: proto::MutateResponse, cells| {
                let row = only_row(response.result.as_ref(), cells, mutation.row())?;
                Ok(CheckResult::new(response.processed.unwrap_or(true), row))
            };
            match call(&place, "Mutate", &request, &tries, read).await {
                Ok(done) => return Ok(done),
                Err(fault) => tries.failed(&place.locations, fault).await?,
            }
        }
    }

    /// Writes mutations of one row, all or none. Returns the cells of increments and appends.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put); if there is no mutation, or one of another row.
    pub async fn mutate_row(&self, row: impl AsRef<[u8]>, mutations: Vec<Mutation>) -> Result<Row> {
        Ok(self.mutate_row_if(row.as_ref(), &mutations, None).await?.cells)
    }

    /// Writes to a row if a condition holds.
    ///
    /// # Errors
    ///
    /// As [`mutate_row`](Self::mutate_row); if HBase has no such filter.
    pub async fn check_and_mutate(&self, check: CheckAndMutate) -> Result<CheckResult> {
        let condition = Some(check.condition_to_proto_bytes()?);
        match check.mutations() {
            [only] if only.row() == check.row() => self.mutate_if(only, condition).await,
            mutations => self.mutate_row_if(check.row(), mutations, condition).await,
        }
    }

    /// Writes mutations of one row, all or none, if a condition holds.
    async fn mutate_row_if(
        &self,
        row: &[u8],
        mutations: &[Mutation],
        condition: Option<Vec<u8>>,
    ) -> Result<CheckResult> {
        if mutations.is_empty() || mutations.iter().any(|mutation| mutation.row() != row) {
            return Err(Error::invalid_argument("mutations of one row, at least one, are expected"));
        }
        let nonce = self.core.nonce();
        let action = |mutation: &Mutation| {
            let message = Some(mutation.to_proto_bytes(nonce)?.into());
            Ok(proto::ActionMessage { index: None, mutation: message, get: None })
        };
        let action: Result<Vec<_>> = mutations.iter().map(action).collect();
        let condition = condition.map(bytes::Bytes::from);
        let mut region_action =
            proto::RegionAction { region: None, atomic: Some(true), action: action?, condition };
        let mut tries = Tries::new(&self.core);
        loop {
            let place = tries.place(&self.name, row, LocateType::At).await?;
            region_action.region = Some(proto::RegionSpecifier::of(place.locations.region()));
            let request = proto::MultiRequest {
                region_action: vec![region_action.clone()],
                nonce_group: Some(self.core.nonce_group()),
                condition: region_action.condition.clone(),
            };
            let server = place.connection.server();
            let read = |response: proto::MultiResponse, cells| atomic_result(server, response, cells, row);
            let result = call(&place, "Multi", &request, &tries, read).await.and_then(|result| result);
            match result {
                Ok(done) => return Ok(done),
                Err(fault) => tries.failed(&place.locations, fault).await?,
            }
        }
    }

    /// Writes mutations of any rows, with one call for those of a server, and returns the result of each, in
    /// order: the cells of increments and appends. A mutation that fails does not prevent the others from
    /// being written.
    pub async fn batch(&self, mutations: &[Mutation]) -> Vec<Result<Row>> {
        let (mut actions, mut results) = (Vec::new(), Vec::new());
        for mutation in mutations {
            let nonce = if returns_cells(mutation) { self.core.nonce() } else { 0 };
            results.push(Action::mutation(mutation, nonce).map(|action| actions.push(action)));
        }
        let mut written = self.multi(actions).await.into_iter();
        let missing = || Err(Error::invalid_argument("a mutation that was not sent"));
        results
            .into_iter()
            .map(|encoded| encoded.and_then(|()| written.next().unwrap_or_else(missing)))
            .collect()
    }
}

fn returns_cells(mutation: &Mutation) -> bool {
    matches!(mutation, Mutation::Increment(_) | Mutation::Append(_))
}

/// Calls a method and reads its answer. A wrong answer ends the connection.
async fn call<M: Message + Default, T>(
    place: &Place,
    method: &'static str,
    param: &impl Message,
    tries: &Tries<'_>,
    read: impl FnOnce(M, CellBlock) -> Result<T, Corruption>,
) -> Result<T, Fault> {
    let answer = place.call(method, param, tries.call_time()).await?;
    read(answer.message, answer.cells).map_err(|corruption| place.connection.give_up(&corruption))
}

/// Reads the answer to mutations of one row.
fn atomic_result(
    server: &str,
    response: proto::MultiResponse,
    mut cells: CellBlock,
    row: &[u8],
) -> Result<Result<CheckResult, Fault>, Corruption> {
    let [result] = &response.region_action_result[..] else {
        return Err(Corruption::Malformed("answer for another number of regions than asked"));
    };
    let failed = result.result_or_exception.iter().find_map(|result| result.exception.as_ref());
    if let Some(exception) = result.exception.as_ref().or(failed) {
        return Ok(Err(Fault::of_named(server, exception)));
    }
    let mut all = RowBuf::new();
    for result in result.result_or_exception.iter().filter_map(|result| result.result.as_ref()) {
        let part = crate::cell_block::row_of(result, &mut cells)?;
        crate::results::check_row(&part, row)?;
        for cell in part.cells() {
            crate::cell_block::push(&mut all, cell)?;
        }
    }
    let success = result.processed.or(response.processed).unwrap_or(true);
    Ok(Ok(CheckResult::new(success, all.freeze())))
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}
