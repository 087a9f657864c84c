//! How anything talks with the simulated AWS: requests in, outputs out, one hook for faults, one journal of truth.
//!
//! The cloud owns no clock, no socket and no task. A shell hands it `now` with every call, asks when it next
//! wants to be woken, and carries its outputs away.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// True simulated time: nanoseconds since the Unix epoch. Hosts' clocks may err; the cloud's does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// One AWS endpoint, a host of its own on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    Dynamodb,
    DynamodbStreams,
    Kinesis,
    Sns,
    Sqs,
    /// Event source mappings and the runtime API by which functions are invoked.
    Lambda,
    /// The Schema Registry only.
    Glue,
}

impl Service {
    pub const ALL: [Service; 7] = [
        Service::Dynamodb,
        Service::DynamodbStreams,
        Service::Kinesis,
        Service::Sns,
        Service::Sqs,
        Service::Lambda,
        Service::Glue,
    ];

    /// The name used in addresses, traces and host names.
    pub fn name(self) -> &'static str {
        match self {
            Service::Dynamodb => "dynamodb",
            Service::DynamodbStreams => "dynamodb-streams",
            Service::Kinesis => "kinesis",
            Service::Sns => "sns",
            Service::Sqs => "sqs",
            Service::Lambda => "lambda",
            Service::Glue => "glue",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Chosen by the shell, unique among the requests in flight; outputs carry it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// An HTTP request as it arrived at an endpoint.
#[derive(Clone, Debug)]
pub struct WireRequest {
    /// The endpoint it arrived at; a shell with one socket for all services uses [`crate::wire::route`].
    pub service: Service,
    /// Name of the host that sent it (from the connection), for fault addresses and the journal.
    pub caller: String,
    pub method: String,
    /// Origin form: path and query.
    pub path: String,
    /// Names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// What the cloud wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this answer now.
    Reply { request: RequestId, response: WireResponse },
    /// Close the connection without an answer.
    Reset { request: RequestId },
    /// Send the head and half the body of this answer, then close the connection. A shell that cannot do that resets.
    Truncated { request: RequestId, response: WireResponse },
}

/// A call as faults and journals see it: decoded far enough to be addressed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// 1, 2, 3 … in order of arrival.
    pub sequence: u64,
    pub at: UnixNanos,
    pub caller: String,
    pub service: Service,
    /// `PutItem`, `TransactWriteItems`, `GetRecords` …
    pub operation: String,
    /// Logical keys that the call touches, in request order, written `table/partition[/sort]`; for stream reads
    /// `stream-table/shard`; for other services see [`crate::service::CallShape::keys`]. Empty for calls about tables as a whole.
    pub keys: Vec<String>,
    pub is_write: bool,
    pub is_transaction: bool,
    /// A read without ConsistentRead, which may be stale.
    pub is_eventual_read: bool,
    /// ClientRequestToken, where the call carries one.
    pub client_token: Option<String>,
    /// `amz-sdk-invocation-id` and the attempt from `amz-sdk-request`.
    pub invocation_id: Option<String>,
    pub attempt: Option<u32>,
}

/// What a fault does with one call. The default does nothing.
#[derive(Clone, Debug, Default)]
pub struct CallPlan {
    /// Answer this instead of doing anything.
    pub refuse: Option<RefuseBefore>,
    /// Waits this long before the call takes effect (queueing inside AWS).
    pub delay_before: Duration,
    /// Waits this long between the effect and the answer.
    pub delay_after: Duration,
    /// What becomes of the answer once the call took effect (or was refused by its own condition).
    pub answer: AnswerFate,
    /// For eventual reads: answer with the state of this long ago (bounded by what the table still remembers).
    pub staleness: Option<Duration>,
    /// What else happens to a call of a stream, topic, queue, function or schema registry.
    pub quirks: Vec<Quirk>,
}

/// What can happen to a call beyond being refused, delayed or losing its answer. A quirk that the operation cannot have
/// does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "quirk", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Quirk {
    /// Of a batch's entries, those from `first` (counted from 0) on, `count` of them, fail one by one. With `applied` they
    /// take effect nevertheless (the answer for them is wrong, as after an internal failure).
    FailEntries { first: usize, count: usize, code: EntryFailureCode, applied: bool },
    /// A read of a shard is told that its iterator has expired.
    ExpireIterator,
    /// A read or receive gives nothing although there is something; the position does not move.
    EmptyPage,
    /// Each message or record that this call sends, or delivers, is there twice: a received message stays visible too.
    Duplicate,
    /// A batch's messages are delivered in reverse order.
    Reverse,
    /// What is sent becomes visible to receivers (or is delivered to subscribers) this much later.
    DelayDelivery { by_ms: u64 },
    /// A delete is acknowledged and yet the message reappears after its visibility time-out.
    DeleteDoesNotStick,
    /// Records of the shard that is read, older than its newest, are gone as if retention had ended.
    Trim,
    /// A subscriber or a function cannot be reached for this delivery.
    UnreachableTarget,
    /// The schema version that this call registers stays PENDING: for so long and then goes its usual way, or, without a
    /// time, for ever. The operator's operation `ReleasePendingVersions` of [`crate::Cloud::call_now`] ends either.
    StayPending { release_after_ms: Option<u64> },
    /// The schema version that this call registers ends in FAILURE although nothing is wrong with it.
    FailVersion,
    /// A subscriber refuses for good what this call publishes, as a queue does whose policy shuts the topic out.
    RefusedDelivery,
    /// The process of a function's environment dies: of NextInvocation as soon as it has the invocation, of
    /// InvocationResponse after all it did, and nobody hears its response.
    FunctionDies,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryFailureCode {
    Throttled,
    InternalFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefuseBefore {
    /// ProvisionedThroughputExceededException with ThrottlingReasons KeyRangeThroughputExceeded; inside a transaction a
    /// cancellation reason.
    ThrottleKeyRange,
    /// ThrottlingException (account limit).
    ThrottleAccount,
    RequestLimitExceeded,
    /// HTTP 500 InternalServerError, nothing applied.
    InternalServerError,
    /// HTTP 503 with an HTML body, as a load balancer answers.
    ServiceUnavailableHtml,
    /// TransactionConflict: TransactionCanceledException for a transaction, TransactionConflictException for a single write;
    /// ConcurrentModificationException for a write to the schema registry.
    TransactionConflict,
    /// TransactionInProgressException.
    TransactionInProgress,
    /// Connection closed, nothing applied.
    Reset,
    /// Never answered, nothing applied.
    Hang,
    /// BatchWriteItem/BatchGetItem: everything but the first entry comes back unprocessed. Other calls: as ThrottleKeyRange.
    PartialBatch,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerFate {
    #[default]
    Deliver,
    /// HTTP 500 InternalServerError although the call took effect.
    InternalServerError,
    /// Connection closed although the call took effect.
    Reset,
    /// Never answered although the call took effect.
    Hang,
    /// The head of the answer and half its body, then the connection closes: shells see a Reset; over a real socket
    /// the content-length promises more than arrives.
    Truncate,
}

/// Decides about each call, once, on arrival and before anything is looked at. Also told what became of it.
pub trait CallHook: Send {
    fn on_call(&mut self, call: &Call) -> CallPlan;
    /// After the call took effect or was refused; `delivered` says whether an answer went (or will go) back.
    fn on_outcome(&mut self, call: &Call, outcome: &CallOutcome);
}

/// No faults.
#[derive(Debug, Default)]
pub struct NoFaults;

impl CallHook for NoFaults {
    fn on_call(&mut self, _: &Call) -> CallPlan {
        CallPlan::default()
    }
    fn on_outcome(&mut self, _: &Call, _: &CallOutcome) {}
}

/// How a call ended inside the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOutcome {
    pub at: UnixNanos,
    /// HTTP status that was (or would have been) answered.
    pub status: u16,
    /// The error code without namespace, if an error.
    pub error: Option<String>,
    /// For TransactionCanceledException: the codes of CancellationReasons in request order.
    pub cancellation_codes: Vec<String>,
    /// A write of this call is in storage (now or from an earlier execution of the same token).
    pub applied: bool,
    /// An answer was sent.
    pub delivered: bool,
    /// How long the modelled service itself took (latency model, without injected delays), in nanoseconds.
    pub modelled_service_ns: u64,
}

/// One line of the cloud's ground truth.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum JournalEntry {
    Call {
        call: Call,
        outcome: CallOutcome,
    },
    /// An item changed in storage. Images are DynamoDB JSON (`{"pk":{"S":"…"}}`), and shared: what one write leaves is what
    /// the stream carries and what the next write replaces, and a long trial would not fit into memory three times.
    Write {
        /// The call that did it.
        call_sequence: u64,
        at: UnixNanos,
        table: String,
        /// `table/partition[/sort]`.
        key: String,
        old_image: Option<Arc<serde_json::Value>>,
        new_image: Option<Arc<serde_json::Value>>,
    },
    /// A record appeared in a table's stream (became readable).
    StreamRecord {
        at: UnixNanos,
        table: String,
        shard: String,
        sequence_number: String,
        /// INSERT, MODIFY or REMOVE.
        event_name: String,
        key: String,
        new_image: Option<Arc<serde_json::Value>>,
    },
    /// Something happened to a message of a stream, topic or queue, or to an invocation.
    Message(MessageStep),
    /// A version of a schema was registered, or its status changed.
    SchemaVersion(SchemaVersionStep),
}

/// One step in the life of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageStep {
    pub at: UnixNanos,
    /// The call that did it; 0 for what the cloud did by itself.
    pub call_sequence: u64,
    pub service: Service,
    /// `stream/shard`, topic, queue, `topic/subscriber`, or function.
    pub place: String,
    pub step: MessageStepKind,
    /// Sequence number of a record; id of a message; request id of an invocation.
    pub message_id: String,
    /// Partition key or message group.
    pub key: String,
    /// As it was sent; base64 with the prefix `base64:` where it is not UTF-8. Empty on steps after the first.
    pub body: Arc<str>,
    pub receive_count: u32,
    /// What else is to be known: the queue it went to, the message it came from, why it was dropped.
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageStepKind {
    /// Durable in its stream, topic or queue.
    Accepted,
    /// Handed to a receiver of a queue, which hides it for its visibility time-out.
    Received,
    Deleted,
    /// Visible again: its visibility time-out passed, or was set to zero, or a delete did not stick.
    Reappeared,
    /// Left its queue for the dead-letter queue named in the note, where it is accepted anew.
    DeadLettered,
    /// Left its dead-letter queue by a message move task for the queue named in the note.
    Moved,
    /// Gone because its retention ended.
    Expired,
    Purged,
    /// A topic's subscriber took it.
    Delivered,
    /// A topic gave up on a subscriber, and no dead-letter queue took the message.
    Dropped,
    /// A record is gone because its stream's retention ended.
    Trimmed,
    /// A function was invoked with it.
    Invoked,
    /// The invocation ended; the note says how.
    Returned,
    /// An event source mapping gave up on a batch; the note names the destination and the condition.
    Discarded,
}

/// One step in the life of a schema version. Events may be accepted under it from the step AVAILABLE to the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaVersionStep {
    pub at: UnixNanos,
    /// The call that did it; 0 for what the cloud did by itself, or an operator.
    pub call_sequence: u64,
    pub registry: String,
    pub schema: String,
    pub version_id: String,
    /// 1, 2, 3 … within the schema.
    pub number: u64,
    /// What it is from now on.
    pub status: SchemaVersionStatus,
    /// As it was registered. Empty on steps after the first.
    pub definition: Arc<str>,
    /// Why a version failed.
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaVersionStatus {
    /// Registered, and not yet judged.
    Pending,
    Available,
    /// Judged and refused; it keeps its id and its number and is of no use.
    Failure,
    Deleting,
    /// Gone: no call shows this status.
    Deleted,
}

impl SchemaVersionStatus {
    /// As the service writes it.
    pub fn name(self) -> &'static str {
        match self {
            SchemaVersionStatus::Pending => "PENDING",
            SchemaVersionStatus::Available => "AVAILABLE",
            SchemaVersionStatus::Failure => "FAILURE",
            SchemaVersionStatus::Deleting => "DELETING",
            SchemaVersionStatus::Deleted => "DELETED",
        }
    }
}
