//! Files of HDFS. `HREGION_HDFS` is the URL of a file system for the test of files that change.

use crate::cut_proxy::{Cut, CutProxy};
use crate::history::{read_file, write_file};
use bytes::Bytes;
use hdfs_native::WriteOptions;
use hdfs_native::client::{Client, ClientBuilder};
use hregion::Storage as _;
use hregion_remote::RemoteOptions;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

const FILE: &str = "/changes/file";
const LEN: usize = 3 << 20;

fn write(runtime: &Runtime, client: &Client, byte: u8, len: usize) {
    runtime.block_on(async {
        let options = WriteOptions::default().overwrite(true).create_parent(true).replication(1);
        let mut file = client.create(FILE, options).await.unwrap();
        file.write_bytes(Bytes::from(vec![byte; len])).await.unwrap();
        file.close().await.unwrap();
    });
}

/// A thread that waits for a file does not run tasks of its own runtime.
#[test]
fn threads_of_another_runtime_may_open_files() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let url = PathBuf::from(format!("hdfs://{}/file", server.local_addr().unwrap()));
    let storage = RemoteOptions::default().deadline(Duration::from_secs(1)).build().unwrap();
    let other = Builder::new_current_thread().enable_all().build().unwrap();
    other.block_on(async { storage.open(&url).unwrap_err() });
    // it never answers, but received the request
    server.accept().unwrap();
}

#[test]
#[ignore = "needs a server"]
fn a_replaced_file_is_an_error_and_never_a_mixture() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a file system");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = ClientBuilder::new().with_url(&base).build().unwrap();
    let url = |path: &str| PathBuf::from(format!("{base}{path}"));
    let storage = RemoteOptions::default().build().unwrap();
    let missing = storage.open(&url("/changes/nothing")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);

    write(&runtime, &client, 1, LEN);
    let before = storage.stats();
    let file = storage.open(&url(FILE)).unwrap();
    assert_eq!(storage.stats().requests - before.requests, 4);
    assert_eq!(storage.open(&url("/changes")).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    let before = storage.stats();
    let mut buf = vec![0; 1 << 20];
    file.read_exact_at(&mut buf, 500_000).unwrap();
    assert!(buf.iter().all(|&byte| byte == 1));
    // The read, and the reading ahead.
    assert!(storage.stats().requests - before.requests <= 6);

    let mut buf = vec![0; 1000];
    for len in [LEN, LEN + 1, LEN - 1] {
        write(&runtime, &client, 2, len);
        let error = file.read_exact_at(&mut buf, 100).unwrap_err();
        assert!(error.to_string().contains("was replaced"), "{error}");
    }
    runtime.block_on(client.delete("/changes", true)).unwrap();
    let error = file.read_exact_at(&mut buf, 100).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("was removed"), "{error}");
}

/// Returns options for a name service `ns` with two name nodes.
pub(crate) fn two_name_nodes([first, second]: [&str; 2]) -> RemoteOptions {
    RemoteOptions::default()
        .setting("dfs.ha.namenodes.ns", "nn1,nn2")
        .setting("dfs.namenode.rpc-address.ns.nn1", first)
        .setting("dfs.namenode.rpc-address.ns.nn2", second)
        .connect_timeout(Duration::from_secs(1))
}

/// A name node that accepts connections without answering, from some time on or from the start.
#[test]
#[ignore = "needs a server"]
fn reads_go_on_with_another_name_node() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a file system");
    let host = base.strip_prefix("hdfs://").unwrap();
    let direct = RemoteOptions::default().build().unwrap();
    direct.create_dir_all(&PathBuf::from(format!("{base}/silent"))).unwrap();
    write_file(&direct, &PathBuf::from(format!("{base}/silent/file")), b"bytes");
    let proxy = CutProxy::start(host, Cut::Silent, u64::MAX / 4);
    let storage = || {
        let options = two_name_nodes([&proxy.address(), host]).deadline(Duration::from_secs(12));
        options.build().unwrap()
    };
    let dir = PathBuf::from("hdfs://ns/silent");
    let (file, others) = (dir.join("file"), [storage(), storage()]);
    for other in &others {
        assert_eq!(read_file(other, &file), b"bytes");
    }
    proxy.cut_at(1);
    assert_eq!(others[0].list_dir(&dir).unwrap().len(), 1);
    assert!(proxy.has_cut());
    assert_eq!(read_file(&others[1], &file), b"bytes");
    // It has no second name node.
    let alone = PathBuf::from(format!("hdfs://{}/silent/file", proxy.address()));
    let options = RemoteOptions::default().connect_timeout(Duration::from_secs(1));
    let error = options.deadline(Duration::from_secs(8)).build().unwrap().open(&alone).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains(&proxy.address()), "{error}");
    assert_eq!(read_file(&storage(), &file), b"bytes");
}
