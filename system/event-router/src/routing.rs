//! The routing of one shard, without I/O: records, answers and the time go in; calls, and how far all is durable, come out.
//!
//! What it keeps, whatever happens:
//! - of one aggregate at most one event is under way, and the next only after that one was accepted;
//! - a record becomes durable by acceptance, by the parking lot's entry, or by being known to have been either before;
//! - nothing is routed before the list of parked aggregates was read.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    time::Duration,
};

use base64::Engine;
use nexus_ports::{
    FeedRecord, Monotonic, ParkReason, ParkedAggregate, SequenceNumber, StreamEntry, StreamName, UnixTime, Version,
};

use crate::{
    Destination, RouterSettings,
    aggregate::{Aggregate, Content, Fault, Item, Need},
    calls::{Batch, Call, Carried},
    examine::{Examined, Examiner, Outgoing},
    lane::{Lane, Lanes},
    ledger::{Ledger, Ticket},
    notes::Note,
    remembered::{Remembered, Span},
    shapes::{Shape, Shapes, Standing as ShapeStanding},
};

/// Name of the router among the consumers that park aggregates.
pub const ROUTER_CONSUMER: &str = "router";

/// Versions before a cold aggregate's first event that are looked at for recent ones.
const REVIEW_VERSIONS: u64 = 16;

const KEY_BYTES_MAX: usize = 1_000;
const BODY_BYTES_MAX: usize = 360 * 1024;
const DETAIL_CHARACTERS_MAX: usize = 2_000;

/// A fraction in [0, 1) for a purpose and a logical key.
pub(crate) type Jitter = Box<dyn Fn(&'static str, &str) -> f64 + Send>;

pub(crate) struct Routing {
    pub(crate) settings: RouterSettings,
    pub(crate) examiner: Examiner,
    pub(crate) jitter: Jitter,
    pub(crate) ledger: Ledger,
    pub(crate) remembered: Remembered,
    /// Aggregates with events waiting.
    pub(crate) active: BTreeMap<String, Aggregate>,
    /// Entries of the parking lot, as far as known; `None` until they were listed.
    pub(crate) parked: Option<BTreeMap<String, ParkedAggregate>>,
    pub(crate) lanes: Lanes,
    /// What the schema registry lets through.
    pub(crate) shapes: Shapes,
    pub(crate) notes: Vec<Note>,
    /// Spans learned since they were last taken, for the other shards of this process.
    pub(crate) learned: Vec<(StreamName, Span)>,
    next_arrival: u64,
    wake: Option<Monotonic>,
    /// When calls were last looked for.
    looked_at: Monotonic,
}

/// Where the shard stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub durable_through: Option<SequenceNumber>,
    pub memory: String,
    pub has_kept_back: bool,
    /// When time alone will give work.
    pub wake: Option<Monotonic>,
    pub accepts_more: bool,
}

impl Routing {
    /// `memory` is that of an earlier [`Standing`], or empty.
    pub fn new(settings: RouterSettings, examiner: Examiner, jitter: Jitter, memory: &str) -> Self {
        Self {
            examiner,
            jitter,
            ledger: Ledger::default(),
            remembered: Remembered::from_text(memory, settings.aggregates_remembered),
            active: BTreeMap::new(),
            parked: None,
            lanes: Lanes::new(&settings),
            shapes: Shapes::new(settings.schema_recheck, settings.schema_grace),
            notes: Vec::new(),
            learned: Vec::new(),
            next_arrival: 0,
            wake: None,
            looked_at: Monotonic(Duration::ZERO),
            settings,
        }
    }

    /// Takes records of the shard. `elsewhere` tells what other shards' handlers know of an aggregate.
    pub fn accept(&mut self, records: Vec<FeedRecord>, elsewhere: &dyn Fn(&str) -> Option<Span>) {
        for record in records {
            let Some(ticket) = self.ledger.enter(record.sequence_number) else { continue };
            let arrival = self.arrival();
            match self.examiner.examine_record(&record.partition_key, record.body) {
                Examined::Sound(event) => {
                    let (key, version) = (event.stream.as_str().to_owned(), event.version);
                    self.enter(key, Some(version), Item::sound(event, vec![ticket], arrival), elsewhere);
                }
                Examined::Poison(mut poison) => {
                    self.notes.push(Note::ValidationFailed { event_type: poison.event_type.take() });
                    let (key, version) = (parking_key(std::mem::take(&mut poison.key)), poison.version);
                    self.enter(key, version, Item::poison(poison, vec![ticket], arrival), elsewhere);
                }
            }
        }
    }

