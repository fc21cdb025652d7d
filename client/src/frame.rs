//! Frames of HBase's RPC (locator.md §8.1, §8.2).
#![warn(clippy::indexing_slicing)]

use crate::cell_block::{CellBlock, CellCodec};
use crate::proto;
use bytes::{BufMut, Bytes, BytesMut};
use hregion::Corruption;
use prost::Message;

/// The bytes before the connection header: "HBas", version 0, authentication SIMPLE (80).
const PREAMBLE: &[u8; 6] = b"HBas\0\x50";
/// The same with the authentication KERBEROS (81).
#[cfg(feature = "kerberos")]
pub(crate) const KERBEROS_PREAMBLE: &[u8; 6] = b"HBas\0\x51";
/// Asks a server for its principal. Another preamble follows.
#[cfg(feature = "kerberos")]
pub(crate) const PRINCIPAL_PREAMBLE: &[u8; 6] = b"Securi";

/// The version whose features servers may use. From 1.3 on, cells of gets are in cell blocks; from 1.4 on,
/// lost scanners are reported as such.
const VERSION: (&str, u32, u32) = ("2.6.0", 2, 6);

/// Builds the first bytes that a client without authentication sends on a connection.
pub(crate) fn hello(user: &str, service: &str, cells: CellCodec) -> Bytes {
    [&PREAMBLE[..], &connection_header(Some(user), service, cells)].concat().into()
}

/// Builds the connection header. Without a user, it is the one that has authenticated.
pub(crate) fn connection_header(user: Option<&str>, service: &str, cells: CellCodec) -> Bytes {
    let text = || Some(String::new());
    let (version, major, minor) = VERSION;
    let header = proto::ConnectionHeader {
        user_info: user.map(|user| proto::UserInformation { effective_user: Some(user.to_owned()) }),
        service_name: Some(service.to_owned()),
        cell_block_codec_class: Some(cells.class().to_owned()),
        cell_block_compressor_class: cells.compressor().map(str::to_owned),
        version_info: Some(proto::VersionInfo {
            version: Some(version.to_owned()),
            url: text(),
            revision: text(),
            user: text(),
            date: text(),
            src_checksum: text(),
            version_major: Some(major),
            version_minor: Some(minor),
        }),
    };
    let mut bytes = BytesMut::new();
    put_len(&mut bytes, header.encoded_len());
    bytes.put_slice(&header.encode_to_vec());
    bytes.freeze()
}

/// Builds a request.
pub(crate) fn request(header: &proto::RequestHeader, param: &impl Message) -> Bytes {
    let (header, param) = (header.encode_length_delimited_to_vec(), param.encode_length_delimited_to_vec());
    let len = header.len() + param.len();
    let mut bytes = BytesMut::with_capacity(4 + len);
    put_len(&mut bytes, len);
    bytes.put_slice(&header);
    bytes.put_slice(&param);
    bytes.freeze()
}

/// Appends a length. A longer frame than fits has a length that servers refuse.
fn put_len(bytes: &mut BytesMut, len: usize) {
    bytes.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
}

/// The frame of a response, after its length.
#[derive(Debug)]
pub(crate) struct ResponseFrame {
    /// The call; `u32::MAX` (-1) if the server refuses the connection.
    pub(crate) call_id: u32,
    pub(crate) exception: Option<proto::ExceptionResponse>,
    /// The message, and the cells after it.
    result: Bytes,
    cells: Bytes,
}

impl ResponseFrame {
    pub(crate) fn parse(mut frame: Bytes) -> Result<Self, Corruption> {
        let header = take_delimited(&mut frame)?;
        let header = proto::ResponseHeader::decode(header)
            .map_err(|_| Corruption::Malformed("frame without the header of a response"))?;
        let call_id = header.call_id.ok_or(Corruption::Malformed("response without a call id"))?;
        if header.exception.is_some() {
            let (result, cells) = (Bytes::new(), Bytes::new());
            return Ok(Self { call_id, exception: header.exception, result, cells });
        }
        let result = take_delimited(&mut frame)?;
        let cells = header.cell_block_meta.and_then(|meta| meta.length).unwrap_or_default() as usize;
        if cells != frame.len() {
            return Err(Corruption::Malformed("cell block that is not as long as its response says"));
        }
        Ok(Self { call_id, exception: None, result, cells: frame })
    }

    /// Whether cells follow the message.
    pub(crate) fn has_cells(&self) -> bool {
        !self.cells.is_empty()
    }

    /// Decodes the message, and the cells in the requested form; `max` is their maximum length in bytes when
    /// they are decompressed.
    pub(crate) fn decode<M: Message + Default>(
        self,
        codec: CellCodec,
        max: usize,
    ) -> Result<(M, CellBlock), Corruption> {
        let message =
            M::decode(self.result).map_err(|_| Corruption::Malformed("response that is not its message"))?;
        Ok((message, codec.block(self.cells, max)?))
    }
}

