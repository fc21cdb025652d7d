//! `create`, `describe`, `list`, `exists`: tables and their families.

use super::alter::attributes;
use super::catalog::Catalog;
use super::command::Arguments;
use super::options::Options;
use super::print::{put_array, region_json};
use super::session::Stop;
use super::units;
use super::value::{Value, ValueKind};
use crate::failure::CommandError;
use crate::lines::is_stdin;
use crate::output::Output;
use crate::settings;
use crate::split_keys::{self, MAX_REGIONS, SplitAlgorithm};
use hregion::cell::StringBinary;
use hregion::{BloomType, Cipher, Family, KeepDeletedCells, Limits, TableChanges, TableDescription};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// The number of seconds of a TTL from which on cells do not expire.
const FOREVER: u64 = i32::MAX as u64;

/// Executes `create 't', {NAME => 'f', VERSIONS => 3}, 'g', SPLITS => ['m']`, also with attributes of the
/// table.
pub(super) fn create(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name_value = values.required("the name of a table")?;
    let name = name_value.text("the name of a table")?;
    let (mut families, mut splits, mut splits_at) = (Vec::new(), Vec::new(), None);
    let mut table = TableChanges::new();
    for value in values.rest() {
        if !value.is_hash() {
            families.push(Family::new(value.text("a family: 'name' or {NAME => 'name'}")?));
            continue;
        }
        let mut options = Options::of(Some(value))?;
        if let Some(found) = split_rows(&mut options)? {
            splits.extend(found);
            splits_at = Some(value.at);
        }
        match options.take("NAME") {
            Some(name) => {
                let family = family(Family::new(name.text("the name of a family")?), &mut options)?;
                table = family_attributes(table, family.name(), &mut options)?;
                families.push(family);
            }
            None => {
                let (changed, is_any) = attributes(table, &mut options)?;
                table = changed;
                if !is_any && splits_at.is_none() {
                    let expected = "expected NAME => 'family', SPLITS => ['row'], or attributes of the table";
                    return Err(Stop::At(value.at, expected.into()));
                }
            }
        }
        options.end()?;
    }
    if families.is_empty() {
        return Err(Stop::At(name_value.at, "a table must have at least one family".into()));
    }
    let mut names: Vec<&[u8]> = families.iter().map(Family::name).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("the family {} is given twice", StringBinary(pair[0]));
        return Err(Stop::At(name_value.at, message));
    }
    splits.sort_unstable();
    if let Some(pair) = splits.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("the split key {} is given twice", StringBinary(&pair[0]));
        return Err(Stop::At(splits_at.unwrap_or(name_value.at), message));
    }
    catalog.create(&name, &families.into_iter().fold(table, TableChanges::family), &splits)?;
    if !out.is_json() {
        writeln!(out, "Created table {name}\n=> Hbase::Table - {name}")?;
    }
    Ok(())
}

