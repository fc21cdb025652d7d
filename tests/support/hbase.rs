//! A running HBase and its client: programs in `interop/cluster`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::json_cell::json_cell;
use hregion::{Scan, Table};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

/// The folder of `hb-cluster` and `hb-client`, in the root of the workspace.
pub(crate) fn programs() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    packages.map(|package| package.join("interop/cluster")).find(|folder| folder.is_dir()).unwrap()
}

/// HBase in a separate JVM: ZooKeeper, a master, two region servers. Killed when dropped.
pub(crate) struct Cluster {
    programs: PathBuf,
    root: PathBuf,
    pub(crate) ready: Value,
}

impl Cluster {
    pub(crate) fn start(programs: &Path, root: &Path, more: &[&str]) -> Self {
        let output = Command::new(programs.join("hb-cluster"))
            .args(["start", "--root", root.to_str().unwrap()])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let ready = serde_json::from_slice(&output.stdout).unwrap();
        Self { programs: programs.to_owned(), root: root.to_owned(), ready }
    }

    pub(crate) fn zookeeper(&self) -> &str {
        self.ready["zk"].as_str().unwrap()
    }

    /// Sends a signal to the JVM.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.ready["pid"].to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }
}

impl Cluster {
    /// Shuts down cleanly, which flushes all memstores.
    pub(crate) fn stop(self) {
        let stop =
            Command::new(self.programs.join("hb-cluster")).arg("stop").arg("--root").arg(&self.root).status();
        assert!(stop.unwrap().success());
        std::mem::forget(self);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let kill =
            Command::new(self.programs.join("hb-cluster")).arg("kill").arg("--root").arg(&self.root).status();
        if !thread::panicking() {
            assert!(kill.unwrap().success());
        }
    }
}

/// HBase's client.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Client {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self::with(cluster, &[])
    }

    /// Starts a client with more options.
    pub(crate) fn with(cluster: &Cluster, more: &[&str]) -> Self {
        let mut child = Command::new(cluster.programs.join("hb-client"))
            .args(["--ready", cluster.root.join("ready.json").to_str().unwrap()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// Sends a command and returns its result.
    pub(crate) fn ask(&mut self, command: &Value) -> Value {
        let answer = self.try_ask(command);
        assert!(answer.get("ok").is_some(), "{command}: {answer}");
        answer["ok"].clone()
    }

    /// Sends a command and returns the answer, `ok` or `error`.
    pub(crate) fn try_ask(&mut self, command: &Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Client {
    /// Returns all visible versions of a table.
    pub(crate) fn cells(&mut self, table: &str) -> Vec<Value> {
        let found = self.ask(&json!({"op": "scan", "table": table, "versions": 9}));
        found.as_array().unwrap().clone()
    }
}

/// Opens a directory in HBase. Returns the cells of a raw scan of all versions, and those of a plain scan.
pub(crate) fn check_region(dir: &Path, more: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let output = Command::new(programs().join("check-region")).arg(dir).args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let cells = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut plain, raw): (Vec<Value>, Vec<Value>) = cells.partition(|cell| cell["plain"] == true);
    for cell in &mut plain {
        cell.as_object_mut().unwrap().remove("plain");
    }
    (raw, plain)
}

/// Returns all visible versions of a table as hregion reads it, in the form of the client's answers.
pub(crate) fn json_cells(table: &Table) -> Vec<Value> {
    let (view, scan) = (table.view(), Scan::new().max_versions(u32::MAX));
    let mut cells = Vec::new();
    for row in view.scan(&scan).unwrap() {
        cells.extend(row.unwrap().cells().map(|cell| json_cell(&cell)));
    }
    cells
}

impl Drop for Client {
    /// The client exits when its input is closed.
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
