use super::super::testing::{Sink, cells, key};
use super::super::{END_MARK, WalWriterOptions};
use super::*;
use crate::cell::{CellRef, CellType, SeekKey};
use crate::io::MemoryFile;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

fn read(bytes: &[u8]) -> Result<(Vec<WalEntry>, WalEnd)> {
    let file = MemoryFile::new("dir/log", bytes.to_vec());
    let mut reader = WalReader::new(Arc::new(file), &Limits::new().with_block_bytes(1 << 20))?;
    let mut entries = Vec::new();
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(reader.next_entry().unwrap_err().to_string(), error.to_string());
                return Err(error);
            }
        }
    }
    assert!(reader.next_entry().unwrap().is_none());
    assert_eq!(reader.entries(), entries.len() as u64);
    Ok((entries, reader.end().unwrap().clone()))
}

/// A log of three entries, and the offsets at which they begin and end.
fn log(options: &WalWriterOptions) -> (Vec<u8>, Vec<u64>) {
    let sink = Sink::default();
    let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
    let mut offsets = vec![writer.offset()];
    for n in 1..4 {
        writer.append(&key(n), cells(n).iter().map(|cell| cell.as_ref())).unwrap();
        offsets.push(writer.offset());
    }
    (sink.bytes(), offsets)
}

fn all_options() -> Vec<WalWriterOptions> {
    let plain = WalWriterOptions::new();
    let packed = plain.clone().compression(true);
    vec![plain.clone(), packed.clone(), plain.checksums(Some(5)), packed.checksums(Some(6))]
}

/// Logs of HBase have no checksums. That a flip hides an entry of a closed log is still detected: the trailer
/// shows that all entries were written.
#[test]
fn a_flipped_bit_hides_no_entry_of_a_closed_log() {
    for options in [WalWriterOptions::new(), WalWriterOptions::new().compression(true)] {
        let (mut bytes, _) = log(&options);
        bytes.extend(trailer::BYTES);
        let (entries, end) = read(&bytes).unwrap();
        assert_eq!((entries.len(), end), (3, WalEnd::Trailer));
        let mut closed_and_torn = 0;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok((entries, end)) = read(&flipped) else { continue };
            let refused = end.refused(Path::new("log"));
            assert!(entries.len() == 3 || refused.is_some(), "bit {bit}: {}, {end:?}", entries.len());
            if let Some(error) = refused {
                assert_eq!(error.kind(), ErrorKind::Truncated);
                assert!(error.to_string().contains("--accept-torn-logs"), "{error}");
                closed_and_torn += 1;
            }
        }
        assert!(closed_and_torn > 0);
    }
}

#[test]
fn an_end_is_with_a_trailer_or_without_or_torn() {
    for options in all_options() {
        let (bytes, offsets) = log(&options);
        let (entries, end) = read(&bytes).unwrap();
        assert_eq!((entries.len(), end), (3, WalEnd::NoTrailer));
        for (n, entry) in (1..4).zip(&entries) {
            assert_eq!(entry.key(), &key(n));
            let found: Vec<_> = entry.cells().map(crate::cell::Cell::from).collect();
            let seq_id = key(n).sequence_id;
            let expected: Vec<_> = cells(n)
                .iter()
                .map(|cell| crate::cell::Cell::from(cell.as_ref().with_seq_id(seq_id)))
                .collect();
            assert_eq!(found, expected);
            assert_eq!(entry.cells().len(), expected.len());
        }
        let spans: Vec<_> = entries.iter().map(|entry| (entry.offset(), entry.end())).collect();
        assert_eq!(spans, offsets.windows(2).map(|w| (w[0], w[1])).collect::<Vec<_>>());

        let closed = [&bytes[..], &trailer::BYTES].concat();
        assert_eq!(read(&closed).unwrap(), (entries.clone(), WalEnd::Trailer));
        for len in 0..closed.len() {
            let found = read(&closed[..len]).unwrap();
            let whole = offsets.iter().skip(1).filter(|offset| **offset <= len as u64).count();
            assert_eq!(found.0, entries[..whole], "{len}");
            match found.1 {
                WalEnd::NoTrailer => assert!(offsets.contains(&(len as u64)), "{len}"),
                WalEnd::Torn { offset, unread, zeros, .. } => {
                    assert!(!offsets.contains(&(len as u64)) && !zeros, "{len}");
                    let started = offsets.iter().filter(|offset| **offset <= len as u64).max();
                    assert_eq!(offset, started.copied().unwrap_or(0));
                    assert_eq!(offset + unread, len as u64);
                }
                end => panic!("{end:?} at {len}"),
            }
        }
    }
}

