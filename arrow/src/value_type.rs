//! The types of values and of parts of row keys.

use crate::error::Error;
use arrow_schema::{DataType, TimeUnit};
use std::fmt;
use std::str::FromStr;

/// The encoding of a value in HBase, and with it the Arrow type.
///
/// Numbers are big-endian, as `org.apache.hadoop.hbase.util.Bytes` writes them. The [ordered](Self::Ordered)
/// encodings are those of `org.apache.hadoop.hbase.util.OrderedBytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueType {
    /// Any bytes. Arrow: `Binary`.
    Binary,
    /// Text in UTF-8. Arrow: `Utf8`.
    Utf8,
    /// A JSON document in UTF-8. Arrow: `Utf8`, with the extension name `arrow.json`.
    Json,
    /// One byte, false if it is zero (`Bytes.toBoolean`). Arrow: `Boolean`.
    Boolean,
    /// One byte. Arrow: `Int8`.
    Byte,
    /// Two bytes (`Bytes.toShort`). Arrow: `Int16`.
    Short,
    /// Four bytes (`Bytes.toInt`). Arrow: `Int32`.
    Int,
    /// Eight bytes (`Bytes.toLong`, counters). Arrow: `Int64`.
    Long,
    /// Four bytes (`Bytes.toFloat`). Arrow: `Float32`.
    Float,
    /// Eight bytes (`Bytes.toDouble`). Arrow: `Float64`.
    Double,
    /// Eight bytes, milliseconds since 1970. Arrow: `Timestamp(Millisecond, UTC)`.
    Timestamp,
    /// A scale of four bytes and an unscaled integer (`Bytes.toBigDecimal`). Arrow: `Decimal128`.
    Decimal(DecimalType),
    /// An encoding whose bytes sort like the values (`OrderedBytes`), in either order. A value may be null.
    Ordered(OrderedType),
}

/// The encodings of `OrderedBytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OrderedType {
    /// `encodeInt8`. Arrow: `Int8`.
    Int8,
    /// `encodeInt16`. Arrow: `Int16`.
    Int16,
    /// `encodeInt32`. Arrow: `Int32`.
    Int32,
    /// `encodeInt64`. Arrow: `Int64`.
    Int64,
    /// `encodeFloat32`. Arrow: `Float32`.
    Float32,
    /// `encodeFloat64`. Arrow: `Float64`.
    Float64,
    /// `encodeNumeric`. Arrow: `Decimal128`. Infinities and NaN do not fit.
    Numeric(DecimalType),
    /// `encodeString`. Arrow: `Utf8`.
    Text,
    /// `encodeBlobVar`. Arrow: `Binary`.
    Blob,
    /// `encodeBlobCopy`. Arrow: `Binary`.
    BlobCopy,
}

/// The precision and scale of a decimal: up to 38 digits, of which `scale` are after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecimalType {
    precision: u8,
    scale: i8,
}

impl DecimalType {
    /// Creates a decimal of `precision` digits, `scale` of them after the point.
    ///
    /// # Errors
    ///
    /// If the precision is not 1 to 38, or the scale is negative or greater than the precision.
    pub fn new(precision: u8, scale: i8) -> Result<Self, Error> {
        if !(1..=38).contains(&precision) || scale < 0 || i16::from(scale) > i16::from(precision) {
            return Err(Error::mapping(format!(
                "decimal({precision}.{scale}): expected 1 to 38 digits, and no more of them after the point"
            )));
        }
        Ok(Self { precision, scale })
    }

    /// Returns the number of digits.
    #[must_use]
    pub fn precision(self) -> u8 {
        self.precision
    }

    /// Returns the number of digits after the point.
    #[must_use]
    pub fn scale(self) -> i8 {
        self.scale
    }
}

/// The types without parameters, by name.
const NAMES: [(&str, ValueType); 20] = [
    ("binary", ValueType::Binary),
    ("utf8", ValueType::Utf8),
    ("json", ValueType::Json),
    ("boolean", ValueType::Boolean),
    ("byte", ValueType::Byte),
    ("short", ValueType::Short),
    ("int", ValueType::Int),
    ("long", ValueType::Long),
    ("float", ValueType::Float),
    ("double", ValueType::Double),
    ("timestamp", ValueType::Timestamp),
    ("ordered-int8", ValueType::Ordered(OrderedType::Int8)),
    ("ordered-int16", ValueType::Ordered(OrderedType::Int16)),
    ("ordered-int32", ValueType::Ordered(OrderedType::Int32)),
    ("ordered-int64", ValueType::Ordered(OrderedType::Int64)),
    ("ordered-float32", ValueType::Ordered(OrderedType::Float32)),
    ("ordered-float64", ValueType::Ordered(OrderedType::Float64)),
    ("ordered-text", ValueType::Ordered(OrderedType::Text)),
    ("ordered-blob", ValueType::Ordered(OrderedType::Blob)),
    ("ordered-blob-copy", ValueType::Ordered(OrderedType::BlobCopy)),
];

