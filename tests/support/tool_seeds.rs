//! Inputs for the tool's fuzz targets, parts of HBase's golden cells and operation scripts.

use flate2::read::MultiGzDecoder;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The number of lines taken from a list of cells.
const CELLS: usize = 30;
/// The number of lines taken from a script, after the line that creates its region.
const OPERATIONS: usize = 40;

/// The name of a target, and an input for it.
pub(crate) type ToolSeed = (&'static str, Vec<u8>);

pub(crate) fn of_tool(testdata: &Path) -> io::Result<Vec<ToolSeed>> {
    let mut seeds = Vec::new();
    for (folder, ending) in [("golden", ".cells.jsonl.gz"), ("corpora", ".script.jsonl.gz")] {
        let mut paths: Vec<_> =
            fs::read_dir(testdata.join(folder))?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        paths.retain(|path| path.to_string_lossy().ends_with(ending));
        paths.sort();
        for path in paths {
            let mut text = String::new();
            MultiGzDecoder::new(File::open(&path)?).read_to_string(&mut text)?;
            let lines: Vec<&str> = text.lines().collect();
            if folder == "golden" {
                seeds.push(("cells_json", lines[..lines.len().min(CELLS)].join("\n").into_bytes()));
            } else if let Some((create, operations)) = lines.split_first() {
                for some in operations.chunks(OPERATIONS).take(3) {
                    seeds.push(("script", [&[*create], some].concat().join("\n").into_bytes()));
                }
            }
        }
    }
    seeds.retain(|(_, bytes)| !bytes.is_empty());
    Ok(seeds)
}
