//! The authentication of sessions with ZooKeeper (locator.md §7.4; ZooKeeper: `ZooKeeperSaslClient`;
//! RFC 4752).

use super::exchange::{Disagreement, agree};
use super::mechanism::{Context, GssError, Login, Mechanism};
use super::{KerberosClient, Principal, Protection};
use hregion::locator::{SaslExchange, SaslMechanism, SaslStep};
use std::io;
use std::sync::Arc;

/// Authenticates sessions with ZooKeeper by Kerberos.
#[derive(Debug)]
struct Mechanics {
    principal: Principal,
    canonical: bool,
    login: Login,
    mechanism: Arc<dyn Mechanism>,
}

impl KerberosClient {
    /// Returns the mechanism that authenticates sessions with ZooKeeper, unless they are anonymous.
    pub(crate) fn of_zookeeper(&self) -> Option<Arc<dyn SaslMechanism>> {
        let settings = &self.settings;
        let principal = settings.zookeeper.clone()?;
        let login = settings.zookeeper_login.as_ref().unwrap_or(&settings.login).clone();
        let (canonical, mechanism) = (settings.canonical, Arc::clone(&self.of_zookeeper));
        Some(Arc::new(Mechanics { principal, canonical, login, mechanism }))
    }
}

impl SaslMechanism for Mechanics {
    fn begin(&self, host: &str) -> io::Result<Box<dyn SaslExchange>> {
        let target = self.principal.of_host(host, self.canonical);
        let context = self.mechanism.begin(&target, &self.login).map_err(failed)?;
        Ok(Box::new(Exchange { context: Some(context), is_known: false }))
    }
}

/// The exchange of one session.
struct Exchange {
    /// `None` at the end.
    context: Option<Box<dyn Context>>,
    /// Whether both sides are authenticated.
    is_known: bool,
}

impl SaslExchange for Exchange {
    fn step(&mut self, token: &[u8]) -> io::Result<SaslStep> {
        let Some(mut context) = self.context.take() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a token after the last one"));
        };
        if self.is_known {
            // messages are not protected: ZooKeeper's protocol does not support it
            let wanted = [Protection::Authentication];
            let (_, token) = agree(context, token, &wanted).map_err(|disagreement| match disagreement {
                Disagreement::Mechanism(error) => failed(error),
                Disagreement::Malformed(what) => io::Error::new(io::ErrorKind::InvalidData, what),
                Disagreement::Protection(_) => {
                    let what = "the server requires protected messages, which ZooKeeper's are not";
                    io::Error::new(io::ErrorKind::PermissionDenied, what)
                }
            })?;
            return Ok(SaslStep { token, is_last: true });
        }
        let step = context.step(token).map_err(failed)?;
        self.is_known = step.is_complete;
        self.context = Some(context);
        Ok(SaslStep { token: step.token, is_last: false })
    }
}

fn failed(error: GssError) -> io::Error {
    let kind = if error.is_transient { io::ErrorKind::Other } else { io::ErrorKind::PermissionDenied };
    io::Error::new(kind, format!("Kerberos: {}", error.message))
}
