//! Shards with their lineage, and the records in them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    dynamodb::{schema::ViewType, value::Item},
    entropy::mix,
    interface::UnixNanos,
};

/// Records are readable for a day.
pub const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// What is written to a shard within such a stretch of time shares its lag.
const LAG_WINDOW: Duration = Duration::from_millis(250);

/// How streams divide themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
    /// Shards of a new stream, each for its share of the partition keys' hashes.
    pub initial_shards: u32,
    /// A shard closes at this age, in seconds, and one child continues it.
    pub shard_max_age_seconds: u64,
    /// A shard closes after this many records, and two children share its keys.
    pub shard_max_records: Option<u64>,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self { initial_shards: 2, shard_max_age_seconds: 4 * 3600, shard_max_records: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    Insert,
    Modify,
    Remove,
}

impl EventName {
    pub fn name(self) -> &'static str {
        match self {
            EventName::Insert => "INSERT",
            EventName::Modify => "MODIFY",
            EventName::Remove => "REMOVE",
        }
    }
}

#[derive(Clone, Debug)]
pub struct StreamRecord {
    pub sequence: u64,
    pub event: EventName,
    pub created_at: UnixNanos,
    /// Readers see it from here on; the shard says when.
    pub visible_at: UnixNanos,
    pub keys: Item,
    pub old_image: Option<Arc<Item>>,
    pub new_image: Option<Arc<Item>>,
    pub size_bytes: usize,
    /// The deletion came from time-to-live, not from a caller.
    pub is_expiry: bool,
}

#[derive(Clone, Debug)]
pub struct Shard {
    pub id: String,
    pub parent: Option<String>,
    pub first_sequence: u64,
    /// The last number of a closed shard.
    pub last_sequence: Option<u64>,
    pub records: VecDeque<StreamRecord>,
    /// Records before this one are gone.
    pub trimmed_before: u64,
    pub opened_at: UnixNanos,
    pub closed_at: Option<UnixNanos>,
    /// Callers that read lately, with the time of their last read.
    pub readers: Vec<(String, UnixNanos)>,
    hash_low: u64,
    hash_high: u64,
    appended: u64,
    /// The lag of a window of time, by the window in which something was last written.
    lag: Option<(u64, Duration)>,
    last_visible_at: UnixNanos,
}

#[derive(Clone, Debug)]
pub struct Stream {
    pub arn: String,
    pub label: String,
    pub table: String,
    pub view: ViewType,
    pub created_at: UnixNanos,
    pub disabled_at: Option<UnixNanos>,
    pub shards: Vec<Shard>,
    config: StreamConfig,
    last_sequence: u64,
    opened_shards: u64,
}

/// A sequence number as the API shows it: all have 21 digits, so that texts order as numbers do.
pub fn sequence_text(sequence: u64) -> String {
    format!("1{sequence:020}")
}

pub fn parse_sequence(text: &str) -> Option<u64> {
    if text.len() != 21 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.strip_prefix('1')?.parse().ok()
}

impl Stream {
    pub fn new(arn_of_table: &str, table: &str, view: ViewType, now: UnixNanos, config: StreamConfig) -> Self {
        let label = crate::wire::iso_8601_ms(now);
        let mut stream = Self {
            arn: format!("{arn_of_table}/stream/{label}"),
            label,
            table: table.to_owned(),
            view,
            created_at: now,
            disabled_at: None,
            shards: Vec::new(),
            last_sequence: 0,
            opened_shards: 0,
            config,
        };
        let count = u64::from(stream.config.initial_shards.max(1));
        let width = u64::MAX / count;
        for index in 0..count {
            let high = if index + 1 == count { u64::MAX } else { (index + 1) * width - 1 };
            stream.open_shard(now, None, index * width, high);
        }
        stream
    }

