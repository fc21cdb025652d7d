//! The parser of expressions: operators and parentheses.

use super::argument::{self, Arguments};
use super::simple;
use crate::binary::StringBinary;
use crate::error::{Error, Result};
use crate::filter::{Filter, MAX_DEPTH};

/// Parses an expression.
pub(in crate::filter) fn parse(expression: &[u8]) -> Result<Filter> {
    let mut parser = Parser { text: expression, at: 0, depth: 0, is_simple: false };
    let filter = parser.any()?;
    match parser.peek() {
        None => Ok(filter),
        Some(_) => Err(parser.expected("AND, OR or the end")),
    }
}

pub(super) struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    /// The number of open parentheses.
    depth: usize,
    /// Whether this is within a simple filter, where a tab is not a blank.
    is_simple: bool,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Filter> {
        let first = self.all()?;
        if !self.operator(b"OR") {
            return Ok(first);
        }
        let mut filters = vec![first, self.all()?];
        while self.operator(b"OR") {
            filters.push(self.all()?);
        }
        Filter::any(filters).map_err(|error| self.wrong(&error))
    }

    fn all(&mut self) -> Result<Filter> {
        let first = self.unary()?;
        if !self.operator(b"AND") {
            return Ok(first);
        }
        let mut filters = vec![first, self.unary()?];
        while self.operator(b"AND") {
            filters.push(self.unary()?);
        }
        Filter::all(filters).map_err(|error| self.wrong(&error))
    }

    fn unary(&mut self) -> Result<Filter> {
        let mut wrappers: Vec<fn(Filter) -> Result<Filter>> = Vec::new();
        loop {
            if self.keyword(b"SKIP") {
                wrappers.push(Filter::skip);
            } else if self.keyword(b"WHILE") {
                wrappers.push(Filter::while_match);
            } else {
                break;
            }
        }
        let mut filter = self.primary()?;
        for wrap in wrappers.into_iter().rev() {
            filter = wrap(filter).map_err(|error| self.wrong(&error))?;
        }
        Ok(filter)
    }

    fn primary(&mut self) -> Result<Filter> {
        if self.peek() != Some(b'(') {
            return self.simple();
        }
        if self.depth == MAX_DEPTH {
            return Err(self.expected(&format!("at most {MAX_DEPTH} nested parentheses")));
        }
        self.at += 1;
        self.depth += 1;
        let filter = self.any()?;
        // open parentheses are closed by the end, as in HBase
        if !self.take(b')') && self.peek().is_some() {
            return Err(self.expected("AND, OR or ')'"));
        }
        self.depth -= 1;
        Ok(filter)
    }

    fn simple(&mut self) -> Result<Filter> {
        self.skip_blanks();
        let start = self.at;
        let len = self.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let name = self.rest().get(..len).unwrap_or_default();
        if len == 0 {
            return Err(self.expected("a filter"));
        }
        let Some(build) = simple::find(name) else {
            return Err(self.expected("the name of a filter"));
        };
        self.at += len;
        self.is_simple = true;
        if !self.take(b'(') {
            return Err(self.expected("'('"));
        }
        let mut arguments = Arguments::new(StringBinary(name).to_string(), start);
        loop {
            self.skip_separators();
            if self.take(b')') {
                break;
            }
            let (argument, len) = argument::read(self.rest()).map_err(|what| self.expected(what))?;
            arguments.push(argument, self.at);
            self.at += len;
            if !matches!(self.rest().first(), Some(b' ' | b',' | b')')) {
                return Err(self.expected("',' or ')'"));
            }
        }
        self.is_simple = false;
        build(&mut arguments)
    }

    /// Consumes a binary operator, if it is next.
    fn operator(&mut self, word: &[u8]) -> bool {
        self.skip_blanks();
        let begins = self.before().is_some_and(|byte| matches!(byte, b' ' | b')'));
        begins && self.word(word)
    }

    /// Consumes a prefix operator, if it is next.
    fn keyword(&mut self, word: &[u8]) -> bool {
        self.skip_blanks();
        let begins = self.before().is_none_or(|byte| matches!(byte, b' ' | b')' | b'('));
        begins && self.word(word)
    }

    fn word(&mut self, word: &[u8]) -> bool {
        let rest = self.rest().strip_prefix(word);
        let is_word = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'(')));
        if is_word {
            self.at += word.len();
        }
        is_word
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn before(&self) -> Option<u8> {
        self.at.checked_sub(1).and_then(|at| self.text.get(at).copied())
    }

    fn skip_blanks(&mut self) {
        let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t' && !self.is_simple;
        self.at += self.rest().iter().copied().take_while(is_blank).count();
    }

    /// Skips the separators of arguments: any number of blanks and commas, as in HBase.
    fn skip_separators(&mut self) {
        self.at += self.rest().iter().take_while(|byte| matches!(byte, b' ' | b',')).count();
    }

    /// Skips blanks and returns the next byte without consuming it.
    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.rest().first().copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    #[cold]
    fn expected(&self, what: &str) -> Error {
        let found = match self.rest() {
            [] => "the end".to_owned(),
            rest => format!("{:.20}", StringBinary(rest)),
        };
        Error::invalid_argument(format!("filter at {}: expected {what}, found {found}", self.at))
    }

    #[cold]
    fn wrong(&self, error: &Error) -> Error {
        error.at_filter(self.at)
    }
}
