//! Protobuf messages composed by tests, for files that no writer of this crate produces.

/// Encodes a number as a varint.
pub(crate) fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n.to_be_bytes()[7] | 0x80);
        n >>= 7;
    }
    bytes.push(n.to_be_bytes()[7]);
    bytes
}

/// Encodes a field with bytes.
pub(crate) fn field(number: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&varint((number << 3) | 2), &varint(bytes.len() as u64), bytes].concat()
}

/// Encodes a field with a number.
pub(crate) fn number(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

/// Removes the seal at the end of a file written by hregion (hfile.md §15.9).
pub(crate) fn unsealed(file: &[u8]) -> &[u8] {
    let (rest, seal) = file.split_at(file.len() - 14);
    assert!(seal.starts_with(b"\xc2\x3e\x0bhregion"), "{seal:x?}");
    rest
}
