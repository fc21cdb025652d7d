//! Plans as bytes: a decoded plan gives the same rows, and damaged bytes are refused.

use crate::answers::{keyed, typed_columns, write};
use crate::golden_tables::golden_snapshots;
use crate::model::Model;
use crate::query::{Predicate, quoted};
use crate::rng::Rng;
use crate::{plan, rows, session, shown};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::logical_plan::LogicalExtensionCodec as _;
use datafusion_proto::physical_plan::{DefaultPhysicalProtoConverter, PhysicalExtensionCodec};
use hregion::Table;
use hregion_arrow::{Infer, Invalid, Layout, Mapping};
use hregion_datafusion::{HregionCodec, HregionExec, HregionTable, Target, TargetOptions};
use std::path::Path;
use std::sync::Arc;

/// The rows, in any order.
fn sorted(batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn target(dir: &Path) -> Target {
    Target::open(dir.to_str().unwrap(), TargetOptions::default()).unwrap()
}

/// A table of two regions, in many partitions.
fn halves() -> HregionTable {
    let target = target(&crate::root().join("testdata/region/split-references/root/data/default/halves"));
    let layout = Layout::Columns(target.infer(1000).unwrap());
    target.table(layout).unwrap().min_partition_bytes(1)
}

/// Returns the answers of a query: unchanged, with its logical plan sent, with its physical plan sent, and
/// with the physical plan made from the sent logical plan, sent as well.
async fn answers(context: &SessionContext, sql: &str) -> [Vec<String>; 4] {
    let codec = HregionCodec::default();
    let direct = rows(context, sql).await.unwrap();
    // the other machine has no tables
    let other = SessionContext::new_with_config(context.copied_config());
    let logical = context.sql(sql).await.unwrap().into_optimized_plan().unwrap();
    let bytes = logical_plan_to_bytes_with_extension_codec(&logical, &codec).unwrap();
    let logical = logical_plan_from_bytes_with_extension_codec(&bytes, &other.task_ctx(), &codec).unwrap();
    let of_scheduler = other.execute_logical_plan(logical).await.unwrap();
    let of_scheduler = of_scheduler.create_physical_plan().await.unwrap();
    let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&of_scheduler), &codec).unwrap();
    let of_logical = collect(of_scheduler, other.task_ctx()).await.unwrap();
    let decoded = physical_plan_from_bytes_with_extension_codec(&bytes, &other.task_ctx(), &codec).unwrap();
    let of_both = collect(decoded, other.task_ctx()).await.unwrap();
    let physical = plan(context, sql).await;
    let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&physical), &codec).unwrap();
    let decoded: Arc<dyn ExecutionPlan> =
        physical_plan_from_bytes_with_extension_codec(&bytes, &other.task_ctx(), &codec).unwrap();
    assert_eq!(shown(&decoded), shown(&physical), "{sql}");
    assert_eq!(decoded.schema(), physical.schema(), "{sql}");
    let of_physical = collect(decoded, other.task_ctx()).await.unwrap();
    [sorted(&direct), sorted(&of_logical), sorted(&of_physical), sorted(&of_both)]
}

