//! Reads integers and byte strings from borrowed bytes (hfile.md §1).
#![warn(clippy::indexing_slicing)]

use crate::error::Corruption;

/// A position in borrowed bytes that moves forward, never past the end.
///
/// Each call names the field it reads, so that errors for short input name the missing field.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// Reads the next `len` bytes.
    #[inline]
    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Corruption> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.short(len, what));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the next `N` bytes.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Corruption> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.short(N, what));
        };
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Corruption> {
        self.array::<1>(what).map(|[b]| b)
    }

    #[inline]
    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Corruption> {
        self.array(what).map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Corruption> {
        self.array(what).map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, Corruption> {
        self.array(what).map(i32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, Corruption> {
        self.array(what).map(i64::from_be_bytes)
    }

    /// Reads a non-negative `i32`.
    #[inline]
    pub(crate) fn len(&mut self, what: &'static str) -> Result<usize, Corruption> {
        let value = self.i32(what)?;
        usize::try_from(value).map_err(|_| Corruption::out_of_range(what, value.into(), 0, i32::MAX.into()))
    }

    /// Reads a Hadoop vlong (§1.1). Non-minimal forms are accepted.
    #[inline]
    pub(crate) fn vlong(&mut self, what: &'static str) -> Result<i64, Corruption> {
        let first = self.u8(what)?.cast_signed();
        if first >= -112 {
            return Ok(first.into());
        }
        let (negative, len) = if first >= -120 { (false, -112 - first) } else { (true, -120 - first) };
        let bytes = self.take(usize::from(len.unsigned_abs()), what)?;
        let magnitude = bytes.iter().fold(0u64, |n, &b| n << 8 | u64::from(b)).cast_signed();
        Ok(if negative { !magnitude } else { magnitude })
    }

    /// Reads a Hadoop vint used as a length: non-negative, up to 31 bits.
    pub(crate) fn vlen(&mut self, what: &'static str) -> Result<usize, Corruption> {
        let value = self.vlong(what)?;
        match i32::try_from(value).ok().and_then(|v| usize::try_from(v).ok()) {
            Some(len) => Ok(len),
            None => Err(Corruption::out_of_range(what, value, 0, i32::MAX.into())),
        }
    }

    /// Reads a vint length and that many bytes (§1.3).
    pub(crate) fn vbytes(&mut self, what: &'static str) -> Result<&'a [u8], Corruption> {
        let len = self.vlen(what)?;
        self.take(len, what)
    }

    /// Reads a protobuf varint of at most 64 bits.
    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, Corruption> {
        read_varint(|| self.u8(what))
    }

    /// Reads a cint (§1.2): seven bits per byte, least significant first, at most 31 bits in total.
    #[inline]
    pub(crate) fn cint(&mut self, what: &'static str) -> Result<usize, Corruption> {
        let first = self.u8(what)?;
        if first < 0x80 {
            return Ok(first.into());
        }
        let mut value = u64::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let byte = self.u8(what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            if shift == 28 {
                return Err(Corruption::Malformed("compressed int of more than five bytes"));
            }
        }
        match i32::try_from(value).ok().and_then(|v| usize::try_from(v).ok()) {
            Some(len) => Ok(len),
            None => Err(Corruption::out_of_range(
                what,
                i64::try_from(value).unwrap_or(i64::MAX),
                0,
                i32::MAX.into(),
            )),
        }
    }

    /// Returns the remaining bytes.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns the number of bytes read.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails unless all bytes have been read.
    pub(crate) fn finish(&self, what: &'static str) -> Result<(), Corruption> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let left = i64::try_from(self.rest.len()).unwrap_or(i64::MAX);
        Err(Corruption::Mismatch { what, expected: 0, found: left })
    }

    #[cold]
    fn short(&self, needed: usize, what: &'static str) -> Corruption {
        Corruption::Truncated { what, needed: needed as u64, available: self.rest.len() as u64 }
    }
}

/// Appends a Hadoop vlong in its minimal form.
#[inline]
pub(crate) fn put_vlong(out: &mut Vec<u8>, value: i64) {
    match i8::try_from(value) {
        Ok(byte @ -112..=127) => out.push(byte.cast_unsigned()),
        _ => put_long_vlong(out, value),
    }
}

#[inline]
fn put_long_vlong(out: &mut Vec<u8>, value: i64) {
    let (magnitude, base) = if value < 0 { (!value, 0x87u8) } else { (value, 0x8f) };
    // base is the first byte for a one-byte magnitude, decremented for each further byte
    let more = (7 - magnitude.leading_zeros() / 8).min(7);
    let bytes = magnitude.cast_unsigned() << (8 * (7 - more));
    out.push(base - u8::try_from(more).unwrap_or(7));
    // copying eight bytes takes fewer instructions than an unknown number
    let end = out.len() + 1 + more as usize;
    out.extend_from_slice(&bytes.to_be_bytes());
    out.truncate(end);
}

/// Returns the number of bytes that [`put_vlong`] writes for `value`.
#[inline]
pub(crate) fn vlong_len(value: i64) -> usize {
    if (-112..=127).contains(&value) {
        return 1;
    }
    let magnitude = if value < 0 { !value } else { value };
    1 + (64 - magnitude.leading_zeros() as usize).div_ceil(8).max(1)
}

/// Reads a protobuf varint of at most 64 bits, whose bytes `next` returns.
pub(crate) fn read_varint<E: From<Corruption>>(mut next: impl FnMut() -> Result<u8, E>) -> Result<u64, E> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = next()?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Corruption::Malformed("varint of more than 64 bits").into())
}

/// Appends a protobuf varint. For numbers up to 31 bits this is a cint (§1.2) as well.
#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the first `len` of `bytes`, which must have at least that many. Optimized for `len` up to `N`.
///
/// In that case, if `bytes` has at least `N` bytes, `N` bytes are copied and the excess is truncated: this
/// takes a few instructions, while a copy of variable length takes a call.
#[inline]
pub(crate) fn put_short<const N: usize>(out: &mut Vec<u8>, bytes: &[u8], len: usize) {
    if let Some(chunk) = bytes.first_chunk::<N>()
        && len <= N
    {
        let end = out.len() + len;
        out.extend_from_slice(chunk);
        out.truncate(end);
    } else {
        out.extend_from_slice(bytes.get(..len).unwrap_or(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLES: &[(i64, &[u8])] = &[
        (0, &[0]),
        (127, &[0x7f]),
        (-112, &[0x90]),
        (128, &[0x8f, 0x80]),
        (-113, &[0x87, 0x70]),
        (255, &[0x8f, 0xff]),
        (256, &[0x8e, 1, 0]),
        (65535, &[0x8e, 0xff, 0xff]),
        (65536, &[0x8d, 1, 0, 0]),
        (-256, &[0x87, 0xff]),
        (i64::MAX, &[0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (i64::MIN, &[0x80, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ];

    #[test]
    fn vlongs_are_as_hadoop_writes_them() {
        for &(value, bytes) in EXAMPLES {
            let mut out = Vec::new();
            put_vlong(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(vlong_len(value), bytes.len(), "{value}");
            assert_eq!(Cursor::new(bytes).vlong("x"), Ok(value));
        }
    }

    #[test]
    fn cints_of_the_specification() {
        for (value, bytes) in [
            (0usize, &[0u8][..]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (16384, &[0x80, 0x80, 1]),
        ] {
            let mut out = Vec::new();
            put_varint(&mut out, value as u64);
            assert_eq!(out, bytes);
            assert_eq!(Cursor::new(bytes).cint("x"), Ok(value));
        }
        assert!(Cursor::new(&[0xff; 9]).cint("x").is_err());
        assert!(Cursor::new(&[0xff; 12]).varint("x").is_err());
    }

    proptest! {
        #[test]
        fn numbers_survive(value: i64, len in 0..i32::MAX) {
            let mut out = Vec::new();
            put_vlong(&mut out, value);
            prop_assert_eq!(out.len(), vlong_len(value));
            let vlong_end = out.len();
            put_varint(&mut out, value.cast_unsigned());
            put_varint(&mut out, u64::from(len.cast_unsigned()));
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.vlong("a"), Ok(value));
            prop_assert_eq!(cursor.position(), vlong_end);
            prop_assert_eq!(cursor.varint("b"), Ok(value.cast_unsigned()));
            prop_assert_eq!(cursor.cint("c"), Ok(len as usize));
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn short_bytes_are_put_as_any(
            bytes in proptest::collection::vec(any::<u8>(), 0..20),
            len in 0usize..20,
        ) {
            let len = len.min(bytes.len());
            let mut out = vec![7];
            put_short::<8>(&mut out, &bytes, len);
            prop_assert_eq!(&out[1..], &bytes[..len]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            while cursor.vbytes("x").is_ok() && !cursor.is_empty() {}
            let mut cursor = Cursor::new(&bytes);
            while cursor.varint("x").is_ok() && cursor.cint("x").is_ok() && !cursor.is_empty() {}
        }
    }
}
