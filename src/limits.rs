//! The most that a file may make us allocate, descend or decode.

/// Bounds on what reading a file may cost, whatever the file says.
///
/// A file that would need more is refused with [`ErrorKind::Limit`](crate::ErrorKind::Limit) before the memory is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes of one block, as stored and as decoded. Default: 1 GiB.
    pub block_bytes: usize,
    /// The most bytes of the load-on-open section: root index, file info, Bloom metadata. Default: 1 GiB.
    pub load_on_open_bytes: usize,
    /// The most levels of a data index. Default: 16, HBase's own bound.
    pub index_levels: u32,
    /// The most bytes of one line of a text: cells as JSON, operations of a script, keys, rows. The library reads no such texts;
    /// it is for programs that do, as `hregion` the tool. Default: 256 MiB.
    pub line_bytes: usize,
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { block_bytes: 1 << 30, load_on_open_bytes: 1 << 30, index_levels: 16, line_bytes: 256 << 20 }
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
