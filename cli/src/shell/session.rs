//! The execution of commands.

use super::catalog::Catalog;
use super::command::{Command, Source, Statement};
use super::help;
use super::lexer::SyntaxError;
use super::parser::parse;
use super::value::{Value, ValueKind};
use super::variables::Variables;
use super::{admin, alter, maintenance, read, schema, snapshot, write};
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use hregion::Compaction;
use serde_json::json;
use std::io::Write as _;

/// The state of a shell.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) catalog: Box<dyn Catalog>,
    pub(super) variables: Variables,
}

/// Whether to continue after commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    More,
    Exit,
}

/// The reason that a command was not completed.
#[derive(Debug)]
pub(super) enum Stop {
    /// An error in the command, at this byte.
    At(usize, String),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Session {
    pub(crate) fn new(catalog: Box<dyn Catalog>) -> Self {
        Self { catalog, variables: Variables::default() }
    }

    /// Whether a text ends within a command.
    pub(crate) fn is_incomplete(text: &str) -> bool {
        parse(text).is_err_and(|error| error.is_incomplete)
    }

    /// Executes the commands of a text, which begins at line `first_line` of the input.
    pub(crate) fn run(&mut self, text: &str, first_line: usize, out: &mut Output) -> Result<Flow, Failure> {
        let at = |at: usize, message: String| CommandError::usage(placed(text, first_line, at, &message));
        let statements = parse(text).map_err(|SyntaxError { at: place, message, .. }| at(place, message))?;
        let mut statements = statements.into_iter();
        while let Some(statement) = statements.next() {
            self.catalog.interrupt().check()?;
            match self.perform(statement, out) {
                Ok(Flow::More) => {}
                Ok(Flow::Exit) => return Ok(Flow::Exit),
                Err(Stop::At(place, message)) => return Err(at(place, message).into()),
                Err(Stop::Failed(Failure::ClosedPipe)) => {
                    check_rest(statements.as_slice())?;
                    return Err(Failure::ClosedPipe);
                }
                Err(Stop::Failed(failure)) => return Err(failure),
            }
        }
        Ok(Flow::More)
    }

    /// Skips a text that is not executed, because standard output is not read. Fails if it has commands,
    /// other than one that ends the shell.
    pub(crate) fn pass(text: &str) -> Result<Flow, Failure> {
        let statements = parse(text).map_err(|_| CommandError::unread())?;
        check_rest(&statements)?;
        Ok(if statements.is_empty() { Flow::More } else { Flow::Exit })
    }

    fn perform(&mut self, statement: Statement, out: &mut Output) -> Result<Flow, Stop> {
        match statement {
            Statement::Command(command) => {
                let is_bare = command.receiver.is_none() && command.values.is_empty();
                if is_bare && let Some(value) = self.variables.get(&command.name) {
                    print_value(value, out)?;
                    return Ok(Flow::More);
                }
                let command = self.variables.resolve(command)?;
                self.execute(&command, out)
            }
            Statement::Assignment(assignment) => {
                let (name, source) = self.variables.assigned(assignment)?;
                let value = match source {
                    Source::Value(value) => {
                        print_value(&value, out)?;
                        value
                    }
                    Source::Command(command) => self.table_of(&command, out)?,
                };
                self.variables.set(name, value);
                Ok(Flow::More)
            }
        }
    }

    /// Executes a command that returns a table.
    fn table_of(&mut self, command: &Command, out: &mut Output) -> Result<Value, Stop> {
        if !matches!(command.name.as_str(), "get_table" | "create") {
            let message = format!("{}: only get_table, create and values can be assigned", command.name);
            return Err(Stop::At(command.at, message));
        }
        self.execute(command, out)?;
        let name = command.arguments().table()?;
        Ok(Value { at: command.at, kind: ValueKind::Table(name) })
    }

    fn execute(&mut self, command: &Command, out: &mut Output) -> Result<Flow, Stop> {
        let mut values = command.arguments();
        let catalog = &mut *self.catalog;
        match command.name.as_str() {
            "exit" | "quit" => {
                values.end()?;
                return Ok(Flow::Exit);
            }
            "help" => help::print(catalog.lacks(), &mut values, out)?,
            "version" => {
                values.end()?;
                let version = env!("CARGO_PKG_VERSION");
                match out.is_json() {
                    true => out.json_line(&json!({ "version": version }))?,
                    false => writeln!(out, "hregion {version}")?,
                }
            }
            "get" => read::get(catalog, &mut values, out)?,
            "get_table" => schema::get_table(catalog, &mut values, out)?,
            "table_help" => {
                values.end()?;
                help::print_topic(help::TABLES, command.at, catalog.lacks(), out)?;
            }
            "get_counter" => read::get_counter(catalog, &mut values, out)?,
            "scan" => read::scan(catalog, &mut values, out)?,
            "count" => read::count(catalog, &mut values, out)?,
            "put" => write::put(catalog, &mut values)?,
            "delete" => write::delete(catalog, &mut values)?,
            "deleteall" => write::delete_all(catalog, &mut values)?,
            "incr" => write::increment(catalog, &mut values, out)?,
            "append" => write::append(catalog, &mut values, out)?,
            "create" => schema::create(catalog, &mut values, out)?,
            "describe" | "desc" => schema::describe(catalog, &mut values, out)?,
            "list" => schema::list(catalog, &mut values, out)?,
            "exists" => schema::exists(catalog, &mut values, out)?,
            "list_regions" => schema::list_regions(catalog, &mut values, out)?,
            "get_splits" => schema::splits(catalog, &mut values, out)?,
            "alter" => alter::alter(catalog, &mut values, out)?,
            "disable" => admin::disable(catalog, &mut values)?,
            "enable" => admin::enable(catalog, &mut values)?,
            "is_enabled" => admin::is_enabled(true, catalog, &mut values, out)?,
            "is_disabled" => admin::is_enabled(false, catalog, &mut values, out)?,
            "drop" => admin::drop(catalog, &mut values)?,
            "truncate" => admin::truncate(false, catalog, &mut values, out)?,
            "truncate_preserve" => admin::truncate(true, catalog, &mut values, out)?,
            "locate_region" => admin::locate_region(catalog, &mut values, out)?,
            "status" => admin::status(catalog, &values, out)?,
            "flush" => maintenance::flush(catalog, &mut values)?,
            "compact" => maintenance::compact(Compaction::Minor, catalog, &mut values)?,
            "major_compact" => maintenance::compact(Compaction::Major, catalog, &mut values)?,
            "snapshot" => snapshot::snapshot(catalog, &mut values)?,
            "list_snapshots" => snapshot::list(catalog, &values, out)?,
            "clone_snapshot" => snapshot::clone(catalog, &mut values)?,
            "restore_snapshot" => snapshot::restore(catalog, &mut values)?,
            "delete_snapshot" => snapshot::delete(catalog, &mut values)?,
            "split" => maintenance::split(catalog, &mut values)?,
            "merge_region" => maintenance::merge_region(catalog, &mut values)?,
            "catalogjanitor_run" => maintenance::catalogjanitor_run(catalog, &values)?,
            name => return Err(Stop::At(command.at, help::no_such_command(name, catalog.lacks()))),
        }
        Ok(Flow::More)
    }

    /// Completes the remaining work: closes all tables of a directory that were written to; a failure of one
    /// does not stop the others.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        self.catalog.close()
    }
}

