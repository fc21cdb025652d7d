//! Printing regions and their servers.

use crate::failure::Failure;
use crate::output::Output;
use hregion::cell::StringBinary;
use hregion::{RegionLocations, RegionName};
use serde_json::json;
use std::io::Write as _;

/// Prints a region: with --json,
/// `{"name","encoded","table","start","end","id","replica","split","offline","server","seqnum"}`.
pub(crate) fn print(found: &RegionLocations, out: &mut Output) -> Result<(), Failure> {
    let region = found.region();
    let server = found.server().map(ToString::to_string);
    let (start, end) =
        (StringBinary(region.start_key()).to_string(), StringBinary(region.end_key()).to_string());
    // an old-format name is shown with its encoded name
    let name = RegionName::parse(&region.name()).map_or_else(|_| region.to_string(), |name| name.to_string());
    if !out.is_json() {
        let server = server.as_deref().unwrap_or("no server");
        writeln!(out, "{name}  [{start}, {end})  {server}")?;
        return Ok(());
    }
    out.json_line(&json!({
        "name": name,
        "encoded": region.encoded_name(),
        "table": region.table().to_string(),
        "start": start,
        "end": end,
        "id": region.region_id(),
        "replica": region.replica_id(),
        "split": region.is_split(),
        "offline": region.is_offline(),
        "server": server,
        "seqnum": found.seq_num(),
    }))
}
