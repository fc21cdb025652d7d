//! The page of `hregion report` in a headless Chromium: its drawing, light and dark, wide and narrow, its
//! keyboard controls, and its print. `.ci/run report` runs this if there is a browser.

use crate::browser::Browser;
use crate::report::hostile;
use crate::support::{code, plain, run, testdata};
use hregion::{Family, Put, Table};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const WIDE: (u32, u32) = (1280, 1600);
const NARROW: (u32, u32) = (480, 1600);

/// The directory for screenshots.
fn pictures() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report");
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Returns the number of elements that a selector selects.
fn count(browser: &mut Browser, selector: &str) -> u64 {
    browser.evaluate(&format!("document.querySelectorAll({}).length", json!(selector))).as_u64().unwrap()
}

fn focused(browser: &mut Browser) -> Value {
    browser.evaluate("document.activeElement.id")
}

#[test]
#[ignore = "needs Chromium: .ci/run report"]
fn the_page_is_drawn_and_used_by_keyboard() {
    let dir = tempfile::tempdir().unwrap();
    let (table, regions) = hostile(dir.path());
    fs::remove_dir_all(&regions[1]).unwrap();
    let page = dir.path().join("report.html");
    let out = page.to_str().unwrap();
    let written =
        run(&["report", "--quiet", "--now", "1900000000000", table.to_str().unwrap(), "--out", out]);
    assert_eq!(code(&written), 3);

    let mut browser = Browser::start();
    browser.size(WIDE);
    for theme in ["light", "dark"] {
        browser.prefer(theme);
        browser.open(&page);
        drawn(&mut browser);
        fs::write(pictures().join(format!("{theme}.png")), browser.screenshot()).unwrap();
    }
    let backgrounds: Vec<Value> = ["light", "dark", "light"]
        .map(|theme| {
            browser.prefer(theme);
            browser.evaluate("getComputedStyle(document.body).backgroundColor")
        })
        .into();
    assert_eq!(backgrounds[0], backgrounds[2]);
    assert_ne!(backgrounds[0], backgrounds[1]);
    // the button switches to light and then to dark
    browser.evaluate("document.getElementById('theme').click(), document.getElementById('theme').click()");
    assert_eq!(browser.evaluate("getComputedStyle(document.body).backgroundColor"), backgrounds[1]);
    browser.evaluate("document.getElementById('theme').click()");

    keyboard(&mut browser);

    browser.size(NARROW);
    browser.open(&page);
    drawn(&mut browser);
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), NARROW.0);
    fs::write(pictures().join("narrow.png"), browser.screenshot()).unwrap();

    holes_cover_no_region(&mut browser, &dir.path().join("holes"));
    times_that_are_no_dates_stay_in_the_picture(&mut browser, &dir.path().join("nanos"));
    long_and_hostile_names_leave_their_places_to_others(&mut browser, &dir.path().join("\u{202e}long"));
    bulk_loaded_files_have_the_sequence_ids_of_their_names(
        &mut browser,
        &dir.path().join("loaded/report.html"),
    );

    a_file_in_no_region_is_shown_alone(&mut browser, &dir.path().join("alone/report.html"));

    let paper = browser.print();
    assert!(paper.starts_with(b"%PDF") && paper.len() > 10_000, "{}", paper.len());
    fs::write(pictures().join("paper.pdf"), paper).unwrap();

    assert_eq!(browser.faults(), [] as [Value; 0]);
    let loaded = browser.requests();
    assert!(
        loaded.iter().all(|url| url.starts_with("file:///") && url.ends_with("/report.html")),
        "{loaded:?}"
    );
    println!("screenshots are in {}", pictures().display());
}

