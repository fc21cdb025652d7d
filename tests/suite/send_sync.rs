//! Checks which types are `Send`, `Sync` and `Clone`, and that errors are small.

use hregion::wal::{WalEntry, WalReader, WalWriter};
use hregion::{BlockCache, Error, HFile, HFileOptions, HFileScanner, VerifyReport};

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}

#[test]
fn files_and_caches_are_shared_and_scanners_are_sent() {
    is_send::<HFile>();
    is_sync::<HFile>();
    is_send::<BlockCache>();
    is_sync::<BlockCache>();
    is_send::<HFileOptions>();
    is_send::<HFileScanner<'_>>();
    is_send::<VerifyReport>();
    is_send::<WalReader>();
    is_send::<WalWriter>();
    is_send::<WalEntry>();
    is_sync::<WalEntry>();
    is_send::<Error>();
    is_sync::<Error>();
}

#[test]
fn an_error_is_one_word() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<hregion::Result<()>>(), size_of::<usize>());
}

#[test]
fn files_and_caches_are_cheap_to_clone() {
    fn is_clone<T: Clone>() {}
    is_clone::<HFile>();
    is_clone::<BlockCache>();
    is_clone::<Error>();
}