    pub(crate) fn arrival(&mut self) -> u64 {
        self.next_arrival += 1;
        self.next_arrival
    }

    fn enter(&mut self, key: String, version: Option<Version>, item: Item, elsewhere: &dyn Fn(&str) -> Option<Span>) {
        let entry = self.parked.as_ref().and_then(|parked| parked.get(&key));
        let mut settled = Vec::new();
        let known = || match (self.remembered.get(&key), elsewhere(&key)) {
            (Some(here), Some(there)) => Some(here.joined(there)),
            (here, there) => here.or(there),
        };
        let aggregate = self.active.entry(key.clone()).or_insert_with(|| Aggregate::new(known()));
        match version {
            None => aggregate.unversioned.push(item),
            Some(version) if aggregate.known.is_some_and(|span| span.holds(version)) => settled = item.tickets,
            Some(version) => match aggregate.waiting.entry(version) {
                btree_map::Entry::Occupied(mut standing) => standing.get_mut().tickets.extend(item.tickets),
                btree_map::Entry::Vacant(free) => {
                    free.insert(item);
                    if let Some(entry) = entry {
                        settled = aggregate.take_covered(entry);
                    }
                }
            },
        }
        self.settle(settled);
        self.retire(&key);
    }

    /// These records had their durable effect.
    pub(crate) fn settle(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets {
            self.ledger.settle(ticket);
        }
    }

    /// Forgets an aggregate for which nothing is left to do.
    pub(crate) fn retire(&mut self, key: &str) {
        if self.active.get(key).is_some_and(|aggregate| !aggregate.is_busy && !aggregate.has_waiting()) {
            self.active.remove(key);
        }
    }

    /// Everything that is to be done now. Each call counts as begun.
    pub fn next_calls(&mut self, now: Monotonic, unix_time: UnixTime) -> Vec<Call> {
        self.wake = None;
        self.looked_at = now;
        if self.parked.is_none() {
            return self.list_parked(now).into_iter().collect();
        }
        let mut calls = Vec::new();
        let mut ready = Ready::default();
        let mut questions = BTreeSet::new();
        for (key, aggregate) in &mut self.active {
            let entry = self.parked.as_ref().and_then(|parked| parked.get(key));
            let mut need = aggregate.need(entry.is_some(), now, self.settings.gap_patience);
            if let Need::Route { version, .. } = need
                && let Some(item) = aggregate.waiting.get_mut(&version)
                && let Some(shape) = &item.shape
            {
                let ask_at = self.shapes.ask_at(shape);
                if ask_at.is_some_and(|moment| moment <= now) {
                    questions.insert((self.shapes.turn(shape), shape.clone()));
                }
                match self.shapes.standing(shape, now) {
                    ShapeStanding::Clear => {}
                    ShapeStanding::Unknown => {
                        wake_at(&mut self.wake, ask_at.filter(|moment| *moment > now));
                        continue;
                    }
                    ShapeStanding::Refused(detail) => {
                        self.notes.push(Note::ValidationFailed { event_type: Some(shape.event_type.clone()) });
                        item.fault = Some(Fault { reason: ParkReason::Poison, detail: detail.to_owned() });
                        need = Need::Park(Some(version));
                    }
                }
            }
            let lane = match need {
                Need::Nothing => continue,
                Need::Wait(until) => {
                    wake_at(&mut self.wake, Some(until));
                    continue;
                }
                Need::Route { version, destination } => {
                    let lane = self.lanes.to(destination);
                    if !lane.has_room(now) {
                        wake_at(&mut self.wake, lane.due_after(now));
                        continue;
                    }
                    ready.add(key, version, destination, aggregate);
                    continue;
                }
                Need::Park(_) | Need::Raise | Need::ReadBack => &mut self.lanes.parking,
                Need::Review(_) | Need::Repair(_) => &mut self.lanes.store,
            };
            if !lane.has_room(now) {
                wake_at(&mut self.wake, lane.due_after(now));
                continue;
            }
            if let Some(call) = call_for(need, key, aggregate, entry, unix_time) {
                lane.begin();
                aggregate.is_busy = true;
                calls.push(call);
            }
        }
        self.ask(questions, now, &mut calls);
        self.batch(Destination::Core, ready.core, now, &mut calls);
        self.batch(Destination::Background, ready.background, now, &mut calls);
        calls
    }

