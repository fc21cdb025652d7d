//! Java's regular expressions (read-path.md §15; Java: `java.util.regex.Pattern`).
//!
//! An expression is parsed with Java's syntax and rewritten for the crate `regex`, with every literal
//! escaped, so that differences in syntax have no effect. Expressions that cannot be matched in linear time
//! are rewritten for the crate `fancy-regex`, which backtracks up to a limit. Constructs that neither crate
//! supports are errors that name them.

mod anchor;
mod class;
mod engine;
mod escape;
mod repeat;

use crate::error::{Error, Result};
use anchor::Anchor;
use engine::Engine;
use escape::Escape;
use std::fmt;

/// Maximum nesting depth of groups and classes.
const MAX_NESTING: usize = 100;

/// An upper bound of the minimum length of a match of an atom that is not a group.
const LEAST_OF_ATOM: u64 = 4;

/// A compiled regular expression.
#[derive(Clone)]
pub(super) struct Pattern {
    source: String,
    ignore_case: bool,
    engine: Engine,
}

impl Pattern {
    pub(super) fn new(source: &str, ignore_case: bool) -> Result<Self> {
        let mut reader = Reader::new(source, ignore_case, None);
        reader.read()?;
        let engine = match reader.needs_backtracking {
            false => Engine::linear(source, &reader.out)?,
            true => {
                let mut reader = Reader::new(source, ignore_case, Some(reader.captures));
                reader.read()?;
                Engine::backtracking(source, &reader.out, reader.least)?
            }
        };
        Ok(Self { source: source.to_owned(), ignore_case, engine })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// Whether the expression matches anywhere in `bytes`. Invalid UTF-8 is replaced with U+FFFD, as in Java.
    ///
    /// # Errors
    ///
    /// If the match exceeds the backtracking limit.
    pub(super) fn is_found(&self, bytes: &[u8]) -> Result<bool> {
        let found = match std::str::from_utf8(bytes) {
            Ok(text) => self.engine.is_match(text),
            Err(_) => self.engine.is_match(&lossy_text(bytes)),
        };
        found.ok_or_else(|| {
            let (source, len) = (&self.source, bytes.len());
            Error::over_limit(format!(
                "regular expression {source:?} takes too many steps of backtracking in {len} bytes"
            ))
        })
    }

    /// Whether matching takes linear time, so that it never fails.
    pub(super) fn is_linear(&self) -> bool {
        matches!(self.engine, Engine::Linear(_))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.ignore_case == other.ignore_case
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.ignore_case { "regexstringnocase" } else { "regexstring" };
        write!(f, "{kind}:{}", self.source)
    }
}

#[derive(Clone, Copy)]
struct Flags {
    ignore_case: bool,
    dot_all: bool,
    multi_line: bool,
    unix_lines: bool,
}

/// Whether a `$` precedes the current position. It is rewritten to consume the line terminator, so nothing
/// may follow it.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// In this alternative.
    here: bool,
    /// In an earlier alternative of the group.
    before: bool,
}

/// The reader's state before a group.
struct Group {
    flags: Flags,
    ends: Ends,
    behind: bool,
    /// The offset of the group in the output.
    at: usize,
    least: u64,
    /// Its number, if it captures.
    number: Option<usize>,
}

struct Reader<'a> {
    source: &'a str,
    rest: &'a str,
    out: String,
    flags: Flags,
    groups: Vec<Group>,
    ends: Ends,
    /// Whether the current group is a look-behind.
    behind: bool,
    /// The offset of the last atom in the output.
    at: usize,
    /// An upper bound of the minimum length of a match of the current group so far.
    least: u64,
    /// The same for the last atom.
    least_of_last: u64,
    /// The same for each capturing group; 0 before the group ends.
    least_of_groups: Vec<u64>,
    /// The total number of capturing groups, if the output is for `fancy-regex`. For `regex`, groups are
    /// written as non-capturing.
    total: Option<usize>,
    /// The number of capturing groups opened so far.
    captures: usize,
    /// The named groups and their numbers.
    names: Vec<(&'a str, usize)>,
    /// Whether the expression needs backtracking.
    needs_backtracking: bool,
}

