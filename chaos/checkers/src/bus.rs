//! What the bus carried, read from the ground truth once and kept sorted for questions.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    CheckInput, CheckSettings, MessageStep, MessageStepKind, StorageWrite,
    item::{StoredEvent, events_written, number, text},
};

/// An event as streams and queues carry it.
#[derive(Deserialize)]
struct CarriedEvent {
    stream: String,
    version: u64,
    event_id: String,
    event_type: String,
    schema_version: u64,
    payload: String,
    recorded_at_ms: u64,
    envelope: CarriedEnvelope,
    previous_hash: String,
    hash: String,
}

#[derive(Deserialize)]
struct CarriedEnvelope {
    command_id: String,
    causation_id: String,
    correlation_id: String,
    trace_context: Option<String>,
}

/// The event in a message's body, in the form in which it is compared with storage; `None` if the body is no event.
pub(crate) fn carried_event(body: &str) -> Option<StoredEvent> {
    let event: CarriedEvent = serde_json::from_str(body).ok()?;
    Some(StoredEvent {
        stream: event.stream,
        version: event.version,
        event_id: event.event_id,
        event_type: event.event_type,
        schema_version: event.schema_version,
        payload: event.payload,
        recorded_at_ms: event.recorded_at_ms,
        command_id: event.envelope.command_id,
        causation_id: event.envelope.causation_id,
        correlation_id: event.envelope.correlation_id,
        trace_context: event.envelope.trace_context,
        previous_hash: event.previous_hash,
        hash: event.hash,
    })
}

/// What two carriers of one event have in common, or the whole body where it is no event.
pub(crate) fn letter_of(body: &str) -> String {
    carried_event(body).map_or_else(|| body.to_owned(), |event| event.event_id)
}

/// Records that the core stream took, in order of acceptance.
pub(crate) fn core_records(input: &CheckInput) -> impl Iterator<Item = &MessageStep> {
    let stream = input.settings.core_stream.as_str();
    accepted(input, "kinesis").filter(move |step| step.place.split('/').next() == Some(stream))
}

/// Messages that the background topic took, in order of acceptance.
pub(crate) fn topic_messages(input: &CheckInput) -> impl Iterator<Item = &MessageStep> {
    accepted(input, "sns").filter(|step| step.place == input.settings.background_topic)
}

fn accepted<'i>(input: &'i CheckInput, service: &'static str) -> impl Iterator<Item = &'i MessageStep> {
    let is_it = move |step: &&MessageStep| step.step == MessageStepKind::Accepted && step.service == service;
    input.truth.messages.iter().filter(is_it)
}

/// Steps of messages in the notification queue and the dead-letter queues.
pub(crate) fn queue_steps(input: &CheckInput) -> impl Iterator<Item = &MessageStep> {
    let settings = &input.settings;
    let is_it = move |place: &str| place == settings.notification_queue || settings.is_dead_letter_queue(place);
    input.truth.messages.iter().filter(move |step| step.service == "sqs" && is_it(&step.place))
}

/// Changes of one table, in the order in which they took effect.
pub(crate) fn writes_of<'i>(input: &'i CheckInput, table: &'i str) -> impl Iterator<Item = &'i StorageWrite> {
    input.truth.writes.iter().filter(move |write| write.table == table)
}

/// By event id: when its effect was first recorded in the outbox.
pub(crate) fn effects(input: &CheckInput) -> BTreeMap<String, u64> {
    let mut effects = BTreeMap::new();
    for write in writes_of(input, &input.settings.outbox_table) {
        if let Some(id) = write.new_image.as_ref().and_then(|image| text(image, "pk").ok()) {
            effects.entry(id).or_insert(write.at_ns);
        }
    }
    effects
}

