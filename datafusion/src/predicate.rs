//! Predicates that the reader can apply, in part or as they are.

use crate::columns::{Field, fields_of, invalid_is_null, mapping_of};
use crate::key::ranges_of;
use crate::literal::{is_of_type, like_set, prefix_set, set_of};
use crate::ranges::{Range, RangeSet};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use hregion::filter::{Comparator, Compare, Filter, SingleColumnValue};
use hregion_arrow::{Column, Layout, RowKey, ValueType};
use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of ranges of a predicate on a column, each of which is a filter; also of predicates of
/// an OR that have filters.
const MAX_COLUMN_RANGES: usize = 1000;
/// The maximum depth of nested ANDs and ORs, as each takes a part of the stack. A chain of one of them is one
/// level, however long.
const MAX_NESTING: usize = 100;

/// Translates predicates on the columns of a layout.
#[derive(Debug)]
pub(crate) struct Translator {
    layout: Layout,
    schema: SchemaRef,
    fields: Vec<Field>,
    /// Whether row keys sort as bytes.
    has_ranges: bool,
}

/// A condition that all rows of a predicate satisfy; no other rows do if it is exact.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// The bytes of each part of the row key.
    parts: Vec<RangeSet>,
    /// The row keys, besides the sets of their parts; for several predicates, at most the ranges of each
    /// alone.
    keys: RangeSet,
    /// The families of cells.
    pub(crate) families: RangeSet,
    pub(crate) qualifiers: RangeSet,
    /// Filters, each of which drops rows without any of the columns that it tests.
    pub(crate) filters: Vec<Filter>,
    /// The columns of the mapping that the filters test.
    pub(crate) columns: BTreeSet<usize>,
    /// The least timestamp of a column of the mapping; number 0 has that of a table of cells.
    pub(crate) since: BTreeMap<usize, i64>,
    /// The columns of the SQL table that must be decoded, so that values of another type are found.
    pub(crate) decoded: BTreeSet<usize>,
    /// Whether the condition, without `since`, is the predicate.
    is_exact: bool,
}

impl Translator {
    /// `has_ranges` is whether row keys sort as bytes.
    pub(crate) fn new(layout: Layout, has_ranges: bool) -> Self {
        let (schema, fields) = (layout.schema(), fields_of(&layout));
        Self { layout, schema, fields, has_ranges }
    }

    /// The key of rows, or that of cells: bytes.
    fn row(&self) -> RowKey {
        mapping_of(&self.layout)
            .map_or_else(|| RowKey::whole(ValueType::Binary), |mapping| mapping.row().clone())
    }

    /// A condition that all rows satisfy.
    pub(crate) fn all(&self) -> Condition {
        let parts = mapping_of(&self.layout).map_or(1, |mapping| mapping.row().parts().len());
        Condition {
            parts: vec![RangeSet::all(); parts],
            keys: RangeSet::all(),
            families: RangeSet::all(),
            qualifiers: RangeSet::all(),
            filters: Vec::new(),
            columns: BTreeSet::new(),
            since: BTreeMap::new(),
            decoded: BTreeSet::new(),
            is_exact: true,
        }
    }

    /// Returns how far the reader applies a predicate.
    pub(crate) fn pushdown(&self, predicate: &Expr) -> TableProviderFilterPushDown {
        // with room for the list of all filters, and that of a scan
        let is_shallow = |condition: &Condition| {
            condition.filter().and_then(|filter| Filter::all([Filter::all(filter)?])).is_ok()
        };
        match self.translate(predicate).filter(is_shallow) {
            Some(condition) if self.is_exact(&condition) => TableProviderFilterPushDown::Exact,
            Some(condition) if condition.narrows() => TableProviderFilterPushDown::Inexact,
            _ => TableProviderFilterPushDown::Unsupported,
        }
    }

    /// Returns the condition of all predicates together.
    pub(crate) fn condition(&self, predicates: &[Expr]) -> Condition {
        let conditions = predicates.iter().filter_map(|predicate| self.translate(predicate));
        // the ranges of all parts together may be wider than those of a predicate alone, which may be exact
        let of_keys = |condition: Condition| Condition { keys: self.ranges(&condition).0, ..condition };
        conditions.map(of_keys).fold(self.all(), Condition::and)
    }

