//! SplitShard, MergeShards, UpdateShardCount and the mode: asked for now, done a while later.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Change, Kinesis,
    errors::{self, Named, invalid_argument},
    input::{Input, Text, stream_of_arn},
    shard::{parse_shard_id, shard_id},
    stream::{Status, Stream},
};
use crate::{
    interface::UnixNanos,
    service::{ServiceContext, ServiceError},
};

type Outcome<T> = Result<T, ServiceError>;

const MAX_SCALINGS_A_DAY: usize = 10;
const DAY: Duration = Duration::from_secs(24 * 3_600);
const MAX_SHARDS: u64 = 10_000;

/// How the shards of a stream shall change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reshard {
    Split { shard: u32, middle: u128 },
    Merge { shard: u32, adjacent: u32 },
    Scale { target: u32 },
    Mode { is_on_demand: bool },
}

impl Reshard {
    pub fn carry_out(self, stream: &mut Stream, now: UnixNanos) {
        match self {
            Reshard::Split { shard, middle } => stream.split(now, shard, middle),
            Reshard::Merge { shard, adjacent } => stream.merge(now, shard, adjacent),
            Reshard::Scale { target } => stream.scale(now, target),
            Reshard::Mode { is_on_demand } => stream.is_on_demand = is_on_demand,
        }
    }
}

impl Kinesis {
    pub(super) fn split_shard(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let name = input.stream(&self.region, &self.account_id)?;
        let shard = input.required_string("ShardToSplit", Text::Name)?;
        let hash = input.required_string("NewStartingHashKey", Text::HashKey)?;
        input.finish()?;
        let named = Named { stream: name, account_id: &self.account_id };
        let stream = self.streams.get(name).ok_or_else(|| named.not_found())?;
        let shard = open_shard(stream, shard, named)?;
        self.check_shard_limit(1)?;
        let hashes = stream.shards[&shard].hashes;
        let middle = hash.parse::<u128>().ok();
        let middle = middle.filter(|middle| *middle > hashes.first.saturating_add(1) && *middle < hashes.last);
        let Some(middle) = middle else {
            return Err(invalid_argument(format!(
                "NewStartingHashKey {hash} used in SplitShard() on shard {} in stream {name} under account {} is not both greater than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
                shard_id(shard),
                self.account_id,
                hashes.first,
                hashes.last
            )));
        };
        self.reshard(context, name, Reshard::Split { shard, middle })
    }

    pub(super) fn merge_shards(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let name = input.stream(&self.region, &self.account_id)?;
        let shard = input.required_string("ShardToMerge", Text::Name)?;
        let adjacent = input.required_string("AdjacentShardToMerge", Text::Name)?;
        input.finish()?;
        let named = Named { stream: name, account_id: &self.account_id };
        let stream = self.streams.get(name).ok_or_else(|| named.not_found())?;
        let shard = open_shard(stream, shard, named)?;
        let adjacent = open_shard(stream, adjacent, named)?;
        let (one, other) = (stream.shards[&shard].hashes, stream.shards[&adjacent].hashes);
        // The adjacent shard is the upper of the two.
        if one.last.checked_add(1) != Some(other.first) {
            return Err(invalid_argument(format!(
                "Shards {} and {} in stream {name} under account {} are not an adjacent pair of shards eligible for merging",
                shard_id(shard),
                shard_id(adjacent),
                self.account_id
            )));
        }
        self.reshard(context, name, Reshard::Merge { shard, adjacent })
    }

