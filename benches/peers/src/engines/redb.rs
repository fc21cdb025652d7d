//! redb: a B+tree with copy on write. It has no memtable, no runs, no Bloom filter and no block size. Puts
//! are in transactions of 1,000 with `Durability::None`, the closest equivalent of a put without a log.

use anyhow::{Result, ensure};
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition,
};

use crate::engine::{Caps, Config, Engine, Log, Pairs, Reader, Writer};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("t");
const BATCH: usize = 1000;

pub struct Redb(Database);

fn open(config: &Config) -> Result<Database> {
    ensure!(config.variant == "default", "redb has no variant {}", config.variant);
    let cache = usize::try_from(config.cache)?;
    let db = Builder::new().set_cache_size(cache).create(config.dir.join("db.redb"))?;
    let transaction = db.begin_write()?;
    transaction.open_table(TABLE)?;
    transaction.commit()?;
    Ok(db)
}

impl Engine for Redb {
    type Reader<'a> = RedbReader;
    type Writer<'a> = RedbWriter<'a>;
    const NAME: &'static str = "redb";

    fn caps() -> Caps {
        Caps::TREE
    }

    fn about(_: &Config) -> String {
        let version = super::crate_version("redb");
        format!("redb {version}; puts in transactions of {BATCH}, Durability::None")
    }

    fn open(config: &Config) -> Result<Self> {
        Ok(Redb(open(config)?))
    }

    fn close(self) -> Result<()> {
        Ok(())
    }

    fn writer(&self, log: Log) -> Result<RedbWriter<'_>> {
        Ok(RedbWriter { db: &self.0, batch: Vec::with_capacity(BATCH), sync: log == Log::Sync })
    }

    fn reader(&self) -> Result<RedbReader> {
        Ok(RedbReader(self.0.begin_read()?.open_table(TABLE)?))
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn compact(&self) -> Result<()> {
        Ok(())
    }

    fn runs(&self) -> Option<usize> {
        None
    }

    fn bulk(config: &Config, pairs: Pairs<'_>) -> Result<()> {
        let mut db = open(config)?;
        let transaction = db.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(&key[..], &value[..])?;
            }
        }
        transaction.commit()?;
        db.compact()?;
        Ok(())
    }
}

pub struct RedbReader(ReadOnlyTable<&'static [u8], &'static [u8]>);

type Entry<'t> = (redb::AccessGuard<'t, &'static [u8]>, redb::AccessGuard<'t, &'static [u8]>);

fn visit<'t>(
    entries: impl Iterator<Item = Result<Entry<'t>, StorageError>>,
    mut f: impl FnMut(&[u8], &[u8]),
) -> usize {
    let mut n = 0;
    for entry in entries {
        let (key, value) = entry.expect("the store is sound");
        f(key.value(), value.value());
        n += 1;
    }
    n
}

impl Reader for RedbReader {
    fn get<R>(&mut self, key: &[u8], f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.get(key).expect("the store is sound").map(|value| f(value.value()))
    }

    fn scan(&mut self, from: &[u8], limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        visit(self.0.range::<&[u8]>(from..).expect("the store is sound").take(limit), f)
    }

    fn scan_rev(&mut self, limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        visit(self.0.iter().expect("the store is sound").rev().take(limit), f)
    }
}

pub struct RedbWriter<'a> {
    db: &'a Database,
    batch: Vec<(Vec<u8>, Vec<u8>)>,
    sync: bool,
}

impl RedbWriter<'_> {
    fn commit(&mut self) -> Result<()> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(if self.sync { Durability::Immediate } else { Durability::None })?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in self.batch.drain(..) {
                table.insert(&key[..], &value[..])?;
            }
        }
        Ok(transaction.commit()?)
    }
}

impl Writer for RedbWriter<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.batch.push((key.to_vec(), value.to_vec()));
        if self.sync || self.batch.len() == BATCH {
            self.commit()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.commit()
    }
}
