//! Commands from a terminal, with line editing, completion and history.

use super::help;
use super::interrupt::Interrupt;
use super::session::{Flow, Session};
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The names of options.
const OPTIONS: [&str; 30] = [
    "BATCH",
    "BLOCKSIZE",
    "BLOOMFILTER",
    "COLUMN",
    "COLUMNS",
    "COMPRESSION",
    "CONFIGURATION",
    "DATA_BLOCK_ENCODING",
    "FILTER",
    "FOREVER",
    "INTERVAL",
    "ISOLATION_LEVEL",
    "KEEP_DELETED_CELLS",
    "LIMIT",
    "MAXLENGTH",
    "MAX_RESULT_SIZE",
    "MIN_VERSIONS",
    "NAME",
    "NEW_VERSION_BEHAVIOR",
    "RAW",
    "REVERSED",
    "ROWPREFIXFILTER",
    "SPLITS",
    "STARTROW",
    "STOPROW",
    "TIMERANGE",
    "TIMESTAMP",
    "TTL",
    "VERSIONS",
    "ALLOW_PARTIAL_RESULTS",
];

const HISTORY: &str = ".hregion_history";

/// Completes commands, options and tables.
#[derive(Debug, Default)]
struct Assistant {
    tables: Vec<String>,
}

impl Assistant {
    /// Returns the start of the word before `at`, and its completions.
    fn candidates(&self, line: &str, at: usize) -> (usize, Vec<String>) {
        let before = line.get(..at).unwrap_or(line);
        let start = before.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.')));
        let start = start.map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        let word = &before[start..];
        let in_quotes = before[..start].ends_with(['\'', '"']);
        let words: Vec<&str> = if in_quotes {
            self.tables.iter().map(String::as_str).collect()
        } else if before[..start].trim_end().is_empty() || before[..start].trim_end().ends_with(';') {
            help::names().collect()
        } else {
            OPTIONS.to_vec()
        };
        let mut found: Vec<String> =
            words.into_iter().filter(|candidate| candidate.starts_with(word)).map(str::to_owned).collect();
        found.sort();
        (start, found)
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line, at))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let incomplete = Session::is_incomplete(context.input());
        Ok(if incomplete { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Helper for Assistant {}

/// Reads and executes commands until the end of input or `exit`. Errors are printed and do not end the loop.
pub(crate) fn interact(session: &mut Session, out: &mut Output) -> Result<(), Failure> {
    let mut editor = Editor::<Assistant, FileHistory>::new().map_err(|error| terminal(&error))?;
    let history = std::env::home_dir().map(|home| home.join(HISTORY));
    if let Some(history) = &history {
        // missing on the first run
        let _ = editor.load_history(history);
    }
    let interrupt = Interrupt::caught()
        .map_err(|error| CommandError::io("catch the signals of", &PathBuf::from("the terminal"), &error))?;
    session.catalog.set_interrupt(interrupt);
    let asked = ask(&mut editor, session, out);
    if let Some(history) = &history {
        save(&mut editor, history, out);
    }
    asked
}

fn ask(
    editor: &mut Editor<Assistant, FileHistory>,
    session: &mut Session,
    out: &mut Output,
) -> Result<(), Failure> {
    for number in 1_u64.. {
        let tables = session.catalog.names().unwrap_or_default();
        editor.set_helper(Some(Assistant { tables: tables.iter().map(ToString::to_string).collect() }));
        out.flush_aside()?;
        let text = match editor.readline(&format!("hregion:{number:03}> ")) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(terminal(&error).into()),
        };
        if text.trim().is_empty() {
            continue;
        }
        // failing to record a line is harmless
        let _ = editor.add_history_entry(text.as_str());
        let begun = Instant::now();
        session.catalog.interrupt().clear();
        match session.run(&text, 1, out) {
            Ok(Flow::Exit) => return Ok(()),
            Ok(Flow::More) => {}
            Err(Failure::Fault(fault)) => {
                // what was printed before the error comes first
                out.flush_aside()?;
                out.print_error(&fault);
            }
            Err(closed) => return Err(closed),
        }
        out.flush_aside()?;
        out.summary(&format!("Took {:.4} seconds", begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

fn save(editor: &mut Editor<Assistant, FileHistory>, history: &Path, out: &Output) {
    if let Err(error) = editor.save_history(history) {
        out.warn(&format!("{HISTORY} cannot be written: {error}"));
    }
}

fn terminal(error: &ReadlineError) -> CommandError {
    let error = std::io::Error::other(error.to_string());
    CommandError::io("read", &PathBuf::from("the terminal"), &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed_by_where_they_are() {
        let assistant = Assistant { tables: vec!["ns:users".into(), "users".into()] };
        let found = |line: &str| assistant.candidates(line, line.len());
        assert_eq!(found("li"), (0, vec!["list".into(), "list_regions".into(), "list_snapshots".into()]));
        assert_eq!(found("list; sc"), (6, vec!["scan".into()]));
        assert_eq!(found("scan 'us"), (6, vec!["users".into()]));
        assert_eq!(found("scan 'users', {STA"), (15, vec!["STARTROW".into()]));
        assert_eq!(found("scan '\u{e4}x"), (6, vec![]));
    }
}
