//! Entry points of the tool's fuzz targets: any input ends in an error or the correct result.

use crate::cell_json::{CellBuf, CellParser};
use crate::cell_line::put_json;
use crate::script::{Line, Replayer, Stop};
use hregion::ErrorKind;
use std::io::{BufRead, Write};
use std::path::Path;

/// Parses lines of cells, and checks that each parsed cell survives printing and parsing.
pub fn cells_json(input: &[u8]) {
    let mut parser = CellParser::default();
    let (mut cell, mut again) = (CellBuf::default(), CellBuf::default());
    for line in input.split(|&byte| byte == b'\n') {
        if parser.parse(line, &mut cell).is_err() {
            continue;
        }
        let mut printed = Vec::new();
        put_json(&mut printed, &cell.as_cell(), cell.has_seq_id());
        let read = parser.parse(&printed, &mut again);
        let shown = String::from_utf8_lossy(&printed);
        assert!(read.is_ok(), "{shown} is printed and cannot be read: {:?}", read.err());
        let (cell, again) = (cell.as_cell(), again.as_cell());
        let is_same = cell.key() == again.key()
            && cell.value() == again.value()
            && cell.tag_bytes() == again.tag_bytes()
            && cell.seq_id() == again.seq_id();
        assert!(is_same, "{cell} is printed as {shown}, and that is {again}");
    }
}

/// Parses and plays an operation script. Each line is refused, or played, and the region stays usable.
pub fn script(input: &[u8]) {
    let Ok(mut player) = Replayer::new(None, Vec::new()) else { return };
    let mut answers = Vec::new();
    for line in input.split(|&byte| byte == b'\n') {
        let Ok(line) = Line::parse(line) else { continue };
        match player.play(line, &mut answers) {
            Ok(()) => {
                let answer = answers.strip_suffix(b"\n").unwrap_or(&answers);
                let is_json =
                    answer.is_empty() || serde_json::from_slice::<serde_json::Value>(answer).is_ok();
                assert!(is_json, "{}", String::from_utf8_lossy(answer));
            }
            Err(Stop::Script(_)) => (),
            // for example an invalid setting of a family; files written here are never corrupt
            Err(Stop::Failed(error)) => assert_ne!(error.kind(), ErrorKind::Corrupt, "{error}"),
        }
        answers.clear();
    }
}

/// Plays a script on the region in a directory, which is created if missing, and prints each answer at once.
/// For tests that kill the process.
///
/// # Panics
///
/// If the script is invalid, or a file cannot be read or written.
pub fn play_in(dir: &Path, script: impl BufRead, mut out: impl Write) {
    let mut player = Replayer::new(Some(dir), Vec::new()).expect("a temporary directory");
    let mut answers = Vec::new();
    for line in script.lines() {
        let line = line.expect("a readable script");
        let parsed = Line::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        player.play(parsed, &mut answers).unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
        out.write_all(&answers).and_then(|()| out.flush()).expect("a reader");
        answers.clear();
    }
}
