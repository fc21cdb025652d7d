//! Reads and writes of a table of a cluster (HBase: `AsyncTable`).

use crate::bounded::{Answered, Undecoded};
use crate::cell_block::CellBlock;
use crate::client::ClientCore;
use crate::connection::Answer;
use crate::fault::Fault;
use crate::multi::Action;
use crate::proto;
use crate::results::only_row;
use crate::scanner::Scanner;
use crate::timeline::Wanted;
use crate::tries::Tries;
use bytes::Bytes;
use hregion::locator::LocateType;
use hregion::{
    Append, CheckAndMutate, CheckResult, Corruption, Delete, Error, ErrorKind, Get, Increment, Mutation, Put,
    Result, Row, RowBuf, Scan, TableName,
};
use prost::Message;
use std::fmt;
use std::sync::Arc;

/// A table of a cluster, with the reads and writes of an embedded [`hregion::Table`].
///
/// Operations find the servers of their rows, and are repeated by the client's
/// [settings](crate::ClientBuilder::retries) while regions are split, merged or moved and servers end. Errors
/// name the server. Those that end an operation after several attempts list what failed. If the response to a
/// write was lost, or is an exception that does not determine the outcome, such as an `IOException`, the
/// error ends with "it may have been executed".
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

    /// Reads a row. A row that does not exist has no cells (HBase: `AsyncTable.get`).
    ///
    /// With [`Consistency::Timeline`](hregion::Consistency::Timeline) it may be read from another replica of
    /// the region than the primary one: [`Row::is_stale`] is true then.
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, it has no such family, the row is empty or too long, or no
    /// attempt succeeds.
    pub async fn get(&self, get: &Get) -> Result<Row> {
        self.ask(get, get.to_proto_bytes()?, |result, cells| only_row(result, cells, get.row())).await
    }

    /// Whether a row has any of the cells requested. Servers send none of them (HBase: `AsyncTable.exists`).
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or has no such family; if the row is empty or too long; or
    /// if no attempt succeeds.
    pub async fn exists(&self, get: &Get) -> Result<bool> {
        let mut message = get.to_proto_bytes()?;
        message.extend(proto::ExistenceOnly { existence_only: Some(true) }.encode_to_vec());
        self.ask(get, message, |result, cells| {
            let row = only_row(result, cells, get.row())?;
            Ok(result.and_then(|result| result.exists).unwrap_or(!row.is_empty()))
        })
        .await
    }

    /// Sends a get, and reads the result.
    async fn ask<T>(
        &self,
        get: &Get,
        message: Vec<u8>,
        read: impl Fn(Option<&proto::ResultMessage>, CellBlock) -> Result<T, Corruption>,
    ) -> Result<T> {
        let message = &Bytes::from(message);
        let read = &read;
        let wanted = Wanted { table: &self.name, row: get.row(), position: LocateType::At };
        let tries = Tries::of_reads(&self.core, &self.name);
        let wait = self.core.settings.primary_get;
        let ask = |tries| async move {
            let request = |region| proto::GetRequest { region: Some(region), get: Some(message.clone()) };
            self.call(tries, get.row(), "Get", 1, request, |_, response: proto::GetResponse, cells| {
                read(response.result.as_ref(), cells).map(Ok)
            })
            .await
        };
        self.core.read(get.read_from(), wanted, wait, tries, ask).await
    }

    /// Reads rows, with one call for the rows of a server, and returns them in order. Each is read as by
    /// [`get`](Self::get) (HBase: `AsyncTable.getAll`).
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or has no such family; if a row is empty or too long; or
    /// if no attempt succeeds for one of them.
    pub async fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        let actions: Result<Vec<_>> = gets.iter().map(Action::get).collect();
        self.multi(actions?, Tries::of_reads(&self.core, &self.name)).await.into_iter().collect()
    }

    /// Starts a scan. No server is called before the first row is read (HBase: `AsyncTable.getScanner`).
    ///
    /// # Errors
    ///
    /// If HBase has no such filter, or a bound is longer than a row can be.
    pub fn scan(&self, scan: Scan) -> Result<Scanner> {
        Scanner::new(self.clone(), scan)
    }

    /// Writes values of a row (HBase: `AsyncTable.put`).
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or has no such family; if the row is empty or too long; if
    /// the put has no values, a negative timestamp, or a value that is [too
    /// long](crate::ClientBuilder::max_cell_size); or if no attempt succeeds. If no response arrives, the
    /// values may have been written.
    pub async fn put(&self, put: Put) -> Result<()> {
        self.mutate(&put.into()).await.map(drop)
    }

    /// Deletes cells of a row (HBase: `AsyncTable.delete`).
    ///
    /// A delete whose answer is lost is repeated, as by HBase's client. One of the newest version of a column
    /// ([`Delete::version`]) then deletes the version before, too: [`Delete::version_at`] does not.
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or has no such family; if the row is empty or too long, or
    /// a timestamp is negative; or if no attempt succeeds. If no response arrives, the cells may have been
    /// deleted.
    pub async fn delete(&self, delete: Delete) -> Result<()> {
        self.mutate(&delete.into()).await.map(drop)
    }

    /// Adds to counters of a row, and returns the new cells. A server recognizes a repeated call, and does
    /// not add twice; one to which the region was moved in between does, unless it was recovered from the log
    /// of a server that has died (HBase: `AsyncTable.increment`).
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or has no such family; if the row is empty or too long,
    /// there are no columns, or a value is not a counter; or if no attempt succeeds. If no response arrives,
    /// the values may have been written.
    pub async fn increment(&self, increment: Increment) -> Result<Row> {
        self.mutate(&increment.into()).await
    }

    /// Appends to values of a row, and returns the new cells. Repeated calls are recognized as by
    /// [`increment`](Self::increment) (HBase: `AsyncTable.append`).
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or has no such family; if the row is empty or too long, or
    /// there are no columns; or if no attempt succeeds. If no response arrives, the values may have been
    /// written.
    pub async fn append(&self, append: Append) -> Result<Row> {
        self.mutate(&append.into()).await
    }

    /// Writes a mutation.
    async fn mutate(&self, mutation: &Mutation) -> Result<Row> {
        Ok(self.mutate_if(mutation, None).await?.cells)
    }

    /// Encodes a mutation (HBase: `ConnectionUtils.validatePut`).
    fn encode(&self, mutation: &Mutation, nonce: u64) -> Result<Bytes> {
        if let Mutation::Put(put) = mutation {
            let most = self.core.settings.max_cell;
            let len = |(family, qualifier, _, value): (&[u8], &[u8], _, &[u8])| {
                CELL_LEN + put.row().len() + family.len() + qualifier.len() + value.len()
            };
            if let Some(len) = put.cells().map(len).find(|len| *len > most) {
                let message = format!("a cell has at most {most} bytes (max_cell_size), not {len}");
                return Err(Error::invalid_argument(message));
            }
        }
        Ok(mutation.to_proto_bytes(nonce)?.into())
    }

    /// Writes a mutation, if a condition holds.
    async fn mutate_if(&self, mutation: &Mutation, condition: Option<Vec<u8>>) -> Result<CheckResult> {
        let is_plain = condition.is_none() && !returns_cells(mutation);
        let nonce = if is_plain { 0 } else { self.core.nonce() };
        let mut request = proto::MutateRequest {
            region: None,
            mutation: Some(self.encode(mutation, nonce)?),
            condition: condition.map(Into::into),
            nonce_group: (nonce != 0).then_some(self.core.nonce_group()),
        };
        let is_conditional = request.condition.is_some();
        let request = |region| {
            request.region = Some(region);
            request.clone()
        };
        let tries = Tries::of_writes(&self.core, &self.name, is_plain);
        let row = mutation.row();
        self.call(tries, row, "Mutate", 1, request, |server, response: proto::MutateResponse, cells| {
            let row = only_row(response.result.as_ref(), cells, mutation.row())?;
            let success = success(server, response.processed, is_conditional);
            Ok(success.map(|success| CheckResult::new(success, row)))
        })
        .await
    }

    /// Writes mutations of one row, all or none. Returns the cells of increments and appends. Those whose
    /// answer is lost are repeated: see [`delete`](Self::delete) (HBase: `AsyncTable.mutateRow`).
    ///
    /// # Errors
    ///
    /// Same as [`put`](Self::put); if there is no mutation, or one of another row.
    pub async fn mutate_row(&self, row: impl AsRef<[u8]>, mutations: Vec<Mutation>) -> Result<Row> {
        Ok(self.mutate_row_if(row.as_ref(), &mutations, None).await?.cells)
    }

    /// Writes to a row if a condition holds. If the answer of a call that succeeded is lost and the call is
    /// repeated, the condition is evaluated again, as by HBase's client (HBase: `AsyncTable.checkAndMutate`).
    ///
    /// # Errors
    ///
    /// - Same as [`mutate_row`](Self::mutate_row).
    /// - If HBase has no such filter; or [`Unsupported`](hregion::ErrorKind::Unsupported) if a value is
    ///   compared by [`Compare::NoOp`](hregion::Compare::NoOp), on which servers fail. Neither is sent.
    /// - If the server does not return whether the condition holds: servers before 2.4 write a single
    ///   increment or append without its condition.
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
            return Err(Error::invalid_argument("expected at least one mutation, and all of the row given"));
        }
        let nonce = self.core.nonce();
        let action = |mutation: &Mutation| {
            let message = Some(self.encode(mutation, nonce)?);
            Ok(proto::ActionMessage { index: None, mutation: message, get: None })
        };
        let action: Result<Vec<_>> = mutations.iter().map(action).collect();
        let condition = condition.map(Bytes::from);
        // servers from 2.4 on return no cells if they find it there; those before know only puts and deletes
        let old_condition = condition.clone().filter(|_| !mutations.iter().any(returns_cells));
        let is_conditional = condition.is_some();
        let mut region_action =
            proto::RegionAction { region: None, atomic: Some(true), action: action?, condition };
        let request = |region| {
            region_action.region = Some(region);
            proto::MultiRequest {
                region_action: vec![region_action.clone()],
                nonce_group: Some(self.core.nonce_group()),
                condition: old_condition.clone(),
            }
        };
        let (tries, asked) = (Tries::of_writes(&self.core, &self.name, !is_conditional), mutations.len());
        self.call(tries, row, "Multi", asked, request, |server, response: proto::MultiResponse, cells| {
            atomic_result(server, response, cells, row, is_conditional)
        })
        .await
    }

    /// Calls a method of the server that has a row, in the replica that the attempts are for, with a request
    /// for its region, until an attempt succeeds or no other one can. `read` reads a response, or the
    /// exception in it; an invalid response ends the connection, and so does one with more than `asked`
    /// results.
    async fn call<P: Message, M: Answered, T>(
        &self,
        mut tries: Tries<'_>,
        row: &[u8],
        method: &'static str,
        asked: usize,
        mut request: impl FnMut(proto::RegionSpecifier) -> P,
        read: impl Fn(&str, M, CellBlock) -> Result<Result<T, Fault>, Corruption>,
    ) -> Result<T> {
        loop {
            let found = tries.find_target(&self.name, row, LocateType::At).await;
            let mut target = found.map_err(|error| tries.in_doubt(error))?;
            let param = request(target.specifier());
            let answer = target.call::<Undecoded>(method, &param, tries.call_time()).await;
            let result = answer.and_then(|Answer { message, cells }| {
                let message = message.read(asked);
                message
                    .and_then(|message| read(target.connection.server(), message, cells))
                    .unwrap_or_else(|corruption| Err(target.connection.give_up(&corruption)))
            });
            match result {
                Ok(result) => return Ok(result),
                Err(fault) => {
                    tries.note_failed_write(&fault);
                    let ended = tries.failed(&target.locations, target.replica_id, fault).await;
                    ended.map_err(|error| tries.in_doubt(error))?;
                }
            }
        }
    }

    /// Writes mutations of any rows, with one call for those of a server, or several, one after the other, if
    /// they have more than 32 MiB. Returns the result of each, in order: the cells of increments and
    /// appends, or an error as of [`put`](Self::put) and [`increment`](Self::increment). A mutation that
    /// fails does not prevent the others from being written, except later ones of its row in another call, if
    /// it may succeed when it is repeated. Those whose answer is lost are repeated: see
    /// [`delete`](Self::delete). Those of one row are executed in their order, except for one that a server
    /// refuses at first although it executes a later one of the same call (HBase: `AsyncTable.batch`).
    #[must_use = "each of the mutations may have failed"]
    pub async fn batch(&self, mutations: &[Mutation]) -> Vec<Result<Row>> {
        let (mut actions, mut results) = (Vec::new(), Vec::new());
        for mutation in mutations {
            let nonce = if returns_cells(mutation) { self.core.nonce() } else { 0 };
            let encoded = self.encode(mutation, nonce);
            results.push(encoded.map(|encoded| actions.push(Action::mutation(mutation.row(), encoded))));
        }
        let tries = Tries::of_writes(&self.core, &self.name, !mutations.iter().any(returns_cells));
        let mut written = self.multi(actions, tries).await.into_iter();
        let missing = || Err(Error::invalid_argument("a mutation that was not sent"));
        results
            .into_iter()
            .map(|encoded| encoded.and_then(|()| written.next().unwrap_or_else(missing)))
            .collect()
    }
}

