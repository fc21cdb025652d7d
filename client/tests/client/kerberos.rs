//! The client on a cluster that requires Kerberos, with its own KDC.
//!
//! MIT's library reads the environment, so each case runs in a separate process.

use crate::hbase::{Client as Java, Cluster, programs};
use crate::site::write_site;
use hregion::locator::{RetryPolicy, ZooKeeperRegistry};
use hregion::{Error, ErrorKind, Get, Put, Scan, ServerName, TableName};
use hregion_client::{Client, ClientBuilder, Kerberos, Protection};
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CASE: &str = "HREGION_KERBEROS";
const ROWS: usize = 100;
/// Longer than a message, and than the data that is read without another thread.
const LONG: usize = 3 << 20;

fn value(at: usize) -> String {
    format!("{at:090}").repeat(50)
}

fn builder() -> ClientBuilder {
    let retries = RetryPolicy::default().attempts(3).operation_timeout(Duration::from_secs(30));
    Client::builder().retries(retries)
}

/// The parameters of the clusters for a case.
struct Case(Value);

impl Case {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    /// The servers' principal with a placeholder for the host.
    fn kerberos(&self) -> Kerberos {
        Kerberos::new(&self.text("server").replace("localhost", "_HOST")).unwrap()
    }

    fn with_keytab(&self) -> Kerberos {
        self.kerberos().keytab(self.text("keytab"), Some(self.text("client")))
    }

    fn connect(&self, kerberos: Kerberos) -> Client {
        builder().kerberos(kerberos).unwrap().bootstrap(self.text("master")).unwrap()
    }
}

async fn refused(client: Client) -> Error {
    client.table(&TableName::parse("t").unwrap()).get(&Get::new("row-00")).await.unwrap_err()
}

/// Reads the rows written by the Java client, and writes a row.
async fn read_and_write(client: &Client, row: &str) {
    let table = client.table(&TableName::parse("t").unwrap());
    let mut rows = table.scan(Scan::new().rows("row-00".."row-99z").caching(40)).unwrap();
    for at in 0..ROWS {
        let found = rows.next_row().await.unwrap().unwrap();
        assert_eq!(found.key(), format!("row-{at:02}").as_bytes());
        assert_eq!(found.value("f", "q"), Some(value(at).as_bytes()));
    }
    assert!(rows.next_row().await.unwrap().is_none());
    let long: Vec<u8> = (0..LONG).map(|at| (at % 251) as u8).collect();
    table.put(Put::new(row.to_owned()).cell("g", "long", long.clone())).await.unwrap();
    assert_eq!(table.get(&Get::new(row)).await.unwrap().value("g", "long"), Some(&long[..]));
    assert_eq!(client.families(&TableName::parse("t").unwrap()).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a case of the test below"]
async fn case() {
    let Ok(case) = env::var(CASE) else { return };
    let case = Case(serde_json::from_str(&case).unwrap());
    match case.text("case") {
        "keytab" => keytab(&case).await,
        "zookeeper" => zookeeper(&case).await,
        "own tickets" | "tickets of another" => {
            read_and_write(&case.connect(case.kerberos()), case.text("case")).await;
        }
        "short tickets" => {
            let builder = builder().idle_timeout(Duration::from_secs(1)).kerberos(case.with_keytab());
            let client = builder.unwrap().bootstrap(case.text("master")).unwrap();
            read_and_write(&client, "before").await;
            // after this time, connections are closed and tickets have expired
            let lifetime = Duration::from_secs(case.0["lifetime"].as_u64().unwrap());
            tokio::time::sleep(lifetime + Duration::from_secs(2)).await;
            read_and_write(&client, "after").await;
        }
        "no tickets" => {
            let error = refused(case.connect(case.kerberos())).await;
            assert!(error.message().contains("No Kerberos credentials"), "{error}");
            assert!(!error.kind().is_transient(), "{error}");
            println!("no tickets: {error}");
        }
        "no KDC" => {
            let begin = Instant::now();
            let error = refused(case.connect(case.with_keytab())).await;
            assert!(error.kind().is_transient(), "{error}");
            println!("no KDC: {error}, after {:?}", begin.elapsed());
        }
        other => panic!("no case {other}"),
    }
}

async fn keytab(case: &Case) {
    use Protection::{Authentication, Integrity, Privacy};
    for protection in [Authentication, Integrity, Privacy] {
        let begin = Instant::now();
        let kerberos = case.with_keytab().protection(&[protection]);
        read_and_write(&case.connect(kerberos), &format!("{protection:?}")).await;
        println!("{protection:?}: {:?}", begin.elapsed());
    }
    // many concurrent connections get tickets through the same cache
    for principal in [None, Some(case.text("client"))] {
        let kerberos = case.kerberos().keytab(case.text("keytab"), principal);
        let builder = builder().kerberos(kerberos).unwrap();
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let client = builder.clone().bootstrap(case.text("master")).unwrap();
                tokio::spawn(async move { client.cluster_id().await })
            })
            .collect();
        for client in clients {
            assert!(client.await.unwrap().unwrap().is_some());
        }
    }
    // the unchanged host name
    read_and_write(&case.connect(case.with_keytab().canonical_hosts(false)), "host").await;
    read_and_write(&builder().site(case.text("site")).unwrap(), "site").await;

    // KDC and servers refuse invalid principals
    let stranger = Kerberos::new("nobody/localhost@EXAMPLE.COM").unwrap();
    let stranger = stranger.keytab(case.text("keytab"), None);
    let stranger = refused(case.connect(stranger)).await;
    assert!(stranger.message().contains("not found in Kerberos database"), "{stranger}");
    let other = builder().kerberos(case.with_keytab()).unwrap().user("somebody");
    let other = refused(other.bootstrap(case.text("master")).unwrap()).await;
    assert!(other.message().contains("not allowed to impersonate somebody"), "{other}");
    let simple = refused(builder().bootstrap(case.text("master")).unwrap()).await;
    assert!(simple.message().contains("Authentication is required"), "{simple}");
    let unknown = case.kerberos().keytab(case.text("keytab"), Some("stranger@EXAMPLE.COM"));
    let unknown = refused(case.connect(unknown)).await;
    assert_eq!(unknown.kind(), ErrorKind::Remote);
    println!("refused: {stranger}; {other}; {simple}; {unknown}");

    // a cluster that does not authenticate
    let connect = |kerberos| builder().kerberos(kerberos).unwrap().bootstrap(case.text("plain")).unwrap();
    let fallback = refused(connect(case.with_keytab())).await;
    assert!(fallback.message().contains("fallback-to-simple-auth-allowed"), "{fallback}");
    let allowed = connect(case.with_keytab().fallback_to_simple(true));
    assert!(allowed.cluster_id().await.unwrap().is_some());
}

