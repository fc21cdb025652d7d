use super::*;
use hregion::TableName;
use hregion::locator::RetryPolicy;
use std::fs;

pub(super) fn site(properties: &[(&str, &str)]) -> Site {
    let property = |(name, value): &(&str, &str)| {
        format!("<property>\n <name>{name}</name><value> {value} </value></property>")
    };
    let properties: String = properties.iter().map(property).collect();
    Site::parse(&format!("<?xml version=\"1.0\"?><!-- c --><configuration>{properties}</configuration>"))
        .unwrap()
}

#[test]
fn the_quorum_has_the_clients_port() {
    let found = site(&[
        ("hbase.zookeeper.quorum", "a, b:9,c,[::1]"),
        ("hbase.zookeeper.property.clientPort", "2222"),
        ("zookeeper.znode.parent", "/hbase-2"),
    ]);
    let quorum = "a:2222,b:9,c:2222,[::1]:2222".to_owned();
    assert_eq!(found.registry().unwrap(), Registry::ZooKeeper { quorum, znode: Some("/hbase-2".into()) });
    let mut of_clients = vec![
        ("hbase.zookeeper.quorum", "a"),
        ("hbase.zookeeper.property.clientPort", "2222"),
        ("hbase.client.zookeeper.quorum", "b,c:9"),
    ];
    for (port, expected) in [("", "b:2222,c:9"), ("2223", "b:2223,c:9")] {
        of_clients.push(("hbase.client.zookeeper.property.clientPort", port));
        let expected = Registry::ZooKeeper { quorum: expected.into(), znode: None };
        assert_eq!(site(&of_clients).registry().unwrap(), expected);
    }
    let none = Registry::ZooKeeper { quorum: "localhost".into(), znode: None };
    assert_eq!(site(&[]).registry().unwrap(), none);
}

#[test]
fn sessions_with_zookeeper_have_the_time_of_the_file() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    for (value, expected) in [("", "90s"), ("0", "90s"), ("30000", "30s")] {
        let found = site(&[("hbase.zookeeper.quorum", "z"), ("zookeeper.session.timeout", value)]);
        let shown = format!("{:?}", Client::builder().of_site(&found).unwrap());
        assert!(shown.contains(&format!("session_timeout: {expected}")), "{shown}");
    }
}

#[test]
fn the_znode_of_the_catalog_has_the_name_of_the_file() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    for (value, expected) in [("", "meta-region-server"), ("location", "location")] {
        let found = site(&[("hbase.zookeeper.quorum", "z"), ("zookeeper.znode.metaserver", value)]);
        let shown = format!("{:?}", Client::builder().of_site(&found).unwrap());
        assert!(shown.contains(&format!("meta: {expected:?}")), "{shown}");
    }
}

#[test]
fn servers_are_the_registry_if_the_file_says_so() {
    let rpc = ("hbase.client.registry.impl", "org.apache.hadoop.hbase.client.RpcConnectionRegistry");
    let found = site(&[rpc, ("hbase.masters", "m1:1,m2"), ("hbase.zookeeper.quorum", "z")]);
    assert_eq!(found.registry().unwrap(), Registry::Servers("m1:1,m2".into()));
    assert!(site(&[rpc]).registry().unwrap_err().message().contains("hbase.masters"));
    let given = ("hbase.client.bootstrap.servers", "r1:16020");
    let of_servers = |properties: &[(&str, &str)]| match site(properties).registry().unwrap() {
        Registry::Servers(servers) => servers,
        other => panic!("{other:?}"),
    };
    let masters = ("hbase.masters", "m1:1, [::1],m2");
    let (host, port) = (("hbase.master.hostname", "m3"), ("hbase.master.port", "7"));
    assert_eq!(of_servers(&[rpc, given, masters, host, port]), "r1:16020");
    assert_eq!(of_servers(&[rpc, masters, host, port]), "m1:1,[::1]:7,m2:7");
    assert_eq!(of_servers(&[rpc, host]), "m3");
    assert_eq!(of_servers(&[rpc, host, port]), "m3:7");
    assert_eq!(of_servers(&[rpc, host, ("hbase.master.port", "0")]), "m3");
    let only_masters = ("hbase.client.registry.impl", "org.apache.hadoop.hbase.client.MasterRegistry");
    assert_eq!(of_servers(&[only_masters, given, host, port]), "m3:7");
    let error = site(&[only_masters, given]).registry().unwrap_err();
    assert!(error.message().contains("hbase.masters"), "{error}");
    let other = site(&[("hbase.client.registry.impl", "a.B")]).registry().unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Unsupported);
}

