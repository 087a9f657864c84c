//! The parameters from before expressions, read as the expressions that they stand for.

use super::{
    errors::DynamodbError,
    expression::{
        Bindings,
        ast::{Comparator, Condition, Name, Operand, Path, SetOperand, SetValue, Step, Update, ValueName},
        projection::Projection,
    },
    request::WriteKind,
    schema::not_in_enum,
    value::AttributeValue,
};
use crate::wire::json::Json;

type Outcome<T> = Result<T, DynamodbError>;

pub struct LegacyWrite {
    pub update: Option<Update>,
    pub condition: Option<Condition>,
    pub bindings: Bindings,
}

pub struct LegacyRead {
    pub key_condition: Option<Condition>,
    pub filter: Option<Condition>,
    pub projection: Option<Projection>,
    pub bindings: Bindings,
}

const EXPRESSIONS: [&str; 5] =
    ["ConditionExpression", "UpdateExpression", "KeyConditionExpression", "FilterExpression", "ProjectionExpression"];

/// Whether the request uses any of `names`; refuses a mixture of both styles.
fn uses(json: &Json<'_>, names: &[&str]) -> Outcome<bool> {
    let present = |candidates: &[&str]| -> Outcome<Vec<String>> {
        let mut found = Vec::new();
        for name in candidates {
            if json.get(name)?.is_some() {
                found.push((*name).to_owned());
            }
        }
        Ok(found)
    };
    let (old, new) = (present(names)?, present(&EXPRESSIONS)?);
    if old.is_empty() {
        return Ok(false);
    }
    if !new.is_empty() {
        return Err(DynamodbError::validation(format!(
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {{{}}} Expression parameters: {{{}}}",
            old.join(", "),
            new.join(", ")
        )));
    }
    for name in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        if json.get(name)?.is_some() {
            return Err(DynamodbError::validation(format!("{name} can only be specified when using expressions")));
        }
    }
    Ok(true)
}

/// `AttributesToGet`
pub fn attributes_to_get(json: &Json<'_>) -> Outcome<Option<Projection>> {
    if !uses(json, &["AttributesToGet"])? {
        return Ok(None);
    }
    Ok(json.strings("AttributesToGet")?.map(|names| Projection::of_attributes(&names)))
}

/// `Expected`, `ConditionalOperator` and `AttributeUpdates`
pub fn write_parameters(json: &Json<'_>, kind: WriteKind) -> Outcome<Option<LegacyWrite>> {
    if !uses(json, &["Expected", "ConditionalOperator", "AttributeUpdates"])? {
        return Ok(None);
    }
    let mut builder = Builder::default();
    let condition = match json.get("Expected")? {
        Some(expected) => builder.conditions(expected, json.string("ConditionalOperator")?, true)?,
        None => None,
    };
    let update = match json.get("AttributeUpdates")? {
        Some(updates) if kind == WriteKind::Update => Some(builder.updates(updates)?),
        _ => None,
    };
    Ok(Some(LegacyWrite { update, condition, bindings: builder.bindings }))
}

/// `KeyConditions`, `QueryFilter`, `ScanFilter`, `ConditionalOperator` and `AttributesToGet`
pub fn read_parameters(json: &Json<'_>, is_query: bool) -> Outcome<Option<LegacyRead>> {
    let (filter_name, names): (_, &[&str]) = if is_query {
        ("QueryFilter", &["KeyConditions", "QueryFilter", "ConditionalOperator", "AttributesToGet"])
    } else {
        ("ScanFilter", &["ScanFilter", "ConditionalOperator", "AttributesToGet"])
    };
    if !uses(json, names)? {
        return Ok(None);
    }
    let mut builder = Builder::default();
    let key_condition = match json.get("KeyConditions")? {
        Some(conditions) if is_query => builder.conditions(conditions, None, false)?,
        _ => None,
    };
    let filter = match json.get(filter_name)? {
        Some(conditions) => builder.conditions(conditions, json.string("ConditionalOperator")?, false)?,
        None => None,
    };
    let projection = json.strings("AttributesToGet")?.map(|names| Projection::of_attributes(&names));
    Ok(Some(LegacyRead { key_condition, filter, projection, bindings: builder.bindings }))
}

/// Builds expressions with placeholders of its own.
#[derive(Default)]
struct Builder {
    bindings: Bindings,
}

impl Builder {
    fn path(&mut self, attribute: &str) -> Path {
        let placeholder = format!("#n{}", self.bindings.names.len());
        self.bindings.names.insert(placeholder.clone(), attribute.to_owned());
        Path(vec![Step::Attribute(Name(placeholder))])
    }

    fn value(&mut self, value: AttributeValue) -> ValueName {
        let placeholder = format!(":v{}", self.bindings.values.len());
        self.bindings.values.insert(placeholder.clone(), value);
        ValueName(placeholder)
    }

    fn conditions(&mut self, json: &Json<'_>, operator: Option<&str>, is_expected: bool) -> Outcome<Option<Condition>> {
        let is_or = match operator {
            None | Some("AND") => false,
            Some("OR") => true,
            Some(other) => return Err(not_in_enum(other, "conditionalOperator", "[OR, AND]")),
        };
        let mut whole: Option<Condition> = None;
        for (attribute, entry) in json.as_object()? {
            let condition = if is_expected && entry.get("ComparisonOperator")?.is_none() {
                self.expectation(attribute, entry)?
            } else {
                self.comparison(attribute, entry)?
            };
            whole = Some(match whole {
                None => condition,
                Some(others) if is_or => Condition::Or(Box::new(others), Box::new(condition)),
                Some(others) => Condition::And(Box::new(others), Box::new(condition)),
            });
        }
        Ok(whole)
    }

