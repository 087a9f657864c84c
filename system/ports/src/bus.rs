//! Where messages go out: a stream with order per key, and a topic without order.

use crate::{BoxFuture, CallFailure, EntryFailure, SequenceNumber};

/// What became of each entry of a batch, in the order of the batch.
pub type EntryOutcomes<T> = Vec<Result<T, EntryFailure>>;

/// An ordered, sharded, durable stream (Kinesis). Nothing is deduplicated: an entry put twice is there twice.
pub trait RecordStream: Send + Sync {
    /// At most [`StreamEntry::BATCH_MAX`] entries. Entries fail one by one, and later ones of the same key may be taken
    /// although an earlier one was not: whoever needs order has at most one entry of a key in a batch.
    fn put<'a>(
        &'a self,
        entries: &'a [StreamEntry],
    ) -> BoxFuture<'a, Result<EntryOutcomes<StreamPosition>, CallFailure>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    pub partition_key: String,
    pub data: Vec<u8>,
}

impl StreamEntry {
    pub const BATCH_MAX: usize = 500;
    /// Bytes of data and keys in one batch.
    pub const BATCH_BYTES_MAX: usize = 5 * 1024 * 1024;
}

/// Where the stream durably keeps an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    pub shard: String,
    pub sequence_number: SequenceNumber,
}

/// A topic that copies each message to all of its subscribers (SNS). No order, at least once.
pub trait MessageTopic: Send + Sync {
    /// At most [`TopicMessage::BATCH_MAX`] messages.
    fn publish<'a>(&'a self, messages: &'a [TopicMessage]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMessage {
    pub body: String,
    /// Text attributes, for subscribers' filters; at most ten.
    pub attributes: Vec<(String, String)>,
}

impl TopicMessage {
    pub const BATCH_MAX: usize = 10;
}

/// A queue from which messages are received, worked on and deleted (SQS).
pub trait MessageQueue: Send + Sync {
    /// Up to `count_max` (at most 10) messages, waiting up to `wait_seconds` (at most 20) for the first. They stay hidden
    /// from other receivers for `visibility_seconds`; a lost answer hides them as well.
    fn receive(
        &self,
        count_max: u32,
        wait_seconds: u32,
        visibility_seconds: u32,
    ) -> BoxFuture<'_, Result<Vec<QueueMessage>, CallFailure>>;

    /// Deletes by receipt handle, at most 10 at once. An entry that is rejected may have been received again elsewhere.
    fn delete<'a>(&'a self, receipt_handles: &'a [String]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>>;

    /// How much longer, from now, the message stays hidden; 0 shows it again at once.
    fn set_visibility<'a>(
        &'a self,
        receipt_handle: &'a str,
        visibility_seconds: u32,
    ) -> BoxFuture<'a, Result<(), CallFailure>>;

    /// Sends, at most 10 messages at once.
    fn send<'a>(&'a self, messages: &'a [QueueDraft]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage {
    pub message_id: String,
    pub receipt_handle: String,
    pub body: String,
    /// Text attributes.
    pub attributes: Vec<(String, String)>,
    /// How often the message was received, this time included.
    pub receive_count: u32,
    /// When the message was first sent to this queue (for a message moved to a standard dead-letter queue: to the queue
    /// it came from).
    pub sent_at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDraft {
    pub body: String,
    pub attributes: Vec<(String, String)>,
}
