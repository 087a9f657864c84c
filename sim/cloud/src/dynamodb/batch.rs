//! BatchGetItem and BatchWriteItem: many items, each on its own, some perhaps unprocessed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    DynamoDb, Outcome,
    capacity::{ReadMode, read_units},
    consumed::{Consumed, write_many},
    context::Context,
    errors::DynamodbError,
    item::{eventual_time, plan, take_read_capacity, take_write_capacity, target, write_cost, write_projected},
    request::{BatchGet, BatchWrite, WriteAction},
    value::{Item, item_size_bytes, item_to_json},
};

const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Items and keys left over, by table, in the form of the request.
type Unprocessed = BTreeMap<String, Vec<Value>>;

pub fn write(dynamodb: &mut DynamoDb, context: &mut Context<'_>, batch: BatchWrite) -> Outcome<Vec<u8>> {
    let mut keys = Vec::with_capacity(batch.writes.len());
    let mut seen = BTreeSet::new();
    for write in &batch.writes {
        let table = dynamodb.table(&write.table)?;
        let key = match &write.action {
            // Batches tell of wrong keys in items as of wrong keys alone, unlike PutItem.
            WriteAction::Put(item) if table.keys().key_of(item).is_none() => {
                return Err(DynamodbError::validation("The provided key element does not match the schema"));
            }
            _ => target(table, write)?,
        };
        if !seen.insert((write.table.as_str(), key.clone())) {
            return Err(DynamodbError::validation("Provided list of item keys contains duplicates"));
        }
        keys.push(key);
    }
    let DynamoDb { config, tables, .. } = dynamodb;
    let mut consumed = BTreeMap::<String, Consumed>::new();
    let mut unprocessed = Unprocessed::new();
    let mut last_error = None;
    for (index, (write, key)) in batch.writes.iter().zip(keys).enumerate() {
        let table = tables.get_mut(&write.table).ok_or_else(DynamodbError::table_not_found)?;
        let planned = plan(table, context, write, &key)?;
        let cost = write_cost(table, &planned, false);
        let refusal = if context.partial_batch && index > 0 {
            Err(DynamodbError::InternalServerError)
        } else {
            table
                .check_unlocked(&planned.key)
                .and_then(|()| take_write_capacity(table, context, &config.capacity, &planned, &cost))
        };
        match refusal {
            Ok(()) => {
                table.write(context, &planned.key, planned.new, false);
                consumed.entry(write.table.clone()).or_default().add(&cost);
            }
            Err(error) => {
                unprocessed.entry(write.table.clone()).or_default().push(request_entry(&write.action));
                last_error = Some(error);
            }
        }
    }
    let left: usize = unprocessed.values().map(Vec::len).sum();
    match last_error {
        Some(error) if left == batch.writes.len() => return Err(error),
        _ => {}
    }
    let mut out = b"{\"UnprocessedItems\":".to_vec();
    out.extend_from_slice(json!(unprocessed).to_string().as_bytes());
    write_many(&mut out, &consumed, batch.consumed, None);
    out.push(b'}');
    Ok(out)
}

fn request_entry(action: &WriteAction) -> Value {
    match action {
        WriteAction::Put(item) => json!({"PutRequest": {"Item": item_to_json(item)}}),
        WriteAction::Delete { key } | WriteAction::Update { key, .. } | WriteAction::Check { key } => {
            json!({"DeleteRequest": {"Key": item_to_json(key)}})
        }
    }
}

pub fn get(dynamodb: &mut DynamoDb, context: &mut Context<'_>, batch: BatchGet) -> Outcome<Vec<u8>> {
    let mut seen = BTreeSet::new();
    for request in &batch.tables {
        let table = dynamodb.table(&request.table)?;
        for key in &request.keys {
            if !seen.insert((request.table.clone(), table.exact_key(key)?)) {
                return Err(DynamodbError::validation("Provided list of item keys contains duplicates"));
            }
        }
    }
    let mut reader =
        BatchReader { bytes: 0, read: 0, consumed: BTreeMap::new(), unprocessed: BTreeMap::new(), last_error: None };
    let mut out = b"{\"Responses\":{".to_vec();
    for (index, request) in batch.tables.iter().enumerate() {
        let items = reader.table(dynamodb, context, request)?;
        if index > 0 {
            out.push(b',');
        }
        crate::wire::json::write_string(&mut out, &request.table);
        out.extend_from_slice(b":[");
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write_projected(&mut out, item, request.projection.as_ref());
        }
        out.push(b']');
    }
    if let (0, Some(error)) = (reader.read, reader.last_error) {
        return Err(error);
    }
    out.extend_from_slice(b"},\"UnprocessedKeys\":");
    let unprocessed: BTreeMap<&String, Value> = batch
        .tables
        .iter()
        .filter_map(|request| {
            let keys = reader.unprocessed.get(&request.table)?;
            let mut entry = request.expressions.clone();
            entry.insert("Keys".into(), Value::Array(keys.clone()));
            Some((&request.table, Value::Object(entry)))
        })
        .collect();
    out.extend_from_slice(json!(unprocessed).to_string().as_bytes());
    write_many(&mut out, &reader.consumed, batch.consumed, None);
    out.push(b'}');
    Ok(out)
}

struct BatchReader {
    bytes: usize,
    read: usize,
    consumed: BTreeMap<String, Consumed>,
    unprocessed: Unprocessed,
    last_error: Option<DynamodbError>,
}

impl BatchReader {
    fn table(
        &mut self,
        dynamodb: &mut DynamoDb,
        context: &mut Context<'_>,
        request: &super::request::BatchGetTable,
    ) -> Outcome<Vec<Arc<Item>>> {
        let DynamoDb { config, tables, .. } = dynamodb;
        let table = tables.get_mut(&request.table).ok_or_else(DynamodbError::table_not_found)?;
        let mut items = Vec::new();
        for attributes in &request.keys {
            let key = table.exact_key(attributes)?;
            let (mode, time) = if request.is_consistent {
                (ReadMode::Strong, context.now)
            } else {
                (ReadMode::Eventual, eventual_time(table, context, &key))
            };
            let found = table.items.get_at(&key, time).cloned();
            let size = found.as_deref().map_or(0, item_size_bytes);
            let units = read_units(size, mode);
            let is_full = self.bytes + size > MAX_ANSWER_BYTES;
            let outcome = if is_full || (context.partial_batch && self.read > 0) {
                Err(DynamodbError::InternalServerError)
            } else {
                take_read_capacity(table, context, &config.capacity, key.hash, units)
            };
            match outcome {
                Ok(()) => {
                    self.read += 1;
                    self.bytes += size;
                    self.consumed.entry(request.table.clone()).or_default().add(&Consumed::of_table(units));
                    items.extend(found);
                }
                Err(error) => {
                    self.unprocessed.entry(request.table.clone()).or_default().push(item_to_json(attributes));
                    self.last_error = Some(error);
                }
            }
        }
        Ok(items)
    }
}