/// As in a file of HBase 3.
#[test]
fn servers_are_the_registry_if_only_they_are_named() {
    let servers = |servers: &str| Registry::Servers(servers.to_owned());
    for (name, value) in [
        ("hbase.client.bootstrap.servers", "a:1,b:2"),
        ("hbase.masters", "a:1,b"),
        ("hbase.master.hostname", "a"),
    ] {
        assert_eq!(site(&[(name, value)]).registry().unwrap(), servers(value));
        // neither version's default is wrong then
        for quorum in ["hbase.zookeeper.quorum", "hbase.client.zookeeper.quorum"] {
            let found = site(&[(name, value), (quorum, "z")]).registry().unwrap();
            assert_eq!(found, Registry::ZooKeeper { quorum: "z".into(), znode: None });
        }
        let zookeeper = ("hbase.client.registry.impl", "org.apache.hadoop.hbase.client.ZKConnectionRegistry");
        let found = site(&[(name, value), zookeeper]).registry().unwrap();
        assert_eq!(found, Registry::ZooKeeper { quorum: "localhost".into(), znode: None });
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let refused = |name, value| {
        let error = site(&[(name, value)]).check_supported().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(name), "{error}");
    };
    refused("hbase.security.authentication", "digest");
    if cfg!(not(feature = "kerberos")) {
        refused("hbase.security.authentication", "kerberos");
    }
    if cfg!(not(feature = "tls")) {
        refused("hbase.client.netty.tls.enabled", "true");
    }
    let plain = [("hbase.security.authentication", "simple"), ("hbase.client.netty.tls.enabled", "false")];
    site(&plain).check_supported().unwrap();
    assert!(site(&[("hbase.rpc.timeout", "1m")]).number::<u64>("hbase.rpc.timeout").is_err());
    assert!(site(&[("hbase.zookeeper.quorum", "${host}")]).registry().is_err());
    for text in ["", "<a/>", "<configuration><include/></configuration>", "<configuration>"] {
        assert!(Site::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_last_value_counts_or_the_first_that_is_final() {
    let value_of = |properties: &str| {
        let found = Site::parse(&format!("<configuration>{properties}</configuration>")).unwrap();
        found.value("n").unwrap().map(str::to_owned)
    };
    let value =
        |value: &str, more: &str| format!("<property><name>n</name><value>{value}</value>{more}</property>");
    let is_final = "<final>true</final>";
    assert_eq!(value_of(&(value("1", "") + &value("2", ""))).as_deref(), Some("2"));
    assert_eq!(value_of(&(value("1", "") + &value("", ""))).as_deref(), Some("1"));
    assert_eq!(value_of(&value("", "")), None);
    let first = value("1", "") + &value("2", is_final);
    assert_eq!(value_of(&(first + &value("3", is_final))).as_deref(), Some("2"));
    assert_eq!(value_of(&(value("", is_final) + &value("1", ""))), None);
    let attributes = "<property name='n' value='4' final='true'/>".to_owned();
    assert_eq!(value_of(&(attributes + &value("5", ""))).as_deref(), Some("4"));
    let fifth = value("5", "");
    for (more, next, expected) in [
        ("<value>2</value><value/>", "", Some("2")),
        ("<name>other</name>", "", None),
        ("<final>true</final><final/>", &*fifth, Some("5")),
        ("<final/><final>true</final>", &*fifth, Some("1")),
    ] {
        assert_eq!(value_of(&(value("1", more) + next)).as_deref(), expected, "{more}");
    }
}

#[test]
fn properties_of_connections_make_settings() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let size = |value| site(&[("hbase.client.ipc.pool.size", value)]).pool_size();
    assert_eq!((size("").unwrap(), size("4").unwrap()), (None, Some(4)));
    assert_eq!((size("0").unwrap(), size("-2").unwrap()), (Some(1), Some(1)));
    assert!(size("many").is_err());
    for (name, value) in [
        ("hbase.client.ipc.pool.size", "x"),
        ("hbase.ipc.client.tcpkeepalive", "x"),
        ("hbase.ipc.client.failed.servers.expiry", "x"),
    ] {
        let error = Client::builder().of_site(&site(&[(name, value)])).unwrap_err();
        assert!(error.message().contains(name), "{error}");
    }
    let all = [
        ("hbase.client.ipc.pool.size", "3"),
        ("hbase.client.ipc.pool.type", "RoundRobin"),
        ("hbase.ipc.client.tcpkeepalive", "false"),
        ("hbase.ipc.client.failed.servers.expiry", "700"),
    ];
    let client = Client::builder().of_site(&site(&all)).unwrap();
    let settings = client.0.connections.settings();
    assert_eq!((settings.per_server, settings.keepalive), (3, false));
    assert_eq!(settings.failed_expiry, Duration::from_millis(700));
}

fn settings(properties: &[(&str, &str)]) -> crate::client::Settings {
    Client::builder().of_site(&site(properties)).unwrap().0.settings
}

#[test]
fn calls_and_tables_have_times_of_their_own() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let (user, system) = (TableName::parse("t").unwrap(), TableName::parse("hbase:acl").unwrap());
    let millis = Duration::from_millis;
    // each setting defaults to the one before
    let mut properties = vec![("hbase.rpc.timeout", "700"), ("hbase.client.scanner.timeout.period", "800")];
    let times = |found: &crate::client::Settings| {
        [&user, &system].map(|table| (found.read_timeout_of(table), found.scanner_timeout_of(table)))
    };
    let found = settings(&properties);
    assert_eq!(times(&found), [(millis(700), millis(800)); 2]);
    assert_eq!((found.rpc_timeout, found.write_timeout), (millis(700), None));
    properties.extend([("hbase.rpc.read.timeout", "701"), ("hbase.rpc.write.timeout", "702")]);
    let found = settings(&properties);
    assert_eq!(times(&found), [(millis(701), millis(800)); 2]);
    assert_eq!((found.rpc_timeout, found.write_timeout), (millis(700), Some(millis(702))));
    properties.push(("hbase.client.meta.read.rpc.timeout", "703"));
    properties.push(("hbase.client.meta.scanner.timeout.period", "0"));
    let found = settings(&properties);
    assert_eq!(times(&found), [(millis(701), millis(800)), (millis(703), Duration::MAX)]);
    assert_eq!(found.primary_scan_of(&TableName::meta()), Duration::from_secs(1));
    properties.push(("hbase.client.meta.replica.scan.timeout", "5"));
    let found = settings(&properties);
    assert_eq!(found.primary_scan_of(&TableName::meta()), Duration::from_micros(5));
    assert_eq!(found.primary_scan_of(&system), Duration::from_secs(1));
}

#[test]
fn operations_on_system_tables_have_a_time_of_their_own() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let (user, system) = (TableName::parse("t").unwrap(), TableName::meta());
    let policy = |seconds| RetryPolicy::default().operation_timeout(Duration::from_secs(seconds));
    let retries = |builder: ClientBuilder, properties: &[(&str, &str)]| {
        let found = builder.of_site(&site(properties)).unwrap().0.settings;
        [&user, &system].map(|table| found.retries_of(table))
    };
    let (all, of_meta) =
        (("hbase.client.operation.timeout", "5000"), ("hbase.client.meta.operation.timeout", "6000"));
    assert_eq!(retries(Client::builder(), &[]), [policy(1200); 2]);
    assert_eq!(retries(Client::builder(), &[all]), [policy(5), policy(1200)]);
    assert_eq!(retries(Client::builder(), &[of_meta]), [policy(1200), policy(6)]);
    assert_eq!(retries(Client::builder(), &[all, of_meta]), [policy(5), policy(6)]);
    // settings of the builder take precedence
    assert_eq!(retries(Client::builder().retries(policy(9)), &[]), [policy(9); 2]);
    let given = Client::builder().operation_timeout(Duration::from_secs(9));
    assert_eq!(retries(given.clone(), &[all, of_meta]), [policy(9); 2]);
    let given = given.meta_operation_timeout(Duration::from_secs(8));
    assert_eq!(retries(given, &[all, of_meta]), [policy(9), policy(8)]);
}

