//! The metrics of a scan (locator.md §9; HBase: `ScanMetrics`).

use crate::proto;
use hregion::Row;

/// Counts of a scan, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanMetrics {
    /// Rows that servers read, including those dropped by filters (`ROWS_SCANNED`).
    pub rows_scanned: u64,
    /// Rows that filters dropped (`ROWS_FILTERED`).
    pub rows_filtered: u64,
    /// Regions that were opened; one that was opened again counts again (`REGIONS_SCANNED`).
    pub regions_scanned: u64,
    /// Calls that were answered or failed, without those that close scanners (`RPC_CALLS`).
    pub rpc_calls: u64,
    /// Calls that failed (`RPC_RETRIES`).
    pub rpc_retries: u64,
    /// Bytes of the cells received, as HBase counts them: with their lengths (`BYTES_IN_RESULTS`).
    pub bytes_in_results: u64,
}

/// The length that HBase writes before each cell.
const CELL_LENGTH: usize = 4;
/// The lengths of key and value of a cell.
const LENGTHS: usize = 8;

impl ScanMetrics {
    /// Adds an answer.
    pub(crate) fn add(&mut self, response: &proto::ScanResponse, rows: &[(Row, bool)]) {
        for pair in response.scan_metrics.iter().flat_map(|metrics| &metrics.metrics) {
            let value = u64::try_from(pair.value.unwrap_or_default()).unwrap_or_default();
            match pair.name.as_deref() {
                Some("ROWS_SCANNED") => self.rows_scanned = self.rows_scanned.saturating_add(value),
                Some("ROWS_FILTERED") => self.rows_filtered = self.rows_filtered.saturating_add(value),
                // servers send more counts, which have no meaning for clients
                _ => {}
            }
        }
        for cell in rows.iter().flat_map(|(row, _)| row.cells()) {
            let len = CELL_LENGTH + LENGTHS + cell.key().as_bytes().len() + cell.value().len();
            self.bytes_in_results += len as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{CellRef, CellType, RowBuf, SeekKey};

    #[test]
    fn answers_are_added_up() {
        let pair = |name: &str, value| proto::NameInt64Pair { name: Some(name.into()), value: Some(value) };
        let response = |pairs: &[proto::NameInt64Pair]| proto::ScanResponse {
            scan_metrics: Some(proto::ScanMetricsMessage { metrics: pairs.to_vec() }),
            ..proto::ScanResponse::default()
        };
        let mut row = RowBuf::new();
        row.push(CellRef::new(&SeekKey::of(b"row", b"f", b"q", 1, CellType::Put), b"value"));
        let rows = [(row.freeze(), false)];
        let mut metrics = ScanMetrics::default();
        metrics.add(&response(&[pair("ROWS_SCANNED", 5), pair("ROWS_FILTERED", 4)]), &rows);
        metrics.add(&response(&[pair("ROWS_SCANNED", 2), pair("FS_READ_TIME", 9)]), &[]);
        metrics.add(&response(&[pair("ROWS_SCANNED", -1)]), &[]);
        metrics.add(&response(&[pair("ROWS_FILTERED", i64::MAX)]), &[]);
        metrics.add(&response(&[pair("ROWS_FILTERED", i64::MAX)]), &[]);
        metrics.add(&response(&[pair("ROWS_FILTERED", i64::MAX)]), &[]);
        metrics.add(&proto::ScanResponse::default(), &[]);
        let key = 2 + 3 + 1 + 1 + 1 + 8 + 1;
        let bytes_in_results = 4 + 8 + key + 5;
        let expected = ScanMetrics {
            rows_scanned: 7,
            rows_filtered: u64::MAX,
            bytes_in_results,
            ..ScanMetrics::default()
        };
        assert_eq!(metrics, expected);
    }
}
