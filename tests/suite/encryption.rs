//! Encrypted files: written files can be read back, encrypted data is never written in plain text, and
//! nothing is written without the key.

use hregion::{Encryption, ErrorKind, HFileWriter};

const MASTER_KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[test]
fn failed_encryption_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let refused = |options: hregion::HFileWriterOptions| {
        let error = options.create(&path).unwrap_err();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        (error.kind(), error.message())
    };
    let options = |encryption| HFileWriter::options().encryption(encryption);
    if !cfg!(feature = "crypto") {
        let message = "encryption AES is not supported: build with the feature `crypto`".to_owned();
        return assert_eq!(refused(options(Encryption::aes(MASTER_KEY))), (ErrorKind::Unsupported, message));
    }
    for (options, message) in [
        (options(Encryption::aes(MASTER_KEY)).version_2(), "files of version 2 are not encrypted"),
        (options(Encryption::aes([1; 15])), "the master key must have 16, 24 or 32 bytes"),
        (
            options(Encryption::aes(MASTER_KEY).data_key([1; 32])),
            "the data key must have 16 bytes, as in HBase",
        ),
    ] {
        assert_eq!(refused(options), (ErrorKind::InvalidArgument, message.to_owned()));
    }
}

/// Error messages and `Debug` output do not contain keys.
#[test]
fn keys_are_not_shown() {
    let key = [0xab_u8; 16];
    let encryption = Encryption::aes(key).data_key(key);
    let shown = format!(
        "{encryption:?} {:?} {:?} {:?}",
        HFileWriter::options().encryption(encryption.clone()),
        hregion::HFile::options().master_key(key),
        hregion::Region::options().master_key(key),
    );
    assert!(shown.contains("Encryption { cipher: Aes, .. }") && shown.contains("SecretKey"), "{shown}");
    assert!(!shown.contains("171") && !shown.to_lowercase().contains("abab"), "{shown}");
}

#[cfg(not(feature = "crypto"))]
mod without_the_feature {
    use super::*;
    use hregion::{Cipher, Family, Region};

    #[test]
    fn a_region_with_an_encrypted_family_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let error = Region::options()
            .create_if_missing(true)
            .family(Family::new("f").encryption(Cipher::Aes))
            .master_key(MASTER_KEY)
            .open(dir.path().join("region"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.message(),
            "a file of family f: encryption AES is not supported: build with the feature `crypto`"
        );
    }
}

#[cfg(feature = "crypto")]
mod with_the_feature {
    use super::*;
    use crate::support::recorded::RecordingStorage;
    use crate::support::rng::Rng;
    use crate::support::written::MemoryWriter;
    use crate::support::{cells as cell_lines, golden, open};
    use hregion::{
        Append, BloomType, Cell, CellRef, CellType, Cipher, Codec, Compaction, DataBlockEncoding, Error,
        Family, HFile, HFileOptions, HFileWriterOptions, Put, Region, RegionOptions, Result, Row, Scan,
        SeekKey, StoreFileOrigin, StoreFileWriter,
    };
    use std::collections::HashSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;

    const CODECS: [(Codec, bool); 5] = [
        (Codec::None, true),
        (Codec::Gz, cfg!(feature = "gz")),
        (Codec::Snappy, cfg!(feature = "snappy")),
        (Codec::Lz4, cfg!(feature = "lz4")),
        (Codec::Zstd, cfg!(feature = "zstd")),
    ];
    /// Part of every row and every value.
    const MARKER: &str = "jackdaws-love-my-big-sphinx";

    fn codecs() -> impl Iterator<Item = Codec> {
        CODECS.into_iter().filter(|(_, built_in)| *built_in).map(|(codec, _)| codec)
    }

    fn shows(bytes: &[u8]) -> bool {
        bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
    }

