//! Operation scripts from new seeds, answered by HBase and by the tool.
//!
//! `hb-generate` and `hb-replay` are in `interop/region`. `ORACLE_SEED` repeats a run; `ORACLE_SCRIPTS` is
//! the number of scripts, and `ORACLE_PROFILE` a profile for all of them, so that the seed in a script's name
//! and its profile repeat a single script. Differences due to known faults of HBase are excused: see
//! [`Excuse`].

mod excuse;
use crate::support::*;
use excuse::{Excuse, Script, without_last_mark};
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder of `hb-generate`, `hb-replay` and the profiles.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/region");

/// Additional profiles, with mixes of operations that the profiles of the corpora lack.
const PROFILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/region/profiles-more.json");

#[test]
#[ignore = "needs HBase: Java, Maven and Python 3"]
fn fresh_scripts_give_the_answers_of_hbase() {
    let programs = PathBuf::from(PROGRAMS);
    let seed = env::var("ORACLE_SEED").map_or_else(|_| random_seed(), |seed| seed.parse().unwrap());
    let count: usize = env::var("ORACLE_SCRIPTS").map_or(50, |count| count.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    eprintln!("ORACLE_SEED={seed} ORACLE_SCRIPTS={count}");

    let corpora = programs.join("profiles.json");
    let files = [Path::new(PROFILES), &corpora];
    let names: Vec<(&Path, String)> = files
        .into_iter()
        .flat_map(|file| names(&programs, file).into_iter().map(move |name| (file, name)))
        .collect();
    let only = env::var("ORACLE_PROFILE").ok();
    let names: Vec<_> =
        names.into_iter().filter(|(_, name)| only.as_ref().is_none_or(|only| only == name)).collect();
    let own = names.iter().filter(|(file, _)| *file == Path::new(PROFILES)).count();
    let make = &|i: usize| {
        // alternates between the additional profiles and all profiles, each in turn
        let at = if i.is_multiple_of(2) && own > 0 {
            i / 2 % own
        } else {
            (usize::try_from(seed).unwrap() + i / 2) % names.len()
        };
        let (file, name) = &names[at];
        generate(&programs, file, name, seed + i as u64, dir.path())
    };
    let numbers: Vec<usize> = (0..count).collect();
    let scripts: Vec<PathBuf> = thread::scope(|scope| {
        let makers = in_parts(&numbers)
            .map(|part| scope.spawn(move || part.iter().map(|i| make(*i)).collect::<Vec<_>>()));
        let makers: Vec<_> = makers.collect();
        makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
    });
    // the first call builds the program, so it runs alone
    answer_part(&programs, &scripts[..1], dir.path());
    answer(&programs, &scripts, dir.path());

    let mut answers = 0;
    let mut excused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    // to be answered again by HBase in an equivalent form
    let mut doubtful = Vec::new();
    let read_scripts: Vec<_> = scripts.iter().map(|path| (path, Script::new(read(path)))).collect();
    for (path, script) in &read_scripts {
        let (expected, given) = (by_id(&read(&beside(path, "expect"))), by_id(&play(path)));
        for (at, line) in script.lines.iter().enumerate() {
            let id = line["id"].as_i64().unwrap();
            let (expected, given) = (expected.get(&id).map(settled), given.get(&id).map(settled));
            if expected == given {
                answers += usize::from(expected.is_some());
                continue;
            }
            let [expected, given] = [expected, given].map(Option::unwrap_or_default);
            match script.excuse(at, &expected, &given) {
                Some(Excuse::Known(what)) => *excused.entry(what).or_default() += 1,
                Some(Excuse::Other { what, form, or }) => {
                    doubtful.push(Doubt { script: path, id, line, expected, given, what, form, or });
                }
                None => faults.push(shown(path, line, &expected, &given)),
            }
        }
    }

    let forms: Vec<PathBuf> = doubtful
        .iter()
        .enumerate()
        .map(|(i, doubt)| {
            let path = dir.path().join(format!("form-{i}.script.jsonl"));
            let lines: String = doubt.form.iter().map(|line| format!("{line}\n")).collect();
            fs::write(&path, lines).unwrap();
            path
        })
        .collect();
    answer(&programs, &forms, dir.path());
    for (form, Doubt { script, id, line, expected, given, what, or, .. }) in forms.iter().zip(&doubtful) {
        let answers = by_id(&read(&beside(form, "expect")));
        let is_ours =
            answers.get(id).map(settled).as_ref().map(without_last_mark) == Some(without_last_mark(given));
        match is_ours.then_some(*what).or(*or) {
            Some(what) => *excused.entry(what).or_default() += 1,
            None => faults.push(shown(script, line, expected, given)),
        }
    }
    eprintln!("{} scripts, {answers} answers are the same; excused: {excused:?}", scripts.len());
    for fault in &faults {
        eprintln!("{fault}");
    }
    let allowed: usize = env::var("ORACLE_ALLOWED").map_or(0, |allowed| allowed.parse().unwrap());
    eprintln!("{} answers differ; again with ORACLE_SEED={seed} ORACLE_SCRIPTS={count}", faults.len());
    assert!(faults.len() <= allowed, "{} answers differ, {allowed} at most are allowed", faults.len());
    assert!(answers > 50 * count, "only {answers} answers");
}

/// A difference that is excused if HBase gives the same answer to `form`, or otherwise by `or`.
struct Doubt<'s> {
    script: &'s Path,
    id: i64,
    line: &'s Value,
    expected: Value,
    given: Value,
    what: &'static str,
    form: Vec<Value>,
    or: Option<&'static str>,
}

