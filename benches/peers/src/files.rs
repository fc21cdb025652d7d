//! Files written by HBase, read without a region: the counterpart of `HFiles.java`.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hregion::{BlockCache, CellType, HFile, HFileScanner, SeekKey};

use crate::engines::crate_version;
use crate::lines::Lines;
use crate::measure::{Opts, Sample, scans, single, touch};
use crate::sys;
use crate::workload::{Draw, FAMILY, Order, QUALIFIER, Row, TIMESTAMP, text_row, value};

/// The measured data block encodings. HBase writes a file `ENCODING.hfile` for each.
pub const ENCODINGS: [&str; 3] = ["NONE", "FAST_DIFF", "ROW_INDEX_V1"];

/// The codecs that are measured without an encoding and without a cache. HBase writes a file `CODEC.hfile`
/// for each.
pub const CODECS: [&str; 4] = ["ZSTD", "LZ4", "SNAPPY", "GZ"];

/// Measures the files in `dir`, each of which has the `n` rows of [`text_row`].
pub fn run(dir: &Path, n: u64, pass: u64, opts: &Opts) -> Result<()> {
    let lines = Lines { engine: "hregion".into(), variant: "default".into(), n, pass };
    lines.about(&format!("hregion {}, HFiles", crate_version("hregion")));
    let order = Order::new(n);
    sys::warm_page_cache(dir);
    let encoded = ENCODINGS.iter().flat_map(|kind| [(kind, true), (kind, false)]);
    for (kind, cached) in encoded.chain(CODECS.iter().map(|kind| (kind, false))) {
        let path = dir.join(format!("{kind}.hfile"));
        measure(&path, kind, cached, &lines, &order, opts).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn measure(path: &Path, kind: &str, cached: bool, lines: &Lines, order: &Order, opts: &Opts) -> Result<()> {
    let n = order.0.len() as u64;
    let mut options = HFile::options().verify_checksums(true);
    if cached {
        options = options.cache(&BlockCache::with_capacity(4 << 30));
    }
    let file = options.open(path)?;
    let (mut at, mut bad) = (0, None);
    scan(&file, |row, cell_value| {
        let i = order.0.get(at).map_or(0, |&i| u64::from(i));
        if row != text_row(i) || cell_value != value(i) {
            bad.get_or_insert(at);
        }
        at += 1;
    })?;
    ensure!(bad.is_none() && at as u64 == n, "{at} cells of {n}, differs at {bad:?}");

    let put = |name: &str, take: &mut dyn FnMut() -> Result<Sample>| {
        lines.measure(&format!("file-{name}/{}", kind.to_lowercase()), 1, take)
    };
    let heat = if cached { "hot" } else { "cold" };
    let mut lookups = Lookups { file: &file, cells: file.scanner(), key: SeekKey::new() };
    let mut gets = |missing: bool, bloom: bool| {
        let mut draw =
            if missing { Draw::missing(n, 0, lines.pass) } else { Draw::uniform(n, 0, lines.pass) };
        let mut get = || {
            let i = draw.draw();
            let found = lookups.get(&text_row(i), bloom);
            assert!(found.is_none() == missing, "row {i}");
            black_box(found);
            1
        };
        (0..1000).for_each(|_| {
            get();
        });
        single(opts, "gets/s", get)
    };
    put(&format!("seek-{heat}"), &mut || gets(false, false))?;
    if cached {
        put("missing-bloom", &mut || gets(true, true))?;
        put("missing-hot", &mut || gets(true, false))?;
    }
    put(&format!("scan-{heat}"), &mut || {
        scans(opts, n, || {
            let mut x = 0;
            let cells = scan(&file, |row, value| x ^= touch(row) ^ touch(value))?;
            black_box(x);
            ensure!(cells == n, "a full scan returned {cells} cells of {n}");
            Ok(())
        })
    })
}

/// Lookups with one scanner and one key, as in HBase's counterpart.
struct Lookups<'f> {
    file: &'f HFile,
    cells: HFileScanner<'f>,
    key: SeekKey,
}

impl Lookups<'_> {
    #[inline(always)]
    fn get(&mut self, row: &Row, bloom: bool) -> Option<u64> {
        if bloom && !self.file.may_contain_row(row) {
            return None;
        }
        self.key.set(row, FAMILY, QUALIFIER, TIMESTAMP as i64, CellType::Put);
        self.cells.seek(&self.key).expect("the file is sound");
        let cell = self.cells.peek()?;
        (cell.row() == row).then(|| touch(cell.value()))
    }
}

/// Calls `f` with row and value of every cell. Returns the number of cells.
fn scan(file: &HFile, mut f: impl FnMut(&[u8], &[u8])) -> Result<u64> {
    let mut cells = file.scanner();
    let mut n = 0;
    let mut more = cells.seek_to_first()?;
    while more {
        if let Some(cell) = cells.peek() {
            f(cell.row(), cell.value());
            n += 1;
        }
        more = cells.advance()?;
    }
    Ok(n)
}
