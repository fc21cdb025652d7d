//! The page of `web/` in a headless Chromium: a file is selected, displayed, searched and verified. `.ci/run
//! web` builds the page and runs this; `HREGION_PAGE` is its path.

use crate::browser::Browser;
use crate::support::{corrupt, golden, json_lines, ok, run, stdout};
use hregion::{CellRef, CellType, HFileWriter, SeekKey};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::{fs, iter};

fn page() -> PathBuf {
    std::env::var_os("HREGION_PAGE").expect("HREGION_PAGE, the page").into()
}

/// Saves a screenshot.
fn picture(browser: &mut Browser, name: &str) {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("web");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(format!("{name}.png")), browser.screenshot()).unwrap();
    println!("{}", dir.join(format!("{name}.png")).display());
}

fn text(browser: &mut Browser, id: &str) -> String {
    browser.evaluate(&format!("document.getElementById('{id}').innerText")).as_str().unwrap().to_owned()
}

/// Selects a file, and waits until everything is drawn.
fn choose(browser: &mut Browser, path: &str) {
    browser.evaluate("delete document.getElementById('page').dataset.state");
    browser.choose("#file", Path::new(path));
    browser.wait_until("document.getElementById('page').dataset.state === 'open'");
}

/// Fills the fields of a form, submits it, and waits for an answer.
fn submit(browser: &mut Browser, fields: &[(&str, &str)], answer: &str) {
    for (id, value) in fields {
        browser.evaluate(&format!("document.getElementById('{id}').value = {}", json!(value)));
    }
    let before = format!("document.getElementById('{answer}').firstChild");
    browser.evaluate(&format!("window.before = {before}"));
    browser.evaluate(&format!("document.getElementById('{}').form.requestSubmit()", fields[0].0));
    browser.wait_until(&format!("{before} !== null && {before} !== window.before"));
}

fn click(browser: &mut Browser, selector: &str) {
    browser.evaluate(&format!("document.querySelector({}).click()", json!(selector)));
}

/// Returns the rows of the displayed cells.
fn rows(browser: &mut Browser, section: &str) -> Vec<Value> {
    let cells =
        format!("[...document.querySelectorAll('#{section} tbody tr')].map((row) => row.cells[0].innerText)");
    browser.evaluate(&cells).as_array().unwrap().clone()
}

/// Verifies the file, and returns the list of faults.
fn verify(browser: &mut Browser) -> String {
    click(browser, "#verify-start");
    browser.wait_until("document.querySelector('#faults > *') !== null");
    text(browser, "faults")
}

#[test]
#[ignore = "needs Chromium and the page: .ci/run web"]
fn a_file_is_shown_searched_and_verified() {
    let mut browser = Browser::start();
    browser.size((1280, 2600));
    browser.prefer("light");
    browser.open(&page());
    let path = golden("small-none-row.hfile");
    choose(&mut browser, &path);
    let cells = json_lines(&ok(&["cells", "--json", &path]));
    let inspected = json_lines(&ok(&["inspect", "--json", "--blocks", &path])).remove(0);
    let trailer = text(&mut browser, "trailer");
    for (name, value) in inspected["trailer"].as_object().unwrap() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert!(trailer.contains(&format!("{name}\t{value}")), "{name} {value}: {trailer}");
    }
    let shown = rows(&mut browser, "found");
    assert_eq!(shown, cells.iter().take(50).map(|cell| cell["row"].clone()).collect::<Vec<_>>());
    let blocks = browser.evaluate("document.querySelectorAll('#blocks g.block').length");
    assert_eq!(blocks, inspected["blocks"].as_array().unwrap().len());
    picture(&mut browser, "light");

    pages(&mut browser, &cells);
    blocks_and_index(&mut browser, &cells);

    let row = cells[cells.len() / 2]["row"].as_str().unwrap();
    submit(&mut browser, &[("bloom-row", row)], "says");
    assert!(text(&mut browser, "says").contains("may be in the file. It is there."));
    let absent = (0..100).any(|at| {
        submit(&mut browser, &[("bloom-row", &format!("absent-{at}"))], "says");
        text(&mut browser, "says").contains("is not in the file")
    });
    assert!(absent);
    let sound = verify(&mut browser);
    assert!(sound.contains(&format!("{} cells are sound; 0 faults.", cells.len())), "{sound}");

    levels(&mut browser);
    browser.prefer("dark");
    picture(&mut browser, "dark");
    browser.size((480, 2600));
    choose(&mut browser, &path);
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), 480);
    picture(&mut browser, "narrow");
    assert_eq!(browser.faults(), [] as [Value; 0]);
    let loaded = browser.requests();
    assert!(loaded.iter().all(|url| url.starts_with("file:///") || url.starts_with("blob:")), "{loaded:?}");
}

