//! Converts sets of the parts of a row key to ranges of row keys.

use crate::ranges::RangeSet;
use hregion::op::next_prefix;
use hregion_arrow::{KeyPart, RowKey};

/// The maximum number of row key ranges that result from points of several parts.
const MAX_RANGES: usize = 1000;
/// The maximum length of a bound that is not a point: each of its prefixes gets a range.
const MAX_BOUND: usize = 64;

/// The way to find a part that is not the last in a row key.
#[derive(Clone, Copy)]
enum Form<'k> {
    Separator(&'k [u8]),
    /// By its width, with the bytes after it.
    Width(usize, &'k [u8]),
}

/// The forms of all parts but the last.
fn forms(row: &RowKey) -> Option<Vec<Form<'_>>> {
    match row {
        RowKey::Whole(_) => Some(Vec::new()),
        RowKey::Separated { separator, parts } => {
            let form = |part: &KeyPart| match part.value_type().width() {
                Some(width) => Form::Width(width, separator),
                None => Form::Separator(separator),
            };
            Some(parts.iter().take(parts.len().saturating_sub(1)).map(form).collect())
        }
        RowKey::Widths { parts, rest } => {
            let last = usize::from(rest.is_none());
            let widths = parts.iter().take(parts.len().saturating_sub(last));
            Some(widths.map(|(_, width)| Form::Width(*width, b"")).collect())
        }
        _ => None,
    }
}

/// Returns how many of the first parts of a row key sort like their bytes, each within the parts before it.
pub(crate) fn sorted_parts(row: &RowKey) -> usize {
    let is_sorted = |ty: hregion_arrow::ValueType| {
        matches!(
            ty,
            hregion_arrow::ValueType::Binary
                | hregion_arrow::ValueType::Utf8
                | hregion_arrow::ValueType::Json
        )
    };
    let parts = row.parts();
    let sorted = parts.iter().take_while(|part| is_sorted(part.value_type())).count();
    match row {
        RowKey::Whole(_) | RowKey::Widths { .. } => sorted,
        RowKey::Separated { parts, .. } if parts.len() == 1 => sorted,
        // with the separator after it, a part may sort after a longer one
        _ => 0,
    }
}

/// Returns the ranges of the row keys whose parts are in these sets, and whether they are exact: otherwise,
/// the ranges also contain other row keys. Row keys that lack a part may be in any range.
pub(crate) fn ranges_of(row: &RowKey, sets: &[RangeSet]) -> (RangeSet, bool) {
    match forms(row) {
        Some(forms) if sets.len() == forms.len() + 1 => of_parts(&forms, sets),
        _ => (RangeSet::all(), false),
    }
}

