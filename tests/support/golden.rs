//! The files that HBase wrote, with what it says is in them.
//!
//! A few are in `testdata/golden`; the rest is read from `../shared/golden` where that is there.

use super::cells;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One HFile and what stands beside it.
#[derive(Clone, Debug)]
pub(crate) struct Golden {
    /// The name without `.hfile`.
    pub(crate) name: String,
    /// The folder.
    pub(crate) folder: PathBuf,
    /// The version of HBase that wrote it.
    pub(crate) hbase: String,
    /// The command that wrote it.
    pub(crate) made: String,
    /// How many cells it holds.
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

    /// The cells that HBase reads in it, a line each.
    pub(crate) fn cell_lines(&self) -> Vec<String> {
        cells::lines(&self.beside("cells.jsonl.gz"))
    }

    /// What `hb inspect` says of it, if HBase 2.6 reads it.
    pub(crate) fn inspect(&self) -> Option<Value> {
        let path = self.beside("inspect.json");
        path.exists().then(|| parse(&path))
    }

    /// An encoding that no reader of today has: `PREFIX_TREE`.
    pub(crate) fn is_refused(&self) -> bool {
        self.made.contains("PREFIX_TREE")
    }

    /// Whether its rows sort as those of `hbase:meta`.
    pub(crate) fn is_meta(&self) -> bool {
        self.setting("--comparator").is_some_and(|name| name == "meta")
    }

    /// The word behind `--name` in the command that wrote it.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        let mut words = self.made.split_whitespace();
        words.find(|&word| word == name)?;
        words.next()
    }

    /// The cluster's master key, if the file is encrypted.
    pub(crate) fn master_key(&self) -> Option<Vec<u8>> {
        let hex = self.setting("--master-key")?;
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a key in hex");
        Some((0..hex.len()).step_by(2).map(byte).collect())
    }

    /// The file of its Zstandard dictionary, if it was compressed with one.
    pub(crate) fn zstd_dictionary(&self) -> Option<PathBuf> {
        self.setting("--zstd-dictionary").map(|name| self.folder.join(name))
    }
}

/// Every golden file there is: the few that travel with the sources, and all the others if they are at hand.
pub(crate) fn all() -> Vec<Golden> {
    let mut found = in_folder(&root("testdata/golden"));
    found.extend(whole());
    found
}

/// Every golden file of `../shared/golden`; none where that is not there.
pub(crate) fn whole() -> Vec<Golden> {
    ["hfile", "hfile-old"].iter().filter_map(|name| shared(name)).flat_map(|f| in_folder(&f)).collect()
}

/// A folder of `../shared/golden`, or of where `HREGION_GOLDEN` says, if it is there.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let all = std::env::var_os("HREGION_GOLDEN").map_or_else(|| root("../shared/golden"), PathBuf::from);
    Some(all.join(name)).filter(|folder| folder.is_dir())
}

/// A path relative to the project, be it for the library's tests or for the tool's.
pub(crate) fn root(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project =
        if env!("CARGO_PKG_NAME") == "hregion" { package } else { package.parent().unwrap_or(package) };
    project.join(path)
}

/// The golden files that the manifest of a folder lists.
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

/// A file of JSON.
pub(crate) fn parse(path: &Path) -> Value {
    serde_json::from_slice(&cells::read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