    fn expectation(&mut self, attribute: &str, entry: &Json<'_>) -> Outcome<Condition> {
        let exists = entry.bool("Exists")?;
        let path = self.path(attribute);
        match (exists, entry.get("Value")?) {
            (Some(false), None) => Ok(Condition::AttributeNotExists(path)),
            (Some(false), Some(_)) => Err(DynamodbError::invalid_parameter(format!(
                "Value cannot be used when Exists is set to false for Attribute: {attribute}"
            ))),
            (_, Some(value)) => {
                let right = Operand::Value(self.value(AttributeValue::from_json(value)?));
                Ok(Condition::Compare { left: Operand::Path(path), comparator: Comparator::Equal, right })
            }
            (_, None) => Err(DynamodbError::invalid_parameter(format!(
                "Value must be provided when Exists is {} for Attribute: {attribute}",
                exists.map_or("null".to_owned(), |exists| exists.to_string())
            ))),
        }
    }

    fn comparison(&mut self, attribute: &str, entry: &Json<'_>) -> Outcome<Condition> {
        let operator = entry.string("ComparisonOperator")?.unwrap_or_default();
        let mut values = Vec::new();
        for value in entry.array("AttributeValueList")?.unwrap_or_default() {
            values.push(AttributeValue::from_json(value)?);
        }
        if let Some(value) = entry.get("Value")? {
            values.push(AttributeValue::from_json(value)?);
        }
        let fits = match operator {
            "NULL" | "NOT_NULL" => values.is_empty(),
            "IN" => !values.is_empty(),
            "BETWEEN" => values.len() == 2,
            _ => values.len() == 1,
        };
        if !fits {
            return Err(DynamodbError::invalid_parameter(format!(
                "Invalid number of argument(s) for the {operator} ComparisonOperator"
            )));
        }
        let path = self.path(attribute);
        let left = Operand::Path(path.clone());
        let mut operands: Vec<Operand> = values.into_iter().map(|value| Operand::Value(self.value(value))).collect();
        let comparator = match operator {
            "EQ" => Comparator::Equal,
            "NE" => Comparator::NotEqual,
            "LT" => Comparator::Less,
            "LE" => Comparator::LessOrEqual,
            "GT" => Comparator::Greater,
            "GE" => Comparator::GreaterOrEqual,
            "NULL" => return Ok(Condition::AttributeNotExists(path)),
            "NOT_NULL" => return Ok(Condition::AttributeExists(path)),
            "IN" => return Ok(Condition::In { operand: left, candidates: operands }),
            "BETWEEN" => {
                let high = operands.remove(1);
                return Ok(Condition::Between { operand: left, low: operands.remove(0), high });
            }
            "BEGINS_WITH" => return Ok(Condition::BeginsWith(left, operands.remove(0))),
            "CONTAINS" => return Ok(Condition::Contains(left, operands.remove(0))),
            "NOT_CONTAINS" => {
                // A missing attribute does not count as one that does not contain the value.
                let without = Condition::Not(Box::new(Condition::Contains(left, operands.remove(0))));
                return Ok(Condition::And(Box::new(Condition::AttributeExists(path)), Box::new(without)));
            }
            other => {
                return Err(not_in_enum(
                    other,
                    "comparisonOperator",
                    "[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]",
                ));
            }
        };
        Ok(Condition::Compare { left, comparator, right: operands.remove(0) })
    }

    fn updates(&mut self, json: &Json<'_>) -> Outcome<Update> {
        let mut update = Update::default();
        for (attribute, entry) in json.as_object()? {
            let value = entry.get("Value")?.map(AttributeValue::from_json).transpose()?;
            let path = self.path(attribute);
            match (entry.string("Action")?.unwrap_or("PUT"), value) {
                ("PUT", Some(value)) => {
                    update.set.push((path, SetValue::Operand(SetOperand::Value(self.value(value)))));
                }
                ("DELETE", None) => update.remove.push(path),
                ("ADD", Some(AttributeValue::L(elements))) => {
                    let (empty, more) =
                        (self.value(AttributeValue::L(Vec::new())), self.value(AttributeValue::L(elements)));
                    let old = SetOperand::IfNotExists(path.clone(), Box::new(SetOperand::Value(empty)));
                    let appended = SetOperand::ListAppend(Box::new(old), Box::new(SetOperand::Value(more)));
                    update.set.push((path, SetValue::Operand(appended)));
                }
                ("ADD", Some(value)) => update.add.push((path, self.value(value))),
                ("DELETE", Some(value)) => update.delete.push((path, self.value(value))),
                ("PUT" | "ADD", None) => {
                    return Err(DynamodbError::invalid_parameter(
                        "Only DELETE action is allowed when no attribute value is specified",
                    ));
                }
                (other, _) => return Err(not_in_enum(other, "attributeUpdates.member.action", "[ADD, PUT, DELETE]")),
            }
        }
        Ok(update)
    }
}
