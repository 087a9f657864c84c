//! How often and how patiently the event store attempts.

use std::time::Duration;

use nexus_ports::Platform;

/// Attempts and pauses of every operation of an [`EventStore`](crate::EventStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventStoreSettings {
    /// Attempts in all for one append, one record or one read (a page), the first included.
    ///
    /// Three: enough to outlive one lost answer and one throttle, too few to amplify an outage by much.
    pub attempts_max: u32,
    /// Upper bound of the pause before the second attempt; it doubles with each further one.
    ///
    /// 50 ms is about twice a transaction's median duration.
    pub backoff_base: Duration,
    /// No pause is longer than this.
    pub backoff_max: Duration,
    /// What an append keeps of its deadline for the strong read that settles an unknown outcome; of a short deadline a
    /// quarter.
    pub settle_reserve: Duration,
}

impl Default for EventStoreSettings {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            backoff_base: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            settle_reserve: Duration::from_millis(1_500),
        }
    }
}

impl EventStoreSettings {
    /// Exponential with full jitter: uniform between nothing and the bound, so that clients that failed together do
    /// not come back together.
    pub(crate) fn pause(&self, platform: &Platform, attempts_made: u32, logical_key: &str) -> Duration {
        let doublings = attempts_made.saturating_sub(1).min(20);
        let bound = self.backoff_base.saturating_mul(1 << doublings).min(self.backoff_max);
        bound.mul_f64(platform.random_fraction("event-store-backoff", logical_key))
    }
}
