//! Writes and batches.

use super::fake::{Cluster, Mischief, ROWS, row_key};
use super::{CALL, PATIENCE, client, is_expected, results_of};
use crate::Client;
use hregion::locator::RetryPolicy;
use hregion::{CheckAndMutate, Delete, Get, Increment, Mutation, Put, Result, TableName};
use std::time::{Duration, Instant};

#[tokio::test]
async fn each_action_of_a_region_has_its_own_error() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    cluster.fail(row_key(1), Some(("DoNotRetryIOException", "this is wrong")));
    cluster.fail(row_key(3), Some(("constraint.ConstraintException", "that is wrong")));
    let results = results_of(&table, &[0, 1, 2, 3]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(cluster.multis(), 1, "what is final is not tried again");
    for (at, text) in [(1, "this is wrong"), (3, "that is wrong")] {
        let error = results[at].as_ref().unwrap_err();
        assert!(error.message().ends_with(text), "{error}");
    }
}

#[tokio::test]
async fn whether_a_row_exists_is_said_without_its_cells() {
    let cluster = Cluster::start().await;
    let client = Client::builder().bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    assert!(table.exists(&Get::new(row_key(1))).await.unwrap());
    assert!(!table.exists(&Get::new(row_key(ROWS))).await.unwrap());
    assert_eq!(cluster.questions(), 2);
}

/// The answer is lost with its connection, and the call is repeated.
#[tokio::test]
async fn an_increment_that_is_repeated_is_done_once() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let increment = || table.increment(Increment::new(row_key(6)).column("f", "n", 5));
    for (lost, expected) in [(0, 5), (1, 10), (3, 15)] {
        cluster.lose_answers(lost);
        let cells = increment().await.unwrap();
        assert_eq!(cells.value("f", "n"), Some(&i64::to_be_bytes(expected)[..]), "{lost} answers are lost");
        assert_eq!(cluster.counter(&row_key(6)), expected);
    }
}

/// Regardless of the attempts after the one whose response was lost.
#[tokio::test]
async fn a_write_without_an_answer_may_have_been_executed() {
    const IN_DOUBT: &str = "; it may have been executed";
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let row = || row_key(6);
    cluster.lose_answers(1000);
    let error = table.increment(Increment::new(row()).column("f", "n", 5)).await.unwrap_err();
    assert!(error.message().ends_with(IN_DOUBT), "{error}");
    assert_eq!(cluster.counter(&row()), 5);
    cluster.lose_answers(0);

    let put = || Put::new(row()).cell("f", "p", "v");
    let delete = || Delete::new(row()).column("f", "d");
    for write in 0..6 {
        // the region is known, and its server then falls silent
        cluster.behave(1, Mischief::NONE);
        assert!(is_expected(&table.get(&Get::new(row())).await.unwrap(), 6));
        cluster.behave(1, Mischief::SILENCE);
        let error = match write {
            0 => table.put(put()).await.unwrap_err(),
            1 => table.delete(delete()).await.unwrap_err(),
            2 => table.mutate_row(row(), vec![put().into(), delete().into()]).await.unwrap_err(),
            3 => {
                let check = CheckAndMutate::if_not_exists(row(), "f", "none").then(put());
                table.check_and_mutate(check).await.unwrap_err()
            }
            4 => table.batch(&[put().into()]).await.remove(0).unwrap_err(),
            // nothing is in doubt after reads
            _ => table.get(&Get::new(row())).await.unwrap_err(),
        };
        assert_eq!(error.message().ends_with(IN_DOUBT), write < 5, "{write}: {error}");
        assert_eq!(error.message().matches(IN_DOUBT).count(), usize::from(write < 5), "{write}: {error}");
    }
    cluster.behave(1, Mischief::NONE);
    // an exception is an answer
    cluster.fail(row(), Some(("DoNotRetryIOException", "never")));
    let error = table.batch(&[put().into()]).await.remove(0).unwrap_err();
    assert!(error.message().ends_with("never"), "{error}");
    // that may come after the write
    cluster.fail(row(), Some(("exceptions.TimeoutIOException", "no sync")));
    let error = table.batch(&[put().into()]).await.remove(0).unwrap_err();
    assert!(error.message().ends_with(IN_DOUBT) && error.message().contains("no sync"), "{error}");
    // or between two writes of a call
    cluster.fail(row(), Some(("RegionTooBusyException", "full")));
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(2);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let patient = client.table(&TableName::parse("t").unwrap());
    for writes in [1, 2] {
        let puts: Vec<Mutation> = vec![put().into(); writes];
        for result in patient.batch(&puts).await {
            let error = result.unwrap_err();
            assert_eq!(error.message().ends_with(IN_DOUBT), writes > 1, "{error}");
        }
    }
    for write in 0..3 {
        cluster.behave(1, Mischief::NONE);
        assert!(is_expected(&table.get(&Get::new(row())).await.unwrap(), 6));
        cluster.behave(1, Mischief::IO_EXCEPTION);
        let error = match write {
            0 => table.put(put()).await.unwrap_err(),
            1 => table.delete(delete()).await.unwrap_err(),
            _ => table.get(&Get::new(row())).await.unwrap_err(),
        };
        assert!(error.message().contains("disk on fire"), "{write}: {error}");
        assert_eq!(error.message().ends_with(IN_DOUBT), write < 2, "{write}: {error}");
    }
}

