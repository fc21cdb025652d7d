//! Cuts inputs for the fuzz targets out of the files of `testdata`. See `fuzz/seed.sh`.

#[path = "../../tests/support/seeds.rs"]
mod seeds;
#[path = "../../tests/support/tool_seeds.rs"]
mod tool_seeds;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = env::args_os().nth(1).map_or_else(|| fuzz.join("corpus"), PathBuf::from);
    let mut count = 0;
    for (name, bytes) in seeds::files(&fuzz.join("../testdata"))? {
        for (i, seed) in seeds::of(&bytes).into_iter().enumerate() {
            let corpus = folder.join(seed.target);
            fs::create_dir_all(&corpus)?;
            fs::write(corpus.join(format!("{name}-{i}")), seed.bytes)?;
            count += 1;
        }
    }
    // any bytes are operations; these make a first corpus of some lengths
    for len in [20, 60, 200, 600] {
        let corpus = folder.join("region_operations");
        fs::create_dir_all(&corpus)?;
        let bytes: Vec<u8> = (0..len).map(|i: u32| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        fs::write(corpus.join(format!("mixed-{len}")), bytes)?;
        count += 1;
    }
    let testdata = fuzz.join("../testdata");
    let messages = seeds::of_filter_messages(&testdata)?;
    let others = seeds::of_regions(&testdata)?.into_iter().chain(seeds::of_filters()).chain(messages);
    let others = others.chain(seeds::of_znodes(&testdata)?).chain(seeds::of_catalog(&testdata)?);
    let others = others.chain(seeds::of_wals(&testdata)?);
    for (i, seed) in others.enumerate() {
        let corpus = folder.join(seed.target);
        fs::create_dir_all(&corpus)?;
        fs::write(corpus.join(format!("other-{i}")), seed.bytes)?;
        count += 1;
    }
    for (i, (target, bytes)) in tool_seeds::of_tool(&testdata)?.into_iter().enumerate() {
        let corpus = folder.join(target);
        fs::create_dir_all(&corpus)?;
        fs::write(corpus.join(format!("golden-{i}")), bytes)?;
        count += 1;
    }
    println!("{count} seeds in {}", folder.display());
    Ok(())
}
