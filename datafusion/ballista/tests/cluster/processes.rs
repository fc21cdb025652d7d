//! A scheduler and two executors, started by `local-cluster`.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Cluster {
    script: Child,
    port: u16,
    executors: Vec<u32>,
    work: TempDir,
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_hregion-ballista");

/// Returns the first of seven free ports, below the range that connections use.
fn free_ports() -> u16 {
    let start = 20_000 + (std::process::id() % 120) * 100;
    let start = u16::try_from(start).unwrap();
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    for _ in 0..100 {
        let first = start + NEXT.fetch_add(7, std::sync::atomic::Ordering::Relaxed);
        if (first..first + 7).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("no free ports");
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a scheduler and executors with options for reading.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let (work, port) = (tempfile::tempdir().unwrap(), free_ports());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("local-cluster");
        let mut script = Command::new(script)
            .arg(port.to_string())
            .args(options)
            .env("HREGION_BALLISTA", PROGRAM)
            .env("TMPDIR", work.path())
            .env("EXECUTOR_TIMEOUT", "6")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut executors = Vec::new();
        for line in BufReader::new(script.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, pid)) = line.split_once(": process ") {
                executors.push(pid.parse().unwrap());
            }
            if line.starts_with("scheduler: ") {
                break;
            }
        }
        assert_eq!(executors.len(), 2);
        for at in [0, 2, 4] {
            wait_for("a port", || TcpStream::connect(("127.0.0.1", port + at)).is_ok());
        }
        Self { script, port, executors, work }
    }

    pub(crate) fn url(&self) -> String {
        format!("df://127.0.0.1:{}", self.port)
    }

    fn work_dir(&self, executor: usize) -> PathBuf {
        let dirs = std::fs::read_dir(self.work.path()).unwrap();
        let dir = dirs.map(|entry| entry.unwrap().path()).find(|path| path.join("1").is_dir()).unwrap();
        dir.join((executor + 1).to_string())
    }

    /// Whether an executor has written results of a stage.
    pub(crate) fn has_results(&self, executor: usize) -> bool {
        std::fs::read_dir(self.work_dir(executor)).unwrap().next().is_some()
    }

    /// Sends a signal to an executor, such as `KILL`.
    pub(crate) fn signal(&self, signal: &str, executor: usize) {
        let sent = Command::new("kill").args(["-s", signal, &self.executors[executor].to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Runs a query with the program. Returns its output, or the error.
    pub(crate) fn sql(&self, sql: &str, table: &str, more: &[&str]) -> Result<String, String> {
        let args = ["sql", sql, "--scheduler", &self.url(), "--table", table];
        let output = Command::new(PROGRAM).args(args).args(more).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Checks that a closed pipe ends a query quietly, and that closed standard output is an error.
    pub(crate) fn ends_without_readers(&self, sql: &str, table: &str) {
        let args = ["sql", sql, "--scheduler", &self.url(), "--table", table];
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(PROGRAM).args(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        let is_quiet = !error.lines().any(|line| line.starts_with("error: "));
        assert!(output.status.code() == Some(0) && is_quiet, "{error}");
        let shell = "exec \"$0\" \"$@\" >&-";
        let output = Command::new("sh").args(["-c", shell, PROGRAM]).args(args).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{error}");
        assert!(error.contains("error: cannot write to standard output"), "{error}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // the script ends its processes, which wait for their tasks
        let ended = Command::new("kill").arg(self.script.id().to_string()).status();
        drop(ended);
        let begun = Instant::now();
        while self.script.try_wait().is_ok_and(|status| status.is_none()) {
            if begun.elapsed() > Duration::from_secs(60) {
                let pids = self.executors.iter().map(u32::to_string);
                drop(Command::new("kill").arg("-9").args(pids).status());
                drop(self.script.wait());
                assert!(std::thread::panicking(), "tasks go on");
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
