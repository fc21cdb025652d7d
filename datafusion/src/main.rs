//! `hregion-sql`: SQL over HBase's files, without HBase.

mod arguments;
mod output;

use arguments::Mappings;
use clap::Parser;
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt as _;
use hregion::ErrorKind;
use hregion_datafusion::{HregionTable, ReadingArgs, STACK_BYTES, Target, parse_args, printable};
use output::{Format, Output};
use std::collections::BTreeSet;
use std::error::Error;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::{fmt, io};

/// Answer a query over HBase's files
///
/// The tables of the query are tables, snapshots, regions and HFiles, named by --table. Without --map and
/// --infer, each row is a cell, with the columns row, family, qualifier, timestamp, type, value; with either,
/// each row is a row of the table, with typed columns. Names such as "cf:q" need double quotes in SQL.
/// Nothing is written.
#[derive(Debug, Parser)]
#[command(name = "hregion-sql", version, after_help = EXAMPLES)]
struct Args {
    /// SQL query
    sql: String,

    /// Table of the query: HFile, or directory of a table, snapshot or region; may be repeated
    ///
    /// TARGET is a path or a URL.
    #[arg(long = "table", value_name = "NAME=TARGET", value_parser = pair, required = true)]
    tables: Vec<(String, String)>,

    /// JSON file that maps the row key and columns to typed columns, of one table or of all
    #[arg(long = "map", value_name = "[NAME=]FILE")]
    maps: Vec<String>,

    /// Infer types from the first rows of each table without a map; 1000 if ROWS is omitted
    #[arg(long, value_name = "ROWS", num_args = 0..=1, default_missing_value = "1000", require_equals = true)]
    infer: Option<NonZeroUsize>,

    /// Read null for values that are not of their type [default: fail]
    #[arg(long)]
    invalid_as_null: bool,

    /// Number of parts of a table read at once [default: number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    partitions: Option<u16>,

    /// Print rows as JSON lines
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print rows as CSV with a header line
    #[arg(long)]
    csv: bool,

    #[command(flatten)]
    reading: ReadingArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion-sql 'SELECT count(*) FROM t' --table t=/hbase/data/default/users
  hregion-sql 'SELECT row, \"cf:name\" FROM t LIMIT 5' --table t=/hbase/data/default/users --infer
  hregion-sql 'EXPLAIN SELECT * FROM t' --table t=/hbase/.hbase-snapshot/monday --map users.json";

/// The reason for which there is no answer, or not a complete one.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    exit: Exit,
}

/// Exit codes, the same as the tool's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    Done = 0,
    No = 1,
    Usage = 2,
    Corrupt = 3,
    Unsupported = 4,
    Io = 5,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.message))
    }
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), exit }
    }

    /// An error in the arguments or the query.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The reader of the output has closed it: this ends the program without a message.
    pub(crate) fn closed_pipe() -> Self {
        Self::new(Exit::Done, "")
    }

    fn of_table(self, name: &str) -> Self {
        Self { message: format!("table {name}: {}", self.message), ..self }
    }
}

impl From<hregion::Error> for Failure {
    fn from(error: hregion::Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Corrupt | ErrorKind::Truncated | ErrorKind::Limit | ErrorKind::Inconsistent => {
                Exit::Corrupt
            }
            ErrorKind::TableNotFound | ErrorKind::RegionNotFound => Exit::No,
            ErrorKind::Unsupported => Exit::Unsupported,
            ErrorKind::Io | ErrorKind::Locked | ErrorKind::Closed | ErrorKind::Poisoned => Exit::Io,
            _ => Exit::Usage,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<hregion_arrow::Error> for Failure {
    fn from(error: hregion_arrow::Error) -> Self {
        match error {
            hregion_arrow::Error::Read(error) => error.into(),
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        let message = error.strip_backtrace();
        // the reader's errors are understandable without this prefix
        let message = message.strip_prefix("External error: ").unwrap_or(&message).to_owned();
        let mut source: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<hregion::Error>() {
                return Self { message, ..error.clone().into() };
            }
            source = error.source();
        }
        Self::usage(message)
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, target)) if !name.is_empty() && !target.is_empty() => {
            Ok((name.to_owned(), target.to_owned()))
        }
        _ => Err("expected NAME=TARGET".to_owned()),
    }
}