/// The region, span and number of cells of each entry, and whether reading ends with an error.
type Outcome = (Vec<(Vec<u8>, u64, u64, u32)>, bool);

fn outcome(bytes: &[u8], only: Option<&[u8]>) -> Outcome {
    let file = Arc::new(MemoryFile::new("dir/log", bytes.to_vec()));
    let mut reader = match WalReader::new(file, &Limits::new()) {
        Ok(reader) => only.into_iter().fold(reader, WalReader::only_cells_of),
        Err(_) => return (Vec::new(), true),
    };
    let mut entries = Vec::new();
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => {
                let region = entry.key().encoded_region_name.clone();
                entries.push((region, entry.offset(), entry.end(), entry.cell_count()));
            }
            Ok(None) => return (entries, false),
            Err(_) => return (entries, true),
        }
    }
}

#[test]
fn entries_of_other_regions_are_read_without_their_cells() {
    for (at, options) in all_options().into_iter().enumerate() {
        let (bytes, offsets) = log(&options);
        let own = key(1).encoded_region_name;
        let file = Arc::new(MemoryFile::new("log", bytes.clone()));
        let skips = WalReader::new(file, &Limits::new()).unwrap().only_cells_of(&own).only.is_some();
        assert_eq!(skips, at == 2, "only in a log with checksums and without dictionaries");
        // All bits except those of a long value.
        let last = usize::try_from(offsets[2]).unwrap();
        for bit in (0..(last + 200) * 8).chain((bytes.len() - 9) * 8..=bytes.len() * 8) {
            let mut bad = bytes.clone();
            if let Some(byte) = bad.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            let of = |only| {
                let (mut entries, is_error) = outcome(&bad, only);
                let others = entries.iter_mut().filter(|(region, ..)| *region != own);
                others.for_each(|(.., cells)| *cells = 0);
                (entries, is_error)
            };
            assert_eq!(of(Some(&own)), of(None), "bit {bit} of {options:?}");
        }
    }
}

#[test]
fn a_tail_of_zeros_is_torn() {
    for options in all_options() {
        let (bytes, offsets) = log(&options);
        let (entries, _) = read(&bytes).unwrap();
        for zeros in [1, 4, 5, 100, 100_000] {
            let (found, end) = read(&[&bytes[..], &vec![0; zeros]].concat()).unwrap();
            assert_eq!(found, entries);
            let WalEnd::Torn { offset, unread, zeros: is_zeros, .. } = end else { panic!("{end:?}") };
            assert_eq!((offset, unread, is_zeros), (offsets[3], zeros as u64, zeros > 4));
        }
        // all but the first bytes of the last entry
        let mut bad = bytes.clone();
        bad[usize::try_from(offsets[2]).unwrap() + 20..].fill(0);
        let (found, end) = read(&bad).unwrap();
        assert_eq!(found, entries[..2]);
        assert!(matches!(end, WalEnd::Torn { zeros: true, .. }), "{end:?}");
    }
}