/// The size of a cell without its row, column and value: lengths, timestamp and type, as servers count them
/// (`hbase.server.keyvalue.maxsize`). HBase's client counts four bytes less.
const CELL_LEN: usize = 24;

fn returns_cells(mutation: &Mutation) -> bool {
    matches!(mutation, Mutation::Increment(_) | Mutation::Append(_))
}

/// Reads the answer to mutations of one row.
fn atomic_result(
    server: &str,
    response: proto::MultiResponse,
    mut cells: CellBlock,
    row: &[u8],
    is_conditional: bool,
) -> Result<Result<CheckResult, Fault>, Corruption> {
    let [result] = &response.region_action_result[..] else {
        return Err(Corruption::Malformed("answer for another number of regions than was asked for"));
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
    cells.finish()?;
    let success = success(server, result.processed.or(response.processed), is_conditional);
    Ok(success.map(|success| CheckResult::new(success, all.freeze())))
}

/// Whether a write was done. Servers report this for all writes with a condition; servers before 2.4 do not
/// read the condition of an increment or append, and report nothing for it.
fn success(server: &str, processed: Option<bool>, is_conditional: bool) -> Result<bool, Fault> {
    if processed.is_none() && is_conditional {
        let message = format!(
            "{server} does not say whether the condition holds: servers before 2.4 do not read that of an \
             increment or append, which may be written without it"
        );
        return Err(Fault::fatal(Error::new(ErrorKind::Unsupported, message)));
    }
    Ok(processed.unwrap_or(true))
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    fn is_send(_: impl Send) {}

    #[test]
    fn operations_can_run_in_tasks() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let client = Client::builder().bootstrap("localhost").unwrap();
        let table = client.table(&TableName::meta());
        is_send(table.get(&Get::new("r")));
        is_send(table.get_many(&[]));
        is_send(table.put(Put::new("r")));
        is_send(table.increment(Increment::new("r")));
        is_send(table.check_and_mutate(CheckAndMutate::if_not_exists("r", "f", "q")));
        is_send(table.mutate_row("r", Vec::new()));
        is_send(table.batch(&[]));
        is_send(table.scan(Scan::new()).unwrap().next());
        is_send(client.locate(&TableName::meta(), "r"));
    }
}
