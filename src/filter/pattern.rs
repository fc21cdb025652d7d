//! Java's regular expressions, as far as they can be found in linear time (read-path.md §15; Java: `java.util.regex.Pattern`).
//!
//! An expression is read as Java reads it and written anew for the crate `regex`, every literal escaped, so that what the two
//! understand differently cannot slip through. What that crate cannot do is refused by name.

mod class;
mod escape;

use crate::error::{Error, Result};
use escape::Escape;
use std::fmt;

/// The most bytes that a compiled expression may take.
const MAX_COMPILED_SIZE: usize = 1 << 20;
/// The deepest that groups and classes nest.
const MAX_NESTING: usize = 100;

/// A regular expression that is searched in text.
#[derive(Clone)]
pub(super) struct Pattern {
    source: String,
    ignore_case: bool,
    regex: regex::Regex,
}

impl Pattern {
    pub(super) fn new(source: &str, ignore_case: bool) -> Result<Self> {
        let mut reader = Reader {
            source,
            rest: source,
            out: String::with_capacity(2 * source.len()),
            flags: Flags { ignore_case, dot_all: true },
            groups: Vec::new(),
            ends: Ends::default(),
        };
        reader.read()?;
        let regex = regex::RegexBuilder::new(&reader.out)
            .size_limit(MAX_COMPILED_SIZE)
            .nest_limit(2 * u32::try_from(MAX_NESTING).unwrap_or(u32::MAX))
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    Error::invalid_argument(format!("regular expression {source:?} is too large"))
                }
                _ => Error::invalid_argument(format!("regular expression {source:?} is not valid")),
            })?;
        Ok(Self { source: source.to_owned(), ignore_case, regex })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// Whether it is found anywhere in bytes; what is no UTF-8 there is U+FFFD, as in Java.
    pub(super) fn is_found(&self, bytes: &[u8]) -> bool {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.regex.is_match(text),
            Err(_) => self.regex.is_match(&String::from_utf8_lossy(bytes)),
        }
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
}

/// Whether a `$` has been met behind which nothing may follow: it is written so that it takes the line terminator.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// In this alternative.
    here: bool,
    /// In one of the alternatives before.
    before: bool,
}

/// What was before a group.
struct Group {
    flags: Flags,
    ends: Ends,
}

struct Reader<'a> {
    source: &'a str,
    rest: &'a str,
    out: String,
    flags: Flags,
    groups: Vec<Group>,
    ends: Ends,
}

/// Line terminators, as `.` sees them.
const TERMINATORS: &str = r"\n\r\x{85}\x{2028}\x{2029}";

