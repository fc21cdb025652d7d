//! Catalogs of a running HBase: the decoded rows at every recorded moment, and the locations of their
//! regions.

use crate::support::cells::{json_lines, json_of};
use crate::support::golden;
use hregion::cell::{StringBinary, from_string_binary};
use hregion::io::faulty::FaultyStorage;
use hregion::locator::{
    Catalog, CatalogEntry, CatalogRange, CatalogRow, MetaRegion, RetryPolicy, RootDir, StaticRegistry,
    TableState, check_region_chain,
};
use hregion::{
    CellOrder, CellRef, CellType, Deadline, ErrorKind, Family, Get, Locator, ManualClock, Put, Region,
    RegionInfo, RegionLocations, RegionName, RowBuf, Scan, SeekKey, Table, TableName,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The rows of a recorded catalog, in key order, with the newest value of each column and its form as decoded
/// by HBase.
type Recorded = BTreeMap<Vec<u8>, BTreeMap<(String, String), (Vec<u8>, Value)>>;

fn recorded(path: &Path) -> Recorded {
    let mut rows = Recorded::new();
    for cell in json_lines(path) {
        let column = (text(&cell["family"]).to_owned(), text(&cell["qualifier"]).to_owned());
        let hex = text(&cell["value"]);
        let value = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        let row = rows.entry(from_string_binary(text(&cell["row"]))).or_default();
        // the newest cell comes first
        row.entry(column).or_insert_with(|| (value.collect(), cell["decoded"].clone()));
    }
    rows
}

fn region_json(region: &RegionInfo) -> Value {
    let name = RegionName::parse(&region.name()).unwrap();
    json!({
        "name": name.to_string(),
        "encoded": region.encoded_name(),
        "table": region.table().to_string(),
        "start": StringBinary(region.start_key()).to_string(),
        "end": StringBinary(region.end_key()).to_string(),
        "id": region.region_id(),
        "replica": region.replica_id(),
        "split": region.is_split(),
        "offline": region.is_offline(),
    })
}

fn location_json(found: &RegionLocations) -> Value {
    let mut json = region_json(found.region());
    json["server"] = found.server().map(ToString::to_string).into();
    json["seqnum"] = found.seq_num().into();
    json
}

fn parse_row(key: &[u8], row: &BTreeMap<(String, String), (Vec<u8>, Value)>) -> CatalogRow {
    let mut buffer = RowBuf::new();
    for ((family, qualifier), (value, _)) in row {
        let key = SeekKey::of(key, family.as_bytes(), qualifier.as_bytes(), 1, CellType::Put);
        buffer.push(CellRef::new(&key, value));
    }
    CatalogRow::parse(buffer.as_row()).unwrap_or_else(|error| panic!("{}: {error}", StringBinary(key)))
}

/// A recorded catalog that can be searched.
#[derive(Debug)]
struct Memory {
    rows: Vec<CatalogEntry>,
    states: BTreeMap<Vec<u8>, TableState>,
}

impl Catalog for Memory {
    fn rows(
        &self,
        _: &RegionLocations,
        range: &CatalogRange,
        _: Deadline,
    ) -> hregion::Result<Vec<CatalogEntry>> {
        let order = |a: &[u8], b: &[u8]| CellOrder::Meta.compare_rows(a, b);
        let (low, high) =
            if range.reversed { (&range.last, &range.first) } else { (&range.first, &range.last) };
        let mut rows = self.rows.clone();
        rows.retain(|row| order(&row.key, low).is_ge() && order(&row.key, high).is_le());
        rows.sort_by(|a, b| order(&a.key, &b.key));
        if range.reversed {
            rows.reverse();
        }
        rows.truncate(range.limit);
        Ok(rows)
    }

    fn table_state(
        &self,
        _: &RegionLocations,
        table: &TableName,
        _: Deadline,
    ) -> hregion::Result<Option<TableState>> {
        Ok(self.states.get(table.to_string().as_bytes()).copied())
    }
}

/// Checks the catalog of a moment against HBase's decoded values. Returns the catalog and the number of its
/// cells.
fn decode(path: &Path) -> (Memory, usize) {
    let (mut memory, mut count) = (Memory { rows: Vec::new(), states: BTreeMap::new() }, 0);
    for (key, row) in recorded(path) {
        count += row.len();
        let column = |family: &str, qualifier: &str| row.get(&(family.to_owned(), qualifier.to_owned()));
        if let Some((value, decoded)) = column("table", "state") {
            let state = TableState::parse(value).unwrap();
            assert_eq!(state.name(), text(decoded));
            memory.states.insert(key.clone(), state);
        }
        let Some((_, region)) = column("info", "regioninfo") else { continue };
        let parsed = parse_row(&key, &row);
        let name = RegionName::parse(&key).unwrap();
        assert_eq!(&region_json(parsed.region()), region);
        assert!(name.is_of(parsed.region()) && name.has_valid_hash(), "{name}");
        assert_eq!((name.encoded_name(), name.to_bytes()), (parsed.region().encoded_name(), key.clone()));
        assert_eq!(RegionName::parse_printable(&name.to_string()), Ok(name));
        let decoded = |qualifier: &str| column("info", qualifier).map(|(_, decoded)| decoded.clone());
        let place = parsed.locations();
        let assignment = &parsed.assignments()[0];
        let address = place.server().map(|server| format!("{}:{}", server.host(), server.port()));
        assert_eq!(address.map(Value::from), decoded("server"));
        assert_eq!(place.server().map(|server| server.start_code().into()), decoded("serverstartcode"));
        assert_eq!(Value::from(place.seq_num()), decoded("seqnumDuringOpen").unwrap_or_else(|| (-1).into()));
        assert_eq!(assignment.state.map(|state| state.name().into()), decoded("state"));
        assert_eq!(assignment.target.as_ref().map(|server| server.to_string().into()), decoded("sn"));
        let regions = |regions: &[RegionInfo]| regions.iter().map(region_json).collect::<Vec<_>>();
        let some = |names: [&str; 2]| names.into_iter().filter_map(decoded).collect::<Vec<_>>();
        assert_eq!(regions(parsed.daughters()), some(["splitA", "splitB"]));
        assert_eq!(regions(parsed.merge_parents()), some(["merge0000", "merge0001"]));
        memory.rows.push(CatalogEntry { key, row: Ok(parsed) });
    }
    (memory, count)
}

/// Locates rows at the bounds of all regions of a moment, and compares with a linear search of the regions.
fn locate_everywhere(memory: Memory) -> usize {
    let rows: Vec<CatalogRow> = memory.rows.iter().map(|row| row.row.clone().unwrap()).collect();
    let tables: Vec<TableName> = memory
        .states
        .keys()
        .map(|name| TableName::parse(std::str::from_utf8(name).unwrap()).unwrap())
        .collect();
    let registry = StaticRegistry::new().meta(hregion::ServerName::parse("h,1,1").unwrap());
    let locator = Locator::new(Arc::new(registry), Arc::new(memory)).retries(RetryPolicy::no_retries());
    let mut count = 0;
    for table in tables {
        let serving: Vec<&CatalogRow> =
            rows.iter().filter(|row| *row.region().table() == table && !row.is_split_parent()).collect();
        let keys: Vec<Vec<u8>> = serving
            .iter()
            .flat_map(|row| {
                let start = row.region().start_key();
                [start.to_vec(), [start, &[0]].concat(), [start, b"\xff"].concat()]
            })
            .collect();
        for key in keys {
            let expected = serving.iter().find(|row| row.region().contains(&key)).unwrap();
            let found = locator.locate(&table, &key);
            match expected.locations().server() {
                Some(_) => assert_eq!(&found.unwrap(), expected.locations()),
                None => assert_eq!(found.unwrap_err().kind(), ErrorKind::NoServerForRegion),
            }
            count += 1;
        }
        let regions = locator.regions(&table).unwrap();
        assert_eq!(regions.len(), serving.len());
        assert_eq!(check_region_chain(regions.iter().map(CatalogRow::region)), []);
    }
    count
}

#[test]
fn catalogs_agree_with_hbase_at_every_stage() {
    let Some(cluster) = golden::shared("cluster") else { return };
    let (mut moments, mut cells, mut located) = (0, 0, 0);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(cluster.join("meta")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".jsonl") || name.contains("raw") || name.starts_with("root") {
            continue;
        }
        let (memory, count) = decode(&path);
        cells += count;
        located += locate_everywhere(memory);
        moments += 1;
    }
    println!("{moments} moments, {cells} columns, {located} places");
    assert!(moments >= 9 && cells > 300);
}

