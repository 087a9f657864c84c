//! Throughput: what calls consume, and the buckets that throttle them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    errors::{DynamodbError, ThrottlingReason},
    schema::Throughput,
};
use crate::interface::UnixNanos;

/// Limits in units per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapacityConfig {
    /// Whether anything is throttled at all.
    pub enforce: bool,
    pub partition_write_units: u64,
    pub partition_read_units: u64,
    /// What a new on-demand table takes before it has grown.
    pub on_demand_write_units: u64,
    pub on_demand_read_units: u64,
    /// The account's limit on each on-demand table, whatever it has grown to.
    pub account_units_per_table: u64,
}

impl Default for CapacityConfig {
    fn default() -> Self {
        Self {
            enforce: true,
            partition_write_units: 1_000,
            partition_read_units: 3_000,
            on_demand_write_units: 4_000,
            on_demand_read_units: 12_000,
            account_units_per_table: 40_000,
        }
    }
}

/// Capacity in half units, since an eventual read of up to 4 KB takes half a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HalfUnits(pub u64);

impl HalfUnits {
    pub fn as_units(self) -> f64 {
        self.0 as f64 / 2.0
    }
}

impl std::ops::AddAssign for HalfUnits {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// One unit for each kilobyte written, at least one; twice that in a transaction.
pub fn write_units(size_bytes: usize, transactional: bool) -> HalfUnits {
    let units = size_bytes.div_ceil(1024).max(1) as u64;
    HalfUnits(units * 2 * if transactional { 2 } else { 1 })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    Eventual,
    Strong,
    Transactional,
}

/// One unit for each 4 KB read strongly, half of it eventually, twice that in a transaction; at least the smallest.
pub fn read_units(size_bytes: usize, mode: ReadMode) -> HalfUnits {
    let blocks = size_bytes.div_ceil(4096).max(1) as u64;
    HalfUnits(match mode {
        ReadMode::Eventual => blocks,
        ReadMode::Strong => blocks * 2,
        ReadMode::Transactional => blocks * 4,
    })
}

/// Tokens in billionths of a half unit, so that nanoseconds refill it exactly.
#[derive(Clone, Debug)]
struct Bucket {
    tokens: i128,
    at: UnixNanos,
}

const SCALE: i128 = 1_000_000_000;

impl Bucket {
    fn refill(&mut self, now: UnixNanos, rate: u64, seconds: u64) {
        let full = i128::from(rate) * 2 * i128::from(seconds.max(1)) * SCALE;
        let gained = i128::from(now.0.saturating_sub(self.at.0)) * i128::from(rate) * 2;
        self.tokens = full.min(self.tokens.saturating_add(gained));
        self.at = now;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Read,
    Write,
}

/// The buckets of one table or index.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    /// `(direction, hash of the partition key)`; a partition that nobody uses is forgotten.
    partitions: BTreeMap<(Direction, u64), Bucket>,
    table: BTreeMap<Direction, Bucket>,
    /// The busiest second of an on-demand table so far, and the second being counted, by direction, in half units.
    peaks: BTreeMap<Direction, Peak>,
    /// Buckets are looked through for ones to forget when there are more than this.
    forget_above: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    highest: u64,
    second: u64,
    counted: u64,
}

const MAX_PARTITION_BUCKETS: usize = 4_096;

/// What a bucket check needs to know of the table or index.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    pub config: &'a CapacityConfig,
    pub throughput: Option<Throughput>,
    pub burst_seconds: u64,
    /// ARN for ThrottlingReasons.
    pub resource: &'a str,
    pub is_index: bool,
}

impl Capacity {
    /// Takes units for one partition, or says which limit stands against it. A bucket that holds anything admits the
    /// call and may go into debt, as one item may cost more than what is left.
    pub fn take(
        &mut self,
        now: UnixNanos,
        direction: Direction,
        partition_hash: u64,
        units: HalfUnits,
        limits: Limits<'_>,
    ) -> Result<(), DynamodbError> {
        if !limits.config.enforce {
            return Ok(());
        }
        let (table_rate, table_seconds, is_provisioned) = self.table_rate(direction, limits);
        let partition_rate = match direction {
            Direction::Read => limits.config.partition_read_units,
            Direction::Write => limits.config.partition_write_units,
        };
        self.forget_full(now);
        let full = |rate: u64, seconds: u64| Bucket {
            tokens: i128::from(rate) * 2 * i128::from(seconds.max(1)) * SCALE,
            at: now,
        };
        let table = self.table.entry(direction).or_insert_with(|| full(table_rate, table_seconds));
        table.refill(now, table_rate, table_seconds);
        let partition = self.partitions.entry((direction, partition_hash)).or_insert_with(|| full(partition_rate, 1));
        partition.refill(now, partition_rate, 1);
        if partition.tokens <= 0 {
            return Err(throttled(limits, direction, "KeyRangeThroughputExceeded"));
        }
        if table.tokens <= 0 {
            let reason = if is_provisioned { "ProvisionedThroughputExceeded" } else { "AccountLimitExceeded" };
            return Err(throttled(limits, direction, reason));
        }
        let cost = i128::from(units.0) * SCALE;
        partition.tokens -= cost;
        table.tokens -= cost;
        self.count(now, direction, units);
        Ok(())
    }

