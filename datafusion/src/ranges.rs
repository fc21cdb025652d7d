//! Sets of byte strings, as ranges.

use hregion::op::next_prefix;

/// A set of byte strings in lexicographic order: disjoint ranges, in order, which do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeSet(Vec<Range>);

/// A range: from `start`, inclusive, to `end`, exclusive; `None` for no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Option<Vec<u8>>,
}

impl Range {
    /// Returns the only byte string of the range, if there is only one.
    pub(crate) fn point(&self) -> Option<&[u8]> {
        let is_next = |end: &Vec<u8>| end.strip_suffix(&[0]) == Some(&self.start[..]);
        self.end.as_ref().filter(|end| is_next(end)).map(|_| &self.start[..])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Whether the range ends before `row`, or at it.
    fn ends_by(&self, row: &[u8]) -> bool {
        self.end.as_ref().is_some_and(|end| &end[..] <= row)
    }
}

/// Returns the first byte string after `bytes`.
pub(crate) fn next(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}

/// Returns the lesser of two ends.
fn least<'e>(a: Option<&'e Vec<u8>>, b: Option<&'e Vec<u8>>) -> Option<&'e Vec<u8>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl RangeSet {
    pub(crate) fn all() -> Self {
        Self::range(Vec::new(), None)
    }

    pub(crate) fn empty() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn range(start: Vec<u8>, end: Option<Vec<u8>>) -> Self {
        Self::of(vec![Range { start, end }])
    }

    /// Returns the set of byte strings less than `end`.
    pub(crate) fn below(end: Vec<u8>) -> Self {
        Self::range(Vec::new(), Some(end))
    }

    /// Returns the set of byte strings not less than `start`.
    pub(crate) fn from(start: Vec<u8>) -> Self {
        Self::range(start, None)
    }

    pub(crate) fn point(bytes: &[u8]) -> Self {
        Self::range(bytes.to_vec(), Some(next(bytes)))
    }

    /// Returns the set of byte strings that begin with `prefix`.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        Self::range(prefix.to_vec(), next_prefix(prefix))
    }

    /// Sorts ranges, and joins adjacent ones.
    pub(crate) fn of(mut ranges: Vec<Range>) -> Self {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_by(|a, b| a.start.cmp(&b.start));
        let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if last.end.as_ref().is_none_or(|end| *end >= range.start) => {
                    last.end = match (last.end.take(), range.end) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        _ => None,
                    };
                }
                _ => joined.push(range),
            }
        }
        Self(joined)
    }

    pub(crate) fn ranges(&self) -> &[Range] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_all(&self) -> bool {
        matches!(&self.0[..], [Range { start, end: None }] if start.is_empty())
    }

    /// Returns the byte strings if each range contains only one.
    pub(crate) fn points(&self) -> Option<Vec<&[u8]>> {
        self.0.iter().map(Range::point).collect()
    }

    pub(crate) fn contains(&self, bytes: &[u8]) -> bool {
        let at = self.0.partition_point(|range| &range.start[..] <= bytes);
        at.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|range| !range.ends_by(bytes))
    }

    /// Whether any byte string from `start` on and before `end` is in the set.
    pub(crate) fn overlaps(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        let at = self.0.partition_point(|range| range.ends_by(start));
        let is_before_end = |range: &Range| end.is_none_or(|end| &range.start[..] < end);
        self.0.get(at).is_some_and(is_before_end) && end.is_none_or(|end| start < end)
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).cloned().collect())
    }

    pub(crate) fn intersect(&self, other: &Self) -> Self {
        let (mut both, mut a, mut b) = (Vec::new(), self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
            let end = least(left.end.as_ref(), right.end.as_ref()).cloned();
            both.push(Range { start: left.start.clone().max(right.start.clone()), end: end.clone() });
            if left.end == end {
                a.next();
            } else {
                b.next();
            }
        }
        Self::of(both)
    }

    pub(crate) fn complement(&self) -> Self {
        let (mut gaps, mut start) = (Vec::new(), Some(Vec::new()));
        for range in &self.0 {
            if let Some(start) = start {
                gaps.push(Range { start, end: Some(range.start.clone()) });
            }
            start = range.end.clone();
        }
        if let Some(start) = start {
            gaps.push(Range { start, end: None });
        }
        Self::of(gaps)
    }

    /// Returns the byte strings of the set, each after `prefix`.
    pub(crate) fn prefixed(&self, prefix: &[u8]) -> Self {
        let with = |bytes: &[u8]| [prefix, bytes].concat();
        let range = |range: &Range| Range {
            start: with(&range.start),
            end: range.end.as_ref().map_or_else(|| next_prefix(prefix), |end| Some(with(end))),
        };
        Self::of(self.0.iter().map(range).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns all strings of up to three bytes of four values.
    fn strings() -> Vec<Vec<u8>> {
        let mut all = vec![Vec::new()];
        let bytes = [0, 1, 0x7f, 0xff];
        for len in 0..3 {
            let longer = all.clone().into_iter().filter(|text: &Vec<u8>| text.len() == len);
            let longer = longer.flat_map(|text| bytes.map(|byte| [&text[..], &[byte]].concat()));
            let longer: Vec<_> = longer.collect();
            all.extend(longer);
        }
        all
    }

    #[test]
    fn sets_are_what_their_members_are() {
        let all = strings();
        let pick = |at: usize| all[at * 7919 % all.len()].clone();
        let set = |at: usize| match at % 5 {
            0 => RangeSet::point(&pick(at)),
            1 => RangeSet::below(pick(at)),
            2 => RangeSet::from(pick(at)),
            3 => RangeSet::prefix(&pick(at)),
            _ => RangeSet::range(pick(at), Some(pick(at + 1))).union(&RangeSet::point(&pick(at + 2))),
        };
        for at in 0..200 {
            let (a, b) = (set(at), set(at * 3 + 1));
            let (both, either, not) = (a.intersect(&b), a.union(&b), a.complement());
            for text in &all {
                let (in_a, in_b) = (a.contains(text), b.contains(text));
                assert_eq!(both.contains(text), in_a && in_b, "{a:?} {b:?} {text:?}");
                assert_eq!(either.contains(text), in_a || in_b, "{a:?} {b:?} {text:?}");
                assert_eq!(not.contains(text), !in_a, "{a:?} {text:?}");
                let above = RangeSet::range(text.clone(), Some(all[at % all.len()].clone()));
                let end = Some(&all[at % all.len()][..]);
                assert_eq!(a.overlaps(text, end), !above.intersect(&a).is_empty(), "{a:?} {text:?}");
                assert_eq!(a.overlaps(text, None), !RangeSet::from(text.clone()).intersect(&a).is_empty());
                let prefixed = a.prefixed(&[0x7f, 0xff]);
                let rest = text.strip_prefix(&[0x7f, 0xff]);
                assert_eq!(prefixed.contains(text), rest.is_some_and(|rest| a.contains(rest)));
            }
            assert_eq!(not.complement(), a);
        }
        assert!(RangeSet::all().is_all() && RangeSet::empty().complement().is_all());
        assert!(RangeSet::prefix(b"\xff").contains(b"\xff\xff") && RangeSet::prefix(b"").is_all());
        assert_eq!(RangeSet::point(b"a").points(), Some(vec![&b"a"[..]]));
        assert_eq!(RangeSet::from(b"a".to_vec()).points(), None);
    }
}
