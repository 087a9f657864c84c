//! Query and Scan over tables and indexes: pages, filters, projections.

use std::{ops::Bound, sync::Arc};

use super::{
    DynamoDb, Outcome,
    capacity::{Direction, HalfUnits, Limits, ReadMode, read_units},
    consumed::{Consumed, comma, write_one},
    context::Context,
    errors::DynamodbError,
    expression::{
        condition::Evaluation,
        key_condition::{KeyCondition, SortBound, key_condition},
    },
    item::write_projected,
    key::{IndexKey, ItemKey, KeySchema, KeyValue, RowKey},
    request::{ReadMany, Scope, Select},
    schema::IndexProjection,
    store::Store,
    table::{Index, Table},
    value::{Item, item_size_bytes, write_item},
};
use crate::interface::UnixNanos;

const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// The items that a read walks through, within a partition or a share of all hashes.
struct Walk {
    low: Bound<ItemKey>,
    high: Bound<ItemKey>,
    is_forward: bool,
    condition: Option<KeyCondition>,
    sort_name: Option<String>,
}

/// One page before it is written down.
struct Page {
    items: Vec<Arc<Item>>,
    scanned: usize,
    scanned_bytes: usize,
    last: Option<Item>,
}

pub fn read(dynamodb: &mut DynamoDb, context: &mut Context<'_>, read: &ReadMany) -> Outcome<Vec<u8>> {
    let DynamoDb { config, tables, .. } = dynamodb;
    let table = tables.get_mut(&read.table).ok_or_else(DynamodbError::table_not_found)?;
    let index = read.index.as_deref().map(|name| table.index(name)).transpose()?;
    check_consistency(read, index)?;
    check_select(read, index)?;
    let keys = index.map_or(table.keys(), |index| &index.definition.keys).clone();
    check_filter(read, &keys)?;
    let walk = walk(read, &keys)?;
    let start = read.start.as_ref().map(|start| start_key(table, index, start, &walk)).transpose()?;
    let time = read_time(read, table, context);
    let page = match index {
        None => collect(&table.items, &walk, start.map(|(base, _)| base), read, context, time, |key, _| {
            table.keys().attributes_of(key)
        }),
        Some(index) => {
            let start = start.and_then(|(base, row)| Some(IndexKey { key: row?, base }));
            collect(&index.rows, &walk, start, read, context, time, |key: &IndexKey, _| {
                let mut attributes = table.keys().attributes_of(&key.base);
                attributes.extend(index.definition.keys.attributes_of(&key.key));
                attributes
            })
        }
    };
    let mode = if read.is_consistent { ReadMode::Strong } else { ReadMode::Eventual };
    let mut units = read_units(page.scanned_bytes, mode);
    let fetched = fetch_from_table(read, table, &page, time, mode, &mut units);
    let consumed = consumed(read, table, units);
    take_capacity(table, read, context, &config.capacity, &walk, units)?;
    Ok(answer(read, &page, fetched.as_deref().unwrap_or(&page.items), &consumed))
}

/// A strong read sees everything; so does a local index. A global index keeps its own lag in its rows.
fn read_time(read: &ReadMany, table: &Table, context: &mut Context<'_>) -> UnixNanos {
    if read.is_consistent {
        return context.now;
    }
    if context.staleness.is_none() && context.assumptions.stale_read_share <= 0.0 {
        return context.now;
    }
    let place = read.index.as_deref().unwrap_or("table");
    let address = format!("{}/{place}", table.name);
    context.eventual_read_time(&address)
}

fn check_consistency(read: &ReadMany, index: Option<&Index>) -> Outcome<()> {
    if read.is_consistent && index.is_some_and(|index| index.definition.is_global) {
        return Err(DynamodbError::validation("Consistent reads are not supported on global secondary indexes"));
    }
    Ok(())
}

fn check_select(read: &ReadMany, index: Option<&Index>) -> Outcome<()> {
    match (read.select, index) {
        (Some(Select::AllProjectedAttributes), None) => {
            Err(DynamodbError::validation("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"))
        }
        (Some(Select::AllAttributes), Some(index))
            if index.definition.is_global && index.definition.projection != IndexProjection::All =>
        {
            Err(DynamodbError::invalid_parameter(format!(
                "Select type ALL_ATTRIBUTES is not supported for global secondary index {} because its projection type is not ALL",
                index.definition.name
            )))
        }
        _ => Ok(()),
    }
}

