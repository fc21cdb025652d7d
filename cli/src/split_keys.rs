//! The start rows of the regions of a new table (HBase: `RegionSplitter`).

use crate::failure::CommandError;
use crate::lines::Lines;
use crate::progress::Progress;
use hregion::Limits;
use hregion::cell::{StringBinary, from_string_binary};
use std::path::Path;

/// The maximum number of regions, each of which is a directory.
pub(crate) const MAX_REGIONS: u32 = 100_000;

/// A way to divide all rows into regions of equal size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SplitAlgorithm {
    /// Rows begin with eight hexadecimal digits in lower case.
    HexString,
    /// Rows begin with eight decimal digits.
    DecimalString,
    /// Rows begin with any bytes.
    Uniform,
}

impl SplitAlgorithm {
    /// Returns the algorithm of a name, with or without its Java package.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("org.apache.hadoop.hbase.util.RegionSplitter$").unwrap_or(name);
        match name {
            "HexStringSplit" => Some(Self::HexString),
            "DecimalStringSplit" => Some(Self::DecimalString),
            "UniformSplit" => Some(Self::Uniform),
            _ => None,
        }
    }

    /// Returns the start rows of this number of regions, except the first one.
    pub(crate) fn split(self, regions: u32) -> Vec<Vec<u8>> {
        let range: u128 = match self {
            Self::HexString => 1 << 32,
            Self::DecimalString => 100_000_000,
            Self::Uniform => 1 << 64,
        };
        let size = range / u128::from(regions.max(1));
        let starts = (1..u128::from(regions)).map(|at| at * size);
        starts
            .map(|start| match self {
                Self::HexString => format!("{start:08x}").into_bytes(),
                Self::DecimalString => format!("{start:08}").into_bytes(),
                Self::Uniform => start.to_be_bytes()[8..].to_vec(),
            })
            .collect()
    }
}

/// The memory that the start rows may take, in MiB. A file that is not regular may not end.
const MAX_MIB: usize = 256;

/// Reads the start rows of the regions, except the first one: one per line, with bytes as \xHH.
pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Vec<Vec<u8>>, CommandError> {
    read_within(path, limits, MAX_MIB)
}

fn read_within(path: &Path, limits: &Limits, most_mib: usize) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut lines = Lines::open(path, limits, &Progress::none())?;
    let (mut splits, mut bytes) = (Vec::new(), 0_usize);
    while let Some(line) = lines.next()? {
        let row = std::str::from_utf8(line).map(from_string_binary);
        let row = row.map_err(|_| lines.wrong("expected text, with bytes as \\xHH"))?;
        bytes = bytes.saturating_add(row.len() + size_of::<Vec<u8>>());
        if bytes > most_mib << 20 {
            let message = format!("over {most_mib} MiB of rows, too many for the regions of a table");
            return Err(CommandError::invalid_file(path, message));
        }
        splits.push(row);
    }
    splits.sort_unstable();
    match splits.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(splits),
        Some(pair) => Err(CommandError::invalid_file(
            path,
            format!("the row {:.64} is given twice", StringBinary(&pair[0])),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_take_all_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("splits");
        let rows: String = (0..40_000).map(|row| format!("{row:05}\n")).collect();
        std::fs::write(&path, rows).unwrap();
        let error = read_within(&path, &Limits::default(), 1).unwrap_err();
        assert!(error.line().contains("over 1 MiB of rows"), "{}", error.line());
        assert_eq!(read_within(&path, &Limits::default(), 2).unwrap().len(), 40_000);
    }

    /// The expected keys are those of HBase 2.6.4.
    #[test]
    fn rows_are_divided_as_by_hbase() {
        for (name, regions, expected) in [
            ("HexStringSplit", 2, "80000000"),
            ("HexStringSplit", 3, "55555555 aaaaaaaa"),
            ("HexStringSplit", 7, "24924924 49249248 6db6db6c 92492490 b6db6db4 db6db6d8"),
            ("DecimalStringSplit", 7, "14285714 28571428 42857142 57142856 71428570 85714284"),
            (
                "org.apache.hadoop.hbase.util.RegionSplitter$UniformSplit",
                7,
                "$\\x92I$\\x92I$\\x92 I$\\x92I$\\x92I$ m\\xB6\\xDBm\\xB6\\xDBm\\xB6 \\x92I$\\x92I$\\x92H \
                 \\xB6\\xDBm\\xB6\\xDBm\\xB6\\xDA \\xDBm\\xB6\\xDBm\\xB6\\xDBl",
            ),
            ("UniformSplit", 2, "\\x80\\x00\\x00\\x00\\x00\\x00\\x00\\x00"),
        ] {
            let splits = SplitAlgorithm::from_name(name).unwrap().split(regions);
            let shown: Vec<String> = splits.iter().map(|row| StringBinary(row).to_string()).collect();
            assert_eq!(shown.join(" "), expected, "{name} {regions}");
        }
        assert_eq!(SplitAlgorithm::Uniform.split(MAX_REGIONS).len(), MAX_REGIONS as usize - 1);
        assert_eq!(SplitAlgorithm::from_name("hexstringsplit"), None);
    }
}
