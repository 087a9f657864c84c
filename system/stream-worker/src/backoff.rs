//! Pauses between attempts.

use std::time::Duration;

/// Exponential with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub first: Duration,
    pub max: Duration,
}

impl Backoff {
    /// The pause after this many failures in a row; `fraction` in [0, 1) is the jitter.
    pub(crate) fn pause(self, failures: u32, fraction: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.max).mul_f64(fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_scaled_by_the_jitter() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_millis(1_000) };
        for (failures, fraction, wanted_ms) in [
            (1, 1.0, 100),
            (2, 1.0, 200),
            (4, 1.0, 800),
            (5, 1.0, 1_000),
            (500, 1.0, 1_000),
            (2, 0.5, 100),
            (3, 0.0, 0),
        ] {
            let pause = backoff.pause(failures, fraction);
            assert_eq!(pause, Duration::from_millis(wanted_ms), "{failures} failures at {fraction}");
        }
    }
}
