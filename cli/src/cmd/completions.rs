//! `hregion completions`: prints completion scripts for shells.

use crate::args;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use clap_complete::Shell;
use std::io::Write as _;

/// Print a completion script for a shell
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Shell to complete commands in
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  hregion completions bash > ~/.local/share/bash-completion/completions/hregion
  hregion completions zsh > ~/.zfunc/_hregion
  hregion completions fish > ~/.config/fish/completions/hregion.fish";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    // generated in memory, because the generator panics if it cannot write
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "hregion", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Done)
}
