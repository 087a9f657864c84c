//! What an operation may touch besides tables: time, entropy, the journal, work for later.

use std::time::Duration;

use super::key::ItemKey;
use crate::{
    assumptions::Assumptions,
    entropy::{Entropy, open_fraction},
    interface::{Quirk, UnixNanos},
    journal::{Journal, RawEntry},
    latency::{lognormal_of_two_ms, nanoseconds},
};

/// Work that the cloud does by itself when its time comes.
#[derive(Clone, Debug)]
pub enum Deferred {
    /// A stream record becomes readable.
    Journal(RawEntry),
    /// Time-to-live may delete an item.
    Expire { table: String, key: ItemKey },
}

/// The circumstances of one effect.
pub struct Context<'a> {
    pub now: UnixNanos,
    /// 0 for what no call did.
    pub call_sequence: u64,
    pub region: &'a str,
    pub assumptions: &'a Assumptions,
    pub entropy: &'a mut Entropy,
    pub journal: &'a mut Journal,
    pub deferred: &'a mut Vec<(UnixNanos, Deferred)>,
    /// A fault asks eventual reads to look this far back.
    pub staleness: Option<Duration>,
    /// A fault lets a batch do its first entry only.
    pub partial_batch: bool,
    /// What else a fault does to this call; only reads of streams know any.
    pub quirks: &'a [Quirk],
}

impl Context<'_> {
    /// The moment whose state an eventual read of `logical_key` sees.
    pub fn eventual_read_time(&mut self, logical_key: &str) -> UnixNanos {
        let lag = match self.staleness {
            Some(staleness) => staleness,
            None => self.drawn_staleness(logical_key),
        };
        let lag = lag.min(super::store::HISTORY);
        UnixNanos(self.now.0.saturating_sub(lag.as_nanos() as u64))
    }

    fn drawn_staleness(&mut self, logical_key: &str) -> Duration {
        let share = self.assumptions.stale_read_share;
        if share <= 0.0 {
            return Duration::ZERO;
        }
        let bits = self.entropy.next_u64("staleness", logical_key);
        let drawn = open_fraction(bits);
        if drawn >= share {
            return Duration::ZERO;
        }
        // What is left of the draw below the share is itself uniform.
        nanoseconds(drawn / share * self.assumptions.stale_read_max_ms as f64)
    }

    /// How late a write to `logical_key` shows in a global index.
    pub fn index_lag(&mut self, index: &str, logical_key: &str) -> Duration {
        let (p50, p99) = (self.assumptions.index_lag_p50_ms, self.assumptions.index_lag_p99_ms);
        self.lag("index-lag", &format!("{index}/{logical_key}"), p50, p99)
    }

    /// How late what is written within one `window` of time shows in a shard of a stream.
    pub fn stream_lag(&mut self, shard: &str, window: u64) -> Duration {
        let (p50, p99) = (self.assumptions.stream_lag_p50_ms, self.assumptions.stream_lag_p99_ms);
        self.lag("stream-lag", &format!("{shard}/{window}"), p50, p99)
            .min(nanoseconds(self.assumptions.stream_lag_max_ms))
    }

    /// The order in which the records of one transaction, known by the key of its first item, enter a stream, and how long
    /// each becomes readable after the one before it.
    pub fn torn(&mut self, logical_key: &str, records: usize) -> (Vec<usize>, Duration) {
        let mut order: Vec<usize> = (0..records).collect();
        let share = self.assumptions.stream_torn_share;
        if records < 2 || share <= 0.0 || self.entropy.next_fraction("stream-torn", logical_key) >= share {
            return (order, Duration::ZERO);
        }
        for last in (1..records).rev() {
            let other = self.entropy.next_u64("stream-torn-order", logical_key) % (last as u64 + 1);
            order.swap(last, other as usize);
        }
        let drawn = self.entropy.next_fraction("stream-torn-apart", logical_key);
        (order, nanoseconds(drawn * self.assumptions.stream_torn_max_ms) / (records as u32 - 1))
    }

    fn lag(&mut self, purpose: &str, logical_key: &str, p50_ms: f64, p99_ms: f64) -> Duration {
        if p50_ms <= 0.0 {
            return Duration::ZERO;
        }
        let quantile = self.entropy.next_fraction(purpose, logical_key);
        nanoseconds(lognormal_of_two_ms(p50_ms, p99_ms, quantile))
    }
}
