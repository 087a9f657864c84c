//! What committed events still owe: read from the cloud's journal as it grows, so that a trial knows when everything has
//! arrived.

use std::collections::{BTreeMap, BTreeSet};

use nexus_cloud::{JournalEntry, MessageStep, MessageStepKind, Service, UnixNanos};
use serde::Deserialize;
use serde_json::Value;

/// Aggregates of rogue writers, whose events nobody can work on.
pub const ROGUE_PREFIX: &str = "rogue-";
pub const EVENTS_TABLE: &str = "nexus-events";
const LEASES_TABLE: &str = "nexus-leases";
const OUTBOX_TABLE: &str = "nexus-outbox";
const PARKED_TABLE: &str = "nexus-parked";
const VIEWS_TABLE: &str = "nexus-views";
/// Event types that travel through the topic instead of the core stream.
const BACKGROUND_EVENT_TYPES: [&str; 3] = ["ItemAddedToCart", "ItemRemovedFromCart", "CartAbandoned"];

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Core,
    Background,
}

pub fn way_of(event_type: &str) -> Way {
    if BACKGROUND_EVENT_TYPES.contains(&event_type) { Way::Background } else { Way::Core }
}

/// An event as its table holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEvent {
    pub event_id: String,
    pub stream: String,
    pub version: u64,
    pub event_type: String,
    pub command_id: String,
}

impl CommittedEvent {
    /// Reads the DynamoDB JSON of an item of the event table; `None` for what is no event of the system.
    pub fn from_image(image: &Value) -> Option<Self> {
        let text = |name: &str| Some(image.get(name)?.get("S")?.as_str()?.to_owned());
        let stream = text("pk")?;
        if stream.starts_with(ROGUE_PREFIX) {
            return None;
        }
        Some(Self {
            event_id: text("event_id")?,
            stream,
            version: image.get("sk")?.get("N")?.as_str()?.parse().ok()?,
            event_type: text("event_type")?,
            command_id: text("command_id")?,
        })
    }
}

/// The part of a message's body that tells which event it is.
#[derive(Deserialize)]
struct Named {
    event_id: String,
}

/// The id of the event that a message's body holds, if it holds one.
pub fn event_id_of(body: &str) -> Option<String> {
    serde_json::from_str::<Named>(body).ok().map(|named| named.event_id)
}

/// Stream and version of a view's image.
pub fn view_position(image: &Value) -> Option<(String, u64)> {
    let stream = image.get("pk")?.get("S")?.as_str()?.to_owned();
    Some((stream, image.get("version")?.get("N")?.as_str()?.parse().ok()?))
}

/// The debts so far. Without a bus an event is only owed to its table's stream.
#[derive(Debug, Default)]
pub struct Backlog {
    entries_seen: usize,
    has_bus: bool,
    /// Keys of events that the table's stream has not shown yet.
    unstreamed: BTreeSet<String>,
    unrouted: BTreeSet<String>,
    unnotified: BTreeSet<String>,
    /// By stream: the last version that a view must reach.
    wanted_views: BTreeMap<String, u64>,
    behind: BTreeSet<String>,
    views: BTreeMap<String, u64>,
    /// The event that each message of a queue carries, by message id.
    carried: BTreeMap<String, String>,
    /// Consumer and key of each parked entry, and whether time can help it.
    parked: BTreeMap<String, bool>,
    last_step: UnixNanos,
    /// Hosts of the command service.
    services: Vec<String>,
}

impl Backlog {
    pub fn new(has_bus: bool, services: Vec<String>) -> Self {
        Self { has_bus, services, ..Self::default() }
    }

    /// Takes in what the journal gained since the last call.
    pub fn follow(&mut self, journal: &[JournalEntry]) {
        for entry in &journal[self.entries_seen.min(journal.len())..] {
            self.take(entry);
        }
        self.entries_seen = journal.len();
    }

    /// When something last happened that is more than looking: a write (leases apart), a message that moved, the end of a
    /// call of the command service.
    pub fn last_step(&self) -> UnixNanos {
        self.last_step
    }

    /// Everything arrived everywhere, but for what no time can help.
    pub fn is_clear(&self) -> bool {
        self.unstreamed.is_empty()
            && self.unrouted.is_empty()
            && self.unnotified.is_empty()
            && self.behind.is_empty()
            && !self.parked.values().any(|may_pass| *may_pass)
    }

