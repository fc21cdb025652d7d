//! Scanners: the pages of rows that they return, and the faults of these.

use super::{Answer, Hold, Instead, ROWS, State, Until, expected_row, push, row_key};
use crate::proto;
use crate::rng::Rng;
use bytes::Bytes;
use hregion::{CellOrder, RegionInfo, Row, RowBuf};
use prost::Message;
use std::time::Duration;

/// The time that a heartbeat takes.
const HEARTBEAT: Duration = Duration::from_millis(10);

/// The fields of a `Scan` that the servers read.
#[derive(Clone, PartialEq, Message)]
struct ScanFields {
    #[prost(bytes = "bytes", optional, tag = "3")]
    start_row: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    stop_row: Option<Bytes>,
    #[prost(uint32, optional, tag = "9")]
    batch_size: Option<u32>,
    #[prost(bool, optional, tag = "15")]
    reversed: Option<bool>,
    #[prost(bool, optional, tag = "21")]
    include_start_row: Option<bool>,
    #[prost(bool, optional, tag = "22")]
    include_stop_row: Option<bool>,
    #[prost(bool, optional, tag = "24")]
    need_cursor_result: Option<bool>,
}

/// A scanner of a region.
pub(super) struct OpenScanner {
    /// The rows to come, in order, and the first cell to come of the first one.
    rows: Vec<Row>,
    cell: usize,
    pub(super) sequence: u64,
    batch: usize,
    replica_id: u16,
    is_of_catalog: bool,
    needs_cursor: bool,
    region: RegionInfo,
}

impl OpenScanner {
    /// Takes the next row, or a part of it, and records in the response which it is.
    fn next_result(&mut self, is_cut: bool, random: &mut Rng, response: &mut proto::ScanResponse) -> Row {
        let row = self.rows[0].clone();
        let left = row.len() - self.cell;
        let cut = if is_cut { 1 + random.below(left) } else { left };
        let count = if self.batch > 0 { cut.min(self.batch) } else { cut };
        let mut part = RowBuf::new();
        row.cells().skip(self.cell).take(count).for_each(|cell| part.push(cell));
        self.cell += count;
        let ends = self.cell == row.len();
        // a part may turn out to have been the last
        response.partial_flag_per_result.push(!ends || (is_cut && random.below(2) == 0));
        response.cells_per_result.push(count as u32);
        if ends {
            self.rows.remove(0);
            self.cell = 0;
        }
        part.freeze()
    }

    /// Returns another response instead of rows.
    fn answer_instead(
        &mut self,
        kind: Instead,
        request: &proto::ScanRequest,
        mut response: proto::ScanResponse,
    ) -> Answer {
        if kind == Instead::EmptyResults {
            response.cells_per_result = vec![0; 1 + request.number_of_rows.unwrap() as usize];
            return Answer::of(&response);
        }
        if let Instead::SamePart(count) = kind {
            let mut part = RowBuf::new();
            for qualifier in ["a", "b"].iter().take(count) {
                push(&mut part, self.rows[0].key(), "f", qualifier, &[0; 1 << 15]);
            }
            response.cells_per_result.push(count as u32);
            response.partial_flag_per_result.push(true);
            return Answer { cells: vec![part.freeze()], ..Answer::of(&response) };
        }
        if let (Instead::OfRows, false) = (kind, self.rows.is_empty()) {
            self.rows.remove(0);
        }
        if self.rows.is_empty() {
            response.more_results_in_region = Some(false);
        }
        response.cursor = self.cursor().filter(|_| kind != Instead::WithoutRow);
        response.heartbeat_message = Some(true);
        Answer { delay: HEARTBEAT, ..Answer::of(&response) }
    }

    /// Returns the position of the scanner, if the scan requests it.
    fn cursor(&self) -> Option<proto::Cursor> {
        let row = self.rows.first().map(|row| Bytes::copy_from_slice(row.key()));
        self.needs_cursor.then_some(proto::Cursor { row })
    }
}