/// Letters in quarantine: when each was first kept, by its id and by what its body carries.
pub(crate) fn quarantined(input: &CheckInput) -> BTreeMap<String, u64> {
    let mut letters: BTreeMap<String, u64> = BTreeMap::new();
    for write in writes_of(input, &input.settings.quarantine_table) {
        let Some(image) = &write.new_image else { continue };
        if let Ok(id) = text(image, "pk") {
            letters.entry(id).or_insert(write.at_ns);
        }
        if let Ok(body) = text(image, "body") {
            letters.entry(letter_of(&body)).or_insert(write.at_ns);
        }
    }
    letters
}

/// Where parked aggregates stood, and when.
#[derive(Default)]
pub(crate) struct Parking {
    /// By consumer and key, in the order in which they were written.
    standings: BTreeMap<(String, String), Vec<Standing>>,
}

/// One image of an entry, from its write until the next.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub from_ns: u64,
    /// `None`: to the end.
    pub until_ns: Option<u64>,
    /// `None`: a record that does not tell its version waits first, so all versions do.
    pub first_version: Option<u64>,
    pub last_version: Option<u64>,
    pub reason: String,
    pub body: String,
    /// What is said of it to whoever looks at it.
    pub detail: String,
    /// The write put an entry where none was.
    pub is_new: bool,
}

impl Standing {
    pub(crate) fn covers(&self, version: u64) -> bool {
        self.first_version.is_none_or(|first| first <= version) && self.last_version.is_some_and(|last| version <= last)
    }
}

impl Parking {
    pub(crate) fn of(input: &CheckInput) -> Self {
        let mut parking = Self::default();
        for write in writes_of(input, &input.settings.parked_table) {
            let Some(image) = write.new_image.as_ref().or(write.old_image.as_ref()) else { continue };
            let (Ok(consumer), Ok(key)) = (text(image, "pk"), text(image, "sk")) else { continue };
            let standings = parking.standings.entry((consumer, key)).or_default();
            if let Some(last) = standings.last_mut() {
                last.until_ns.get_or_insert(write.at_ns);
            }
            if let Some(image) = &write.new_image {
                standings.push(Standing {
                    from_ns: write.at_ns,
                    until_ns: None,
                    first_version: number(image, "first_version").ok(),
                    last_version: number(image, "last_version").ok(),
                    reason: text(image, "reason").unwrap_or_default(),
                    body: text(image, "body").unwrap_or_default(),
                    detail: text(image, "detail").unwrap_or_default(),
                    is_new: write.old_image.is_none(),
                });
            }
        }
        parking
    }

    pub(crate) fn standings(&self, consumer: &str, key: &str) -> &[Standing] {
        self.standings.get(&(consumer.to_owned(), key.to_owned())).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str, &[Standing])> {
        self.standings
            .iter()
            .map(|((consumer, key), standings)| (consumer.as_str(), key.as_str(), standings.as_slice()))
    }

    /// The first version of the aggregate that waits at the end; `None` if none does.
    pub(crate) fn waits_from(&self, consumer: &str, key: &str) -> Option<u64> {
        let last = self.standings(consumer, key).last().filter(|last| last.until_ns.is_none())?;
        Some(last.first_version.unwrap_or(1))
    }

    /// When an entry first told that this version waits.
    pub(crate) fn covered_ns(&self, consumer: &str, key: &str, version: u64) -> Option<u64> {
        let covering = self.standings(consumer, key).iter().find(|standing| standing.covers(version));
        covering.map(|standing| standing.from_ns)
    }

    /// Whether any entry of the key stood between both moments.
    pub(crate) fn stood_between(&self, consumer: &str, key: &str, from_ns: u64, until_ns: u64) -> bool {
        let overlaps = |standing: &Standing| {
            standing.from_ns <= until_ns && standing.until_ns.is_none_or(|gone_ns| gone_ns >= from_ns)
        };
        self.standings(consumer, key).iter().any(overlaps)
    }
}