    pub(super) fn update_shard_count(
        &mut self,
        context: &mut ServiceContext<'_>,
        mut input: Input<'_>,
    ) -> Outcome<Value> {
        let name = input.stream(&self.region, &self.account_id)?;
        let target = input.required_integer("TargetShardCount", 1, i64::from(i32::MAX))?.unsigned_abs();
        input.required_string("ScalingType", Text::OneOf(&["UNIFORM_SCALING"]))?;
        input.finish()?;
        let named = Named { stream: name, account_id: &self.account_id };
        let stream = self.streams.get_mut(name).ok_or_else(|| named.not_found())?;
        if stream.is_on_demand {
            return Err(named.on_demand());
        }
        let current = stream.open_count() as u64;
        check_target(current, target)?;
        stream.scaled_at.retain(|at| context.now.since(*at) < DAY);
        if stream.scaled_at.len() >= MAX_SCALINGS_A_DAY {
            return Err(errors::limit_exceeded(format!(
                "Stream {name} under account {} was scaled {MAX_SCALINGS_A_DAY} times within 24 hours.",
                self.account_id
            )));
        }
        let arn = stream.arn(&self.region, &self.account_id);
        self.check_shard_limit(target.saturating_sub(current))?;
        self.reshard(context, name, Reshard::Scale { target: u32::try_from(target).unwrap_or(u32::MAX) })?;
        if let Some(stream) = self.streams.get_mut(name) {
            stream.scaled_at.push(context.now);
        }
        Ok(json!({"StreamName": name, "StreamARN": arn, "CurrentShardCount": current, "TargetShardCount": target}))
    }

    pub(super) fn update_stream_mode(
        &mut self,
        context: &mut ServiceContext<'_>,
        mut input: Input<'_>,
    ) -> Outcome<Value> {
        let arn = input.required_string("StreamARN", Text::Length(2_048))?;
        let is_on_demand = super::control::read_mode(&mut input, context.assumptions.unknown_members_refused)?;
        input.finish()?;
        let Some(is_on_demand) = is_on_demand else {
            return Err(errors::validation(
                "1 validation error detected: Value null at 'streamModeDetails' failed to satisfy constraint: Member must not be null",
            ));
        };
        let name = stream_of_arn(arn, &self.region, &self.account_id)?;
        self.change_shards(context, name, Reshard::Mode { is_on_demand })
    }

    /// Resharding by hand, which a stream in on-demand mode does by itself.
    fn reshard(&mut self, context: &mut ServiceContext<'_>, name: &str, reshard: Reshard) -> Outcome<Value> {
        let named = Named { stream: name, account_id: &self.account_id };
        if self.streams.get(name).is_some_and(|stream| stream.is_on_demand) {
            return Err(named.on_demand());
        }
        self.change_shards(context, name, reshard)
    }

    fn change_shards(&mut self, context: &mut ServiceContext<'_>, name: &str, reshard: Reshard) -> Outcome<Value> {
        let named = Named { stream: name, account_id: &self.account_id };
        let stream = self.streams.get_mut(name).ok_or_else(|| named.not_found())?;
        if stream.status != Status::Active {
            return Err(named.not_active(stream.status.name()));
        }
        stream.status = Status::Updating;
        let incarnation = stream.incarnation;
        self.change_later(context, name, incarnation, self.config.update_ms, Change::Reshard(reshard));
        Ok(Value::Null)
    }
}

/// The number of a shard that can still be split or merged.
fn open_shard(stream: &Stream, text: &str, named: Named<'_>) -> Outcome<u32> {
    let number = parse_shard_id(text).ok_or_else(|| named.shard_not_found(text))?;
    let shard = stream.shards.get(&number).ok_or_else(|| named.shard_not_found(&shard_id(number)))?;
    if shard.closed_at.is_none() {
        return Ok(number);
    }
    Err(invalid_argument(format!(
        "Shard {} in stream {} under account {} has already been merged or split, and thus is not eligible for merging or splitting.",
        shard.id(),
        named.stream,
        named.account_id
    )))
}

fn check_target(current: u64, target: u64) -> Outcome<()> {
    let why = if target > MAX_SHARDS {
        format!("Target shard count or number of open shards cannot be greater than {MAX_SHARDS}.")
    } else if target > current * 2 {
        "UpdateShardCount cannot scale up over double your current open shard count.".to_owned()
    } else if target * 2 < current {
        "UpdateShardCount cannot scale down below half your current open shard count.".to_owned()
    } else {
        return Ok(());
    };
    Err(errors::limit_exceeded(format!("{why} Current open shard count: {current}, Target shard count: {target}")))
}
