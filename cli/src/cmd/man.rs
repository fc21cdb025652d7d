//! `hregion man`: manual pages.

use crate::args;
use crate::failure::{CommandError, Exit, Failure};
use crate::new_file::{NewText, check_output};
use crate::output::Output;
use crate::vfs::check_local;
use clap_mangen::Man;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Print the manual page, or write the pages of all commands
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write the pages of all commands to this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Replace existing pages
    #[arg(long, requires = "out")]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  hregion man | man -l -
  hregion man --out ~/.local/share/man/man1";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let command = args::command();
    let Some(dir) = &args.out else {
        out.write_all(&page(command)?)?;
        return Ok(Exit::Done);
    };
    check_local(dir)?;
    let mut pages = Vec::new();
    add_pages("hregion", &command, &mut pages)?;
    // all of them before the first is written
    pages.iter().try_for_each(|(name, _)| check_output(&dir.join(name), args.force, &[]))?;
    for (name, page) in &pages {
        let path = dir.join(name);
        let mut text = NewText::create(&path, args.force)?;
        text.write_all(page).map_err(|error| CommandError::io("write", &path, &error))?;
        text.persist()?;
    }
    Ok(Exit::Done)
}

/// Adds the page of a command of this name, and those of its subcommands.
fn add_pages(name: &str, command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    pages.push((format!("{name}.1"), page(command.clone())?));
    let mut subcommands = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    subcommands.try_for_each(|sub| add_pages(&format!("{name}-{}", sub.get_name()), sub, pages))
}

fn page(command: clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}