fn check_filter(read: &ReadMany, keys: &KeySchema) -> Outcome<()> {
    let (Some(filter), Scope::Query { .. }) = (&read.filter, &read.scope) else { return Ok(()) };
    let mut roots = Vec::new();
    super::expression::ast::roots(filter, &mut roots);
    for path in roots {
        let name = read.bindings.root(path);
        if keys.is_key(name) {
            return Err(DynamodbError::validation(format!(
                "Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            )));
        }
    }
    Ok(())
}

/// The whole partition of a query, or the hashes of a scan's segment.
fn walk(read: &ReadMany, keys: &KeySchema) -> Outcome<Walk> {
    let sort_name = keys.sort.as_ref().map(|(name, _)| name.clone());
    match &read.scope {
        Scope::Query { key_condition: condition, is_forward } => {
            let condition = key_condition(condition, &read.bindings, &keys.partition.0, sort_name.as_deref())?;
            let partition = condition_key(&condition, keys)?;
            let (low, high) = sort_range(&condition, keys, partition)?;
            Ok(Walk { low, high, is_forward: *is_forward, condition: Some(condition), sort_name })
        }
        Scope::Scan { segment, total } => {
            let width = u64::MAX / *total as u64;
            let first = |segment: usize| least_in_hash(segment as u64 * width);
            let high = if segment + 1 == *total { Bound::Unbounded } else { Bound::Excluded(first(segment + 1)) };
            Ok(Walk { low: Bound::Included(first(*segment)), high, is_forward: true, condition: None, sort_name: None })
        }
    }
}

fn least_in_hash(hash: u64) -> ItemKey {
    ItemKey { hash, partition: KeyValue::S(String::new()), sort: None }
}

fn condition_key(condition: &KeyCondition, keys: &KeySchema) -> Outcome<KeyValue> {
    let wrong = || DynamodbError::invalid_parameter("Condition parameter type does not match schema type");
    if let Some((_, kind)) = &keys.sort {
        for operand in condition.sort.operands() {
            KeyValue::of(operand, *kind).ok_or_else(wrong)?;
        }
    }
    let partition = KeyValue::of(&condition.partition, keys.partition.1).ok_or_else(wrong)?;
    if partition.is_empty() {
        return Err(DynamodbError::validation(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: {}",
            keys.partition.0
        )));
    }
    Ok(partition)
}

/// Where in storage the partition's wanted sort keys can lie; the condition still decides about each.
fn sort_range(
    condition: &KeyCondition,
    keys: &KeySchema,
    partition: KeyValue,
) -> Outcome<(Bound<ItemKey>, Bound<ItemKey>)> {
    use super::expression::ast::Comparator::{Equal, Greater, GreaterOrEqual};
    let lowest = match (&condition.sort, &keys.sort) {
        (
            SortBound::Compare(Equal | Greater | GreaterOrEqual, value) | SortBound::Between(value, _),
            Some((_, kind)),
        )
        | (SortBound::BeginsWith(value), Some((_, kind))) => KeyValue::of(value, *kind),
        _ => None,
    };
    let low = ItemKey::new(partition.clone(), lowest);
    // Hashes collide only in theory: walking stops at the first key of another partition.
    let high = match low.hash.checked_add(1) {
        Some(next) => Bound::Excluded(least_in_hash(next)),
        None => Bound::Unbounded,
    };
    Ok((Bound::Included(low), high))
}

/// The base key, and for an index the row's own key, behind an ExclusiveStartKey.
fn start_key(table: &Table, index: Option<&Index>, start: &Item, walk: &Walk) -> Outcome<(ItemKey, Option<ItemKey>)> {
    let invalid = || DynamodbError::validation("The provided starting key is invalid");
    let base_part = table.keys().project(start);
    let base = table.keys().key_of(&base_part).ok_or_else(invalid)?;
    let row = match index {
        None => None,
        Some(index) => Some(index.definition.keys.key_of(start).ok_or_else(invalid)?),
    };
    let mut wanted = base_part;
    if let Some(index) = index {
        wanted.extend(index.definition.keys.project(start));
    }
    if wanted.len() != start.len() {
        return Err(invalid());
    }
    let walked = row.as_ref().unwrap_or(&base);
    if let Some(condition) = &walk.condition {
        let outside = || {
            DynamodbError::validation(
                "The provided starting key is outside query boundaries based on provided conditions",
            )
        };
        if walked.partition.to_attribute() != condition.partition {
            return Err(outside());
        }
        if walked.sort.as_ref().is_some_and(|sort| !condition.sort.admits(&sort.to_attribute())) {
            return Err(DynamodbError::validation("The provided starting key does not match the range key predicate"));
        }
    }
    Ok((base, row))
}

fn collect<K: RowKey>(
    store: &Store<K>,
    walk: &Walk,
    start: Option<K>,
    read: &ReadMany,
    context: &Context<'_>,
    time: UnixNanos,
    key_attributes: impl Fn(&K, &Item) -> Item,
) -> Page {
    let bound = |bound: &Bound<ItemKey>| match bound {
        Bound::Included(key) => Bound::Included(K::first_of(key.clone())),
        Bound::Excluded(key) => Bound::Excluded(K::first_of(key.clone())),
        Bound::Unbounded => Bound::Unbounded,
    };
    let (mut low, mut high) = (bound(&walk.low), bound(&walk.high));
    if let Some(start) = start {
        let start = Bound::Excluded(start);
        if walk.is_forward {
            low = start;
        } else {
            high = start;
        }
        if is_empty_range(&low, &high) {
            return Page { items: Vec::new(), scanned: 0, scanned_bytes: 0, last: None };
        }
    }
    let rows = store.range_at((low, high), time);
    let collector = Collector { walk, read, context, key_attributes };
    if walk.is_forward { collector.page(rows) } else { collector.page(rows.rev()) }
}

/// A range that BTreeMap would panic on, or that holds nothing.
fn is_empty_range<K: Ord>(low: &Bound<K>, high: &Bound<K>) -> bool {
    match (low, high) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
    }
}

struct Collector<'a, F> {
    walk: &'a Walk,
    read: &'a ReadMany,
    context: &'a Context<'a>,
    key_attributes: F,
}

