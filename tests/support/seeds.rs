//! Inputs for the fuzz targets, parts of files written by HBase. `hregion::fuzzing` describes the input of
//! each target.

use hregion::fuzzing::CATALOG_COLUMNS;
use hregion::locator::MetaRegion;
use hregion::{BlockType, Codec, DataBlockEncoding, HFile, MemoryFile, Region, Scan};
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

/// An input for a target.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    pub(crate) target: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Returns the names and bytes of the files in a `testdata` folder that are small enough to mutate, in order.
pub(crate) fn files(testdata: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    const SMALL: usize = 40_000;

    let mut files = Vec::new();
    for folder in ["golden", "corrupt"] {
        for entry in fs::read_dir(testdata.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "hfile") {
                let bytes = fs::read(&path)?;
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                if bytes.len() <= SMALL {
                    files.push((name, bytes));
                }
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Larger payloads add no coverage and slow the fuzzer down.
const LARGE: usize = 6_000;

/// Returns the inputs from one file: all of it, its trailer, and up to three blocks of each type.
pub(crate) fn of(bytes: &[u8]) -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target, bytes: Vec<u8>| seeds.push(Seed { target, bytes });
    add("hfile", bytes.to_vec());
    add("hfile_resealed", bytes.to_vec());
    add("store_files", [&[0], bytes].concat());
    if let Ok(len) = u16::try_from(bytes.len()) {
        add("store_files", [&[1][..], &len.to_be_bytes(), bytes, bytes].concat());
        add("region_dir", [&[0, 10][..], &len.to_be_bytes(), bytes].concat());
        add("region_dir", [&[1, 11][..], &len.to_be_bytes(), bytes].concat());
    }
    add("trailer", bytes[bytes.len().saturating_sub(4096)..].to_vec());
    add("trailer", bytes[bytes.len().saturating_sub(212)..].to_vec());
    let Ok(file) = HFile::options().open_reader(Arc::new(MemoryFile::new("seed", bytes.to_vec()))) else {
        return seeds;
    };
    let is_plain = file.codec() == Codec::None && !file.trailer().is_encrypted();
    let flags = u8::from(file.has_tags()) | u8::from(file.has_seq_ids()) << 1;
    let compressed = matches!(file.file_info().tags_compressed(), Ok(Some(true)));
    let mut met = Vec::new();
    for (offset, header) in file.block_headers().map_while(Result::ok) {
        let kind = header.block_type();
        met.push(kind);
        if met.iter().filter(|&&k| k == kind).count() > 3 {
            continue;
        }
        let at = usize::try_from(offset).expect("an offset in memory");
        let Some(block) = bytes.get(at..at + header.total_size()) else { break };
        add("block", [&[u8::from(!file.trailer().has_checksums())], block].concat());
        let payload = &block[header.payload()];
        if payload.len() > LARGE {
            continue;
        }
        if !is_plain {
            let ordinal = u8::try_from(file.codec().ordinal()).expect("a small number");
            let len = header.uncompressed_size_without_header();
            if let Ok(len) = u16::try_from(len) {
                add("codec", [&[ordinal], &len.to_be_bytes()[..], payload].concat());
            }
            continue;
        }
        match kind {
            BlockType::Data | BlockType::EncodedData => {
                let id = if file.data_block_encoding() == DataBlockEncoding::None { 0 } else { 2 };
                let flags = flags | u8::from(compressed) << 2;
                add("data_block", [&[flags], payload.get(id..).unwrap_or_default()].concat());
                // settings, and choices that generate cells: any bytes are valid
                add("write_read", [&header.total_size().to_be_bytes()[..], payload].concat());
                // plain bytes to compress, for every codec
                for codec in 0..9 {
                    add("codec", [&[codec | 0x30, 0, 0], payload].concat());
                }
            }
            BlockType::LeafIndex => add("block_index", [&[0, 0], payload].concat()),
            BlockType::IntermediateIndex => add("block_index", [&[16, 0], payload].concat()),
            BlockType::RootIndex => {
                let root = if file.index_levels() > 1 { 8 | 16 } else { 8 };
                let count = u8::try_from(file.root_index().len()).unwrap_or(u8::MAX);
                add("block_index", [&[root, count], payload].concat());
            }
            BlockType::FileInfo => add("file_info", payload.to_vec()),
            _ => add("bloom", payload.to_vec()),
        }
    }
    seeds
}

/// Returns the inputs from region directories: the file names, and the content of the files that are not
/// HFiles.
pub(crate) fn of_regions(testdata: &Path) -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    let mut folders = vec![testdata.join("region")];
    while let Some(folder) = folders.pop() {
        let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(|entry| entry.file_name());
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let kind = match name.as_str() {
                ".regioninfo" => 3,
                name if name.starts_with(".tableinfo") => 4,
                _ if folder.ends_with(".filelist") => 2,
                "data.manifest" => 5,
                _ => 1,
            };
            let bytes = fs::read(&path)?;
            let content = [&u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes()[..], &bytes].concat();
            for (tracker, name) in [(0, 0), (1, 7), (2, 8), (3, 5), (3, 12), (1, 1), (0, 2)] {
                seeds.push(Seed { target: "region_dir", bytes: [&[tracker, name][..], &content].concat() });
            }
            let mut add = |kind: u8, bytes: &[u8]| {
                seeds.push(Seed { target: "region_files", bytes: [&[kind], bytes].concat() });
            };
            add(0, name.as_bytes());
            // only descriptors, manifests and HFiles are longer
            if bytes.len() < 1000 || kind == 5 {
                add(kind, &bytes);
            }
        }
    }
    Ok(seeds)
}

