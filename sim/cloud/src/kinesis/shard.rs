//! One shard: its records, its share of the hashes, its place in the lineage, and its limits.

use std::{collections::VecDeque, time::Duration};

use serde_json::{Value, json};

use super::{
    bucket::Bucket,
    sequence::{LAST_INDEX, SequenceNumber},
};
use crate::interface::UnixNanos;

const WRITE_RECORDS_PER_SECOND: u64 = 1_000;
const WRITE_BYTES_PER_SECOND: u64 = 1_048_576;
const READ_CALLS_PER_SECOND: u64 = 5;
const READ_BYTES_PER_SECOND: u64 = 2 * 1_048_576;
const ITERATORS_PER_SECOND: u64 = 5;
/// A page holds at most this much, and one that does closes the shard to readers for [`AFTER_A_FULL_PAGE`].
const PAGE_BYTES: usize = 10 * 1_048_576;
const AFTER_A_FULL_PAGE: Duration = Duration::from_secs(5);

/// About 90 bytes beside its key and its data.
#[derive(Debug)]
pub struct Record {
    pub index: u64,
    pub accepted_at: UnixNanos,
    /// Readers see it from here on.
    pub visible_at: UnixNanos,
    /// What readers are told of its arrival; neither exact nor monotonic.
    pub arrival_ms: u64,
    /// The latest arrival of this and all records before it, by which a position at a time is found.
    latest_arrival_ms: u64,
    pub partition_key: Box<str>,
    pub data: Box<[u8]>,
}

impl Record {
    /// Size as limits count it.
    fn bytes(&self) -> usize {
        self.partition_key.len() + self.data.len()
    }
}

/// What is known of a record before it has its place.
#[derive(Debug)]
pub struct NewRecord<'r> {
    pub accepted_at: UnixNanos,
    pub visible_at: UnixNanos,
    pub arrival_ms: u64,
    pub partition_key: &'r str,
    pub data: &'r [u8],
}

/// Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    pub first: u128,
    pub last: u128,
}

#[derive(Debug)]
pub struct Shard {
    pub number: u32,
    pub parent: Option<u32>,
    /// The second parent of a merged shard.
    pub adjacent_parent: Option<u32>,
    pub children: Vec<u32>,
    pub hashes: HashRange,
    pub opened_at: UnixNanos,
    pub closed_at: Option<UnixNanos>,
    pub records: VecDeque<Record>,
    /// Part of every sequence number; above that of the parents.
    pub opened_second: u64,
    next_index: u64,
    last_visible_at: UnixNanos,
    last_arrival_ms: u64,
    held_bytes: u64,
    limits: Limits,
}

#[derive(Debug)]
struct Limits {
    write_records: Bucket,
    write_bytes: Bucket,
    read_calls: Bucket,
    read_bytes: Bucket,
    iterators: Bucket,
    closed_to_readers_until: UnixNanos,
}

/// What one read of a shard gives.
#[derive(Debug)]
pub struct Page {
    /// How many of the shard's records it skips and how many it takes.
    pub skipped: usize,
    pub taken: usize,
    /// The position after it.
    pub next: u64,
    /// How long the first record that could be read next has been there; 0 at the tip.
    pub behind_ms: u64,
    /// The shard is closed and nothing of it is left to read.
    pub is_end: bool,
}

pub fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// `shardId-000000000007`, and also what the service takes for it: `7`, `shardId-7`.
pub fn parse_shard_id(text: &str) -> Option<u32> {
    let digits = text.split_once('-').map_or(text, |(_, digits)| digits);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<i32>().ok().filter(|_| is_number).and_then(|number| u32::try_from(number).ok())
}

