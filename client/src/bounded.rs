//! Responses whose lists are counted before they are decoded: an empty message in a list takes two bytes, and
//! much more in memory.

use crate::proto;
use bytes::{Buf, BufMut, Bytes};
use hregion::Corruption;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message};

/// The message of a response, as it arrived.
#[derive(Debug, Default)]
pub(crate) struct Undecoded(Bytes);

impl Undecoded {
    /// Decodes a response that has at most as many results as requested.
    pub(crate) fn read<M: Answered>(self, asked: usize) -> Result<M, Corruption> {
        for (list, most) in M::lists(asked) {
            if list.count(&self.0)? > most {
                return Err(Corruption::Malformed("answer with more results or cells than asked for"));
            }
        }
        M::decode(self.0).map_err(|_| NO_MESSAGE)
    }
}

const NO_MESSAGE: Corruption = Corruption::Malformed("response that is not its message");

/// A response with results.
pub(crate) trait Answered: Message + Default {
    /// Returns its lists, with the maximum number of entries of each.
    fn lists(asked: usize) -> impl IntoIterator<Item = (List, usize)>;
}

/// A list in a message, or the same one in several, by the numbers of the fields that lead to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum List {
    Messages(&'static [u32]),
    /// Numbers, one by one or packed.
    Numbers(u32),
}

/// The maximum number of results of a scan requested in one call. A call ends earlier at a number of bytes.
pub(crate) const RESULTS: u32 = 1 << 20;
/// The maximum number of entries of a list of a master or a registry.
pub(crate) const LISTED: usize = 1 << 20;
/// The maximum number of cells of a response outside of its cell block. Servers that support the codec send
/// none.
const CELLS: usize = 1 << 16;
/// The maximum number of counts of a scan that a server may send.
const METRICS: usize = 1 << 10;

impl Answered for proto::ScanResponse {
    fn lists(asked: usize) -> impl IntoIterator<Item = (List, usize)> {
        [
            (List::Numbers(1), asked),
            (List::Messages(&[5]), asked),
            (List::Messages(&[5, 1]), CELLS),
            (List::Numbers(7), asked),
            (List::Messages(&[10, 1]), METRICS),
        ]
    }
}

impl Answered for proto::MultiResponse {
    fn lists(asked: usize) -> impl IntoIterator<Item = (List, usize)> {
        [
            (List::Messages(&[1]), asked),
            (List::Messages(&[1, 1]), asked),
            (List::Messages(&[1, 1, 2, 1]), CELLS),
        ]
    }
}

impl Answered for proto::GetResponse {
    fn lists(_: usize) -> impl IntoIterator<Item = (List, usize)> {
        [(List::Messages(&[1, 1]), CELLS)]
    }
}

impl Answered for proto::MutateResponse {
    fn lists(_: usize) -> impl IntoIterator<Item = (List, usize)> {
        [(List::Messages(&[1, 1]), CELLS)]
    }
}

/// Implements [`Answered`] for answers that have at most one list.
macro_rules! answered {
    ($($message:ty: $($list:expr)?;)*) => {
        $(impl Answered for $message {
            fn lists(asked: usize) -> impl IntoIterator<Item = (List, usize)> {
                let list: Option<List> = [$($list)?].into_iter().next();
                list.map(|list| (list, asked))
            }
        })*
    };
}

answered! {
    proto::admin::GetTableNamesResponse: List::Messages(&[1]);
    proto::admin::GetCompletedSnapshotsResponse: List::Messages(&[1]);
    proto::admin::GetClusterStatusResponse: List::Messages(&[1, 2]);
    proto::GetTableDescriptorsResponse: List::Messages(&[1]);
    proto::GetBootstrapNodesResponse: List::Messages(&[1]);
    proto::GetMetaRegionLocationsResponse: List::Messages(&[1]);
    proto::admin::ProcedureResponse:;
    proto::admin::GetProcedureResultResponse:;
    proto::admin::SnapshotResponse:;
    proto::admin::IsSnapshotDoneResponse:;
    proto::admin::Empty:;
    proto::GetClusterIdResponse:;
    proto::GetActiveMasterResponse:;
}

impl List {
    fn count(self, message: &[u8]) -> Result<usize, Corruption> {
        let (path, packed) = match &self {
            Self::Messages(path) => (*path, false),
            Self::Numbers(field) => (std::slice::from_ref(field), true),
        };
        count(message, path, packed).map_err(|_| NO_MESSAGE)
    }
}

