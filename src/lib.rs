//! Reads and writes the files of Apache HBase, and answers gets and scans as a RegionServer does, without a
//! cluster.
//!
//! | to | use |
//! |---|---|
//! | read or write a table under HBase's root directory, or a snapshot of it | [`Table`] |
//! | read or write one region, or use it as an embedded store | [`Region`] |
//! | read, seek and verify a single HFile | [`HFile`], [`HFileScanner`] |
//! | write an HFile that HBase reads | [`StoreFileWriter`], [`HFileWriter`] |
//! | find the region of a row, and its server | [`Locator`] |
//! | keep decoded blocks in memory, for any number of tables, regions and files | [`BlockCache`] |
//!
//! [`Get`]s and [`Scan`]s are answered as by a RegionServer. Files of HBase 0.92 to 3.0 are read.
//!
//! ```
//! use hregion::{Get, Region, Scan};
//!
//! # fn main() -> hregion::Result<()> {
//! # let dir = "testdata/region/split-references/root/data/default/halves/b080bd824b133f7fd142d58caf423392";
//! let region = Region::open(dir)?; // read-only
//! let row = region.get(&Get::new("row-0007").family("p"))?;
//! for cell in row.cells() {
//!     println!("{cell} {:?}", cell.value());
//! }
//! # assert!(!row.is_empty());
//!
//! let view = region.view(); // a fixed snapshot
//! let scan = Scan::new().rows("row-0010".."row-0020").max_versions(3);
//! let mut rows = view.scan(&scan)?;
//! let mut count = 0;
//! while let Some(row) = rows.next_row()? {
//!     count += row.len(); // valid until the next row
//! }
//! # assert!(count > 0);
//! # Ok(())
//! # }
//! ```
//!
//! A file by itself is a sorted file of cells:
//!
//! ```
//! use hregion::{BlockCache, HFile, SeekKey};
//!
//! # fn main() -> hregion::Result<()> {
//! let cache = BlockCache::with_capacity(64 << 20); // bytes
//! let file = HFile::options().cache(&cache).open("testdata/golden/region-a-flush1.hfile")?;
//! let mut cells = file.scanner();
//! cells.seek(&SeekKey::first_on_row(b"row-00555"))?;
//! let cell = cells.peek().expect("a row at or after the one sought");
//! println!("{cell}"); // row-00555/cf:col2/1600437568893/Put/vlen=3/seqid=7
//! assert!(cell.row() >= b"row-00555".as_slice());
//! # Ok(())
//! # }
//! ```
//!
//! | layer | modules | contents |
//! |---|---|---|
//! | table | [`table`] | the regions of a table; splits, merges, snapshots, bulk loads |
//! | locator | [`locator`] | from a row to its region and server: `hbase:meta`, `ZooKeeper` |
//! | region | [`region`] | reads and writes of one key range; read points, flushes, compactions, observers |
//! | store | | one family: its segments and files, merged; versions and deletes |
//! | file | [`hfile`] | single HFiles: seeks, scans, writing, verification, salvage |
//! | log | [`wal`] | files of HBase's write-ahead log: entries, markers |
//! | cache | [`cache`] | decoded blocks, bounded by bytes |
//! | block | [`block`] | single blocks: header, checksums, codecs, encodings, index entries, Bloom bits |
//! | bytes | [`io`] | bytes of files by offset, and I/O errors |
//! | requests | [`op`], [`filter`], [`schema`] | gets, scans, mutations; filters; settings |
//! | cell | [`cell`] | cells and their sort order |
//!
//! For any bytes in any file, the result is either an [`Error`] or correct cells: no panic, no endless loop,
//! no allocation beyond [`Limits`]. Errors contain the location ([`Error::path`], [`Error::offset`],
//! [`Error::block`]) and the reason ([`Error::corruption`]).
//!
//! The package has pages on durability, threads, memory, errors and backups (`docs/embedding.md`), and on the
//! supported parts of HBase (`docs/compatibility.md`).
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "the numbers of tests are small"
    )
)]
#![cfg_attr(
    all(target_family = "wasm", target_os = "unknown"),
    allow(dead_code, reason = "without a clock there is no block cache")
)]

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod bench;
mod binary;
pub mod block;
pub mod cache;
pub mod cell;
mod clock;
mod coding;
mod error;
pub mod filter;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
pub mod hfile;
pub mod io;
mod layout;
mod limits;
pub mod locator;
mod memstore;
mod metrics;
mod mvcc;
pub mod op;
mod proto;
pub mod region;
pub mod schema;
mod store;
mod sync;
pub mod table;
pub mod wal;

pub use block::{BlockHandle, BlockHeader, BlockType, BloomHashType, ChecksumType};
pub use cache::{BlockCache, BlockCacheOptions, CacheStats, SecondTierStats};
pub use cell::{Cell, CellKey, CellOrder, CellRef, CellType, Row, RowBuf, RowRef, SeekKey};
pub use clock::{Clock, Deadline, ManualClock, SystemClock, SystemTimer, Timer};
pub use error::{Corruption, Error, ErrorKind, Result};
pub use filter::{Comparator, Filter, FilterEvaluator};
pub use hfile::{
    BloomFilter, Encryption, FileInfo, HFile, HFileOptions, HFileScanner, HFileWriter, HFileWriterOptions,
    LostBlock, SalvageReport, SeekResult, StoreFileOrigin, StoreFileWriter, Trailer, VerifyReport,
};
pub use io::{
    DirEntry, FileHandles, FileIdentity, FileLock, FileReader, LocalFile, LocalStorage, MemoryFile, Storage,
};
pub use limits::Limits;
pub use locator::{ConnectionRegistry, Locator, RegionLocations, ServerName};
pub use metrics::RegionMetrics;
pub use op::{
    Append, CheckAndMutate, Compare, Consistency, Cursor, Delete, Durability, Get, Increment, Isolation,
    Mutation, Put, ReadFrom, Scan, ScanLimits, ScanRows, TimeRange,
};
pub use region::{
    CheckResult, Compaction, HeldThreads, MemoryLimit, ReadView, Region, RegionHealth, RegionObserver,
    RegionOptions, RegionScanner, ReplayReport, ResultScanner, ScanResult, ScanResults, Scheduler,
    SchedulerBuilder, UnreadLogs,
};
pub use schema::{
    BloomType, Cipher, Codec, DataBlockEncoding, Family, FamilyDescription, KeepDeletedCells, RegionInfo,
    RegionName, SnapshotDescription, SnapshotType, TableDescription, TableName,
};
pub use store::{HFileHalf, HFileHalfScanner};
pub use table::{
    BulkLoad, CheckReport, Finding, FindingKind, RegionOutcome, RegionRecovery, RootRecovery, Severity,
    Table, TableChanges, TableResultScanner, TableScanner, TableView,
};

/// The examples in the README, which compile as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The example of the page for programs that embed the crate.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
pub struct Embedding;
