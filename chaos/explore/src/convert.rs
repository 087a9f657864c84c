//! From what a played trial left behind to what checkers judge.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_checkers::{
    AwsCall, CheckInput, CheckSettings, GroundTruth, MessageStep, MessageStepKind, RegisteredSchema, SchemaVersionStep,
    StorageWrite, StreamRecord, TamperedEvent, ToldMetric,
};
use nexus_cloud::{Call, CallOutcome, JournalEntry};
use nexus_faults::{EnvironmentFault, Fault};
use nexus_scenario::host_names;
use nexus_world::{meters::MeterReading, registry};
use serde_json::Value;

use crate::{
    backlog::{EVENTS_TABLE, ROGUE_PREFIX, event_id_of},
    play::{EPOCH_UNIX_NS, Played, QUIET},
    trial::Trial,
};

/// A record of the table's stream may be this much later than the model's longest lag: it waits for those before it.
const STREAM_SLACK_NS: u64 = 100_000_000;

/// The input of every checker.
pub fn check_input(trial: &Trial, played: &Played) -> CheckInput {
    CheckInput {
        observation: played.observation.clone(),
        truth: ground_truth(played),
        told: played.told.iter().map(told_metric).collect(),
        settings: settings(trial, played),
    }
}

fn told_metric(reading: &MeterReading) -> ToldMetric {
    let dimensions = reading.dimensions.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    ToldMetric {
        host: reading.host.clone(),
        name: reading.name.to_owned(),
        dimensions: dimensions.collect(),
        measurements: reading.measurements,
        sum: reading.sum,
    }
}

fn ground_truth(played: &Played) -> GroundTruth {
    let mut truth = GroundTruth { final_items: played.final_items.iter().cloned().collect(), ..GroundTruth::default() };
    if let Some(events) = truth.final_items.get_mut(EVENTS_TABLE) {
        events.retain(|item| !item["pk"]["S"].as_str().is_some_and(|stream| stream.starts_with(ROGUE_PREFIX)));
    }
    let forgeries = Forgeries::of(played);
    forgeries.undo(&mut truth);
    for entry in &played.journal {
        if forgeries.has(entry) {
            continue;
        }
        match entry {
            JournalEntry::Call { call, outcome } => truth.calls.push(aws_call(call, outcome)),
            JournalEntry::Message(step) => truth.messages.push(message_step(step)),
            JournalEntry::SchemaVersion(step) => truth.schema_versions.push(SchemaVersionStep {
                at_ns: step.at.0,
                schema: step.schema.clone(),
                version_id: step.version_id.clone(),
                status: step.status.name().to_owned(),
                definition: step.definition.to_string(),
            }),
            // What a rogue writer put into the table is not the system's history; its way behind the table is judged.
            JournalEntry::Write { table, key, .. } | JournalEntry::StreamRecord { table, key, .. }
                if is_rogue(table, key) => {}
            JournalEntry::Write { call_sequence, at, table, key, old_image, new_image } => {
                truth.writes.push(StorageWrite {
                    call_sequence: *call_sequence,
                    at_ns: at.0,
                    table: table.clone(),
                    key: key.clone(),
                    old_image: old_image.clone(),
                    new_image: new_image.clone(),
                });
            }
            JournalEntry::StreamRecord { at, table, shard, sequence_number, event_name, key, new_image } => {
                truth.stream.push(StreamRecord {
                    at_ns: at.0,
                    table: table.clone(),
                    shard: shard.clone(),
                    sequence_number: sequence_number.clone(),
                    event_name: event_name.clone(),
                    key: key.clone(),
                    new_image: new_image.clone(),
                });
            }
        }
    }
    // The journal is in order of completion; checkers read calls in order of arrival.
    truth.calls.sort_by_key(|call| call.sequence);
    truth
}

/// What was written behind the API. Whether the system notices is for a check of its own; to all others the history is what
/// the system wrote.
struct Forgeries {
    /// Key of each event that was forged and the moment of it, and what it was before.
    originals: BTreeMap<(String, u64), Arc<Value>>,
}

