//! One table: items, index rows, locks, stream, time-to-live.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    access::ResourcePolicy,
    capacity::Capacity,
    context::{Context, Deferred},
    errors::DynamodbError,
    key::{IndexKey, ItemKey, KeySchema, KeyValue},
    schema::{IndexDefinition, IndexProjection, TableDefinition},
    store::Store,
    value::{AttributeValue, Item, TOO_DEEP, item_is_too_deep, item_size_bytes},
};
use crate::{
    interface::UnixNanos,
    journal::RawEntry,
    streams::{EventName, Stream, StreamConfig, StreamRecord},
};

pub const MAX_ITEM_BYTES: usize = 400 * 1024;
const MAX_PARTITION_KEY_BYTES: usize = 2048;
const MAX_SORT_KEY_BYTES: usize = 1024;

type Outcome<T> = Result<T, DynamodbError>;

#[derive(Clone, Debug)]
pub struct Index {
    pub definition: IndexDefinition,
    pub arn: String,
    pub rows: Store<IndexKey>,
    pub capacity: Capacity,
}

/// The attribute that holds an item's time to die.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeToLive {
    pub attribute: String,
    pub is_enabled: bool,
}

/// What a write did to an item.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: ItemKey,
    pub old: Option<Arc<Item>>,
    pub new: Option<Arc<Item>>,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub name: Arc<str>,
    pub definition: TableDefinition,
    pub arn: String,
    pub id: String,
    pub created_at: UnixNanos,
    pub items: Store<ItemKey>,
    pub indexes: Vec<Index>,
    /// Items that a running transaction holds, with that transaction's call sequence.
    pub locks: BTreeMap<ItemKey, u64>,
    pub capacity: Capacity,
    pub stream: Option<Stream>,
    pub former_streams: Vec<Stream>,
    pub time_to_live: Option<TimeToLive>,
    pub policy: Option<ResourcePolicy>,
    pub item_count: u64,
    pub size_bytes: u64,
}

impl Table {
    pub fn new(definition: TableDefinition, arn: String, id: String, now: UnixNanos, streams: &StreamConfig) -> Self {
        let stream = definition.stream.map(|view| Stream::new(&arn, &definition.name, view, now, streams.clone()));
        let indexes = definition.indexes.iter().map(|index| Index::new(index.clone(), &arn)).collect();
        Self {
            name: definition.name.as_str().into(),
            arn,
            id,
            created_at: now,
            items: Store::default(),
            indexes,
            locks: BTreeMap::new(),
            capacity: Capacity::default(),
            stream,
            former_streams: Vec::new(),
            time_to_live: None,
            policy: None,
            item_count: 0,
            size_bytes: 0,
            definition,
        }
    }

    pub fn keys(&self) -> &KeySchema {
        &self.definition.keys
    }

    pub fn logical(&self, key: &ItemKey) -> String {
        key.logical(&self.name)
    }

    pub fn index(&self, name: &str) -> Outcome<&Index> {
        self.indexes
            .iter()
            .find(|index| index.definition.name == name)
            .ok_or_else(|| DynamodbError::validation(format!("The table does not have the specified index: {name}")))
    }

    /// The key of a `Key` parameter, which must hold the key attributes and nothing else.
    pub fn exact_key(&self, key: &Item) -> Outcome<ItemKey> {
        if key.len() != self.keys().len() {
            return Err(mismatch());
        }
        for (name, kind) in self.keys().attributes() {
            let value = key.get(name).ok_or_else(mismatch)?;
            let value = KeyValue::of(value, *kind).ok_or_else(mismatch)?;
            self.check_key_value(name, &value)?;
        }
        self.keys().key_of(key).ok_or_else(mismatch)
    }

    /// The key of a whole item.
    pub fn key_of_item(&self, item: &Item) -> Outcome<ItemKey> {
        for (name, kind) in self.keys().attributes() {
            let Some(value) = item.get(name) else {
                return Err(DynamodbError::invalid_parameter(format!("Missing the key {name} in the item")));
            };
            let Some(key_value) = KeyValue::of(value, *kind) else {
                return Err(DynamodbError::invalid_parameter(format!(
                    "Type mismatch for key {name} expected: {} actual: {}",
                    kind.name(),
                    value.type_name()
                )));
            };
            self.check_key_value(name, &key_value)?;
        }
        self.keys().key_of(item).ok_or_else(mismatch)
    }

    fn check_key_value(&self, name: &str, value: &KeyValue) -> Outcome<()> {
        if value.is_empty() {
            let kind = if matches!(value, KeyValue::B(_)) { "binary" } else { "string" };
            return Err(DynamodbError::EmptyKeyValue { kind, name: name.to_owned() });
        }
        let is_partition = self.keys().partition.0 == name;
        if is_partition && value.size_bytes() > MAX_PARTITION_KEY_BYTES {
            return Err(DynamodbError::invalid_parameter(
                "Size of hashkey has exceeded the maximum size limit of2048 bytes",
            ));
        }
        if !is_partition && value.size_bytes() > MAX_SORT_KEY_BYTES {
            return Err(DynamodbError::invalid_parameter(
                "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
            ));
        }
        Ok(())
    }