fn main() -> ExitCode {
    let args: Args = match parse_args() {
        Ok(args) => args,
        Err(code) => return code,
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("error: {failure}");
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let cannot_start = |error: io::Error| Failure::new(Exit::Io, format!("cannot start threads: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK_BYTES).build();
    let runtime = runtime.map_err(cannot_start)?;
    // not on the main thread, whose stack has another size
    let joined = thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, || runtime.block_on(answer(args))).map(ScopedJoinHandle::join)
    });
    let answered = joined.map_err(cannot_start)?.unwrap_or_else(|panic| resume_unwind(panic));
    // does not wait for unnecessary reads, which may take long
    runtime.shutdown_background();
    answered
}

async fn answer(args: &Args) -> Result<(), Failure> {
    let mut config = SessionConfig::new().with_information_schema(true);
    if let Some(partitions) = args.partitions {
        config = config.with_target_partitions(usize::from(partitions));
    }
    let context = SessionContext::new_with_config(config);
    for (name, table) in tables(args)? {
        context.register_table(TableReference::bare(name), Arc::new(table))?;
    }
    // files are read-only
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
    let rows = context.sql_with_options(&args.sql, options.with_allow_statements(false)).await;
    let rows = rows.map_err(|error| of_query(error, args))?;
    let format = match (args.json, args.csv) {
        (true, _) => Format::Json,
        (_, true) => Format::Csv,
        _ => Format::Table,
    };
    let mut output = Output::new(format, Arc::clone(rows.schema().inner()))?;
    let mut batches = rows.execute_stream().await?;
    while let Some(batch) = batches.next().await {
        output.write(batch?)?;
    }
    output.finish()
}

/// Returns the failure of a query. Names the intended table if its name lacks the required quotes: SQL reads
/// an unquoted name in lower case, and a part before a dot as a schema.
fn of_query(error: DataFusionError, args: &Args) -> Failure {
    let failure = Failure::from(error);
    let is_missing = |name: &str| failure.message.contains(&format!(".{}' not found", name.to_lowercase()));
    let needs_quotes = |name: &str| name.contains('.') || name.to_lowercase() != name;
    let mut names = args.tables.iter().map(|(name, _)| name.as_str());
    let meant = names.find(|name| needs_quotes(name) && is_missing(name));
    match meant {
        Some(name) => {
            let message = format!("{}; the name needs double quotes: \"{name}\"", failure.message);
            Failure { message, ..failure }
        }
        None => failure,
    }
}

/// Opens the tables. Prints a warning for each root directory whose logs may have more of their rows.
fn tables(args: &Args) -> Result<Vec<(String, HregionTable)>, Failure> {
    let names: Vec<&str> = args.tables.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(name) = names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|n| n == *name))
    {
        return Err(Failure::usage(format!("--table: {} is given twice", name.1)));
    }
    let options = args.reading.options()?;
    let maps = arguments::maps(&args.maps, &names)?;
    if args.infer.is_some() && names.iter().all(|name| maps.contains_key(name)) {
        return Err(Failure::usage("--infer: all tables have maps"));
    }
    let infer = args.infer.map(NonZeroUsize::get);
    let (mut mappings, mut warnings) = (Mappings::default(), BTreeSet::new());
    let open = |(name, path): &(String, String)| {
        let map = maps.get(name.as_str()).copied();
        let opened = Target::open(path, options.clone()).map_err(Failure::from).and_then(|target| {
            let table = arguments::open(&target, map, infer, args.invalid_as_null, &mut mappings)?;
            Ok((target, table))
        });
        let (target, table) = opened.map_err(|failure| failure.of_table(name))?;
        if let Some(warning) = target.warning_of_logs()
            && warnings.insert(warning.clone())
        {
            eprintln!("warning: {}", printable(&warning));
        }
        Ok((name.clone(), table))
    };
    args.tables.iter().map(open).collect()
}
