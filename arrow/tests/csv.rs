//! Comma-separated values are read back by a third-party reader and by one that distinguishes null from
//! empty. They are compared with the values that were put, HBase's own texts of its values, and the scans of
//! tables written by HBase.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

#[path = "../../tests/support/golden_tables.rs"]
mod golden_tables;

use golden_tables::golden_tables;
use hregion::cell::from_string_binary;
use hregion::{Durability, Family, Put, Region, Scan, Table};
use hregion_arrow::csv::{put_batch, put_header};
use hregion_arrow::{BatchLimits, Batches, Column, Invalid, KeyPart, Layout, Mapping, RowKey, ValueType};
use proptest::prelude::*;

type Line = Vec<Option<String>>;

/// Reads lines as RFC 4180 defines them. An empty field without quotes is null.
fn parse(text: &str) -> Vec<Line> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut field = String::new();
                let mut left = quoted;
                loop {
                    let end = left.find('"').unwrap();
                    field.push_str(&left[..end]);
                    left = &left[end + 1..];
                    let Some(more) = left.strip_prefix('"') else { break };
                    field.push('"');
                    left = more;
                }
                (Some(field), left)
            }
            None => {
                let (field, after) = rest.split_at(rest.find([',', '\n']).unwrap());
                assert!(!field.contains(['"', '\r']), "{field:?}");
                ((!field.is_empty()).then(|| field.to_owned()), after)
            }
        };
        line.push(field);
        let is_end = after.starts_with('\n');
        assert!(is_end || after.starts_with(','), "{after:?}");
        rest = &after[1..];
        if is_end {
            lines.push(std::mem::take(&mut line));
        }
    }
    assert!(line.is_empty());
    lines
}

/// Writes a scan, and returns the header and the lines. The third-party reader must return the same.
fn through_csv(table: &Table, scan: Scan, layout: Layout) -> (Line, Vec<Line>) {
    let batches = Batches::of_table(table, scan, layout.clone(), BatchLimits::new(7, 10_000)).unwrap();
    let mut text = Vec::new();
    put_header(&mut text, &layout.schema());
    for batch in batches {
        put_batch(&mut text, &batch.unwrap()).unwrap();
    }
    let mut lines = parse(std::str::from_utf8(&text).unwrap());
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*text);
    let others: Vec<Vec<String>> =
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
    let plain = |line: &Line| line.iter().map(|field| field.clone().unwrap_or_default()).collect();
    assert_eq!(lines.iter().map(plain).collect::<Vec<Vec<String>>>(), others);
    (lines.remove(0), lines)
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Removes zeros at the end of a fraction.
fn plain_decimal(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Whether a field has the value that HBase names by a text.
fn is_value(ty: &str, field: Option<&str>, text: &str) -> bool {
    let Some(field) = field else { return text == "null" && ty.starts_with("ordered") };
    if ty.ends_with("float") || ty.ends_with("float32") {
        return field.parse::<f32>().unwrap().to_bits() == text.parse::<f32>().unwrap().to_bits();
    }
    if ty.ends_with("double") || ty.ends_with("float64") {
        return field.parse::<f64>().unwrap().to_bits() == text.parse::<f64>().unwrap().to_bits();
    }
    if ty.contains("blob") {
        return from_string_binary(field) == bytes_of(text);
    }
    if ty.contains('(') {
        return plain_decimal(field) == plain_decimal(text);
    }
    field == text
}

#[test]
fn values_are_those_that_hbase_encoded() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    let lines: Vec<Vec<&str>> =
        include_str!("../../testdata/values.tsv").lines().map(|line| line.split('\t').collect()).collect();
    let mut types: Vec<&str> = lines.iter().map(|line| line[0]).collect();
    types.sort_unstable();
    types.dedup();
    for (i, line) in lines.iter().enumerate() {
        let put = Put::new(format!("{i:05}")).cell_at("f", line[0], 1, bytes_of(line[2]));
        table.put(put.durability(Durability::SkipWal)).unwrap();
    }
    for suffix in ["", "[]"] {
        let columns = types.iter().map(|ty| Column::parse(&format!("f:{ty}={ty}{suffix}")).unwrap());
        let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns.collect()).unwrap();
        let (header, found) = through_csv(&table, Scan::new(), Layout::Columns(mapping));
        assert_eq!(header.len(), types.len() + 1);
        assert_eq!(found.len(), lines.len());
        for (line, found) in lines.iter().zip(found) {
            for (field, ty) in found[1..].iter().zip(&types) {
                if ty != &line[0] {
                    assert_eq!(*field, None, "{line:?}");
                    continue;
                }
                let mut field = field.clone();
                if !suffix.is_empty() {
                    // numbers are unchanged in a list, all others are strings
                    let list = field.unwrap();
                    let item = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap();
                    field = match serde_json::from_str(item).unwrap() {
                        serde_json::Value::Null => None,
                        serde_json::Value::String(text) => Some(text),
                        _ => Some(item.to_owned()),
                    };
                }
                assert!(is_value(ty, field.as_deref(), line[1]), "{line:?}: {field:?}");
            }
        }
    }
    assert!(lines.len() > 1000 && types.len() > 15);
}

