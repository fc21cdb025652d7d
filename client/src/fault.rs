//! Failures of calls: the reactions to them, and the errors for callers (locator.md §10).

use crate::proto;
use hregion::cell::Printable;
use hregion::locator::RegionException;
use hregion::{Corruption, Error, ErrorKind};
use std::io;

/// The failure of a call.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The required reaction.
    pub(crate) kind: RegionException,
    /// The error, with the server.
    pub(crate) error: Error,
    /// Whether the server is overloaded, so that pauses may be longer.
    pub(crate) overloaded: bool,
    /// Whether the server's scanner still exists and must be closed.
    pub(crate) out_of_order: bool,
    /// Whether the request was not sent: there was no connection, or it had ended, for example because it was
    /// idle, or it accepted no request in time.
    pub(crate) is_unsent: bool,
    /// Whether a server's exception does not determine whether a write was executed: an `IOException` may be
    /// thrown after the write was logged.
    pub(crate) is_unexplained: bool,
}

/// The beginning of the message of an `IOException` that was thrown before a write, because another write
/// holds the row's lock.
const ROW_IS_LOCKED: &str = "Timed out waiting for lock for row";

/// The classes of HBase that extend `DoNotRetryIOException`, and that the exception of one of several actions
/// may have. Classes for lost regions or scanners, and those of the client, are not among them.
const FINAL: &[&str] = &[
    "hbase.ConcurrentTableModificationException",
    "hbase.InvalidFamilyOperationException",
    "hbase.NamespaceExistException",
    "hbase.NamespaceNotFoundException",
    "hbase.NotAllMetaRegionsOnlineException",
    "hbase.ReplicationPeerNotFoundException",
    "hbase.TableExistsException",
    "hbase.TableNotDisabledException",
    "hbase.UnknownRegionException",
    "hbase.WriteAttemptedOnReadOnlyClusterException",
    "hbase.client.RowTooBigException",
    "hbase.constraint.ConstraintException",
    "hbase.coprocessor.CoprocessorException",
    "hbase.exceptions.FailedSanityCheckException",
    "hbase.exceptions.LockTimeoutException",
    "hbase.exceptions.MasterStoppedException",
    "hbase.exceptions.MergeRegionException",
    "hbase.exceptions.OperationConflictException",
    "hbase.exceptions.RequestTooBigException",
    "hbase.exceptions.UnknownProtocolException",
    "hbase.io.hfile.CorruptHFileException",
    "hbase.quotas.InvalidQuotaSettingsException",
    "hbase.quotas.QuotaExceededException",
    "hbase.quotas.SpaceLimitingException",
    "hbase.regionserver.InvalidMutationDurabilityException",
    "hbase.regionserver.NoSuchColumnFamilyException",
    "hbase.regionserver.RowTooBigException",
    "hbase.security.AccessDeniedException",
    "hbase.security.visibility.InvalidLabelException",
    "hbase.security.visibility.LabelAlreadyExistsException",
    "hbase.snapshot.CorruptedSnapshotException",
    "hbase.snapshot.HBaseSnapshotException",
    "hbase.snapshot.RestoreSnapshotException",
    "hbase.snapshot.SnapshotCreationException",
    "hbase.snapshot.SnapshotDoesNotExistException",
    "hbase.snapshot.SnapshotExistsException",
    "hbase.snapshot.SnapshotTTLExpiredException",
];

impl Fault {
    fn new(kind: RegionException, error: Error) -> Self {
        let (overloaded, out_of_order, is_unsent, is_unexplained) = (false, false, false, false);
        Self { kind, error, overloaded, out_of_order, is_unsent, is_unexplained }
    }

    /// A server that cannot be reached, or no longer.
    pub(crate) fn gone(server: &str, error: &io::Error) -> Self {
        #[cfg(feature = "kerberos")]
        if let Some(InIo(fault)) = error.get_ref().and_then(|error| error.downcast_ref()) {
            return fault.clone();
        }
        #[cfg(feature = "tls")]
        if let Some((message, is_refusal)) = crate::tls::explain(error) {
            let (kind, error) = match is_refusal {
                true => (RegionException::Fatal, ErrorKind::Remote),
                false => (RegionException::ServerGone, ErrorKind::Io),
            };
            return Self::new(kind, Error::new(error, format!("{server}: {}", Printable(&message))));
        }
        Self::new(RegionException::ServerGone, Error::new(ErrorKind::Io, format!("{server}: {error}")))
    }

