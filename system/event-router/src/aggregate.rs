//! One aggregate that has events waiting: what it needs next.

use std::{collections::BTreeMap, time::Duration};

use nexus_ports::{Monotonic, ParkReason, ParkedAggregate, Version};

use crate::{
    Destination,
    examine::{Outgoing, PoisonRecord, SoundEvent},
    ledger::Ticket,
    remembered::Span,
    shapes::Shape,
};

/// An event that waits to be routed.
#[derive(Debug)]
pub(crate) struct Item {
    /// Records of the feed that it came in; none if it was read from the event store.
    pub tickets: Vec<Ticket>,
    /// Rises with arrival: who came first goes first.
    pub arrival: u64,
    pub content: Content,
    /// What the schema registry must have before this may go.
    pub shape: Option<Shape>,
    pub attempts: u32,
    /// No attempt before this moment.
    pub due: Monotonic,
    /// Why it must be parked rather than attempted.
    pub fault: Option<Fault>,
    /// In no batch with others: a call that carried it was refused as a whole.
    pub goes_alone: bool,
}

#[derive(Debug)]
pub(crate) enum Content {
    Event { event_id: String, recorded_at_ms: u64, outgoing: Outgoing },
    Unroutable { body: Vec<u8> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub reason: ParkReason,
    pub detail: String,
}

impl Item {
    pub fn sound(event: SoundEvent, tickets: Vec<Ticket>, arrival: u64) -> Self {
        let SoundEvent { event_id, recorded_at_ms, outgoing, shape, .. } = event;
        let content = Content::Event { event_id, recorded_at_ms, outgoing };
        Self {
            tickets,
            arrival,
            content,
            shape,
            attempts: 0,
            due: Monotonic(Duration::ZERO),
            fault: None,
            goes_alone: false,
        }
    }

    pub fn poison(record: PoisonRecord, tickets: Vec<Ticket>, arrival: u64) -> Self {
        let fault = Fault { reason: ParkReason::Poison, detail: record.detail };
        let content = Content::Unroutable { body: record.body };
        Self {
            tickets,
            arrival,
            content,
            shape: None,
            attempts: 0,
            due: Monotonic(Duration::ZERO),
            fault: Some(fault),
            goes_alone: false,
        }
    }

    pub fn body(&self) -> &[u8] {
        match &self.content {
            Content::Event { outgoing, .. } => outgoing.body(),
            Content::Unroutable { body } => body,
        }
    }

    pub fn destination(&self) -> Option<Destination> {
        match &self.content {
            Content::Event { outgoing, .. } => Some(outgoing.destination()),
            Content::Unroutable { .. } => None,
        }
    }
}

/// An aggregate with events that are not yet durable.
#[derive(Debug, Default)]
pub(crate) struct Aggregate {
    pub waiting: BTreeMap<Version, Item>,
    /// Records of this aggregate that do not even tell their version.
    pub unversioned: Vec<Item>,
    /// How many of them the write to the parking lot that is under way accounts for.
    pub unversioned_told: usize,
    /// What is known to have had its effect; `None` for a cold aggregate.
    pub known: Option<Span>,
    /// The event store was asked for recent predecessors of the first event of this cold aggregate.
    pub is_reviewed: bool,
    /// The event that waits for a missing one, and since when.
    pub gap: Option<(Version, Monotonic)>,
    /// The event store does not have what should come before this version.
    pub lost_before: Option<Version>,
    /// A call for this aggregate is under way; nothing else may begin.
    pub is_busy: bool,
    /// The parking lot must be read before anything else: the outcome of a write to it is not known.
    pub is_parking_in_doubt: bool,
}

/// What an aggregate needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// Time, until this moment.
    Wait(Monotonic),
    Route {
        version: Version,
        destination: Destination,
    },
    /// Park the aggregate because of this version, or because of a record without one.
    Park(Option<Version>),
    /// The aggregate is parked: tell the parking lot what waits.
    Raise,
    /// Read the parking lot's entry.
    ReadBack,
    /// Look for recent predecessors of this version, the first one seen of a cold aggregate.
    Review(Version),
    /// Read what is missing after this version.
    Repair(Version),
}

impl Aggregate {
    pub fn new(known: Option<Span>) -> Self {
        Self { known, ..Self::default() }
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.unversioned.is_empty()
    }

    /// What to do next, and nothing twice: while a call is under way the answer is nothing.
    pub fn need(&mut self, is_parked: bool, now: Monotonic, gap_patience: Duration) -> Need {
        if self.is_busy || !self.has_waiting() {
            return Need::Nothing;
        }
        if self.is_parking_in_doubt {
            return Need::ReadBack;
        }
        if is_parked {
            return Need::Raise;
        }
        if !self.unversioned.is_empty() {
            return Need::Park(None);
        }
        let Some((&version, item)) = self.waiting.first_key_value() else { return Need::Nothing };
        match self.known {
            None if version > Version(1) && !self.is_reviewed => return Need::Review(version),
            Some(span) if version > span.last.next() && self.lost_before != Some(version) => {
                return self.need_of_gap(span.last, version, now, gap_patience);
            }
            _ => {}
        }
        match (&item.fault, item.destination()) {
            (None, _) if item.due > now => Need::Wait(item.due),
            (None, Some(destination)) => Need::Route { version, destination },
            (Some(_), _) | (None, None) => Need::Park(Some(version)),
        }
    }

    fn need_of_gap(&mut self, last: Version, head: Version, now: Monotonic, gap_patience: Duration) -> Need {
        let since = match self.gap {
            Some((waiting, since)) if waiting == head => since,
            _ => {
                self.gap = Some((head, now));
                now
            }
        };
        let until = Monotonic(since.0.saturating_add(gap_patience));
        if until > now { Need::Wait(until) } else { Need::Repair(last) }
    }

    /// Takes out everything that the parking lot's entry accounts for: it will be read from the event store.
    pub fn take_covered(&mut self, entry: &ParkedAggregate) -> Vec<Ticket> {
        let Some(last) = entry.last_version else { return Vec::new() };
        let first = entry.first_version.unwrap_or(Version(1));
        self.take_range(Span { first, last })
    }

    /// Takes out everything within the span.
    pub fn take_range(&mut self, span: Span) -> Vec<Ticket> {
        let covered: Vec<Version> = self.waiting.range(span.first..=span.last).map(|(version, _)| *version).collect();
        covered.iter().filter_map(|version| self.waiting.remove(version)).flat_map(|item| item.tickets).collect()
    }

    /// The entry as it must be for everything that waits here, if the parking lot has `entry` now.
    pub fn raised(&self, entry: &ParkedAggregate) -> ParkedAggregate {
        let first_waiting = self.waiting.first_key_value().map(|(version, _)| *version);
        let last_waiting = self.waiting.last_key_value().map(|(version, _)| *version);
        let mut raised = entry.clone();
        raised.counter += 1;
        raised.last_version = raised.last_version.max(last_waiting);
        // A record that does not tell its version may be any: then everything is worked off anew.
        raised.first_version = match (raised.first_version, first_waiting) {
            _ if !self.unversioned.is_empty() => None,
            (Some(first), Some(waiting)) => Some(first.min(waiting)),
            (first, _) => first,
        };
        raised
    }
}
