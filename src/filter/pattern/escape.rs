//! Escape sequences.

use super::Reader;
use crate::error::Result;

pub(super) enum Escape {
    Literal(char),
    /// A class in brackets or a Unicode class.
    Class(String),
    /// Text from `\Q` to `\E`.
    Quote(String),
    /// Output for a sequence that is not allowed in a class.
    Sequence(&'static str),
    /// Before the line terminator at the end.
    End,
    /// A back reference, whose group number or name has yet to be read.
    Reference,
}

impl Reader<'_> {
    pub(super) fn escape(&mut self) -> Result<Escape> {
        if self.rest.starts_with(['1', '2', '3', '4', '5', '6', '7', '8', '9', 'k']) {
            return Ok(Escape::Reference);
        }
        let Some(c) = self.next() else { return Err(self.wrong("ends with a backslash")) };
        let class = |class: &str| Ok(Escape::Class(class.to_owned()));
        match c {
            'd' => class("[0-9]"),
            'D' => class("[^0-9]"),
            's' => class(r"[\t\n\x0b\f\r\x20]"),
            'S' => class(r"[^\t\n\x0b\f\r\x20]"),
            'w' => class("[a-zA-Z_0-9]"),
            'W' => class("[^a-zA-Z_0-9]"),
            'h' => class(r"[\x20\t\xa0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"),
            'H' => class(r"[^\x20\t\xa0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"),
            'v' => class(r"[\n\x0b\f\r\x85\x{2028}\x{2029}]"),
            'V' => class(r"[^\n\x0b\f\r\x85\x{2028}\x{2029}]"),
            'p' | 'P' => self.property(c == 'P'),
            'b' if self.rest.starts_with('{') => Err(self.unsupported("\\b{g}")),
            'b' => Ok(Escape::Sequence(r"\b")),
            'B' => Ok(Escape::Sequence(r"\B")),
            'A' => Ok(Escape::Sequence(r"\A")),
            'z' => Ok(Escape::Sequence(r"\z")),
            'Z' => Ok(Escape::End),
            'Q' => {
                let (text, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.rest = rest;
                Ok(Escape::Quote(text.to_owned()))
            }
            // `\G` is where the previous match ended; there is none
            'G' => Ok(Escape::Sequence(r"\A")),
            'R' => Ok(Escape::Sequence(r"(?:\r\n|[\n\x0b\f\r\x85\x{2028}\x{2029}])")),
            'X' | 'N' => Err(self.unsupported(&format!("\\{c}"))),
            't' => Ok(Escape::Literal('\t')),
            'n' => Ok(Escape::Literal('\n')),
            'r' => Ok(Escape::Literal('\r')),
            'f' => Ok(Escape::Literal('\x0c')),
            'a' => Ok(Escape::Literal('\x07')),
            'e' => Ok(Escape::Literal('\x1b')),
            'c' => match self.next() {
                Some(control) => self.character(u32::from(control) ^ 64),
                None => Err(self.wrong("ends with \\c")),
            },
            '0' => self.octal(),
            'x' if self.take("{") => match self.rest.split_once('}') {
                Some((digits, rest)) => {
                    self.rest = rest;
                    self.hex(digits)
                }
                None => Err(self.wrong("has \\x{ without '}'")),
            },
            'x' => self.hex_of(2),
            'u' => self.hex_of(4),
            c if c.is_ascii_alphabetic() => Err(self.wrong(&format!("has the unknown escape \\{c}"))),
            c => Ok(Escape::Literal(c)),
        }
    }

    fn hex_of(&mut self, count: usize) -> Result<Escape> {
        let Some((digits, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.wrong(&format!("has fewer than {count} hexadecimal digits")));
        };
        self.rest = rest;
        self.hex(digits)
    }

    fn hex(&self, digits: &str) -> Result<Escape> {
        let all = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit());
        match u32::from_str_radix(digits, 16) {
            Ok(code) if all => self.character(code),
            _ => Err(self.wrong(&format!("has {digits:?}, expected hexadecimal digits"))),
        }
    }

    /// Reads one to three octal digits; three only if the first is at most 3.
    fn octal(&mut self) -> Result<Escape> {
        let digits: Vec<u32> = self.rest.chars().map_while(|c| c.to_digit(8)).take(3).collect();
        let count = if digits.first() > Some(&3) { digits.len().min(2) } else { digits.len() };
        if count == 0 {
            return Err(self.wrong("has \\0 without octal digits"));
        }
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.character(digits.iter().take(count).fold(0, |code, digit| code * 8 + digit))
    }

    fn character(&self, code: u32) -> Result<Escape> {
        match char::from_u32(code) {
            Some(c) => Ok(Escape::Literal(c)),
            None if (0xd800..0xe000).contains(&code) => Err(self.unsupported("surrogates, expected \\x{…}")),
            None => Err(self.wrong("has a character beyond Unicode")),
        }
    }

    /// Reads `\p{Name}`, `\pL` and their negations.
    fn property(&mut self, negated: bool) -> Result<Escape> {
        let (name, rest) = if self.take("{") {
            self.rest.split_once('}').ok_or_else(|| self.wrong("has \\p{ without '}'"))?
        } else {
            let len = self.rest.chars().next().map_or(0, char::len_utf8);
            self.rest.split_at(len)
        };
        self.rest = rest;
        let ascii = match name {
            "Lower" | "Upper" | "Lu" | "Ll" | "Lt" if self.flags.ignore_case => None,
            "Lower" => Some("a-z"),
            "Upper" => Some("A-Z"),
            "ASCII" => Some(r"\x00-\x7f"),
            "Alpha" => Some("a-zA-Z"),
            "Digit" => Some("0-9"),
            "Alnum" => Some("a-zA-Z0-9"),
            "Punct" => Some(r"!-/:-@\x5b-\x60\x7b-\x7e"),
            "Graph" => Some("!-~"),
            "Print" => Some(r"\x20-~"),
            "Blank" => Some(r"\x20\t"),
            "Cntrl" => Some(r"\x00-\x1f\x7f"),
            "XDigit" => Some("0-9a-fA-F"),
            "Space" => Some(r"\t\n\x0b\f\r\x20"),
            _ if CATEGORIES.contains(&name) => {
                let p = if negated { 'P' } else { 'p' };
                return Ok(Escape::Class(format!("\\{p}{{{name}}}")));
            }
            _ => None,
        };
        match ascii {
            Some(ascii) => Ok(Escape::Class(format!("[{}{ascii}]", if negated { "^" } else { "" }))),
            None => Err(self.unsupported(&format!("\\p{{{name}}}"))),
        }
    }
}

/// The general categories of Unicode that mean the same in Java and in the crate `regex`.
const CATEGORIES: [&str; 36] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cn", "C",
];