    /// The highest number given out so far.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn next_sequence(&mut self) -> u64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    fn open_shard(&mut self, now: UnixNanos, parent: Option<String>, hash_low: u64, hash_high: u64) {
        let first_sequence = self.next_sequence();
        self.opened_shards += 1;
        let suffix = mix(now.0 ^ self.opened_shards.rotate_left(32)) as u32;
        self.shards.push(Shard {
            id: format!("shardId-{:020}-{suffix:08x}", now.as_millis()),
            parent,
            first_sequence,
            last_sequence: None,
            records: VecDeque::new(),
            trimmed_before: first_sequence,
            opened_at: now,
            closed_at: None,
            readers: Vec::new(),
            hash_low,
            hash_high,
            appended: 0,
            lag: None,
            last_visible_at: now,
        });
    }

    /// Closes old shards, opens their children and drops what is past retention.
    pub fn maintain(&mut self, now: UnixNanos) {
        let max_age = Duration::from_secs(self.config.shard_max_age_seconds.max(1));
        let horizon = UnixNanos(now.0.saturating_sub(RETENTION.as_nanos() as u64));
        let oldest_open =
            self.shards.iter().filter(|shard| shard.closed_at.is_none()).map(|shard| shard.opened_at).min();
        if self.disabled_at.is_none() && oldest_open.is_some_and(|opened| opened.plus(max_age) <= now) {
            self.roll_over_aged(now, max_age);
        }
        for shard in &mut self.shards {
            while shard.records.front().is_some_and(|record| record.created_at <= horizon && record.visible_at <= now) {
                if let Some(record) = shard.records.pop_front() {
                    shard.trimmed_before = record.sequence + 1;
                }
            }
        }
        self.shards.retain(|shard| shard.closed_at.is_none_or(|at| at > horizon) || !shard.records.is_empty());
    }

    fn roll_over_aged(&mut self, now: UnixNanos, max_age: Duration) {
        let mut index = 0;
        // Children that have come of age in the meantime lie behind in the list and are rolled over in their turn.
        while index < self.shards.len() {
            let due = self.shards[index].opened_at.plus(max_age);
            if self.shards[index].closed_at.is_none() && due <= now {
                self.roll_over(index, due, false);
            }
            index += 1;
        }
    }

    /// Closes a shard at `at` and opens one child, or two that share its keys.
    fn roll_over(&mut self, index: usize, at: UnixNanos, split: bool) {
        let last = self.next_sequence();
        let shard = &mut self.shards[index];
        shard.last_sequence = Some(last);
        shard.closed_at = Some(at);
        let (parent, low, high) = (shard.id.clone(), shard.hash_low, shard.hash_high);
        if split && high > low {
            let middle = low + (high - low) / 2;
            self.open_shard(at, Some(parent.clone()), low, middle);
            self.open_shard(at, Some(parent), middle + 1, high);
        } else {
            self.open_shard(at, Some(parent), low, high);
        }
    }

    fn open_shard_of(&self, hash: u64) -> Option<usize> {
        self.shards
            .iter()
            .rposition(|shard| shard.closed_at.is_none() && (shard.hash_low..=shard.hash_high).contains(&hash))
    }

    /// Stops taking records; what is there stays readable for a day.
    pub fn disable(&mut self, now: UnixNanos) {
        self.disabled_at = Some(now);
        for index in 0..self.shards.len() {
            if self.shards[index].closed_at.is_none() {
                let last = self.next_sequence();
                self.shards[index].last_sequence = Some(last);
                self.shards[index].closed_at = Some(now);
            }
        }
    }

    /// Adds a record, to be readable once its lag is over, but never before the one in front of it. `lag_of` tells the lag of
    /// a shard in one window of time: what is written together arrives together, for a shard carries its records in one pipe.
    /// (Were each record late by itself, one late record would hold up all behind it, and a busy shard would be later by far
    /// than the lags that were measured, which are those of whole records as readers saw them.)
    /// `behind` comes on top for records of a transaction that follow others of it.
    /// Returns the shard and the sequence number, and the time from which it is readable.
    pub fn append(
        &mut self,
        hash: u64,
        mut record: StreamRecord,
        behind: Duration,
        lag_of: impl FnOnce(&str, u64) -> Duration,
    ) -> Option<(String, u64, UnixNanos)> {
        self.maintain(record.created_at);
        let mut index = self.open_shard_of(hash)?;
        if self.config.shard_max_records.is_some_and(|most| self.shards[index].appended >= most.max(1)) {
            self.roll_over(index, record.created_at, true);
            index = self.open_shard_of(hash)?;
        }
        let sequence = self.next_sequence();
        let shard = &mut self.shards[index];
        record.sequence = sequence;
        let window = record.created_at.0 / LAG_WINDOW.as_nanos() as u64;
        if shard.lag.is_none_or(|(of_window, _)| of_window != window) {
            shard.lag = Some((window, lag_of(&shard.id, window)));
        }
        let lag = shard.lag.map_or(Duration::ZERO, |(_, lag)| lag);
        record.visible_at = record.created_at.plus(lag + behind).max(shard.last_visible_at);
        shard.last_visible_at = record.visible_at;
        shard.appended += 1;
        let visible_at = record.visible_at;
        shard.records.push_back(record);
        Some((shard.id.clone(), sequence, visible_at))
    }

    /// Every record still kept, in order of sequence numbers.
    pub fn records(&self) -> Vec<(&Shard, &StreamRecord)> {
        let mut all: Vec<_> =
            self.shards.iter().flat_map(|shard| shard.records.iter().map(move |record| (shard, record))).collect();
        all.sort_by_key(|(_, record)| record.sequence);
        all
    }
}
