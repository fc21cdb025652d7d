//! Cuts inputs for the fuzz targets out of the files of `testdata`. See `fuzz/seed.sh`.

#[path = "../../tests/support/seeds.rs"]
mod seeds;

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
    let testdata = fuzz.join("../testdata");
    let messages = seeds::of_filter_messages(&testdata)?;
    let others = seeds::of_regions(&testdata)?.into_iter().chain(seeds::of_filters()).chain(messages);
    let others = others.chain(seeds::of_znodes(&testdata)?).chain(seeds::of_catalog(&testdata)?);
    for (i, seed) in others.enumerate() {
        let corpus = folder.join(seed.target);
        fs::create_dir_all(&corpus)?;
        fs::write(corpus.join(format!("other-{i}")), seed.bytes)?;
        count += 1;
    }
    println!("{count} seeds in {}", folder.display());
    Ok(())
}
