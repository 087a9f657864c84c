//! How patiently dead letters are worked off.

use std::time::Duration;

use nexus_ports::Platform;

/// Attempts, pauses and limits of a [`DlqProcessor`](crate::DlqProcessor).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DlqSettings {
    /// Attempts in all for one call (of a send: for one letter), the first included.
    pub attempts_max: u32,
    /// Upper bound of the pause before the second attempt; it doubles with each further one.
    pub backoff_base: Duration,
    pub backoff_max: Duration,
    /// Bound of one attempt. A receive has its long poll on top.
    pub call_timeout: Duration,
    /// Long poll of a receive, 0 to 20 s. A short poll (0) may find nothing although letters are there.
    pub receive_wait_seconds: u32,
    /// How long received letters stay hidden. Longer than a batch takes at worst (its share of the redrive rate and all
    /// attempts), or another receiver works on them as well, which is wasteful but harmless.
    pub visibility_seconds: u32,
    /// A run ends after so many receives in a row without a letter that is new to it.
    pub idle_receives_to_stop: u32,
    /// A run ends after so many letters of one source; the next run goes on.
    pub letters_per_run_max: usize,
    /// A letter that was redriven so often is quarantined.
    pub redrives_max: u32,
    /// Letters per second sent to home queues, all sources together. At least one.
    pub redrives_per_second: u32,
    /// A letter that was redriven before waits at least so long after that redrive, doubled with each further one, so that
    /// an outage does not use up all redrives at once.
    pub redrive_pause: Duration,
    /// Retention of the dead-letter queues, counted from when a letter was first sent (standard queues keep that time).
    pub retention_ms: u64,
    /// A letter that would have to stay although it has no more time left than this is quarantined. More than the time
    /// between runs, the visibility and any skew of clocks together.
    pub rescue_before_ms: u64,
    /// Pause between runs.
    pub run_every: Duration,
    /// Bound of one replay of one aggregate.
    pub replay_timeout: Duration,
    /// Aggregates replayed at the same time.
    pub releases_in_parallel: usize,
    /// Replays of one aggregate within a run, while newer events keep arriving behind it.
    pub release_rounds_max: u32,
    /// After so many replays in a row that were interrupted, a run tries no further aggregate: what they lead to is down.
    pub interruptions_to_stop: u32,
    /// Upper bound of the pause after the first failed release of an aggregate; it doubles with each attempt made.
    pub release_backoff_base: Duration,
    pub release_backoff_max: Duration,
    /// A poisoned aggregate is replayed when a process first sees it (a new release of the code may cure it), then at most
    /// once in this time.
    pub poison_retry_every: Duration,
}

impl Default for DlqSettings {
    fn default() -> Self {
        Self {
            attempts_max: 3,
            backoff_base: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            call_timeout: Duration::from_secs(5),
            receive_wait_seconds: 1,
            visibility_seconds: 120,
            idle_receives_to_stop: 2,
            letters_per_run_max: 100_000,
            redrives_max: 3,
            redrives_per_second: 50,
            redrive_pause: Duration::from_secs(10),
            retention_ms: 14 * 24 * 3_600_000,
            rescue_before_ms: 24 * 3_600_000,
            run_every: Duration::from_secs(30),
            replay_timeout: Duration::from_secs(30),
            releases_in_parallel: 8,
            release_rounds_max: 5,
            interruptions_to_stop: 16,
            release_backoff_base: Duration::from_secs(1),
            release_backoff_max: Duration::from_secs(60),
            poison_retry_every: Duration::from_secs(3_600),
        }
    }
}

impl DlqSettings {
    /// The pause after so many attempts of a call, with full jitter.
    pub(crate) fn pause(&self, platform: &Platform, attempts_made: u32, logical_key: &str) -> Duration {
        let bound = doubled(self.backoff_base, attempts_made.saturating_sub(1), self.backoff_max);
        bound.mul_f64(platform.random_fraction("dlq-backoff", logical_key))
    }

    /// The pause before an aggregate is released again: half of it certain, half by chance, since with none certain an
    /// aggregate that cannot be released yet would be replayed in every run.
    pub(crate) fn release_pause(&self, platform: &Platform, attempts_made: u32, logical_key: &str) -> Duration {
        let bound = doubled(self.release_backoff_base, attempts_made.saturating_sub(1), self.release_backoff_max);
        bound.mul_f64((1.0 + platform.random_fraction("dlq-release-backoff", logical_key)) / 2.0)
    }

    /// How long after its last redrive a letter must have waited to be redriven again.
    pub(crate) fn pause_before_redrive(&self, redrives_before: u32) -> Duration {
        match redrives_before {
            0 => Duration::ZERO,
            redriven => doubled(self.redrive_pause, redriven - 1, Duration::MAX),
        }
    }

    /// Whether a letter must not be left where it is.
    pub(crate) fn is_near_its_end(&self, sent_at_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(sent_at_ms).saturating_add(self.rescue_before_ms) >= self.retention_ms
    }
}

fn doubled(base: Duration, doublings: u32, max: Duration) -> Duration {
    base.saturating_mul(1 << doublings.min(20)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_near_their_end_within_the_margin_only() {
        let settings = DlqSettings { retention_ms: 1_000, rescue_before_ms: 100, ..DlqSettings::default() };
        for (sent_at_ms, now_ms, wanted) in
            [(0, 0, false), (0, 899, false), (0, 900, true), (0, 5_000, true), (500, 899, false), (2_000, 0, false)]
        {
            assert_eq!(settings.is_near_its_end(sent_at_ms, now_ms), wanted, "{sent_at_ms} at {now_ms}");
        }
    }

    #[test]
    fn the_pause_before_a_redrive_doubles() {
        let settings = DlqSettings { redrive_pause: Duration::from_secs(10), ..DlqSettings::default() };
        for (redrives_before, seconds) in [(0, 0), (1, 10), (2, 20), (3, 40)] {
            assert_eq!(settings.pause_before_redrive(redrives_before), Duration::from_secs(seconds));
        }
    }
}