fn random_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 1_000_000 * 1000
}

/// Returns the names of the profiles in a file. Leaves out `large`, which is slow.
fn names(programs: &Path, file: &Path) -> Vec<String> {
    let output = Command::new(programs.join("hb-generate"))
        .arg("--list")
        .arg("--profiles")
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().filter(|name| *name != "large").map(str::to_owned).collect()
}

fn generate(programs: &Path, file: &Path, name: &str, seed: u64, dir: &Path) -> PathBuf {
    let output = Command::new(programs.join("hb-generate"))
        .arg("--profiles")
        .arg(file)
        .args(["--profile", name, "--seed", &seed.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let path = dir.join(format!("{name}-{seed}.script.jsonl"));
    fs::write(&path, stdout(&output)).unwrap();
    path
}

/// Divides a slice into one part for each processor.
fn in_parts<T>(all: &[T]) -> impl Iterator<Item = &[T]> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    all.chunks(all.len().div_ceil(threads).max(1))
}

/// Writes HBase's answers beside the scripts, with one JVM for each processor.
fn answer(programs: &Path, scripts: &[PathBuf], dir: &Path) {
    thread::scope(|scope| {
        in_parts(scripts).for_each(|part| drop(scope.spawn(move || answer_part(programs, part, dir))));
    });
}

fn answer_part(programs: &Path, scripts: &[PathBuf], dir: &Path) {
    let mut command = Command::new(programs.join("hb-replay"));
    command.arg("--into").arg(dir).args(scripts).env("HB_REPLAY_PATIENCE", "2").stdout(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Returns the tool's answers.
fn play(script: &Path) -> Vec<Value> {
    let output = run(&["replay".as_ref(), script.as_os_str()]);
    assert_eq!(code(&output), 0, "{}: {}", script.display(), stderr(&output));
    json_lines(&stdout(&output))
}

fn beside(script: &Path, what: &str) -> PathBuf {
    PathBuf::from(script.to_str().unwrap().replace(".script.", &format!(".{what}.")))
}

fn read(path: &Path) -> Vec<Value> {
    json_lines(&fs::read_to_string(path).unwrap())
}

fn by_id(lines: &[Value]) -> BTreeMap<i64, Value> {
    lines.iter().map(|line| (line["id"].as_i64().unwrap(), line.clone())).collect()
}

fn shown(script: &Path, line: &Value, expected: &Value, given: &Value) -> String {
    let name = script.file_name().unwrap().display();
    format!("{name}: {line}\n  HBase   {expected}\n  hregion {given}")
}
