//! Converts errors of HDFS to errors of the system.

use hdfs_native::HdfsError;
use hregion::cell::Printable;
use std::io;

/// Whether the name node has responded, so that it has not made the change; or the client has undone it, as
/// it does if a file that it has created or opened is in an encryption zone, whose key it cannot get.
pub(super) fn is_refusal(error: &HdfsError) -> bool {
    match error {
        HdfsError::RPCError(class, _) => !is_of_network(class),
        HdfsError::AlreadyExists(_)
        | HdfsError::FileNotFound(_)
        | HdfsError::InvalidArgument(_)
        | HdfsError::InvalidPath(_)
        | HdfsError::UnsupportedFeature(_) => true,
        // There is no connection to send the request on: a ticket may have expired.
        HdfsError::SASLError(_)
        | HdfsError::GSSAPIError(..)
        | HdfsError::NoSASLMechanism
        | HdfsError::FatalRPCError(..) => true,
        HdfsError::IOError(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// Whether another client, or this one, has the file open for writing.
pub(super) fn is_open_elsewhere(error: &HdfsError) -> bool {
    match error {
        HdfsError::AlreadyExists(_) => true,
        HdfsError::RPCError(class, _) => class.ends_with("RecoveryInProgressException"),
        _ => false,
    }
}

/// Whether an exception is from a router of HDFS that got no response from the name node, which may have made
/// the change.
fn is_of_network(class: &str) -> bool {
    const PACKAGES: [&str; 3] = ["java.net.", "java.nio.channels.", "org.apache.hadoop.net."];
    PACKAGES.iter().any(|package| class.starts_with(package))
        || ["EOFException", "InterruptedIOException", "NoNamenodesAvailableException"]
            .contains(&name_of(class))
}

/// Whether the response to the sync or close of a file means that it is no longer open for this client.
pub(super) fn is_loss(error: &HdfsError) -> bool {
    match error {
        HdfsError::FileNotFound(_) | HdfsError::AlreadyExists(_) => true,
        HdfsError::RPCError(class, _) => {
            ["LeaseExpiredException", "FileNotFoundException", "RecoveryInProgressException"]
                .contains(&name_of(class))
        }
        _ => false,
    }
}

/// Whether a name node is unavailable or not ready, which may be temporary.
pub(super) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        NetworkUnreachable, NotConnected, ResourceBusy, TimedOut, UnexpectedEof,
    };

    matches!(
        error.kind(),
        BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
            | NotConnected
            | ResourceBusy
            | TimedOut
            | UnexpectedEof
    )
}

/// Whether this client has the file open for writing already.
pub(super) fn is_open_here(error: &HdfsError) -> bool {
    // `FSNamesystem.recoverLeaseInternal` has no class for it.
    matches!(error, HdfsError::AlreadyExists(text) if text.contains("is already the current lease holder"))
}

/// Whether a file is erasure-coded, and cannot be synced while it is open.
pub(super) fn is_of_erasure_code(error: &HdfsError) -> bool {
    matches!(error, HdfsError::OperationFailed(text) if text.contains("erasure-coded"))
}

/// The maximum length of a message: some list everything about the data nodes of a block.
const MAX_MESSAGE: usize = 500;

pub(super) fn io_error(error: HdfsError) -> io::Error {
    let kind = match &error {
        HdfsError::IOError(error) => error.kind(),
        HdfsError::FileNotFound(_) => io::ErrorKind::NotFound,
        HdfsError::AlreadyExists(_) => io::ErrorKind::AlreadyExists,
        HdfsError::IsADirectoryError(_) => io::ErrorKind::IsADirectory,
        HdfsError::UnsupportedErasureCodingPolicy(_) | HdfsError::UnsupportedFeature(_) => {
            io::ErrorKind::Unsupported
        }
        HdfsError::ChecksumError => io::ErrorKind::InvalidData,
        HdfsError::RPCError(class, text) => kind_of_exception(class, text),
        _ => io::ErrorKind::Other,
    };
    let text = error.to_string();
    // Exceptions of the name node have stack traces.
    let shown = Printable(text.lines().next().unwrap_or_default()).to_string();
    match shown.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => io::Error::new(kind, format!("{}…", &shown[..end])),
        None => io::Error::new(kind, shown),
    }
}

