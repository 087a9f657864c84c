//! The part of a query that names a partition and bounds its sort keys.

use super::{
    super::{errors::DynamodbError, value::AttributeValue},
    Bindings, ExpressionError,
    ast::{Comparator, Condition, Operand},
    condition::{begins_with, order},
};

/// Bounds on the sort key; values are checked against the schema by the caller.
#[derive(Clone, Debug, PartialEq)]
pub enum SortBound {
    Any,
    Compare(Comparator, AttributeValue),
    Between(AttributeValue, AttributeValue),
    BeginsWith(AttributeValue),
}

impl SortBound {
    pub fn admits(&self, value: &AttributeValue) -> bool {
        match self {
            SortBound::Any => true,
            SortBound::Compare(comparator, bound) => order(value, bound).is_some_and(|ordering| match comparator {
                Comparator::Equal => ordering.is_eq(),
                Comparator::NotEqual => ordering.is_ne(),
                Comparator::Less => ordering.is_lt(),
                Comparator::LessOrEqual => ordering.is_le(),
                Comparator::Greater => ordering.is_gt(),
                Comparator::GreaterOrEqual => ordering.is_ge(),
            }),
            SortBound::Between(low, high) => {
                order(value, low).is_some_and(std::cmp::Ordering::is_ge)
                    && order(value, high).is_some_and(std::cmp::Ordering::is_le)
            }
            SortBound::BeginsWith(prefix) => begins_with(value, prefix),
        }
    }

