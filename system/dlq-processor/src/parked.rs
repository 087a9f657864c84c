//! The parked aggregates of one consumer: which are due, and what is remembered of those that stayed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use futures_util::stream::{self, StreamExt};
use nexus_ports::{AggregateReplayer, Monotonic, ParkReason, ParkedAggregate, StreamName, Version};

use crate::{
    DlqAccount,
    attempts::attempt,
    processor::Shared,
    release::{Release, ReleaseEnd, mirror},
};

/// By consumer and key. Lost with the process, which costs no more than one early replay of each aggregate.
#[derive(Debug, Default)]
pub(crate) struct ParkedMemory {
    entries: BTreeMap<(String, String), Tried>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tried {
    due_at: Monotonic,
    /// What was mirrored into the quarantine: the version that waits first (none where it cannot be told).
    mirrored: Option<Option<Version>>,
}

impl ParkedMemory {
    /// Forgets what is no longer parked.
    fn retain_listed(&mut self, consumer: &str, listed: &[ParkedAggregate]) {
        let listed: BTreeSet<&str> = listed.iter().map(|parked| parked.key.as_str()).collect();
        self.entries.retain(|(owner, key), _| owner != consumer || listed.contains(key.as_str()));
    }

    fn is_due(&self, parked: &ParkedAggregate, now: Monotonic) -> bool {
        self.entries.get(&id(parked)).is_none_or(|tried| tried.due_at <= now)
    }

    fn is_mirrored(&self, parked: &ParkedAggregate) -> bool {
        self.entries.get(&id(parked)).is_some_and(|tried| tried.mirrored == Some(parked.first_version))
    }

    fn set_mirrored(&mut self, parked: &ParkedAggregate) {
        self.entry(parked).mirrored = Some(parked.first_version);
    }

    fn set_due_at(&mut self, parked: &ParkedAggregate, due_at: Monotonic) {
        self.entry(parked).due_at = due_at;
    }

    fn entry(&mut self, parked: &ParkedAggregate) -> &mut Tried {
        let unseen = Tried { due_at: Monotonic(Duration::ZERO), mirrored: None };
        self.entries.entry(id(parked)).or_insert(unseen)
    }
}

fn id(parked: &ParkedAggregate) -> (String, String) {
    (parked.consumer.clone(), parked.key.clone())
}

/// One run over the parking lot of one consumer.
pub(crate) struct ParkedRun<'a> {
    shared: &'a Shared,
    consumer: &'a str,
    replayer: &'a dyn AggregateReplayer,
    is_stopping: &'a AtomicBool,
    interruptions_in_a_row: AtomicU32,
}

