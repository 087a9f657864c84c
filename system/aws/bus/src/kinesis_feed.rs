//! [`RecordFeed`] over a Kinesis stream.

use aws_sdk_kinesis::{
    Client,
    types::{Record, Shard, ShardIteratorType},
};
use nexus_aws::{AwsConfig, ClientParts, sdk_config};
use nexus_ports::{
    BoxFuture, FeedCursor, FeedFailure, FeedPage, FeedRecord, FeedShard, FeedStart, Platform, RecordFeed,
};

use crate::feeds::{feed_failure, incomplete, page_limit, parents_first, sequence_number, unix_ms};

/// `GetRecords` takes no more.
const RECORDS_MAX: i32 = 10_000;

/// A stream's records as they were put.
///
/// Kinesis does not tell that records were lost to its retention: an iterator at a position that is no longer kept begins
/// at the oldest record that is. [`FeedFailure::Trimmed`] therefore never comes from here.
#[derive(Clone, Debug)]
pub struct KinesisFeed {
    client: Client,
    stream: String,
}

impl KinesisFeed {
    pub fn new(platform: &Platform, config: &AwsConfig, stream: impl Into<String>) -> Self {
        let client = Client::from_conf(sdk_config!(aws_sdk_kinesis, ClientParts::new(platform, config)));
        Self { client, stream: stream.into() }
    }

    fn what(&self) -> String {
        format!("the stream {}", self.stream)
    }

    async fn shards(&self) -> Result<Vec<FeedShard>, FeedFailure> {
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let call = self.client.list_shards();
            // A token stands for the stream as well, and Kinesis refuses both together.
            let call = match token.take() {
                Some(token) => call.next_token(token),
                None => call.stream_name(&self.stream),
            };
            let page = call.send().await.map_err(|error| feed_failure(&error, &self.what()))?;
            shards.extend(page.shards.unwrap_or_default().into_iter().map(feed_shard));
            token = page.next_token;
            if token.is_none() {
                return Ok(parents_first(shards));
            }
        }
    }

    async fn iterator(&self, shard: &str, start: &FeedStart) -> Result<FeedCursor, FeedFailure> {
        let call = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(shard);
        let call = match start {
            FeedStart::Oldest => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            FeedStart::After(number) => call
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(number.as_str()),
        };
        let what = || format!("shard {shard} of {}", self.what());
        let answer = call.send().await.map_err(|error| feed_failure(&error, &what()))?;
        answer.shard_iterator.map(FeedCursor).ok_or_else(|| incomplete("iterator"))
    }

    async fn records(&self, cursor: &FeedCursor, limit: usize) -> Result<FeedPage, FeedFailure> {
        let call = self.client.get_records().shard_iterator(&cursor.0).limit(page_limit(limit, RECORDS_MAX));
        let answer = call.send().await.map_err(|error| feed_failure(&error, &self.what()))?;
        let records = answer.records.into_iter().map(feed_record).collect::<Result<_, _>>()?;
        let behind_ms = answer.millis_behind_latest.and_then(|behind_ms| u64::try_from(behind_ms).ok());
        Ok(FeedPage { records, next: answer.next_shard_iterator.map(FeedCursor), behind_ms })
    }
}

impl RecordFeed for KinesisFeed {
    fn list_shards(&self) -> BoxFuture<'_, Result<Vec<FeedShard>, FeedFailure>> {
        Box::pin(self.shards())
    }

    fn open<'a>(&'a self, shard: &'a str, start: &'a FeedStart) -> BoxFuture<'a, Result<FeedCursor, FeedFailure>> {
        Box::pin(self.iterator(shard, start))
    }

    fn read<'a>(&'a self, cursor: &'a FeedCursor, limit: usize) -> BoxFuture<'a, Result<FeedPage, FeedFailure>> {
        Box::pin(self.records(cursor, limit))
    }
}

fn feed_shard(shard: Shard) -> FeedShard {
    let is_closed = shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some());
    let parents = shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect();
    FeedShard { id: shard.shard_id, parents, is_closed }
}

fn feed_record(record: Record) -> Result<FeedRecord, FeedFailure> {
    let sequence_number = sequence_number(Some(record.sequence_number()))?;
    Ok(FeedRecord {
        // A record without a key, which only streams have that spread records themselves, stands for itself.
        partition_key: record.partition_key.unwrap_or_else(|| sequence_number.to_string()),
        arrived_at_ms: unix_ms(record.approximate_arrival_timestamp.as_ref()),
        body: record.data.into_inner(),
        sequence_number,
    })
}
