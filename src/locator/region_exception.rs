//! Errors reported by servers, and the reactions to them (locator.md §10; HBase: `ClientExceptionsUtil`,
//! `RegionMovedException`).
#![warn(clippy::indexing_slicing)]

use super::ServerName;
use std::time::Duration;

/// The reason that a server did not execute a request, by the required reaction (HBase:
/// `ClientExceptionsUtil`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionException {
    /// The server does not have the region, or the row is not in it: locate again.
    NotServingRegion,
    /// The region moved to another, known server: ask that one.
    RegionMoved {
        /// The server that has the region.
        server: ServerName,
        /// The sequence id at which the region was closed, if reported.
        seq_num: Option<i64>,
    },
    /// The server is opening the region: ask it again, later.
    RegionOpening,
    /// The server is overloaded: ask it again, later.
    Busy {
        /// How long to wait; `None` for the usual pause, zero to ask again immediately.
        pause: Option<Duration>,
    },
    /// The server is stopping or unreachable: all locations on it are invalid.
    ServerGone,
    /// The server did not answer in time, or is starting: locate again, later.
    NoAnswer,
    /// The server lost the scanner: open another after the last row.
    ScannerReset,
    /// Unknown; the region may no longer exist: locate again.
    Unknown,
    /// The request is wrong, or refused: do not retry.
    Fatal,
}

const PACKAGE: &str = "org.apache.hadoop.hbase.";

impl RegionException {
    /// Classifies an exception of a server by its class, its message, and whether it asks not to retry. That
    /// flag is used only for unknown classes, because it is also set for lost scanners.
    #[must_use]
    pub fn of_exception(class: &str, message: &str, do_not_retry: bool) -> Self {
        match class.strip_prefix(PACKAGE).unwrap_or(class) {
            "NotServingRegionException" | "regionserver.WrongRegionException" => Self::NotServingRegion,
            "exceptions.RegionMovedException" => match moved_to(message) {
                Some((server, seq_num)) => Self::RegionMoved { server, seq_num },
                None => Self::NotServingRegion,
            },
            "exceptions.RegionOpeningException" => Self::RegionOpening,
            "regionserver.RegionServerStoppedException" | "regionserver.RegionServerAbortedException" => {
                Self::ServerGone
            }
            "ipc.ServerNotRunningYetException" => Self::NoAnswer,
            "RegionTooBusyException"
            | "CallQueueTooBigException"
            | "CallDroppedException"
            | "PleaseHoldException" => Self::Busy { pause: None },
            "RetryImmediatelyException" | "MultiActionResultTooLarge" => {
                Self::Busy { pause: Some(Duration::ZERO) }
            }
            "quotas.RpcThrottlingException" => Self::Busy { pause: throttled_for(message) },
            "UnknownScannerException"
            | "exceptions.ScannerResetException"
            | "exceptions.OutOfOrderScannerNextException"
            | "regionserver.LeaseException" => Self::ScannerReset,
            "TableNotFoundException"
            | "TableNotEnabledException"
            | "NamespaceNotFoundException"
            | "UnknownRegionException"
            | "regionserver.NoSuchColumnFamilyException"
            | "security.AccessDeniedException"
            | "io.hfile.CorruptHFileException"
            | "exceptions.RequestTooBigException"
            | "exceptions.UnknownProtocolException"
            | "DoNotRetryIOException"
            | "ipc.FatalConnectionException"
            | "ipc.WrongVersionException"
            | "ipc.BadAuthException"
            | "ipc.UnknownServiceException"
            | "ipc.UnsupportedCellCodecException"
            | "ipc.UnsupportedCompressionCodecException" => Self::Fatal,
            _ if do_not_retry => Self::Fatal,
            _ => Self::Unknown,
        }
    }

    /// Whether the known location of the region is, or may be, wrong.
    #[must_use]
    pub fn is_relocation(&self) -> bool {
        matches!(
            self,
            Self::NotServingRegion
                | Self::RegionMoved { .. }
                | Self::ServerGone
                | Self::NoAnswer
                | Self::Unknown
        )
    }
}

