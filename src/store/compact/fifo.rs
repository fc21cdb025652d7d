//! Files as a queue: they are dropped when all their cells have expired (HBase: `FIFOCompactionPolicy`).

use super::{CandidateFile, policy};

/// Returns the indices of the files to drop: those without cells, and those whose cells have all expired
/// (read-path.md §17.6).
///
/// `files` are all files of the store, oldest first. HBase also drops the newest file and replaces it by an
/// empty one with the largest sequence id; here the newest stays until a newer one exists. HBase also drops a
/// file whose newest cell expires exactly at `now`, which reads still return; here that file stays. The
/// number of cells in a half of a file is unknown, so a half is dropped only if its cells have expired.
pub(super) fn choose(
    files: &[CandidateFile],
    compacting: &[usize],
    now: i64,
    ttl: Option<i64>,
) -> Vec<usize> {
    let mut over = policy::expired(files, compacting, now, ttl);
    let is_empty = |at: &usize| {
        let file = &files[*at];
        file.entry_count == 0 && !file.is_reference && !compacting.contains(at)
    };
    over.extend((0..files.len().saturating_sub(1)).filter(is_empty));
    over.sort_unstable();
    over.dedup();
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expired_and_empty_files_are_chosen() {
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
        let half = CandidateFile { is_reference: true, ..file(Some(500), 0) };
        assert_eq!(choose(&[half, file(Some(500), 1)], &[], 200, Some(100)), [0; 0]);
    }
}