impl State {
    pub(super) fn scan(&mut self, request: &proto::ScanRequest, mischief: Option<usize>) -> Answer {
        if let (Some(id), Some(true)) = (request.scanner_id, request.close_scanner) {
            self.scanners.remove(&id);
            self.closes += usize::from(self.priority == Some(200));
            return Answer::of(&proto::ScanResponse::default());
        }
        let id = match self.scanner_of(request) {
            Ok(id) => id,
            Err((class, text)) => return Answer::exception(class, text),
        };
        let scanner = &self.scanners[&id];
        let is_held = |hold: &mut Hold| {
            let is_of_region = !scanner.is_of_catalog && scanner.region.contains(hold.row.as_bytes());
            is_of_region && hold.call == request.next_call_seq
        };
        let release = match self.hold.take_if(is_held).map(|hold| hold.until) {
            Some(Until::Never) => return Answer { is_silent: true, ..Answer::default() },
            Some(Until::Released(permit)) => Some(permit),
            None => None,
        };
        if request.renew == Some(true) {
            self.renewed += 1;
            return Answer { release, ..Answer::of(&proto::ScanResponse::default()) };
        }
        if let Some(answer) = self.without_page(id, request, mischief) {
            return answer;
        }
        let mut response = proto::ScanResponse {
            scanner_id: Some(id),
            more_results: Some(true),
            more_results_in_region: Some(true),
            ..proto::ScanResponse::default()
        };
        let takes_parts = request.client_handles_partials == Some(true);
        if mischief == Some(17) && takes_parts {
            response.heartbeat_message = Some(true);
            return Answer::of(&response);
        }
        let scanner = self.scanners.get_mut(&id).unwrap();
        if let Some(kind) = self.instead.filter(|_| !scanner.is_of_catalog) {
            return scanner.answer_instead(kind, request, response);
        }
        if scanner.is_of_catalog && self.short_searches > 0 {
            self.short_searches -= 1;
            response.heartbeat_message = Some(true);
            response.cursor = scanner.cursor();
            if request.close_scanner == Some(true) {
                self.scanners.remove(&id);
            }
            return Answer::of(&response);
        }
        let mut cells = Vec::new();
        response.stale = Some(scanner.replica_id > 0);
        let most = request.number_of_rows.unwrap() as usize;
        let most = if takes_parts { most.min(1 + self.random.below(30)) } else { most };
        let mut rows_left = request.limit_of_rows.filter(|rows| *rows > 0).unwrap_or(u32::MAX);
        while cells.len() < most && !scanner.rows.is_empty() && rows_left > 0 {
            // a part, if the page ends with it, or if the scan asks for batches
            let is_cut = takes_parts && cells.len() + 1 == most && self.random.below(3) == 0;
            cells.push(scanner.next_result(is_cut, &mut self.random, &mut response));
            rows_left -= u32::from(scanner.cell == 0);
        }
        if mischief == Some(18)
            && let (Some(first), Some(false)) =
                (cells.first().cloned(), response.partial_flag_per_result.last())
        {
            // a row again that was sent before
            response.cells_per_result.push(first.len() as u32);
            response.partial_flag_per_result.push(false);
            cells.push(first);
        }
        if scanner.rows.is_empty() {
            response.more_results_in_region = Some(false);
            self.scanners.remove(&id);
        } else if rows_left == 0 {
            response.more_results = Some(false);
            self.scanners.remove(&id);
        } else if request.close_scanner == Some(true) {
            self.scanners.remove(&id);
        }
        Answer { cells, release, ..Answer::of(&response) }
    }

