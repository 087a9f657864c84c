//! The ground truth, kept cheaply: images stay shared with storage until somebody reads the journal.

use std::{cell::OnceCell, sync::Arc};

use crate::{
    dynamodb::value::{Item, item_to_json},
    interface::{Call, CallOutcome, JournalEntry, MessageStep, UnixNanos},
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
}

impl RawEntry {
    fn to_entry(&self) -> JournalEntry {
        let json = |image: &Option<Arc<Item>>| image.as_deref().map(item_to_json);
        match self {
            RawEntry::Message(step) => JournalEntry::Message((**step).clone()),
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

#[derive(Debug, Default)]
pub struct Journal {
    keep: bool,
    raw: Vec<RawEntry>,
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
        if let Some(entries) = self.entries.get_mut() {
            entries.push(entry.to_entry());
        }
        self.raw.push(entry);
    }

    pub fn entries(&self) -> &[JournalEntry] {
        self.entries.get_or_init(|| self.raw.iter().map(RawEntry::to_entry).collect())
    }

    pub fn take(&mut self) -> Vec<JournalEntry> {
        let raw = std::mem::take(&mut self.raw);
        self.entries.take().unwrap_or_else(|| raw.iter().map(RawEntry::to_entry).collect())
    }
}