#[test]
fn fields_are_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f").max_versions(9)], &[] as &[&str]).unwrap();
    let put = Put::new(b"a\xff\\|1".to_vec())
        .cell_at("f", "b", 1, b"\0 \"\\".to_vec())
        .cell_at("f", "t", 5, "say \"hi\",\r\nü")
        .cell_at("f", "e", 3, "")
        .cell_at("f", "l", 1, f64::MIN_POSITIVE.to_be_bytes().to_vec())
        .cell_at("f", "l", 2, f64::NEG_INFINITY.to_be_bytes().to_vec())
        .cell_at("f", "l", i64::MAX - 1, f64::NAN.to_be_bytes().to_vec())
        .cell_at("f", "l", 4, "short")
        .cell_at("f", "d", 1, [&2_i32.to_be_bytes()[..], &(-5_i8).to_be_bytes()].concat())
        .cell_at("f", "s", 1, " x")
        .cell_at("f", "s", 2, "{\"a\": \"\\u0007\"}\n");
    table.put(put).unwrap();
    let parts = vec![KeyPart::new("key,1", ValueType::Binary), KeyPart::new("n", ValueType::Utf8)];
    let row = RowKey::Separated { separator: b"|".to_vec(), parts };
    let columns = [
        "f:b=binary",
        "f:t=utf8@",
        "f:e=utf8",
        "f:none=utf8@",
        "f:l=double[]@",
        "f:d=decimal(20.4)",
        "f:s=utf8[]",
    ];
    let columns = columns.iter().map(|column| Column::parse(column).unwrap()).collect();
    let mapping = Mapping::new(row, columns).unwrap().on_invalid(Invalid::Null);
    let batches =
        Batches::of_table(&table, Scan::new(), Layout::Columns(mapping.clone()), BatchLimits::default());
    let mut text = Vec::new();
    put_header(&mut text, &Layout::Columns(mapping).schema());
    batches.unwrap().for_each(|batch| put_batch(&mut text, &batch.unwrap()).unwrap());
    let header = "\"key,1\",n,f:b,f:t,f:t_timestamp,f:e,f:none,f:none_timestamp,f:l,f:l_timestamp,f:d,f:s\n";
    let line = "a\\xFF\\x5C,1,\"\\x00 \"\"\\x5C\",\"say \"\"hi\"\",\r\nü\",5,\"\",,,\
        \"[\"\"NaN\"\",null,\"\"-Infinity\"\",2.2250738585072014e-308]\",\"[9223372036854775806,4,2,1]\",\
        -0.0500,\"[\"\"{\\\"\"a\\\"\": \\\"\"\\\\u0007\\\"\"}\\n\"\",\"\" x\"\"]\"\n";
    assert_eq!(String::from_utf8(text).unwrap(), format!("{header}{line}"));
}

/// Row, family, qualifier and value; timestamp; type.
type CellOf = ([Vec<u8>; 4], i64, String);

fn cells_of(table: &Table, scan: Scan) -> hregion::Result<Vec<CellOf>> {
    let (mut rows, mut cells) = (table.scan(scan)?, Vec::new());
    while let Some(row) = rows.next_row()? {
        cells.extend(row.cells().map(|cell| {
            let parts = [cell.row(), cell.family(), cell.qualifier(), cell.value()].map(<[u8]>::to_vec);
            (parts, cell.timestamp(), cell.cell_type().name().to_owned())
        }));
    }
    Ok(cells)
}

