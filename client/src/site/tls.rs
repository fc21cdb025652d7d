//! The settings of TLS (HBase: `X509Util`).

use super::{Site, unsupported};
use crate::tls::{KeyFile, Tls, VERSIONS};
use hregion::{Error, Result};
use std::path::Path;
use std::time::Duration;
use tokio_rustls::rustls::SupportedProtocolVersion;

impl Site {
    /// Returns how connections are encrypted, if they are.
    pub(super) fn tls(&self) -> Result<Option<Tls>> {
        if !self.flag("hbase.client.netty.tls.enabled")?.unwrap_or_default() {
            return Ok(None);
        }
        for name in ["hbase.rpc.tls.clr", "hbase.rpc.tls.ocsp"] {
            if self.flag(name)?.unwrap_or_default() {
                return unsupported(name, "true");
            }
        }
        let trusted = self.key_file("truststore")?.ok_or_else(|| {
            Error::invalid_argument(
                "hbase.rpc.tls.truststore.location is not set: no server would be trusted",
            )
        })?;
        let mut tls = Tls::of(trusted);
        if let Some(keys) = self.key_file("keystore")? {
            tls = tls.with_keys(keys);
        }
        if let Some(verify) = self.flag("hbase.client.netty.tls.verify.server.hostname")? {
            tls = tls.verify_host(verify);
        }
        if let Some(time) = self.number("hbase.client.netty.tls.handshaketimeout")? {
            tls = tls.handshake_timeout(Duration::from_millis(time));
        }
        tls.reload = self.flag("hbase.rpc.tls.certReload")?.unwrap_or_default();
        for name in ["hbase.rpc.tls.enabledProtocols", "hbase.rpc.tls.protocol"] {
            if let Some(value) = self.value(name)? {
                tls.versions = versions(name, value)?;
                break;
            }
        }
        if let Some(suites) = self.value("hbase.rpc.tls.ciphersuites")? {
            tls.cipher_suites = names(suites);
        }
        Ok(Some(tls))
    }

    fn key_file(&self, store: &str) -> Result<Option<KeyFile>> {
        let value = |part: &str| self.value(&format!("hbase.rpc.tls.{store}.{part}"));
        let Some(location) = value("location")? else { return Ok(None) };
        KeyFile::new(Path::new(location), value("type")?, value("password")?).map(Some)
    }
}

/// Reads the versions of the protocol in the value of a property.
pub(super) fn versions(name: &str, value: &str) -> Result<Vec<&'static SupportedProtocolVersion>> {
    let version = |text: &str| match VERSIONS.iter().find(|(version, _)| *version == text) {
        Some((_, version)) => Ok(*version),
        None => unsupported(name, text),
    };
    value.split(',').map(str::trim).map(version).collect()
}

/// Reads the names of cipher suites.
pub(super) fn names(value: &str) -> Vec<String> {
    value.split(',').map(|name| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::site;
    use hregion::ErrorKind;

    const ON: (&str, &str) = ("hbase.client.netty.tls.enabled", "true");
    const TRUST: (&str, &str) = ("hbase.rpc.tls.truststore.location", "/no/trust.pem");

    #[test]
    fn settings_of_tls_are_read() {
        assert!(site(&[TRUST]).tls().unwrap().is_none());
        let tls = site(&[ON, TRUST]).tls().unwrap().unwrap();
        assert!(tls.verify_host && !tls.reload && tls.versions.len() == 2);
        let tls = site(&[
            ON,
            TRUST,
            ("hbase.rpc.tls.keystore.location", "/no/keys"),
            ("hbase.rpc.tls.keystore.type", "pkcs12"),
            ("hbase.rpc.tls.keystore.password", "secret"),
            ("hbase.client.netty.tls.verify.server.hostname", "false"),
            ("hbase.client.netty.tls.handshaketimeout", "700"),
            ("hbase.rpc.tls.protocol", "TLSv1.2"),
            ("hbase.rpc.tls.enabledProtocols", "TLSv1.3"),
            ("hbase.rpc.tls.ciphersuites", "TLS_AES_128_GCM_SHA256, X"),
            ("hbase.rpc.tls.certReload", "true"),
        ]);
        let tls = tls.tls().unwrap().unwrap();
        assert!(!tls.verify_host && tls.reload && tls.handshake_timeout.as_millis() == 700);
        assert!(tls.versions.len() == 1 && tls.cipher_suites == ["TLS_AES_128_GCM_SHA256", "X"]);
        let shown = format!("{tls:?}");
        assert!(shown.contains("/no/keys") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn settings_of_tls_that_are_not_understood_are_named() {
        for (name, value) in [
            ("hbase.rpc.tls.clr", "true"),
            ("hbase.rpc.tls.ocsp", "true"),
            ("hbase.rpc.tls.enabledProtocols", "TLSv1.3,SSLv3"),
            ("hbase.rpc.tls.protocol", "TLS"),
            ("hbase.rpc.tls.truststore.type", "JKS"),
        ] {
            let error = site(&[ON, TRUST, (name, value)]).tls().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
        }
        for location in ["/no/trust.jks", "/no/trust"] {
            let error = site(&[ON, ("hbase.rpc.tls.truststore.location", location)]).tls().unwrap_err();
            assert!(error.kind() == ErrorKind::Unsupported && error.message().contains(location), "{error}");
        }
        assert!(site(&[ON]).tls().unwrap_err().message().contains("truststore.location"));
        let odd = site(&[("hbase.client.netty.tls.enabled", "yes")]).tls().unwrap_err();
        assert!(odd.message().contains("yes"), "{odd}");
    }
}
