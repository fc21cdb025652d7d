//! Finds regions that are larger or smaller than others (HBase: `SimpleRegionNormalizer`).

use crate::args::FileArgs;
use crate::concurrent_changes::read_listed;
use crate::directories::tables_below;
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::probe::len_of;
use crate::store_files::{self, RegionFiles};
use crate::target::{self, Kind};
use hregion::{RegionInfo, RegionOptions};
use serde_json::json;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;

/// A table needs this many regions for any to be merged (HBase: `hbase.normalizer.min.region.count`).
const MIN_REGIONS: usize = 3;

/// A change that would bring regions closer to the mean size.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Advice {
    /// The region is larger than two of the mean size.
    Split(usize),
    /// The regions together are not larger than one of the mean size.
    Merge(Range<usize>),
}

/// Returns the advice for regions of these sizes, in row order.
fn advise(sizes: &[u64]) -> Vec<Advice> {
    let count = sizes.len() as u128;
    let sum: u128 = sizes.iter().map(|size| u128::from(*size)).sum();
    let large = |size: &u64| u128::from(*size) * count > sum * 2;
    let splits = sizes.iter().enumerate().filter(|(_, size)| large(size)).map(|(at, _)| Advice::Split(at));
    let mut advice: Vec<Advice> = splits.collect();
    if sizes.len() < MIN_REGIONS {
        return advice;
    }
    let mut start = 0;
    while start < sizes.len() {
        let (mut end, mut together) = (start, 0_u128);
        for size in sizes.iter().map(|size| u128::from(*size)).skip(start) {
            // an empty region is merged with any
            let is_seed = end == start || (end == start + 1 && together == 0);
            if !is_seed && size > 0 && (together + size) * count > sum {
                break;
            }
            (end, together) = (end + 1, together + size);
        }
        if end - start > 1 {
            advice.push(Advice::Merge(start..end));
        }
        start = end;
    }
    advice
}

/// Prints which regions of the tables of a target are out of balance. Any other target is an error.
pub(crate) fn print(path: &Path, reading: &FileArgs, out: &mut Output) -> Result<(), Failure> {
    let kind = target::kind_of(path, None)?;
    if !matches!(kind, Kind::Table | Kind::Namespace | Kind::Root) {
        let message = "--balance: expected the directory of a table, a namespace or a root";
        return Err(CommandError::unsupported(path, message).into());
    }
    let options = reading.region_options(out)?;
    for dir in tables_below(path, kind)? {
        let (mut regions, mut sizes) = (Vec::new(), Vec::new());
        for RegionFiles { region, families } in store_files::by_region(&dir, Some(Kind::Table), reading, out)?
        {
            let mut sum = 0_u64;
            for file in families.iter().flat_map(|family| &family.files) {
                sum = sum.saturating_add(read_listed(&file.path, |path| bytes_of(path, &options))?);
            }
            if let Some(region) = region {
                regions.push(region);
                sizes.push(sum);
            }
        }
        for advice in advise(&sizes) {
            print_advice(&regions, &sizes, &advice, out)?;
        }
    }
    Ok(())
}

/// Returns the bytes of a store file; for a reference, half of its HFile's.
fn bytes_of(path: &Path, options: &RegionOptions) -> Result<u64, Failure> {
    let hfile = options.hfile_of(path)?.unwrap_or_else(|| path.to_owned());
    let bytes = len_of(&hfile)?;
    Ok(if target::is_reference(path)? { bytes / 2 } else { bytes })
}

fn print_advice(
    regions: &[RegionInfo],
    sizes: &[u64],
    advice: &Advice,
    out: &mut Output,
) -> Result<(), Failure> {
    let (action, range) = match advice {
        Advice::Split(at) => ("split", *at..at + 1),
        Advice::Merge(range) => ("merge", range.clone()),
    };
    let names: Vec<String> =
        regions.get(range.clone()).unwrap_or_default().iter().map(RegionInfo::encoded_name).collect();
    let sum = |sizes: &[u64]| sizes.iter().copied().fold(0, u64::saturating_add);
    let bytes = sum(sizes.get(range).unwrap_or_default());
    let mean = sum(sizes) / sizes.len().max(1) as u64;
    let table = regions.first().map(|region| region.table().to_string());
    if out.is_json() {
        let balance = json!({
            "table": table, "action": action, "regions": names, "bytes": bytes, "mean_bytes": mean,
        });
        return out.json_line(&json!({ "balance": balance }));
    }
    let table = table.unwrap_or_default();
    writeln!(out, "{table}: {action} {}: {bytes} bytes, the mean region has {mean}", names.join(" "))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_split_and_merged_as_by_hbase() {
        use Advice::{Merge, Split};
        for (sizes, expected) in [
            (&[][..], vec![]),
            (&[7], vec![]),
            // fewer than three are not merged
            (&[100, 1], vec![]),
            (&[0, 0], vec![]),
            (&[10, 10, 10], vec![]),
            // 20 is twice the mean of 10, not more
            (&[20, 5, 5], vec![Merge(1..3)]),
            (&[31, 10, 9, 10], vec![Split(0)]),
            (&[50, 5, 5, 20], vec![Split(0), Merge(1..3)]),
            // as many as fit into the mean, 15
            (&[5, 5, 5, 5, 40, 30], vec![Split(4), Merge(0..3)]),
            // empty regions go to any neighbour after them
            (&[0, 90, 0, 50, 40], vec![Split(1), Merge(0..3)]),
            (&[0, 0, 0], vec![Merge(0..3)]),
        ] {
            assert_eq!(advise(sizes), expected, "{sizes:?}");
        }
    }
}
