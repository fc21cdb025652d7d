//! The settings of a table or a family in its descriptor: attributes and configuration (hfile.md §15.1;
//! HBase: `TableDescriptorBuilder`, `ColumnFamilyDescriptorBuilder`).

use crate::binary::StringBinary;
use crate::error::{Corruption, Error, Result};
use crate::proto::hfile::BytesBytesPair;
use crate::proto::region::NameStringPair;
use crate::schema::{
    BloomType, Cipher, Codec, DataBlockEncoding, Family, FamilyDescription, KeepDeletedCells,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The prefix length of a family with a Bloom filter of row prefixes.
const PREFIX_LENGTH: &str = "RowPrefixBloomFilter.prefix_length";
const ENCRYPTION: &str = "ENCRYPTION";
const ENCRYPTION_KEY: &str = "ENCRYPTION_KEY";

/// The attributes represented in a [`Family`].
pub(super) const FAMILY_ATTRIBUTES: [&str; 11] = [
    "VERSIONS",
    "MIN_VERSIONS",
    "TTL",
    "KEEP_DELETED_CELLS",
    "NEW_VERSION_BEHAVIOR",
    "BLOOMFILTER",
    "DATA_BLOCK_ENCODING",
    "COMPRESSION",
    "BLOCKSIZE",
    ENCRYPTION,
    ENCRYPTION_KEY,
];

/// Keys and values as set. Attributes take precedence over the configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) attributes: Vec<BytesBytesPair>,
    pub(super) configuration: Vec<NameStringPair>,
}

impl Settings {
    /// Returns all settings of a family.
    pub(super) fn of(family: &Family) -> Self {
        let bloom = family.bloom.map_or("NONE", BloomType::name);
        // The greatest number in HBase, which means all versions.
        let versions = |versions: u32| versions.min(i32::MAX.cast_unsigned()).to_string();
        let attributes = [
            ("VERSIONS", versions(family.max_versions)),
            ("MIN_VERSIONS", versions(family.min_versions)),
            ("TTL", family.ttl.map_or_else(|| i32::MAX.to_string(), |seconds| seconds.to_string())),
            ("KEEP_DELETED_CELLS", family.keep_deleted_cells.name().to_owned()),
            ("NEW_VERSION_BEHAVIOR", family.new_version_behavior.to_string()),
            ("BLOOMFILTER", bloom.to_owned()),
            ("DATA_BLOCK_ENCODING", family.data_block_encoding.name().to_owned()),
            ("COMPRESSION", family.codec.name().to_owned()),
            ("BLOCKSIZE", family.block_size.to_string()),
        ];
        let attributes = attributes.map(|(key, value)| (key, value.into_bytes()));
        let encryption = family.encryption.map(|cipher| (ENCRYPTION, cipher.name().into()));
        let encryption_key = family.encryption_key.as_ref().map(|wrapped| (ENCRYPTION_KEY, wrapped.to_vec()));
        let attributes = attributes.into_iter().chain(encryption).chain(encryption_key);
        let pair = |(key, value): (&str, Vec<u8>)| BytesBytesPair {
            first: Some(key.as_bytes().to_vec()),
            second: Some(value),
        };
        let prefix = match family.bloom {
            Some(BloomType::RowPrefixFixedLength(len)) => Some(len.to_string()),
            _ => None,
        };
        let prefix = prefix.map(|len| (PREFIX_LENGTH.to_owned(), len));
        let others = family.configuration.iter().filter(|(key, _)| *key != PREFIX_LENGTH);
        let configuration = prefix.into_iter().chain(others.map(|(key, value)| (key.clone(), value.clone())));
        Self {
            attributes: attributes.map(pair).collect(),
            configuration: configuration
                .map(|(name, value)| NameStringPair { name: Some(name), value: Some(value) })
                .collect(),
        }
    }

    /// Sets an attribute or removes it, also from the configuration.
    pub(super) fn set(&mut self, key: &str, value: Option<&str>) {
        self.configuration.retain(|pair| pair.name.as_deref() != Some(key));
        self.attributes.retain(|pair| pair.first.as_deref() != Some(key.as_bytes()));
        let (first, second) = (Some(key.as_bytes().to_vec()), value.map(|value| value.as_bytes().to_vec()));
        self.attributes.extend(second.map(|second| BytesBytesPair { first, second: Some(second) }));
    }

