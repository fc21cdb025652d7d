//! Names of store files, and where they lead: half files after a split, links, and references to links
//! (hfile.md §15.3 to §15.5; HBase: `StoreFileInfo`, `Reference`, `HFileLink`).
#![warn(clippy::indexing_slicing)]

use super::file::FilePlace;
use crate::cell::{CellKey, CellOrder, SeekKey};
use crate::coding::Cursor;
use crate::error::{Corruption, Error, Result};
use crate::io::{DirEntry, Storage, read_file};
use crate::proto;
use crate::schema::TableName;
use prost::Message;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which cells of a file count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The key at which the file is cut: mostly the first one of a row.
    pub(crate) split_key: SeekKey,
    pub(crate) half: Half,
}

/// Which half of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Half {
    /// The cells from the split key on.
    Top,
    /// The cells before the split key.
    Bottom,
}

impl Reference {
    /// Reads the content of a reference file: "PBUF" and a message that is not delimited; or, before 0.96, a boolean that
    /// is true for the top, and the split key.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Corruption> {
        if let Some(message) = bytes.strip_prefix(proto::MAGIC) {
            let message = proto::region::Reference::decode(message)
                .map_err(|_| Corruption::Malformed("reference that is no Reference message"))?;
            return Self::from_proto(&message);
        }
        let mut cursor = Cursor::new(bytes);
        let half = if cursor.u8("half of a reference")? == 0 { Half::Bottom } else { Half::Top };
        let split_key = CellKey::new(cursor.vbytes("split key of a reference")?)?;
        cursor.finish("bytes behind a reference")?;
        Ok(Self { split_key: SeekKey::from(split_key), half })
    }

    /// Whether it is the lower half that counts, and a key is behind it.
    pub(super) fn ends_before(&self, key: &CellKey, order: CellOrder) -> bool {
        self.half == Half::Bottom && order.compare(key, &self.split_key).is_ge()
    }

    pub(super) fn from_proto(message: &proto::region::Reference) -> Result<Self, Corruption> {
        let half = match message.range {
            Some(0) => Half::Top,
            Some(1) => Half::Bottom,
            Some(other) => {
                return Err(Corruption::Unknown { what: "half of a reference", value: other.into() });
            }
            None => return Err(Corruption::Malformed("reference that does not say which half")),
        };
        let key =
            message.splitkey.as_deref().ok_or(Corruption::Malformed("reference without a split key"))?;
        Ok(Self { split_key: SeekKey::from(CellKey::new(key)?), half })
    }
}

/// What the name of a store file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileName<'n> {
    /// A file, all of it.
    Whole(Target<'n>),
    /// A file that is a reference to another, in the same family of a region.
    Reference(Target<'n>, &'n str),
}

/// The file that is meant in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'n> {
    /// An HFile.
    HFile(&'n str),
    /// A link to an HFile, wherever that is by now.
    Link { table: TableName, region: &'n str, file: &'n str },
}

impl<'n> FileName<'n> {
    /// What a name says; none if no store file is called so.
    pub(crate) fn parse(name: &'n str) -> Option<Self> {
        if let Some((file, region)) = name.rsplit_once('.')
            && is_hex(region)
            && let Some(target) = Target::parse(file)
        {
            return Some(Self::Reference(target, region));
        }
        Target::parse(name).map(Self::Whole)
    }

    /// Whether the file has no content of its own: its name says it all.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self, Self::Whole(Target::Link { .. }))
    }

    /// The file that is meant in the end.
    pub(crate) fn target(&self) -> &Target<'n> {
        match self {
            Self::Whole(target) | Self::Reference(target, _) => target,
        }
    }
}

impl<'n> Target<'n> {
    /// `[0-9a-f]+` with `_SeqId_<n>_` or `_del` behind, or `[<namespace>=]<table>=<region>-` and such a name.
    fn parse(name: &'n str) -> Option<Self> {
        if is_hfile(name) {
            return Some(Self::HFile(name));
        }
        let (table, rest) = name.rsplit_once('=')?;
        let (region, file) = rest.split_once('-')?;
        let table = match table.split_once('=') {
            Some((namespace, table)) => TableName::new(namespace, table),
            None => TableName::new(TableName::DEFAULT_NAMESPACE, table),
        };
        (is_hex(region) && is_hfile(file)).then_some(Self::Link { table: table.ok()?, region, file })
    }

    fn file(&self) -> &'n str {
        match self {
            Self::HFile(file) | Self::Link { file, .. } => file,
        }
    }
}

fn is_hex(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_hfile(name: &str) -> bool {
    let (hex, suffix) = name.split_at(name.find('_').unwrap_or(name.len()));
    let number = |suffix: &str| {
        let digits = suffix.strip_prefix("_SeqId_").and_then(|suffix| suffix.strip_suffix('_'));
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()))
    };
    is_hex(hex) && (suffix.is_empty() || suffix == "_del" || number(suffix))
}

