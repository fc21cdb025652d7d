//! Values as HBase wrote them, and mappings.

use crate::value::{Value, decode};
use crate::{Column, DecimalType, KeyPart, Mapping, OrderedType, RowKey, ValueType};
use proptest::prelude::*;

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Whether a value equals the value named in a line. Java's `NaN` and similar texts do not occur.
fn is_value(value: &Value<'_>, text: &str) -> bool {
    match value {
        Value::Null => text == "null",
        Value::Bytes(bytes) => **bytes == bytes_of(text),
        Value::Text(value) => value == text,
        Value::Boolean(value) => value.to_string() == text,
        Value::Int8(value) => value.to_string() == text,
        Value::Int16(value) => value.to_string() == text,
        Value::Int32(value) => value.to_string() == text,
        Value::Int64(value) => value.to_string() == text,
        Value::Float32(value) => value.to_bits() == text.parse::<f32>().unwrap().to_bits(),
        Value::Float64(value) => value.to_bits() == text.parse::<f64>().unwrap().to_bits(),
        Value::Decimal(value) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            format!("{whole}{fraction:0<16}").parse::<i128>().unwrap() == *value
        }
    }
}

#[test]
fn values_are_those_that_hbase_encoded() {
    let lines = include_str!("../../testdata/values.tsv");
    let mut count = 0;
    for line in lines.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[ty, text, hex] = &fields[..] else { panic!("{line:?}") };
        let (ty, bytes): (ValueType, _) = (ty.parse().unwrap(), bytes_of(hex));
        let value = decode(ty, &bytes).unwrap_or_else(|| panic!("{line}: not decoded"));
        assert!(is_value(&value, text), "{line}: {value:?}");
        // neither a shorter nor a longer encoding is valid for a type with an end
        let has_end = !matches!(
            ty,
            ValueType::Utf8 | ValueType::Decimal(_) | ValueType::Ordered(OrderedType::BlobCopy)
        );
        if has_end {
            let longer = [&bytes[..], b"\x01"].concat();
            assert_eq!(decode(ty, &longer), None, "{line}: longer");
            if bytes.len() > 1 {
                assert_eq!(decode(ty, &bytes[..bytes.len() - 1]), None, "{line}: shorter");
            }
        }
        count += 1;
    }
    assert!(count > 1000);
}

/// `encodeBlobCopy` encodes a null as one byte, followed by its terminator in descending order.
#[test]
fn a_null_of_a_copied_blob_may_have_an_end() {
    let copied = ValueType::Ordered(OrderedType::BlobCopy);
    for (bytes, is_null) in [
        (&b"\x05"[..], true),
        (b"\x05\0", false),
        (b"\xfa\xff", true),
        (b"\xfa", true),
        (b"\xfa\0", false),
        (b"\xfa\xff\xff", false),
    ] {
        assert_eq!(decode(copied, bytes), is_null.then_some(Value::Null), "{bytes:?}");
    }
    assert_eq!(decode(ValueType::Ordered(OrderedType::Blob), b"\xfa\xff"), None);
}

#[test]
fn names_of_types_come_back() {
    let decimal = DecimalType::new(12, 3).unwrap();
    for ty in
        [ValueType::Decimal(decimal), ValueType::Ordered(OrderedType::Numeric(decimal)), ValueType::Json]
    {
        assert_eq!(ty.to_string().parse::<ValueType>().unwrap(), ty);
    }
    assert_eq!(ValueType::Decimal(decimal).to_string(), "decimal(12.3)");
    for wrong in ["", "LONG", "decimal", "decimal(39.1)", "decimal(3.4)", "decimal(3.-1)", "decimal(0.0)"] {
        assert!(wrong.parse::<ValueType>().is_err(), "{wrong}");
    }
}

