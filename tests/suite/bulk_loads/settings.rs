//! Files are written with the settings of their family.

use super::{
    INPUT, ROOT, ROWS, open, options, origin, rows, table_with_settings, world, write, write_and_load,
};
use crate::support::golden;
use hregion::io::Storage;
use hregion::{
    BloomType, CellRef, CellType, Codec, Compaction, DataBlockEncoding, ErrorKind, Family, Get, HFile, Put,
    Region, SeekKey, Table, TableChanges,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Writes a file with a cell, and the settings of the family cf.
#[cfg(feature = "zstd")]
fn write_for(region: &Region, path: &Path) {
    let mut writer = region.bulk_load_writer("cf", path).unwrap();
    let key = SeekKey::of(b"a", b"cf", b"q", 1, CellType::Put);
    writer.append(CellRef::new(&key, b"v")).unwrap();
    writer.finish(&origin(false)).unwrap();
}

/// This includes settings that are only in the family's configuration.
#[test]
fn parts_of_split_files_have_the_settings_of_the_family() {
    let storage = world();
    let family = Family::new("f").configuration("hbase.hstore.bytes.per.checksum", "4096");
    Table::alter(ROOT, "t", &TableChanges::new().family(family), &options(&storage)).unwrap();
    let table = open(&storage);
    table.bulk_load(INPUT).unwrap();
    for (row, files) in [("a", 1), ("m", 2), ("x", 1)] {
        let paths = table.region(row).unwrap().hfile_paths("f").unwrap();
        assert_eq!(paths.len(), files);
        let of = |path: &PathBuf| {
            let file = HFile::options().storage(Arc::new(storage.clone())).open(path).unwrap();
            file.block(0).unwrap().0.bytes_per_checksum()
        };
        assert!(paths.iter().any(|path| of(path) == Some(4096)), "{row}");
    }
}

#[test]
fn files_are_written_with_the_settings_of_a_family() {
    let storage = table_with_settings();
    let table = open(&storage);
    let region = table.region("").unwrap();
    write_and_load(&region, "/input/0a").unwrap();
    let name = region.store_file_names("f").unwrap().remove(0);
    let file = storage.open(&region.path().join("f").join(name)).unwrap();
    let file = HFile::options().open_reader(file).unwrap();
    assert_eq!((file.data_block_encoding(), file.codec()), (DataBlockEncoding::FastDiff, Codec::Snappy));
    assert_eq!(file.general_bloom().map(|bloom| bloom.bloom_type()), Some(BloomType::RowCol));
    assert!(file.has_tags() && file.has_seq_ids());
    assert_eq!(rows(&table), ROWS.map(|row| format!("{row}/f=/input/0a")));
    let unknown = region.bulk_load_writer("g", "/input/0b").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NoSuchFamily);
    write(&storage, "/input/0c", &ROWS);
    assert_eq!(region.bulk_load_writer("f", "/input/0c").unwrap_err().kind(), ErrorKind::Io);
}

/// HBase: `ColumnFamilyDescriptor.isCompressTags`.
#[test]
fn tags_are_compressed_unless_the_family_says_otherwise() {
    for (says, expected) in [("", true), ("false", false), ("true", true)] {
        let storage = table_with_settings();
        if !says.is_empty() {
            let changes = TableChanges::new().set_family_attribute("f", "COMPRESS_TAGS", says);
            Table::alter(ROOT, "t", &changes, &options(&storage)).unwrap();
        }
        let table = open(&storage);
        let region = table.region("").unwrap();
        let of = |path: &PathBuf| {
            let file = HFile::options().storage(Arc::new(storage.clone())).open(path).unwrap();
            file.file_info().tags_compressed().unwrap()
        };
        let compressed = || region.hfile_paths("f").unwrap().iter().map(of).collect::<Vec<_>>();
        region.put(Put::new("a").cell("f", "q", "v").ttl(Duration::from_secs(3600))).unwrap();
        region.flush().unwrap();
        assert_eq!(compressed(), [Some(expected)], "a flush, {says}");
        write_and_load(&region, "/input/0a").unwrap();
        assert_eq!(compressed(), [Some(expected); 2], "a bulk load, {says}");
        region.compact(Compaction::Major).unwrap();
        assert_eq!(compressed(), [Some(expected)], "a compaction, {says}");
        let row = region.get(&Get::new("a")).unwrap();
        assert_eq!(row.cells().next().unwrap().tags().count(), 1, "{says}");
    }
}