    /// The same fault of a request that was not sent.
    pub(crate) fn of_unsent(self) -> Self {
        Self { is_unsent: true, ..self }
    }

    /// Whether the request was not sent, and can be sent on another connection immediately. A server that
    /// refuses the client will do so again, and a call that was not sent in time has no time left.
    pub(crate) fn can_be_sent(&self) -> bool {
        self.is_unsent && !matches!(self.kind, RegionException::Fatal | RegionException::NoAnswer)
    }

    /// Whether the request may have been executed: it was sent, and its answer is not known.
    pub(crate) fn may_be_executed(&self) -> bool {
        let is_unknown = match self.error.kind() {
            // an answer that was too long to be read
            ErrorKind::Limit => true,
            // an exception is an answer
            ErrorKind::Io | ErrorKind::Corrupt => self.kind != RegionException::Fatal,
            _ => false,
        };
        is_unknown && !self.is_unsent
    }

    /// Like [`may_be_executed`](Self::may_be_executed), of a write to a region.
    pub(crate) fn may_be_written(&self) -> bool {
        self.is_unexplained && !self.is_unsent || self.may_be_executed()
    }

    /// A server that did not answer in time.
    pub(crate) fn no_answer(server: &str, what: &str) -> Self {
        let message = format!("{server}: no answer to {what} in time");
        Self::new(RegionException::NoAnswer, Error::new(ErrorKind::Io, message))
    }

    /// A region without a server.
    pub(crate) fn no_server(message: String) -> Self {
        Self::new(RegionException::NotServingRegion, Error::new(ErrorKind::NoServerForRegion, message))
    }

    /// An answer that cannot be read. The connection it came from is not used again.
    pub(crate) fn corrupt(server: &str, corruption: &Corruption) -> Self {
        let (kind, error) = match corruption {
            Corruption::Limit { .. } => (RegionException::Fatal, ErrorKind::Limit),
            _ => (RegionException::Unknown, ErrorKind::Corrupt),
        };
        Self::new(kind, Error::new(error, format!("{server}: {corruption}")))
    }

    /// A server that refuses the connection.
    pub(crate) fn refused_connection(server: &str, exception: &proto::ExceptionResponse) -> Self {
        let reason = Self::of_exception(server, exception).error.message();
        Self::fatal(Error::new(ErrorKind::Remote, format!("the connection is refused: {reason}")))
    }

    /// Whether the server names another one for the region. After such a redirect, the fault becomes that of
    /// a region not served: two servers may name each other while one of them opens the region, and only the
    /// catalog has the right one.
    pub(crate) fn is_redirect_after(&mut self, redirected: bool) -> bool {
        let is_redirect = matches!(self.kind, RegionException::RegionMoved { .. });
        if is_redirect && redirected {
            self.kind = RegionException::NotServingRegion;
        }
        is_redirect
    }

    /// A request that cannot succeed.
    pub(crate) fn fatal(error: Error) -> Self {
        Self::new(RegionException::Fatal, error)
    }

    /// An exception of a server.
    pub(crate) fn of_exception(server: &str, exception: &proto::ExceptionResponse) -> Self {
        let class = exception.exception_class_name.as_deref().unwrap_or_default();
        let text = exception.stack_trace.as_deref().unwrap_or_default();
        let mut fault = Self::of_class(server, class, text, exception.do_not_retry.unwrap_or_default());
        fault.overloaded |= exception.server_overloaded.unwrap_or_default();
        // Several actions of a region have the same exception, although some of them may have been executed
        // before.
        fault.is_unexplained &= !reason_of(text).starts_with(ROW_IS_LOCKED);
        fault
    }

    /// An exception of one action among several.
    pub(crate) fn of_named(server: &str, exception: &proto::NamedException) -> Self {
        let class = exception.name.as_deref().unwrap_or_default();
        let text = String::from_utf8_lossy(exception.value.as_deref().unwrap_or_default());
        // unlike a call's exception, this one does not specify whether to retry
        let do_not_retry = class.contains("DoNotRetry") || FINAL.iter().any(|known| class.ends_with(known));
        let mut fault = Self::of_class(server, class, &text, do_not_retry);
        if fault.kind == RegionException::ScannerReset {
            // an action has no scanner that could be opened again
            fault.kind = RegionException::Fatal;
        }
        fault
    }

    /// The same fault of one of several writes to a region, which a server executes in parts: if the region
    /// becomes busy in between, all have the exception.
    pub(crate) fn of_several(self) -> Self {
        let is_busy = self.kind == RegionException::Busy { pause: None };
        Self { is_unexplained: self.is_unexplained || is_busy, ..self }
    }

