//! Predicates that the reader can apply, partially or exactly.

mod condition;
mod filters;

pub(crate) use condition::Condition;
pub(crate) use filters::any_of;

use crate::columns::{Field, fields_of, invalid_is_null, mapping_of};
use crate::key::ranges_of;
use crate::literal::{is_of_type, like_set, prefix_set, set_of};
use crate::ranges::RangeSet;
use condition::joined;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use filters::{column_filter, present};
use hregion::filter::Filter;
use hregion_arrow::{Column, Layout, RowKey, ValueType};
use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of ranges of a predicate on a column, each of which becomes a filter; also of
/// predicates of an OR that have filters.
const MAX_COLUMN_RANGES: usize = 1000;
/// The maximum depth of nested ANDs and ORs, as each takes stack memory. A chain of one of them counts as one
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

impl Translator {
    /// Creates a translator. `has_ranges` is whether row keys sort as bytes.
    pub(crate) fn new(layout: Layout, has_ranges: bool) -> Self {
        let (schema, fields) = (layout.schema(), fields_of(&layout));
        Self { layout, schema, fields, has_ranges }
    }

    /// Returns the row key of the mapping, or bytes for a table of cells.
    fn row(&self) -> RowKey {
        mapping_of(&self.layout)
            .map_or_else(|| RowKey::whole(ValueType::Binary), |mapping| mapping.row().clone())
    }

    /// Returns a condition that all rows satisfy.
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

    /// Returns to what extent the reader applies a predicate.
    pub(crate) fn pushdown(&self, predicate: &Expr) -> TableProviderFilterPushDown {
        // leaves levels for the list of all filters, and for a scan's
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
        // the ranges of all parts together may be wider than those of a single predicate, which may be exact
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

    /// Translates a predicate; parts nested deeper than `levels` are unknown.
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

    /// Translates a predicate without nested ones.
    fn translate_single(&self, predicate: &Expr) -> Option<Condition> {
        match predicate {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
                (Expr::Column(column), Expr::Literal(literal, _)) => self.compare(&column.name, *op, literal),
                (Expr::Literal(literal, _), Expr::Column(column)) => {
                    self.compare(&column.name, op.swap()?, literal)
                }
                _ => None,
            },
            // NOT IN of an empty list is also true for a null
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

    /// Returns the type of a column of the SQL table whose values come from bytes.
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

    /// Returns the condition that the bytes of a column of the SQL table are in a set.
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
                    // where values of other types are null, the filter passes them
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

    /// Returns the condition that a column has a cell.
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
}

/// Returns a predicate without aliases and `IS TRUE`, which do not change the accepted rows.
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

/// Whether the operator is a comparison, which is null for a null.
fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// Returns the least timestamp for which a comparison is true, if it is true for greater ones too.
fn least_timestamp(op: Operator, literal: i64) -> Option<i64> {
    match op {
        Operator::Eq | Operator::GtEq => Some(literal),
        Operator::Gt => literal.checked_add(1),
        _ => None,
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

    /// `NOT IN` of an empty list is also true for a null.
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

    /// Calls `check` on a thread with as small a stack as the threads that plan queries.
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

    /// Translates each AND and OR of two predicates separately.
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

    /// Whether a predicate is true for the parts of a row key.
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
            // trees of any form: two of the predicates are repeatedly combined to one
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