#[test]
fn damage_is_an_error_with_its_place() {
    let (bytes, offsets) = log(&WalWriterOptions::new());
    let at = usize::try_from(offsets[1]).unwrap();
    let mut bad = bytes.clone();
    bad[at + 1] = 0x0f;
    let error = read(&bad).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupt, Some(offsets[1])));
    assert_eq!(error.path(), Some(Path::new("dir/log")));
    // five zeros, followed by more
    let bad = [&bytes[..], &[0; 50], b"x"].concat();
    assert_eq!(read(&bad).unwrap_err().offset(), Some(offsets[3]));
    // zeros before a trailer
    let bad = [&bytes[..], &[0; 50], &trailer::BYTES].concat();
    assert_eq!(read(&bad).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(read(b"HFile").unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn an_entry_that_reaches_into_the_trailer_is_torn() {
    let (bytes, offsets) = log(&WalWriterOptions::new());
    let bad = [&bytes[..bytes.len() - 3], &trailer::BYTES].concat();
    let (found, end) = read(&bad).unwrap();
    assert_eq!(found.len(), 2);
    assert!(matches!(end, WalEnd::Torn { offset, closed: true, .. } if offset == offsets[2]));
    // within the header
    let bad = [&bytes[..7], &trailer::BYTES].concat();
    let (found, end) = read(&bad).unwrap();
    assert!(found.is_empty() && matches!(end, WalEnd::Torn { offset: 0, closed: true, .. }), "{end:?}");
}

/// A file whose bytes from an offset on are zeros when a chunk of them is read first.
#[derive(Debug)]
struct Growing {
    bytes: MemoryFile,
    written: u64,
    is_read: AtomicBool,
}

impl FileReader for Growing {
    fn path(&self) -> &Path {
        self.bytes.path()
    }

    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.read_exact_at(buf, offset)?;
        let is_chunk = buf.len() > 1_000 && offset + buf.len() as u64 > self.written;
        if is_chunk && !self.is_read.swap(true, Ordering::Relaxed) {
            let zeros = usize::try_from(self.written - offset).unwrap();
            buf[zeros..].fill(0);
        }
        Ok(())
    }
}

#[test]
fn an_entry_may_end_with_the_bytes_of_a_trailer() {
    let sink = Sink::default();
    let options = WalWriterOptions::new().checksums(Some(5));
    let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
    let place = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
    let value = [&b"value"[..], &trailer::BYTES].concat();
    writer.append(&key(1), [CellRef::new(&place, b"v")]).unwrap();
    let offset = writer.offset();
    writer.append(&key(2), [CellRef::new(&place, &value)]).unwrap();
    let bytes = sink.bytes();
    let (entries, end) = read(&bytes).unwrap();
    assert_eq!((entries.len(), end), (2, WalEnd::NoTrailer));
    assert_eq!(entries[1].cells().next().unwrap().value(), value);
    let (entries, end) = read(&[&bytes[..], &trailer::BYTES].concat()).unwrap();
    assert_eq!((entries.len(), end), (2, WalEnd::Trailer));
    // Its bytes are a trailer unless they complete the entry before it.
    let mut bad = bytes.clone();
    bad[usize::try_from(offset).unwrap() + 30] ^= 1;
    assert_eq!(read(&bad).unwrap_err().offset(), Some(offset));
    let cut = [&bytes[..bytes.len() - 9], &trailer::BYTES].concat();
    assert_eq!(read(&cut).unwrap_err().offset(), Some(offset));
}

#[test]
fn an_entry_that_was_not_there_yet_is_no_damage() {
    let sink = Sink::default();
    let options = WalWriterOptions::new().checksums(Some(5));
    let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
    let mut offsets = Vec::new();
    for n in 1..400 {
        offsets.push(writer.offset());
        writer.append(&key(n), cells(n).iter().map(|cell| cell.as_ref())).unwrap();
        writer.sync().unwrap();
    }
    for written in [offsets[2], offsets[2] + 1, offsets[3] - 1, offsets[200] + 30] {
        let bytes = MemoryFile::new("log", sink.bytes());
        let file = Growing { bytes, written, is_read: AtomicBool::new(false) };
        let mut reader = WalReader::new(Arc::new(file), &Limits::new()).unwrap();
        while reader.next_entry().unwrap().is_some() {}
        assert_eq!((reader.entries(), reader.end()), (399, Some(&WalEnd::NoTrailer)), "{written}");
    }
}

#[test]
fn zeros_after_the_mark_of_the_end_are_no_tear() {
    let (bytes, offsets) = log(&WalWriterOptions::new().checksums(Some(5)));
    for zeros in [0, 1, 5, 200_000] {
        let longer = [&bytes[..], &END_MARK, &vec![0; zeros]].concat();
        let (entries, end) = read(&longer).unwrap();
        assert_eq!((entries.len(), end), (3, WalEnd::NoTrailer));
        let torn = [&bytes[..], &END_MARK, &vec![0; zeros], b"x"].concat();
        let (entries, end) = read(&torn).unwrap();
        assert_eq!(entries.len(), 3);
        assert!(matches!(end, WalEnd::Torn { offset, .. } if offset == offsets[3]), "{end:?}");
    }
}

/// A log of two entries, the second without cells: the last byte of its checksum has one bit, and is the
/// first byte of a unit of the disk.
fn log_with_a_byte_in_the_next_unit() -> (Vec<u8>, u64, u64) {
    let unit = usize::try_from(UNIT).unwrap();
    for log_id in 1.. {
        let options = WalWriterOptions::new().checksums(Some(log_id));
        let written = |padding: usize| {
            let sink = Sink::default();
            let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
            let place = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
            writer.append(&key(1), [CellRef::new(&place, &vec![b'v'; padding])]).unwrap();
            let offset = writer.offset();
            writer.append(&key(2), []).unwrap();
            (sink.bytes(), offset)
        };
        let (bytes, _) = written(500);
        let (bytes, offset) = written(500 + unit - (bytes.len() - 1) % unit);
        assert_eq!((bytes.len() - 1) % unit, 0);
        if bytes.last().unwrap().count_ones() == 1 {
            let end = bytes.len() as u64;
            return (bytes, offset, end);
        }
    }
    unreachable!()
}

#[test]
fn an_entry_of_which_a_unit_is_missing_is_torn() {
    let (bytes, offset, end) = log_with_a_byte_in_the_next_unit();
    let mut torn = bytes.clone();
    *torn.last_mut().unwrap() = 0;
    for zeros in [0, 1, 4, 5, 511, 512, 40_000] {
        let (entries, found) = read(&[&torn[..], &vec![0; zeros]].concat()).unwrap();
        assert_eq!(entries.len(), 1, "{zeros}");
        assert!(matches!(found, WalEnd::Torn { offset: at, .. } if at == offset), "{found:?}");
    }
    // The unit was written, and one of its bits has changed.
    let synced = [&torn[..], &END_MARK, &[0; 100]].concat();
    assert_eq!(read(&synced).unwrap_err().offset(), Some(offset));
    // A bit of another unit has changed.
    for place in [offset + 30, end - 2] {
        let mut bad = bytes.clone();
        bad[usize::try_from(place).unwrap()] ^= 4;
        assert_eq!(read(&bad).unwrap_err().offset(), Some(offset), "{place}");
    }
}

#[test]
fn large_entries_are_over_the_limit() {
    let (bytes, _) = log(&WalWriterOptions::new());
    let file = MemoryFile::new("log", bytes);
    let limits = Limits::new().with_block_bytes(64 * 128);
    let mut reader = WalReader::new(Arc::new(file), &limits).unwrap();
    for _ in 0..2 {
        assert!(reader.next_entry().unwrap().is_some());
    }
    assert_eq!(reader.next_entry().unwrap_err().kind(), ErrorKind::Limit, "a value of 9,000 bytes");
}

/// A recovery writes the entries of servers' logs to recovered edits, and the opening of a region has the
/// same limits.
#[test]
fn an_entry_that_can_be_read_can_be_read_in_recovered_edits() {
    type Entries = Vec<(WalKey, Vec<u8>)>;
    let read = |path: &str, bytes: &[u8], limit: usize| -> Result<Entries> {
        let file = MemoryFile::new(path, bytes.to_vec());
        let mut reader = WalReader::new(Arc::new(file), &Limits::new().with_block_bytes(limit))?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            entries.push((entry.key.clone(), entry.cells.clone()));
        }
        Ok(entries)
    };
    let write = |options: &WalWriterOptions, keys: &[WalKey], cells: &[CellRef<'_>]| {
        let sink = Sink::default();
        let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
        for key in keys {
            writer.append(key, cells.iter().copied()).unwrap();
        }
        sink.bytes()
    };
    // the second key has one name from a dictionary, and another one that is never in any
    let mut keys = [key(1), key(3)];
    keys.iter_mut().for_each(|key| key.table_name = vec![b't'; 800]);
    keys[1].extended_attributes.push(("a".repeat(700), b"value".to_vec()));
    let small = SeekKey::of(b"", b"", b"", 1, CellType::Put);
    let small = CellRef::new(&small, b"").with_tag_bytes(b"\0\x01\x40").unwrap();
    for options in all_options() {
        for (keys, cells) in [(&keys[..], vec![]), (&[key(1)][..], vec![small; 4_000])] {
            let bytes = write(&options, keys, &cells);
            let (mut low, mut limit) = (0, 1 << 20);
            while low < limit {
                let middle = usize::midpoint(low, limit);
                if read("dir/log", &bytes, middle).is_ok() {
                    limit = middle;
                } else {
                    low = middle + 1;
                }
            }
            let entries = read("dir/log", &bytes, limit).unwrap();
            assert_eq!(entries.len(), keys.len());
            let again = write(&WalWriterOptions::new().checksums(Some(0)), keys, &cells);
            let found = read("dir/recovered.edits/0000000000000000003", &again, limit);
            assert!(found.unwrap() == entries, "{options:?}, {} cells", cells.len());
        }
    }
}
