//! The lines of a command that is not complete yet.

use super::session::Session;
use std::mem;

/// The text of a command, line by line. Whether it is complete is found without reading all lines again for
/// each of them.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    text: String,
    scan: Scan,
}

/// A text up to this length is parsed after each line, so that an error is found in its line.
const SHORT: usize = 4 << 10;

impl Pending {
    /// Adds a line, with its end unless it is the last of the input.
    pub(crate) fn push(&mut self, line: &str) {
        self.text += line;
        line.chars().for_each(|c| self.scan.see(c));
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the next line belongs to the command. If the text is long, an error in it may be found only at
    /// the end of the command.
    pub(crate) fn is_incomplete(&self) -> bool {
        let is_open = self.scan.is_joined || self.text.len() > SHORT && self.scan.is_open();
        is_open || Session::is_incomplete(&self.text)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The state of a text that determines whether the next line belongs to the same command.
#[derive(Debug, Default)]
struct Scan {
    within: Within,
    /// Whether the character before was a backslash.
    is_escaped: bool,
    /// The number of open lists, hashes and calls.
    depth: usize,
    /// Whether a backslash joins the next line to the last one.
    is_joined: bool,
    /// Whether the last token needs another one after it, in this line or the next.
    wants_more: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Command,
    Comment,
    /// A string that ends with this quote.
    Text(char),
}

impl Scan {
    fn is_open(&self) -> bool {
        matches!(self.within, Within::Text(_)) || self.depth > 0 || self.wants_more
    }

    fn see(&mut self, c: char) {
        match self.within {
            Within::Text(_) if self.is_escaped => self.is_escaped = false,
            Within::Text(quote) if c == quote => self.within = Within::Command,
            Within::Text(_) => self.is_escaped = c == '\\',
            Within::Comment if c == '\n' => self.within = Within::Command,
            Within::Comment => {}
            Within::Command => self.see_token(c),
        }
    }

    fn see_token(&mut self, c: char) {
        self.is_joined = mem::take(&mut self.is_escaped) && c == '\n';
        match c {
            ' ' | '\t' | '\r' | '\n' | ';' => return,
            // At any other place than the end of a line, an error.
            '\\' => {
                self.is_escaped = true;
                return;
            }
            '#' => {
                self.within = Within::Comment;
                return;
            }
            '\'' | '"' => self.within = Within::Text(c),
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        // The second character of an arrow, too.
        self.wants_more = matches!(c, ',' | '=' | '>');
    }
}

#[cfg(test)]
mod tests {
    use super::super::parser::parse;
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> Scan {
        let mut scan = Scan::default();
        text.chars().for_each(|c| scan.see(c));
        scan
    }

    #[test]
    fn the_lines_of_a_command_are_open() {
        for open in [
            "put 'a\n",
            "put \"\\\"\n'\n",
            "get('t'\n",
            "scan 't', # '\n\n",
            "x =\n;",
            "f A =>\n",
            "f [{\n}\n",
        ] {
            assert!(scan(open).is_open() && Session::is_incomplete(open), "{open}");
        }
        for closed in ["put 'a\\\\'\n", "list # (\n", "f \"'(\\\"\"\n", "t.\n", "f A => 1\n", ")\n"] {
            assert!(!scan(closed).is_open() && !Session::is_incomplete(closed), "{closed}");
        }
    }

    #[test]
    fn an_error_is_found_in_its_line_unless_the_text_is_long() {
        let mut pending = Pending::default();
        pending.push("f ['a',\n");
        assert!(pending.is_incomplete());
        pending.push("b c\n");
        assert!(!pending.is_incomplete(), "an error");
        pending.push(&format!("'{}',\n", "a".repeat(SHORT)));
        assert!(pending.is_incomplete());
        pending.push("]\n");
        assert!(!pending.is_incomplete());
        pending.clear();
        assert_eq!(pending.text(), "");
    }

    proptest! {
        /// Both ways: a complete text is never kept, and one that is not is never parsed for nothing.
        #[test]
        fn a_text_of_whole_lines_is_open_if_and_only_if_it_is_incomplete(
            text in r#"((f|t|x|1|'|"|\\|\\'|\\"|\{|\}|\[|\]|\(|\)|,|=|=>|;|#|\.| |\n| f 't', |f\()){0,16}"#
        ) {
            let text = format!("{text}\n");
            let scan = scan(&text);
            match parse(&text) {
                _ if scan.is_joined => {}
                Ok(_) => prop_assert!(!scan.is_open(), "{text:?}"),
                Err(error) if error.is_incomplete => prop_assert!(scan.is_open(), "{text:?}"),
                Err(_) => {}
            }
        }
    }
}
