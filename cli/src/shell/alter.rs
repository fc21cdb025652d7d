//! `alter`: families and settings of a table.

use super::catalog::Catalog;
use super::command::Arguments;
use super::options::Options;
use super::schema::{family, family_attributes};
use super::session::Stop;
use super::units;
use super::value::Value;
use crate::output::Output;
use hregion::{Family, TableChanges};
use std::io::Write as _;

/// The attributes of a table that `alter` sets.
pub(super) const ATTRIBUTES: &[&str] = &[
    "COMPACTION_ENABLED",
    "DURABILITY",
    "FLUSH_POLICY",
    "MAX_FILESIZE",
    "MEMSTORE_FLUSHSIZE",
    "MERGE_ENABLED",
    "NORMALIZATION_ENABLED",
    "NORMALIZER_TARGET_REGION_COUNT",
    "NORMALIZER_TARGET_REGION_SIZE_MB",
    "PRIORITY",
    "READONLY",
    "REGION_MEMSTORE_REPLICATION",
    "REGION_REPLICATION",
    "SPLIT_ENABLED",
    "SPLIT_POLICY",
];

/// Executes `alter 't', NAME => 'f', VERSIONS => 5`, `alter 't', 'delete' => 'f'`,
/// `alter 't', DURABILITY => 'SYNC_WAL'` and others.
pub(super) fn alter(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    let first = values.required("a family, or a hash of changes")?;
    let mut families = catalog.current_families(&name)?;
    let mut changes = TableChanges::new();
    for value in [first].into_iter().chain(values.rest()) {
        changes = change(catalog, &name, changes, value, &mut families)?;
    }
    let regions = catalog.alter(&name, &changes)?;
    if !out.is_json() {
        writeln!(
            out,
            "Updating all regions with the new schema...\n{regions}/{regions} regions updated.\nDone."
        )?;
    }
    Ok(())
}

/// Adds the changes of one value, to `families` as well: the next value may change the same family.
fn change(
    catalog: &mut dyn Catalog,
    table: &str,
    changes: TableChanges,
    value: &Value,
    families: &mut Vec<Family>,
) -> Result<TableChanges, Stop> {
    if !value.is_hash() {
        return Ok(changes.family(known(&value.text("the name of a family")?, families)));
    }
    let mut options = Options::of(Some(value))?;
    if let Some(name) = options.take("delete") {
        options.end()?;
        return Ok(changes.delete_family(name.bytes("the name of a family")?));
    }
    let method = options.take("METHOD");
    let method_name = method.map(|method| method.text("a method")).transpose()?.unwrap_or_default();
    let name = options.take("NAME");
    match (method_name.as_str(), name) {
        ("delete", Some(name)) => {
            options.end()?;
            Ok(changes.delete_family(name.bytes("the name of a family")?))
        }
        ("table_att_unset" | "table_conf_unset", Some(names)) => {
            options.end()?;
            unset(catalog, table, changes, names.list())
        }
        ("", Some(name)) => {
            let family = family(known(&name.text("the name of a family")?, families), &mut options)?;
            let changes = family_attributes(changes, family.name(), &mut options)?;
            options.end()?;
            families.retain(|other| other.name() != family.name());
            families.push(family.clone());
            Ok(changes.family(family))
        }
        ("" | "table_att", None) => {
            let (changes, is_any) = attributes(changes, &mut options)?;
            options.end()?;
            let expected = "expected NAME => 'family', or attributes of the table";
            if is_any { Ok(changes) } else { Err(Stop::At(value.at, expected.into())) }
        }
        _ => Err(Stop::At(
            method.map_or(value.at, |method| method.at),
            "expected METHOD => 'delete', 'table_att_unset' or 'table_conf_unset' with a NAME, or \
             'table_att' without"
                .into(),
        )),
    }
}

/// Removes attributes of a table. One that it does not have may be mistyped, and is an error, as in HBase's
/// shell.
fn unset(
    catalog: &mut dyn Catalog,
    table: &str,
    mut changes: TableChanges,
    names: &[Value],
) -> Result<TableChanges, Stop> {
    let description = catalog.described(table)?.description;
    for value in names {
        let name = value.text("an attribute")?;
        if description.as_ref().is_some_and(|known| !known.attributes().contains_key(&name)) {
            let message = format!("the table has no attribute {name}; `describe` shows those that it has");
            return Err(Stop::At(value.at, message));
        }
        changes = changes.unset(name);
    }
    Ok(changes)
}

/// Returns the family of a name, or a new one.
fn known(name: &str, families: &[Family]) -> Family {
    let found = families.iter().find(|family| family.name() == name.as_bytes());
    found.cloned().unwrap_or_else(|| Family::new(name.to_owned()))
}

/// Sets attributes of a table, and keys of its configuration, which nil and '' remove. Returns whether there
/// are any.
pub(super) fn attributes(
    mut changes: TableChanges,
    options: &mut Options<'_>,
) -> Result<(TableChanges, bool), Stop> {
    let mut is_any = false;
    for name in ATTRIBUTES {
        if let Some(set) = options.take(name) {
            changes = changes.set(*name, attribute(name, set)?);
            is_any = true;
        }
    }
    for name in ["CONFIGURATION", "METADATA"] {
        let Some(members) = options.take(name) else { continue };
        for (key, set) in Options::of(Some(members))?.members() {
            changes = match set.is_nothing() {
                true => changes.unset(key),
                false => changes.set(key, set.text("a value")?),
            };
            is_any = true;
        }
    }
    Ok((changes, is_any))
}

/// Returns the value of an attribute; of a size with units, its bytes.
fn attribute(name: &str, value: &Value) -> Result<String, Stop> {
    let text = value.text("a value")?;
    let is_size = matches!(name, "MAX_FILESIZE" | "MEMSTORE_FLUSHSIZE");
    let bytes = if is_size { units::bytes(&text) } else { None };
    Ok(bytes.map_or(text, |bytes| bytes.to_string()))
}
