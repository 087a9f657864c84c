//! A checkpoint never tells a record as done that has not had its durable effect.

use std::collections::{BTreeMap, BTreeSet};

use super::leases::{Progress, lease_writes};
use crate::{
    AwsCall, CheckInput, MessageStepKind, Needs, Violation,
    bus::{Parking, carried_event, compare_sequences, core_records, topic_messages, writes_of},
    checks::Check,
    finding::Examination,
    item::{StoredEvent, number, text},
};

pub(crate) const CHECKPOINT_NEVER_AHEAD: Check = Check {
    name: "checkpoint-never-ahead",
    needs: Needs::GroundTruth,
    describe: "At every write of a lease, each record that it tells as done has had its effect or is parked: routed, for the router; in the view, for the projection.",
    run: checkpoint_never_ahead,
};

pub(crate) const CHECKPOINT_BEFORE_PROCESSING: Check = Check {
    name: "lint-checkpoint-before-processing",
    needs: Needs::GroundTruth,
    describe: "A checkpoint tells no record as done that came after its writer's last successful read.",
    run: checkpoint_before_processing,
};

/// DynamoDB keeps a stream's records this long. What was gone before it could be read is repaired otherwise.
const TABLE_STREAM_RETENTION_NS: u64 = 24 * 3600 * 1_000_000_000;

/// A record of a shard, as far as it can be understood.
struct ShardRecord<'i> {
    sequence: &'i str,
    at_ns: u64,
    key: String,
    event: Option<StoredEvent>,
    /// Nobody could read it from here on.
    gone_ns: u64,
}

/// When events had their effects.
struct Effects {
    /// By stream and version: accepted by the core stream or the topic.
    routed_ns: BTreeMap<(String, u64), u64>,
    /// By stream: the versions that its view came to, and when; both ascend.
    viewed_ns: BTreeMap<String, Vec<(u64, u64)>>,
    parking: Parking,
}

impl Effects {
    fn of(input: &CheckInput) -> Self {
        let mut routed_ns = BTreeMap::new();
        for step in core_records(input).chain(topic_messages(input)) {
            if let Some(event) = carried_event(&step.body) {
                let first = routed_ns.entry((event.stream, event.version)).or_insert(step.at_ns);
                *first = step.at_ns.min(*first);
            }
        }
        let mut viewed_ns: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        for write in writes_of(input, &input.settings.views_table) {
            let Some(image) = &write.new_image else { continue };
            let (Ok(stream), Ok(version)) = (text(image, "pk"), number(image, "version")) else { continue };
            let steps = viewed_ns.entry(stream).or_default();
            if steps.last().is_none_or(|(highest, _)| *highest < version) {
                steps.push((version, write.at_ns));
            }
        }
        Self { routed_ns, viewed_ns, parking: Parking::of(input) }
    }

    /// When the version was durable for this consumer; `None` if it never was.
    fn durable_ns(&self, is_router: bool, consumer: &str, event: &StoredEvent) -> Option<u64> {
        let had_ns = if is_router {
            self.routed_ns.get(&(event.stream.clone(), event.version)).copied()
        } else {
            let steps = self.viewed_ns.get(&event.stream).map_or(&[][..], Vec::as_slice);
            steps.get(steps.partition_point(|(version, _)| *version < event.version)).map(|(_, at_ns)| *at_ns)
        };
        let parked_ns = self.parking.covered_ns(consumer, &event.stream, event.version);
        had_ns.into_iter().chain(parked_ns).min()
    }
}

fn checkpoint_never_ahead(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let writes = lease_writes(input);
    if writes.is_empty() {
        return;
    }
    let effects = Effects::of(input);
    let table_shards = table_shards(input);
    let core_shards = core_shards(input);
    let mut done: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    for (write, lease) in &writes {
        let is_router = lease.group == settings.router_group;
        if !is_router && lease.group != settings.projection_group || lease.progress == Progress::Untouched {
            continue;
        }
        let shards = if is_router { &table_shards } else { &core_shards };
        let records = shards.get(lease.shard.as_str()).map_or(&[][..], Vec::as_slice);
        let first = done.entry((is_router, &lease.shard)).or_default();
        let told = records[*first..]
            .iter()
            .take_while(|record| record.at_ns <= write.at_ns && lease.progress.includes(record.sequence));
        let told = told.count();
        for record in &records[*first..*first + told] {
            let is_durable = record.gone_ns <= write.at_ns
                || match &record.event {
                    Some(event) => effects
                        .durable_ns(is_router, &lease.group, event)
                        .is_some_and(|durable_ns| durable_ns <= write.at_ns),
                    None => effects.parking.stood_between(&lease.group, &record.key, record.at_ns, write.at_ns),
                };
            examination.expect(is_durable, || {
                let what = format!("A checkpoint of `{}` tells a record as done that has had no effect.", lease.group);
                let told = record.event.as_ref().map_or("no event".to_owned(), StoredEvent::label);
                Violation::new(what)
                    .key(&write.key)
                    .key(&record.key)
                    .at(write.at_ns)
                    .evidence(format!("record {} in {}: {told}", record.sequence, lease.shard))
                    .evidence(format!(
                        "call {} wrote {:?} under epoch {}",
                        write.call_sequence, lease.progress, lease.epoch
                    ))
            });
        }
        *first += told;
    }
}