/// Checks that everything is drawn, and that no name has become an element.
fn drawn(browser: &mut Browser) {
    let data = browser.evaluate("JSON.parse(document.getElementById('data').textContent)");
    let table = &data["tables"][0];
    let regions = table["regions"].as_array().unwrap();
    assert_eq!(
        (count(browser, "#strip g.region"), count(browser, "#strip g.gap")),
        (regions.len() as u64, 1)
    );
    // the largest region and its largest file are open
    let opened = browser.evaluate("document.querySelector('#strip g.region.open').id.slice(7)");
    let opened: usize = opened.as_str().unwrap().parse().unwrap();
    let most = regions.iter().map(|region| region["total"]["bytes"].as_u64().unwrap()).max();
    assert_eq!(regions[opened]["total"]["bytes"].as_u64(), most);
    let files = regions[opened]["files"].as_array().unwrap();
    assert_eq!(count(browser, "#files g.file"), files.len() as u64);
    let file = browser.evaluate("document.querySelector('#files g.file.open').id.slice(5)");
    let file = &files[file.as_str().unwrap().parse::<usize>().unwrap()]["hfile"];
    assert_eq!(count(browser, "#blocks g.piece"), file["blocks"]["pieces"].as_array().unwrap().len() as u64);
    assert!(count(browser, "#index rect.level") >= 2);
    assert!(count(browser, "#cells .card") >= 8);
    let findings = data["findings"].as_array().unwrap().len() as u64;
    assert!(findings > 0 && count(browser, "#findings tbody tr") >= findings);
    // every rectangle has a place and a size
    let odd = "[...document.querySelectorAll('#strip rect, #files rect, #blocks rect')].filter((rect) => \
               ['x', 'y', 'width', 'height'].some((name) => !(rect.getAttribute(name) >= 0))).length";
    assert_eq!(browser.evaluate(odd), 0);
    // no label extends beyond the sides of its drawing
    let outside = "[...document.querySelectorAll('svg text')].filter((text) => {
        const [label, drawing] = [text, text.ownerSVGElement].map((one) => one.getBoundingClientRect());
        return label.left < drawing.left - 1 || label.right > drawing.right + 1;
    }).map((text) => text.textContent)";
    assert_eq!(browser.evaluate(outside), json!([]));
    assert_eq!(count(browser, "img, iframe, object, script[src], link"), 0);
    assert_eq!(count(browser, "script"), 2);
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().unwrap();
    for shown in ["</script>", "<img src=x onerror=alert(2)>", "\\xE2\\x80\\xA8"] {
        assert!(text.contains(shown), "{shown}");
    }
    assert!(!text.contains("NaN") && !text.contains("undefined"), "{text}");
}

/// Every second region is missing.
fn holes_cover_no_region(browser: &mut Browser, root: &Path) {
    fs::create_dir(root).unwrap();
    let splits: Vec<String> = (1..81).map(|i| format!("{i:02}")).collect();
    let table = Table::create(root, "holes", &[Family::new("f")], &splits).unwrap();
    for i in 0..81_usize {
        table.put(Put::new(format!("{i:02}")).cell_at("f", "q", 5, vec![b'v'; i * 50])).unwrap();
    }
    table.flush().unwrap();
    let dir = root.join("data/default/holes");
    let regions: Vec<PathBuf> = table.regions().iter().map(|info| dir.join(info.encoded_name())).collect();
    table.close().unwrap();
    regions.iter().skip(1).step_by(2).for_each(|region| fs::remove_dir_all(region).unwrap());
    let page = root.join("report.html");
    let line = ["report", "--quiet", dir.to_str().unwrap(), "--out", page.to_str().unwrap()];
    assert_eq!(code(&run(&line)), 3);
    browser.open(&page);
    assert_eq!((count(browser, "#strip g.region"), count(browser, "#strip g.gap")), (41, 40));
    let covered = "(() => {
        let [line, end] = [null, 0];
        const width = document.getElementById('strip').viewBox.baseVal.width;
        return [...document.querySelectorAll('#strip .outline, #strip .hole')].filter((box) => {
            const [y, x, wide] = ['y', 'x', 'width'].map((name) => Number(box.getAttribute(name)));
            const isWrong = (y === line && x < end) || x + wide > width;
            [line, end] = [y, x + wide];
            return isWrong;
        }).length;
    })()";
    assert_eq!(browser.evaluate(covered), 0);
}

