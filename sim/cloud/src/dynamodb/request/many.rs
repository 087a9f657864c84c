//! Requests about many items: batches and transactions.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        errors::DynamodbError,
        expression::projection::Projection,
        legacy,
        schema::{named_table, required},
        value::{Item, item_from_json},
    },
    Expressions, GetItem, Guard, Outcome, ReturnConsumedCapacity, Write, WriteAction, WriteKind, collection_metrics,
    consumed_capacity, item,
};
use crate::wire::json::Json;

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
            return Err(DynamodbError::validation("The requestItems parameter is required for BatchWriteItem"));
        }
        if writes.len() > 25 {
            return Err(DynamodbError::validation(
                "1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
            ));
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