    /// Returns the ranges of row keys of a condition, and whether no other row key satisfies it.
    pub(crate) fn ranges(&self, condition: &Condition) -> (RangeSet, bool) {
        let (ranges, is_exact) = ranges_of(&self.row(), &condition.parts);
        (ranges.intersect(&condition.keys), is_exact)
    }

    fn is_exact(&self, condition: &Condition) -> bool {
        condition.is_exact && condition.narrows() && self.ranges(condition).1
    }

    fn translate(&self, predicate: &Expr) -> Option<Condition> {
        self.translate_within(predicate, MAX_NESTING)
    }

    /// Translates a predicate, of which what nests deeper than `levels` is unknown.
    fn translate_within(&self, predicate: &Expr, levels: usize) -> Option<Condition> {
        let predicate = bare(predicate);
        let Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) = predicate else {
            return self.translate_single(predicate);
        };
        let levels = levels.checked_sub(1)?;
        let (mut known, mut is_complete) = (Vec::new(), true);
        for operand in operands(predicate, *op) {
            match self.translate_within(operand, levels) {
                Some(condition) => known.push(condition),
                None if *op == Operator::Or => return None,
                None => is_complete = false,
            }
        }
        if *op == Operator::Or {
            return self.any(known);
        }
        let all = joined(known, Condition::and)?;
        Some(Condition { is_exact: all.is_exact && is_complete, ..all })
    }

    /// Translates a predicate that has no others in it.
    fn translate_single(&self, predicate: &Expr) -> Option<Condition> {
        match predicate {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
                (Expr::Column(column), Expr::Literal(literal, _)) => self.compare(&column.name, *op, literal),
                (Expr::Literal(literal, _), Expr::Column(column)) => {
                    self.compare(&column.name, op.swap()?, literal)
                }
                _ => None,
            },
            // NOT IN of an empty list is true of a null, too
            Expr::InList(InList { expr, list, negated }) if !list.is_empty() => {
                let Expr::Column(column) = &**expr else { return None };
                let op = if *negated { Operator::NotEq } else { Operator::Eq };
                let mut sets = list.iter().map(|item| match item {
                    Expr::Literal(literal, _) => self.set(&column.name, op, literal),
                    _ => None,
                });
                let sets = sets.by_ref().collect::<Option<Vec<_>>>()?;
                let set = match negated {
                    // at once, not one after the other: a list may be long
                    false => RangeSet::of(sets.iter().flat_map(|set| set.ranges().to_vec()).collect()),
                    true => {
                        let not = sets.iter().map(RangeSet::complement);
                        let not = not.flat_map(|set| set.ranges().to_vec()).collect();
                        RangeSet::of(not).complement()
                    }
                };
                self.of_set(&column.name, set, true)
            }
            Expr::Between(Between { expr, negated: false, low, high }) => match (&**expr, &**low, &**high) {
                (Expr::Column(column), Expr::Literal(low, _), Expr::Literal(high, _)) => {
                    let low = self.compare(&column.name, Operator::GtEq, low)?;
                    Some(low.and(self.compare(&column.name, Operator::LtEq, high)?))
                }
                _ => None,
            },
            Expr::Like(Like {
                negated: false,
                expr,
                pattern,
                escape_char: None,
                case_insensitive: false,
            }) => match (&**expr, &**pattern) {
                (Expr::Column(column), Expr::Literal(pattern, _)) => {
                    let (set, is_exact) = like_set(self.type_of(&column.name)?, pattern)?;
                    self.of_set(&column.name, set, is_exact)
                }
                _ => None,
            },
            Expr::ScalarFunction(call) if call.name() == "starts_with" => match &call.args[..] {
                [Expr::Column(column), Expr::Literal(prefix, _)] => {
                    let set = prefix_set(self.type_of(&column.name)?, prefix)?;
                    self.of_set(&column.name, set, true)
                }
                _ => None,
            },
            Expr::IsNotNull(inner) => match &**inner {
                Expr::Column(column) => self.present(&column.name),
                _ => None,
            },
            Expr::Column(column) => {
                self.compare(&column.name, Operator::Eq, &ScalarValue::Boolean(Some(true)))
            }
            Expr::Not(inner) => match &**inner {
                Expr::Column(column) => {
                    self.compare(&column.name, Operator::Eq, &ScalarValue::Boolean(Some(false)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn field(&self, name: &str) -> Option<(usize, Field)> {
        let at = self.schema.index_of(name).ok()?;
        Some((at, *self.fields.get(at)?))
    }

    fn column(&self, at: usize) -> Option<&Column> {
        mapping_of(&self.layout)?.columns().get(at)
    }

    /// The type of a column of the SQL table whose values are those of bytes.
    fn type_of(&self, name: &str) -> Option<ValueType> {
        match self.field(name)?.1 {
            Field::Part(_, ty) => Some(ty),
            Field::Column(at) => {
                let column = self.column(at)?;
                (!column.has_versions()).then(|| column.value_type())
            }
            Field::Family | Field::Qualifier => Some(ValueType::Binary),
            Field::ColumnTimestamp(_) | Field::Timestamp | Field::Other => None,
        }
    }

    fn set(&self, name: &str, op: Operator, literal: &ScalarValue) -> Option<RangeSet> {
        set_of(self.type_of(name)?, op, literal)
    }

    fn compare(&self, name: &str, op: Operator, literal: &ScalarValue) -> Option<Condition> {
        match self.field(name)?.1 {
            Field::Timestamp => {
                let ScalarValue::Int64(Some(literal)) = literal else { return None };
                let since = least_timestamp(op, *literal)?;
                Some(Condition { since: BTreeMap::from([(0, since)]), is_exact: false, ..self.all() })
            }
            Field::ColumnTimestamp(at) => {
                if self.column(at)?.has_versions() || !is_comparison(op) {
                    return None;
                }
                let ScalarValue::TimestampMillisecond(Some(literal), _) = literal else { return None };
                let since = least_timestamp(op, *literal).map(|since| (at, since));
                let present = self.present(name)?;
                Some(Condition { since: since.into_iter().collect(), is_exact: false, ..present })
            }
            _ => self.of_set(name, self.set(name, op, literal)?, true),
        }
    }

    /// The condition that the bytes of a column of the SQL table are in a set.
    fn of_set(&self, name: &str, set: RangeSet, is_exact: bool) -> Option<Condition> {
        let (place, field) = self.field(name)?;
        let mut condition = Condition { is_exact, ..self.all() };
        match field {
            Field::Part(..) if !self.has_ranges => return None,
            Field::Part(at, ty) => {
                if !is_of_type(ty, &set) {
                    condition.decoded.insert(place);
                }
                *condition.parts.get_mut(at)? = set;
            }
            Field::Family => condition.families = set,
            Field::Qualifier => condition.qualifiers = set,
            Field::Column(at) => {
                let column = self.column(at)?;
                if !is_of_type(column.value_type(), &set) {
                    // with nulls in place of them, the filter passes values that are not of the type
                    condition.is_exact &= !invalid_is_null(mapping_of(&self.layout)?);
                    condition.decoded.insert(place);
                }
                if set.is_empty() {
                    condition.keys = RangeSet::empty();
                }
                let filter = column_filter(column, &set);
                condition.is_exact &= filter.is_some();
                condition.filters.push(filter.unwrap_or_else(|| present(column)));
                condition.columns.insert(at);
            }
            Field::ColumnTimestamp(_) | Field::Timestamp | Field::Other => return None,
        }
        Some(condition)
    }

    /// The condition that a column has a cell.
    fn present(&self, name: &str) -> Option<Condition> {
        let (place, field) = self.field(name)?;
        let (at, column, is_exact) = match field {
            Field::ColumnTimestamp(at) => (at, self.column(at)?, true),
            Field::Column(at) => {
                let column = self.column(at)?;
                let ty = column.value_type();
                // an ordered encoding has a null
                let may_be_null = matches!(ty, ValueType::Ordered(_)) || {
                    ty != ValueType::Binary && invalid_is_null(mapping_of(&self.layout)?)
                };
                (at, column, column.has_versions() || !may_be_null)
            }
            _ => return None,
        };
        let mut condition = Condition { filters: vec![present(column)], is_exact, ..self.all() };
        condition.columns.insert(at);
        if matches!(field, Field::Column(_)) && column.value_type() != ValueType::Binary {
            condition.decoded.insert(place);
        }
        Some(condition)
    }

    /// The condition that at least one of several holds.
    fn any(&self, conditions: Vec<Condition>) -> Option<Condition> {
        let filtered = conditions.iter().filter(|condition| !condition.filters.is_empty()).count();
        let part_of = |condition: &Condition| match &condition.kinds()[..] {
            [Kind::Part(at)] => Some(*at),
            _ => None,
        };
        let part = part_of(conditions.first()?);
        let is_of_part = part.is_some() && conditions.iter().all(|condition| part_of(condition) == part);
        let prepared = conditions.into_iter().map(|condition| {
            let condition = match filtered > MAX_COLUMN_RANGES {
                true => {
                    let (filters, columns) = (Vec::new(), BTreeSet::new());
                    Condition { filters, columns, is_exact: false, ..condition }
                }
                false => condition,
            };
            // many sets of a part together may give too many ranges of row keys
            if is_of_part { condition } else { self.by_keys(condition) }
        });
        joined(prepared.collect(), |a, b| self.or(a, b))
    }

    /// The same condition, whose sets of parts of the row key are ranges of row keys.
    fn by_keys(&self, condition: Condition) -> Condition {
        let (keys, is_exact) = self.ranges(&condition);
        let parts = vec![RangeSet::all(); condition.parts.len()];
        Condition { parts, keys, is_exact: condition.is_exact && is_exact, ..condition }
    }

    fn or(&self, a: Condition, b: Condition) -> Condition {
        let (one, other) = (a.kinds(), b.kinds());
        let mut either = Condition {
            decoded: a.decoded.union(&b.decoded).copied().collect(),
            is_exact: a.is_exact && b.is_exact,
            ..self.all()
        };
        match (&one[..], &other[..]) {
            // a union of sets of the same thing
            ([Kind::Part(at)], [Kind::Part(same)]) if at == same => {
                if let (Some(to), Some(a), Some(b)) =
                    (either.parts.get_mut(*at), a.parts.get(*at), b.parts.get(*at))
                {
                    *to = a.union(b);
                }
                return either;
            }
            ([Kind::Families], [Kind::Families]) => {
                either.families = a.families.union(&b.families);
                return either;
            }
            ([Kind::Qualifiers], [Kind::Qualifiers]) => {
                either.qualifiers = a.qualifiers.union(&b.qualifiers);
                return either;
            }
            _ => {}
        }
        // Each condition is one of row keys, or of a filter, or more than that, and then what is left out
        // makes the union larger.
        let ((a_keys, a_exact), (b_keys, b_exact)) = (self.ranges(&a), self.ranges(&b));
        let is_of_keys = |kinds: &[Kind]| kinds.iter().all(|kind| matches!(kind, Kind::Part(_) | Kind::Keys));
        let is_filter = |kinds: &[Kind]| matches!(kinds, [Kind::Filter]);
        either.is_exact &= a_exact && b_exact;
        either.is_exact &= is_of_keys(&one) && is_of_keys(&other) || is_filter(&one) && is_filter(&other);
        either.keys = a_keys.union(&b_keys);
        either.families = a.families.union(&b.families);
        either.qualifiers = a.qualifiers.union(&b.qualifiers);
        if let (Ok(Some(a)), Ok(Some(b))) = (a.filter(), b.filter()) {
            either.filters.extend(Filter::any([a, b]).ok());
        }
        either.is_exact &= !either.filters.is_empty() || !is_filter(&one);
        if !either.filters.is_empty() {
            either.columns = a.columns.union(&b.columns).copied().collect();
        }
        let least = |(at, since): (&usize, &i64)| Some((*at, *since.min(b.since.get(at)?)));
        either.since = a.since.iter().filter_map(least).collect();
        either
    }
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Part(usize),
    Keys,
    Families,
    Qualifiers,
    Filter,
    Since,
}

impl Condition {
    fn kinds(&self) -> Vec<Kind> {
        let parts = self.parts.iter().enumerate().filter(|(_, part)| !part.is_all());
        let others = [
            (Kind::Keys, !self.keys.is_all()),
            (Kind::Families, !self.families.is_all()),
            (Kind::Qualifiers, !self.qualifiers.is_all()),
            (Kind::Filter, !self.filters.is_empty()),
            (Kind::Since, !self.since.is_empty()),
        ];
        let others = others.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind);
        parts.map(|(at, _)| Kind::Part(at)).chain(others).collect()
    }

    /// Returns the filter of all filters.
    ///
    /// # Errors
    ///
    /// If they nest too deep.
    pub(crate) fn filter(&self) -> hregion::Result<Option<Filter>> {
        match &self.filters[..] {
            [] => Ok(None),
            [filter] => Ok(Some(filter.clone())),
            filters => Filter::all(filters.to_vec()).map(Some),
        }
    }

    /// Whether any row may not satisfy the condition.
    fn narrows(&self) -> bool {
        !self.kinds().is_empty()
    }

    fn and(self, other: Self) -> Self {
        let mut since = self.since;
        for (at, least) in other.since {
            since.entry(at).and_modify(|since| *since = (*since).max(least)).or_insert(least);
        }
        let mut filters = self.filters;
        filters.extend(other.filters);
        Self {
            parts: self.parts.iter().zip(&other.parts).map(|(a, b)| a.intersect(b)).collect(),
            keys: self.keys.intersect(&other.keys),
            families: self.families.intersect(&other.families),
            qualifiers: self.qualifiers.intersect(&other.qualifiers),
            filters,
            columns: self.columns.union(&other.columns).copied().collect(),
            since,
            decoded: self.decoded.union(&other.decoded).copied().collect(),
            is_exact: self.is_exact && other.is_exact,
        }
    }
}

/// Returns a predicate without aliases and `IS TRUE`, which do not change which rows it accepts.
fn bare(mut predicate: &Expr) -> &Expr {
    loop {
        predicate = match predicate {
            Expr::IsTrue(inner) => inner,
            Expr::Alias(alias) => &alias.expr,
            _ => return predicate,
        };
    }
}

/// Returns the operands of a chain of an operator, in order, without recursion.
fn operands(predicate: &Expr, of: Operator) -> Vec<&Expr> {
    let (mut found, mut pending) = (Vec::new(), vec![predicate]);
    while let Some(next) = pending.pop() {
        match bare(next) {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == of => {
                pending.push(right);
                pending.push(left);
            }
            operand => found.push(operand),
        }
    }
    found
}

/// Joins neighbours until one is left. All are of about the same size then, whatever their number.
fn joined<T>(mut all: Vec<T>, join: impl Fn(T, T) -> T) -> Option<T> {
    while all.len() > 1 {
        let mut rest = all.into_iter();
        let mut pairs = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(one) = rest.next() {
            pairs.push(match rest.next() {
                Some(other) => join(one, other),
                None => one,
            });
        }
        all = pairs;
    }
    all.pop()
}

/// Whether the operator compares, and is null of a null.
fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// The least timestamp for which a comparison is true, if there are greater ones for which it is.
fn least_timestamp(op: Operator, literal: i64) -> Option<i64> {
    match op {
        Operator::Eq | Operator::GtEq => Some(literal),
        Operator::Gt => literal.checked_add(1),
        _ => None,
    }
}

/// Drops rows in which the newest value of a column does not satisfy a comparison, and rows without one.
fn test(column: &Column, compare: Compare, bytes: &[u8]) -> Filter {
    let (family, qualifier) = (column.family().to_vec(), column.qualifier().to_vec());
    let comparator = Comparator::binary(bytes.to_vec());
    let value = SingleColumnValue::new(family, qualifier, compare, comparator);
    Filter::single_column_value(value.filter_if_missing(true).latest_version_only(true))
}

/// Drops rows without a column.
fn present(column: &Column) -> Filter {
    test(column, Compare::GreaterOrEqual, b"")
}

/// Drops rows in which the newest value of a column is not in a set.
fn column_filter(column: &Column, set: &RangeSet) -> Option<Filter> {
    if set.is_all() || set.is_empty() {
        return Some(present(column));
    }
    if set.ranges().len() > MAX_COLUMN_RANGES {
        return None;
    }
    if let [gap] = set.complement().ranges()
        && let Some(point) = gap.point()
    {
        return Some(test(column, Compare::NotEqual, point));
    }
    any_of(set, |compare, bytes| test(column, compare, bytes)).ok()
}

/// Passes what is in a set, by a filter that compares.
///
/// # Errors
///
/// If the filter nests too deep.
pub(crate) fn any_of(set: &RangeSet, test: impl Fn(Compare, &[u8]) -> Filter) -> hregion::Result<Filter> {
    let of_range = |range: &Range| {
        if let Some(point) = range.point() {
            return Ok(test(Compare::Equal, point));
        }
        // a bound with a zero at its end is the first after another
        let above = match range.start.split_last() {
            Some((0, bytes)) => test(Compare::Greater, bytes),
            _ => test(Compare::GreaterOrEqual, &range.start),
        };
        let below = |end: &Vec<u8>| match end.split_last() {
            Some((0, bytes)) => test(Compare::LessOrEqual, bytes),
            _ => test(Compare::Less, end),
        };
        match &range.end {
            None => Ok(above),
            Some(end) if range.start.is_empty() => Ok(below(end)),
            Some(end) => Filter::all([above, below(end)]),
        }
    };
    let mut tests = set.ranges().iter().map(of_range).collect::<hregion::Result<Vec<_>>>()?;
    match (tests.len(), tests.pop()) {
        (1, Some(only)) => Ok(only),
        (_, last) => Filter::any(tests.into_iter().chain(last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::common::Column as Name;
    use datafusion::logical_expr::lit;
    use hregion_arrow::{KeyPart, Mapping};
    use std::mem::ManuallyDrop;

    fn name(name: &str) -> Expr {
        Expr::Column(Name::from_name(name))
    }

    fn one_of(part: &str, values: &[String]) -> Expr {
        name(part).in_list(values.iter().map(|value| lit(value.as_str())).collect(), false)
    }

    #[test]
    fn an_exact_predicate_remains_so_beside_another() {
        let part = |name: &str| KeyPart::new(name, ValueType::Utf8);
        let parts = ["a", "b", "c"].map(part).to_vec();
        let column = Column::parse("f:q=utf8").unwrap();
        let mapping =
            Mapping::new(RowKey::Separated { separator: b"|".to_vec(), parts }, vec![column]).unwrap();
        let translator = Translator::new(Layout::Columns(mapping), true);
        let long = "l".repeat(70);
        let many = |count: usize| -> Vec<String> { (0..count).map(|at| format!("v{at:04}")).collect() };
        let of_long = || name("a").eq(lit(long.as_str()));
        let cases = [
            (one_of("a", &many(600)), name("b").not_eq(lit("x"))),
            (of_long(), one_of("b", &many(1001))),
            (of_long().or(name("a").eq(lit("v0001"))), one_of("b", &many(700))),
            (name("a").lt(lit("v0003")), name("a").not_eq(lit(long.as_str()))),
            (one_of("a", &many(30)), one_of("b", &many(40))),
            (of_long(), name("b").gt(lit(long.as_str()))),
        ];
        let mut values = many(1002);
        values.extend(["", "k", "m", "v", "v0001v", "w", "x", "xx"].map(str::to_owned));
        values.extend([long.clone(), format!("{long}l"), format!("{long}m")]);
        let (mut within, mut outside) = (0, 0);
        for (exact, other) in cases {
            assert_eq!(translator.pushdown(&exact), TableProviderFilterPushDown::Exact, "{exact}");
            let own = translator.ranges(&translator.condition(std::slice::from_ref(&exact))).0;
            for both in [[exact.clone(), other.clone()], [other.clone(), exact.clone()]] {
                let ranges = translator.ranges(&translator.condition(&both)).0;
                for (at, a) in values.iter().enumerate() {
                    for b in values.iter().skip(at % 9).step_by(9) {
                        let key = format!("{a}|{b}|c").into_bytes();
                        let is_own = own.contains(&key);
                        assert!(is_own || !ranges.contains(&key), "{key:?} is not of the exact predicate");
                        outside += usize::from(!is_own);
                        within += usize::from(ranges.contains(&key));
                    }
                }
            }
        }
        assert!(within > 10_000 && outside > 100_000, "{within} {outside}");
    }

    /// `NOT IN` of nothing is true of a null, too.
    #[test]
    fn an_empty_list_is_not_pushed_down() {
        let mapping =
            Mapping::new(RowKey::whole(ValueType::Utf8), vec![Column::parse("f:q=utf8").unwrap()]).unwrap();
        let translator = Translator::new(Layout::Columns(mapping), true);
        for column in ["row", "f:q"] {
            for negated in [false, true] {
                let predicate = name(column).in_list(Vec::new(), negated);
                let unsupported = TableProviderFilterPushDown::Unsupported;
                assert_eq!(translator.pushdown(&predicate), unsupported, "{predicate}");
            }
        }
    }

    /// Calls `check` on a thread with as little stack as those that plan queries.
    fn on_a_small_stack(check: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(2 << 20);
            thread.spawn_scoped(scope, check).unwrap().join().unwrap();
        });
    }

    #[test]
    fn the_stack_is_enough_for_any_predicate() {
        const COUNT: usize = 20_000;
        let columns = vec![Column::parse("f:q=utf8").unwrap()];
        let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap();
        let translator = Translator::new(Layout::Columns(mapping), true);
        let text = |at: usize, end: &str| lit(format!("{at:05}{end}"));
        let range = |at: usize| name("row").gt_eq(text(at, "")).and(name("row").lt(text(at, "m")));
        // dropping them is recursive
        let kept = |predicate: Option<Expr>| ManuallyDrop::new(predicate.unwrap());

        let chain = kept((0..COUNT).map(range).reduce(Expr::or));
        on_a_small_stack(|| {
            assert_eq!(translator.pushdown(&chain), TableProviderFilterPushDown::Exact);
            let condition = translator.condition(std::slice::from_ref(&*chain));
            let ranges = translator.ranges(&condition).0;
            assert_eq!(ranges.ranges().len(), COUNT);
            assert!(ranges.contains(b"19999a") && !ranges.contains(b"19999m"));
        });
        let filters = (0..COUNT).map(|at| name("f:q").eq(text(at, "")).or(name("f:q").gt(lit("m"))));
        let all = kept(filters.reduce(Expr::and));
        on_a_small_stack(|| {
            assert_eq!(translator.pushdown(&all), TableProviderFilterPushDown::Exact);
            assert_eq!(translator.condition(std::slice::from_ref(&*all)).filters.len(), COUNT);
        });
        // more than are pushed down
        let any = kept((0..COUNT).map(|at| name("f:q").eq(text(at, ""))).reduce(Expr::or));
        on_a_small_stack(|| {
            assert_eq!(translator.pushdown(&any), TableProviderFilterPushDown::Unsupported);
            assert!(!translator.condition(std::slice::from_ref(&*any)).narrows());
        });
        let nested = (0..COUNT).map(range).enumerate().reduce(|(_, inner), (at, other)| {
            (at, if at % 2 == 0 { inner.and(other) } else { inner.or(other) })
        });
        let nested = kept(nested.map(|(_, nested)| nested));
        on_a_small_stack(|| {
            assert_ne!(translator.pushdown(&nested), TableProviderFilterPushDown::Exact);
            let condition = translator.condition(std::slice::from_ref(&*nested));
            assert!(translator.ranges(&condition).0.contains(b"19999a"));
        });
    }

    /// Translates each AND and OR of two predicates by itself.
    fn by_pairs(translator: &Translator, predicate: &Expr) -> Option<Condition> {
        match predicate {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                match (by_pairs(translator, left), by_pairs(translator, right)) {
                    (Some(left), Some(right)) => Some(left.and(right)),
                    (one, other) => one.or(other).map(|condition| Condition { is_exact: false, ..condition }),
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Some(translator.or(by_pairs(translator, left)?, by_pairs(translator, right)?))
            }
            _ => translator.translate(predicate),
        }
    }

    /// Whether a predicate is true of the parts of a row key.
    fn holds(predicate: &Expr, parts: [&str; 3]) -> bool {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = predicate else { unreachable!() };
        match (op, &**left, &**right) {
            (Operator::And, a, b) => holds(a, parts) && holds(b, parts),
            (Operator::Or, a, b) => holds(a, parts) || holds(b, parts),
            (op, Expr::Column(column), Expr::Literal(literal, _)) => {
                let at = ["a", "b", "c"].iter().position(|name| *name == column.name).unwrap();
                let order = parts[at].cmp(literal.try_as_str().unwrap().unwrap());
                match op {
                    Operator::Eq => order.is_eq(),
                    Operator::Lt => order.is_lt(),
                    Operator::GtEq => order.is_ge(),
                    _ => unreachable!(),
                }
            }
            _ => unreachable!(),
        }
    }

    #[test]
    fn chains_are_what_their_pairs_are() {
        let part = |name: &str| KeyPart::new(name, ValueType::Utf8);
        let row = RowKey::Separated { separator: b"|".to_vec(), parts: ["a", "b", "c"].map(part).to_vec() };
        let mapping = Mapping::new(row, vec![Column::parse("f:q=utf8").unwrap()]).unwrap();
        let translator = Translator::new(Layout::Columns(mapping), true);
        let mut state = 7_u64;
        let mut below = |count: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % count
        };
        let words = ["k", "m", "mm", "x"];
        let values = ["", "j", "k", "ka", "m", "mm", "n", "x", "xx"];
        let mut exact = 0;
        for _ in 0..500 {
            // trees of any form: two of the predicates become one, again and again
            let mut predicates: Vec<Expr> = Vec::new();
            for _ in 0..2 + below(5) {
                let (column, word) = (name(["a", "b", "c"][below(3) * below(2)]), lit(words[below(4)]));
                predicates.push(match below(4) {
                    0 | 1 => column.eq(word),
                    2 => column.lt(word),
                    _ => column.gt_eq(word),
                });
            }
            while predicates.len() > 1 {
                let one = predicates.swap_remove(below(predicates.len()));
                let other = predicates.swap_remove(below(predicates.len()));
                predicates.push(if below(3) == 0 { one.and(other) } else { one.or(other) });
            }
            let predicate = predicates.remove(0);
            let found = translator.translate(&predicate).unwrap();
            let pairs = by_pairs(&translator, &predicate).unwrap();
            assert!(translator.is_exact(&found) || !translator.is_exact(&pairs), "{predicate}");
            let (ranges, of_pairs) = (translator.ranges(&found).0, translator.ranges(&pairs).0);
            for a in values {
                for b in values {
                    for c in ["", "k", "mm"] {
                        let key = format!("{a}|{b}|{c}").into_bytes();
                        let is_in = ranges.contains(&key);
                        assert!(is_in || !holds(&predicate, [a, b, c]), "{predicate}: {key:?}");
                        assert!(!is_in || of_pairs.contains(&key), "{predicate}: {key:?}");
                        if translator.is_exact(&found) {
                            assert_eq!(is_in, holds(&predicate, [a, b, c]), "{predicate}: {key:?}");
                        }
                    }
                }
            }
            exact += usize::from(translator.is_exact(&found));
        }
        assert!(exact > 30 && exact < 470, "{exact}");
    }
}
