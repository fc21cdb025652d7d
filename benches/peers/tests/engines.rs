//! Every engine of the build returns the written data, in each shape. This must pass before a new engine is
//! measured.

use std::path::Path;

use anyhow::Result;
use peers::engine::{Caps, Config, Engine};
use peers::measure::verify;
use peers::scenario::{fill_narrow, fill_versions, fill_wide, verify_versions, verify_wide};
use peers::workload::{COLUMNS, Order, VERSION_CELLS};
use peers::{dispatch, engines};

const N: u64 = 20_000;

fn returns_what_was_written<E: Engine>(dir: &Path, block: usize) -> Result<()> {
    let config = |name: &str, versions| {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir).expect("an empty directory");
        let (cache, memtable) = (64 << 20, 64 << 20);
        Config { dir, block, cache, bloom_bits: 10.0, memtable, versions, variant: "default".into() }
    };

    let narrow = config("narrow", 1);
    let order = Order::new(N);
    let engine: E = fill_narrow(&narrow, &order)?;
    assert!(engine.runs().is_none_or(|runs| runs == 4), "{:?}", engine.runs());
    verify(&engine, &order)?;
    engine.flush()?;
    engine.compact()?;
    assert!(engine.runs().is_none_or(|runs| runs == 1), "{:?}", engine.runs());
    verify(&engine, &order)?;
    engine.close()?;
    let engine = E::open(&Config { cache: 1 << 20, ..narrow })?;
    verify(&engine, &order)?;
    engine.close()?;

    let engine: E = fill_wide(&config("wide", 1), N / COLUMNS)?;
    verify_wide(&engine, N / COLUMNS)?;
    engine.close()?;

    let engine: E = fill_versions(&config("versions", 100), N / VERSION_CELLS)?;
    verify_versions(&engine, N / VERSION_CELLS)?;
    engine.close()
}

fn caps<E: Engine>() -> Result<Caps> {
    Ok(E::caps())
}

#[test]
fn engines_return_what_was_written() {
    for name in engines::names() {
        let caps = dispatch!(name, caps,).expect("an engine of this build");
        for block in [0, 16 << 10] {
            // an engine without runs has pages
            if block > 0 && !caps.runs {
                continue;
            }
            let dir = std::env::temp_dir().join(format!("peers-{}-{name}-{block}", std::process::id()));
            let returned = dispatch!(name, returns_what_was_written, &dir, block);
            std::fs::remove_dir_all(&dir).expect("the directory is removed");
            returned.unwrap_or_else(|e| panic!("{name}, blocks of {block} bytes: {e:#}"));
        }
    }
}