    /// Returns the id of the scanner of a request, which is opened if there is none; or the class and message
    /// of an exception.
    fn scanner_of(&mut self, request: &proto::ScanRequest) -> Result<u64, (&'static str, &'static str)> {
        let Some(id) = request.scanner_id else {
            let not_served = ("org.apache.hadoop.hbase.NotServingRegionException", "not here");
            let scanner = self.open(request).ok_or(not_served)?;
            self.searches += usize::from(scanner.is_of_catalog);
            let id = self.next_scanner;
            self.next_scanner += 1;
            self.scanners.insert(id, scanner);
            return Ok(id);
        };
        let unknown = ("org.apache.hadoop.hbase.UnknownScannerException", "no scanner");
        let scanner = self.scanners.get_mut(&id).ok_or(unknown)?;
        if request.next_call_seq != Some(scanner.sequence) {
            let class = "org.apache.hadoop.hbase.exceptions.OutOfOrderScannerNextException";
            return Err((class, "out of order"));
        }
        scanner.sequence += 1;
        Ok(id)
    }

    /// Returns the response of a fault that replaces a page.
    fn without_page(
        &mut self,
        id: u64,
        request: &proto::ScanRequest,
        mischief: Option<usize>,
    ) -> Option<Answer> {
        if mischief == Some(20) {
            // as if the scanner were being closed, or its lease renewed
            return Some(Answer::of(&proto::ScanResponse::default()));
        }
        if mischief == Some(21) && request.scanner_id.is_some() {
            // the page of another scanner, which is further on
            let cells: Vec<Row> = self.scanners[&id].rows.last().cloned().into_iter().collect();
            let response = proto::ScanResponse {
                scanner_id: Some(id - 1),
                cells_per_result: cells.iter().map(|row| row.len() as u32).collect(),
                partial_flag_per_result: vec![false; cells.len()],
                more_results: Some(true),
                more_results_in_region: Some(true),
                ..proto::ScanResponse::default()
            };
            return Some(Answer { cells, ..Answer::of(&response) });
        }
        if mischief == Some(16) {
            self.scanners.remove(&id);
            let class = "org.apache.hadoop.hbase.exceptions.ScannerResetException";
            return Some(Answer::exception(class, "reset"));
        }
        None
    }

    fn open(&self, request: &proto::ScanRequest) -> Option<OpenScanner> {
        let name = request.region.as_ref().unwrap().value.as_deref().unwrap();
        let scan = ScanFields::decode(request.scan.clone().unwrap()).unwrap();
        let mut replica_id = 0;
        let (order, region, mut rows) = if name == RegionInfo::meta().name() {
            (CellOrder::Meta, RegionInfo::meta(), self.catalog())
        } else {
            let (region, id) = self.replica(name)?;
            replica_id = id;
            let rows = (0..ROWS).filter(|at| region.contains(row_key(*at).as_bytes()));
            (CellOrder::User, region.clone(), rows.map(expected_row).collect())
        };
        let reversed = scan.reversed.unwrap_or_default();
        if reversed {
            rows.reverse();
        }
        let compare = |row: &Row, bound: &Bytes| {
            let found = order.compare_rows(row.key(), bound);
            if reversed { found.reverse() } else { found }
        };
        let start = scan.start_row.as_ref().filter(|_| !self.ignores_start || order == CellOrder::Meta);
        rows.retain(|row| {
            let after = start.is_none_or(|start| {
                let found = compare(row, start);
                found.is_gt() || found.is_eq() && scan.include_start_row.unwrap_or(true)
            });
            let before = scan.stop_row.as_ref().is_none_or(|stop| {
                let found = compare(row, stop);
                found.is_lt() || found.is_eq() && scan.include_stop_row.unwrap_or_default()
            });
            after && before
        });
        let batch = scan.batch_size.unwrap_or_default() as usize;
        let needs_cursor = scan.need_cursor_result.unwrap_or_default();
        let is_of_catalog = order == CellOrder::Meta;
        let (cell, sequence) = (0, 0);
        Some(OpenScanner { rows, cell, sequence, batch, replica_id, is_of_catalog, needs_cursor, region })
    }
}
