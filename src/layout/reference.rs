//! References: files that refer to one half of another file (hfile.md §15.4; HBase: `Reference`).
#![warn(clippy::indexing_slicing)]

use crate::cell::{CellKey, CellOrder, SeekKey};
use crate::coding::Cursor;
use crate::error::Corruption;
use crate::proto;
use crate::proto::seal;
use prost::Message;

/// The part of a file that a reference refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The key at which the file is split: the first key of a row, as written by HBase.
    pub(crate) split_key: SeekKey,
    pub(crate) half: Half,
}

/// A half of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Half {
    /// The cells at and after the split key.
    Top,
    /// The cells before the split key.
    Bottom,
}

impl Reference {
    /// Parses the content of a reference file: "PBUF" and a message that is not delimited; or, before 0.96, a
    /// boolean that is true for the top half, and the split key.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Corruption> {
        let is_sealed = seal::check(bytes)?;
        if let Some(message) = bytes.strip_prefix(proto::MAGIC) {
            if !is_sealed {
                seal::refuse_seal_in(message)?;
            }
            let message = proto::region::Reference::decode(message)
                .map_err(|_| Corruption::Malformed("reference that is not a Reference message"))?;
            return Self::from_proto(&message);
        }
        let mut cursor = Cursor::new(bytes);
        let half = if cursor.u8("half of a reference")? == 0 { Half::Bottom } else { Half::Top };
        let split_key = CellKey::new(cursor.vbytes("split key of a reference")?)?;
        cursor.finish("bytes after a reference")?;
        Ok(Self { split_key: SeekKey::from(split_key), half })
    }

    /// Returns the content of a reference file, as HBase writes it since 0.96 but for the seal.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut file = [proto::MAGIC.as_slice(), &self.to_proto().encode_to_vec()].concat();
        seal::seal(&mut file);
        file
    }

    /// Whether the reference is to the bottom half, and `key` is after its end.
    pub(crate) fn ends_before(&self, key: &CellKey, order: CellOrder) -> bool {
        self.half == Half::Bottom && order.compare(key, &self.split_key).is_ge()
    }

    pub(super) fn to_proto(&self) -> proto::region::Reference {
        let range = match self.half {
            Half::Top => 0,
            Half::Bottom => 1,
        };
        let splitkey = Some(self.split_key.as_bytes().to_vec());
        proto::region::Reference { splitkey, range: Some(range) }
    }

    pub(super) fn from_proto(message: &proto::region::Reference) -> Result<Self, Corruption> {
        let half = match message.range {
            Some(0) => Half::Top,
            Some(1) => Half::Bottom,
            Some(other) => {
                return Err(Corruption::Unknown { what: "half of a reference", value: other.into() });
            }
            None => return Err(Corruption::Malformed("reference without a half")),
        };
        let key =
            message.splitkey.as_deref().ok_or(Corruption::Malformed("reference without a split key"))?;
        Ok(Self { split_key: SeekKey::from(CellKey::new(key)?), half })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::CellType;
    use crate::layout::file_name::FileName;
    use proptest::prelude::*;
    use std::fs;
    use std::path::{Path, PathBuf};

    #[test]
    fn references_of_both_forms() {
        let split_key = SeekKey::first_on_row(b"row-0060");
        let of = |half| Reference { split_key: split_key.clone(), half };
        let key = split_key.as_bytes();
        let proto = |range: &[u8]| [b"PBUF\x0a\x14", key, range].concat();
        assert_eq!(Reference::parse(&proto(&[0x10, 1])), Ok(of(Half::Bottom)));
        assert_eq!(Reference::parse(&proto(&[0x10, 0])), Ok(of(Half::Top)));
        let sealed = |mut file: Vec<u8>| {
            seal::seal(&mut file);
            file
        };
        for (half, range) in [(Half::Bottom, 1), (Half::Top, 0)] {
            let file = of(half).to_bytes();
            assert_eq!((&file, Reference::parse(&file)), (&sealed(proto(&[0x10, range])), Ok(of(half))));
            assert!(Reference::parse(&[&file[..], &[0x10, range]].concat()).is_err());
        }
        assert!(Reference::parse(&proto(&[])).is_err() && Reference::parse(&proto(&[0x10, 2])).is_err());
        assert!(Reference::parse(b"PBUF\x10\x01").is_err() && Reference::parse(b"PBUF").is_err());
        let old = |half: &[u8]| [half, &[20], key].concat();
        assert_eq!(Reference::parse(&old(&[0])), Ok(of(Half::Bottom)));
        assert_eq!(Reference::parse(&old(&[0xff])), Ok(of(Half::Top)));
        assert!(Reference::parse(b"").is_err());
        assert!(Reference::parse(&[old(&[0]), vec![0]].concat()).is_err());
    }

    /// Adds the reference files below a directory.
    fn add_references(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap_or_default());
            if entry.file_type().unwrap().is_dir() {
                add_references(&path, found);
            } else if let Some(FileName::Reference(..)) = FileName::parse(&name) {
                found.push(path);
            }
        }
    }

    #[test]
    fn references_are_written_as_hbase_writes_them() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = Vec::new();
        add_references(&root.join("testdata"), &mut paths);
        if let golden = root.join("../shared/golden/cluster/tables")
            && golden.exists()
        {
            add_references(&golden, &mut paths);
        }
        let mut halves = [0, 0];
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            if !bytes.starts_with(proto::MAGIC) {
                continue; // of an old version
            }
            let reference = Reference::parse(&bytes).unwrap();
            halves[usize::from(reference.half == Half::Top)] += 1;
            let mut sealed = bytes;
            seal::seal(&mut sealed);
            assert_eq!(reference.to_bytes(), sealed, "{}", path.display());
            let row = reference.split_key.row();
            assert_eq!(SeekKey::first_on_row(row).as_bytes(), reference.split_key.as_bytes());
        }
        assert!(halves[0] >= 4 && halves[1] >= 4, "{halves:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, flip: usize) {
            let _ = Reference::parse(&bytes);
            let _ = Reference::parse(&[b"PBUF", &bytes[..]].concat());
            let key = SeekKey::of(b"row", b"", b"", 5, CellType::Maximum);
            let mut sound = [b"PBUF\x0a\x0f", key.as_bytes(), &[0x10, 1]].concat();
            let bits = sound.len() * 8;
            sound[flip % bits / 8] ^= 1 << (flip % 8);
            let _ = Reference::parse(&sound);
        }
    }
}
