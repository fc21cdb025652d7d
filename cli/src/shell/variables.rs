//! Variables: tables, and values for commands.

use super::command::{Assignment, Command, Source};
use super::help;
use super::session::Stop;
use super::value::{Value, ValueKind};
use std::collections::BTreeMap;

/// The maximum size of a value, in bytes of text and members of lists. Variables within variables could grow
/// exponentially.
const MAX_BYTES: usize = 64 << 20;
/// The maximum nesting depth of a value.
const DEPTH: usize = 64;

/// The variables of a session.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, Value>);

/// The commands that a table has as methods: those that take a table first.
pub(super) const METHODS: &[&str] = &[
    "alter",
    "append",
    "compact",
    "count",
    "delete",
    "deleteall",
    "desc",
    "describe",
    "disable",
    "drop",
    "enable",
    "exists",
    "flush",
    "get",
    "get_counter",
    "get_splits",
    "incr",
    "is_disabled",
    "is_enabled",
    "list_regions",
    "locate_region",
    "major_compact",
    "put",
    "scan",
    "snapshot",
    "split",
    "truncate",
    "truncate_preserve",
];

impl Variables {
    pub(super) fn set(&mut self, name: String, value: Value) {
        self.0.insert(name, value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the table that a variable holds.
    pub(super) fn table(&self, name: &str) -> Option<&str> {
        match &self.0.get(name)?.kind {
            ValueKind::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Replaces variables by their values, and a method of a table by the command of that name.
    pub(super) fn resolve(&self, command: Command) -> Result<Command, Stop> {
        let Command { receiver, name, at, values } = command;
        let mut left = MAX_BYTES;
        let resolved = values.into_iter().map(|value| self.value(value, &mut left));
        let mut values: Vec<Value> = resolved.collect::<Result<_, _>>()?;
        let Some(receiver) = receiver else { return Ok(Command { receiver: None, name, at, values }) };
        let Some(variable) = self.get(&receiver.name) else {
            return Err(Stop::At(receiver.at, format!("there is no variable {}", receiver.name)));
        };
        let ValueKind::Table(table) = &variable.kind else {
            return Err(Value { at: receiver.at, ..variable.clone() }.expected("a variable with a table"));
        };
        if name == "help" {
            if values.is_empty() {
                values.push(Value { at, kind: ValueKind::Text(help::TABLES.into()) });
            }
        } else if METHODS.contains(&name.as_str()) {
            let table = ValueKind::Text(table.clone().into_bytes());
            values.insert(0, Value { at: receiver.at, kind: table });
        } else {
            return Err(Stop::At(at, format!("a table has no method {name}; see `help 'get_table'`")));
        }
        Ok(Command { receiver: None, name, at, values })
    }

    /// Replaces the variables in a value of an assignment.
    pub(super) fn assigned(&self, assignment: Assignment) -> Result<(String, Source), Stop> {
        let source = match assignment.source {
            Source::Value(value) => Source::Value(self.value(value, &mut MAX_BYTES.clone())?),
            Source::Command(command) => Source::Command(self.resolve(command)?),
        };
        Ok((assignment.name, source))
    }

    /// Replaces variables in a value, whose size is taken from `left`.
    fn value(&self, value: Value, left: &mut usize) -> Result<Value, Stop> {
        let Value { at, kind } = value;
        let kind = match kind {
            ValueKind::Variable(name) => match self.0.get(&name) {
                Some(found) => copy(found, at, left, 0)?,
                None => {
                    let message = format!("there is no variable {name}; strings are in quotes");
                    return Err(Stop::At(at, message));
                }
            },
            ValueKind::List(values) => {
                let values = values.into_iter().map(|value| self.value(value, left));
                ValueKind::List(values.collect::<Result<_, _>>()?)
            }
            ValueKind::Hash(pairs) => {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| Ok((self.value(key, left)?, self.value(value, left)?)));
                ValueKind::Hash(pairs.collect::<Result<_, Stop>>()?)
            }
            kind => kind,
        };
        Ok(Value { at, kind })
    }
}

/// Copies the value of a variable to where it is used.
fn copy(value: &Value, at: usize, left: &mut usize, depth: usize) -> Result<ValueKind, Stop> {
    let size = match &value.kind {
        ValueKind::Text(text) => text.len().saturating_add(size_of::<Value>()),
        _ => size_of::<Value>(),
    };
    let rest = left.checked_sub(size).filter(|_| depth < DEPTH);
    *left = rest.ok_or_else(|| Stop::At(at, "the nested values of variables are too large".into()))?;
    let mut inner = |value: &Value| Ok(Value { at, kind: copy(value, at, left, depth + 1)? });
    Ok(match &value.kind {
        ValueKind::List(values) => ValueKind::List(values.iter().map(inner).collect::<Result<_, Stop>>()?),
        ValueKind::Hash(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| Ok((inner(key)?, inner(value)?)));
            ValueKind::Hash(pairs.collect::<Result<_, Stop>>()?)
        }
        kind => kind.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::command::Statement;
    use crate::shell::parser::parse;

    /// Executes assignments of values; returns the commands.
    fn resolve(variables: &mut Variables, text: &str) -> Result<Vec<Command>, String> {
        let message = |stop| match stop {
            Stop::At(at, message) => format!("{at}: {message}"),
            Stop::Failed(failure) => panic!("{failure:?}"),
        };
        let mut commands = Vec::new();
        for statement in parse(text).unwrap() {
            match statement {
                Statement::Command(command) => commands.push(variables.resolve(command).map_err(message)?),
                Statement::Assignment(assignment) => match variables.assigned(assignment).map_err(message)? {
                    (name, Source::Value(value)) => variables.set(name, value),
                    (_, Source::Command(command)) => commands.push(command),
                },
            }
        }
        Ok(commands)
    }

    fn with_table() -> Variables {
        let mut variables = Variables::default();
        variables.set("t".into(), Value { at: 0, kind: ValueKind::Table("users".into()) });
        variables
    }

    #[test]
    fn variables_are_their_values() {
        let mut variables = with_table();
        let text =
            "row = 'r'\nn = 3\nopts = {LIMIT => n, STARTROW => row}\nscan 'u', opts\nt.get row, ['f', row]";
        let commands = resolve(&mut variables, text).unwrap();
        let plain =
            resolve(&mut variables, "scan 'u', {LIMIT => 3, STARTROW => 'r'}\nget 'users', 'r', ['f', 'r']");
        let shown = |commands: &[Command]| -> Vec<String> {
            let show = |command: &Command| {
                let values: Vec<String> = command.values.iter().map(Value::inspect).collect();
                format!("{} {}", command.name, values.join(", "))
            };
            commands.iter().map(show).collect()
        };
        assert_eq!(shown(&commands), shown(&plain.unwrap()));
        // the position is that of the use
        assert_eq!(commands[0].values[1].at, text.find("opts\n").unwrap());
        assert!(METHODS.is_sorted());
    }

    #[test]
    fn errors_name_the_variable() {
        let mut variables = with_table();
        for (text, message) in [
            ("scan x", "5: there is no variable x; strings are in quotes"),
            ("x = y", "4: there is no variable y; strings are in quotes"),
            ("x.scan", "0: there is no variable x"),
            ("n = 1\nn.scan", "6: expected a variable with a table, found a number"),
            ("t.list", "2: a table has no method list; see `help 'get_table'`"),
        ] {
            assert_eq!(resolve(&mut variables, text).unwrap_err(), message, "{text}");
        }
    }

    #[test]
    fn values_do_not_grow_without_limit() {
        for (text, most) in [("x = [x]\n", 100), ("x = [x, x]\n", 100)] {
            let mut variables = Variables::default();
            let wrong = resolve(&mut variables, &format!("x = 'a'\n{}", text.repeat(most))).unwrap_err();
            assert!(wrong.ends_with("the nested values of variables are too large"), "{wrong}");
        }
    }
}