/// fancy-regex answers as if some look-behinds with such a part of variable length, as in `(?<!a?+)`, did not
/// match.
const ATOMIC_BEHIND: &str = "an atomic group or possessive quantifier in a look-behind";

/// The line terminators that `.` excludes.
const TERMINATORS: &str = r"\n\r\x{85}\x{2028}\x{2029}";

impl<'a> Reader<'a> {
    fn new(source: &'a str, ignore_case: bool, total: Option<usize>) -> Self {
        Self {
            source,
            rest: source,
            out: String::with_capacity(2 * source.len()),
            flags: Flags { ignore_case, dot_all: true, multi_line: false, unix_lines: false },
            groups: Vec::new(),
            ends: Ends::default(),
            behind: false,
            at: 0,
            least: 0,
            least_of_last: 0,
            least_of_groups: Vec::new(),
            total,
            captures: 0,
            names: Vec::new(),
            needs_backtracking: false,
        }
    }

    fn read(&mut self) -> Result<()> {
        while let Some(c) = self.next() {
            self.least_of_last = LEAST_OF_ATOM;
            match c {
                '|' => {
                    self.out.push('|');
                    let outside = self.groups.last().is_some_and(|group| group.ends.here);
                    self.ends = Ends { here: outside, before: self.ends.before | self.ends.here };
                    continue;
                }
                ')' => {
                    let Some(group) = self.groups.pop() else { return Err(self.wrong("has a ')' too many")) };
                    self.out.push(')');
                    let inside = self.ends.here | self.ends.before;
                    (self.flags, self.ends) = (group.flags, group.ends);
                    (self.behind, self.at) = (group.behind, group.at);
                    (self.least, self.least_of_last) = (group.least, self.least);
                    if let Some(least) = group.number.and_then(|n| self.least_of_groups.get_mut(n - 1)) {
                        *least = self.least_of_last;
                    }
                    self.ends.here |= inside;
                }
                '(' => {
                    self.group()?;
                    continue;
                }
                '^' => self.push_anchor(Anchor::Beginning),
                '$' => self.push_anchor(Anchor::End),
                '*' | '+' | '?' | '{' => {
                    return Err(self.wrong(&format!("has '{c}' with nothing to repeat")));
                }
                _ => {
                    self.atom();
                    match c {
                        '.' if self.flags.dot_all => self.out.push_str("(?s:.)"),
                        '.' if self.flags.unix_lines => self.out.push_str("[^\\n]"),
                        '.' => self.out.extend(["[^", TERMINATORS, "]"]),
                        '[' => self.class(1)?,
                        '\\' => self.escaped()?,
                        c => self.literal(c),
                    }
                }
            }
            self.repetition()?;
            self.least = self.least.saturating_add(self.least_of_last);
        }
        if self.groups.is_empty() { Ok(()) } else { Err(self.wrong("has a '(' too many")) }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Prepares to write an atom that consumes a character.
    fn atom(&mut self) {
        // a preceding `$` is written so that it consumes the line terminator
        self.needs_backtracking |= self.ends.here;
        self.at = self.out.len();
    }

    fn literal(&mut self, c: char) {
        if self.flags.ignore_case && c.is_ascii_alphabetic() {
            self.out.extend(['[', c.to_ascii_lowercase(), c.to_ascii_uppercase(), ']']);
        } else {
            put_literal(&mut self.out, c);
        }
    }

    /// Reads the part after the `(` of a group.
    fn group(&mut self) -> Result<()> {
        if self.groups.len() >= MAX_NESTING {
            return Err(self.wrong(&format!("nests deeper than {MAX_NESTING}")));
        }
        let mut outer = Group {
            flags: self.flags,
            ends: self.ends,
            behind: self.behind,
            at: self.out.len(),
            least: self.least,
            number: None,
        };
        // atoms inside a group that follows a `$` follow that `$` as well
        self.ends.before = false;
        if !self.take("?") {
            outer.number = Some(self.capture());
        } else if self.take(":") {
            self.out.push_str("(?:");
        } else if let Some((opening, behind)) = self.look_or_atomic() {
            if behind.is_none() && self.behind {
                return Err(self.unsupported(ATOMIC_BEHIND));
            }
            self.needs_backtracking = true;
            self.out.push_str(opening);
            self.behind = behind.unwrap_or(self.behind);
        } else if self.take("<") {
            outer.number = Some(self.named()?);
        } else {
            return self.inline_flags(outer);
        }
        self.open(outer);
        Ok(())
    }

    fn open(&mut self, outer: Group) {
        self.groups.push(outer);
        self.least = 0;
    }

    /// Consumes the opening of a look-around or atomic group. Returns its output, and whether it is a
    /// look-behind.
    fn look_or_atomic(&mut self) -> Option<(&'static str, Option<bool>)> {
        const OPENINGS: [(&str, &str, Option<bool>); 5] = [
            ("=", "(?=", Some(false)),
            ("!", "(?!", Some(false)),
            ("<=", "(?<=", Some(true)),
            ("<!", "(?<!", Some(true)),
            (">", "(?>", None),
        ];
        let found = OPENINGS.into_iter().find(|(marker, ..)| self.take(marker));
        found.map(|(_, opening, behind)| (opening, behind))
    }

    /// Opens a capturing group, and returns its number.
    fn capture(&mut self) -> usize {
        self.captures += 1;
        self.least_of_groups.push(0);
        self.out.push_str(if self.total.is_some() { "(" } else { "(?:" });
        self.captures
    }

    /// Reads `name>` of a group, and returns its number.
    fn named(&mut self) -> Result<usize> {
        let name = self.name()?;
        if self.names.iter().any(|(known, _)| *known == name) {
            return Err(self.wrong("has two groups of one name"));
        }
        let number = self.capture();
        self.names.push((name, number));
        Ok(number)
    }

    fn name(&mut self) -> Result<&'a str> {
        let Some((name, rest)) = self.rest.split_once('>') else {
            return Err(self.wrong("has a group name without '>'"));
        };
        let mut chars = name.chars();
        let named =
            chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.all(|c| c.is_ascii_alphanumeric());
        if !named {
            return Err(self.wrong("has a group whose name is not letters and digits"));
        }
        self.rest = rest;
        Ok(name)
    }

