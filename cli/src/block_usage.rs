//! What the blocks of each type use, and whether they lie next to each other.

use crate::failure::Failure;
use crate::output::Output;
use hregion::{BlockHeader, BlockType, HFileOptions};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

/// The blocks of each family of each table.
#[derive(Debug, Default)]
pub(crate) struct BlockUsage(BTreeMap<[Option<String>; 2], Family>);

#[derive(Debug, Default)]
struct Family {
    /// In the order of their first blocks.
    types: Vec<TypeUsage>,
}

/// The blocks of one type.
#[derive(Debug)]
struct TypeUsage {
    block_type: BlockType,
    blocks: u64,
    /// Bytes on disk, headers included.
    bytes: u64,
    /// Payload bytes before compression and encryption.
    uncompressed: u64,
    /// How many times blocks of the type come after one of another type, or first in a file.
    runs: u64,
}

impl BlockUsage {
    /// Adds the blocks of a file. Reads their headers.
    pub(crate) fn add(
        &mut self,
        [table, _, family]: [Option<String>; 3],
        path: &Path,
        options: &HFileOptions,
    ) -> Result<(), Failure> {
        let family = self.0.entry([table, family]).or_default();
        let mut before = None;
        for header in options.open(path)?.block_headers() {
            let (_, header) = header?;
            family.add(&header, before);
            before = Some(header.block_type());
        }
        Ok(())
    }

    /// Prints the types of blocks of each family.
    pub(crate) fn print(&self, out: &mut Output) -> Result<(), Failure> {
        for ([table, family], usage) in &self.0 {
            if !out.is_json() {
                let of = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".into());
                writeln!(out, "\n{} {}", of(table), of(family))?;
                writeln!(out, "         bytes    share       blocks         runs  type")?;
            }
            let all: u64 = usage.types.iter().map(|usage| usage.bytes).sum();
            for TypeUsage { block_type, blocks, bytes, uncompressed, runs } in &usage.types {
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

impl Family {
    /// Adds a block, and the type of the block before it in its file.
    fn add(&mut self, header: &BlockHeader, before: Option<BlockType>) {
        let block_type = header.block_type();
        let known = self.types.iter().position(|usage| usage.block_type == block_type);
        let at = known.unwrap_or_else(|| {
            self.types.push(TypeUsage { block_type, blocks: 0, bytes: 0, uncompressed: 0, runs: 0 });
            self.types.len() - 1
        });
        let usage = &mut self.types[at];
        usage.blocks += 1;
        usage.bytes += header.total_size() as u64;
        usage.uncompressed += u64::from(header.uncompressed_size_without_header());
        usage.runs += u64::from(before != Some(block_type));
    }
}
