//! `hregion`: reads the files of HBase, without HBase.

use std::process::ExitCode;

fn main() -> ExitCode {
    hregion_cli::run()
}
