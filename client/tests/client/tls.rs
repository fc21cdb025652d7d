//! The client on a cluster that encrypts connections, and accepts only clients with certificates.

use crate::hbase::{Client as Java, Cluster, programs};
use crate::json_cell::json_cell;
use crate::site::{keytool, write_site};
use hregion::locator::RetryPolicy;
use hregion::{Error, Get, Put, Scan, ServerName, TableName};
use hregion_client::{Client, ClientBuilder, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Writes keys for names of hosts as a PEM file; returns the authority that has signed them.
pub(crate) fn write_keys(dir: &Path, names: &[&str]) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    fs::write(dir.join("keys.pem"), key.serialize_pem() + &certificate.pem()).unwrap();
    issuer.pem()
}

/// Creates a key store with Java's tool; its certificate is self-signed.
pub(crate) fn write_own_keys(dir: &Path) {
    let san = "san=dns:localhost,ip:127.0.0.1";
    let key = ["-alias", "own", "-keyalg", "RSA", "-dname", "CN=client", "-ext", san];
    keytool(dir, &[&["-genkeypair", "-keystore", "own.p12"][..], &key].concat());
    keytool(dir, &["-exportcert", "-rfc", "-alias", "own", "-keystore", "own.p12", "-file", "own.pem"]);
}

pub(crate) fn builder() -> ClientBuilder {
    let retries = RetryPolicy::default().attempts(3).operation_timeout(Duration::from_secs(20));
    Client::builder().retries(retries)
}

async fn refused(client: Client) -> Error {
    client.table(&TableName::parse("t").unwrap()).get(&Get::new("row-00")).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a running HBase: Java and Maven"]
async fn encrypted_connections_are_those_of_hbase() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let authority = write_keys(dir.path(), &["localhost", "127.0.0.1"]);
    fs::write(file("authority.pem"), &authority).unwrap();
    write_own_keys(dir.path());
    keytool(dir.path(), &["-importcert", "-alias", "ca", "-keystore", "trust.p12", "-file", "authority.pem"]);
    fs::write(file("trust.pem"), authority + &fs::read_to_string(file("own.pem")).unwrap()).unwrap();

    let path = |name: &str| file(name).to_str().unwrap().to_owned();
    let settings = [
        ("hbase.client.netty.tls.enabled", "true".to_owned()),
        ("hbase.rpc.tls.keystore.location", path("keys.pem")),
        ("hbase.rpc.tls.truststore.location", path("trust.pem")),
    ];
    let mut options = vec!["-Dhbase.server.netty.tls.enabled=true".to_owned()];
    options.push("-Dhbase.server.netty.tls.supportplaintext=false".to_owned());
    options.extend(settings.iter().map(|(name, value)| format!("-D{name}={value}")));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let cluster = Cluster::start(&programs(), &file("hbase"), &[&["--servers", "1"], &options[..]].concat());
    let mut java = Java::with(&cluster, &options);
    java.ask(&json!({"op": "create", "table": "t", "families": ["f"], "splits": ["row-50"]}));
    for at in 0..100 {
        let value = format!("{at:090}").repeat(50);
        let row = format!("row-{at:02}");
        java.ask(&json!({"op": "put", "table": "t", "row": row, "family": "f", "qualifier": "q",
            "value": value}));
    }

    let (host, port) = cluster.zookeeper().split_once(':').unwrap();
    let place = [("hbase.zookeeper.quorum", host), ("hbase.zookeeper.property.clientPort", port)];
    let all = settings.iter().map(|(name, value)| (*name, value.as_str())).chain(place);
    write_site(&file("hbase-site.xml"), &all.collect::<Vec<_>>());
    let master = ServerName::parse(cluster.ready["master"].as_str().unwrap()).unwrap();
    let master = format!("{}:{}", master.host(), master.port());
    let of_java = Tls::trusting(file("trust.p12"), Some("password")).unwrap();
    let of_java = of_java.keys(file("own.p12"), Some("password")).unwrap();
    for client in [
        builder().site(file("hbase-site.xml")).unwrap(),
        builder().tls(of_java).unwrap().bootstrap(&master).unwrap(),
    ] {
        let table = client.table(&TableName::parse("t").unwrap());
        table.put(Put::new("row-07").cell("f", "ours", "v")).await.unwrap();
        let (mut ours, mut scanner) = (Vec::new(), table.scan(Scan::new().caching(7)).unwrap());
        while let Some(row) = scanner.next_row().await.unwrap() {
            ours.extend(row.cells().map(|cell| json_cell(&cell)));
        }
        assert_eq!(ours.len(), 101);
        assert_eq!(Value::from(ours), java.ask(&json!({"op": "scan", "table": "t"})));
    }

    let trusting = || Tls::trusting(file("trust.pem"), None).unwrap();
    let unknown = refused(builder().tls(trusting()).unwrap().bootstrap(&master).unwrap()).await;
    assert!(unknown.message().contains("TLS"), "{unknown}");
    // the client's certificate alone has not signed the server's
    let distrust = Tls::trusting(file("own.pem"), None).unwrap().keys(file("keys.pem"), None).unwrap();
    let distrust = refused(builder().tls(distrust).unwrap().bootstrap(&master).unwrap()).await;
    assert!(distrust.message().contains("UnknownIssuer"), "{distrust}");
    let plain = refused(builder().bootstrap(&master).unwrap()).await;
    assert!(plain.message().contains(&master), "{plain}");
    println!("refused: {unknown}; {distrust}; {plain}");
}
