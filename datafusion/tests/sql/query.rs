//! Generated queries, and their answers according to the model.

use crate::model::{Kind, Model, Value};
use crate::rng::Rng;
use std::cmp::Ordering;

#[derive(Clone, Debug)]
pub(crate) enum Predicate {
    Compare(usize, &'static str, Value),
    In(usize, bool, Vec<Value>),
    Between(usize, Value, Value),
    /// A pattern that begins with a text, and whether it ends there, or with `%` or `_%`.
    Like(usize, String, &'static str),
    Null(usize, bool),
    Is(usize),
    Not(Box<Predicate>),
    And(Box<Predicate>, Box<Predicate>),
    Or(Box<Predicate>, Box<Predicate>),
}

const OPERATORS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

fn literal(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Time, Value::Int(millis)) => {
            format!("arrow_cast({millis}, 'Timestamp(Millisecond, Some(\"UTC\"))')")
        }
        (_, Value::Int(value)) => value.to_string(),
        (_, Value::Text(text)) => format!("'{}'", text.replace('\'', "''")),
        (_, Value::Bytes(_)) => format!("X'{}'", value.shown()),
        (_, Value::Bool(value)) => value.to_string(),
        _ => "NULL".into(),
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Predicate {
    /// Returns a predicate on comparable columns, often with existing values.
    pub(crate) fn random(model: &Model, rng: &mut Rng, depth: usize) -> Self {
        if depth > 0 && rng.below(5) < 3 {
            let mut inner = || Box::new(Self::random(model, rng, depth - 1));
            let (a, b) = (inner(), inner());
            return match rng.below(7) {
                0..=2 => Self::And(a, b),
                3..=5 => Self::Or(a, b),
                _ => Self::Not(a),
            };
        }
        let usable: Vec<usize> =
            (0..model.columns.len()).filter(|at| model.columns[*at].1 != Kind::Opaque).collect();
        // the columns of the row key are first
        let at = if rng.below(3) == 0 { usable[0] } else { usable[rng.below(usable.len())] };
        let kind = model.columns[at].1;
        let value = |rng: &mut Rng| Self::value(model, at, rng);
        match rng.below(10) {
            0 => Self::Null(at, rng.below(2) == 0),
            1 | 2 => {
                let count = 1 + rng.below(5);
                let values = (0..count).map(|_| value(rng)).collect();
                Self::In(at, rng.below(3) == 0, values)
            }
            3 => Self::Between(at, value(rng), value(rng)),
            4 if kind == Kind::Bool => Self::Is(at),
            4 | 5 if kind == Kind::Text => {
                let Value::Text(text) = value(rng) else { unreachable!() };
                let len = rng.below(text.chars().count() + 1);
                let prefix = text.chars().take(len).collect();
                Self::Like(at, prefix, ["", "%", "_%", "%%"][rng.below(4)])
            }
            _ => Self::Compare(at, OPERATORS[rng.below(6)], value(rng)),
        }
    }

    fn value(model: &Model, at: usize, rng: &mut Rng) -> Value {
        for _ in 0..8 {
            let row = rng.below(model.rows.len());
            let value = model.rows[row][at].clone();
            match value {
                Value::Null => {}
                Value::Int(value) if rng.below(3) == 0 => {
                    return Value::Int(value.saturating_add([-1, 1, -300, 70_000][rng.below(4)]));
                }
                Value::Text(mut text) if rng.below(3) == 0 => {
                    text.push(['!', 'b', '~'][rng.below(3)]);
                    return Value::Text(text);
                }
                Value::Bytes(mut bytes) if rng.below(3) == 0 => {
                    bytes.push(rng.below(256) as u8);
                    return Value::Bytes(bytes);
                }
                value => return value,
            }
        }
        match model.columns[at].1 {
            Kind::Int | Kind::Time => Value::Int(7),
            Kind::Bool => Value::Bool(true),
            Kind::Bytes => Value::Bytes(b"m".to_vec()),
            _ => Value::Text("m".into()),
        }
    }

    pub(crate) fn sql(&self, model: &Model) -> String {
        let name = |at: &usize| quoted(&model.columns[*at].0);
        let text = |at: &usize, value: &Value| literal(model.columns[*at].1, value);
        match self {
            Self::Compare(at, op, value) => format!("{} {op} {}", name(at), text(at, value)),
            Self::In(at, negated, values) => {
                let values: Vec<_> = values.iter().map(|value| text(at, value)).collect();
                let not = if *negated { "NOT " } else { "" };
                format!("{} {not}IN ({})", name(at), values.join(", "))
            }
            Self::Between(at, low, high) => {
                format!("{} BETWEEN {} AND {}", name(at), text(at, low), text(at, high))
            }
            Self::Like(at, prefix, rest) => {
                let escaped = prefix.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                format!("{} LIKE '{}{rest}'", name(at), escaped.replace('\'', "''"))
            }
            Self::Null(at, true) => format!("{} IS NULL", name(at)),
            Self::Null(at, false) => format!("{} IS NOT NULL", name(at)),
            Self::Is(at) => name(at),
            Self::Not(inner) => format!("NOT ({})", inner.sql(model)),
            Self::And(a, b) => format!("({}) AND ({})", a.sql(model), b.sql(model)),
            Self::Or(a, b) => format!("({}) OR ({})", a.sql(model), b.sql(model)),
        }
    }

    /// Whether a row satisfies it: true, false or unknown.
    pub(crate) fn holds(&self, row: &[Value]) -> Option<bool> {
        let compared = |at: usize, op: &str, value: &Value| {
            let order = row[at].compare(value)?;
            Some(match op {
                "=" => order == Ordering::Equal,
                "<>" => order != Ordering::Equal,
                "<" => order == Ordering::Less,
                "<=" => order != Ordering::Greater,
                ">" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        };
        match self {
            Self::Compare(at, op, value) => compared(*at, op, value),
            Self::In(at, negated, values) => {
                let mut any = Some(false);
                for value in values {
                    any = or(any, compared(*at, "=", value));
                }
                any.map(|any| any != *negated)
            }
            Self::Between(at, low, high) => and(compared(*at, ">=", low), compared(*at, "<=", high)),
            Self::Like(at, prefix, rest) => {
                let Value::Text(text) = &row[*at] else { return None };
                let left = text.strip_prefix(prefix.as_str());
                Some(match *rest {
                    "" => left == Some(""),
                    "_%" => left.is_some_and(|left| !left.is_empty()),
                    _ => left.is_some(),
                })
            }
            Self::Null(at, expected) => Some((row[*at] == Value::Null) == *expected),
            Self::Is(at) => match row[*at] {
                Value::Bool(value) => Some(value),
                _ => None,
            },
            Self::Not(inner) => inner.holds(row).map(|holds| !holds),
            Self::And(a, b) => and(a.holds(row), b.holds(row)),
            Self::Or(a, b) => or(a.holds(row), b.holds(row)),
        }
    }
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}
