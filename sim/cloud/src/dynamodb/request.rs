//! Requests about items, read from JSON into what the operations work with.

use std::{collections::BTreeMap, sync::Arc};

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
    schema::{named_table, not_in_enum, required, table_name},
    value::{AttributeValue, Item, item_from_json},
};
use crate::wire::json::Json;

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

#[derive(Clone, Debug)]
pub struct BatchGet {
    pub tables: Vec<BatchGetTable>,
    pub consumed: ReturnConsumedCapacity,
}

#[derive(Clone, Debug)]
pub struct BatchGetTable {
    pub table: String,
    pub keys: Vec<Item>,
    pub is_consistent: bool,
    pub projection: Option<Projection>,
    /// The request's own text, for UnprocessedKeys.
    pub expressions: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug)]
pub struct BatchWrite {
    pub writes: Vec<Write>,
    pub consumed: ReturnConsumedCapacity,
}

#[derive(Clone, Debug)]
pub struct TransactGet {
    pub gets: Vec<GetItem>,
    pub consumed: ReturnConsumedCapacity,
}

#[derive(Clone, Debug)]
pub struct TransactWrite {
    pub writes: Arc<Vec<Write>>,
    pub token: Option<String>,
    pub consumed: ReturnConsumedCapacity,
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

impl BatchGet {
    pub fn from_json(json: &Json<'_>) -> Outcome<Self> {
        let requested = json.get("RequestItems")?.ok_or_else(|| required("requestItems"))?.as_object()?;
        let mut tables = Vec::new();
        for (name, request) in requested {
            let mut keys = Vec::new();
            let listed = request.array("Keys")?.ok_or_else(|| required("requestItems.member.keys"))?;
            if listed.is_empty() || listed.len() > 100 {
                let bound = if listed.is_empty() { "greater than or equal to 1" } else { "less than or equal to 100" };
                return Err(DynamodbError::validation(format!(
                    "1 validation error detected: Value at 'requestItems.{name}.member.keys' failed to satisfy constraint: Member must have length {bound}"
                )));
            }
            for key in listed {
                keys.push(item_from_json(key)?);
            }
            let projection = match legacy::attributes_to_get(request)? {
                Some(projection) => Some(projection),
                None => {
                    let mut expressions = Expressions::new(request)?;
                    let projection = expressions.projection()?;
                    expressions.finish()?;
                    projection
                }
            };
            tables.push(BatchGetTable {
                table: named_table(name)?,
                keys,
                is_consistent: request.bool("ConsistentRead")?.unwrap_or(false),
                projection,
                expressions: expression_texts(request)?,
            });
        }
        let count: usize = tables.iter().map(|table| table.keys.len()).sum();
        if count == 0 {
            return Err(DynamodbError::validation(
                "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
            ));
        }
        if count > 100 {
            return Err(DynamodbError::validation("Too many items requested for the BatchGetItem call"));
        }
        Ok(Self { tables, consumed: consumed_capacity(json)? })
    }
}

/// What UnprocessedKeys must repeat besides the keys.
fn expression_texts(request: &Json<'_>) -> Outcome<serde_json::Map<String, serde_json::Value>> {
    let mut texts = serde_json::Map::new();
    if let Some(text) = request.string("ProjectionExpression")? {
        texts.insert("ProjectionExpression".into(), text.into());
    }
    if let Some(names) = request.get("ExpressionAttributeNames")? {
        let names: Result<BTreeMap<String, String>, _> = names
            .as_object()?
            .iter()
            .map(|(placeholder, name)| name.as_str().map(|name| (placeholder.to_string(), name.to_owned())))
            .collect();
        texts.insert("ExpressionAttributeNames".into(), serde_json::json!(names?));
    }
    if let Some(names) = request.strings("AttributesToGet")? {
        texts.insert("AttributesToGet".into(), names.into());
    }
    if let Some(consistent) = request.bool("ConsistentRead")? {
        texts.insert("ConsistentRead".into(), consistent.into());
    }
    Ok(texts)
}

impl BatchWrite {
    pub fn from_json(json: &Json<'_>) -> Outcome<Self> {
        let requested = json.get("RequestItems")?.ok_or_else(|| required("requestItems"))?.as_object()?;
        let mut writes = Vec::new();
        for (name, requests) in requested {
            let table = named_table(name)?;
            for request in requests.as_array()? {
                let action = match (request.get("PutRequest")?, request.get("DeleteRequest")?) {
                    (Some(put), None) => WriteAction::Put(Arc::new(item(put, "Item", "item")?)),
                    (None, Some(delete)) => WriteAction::Delete { key: item(delete, "Key", "key")? },
                    (None, None) => {
                        return Err(DynamodbError::validation(
                            "Supplied WriteRequest is empty, must contain exactly one of the supported request types",
                        ));
                    }
                    _ => {
                        return Err(DynamodbError::validation(
                            "Supplied WriteRequest has more than one request type set, must contain exactly one of the supported request types",
                        ));
                    }
                };
                writes.push(Write { table: table.clone(), action, guard: Guard::default() });
            }
        }
        if writes.is_empty() {
            return Err(DynamodbError::validation(
                "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
            ));
        }
        if writes.len() > 25 {
            return Err(DynamodbError::validation("Too many items requested for the BatchWriteItem call"));
        }
        collection_metrics(json)?;
        Ok(Self { writes, consumed: consumed_capacity(json)? })
    }
}

fn transact_items<'j, 'a>(json: &'j Json<'a>) -> Outcome<&'j [Json<'a>]> {
    let items = json.array("TransactItems")?.ok_or_else(|| required("transactItems"))?;
    let bound = match items.len() {
        0 => "greater than or equal to 1",
        1..=100 => return Ok(items),
        _ => "less than or equal to 100",
    };
    Err(DynamodbError::validation(format!(
        "1 validation error detected: Value '[{} items]' at 'transactItems' failed to satisfy constraint: Member must have length {bound}",
        items.len()
    )))
}