#[test]
fn golden_tables_come_back_cell_for_cell() {
    let (mut count, mut rows) = (0, 0);
    for dir in golden_tables() {
        let Ok(table) = Table::open_dir(&dir, Region::options()) else { continue };
        let scan = || Scan::new().raw(true).max_versions(u32::MAX);
        let Ok(expected) = cells_of(&table, scan()) else { continue };
        let (_, lines) = through_csv(&table, scan(), Layout::Cells);
        let bytes = |line: &Line, at: usize| from_string_binary(line[at].as_ref().unwrap());
        let found: Vec<_> = lines
            .iter()
            .map(|line| {
                let parts = [0, 1, 2, 5].map(|at| bytes(line, at));
                (parts, line[3].as_ref().unwrap().parse::<i64>().unwrap(), line[4].clone().unwrap())
            })
            .collect();
        assert!(found == expected, "{}", dir.display());
        count += expected.len();
        // rows with typed columns
        let mut infer = hregion_arrow::Infer::new();
        let mut scanner = table.scan(Scan::new()).unwrap();
        let mut keys = Vec::new();
        while let Some(row) = scanner.next_row().unwrap() {
            infer.add(row);
            keys.push(row.key().to_vec());
        }
        if keys.is_empty() {
            continue;
        }
        let (_, lines) = through_csv(&table, Scan::new(), Layout::Columns(infer.mapping().unwrap()));
        assert_eq!(lines.len(), keys.len());
        let key = |line: &Line| from_string_binary(line[0].as_ref().unwrap());
        assert!(lines.iter().map(key).eq(keys), "{}", dir.display());
        rows += lines.len();
    }
    println!("{count} cells, {rows} rows");
    assert!(count > 100 && rows > 100);
}

/// Text with characters that need quotes.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("\""),
            Just(","),
            Just("\n"),
            Just("\r\n"),
            Just(" "),
            Just("\0"),
            Just("\\"),
            Just("\\N"),
            Just("ü"),
            Just("\u{feff}"),
            Just("null"),
            Just("a")
        ],
        0..6,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn generated_rows_come_back(rows in proptest::collection::vec((
        proptest::option::of(text()),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..6)),
        proptest::option::of(any::<i64>()),
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<u32>()),
        proptest::collection::vec(text(), 0..4),
    ), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let family = Family::new("f").max_versions(9);
        let table = Table::create(dir.path(), "t", &[family], &[] as &[&str]).unwrap();
        for (i, (text, bytes, long, double, float, list)) in rows.iter().enumerate() {
            let mut put = Put::new(format!("{i}")).cell_at("f", "any", 1, "any");
            let values = [
                ("t", text.clone().map(String::into_bytes)),
                ("b", bytes.clone()),
                ("l", long.map(|long| long.to_be_bytes().to_vec())),
                ("d", double.map(|bits| bits.to_be_bytes().to_vec())),
                ("f", float.map(|bits| bits.to_be_bytes().to_vec())),
            ];
            for (name, value) in values {
                if let Some(value) = value {
                    put = put.cell_at("f", name, 1, value);
                }
            }
            for (time, value) in (0_i64..).zip(list.iter().rev()) {
                put = put.cell_at("f", "v", time, value.clone());
            }
            table.put(put).unwrap();
        }
        let types = ["any=utf8", "t=utf8", "b=binary", "l=long", "d=double", "f=float", "v=utf8[]"];
        let columns = types.map(|ty| format!("f:{ty}"));
        let columns = columns.iter().map(|column| Column::parse(column).unwrap()).collect();
        let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap();
        let (_, lines) = through_csv(&table, Scan::new(), Layout::Columns(mapping));
        prop_assert_eq!(lines.len(), rows.len());
        for (line, (text, bytes, long, double, float, list)) in lines.iter().zip(&rows) {
            prop_assert_eq!(&line[2], text);
            prop_assert_eq!(&line[3].as_deref().map(from_string_binary), bytes);
            prop_assert_eq!(&line[4].as_ref().map(|field| field.parse::<i64>().unwrap()), long);
            let is_double = match (line[5].as_ref(), double.map(f64::from_bits)) {
                (Some(field), Some(put)) if put.is_nan() => field == "NaN",
                (Some(field), Some(put)) => field.parse::<f64>().unwrap().to_bits() == put.to_bits(),
                (found, put) => found.is_none() && put.is_none(),
            };
            let is_float = match (line[6].as_ref(), float.map(f32::from_bits)) {
                (Some(field), Some(put)) if put.is_nan() => field == "NaN",
                (Some(field), Some(put)) => field.parse::<f32>().unwrap().to_bits() == put.to_bits(),
                (found, put) => found.is_none() && put.is_none(),
            };
            prop_assert!(is_double && is_float);
            let found = line[7].as_ref().map(|list| serde_json::from_str::<Vec<String>>(list).unwrap());
            prop_assert_eq!(&found.unwrap_or_default(), list);
        }
    }
}
