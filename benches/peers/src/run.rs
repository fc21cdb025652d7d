//! One run: every engine in turn, group of parts by group of parts, pass by pass.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::measure::Opts;
use crate::{engines, sys};

/// The parts in groups. Engines take turns group by group, so that compared numbers are close in time.
pub const GROUPS: [&[&str]; 4] =
    [&["writes", "logs"], &["runs5", "hot", "cold"], &["wide", "versions"], &["files"]];

#[derive(Debug)]
pub struct Plan {
    /// The program that measures HBase.
    pub hbase: Option<PathBuf>,
    /// `ENGINE` or `ENGINE:VARIANT`.
    pub engines: Vec<String>,
    pub parts: Vec<String>,
    /// Rows of a store.
    pub n: u64,
    /// Rows of a file, for each size of files.
    pub file_n: Vec<u64>,
    pub passes: u64,
    pub block: usize,
    /// The cache of the part `cold`, in percent of the data.
    pub cold_percent: f64,
    /// Whether measuring processes use transparent huge pages.
    pub huge_pages: bool,
    pub threads: usize,
    pub opts: Opts,
    /// Seconds that HBase repeats an operation before it is measured.
    pub warm: f64,
    /// Seconds that HBase reads before the first measurement.
    pub jit: f64,
    pub dir: PathBuf,
    /// The results; the log is beside it.
    pub out: PathBuf,
}

/// Runs all measurements of the plan, and appends the lines to its file.
pub fn run(plan: &Plan) -> Result<()> {
    for part in &plan.parts {
        ensure!(GROUPS.concat().contains(&part.as_str()), "no part is called {part}");
    }
    let contenders = contenders(plan)?;
    if let Some(parent) = plan.out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let append = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
    let log = plan.out.with_extension("log");
    let mut run = Run {
        plan,
        scratch: plan.dir.join(format!("peers-{}", std::process::id())),
        out: append(&plan.out).with_context(|| plan.out.display().to_string())?,
        log: append(&log)?,
        failed: 0,
    };
    let cpus = std::thread::available_parallelism()?.get();
    let head = json!({ "run": { "n": plan.n, "file_n": plan.file_n, "passes": plan.passes,
        "block": plan.block, "cold_percent": plan.cold_percent, "engines": plan.engines,
        "huge_pages": plan.huge_pages, "cpu": sys::cpu_model(), "cpus": cpus } });
    writeln!(run.out, "{head}")?;

    let start = Instant::now();
    for pass in 1..=plan.passes {
        for group in GROUPS {
            let parts: Vec<&str> =
                group.iter().copied().filter(|p| plan.parts.iter().any(|w| w == p)).collect();
            if parts == ["files"] {
                run.files(pass)?;
            } else if !parts.is_empty() {
                let mut turn = contenders.clone();
                // every second pass is in reverse order, so that the position has less influence
                if pass % 2 == 0 {
                    turn.reverse();
                }
                for contender in turn {
                    run.store(contender, &parts.join(","), pass)?;
                }
            }
        }
    }
    eprintln!("peers: {:.0} minutes; {}", start.elapsed().as_secs_f64() / 60.0, plan.out.display());
    ensure!(run.failed == 0, "{} processes failed; {} has their messages", run.failed, log.display());
    Ok(())
}

/// The engines of the plan that are in this build.
fn contenders(plan: &Plan) -> Result<Vec<&str>> {
    let built = engines::names();
    let mut contenders = Vec::new();
    for name in &plan.engines {
        let engine = name.split(':').next().unwrap_or_default();
        if engine == "hbase" && plan.hbase.is_none() || engine != "hbase" && !built.contains(&engine) {
            eprintln!("peers: without {name}, which is not part of this build");
        } else {
            contenders.push(name.as_str());
        }
    }
    ensure!(!contenders.is_empty(), "there is no engine to measure");
    Ok(contenders)
}

struct Run<'p> {
    plan: &'p Plan,
    scratch: PathBuf,
    out: File,
    log: File,
    failed: u32,
}

