//! The findings of a check of a root directory (HBase: `hbck`, `CatalogJanitorReport`).

use crate::schema::TableName;
use std::fmt;
use std::path::PathBuf;

/// The result of a check. See [`Table::check_root`](crate::Table::check_root) (HBase: the output of `hbck`).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// The findings of the root directory, then those of each table.
    pub findings: Vec<Finding>,
    /// The number of tables.
    pub tables: u64,
    /// The number of region directories, including parents of splits and merges.
    pub regions: u64,
    /// The number of their store files, including links and references.
    pub files: u64,
    /// Whether the regions were compared with `hbase:meta`.
    pub has_catalog: bool,
}

/// An inconsistency found by a [check](crate::Table::check_root) of a root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of inconsistency.
    pub kind: FindingKind,
    /// The severity.
    pub severity: Severity,
    /// The table, if it concerns one.
    pub table: Option<TableName>,
    /// The encoded name of the region, if it concerns one.
    pub region: Option<String>,
    /// The file or directory, which need not exist.
    pub path: PathBuf,
    /// A description of what was found and what was expected.
    pub message: String,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Normal for some time, such as the parent of a split.
    Info,
    /// Reads and writes work, but something needs attention.
    Warning,
    /// Reads or writes fail, or rows are missing.
    Error,
}

impl Severity {
    /// Returns the name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Defines the kinds with their names and remedies.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $fix:literal;)*) => {
        /// Kinds of findings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FindingKind {
            $($(#[$doc])* $kind,)*
        }

        impl FindingKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Returns the name, which does not change between versions.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Returns the remedy.
            #[must_use]
            pub fn fix(self) -> &'static str {
                match self {
                    $(Self::$kind => $fix,)*
                }
            }
        }
    };
}

