//! Opens HFiles outside of any region as one region. HBase has no such operation.

use super::open::{DEFAULT_TABLE, Opened};
use super::replay::Replayed;
use super::{Region, RegionOptions};
use crate::binary::StringBinary;
use crate::cell::CellOrder;
use crate::error::{Corruption, Error, Result};
use crate::layout::{RegionDir, StoreFileInfo, locate_store_file, mob_dirs_of_family};
use crate::metrics::BlockCounts;
use crate::mvcc::Mvcc;
use crate::schema::{Family, RegionInfo, TableName};
use crate::store::compact::CompactionConfig;
use crate::store::{
    FileSettings, MobFiles, OpenedFiles, Store, StoreFile, StoreVersion, lists_mob_files, open_files,
};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl RegionOptions {
    pub(super) fn open_hfiles(mut self, paths: &[PathBuf]) -> Result<Region> {
        if self.writable {
            return Err(Error::invalid_argument("files outside of a region can only be opened for reading"));
        }
        self.refuse_logs("files outside of a region")?;
        let Some(path) = paths.first() else {
            return Err(Error::invalid_argument("no files to read"));
        };
        let block_counts = Arc::new(BlockCounts::default());
        self.files = self.files.block_counts(Arc::clone(&block_counts));
        let infos = paths.iter().map(|path| locate_store_file(&self.storage, path).transpose());
        let infos: Vec<StoreFileInfo> = infos.flatten().collect::<Result<_>>()?;
        let OpenedFiles { files, warnings, .. } = open_files(&self.files, &infos)?;
        let (family, order) = (self.only_family(&files)?, only_order(&files)?);
        let table = match order {
            CellOrder::User => TableName::parse(self.table.as_deref().unwrap_or(DEFAULT_TABLE))?,
            CellOrder::Meta => TableName::new("hbase", "meta")?,
        };
        let info = RegionInfo::new(table, Bytes::new(), Bytes::new(), 0)?;
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        let mob = self.mob_files(parent, &files, &info)?;
        let dir = RegionDir::of_files(&self.storage, parent, info);
        let states = vec![Arc::new(StoreVersion::new(&family, order, files))];
        let store = Store {
            dir: dir.path().to_owned(),
            tmp: dir.tmp(),
            // Never used: these files are not compacted.
            compaction: CompactionConfig::default(),
            invalid_settings: None,
            file_settings: FileSettings::default(),
            max_row_bytes: self.files.limit_values().row_bytes,
            cache_data: true,
            zstd_framed: self.is_zstd_framed(false),
            zstd_dictionary: None,
            family,
            order,
            options: self.files.clone(),
            mob,
            storage: Arc::clone(&self.storage),
        };
        let (stores, mvcc) = (vec![store], Mvcc::without_writes());
        let (lock, replaced, replayed) = (None, Vec::new(), Replayed::default());
        self.region(Opened {
            dir,
            stores,
            states,
            mvcc,
            files_seq_id: 0, // nothing is replayed
            is_consistent: true,
            lock,
            block_counts,
            replaced,
            replayed,
            later: None,
            warnings,
        })
    }

    /// Returns the MOB files of the family in whose directory the files are, if the files refer to any:
    /// otherwise no tag is treated as a reference of HBase's.
    fn mob_files(&self, dir: &Path, files: &[StoreFile], info: &RegionInfo) -> Result<Option<MobFiles>> {
        if !files.iter().any(|file| lists_mob_files(file.hfile().file_info())) {
            return Ok(None);
        }
        Ok(Some(match mob_dirs_of_family(&self.storage, dir)? {
            Some((dirs, table)) => MobFiles::new(Some(dirs), &table, &self.files),
            None => MobFiles::new(None, info.table(), &self.files),
        }))
    }

    /// Returns the family of all cells, with its given settings. Fails if there are several families.
    fn only_family(&self, files: &[StoreFile]) -> Result<Family> {
        let name = files.iter().find_map(|file| file.hfile().first_key()).map(|key| key.family().to_vec());
        for file in files {
            let keys = [file.hfile().first_key(), file.hfile().last_key()];
            if let Some(other) = keys.into_iter().flatten().find(|key| Some(key.family()) != name.as_deref())
            {
                let families = format!(
                    "{} and {}",
                    StringBinary(name.as_deref().unwrap_or_default()),
                    StringBinary(other.family())
                );
                let corruption = Corruption::unsupported("files of several families:", families);
                return Err(corruption.at(file.path(), 0));
            }
        }
        match self.families.as_slice() {
            [] => Ok(Family::new(name.unwrap_or_default()).max_versions(u32::MAX)),
            [given] if name.as_deref().is_none_or(|name| name == given.name()) => {
                given.check_readable()?;
                Ok(given.clone())
            }
            [given] => Err(Error::no_such_family(given.name(), name.as_deref())),
            _ => Err(Error::invalid_argument("files outside of a region have exactly one family")),
        }
    }
}

