//! Commands with their values, and assignments to variables.

use super::session::Stop;
use super::value::Value;

/// A statement of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    Command(Command),
    Assignment(Assignment),
}

/// `name = 'text'`, or `name = get_table 't'`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assignment {
    pub(super) name: String,
    pub(super) source: Source,
}

/// The source of an assignment.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    Value(Value),
    /// The result of a command.
    Command(Command),
}

/// A variable before a dot, and its position in the text, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Receiver {
    pub(super) name: String,
    pub(super) at: usize,
}

/// A parsed command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    /// Of `t.scan`: `t`.
    pub(super) receiver: Option<Receiver>,
    pub(super) name: String,
    /// Its position in the text, in bytes.
    pub(super) at: usize,
    pub(super) values: Vec<Value>,
}

/// The values of a command that have not been consumed yet.
#[derive(Debug)]
pub(super) struct Arguments<'c> {
    command: &'c Command,
    rest: &'c [Value],
}

impl Command {
    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments { command: self, rest: &self.values }
    }
}

impl<'c> Arguments<'c> {
    /// Takes the next value, which is required.
    pub(super) fn required(&mut self, what: &str) -> Result<&'c Value, Stop> {
        self.next().ok_or_else(|| {
            let Command { name, at, .. } = self.command;
            Stop::At(*at, format!("{name}: expected {what}; see `help '{name}'`"))
        })
    }

    /// Takes the next value, if any.
    pub(super) fn next(&mut self) -> Option<&'c Value> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Takes the next value, unless it is a hash.
    pub(super) fn next_plain(&mut self) -> Option<&'c Value> {
        if self.rest.first()?.is_hash() { None } else { self.next() }
    }

    /// Takes the name of a table.
    pub(super) fn table(&mut self) -> Result<String, Stop> {
        self.required("the name of a table")?.text("the name of a table")
    }

    /// Takes all remaining values.
    pub(super) fn rest(&mut self) -> &'c [Value] {
        std::mem::take(&mut self.rest)
    }

    /// Fails if a value is left.
    pub(super) fn end(&self) -> Result<(), Stop> {
        match self.rest.first() {
            None => Ok(()),
            Some(value) => {
                let name = &self.command.name;
                Err(Stop::At(value.at, format!("{name} takes no more values; see `help '{name}'`")))
            }
        }
    }
}