    /// Asks for shapes, as many as the lane to the registry has room for.
    fn ask(&mut self, questions: BTreeSet<(u64, Shape)>, now: Monotonic, calls: &mut Vec<Call>) {
        for (_, shape) in questions {
            let lane = &mut self.lanes.registry;
            if !lane.has_room(now) {
                wake_at(&mut self.wake, lane.due_after(now));
                return;
            }
            lane.begin();
            self.shapes.asked(&shape);
            calls.push(Call::AskSchema(shape));
        }
    }

    fn list_parked(&mut self, now: Monotonic) -> Option<Call> {
        if self.active.is_empty() {
            return None;
        }
        // One list at a time, whatever else the lane may carry.
        if self.lanes.parking.has_room(now) && self.lanes.parking.is_idle() {
            self.lanes.parking.begin();
            return Some(Call::ListParked);
        }
        wake_at(&mut self.wake, self.lanes.parking.due_after(now));
        None
    }

    /// Puts what is ready into batches, as many as the lane has room for.
    fn batch(&mut self, destination: Destination, mut ready: Vec<ReadyEvent>, now: Monotonic, calls: &mut Vec<Call>) {
        let bytes_max = match destination {
            Destination::Core => StreamEntry::BATCH_BYTES_MAX,
            Destination::Background => self.settings.message_bytes_max,
        };
        let lane = self.lanes.to(destination);
        if lane.is_cautious() {
            // While the destination is down, probes go around: nobody's last attempt is spent before everybody's first.
            ready.sort_unstable_by_key(|event| (event.attempts, event.arrival));
        } else {
            ready.sort_unstable_by_key(|event| event.arrival);
        }
        let mut ready = ready.into_iter().peekable();
        while ready.peek().is_some() {
            if !lane.has_room(now) {
                wake_at(&mut self.wake, lane.due_after(now));
                return;
            }
            let mut taken = Vec::new();
            let mut bytes = 0;
            while let Some(event) = ready.next_if(|event| {
                taken.is_empty()
                    || !event.goes_alone && taken.len() < lane.entries_allowed() && bytes + event.bytes <= bytes_max
            }) {
                bytes += event.bytes;
                let goes_alone = event.goes_alone;
                taken.push(event);
                if goes_alone {
                    break;
                }
            }
            lane.begin();
            calls.push(put(destination, taken, &mut self.active));
        }
    }

    pub fn standing(&mut self) -> Standing {
        Standing {
            durable_through: self.ledger.durable_through().cloned(),
            memory: self.remembered.text(self.settings.memory_entries_max),
            has_kept_back: self.ledger.kept_back() > 0,
            wake: self.wake,
            accepts_more: self.accepts_more(),
        }
    }

    fn accepts_more(&self) -> bool {
        let is_choked = |lane: &Lane, destination| {
            lane.is_down() && self.waiting_for(destination) >= self.settings.kept_back_while_down
        };
        let is_registry_choked =
            self.lanes.registry.is_down() && self.waiting_for_registry() >= self.settings.kept_back_while_down;
        self.ledger.kept_back() < self.settings.kept_back_max
            && !self.lanes.parking.is_down()
            && !is_registry_choked
            && !is_choked(&self.lanes.core, Destination::Core)
            && !is_choked(&self.lanes.background, Destination::Background)
    }

    fn waiting_for_registry(&self) -> usize {
        let waiting = self.active.values().flat_map(|aggregate| aggregate.waiting.values());
        let shapes = waiting.filter_map(|item| item.shape.as_ref());
        shapes.filter(|shape| self.shapes.standing(shape, self.looked_at) == ShapeStanding::Unknown).count()
    }

    fn waiting_for(&self, destination: Destination) -> usize {
        let waiting = self.active.values().flat_map(|aggregate| aggregate.waiting.values());
        waiting.filter(|item| item.destination() == Some(destination)).count()
    }
}

