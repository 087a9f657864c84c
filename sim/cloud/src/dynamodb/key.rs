//! Keys of items and of index rows, ordered as storage orders them.

use std::{cmp::Ordering, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    number::Number,
    value::{AttributeValue, Item},
};
use crate::entropy::hash_bytes;

/// The types that a key attribute may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    S,
    N,
    B,
}

impl KeyType {
    pub fn name(self) -> &'static str {
        match self {
            KeyType::S => "S",
            KeyType::N => "N",
            KeyType::B => "B",
        }
    }
}

/// The value of a key attribute. All values of one attribute have the same type, so the derived order is the service's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyValue {
    S(String),
    N(Number),
    B(Vec<u8>),
}

impl KeyValue {
    /// The key value inside an attribute, if it has the wanted type.
    pub fn of(value: &AttributeValue, wanted: KeyType) -> Option<Self> {
        match (value, wanted) {
            (AttributeValue::S(text), KeyType::S) => Some(KeyValue::S(text.clone())),
            (AttributeValue::N(number), KeyType::N) => Some(KeyValue::N(*number)),
            (AttributeValue::B(bytes), KeyType::B) => Some(KeyValue::B(bytes.clone())),
            _ => None,
        }
    }

    pub fn to_attribute(&self) -> AttributeValue {
        match self {
            KeyValue::S(text) => AttributeValue::S(text.clone()),
            KeyValue::N(number) => AttributeValue::N(*number),
            KeyValue::B(bytes) => AttributeValue::B(bytes.clone()),
        }
    }

    pub fn size_bytes(&self) -> usize {
        match self {
            KeyValue::S(text) => text.len(),
            KeyValue::N(number) => number.size_bytes(),
            KeyValue::B(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            KeyValue::S(text) => text.is_empty(),
            KeyValue::N(_) => false,
            KeyValue::B(bytes) => bytes.is_empty(),
        }
    }

    /// Where a partition with this key lies on the ring of hashes.
    pub fn partition_hash(&self) -> u64 {
        match self {
            KeyValue::S(text) => hash_bytes(text.as_bytes()),
            KeyValue::N(number) => hash_bytes(number.to_string().as_bytes()),
            KeyValue::B(bytes) => hash_bytes(bytes),
        }
    }
}

/// As fault addresses and journals write it: text as it is, numbers in decimal, binaries in base 64.
impl fmt::Display for KeyValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyValue::S(text) => formatter.write_str(text),
            KeyValue::N(number) => number.fmt(formatter),
            KeyValue::B(bytes) => formatter.write_str(&STANDARD.encode(bytes)),
        }
    }
}

/// The primary key of an item. Partitions lie in hash order, items of one partition in the order of their sort keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemKey {
    pub hash: u64,
    pub partition: KeyValue,
    pub sort: Option<KeyValue>,
}

/// The partition itself comes last: equal hashes are as good as always of one partition, and comparing its text at
/// every step of a search would cost more than all the rest. Items of two partitions that do collide lie mixed, which
/// readers of a partition must skip.
impl Ord for ItemKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_hash = self.hash.cmp(&other.hash);
        by_hash.then_with(|| self.sort.cmp(&other.sort)).then_with(|| self.partition.cmp(&other.partition))
    }
}

impl PartialOrd for ItemKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ItemKey {
    pub fn new(partition: KeyValue, sort: Option<KeyValue>) -> Self {
        Self { hash: partition.partition_hash(), partition, sort }
    }

    /// `table/partition[/sort]`
    pub fn logical(&self, table: &str) -> String {
        match &self.sort {
            Some(sort) => format!("{table}/{}/{sort}", self.partition),
            None => format!("{table}/{}", self.partition),
        }
    }
}

/// The key of an index row: the index's own attributes, then the base item's key, since index keys need not be unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexKey {
    pub key: ItemKey,
    pub base: ItemKey,
}

/// What tables and indexes have in common as places to read from.
pub trait RowKey: Ord + Clone {
    fn key(&self) -> &ItemKey;
    /// The first possible key of a partition, for ranges.
    fn first_of(key: ItemKey) -> Self;
}

impl RowKey for ItemKey {
    fn key(&self) -> &ItemKey {
        self
    }
    fn first_of(key: ItemKey) -> Self {
        key
    }
}

/// Less than every base key: an index row's base part is only compared after its own key.
fn least_key() -> ItemKey {
    ItemKey { hash: 0, partition: KeyValue::S(String::new()), sort: None }
}

impl RowKey for IndexKey {
    fn key(&self) -> &ItemKey {
        &self.key
    }
    fn first_of(key: ItemKey) -> Self {
        Self { key, base: least_key() }
    }
}

/// Names and types of a table's or an index's key attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySchema {
    pub partition: (String, KeyType),
    pub sort: Option<(String, KeyType)>,
}

impl KeySchema {
    pub fn attributes(&self) -> impl Iterator<Item = &(String, KeyType)> {
        std::iter::once(&self.partition).chain(&self.sort)
    }

    pub fn is_key(&self, attribute: &str) -> bool {
        self.attributes().any(|(name, _)| name == attribute)
    }

    pub fn len(&self) -> usize {
        1 + usize::from(self.sort.is_some())
    }

    /// The key of an item that has all key attributes with their types.
    pub fn key_of(&self, item: &Item) -> Option<ItemKey> {
        let value = |(name, kind): &(String, KeyType)| KeyValue::of(item.get(name)?, *kind);
        let partition = value(&self.partition)?;
        match &self.sort {
            Some(sort) => Some(ItemKey::new(partition, Some(value(sort)?))),
            None => Some(ItemKey::new(partition, None)),
        }
    }

    /// The key as attributes.
    pub fn attributes_of(&self, key: &ItemKey) -> Item {
        let mut item = Item::from([(self.partition.0.clone(), key.partition.to_attribute())]);
        if let (Some((name, _)), Some(value)) = (&self.sort, &key.sort) {
            item.insert(name.clone(), value.to_attribute());
        }
        item
    }

    /// Only the key attributes of an item.
    pub fn project(&self, item: &Item) -> Item {
        self.attributes().filter_map(|(name, _)| Some((name.clone(), item.get(name)?.clone()))).collect()
    }
}

/// Compares keys as an operator reading a report would: by partition, then sort key.
pub fn by_value(one: &ItemKey, other: &ItemKey) -> Ordering {
    (&one.partition, &one.sort).cmp(&(&other.partition, &other.sort))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys_order_a_partition_even_where_hashes_collide() {
        let key = |partition: &str, sort: i64| ItemKey {
            hash: 7,
            partition: KeyValue::S(partition.into()),
            sort: Some(KeyValue::N(sort.into())),
        };
        let mut keys = [key("b", 1), key("a", 10), key("a", 9), key("b", 2), key("a", -1)];
        keys.sort();
        let of = |partition: &str| -> Vec<String> {
            let mine = keys.iter().filter(|key| key.partition == KeyValue::S(partition.into()));
            mine.map(|key| key.logical("t")).collect()
        };
        assert_eq!(of("a"), ["t/a/-1", "t/a/9", "t/a/10"]);
        assert_eq!(of("b"), ["t/b/1", "t/b/2"]);
    }
}
