//! Decimals of up to 38 digits, from integers with another scale.

use crate::value_type::DecimalType;

/// An unscaled integer of 128 bits.
pub(crate) struct Unscaled(pub(crate) i128);

impl Unscaled {
    /// Reads an integer in two's complement (Java: `BigInteger.toByteArray`). Returns `None` if there are no
    /// bytes, or the integer has more than 128 bits.
    pub(crate) fn from_big_endian(bytes: &[u8]) -> Option<Self> {
        let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
        let extra = bytes.len().saturating_sub(16);
        let (head, tail) = bytes.split_at(extra);
        if head.iter().any(|byte| *byte != sign) || tail.first()? & 0x80 != sign & 0x80 {
            return None;
        }
        let mut whole = [sign; 16];
        whole.get_mut(16 - tail.len()..)?.copy_from_slice(tail);
        Some(Self(i128::from_be_bytes(whole)))
    }
}

/// Returns the integer for the scale of a type. Returns `None` if digits would be lost, or are too many.
pub(crate) fn rescale(Unscaled(mut unscaled): Unscaled, scale: i64, to: DecimalType) -> Option<i128> {
    if unscaled == 0 {
        return Some(0);
    }
    let steps = i64::from(to.scale()).checked_sub(scale)?;
    if steps.unsigned_abs() > 40 {
        return None;
    }
    for _ in 0..steps.unsigned_abs() {
        if steps > 0 {
            unscaled = unscaled.checked_mul(10)?;
        } else if unscaled % 10 == 0 {
            unscaled /= 10;
        } else {
            return None;
        }
    }
    let limit = 10_i128.checked_pow(u32::from(to.precision()))?;
    (-limit < unscaled && unscaled < limit).then_some(unscaled)
}
