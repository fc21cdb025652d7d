//! Prints filters as expressions.

use crate::filter::compare::Kind as ComparatorKind;
use crate::filter::description::Kind;
use crate::filter::value::Column;
use crate::filter::{Comparator, Compare, Filter};

/// Returns the expression of a filter, if the language has one.
pub(in crate::filter) fn print(filter: &Filter) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put(&mut out, filter).then_some(out)
}

/// Returns false if the language cannot express the filter.
fn put(out: &mut Vec<u8>, filter: &Filter) -> bool {
    let simple = Simple { out, first: true, expressible: true };
    match &*filter.kind {
        Kind::Row(filter) => simple.name("Row").comparison(filter.compare, &filter.comparator),
        Kind::Family(filter) => simple.name("Family").comparison(filter.compare, &filter.comparator),
        Kind::Qualifier(filter) => simple.name("Qualifier").comparison(filter.compare, &filter.comparator),
        Kind::Value(filter) => simple.name("Value").comparison(filter.compare, &filter.comparator),
        Kind::DependentColumn(filter) => {
            let simple = simple.name("DependentColumn").column(&filter.column).word(filter.drop_dependent);
            match &filter.condition {
                Some((compare, comparator)) => simple.comparison(*compare, comparator),
                None => simple,
            }
        }
        Kind::SingleColumnValue(filter) => simple
            .name(if filter.exclude { "SingleColumnValueExclude" } else { "SingleColumnValue" })
            .column(&filter.column)
            .comparison(filter.compare, &filter.comparator)
            .word(filter.filter_if_missing)
            .word(filter.latest_version_only),
        Kind::ColumnValue(filter) => {
            simple.name("ColumnValue").column(&filter.column).comparison(filter.compare, &filter.comparator)
        }
        Kind::Prefix(filter) => simple.name("Prefix").text(&filter.prefix),
        Kind::InclusiveStop(filter) => simple.name("InclusiveStop").text(&filter.stop),
        Kind::Page(filter) => {
            simple.name("Page").only_if(i64::try_from(filter.rows).is_ok()).word(filter.rows)
        }
        Kind::ColumnCountGet(filter) => simple.name("ColumnCountGet").int(filter.columns),
        Kind::ColumnPagination(filter) => {
            simple.name("ColumnPagination").int(filter.limit).int(filter.offset)
        }
        Kind::ColumnPrefix(filter) => simple.name("ColumnPrefix").text(&filter.prefix),
        Kind::MultipleColumnPrefix(filter) => {
            let simple = simple.name("MultipleColumnPrefix");
            filter.prefixes.iter().fold(simple, |simple, prefix| simple.text(prefix))
        }
        Kind::ColumnRange(filter) => {
            // an empty qualifier differs from an open side, but prints the same
            let expressible = |side: &Option<bytes::Bytes>| side.as_ref().is_none_or(|side| !side.is_empty());
            simple
                .name("ColumnRange")
                .only_if(expressible(&filter.min) && expressible(&filter.max))
                .text(filter.min.as_deref().unwrap_or_default())
                .word(filter.include_min)
                .text(filter.max.as_deref().unwrap_or_default())
                .word(filter.include_max)
        }
        Kind::FirstKeyOnly(_) => simple.name("FirstKeyOnly"),
        Kind::KeyOnly(filter) => simple.name("KeyOnly").word(filter.len_as_value),
        Kind::Timestamps(filter) => {
            let simple = simple.name("Timestamps").only_if(!filter.can_hint);
            filter.timestamps.iter().fold(simple, Simple::word)
        }
        Kind::Skip(filter) => return put_wrapped(simple.out, b"SKIP ", filter),
        Kind::WhileMatch(filter) => return put_wrapped(simple.out, b"WHILE ", filter),
        Kind::And(filters) => return put_list(simple.out, b" AND ", filters),
        Kind::Or(filters) => return put_list(simple.out, b" OR ", filters),
        Kind::ColumnPage(_)
        | Kind::FirstKeyMatching(_)
        | Kind::RandomRow(_)
        | Kind::FuzzyRow(_)
        | Kind::MultiRowRange(_)
        | Kind::Custom(_) => {
            return false;
        }
    }
    .close()
}

fn put_wrapped(out: &mut Vec<u8>, operator: &[u8], filter: &Filter) -> bool {
    out.extend_from_slice(operator);
    put_member(out, filter)
}

/// Lists of fewer than two filters have no syntax.
fn put_list(out: &mut Vec<u8>, operator: &[u8], filters: &[Filter]) -> bool {
    filters.len() > 1
        && filters.iter().enumerate().all(|(i, filter)| {
            if i > 0 {
                out.extend_from_slice(operator);
            }
            put_member(out, filter)
        })
}

fn put_member(out: &mut Vec<u8>, filter: &Filter) -> bool {
    if !matches!(&*filter.kind, Kind::And(_) | Kind::Or(_)) {
        return put(out, filter);
    }
    out.push(b'(');
    let expressible = put(out, filter);
    out.push(b')');
    expressible
}

/// A simple filter being written.
struct Simple<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    expressible: bool,
}

impl Simple<'_> {
    fn name(self, name: &str) -> Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"Filter(");
        self
    }

    fn only_if(mut self, expressible: bool) -> Self {
        self.expressible &= expressible;
        self
    }

    fn word(self, word: impl ToString) -> Self {
        self.argument(word.to_string().as_bytes())
    }

    fn int(self, number: u32) -> Self {
        self.only_if(i32::try_from(number).is_ok()).word(number)
    }

    fn text(self, text: &[u8]) -> Self {
        let quotes = text.iter().filter(|byte| **byte == b'\'').count();
        let mut quoted = Vec::with_capacity(text.len() + quotes + 2);
        quoted.push(b'\'');
        for byte in text {
            if *byte == b'\'' {
                quoted.push(b'\'');
            }
            quoted.push(*byte);
        }
        quoted.push(b'\'');
        self.argument(&quoted)
    }

    fn column(self, column: &Column) -> Self {
        self.text(&column.family).text(&column.qualifier)
    }

    fn comparison(self, compare: Compare, comparator: &Comparator) -> Self {
        let (kind, value, ordered) = match &comparator.0 {
            ComparatorKind::Binary(value) => ("binary:", &value[..], true),
            ComparatorKind::BinaryPrefix(prefix) => ("binaryprefix:", &prefix[..], true),
            ComparatorKind::Substring(part) => ("substring:", part.as_bytes(), false),
            ComparatorKind::Regex(pattern) if pattern.ignores_case() => {
                ("regexstringnocase:", pattern.source().as_bytes(), false)
            }
            ComparatorKind::Regex(pattern) => ("regexstring:", pattern.source().as_bytes(), false),
            _ => return self.only_if(false),
        };
        let expressible =
            compare != Compare::NoOp && (ordered || matches!(compare, Compare::Equal | Compare::NotEqual));
        self.only_if(expressible).word(compare.symbol()).text(&[kind.as_bytes(), value].concat())
    }

    fn argument(mut self, argument: &[u8]) -> Self {
        if !std::mem::replace(&mut self.first, false) {
            self.out.extend_from_slice(b", ");
        }
        self.out.extend_from_slice(argument);
        self
    }

    fn close(self) -> bool {
        self.out.push(b')');
        self.expressible
    }
}
