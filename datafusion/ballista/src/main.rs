//! `hregion-ballista`: Ballista's scheduler and executors, which read HBase's files, and queries.

use ballista_executor::executor_process::ExecutorProcessConfig;
use ballista_scheduler::config::SchedulerConfig;
use clap::{Parser, Subcommand};
use datafusion::arrow::error::ArrowError;
use datafusion::common::TableReference;
use datafusion::execution::context::SQLOptions;
use futures::StreamExt as _;
use hregion_arrow::Layout;
use hregion_ballista::{connect_with, run_executor, run_scheduler, session_config};
use hregion_datafusion::{
    CsvWriter, ReadingArgs, STACK_BYTES, Stdout, Target, parse_args, printable, read_mapping,
};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::io::{self, BufWriter};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// Run SQL over HBase's files on several machines
///
/// Keys, dictionaries and limits are never sent: each process has its own options for reading.
#[derive(Debug, Parser)]
#[command(name = "hregion-ballista", version)]
struct Args {
    /// Level of messages on standard error: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn", value_parser = level)]
    log: log::LevelFilter,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scheduler
    Scheduler {
        /// Address to listen on
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50050")]
        bind: SocketAddr,
        /// Host name by which executors and clients reach this machine
        #[arg(long, value_name = "HOST", default_value = "localhost")]
        external_host: String,
        /// Time without a heartbeat after which an executor is lost, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        executor_timeout: u64,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Run an executor
    Executor {
        /// Address of the scheduler
        #[arg(long, value_name = "HOST:PORT", default_value = "localhost:50050", value_parser = host_port)]
        scheduler: (String, u16),
        /// Address to serve results on, to executors and clients
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
        bind: SocketAddr,
        /// Port for calls of the scheduler
        #[arg(long, value_name = "PORT", default_value_t = 50052)]
        grpc_port: u16,
        /// Host name by which the others reach this machine
        #[arg(long, value_name = "HOST")]
        external_host: Option<String>,
        /// Directory for intermediate results [default: a temporary directory]
        #[arg(long, value_name = "DIR")]
        work_dir: Option<PathBuf>,
        /// Number of partitions processed at once; 0 for the number of cores
        #[arg(long, value_name = "N", default_value_t = 0)]
        cores: u16,
        /// Interval between heartbeats, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        heartbeat: u64,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Answer a query, as CSV
    Sql {
        /// SQL query
        sql: String,
        /// URL of the scheduler
        #[arg(long, value_name = "URL", default_value = "df://localhost:50050")]
        scheduler: String,
        /// Table of the query: HFile, or directory of a table, snapshot or region; may be repeated
        ///
        /// All executors need it at the same path or URL.
        #[arg(long = "table", value_name = "NAME=TARGET", value_parser = pair, required = true)]
        tables: Vec<(String, String)>,
        /// JSON file that maps the row key and columns to typed columns, of all tables
        #[arg(long, value_name = "FILE")]
        map: Option<PathBuf>,
        /// Infer types from the first rows of each table; 1000 if ROWS is omitted
        #[arg(long, value_name = "ROWS", num_args = 0..=1, require_equals = true)]
        #[arg(default_missing_value = "1000", conflicts_with = "map")]
        infer: Option<NonZeroUsize>,
        /// Number of parts of a table read at once [default: 16]
        #[arg(long, value_name = "N")]
        partitions: Option<usize>,
        /// Timeout of the query in seconds [default: none]
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
        #[command(flatten)]
        reading: ReadingArgs,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, target)) if !name.is_empty() && !target.is_empty() => Ok((name.into(), target.into())),
        _ => Err("expected NAME=TARGET".to_owned()),
    }
}

fn level(text: &str) -> Result<log::LevelFilter, String> {
    text.parse().map_err(|_| "expected off, error, warn, info, debug or trace".to_owned())
}

fn host_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("expected HOST:PORT")?;
    Ok((host.to_owned(), port.parse().map_err(|_| "expected a port")?))
}

/// Prints Ballista's log messages.
struct Report;

impl log::Log for Report {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = printable(&record.args().to_string());
            eprintln!("{}: {}: {text}", record.level(), record.target());
        }
    }

    fn flush(&self) {}
}

fn main() -> ExitCode {
    let args: Args = match parse_args() {
        Ok(args) => args,
        Err(code) => return code,
    };
    if log::set_logger(&Report).is_ok() {
        log::set_max_level(args.log);
    }
    let cannot_start = |error: io::Error| {
        eprintln!("error: cannot start threads: {error}");
        ExitCode::FAILURE
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.thread_stack_size(STACK_BYTES).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot_start(error),
    };
    // not on the main thread, whose stack has another size
    let joined = thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, || runtime.block_on(end_of(args.command))).map(ScopedJoinHandle::join)
    });
    match joined {
        Ok(ended) => ended.unwrap_or_else(|panic| resume_unwind(panic)),
        Err(error) => cannot_start(error),
    }
}

