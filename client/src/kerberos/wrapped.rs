//! Messages on a connection that is authenticated (HBase: `SaslWrapHandler`, `SaslUnwrapHandler`).

use super::Protection;
use super::exchange::{Agreement, ERROR, read_error};
use super::mechanism::{Context, GssError};
use crate::fault::Fault;
use crate::transport::{Incoming, Outgoing, read_bytes};
use bytes::{Buf, Bytes, BytesMut};
use hregion::Corruption;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::spawn_blocking;

/// The maximum number of bytes by which tokens are longer than their messages.
const OVERHEAD: usize = 64 << 10;
/// Longer tokens are read on a thread that may be busy for a while.
const LONG: usize = 256 << 10;

/// The context of a connection, which both directions use.
#[derive(Clone)]
struct Layer {
    context: Arc<Mutex<Box<dyn Context>>>,
    encrypt: bool,
}

impl Layer {
    fn wrap(&self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        self.context.lock().unwrap_or_else(PoisonError::into_inner).wrap(message, self.encrypt)
    }

    fn unwrap(&self, token: &[u8]) -> Result<Vec<u8>, GssError> {
        let unwrapped = self.context.lock().unwrap_or_else(PoisonError::into_inner).unwrap(token);
        match unwrapped? {
            (_, false) if self.encrypt => Err(GssError::new("an answer that is not encrypted")),
            (message, _) if message.is_empty() => Err(GssError::new("an empty answer")),
            (message, _) => Ok(message),
        }
    }
}

/// Protects both directions of a connection as both sides have agreed.
pub(crate) fn protect<R: Incoming, W: Outgoing>(
    server: &str,
    agreement: Agreement,
    read: R,
    write: W,
    max_response: usize,
) -> (Unwrapping<R>, Wrapping<W>) {
    let Agreement { context, protection, max_message } = agreement;
    let encrypt = protection == Protection::Privacy;
    let layer = (protection != Protection::Authentication)
        .then(|| Layer { context: Arc::new(Mutex::new(context)), encrypt });
    let incoming = Unwrapping {
        server: server.to_owned(),
        read,
        layer: layer.clone(),
        max_token: max_response.saturating_add(OVERHEAD),
        is_first: true,
        plain: Bytes::new(),
    };
    (incoming, Wrapping { server: server.to_owned(), write, layer, max_message })
}

pub(crate) struct Wrapping<W> {
    server: String,
    write: W,
    layer: Option<Layer>,
    max_message: usize,
}

impl<W: Outgoing> Outgoing for Wrapping<W> {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(layer) = &self.layer else { return self.write.send(bytes).await };
        let failed = |error: GssError| Fault::unprotected(&self.server, &error.message).into_io();
        for message in bytes.chunks(self.max_message) {
            let token = layer.wrap(message).map_err(failed)?;
            let len = u32::try_from(token.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            self.write.send(&[&len.to_be_bytes(), &token[..]].concat()).await?;
        }
        Ok(())
    }

    async fn end(&mut self) -> io::Result<()> {
        self.write.end().await
    }
}

pub(crate) struct Unwrapping<R> {
    server: String,
    read: R,
    layer: Option<Layer>,
    max_token: usize,
    /// Whether nothing has arrived yet: the server may refuse the last token, to which it does not respond
    /// otherwise.
    is_first: bool,
    /// Bytes that have arrived and were not read.
    plain: Bytes,
}

impl<R: Incoming> Unwrapping<R> {
    /// Reads more into `plain`.
    async fn fill(&mut self) -> io::Result<()> {
        let len = self.read.read_u32().await?;
        if std::mem::take(&mut self.is_first) && len == ERROR {
            // no frame and no token is so short
            return Err(read_error(&self.server, &mut self.read).await?);
        }
        let Some(layer) = &self.layer else {
            self.plain = Bytes::copy_from_slice(&len.to_be_bytes());
            return Ok(());
        };
        let len = len as usize;
        if len > self.max_token {
            let (value, limit) = (len as u64, self.max_token as u64);
            let limit = Corruption::Limit { what: "protected response of a server", value, limit };
            return Err(Fault::corrupt(&self.server, &limit).into_io());
        }
        let token = read_bytes(&mut self.read, len).await?;
        let message = if len < LONG {
            layer.unwrap(&token)
        } else {
            let layer = layer.clone();
            let unwrapped = spawn_blocking(move || layer.unwrap(&token)).await;
            unwrapped.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?
        };
        self.plain =
            message.map_err(|error| Fault::unprotected(&self.server, &error.message).into_io())?.into();
        Ok(())
    }

    /// Whether the next bytes are not in `plain` but unprotected on the connection.
    fn is_plain(&self) -> bool {
        self.layer.is_none() && !self.is_first && self.plain.is_empty()
    }
}

impl<R: Incoming> Incoming for Unwrapping<R> {
    async fn read_u32(&mut self) -> io::Result<u32> {
        if self.is_plain() {
            return self.read.read_u32().await;
        }
        let mut number = BytesMut::with_capacity(4);
        while number.len() < 4 {
            let left = 4 - number.len();
            if self.read(&mut number, left).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(number.get_u32())
    }

    async fn read(&mut self, into: &mut BytesMut, max: usize) -> io::Result<usize> {
        if self.is_plain() {
            return self.read.read(into, max).await;
        }
        if self.plain.is_empty() {
            self.fill().await?;
        }
        let len = self.plain.len().min(max);
        into.extend_from_slice(&self.plain.split_to(len));
        Ok(len)
    }
}
