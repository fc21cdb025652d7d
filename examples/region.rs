//! A region as an embedded store, its recovery after a crash, and a region left by HBase.
//!
//! ```sh
//! cargo run --example region                # in a temporary directory, which is removed
//! cargo run --example region -- my-region   # in a directory that is kept
//! ```

use hregion::{BlockCache, Compaction, Delete, Family, Get, Put, Region, Scan};
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// One half of a region that HBase has split: references to the files of its parent.
const LEFT_BY_HBASE: &str =
    "testdata/region/split-references/root/data/default/halves/b080bd824b133f7fd142d58caf423392";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The argument of the process that crashes.
const CRASH: &str = "--crash";

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if let [first, dir] = &args[..]
        && first == CRASH
    {
        return crash(Path::new(dir));
    }
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let scratch = std::env::temp_dir().join(format!("hregion-example-{}", std::process::id()));
    let mut out = io::stdout().lock();
    let dir = given.as_deref().unwrap_or(&scratch);
    let done = embedded(dir, &mut out)
        .and_then(|()| after_a_crash(dir, &mut out))
        .and_then(|()| left_by_hbase(&mut out));
    // The directory of the user is kept.
    if given.is_none()
        && let Err(error) = std::fs::remove_dir_all(&scratch)
    {
        eprintln!("cannot remove {}: {error}", scratch.display());
    }
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes, flushes, compacts and reads.
fn embedded(dir: &Path, out: &mut impl Write) -> Result<()> {
    let cache = BlockCache::with_capacity(64 << 20); // bytes; any number of regions may share it
    let region = Region::options()
        .cache(&cache)
        .create_if_missing(true)
        .family(Family::new("info").max_versions(3))
        .family(Family::new("stats").ttl(Duration::from_secs(7 * 24 * 3600)))
        .open(dir)?;

    region.put(Put::new("ada").cell_at("info", "name", 1, "Ada Byron").cell("stats", "visits", "1"))?;
    region.put(Put::new("ada").cell_at("info", "name", 2, "Ada Lovelace"))?;
    region.put(Put::new("grace").cell("info", "name", "Grace Hopper"))?;
    region.flush()?;
    let before = region.view(); // a snapshot

    region.delete(Delete::new("grace").column("info", "name"))?;
    region.flush()?;
    region.compact(Compaction::Major)?;

    let ada = region.get(&Get::new("ada").column("info", "name").max_versions(3))?;
    writeln!(out, "the names of ada, newest first:")?;
    for cell in ada.cells() {
        writeln!(out, "  {:?} at {}", text(cell.value()), cell.key().timestamp())?;
    }
    writeln!(out, "grace is deleted: {}", region.get(&Get::new("grace"))?.is_empty())?;
    writeln!(out, "the older view still has her: {}", !before.get(&Get::new("grace"))?.is_empty())?;
    print_rows(&region, Scan::new().rows("a".."h"), out)?;
    region.close()?;
    Ok(())
}

/// Writes in another process, which ends at once, and reads its writes.
fn after_a_crash(dir: &Path, out: &mut impl Write) -> Result<()> {
    let crashed =
        Command::new(std::env::current_exe()?).arg(CRASH).arg(dir).stderr(Stdio::null()).status()?;
    writeln!(out, "a process that wrote has crashed: {}", !crashed.success())?;
    let region = Region::options().writable(true).open(dir)?; // replays the log
    let name = region.get(&Get::new("katherine").column("info", "name"))?;
    writeln!(out, "its write is there: {:?}", name.cells().next().map(|cell| text(cell.value())))?;
    region.close()?;
    Ok(())
}

/// Writes, and ends without closing anything.
fn crash(dir: &Path) -> ExitCode {
    let open = Region::options().writable(true).open(dir);
    match open.and_then(|region| region.put(Put::new("katherine").cell("info", "name", "Katherine Johnson")))
    {
        Ok(()) => std::process::abort(), // the write is acknowledged, and nothing is flushed
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the same cells as a RegionServer would, without writing to the directory.
fn left_by_hbase(out: &mut impl Write) -> Result<()> {
    let region = Region::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(LEFT_BY_HBASE))?;
    writeln!(out, "{}", region.info())?;
    let row = region.get(&Get::new("row-0007"))?;
    writeln!(out, "row-0007 has {} cells", row.len())?;
    print_rows(&region, Scan::new().rows("row-0001".."row-0003"), out)?;
    let metrics = region.metrics();
    let skipped = metrics.files_skipped_by_key + metrics.files_skipped_by_bloom;
    writeln!(out, "{skipped} of {} files were skipped", metrics.files_considered)?;
    Ok(())
}

fn print_rows(region: &Region, scan: Scan, out: &mut impl Write) -> Result<()> {
    for row in region.scan(scan)? {
        for cell in row?.cells() {
            writeln!(out, "  {cell} {:?}", text(cell.value()))?;
        }
    }
    Ok(())
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// Whether the reader of standard output has ended, as with `head`.
fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
