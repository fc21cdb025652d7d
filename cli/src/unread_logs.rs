//! Warns of writes that may be only in the logs of servers, which commands that read tables do not see.

use crate::directories::{DATA, LOGS};
use crate::failure::CommandError;
use crate::output::Output;
use crate::target::Kind;
use crate::text;
use crate::vfs;
use hregion::Table;
use std::path::{Path, PathBuf};

/// Warns, once for each root directory, if servers have left logs in that of a target whose rows or cells are
/// read. Most web servers list no directories, so there is no warning about their files.
pub(crate) fn warn_of_logs(target: &Path, kind: Kind, out: &Output) {
    if vfs::is_web(target) {
        return;
    }
    let Some((root, with_meta)) = root_of(target, kind) else { return };
    if !out.is_new_root(&root, with_meta) {
        return;
    }
    match Table::has_logs(&root, with_meta, &*vfs::storage()) {
        Ok(false) => {}
        Ok(true) => {
            let (logs, root) = (text::path(&root.join(LOGS)), text::path(&root));
            out.warn(&format!(
                "{logs}: logs of servers may have writes that are not read (`hregion recover --dry-run \
                 {root}` lists them)"
            ));
        }
        Err(error) => {
            let line = CommandError::from(error).with_hint(None).line();
            out.warn(&format!("{line}; writes that are only in logs of servers are not read"));
        }
    }
}

/// Returns the root directory of a target, and whether the target may have rows of `hbase:meta`; `None` if it
/// is below no root, or does not depend on logs: a file, or a snapshot, whose regions were flushed.
fn root_of(target: &Path, kind: Kind) -> Option<(PathBuf, bool)> {
    let depth = match kind {
        Kind::Root => return Some((vfs::absolute(target), true)),
        Kind::Namespace => 1,
        Kind::Table => 2,
        Kind::Region => 3,
        Kind::Family => 4,
        Kind::Hfile | Kind::Snapshot | Kind::Wal => return None,
    };
    let find = |path: &Path| {
        let data = path.ancestors().nth(depth).filter(|dir| dir.ends_with(DATA))?;
        let below = path.strip_prefix(data).ok()?;
        let with_meta = below == Path::new("hbase") || below.starts_with("hbase/meta");
        Some((data.parent()?.to_owned(), with_meta))
    };
    // The path may contain links.
    find(&vfs::absolute(target)).or_else(|| find(&vfs::full(target).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_below_a_root_depend_on_its_logs() {
        for (target, kind, expected) in [
            ("/r", Kind::Root, Some(("/r", true))),
            ("/r/data/hbase", Kind::Namespace, Some(("/r", true))),
            ("/r/data/default", Kind::Namespace, Some(("/r", false))),
            ("/r/data/hbase/meta", Kind::Table, Some(("/r", true))),
            ("/r/data/hbase/namespace", Kind::Table, Some(("/r", false))),
            ("/r/data/hbase/meta/1588230740/info", Kind::Family, Some(("/r", true))),
            ("s3://bucket/r/data/default/t/0123", Kind::Region, Some(("s3://bucket/r", false))),
            ("/data/data/data/data", Kind::Table, Some(("/data", false))),
            ("/r/data/default/t", Kind::Region, None),
            ("/r/t", Kind::Table, None),
            ("/r/.hbase-snapshot/s", Kind::Snapshot, None),
            ("/r/data/default/t/0123/f/4567", Kind::Hfile, None),
        ] {
            let expected = expected.map(|(root, with_meta)| (PathBuf::from(root), with_meta));
            assert_eq!(root_of(Path::new(target), kind), expected, "{target}");
        }
    }
}
