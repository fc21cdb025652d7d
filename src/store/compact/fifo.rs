//! Files as a queue: they go when all that is in them has expired (HBase: `FIFOCompactionPolicy`).

use super::{CandidateFile, policy};

/// The places of files that go: those without cells, and those whose cells have all expired (read-path.md §17.6).
///
/// `files` are all of the store, oldest first. HBase takes the newest, too, and writes an empty file in its place, which
/// carries the largest sequence id; here that one stays until there is a newer one. And of a file whose newest cell
/// expires at this very moment, which reads still return, HBase would make nothing; here it stays for that moment.
pub(super) fn choose(
    files: &[CandidateFile],
    compacting: &[usize],
    now: i64,
    ttl: Option<i64>,
) -> Vec<usize> {
    let mut over = policy::expired(files, compacting, now, ttl, 0);
    let is_empty = |at: &usize| files[*at].entry_count == 0 && !compacting.contains(at);
    over.extend((0..files.len().saturating_sub(1)).filter(is_empty));
    over.sort_unstable();
    over.dedup();
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_over_goes() {
        let file = |max_timestamp, entry_count| CandidateFile {
            max_timestamp,
            entry_count,
            ..CandidateFile::default()
        };
        let files = [
            file(Some(98), 1),
            file(Some(99), 1),
            file(Some(100), 1),
            file(None, 1),
            file(None, 0),
            file(Some(500), 0),
            file(Some(5), 1),
        ];
        assert_eq!(choose(&files, &[], 200, Some(100)), [0, 1, 4, 5]);
        assert_eq!(choose(&files, &[1], 200, Some(100)), [0, 4, 5]);
        assert_eq!(choose(&files, &[4], 200, None), [5]);
        assert_eq!(choose(&files, &[], i64::MIN, Some(100)), [4, 5]);
        assert_eq!(choose(&files[..1], &[], 200, Some(100)), [0; 0]);
        assert_eq!(choose(&[], &[], 200, Some(100)), [0; 0]);
    }
}