    fn table_rate(&self, direction: Direction, limits: Limits<'_>) -> (u64, u64, bool) {
        match (limits.throughput, direction) {
            (Some(throughput), Direction::Read) => (throughput.read_units, limits.burst_seconds, true),
            (Some(throughput), Direction::Write) => (throughput.write_units, limits.burst_seconds, true),
            (None, _) => {
                let start = match direction {
                    Direction::Read => limits.config.on_demand_read_units,
                    Direction::Write => limits.config.on_demand_write_units,
                };
                // An on-demand table takes twice its highest second so far.
                let grown = self.peaks.get(&direction).map_or(0, |peak| peak.highest);
                (start.max(grown).min(limits.config.account_units_per_table), 1, false)
            }
        }
    }

    fn count(&mut self, now: UnixNanos, direction: Direction, units: HalfUnits) {
        let second = now.0 / 1_000_000_000;
        let peak = self.peaks.entry(direction).or_default();
        if peak.second != second {
            *peak = Peak { highest: peak.highest.max(peak.counted), second, counted: 0 };
        }
        peak.counted += units.0;
    }

    fn forget_full(&mut self, now: UnixNanos) {
        if self.partitions.len() > self.forget_above {
            // A second is enough to refill a bucket that is not in debt.
            self.partitions.retain(|_, bucket| bucket.tokens <= 0 || now.0.saturating_sub(bucket.at.0) < 1_000_000_000);
            // Where all of them are in use, looking again at each call would cost more than the calls.
            self.forget_above = MAX_PARTITION_BUCKETS.max(2 * self.partitions.len());
        }
    }
}

/// The answer to a call that met a limit.
pub fn throttled(limits: Limits<'_>, direction: Direction, cause: &str) -> DynamodbError {
    throttled_at(limits.resource, limits.is_index, direction, cause)
}

pub fn throttled_at(resource: &str, is_index: bool, direction: Direction, cause: &str) -> DynamodbError {
    let place = if is_index { "Index" } else { "Table" };
    let way = match direction {
        Direction::Read => "Read",
        Direction::Write => "Write",
    };
    DynamodbError::throughput_exceeded(vec![ThrottlingReason {
        reason: format!("{place}{way}{cause}"),
        resource: resource.to_owned(),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(config: &CapacityConfig, throughput: Option<Throughput>) -> Limits<'_> {
        Limits { config, throughput, burst_seconds: 300, resource: "arn", is_index: false }
    }

    fn reason(error: DynamodbError) -> String {
        match error {
            DynamodbError::ProvisionedThroughputExceeded { reasons, .. } => reasons[0].reason.clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn sizes_become_units() {
        for (bytes, write, transact_write, eventual, strong, transact_read) in
            [(0, 2, 4, 1, 2, 4), (1024, 2, 4, 1, 2, 4), (1025, 4, 8, 1, 2, 4), (4097, 10, 20, 2, 4, 8)]
        {
            assert_eq!(write_units(bytes, false), HalfUnits(write), "{bytes}");
            assert_eq!(write_units(bytes, true), HalfUnits(transact_write), "{bytes}");
            assert_eq!(read_units(bytes, ReadMode::Eventual), HalfUnits(eventual), "{bytes}");
            assert_eq!(read_units(bytes, ReadMode::Strong), HalfUnits(strong), "{bytes}");
            assert_eq!(read_units(bytes, ReadMode::Transactional), HalfUnits(transact_read), "{bytes}");
        }
    }

    #[test]
    fn a_hot_partition_is_throttled_while_others_flow() {
        let config = CapacityConfig::default();
        let mut capacity = Capacity::default();
        let now = UnixNanos(1_000_000_000_000);
        for _ in 0..1_000 {
            capacity.take(now, Direction::Write, 1, HalfUnits(2), limits(&config, None)).unwrap();
        }
        let error = capacity.take(now, Direction::Write, 1, HalfUnits(2), limits(&config, None)).unwrap_err();
        assert_eq!(reason(error), "TableWriteKeyRangeThroughputExceeded");
        capacity.take(now, Direction::Write, 2, HalfUnits(2), limits(&config, None)).unwrap();
        let later = UnixNanos(now.0 + 1_000_000);
        capacity.take(later, Direction::Write, 1, HalfUnits(2), limits(&config, None)).unwrap();
        capacity.take(later, Direction::Write, 1, HalfUnits(2), limits(&config, None)).unwrap_err();
    }

    #[test]
    fn a_provisioned_table_has_its_burst_and_no_more() {
        let config = CapacityConfig::default();
        let mut capacity = Capacity::default();
        let small = Some(Throughput { read_units: 1, write_units: 1 });
        let now = UnixNanos(1_000_000_000_000);
        for partition in 0..300 {
            capacity.take(now, Direction::Write, partition, HalfUnits(2), limits(&config, small)).unwrap();
        }
        let error = capacity.take(now, Direction::Write, 999, HalfUnits(2), limits(&config, small)).unwrap_err();
        assert_eq!(reason(error), "TableWriteProvisionedThroughputExceeded");
    }

    #[test]
    fn nothing_is_throttled_when_switched_off() {
        let config = CapacityConfig { enforce: false, ..CapacityConfig::default() };
        let mut capacity = Capacity::default();
        for _ in 0..5_000 {
            capacity.take(UnixNanos(5), Direction::Write, 1, HalfUnits(2), limits(&config, None)).unwrap();
        }
    }
}
