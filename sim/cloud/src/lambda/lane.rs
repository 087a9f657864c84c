//! A lane of a shard: one batch after the other, so that what shares an ordering key keeps its order. A shard has as many
//! lanes as its mapping's parallelization factor.

use std::{collections::VecDeque, time::Duration};

use super::{records::StreamItem, settings::Settings};
use crate::interface::UnixNanos;

/// Batches stay within the size of an invocation.
const MAX_PAYLOAD_BYTES: usize = super::MAX_SYNCHRONOUS_BYTES - 1_024;

/// Records that are handed over together, and how that went so far.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub items: Vec<StreamItem>,
    /// Errors of the function that count against the quota of retries.
    pub errors: u32,
    /// Failures of any kind in a row, for the time to wait.
    pub failures: u32,
    pub invocations: u32,
    pub last_request_id: String,
    /// What the destination is told about this batch, once it is given up.
    pub notice: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LaneState {
    #[default]
    Idle,
    Invoking,
    /// Waits before the next try.
    Resting,
    /// Tells the destination about a discarded batch.
    Notifying,
}

#[derive(Clone, Debug, Default)]
pub struct Lane {
    pub state: LaneState,
    /// What is being worked on; none when idle.
    pub current: Option<Batch>,
    /// What remains of bisected batches: goes before the queue.
    pub rest: VecDeque<Batch>,
    queue: VecDeque<StreamItem>,
    queued_bytes: usize,
    /// Since when the front of the queue waits for company.
    window_from: Option<UnixNanos>,
}

/// What happens to a batch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    Retry,
    Discard,
}

impl Lane {
    /// Adds a record; true if a batching window begins with it.
    pub fn push(&mut self, item: StreamItem, now: UnixNanos) -> bool {
        self.queued_bytes += item.event.len() + 1;
        self.queue.push_back(item);
        let begins = self.window_from.is_none();
        self.window_from.get_or_insert(now);
        begins
    }

    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.rest.is_empty() && self.queue.is_empty()
    }

    /// How long until the window of what is queued ends.
    pub fn window_left(&self, settings: &Settings, now: UnixNanos) -> Duration {
        self.window_from.map_or(Duration::ZERO, |from| settings.window.saturating_sub(now.since(from)))
    }

    /// The next batch, if one is due. `is_last`: the shard has ended and nothing more will come.
    pub fn next_batch(&mut self, settings: &Settings, now: UnixNanos, is_last: bool) -> Option<Batch> {
        if let Some(batch) = self.rest.pop_front() {
            return Some(batch);
        }
        let is_full = self.queue.len() >= settings.batch_size || self.queued_bytes >= MAX_PAYLOAD_BYTES;
        if self.queue.is_empty() || !(is_full || is_last || self.window_left(settings, now).is_zero()) {
            return None;
        }
        let mut batch = Batch::default();
        let mut bytes = 0;
        while let Some(item) = self.queue.front() {
            let size = item.event.len() + 1;
            let fits = batch.items.is_empty() || bytes + size <= MAX_PAYLOAD_BYTES;
            if batch.items.len() >= settings.batch_size || !fits {
                break;
            }
            bytes += size;
            batch.items.extend(self.queue.pop_front());
        }
        self.queued_bytes -= bytes;
        self.window_from = (!self.queue.is_empty()).then_some(now);
        Some(batch)
    }

    /// The function failed with the current batch: what to do next. Bisecting puts the second half behind the first and
    /// spends nothing of the quota.
    pub fn fail(&mut self, settings: &Settings) -> AfterFailure {
        let Some(batch) = &mut self.current else { return AfterFailure::Retry };
        batch.failures += 1;
        if settings.bisects && batch.items.len() > 1 {
            let middle = batch.items.len().div_ceil(2);
            self.split(middle);
            return AfterFailure::Retry;
        }
        batch.errors += 1;
        match settings.maximum_retry_attempts {
            Some(most) if batch.errors > most => AfterFailure::Discard,
            _ => AfterFailure::Retry,
        }
    }

    /// Keeps the first `count` records of the current batch and puts the others first in line.
    pub fn split(&mut self, count: usize) {
        let Some(batch) = &mut self.current else { return };
        let items = batch.items.split_off(count.min(batch.items.len()));
        if !items.is_empty() {
            let rest = Batch { items, ..batch.clone_without_items() };
            self.rest.push_front(rest);
        }
    }
}

impl Batch {
    fn clone_without_items(&self) -> Self {
        Self { items: Vec::new(), last_request_id: self.last_request_id.clone(), notice: None, ..*self }
    }

