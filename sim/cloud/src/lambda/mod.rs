//! Lambda: functions that are invoked through the runtime API, and event source mappings that invoke them.
//!
//! **Execution environments** are whoever calls the runtime API. A real environment's address decides whose it is; here
//! the path says so, `/functions/NAME/2018-06-01/runtime/…`, so that `AWS_LAMBDA_RUNTIME_API=host/functions/NAME` points an
//! unchanged runtime client at it; the header `x-nexus-function` and a host named `NAME.runtime.lambda.…` do the same. See the module `functions`.
//!
//! **Mappings** poll their source and invoke their function by calls of the cloud like every other: their caller is
//! `lambda`, faults find invocations under the key `function/source` (the name of the table, stream or queue), and the
//! journal keeps them. Shards, lanes and what a function's answer means: `stream`, `lane`, `delivery`; queues: `queue`.
//!
//! **How long it takes** from a change to its function, measured against the published percentiles of end-to-end latency
//! (p50/p90/p99 in milliseconds). The parts are independent:
//! - DynamoDB streams (213/341/552): the stream's own lag, half a poll interval on the average (a read follows the answer
//!   to the one before after `dynamodb_poll_interval_ms`), the read, and the invocation (class `lambda-invoke`).
//! - Kinesis (627/965/1580): likewise, with `kinesis_poll_interval_ms` between reads that find nothing.
//! - Queues (16/34/105): pollers already wait, so that the end of the long poll (class `sqs-receive`) and the invocation
//!   are all there is.
//! - Topics (73/125/225): nearly all of it is the topic's own delivery; what an asynchronous event waits in its queue
//!   (`lambda_async_p50_ms`, `lambda_async_p99_ms`) is little beside it.
//!
//! **Memory**: per shard at most two batches for each lane and one page of reading; per queue one batch for each poller.
//! Nothing that is done with is kept.

mod api;
mod codec;
mod delivery;
mod desk;
mod destination;
mod errors;
mod filter;
mod functions;
mod invocation;
mod lane;
mod mapping;
mod members;
mod profile;
mod queue;
mod records;
mod response;
mod settings;
mod shard;
mod source;
mod stream;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    interface::{Call, RefuseBefore, WireRequest},
    latency::{Cost, lognormal_of_two_ms, nanoseconds},
    service::{
        Answer, CallShape, Decoded, Encoded, Execution, InternalAnswer, ServiceContext, ServiceError, SimulatedService,
    },
};
use desk::{Desk, Purpose, Purposes};
use errors::ThrottleReason;
use functions::Functions;
use mapping::Mapping;

/// The largest payload of a synchronous invocation, and of a response.
const MAX_SYNCHRONOUS_BYTES: usize = 6 * 1024 * 1024;
/// The largest payload of an asynchronous invocation.
const MAX_ASYNCHRONOUS_BYTES: usize = 1024 * 1024;

/// The size and pace of the service. The defaults are those of the real one where these are known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LambdaConfig {
    /// Concurrent invocations of all functions without reserved concurrency.
    pub account_concurrency: u32,
    /// How long an invocation waits for an idle environment before it is throttled; the place of a cold start.
    pub environment_wait_ms: u64,
    /// How long mappings are Creating, Updating, Enabling, Disabling or Deleting.
    pub mapping_settle_ms: u64,
    /// Between two reads of a shard of a table's stream: about four a second.
    pub dynamodb_poll_interval_ms: u64,
    /// Between two reads of a shard of a Kinesis stream that had nothing more to give: one a second.
    pub kinesis_poll_interval_ms: u64,
    /// How often mappings look for new shards, besides at the end of each shard.
    pub discovery_interval_ms: u64,
    /// Pollers of a queue at the start and at rest.
    pub queue_pollers: u32,
    pub queue_pollers_added_per_minute: u32,
    pub queue_pollers_most: u32,
    /// The first wait after a function's error; it doubles with each failure in a row.
    pub error_backoff_ms: u64,
    /// The first wait after an invocation that was throttled or whose outcome is unknown.
    pub throttle_backoff_ms: u64,
    pub backoff_max_ms: u64,
}