#[test]
fn daughters_are_listed_before_they_have_servers() {
    let Some(cluster) = golden::shared("cluster") else { return };
    let (memory, _) = decode(&cluster.join("meta/03-mid-split.jsonl"));
    let registry = StaticRegistry::new().meta(hregion::ServerName::parse("h,1,1").unwrap());
    let locator = Locator::new(Arc::new(registry), Arc::new(memory)).retries(RetryPolicy::no_retries());
    let error = locator.locate(&TableName::parse("halves").unwrap(), "row-0001").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoServerForRegion);
    assert!(error.message().contains("b080bd824b133f7fd142d58caf423392"), "{error}");
}

/// Returns the recorded answers of HBase's clients to lookups in a table.
fn recorded_lookups(cluster: &Path, table: &str) -> Vec<(Vec<u8>, Value)> {
    let lines = json_lines(&cluster.join("locator/script.jsonl"));
    let of_table =
        lines.iter().filter(|line| line["command"]["op"] == "locate" && line["command"]["table"] == table);
    of_table.map(|line| (from_string_binary(text(&line["command"]["row"])), line["ok"].clone())).collect()
}

#[test]
fn the_catalog_on_the_disk_answers_as_the_catalog_did() {
    let Some(cluster) = golden::shared("cluster") else { return };
    let root = cluster.join("meta/root");
    let region = Region::open(MetaRegion::path(&root)).unwrap();
    let scan = Scan::new().max_versions(u32::MAX).raw(true);
    let view = region.view();
    let rows: Vec<_> = view.scan(&scan).unwrap().map(Result::unwrap).collect();
    assert_eq!(json_of(&rows), json_lines(&cluster.join("meta/root.cells.jsonl")));

    let locator = Locator::open(&root).unwrap();
    let table = TableName::parse("ns1:binary").unwrap();
    let lookups = recorded_lookups(&cluster, "ns1:binary");
    assert_eq!(lookups.len(), 60);
    for (row, expected) in lookups {
        assert_eq!(location_json(&locator.locate(&table, &row).unwrap()), expected, "{}", StringBinary(&row));
        assert_eq!(location_json(&locator.relocate(&table, &row).unwrap()), expected);
    }
    assert_eq!(locator.invalid_rows(), 0);
    assert_eq!(locator.table_state(&table).unwrap(), Some(TableState::Enabled));
    let dropped = TableName::parse("located").unwrap();
    assert_eq!(locator.locate(&dropped, "a").unwrap_err().kind(), ErrorKind::TableNotFound);
    assert_eq!(locator.table_state(&dropped).unwrap(), None);
}

