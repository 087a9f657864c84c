//! Steps out of the journal of AWS.

use std::collections::{BTreeMap, BTreeSet};

use nexus_cloud::{Call, CallOutcome, JournalEntry, MessageStep, MessageStepKind as Kind, Service, UnixNanos};
use nexus_reports_story::{MessageOutcome, StepKind};
use serde_json::Value;

use super::{
    draft::{Draft, DraftMessage, Drafts, MessageNature, Nature},
    queues::Queues,
    words,
};
use crate::{
    backlog::event_id_of,
    play::{EPOCH_UNIX_NS, Played},
};

/// How consumers ask for work; a call of these that brought nothing is a poll.
const ASKING: [&str; 7] = [
    "DescribeStream",
    "DescribeStreamSummary",
    "ListShards",
    "GetShardIterator",
    "GetRecords",
    "ReceiveMessage",
    "Scan",
];
/// Keys that a call's text names.
const KEYS_TOLD: usize = 3;

pub fn at_us(at: UnixNanos) -> u64 {
    at.0.saturating_sub(EPOCH_UNIX_NS) / 1_000
}

/// What the entries of the journal tell about each other.
struct Journal<'p> {
    callers: BTreeMap<u64, &'p str>,
    /// Calls that handed out a message.
    bringing: BTreeSet<u64>,
    /// By event id: its place in the event table, `stream/version`.
    events: BTreeMap<&'p str, String>,
    /// By the id of a message: the event in it. Only the first step of a message carries its body.
    bodies: BTreeMap<&'p str, String>,
}

pub fn add(drafts: &mut Drafts, played: &Played) {
    let journal = Journal::read(&played.journal);
    let mut queues = Queues::default();
    for entry in &played.journal {
        match entry {
            JournalEntry::Call { call, outcome } => drafts.push(journal.call(call, outcome)),
            JournalEntry::Write { call_sequence, at, table, key, old_image, new_image } => {
                let images = (old_image.as_deref(), new_image.as_deref());
                drafts.push(write(*call_sequence, at_us(*at), table, key, images));
            }
            JournalEntry::StreamRecord { at, table, shard, event_name, key, new_image, .. } => {
                drafts.push(record(
                    at_us(*at),
                    (table.as_str(), shard.as_str(), event_name.as_str()),
                    key,
                    new_image.as_deref(),
                ));
            }
            JournalEntry::Message(step) => drafts.push(journal.message(step, &mut queues)),
            // The calls about schemas are steps of their own; how the registry judges is in the trace.
            JournalEntry::SchemaVersion(_) => {}
        }
    }
}

impl<'p> Journal<'p> {
    fn read(entries: &'p [JournalEntry]) -> Self {
        let mut journal = Self {
            callers: BTreeMap::new(),
            bringing: BTreeSet::new(),
            events: BTreeMap::new(),
            bodies: BTreeMap::new(),
        };
        for entry in entries {
            match entry {
                JournalEntry::Call { call, .. } => {
                    journal.callers.insert(call.sequence, &call.caller);
                }
                JournalEntry::Message(step) => {
                    if step.step == Kind::Received {
                        journal.bringing.insert(step.call_sequence);
                    }
                    if let Some(event_id) = event_id_of(&step.body) {
                        journal.bodies.insert(&step.message_id, event_id);
                    }
                }
                JournalEntry::Write { table, new_image: Some(image), .. } if table == "nexus-events" => {
                    if let (Some(id), Some(place)) = (words::attribute(image, "event_id"), place_of(image)) {
                        journal.events.insert(id, place);
                    }
                }
                _ => {}
            }
        }
        journal
    }