/// Fails if there are statements that are not executed, because standard output is not read.
fn check_rest(rest: &[Statement]) -> Result<(), Failure> {
    match rest.first() {
        None => Ok(()),
        Some(Statement::Command(command)) if matches!(command.name.as_str(), "exit" | "quit") => Ok(()),
        Some(_) => Err(CommandError::unread().into()),
    }
}

/// Prints a value as HBase's shell does.
fn print_value(value: &Value, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.json_line(&json!({ "value": value.inspect() }));
    }
    Ok(writeln!(out, "=> {}", value.inspect())?)
}

/// Formats a message with the line and the column of a position, both from 1.
fn placed(text: &str, first_line: usize, at: usize, message: &str) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {}, column {column}: {message}", first_line + line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::files::Files;
    use crate::shell::interrupt::Interrupt;
    use hregion::{Get, Region};
    use std::path::Path;

    /// Starts a shell on the files of a directory.
    fn session(dir: &Path) -> (Session, Output) {
        let out = Output::new(true, true);
        let files = Files::open(dir, None, Region::options(), out.warner()).unwrap();
        (Session::new(Box::new(files)), out)
    }

    #[test]
    fn an_interrupt_ends_a_command_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (mut session, mut out) = session(dir.path());
        let puts = "put 't', 'r1', 'f:q', 'v'\nput 't', 'r2', 'f:q', 'v'";
        session.run(&format!("create 't', 'f'\n{puts}"), 1, &mut out).unwrap();
        session.catalog.set_interrupt(Interrupt::pressed());
        let interrupted = |failure: Failure| match failure {
            Failure::Fault(fault) => assert_eq!(fault.line(), "interrupted"),
            Failure::ClosedPipe => panic!("{failure:?}"),
        };
        let none = "FILTER => \"ValueFilter(=, 'binary:none')\"";
        for text in [
            "scan 't'",
            "count 't'",
            &format!("scan 't', {none}"),
            &format!("count 't', {none}"),
            "deleteall 't', {ROWPREFIXFILTER => 'r'}",
            "flush 't'",
            "major_compact 't'",
            "catalogjanitor_run",
        ] {
            let command = parse(text).unwrap().remove(0);
            match session.perform(command, &mut out) {
                Err(Stop::Failed(failure)) => interrupted(failure),
                other => panic!("{text}: {other:?}"),
            }
        }
        // nor does the next command of the line begin
        interrupted(session.run("deleteall 't', 'r1'", 1, &mut out).unwrap_err());
        session.catalog.interrupt().clear();
        assert_eq!(session.run("count 't'; exit", 1, &mut out).unwrap(), Flow::Exit);
        for row in ["r1", "r2"] {
            assert!(!session.catalog.get("t", &Get::new(row)).unwrap().is_empty());
        }
    }

    #[test]
    fn a_table_that_is_closed_with_an_error_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut session, mut out) = session(dir.path());
        let write = "put 't', 'r', 'f:q', 'v'; flush 't'";
        session.run(&format!("create 't', 'f'; {write}; {write}"), 1, &mut out).unwrap();
        // a file where the directory of archived files should be
        let archive = dir.path().join("archive/data/default");
        std::fs::create_dir_all(&archive).unwrap();
        std::fs::write(archive.join("t"), "in the way").unwrap();
        session.run("major_compact 't'", 1, &mut out).unwrap();
        match session.run("disable 't'", 1, &mut out).unwrap_err() {
            Failure::Fault(fault) => assert!(fault.line().contains("archive"), "{}", fault.line()),
            Failure::ClosedPipe => panic!("closed pipe"),
        }
        assert!(!session.catalog.get("t", &Get::new("r")).unwrap().is_empty());
    }

    #[test]
    fn a_table_of_which_a_region_cannot_be_flushed_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        let (mut session, mut out) = session(dir.path());
        let create = "create 't', 'f', SPLITS => ['m']";
        let puts = "put 't', 'a', 'f:q', 'v'; put 't', 'z', 'f:q', 'v'";
        session.run(&format!("{create}; {puts}"), 1, &mut out).unwrap();
        // a file where the directory of unfinished files should be
        let (first, _) = session.catalog.locate("t", b"a").unwrap();
        let aside = dir.path().join("data/default/t").join(first.encoded_name()).join(".tmp");
        std::fs::remove_dir_all(&aside).unwrap();
        std::fs::write(&aside, "in the way").unwrap();
        session.run("disable 't'", 1, &mut out).unwrap_err();
        for row in ["a", "z"] {
            assert!(!session.catalog.get("t", &Get::new(row)).unwrap().is_empty(), "{row}");
        }
        session.run(puts, 1, &mut out).unwrap();
        std::fs::remove_file(&aside).unwrap();
        std::fs::create_dir(&aside).unwrap();
        session.run("disable 't'; enable 't'", 1, &mut out).unwrap();
        for row in ["a", "z"] {
            assert!(!session.catalog.get("t", &Get::new(row)).unwrap().is_empty(), "{row}");
        }
    }

    #[test]
    fn places_are_lines_and_columns() {
        assert_eq!(placed("list\n\u{e4} x", 3, 8, "no"), "line 4, column 3: no");
        assert_eq!(placed("list", 1, 99, "no"), "line 1, column 5: no");
    }
}
