//! Refusals of operations, by the name of HBase's exception (replay.md §9).

use hregion::ErrorKind;

/// A refusal: the operation had no effect, and the script continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScriptError {
    NoSuchColumnFamily,
    WrongRegion,
    WrongRow,
    FailedSanityCheck,
    DoNotRetryIo,
    IncompatibleFilter,
    IllegalArgument,
    IllegalState,
    Io,
    NumberFormat,
    PatternSyntax,
    /// The operation needs an unsupported feature, or exceeds a limit that HBase does not have.
    Unsupported,
}

impl ScriptError {
    /// Returns the simple name of HBase's exception.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoSuchColumnFamily => "NoSuchColumnFamilyException",
            Self::WrongRegion => "WrongRegionException",
            Self::WrongRow => "WrongRowIOException",
            Self::FailedSanityCheck => "FailedSanityCheckException",
            Self::DoNotRetryIo => "DoNotRetryIOException",
            Self::IncompatibleFilter => "IncompatibleFilterException",
            Self::IllegalArgument => "IllegalArgumentException",
            Self::IllegalState => "IllegalStateException",
            Self::Io => "IOException",
            Self::NumberFormat => "NumberFormatException",
            Self::PatternSyntax => "PatternSyntaxException",
            Self::Unsupported => "Unsupported",
        }
    }
}

/// The kind of operation, on which the exception for an error depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Read,
    /// A raw scan with columns, or a reversed one with families loaded on demand.
    OddScan,
    Write,
    /// A write that reads its row first, or is atomic over several mutations.
    Modify,
    /// Flushes, compactions and bulk loads.
    Upkeep,
}

impl Request {
    /// Returns HBase's exception for the error. Errors that the operation did not cause are returned.
    pub(super) fn script_error(self, error: hregion::Error) -> Result<ScriptError, hregion::Error> {
        // errors in files are not caused by the operation
        let refusal = if error.path().is_some() { None } else { self.name_of(error.kind()) };
        refusal.ok_or(error)
    }

    fn name_of(self, kind: ErrorKind) -> Option<ScriptError> {
        match (kind, self) {
            (ErrorKind::NoSuchFamily, _) => Some(ScriptError::NoSuchColumnFamily),
            (ErrorKind::WrongRegion, Self::Write) => Some(ScriptError::FailedSanityCheck),
            (ErrorKind::WrongRegion, _) => Some(ScriptError::WrongRegion),
            (ErrorKind::InvalidArgument, Self::OddScan) => Some(ScriptError::DoNotRetryIo),
            (ErrorKind::InvalidArgument, _) => Some(ScriptError::IllegalArgument),
            (ErrorKind::IncompatibleFilter, _) => Some(ScriptError::IncompatibleFilter),
            (ErrorKind::NotACounter, _) => Some(ScriptError::DoNotRetryIo),
            (ErrorKind::Unsupported | ErrorKind::Limit, _) => Some(ScriptError::Unsupported),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn one_error_has_several_names() {
        let names = |kind| {
            [Request::Read, Request::OddScan, Request::Write, Request::Modify, Request::Upkeep]
                .map(|asked| asked.name_of(kind))
        };
        let name = |refusal| Some(refusal);
        use ScriptError::*;
        assert_eq!(
            names(ErrorKind::WrongRegion),
            [WrongRegion, WrongRegion, FailedSanityCheck, WrongRegion, WrongRegion].map(name)
        );
        assert_eq!(
            names(ErrorKind::InvalidArgument),
            [IllegalArgument, DoNotRetryIo, IllegalArgument, IllegalArgument, IllegalArgument].map(name)
        );
        assert_eq!(names(ErrorKind::NoSuchFamily), [name(NoSuchColumnFamily); 5]);
        assert_eq!(names(ErrorKind::NotACounter), [name(DoNotRetryIo); 5]);
        assert_eq!(names(ErrorKind::IncompatibleFilter), [name(IncompatibleFilter); 5]);
        assert_eq!(names(ErrorKind::Limit), [name(Unsupported); 5]);
        assert_eq!(names(ErrorKind::Corrupt), [None; 5]);
    }

    #[test]
    fn errors_of_files_are_no_answers() {
        let unsupported = hregion::Corruption::Malformed("broken").at(Path::new("x"), 0);
        assert!(Request::Read.script_error(unsupported).is_err());
        assert_eq!(
            Request::Read.script_error(hregion::Error::invalid_argument("no")).unwrap(),
            ScriptError::IllegalArgument
        );
    }
}