/// Finds the cluster through znodes that only the client may read, and through public ones.
async fn zookeeper(case: &Case) {
    const SERVER: &str = "zookeeper/_HOST@EXAMPLE.COM";
    read_and_write(&builder().site(case.text("protected site")).unwrap(), "zookeeper").await;
    let with = |principal: &str| case.with_keytab().zookeeper_principal(principal).unwrap();
    let connect = |kerberos| builder().kerberos(kerberos).unwrap().zookeeper(case.text("zookeeper")).unwrap();
    let own_keys = with(SERVER).zookeeper_keytab(case.text("keytab"), Some(case.text("client")));
    for kerberos in [with(SERVER), with(SERVER).canonical_hosts(false), own_keys] {
        assert!(connect(kerberos).cluster_id().await.unwrap().is_some());
    }

    let anonymous = || {
        let registry = ZooKeeperRegistry::new(case.text("zookeeper")).unwrap();
        let registry = registry.with_base_znode(case.text("protected")).unwrap();
        builder().kerberos(case.with_keytab()).unwrap().registry(Arc::new(registry)).unwrap()
    };
    let begin = Instant::now();
    let unread = anonymous().cluster_id().await.unwrap_err();
    assert!(unread.message().contains("no authority to read it"), "{unread}");
    let unknown = refused(anonymous()).await;
    assert!(unknown.to_string().contains(case.text("protected")), "{unknown}");
    assert_eq!((unread.kind(), unknown.kind()), (ErrorKind::Remote, ErrorKind::Remote));

    // a principal that does not exist, and another server's principal
    let stranger = connect(with("nobody/localhost@EXAMPLE.COM")).cluster_id().await.unwrap_err();
    assert!(stranger.message().contains("not found in Kerberos database"), "{stranger}");
    let other = connect(with("hbase/localhost@EXAMPLE.COM")).cluster_id().await.unwrap_err();
    assert!(other.message().contains("authentication failed"), "{other}");
    let plain = builder().kerberos(with(SERVER)).unwrap().zookeeper(case.text("plain zookeeper")).unwrap();
    let plain = plain.cluster_id().await.unwrap_err();
    assert!(plain.message().contains("the server sends no token"), "{plain}");
    println!("refused: {unread}; {unknown}; {stranger}; {other}; {plain}, after {:?}", begin.elapsed());
}

fn address(cluster: &Cluster) -> String {
    let master = ServerName::parse(cluster.ready["master"].as_str().unwrap()).unwrap();
    format!("{}:{}", master.host(), master.port())
}

/// Runs a case in a separate process.
fn run(name: &str, case: &Value, variables: &[(&str, &str)]) {
    let mut case = case.clone();
    case["case"] = name.into();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "kerberos::case", "--ignored", "--nocapture"])
        .env_remove("KRB5_CLIENT_KTNAME")
        .env(CASE, case.to_string())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{name}: {out}{errors}");
    print!("{out}");
}

fn zookeeper_of(cluster: &Cluster) -> String {
    cluster.zookeeper().replace("127.0.0.1", "localhost")
}

