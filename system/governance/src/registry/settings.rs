//! How long answers of the registry count, and how patiently it is asked.

use std::time::Duration;

/// All bounds of a [`RegistryClient`](crate::RegistryClient).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// How long AVAILABLE is believed without asking again. Versions never change, but they can be deleted. 5 minutes.
    pub fresh_for: Duration,
    /// How long anything else is believed: that there is no such version, or that it is PENDING, FAILURE or DELETING.
    /// 3 s, the pace at which AWS's own serializers look: whoever registers the version must not be kept waiting.
    pub negative_for: Duration,
    /// How long after its expiry AVAILABLE is still relied on while the registry gives no answer. 30 minutes.
    pub stale_for: Duration,
    /// After a look-up that failed no other is made for this long. 2 s.
    pub failure_pause: Duration,
    /// Answers remembered; beyond them the oldest is forgotten. 200, as AWS's own serializers do.
    pub entries_max: usize,
    /// Attempts of one look-up or registration, the first included. Adapters retry nothing. 3.
    pub attempts_max: u32,
    /// One attempt without an answer after this time counts as one of unknown outcome. 1 s.
    pub call_timeout: Duration,
    /// Upper bound of the pause before the second attempt; it doubles with each further one. 100 ms.
    pub backoff_first: Duration,
    /// No pause is longer. 1 s.
    pub backoff_max: Duration,
    /// Pause between two looks at a version that is to become AVAILABLE. 3 s, as AWS's own serializers do.
    pub poll_every: Duration,
    /// Looks at it. 10, as AWS's own serializers do.
    pub polls_max: u32,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_secs(5 * 60),
            negative_for: Duration::from_secs(3),
            stale_for: Duration::from_secs(30 * 60),
            failure_pause: Duration::from_secs(2),
            entries_max: 200,
            attempts_max: 3,
            call_timeout: Duration::from_secs(1),
            backoff_first: Duration::from_millis(100),
            backoff_max: Duration::from_secs(1),
            poll_every: Duration::from_secs(3),
            polls_max: 10,
        }
    }
}

impl RegistrySettings {
    /// For people who wait at a terminal instead of customers: more attempts, and more time for each.
    pub fn patient() -> Self {
        Self { attempts_max: 5, call_timeout: Duration::from_secs(5), ..Self::default() }
    }

    /// Exponential with full jitter: a share (`fraction`, 0 to 1) of a bound that doubles with each failure.
    pub(crate) fn pause(&self, failures: u32, fraction: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.backoff_first.saturating_mul(1 << doublings).min(self.backoff_max).mul_f64(fraction.clamp(0.0, 1.0))
    }

    /// No look-up that is being worked on takes longer: every attempt to its end, every pause in full, and a second over.
    pub(crate) fn flight_max(&self) -> Duration {
        self.call_timeout
            .saturating_add(self.backoff_max)
            .saturating_mul(self.attempts_max.max(1))
            .saturating_add(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let settings = RegistrySettings::default();
        for (failures, fraction, wanted_ms) in
            [(1, 1.0, 100), (2, 1.0, 200), (3, 0.5, 200), (5, 1.0, 1_000), (100, 1.0, 1_000), (4, 0.0, 0)]
        {
            assert_eq!(settings.pause(failures, fraction), Duration::from_millis(wanted_ms), "{failures} {fraction}");
        }
    }
}