    fn cells(count: usize, tags: bool) -> Vec<Cell> {
        let mut rng = Rng::new(7);
        let cell = |i: usize| {
            let row = format!("{MARKER}-{:05}", i / 3);
            let (cell_type, qualifier) = match rng.below(12) {
                0 if i.is_multiple_of(3) => (CellType::DeleteFamily, String::new()),
                _ => (CellType::Put, format!("q{}", i % 3)),
            };
            let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), 1_700_000_000_000, cell_type);
            let value = format!("{MARKER} {}", rng.next());
            let area = if tags && rng.below(2) == 0 { &b"\0\x03\x40ab"[..] } else { &[] };
            let seq_id = i64::try_from(rng.below(1000)).unwrap();
            let cell = CellRef::new(&key, value.as_bytes()).with_seq_id(seq_id).with_tag_bytes(area);
            Cell::from(cell.expect("sound tags"))
        };
        (0..count).map(cell).collect()
    }

    fn write(options: HFileWriterOptions, cells: &[Cell]) -> Vec<u8> {
        let file = MemoryWriter::default();
        let mut writer = StoreFileWriter::create_in(options, Box::new(file.clone())).unwrap();
        cells.iter().for_each(|cell| writer.append(cell.as_ref()).unwrap());
        let len = writer.finish(&StoreFileOrigin::flush(7)).unwrap();
        assert_eq!(file.bytes().len() as u64, len);
        file.bytes()
    }

    fn reading(master_key: &[u8]) -> HFileOptions {
        HFile::options().master_key(master_key)
    }

    fn read(options: HFileOptions, bytes: &[u8]) -> Result<HFile> {
        open::open_bytes(options, "file", bytes.to_vec())
    }

    /// Returns the IVs of the blocks that `block_headers` finds.
    fn ivs(file: &HFile, bytes: &[u8]) -> Vec<(bool, [u8; 16])> {
        let blocks = file.block_headers().map(Result::unwrap);
        blocks
            .filter_map(|(offset, header)| {
                let payload = &bytes[usize::try_from(offset).unwrap() + 33..];
                assert!(matches!(payload[0], 0 | 16));
                let iv = payload[1..17].try_into().unwrap();
                (payload[0] == 16).then_some((header.block_type().is_data(), iv))
            })
            .collect()
    }

    /// Returns the last bytes of each stored payload of an unencrypted file.
    fn payload_ends<'b>(file: &HFile, bytes: &'b [u8]) -> HashSet<&'b [u8]> {
        let blocks = file.block_headers().map(Result::unwrap);
        blocks
            .filter_map(|(offset, header)| {
                let block = &bytes[usize::try_from(offset).unwrap()..];
                block[header.payload()].last_chunk::<16>().map(<[u8; 16]>::as_slice)
            })
            .collect()
    }

    #[test]
    fn files_come_back_and_do_not_show_their_cells() {
        for (n, encoding) in DataBlockEncoding::ALL.into_iter().enumerate() {
            for (m, codec) in codecs().enumerate() {
                let (tags, key_len) = ((n + m).is_multiple_of(2), 16 + (n + m) % 3 * 8);
                let master_key: Vec<u8> = (0..key_len).map(|i| u8::try_from(i * 7).unwrap()).collect();
                let name = format!("{encoding:?} {codec:?} tags {tags} master key of {key_len}");
                let cells = cells(700, tags);
                let options = || {
                    HFileWriter::options()
                        .data_block_encoding(encoding)
                        .codec(codec)
                        .tags(tags)
                        .compress_tags(tags && m > 2)
                        .bloom(BloomType::RowCol)
                        .bloom_chunk_bytes(256)
                        .block_size(900)
                        .index_chunk_size(400)
                        .create_time(5)
                };
                let plain = write(options(), &cells);
                let hides = matches!(codec, Codec::Gz | Codec::Zstd);
                assert!(hides || shows(&plain), "{name}: the marker shows in a file in the clear");
                let bytes = write(options().encryption(Encryption::aes(&*master_key)), &cells);
                assert!(!shows(&bytes), "{name}");

                let file = read(reading(&master_key), &bytes).unwrap();
                assert!(file.trailer().is_encrypted() && file.index_levels() > 1, "{name}");
                assert_eq!(open::all_cells(&file).unwrap(), cells, "{name}");
                assert!(file.may_contain_column(cells[0].as_ref().row(), b"q1"), "{name}");
                let report = file.verify(&reading(&master_key)).unwrap();
                assert!(report.faults.is_empty(), "{name}: {:?}", report.faults);

                // encryption does not change uncompressed sizes, so all blocks are the same
                let clear = read(HFile::options(), &plain).unwrap();
                let shape = |file: &HFile| -> Vec<_> {
                    let headers = file.block_headers().map(|header| header.unwrap().1);
                    headers.map(|h| (h.block_type(), h.uncompressed_size_without_header())).collect()
                };
                assert_eq!(shape(&file), shape(&clear), "{name}");
                let hidden = payload_ends(&clear, &plain);
                assert!(hidden.len() > 20, "{name}");
                let found = bytes.windows(16).find(|window| hidden.contains(window));
                assert_eq!(found, None, "{name}: a compressed payload in the clear");
                let plain_bytes = |file: &HFile| file.trailer().total_uncompressed_bytes();
                assert_eq!(plain_bytes(&file), plain_bytes(&clear), "{name}");

                let ivs = ivs(&file, &bytes);
                let different: HashSet<_> = ivs.iter().collect();
                assert_eq!(different.len(), ivs.len(), "{name}: an iv is used twice");
                assert_ne!(write(options().encryption(Encryption::aes(&*master_key)), &cells), bytes);

                assert_eq!(read(HFile::options(), &bytes).unwrap_err().kind(), ErrorKind::Unsupported);
                let mut wrong = master_key.clone();
                wrong[5] ^= 1;
                let error = read(reading(&wrong), &bytes).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(error.message().contains("not the master key"), "{name}: {error}");
            }
        }
    }

    /// The master key of a cluster can be changed: HBase finds the old one by its name.
    #[test]
    fn files_from_before_a_change_of_the_master_key_are_read() {
        let (old, new): ([u8; 16], [u8; 16]) = ([3; 16], [4; 16]);
        let cells = cells(6, false);
        let bytes = write(HFileWriter::options().encryption(Encryption::aes(old)), &cells);
        let both = || reading(&new).alternate_master_key(old);
        assert!(read(reading(&new), &bytes).is_err());
        let file = read(both(), &bytes).unwrap();
        assert_eq!(open::all_cells(&file).unwrap(), cells);
        assert!(file.verify(&both()).unwrap().faults.is_empty());
        let wrong = reading(&new).alternate_master_key([5; 16]);
        let error = read(wrong, &bytes).unwrap_err();
        assert!(error.message().contains("not the master key"), "{error}");

        // New files are wrapped with the new key.
        let storage = RecordingStorage::default();
        let region = create(&storage, encrypted(), Some(&old));
        put(&region, 0);
        region.close().unwrap();
        let options = options(&storage, Some(&new)).alternate_master_key(old).writable(true);
        let region = options.open(DIR).unwrap();
        put(&region, 40);
        region.flush().unwrap();
        region.compact(Compaction::Major).unwrap();
        let files = store_files(&storage);
        assert_eq!(files.len(), 1);
        assert!(is_encrypted(&storage, &files[0], &new));
    }

    #[test]
    fn files_without_cells_are_encrypted() {
        let bytes = write(HFileWriter::options().encryption(Encryption::aes(MASTER_KEY)), &[]);
        let file = read(reading(&MASTER_KEY), &bytes).unwrap();
        assert!(file.trailer().is_encrypted());
        assert_eq!(open::all_cells(&file).unwrap(), []);
        // the two indexes are empty and have no IV
        let headers: Vec<_> = file.block_headers().map(Result::unwrap).collect();
        assert_eq!(headers.len(), 3);
        assert_eq!(ivs(&file, &bytes).len(), 1);
        assert!(file.verify(&reading(&MASTER_KEY)).unwrap().faults.is_empty());
    }

    #[test]
    fn a_large_cell_and_equal_keys_are_encrypted() {
        let key = |row: &str| SeekKey::of(row.as_bytes(), b"f", b"q", 1, CellType::Put);
        let value = MARKER.repeat(20_000);
        let (large, small) = (key("a"), key("b"));
        let mut cells = vec![Cell::from(CellRef::new(&large, value.as_bytes()))];
        cells.extend((0..50).map(|_| Cell::from(CellRef::new(&small, MARKER.as_bytes()))));
        let options = HFileWriter::options().block_size(100);
        let bytes = write(options.encryption(Encryption::aes(MASTER_KEY).data_key([9; 16])), &cells);
        assert!(!shows(&bytes));
        let file = read(reading(&MASTER_KEY), &bytes).unwrap();
        assert_eq!(open::all_cells(&file).unwrap(), cells);
    }

    /// Every flipped bit and every truncation causes an error, or the same cells and file info.
    #[test]
    fn damage_ends_in_an_error_or_in_the_same_cells() {
        for (encoding, codec) in [
            (DataBlockEncoding::None, Codec::None),
            (DataBlockEncoding::FastDiff, if cfg!(feature = "gz") { Codec::Gz } else { Codec::None }),
            (DataBlockEncoding::RowIndexV1, Codec::None),
        ] {
            let cells = cells(6, false);
            let options = HFileWriter::options().data_block_encoding(encoding).codec(codec).block_size(200);
            let encryption = Encryption::aes(MASTER_KEY);
            let bytes = write(options.bloom(BloomType::Row).encryption(encryption), &cells);
            let info = |file: &HFile| -> Vec<_> {
                file.file_info().iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
            };
            let expected = info(&read(reading(&MASTER_KEY), &bytes).unwrap());
            let (mut refused, mut same) = (0, 0);
            let mut judge = |bytes: &[u8], damage: String| {
                let found = read(reading(&MASTER_KEY), bytes)
                    .and_then(|file| Ok((info(&file), open::all_cells(&file)?)));
                match found {
                    Err(error) => {
                        open::assert_refusal(&error, &damage);
                        refused += 1;
                    }
                    Ok((info, found)) => {
                        assert!(info == expected && found == cells, "{encoding:?} {damage} went unnoticed");
                        same += 1;
                    }
                }
            };
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                judge(&damaged, format!("bit {bit}"));
            }
            for len in 0..bytes.len() {
                judge(&bytes[..len], format!("cut at {len}"));
            }
            eprintln!("{encoding:?} {codec:?}: {} bytes, {refused} refused, {same} the same", bytes.len());
            assert!(refused > 10_000, "{refused}");
        }
    }

    const DIR: &str = "root/data/default/t/r";

    fn family() -> Family {
        Family::new("f").max_versions(3)
    }

    fn encrypted() -> Family {
        family().encryption(Cipher::Aes)
    }

    fn options(storage: &RecordingStorage, master_key: Option<&[u8]>) -> RegionOptions {
        let options = Region::options().storage(Arc::new(storage.clone()));
        match master_key {
            Some(key) => options.master_key(key),
            None => options,
        }
    }

    fn create(storage: &RecordingStorage, family: Family, master_key: Option<&[u8]>) -> Region {
        options(storage, master_key).create_if_missing(true).family(family).open(DIR).unwrap()
    }

    /// Puts 40 rows, starting at `from`.
    fn put(region: &Region, from: usize) {
        for i in from..from + 40 {
            let put = Put::new(format!("{MARKER}-{i:04}")).cell("f", "q", format!("{MARKER} {i}"));
            region.put(put).unwrap();
        }
    }

    /// Returns the rows, timestamps and values of all cells, without sequence ids, which a compaction may set
    /// to 0.
    fn rows(region: &Region) -> Vec<(Vec<u8>, i64, Vec<u8>)> {
        let view = region.view();
        let scan = Scan::new().max_versions(9);
        let rows: Vec<Row> = view.scan(&scan).unwrap().collect::<Result<_>>().unwrap();
        let cells = rows.iter().flat_map(Row::cells);
        cells.map(|cell| (cell.row().to_vec(), cell.timestamp(), cell.value().to_vec())).collect()
    }

    /// Returns the existing store files.
    fn store_files(storage: &RecordingStorage) -> Vec<PathBuf> {
        let dir = Path::new(DIR).join("f");
        storage.names().into_iter().filter(|name| name.parent() == Some(&dir)).collect()
    }

    fn is_encrypted(storage: &RecordingStorage, path: &Path, master_key: &[u8]) -> bool {
        let file = read(reading(master_key), &storage.bytes(path)).unwrap();
        assert!(file.verify(&reading(master_key)).unwrap().faults.is_empty());
        file.trailer().is_encrypted()
    }

    /// Flushes twice and compacts, with writes before each.
    fn flush_and_compact(region: &Region) {
        put(region, 0);
        region.flush().unwrap();
        put(region, 20);
        region.flush().unwrap();
        region.compact_files("f", 0, 2).unwrap();
        put(region, 60);
        region.flush().unwrap();
        region.compact(Compaction::Major).unwrap();
        put(region, 90);
        region.flush().unwrap();
    }

    fn assert_nothing_shows(storage: &RecordingStorage) {
        let written = storage.written();
        assert!(written.keys().any(|name| name.to_string_lossy().contains("/.tmp/")), "{:?}", written.keys());
        for (name, bytes) in &written {
            assert!(!shows(bytes), "{}", name.display());
        }
    }

    #[test]
    fn an_encrypted_family_is_flushed_and_compacted_encrypted() {
        let clear = RecordingStorage::default();
        flush_and_compact(&create(&clear, family(), None));
        let in_the_clear = clear.written().values().filter(|bytes| shows(bytes)).count();
        assert_eq!(in_the_clear, 6, "the marker shows in each file of a family in the clear");

        for codec in codecs() {
            for encoding in DataBlockEncoding::ALL {
                let storage = RecordingStorage::default();
                let family = encrypted().codec(codec).data_block_encoding(encoding).block_size(1000);
                let region = create(&storage, family.clone(), Some(&MASTER_KEY));
                flush_and_compact(&region);
                assert_nothing_shows(&storage);
                let files = store_files(&storage);
                assert_eq!(files.len(), 2);
                assert!(files.iter().all(|path| is_encrypted(&storage, path, &MASTER_KEY)));
                let before = rows(&region);
                drop(region);
                // the settings in the descriptor suffice
                let region = options(&storage, Some(&MASTER_KEY)).writable(true).open(DIR).unwrap();
                assert_eq!(region.families().collect::<Vec<_>>(), [&family]);
                assert_eq!(rows(&region), before);
                put(&region, 200);
                region.flush().unwrap();
                region.compact(Compaction::Major).unwrap();
                assert_nothing_shows(&storage);
                drop(region);
                let error = options(&storage, None).open(DIR).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                let error = options(&storage, Some(&[7; 16])).open(DIR).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt);
            }
        }
    }

    fn assert_needs_key(error: &Error) {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert_eq!(
            error.message(),
            "a file of family f cannot be written in the clear, ENCRYPTION is AES: give the cluster's \
             master key"
        );
    }

    #[test]
    fn without_the_key_an_encrypted_family_is_read_and_not_written() {
        // The opening is refused before any write can be acknowledged.
        let storage = RecordingStorage::default();
        let open = |key| options(&storage, key).create_if_missing(true).family(encrypted()).open(DIR);
        assert_needs_key(&open(None).unwrap_err());
        assert!(options(&storage, None).open(DIR).unwrap().warnings().is_empty(), "reading needs no key");
        drop(open(Some(&MASTER_KEY)).unwrap());

        // Files written before encryption was enabled for the family.
        let storage = RecordingStorage::default();
        let region = create(&storage, family(), None);
        flush_and_compact(&region);
        let (before, files) = (rows(&region), store_files(&storage));
        drop(region);
        let alter = |key| options(&storage, key).writable(true).alter(true).family(encrypted()).open(DIR);
        assert_needs_key(&alter(None).unwrap_err());
        assert_eq!(rows(&options(&storage, None).open(DIR).unwrap()), before);
        assert_eq!(store_files(&storage), files);
        // With the key, a compaction encrypts the file.
        let region = alter(Some(&MASTER_KEY)).unwrap();
        region.compact(Compaction::Major).unwrap();
        let files = store_files(&storage);
        assert!(files.len() == 1 && is_encrypted(&storage, &files[0], &MASTER_KEY));
        assert_eq!(rows(&region), before);
    }

    /// A family without encryption whose files are encrypted: the memstore may contain values from those
    /// files, so flushes are encrypted too.
    #[test]
    fn a_flush_beside_encrypted_files_is_encrypted() {
        let storage = RecordingStorage::default();
        let region = create(&storage, encrypted(), Some(&MASTER_KEY));
        put(&region, 0);
        region.flush().unwrap();
        drop(region);
        let options = options(&storage, Some(&MASTER_KEY)).writable(true).alter(true).family(family());
        let region = options.open(DIR).unwrap();
        region.append(Append::new(format!("{MARKER}-0001")).column("f", "q", "more")).unwrap();
        region.flush().unwrap();
        let files = store_files(&storage);
        assert!(files.len() == 2 && files.iter().all(|path| is_encrypted(&storage, path, &MASTER_KEY)));
        assert_nothing_shows(&storage);
    }

    /// From the trailer of an HBase file: the data key 10 11 … 1f, wrapped with the master key 00 01 … 0f.
    const WRAPPED: &str = "420a0341455310101a1005284cdc7a7ebd5c2c73c9af666b5e76221097284a91c37c35603de6c636\
                           bdc23d872a101bf42e241816ba29ff5f307bb1bc1d1632034d4435";

    #[test]
    fn a_family_has_a_key_of_its_own() {
        let wrapped: Vec<u8> = (0..WRAPPED.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&WRAPPED[i..i + 2], 16).unwrap())
            .collect();
        let storage = RecordingStorage::default();
        let with_key = encrypted().encryption_key(wrapped.clone());
        let region = create(&storage, with_key.clone(), Some(&MASTER_KEY));
        flush_and_compact(&region);
        assert_nothing_shows(&storage);
        let before = rows(&region);
        drop(region);
        let region = options(&storage, Some(&MASTER_KEY)).writable(true).open(DIR).unwrap();
        assert_eq!(region.families().collect::<Vec<_>>(), [&with_key], "the descriptor keeps the key");
        assert_eq!(rows(&region), before);
        drop(region);

        // Another master key does not unwrap it, and no other data key is used instead.
        let storage = RecordingStorage::default();
        let options = options(&storage, Some(&[7; 16])).create_if_missing(true).family(with_key);
        let error = options.open(DIR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with("ENCRYPTION_KEY of family f: the hash of"), "{error}");
        assert!(store_files(&storage).is_empty());
    }

    /// The family has no encryption setting, but a file is encrypted.
    #[test]
    fn a_compaction_of_an_encrypted_file_is_encrypted() {
        let encryption = Encryption::aes(MASTER_KEY);
        let encrypted = write(HFileWriter::options().encryption(encryption), &cells(300, false));
        for with_clear_files in [false, true] {
            let storage = RecordingStorage::default();
            let region = create(&storage, family(), Some(&MASTER_KEY));
            let path = Path::new("staging/encrypted");
            storage.put(path, &encrypted);
            region.bulk_load(&[("f", path)]).unwrap();
            if with_clear_files {
                region.put(Put::new("row").cell("f", "q", "value")).unwrap();
                region.flush().unwrap();
            }
            let (before, files) = (rows(&region), store_files(&storage));
            assert_eq!(files.len(), 1 + usize::from(with_clear_files));
            region.compact(Compaction::Major).unwrap();
            assert_eq!(rows(&region), before);
            let files = store_files(&storage);
            assert!(files.len() == 1 && is_encrypted(&storage, &files[0], &MASTER_KEY));
            for (name, bytes) in storage.written() {
                assert!(!shows(&bytes), "{}", name.display());
            }
        }
    }

    #[test]
    fn a_compaction_of_a_file_of_hbase_is_encrypted() {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("encrypted.hfile");
        fs::copy(golden::root("testdata/golden/small-encrypted.hfile"), &copy).unwrap();
        let file = reading(&MASTER_KEY).open(&copy).unwrap();
        let family = file.first_key().unwrap().family().to_vec();
        let region = Region::options()
            .create_if_missing(true)
            .family(Family::new(family.clone()).max_versions(u32::MAX))
            .master_key(MASTER_KEY)
            .open(dir.path().join("region"))
            .unwrap();
        region.bulk_load(&[(&family, &copy)]).unwrap();
        region.compact(Compaction::Major).unwrap();
        let names = region.store_file_names(&family).unwrap();
        assert_eq!(names.len(), 1);
        let path = dir.path().join("region").join(String::from_utf8(family).unwrap()).join(&names[0]);
        assert!(reading(&MASTER_KEY).open(path).unwrap().trailer().is_encrypted());
    }

    #[test]
    fn a_salvaged_file_is_encrypted() {
        let cells = cells(200, false);
        for (encoding, codec) in [
            (DataBlockEncoding::None, Codec::None),
            (DataBlockEncoding::Diff, if cfg!(feature = "gz") { Codec::Gz } else { Codec::None }),
        ] {
            let options = HFileWriter::options().data_block_encoding(encoding).codec(codec).block_size(500);
            let bytes = write(options.bloom(BloomType::Row).encryption(Encryption::aes(MASTER_KEY)), &cells);
            let end = bytes.len() - 4096;
            let key = bytes.windows(5).rposition(|window| window == b"\x0a\x03AES").unwrap();
            let damages: [(&str, Vec<usize>); 4] = [
                ("nothing", Vec::new()),
                ("a data block", vec![200]),
                ("the index and what follows", (end - 300..end).step_by(40).collect()),
                ("the trailer, but for the key", vec![end + 3, end + 12]),
            ];
            for (what, places) in damages {
                let mut damaged = bytes.clone();
                places.iter().for_each(|&at| damaged[at] ^= 0x40);
                let salvage = |options: HFileOptions, name: &str| {
                    let storage = RecordingStorage::default();
                    storage.put(Path::new("damaged"), &damaged);
                    let report = options.storage(Arc::new(storage.clone())).salvage("damaged", name);
                    (report, storage)
                };
                let (report, storage) = salvage(reading(&MASTER_KEY), "new");
                let report = report.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(report.is_complete(), what != "a data block", "{what}: {report:?}");
                assert!(is_encrypted(&storage, Path::new("new"), &MASTER_KEY), "{what}");
                assert!(storage.written().values().all(|bytes| !shows(bytes)), "{what}");
                let file = read(reading(&MASTER_KEY), &storage.bytes(Path::new("new"))).unwrap();
                let found = open::all_cells(&file).unwrap();
                if report.is_complete() {
                    assert_eq!(found, cells, "{what}");
                } else {
                    assert!(found.len() > 180 && found.iter().all(|cell| cells.contains(cell)), "{what}");
                }

                for options in [HFile::options(), reading(&[7; 16])] {
                    let (report, storage) = salvage(options, "new");
                    assert!(report.is_err(), "{what}: {report:?}");
                    assert_eq!(storage.names(), [Path::new("damaged")], "{what}");
                }
            }
            // without the data key all cells are lost
            let mut damaged = bytes.clone();
            damaged[key + 30] ^= 1;
            let storage = RecordingStorage::default();
            storage.put(Path::new("damaged"), &damaged);
            let error = reading(&MASTER_KEY).storage(Arc::new(storage.clone())).salvage("damaged", "new");
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt);
            assert_eq!(storage.names(), [Path::new("damaged")]);
        }
    }

    fn hex(key: &[u8]) -> String {
        key.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Runs HBase on files that are encrypted with a master key. Returns the lines that it prints.
    fn hb(command: &str, files: &[PathBuf], master_key: &[u8]) -> Vec<String> {
        let mut hb = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/hfile/hb"));
        hb.arg(command).args(files).arg("--master-key").arg(hex(master_key));
        let output = hb.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "hb {command}: {}: {said}{printed}", output.status);
        printed.lines().map(str::to_owned).collect()
    }

    /// Writes files of every encoding with each codec, and the files of a region that was flushed and
    /// compacted. HBase checks them all, and finds the written cells.
    #[test]
    #[ignore = "needs HBase: Java and Maven"]
    fn hbase_reads_encrypted_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut checked = 0;
        for key_len in [16, 24, 32] {
            let master_key: Vec<u8> = (100..100 + key_len).collect();
            let (mut files, mut expected) = (Vec::new(), Vec::new());
            let mut add = |name: String, bytes: &[u8]| {
                let path = dir.path().join(format!("{name}-{key_len}.hfile"));
                fs::write(&path, bytes).unwrap();
                let file = read(reading(&master_key), bytes).unwrap();
                open::scan(&file, |cell| expected.push(cell_lines::cell_json(&cell, true))).unwrap();
                files.push(path);
            };
            for encoding in DataBlockEncoding::ALL {
                // HBase's Zstd codec class reads only framed payloads, and this writer's are bare frames
                for codec in codecs().filter(|codec| *codec != Codec::Zstd) {
                    let options = HFileWriter::options().data_block_encoding(encoding).codec(codec);
                    let options = options.bloom(BloomType::RowCol).block_size(800).index_chunk_size(300);
                    let options = options.encryption(Encryption::aes(&*master_key)).tags(true);
                    add(format!("{}-{}", encoding.name(), codec.name()), &write(options, &cells(500, true)));
                }
                let storage = RecordingStorage::default();
                let family = encrypted().data_block_encoding(encoding).codec(Codec::Gz).block_size(500);
                let region = create(&storage, family, Some(&master_key));
                put(&region, 0);
                region.flush().unwrap();
                put(&region, 20);
                region.flush().unwrap();
                let contents = |path: PathBuf| storage.bytes(&path);
                let mut files: Vec<Vec<u8>> = store_files(&storage).into_iter().map(contents).collect();
                region.compact_files("f", 0, 2).unwrap();
                put(&region, 50);
                region.flush().unwrap();
                files.extend(store_files(&storage).into_iter().map(contents));
                region.compact(Compaction::Major).unwrap();
                files.extend(store_files(&storage).into_iter().map(contents));
                for (n, bytes) in files.iter().enumerate() {
                    add(format!("region-{}-{n}", encoding.name()), bytes);
                }
            }
            add(
                "empty".into(),
                &write(HFileWriter::options().encryption(Encryption::aes(&*master_key)), &[]),
            );
            // fails if there is a finding
            checked += hb("check", &files, &master_key).len();
            let found = hb("dump", &files, &master_key);
            assert!(found == expected, "other cells");
        }
        assert_eq!(checked, 3 * (5 * (codecs().count() - 1 + 5) + 1));
        eprintln!("{checked} files");
    }
}
