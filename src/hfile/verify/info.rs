//! Compares the file info with the cells.

use super::cells::Tally;
use super::faults::{display_number, mismatch};
use crate::cell::CellFormat;
use crate::error::Corruption;
use crate::hfile::file_info::names;
use crate::hfile::trailer::Version;
use crate::hfile::{FileInfo, FileTimeRange};

/// Returns the values of known keys that are malformed, and the keys that HBase requires but are missing.
pub(super) fn check_forms(info: &FileInfo) -> Vec<Corruption> {
    let forms = [
        info.last_key().err(),
        info.avg_key_len().err(),
        info.avg_value_len().err(),
        info.create_time().err(),
        info.max_tags_len().err(),
        info.tags_compressed().err(),
        info.key_of_biggest_cell().err(),
        info.len_of_biggest_cell().err(),
        info.key_value_version().err(),
        info.max_memstore_ts().err(),
        info.data_block_encoding().err(),
        info.check_index_block_encoding().err(),
        info.max_seq_id().err(),
        info.major_compaction().err(),
        info.exclude_from_minor_compaction().err(),
        info.time_range().err(),
        info.custom_tiering_time_range().err(),
        info.earliest_put_ts().err(),
        info.delete_family_count().err(),
        info.bloom_filter_type().err(),
        info.compaction_event().err(),
        info.bulkload_timestamp().err(),
        info.skip_reset_seq_id().err(),
        info.historical().err(),
        info.mob_cells_count().err(),
    ];
    let has = |name: &str| info.get(name.as_bytes()).is_some();
    let is_missing = |name: &str, needed: bool| needed && !has(name);
    // a store assigns such a file a sequence id greater than its own
    let is_beyond = has(names::BULKLOAD_TIMESTAMP)
        && info.skip_reset_seq_id() == Ok(Some(true))
        && info.max_seq_id() == Ok(Some(i64::MAX));
    let with_seq_ids = info.key_value_version() == Ok(Some(1));
    let missing = [
        (is_missing(names::AVG_KEY_LEN, true), "hfile.AVG_KEY_LEN is missing, which HBase needs"),
        (is_missing(names::AVG_VALUE_LEN, true), "hfile.AVG_VALUE_LEN is missing, which HBase needs"),
        (
            is_missing(names::MAX_MEMSTORE_TS, with_seq_ids),
            "MAX_MEMSTORE_TS_KEY is missing, though cells have sequence ids",
        ),
        (
            has(names::KEY_OF_BIGGEST_CELL) != has(names::LEN_OF_BIGGEST_CELL),
            "one of the two keys of the biggest cell is missing",
        ),
        (is_beyond, "sequence id of the file is the greatest there is"),
    ];
    let missing =
        missing.into_iter().filter(|(wrong, _)| *wrong).map(|(_, what)| Corruption::Malformed(what));
    forms.into_iter().flatten().chain(missing).collect()
}

/// Returns the entries of the file info that do not match the cells. All cells must have been read.
pub(super) fn check_values(
    info: &FileInfo,
    tally: &Tally,
    cells: CellFormat,
    version: Version,
) -> Vec<Corruption> {
    let average = |sum: u64| display_number(sum.checked_div(tally.cells).unwrap_or(0));
    let expected =
        |what, found: Option<i64>, expected: i64| found.and_then(|found| mismatch(what, expected, found));
    let int = |value: Result<Option<i32>, _>| value.ok().flatten().map(i64::from);
    let long = |value: Result<Option<i64>, Corruption>| value.ok().flatten();
    let mut wrong = vec![
        check_last_key(info, tally),
        expected(names::AVG_KEY_LEN, int(info.avg_key_len()), average(tally.key_bytes)),
        expected(names::AVG_VALUE_LEN, int(info.avg_value_len()), average(tally.value_bytes)),
        expected(names::MAX_TAGS_LEN, int(info.max_tags_len()), display_number(tally.max_tags_len as u64)),
        check_earliest_put(info, tally, version),
        expected(
            names::DELETE_FAMILY_COUNT,
            long(info.delete_family_count()),
            display_number(tally.family_deletes),
        ),
        check_time_range(info, tally, version),
    ];
    if cells.mvcc {
        wrong.push(expected(names::MAX_MEMSTORE_TS, long(info.max_memstore_ts()), tally.max_seq_id));
    }
    wrong.push(check_biggest(info, tally, cells));
    wrong.into_iter().flatten().collect()
}

fn check_last_key(info: &FileInfo, tally: &Tally) -> Option<Corruption> {
    let named = info.last_key().ok()?;
    let message = match (named, &tally.last_key) {
        (Some(named), Some(last)) if named != last.as_key() => {
            "hfile.LASTKEY is not the key of the last cell"
        }
        (None, Some(_)) => "hfile.LASTKEY is missing",
        (Some(_), None) => "hfile.LASTKEY is present, though there is no cell",
        _ => return None,
    };
    Some(Corruption::Malformed(message))
}

/// Whether the time range may cover more cells than the file has.
///
/// A flush by 0.94 to 1.x could record the range of a whole memstore although it did not write all of its
/// cells; and a bulk load that splits a file gives both halves the range of the whole file.
fn is_of_more_cells(info: &FileInfo, version: Version) -> bool {
    version.major < 3 || version.minor < 3 || info.get(names::BULKLOAD_TIMESTAMP.as_bytes()).is_some()
}

fn check_time_range(info: &FileInfo, tally: &Tally, version: Version) -> Option<Corruption> {
    let named = info.time_range().ok().flatten()?;
    if tally.cells == 0 {
        return None;
    }
    let FileTimeRange { min, max } = tally.time_range;
    if is_of_more_cells(info, version) {
        let holds_all = named.min <= min && named.max >= max;
        return (!holds_all).then_some(Corruption::Malformed("TIMERANGE leaves out cells of the file"));
    }
    mismatch("least timestamp, in TIMERANGE", min, named.min)
        .or_else(|| mismatch("greatest timestamp, in TIMERANGE", max, named.max))
}

fn check_earliest_put(info: &FileInfo, tally: &Tally, version: Version) -> Option<Corruption> {
    let named = info.earliest_put_ts().ok().flatten()?;
    if is_of_more_cells(info, version) && named <= tally.earliest_put {
        return None;
    }
    mismatch(names::EARLIEST_PUT_TS, tally.earliest_put, named)
}

/// Checks the biggest cell. Its length includes tags even where the file stores none, so it can then only be
/// too small.
fn check_biggest(info: &FileInfo, tally: &Tally, cells: CellFormat) -> Option<Corruption> {
    let key = info.key_of_biggest_cell().ok().flatten()?;
    let len = info.len_of_biggest_cell().ok().flatten()?;
    let (biggest, size) = tally.biggest.as_ref()?;
    if tally.named_biggest.is_none() {
        return Some(Corruption::Malformed("no cell has the key that hfile.KEY_OF_BIGGEST_CELL names"));
    }
    if cells.tags {
        if key != biggest.as_key() {
            return Some(Corruption::Malformed(
                "hfile.KEY_OF_BIGGEST_CELL is not the key of the first of the biggest cells",
            ));
        }
        return mismatch(names::LEN_OF_BIGGEST_CELL, display_number(*size), len);
    }
    (len < display_number(*size)).then_some(Corruption::out_of_range(
        names::LEN_OF_BIGGEST_CELL,
        len,
        display_number(*size),
        i64::MAX,
    ))
}