/// Parses the destination of a moved region: `… hostname=H port=P startCode=S. As of locationSeqNum=N.`
fn moved_to(message: &str) -> Option<(ServerName, Option<i64>)> {
    let host = value(message, "hostname=", ' ')?;
    let port = value(message, "port=", ' ')?.parse().ok()?;
    let start_code = value(message, "startCode=", '.')?.parse().ok()?;
    let seq_num = value(message, "locationSeqNum=", '.').and_then(|number| number.parse().ok());
    Some((ServerName::new(host, port, start_code).ok()?, seq_num))
}

/// Returns the text between a name and the character `end`.
fn value<'m>(message: &'m str, name: &str, end: char) -> Option<&'m str> {
    let (_, rest) = message.split_once(name)?;
    rest.split_once(end).map(|(value, _)| value)
}

/// Parses the wait time of a quota: ` - wait 2hrs, 1min, 3sec, 4ms`, where parts may be missing.
fn throttled_for(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once(" - wait ")?;
    let mut millis = 0_u64;
    for part in rest.split(", ").map(|part| part.trim_end_matches('.')) {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = part.split_at_checked(digits)?;
        let factor = match unit.trim() {
            "hrs" | "hr" => 3_600_000,
            "mins" | "min" => 60_000,
            "sec" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
    }
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(class: &str, message: &str, do_not_retry: bool) -> RegionException {
        RegionException::of_exception(&format!("{PACKAGE}{class}"), message, do_not_retry)
    }

    #[test]
    fn the_class_comes_before_whether_to_retry() {
        assert_eq!(fault("NotServingRegionException", "", true), RegionException::NotServingRegion);
        assert_eq!(fault("UnknownScannerException", "", true), RegionException::ScannerReset);
        assert_eq!(fault("exceptions.RegionOpeningException", "", false), RegionException::RegionOpening);
        assert_eq!(fault("security.AccessDeniedException", "", false), RegionException::Fatal);
        assert_eq!(RegionException::of_exception("java.io.IOException", "", false), RegionException::Unknown);
        assert_eq!(RegionException::of_exception("java.io.IOException", "", true), RegionException::Fatal);
        assert!(!RegionException::RegionOpening.is_relocation() && RegionException::Unknown.is_relocation());
    }

    #[test]
    fn a_moved_region_has_its_new_server() {
        let moved = |message: &str| fault("exceptions.RegionMovedException", message, false);
        let text = "Region moved to: hostname=h.example port=16020 startCode=17. As of locationSeqNum=42.";
        let server = ServerName::new("h.example", 16020, 17).unwrap();
        assert_eq!(moved(text), RegionException::RegionMoved { server: server.clone(), seq_num: Some(42) });
        let short = "hostname=h.example port=16020 startCode=17.";
        assert_eq!(moved(short), RegionException::RegionMoved { server, seq_num: None });
        let server = ServerName::new("2001:db8::1", 16020, 17).unwrap();
        for host in ["2001:db8::1", "[2001:db8::1]"] {
            let text = format!("Region moved to: hostname={host} port=16020 startCode=17. As of");
            let server = server.clone();
            assert_eq!(moved(&text), RegionException::RegionMoved { server, seq_num: None });
        }
        for text in [
            "",
            "hostname=h port=x startCode=17.",
            "hostname=h port=1 startCode=17",
            "port=1 hostname= startCode=1.",
        ] {
            assert_eq!(moved(text), RegionException::NotServingRegion, "{text}");
        }
    }

    #[test]
    fn a_quota_error_has_the_pause() {
        let pause = |message: &str| match fault("quotas.RpcThrottlingException", message, true) {
            RegionException::Busy { pause } => pause.map(|pause| pause.as_millis()),
            _ => unreachable!("a quota keeps the client waiting"),
        };
        assert_eq!(pause("number of requests exceeded - wait 1hrs, 2mins, 3sec, 4ms"), Some(3_723_004));
        assert_eq!(pause("read size limit exceeded - wait 250ms"), Some(250));
        // one is singular
        assert_eq!(pause("write size limit exceeded - wait 1hr, 1min, 0ms"), Some(3_660_000));
        for text in ["", " - wait ", " - wait 5", " - wait xms", " - wait 99999999999999999999ms"] {
            assert_eq!(pause(text), None, "{text}");
        }
    }
}
