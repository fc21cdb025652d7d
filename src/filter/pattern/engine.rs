//! The engines that execute an expression.

use crate::error::{Error, Result};

/// Maximum compiled size in bytes: of a linear expression, and of each delegated part of a backtracking one.
const MAX_COMPILED_SIZE: usize = 1 << 20;
const MAX_PART_SIZE: usize = 1 << 18;
/// Maximum length of a backtracking expression, which bounds the number of its parts, and maximum number of
/// instructions.
const MAX_BACKTRACKING_LEN: usize = 1 << 12;
const MAX_INSTRUCTIONS: usize = 1 << 14;
/// Maximum of the minimum length of a match: `fancy-regex` computes it in a `usize` without checking for
/// overflow.
const MAX_LEAST: u64 = 1 << 30;
/// Maximum number of backtracking steps per search. (Java has no limit.)
const MAX_STEPS_BACK: usize = 1_000_000;

#[derive(Clone)]
pub(super) enum Engine {
    /// Linear in the length of the text.
    Linear(regex::Regex),
    /// Backtracking.
    Backtracking(Box<fancy_regex::Regex>),
}

impl Engine {
    pub(super) fn linear(source: &str, written: &str) -> Result<Self> {
        let nest_limit = 2 * u32::try_from(super::MAX_NESTING).unwrap_or(u32::MAX);
        let built =
            regex::RegexBuilder::new(written).size_limit(MAX_COMPILED_SIZE).nest_limit(nest_limit).build();
        built.map(Self::Linear).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => too_large(source),
            _ => invalid(source),
        })
    }

    /// `least` is an upper bound of the minimum length of a match.
    pub(super) fn backtracking(source: &str, written: &str, least: u64) -> Result<Self> {
        use fancy_regex::{Error as Refusal, ParseError};
        if source.len() > MAX_BACKTRACKING_LEN || least > MAX_LEAST {
            return Err(too_large(source));
        }
        let built = fancy_regex::RegexBuilder::new(written)
            .backtrack_limit(MAX_STEPS_BACK)
            .delegate_size_limit(MAX_PART_SIZE)
            .delegate_dfa_size_limit(MAX_PART_SIZE)
            .delegate_dfa_skip_cache_capacity_check(false)
            .max_prog_size(MAX_INSTRUCTIONS)
            .build();
        built.map(|regex| Self::Backtracking(Box::new(regex))).map_err(|error| match error {
            Refusal::ParseError(_, ParseError::TargetNotRepeatable) => {
                let complaint =
                    "has a construct that is not supported: an assertion of no width that is repeated";
                Error::not_supported(format!("regular expression {source:?} {complaint}"))
            }
            Refusal::ParseError(_, ParseError::RecursionExceeded) | Refusal::CompileError(_) => {
                too_large(source)
            }
            _ => invalid(source),
        })
    }

    /// Whether the expression matches anywhere in `text`; `None` if the backtracking limit is exceeded.
    pub(super) fn is_match(&self, text: &str) -> Option<bool> {
        match self {
            Self::Linear(regex) => Some(regex.is_match(text)),
            Self::Backtracking(regex) => regex.is_match(text).ok(),
        }
    }
}

#[cold]
fn too_large(source: &str) -> Error {
    Error::invalid_argument(format!("regular expression {source:?} is too large"))
}

#[cold]
fn invalid(source: &str) -> Error {
    Error::invalid_argument(format!("regular expression {source:?} is not valid"))
}

#[cfg(test)]
mod tests {
    use super::super::Pattern;
    use crate::error::ErrorKind;

    /// Expressions that need backtracking, each with a text that matches and one that does not, as in Java
    /// 17.
    const FOUND: [(&str, &str, &str); 43] = [
        (r"a(?=b)", "xab", "ac"),
        (r"a(?!b)", "ac", "ab"),
        (r"(?<=a)b", "ab", "cb"),
        (r"(?<!a)b", "cb", "ab"),
        (r"(?<=a|bc)d", "bcd", "cd"),
        (r"(?<=a{1,3})d", "aad", "bd"),
        (r"(?=.*\d)(?=.*[a-z])^\w{4,}$", "a1__", "abcd"),
        (r"^(?!.*secret)", "public", "a secret"),
        (r"(?>a|ab)c", "ac", "abc"),
        (r"^(?>a+)b", "aab", "aac"),
        (r"a++a?b", "aab", "ac"),
        (r"^a*+a", "", "aa"),
        (r"^a?+a", "aa", "a"),
        (r"^a{1,2}+a", "aaa", "aa"),
        (r"^[ab]++b", "", "aab"),
        (r"^(?:ab)*+c", "ababc", "abab"),
        (r"(a|b)\1", "bb", "ab"),
        (r"^(a)(b)?\2", "abb", "a"),
        (r"(?<n>x)y\k<n>", "xyx", "xyy"),
        (r"(a)\11", "aa1", "aaa"),
        (r"^\1(a)", "", "aa"),
        (r"(a)(b)\2\1", "abba", "abab"),
        (r"^(?:(a)|b)*\1$", "aba", "bb"),
        (r"(?m)^b", "a\nb", "ab"),
        (r"(?m)^b", "a\rb", "a\tb"),
        (r"(?m)a$", "a\r\nb", "ab"),
        (r"(?m)^$", "a\n\nb", "a\r\nb"),
        (r"(?m)^", "a", ""),
        (r"(?m)\n^", "\n\n", "a\n"),
        (r"(?m)^b\Z", "a\nb", "b\na"),
        (r"(?md)^b", "a\nb", "a\rb"),
        (r"(?md)a$", "a\n\n", "a\r\n"),
        (r"(?md-s)a.b$", "a\rb", "a\nb"),
        (r"(?m:^b)", "a\nb", "ab"),
        (r"(?m)^a(?-m)$", "a\n", "a\nb"),
        (r"a$\n", "a\n", "ab"),
        (r"a$\r\n", "a\r\n", "a\r"),
        (r"a\r$\n", "", "a\r\n"),
        (r"(a$|b)c", "bc", "ac"),
        (r"(?i)(?<=A)B", "ab", "cb"),
        (r"(?=\Qa.b\E)\w", "a.b", "axb"),
        (r"(?<!\d)\d{2}(?!\d)", "a12b", "a123"),
        (r"\p{Lu}(?=\p{Ll})", "xAb", "AB"),
    ];

    #[test]
    fn matches_agree_with_java() {
        for (pattern, yes, no) in FOUND {
            let found = |text: &str| {
                let found =
                    Pattern::new(pattern, false).unwrap_or_else(|error| panic!("{pattern:?}: {error}"));
                assert!(!found.is_linear(), "{pattern:?}");
                found.is_found(text.as_bytes()).unwrap()
            };
            // an empty `yes` means that the expression never matches
            assert!(yes.is_empty() || found(yes), "{pattern:?} in {yes:?}");
            assert!(!found(no), "{pattern:?} in {no:?}");
        }
    }

    #[test]
    fn steps_back_are_used_where_they_must_be() {
        for pattern in ["a", "^a$", "(a|b)+c$", r"\bab\b", r"\Ga", r"a\Rb", "(?d)a$", "(?<name>a)b", "(?m)a"]
        {
            assert!(Pattern::new(pattern, false).unwrap().is_linear(), "{pattern:?}");
        }
    }

    #[test]
    fn too_many_steps_back_are_an_error() {
        let endless = Pattern::new(r"^(?=a)(a|aa)+\1$b", false).unwrap();
        let error = endless.is_found(&[b'a'; 100]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.message().contains("backtracking"), "{error}");
        assert!(!endless.is_found(b"b").unwrap());
    }
}
