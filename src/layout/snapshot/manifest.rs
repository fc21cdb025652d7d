//! Reads and writes the manifest of a snapshot: a `SnapshotDataManifest`, or one `SnapshotRegionManifest` for
//! each region.
//!
//! Messages that occur in any number are read one by one, and each must have a name, so that a manifest takes
//! memory in proportion to its size.
#![warn(clippy::indexing_slicing)]

use crate::error::{Corruption, Error, Result};
use crate::layout::file_name::FileName;
use crate::layout::mob::is_mob_region;
use crate::layout::reference::Reference;
use crate::proto;
use crate::proto::seal;
use crate::proto::wire::{Fields, Value, put_bytes};
use crate::schema::{RegionInfo, SnapshotDescription, TableDescriptor, is_legal_name};
use prost::Message;
use std::collections::BTreeMap;

/// The field of a `SnapshotDataManifest` with a copy of the snapshot's description, which has no seal: HBase
/// rewrites it.
const DESCRIPTION: u32 = 1001;

/// The manifest of a whole snapshot.
#[derive(Debug)]
pub(super) struct DataManifest {
    /// The description of the snapshot when it was taken, if the manifest has a seal.
    pub(super) description: Option<SnapshotDescription>,
    pub(super) descriptor: TableDescriptor,
    pub(super) regions: Vec<SnapshotRegion>,
}

/// A region of a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SnapshotRegion {
    pub(crate) info: RegionInfo,
    /// The store files of each family, by name.
    pub(super) families: BTreeMap<Box<str>, Vec<SnapshotFile>>,
}

/// A store file of a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SnapshotFile {
    /// The name in the family's directory: valid for a store file.
    pub(super) name: Box<str>,
    /// The content of a reference; `None` for other files, and if only the reference's file has it.
    pub(super) reference: Option<Box<Reference>>,
    /// The length in bytes of the HFile, after links and references have been followed.
    pub(super) size: Option<u64>,
}

impl SnapshotRegion {
    /// Creates a region without store files.
    pub(crate) fn new(info: RegionInfo) -> Self {
        Self { info, families: BTreeMap::new() }
    }

    /// Whether the region was split, and serves no rows.
    pub(super) fn is_parent(&self) -> bool {
        self.info.is_offline() && self.info.is_split()
    }

    /// Whether the region has rows of its own: it is not a parent, a replica, or the region of the MOB files.
    pub(super) fn serves(&self) -> bool {
        !self.is_parent() && self.info.replica_id() == 0 && !is_mob_region(&self.info)
    }

    /// Adds a family without store files, unless it exists, and returns its name.
    ///
    /// # Errors
    ///
    /// If the name is not UTF-8.
    pub(crate) fn add_family<'n>(&mut self, name: &'n [u8]) -> Result<&'n str> {
        let name = std::str::from_utf8(name).map_err(|_| {
            Error::not_supported("a snapshot of a family whose name is not UTF-8 is not supported")
        })?;
        self.families.entry(name.into()).or_default();
        Ok(name)
    }

    /// Adds a store file. `len` is the length of the whole HFile, even for a reference.
    pub(crate) fn add(&mut self, family: &str, name: &str, len: u64, reference: Option<&Reference>) {
        let reference = reference.cloned().map(Box::new);
        let file = SnapshotFile { name: name.into(), reference, size: Some(len) };
        self.families.entry(family.into()).or_default().push(file);
    }

    /// Returns the content of a `region-manifest.<region>`.
    pub(super) fn to_message(&self) -> Vec<u8> {
        let mut message = Vec::new();
        put_bytes(&mut message, 2, &self.info.to_message());
        for (family, files) in &self.families {
            let mut family_files = Vec::new();
            put_bytes(&mut family_files, 1, family.as_bytes());
            for file in files {
                let reference = file.reference.as_ref().map(|reference| reference.to_proto());
                let name = Some(file.name.clone().into_string());
                let file = proto::snapshot::StoreFile { name, reference, file_size: file.size };
                put_bytes(&mut family_files, 2, &file.encode_to_vec());
            }
            put_bytes(&mut message, 3, &family_files);
        }
        message
    }
}

/// Returns the content of a `data.manifest`, with a seal.
pub(super) fn data_manifest(
    description: &SnapshotDescription,
    descriptor: &TableDescriptor,
    regions: &[SnapshotRegion],
) -> Vec<u8> {
    let mut manifest = Vec::new();
    put_bytes(&mut manifest, 1, &descriptor.to_message());
    regions.iter().for_each(|region| put_bytes(&mut manifest, 2, &region.to_message()));
    put_bytes(&mut manifest, DESCRIPTION, &description.to_message());
    seal::seal(&mut manifest);
    manifest
}

