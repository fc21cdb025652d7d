//! The bytes of the blocks of each type in families, and their runs.

use crate::block_totals::{BlockTotals, TypeTotal};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use hregion::HFile;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;

/// The blocks of each family of each table.
#[derive(Debug, Default)]
pub(crate) struct BlockUsage(BTreeMap<[Option<String>; 2], BlockTotals>);

/// Reads the headers of the blocks of a file.
pub(crate) fn blocks_of(file: &HFile) -> hregion::Result<BlockTotals> {
    let mut totals = BlockTotals::default();
    for header in file.block_headers() {
        let (_, header) = header?;
        let uncompressed = header.uncompressed_size_without_header().into();
        totals.add(header.block_type(), header.total_size() as u64, uncompressed);
    }
    Ok(totals)
}

impl BlockUsage {
    /// Adds the blocks of a file.
    pub(crate) fn add(&mut self, [table, _, family]: [Option<String>; 3], blocks: &BlockTotals) {
        self.0.entry([table, family]).or_default().add_all(blocks);
    }

    /// Prints the types of blocks of each family.
    pub(crate) fn print(&self, out: &mut Output) -> Result<(), Failure> {
        for ([table, family], totals) in &self.0 {
            if !out.is_json() {
                let [table, family] =
                    [table, family].map(|name| text::printable(name.as_deref().unwrap_or("-")));
                writeln!(out, "\n{table} {family}")?;
                writeln!(out, "         bytes    share       blocks         runs  type")?;
            }
            let all = totals.types().iter().map(|total| total.bytes).fold(0, u64::saturating_add);
            for TypeTotal { block_type, blocks, bytes, uncompressed, runs } in totals.types() {
                let block_type = block_type.name();
                if out.is_json() {
                    out.json_line(&json!({ "blocks": {
                        "table": table, "family": family, "type": block_type, "blocks": blocks,
                        "bytes": bytes, "uncompressed_bytes": uncompressed, "runs": runs,
                    }}))?;
                } else {
                    // in tenths of a percent
                    let share = u128::from(*bytes) * 1000 / u128::from(all.max(1));
                    let share = format!("{}.{} %", share / 10, share % 10);
                    writeln!(out, "{bytes:>14} {share:>8} {blocks:>12} {runs:>12}  {block_type}")?;
                }
            }
        }
        Ok(())
    }
}
