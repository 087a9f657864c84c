//! PutItem, UpdateItem, DeleteItem and GetItem, and what transactions share with them.

use std::sync::Arc;

use super::{
    DynamoDb, Outcome,
    capacity::{CapacityConfig, Direction, HalfUnits, Limits, ReadMode, read_units, write_units},
    consumed::{Consumed, comma, write_one},
    context::Context,
    errors::DynamodbError,
    expression::{ast::Update, condition::Evaluation, projection::Projection, update::apply_update},
    key::ItemKey,
    request::{GetItem, ReturnValues, SingleWrite, Write, WriteAction},
    table::Table,
    value::{Item, item_size_bytes, write_item},
};

/// A write that was found possible: what is there, and what shall be.
#[derive(Clone, Debug)]
pub struct Planned {
    pub key: ItemKey,
    pub old: Option<Arc<Item>>,
    pub new: Option<Arc<Item>>,
    /// Only the condition was asked for.
    pub is_check: bool,
}

impl Planned {
    /// The larger of what was and what will be decides what a write costs.
    pub fn size_bytes(&self) -> usize {
        let size = |item: &Option<Arc<Item>>| item.as_deref().map_or(0, item_size_bytes);
        size(&self.old).max(size(&self.new))
    }
}

/// The key that a write is about, found valid.
pub fn target(table: &Table, write: &Write) -> Outcome<ItemKey> {
    match &write.action {
        WriteAction::Put(item) => {
            let key = table.key_of_item(item)?;
            table.check_item(item, "Item size has exceeded the maximum allowed size")?;
            Ok(key)
        }
        WriteAction::Update { key, update } => {
            let item_key = table.exact_key(key)?;
            check_no_key_update(table, update, write)?;
            Ok(item_key)
        }
        WriteAction::Delete { key } | WriteAction::Check { key } => table.exact_key(key),
    }
}

fn check_no_key_update(table: &Table, update: &Update, write: &Write) -> Outcome<()> {
    for path in update.paths() {
        let name = write.guard.bindings.root(path);
        if table.keys().is_key(name) {
            return Err(DynamodbError::invalid_parameter(format!(
                "Cannot update attribute {name}. This attribute is part of the key"
            )));
        }
    }
    Ok(())
}

/// Checks the condition and works out the new item.
pub fn plan(table: &Table, context: &Context<'_>, write: &Write, key: &ItemKey) -> Outcome<Planned> {
    let old = table.items.get(key).cloned();
    if let Some(condition) = &write.guard.condition {
        let evaluation = Evaluation {
            bindings: &write.guard.bindings,
            missing_is_not_equal: context.assumptions.missing_attribute_is_not_equal,
        };
        let empty = Item::new();
        if !evaluation.holds(condition, old.as_deref().unwrap_or(&empty)) {
            let item = if write.guard.return_item_on_failure { old } else { None };
            return Err(DynamodbError::ConditionalCheckFailed { item });
        }
    }
    let (new, is_check) = match &write.action {
        WriteAction::Put(item) => (Some(item.clone()), false),
        WriteAction::Delete { .. } => (None, false),
        WriteAction::Check { .. } => (old.clone(), true),
        WriteAction::Update { update, .. } => {
            let before = match &old {
                Some(item) => item.clone(),
                None => Arc::new(table.keys().attributes_of(key)),
            };
            let after = apply_update(update, &write.guard.bindings, &before)?;
            table.check_item(&after, "Item size to update has exceeded the maximum allowed size")?;
            (Some(Arc::new(after)), false)
        }
    };
    Ok(Planned { key: key.clone(), old, new, is_check })
}

/// What a write costs in the table and in each index that it changes.
pub fn write_cost(table: &Table, planned: &Planned, transactional: bool) -> Consumed {
    let mut consumed = Consumed::of_table(write_units(planned.size_bytes(), transactional));
    if planned.is_check || table.indexes.is_empty() {
        return consumed;
    }
    for index in &table.indexes {
        let row = |item: &Option<Arc<Item>>| item.as_ref().and_then(|item| index.row_key(&planned.key, item));
        let (old_row, new_row) = (row(&planned.old), row(&planned.new));
        let writes = match (&old_row, &new_row) {
            (None, None) => 0,
            (Some(one), Some(other)) if one != other => 2,
            _ => u64::from(planned.old != planned.new),
        };
        if writes > 0 {
            let units = HalfUnits(write_units(planned.size_bytes(), transactional).0 * writes);
            let place =
                if index.definition.is_global { &mut consumed.global_indexes } else { &mut consumed.local_indexes };
            place.insert(index.definition.name.clone(), units);
        }
    }
    consumed
}

/// Takes write capacity from the table and from the global indexes that the write reaches.
pub fn take_write_capacity(
    table: &mut Table,
    context: &Context<'_>,
    config: &CapacityConfig,
    planned: &Planned,
    consumed: &Consumed,
) -> Outcome<()> {
    if !config.enforce {
        return Ok(());
    }
    let (hash, burst) = (planned.key.hash, context.assumptions.burst_seconds);
    for index in &mut table.indexes {
        let Some(units) = consumed.global_indexes.get(&index.definition.name) else { continue };
        let throughput = index.definition.throughput.or(table.definition.throughput);
        let limits =
            Limits { config, throughput, burst_seconds: u64::from(burst), resource: &index.arn, is_index: true };
        let row = planned.new.as_ref().or(planned.old.as_ref()).and_then(|item| index.row_key(&planned.key, item));
        let hash = row.map_or(hash, |row| row.key.hash);
        index.capacity.take(context.now, Direction::Write, hash, *units, limits)?;
    }
    let limits = Limits {
        config,
        throughput: table.definition.throughput,
        burst_seconds: u64::from(burst),
        resource: &table.arn,
        is_index: false,
    };
    table.capacity.take(context.now, Direction::Write, hash, consumed.table, limits)
}

