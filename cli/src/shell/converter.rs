//! Converters: print bytes as HBase's shell does, by the methods of HBase's `Bytes`.

use super::columns::Column;
use super::options::Options;
use super::session::Stop;
use crate::cell_line::put_binary;
use crate::failure::CommandError;
use crate::text;
use hregion::CellRef;
use hregion::cell::StringBinary;
use serde_json::json;

/// The only class that has converters here.
const BYTES: &str = "org.apache.hadoop.hbase.util.Bytes";

pub(super) const CONVERTERS: [(&str, Converter); 8] = [
    ("toBoolean", Converter::Boolean),
    ("toDouble", Converter::Double),
    ("toFloat", Converter::Float),
    ("toInt", Converter::Int),
    ("toLong", Converter::Long),
    ("toShort", Converter::Short),
    ("toString", Converter::Text),
    ("toStringBinary", Converter::Binary),
];

/// A method of HBase's `Bytes` that makes something to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Converter {
    Boolean,
    Double,
    Float,
    Int,
    Long,
    Short,
    Text,
    Binary,
}

impl Converter {
    fn name(self) -> &'static str {
        CONVERTERS.iter().find(|(_, converter)| *converter == self).map_or("", |(name, _)| *name)
    }

    fn from_name(name: &str) -> Result<Self, String> {
        let found = CONVERTERS.iter().find(|(other, _)| *other == name);
        found.map(|(_, converter)| *converter).ok_or_else(|| {
            let names: Vec<&str> = CONVERTERS.iter().map(|(name, _)| *name).collect();
            format!("the converter {name} is not supported; there are {}", names.join(", "))
        })
    }

    /// Parses what follows the qualifier of a column: `toInt`, or
    /// `c(org.apache.hadoop.hbase.util.Bytes).toInt`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("c(") else { return Self::from_name(text) };
        let (class, name) =
            rest.split_once(").").ok_or_else(|| format!("expected c(Class).method, found {text}"))?;
        check_class(class)?;
        Self::from_name(name)
    }

    /// Returns a value as JSON. Fails with the number of bytes that the value should have.
    pub(super) fn to_json(self, bytes: &[u8]) -> Result<serde_json::Value, usize> {
        Ok(match self {
            Self::Boolean => {
                let [byte] = exactly(bytes)?;
                json!(byte != 0)
            }
            Self::Short => json!(i16::from_be_bytes(exactly(bytes)?)),
            Self::Int => json!(i32::from_be_bytes(exactly(bytes)?)),
            Self::Long => json!(i64::from_be_bytes(exactly(bytes)?)),
            Self::Float => float_json(f32::from_be_bytes(exactly(bytes)?).into()),
            Self::Double => float_json(f64::from_be_bytes(exactly(bytes)?)),
            Self::Text => json!(String::from_utf8_lossy(bytes)),
            Self::Binary => json!(StringBinary(bytes).to_string()),
        })
    }

    /// Appends a value as HBase's shell prints it. Characters that a terminal would interpret are escaped.
    fn put(self, line: &mut Vec<u8>, bytes: &[u8]) -> Result<(), usize> {
        let printed = match self {
            Self::Binary => {
                put_binary(line, bytes);
                return Ok(());
            }
            Self::Text => text::printable(&String::from_utf8_lossy(bytes)).into_owned(),
            Self::Float => ruby_float(f32::from_be_bytes(exactly(bytes)?).into()),
            Self::Double => ruby_float(f64::from_be_bytes(exactly(bytes)?)),
            _ => self.to_json(bytes)?.to_string(),
        };
        line.extend_from_slice(printed.as_bytes());
        Ok(())
    }
}

/// Fails for classes other than HBase's `Bytes`.
fn check_class(class: &str) -> Result<(), String> {
    if class == BYTES {
        return Ok(());
    }
    Err(format!("converters of the class {class} are not supported, only those of {BYTES}"))
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], usize> {
    bytes.try_into().map_err(|_| N)
}

/// JSON has no infinities.
fn float_json(number: f64) -> serde_json::Value {
    if number.is_finite() { json!(number) } else { json!(ruby_float(number)) }
}

/// Formats a number as Ruby's `Float#to_s`.
fn ruby_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = number.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let fraction = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{fraction}e{sign}{:02}", exponent.abs())
}

/// The formats in which a command prints cells.
#[derive(Clone, Debug, Default)]
pub(super) struct Formats {
    /// The option FORMATTER: for the row, the family, the qualifier and the value.
    all: Option<Converter>,
    /// The values of columns.
    columns: Vec<(Vec<u8>, Vec<u8>, Converter)>,
}

impl Formats {
    /// Takes the options FORMATTER and FORMATTER_CLASS.
    pub(super) fn take(&mut self, options: &mut Options<'_>) -> Result<(), Stop> {
        if let Some(class) = options.take("FORMATTER_CLASS") {
            let name = class.text("the name of a class")?;
            check_class(&name).map_err(|message| Stop::At(class.at, message))?;
        }
        if let Some(method) = options.take("FORMATTER") {
            let name = method.text("the name of a converter")?;
            let converter = Converter::parse(&name).map_err(|message| Stop::At(method.at, message))?;
            self.all = Some(converter);
        }
        Ok(())
    }

    /// Adds a column with a converter, and returns the column.
    pub(super) fn add(&mut self, (column, converter): (Column, Option<Converter>)) -> Column {
        if let (Some(converter), (family, Some(qualifier))) = (converter, &column) {
            self.columns.retain(|(f, q, _)| (f, q) != (family, qualifier));
            self.columns.push((family.clone(), qualifier.clone(), converter));
        }
        column
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_none() && self.columns.is_empty()
    }

