//! `hregion shell`: HBase's shell on local files.

use crate::args::{FileArgs, LineArgs};
use crate::failure::{CommandError, Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::output::Output;
use crate::places::check_local;
use crate::shell::{Catalog, Flow, Session, interact};
use crate::target::Kind;
use hregion::Limits;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// HBase's shell on local files
///
/// Provides get, scan, count, put, delete, deleteall, incr, append, create, describe, list, flush, compact
/// and others, in the syntax of HBase's own shell; `help` lists them. In a terminal, lines can be edited and
/// completed, there is a history, Ctrl-C ends the running command, and errors do not end the shell. With -e,
/// or if standard input is not a terminal, the first error ends the shell.
///
/// Variables hold tables and values: `t = get_table 'users'`, `t.scan LIMIT => 3`. Converters print values:
/// `get 'users', 'r1', 'f:visits:toLong'`.
///
/// Each write is on disk, in a log, when its command returns. `flush` and the end of the shell write what is
/// in memory to files. A table is locked from its first write; reading takes no locks, and shows the table as
/// it was when the shell first read it.
///
/// Timestamps are in milliseconds. With --json, cells are printed as by `hregion scan --json`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A root directory of HBase, or one to create (empty or missing); or the directory of a table or of a
    /// region
    dir: PathBuf,

    /// The kind of the directory, if it cannot be detected
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    /// A command to run instead of reading standard input; may be repeated
    #[arg(short = 'e', long = "execute", value_name = "COMMAND")]
    commands: Vec<String>,

    /// Never prompt: read commands from standard input, even if it is a terminal
    #[arg(short = 'n', long)]
    noninteractive: bool,

    #[command(flatten)]
    lines: LineArgs,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion shell /hbase
  hregion shell scratch -e \"create 't', {NAME => 'f', VERSIONS => 3}\" -e \"put 't', 'r', 'f:q', 'v'\"
  hregion shell data/default/users -e \"scan 'users', {FILTER => \\\"PrefixFilter('a')\\\", LIMIT => 3}\"
  hregion shell scratch < commands.txt";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    check_local(&args.dir)?;
    let options = args.families.add_to(args.reading.region_options(out)?);
    let catalog = Catalog::open(&args.dir, args.kind, options, out.warner())?;
    let mut session = Session::new(catalog);
    let done = if !args.commands.is_empty() {
        run_all(&args.commands, &mut session, out)
    } else if !args.noninteractive && std::io::stdin().is_terminal() {
        interact(&mut session, out)
    } else {
        run_input(&mut session, &args.lines.limits(), out)
    };
    // commands that were executed stay executed, whatever failed after them
    match (done, session.close()) {
        (Err(failure @ Failure::Fault(_)), Err(Failure::Fault(flush))) => {
            out.print_error(&flush);
            Err(failure)
        }
        (Ok(()) | Err(Failure::ClosedPipe), Err(flush)) => Err(flush),
        (done, _) => done.map(|()| Exit::Done),
    }
}

fn run_all(commands: &[String], session: &mut Session, out: &mut Output) -> Result<(), Failure> {
    let mut is_closed = false;
    for command in commands {
        if step(command, 1, &mut is_closed, session, out)? == Flow::Exit {
            break;
        }
    }
    if is_closed { Err(Failure::ClosedPipe) } else { Ok(()) }
}

/// Runs the commands of a text, unless no one reads standard output any more: then there must be none left,
/// and [`Failure::ClosedPipe`] is not returned before that is known.
fn step(
    text: &str,
    first_line: usize,
    is_closed: &mut bool,
    session: &mut Session,
    out: &mut Output,
) -> Result<Flow, Failure> {
    if *is_closed {
        return Session::pass(text);
    }
    let mut run = || -> Result<Flow, Failure> {
        let flow = session.run(text, first_line, out)?;
        if flow == Flow::More {
            out.flush_aside()?;
        }
        Ok(flow)
    };
    match run() {
        Err(Failure::ClosedPipe) => {
            *is_closed = true;
            Ok(Flow::More)
        }
        ran => ran,
    }
}

/// Runs the commands of standard input, each as soon as it is complete. The line limit applies to a whole
/// command.
fn run_input(session: &mut Session, limits: &Limits, out: &mut Output) -> Result<(), Failure> {
    let (path, limit) = (Path::new("standard input"), limits.line_bytes);
    let mut input = std::io::stdin().lock();
    let (mut text, mut bytes, mut line, mut first_line) = (String::new(), Vec::new(), 0, 1);
    let mut is_closed = false;
    loop {
        let most = (limit as u64).saturating_add(1);
        let read = (&mut input).take(most).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| CommandError::io("read", path, &error))?;
        if text.len() + bytes.len() > limit {
            let message = format!("line {first_line}: a command over the limit of {limit} bytes");
            return Err(CommandError::limit(path, message, "--limit-line-bytes raises it").into());
        }
        let wrong = |_| CommandError::corrupt(path, format!("line {}: expected UTF-8", line + 1));
        text += std::str::from_utf8(&bytes).map_err(wrong)?;
        bytes.clear();
        line += 1;
        if read > 0 && Session::is_incomplete(&text) {
            continue;
        }
        if step(&text, first_line, &mut is_closed, session, out)? == Flow::Exit || read == 0 {
            return if is_closed { Err(Failure::ClosedPipe) } else { Ok(()) };
        }
        text.clear();
        first_line = line + 1;
    }
}