/// HBase reads all ZSTD-compressed files of a cluster with one class: either framed ones or bare ones.
#[cfg(feature = "zstd")]
#[test]
fn zstd_files_have_the_form_of_those_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let framed = |path: &Path| HFile::options().open(path).unwrap().zstd_framed().unwrap();
    let forms = |region: &Region| -> Vec<Option<bool>> {
        region.hfile_paths("cf").unwrap().iter().map(|path| framed(path)).collect()
    };
    let options = || {
        let family = Family::new("cf").codec(Codec::Zstd);
        Region::options().create_if_missing(true).compaction_enabled(false).family(family)
    };
    let flush = |region: &Region, row: &'static str| {
        region.put(Put::new(row).cell("cf", "q", "v")).unwrap();
        region.flush().unwrap();
    };
    let golden = golden::root("testdata/golden/codec-zstd-jni.hfile");
    assert_eq!(framed(&golden), Some(true));

    // A file that a server has written decides, whatever the options are.
    let region = options().zstd_framed(false).open(dir.path().join("framed")).unwrap();
    let load = dir.path().join("load");
    fs::copy(&golden, &load).unwrap();
    region.bulk_load(&[("cf", &load)]).unwrap();
    flush(&region, "a");
    assert_eq!(forms(&region), [Some(true); 2]);
    let path = dir.path().join("written");
    write_for(&region, &path);
    assert_eq!(framed(&path), Some(true));
    region.compact(Compaction::Major).unwrap();
    assert_eq!(forms(&region), [Some(true)]);

    // The first file has the form of the options, and later ones have the form of the first.
    let dictionary = fs::read(golden::root("testdata/golden/zstd.dict")).unwrap();
    for (name, first, expected) in [
        ("default", options(), false),
        ("bare", options().zstd_framed(false), false),
        ("new", options().zstd_framed(true), true),
        ("dictionary", options().zstd_dictionary(dictionary), true),
    ] {
        let region = first.open(dir.path().join(name)).unwrap();
        flush(&region, "a");
        region.close().unwrap();
        let region = options().zstd_framed(!expected).open(dir.path().join(name)).unwrap();
        flush(&region, "b");
        assert_eq!(forms(&region), [Some(expected); 2], "{name}");
        region.compact(Compaction::Major).unwrap();
        assert_eq!(forms(&region), [Some(expected)], "{name}");
    }

    // The parts of a file that spans regions have its form, if the regions have no files.
    let root = dir.path().join("root");
    let family = [Family::new("cf").codec(Codec::Zstd)];
    let table = Table::create(&root, "t", &family, &["row-00400"]).unwrap();
    fs::create_dir_all(dir.path().join("input/cf")).unwrap();
    fs::copy(&golden, dir.path().join("input/cf/0a")).unwrap();
    table.bulk_load(dir.path().join("input")).unwrap();
    for start in ["", "row-00400"] {
        assert_eq!(forms(&table.region(start).unwrap()), [Some(true)], "{start}");
    }
}

/// HBase loads the dictionary from the path that a family names; this test gives it.
#[cfg(feature = "zstd")]
#[test]
fn zstd_files_are_written_with_the_dictionary_of_the_family() {
    let dir = tempfile::tempdir().unwrap();
    let dictionary = fs::read(golden::root("testdata/golden/zstd.dict")).unwrap();
    let plain = Family::new("cf").codec(Codec::Zstd);
    let named = plain.clone().configuration("hbase.io.compress.zstd.dictionary", "hdfs:/zstd.dict");
    let options = |family: &Family| {
        Region::options().create_if_missing(true).compaction_enabled(false).family(family.clone())
    };
    let given = |family: &Family| options(family).zstd_dictionary(dictionary.clone());
    let needs_dictionary = |path: &Path| {
        let read = HFile::options().open(path).and_then(|file| file.scanner().seek_to_first().map(drop));
        read.is_err_and(|error| {
            assert!(error.to_string().contains("ZSTD dictionary 786779003"), "{error}");
            true
        })
    };
    let files = |region: &Region| -> Vec<bool> {
        region.hfile_paths("cf").unwrap().iter().map(|path| needs_dictionary(path)).collect()
    };
    let flush = |region: &Region, row: &'static str| {
        region.put(Put::new(row).cell("cf", "q", "v")).unwrap();
        region.flush().unwrap();
    };

    let refused = options(&named).open(dir.path().join("missing")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("hdfs:/zstd.dict"), "{refused}");
    // The magic number of a Zstandard dictionary, without the rest.
    let broken = options(&named).zstd_dictionary(dictionary[..12].to_vec());
    let refused = broken.open(dir.path().join("broken")).unwrap_err();
    assert!(refused.to_string().contains("dictionary is invalid"), "{refused}");

    let region = given(&named).open(dir.path().join("named")).unwrap();
    flush(&region, "a");
    flush(&region, "b");
    assert_eq!(files(&region), [true; 2]);
    let path = dir.path().join("written");
    write_for(&region, &path);
    assert!(needs_dictionary(&path));
    region.compact(Compaction::Major).unwrap();
    assert_eq!(files(&region), [true]);
    assert_eq!(region.get(&Get::new("b")).unwrap().len(), 1);

    // A family that names no dictionary uses none.
    let region = given(&plain).open(dir.path().join("plain")).unwrap();
    flush(&region, "a");
    assert_eq!(files(&region), [false]);

    // Files of Hadoop's class use none either, whatever the family names.
    let path = dir.path().join("bare");
    let region = options(&named).zstd_framed(false).open(&path).unwrap();
    flush(&region, "a");
    region.close().unwrap();
    let region = given(&named).open(&path).unwrap();
    flush(&region, "b");
    region.close().unwrap();
    let region = options(&named).open(&path).unwrap();
    flush(&region, "c");
    assert_eq!(files(&region), [false; 3]);
}
