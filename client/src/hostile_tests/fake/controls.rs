//! The methods by which tests control and query the servers.

use super::{Cluster, Hold, Instead, Master, Mischief, Replicas, Until};
use crate::rng::Rng;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Cluster {
    /// Closes all connections, as servers close those that are not used.
    pub(in crate::hostile_tests) async fn close_connections(&self) {
        let connections = std::mem::take(&mut self.state.lock().unwrap().connections);
        for served in connections {
            served.abort();
            // an error is one that was aborted
            let _ = served.await;
        }
    }

    pub(crate) fn addresses(&self) -> String {
        let state = self.state.lock().unwrap();
        state.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    pub(in crate::hostile_tests) fn behave(&self, seed: u64, mischief: Mischief) {
        let mut state = self.state.lock().unwrap();
        state.random = Rng::new(seed);
        state.mischief = mischief;
        state.scanners.clear();
    }

    /// Sets the replicas of the regions.
    pub(in crate::hostile_tests) fn replicas(&self, replicas: Replicas) {
        self.state.lock().unwrap().replicas = replicas;
    }

    /// Returns the number of renewals of leases of scanners.
    pub(in crate::hostile_tests) fn renewed(&self) -> usize {
        self.state.lock().unwrap().renewed
    }

    /// Sets the exception of each action of a row: its class, and its text.
    pub(in crate::hostile_tests) fn fail(
        &self,
        row: String,
        exception: Option<(&'static str, &'static str)>,
    ) {
        let failing = &mut self.state.lock().unwrap().failing;
        match exception {
            Some(exception) => drop(failing.insert(row.into(), exception)),
            None => drop(failing.remove(row.as_bytes())),
        }
    }

    /// Loses the answers of the next increments, which are done.
    pub(in crate::hostile_tests) fn lose_answers(&self, count: usize) {
        self.state.lock().unwrap().lost_answers = count;
    }

    /// Returns the counter of a row.
    pub(in crate::hostile_tests) fn counter(&self, row: &str) -> i64 {
        self.state.lock().unwrap().counters.get(row.as_bytes()).copied().unwrap_or_default()
    }

    /// Splits the region of a row there when the next region is flushed.
    pub(in crate::hostile_tests) fn split_at_flush(&self, key: String) {
        self.state.lock().unwrap().splits_at_flush = Some(key);
    }

    /// Splits the region of a row there.
    pub(in crate::hostile_tests) fn split(&self, key: &str) {
        self.state.lock().unwrap().split(key.as_bytes());
    }

    /// Merges the region of a row with the one after it. Scanners of the table then begin at the first row of
    /// their region, whatever they are asked for.
    pub(in crate::hostile_tests) fn merge_and_ignore_starts(&self, key: &str) {
        let mut state = self.state.lock().unwrap();
        state.merge(key.as_bytes());
        state.ignores_start = true;
    }

    /// Makes a server not respond to calls with several actions.
    pub(in crate::hostile_tests) fn silence(&self, server: usize) {
        self.state.lock().unwrap().silent = Some(server);
    }

    /// Returns the numbers of searches of the catalog for regions, and of gets of the table's state.
    pub(in crate::hostile_tests) fn searches_and_states(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.searches, state.states)
    }

    /// Makes each flush of a region take some time.
    pub(in crate::hostile_tests) fn delay_flushes(&self, delay: Duration) {
        self.state.lock().unwrap().flush_delay = delay;
    }

    /// Makes each server claim for some time that the other one has a region.
    pub(in crate::hostile_tests) fn redirect_for(&self, time: Duration) {
        self.state.lock().unwrap().redirects_until = Some(Instant::now() + time);
    }

    /// Never answers one call of the next scanner of a row's region: that of a number.
    pub(in crate::hostile_tests) fn hold(&self, row: String, call: u64) {
        self.state.lock().unwrap().hold = Some(Hold { row, call: Some(call), until: Until::Never });
    }

    /// Answers one call of the next scanner of a row's region when it is released: that of a number, or the
    /// one that opens the scanner.
    pub(in crate::hostile_tests) fn hold_back(&self, row: String, call: Option<u64>) {
        let mut state = self.state.lock().unwrap();
        let until = Until::Released(Arc::clone(&state.released));
        state.hold = Some(Hold { row, call, until });
    }

    /// Answers a call that is held.
    pub(in crate::hostile_tests) fn release(&self) {
        self.state.lock().unwrap().released.add_permits(1);
    }

    /// Returns the number of calls that have closed a scanner, before others that wait.
    pub(in crate::hostile_tests) fn closes(&self) -> usize {
        self.state.lock().unwrap().closes
    }

    /// Returns the number of gets that have asked only whether there are cells.
    pub(in crate::hostile_tests) fn questions(&self) -> usize {
        self.state.lock().unwrap().questions
    }

    /// Whether that call was made.
    pub(in crate::hostile_tests) fn has_held(&self) -> bool {
        self.state.lock().unwrap().hold.is_none()
    }

    /// Makes servers older than 2.4.
    pub(in crate::hostile_tests) fn be_old(&self) {
        self.state.lock().unwrap().are_old = true;
    }

    /// Sets the number of actions after which a call has become too large.
    pub(in crate::hostile_tests) fn most_actions(&self, most: usize) {
        self.state.lock().unwrap().most_actions = most;
    }

    /// Returns the number of calls with several actions.
    pub(in crate::hostile_tests) fn multis(&self) -> usize {
        self.state.lock().unwrap().multis
    }

    /// Returns the number of calls after the first one of each open scanner, the oldest scanner first.
    pub(in crate::hostile_tests) fn scanners(&self) -> Vec<u64> {
        let state = self.state.lock().unwrap();
        let mut open: Vec<_> = state.scanners.iter().map(|(id, scanner)| (*id, scanner.sequence)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, sequence)| sequence).collect()
    }

    /// Ends the leases of all scanners.
    pub(in crate::hostile_tests) fn end_leases(&self) {
        self.state.lock().unwrap().scanners.clear();
    }

    /// Sets the responses of scanners of the table instead of rows.
    pub(in crate::hostile_tests) fn instead(&self, instead: Option<Instead>) {
        self.state.lock().unwrap().instead = instead;
    }

    /// Ends the next searches of the catalog before they have reached a row, as if they had read as much as a
    /// call may, all of it deleted.
    pub(in crate::hostile_tests) fn end_searches(&self, count: usize) {
        self.state.lock().unwrap().short_searches = count;
    }

    /// Returns the replicas of regions that were asked for rows since the last call, each once.
    pub(in crate::hostile_tests) fn asked(&self) -> Vec<u16> {
        let mut asked = std::mem::take(&mut self.state.lock().unwrap().asked);
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// Changes or queries the master's state of snapshots.
    pub(in crate::hostile_tests) fn master<T>(&self, change: impl FnOnce(&mut Master) -> T) -> T {
        change(&mut self.state.lock().unwrap().master)
    }

    /// Returns the number of calls that have flushed a region.
    pub(in crate::hostile_tests) fn flushed(&self) -> usize {
        self.state.lock().unwrap().flushed
    }

    /// Sets the descriptors that the master returns, whatever table is asked for.
    pub(in crate::hostile_tests) fn describe(&self, schemas: &[Bytes]) {
        self.state.lock().unwrap().schemas = schemas.to_vec();
    }
}
