//! Kinesis Data Streams: what is put into shards, and how readers follow it there.
//!
//! All operations on streams, shards, records, tags and consumers but these: SubscribeToShard, which answers with an
//! HTTP/2 event stream (it says so), encryption, enhanced monitoring, policies, warm throughput. Streams in on-demand
//! mode begin with four shards and keep what they have: they do not grow by themselves.
//!
//! Retention ends when somebody next looks: a shard loses what is past it, and the journal says so, with the next call
//! that touches the shard or lists the stream. No caller can tell the difference.
//!
//! Memory: each record is held once, with about 90 bytes beside its key and data, until its retention ends; the journal
//! holds its body again. Writing costs a binary search over open shards and an append; reading a binary search and the
//! page itself.

mod bucket;
mod codec;
mod consumers;
mod control;
mod errors;
mod input;
mod iterator;
mod listing;
mod operations;
mod put;
mod read;
mod reshard;
mod sequence;
mod shard;
mod stream;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::{
    bucket::Bucket,
    errors::Named,
    iterator::ShardIterator,
    operations::{Kind, Operation},
    reshard::Reshard,
    shard::{parse_shard_id, shard_id},
    stream::{Status, Stream},
};
use crate::{
    interface::{Call, RefuseBefore, Service, UnixNanos, WireRequest},
    latency::Cost,
    service::{
        Answer, CallShape, Decoded, Encoded, Execution, HeldMessage, InternalAnswer, ServiceContext, ServiceError,
        SimulatedService,
    },
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KinesisConfig {
    /// Whether shards and operations have their limits: 1,000 records and 1 MiB written, 5 reads and 2 MiB read, each a
    /// second and shard, and the calls a second that each operation is good for.
    pub enforce_limits: bool,
    /// How long a stream or a consumer stays CREATING, in milliseconds. What is made by [`crate::Cloud::call_now`] is there
    /// at once.
    pub creation_ms: u64,
    /// … and DELETING.
    pub deletion_ms: u64,
    /// How long a stream stays UPDATING before its shards change.
    pub update_ms: u64,
    /// Open shards that the account may have.
    pub shard_limit: u64,
}

impl Default for KinesisConfig {
    fn default() -> Self {
        Self { enforce_limits: true, creation_ms: 500, deletion_ms: 500, update_ms: 500, shard_limit: 20_000 }
    }
}

/// All streams of one account and region.
#[derive(Debug)]
pub struct Kinesis {
    config: KinesisConfig,
    account_id: String,
    region: String,
    streams: BTreeMap<String, Stream>,
    /// Streams made so far.
    incarnations: u64,
    changes: BTreeMap<u64, PendingChange>,
    /// Changes begun so far; each has its number for the alarm that carries it out.
    changes_begun: u64,
    /// Rates of operations, for the account or for each stream.
    rates: BTreeMap<(&'static str, String), Bucket>,
}

/// Something begun that takes a while.
#[derive(Debug)]
struct PendingChange {
    stream: String,
    incarnation: u64,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Activate,
    Remove,
    Reshard(Reshard),
    ConsumerReady { consumer: String, created_at: UnixNanos },
    ConsumerGone { consumer: String, created_at: UnixNanos },
}

impl Kinesis {
    pub fn new(config: KinesisConfig, account_id: String, region: String) -> Self {
        Self {
            config,
            account_id,
            region,
            streams: BTreeMap::new(),
            incarnations: 0,
            changes: BTreeMap::new(),
            changes_begun: 0,
            rates: BTreeMap::new(),
        }
    }

    fn change_later(
        &mut self,
        context: &mut ServiceContext<'_>,
        stream: &str,
        incarnation: u64,
        after_ms: u64,
        change: Change,
    ) {
        self.changes_begun += 1;
        let change = PendingChange { stream: stream.to_owned(), incarnation, change };
        self.changes.insert(self.changes_begun, change);
        context.wake_at(context.now.plus(Duration::from_millis(after_ms)), self.changes_begun);
    }

    fn carry_out(&mut self, context: &mut ServiceContext<'_>, pending: PendingChange) {
        let stream = self.streams.get_mut(&pending.stream);
        let Some(stream) = stream.filter(|stream| stream.incarnation == pending.incarnation) else { return };
        match pending.change {
            Change::Activate if stream.status == Status::Creating => stream.status = Status::Active,
            Change::Reshard(reshard) if stream.status == Status::Updating => {
                reshard.carry_out(stream, context.now);
                stream.status = Status::Active;
            }
            // It is being deleted meanwhile.
            Change::Activate | Change::Reshard(_) => {}
            Change::Remove => {
                stream.purge(context);
                self.streams.remove(&pending.stream);
            }
            Change::ConsumerReady { consumer, created_at } => {
                let consumer = stream.consumers.get_mut(&consumer);
                if let Some(consumer) = consumer.filter(|found| found.created_at == created_at)
                    && consumer.status == Status::Creating
                {
                    consumer.status = Status::Active;
                }
            }
            Change::ConsumerGone { consumer, created_at } => {
                if stream.consumers.get(&consumer).is_some_and(|found| found.created_at == created_at) {
                    stream.consumers.remove(&consumer);
                }
            }
        }
    }

    /// Whether an operation's own rate lets a call in. Calls for set-up have none.
    fn admit(&mut self, context: &ServiceContext<'_>, operation: &'static Operation, request: &Value) -> bool {
        let Some(rate) = operation.per_second.filter(|_| self.config.enforce_limits && context.call_sequence > 0)
        else {
            return true;
        };
        let stream = if operation.is_per_stream { named_in(request).unwrap_or_default() } else { String::new() };
        // Names of streams that do not exist are not remembered.
        if !stream.is_empty() && !self.streams.contains_key(&stream) {
            return true;
        }
        let bucket = self.rates.entry((operation.name, stream)).or_insert_with(|| Bucket::full(rate, context.now));
        bucket.take_one(context.now)
    }

    fn is_data(operation: &str) -> bool {
        Operation::find(operation).is_some_and(|operation| operation.kind != Kind::Control)
    }
}

/// The stream that a request names, as far as can be told without reading the request properly.
fn named_in(request: &Value) -> Option<String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    if let Some(name) = text("StreamName") {
        return Some(name.to_owned());
    }
    if let Some(iterator) = text("ShardIterator").and_then(ShardIterator::decode) {
        return Some(iterator.stream);
    }
    let arn = text("StreamARN").or(text("ConsumerARN")).or(text("ResourceARN"))?;
    let name = arn.split_once(":stream/")?.1;
    Some(name.split('/').next().unwrap_or(name).to_owned())
}

/// The shard that a request names.
fn shard_in(request: &Value) -> Option<String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    if let Some(iterator) = text("ShardIterator").and_then(ShardIterator::decode) {
        return Some(shard_id(iterator.shard));
    }
    let named = text("ShardId").or(text("ShardToSplit")).or(text("ShardToMerge"))?;
    Some(parse_shard_id(named).map_or_else(|| named.to_owned(), shard_id))
}

