//! The tokens of a command: the part of Ruby that is used in HBase's shell interactively.

use std::fmt;

/// A token and where it begins, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
    /// Where it ends.
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// An unquoted word: a command or a constant.
    Word(String),
    Number(i64),
    /// The bytes of a string.
    Text(Vec<u8>),
    /// `=>`
    Arrow,
    /// One of `, { } [ ] ( ) = .`
    Mark(char),
    /// The end of a line, or `;`.
    Break,
    /// After the last token.
    End,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(_) => f.write_str("a string"),
            Self::Arrow => f.write_str("=>"),
            Self::Mark(mark) => write!(f, "{mark}"),
            Self::Break => f.write_str("the end of the line"),
            Self::End => f.write_str("the end"),
        }
    }
}

/// A fault of a command, with its position in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    pub(crate) message: String,
    /// Whether more text might make the command valid.
    pub(crate) is_incomplete: bool,
}

impl SyntaxError {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), is_incomplete: false }
    }

    pub(super) fn incomplete(at: usize, message: impl Into<String>) -> Self {
        Self { is_incomplete: true, ..Self::new(at, message) }
    }
}

/// Splits a text into tokens, followed by [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    tokens.push(Token { kind: Kind::End, at: text.len(), end: text.len() });
    Ok(tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        while self.peek().is_some_and(&keep) {
            self.bump();
        }
        &self.text[start..self.at]
    }

    fn next(&mut self) -> Result<Option<Token>, SyntaxError> {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
            match self.peek() {
                Some('#') => drop(self.take_while(|c| c != '\n')),
                Some('\\') if self.text[self.at..].starts_with("\\\n") => self.at += 2,
                _ => break,
            }
        }
        let at = self.at;
        let Some(c) = self.peek() else { return Ok(None) };
        let kind = match c {
            '\n' | ';' => {
                self.bump();
                Kind::Break
            }
            '\'' => Kind::Text(self.single_quoted()?),
            '"' => Kind::Text(self.double_quoted()?),
            '=' if self.text[at..].starts_with("=>") => {
                self.at += 2;
                Kind::Arrow
            }
            ',' | '{' | '}' | '[' | ']' | '(' | ')' | '=' | '.' => {
                self.bump();
                Kind::Mark(c)
            }
            '0'..='9' | '-' | '+' => self.number()?,
            c if c.is_alphabetic() || c == '_' => Kind::Word(
                self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '?' | '!')).to_owned(),
            ),
            ':' | '@' | '$' => {
                return Err(SyntaxError::new(
                    at,
                    "Ruby beyond commands and variables is not supported: symbols, objects",
                ));
            }
            _ => return Err(SyntaxError::new(at, format!("expected a command or a value, found {c:?}"))),
        };
        Ok(Some(Token { kind, at, end: self.at }))
    }

    fn number(&mut self) -> Result<Kind, SyntaxError> {
        let at = self.at;
        let negative = match self.peek() {
            Some('-') => self.bump().is_some(),
            Some('+') => self.bump().is_none(),
            _ => false,
        };
        let digits = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').replace('_', "");
        let lower = digits.to_ascii_lowercase();
        if lower.is_empty() {
            let message = "expected a number after the sign; calculations are not supported";
            return Err(SyntaxError::new(at, message));
        }
        let (digits, radix) = match lower.get(..2) {
            Some("0x") => (&lower[2..], 16),
            Some("0b") => (&lower[2..], 2),
            Some("0o") => (&lower[2..], 8),
            _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
            _ => (lower.as_str(), 10),
        };
        if self.peek() == Some('.') {
            return Err(SyntaxError::new(at, "expected a whole number"));
        }
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            return Err(SyntaxError::new(at, "expected a number"));
        }
        let sign = if negative { "-" } else { "" };
        match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
            Ok(number) => Ok(Kind::Number(number)),
            Err(_) => Err(SyntaxError::new(at, "the number has more than 64 bits")),
        }
    }

    /// Reads a string in single quotes. The only escapes are `\'` and `\\`.
    fn single_quoted(&mut self) -> Result<Vec<u8>, SyntaxError> {
        let at = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(SyntaxError::incomplete(at, "the string has no end; expected '")),
                Some('\'') => return Ok(text.into_bytes()),
                Some('\\') if matches!(self.peek(), Some('\'' | '\\')) => text.extend(self.bump()),
                Some(c) => text.push(c),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<Vec<u8>, SyntaxError> {
        let at = self.at;
        self.bump();
        let mut bytes = Vec::new();
        loop {
            let here = self.at;
            match self.bump() {
                None => return Err(SyntaxError::incomplete(at, "the string has no end; expected \"")),
                Some('"') => return Ok(bytes),
                Some('#') if matches!(self.peek(), Some('{' | '$' | '@')) => {
                    return Err(SyntaxError::new(here, "#{…} in a string is not supported; write \\# for #"));
                }
                Some('\\') => self.escape(here, &mut bytes)?,
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    /// Reads what follows a backslash in double quotes.
    fn escape(&mut self, at: usize, bytes: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let Some(c) = self.bump() else { return Ok(()) };
        let byte = match c {
            'n' => b'\n',
            't' => b'\t',
            'r' => b'\r',
            's' => b' ',
            'a' => 7,
            'b' => 8,
            'v' => 11,
            'f' => 12,
            'e' => 27,
            '\n' => return Ok(()),
            'x' => self
                .digits(16, 2)
                .ok_or_else(|| SyntaxError::new(at, "expected \\x and hexadecimal digits"))?,
            '0'..='7' => {
                self.at -= 1;
                self.digits(8, 3).ok_or_else(|| SyntaxError::new(at, "expected a byte, up to \\377"))?
            }
            'u' => return self.unicode(at, bytes),
            'c' | 'C' | 'M' => {
                return Err(SyntaxError::new(at, format!("\\{c} is not supported; \\xHH is a byte")));
            }
            c => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
        };
        bytes.push(byte);
        Ok(())
    }

    /// Reads a byte of up to `most` digits.
    fn digits(&mut self, radix: u32, most: usize) -> Option<u8> {
        let rest = &self.text[self.at..];
        let digits = rest.chars().take(most).take_while(|c| c.is_digit(radix)).count();
        let number = u8::from_str_radix(&rest[..digits], radix).ok()?;
        self.at += digits;
        Some(number)
    }

    /// Reads what follows `\u`: `\u00e4`, or `\u{e4 1f600}`.
    fn unicode(&mut self, at: usize, bytes: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let wrong = || SyntaxError::new(at, "expected \\uXXXX or \\u{X…}, the number of a character");
        let rest = &self.text[self.at..];
        let (numbers, len) = match rest.strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}').ok_or_else(wrong)?;
                (&inner[..end], end + 2)
            }
            None => (rest.get(..4).ok_or_else(wrong)?, 4),
        };
        let mut found = false;
        for number in numbers.split_ascii_whitespace() {
            let c = u32::from_str_radix(number, 16).ok().and_then(char::from_u32).ok_or_else(wrong)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            found = true;
        }
        self.at += len;
        if found { Ok(()) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = tokens(text).unwrap().into_iter().map(|token| token.kind).collect();
        assert_eq!(kinds.pop(), Some(Kind::End));
        kinds
    }

    fn bytes(text: &str) -> Vec<u8> {
        match kinds(text).as_slice() {
            [Kind::Text(bytes)] => bytes.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_fall_into_words() {
        assert_eq!(
            kinds("scan 't', {LIMIT => -3} # all\n"),
            [
                Kind::Word("scan".into()),
                Kind::Text(b"t".to_vec()),
                Kind::Mark(','),
                Kind::Mark('{'),
                Kind::Word("LIMIT".into()),
                Kind::Arrow,
                Kind::Number(-3),
                Kind::Mark('}'),
                Kind::Break
            ]
        );
        let (t, scan) = (Kind::Word("t".into()), Kind::Word("scan".into()));
        assert_eq!(kinds("t = t.scan"), [t.clone(), Kind::Mark('='), t, Kind::Mark('.'), scan]);
        assert_eq!(kinds("0x1F 1_000 017 0b11"), [31, 1000, 15, 3].map(Kind::Number));
    }

    #[test]
    fn strings_are_rubys() {
        assert_eq!(bytes(r"'a\'b\\c\n\x00'"), br"a'b\c\n\x00");
        assert_eq!(
            bytes(r#""a\x00\xfF\x7z\"\\\#{\q\e\101\u00e4\u{41 42}""#),
            b"a\0\xff\x07z\"\\#{q\x1bA\xc3\xa4AB"
        );
        assert_eq!(bytes("\"\u{e4}\\\n.\""), "\u{e4}.".as_bytes());
    }

    #[test]
    fn errors_have_the_position_of_the_token() {
        for (text, at, incomplete) in [
            ("put 'abc", 4, true),
            ("put \"abc\\\"", 4, true),
            ("x = :y", 4, false),
            ("t = @u", 4, false),
            ("put 1.5", 4, false),
            ("put 99999999999999999999", 4, false),
            ("put \"\\xg\"", 5, false),
            ("put \"\\u{110000}\"", 5, false),
            ("put \"#{1}\"", 5, false),
            ("put \"\\777\"", 5, false),
            ("put %", 4, false),
        ] {
            let error = tokens(text).unwrap_err();
            assert_eq!((error.at, error.is_incomplete), (at, incomplete), "{text}: {}", error.message);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[a-z0-9'"\\{}\[\](),=>#;\n\u{e4} .:+\-x_u]*"#) {
            let _ = tokens(&text);
        }
    }
}
