//! Requests about items, read from JSON into what the operations work with.

mod many;

use std::sync::Arc;

use super::{
    errors::DynamodbError,
    expression::{
        Bindings, Usage,
        ast::{Condition, Path, Update},
        condition::check_operands,
        parser::{parse_condition, parse_projection, parse_update},
        projection::{Projection, check_overlap},
        update::check_update,
    },
    legacy,
    schema::{not_in_enum, required, table_name},
    value::{AttributeValue, Item, item_from_json},
};
use crate::wire::json::Json;

pub use many::{BatchGet, BatchGetTable, BatchWrite, TransactGet, TransactWrite};

type Outcome<T> = Result<T, DynamodbError>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnValues {
    #[default]
    None,
    AllOld,
    AllNew,
    UpdatedOld,
    UpdatedNew,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnConsumedCapacity {
    #[default]
    None,
    Total,
    Indexes,
}

/// A condition on a write, with what its placeholders stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard {
    pub condition: Option<Condition>,
    pub bindings: Bindings,
    /// `ReturnValuesOnConditionCheckFailure=ALL_OLD`
    pub return_item_on_failure: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum WriteAction {
    Put(Arc<Item>),
    Update {
        key: Item,
        update: Update,
    },
    Delete {
        key: Item,
    },
    /// Only of transactions: the condition alone.
    Check {
        key: Item,
    },
}

/// A write of one item, alone or in a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub table: String,
    pub action: WriteAction,
    pub guard: Guard,
}

#[derive(Clone, Debug)]
pub struct SingleWrite {
    pub write: Write,
    pub return_values: ReturnValues,
    pub consumed: ReturnConsumedCapacity,
    pub wants_collection_metrics: bool,
}

#[derive(Clone, Debug)]
pub struct GetItem {
    pub table: String,
    pub key: Item,
    pub is_consistent: bool,
    pub projection: Option<Projection>,
    pub consumed: ReturnConsumedCapacity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    AllAttributes,
    AllProjectedAttributes,
    SpecificAttributes,
    Count,
}

/// A Query or a Scan.
#[derive(Clone, Debug)]
pub struct ReadMany {
    pub table: String,
    pub index: Option<String>,
    pub is_consistent: bool,
    pub limit: Option<usize>,
    pub start: Option<Item>,
    pub select: Option<Select>,
    pub filter: Option<Condition>,
    pub projection: Option<Projection>,
    pub bindings: Bindings,
    pub consumed: ReturnConsumedCapacity,
    pub scope: Scope,
}

#[derive(Clone, Debug)]
pub enum Scope {
    Query {
        key_condition: Condition,
        is_forward: bool,
    },
    /// The share `segment` of `total`.
    Scan {
        segment: usize,
        total: usize,
    },
}

/// Reads the expressions of one request, and refuses placeholders that none of them uses.
struct Expressions<'j, 'a> {
    json: &'j Json<'a>,
    bindings: Bindings,
    usage: Usage,
    names_given: bool,
    values_given: bool,
}

impl<'j, 'a> Expressions<'j, 'a> {
    fn new(json: &'j Json<'a>) -> Outcome<Self> {
        let names = json.get("ExpressionAttributeNames")?;
        let values = json.get("ExpressionAttributeValues")?;
        let mut bindings = Bindings::default();
        if let Some(names) = names {
            for (placeholder, name) in names.as_object()? {
                check_placeholder("ExpressionAttributeNames", '#', placeholder)?;
                bindings.names.insert(placeholder.to_string(), name.as_str()?.to_owned());
            }
        }
        if let Some(values) = values {
            for (placeholder, value) in values.as_object()? {
                check_placeholder("ExpressionAttributeValues", ':', placeholder)?;
                let value = AttributeValue::from_json(value).map_err(|error| named_value(error, placeholder))?;
                bindings.values.insert(placeholder.to_string(), value);
            }
        }
        let usage = Usage::default();
        Ok(Self { json, bindings, usage, names_given: names.is_some(), values_given: values.is_some() })
    }

    fn condition(&mut self, kind: &str) -> Outcome<Option<Condition>> {
        let Some(text) = self.json.string(kind)? else { return Ok(None) };
        let parsed = parse_condition(text).map_err(|error| error.within(kind))?;
        let condition = self.usage.add(kind, parsed, &self.bindings)?;
        check_operands(&condition, &self.bindings).map_err(|error| error.within(kind))?;
        Ok(Some(condition))
    }

    fn update(&mut self) -> Outcome<Option<Update>> {
        const KIND: &str = "UpdateExpression";
        let Some(text) = self.json.string(KIND)? else { return Ok(None) };
        let parsed = parse_update(text).map_err(|error| error.within(KIND))?;
        let update = self.usage.add(KIND, parsed, &self.bindings)?;
        check_update(&update, &self.bindings).map_err(|error| error.within(KIND))?;
        Ok(Some(update))
    }