impl TransactGet {
    pub fn from_json(json: &Json<'_>) -> Outcome<Self> {
        let gets = transact_items(json)?
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let get = entry.get("Get")?;
                GetItem::from_json(get.ok_or_else(|| required(&format!("transactItems.{}.member.get", index + 1)))?)
            })
            .collect::<Outcome<_>>()?;
        Ok(Self { gets, consumed: consumed_capacity(json)? })
    }
}

impl TransactWrite {
    pub fn from_json(json: &Json<'_>) -> Outcome<Self> {
        let token = json.string("ClientRequestToken")?.map(str::to_owned);
        if let Some(token) = token.as_ref().filter(|token| token.len() > 36 || token.is_empty()) {
            let bound = if token.is_empty() { "greater than or equal to 1" } else { "less than or equal to 36" };
            return Err(DynamodbError::validation(format!(
                "1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: Member must have length {bound}"
            )));
        }
        collection_metrics(json)?;
        let writes = transact_items(json)?.iter().map(transact_write).collect::<Outcome<_>>()?;
        Ok(Self { writes: Arc::new(writes), token, consumed: consumed_capacity(json)? })
    }
}

fn transact_write(entry: &Json<'_>) -> Outcome<Write> {
    const KINDS: [(&str, WriteKind); 4] = [
        ("Put", WriteKind::Put),
        ("Update", WriteKind::Update),
        ("Delete", WriteKind::Delete),
        ("ConditionCheck", WriteKind::Check),
    ];
    let mut found = None;
    for (name, kind) in KINDS {
        let Some(json) = entry.get(name)? else { continue };
        if found.replace((json, kind)).is_some() {
            return Err(DynamodbError::validation(
                "TransactItems can only contain one of Check, Put, Update or Delete",
            ));
        }
    }
    let (json, kind) = found.ok_or_else(|| {
        DynamodbError::validation(
            "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",
        )
    })?;
    if kind == WriteKind::Check && json.get("ConditionExpression")?.is_none() {
        return Err(required("transactItems.1.member.conditionCheck.conditionExpression"));
    }
    if kind == WriteKind::Update && json.get("UpdateExpression")?.is_none() {
        return Err(required("transactItems.1.member.update.updateExpression"));
    }
    Write::from_json(json, kind)
}