/// Searches a row, and turns pages.
fn pages(browser: &mut Browser, cells: &[Value]) {
    let at = cells.len() / 2;
    let row = cells[at]["row"].as_str().unwrap();
    submit(browser, &[("row", row)], "found");
    let first = cells.iter().position(|cell| cell["row"] == row).unwrap();
    let expected: Vec<Value> = cells[first..].iter().take(50).map(|cell| cell["row"].clone()).collect();
    assert_eq!(rows(browser, "found"), expected);
    browser.evaluate("window.before = document.getElementById('found').firstChild");
    click(browser, "#previous");
    browser.wait_until("document.getElementById('found').firstChild !== window.before");
    assert_ne!(rows(browser, "found"), expected);
    browser.evaluate(
        "const form = document.getElementById('form'); form.value = 'hex'; \
                      form.dispatchEvent(new Event('change'))",
    );
    let hex = browser.evaluate("document.querySelector('#found td.value').innerText");
    let is_hex =
        |text: &str| text.split(' ').all(|byte| byte.is_empty() || u8::from_str_radix(byte, 16).is_ok());
    assert!(hex.as_str().is_some_and(is_hex), "{hex}");
}

/// Opens the first block by keyboard, and examines the index.
fn blocks_and_index(browser: &mut Browser, cells: &[Value]) {
    browser.evaluate("document.querySelector('#blocks g.block').focus()");
    browser.key("Home");
    browser.key("Enter");
    browser.wait_until("!document.getElementById('block').hidden");
    let shown = rows(browser, "block");
    assert!(!shown.is_empty());
    assert_eq!(shown[0], cells[0]["row"]);
    assert!(shown.len() <= cells.len());
    picture(browser, "block");
    browser.key("Escape");
    browser.wait_until("document.getElementById('block').hidden");
    let index = text(browser, "index");
    assert!(index.contains(cells[0]["row"].as_str().unwrap()), "{index}");
}

/// Opens the first entry of each level of an index.
fn levels(browser: &mut Browser) {
    choose(browser, &golden("small-none-levels-5.hfile"));
    let first = "#index li:first-child > details";
    for level in 1..5 {
        browser.evaluate(&format!("document.querySelectorAll('{first}')[{}].open = true", level - 1));
        browser.wait_until(&format!(
            "document.querySelectorAll('{first}[open] > ul > li:first-child').length === {level}"
        ));
    }
    assert!(text(browser, "index").contains("5 levels"));
    click(browser, "#index button");
    browser.wait_until("document.activeElement.id === 'cells'");
}

/// A character in the name would reverse the text after it.
#[test]
#[ignore = "needs Chromium and the page: .ci/run web"]
fn the_name_of_a_file_reverses_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("\u{202e}<b>.hfile");
    fs::copy(golden("small-none-row.hfile"), &path).unwrap();
    let mut browser = Browser::start();
    browser.open(&page());
    choose(&mut browser, path.to_str().unwrap());
    for shown in ["document.title", "document.getElementById('about').innerText"] {
        let shown = browser.evaluate(shown);
        assert!(shown.as_str().unwrap().starts_with("\\xE2\\x80\\xAE<b>.hfile"), "{shown}");
    }
    assert_eq!(browser.faults(), [] as [Value; 0]);
}

/// Rows of 32,000 bytes do not make a section long, and a block is displayed from its heading on.
#[test]
#[ignore = "needs Chromium and the page: .ci/run web"]
fn what_is_long_leaves_the_rest_in_reach() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.hfile");
    let mut writer = HFileWriter::options().create(&path).unwrap();
    let long = "k".repeat(32_000);
    let names = (0..150).map(|i| format!("a{i:03}")).chain((0..20).map(|i| format!("{long}{i:02}")));
    for row in iter::once("  a  b ".to_owned()).chain(names) {
        let key = SeekKey::of(row.as_bytes(), b"f", b"q", 5, CellType::Put);
        writer.append(CellRef::new(&key, b"v")).unwrap();
    }
    writer.finish().unwrap();
    let mut browser = Browser::start();
    browser.size((1280, 700));
    browser.open(&page());
    choose(&mut browser, path.to_str().unwrap());
    assert_eq!(rows(&mut browser, "found")[0], "  a  b ");
    submit(&mut browser, &[("row", "k")], "found");
    assert_eq!(rows_of_length(&mut browser, long.len() + 2), 20);
    let height = browser.evaluate("document.documentElement.scrollHeight").as_u64().unwrap();
    assert!(height < 10_000, "{height}");

    browser.evaluate("document.querySelector('#blocks g.block').focus()");
    browser.key("Home");
    browser.key("Enter");
    browser.wait_until("document.activeElement.id === 'block'");
    let top = "document.getElementById('block').getBoundingClientRect().top";
    let top = browser.evaluate(top).as_f64().unwrap();
    assert!((-1.0..700.0).contains(&top), "{top}");
    assert!(text(&mut browser, "block").contains("of the block"));
    assert_eq!(browser.faults(), [] as [Value; 0]);
}