async fn compare(dir: &Path, layout: &Layout, seed: u64, queries: usize) -> usize {
    let target = target(dir);
    let table = match dir.join(".snapshotinfo").is_file() {
        true => {
            let root = dir.parent().unwrap().parent().unwrap();
            Table::open_snapshot(root, dir.file_name().unwrap().to_str().unwrap()).unwrap()
        }
        false => Table::open_dir(dir, hregion::Region::options()).unwrap(),
    };
    let model = Model::of(&table, layout);
    let mut rng = Rng::new(seed);
    let mut found = 0;
    for number in 0..queries {
        let depth = rng.below(4);
        let condition = Predicate::random(&model, &mut rng, depth).sql(&model);
        let columns: Vec<String> = (0..model.columns.len())
            .filter(|_| rng.below(2) == 0)
            .map(|at| quoted(&model.columns[at].0))
            .collect();
        let list = if columns.is_empty() { "1".to_owned() } else { columns.join(", ") };
        let sql = match number % 4 {
            0 => "SELECT count(*) FROM t".to_owned(),
            1 => format!("SELECT count(*) FROM t WHERE {condition}"),
            2 => format!("SELECT {list} FROM t WHERE {condition}"),
            _ => format!("SELECT * FROM t WHERE {condition} ORDER BY {}", quoted(&model.columns[0].0)),
        };
        let provider = target.table(layout.clone()).unwrap().min_partition_bytes(1);
        let context = session(provider, 1 + rng.below(5), [1, 7, 8192][rng.below(3)]);
        let [direct, sent @ ..] = answers(&context, &sql).await;
        for (way, answer) in sent.into_iter().enumerate() {
            assert_eq!(answer, direct, "seed {seed}, way {way}: {sql}");
        }
        found += direct.len();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_were_sent_give_the_same_rows() {
    let mut found = 0;
    for kind in 0..7 {
        let mut rng = Rng::new(500 + kind as u64);
        let dir = tempfile::tempdir().unwrap();
        let (row, keys) = keyed(kind, &mut rng);
        let splits: &[&str] = if kind < 5 { &["a", "b"] } else { &[] };
        let table = write(dir.path(), &keys, splits, kind % 2 == 1, &mut rng);
        let path = dir.path().join("data/default/t");
        table.close().unwrap();
        let mapping = Mapping::new(row, typed_columns()).unwrap().on_invalid(Invalid::Null);
        found += compare(&path, &Layout::Columns(mapping), 7 + kind as u64, 24).await;
        found += compare(&path, &Layout::Cells, 7 + kind as u64, 8).await;
    }
    for dir in golden_snapshots() {
        let root = dir.parent().unwrap().parent().unwrap();
        let table = Table::open_snapshot(root, dir.file_name().unwrap().to_str().unwrap()).unwrap();
        let mut infer = Infer::new();
        let mut scanner = table.scan(hregion::Scan::new()).unwrap();
        while let Some(row) = scanner.next_row().unwrap() {
            infer.add(row);
        }
        found += compare(&dir, &Layout::Columns(infer.mapping().unwrap()), 3, 12).await;
    }
    assert!(found > 3000, "{found} lines");
}

/// Returns the reading node of a query.
async fn leaf_of(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    let mut node = plan(context, sql).await;
    while let Some(child) = node.children().first().map(|child| Arc::clone(child)) {
        node = child;
    }
    node
}

fn encode(node: Arc<dyn ExecutionPlan>) -> datafusion::error::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (codec, converter) = (HregionCodec::default(), DefaultPhysicalProtoConverter {});
    PhysicalExtensionCodec::try_encode(&codec, node, &mut bytes, &converter)?;
    Ok(bytes)
}

/// Encodes the reading node of a query.
async fn node_of(context: &SessionContext, sql: &str) -> Vec<u8> {
    encode(leaf_of(context, sql).await).unwrap()
}

/// Returns a table after it was sent.
fn received(table: HregionTable) -> Arc<dyn TableProvider> {
    let (name, codec, mut bytes) = (TableReference::bare("t"), HregionCodec::default(), Vec::new());
    let schema = table.schema();
    codec.try_encode_table_provider(&name, Arc::new(table), &mut bytes).unwrap();
    codec.try_decode_table_provider(&bytes, &name, schema, &TaskContext::default()).unwrap()
}

/// A scheduler assigns each task some groups of files of a scan: together they read each row once.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_read_the_partitions_that_they_are_given() {
    let table = halves();
    let local = session(table.clone(), 5, 100);
    // With a limit, a stream that takes the files of another one leaves fewer for it.
    let stealing = "datafusion.execution.enable_file_stream_work_stealing";
    let context = SessionContext::new_with_config(local.copied_config().set_bool(stealing, false));
    context.register_table("t", received(table)).unwrap();
    for sql in ["SELECT row FROM t", "SELECT * FROM t WHERE \"p:q0\" > 'm'", "SELECT row FROM t LIMIT 7"] {
        let (known, leaf) = (leaf_of(&local, sql).await, leaf_of(&context, sql).await);
        assert!(known.is::<HregionExec>());
        let count = known.properties().output_partitioning().partition_count();
        assert!(count > 2, "{count}");
        // the planner gets the same properties of both
        assert_eq!(leaf.properties().output_partitioning().partition_count(), count);
        assert_eq!(leaf.properties().output_ordering(), known.properties().output_ordering());
        assert_eq!((leaf.schema(), leaf.fetch()), (known.schema(), known.fetch()));
        for partition in [None, Some(0), Some(count - 1)] {
            let args = StatisticsArgs::new().with_partition(partition);
            let own = leaf.statistics_from_inputs(&[], &args).unwrap();
            assert_eq!(own, known.statistics_from_inputs(&[], &args).unwrap(), "{sql}");
        }
        assert!(shown(&leaf).contains("file_type=hregion"), "{}", shown(&leaf));
        let scan = leaf.downcast_ref::<DataSourceExec>().unwrap();
        let scan = scan.data_source().downcast_ref::<FileScanConfig>().unwrap();
        let restricted = |at: &[usize]| {
            let groups = at.iter().map(|at| scan.file_groups[*at].clone()).collect();
            let scan = FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).build();
            DataSourceExec::from_data_source(scan)
        };
        let of = async |node: Arc<dyn ExecutionPlan>| collect(node, context.task_ctx()).await.unwrap();
        let of_all = of(leaf.clone()).await;
        assert_eq!(sorted(&of_all), sorted(&of(known).await), "{sql}");
        let (mut by_tasks, mut here) = (Vec::new(), Vec::new());
        let mut places: Vec<usize> = (0..count).collect();
        places.swap(0, 1);
        for task in places.chunks(2) {
            let node = decode(&encode(restricted(task)).unwrap()).unwrap();
            assert_eq!(node.properties().output_partitioning().partition_count(), task.len());
            by_tasks.extend(of(node).await);
            here.extend(of(restricted(task)).await);
        }
        assert!(of_all.iter().map(RecordBatch::num_rows).sum::<usize>() > 3);
        assert_eq!(sorted(&by_tasks), sorted(&of_all), "{sql}");
        assert_eq!(sorted(&here), sorted(&of_all), "{sql}");
        let none = decode(&encode(restricted(&[])).unwrap()).unwrap();
        assert_eq!(none.properties().output_partitioning().partition_count(), 0);
        // partitions are neither joined nor divided
        let files = scan.file_groups.iter().flat_map(|group| group.files().to_vec()).collect();
        let joined = FileScanConfigBuilder::from(scan.clone()).with_file_groups(vec![FileGroup::new(files)]);
        assert!(encode(DataSourceExec::from_data_source(joined.build())).is_err());
        assert!(leaf.repartitioned(64, context.state().config_options()).unwrap().is_none());
    }
}

