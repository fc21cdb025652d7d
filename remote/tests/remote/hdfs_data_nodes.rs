//! Data nodes of HDFS die, and the name node is restarted, while a region is written. The test starts HDFS in
//! a separate process.

use crate::hdfs_writes::{client, open_in};
use crate::history::{Rows, put, rows};
use crate::locks::LOCK;
use hregion::Storage;
use hregion_remote::RemoteOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// HDFS whose data nodes can be stopped. Killed when dropped.
struct Cluster {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
    _dir: TempDir,
}

impl Cluster {
    fn start(nodes: u32) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/hdfs/hdfs");
        let dir = tempfile::tempdir().unwrap();
        let mut process = Command::new(program)
            .args(["--nodes", &nodes.to_string()])
            .arg(dir.path().join("hdfs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It prints a warning for each data node that does not answer.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (commands, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (answers, url) = (BufReader::new(answers), String::new());
        let mut cluster = Self { process, commands, answers, url, _dir: dir };
        cluster.url = cluster.answer();
        assert!(cluster.url.starts_with("hdfs://"), "{}", cluster.url);
        cluster
    }

    /// Carries out a command.
    fn run(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
        assert_eq!(self.answer(), "done", "{command}");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the path, below the URL of the file system, of the log that a region is writing.
fn open_log(storage: &dyn Storage, url: &str, region: &Path) -> String {
    let dir = region.join("recovered.edits");
    let entries = storage.list_dir(&dir).unwrap().into_iter();
    let names = entries.filter_map(|entry| entry.name.into_string().ok());
    let last = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).max().unwrap();
    dir.join(last).to_str().unwrap().strip_prefix(url).unwrap().to_owned()
}

/// Carries out a command, and calls `write` until it is done.
fn run_beside(cluster: &mut Cluster, command: &str, mut write: impl FnMut()) {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| cluster.run(command));
        while !running.is_finished() {
            write();
        }
        running.join().unwrap();
    });
}

/// The data node of the log to which this process writes dies, and then the other one. The log continues on
/// the remaining ones, and so do store files and the next logs, although the name node may still place blocks
/// on the dead node. Then the name node is restarted.
/// still give blocks to the one that has died. Then the name node is restarted.
#[test]
#[ignore = "starts HDFS"]
fn no_acknowledged_write_is_lost_when_a_data_node_dies() {
    let mut cluster = Cluster::start(3);
    let dir = PathBuf::from(format!("{}/region", cluster.url));
    let storage = Arc::new(RemoteOptions::default().deadline(Duration::from_secs(24)).build().unwrap());
    let region = open_in(storage.clone(), &dir).unwrap();
    let mut written = Rows::new();
    let mut write = |count: usize| {
        for _ in 0..count {
            let (row, value) = (format!("row{:06}", written.len()), "x".repeat(written.len() % 500));
            region.put(put(&row, &value)).unwrap();
            written.insert(row, value);
        }
    };
    for position in 0..2 {
        // The next log has two data nodes again.
        region.flush().unwrap();
        write(3);
        let stop = format!("stop {position} {}", open_log(&*storage, &cluster.url, &dir));
        run_beside(&mut cluster, &stop, || write(1));
        write(3);
        region.flush().unwrap();
        write(3);
        cluster.run("restart");
    }
    run_beside(&mut cluster, "restart-name-node", || write(1));
    write(3);
    assert_eq!(rows(&region), written);
    drop(region);
    // As if the process had died: the end of the log is replayed.
    let other = client();
    other.end_writing(&dir.join(LOCK)).unwrap();
    let region = open_in(other, &dir).unwrap();
    assert_eq!(rows(&region), written);
    region.flush().unwrap();
    assert!(region.warnings().is_empty(), "{:?}", region.warnings());
    region.close().unwrap();
}