#[test]
fn scans_have_the_limits_of_the_file() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let limits = |properties: &[(&str, &str)]| {
        let found = settings(properties);
        (found.scanner_caching, found.scanner_max_result_size)
    };
    let (rows, bytes) = ("hbase.client.scanner.caching", "hbase.client.scanner.max.result.size");
    assert_eq!(limits(&[]), (0, 2 << 20));
    assert_eq!(limits(&[(rows, "7"), (bytes, "5000000000")]), (7, 5_000_000_000));
    assert_eq!(limits(&[(rows, "-1"), (bytes, "-1")]), (0, i64::MAX.unsigned_abs()));
    assert!(Client::builder().of_site(&site(&[(rows, "many")])).is_err());
}

#[test]
fn properties_have_comments_and_attributes() {
    for property in [
        "<property><name>q</name><value><!-- all -->a,b</value></property>",
        "<property><name><!-- the -->q</name><value>a<!-- one -->,<![CDATA[b]]></value></property>",
        "<property name='q' value=' a,b'/>",
        "<property name='q'><value> a,b </value></property>",
    ] {
        let found = Site::parse(&format!("<configuration>{property}</configuration>")).unwrap();
        assert_eq!(found.value("q").unwrap(), Some("a,b"), "{property}");
    }
    // requested encryption is not omitted
    let tls = "<property name='hbase.client.netty.tls.enabled' value='true'/>";
    let found = Site::parse(&format!("<configuration>{tls}</configuration>")).unwrap();
    assert_eq!(found.flag("hbase.client.netty.tls.enabled").unwrap(), Some(true));
}

