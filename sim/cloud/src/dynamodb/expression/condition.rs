//! Whether an item meets a condition.

use std::cmp::Ordering;

use super::{
    super::value::{AttributeValue, Item},
    Bindings, ExpressionError,
    ast::{Comparator, Condition, Operand},
};

/// What the truth of a condition depends on besides the item.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation<'a> {
    pub bindings: &'a Bindings,
    /// Whether `<>` holds for a missing attribute.
    pub missing_is_not_equal: bool,
}

/// A value read from an item, given in the request, or computed by `size`.
enum Found<'a> {
    Borrowed(&'a AttributeValue),
    Size(AttributeValue),
    Missing,
}

impl Found<'_> {
    fn get(&self) -> Option<&AttributeValue> {
        match self {
            Found::Borrowed(value) => Some(value),
            Found::Size(value) => Some(value),
            Found::Missing => None,
        }
    }
}

impl<'a> Evaluation<'a> {
    /// Whether `item` meets `condition`; a missing item is an empty one.
    pub fn holds(&self, condition: &Condition, item: &Item) -> bool {
        match condition {
            Condition::Compare { left, comparator, right } => {
                self.compare(&self.operand(left, item), *comparator, &self.operand(right, item))
            }
            Condition::Between { operand, low, high } => {
                let value = self.operand(operand, item);
                self.compare(&value, Comparator::GreaterOrEqual, &self.operand(low, item))
                    && self.compare(&value, Comparator::LessOrEqual, &self.operand(high, item))
            }
            Condition::In { operand, candidates } => {
                let value = self.operand(operand, item);
                candidates
                    .iter()
                    .any(|candidate| self.compare(&value, Comparator::Equal, &self.operand(candidate, item)))
            }
            Condition::AttributeExists(path) => self.bindings.find(path, item).is_some(),
            Condition::AttributeNotExists(path) => self.bindings.find(path, item).is_none(),
            Condition::AttributeType(path, name) => {
                let wanted = self.bindings.value(name);
                self.bindings
                    .find(path, item)
                    .is_some_and(|value| matches!(wanted, AttributeValue::S(text) if text == value.type_name()))
            }
            Condition::BeginsWith(left, right) => {
                match (self.operand(left, item).get(), self.operand(right, item).get()) {
                    (Some(value), Some(prefix)) => begins_with(value, prefix),
                    _ => false,
                }
            }
            Condition::Contains(left, right) => {
                match (self.operand(left, item).get(), self.operand(right, item).get()) {
                    (Some(value), Some(part)) => contains(value, part),
                    _ => false,
                }
            }
            Condition::Not(inner) => !self.holds(inner, item),
            Condition::And(left, right) => self.holds(left, item) && self.holds(right, item),
            Condition::Or(left, right) => self.holds(left, item) || self.holds(right, item),
        }
    }

    fn operand<'i>(&self, operand: &Operand, item: &'i Item) -> Found<'i>
    where
        'a: 'i,
    {
        match operand {
            Operand::Path(path) => self.bindings.find(path, item).map_or(Found::Missing, Found::Borrowed),
            Operand::Value(name) => Found::Borrowed(self.bindings.value(name)),
            Operand::Size(path) => self.bindings.find(path, item).and_then(size).map_or(Found::Missing, Found::Size),
        }
    }

    fn compare(&self, left: &Found<'_>, comparator: Comparator, right: &Found<'_>) -> bool {
        let (Some(left), Some(right)) = (left.get(), right.get()) else {
            return comparator == Comparator::NotEqual && self.missing_is_not_equal;
        };
        match comparator {
            Comparator::Equal => left == right,
            Comparator::NotEqual => left != right,
            _ => matches!(
                (order(left, right), comparator),
                (Some(Ordering::Less), Comparator::Less | Comparator::LessOrEqual)
                    | (Some(Ordering::Greater), Comparator::Greater | Comparator::GreaterOrEqual)
                    | (Some(Ordering::Equal), Comparator::LessOrEqual | Comparator::GreaterOrEqual)
            ),
        }
    }
}