    pub(super) fn attribute_texts(&self) -> BTreeMap<String, String> {
        let text = |bytes: &Option<Vec<u8>>| StringBinary(bytes.as_deref().unwrap_or_default()).to_string();
        self.attributes.iter().map(|pair| (text(&pair.first), text(&pair.second))).collect()
    }

    pub(super) fn configuration_texts(&self) -> BTreeMap<String, String> {
        let text =
            |text: &Option<String>| StringBinary(text.as_deref().unwrap_or_default().as_bytes()).to_string();
        self.configuration.iter().map(|pair| (text(&pair.name), text(&pair.value))).collect()
    }

    /// Returns all settings of a family as text.
    pub(super) fn description(&self, name: &[u8]) -> FamilyDescription {
        FamilyDescription {
            name: StringBinary(name).to_string(),
            attributes: self.attribute_texts(),
            configuration: self.configuration_texts(),
        }
    }

    /// Returns the value of an attribute.
    fn attribute(&self, key: &str) -> Option<&[u8]> {
        let pair = self.attributes.iter().rev().find(|pair| pair.first.as_deref() == Some(key.as_bytes()))?;
        pair.second.as_deref()
    }

    /// Returns the text of an attribute. HBase does not look up those of a [`Family`] in the configuration.
    fn text(&self, key: &'static str) -> Result<Option<&str>, Corruption> {
        let value = self.attribute(key);
        value.map(|value| std::str::from_utf8(value).map_err(|_| cannot_be(key, value))).transpose()
    }

    /// Returns the text of an attribute, or else of the configuration.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let value = self.attribute(key).and_then(|value| std::str::from_utf8(value).ok());
        value.or_else(|| {
            let pair = self.configuration.iter().rev().find(|pair| pair.name.as_deref() == Some(key))?;
            pair.value.as_deref()
        })
    }

    fn number<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, Corruption> {
        self.text(key)?.map(|value| parsed(key, value)).transpose()
    }

    /// Parses a boolean as Java does: everything but `true` is false.
    fn flag(&self, key: &str) -> Option<bool> {
        self.attribute(key).map(|value| value.eq_ignore_ascii_case(b"true"))
    }

    fn named<T>(
        &self,
        key: &'static str,
        from_name: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Corruption> {
        self.text(key)?.map(|name| from_name(name).ok_or_else(|| cannot_be(key, name))).transpose()
    }
}

fn parsed<T: FromStr>(key: &'static str, value: &str) -> Result<T, Corruption> {
    value.trim().parse().map_err(|_| cannot_be(key, value))
}

/// The settings that a family has in a descriptor.
impl From<&Family> for FamilyDescription {
    fn from(family: &Family) -> Self {
        Settings::of(family).description(family.name())
    }
}

/// Creates a family from its settings. Missing settings get HBase's defaults.
pub(super) fn family_of(name: Vec<u8>, settings: &Settings) -> Result<Family, Corruption> {
    let mut family = Family::new(name);
    if let Some(versions) = settings.number("VERSIONS")? {
        family.max_versions = versions;
    }
    if let Some(versions) = settings.number("MIN_VERSIONS")? {
        family.min_versions = versions;
    }
    family.ttl = ttl(settings)?;
    if let Some(keep) = settings.named("KEEP_DELETED_CELLS", KeepDeletedCells::from_name)? {
        family.keep_deleted_cells = keep;
    }
    if let Some(new) = settings.flag("NEW_VERSION_BEHAVIOR") {
        family.new_version_behavior = new;
    }
    if let Some(bloom) = bloom(settings)? {
        family.bloom = bloom;
    }
    let encoding = |name: &str| DataBlockEncoding::from_name(&name.to_ascii_uppercase());
    if let Some(encoding) = settings.named("DATA_BLOCK_ENCODING", encoding)? {
        family.data_block_encoding = encoding;
    }
    if let Some(codec) = settings.named("COMPRESSION", Codec::from_name)? {
        family.codec = codec;
    }
    if let Some(bytes) = settings.number("BLOCKSIZE")? {
        family.block_size = bytes;
    }
    family.encryption = cipher(settings)?;
    family.encryption_key = settings.attribute(ENCRYPTION_KEY).map(Bytes::copy_from_slice);
    let pairs =
        settings.configuration.iter().filter_map(|pair| Some((pair.name.clone()?, pair.value.clone()?)));
    family.configuration = pairs.filter(|(key, _)| key != PREFIX_LENGTH).collect();
    if std::str::from_utf8(family.name()).is_err() {
        // HBase accepts it, and replaces the wrong bytes in the name of the directory.
        let name = StringBinary(family.name()).to_string();
        return Err(Corruption::unsupported("family with a name that is not UTF-8,", name));
    }
    family.check_readable().map_err(|_| Corruption::Malformed("table descriptor with an invalid family"))?;
    Ok(family)
}

