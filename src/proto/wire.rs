//! A walk over the fields of a protobuf message, without copying; and the writing of a field.
#![warn(clippy::indexing_slicing)]

use crate::coding::{Cursor, put_varint};
use crate::error::Corruption;

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes: none of the messages used here has such a field.
    Fixed,
}

/// The fields of a message in order. Ends after the first error.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    cursor: Cursor<'a>,
    failed: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(message), failed: false }
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Corruption> {
        let tag = self.cursor.varint("protobuf tag")?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number =
            number.ok_or(Corruption::Malformed("protobuf field number outside of 1 to 536870911"))?;
        let value = match tag & 7 {
            0 => Value::Varint(self.cursor.varint("protobuf varint")?),
            1 => self.cursor.take(8, "protobuf fixed64").map(|_| Value::Fixed)?,
            2 => Value::Bytes(delimited(&mut self.cursor, "protobuf bytes")?),
            5 => self.cursor.take(4, "protobuf fixed32").map(|_| Value::Fixed)?,
            other => {
                return Err(Corruption::Unknown {
                    what: "protobuf wire type",
                    value: i64::try_from(other).unwrap_or(i64::MAX),
                });
            }
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Corruption>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.cursor.is_empty() {
            return None;
        }
        let field = self.field();
        self.failed = field.is_err();
        Some(field)
    }
}

/// Reads a varint length and that many bytes: a delimited message, or a field of bytes.
pub(crate) fn delimited<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a [u8], Corruption> {
    let len = cursor.varint(what)?;
    match usize::try_from(len) {
        Ok(len) => cursor.take(len, what),
        Err(_) => {
            let available = cursor.rest().len() as u64;
            Err(Corruption::Truncated { what, needed: len, available })
        }
    }
}

/// Appends a field of bytes: a string, or a message.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::hfile::{CompactionEventTracker, FileTrailerProto};
    use proptest::prelude::*;
    use prost::Message;

    #[test]
    fn fields_come_in_order() {
        let message = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let fields: Result<Vec<_>, _> = Fields::new(&message).collect();
        let expected =
            [(1, Value::Varint(150)), (2, Value::Bytes(b"hi")), (3, Value::Fixed), (4, Value::Fixed)];
        assert_eq!(fields.unwrap(), expected);
    }

    #[test]
    fn malformed_fields_are_refused() {
        for message in [
            &[0x00, 0][..],
            &[0x0b],
            &[0x0f],
            &[0x08],
            &[0x0a, 2, 0],
            &[0x0d, 0, 0, 0],
            &[0x09, 0],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            let mut fields = Fields::new(message);
            assert!(fields.next().unwrap().is_err(), "{message:x?}");
            assert!(fields.next().is_none());
        }
    }

    proptest! {
        #[test]
        fn messages_of_prost_are_walked(names: Vec<Vec<u8>>, length: u32, data: Vec<u8>) {
            let message = CompactionEventTracker { compacted_store_file: names.clone() }.encode_to_vec();
            let walked: Result<Vec<_>, _> = Fields::new(&message).collect();
            let expected: Vec<_> = names.iter().map(|name| (1, Value::Bytes(name))).collect();
            prop_assert_eq!(walked.unwrap(), expected);
            let trailer = FileTrailerProto {
                data_index_count: Some(length),
                encryption_key: Some(data.clone()),
                ..FileTrailerProto::default()
            };
            let message = trailer.encode_to_vec();
            let walked: Result<Vec<_>, _> = Fields::new(&message).collect();
            prop_assert_eq!(walked.unwrap(), [(5, Value::Varint(length.into())), (13, Value::Bytes(&data))]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert!(Fields::new(&bytes).count() <= bytes.len());
        }
    }
}
