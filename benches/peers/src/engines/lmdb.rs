//! LMDB, through the crate `heed`: a B+tree with copy on write in a mapped file. It reads from the page
//! cache, so it has no separate cache, and it checks no checksums. Puts are in transactions of 1,000 without
//! sync.

use std::ops::Bound;

use anyhow::{Result, ensure};
use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RoTxn, WithoutTls};

use crate::engine::{Caps, Config, Engine, Log, Pairs, Reader, Writer};

const BATCH: usize = 1000;

pub struct Lmdb {
    env: Env<WithoutTls>,
    db: Database<Bytes, Bytes>,
}

impl Engine for Lmdb {
    type Reader<'a> = LmdbReader<'a>;
    type Writer<'a> = LmdbWriter<'a>;
    const NAME: &'static str = "lmdb";

    fn caps() -> Caps {
        Caps { cache: false, ..Caps::TREE }
    }

    fn about(_: &Config) -> String {
        let (heed, library) = (super::crate_version("heed"), super::crate_version("lmdb-master-sys"));
        format!("LMDB (heed {heed}, lmdb-master-sys {library}); puts in transactions of {BATCH}, MDB_NOSYNC")
    }

    fn open(config: &Config) -> Result<Self> {
        ensure!(config.variant == "default", "lmdb has no variant {}", config.variant);
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(64 << 30);
        // SAFETY: no other process changes the files, and flags without sync risk only data of a benchmark.
        let env = unsafe {
            options.flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::NO_READ_AHEAD);
            options.open(&config.dir)?
        };
        let mut transaction = env.write_txn()?;
        let db = env.create_database(&mut transaction, None)?;
        transaction.commit()?;
        Ok(Lmdb { env, db })
    }

    fn close(self) -> Result<()> {
        self.env.prepare_for_closing().wait();
        Ok(())
    }

    fn writer(&self, log: Log) -> Result<LmdbWriter<'_>> {
        Ok(LmdbWriter { lmdb: self, batch: Vec::with_capacity(BATCH), sync: log == Log::Sync })
    }

    fn reader(&self) -> Result<LmdbReader<'_>> {
        Ok(LmdbReader { transaction: self.env.read_txn()?, db: self.db })
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
        let engine = Lmdb::open(config)?;
        let mut transaction = engine.env.write_txn()?;
        for (key, value) in pairs {
            engine.db.put_with_flags(&mut transaction, PutFlags::APPEND, &key[..], &value[..])?;
        }
        transaction.commit()?;
        engine.env.force_sync()?;
        engine.close()
    }
}

pub struct LmdbReader<'a> {
    transaction: RoTxn<'a, WithoutTls>,
    db: Database<Bytes, Bytes>,
}

fn visit<'t>(
    entries: impl Iterator<Item = heed::Result<(&'t [u8], &'t [u8])>>,
    mut f: impl FnMut(&[u8], &[u8]),
) -> usize {
    let mut n = 0;
    for entry in entries {
        let (key, value) = entry.expect("the store is sound");
        f(key, value);
        n += 1;
    }
    n
}

impl Reader for LmdbReader<'_> {
    fn get<R>(&mut self, key: &[u8], f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.db.get(&self.transaction, key).expect("the store is sound").map(f)
    }

    fn scan(&mut self, from: &[u8], limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        // LMDB does not accept empty keys
        if from.is_empty() {
            return visit(self.db.iter(&self.transaction).expect("the store is sound").take(limit), f);
        }
        let range = (Bound::Included(from), Bound::Unbounded);
        visit(self.db.range(&self.transaction, &range).expect("the store is sound").take(limit), f)
    }

    fn scan_rev(&mut self, limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        visit(self.db.rev_iter(&self.transaction).expect("the store is sound").take(limit), f)
    }
}

pub struct LmdbWriter<'a> {
    lmdb: &'a Lmdb,
    batch: Vec<(Vec<u8>, Vec<u8>)>,
    sync: bool,
}

impl LmdbWriter<'_> {
    fn commit(&mut self) -> Result<()> {
        let mut transaction = self.lmdb.env.write_txn()?;
        for (key, value) in self.batch.drain(..) {
            self.lmdb.db.put(&mut transaction, &key[..], &value[..])?;
        }
        transaction.commit()?;
        if self.sync {
            self.lmdb.env.force_sync()?;
        }
        Ok(())
    }
}

impl Writer for LmdbWriter<'_> {
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
