//! Errors of object stores, without secrets: no credentials, queries or bodies.

#[cfg(feature = "aws")]
use crate::http_client::MAY_BE_MADE;
use crate::source::{not_found, replaced};
use hregion::cell::Printable;
use object_store::Error;
use std::io;

/// The maximum length of a message.
const MAX_MESSAGE: usize = 400;

/// Converts an error of the library to one of the system.
pub(crate) fn io_error(error: &Error) -> io::Error {
    let (kind, message) = match error {
        missing @ Error::NotFound { .. } if code(&chain(missing)) == Some("NoSuchBucket") => {
            (io::ErrorKind::NotFound, "no such bucket".to_owned())
        }
        Error::NotFound { .. } => return not_found(),
        Error::Precondition { .. } | Error::NotModified { .. } => return replaced(),
        denied @ Error::PermissionDenied { .. } => {
            (io::ErrorKind::PermissionDenied, with_code("the server denies access", denied))
        }
        denied @ Error::Unauthenticated { .. } => {
            (io::ErrorKind::PermissionDenied, with_code("the server does not accept the credentials", denied))
        }
        Error::NotImplemented { .. } | Error::NotSupported { .. } => {
            (io::ErrorKind::Unsupported, "the server does not support this request".to_owned())
        }
        Error::UnknownConfigurationKey { key, .. } => {
            (io::ErrorKind::InvalidInput, format!("unknown setting {key}"))
        }
        other if is_throttled(other) => {
            (io::ErrorKind::ResourceBusy, format!("the server throttles requests: {}", clean(&chain(other))))
        }
        other => (kind_of(other), with_reason(clean(&chain(other)), other)),
    };
    io::Error::new(kind, message)
}

/// Whether a range was refused, as for an empty file, or ignored, as by some servers for an empty file, and
/// by others if it is counted from the end.
pub(crate) fn is_range_refused(error: &Error) -> bool {
    // The client for S3 and the one for web servers report a range that was ignored with different texts.
    const TEXTS: [&str; 3] =
        ["416 Range Not Satisfiable", "Received non-partial response", "Range request not supported"];
    let text = chain(error);
    TEXTS.iter().any(|part| text.contains(part))
}

/// Whether the server has refused a request, or it was not sent, so that it has and will have no effect.
#[cfg(feature = "aws")]
pub(crate) fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Generic { .. } => {
            let is_refused = status(error).is_some_and(|status| (400..500).contains(&status));
            is_refused || is_redirected(error) || is_unsent(error) || is_throttled(error)
        }
        Error::NotFound { .. }
        | Error::AlreadyExists { .. }
        | Error::Precondition { .. }
        | Error::NotModified { .. }
        | Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::NotImplemented { .. }
        | Error::NotSupported { .. }
        | Error::InvalidPath { .. }
        | Error::UnknownConfigurationKey { .. } => true,
        _ => false,
    }
}

/// Whether a refused request may succeed later: the server is busy or unavailable, or the bytes of the
/// request came too slowly.
#[cfg(feature = "aws")]
pub(crate) fn is_passing(error: &Error) -> bool {
    let may_pass = || match status(error) {
        Some(status) => status == 408 || is_too_slow(error) || is_throttled(error),
        None => !is_redirected(error),
    };
    matches!(error, Error::Generic { .. }) && may_pass()
}

/// Whether the server has refused a request because there are too many of them. Other responses with the
/// status 503 do not mean that the request was not carried out.
pub(crate) fn is_throttled(error: &Error) -> bool {
    match status(error) {
        Some(429) => true,
        Some(503) => code(&chain(error)) == Some("SlowDown"),
        _ => false,
    }
}

/// Whether the server has waited too long for the bytes of a request, which S3 reports with the status of an
/// invalid one.
#[cfg(feature = "aws")]
pub(crate) fn is_too_slow(error: &Error) -> bool {
    status(error) == Some(400) && chain(error).contains("<Code>RequestTimeout</Code>")
}

/// Whether there was no connection to send a request on, even after waiting.
#[cfg(feature = "aws")]
fn is_unsent(error: &Error) -> bool {
    has_cause(error, reqwest::Error::is_connect)
}

