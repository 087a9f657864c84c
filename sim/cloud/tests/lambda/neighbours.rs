//! Stand-ins for Kinesis, SQS and SNS, as small as mappings need them, with levers for the test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_cloud::{
    Call, RefuseBefore, Service, UnixNanos, WireRequest,
    service::{
        Answer, CallShape, Decoded, Encoded, Execution, InternalAnswer, ServiceContext, ServiceError, SimulatedService,
    },
};
use serde_json::{Value, json};

use crate::world::World;

pub const STREAM_ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/core";
pub const QUEUE_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:work";

/// A stand-in needs only to answer.
trait Stand: Send {
    fn act(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: &Value) -> Execution;
    fn wake(&mut self, _context: &mut ServiceContext<'_>) {}
}

/// Shared with the test.
struct Shared<S>(Arc<Mutex<S>>);

impl<S: Stand> SimulatedService for Shared<S> {
    fn decode(&self, _: &WireRequest) -> Result<Decoded, ServiceError> {
        Err(ServiceError::client("NoWire", "only neighbours call"))
    }
    fn encode(&self, _: &str, _: &Result<Answer, ServiceError>, _: &str) -> Encoded {
        Encoded { status: 500, content_type: "text/plain", headers: Vec::new(), body: Vec::new() }
    }
    fn shape(&self, operation: &str, _: &Value) -> CallShape {
        // Asked of a service that exists, so that the latency class does.
        let mut shape = CallShape { keys: Vec::new(), is_write: false, cost: COST };
        shape.keys.push(operation.to_owned());
        shape
    }
    fn execute(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: Value) -> Execution {
        self.0.lock().unwrap().act(context, operation, &request)
    }
    fn wake(&mut self, context: &mut ServiceContext<'_>, _token: u64) {
        self.0.lock().unwrap().wake(context);
    }
    fn answered(&mut self, _: &mut ServiceContext<'_>, _: u64, _: InternalAnswer) {}
    fn refusal(&self, _: RefuseBefore, _: &Call) -> ServiceError {
        ServiceError::client("InternalFailure", "refused").with_status(500)
    }
    fn inspect(&self) -> Value {
        Value::Null
    }
}

const COST: nexus_cloud::Cost = nexus_cloud::Cost { class: "kinesis-read", items: 1 };

fn refused(code: &str) -> Execution {
    Execution::Answer(Err(ServiceError::client(code, "by the stand-in")))
}

fn success(body: Value) -> Execution {
    Execution::Answer(Ok(body.into()))
}

#[derive(Default)]
pub struct StandKinesis {
    pub shards: Vec<StandShard>,
    /// The next reads are told that their iterator expired.
    pub expire: usize,
    pub calls: Vec<(String, Value)>,
    pub page: usize,
}

#[derive(Default)]
pub struct StandShard {
    pub parents: Vec<String>,
    /// Partition key, arrival; the sequence number is the index.
    pub records: Vec<(String, UnixNanos)>,
    pub trimmed_before: usize,
    pub is_closed: bool,
    /// Not listed before this time.
    pub listed_from: UnixNanos,
}

pub fn shard_id(index: usize) -> String {
    format!("shardId-{index:012}")
}

impl StandKinesis {
    pub fn put(&mut self, shard: usize, key: &str, at: UnixNanos) {
        self.shards[shard].records.push((key.to_owned(), at));
    }

    fn iterator(&self, request: &Value) -> Execution {
        let index: usize = request["ShardId"].as_str().unwrap()["shardId-".len()..].parse().unwrap();
        let shard = &self.shards[index];
        let sequence = || request["StartingSequenceNumber"].as_str().unwrap().parse::<usize>().unwrap();
        let at = match request["ShardIteratorType"].as_str().unwrap() {
            "TRIM_HORIZON" => shard.trimmed_before,
            "LATEST" => shard.records.len(),
            "AFTER_SEQUENCE_NUMBER" => sequence() + 1,
            "AT_TIMESTAMP" => {
                let from = (request["Timestamp"].as_f64().unwrap() * 1_000.0) as u64;
                shard.records.iter().position(|(_, at)| at.as_millis() >= from).unwrap_or(shard.records.len())
            }
            other => panic!("{other} is no type of iterator"),
        };
        success(json!({"ShardIterator": format!("{index}:{at}")}))
    }

