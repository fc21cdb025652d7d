//! Limits on the memory and work that a file can cause.

/// Limits on the cost of reading a file, for any content.
///
/// A file or row that exceeds them is rejected with [`ErrorKind::Limit`](crate::ErrorKind::Limit) before
/// memory is allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum size of a block, or of an entry of a write-ahead log, in bytes, both stored and decoded.
    /// Default: 1 GiB; on 32-bit systems, where three blocks of that size do not fit in memory, 256 MiB.
    /// Regions write no larger blocks. An entry of recovered edits may have half as much again, as
    /// [`WalReader::new`](crate::wal::WalReader::new) says.
    pub block_bytes: usize,
    /// The maximum size in bytes of each of these: the load-on-open section of a file (root index, file info,
    /// Bloom metadata); each of its blocks once decompressed; the file info with the list of its entries; the
    /// memory that recovered edits take when a region is opened for reading. A region that is opened for
    /// writing flushes them when they take this much or eight times its flush size, whichever is greater.
    /// Default: as for a block.
    pub load_on_open_bytes: usize,
    /// The maximum size in bytes of the outlines that an open file without a block cache keeps in memory, and
    /// of its index blocks. The outline of a block has the checksums and first rows of its parts, so that
    /// later seeks in the block read only a part of it; it takes about one percent of the block. 0: nothing
    /// is kept, and every seek reads and checks a whole block. Default: 8 MiB.
    pub outline_bytes: usize,
    /// The maximum size in bytes, stored and decoded, of the blocks that a long scan reads ahead in a file
    /// that is local, compressed or encrypted. Another thread decodes some of them, and reads them if the
    /// file is local. 0: no thread is used. Default: 4 MiB.
    pub read_ahead_bytes: usize,
    /// The maximum size in bytes, plain and compressed, of the blocks that the writer of a file with
    /// compression has filled but not written. Another thread compresses some of them. The bytes of the file
    /// do not depend on this. 0: no thread is used. Default: 4 MiB.
    pub write_behind_bytes: usize,
    /// The maximum size in bytes of the cells of a row that a read collects in one family, as HBase counts
    /// them: each as a `KeyValue` with a length before it. Default: as for a block. If the table or the
    /// family sets `hbase.table.max.rowsize`, the lesser of both applies (HBase: `RowTooBigException`).
    ///
    /// Counts returned cells, after filters have changed them (in HBase, before). A row of more bytes is read
    /// in parts with a [batch](crate::Scan::batch) or [partial results](crate::Scan::allow_partial), or,
    /// without a filter, with [`for_each_cell`](crate::RegionScanner::for_each_cell). Flushes and compactions
    /// collect no rows.
    pub row_bytes: usize,
    /// The maximum number of levels of a data index. Default: 16, as in HBase. Indexes are written with no
    /// more.
    pub index_levels: u32,
    /// The maximum length of a line of text in bytes: cells as JSON, operations of a script, keys, rows. The
    /// library does not read such texts; the limit is for programs that do, such as the `hregion` tool.
    /// Default: 256 MiB.
    pub line_bytes: usize,
}

impl Limits {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        let bytes = if usize::BITS > 32 { 1 << 30 } else { 256 << 20 };
        Self {
            block_bytes: bytes,
            load_on_open_bytes: bytes,
            outline_bytes: 8 << 20,
            read_ahead_bytes: 4 << 20,
            write_behind_bytes: 4 << 20,
            row_bytes: bytes,
            index_levels: 16,
            line_bytes: 256 << 20,
        }
    }

    /// Sets [`block_bytes`](Self::block_bytes).
    #[must_use]
    pub fn with_block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = bytes;
        self
    }

    /// Sets [`load_on_open_bytes`](Self::load_on_open_bytes).
    #[must_use]
    pub fn with_load_on_open_bytes(mut self, bytes: usize) -> Self {
        self.load_on_open_bytes = bytes;
        self
    }

    /// Sets [`outline_bytes`](Self::outline_bytes).
    #[must_use]
    pub fn with_outline_bytes(mut self, bytes: usize) -> Self {
        self.outline_bytes = bytes;
        self
    }

    /// Sets [`read_ahead_bytes`](Self::read_ahead_bytes).
    #[must_use]
    pub fn with_read_ahead_bytes(mut self, bytes: usize) -> Self {
        self.read_ahead_bytes = bytes;
        self
    }

    /// Sets [`write_behind_bytes`](Self::write_behind_bytes).
    #[must_use]
    pub fn with_write_behind_bytes(mut self, bytes: usize) -> Self {
        self.write_behind_bytes = bytes;
        self
    }

    /// Sets the maximum that is allocated at once for one file:
    /// [`load_on_open_bytes`](Self::load_on_open_bytes), and [`block_bytes`](Self::block_bytes) if that is
    /// greater.
    #[must_use]
    pub fn with_memory_bytes(self, bytes: usize) -> Self {
        let block_bytes = self.block_bytes.min(bytes);
        self.with_load_on_open_bytes(bytes).with_block_bytes(block_bytes)
    }

    /// Sets [`row_bytes`](Self::row_bytes).
    #[must_use]
    pub fn with_row_bytes(mut self, bytes: usize) -> Self {
        self.row_bytes = bytes;
        self
    }

    /// Sets [`line_bytes`](Self::line_bytes).
    #[must_use]
    pub fn with_line_bytes(mut self, bytes: usize) -> Self {
        self.line_bytes = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
