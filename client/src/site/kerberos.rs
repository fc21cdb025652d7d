//! The settings of Kerberos (HBase: `SecurityInfo`, `SaslUtil`, `AuthUtil`).

use super::{Site, unsupported};
use crate::kerberos::{Kerberos, Protection};
use hregion::{Error, Result};

const REGION_SERVER: &str = "hbase.regionserver.kerberos.principal";
const MASTER: &str = "hbase.master.kerberos.principal";
const PROTECTION: &str = "hbase.rpc.protection";
const CRYPTO: &str = "hbase.rpc.crypto.encryption.aes.enabled";

impl Site {
    /// Returns how connections are authenticated, if they are.
    pub(super) fn kerberos(&self) -> Result<Option<Kerberos>> {
        let is_kerberos = |name: &str| name.eq_ignore_ascii_case("kerberos");
        if !self.value("hbase.security.authentication")?.is_some_and(is_kerberos) {
            return Ok(None);
        }
        if self.flag(CRYPTO)?.unwrap_or_default() {
            return unsupported(CRYPTO, "true");
        }
        let (region_server, master) = (self.value(REGION_SERVER)?, self.value(MASTER)?);
        let Some(principal) = region_server.or(master) else {
            return Err(Error::invalid_argument(format!("neither {REGION_SERVER} nor {MASTER} is set")));
        };
        let mut kerberos = Kerberos::new(principal)?;
        if let Some(master) = master {
            kerberos = kerberos.master_principal(master)?;
        }
        if let Some(names) = self.value(PROTECTION)? {
            let mut protections = Vec::new();
            for name in names.split(',').map(str::trim) {
                match Protection::of_name(name) {
                    Some(protection) => protections.push(protection),
                    None => return unsupported(PROTECTION, name),
                }
            }
            kerberos = kerberos.protection(&protections);
        }
        if let Some(path) = self.value("hbase.client.keytab.file")? {
            let principal = self.value("hbase.client.keytab.principal")?;
            if let Some(principal) = principal.filter(|principal| principal.contains("_HOST")) {
                return unsupported("hbase.client.keytab.principal", principal);
            }
            kerberos = kerberos.keytab(path, principal);
        }
        if let Some(allowed) = self.flag("hbase.ipc.client.fallback-to-simple-auth-allowed")? {
            kerberos = kerberos.fallback_to_simple(allowed);
        }
        if let Some(off) = self.flag("hbase.unsafe.client.kerberos.hostname.disable.reversedns")? {
            kerberos = kerberos.canonical_hosts(!off);
        }
        Ok(Some(kerberos))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::site;
    use super::*;
    use hregion::ErrorKind;

    const ON: (&str, &str) = ("hbase.security.authentication", "Kerberos");
    const SERVER: (&str, &str) = (REGION_SERVER, "hbase/_HOST@EXAMPLE.COM");

    #[test]
    fn settings_of_kerberos_are_read() {
        assert!(site(&[SERVER]).kerberos().unwrap().is_none());
        let plain = format!("{:?}", site(&[ON, SERVER]).kerberos().unwrap().unwrap());
        let expected = Kerberos::new("hbase/_HOST@EXAMPLE.COM").unwrap();
        assert_eq!(plain, format!("{expected:?}"));
        let all = site(&[
            ON,
            SERVER,
            (MASTER, "master/m1@EXAMPLE.COM"),
            (PROTECTION, "privacy, Integrity,auth"),
            ("hbase.client.keytab.file", "/keys"),
            ("hbase.client.keytab.principal", "me@EXAMPLE.COM"),
            ("hbase.ipc.client.fallback-to-simple-auth-allowed", "true"),
            ("hbase.unsafe.client.kerberos.hostname.disable.reversedns", "true"),
        ]);
        let expected = expected.master_principal("master/m1@EXAMPLE.COM").unwrap();
        let expected = expected.keytab("/keys", Some("me@EXAMPLE.COM")).fallback_to_simple(true);
        let wanted = [Protection::Privacy, Protection::Integrity, Protection::Authentication];
        let expected = expected.protection(&wanted).canonical_hosts(false);
        assert_eq!(format!("{:?}", all.kerberos().unwrap().unwrap()), format!("{expected:?}"));
    }

    #[test]
    fn settings_of_kerberos_that_are_not_supported_are_named() {
        for (name, value) in [
            (CRYPTO, "true"),
            (PROTECTION, "integrity,secret"),
            ("hbase.client.keytab.principal", "me/_HOST@EXAMPLE.COM"),
        ] {
            let found = site(&[ON, SERVER, ("hbase.client.keytab.file", "/keys"), (name, value)]).kerberos();
            let error = found.unwrap_err();
            assert!(error.kind() == ErrorKind::Unsupported && error.message().contains(name), "{error}");
        }
        let none = site(&[ON]).kerberos().unwrap_err();
        assert!(none.message().contains(REGION_SERVER), "{none}");
        for principal in ["hbase", "hbase/h", "hbase@R", "/h@R", "hbase/h@", "a/b/c@R"] {
            let error = site(&[ON, (REGION_SERVER, principal)]).kerberos().unwrap_err();
            assert!(error.message().contains(principal), "{error}");
        }
    }
}
