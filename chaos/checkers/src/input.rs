//! What checkers judge: the history that clients observed, and the ground truth of the cloud.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that one judgement sees. All times are nanoseconds of one true clock, whatever hosts believed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInput {
    pub observation: Observation,
    /// Empty where a live run is judged: then only checkers that need nothing but the observation speak.
    pub truth: GroundTruth,
    pub settings: CheckSettings,
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
    pub final_items: BTreeMap<String, Vec<Value>>,
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
    pub old_image: Option<Value>,
    /// What is there now; `None` if the item was deleted.
    pub new_image: Option<Value>,
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
    pub new_image: Option<Value>,
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
            token_window_ns: 600 * SECOND_NS,
            healed_at_ns: 0,
            drain_ended_at_ns: u64::MAX,
            ended_at_ns: u64::MAX,
            stream_bound_ns: 10 * SECOND_NS,
            convergence_bound_ns: 120 * SECOND_NS,
            quiescence_bound_ns: SECOND_NS,
            linearizability_steps_max: 2_000_000,
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

/// What follows `table/` in a key, if the key is of that table. Idempotency keys may hold slashes themselves.
pub(crate) fn partition_in<'k>(key: &'k str, table: &str) -> Option<&'k str> {
    key.strip_prefix(table)?.strip_prefix('/')
}