impl Reader<'_> {
    fn read(&mut self) -> Result<()> {
        while let Some(c) = self.next() {
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
                    self.ends.here |= inside;
                }
                '(' => {
                    self.group()?;
                    continue;
                }
                '^' => self.out.push('^'),
                '$' => self.end(),
                '*' | '+' | '?' | '{' => {
                    return Err(self.wrong(&format!("has '{c}' behind nothing to repeat")));
                }
                _ => {
                    self.atom()?;
                    match c {
                        '.' if self.flags.dot_all => self.out.push_str("(?s:.)"),
                        '.' => self.out.extend(["[^", TERMINATORS, "]"]),
                        '[' => self.class(1)?,
                        '\\' => self.escaped()?,
                        c => self.literal(c),
                    }
                }
            }
            self.repetition()?;
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

    /// Something that takes a character is about to be written.
    fn atom(&self) -> Result<()> {
        if self.ends.here { Err(self.unsupported("'$' or \\Z with more behind it")) } else { Ok(()) }
    }

    /// The end of the text, or before the line terminator at its end.
    fn end(&mut self) {
        self.out.extend(["(?:(?:\\r\\n|[", TERMINATORS, "])?\\z)"]);
        self.ends.here = true;
    }

    fn literal(&mut self, c: char) {
        if self.flags.ignore_case && c.is_ascii_alphabetic() {
            self.out.extend(['[', c.to_ascii_lowercase(), c.to_ascii_uppercase(), ']']);
        } else {
            put_literal(&mut self.out, c);
        }
    }

    /// What follows the opening of a group.
    fn group(&mut self) -> Result<()> {
        if self.groups.len() >= MAX_NESTING {
            return Err(self.wrong(&format!("nests deeper than {MAX_NESTING}")));
        }
        let outer = Group { flags: self.flags, ends: self.ends };
        // what is inside a group behind an end is behind it as well
        self.ends.before = false;
        if !self.take("?") || self.take(":") {
            self.out.push_str("(?:");
            self.groups.push(outer);
            return Ok(());
        }
        for (marker, name) in [
            ("=", "look-ahead (?=…)"),
            ("!", "look-ahead (?!…)"),
            ("<=", "look-behind (?<=…)"),
            ("<!", "look-behind (?<!…)"),
            (">", "atomic groups (?>…)"),
        ] {
            if self.rest.starts_with(marker) {
                return Err(self.unsupported(name));
            }
        }
        if self.take("<") {
            let Some((name, rest)) = self.rest.split_once('>') else {
                return Err(self.wrong("has a group whose name does not end"));
            };
            let mut chars = name.chars();
            let named = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
                && chars.all(|c| c.is_ascii_alphanumeric());
            if !named {
                return Err(self.wrong("has a group whose name is not letters and digits"));
            }
            self.rest = rest;
            self.out.push_str("(?:");
            self.groups.push(outer);
            return Ok(());
        }
        self.inline_flags(outer)
    }

    /// `i-s)` for what follows in the group, or `i-s:` for a group.
    fn inline_flags(&mut self, outer: Group) -> Result<()> {
        let mut on = true;
        loop {
            match self.next() {
                Some('-') if on => on = false,
                Some('i') => self.flags.ignore_case = on,
                Some('s') => self.flags.dot_all = on,
                Some(flag @ ('m' | 'd' | 'u' | 'x' | 'U')) if on => {
                    let name = match flag {
                        'm' => "flag (?m), MULTILINE",
                        'd' => "flag (?d), UNIX_LINES",
                        'u' => "flag (?u), UNICODE_CASE",
                        'x' => "flag (?x), COMMENTS",
                        _ => "flag (?U), UNICODE_CHARACTER_CLASS",
                    };
                    return Err(self.unsupported(name));
                }
                Some('m' | 'd' | 'u' | 'x' | 'U') => {}
                Some(')') => {
                    self.ends = outer.ends;
                    return Ok(());
                }
                Some(':') => {
                    self.out.push_str("(?:");
                    self.groups.push(outer);
                    return Ok(());
                }
                _ => return Err(self.wrong("has a group of a kind that does not exist")),
            }
        }
    }

    fn escaped(&mut self) -> Result<()> {
        match self.escape()? {
            Escape::Literal(c) => self.literal(c),
            Escape::Class(class) => self.out.push_str(&class),
            Escape::Quote(text) => {
                // what is repeated is its last character, as in Java
                text.chars().for_each(|c| self.literal(c));
                if text.is_empty() {
                    self.out.push_str("(?:)");
                }
            }
            Escape::Boundary(boundary) => self.out.push_str(boundary),
            Escape::End => self.end(),
        }
        Ok(())
    }

    /// How often the last atom is repeated.
    fn repetition(&mut self) -> Result<()> {
        if self.take("?") {
            self.out.push('?');
        } else if self.rest.starts_with(['*', '+', '{']) {
            self.atom()?;
            match self.next() {
                Some('{') => self.counted()?,
                Some(c) => self.out.push(c),
                None => {}
            }
        } else {
            return Ok(());
        }
        if self.take("+") {
            return Err(self.unsupported("possessive quantifiers"));
        }
        if self.take("?") {
            self.out.push('?');
        }
        Ok(())
    }

    /// `n}`, `n,}` or `n,m}`.
    fn counted(&mut self) -> Result<()> {
        let Some((bounds, rest)) = self.rest.split_once('}') else {
            return Err(self.wrong("has a '{' without '}'"));
        };
        let (least, most) = bounds.split_once(',').unwrap_or((bounds, bounds));
        let number =
            |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
        let fits = number(least).is_some_and(|least| most.is_empty() || number(most) >= Some(least));
        if !fits {
            return Err(self.wrong("has a repetition that is not {n}, {n,} or {n,m}"));
        }
        self.out.extend(["{", bounds, "}"]);
        self.rest = rest;
        Ok(())
    }

    #[cold]
    fn wrong(&self, what: &str) -> Error {
        Error::invalid_argument(self.complaint(what))
    }

    #[cold]
    fn unsupported(&self, what: &str) -> Error {
        Error::not_supported(self.complaint(&format!("has what is not supported: {what}")))
    }

    fn complaint(&self, what: &str) -> String {
        let at = self.source.len() - self.rest.len();
        format!("regular expression {:?} {what} (before {at})", self.source)
    }
}

/// Writes a character that stands for itself, also in a class.
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
        Pattern::new(pattern, false).unwrap().is_found(text.as_bytes())
    }

    fn refusal(pattern: &str) -> String {
        Pattern::new(pattern, false).expect_err(pattern).message()
    }

    #[test]
    fn finds_what_java_finds() {
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
        ] {
            assert!(found(pattern, yes), "{pattern:?} in {yes:?}");
            if let Some(no) = no {
                assert!(!found(pattern, no), "{pattern:?} in {no:?}");
            }
        }
        let lossy = Pattern::new("^a.b$", false).unwrap();
        assert!(lossy.is_found(b"a\xffb"), "one character in place of what is no text");
        assert!(Pattern::new("straSSe", true).unwrap().is_found(b"STRASSE"));
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (pattern, what) in [
            ("(?=a)", "look-ahead"),
            ("(?!a)", "look-ahead"),
            ("(?<=a)b", "look-behind"),
            ("(?<!a)b", "look-behind"),
            ("(?>a)", "atomic"),
            ("a++", "possessive"),
            ("a{2}+", "possessive"),
            (r"(a)\1", "back reference"),
            (r"(?<n>a)\k<n>", "back reference"),
            ("(?m)^a", "MULTILINE"),
            ("(?u)a", "UNICODE_CASE"),
            ("(?x)a b", "COMMENTS"),
            (r"\Ga", r"\G"),
            (r"\R", r"\R"),
            ("a$b", "more behind"),
            ("(a$|b)c", "more behind"),
            ("(a$)*", "more behind"),
            (r"\p{IsGreek}", "IsGreek"),
            (r"\ud83d\ude00", "surrogate"),
        ] {
            let message = refusal(pattern);
            assert!(message.contains("not supported") && message.contains(what), "{pattern:?}: {message}");
        }
        for pattern in
            ["*a", "a**", "(a", "a)", "[a", "a{", "{1}", "a{2,1}", "[b-a]", "\\", "[a&&", "(?q)", "\\i", "[]"]
        {
            assert!(!refusal(pattern).contains("not supported"), "{pattern:?}");
        }
        assert!(refusal(&"(".repeat(10_000)).contains("nests"));
        assert!(refusal(&"[".repeat(10_000)).contains("nests"));
        assert!(refusal("(((a{1000}){1000}){1000}){1000}").contains("too large"));
    }
}
