use super::*;
use crate::ChecksumType;
use crate::cell::{CellRef, CellType, SeekKey};
use crate::error::ErrorKind;
use crate::hfile::{HFileWriter, StoreFileOrigin, StoreFileWriter};
use crate::io::Storage;
use crate::io::faulty::FaultyStorage;
use crate::layout::{Half, StoreFileInfo};
use crate::op::TimeRange;
use bytes::Bytes;

/// Writes a file of the rows `b` to `d`, timestamps 10 to 12, under a name.
fn write(storage: &Arc<dyn Storage>, name: &str, bloom: Option<BloomType>, info: &[(&str, &[u8])]) {
    let options = HFileWriter::options().bloom(bloom).block_size(40).storage(Arc::clone(storage));
    let mut writer = StoreFileWriter::create(options, name).unwrap();
    for (row, timestamp) in [(b"b1", 10), (b"c1", 12), (b"d1", 11)] {
        let key = SeekKey::of(row, b"f", b"q", timestamp, CellType::Put);
        writer.append(CellRef::new(&key, b"v").with_seq_id(7)).unwrap();
    }
    info.iter().for_each(|(key, value)| writer.add_file_info(key, value).unwrap());
    writer.finish(&StoreFileOrigin::flush(9)).unwrap();
}

fn open(storage: &Arc<dyn Storage>, place: &StoreFileInfo) -> Result<StoreFile> {
    StoreFile::open(&HFile::options().storage(Arc::clone(storage)), place)
}

fn opened(name: &str, half: Option<(Half, &[u8])>, info: &[(&str, &[u8])]) -> Result<StoreFile> {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    write(&storage, name, Some(BloomType::Row), info);
    let reference = half.map(|(half, row)| Reference { split_key: SeekKey::first_on_row(row), half });
    open(&storage, &StoreFileInfo { reference, ..StoreFileInfo::plain(name, 5) })
}

fn query<'q>(start: &'q [u8], stop: &'q [u8]) -> Query<'q> {
    Query { start, stop, get_like: start == stop && !start.is_empty(), ..Query::ALL }
}

#[test]
fn a_file_has_the_metadata_of_its_info() {
    let file = opened("0a", None, &[]).unwrap();
    assert_eq!((file.max_seq_id(), file.max_memstore_ts(), file.entry_count()), (9, 7, 3));
    assert_eq!((file.first_row(), file.last_row()), (Some(&b"b1"[..]), Some(&b"d1"[..])));
    assert_eq!((file.time_range(), file.earliest_put_ts()), (Some((10, 12)), Some(10)));
    assert_eq!((file.name(), file.modified_millis(), file.bulk_load_time()), ("0a", 5, None));
    assert!(!file.is_major_compaction() && !file.excluded_from_minor() && !file.is_bulk_loaded());
    assert!(file.compacted_inputs().is_empty());
    assert_eq!(file.seq_ids(), SeqIds::Stored(7));
}

#[test]
fn sequence_ids_by_name_and_half() {
    let id = |name, half, info: &[(&str, &[u8])]| opened(name, half, info).unwrap().max_seq_id();
    assert_eq!(id("0a", Some((Half::Top, b"c")), &[]), 10);
    assert_eq!(id("0a", Some((Half::Bottom, b"c")), &[]), 9);
    assert_eq!(id("0a_SeqId_4_", None, &[]), 4);
    assert_eq!(id("0a_SeqId_4_", Some((Half::Top, b"c")), &[]), 5);
    assert_eq!(id("0a_SeqId_4_", None, &[("SKIP_RESET_SEQ_ID", &[0xff])]), 5);
    assert_eq!(id("0a_SeqId_1_SeqId_4_", None, &[]), 4);
    assert_eq!(id("0a_SeqId_x_", None, &[]), 9);
    // SKIP_RESET_SEQ_ID applies to bulk-loaded files only.
    assert_eq!(id("0a", None, &[("SKIP_RESET_SEQ_ID", &[0xff])]), 9);
    assert!(opened("0a_SeqId_99999999999999999999_", None, &[]).is_err());
    let loaded = opened("0a", None, &[("BULKLOAD_TIMESTAMP", &3i64.to_be_bytes())]).unwrap();
    assert_eq!((loaded.bulk_load_time(), loaded.seq_ids()), (Some(3), SeqIds::All(9)));
}

