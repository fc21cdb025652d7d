//! Visibility labels: tags that determine who may read a value, and which values a delete marker hides
//! (read-path.md §9.13; HBase: `VisibilityUtils`, `DefaultVisibilityLabelServiceImpl.matchVisibility`).

use super::tags::Tags;
use crate::coding::Cursor;

/// The tag type of a visibility expression, or of one of its alternatives: ordinals of labels, as varints.
const EXPRESSION: u8 = 2;
/// The tag type of the format of a cell's expressions.
const FORMAT: u8 = 4;
/// The format in which the ordinals of an expression ascend, the only one that HBase's own service writes.
const SORTED: u8 = 1;

/// Whether a cell with these tags has visibility labels.
#[inline]
pub(crate) fn has_labels(tags: &[u8]) -> bool {
    !tags.is_empty() && expressions(tags).next().is_some()
}

/// The visibility labels of a delete marker. Most have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MarkerLabels {
    /// The tags of a marker that has labels.
    tags: Option<Box<[u8]>>,
}

impl MarkerLabels {
    /// Returns the labels among the tags of a marker.
    #[inline]
    pub(crate) fn of(tags: &[u8]) -> Self {
        Self { tags: has_labels(tags).then(|| tags.into()) }
    }

    /// Whether a value with these tags has the same labels, so that the marker hides it.
    #[inline]
    pub(crate) fn match_value(&self, value: &[u8]) -> bool {
        match &self.tags {
            None => !has_labels(value),
            Some(marker) => are_same(value, marker),
        }
    }
}

/// Whether a value and a marker with labels have the same labels. False if a format is unknown: HBase then
/// cannot compare them, and hides nothing. Values that are older than markers with labels (HBASE-10885) have
/// no format, and their ordinals may be in any order.
fn are_same(value: &[u8], marker: &[u8]) -> bool {
    let is_sorted = match (format(value), format(marker)) {
        (Some(SORTED), Some(SORTED)) => true,
        (None, Some(SORTED)) => false,
        _ => return false,
    };
    let is_same = |given: &[u8], wanted: &[u8]| match is_sorted {
        true => given == wanted,
        false => ordinals(given).is_some_and(|given| ordinals(wanted) == Some(given)),
    };
    expressions(value).count() == expressions(marker).count()
        && expressions(marker).all(|wanted| expressions(value).any(|given| is_same(given, wanted)))
}

fn expressions(tags: &[u8]) -> impl Iterator<Item = &[u8]> {
    Tags::new(tags).filter(|tag| tag.tag_type == EXPRESSION).map(|tag| tag.value)
}

fn format(tags: &[u8]) -> Option<u8> {
    let last = Tags::new(tags).filter(|tag| tag.tag_type == FORMAT).last()?;
    last.value.first().copied()
}

/// Returns the ordinals of an expression, ascending; those of negated labels are negative, here in two's
/// complement. `None` if they are malformed.
fn ordinals(expression: &[u8]) -> Option<Vec<u64>> {
    let mut cursor = Cursor::new(expression);
    let mut ordinals = Vec::new();
    while !cursor.is_empty() {
        ordinals.push(cursor.varint("ordinal of a label").ok()?);
    }
    ordinals.sort_unstable();
    Some(ordinals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(tag_type: u8, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len() + 1).unwrap();
        [&len.to_be_bytes()[..], &[tag_type], value].concat()
    }

    fn tags(format: Option<u8>, expressions: &[&[u8]]) -> Vec<u8> {
        let format = format.map_or_else(Vec::new, |format| tag(FORMAT, &[format]));
        let expressions = expressions.iter().flat_map(|value| tag(EXPRESSION, value));
        format.into_iter().chain(expressions).collect()
    }

    #[test]
    fn labels_are_compared_as_in_hbase() {
        let match_value = |value: &[u8], marker: &[u8]| MarkerLabels::of(marker).match_value(value);
        let sorted = |expressions: &[&[u8]]| tags(Some(1), expressions);
        let (none, ttl) = (Vec::new(), tag(8, &[0; 8]));
        let format_only = sorted(&[]);
        for value in [&none, &ttl, &format_only] {
            for marker in [&none, &ttl, &format_only] {
                assert!(match_value(value, marker), "{value:?} {marker:?}");
            }
            assert!(!match_value(value, &sorted(&[&[1]])) && !match_value(&sorted(&[&[1]]), value));
        }
        assert!(match_value(&sorted(&[&[1, 2]]), &sorted(&[&[1, 2]])));
        assert!(match_value(&[sorted(&[&[1, 2]]), ttl].concat(), &sorted(&[&[1, 2]])), "others do not count");
        assert!(!match_value(&sorted(&[&[1, 2]]), &sorted(&[&[1]])));
        assert!(!match_value(&sorted(&[&[1], &[2]]), &sorted(&[&[1, 2]])), "or is not and");
        assert!(match_value(&sorted(&[&[2], &[1]]), &sorted(&[&[1], &[2]])), "alternatives in any order");
        assert!(!match_value(&sorted(&[&[1], &[2]]), &sorted(&[&[1]])));
        assert!(!match_value(&sorted(&[&[2, 1]]), &sorted(&[&[1, 2]])), "sorted ones are compared as bytes");
    }

    #[test]
    fn formats_decide_what_can_be_compared() {
        let (old, new, other) =
            (tags(None, &[&[2, 1]]), tags(Some(1), &[&[1, 2]]), tags(Some(2), &[&[1, 2]]));
        let match_value = |value: &[u8], marker: &[u8]| MarkerLabels::of(marker).match_value(value);
        assert!(match_value(&old, &new), "a value without a format is sorted first");
        assert!(!match_value(&tags(None, &[&[1, 0x80]]), &new), "an ordinal is cut off");
        assert!(!match_value(&new, &old) && !match_value(&old, &old), "a marker without a format");
        assert!(!match_value(&other, &new) && !match_value(&new, &other) && !match_value(&other, &other));
    }
}