/// A directory has a character that reverses text; keys have 32,000 bytes, and one bounds a hole.
fn long_and_hostile_names_leave_their_places_to_others(browser: &mut Browser, root: &Path) {
    fs::create_dir(root).unwrap();
    let long = |first: &str| format!("{first}{}", "k".repeat(32_000));
    let splits = [long("a"), long("b"), long("c"), "z".to_owned()];
    let table = Table::create(root, "long", &[Family::new("f")], &splits).unwrap();
    for start in &splits {
        table.put(Put::new(start.clone()).cell_at("f", "q", 5, "v")).unwrap();
    }
    table.put(Put::new("  a  b ").cell_at("f", "q", 5, "v")).unwrap();
    table.flush().unwrap();
    let dir = root.join("data/default/long");
    let hole = dir.join(table.regions()[2].encoded_name());
    table.close().unwrap();
    fs::remove_dir_all(hole).unwrap();
    let page = root.with_file_name("long").join("report.html");
    fs::create_dir(page.parent().unwrap()).unwrap();
    let line = ["report", "--quiet", dir.to_str().unwrap(), "--out", page.to_str().unwrap()];
    assert_eq!(code(&run(&line)), 3);
    browser.open(&page);
    let text = browser.evaluate("document.title + document.body.innerText");
    let text = text.as_str().unwrap();
    assert!(text.contains("\\xE2\\x80\\xAElong") && !text.contains('\u{202e}'), "{text}");
    assert!(text.len() < 20_000 && text.contains("  a  b "), "{text}");
    let outside = "[...document.querySelectorAll('#strip .region, #strip .gap')].filter((element) => {
        element.focus();
        return document.getElementById('tip').getBoundingClientRect().height > 400;
    }).length";
    assert_eq!(browser.evaluate(outside), 0);
    assert_eq!(
        browser.evaluate("document.activeElement.blur(), document.documentElement.scrollWidth"),
        NARROW.0
    );
    let wide = "[...document.querySelectorAll('#findings td')].some((cell) => cell.offsetWidth > 1000)";
    assert_eq!(browser.evaluate(wide), false);
}

/// A file has timestamps in nanoseconds, and another one in milliseconds.
fn times_that_are_no_dates_stay_in_the_picture(browser: &mut Browser, root: &Path) {
    fs::create_dir(root).unwrap();
    let table = Table::create(root, "nanos", &[Family::new("f")], &[] as &[&str]).unwrap();
    let put = Put::new("a").cell_at("f", "q", 1_000, "v").cell_at("f", "r", 1_000_000_000_000, "v");
    table.put(put).unwrap();
    table.flush().unwrap();
    table.put(Put::new("a").cell_at("f", "q", 1_700_000_000_123_456_789, "v")).unwrap();
    table.flush().unwrap();
    table.close().unwrap();
    let (dir, page) = (root.join("data/default/nanos"), root.join("report.html"));
    let line = ["report", "--quiet", dir.to_str().unwrap(), "--out", page.to_str().unwrap()];
    assert_eq!(code(&run(&line)), 0);
    browser.open(&page);
    assert_eq!(count(browser, "#files g.file"), 2);
    let outside = "[...document.querySelectorAll('#files rect')].filter((rect) => {
        const [y, height] = ['y', 'height'].map((name) => Number(rect.getAttribute(name)));
        return y < 0 || y + height > document.getElementById('files').viewBox.baseVal.height;
    }).length";
    assert_eq!(browser.evaluate(outside), 0);
    let text = browser.evaluate("document.getElementById('region').innerText");
    assert!(text.as_str().unwrap().contains("1700000000123456789"), "{text}");
}