/// Counts the values of a field of a message, or of the messages in it.
fn count(mut message: &[u8], path: &[u32], packed: bool) -> Result<usize, DecodeError> {
    let Some((wanted, rest)) = path.split_first() else { return Ok(1) };
    let mut found = 0_usize;
    while !message.is_empty() {
        let (field, wire_type) = decode_key(&mut message)?;
        if field != *wanted || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, field, &mut message, DecodeContext::default())?;
            found += usize::from(field == *wanted);
            continue;
        }
        let len = usize::try_from(decode_varint(&mut message)?).unwrap_or(usize::MAX);
        // the decoder reports the same for a truncated value
        let (value, after) = message.split_at_checked(len).unwrap_or((message, &[]));
        // of the bytes of a packed number, only the last one is below 128
        found += if packed {
            value.iter().filter(|byte| byte.is_ascii()).count()
        } else {
            count(value, rest, false)?
        };
        message = after;
    }
    Ok(found)
}

impl Message for Undecoded {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, context)
    }

    fn merge(&mut self, mut buf: impl Buf) -> Result<(), DecodeError> {
        self.0 = buf.copy_to_bytes(buf.remaining());
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc;
    use crate::cell_block::CellCodec;
    use crate::results::rows_of;

    #[global_allocator]
    static ALLOCATOR: alloc::CountingAlloc = alloc::CountingAlloc;

    /// Builds a field of bytes, or a message.
    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        prost::encode_length_delimiter(value.len(), &mut field).unwrap();
        field.extend(value);
        field
    }

    fn undecoded(message: Vec<u8>) -> Undecoded {
        Undecoded::decode(Bytes::from(message)).unwrap()
    }

    /// The memory of such answers would be many times their length.
    #[test]
    fn answers_with_more_than_was_asked_for_take_no_memory() {
        const COUNT: usize = 1 << 20;
        fn refused<M: Answered>(message: &Undecoded) -> usize {
            let message = Undecoded(message.0.clone());
            let (result, usage) = alloc::measure(|| message.read::<M>(1000));
            assert!(matches!(result, Err(Corruption::Malformed(_))));
            usage.peak + usage.count
        }
        let counts = undecoded(field(1, &vec![0; COUNT]));
        let one_by_one = undecoded([8, 0].repeat(COUNT));
        let flags = undecoded(field(7, &vec![0; COUNT]));
        let results = undecoded(field(5, &[]).repeat(COUNT));
        let cells = undecoded(field(5, &field(1, &[]).repeat(COUNT)));
        for scan in [&counts, &one_by_one, &flags, &results, &cells] {
            assert_eq!(refused::<proto::ScanResponse>(scan), 0);
        }
        let regions = undecoded(field(1, &[]).repeat(COUNT));
        let actions = undecoded(field(1, &field(1, &[]).repeat(COUNT)));
        for multi in [&regions, &actions] {
            assert_eq!(refused::<proto::MultiResponse>(multi), 0);
        }
        let get = undecoded(field(1, &field(1, &[]).repeat(COUNT)));
        assert_eq!(refused::<proto::GetResponse>(&get) + refused::<proto::MutateResponse>(&get), 0);

        let names = undecoded(field(1, &[]).repeat(COUNT));
        assert_eq!(refused::<proto::admin::GetTableNamesResponse>(&names), 0);
        assert_eq!(refused::<proto::admin::GetCompletedSnapshotsResponse>(&names), 0);
        assert_eq!(refused::<proto::GetTableDescriptorsResponse>(&names), 0);
        assert_eq!(refused::<proto::GetBootstrapNodesResponse>(&names), 0);
        assert_eq!(refused::<proto::GetMetaRegionLocationsResponse>(&names), 0);
        let servers = undecoded(field(1, &field(2, &[]).repeat(COUNT)));
        assert_eq!(refused::<proto::admin::GetClusterStatusResponse>(&servers), 0);

        // as many as were asked for, without cells: no rows
        let (rows, usage) = alloc::measure(|| {
            let response = counts.read(COUNT).unwrap();
            rows_of(&response, CellCodec::default().block(Bytes::new(), 0).unwrap()).unwrap()
        });
        assert!(rows.is_empty() && usage.peak <= 16 * COUNT, "{usage:?}");
    }

    #[test]
    fn answers_of_servers_are_decoded() {
        let response = proto::ScanResponse {
            cells_per_result: vec![1, 300, 70_000],
            partial_flag_per_result: vec![false, false, true],
            scanner_id: Some(u64::MAX),
            ..Default::default()
        };
        let decode = |asked| undecoded(response.encode_to_vec()).read::<proto::ScanResponse>(asked);
        assert_eq!(decode(3).unwrap(), response);
        assert!(decode(2).is_err());
        // packed
        let packed = |asked| undecoded(field(1, &[1, 0xAC, 2])).read::<proto::ScanResponse>(asked);
        assert_eq!(packed(2).unwrap().cells_per_result, [1, 300]);
        assert!(packed(1).is_err());
        for wrong in [&[10, 5, 1][..], &[8], &[0xFF; 12], &[11]] {
            assert!(undecoded(wrong.to_vec()).read::<proto::ScanResponse>(9).is_err(), "{wrong:?}");
        }
    }
}
