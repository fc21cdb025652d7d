//! The client on a cluster whose ZooKeeper is used through TLS, also by HBase's servers and clients.

use crate::hbase::{Client as Java, Cluster, programs};
use crate::json_cell::json_cell;
use crate::site::{keytool, write_site};
use crate::tls::{builder, write_keys, write_own_keys};
use hregion::locator::ZooKeeperRegistry;
use hregion::{Deadline, Error, ErrorKind, Put, Scan, TableName};
use hregion_client::{Client, Tls};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

const PREFIX: &str = "hbase.zookeeper.property.";

async fn read_and_write(client: &Client, java: &mut Java, qualifier: &str) {
    let table = client.table(&TableName::parse("t").unwrap());
    table.put(Put::new("row-07").cell("f", qualifier.to_owned(), "v")).await.unwrap();
    let (mut ours, mut scanner) = (Vec::new(), table.scan(Scan::new()).unwrap());
    while let Some(row) = scanner.next_row().await.unwrap() {
        ours.extend(row.cells().map(|cell| json_cell(&cell)));
    }
    assert!(ours.len() > 20, "{}", ours.len());
    assert_eq!(Value::from(ours), java.ask(&json!({"op": "scan", "table": "t"})));
}

/// Connects to a port of ZooKeeper through TLS.
async fn id(address: &str, tls: Tls) -> Result<Option<String>, Error> {
    builder().zookeeper_tls(tls).unwrap().zookeeper(address).unwrap().cluster_id().await
}

/// Requests the id of the cluster for at most a second.
async fn ask_briefly(registry: ZooKeeperRegistry) -> Error {
    use hregion::ConnectionRegistry as _;
    let begin = Instant::now();
    let ask = move || registry.cluster_id(Deadline::after(Duration::from_secs(1))).unwrap_err();
    let error = tokio::task::spawn_blocking(ask).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a running HBase: Java and Maven"]
async fn zookeeper_is_reached_by_tls_as_by_hbase() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let path = |name: &str| file(name).to_str().unwrap().to_owned();
    // not for the address, so that the name is checked
    let authority = write_keys(dir.path(), &["localhost"]);
    fs::write(file("authority.pem"), &authority).unwrap();
    write_own_keys(dir.path());
    keytool(dir.path(), &["-importcert", "-alias", "ca", "-keystore", "trust.p12", "-file", "authority.pem"]);
    fs::write(file("trust.pem"), authority + &fs::read_to_string(file("own.pem")).unwrap()).unwrap();
    fs::write(file("password"), "password\n").unwrap();

    let named = |(name, value): (&str, String)| (format!("{PREFIX}{name}"), value);
    let secure = [
        ("client.secure", "true".to_owned()),
        ("clientCnxnSocket", "org.apache.zookeeper.ClientCnxnSocketNetty".to_owned()),
    ];
    let pem = [("ssl.keyStore.location", path("keys.pem")), ("ssl.trustStore.location", path("trust.pem"))];
    let settings: Vec<_> = secure.clone().into_iter().chain(pem).map(named).collect();
    let mut options: Vec<String> = settings.iter().map(|(name, value)| format!("-D{name}={value}")).collect();
    options.push("-Dhbase.zookeeper.quorum=localhost".to_owned());
    let all: Vec<&str> =
        ["--servers", "1", "--zk-tls"].into_iter().chain(options.iter().map(String::as_str)).collect();
    let cluster = Cluster::start(&programs(), &file("hbase"), &all);
    let address = |port: &str| cluster.ready[port].as_str().unwrap().replace("127.0.0.1", "localhost");
    let (mutual, one_sided) = (address("zk_mutual_tls"), address("zk_tls"));
    let port = mutual.split_once(':').unwrap().1;

    // HBase's client, with the same settings
    options.push(format!("-D{PREFIX}clientPort={port}"));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut java = Java::with(&cluster, &options);
    java.ask(&json!({"op": "create", "table": "t", "families": ["f"], "splits": ["row-10"]}));
    for at in 0..20 {
        let row = format!("row-{at:02}");
        java.ask(&json!({"op": "put", "table": "t", "row": row, "family": "f", "qualifier": "q",
            "value": "v"}));
    }
    let place = [
        ("hbase.zookeeper.quorum".to_owned(), "localhost".to_owned()),
        named(("clientPort", port.to_owned())),
    ];
    let pkcs12 = [
        ("ssl.keyStore.location", path("own.p12")),
        ("ssl.keyStore.passwordPath", path("password")),
        ("ssl.trustStore.location", path("trust.p12")),
        ("ssl.trustStore.password", "password".to_owned()),
        ("ssl.trustStore.type", "PKCS12".to_owned()),
        ("ssl.protocol", "TLSv1.2".to_owned()),
    ];
    let pkcs12: Vec<_> = secure.into_iter().chain(pkcs12).map(named).collect();
    for (settings, name) in [(settings, "pem"), (pkcs12, "pkcs12")] {
        let all = settings.iter().chain(&place).map(|(name, value)| (name.as_str(), value.as_str()));
        write_site(&file("hbase-site.xml"), &all.collect::<Vec<_>>());
        let client = builder().site(file("hbase-site.xml")).unwrap();
        read_and_write(&client, &mut java, name).await;
    }

    // the trust of each side
    let trusting = || Tls::trusting(file("trust.pem"), None).unwrap();
    let with_keys = || trusting().keys(file("keys.pem"), None).unwrap();
    assert!(id(&one_sided, trusting()).await.unwrap().is_some());
    assert!(id(&one_sided, with_keys()).await.unwrap().is_some());
    assert!(id(&mutual, with_keys()).await.unwrap().is_some());
    let unknown = id(&mutual, trusting()).await.unwrap_err();
    assert!(unknown.message().contains("TLS: received fatal alert"), "{unknown}");
    let distrust = Tls::trusting(file("own.pem"), None).unwrap();
    let distrust = id(&one_sided, distrust).await.unwrap_err();
    assert!(distrust.message().contains("UnknownIssuer"), "{distrust}");
    let by_address = one_sided.replace("localhost", "127.0.0.1");
    let other_name = id(&by_address, trusting()).await.unwrap_err();
    assert!(other_name.message().contains("not valid for name"), "{other_name}");
    assert!(id(&by_address, trusting().verify_host(false)).await.unwrap().is_some());
    for error in [&unknown, &distrust, &other_name] {
        assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
        assert!(error.to_string().contains("/hbase/hbaseid"), "{error}");
    }

    // a client and a server, only one of which encrypts
    let plain = ask_briefly(ZooKeeperRegistry::new(&mutual).unwrap()).await;
    assert!(plain.to_string().contains(&mutual), "{plain}");
    let to_plain = cluster.zookeeper().replace("127.0.0.1", "localhost");
    let begin = Instant::now();
    let short = builder().rpc_timeout(Duration::from_secs(2)).zookeeper_tls(trusting()).unwrap();
    let to_plain = short.zookeeper(&to_plain).unwrap().cluster_id().await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(10), "{to_plain}");
    assert!(to_plain.message().contains("does the server encrypt its connections?"), "{to_plain}");
    println!("refused: {unknown}; {distrust}; {other_name}; {plain}; {to_plain}");
}
