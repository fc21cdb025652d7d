//! Tables and snapshots that the master changes or describes, when it fails, holds or loses answers; and
//! flushes of tables.

use super::fake::{Cluster, Holds, row_key};
use super::{CALL, client};
use crate::{Client, proto};
use bytes::Bytes;
use hregion::locator::{RetryPolicy, TableState};
use hregion::{Family, TableChanges, TableName};
use prost::Message;
use std::time::Duration;

#[tokio::test]
async fn both_daughters_of_a_region_that_is_split_meanwhile_are_flushed() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(Duration::from_millis(1));
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = TableName::parse("t").unwrap();
    cluster.split_at_flush(row_key(100));
    client.flush_table(&table).await.unwrap();
    let regions = client.regions(&table).await.unwrap().len();
    assert_eq!((cluster.flushed(), regions), (6, 6));
}

/// Each region gets the time of an operation.
#[tokio::test]
async fn a_table_of_many_regions_is_flushed_in_more_than_the_time_of_one() {
    let cluster = Cluster::start().await;
    cluster.delay_flushes(Duration::from_millis(150));
    let retries =
        RetryPolicy::default().pause(Duration::from_millis(1)).operation_timeout(Duration::from_millis(600));
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = TableName::parse("t").unwrap();
    client.flush_table(&table).await.unwrap();
    assert_eq!(cluster.flushed(), 5);
}

/// A master makes regions of split keys in the given order.
#[tokio::test]
async fn split_keys_are_sent_in_order() {
    let cluster = Cluster::start().await;
    let client = Client::builder().bootstrap(&cluster.addresses()).unwrap();
    let (table, families) = (TableName::parse("new").unwrap(), [Family::new("f")]);
    client.create_table(&table, &families, &["m", "c", "x"]).await.unwrap();
    assert_eq!(cluster.master(|master| std::mem::take(&mut master.split_keys)), ["c", "m", "x"]);
    for wrong in [["m", ""], ["m", "m"]] {
        let error = client.create_table(&table, &families, &wrong).await.unwrap_err();
        assert_eq!(error.kind(), hregion::ErrorKind::InvalidArgument, "{error}");
    }
    assert!(cluster.master(|master| master.split_keys.is_empty()), "they are not sent");
}

#[tokio::test]
async fn a_table_is_as_before_if_its_snapshot_is_not_restored() {
    let cluster = Cluster::start().await;
    cluster.describe(&[schema("t")]);
    let builder = || Client::builder().failsafe_snapshot(Some("before-{snapshot.name}"));
    let client = builder().bootstrap(&cluster.addresses()).unwrap();
    let begin = |failing: &[&'static str]| {
        cluster.master(|master| {
            master.snapshots = vec!["s".into()];
            master.failing = failing.to_vec();
            master.done.clear();
        });
    };
    let done = || cluster.master(|master| (master.done.join(", "), master.snapshots.join(", ")));

    begin(&[]);
    let enabled = client.restore_snapshot("s").await.unwrap_err();
    assert_eq!(enabled.message(), "table t is not disabled");
    assert_eq!(client.restore_snapshot("x").await.unwrap_err().message(), "there is no snapshot x");
    assert_eq!(done().0, "");
    for changing in [2, 3] {
        cluster.master(|master| master.state = changing);
        let changes = client.restore_snapshot("s").await.unwrap_err();
        assert_eq!(changes.message(), "table t is not disabled");
    }
    assert_eq!(done().0, "");
    cluster.master(|master| master.state = 1);

    client.restore_snapshot("s").await.unwrap();
    let all = "Snapshot before-s, RestoreSnapshot s, DeleteSnapshot before-s";
    assert_eq!(done(), (all.to_owned(), "s".to_owned()));
    let none = Client::builder().failsafe_snapshot(None).bootstrap(&cluster.addresses()).unwrap();
    begin(&[]);
    none.restore_snapshot("s").await.unwrap();
    assert_eq!(done().0, "RestoreSnapshot s");
    // the table is to be created
    cluster.describe(&[]);
    begin(&[]);
    client.restore_snapshot("s").await.unwrap();
    assert_eq!(done().0, "RestoreSnapshot s");
    cluster.describe(&[schema("t")]);

    let back = "Snapshot before-s, RestoreSnapshot s, RestoreSnapshot before-s";
    for (failing, expected, calls, left) in [
        (&["Snapshot"][..], "no room", "Snapshot before-s", "s, before-s"),
        (&["RestoreSnapshot s"], "s is not restored, t is as it was before: ", "", "s"),
        (&["RestoreSnapshot"], "snapshot before-s has what t was before: ", back, "s, before-s"),
        (
            &["RestoreSnapshot s", "DeleteSnapshot"],
            "s is not restored, t is as it was before, and in snapshot before-s: ",
            "",
            "s, before-s",
        ),
        (&["DeleteSnapshot"], "t is restored, but snapshot before-s is left: ", all, "s, before-s"),
    ] {
        begin(failing);
        let error = client.restore_snapshot("s").await.unwrap_err();
        assert!(error.message().contains(expected), "{error}: {expected}");
        assert_eq!(error.kind(), hregion::ErrorKind::Remote);
        let with_end = format!("{back}, DeleteSnapshot before-s");
        let calls = if calls.is_empty() { with_end } else { calls.to_owned() };
        assert_eq!(done(), (calls, left.to_owned()), "{failing:?}");
    }
}