    fn records(&mut self, request: &Value) -> Execution {
        if self.expire > 0 {
            self.expire -= 1;
            return refused("ExpiredIteratorException");
        }
        let (index, at) = request["ShardIterator"].as_str().unwrap().split_once(':').unwrap();
        let (index, at): (usize, usize) = (index.parse().unwrap(), at.parse().unwrap());
        let shard = &self.shards[index];
        let at = at.max(shard.trimmed_before);
        let end = shard.records.len().min(at + if self.page == 0 { 10_000 } else { self.page });
        let records: Vec<Value> = (at..end)
            .map(|sequence| {
                let (key, arrival) = &shard.records[sequence];
                json!({
                    "SequenceNumber": sequence.to_string(),
                    "PartitionKey": key,
                    "Data": "eyJuIjoxfQ==",
                    "ApproximateArrivalTimestamp": arrival.as_millis() as f64 / 1_000.0,
                })
            })
            .collect();
        let behind = if end < shard.records.len() { 1_000 } else { 0 };
        let mut page = json!({"Records": records, "MillisBehindLatest": behind});
        if !(shard.is_closed && end == shard.records.len()) {
            page["NextShardIterator"] = json!(format!("{index}:{end}"));
        }
        success(page)
    }
}

impl Stand for StandKinesis {
    fn act(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: &Value) -> Execution {
        self.calls.push((operation.to_owned(), request.clone()));
        match operation {
            "DescribeStreamSummary" => success(json!({"StreamDescriptionSummary": {"RetentionPeriodHours": 24}})),
            "ListShards" => {
                // One shard a page: clients must follow.
                let from: usize = request["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                let listed: Vec<usize> =
                    (0..self.shards.len()).filter(|index| self.shards[*index].listed_from <= context.now).collect();
                let index = listed[from];
                let shard = &self.shards[index];
                let mut range = json!({"StartingSequenceNumber": "0"});
                if shard.is_closed {
                    range["EndingSequenceNumber"] = json!(shard.records.len().to_string());
                }
                let mut described = json!({"ShardId": shard_id(index), "SequenceNumberRange": range});
                for (name, parent) in ["ParentShardId", "AdjacentParentShardId"].iter().zip(&shard.parents) {
                    described[*name] = json!(parent);
                }
                let mut page = json!({"Shards": [described]});
                if from + 1 < listed.len() {
                    page["NextToken"] = json!((from + 1).to_string());
                }
                success(page)
            }
            "GetShardIterator" => self.iterator(request),
            "GetRecords" => self.records(request),
            _ => refused("UnknownOperationException"),
        }
    }
}

#[derive(Clone, Debug)]
pub struct StandMessage {
    pub body: String,
    pub group: Option<String>,
    pub visible_from: UnixNanos,
    pub receives: u32,
    pub is_deleted: bool,
}

#[derive(Default)]
pub struct StandQueue {
    pub messages: Vec<StandMessage>,
    pub visibility: Duration,
    /// The next deletes fail for their first entry.
    pub fail_deletes: usize,
    pub calls: BTreeMap<String, usize>,
    /// Bodies that other services sent.
    pub sent: Vec<Value>,
    /// Sends are refused this often.
    pub refuse_sends: usize,
    /// When messages were handed out last.
    pub taken_at: Option<UnixNanos>,
    /// Calls that wait: sequence, until, most.
    polls: Vec<(u64, UnixNanos, usize)>,
}

impl StandQueue {
    pub fn put(&mut self, body: &str, group: Option<&str>) {
        self.messages.push(StandMessage {
            body: body.to_owned(),
            group: group.map(str::to_owned),
            visible_from: UnixNanos(0),
            receives: 0,
            is_deleted: false,
        });
    }

    pub fn left(&self) -> usize {
        self.messages.iter().filter(|message| !message.is_deleted).count()
    }