impl SimulatedService for Kinesis {
    fn decode(&self, wire: &WireRequest) -> Result<Decoded, ServiceError> {
        codec::decode(wire, |name| Operation::find(name).is_some())
    }

    fn encode(&self, _operation: &str, result: &Result<Answer, ServiceError>, _request_id: &str) -> Encoded {
        codec::encode(result)
    }

    fn shape(&self, operation: &str, request: &Value) -> CallShape {
        let kind = Operation::find(operation).map_or(Kind::Control, |operation| operation.kind);
        let stream = named_in(request);
        let of = |stream: &str, part: &Value| format!("{stream}/{}", part.as_str().unwrap_or_default());
        let keys: Vec<String> = match (&stream, operation) {
            (None, _) => Vec::new(),
            (Some(stream), "PutRecords") => {
                let entries = request["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
                entries.iter().map(|entry| of(stream, &entry["PartitionKey"])).collect()
            }
            (Some(stream), "PutRecord") => vec![of(stream, &request["PartitionKey"])],
            (Some(stream), _) => {
                vec![shard_in(request).map_or_else(|| stream.clone(), |shard| format!("{stream}/{shard}"))]
            }
        };
        let class = match kind {
            Kind::Put => "kinesis-put",
            Kind::Read => "kinesis-read",
            Kind::Control => "control",
        };
        let is_write = Operation::find(operation).is_some_and(|operation| operation.is_write);
        CallShape { cost: Cost { class, items: keys.len().max(1) }, keys, is_write }
    }

    fn execute(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: Value) -> Execution {
        let result = match Operation::find(operation) {
            None => Err(ServiceError::client("UnknownOperationException", "")),
            Some(known) if !self.admit(context, known, &request) => {
                let stream = named_in(&request).unwrap_or_default();
                Err(Named { stream: &stream, account_id: &self.account_id }.rate_exceeded())
            }
            Some(known) => self.run(context, known, &request),
        };
        Execution::from(result)
    }

    fn wake(&mut self, context: &mut ServiceContext<'_>, token: u64) {
        if let Some(pending) = self.changes.remove(&token) {
            self.carry_out(context, pending);
        }
    }

    fn answered(&mut self, _context: &mut ServiceContext<'_>, _token: u64, _answer: InternalAnswer) {
        // Kinesis asks no neighbour for anything.
    }

    fn refusal(&self, refusal: RefuseBefore, call: &Call) -> ServiceError {
        let (stream, key) = call.keys.first().map_or(("", ""), |key| key.split_once('/').unwrap_or((key, "")));
        let named = Named { stream, account_id: &self.account_id };
        match refusal {
            RefuseBefore::ThrottleKeyRange
            | RefuseBefore::ThrottleAccount
            | RefuseBefore::RequestLimitExceeded
            | RefuseBefore::PartialBatch => match call.operation.as_str() {
                "PutRecord" | "PutRecords" => {
                    let shard = self.streams.get(stream).and_then(|stream| stream.shard_of(put::hash_of_key(key)));
                    named.shard_throttled(&shard_id(shard.unwrap_or(0)))
                }
                operation if Self::is_data(operation) => named.shard_throttled(key),
                _ => named.rate_exceeded(),
            },
            // There are no transactions here: a conflict is as good as any failure inside.
            RefuseBefore::TransactionConflict
            | RefuseBefore::TransactionInProgress
            | RefuseBefore::InternalServerError
            | RefuseBefore::ServiceUnavailableHtml
            | RefuseBefore::Reset
            | RefuseBefore::Hang => errors::internal_failure(),
        }
    }

    fn inspect(&self) -> Value {
        let streams: BTreeMap<&str, Value> =
            self.streams.iter().map(|(name, stream)| (name.as_str(), stream.inspect())).collect();
        json!({"streams": streams, "changes_pending": self.changes.len()})
    }

    fn contents(&self, place: &str) -> Vec<HeldMessage> {
        self.streams.get(place).map(Stream::contents).unwrap_or_default()
    }
}

/// Kinesis for a cloud of this account and region.
pub fn service(config: &crate::CloudConfig) -> (Service, Box<dyn SimulatedService>) {
    let kinesis = Kinesis::new(config.kinesis.clone(), config.account_id.clone(), config.region.clone());
    (Service::Kinesis, Box::new(kinesis))
}