impl Run<'_> {
    /// Measures parts of an engine.
    fn store(&mut self, contender: &str, parts: &str, pass: u64) -> Result<()> {
        let (engine, variant) = contender.split_once(':').unwrap_or((contender, "default"));
        let mut command = match &self.plan.hbase {
            Some(program) if engine == "hbase" => self.hbase(program, parts, self.plan.n),
            _ => {
                let mut command = self.own("store");
                command.args(["--engine", engine, "--parts", parts, "--n", &self.plan.n.to_string()]);
                command.args(["--threads", &self.plan.threads.to_string()]);
                command
            }
        };
        command.args(["--variant", variant, "--block", &self.plan.block.to_string()]);
        command.args(["--cold-percent", &self.plan.cold_percent.to_string()]);
        self.process(command, contender, &format!("{contender}: {parts}"), pass)?;
        self.clean()
    }

    /// Measures files: HBase writes and reads them first, then hregion reads them.
    fn files(&mut self, pass: u64) -> Result<()> {
        let wanted = |engine: &str| self.plan.engines.iter().any(|e| e == engine);
        let Some(program) = self.plan.hbase.as_ref().filter(|_| wanted("hbase") && wanted("hregion")) else {
            eprintln!("peers: without files, which HBase writes and hregion reads");
            return Ok(());
        };
        for &n in &self.plan.file_n {
            let command = self.hbase(program, "files", n);
            self.process(command, "hbase", &format!("hbase: files of {n} rows"), pass)?;
            let mut command = self.own("files");
            command.args(["--n", &n.to_string()]);
            self.process(command, "hregion", &format!("hregion: files of {n} rows"), pass)?;
            self.clean()?;
        }
        Ok(())
    }

    /// A command of this program, with the common options.
    fn own(&self, command: &str) -> Command {
        let opts = &self.plan.opts;
        let mut own = Command::new(std::env::current_exe().unwrap_or_else(|_| "peers".into()));
        own.arg(command);
        own.args(["--max-noise", &opts.max_noise.to_string(), "--wait", &opts.wait.to_string()]);
        own.args(["--attempts", &opts.max_attempts.to_string()]);
        own
    }

    fn hbase(&self, program: &Path, parts: &str, n: u64) -> Command {
        let plan = self.plan;
        let mut command = Command::new(program);
        command.args(["--parts", parts, "--n", &n.to_string(), "--threads", &plan.threads.to_string()]);
        command.args(["--warm", &plan.warm.to_string(), "--jit", &plan.jit.to_string()]);
        command
    }

    /// Runs a measuring process, and appends its output lines.
    fn process(&mut self, mut command: Command, contender: &str, what: &str, pass: u64) -> Result<()> {
        let start = Instant::now();
        command.args(["--pass", &pass.to_string(), "--secs", &self.plan.opts.secs.to_string()]);
        command.arg("--dir").arg(self.scratch.join("data"));
        std::fs::create_dir_all(&self.scratch)?;
        if self.plan.huge_pages {
            command.env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
            command.env("JAVA_TOOL_OPTIONS", "-XX:+UseTransparentHugePages");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(self.log.try_clone()?)
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let stdout = child.stdout.take().context("the output of a process")?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let is_result = serde_json::from_str::<Value>(&line).is_ok_and(|v| v.is_object());
            writeln!(if is_result { &mut self.out } else { &mut self.log }, "{line}")?;
        }
        let status = child.wait()?;
        eprintln!("peers: pass {pass}, {what}, {:.0} s", start.elapsed().as_secs_f64());
        if !status.success() {
            eprintln!("peers: {what}: {status}");
            let failed = json!({ "engine": contender, "pass": pass, "failed": format!("{what}: {status}") });
            writeln!(self.out, "{failed}")?;
            self.failed += 1;
        }
        Ok(())
    }

    fn clean(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.scratch).with_context(|| self.scratch.display().to_string())
    }
}
