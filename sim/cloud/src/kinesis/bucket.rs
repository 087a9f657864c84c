//! Rates per second as token buckets that hold one second's worth.

use crate::interface::UnixNanos;

/// Tokens in billionths, so that nanoseconds refill them exactly.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: u64,
    tokens: i128,
    at: UnixNanos,
}

const SCALE: i128 = 1_000_000_000;

impl Bucket {
    pub fn full(rate: u64, now: UnixNanos) -> Self {
        Self { rate, tokens: i128::from(rate) * SCALE, at: now }
    }

    fn refill(&mut self, now: UnixNanos) {
        let gained = i128::from(now.0.saturating_sub(self.at.0)) * i128::from(self.rate);
        self.tokens = (self.tokens + gained).min(i128::from(self.rate) * SCALE);
        self.at = self.at.max(now);
    }

    /// Whether a whole token is there.
    pub fn has_one(&mut self, now: UnixNanos) -> bool {
        self.refill(now);
        self.tokens >= SCALE
    }

    /// Whether this much is there. What costs more than a second's worth needs a full bucket, and leaves a debt.
    pub fn has(&mut self, now: UnixNanos, amount: u64) -> bool {
        self.refill(now);
        self.tokens >= i128::from(amount.min(self.rate)) * SCALE
    }

    /// Whether anything is there at all, for what is known to cost something only when it was done.
    pub fn has_any(&mut self, now: UnixNanos) -> bool {
        self.refill(now);
        self.tokens > 0
    }

    pub fn take(&mut self, amount: u64) {
        self.tokens -= i128::from(amount) * SCALE;
    }

    /// Takes one token if it is there.
    pub fn take_one(&mut self, now: UnixNanos) -> bool {
        let there = self.has_one(now);
        if there {
            self.take(1);
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_refills_and_a_debt_is_paid_first() {
        let at = |ms: u64| UnixNanos(ms * 1_000_000);
        let mut bucket = Bucket::full(5, at(0));
        let taken = (0..10).filter(|_| bucket.take_one(at(0))).count();
        assert_eq!(taken, 5);
        assert!(!bucket.take_one(at(199)));
        assert!(bucket.take_one(at(200)));
        bucket.take(10);
        assert!(!bucket.has_any(at(2_200)), "the debt is just paid");
        assert!(bucket.has_any(at(2_201)));
        assert!(bucket.has(at(60_000), 100), "a full bucket is good for anything");
        assert_eq!((0..10).filter(|_| bucket.take_one(at(60_000))).count(), 5, "it holds one second's worth");
    }
}
