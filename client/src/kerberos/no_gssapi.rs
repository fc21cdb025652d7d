//! A stub for systems without a known library.

use super::Target;
use super::mechanism::{Context, GssError, Login, Mechanism};

/// No library.
#[derive(Debug)]
pub(crate) enum Gssapi {}

impl Gssapi {
    pub(crate) fn load() -> Result<Self, String> {
        Err("Kerberos needs the library libgssapi_krb5 of MIT, which is used on Unix only".to_owned())
    }
}

impl Mechanism for Gssapi {
    fn begin(&self, _: &Target, _: &Login) -> Result<Box<dyn Context>, GssError> {
        match *self {}
    }
}
