//! `hregion salvage` as a process.

use crate::support::*;
use hregion::{CellRef, CellType, HFile, HFileWriter, SeekKey};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Writes a file of ten blocks of ten cells and damages one block. Returns the path and that block's offset.
fn damaged(name: &str) -> (String, u64) {
    let path = temp_file(name, b"");
    let mut writer = HFileWriter::options().block_size(10).create(&path).unwrap();
    for n in 0..100_u32 {
        let key = SeekKey::of(format!("row{}", n / 10).as_bytes(), b"f", b"q", 1, CellType::Put);
        writer.append(CellRef::new(&key, &n.to_be_bytes())).unwrap();
    }
    writer.finish().unwrap();
    let at = HFile::open(&path).unwrap().root_index().nth(4).unwrap().1.offset;
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(at).unwrap() + 60] ^= 1;
    fs::write(&path, bytes).unwrap();
    (path, at)
}

fn fresh(name: &str) -> String {
    let path = temp_file(name, b"");
    fs::remove_file(&path).unwrap();
    path
}

#[test]
fn lost_ranges_are_printed_and_the_rest_is_kept() {
    let (file, at) = damaged("salvage-lost.hfile");
    let new = fresh("salvage-lost-new.hfile");
    let before = fs::read(&file).unwrap();
    let output = run(&["salvage", "--json", &file, "--out", &new]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let lines = json_lines(&stdout(&output));
    assert_eq!(lines.len(), 2);
    let lost = &lines[0]["lost"];
    assert_eq!(members(lost), ["offset", "after", "before", "cells", "reason"]);
    assert_eq!((&lost["offset"], &lost["cells"]), (&json!(at), &Value::Null));
    assert_eq!((&lost["after"]["row"], &lost["before"]["row"]), (&json!("row3"), &json!("row5")));
    assert_eq!(lost["reason"]["kind"], "Corrupt");
    let summary = &lines[1]["summary"];
    assert_eq!((&summary["blocks"], &summary["cells"]), (&json!(9), &json!(90)));
    assert_eq!((&summary["lost"], &summary["cells_before"]), (&json!(1), &json!(100)));
    assert_eq!(ok(&["count", "--json", &new]).trim(), r#"{"rows":9,"cells":90}"#);
    assert_eq!(code(&run(&["verify", &new])), 0);
    assert_eq!(fs::read(&file).unwrap(), before);

    let again = run(&["salvage", &file, "--out", &new]);
    assert_eq!(code(&again), 2, "it is there already");
    let again = run(&["salvage", &file, "--out", &new, "--force"]);
    assert_eq!(code(&again), 3);
    let text = stdout(&again);
    assert!(text.starts_with(&format!("lost at {at}: from row3/f:q/1/Put to row5/f:q/1/Put: ")), "{text}");
    assert_eq!(stderr(&again).trim(), "kept: blocks 9, cells 90 of 100; lost: blocks 1");
}

#[test]
fn a_sound_file_loses_nothing() {
    let new = fresh("salvage-sound.hfile");
    let output = run(&["salvage", &plain(), "--out", &new]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, ""), "{}", stderr(&output));
    assert_eq!(ok(&["cells", "--json", &new]), ok(&["cells", "--json", &plain()]));
}

#[test]
fn a_link_is_followed_and_what_is_no_file_of_cells_is_refused() {
    let table = testdata("region/clone-references/root/data/default/cloned");
    let file = |name: &str| table.join(name).into_os_string().into_string().unwrap();
    let of_link = "joined=f237048a77d5bd1e16c5faee9577007e-2fab220998cf4c8f9e60b21cc52e47be";
    let of_reference = "joined=0bb1e446db6ef5d8a10f06d54545b1a8-e9de4b015b7d4e37ab2db91e13398d3e.\
        0bb1e446db6ef5d8a10f06d54545b1a8";
    let link = file(&format!("637bb120857c20316dcfda06089d5dca/q/{of_link}"));
    let reference = file(&format!("81112354c162c2404d27ccc1372a2a84/q/{of_reference}"));
    let new = fresh("salvage-link.hfile");
    assert_eq!(ok(&["salvage", &link, "--out", &new]), "");
    let cells = ok(&["cells", "--json", &link]);
    assert!(!cells.is_empty() && ok(&["cells", "--json", &new]) == cells);
    for (wrong, expected, exit) in [
        (&*reference, "`hregion inspect` names", 4),
        (&*golden(""), "a directory", 4),
        ("no-such", "open", 5),
    ] {
        let output = run(&["salvage", wrong, "--out", &fresh("salvage-none.hfile")]);
        assert_eq!(code(&output), exit, "{wrong}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains(expected) && !said.contains("--as"), "{wrong}: {said}");
    }
}

#[test]
fn without_a_sound_block_there_is_no_file() {
    let file = temp_file("salvage-nothing", &[7; 5000]);
    let new = fresh("salvage-nothing.hfile");
    let output = run(&["salvage", "--json", &file, "--out", &new]);
    assert!(matches!(code(&output), 3 | 4), "{}", stderr(&output));
    assert!(!last_error(&output)["message"].as_str().unwrap().is_empty());
    assert!(!Path::new(&new).exists());
    assert_eq!(code(&run(&["salvage", &file, "--out", &file, "--force"])), 2);
}

#[cfg(feature = "crypto")]
#[test]
fn an_encrypted_file_is_salvaged_with_the_key() {
    let file = temp_file("salvage-encrypted.hfile", &fs::read(golden("small-encrypted.hfile")).unwrap());
    let (new, key) = (fresh("salvage-encrypted-new.hfile"), temp_file("salvage.key", KEY));
    let output = run(&["salvage", &file, "--out", &new]);
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("use --master-key-file"), "{}", stderr(&output));
    assert!(!Path::new(&new).exists());
    ok(&["salvage", &file, "--out", &new, "--master-key-file", &key]);
    assert_eq!(code(&run(&["cells", &new])), 4);
    let cells = |path: &str| ok(&["cells", "--json", path, "--master-key-file", &key]);
    assert_eq!(cells(&new), cells(&file));
    assert_eq!(code(&run(&["verify", &new, "--master-key-file", &key])), 0);
}

#[cfg(feature = "crypto")]
#[test]
fn a_file_from_before_a_change_of_the_master_key_is_read() {
    let file = golden("small-encrypted.hfile");
    let new = temp_file("changed-new.key", b"ffeeddccbbaa99887766554433221100");
    let old = temp_file("changed-old.key", KEY);
    let with_new = ["cells", &file, "--master-key-file", &new];
    assert_eq!(code(&run(&with_new)), 3);
    let alternate = ["--alternate-master-key-file", &old];
    let with_old = ok(&["cells", &file, "--master-key-file", &old]);
    assert_eq!(ok(&[&with_new[..], &alternate[..]].concat()), with_old);
    // Alone, it is not a master key.
    assert_eq!(code(&run(&[&["cells", &file][..], &alternate[..]].concat())), 2);
}

/// Neither the damaged file nor any other input is replaced.
#[cfg(feature = "crypto")]
#[test]
fn a_key_or_a_dictionary_is_not_replaced() {
    let key = temp_file("salvage-kept.key", KEY);
    let encrypted = temp_file("salvage-kept.hfile", &fs::read(golden("small-encrypted.hfile")).unwrap());
    for option in ["--master-key-file", "--zstd-dictionary"] {
        for force in [&[][..], &["--force"]] {
            let output = run(&[&["salvage", &encrypted, option, &key, "--out", &key][..], force].concat());
            assert_eq!(code(&output), 2, "{option} {force:?}: {}", stderr(&output));
            assert!(stderr(&output).contains("the output is the input"), "{}", stderr(&output));
            assert_eq!(fs::read(&key).unwrap(), KEY, "{option} {force:?}");
        }
    }
}

#[cfg(feature = "crypto")]
const KEY: &[u8] = b"000102030405060708090a0b0c0d0e0f";
