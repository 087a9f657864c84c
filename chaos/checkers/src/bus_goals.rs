//! Rare states of the bus that a batch of trials must reach now and then.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AwsCall, CheckInput, MessageStepKind,
    bus::{Parking, carried_event, core_records, effects, letter_of, queue_steps, writes_of},
    checks::lease_writes,
    item::event_key,
};

/// Each goal by name, and whether this run reached it.
pub(crate) fn bus_goals(input: &CheckInput) -> Vec<(&'static str, bool)> {
    let has_step = |wanted: MessageStepKind| queue_steps(input).any(|step| step.step == wanted);
    let letters = dead_letters(input);
    let effects = effects(input);
    let parking = Parking::of(input);
    vec![
        ("partial-put-failure-retried", partial_put_failure_retried(input)),
        ("duplicate-on-stream", duplicate_on_stream(input)),
        ("cursor-expired", has_error(input, "ExpiredIteratorException")),
        ("lease-taken-over", lease_taken_over(input)),
        ("zombie-fenced", zombie_fenced(input)),
        ("shard-split-followed", shard_split_followed(input)),
        ("poison-parked", parking.all().any(|(_, _, standings)| standings.iter().any(|it| it.reason == "poison"))),
        ("aggregate-released", writes_of(input, &input.settings.parked_table).any(|write| write.new_image.is_none())),
        (
            "message-redelivered",
            queue_steps(input).any(|it| it.step == MessageStepKind::Received && it.receive_count > 1),
        ),
        ("dead-lettered", has_step(MessageStepKind::DeadLettered)),
        ("redriven", letters.values().any(|letter| letter.is_home_again)),
        ("quarantined", writes_of(input, &input.settings.quarantine_table).next().is_some()),
        ("gap-repaired", gap_repaired(input)),
        (
            "dead-letter-rescued",
            letters.iter().any(|(id, letter)| effects.get(id).is_some_and(|at_ns| *at_ns > letter.dead_ns)),
        ),
    ]
}

struct DeadLetter {
    dead_ns: u64,
    is_home_again: bool,
}

fn dead_letters(input: &CheckInput) -> BTreeMap<String, DeadLetter> {
    let mut letters: BTreeMap<String, DeadLetter> = BTreeMap::new();
    for step in queue_steps(input).filter(|step| step.step == MessageStepKind::Accepted) {
        let letter = letter_of(&step.body);
        if input.settings.is_dead_letter_queue(&step.place) {
            letters.entry(letter).or_insert(DeadLetter { dead_ns: step.at_ns, is_home_again: false });
        } else if let Some(dead) = letters.get_mut(&letter) {
            dead.is_home_again = true;
        }
    }
    letters
}

fn has_error(input: &CheckInput, code: &str) -> bool {
    input.truth.calls.iter().any(|call| call.error.as_deref() == Some(code))
}

/// A batch put took some entries, and one that it left out came later.
fn partial_put_failure_retried(input: &CheckInput) -> bool {
    let mut last_taken: BTreeMap<&str, u64> = BTreeMap::new();
    let mut taken: BTreeSet<(u64, &str)> = BTreeSet::new();
    for record in core_records(input) {
        taken.insert((record.call_sequence, &record.key));
        last_taken.insert(&record.key, record.call_sequence);
    }
    let puts = input.truth.calls.iter().filter(|call| call.operation == "PutRecords" && call.status == 200);
    puts.filter(|call| call.keys.len() > 1).any(|call| {
        let aggregates = || call.keys.iter().filter_map(|key| key.split_once('/')).map(|(_, aggregate)| aggregate);
        let is_taken = |aggregate: &str| taken.contains(&(call.sequence, aggregate));
        let came_later = |aggregate: &str| last_taken.get(aggregate).is_some_and(|later| *later > call.sequence);
        aggregates().any(is_taken) && aggregates().any(|aggregate| !is_taken(aggregate) && came_later(aggregate))
    })
}

fn duplicate_on_stream(input: &CheckInput) -> bool {
    let mut seen = BTreeSet::new();
    core_records(input).filter_map(|record| carried_event(&record.body)).any(|event| !seen.insert(event.event_id))
}

/// A lease went from one owner to another that it had not before.
fn lease_taken_over(input: &CheckInput) -> bool {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    lease_writes(input).into_iter().any(|(write, lease)| {
        let Some(owner) = lease.owner else { return false };
        owners.insert(write.key.clone(), owner.clone()).is_some_and(|before| before != owner)
    })
}

/// Someone who once held a lease tried to write it after another had taken it, and was refused.
fn zombie_fenced(input: &CheckInput) -> bool {
    let callers: BTreeMap<u64, &str> =
        input.truth.calls.iter().map(|call| (call.sequence, call.caller.as_str())).collect();
    let mut holders: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for write in writes_of(input, &input.settings.leases_table) {
        if let Some(caller) = callers.get(&write.call_sequence) {
            holders.entry(&write.key).or_default().push((write.at_ns, caller));
        }
    }
    let is_refused =
        |call: &&AwsCall| call.is_write && call.error.as_deref() == Some("ConditionalCheckFailedException");
    input.truth.calls.iter().filter(is_refused).any(|call| {
        call.keys.iter().filter_map(|key| holders.get(key.as_str())).any(|holders| {
            let ended_ns = call.finished_ns.unwrap_or(call.at_ns);
            let earlier = &holders[..holders.partition_point(|(at_ns, _)| *at_ns <= ended_ns)];
            let is_taken = earlier.last().is_some_and(|(_, holder)| *holder != call.caller);
            is_taken && earlier.iter().any(|(_, holder)| *holder == call.caller)
        })
    })
}

/// A shard that has parents was worked on.
fn shard_split_followed(input: &CheckInput) -> bool {
    lease_writes(input).iter().any(|(_, lease)| !lease.parents.is_empty() && lease.is_worked_on())
}

/// An event was routed before the feed had it, or without the feed: from the event store, since a later one told of it.
fn gap_repaired(input: &CheckInput) -> bool {
    let committed: BTreeSet<&str> =
        writes_of(input, &input.settings.events_table).map(|write| write.key.as_str()).collect();
    let in_feed_ns: BTreeMap<&str, u64> =
        input.truth.stream.iter().rev().map(|it| (it.key.as_str(), it.at_ns)).collect();
    core_records(input).any(|record| {
        let Some(event) = carried_event(&record.body) else { return false };
        let key = event_key(&input.settings.events_table, &event);
        committed.contains(key.as_str()) && in_feed_ns.get(key.as_str()).is_none_or(|at_ns| *at_ns > record.at_ns)
    })
}