fn bulk_loaded_files_have_the_sequence_ids_of_their_names(browser: &mut Browser, page: &Path) {
    let table = testdata("region/bulk-loaded/root/data/default/loaded");
    fs::create_dir(page.parent().unwrap()).unwrap();
    let line = ["report", "--quiet", table.to_str().unwrap(), "--out", page.to_str().unwrap()];
    assert_eq!(code(&run(&line)), 0);
    browser.open(page);
    let rows = "[...document.querySelectorAll('#region table tbody tr')]
        .map((row) => [...row.cells].map((cell) => cell.innerText))";
    let rows = browser.evaluate(rows);
    let rows = rows.as_array().unwrap();
    let files = browser.evaluate(
        "JSON.parse(document.getElementById('data').textContent).tables[0].regions
            .find((region) => region.files.length > 0).files.map((file) => file.name)",
    );
    let files = files.as_array().unwrap();
    let is_loaded = |name: &Value| name.as_str().unwrap().ends_with("_SeqId_67_");
    assert!(files.iter().any(is_loaded) && files.len() <= rows.len());
    for (name, row) in files.iter().zip(rows) {
        let shown = row.as_array().unwrap().last().unwrap().as_str().unwrap();
        assert_eq!(shown == "67", is_loaded(name), "{name} {row}");
        assert!(shown.parse::<u64>().is_ok(), "{name} {row}");
    }
}

fn a_file_in_no_region_is_shown_alone(browser: &mut Browser, page: &Path) {
    fs::create_dir(page.parent().unwrap()).unwrap();
    let line = ["report", "--quiet", &plain(), "--out", page.to_str().unwrap()];
    assert_eq!(code(&run(&line)), 0);
    browser.open(page);
    assert_eq!((count(browser, "#strip"), count(browser, "#files g.file")), (0, 1));
    assert!(count(browser, "#blocks g.piece") > 1 && count(browser, "#cells .card") > 1);
    assert_eq!(browser.evaluate("document.getElementById('table').hidden"), true);
    // the file can be closed, but nothing outside it
    browser.key("Escape");
    browser.key("Escape");
    assert_eq!(count(browser, "#file"), 0);
    assert_eq!(browser.evaluate("document.getElementById('region').hidden"), false);
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().unwrap();
    assert!(!text.contains("null") && !text.contains("undefined"), "{text}");
}

/// Moves among regions and files, opens and closes them.
fn keyboard(browser: &mut Browser) {
    browser.evaluate("document.querySelector('#strip [tabindex=\"0\"]').focus()");
    browser.key("Home");
    assert_eq!(focused(browser), "region-0");
    assert_eq!(browser.evaluate("document.getElementById('tip').hidden"), false);
    browser.key("ArrowRight");
    // the hole
    assert_eq!(browser.evaluate("document.activeElement.getAttribute('class')"), "gap");
    browser.key("ArrowRight");
    assert_eq!(focused(browser), "region-1");
    browser.key("Enter");
    assert_eq!(browser.evaluate("document.querySelector('#strip g.region.open').id"), "region-1");
    let first = focused(browser);
    assert!(first.as_str().unwrap().starts_with("file-"), "{first}");
    assert_eq!(count(browser, "#file"), 0);
    browser.key("ArrowRight");
    let second = focused(browser);
    assert_ne!(first, second);
    browser.key("Enter");
    assert_eq!((count(browser, "#file"), focused(browser)), (1, json!("file")));
    browser.key("Escape");
    assert_eq!((count(browser, "#file"), focused(browser)), (0, second));
    browser.key("Escape");
    assert_eq!(browser.evaluate("document.getElementById('region').hidden"), true);
    assert_eq!(focused(browser), "region-1");
    browser.key("End");
    browser.key(" ");
    assert_eq!(browser.evaluate("document.querySelector('#strip g.region.open').id"), "region-2");
}