/// A master that is not ready has not failed: the next one continues the procedure.
#[tokio::test]
async fn a_restoration_whose_end_is_not_known_is_not_undone() {
    let cluster = Cluster::start().await;
    cluster.describe(&[schema("t")]);
    cluster.master(|master| {
        master.snapshots = vec!["s".into()];
        (master.state, master.holds) = (1, Holds::Restorations);
    });
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(3);
    let retries = retries.operation_timeout(Duration::from_secs(2));
    let builder = Client::builder().retries(retries).failsafe_snapshot(Some("before-{snapshot.name}"));
    let client = builder.bootstrap(&cluster.addresses()).unwrap();
    let error = client.restore_snapshot("s").await.unwrap_err();
    let expected = "s may be restored or not, snapshot before-s has what t was before: ";
    assert!(error.message().starts_with(expected), "{error}");
    let late = "RestoreSnapshot: the master has not ended it in time; it may still do so: ";
    assert!(error.message().contains(late), "{error}");
    // asked again after all attempts of a query have failed
    assert!(cluster.master(|master| master.asked) > 3);
    let done = cluster.master(|master| (master.done.join(", "), master.snapshots.join(", ")));
    assert_eq!(done, ("Snapshot before-s, RestoreSnapshot s".to_owned(), "s, before-s".to_owned()));
}

/// The first attempt may have succeeded, whatever the response to the next one is.
#[tokio::test]
async fn a_restoration_whose_answer_was_lost_is_not_undone() {
    let cluster = Cluster::start().await;
    cluster.describe(&[schema("t")]);
    cluster.master(|master| {
        master.snapshots = vec!["s".into()];
        (master.state, master.loses_restoration) = (1, true);
    });
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(3);
    let builder = Client::builder().retries(retries).failsafe_snapshot(Some("before-{snapshot.name}"));
    let client = builder.bootstrap(&cluster.addresses()).unwrap();
    let error = client.restore_snapshot("s").await.unwrap_err();
    let expected = "s may be restored or not, snapshot before-s has what t was before: ";
    assert!(error.message().starts_with(expected), "{error}");
    assert!(error.message().ends_with("; it may have been executed"), "{error}");
    let done = cluster.master(|master| (master.done.join(", "), master.snapshots.join(", ")));
    let calls = "Snapshot before-s, RestoreSnapshot s, RestoreSnapshot s";
    assert_eq!(done, (calls.to_owned(), "s, before-s".to_owned()));
}

#[tokio::test]
async fn a_snapshot_is_deleted_though_the_answer_was_lost() {
    let cluster = Cluster::start().await;
    cluster.master(|master| {
        master.snapshots = vec!["s".into(), "other".into()];
        master.loses_deletions = true;
    });
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(3);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    client.delete_snapshot("s").await.unwrap();
    let done = cluster.master(|master| (master.done.join(", "), master.snapshots.join(", ")));
    assert_eq!(done, ("DeleteSnapshot s, DeleteSnapshot s".to_owned(), "other".to_owned()));
    assert_eq!(client.delete_snapshot("s").await.unwrap_err().kind(), hregion::ErrorKind::Remote);
}

/// A master would use them as paths of directories, and delete these.
#[tokio::test]
async fn snapshots_have_valid_names_and_are_not_of_the_catalog() {
    let cluster = Cluster::start().await;
    let names = ["", ".", "../../data", "a/b", "a b", ".hidden", "a\n", "ns:s"];
    cluster.master(|master| {
        master.snapshots = names.map(str::to_owned).to_vec();
        master.state = 1;
    });
    let client = Client::builder().bootstrap(&cluster.addresses()).unwrap();
    let (table, other) = (TableName::parse("t").unwrap(), TableName::parse("other").unwrap());
    for name in names {
        for outcome in [
            client.snapshot(&table, name).await,
            client.clone_snapshot(name, &other).await,
            client.restore_snapshot(name).await,
            client.delete_snapshot(name).await,
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), hregion::ErrorKind::InvalidArgument, "{name:?}: {error}");
            assert!(error.message().starts_with("invalid snapshot name"), "{error}");
        }
    }
    for table in ["hbase:meta", "hbase:acl"] {
        let error = client.snapshot(&TableName::parse(table).unwrap(), "s").await.unwrap_err();
        assert_eq!(error.message(), format!("snapshots of {table} are not allowed: it is a system table"));
    }
    assert!(cluster.master(|master| master.done.is_empty()));
}

#[tokio::test]
async fn attempts_to_ask_for_a_result_begin_anew_after_an_answer() {
    let cluster = Cluster::start().await;
    cluster.master(|master| (master.polls, master.holds) = (6, Holds::EveryOther));
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(2);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    client.snapshot(&TableName::parse("t").unwrap(), "s").await.unwrap();
    assert_eq!(cluster.master(|master| master.done.join(", ")), "Snapshot s");
}