impl<F> Collector<'_, F> {
    fn page<'r, K: RowKey + 'r>(&self, rows: impl Iterator<Item = (&'r K, &'r Arc<Item>)>) -> Page
    where
        F: Fn(&K, &Item) -> Item,
    {
        let mut page = Page { items: Vec::new(), scanned: 0, scanned_bytes: 0, last: None };
        let evaluation = Evaluation {
            bindings: &self.read.bindings,
            missing_is_not_equal: self.context.assumptions.missing_attribute_is_not_equal,
        };
        for (key, item) in rows {
            match self.admits(key.key()) {
                Admission::Yes => {}
                Admission::Skip => continue,
                Admission::End => break,
            }
            page.scanned += 1;
            page.scanned_bytes += item_size_bytes(item);
            if self.read.filter.as_ref().is_none_or(|filter| evaluation.holds(filter, item)) {
                page.items.push(item.clone());
            }
            // A full page names its last item even when nothing follows.
            let is_full =
                self.read.limit.is_some_and(|limit| page.scanned >= limit) || page.scanned_bytes >= MAX_PAGE_BYTES;
            if is_full {
                page.last = Some((self.key_attributes)(key, item));
                break;
            }
        }
        page
    }

    fn admits(&self, key: &ItemKey) -> Admission {
        let Some(condition) = &self.walk.condition else { return Admission::Yes };
        if key.partition.to_attribute() != condition.partition {
            return Admission::Skip;
        }
        let Some(sort) = key.sort.as_ref().filter(|_| self.walk.sort_name.is_some()) else { return Admission::Yes };
        if condition.sort.admits(&sort.to_attribute()) {
            return Admission::Yes;
        }
        // Sort keys ascend: past the bound, a forward walk has seen everything.
        let is_past =
            match &condition.sort {
                SortBound::Between(_, high) => super::expression::condition::order(&sort.to_attribute(), high)
                    .is_some_and(std::cmp::Ordering::is_gt),
                SortBound::Compare(comparator, bound) => {
                    use super::expression::ast::Comparator::{Equal, Less, LessOrEqual};
                    matches!(comparator, Equal | Less | LessOrEqual)
                        && super::expression::condition::order(&sort.to_attribute(), bound)
                            .is_some_and(std::cmp::Ordering::is_ge)
                }
                SortBound::BeginsWith(prefix) => super::expression::condition::order(&sort.to_attribute(), prefix)
                    .is_some_and(std::cmp::Ordering::is_gt),
                SortBound::Any => false,
            };
        if is_past && self.walk.is_forward { Admission::End } else { Admission::Skip }
    }
}