#[test]
fn mappings_come_back_as_json() {
    let part = |name: &str| KeyPart::new(name, ValueType::Utf8);
    let columns =
        || vec![Column::parse("f:a\\x3Db=long[]@").unwrap(), Column::parse("f:=json").unwrap().named("j")];
    for row in [
        RowKey::whole(ValueType::Binary),
        RowKey::Separated { separator: b"\0|".to_vec(), parts: vec![part("a"), part("b")] },
        RowKey::Widths { parts: vec![(part("a"), 4)], rest: Some(part("b")) },
        RowKey::Widths { parts: vec![(part("a"), 4)], rest: None },
    ] {
        let mapping = Mapping::new(row, columns()).unwrap().on_invalid(crate::Invalid::Null);
        assert_eq!(Mapping::from_json(&mapping.to_json()).unwrap(), mapping);
    }
    assert_eq!(Column::parse("f:a=b=long").unwrap().qualifier(), b"a=b");
    for wrong in [
        "{}",
        "[]",
        r#"{"columns":[]}"#,
        r#"{"columns":[{"column":"f:q","type":"long","more":1}]}"#,
        r#"{"columns":[{"column":"f:q","type":"long","type":"int"}]}"#,
        r#"{"columns":[{"column":"f:q","type":"long"}],"columns":[{"column":"f:r","type":"long"}]}"#,
        r#"{"columns":[{"column":"f:q","type":"long"},{"column":"f:q","type":"int","name":"b"}]}"#,
        r#"{"columns":[{"column":"f:q","type":"long","name":"row"}]}"#,
        r#"{"columns":[{"column":"f:q","type":"long"}],"invalid":"skip"}"#,
        r#"{"columns":[{"column":"f:","type":"int"}],"row":{"separator":"","parts":[]}}"#,
        r#"{"columns":[{"column":"f:","type":"int"}],"row":{"parts":[{"name":"","type":"int","width":0}]}}"#,
        r#"{"columns":[{"column":"f:q","type":"long"}],"row":{"parts":[]}}"#,
    ] {
        assert!(Mapping::from_json(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn row_keys_are_cut() {
    let part = |name: &str| KeyPart::new(name, ValueType::Binary);
    let cut = |row: &RowKey, key: &'static [u8]| {
        let cut = row.cut(key).ok();
        assert_eq!(row.check(key).is_ok(), cut.is_some());
        cut
    };
    let row = RowKey::Separated { separator: b"::".to_vec(), parts: vec![part("a"), part("b")] };
    assert_eq!(cut(&row, b"x::y::z"), Some(vec![&b"x"[..], b"y::z"]));
    assert_eq!(cut(&row, b"::"), Some(vec![&b""[..], b""]));
    assert_eq!(cut(&row, b"x:y"), None);
    // a number may have the bytes of the separator
    let parts = vec![KeyPart::new("a", ValueType::Short), part("b"), part("c")];
    let row = RowKey::Separated { separator: b"::".to_vec(), parts };
    assert_eq!(cut(&row, b"::::x::"), Some(vec![&b"::"[..], b"x", b""]));
    assert_eq!(cut(&row, b"a:::::"), Some(vec![&b"a:"[..], b"", b""]));
    for lacking in [&b"::x::y"[..], b"a::x::y", b"::::x", b"::", b"a"] {
        assert_eq!(cut(&row, lacking), None, "{lacking:?}");
    }
    // so may a value in an ordered encoding, ascending, descending or null
    let ordered = |ty| RowKey::Separated {
        separator: b"::".to_vec(),
        parts: vec![KeyPart::new("a", ValueType::Ordered(ty)), part("b")],
    };
    let cases: [(OrderedType, &[&'static [u8]]); 5] = [
        (OrderedType::Int16, &[b"*::", b"\xd5::", b"\x05", b"\xfa"]),
        (OrderedType::Float64, &[b"1::::::::", b"\xce::::::::", b"\x05"]),
        (OrderedType::Text, &[b"4a::b\0", b"\xcb\x9e\xc5\xc5\xff", b"\x05"]),
        (OrderedType::BlobCopy, &[b"8ab", b"\xc7::\xff", b"\xfa\xff", b"\xfa", b"\x05"]),
        // of another type
        (OrderedType::Text, &[b"7ab"]),
    ];
    for (ty, values) in cases {
        for value in values {
            let key: &'static [u8] = [*value, b"::x::y"].concat().leak();
            assert_eq!(cut(&ordered(ty), key), Some(vec![*value, b"x::y"]), "{ty:?}");
        }
    }
    for lacking in [&b"*::"[..], b"*:::x", b""] {
        assert_eq!(cut(&ordered(OrderedType::Int16), lacking), None, "{lacking:?}");
    }
    let row = |rest| RowKey::Widths { parts: vec![(part("a"), 2), (part("b"), 1)], rest };
    assert_eq!(cut(&row(None), b"abc"), Some(vec![&b"ab"[..], b"c"]));
    assert_eq!(cut(&row(None), b"abcd"), None);
    assert_eq!(cut(&row(None), b"ab"), None);
    assert_eq!(cut(&row(Some(part("c"))), b"abcd"), Some(vec![&b"ab"[..], b"c", b"d"]));
}

#[test]
fn widths_that_no_value_has_are_refused() {
    let mapping = |ty: &str, width: usize| {
        let parts = vec![(KeyPart::new("id", ty.parse().unwrap()), width)];
        Mapping::new(RowKey::Widths { parts, rest: None }, vec![Column::parse("f:q=utf8").unwrap()])
    };
    for (ty, widths) in [
        ("boolean", &[1][..]),
        ("byte", &[1]),
        ("short", &[2]),
        ("int", &[4]),
        ("float", &[4]),
        ("long", &[8]),
        ("double", &[8]),
        ("timestamp", &[8]),
        // a null is one byte
        ("ordered-int8", &[1, 2]),
        ("ordered-int16", &[1, 3]),
        ("ordered-int32", &[1, 5]),
        ("ordered-int64", &[1, 9]),
        ("ordered-float32", &[1, 5]),
        ("ordered-float64", &[1, 9]),
    ] {
        for width in 0..12 {
            match mapping(ty, width) {
                Ok(_) => assert!(widths.contains(&width), "{ty}, {width} bytes"),
                Err(error) => {
                    let (message, width_text) = (error.to_string(), width.to_string());
                    assert!(!widths.contains(&width), "{message}");
                    assert!(
                        ["id", ty, width_text.as_str()].iter().all(|part| message.contains(part)),
                        "{message}"
                    );
                }
            }
        }
    }
    assert!(mapping("decimal(5.2)", 4).is_err() && mapping("decimal(5.2)", 6).is_ok());
    assert!(mapping("utf8", 3).is_ok() && mapping("ordered-text", 3).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_a_value_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let decimal = DecimalType::new(20, 4).unwrap();
        for name in [
            "utf8", "json", "boolean", "byte", "short", "int", "long", "float", "double", "ordered-int8",
            "ordered-int16", "ordered-int32", "ordered-int64", "ordered-float32", "ordered-float64",
            "ordered-text", "ordered-blob", "ordered-blob-copy",
        ] {
            let _ = decode(name.parse().unwrap(), &bytes);
        }
        let _ = decode(ValueType::Decimal(decimal), &bytes);
        for head in 0..=255 {
            let bytes = [&[head][..], &bytes].concat();
            let _ = decode(ValueType::Ordered(OrderedType::Numeric(decimal)), &bytes);
            let _ = decode(ValueType::Ordered(OrderedType::Blob), &bytes);
        }
    }

    #[test]
    fn numbers_round_trip(value in any::<i64>(), double in any::<f64>(), scale in 0_i8..10) {
        let bytes = value.to_be_bytes();
        prop_assert_eq!(decode(ValueType::Long, &bytes), Some(Value::Int64(value)));
        let bytes = (value as i32).to_be_bytes();
        prop_assert_eq!(decode(ValueType::Int, &bytes), Some(Value::Int32(value as i32)));
        let bytes = double.to_be_bytes();
        let Some(Value::Float64(read)) = decode(ValueType::Double, &bytes) else { panic!() };
        prop_assert_eq!(read.to_bits(), double.to_bits());
        let decimal = ValueType::Decimal(DecimalType::new(38, 10).unwrap());
        let bytes = [&i32::from(scale).to_be_bytes()[..], &value.to_be_bytes()].concat();
        let expected = i128::from(value) * 10_i128.pow((10 - scale).unsigned_abs().into());
        prop_assert_eq!(decode(decimal, &bytes), Some(Value::Decimal(expected)));
    }
}