    /// The exception with which a procedure of the master has ended.
    pub(crate) fn of_procedure(server: &str, class: &str, reason: &str) -> Self {
        // a procedure that has ended is not executed again
        Self::of_class(server, class, &format!("{class}: {reason}"), true)
    }

    fn of_class(server: &str, class: &str, text: &str, do_not_retry: bool) -> Self {
        // a shaded server may have another package before HBase's
        let class = class.find("org.apache.hadoop.hbase.").map_or(class, |at| &class[at..]);
        let short = class.rsplit('.').next().unwrap_or(class);
        let reason = reason_of(text);
        let kind = match short {
            "TableNotFoundException" => ErrorKind::TableNotFound,
            "TableNotEnabledException" => ErrorKind::TableNotEnabled,
            "NoSuchColumnFamilyException" => ErrorKind::NoSuchFamily,
            "WrongRegionException" => ErrorKind::WrongRegion,
            _ => ErrorKind::Remote,
        };
        // a server may have written anything
        let shown = format!("{server}: {}: {}", Printable(short), Printable(reason));
        let error = Error::new(kind, shown);
        let text = text.lines().next().unwrap_or_default();
        let kind = RegionException::of_exception(class, text, do_not_retry);
        Self {
            is_unexplained: kind == RegionException::Unknown,
            kind,
            error,
            overloaded: matches!(short, "CallQueueTooBigException" | "CallDroppedException"),
            out_of_order: short == "OutOfOrderScannerNextException",
            is_unsent: false,
        }
    }
}

/// Returns the message of an exception, without its class and stack trace.
fn reason_of(text: &str) -> &str {
    let text = text.lines().next().unwrap_or_default();
    text.split_once(": ").map_or(text, |(_, reason)| reason)
}

#[cfg(feature = "kerberos")]
impl Fault {
    /// A connection without authentication, because of the mechanism.
    pub(crate) fn unauthenticated(server: &str, reason: &str, is_transient: bool) -> Self {
        let (kind, error) = match is_transient {
            true => (RegionException::ServerGone, ErrorKind::Io),
            false => (RegionException::Fatal, ErrorKind::Remote),
        };
        Self::new(kind, Error::new(error, format!("{server}: Kerberos: {reason}")))
    }

    /// A server that refuses a token.
    pub(crate) fn refused_token(server: &str, class: &str, text: &str) -> Self {
        let reason = Self::of_class(server, class, text, true).error.message();
        Self::fatal(Error::new(ErrorKind::Remote, format!("authentication is refused: {reason}")))
    }

    /// A message that cannot be protected, or was not. The connection is not used again.
    pub(crate) fn unprotected(server: &str, reason: &str) -> Self {
        let message = format!("{server}: Kerberos: {reason}");
        Self::new(RegionException::Unknown, Error::new(ErrorKind::Corrupt, message))
    }

    /// Returns an error of the connection that [`gone`](Self::gone) recognizes.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(InIo(self))
    }
}

/// A fault among the errors of a connection.
#[cfg(feature = "kerberos")]
#[derive(Debug)]
struct InIo(Fault);

#[cfg(feature = "kerberos")]
impl std::fmt::Display for InIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.error.fmt(f)
    }
}

