//! `peers run` measures, `peers table` prints the tables of a run. The other commands are the measuring
//! processes, which `peers run` starts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use peers::measure::Opts;
use peers::run::Plan;
use peers::scenario::{self, Params};
use peers::{dispatch, engines, files, growth, report, run};

const USAGE: &str = "\
run [OPTION...]          measures, and prints the tables of README.md and docs/speed.md
  --quick                a first look: 200,000 rows, one pass, 0.4 s for a measurement
  --engines A,B:V,...    ENGINE or ENGINE:VARIANT
                         (hbase,hregion,rocksdb,rocksdb:tuned,lsm-tree,lsm-tree:tuned,fjall,redb,lmdb)
  --parts A,B,...        writes, logs, runs5, hot, cold, wide, versions, files
                         (writes,logs,runs5,hot,cold,versions,files, which the tables need)
  --n ROWS               rows of a store (1000000)
  --file-n A,B,...       rows of a file (a fifth and a fiftieth of --n)
  --passes N             (2)
  --secs S               shortest time of a measurement (0.8)
  --threads N            gets and puts are measured with one thread and with this many (2)
  --block BYTES          data blocks of all engines that have them (0: the default of each)
  --cold-percent P       block cache of the part cold, in percent of the data (10)
  --huge-pages           the memory of all engines is in huge pages, as far as glibc and the JVM use them
  --max-noise CPUS       a sample is taken again if other processes used more (0.15)
  --attempts N           samples taken at most (2)
  --wait S               seconds to wait for a quiet machine before a sample (0)
  --warm S, --jit S      seconds that HBase repeats an operation before it is measured (1.5), and
                         that it reads before its first measurement (10)
  --hbase PROGRAM        measures HBase
  --dir DIR              for data (the directory for temporary files)
  --out FILE             for results, which are appended as lines of JSON (peers.jsonl)
table FILE [--cpu]       prints the tables of an earlier run; --cpu: by CPU time of the reading threads
growth [OPTION...]       measures how costs of hregion grow, and draws charts
  --quick                small stores
  --rows A,B,...         rows of a store (100000,1000000,10000000)
  --cells N              cells of all other stores (1000000)
  --files A,B,...        (1,5,20,100)
  --versions A,B,...     of a column (1,10,100,1000)
  --columns A,B,...      of a row (1,10,100,1000,10000)
  --regions A,B,...      of a table (1,100,10000)
  --secs S               shortest time of a measurement (0.8)
  --dir DIR              for data (the directory for temporary files)
  --out DIR              for the charts and `growth.jsonl`
list                     the engines of this build
";

/// Options by name. A flag has an empty value.
struct Args(BTreeMap<String, String>);

impl Args {
    /// Reads the options, all of which must be in `names` (with a value) or `flags`.
    fn parse(args: &[String], names: &[&str], flags: &[&str]) -> Result<Self> {
        let mut options = BTreeMap::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let name = arg.strip_prefix("--").with_context(|| format!("{arg} is not an option"))?;
            let value = if flags.contains(&name) {
                String::new()
            } else {
                ensure!(names.contains(&name), "{arg} is not an option");
                args.next().with_context(|| format!("{arg} needs a value"))?.clone()
            };
            options.insert(name.to_string(), value);
        }
        Ok(Args(options))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn required(&self, name: &str) -> Result<&str> {
        self.get(name).with_context(|| format!("--{name} is missing"))
    }

    fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T> {
        match self.get(name) {
            Some(text) => number(text).with_context(|| format!("--{name} {text}")),
            None => Ok(default),
        }
    }

    fn list(&self, name: &str, default: &str) -> Vec<String> {
        let text = self.get(name).unwrap_or(default);
        text.split(',').map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect()
    }

    fn numbers(&self, name: &str, default: &[u64]) -> Result<Vec<u64>> {
        match self.get(name) {
            Some(list) => list.split(',').map(number).collect(),
            None => Ok(default.to_vec()),
        }
    }

    fn opts(&self, secs: f64) -> Result<Opts> {
        Ok(Opts {
            secs: self.number("secs", secs)?,
            max_noise: self.number("max-noise", 0.15)?,
            max_attempts: self.number("attempts", 2)?,
            wait: self.number("wait", 0.0)?,
        })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T> {
    text.replace(['_', ','], "").parse().ok().context("not a number")
}

const OPTS: [&str; 4] = ["secs", "max-noise", "attempts", "wait"];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) if !args.iter().any(|a| a == "--help") => (command.as_str(), rest),
        _ => ("help", &[][..]),
    };
    match command {
        "run" => measure(rest),
        "table" => {
            let (file, rest) = rest.split_first().context("which file?")?;
            let cpu = Args::parse(rest, &[], &["cpu"])?.get("cpu").is_some();
            print!("{}", report::tables(&std::fs::read_to_string(file).with_context(|| file.clone())?, cpu));
            Ok(())
        }
        "growth" => grow(rest),
        "store" => store(rest),
        "files" => {
            let args = Args::parse(rest, &[&["n", "pass", "dir"][..], &OPTS].concat(), &[])?;
            let dir = PathBuf::from(args.required("dir")?).join("files");
            files::run(&dir, number(args.required("n")?)?, args.number("pass", 1)?, &args.opts(0.8)?)
        }
        "list" => {
            println!("{}", engines::names().join("\n"));
            Ok(())
        }
        "help" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command {other}"),
    }
}