fn write_site_of(path: &Path, cluster: &Cluster, more: &[(&str, &str)]) {
    let kerberos = &cluster.ready["kerberos"];
    let address = zookeeper_of(cluster);
    let (host, port) = address.split_once(':').unwrap();
    let server = kerberos["server"].as_str().unwrap();
    let properties = [
        ("hbase.zookeeper.quorum", host),
        ("hbase.zookeeper.property.clientPort", port),
        ("hbase.security.authentication", "kerberos"),
        ("hbase.regionserver.kerberos.principal", server),
        ("hbase.master.kerberos.principal", server),
        ("hbase.client.keytab.file", kerberos["keytab"].as_str().unwrap()),
        ("hbase.client.keytab.principal", kerberos["client"].as_str().unwrap()),
        ("hbase.rpc.protection", "privacy"),
    ];
    write_site(path, &[&properties[..], more].concat());
}

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn connections_are_authenticated_as_those_of_hbase() {
    let kerberos = Kerberos::new("hbase/_HOST@EXAMPLE.COM").unwrap();
    if let Err(error) = Client::builder().kerberos(kerberos) {
        assert!(error.message().contains("libgssapi_krb5"), "{error}");
        println!("SKIPPED: {error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (all, file) =
        ("-Dhbase.rpc.protection=authentication,integrity,privacy", |name: &str| dir.path().join(name));
    let options = ["--servers", "1", "--kerberos", all];
    let cluster = Cluster::start(&programs(), &file("hbase"), &options);
    let plain = Cluster::start(&programs(), &file("plain"), &["--servers", "1"]);
    let mut java = Java::with(&cluster, &["-Dhbase.rpc.protection=privacy"]);
    java.ask(&json!({"op": "create", "table": "t", "families": ["f", "g"], "splits": ["row-50"]}));
    for at in 0..ROWS {
        let row = format!("row-{at:02}");
        java.ask(&json!({"op": "put", "table": "t", "row": row, "family": "f", "qualifier": "q",
            "value": value(at)}));
    }

    let (site, protected) = (file("hbase-site.xml"), file("protected.xml"));
    write_site_of(&site, &cluster, &[]);
    let more = [("zookeeper.sasl.client", "true"), ("zookeeper.znode.parent", "/protected")];
    write_site_of(&protected, &cluster, &more);
    java.ask(
        &json!({"op": "protect_znodes", "to": "/protected", "user": cluster.ready["kerberos"]["client"]}),
    );
    let described = &cluster.ready["kerberos"];
    let case = json!({"master": address(&cluster), "plain": address(&plain), "site": site.to_str().unwrap(),
        "zookeeper": zookeeper_of(&cluster), "plain zookeeper": zookeeper_of(&plain),
        "protected site": protected.to_str().unwrap(), "protected": "/protected",
        "keytab": described["keytab"], "client": described["client"], "server": described["server"]});
    let (krb5, keytab) = (described["krb5"].as_str().unwrap(), described["keytab"].as_str().unwrap());
    let cache = format!("FILE:{}", file("cache").display());
    let none = format!("FILE:{}", file("none").display());
    run("keytab", &case, &[("KRB5_CONFIG", krb5), ("KRB5CCNAME", &none)]);
    assert!(!file("none").exists(), "tickets are kept in memory");
    run("zookeeper", &case, &[("KRB5_CONFIG", krb5), ("KRB5CCNAME", &none)]);
    assert!(!file("none").exists(), "tickets are kept in memory");
    run("no tickets", &case, &[("KRB5_CONFIG", krb5), ("KRB5CCNAME", &none)]);
    // the library obtains tickets itself, and another process finds them
    let variables = [("KRB5_CONFIG", krb5), ("KRB5CCNAME", &cache), ("KRB5_CLIENT_KTNAME", keytab)];
    let begin = Instant::now();
    run("own tickets", &case, &variables);
    let time = begin.elapsed();
    run("tickets of another", &case, &variables[..2]);
    let changed = |name: &str, from: &str, to: &str| {
        let line = |line: &str| if line.trim().starts_with(from) { to.to_owned() } else { line.to_owned() };
        let lines: Vec<String> = fs::read_to_string(krb5).unwrap().lines().map(line).collect();
        fs::write(file(name), lines.join("\n")).unwrap();
        file(name).to_str().unwrap().to_owned()
    };
    // the KDC refuses tickets of servers to a client whose own expires while it connects
    let lifetime = time.as_secs().max(1) * 3 + 2;
    let short = format!("[libdefaults]\nticket_lifetime = {lifetime}s");
    let short = changed("short.conf", "[libdefaults]", &short);
    let mut with_lifetime = case.clone();
    with_lifetime["lifetime"] = lifetime.into();
    run("short tickets", &with_lifetime, &[("KRB5_CONFIG", &short), ("KRB5CCNAME", &none)]);
    let unreachable = changed("unreachable.conf", "kdc = ", "kdc = localhost:1");
    run("no KDC", &case, &[("KRB5_CONFIG", &unreachable), ("KRB5CCNAME", &none)]);

    let rows = ["Authentication", "Integrity", "Privacy", "host", "site", "zookeeper", "own tickets"];
    for row in rows.into_iter().chain(["tickets of another"]) {
        let found = java.ask(&json!({"op": "get", "table": "t", "row": row}));
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{row}");
    }
}
