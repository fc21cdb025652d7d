//! Scripts with real crashes: at each, the process that has played the preceding part is killed, and another
//! one continues with its files.

use super::{Tally, by_id, compare, corpus, json_lines, name, read_lines, scripts, testdata};
use serde_json::{Value, json};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The number of crashes in the scripts of the whole corpus.
const KILLS: usize = 42;

/// The process to be killed: plays the lines of standard input on the region in a directory, and prints the
/// answers.
#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn child() {
    let Some(dir) = env::var_os("HREGION_KILL_DIR") else { return };
    hregion_cli::fuzzing::play_in(Path::new(&dir), std::io::stdin().lock(), std::io::stdout());
}

#[test]
fn scripts_at_hand_with_kills_give_the_answers_of_hbase() {
    let (tally, kills) = play_all(&scripts(&testdata("corpora")));
    tally.check();
    assert!(kills >= 2 && tally.compared > 50, "{kills} kills, {} answers", tally.compared);
}

/// A step of `.ci/run`.
#[test]
#[ignore = "takes a minute"]
fn all_scripts_with_kills_give_the_answers_of_hbase() {
    let Some(scripts) = corpus() else { return };
    let (tally, kills) = play_all(&scripts);
    eprintln!("{} scripts, {kills} kills, {} answers", tally.scripts, tally.compared);
    tally.check();
    assert!(kills >= KILLS && tally.compared > 6_000, "{kills} kills, {} answers", tally.compared);
}

/// Plays the scripts that have a crash. Returns also the number of crashes.
fn play_all(scripts: &[PathBuf]) -> (Tally, usize) {
    let (mut total, mut kills) = (Tally::default(), 0);
    for script in scripts {
        let lines = read_lines(script);
        let crashes = lines.iter().filter(|line| line["op"] == "crash").count();
        if crashes > 0 {
            total.add(play(script, &lines));
            kills += crashes;
        }
    }
    (total, kills)
}

fn play(script: &Path, lines: &[Value]) -> Tally {
    let dir = tempfile::tempdir().unwrap();
    let region = dir.path().join("region");
    let (mut create, mut given) = (lines[0].clone(), Vec::new());
    for part in lines[1..].split(|line| line["op"] == "crash") {
        given.extend(play_and_kill(&region, &[std::slice::from_ref(&create), part].concat()));
        // The line that created the region opens it again, at the time of the crash.
        if let Some(clock) = part.iter().rfind(|line| line["op"] == "clock") {
            create["now"] = clock["now"].clone();
        }
    }
    let name = name(script);
    let expected = by_id(read_lines(&script.with_file_name(name.replace(".script.", ".expect."))));
    compare(name, lines, &expected, &by_id(given))
}

/// Plays lines in a separate process, which is killed when all are done. Returns the answers.
fn play_and_kill(region: &Path, lines: &[Value]) -> Vec<Value> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "replay::kills::child", "--ignored", "--nocapture"])
        .env("HREGION_KILL_DIR", region)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Its answer shows that all earlier lines are done.
    let last = json!({ "id": 0, "op": "files" });
    let text: String = lines.iter().chain([&last]).map(|line| format!("{line}\n")).collect();
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || stdin.write_all(text.as_bytes()).map(|()| stdin));
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The first answer follows the test harness's output.
            let Some(answer) = line.find('{').and_then(|at| json_lines(&line[at..]).pop()) else { continue };
            if answer["id"] == 0 {
                break;
            }
            answers.push(answer);
        }
        // Standard input is still open, so the process has not ended by itself.
        let stdin = writer.join().unwrap().unwrap();
        child.kill().unwrap();
        drop(stdin);
    });
    assert_eq!(child.wait().unwrap().code(), None, "it ended by itself");
    answers
}