/// Letters of which a message was purged by an operator of whom the settings tell. A purge that the system itself called for
/// has a call, and is no excuse.
pub(crate) fn purged_by_operator(input: &CheckInput) -> BTreeSet<String> {
    if !input.settings.operator_purges {
        return BTreeSet::new();
    }
    let mut carried: BTreeMap<(&str, &str), String> = BTreeMap::new();
    let mut purged = BTreeSet::new();
    for step in queue_steps(input) {
        let id = (step.place.as_str(), step.message_id.as_str());
        match step.step {
            MessageStepKind::Accepted => _ = carried.insert(id, letter_of(&step.body)),
            MessageStepKind::Purged if step.call_sequence == 0 => purged.extend(carried.get(&id).cloned()),
            _ => {}
        }
    }
    purged
}

/// Aggregates, records and messages that a fault made unprocessable.
pub(crate) struct Poison<'i> {
    names: BTreeSet<&'i str>,
    /// Streams and partition keys under which something of it came.
    pub keys: BTreeSet<String>,
}

impl<'i> Poison<'i> {
    pub(crate) fn of(input: &'i CheckInput) -> Self {
        let names: BTreeSet<&str> = input.settings.poison_events.iter().map(String::as_str).collect();
        let mut poison = Self { names, keys: BTreeSet::new() };
        if poison.names.is_empty() {
            return poison;
        }
        let mut keys = BTreeSet::new();
        for (_, event) in events_written(input) {
            if poison.has_event(&event) {
                keys.insert(event.stream);
            }
        }
        for record in &input.truth.stream {
            if poison.has(&record.sequence_number) {
                keys.extend(record.key.split('/').nth(1).map(str::to_owned));
            }
        }
        for step in input.truth.messages.iter().filter(|step| step.step == MessageStepKind::Accepted) {
            if poison.has_message(step) {
                keys.insert(step.key.clone());
                keys.extend(carried_event(&step.body).map(|event| event.stream));
            }
        }
        keys.extend(poison.names.iter().map(|name| place_of(name).map_or(*name, |(stream, _)| stream).to_owned()));
        poison.keys = keys;
        poison
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn has_event(&self, event: &StoredEvent) -> bool {
        self.has(&event.event_id) || self.has(&format!("{}/{}", event.stream, event.version))
    }

    pub(crate) fn has_message(&self, step: &MessageStep) -> bool {
        !self.names.is_empty()
            && (self.has(&step.message_id) || carried_event(&step.body).is_some_and(|event| self.has_event(&event)))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'i str> {
        self.names.iter().copied()
    }
}

/// Reads `stream/version`.
pub(crate) fn place_of(name: &str) -> Option<(&str, u64)> {
    let (stream, version) = name.rsplit_once('/')?;
    Some((stream, version.parse().ok()?))
}

/// Decimal numbers of any length, compared as numbers.
pub(crate) fn compare_sequences(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// A text of a DynamoDB image that may be absent.
pub(crate) fn optional_text(image: &Value, attribute: &'static str) -> Option<String> {
    text(image, attribute).ok()
}

impl CheckSettings {
    pub(crate) fn is_dead_letter_queue(&self, place: &str) -> bool {
        place == self.notification_dlq || place == self.background_dlq
    }

    pub(crate) fn is_core(&self, event_type: &str) -> bool {
        self.core_event_types.iter().any(|core| core == event_type)
    }

    /// When what was committed then must have arrived at the latest.
    pub(crate) fn delivery_due_ns(&self, committed_ns: u64) -> u64 {
        committed_ns.max(self.healed_at_ns).saturating_add(self.delivery_bound_ns)
    }

    /// Whether it is certain that what is missing at the end will never come: it was due, or the system had finished
    /// its work and was watched for a while longer.
    pub(crate) fn is_missing_for_good(&self, due_ns: u64) -> bool {
        due_ns <= self.ended_at_ns || self.is_drained()
    }

    /// Whether the record goes on after the drain.
    pub(crate) fn is_drained(&self) -> bool {
        self.drain_ended_at_ns < self.ended_at_ns
    }
}