    fn call(&self, call: &Call, outcome: &CallOutcome) -> Draft {
        let is_poll = ASKING.contains(&call.operation.as_str())
            && !call.is_write
            && outcome.status == 200
            && outcome.delivered
            && !self.bringing.contains(&call.sequence);
        let kind = if is_poll { StepKind::Poll } else { StepKind::Call };
        let result = result_of(outcome);
        let text = format!("call {}: {}{} → {result}", call.sequence, call.operation, keys_told(&call.keys));
        let mut draft = Draft::new(at_us(call.at), &call.caller, kind, text);
        draft.until_us = Some(at_us(outcome.at));
        draft.service = Some(call.service.to_string());
        draft.aggregate = single(call.keys.iter().filter_map(|key| aggregate_in(key)));
        draft.call = Some(call.sequence);
        draft.tokens = call.keys.clone();
        draft.tokens.push(format!("call {}", call.sequence));
        draft.tokens.extend(call.client_token.clone());
        draft.nature = Nature::Call {
            client_token: call.client_token.clone(),
            invocation_id: call.invocation_id.clone(),
            service_operation: format!("{}/{}", call.service, call.operation),
            is_write: call.is_write,
        };
        let endpoint = call.service.name().to_owned();
        // Calls inside AWS have no way between hosts.
        if endpoint != call.caller {
            draft.messages.push(DraftMessage {
                from: call.caller.clone(),
                to: endpoint.clone(),
                sent_us: None,
                arrived_us: Some(at_us(call.at)),
                outcome: MessageOutcome::Delivered,
                is_answer: false,
                label: format!("{}{}", call.operation, keys_told(&call.keys)),
            });
            let is_fine = outcome.status < 400;
            draft.messages.push(DraftMessage {
                from: endpoint,
                to: call.caller.clone(),
                sent_us: Some(at_us(outcome.at)),
                arrived_us: None,
                outcome: match (outcome.delivered, is_fine) {
                    (false, _) => MessageOutcome::Lost,
                    (true, true) => MessageOutcome::Delivered,
                    (true, false) => MessageOutcome::Refused,
                },
                is_answer: true,
                label: result,
            });
        }
        draft
    }

    fn message(&self, step: &MessageStep, queues: &mut Queues) -> Draft {
        let at_us = at_us(step.at);
        let event_id = self.bodies.get(step.message_id.as_str()).cloned();
        let place = event_id.as_deref().and_then(|id| self.events.get(id));
        let visible_since_us = queues.visible_since_us(&step.place, &step.message_id);
        let event = match (&event_id, place) {
            (Some(id), Some(place)) => format!(", event {place} ({id})"),
            (Some(id), None) => format!(", event {id}"),
            (None, _) => String::new(),
        };
        let receives = if step.receive_count > 0 { format!(", receive {}", step.receive_count) } else { String::new() };
        let note =
            if step.note.is_empty() { String::new() } else { format!(" ({})", words::shortened(&step.note, 90)) };
        let text = format!("{:?} in {}: message {}{event}{receives}{note}", step.step, step.place, step.message_id);
        let mut draft = Draft::new(at_us, step.service.name(), StepKind::Message, text);
        draft.service = Some(step.service.to_string());
        draft.aggregate = place.and_then(|place| place.rsplit_once('/')).map(|(stream, _)| stream.to_owned());
        draft.call = (step.call_sequence > 0).then_some(step.call_sequence);
        draft.tokens = vec![step.message_id.clone()];
        draft.tokens.extend(event_id.clone());
        draft.tokens.extend(place.cloned());
        draft.changes.extend(queues.take(step, at_us));
        let nature = match step.step {
            Kind::Accepted => MessageNature::Accepted,
            Kind::Received => MessageNature::Received,
            _ => MessageNature::Other,
        };
        draft.nature = Nature::Message { message_id: step.message_id.clone(), event_id, step: nature };
        self.carry(&mut draft, step, visible_since_us);
        draft
    }

    /// The way of a message out of a queue or a topic.
    fn carry(&self, draft: &mut Draft, step: &MessageStep, visible_since_us: Option<u64>) {
        let to = match (step.service, step.step) {
            (Service::Sqs, Kind::Received) => self.callers.get(&step.call_sequence).map(|caller| (*caller).to_owned()),
            (Service::Sns, Kind::Delivered) => Some(Service::Sqs.name().to_owned()),
            _ => None,
        };
        let Some(to) = to.filter(|to| *to != step.service.name()) else { return };
        draft.messages.push(DraftMessage {
            from: step.service.name().to_owned(),
            to,
            sent_us: visible_since_us,
            arrived_us: Some(draft.at_us),
            outcome: MessageOutcome::Delivered,
            is_answer: false,
            label: format!("message {} of {}", step.message_id, step.place),
        });
    }
}

fn result_of(outcome: &CallOutcome) -> String {
    let error = outcome.error.as_ref().map(|error| format!(" {error}")).unwrap_or_default();
    let codes: Vec<&str> =
        outcome.cancellation_codes.iter().map(String::as_str).filter(|code| *code != "None").collect();
    let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
    let applied = if outcome.applied { ", applied" } else { "" };
    let lost = if outcome.delivered { "" } else { ", answer lost" };
    // A call that hangs has no status at all.
    let status = if outcome.status == 0 { "nothing".to_owned() } else { outcome.status.to_string() };
    format!("{status}{error}{codes}{applied}{lost}")
}

