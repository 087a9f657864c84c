//! Bounds of the notification service.

use std::time::Duration;

use nexus_ports::Platform;

/// Bounds on attempts, concurrency and visibility of a [`NotificationWorker`](crate::NotificationWorker).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationSettings {
    /// How long a receive waits for the first message; 20 s is the longest that SQS takes, and the cheapest.
    pub wait_seconds: u32,
    /// Messages asked for at once; SQS gives at most 10.
    pub batch_max: u32,
    /// How long a received message stays hidden. 30 s: three attempts of 2 s with their pauses, and the deletion, fit in.
    pub visibility_seconds: u32,
    /// How often messages that are worked on are hidden anew: a third of the visibility, so that two calls may fail.
    pub heartbeat_every: Duration,
    /// Batches worked on side by side, so that one slow message does not hold up all others.
    pub batches_at_once: usize,
    /// Messages of one batch worked on side by side.
    pub messages_at_once: usize,
    /// Attempts in all to record one notification or to delete messages, per receive.
    pub attempts_max: u32,
    /// Upper bound of the pause before the second attempt; it doubles with each further one.
    pub backoff_first: Duration,
    /// No pause is longer than this.
    pub backoff_max: Duration,
    /// One call is given up after this time; for a receive, on top of its wait.
    pub call_timeout: Duration,
    /// A message that failed for now shows again after 2 to the power of its receive count in seconds, at most this.
    pub redelivery_seconds_max: u32,
    /// A message that no attempt will help shows again after this: soon, so that it is soon in the dead-letter queue.
    pub poison_redelivery_seconds: u32,
    /// How long a receive under way at the stop may still answer: messages that it was given would be hidden for nothing.
    pub stop_patience: Duration,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            wait_seconds: 20,
            batch_max: 10,
            visibility_seconds: 30,
            heartbeat_every: Duration::from_secs(10),
            batches_at_once: 2,
            messages_at_once: 10,
            attempts_max: 3,
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(10),
            call_timeout: Duration::from_secs(2),
            redelivery_seconds_max: 300,
            poison_redelivery_seconds: 1,
            stop_patience: Duration::from_secs(1),
        }
    }
}

impl NotificationSettings {
    /// Exponential with full jitter: uniform between nothing and the bound, so that those who failed together do not
    /// come back together.
    pub(crate) fn backoff(&self, platform: &Platform, failures: u32, logical_key: &str) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let bound = self.backoff_first.saturating_mul(1 << doublings).min(self.backoff_max);
        bound.mul_f64(platform.random_fraction("notification-backoff", logical_key))
    }

    /// When a message that failed for now may be tried again.
    pub(crate) fn redelivery_seconds(&self, receive_count: u32) -> u32 {
        2_u32.checked_pow(receive_count).unwrap_or(u32::MAX).min(self.redelivery_seconds_max)
    }
}
