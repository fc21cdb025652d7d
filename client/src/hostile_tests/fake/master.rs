//! A master that takes snapshots, restores and deletes them, and creates tables.

use super::Answer;
use crate::proto;
use crate::proto::admin::{
    CreateTableRequest, ForeignExceptionMessage, GenericExceptionMessage, GetCompletedSnapshotsResponse,
    GetProcedureResultResponse, ProcedureResponse, SnapshotName, SnapshotRequest, SnapshotResponse,
};
use bytes::Bytes;
use prost::Message;

/// The master's state of snapshots.
#[derive(Default)]
pub(in crate::hostile_tests) struct Master {
    /// The state of the table: enabled, disabled, disabling, enabling.
    pub(in crate::hostile_tests) state: u8,
    pub(in crate::hostile_tests) snapshots: Vec<String>,
    /// The split keys of the table that was created last, in the order received.
    pub(in crate::hostile_tests) split_keys: Vec<Bytes>,
    /// The executed requests, by method and snapshot.
    pub(in crate::hostile_tests) done: Vec<String>,
    /// The requests that fail: each the start of a method and snapshot.
    pub(in crate::hostile_tests) failing: Vec<&'static str>,
    /// The number of times that it reports of each procedure that it continues.
    pub(in crate::hostile_tests) polls: u32,
    pub(in crate::hostile_tests) holds: Holds,
    /// Whether the first answer to a restoration is lost, and the next one a refusal.
    pub(in crate::hostile_tests) loses_restoration: bool,
    /// Whether the answers to deletions are lost.
    pub(in crate::hostile_tests) loses_deletions: bool,
    /// Whether the last procedure failed.
    has_failed: bool,
    /// The number of queries of the result of that procedure.
    pub(in crate::hostile_tests) asked: u32,
}

/// When a master answers that it is not ready.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::hostile_tests) enum Holds {
    #[default]
    Never,
    /// Every other time that it is asked for a result.
    EveryOther,
    /// When it is asked for the result of a restoration.
    Restorations,
    /// The first times that it is asked for a result, because it stops: it must not be asked again.
    Stopping,
    /// Always: the client may not ask.
    Denied,
}

impl Master {
    pub(super) fn answer(&mut self, method: &'static str, param: Bytes) -> Answer {
        let request = SnapshotRequest::decode(param).unwrap();
        let name = request.snapshot.and_then(|snapshot| snapshot.name).unwrap_or_default();
        let done = format!("{method} {name}");
        self.has_failed = self.failing.iter().any(|failing| done.starts_with(failing));
        self.asked = 0;
        self.done.push(done);
        match method {
            "Snapshot" => {
                self.snapshots.push(name);
                Answer::of(&SnapshotResponse { proc_id: Some(1) })
            }
            "DeleteSnapshot" if self.has_failed => Self::refusal(),
            // The first attempt succeeds, but its outcome is unknown.
            "RestoreSnapshot" if self.loses_restoration => {
                let attempts = self.done.iter().filter(|done| done.starts_with(method)).count();
                if attempts > 1 { Self::refusal() } else { Answer { closes: true, ..Answer::default() } }
            }
            "DeleteSnapshot" => {
                let known = self.snapshots.len();
                self.snapshots.retain(|known| *known != name);
                match self.snapshots.len() == known {
                    true => Self::refusal(),
                    false => Answer { closes: self.loses_deletions, ..Answer::of(&proto::Empty {}) },
                }
            }
            _ => Answer::of(&ProcedureResponse { proc_id: Some(1) }),
        }
    }

    pub(super) fn create(&mut self, param: Bytes) -> Answer {
        self.split_keys = CreateTableRequest::decode(param).unwrap().split_keys;
        self.has_failed = false;
        Answer::of(&ProcedureResponse { proc_id: Some(1) })
    }

    fn refusal() -> Answer {
        Self::lasting("org.apache.hadoop.hbase.DoNotRetryIOException", "no")
    }

    /// An exception after which clients must not retry.
    fn lasting(class: &'static str, text: &str) -> Answer {
        let mut answer = Answer::exception(class, text);
        answer.exception.as_mut().unwrap().2 = true;
        answer
    }

    pub(super) fn list(&self) -> Answer {
        let of_table =
            |name: &String| SnapshotName { name: Some(name.clone()), table: Some("t".into()), kind: Some(1) };
        let snapshots = self.snapshots.iter().map(|name| of_table(name).encode_to_vec().into()).collect();
        Answer::of(&GetCompletedSnapshotsResponse { snapshots })
    }

    pub(super) fn result(&mut self) -> Answer {
        self.asked += 1;
        let is_held = match self.holds {
            Holds::Never => false,
            Holds::EveryOther => self.asked % 2 == 1,
            Holds::Restorations => self.done.last().is_some_and(|done| done.starts_with("Restore")),
            Holds::Stopping if self.asked <= 3 => {
                let class = "org.apache.hadoop.hbase.exceptions.MasterStoppedException";
                return Self::lasting(class, "it stops");
            }
            Holds::Stopping => false,
            Holds::Denied => {
                return Self::lasting("org.apache.hadoop.hbase.security.AccessDeniedException", "not you");
            }
        };
        if is_held {
            return Answer::exception("org.apache.hadoop.hbase.PleaseHoldException", "it is not ready");
        }
        if self.asked <= self.polls {
            return Answer::of(&GetProcedureResultResponse { state: Some(1), exception: None });
        }
        let exception = GenericExceptionMessage {
            class_name: Some("org.apache.hadoop.hbase.snapshot.RestoreSnapshotException".into()),
            message: Some("no room".into()),
        };
        let exception = ForeignExceptionMessage { generic_exception: Some(exception) };
        let exception = self.has_failed.then_some(exception);
        Answer::of(&GetProcedureResultResponse { state: Some(2), exception })
    }
}
