//! Values whose bytes sort like the values (HBase: `OrderedBytes`), ascending and descending.

use crate::decimal::{Unscaled, rescale};
use crate::value::Value;
use crate::value_type::{DecimalType, OrderedType};

const NULL: u8 = 0x05;
const NEGATIVE_LARGE: u8 = 0x08;
const NEGATIVE_MEDIUM: std::ops::RangeInclusive<u8> = 0x09..=0x13;
const NEGATIVE_SMALL: u8 = 0x14;
const ZERO: u8 = 0x15;
const POSITIVE_SMALL: u8 = 0x16;
const POSITIVE_MEDIUM: std::ops::RangeInclusive<u8> = 0x17..=0x21;
const POSITIVE_LARGE: u8 = 0x22;
const INT8: u8 = 0x29;
const INT16: u8 = 0x2a;
const INT32: u8 = 0x2b;
const INT64: u8 = 0x2c;
const FLOAT32: u8 = 0x30;
const FLOAT64: u8 = 0x31;
const TEXT: u8 = 0x34;
const BLOB_VAR: u8 = 0x37;
const BLOB_COPY: u8 = 0x38;
/// Larger than every first byte of an ascending value; descending ones have it inverted.
const ASCENDING_END: u8 = 0x80;

/// Bytes of a value in either order: those of a descending value are inverted.
#[derive(Clone, Copy)]
struct Reader<'b> {
    bytes: &'b [u8],
    mask: u8,
}

impl<'b> Reader<'b> {
    fn new(bytes: &'b [u8]) -> Option<Self> {
        let mask = if *bytes.first()? < ASCENDING_END { 0 } else { 0xff };
        Some(Self { bytes, mask })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first ^ self.mask)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(array.map(|byte| byte ^ self.mask))
    }

    /// The bytes before the next zero, which is skipped.
    fn terminated(&mut self) -> Option<Vec<u8>> {
        let mask = self.mask;
        let end = self.bytes.iter().position(|byte| *byte == mask)?;
        let (value, rest) = self.bytes.split_at(end);
        self.bytes = rest.get(1..)?;
        Some(value.iter().map(|byte| byte ^ mask).collect())
    }
}

/// Decodes the value at the beginning of `bytes`. Returns it with the bytes after it, or `None` if there is
/// no such value. A `BlobCopy` in ascending order takes all bytes.
pub(crate) fn decode(ty: OrderedType, bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let mut reader = Reader::new(bytes)?;
    let head = reader.byte()?;
    if head == NULL {
        // in descending order a null of this encoding has an end, as its values have
        let has_end = ty == OrderedType::BlobCopy && reader.mask != 0;
        let rest = reader.bytes.strip_prefix(&[reader.mask]).filter(|_| has_end);
        return Some((Value::Null, rest.unwrap_or(reader.bytes)));
    }
    let expect = |expected: u8| (head == expected).then_some(());
    let value = match ty {
        OrderedType::Int8 => {
            expect(INT8)?;
            Value::Int8(i8::from_be_bytes(reader.array()?) ^ i8::MIN)
        }
        OrderedType::Int16 => {
            expect(INT16)?;
            Value::Int16(i16::from_be_bytes(reader.array()?) ^ i16::MIN)
        }
        OrderedType::Int32 => {
            expect(INT32)?;
            Value::Int32(i32::from_be_bytes(reader.array()?) ^ i32::MIN)
        }
        OrderedType::Int64 => {
            expect(INT64)?;
            Value::Int64(i64::from_be_bytes(reader.array()?) ^ i64::MIN)
        }
        OrderedType::Float32 => {
            expect(FLOAT32)?;
            // the sign bit of a positive number is set; all bits of a negative one are inverted
            let bits = u32::from_be_bytes(reader.array()?);
            Value::Float32(f32::from_bits(if bits >> 31 == 1 { bits ^ 1 << 31 } else { !bits }))
        }
        OrderedType::Float64 => {
            expect(FLOAT64)?;
            let bits = u64::from_be_bytes(reader.array()?);
            Value::Float64(f64::from_bits(if bits >> 63 == 1 { bits ^ 1 << 63 } else { !bits }))
        }
        OrderedType::Numeric(decimal) => Value::Decimal(decode_numeric(decimal, head, &mut reader)?),
        OrderedType::Text => {
            expect(TEXT)?;
            Value::Text(String::from_utf8(reader.terminated()?).ok()?.into())
        }
        OrderedType::Blob => {
            expect(BLOB_VAR)?;
            Value::Bytes(decode_blob(&mut reader)?.into())
        }
        OrderedType::BlobCopy => {
            expect(BLOB_COPY)?;
            if reader.mask == 0 {
                return Some((Value::Bytes(reader.bytes.into()), &[]));
            }
            Value::Bytes(reader.terminated()?.into())
        }
    };
    Some((value, reader.bytes))
}

