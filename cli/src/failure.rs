//! Errors that end a command, and the exit codes.

use crate::text;
use hregion::{Corruption, ErrorKind, TableName};
use serde_json::{Map, Value};
use std::io;
use std::path::{Path, PathBuf};

/// The exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done, nothing wrong.
    Done = 0,
    /// Done, and the answer is no.
    No = 1,
    /// Wrong usage or a bad argument.
    Usage = 2,
    /// The input breaks the format.
    Corrupt = 3,
    /// The input needs a version, codec or feature that this build lacks.
    Unsupported = 4,
    /// Not found, no permission, disk full.
    Io = 5,
}

/// The reason that a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of standard output has exited: `hregion … | head`.
    ClosedPipe,
    /// An error to report.
    Fault(Box<CommandError>),
}

/// An error and its location.
#[derive(Clone, Debug)]
pub(crate) struct CommandError {
    kind: &'static str,
    message: String,
    path: Option<PathBuf>,
    offset: Option<u64>,
    block: Option<&'static str>,
    hint: Option<&'static str>,
    /// Whether a file or directory does not exist, or was removed after it was opened, as on NFS.
    is_missing: bool,
}

/// The kind of usage errors.
pub(crate) const USAGE: &str = "Usage";

impl CommandError {
    fn new(kind: &'static str, message: impl Into<String>) -> Self {
        let (path, offset, block, hint) = (None, None, None, None);
        Self { kind, message: message.into(), path, offset, block, hint, is_missing: false }
    }

    /// Invalid use of the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// An invalid value.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument.name(), message)
    }

    /// A row that is not in the region that was given.
    pub(crate) fn wrong_region(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::WrongRegion.name(), message)
    }

    /// The user interrupted a command of the shell.
    pub(crate) fn interrupted() -> Self {
        Self::new("Interrupted", "interrupted")
    }

    /// Commands that were not executed, because standard output had been closed.
    pub(crate) fn unread() -> Self {
        let message =
            "cannot write to standard output: it was closed; the remaining commands were not executed";
        Self::new(ErrorKind::Io.name(), message)
    }

    /// A missing table.
    pub(crate) fn no_such_table(name: &str) -> Self {
        Self::new("TableNotFound", format!("there is no table {name}"))
    }

    /// A table that is disabled.
    pub(crate) fn not_enabled(name: &str) -> Self {
        Self::new("TableNotEnabled", format!("Table {name} is disabled."))
    }

    /// A file given in addition to the data, such as a dictionary, is unusable.
    pub(crate) fn invalid_file(path: &Path, message: impl Into<String>) -> Self {
        Self::invalid(message).at(path)
    }

    /// A cell was rejected; names the line it came from.
    pub(crate) fn in_line(path: &Path, line: u64, error: hregion::Error) -> Self {
        let kind = error.kind();
        if matches!(kind, ErrorKind::InvalidArgument | ErrorKind::NoSuchFamily) {
            let message = format!("line {line}: {}", error.message());
            Self::new(kind.name(), message).at(path).with_hint(hint(&error))
        } else {
            error.into()
        }
    }

    /// Another process writes to a directory.
    pub(crate) fn locked(dir: &Path, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Locked.name(), message).at(dir).with_hint(Some(LOCKED))
    }

    /// Something that this build does not support, about a file.
    pub(crate) fn unsupported(path: &Path, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported.name(), message).at(path)
    }

    /// Something that this build does not support, for any file.
    pub(crate) fn lacking(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported.name(), message)
    }

    /// Content that violates its format.
    pub(crate) fn corrupt(path: &Path, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt.name(), message).at(path)
    }

    /// Content that ends too early.
    pub(crate) fn truncated(path: &Path, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Truncated.name(), message).at(path)
    }

    /// Content that exceeds a limit, with a hint for raising it.
    pub(crate) fn limit(path: &Path, message: impl Into<String>, hint: &'static str) -> Self {
        Self::new(ErrorKind::Limit.name(), message).at(path).with_hint(Some(hint))
    }

    /// The system failed at `doing` something to `path`.
    pub(crate) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let is_missing =
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle);
        let is_dir = error.kind() == io::ErrorKind::IsADirectory;
        let hint = is_dir.then_some("expected a file, not a directory");
        let fault = Self::new(ErrorKind::Io.name(), format!("cannot {doing}: {error}"));
        Self { is_missing, ..fault.at(path).with_hint(hint) }
    }

    /// A missing directory.
    pub(crate) fn no_such_dir(path: &Path) -> Self {
        let error = io::Error::new(io::ErrorKind::NotFound, "there is no such directory");
        Self::io("list", path, &error)
    }

    /// Whether a file or directory does not exist, or a region, as after a change by another process.
    pub(crate) fn is_missing(&self) -> bool {
        self.is_missing || self.kind == ErrorKind::RegionNotFound.name()
    }

    /// The system cannot start more threads.
    pub(crate) fn no_thread(error: &io::Error) -> Self {
        Self::new(ErrorKind::Io.name(), format!("cannot start a thread: {error}"))
    }

    fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Sets the hint.
    pub(crate) fn with_hint(mut self, hint: Option<&'static str>) -> Self {
        self.hint = hint;
        self
    }

    /// Names the table in the message, if a command goes on with others.
    pub(crate) fn of_table(mut self, table: &TableName) -> Self {
        self.message = format!("table {table}: {}", self.message);
        self
    }

    /// Returns the exit code for this fault.
    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            "Corrupt" | "Truncated" | "Limit" | "Inconsistent" => Exit::Corrupt,
            "TableNotFound" | "TableNotEnabled" | "RegionNotFound" | "RegionOffline"
            | "NoServerForRegion" => Exit::No,
            "Unsupported" => Exit::Unsupported,
            "Io" | "Locked" | "Closed" | "Poisoned" | "Remote" => Exit::Io,
            _ => Exit::Usage,
        }
    }

    /// Formats one line for people: file, block, offset, message, hint.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        if let Some(path) = &self.path {
            line += &text::path(path);
            line += ": ";
        }
        match (self.block, self.offset) {
            (Some(block), Some(offset)) => line += &format!("{block} at {offset}: "),
            (None, Some(offset)) => line += &format!("at {offset}: "),
            _ => {}
        }
        line += &text::printable(&self.message);
        if let Some(hint) = self.hint {
            line += &format!(" ({hint})");
        }
        line
    }

    /// Returns `{"kind","message","path","offset","block"}`, without unknown members.
    pub(crate) fn error_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("kind".into(), self.kind.into());
        members.insert("message".into(), self.message.as_str().into());
        if let Some(path) = &self.path {
            members.insert("path".into(), text::json_path(path).into());
        }
        if let Some(offset) = self.offset {
            members.insert("offset".into(), offset.into());
        }
        if let Some(block) = self.block {
            members.insert("block".into(), block.into());
        }
        members.into()
    }

    /// Returns `{"path","offset","block","kind","message"}`, with null for unknown members.
    pub(crate) fn finding_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("path".into(), self.path.as_deref().map(text::json_path).into());
        members.insert("offset".into(), self.offset.into());
        members.insert("block".into(), self.block.into());
        members.insert("kind".into(), self.kind.into());
        members.insert("message".into(), self.message.as_str().into());
        members.into()
    }
}