/// Whether the server has redirected a request, instead of carrying it out, and the client has not sent it to
/// the other place.
#[cfg(feature = "aws")]
fn is_redirected(error: &Error) -> bool {
    // A request whose body cannot be sent twice ends with the status, any other one by the client's refusal.
    if let Some(status) = status(error) {
        return (300..400).contains(&status) && !matches!(status, 302 | 303);
    }
    let text = chain(error);
    (has_cause(error, reqwest::Error::is_redirect) && !text.contains(MAY_BE_MADE))
        || text.contains("Received redirect without LOCATION")
}

#[cfg(feature = "aws")]
fn has_cause(error: &Error, is_such: impl Fn(&reqwest::Error) -> bool) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<reqwest::Error>().is_some_and(&is_such) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Returns the status of the response, if there was one that is not a success.
fn status(error: &Error) -> Option<u16> {
    let text = chain(error);
    let (_, after) = text.split_once("non-2xx status code: ")?;
    after.get(..3)?.parse().ok()
}

fn kind_of(error: &Error) -> io::ErrorKind {
    let text = chain(error).to_ascii_lowercase();
    let is = |part: &str| text.contains(part);
    if is("timed out") || is("timeout occurred") {
        io::ErrorKind::TimedOut
    } else if is("405 method not allowed") || is("501 not implemented") {
        io::ErrorKind::Unsupported
    } else {
        io::ErrorKind::Other
    }
}

/// Returns the messages of an error and its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Adds likely reasons if the server has given none: the response to a request for metadata has no body.
fn with_reason(message: String, error: &Error) -> String {
    if status(error) != Some(400) || !chain(error).contains("performing HEAD ") {
        return message;
    }
    format!("{message} (without a reason: the credentials may have expired, or be for another region)")
}

/// Adds the reason that the server names: it may be a clock that is wrong, or a token that has expired.
fn with_code(message: &str, error: &Error) -> String {
    code(&chain(error)).map_or_else(|| message.to_owned(), |code| format!("{message}: {code}"))
}

/// Returns the code of an error in the body of a response.
fn code(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(code)
}

