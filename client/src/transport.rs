//! Receives and sends the bytes of a connection, plain or through a layer that protects them.

use bytes::BytesMut;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

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

    /// Tells the other side that nothing more is sent.
    fn end(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// Plain bytes.
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
        send_within(&mut self.0, bytes, STALLED).await
    }

    async fn end(&mut self) -> io::Result<()> {
        timeout(ENDING, self.0.shutdown()).await?
    }
}

/// The time for the end of a connection.
const ENDING: Duration = Duration::from_secs(5);

/// A connection that takes no byte for this time is no longer used
/// (`hbase.ipc.client.socket.timeout.write`).
const STALLED: Duration = Duration::from_secs(60);

/// Sends all bytes, none of which takes longer than `patience`.
async fn send_within(
    write: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    patience: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = timeout(patience, write.write(bytes)).await??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    timeout(patience, write.flush()).await?
}

/// Counts the bytes that arrive, before a whole message is read.
pub(crate) struct Counted<R> {
    read: R,
    arrived: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    pub(crate) fn new(read: R, arrived: &Arc<AtomicU64>) -> Self {
        Self { read, arrived: Arc::clone(arrived) }
    }
}

impl<R: Incoming> Incoming for Counted<R> {
    async fn read_u32(&mut self) -> io::Result<u32> {
        let number = self.read.read_u32().await?;
        self.arrived.fetch_add(1, Ordering::Relaxed);
        Ok(number)
    }

    async fn read(&mut self, into: &mut BytesMut, max: usize) -> io::Result<usize> {
        let read = self.read.read(into, max).await?;
        self.arrived.fetch_add(1, Ordering::Relaxed);
        Ok(read)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_takes_no_bytes_is_given_up() {
        let (mut near, mut far) = tokio::io::duplex(10);
        let patience = Duration::from_millis(100);
        send_within(&mut near, b"0123456789", patience).await.unwrap();
        let error = send_within(&mut near, b"x", patience).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut bytes = [0; 30];
        let (sent, read) =
            tokio::join!(send_within(&mut near, &[b'x'; 20], patience), far.read_exact(&mut bytes));
        assert!(sent.is_ok() && read.is_ok() && bytes.ends_with(&[b'x'; 20]));
    }
}