#[tokio::test]
async fn a_batch_that_is_answered_in_parts_has_not_failed() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(PATIENCE).attempts(2);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    cluster.most_actions(2);
    let rows: Vec<usize> = (0..20).collect();
    let begin = Instant::now();
    let results = results_of(&table, &rows).await;
    for (at, row) in results.iter().enumerate() {
        assert!(is_expected(row.as_ref().unwrap(), at));
    }
    assert_eq!(cluster.multis(), 10);
    assert!(begin.elapsed() < PATIENCE);
    // nothing more is executed
    cluster.most_actions(0);
    let error = results_of(&table, &[1]).await.remove(0).unwrap_err();
    assert!(error.message().contains("failed 2 times"), "{error}");
}

#[tokio::test]
async fn the_actions_of_a_server_wait_as_long_as_it_needs() {
    const PAUSE: Duration = Duration::from_millis(20);
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(PAUSE).overloaded_pause(5 * PAUSE).attempts(2);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    cluster.fail(row_key(1), Some(("CallQueueTooBigException", "later")));
    // also of the other server, which responds before or after
    for row in [0, 3, 45] {
        cluster.fail(row_key(row), Some(("RetryImmediatelyException", "now")));
    }
    let begin = Instant::now();
    let results = results_of(&table, &[0, 1, 3, 45]).await;
    assert!(results.iter().all(Result::is_err));
    // five times as long as usual
    assert!(begin.elapsed() >= 5 * PAUSE, "{:?}", begin.elapsed());
    assert_eq!(cluster.multis(), 4);
}

#[tokio::test]
async fn a_quota_that_lasts_longer_than_the_operation_fails_its_action() {
    let cluster = Cluster::start().await;
    let builder = Client::builder().operation_timeout(Duration::from_secs(5));
    let client = builder.bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    let text = "number of requests exceeded - wait 1hrs, 0mins, 0sec, 0ms";
    cluster.fail(row_key(1), Some(("quotas.RpcThrottlingException", text)));
    let results = results_of(&table, &[0, 1, 2]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert!(error.message().contains("RpcThrottlingException"), "{error}");
    assert_eq!(cluster.multis(), 1, "it is not tried again");
}

/// A search also finds the regions before that of its row; the table is the same for all.
#[tokio::test]
async fn a_batch_asks_the_catalog_once_for_several_regions() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(Duration::from_millis(1));
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    let rows: Vec<usize> = (0..ROWS).collect();
    // then one for each of the two servers, if the one that has the last region responds last
    for (are_split, most_searches, states) in [(false, 1, 0), (true, 3, 1)] {
        if are_split {
            // none of the known regions exists any more
            (0..5).for_each(|region| cluster.split(&row_key(region * ROWS / 5 + 9)));
        }
        for (at, row) in results_of(&table, &rows).await.into_iter().enumerate() {
            assert!(is_expected(&row.unwrap(), at));
        }
        let counted = cluster.searches_and_states();
        assert!(counted.0 <= most_searches && counted.1 == states, "{counted:?}");
    }
}

/// The others are tried again in the meantime.
#[tokio::test]
async fn a_server_that_does_not_answer_delays_only_its_own_actions() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(Duration::from_millis(1));
    let retries = retries.operation_timeout(Duration::from_secs(1));
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    // one server has the first region, and the other one the second
    let rows = [1, 45];
    assert!(results_of(&table, &rows).await.iter().all(Result::is_ok));
    cluster.silence(1);
    cluster.split(&row_key(9));
    let results = results_of(&table, &rows).await;
    assert!(is_expected(results[0].as_ref().unwrap(), 1));
    assert_eq!(results[1].as_ref().unwrap_err().kind(), hregion::ErrorKind::Io);
}