fn name_of(class: &str) -> &str {
    class.rsplit(['.', '$']).next().unwrap_or_default()
}

fn kind_of_exception(class: &str, text: &str) -> io::ErrorKind {
    match name_of(class) {
        "FileNotFoundException" => io::ErrorKind::NotFound,
        "FileAlreadyExistsException" => io::ErrorKind::AlreadyExists,
        "ParentNotDirectoryException" => io::ErrorKind::NotADirectory,
        "PathIsNotEmptyDirectoryException" => io::ErrorKind::DirectoryNotEmpty,
        "AccessControlException" => io::ErrorKind::PermissionDenied,
        "SafeModeException" | "StandbyException" | "RetriableException" => io::ErrorKind::ResourceBusy,
        // `FSDirRenameOp` has no class for it.
        "IOException" if text.contains("rename destination directory is not empty") => {
            io::ErrorKind::DirectoryNotEmpty
        }
        _ => io::ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_text() {
        let text = "a\u{1b}[31mb\u{202e}c\n\tat a.b.c".to_owned();
        let shown = io_error(HdfsError::RPCError("java.io.IOException".into(), text)).to_string();
        assert!(shown.contains("a\\x1B[31mb\\xE2\\x80\\xAEc") && !shown.contains("at a.b.c"), "{shown}");
        let long = io_error(HdfsError::DataTransferError("é".repeat(10_000))).to_string();
        assert_eq!(long.chars().count(), MAX_MESSAGE + 1);
    }

    #[test]
    fn exceptions_have_kinds() {
        let kind = |class: &str, text: &str| {
            io_error(HdfsError::RPCError(class.to_owned(), format!("{text}\n\tat a.b.c"))).kind()
        };
        assert_eq!(kind("java.io.FileNotFoundException", "f"), io::ErrorKind::NotFound);
        let not_empty = "rename destination directory is not empty: /a";
        assert_eq!(kind("java.io.IOException", not_empty), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(kind("java.io.IOException", "other"), io::ErrorKind::Other);
        let is_passing =
            |class: &str| is_passing(&io_error(HdfsError::RPCError(class.into(), String::new())));
        assert!(is_passing("org.apache.hadoop.hdfs.server.namenode.SafeModeException"));
        assert!(is_passing("org.apache.hadoop.ipc.StandbyException"));
        assert!(!is_passing("org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException"));
        let class = "org.apache.hadoop.fs.PathIsNotEmptyDirectoryException";
        assert_eq!(kind(class, "/a"), io::ErrorKind::DirectoryNotEmpty);
        assert!(is_open_elsewhere(&HdfsError::AlreadyExists("a".into())));
        let class = "org.apache.hadoop.hdfs.protocol.RecoveryInProgressException".to_owned();
        assert!(is_open_elsewhere(&HdfsError::RPCError(class, String::new())));
        let of = |class: &str| HdfsError::RPCError(class.to_owned(), String::new());
        for class in ["java.io.EOFException", "java.net.SocketTimeoutException", "java.net.ConnectException"]
        {
            assert!(!is_refusal(&of(class)), "a router has had no answer: {class}");
        }
        let in_safe_mode = of("org.apache.hadoop.hdfs.server.namenode.SafeModeException");
        assert!(is_refusal(&in_safe_mode) && !is_loss(&in_safe_mode));
        assert!(!is_loss(&of("org.apache.hadoop.ipc.RetriableException")));
        assert!(is_loss(&of("org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException")));
        assert!(is_loss(&of("java.io.FileNotFoundException")));
        let broken = HdfsError::IOError(io::ErrorKind::ConnectionReset.into());
        assert!(!is_refusal(&broken) && is_refusal(&HdfsError::FileNotFound("a".into())));
        // Otherwise a ticket that has expired would end all changes of the storage.
        let denied = HdfsError::FatalRPCError("javax.security.sasl.SaslException".into(), String::new());
        for unsent in [denied, HdfsError::NoSASLMechanism, HdfsError::SASLError("ticket expired".into())] {
            assert!(is_refusal(&unsent), "{unsent}");
        }
        // Otherwise a lock in an encryption zone would end all changes of the storage.
        let encrypted = HdfsError::UnsupportedFeature("encryption zone".into());
        assert!(is_refusal(&encrypted) && io_error(encrypted).kind() == io::ErrorKind::Unsupported);
    }
}
