//! Gets from HBase the result of every seek and the content of every block, and stores the answers for the
//! tests.
//!
//! Needs Java and Maven; `.ci/run oracle` runs it. Environment variables: `HREGION_GOLDEN`, a folder of
//! golden files with a manifest; `HREGION_EXPECT`, the folder for the answers; `HREGION_SEEK_CELLS`, the
//! number of cells of a file for which keys are made (1500).
//!
//! ```sh
//! HREGION_GOLDEN=testdata/golden HREGION_EXPECT=/tmp/expect \
//!   cargo test --all-features --test suite -- --ignored --nocapture oracle::
//! ```

use crate::support::golden::{self, Golden};
use crate::support::seek_keys;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
#[ignore = "needs Java and Maven"]
fn hbase_answers_for_every_golden_file() {
    let (goldens, out) = (path_of("HREGION_GOLDEN"), path_of("HREGION_EXPECT"));
    let most =
        env::var("HREGION_SEEK_CELLS").map_or(1500, |n| n.parse().expect("HREGION_SEEK_CELLS: a number"));
    for folder in ["keys", "seek", "blocks"] {
        fs::create_dir_all(out.join(folder)).unwrap();
    }
    let mut plan = String::new();
    let (mut files, mut keys) = (0, 0);
    for golden in golden::in_folder(&goldens).iter().filter(|g| g.read_by_current) {
        let lines = seek_keys::of(&golden.cell_lines(), golden.is_meta(), most);
        fs::write(out.join("keys").join(format!("{}.jsonl", golden.name)), lines.join("\n")).unwrap();
        for command in commands(golden, &out) {
            plan.push_str(&serde_json::to_string(&command).unwrap());
            plan.push('\n');
        }
        (files, keys) = (files + 1, keys + lines.len());
    }
    let path = out.join("plan.jsonl");
    fs::write(&path, plan).unwrap();
    eprintln!("{files} files, {keys} keys");
    let status =
        Command::new(golden::root("interop/hfile/hb")).arg("batch").arg(&path).status().expect("hb starts");
    assert!(status.success(), "hb batch: {status}");
}

/// Returns the commands for one file.
fn commands(golden: &Golden, out: &Path) -> [Vec<String>; 2] {
    let text = |path: PathBuf| path.into_os_string().into_string().expect("paths are UTF-8");
    let hfile = text(golden.hfile());
    let place =
        |folder: &str, extension: &str| text(out.join(folder).join(format!("{}.{extension}", golden.name)));
    let mut seek = vec!["seekdump".to_owned(), hfile.clone()];
    seek.extend(["--keys".to_owned(), place("keys", "jsonl"), "--to".to_owned(), place("seek", "jsonl.gz")]);
    let mut blocks = vec!["inspect".to_owned(), hfile, "--blocks".to_owned()];
    blocks.extend(["--to".to_owned(), place("blocks", "json.gz")]);
    [seek, blocks].map(|mut command| {
        for name in ["--master-key", "--conf"] {
            command
                .extend(golden.setting(name).into_iter().flat_map(|word| [name.to_owned(), word.to_owned()]));
        }
        if let Some(dictionary) = golden.zstd_dictionary() {
            command.extend(["--zstd-dictionary".to_owned(), text(dictionary)]);
        }
        command
    })
}

/// Returns a path from the environment, made absolute because `hb` may run in another folder.
fn path_of(variable: &str) -> PathBuf {
    let path = env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set"));
    std::path::absolute(path).expect("an absolute path")
}