/// Executes a command, prints its error, if any, and returns the exit code.
async fn end_of(command: Command) -> ExitCode {
    let limit = match &command {
        Command::Sql { timeout: Some(seconds), .. } => Duration::from_secs(*seconds),
        _ => Duration::MAX,
    };
    let done = tokio::time::timeout(limit, run(command)).await;
    let Err(error) = done.unwrap_or_else(|_| Err("the query has timed out".into())) else {
        return ExitCode::SUCCESS;
    };
    match error.downcast_ref::<OutputError>() {
        // the reader of the output has closed it: this ends the program without a message
        Some(OutputError(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        unwritten => {
            eprintln!("error: {}", printable(&error.to_string()));
            if unwritten.is_some() { ExitCode::from(UNWRITTEN) } else { ExitCode::FAILURE }
        }
    }
}

/// The exit code of [`OutputError`], the same as the tool's.
const UNWRITTEN: u8 = 5;

/// Standard output cannot be written to.
#[derive(Debug)]
struct OutputError(io::Error);

impl OutputError {
    /// Returns an error of a writer of rows.
    fn of(error: ArrowError) -> Box<dyn Error> {
        match error {
            ArrowError::IoError(_, error) => Box::new(Self(error)),
            error => Box::new(error),
        }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl Error for OutputError {}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Scheduler { bind, external_host, executor_timeout, reading } => {
            let config = SchedulerConfig {
                external_host,
                executor_timeout_seconds: executor_timeout,
                no_executors_grace_period_seconds: executor_timeout,
                expire_dead_executor_interval_seconds: executor_timeout.div_ceil(4).max(1),
                ..SchedulerConfig::default()
            };
            Ok(run_scheduler(bind, config, reading.options()?).await?)
        }
        Command::Executor {
            scheduler,
            bind,
            grpc_port,
            external_host,
            work_dir,
            cores,
            heartbeat,
            reading,
        } => {
            let config = ExecutorProcessConfig {
                bind_host: bind.ip().to_string(),
                port: bind.port(),
                grpc_port,
                external_host,
                scheduler_host: scheduler.0,
                scheduler_port: scheduler.1,
                scheduler_connect_timeout_seconds: 60,
                work_dir: work_dir.map(|dir| dir.display().to_string()),
                vcores: usize::from(cores),
                executor_heartbeat_interval_seconds: heartbeat,
                ..ExecutorProcessConfig::default()
            };
            Ok(run_executor(config, reading.options()?).await?)
        }
        Command::Sql { sql, scheduler, tables, map, infer, partitions, timeout: _, reading } => {
            let options = reading.options()?;
            let config = session_config(options.clone());
            let config = config.with_target_partitions(partitions.unwrap_or(16));
            let context = connect_with(&scheduler, config).await?;
            let map = map.as_deref().map(read_mapping).transpose()?;
            let mut warnings = BTreeSet::new();
            for (name, path) in tables {
                let target = Target::open(&path, options.clone())?;
                let layout = match (&map, infer) {
                    (Some(map), _) => Layout::Columns(map.clone()),
                    (None, Some(rows)) => Layout::Columns(target.infer(rows.get())?),
                    (None, None) => Layout::Cells,
                };
                if let Some(warning) = target.warning_of_logs()
                    && warnings.insert(warning.clone())
                {
                    eprintln!("warning: {}", printable(&warning));
                }
                // a name is not parsed as SQL, which would change its capitals to lower case
                context.register_table(TableReference::bare(name), Arc::new(target.table(layout)?))?;
            }
            // files are read-only
            let allowed = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
            let rows = context.sql_with_options(&sql, allowed.with_allow_statements(false)).await?;
            let schema = Arc::clone(rows.schema().inner());
            let mut writer = CsvWriter::new(BufWriter::new(Stdout::new()), schema);
            let mut batches = rows.execute_stream().await?;
            while let Some(batch) = batches.next().await {
                writer.write(&batch?).map_err(OutputError::of)?;
            }
            writer.finish().map_err(OutputError::of)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_all_tables_leaves_nothing_to_infer() {
        let parse = |more: &[&str]| {
            let query = ["hregion-ballista", "sql", "SELECT 1", "--table", "t=/t"];
            Args::try_parse_from([&query[..], more].concat()).map(drop)
        };
        assert!(parse(&["--map", "map.json"]).is_ok() && parse(&["--infer"]).is_ok());
        assert!(parse(&["--map", "map.json", "--infer"]).is_err());
    }
}
