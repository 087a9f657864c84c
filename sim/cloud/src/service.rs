//! What a simulated service is to the cloud: it understands requests, has effects, asks to be woken, and calls its
//! neighbours. DynamoDB and its streams came first and have an interface of their own; all others live behind this one.

use std::time::Duration;

use serde_json::Value;

use crate::{
    assumptions::Assumptions,
    entropy::Entropy,
    interface::{Call, Quirk, RefuseBefore, SchemaVersionStep, Service, UnixNanos, WireRequest},
    journal::{Journal, RawEntry},
    latency::Cost,
};

pub use crate::interface::{MessageStep, MessageStepKind};

/// One simulated service. Requests and answers are JSON values whatever the wire protocol; the codec is its own.
pub trait SimulatedService: Send {
    /// From an HTTP request to the operation's name (as the SDK calls it) and its input. Which operations exist is decided here.
    ///
    /// # Errors
    /// What the service answers to a request that is no operation of its own.
    fn decode(&self, wire: &WireRequest) -> Result<Decoded, ServiceError>;

    /// From an answer or an error to an HTTP response. `request_id` is fresh for each call.
    fn encode(&self, operation: &str, result: &Result<Answer, ServiceError>, request_id: &str) -> Encoded;

    /// What faults, the journal and the latency model need to know of a call before it runs.
    fn shape(&self, operation: &str, request: &Value) -> CallShape;

    /// The call takes effect now. A service that cannot answer yet (a long poll) keeps `context.call_sequence` and answers
    /// later through [`ServiceContext::complete`].
    fn execute(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: Value) -> Execution;

    /// A time that this service asked for through [`ServiceContext::wake_at`] has come.
    fn wake(&mut self, context: &mut ServiceContext<'_>, token: u64);

    /// A neighbour answered what was asked through [`ServiceContext::request`].
    fn answered(&mut self, context: &mut ServiceContext<'_>, token: u64, answer: InternalAnswer);

    /// The error by which this service says an injected refusal.
    fn refusal(&self, refusal: RefuseBefore, call: &Call) -> ServiceError;

    /// Everything that it holds, for judging afterwards: plain JSON, ordered.
    fn inspect(&self) -> Value;

    /// All messages or records that lie in one stream, topic or queue, in order, readable yet or not. Empty where the
    /// service keeps none, or has no such place.
    fn contents(&self, _place: &str) -> Vec<HeldMessage> {
        Vec::new()
    }
}

/// A message or record as it lies in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldMessage {
    /// Where in the place it lies: the shard of a stream.
    pub place: String,
    /// Sequence number of a record; id of a message.
    pub message_id: String,
    /// Partition key or message group.
    pub key: String,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub operation: String,
    pub request: Value,
}

/// How a call looks from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct CallShape {
    /// `place/key`: `stream/partition-key` for each record put, `stream/shard` for reads, `queue` or `queue/message-id`,
    /// `topic/key`, `function`, `registry` or `registry/schema`.
    pub keys: Vec<String>,
    pub is_write: bool,
    /// The class and size by which the latency model prices it.
    pub cost: Cost,
}

/// What became of an execution.
#[derive(Clone, Debug, PartialEq)]
pub enum Execution {
    Answer(Result<Answer, ServiceError>),
    /// The call stays open until [`ServiceContext::complete`].
    Wait,
}

impl From<Result<Value, ServiceError>> for Execution {
    fn from(result: Result<Value, ServiceError>) -> Self {
        Execution::Answer(result.map(Answer::from))
    }
}

/// A success.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub body: Value,
    /// Beyond those of the codec; only protocols that carry results in headers need them.
    pub headers: Vec<(String, String)>,
}

impl From<Value> for Answer {
    fn from(body: Value) -> Self {
        Self { body, headers: Vec::new() }
    }
}

/// An error as a service gives it, before it is written in the service's protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    /// HTTP status.
    pub status: u16,
    /// Without namespace.
    pub code: String,
    pub message: String,
    /// The code of the older query protocol, where the SDK matches that one (SQS).
    pub query_code: Option<&'static str>,
}

impl ServiceError {
    /// An error of status 400.
    pub fn client(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into(), query_code: None }
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn with_query_code(mut self, code: &'static str) -> Self {
        self.query_code = Some(code);
        self
    }
}

/// An HTTP response without what all responses share (date, request id).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The circumstances under which a service acts.
pub struct ServiceContext<'a> {
    pub now: UnixNanos,
    /// The call that is executed; 0 where the service acts by itself.
    pub call_sequence: u64,
    /// Host that called, or the name of the service that did.
    pub caller: &'a str,
    pub account_id: &'a str,
    pub region: &'a str,
    pub assumptions: &'a Assumptions,
    pub entropy: &'a mut Entropy,
    /// What a fault does to this call beyond refusing, delaying or losing it.
    pub quirks: &'a [Quirk],
    pub(crate) journal: &'a mut Journal,
    pub(crate) errands: &'a mut Vec<Errand>,
}

/// Something that a service wants done.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    Wake { at: UnixNanos, token: u64 },
    Complete { call_sequence: u64, result: Result<Answer, ServiceError> },
    Request(InternalRequest),
}

/// A call from one service to another. It goes the way of every call: faults may befall it (its caller is the asking
/// service's name), the journal keeps it, and the latency model prices it.
#[derive(Clone, Debug, PartialEq)]
pub struct InternalRequest {
    /// Comes back with the answer.
    pub token: u64,
    pub to: Service,
    pub operation: String,
    pub request: Value,
    /// Sent after this time.
    pub delay: Duration,
}

/// How an internal call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum InternalAnswer {
    Success(Value),
    Error {
        status: u16,
        code: String,
        message: String,
    },
    /// The answer was lost; the call may have had its effect.
    NoAnswer,
}

impl ServiceContext<'_> {
    /// Notes a step of a message in the journal of truth.
    pub fn note(&mut self, step: MessageStep) {
        if self.journal.keeps() {
            self.journal.push(RawEntry::Message(Box::new(step)));
        }
    }

    /// Notes a step of a schema version in the journal of truth.
    pub fn note_schema_version(&mut self, step: SchemaVersionStep) {
        if self.journal.keeps() {
            self.journal.push(RawEntry::SchemaVersion(Box::new(step)));
        }
    }

    /// Asks for [`SimulatedService::wake`] with `token` at a time that is not in the past.
    pub fn wake_at(&mut self, at: UnixNanos, token: u64) {
        self.errands.push(Errand::Wake { at: at.max(self.now), token });
    }

    /// Answers a call that was told to wait.
    pub fn complete(&mut self, call_sequence: u64, result: Result<Answer, ServiceError>) {
        self.errands.push(Errand::Complete { call_sequence, result });
    }

    /// Calls a neighbour; the answer comes to [`SimulatedService::answered`].
    pub fn request(&mut self, request: InternalRequest) {
        self.errands.push(Errand::Request(request));
    }
}
