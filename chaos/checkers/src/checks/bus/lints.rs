//! Lints over calls of streams and queues that need no model: they serve any system that uses them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AwsCall, CheckInput, MessageStepKind, Needs, Violation,
    checks::{Check, calls::told},
    finding::Examination,
    item::text,
};

pub(crate) const IGNORED_FAILED_ENTRIES: Check = Check {
    name: "lint-ignored-failed-entries",
    needs: Needs::GroundTruth,
    describe: "Entries that a batch put did not take are sent again, or their key is parked: a batch's 200 is not each entry's.",
    run: ignored_failed_entries,
};

pub(crate) const ACKNOWLEDGED_BEFORE_EFFECT: Check = Check {
    name: "lint-ack-before-effect",
    needs: Needs::GroundTruth,
    describe: "Who deletes a message has called for some write between its first receipt and the delete: a delete acknowledges work.",
    run: acknowledged_before_effect,
};

/// Services that call others by themselves.
const CLOUD_CALLERS: [&str; 2] = ["lambda", "sns"];

fn ignored_failed_entries(input: &CheckInput, examination: &mut Examination) {
    let is_batch =
        |call: &&AwsCall| matches!(call.operation.as_str(), "PutRecords" | "PublishBatch" | "SendMessageBatch");
    let is_single = |call: &AwsCall| matches!(call.operation.as_str(), "PutRecord" | "Publish" | "SendMessage");
    let mut taken: BTreeMap<(u64, String), usize> = BTreeMap::new();
    for step in input.truth.messages.iter().filter(|step| step.step == MessageStepKind::Accepted) {
        let place = step.place.split('/').next().unwrap_or_default();
        let name = if step.key.is_empty() { place.to_owned() } else { format!("{place}/{}", step.key) };
        *taken.entry((step.call_sequence, name)).or_default() += 1;
    }
    let mut last_sent: BTreeMap<&str, u64> = BTreeMap::new();
    for call in input.truth.calls.iter().filter(|call| is_batch(call) || is_single(call)) {
        for key in &call.keys {
            last_sent.insert(key, call.sequence);
        }
    }
    let mut last_parked_ns: BTreeMap<String, u64> = BTreeMap::new();
    let mut any_parked_ns = 0;
    for write in input.truth.writes.iter().filter(|write| write.table == input.settings.parked_table) {
        if let Some(key) = write.new_image.as_ref().and_then(|image| text(image, "sk").ok()) {
            last_parked_ns.insert(key, write.at_ns);
            any_parked_ns = write.at_ns;
        }
    }
    for call in input.truth.calls.iter().filter(is_batch).filter(|call| call.status == 200 && call.delivered) {
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for key in &call.keys {
            *wanted.entry(key).or_default() += 1;
        }
        for (key, count) in wanted {
            let is_whole = taken.get(&(call.sequence, key.to_owned())).copied().unwrap_or(0) >= count;
            let is_sent_again = || last_sent.get(key).is_some_and(|sequence| *sequence > call.sequence);
            // The keys of a topic's messages do not tell whose they are.
            let parked_ns = match key.split_once('/') {
                Some((_, aggregate)) => last_parked_ns.get(aggregate).copied().unwrap_or(0),
                None => any_parked_ns,
            };
            let is_parked = || parked_ns > call.at_ns;
            examination.expect(is_whole || is_sent_again() || is_parked(), || {
                Violation::new("A batch put left an entry out and nobody sent it again.")
                    .key(key)
                    .at(call.at_ns)
                    .evidence(told(call))
            });
        }
    }
}

fn acknowledged_before_effect(input: &CheckInput, examination: &mut Examination) {
    let calls: BTreeMap<u64, &AwsCall> = input.truth.calls.iter().map(|call| (call.sequence, call)).collect();
    // Moments of work, by caller: any write but the queue's own bookkeeping.
    let mut work_ns: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for call in input.truth.calls.iter().filter(|call| call.is_write && !is_bookkeeping(&call.operation)) {
        work_ns.entry(&call.caller).or_default().insert(call.at_ns);
    }
    let mut received_ns: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for step in input.truth.messages.iter().filter(|step| step.service == "sqs") {
        let id = (step.place.as_str(), step.message_id.as_str());
        match (step.step, calls.get(&step.call_sequence)) {
            (MessageStepKind::Received, _) => {
                received_ns.entry(id).or_insert(step.at_ns);
            }
            (MessageStepKind::Deleted, Some(call)) => {
                let Some(&from_ns) = received_ns.get(&id) else { continue };
                // An event source mapping deletes for its function, whose work is another caller's.
                if CLOUD_CALLERS.contains(&call.caller.as_str()) {
                    continue;
                }
                let work_ns = work_ns.get(call.caller.as_str());
                let has_worked = work_ns.is_some_and(|work_ns| work_ns.range(from_ns..=step.at_ns).next().is_some());
                examination.expect(has_worked, || {
                    let what =
                        format!("A message of `{}` was deleted although its receiver had written nothing.", step.place);
                    Violation::new(what).key(&step.message_id).at(step.at_ns).evidence(told(call))
                });
            }
            _ => {}
        }
    }
}

fn is_bookkeeping(operation: &str) -> bool {
    operation.starts_with("Delete") && operation.contains("Message")
        || operation.starts_with("ChangeMessageVisibility")
        || operation == "ReceiveMessage"
}