    /// What is owed, in words; a few examples of each kind.
    pub fn debts(&self) -> Vec<String> {
        let mut debts = Vec::new();
        let mut owe = |what: &str, names: Vec<&str>| {
            if !names.is_empty() {
                let examples = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
                debts.push(format!("{} {what}: {examples}", names.len()));
            }
        };
        owe("events missing in the table's stream", self.unstreamed.iter().map(String::as_str).collect());
        owe("events missing on the core stream", self.unrouted.iter().map(String::as_str).collect());
        owe("events without their notification", self.unnotified.iter().map(String::as_str).collect());
        owe("views behind", self.behind.iter().map(String::as_str).collect());
        let waiting = self.parked.iter().filter(|(_, may_pass)| **may_pass);
        owe("aggregates still parked", waiting.map(|(key, _)| key.as_str()).collect());
        debts
    }

    /// How many deliveries are owed, and how many aggregates are parked for now.
    pub fn owed(&self) -> (usize, usize) {
        let parked = self.parked.values().filter(|may_pass| **may_pass).count();
        (self.unrouted.len() + self.unnotified.len() + self.behind.len(), parked)
    }

    /// Takes in one more entry; for those who walk through a journal that has ended.
    pub fn take(&mut self, entry: &JournalEntry) {
        let at = match entry {
            // A call by the command service may still run after its customer was answered: AWS was slow, and another
            // attempt was faster. Calls of the bus are polls; those with an effect show as writes or messages.
            JournalEntry::Call { call, outcome } => {
                if self.has_bus && !self.services.contains(&call.caller) {
                    return;
                }
                outcome.at
            }
            JournalEntry::Write { table, .. } if table == LEASES_TABLE => return,
            // Whoever changes an event behind the API gives nobody work: the table's stream does not hear of it.
            JournalEntry::Write { call_sequence: 0, table, old_image: Some(_), .. } if table == EVENTS_TABLE => return,
            JournalEntry::Write { at, table, key, new_image, .. } => {
                self.written(table, key, new_image.as_deref());
                *at
            }
            JournalEntry::StreamRecord { at, key, .. } => {
                self.unstreamed.remove(key);
                *at
            }
            // A version that goes its way is no work that waits.
            JournalEntry::SchemaVersion(_) => return,
            JournalEntry::Message(step) => {
                if step.service == Service::Kinesis
                    && step.step == MessageStepKind::Accepted
                    && let Some(event_id) = event_id_of(&step.body)
                {
                    self.unrouted.remove(&event_id);
                }
                if step.service == Service::Sqs {
                    self.queued(step);
                }
                step.at
            }
        };
        self.last_step = self.last_step.max(at);
    }

    /// What an operator purged is owed to nobody any more.
    fn queued(&mut self, step: &MessageStep) {
        match step.step {
            MessageStepKind::Accepted => {
                self.carried.extend(event_id_of(&step.body).map(|event_id| (step.message_id.clone(), event_id)));
            }
            MessageStepKind::Purged if step.call_sequence == 0 => {
                if let Some(event_id) = self.carried.get(&step.message_id) {
                    self.unnotified.remove(event_id);
                }
            }
            _ => {}
        }
    }

    fn written(&mut self, table: &str, key: &str, image: Option<&Value>) {
        if table == EVENTS_TABLE {
            self.unstreamed.insert(key.to_owned());
        }
        if !self.has_bus {
            return;
        }
        match table {
            EVENTS_TABLE => {
                if let Some(event) = image.and_then(CommittedEvent::from_image) {
                    self.owe(event);
                }
            }
            OUTBOX_TABLE => {
                if let Some(event_id) = key.split_once('/').map(|(_, id)| id) {
                    self.unnotified.remove(event_id);
                }
            }
            VIEWS_TABLE => {
                if let Some((stream, version)) = image.and_then(view_position) {
                    self.views.insert(stream.clone(), version);
                    self.compare(stream);
                }
            }
            PARKED_TABLE => self.parked(key, image),
            _ => {}
        }
    }

