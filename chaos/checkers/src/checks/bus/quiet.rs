//! After the drain the bus stands still.

use std::collections::{BTreeMap, BTreeSet};

use super::leases::{Progress, lease_writes};
use crate::{
    CheckInput, MessageStepKind, Needs, Violation,
    bus::{compare_sequences, core_records, queue_steps},
    checks::Check,
    finding::Examination,
};

pub(crate) const BUS_QUIESCENCE: Check = Check {
    name: "bus-quiescence",
    needs: Needs::GroundTruth,
    describe: "After the drain and its bound no message moves and none is left in a queue, nothing is written but leases and claims of parked entries, and every shard with a lease is done to its last record.",
    run: bus_quiescence,
};

fn bus_quiescence(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let quiet_from_ns = settings.drain_ended_at_ns.saturating_add(settings.quiescence_bound_ns);
    if settings.ended_at_ns < quiet_from_ns || quiet_from_ns == u64::MAX {
        return;
    }
    // Age takes what lies there, without anybody's doing.
    let is_age = |step| matches!(step, MessageStepKind::Trimmed | MessageStepKind::Expired);
    for step in input.truth.messages.iter().filter(|step| !is_age(step.step)) {
        examination.expect(step.at_ns <= quiet_from_ns, || {
            Violation::new(format!("A message still moves in `{}` after the drain: {:?}.", step.place, step.step))
                .key(&step.message_id)
                .at(step.at_ns)
                .evidence(step.note.clone())
        });
    }
    let of_bus = [&settings.views_table, &settings.outbox_table, &settings.parked_table, &settings.quarantine_table];
    for write in input.truth.writes.iter().filter(|write| of_bus.contains(&&write.table)) {
        // Poison is tried again for ever, and each try claims the entry first.
        if write.table == settings.parked_table && write.old_image.is_some() && write.new_image.is_some() {
            continue;
        }
        examination.expect(write.at_ns <= quiet_from_ns, || {
            Violation::new("A consumer still writes after the drain.").key(&write.key).at(write.at_ns)
        });
    }
    nothing_is_left(input, examination);
    shards_are_done(input, examination);
}

fn nothing_is_left(input: &CheckInput, examination: &mut Examination) {
    let mut there: BTreeSet<(&str, &str)> = BTreeSet::new();
    for step in queue_steps(input) {
        let id = (step.place.as_str(), step.message_id.as_str());
        match step.step {
            MessageStepKind::Accepted | MessageStepKind::Received | MessageStepKind::Reappeared => there.insert(id),
            MessageStepKind::Deleted
            | MessageStepKind::DeadLettered
            | MessageStepKind::Moved
            | MessageStepKind::Expired
            | MessageStepKind::Purged => there.remove(&id),
            _ => false,
        };
    }
    for (place, message_id) in there {
        examination.examine();
        let what = format!("A message is left in `{place}` after the drain.");
        examination.violation(Violation::new(what).key(message_id));
    }
}

/// Where a group keeps leases at all, each of its shards that has records is done.
fn shards_are_done(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let mut last_records: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let table_records = input.truth.stream.iter().filter(|record| record.table == settings.events_table);
    let table_records =
        table_records.map(|record| (settings.router_group.as_str(), record.shard.as_str(), &record.sequence_number));
    let core_records = core_records(input).filter_map(|record| {
        let (_, shard) = record.place.split_once('/')?;
        Some((settings.projection_group.as_str(), shard, &record.message_id))
    });
    for (group, shard, sequence) in table_records.chain(core_records) {
        let last = last_records.entry((group, shard)).or_insert(sequence);
        if compare_sequences(last, sequence).is_lt() {
            *last = sequence;
        }
    }
    let leases = lease_writes(input);
    let groups: BTreeSet<&str> = leases.iter().map(|(_, lease)| lease.group.as_str()).collect();
    let progress: BTreeMap<(&str, &str), &Progress> =
        leases.iter().map(|(_, lease)| ((lease.group.as_str(), lease.shard.as_str()), &lease.progress)).collect();
    for ((group, shard), last) in last_records.into_iter().filter(|((group, _), _)| groups.contains(group)) {
        let progress = progress.get(&(group, shard)).copied();
        examination.expect(progress.is_some_and(|progress| progress.includes(last)), || {
            let what = format!("`{group}` is not done with shard {shard}, which ends with record {last}.");
            Violation::new(what)
                .key(format!("{}/{group}/{shard}", settings.leases_table))
                .evidence(format!("its lease says {progress:?}"))
        });
    }
}
