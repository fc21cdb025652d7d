//! Tables with the content of a snapshot (HBase: `CloneSnapshotProcedure`, `RestoreSnapshotProcedure`).

use crate::error::{Error, ErrorKind, Result};
use crate::layout::{LogTree, Snapshot};
use crate::region::RegionOptions;
use crate::schema::TableName;
use crate::table::Table;
use crate::table::admin::TableChange;
use crate::table::catalog::{check_catalog, create_in_catalog, set_regions_on_disk};
use crate::table::recover::refuse_edits_of;
use std::path::Path;

impl Table {
    /// Creates a table, `name` or `namespace:name`, with the content and the settings of a snapshot, and
    /// opens it for writing. No store files are copied: the new table has links to the snapshot's files until
    /// they are compacted.
    ///
    /// The table becomes visible only when it is complete, even if a step fails or the process dies. If it is
    /// complete and cannot be opened, it stays. It is added to `hbase:meta` as by [`create`](Self::create).
    ///
    /// In a storage without renames, such as an object store, one conditional put makes the directory a
    /// table; the next clone or creation of that name removes the remains of an interrupted clone. Lists
    /// track the files of all families there, as by HBase's `CLONE_SFT => 'FILE'`, and the regions get new
    /// ids.
    ///
    /// # Errors
    ///
    /// If there is no such snapshot, with [`std::io::ErrorKind::NotFound`]; if the table exists, with
    /// [`std::io::ErrorKind::AlreadyExists`]; if the snapshot cannot be read, as for
    /// [`open_snapshot`](Self::open_snapshot), has no table descriptor, or lacks a store file; if servers
    /// have left logs with edits of regions of the same names, from a removed table: the root must first be
    /// [recovered](Self::recover); or if values of the table are in MOB files, or the new table is
    /// `hbase:meta` or `hbase:namespace`, which only a cluster creates
    /// ([`Unsupported`](crate::ErrorKind::Unsupported)); if an I/O operation fails.
    pub fn clone_snapshot(
        root: impl AsRef<Path>,
        name: &str,
        new_table: &str,
        options: RegionOptions,
    ) -> Result<Self> {
        Error::if_no_clock("a table")?;
        let (root, table) = (root.as_ref(), TableName::parse(new_table)?);
        if table.is_made_by_master() {
            let message = format!("a snapshot cannot be cloned as {table}: a cluster creates it");
            return Err(Error::not_supported(message));
        }
        let storage = options.file_storage();
        let snapshot = Snapshot::open(&**storage, root, name)?;
        // Otherwise the regions get names that no region has had.
        if storage.can_rename(root) {
            let regions = snapshot.regions().map(|(_, region)| region.info.in_table(&table).encoded_name());
            refuse_edits_of(root, &table, &regions.collect(), &options)?;
        }
        // An existing table is not compared with the snapshot.
        let is_created = || Ok(false);
        create_in_catalog(root, &table, &options, is_created, || {
            snapshot.clone_table(storage, &table, options.now())
        })?;
        Self::open_with(root, new_table, options.writable(true))
    }

    /// Restores the content and the settings that a table had in a snapshot, and opens it for writing. A
    /// table that no longer exists is created again.
    ///
    /// Later writes are lost, including those only in a log. The store files of the replaced table are moved
    /// to the archive, where other snapshots and clones find them.
    ///
    /// No process may have a region of the table open for writing; readers see the old table in regions that
    /// they have opened, and get errors for others until they open the table again. If the root has
    /// `hbase:meta`, it gets the new regions before the old files are archived. After a failure or a crash,
    /// the table is the old or the new one; or, if the process died between the two renames of the last step,
    /// there is no table until this is called again.
    ///
    /// In a storage without renames, such as an object store, one conditional put replaces all regions. The
    /// new ones get new ids, and lists track their files, as in a [clone](Self::clone_snapshot) there. A
    /// failed call is completed by the next one, and by other changes of the table.
    ///
    /// # Errors
    ///
    /// If there is no such snapshot, with [`std::io::ErrorKind::NotFound`]; if a region of the table, or the
    /// root, is [locked](crate::ErrorKind::Locked); if servers have left logs under the root, which must
    /// first be [recovered](Self::recover), because they could have edits of the table, or if values of the
    /// table, then or now, are in MOB files, or the table is `hbase:meta`, or, in a storage without renames,
    /// `hbase:namespace`, or a [bulk load](Self::bulk_load) into it was interrupted there
    /// ([`Unsupported`](crate::ErrorKind::Unsupported)); if the snapshot cannot be read, has no table
    /// descriptor, or lacks a store file; if a directory or a store file of the table is a symbolic link; if
    /// an I/O operation fails.
    pub fn restore_snapshot(root: impl AsRef<Path>, name: &str, options: RegionOptions) -> Result<Self> {
        Error::if_no_clock("a table")?;
        let (root, storage) = (root.as_ref(), options.file_storage());
        let (logs, is_in_place) = (LogTree::new(root), !storage.can_rename(root));
        // In place, the change or the creation of the table locks the root.
        let _lock = (!is_in_place).then(|| logs.lock(&**storage)).transpose()?;
        let snapshot = Snapshot::open(&**storage, root, name)?;
        if let Some(log) = logs.logs(&**storage)?.first() {
            let path = log.path.display();
            return Err(Error::not_supported(format!(
                "servers have left logs, which may have edits of the table: recover the root first ({path})"
            )));
        }
        let table = snapshot.description().table();
        if table.is_meta() || is_in_place && table.is_made_by_master() {
            return Err(Error::not_supported(format!("{table} cannot be restored from a snapshot")));
        }
        check_catalog(root, &options)?;
        let follow = || set_regions_on_disk(root, table, &options);
        if is_in_place {
            restore_in_place(root, &snapshot, &options)?;
            // An interrupted call may have created a table that the catalog does not have.
            follow()?;
        } else {
            snapshot.restore_table(storage, options.now(), |region| options.lock(region), follow)?;
        }
        Self::open_with(root, &table.to_string(), options.writable(true))
    }
}

/// Restores a snapshot in a storage without renames.
fn restore_in_place(root: &Path, snapshot: &Snapshot, options: &RegionOptions) -> Result<()> {
    let table = snapshot.description().table();
    let was_there = match TableChange::begin(root, &table.to_string(), options) {
        Err(error) if error.kind() == ErrorKind::TableNotFound => false,
        change => change?.restore_in_place(snapshot)?,
    };
    if was_there { Ok(()) } else { snapshot.clone_table(options.file_storage(), table, options.now()) }
}
