//! A region copied without its table is read with a warning, and changed only if its families are given.

use crate::library::files::copy_dir;
use crate::support::{code, last_error, ok, run, stderr, stdout};
use std::fs;
use std::path::{Path, PathBuf};

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn only_entry(dir: &Path, is_it: impl Fn(&str) -> bool) -> PathBuf {
    let mut found = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    found.find(|path| is_it(path.file_name().unwrap().to_str().unwrap())).unwrap()
}

#[test]
fn a_region_copied_alone_is_read_with_a_warning_and_changed_with_its_families() {
    let dir = tempfile::tempdir().unwrap();
    let root = text(&dir.path().join("root"));
    let commands = [
        "create 't', {NAME => 'f', VERSIONS => 1}",
        "put 't', 'r', 'f:q', 'old', 1",
        "flush 't'",
        "put 't', 'r', 'f:q', 'new', 2",
    ];
    ok(&[&["shell", &root][..], &commands.map(|command| ["-e", command]).concat()].concat());
    let table = dir.path().join("root/data/default/t");
    let region = only_entry(&table, |name| !name.starts_with('.'));
    let descriptor = text(&only_entry(&table.join(".tabledesc"), |name| name.starts_with(".tableinfo.")));
    let copy = |name: &str| {
        let to = dir.path().join(name);
        copy_dir(&region, &to);
        text(&to)
    };
    let output = run(&["count", &text(&region), "--json"]);
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("{\"rows\":1,\"cells\":1}\n", ""));

    let alone = copy("alone");
    for args in [
        vec!["count", &alone],
        vec!["scan", &alone],
        vec!["get", &alone, "r"],
        vec!["shell", &alone, "-e", "count 't'"],
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.starts_with("warning: ") && said.contains("there is no table descriptor"), "{said}");
        assert_eq!(stderr(&run(&[&args[..], &["--quiet"]].concat())), "", "{args:?}");
    }
    for args in [&["compact", "--major"][..], &["compact"], &["flush"]] {
        let output = run(&[args, &[&alone, "--json"]].concat());
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert_eq!(last_error(&output)["kind"], "InvalidArgument");
        assert!(stderr(&output).contains("--family NAME") && stderr(&output).contains("--descriptor FILE"));
    }
    assert_eq!(
        ok(&["count", &alone, "--json", "--quiet", "--raw", "--versions", "all"]),
        "{\"rows\":1,\"cells\":2}\n"
    );

    // with families from the command line, and from the descriptor
    let all = copy("all");
    ok(&["compact", "--major", &all, "--family", "f:VERSIONS=5"]);
    assert_eq!(ok(&["count", &all, "--json", "--quiet", "--versions", "all"]), "{\"rows\":1,\"cells\":2}\n");
    ok(&["compact", "--major", &alone, "--descriptor", &descriptor]);
    assert_eq!(
        ok(&["count", &alone, "--json", "--quiet", "--versions", "all"]),
        "{\"rows\":1,\"cells\":1}\n"
    );
    let shell = copy("shell");
    ok(&["shell", &shell, "--family", "f:VERSIONS=1", "-e", "put 't', 's', 'f:q', 'v'"]);
    for wrong in ["f:VERSION=1", "f:VERSIONS", "f:TTL=soon", "a/b"] {
        assert_eq!(code(&run(&["compact", &all, "--family", wrong])), 2, "{wrong}");
    }
    assert_eq!(
        code(&run(&["compact", &text(&region), "--family", "f:VERSIONS=9"])),
        2,
        "not what the table says"
    );
}

#[test]
fn the_descriptor_of_a_table_is_asked_for_where_no_family_can_be_given() {
    let dir = tempfile::tempdir().unwrap();
    let root = text(&dir.path().join("root"));
    ok(&["shell", &root, "-e", "create 't', 'f'", "-e", "put 't', 'r', 'f:q', 'v'"]);
    let table = dir.path().join("root/data/default/t");
    fs::remove_dir_all(table.join(".tabledesc")).unwrap();
    let (table, list) = (text(&table), text(&dir.path().join("cells.jsonl")));
    fs::write(&list, ok(&["scan", "--json", "--quiet", &table])).unwrap();
    let output = run(&["import", &table, &list]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("need the descriptor in .tabledesc"), "{}", stderr(&output));
    assert_eq!(code(&run(&["import", &table, &list, "--family", "f"])), 2, "there is no such option");
}