#[test]
fn values_that_cannot_be_are_refused() {
    let cases: [(&str, &[u8]); 7] = [
        ("MAX_SEQ_ID_KEY", b"7"),
        ("MAX_SEQ_ID_KEY", &[]),
        ("BULKLOAD_TIMESTAMP", b"7"),
        ("SKIP_RESET_SEQ_ID", b""),
        ("MAJOR_COMPACTION_KEY", b"no"),
        ("EXCLUDE_FROM_MINOR_COMPACTION", b""),
        ("COMPACTION_EVENT_KEY", b"PBUF\x0a\x07"),
    ];
    for (key, value) in cases {
        let error = opened("0a", None, &[(key, value)]).unwrap_err();
        assert_eq!((error.path(), error.block()), (Some(Path::new("0a")), Some("FILE_INFO")), "{key}");
        assert!(error.offset().is_some_and(|offset| offset > 0));
    }
    let top = Some((Half::Top, &b"c"[..]));
    let error = opened("0a", top, &[("MAX_SEQ_ID_KEY", &i64::MAX.to_be_bytes())]).unwrap_err();
    assert_eq!(error.message(), "sequence id of the file is the greatest there is");
}

#[test]
fn halves_know_their_rows() {
    let rows = |half, row: &[u8]| {
        let file = opened("0a", Some((half, row)), &[]).unwrap();
        file.first_row().zip(file.last_row()).map(|(first, last)| [first.to_vec(), last.to_vec()])
    };
    assert_eq!(rows(Half::Top, b"c"), Some([b"c1".to_vec(), b"d1".to_vec()]));
    assert_eq!(rows(Half::Bottom, b"c"), Some([b"b1".to_vec(), b"b1".to_vec()]));
    assert_eq!(rows(Half::Top, b"e"), None);
    assert_eq!(rows(Half::Bottom, b"b"), None);
    assert_eq!(rows(Half::Top, b""), Some([b"b1".to_vec(), b"d1".to_vec()]), "all of it, as after a merge");
}

#[test]
fn times_rule_out_files() {
    let file = opened("0a", None, &[]).unwrap();
    let of = |min, max| Query { time_range: TimeRange::new(min, max).unwrap(), ..query(b"", b"") };
    let may = |query: &Query<'_>, cutoff, new| file.may_match(query, cutoff, new, true);
    assert_eq!(may(&of(0, 11), i64::MIN, false), Match::Yes);
    assert_eq!(may(&of(0, 10), i64::MIN, false), Match::NotByTime);
    assert_eq!(may(&of(0, 10), i64::MIN, true), Match::Yes, "a newer version counts there");
    assert_eq!(may(&of(13, 20), i64::MIN, true), Match::NotByTime);
    assert_eq!(may(&query(b"", b""), 12, false), Match::Yes);
    assert_eq!(may(&query(b"", b""), 13, false), Match::NotByTime);
}

#[test]
fn rows_rule_out_files() {
    let file = opened("0a", None, &[]).unwrap();
    let may = |start: &[u8], stop: &[u8]| file.may_match(&query(start, stop), i64::MIN, false, false);
    assert_eq!(may(b"", b"b"), Match::NotByKey);
    assert_eq!(may(b"", b"b1"), Match::Yes, "though the row is excluded");
    assert_eq!(may(b"d2", b""), Match::NotByKey);
    assert_eq!((may(b"d1", b""), may(b"a", b"z"), may(b"c", b"c")), (Match::Yes, Match::Yes, Match::Yes));
    let back = |start: &[u8], stop: &[u8]| {
        file.may_match(&Query { reversed: true, ..query(start, stop) }, i64::MIN, false, false)
    };
    assert_eq!((back(b"b", b""), back(b"", b"d2")), (Match::NotByKey, Match::NotByKey));
    assert_eq!((back(b"b1", b""), back(b"", b"d1"), back(b"z", b"a")), (Match::Yes, Match::Yes, Match::Yes));
    let empty = opened("0a", Some((Half::Top, b"x")), &[]).unwrap();
    assert_eq!(empty.may_match(&query(b"", b""), i64::MIN, false, false), Match::NotByKey);
}

