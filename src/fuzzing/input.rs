//! Choices based on the bytes of an input.

/// The rest of an input. After the end, every byte is 0 and every run of bytes is empty.
#[derive(Clone, Debug)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    pub(super) fn i64(&mut self) -> i64 {
        i64::from(self.u32().cast_signed()) << 32 | i64::from(self.u32())
    }

    /// Chooses one of the values.
    pub(super) fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    /// Returns a run of at most `most` bytes; the next byte of the input gives its length.
    pub(super) fn run(&mut self, most: u8) -> &'a [u8] {
        let len = if most == u8::MAX { self.byte() } else { self.byte() % (most + 1) };
        let (run, rest) = self.0.split_at(usize::from(len).min(self.0.len()));
        self.0 = rest;
        run
    }

    /// Changes `row` to the next row. It usually shares its beginning with the previous row, as in real
    /// tables.
    pub(super) fn row(&mut self, row: &mut Vec<u8>) {
        let keep = usize::from(self.byte());
        // the greatest numbers keep the whole row: the same row again
        row.truncate(if keep >= 0xc0 { row.len() } else { keep });
        if keep < 0xc0 {
            row.extend_from_slice(self.run(20));
        }
    }
}