    /// `first..last count`
    pub fn range(&self) -> String {
        match (self.items.first(), self.items.last()) {
            (Some(first), Some(last)) => format!("{}..{} {}", first.sequence, last.sequence, self.items.len()),
            _ => "empty".to_owned(),
        }
    }

    /// How many records at the front are older than `age`.
    pub fn older_than(&self, age: Duration, now: UnixNanos) -> usize {
        self.items.iter().take_while(|item| now.since(item.arrived_at) > age).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::source::Source;

    fn settings() -> Settings {
        Settings::defaults(&Source::from_arn("arn:aws:kinesis:r:1:stream/s").unwrap())
    }

    fn item(ordinal: u64) -> StreamItem {
        let event = "x".repeat(10);
        StreamItem { ordinal, sequence: ordinal.to_string(), arrived_at: UnixNanos(0), order_hash: 0, event }
    }

    fn lane(count: u64) -> Lane {
        let mut lane = Lane::default();
        for ordinal in 0..count {
            lane.push(item(ordinal), UnixNanos(0));
        }
        lane
    }

    fn ordinals(batch: &Batch) -> Vec<u64> {
        batch.items.iter().map(|item| item.ordinal).collect()
    }

    #[test]
    fn batches_wait_for_company_until_their_window_ends() {
        let settings = Settings { window: Duration::from_secs(2), batch_size: 3, ..settings() };
        let second = |seconds: u64| UnixNanos(seconds * 1_000_000_000);
        let mut waiting = lane(2);
        assert!(waiting.next_batch(&settings, second(1), false).is_none());
        assert_eq!(waiting.window_left(&settings, second(1)), Duration::from_secs(1));
        assert_eq!(ordinals(&waiting.next_batch(&settings, second(2), false).unwrap()), [0, 1]);
        assert_eq!(ordinals(&lane(2).next_batch(&settings, second(0), true).unwrap()), [0, 1], "the shard's end");
        let mut full = lane(4);
        assert_eq!(ordinals(&full.next_batch(&settings, second(0), false).unwrap()), [0, 1, 2]);
        assert!(full.next_batch(&settings, second(0), false).is_none(), "a new window began");
    }

    #[test]
    fn batches_stay_within_the_size_of_an_invocation() {
        let settings = settings();
        let mut lane = Lane::default();
        for ordinal in 0..3 {
            lane.push(StreamItem { event: "x".repeat(MAX_PAYLOAD_BYTES / 2 - 10), ..item(ordinal) }, UnixNanos(0));
        }
        lane.push(StreamItem { event: "x".repeat(MAX_PAYLOAD_BYTES * 2), ..item(3) }, UnixNanos(0));
        let mut sizes = Vec::new();
        while let Some(batch) = lane.next_batch(&settings, UnixNanos(0), false) {
            sizes.push(batch.items.len());
        }
        assert_eq!(sizes, [2, 1, 1], "what is too large by itself goes alone");
    }

    #[test]
    fn bisecting_isolates_one_record_without_spending_the_quota() {
        let settings = Settings { bisects: true, maximum_retry_attempts: Some(0), ..settings() };
        let mut lane = lane(8);
        let (mut handled, mut discarded) = (Vec::new(), Vec::new());
        while let Some(batch) = lane.next_batch(&settings, UnixNanos(0), false) {
            lane.current = Some(batch);
            loop {
                let current = lane.current.as_ref().unwrap();
                if !ordinals(current).contains(&5) {
                    handled.extend(ordinals(current));
                    break;
                }
                if lane.fail(&settings) == AfterFailure::Discard {
                    discarded.extend(ordinals(lane.current.as_ref().unwrap()));
                    break;
                }
            }
            lane.current = None;
        }
        assert_eq!((handled, discarded), (vec![0, 1, 2, 3, 4, 6, 7], vec![5]));
    }

    #[test]
    fn the_quota_counts_retries_and_not_the_first_try() {
        for (attempts, wanted) in [(Some(0), 1), (Some(2), 3)] {
            let settings = Settings { maximum_retry_attempts: attempts, ..settings() };
            let mut lane = lane(2);
            lane.current = lane.next_batch(&settings, UnixNanos(0), false);
            let mut tries = 1;
            while lane.fail(&settings) == AfterFailure::Retry {
                tries += 1;
            }
            assert_eq!(tries, wanted);
        }
        let mut endless = lane(1);
        endless.current = endless.next_batch(&settings(), UnixNanos(0), false);
        assert!((0..100).all(|_| endless.fail(&settings()) == AfterFailure::Retry));
    }
}
