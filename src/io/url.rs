//! Recognizes URLs used as paths, which a storage for their scheme reads.

use std::path::Path;

/// Returns the scheme of a path that is a URL: it begins with a [scheme](is_scheme) and `://`.
#[must_use]
pub fn url_scheme(path: &Path) -> Option<&str> {
    let (scheme, _) = path.to_str()?.split_once("://")?;
    is_scheme(scheme).then_some(scheme)
}

/// Whether a text may be the scheme of a URL. It begins with a letter and has at least two characters,
/// because a single one is a drive of Windows.
#[must_use]
pub fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_and_names_with_colons_are_no_urls() {
        let scheme = |path: &'static str| url_scheme(Path::new(path));
        assert_eq!(
            [scheme("s3://b"), scheme("hdfs:///a"), scheme("s3a://")],
            [Some("s3"), Some("hdfs"), Some("s3a")]
        );
        for local in ["c://b", "a/b", "a/s3://b", "://b", "s3:/b", "a b://c", "..://b", "1a://b", ""] {
            assert_eq!(scheme(local), None, "{local}");
        }
    }
}
