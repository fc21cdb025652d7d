//! A copy of a compacted file does not name the files that were compacted.

use crate::support::{code, ok, run, stderr, temp_file};

#[test]
fn copies_replace_no_files() {
    const NAME: &str = "0123456789abcdef0123456789abcdef";
    const CELL: &str = r#"{"row":"r","family":"f","qualifier":"q","timestamp":5,"type":"Put","value":"v"}"#;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    let list = temp_file("compacted.jsonl", CELL.as_bytes());
    let event = |names: &str| format!("COMPACTION_EVENT_KEY=PBUF{names}");
    for (i, (names, is_kept)) in
        [(format!("\\x0A\\x20{NAME}"), false), (String::new(), true)].iter().enumerate()
    {
        let from = path(&format!("from{i}"));
        ok(&["write", &list, "--out", &from, "--seqid", "7", "--info", &event(names)]);
        assert_eq!(ok(&["inspect", &from]).contains(NAME), !is_kept);
        let (converted, salvaged) = (path(&format!("converted{i}")), path(&format!("salvaged{i}")));
        ok(&["convert", &from, "--out", &converted]);
        let output = run(&["salvage", &from, "--out", &salvaged]);
        assert_eq!(code(&output), 0);
        let said = stderr(&output);
        assert_eq!(said.contains("not in the new file: file info COMPACTION_EVENT_KEY"), !is_kept, "{said}");
        for copy in [&converted, &salvaged] {
            let inspected = ok(&["inspect", "--json", copy]);
            assert!(!inspected.contains(NAME), "{inspected}");
            assert!(inspected.contains("MAX_SEQ_ID_KEY"), "{inspected}");
        }
    }
}