impl Forgeries {
    fn of(played: &Played) -> Self {
        let deed = |event: &TamperedEvent| (format!("{EVENTS_TABLE}/{}/{}", event.stream, event.version), event.at_ns);
        let deeds: BTreeSet<(String, u64)> = played.tampered.iter().map(deed).collect();
        let mut originals = BTreeMap::new();
        for entry in &played.journal {
            if let JournalEntry::Write { call_sequence: 0, at, key, old_image: Some(image), .. } = entry {
                let deed = (key.clone(), at.0);
                if deeds.contains(&deed) {
                    originals.insert(deed, image.clone());
                }
            }
        }
        Self { originals }
    }

    fn has(&self, entry: &JournalEntry) -> bool {
        let JournalEntry::Write { call_sequence: 0, at, key, .. } = entry else { return false };
        self.originals.contains_key(&(key.clone(), at.0))
    }

    /// Puts the originals back among the items that are there at the end.
    fn undo(&self, truth: &mut GroundTruth) {
        let Some(items) = truth.final_items.get_mut(EVENTS_TABLE) else { return };
        for original in self.originals.values() {
            items.retain(|item| (&item["pk"], &item["sk"]) != (&original["pk"], &original["sk"]));
            items.push(original.clone());
        }
    }
}

fn is_rogue(table: &str, key: &str) -> bool {
    let partition = key.strip_prefix(table).and_then(|rest| rest.strip_prefix('/'));
    table == EVENTS_TABLE && partition.is_some_and(|partition| partition.starts_with(ROGUE_PREFIX))
}

fn message_step(step: &nexus_cloud::MessageStep) -> MessageStep {
    use nexus_cloud::MessageStepKind as Kind;
    MessageStep {
        at_ns: step.at.0,
        call_sequence: step.call_sequence,
        service: step.service.to_string(),
        place: step.place.clone(),
        step: match step.step {
            Kind::Accepted => MessageStepKind::Accepted,
            Kind::Received => MessageStepKind::Received,
            Kind::Deleted => MessageStepKind::Deleted,
            Kind::Reappeared => MessageStepKind::Reappeared,
            Kind::DeadLettered => MessageStepKind::DeadLettered,
            Kind::Moved => MessageStepKind::Moved,
            Kind::Expired => MessageStepKind::Expired,
            Kind::Purged => MessageStepKind::Purged,
            Kind::Delivered => MessageStepKind::Delivered,
            Kind::Dropped => MessageStepKind::Dropped,
            Kind::Trimmed => MessageStepKind::Trimmed,
            Kind::Invoked => MessageStepKind::Invoked,
            Kind::Returned => MessageStepKind::Returned,
            Kind::Discarded => MessageStepKind::Discarded,
        },
        message_id: step.message_id.clone(),
        key: step.key.clone(),
        body: step.body.clone(),
        receive_count: step.receive_count,
        note: step.note.clone(),
    }
}

/// What nobody can work on: events of rogue writers, and messages that are no events.
fn poison(played: &Played) -> Vec<String> {
    let mut poison = Vec::new();
    for entry in &played.journal {
        match entry {
            JournalEntry::Write { table, key, new_image: Some(image), .. } if is_rogue(table, key) => {
                poison.extend(image["event_id"]["S"].as_str().map(str::to_owned));
                // Whoever parks it knows its place in the table, and not always what it calls itself.
                if let (Some(stream), Some(version)) = (image["pk"]["S"].as_str(), image["sk"]["N"].as_str()) {
                    poison.push(format!("{stream}/{version}"));
                }
            }
            JournalEntry::Message(step)
                if step.step == nexus_cloud::MessageStepKind::Accepted && event_id_of(&step.body).is_none() =>
            {
                poison.push(step.message_id.clone());
            }
            _ => {}
        }
    }
    poison
}