/// `<md5 of the start key><yyyymmdd><uuid>`: a file of values that are too big for a store.
fn is_mob(name: &str) -> bool {
    let date = name.get(32..40).is_some_and(|date| date.bytes().all(|c| c.is_ascii_digit()));
    name.len() == 72 && is_hex(name) && date
}

/// A table's directory, and where the root of all is, if it is known: what links and references lead to.
#[derive(Clone, Debug)]
pub(crate) struct TablePlace {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) table: TableName,
    pub(crate) dir: PathBuf,
    pub(crate) root: Option<Root>,
}

/// A root directory of HBase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    /// Whether tables are under `data/<namespace>/`, as since 0.96.
    pub(crate) has_namespaces: bool,
}

impl Root {
    /// Where a table's files are, were put when they were no longer needed, and are while the table is made.
    fn tables(&self, table: &TableName) -> [PathBuf; 3] {
        if self.has_namespaces {
            let table = Path::new("data").join(table.namespace()).join(table.qualifier());
            [
                self.path.join(&table),
                self.path.join("archive").join(&table),
                self.path.join(".tmp").join(&table),
            ]
        } else {
            let table = table.qualifier();
            [
                self.path.join(table),
                self.path.join(".archive").join(table),
                self.path.join(".tmp").join(table),
            ]
        }
    }

    /// Where a table's files are put when they are no longer needed.
    pub(crate) fn archive(&self, table: &TableName) -> PathBuf {
        let [_, archive, _] = self.tables(table);
        archive
    }
}

/// A family's directory of a region.
#[derive(Clone, Debug)]
pub(crate) struct FamilyPlace {
    pub(crate) table: TablePlace,
    /// The region's directory, by name.
    pub(crate) region: String,
    pub(crate) family: String,
}

/// More than any reference has: a split key of the longest row.
const REFERENCE_BYTES: u64 = 1 << 20;

impl FamilyPlace {
    pub(crate) fn dir(&self) -> PathBuf {
        self.table.dir.join(&self.region).join(&self.family)
    }

    /// Finds what an entry of the directory leads to. `listed` is the reference as a list of files has it, which then need
    /// not be a file.
    pub(crate) fn resolve(&self, entry: &DirEntry, listed: Option<Reference>) -> Result<FilePlace> {
        let path = self.dir().join(&entry.name);
        let name = FileName::parse(&entry.name).ok_or_else(|| {
            Corruption::unknown_name("store file with a name like", entry.name.as_bytes()).at(&path, 0)
        })?;
        if is_mob(name.target().file()) {
            let corruption = Corruption::Unsupported {
                what: "file of values,",
                name: entry.name.clone().into(),
                hint: Some("MOB files are not read"),
            };
            return Err(corruption.at(&path, 0));
        }
        let (reference, parent) = match name {
            FileName::Whole(_) => (None, self.region.as_str()),
            FileName::Reference(_, parent) => {
                let reference = listed.map_or_else(|| self.read_reference(&path), Ok)?;
                (Some(reference), parent)
            }
        };
        let hfile = match name.target() {
            Target::HFile(_) if reference.is_none() => path,
            Target::HFile(file) => self.find(self.table.own_dirs(), parent, file, &path)?,
            Target::Link { table, region, file } => {
                self.find(self.table.dirs_of(table, &path)?, region, file, &path)?
            }
        };
        let modified_millis = entry.modified_millis;
        Ok(FilePlace { name: entry.name.clone(), path: hfile, reference, modified_millis })
    }

    fn read_reference(&self, path: &Path) -> Result<Reference> {
        let bytes = read_file(&*self.table.storage, path, REFERENCE_BYTES)?;
        Reference::parse(&bytes).map_err(|corruption| corruption.at(path, 0))
    }

    /// The first of some directories of tables that has a file; it is moved to the archive while others still refer to it.
    fn find(&self, tables: Vec<PathBuf>, region: &str, file: &str, from: &Path) -> Result<PathBuf> {
        for table in tables {
            let path = table.join(region).join(&self.family).join(file);
            match self.table.storage.open(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("open", &path, error)),
            }
        }
        let message = format!("{file} of region {region} is neither with its table nor in the archive");
        Err(Error::io("follow", from, io::Error::new(io::ErrorKind::NotFound, message)))
    }
}

impl TablePlace {
    fn own_dirs(&self) -> Vec<PathBuf> {
        let archive = self.root.as_ref().map(|root| root.archive(&self.table));
        [self.dir.clone()].into_iter().chain(archive).collect()
    }

    fn dirs_of(&self, table: &TableName, link: &Path) -> Result<Vec<PathBuf>> {
        match &self.root {
            Some(root) => Ok(root.tables(table).to_vec()),
            None => Err(Error::io(
                "follow",
                link,
                io::Error::new(io::ErrorKind::NotFound, "the region is not under a root directory"),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
