//! [`RecordStream`] on Kinesis.

use aws_sdk_kinesis::{
    Client,
    types::{PutRecordsRequestEntry, PutRecordsResultEntry},
};
use aws_smithy_types::Blob;
use nexus_aws::{
    AwsConfig, ClientParts,
    failures::{call_failure, entry_failure},
    sdk_config,
};
use nexus_ports::{
    BoxFuture, CallFailure, EntryFailure, EntryOutcomes, Platform, RecordStream, SequenceNumber, StreamEntry,
    StreamPosition, UnknownOutcome,
};

use crate::entries::{unsendable, unusable_answer};

/// A Kinesis stream that entries are put into by `PutRecords`.
#[derive(Clone, Debug)]
pub struct KinesisStream {
    client: Client,
    stream: String,
}

impl KinesisStream {
    pub fn new(platform: &Platform, config: &AwsConfig, stream: impl Into<String>) -> Self {
        let client = Client::from_conf(sdk_config!(aws_sdk_kinesis, ClientParts::new(platform, config)));
        Self { client, stream: stream.into() }
    }

    async fn put_records(&self, entries: &[StreamEntry]) -> Result<EntryOutcomes<StreamPosition>, CallFailure> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let records = entries.iter().map(|entry| {
            let data = Blob::new(entry.data.as_slice());
            PutRecordsRequestEntry::builder().data(data).partition_key(&entry.partition_key).build()
        });
        let records = records.collect::<Result<Vec<_>, _>>().map_err(unsendable)?;
        let call = self.client.put_records().stream_name(&self.stream).set_records(Some(records));
        let answer = call.send().await.map_err(|error| call_failure(&error))?;
        // Results are told apart by their position alone, so one too few or too many says nothing about any.
        if answer.records.len() != entries.len() {
            let found = answer.records.len();
            return Err(unusable_answer(format!("{found} results for {} entries", entries.len())));
        }
        Ok(answer.records.iter().map(entry_outcome).collect())
    }
}

impl RecordStream for KinesisStream {
    fn put<'a>(
        &'a self,
        entries: &'a [StreamEntry],
    ) -> BoxFuture<'a, Result<EntryOutcomes<StreamPosition>, CallFailure>> {
        Box::pin(self.put_records(entries))
    }
}

/// `InternalFailure` is unknown: Kinesis does not say whether the record is in the stream.
fn entry_outcome(result: &PutRecordsResultEntry) -> Result<StreamPosition, EntryFailure> {
    if let Some(code) = result.error_code() {
        return Err(entry_failure(code, false, result.error_message()));
    }
    let number = result.sequence_number().and_then(|number| SequenceNumber::try_from(number.to_owned()).ok());
    match (number, result.shard_id()) {
        (Some(sequence_number), Some(shard)) => Ok(StreamPosition { shard: shard.to_owned(), sequence_number }),
        _ => {
            let reason = "the result holds neither a position nor an error".to_owned();
            Err(EntryFailure::Unknown(UnknownOutcome { reason }))
        }
    }
}
