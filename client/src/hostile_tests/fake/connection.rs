//! A connection to one of the servers: its calls, and the responses with their faults.

use super::{Answer, State};
use crate::cell_block::{self, CODEC_WITH_TAGS, CellCodec};
use crate::proto;
use bytes::Bytes;
use hregion::{Row, RowBuf};
use prost::Message;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Answers the calls of a connection to one of the servers.
pub(super) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    server: usize,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    let mut preamble = [0; 6];
    stream.read_exact(&mut preamble).await?;
    if &preamble != b"HBas\0\x50" {
        // as a server does that expects no TLS
        return Ok(());
    }
    let header = read_frame(&mut stream).await?;
    let header = proto::ConnectionHeader::decode(header).unwrap();
    let tags = header.cell_block_codec_class.as_deref() == Some(CODEC_WITH_TAGS);
    let codec = CellCodec::of(tags, header.cell_block_compressor_class.as_deref());
    assert_eq!(header.cell_block_codec_class.as_deref(), Some(codec.class()));
    assert_eq!(header.cell_block_compressor_class.as_deref(), codec.compressor());
    loop {
        let mut frame = read_frame(&mut stream).await?;
        let len = prost::decode_length_delimiter(&mut frame).unwrap();
        let header = proto::RequestHeader::decode(frame.split_to(len)).unwrap();
        let len = prost::decode_length_delimiter(&mut frame).unwrap();
        assert_eq!(len, frame.len());
        let call_id = header.call_id.unwrap();
        let (answer, mischief, random) = {
            let mut state = state.lock().unwrap();
            let mischief = state.mischief();
            state.priority = header.priority;
            let answer = state.answer(server, header.method_name.as_deref().unwrap(), frame, mischief);
            (answer, mischief, state.random.next())
        };
        if !send(&mut stream, call_id, answer, codec, mischief, random).await? {
            return Ok(());
        }
    }
}

/// Reads a frame after its length.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Bytes> {
    let mut frame = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut frame).await?;
    Ok(frame.into())
}

/// Sends an answer. Returns false to close the connection.
async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    call_id: u32,
    mut answer: Answer,
    codec: CellCodec,
    mischief: Option<usize>,
    random: u64,
) -> std::io::Result<bool> {
    if answer.is_silent || answer.closes {
        return Ok(!answer.closes);
    }
    tokio::time::sleep(answer.delay).await;
    if let Some(release) = answer.release.take() {
        release.acquire().await.unwrap().forget();
    }
    let mut cells = cell_block::encode(&answer.cells, codec.tags);
    let mut call_id = call_id;
    match mischief {
        Some(0) => return Ok(false),
        Some(1) => return Ok(true), // never answers
        Some(2) => call_id = call_id.wrapping_add(1 + (random % 3) as u32),
        Some(3) => {
            call_id = u32::MAX;
            answer.exception = Some(("org.apache.hadoop.hbase.ipc.BadAuthException", "no".into(), true));
        }
        Some(4) => {
            // a missing cell, with a length that agrees
            let last = answer.cells.iter().flat_map(Row::cells).last();
            let one = last.map(|cell| {
                let mut row = RowBuf::new();
                row.push(cell);
                cell_block::encode([&row.freeze()], codec.tags).len()
            });
            cells.truncate(cells.len() - one.unwrap_or(0));
        }
        Some(5) => tokio::time::sleep(Duration::from_millis(60)).await,
        _ => {}
    }
    if codec.compressor.is_some() && !cells.is_empty() {
        cells = codec.compress(cells);
        if mischief == Some(19) {
            // compressed cells have a checksum
            let bit = random as usize % (cells.len() * 8);
            cells[bit / 8] ^= 1 << (bit % 8);
        }
    }
    let (mut frame, header_len) = frame_of(call_id, answer, cells);
    let mut len = frame.len() as u32;
    match mischief {
        Some(6) => {
            // truncated, with the original length or one that agrees
            frame.truncate(random as usize % frame.len().max(1));
            if random.is_multiple_of(2) {
                len = frame.len() as u32;
            }
        }
        Some(7) => len = len.saturating_add(1 + (random % 9) as u32),
        Some(8) => len = u32::MAX - (random % 9) as u32,
        Some(9) => frame.iter_mut().enumerate().for_each(|(at, byte)| *byte = (random >> (at % 57)) as u8),
        // the message itself has no check
        Some(10) => frame[random as usize % header_len] ^= 1 << (random % 8),
        _ => {}
    }
    stream.write_all(&[&len.to_be_bytes(), &frame[..]].concat()).await?;
    stream.flush().await?;
    Ok(!matches!(mischief, Some(6..=9)))
}

/// Returns a frame without its length, and the length of its header.
fn frame_of(call_id: u32, answer: Answer, cells: Vec<u8>) -> (Vec<u8>, usize) {
    let exception = answer.exception.map(|(class, text, do_not_retry)| proto::ExceptionResponse {
        exception_class_name: Some(class.to_owned()),
        stack_trace: Some(format!("{class}: {text}\n\tat a.b")),
        do_not_retry: Some(do_not_retry),
        server_overloaded: None,
    });
    let has_result = exception.is_none();
    let meta = (!cells.is_empty() && has_result)
        .then(|| proto::CellBlockMeta { length: Some(u32::try_from(cells.len()).unwrap()) });
    let header = proto::ResponseHeader { call_id: Some(call_id), exception, cell_block_meta: meta };
    let mut frame = header.encode_length_delimited_to_vec();
    let header_len = frame.len();
    if has_result {
        prost::encode_length_delimiter(answer.message.len(), &mut frame).unwrap();
        frame.extend(answer.message);
        frame.extend(cells);
    }
    (frame, header_len)
}
