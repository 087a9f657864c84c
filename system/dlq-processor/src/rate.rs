//! A limit on the letters sent per second, so that a redrive does not become the next outage.

use std::time::Duration;

use nexus_ports::Monotonic;

/// Hands out moments to send. Evenly spaced, without credit for idle time.
#[derive(Debug)]
pub(crate) struct RedriveRate {
    letter_interval: Duration,
    free_at: Monotonic,
}

impl RedriveRate {
    pub(crate) fn new(letters_per_second: u32) -> Self {
        let letter_interval = Duration::from_secs(1) / letters_per_second.max(1);
        Self { letter_interval, free_at: Monotonic(Duration::ZERO) }
    }

    /// Reserves room for some letters and tells how long to wait before they may be sent.
    pub(crate) fn reserve(&mut self, now: Monotonic, letters: usize) -> Duration {
        let start = self.free_at.max(now);
        let letters = u32::try_from(letters).unwrap_or(u32::MAX);
        self.free_at = Monotonic(start.0.saturating_add(self.letter_interval.saturating_mul(letters)));
        start.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_spaced_and_idle_time_earns_nothing() {
        let mut rate = RedriveRate::new(10);
        let at = |millis| Monotonic(Duration::from_millis(millis));
        for (now_ms, letters, wait_ms) in
            [(0, 10, 0), (0, 5, 1_000), (500, 1, 1_000), (60_000, 10, 0), (60_000, 1, 1_000), (62_000, 1, 0)]
        {
            let wait = rate.reserve(at(now_ms), letters);
            assert_eq!(wait, Duration::from_millis(wait_ms), "{letters} letters at {now_ms} ms");
        }
    }
}
