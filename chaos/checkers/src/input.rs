//! What checkers judge: the history that clients observed, and the ground truth of the cloud.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that one judgement sees. All times are nanoseconds of one true clock, whatever hosts believed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInput {
    pub observation: Observation,
    /// Empty where a live run is judged: then only checkers that need nothing but the observation speak.
    pub truth: GroundTruth,
    /// What the system measured of itself.
    #[serde(default)]
    pub told: Vec<ToldMetric>,
    pub settings: CheckSettings,
}

/// All measurements of one host under one name with the same dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldMetric {
    pub host: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
    pub measurements: u64,
    /// Of their values: a count, or milliseconds.
    pub sum: f64,
}

/// What clients saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    pub attempts: Vec<Attempt>,
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Logical operation: shared by all retries of one.
    pub operation: u32,
    /// 1, 2, 3 … within the operation.
    pub attempt: u32,
    pub customer: u32,
    pub idempotency_key: Option<String>,
    pub role: String,
    pub request: Request,
    pub invoked_ns: u64,
    /// `None` if it was never answered.
    pub completed_ns: Option<u64>,
    pub response: Response,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The body of `POST /commands`.
    Command(Value),
    /// `GET /orders/{order_id}`.
    ReadOrder {
        order_id: String,
        /// The customer asked for an eventually consistent view.
        #[serde(default)]
        eventual: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Response {
    Answered {
        status: u16,
        body: Value,
    },
    /// A time-out, a reset, or an answer that itself says that the outcome is unknown.
    Unknown {
        reason: String,
    },
}

impl Response {
    /// Whether the service says that a stream is not one that it wrote. To ask again would be in vain: an operator is needed.
    pub fn tells_of_corruption(&self) -> bool {
        matches!(self, Response::Answered { body, .. } if body["code"] == "corrupt-stream")
    }
}

/// What really happened inside the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroundTruth {
    /// Every change of an item, in the order in which they took effect.
    pub writes: Vec<StorageWrite>,
    /// Every record of a table's stream, in the order in which they became readable.
    pub stream: Vec<StreamRecord>,
    pub calls: Vec<AwsCall>,
    /// By table: the items that were there at the end, as DynamoDB JSON (`{"pk": {"S": "…"}}`).
    pub final_items: BTreeMap<String, Vec<Arc<Value>>>,
    /// Every step of every message of streams, topics and queues and of every invocation, in the order in which they
    /// happened.
    #[serde(default)]
    pub messages: Vec<MessageStep>,
    /// Every version of the schema registry and each change of its status, in the order in which they happened.
    #[serde(default)]
    pub schema_versions: Vec<SchemaVersionStep>,
}

/// A version of a schema was registered, or its status changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaVersionStep {
    pub at_ns: u64,
    pub schema: String,
    pub version_id: String,
    /// `PENDING`, `AVAILABLE`, `FAILURE`, `DELETING` or `DELETED`.
    pub status: String,
    /// As it was registered; empty on steps after the first.
    pub definition: String,
}

/// Where an event version is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredSchema {
    /// The registry's and the schema's name, as the keys of calls have them: `registry/schema`.
    pub key: String,
    pub definition: String,
}

/// One item changed. Images are DynamoDB JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageWrite {
    /// The call that did it; all changes of one transaction share it.
    pub call_sequence: u64,
    pub at_ns: u64,
    pub table: String,
    /// `table/partition[/sort]`.
    pub key: String,
    /// What was there before; `None` if nothing was.
    pub old_image: Option<Arc<Value>>,
    /// What is there now; `None` if the item was deleted.
    pub new_image: Option<Arc<Value>>,
}

/// One record of a table's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamRecord {
    /// When it became readable.
    pub at_ns: u64,
    pub table: String,
    pub shard: String,
    pub sequence_number: String,
    /// INSERT, MODIFY or REMOVE.
    pub event_name: String,
    /// `table/partition[/sort]`.
    pub key: String,
    pub new_image: Option<Arc<Value>>,
}

