//! The cache among tasks: one of those who miss the same entry asks, the others wait for the answer.

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nexus_ports::{Platform, ReadFailure};
use tokio::sync::Notify;

use super::cache::{Answer, Cache, CacheBounds, LookUp, Ticket};

/// An answer, and why it had to do although it has expired.
pub(crate) type Answered<V> = (V, Option<ReadFailure>);

pub(crate) struct Flights<K, V> {
    platform: Platform,
    cache: Mutex<Cache<K, V>>,
    /// Wakes everybody in the order in which they began to wait, for whichever entry: there are few entries.
    landed: Notify,
}

impl<K: Ord + Clone, V: Clone> Flights<K, V> {
    pub fn new(platform: Platform, bounds: CacheBounds) -> Self {
        Self { platform, cache: Mutex::new(Cache::new(bounds)), landed: Notify::new() }
    }

    pub fn cache(&self) -> MutexGuard<'_, Cache<K, V>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the entry, and with it what is being asked for.
    pub fn forget(&self, key: &K) {
        self.cache().forget(key);
        self.landed.notify_waiters();
    }

    /// What the entry holds, asking for it by `ask` where it falls to this caller.
    ///
    /// # Errors
    /// Nothing is remembered that may be used, and the registry did not answer.
    pub async fn get(
        &self,
        key: &K,
        ask: impl Future<Output = Result<Answer<V>, ReadFailure>> + Send,
    ) -> Result<Answered<V>, ReadFailure> {
        loop {
            // Made before looking, so that an end that comes in between is not missed.
            let landed = self.landed.notified();
            let now = self.platform.monotonic();
            let looked_up = self.cache().look_up(key, now);
            match looked_up {
                LookUp::Wait { until } => {
                    // Late or not, the next look tells what is to be done.
                    let _ = self.platform.timeout(until.since(now), landed).await;
                }
                LookUp::Ask(ticket) => {
                    let flight = Flight { flights: self, key, ticket };
                    let outcome = ask.await;
                    return settled(flight.land(outcome));
                }
                known => return settled(known),
            }
        }
    }
}

/// A call to the registry, for as long as whoever makes it lives.
struct Flight<'a, K: Ord + Clone, V: Clone> {
    flights: &'a Flights<K, V>,
    key: &'a K,
    ticket: Ticket,
}

impl<K: Ord + Clone, V: Clone> Flight<'_, K, V> {
    fn land(self, outcome: Result<Answer<V>, ReadFailure>) -> LookUp<V> {
        let now = self.flights.platform.monotonic();
        // The lock is free again when the flight is dropped, which wakes those who wait.
        self.flights.cache().answered(self.key, self.ticket, outcome, now)
    }
}

/// Landed or given up, nobody need wait for it any longer.
impl<K: Ord + Clone, V: Clone> Drop for Flight<'_, K, V> {
    fn drop(&mut self) {
        self.flights.cache().abandoned(self.key, self.ticket);
        self.flights.landed.notify_waiters();
    }
}

fn settled<V>(looked_up: LookUp<V>) -> Result<Answered<V>, ReadFailure> {
    match looked_up {
        LookUp::Fresh(value) => Ok((value, None)),
        LookUp::Stale(value, failure) => Ok((value, Some(failure))),
        LookUp::Refused(failure) => Err(failure),
        LookUp::Ask(_) | LookUp::Wait { .. } => unreachable!("a look-up that was acted on has ended"),
    }
}