    fn projection(&mut self) -> Outcome<Option<Projection>> {
        const KIND: &str = "ProjectionExpression";
        let Some(text) = self.json.string(KIND)? else { return Ok(None) };
        let parsed = parse_projection(text).map_err(|error| error.within(KIND))?;
        let paths: Vec<Path> = self.usage.add(KIND, parsed, &self.bindings)?;
        check_overlap(&paths, &self.bindings).map_err(|error| error.within(KIND))?;
        Ok(Some(Projection::new(&paths, &self.bindings)))
    }

    fn finish(self) -> Outcome<Bindings> {
        self.usage.finish(self.names_given, self.values_given, &self.bindings)?;
        Ok(self.bindings)
    }
}

fn named_value(error: DynamodbError, placeholder: &str) -> DynamodbError {
    match error {
        DynamodbError::Validation { message } => DynamodbError::validation(format!(
            "ExpressionAttributeValues contains invalid value: {message} for key {placeholder}"
        )),
        other => other,
    }
}

fn check_placeholder(what: &str, sigil: char, placeholder: &str) -> Outcome<()> {
    let valid = placeholder
        .strip_prefix(sigil)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    if valid {
        return Ok(());
    }
    Err(DynamodbError::validation(format!(r#"{what} contains invalid key: Syntax error; key: "{placeholder}""#)))
}

fn return_values(json: &Json<'_>) -> Outcome<ReturnValues> {
    Ok(match json.string("ReturnValues")? {
        None | Some("NONE") => ReturnValues::None,
        Some("ALL_OLD") => ReturnValues::AllOld,
        Some("ALL_NEW") => ReturnValues::AllNew,
        Some("UPDATED_OLD") => ReturnValues::UpdatedOld,
        Some("UPDATED_NEW") => ReturnValues::UpdatedNew,
        Some(other) => {
            return Err(not_in_enum(other, "returnValues", "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"));
        }
    })
}

fn consumed_capacity(json: &Json<'_>) -> Outcome<ReturnConsumedCapacity> {
    Ok(match json.string("ReturnConsumedCapacity")? {
        None | Some("NONE") => ReturnConsumedCapacity::None,
        Some("TOTAL") => ReturnConsumedCapacity::Total,
        Some("INDEXES") => ReturnConsumedCapacity::Indexes,
        Some(other) => return Err(not_in_enum(other, "returnConsumedCapacity", "[INDEXES, TOTAL, NONE]")),
    })
}

fn collection_metrics(json: &Json<'_>) -> Outcome<bool> {
    match json.string("ReturnItemCollectionMetrics")? {
        None | Some("NONE") => Ok(false),
        Some("SIZE") => Ok(true),
        Some(other) => Err(not_in_enum(other, "returnItemCollectionMetrics", "[SIZE, NONE]")),
    }
}

fn returns_item_on_failure(json: &Json<'_>) -> Outcome<bool> {
    match json.string("ReturnValuesOnConditionCheckFailure")? {
        None | Some("NONE") => Ok(false),
        Some("ALL_OLD") => Ok(true),
        Some(other) => Err(not_in_enum(other, "returnValuesOnConditionCheckFailure", "[ALL_OLD, NONE]")),
    }
}

fn item(json: &Json<'_>, name: &str, member: &str) -> Outcome<Item> {
    item_from_json(json.get(name)?.ok_or_else(|| required(member))?)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    Put,
    Update,
    Delete,
    Check,
}

impl Write {
    /// Reads a write: a whole request, or one action of a transaction.
    pub fn from_json(json: &Json<'_>, kind: WriteKind) -> Outcome<Self> {
        let table = table_name(json)?;
        let target = match kind {
            WriteKind::Put => item(json, "Item", "item")?,
            _ => item(json, "Key", "key")?,
        };
        let old_style = legacy::write_parameters(json, kind)?;
        let (update, condition, bindings) = match old_style {
            Some(old_style) => (old_style.update, old_style.condition, old_style.bindings),
            None => {
                let mut expressions = Expressions::new(json)?;
                let update = if kind == WriteKind::Update { expressions.update()? } else { None };
                let condition = expressions.condition("ConditionExpression")?;
                (update, condition, expressions.finish()?)
            }
        };
        let action = match kind {
            WriteKind::Put => WriteAction::Put(Arc::new(target)),
            WriteKind::Update => WriteAction::Update { key: target, update: update.unwrap_or_default() },
            WriteKind::Delete => WriteAction::Delete { key: target },
            WriteKind::Check => WriteAction::Check { key: target },
        };
        let guard = Guard { condition, bindings, return_item_on_failure: returns_item_on_failure(json)? };
        Ok(Self { table, action, guard })
    }
}

impl SingleWrite {
    pub fn from_json(json: &Json<'_>, kind: WriteKind) -> Outcome<Self> {
        let return_values = return_values(json)?;
        let allowed = kind == WriteKind::Update || matches!(return_values, ReturnValues::None | ReturnValues::AllOld);
        if !allowed {
            return Err(DynamodbError::validation("Return values set to invalid value"));
        }
        Ok(Self {
            return_values,
            consumed: consumed_capacity(json)?,
            wants_collection_metrics: collection_metrics(json)?,
            write: Write::from_json(json, kind)?,
        })
    }
}

impl GetItem {
    pub fn from_json(json: &Json<'_>) -> Outcome<Self> {
        let table = table_name(json)?;
        let key = item(json, "Key", "key")?;
        let projection = match legacy::attributes_to_get(json)? {
            Some(projection) => Some(projection),
            None => {
                let mut expressions = Expressions::new(json)?;
                let projection = expressions.projection()?;
                expressions.finish()?;
                projection
            }
        };
        Ok(Self {
            table,
            key,
            is_consistent: json.bool("ConsistentRead")?.unwrap_or(false),
            projection,
            consumed: consumed_capacity(json)?,
        })
    }
}

impl ReadMany {
    pub fn query(json: &Json<'_>) -> Outcome<Self> {
        let is_forward = json.bool("ScanIndexForward")?.unwrap_or(true);
        Self::read(json, Some(is_forward), Scope::Scan { segment: 0, total: 1 })
    }

    pub fn scan(json: &Json<'_>) -> Outcome<Self> {
        let scope = match (json.integer("Segment")?, json.integer("TotalSegments")?) {
            (None, None) => Scope::Scan { segment: 0, total: 1 },
            (Some(segment), Some(total)) => segment_scope(segment, total)?,
            (None, Some(_)) => {
                return Err(DynamodbError::validation(
                    "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
                ));
            }
            (Some(_), None) => {
                return Err(DynamodbError::validation(
                    "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
                ));
            }
        };
        Self::read(json, None, scope)
    }

    fn read(json: &Json<'_>, query_forward: Option<bool>, scan: Scope) -> Outcome<Self> {
        let table = table_name(json)?;
        let old_style = legacy::read_parameters(json, query_forward.is_some())?;
        let (key_condition, filter, projection, bindings) = match old_style {
            Some(old) => (old.key_condition, old.filter, old.projection, old.bindings),
            None => {
                let mut expressions = Expressions::new(json)?;
                let key_condition =
                    if query_forward.is_some() { expressions.condition("KeyConditionExpression")? } else { None };
                let filter = expressions.condition("FilterExpression")?;
                let projection = expressions.projection()?;
                (key_condition, filter, projection, expressions.finish()?)
            }
        };
        let scope = match query_forward {
            None => scan,
            Some(is_forward) => Scope::Query {
                is_forward,
                key_condition: key_condition.ok_or_else(|| {
                    DynamodbError::validation(
                        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
                    )
                })?,
            },
        };
        Ok(Self {
            table,
            index: json.string("IndexName")?.map(str::to_owned),
            is_consistent: json.bool("ConsistentRead")?.unwrap_or(false),
            limit: limit(json)?,
            start: json.get("ExclusiveStartKey")?.map(item_from_json).transpose()?,
            select: select(json, projection.is_some())?,
            filter,
            projection,
            bindings,
            consumed: consumed_capacity(json)?,
            scope,
        })
    }
}

fn segment_scope(segment: i64, total: i64) -> Outcome<Scope> {
    let out_of_range = |value: i64, member: &str, bound: &str| {
        DynamodbError::validation(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have value {bound}"
        ))
    };
    let total_size = usize::try_from(total)
        .ok()
        .filter(|total| *total >= 1)
        .ok_or_else(|| out_of_range(total, "totalSegments", "greater than or equal to 1"))?;
    if total_size > 1_000_000 {
        return Err(out_of_range(total, "totalSegments", "less than or equal to 1000000"));
    }
    let segment_index =
        usize::try_from(segment).map_err(|_| out_of_range(segment, "segment", "greater than or equal to 0"))?;
    if segment_index >= total_size {
        return Err(DynamodbError::validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not less than TotalSegments: {total}"
        )));
    }
    Ok(Scope::Scan { segment: segment_index, total: total_size })
}

