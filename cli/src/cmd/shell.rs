//! `hregion shell`: HBase's shell on files, local or by URL, or on a running cluster.

use crate::args::{FileArgs, LineArgs};
use crate::failure::{CommandError, Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::output::Output;
use crate::server_args::ServerArgs;
#[cfg(feature = "cluster")]
use crate::shell::ClusterTables;
use crate::shell::{Catalog, Files, Flow, Pending, Session, interact};
use crate::streams;
use crate::target::Kind;
use crate::vfs::check_readable;
use hregion::Limits;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// Run HBase's shell on files, or on a running cluster
///
/// Provides get, scan, count, put, delete, deleteall, incr, append, create, describe, list, flush, compact
/// and others, in the syntax of HBase's own shell; `help` lists them. In a terminal, lines can be edited and
/// completed, there is a history, Ctrl-C ends the running command, and errors do not end the shell. With -e,
/// or if standard input is not a terminal, the first error ends the shell.
///
/// Variables hold tables and values: `t = get_table 'users'`, `t.scan LIMIT => 3`. Converters print values:
/// `get 'users', 'r1', 'f:visits:toLong'`.
///
/// Each write is on disk, in a log, when its command returns. `flush` and the end of the shell write the
/// cells in memory to files. A table is locked from its first write; reading takes no locks, and shows the
/// table as it was when the shell first read it.
///
/// With --zookeeper, --bootstrap or --site, commands are executed by the servers of a running cluster.
/// Compactions are then only requested, and a scan that waits for a server ends with a second Ctrl-C. The
/// default timeout of a command is that of HBase's clients, 20 minutes, or the one in the site file.
///
/// Timestamps are in milliseconds. With --json, cells are printed as by `hregion scan --json`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of a root, a table or a region, by path or URL; a missing or empty root is created
    #[arg(required_unless_present_any = ["zookeeper", "bootstrap", "site"])]
    #[arg(conflicts_with_all = ["zookeeper", "bootstrap", "site"])]
    dir: Option<PathBuf>,

    /// Kind of DIR [default: detected]
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    /// Run this command instead of reading standard input; may be repeated
    #[arg(short = 'e', long = "execute", value_name = "COMMAND", conflicts_with = "limit_line_bytes")]
    commands: Vec<String>,

    /// Read commands from standard input without a prompt, even if it is a terminal
    #[arg(short = 'n', long)]
    noninteractive: bool,

    #[command(flatten)]
    lines: LineArgs,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion shell /hbase
  hregion shell scratch -e \"create 't', {NAME => 'f', VERSIONS => 3}\" -e \"put 't', 'r', 'f:q', 'v'\"
  hregion shell data/default/users -e \"scan 'users', {FILTER => \\\"PrefixFilter('a')\\\", LIMIT => 3}\"
  hregion shell scratch < commands.txt
  hregion shell --zookeeper localhost:2181 -e \"count 'users'\"";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let mut session = Session::new(catalog(args, out)?);
    let done = if !args.commands.is_empty() {
        run_all(&args.commands, &mut session, out)
    } else if !args.noninteractive && std::io::stdin().is_terminal() {
        interact(&mut session, out)
    } else {
        run_input(&mut session, &args.lines.limits(), out)
    };
    // executed commands stay executed even if a later one fails
    match (done, session.close()) {
        (Err(failure @ Failure::Fault(_)), Err(Failure::Fault(flush))) => {
            out.print_error(&flush);
            Err(failure)
        }
        (Ok(()) | Err(Failure::ClosedPipe), Err(flush)) => Err(flush),
        (done, _) => done.map(|()| Exit::Done),
    }
}

/// Returns the tables of the directory or of the cluster.
fn catalog(args: &Args, out: &Output) -> Result<Box<dyn Catalog>, Failure> {
    if let Some(dir) = &args.dir {
        check_readable(dir)?;
        let options = args.families.add_to(args.reading.region_options(out)?);
        return Ok(Box::new(Files::open(dir, args.kind, options, out.warner_of_reads())?));
    }
    let mistaken = [
        ("--as", args.kind.is_some()),
        ("options of families", !args.families.is_empty()),
        ("options for reading files", args.reading.is_given()),
    ];
    if let Some((name, _)) = mistaken.iter().find(|(_, is_given)| *is_given) {
        return Err(CommandError::usage(format!("{name}: not allowed with a running cluster")).into());
    }
    match args.server.client_of_shell()? {
        #[cfg(feature = "cluster")]
        Some(client) => Ok(Box::new(ClusterTables::new(client))),
        #[cfg(not(feature = "cluster"))]
        Some(never) => match never {},
        None => Err(CommandError::usage("expected a directory, --zookeeper, --bootstrap or --site").into()),
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

/// Runs the commands of a text, unless standard output is no longer read: then there must be none left,
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
    streams::check_input().map_err(|error| CommandError::io("read", path, &error))?;
    let mut input = std::io::stdin().lock();
    let (mut pending, mut bytes, mut line, mut first_line) = (Pending::default(), Vec::new(), 0, 1);
    let mut is_closed = false;
    loop {
        let most = (limit as u64).saturating_add(1);
        let read = (&mut input).take(most).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| CommandError::io("read", path, &error))?;
        if pending.text().len() + bytes.len() > limit {
            let message = format!("line {first_line}: a command over the limit of {limit} bytes");
            return Err(CommandError::limit(path, message, "use --limit-line-bytes to raise it").into());
        }
        let wrong = |_| CommandError::corrupt(path, format!("line {}: expected UTF-8", line + 1));
        pending.push(std::str::from_utf8(&bytes).map_err(wrong)?);
        bytes.clear();
        line += 1;
        if read > 0 && pending.is_incomplete() {
            continue;
        }
        if step(pending.text(), first_line, &mut is_closed, session, out)? == Flow::Exit || read == 0 {
            return if is_closed { Err(Failure::ClosedPipe) } else { Ok(()) };
        }
        pending.clear();
        first_line = line + 1;
    }
}