#[tokio::test]
async fn a_procedure_that_takes_too_long_may_still_end() {
    let cluster = Cluster::start().await;
    cluster.master(|master| master.polls = u32::MAX);
    let retries = RetryPolicy::default().operation_timeout(Duration::from_secs(1));
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let error = client.snapshot(&TableName::parse("t").unwrap(), "s").await.unwrap_err();
    assert_eq!(error.kind(), hregion::ErrorKind::Io);
    let expected = "Snapshot: the master has not ended it in time; it may still do so";
    assert_eq!(error.message(), expected);
}

/// The next master continues the procedure.
#[tokio::test]
async fn a_procedure_has_not_failed_if_the_master_stops() {
    let cluster = Cluster::start().await;
    cluster.master(|master| master.holds = Holds::Stopping);
    let client = Client::builder().bootstrap(&cluster.addresses()).unwrap();
    let table = TableName::parse("t").unwrap();
    client.snapshot(&table, "s").await.unwrap();
    let done = cluster.master(|master| (master.done.join(", "), master.asked));
    assert_eq!(done, ("Snapshot s".to_owned(), 4));
    // no other response would come
    cluster.master(|master| master.holds = Holds::Denied);
    let error = client.snapshot(&table, "s").await.unwrap_err();
    assert!(error.message().contains("AccessDeniedException"), "{error}");
    assert_eq!(cluster.master(|master| master.asked), 1);
}

#[tokio::test]
async fn the_state_of_a_table_is_what_the_catalog_has() {
    let cluster = Cluster::start().await;
    let client = Client::builder().bootstrap(&cluster.addresses()).unwrap();
    let table = TableName::parse("t").unwrap();
    for (number, expected, is_served) in [
        (0, TableState::Enabled, true),
        (1, TableState::Disabled, false),
        (2, TableState::Disabling, false),
        (3, TableState::Enabling, true),
    ] {
        cluster.master(|master| master.state = number);
        assert_eq!(client.table_state(&table).await.unwrap(), expected);
        let checked = client.check_enabled(&table).await.map_err(|error| error.kind());
        let disabled = Err(hregion::ErrorKind::TableNotEnabled);
        assert_eq!(checked, if is_served { Ok(()) } else { disabled });
    }
}

/// A `TableSchema` of a table with a family `f` that keeps a number of versions.
#[derive(Clone, PartialEq, prost::Message)]
struct Schema {
    #[prost(message, optional, tag = "1")]
    name: Option<proto::TableNameMessage>,
    #[prost(message, repeated, tag = "3")]
    families: Vec<FamilySchema>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FamilySchema {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    attributes: Vec<Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(string, optional, tag = "1")]
    first: Option<String>,
    #[prost(string, optional, tag = "2")]
    second: Option<String>,
}

pub(super) fn schema(table: &'static str) -> Bytes {
    schema_with(table, "VERSIONS", "7")
}

fn schema_with(table: &'static str, name: &str, value: &str) -> Bytes {
    let attribute = Pair { first: Some(name.into()), second: Some(value.into()) };
    let family = FamilySchema { name: Some("f".into()), attributes: vec![attribute] };
    let name = proto::TableNameMessage {
        namespace: Some(Bytes::from_static(b"default")),
        qualifier: Some(Bytes::from_static(table.as_bytes())),
    };
    Schema { name: Some(name), families: vec![family] }.encode_to_vec().into()
}

#[tokio::test]
async fn families_are_those_that_the_master_has() {
    let cluster = Cluster::start().await;
    let client = client(&cluster, CALL, false);
    let table = TableName::parse("t").unwrap();
    cluster.describe(&[schema("t")]);
    let families = client.families(&table).await.unwrap();
    assert_eq!(families, [Family::new("f").max_versions(7)]);
    let description = client.describe_table(&table).await.unwrap();
    assert_eq!(description.to_string(), "t");
    assert!(description.families()[0].to_string().contains(", VERSIONS => '7', "));
    cluster.describe(&[]);
    let error = client.families(&table).await.unwrap_err();
    assert_eq!(error.kind(), hregion::ErrorKind::TableNotFound, "{error}");
    let cut = schema("t");
    for wrong in [schema("other"), cut.slice(..cut.len() - 1), Bytes::new()] {
        cluster.describe(&[wrong]);
        let error = client.families(&table).await.unwrap_err();
        assert_eq!(error.kind(), hregion::ErrorKind::Corrupt, "{error}");
        assert_eq!(client.describe_table(&table).await.unwrap_err().message(), error.message());
        // the master would change the table named there
        let altered = client.alter_table(&table, &TableChanges::new()).await.unwrap_err();
        assert_eq!(altered.message(), error.message());
    }
    // named, and not requested again
    for (key, value) in [("COMPRESSION", "UNKNOWN"), ("VERSIONS", "many")] {
        cluster.describe(&[schema_with("t", key, value)]);
        let error = client.families(&table).await.unwrap_err();
        assert_eq!(error.kind(), hregion::ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(value) && !error.message().contains("times"), "{error}");
    }
}
