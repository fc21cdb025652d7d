//! The model of HBase's rules against HBase itself: operation scripts, and the answers of a real region.

use crate::support::cells::json_lines;
use crate::support::golden;
use crate::support::script::{self, Player};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The corpus in the repository.
#[test]
fn the_model_answers_as_hbase_did() {
    let folder = golden::root("testdata/corpora");
    let (scripts, answers) = play_all(&folder);
    assert!(scripts >= 12 && answers > 1500, "{scripts} scripts, {answers} answers");
}

/// The whole corpus, if it exists beside the repository.
#[test]
fn the_model_answers_the_whole_corpus() {
    let Some(folder) = golden::corpus() else { return };
    assert_eq!(play_all(&folder), (264, 31_322));
}

/// Plays all scripts of a folder that the model supports. Returns the number of scripts and of answers.
fn play_all(folder: &Path) -> (usize, usize) {
    let mut scripts: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a folder of scripts").path())
        .filter(|path| path.to_string_lossy().contains(".script.jsonl"))
        .collect();
    scripts.sort();
    let (mut played, mut answers, mut faults) = (0, 0, Vec::new());
    for path in scripts {
        let script = json_lines(&path);
        if script::is_for_the_model(&script) {
            played += 1;
            match play(&path, &script) {
                Ok(count) => answers += count,
                Err(fault) => faults.push(fault),
            }
        }
    }
    assert!(faults.is_empty(), "{} scripts:\n{}", faults.len(), faults.join("\n"));
    (played, answers)
}

/// Plays a script completely, or up to the first answer that differs. Returns the number of answers.
fn play(path: &Path, script: &[Value]) -> Result<usize, String> {
    let expected = PathBuf::from(path.to_string_lossy().replace(".script.", ".expect."));
    let expected: Vec<Value> = json_lines(&expected);
    let answer_of = |id: &Value| expected.iter().find(|answer| answer["id"] == *id);
    let (create, operations) = script.split_first().expect("a script begins with create");
    let mut player = Player::new(create);
    let mut answers = 0;
    for operation in operations {
        let id = &operation["id"];
        let answer = player.play(operation).map(|answer| script::answer(id, answer));
        let (Some(answer), Some(expected)) = (answer, answer_of(id)) else { continue };
        if answer != *expected {
            let name = path.file_name().unwrap_or_default().display();
            return Err(format!("{name}: {operation}\n    model: {answer}\n    HBase: {expected}"));
        }
        answers += 1;
    }
    Ok(answers)
}
