//! A separate process that runs one test of this program, until it is killed.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// The prefix of the process's lines; the test harness prints others.
const PREFIX: &str = "op ";

/// Prints a line for the process that has started this one.
pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{PREFIX}{line}").unwrap();
    out.flush().unwrap();
}

pub(crate) struct Child {
    process: Process,
    lines: Receiver<String>,
}

impl Child {
    /// Starts the process, with more variables in its environment.
    pub(crate) fn start<const N: usize>(test: &str, variables: [(&str, String); N]) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .envs(variables)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // if tests have one thread, the harness has begun the first line
                if let Some((_, line)) = line.split_once(PREFIX) {
                    said.send(line.to_owned()).unwrap();
                }
            }
        });
        Self { process, lines }
    }

    /// Waits for the next line; `None` after the last.
    pub(crate) fn next_line(&self) -> Option<String> {
        self.lines.recv().ok()
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Waits for the end of the process. Returns the remaining lines, and whether it was killed.
    pub(crate) fn end(self) -> (Vec<String>, bool) {
        let lines = self.lines.iter().collect();
        let output = self.process.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let was_killed = output.status.code().is_none();
        assert!(!errors.contains("panicked") && (was_killed || output.status.success()), "{errors}");
        (lines, was_killed)
    }

    /// Kills the process, which must not have ended by itself. Returns the remaining lines.
    pub(crate) fn kill_and_end(mut self) -> Vec<String> {
        self.kill();
        let (lines, was_killed) = self.end();
        assert!(was_killed, "it ended by itself");
        lines
    }
}