    fn owe(&mut self, event: CommittedEvent) {
        match way_of(&event.event_type) {
            Way::Background => {
                self.unnotified.insert(event.event_id);
            }
            Way::Core => {
                self.unrouted.insert(event.event_id);
                self.wanted_views.insert(event.stream.clone(), event.version);
                self.compare(event.stream);
            }
        }
    }

    fn compare(&mut self, stream: String) {
        let reached = self.views.get(&stream).copied().unwrap_or(0);
        if reached >= self.wanted_views.get(&stream).copied().unwrap_or(0) {
            self.behind.remove(&stream);
        } else {
            self.behind.insert(stream);
        }
    }

    /// An aggregate of a rogue writer waits for ever; any other one only for whoever releases it.
    fn parked(&mut self, key: &str, image: Option<&Value>) {
        match image {
            None => {
                self.parked.remove(key);
            }
            Some(_) => {
                self.parked.insert(key.to_owned(), !key.contains(ROGUE_PREFIX));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn write(at: u64, table: &str, key: &str, image: Option<Value>) -> JournalEntry {
        JournalEntry::Write {
            call_sequence: 1,
            at: UnixNanos(at),
            table: table.into(),
            key: format!("{table}/{key}"),
            old_image: None,
            new_image: image.map(Arc::new),
        }
    }

    fn event(at: u64, stream: &str, version: u64, event_type: &str) -> JournalEntry {
        let id = format!("id-{stream}-{version}");
        let image = json!({"pk": {"S": stream}, "sk": {"N": version.to_string()}, "event_id": {"S": id},
            "event_type": {"S": event_type}, "command_id": {"S": "c"}});
        write(at, "nexus-events", &format!("{stream}/{version}"), Some(image))
    }

    fn streamed(at: u64, key: &str) -> JournalEntry {
        JournalEntry::StreamRecord {
            at: UnixNanos(at),
            table: "nexus-events".into(),
            shard: "s".into(),
            sequence_number: "1".into(),
            event_name: "INSERT".into(),
            key: format!("nexus-events/{key}"),
            new_image: None,
        }
    }

    fn accepted(at: u64, event_id: &str) -> JournalEntry {
        JournalEntry::Message(MessageStep {
            at: UnixNanos(at),
            call_sequence: 2,
            service: Service::Kinesis,
            place: "nexus-core/shardId-0".into(),
            step: MessageStepKind::Accepted,
            message_id: "1".into(),
            key: "k".into(),
            body: json!({"event_id": event_id, "version": 1}).to_string().into(),
            receive_count: 0,
            note: String::new(),
        })
    }

    fn view(at: u64, stream: &str, version: u64) -> JournalEntry {
        let image = json!({"pk": {"S": stream}, "version": {"N": version.to_string()}});
        write(at, "nexus-views", stream, Some(image))
    }

    #[test]
    fn an_event_is_owed_until_each_consumer_has_it() {
        let mut backlog = Backlog::new(true, vec!["orders-1".to_owned()]);
        let steps = [
            (event(10, "order-1", 1, "OrderPlaced"), false),
            (streamed(15, "order-1/1"), false),
            (accepted(20, "id-order-1-1"), false),
            (view(30, "order-1", 1), true),
            (event(40, "cart-1", 1, "ItemAddedToCart"), false),
            (streamed(45, "cart-1/1"), false),
            (write(50, "nexus-outbox", "id-cart-1-1", Some(json!({}))), true),
            (write(60, "nexus-parked", "projection/order-1", Some(json!({}))), false),
            (write(70, "nexus-parked", "projection/order-1", None), true),
            (write(80, "nexus-parked", "router/rogue-7", Some(json!({}))), true),
        ];
        let mut journal = Vec::new();
        for (entry, is_clear) in steps {
            journal.push(entry);
            backlog.follow(&journal);
            assert_eq!(backlog.is_clear(), is_clear, "after {:?}", journal.last());
        }
        assert_eq!(backlog.last_step(), UnixNanos(80));
    }

    #[test]
    fn leases_and_polls_are_no_steps() {
        let mut backlog = Backlog::new(true, vec!["orders-1".to_owned()]);
        backlog.follow(&[event(5, "order-1", 1, "OrderPlaced"), write(9, "nexus-leases", "router/s", Some(json!({})))]);
        assert_eq!(backlog.last_step(), UnixNanos(5));
    }
}
