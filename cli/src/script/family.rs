//! The region of a script, and its families (replay.md §3).

use super::members::{Members, required};
use super::overrides::Override;
use crate::settings;
use hregion::{
    BloomType, Codec, DataBlockEncoding, Family, HFileWriter, HFileWriterOptions, KeepDeletedCells,
};
use std::time::Duration;

/// The first line of a script.
#[derive(Debug)]
pub(super) struct Create {
    pub(super) table: Option<String>,
    pub(super) now: i64,
    pub(super) start_key: Vec<u8>,
    pub(super) end_key: Vec<u8>,
    /// At least one.
    pub(super) families: Vec<FamilySettings>,
}

impl Create {
    pub(super) fn parse(members: &mut Members) -> Result<Self, String> {
        let families = members.list_of("families", FamilySettings::parse)?.unwrap_or_default();
        if families.is_empty() {
            return Err("families: expected one or more".into());
        }
        Ok(Self {
            table: members.text("table")?,
            now: required(members.number("now")?, "now")?,
            start_key: members.bytes("start_key")?.unwrap_or_default(),
            end_key: members.bytes("end_key")?.unwrap_or_default(),
            families,
        })
    }
}

/// A script's settings of a family.
#[derive(Clone, Debug)]
pub(super) struct FamilySettings {
    pub(super) name: Vec<u8>,
    versions: u32,
    min_versions: u32,
    ttl: Option<u32>,
    keep_deleted_cells: KeepDeletedCells,
    new_version_behavior: bool,
    pub(super) bloom: Option<BloomType>,
    pub(super) encoding: DataBlockEncoding,
    pub(super) codec: Codec,
    pub(super) block_size: u32,
}

const BLOCK_SIZE: u32 = 64 << 10;

impl FamilySettings {
    fn parse(value: serde_json::Value) -> Result<Self, String> {
        let mut members = Members::of(value, "a family")?;
        let bloom = members.text("bloom")?;
        let prefix_length = count(&mut members, "prefix_length")?;
        let family = Self {
            name: required(members.bytes("name")?, "name")?,
            versions: count(&mut members, "versions")?.map_or(1, all_if_max),
            min_versions: count(&mut members, "min_versions")?.unwrap_or(0),
            ttl: count(&mut members, "ttl")?,
            keep_deleted_cells: named(&mut members, "keep_deleted_cells", |name| {
                KeepDeletedCells::from_name(name).ok_or_else(|| "expected FALSE, TRUE or TTL".into())
            })?,
            new_version_behavior: members.flag("new_version_behavior", false)?,
            bloom: bloom_type(bloom.as_deref(), prefix_length)
                .map_err(|message| format!("bloom: {message}"))?,
            encoding: named(&mut members, "encoding", settings::encoding)?,
            codec: named(&mut members, "compression", settings::compression)?,
            block_size: count(&mut members, "block_size")?.unwrap_or(BLOCK_SIZE),
        };
        members.end()?;
        Ok(family)
    }

    /// Applies the overrides to the settings.
    pub(super) fn with(mut self, overrides: &[Override]) -> Self {
        overrides.iter().for_each(|one| one.apply(&mut self));
        self
    }

    /// Returns the family for the region.
    pub(super) fn family(&self) -> Family {
        let family = Family::new(self.name.clone())
            .max_versions(self.versions)
            .min_versions(self.min_versions)
            .keep_deleted_cells(self.keep_deleted_cells)
            .new_version_behavior(self.new_version_behavior)
            .bloom(self.bloom)
            .data_block_encoding(self.encoding)
            .codec(self.codec)
            .block_size(self.block_size);
        match self.ttl {
            Some(seconds) => family.ttl(Duration::from_secs(seconds.into())),
            None => family,
        }
    }

    /// Returns the options with which a job would write a file for the family.
    pub(super) fn file_options(&self) -> HFileWriterOptions {
        HFileWriter::options()
            .tags(true)
            .mvcc(true)
            .bloom(self.bloom)
            .data_block_encoding(self.encoding)
            .codec(self.codec)
            .block_size(usize::try_from(self.block_size).unwrap_or(usize::MAX))
    }
}