impl ValueType {
    /// Returns the type in Arrow.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Binary | Self::Ordered(OrderedType::Blob | OrderedType::BlobCopy) => DataType::Binary,
            Self::Utf8 | Self::Json | Self::Ordered(OrderedType::Text) => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Byte | Self::Ordered(OrderedType::Int8) => DataType::Int8,
            Self::Short | Self::Ordered(OrderedType::Int16) => DataType::Int16,
            Self::Int | Self::Ordered(OrderedType::Int32) => DataType::Int32,
            Self::Long | Self::Ordered(OrderedType::Int64) => DataType::Int64,
            Self::Float | Self::Ordered(OrderedType::Float32) => DataType::Float32,
            Self::Double | Self::Ordered(OrderedType::Float64) => DataType::Float64,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Decimal(decimal) | Self::Ordered(OrderedType::Numeric(decimal)) => {
                DataType::Decimal128(decimal.precision, decimal.scale)
            }
        }
    }

    /// Returns the number of bytes of all values of the type; `None` if it depends on the value.
    #[must_use]
    pub fn width(self) -> Option<usize> {
        match self {
            Self::Boolean | Self::Byte => Some(1),
            Self::Short => Some(2),
            Self::Int | Self::Float => Some(4),
            Self::Long | Self::Double | Self::Timestamp => Some(8),
            Self::Binary | Self::Utf8 | Self::Json | Self::Decimal(_) | Self::Ordered(_) => None,
        }
    }

    /// Whether a value may have this number of bytes.
    pub(crate) fn may_have_width(self, width: usize) -> bool {
        match self {
            Self::Binary | Self::Utf8 => true,
            Self::Json => width > 0,
            // a scale, and at least one byte
            Self::Decimal(_) => width > 4,
            // a null is one byte
            Self::Ordered(ordered) => {
                width == 1 || ordered.width().map_or(width > 0, |of_all| width == of_all)
            }
            _ => self.width() == Some(width),
        }
    }
}

impl OrderedType {
    /// Returns the fixed number of bytes of all values that are not null, including the byte of the type;
    /// `None` if it depends on the value.
    pub(crate) fn width(self) -> Option<usize> {
        match self {
            Self::Int8 => Some(2),
            Self::Int16 => Some(3),
            Self::Int32 | Self::Float32 => Some(5),
            Self::Int64 | Self::Float64 => Some(9),
            Self::Numeric(_) | Self::Text | Self::Blob | Self::BlobCopy => None,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(DecimalType { precision, scale }) => write!(f, "decimal({precision}.{scale})"),
            Self::Ordered(OrderedType::Numeric(DecimalType { precision, scale })) => {
                write!(f, "ordered-numeric({precision}.{scale})")
            }
            other => {
                let name = NAMES.iter().find(|(_, named)| named == other).map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

impl FromStr for ValueType {
    type Err = Error;

    /// Parses the name of a type: `binary`, `utf8`, `json`, `boolean`, `byte`, `short`, `int`, `long`,
    /// `float`, `double`, `timestamp`, `decimal(PRECISION.SCALE)`, and after `ordered-`: `int8`, `int16`,
    /// `int32`, `int64`, `float32`, `float64`, `text`, `blob`, `blob-copy`, `numeric(PRECISION.SCALE)`.
    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some((_, named)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*named);
        }
        let decimal = |name: &str| {
            let inner = text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?;
            let (precision, scale) = inner.split_once('.')?;
            Some((precision.parse().ok()?, scale.parse().ok()?))
        };
        if let Some((precision, scale)) = decimal("decimal") {
            return DecimalType::new(precision, scale).map(Self::Decimal);
        }
        if let Some((precision, scale)) = decimal("ordered-numeric") {
            return DecimalType::new(precision, scale)
                .map(|decimal| Self::Ordered(OrderedType::Numeric(decimal)));
        }
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        Err(Error::mapping(format!(
            "{text:?} is not a type; there are {}, decimal(P.S) and ordered-numeric(P.S)",
            names.join(", ")
        )))
    }
}
