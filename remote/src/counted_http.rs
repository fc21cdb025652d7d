//! Counts HTTP requests, and bounds the bodies of their responses.

use crate::http_client::{self, Timeouts};
use crate::options::RemoteOptions;
use crate::stats::Counters;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::{HeaderName, HeaderValue, Method, header};
use http_body_util::{BodyExt, StreamBody};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::path::Path as Key;
use std::io;
use std::sync::Arc;

tokio::task_local! {
    /// The task's condition for completing an upload, which the client cannot send. It is added to the
    /// request, because headers of conditions need not be signed.
    static CONDITION: (HeaderName, HeaderValue);
}

/// Completes an upload with a condition.
#[cfg(feature = "aws")]
pub(crate) async fn with_condition<T>(
    condition: (HeaderName, HeaderValue),
    completion: impl Future<Output = T>,
) -> T {
    CONDITION.scope(condition, completion).await
}

/// The maximum size of an error's body.
const ERROR_BYTES: u64 = 64 << 10;

/// Marks the listing of a directory by WebDAV, which may have no entries. That of a file, or of a path that
/// does not exist, has none either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfDirectory;

/// Makes clients that count.
#[derive(Debug)]
pub(crate) struct CountingConnector {
    counters: Arc<Counters>,
    /// The maximum size of a listing.
    listing_bytes: u64,
    timeouts: Timeouts,
    /// Whether redirects to other hosts are refused.
    stays: bool,
}

impl CountingConnector {
    pub(crate) fn new(options: &RemoteOptions, stays: bool, counters: Arc<Counters>) -> Self {
        let timeouts = Timeouts { connect: options.connect_timeout, request: options.request_timeout };
        Self { counters, listing_bytes: options.listing_bytes, timeouts, stays }
    }
}

impl HttpConnector for CountingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = http_client::client(options, self.timeouts, self.stays, Arc::clone(&self.counters))?;
        let inner = HttpClient::new(client);
        let (counters, listing_bytes) = (Arc::clone(&self.counters), self.listing_bytes);
        Ok(HttpClient::new(CountingService { inner, counters, listing_bytes }))
    }
}

#[derive(Debug)]
struct CountingService {
    inner: HttpClient,
    counters: Arc<Counters>,
    listing_bytes: u64,
}

#[async_trait]
impl HttpService for CountingService {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        http_client::check_host(&request.uri().to_string()).map_err(error)?;
        if completes_upload(&request) {
            // This fails if the task has set none.
            let _ = CONDITION.try_with(|(name, value)| request.headers_mut().insert(name, value.clone()));
        }
        let range = request.headers().get(header::RANGE).and_then(|range| range_len(range.to_str().ok()?));
        let (pages, lists) = (is_page_of_s3(&request), request.method().as_str() == "PROPFIND");
        self.counters.request();
        let (mut parts, body) = self.inner.execute(request).await?.into_parts();
        let limit = match range {
            _ if !parts.status.is_success() => ERROR_BYTES,
            Some(len) => len,
            None => self.listing_bytes,
        };
        let body = bounded(body, limit, Arc::clone(&self.counters));
        if !(pages || lists) || !parts.status.is_success() {
            return Ok(HttpResponse::from_parts(parts, body));
        }
        let mut page = body.collect().await?.to_bytes();
        if pages {
            check_page(&page)?;
            page = with_paths_only(page);
        } else if has_directory(&page) {
            parts.extensions.insert(OfDirectory);
        }
        Ok(HttpResponse::from_parts(parts, page.into()))
    }
}

/// Returns the length of a range in the form that `object_store` sends: `bytes=1-2` or `bytes=-2`.
fn range_len(range: &str) -> Option<u64> {
    let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end: u64 = end.parse().ok()?;
    match start {
        "" => Some(end),
        start => end.checked_sub(start.parse().ok()?)?.checked_add(1),
    }
}

fn completes_upload(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::POST && query.split('&').any(|part| part.starts_with("uploadId="))
}

fn is_page_of_s3(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET && query.split('&').any(|part| part == "list-type=2")
}

/// Fails if a page is another document, such as an error with a success status, which `object_store` treats
/// as an empty last page; or if it announces more pages without a token to request them. The listing would
/// end too early.
fn check_page(page: &[u8]) -> Result<(), HttpError> {
    let contains = |text: &str| page.windows(text.len()).any(|window| window == text.as_bytes());
    if !contains("ListBucketResult") {
        return Err(error("an answer that is not a listing"));
    }
    let has_next = contains("<NextContinuationToken>") && !contains("<NextContinuationToken></");
    if contains("<IsTruncated>true</IsTruncated>") && !has_next {
        return Err(error("a listing that is cut off"));
    }
    Ok(())
}

/// Leaves out the entries of a page whose keys are not paths, such as `dir//file`: a name in them is empty,
/// `.` or `..`, or has control characters. `object_store` would fail the whole listing, and no URL has them.
fn with_paths_only(page: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&page) else { return page };
    let kept = paths_only(&paths_only(text, "Contents", "Key"), "CommonPrefixes", "Prefix");
    if kept.len() == text.len() { page } else { kept.into() }
}