impl Default for LambdaConfig {
    fn default() -> Self {
        Self {
            account_concurrency: 1_000,
            environment_wait_ms: 250,
            mapping_settle_ms: 1_000,
            dynamodb_poll_interval_ms: 250,
            kinesis_poll_interval_ms: 1_000,
            discovery_interval_ms: 10_000,
            queue_pollers: 5,
            queue_pollers_added_per_minute: 300,
            queue_pollers_most: 1_000,
            error_backoff_ms: 1_000,
            throttle_backoff_ms: 250,
            backoff_max_ms: 60_000,
        }
    }
}

pub struct Lambda {
    config: LambdaConfig,
    functions: Functions,
    mappings: BTreeMap<Arc<str>, Mapping>,
    purposes: Purposes,
}

impl Lambda {
    pub fn new(config: LambdaConfig) -> Self {
        Self {
            functions: Functions::new(config.clone()),
            config,
            mappings: BTreeMap::new(),
            purposes: Purposes::default(),
        }
    }

    /// Acts with a desk; the purposes are lent to it meanwhile.
    fn at_desk<T>(
        &mut self,
        context: &mut ServiceContext<'_>,
        act: impl FnOnce(&mut Self, &mut Desk<'_, '_>) -> T,
    ) -> T {
        let mut purposes = std::mem::take(&mut self.purposes);
        let result = act(self, &mut Desk { context, purposes: &mut purposes });
        self.purposes = purposes;
        result
    }

    fn run(&mut self, desk: &mut Desk<'_, '_>, operation: &str, request: &Value) -> Execution {
        let is_invocation = operation == "Invoke" || codec::is_runtime(operation);
        if !is_invocation {
            return self.control(desk, operation, request).into();
        }
        let name = match members::required_string(request, "FunctionName").and_then(api::function_name) {
            Ok(name) => name,
            Err(error) => return Execution::Answer(Err(error)),
        };
        match operation {
            "Invoke" => self.functions.invoke(desk, &name, request),
            "NextInvocation" => {
                let environment = request["Environment"].as_str().map(str::to_owned);
                self.functions.next(desk, &name, environment)
            }
            "InitializationError" => self.functions.initialisation_failed(desk, &name, request),
            _ => self.functions.answered(desk, &name, request, operation == "InvocationError"),
        }
    }

    fn settle(&mut self, desk: &mut Desk<'_, '_>, uuid: &str) {
        if self.mappings.get_mut(uuid).is_some_and(|mapping| mapping.settle(desk)) {
            self.mappings.remove(uuid);
        }
    }

    /// The mapping that is meant, unless it has begun anew or gone since.
    fn current_mapping(&mut self, uuid: &str, generation: u32) -> Option<&mut Mapping> {
        self.mappings.get_mut(uuid).filter(|mapping| mapping.profile.generation == generation)
    }
}

/// What an asynchronous event waits before its first try.
fn async_lag(desk: &mut Desk<'_, '_>, function: &str) -> Duration {
    let (p50, p99) = (desk.context.assumptions.lambda_async_p50_ms, desk.context.assumptions.lambda_async_p99_ms);
    if p50 <= 0.0 {
        return Duration::ZERO;
    }
    let quantile = desk.context.entropy.next_fraction("lambda-async", function);
    nanoseconds(lognormal_of_two_ms(p50, p99, quantile))
}

impl SimulatedService for Lambda {
    fn decode(&self, wire: &WireRequest) -> Result<Decoded, ServiceError> {
        codec::decode(wire)
    }

    fn encode(&self, operation: &str, result: &Result<Answer, ServiceError>, _request_id: &str) -> Encoded {
        codec::encode(operation, result)
    }