/// Maps the number that means all versions to `u32::MAX`.
pub(super) fn all_if_max(versions: u32) -> u32 {
    if versions == i32::MAX.unsigned_abs() { u32::MAX } else { versions }
}

/// Takes a non-negative number.
pub(super) fn count(members: &mut Members, name: &str) -> Result<Option<u32>, String> {
    let Some(number) = members.number(name)? else { return Ok(None) };
    let count = u32::try_from(number).ok().filter(|&count| i32::try_from(count).is_ok());
    count.map(Some).ok_or_else(|| format!("{name}: expected a number from 0 to {}", i32::MAX))
}

fn named<T: Default>(
    members: &mut Members,
    member: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    match members.text(member)? {
        Some(name) => parse(&name).map_err(|message| format!("{member}: {message}")),
        None => Ok(T::default()),
    }
}

fn bloom_type(name: Option<&str>, prefix_length: Option<u32>) -> Result<Option<BloomType>, String> {
    match (name, prefix_length) {
        (None | Some("ROW"), None) => Ok(Some(BloomType::Row)),
        (Some("ROWCOL"), None) => Ok(Some(BloomType::RowCol)),
        (Some("NONE"), None) => Ok(None),
        (Some("ROWPREFIX_FIXED_LENGTH"), Some(length)) => Ok(Some(BloomType::RowPrefixFixedLength(length))),
        _ => Err("expected NONE, ROW, ROWCOL, or ROWPREFIX_FIXED_LENGTH with prefix_length".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn create(families: serde_json::Value) -> Result<Create, String> {
        let mut members = Members::of(json!({"now": 1000, "families": families}), "it")?;
        let create = Create::parse(&mut members)?;
        members.end()?;
        Ok(create)
    }

    #[test]
    fn families_have_the_defaults_of_the_format() {
        let create = create(json!([{"name": "f"}])).unwrap();
        assert_eq!((create.now, create.start_key, create.end_key), (1000, vec![], vec![]));
        assert_eq!(create.families[0].family(), Family::new("f"));
    }

    #[test]
    fn families_have_the_settings_of_the_script() {
        let create = create(json!([{"name": "f", "versions": 2_147_483_647, "min_versions": 2, "ttl": 5,
            "keep_deleted_cells": "TTL", "new_version_behavior": true, "bloom": "ROWPREFIX_FIXED_LENGTH",
            "prefix_length": 3, "encoding": "FAST_DIFF", "compression": "GZ", "block_size": 64}]));
        let expected = Family::new("f")
            .max_versions(u32::MAX)
            .min_versions(2)
            .ttl(Duration::from_secs(5))
            .keep_deleted_cells(KeepDeletedCells::Ttl)
            .new_version_behavior(true)
            .bloom(BloomType::RowPrefixFixedLength(3))
            .data_block_encoding(DataBlockEncoding::FastDiff)
            .codec(Codec::Gz)
            .block_size(64);
        let family = create.unwrap().families.remove(0);
        assert_eq!(family.family(), expected);
        let overrides = ["bloom=NONE", "encoding=NONE", "compression=NONE", "block_size=99"];
        let overrides = overrides.map(|text| text.parse().unwrap());
        let expected = expected
            .bloom(None)
            .data_block_encoding(DataBlockEncoding::None)
            .codec(Codec::None)
            .block_size(99);
        assert_eq!(family.with(&overrides).family(), expected);
    }

    #[test]
    fn invalid_family_settings_are_rejected() {
        for wrong in [
            json!([]),
            json!([{}]),
            json!([{"name": "f", "version": 1}]),
            json!([{"name": "f", "versions": -1}]),
            json!([{"name": "f", "bloom": "ROWPREFIX_FIXED_LENGTH"}]),
            json!([{"name": "f", "bloom": "ROW", "prefix_length": 1}]),
            json!([{"name": "f", "encoding": "DIFFERENT"}]),
            json!([{"name": "f", "keep_deleted_cells": true}]),
            json!({"f": 1}),
        ] {
            assert!(create(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
