//! The HTTP client: its settings, and the addresses that it refuses.

use crate::stats::Counters;
use object_store::{ClientConfigKey, ClientOptions, Error, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, NoProxy, Proxy, Url};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The maximum number of redirects that one request follows.
const MAX_REDIRECTS: usize = 5;

/// The metadata services of clouds have link-local addresses; they serve credentials, not files.
const LINK_LOCAL: &str = "a link-local address, where metadata services are: refused";

/// Requests to S3 have credentials in headers that no client removes: session tokens, and keys of encryption.
const LEAVES: &str = "a redirect to another host, which would get the credentials: refused";

/// After 301, clients send other requests: reads instead of changes, or requests without a body. Their
/// responses would be treated as those of the changes.
const CHANGES_REQUEST: &str = "a redirect after which another request would be sent: refused";

/// The same after 302 and 303, with which servers also answer a change that they have made.
pub(crate) const MAY_BE_MADE: &str = "a redirect to the result of a request: refused";

/// Settings of `object_store` that have no meaning here. Its timeouts are options of the storage.
const REFUSED: [ClientConfigKey; 10] = [
    ClientConfigKey::ConnectTimeout,
    ClientConfigKey::Http2KeepAliveInterval,
    ClientConfigKey::Http2KeepAliveTimeout,
    ClientConfigKey::Http2KeepAliveWhileIdle,
    ClientConfigKey::Http2MaxFrameSize,
    ClientConfigKey::Http2Only,
    ClientConfigKey::PoolIdleTimeout,
    ClientConfigKey::PoolMaxIdlePerHost,
    ClientConfigKey::ReadTimeout,
    ClientConfigKey::Timeout,
];

/// The time that a request may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    /// Until the last byte of the body.
    pub(crate) request: Duration,
}

/// Makes a client, which counts the redirects that it follows; with `stays`, only those after which the same
/// request is sent to the same host. Connects to nothing.
pub(crate) fn client(
    options: &ClientOptions,
    timeouts: Timeouts,
    stays: bool,
    counters: Arc<Counters>,
) -> Result<Client> {
    let defaults = ClientOptions::new();
    if let Some(key) =
        REFUSED.iter().find(|key| options.get_config_value(key) != defaults.get_config_value(key))
    {
        return Err(Error::UnknownConfigurationKey { store: "HTTP", key: key.as_ref().to_owned() });
    }
    let text = |key| options.get_config_value(&key);
    let flag = |key| text(key).map_or(Ok(false), |value| flag(&value));
    let user_agent = text(ClientConfigKey::UserAgent);
    let mut builder = Client::builder()
        .user_agent(
            user_agent.unwrap_or_else(|| concat!("hregion-remote/", env!("CARGO_PKG_VERSION")).into()),
        )
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request)
        .https_only(!flag(ClientConfigKey::AllowHttp)?)
        .danger_accept_invalid_certs(flag(ClientConfigKey::AllowInvalidCertificates)?)
        .dns_resolver(Arc::new(Resolver))
        .referer(false)
        // Another crate of the program may have enabled decompression, but the bytes of a range must be the
        // file's.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .redirect(Policy::custom(move |attempt| {
            if stays && matches!(attempt.status().as_u16(), 302 | 303) {
                return attempt.error(MAY_BE_MADE);
            }
            if attempt.previous().len() > MAX_REDIRECTS {
                return attempt.error("too many redirects");
            }
            if let Err(refused) = check(attempt.url()) {
                return attempt.error(refused);
            }
            let first = attempt.previous().first().map(Url::origin);
            if stays && first.is_none_or(|first| first != attempt.url().origin()) {
                return attempt.error(LEAVES);
            }
            if stays && !matches!(attempt.status().as_u16(), 307 | 308) {
                return attempt.error(CHANGES_REQUEST);
            }
            counters.request();
            attempt.follow()
        }));
    if flag(ClientConfigKey::Http1Only)? {
        builder = builder.http1_only();
    }
    if flag(ClientConfigKey::NoSystemCertificates)? {
        builder = builder.tls_certs_only([]);
    }
    if let Some(url) = text(ClientConfigKey::ProxyUrl) {
        if let Some(certificate) = text(ClientConfigKey::ProxyCaCertificate) {
            let certificate = Certificate::from_pem(certificate.as_bytes()).map_err(fault)?;
            builder = builder.tls_certs_merge([certificate]);
        }
        let excludes = text(ClientConfigKey::ProxyExcludes);
        let proxy = Proxy::all(url).map_err(fault)?;
        builder = builder.proxy(proxy.no_proxy(excludes.and_then(|hosts| NoProxy::from_string(&hosts))));
    }
    builder.build().map_err(fault)
}

fn fault(error: reqwest::Error) -> Error {
    Error::Generic { store: "HTTP", source: Box::new(error.without_url()) }
}

/// Parses a flag as `object_store` does.
fn flag(value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" | "y" => Ok(true),
        "0" | "false" | "off" | "no" | "n" => Ok(false),
        _ => Err(Error::Generic { store: "HTTP", source: "a setting that is neither true nor false".into() }),
    }
}

/// Fails if a URL has a link-local address.
pub(crate) fn check_host(url: &str) -> std::result::Result<(), &'static str> {
    Url::parse(url).map_err(|_| "not a URL").and_then(|url| check(&url))
}

fn check(url: &Url) -> std::result::Result<(), &'static str> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if host.parse().is_ok_and(is_link_local) { Err(LINK_LOCAL) } else { Ok(()) }
}

fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        // The last one is that of EC2.
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || matches!(address.segments(), [0xfd00, 0x0ec2, ..])
        }
    }
}

/// Resolves names to all their addresses that are not link-local.
#[derive(Debug)]
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = found.into_iter().filter(|address| !is_link_local(address.ip())).collect();
            if allowed.is_empty() {
                return Err(LINK_LOCAL.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_not_asked() {
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.170.2/v2",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "https://[fe80::1]:80/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fd00:ec2::254]/",
        ] {
            assert_eq!(check_host(url), Err(LINK_LOCAL), "{url}");
        }
        for url in ["http://127.0.0.1:9000/b", "https://s3.us-east-1.amazonaws.com/b", "http://[::1]/"] {
            assert_eq!(check_host(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn settings_without_a_meaning_are_refused() {
        let timeouts = Timeouts { connect: Duration::from_secs(1), request: Duration::from_secs(1) };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let make = |options: &ClientOptions| client(options, timeouts, false, Arc::default());
        make(&ClientOptions::new()).unwrap();
        let error = make(&ClientOptions::new().with_timeout(Duration::from_secs(7))).unwrap_err();
        assert!(matches!(error, Error::UnknownConfigurationKey { key, .. } if key == "timeout"));
        let odd = ClientOptions::new().with_config(ClientConfigKey::AllowHttp, "perhaps");
        assert!(make(&odd).is_err());
    }
}
