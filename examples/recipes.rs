//! Short recipes: a filter, a counter, expiry, a condition, a backup, a copied region.
//!
//! ```sh
//! cargo run --example recipes
//! ```
#![allow(clippy::print_stdout, reason = "it is what an example is for")]

use hregion::filter::Filter;
use hregion::{CheckAndMutate, Family, Get, Increment, Put, Region, Result, Scan};
use std::path::Path;
use std::time::Duration;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let scratch = std::env::temp_dir().join(format!("hregion-recipes-{}", std::process::id()));
    let region = Region::options()
        .create_if_missing(true)
        .family(Family::new("f").max_versions(3))
        .family(Family::new("log").ttl(Duration::from_secs(24 * 3600)))
        .open(scratch.join("region"))?;
    filter(&region)?;
    counter(&region)?;
    expiry(&region)?;
    condition(&region)?;
    region.close()?;
    backup(&scratch.join("region"), &scratch.join("copy"))?;
    // A region of a table has no separate descriptor: it is in the table's directory.
    std::fs::remove_dir_all(scratch.join("copy/.tabledesc"))?;
    copied_region(&scratch.join("copy"))?;
    std::fs::remove_dir_all(&scratch)?;
    Ok(())
}

/// A filter in HBase's filter language. It is applied to all versions that the family keeps, not only to the
/// returned ones.
fn filter(region: &Region) -> Result<()> {
    for (row, city) in [("user1", "Berlin"), ("user2", "Oslo"), ("group1", "Oslo")] {
        region.put(Put::new(row).cell("f", "city", city))?;
    }
    let filter = Filter::parse("PrefixFilter('user') AND ValueFilter(=, 'binary:Oslo')")?;
    for row in region.scan(Scan::new().filter(filter))? {
        println!("{} lives in Oslo", String::from_utf8_lossy(row?.key()));
    }
    Ok(())
}

/// A counter: eight bytes, big-endian. The increment is atomic and returns the new value.
fn counter(region: &Region) -> Result<()> {
    region.increment(Increment::new("page1").column("f", "hits", 1))?;
    let row = region.increment(Increment::new("page1").column("f", "hits", 41))?;
    let hits = row.value("f", "hits").and_then(|value| value.try_into().ok()).map(i64::from_be_bytes);
    println!("page1 has {hits:?} hits");
    Ok(())
}

/// Cells expire by the time to live of their family (in seconds) or by their own (in milliseconds), whichever
/// ends first.
fn expiry(region: &Region) -> Result<()> {
    region.put(Put::new("session1").cell("log", "event", "login").ttl(Duration::from_secs(60)))?;
    println!("session1 is there: {}", region.exists(&Get::new("session1"))?);
    Ok(())
}

/// Writes only if a column has an expected value, with no write of another thread in between.
fn condition(region: &Region) -> Result<()> {
    let check = CheckAndMutate::if_equals("user1", "f", "city", "Berlin");
    let result = region.check_and_mutate(check.then(Put::new("user1").cell("f", "city", "Paris")))?;
    println!("user1 has moved: {}", result.success);
    Ok(())
}

/// A closed region is its directory: a copy of it is a backup.
fn backup(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            backup(&from, &to)?;
        } else {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// A region that was copied without its table lacks the settings of its families: it is read with all
/// versions and a warning, and is written only when its families are given.
fn copied_region(dir: &Path) -> Result<()> {
    let region = Region::open(dir)?;
    for warning in region.warnings() {
        println!("warning: {warning}");
    }
    println!("the copy has {} rows", region.scan(Scan::new())?.count());
    Ok(())
}
