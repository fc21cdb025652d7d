//! `hregion`: what HBase's files hold, without HBase.

use std::process::ExitCode;

fn main() -> ExitCode {
    hregion_cli::run()
}
