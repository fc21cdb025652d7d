//! The decoded metadata of a file, as JSON or text.

mod fields;
mod json;
pub(crate) mod text;

use crate::failure::Failure;
use crate::output::Output;
use hregion::HFile;
use std::io::Write as _;

/// Prints the metadata of a file as one line of JSON; the block headers only on request.
pub(crate) fn print_json(file: &HFile, with_blocks: bool, out: &mut Output) -> Result<(), Failure> {
    let report = json::report(file, Err)?;
    if !with_blocks {
        return out.json_line(&report);
    }
    // there can be millions of headers, so they are not collected in a `Value`
    let headers = file.block_headers().collect::<hregion::Result<Vec<_>>>()?;
    let report = crate::text::json(&report);
    let head = report.strip_suffix('}').unwrap_or(&report);
    write!(out, "{head},\"blocks\":[")?;
    for (i, (offset, header)) in headers.iter().enumerate() {
        if i > 0 {
            out.write_all(b",")?;
        }
        write!(out, "{}", json::block(*offset, header))?;
    }
    out.write_all(b"]}\n")?;
    Ok(())
}
