//! Computing costs time: without it a host would answer any load at once, and no outage by overload could happen.

use std::{sync::Mutex, time::Duration};

use nexus_ports::{Monotonic, Platform};

use crate::{SlownessHandle, handles::lock};

/// A host's processors: `servers` of them, taking work in the order of its arrival.
///
/// The time at which each server falls free is kept exactly, so that costs below the engine's timer resolution add up to
/// the right throughput; only the moment at which a caller learns of its work's end is rounded up by the timer.
/// Work counts as accepted when it arrives: it takes its place and its time even if its caller stops waiting, as on a
/// machine that computes an answer which nobody reads any more. The slowness that holds is that at arrival.
pub struct Compute {
    platform: Platform,
    slowness: SlownessHandle,
    /// When each server falls free, on the host's monotonic clock.
    free_at: Mutex<Vec<Duration>>,
}

impl Compute {
    /// Panics without a server. A restarted program makes a new one: queued work is lost with the host.
    pub fn new(platform: Platform, servers: usize, slowness: SlownessHandle) -> Self {
        assert!(servers > 0, "a host needs at least one server");
        Self { platform, slowness, free_at: Mutex::new(vec![Duration::ZERO; servers]) }
    }

    /// Waits for a free server and occupies it for `cost` times the host's slowness.
    pub async fn work(&self, cost: Duration) {
        let Monotonic(now) = self.platform.monotonic();
        let finish = self.accept(now, cost.mul_f64(self.slowness.factor()));
        if finish > now {
            self.platform.sleep(finish - now).await;
        }
    }

    /// How long work that arrived now would wait before it began.
    pub fn backlog(&self) -> Duration {
        let Monotonic(now) = self.platform.monotonic();
        let earliest = lock(&self.free_at).iter().min().copied().unwrap_or_default();
        earliest.saturating_sub(now)
    }

    fn accept(&self, now: Duration, service: Duration) -> Duration {
        let mut free_at = lock(&self.free_at);
        let Some(server) = free_at.iter_mut().min() else { return now };
        *server = (*server).max(now) + service;
        *server
    }
}
