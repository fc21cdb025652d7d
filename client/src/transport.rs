//! What arrives on a connection and what is sent: as it is, or protected by a layer in between.

use bytes::BytesMut;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes that arrive.
pub(crate) trait Incoming: Send + 'static {
    /// Reads a number.
    fn read_u32(&mut self) -> impl Future<Output = io::Result<u32>> + Send;

    /// Appends bytes, at most `max`. Returns their number, 0 at the end.
    fn read(&mut self, into: &mut BytesMut, max: usize) -> impl Future<Output = io::Result<usize>> + Send;
}

/// Bytes that are sent.
pub(crate) trait Outgoing: Send + 'static {
    /// Sends all of them.
    fn send(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
}

/// Bytes as they are.
pub(crate) struct Plain<S>(pub(crate) S);

impl<R: AsyncRead + Send + Unpin + 'static> Incoming for Plain<R> {
    async fn read_u32(&mut self) -> io::Result<u32> {
        self.0.read_u32().await
    }

    async fn read(&mut self, into: &mut BytesMut, max: usize) -> io::Result<usize> {
        (&mut self.0).take(max as u64).read_buf(into).await
    }
}

impl<W: AsyncWrite + Send + Unpin + 'static> Outgoing for Plain<W> {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }
}

/// Bytes are read into buffers that grow with what arrives, so that a length alone allocates no more.
const READ_AT_LEAST: usize = 4 << 20;

/// Reads bytes of a known number.
pub(crate) async fn read_bytes(read: &mut impl Incoming, len: usize) -> io::Result<BytesMut> {
    let mut bytes = BytesMut::with_capacity(len.min(READ_AT_LEAST));
    while bytes.len() < len {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(bytes.len().min(len - bytes.len()));
        }
        let left = len - bytes.len();
        if read.read(&mut bytes, left).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes)
}
