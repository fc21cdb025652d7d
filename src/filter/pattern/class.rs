//! Character classes in brackets.

use super::escape::Escape;
use super::{MAX_NESTING, Reader, put_literal};
use crate::error::Result;

impl Reader<'_> {
    /// Reads the part after the `[` of a class: items, nested classes, and intersections with `&&`.
    pub(super) fn class(&mut self, depth: usize) -> Result<()> {
        if depth > MAX_NESTING {
            return Err(self.wrong(&format!("nests deeper than {MAX_NESTING}")));
        }
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        let mut empty = true;
        loop {
            if self.take("&&") {
                if empty || self.rest.starts_with([']', '&']) {
                    return Err(self.wrong("has an intersection with nothing"));
                }
                self.out.push_str("&&");
                empty = true;
                continue;
            }
            let Some(c) = self.next() else { return Err(self.wrong("has a '[' without ']'")) };
            match c {
                ']' if !empty => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' => self.class(depth + 1)?,
                _ => self.item(c)?,
            }
            empty = false;
        }
    }

    /// Reads a character, a range, or an escaped class.
    fn item(&mut self, first: char) -> Result<()> {
        let first = match self.member(first)? {
            Escape::Literal(c) => c,
            Escape::Class(class) => {
                self.out.push_str(&class);
                return Ok(());
            }
            Escape::Quote(text) => {
                text.chars().for_each(|c| self.range(c, c));
                return Ok(());
            }
            Escape::Sequence(_) | Escape::End | Escape::Reference => {
                return Err(self.wrong("has something in a class that is not a character"));
            }
        };
        let is_range = self
            .rest
            .strip_prefix('-')
            .is_some_and(|rest| rest.chars().next().is_some_and(|next| next != ']' && next != '['));
        if !is_range {
            self.range(first, first);
            return Ok(());
        }
        let last = match (self.next(), self.next()) {
            (Some(_), Some(c)) => self.member(c)?,
            _ => return Err(self.wrong("has a range without an end")),
        };
        match last {
            Escape::Literal(last) if first <= last => {
                self.range(first, last);
                Ok(())
            }
            _ => Err(self.wrong("has a range that does not ascend to a character")),
        }
    }

    fn member(&mut self, c: char) -> Result<Escape> {
        if c == '\\' { self.escape() } else { Ok(Escape::Literal(c)) }
    }

    /// Writes a range; if case is ignored, also the letters of the other case.
    fn range(&mut self, first: char, last: char) {
        let mut put = |first, last| {
            put_literal(&mut self.out, first);
            // Also a colon is a range: where fancy-regex decodes it, `[[:alpha:]]`, which in Java is a set of
            // five characters, would be a class of POSIX.
            if first != last || first == ':' {
                self.out.push('-');
                put_literal(&mut self.out, last);
            }
        };
        put(first, last);
        if self.flags.ignore_case {
            let (lower, upper) = ((first.max('a'), last.min('z')), (first.max('A'), last.min('Z')));
            if lower.0 <= lower.1 {
                put(lower.0.to_ascii_uppercase(), lower.1.to_ascii_uppercase());
            }
            if upper.0 <= upper.1 {
                put(upper.0.to_ascii_lowercase(), upper.1.to_ascii_lowercase());
            }
        }
    }
}
