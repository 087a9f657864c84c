//! Bounds of the projection and of the read side.

use std::time::Duration;

use nexus_ports::Platform;

/// Bounds on attempts, patience and memory of a [`Projection`](crate::Projection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionSettings {
    /// Attempts in all to bring one event into its view, the first included. Three outlive a lost answer and a throttle
    /// and amplify an outage little; after them the aggregate is parked.
    pub attempts_max: u32,
    /// Upper bound of the pause before the second attempt; it doubles with each further one.
    pub backoff_first: Duration,
    /// No pause is longer than this.
    pub backoff_max: Duration,
    /// One call to a store is given up after this time; its outcome is then unknown.
    pub call_timeout: Duration,
    /// How long a version that was skipped may still come by the feed before it is read from the event store. Events
    /// overtake each other when a batch was accepted in part, and then only by a retry's pause.
    pub gap_patience: Duration,
    /// Aggregates worked on at the same time. More only queue up at the read model.
    pub aggregates_at_once: usize,
    /// Views kept in memory, to save the read before each write.
    pub views_cached: usize,
    /// With more records kept back than this no further ones are taken.
    pub kept_back_max: usize,
    /// A record's body is parked up to this size: an item of DynamoDB ends at 400 KB, a record of Kinesis at 1 MiB or more.
    pub parked_body_bytes_max: usize,
}

impl Default for ProjectionSettings {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
            call_timeout: Duration::from_secs(2),
            gap_patience: Duration::from_millis(500),
            aggregates_at_once: 16,
            views_cached: 4_096,
            kept_back_max: 10_000,
            parked_body_bytes_max: 300_000,
        }
    }
}

impl ProjectionSettings {
    /// Exponential with full jitter: uniform between nothing and the bound, so that those who failed together do not
    /// come back together.
    pub(crate) fn backoff(&self, platform: &Platform, attempts_made: u32, logical_key: &str) -> Duration {
        let fraction = platform.random_fraction("projection-backoff", logical_key);
        self.backoff_bound(attempts_made).mul_f64(fraction)
    }

    /// The longest pause after this many failures in a row.
    pub(crate) fn backoff_bound(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.backoff_first.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

/// Bounds of the read side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardSettings {
    /// Attempts in all to read one view.
    pub attempts_max: u32,
    /// Upper bound of the pause before the second attempt; it doubles with each further one.
    pub backoff_first: Duration,
    /// One read is given up after this time.
    pub call_timeout: Duration,
}

impl Default for DashboardSettings {
    fn default() -> Self {
        Self { attempts_max: 3, backoff_first: Duration::from_millis(50), call_timeout: Duration::from_secs(2) }
    }
}
