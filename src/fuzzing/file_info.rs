//! The file info.

use crate::hfile::FileInfo;

/// Checks the payload of a FILE_INFO block: a payload that parses is written and parses to the same again,
/// and every getter accepts any value.
pub fn file_info(input: &[u8]) {
    let Ok(info) = FileInfo::parse(input, usize::MAX) else { return };
    ask(&info);
    assert!(info.iter().is_sorted_by(|(a, _), (b, _)| a < b), "keys are sorted, none twice");
    for (key, value) in info.iter() {
        assert_eq!(info.get(key), Some(value));
    }
    let of = FileInfo::of(info.iter()).expect("no larger than it was");
    let mut written = Vec::new();
    info.write(&mut written);
    let again = FileInfo::parse(&written, usize::MAX).expect("what was written");
    assert!(again == info && of == info);
}

fn ask(info: &FileInfo) {
    let _ = (info.last_key(), info.avg_key_len(), info.avg_value_len(), info.create_time());
    let _ = (info.max_tags_len(), info.tags_compressed(), info.key_of_biggest_cell());
    let _ = (info.len_of_biggest_cell(), info.key_value_version(), info.max_memstore_ts());
    let _ = (info.data_block_encoding(), info.check_index_block_encoding(), info.max_seq_id());
    let _ = (info.major_compaction(), info.exclude_from_minor_compaction(), info.earliest_put_ts());
    let _ = (info.custom_tiering_time_range(), info.delete_family_count(), info.bloom_filter_type());
    let _ = (info.last_bloom_key(), info.compaction_event(), info.bulkload_timestamp());
    let _ = (info.bulkload_source_task(), info.skip_reset_seq_id(), info.historical());
    let _ = (info.mob_cells_count(), info.mob_file_refs(), info.stripe_start_key(), info.stripe_end_key());
    if let Ok(Some(range)) = info.time_range() {
        let _ = (range.overlaps(0, i64::MAX), range.overlaps(i64::MIN, i64::MAX));
    }
    let _ = format!("{info:?}");
}