    /// Refuses an item that is too large, too deep, or breaks an index's key types.
    pub fn check_item(&self, item: &Item, too_large: &str) -> Outcome<()> {
        if item_size_bytes(item) > MAX_ITEM_BYTES {
            return Err(DynamodbError::validation(too_large));
        }
        if item_is_too_deep(item) {
            return Err(DynamodbError::validation(TOO_DEEP));
        }
        for index in &self.indexes {
            for (name, kind) in index.definition.keys.attributes() {
                let Some(value) = item.get(name) else { continue };
                let Some(key_value) = KeyValue::of(value, *kind) else {
                    return Err(DynamodbError::invalid_parameter(format!(
                        "Type mismatch for Index Key {name} Expected: {} Actual: {} IndexName: {}",
                        kind.name(),
                        value.type_name(),
                        index.definition.name
                    )));
                };
                if key_value.is_empty() {
                    return Err(DynamodbError::validation(format!(
                        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: {}, IndexKey: {name}",
                        index.definition.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// Refuses a single write to an item that a transaction holds.
    pub fn check_unlocked(&self, key: &ItemKey) -> Outcome<()> {
        if !self.locks.is_empty() && self.locks.contains_key(key) {
            return Err(DynamodbError::TransactionConflict);
        }
        Ok(())
    }

    /// Puts an item, or removes it, with everything that follows: index rows, the stream record, the journal, its expiry.
    pub fn write(&mut self, context: &mut Context<'_>, key: &ItemKey, new: Option<Arc<Item>>, is_expiry: bool) {
        if let Some(change) = self.store(context, key, new) {
            self.append_record(context, &change, is_expiry, Duration::ZERO);
        }
    }

    /// The stream records of the changes that one transaction made here. They need not become readable at one moment.
    pub fn append_together(&mut self, context: &mut Context<'_>, changes: &[Change]) {
        let Some(first) = changes.first() else { return };
        let (order, apart) = match self.stream.is_some() && changes.len() > 1 {
            true => context.torn(&self.logical(&first.key), changes.len()),
            false => ((0..changes.len()).collect(), Duration::ZERO),
        };
        let mut behind = Duration::ZERO;
        for index in order {
            self.append_record(context, &changes[index], false, behind);
            behind += apart;
        }
    }

    /// All that follows a write but its stream record; `None` if nothing changed.
    pub fn store(&mut self, context: &mut Context<'_>, key: &ItemKey, new: Option<Arc<Item>>) -> Option<Change> {
        let old = self.items.get(key).cloned();
        if old.as_deref() == new.as_deref() {
            return None;
        }
        self.count(old.as_deref(), new.as_deref());
        self.write_indexes(context, key, old.as_deref(), new.as_ref());
        if context.journal.keeps() {
            context.journal.push(RawEntry::Write {
                call_sequence: context.call_sequence,
                at: context.now,
                table: self.name.clone(),
                key: self.logical(key),
                old_image: old.clone(),
                new_image: new.clone(),
            });
        }
        if let Some(item) = &new {
            self.schedule_expiry(context, key, item);
        }
        self.items.set(context.now, context.now, key.clone(), new.clone());
        Some(Change { key: key.clone(), old, new })
    }

    /// Storage changes behind the API: no stream record and no index row follows, as when bytes are damaged.
    pub fn tamper(&mut self, context: &mut Context<'_>, key: &ItemKey, new: Option<Arc<Item>>) {
        let old = self.items.get(key).cloned();
        self.count(old.as_deref(), new.as_deref());
        context.journal.push(RawEntry::Write {
            call_sequence: 0,
            at: context.now,
            table: self.name.clone(),
            key: self.logical(key),
            old_image: old,
            new_image: new.clone(),
        });
        self.items.set(context.now, context.now, key.clone(), new);
    }

    fn count(&mut self, old: Option<&Item>, new: Option<&Item>) {
        let (old_size, new_size) = (old.map_or(0, item_size_bytes) as u64, new.map_or(0, item_size_bytes) as u64);
        self.size_bytes = self.size_bytes + new_size - old_size.min(self.size_bytes + new_size);
        self.item_count = self.item_count + u64::from(new.is_some()) - u64::from(old.is_some());
    }

    fn write_indexes(&mut self, context: &mut Context<'_>, key: &ItemKey, old: Option<&Item>, new: Option<&Arc<Item>>) {
        if self.indexes.is_empty() {
            return;
        }
        let logical = self.logical(key);
        for index in &mut self.indexes {
            let lag = if index.definition.is_global {
                context.index_lag(&index.definition.name, &logical)
            } else {
                Duration::ZERO
            };
            index.apply(&self.definition.keys, context.now, context.now.plus(lag), key, old, new);
        }
    }

    /// `behind` is how long it becomes readable after what its shard's lag alone would make it.
    fn append_record(&mut self, context: &mut Context<'_>, change: &Change, is_expiry: bool, behind: Duration) {
        let Change { key, old, new } = change;
        if self.stream.is_none() {
            return;
        }
        let logical = self.logical(key);
        let event = match (old, new) {
            (None, _) => EventName::Insert,
            (_, None) => EventName::Remove,
            _ => EventName::Modify,
        };
        let keys = self.definition.keys.attributes_of(key);
        let size_bytes = item_size_bytes(&keys)
            + old.as_deref().map_or(0, item_size_bytes)
            + new.as_deref().map_or(0, item_size_bytes);
        let record = StreamRecord {
            sequence: 0,
            event,
            created_at: context.now,
            visible_at: context.now,
            keys,
            old_image: old.clone(),
            new_image: new.clone(),
            size_bytes,
            is_expiry,
        };
        let Some(stream) = &mut self.stream else { return };
        let Some((shard, sequence, visible_at)) =
            stream.append(key.hash, record, behind, |shard, window| context.stream_lag(shard, window))
        else {
            return;
        };
        if context.journal.keeps() {
            let entry = RawEntry::StreamRecord {
                at: visible_at,
                table: self.name.clone(),
                shard,
                sequence,
                event_name: event.name(),
                key: logical,
                new_image: new.clone(),
            };
            context.deferred.push((visible_at, Deferred::Journal(entry)));
        }
    }

    /// Whole seconds after the epoch at which the item may be deleted, if it has such a time.
    pub fn expiry_seconds(&self, item: &Item) -> Option<u64> {
        let time_to_live = self.time_to_live.as_ref().filter(|ttl| ttl.is_enabled)?;
        match item.get(&time_to_live.attribute)? {
            AttributeValue::N(number) => u64::try_from(number.as_i64()?).ok(),
            _ => None,
        }
    }

    pub fn schedule_expiry(&self, context: &mut Context<'_>, key: &ItemKey, item: &Item) {
        const FIVE_YEARS_SECONDS: u64 = 5 * 365 * 24 * 3600;
        let Some(seconds) = self.expiry_seconds(item) else { return };
        // Times of more than five years ago are taken for mistakes and never deleted.
        if seconds + FIVE_YEARS_SECONDS < context.now.0 / 1_000_000_000 {
            return;
        }
        let logical = self.logical(key);
        let fraction = context.entropy.next_fraction("ttl", &logical);
        let delay = Duration::from_secs(context.assumptions.ttl_delay_seconds).mul_f64(1.0 + fraction);
        let expires_at = UnixNanos(seconds.saturating_mul(1_000_000_000)).max(context.now);
        let deferred = Deferred::Expire { table: self.name.to_string(), key: key.clone() };
        context.deferred.push((expires_at.plus(delay), deferred));
    }

    /// Deletes an item whose time has come and that nobody prolonged meanwhile.
    pub fn expire(&mut self, context: &mut Context<'_>, key: &ItemKey) {
        let due = self
            .items
            .get(key)
            .and_then(|item| self.expiry_seconds(item))
            .is_some_and(|seconds| seconds <= context.now.0 / 1_000_000_000);
        if due && !self.locks.contains_key(key) {
            self.write(context, key, None, true);
        }
    }
}

fn mismatch() -> DynamodbError {
    DynamodbError::validation("The provided key element does not match the schema")
}

impl Index {
    pub fn new(definition: IndexDefinition, table_arn: &str) -> Self {
        Self {
            arn: format!("{table_arn}/index/{}", definition.name),
            definition,
            rows: Store::default(),
            capacity: Capacity::default(),
        }
    }

    /// The row's key, if the item has all of the index's key attributes.
    pub fn row_key(&self, base: &ItemKey, item: &Item) -> Option<IndexKey> {
        let key = self.definition.keys.key_of(item)?;
        Some(IndexKey { key, base: base.clone() })
    }

    /// Carries one write of the base table over, visible from `at` on.
    pub fn apply(
        &mut self,
        table_keys: &KeySchema,
        now: UnixNanos,
        at: UnixNanos,
        base: &ItemKey,
        old: Option<&Item>,
        new: Option<&Arc<Item>>,
    ) {
        let old_key = old.and_then(|item| self.row_key(base, item));
        let new_key = new.and_then(|item| self.row_key(base, item));
        if let Some(old_key) = old_key
            && Some(&old_key) != new_key.as_ref()
        {
            self.rows.set(now, at, old_key, None);
        }
        if let (Some(new_key), Some(item)) = (new_key, new) {
            let projected = self.project(table_keys, item);
            self.rows.set(now, at, new_key, Some(projected));
        }
    }

    /// What the index keeps of an item.
    fn project(&self, table_keys: &KeySchema, item: &Arc<Item>) -> Arc<Item> {
        let more = match &self.definition.projection {
            IndexProjection::All => return item.clone(),
            IndexProjection::KeysOnly => None,
            IndexProjection::Include(names) => Some(names),
        };
        let kept = item.iter().filter(|(name, _)| {
            table_keys.is_key(name)
                || self.definition.keys.is_key(name)
                || more.is_some_and(|names| names.contains(*name))
        });
        Arc::new(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}