fn of_parts(forms: &[Form<'_>], sets: &[RangeSet]) -> (RangeSet, bool) {
    let Some((first, others)) = sets.split_first() else { return (RangeSet::all(), true) };
    let Some((form, forms)) = forms.split_first() else { return (first.clone(), true) };
    let is_alone = others.iter().all(RangeSet::is_all);
    if first.is_all() && is_alone {
        return (RangeSet::all(), true);
    }
    if let Some(points) = first.points().filter(|points| points.len() <= MAX_RANGES) {
        let (mut rest, mut is_exact) = of_parts(forms, others);
        if points.len() * rest.ranges().len() > MAX_RANGES {
            (rest, is_exact) = (RangeSet::all(), false);
        }
        let prefixes = points.into_iter().filter_map(|point| form.prefix_of(point));
        let ranges = prefixes.map(|prefix| rest.prefixed(&prefix));
        let ranges = ranges.flat_map(|set| set.ranges().to_vec()).collect();
        return (RangeSet::of(ranges), is_exact);
    }
    match form.spread(first) {
        Some(ranges) => (ranges, is_alone),
        None => (RangeSet::all(), false),
    }
}

impl Form<'_> {
    /// Returns the prefix of row keys with this value of the part; `None` if there are no such row keys.
    fn prefix_of(self, value: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Width(width, after) => (value.len() == width).then(|| [value, after].concat()),
            Self::Separator(separator) => {
                let with = [value, separator].concat();
                let first = with.windows(separator.len()).position(|window| window == separator);
                (first == Some(value.len())).then_some(with)
            }
        }
    }

    /// Returns the row keys whose part is in the set; `None` if this would be too many ranges.
    fn spread(self, set: &RangeSet) -> Option<RangeSet> {
        let mut ranges = Vec::new();
        for range in set.ranges() {
            let above = self.below(&range.start)?.complement();
            let between = match &range.end {
                Some(end) => above.intersect(&self.below(end)?),
                None => above,
            };
            ranges.extend(between.ranges().iter().cloned());
            if ranges.len() > MAX_RANGES {
                return None;
            }
        }
        Some(RangeSet::of(ranges))
    }

    /// Returns the row keys whose part is less than `bound`.
    fn below(self, bound: &[u8]) -> Option<RangeSet> {
        match self {
            Self::Width(width, _) => Some(match bound.get(..width) {
                // the part may be equal to the beginning of the bound
                Some(first) if bound.len() > width => RangeSet::range(Vec::new(), next_prefix(first)),
                _ => RangeSet::below(bound.to_vec()),
            }),
            Self::Separator(separator) => {
                if bound.len() > MAX_BOUND {
                    return None;
                }
                // a part that is a prefix of the bound is less, whatever the separator after it is
                let shorter = (0..bound.len()).filter_map(|len| bound.get(..len));
                let shorter = shorter.map(|shorter| RangeSet::prefix(&[shorter, separator].concat()));
                let ranges = shorter.flat_map(|set| set.ranges().to_vec());
                let below = RangeSet::below(bound.to_vec());
                Some(RangeSet::of(ranges.chain(below.ranges().to_vec()).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion_arrow::ValueType;

    fn part(name: &str) -> KeyPart {
        KeyPart::new(name, ValueType::Binary)
    }

    /// Splits a row key independently of the library.
    fn cut(row: &RowKey, key: &[u8]) -> Option<Vec<Vec<u8>>> {
        match row {
            RowKey::Separated { separator, parts } => {
                let (mut cut, mut left) = (Vec::new(), key.to_vec());
                while cut.len() + 1 < parts.len() {
                    let mut at = (0..left.len()).find(|at| left[*at..].starts_with(separator))?;
                    if let Some(width) = parts[cut.len()].value_type().width() {
                        at = left.get(width..)?.starts_with(separator).then_some(width)?;
                    }
                    cut.push(left[..at].to_vec());
                    left = left[at + separator.len()..].to_vec();
                }
                cut.push(left);
                Some(cut)
            }
            RowKey::Widths { parts, rest } => {
                let total: usize = parts.iter().map(|(_, width)| width).sum();
                if key.len() < total || rest.is_none() && key.len() > total {
                    return None;
                }
                let mut at = 0;
                let mut cut: Vec<Vec<u8>> = Vec::new();
                for (_, width) in parts {
                    cut.push(key[at..at + width].to_vec());
                    at += width;
                }
                cut.extend(rest.iter().map(|_| key[at..].to_vec()));
                Some(cut)
            }
            _ => Some(vec![key.to_vec()]),
        }
    }

    /// Compares every row key of up to five bytes of three values with many sets of each part.
    #[test]
    fn ranges_have_the_row_keys_whose_parts_are_in_the_sets() {
        let bytes = b"a|z";
        let mut keys: Vec<Vec<u8>> = vec![Vec::new()];
        let mut last = keys.clone();
        for _ in 0..5 {
            last = last.iter().flat_map(|key| bytes.map(|byte| [&key[..], &[byte]].concat())).collect();
            keys.extend(last.iter().cloned());
        }
        let separated = |separator: &[u8], count: usize| RowKey::Separated {
            separator: separator.to_vec(),
            parts: ["a", "b", "c"][..count].iter().map(|name| part(name)).collect(),
        };
        let numbered = |types: [ValueType; 2]| RowKey::Separated {
            separator: b"|".to_vec(),
            parts: types.into_iter().map(|ty| KeyPart::new("number", ty)).chain([part("c")]).collect(),
        };
        let widths = |widths: &[usize], rest: bool| RowKey::Widths {
            parts: widths.iter().zip(["a", "b"]).map(|(width, name)| (part(name), *width)).collect(),
            rest: rest.then(|| part("rest")),
        };
        let bounds: Vec<Vec<u8>> = keys.iter().filter(|key| key.len() < 4).cloned().collect();
        let mut exact = 0;
        for row in [
            RowKey::whole(ValueType::Binary),
            separated(b"|", 2),
            separated(b"|", 3),
            separated(b"||", 2),
            separated(b"a", 2),
            numbered([ValueType::Short, ValueType::Byte]),
            numbered([ValueType::Byte, ValueType::Binary]),
            widths(&[2], true),
            widths(&[1, 2], false),
            widths(&[1, 2], true),
        ] {
            let count = row.parts().len();
            for seed in 0..600_usize {
                let bound = |at: usize| bounds[(seed * 7919 + at * 104_729) % bounds.len()].clone();
                let set = |at: usize| match (seed / (at + 1) + at) % 6 {
                    0 => RangeSet::all(),
                    1 => RangeSet::point(&bound(at)),
                    2 => RangeSet::below(bound(at)),
                    3 => RangeSet::from(bound(at)),
                    4 => RangeSet::point(&bound(at)).union(&RangeSet::point(&bound(at + 9))),
                    _ => RangeSet::point(&bound(at)).complement(),
                };
                let sets: Vec<RangeSet> = (0..count).map(set).collect();
                let (ranges, is_exact) = ranges_of(&row, &sets);
                exact += usize::from(is_exact);
                for key in &keys {
                    let Some(parts) = cut(&row, key) else { continue };
                    let expected = parts.iter().zip(&sets).all(|(part, set)| set.contains(part));
                    let found = ranges.contains(key);
                    assert!(found || !expected, "{row:?} {sets:?} {key:?} is missing");
                    assert!(found == expected || !is_exact, "{row:?} {sets:?} {key:?} is too much");
                }
            }
        }
        assert!(exact > 1500, "{exact}");
    }
}
