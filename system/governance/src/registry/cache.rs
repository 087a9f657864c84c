//! What is remembered of the registry's answers, and who may ask it: a state machine without I/O. The time is handed in;
//! what to do comes out.

use std::{borrow::Borrow, collections::BTreeMap, time::Duration};

use nexus_ports::{Monotonic, ReadFailure};

/// Names one call to the registry. A number is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What a look-up leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookUp<V> {
    /// An answer that still counts.
    Fresh(V),
    /// An answer that has expired, while the registry does not answer.
    Stale(V, ReadFailure),
    /// Call the registry, then say how it ended by [`Cache::answered`], or that it never will by [`Cache::abandoned`].
    Ask(Ticket),
    /// Somebody else is asking: look again when that is over, and at this moment at the latest.
    Wait { until: Monotonic },
    /// The registry did not answer, and nothing that is remembered may stand in.
    Refused(ReadFailure),
}

/// An answer of the registry and for how long it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer<V> {
    pub value: V,
    pub fresh_for: Duration,
    /// After that, and only while the registry does not answer.
    pub stale_for: Duration,
}

/// Bounds of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheBounds {
    pub failure_pause: Duration,
    pub entries_max: usize,
    /// A call that takes longer has been forgotten by whoever began it.
    pub flight_max: Duration,
}

#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    bounds: CacheBounds,
    entries: BTreeMap<K, Entry<V>>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Entry<V> {
    held: Option<Held<V>>,
    flight: Option<Flight>,
    /// Of the last call that ended, if it failed.
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    fresh_until: Monotonic,
    usable_until: Monotonic,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    ticket: Ticket,
    until: Monotonic,
}

#[derive(Debug)]
struct Failed {
    failure: ReadFailure,
    ask_again: Monotonic,
}

impl<V> Default for Entry<V> {
    fn default() -> Self {
        Self { held: None, flight: None, failed: None }
    }
}

impl<V: Clone> Entry<V> {
    fn fresh(&self, now: Monotonic) -> Option<&V> {
        self.held.as_ref().filter(|held| now < held.fresh_until).map(|held| &held.value)
    }

    /// What stands in for an answer after this failure.
    fn without_answer(&self, failure: &ReadFailure, now: Monotonic) -> LookUp<V> {
        match self.held.as_ref().filter(|held| now < held.usable_until) {
            Some(held) => LookUp::Stale(held.value.clone(), failure.clone()),
            None => LookUp::Refused(failure.clone()),
        }
    }

    fn is_idle(&self, now: Monotonic) -> bool {
        self.flight.is_none_or(|flight| flight.until <= now)
    }

    /// The last moment at which anything of it can matter.
    fn matters_until(&self) -> Monotonic {
        let held = self.held.as_ref().map(|held| held.usable_until.max(held.fresh_until));
        held.max(self.failed.as_ref().map(|failed| failed.ask_again)).unwrap_or(Monotonic(Duration::ZERO))
    }
}

impl<K: Ord + Clone, V: Clone> Cache<K, V> {
    pub fn new(bounds: CacheBounds) -> Self {
        Self { bounds, entries: BTreeMap::new(), next_ticket: 0 }
    }

    /// The answer that still counts, without asking for anything.
    pub fn fresh<Q: Ord + ?Sized>(&self, key: &Q, now: Monotonic) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)?.fresh(now)
    }

    /// What is to be done for whoever wants the answer now.
    pub fn look_up(&mut self, key: &K, now: Monotonic) -> LookUp<V> {
        self.make_room_for(key, now);
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some(value) = entry.fresh(now) {
            return LookUp::Fresh(value.clone());
        }
        if let Some(Failed { failure, ask_again }) = &entry.failed {
            let instead = entry.without_answer(failure, now);
            // While the registry is down, one caller at a time finds out whether it still is. Nobody waits for that who can
            // go on without it.
            if now < *ask_again || (!entry.is_idle(now) && matches!(instead, LookUp::Stale(..))) {
                return instead;
            }
        }
        match entry.flight.filter(|flight| now < flight.until) {
            Some(flight) => LookUp::Wait { until: flight.until },
            None => {
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                entry.flight = Some(Flight { ticket, until: after(now, self.bounds.flight_max) });
                LookUp::Ask(ticket)
            }
        }
    }

    /// Takes in how a call ended, and gives what whoever made it goes on with. An answer that was asked for before the
    /// entry was forgotten, or by someone who had been given up, is not remembered.
    pub fn answered(
        &mut self,
        key: &K,
        ticket: Ticket,
        outcome: Result<Answer<V>, ReadFailure>,
        now: Monotonic,
    ) -> LookUp<V> {
        let failure_pause = self.bounds.failure_pause;
        let entry = self.entries.get_mut(key).filter(|entry| is_of(entry, ticket));
        match (entry, outcome) {
            (None, Ok(answer)) => LookUp::Fresh(answer.value),
            (None, Err(failure)) => LookUp::Refused(failure),
            (Some(entry), Ok(answer)) => {
                let value = answer.value.clone();
                *entry = Entry { held: Some(held(answer, now)), ..Entry::default() };
                LookUp::Fresh(value)
            }
            (Some(entry), Err(failure)) => {
                let instead = entry.without_answer(&failure, now);
                entry.flight = None;
                entry.failed = Some(Failed { failure, ask_again: after(now, failure_pause) });
                instead
            }
        }
    }

    /// Whoever made this call is gone and will not tell how it ended: someone else must ask.
    pub fn abandoned(&mut self, key: &K, ticket: Ticket) {
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| is_of(entry, ticket)) {
            entry.flight = None;
        }
    }

    /// Forgets all of the entry: the next look-up asks, and what was asked for before is not remembered.
    pub fn forget(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Remembers an answer that was come by in another way.
    pub fn remember(&mut self, key: &K, answer: Answer<V>, now: Monotonic) {
        self.make_room_for(key, now);
        self.entries.insert(key.clone(), Entry { held: Some(held(answer, now)), ..Entry::default() });
    }

    /// Forgets the entry that ends first, if this one needs its place. Entries that someone is asking for stay.
    fn make_room_for(&mut self, key: &K, now: Monotonic) {
        if self.entries.len() < self.bounds.entries_max || self.entries.contains_key(key) {
            return;
        }
        let idle = self.entries.iter().filter(|(_, entry)| entry.is_idle(now));
        let first = idle.min_by_key(|(_, entry)| entry.matters_until()).map(|(key, _)| key.clone());
        if let Some(first) = first {
            self.entries.remove(&first);
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

fn is_of<V>(entry: &Entry<V>, ticket: Ticket) -> bool {
    entry.flight.is_some_and(|flight| flight.ticket == ticket)
}

fn held<V>(answer: Answer<V>, now: Monotonic) -> Held<V> {
    let fresh_until = after(now, answer.fresh_for);
    Held { value: answer.value, fresh_until, usable_until: after(fresh_until, answer.stale_for) }
}

fn after(now: Monotonic, duration: Duration) -> Monotonic {
    Monotonic(now.0.saturating_add(duration))
}

#[cfg(test)]
mod tests;