/// Returns expressions of the filter language that cover all filters, comparators and operators.
pub(crate) fn of_filters() -> Vec<Seed> {
    let simple = [
        "KeyOnlyFilter(true)",
        "FirstKeyOnlyFilter()",
        "PrefixFilter('it''s')",
        "ColumnPrefixFilter('p')",
        "InclusiveStopFilter('row')",
        "MultipleColumnPrefixFilter('a', 'ab', 'c')",
        "ColumnCountGetFilter(3)",
        "PageFilter(10)",
        "ColumnPaginationFilter(2, 1)",
        "TimestampsFilter(1, 2, 9223372036854775807)",
        "RowFilter(>=, 'binary:a')",
        "FamilyFilter(!=, 'binaryprefix:f')",
        "QualifierFilter(=, 'substring:Q')",
        "ValueFilter(=, 'regexstring:^(?i)v[0-3&&[^2]]+?\\d{1,3}(a|b)$')",
        "ValueFilter(!=, 'regexstringnocase:\\Qx.\\E\\p{Alpha}\\x41(?:\\w|\\S)*')",
        "ColumnRangeFilter('a', true, 'c', false)",
        "SingleColumnValueFilter('f', 'q', <, 'binary:1', true, false)",
        "SingleColumnValueExcludeFilter('f', 'q', <=, 'binary:1')",
        "DependentColumnFilter('f', 'q', true, =, 'binary:')",
        "ColumnValueFilter('f', 'q', >, 'binary:1')",
    ];
    let mut expressions = simple.map(str::to_owned).to_vec();
    expressions.push(format!("({} AND SKIP {}) OR WHILE {}", simple[2], simple[3], simple[4]));
    expressions.push(simple.join(" AND "));
    expressions.push(format!("(({}) OR ({})) AND {}", simple[5..12].join(" OR "), simple[6], simple[15]));
    let seed = |expression: String| Seed { target: "filter_language", bytes: expression.into_bytes() };
    expressions.into_iter().map(seed).collect()
}

/// Returns filters as HBase's client serializes them.
pub(crate) fn of_filter_messages(testdata: &Path) -> io::Result<Vec<Seed>> {
    let lines = fs::read_to_string(testdata.join("filter-proto/hbase-2.6.txt"))?;
    let message = |line: &str| {
        let digits = line.split('\t').nth(1).unwrap_or_default().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        digits.chunks(2).map_while(byte).collect()
    };
    Ok(lines.lines().map(|line| Seed { target: "filter_proto", bytes: message(line) }).collect())
}