impl Shard {
    pub fn new(number: u32, hashes: HashRange, opened_at: UnixNanos, after_second: Option<u64>) -> Self {
        let second = opened_at.0 / 1_000_000_000;
        Self {
            number,
            parent: None,
            adjacent_parent: None,
            children: Vec::new(),
            hashes,
            opened_at,
            closed_at: None,
            records: VecDeque::new(),
            opened_second: after_second.map_or(second, |parents| second.max(parents + 1)),
            next_index: 1,
            last_visible_at: opened_at,
            last_arrival_ms: 0,
            held_bytes: 0,
            limits: Limits {
                write_records: Bucket::full(WRITE_RECORDS_PER_SECOND, opened_at),
                write_bytes: Bucket::full(WRITE_BYTES_PER_SECOND, opened_at),
                read_calls: Bucket::full(READ_CALLS_PER_SECOND, opened_at),
                read_bytes: Bucket::full(READ_BYTES_PER_SECOND, opened_at),
                iterators: Bucket::full(ITERATORS_PER_SECOND, opened_at),
                closed_to_readers_until: opened_at,
            },
        }
    }

    pub fn id(&self) -> String {
        shard_id(self.number)
    }

    pub fn sequence(&self, record: &Record) -> SequenceNumber {
        self.sequence_at(record.index, record.accepted_at.0 / 1_000_000_000)
    }

    fn sequence_at(&self, index: u64, second: u64) -> SequenceNumber {
        SequenceNumber { opened_second: self.opened_second, shard: self.number, index, second }
    }

    fn starting_sequence(&self) -> SequenceNumber {
        self.sequence_at(0, self.opened_second)
    }

    fn ending_sequence(&self) -> Option<SequenceNumber> {
        self.closed_at.map(|at| self.sequence_at(LAST_INDEX, at.0 / 1_000_000_000))
    }

    /// Whether a number belongs to this shard and not to one of the same name in a deleted stream.
    pub fn owns(&self, sequence: SequenceNumber) -> bool {
        sequence.shard == self.number && sequence.opened_second == self.opened_second
    }

    /// Whether the limits of writing let a record in; takes its share of them if so.
    pub fn admit_write(&mut self, now: UnixNanos, bytes: usize) -> bool {
        let limits = &mut self.limits;
        let admitted = limits.write_records.has_one(now) && limits.write_bytes.has(now, bytes as u64);
        if admitted {
            limits.write_records.take(1);
            limits.write_bytes.take(bytes as u64);
        }
        admitted
    }

    /// Whether the limits of reading let a call in.
    pub fn admit_read(&mut self, now: UnixNanos) -> bool {
        let limits = &mut self.limits;
        let open = limits.closed_to_readers_until <= now && limits.read_bytes.has_any(now);
        open && limits.read_calls.take_one(now)
    }

    pub fn admit_iterator(&mut self, now: UnixNanos) -> bool {
        self.limits.iterators.take_one(now)
    }

    /// Adds a record, visible no earlier than those before it.
    pub fn append(&mut self, new: NewRecord<'_>) -> &Record {
        self.last_visible_at = self.last_visible_at.max(new.visible_at);
        self.last_arrival_ms = self.last_arrival_ms.max(new.arrival_ms);
        let record = Record {
            index: self.next_index,
            accepted_at: new.accepted_at,
            visible_at: self.last_visible_at,
            arrival_ms: new.arrival_ms,
            latest_arrival_ms: self.last_arrival_ms,
            partition_key: new.partition_key.into(),
            data: new.data.into(),
        };
        self.next_index += 1;
        self.held_bytes += record.bytes() as u64;
        self.records.push_back(record);
        let last = self.records.len() - 1;
        &self.records[last]
    }

    /// The position behind all records that were accepted.
    pub fn tip(&self) -> u64 {
        self.next_index
    }

    /// The position of the first record that arrived at this time or later.
    pub fn position_at(&self, milliseconds: u64) -> u64 {
        let place = self.records.partition_point(|record| record.latest_arrival_ms < milliseconds);
        self.records.get(place).map_or(self.next_index, |record| record.index)
    }

    /// Removes the oldest record if `is_gone` says so.
    pub fn pop_if(&mut self, is_gone: impl Fn(&Record) -> bool) -> Option<Record> {
        let record = self.records.pop_front_if(|record| is_gone(record))?;
        self.held_bytes -= record.bytes() as u64;
        Some(record)
    }

