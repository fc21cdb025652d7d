//! The settings of TLS with ZooKeeper (HBase: `ZKConfig`; ZooKeeper: `X509Util`, `ZKClientConfig`).

use super::{Site, unsupported};
#[cfg(feature = "tls")]
use super::{
    read_text,
    tls::{names, versions},
};
#[cfg(feature = "tls")]
use crate::tls::{KeyFile, Tls};
#[cfg(feature = "tls")]
use hregion::Error;
use hregion::Result;
#[cfg(feature = "tls")]
use std::path::Path;

/// The settings that HBase passes on to ZooKeeper, and their names on Java's command line.
const PREFIXES: [&str; 2] = ["hbase.zookeeper.property.", "zookeeper."];
const SECURE: &str = "client.secure";

impl Site {
    /// Fails if the file requires unsupported features.
    pub(super) fn check_zookeeper_supported(&self) -> Result<()> {
        if let Some((name, class)) = self.of_zookeeper("clientCnxnSocket")? {
            let secure = self.zookeeper_flag(SECURE)?;
            match class.rsplit('.').next().unwrap_or_default() {
                "ClientCnxnSocketNetty" => {}
                "ClientCnxnSocketNIO" if !secure => {}
                // Java's client would not encrypt then
                "ClientCnxnSocketNIO" => return unsupported(&name, &format!("{class} with {SECURE}")),
                _ => return unsupported(&name, class),
            }
        }
        if cfg!(not(feature = "tls")) && self.zookeeper_flag(SECURE)? {
            return self.zookeeper_unsupported(SECURE);
        }
        Ok(())
    }

