//! Settings of families for a region without a table descriptor.

use clap::Args;
use hregion::{Family, RegionOptions};
use std::path::PathBuf;

/// The families of a region without a table descriptor.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Families")]
pub(crate) struct FamilyArgs {
    /// Family and its attributes, such as cf:VERSIONS=3,TTL=86400; may be repeated
    ///
    /// For a region without a table descriptor.
    #[arg(long = "family", value_name = "NAME[:ATTRIBUTE=VALUE,…]", value_parser = family)]
    families: Vec<Family>,

    /// Table descriptor (.tableinfo.NUMBER) of a region that was copied without its table
    #[arg(long, value_name = "FILE")]
    descriptor: Option<PathBuf>,
}

impl FamilyArgs {
    /// Whether no families are given.
    pub(crate) fn is_empty(&self) -> bool {
        self.families.is_empty() && self.descriptor.is_none()
    }

    /// Returns `options` with the given families and descriptor.
    pub(crate) fn add_to(&self, mut options: RegionOptions) -> RegionOptions {
        for family in &self.families {
            options = options.family(family.clone());
        }
        match &self.descriptor {
            Some(path) => options.descriptor_file(path),
            None => options,
        }
    }
}

/// Parses `NAME`, or `NAME:ATTRIBUTE=VALUE,…` with HBase's attribute names.
pub(crate) fn family(text: &str) -> Result<Family, String> {
    let (name, attributes) = text.split_once(':').unwrap_or((text, ""));
    let pair = |pair: &'_ str| {
        let pair = pair.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        pair.ok_or_else(|| "expected ATTRIBUTE=VALUE after the name and a colon".to_owned())
    };
    let attributes = attributes.split(',').filter(|pair| !pair.trim().is_empty()).map(pair);
    let attributes = attributes.collect::<Result<Vec<_>, _>>()?;
    let attributes = attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Family::from_attributes(name.to_owned(), attributes).map_err(|error| error.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn families_have_attributes() {
        assert_eq!(family("f"), Ok(Family::new("f")));
        assert_eq!(
            family("f: VERSIONS=3, TTL=60"),
            Ok(Family::new("f").max_versions(3).ttl(Duration::from_secs(60)))
        );
        for wrong in ["", "f:VERSIONS", "f:VERSIONS=many", "f:COLOUR=red"] {
            assert!(family(wrong).is_err(), "{wrong}");
        }
    }
}