    /// What a call at `position` sees. Positions before the oldest record begin there, in silence.
    pub fn page(&mut self, now: UnixNanos, position: u64, most_records: usize) -> Page {
        let skipped = self.records.partition_point(|record| record.index < position);
        let (mut bytes, mut taken, mut next) = (0, 0, position);
        for record in self.records.range(skipped..).take(most_records) {
            if record.visible_at > now || (taken > 0 && bytes + record.bytes() > PAGE_BYTES) {
                break;
            }
            bytes += record.bytes();
            taken += 1;
            next = record.index + 1;
        }
        self.limits.read_bytes.take(bytes as u64);
        // The next record would not have fitted: the page is as large as pages become.
        let follower = self.records.get(skipped + taken);
        if bytes >= PAGE_BYTES || follower.is_some_and(|record| taken > 0 && bytes + record.bytes() > PAGE_BYTES) {
            self.limits.closed_to_readers_until = now.plus(AFTER_A_FULL_PAGE);
        }
        Page { skipped, taken, next, behind_ms: self.behind_ms(now, next), is_end: self.is_end(next) }
    }

    /// How long the first visible record at or after a position has been there.
    pub fn behind_ms(&self, now: UnixNanos, position: u64) -> u64 {
        let unread = self.records.get(self.records.partition_point(|record| record.index < position));
        let visible = unread.filter(|record| record.visible_at <= now);
        visible.map_or(0, |record| now.as_millis().saturating_sub(record.accepted_at.as_millis()).max(1))
    }

    fn is_end(&self, position: u64) -> bool {
        self.closed_at.is_some() && position >= self.records.back().map_or(0, |record| record.index + 1)
    }

    /// As ListShards and DescribeStream show it.
    pub fn describe(&self) -> Value {
        let mut sequences = json!({"StartingSequenceNumber": self.starting_sequence().to_string()});
        if let Some(ending) = self.ending_sequence() {
            sequences["EndingSequenceNumber"] = json!(ending.to_string());
        }
        let mut shard =
            json!({"ShardId": self.id(), "HashKeyRange": self.hashes.describe(), "SequenceNumberRange": sequences});
        for (name, parent) in [("ParentShardId", self.parent), ("AdjacentParentShardId", self.adjacent_parent)] {
            if let Some(parent) = parent {
                shard[name] = json!(shard_id(parent));
            }
        }
        shard
    }

    /// As GetRecords shows it at the end of its parents.
    pub fn describe_as_child(&self) -> Value {
        let parents: Vec<String> = self.parent.into_iter().chain(self.adjacent_parent).map(shard_id).collect();
        json!({"ShardId": self.id(), "ParentShards": parents, "HashKeyRange": self.hashes.describe()})
    }

    /// For judging afterwards.
    pub fn inspect(&self) -> Value {
        let sequence = |record: Option<&Record>| record.map(|record| self.sequence(record).to_string());
        json!({
            "range": [self.hashes.first.to_string(), self.hashes.last.to_string()],
            "parent": self.parent.map(shard_id),
            "adjacent_parent": self.adjacent_parent.map(shard_id),
            "closed": self.closed_at.is_some(),
            "accepted": self.next_index - 1,
            "records": self.records.len(),
            "bytes": self.held_bytes,
            "first_sequence": sequence(self.records.front()),
            "last_sequence": sequence(self.records.back()),
        })
    }
}

impl HashRange {
    pub fn describe(self) -> Value {
        json!({"StartingHashKey": self.first.to_string(), "EndingHashKey": self.last.to_string()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_ids_are_read_as_the_service_reads_them() {
        for (text, number) in [
            ("shardId-000000000007", Some(7)),
            ("shardId-7", Some(7)),
            ("7", Some(7)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("shardId-", None),
            ("shard", None),
            ("shardId--1", None),
            ("shardId-+1", None),
        ] {
            assert_eq!(parse_shard_id(text), number, "{text}");
        }
        assert_eq!(shard_id(7), "shardId-000000000007");
    }
}
