//! The golden files: HFiles written by HBase, and the content that HBase reports for them.
//!
//! A few are in `testdata/golden`. The rest is read from `../shared/golden` if that exists.

#![allow(clippy::print_stdout, reason = "a test says what it skips")]

use super::cells;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// An HFile and the files beside it.
#[derive(Clone, Debug)]
pub(crate) struct Golden {
    /// The name without `.hfile`.
    pub(crate) name: String,
    /// The folder.
    pub(crate) folder: PathBuf,
    /// The version of HBase that wrote it.
    pub(crate) hbase: String,
    /// The command line that wrote it.
    pub(crate) made: String,
    /// The number of cells.
    pub(crate) cells: usize,
    /// Whether HBase 2.6 reads it.
    pub(crate) read_by_current: bool,
}

impl Golden {
    pub(crate) fn hfile(&self) -> PathBuf {
        self.beside("hfile")
    }

    /// `NAME.extension` in the file's folder.
    pub(crate) fn beside(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }

    /// Returns the cells that HBase reads in it, one on each line.
    pub(crate) fn cell_lines(&self) -> Vec<String> {
        cells::lines(&self.beside("cells.jsonl.gz"))
    }

    /// Returns the output of `hb inspect` for it, if HBase 2.6 reads it.
    pub(crate) fn inspect(&self) -> Option<Value> {
        let path = self.beside("inspect.json");
        path.exists().then(|| parse(&path))
    }

    /// Whether it has an encoding that current readers do not support: `PREFIX_TREE`.
    pub(crate) fn is_refused(&self) -> bool {
        self.made.contains("PREFIX_TREE")
    }

    /// Whether its rows sort like those of `hbase:meta`.
    pub(crate) fn is_meta(&self) -> bool {
        self.setting("--comparator").is_some_and(|name| name == "meta")
    }

    /// Returns the word after `--name` in the command that wrote it.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        let mut words = self.made.split_whitespace();
        words.find(|&word| word == name)?;
        words.next()
    }

    /// Returns the cluster's master key, if the file is encrypted.
    pub(crate) fn master_key(&self) -> Option<Vec<u8>> {
        let hex = self.setting("--master-key")?;
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a key in hex");
        Some((0..hex.len()).step_by(2).map(byte).collect())
    }

    /// Returns the path of its Zstandard dictionary, if it was compressed with one.
    pub(crate) fn zstd_dictionary(&self) -> Option<PathBuf> {
        self.setting("--zstd-dictionary").map(|name| self.folder.join(name))
    }
}

/// Returns every golden file: those in the repository, and all the others if available.
pub(crate) fn all() -> Vec<Golden> {
    let mut found = in_folder(&root("testdata/golden"));
    found.extend(whole());
    found
}

/// Returns every golden file of `../shared/golden`, or none if that does not exist.
pub(crate) fn whole() -> Vec<Golden> {
    ["hfile", "hfile-old"].iter().filter_map(|name| shared(name)).flat_map(|f| in_folder(&f)).collect()
}

/// Returns a folder of `../shared/golden`, or of the path in `HREGION_GOLDEN`. If it does not exist, prints
/// that it is skipped.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let all = std::env::var_os("HREGION_GOLDEN").map_or_else(|| root("../shared/golden"), PathBuf::from);
    existing(all.join(name))
}

/// Returns the folder of all operation scripts with HBase's answers, as [`shared`] does.
pub(crate) fn corpus() -> Option<PathBuf> {
    existing(root("../shared/corpora/random"))
}

fn existing(folder: PathBuf) -> Option<PathBuf> {
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: no {}", folder.display());
    None
}

/// Resolves a path relative to the project, for the library's tests and for the tool's.
pub(crate) fn root(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project =
        if env!("CARGO_PKG_NAME") == "hregion" { package } else { package.parent().unwrap_or(package) };
    project.join(path)
}

/// Returns the golden files that a folder's manifest lists.
pub(crate) fn in_folder(folder: &Path) -> Vec<Golden> {
    let manifest = parse(&folder.join("manifest.json"));
    let files = manifest["files"].as_array().expect("a manifest lists files");
    files.iter().map(|file| entry(folder, file)).collect()
}

fn entry(folder: &Path, file: &Value) -> Golden {
    let text = |name: &str| file[name].as_str().unwrap_or_else(|| panic!("{name} of {file}")).to_owned();
    Golden {
        name: text("file").trim_end_matches(".hfile").to_owned(),
        folder: folder.to_owned(),
        hbase: text("hbase"),
        made: text("made"),
        cells: file["cells"].as_u64().and_then(|n| n.try_into().ok()).expect("a number of cells"),
        read_by_current: file.get("read_by_2.6.4").is_none_or(|v| v == true),
    }
}

/// Parses a JSON file.
pub(crate) fn parse(path: &Path) -> Value {
    serde_json::from_slice(&cells::read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns the cells that HBase's client read from a region, by a scan of this kind (`raw` or `plain`);
/// `None` if the stage has no record of it.
pub(crate) fn recorded_region(stage: &Path, encoded_name: &str, kind: &str) -> Option<Vec<Value>> {
    let names =
        [format!("cells/{encoded_name}.{kind}.jsonl"), format!("{kind}/{encoded_name}.{kind}.jsonl.gz")];
    let path = names.iter().map(|name| stage.join(name)).find(|path| path.exists())?;
    Some(cells::json_lines(&path))
}

/// Returns those of all regions of a table, in row order.
pub(crate) fn recorded_table(stage: &Path, table: &str, kind: &str) -> Option<Vec<Value>> {
    let mut regions = cells::json_lines(&stage.join("regions.jsonl"));
    regions.retain(|region| region["table"] == table);
    regions.sort_by_key(|region| cells::text(&region["start"]).to_owned());
    let mut found = Vec::new();
    for region in regions {
        found.extend(recorded_region(stage, cells::text(&region["encoded"]), kind)?);
    }
    Some(found)
}