    /// Reads `i-s)`, which applies to the rest of the group, or `i-s:`, which opens a group.
    fn inline_flags(&mut self, outer: Group) -> Result<()> {
        let mut on = true;
        loop {
            match self.next() {
                Some('-') if on => on = false,
                Some('i') => self.flags.ignore_case = on,
                Some('s') => self.flags.dot_all = on,
                Some('m') => self.flags.multi_line = on,
                Some('d') => self.flags.unix_lines = on,
                Some(flag @ ('u' | 'x' | 'U')) if on => {
                    let name = match flag {
                        'u' => "flag (?u), UNICODE_CASE",
                        'x' => "flag (?x), COMMENTS",
                        _ => "flag (?U), UNICODE_CHARACTER_CLASS",
                    };
                    return Err(self.unsupported(name));
                }
                Some('u' | 'x' | 'U') => {}
                Some(')') => {
                    self.ends = outer.ends;
                    return Ok(());
                }
                Some(':') => {
                    self.out.push_str("(?:");
                    self.open(outer);
                    return Ok(());
                }
                _ => return Err(self.wrong("has an unknown kind of group")),
            }
        }
    }

    fn escaped(&mut self) -> Result<()> {
        match self.escape()? {
            Escape::Literal(c) => self.literal(c),
            Escape::Class(class) => self.out.push_str(&class),
            Escape::Quote(text) => {
                // a repetition applies to the last character, as in Java
                for c in text.chars() {
                    self.at = self.out.len();
                    self.least = self.least.saturating_add(LEAST_OF_ATOM);
                    self.literal(c);
                }
                if text.is_empty() {
                    self.out.push_str("(?:)");
                }
            }
            Escape::Sequence(sequence) => self.out.push_str(sequence),
            Escape::End => self.push_anchor(Anchor::VeryEnd),
            Escape::Reference => self.reference()?,
        }
        Ok(())
    }