fn keys_told(keys: &[String]) -> String {
    let told: Vec<&str> = keys.iter().take(KEYS_TOLD).map(String::as_str).collect();
    match keys.len().saturating_sub(KEYS_TOLD) {
        _ if told.is_empty() => String::new(),
        0 => format!(" {}", told.join(" ")),
        more => format!(" {} and {more} more", told.join(" ")),
    }
}

fn place_of(image: &Value) -> Option<String> {
    Some(format!("{}/{}", words::attribute(image, "pk")?, words::attribute(image, "sk")?))
}

/// The aggregate in a key of a call, where it has one.
fn aggregate_in(key: &str) -> Option<String> {
    let (place, rest) = key.split_once('/')?;
    let name = match place {
        "nexus-events" | "nexus-views" | "nexus-core" => rest.split('/').next()?,
        _ => return None,
    };
    (!name.is_empty() && !name.starts_with("shardId-")).then(|| name.to_owned())
}

fn single(names: impl Iterator<Item = String>) -> Option<String> {
    let names: BTreeSet<String> = names.collect();
    (names.len() == 1).then(|| names.into_iter().next()).flatten()
}

fn write(
    call: u64,
    at_us: u64,
    table: &str,
    key: &str,
    (old_image, new_image): (Option<&Value>, Option<&Value>),
) -> Draft {
    let verb = match (old_image, new_image) {
        (None, Some(_)) => "put",
        (Some(_), Some(_)) => "replaced",
        (_, None) => "deleted",
    };
    let told = new_image.map_or(String::new(), |image| format!(": {}", words::item(image)));
    let mut draft = Draft::new(at_us, Service::Dynamodb.name(), StepKind::Write, format!("{key} {verb}{told}"));
    let name = key.strip_prefix(table).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
    let event_id = new_image.and_then(|image| words::attribute(image, "event_id")).map(str::to_owned);
    draft.service = Some(Service::Dynamodb.to_string());
    draft.call = (call > 0).then_some(call);
    draft.aggregate = aggregate_in(key);
    draft.tokens = vec![key.to_owned(), name.to_owned()];
    draft.tokens.extend(event_id.clone());
    draft.tokens.extend(new_image.and_then(|image| words::attribute(image, "command_id")).map(str::to_owned));
    draft.tokens.extend(draft.aggregate.clone());
    if table == "nexus-views"
        && let Some(version) = new_image.and_then(|image| words::attribute(image, "version"))
    {
        draft.tokens.push(format!("{name}/{version}"));
    }
    let (of, name) = state_of(table, name);
    draft.changes.push((of.to_owned(), name, new_image.map(words::item)));
    draft.nature = Nature::Write { key: key.to_owned(), was_there: old_image.is_some(), event_id };
    draft
}

/// What an item of a table is a state of. All versions of an aggregate are one thing: its newest.
fn state_of<'t>(table: &'t str, name: &str) -> (&'t str, String) {
    let of = match table {
        "nexus-events" => return ("aggregate", name.rsplit_once('/').map_or(name, |(stream, _)| stream).to_owned()),
        "nexus-views" => "view",
        "nexus-leases" => "lease",
        "nexus-outbox" => "notification",
        "nexus-parked" => "parked",
        "nexus-quarantine" => "quarantine",
        "nexus-idempotency" => "answer kept under",
        other => other,
    };
    (of, name.to_owned())
}

fn record(at_us: u64, (table, shard, event_name): (&str, &str, &str), key: &str, image: Option<&Value>) -> Draft {
    let text = format!("{key} readable in the stream of {table} ({event_name}, {shard})");
    let mut draft = Draft::new(at_us, Service::DynamodbStreams.name(), StepKind::Record, text);
    let event_id = image.and_then(|image| words::attribute(image, "event_id")).map(str::to_owned);
    draft.service = Some(Service::DynamodbStreams.to_string());
    draft.aggregate = aggregate_in(key);
    draft.tokens = vec![key.to_owned()];
    draft.tokens.extend(event_id.clone());
    draft.tokens.extend(key.strip_prefix(table).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned));
    draft.nature = Nature::Record { key: key.to_owned(), event_id };
    draft
}
