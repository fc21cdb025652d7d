//! Limits on what a file can make the library allocate, descend or decode.

/// Limits on the cost of reading a file, whatever the file contains.
///
/// A file or row that exceeds them is rejected with [`ErrorKind::Limit`](crate::ErrorKind::Limit) before
/// memory is allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum size of a block, or of an entry of a write-ahead log, in bytes, both stored and decoded.
    /// Default: 1 GiB; on 32-bit systems, where three blocks of that size do not fit in memory, 256 MiB.
    /// Regions write no larger blocks.
    pub block_bytes: usize,
    /// The maximum size of the load-on-open section (root index, file info, Bloom metadata) in bytes, of each
    /// of its blocks once decompressed, of the file info with the list of its entries, and of the memory that
    /// recovered edits take when a region is opened for reading. Opened for writing, it flushes in between;
    /// its flush size counts, too. Default: as for a block.
    pub load_on_open_bytes: usize,
    /// The maximum size in bytes of what an open file without a block cache keeps in memory so that a seek
    /// reads only a part of a block: checksums and first rows of the parts of blocks that a seek has read
    /// before, and index blocks. About one percent of these blocks. 0: nothing is kept, and every seek reads
    /// and checks a whole block. Default: 8 MiB.
    pub outline_bytes: usize,
    /// The maximum size in bytes of the blocks that a long scan of a file reads ahead, stored and decoded, if
    /// the file is local, or they are compressed or encrypted: another thread reads and decodes some of them,
    /// or only decodes them if the file is not local. 0: no thread is used. Default: 4 MiB.
    pub read_ahead_bytes: usize,
    /// The maximum size in bytes of the blocks that the writer of a file with compression has filled but not
    /// written, plain and compressed: another thread compresses some of them. The file does not depend on it.
    /// 0: no thread is used. Default: 4 MiB.
    pub write_behind_bytes: usize,
    /// The maximum size in bytes of the cells of a row that a read collects in one family, as HBase counts
    /// them: each as a `KeyValue` with a length before it. Default: as for a block. HBase:
    /// `hbase.table.max.rowsize`, and its `RowTooBigException`.
    ///
    /// What is returned counts, after filters have changed cells (in HBase, before). A row of more bytes is
    /// read in parts with a [batch](crate::Scan::batch) or [partial results](crate::Scan::allow_partial), or,
    /// without a filter, with [`for_each_cell`](crate::RegionScanner::for_each_cell). Flushes and compactions
    /// collect no rows.
    pub row_bytes: usize,
    /// The maximum number of levels of a data index. Default: 16, as in HBase.
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

    /// Sets the maximum of what is allocated at once for one file:
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