    fn shape(&self, operation: &str, request: &Value) -> CallShape {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let function = || text("FunctionName").map(|name| api::function_name(name).unwrap_or_else(|_| name.to_owned()));
        let key = match text("Mapping").map(str::to_owned).or_else(function) {
            Some(key) => Some(key),
            None => text("UUID").and_then(|uuid| self.mappings.get(uuid)).map(|mapping| mapping.profile.key.clone()),
        };
        let class = match operation {
            // An event only goes into a queue; what it waits there is drawn apart.
            "Invoke" if text("InvocationType") == Some("Event") => "lambda-poll",
            "Invoke" => "lambda-invoke",
            operation if codec::is_runtime(operation) => "lambda-poll",
            _ => "control",
        };
        let is_read = operation.starts_with("Get") || operation.starts_with("List") || operation == "NextInvocation";
        CallShape { keys: key.into_iter().collect(), is_write: !is_read, cost: Cost { class, items: 1 } }
    }

    fn execute(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: Value) -> Execution {
        self.at_desk(context, |lambda, desk| lambda.run(desk, operation, &request))
    }

    fn wake(&mut self, context: &mut ServiceContext<'_>, token: u64) {
        let Some(purpose) = self.purposes.take(token) else { return };
        self.at_desk(context, |lambda, desk| match purpose {
            Purpose::Timeout { request_id } => lambda.functions.timed_out(desk, &request_id),
            Purpose::Death { request_id } => lambda.functions.died(desk, &request_id),
            Purpose::PlacementExpired { function, ticket } => {
                lambda.functions.placement_expired(desk, &function, ticket);
            }
            Purpose::Delayed { ticket } => lambda.functions.delay_passed(desk, ticket),
            Purpose::AsyncAttempt { event } => lambda.functions.event_due(desk, event),
            Purpose::Settle { uuid } => lambda.settle(desk, &uuid),
            Purpose::Mapping { uuid, generation, purpose } => {
                if let Some(mapping) = lambda.current_mapping(&uuid, generation) {
                    mapping.woken(desk, purpose);
                }
            }
        });
    }

    fn answered(&mut self, context: &mut ServiceContext<'_>, token: u64, answer: InternalAnswer) {
        let Some(Purpose::Mapping { uuid, generation, purpose }) = self.purposes.take(token) else { return };
        self.at_desk(context, |lambda, desk| {
            if let Some(mapping) = lambda.current_mapping(&uuid, generation) {
                mapping.answered(desk, purpose, answer);
            }
        });
    }

    fn refusal(&self, refusal: RefuseBefore, call: &Call) -> ServiceError {
        let error = match refusal {
            RefuseBefore::ThrottleKeyRange | RefuseBefore::PartialBatch => {
                errors::throttled(ThrottleReason::ReservedConcurrency)
            }
            RefuseBefore::ThrottleAccount => errors::throttled(ThrottleReason::AccountConcurrency),
            RefuseBefore::RequestLimitExceeded => errors::throttled(ThrottleReason::CallerRate),
            RefuseBefore::TransactionConflict | RefuseBefore::TransactionInProgress => {
                errors::conflict("The operation cannot be performed at this time.")
            }
            RefuseBefore::InternalServerError
            | RefuseBefore::ServiceUnavailableHtml
            | RefuseBefore::Reset
            | RefuseBefore::Hang => errors::service("An error occurred and the request cannot be processed."),
        };
        if codec::is_runtime(&call.operation) {
            // The runtime API knows one way to be in trouble.
            return ServiceError::client("InternalServerError", error.message).with_status(500);
        }
        error
    }

    fn inspect(&self) -> Value {
        let mappings = self.mappings.values().map(|mapping| (mapping.profile.key.clone(), mapping.inspect()));
        let mappings: serde_json::Map<String, Value> = mappings.collect();
        json!({"functions": self.functions.inspect(), "mappings": mappings})
    }
}
