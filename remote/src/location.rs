//! URLs as paths.

use hregion::io::{is_scheme, url_scheme};
use std::io;
use std::path::{Path, PathBuf};

/// The kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    S3,
    Http,
    Https,
    Hdfs,
}

/// A path in a bucket, on a web server or in a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) scheme: Scheme,
    /// The bucket, the host and port, or the name service. Empty for the default of HDFS, where a host has no
    /// port if that is the default one.
    pub(crate) authority: String,
    /// The names below, separated by slashes, without one at the start or the end.
    pub(crate) key: String,
}

/// The port of a name node without one (Hadoop: `HdfsClientConfigKeys.DFS_NAMENODE_RPC_PORT_DEFAULT`).
pub(crate) const NAME_NODE_PORT: &str = ":8020";

/// Whether a path is a URL: it begins with a scheme and `://`.
#[must_use]
pub fn is_url(path: &Path) -> bool {
    url_scheme(path).is_some()
}

/// Fails if a path is not a URL that this build can read.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] if the scheme is unknown or its feature is missing, and
/// [`io::ErrorKind::InvalidInput`] if the URL has credentials, a query, or no bucket. The message does not
/// repeat the URL.
pub fn check_url(path: &Path) -> io::Result<()> {
    Location::parse(path).map(drop)
}

impl Location {
    /// Parses a URL. One slash after the scheme is as good as two, because a path may have been joined again
    /// from its components.
    pub(crate) fn parse(path: &Path) -> io::Result<Self> {
        let text = path.to_str().ok_or_else(|| invalid("a URL is UTF-8"))?;
        let parts = text.split_once(":/").filter(|(scheme, _)| is_scheme(scheme));
        let (scheme, rest) = parts.ok_or_else(|| invalid("expected a URL, such as s3://bucket/key"))?;
        let scheme = Scheme::parse(scheme)?;
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(invalid("credentials do not belong in a URL; give them by the environment"));
        }
        let is_web = matches!(scheme, Scheme::Http | Scheme::Https);
        if is_web && rest.contains(['?', '#']) {
            return Err(invalid("a URL with a query or a fragment is not a path"));
        }
        if authority.is_empty() && scheme != Scheme::Hdfs {
            return Err(invalid("the URL has no bucket or host"));
        }
        let names = key.split('/').filter(|name| !name.is_empty() && *name != ".");
        let key = names.collect::<Vec<_>>().join("/");
        if key.split('/').any(|name| name == "..") {
            return Err(invalid("`..` in a URL"));
        }
        if key.chars().any(|c| c.is_ascii_control()) {
            return Err(invalid("a control character in a URL"));
        }
        let authority = if scheme == Scheme::Hdfs { without_default_port(authority) } else { authority };
        Ok(Self { scheme, authority: authority.to_owned(), key })
    }

    /// Returns the URL of the same place that is the same for all its spellings.
    pub(crate) fn full_path(&self) -> PathBuf {
        let scheme = match self.scheme {
            Scheme::S3 => "s3",
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Hdfs => "hdfs",
        };
        PathBuf::from(format!("{scheme}://{}/{}", self.authority, self.key))
    }
}

impl Scheme {
    fn parse(name: &str) -> io::Result<Self> {
        let (scheme, feature, is_built_in) = match name {
            "s3" | "s3a" => (Self::S3, "aws", cfg!(feature = "aws")),
            "http" => (Self::Http, "http", cfg!(feature = "http")),
            "https" => (Self::Https, "http", cfg!(feature = "http")),
            "hdfs" => (Self::Hdfs, "hdfs", cfg!(feature = "hdfs")),
            "gs" => {
                let instead = "s3://BUCKET/KEY with AWS_ENDPOINT=https://storage.googleapis.com";
                return Err(unsupported(format!("gs: not read; {instead} reads the same bucket")));
            }
            name => {
                let expected = "expected s3, s3a, http, https or hdfs";
                return Err(unsupported(format!("{name}: not a scheme that is supported, {expected}")));
            }
        };
        if is_built_in {
            return Ok(scheme);
        }
        Err(unsupported(format!("{name}: not built in; the feature `{feature}` of hregion-remote has it")))
    }
}

/// Returns a host without the default port of name nodes. Name services have no port: Hadoop refuses the URL
/// of one with this port.
pub(crate) fn without_default_port(authority: &str) -> &str {
    let host = authority.strip_suffix(NAME_NODE_PORT).or_else(|| authority.strip_suffix(':'));
    host.filter(|host| !host.is_empty()).unwrap_or(authority)
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn unsupported(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, message)
}

#[cfg(all(test, feature = "aws", feature = "http", feature = "hdfs"))]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (Scheme, String, String) {
        let location = Location::parse(Path::new(url)).expect("a URL");
        (location.scheme, location.authority, location.key)
    }

    #[test]
    fn urls_are_parsed() {
        let expect = |scheme, authority: &str, key: &str| (scheme, authority.to_owned(), key.to_owned());
        assert_eq!(parsed("s3://b/a/.tabledesc/c%2Cd"), expect(Scheme::S3, "b", "a/.tabledesc/c%2Cd"));
        assert_eq!(parsed("s3a:/b//a/./c/"), expect(Scheme::S3, "b", "a/c"));
        assert_eq!(parsed("s3://b"), expect(Scheme::S3, "b", ""));
        assert_eq!(parsed("http://h:80/a"), expect(Scheme::Http, "h:80", "a"));
        assert_eq!(parsed("hdfs:///a"), expect(Scheme::Hdfs, "", "a"));
        let joined = Path::new("s3://b/a").join("c");
        assert_eq!(parsed(joined.to_str().unwrap()), expect(Scheme::S3, "b", "a/c"));
    }

    #[test]
    fn spellings_of_a_place_have_one_full_path() {
        for (url, full) in [
            ("s3a:/b//a/./c/", "s3://b/a/c"),
            ("s3://b", "s3://b/"),
            ("hdfs:///a", "hdfs:///a"),
            ("hdfs://h:8020/a", "hdfs://h/a"),
            ("hdfs://h:/a", "hdfs://h/a"),
            ("hdfs://h:8021/a", "hdfs://h:8021/a"),
            ("hdfs://[::1]:8020/a", "hdfs://[::1]/a"),
            ("hdfs://:8020/a", "hdfs://:8020/a"),
            ("http://h:8020/a", "http://h:8020/a"),
            ("https://h:80/a%2Fb", "https://h:80/a%2Fb"),
        ] {
            let found = Location::parse(Path::new(url)).expect("a URL").full_path();
            assert_eq!(found.to_str(), Some(full));
            assert_eq!(Location::parse(&found).unwrap().full_path(), found);
        }
    }

    #[test]
    fn errors_do_not_repeat_credentials() {
        for url in ["http://u:secret@h/a", "https://h/a?sig=secret", "s3://k:secret@b/a", "ftp://u:secret@h"]
        {
            let error = check_url(Path::new(url)).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for other in ["gs://b/a", "az://b/a", "ftp://h/a"] {
            let error = check_url(Path::new(other)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().starts_with(other.split_once(':').unwrap().0), "{error}");
        }
        for wrong in ["a/b", "c:/a", "s3:///a", "s3://b/../a", "http://h/a#b", "s3://b/a\n"] {
            assert!(check_url(Path::new(wrong)).is_err(), "{wrong}");
        }
        assert!(is_url(Path::new("s3://b")) && !is_url(Path::new("c://b")) && !is_url(Path::new("a/b")));
    }
}