fn measure(args: &[String]) -> Result<()> {
    const NAMES: [&str; 13] = [
        "engines",
        "parts",
        "n",
        "file-n",
        "passes",
        "threads",
        "block",
        "cold-percent",
        "warm",
        "jit",
        "hbase",
        "dir",
        "out",
    ];
    let args = Args::parse(args, &[&NAMES[..], &OPTS].concat(), &["quick", "huge-pages"])?;
    let quick = args.get("quick").is_some();
    let n = args.number("n", if quick { 200_000 } else { 1_000_000 })?;
    let file_n = args.numbers("file-n", &[n / 5, n / 50])?;
    let plan = Plan {
        hbase: args.get("hbase").map(PathBuf::from),
        engines: args
            .list("engines", "hbase,hregion,rocksdb,rocksdb:tuned,lsm-tree,lsm-tree:tuned,fjall,redb,lmdb"),
        parts: args.list("parts", "writes,logs,runs5,hot,cold,versions,files"),
        n,
        file_n,
        passes: args.number("passes", if quick { 1 } else { 2 })?,
        block: args.number("block", 0)?,
        cold_percent: args.number("cold-percent", 10.0)?,
        huge_pages: args.get("huge-pages").is_some(),
        threads: args.number("threads", 2)?,
        opts: args.opts(if quick { 0.4 } else { 0.8 })?,
        warm: args.number("warm", if quick { 0.8 } else { 1.5 })?,
        jit: args.number("jit", 10.0)?,
        dir: args.get("dir").map_or_else(std::env::temp_dir, PathBuf::from),
        out: args.get("out").unwrap_or("peers.jsonl").into(),
    };
    let measured = run::run(&plan);
    // a run in which a process failed still has the other numbers
    if let Ok(lines) = std::fs::read_to_string(&plan.out) {
        print!("{}", report::tables(&lines, false));
    }
    measured
}

fn grow(args: &[String]) -> Result<()> {
    const NAMES: [&str; 8] = ["rows", "cells", "files", "versions", "columns", "regions", "dir", "out"];
    let args = Args::parse(args, &[&NAMES[..], &OPTS].concat(), &["quick"])?;
    let quick = args.get("quick").is_some();
    growth::run(&growth::Plan {
        rows: args
            .numbers("rows", if quick { &[1_000, 10_000] } else { &[100_000, 1_000_000, 10_000_000] })?,
        cells: args.number("cells", if quick { 10_000 } else { 1_000_000 })?,
        files: args.numbers("files", if quick { &[1, 5] } else { &[1, 5, 20, 100] })?,
        versions: args.numbers("versions", if quick { &[1, 10] } else { &[1, 10, 100, 1_000] })?,
        columns: args.numbers("columns", if quick { &[1, 10] } else { &[1, 10, 100, 1_000, 10_000] })?,
        regions: args.numbers("regions", if quick { &[1, 10] } else { &[1, 100, 10_000] })?,
        opts: args.opts(if quick { 0.02 } else { 0.8 })?,
        dir: args.get("dir").map_or_else(std::env::temp_dir, PathBuf::from),
        out: args.required("out")?.into(),
    })
}

fn store(args: &[String]) -> Result<()> {
    const NAMES: [&str; 9] =
        ["engine", "variant", "n", "block", "cold-percent", "pass", "dir", "threads", "parts"];
    let args = Args::parse(args, &[&NAMES[..], &OPTS].concat(), &[])?;
    let params = Params {
        engine: args.required("engine")?.to_string(),
        variant: args.get("variant").unwrap_or("default").to_string(),
        n: number(args.required("n")?)?,
        block: args.number("block", 0)?,
        cold_percent: args.number("cold-percent", 10.0)?,
        pass: args.number("pass", 1)?,
        dir: args.required("dir")?.into(),
        opts: args.opts(0.8)?,
        threads: args.number("threads", 2)?,
        parts: args.list("parts", "runs5,hot"),
    };
    dispatch!(params.engine.as_str(), scenario::run, &params)
}