fn limit(json: &Json<'_>) -> Outcome<Option<usize>> {
    let Some(limit) = json.integer("Limit")? else { return Ok(None) };
    usize::try_from(limit).ok().filter(|limit| *limit > 0).map(Some).ok_or_else(|| {
        DynamodbError::validation(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
        ))
    })
}

fn select(json: &Json<'_>, has_projection: bool) -> Outcome<Option<Select>> {
    let select = match json.string("Select")? {
        None => return Ok(None),
        Some("ALL_ATTRIBUTES") => Select::AllAttributes,
        Some("ALL_PROJECTED_ATTRIBUTES") => Select::AllProjectedAttributes,
        Some("SPECIFIC_ATTRIBUTES") => Select::SpecificAttributes,
        Some("COUNT") => Select::Count,
        Some(other) => {
            return Err(not_in_enum(
                other,
                "select",
                "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]",
            ));
        }
    };
    if has_projection && select != Select::SpecificAttributes {
        let name = json.string("Select")?.unwrap_or_default();
        return Err(DynamodbError::validation(format!(
            "Cannot specify the ProjectionExpression when choosing to get {name}"
        )));
    }
    if !has_projection && select == Select::SpecificAttributes {
        return Err(DynamodbError::validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        ));
    }
    Ok(Some(select))
}