/// Returns the cell order of all files. Fails if they differ.
fn only_order(files: &[StoreFile]) -> Result<CellOrder> {
    let order = files.first().map_or(CellOrder::User, StoreFile::order);
    match files.iter().find(|file| file.order() != order) {
        None => Ok(order),
        Some(file) => {
            let name = "that of tables and that of hbase:meta";
            Err(Corruption::unsupported("files of several orders:", name).at(file.path(), 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Row;
    use crate::hfile::HFile;
    use crate::op::{Delete, Get, Put, Scan};
    use crate::region::Compaction;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden").join(format!("{name}.hfile"))
    }

    fn rows(region: &Region, scan: &Scan) -> Vec<Row> {
        let view = region.view();
        view.scan(scan).unwrap().collect::<Result<_>>().unwrap()
    }

    /// A raw read of all versions of a file returns the same cells as the file's own scanner.
    #[test]
    fn a_file_has_its_cells() {
        for name in [
            "small-none-row",
            "small-writer-hfile",
            "small-none-zstd-bulkload",
            "small-meta",
            "shape-empty",
            "shape-edges-none",
        ] {
            let region = Region::options().open_files([golden(name)]).unwrap();
            let raw = Scan::new().raw(true).max_versions(u32::MAX);
            let found: Vec<String> =
                rows(&region, &raw).iter().flat_map(Row::cells).map(|cell| cell.key().to_string()).collect();
            let file = HFile::open(golden(name)).unwrap();
            let (mut stored, mut cells) = (Vec::new(), file.scanner());
            let mut more = cells.seek_to_first().unwrap();
            while more {
                stored.extend(cells.peek().map(|cell| cell.key().to_string()));
                more = cells.advance().unwrap();
            }
            assert_eq!(found, stored, "{name}");
        }
    }

    /// The files of a region, opened by themselves, return the same rows as the region.
    #[test]
    fn files_of_a_region_are_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let family = || Family::new("f").max_versions(3);
        let region = Region::options().create_if_missing(true).family(family()).open(&path).unwrap();
        for i in 0..40_i64 {
            let row = format!("{:02}", i * 7 % 30);
            region.put(Put::new(row.clone()).cell_at("f", "q", i, format!("v{i}"))).unwrap();
            if i % 5 == 0 {
                region.delete(Delete::new(row).column_at("f", "q", i.max(2) - 2)).unwrap();
            }
            if i % 10 == 9 {
                region.flush().unwrap();
            }
        }
        let files = || std::fs::read_dir(path.join("f")).unwrap().map(|entry| entry.unwrap().path());
        assert!(files().count() > 2);
        let alone = Region::options().family(family()).open_files(files()).unwrap();
        for scan in [Scan::new(), Scan::new().max_versions(9), Scan::new().raw(true).max_versions(9)] {
            assert_eq!(rows(&alone, &scan), rows(&region, &scan));
        }
        assert_eq!(alone.get(&Get::new("07")).unwrap(), region.get(&Get::new("07")).unwrap());
        assert!(
            alone.put(Put::new("r").cell("f", "q", "v")).is_err()
                && alone.compact(Compaction::Major).is_err()
        );
    }

    #[test]
    fn files_of_several_families_are_rejected() {
        let files = || [golden("small-none-row"), golden("bloom-fills-exactly")];
        let error = Region::options().open_files(files()).unwrap_err();
        assert!(error.to_string().contains("several families"), "{error}");
        let error =
            Region::options().open_files([golden("small-none-row"), golden("small-meta")]).unwrap_err();
        assert!(error.to_string().contains("several families"), "{error}");
        let none: [&Path; 0] = [];
        assert!(Region::options().open_files(none).is_err());
        assert!(Region::options().writable(true).open_files([golden("small-none-row")]).is_err());
        assert!(Region::options().family(Family::new("f")).open_files([golden("small-none-row")]).is_err());
    }
}
