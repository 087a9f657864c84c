//! How much may be asked of one service at a time, and when: a circuit breaker with a slow start.
//!
//! A call that fails as a whole says that the service is down, not that its events are at fault. From then on one probe at
//! a time goes out, of one event, after a pause that grows with each failure; and each success doubles what the next call
//! may carry. So an outage uses up the attempts of few events, and a service that comes back is not run over.

use std::time::Duration;

use nexus_ports::{Monotonic, StreamEntry, TopicMessage};

use crate::{Destination, RouterSettings};

/// One lane for each service that the routing of a shard calls.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub core: Lane,
    pub background: Lane,
    /// The parking lot.
    pub parking: Lane,
    /// The event store.
    pub store: Lane,
    /// The schema registry.
    pub registry: Lane,
}

impl Lanes {
    pub fn new(settings: &RouterSettings) -> Self {
        Self {
            core: Lane::new("core", StreamEntry::BATCH_MAX, settings.stream_calls_max),
            background: Lane::new("background", TopicMessage::BATCH_MAX, settings.topic_calls_max),
            parking: Lane::new("parking", 1, settings.store_calls_max),
            store: Lane::new("store", 1, settings.store_calls_max),
            registry: Lane::new("registry", 1, settings.store_calls_max),
        }
    }

    pub fn to(&mut self, destination: Destination) -> &mut Lane {
        match destination {
            Destination::Core => &mut self.core,
            Destination::Background => &mut self.background,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Lane {
    /// Names the lane where its pauses are drawn.
    pub name: &'static str,
    /// Entries of a call while all is well.
    entries_full: usize,
    entries_allowed: usize,
    calls_max: usize,
    under_way: usize,
    failures: u32,
    /// Calls that were under way when one failed: if they fail too, they tell nothing new.
    stragglers: usize,
    due: Monotonic,
}

impl Lane {
    pub fn new(name: &'static str, entries_full: usize, calls_max: usize) -> Self {
        Self {
            name,
            entries_full,
            entries_allowed: entries_full,
            calls_max,
            under_way: 0,
            failures: 0,
            stragglers: 0,
            due: Monotonic(Duration::ZERO),
        }
    }

    /// Whether another call may begin.
    pub fn has_room(&self, now: Monotonic) -> bool {
        let calls_max = if self.is_cautious() { 1 } else { self.calls_max };
        self.due <= now && self.under_way < calls_max
    }

    /// Entries that the next call may carry.
    pub fn entries_allowed(&self) -> usize {
        self.entries_allowed
    }

    /// The last call failed as a whole.
    pub fn is_down(&self) -> bool {
        self.failures > 0
    }

    /// Down, or coming back.
    pub fn is_cautious(&self) -> bool {
        self.is_down() || self.entries_allowed < self.entries_full
    }

    /// No call is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// When the next call may begin, if the pause is what it waits for.
    pub fn due_after(&self, now: Monotonic) -> Option<Monotonic> {
        (self.due > now).then_some(self.due)
    }

    pub fn begin(&mut self) {
        self.under_way += 1;
    }

    pub fn succeed(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.stragglers = self.stragglers.saturating_sub(1);
        self.failures = 0;
        self.entries_allowed = self.entries_allowed.saturating_mul(2).min(self.entries_full);
    }

    /// The call failed as a whole. `pause_after` gives the pause after so many failures in a row.
    pub fn fail(&mut self, now: Monotonic, pause_after: impl FnOnce(u32) -> Duration) {
        self.under_way = self.under_way.saturating_sub(1);
        if self.stragglers > 0 && self.is_down() {
            self.stragglers -= 1;
            return;
        }
        self.stragglers = self.under_way;
        self.failures = self.failures.saturating_add(1);
        self.entries_allowed = 1;
        self.due = Monotonic(now.0.saturating_add(pause_after(self.failures)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic(Duration::from_millis(ms))
    }

    #[test]
    fn a_failure_leaves_one_probe_at_a_time_and_successes_double() {
        let mut lane = Lane::new("test", 10, 2);
        lane.begin();
        assert!(lane.has_room(at(0)), "two calls may be under way");
        lane.begin();
        assert!(!lane.has_room(at(0)));
        lane.fail(at(0), |_| Duration::from_millis(100));
        assert!(!lane.has_room(at(100)), "the other call is still under way");
        lane.fail(at(0), |_| panic!("the same outage"));
        assert!(!lane.has_room(at(99)));
        assert_eq!(lane.due_after(at(99)), Some(at(100)));
        assert!(lane.has_room(at(100)));
        let mut allowed = Vec::new();
        while lane.is_cautious() {
            allowed.push(lane.entries_allowed());
            lane.begin();
            assert!(!lane.has_room(at(100)), "one call at a time");
            lane.succeed();
        }
        assert_eq!(allowed, [1, 2, 4, 8]);
        assert_eq!(lane.entries_allowed(), 10);
    }

    #[test]
    fn failures_in_a_row_are_counted_by_probe() {
        let mut lane = Lane::new("test", 10, 3);
        let mut counted = Vec::new();
        (0..3).for_each(|_| lane.begin());
        (0..3).for_each(|_| lane.fail(at(0), |failures| note(&mut counted, failures)));
        for _ in 0..2 {
            lane.begin();
            lane.fail(at(0), |failures| note(&mut counted, failures));
        }
        lane.begin();
        lane.succeed();
        lane.begin();
        lane.fail(at(0), |failures| note(&mut counted, failures));
        assert_eq!(counted, [1, 2, 3, 1]);
    }

    fn note(counted: &mut Vec<u32>, failures: u32) -> Duration {
        counted.push(failures);
        Duration::ZERO
    }
}
