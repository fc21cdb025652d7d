//! Arbitrary-precision decimal numbers, with comparison only (HBase: `Bytes.toBigDecimal`, Java's
//! `BigDecimal`).

use crate::error::{Error, Result};
use std::cmp::Ordering;

/// Maximum encoded length in bytes. Comparing numbers of different scales takes time quadratic in this.
const MAX_BYTES: usize = 4096;
/// Maximum number of digits in text.
const MAX_DIGITS: usize = 1000;

/// `±magnitude × 10^-scale`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decimal {
    negative: bool,
    /// Words, least significant first, without trailing zero words.
    magnitude: Vec<u32>,
    scale: i64,
}

impl Decimal {
    /// Parses a number such as `-1.5` or `15E-1`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::invalid_argument(format!("{text:?} is not a decimal number"));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let count = whole.len() + fraction.len();
        if count == 0 || count > MAX_DIGITS {
            return Err(wrong());
        }
        let mut magnitude = Vec::new();
        for c in whole.chars().chain(fraction.chars()) {
            multiply_add(&mut magnitude, 10, c.to_digit(10).ok_or_else(wrong)?);
        }
        let scale = i64::try_from(fraction.len()).map_err(|_| wrong())? - i64::from(exponent);
        Ok(Self { negative: negative && !magnitude.is_empty(), magnitude, scale })
    }

    /// Decodes a four-byte scale and an unscaled value of at least one byte.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (Some((scale, unscaled)), Some(first), true) =
            (bytes.split_first_chunk(), bytes.get(4), bytes.len() <= MAX_BYTES)
        else {
            return Err(Error::invalid_argument(format!(
                "a filter compares decimal numbers of 5 to {MAX_BYTES} bytes, found {}",
                bytes.len()
            )));
        };
        let negative = *first >= 0x80;
        let mut magnitude = Vec::with_capacity(unscaled.len() / 4 + 1);
        // two's complement: a negative value is inverted and incremented
        let flip = if negative { u32::MAX } else { 0 };
        let mut carry = negative;
        for chunk in unscaled.rchunks(4) {
            let start = if negative { u32::MAX } else { 0 };
            let word = chunk.iter().fold(start, |word, byte| word << 8 | u32::from(*byte));
            let (word, carried) = (word ^ flip).overflowing_add(carry.into());
            magnitude.push(word);
            carry = carried;
        }
        if carry {
            magnitude.push(1);
        }
        trim(&mut magnitude);
        Ok(Self { negative, magnitude, scale: i32::from_be_bytes(*scale).into() })
    }

    /// Encodes the number for [`from_bytes`](Self::from_bytes); `None` if it is too long or its scale does
    /// not fit four bytes.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = i32::try_from(self.scale).ok()?.to_be_bytes().to_vec();
        let mut unscaled: Vec<u8> = self.magnitude.iter().rev().flat_map(|word| word.to_be_bytes()).collect();
        if self.negative {
            // two's complement
            let mut carry = true;
            for byte in unscaled.iter_mut().rev() {
                (*byte, carry) = (!*byte).overflowing_add(carry.into());
            }
        }
        let sign = if self.negative { 0xff } else { 0 };
        // the shortest form whose first bit is still the sign
        let extra = unscaled.iter().take_while(|byte| **byte == sign).count();
        let is_sign = |byte: &u8| (byte & 0x80) == (sign & 0x80);
        match unscaled.get(extra) {
            Some(first) if is_sign(first) => {}
            _ => bytes.push(sign),
        }
        bytes.extend_from_slice(unscaled.get(extra..).unwrap_or_default());
        (bytes.len() <= MAX_BYTES).then_some(bytes)
    }

    fn signum(&self) -> i8 {
        match (self.magnitude.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.signum();
        if sign != other.signum() || sign == 0 {
            return sign.cmp(&other.signum());
        }
        let order = self.cmp_magnitude(other);
        if sign < 0 { order.reverse() } else { order }
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        let (mine, others) = (self.exponents(), other.exponents());
        if mine.1 < others.0 {
            return Ordering::Less;
        }
        if mine.0 > others.1 {
            return Ordering::Greater;
        }
        // similar magnitudes: the scales differ by no more than the number of digits
        let (mut a, mut b) = (self.magnitude.clone(), other.magnitude.clone());
        let shorter = if self.scale < other.scale { &mut a } else { &mut b };
        for _ in 0..self.scale.abs_diff(other.scale) {
            multiply_add(shorter, 10, 0);
        }
        a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
    }

    /// Returns powers of ten that bound a non-zero number from below and above.
    fn exponents(&self) -> (i64, i64) {
        let top = self.magnitude.last().map_or(0, |word| 32 - i64::from(word.leading_zeros()));
        let words = i64::try_from(self.magnitude.len()).unwrap_or(i64::MAX / 64);
        let bits = (words - 1) * 32 + top;
        // 0.3 < log10(2) < 0.302
        ((bits - 1) * 300 / 1000 - self.scale, bits * 302 / 1000 + 1 - self.scale)
    }
}