    fn take(&mut self, now: UnixNanos, most: usize) -> Vec<Value> {
        let mut busy: Vec<String> = self
            .messages
            .iter()
            .filter(|message| !message.is_deleted && message.visible_from > now)
            .filter_map(|message| message.group.clone())
            .collect();
        busy.dedup();
        let mut taken = Vec::new();
        for (index, message) in self.messages.iter_mut().enumerate() {
            let is_blocked = message.group.as_ref().is_some_and(|group| busy.contains(group));
            if message.is_deleted || message.visible_from > now || is_blocked || taken.len() == most {
                continue;
            }
            message.visible_from = now.plus(self.visibility);
            message.receives += 1;
            self.taken_at.get_or_insert(now);
            let mut attributes = json!({"ApproximateReceiveCount": message.receives.to_string()});
            if let Some(group) = &message.group {
                attributes["MessageGroupId"] = json!(group);
            }
            taken.push(json!({
                "MessageId": format!("m{index}"),
                "ReceiptHandle": format!("m{index}/{}", message.receives),
                "Body": message.body,
                "MD5OfBody": "digest",
                "Attributes": attributes,
                "MessageAttributes": {"event_type": {"StringValue": "E", "DataType": "String"}},
            }));
        }
        taken
    }

    fn serve(&mut self, context: &mut ServiceContext<'_>) {
        for (sequence, until, most) in std::mem::take(&mut self.polls) {
            let taken = self.take(context.now, most);
            if !taken.is_empty() {
                context.complete(sequence, Ok(json!({"Messages": taken}).into()));
            } else if until <= context.now {
                context.complete(sequence, Ok(json!({}).into()));
            } else {
                self.polls.push((sequence, until, most));
            }
        }
    }
}

impl Stand for StandQueue {
    fn wake(&mut self, context: &mut ServiceContext<'_>) {
        self.serve(context);
    }

    fn act(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: &Value) -> Execution {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        match operation {
            "GetQueueAttributes" => {
                success(json!({"Attributes": {"VisibilityTimeout": self.visibility.as_secs().to_string()}}))
            }
            "ReceiveMessage" => {
                let most = request["MaxNumberOfMessages"].as_u64().unwrap() as usize;
                assert!((1..=10).contains(&most));
                let taken = self.take(context.now, most);
                let wait = request["WaitTimeSeconds"].as_u64().unwrap();
                if !taken.is_empty() || wait == 0 {
                    return success(if taken.is_empty() { json!({}) } else { json!({"Messages": taken}) });
                }
                let until = context.now.plus(Duration::from_secs(wait));
                self.polls.push((context.call_sequence, until, most));
                context.wake_at(until, 0);
                // Messages reappear and arrive in between: look every so often.
                for step in 1..wait * 10 {
                    context.wake_at(context.now.plus(Duration::from_millis(step * 100)), 0);
                }
                Execution::Wait
            }
            "DeleteMessageBatch" => {
                let entries = request["Entries"].as_array().unwrap();
                assert!((1..=10).contains(&entries.len()));
                let fails = std::mem::take(&mut self.fail_deletes).min(1);
                let mut failed = Vec::new();
                for (position, entry) in entries.iter().enumerate() {
                    if position < fails {
                        failed.push(json!({"Id": entry["Id"], "Code": "InternalError"}));
                        continue;
                    }
                    let (id, _) = entry["ReceiptHandle"].as_str().unwrap().split_once('/').unwrap();
                    self.messages[id[1..].parse::<usize>().unwrap()].is_deleted = true;
                }
                success(json!({"Successful": [], "Failed": failed}))
            }
            "SendMessage" | "Publish" => {
                if self.refuse_sends > 0 {
                    self.refuse_sends -= 1;
                    return refused("RequestThrottled");
                }
                self.sent.push(request.clone());
                success(json!({"MessageId": "sent"}))
            }
            _ => refused("UnknownOperationException"),
        }
    }
}

pub fn install_kinesis(world: &mut World, shards: usize) -> Arc<Mutex<StandKinesis>> {
    let kinesis = StandKinesis { shards: (0..shards).map(|_| StandShard::default()).collect(), ..Default::default() };
    let shared = Arc::new(Mutex::new(kinesis));
    world.cloud.install(Service::Kinesis, Box::new(Shared(shared.clone())));
    shared
}

pub fn install_queue(world: &mut World, visibility_seconds: u64) -> Arc<Mutex<StandQueue>> {
    let queue = StandQueue { visibility: Duration::from_secs(visibility_seconds), ..Default::default() };
    let shared = Arc::new(Mutex::new(queue));
    world.cloud.install(Service::Sqs, Box::new(Shared(shared.clone())));
    world.cloud.install(Service::Sns, Box::new(Shared(shared.clone())));
    shared
}
