//! The settings of Kerberos (HBase: `SecurityInfo`, `SaslUtil`, `AuthUtil`).

use super::{Site, ZOOKEEPER_SASL, unsupported};
use crate::kerberos::{Kerberos, Protection};
use hregion::{Error, Result};

const REGION_SERVER: &str = "hbase.regionserver.kerberos.principal";
const MASTER: &str = "hbase.master.kerberos.principal";
const PROTECTION: &str = "hbase.rpc.protection";
const KEYTAB_PRINCIPAL: &str = "hbase.client.keytab.principal";
const ZOOKEEPER_KEYTAB: &str = "hbase.zookeeper.client.keytab.file";
const ZOOKEEPER_CLIENT: &str = "hbase.zookeeper.client.kerberos.principal";
const CRYPTO: &str = "hbase.rpc.crypto.encryption.aes.enabled";

impl Site {
    /// Returns how connections are authenticated, if they are.
    pub(super) fn kerberos(&self) -> Result<Option<Kerberos>> {
        if !self.is_kerberos()? {
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
        if let Some((path, principal)) = self.keys("hbase.client.keytab.file", KEYTAB_PRINCIPAL)? {
            kerberos = kerberos.keytab(path, principal);
        }
        if let Some(allowed) = self.flag("hbase.ipc.client.fallback-to-simple-auth-allowed")? {
            kerberos = kerberos.fallback_to_simple(allowed);
        }
        if let Some(off) = self.flag("hbase.unsafe.client.kerberos.hostname.disable.reversedns")? {
            kerberos = kerberos.canonical_hosts(!off);
        }
        if self.flag(ZOOKEEPER_SASL)?.unwrap_or_default() {
            let realm = principal.rsplit('@').next().unwrap_or_default();
            kerberos = kerberos.zookeeper_principal(&self.zookeeper_principal(realm)?)?;
            if let Some((path, principal)) = self.keys(ZOOKEEPER_KEYTAB, ZOOKEEPER_CLIENT)? {
                kerberos = kerberos.zookeeper_keytab(path, principal);
            }
        }
        Ok(Some(kerberos))
    }

    /// Returns a file of keys, and the principal that is meant, if both are set.
    fn keys(&self, file: &str, principal: &str) -> Result<Option<(&str, Option<&str>)>> {
        let Some(path) = self.value(file)? else { return Ok(None) };
        match self.value(principal)? {
            Some(name) if name.contains("_HOST") => unsupported(principal, name),
            name => Ok(Some((path, name))),
        }
    }

    /// Returns the principal of ZooKeeper's servers, by default in the realm of HBase's.
    fn zookeeper_principal(&self, realm: &str) -> Result<String> {
        let service = self.value("zookeeper.sasl.client.username")?.unwrap_or("zookeeper");
        let any_host = format!("{service}/_HOST");
        let principal = self.value("zookeeper.server.principal")?.unwrap_or(&any_host);
        let realm = self.value("zookeeper.server.realm")?.unwrap_or(realm);
        Ok(if principal.contains('@') { principal.to_owned() } else { format!("{principal}@{realm}") })
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
    fn settings_of_zookeeper_are_read_if_its_sessions_are_authenticated() {
        let on = (ZOOKEEPER_SASL, "true");
        let read = |settings: &[(&str, &str)]| {
            let all = [&[ON, SERVER][..], settings].concat();
            format!("{:?}", site(&all).kerberos().unwrap().unwrap())
        };
        let of = |principal: &str| {
            let kerberos = Kerberos::new("hbase/_HOST@EXAMPLE.COM").unwrap();
            kerberos.zookeeper_principal(principal).unwrap()
        };
        let anonymous = format!("{:?}", Kerberos::new("hbase/_HOST@EXAMPLE.COM").unwrap());
        let keys = [(ZOOKEEPER_KEYTAB, "/keys"), (ZOOKEEPER_CLIENT, "me@R")];
        assert_eq!(read(&keys), anonymous);
        assert_eq!(read(&[(ZOOKEEPER_SASL, "false")]), anonymous);
        assert_eq!(read(&[on]), format!("{:?}", of("zookeeper/_HOST@EXAMPLE.COM")));
        let with_keys = of("zookeeper/_HOST@EXAMPLE.COM").zookeeper_keytab("/keys", Some("me@R"));
        assert_eq!(read(&[on, keys[0], keys[1]]), format!("{with_keys:?}"));
        let (name, realm) = (("zookeeper.sasl.client.username", "zk"), ("zookeeper.server.realm", "R"));
        assert_eq!(read(&[on, name]), format!("{:?}", of("zk/_HOST@EXAMPLE.COM")));
        assert_eq!(read(&[on, name, realm]), format!("{:?}", of("zk/_HOST@R")));
        let principal = ("zookeeper.server.principal", "zk/h@S");
        assert_eq!(read(&[on, principal, realm]), format!("{:?}", of("zk/h@S")));
        for (name, value) in [(ZOOKEEPER_CLIENT, "me/_HOST@R"), ("zookeeper.server.principal", "zk")] {
            let wrong = site(&[ON, SERVER, on, keys[0], (name, value)]).kerberos().unwrap_err();
            assert!(wrong.message().contains(value), "{wrong}");
        }
        let simple = site(&[on]).check_supported().unwrap_err();
        assert!(simple.kind() == ErrorKind::Unsupported && simple.message().contains(ZOOKEEPER_SASL));
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
