//! What waits of one aggregate within one shard.

use std::collections::BTreeMap;

use nexus_ports::{EventRecord, Monotonic, Version};

use crate::{
    ledger::Ordinal,
    parking::ParkRequest,
    record::{Incoming, Poison},
};

/// Records of one partition key that have not had their effect.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    events: BTreeMap<Version, Waiting>,
    poison: Vec<(Poison, Ordinal)>,
    /// When the gap in front of the first event was first seen.
    pub(crate) gap_since: Option<Monotonic>,
    /// The attempts are used up, but the parking lot did not take the aggregate yet.
    pub(crate) to_park: Option<ParkRequest>,
    /// Something came since the lane was worked on.
    pub(crate) has_news: bool,
}

#[derive(Debug)]
struct Waiting {
    event: EventRecord,
    /// More than one if the record came more than once.
    ordinals: Vec<Ordinal>,
}

impl Lane {
    pub(crate) fn take_in(&mut self, incoming: Incoming, ordinal: Ordinal) {
        self.has_news = true;
        match incoming {
            Incoming::Event(event) => {
                let waiting = Waiting { event: *event, ordinals: Vec::new() };
                self.events.entry(waiting.event.version).or_insert(waiting).ordinals.push(ordinal);
            }
            Incoming::Poison(poison) => self.poison.push((poison, ordinal)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.poison.is_empty()
    }

    pub(crate) fn first_poison(&self) -> Option<&Poison> {
        self.poison.first().map(|(poison, _)| poison)
    }

    /// The first events that follow each other, as far as no poison claims a version among them: what comes after a
    /// poisoned version has to wait for it.
    pub(crate) fn first_run(&self) -> Vec<&EventRecord> {
        let barrier = self.poison.iter().filter_map(|(poison, _)| poison.version).min();
        let mut run: Vec<&EventRecord> = Vec::new();
        for (version, waiting) in &self.events {
            let follows = run.last().is_none_or(|last| last.version.next() == *version);
            if !follows || barrier.is_some_and(|barrier| *version >= barrier) {
                break;
            }
            run.push(&waiting.event);
        }
        run
    }

    pub(crate) fn first_event(&self) -> Option<&EventRecord> {
        self.events.values().next().map(|waiting| &waiting.event)
    }

    pub(crate) fn event(&self, version: Version) -> Option<&EventRecord> {
        self.events.get(&version).map(|waiting| &waiting.event)
    }

    /// The newest version that waits, be it only claimed.
    pub(crate) fn last_version(&self) -> Option<Version> {
        let claimed = self.poison.iter().filter_map(|(poison, _)| poison.version).max();
        self.events.keys().next_back().copied().max(claimed)
    }

    /// What is said about unreadable records to whoever looks at the parked aggregate.
    pub(crate) fn poison_note(&self) -> Option<String> {
        let notes: Vec<_> = self.poison.iter().map(|(poison, _)| poison.detail.as_str()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// Takes out events up to and with this version.
    pub(crate) fn settle_through(&mut self, version: Version) -> Vec<Ordinal> {
        let later = self.events.split_off(&version.next());
        let done = std::mem::replace(&mut self.events, later);
        done.into_values().flat_map(|waiting| waiting.ordinals).collect()
    }

    /// Takes out everything.
    pub(crate) fn settle_all(&mut self) -> Vec<Ordinal> {
        let events = std::mem::take(&mut self.events).into_values().flat_map(|waiting| waiting.ordinals);
        let poison = std::mem::take(&mut self.poison).into_iter().map(|(_, ordinal)| ordinal);
        self.gap_since = None;
        self.to_park = None;
        events.chain(poison).collect()
    }
}