/// Returns the number of bytes of the value at the beginning of `bytes`; `None` if the value does not tell.
pub(crate) fn length(ty: OrderedType, bytes: &[u8]) -> Option<usize> {
    match ty.width() {
        Some(width) => Some(if Reader::new(bytes)?.byte()? == NULL { 1 } else { width }),
        None => match decode(ty, bytes)? {
            // it ends with the row key, or before the part after it
            (Value::Bytes(_), []) if ty == OrderedType::BlobCopy => None,
            (_, rest) => bytes.len().checked_sub(rest.len()),
        },
    }
}

/// Decodes groups of seven bits; all but the last have the high bit set.
fn decode_blob(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let (mut value, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    let mut groups = 0_usize;
    loop {
        let byte = reader.byte()?;
        groups += 1;
        bits = (bits << 7 | u32::from(byte & 0x7f)) & 0xffff;
        held += 7;
        if held >= 8 {
            held -= 8;
            value.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
        if byte & 0x80 == 0 {
            break;
        }
    }
    let padding = bits & ((1 << held) - 1);
    let expected = if value.is_empty() { 1 } else { (value.len() * 8).div_ceil(7) };
    (padding == 0 && groups == expected).then_some(value)
}

/// Decodes digits of base 100 with an exponent.
fn decode_numeric(decimal: DecimalType, head: u8, reader: &mut Reader<'_>) -> Option<i128> {
    // the bytes of a negative number are inverted once more
    let (exponent, is_negative) = match head {
        ZERO => return Some(0),
        NEGATIVE_LARGE => (exponent(reader, true)?, true),
        head if NEGATIVE_MEDIUM.contains(&head) => (i64::from(NEGATIVE_MEDIUM.end() - head), true),
        NEGATIVE_SMALL => (-exponent(reader, false)?, true),
        POSITIVE_SMALL => (-exponent(reader, true)?, false),
        head if POSITIVE_MEDIUM.contains(&head) => (i64::from(head - POSITIVE_MEDIUM.start()), false),
        POSITIVE_LARGE => (exponent(reader, false)?, false),
        // infinities and NaN are not decimals
        _ => return None,
    };
    let (mut unscaled, mut digits) = (0_i128, 0_i64);
    loop {
        let byte = reader.byte()? ^ if is_negative { 0xff } else { 0 };
        if byte >> 1 > 99 {
            return None;
        }
        digits += 1;
        unscaled = unscaled.checked_mul(100)?.checked_add(i128::from(byte >> 1))?;
        if byte & 1 == 0 {
            break;
        }
    }
    let scale = (digits - exponent).checked_mul(2)?;
    rescale(Unscaled(if is_negative { -unscaled } else { unscaled }), scale, decimal)
}

/// Decodes an unsigned integer of one to nine bytes, which may be inverted. Returns `None` if it is larger
/// than any exponent of a decimal.
fn exponent(reader: &mut Reader<'_>, is_inverted: bool) -> Option<i64> {
    let mask = if is_inverted { 0xff } else { 0 };
    let first = i64::from(reader.byte()? ^ mask);
    match first {
        0..=240 => Some(first),
        241..=248 => Some(240 + 256 * (first - 241) + i64::from(reader.byte()? ^ mask)),
        _ => None,
    }
}
