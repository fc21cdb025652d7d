//! The tool on a running cluster prints the same as for the files of the same tables.
#![cfg(feature = "cluster")]

#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../../tests/support/hbase.rs"]
mod hbase;
#[path = "../../../tests/support/json_cell.rs"]
mod json_cell;
#[cfg(all(feature = "kerberos", feature = "tls"))]
mod secured;
mod shell;
#[allow(dead_code, reason = "features use a part")]
#[path = "../../../tests/support/site.rs"]
mod site;

use crate::support::{code, json_lines, ok, run, stderr};
use hbase::{Client, Cluster, programs};
use serde_json::{Value, json};
use site::write_site;

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn a_running_cluster_is_read_as_its_files_are() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&programs(), dir.path(), &[]);
    let mut java = Client::of(&cluster);
    let families = json!([{"name": "f", "VERSIONS": "3"}, "g"]);
    let splits = ["r2", "r5"];
    java.ask(&json!({"op": "create", "table": "t", "families": families, "splits": splits}));
    let cell = |at: usize| {
        let (row, family) = (format!("r{}\\x00", at % 9), ["f", "g"][at % 2]);
        let qualifier = format!("q{}", at % 4);
        json!({"row": row, "family": family, "qualifier": qualifier, "timestamp": at, "value": "v"})
    };
    let cells: Vec<Value> = (1..200).map(cell).collect();
    java.ask(&json!({"op": "mutate", "table": "t", "cells": cells}));
    java.ask(&json!({"op": "flush", "table": "t"}));

    let zookeeper = ["--zookeeper", cluster.zookeeper()];
    let master = hregion::ServerName::parse(cluster.ready["master"].as_str().unwrap()).unwrap();
    let master = format!("{}:{}", master.host(), master.port());
    let files = dir.path().join("hbase/data/default/t").display().to_string();
    let site = dir.path().join("hbase-site.xml");
    let (quorum, port) = cluster.zookeeper().rsplit_once(':').unwrap();
    write_site(&site, &[("hbase.zookeeper.quorum", quorum), ("hbase.zookeeper.property.clientPort", port)]);
    let site = site.display().to_string();
    let commands: [(&str, &[&str]); 8] = [
        ("scan", &[]),
        ("scan", &["--versions", "all", "--reversed"]),
        ("scan", &["--start", "r1", "--stop", "r5", "--columns", "f:q0,g"]),
        ("scan", &["--raw", "--limit", "4"]),
        ("scan", &["--filter", "QualifierFilter(=, 'binary:q1')", "--batch", "1"]),
        ("count", &["--versions", "all"]),
        ("get", &["r3\\x00", "--versions", "2"]),
        ("get", &["missing"]),
    ];
    for server in [zookeeper, ["--bootstrap", &master], ["--site", &site]] {
        for (command, options) in commands {
            let line = |target: &str, more: &[&str]| {
                let mut line = vec![command.to_owned(), target.to_owned()];
                line.extend(options.iter().chain(more).map(|word| (*word).to_owned()));
                line
            };
            // a file has sequence ids, which servers do not send
            let mut expected = json_lines(&ok(&line(&files, &["--json"])));
            for cell in &mut expected {
                cell.as_object_mut().unwrap().remove("sequence_id");
            }
            let found = json_lines(&ok(&line("t", &[server[0], server[1], "--json"])));
            assert_eq!(found, expected, "{command} {options:?}");
            assert!(!found.is_empty() || options == ["missing"]);
            println!("{} {command} {options:?}: {} lines", server[0], found.len());
        }
        // an export has the same files, in which rows have no sequence ids
        let exported = |target: &[&str], name: &str| {
            let out = dir.path().join(name);
            let out_dir = out.display().to_string();
            let options = ["--to", "csv", "--force", "--start", "r1", "--out", &out_dir];
            ok(&[&["export"], target, &options].concat());
            let manifest = std::fs::read_to_string(out.join("manifest.json")).unwrap();
            let manifest = json_lines(&manifest).remove(0);
            let text = |file: &Value| {
                let text = std::fs::read_to_string(out.join(file["file"].as_str().unwrap())).unwrap();
                let row = |line: &str| line.splitn(7, ',').take(6).map(str::to_owned).collect::<Vec<_>>();
                (file["region"].clone(), text.lines().map(row).collect::<Vec<_>>())
            };
            let files: Vec<_> = manifest["files"].as_array().unwrap().iter().map(text).collect();
            (manifest["rows"].clone(), manifest["cells"].clone(), files)
        };
        let expected = exported(&[&files], "from-files");
        assert_eq!(exported(&["t", server[0], server[1]], "from-servers"), expected);
        assert_eq!(expected.2.len(), 3);
        let copied = dir.path().join("copies");
        let name = format!("t{}", server[0].trim_start_matches('-'));
        let families = ["f", "g"].map(|name| hregion::Family::new(name).max_versions(9));
        hregion::Table::create(&copied, &name, &families, &["r4"]).unwrap().close().unwrap();
        let copy = copied.join("data/default").join(&name).display().to_string();
        ok(&["copy", "t", &copy, server[0], server[1]]);
        assert_eq!(ok(&["diff", &files, &copy]), "");
        let theirs = java.ask(&json!({"op": "locate", "table": "t", "row": "r3"}));
        let place = json_lines(&ok(&["locate", "t", "r3", server[0], server[1], "--json"]));
        for field in ["name", "encoded", "server", "start", "end", "seqnum"] {
            assert_eq!(place[0][field], theirs[field], "{field}");
        }
        assert_eq!(json_lines(&ok(&["regions", "t", server[0], server[1], "--json"])).len(), 3);
        let missing = run(&["count", "missing", server[0], server[1]]);
        assert_eq!(code(&missing), 1, "{}", stderr(&missing));
    }
    let families = json!([{"name": "f", "NEW_VERSION_BEHAVIOR": "true"}]);
    java.ask(&json!({"op": "create", "table": "ordered", "families": families}));
    let copied = dir.path().join("copies");
    hregion::Table::create(&copied, "plain", &[hregion::Family::new("f")], &[] as &[&str])
        .unwrap()
        .close()
        .unwrap();
    let copy = copied.join("data/default/plain").display().to_string();
    let refused = run(&["copy", "ordered", &copy, "--raw", zookeeper[0], zookeeper[1]]);
    assert_eq!(code(&refused), 4, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("NEW_VERSION_BEHAVIOR"), "{}", stderr(&refused));
    ok(&["copy", "ordered", &copy, zookeeper[0], zookeeper[1]]);
    // the catalog is a table too
    let rows = json_lines(&ok(&["scan", "hbase:meta", "--json", "--batch", "1", zookeeper[0], zookeeper[1]]));
    let counted = json_lines(&ok(&["count", "hbase:meta", "--json", zookeeper[0], zookeeper[1]])).remove(0);
    assert_eq!(counted["cells"], rows.len());
    let regions = json_lines(&ok(&["regions", "hbase:meta", "--json", zookeeper[0], zookeeper[1]]));
    assert_eq!((regions.len(), &regions[0]["encoded"]), (1, &json!("1588230740")));
    ok(&["shell", zookeeper[0], zookeeper[1], "-e", "flush 'hbase:meta'", "-e", "get_splits 'hbase:meta'"]);
    shell::check(dir.path(), &[zookeeper, ["--bootstrap", &master], ["--site", &site]]);
    java.ask(&json!({"op": "disable", "table": "t"}));
    for line in [&["get", "t", "r1"][..], &["locate", "t", "r1"], &["count", "t"]] {
        let out = run(&[line, &zookeeper].concat());
        assert_eq!(code(&out), 1, "{line:?}: {}", stderr(&out));
        assert!(stderr(&out).contains("disabled") || stderr(&out).contains("DISABLED"), "{}", stderr(&out));
    }
}
