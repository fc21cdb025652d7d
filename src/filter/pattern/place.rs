//! Places between characters that depend on lines, and references to what a group has found.

use super::{Reader, TERMINATORS};
use crate::error::Result;

/// A place between characters.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// `^`: where the text begins or, with MULTILINE, a line does.
    Beginning,
    /// `$`: where the text ends, or before the line terminator at its end; with MULTILINE, where a line ends.
    End,
    /// `\Z`: as `$` without MULTILINE.
    VeryEnd,
}

impl Reader<'_> {
    /// Writes a place. The crate of linear time has none that depend on what follows: there the end of the text is written so that it
    /// takes a line terminator.
    pub(super) fn place(&mut self, place: Place) {
        let unix = self.flags.unix_lines;
        self.at = self.out.len();
        match place {
            Place::Beginning if !self.flags.multi_line => self.out.push_str(r"\A"),
            Place::Beginning => {
                self.needs_backtracking = true;
                // not at the end of the text, nor within \r\n
                self.out.push_str(match unix {
                    true => r"(?:(?!\z)(?:\A|(?<=\n)))",
                    false => r"(?:(?!\z)(?:\A|(?<=[\n\x{85}\x{2028}\x{2029}])|(?<=\r)(?!\n)))",
                });
            }
            Place::End if self.flags.multi_line => {
                self.needs_backtracking = true;
                self.out.push_str(match unix {
                    true => r"(?:\z|(?=\n))",
                    false => r"(?:\z|(?=[\r\x{85}\x{2028}\x{2029}])|(?<!\r)(?=\n))",
                });
            }
            Place::End | Place::VeryEnd if self.total.is_some() => self.out.push_str(match unix {
                true => r"(?:\z|(?=\n\z))",
                false => r"(?:\z|(?=\r\n\z)|(?=[\r\x{85}\x{2028}\x{2029}]\z)|(?<!\r)(?=\n\z))",
            }),
            Place::End | Place::VeryEnd => {
                match unix {
                    true => self.out.push_str(r"(?:\n?\z)"),
                    false => self.out.extend(["(?:(?:\\r\\n|[", TERMINATORS, "])?\\z)"]),
                }
                self.ends.here = true;
            }
        }
    }

    /// What a group has found, again: `1`, as many digits as there is a group for so far, or `k<name>`.
    pub(super) fn reference(&mut self) -> Result<()> {
        if self.flags.ignore_case {
            return Err(self.unsupported("back references that ignore case"));
        }
        if self.behind {
            return Err(self.wrong("has a look-behind without a greatest length"));
        }
        self.needs_backtracking = true;
        let group = if self.take("k") {
            if !self.take("<") {
                return Err(self.wrong("has \\k without a name"));
            }
            let name = self.name()?;
            match self.names.iter().find(|(known, _)| *known == name) {
                Some((_, group)) => *group,
                None => return Err(self.wrong("refers to a group that does not exist")),
            }
        } else {
            self.group_number()
        };
        match self.total {
            Some(total) if group <= total => self.out.push_str(&format!("(?:\\{group})")),
            // what does not exist is never found
            _ => self.out.push_str(r"(?:\z(?s:.))"),
        }
        Ok(())
    }

    fn group_number(&mut self) -> usize {
        let mut group = 0;
        while let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(10)) {
            let next = group * 10 + digit as usize;
            if group > 0 && next > self.captures {
                break;
            }
            group = next;
            self.next();
        }
        group
    }
}