    fn of_value(&self, cell: &CellRef<'_>) -> Option<Converter> {
        let of_cell = |(family, qualifier, _): &&(Vec<u8>, Vec<u8>, Converter)| {
            (family.as_slice(), qualifier.as_slice()) == (cell.family(), cell.qualifier())
        };
        self.columns.iter().find(of_cell).map(|(.., converter)| *converter).or(self.all)
    }

    /// Returns the bytes of a part of a cell, and its converter.
    fn part<'c>(&self, part: Part, cell: &CellRef<'c>) -> (&'c [u8], Option<Converter>) {
        match part {
            Part::Row => (cell.row(), self.all),
            Part::Family => (cell.family(), self.all),
            Part::Qualifier => (cell.qualifier(), self.all),
            Part::Value => (cell.value(), self.of_value(cell)),
        }
    }

    /// Appends a part of a cell.
    pub(super) fn put(&self, part: Part, cell: &CellRef<'_>, line: &mut Vec<u8>) -> Result<(), CommandError> {
        let (bytes, converter) = self.part(part, cell);
        let converter = converter.unwrap_or(Converter::Binary);
        converter
            .put(line, bytes)
            .map_err(|expected| wrong_length(converter, part, cell, bytes.len(), expected))
    }

    /// Replaces the members of a cell's JSON that have a converter.
    pub(super) fn replace(
        &self,
        cell: &CellRef<'_>,
        members: &mut serde_json::Value,
    ) -> Result<(), CommandError> {
        for part in [Part::Row, Part::Family, Part::Qualifier, Part::Value] {
            let (bytes, converter) = self.part(part, cell);
            let Some(converter) = converter.filter(|_| part != Part::Value || !cell.cell_type().is_delete())
            else {
                continue;
            };
            let json = converter.to_json(bytes);
            members[part.name()] =
                json.map_err(|expected| wrong_length(converter, part, cell, bytes.len(), expected))?;
        }
        Ok(())
    }
}

/// A part of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Row,
    Family,
    Qualifier,
    Value,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Family => "family",
            Self::Qualifier => "qualifier",
            Self::Value => "value",
        }
    }
}

fn wrong_length(
    converter: Converter,
    part: Part,
    cell: &CellRef<'_>,
    found: usize,
    expected: usize,
) -> CommandError {
    let (row, family) = (StringBinary(cell.row()), StringBinary(cell.family()));
    CommandError::invalid(format!(
        "{}: row {row:.64}, column {family}:{:.64}: expected a {} of {expected} bytes, found {found}",
        converter.name(),
        StringBinary(cell.qualifier()),
        part.name(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(name: &str, bytes: &[u8]) -> Result<String, usize> {
        let mut line = Vec::new();
        Converter::parse(name).unwrap().put(&mut line, bytes)?;
        Ok(String::from_utf8(line).unwrap())
    }

    #[test]
    fn values_are_printed_as_by_ruby() {
        for (name, bytes, expected) in [
            ("toBoolean", &[0][..], "false"),
            ("toBoolean", &[255], "true"),
            ("toShort", &[0xff, 0xfe], "-2"),
            ("toInt", &[0, 0, 1, 0], "256"),
            ("toLong", &i64::MIN.to_be_bytes(), "-9223372036854775808"),
            ("toFloat", &0.1_f32.to_be_bytes(), "0.10000000149011612"),
            ("toDouble", &1.0_f64.to_be_bytes(), "1.0"),
            ("toDouble", &(-0.0_f64).to_be_bytes(), "-0.0"),
            ("toDouble", &0.0001_f64.to_be_bytes(), "0.0001"),
            ("toDouble", &0.00001_f64.to_be_bytes(), "1.0e-05"),
            ("toDouble", &1e15_f64.to_be_bytes(), "1000000000000000.0"),
            ("toDouble", &1e16_f64.to_be_bytes(), "1.0e+16"),
            ("toDouble", &(-1.5e300_f64).to_be_bytes(), "-1.5e+300"),
            ("toDouble", &f64::NAN.to_be_bytes(), "NaN"),
            ("toDouble", &f64::NEG_INFINITY.to_be_bytes(), "-Infinity"),
            ("toString", "\u{e4}\n\u{1b}".as_bytes(), "\u{e4}\\x0A\\x1B"),
            ("toString", &[0xff], "\u{fffd}"),
            ("toStringBinary", &[0xff, b'a'], "\\xFFa"),
            ("c(org.apache.hadoop.hbase.util.Bytes).toInt", &[0, 0, 0, 7], "7"),
        ] {
            assert_eq!(printed(name, bytes).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn other_lengths_classes_and_methods_are_errors() {
        for (name, length) in
            [("toBoolean", 1), ("toShort", 2), ("toInt", 4), ("toLong", 8), ("toFloat", 4), ("toDouble", 8)]
        {
            for found in [0, length - 1, length + 1] {
                assert_eq!(
                    printed(name, &vec![0; found]).unwrap_or_else(|n| n.to_string()),
                    length.to_string()
                );
            }
        }
        let wrong = |text: &str| Converter::parse(text).unwrap_err();
        assert!(wrong("toBigDecimal").contains("toBigDecimal is not supported; there are toBoolean,"));
        assert!(wrong("c(my.Own).toInt").contains("the class my.Own"));
        assert!(wrong("c(my.Own)").contains("expected c(Class).method"));
    }
}