/// One call that reached the cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsCall {
    /// 1, 2, 3 … in order of arrival.
    pub sequence: u64,
    pub at_ns: u64,
    /// Name of the host that called.
    pub caller: String,
    pub service: String,
    pub operation: String,
    /// Keys touched, in request order, as `table/partition[/sort]`.
    pub keys: Vec<String>,
    pub is_write: bool,
    pub is_transaction: bool,
    /// A read that may be stale.
    pub is_eventual_read: bool,
    pub client_token: Option<String>,
    /// HTTP status that was, or would have been, answered.
    pub status: u16,
    /// Error code without its namespace.
    pub error: Option<String>,
    /// Codes of a cancelled transaction's reasons, in request order.
    pub cancellation_codes: Vec<String>,
    /// The write is in storage, by this call or an earlier one with its token.
    pub applied: bool,
    /// The answer went back to the caller.
    pub delivered: bool,
    /// `None` if the call was still running at the end.
    pub finished_ns: Option<u64>,
}

/// One step in the life of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageStep {
    pub at_ns: u64,
    /// The call that did it; 0 for what the cloud did by itself.
    pub call_sequence: u64,
    /// `kinesis`, `sns`, `sqs` or `lambda`.
    pub service: String,
    /// `stream/shard`, topic, queue, `topic/subscriber`, or function.
    pub place: String,
    pub step: MessageStepKind,
    /// Sequence number of a record; id of a message; request id of an invocation.
    pub message_id: String,
    /// Partition key or message group.
    pub key: String,
    /// As it was sent; base64 with the prefix `base64:` where it is not UTF-8. Empty on steps after the first.
    pub body: Arc<str>,
    /// Receives of the message so far, this one included.
    pub receive_count: u32,
    /// What else is to be known: the queue it went to, `from` and the id of the message it was, why it was dropped.
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Left its dead-letter queue by a message move task for the queue named in the note, where it is accepted anew.
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

/// A stored event that was forged or removed, and is not what the system wrote from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TamperedEvent {
    pub stream: String,
    pub version: u64,
    pub at_ns: u64,
}

/// Names and bounds that the judgement depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckSettings {
    pub events_table: String,
    pub idempotency_table: String,
    /// Hosts whose AWS calls are the system's own; empty means all callers are.
    pub service_hosts: Vec<String>,
    /// How often one append or one refusal's record may be sent.
    pub append_attempts_max: u32,
    /// How often one request may decide anew after a conflict, the first decision included.
    pub decision_rounds_max: u32,
    /// DynamoDB forgets a transaction's token this long after its completion.
    pub token_window_ns: u64,
    /// Faults end here.
    pub healed_at_ns: u64,
    /// The system has finished its work here.
    pub drain_ended_at_ns: u64,
    /// The record ends here.
    pub ended_at_ns: u64,
    /// An event is in the stream this long after its commit or after the heal, whichever is later. A record that ends
    /// before leaves a missing event undecided.
    pub stream_bound_ns: u64,
    /// An operation has its definite answer this long after its start or after the heal, whichever is later.
    pub convergence_bound_ns: u64,
    /// Services are silent from this long after the end of the drain.
    pub quiescence_bound_ns: u64,
    /// Work bound of the linearizability search, for each aggregate: steps of the model. A step can keep some 200 bytes.
    pub linearizability_steps_max: u64,
    /// The Kinesis stream of core events.
    pub core_stream: String,
    pub background_topic: String,
    pub notification_queue: String,
    pub notification_dlq: String,
    /// Where the topic puts what the notification queue does not take.
    pub background_dlq: String,
    pub leases_table: String,
    pub views_table: String,
    pub outbox_table: String,
    pub parked_table: String,
    pub quarantine_table: String,
    /// Events of these types go to the core stream, all others to the topic.
    pub core_event_types: Vec<String>,
    /// Group under which the router keeps its leases, and name under which it parks.
    pub router_group: String,
    /// Group under which the projection keeps its leases, and name under which it parks.
    pub projection_group: String,
    /// A message that was received this often goes to the dead-letter queue instead of to another receiver.
    pub max_receive_count: u32,
    /// How often one event may be put in one pass.
    pub route_attempts_max: u32,
    /// How long the notification queue hides a message that was received.
    pub visibility_ns: u64,
    /// An event has reached its consumers this long after its commit or the heal, whichever is later, or once the drain
    /// has ended, whichever is later. A record that ends before leaves a missing event undecided.
    pub delivery_bound_ns: u64,
    /// What a fault made unprocessable: event ids, `stream/version` of events, sequence numbers of records or ids of
    /// messages.
    pub poison_events: Vec<String>,
    /// Event types that some host's release did not know for a while: it may call such events poison.
    pub event_types_forgotten: Vec<String>,
    /// An operator purged queues behind the system's back: what lay in them then, and nothing else, may be missing.
    pub operator_purges: bool,
    /// Under which schema of the registry, and with which definition, each event version is registered, by `type/version`.
    /// Empty where no registry is asked.
    pub registered_schemas: BTreeMap<String, RegisteredSchema>,
    /// For this long an answer of the registry may be relied on, its staleness included.
    pub registry_trust_ns: u64,
    /// Events that somebody forged behind the API. The truth is told as if he had not.
    pub tampered: Vec<TamperedEvent>,
    /// Nothing was made to go wrong: no fault acted, nothing is poison.
    pub is_undisturbed: bool,
    /// A call that takes longer than this may have been given up by its caller.
    pub patience_ns: u64,
    /// Operations that a consumer may call for ever, since they only look whether there is work.
    pub polling_operations: Vec<String>,
}