/// Returns the folders of the recorded moments of tables.
fn stages() -> Vec<PathBuf> {
    let Some(cluster) = golden::shared("cluster") else { return Vec::new() };
    let mut stages: Vec<PathBuf> =
        fs::read_dir(cluster.join("tables")).unwrap().map(|entry| entry.unwrap().path()).collect();
    stages.sort();
    stages
}

#[test]
fn tables_agree_with_an_hbase_client() {
    let (mut tables, mut count) = (0, 0);
    for stage in stages() {
        let regions = json_lines(&stage.join("regions.jsonl"));
        let mut names: Vec<&str> = regions.iter().map(|region| text(&region["table"])).collect();
        names.dedup();
        for name in names {
            let table = Table::open(stage.join("root"), name).unwrap();
            let of_table: Vec<&Value> = regions.iter().filter(|region| region["table"] == name).collect();
            let encoded: Vec<Value> =
                table.regions().iter().map(|region| region.encoded_name().into()).collect();
            let expected: Vec<Value> = of_table.iter().map(|region| region["encoded"].clone()).collect();
            assert_eq!(
                (encoded, table.inconsistencies()),
                (expected, Vec::new()),
                "{name} of {}",
                stage.display()
            );
            let all = Scan::new().max_versions(u32::MAX);
            for (scan, kind) in [(all.clone(), "plain"), (all.raw(true), "raw")] {
                let expected: Vec<Value> = of_table
                    .iter()
                    .flat_map(|region| {
                        let file = format!("cells/{}.{kind}.jsonl", text(&region["encoded"]));
                        json_lines(&stage.join(file))
                    })
                    .collect();
                let view = table.view();
                let mut rows: Vec<_> = view.scan(&scan).unwrap().map(Result::unwrap).collect();
                assert_eq!(json_of(&rows), expected, "{kind} scan of {name}, {}", stage.display());
                count += expected.len();
                let backward = scan.clone().reversed(true);
                let back: Vec<_> = view.scan(&backward).unwrap().map(Result::unwrap).collect();
                rows.reverse();
                assert_eq!(
                    json_of(&back),
                    json_of(&rows),
                    "{kind} scan of {name} backward, {}",
                    stage.display()
                );
                if kind == "plain" {
                    for row in &rows {
                        let get = Get::new(row.key()).max_versions(u32::MAX);
                        assert_eq!(json_of(&[table.get(&get).unwrap()]), json_of(std::slice::from_ref(row)));
                    }
                }
            }
            tables += 1;
        }
    }
    println!("{tables} tables, {count} cells");
    assert!(tables >= 14 && count > 1000 || golden::shared("cluster").is_none());
}

