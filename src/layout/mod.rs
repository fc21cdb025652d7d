//! HBase's directories: roots, tables, regions, families, and the files that record which store files belong
//! to them (hfile.md §15; HBase: `HRegionFileSystem`, `FSTableDescriptors`, `StoreFileTracker`).
//!
//! ```text
//! <root>/data/<namespace>/<table>/
//!     .tabledesc/.tableinfo.<n>[.<length>]    descriptor
//!     .tabledesc/.clone.<random>              descriptor: distinguishes tables of one name
//!     .change.<region>                        region_change
//!     .<region>.archived/, .<region>.emptied  archive_region
//!     <region>/
//!         .regioninfo                         region
//!         .load                               load_record
//!         .loaded                             copy_record
//!         .restored.<n>                       region
//!         .loading.<random>/<family>/         loading
//!         .tmp/<family>/                      files being written
//!         recovered.edits/<n>.seqid           region
//!         <family>/                           family
//!             <store file>                    file_name, reference
//!             .filelist/f1.<n>                file_list, tracker
//! <root>/archive/data/<namespace>/…           store files that were replaced or deleted
//! <root>/.tmp/data/<namespace>/<table>/       a table that is removed or replaced: table_tree
//! <root>/mobdir/data/…                        mob: values too large for store files
//! <root>/.hbase-snapshot/<name>/              snapshot
//! <root>/WALs/<server>/, <root>/oldWALs/      logs
//! ```
//!
//! The names of a region's store files are changed only by [`RegionDir::commit`](region::RegionDir::commit).

mod archive_region;
pub(crate) mod commit;
mod copy_record;
mod descriptor;
pub(crate) mod durable;
mod family;
mod file_kind;
pub(crate) mod file_list;
pub(crate) mod file_name;
mod load_record;
mod loading;
mod logs;
mod mob;
pub(crate) mod reference;
pub(crate) mod region;
mod region_change;
mod replacement;
mod root;
mod root_tree;
mod sealed_text;
mod snapshot;
mod store_file_info;
mod survey;
pub(crate) mod table;
mod table_regions;
mod table_tree;
pub(crate) mod tracker;

pub(crate) use archive_region::{is_archived_region, remove_archived_regions};
pub(crate) use commit::{CommitError, FamilyChange, StagedFile};
pub(crate) use copy_record::{CopyRecord, CopySource, CopyState, end_copies};
pub(crate) use descriptor::{
    SchemaChange, StoredDescriptor, TableIdentity, last_number, number_in_place, read_descriptor,
    read_descriptor_file, remove_descriptors, table_of_descriptor,
};
pub(crate) use family::{StoreFiles, empty_file};
pub use file_kind::FileKind;
pub(crate) use file_kind::locate_store_file;
pub(crate) use file_list::check_file_list;
pub(crate) use file_name::new_file_name;
pub use logs::UnreadLogs;
pub(crate) use logs::{LogTree, NewEdits, ServerLog};
pub use mob::MobFile;
pub(crate) use mob::{
    MobDirs, MobEntry, MobFileName, check_mob_name, find_mob_files, is_mob_region, mob_dirs_of_family,
};
pub(crate) use reference::{Half, Reference};
pub(crate) use region::{
    LOCK, RECOVERED_EDITS, REGION_INFO, RegionDir, check_lock, check_tracked_by_list, find_region_info,
    is_gone, read_region_info, replace_max_seq_id,
};
pub(crate) use region_change::{Changes, NewChild, RegionChange, check_root, create_child, is_change};
pub(crate) use replacement::{Replacement, ReplacementKind};
pub(crate) use root::{
    archived_path, full_path, has_descriptor_dir, moved_paths, path_of_region, path_of_root, path_of_table,
    refuse_region, resolved_path, with_names_above,
};
pub use snapshot::SnapshotStoreFile;
pub(crate) use snapshot::{
    HFilePath, Snapshot, SnapshotRegion, SnapshotTree, TableClone, each_snapshot, find_snapshot,
    split_parents,
};
pub(crate) use store_file_info::StoreFileInfo;
pub(crate) use survey::FileFaultKind;
pub(crate) use table_regions::{LISTINGS, TableListing, keeps_changing, regions_among, was_opened};
pub(crate) use table_tree::{EmptyTable, RegionLocks, TableTree};