impl Default for CheckSettings {
    fn default() -> Self {
        const SECOND_NS: u64 = 1_000_000_000;
        Self {
            events_table: "nexus-events".to_owned(),
            idempotency_table: "nexus-idempotency".to_owned(),
            service_hosts: Vec::new(),
            append_attempts_max: 3,
            decision_rounds_max: 3,
            registered_schemas: BTreeMap::new(),
            registry_trust_ns: 2_100 * SECOND_NS,
            token_window_ns: 600 * SECOND_NS,
            healed_at_ns: 0,
            drain_ended_at_ns: u64::MAX,
            ended_at_ns: u64::MAX,
            stream_bound_ns: 10 * SECOND_NS,
            convergence_bound_ns: 120 * SECOND_NS,
            quiescence_bound_ns: SECOND_NS,
            linearizability_steps_max: 2_000_000,
            core_stream: "nexus-core".to_owned(),
            background_topic: "nexus-background".to_owned(),
            notification_queue: "nexus-notifications".to_owned(),
            notification_dlq: "nexus-notifications-dlq".to_owned(),
            background_dlq: "nexus-background-dlq".to_owned(),
            leases_table: "nexus-leases".to_owned(),
            views_table: "nexus-views".to_owned(),
            outbox_table: "nexus-outbox".to_owned(),
            parked_table: "nexus-parked".to_owned(),
            quarantine_table: "nexus-quarantine".to_owned(),
            core_event_types: texts(&CORE_EVENT_TYPES),
            router_group: "router".to_owned(),
            projection_group: "projection".to_owned(),
            max_receive_count: 5,
            route_attempts_max: 3,
            visibility_ns: 30 * SECOND_NS,
            delivery_bound_ns: 120 * SECOND_NS,
            poison_events: Vec::new(),
            event_types_forgotten: Vec::new(),
            operator_purges: false,
            tampered: Vec::new(),
            is_undisturbed: false,
            patience_ns: SECOND_NS,
            polling_operations: texts(&POLLING_OPERATIONS),
        }
    }
}

impl CheckSettings {
    /// Whether calls of this host are the system's own.
    pub fn is_service_host(&self, caller: &str) -> bool {
        self.service_hosts.is_empty() || self.service_hosts.iter().any(|host| host == caller)
    }

    /// Whether a key written `table/…` names an item of the event or idempotency table.
    pub(crate) fn is_own_table_key(&self, key: &str) -> bool {
        partition_in(key, &self.events_table).is_some() || partition_in(key, &self.idempotency_table).is_some()
    }
}

/// Types that the design sends the ordered way.
const CORE_EVENT_TYPES: [&str; 6] =
    ["OrderPlaced", "PaymentConfirmed", "OrderShipped", "OrderCancelled", "PaymentProcessed", "PaymentRefunded"];

/// How consumers of streams and queues ask for work.
const POLLING_OPERATIONS: [&str; 6] =
    ["DescribeStream", "DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords", "ReceiveMessage"];

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What follows `table/` in a key, if the key is of that table. Idempotency keys may hold slashes themselves.
pub(crate) fn partition_in<'k>(key: &'k str, table: &str) -> Option<&'k str> {
    key.strip_prefix(table)?.strip_prefix('/')
}
