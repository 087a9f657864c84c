//! Events never change, chain by hash, and count without gaps.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Check;
use crate::{
    CheckInput, Needs, StorageWrite, Violation,
    canonical::{HASH_BEFORE_FIRST, event_hash},
    finding::Examination,
    item::{StoredEvent, event_key, events_written, final_images, final_streams},
};

pub(crate) const IMMUTABILITY: Check = Check {
    name: "immutability",
    needs: Needs::GroundTruth,
    describe: "No event's item is ever overwritten or deleted, and each lies in storage at the end exactly as it was first written.",
    run: immutability,
};

pub(crate) const HASH_CHAIN: Check = Check {
    name: "hash-chain",
    needs: Needs::GroundTruth,
    describe: "Every stored event carries the hash of its content and of its predecessor, recomputed apart from the system.",
    run: hash_chain,
};

pub(crate) const VERSIONS: Check = Check {
    name: "gap-free-versions",
    needs: Needs::GroundTruth,
    describe: "The versions of each stream are 1, 2, 3 and so on, at every write and at the end.",
    run: versions,
};

fn immutability(input: &CheckInput, examination: &mut Examination) {
    let table = &input.settings.events_table;
    let mut first: BTreeMap<&str, &StorageWrite> = BTreeMap::new();
    for write in input.truth.writes.iter().filter(|write| write.table == *table) {
        let was_there = write.old_image.is_some() || first.contains_key(write.key.as_str());
        examination.expect(!was_there, || changed(write));
        if write.new_image.is_some() {
            first.entry(&write.key).or_insert(write);
        }
    }
    let mut last: BTreeMap<String, &Value> =
        final_images(input, table).map(|image| (image_key(table, image), image)).collect();
    for (key, write) in first {
        let found = last.remove(key);
        examination.expect(found == write.new_image.as_deref(), || match found {
            Some(image) => Violation::new("An event lies in storage otherwise than it was first written.")
                .key(key)
                .at(write.at_ns)
                .evidence(format!("first: {}", shown(write.new_image.as_deref())))
                .evidence(format!("at the end: {image}")),
            None => Violation::new("An event that was written is no longer in storage.").key(key).at(write.at_ns),
        });
    }
    for (key, image) in last {
        examination.violation(
            Violation::new("An event lies in storage that no call has written.").key(key).evidence(image.to_string()),
        );
    }
}

fn changed(write: &StorageWrite) -> Violation {
    let verb = if write.new_image.is_some() { "overwritten" } else { "deleted" };
    Violation::new(format!("An event's item was {verb}."))
        .key(&write.key)
        .at(write.at_ns)
        .evidence(format!("call {}", write.call_sequence))
        .evidence(format!("before: {}", shown(write.old_image.as_deref())))
        .evidence(format!("after: {}", shown(write.new_image.as_deref())))
}

fn shown(image: Option<&Value>) -> String {
    image.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

fn image_key(table: &str, image: &Value) -> String {
    let part = |name: &str, kind: &str| image[name][kind].as_str().unwrap_or("?").to_owned();
    format!("{table}/{}/{}", part("pk", "S"), part("sk", "N"))
}

fn hash_chain(input: &CheckInput, examination: &mut Examination) {
    let table = &input.settings.events_table;
    for events in final_streams(input).values() {
        let mut previous_hash = HASH_BEFORE_FIRST;
        for event in events {
            let expected = event_hash(event);
            examination.expect(event.hash == expected, || {
                Violation::new("An event's content does not match its hash.")
                    .key(event_key(table, event))
                    .evidence(format!("stored hash {}, recomputed {expected}", event.hash))
            });
            examination.expect(event.previous_hash == previous_hash, || {
                Violation::new("An event does not continue the hash of the event before it.")
                    .key(event_key(table, event))
                    .evidence(format!("names {}, the event before has {previous_hash}", event.previous_hash))
            });
            previous_hash = &event.hash;
        }
    }
}

fn versions(input: &CheckInput, examination: &mut Examination) {
    let table = &input.settings.events_table;
    let mut written_up_to: BTreeMap<String, u64> = BTreeMap::new();
    for (write, event) in in_effect_order(events_written(input)) {
        let last = written_up_to.entry(event.stream.clone()).or_default();
        let expected = *last + 1;
        examination.expect(event.version == expected, || {
            Violation::new(format!("Version {} was written where {expected} was next.", event.version))
                .key(event_key(table, &event))
                .at(write.at_ns)
                .evidence(event.label())
        });
        *last = event.version.max(*last);
    }
    for (stream, events) in final_streams(input) {
        for (expected, event) in (1..).zip(&events) {
            examination.expect(event.version == expected, || {
                Violation::new(format!("At the end {stream} has version {} where {expected} is due.", event.version))
                    .key(event_key(table, event))
            });
        }
    }
}

/// Items of one transaction take effect together; among them the version decides.
fn in_effect_order(mut written: Vec<(&StorageWrite, StoredEvent)>) -> Vec<(&StorageWrite, StoredEvent)> {
    let mut start = 0;
    while start < written.len() {
        let call = written[start].0.call_sequence;
        let length = written[start..].iter().take_while(|(write, _)| write.call_sequence == call).count();
        written[start..start + length]
            .sort_by(|(_, left), (_, right)| (&left.stream, left.version).cmp(&(&right.stream, right.version)));
        start += length;
    }
    written
}
