//! An observer that hides the values of one column from all readers: gets and scans.
//!
//!     cargo run --example observer_mask
#![allow(clippy::print_stdout, reason = "the example prints its results")]

use hregion::region::ObserverContext;
use hregion::{Family, Get, Put, Region, RegionObserver, Result, RowBuf, Scan};
use std::sync::Arc;

/// Hides the values of a column.
#[derive(Debug)]
struct Mask {
    family: &'static [u8],
    qualifier: &'static [u8],
}

impl Mask {
    fn apply(&self, row: &mut RowBuf) {
        let read = row.freeze();
        row.clear();
        for cell in read.cells() {
            let hidden = cell.family() == self.family && cell.qualifier() == self.qualifier;
            row.push(if hidden { cell.with_value(b"****") } else { cell });
        }
    }
}

impl RegionObserver for Mask {
    fn post_get_op(&self, _: &mut ObserverContext<'_>, _: &Get, results: &mut RowBuf) -> Result<()> {
        self.apply(results);
        Ok(())
    }

    fn post_scanner_next(&self, _: &mut ObserverContext<'_>, _: &Scan, results: &mut RowBuf) -> Result<()> {
        self.apply(results);
        Ok(())
    }
}

fn main() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("hregion-observer-mask-{}", std::process::id()));
    let mask = Mask { family: b"person", qualifier: b"iban" };
    let region = Region::options()
        .create_if_missing(true)
        .family(Family::new("person"))
        .observer(0, Arc::new(mask))
        .open(&dir)?;
    region.put(Put::new("ada").cell("person", "name", "Ada").cell(
        "person",
        "iban",
        "GB33BUKB20201555555555",
    ))?;

    for cell in region.get(&Get::new("ada"))?.cells() {
        println!("{cell} {}", String::from_utf8_lossy(cell.value()));
    }
    let view = region.view();
    for row in view.scan(&Scan::new())? {
        assert_eq!(row?.value("person", "iban"), Some(&b"****"[..]));
    }
    drop((view, region));
    let _ = std::fs::remove_dir_all(dir);
    Ok(())
}
