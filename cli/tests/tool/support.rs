//! Runs the tool on the files of `testdata`.

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

pub(crate) fn golden(name: &str) -> String {
    testdata("golden").join(name).into_os_string().into_string().unwrap()
}

pub(crate) fn corrupt(name: &str) -> String {
    testdata("corrupt").join(name).into_os_string().into_string().unwrap()
}

/// Returns the path of the file that most tests use: several blocks, a Bloom filter, a few dozen cells.
pub(crate) fn plain() -> String {
    golden("small-none-row.hfile")
}

pub(crate) fn hregion() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hregion"))
}

pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> Output {
    hregion().args(args).output().unwrap()
}

/// Runs a command with `input` as standard input, which it need not read completely.
pub(crate) fn run_with_input(command: &mut Command, stdout: impl Into<Stdio>, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Runs the tool with a closed pipe as standard output.
pub(crate) fn unread<S: AsRef<OsStr>>(args: &[S]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    hregion().args(args).stdout(writer).stderr(Stdio::piped()).output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by a signal")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs the tool, which must succeed, and returns its standard output.
pub(crate) fn ok<S: AsRef<OsStr>>(args: &[S]) -> String {
    let output = run(args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output)
}

pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Returns the error object in the last line of standard output.
pub(crate) fn last_error(output: &Output) -> Value {
    let text = stdout(output);
    let last: Value = serde_json::from_str(text.lines().last().expect("no line")).unwrap();
    last["error"].clone()
}

pub(crate) fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

pub(crate) fn read_gz(path: impl AsRef<Path>) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Returns the names of the files of `golden` that can be read.
pub(crate) fn golden_names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(testdata("golden"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".hfile").map(str::to_owned))
        .filter(|name| !name.contains("refused"))
        .collect();
    names.sort();
    assert!(names.len() > 50, "{}", names.len());
    names
}

/// Runs a command on a file of `golden`, with the options required for it.
pub(crate) fn run_golden(command: &[&str], name: &str) -> Output {
    let key = temp_file(&format!("{}-{name}.key", command[0]), b"000102030405060708090a0b0c0d0e0f\n");
    let file = golden(&format!("{name}.hfile"));
    let mut all = hregion();
    all.args(command).arg(file);
    match name {
        "small-encrypted" => all.args(["--master-key-file", &key]),
        "codec-zstd-dictionary" => all.args(["--zstd-dictionary", &golden("zstd.dict")]),
        _ => &mut all,
    };
    all.output().unwrap()
}

/// Writes a file in the tests' temporary directory. Returns its path.
pub(crate) fn temp_file(name: &str, bytes: &[u8]) -> String {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli");
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    path.into_os_string().into_string().unwrap()
}

/// Returns the answer without `partial` on each piece that is the last of its row.
pub(crate) fn settled(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let more = answer["result"]["more"] == Value::Bool(true);
    if let Some(rows) = answer.pointer_mut("/result/rows").and_then(Value::as_array_mut) {
        for i in 0..rows.len() {
            let is_last_piece = match rows.get(i + 1) {
                Some(next) => next["row"] != rows[i]["row"],
                None => !more,
            };
            if is_last_piece {
                rows[i].as_object_mut().unwrap().remove("partial");
            }
        }
    }
    answer
}

/// Returns the names of the entries of a directory, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Whether the directory of a table contains anything but regions and the descriptor.
pub(crate) fn has_leftovers(table: &str) -> bool {
    let names = fs::read_dir(table).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.len() != 32 && name != ".tabledesc")
}
