//! Which operations there are: their members, their rates, and where each is carried out.

use serde_json::Value;

use super::{Kinesis, errors, input::Input};
use crate::service::{ServiceContext, ServiceError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Put,
    Read,
    Control,
}

#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    pub kind: Kind,
    pub is_write: bool,
    /// Calls a second that are let in, of the account or of one stream, after the documented quotas. Puts and reads are
    /// limited by their shards instead.
    pub per_second: Option<u64>,
    pub is_per_stream: bool,
    members: &'static [&'static str],
}

const fn control(
    name: &'static str,
    is_write: bool,
    per_second: u64,
    is_per_stream: bool,
    members: &'static [&'static str],
) -> Operation {
    Operation { name, kind: Kind::Control, is_write, per_second: Some(per_second), is_per_stream, members }
}

const fn data(name: &'static str, kind: Kind, is_write: bool, members: &'static [&'static str]) -> Operation {
    Operation { name, kind, is_write, per_second: None, is_per_stream: false, members }
}

/// In the order of their names.
pub static OPERATIONS: &[Operation] = &[
    control("AddTagsToStream", true, 5, false, &["StreamName", "StreamARN", "Tags"]),
    control(
        "CreateStream",
        true,
        5,
        false,
        &["StreamName", "ShardCount", "StreamModeDetails", "Tags", "MaxRecordSizeInKiB", "RecordDistributionStrategy"],
    ),
    control("DecreaseStreamRetentionPeriod", true, 5, true, &["StreamName", "StreamARN", "RetentionPeriodHours"]),
    control("DeleteStream", true, 5, false, &["StreamName", "StreamARN", "EnforceConsumerDeletion"]),
    control("DeregisterStreamConsumer", true, 5, true, &["StreamARN", "ConsumerName", "ConsumerARN"]),
    control("DescribeLimits", false, 1, false, &[]),
    control("DescribeStream", false, 10, false, &["StreamName", "StreamARN", "Limit", "ExclusiveStartShardId"]),
    control("DescribeStreamConsumer", false, 20, true, &["StreamARN", "ConsumerName", "ConsumerARN"]),
    control("DescribeStreamSummary", false, 20, false, &["StreamName", "StreamARN"]),
    data("GetRecords", Kind::Read, false, &["ShardIterator", "Limit", "StreamARN"]),
    data(
        "GetShardIterator",
        Kind::Read,
        false,
        &["StreamName", "StreamARN", "ShardId", "ShardIteratorType", "StartingSequenceNumber", "Timestamp"],
    ),
    control("IncreaseStreamRetentionPeriod", true, 5, true, &["StreamName", "StreamARN", "RetentionPeriodHours"]),
    control(
        "ListShards",
        false,
        1000,
        true,
        &[
            "StreamName",
            "StreamARN",
            "NextToken",
            "ExclusiveStartShardId",
            "MaxResults",
            "StreamCreationTimestamp",
            "ShardFilter",
        ],
    ),
    control(
        "ListStreamConsumers",
        false,
        5,
        true,
        &["StreamARN", "NextToken", "MaxResults", "StreamCreationTimestamp"],
    ),
    control("ListStreams", false, 5, false, &["Limit", "ExclusiveStartStreamName", "NextToken"]),
    control("ListTagsForResource", false, 5, false, &["ResourceARN"]),
    control("ListTagsForStream", false, 5, false, &["StreamName", "StreamARN", "ExclusiveStartTagKey", "Limit"]),
    control("MergeShards", true, 5, true, &["StreamName", "StreamARN", "ShardToMerge", "AdjacentShardToMerge"]),
    data(
        "PutRecord",
        Kind::Put,
        true,
        &["StreamName", "StreamARN", "Data", "PartitionKey", "ExplicitHashKey", "SequenceNumberForOrdering"],
    ),
    data("PutRecords", Kind::Put, true, &["StreamName", "StreamARN", "Records"]),
    control("RegisterStreamConsumer", true, 5, false, &["StreamARN", "ConsumerName"]),
    control("RemoveTagsFromStream", true, 5, false, &["StreamName", "StreamARN", "TagKeys"]),
    control("SplitShard", true, 5, true, &["StreamName", "StreamARN", "ShardToSplit", "NewStartingHashKey"]),
    data("SubscribeToShard", Kind::Control, false, &["ConsumerARN", "ShardId", "StartingPosition"]),
    control("TagResource", true, 5, false, &["ResourceARN", "Tags"]),
    control("UntagResource", true, 5, false, &["ResourceARN", "TagKeys"]),
    control("UpdateMaxRecordSize", true, 5, true, &["StreamARN", "MaxRecordSizeInKiB"]),
    control("UpdateShardCount", true, 10, true, &["StreamName", "StreamARN", "TargetShardCount", "ScalingType"]),
    control("UpdateStreamMode", true, 5, true, &["StreamARN", "StreamModeDetails"]),
];

impl Operation {
    pub fn find(name: &str) -> Option<&'static Self> {
        let place = OPERATIONS.binary_search_by(|operation| operation.name.cmp(name)).ok()?;
        OPERATIONS.get(place)
    }
}

impl Kinesis {
    pub(super) fn run(
        &mut self,
        context: &mut ServiceContext<'_>,
        operation: &Operation,
        request: &Value,
    ) -> Result<Value, ServiceError> {
        let input = Input::new(request, operation.members, context.assumptions.unknown_members_refused)?;
        match operation.name {
            "PutRecord" => self.put_record(context, input),
            "PutRecords" => self.put_records(context, input),
            "GetShardIterator" => self.get_shard_iterator(context, input),
            "GetRecords" => self.get_records(context, input),
            "CreateStream" => self.create_stream(context, input),
            "DeleteStream" => self.delete_stream(context, input),
            "DescribeStream" => self.describe_stream(context, input),
            "DescribeStreamSummary" => self.describe_stream_summary(input),
            "DescribeLimits" => self.describe_limits(input),
            "ListStreams" => self.list_streams(context, input),
            "ListShards" => self.list_shards(context, input),
            "IncreaseStreamRetentionPeriod" => self.change_retention(context, input, true),
            "DecreaseStreamRetentionPeriod" => self.change_retention(context, input, false),
            "UpdateMaxRecordSize" => self.update_max_record_size(input),
            "SplitShard" => self.split_shard(context, input),
            "MergeShards" => self.merge_shards(context, input),
            "UpdateShardCount" => self.update_shard_count(context, input),
            "UpdateStreamMode" => self.update_stream_mode(context, input),
            "AddTagsToStream" => self.add_tags_to_stream(input),
            "RemoveTagsFromStream" => self.remove_tags_from_stream(input),
            "ListTagsForStream" => self.list_tags_for_stream(input),
            "RegisterStreamConsumer" => self.register_stream_consumer(context, input),
            "DescribeStreamConsumer" => self.describe_stream_consumer(input),
            "DeregisterStreamConsumer" => self.deregister_stream_consumer(context, input),
            "ListStreamConsumers" => self.list_stream_consumers(context, input),
            "TagResource" | "UntagResource" | "ListTagsForResource" => self.tags_of_resource(operation.name, input),
            other => Err(errors::unsupported(format!(
                "{other} is not simulated: it answers with an HTTP/2 event stream. Read with GetShardIterator and GetRecords."
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_name() {
        for operation in OPERATIONS {
            assert_eq!(Operation::find(operation.name).map(|found| found.members), Some(operation.members));
        }
        assert!(Operation::find("GetRecord").is_none());
    }
}