impl From<hregion::Error> for CommandError {
    fn from(error: hregion::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&hregion::Error> for CommandError {
    fn from(error: &hregion::Error) -> Self {
        Self {
            kind: error.kind().name(),
            message: error.message(),
            path: error.path().map(Path::to_owned),
            offset: error.offset(),
            block: error.block(),
            hint: hint(error),
            is_missing: error.is_stale(),
        }
    }
}

/// The hint if another process holds a lock.
const LOCKED: &str = "try again when the other process has ended";

/// Returns the hint, in terms of the command line.
fn hint(error: &hregion::Error) -> Option<&'static str> {
    match (error.kind(), error.corruption()) {
        (_, Some(Corruption::BadMagic { what: "write-ahead log", .. })) => {
            Some("logs of a root directory are in its WALs and oldWALs")
        }
        (_, Some(Corruption::Malformed(what))) if what.contains("this is not the master key") => {
            Some("check --master-key-file; --alternate-master-key-file takes the previous key")
        }
        (ErrorKind::Corrupt | ErrorKind::Truncated, _) => Some("`hregion verify` lists all faults"),
        (ErrorKind::Limit, Some(_)) if error.path().is_some() => {
            Some("use --limit-block-bytes or --limit-memory-bytes to raise the limits")
        }
        (ErrorKind::Limit, None) if error.message().ends_with(", the limit of a row") => Some(
            "use --limit-row-bytes to raise the limit, up to hbase.table.max.rowsize if the table sets it, \
             or `scan --batch` to read rows in parts",
        ),
        (ErrorKind::Locked, _) => Some(LOCKED),
        (_, Some(Corruption::Unsupported { what: "encrypted file" | "encrypted write-ahead log", .. })) => {
            Some("use --master-key-file")
        }
        (_, Some(Corruption::Unsupported { what: "ZSTD dictionary", .. })) => Some("use --zstd-dictionary"),
        (ErrorKind::InvalidArgument, None) if lacks_settings(error) => Some(
            "`compact`, `flush`, `recover`, `shell` and `load` of a region accept --family \
             NAME:ATTRIBUTE=VALUE,… or --descriptor FILE; other commands need the descriptor in .tabledesc \
             of the table",
        ),
        (ErrorKind::InvalidArgument, None)
            if error.message().ends_with(", and the file was opened without them") =>
        {
            Some("use --tags to keep them, or --tags=false to drop them")
        }
        (ErrorKind::Unsupported, None) if error.message().ends_with("ZSTD dictionary") => {
            Some("use --zstd-dictionary")
        }
        (ErrorKind::Unsupported, None) if error.message().ends_with("master key") => {
            Some("use --master-key-file")
        }
        _ => None,
    }
}

/// Whether a region has no table descriptor, so that the settings of its families are unknown: a warning if
/// it is read, and an error if it is written.
pub(crate) fn lacks_settings(error: &hregion::Error) -> bool {
    error.message().starts_with("there is no table descriptor")
}

/// Returns the hint for a path that does not exist: the location of tables, if it is only the name of one.
pub(crate) fn hint_if_missing(path: &Path) -> Option<&'static str> {
    let is_name = |name: &str| !name.contains('.') && TableName::parse(name).is_ok();
    path.to_str().is_some_and(is_name).then_some(
        "a table is at ROOT/data/NAMESPACE/TABLE; `hregion scan TABLE --zookeeper HOST:PORT` reads one of a \
         running cluster",
    )
}

impl From<CommandError> for Failure {
    fn from(fault: CommandError) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<hregion::Error> for Failure {
    fn from(error: hregion::Error) -> Self {
        CommandError::from(error).into()
    }
}

/// Failures to write to standard output; all other I/O errors are converted by [`RegionException::io`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        CommandError::new(ErrorKind::Io.name(), format!("cannot write to standard output: {error}")).into()
    }
}
