//! `hregion completions`: what a shell needs to complete our command lines.

use crate::args;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use clap_complete::Shell;
use std::io::Write as _;

/// Print a script that makes a shell complete command lines
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  hregion completions bash > ~/.local/share/bash-completion/completions/hregion
  hregion completions zsh > ~/.zfunc/_hregion
  hregion completions fish > ~/.config/fish/completions/hregion.fish";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    // by way of memory, since the generator panics where it cannot write
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "hregion", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Done)
}
