//! One stream: its shards, which of them are open, and how they divide and join.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    consumers::Consumer,
    shard::{HashRange, Record, Shard},
};
use crate::{
    interface::{MessageStep, MessageStepKind, Service, UnixNanos},
    service::{HeldMessage, ServiceContext},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Creating,
    Active,
    Updating,
    Deleting,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Creating => "CREATING",
            Status::Active => "ACTIVE",
            Status::Updating => "UPDATING",
            Status::Deleting => "DELETING",
        }
    }
}

#[derive(Debug)]
pub struct Stream {
    pub name: String,
    /// Tells it from an earlier stream of the same name.
    pub incarnation: u64,
    pub status: Status,
    pub is_on_demand: bool,
    /// Records go to shards by chance, not by their keys.
    pub ignores_keys: bool,
    pub created_at: UnixNanos,
    pub retention_hours: u64,
    pub max_record_bytes: usize,
    pub shards: BTreeMap<u32, Shard>,
    pub tags: BTreeMap<String, String>,
    pub consumers: BTreeMap<String, Consumer>,
    /// When its number of shards was changed by UpdateShardCount lately.
    pub scaled_at: Vec<UnixNanos>,
    /// Open shards by the first of their hashes.
    open: BTreeMap<u128, u32>,
    next_shard: u32,
}

impl Stream {
    pub fn new(name: String, incarnation: u64, shard_count: u32, now: UnixNanos) -> Self {
        let mut stream = Self {
            name,
            incarnation,
            status: Status::Creating,
            is_on_demand: false,
            ignores_keys: false,
            created_at: now,
            retention_hours: 24,
            max_record_bytes: 1_048_576,
            shards: BTreeMap::new(),
            tags: BTreeMap::new(),
            consumers: BTreeMap::new(),
            scaled_at: Vec::new(),
            open: BTreeMap::new(),
            next_shard: 0,
        };
        for hashes in equal_shares(shard_count) {
            stream.open_shard(now, hashes, &[]);
        }
        stream
    }