/// Servers refuse calls of more than 256 MiB.
#[tokio::test]
async fn a_large_batch_is_sent_in_several_calls() {
    let cluster = Cluster::start().await;
    let client = Client::builder().max_cell_size(0).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    let put = |at: usize| Put::new(row_key(at)).cell("f", "q", vec![b'v'; 17 << 20]);
    let results = table.batch(&[put(0).into(), put(1).into()]).await;
    assert!(results.iter().all(Result::is_ok) && results.len() == 2);
    assert_eq!(cluster.multis(), 2);
}

/// Otherwise an earlier one that is repeated would be executed after a later one, and count.
#[tokio::test]
async fn writes_of_a_row_in_several_calls_keep_their_order() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(2);
    let builder = Client::builder().max_cell_size(0).retries(retries);
    let table = builder.bootstrap(&cluster.addresses()).unwrap().table(&TableName::parse("t").unwrap());
    let put = |at: usize| Put::new(row_key(at)).cell("f", "q", vec![b'v'; 17 << 20]);
    // the first put of the row is repeated, without the second one; or neither is, after each has failed
    for class in ["RegionTooBusyException", "DoNotRetryIOException"] {
        cluster.fail(row_key(0), Some((class, "no")));
        let before = cluster.multis();
        let results = table.batch(&[put(0).into(), put(0).into(), put(1).into()]).await;
        assert!(results[0].is_err() && results[1].is_err() && results[2].is_ok());
        assert_eq!(cluster.multis() - before, 3, "{class}");
    }
}

/// A server would refuse all puts of its region.
#[tokio::test]
async fn a_put_that_is_too_long_fails_alone() {
    let cluster = Cluster::start().await;
    let client = Client::builder().max_cell_size(64).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    // 24 bytes, and 8 of the row, 1 of the family, 1 of the qualifier
    let put = |at: usize, len: usize| Put::new(row_key(at)).cell("f", "q", vec![b'v'; len]);
    let results = table.batch(&[put(0, 30).into(), put(1, 31).into(), put(2, 1).into()]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().kind(), hregion::ErrorKind::InvalidArgument);
    assert_eq!(cluster.multis(), 1);
    assert!(table.put(put(1, 30)).await.is_ok() && table.put(put(1, 31)).await.is_err());
    assert!(table.mutate_row(row_key(1), vec![put(1, 31).into()]).await.is_err());
}

#[tokio::test]
async fn conditional_writes_return_the_cells_of_increments() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let check = || {
        let check = CheckAndMutate::if_not_exists(row_key(6), "f", "none");
        check.then(Put::new(row_key(6)).cell("f", "p", "v"))
    };
    let counted = table.check_and_mutate(check().then(Increment::new(row_key(6)).column("f", "n", 1))).await;
    let counted = counted.unwrap();
    assert!(counted.success && !counted.cells.is_empty() && is_expected(&counted.cells, 6));
    // servers before 2.4 also know the condition of these
    let plain = table.check_and_mutate(check().then(Delete::new(row_key(6)).column("f", "d"))).await;
    let plain = plain.unwrap();
    assert!(plain.success && plain.cells.is_empty());
}

/// Servers before 2.4 do not read the condition of an increment, and report only that of puts and deletes.
#[tokio::test]
async fn an_increment_without_its_condition_is_no_success() {
    let cluster = Cluster::start().await;
    cluster.be_old();
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let check = || CheckAndMutate::if_not_exists(row_key(6), "f", "none");
    let increment = || Increment::new(row_key(6)).column("f", "n", 5);
    let error = table.check_and_mutate(check().then(increment())).await.unwrap_err();
    assert_eq!(error.kind(), hregion::ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("may be written without it"), "{error}");
    assert_eq!(cluster.counter(&row_key(6)), 5, "it is not repeated");
    table.increment(increment()).await.unwrap();
    let put = Put::new(row_key(6)).cell("f", "p", "v");
    assert!(table.check_and_mutate(check().then(put)).await.unwrap().success);
    let delete = Delete::new(row_key(6)).column("f", "d");
    assert!(table.check_and_mutate(check().then(delete)).await.unwrap().success);
}