/// Takes the start rows of regions: `SPLITS => ['m']`, `SPLITS_FILE => 'splits.txt'` with a row in each line,
/// or `NUMREGIONS => 15, SPLITALGO => 'HexStringSplit'`.
fn split_rows(options: &mut Options<'_>) -> Result<Option<Vec<Vec<u8>>>, Stop> {
    let mut splits: Option<Vec<Vec<u8>>> = None;
    if let Some(list) = options.take("SPLITS") {
        let rows = list.list().iter().map(|split| split.escaped_bytes("a split key"));
        splits.get_or_insert_default().extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    if let Some(file) = options.take("SPLITS_FILE") {
        let path = PathBuf::from(file.text("the path of a file")?);
        if is_stdin(&path) {
            // the shell may be reading its commands from there
            return Err(Stop::At(file.at, "expected the path of a file, not standard input".into()));
        }
        splits.get_or_insert_default().extend(split_keys::read(&path, &Limits::default())?);
    }
    match (options.take("NUMREGIONS"), options.take("SPLITALGO")) {
        (None, None) => {}
        (Some(regions), Some(algorithm)) => {
            let name = algorithm.text("the name of an algorithm")?;
            let known = SplitAlgorithm::from_name(&name).ok_or_else(|| {
                let message = "expected HexStringSplit, DecimalStringSplit or UniformSplit";
                Stop::At(algorithm.at, message.into())
            })?;
            let count: u32 = regions.count("a number of regions")?;
            if !(2..=MAX_REGIONS).contains(&count) {
                return Err(Stop::At(regions.at, format!("expected from 2 to {MAX_REGIONS} regions")));
            }
            splits.get_or_insert_default().extend(known.split(count));
        }
        (Some(lone), None) | (None, Some(lone)) => {
            return Err(Stop::At(lone.at, "expected both NUMREGIONS and SPLITALGO".into()));
        }
    }
    Ok(splits)
}

/// Executes `get_table 't'`, whose result is assigned to a variable.
pub(super) fn get_table(
    catalog: &dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    if !catalog.has(&name)? {
        return Err(CommandError::no_such_table(&name).into());
    }
    if !out.is_json() {
        writeln!(out, "=> Hbase::Table - {name}")?;
    }
    Ok(())
}

/// Sets the given attributes of a family.
pub(super) fn family(mut family: Family, options: &mut Options<'_>) -> Result<Family, Stop> {
    if let Some(versions) = options.take("VERSIONS") {
        let versions: u32 = versions.count("a number of versions")?;
        family = family.max_versions(if versions >= i32::MAX.unsigned_abs() { u32::MAX } else { versions });
    }
    if let Some(versions) = options.take("MIN_VERSIONS") {
        family = family.min_versions(versions.count("a number of versions")?);
    }
    if let Some(ttl) = options.take("TTL") {
        let forever = ttl.text("seconds or FOREVER").is_ok_and(|ttl| ttl.eq_ignore_ascii_case("FOREVER"));
        let seconds: u64 =
            if forever { FOREVER } else { ttl.count_by("seconds or FOREVER", units::seconds)? };
        if !(1..=FOREVER).contains(&seconds) {
            return Err(Stop::At(ttl.at, format!("expected seconds from 1 to {FOREVER}, or FOREVER")));
        }
        family = family.ttl(Duration::from_secs(seconds));
    }
    if let Some(keep) = options.take("KEEP_DELETED_CELLS") {
        family = family.keep_deleted_cells(named(keep, |name| {
            KeepDeletedCells::from_name(name).ok_or_else(|| "expected TRUE, FALSE or TTL".into())
        })?);
    }
    if let Some(new) = options.take("NEW_VERSION_BEHAVIOR") {
        family = family.new_version_behavior(new.flag("true or false")?);
    }
    if let Some(encoding) = options.take("DATA_BLOCK_ENCODING") {
        family = family.data_block_encoding(named(encoding, settings::encoding)?);
    }
    if let Some(compression) = options.take("COMPRESSION") {
        family = family.codec(named(compression, settings::compression)?);
    }
    if let Some(cipher) = options.take("ENCRYPTION") {
        let expected = || "expected AES".to_owned();
        family = family.encryption(named(cipher, |name| Cipher::from_name(name).ok_or_else(expected))?);
    }
    if let Some(bytes) = options.take("BLOCKSIZE") {
        family = family.block_size(bytes.count_by("a number of bytes", units::bytes)?);
    }
    let configuration = options.take("CONFIGURATION");
    let mut length = None;
    if let Some(configuration) = configuration {
        (family, length) = configured(family, configuration)?;
    }
    if let Some(bloom) = options.take("BLOOMFILTER") {
        family = family.bloom(match (bloom.text("a Bloom filter")?.to_ascii_uppercase().as_str(), length) {
            ("NONE", _) => None,
            ("ROW", _) => Some(BloomType::Row),
            ("ROWCOL", _) => Some(BloomType::RowCol),
            ("ROWPREFIX_FIXED_LENGTH", Some(length)) => Some(BloomType::RowPrefixFixedLength(length)),
            _ => {
                let with = "ROWPREFIX_FIXED_LENGTH with \
                            CONFIGURATION => {'RowPrefixBloomFilter.prefix_length' => n}";
                return Err(Stop::At(bloom.at, format!("expected NONE, ROW, ROWCOL or {with}")));
            }
        });
    } else if let (Some(configuration), Some(_)) = (configuration, length) {
        let message = "expected BLOOMFILTER => 'ROWPREFIX_FIXED_LENGTH' with the length of a prefix";
        return Err(Stop::At(configuration.at, message.into()));
    }
    Ok(family)
}

/// The switches of a family. BLOCKCACHE, COMPRESS_TAGS and IS_MOB have an effect here, the others in HBase.
const FLAGS: [&str; 9] = [
    "BLOCKCACHE",
    "CACHE_BLOOMS_ON_WRITE",
    "CACHE_DATA_ON_WRITE",
    "CACHE_INDEX_ON_WRITE",
    "COMPRESS_TAGS",
    "EVICT_BLOCKS_ON_CLOSE",
    "IN_MEMORY",
    "IS_MOB",
    "PREFETCH_BLOCKS_ON_OPEN",
];
const NUMBERS: [&str; 3] = ["DFS_REPLICATION", "MOB_THRESHOLD", "REPLICATION_SCOPE"];
const NAMES: [(&str, &[&str]); 3] = [
    ("IN_MEMORY_COMPACTION", &["NONE", "BASIC", "EAGER", "ADAPTIVE"]),
    ("INDEX_BLOCK_ENCODING", &["NONE"]),
    ("MOB_COMPACT_PARTITION_POLICY", &["DAILY", "WEEKLY", "MONTHLY"]),
];
const CODECS: [&str; 3] = ["COMPRESSION_COMPACT", "COMPRESSION_COMPACT_MAJOR", "COMPRESSION_COMPACT_MINOR"];

/// Sets the given attributes of a family that a [`Family`] does not represent, and its metadata, which nil
/// and '' remove.
pub(super) fn family_attributes(
    mut changes: TableChanges,
    family: &[u8],
    options: &mut Options<'_>,
) -> Result<TableChanges, Stop> {
    let set = |changes: TableChanges, key: &str, value: String| {
        changes.set_family_attribute(family.to_vec(), key, value)
    };
    for key in FLAGS {
        if let Some(value) = options.take(key) {
            changes = set(changes, key, value.flag("true or false")?.to_string());
        }
    }
    for key in NUMBERS {
        if let Some(value) = options.take(key) {
            let number: u64 = value.count("a number")?;
            changes = set(changes, key, number.to_string());
        }
    }
    for (key, known) in NAMES {
        if let Some(value) = options.take(key) {
            let known = |name: &str| match known.contains(&name) {
                true => Ok(name.to_owned()),
                false => Err(format!("expected one of {}", known.join(", "))),
            };
            changes = set(changes, key, named(value, known)?);
        }
    }
    for key in CODECS {
        if let Some(value) = options.take(key) {
            changes = set(changes, key, named(value, settings::compression)?.name().to_owned());
        }
    }
    if let Some(value) = options.take("STORAGE_POLICY") {
        changes = set(changes, "STORAGE_POLICY", value.text("a name")?.to_ascii_uppercase());
    }
    if let Some(members) = options.take("METADATA") {
        for (key, value) in Options::of(Some(members))?.members() {
            changes = match value.is_nothing() {
                true => changes.unset_family_attribute(family.to_vec(), key),
                false => set(changes, &key, value.text("a value")?),
            };
        }
    }
    Ok(changes)
}

/// Sets keys of a family's configuration; nil and '' remove them. Returns the prefix length of a Bloom
/// filter, which is one of them.
fn configured(mut family: Family, configuration: &Value) -> Result<(Family, Option<u32>), Stop> {
    let mut members = Options::of(Some(configuration))?;
    let length = members.take("RowPrefixBloomFilter.prefix_length").map(|length| length.count("a length"));
    for (key, value) in members.members() {
        let value = if value.is_nothing() { String::new() } else { value.text("a value")? };
        family = family.configuration(key, value);
    }
    Ok((family, length.transpose()?))
}

fn named<T>(value: &Value, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Stop> {
    let name = match &value.kind {
        ValueKind::Flag(flag) => flag.to_string(),
        _ => value.text("a name")?,
    };
    parse(&name.to_ascii_uppercase()).map_err(|message| Stop::At(value.at, message))
}

/// Executes `describe 't'`.
pub(super) fn describe(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    let state = if catalog.is_enabled(&name)? { "ENABLED" } else { "DISABLED" };
    let table = catalog.described(&name)?;
    let description = table.description.as_ref();
    let families = description.map(TableDescription::families).unwrap_or_default();
    let families: Vec<String> = families.iter().map(ToString::to_string).collect();
    if out.is_json() {
        out.json_line(&json!({
            "table": name,
            "regions": table.regions.len(),
            "attributes": description.map(TableDescription::attributes),
            "families": families,
        }))?;
        return Ok(());
    }
    let shown = description.map_or_else(|| name.clone(), ToString::to_string);
    writeln!(out, "Table {name} is {state}\n{shown}\nCOLUMN FAMILIES DESCRIPTION")?;
    for family in &families {
        writeln!(out, "{family}\n")?;
    }
    writeln!(out, "{} row(s)", families.len())?;
    Ok(())
}

/// Executes `list`, or `list 'us.*'`: the tables with a name, or with names that start with a prefix. HBase's
/// own tables must be asked for: `list 'hbase:.*'`.
pub(super) fn list(catalog: &dyn Catalog, values: &mut Arguments<'_>, out: &mut Output) -> Result<(), Stop> {
    let pattern = values.next();
    values.end()?;
    let mut names = catalog.names()?;
    if let Some(pattern) = pattern {
        let text = pattern.text("the name of a table")?;
        if text.starts_with("hbase:") {
            names = catalog.system_names()?;
        }
        let wanted = wanted(&text)
            .ok_or_else(|| Stop::At(pattern.at, "expected a name, or a prefix and .*".into()))?;
        let is_wanted = |name: &str| match wanted {
            SchemaRequest::Name(wanted) => name == wanted,
            SchemaRequest::Prefix(prefix) => name.starts_with(prefix),
        };
        // as in HBase, the default namespace may be named
        names.retain(|name| {
            is_wanted(&name.to_string()) || is_wanted(&format!("{}:{}", name.namespace(), name.qualifier()))
        });
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    if out.is_json() {
        return Ok(names.iter().try_for_each(|name| out.json_line(&json!({ "table": name })))?);
    }
    writeln!(out, "TABLE")?;
    for name in &names {
        writeln!(out, "{name}")?;
    }
    writeln!(out, "{} row(s)", names.len())?;
    Ok(put_array(&names, out)?)
}

enum SchemaRequest<'p> {
    Name(&'p str),
    Prefix(&'p str),
}

/// Parses a pattern for names; only names and `prefix.*` are supported.
fn wanted(pattern: &str) -> Option<SchemaRequest<'_>> {
    let is_plain = |text: &str| !text.contains(['*', '+', '?', '[', '(', '|', '\\', '^', '$']);
    match pattern.strip_suffix(".*") {
        Some(prefix) => is_plain(prefix).then_some(SchemaRequest::Prefix(prefix)),
        None => is_plain(pattern).then_some(SchemaRequest::Name(pattern)),
    }
}

/// Executes `exists 't'`.
pub(super) fn exists(
    catalog: &dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    let exists = catalog.has(&name)?;
    if out.is_json() {
        out.json_line(&json!({ "exists": exists }))?;
    } else {
        writeln!(out, "Table {name} does {}exist\n=> {exists}", if exists { "" } else { "not " })?;
    }
    Ok(())
}

/// Executes `list_regions 't'`.
pub(super) fn list_regions(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    let table = catalog.described(&name)?;
    if !out.is_json() {
        writeln!(out, "REGION_NAME | START_KEY | END_KEY")?;
    }
    for info in &table.regions {
        if out.is_json() {
            out.json_line(&region_json(info))?;
        } else {
            let (start, end) = (StringBinary(info.start_key()), StringBinary(info.end_key()));
            writeln!(out, "{info} | {start} | {end}")?;
        }
    }
    if !out.is_json() {
        writeln!(out, "{} row(s)", table.regions.len())?;
    }
    Ok(())
}

/// Executes `get_splits 't'`.
pub(super) fn splits(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    let regions = catalog.described(&name)?.regions;
    let splits: Vec<String> =
        regions.iter().skip(1).map(|region| StringBinary(region.start_key()).to_string()).collect();
    if out.is_json() {
        out.json_line(&json!({ "splits": splits }))?;
        return Ok(());
    }
    writeln!(out, "Total number of splits = {}", regions.len())?;
    Ok(put_array(&splits, out)?)
}