/// Where each event version is registered, if anybody asks.
fn registered_schemas(trial: &Trial) -> BTreeMap<String, RegisteredSchema> {
    if !trial.registry.is_asked {
        return BTreeMap::new();
    }
    registry::registered()
        .into_iter()
        .map(|(name, key, definition)| (name, RegisteredSchema { key, definition }))
        .collect()
}

/// Whether an operator was told to purge a queue, and did.
fn purged(trial: &Trial, played: &Played) -> bool {
    let is_purge = |id: u32| {
        trial.faults.iter().any(|planned| planned.id == id && planned.kind() == nexus_faults::FaultKind::QueuePurge)
    };
    played.firings.iter().any(|firing| is_purge(firing.fault_id))
}

/// The types that old releases among the hosts do not know.
fn event_types_forgotten(trial: &Trial) -> Vec<String> {
    let forgotten = trial.faults.iter().filter_map(|planned| match &planned.fault {
        Fault::Environment(
            EnvironmentFault::OldRelease { event_type, .. } | EnvironmentFault::Rollback { event_type, .. },
        ) => Some(event_type.clone()),
        _ => None,
    });
    forgotten.collect()
}

fn aws_call(call: &Call, outcome: &CallOutcome) -> AwsCall {
    AwsCall {
        sequence: call.sequence,
        at_ns: call.at.0,
        caller: call.caller.clone(),
        service: call.service.to_string(),
        operation: call.operation.clone(),
        keys: call.keys.clone(),
        is_write: call.is_write,
        is_transaction: call.is_transaction,
        is_eventual_read: call.is_eventual_read,
        client_token: call.client_token.clone(),
        status: outcome.status,
        error: outcome.error.clone(),
        cancellation_codes: outcome.cancellation_codes.clone(),
        applied: outcome.applied,
        delivered: outcome.delivered,
        finished_ns: Some(outcome.at.0),
    }
}

fn settings(trial: &Trial, played: &Played) -> CheckSettings {
    let ended_at_ns = EPOCH_UNIX_NS + played.summary.simulated.as_nanos() as u64;
    let healed_ms = trial.phases.chaos_window_ms().1;
    CheckSettings {
        service_hosts: host_names(trial.topology.command_services),
        registered_schemas: registered_schemas(trial),
        registry_trust_ns: (trial.registry.fresh_ms + trial.registry.stale_ms) * 1_000_000,
        token_window_ns: trial.assumptions.token_window_seconds * 1_000_000_000,
        healed_at_ns: EPOCH_UNIX_NS + healed_ms * 1_000_000,
        // A trial ends once it was quiet for this long. One that ran out of time over unanswered customers had no quiet
        // time to judge; the check of liveness speaks of it.
        drain_ended_at_ns: if played.debts.is_empty() && played.finished_operations == trial.workload.operations.len() {
            ended_at_ns.saturating_sub(QUIET.as_nanos() as u64)
        } else {
            ended_at_ns
        },
        ended_at_ns,
        stream_bound_ns: ((trial.assumptions.stream_lag_max_ms + trial.assumptions.stream_torn_max_ms) * 1_000_000.0)
            as u64
            + STREAM_SLACK_NS,
        // Whoever is told to be patient is judged by that patience.
        convergence_bound_ns: CheckSettings::default()
            .convergence_bound_ns
            .max(trial.service.customer_timeout_ms * 1_000_000),
        max_receive_count: nexus_world::bus::RECEIVES_MAX,
        visibility_ns: u64::from(trial.bus.visibility_s) * 1_000_000_000,
        // The whole drain is given to what has to go round by the dead letters.
        delivery_bound_ns: trial.phases.drain_ms * 1_000_000,
        poison_events: poison(played),
        event_types_forgotten: event_types_forgotten(trial),
        operator_purges: purged(trial, played),
        tampered: played.tampered.clone(),
        is_undisturbed: played.firings.is_empty(),
        patience_ns: trial.service.attempt_timeout_ms * 1_000_000,
        ..CheckSettings::default()
    }
}
