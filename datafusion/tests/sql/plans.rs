//! The predicates pushed down as exact, and the properties declared by plans.

use crate::{each_scan, plan, root, rows, session, shown};
use datafusion::common::stats::Precision;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use hregion::{Region, Table};
use hregion_arrow::{Column, Invalid, KeyPart, Layout, Mapping, RowKey, ValueType};
use hregion_datafusion::HregionTable;

fn halves() -> Table {
    let dir = root().join("testdata/region/split-references/root/data/default/halves");
    Table::open_dir(dir, Region::options()).unwrap()
}

fn layout(row: RowKey, invalid: Invalid) -> Layout {
    let columns = [
        "p:q0=utf8",
        "p:n=long@",
        "p:raw=binary",
        "p:flag=boolean",
        "p:d=double",
        "p:all=long[]",
        "p:j=json",
    ];
    let columns = columns.iter().map(|column| Column::parse(column).unwrap()).collect();
    Layout::Columns(Mapping::new(row, columns).unwrap().on_invalid(invalid))
}

/// Returns whether only the reader applies a predicate, and whether it applies anything.
async fn pushed(layout: &Layout, condition: &str) -> (bool, bool) {
    let context = session(HregionTable::new(halves(), layout.clone()), 1, 100);
    let plan = plan(&context, &format!("SELECT * FROM t WHERE {condition}")).await;
    let (mut applied, mut scans) = (false, 0);
    each_scan(&plan, &mut |scan| {
        scans += 1;
        let ranges = scan.row_ranges().concat();
        applied |= scan.filter().is_some() || ranges != [(Vec::new(), None)];
    });
    (!shown(&plan).contains("FilterExec"), applied || scans == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn pushdown_is_exact_where_it_is_declared_so() {
    let (exact, inexact, none) = ((true, true), (false, true), (false, false));
    let whole = || RowKey::whole(ValueType::Utf8);
    let error = layout(whole(), Invalid::Error);
    for (condition, expected) in [
        ("row = 'a'", exact),
        ("row > 'a' AND row <= 'b'", exact),
        ("row IN ('a', 'b') OR row LIKE 'x%'", exact),
        ("row LIKE 'x%y'", inexact),
        ("row LIKE '%y'", none),
        ("row NOT IN ('a', 'b')", exact),
        ("starts_with(row, 'a')", exact),
        ("\"p:q0\" = 'a'", exact),
        ("\"p:q0\" >= 'a'", exact),
        ("\"p:n\" = 5", exact),
        ("\"p:n\" > -5", exact),
        ("\"p:n\" = 5 OR \"p:q0\" = 'a'", exact),
        ("\"p:n\" = 5 OR row = 'a'", none),
        ("(\"p:n\" = 5 AND row < 'c') OR row = 'a'", inexact),
        ("\"p:flag\"", exact),
        ("NOT \"p:flag\"", exact),
        ("\"p:n\" IS NOT NULL", exact),
        ("\"p:n\" IS NULL", none),
        ("\"p:d\" = 1.5", none),
        ("\"p:n_timestamp\" IS NOT NULL", exact),
        ("\"p:n_timestamp\" > to_timestamp_millis(5)", inexact),
        ("\"p:all\" IS NOT NULL", exact),
        ("length(\"p:q0\") = 3", none),
    ] {
        assert_eq!(pushed(&error, condition).await, expected, "{condition}");
    }
    // where values of another type are null, sorted bytes may not have the type
    let null = layout(whole(), Invalid::Null);
    for (condition, expected) in [
        ("\"p:q0\" = 'a'", exact),
        ("\"p:q0\" >= 'a'", inexact),
        ("\"p:n\" IN (5, 6)", exact),
        ("\"p:n\" <> 5", inexact),
        ("\"p:j\" = 'a'", inexact),
        ("\"p:raw\" >= X'00'", exact),
        ("\"p:n\" IS NOT NULL", inexact),
        ("\"p:raw\" IS NOT NULL", exact),
        ("NOT \"p:flag\"", exact),
        ("\"p:flag\"", inexact),
    ] {
        assert_eq!(pushed(&null, condition).await, expected, "{condition}");
    }
    let parts = ["a", "b"].map(|name| KeyPart::new(name, ValueType::Utf8)).to_vec();
    let separated = layout(RowKey::Separated { separator: b"|".to_vec(), parts }, Invalid::Error);
    for (condition, expected) in [
        ("a = 'x'", exact),
        ("a < 'x'", exact),
        ("a = 'x' AND b > 'y'", inexact),
        ("(a = 'x' AND b > 'y') OR a = 'z'", exact),
        ("b = 'y'", none),
    ] {
        assert_eq!(pushed(&separated, condition).await, expected, "{condition}");
    }
    for (condition, expected) in [
        ("row = X'61'", exact),
        ("row = 'a'", exact),
        ("family = X'70'", exact),
        ("qualifier >= X'30'", exact),
        ("timestamp >= 5", none),
        ("value = X'61'", none),
    ] {
        let (is_exact, applied) = pushed(&Layout::Cells, condition).await;
        // a family is neither a range nor a filter
        let expected = (expected.0, expected.1 && !condition.starts_with("family"));
        assert_eq!((is_exact, applied), expected, "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_and_statistics_are_declared() {
    let table = halves();
    let provider = HregionTable::new(table.clone(), layout(RowKey::whole(ValueType::Utf8), Invalid::Null));
    let context = session(provider.min_partition_bytes(1), 4, 100);
    let sorted = plan(&context, "SELECT row FROM t ORDER BY row").await;
    assert!(!shown(&sorted).contains("SortExec"), "{}", shown(&sorted));
    let other = plan(&context, "SELECT row FROM t ORDER BY row DESC").await;
    assert!(shown(&other).contains("SortExec"), "{}", shown(&other));
    let mut rows_of_partitions = 0;
    let scan = plan(&context, "SELECT row, \"p:q0\" FROM t").await;
    let all = StatisticsContext::new().compute(&*scan, &StatisticsArgs::new()).unwrap();
    let Precision::Inexact(rows_of_all) = all.num_rows else { panic!("{all:?}") };
    assert!(rows_of_all > 0 && matches!(all.total_byte_size, Precision::Inexact(1..)));
    let mut partitions = 0;
    each_scan(&scan, &mut |scan| partitions = scan.row_ranges().len());
    assert!(partitions > 1);
    for at in 0..partitions {
        let args = StatisticsArgs::new().with_partition(Some(at));
        let part = StatisticsContext::new().compute(&*scan, &args).unwrap();
        rows_of_partitions += part.num_rows.get_value().copied().unwrap_or(0);
    }
    assert!(rows_of_partitions.abs_diff(rows_of_all) <= 2 * partitions);
    // the rows of a count are counted
    let counted = rows(&context, "SELECT count(*) AS n FROM t").await.unwrap();
    let found = rows(&context, "SELECT row FROM t").await.unwrap();
    let expected: usize = found.iter().map(|batch| batch.num_rows()).sum();
    let text = datafusion::arrow::util::pretty::pretty_format_batches(&counted).unwrap().to_string();
    assert!(text.contains(&format!(" {expected} ")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_joined() {
    let mapping = layout(RowKey::whole(ValueType::Utf8), Invalid::Null);
    let context = session(HregionTable::new(halves(), mapping), 2, 100);
    let cells = HregionTable::new(halves(), Layout::Cells);
    context.register_table("c", std::sync::Arc::new(cells)).unwrap();
    let sql = "SELECT t.row, count(*) AS cells FROM t JOIN c ON arrow_cast(t.row, 'Binary') = c.row \
               WHERE c.family = X'70' GROUP BY t.row ORDER BY t.row LIMIT 3";
    let found = rows(&context, sql).await.unwrap();
    assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 3);
}
