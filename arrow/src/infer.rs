//! A mapping proposed from a sample of rows.

use crate::error::{Error, Result};
use crate::mapping::{Column, Mapping, RowKey};
use crate::value::{Value, decode};
use crate::value_type::{DecimalType, OrderedType, ValueType};
use hregion::RowRef;
use std::collections::BTreeMap;

/// Collects a sample of rows, and proposes the types that all values of a column have.
///
/// A proposal, not a proof: eight bytes may be anything.
#[derive(Debug, Default)]
pub struct Infer {
    columns: BTreeMap<(Vec<u8>, Vec<u8>), Candidates>,
    row: Candidates,
}

/// The candidates that no value has excluded.
#[derive(Clone, Debug)]
struct Candidates(Vec<ValueType>);

/// The digits of an inferred decimal.
const DIGITS: (u8, i8) = (38, 10);

impl Default for Candidates {
    /// All candidates, the most distinctive first.
    fn default() -> Self {
        let ordered = [
            OrderedType::Int8,
            OrderedType::Int16,
            OrderedType::Int32,
            OrderedType::Int64,
            OrderedType::Float32,
            OrderedType::Float64,
        ];
        let mut all = vec![ValueType::Json, ValueType::Boolean, ValueType::Utf8];
        all.extend(ordered.map(ValueType::Ordered));
        all.extend([ValueType::Long, ValueType::Double, ValueType::Int, ValueType::Float, ValueType::Short]);
        if let Ok(decimal) = DecimalType::new(DIGITS.0, DIGITS.1) {
            all.push(ValueType::Decimal(decimal));
        }
        Self(all)
    }
}

impl Candidates {
    fn add(&mut self, bytes: &[u8]) {
        self.0.retain(|ty| is_plausible(*ty, bytes));
    }

    fn proposal(&self) -> ValueType {
        self.0.first().copied().unwrap_or(ValueType::Binary)
    }
}

/// Whether a value has a type, and looks like it.
fn is_plausible(ty: ValueType, bytes: &[u8]) -> bool {
    let Some(value) = decode(ty, bytes) else { return false };
    match (ty, value) {
        // numbers, true and "text" are also valid documents
        (ValueType::Json, Value::Text(text)) => text.starts_with(['{', '[']),
        (ValueType::Utf8, Value::Text(text)) => !text.chars().any(|c| c.is_control() && !c.is_whitespace()),
        (ValueType::Boolean, _) => matches!(bytes, [0 | 0xff]),
        (ValueType::Long, Value::Int64(value)) => value.unsigned_abs() < 1 << 53,
        (ValueType::Int, Value::Int32(value)) => value.unsigned_abs() < 1 << 28,
        (_, Value::Float64(value)) => value == 0.0 || (1e-12..1e18).contains(&value.abs()),
        (_, Value::Float32(value)) => value == 0.0 || (1e-9..1e12).contains(&value.abs()),
        // zero has any scale: four bytes and zeros would be one, such as text with an end
        (ValueType::Decimal(_), _) => bytes
            .first_chunk::<4>()
            .is_some_and(|scale| i32::from_be_bytes(*scale).unsigned_abs() <= u32::from(DIGITS.0)),
        (_, Value::Null) => false,
        _ => true,
    }
}

impl Infer {
    /// Creates an empty sample.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row to the sample.
    pub fn add(&mut self, row: RowRef<'_>) {
        self.row.add(row.key());
        for cell in row.cells() {
            let column = (cell.family().to_vec(), cell.qualifier().to_vec());
            self.columns.entry(column).or_default().add(cell.value());
        }
    }

    /// Returns the mapping of all columns of the sample. The row key is text if all are, or else bytes.
    ///
    /// # Errors
    ///
    /// If the sample has no columns, or one with the name `row`.
    pub fn mapping(&self) -> Result<Mapping> {
        if self.columns.is_empty() {
            return Err(Error::mapping("no columns can be inferred, as no row has a cell"));
        }
        let is_text = self.row.0.contains(&ValueType::Utf8);
        let row = RowKey::whole(if is_text { ValueType::Utf8 } else { ValueType::Binary });
        let column = |((family, qualifier), candidates): (&(Vec<u8>, Vec<u8>), &Candidates)| {
            Column::new(family.clone(), qualifier.clone(), candidates.proposal())
        };
        Mapping::new(row, self.columns.iter().map(column).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_scales_of_decimals() {
        let proposed = |bytes: &[u8]| {
            let mut candidates = Candidates::default();
            candidates.add(bytes);
            candidates.proposal()
        };
        for scale in [2_i32, 0, -2] {
            let bytes = [&scale.to_be_bytes()[..], &[0]].concat();
            assert!(matches!(proposed(&bytes), ValueType::Decimal(_)), "{scale}");
        }
        for text in ["abcd\0", "abcd\0\0\0\0\0\0"] {
            assert_eq!(proposed(text.as_bytes()), ValueType::Binary, "{text:?}");
        }
    }

    #[test]
    fn nothing_is_inferred_from_no_cells() {
        let error = Infer::new().mapping().unwrap_err().to_string();
        assert!(error.contains("no row has a cell"), "{error}");
    }
}