    #[cold]
    fn wrong(&self, what: &str) -> Error {
        Error::invalid_argument(self.complaint(what))
    }

    #[cold]
    fn unsupported(&self, what: &str) -> Error {
        Error::not_supported(self.complaint(&format!("has a construct that is not supported: {what}")))
    }

    fn complaint(&self, what: &str) -> String {
        let at = self.source.len() - self.rest.len();
        format!("regular expression {:?} {what} (before {at})", self.source)
    }
}

/// Decodes UTF-8, with U+FFFD for each malformed sequence, as Java does: one for a surrogate, of three bytes.
pub(super) fn lossy_text(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    loop {
        let error = match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                return text;
            }
            Err(error) => error,
        };
        let (valid, wrong) = bytes.split_at(error.valid_up_to());
        text.push_str(&String::from_utf8_lossy(valid));
        text.push(char::REPLACEMENT_CHARACTER);
        let len = match wrong {
            [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => 3,
            [0xED, 0xA0..=0xBF, ..] => 2,
            _ => error.error_len().unwrap_or(wrong.len()),
        };
        bytes = wrong.get(len..).unwrap_or_default();
    }
}

/// Writes a literal character; also valid inside a class.
fn put_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern, false).unwrap().is_found(text.as_bytes()).unwrap()
    }

    fn refusal(pattern: &str) -> String {
        Pattern::new(pattern, false).expect_err(pattern).message()
    }

    #[test]
    fn matches_agree_with_java() {
        for (pattern, yes, no) in [
            ("", "", None),
            ("a.c", "xa\ncx", Some("ac")),
            ("(?-s)a.c", "abc", Some("a\nc")),
            ("^v[0-3]$", "v2", Some("v4")),
            ("^.$", "x\n", Some("xy")),
            ("b|c$", "ac\r\n", Some("ca")),
            ("x{0}a", "a", Some("x")),
            ("v(1|2)", "v2", Some("v3")),
            ("(?i)V", "v", Some("w")),
            ("(?i:v)V", "vV", Some("VV1v".get(2..).unwrap())),
            ("(?i)[a-c]", "B", Some("D")),
            ("(?i)[^a]", "b", Some("aA")),
            ("(?i)k", "K", Some("\u{212a}")),
            (r"^\w+$", "v_1", Some("\u{e9}")),
            (r"\d\D\s\S", "1a b", Some("1ab ")),
            ("[a-z&&[^b]]", "c", Some("b")),
            ("[a-c[x-z]]", "y", Some("d")),
            ("[]a]", "]", Some("b")),
            ("[a-]", "-", Some("b")),
            ("[a~~b&c-]", "-", Some("e")),
            ("[[:alpha:]]", ":", Some("b")),
            ("(?=.)[[:alpha:]]", "h", Some("b")),
            (r"[\w&&[^\d]]", "a", Some("1")),
            (r"\Qa.b\E+", "a.bb", Some("axb")),
            (r"\0101\x42\u0043\x{44}\t", "ABCD\t", Some("ABC")),
            (r"\p{Alpha}\p{Lu}\pL", "aBc", Some("abc")),
            (r"\p{Punct}", "~", Some("a")),
            (r"[^\p{L}]", "1", Some("a")),
            (r"\bab\b", "x ab", Some("xab")),
            ("a+?b{2,3}?c*?", "abb", Some("ab")),
            ("(?<name>a)b", "ab", Some("b")),
            ("a\\.b", "a.b", Some("axb")),
            ("(a$)", "ba", Some("ab")),
            ("\u{e9}", "\u{e9}", Some("e")),
            ("}", "}", Some("{")),
            (r"a\Z", "a\n", Some("a\nb")),
            (r"a\z", "a", Some("a\n")),
            ("^.{3}$", "abc\r\n", Some("ab\r\n")),
            (r"a\r$", "a\r", Some("a\r\n")),
            (r"^\w+\s$", "abc\n\n", Some("abc\r\n")),
            (r"a\n$", "a\n\n", Some("a\r\n\r")),
            ("$^", "\n", Some("a")),
            ("[ -&&a]", "#", Some("b")),
        ] {
            assert!(found(pattern, yes), "{pattern:?} in {yes:?}");
            if let Some(no) = no {
                assert!(!found(pattern, no), "{pattern:?} in {no:?}");
            }
        }
        let lossy = Pattern::new("^a.b$", false).unwrap();
        assert!(lossy.is_found(b"a\xffb").unwrap(), "one character in place of bytes that are not text");
        let surrogates: [&[u8]; 4] = [b"a\xed\xa0\x80b", b"a\xed\xbfb", b"a\xe2\x82b", b"a\xf0\x9f\x92b"];
        for surrogate in surrogates {
            assert!(lossy.is_found(surrogate).unwrap(), "{surrogate:?}");
        }
        for wrong in [&b"a\xed\xa0\x80\xed\xb0\x80b"[..], b"a\xc0\x80b", b"a\xe0\x80\x80b"] {
            assert!(!lossy.is_found(wrong).unwrap(), "{wrong:?}");
        }
        assert!(Pattern::new("straSSe", true).unwrap().is_found(b"STRASSE").unwrap());
    }

    #[test]
    fn unsupported_syntax_is_named() {
        for (pattern, what) in [
            (r"(?i)(a)\1", "back reference"),
            (r"(?i)(?<n>a)\k<n>", "back reference"),
            ("(?u)a", "UNICODE_CASE"),
            ("(?x)a b", "COMMENTS"),
            ("(?<!(?>a?))b", "look-behind"),
            ("(?<!a?+)b", "look-behind"),
            (r"\X", r"\X"),
            (r"\N{DIGIT ONE}", r"\N"),
            (r"\b{g}", r"\b{g}"),
            (r"\p{IsGreek}", "IsGreek"),
            (r"\ud83d\ude00", "surrogate"),
        ] {
            let message = refusal(pattern);
            assert!(message.contains("not supported") && message.contains(what), "{pattern:?}: {message}");
        }
        for pattern in [
            "*a",
            "a**",
            "(a",
            "a)",
            "[a",
            "a{",
            "{1}",
            "a{2,1}",
            "[b-a]",
            "\\",
            "[a&&",
            "(?q)",
            "\\i",
            "[]",
            "(?<=a*)b",
            "(?<=a{2,})b",
            "(?<n>a)(?<n>b)",
            r"\k<n>",
            r"\kn",
            "a+++",
            "(?=a",
        ] {
            assert!(!refusal(pattern).contains("not supported"), "{pattern:?}");
        }
        assert!(refusal(&"(".repeat(10_000)).contains("nests"));
        assert!(refusal(&"[".repeat(10_000)).contains("nests"));
        assert!(refusal("(((a{1000}){1000}){1000}){1000}").contains("too large"));
        assert!(refusal("(?=(((a{1000}){1000}){1000}){1000})").contains("too large"));
        let deep = format!("(?={}a{})", "(".repeat(50), "{1000})".repeat(50));
        assert!(refusal(&deep).contains("too large"));
        assert!(refusal(&format!("{deep}{{0}}")).contains("too large"));
        let doubled: String = (1..70).map(|group| format!(r"(\{group}\{group})")).collect();
        assert!(refusal(&format!("(a){doubled}")).contains("too large"));
        assert!(refusal(r"((((\1?{1000}){1000}){1000}){1000})").contains("repeat"));
    }
}
