//! The body of a fuzz target: the bytes that a server sends while both sides authenticate, and after that.
//! For this repository only; it may change at any time.

use super::exchange::{Outcome, exchange};
use super::mechanism::{Context, GssError, Step};
use super::{Protection, protect};
use crate::connection::read_frame;
use crate::fault::Fault;
use crate::frame::ResponseFrame;
use crate::transport::{Incoming, Outgoing as _, Plain};
use std::io::Cursor;
use tokio::runtime::Builder;

/// The length up to which responses are read.
const MAX_RESPONSE: usize = 1 << 20;

/// Takes the first byte of a token as what it is: 0 is refused, 1 ends the exchange, 2 means that the message
/// was encrypted.
struct AnyContext;

impl AnyContext {
    fn split(token: &[u8]) -> Result<(u8, &[u8]), GssError> {
        match token.split_first() {
            None | Some((0, _)) => Err(GssError::new("a token that is refused")),
            Some((kind, message)) => Ok((*kind, message)),
        }
    }
}

impl Context for AnyContext {
    fn step(&mut self, token: &[u8]) -> Result<Step, GssError> {
        if token.is_empty() {
            return Ok(Step { token: b"client".to_vec(), is_complete: false });
        }
        let (kind, message) = Self::split(token)?;
        Ok(Step { token: message.to_vec(), is_complete: kind & 1 != 0 })
    }

    fn wrap(&mut self, message: &[u8], _: bool) -> Result<Vec<u8>, GssError> {
        Ok(message.to_vec())
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), GssError> {
        let (kind, message) = Self::split(token)?;
        Ok((message.to_vec(), kind & 2 != 0))
    }

    fn max_message(&mut self, max: u32, _: bool) -> Result<u32, GssError> {
        Ok(max)
    }
}

/// Authenticates to a server, and reads its responses: a byte with the protections that are accepted, and all
/// that the server sends. The bytes read are among those sent, and the agreed protection is an accepted one.
///
/// # Panics
///
/// If that does not hold, or no runtime can be created.
pub fn session(input: &[u8]) {
    let Some((settings, sent)) = input.split_first() else { return };
    let accepted: Vec<Protection> =
        Protection::ALL.into_iter().filter(|protection| settings & protection.bit() != 0).collect();
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let (mut read, mut write) = (Plain(Cursor::new(sent.to_vec())), Plain(tokio::io::sink()));
        let begin = || Ok(Box::new(AnyContext) as Box<dyn Context>);
        match exchange("server", &mut read, &mut write, begin, &accepted).await {
            Err(error) => drop(Fault::gone("server", &error)),
            Ok(Outcome::Simple) => read_all(read, sent.len()).await,
            Ok(Outcome::Authenticated(agreement)) => {
                assert!(accepted.contains(&agreement.protection));
                assert!(agreement.max_message > 0 || agreement.protection == Protection::Authentication);
                let (read, mut write) = protect("server", agreement, read, write, MAX_RESPONSE);
                write.send(&[1; 5000]).await.expect("all is taken");
                read_all(read, sent.len()).await;
            }
        }
    });
}

/// Reads responses until there is none.
async fn read_all(mut read: impl Incoming, len: usize) {
    let mut bytes = 0;
    loop {
        match read_frame(&mut read, MAX_RESPONSE).await {
            Err(error) => return drop(Fault::gone("server", &error)),
            Ok(Err(corruption)) => return drop(Fault::corrupt("server", &corruption)),
            Ok(Ok(frame)) => {
                bytes += 4 + frame.len();
                assert!(bytes <= len, "{bytes} bytes of {len}");
                drop(ResponseFrame::parse(frame));
            }
        }
    }
}

/// Returns inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    fn with_len(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes()[..], bytes].concat()
    }
    let success = |token: &[u8]| [&[0; 4], &with_len(token)[..]].concat();
    let refusal = [&[0, 0, 0, 1], &with_len(b"a.B")[..], &with_len(b"no")].concat();
    let refused_preamble = {
        // a header with the call -1 and an exception
        let header = [&[8, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x12, 5, 10, 3][..], b"a.B"].concat();
        with_len(&[&[u8::try_from(header.len()).unwrap_or_default()][..], &header].concat())
    };
    let response = with_len(&[2, 8, 1, 0]);
    let mut seeds = vec![
        [&[7], &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xa8][..], &response].concat(),
        [&[7], &refusal[..]].concat(),
        [&[7], &refused_preamble[..]].concat(),
    ];
    for bit in [1, 2, 4] {
        let offer = [success(b"\x02one"), success(b"\x01"), success(&[1, 7, 0, 1, 0])].concat();
        let answers: Vec<u8> = match bit {
            1 => response.repeat(3),
            _ => [with_len(&[&[3], &response[..]].concat()), with_len(&[&[3], &response[..2]].concat())]
                .into_iter()
                .chain([with_len(&[&[3], &response[2..]].concat())])
                .flatten()
                .collect(),
        };
        seeds.push([&[bit], &offer[..], &answers].concat());
        // the last token is refused
        seeds.push([&[bit], &offer[..], &refusal].concat());
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::tests::play;

    #[test]
    fn seeds_and_changes_of_them_end() {
        play(&seeds(), 5_000, session);
    }
}