fn decode(bytes: &[u8]) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let codec = HregionCodec::default();
    let converter = DefaultPhysicalProtoConverter {};
    PhysicalExtensionCodec::try_decode(&codec, bytes, &[], &TaskContext::default(), &converter)
}

fn decode_table(bytes: &[u8]) -> bool {
    let codec = HregionCodec::default();
    let schema = Layout::Cells.schema();
    let name = TableReference::bare("t");
    codec.try_decode_table_provider(bytes, &name, schema, &TaskContext::default()).is_ok()
}

/// Puts the correct checksum at the end.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(8));
    let add = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325, add);
    bytes.extend(sum.to_be_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_plans_are_errors() {
    let provider = halves();
    let mut table = Vec::new();
    let name = TableReference::bare("t");
    let codec = HregionCodec::default();
    codec.try_encode_table_provider(&name, Arc::new(provider.clone()), &mut table).unwrap();
    assert!(decode_table(&table));
    let context = session(provider, 3, 100);
    let plans = [
        node_of(&context, "SELECT count(*) FROM t").await,
        node_of(&context, "SELECT row FROM t WHERE \"p:q0\" > 'm' AND row < 'row-0100' LIMIT 3").await,
    ];
    let mut rng = Rng::new(11);
    let mut decoded = 0;
    for bytes in plans.iter().chain([&table]) {
        let is_table = bytes == &table;
        let accepts = |bytes: &[u8]| if is_table { decode_table(bytes) } else { decode(bytes).is_ok() };
        assert!(accepts(bytes));
        assert!(if is_table { decode(bytes).is_err() } else { !decode_table(bytes) });
        for at in 0..bytes.len() {
            assert!(!accepts(&bytes[..at]), "cut at {at}");
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << rng.below(8);
            assert!(!accepts(&damaged), "a bit at {at}");
            // bytes signed by another program may be anything, but are read without a panic
            for _ in 0..4 {
                let mut forged = bytes.clone();
                for _ in 0..=rng.below(3) {
                    let at = rng.below(forged.len());
                    forged[at] = rng.below(256) as u8;
                }
                decoded += usize::from(accepts(&signed(forged)));
            }
        }
        let mut newer = bytes.clone();
        newer[8] = 2;
        let error = decode(&signed(newer)).unwrap_err().to_string();
        assert!(error.contains("version 2"), "{error}");
        for len in 0..200 {
            let mut random: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
            assert!(!accepts(&random));
            random.splice(0..random.len().min(9), bytes[..9].iter().copied());
            assert!(!accepts(&random));
            assert!(!accepts(&signed(random)), "{len}");
        }
    }
    assert!(decoded > 0);
}

/// The greatest timestamp is also a possible least one.
#[tokio::test(flavor = "multi_thread")]
async fn plans_with_any_least_timestamp_are_sent() {
    let target = target(&crate::root().join("testdata/region/split-references/root/data/default/halves"));
    let context = session(target.table(Layout::Cells).unwrap(), 2, 100);
    for (condition, has_rows) in [
        (format!(">= {}", i64::MAX), false),
        (format!("> {}", i64::MAX - 1), false),
        (format!("= {}", i64::MAX - 1), false),
        (">= -1".to_owned(), true),
        (">= 1".to_owned(), true),
    ] {
        let sql = format!("SELECT * FROM t WHERE \"timestamp\" {condition}");
        let [direct, sent @ ..] = answers(&context, &sql).await;
        assert_eq!(direct.len() > 10, has_rows, "{condition}");
        assert!(sent.iter().all(|answer| *answer == direct), "{condition}: {sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tables_of_a_path_are_sent() {
    let halves = crate::root().join("testdata/region/split-references/root/data/default/halves");
    let table = Table::open_dir(&halves, hregion::Region::options()).unwrap();
    let context = session(HregionTable::new(table, Layout::Cells), 1, 100);
    let plan = plan(&context, "SELECT * FROM t").await;
    let error = physical_plan_to_bytes_with_extension_codec(plan, &HregionCodec::default()).unwrap_err();
    assert!(error.to_string().contains("opened by its path"), "{error}");
    // a path that does not exist on the other machine is an error of the query
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[hregion::Family::new("f")], &[] as &[&str]).unwrap();
    table.put(hregion::Put::new("a").cell("f", "q", "x")).unwrap();
    table.close().unwrap();
    let provider = target(&dir.path().join("data/default/t")).table(Layout::Cells).unwrap();
    let bytes = node_of(&session(provider, 1, 100), "SELECT * FROM t").await;
    drop(dir);
    let node = decode(&bytes).unwrap();
    let error = collect(node, SessionContext::new().task_ctx()).await.unwrap_err();
    assert!(!error.to_string().contains("panic"), "{error}");
}

/// A master key is never sent: the reading process uses its own.
#[cfg(feature = "crypto")]
#[tokio::test(flavor = "multi_thread")]
async fn master_keys_are_those_of_the_process_that_decodes() {
    const MASTER_KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let path = crate::root().join("testdata/golden/small-encrypted.hfile");
    let options = || TargetOptions::default().master_key(MASTER_KEY);
    let changed = || TargetOptions::default().master_key([7; 16]).alternate_master_key(MASTER_KEY);
    let target = Target::open(path.to_str().unwrap(), options()).unwrap();
    let table = target.table(Layout::Cells).unwrap();
    let (name, mut sent) = (TableReference::bare("t"), Vec::new());
    let codec = HregionCodec::new(options());
    codec.try_encode_table_provider(&name, Arc::new(table.clone()), &mut sent).unwrap();
    let (context, sql) = (session(table, 2, 100), "SELECT * FROM t");
    let expected = sorted(&rows(&context, sql).await.unwrap());
    assert!(expected.len() > 10);
    let (mut node, converter) = (Vec::new(), DefaultPhysicalProtoConverter {});
    let leaf = leaf_of(&context, sql).await;
    PhysicalExtensionCodec::try_encode(&codec, leaf, &mut node, &converter).unwrap();
    for bytes in [&sent, &node] {
        assert!(!bytes.windows(MASTER_KEY.len()).any(|window| window == MASTER_KEY));
    }
    assert!(!format!("{codec:?}").contains("0, 1, 2"));
    for (options, has_key) in [(options(), true), (changed(), true), (TargetOptions::default(), false)] {
        let codec = HregionCodec::new(options);
        let task = SessionContext::new().task_ctx();
        let decoded = PhysicalExtensionCodec::try_decode(&codec, &node, &[], &task, &converter).unwrap();
        let of_node = collect(decoded, task).await;
        let schema = Layout::Cells.schema();
        let other = SessionContext::new();
        let table = codec.try_decode_table_provider(&sent, &name, schema, &other.task_ctx()).unwrap();
        other.register_table("t", table).unwrap();
        for read in [of_node, rows(&other, sql).await] {
            match read {
                Ok(read) => assert!(has_key && sorted(&read) == expected),
                Err(error) => {
                    assert!(!has_key && error.to_string().contains("master key"), "{error}");
                }
            }
        }
    }
}
