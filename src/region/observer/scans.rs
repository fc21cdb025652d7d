//! Scans as observers have changed them, kept as long as the view that they read.

use crate::op::Scan;
use std::sync::OnceLock;

/// Scans that others borrow: none goes before all do.
#[derive(Debug, Default)]
pub(in crate::region) struct KeptScans(OnceLock<Box<Kept>>);

#[derive(Debug)]
struct Kept {
    scan: Scan,
    next: OnceLock<Box<Kept>>,
}

impl KeptScans {
    /// Takes a scan in, and lends it.
    pub(in crate::region) fn keep(&self, scan: Scan) -> &Scan {
        let mut place = &self.0;
        let mut kept = Some(Box::new(Kept { scan, next: OnceLock::new() }));
        loop {
            let node = place.get_or_init(|| kept.take().expect("it is taken once"));
            if kept.is_none() {
                return &node.scan;
            }
            place = &node.next;
        }
    }
}

impl Drop for KeptScans {
    fn drop(&mut self) {
        // one after the other: a long chain would not fit the stack
        let mut next = self.0.take();
        while let Some(mut kept) = next {
            next = kept.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_stay_where_they_are() {
        let kept = KeptScans::default();
        let scans: Vec<&Scan> = (1..500).map(|limit| kept.keep(Scan::new().limit(limit))).collect();
        for (scan, limit) in scans.iter().zip(1..) {
            assert_eq!(**scan, Scan::new().limit(limit));
        }
    }
}