/// Returns the description of the snapshot in a `data.manifest`; `None` if it has no seal. Checks nothing
/// else.
pub(super) fn sealed_description(bytes: &[u8]) -> Result<Option<SnapshotDescription>, Corruption> {
    if !seal::check(bytes)? {
        return seal::refuse_seal_in(bytes).map(|()| None);
    }
    let mut description = None;
    for field in Fields::new(bytes) {
        if let (DESCRIPTION, value) = field? {
            set_once(&mut description, value, "snapshot manifest with two descriptions")?;
        }
    }
    let missing = Corruption::Malformed("snapshot manifest with a seal, and without a description");
    // The name is the directory's, and not compared.
    SnapshotDescription::parse("", description.ok_or(missing)?).map(Some)
}

impl DataManifest {
    /// Reads the content of a `data.manifest`: a message without a prefix.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Corruption> {
        let description = sealed_description(bytes)?;
        let mut schema = None;
        for field in Fields::new(bytes) {
            if let (1, value) = field? {
                set_once(&mut schema, value, "snapshot manifest with two table descriptors")?;
            }
        }
        let schema = schema.ok_or(Corruption::Malformed("snapshot manifest without a table descriptor"))?;
        let descriptor = TableDescriptor::parse(schema)?;
        let mut regions = Vec::new();
        for field in Fields::new(bytes) {
            if let (2, value) = field? {
                regions.push(parse_region_manifest(message(value)?)?);
            }
        }
        Ok(Self { description, descriptor, regions })
    }
}

/// Reads the content of a `region-manifest.<region>`: a message without a prefix.
pub(super) fn parse_region_manifest(bytes: &[u8]) -> Result<SnapshotRegion, Corruption> {
    let (mut info, mut families) = (None, BTreeMap::<Box<str>, Vec<SnapshotFile>>::new());
    for field in Fields::new(bytes) {
        match field? {
            (2, value) => set_once(&mut info, value, "region manifest with two region infos")?,
            (3, value) => {
                let (family, mut files) = parse_family(message(value)?)?;
                families.entry(family).or_default().append(&mut files);
            }
            _ => {}
        }
    }
    let info = info.ok_or(Corruption::Malformed("region manifest without a region info"))?;
    for files in families.values_mut() {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        if !files.is_sorted_by(|a, b| a.name < b.name) {
            return Err(Corruption::Malformed("region manifest with a store file twice"));
        }
    }
    Ok(SnapshotRegion { info: RegionInfo::parse(info)?, families })
}

/// Reads a `FamilyFiles` message.
fn parse_family(bytes: &[u8]) -> Result<(Box<str>, Vec<SnapshotFile>), Corruption> {
    let (mut name, mut files) = (None, Vec::new());
    for field in Fields::new(bytes) {
        match field? {
            (1, value) => set_once(&mut name, value, "family of a snapshot with two names")?,
            (2, value) => files.push(parse_file(message(value)?)?),
            _ => {}
        }
    }
    let name = name.ok_or(Corruption::Malformed("family of a snapshot without a name"))?;
    // Another name could lead out of the region's directory.
    let legal = std::str::from_utf8(name).ok().filter(|_| is_legal_name(name));
    let legal = legal.ok_or_else(|| Corruption::unknown_name("family with a name like", name))?;
    Ok((legal.into(), files))
}

/// Reads a `StoreFile` message.
fn parse_file(bytes: &[u8]) -> Result<SnapshotFile, Corruption> {
    let file = proto::snapshot::StoreFile::decode(bytes)
        .map_err(|_| Corruption::Malformed("store file of a snapshot that is not a StoreFile message"))?;
    let name = file.name.ok_or(Corruption::Malformed("store file of a snapshot without a name"))?;
    // Another name could lead out of the family's directory.
    let is_reference = match FileName::parse(&name) {
        Some(parsed) => matches!(parsed, FileName::Reference(..)),
        None => return Err(Corruption::unknown_name("store file with a name like", name.as_bytes())),
    };
    let reference = file.reference.as_ref().map(Reference::from_proto).transpose()?.map(Box::new);
    if reference.is_some() && !is_reference {
        return Err(Corruption::Malformed("store file of a snapshot that is a reference but not named so"));
    }
    Ok(SnapshotFile { name: name.into_boxed_str(), reference, size: file.file_size })
}

/// Returns the bytes of a field that is a message or a string of bytes.
fn message(value: Value<'_>) -> Result<&[u8], Corruption> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(Corruption::Malformed("snapshot manifest with a number in place of a message")),
    }
}

/// Sets the value of a field that occurs at most once.
fn set_once<'m>(
    field: &mut Option<&'m [u8]>,
    value: Value<'m>,
    twice: &'static str,
) -> Result<(), Corruption> {
    match field.replace(message(value)?) {
        None => Ok(()),
        Some(_) => Err(Corruption::Malformed(twice)),
    }
}