fn checkpoint_before_processing(input: &CheckInput, examination: &mut Examination) {
    let writes = lease_writes(input);
    if writes.is_empty() {
        return;
    }
    let callers: BTreeMap<u64, &str> =
        input.truth.calls.iter().map(|call| (call.sequence, call.caller.as_str())).collect();
    let mut reads_ns: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    let is_read = |call: &&AwsCall| call.operation == "GetRecords" && call.status == 200 && call.delivered;
    for call in input.truth.calls.iter().filter(is_read) {
        reads_ns.entry(&call.caller).or_default().insert(call.finished_ns.unwrap_or(call.at_ns));
    }
    let shards = [core_shards(input), table_shards(input)];
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    for (write, lease) in &writes {
        let is_router = lease.group == input.settings.router_group;
        let records = shards[usize::from(is_router)].get(lease.shard.as_str()).map_or(&[][..], Vec::as_slice);
        let first = done.entry(&write.key).or_default();
        let told = records[*first..].iter().take_while(|record| lease.progress.includes(record.sequence)).count();
        let readable = |record: &&ShardRecord<'_>| record.at_ns <= write.at_ns && write.at_ns < record.gone_ns;
        let newest = records[*first..*first + told].iter().filter(readable).max_by_key(|record| record.at_ns);
        *first += told;
        let (Some(newest), Some(caller)) = (newest, callers.get(&write.call_sequence)) else { continue };
        let last_read_ns = reads_ns.get(caller).and_then(|reads_ns| reads_ns.range(..=write.at_ns).next_back());
        examination.expect(last_read_ns.is_some_and(|read_ns| *read_ns >= newest.at_ns), || {
            Violation::new("A checkpoint tells a record as done that its writer cannot have read.")
                .key(&write.key)
                .at(write.at_ns)
                .evidence(format!("record {} came at {} ns", newest.sequence, newest.at_ns))
                .evidence(format!("{caller} last read at {last_read_ns:?} ns"))
        });
    }
}

/// By shard of the event table's stream: its records by sequence number.
fn table_shards(input: &CheckInput) -> BTreeMap<&str, Vec<ShardRecord<'_>>> {
    let mut shards: BTreeMap<&str, Vec<ShardRecord<'_>>> = BTreeMap::new();
    for record in input.truth.stream.iter().filter(|record| record.table == input.settings.events_table) {
        // What is no new event asks for nothing but to be set aside.
        let event = record.new_image.as_ref().filter(|_| record.event_name == "INSERT");
        shards.entry(&record.shard).or_default().push(ShardRecord {
            sequence: &record.sequence_number,
            at_ns: record.at_ns,
            key: record.key.split('/').nth(1).unwrap_or_default().to_owned(),
            event: event.and_then(|image| StoredEvent::read(image).ok()),
            gone_ns: record.at_ns.saturating_add(TABLE_STREAM_RETENTION_NS),
        });
    }
    sorted(shards)
}

/// By shard of the core stream: its records by sequence number.
fn core_shards(input: &CheckInput) -> BTreeMap<&str, Vec<ShardRecord<'_>>> {
    let trimmed: BTreeMap<(&str, &str), u64> = input
        .truth
        .messages
        .iter()
        .filter(|step| step.step == MessageStepKind::Trimmed)
        .map(|step| ((step.place.as_str(), step.message_id.as_str()), step.at_ns))
        .collect();
    let mut shards: BTreeMap<&str, Vec<ShardRecord<'_>>> = BTreeMap::new();
    for record in core_records(input) {
        let shard = record.place.split_once('/').map_or("", |(_, shard)| shard);
        shards.entry(shard).or_default().push(ShardRecord {
            sequence: &record.message_id,
            at_ns: record.at_ns,
            key: record.key.clone(),
            event: carried_event(&record.body).filter(|event| event.stream == record.key),
            gone_ns: trimmed.get(&(record.place.as_str(), record.message_id.as_str())).copied().unwrap_or(u64::MAX),
        });
    }
    sorted(shards)
}

fn sorted<'i>(mut shards: BTreeMap<&'i str, Vec<ShardRecord<'i>>>) -> BTreeMap<&'i str, Vec<ShardRecord<'i>>> {
    for records in shards.values_mut() {
        records.sort_by(|one, other| compare_sequences(one.sequence, other.sequence));
    }
    shards
}