/// Returns inputs from the znodes of a running HBase: their data, their names, texts of old versions, and
/// ZooKeeper's replies for them.
pub(crate) fn of_znodes(testdata: &Path) -> io::Result<Vec<Seed>> {
    let text = fs::read_to_string(testdata.join("znodes/running.jsonl"))?;
    let member = |line: &str, name: &str| {
        let (_, value) = line.split_once(&format!("\"{name}\": \"")).expect("a member of each line");
        value.split('"').next().unwrap_or_default().to_owned()
    };
    let mut seeds = Vec::new();
    let mut add = |kind: u8, bytes: &[u8]| {
        seeds.push(Seed { target: "znode", bytes: [&[kind], bytes].concat() });
    };
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes(), bytes].concat();
    let answer = |result: &[u8]| [&[0, 0, 0, 1][..], &[0; 12], result].concat();
    let mut names = Vec::new();
    for line in text.lines() {
        let hex = member(line, "data");
        let byte = |at: usize| hex.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let data: Vec<u8> = (0..hex.len()).step_by(2).filter_map(byte).collect();
        let name = member(line, "path").rsplit('/').next().unwrap_or_default().to_owned();
        add(0, &data);
        add(1, name.as_bytes());
        add(3, &answer(&[string(&data), vec![0; 68]].concat()));
        names.push(string(name.as_bytes()));
    }
    let count = u32::try_from(names.len()).unwrap_or(0).to_be_bytes();
    add(3, &answer(&[&count[..], &names.concat()].concat()));
    add(2, &[&[0, 0, 0, 0, 0, 0, 0x75, 0x30][..], &[7; 8], &string(&[9; 16]), &[0]].concat());
    for text in ["host,16020,1700000000000", "host:16020", "8a1f-22", "DISABLED"] {
        add(0, text.as_bytes());
        add(0, &[b"\xff\0\0\0\x02me", text.as_bytes()].concat());
    }
    for name in ["meta-region-server-1", "meta-region-server-65535", "meta-region-server-x"] {
        add(1, name.as_bytes());
    }
    Ok(seeds)
}

/// Returns the rows of a catalog that HBase wrote, with the newest version of each column.
pub(crate) fn of_catalog(testdata: &Path) -> io::Result<Vec<Seed>> {
    let region = Region::open(MetaRegion::path(&testdata.join("meta/root"))).map_err(io::Error::other)?;
    let scan = Scan::new().family("info").raw(true).max_versions(u32::MAX);
    let view = region.view();
    let mut rows = view.scan(&scan).map_err(io::Error::other)?;
    let delimited = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes(), bytes].concat();
    let mut seeds = Vec::new();
    while let Some(row) = rows.next_row().map_err(io::Error::other)? {
        let mut bytes = delimited(row.key());
        let mut last = Vec::new();
        for cell in row.cells() {
            let which = CATALOG_COLUMNS.iter().position(|column| column.as_bytes() == cell.qualifier());
            let Some(which) = which.and_then(|which| u8::try_from(which).ok()) else { continue };
            if last != cell.qualifier() {
                bytes.push(which);
                bytes.extend(delimited(cell.value()));
                last = cell.qualifier().to_vec();
            }
        }
        seeds.push(Seed { target: "catalog_row", bytes });
    }
    Ok(seeds)
}

/// Returns the write-ahead logs, and their first halves.
pub(crate) fn of_wals(testdata: &Path) -> io::Result<Vec<Seed>> {
    let mut folders = vec![testdata.join("wal")];
    let mut logs = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|e| e != "jsonl") {
                logs.push(path);
            }
        }
    }
    logs.sort();
    let mut seeds = Vec::new();
    for log in logs {
        let bytes = fs::read(&log)?;
        let recovered = u8::from(log.to_string_lossy().contains("recovered.edits"));
        for part in [&bytes[..], &bytes[..bytes.len() / 2]] {
            seeds.push(Seed { target: "wal", bytes: [&[recovered][..], part].concat() });
        }
    }
    Ok(seeds)
}