/// Cuts off queries of URLs and the bodies of responses, which can contain signatures and keys.
fn clean(text: &str) -> String {
    let body = text.find(['<', '{']).unwrap_or(text.len());
    let code = code(&text[body..]);
    let words = text[..body].split_whitespace().map(|word| {
        let path = word.split('?').next().unwrap_or_default();
        match path.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?))) {
            Some((scheme, (_, host))) => format!("{scheme}://{host}"),
            None => path.to_owned(),
        }
    });
    let mut cleaned = words.collect::<Vec<_>>().join(" ");
    if let Some(code) = code {
        cleaned = format!("{cleaned} {code}");
    }
    match cleaned.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", Printable(&cleaned[..end])),
        None => Printable(&cleaned).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_text() {
        assert_eq!(clean("500 \u{1b}]0;x\u{7} Error\u{202e}"), "500 \\x1B]0;x\\x07 Error\\xE2\\x80\\xAE");
        let long = "\u{1b}".repeat(2 * MAX_MESSAGE);
        assert_eq!(clean(&long), format!("{}…", "\\x1B".repeat(MAX_MESSAGE)));
    }

    /// The library reports only that such a request has timed out.
    #[cfg(feature = "aws")]
    #[test]
    fn a_request_that_waited_for_a_connection_in_vain_was_not_sent() {
        use crate::blocking::Blocking;
        use object_store::client::{HttpClient, HttpErrorKind, HttpRequestBody};
        use reqwest::dns::{Name, Resolve, Resolving};
        use std::sync::Arc;
        use std::time::Duration;

        struct Silent;

        impl Resolve for Silent {
            fn resolve(&self, _: Name) -> Resolving {
                Box::pin(std::future::pending())
            }
        }

        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(Silent));
        let client = client.connect_timeout(Duration::from_millis(20)).build().unwrap();
        let client = HttpClient::new(client);
        let request = http::Request::put("http://bucket/key").body(HttpRequestBody::empty()).unwrap();
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let sent = blocking.run(async move { Ok(client.execute(request).await.map(drop)) });
        let error = sent.unwrap().unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Timeout);
        let error = Error::Generic { store: "S3", source: Box::new(error) };
        assert!(is_refusal(&error) && is_passing(&error));
    }

    /// Servers also answer with 302 and 303 to a change that they have made.
    #[cfg(feature = "aws")]
    #[test]
    fn a_change_that_is_redirected_was_not_made_except_after_302_and_303() {
        let of = |text: &str| Error::Generic { store: "S3", source: text.to_owned().into() };
        let with_status = |status: u16| of(&format!("Server returned non-2xx status code: {status} Text: "));
        for status in [301, 307, 308] {
            let error = with_status(status);
            assert!(is_refusal(&error) && !is_passing(&error), "{status}");
        }
        for status in [302, 303, 500] {
            assert!(!is_refusal(&with_status(status)), "{status}");
        }
        // As S3 answers if the bucket is in another region.
        let error = of("Received redirect without LOCATION, this normally indicates another region");
        assert!(is_refusal(&error) && !is_passing(&error));
        let body = "500 Error: Received redirect without LOCATION";
        assert!(!is_refusal(&of(&format!("Server returned non-2xx status code: {body}"))));
    }

    #[test]
    fn a_server_that_throttles_requests_is_named() {
        let of = |response: &str| {
            let source = format!("Server returned non-2xx status code: {response}");
            io_error(&Error::Generic { store: "S3", source: source.into() })
        };
        let slow_down = "<Error><Code>SlowDown</Code><Key>s3cret</Key></Error>";
        for (status, body) in [("503 Service Unavailable", slow_down), ("429 Too Many Requests", "")] {
            let error = of(&format!("{status}: {body}"));
            assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
            let text = error.to_string();
            assert!(text.starts_with("the server throttles requests: ") && text.contains(status), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
        for other in
            ["503 Service Unavailable: ", "503 Service Unavailable: <Code>Other</Code>", "500 Error: "]
        {
            assert_eq!(of(other).kind(), io::ErrorKind::Other, "{other}");
        }
    }

    #[test]
    fn a_missing_bucket_is_named() {
        let of = |code: &str| {
            let source = format!("404 Not Found: <Error><Code>{code}</Code></Error>");
            io_error(&Error::NotFound { path: "p".into(), source: source.into() })
        };
        assert_eq!(of("NoSuchBucket").to_string(), "no such bucket");
        assert_eq!(of("NoSuchKey").to_string(), not_found().to_string());
        assert_eq!([of("NoSuchBucket").kind(), of("NoSuchKey").kind()], [io::ErrorKind::NotFound; 2]);
    }

    /// S3 refuses a token that has expired in this way.
    #[test]
    fn a_request_for_metadata_that_is_invalid_has_likely_reasons() {
        let of = |method: &str| {
            let source = format!(
                "Error performing {method} http://h/b/k in 1ms - Server returned non-2xx status code: 400 \
                 Bad Request: "
            );
            io_error(&Error::Generic { store: "S3", source: source.into() }).to_string()
        };
        assert!(of("HEAD").contains("400 Bad Request") && of("HEAD").contains("expired"), "{}", of("HEAD"));
        assert!(!of("GET").contains("expired"));
    }

    #[test]
    fn messages_have_no_credentials() {
        let text = "Error GET http://u:p@h/b/k?X-Amz-Signature=s3cret after 1 retries: 403 Forbidden: \
                    <Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        let cleaned = "Error GET http://h/b/k after 1 retries: 403 Forbidden: SignatureDoesNotMatch";
        assert_eq!(clean(text), cleaned);
        assert_eq!(clean("a {\"token\": \"s3cret\"}"), "a");
        let denied = |body: &str| {
            let error = Error::PermissionDenied { path: "p".into(), source: body.to_owned().into() };
            io_error(&error).to_string()
        };
        let skewed = "<Error><Code>RequestTimeTooSkewed</Code><Key>s3cret</Key></Error>";
        assert_eq!(denied(skewed), "the server denies access: RequestTimeTooSkewed");
        assert_eq!(denied("<Code>s3cret key</Code>"), "the server denies access");
        assert!(clean(&"é".repeat(10_000)).len() < 1000);
    }
}