impl<'a> ParkedRun<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        consumer: &'a str,
        replayer: &'a dyn AggregateReplayer,
        is_stopping: &'a AtomicBool,
    ) -> Self {
        Self { shared, consumer, replayer, is_stopping, interruptions_in_a_row: AtomicU32::new(0) }
    }

    pub(crate) async fn run(self) -> DlqAccount {
        let Shared { platform, settings, parking, .. } = self.shared;
        let listed =
            attempt(platform, settings, settings.call_timeout, self.consumer, || parking.list(self.consumer)).await;
        let Ok(listed) = listed else {
            return DlqAccount { unreachable: 1, ..DlqAccount::default() };
        };
        self.shared.with_memory(|memory| memory.retain_listed(self.consumer, &listed));
        let worked_off = stream::iter(listed).map(|parked| self.work_off(parked));
        worked_off
            .buffer_unordered(settings.releases_in_parallel.max(1))
            .fold(DlqAccount::default(), |mut total, account| async move {
                total += account;
                total
            })
            .await
    }

    async fn work_off(&self, parked: ParkedAggregate) -> DlqAccount {
        let still_parked = DlqAccount { still_parked: 1, ..DlqAccount::default() };
        let is_mirrored = parked.reason != ParkReason::Poison || self.is_mirrored_now(&parked).await;
        let now = self.shared.platform.monotonic();
        let is_due = self.shared.with_memory(|memory| memory.is_due(&parked, now));
        if !is_due || self.is_over() {
            return still_parked;
        }
        let Ok(stream) = parked.key.parse::<StreamName>() else {
            // It came under a key that names no stream: nothing in the event store can wait behind it.
            return still_parked;
        };
        if parked.first_version.is_none() && !is_mirrored {
            // Its body is nowhere else: it must not be released before the quarantine has it.
            return still_parked;
        }
        match (Release { shared: self.shared, replayer: self.replayer, is_stopping: self.is_stopping, stream })
            .run(parked)
            .await
        {
            ReleaseEnd::Released => {
                self.interruptions_in_a_row.store(0, Ordering::Relaxed);
                DlqAccount { released: 1, ..DlqAccount::default() }
            }
            ReleaseEnd::ReleasedElsewhere => DlqAccount { duplicates: 1, ..DlqAccount::default() },
            ReleaseEnd::StillParked(parked) => {
                if parked.reason == ParkReason::Poison {
                    self.is_mirrored_now(&parked).await;
                } else {
                    self.interruptions_in_a_row.fetch_add(1, Ordering::Relaxed);
                }
                self.wait_before_next(&parked);
                still_parked
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
            || self.interruptions_in_a_row.load(Ordering::Relaxed) >= self.shared.settings.interruptions_to_stop
    }

    /// Mirrors a poisoned aggregate into the quarantine unless this process did so before.
    async fn is_mirrored_now(&self, parked: &ParkedAggregate) -> bool {
        if self.shared.with_memory(|memory| memory.is_mirrored(parked)) {
            return true;
        }
        let is_kept = self.shared.keep(&mirror(parked, self.shared.unix_ms())).await.is_ok();
        if is_kept {
            self.shared.with_memory(|memory| memory.set_mirrored(parked));
        }
        is_kept
    }

    fn wait_before_next(&self, parked: &ParkedAggregate) {
        let Shared { platform, settings, .. } = self.shared;
        let pause = match parked.reason {
            ParkReason::Poison => settings.poison_retry_every,
            ParkReason::AttemptsExhausted => settings.release_pause(platform, parked.attempts, &parked.key),
        };
        let due_at = Monotonic(platform.monotonic().0.saturating_add(pause));
        self.shared.with_memory(|memory| memory.set_due_at(parked, due_at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(key: &str, first_version: Option<u64>) -> ParkedAggregate {
        ParkedAggregate {
            consumer: "router".to_owned(),
            key: key.to_owned(),
            first_version: first_version.map(Version),
            last_version: None,
            body: String::new(),
            reason: ParkReason::Poison,
            detail: String::new(),
            attempts: 0,
            parked_at_ms: 0,
            counter: 1,
        }
    }

    #[test]
    fn what_is_unknown_is_due_and_what_was_tried_waits() {
        let mut memory = ParkedMemory::default();
        let at = |seconds| Monotonic(Duration::from_secs(seconds));
        let entry = parked("order-1", Some(1));
        assert!(memory.is_due(&entry, at(0)));
        memory.set_due_at(&entry, at(10));
        for (seconds, wanted) in [(0, false), (9, false), (10, true), (11, true)] {
            assert_eq!(memory.is_due(&entry, at(seconds)), wanted, "after {seconds} s");
        }
    }

    #[test]
    fn another_version_at_fault_is_mirrored_again_and_released_entries_are_forgotten() {
        let mut memory = ParkedMemory::default();
        let entry = parked("order-1", Some(1));
        memory.set_mirrored(&entry);
        assert!(memory.is_mirrored(&entry));
        assert!(!memory.is_mirrored(&parked("order-1", Some(2))));
        assert!(!memory.is_mirrored(&parked("order-2", Some(1))));
        memory.retain_listed("projection", &[]);
        assert!(memory.is_mirrored(&entry), "another consumer's list says nothing about it");
        memory.retain_listed("router", &[parked("order-2", None)]);
        assert!(!memory.is_mirrored(&entry));
    }
}
