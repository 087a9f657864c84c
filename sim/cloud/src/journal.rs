//! The ground truth, kept cheaply: images stay shared with storage until somebody reads the journal.

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    sync::Arc,
};

use serde_json::Value;

use crate::{
    dynamodb::value::{Item, item_to_json},
    interface::{Call, CallOutcome, JournalEntry, MessageStep, SchemaVersionStep, UnixNanos},
};

/// A journal entry before its images became JSON.
#[derive(Clone, Debug)]
pub enum RawEntry {
    Call(Box<(Call, CallOutcome)>),
    Write {
        call_sequence: u64,
        at: UnixNanos,
        table: Arc<str>,
        key: String,
        old_image: Option<Arc<Item>>,
        new_image: Option<Arc<Item>>,
    },
    StreamRecord {
        at: UnixNanos,
        table: Arc<str>,
        shard: String,
        sequence: u64,
        event_name: &'static str,
        key: String,
        new_image: Option<Arc<Item>>,
    },
    Message(Box<MessageStep>),
    SchemaVersion(Box<SchemaVersionStep>),
}

impl RawEntry {
    fn to_entry(&self, images: &mut SharedImages) -> JournalEntry {
        let mut json = |image: &Option<Arc<Item>>| image.as_ref().map(|item| images.json(item));
        match self {
            RawEntry::Message(step) => JournalEntry::Message((**step).clone()),
            RawEntry::SchemaVersion(step) => JournalEntry::SchemaVersion((**step).clone()),
            RawEntry::Call(pair) => JournalEntry::Call { call: pair.0.clone(), outcome: pair.1.clone() },
            RawEntry::Write { call_sequence, at, table, key, old_image, new_image } => JournalEntry::Write {
                call_sequence: *call_sequence,
                at: *at,
                table: table.to_string(),
                key: key.clone(),
                old_image: json(old_image),
                new_image: json(new_image),
            },
            RawEntry::StreamRecord { at, table, shard, sequence, event_name, key, new_image } => {
                JournalEntry::StreamRecord {
                    at: *at,
                    table: table.to_string(),
                    shard: shard.clone(),
                    sequence_number: crate::streams::sequence_text(*sequence),
                    event_name: (*event_name).to_owned(),
                    key: key.clone(),
                    new_image: json(new_image),
                }
            }
        }
    }
}

/// JSON images by the address of the item that they show. The item is kept with its image: its address must not become
/// another's.
#[derive(Debug, Default)]
struct SharedImages {
    by_address: BTreeMap<usize, (Arc<Item>, Arc<Value>)>,
}

impl SharedImages {
    fn json(&mut self, item: &Arc<Item>) -> Arc<Value> {
        let image = || (item.clone(), Arc::new(item_to_json(item)));
        self.by_address.entry(Arc::as_ptr(item) as usize).or_insert_with(image).1.clone()
    }
}

/// Entries stay raw until somebody reads them, and are kept as JSON only from then on.
#[derive(Debug, Default)]
pub struct Journal {
    keep: bool,
    raw: RefCell<Vec<RawEntry>>,
    images: RefCell<SharedImages>,
    entries: OnceCell<Vec<JournalEntry>>,
}

impl Journal {
    pub fn new(keep: bool) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Whether entries are kept at all; when not, nobody needs to make them.
    pub fn keeps(&self) -> bool {
        self.keep
    }

    pub fn push(&mut self, entry: RawEntry) {
        if !self.keep {
            return;
        }
        match self.entries.get_mut() {
            Some(entries) => entries.push(entry.to_entry(self.images.get_mut())),
            None => self.raw.get_mut().push(entry),
        }
    }

    pub fn entries(&self) -> &[JournalEntry] {
        self.entries.get_or_init(|| {
            let raw = std::mem::take(&mut *self.raw.borrow_mut());
            let mut images = self.images.borrow_mut();
            raw.into_iter().map(|entry| entry.to_entry(&mut images)).collect()
        })
    }

    pub fn take(&mut self) -> Vec<JournalEntry> {
        self.entries();
        self.images.take();
        self.entries.take().unwrap_or_default()
    }
}
