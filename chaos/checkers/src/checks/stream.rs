//! What the table's stream carries is what storage holds.

use std::collections::BTreeMap;

use super::Check;
use crate::{
    CheckInput, Needs, StorageWrite, StreamRecord, Violation,
    bus::compare_sequences,
    finding::Examination,
    item::{StoredEvent, event_key, events_written},
};

pub(crate) const STREAM_COMPLETE: Check = Check {
    name: "stream-complete",
    needs: Needs::GroundTruth,
    describe: "Every committed event appears in the table's stream exactly once, within the bound after its commit or the heal.",
    run: complete,
};

pub(crate) const STREAM_FAITHFUL: Check = Check {
    name: "stream-faithful",
    needs: Needs::GroundTruth,
    describe: "The table's stream carries nothing that storage had not before, byte for byte, each shard's records in order, and each aggregate's events in order of version; only those of one transaction may come in any order.",
    run: faithful,
};

fn complete(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let mut appeared: BTreeMap<&str, Vec<&StreamRecord>> = BTreeMap::new();
    for record in event_records(input) {
        appeared.entry(&record.key).or_default().push(record);
    }
    for (write, event) in events_written(input) {
        let records = appeared.get(write.key.as_str()).map_or(&[][..], Vec::as_slice);
        let due_ns = write.at_ns.max(settings.healed_at_ns).saturating_add(settings.stream_bound_ns);
        let problem = match records {
            [] if due_ns > settings.ended_at_ns => {
                examination.undecided(format!("the record ends before {} is due in the stream", write.key));
                continue;
            }
            [] => Some("never appeared in the stream".to_owned()),
            [record] if record.at_ns > due_ns => Some(format!("appeared {} ns after the bound", record.at_ns - due_ns)),
            [_] => None,
            several => Some(format!("appeared {} times in the stream", several.len())),
        };
        examination.expect(problem.is_none(), || {
            Violation::new(format!("A committed event {}.", problem.unwrap_or_default()))
                .key(&write.key)
                .at(write.at_ns)
                .evidence(event.label())
        });
    }
}

fn faithful(input: &CheckInput, examination: &mut Examination) {
    // From the last to the first, so that the first write of a key stays: an overwritten event is no excuse.
    let written: BTreeMap<&str, &StorageWrite> =
        input.truth.writes.iter().rev().map(|write| (write.key.as_str(), write)).collect();
    // By shard: the sequence number that was last to become readable.
    let mut last_readable: BTreeMap<&str, &str> = BTreeMap::new();
    for record in event_records(input) {
        let before = last_readable.insert(&record.shard, &record.sequence_number);
        let is_next = before.is_none_or(|before| compare_sequences(before, &record.sequence_number).is_lt());
        examination.expect(is_next, || {
            Violation::new("A record of the stream became readable out of the order of its shard.")
                .key(&record.key)
                .at(record.at_ns)
                .evidence(format!("shard {}, {} after {before:?}", record.shard, record.sequence_number))
        });
        let problem = match written.get(record.key.as_str()) {
            None => Some("carries an event that storage never had"),
            Some(write) if write.at_ns > record.at_ns => Some("carried an event before it was committed"),
            Some(write) if write.new_image != record.new_image => Some("carries other bytes than storage has"),
            Some(_) => None,
        };
        examination.expect(problem.is_none(), || {
            Violation::new(format!("The stream {}.", problem.unwrap_or_default()))
                .key(&record.key)
                .at(record.at_ns)
                .evidence(format!("shard {}, sequence number {}", record.shard, record.sequence_number))
        });
        examination.expect(record.event_name == "INSERT", || {
            Violation::new(format!("The stream tells {} of an event's item.", record.event_name))
                .key(&record.key)
                .at(record.at_ns)
        });
    }
    in_order(input, &written, examination);
}

/// Each aggregate's events in order of version, as a reader meets them who reads a shard to its end before those that came from
/// it. That is the order of sequence numbers: a child may be readable before the last records of its parent are.
fn in_order(input: &CheckInput, written: &BTreeMap<&str, &StorageWrite>, examination: &mut Examination) {
    let mut records: Vec<&StreamRecord> = event_records(input).collect();
    records.sort_by(|one, other| compare_sequences(&one.sequence_number, &other.sequence_number));
    // By aggregate: the highest version carried, and the call that wrote it.
    let mut highest: BTreeMap<String, (u64, Option<u64>)> = BTreeMap::new();
    for record in records {
        let Some(event) = record.new_image.as_ref().and_then(|image| StoredEvent::read(image).ok()) else { continue };
        let call = written.get(record.key.as_str()).map(|write| write.call_sequence);
        let (before, its_call) = highest.get(&event.stream).copied().unwrap_or_default();
        // A stream promises no order between the items of one transaction.
        let is_torn = call.is_some() && call == its_call;
        examination.expect(event.version >= before || is_torn, || {
            Violation::new(format!("The stream carried version {} after version {before}.", event.version))
                .key(event_key(&input.settings.events_table, &event))
                .at(record.at_ns)
        });
        if event.version >= before {
            highest.insert(event.stream, (event.version, call));
        }
    }
}

fn event_records(input: &CheckInput) -> impl Iterator<Item = &StreamRecord> {
    input.truth.stream.iter().filter(|record| record.table == input.settings.events_table)
}