/// Strings by UTF-8 bytes, numbers by value, binaries by unsigned bytes; nothing else has an order.
pub fn order(left: &AttributeValue, right: &AttributeValue) -> Option<Ordering> {
    match (left, right) {
        (AttributeValue::S(left), AttributeValue::S(right)) => Some(left.cmp(right)),
        (AttributeValue::N(left), AttributeValue::N(right)) => Some(left.cmp(right)),
        (AttributeValue::B(left), AttributeValue::B(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

pub fn begins_with(value: &AttributeValue, prefix: &AttributeValue) -> bool {
    match (value, prefix) {
        (AttributeValue::S(text), AttributeValue::S(prefix)) => text.starts_with(prefix.as_str()),
        (AttributeValue::B(bytes), AttributeValue::B(prefix)) => bytes.starts_with(prefix),
        _ => false,
    }
}

fn contains(value: &AttributeValue, part: &AttributeValue) -> bool {
    match (value, part) {
        (AttributeValue::S(text), AttributeValue::S(part)) => text.contains(part.as_str()),
        (AttributeValue::B(bytes), AttributeValue::B(part)) => {
            part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
        }
        (AttributeValue::Ss(set), AttributeValue::S(part)) => set.contains(part),
        (AttributeValue::Ns(set), AttributeValue::N(part)) => set.contains(part),
        (AttributeValue::Bs(set), AttributeValue::B(part)) => set.contains(part),
        (AttributeValue::L(elements), part) => elements.contains(part),
        _ => false,
    }
}

fn size(value: &AttributeValue) -> Option<AttributeValue> {
    let size = match value {
        AttributeValue::S(text) => text.chars().count(),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::M(members) => members.len(),
        AttributeValue::L(elements) => elements.len(),
        AttributeValue::Ss(set) => set.len(),
        AttributeValue::Ns(set) => set.len(),
        AttributeValue::Bs(set) => set.len(),
        AttributeValue::N(_) | AttributeValue::Bool(_) | AttributeValue::Null => return None,
    };
    Some(AttributeValue::N(i64::try_from(size).ok()?.into()))
}

/// Refuses literal operands that can never fit their operator, before any item is looked at.
pub fn check_operands(condition: &Condition, bindings: &Bindings) -> Result<(), ExpressionError> {
    let literal = |operand: &Operand| match operand {
        Operand::Value(name) => Some(bindings.value(name)),
        _ => None,
    };
    match condition {
        Condition::Not(inner) => check_operands(inner, bindings),
        Condition::And(left, right) | Condition::Or(left, right) => {
            check_operands(left, bindings)?;
            check_operands(right, bindings)
        }
        Condition::Compare { left, comparator, right }
            if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) =>
        {
            [left, right]
                .into_iter()
                .filter_map(literal)
                .try_for_each(|value| ordered(value, &comparator.to_string(), "operator"))
        }
        Condition::Between { operand, low, high } => {
            let operands = [operand, low, high];
            operands.into_iter().filter_map(literal).try_for_each(|value| ordered(value, "BETWEEN", "operator"))?;
            match (literal(low), literal(high)) {
                (Some(low), Some(high)) => check_bounds(low, high),
                _ => Ok(()),
            }
        }
        Condition::BeginsWith(left, right) => {
            let wrong = [left, right]
                .into_iter()
                .filter_map(literal)
                .find(|value| !matches!(value, AttributeValue::S(_) | AttributeValue::B(_)));
            wrong.map_or(Ok(()), |value| Err(wrong_type("operator or function", "begins_with", value)))
        }
        Condition::AttributeType(_, name) => check_type_name(bindings.value(name)),
        _ => Ok(()),
    }
}

fn wrong_type(label: &str, operator: &str, value: &AttributeValue) -> ExpressionError {
    ExpressionError::new(format!(
        "Incorrect operand type for operator or function; {label}: {operator}, operand type: {}",
        value.type_name()
    ))
}

fn ordered(value: &AttributeValue, operator: &str, label: &str) -> Result<(), ExpressionError> {
    match value {
        AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_) => Ok(()),
        _ => Err(wrong_type(label, operator, value)),
    }
}

fn check_bounds(low: &AttributeValue, high: &AttributeValue) -> Result<(), ExpressionError> {
    match order(low, high) {
        None => Err(ExpressionError::new(format!(
            "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: \
             AttributeValue: {low}, upper bound operand: AttributeValue: {high}"
        ))),
        Some(Ordering::Greater) => Err(ExpressionError::new(format!(
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: \
             AttributeValue: {low}, upper bound operand: AttributeValue: {high}"
        ))),
        Some(_) => Ok(()),
    }
}

fn check_type_name(value: &AttributeValue) -> Result<(), ExpressionError> {
    const TYPES: [&str; 10] = ["B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"];
    match value {
        AttributeValue::S(name) if TYPES.contains(&name.as_str()) => Ok(()),
        AttributeValue::S(name) => Err(ExpressionError::new(format!(
            "Invalid attribute type name found; type: {name}, valid types: {{{}}}",
            TYPES.join(",")
        ))),
        other => Err(wrong_type("operator or function", "attribute_type", other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{super::value::item_from_json, parser::parse_condition},
        *,
    };
    use crate::wire::json::Json;

    fn item(json: serde_json::Value) -> Item {
        let text = json.to_string();
        item_from_json(&Json::parse(text.as_bytes()).unwrap()).unwrap()
    }

    fn sample() -> Item {
        item(json!({
            "s": {"S": "hello"}, "n": {"N": "5"}, "b": {"B": "AQID"}, "flag": {"BOOL": true},
            "l": {"L": [{"S": "x"}, {"N": "1"}]}, "m": {"M": {"in": {"N": "7"}}}, "ss": {"SS": ["a", "b"]},
        }))
    }

    #[test]
    fn conditions_over_a_sample_item() {
        let bindings = Bindings {
            names: [("#in".to_owned(), "in".to_owned())].into(),
            values: item(json!({
                ":five": {"N": "5.0"}, ":six": {"N": "6"}, ":h": {"S": "he"}, ":a": {"S": "a"}, ":x": {"S": "x"},
                ":S": {"S": "S"}, ":b": {"B": "AQI="}, ":s": {"S": "hello"},
            })),
        };
        for (source, wanted) in [
            ("n = :five", true),
            ("n <> :five", false),
            ("n < :six", true),
            ("n > :h", false),
            ("n = :h", false),
            ("n <> :h", true),
            ("absent = :five", false),
            ("absent < :five", false),
            ("absent <> :five", true),
            ("NOT absent = :five", true),
            ("n BETWEEN :five AND :six", true),
            ("n IN (:six, :five)", true),
            ("n IN (:six, :h)", false),
            ("attribute_exists(m.#in)", true),
            ("attribute_not_exists(m.gone)", true),
            ("attribute_not_exists(l[1])", false),
            ("attribute_exists(l[2])", false),
            ("attribute_type(s, :S)", true),
            ("attribute_type(n, :S)", false),
            ("begins_with(s, :h)", true),
            ("begins_with(b, :b)", true),
            ("begins_with(n, :h)", false),
            ("contains(s, :h)", true),
            ("contains(ss, :a)", true),
            ("contains(l, :x)", true),
            ("contains(m, :x)", false),
            ("size(s) = :five", true),
            ("size(n) = :five", false),
            ("size(l) < :five", true),
            ("s = :s AND (n = :six OR flag = :x) OR size(ss) < :five", true),
        ] {
            let parsed = parse_condition(source).unwrap();
            let evaluation = Evaluation { bindings: &bindings, missing_is_not_equal: true };
            assert_eq!(evaluation.holds(&parsed.node, &sample()), wanted, "{source}");
        }
    }

    #[test]
    fn literal_operands_are_checked_before_items() {
        let bindings = Bindings {
            names: Default::default(),
            values: item(json!({":n": {"N": "5"}, ":low": {"N": "1"}, ":s": {"S": "x"}, ":l": {"L": []}})),
        };
        for (source, message) in [
            ("a < :l", "Incorrect operand type for operator or function; operator: <, operand type: L"),
            (
                "begins_with(a, :n)",
                "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
            ),
            (
                "a BETWEEN :n AND :low",
                "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:5}, upper bound operand: AttributeValue: {N:1}",
            ),
            (
                "attribute_type(a, :s)",
                "Invalid attribute type name found; type: x, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
            ),
        ] {
            let parsed = parse_condition(source).unwrap();
            assert_eq!(check_operands(&parsed.node, &bindings).unwrap_err().message, message, "{source}");
        }
    }
}