    pub fn arn(&self, region: &str, account_id: &str) -> String {
        format!("arn:aws:kinesis:{region}:{account_id}:stream/{}", self.name)
    }

    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    pub fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_hours * 3_600)
    }

    /// What was accepted at this time or before is past retention.
    pub fn horizon(&self, now: UnixNanos) -> UnixNanos {
        UnixNanos(now.0.saturating_sub(self.retention().as_nanos() as u64))
    }

    /// Whether records can be put and read: the service denies a stream that is not.
    pub fn is_usable(&self) -> bool {
        matches!(self.status, Status::Active | Status::Updating)
    }

    /// The open shard for a hash. Open shards share all hashes among them.
    pub fn shard_of(&self, hash: u128) -> Option<u32> {
        self.open.range(..=hash).next_back().map(|(_, number)| *number)
    }

    fn open_shard(&mut self, now: UnixNanos, hashes: HashRange, parents: &[u32]) {
        let number = self.next_shard;
        self.next_shard += 1;
        let after_second =
            parents.iter().filter_map(|parent| self.shards.get(parent)).map(|parent| parent.opened_second).max();
        let mut shard = Shard::new(number, hashes, now, after_second);
        shard.parent = parents.first().copied();
        shard.adjacent_parent = parents.get(1).copied();
        for parent in parents {
            if let Some(parent) = self.shards.get_mut(parent) {
                parent.children.push(number);
            }
        }
        self.open.insert(hashes.first, number);
        self.shards.insert(number, shard);
    }

    fn close_shard(&mut self, now: UnixNanos, number: u32) -> Option<HashRange> {
        let shard = self.shards.get_mut(&number).filter(|shard| shard.closed_at.is_none())?;
        shard.closed_at = Some(now);
        self.open.remove(&shard.hashes.first);
        Some(shard.hashes)
    }

    /// Closes a shard and opens two; the second begins at `middle`, which lies inside.
    pub fn split(&mut self, now: UnixNanos, number: u32, middle: u128) {
        let Some(HashRange { first, last }) = self.close_shard(now, number) else { return };
        self.open_shard(now, HashRange { first, last: middle - 1 }, &[number]);
        self.open_shard(now, HashRange { first: middle, last }, &[number]);
    }

    /// Closes two neighbours and opens one.
    pub fn merge(&mut self, now: UnixNanos, number: u32, adjacent: u32) {
        let (Some(one), Some(other)) = (self.close_shard(now, number), self.close_shard(now, adjacent)) else { return };
        let hashes = HashRange { first: one.first.min(other.first), last: one.last.max(other.last) };
        self.open_shard(now, hashes, &[number, adjacent]);
    }

    /// Splits and merges, share by share from the lowest, until as many shards as asked for have equal shares: so goes
    /// the real service. On the way shards come and go that no record ever reaches.
    pub fn scale(&mut self, now: UnixNanos, target: u32) {
        for share in equal_shares(target) {
            let holder = self.shard_of(share.last).and_then(|number| self.shards.get(&number));
            if let Some((number, hashes)) = holder.map(|shard| (shard.number, shard.hashes))
                && hashes.last != share.last
            {
                self.split(now, number, share.last + 1);
            }
            while let Some((one, other)) = self.first_two(share) {
                self.merge(now, one, other);
            }
        }
    }

    /// The first two open shards that begin in a share, if there are two.
    fn first_two(&self, share: HashRange) -> Option<(u32, u32)> {
        let mut inside = self.open.range(share.first..=share.last).map(|(_, number)| *number);
        Some((inside.next()?, inside.next()?))
    }

    /// Removes what is past retention: records, and closed shards as a whole.
    pub fn maintain(&mut self, context: &mut ServiceContext<'_>) {
        let numbers: Vec<u32> = self.shards.keys().copied().collect();
        for number in numbers {
            self.maintain_shard(context, number);
        }
    }

    /// The same for one shard, which is all that reading and writing need.
    pub fn maintain_shard(&mut self, context: &mut ServiceContext<'_>, number: u32) {
        let horizon = self.horizon(context.now);
        let Some(shard) = self.shards.get_mut(&number) else { return };
        while let Some(record) = shard.pop_if(|record| record.accepted_at <= horizon) {
            note(context, &self.name, shard, &record, MessageStepKind::Trimmed, "retention ended");
        }
        if shard.closed_at.is_some_and(|at| at <= horizon) {
            self.shards.remove(&number);
        }
    }

    /// A fault lets all records of a shard but its newest be gone.
    pub fn trim_shard(&mut self, context: &mut ServiceContext<'_>, number: u32) {
        let Some(shard) = self.shards.get_mut(&number) else { return };
        let newest = shard.records.back().map_or(0, |record| record.index);
        while let Some(record) = shard.pop_if(|record| record.index < newest) {
            note(context, &self.name, shard, &record, MessageStepKind::Trimmed, "a fault took it");
        }
    }

    /// Its records go with it.
    pub fn purge(&mut self, context: &mut ServiceContext<'_>) {
        for shard in self.shards.values_mut() {
            while let Some(record) = shard.pop_if(|_| true) {
                note(context, &self.name, shard, &record, MessageStepKind::Purged, "the stream was deleted");
            }
        }
    }

    pub fn inspect(&self) -> Value {
        let shards: BTreeMap<String, Value> = self.shards.values().map(|shard| (shard.id(), shard.inspect())).collect();
        json!({
            "status": self.status.name(),
            "on_demand": self.is_on_demand,
            "retention_hours": self.retention_hours,
            "open_shards": self.open_count(),
            "shards": shards,
            "consumers": self.consumers.keys().collect::<Vec<_>>(),
        })
    }

    /// All records still kept, shard by shard, visible or not yet.
    pub fn contents(&self) -> Vec<HeldMessage> {
        let records = self.shards.values().flat_map(|shard| shard.records.iter().map(move |record| (shard, record)));
        records
            .map(|(shard, record)| HeldMessage {
                place: shard.id(),
                message_id: shard.sequence(record).to_string(),
                key: record.partition_key.to_string(),
                body: record.data.to_vec(),
            })
            .collect()
    }
}

fn equal_shares(count: u32) -> Vec<HashRange> {
    let count = u128::from(count.max(1));
    // 2^128 divided by the count, which is 2^128 itself for a count of 1.
    let width = (u128::MAX / count) + u128::from(u128::MAX % count == count - 1 && count > 1);
    (0..count)
        .map(|index| HashRange {
            first: index * width,
            last: if index + 1 == count { u128::MAX } else { (index + 1) * width - 1 },
        })
        .collect()
}