/// If all keys and entries of such files were drawn, the page would stop responding.
#[test]
#[ignore = "needs Chromium and the page: .ci/run web"]
fn long_keys_and_many_entries_are_drawn_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many.hfile");
    let mut writer = HFileWriter::options().block_size(1).create(&path).unwrap();
    for entry in 0..2000 {
        writer.add_file_info(format!("entry {entry:04}"), "v").unwrap();
    }
    let long = vec![b'a'; 100_000];
    for last in 0..100 {
        let key = SeekKey::of(b"r", b"f", &[&long[..], &[last]].concat(), 5, CellType::Put);
        writer.append(CellRef::new(&key, b"v")).unwrap();
    }
    writer.finish().unwrap();
    let mut browser = Browser::start();
    browser.open(&page());
    choose(&mut browser, path.to_str().unwrap());
    assert_eq!(browser.evaluate("document.querySelectorAll('#info tbody tr').length"), 1000);
    assert!(text(&mut browser, "info").contains("without the last"));
    let shown = rows(&mut browser, "found").len();
    assert!((10..50).contains(&shown), "{shown}");
    // all headers, from several answers
    let blocks = text(&mut browser, "blocks");
    assert!(blocks.contains("DATA\t100\t"), "{blocks}");
    assert_eq!(browser.faults(), [] as [Value; 0]);
}

/// Returns how many of the displayed rows have a length.
fn rows_of_length(browser: &mut Browser, length: usize) -> usize {
    rows(browser, "found").iter().filter(|row| row.as_str().unwrap().len() == length).count()
}

/// The first headers of a file of many blocks are read at once, and the others by two clicks.
#[test]
#[ignore = "needs Chromium and the page: .ci/run web"]
fn each_header_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blocks.hfile");
    // each cell in a separate block
    let mut writer = HFileWriter::options().block_size(1).create(&path).unwrap();
    for i in 0..21_000 {
        let key = SeekKey::of(format!("{i:05}").as_bytes(), b"f", b"q", 5, CellType::Put);
        writer.append(CellRef::new(&key, b"v")).unwrap();
    }
    writer.finish().unwrap();
    let path = path.to_str().unwrap();
    let inspected = json_lines(&ok(&["inspect", "--json", "--blocks", path])).remove(0);
    let count = inspected["blocks"].as_array().unwrap().len();
    assert!(count > 21_000, "{count}");

    let mut browser = Browser::start();
    browser.open(&page());
    choose(&mut browser, path);
    let more = "document.querySelector('#blocks > button')";
    browser.evaluate(&format!("{more}.click(), {more}.click()"));
    browser.wait_until(&format!("{more} === null"));
    let blocks = text(&mut browser, "blocks");
    assert!(blocks.contains(&format!("{},{:03} blocks", count / 1000, count % 1000)), "{blocks}");
    assert_eq!(browser.faults(), [] as [Value; 0]);
}

#[test]
#[ignore = "needs Chromium and the page: .ci/run web"]
fn damaged_files_are_named_and_never_break_the_page() {
    let mut browser = Browser::start();
    browser.size((1280, 1400));
    browser.open(&page());
    let names = [
        "flip-data",
        "flip-leaf",
        "cut-half",
        "cut-empty",
        "trailer-magic",
        "index-self",
        "gz-bomb-open",
        "cell-order",
    ];
    for name in names {
        let path = corrupt(&format!("{name}.hfile"));
        choose(&mut browser, &path);
        let listed = verify(&mut browser);
        let faults = json_lines(&stdout(&run(&["verify", "--json", &path])));
        let faults: Vec<&Value> = faults.iter().filter(|line| line.get("kind").is_some()).collect();
        assert!(!faults.is_empty(), "{name}");
        for fault in faults {
            // the limits of 32 bits are lower
            let message = fault["message"].as_str().unwrap().split(", over the limit").next().unwrap();
            assert!(listed.contains(message), "{name}: {fault} {listed}");
        }
        assert_eq!(browser.evaluate("document.getElementById('fault').hidden"), true, "{name}");
        picture(&mut browser, name);
    }
    let zstd = golden("small-row_index-zstd.hfile");
    choose(&mut browser, &zstd);
    let summary = text(&mut browser, "summary");
    assert!(summary.contains("Unsupported") && summary.contains("ZSTD"), "{summary}");
    assert_eq!(browser.faults(), [] as [Value; 0]);
}