#[test]
fn a_file_that_is_long_or_never_ends_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hbase-site.xml");
    fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    let endless = Path::new("/dev/zero");
    for path in [path.as_path(), endless].into_iter().filter(|path| path.exists()) {
        let error = read_text(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert!(error.message().ends_with(" has more than 1 MiB"), "{error}");
    }
    fs::write(&path, b"<configuration>\xff</configuration>").unwrap();
    let error = Client::builder().site(&path).unwrap_err();
    assert!(error.message().contains("hbase-site.xml: expected text in UTF-8"), "{error}");
}

#[test]
fn a_file_makes_a_client() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hbase-site.xml");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let missing = Client::builder().site(&path).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    let property =
        |name: &str, value: &str| format!("<property><name>{name}</name><value>{value}</value></property>");
    let properties = [
        property("hbase.zookeeper.quorum", "a,b"),
        property("hbase.client.retries.number", "3"),
        property("hbase.client.pause", "20"),
        property("hbase.client.pause.server.overloaded", "60"),
        property("hbase.client.operation.timeout", "5000"),
        property("hbase.rpc.timeout", "700"),
        property("hbase.client.scanner.timeout.period", "800"),
        property("hbase.ipc.client.socket.timeout.connect", "900"),
        property("hbase.client.primaryCallTimeout.get", "11000"),
        property("hbase.client.primaryCallTimeout.multiget", "12"),
        property("hbase.client.replicaCallTimeout.scan", "2000000"),
        property("hbase.client.keyvalue.maxsize", "1000"),
        property("hbase.client.rpc.compressor", "org.apache.hadoop.io.compress.GzipCodec"),
        property("hbase.snapshot.restore.failsafe.name", "before"),
    ];
    fs::write(&path, format!("<configuration>{}</configuration>", properties.concat())).unwrap();
    let client = Client::builder().site(&path).unwrap();
    let settings = client.0.settings;
    assert_eq!(settings.retries.max_attempts(), 4);
    assert_eq!(settings.retries.pause_after(1), Duration::from_millis(20));
    assert_eq!(client.0.failsafe.as_deref(), Some("before"));
    assert_eq!(settings.rpc_timeout, Duration::from_millis(700));
    assert_eq!(settings.scanner_timeout, Duration::from_millis(800));
    assert_eq!(client.0.connections.settings().connect_timeout, Duration::from_millis(900));
    assert_eq!(settings.primary_get, Duration::from_millis(11));
    assert_eq!(settings.primary_multiget, Duration::from_micros(12));
    assert_eq!(settings.primary_scan, Duration::from_secs(2));
    assert_eq!(settings.max_cell, 1000);
    // as in HBase, 0 means no limit
    let unlimited = Client::builder().rpc_timeout(Duration::ZERO).scanner_timeout(Duration::ZERO);
    let unlimited = unlimited.settings;
    assert_eq!([unlimited.rpc_timeout, unlimited.scanner_timeout], [Duration::MAX; 2]);
    let time = |builder: ClientBuilder| builder.site(&path).unwrap().0.settings.retries;
    let of_file = RetryPolicy::default().attempts(4).pause(Duration::from_millis(20));
    let of_file = of_file.overloaded_pause(Duration::from_millis(60));
    let of_file = of_file.operation_timeout(Duration::from_secs(5));
    assert_eq!(time(Client::builder()), of_file);
    let given = of_file.operation_timeout(Duration::from_secs(9));
    let builder = Client::builder().operation_timeout(Duration::from_secs(9));
    assert_eq!(time(builder), given);
    for (name, class) in [
        ("hbase.client.rpc.compressor", "org.apache.hadoop.io.compress.BZip2Codec"),
        ("hbase.client.rpc.codec", "org.apache.hadoop.hbase.codec.MessageCodec"),
    ] {
        fs::write(&path, format!("<configuration>{}</configuration>", property(name, class))).unwrap();
        let error = Client::builder().site(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(class), "{error}");
    }
    let off = property("hbase.snapshot.restore.take.failsafe.snapshot", "false");
    fs::write(&path, format!("<configuration>{off}</configuration>")).unwrap();
    assert_eq!(Client::builder().site(&path).unwrap().0.failsafe, None);
    let wrong = property("hbase.rpc.timeout", "x");
    fs::write(&path, format!("<configuration>{wrong}</configuration>")).unwrap();
    let error = Client::builder().site(&path).unwrap_err();
    assert!(error.message().contains("hbase-site.xml: hbase.rpc.timeout is x"), "{error}");
}
