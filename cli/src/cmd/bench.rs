//! `hregion bench`: measures reads and writes on this machine.

use crate::bench::{Bench, Measured, Rows, Setup, Workload};
use crate::failure::{CommandError, Exit, Failure};
use crate::family_args::family;
use crate::new_file::check_output;
use crate::output::Output;
use crate::scratch_dir::ScratchDir;
use crate::stats;
use crate::text_file::TextFile;
use hregion::Family;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Measure reads and writes on this machine
///
/// Creates a region of one family in a temporary directory, which is removed at the end. Prints operations
/// per second, latencies (50th, 99th and 99.9th percentile, maximum), and the hit rate of the block cache.
/// Reads are compared with the rows written. They read one file, which is in the system's page cache; if
/// --cache-bytes is less than the size of the rows, blocks are read from it repeatedly.
///
/// With --json, prints {"workload","rows","value_bytes","threads","operations","seconds","per_second",
/// "p50_us","p99_us","p999_us","max_us","cache_hits","cache_misses"} for each workload; a scan, whose
/// operations are rows, has no times.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Workloads to measure [default: all]
    workloads: Vec<Workload>,

    /// Number of rows
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    rows: u64,

    /// Length of values in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    value_bytes: u32,

    /// Number of threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,

    /// Duration of each workload in seconds; `fill` writes all rows
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,

    /// Capacity of the block cache in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    cache_bytes: u64,

    /// Family and its attributes, such as cf:BLOOMFILTER=ROW,DATA_BLOCK_ENCODING=FAST_DIFF
    #[arg(long, value_name = "NAME[:ATTRIBUTE=VALUE,…]", default_value = "cf", value_parser = family)]
    family: Family,

    /// Also draw the latencies as a picture (SVG)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    svg: Option<PathBuf>,

    /// Replace the picture if it exists
    #[arg(long, requires = "svg", help_heading = "Output")]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  hregion bench
  hregion bench random-read --rows 1000000 --cache-bytes 20000000 --threads 2
  hregion bench scan --family cf:DATA_BLOCK_ENCODING=FAST_DIFF,COMPRESSION=SNAPPY --json";

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "expected a number of seconds from 0 to 86400".into())
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(svg) = &args.svg {
        if svg.as_os_str() == "-" {
            return Err(CommandError::usage("--svg: expected a file").into());
        }
        check_output(svg, args.force, &[])?;
    }
    let setup = Setup {
        rows: Rows { count: args.rows, value_bytes: args.value_bytes },
        threads: args.threads,
        time: Duration::from_secs_f64(args.seconds),
        cache: args.cache_bytes,
        family: args.family.clone(),
    };
    let wanted = Workload::ALL
        .iter()
        .filter(|workload| args.workloads.is_empty() || args.workloads.contains(workload));
    let (writes, reads): (Vec<Workload>, Vec<_>) =
        wanted.partition(|workload| workload.durability().is_some());
    if !out.is_json() {
        writeln!(
            out,
            "{:>13} {:>14} {:>10} {:>10} {:>10} {:>10} {:>7}",
            "workload", "per second", "p50 µs", "p99 µs", "p99.9 µs", "max µs", "cached"
        )?;
    }
    let scratch = ScratchDir::create()?;
    let mut measured = Vec::new();
    for workload in writes {
        let bench = Bench::create(&scratch.path().join(workload.name()), &setup)?;
        measured.push((workload, measure(&bench, workload, args, out)?));
        bench.close()?;
    }
    if !reads.is_empty() {
        let bench = Bench::create(&scratch.path().join("read"), &setup)?;
        bench.fill()?;
        for workload in reads {
            measured.push((workload, measure(&bench, workload, args, out)?));
        }
        bench.close()?;
    }
    if let Some(svg) = &args.svg {
        let charts = measured.iter().map(|(workload, measured)| {
            (format!("{}: {:.0} per second", workload.name(), measured.per_second()), &measured.latency)
        });
        let title =
            format!("rows {}, values of {} bytes, threads {}", args.rows, args.value_bytes, args.threads);
        let mut file = TextFile::create(svg, args.force)?;
        file.write(stats::draw_charts(&title, charts).as_bytes())?;
        file.finish()?;
    }
    Ok(Exit::Done)
}

/// Runs a workload and prints its result.
fn measure(bench: &Bench, workload: Workload, args: &Args, out: &mut Output) -> Result<Measured, Failure> {
    let measured = bench.run(workload)?;
    let times = &measured.latency.histogram;
    let micros = |thousandths| (!times.is_empty()).then(|| times.quantile(thousandths) as f64 / 1000.0);
    let (hits, misses) = measured.cache;
    if out.is_json() {
        let number = |micros: Option<f64>| micros.map_or(Value::Null, Value::from);
        out.json_line(&json!({
            "workload": workload.name(),
            "rows": args.rows,
            "value_bytes": args.value_bytes,
            "threads": args.threads,
            "operations": measured.operations,
            "seconds": measured.time.as_secs_f64(),
            "per_second": measured.per_second(),
            "p50_us": number(micros(500)),
            "p99_us": number(micros(990)),
            "p999_us": number(micros(999)),
            "max_us": number(micros(1000)),
            "cache_hits": hits,
            "cache_misses": misses,
        }))?;
        return Ok(measured);
    }
    let shown = |thousandths| micros(thousandths).map_or_else(|| "-".into(), |micros| format!("{micros:.1}"));
    let cached = match hits + misses {
        0 => "-".into(),
        all => format!("{:.1} %", hits as f64 * 100.0 / all as f64),
    };
    writeln!(
        out,
        "{:>13} {:>14.0} {:>10} {:>10} {:>10} {:>10} {cached:>7}",
        workload.name(),
        measured.per_second(),
        shown(500),
        shown(990),
        shown(999),
        shown(1000)
    )?;
    Ok(measured)
}