#[test]
fn filters_rule_out_files() {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    let with = |bloom| {
        write(&storage, "0a", bloom, &[]);
        open(&storage, &StoreFileInfo::plain("0a", 0)).unwrap()
    };
    let may = |file: &StoreFile, query: &Query<'_>| file.may_match(query, i64::MIN, false, true);
    let (columns, two) = ([Bytes::from("x")], [Bytes::from("x"), Bytes::from("y")]);
    let file = with(Some(BloomType::Row));
    assert_eq!(may(&file, &query(b"c1", b"c1")), Match::Yes);
    assert_eq!(may(&file, &query(b"c2", b"c2")), Match::NotByBloom);
    assert_eq!(may(&file, &query(b"c2", b"c3")), Match::Yes);
    assert_eq!(file.may_match(&query(b"c2", b"c2"), i64::MIN, false, false), Match::Yes);
    let file = with(Some(BloomType::RowCol));
    assert_eq!(may(&file, &query(b"c2", b"c2")), Match::Yes);
    assert_eq!(may(&file, &Query { columns: &columns, ..query(b"c1", b"c1") }), Match::NotByBloom);
    assert_eq!(may(&file, &Query { columns: &two, ..query(b"c1", b"c1") }), Match::Yes);
    assert_eq!(may(&file, &Query { columns: &[Bytes::from("q")], ..query(b"c1", b"c1") }), Match::Yes);
    let file = with(Some(BloomType::RowPrefixFixedLength(1)));
    assert_eq!(may(&file, &query(b"c5", b"c7")), Match::Yes);
    assert_eq!(may(&file, &query(b"c5", b"d")), Match::Yes);
    assert_eq!(may(&file, &query(b"cc", b"cc")), Match::Yes);
    let file = with(Some(BloomType::RowPrefixFixedLength(2)));
    assert_eq!(may(&file, &query(b"c2a", b"c2b")), Match::NotByBloom);
    assert_eq!(may(&file, &query(b"c2a", b"c3b")), Match::Yes);
    assert_eq!(may(&file, &query(b"c1a", b"c1a")), Match::Yes);
    assert_eq!(may(&file, &query(b"c2a", b"c2a")), Match::NotByBloom);
    assert_eq!(may(&with(None), &query(b"c2", b"c2")), Match::Yes);
}

#[test]
fn files_in_the_order_in_which_they_are_read() {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    let file = |name: &str, info: &[(&str, &[u8])]| {
        write(&storage, name, None, info);
        open(&storage, &StoreFileInfo::plain(name, 0)).unwrap()
    };
    let (six, time) = (6i64.to_be_bytes(), 3i64.to_be_bytes());
    let sorted = [
        file("f", &[("MAX_SEQ_ID_KEY", &six)]),
        file("e", &[("more", &[0; 900])]),
        file("d_SeqId_9_", &[("BULKLOAD_TIMESTAMP", &time), ("aa", &[0; 450])]),
        file("a", &[("some", &[0; 480])]),
        file("b", &[("some", &[0; 480])]),
    ];
    assert_eq!(sorted.iter().map(StoreFile::max_seq_id).collect::<Vec<_>>(), [6, 9, 9, 9, 9]);
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            let lens = a.file_len().cmp(&b.file_len());
            let by = compare_by_seq_id(a, b);
            assert_eq!(by, compare_by_seq_id(b, a).reverse());
            if a.max_seq_id() == b.max_seq_id() && lens.is_ne() {
                assert_eq!(by, lens.reverse());
            } else if a.bulk_load_time() == b.bulk_load_time() {
                assert_eq!(by, i.cmp(&j));
            }
        }
    }
}

/// Found by fuzzing: rows would be skipped, as if they were after the last one.
#[test]
fn a_last_key_before_the_first_is_corrupt() {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    let options = HFileWriter::options().checksum(ChecksumType::Null).storage(Arc::clone(&storage));
    let mut writer = StoreFileWriter::create(options, "0a").unwrap();
    for row in [b"b1", b"d1"] {
        writer.append(CellRef::new(&SeekKey::of(row, b"f", b"q", 10, CellType::Put), b"v")).unwrap();
    }
    writer.finish(&StoreFileOrigin::flush(9)).unwrap();
    let file = storage.open(Path::new("0a")).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let last_row = bytes.windows(2).rposition(|bytes| bytes == b"d1").unwrap();
    bytes[last_row..last_row + 2].copy_from_slice(b"b0");
    storage.create(Path::new("0b")).unwrap().write_all(&bytes).unwrap();
    let error = open(&storage, &StoreFileInfo::plain("0b", 0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("LASTKEY"), "{error}");
}
