//! Lints over the trace of calls that need no model of the system: they serve any system over the same tables.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Check,
    calls::{service_calls, told},
};
use crate::{
    AwsCall, CheckInput, Needs, StorageWrite, Violation,
    answer::Answer,
    finding::Examination,
    item::{answers_written, events_written},
};

pub(crate) const ACKNOWLEDGED_AFTER_EFFECT: Check = Check {
    name: "lint-acknowledged-after-effect",
    needs: Needs::GroundTruth,
    describe: "No client is told that a command was carried out before its events are in storage.",
    run: acknowledged_after_effect,
};

pub(crate) const NO_LOST_UPDATE: Check = Check {
    name: "lint-no-lost-update",
    needs: Needs::GroundTruth,
    describe: "No caller replaces an item that another call changed since the caller read it: a read, a change and a write need a condition.",
    run: no_lost_update,
};

pub(crate) const UNPROCESSED_ITEMS: Check = Check {
    name: "lint-unprocessed-items",
    needs: Needs::GroundTruth,
    describe: "What a batch write left unprocessed is sent again. (A batch's delete of an item that is not there looks the same.)",
    run: unprocessed_items,
};

pub(crate) const ATOMIC_RECORD: Check = Check {
    name: "lint-atomic-record",
    needs: Needs::GroundTruth,
    describe: "Events and their idempotency record are written by one call.",
    run: atomic_record,
};

fn acknowledged_after_effect(input: &CheckInput, examination: &mut Examination) {
    let mut written_ns: BTreeMap<String, u64> = BTreeMap::new();
    for (write, event) in events_written(input) {
        written_ns.entry(event.event_id).or_insert(write.at_ns);
    }
    for attempt in &input.observation.attempts {
        let (Answer::Accepted(accepted), Some(completed_ns)) = (Answer::of(attempt), attempt.completed_ns) else {
            continue;
        };
        for event in &accepted.events {
            let Some(&at_ns) = written_ns.get(&event.event_id) else { continue };
            examination.expect(at_ns <= completed_ns, || {
                Violation::new("A command was acknowledged before its event was in storage.")
                    .key(&event.event_id)
                    .operations([attempt.operation])
                    .at(completed_ns)
                    .evidence(format!("acknowledged at {completed_ns} ns, stored at {at_ns} ns"))
            });
        }
    }
}

fn no_lost_update(input: &CheckInput, examination: &mut Examination) {
    let calls: BTreeMap<u64, &AwsCall> = input.truth.calls.iter().map(|call| (call.sequence, call)).collect();
    let mut writes_by_key: BTreeMap<&str, Vec<&StorageWrite>> = BTreeMap::new();
    for write in &input.truth.writes {
        writes_by_key.entry(&write.key).or_default().push(write);
    }
    let mut reads_by_key: BTreeMap<(&str, &str), Vec<&AwsCall>> = BTreeMap::new();
    for call in service_calls(input).filter(|call| !call.is_write) {
        for key in &call.keys {
            reads_by_key.entry((&call.caller, key)).or_default().push(call);
        }
    }
    for (key, writes) in writes_by_key {
        for (position, write) in writes.iter().enumerate() {
            let Some(call) = calls.get(&write.call_sequence).filter(|call| is_replacement(call, write)) else {
                continue;
            };
            let reads = reads_by_key.get(&(call.caller.as_str(), key)).map_or(&[][..], Vec::as_slice);
            let Some(read) = reads.iter().filter(|read| read.at_ns < call.at_ns).max_by_key(|read| read.at_ns) else {
                continue;
            };
            // The read may have seen anything that was there when it ended.
            let read_until_ns = read.finished_ns.unwrap_or(read.at_ns);
            let unseen = writes[..position]
                .iter()
                .find(|other| other.at_ns > read_until_ns && other.call_sequence != write.call_sequence);
            examination.expect(unseen.is_none(), || {
                let violation = Violation::new("A caller replaced an item that had changed since the caller read it.")
                    .key(key)
                    .at(write.at_ns)
                    .evidence(format!("read: {}", told(read)))
                    .evidence(format!("write: {}", told(call)));
                match unseen {
                    Some(other) => {
                        violation.evidence(format!("between them: call {} at {} ns", other.call_sequence, other.at_ns))
                    }
                    None => violation,
                }
            });
        }
    }
}

/// An update expression can change an item without having read it; a put replaces the whole.
fn is_replacement(call: &AwsCall, write: &StorageWrite) -> bool {
    call.operation != "UpdateItem" && write.old_image.is_some() && write.new_image.is_some()
}

fn unprocessed_items(input: &CheckInput, examination: &mut Examination) {
    let written: BTreeSet<(u64, &str)> =
        input.truth.writes.iter().map(|write| (write.call_sequence, write.key.as_str())).collect();
    let calls: Vec<&AwsCall> = service_calls(input).filter(|call| call.is_write).collect();
    for (position, call) in calls.iter().enumerate() {
        if call.operation != "BatchWriteItem" || call.status != 200 || !call.delivered {
            continue;
        }
        for key in &call.keys {
            let is_sent_again = || calls[position + 1..].iter().any(|later| later.keys.contains(key));
            let is_done = written.contains(&(call.sequence, key)) || is_sent_again();
            examination.expect(is_done, || {
                Violation::new("A batch write left an item unprocessed and nobody sent it again.")
                    .key(key)
                    .at(call.at_ns)
                    .evidence(told(call))
            });
        }
    }
}

fn atomic_record(input: &CheckInput, examination: &mut Examination) {
    let records: BTreeSet<(u64, String)> =
        answers_written(input).into_iter().map(|(write, record)| (write.call_sequence, record.key)).collect();
    for (write, event) in events_written(input) {
        let is_together = records.contains(&(write.call_sequence, event.command_id.clone()));
        examination.expect(is_together, || {
            Violation::new("An event was written without its idempotency record in the same call.")
                .key(&write.key)
                .key(&event.command_id)
                .at(write.at_ns)
                .evidence(format!("call {}: {}", write.call_sequence, event.label()))
        });
    }
}
