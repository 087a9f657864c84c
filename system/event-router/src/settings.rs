//! How often, how patiently and how much the router tries.

use std::time::Duration;

/// All limits of a [`Router`](crate::Router).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterSettings {
    /// Attempts in all for one event, the first included. After the last its aggregate is parked.
    pub attempts_max: u32,
    /// Upper bound of the pause before the second attempt; it doubles with each further one.
    ///
    /// A Kinesis shard counts its capacity by the second, so that much shorter pauses would meet the same throttle.
    pub backoff_first: Duration,
    /// No pause is longer than this, be it of an event or of a destination that is down.
    pub backoff_max: Duration,
    /// A call without an answer after this time counts as one of unknown outcome.
    pub call_timeout: Duration,
    /// How long a version may be missing before it is read from the event store.
    pub gap_patience: Duration,
    /// An event of an aggregate that this handler knows nothing of is looked at for predecessors recorded at most this
    /// much earlier: only they can still be under way to a reader. Older ones have passed long ago.
    pub cold_window: Duration,
    /// A call to the handler returns after this time even if calls are under way, so that a slow destination does not keep
    /// the records of the other one from being read.
    pub linger: Duration,
    /// Aggregates whose versions are remembered in this process.
    pub aggregates_remembered: usize,
    /// Aggregates whose versions travel with the checkpoint. Each costs some 25 bytes of every lease write, and spares a read
    /// after the shard changed hands.
    pub memory_entries_max: usize,
    /// Records that are read and not yet behind the durable position. At this many no more are accepted.
    pub kept_back_max: usize,
    /// The same while a destination is down, counting only what waits for that destination.
    pub kept_back_while_down: usize,
    /// `PutRecords` calls under way at once.
    pub stream_calls_max: usize,
    /// `PublishBatch` calls under way at once; each takes ten events only.
    pub topic_calls_max: usize,
    /// Calls to the parking lot, and reads of the event store, under way at once.
    pub store_calls_max: usize,
    /// How often the schema registry, where there is one, is asked again for each event version. Its client remembers
    /// answers for longer: this is how soon the router learns what the client knows.
    pub schema_recheck: Duration,
    /// How much longer an event version that was cleared stays so while the registry is being asked again.
    pub schema_grace: Duration,
    /// The largest entry of the stream: data and partition key. Kinesis takes 1 MiB unless more was asked for.
    pub stream_entry_bytes_max: usize,
    /// The largest message, and the largest batch of messages, of the topic: body and attributes. SNS takes 256 KiB.
    pub message_bytes_max: usize,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            backoff_first: Duration::from_millis(250),
            backoff_max: Duration::from_secs(5),
            call_timeout: Duration::from_secs(2),
            gap_patience: Duration::from_millis(500),
            cold_window: Duration::from_secs(10),
            linger: Duration::from_millis(100),
            aggregates_remembered: 10_000,
            memory_entries_max: 200,
            kept_back_max: 10_000,
            kept_back_while_down: 2_000,
            stream_calls_max: 2,
            topic_calls_max: 8,
            store_calls_max: 8,
            schema_recheck: Duration::from_secs(1),
            schema_grace: Duration::from_secs(5),
            stream_entry_bytes_max: 1024 * 1024,
            message_bytes_max: 256 * 1024,
        }
    }
}

impl RouterSettings {
    /// Exponential with full jitter: a share (`fraction`, 0 to 1) of a bound that doubles with each failure.
    pub(crate) fn pause(&self, failures: u32, fraction: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.backoff_first.saturating_mul(1 << doublings).min(self.backoff_max).mul_f64(fraction.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let settings = RouterSettings::default();
        for (failures, fraction, wanted_ms) in
            [(1, 1.0, 250), (2, 1.0, 500), (3, 0.5, 500), (6, 1.0, 5_000), (100, 1.0, 5_000), (4, 0.0, 0)]
        {
            assert_eq!(settings.pause(failures, fraction), Duration::from_millis(wanted_ms), "{failures} {fraction}");
        }
    }
}
