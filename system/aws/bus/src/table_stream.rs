//! [`RecordFeed`] over the change stream of a table.

use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodbstreams::{
    Client,
    types::{Record, Shard, ShardIteratorType, Stream, StreamStatus},
};
use nexus_aws::{AwsConfig, ClientParts, sdk_config};
use nexus_ports::{
    BoxFuture, FeedCursor, FeedFailure, FeedPage, FeedRecord, FeedShard, FeedStart, Platform, RecordFeed,
};

use crate::{
    feeds::{feed_failure, incomplete, page_limit, parents_first, sequence_number, unix_ms},
    images,
};

/// `GetRecords` takes no more.
const RECORDS_MAX: i32 = 1_000;

/// The newest change stream of a table, found by the table's name on the endpoint of DynamoDB Streams.
///
/// A table whose stream was switched off and on, or that was made anew, has another stream. So the name is resolved again
/// after the stream or a shard was not found, and after a listing whose stream was switched off (it can still be read for
/// a day). Once a newer stream is found, what was left unread in the older one is not read any more.
#[derive(Debug)]
pub struct DynamoStreamFeed {
    client: Client,
    table: String,
    stream_arn: Mutex<Option<String>>,
}

impl DynamoStreamFeed {
    /// `config` names the endpoint of DynamoDB Streams where it names one; it is another than DynamoDB's.
    pub fn new(platform: &Platform, config: &AwsConfig, table: impl Into<String>) -> Self {
        let client = Client::from_conf(sdk_config!(aws_sdk_dynamodbstreams, ClientParts::new(platform, config)));
        Self { client, table: table.into(), stream_arn: Mutex::new(None) }
    }

    async fn stream_arn(&self) -> Result<String, FeedFailure> {
        let known = self.stream_arn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(arn) = known {
            return Ok(arn);
        }
        let arn = self.newest_stream().await?;
        *self.stream_arn.lock().unwrap_or_else(PoisonError::into_inner) = Some(arn.clone());
        Ok(arn)
    }

    /// Labels are times in one format, so the greatest is the newest.
    async fn newest_stream(&self) -> Result<String, FeedFailure> {
        let mut newest: Option<Stream> = None;
        let mut start = None;
        loop {
            let call = self.client.list_streams().table_name(&self.table).set_exclusive_start_stream_arn(start.take());
            let page = call.send().await.map_err(|error| feed_failure(&error, &self.what()))?;
            start = page.last_evaluated_stream_arn;
            for stream in page.streams.unwrap_or_default() {
                if newest.as_ref().is_none_or(|newest| newest.stream_label < stream.stream_label) {
                    newest = Some(stream);
                }
            }
            if start.is_none() {
                break;
            }
        }
        newest.and_then(|stream| stream.stream_arn).ok_or_else(|| FeedFailure::NotFound { what: self.what() })
    }

    fn what(&self) -> String {
        format!("the change stream of table {}", self.table)
    }

    /// What is not there may have been replaced: the next call asks for the stream anew.
    fn forget_if_not_found(&self, failure: FeedFailure) -> FeedFailure {
        if matches!(failure, FeedFailure::NotFound { .. }) {
            self.forget_stream();
        }
        failure
    }

    fn forget_stream(&self) {
        *self.stream_arn.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn describe(&self) -> Result<Vec<FeedShard>, FeedFailure> {
        let arn = self.stream_arn().await?;
        let mut shards = Vec::new();
        let mut start = None;
        loop {
            let call = self.client.describe_stream().stream_arn(&arn).set_exclusive_start_shard_id(start.take());
            let page = call.send().await.map_err(|error| feed_failure(&error, &self.what()))?;
            let description = page.stream_description.ok_or_else(|| incomplete("description of the stream"))?;
            for shard in description.shards.unwrap_or_default() {
                shards.push(feed_shard(shard)?);
            }
            if description.stream_status == Some(StreamStatus::Disabled) {
                self.forget_stream();
            }
            start = description.last_evaluated_shard_id;
            if start.is_none() {
                return Ok(parents_first(shards));
            }
        }
    }

    async fn iterator(&self, shard: &str, start: &FeedStart) -> Result<FeedCursor, FeedFailure> {
        let arn = self.stream_arn().await?;
        let call = self.client.get_shard_iterator().stream_arn(arn).shard_id(shard);
        let call = match start {
            FeedStart::Oldest => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            FeedStart::After(number) => {
                call.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).sequence_number(number.as_str())
            }
        };
        let what = || format!("shard {shard} of {}", self.what());
        let answer = call.send().await.map_err(|error| feed_failure(&error, &what()))?;
        answer.shard_iterator.map(FeedCursor).ok_or_else(|| incomplete("iterator"))
    }

    async fn records(&self, cursor: &FeedCursor, limit: usize) -> Result<FeedPage, FeedFailure> {
        let call = self.client.get_records().shard_iterator(&cursor.0).limit(page_limit(limit, RECORDS_MAX));
        let answer = call.send().await.map_err(|error| feed_failure(&error, &self.what()))?;
        let records = answer.records.unwrap_or_default();
        let records = records.iter().map(|record| self.feed_record(record)).collect::<Result<_, _>>()?;
        Ok(FeedPage { records, next: answer.next_shard_iterator.map(FeedCursor), behind_ms: None })
    }

    fn feed_record(&self, record: &Record) -> Result<FeedRecord, FeedFailure> {
        let change = record.dynamodb().ok_or_else(|| incomplete("change in one of its records"))?;
        let sequence_number = sequence_number(change.sequence_number())?;
        Ok(FeedRecord {
            // A record without a key stands for itself.
            partition_key: images::partition_key(change).unwrap_or_else(|| sequence_number.to_string()),
            body: images::body(&self.table, record, change),
            arrived_at_ms: unix_ms(change.approximate_creation_date_time()),
            sequence_number,
        })
    }
}

impl RecordFeed for DynamoStreamFeed {
    fn list_shards(&self) -> BoxFuture<'_, Result<Vec<FeedShard>, FeedFailure>> {
        Box::pin(async move { self.describe().await.map_err(|failure| self.forget_if_not_found(failure)) })
    }

    fn open<'a>(&'a self, shard: &'a str, start: &'a FeedStart) -> BoxFuture<'a, Result<FeedCursor, FeedFailure>> {
        Box::pin(async move { self.iterator(shard, start).await.map_err(|failure| self.forget_if_not_found(failure)) })
    }

    fn read<'a>(&'a self, cursor: &'a FeedCursor, limit: usize) -> BoxFuture<'a, Result<FeedPage, FeedFailure>> {
        Box::pin(async move { self.records(cursor, limit).await.map_err(|failure| self.forget_if_not_found(failure)) })
    }
}

fn feed_shard(shard: Shard) -> Result<FeedShard, FeedFailure> {
    let is_closed = shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some());
    Ok(FeedShard {
        id: shard.shard_id.ok_or_else(|| incomplete("id of one of its shards"))?,
        parents: shard.parent_shard_id.into_iter().collect(),
        is_closed,
    })
}
