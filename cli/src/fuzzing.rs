//! What the fuzz targets of the tool run: any bytes end in an error or in the right answer.

use crate::cell_json::{CellBuf, CellParser};
use crate::cell_line::put_json;
use crate::script::{Line, Player, Stop};
use hregion::ErrorKind;

/// Lines of cells: what is read is printed as a line that is read as the same cell.
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

/// An operation script: each line is refused, or played on a region that goes on to answer.
pub fn script(input: &[u8]) {
    let Ok(mut player) = Player::new(None, Vec::new()) else { return };
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
            // such as a setting that no family has; what was written here is sound
            Err(Stop::Failed(error)) => assert_ne!(error.kind(), ErrorKind::Corrupt, "{error}"),
        }
        answers.clear();
    }
}
