//! The moment by which an answer is due, on the clock that never goes back.

use std::time::Duration;

use nexus_ports::{Monotonic, Platform};

/// When an operation must be over. Made once per request and handed down, so that retries inside cannot add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Monotonic);

impl Deadline {
    pub fn after(platform: &Platform, duration: Duration) -> Self {
        Self(Monotonic(platform.monotonic().0.saturating_add(duration)))
    }

    /// The same deadline, moved towards now to leave time for something afterwards.
    pub fn earlier_by(self, reserve: Duration) -> Self {
        Self(Monotonic(self.0.0.saturating_sub(reserve)))
    }

    /// Time left; `None` when there is none.
    pub fn remaining(self, platform: &Platform) -> Option<Duration> {
        self.0.0.checked_sub(platform.monotonic().0).filter(|left| !left.is_zero())
    }
}
