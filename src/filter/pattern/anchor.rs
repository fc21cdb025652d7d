//! Anchors that depend on lines, and back references.

use super::{LEAST_OF_ATOM, Reader};
use crate::error::Result;

/// An anchor.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    /// `^`: at the beginning of the text or, with MULTILINE, of a line.
    Beginning,
    /// `$`: at the end of the text or before its final line terminator; with MULTILINE, at the end of a line.
    End,
    /// `\Z`: like `$` without MULTILINE.
    VeryEnd,
}

impl Reader<'_> {
    /// Writes an anchor. The crate `regex` has no look-ahead: for it, the end of the text is written so that
    /// it consumes a line terminator.
    pub(super) fn push_anchor(&mut self, anchor: Anchor) {
        let unix = self.flags.unix_lines;
        self.at = self.out.len();
        match anchor {
            Anchor::Beginning if !self.flags.multi_line => {
                // a `$` before it is written so that it consumes the line terminator
                self.needs_backtracking |= self.ends.here;
                self.out.push_str(r"\A");
            }
            Anchor::Beginning => {
                self.needs_backtracking = true;
                // not at the end of the text, nor within \r\n
                self.out.push_str(match unix {
                    true => r"(?:(?!\z)(?:\A|(?<=\n)))",
                    false => r"(?:(?!\z)(?:\A|(?<=[\n\x{85}\x{2028}\x{2029}])|(?<=\r)(?!\n)))",
                });
            }
            Anchor::End if self.flags.multi_line => {
                self.needs_backtracking = true;
                self.out.push_str(match unix {
                    true => r"(?:\z|(?=\n))",
                    false => r"(?:\z|(?=[\r\x{85}\x{2028}\x{2029}])|(?<!\r)(?=\n))",
                });
            }
            Anchor::End | Anchor::VeryEnd if self.total.is_some() => {
                self.out.push_str(match unix {
                    true => r"(?:\z|(?=\n\z))",
                    false => r"(?:\z|(?=\r\n\z)|(?=[\r\x{85}\x{2028}\x{2029}]\z)|(?<!\r)(?=\n\z))",
                });
            }
            Anchor::End | Anchor::VeryEnd => {
                match unix {
                    true => self.out.push_str(r"(?:\n?\z)"),
                    // `(?mR:$)` is not within \r\n
                    false => self.out.push_str(r"(?:\z|\r\n\z|[\r\x{85}\x{2028}\x{2029}]\z|(?mR:$)\n\z)"),
                }
                self.ends.here = true;
            }
        }
    }

    /// Reads a back reference: `1`, with as many digits as form the number of a group opened so far, or
    /// `k<name>`.
    pub(super) fn reference(&mut self) -> Result<()> {
        if self.flags.ignore_case {
            return Err(self.unsupported("back references that ignore case"));
        }
        if self.behind {
            return Err(self.wrong("has a look-behind without a maximum length"));
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
        let least = group.checked_sub(1).and_then(|at| self.least_of_groups.get(at));
        self.least_of_last = least.copied().unwrap_or(LEAST_OF_ATOM);
        match self.total {
            Some(total) if group <= total => self.out.push_str(&format!("(?:\\{group})")),
            // a reference to a missing group never matches
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