fn wake_at(wake: &mut Option<Monotonic>, moment: Option<Monotonic>) {
    *wake = match (*wake, moment) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

/// Events that may be put now.
#[derive(Default)]
struct Ready {
    core: Vec<ReadyEvent>,
    background: Vec<ReadyEvent>,
}

struct ReadyEvent {
    key: String,
    version: Version,
    arrival: u64,
    attempts: u32,
    bytes: usize,
    goes_alone: bool,
}

impl Ready {
    fn add(&mut self, key: &str, version: Version, destination: Destination, aggregate: &Aggregate) {
        let Some(item) = aggregate.waiting.get(&version) else { return };
        let Content::Event { outgoing, .. } = &item.content else { return };
        let event = ReadyEvent {
            key: key.to_owned(),
            version,
            arrival: item.arrival,
            attempts: item.attempts,
            bytes: outgoing.bytes(),
            goes_alone: item.goes_alone,
        };
        match destination {
            Destination::Core => self.core.push(event),
            Destination::Background => self.background.push(event),
        }
    }
}

fn put(destination: Destination, events: Vec<ReadyEvent>, active: &mut BTreeMap<String, Aggregate>) -> Call {
    let (mut entries, mut messages) = (Vec::new(), Vec::new());
    let mut carried = Vec::with_capacity(events.len());
    for event in events {
        let Some(aggregate) = active.get_mut(&event.key) else { continue };
        let Some(Content::Event { outgoing, .. }) = aggregate.waiting.get(&event.version).map(|item| &item.content)
        else {
            continue;
        };
        match outgoing {
            Outgoing::Stream(entry) => entries.push(entry.clone()),
            Outgoing::Topic(message) => messages.push(message.clone()),
        }
        aggregate.is_busy = true;
        carried.push(Carried { key: event.key, version: event.version });
    }
    let batch = match destination {
        Destination::Core => Batch::Stream(entries),
        Destination::Background => Batch::Topic(messages),
    };
    Call::Put { carried, batch }
}

fn call_for(
    need: Need,
    key: &str,
    aggregate: &mut Aggregate,
    entry: Option<&ParkedAggregate>,
    unix_time: UnixTime,
) -> Option<Call> {
    match (need, entry) {
        (Need::Park(version), _) => {
            aggregate.unversioned_told = aggregate.unversioned.len();
            Some(Call::Park(Box::new(parked(key, aggregate, version, unix_time)?)))
        }
        (Need::Raise, Some(entry)) => {
            aggregate.unversioned_told = aggregate.unversioned.len();
            Some(Call::Raise { expected_counter: entry.counter, raised: Box::new(aggregate.raised(entry)) })
        }
        (Need::ReadBack, _) => Some(Call::ReadParked { key: key.to_owned() }),
        // Only a sound event makes an aggregate known, or makes it need its predecessors: its key is a stream's name.
        (Need::Review(head), _) => {
            let after = Version(head.0.saturating_sub(1 + REVIEW_VERSIONS));
            Some(Call::ReadEvents { stream: key.parse().ok()?, after })
        }
        (Need::Repair(last), _) => Some(Call::ReadEvents { stream: key.parse().ok()?, after: last }),
        _ => None,
    }
}

/// A key that the parking lot can store: it takes at most 1,024 bytes, and at least one. Names of streams are shorter;
/// longer keys only come with records that are damaged.
fn parking_key(key: String) -> String {
    if key.is_empty() { "(none)".to_owned() } else { cut(&key, KEY_BYTES_MAX).to_owned() }
}

/// The record as it came, as far as an item of 400 KB takes it: an entry that is refused for its size would hold up its
/// shard for ever. What is cut off still lies in the event store.
pub(crate) fn kept_body(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => cut(text, BODY_BYTES_MAX).to_owned(),
        // Base64 makes four bytes of three.
        Err(_) => base64::engine::general_purpose::STANDARD.encode(&body[..body.len().min(BODY_BYTES_MAX / 4 * 3)]),
    }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The parking lot's entry for an aggregate that has to wait from this version on; everything that waits with it is
/// accounted for at once.
fn parked(key: &str, aggregate: &Aggregate, version: Option<Version>, unix_time: UnixTime) -> Option<ParkedAggregate> {
    let item = match version {
        Some(version) => aggregate.waiting.get(&version)?,
        None => aggregate.unversioned.first()?,
    };
    let fault = item
        .fault
        .clone()
        .unwrap_or_else(|| Fault { reason: ParkReason::Poison, detail: "the record cannot be routed".to_owned() });
    // Where versions before this one are lost even to the event store, they are what the aggregate waits for.
    let first = version.map(|version| match aggregate.known {
        Some(known) if known.last < version => known.last.next(),
        _ => version,
    });
    Some(ParkedAggregate {
        consumer: ROUTER_CONSUMER.to_owned(),
        key: key.to_owned(),
        first_version: first,
        last_version: aggregate.waiting.last_key_value().map(|(last, _)| *last),
        body: kept_body(item.body()),
        reason: fault.reason,
        detail: fault.detail.chars().take(DETAIL_CHARACTERS_MAX).collect(),
        attempts: item.attempts,
        parked_at_ms: unix_time.as_millis(),
        counter: 1,
    })
}
