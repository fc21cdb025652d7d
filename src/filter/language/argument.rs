//! The arguments of a simple filter.

use crate::binary::StringBinary;
use crate::error::{Error, Result};
use crate::filter::{Comparator, Compare};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) enum Argument {
    Text(Vec<u8>),
    Integer(i64),
    Boolean(bool),
    Operator(Compare),
}

impl Argument {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text in quotes",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Operator(_) => "an operator",
        }
    }
}

/// Reads an argument and returns it with its length; the error names the expected form.
pub(super) fn read(text: &[u8]) -> Result<(Argument, usize), &'static str> {
    if text.first() == Some(&b'\'') {
        return read_text(text);
    }
    let len = text.iter().take_while(|byte| !matches!(byte, b' ' | b',' | b'(' | b')' | b'\'')).count();
    let word = text.get(..len).and_then(|word| std::str::from_utf8(word).ok()).unwrap_or_default();
    let argument = if word.eq_ignore_ascii_case("true") {
        Argument::Boolean(true)
    } else if word.eq_ignore_ascii_case("false") {
        Argument::Boolean(false)
    } else if word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        let digits = word.strip_prefix('-').unwrap_or(word);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("a number");
        }
        Argument::Integer(word.parse().map_err(|_| "a number of 64 bits")?)
    } else if let Some(operator) = Compare::from_symbol(word).filter(|operator| *operator != Compare::NoOp) {
        Argument::Operator(operator)
    } else {
        return Err("text in quotes, a number, a boolean or an operator");
    };
    Ok((argument, len))
}

fn read_text(text: &[u8]) -> Result<(Argument, usize), &'static str> {
    let mut out = Vec::new();
    let mut at = 1;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(len) = rest.iter().position(|byte| *byte == b'\'') else {
            return Err("a quote at the end of text");
        };
        out.extend_from_slice(rest.get(..len).unwrap_or_default());
        at += len + 1;
        if text.get(at) != Some(&b'\'') {
            return Ok((Argument::Text(out), at));
        }
        out.push(b'\'');
        at += 1;
    }
}

/// The arguments of a filter, consumed one by one by its builder.
#[derive(Debug)]
pub(super) struct Arguments {
    name: String,
    start: usize,
    /// The remaining arguments, each with its position.
    all: VecDeque<(Argument, usize)>,
    /// The position of the last argument taken.
    at: usize,
}

impl Arguments {
    pub(super) fn new(name: String, start: usize) -> Self {
        Self { name, start, all: VecDeque::new(), at: start }
    }

    pub(super) fn push(&mut self, argument: Argument, at: usize) {
        self.all.push_back((argument, at));
    }

    /// Returns the number of remaining arguments, if it is allowed.
    pub(super) fn count(&self, allowed: &[usize]) -> Result<usize> {
        let count = self.all.len();
        if allowed.contains(&count) {
            return Ok(count);
        }
        let allowed: Vec<_> = allowed.iter().map(usize::to_string).collect();
        let (start, name, allowed) = (self.start, &self.name, allowed.join(" or "));
        Err(Error::invalid_argument(format!(
            "filter at {start}: {name} takes {allowed} arguments, there are {count}"
        )))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn next(&mut self) -> Result<Argument> {
        let Some((argument, at)) = self.all.pop_front() else {
            return Err(self.wrong(&format!("{} takes more arguments", self.name)));
        };
        self.at = at;
        Ok(argument)
    }

    pub(super) fn text(&mut self) -> Result<Vec<u8>> {
        match self.next()? {
            Argument::Text(text) => Ok(text),
            other => Err(self.expected("text in quotes", &other)),
        }
    }

    pub(super) fn boolean(&mut self) -> Result<bool> {
        match self.next()? {
            Argument::Boolean(boolean) => Ok(boolean),
            other => Err(self.expected("a boolean", &other)),
        }
    }

    /// Takes a non-negative 64-bit number.
    pub(super) fn long(&mut self) -> Result<u64> {
        match self.next()? {
            Argument::Integer(number) => {
                u64::try_from(number).map_err(|_| self.wrong(&format!("expected 0 or more, found {number}")))
            }
            other => Err(self.expected("a number", &other)),
        }
    }

    /// Takes a non-negative 32-bit number.
    pub(super) fn int(&mut self) -> Result<u32> {
        let number = self.long()?;
        let int = u32::try_from(number).ok().filter(|int| i32::try_from(*int).is_ok());
        int.ok_or_else(|| self.wrong(&format!("expected {} at most, found {number}", i32::MAX)))
    }

    /// Takes an operator and a comparator: two arguments.
    pub(super) fn comparison(&mut self) -> Result<(Compare, Comparator)> {
        let compare = match self.next()? {
            Argument::Operator(compare) => compare,
            other => return Err(self.expected("an operator", &other)),
        };
        let text = self.text()?;
        let comparator = Comparator::parse(&text).map_err(|error| error.at_filter(self.at))?;
        let unordered = [&b"regexstring"[..], b"substring"].iter().any(|kind| text.starts_with(kind));
        if unordered && !matches!(compare, Compare::Equal | Compare::NotEqual) {
            let (sign, text) = (compare.symbol(), StringBinary(&text));
            return Err(self.wrong(&format!("expected = or != with '{text}', found {sign}")));
        }
        Ok((compare, comparator))
    }

    fn expected(&self, what: &str, found: &Argument) -> Error {
        self.wrong(&format!("expected {what}, found {}", found.kind()))
    }

    #[cold]
    pub(super) fn wrong(&self, what: &str) -> Error {
        Error::invalid_argument(format!("filter at {}: {what}", self.at))
    }
}