fn multiply_add(magnitude: &mut Vec<u32>, factor: u32, add: u32) {
    let mut carry = u64::from(add);
    for word in magnitude.iter_mut() {
        let product = u64::from(*word) * u64::from(factor) + carry;
        *word = low(product);
        carry = product >> 32;
    }
    if carry > 0 {
        magnitude.push(low(carry));
    }
}

#[allow(clippy::cast_possible_truncation, reason = "takes the lower half")]
fn low(word: u64) -> u32 {
    word as u32
}

fn trim(magnitude: &mut Vec<u32>) {
    while magnitude.last() == Some(&0) {
        magnitude.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(unscaled: i128, scale: i32) -> Decimal {
        Decimal::from_bytes(&[&scale.to_be_bytes()[..], &unscaled.to_be_bytes()].concat()).unwrap()
    }

    #[test]
    fn scales_do_not_matter() {
        let number = |text| Decimal::parse(text).unwrap();
        for (text, unscaled, scale) in [
            ("1.5", 15, 1),
            ("-1.50", -15, 1),
            ("15E-1", 1500, 3),
            ("2e3", 2, -3),
            ("0.0", 0, 9),
            ("+7", 7, 0),
        ] {
            assert_eq!(number(text).cmp(&of(unscaled, scale)), Ordering::Equal, "{text}");
        }
        assert_eq!(number("1").cmp(&of(1, i32::MAX)), Ordering::Greater);
        assert_eq!(number("-1").cmp(&of(-1, i32::MIN)), Ordering::Greater);
        assert_eq!(Decimal::from_bytes(b"\0\0\0\0\x80").unwrap().cmp(&number("-128")), Ordering::Equal);
        assert_eq!(Decimal::from_bytes(b"\0\0\0\0\xff").unwrap().cmp(&number("-1")), Ordering::Equal);
        assert_eq!(
            Decimal::from_bytes(b"\0\0\0\0\x80\0\0\0").unwrap().cmp(&number("-2147483648")),
            Ordering::Equal
        );
        for text in ["", ".", "-", "1e", "1.2.3", "x", "1e99999999999"] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        assert!(
            Decimal::from_bytes(b"\0\0\0\0").is_err() && Decimal::from_bytes(&[0; MAX_BYTES + 1]).is_err()
        );
    }

    #[test]
    fn numbers_as_bytes_are_as_short_as_they_can_be() {
        for (text, bytes) in [
            ("0", &b"\0\0\0\0\0"[..]),
            ("-0.0", b"\0\0\0\x01\0"),
            ("-1", b"\0\0\0\0\xff"),
            ("127", b"\0\0\0\0\x7f"),
            ("128", b"\0\0\0\0\0\x80"),
            ("-128", b"\0\0\0\0\x80"),
            ("-129", b"\0\0\0\0\xff\x7f"),
            ("-25.6E3", b"\xff\xff\xff\xfe\xff\0"),
            ("4294967296", b"\0\0\0\0\x01\0\0\0\0"),
            ("-4294967296", b"\0\0\0\0\xff\0\0\0\0"),
        ] {
            let number = Decimal::parse(text).unwrap();
            assert_eq!(number.to_bytes().as_deref(), Some(bytes), "{text}");
            assert_eq!(Decimal::from_bytes(bytes).unwrap(), number, "{text}");
        }
        assert_eq!(Decimal::parse("1e-2147483647").unwrap().to_bytes().map(|bytes| bytes.len()), Some(5));
        assert_eq!(Decimal::parse("1.5e-2147483647").unwrap().to_bytes(), None);
    }

    proptest! {
        #[test]
        fn bytes_and_back(unscaled: i128, scale: i32) {
            let number = of(unscaled, scale);
            let bytes = number.to_bytes().unwrap();
            prop_assert_eq!(Decimal::from_bytes(&bytes).unwrap(), number);
            let again = &bytes[4..];
            let long = if again[0] & 0x80 == 0 { 0 } else { 0xff };
            let mut full = vec![long; 16 - again.len()];
            full.extend_from_slice(again);
            prop_assert_eq!(full, unscaled.to_be_bytes());
        }

        /// The expected order is computed with 128-bit integers.
        #[test]
        fn small_numbers_compare_as_integers(a: i64, b: i64, a_scale in 0i32..12, b_scale in 0i32..12) {
            let exact = |n: i64, scale: i32| i128::from(n) * 10i128.pow(u32::try_from(12 - scale).unwrap());
            let found = of(a.into(), a_scale).cmp(&of(b.into(), b_scale));
            prop_assert_eq!(found, exact(a, a_scale).cmp(&exact(b, b_scale)));
        }
    }
}