/// Takes read capacity for one partition of the table.
pub fn take_read_capacity(
    table: &mut Table,
    context: &Context<'_>,
    config: &CapacityConfig,
    hash: u64,
    units: HalfUnits,
) -> Outcome<()> {
    let limits = Limits {
        config,
        throughput: table.definition.throughput,
        burst_seconds: u64::from(context.assumptions.burst_seconds),
        resource: &table.arn,
        is_index: false,
    };
    table.capacity.take(context.now, Direction::Read, hash, units, limits)
}

pub fn write(dynamodb: &mut DynamoDb, context: &mut Context<'_>, single: SingleWrite) -> Outcome<Vec<u8>> {
    let DynamoDb { config, tables, .. } = dynamodb;
    let table = tables.get_mut(&single.write.table).ok_or_else(DynamodbError::table_not_found)?;
    let key = target(table, &single.write)?;
    table.check_unlocked(&key)?;
    let planned = match plan(table, context, &single.write, &key) {
        Ok(planned) => planned,
        Err(error) => {
            // A write whose condition fails is paid for all the same.
            let refused = Planned { old: table.items.get(&key).cloned(), new: None, key, is_check: true };
            let cost = write_cost(table, &refused, false);
            take_write_capacity(table, context, &config.capacity, &refused, &cost)?;
            return Err(error);
        }
    };
    let consumed = write_cost(table, &planned, false);
    take_write_capacity(table, context, &config.capacity, &planned, &consumed)?;
    table.write(context, &planned.key, planned.new.clone(), false);
    Ok(answer(table, &single, &planned, &consumed))
}

fn answer(table: &Table, single: &SingleWrite, planned: &Planned, consumed: &Consumed) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.push(b'{');
    if let Some(attributes) = returned_attributes(single, planned) {
        out.extend_from_slice(b"\"Attributes\":");
        write_item(&mut out, &attributes);
    }
    write_one(&mut out, &single.write.table, consumed, single.consumed);
    let has_local_index = table.indexes.iter().any(|index| !index.definition.is_global);
    if single.wants_collection_metrics && has_local_index {
        comma(&mut out);
        out.extend_from_slice(b"\"ItemCollectionMetrics\":{\"ItemCollectionKey\":");
        let (name, _) = &table.keys().partition;
        let collection = Item::from([(name.clone(), planned.key.partition.to_attribute())]);
        write_item(&mut out, &collection);
        out.extend_from_slice(b",\"SizeEstimateRangeGB\":[0.0,1.0]}");
    }
    out.push(b'}');
    out
}

fn returned_attributes(single: &SingleWrite, planned: &Planned) -> Option<Arc<Item>> {
    let touched = |item: &Option<Arc<Item>>| {
        let WriteAction::Update { update, .. } = &single.write.action else { return None };
        let projection = Projection::new(update.paths(), &single.write.guard.bindings);
        let part = projection.apply(item.as_deref()?);
        (!part.is_empty()).then(|| Arc::new(part))
    };
    match single.return_values {
        ReturnValues::None => None,
        ReturnValues::AllOld => planned.old.clone(),
        ReturnValues::AllNew => planned.new.clone(),
        ReturnValues::UpdatedOld => touched(&planned.old),
        ReturnValues::UpdatedNew => touched(&planned.new),
    }
}

pub fn get(dynamodb: &mut DynamoDb, context: &mut Context<'_>, get: &GetItem) -> Outcome<Vec<u8>> {
    let DynamoDb { config, tables, .. } = dynamodb;
    let table = tables.get_mut(&get.table).ok_or_else(DynamodbError::table_not_found)?;
    let key = table.exact_key(&get.key)?;
    let (mode, time) = if get.is_consistent {
        (ReadMode::Strong, context.now)
    } else {
        (ReadMode::Eventual, eventual_time(table, context, &key))
    };
    let found = table.items.get_at(&key, time).cloned();
    let units = read_units(found.as_deref().map_or(0, item_size_bytes), mode);
    take_read_capacity(table, context, &config.capacity, key.hash, units)?;
    let mut out = Vec::with_capacity(128);
    out.push(b'{');
    if let Some(item) = found {
        out.extend_from_slice(b"\"Item\":");
        write_projected(&mut out, &item, get.projection.as_ref());
    }
    write_one(&mut out, &get.table, &Consumed::of_table(units), get.consumed);
    out.push(b'}');
    Ok(out)
}

/// The moment that an eventual read of one item sees.
pub fn eventual_time(table: &Table, context: &mut Context<'_>, key: &ItemKey) -> crate::interface::UnixNanos {
    if context.staleness.is_none() && context.assumptions.stale_read_share <= 0.0 {
        return context.now;
    }
    let logical = table.logical(key);
    context.eventual_read_time(&logical)
}

pub fn write_projected(out: &mut Vec<u8>, item: &Item, projection: Option<&Projection>) {
    match projection {
        Some(projection) => write_item(out, &projection.apply(item)),
        None => write_item(out, item),
    }
}
