//! Commands from a terminal, with line editing, completion and history.

use super::completion::candidates;
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
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

const HISTORY: &str = ".hregion_history";

/// Completes words and recognizes commands that continue in the next line.
struct Assistant<'s> {
    session: &'s mut Session,
}

impl Completer for Assistant<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(candidates(self.session, line, at))
    }
}

impl Validator for Assistant<'_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let incomplete = Session::is_incomplete(context.input());
        Ok(if incomplete { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Hinter for Assistant<'_> {
    type Hint = String;
}

impl Highlighter for Assistant<'_> {}

impl Helper for Assistant<'_> {}

/// Reads and executes commands until the end of input or `exit`. Errors are printed and do not end the loop.
pub(crate) fn interact(session: &mut Session, out: &mut Output) -> Result<(), Failure> {
    let interrupt = Interrupt::caught()
        .map_err(|error| CommandError::io("catch the signals of", &PathBuf::from("the terminal"), &error))?;
    session.catalog.set_interrupt(interrupt);
    let config = Config::builder().completion_type(CompletionType::List).build();
    let mut editor =
        Editor::<Assistant<'_>, FileHistory>::with_config(config).map_err(|error| terminal(&error))?;
    editor.set_helper(Some(Assistant { session }));
    let history = std::env::home_dir().map(|home| home.join(HISTORY));
    if let Some(history) = &history {
        // missing on the first run
        let _ = editor.load_history(history);
    }
    let asked = ask(&mut editor, out);
    if let Some(history) = &history {
        save(&mut editor, history, out);
    }
    asked
}

fn ask(editor: &mut Editor<Assistant<'_>, FileHistory>, out: &mut Output) -> Result<(), Failure> {
    for number in 1_u64.. {
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
        let Some(assistant) = editor.helper_mut() else { return Ok(()) };
        let session = &mut *assistant.session;
        let begun = Instant::now();
        session.catalog.interrupt().clear();
        match session.run(&text, 1, out) {
            Ok(Flow::Exit) => return Ok(()),
            Ok(Flow::More) => {}
            Err(Failure::Fault(fault)) => {
                // output before the error is printed first
                out.flush_aside()?;
                if session.catalog.interrupt().is_set() {
                    // after the ^C of the terminal; nothing is lost if this fails
                    let _ = writeln!(std::io::stderr());
                }
                out.print_error(&fault);
            }
            Err(closed) => return Err(closed),
        }
        out.flush_aside()?;
        out.summary(&format!("Took {:.4} seconds", begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

fn save(editor: &mut Editor<Assistant<'_>, FileHistory>, history: &Path, out: &Output) {
    if let Err(error) = editor.save_history(history) {
        out.warn(&format!("{HISTORY} cannot be written: {error}"));
    }
}

fn terminal(error: &ReadlineError) -> CommandError {
    let error = std::io::Error::other(error.to_string());
    CommandError::io("read", &PathBuf::from("the terminal"), &error)
}