    /// Returns a property of ZooKeeper, with its name in the file.
    fn of_zookeeper(&self, name: &str) -> Result<Option<(String, &str)>> {
        for prefix in PREFIXES {
            let name = format!("{prefix}{name}");
            if let Some(value) = self.value(&name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    fn zookeeper_flag(&self, name: &str) -> Result<bool> {
        let Some((name, _)) = self.of_zookeeper(name)? else { return Ok(false) };
        Ok(self.flag(&name)?.unwrap_or_default())
    }

    fn zookeeper_unsupported<T>(&self, name: &str) -> Result<T> {
        let (name, value) = self.of_zookeeper(name)?.unwrap_or_default();
        unsupported(&name, value)
    }
}

#[cfg(feature = "tls")]
impl Site {
    /// Returns how connections to ZooKeeper are encrypted, if they are.
    pub(super) fn zookeeper_tls(&self) -> Result<Option<Tls>> {
        if !self.zookeeper_flag(SECURE)? {
            return Ok(None);
        }
        for name in ["ssl.crl", "ssl.ocsp"] {
            if self.zookeeper_flag(name)? {
                return self.zookeeper_unsupported(name);
            }
        }
        if self.of_zookeeper("ssl.context.supplier.class")?.is_some() {
            return self.zookeeper_unsupported("ssl.context.supplier.class");
        }
        let trusted = self.zookeeper_key_file("trustStore")?.ok_or_else(|| {
            let name = format!("{}ssl.trustStore.location", PREFIXES[0]);
            Error::invalid_argument(format!("{name} is not set: no server of ZooKeeper would be trusted"))
        })?;
        let mut tls = Tls::of(trusted);
        if let Some(keys) = self.zookeeper_key_file("keyStore")? {
            tls = tls.with_keys(keys);
        }
        if self.of_zookeeper("ssl.hostnameVerification")?.is_some() {
            tls = tls.verify_host(self.zookeeper_flag("ssl.hostnameVerification")?);
        }
        tls.reload = self.zookeeper_flag("client.certReload")?;
        for name in ["ssl.enabledProtocols", "ssl.protocol"] {
            if let Some((name, value)) = self.of_zookeeper(name)? {
                tls.versions = versions(&name, value)?;
                break;
            }
        }
        if let Some((_, suites)) = self.of_zookeeper("ssl.ciphersuites")? {
            tls.cipher_suites = names(suites);
        }
        Ok(Some(tls))
    }

    fn zookeeper_key_file(&self, store: &str) -> Result<Option<KeyFile>> {
        let value = |part: &str| {
            let found = self.of_zookeeper(&format!("ssl.{store}.{part}"))?;
            Ok::<_, Error>(found.map(|(_, value)| value))
        };
        let Some(location) = value("location")? else { return Ok(None) };
        let kind = value("type")?;
        match value("passwordPath")? {
            Some(path) => {
                let password = read_password(Path::new(path))?;
                KeyFile::new(Path::new(location), kind, Some(&password)).map(Some)
            }
            None => KeyFile::new(Path::new(location), kind, value("password")?).map(Some),
        }
    }
}

/// Reads a file with a password, which may end with a line break.
#[cfg(feature = "tls")]
fn read_password(path: &Path) -> Result<String> {
    let text = read_text(path)?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::site;
    use super::*;
    use hregion::ErrorKind;

    const ON: (&str, &str) = ("hbase.zookeeper.property.client.secure", "true");

    #[test]
    fn classes_of_connections_are_known_or_refused() {
        let class = |name: &'static str| ("hbase.zookeeper.property.clientCnxnSocket", name);
        let netty = class("org.apache.zookeeper.ClientCnxnSocketNetty");
        let nio = class("org.apache.zookeeper.ClientCnxnSocketNIO");
        for fine in [&[][..], &[nio], &[netty], &[("zookeeper.client.secure", "false"), nio]] {
            site(fine).check_zookeeper_supported().unwrap();
        }
        for odd in [&[class("my.Socket")][..], &[ON, nio], &[("zookeeper.client.secure", "true"), nio]] {
            let error = site(odd).check_zookeeper_supported().unwrap_err();
            assert!(error.kind() == ErrorKind::Unsupported, "{error}");
            assert!(error.message().contains("hbase.zookeeper.property.clientCnxnSocket"), "{error}");
        }
        let built_in = site(&[ON, netty]).check_zookeeper_supported();
        assert_eq!(built_in.is_ok(), cfg!(feature = "tls"));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn settings_of_tls_with_zookeeper_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("password"), "from a file\n").unwrap();
        let trust = ("hbase.zookeeper.property.ssl.trustStore.location", "/no/trust.pem");
        assert!(site(&[trust]).zookeeper_tls().unwrap().is_none());
        assert!(site(&[trust, ("zookeeper.client.secure", "False")]).zookeeper_tls().unwrap().is_none());
        let tls = site(&[ON, trust]).zookeeper_tls().unwrap().unwrap();
        assert!(tls.verify_host && !tls.reload && tls.versions.len() == 2 && tls.cipher_suites.is_empty());
        assert!(format!("{tls:?}").contains("keys: None"));
        let password = path("password");
        let tls = site(&[
            ("zookeeper.client.secure", "TRUE"),
            ("zookeeper.ssl.trustStore.location", "/ignored.jks"),
            trust,
            ("hbase.zookeeper.property.ssl.keyStore.location", "/no/keys"),
            ("hbase.zookeeper.property.ssl.keyStore.type", "PKCS12"),
            ("hbase.zookeeper.property.ssl.keyStore.password", "secret"),
            ("hbase.zookeeper.property.ssl.keyStore.passwordPath", &password),
            ("zookeeper.ssl.hostnameVerification", "false"),
            ("hbase.zookeeper.property.ssl.enabledProtocols", "TLSv1.3"),
            ("hbase.zookeeper.property.ssl.protocol", "TLS"),
            ("hbase.zookeeper.property.ssl.ciphersuites", "TLS_AES_128_GCM_SHA256, X"),
            ("hbase.zookeeper.property.client.certReload", "true"),
        ]);
        let tls = tls.zookeeper_tls().unwrap().unwrap();
        assert!(!tls.verify_host && tls.reload && tls.versions.len() == 1);
        assert_eq!(tls.cipher_suites, ["TLS_AES_128_GCM_SHA256", "X"]);
        let shown = format!("{tls:?}");
        assert!(shown.contains("/no/trust.pem") && shown.contains("/no/keys"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("from a file"), "{shown}");
        assert_eq!(read_password(password.as_ref()).unwrap(), "from a file");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn settings_of_tls_with_zookeeper_that_are_not_understood_are_named() {
        let trust = ("hbase.zookeeper.property.ssl.trustStore.location", "/no/trust.pem");
        for (name, value) in [
            ("hbase.zookeeper.property.ssl.crl", "true"),
            ("zookeeper.ssl.ocsp", "true"),
            ("hbase.zookeeper.property.ssl.context.supplier.class", "my.Supplier"),
            ("hbase.zookeeper.property.ssl.protocol", "TLSv1.1"),
            ("zookeeper.ssl.enabledProtocols", "TLSv1.2,TLS"),
        ] {
            let error = site(&[ON, trust, (name, value)]).zookeeper_tls().unwrap_err();
            assert!(error.kind() == ErrorKind::Unsupported && error.message().contains(name), "{error}");
        }
        for (name, value) in [("type", "JKS"), ("type", "BCFKS"), ("location", "/no/trust.jks")] {
            let name = format!("hbase.zookeeper.property.ssl.trustStore.{name}");
            let error = site(&[ON, trust, (&name, value)]).zookeeper_tls().unwrap_err();
            assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("trust."), "{error}");
        }
        let none = site(&[ON]).zookeeper_tls().unwrap_err();
        assert!(none.message().contains("ssl.trustStore.location"), "{none}");
        let odd = site(&[("zookeeper.client.secure", "yes")]).zookeeper_tls().unwrap_err();
        assert!(odd.message().contains("zookeeper.client.secure is yes"), "{odd}");
        let path = ("zookeeper.ssl.trustStore.passwordPath", "/no/password");
        let missing = site(&[ON, trust, path]).zookeeper_tls().unwrap_err();
        assert!(missing.kind() == ErrorKind::Io, "{missing}");
    }
}
