//! Scripts whose crashes are real: at each, the process that has played up to there is killed, and another
//! one goes on with the region.

use super::{Tally, by_id, compare, corpus, json_lines, name, read_lines, scripts, testdata};
use serde_json::{Value, json};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The process to be killed: plays the lines of standard input on a region, and prints the answers.
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
    println!("{kills} kills, {} answers", tally.compared);
}

#[test]
fn all_scripts_with_kills_give_the_answers_of_hbase() {
    let Some(scripts) = corpus() else { return };
    let (tally, kills) = play_all(&scripts);
    tally.check();
    println!("{} scripts, {kills} kills, {} answers", tally.scripts, tally.compared);
    assert!(kills >= 40 && tally.compared > 1_000, "{kills} kills, {} answers", tally.compared);
}

/// Plays the scripts that have a crash.
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
    let mut given = Vec::new();
    let mut create = lines[0].clone();
    for part in lines[1..].split_inclusive(|line| line["op"] == "crash") {
        let (last, before) = part.split_last().unwrap();
        // A crash gives no answer. This one says that all operations before it are done.
        let is_crash = last["op"] == "crash";
        let end = if is_crash { json!({ "id": last["id"], "op": "files" }) } else { last.clone() };
        let mut answers = play_and_kill(&region, &[&[create.clone()], before, &[end]].concat());
        if is_crash {
            let answer = answers.pop().unwrap();
            assert_eq!(answer["id"], last["id"], "{}", script.display());
        }
        given.extend(answers);
        // The region is opened again by the line that created it, at the time of the crash.
        let clock = part.iter().rfind(|line| line["op"] == "clock");
        if let Some(clock) = clock {
            create["now"] = clock["now"].clone();
        }
    }
    let name = name(script);
    let expected = by_id(read_lines(&script.with_file_name(name.replace(".script.", ".expect."))));
    compare(name, lines, &expected, &by_id(given))
}

/// Plays lines in a process of its own, which is killed after the answer of the last one, or at the end of
/// the answers. Returns the answers.
fn play_and_kill(region: &Path, lines: &[Value]) -> Vec<Value> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--ignored", "--nocapture"])
        .env("HREGION_KILL_DIR", region)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let last = &lines.last().unwrap()["id"];
    let answers = std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            stdin.write_all(text.as_bytes()).unwrap();
            stdin.write_all(b"{\"id\":0,\"op\":\"files\"}\n").unwrap();
            stdin
        });
        let mut answers = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(answer) = line.find('{').and_then(|at| json_lines(&line[at..]).pop()) else { continue };
            if answer["id"] == 0 {
                break;
            }
            let is_last = answer["id"] == *last;
            answers.push(answer);
            if is_last {
                break;
            }
        }
        // Standard input is open until then, so that the process does not end by itself.
        drop(child.kill());
        drop(writer.join());
        answers
    });
    assert_eq!(child.wait().unwrap().code(), None, "it ended by itself");
    answers
}