impl Family {
    /// Creates a family from attributes named as in HBase's shell and table descriptors: `VERSIONS`, `TTL`
    /// (in seconds, or `FOREVER`), `COMPRESSION` and others. A name with a dot is a key of the family's
    /// configuration. Missing attributes get HBase's defaults.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if an attribute is unknown or has an invalid
    /// value, or the family is invalid.
    pub fn from_attributes<'a>(
        name: impl Into<Bytes>,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let name = name.into();
        Self::new(name.clone()).check()?;
        let mut settings = Settings::default();
        for (key, value) in attributes {
            if key.contains('.') {
                let pair = NameStringPair { name: Some(key.to_owned()), value: Some(value.to_owned()) };
                settings.configuration.push(pair);
            } else if FAMILY_ATTRIBUTES.contains(&key) && key != ENCRYPTION_KEY {
                let (first, second) = (Some(key.as_bytes().to_vec()), Some(value.as_bytes().to_vec()));
                settings.attributes.push(BytesBytesPair { first, second });
            } else {
                let known = FAMILY_ATTRIBUTES.iter().filter(|known| **known != ENCRYPTION_KEY);
                let known = known.copied().collect::<Vec<_>>().join(", ");
                return Err(Error::invalid_argument(format!("attribute {key}: expected one of {known}")));
            }
        }
        let family = family_of(name.to_vec(), &settings)
            .map_err(|corruption| Error::invalid_argument(corruption.to_string()))?;
        family.check()?;
        Ok(family)
    }
}

/// Returns the cipher of the family's files. An unknown name, even one that is not text, is an error, so that
/// files that must be encrypted are never written unencrypted.
fn cipher(settings: &Settings) -> Result<Option<Cipher>, Corruption> {
    let Some(name) = settings.attribute(ENCRYPTION) else { return Ok(None) };
    let cipher = std::str::from_utf8(name).ok().and_then(Cipher::from_name);
    cipher.map(Some).ok_or_else(|| cannot_be(ENCRYPTION, name))
}

/// Returns the time to live in seconds; `None` if cells never expire.
fn ttl(settings: &Settings) -> Result<Option<u32>, Corruption> {
    if settings.text("TTL")?.is_some_and(|ttl| ttl.trim().eq_ignore_ascii_case("FOREVER")) {
        return Ok(None);
    }
    match settings.number::<i32>("TTL")? {
        None | Some(-1 | i32::MAX) => Ok(None),
        Some(seconds) => match u32::try_from(seconds) {
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => Err(Corruption::out_of_range("TTL", seconds.into(), -1, i32::MAX.into())),
        },
    }
}

/// Returns the Bloom filter type of the family's files: `Some(None)` for no filter, `None` if it is not set.
fn bloom(settings: &Settings) -> Result<Option<Option<BloomType>>, Corruption> {
    let Some(name) = settings.text("BLOOMFILTER")? else { return Ok(None) };
    let prefix = || settings.get(PREFIX_LENGTH).map(|len| parsed::<u32>(PREFIX_LENGTH, len)).transpose();
    Ok(Some(match name.to_ascii_uppercase().as_str() {
        "NONE" => None,
        "ROW" => Some(BloomType::Row),
        "ROWCOL" => Some(BloomType::RowCol),
        "ROWPREFIX_FIXED_LENGTH" => match prefix()? {
            Some(len @ 1..) => Some(BloomType::RowPrefixFixedLength(len)),
            _ => return Err(Corruption::Malformed("ROWPREFIX_FIXED_LENGTH without the length of a prefix")),
        },
        _ => return Err(cannot_be("BLOOMFILTER", name)),
    }))
}

#[cold]
fn cannot_be(key: &'static str, value: impl AsRef<[u8]>) -> Corruption {
    let value = value.as_ref();
    let short = value.get(..64).unwrap_or(value);
    Corruption::unsupported(key, StringBinary(short).to_string())
}
