//! The exchange of tokens before a connection header (locator.md §8.5; HBase:
//! `NettyHBaseSaslRpcClientHandler`; RFC 4752).
#![warn(clippy::indexing_slicing)]

use super::Protection;
use super::mechanism::{Context, GssError};
use crate::connection::NO_CALL;
use crate::fault::Fault;
use crate::frame::ResponseFrame;
use crate::transport::{Incoming, Outgoing, read_bytes};
use bytes::Bytes;
use hregion::{Corruption, Error, ErrorKind};
use std::io;
use std::thread;
use tokio::sync::oneshot;

/// The statuses of a server's response to a token.
const SUCCESS: u32 = 0;
pub(super) const ERROR: u32 = 1;
/// The length -88: the server does not authenticate.
const SWITCH_TO_SIMPLE: u32 = u32::MAX - 87;
/// The length of a missing text: -1.
const NO_TEXT: u32 = u32::MAX;

/// The maximum length of a token (HBase: `SaslChallengeDecoder`).
const MAX_TOKEN: u32 = 1 << 20;
/// Kerberos needs three.
const MAX_TOKENS: usize = 16;
/// The maximum message length that the client announces, like Java's. Servers send longer ones.
const MAX_MESSAGE: u32 = 1 << 16;

/// The outcome of the exchange.
pub(crate) enum Outcome {
    Authenticated(Agreement),
    /// The server does not authenticate, and expects the header of a client that does not.
    Simple,
}

/// The agreed protection.
pub(crate) struct Agreement {
    pub(crate) context: Box<dyn Context>,
    pub(crate) protection: Protection,
    /// The maximum length of a message that the server accepts, before it is protected.
    pub(crate) max_message: usize,
}

/// Exchanges tokens with a server, which has read the preamble. `wanted` has the protections that are
/// accepted, in the order of preference.
pub(crate) async fn exchange(
    server: &str,
    read: &mut impl Incoming,
    write: &mut impl Outgoing,
    begin: impl FnOnce() -> Result<Box<dyn Context>, GssError> + Send + 'static,
    wanted: &[Protection],
) -> io::Result<Outcome> {
    let (mut context, mut step) = blocking(server, move || {
        let mut context = begin()?;
        let step = context.step(&[])?;
        Ok((context, step))
    })
    .await?;
    for at in 0..MAX_TOKENS {
        send(write, &step.token).await?;
        let token = match read_answer(server, read).await? {
            Answer::Token(token) => token,
            Answer::Simple if at == 0 => return Ok(Outcome::Simple),
            Answer::Simple => {
                return Err(malformed(server, "the server requires no authentication after a token"));
            }
        };
        if step.is_complete {
            let wanted = wanted.to_vec();
            let agreed = blocking(server, move || Ok(agree(context, &token, &wanted))).await?;
            let (agreement, answer) = agreed.map_err(|error| failed(server, error))?;
            send(write, &answer).await?;
            return Ok(Outcome::Authenticated(agreement));
        }
        (context, step) = blocking(server, move || {
            let step = context.step(&token)?;
            Ok((context, step))
        })
        .await?;
    }
    Err(malformed(server, "the server sends too many tokens"))
}

