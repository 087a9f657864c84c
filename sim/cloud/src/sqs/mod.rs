//! Simulated SQS: standard and FIFO queues, dead-letter queues, message move tasks.
//!
//! A message costs memory for as long as its queue keeps it: its body and attributes, and about 400 bytes. Every operation
//! on a message costs a logarithm of the number of messages in its queue.

mod attributes;
mod batch;
mod codec;
mod control;
mod errors;
mod input;
mod inspect;
mod lineup;
pub(crate) mod message;
mod moves;
mod queue;
pub(crate) mod quirks;
mod receive;
mod remove;
mod send;
pub(crate) mod throughput;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{errors::no_queue, message::Receipt, queue::Queue};
use crate::{
    interface::{Call, RefuseBefore, UnixNanos, WireRequest},
    latency::Cost,
    service::{
        Answer, CallShape, Decoded, Encoded, Execution, InternalAnswer, ServiceContext, ServiceError, SimulatedService,
    },
};

pub(crate) use batch::is_entry_id;
pub(crate) use control::is_queue_arn;
pub(crate) use input::{Input, arn_name};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqsConfig {
    /// FIFO queues refuse calls above their rate.
    pub enforce_throughput: bool,
    /// Calls a second of each kind that a FIFO queue takes.
    pub fifo_calls_per_second: u32,
    /// … and one whose throughput limit is per message group.
    pub fifo_high_throughput_calls_per_second: u32,
    /// Messages of one queue that may be received and not yet deleted.
    pub in_flight_max: usize,
    /// Messages a second that a move task without a rate of its own moves.
    pub move_task_messages_per_second: u32,
}

impl Default for SqsConfig {
    fn default() -> Self {
        Self {
            enforce_throughput: true,
            fifo_calls_per_second: 300,
            fifo_high_throughput_calls_per_second: 70_000,
            in_flight_max: 120_000,
            move_task_messages_per_second: 200,
        }
    }
}

/// What the service asked to be woken for.
#[derive(Debug)]
enum Alarm {
    /// A message's delay, visibility or retention ends.
    Queue { name: String },
    /// A long poll ends.
    Poll { queue: String, call_sequence: u64 },
    /// A move task moves its next messages.
    Move { queue: String, task_id: String },
}

#[derive(Debug)]
pub struct Sqs {
    config: SqsConfig,
    queues: BTreeMap<String, Queue>,
    deleted: BTreeMap<String, UnixNanos>,
    next_ordinal: u64,
    alarms: BTreeMap<u64, Alarm>,
    next_alarm: u64,
    /// Queues whose messages changed since their polls were last served.
    changed: BTreeSet<String>,
}

type Outcome = Result<Value, ServiceError>;

impl Sqs {
    pub fn new(config: SqsConfig) -> Self {
        Self {
            config,
            queues: BTreeMap::new(),
            deleted: BTreeMap::new(),
            next_ordinal: 1,
            alarms: BTreeMap::new(),
            next_alarm: 0,
            changed: BTreeSet::new(),
        }
    }

    fn dispatch(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: &Value) -> Execution {
        let input = Input::new(request);
        let outcome = match operation {
            "ReceiveMessage" => {
                return self.receive_message(context, input).unwrap_or_else(|error| Execution::Answer(Err(error)));
            }
            "SendMessage" => self.send_message(context, input),
            "SendMessageBatch" => self.send_message_batch(context, input),
            "DeleteMessage" => self.delete_message(context, input),
            "DeleteMessageBatch" => self.delete_message_batch(context, input),
            "ChangeMessageVisibility" => self.change_message_visibility(context, input),
            "ChangeMessageVisibilityBatch" => self.change_message_visibility_batch(context, input),
            "CreateQueue" => self.create_queue(context, input),
            "DeleteQueue" => self.delete_queue(context, input),
            "GetQueueUrl" => self.get_queue_url(context, input),
            "ListQueues" => self.list_queues(context, input),
            "GetQueueAttributes" => self.get_queue_attributes(context, input),
            "SetQueueAttributes" => self.set_queue_attributes(context, input),
            "PurgeQueue" => self.purge_queue(context, input),
            "TagQueue" => self.tag_queue(input),
            "UntagQueue" => self.untag_queue(input),
            "ListQueueTags" => self.list_queue_tags(input),
            "ListDeadLetterSourceQueues" => self.list_dead_letter_source_queues(context, input),
            "StartMessageMoveTask" => self.start_message_move_task(context, input),
            "ListMessageMoveTasks" => self.list_message_move_tasks(input),
            "CancelMessageMoveTask" => self.cancel_message_move_task(input),
            "AddPermission" => self.add_permission(context, input),
            "RemovePermission" => self.remove_permission(input),
            _ => Err(errors::error(
                "UnknownOperationException",
                format!("The action {operation} is not valid for this endpoint."),
            )
            .with_status(404)),
        };
        outcome.into()
    }

