//! Rows with their recent past, so that reads can see an older state.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use super::{key::RowKey, value::Item};
use crate::interface::UnixNanos;

/// How far back reads can be stale.
pub const HISTORY: Duration = Duration::from_secs(60);

/// One row through time: the newest state, and what came before while anybody may still read it.
#[derive(Clone, Debug)]
struct Row {
    since: UnixNanos,
    newest: Option<Arc<Item>>,
    /// Oldest first; each state held from its time until the next one's.
    older: Vec<(UnixNanos, Option<Arc<Item>>)>,
}

impl Row {
    fn at(&self, time: UnixNanos) -> Option<&Arc<Item>> {
        if self.since <= time {
            return self.newest.as_ref();
        }
        self.older.iter().rev().find(|(since, _)| *since <= time).and_then(|(_, item)| item.as_ref())
    }

    fn replace(&mut self, at: UnixNanos, item: Option<Arc<Item>>, horizon: UnixNanos) {
        // A state keeps its place in time even when a later write was given a shorter lag.
        let at = at.max(self.since);
        let previous = std::mem::replace(&mut self.newest, item);
        self.older.push((self.since, previous));
        self.since = at;
        let forgotten = self.older.iter().skip(1).take_while(|(since, _)| *since <= horizon).count();
        self.older.drain(..forgotten);
        if self.since <= horizon {
            self.older.clear();
        }
    }
}

/// Rows by key. Deleted rows stay until their past is out of reach.
#[derive(Clone, Debug)]
pub struct Store<K> {
    rows: BTreeMap<K, Row>,
    deleted: VecDeque<(UnixNanos, K)>,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), deleted: VecDeque::new() }
    }
}

impl<K: RowKey> Store<K> {
    /// The newest state of a row.
    pub fn get(&self, key: &K) -> Option<&Arc<Item>> {
        self.rows.get(key)?.newest.as_ref()
    }

    /// The state that held at `time`, which must not lie further back than [`HISTORY`].
    pub fn get_at(&self, key: &K, time: UnixNanos) -> Option<&Arc<Item>> {
        self.rows.get(key)?.at(time)
    }

    /// Sets the state of a row from `at` on; `at` may lie after `now` for rows that appear late.
    pub fn set(&mut self, now: UnixNanos, at: UnixNanos, key: K, item: Option<Arc<Item>>) {
        let horizon = UnixNanos(now.0.saturating_sub(HISTORY.as_nanos() as u64));
        if item.is_none() {
            self.deleted.push_back((at, key.clone()));
        }
        match self.rows.entry(key) {
            Entry::Occupied(mut row) => row.get_mut().replace(at, item, horizon),
            Entry::Vacant(place) => {
                place.insert(Row { since: at, newest: item, older: Vec::new() });
            }
        }
        self.forget(horizon);
    }

    fn forget(&mut self, horizon: UnixNanos) {
        while let Some((at, _)) = self.deleted.front() {
            if *at > horizon {
                break;
            }
            if let Some((_, key)) = self.deleted.pop_front()
                && self.rows.get(&key).is_some_and(|row| row.newest.is_none() && row.since <= horizon)
            {
                self.rows.remove(&key);
            }
        }
    }

    /// Existing rows at `time` within bounds, ascending.
    pub fn range_at(
        &self,
        bounds: (Bound<K>, Bound<K>),
        time: UnixNanos,
    ) -> impl DoubleEndedIterator<Item = (&K, &Arc<Item>)> {
        self.rows.range(bounds).filter_map(move |(key, row)| Some((key, row.at(time)?)))
    }

    /// Rows in their newest state, in storage order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<Item>)> {
        self.rows.iter().filter_map(|(key, row)| Some((key, row.newest.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::key::{ItemKey, KeyValue},
        *,
    };

    fn key(text: &str) -> ItemKey {
        ItemKey::new(KeyValue::S(text.into()), None)
    }

    fn seconds(seconds: u64) -> UnixNanos {
        UnixNanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_past_stays_readable_for_a_while() {
        let mut store = Store::default();
        let item =
            |name: &str| Some(Arc::new(Item::from([(name.to_owned(), super::super::value::AttributeValue::Null)])));
        store.set(seconds(10), seconds(10), key("a"), item("one"));
        store.set(seconds(20), seconds(20), key("a"), item("two"));
        store.set(seconds(30), seconds(30), key("a"), None);
        let name_at = |store: &Store<ItemKey>, time: u64| {
            store.get_at(&key("a"), seconds(time)).map(|item| item.keys().next().unwrap().clone())
        };
        assert_eq!(name_at(&store, 9), None);
        assert_eq!(name_at(&store, 10).as_deref(), Some("one"));
        assert_eq!(name_at(&store, 19).as_deref(), Some("one"));
        assert_eq!(name_at(&store, 25).as_deref(), Some("two"));
        assert_eq!(name_at(&store, 30), None);
        assert_eq!(store.iter().count(), 0);
        store.set(seconds(200), seconds(200), key("b"), item("other"));
        assert_eq!(store.rows.len(), 1, "a deleted row is forgotten once its past is out of reach");
    }

    #[test]
    fn a_row_may_appear_late() {
        let mut store = Store::default();
        store.set(seconds(10), seconds(15), key("a"), Some(Arc::new(Item::new())));
        assert!(store.get_at(&key("a"), seconds(14)).is_none());
        assert!(store.get_at(&key("a"), seconds(15)).is_some());
        store.set(seconds(11), seconds(12), key("a"), None);
        assert!(store.get_at(&key("a"), seconds(12)).is_none());
        assert!(store.get_at(&key("a"), seconds(15)).is_none(), "the later state keeps the later time");
    }
}