kinds! {
    /// Some rows are in no region.
    Hole = "hole",
        "if a directory has the rows, add it to hbase:meta (HBCK2 addFsRegionsMissingInMeta); else create an \
         empty region there (HBCK2 fixMeta)";
    /// Some rows are in several regions.
    Overlap = "overlap", "merge the regions (HBCK2 fixMeta)";
    /// Two regions begin at the same row.
    DuplicateStart = "duplicate_start", "merge the regions (HBCK2 fixMeta)";
    /// `hbase:meta` has a region without a directory.
    NoDirectory = "no_directory",
        "restore the directory from a backup or a snapshot; else remove the row (HBCK2 \
         extraRegionsInMeta --fix)";
    /// A region with a directory is not in `hbase:meta`, so no server opens it.
    NoMetaRow = "no_meta_row",
        "add the region to hbase:meta (HBCK2 addFsRegionsMissingInMeta), or load copies of its files with \
         `hregion load`, which skips references and links";
    /// The directory of a region has no `.regioninfo`.
    NoRegionInfo = "no_region_info",
        "restore .regioninfo from a backup; else load copies of the files of its families with \
         `hregion load`, which skips references, links and recovered edits, and move the files to \
         their place in the archive, where snapshots and clones find them; a directory without files and \
         recovered edits can be removed";
    /// A `.regioninfo` does not belong to its directory, or differs from `hbase:meta`.
    RegionInfoDiffers = "region_info_differs",
        "restore .regioninfo from a backup; else load copies of the files of its families with \
         `hregion load`, which skips references, links and recovered edits, and move the directory \
         aside";
    /// The directory of a table has no descriptor.
    NoDescriptor = "no_descriptor",
        "copy .tabledesc from a backup of the table; else have HBase write one with default settings (HBCK2 \
         generateMissingTableDescriptorFile), and alter it before anything is compacted";
    /// The file that a reference names does not exist.
    DanglingReference = "dangling_reference",
        "look for the file in a backup or another root's archive; else move the reference aside: its cells \
         are lost";
    /// The file that a link names does not exist.
    DanglingLink = "dangling_link",
        "look for the file in a backup or another root's archive; else move the link aside: its cells \
         are lost";
    /// The directory of a region that was split or merged.
    LeftoverParent = "leftover_parent",
        "nothing: it is archived once no region refers to its files (`hregion compact --major` of the \
         table, or the catalog janitor)";
    /// A store file that the store's list of files does not name, so that its cells are not read.
    UntrackedFile = "untracked_file",
        "nothing, if a compaction or flush left it; else load a copy of it with `hregion load`";
    /// A file on a store's list of files does not exist.
    MissingFile = "missing_file",
        "look for the file in the archive, and move it back";
    /// An empty store file or reference, which is skipped.
    EmptyFile = "empty_file",
        "restore the file from a backup; the cells of a reference are in the file that it names, which is \
         archived if the reference is removed; else move it out of the family's directory: its cells are \
         lost";
    /// A file whose name is not a store file's.
    UnknownFile = "unknown_file", "move the file out of the family's directory";
    /// The directory of a family that the table does not have.
    UnknownFamily = "unknown_family",
        "if its cells are wanted, copy the files, add the family to the table, and load the copies with \
         `hregion load`: adding a family archives files that are there; else move them to their place in the \
         archive, where snapshots and clones find them";
    /// A region has used greater sequence ids than its directory records.
    SequenceIdBehind = "sequence_id_behind",
        "look for recovered edits or store files that were removed; new writes may be hidden by older ones \
         on peers";
    /// Writes that are in no store file yet.
    RecoveredEdits = "recovered_edits", "replay them with `hregion recover`, or start the cluster";
    /// A log that has not been split over the regions.
    UnsplitLog = "unsplit_log",
        "if its server is dead, replay its writes with `hregion recover`, or start the cluster";
    /// A log or a store file that HBase could not read, and moved aside.
    SidelinedFile = "sidelined_file",
        "nothing in it is read: `hregion wal` prints what a log still has, and `hregion recover` of a region \
         replays it with --wal; `hregion salvage` saves the sound blocks of a store file for `hregion load`; \
         then remove it";
    /// The state of a table or region in `hbase:meta` is missing or unknown.
    UnknownState = "unknown_state", "set the state (HBCK2 setTableState, setRegionState)";
    /// Files of an import that are not all loaded.
    UnfinishedImport = "unfinished_import",
        "if no import of the table runs, repeat it (`hregion import`): it removes these files, and loads all \
         cells again";
    /// A directory of a table under a hidden name: it gets its name when it is complete.
    UnfinishedTable = "unfinished_table",
        "if no process creates, clones or restores the table, remove the directory";
    /// Files that other unfinished work has left.
    LeftoverTmp = "leftover_tmp",
        "nothing: it is removed or completed when the region or table is next opened, or the operation that \
         was interrupted is repeated; a split or merge that HBase has begun, by HBase: if that is gone, \
         remove the new region's directory; a hidden file that ends with .tmp in the table's directory or \
         .tabledesc stays, and can be removed if no process changes the table";
    /// A MOB file to which cells refer does not exist.
    MissingMobFile = "missing_mob_file",
        "look for the file in a backup or another root's archive, and copy it to its place; else the values \
         in it are lost: `hregion verify` of the region names the store file of such a value";
    /// A MOB file to which no store file of the table refers.
    UnusedMobFile = "unused_mob_file",
        "nothing: HBase's cleaner of MOB files archives it, or the store file that refers to it is being \
         written";
    /// MOB files of a table to which cells may refer without a list that can be checked; a table directly
    /// under a root, as before HBase 0.96; a version, codec or feature that this build does not support.
    Unsupported = "unsupported",
        "`hregion verify` reads all cells, checks that it has their values, and names what is not supported; \
         a table beside data is read by its directory";
    /// A file that the check needs is damaged or cannot be read, or a store file is a symbolic link to
    /// nothing or no regular file.
    Unreadable = "unreadable", "see `hregion verify`; restore the file from a backup";
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl CheckReport {
    /// Returns the number of findings of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}