/// Leaves out the elements `entry` of a text in which the element `name` is not a path.
fn paths_only(text: &str, entry: &str, name: &str) -> String {
    let [begin, key_begin] = [entry, name].map(|name| format!("<{name}>"));
    let [end, key_end] = [entry, name].map(|name| format!("</{name}>"));
    let is_path = |key: &str| Key::parse(key).is_ok() && !refers_to_control(key);
    let mut parts = text.split(&begin);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let key = part.split_once(&key_begin).and_then(|(_, rest)| rest.split_once(&key_end));
        if key.is_none_or(|(key, _)| is_path(key)) {
            kept += &begin;
            kept += part;
        } else {
            kept += part.split_once(&end).map_or("", |(_, after)| after);
        }
    }
    kept
}

/// Whether a text refers to a control character by its number, such as `&#10;` or `&#xA;`.
fn refers_to_control(text: &str) -> bool {
    text.split("&#").skip(1).filter_map(|rest| rest.split_once(';')).any(|(number, _)| {
        let code = match number.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        code.ok().and_then(char::from_u32).is_some_and(|c| c.is_ascii_control())
    })
}

/// Whether a listing by WebDAV has a directory, which is a `collection` there.
fn has_directory(page: &[u8]) -> bool {
    page.split(|byte| *byte == b'<').skip(1).any(|tag| {
        let name = tag.split(|byte| b" \t\r\n/>".contains(byte)).next().unwrap_or_default();
        name.rsplit(|byte| *byte == b':').next() == Some(&b"collection"[..])
    })
}

/// Counts the bytes of a body. Fails if there are more than `limit`.
fn bounded(body: HttpResponseBody, limit: u64, counters: Arc<Counters>) -> HttpResponseBody {
    let frames = try_unfold((body, limit), move |(mut body, left)| {
        let counters = Arc::clone(&counters);
        async move {
            let Some(frame) = body.frame().await else { return Ok(None) };
            let frame = frame?;
            let len = frame.data_ref().map_or(0, Bytes::len);
            counters.bytes(len);
            match left.checked_sub(len as u64) {
                Some(left) => Ok(Some((frame, (body, left)))),
                None => Err(error("a body longer than what was asked for")),
            }
        }
    });
    HttpResponseBody::new(StreamBody::new(frames))
}

fn error(message: &'static str) -> HttpError {
    HttpError::new(HttpErrorKind::Decode, io::Error::new(io::ErrorKind::InvalidData, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_lengths() {
        assert_eq!(range_len("bytes=1-2"), Some(2));
        assert_eq!(range_len("bytes=-7"), Some(7));
        for other in ["bytes=7-", "bytes=3-1", "bytes=0-18446744073709551615", "lines=1-2", "bytes=x-2"] {
            assert_eq!(range_len(other), None, "{other}");
        }
    }

    #[test]
    fn listings_of_directories_are_recognized() {
        for is in ["<D:collection/>", "<d:collection></d:collection>", "<collection xmlns=\"DAV:\"/>"] {
            assert!(has_directory(format!("<a><resourcetype>{is}</resourcetype></a>").as_bytes()), "{is}");
        }
        for other in ["", "<D:resourcetype/>", "<href>/collection/</href>", "<D:collections/>", "collection"]
        {
            assert!(!has_directory(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn entries_of_a_page_that_are_not_paths_are_left_out() {
        let file = |key: &str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let dir = |key: &str| format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>");
        let page = |entries: String| {
            let page = format!("<ListBucketResult><Prefix>d/</Prefix>{entries}</ListBucketResult>");
            with_paths_only(page.into())
        };
        let paths = file("d/") + &file("d/a&amp;b c") + &dir("d/&#34;/") + &file("d/%0A&#xE4;");
        let whole = page(paths.clone());
        let kept = page(
            dir("d//")
                + &file("d/")
                + &file("d//a")
                + &file("d/a&amp;b c")
                + &dir("d/./")
                + &dir("d/&#34;/")
                + &file("d/a\nb")
                + &file("d/a&#xD;b")
                + &file("d/a&#x0a;b")
                + &file("d/a&#1;b")
                + &dir("d/&#127;/")
                + &file("d/%0A&#xE4;")
                + &dir("d/../"),
        );
        assert_eq!((&kept, whole.len()), (&whole, page(String::new()).len() + paths.len()));
        assert_eq!(page(dir("d//")), page(String::new()));
        let no_text = Bytes::from_static(b"<Contents><Key>d//\xFF</Key></Contents>");
        assert_eq!(with_paths_only(no_text.clone()), no_text);
    }

    #[test]
    fn listings_that_are_cut_off_are_errors() {
        let check = |members: &str| {
            let page = format!("<?xml version=\"1.0\"?><ListBucketResult>{members}</ListBucketResult>");
            check_page(page.as_bytes())
        };
        for no_token in ["", "<NextContinuationToken/>", "<NextContinuationToken></NextContinuationToken>"] {
            assert!(check(&format!("<IsTruncated>true</IsTruncated>{no_token}")).is_err(), "{no_token}");
        }
        let next = "<NextContinuationToken>t</NextContinuationToken>";
        assert!(check(&format!("<IsTruncated>true</IsTruncated>{next}")).is_ok());
        assert!(check("<IsTruncated>false</IsTruncated>").is_ok());
        assert!(check_page(b"<Error><Code>InternalError</Code></Error>").is_err());
        assert!(check_page(b"").is_err());
    }
}