/// Writes down that something happened to a record that was accepted before.
fn note(
    context: &mut ServiceContext<'_>,
    stream: &str,
    shard: &Shard,
    record: &Record,
    step: MessageStepKind,
    why: &str,
) {
    if !context.journal.keeps() {
        return;
    }
    context.note(MessageStep {
        at: context.now,
        call_sequence: context.call_sequence,
        service: Service::Kinesis,
        place: format!("{stream}/{}", shard.id()),
        step,
        message_id: shard.sequence(record).to_string(),
        key: record.partition_key.to_string(),
        body: "".into(),
        receive_count: 0,
        note: why.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixNanos = UnixNanos(1_767_225_600_000_000_000);

    /// Open shards share all hashes, without gap or overlap.
    fn assert_whole(stream: &Stream) {
        let mut next = Some(0u128);
        for (first, number) in &stream.open {
            let shard = &stream.shards[number];
            assert_eq!((Some(*first), shard.closed_at), (next, None));
            assert_eq!(shard.hashes.first, *first);
            next = shard.hashes.last.checked_add(1);
        }
        assert_eq!(next, None, "the last hash belongs to the last shard");
        assert_eq!(stream.open.len(), stream.shards.values().filter(|shard| shard.closed_at.is_none()).count());
    }

    #[test]
    fn shares_are_those_of_the_real_service() {
        // From the documentation of DescribeStream: three shards.
        let shares = equal_shares(3);
        assert_eq!(shares[0], HashRange { first: 0, last: 113_427_455_640_312_821_154_458_202_477_256_070_484 });
        assert_eq!(shares[1].first, 113_427_455_640_312_821_154_458_202_477_256_070_485);
        assert_eq!(shares[1].last, 226_854_911_280_625_642_308_916_404_954_512_140_969);
        assert_eq!(shares[2].last, u128::MAX);
        assert_eq!(equal_shares(2)[1].first, 1 << 127);
        assert_eq!(equal_shares(1), [HashRange { first: 0, last: u128::MAX }]);
    }

    #[test]
    fn scaling_goes_the_way_that_was_seen_of_the_real_service() {
        // A public report of scaling from four shards to three: 6, 9 and 10 were open in the end.
        let mut stream = Stream::new("s".into(), 1, 4, NOW);
        stream.scale(NOW, 3);
        assert_eq!(stream.open.values().copied().collect::<Vec<_>>(), [6, 9, 10]);
        let parents = |number: u32| (stream.shards[&number].parent, stream.shards[&number].adjacent_parent);
        assert_eq!((parents(4), parents(5)), ((Some(1), None), (Some(1), None)));
        assert_eq!((parents(6), parents(9), parents(10)), ((Some(0), Some(4)), (Some(5), Some(7)), (Some(8), Some(3))));
    }

    proptest! {
        #[test]
        fn whatever_the_resharding_every_hash_has_one_open_shard_and_every_child_its_parents(
            initial in 1u32..6,
            steps in prop::collection::vec((0u8..3, any::<u64>()), 0..12),
        ) {
            let mut stream = Stream::new("s".into(), 1, initial, NOW);
            for (kind, draw) in steps {
                let open: Vec<u32> = stream.open.values().copied().collect();
                let chosen = (draw % open.len() as u64) as usize;
                match kind {
                    0 => {
                        let hashes = stream.shards[&open[chosen]].hashes;
                        let middle = hashes.first + (hashes.last - hashes.first) / 2 + 1;
                        stream.split(NOW, open[chosen], middle);
                    }
                    1 if chosen + 1 < open.len() => stream.merge(NOW, open[chosen], open[chosen + 1]),
                    _ => {
                        let target = 1 + (draw % 9) as u32;
                        stream.scale(NOW, target);
                        let shares: Vec<HashRange> =
                            stream.open.values().map(|number| stream.shards[number].hashes).collect();
                        prop_assert_eq!(shares, equal_shares(target));
                    }
                }
                assert_whole(&stream);
            }
            for shard in stream.shards.values() {
                for parent in shard.parent.iter().chain(&shard.adjacent_parent) {
                    let parent = &stream.shards[parent];
                    prop_assert!(parent.children.contains(&shard.number) && parent.closed_at.is_some());
                    prop_assert!(parent.opened_second < shard.opened_second);
                }
                prop_assert_eq!(shard.children.is_empty(), shard.closed_at.is_none());
            }
        }
    }
}
