//! The operating system's clocks and entropy.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nexus_ports::{Entropy, Monotonic, MonotonicClock, UnixTime, WallClock};

pub(crate) struct SystemWallClock;

impl WallClock for SystemWallClock {
    /// A clock set before 1970 reads as 1970: no caller can do better with it.
    fn now(&self) -> UnixTime {
        UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// Counts from the moment the Platform was built.
pub(crate) struct SystemMonotonicClock {
    origin: Instant,
}

impl SystemMonotonicClock {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl MonotonicClock for SystemMonotonicClock {
    fn now(&self) -> Monotonic {
        Monotonic(self.origin.elapsed())
    }
}

pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// Panics if the operating system has no entropy to give: going on with predictable ids would be worse.
    fn fill(&self, _purpose: &'static str, _logical_key: &str, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            panic!("the operating system gave no entropy: {error}");
        }
    }
}