#[test]
fn tables_without_a_catalog_are_located_by_their_directories() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/region/split-references/root");
    let locator = Locator::open(&root).unwrap();
    let table = TableName::parse("halves").unwrap();
    let found = locator.locate(&table, "row-0060").unwrap();
    let expected = "halves,row-0060,1795161822392.93e53ef8671385578b50691051cf8cd5.";
    assert_eq!((found.region().to_string().as_str(), found.server()), (expected, None));
    assert_eq!(locator.regions(&table).unwrap().len(), 2, "the parent's directory is still there");
    assert_eq!(
        locator.locate(&TableName::parse("x").unwrap(), "a").unwrap_err().kind(),
        ErrorKind::TableNotFound
    );
    assert_eq!(Locator::open(root.join("nowhere")).unwrap_err().kind(), ErrorKind::Io);
}

/// HBase's clients do not need the state, and take a server that is not one for none.
#[test]
fn a_region_on_a_disk_is_found_whatever_columns_locating_does_not_need() {
    let storage = FaultyStorage::new();
    let options = Region::options().storage(Arc::new(storage.clone())).create_if_missing(true);
    // the id of its region is 1
    let options = options.clock(Arc::new(ManualClock::new(1)));
    let options = options.table("hbase:meta").family(Family::new("info"));
    let meta = options.open(MetaRegion::path(Path::new("root"))).unwrap();
    let table = TableName::parse("t").unwrap();
    let region = RegionInfo::new(table.clone(), "", "", 7).unwrap();
    let info = [&b"PBUF"[..], &region.to_proto_bytes()[..]].concat();
    let started = 5_i64.to_be_bytes().to_vec();
    let row = Put::new(region.name()).cell("info", "regioninfo", info).cell("info", "state", "RESTING");
    let row = row.cell("info", "server", "h:1").cell("info", "serverstartcode", started.clone());
    let row = row.cell("info", "server_0001", "h").cell("info", "serverstartcode_0001", started);
    meta.put(row).unwrap();
    meta.close().unwrap();
    let locator = Locator::open_in(Arc::new(storage), "root").unwrap();
    let found = locator.locate(&table, "r").unwrap();
    assert_eq!((found.region(), found.replicas().len()), (&region, 2));
    assert_eq!(found.server().unwrap().to_string(), "h,1,5");
    assert_eq!(found.server_of(1), None);
    assert_eq!((locator.regions(&table).unwrap().len(), locator.invalid_rows()), (1, 0));
}

#[test]
fn a_failing_storage_is_no_answer() {
    let storage = FaultyStorage::new();
    storage.fail_with(std::io::ErrorKind::PermissionDenied);
    let options = || Region::options().storage(Arc::new(storage.clone()));
    Table::create_with("root", "t", &[Family::new("f")], &["m"], options()).unwrap();
    let table = TableName::parse("t").unwrap();
    let ask = || {
        let root = Arc::new(RootDir::with_storage(Arc::new(storage.clone()), "root"));
        let catalog = root.catalog()?;
        let locator = Locator::new(root, catalog).retries(RetryPolicy::no_retries()).needs_server(false);
        let found = locator.locate(&table, "n")?;
        locator.check_enabled(&table, Deadline::NEVER)?;
        assert_eq!(locator.regions(&table)?.len(), 2);
        let regions = Table::open_with("root", "t", options())?.regions().len();
        Ok::<_, hregion::Error>((found.region().start_key().to_vec(), regions))
    };
    let before = storage.all_calls();
    let expected = ask().unwrap();
    let calls = storage.all_calls() - before;
    assert!(calls > 10, "{calls}");
    for n in 0..calls {
        storage.fail_among_all([n]);
        let error = ask().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "call {n} of {calls}: {error}");
    }
    storage.heal();
    assert_eq!(ask().unwrap(), expected);
}