enum Admission {
    Yes,
    Skip,
    End,
}

/// A local index that does not hold what was asked for reads it from the table, and that costs.
fn fetch_from_table(
    read: &ReadMany,
    table: &Table,
    page: &Page,
    time: UnixNanos,
    mode: ReadMode,
    units: &mut HalfUnits,
) -> Option<Vec<Arc<Item>>> {
    let index = table.index(read.index.as_deref()?).ok()?;
    let wants_all = read.select == Some(Select::AllAttributes) || read.projection.is_some();
    if index.definition.is_global || index.definition.projection == IndexProjection::All || !wants_all {
        return None;
    }
    let fetch = |row: &Arc<Item>| {
        let key = table.keys().key_of(row)?;
        table.items.get_at(&key, time).cloned()
    };
    let items: Vec<Arc<Item>> = page.items.iter().filter_map(fetch).collect();
    for item in &items {
        *units += read_units(item_size_bytes(item), mode);
    }
    Some(items)
}

fn consumed(read: &ReadMany, table: &Table, units: HalfUnits) -> Consumed {
    let mut consumed = Consumed::default();
    let index = read.index.as_deref().and_then(|name| table.index(name).ok());
    match index {
        None => consumed.table = units,
        Some(index) if index.definition.is_global => {
            consumed.global_indexes.insert(index.definition.name.clone(), units);
        }
        Some(index) => {
            consumed.local_indexes.insert(index.definition.name.clone(), units);
        }
    }
    consumed
}

fn take_capacity(
    table: &mut Table,
    read: &ReadMany,
    context: &Context<'_>,
    config: &super::capacity::CapacityConfig,
    walk: &Walk,
    units: HalfUnits,
) -> Outcome<()> {
    // A scan passes through many partitions and is bounded by the table's limit; its share of one is not modelled.
    let hash = match &walk.low {
        Bound::Included(key) => key.hash,
        _ => 0,
    };
    let throughput = table.definition.throughput;
    let burst_seconds = u64::from(context.assumptions.burst_seconds);
    let index = read.index.as_deref().and_then(|name| {
        table.indexes.iter_mut().find(|index| index.definition.name == name && index.definition.is_global)
    });
    match index {
        Some(index) => {
            let throughput = index.definition.throughput.or(throughput);
            let limits = Limits { config, throughput, burst_seconds, resource: &index.arn, is_index: true };
            index.capacity.take(context.now, Direction::Read, hash, units, limits)
        }
        None => super::item::take_read_capacity(table, context, config, hash, units),
    }
}

fn answer(read: &ReadMany, page: &Page, items: &[Arc<Item>], consumed: &Consumed) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(b'{');
    if read.select != Some(Select::Count) {
        out.extend_from_slice(b"\"Items\":[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_projected(&mut out, item, read.projection.as_ref());
        }
        out.push(b']');
    }
    comma(&mut out);
    out.extend_from_slice(format!("\"Count\":{},\"ScannedCount\":{}", page.items.len(), page.scanned).as_bytes());
    if let Some(last) = &page.last {
        out.extend_from_slice(b",\"LastEvaluatedKey\":");
        write_item(&mut out, last);
    }
    write_one(&mut out, &read.table, consumed, read.consumed);
    out.push(b'}');
    out
}

/// `table/partition` that a query reads, for addressing.
pub fn logical_partition(dynamodb: &DynamoDb, read: &ReadMany) -> Option<String> {
    let table = dynamodb.table(&read.table).ok()?;
    let Scope::Query { key_condition: condition, .. } = &read.scope else { return None };
    let keys = match read.index.as_deref() {
        Some(name) => &table.index(name).ok()?.definition.keys,
        None => table.keys(),
    };
    let sort_name = keys.sort.as_ref().map(|(name, _)| name.as_str());
    let condition = key_condition(condition, &read.bindings, &keys.partition.0, sort_name).ok()?;
    let partition = KeyValue::of(&condition.partition, keys.partition.1)?;
    Some(format!("{}/{partition}", read.table))
}