    /// The name of the queue that a request is about, brought up to now.
    fn touch(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Result<String, ServiceError> {
        let name = input::queue_name(input.required("QueueUrl")?).ok_or_else(no_queue)?.to_owned();
        let queue = self.queues.get_mut(&name).ok_or_else(no_queue)?;
        queue.pass_time(context);
        Ok(name)
    }

    fn queue_mut(&mut self, name: &str) -> Result<&mut Queue, ServiceError> {
        self.queues.get_mut(name).ok_or_else(no_queue)
    }

    fn check_throughput(
        &mut self,
        name: &str,
        kind: &'static str,
        context: &ServiceContext<'_>,
    ) -> Result<(), ServiceError> {
        let config = self.config.clone();
        let queue = self.queue_mut(name)?;
        if !config.enforce_throughput || !queue.fifo() {
            return Ok(());
        }
        let rate = if queue.attributes.throughput_per_group {
            config.fifo_high_throughput_calls_per_second
        } else {
            config.fifo_calls_per_second
        };
        if queue.throughput.admits(kind, rate, 1, context.now) { Ok(()) } else { Err(errors::throttled()) }
    }

    fn set_alarm(&mut self, context: &mut ServiceContext<'_>, at: UnixNanos, alarm: Alarm) {
        self.next_alarm += 1;
        self.alarms.insert(self.next_alarm, alarm);
        context.wake_at(at, self.next_alarm);
    }

    /// Gives waiting receivers what there is now, and asks to be woken for what time will do next.
    fn settle(&mut self, context: &mut ServiceContext<'_>) {
        while let Some(name) = self.changed.pop_first() {
            self.serve_polls(context, &name);
            let Some(queue) = self.queues.get_mut(&name) else { continue };
            if let Some(next) = queue.next_deadline()
                && queue.armed.is_none_or(|armed| next < armed)
            {
                queue.armed = Some(next);
                self.set_alarm(context, next, Alarm::Queue { name });
            }
        }
    }

    fn alarm(&mut self, context: &mut ServiceContext<'_>, alarm: Alarm) {
        match alarm {
            Alarm::Queue { name } => {
                let Some(queue) = self.queues.get_mut(&name) else { return };
                if queue.armed.is_some_and(|armed| armed <= context.now) {
                    queue.armed = None;
                }
                queue.pass_time(context);
                self.changed.insert(name);
            }
            Alarm::Poll { queue, call_sequence } => self.end_poll(context, &queue, call_sequence),
            Alarm::Move { queue, task_id } => self.continue_move(context, &queue, &task_id),
        }
    }
}

fn cost(operation: &str) -> Cost {
    let class = match operation {
        "SendMessage" | "SendMessageBatch" => "sqs-send",
        "ReceiveMessage" => "sqs-receive",
        "DeleteMessage" | "DeleteMessageBatch" | "ChangeMessageVisibility" | "ChangeMessageVisibilityBatch" => {
            "sqs-delete"
        }
        _ => "control",
    };
    Cost { class, items: 1 }
}

fn keys(operation: &str, input: Input<'_>) -> Vec<String> {
    let text = |name| input.text(name).ok().flatten();
    let place = text("QueueUrl")
        .and_then(input::queue_name)
        .or_else(|| text("QueueName"))
        .or_else(|| text("SourceArn").and_then(input::arn_name));
    let Some(queue) = place else { return Vec::new() };
    let key = |handle: &str| match Receipt::decode(handle) {
        Ok(receipt) => format!("{queue}/{}", receipt.message_id),
        Err(_) => queue.to_owned(),
    };
    if let Some(handle) = text("ReceiptHandle") {
        return vec![key(handle)];
    }
    if matches!(operation, "DeleteMessageBatch" | "ChangeMessageVisibilityBatch") {
        let entries = input.list("Entries").unwrap_or_default();
        let handle = |entry| Input::new(entry).text("ReceiptHandle").ok().flatten().unwrap_or_default();
        return entries.iter().map(|entry| key(handle(entry))).collect();
    }
    vec![queue.to_owned()]
}

impl SimulatedService for Sqs {
    fn decode(&self, wire: &WireRequest) -> Result<Decoded, ServiceError> {
        codec::decode(wire)
    }

    fn encode(&self, _operation: &str, result: &Result<Answer, ServiceError>, _request_id: &str) -> Encoded {
        codec::encode(result)
    }

    fn shape(&self, operation: &str, request: &Value) -> CallShape {
        // A receive hides messages and counts them: it changes what is stored.
        let is_write = !(operation.starts_with("Get") || operation.starts_with("List"));
        CallShape { keys: keys(operation, Input::new(request)), is_write, cost: cost(operation) }
    }

    fn execute(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: Value) -> Execution {
        let execution = self.dispatch(context, operation, &request);
        self.settle(context);
        execution
    }

    fn wake(&mut self, context: &mut ServiceContext<'_>, token: u64) {
        if let Some(alarm) = self.alarms.remove(&token) {
            self.alarm(context, alarm);
            self.settle(context);
        }
    }

    fn answered(&mut self, _context: &mut ServiceContext<'_>, _token: u64, _answer: InternalAnswer) {
        // SQS calls nobody.
    }

    fn refusal(&self, refusal: RefuseBefore, _call: &Call) -> ServiceError {
        errors::refusal(refusal)
    }

    fn inspect(&self) -> Value {
        inspect::inspect(&self.queues)
    }
}