/// The reason that both sides do not agree.
pub(super) enum Disagreement {
    Mechanism(GssError),
    Malformed(&'static str),
    Protection(String),
}

fn failed(server: &str, error: Disagreement) -> io::Error {
    match error {
        Disagreement::Mechanism(error) => of_mechanism(server, &error).into_io(),
        Disagreement::Malformed(what) => malformed(server, what),
        Disagreement::Protection(message) => {
            let message = format!("{server}: {message}");
            Fault::fatal(Error::new(ErrorKind::Remote, message)).into_io()
        }
    }
}

/// Chooses among the protections that the server offers. Returns the choice, and the token for it.
pub(super) fn agree(
    mut context: Box<dyn Context>,
    token: &[u8],
    wanted: &[Protection],
) -> Result<(Agreement, Vec<u8>), Disagreement> {
    let (offer, _) = context.unwrap(token).map_err(Disagreement::Mechanism)?;
    let [offered, high, middle, low] = offer[..] else {
        return Err(Disagreement::Malformed("an offer of protections that is not four bytes"));
    };
    let Some(protection) = wanted.iter().copied().find(|wanted| offered & wanted.bit() != 0) else {
        let names = |is_named: &dyn Fn(&Protection) -> bool| {
            let named = Protection::ALL.iter().filter(|protection| is_named(protection));
            named.map(|protection| protection.name()).collect::<Vec<_>>().join(",")
        };
        let offered = names(&|protection| offered & protection.bit() != 0);
        let wanted = names(&|protection| wanted.contains(protection));
        return Err(Disagreement::Protection(format!(
            "hbase.rpc.protection is {wanted}, and the server offers {offered}"
        )));
    };
    let is_wrapped = protection != Protection::Authentication;
    let mut max_message = 0;
    if is_wrapped {
        let max = u32::from_be_bytes([0, high, middle, low]);
        let encrypt = protection == Protection::Privacy;
        max_message = context.max_message(max, encrypt).map_err(Disagreement::Mechanism)?;
        if max_message == 0 {
            return Err(Disagreement::Malformed("the server takes no messages"));
        }
    }
    let [_, high, middle, low] = if is_wrapped { MAX_MESSAGE } else { 0 }.to_be_bytes();
    let answer =
        context.wrap(&[protection.bit(), high, middle, low], false).map_err(Disagreement::Mechanism)?;
    let max_message = max_message.min(MAX_MESSAGE) as usize;
    Ok((Agreement { context, protection, max_message }, answer))
}

/// Runs work that may wait for other servers on a thread of its own, because the end of a runtime waits for
/// its threads.
async fn blocking<T: Send + 'static>(
    server: &str,
    work: impl FnOnce() -> Result<T, GssError> + Send + 'static,
) -> io::Result<T> {
    let (sender, done) = oneshot::channel();
    thread::Builder::new().name("kerberos".to_owned()).spawn(move || {
        // an error means that the caller no longer waits
        drop(sender.send(work()));
    })?;
    let done = done.await.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
    done.map_err(|error| of_mechanism(server, &error).into_io())
}

pub(super) fn of_mechanism(server: &str, error: &GssError) -> Fault {
    Fault::unauthenticated(server, &error.message, error.is_transient)
}

fn malformed(server: &str, what: &'static str) -> io::Error {
    Fault::corrupt(server, &Corruption::Malformed(what)).into_io()
}

async fn send(write: &mut impl Outgoing, token: &[u8]) -> io::Result<()> {
    let len = u32::try_from(token.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    write.send(&[&len.to_be_bytes(), token].concat()).await
}

enum Answer {
    Token(Bytes),
    Simple,
}

async fn read_answer(server: &str, read: &mut impl Incoming) -> io::Result<Answer> {
    match read.read_u32().await? {
        SUCCESS => {}
        ERROR => return Err(read_error(server, read).await?),
        len => {
            // a server that refuses the preamble answers with a frame
            let answer = read_preamble_answer(server, read, len).await?;
            return Err(match &answer.exception {
                Some(exception) => Fault::refused_connection(server, exception).into_io(),
                None => malformed(server, "an answer that is not a token"),
            });
        }
    }
    match read.read_u32().await? {
        SWITCH_TO_SIMPLE => Ok(Answer::Simple),
        len => Ok(Answer::Token(read_some(server, read, len).await?)),
    }
}

/// Reads the error of a server that refuses a token.
pub(super) async fn read_error(server: &str, read: &mut impl Incoming) -> io::Result<io::Error> {
    let mut texts = [Bytes::new(), Bytes::new()];
    for text in &mut texts {
        let len = read.read_u32().await?;
        if len != NO_TEXT {
            *text = read_some(server, read, len).await?;
        }
    }
    let [class, message] = texts.each_ref().map(|text| String::from_utf8_lossy(text));
    Ok(Fault::refused_token(server, &class, &message).into_io())
}

/// Reads the frame with which a server answers to a preamble, or refuses it.
pub(super) async fn read_preamble_answer(
    server: &str,
    read: &mut impl Incoming,
    len: u32,
) -> io::Result<ResponseFrame> {
    let corrupt = |corruption: &Corruption| Fault::corrupt(server, corruption).into_io();
    let frame = read_some(server, read, len).await?;
    let response = ResponseFrame::parse(frame).map_err(|corruption| corrupt(&corruption))?;
    if response.call_id != NO_CALL {
        return Err(corrupt(&Corruption::Malformed("an answer to a call that was not made")));
    }
    Ok(response)
}

/// Reads a token, a text or a frame.
async fn read_some(server: &str, read: &mut impl Incoming, len: u32) -> io::Result<Bytes> {
    if len > MAX_TOKEN {
        let what = "token of a server";
        let limit = Corruption::Limit { what, value: u64::from(len), limit: u64::from(MAX_TOKEN) };
        return Err(Fault::corrupt(server, &limit).into_io());
    }
    Ok(read_bytes(read, len as usize).await?.freeze())
}