#[cfg(feature = "kerberos")]
impl std::error::Error for InIo {}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(class: &str, text: &str) -> Fault {
        let exception = proto::ExceptionResponse {
            exception_class_name: Some(class.into()),
            stack_trace: Some(text.into()),
            ..proto::ExceptionResponse::default()
        };
        Fault::of_exception("h:1", &exception)
    }

    #[test]
    fn classes_have_kinds() {
        let fault = exception(
            "org.apache.hadoop.hbase.regionserver.NoSuchColumnFamilyException",
            "org.apache.hadoop.hbase.regionserver.NoSuchColumnFamilyException: no x\n\tat a.b(C.java:1)",
        );
        assert_eq!((fault.kind, fault.error.kind()), (RegionException::Fatal, ErrorKind::NoSuchFamily));
        assert_eq!(fault.error.message(), "h:1: NoSuchColumnFamilyException: no x");
        let shaded = exception("shaded.org.apache.hadoop.hbase.NotServingRegionException", "");
        assert_eq!(shaded.kind, RegionException::NotServingRegion);
        assert!(exception("org.apache.hadoop.hbase.CallQueueTooBigException", "").overloaded);
        let order = exception("org.apache.hadoop.hbase.exceptions.OutOfOrderScannerNextException", "x");
        assert!(order.out_of_order && order.kind == RegionException::ScannerReset);
        assert_eq!(exception("java.io.IOException", "x: y").kind, RegionException::Unknown);
        let named = proto::NamedException {
            name: Some("org.apache.hadoop.hbase.DoNotRetryIOException".into()),
            value: Some("never".into()),
        };
        assert_eq!(Fault::of_named("h:1", &named).kind, RegionException::Fatal);
    }

    /// Printed errors contain text from a server.
    #[test]
    fn what_a_server_says_is_no_command_of_a_terminal() {
        let named = proto::NamedException {
            name: Some("a.\u{1b}[2JException".into()),
            value: Some("x: \u{202e}no\r\u{7}é\nat a.b".into()),
        };
        let faults = [
            exception("a.\u{1b}[2JException", "x: \u{202e}no\r\u{7}é\nat a.b"),
            Fault::of_named("h:1", &named),
            Fault::of_procedure("h:1", "a.\u{1b}[2JException", "\u{202e}no\r\u{7}é"),
        ];
        for fault in faults {
            let expected = "h:1: \\x1B[2JException: \\xE2\\x80\\xAEno\\x0D\\x07é";
            assert_eq!(fault.error.message(), expected);
        }
    }

    /// A Kerberos token that is too long ends the attempt to connect, before any request.
    #[test]
    fn what_was_not_sent_was_not_executed() {
        let limit = Corruption::Limit { what: "token of a server", value: 2, limit: 1 };
        let answer = Fault::corrupt("h:1", &limit);
        assert!(answer.may_be_executed() && !answer.can_be_sent());
        let unsent = answer.of_unsent();
        assert!(!unsent.may_be_executed() && !unsent.can_be_sent());
        let gone = Fault::gone("h:1", &io::ErrorKind::ConnectionReset.into());
        assert!(gone.may_be_executed() && !gone.can_be_sent());
        let unsent = gone.of_unsent();
        assert!(!unsent.may_be_executed() && unsent.can_be_sent());
    }

    /// For example after a failed sync of the server's log: the write may be in it.
    #[test]
    fn an_exception_of_an_unknown_class_may_come_after_the_write() {
        let text = |reason: &str| format!("java.io.IOException: {reason}\n\tat a.b(C.java:1)");
        let unknown = exception("java.io.IOException", &text("Failed to get sync result after 300000 ms"));
        assert!(unknown.may_be_written() && !unknown.may_be_executed());
        assert!(!unknown.of_unsent().may_be_written());
        let locked = text("Timed out waiting for lock for row: r in region 0123");
        assert!(!exception("java.io.IOException", &locked).may_be_written());
        let named = proto::NamedException {
            name: Some("java.io.IOException".into()),
            value: Some(locked.into_bytes().into()),
        };
        assert!(Fault::of_named("h:1", &named).may_be_written());
        for class in [
            "NotServingRegionException",
            "RegionTooBusyException",
            "DoNotRetryIOException",
            "regionserver.NoSuchColumnFamilyException",
        ] {
            let known = exception(&format!("org.apache.hadoop.hbase.{class}"), "");
            assert!(!known.may_be_written(), "{class}");
        }
    }

    /// If one of several actions fails, only the class of the exception is known.
    #[test]
    fn classes_that_are_final_are_known_by_name() {
        let kind = |name: &str| {
            let name = Some(format!("org.apache.hadoop.hbase.{name}"));
            Fault::of_named("h:1", &proto::NamedException { name, value: None }).kind
        };
        for name in [
            "exceptions.FailedSanityCheckException",
            "quotas.SpaceLimitingException",
            "constraint.ConstraintException",
            "regionserver.NoSuchColumnFamilyException",
            "security.AccessDeniedException",
            "coprocessor.CoprocessorException",
            "InvalidFamilyOperationException",
            "WriteAttemptedOnReadOnlyClusterException",
            "client.DoNotRetryRegionException",
        ] {
            assert_eq!(kind(name), RegionException::Fatal, "{name}");
        }
        assert_eq!(kind("RegionTooBusyException"), RegionException::Busy { pause: None });
        assert_eq!(kind("exceptions.RegionOpeningException"), RegionException::RegionOpening);
        assert_eq!(kind("client.WrongRowIOException"), RegionException::Unknown);
        assert_eq!(kind("MyConstraintException"), RegionException::Unknown);
        assert_eq!(kind("regionserver.LeaseException"), RegionException::Fatal);
    }
}