    /// The values that the bound compares with.
    pub fn operands(&self) -> Vec<&AttributeValue> {
        match self {
            SortBound::Any => Vec::new(),
            SortBound::Compare(_, value) | SortBound::BeginsWith(value) => vec![value],
            SortBound::Between(low, high) => vec![low, high],
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct KeyCondition {
    pub partition: AttributeValue,
    pub sort: SortBound,
}

/// Reads a parsed condition as a key condition on the given key attributes.
pub fn key_condition(
    condition: &Condition,
    bindings: &Bindings,
    partition_name: &str,
    sort_name: Option<&str>,
) -> Result<KeyCondition, DynamodbError> {
    let mut parts = Vec::new();
    conjuncts(condition, &mut parts)?;
    let (mut partition, mut sort) = (None, None);
    for part in &parts {
        let (attribute, bound) = bound(part, bindings)?;
        let slot_taken = if attribute == partition_name {
            match bound {
                SortBound::Compare(Comparator::Equal, value) => partition.replace(value).is_some(),
                _ => return Err(unsupported()),
            }
        } else if Some(attribute) == sort_name {
            sort.replace(bound).is_some()
        } else {
            let missing = if partition.is_none() && parts.len() == 1 {
                partition_name
            } else {
                sort_name.unwrap_or(partition_name)
            };
            return Err(missed(missing));
        };
        if slot_taken {
            return Err(invalid("KeyConditionExpressions must only contain one condition per key"));
        }
    }
    let partition = partition.ok_or_else(|| missed(partition_name))?;
    Ok(KeyCondition { partition, sort: sort.unwrap_or(SortBound::Any) })
}

fn missed(element: &str) -> DynamodbError {
    DynamodbError::validation(format!("Query condition missed key schema element: {element}"))
}

fn unsupported() -> DynamodbError {
    DynamodbError::validation("Query key condition not supported")
}

fn invalid(message: &str) -> DynamodbError {
    ExpressionError::new(message).within("KeyConditionExpression")
}

fn conjuncts<'c>(condition: &'c Condition, parts: &mut Vec<&'c Condition>) -> Result<(), DynamodbError> {
    match condition {
        Condition::And(left, right) => {
            conjuncts(left, parts)?;
            conjuncts(right, parts)?;
            if parts.len() > 2 {
                return Err(DynamodbError::validation("Conditions can be of length 1 or 2 only"));
            }
        }
        other => parts.push(other),
    }
    Ok(())
}

fn bound<'c>(part: &'c Condition, bindings: &'c Bindings) -> Result<(&'c str, SortBound), DynamodbError> {
    match part {
        Condition::Compare { left, comparator, right } => match (left, right) {
            (Operand::Path(_), Operand::Value(name)) if *comparator != Comparator::NotEqual => {
                Ok((key_name(left, bindings)?, SortBound::Compare(*comparator, bindings.value(name).clone())))
            }
            (Operand::Value(name), Operand::Path(_)) if *comparator != Comparator::NotEqual => {
                let comparator = mirrored(*comparator);
                Ok((key_name(right, bindings)?, SortBound::Compare(comparator, bindings.value(name).clone())))
            }
            _ if *comparator == Comparator::NotEqual => {
                Err(invalid("Invalid operator used in KeyConditionExpression: <>"))
            }
            _ => Err(unsupported()),
        },
        Condition::Between { operand, low: Operand::Value(low), high: Operand::Value(high) } => Ok((
            key_name(operand, bindings)?,
            SortBound::Between(bindings.value(low).clone(), bindings.value(high).clone()),
        )),
        Condition::BeginsWith(left, Operand::Value(name)) => {
            Ok((key_name(left, bindings)?, SortBound::BeginsWith(bindings.value(name).clone())))
        }
        Condition::Or(..) => Err(invalid("Invalid operator used in KeyConditionExpression: OR")),
        Condition::Not(_) => Err(invalid("Invalid operator used in KeyConditionExpression: NOT")),
        Condition::In { .. } => Err(invalid("Invalid operator used in KeyConditionExpression: IN")),
        Condition::AttributeExists(_) => Err(function("attribute_exists")),
        Condition::AttributeNotExists(_) => Err(function("attribute_not_exists")),
        Condition::AttributeType(..) => Err(function("attribute_type")),
        Condition::Contains(..) => Err(function("contains")),
        _ => Err(unsupported()),
    }
}

fn function(name: &str) -> DynamodbError {
    invalid(&format!("Invalid operator used in KeyConditionExpression: {name}"))
}

fn mirrored(comparator: Comparator) -> Comparator {
    match comparator {
        Comparator::Less => Comparator::Greater,
        Comparator::LessOrEqual => Comparator::GreaterOrEqual,
        Comparator::Greater => Comparator::Less,
        Comparator::GreaterOrEqual => Comparator::LessOrEqual,
        same => same,
    }
}

fn key_name<'c>(operand: &'c Operand, bindings: &'c Bindings) -> Result<&'c str, DynamodbError> {
    match operand {
        Operand::Path(path) if path.0.len() == 1 => Ok(bindings.root(path)),
        Operand::Path(_) => Err(invalid("KeyConditionExpressions cannot have conditions on nested attributes")),
        _ => Err(unsupported()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parser::parse_condition, *};

    fn read(source: &str) -> Result<KeyCondition, String> {
        let values = [("a", "p"), ("b", "s"), ("c", "t")];
        let bindings = Bindings {
            names: [("#p".to_owned(), "pk".to_owned())].into(),
            values: values
                .into_iter()
                .map(|(name, text)| (format!(":{name}"), AttributeValue::S(text.into())))
                .collect(),
        };
        key_condition(&parse_condition(source).unwrap().node, &bindings, "pk", Some("sk"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn conditions_become_bounds() {
        let text = |text: &str| AttributeValue::S(text.into());
        for (source, sort) in [
            ("pk = :a", SortBound::Any),
            ("#p = :a AND sk > :b", SortBound::Compare(Comparator::Greater, text("s"))),
            (":b >= sk AND :a = pk", SortBound::Compare(Comparator::LessOrEqual, text("s"))),
            ("sk BETWEEN :b AND :c AND pk = :a", SortBound::Between(text("s"), text("t"))),
            ("(pk = :a) AND (begins_with(sk, :b))", SortBound::BeginsWith(text("s"))),
        ] {
            assert_eq!(read(source), Ok(KeyCondition { partition: text("p"), sort }), "{source}");
        }
    }

    #[test]
    fn other_conditions_are_refused() {
        for (source, message) in [
            ("sk = :b", "Query condition missed key schema element: pk"),
            ("another = :b", "Query condition missed key schema element: pk"),
            ("pk = :a AND another = :b", "Query condition missed key schema element: sk"),
            ("pk > :a", "Query key condition not supported"),
            ("begins_with(pk, :a)", "Query key condition not supported"),
            (
                "pk = :a OR sk = :b",
                "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: OR",
            ),
            (
                "pk = :a AND sk <> :b",
                "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: <>",
            ),
            (
                "pk = :a AND contains(sk, :b)",
                "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: contains",
            ),
            (
                "pk = :a AND pk = :b",
                "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
            ),
            ("pk = :a AND sk = :b AND sk = :c", "Conditions can be of length 1 or 2 only"),
        ] {
            assert_eq!(read(source).unwrap_err(), message, "{source}");
        }
    }
}