/// Takes a message with its length before it.
fn take_delimited(frame: &mut Bytes) -> Result<Bytes, Corruption> {
    let len = prost::decode_length_delimiter(&mut *frame)
        .map_err(|_| Corruption::Malformed("frame without the length of a message"))?;
    if len > frame.len() {
        return Err(Corruption::Malformed("message that is longer than its frame"));
    }
    Ok(frame.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{Get, RegionInfo, Scan, TableName};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn header(call_id: u32, method: &str, priority: Option<u32>) -> proto::RequestHeader {
        proto::RequestHeader {
            call_id: Some(call_id),
            method_name: Some(method.into()),
            request_param: Some(true),
            priority,
            timeout: Some(60_000),
        }
    }

    // the bytes are those of locator.md §14

    #[test]
    fn a_connection_begins_with_preamble_and_header() {
        let expected = "4842617300500000005e0a090a0768726567696f6e120d436c69656e74536572766963651a2b6f72\
                        672e6170616368652e6861646f6f702e68626173652e636f6465632e4b657956616c7565436f6465\
                        632a150a05322e362e3012001a0022002a00320038024006";
        assert_eq!(hex(&hello("hregion", "ClientService", CellCodec::default())), expected);
    }

    #[test]
    fn a_connection_header_names_the_codec_and_the_compressor() {
        let hello = hello(
            "hregion",
            "ClientService",
            CellCodec::of(true, Some("org.apache.hadoop.io.compress.GzipCodec")),
        );
        let header = proto::ConnectionHeader::decode(hello.slice(10..)).unwrap();
        let codec = "org.apache.hadoop.hbase.codec.KeyValueCodecWithTags";
        assert_eq!(header.cell_block_codec_class.as_deref(), Some(codec));
        let compressor = "org.apache.hadoop.io.compress.GzipCodec";
        assert_eq!(header.cell_block_compressor_class.as_deref(), Some(compressor));
        assert_eq!(hello[6..10], u32::try_from(hello.len() - 10).unwrap().to_be_bytes());
    }

    #[test]
    fn a_get_is_a_frame() {
        let region =
            RegionInfo::new(TableName::parse("t1").unwrap(), "row-0500", "", 1_700_000_000_000).unwrap();
        let get = proto::GetRequest {
            region: Some(proto::RegionSpecifier::of(&region)),
            get: Some(Get::new("row-0700").to_proto_bytes().unwrap().into()),
        };
        let expected = "0000005c0d08021a03476574200138e0d4034d0a3f0801123b74312c726f772d303530302c313730\
                        303030303030303030302e3163313562633864666538313261663539646234343535633063323364\
                        6263622e120a0a08726f772d30373030";
        assert_eq!(hex(&request(&header(2, "Get", None), &get)), expected);
    }

    #[test]
    fn a_search_of_the_catalog_is_a_frame() {
        let scan = Scan::new()
            .start_row(&b"t1,row-0700,99999999999999"[..], true)
            .stop_row(&b"t1,,"[..], true)
            .family("info")
            .reversed(true);
        let search = proto::ScanRequest {
            region: Some(proto::RegionSpecifier::of(&RegionInfo::meta())),
            scan: Some(scan.to_proto_bytes().unwrap().into()),
            number_of_rows: Some(10),
            close_scanner: Some(true),
            client_handles_partials: Some(true),
            client_handles_heartbeats: Some(true),
            ..proto::ScanRequest::default()
        };
        // without caching and readType, which affect no response: 6 bytes less
        let expected = "0000005f1108011a045363616e200130c80138e0d4034c0a110801120d68626173653a6d6574612c\
                        2c31122f0a060a04696e666f1a1a74312c726f772d303730302c3939393939393939393939393939\
                        220474312c2c7801b00101200a280138014001";
        assert_eq!(hex(&request(&header(1, "Scan", Some(200)), &search)), expected);
    }

    #[test]
    fn truncated_and_swapped_frames_are_errors() {
        let header = proto::ResponseHeader {
            call_id: Some(7),
            exception: None,
            cell_block_meta: Some(proto::CellBlockMeta { length: Some(3) }),
        };
        let message = proto::GetClusterIdResponse { cluster_id: Some("id".into()) };
        let mut frame = header.encode_length_delimited_to_vec();
        frame.extend(message.encode_length_delimited_to_vec());
        frame.extend(b"abc");
        let parsed = ResponseFrame::parse(frame.clone().into()).unwrap();
        assert_eq!(parsed.call_id, 7);
        let (decoded, cells): (proto::GetClusterIdResponse, _) =
            parsed.decode(CellCodec::default(), 0).unwrap();
        assert_eq!((decoded, cells.finish().is_ok()), (message, false));
        for len in 0..frame.len() {
            assert!(ResponseFrame::parse(Bytes::copy_from_slice(&frame[..len])).is_err(), "{len} bytes");
        }
    }
}
