//! The tool on a cluster that requires Kerberos, and encrypts connections, including those to ZooKeeper.

use super::hbase::{Cluster, programs};
use super::site::{keytool, write_site};
use crate::support::{code, hregion, stderr, stdout};
use std::process::Output;

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn a_secured_cluster_is_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let security = [
        ("hbase.security.authentication", "kerberos"),
        ("hbase.regionserver.kerberos.principal", "hbase/_HOST@EXAMPLE.COM"),
        ("hbase.master.kerberos.principal", "hbase/_HOST@EXAMPLE.COM"),
        ("hbase.rpc.protection", "privacy"),
        ("zookeeper.sasl.client", "true"),
    ];
    let site = path("hbase-site.xml");
    write_site(site.as_ref(), &[&security[..], &[("hbase.zookeeper.quorum", "localhost:1")]].concat());
    let probe = hregion().args(["count", "t", "--timeout", "1", "--site", &site]).output().unwrap();
    if code(&probe) == 4 {
        assert!(stderr(&probe).contains("libgssapi_krb5"), "{}", stderr(&probe));
        println!("SKIPPED: {}", stderr(&probe));
        return;
    }

    // a self-signed certificate
    let san = "san=dns:localhost,ip:127.0.0.1";
    let key = ["-alias", "own", "-keyalg", "RSA", "-dname", "CN=localhost", "-ext", san];
    keytool(dir.path(), &[&["-genkeypair", "-keystore", "keys.p12"][..], &key].concat());
    let own = ["-alias", "own", "-file", "own.pem"];
    keytool(dir.path(), &[&["-exportcert", "-rfc", "-keystore", "keys.p12"][..], &own].concat());
    keytool(dir.path(), &[&["-importcert", "-keystore", "trust.p12"][..], &own].concat());
    let (keys, trust) = (path("keys.p12"), path("trust.p12"));
    let encryption = [
        ("hbase.client.netty.tls.enabled", "true"),
        ("hbase.rpc.tls.keystore.location", keys.as_str()),
        ("hbase.rpc.tls.keystore.password", "password"),
        ("hbase.rpc.tls.truststore.location", trust.as_str()),
        ("hbase.rpc.tls.truststore.password", "password"),
    ];
    let zookeeper = [
        ("hbase.zookeeper.property.client.secure", "true"),
        ("hbase.zookeeper.property.clientCnxnSocket", "org.apache.zookeeper.ClientCnxnSocketNetty"),
        ("hbase.zookeeper.property.ssl.keyStore.location", keys.as_str()),
        ("hbase.zookeeper.property.ssl.keyStore.password", "password"),
        ("hbase.zookeeper.property.ssl.trustStore.location", trust.as_str()),
        ("hbase.zookeeper.property.ssl.trustStore.password", "password"),
    ];
    let mut options: Vec<String> =
        encryption.iter().chain(&zookeeper).map(|(name, value)| format!("-D{name}={value}")).collect();
    options.push("-Dhbase.server.netty.tls.enabled=true".to_owned());
    options.push("-Dhbase.server.netty.tls.supportplaintext=false".to_owned());
    options.push("-Dhbase.rpc.protection=privacy".to_owned());
    let mut all = vec!["--servers", "1", "--kerberos", "--zk-tls"];
    all.extend(options.iter().map(String::as_str));
    let cluster = Cluster::start(&programs(), &dir.path().join("hbase"), &all);

    let kerberos = &cluster.ready["kerberos"];
    let of_cluster = |name: &str| kerberos[name].as_str().unwrap();
    let (_, port) = cluster.ready["zk_mutual_tls"].as_str().unwrap().split_once(':').unwrap();
    let own = [
        ("hbase.zookeeper.quorum", "localhost"),
        ("hbase.zookeeper.property.clientPort", port),
        ("hbase.client.keytab.file", of_cluster("keytab")),
        ("hbase.client.keytab.principal", of_cluster("client")),
    ];
    write_site(site.as_ref(), &[&security[..], &encryption, &zookeeper, &own].concat());
    let krb5 = of_cluster("krb5");
    let none = format!("FILE:{}", path("none"));
    let tool = |args: &[&str]| -> Output {
        let mut command = hregion();
        command.args(args).env("KRB5_CONFIG", krb5).env("KRB5CCNAME", &none);
        command.env_remove("KRB5_CLIENT_KTNAME").output().unwrap()
    };
    let session = "create 't', 'f'; put 't', 'r', 'f:q', 'v', 1; flush 't'; scan 't'";
    let answer = tool(&["shell", "--site", &site, "-e", session]);
    assert_eq!(code(&answer), 0, "{}", stderr(&answer));
    let expected = "Created table t\n=> Hbase::Table - t\nROW                       COLUMN+CELL\n \
                    r                        column=f:q, timestamp=1, value=v\n1 row(s)\n";
    assert_eq!(stdout(&answer), expected);
    let scanned = tool(&["scan", "t", "--site", &site]);
    assert_eq!(stdout(&scanned), "r  column=f:q, timestamp=1, value=v\n", "{}", stderr(&scanned));

    // without one of them
    for left in [
        &[&security[..], &zookeeper, &own].concat(),
        &[&encryption[..], &zookeeper, &own].concat(),
        &[&security[..], &encryption, &own].concat(),
    ] {
        write_site(site.as_ref(), left);
        let refused = tool(&["scan", "t", "--site", &site, "--timeout", "3"]);
        assert_eq!(code(&refused), 5, "{}", stderr(&refused));
        println!("refused: {}", stderr(&refused));
    }
}
