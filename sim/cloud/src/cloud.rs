//! The mailbox: calls arrive, wait, take effect and are answered, each at its time and in order.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    assumptions::Assumptions,
    dynamodb::{
        DynamoDb, DynamoDbConfig, Operation, Prepared,
        context::{Context, Deferred},
        errors::DynamodbError,
        request::TransactWrite,
    },
    entropy::Entropy,
    faults,
    glue::GlueConfig,
    interface::{
        AnswerFate, Call, CallHook, CallOutcome, CallPlan, EntryFailureCode, Output, Quirk, RefuseBefore, RequestId,
        Service, UnixNanos, WireRequest, WireResponse,
    },
    internal::{Outcome, Reply, Requester, WAITED_FOR_AN_ANSWER},
    journal::{Journal, RawEntry},
    kinesis::KinesisConfig,
    lambda::LambdaConfig,
    latency::{Cost, LatencyModel},
    service::{Answer, CallShape, Errand, Execution, InternalAnswer, InternalRequest, ServiceError, SimulatedService},
    services,
    sns::SnsConfig,
    sqs::SqsConfig,
    streams::api::StreamsOperation,
    wire::{self, Rejection, ResponseHead, json::Json},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloudConfig {
    pub seed: u64,
    pub account_id: String,
    pub region: String,
    pub latency: LatencyModel,
    pub assumptions: Assumptions,
    pub keep_journal: bool,
    /// Requests without an Authorization header are refused; signatures are never verified.
    pub needs_authorization: bool,
    pub dynamodb: DynamoDbConfig,
    pub kinesis: KinesisConfig,
    pub sns: SnsConfig,
    pub sqs: SqsConfig,
    pub lambda: LambdaConfig,
    pub glue: GlueConfig,
}

impl Default for CloudConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            account_id: "000000000000".into(),
            region: "us-east-1".into(),
            latency: LatencyModel::default(),
            assumptions: Assumptions::default(),
            keep_journal: true,
            needs_authorization: true,
            dynamodb: DynamoDbConfig::default(),
            kinesis: KinesisConfig::default(),
            sns: SnsConfig::default(),
            sqs: SqsConfig::default(),
            lambda: LambdaConfig::default(),
            glue: GlueConfig::default(),
        }
    }
}

/// Share of the modelled latency that passes before the effect.
const SHARE_BEFORE_EFFECT: f64 = 0.6;

/// What remains to be done for a call.
#[derive(Debug)]
enum Work {
    Dynamodb(Box<Operation>),
    Streams(StreamsOperation),
    /// A write transaction after its first phase.
    Transaction(TransactWrite, Result<Prepared, DynamodbError>),
    /// An operation of a service behind [`SimulatedService`].
    Service {
        request: serde_json::Value,
        shape: CallShape,
    },
    /// What such a service found wrong with a request before it was an operation.
    Misfit(ServiceError),
    Rejected(Rejection),
    Refused(RefuseBefore),
}

#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) requester: Requester,
    pub(crate) call: Call,
    plan: CallPlan,
    work: Work,
    cost: Cost,
    service_time: Duration,
}

#[derive(Debug)]
enum Event {
    Begin(Box<Pending>),
    Effect(Box<Pending>),
    Output(Output),
    Deferred(Box<Deferred>),
    /// A service asked to be woken.
    Wake {
        service: Service,
        token: u64,
    },
    /// A service calls another.
    Request {
        from: Service,
        request: InternalRequest,
    },
    /// … and is answered.
    Answered {
        to: Service,
        token: u64,
        answer: InternalAnswer,
    },
}

#[derive(Debug)]
struct Scheduled {
    due: UnixNanos,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// What an effect gives back: the result, and whether a write of it is in storage.
struct Effect {
    result: Outcome,
    applied: bool,
}

/// The simulated AWS of one account and region.
pub struct Cloud {
    config: CloudConfig,
    hook: Box<dyn CallHook>,
    entropy: Entropy,
    dynamodb: DynamoDb,
    journal: Journal,
    mailbox: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    calls: u64,
    deferred: Vec<(UnixNanos, Deferred)>,
    services: BTreeMap<Service, Box<dyn SimulatedService>>,
    errands: Vec<Errand>,
    /// Calls that took effect and wait for their service to complete them, by sequence.
    waiting: BTreeMap<u64, Pending>,
    /// Outputs of what was due before a request arrived, waiting for the next [`Cloud::advance`].
    ready: Vec<Output>,
    /// The second that the last answer's date belongs to, and that date.
    date: (u64, Arc<str>),
}

impl Cloud {
    pub fn new(config: CloudConfig, hook: Box<dyn CallHook>) -> Self {
        Self {
            entropy: Entropy::new(config.seed),
            dynamodb: DynamoDb::new(config.dynamodb.clone(), config.account_id.clone(), config.region.clone()),
            journal: Journal::new(config.keep_journal),
            mailbox: BinaryHeap::new(),
            scheduled: 0,
            calls: 0,
            deferred: Vec::new(),
            services: services::all(&config),
            errands: Vec::new(),
            waiting: BTreeMap::new(),
            ready: Vec::new(),
            date: (0, wire::http_date(UnixNanos(0)).into()),
            hook,
            config,
        }
    }

    /// Puts another service behind an endpoint: one of a stranger's own, or a scripted one for tests. DynamoDB and its
    /// streams cannot be replaced, since they stand behind an interface of their own.
    pub fn install(&mut self, service: Service, simulated: Box<dyn SimulatedService>) {
        self.services.insert(service, simulated);
    }

    pub fn config(&self) -> &CloudConfig {
        &self.config
    }

    /// Takes a request in. Nothing comes out before [`Cloud::advance`].
    pub fn handle(&mut self, now: UnixNanos, request: RequestId, wire: WireRequest) {
        // What was due before this request arrived happens before it, however late the shell is.
        self.run_until(now);
        let (operation, work) = self.decode(&wire);
        let call = self.describe(now, wire, operation, &work);
        self.admit(now, Requester::Wire(request), call, work);
    }

    /// Lets a decoded call in: asks the hook, and starts it.
    fn admit(&mut self, now: UnixNanos, requester: Requester, call: Call, work: Work) {
        let mut plan = self.hook.on_call(&call);
        let cost = match &work {
            Work::Dynamodb(operation) => operation.cost(),
            Work::Streams(_) => Cost { class: "stream-read", items: 1 },
            Work::Service { shape, .. } => shape.cost,
            _ => Cost { class: "read-eventual", items: 1 },
        };
        if plan.refuse == Some(RefuseBefore::PartialBatch) && matches!(work, Work::Service { .. }) {
            plan.refuse = None;
            plan.quirks.push(Quirk::FailEntries {
                first: 1,
                count: usize::MAX,
                code: EntryFailureCode::Throttled,
                applied: false,
            });
        }
        let work = match plan.refuse {
            Some(RefuseBefore::PartialBatch) if faults::is_batch(&call) => work,
            Some(RefuseBefore::PartialBatch) => Work::Refused(RefuseBefore::ThrottleKeyRange),
            Some(refusal) => Work::Refused(refusal),
            None => work,
        };
        let delay = plan.delay_before;
        let pending = Box::new(Pending { requester, call, plan, work, cost, service_time: Duration::ZERO });
        if delay.is_zero() {
            self.begin(now, pending);
        } else {
            self.schedule(now.plus(delay), Event::Begin(pending));
        }
    }

    /// When [`Cloud::advance`] has something to do next.
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        if !self.ready.is_empty() {
            return Some(UnixNanos(0));
        }
        self.mailbox.peek().map(|Reverse(next)| next.due)
    }

    /// Everything due at or before `now`, in order.
    pub fn advance(&mut self, now: UnixNanos) -> Vec<Output> {
        self.run_until(now);
        std::mem::take(&mut self.ready)
    }

    fn run_until(&mut self, now: UnixNanos) {
        while self.mailbox.peek().is_some_and(|Reverse(next)| next.due <= now) {
            let Some(Reverse(next)) = self.mailbox.pop() else { break };
            match next.event {
                Event::Begin(pending) => self.begin(next.due, pending),
                Event::Effect(pending) => self.take_effect(next.due, *pending),
                Event::Output(output) => self.ready.push(output),
                Event::Deferred(deferred) => self.run_deferred(next.due, *deferred),
                Event::Wake { service, token } => {
                    self.with_service(next.due, service, (None, &[]), |service, context| service.wake(context, token));
                }
                Event::Request { from, request } => self.call_internally(next.due, from, request),
                Event::Answered { to, token, answer } => {
                    self.with_service(next.due, to, (None, &[]), |service, context| {
                        service.answered(context, token, answer)
                    });
                }
            }
        }
    }

    fn schedule(&mut self, due: UnixNanos, event: Event) {
        self.scheduled += 1;
        self.mailbox.push(Reverse(Scheduled { due, order: self.scheduled, event }));
    }

    /// The operation's name as the call's target has it, and what is to be done.
    fn decode(&self, wire: &WireRequest) -> (String, Work) {
        if let Some(service) = self.services.get(&wire.service) {
            if self.config.needs_authorization && wire::needs_signature(wire) {
                let error = ServiceError::client("MissingAuthenticationToken", "Missing Authentication Token");
                return (String::new(), Work::Misfit(error.with_status(403)));
            }
            return match service.decode(wire) {
                Ok(decoded) => {
                    let shape = service.shape(&decoded.operation, &decoded.request);
                    (decoded.operation, Work::Service { request: decoded.request, shape })
                }
                Err(error) => (String::new(), Work::Misfit(error)),
            };
        }
        let target = wire::header(&wire.headers, "x-amz-target").unwrap_or_default();
        let operation = target.split_once('.').map_or("", |(_, name)| name).to_owned();
        let work = match wire::operation(wire, &self.config.region, self.config.needs_authorization) {
            Ok(name) => self.decode_json(wire.service, name, &wire.body),
            Err(rejection) => Work::Rejected(rejection),
        };
        (operation, work)
    }

    fn decode_json(&self, service: Service, name: &str, body: &[u8]) -> Work {
        let rejected = |error: DynamodbError| Work::Rejected(Rejection::Error(error));
        let json = match Json::parse(body) {
            Ok(json @ Json::Object(_)) => json,
            _ => return rejected(DynamodbError::serialization("")),
        };
        if self.config.assumptions.unknown_members_refused
            && let Err(error) = wire::check_members(name, &json)
        {
            return rejected(error.into());
        }
        let unknown = || DynamodbError::UnknownOperation { message: String::new() };
        match service {
            Service::DynamodbStreams => match StreamsOperation::parse(name, &json) {
                Some(Ok(operation)) => Work::Streams(operation),
                Some(Err(error)) => rejected(error),
                None => rejected(unknown()),
            },
            _ => match Operation::parse(name, &json) {
                Some(Ok(operation)) => Work::Dynamodb(Box::new(operation)),
                Some(Err(error)) => rejected(error),
                None => rejected(unknown()),
            },
        }
    }

    fn describe(&mut self, now: UnixNanos, wire: WireRequest, operation: String, work: &Work) -> Call {
        let mut call = self.describe_work(now, wire.caller, wire.service, operation, work);
        call.attempt = wire::header(&wire.headers, "amz-sdk-request")
            .and_then(|value| value.split(';').find_map(|part| part.trim().strip_prefix("attempt="))?.parse().ok());
        call.invocation_id = wire::header(&wire.headers, "amz-sdk-invocation-id").map(str::to_owned);
        call
    }

    fn describe_work(
        &mut self,
        now: UnixNanos,
        caller: String,
        service: Service,
        operation: String,
        work: &Work,
    ) -> Call {
        self.calls += 1;
        let (keys, is_write, is_transaction, is_eventual_read, client_token) = match work {
            Work::Dynamodb(operation) => (
                self.dynamodb.logical_keys(operation),
                operation.is_write(),
                operation.is_transaction(),
                operation.is_eventual_read(),
                operation.client_token().map(str::to_owned),
            ),
            Work::Streams(operation) => (operation.key().into_iter().collect(), false, false, false, None),
            Work::Service { shape, .. } => (shape.keys.clone(), shape.is_write, false, false, None),
            _ => (Vec::new(), false, false, false, None),
        };
        Call {
            sequence: self.calls,
            at: now,
            caller,
            service,
            operation,
            keys,
            is_write,
            is_transaction,
            is_eventual_read,
            client_token,
            invocation_id: None,
            attempt: None,
        }
    }

    /// The call reaches the service: a transaction takes its locks, everything gets its time.
    fn begin(&mut self, now: UnixNanos, mut pending: Box<Pending>) {
        pending.work = match std::mem::replace(&mut pending.work, Work::Refused(RefuseBefore::Hang)) {
            Work::Dynamodb(operation) => match *operation {
                Operation::TransactWrite(transaction) => {
                    let prepared = self.with_context(now, pending.call.sequence, &pending.plan, |dynamodb, context| {
                        dynamodb.prepare(context, &transaction)
                    });
                    if prepared.is_err() {
                        pending.cost.class = "transact-cancelled";
                    }
                    Work::Transaction(transaction, prepared)
                }
                other => Work::Dynamodb(Box::new(other)),
            },
            work => work,
        };
        pending.service_time = self.draw_latency(&pending.call, pending.cost);
        let before = pending.service_time.mul_f64(SHARE_BEFORE_EFFECT);
        self.schedule(now.plus(before), Event::Effect(pending));
    }

    fn draw_latency(&mut self, call: &Call, cost: Cost) -> Duration {
        let model = &self.config.latency;
        if model.is_constant() {
            return model.duration(cost, 0.5, None);
        }
        let key = call.keys.first().map_or("", String::as_str);
        let fraction = self.entropy.next_fraction("latency", &format!("{}/{key}", call.operation));
        let share = self.config.assumptions.latency_tail_share;
        if fraction < share {
            model.duration(cost, 0.5, Some(fraction / share))
        } else {
            model.duration(cost, ((fraction - share) / (1.0 - share)).clamp(1e-12, 1.0 - 1e-12), None)
        }
    }

    fn with_context<T>(
        &mut self,
        now: UnixNanos,
        call_sequence: u64,
        plan: &CallPlan,
        work: impl FnOnce(&mut DynamoDb, &mut Context<'_>) -> T,
    ) -> T {
        let mut context = Context {
            now,
            call_sequence,
            region: &self.config.region,
            assumptions: &self.config.assumptions,
            entropy: &mut self.entropy,
            journal: &mut self.journal,
            deferred: &mut self.deferred,
            staleness: plan.staleness,
            partial_batch: plan.refuse == Some(RefuseBefore::PartialBatch),
            quirks: &plan.quirks,
        };
        let result = work(&mut self.dynamodb, &mut context);
        if !self.deferred.is_empty() {
            for (due, deferred) in std::mem::take(&mut self.deferred) {
                self.schedule(due, Event::Deferred(Box::new(deferred)));
            }
        }
        result
    }

    fn run_deferred(&mut self, now: UnixNanos, deferred: Deferred) {
        self.with_context(now, 0, &CallPlan::default(), |dynamodb, context| dynamodb.run_deferred(context, deferred));
    }

    fn take_effect(&mut self, now: UnixNanos, mut pending: Pending) {
        let work = std::mem::replace(&mut pending.work, Work::Refused(RefuseBefore::Hang));
        let effect = match work {
            Work::Refused(RefuseBefore::Hang) => return self.finish_silently(now, pending, false),
            Work::Refused(RefuseBefore::Reset) => return self.finish_silently(now, pending, true),
            Work::Refused(RefuseBefore::ServiceUnavailableHtml) => {
                Effect { result: Outcome::UnavailableHtml, applied: false }
            }
            Work::Refused(refusal) => Effect { result: self.refusal(refusal, &pending.call), applied: false },
            Work::Rejected(rejection) => Effect { result: Outcome::Rejected(rejection), applied: false },
            Work::Misfit(error) => Effect { result: Outcome::Service(Err(error)), applied: false },
            Work::Service { request, .. } => match self.execute_service(now, &pending, request) {
                Execution::Answer(result) => {
                    Effect { applied: pending.call.is_write && result.is_ok(), result: Outcome::Service(result) }
                }
                Execution::Wait => {
                    self.waiting.insert(pending.call.sequence, pending);
                    return;
                }
            },
            work => {
                let result = self.execute(now, &pending, work);
                Effect { applied: pending.call.is_write && result.is_ok(), result: Outcome::Dynamodb(result) }
            }
        };
        self.finish(now, pending, effect);
    }

    /// The error that stands for a refusal, in the words of the service that was called.
    fn refusal(&self, refusal: RefuseBefore, call: &Call) -> Outcome {
        match self.services.get(&call.service) {
            Some(service) => Outcome::Service(Err(service.refusal(refusal, call))),
            None => {
                let arn = faults::resource(call, &self.dynamodb);
                Outcome::Dynamodb(Err(faults::refusal(refusal, call, arn)))
            }
        }
    }

    fn execute_service(&mut self, now: UnixNanos, pending: &Pending, request: serde_json::Value) -> Execution {
        let call = &pending.call;
        let execute = |service: &mut dyn SimulatedService, context: &mut crate::service::ServiceContext<'_>| {
            service.execute(context, &call.operation, request)
        };
        self.with_service(now, call.service, (Some(call), &pending.plan.quirks), execute).unwrap_or_else(|| {
            Execution::Answer(Err(ServiceError::client("ServiceUnavailable", "not simulated").with_status(503)))
        })
    }

    /// Lets a service act, then does what it asked for. `None` if there is no such service.
    fn with_service<T>(
        &mut self,
        now: UnixNanos,
        service: Service,
        (call, quirks): (Option<&Call>, &[Quirk]),
        act: impl FnOnce(&mut dyn SimulatedService, &mut crate::service::ServiceContext<'_>) -> T,
    ) -> Option<T> {
        let simulated = self.services.get_mut(&service)?;
        let mut context = crate::service::ServiceContext {
            now,
            call_sequence: call.map_or(0, |call| call.sequence),
            caller: call.map_or(service.name(), |call| &call.caller),
            account_id: &self.config.account_id,
            region: &self.config.region,
            assumptions: &self.config.assumptions,
            entropy: &mut self.entropy,
            quirks,
            journal: &mut self.journal,
            errands: &mut self.errands,
        };
        let result = act(simulated.as_mut(), &mut context);
        self.run_errands(now, service);
        Some(result)
    }

    fn run_errands(&mut self, now: UnixNanos, from: Service) {
        for errand in std::mem::take(&mut self.errands) {
            match errand {
                Errand::Wake { at, token } => self.schedule(at, Event::Wake { service: from, token }),
                Errand::Request(request) => {
                    self.schedule(now.plus(request.delay), Event::Request { from, request });
                }
                Errand::Complete { call_sequence, result } => {
                    // A call that is not waiting was completed before: services answer each once.
                    let Some(pending) = self.waiting.remove(&call_sequence) else { continue };
                    let applied = pending.call.is_write && result.is_ok();
                    self.finish(now, pending, Effect { result: Outcome::Service(result), applied });
                }
            }
        }
    }

    fn call_internally(&mut self, now: UnixNanos, from: Service, asked: InternalRequest) {
        let InternalRequest { token, to, operation, request, .. } = asked;
        let work = match self.services.get(&to) {
            Some(service) => Work::Service { shape: service.shape(&operation, &request), request },
            None => self.decode_json(to, &operation, request.to_string().as_bytes()),
        };
        let call = self.describe_work(now, from.name().to_owned(), to, operation, &work);
        self.admit(now, Requester::Service { from, token }, call, work);
    }

    fn execute(&mut self, now: UnixNanos, pending: &Pending, work: Work) -> Result<Vec<u8>, DynamodbError> {
        let call = &pending.call;
        self.with_context(now, call.sequence, &pending.plan, |dynamodb, context| match work {
            Work::Dynamodb(operation) => dynamodb.execute(context, *operation),
            Work::Transaction(transaction, prepared) => dynamodb.commit(context, &transaction, prepared?),
            Work::Streams(operation) => {
                crate::streams::api::execute(&operation, dynamodb.streams_mut(), context, &call.caller)
            }
            Work::Rejected(_) | Work::Refused(_) | Work::Service { .. } | Work::Misfit(_) => {
                Err(DynamodbError::InternalServerError)
            }
        })
    }

    fn response_head(&mut self, now: UnixNanos, call_sequence: u64) -> ResponseHead {
        let second = now.0 / 1_000_000_000;
        if self.date.0 != second {
            self.date = (second, wire::http_date(now).into());
        }
        ResponseHead { date: self.date.1.clone(), seed: self.config.seed, call_sequence }
    }

    fn finish_silently(&mut self, now: UnixNanos, pending: Pending, reset: bool) {
        if reset {
            self.schedule_reply(now, &pending, Reply::Reset);
        } else {
            self.schedule_reply(now, &pending, Reply::Never);
        }
        let outcome = CallOutcome {
            at: now,
            status: 0,
            error: None,
            cancellation_codes: Vec::new(),
            applied: false,
            delivered: false,
            modelled_service_ns: nanoseconds(pending.service_time),
        };
        self.record(pending.call, outcome);
    }

    fn finish(&mut self, now: UnixNanos, pending: Pending, effect: Effect) {
        let Effect { result, applied } = effect;
        let cancellation_codes = result.cancellation_codes();
        let result = match pending.plan.answer {
            AnswerFate::InternalServerError => self.refusal(RefuseBefore::InternalServerError, &pending.call),
            _ => result,
        };
        let outcome = CallOutcome {
            at: now,
            status: result.status(),
            cancellation_codes,
            error: result.error_code(),
            applied,
            delivered: matches!(pending.plan.answer, AnswerFate::Deliver | AnswerFate::InternalServerError),
            modelled_service_ns: nanoseconds(pending.service_time),
        };
        let reply = match pending.plan.answer {
            AnswerFate::Deliver | AnswerFate::InternalServerError => self.reply(now, &pending, result),
            AnswerFate::Truncate => match self.reply(now, &pending, result) {
                Reply::Wire(response) => Reply::Truncated(response),
                _ => Reply::Reset,
            },
            AnswerFate::Reset => Reply::Reset,
            AnswerFate::Hang => Reply::Never,
        };
        self.schedule_reply(now, &pending, reply);
        self.record(pending.call, outcome);
    }

    /// The result as its requester wants it: bytes on a wire, or a value.
    fn reply(&mut self, now: UnixNanos, pending: &Pending, result: Outcome) -> Reply {
        if let Requester::Service { .. } = pending.requester {
            return Reply::Internal(result.into_internal_answer());
        }
        let head = self.response_head(now, pending.call.sequence);
        Reply::Wire(match result {
            Outcome::Dynamodb(Ok(body)) => head.success(body),
            Outcome::Dynamodb(Err(error)) => head.error(&error),
            Outcome::Rejected(rejection) => head.rejection(&rejection),
            Outcome::UnavailableHtml => head.service_unavailable_html(),
            Outcome::Service(result) => self.encode(&head, &pending.call, &result),
        })
    }

    fn encode(&self, head: &ResponseHead, call: &Call, result: &Result<Answer, ServiceError>) -> WireResponse {
        match self.services.get(&call.service) {
            Some(service) => head.encoded(service.encode(&call.operation, result, &head.request_id())),
            None => head.service_unavailable_html(),
        }
    }

    fn schedule_reply(&mut self, now: UnixNanos, pending: &Pending, reply: Reply) {
        let rest = pending.service_time.saturating_sub(pending.service_time.mul_f64(SHARE_BEFORE_EFFECT));
        let at = now.plus(rest).plus(pending.plan.delay_after);
        match pending.requester {
            Requester::Wire(request) => {
                let output = match reply {
                    Reply::Wire(response) => Output::Reply { request, response },
                    Reply::Truncated(response) => Output::Truncated { request, response },
                    Reply::Reset => Output::Reset { request },
                    Reply::Internal(_) | Reply::Never => return,
                };
                self.schedule(at, Event::Output(output));
            }
            Requester::Service { from, token } => {
                let (at, answer) = match reply {
                    Reply::Internal(answer) => (at, answer),
                    Reply::Never => (at.plus(WAITED_FOR_AN_ANSWER), InternalAnswer::NoAnswer),
                    Reply::Wire(_) | Reply::Truncated(_) | Reply::Reset => (at, InternalAnswer::NoAnswer),
                };
                self.schedule(at, Event::Answered { to: from, token, answer });
            }
        }
    }

    fn record(&mut self, call: Call, outcome: CallOutcome) {
        self.hook.on_outcome(&call, &outcome);
        if self.journal.keeps() {
            self.journal.push(RawEntry::Call(Box::new((call, outcome))));
        }
    }

    /// Creates a table without a network, from the JSON of a CreateTable request.
    ///
    /// # Errors
    /// What the service would answer: a contradictory definition, or a table that exists.
    pub fn create_table_now(
        &mut self,
        now: UnixNanos,
        create_table_json: &serde_json::Value,
    ) -> Result<(), DynamodbError> {
        let text = create_table_json.to_string();
        let json = Json::parse(text.as_bytes()).map_err(|_| DynamodbError::serialization(""))?;
        wire::check_members("CreateTable", &json)?;
        let operation = Operation::parse("CreateTable", &json)
            .unwrap_or_else(|| Err(DynamodbError::UnknownOperation { message: String::new() }))?;
        self.with_context(now, 0, &CallPlan::default(), |dynamodb, context| dynamodb.execute(context, operation))?;
        Ok(())
    }

    /// Calls a service without a network, a fault or a delay: for set-up, and for what operators do.
    ///
    /// # Errors
    /// What the service would answer; a call that would have to wait is an error too.
    pub fn call_now(
        &mut self,
        now: UnixNanos,
        service: Service,
        operation: &str,
        request: serde_json::Value,
    ) -> Result<serde_json::Value, ServiceError> {
        self.call_now_with_quirks(now, service, operation, request, &[])
    }

    /// As [`Cloud::call_now`], with what is to go wrong at it. DynamoDB knows no quirks.
    ///
    /// # Errors
    /// As [`Cloud::call_now`].
    pub fn call_now_with_quirks(
        &mut self,
        now: UnixNanos,
        service: Service,
        operation: &str,
        request: serde_json::Value,
        quirks: &[Quirk],
    ) -> Result<serde_json::Value, ServiceError> {
        if service == Service::Dynamodb {
            return self.dynamodb_now(now, operation, &request);
        }
        let execute = |simulated: &mut dyn SimulatedService, context: &mut crate::service::ServiceContext<'_>| {
            simulated.execute(context, operation, request)
        };
        match self.with_service(now, service, (None, quirks), execute) {
            Some(Execution::Answer(result)) => result.map(|answer| answer.body),
            Some(Execution::Wait) => Err(ServiceError::client("WouldWait", "the call has to wait for something")),
            None => Err(ServiceError::client("UnknownService", format!("{service} is not behind this interface"))),
        }
    }

    fn dynamodb_now(
        &mut self,
        now: UnixNanos,
        operation: &str,
        request: &serde_json::Value,
    ) -> Result<serde_json::Value, ServiceError> {
        let result = match self.decode_json(Service::Dynamodb, operation, request.to_string().as_bytes()) {
            Work::Dynamodb(operation) => self
                .with_context(now, 0, &CallPlan::default(), |dynamodb, context| dynamodb.execute(context, *operation)),
            Work::Rejected(Rejection::Error(error)) => Err(error),
            _ => Err(DynamodbError::InternalServerError),
        };
        match Outcome::Dynamodb(result).into_internal_answer() {
            InternalAnswer::Success(body) => Ok(body),
            InternalAnswer::Error { status, code, message } => {
                Err(ServiceError::client(code, message).with_status(status))
            }
            InternalAnswer::NoAnswer => Err(ServiceError::client("InternalServerError", "no answer").with_status(500)),
        }
    }

    /// What a service holds, as plain JSON; null for DynamoDB, whose tables [`Cloud::scan_now`] shows.
    pub fn inspect(&self, service: Service) -> serde_json::Value {
        self.services.get(&service).map_or(serde_json::Value::Null, |service| service.inspect())
    }

    /// All records that a Kinesis stream still keeps, shard by shard and in order, readable yet or not: the shard, the
    /// sequence number, the partition key and the data of each.
    pub fn records_now(&self, stream: &str) -> Vec<(String, String, String, Vec<u8>)> {
        let held = self.services.get(&Service::Kinesis).map(|kinesis| kinesis.contents(stream)).unwrap_or_default();
        held.into_iter().map(|record| (record.place, record.message_id, record.key, record.body)).collect()
    }

    pub fn take_journal(&mut self) -> Vec<crate::JournalEntry> {
        self.journal.take()
    }

    pub fn journal(&self) -> &[crate::JournalEntry] {
        self.journal.entries()
    }

    /// DynamoDB JSON of all items of a table, in the order of their keys; empty for a table that does not exist.
    pub fn scan_now(&self, table: &str) -> Vec<serde_json::Value> {
        self.dynamodb.scan_now(table)
    }

    /// All records that the stream of a table still keeps, visible or not yet, in order, as GetRecords shows them.
    pub fn stream_now(&self, table: &str) -> Vec<serde_json::Value> {
        self.dynamodb.stream_now(table)
    }

    /// An operator changes storage behind the API: `key` is a DynamoDB JSON key, no image means deletion. The journal
    /// notes it under call 0; neither the stream nor an index hears of it.
    ///
    /// # Errors
    /// If the table does not exist, or the key or the image is no item of it.
    pub fn tamper(
        &mut self,
        now: UnixNanos,
        table: &str,
        key: &serde_json::Value,
        new_image: Option<serde_json::Value>,
    ) -> Result<(), DynamodbError> {
        let parse = |value: &serde_json::Value| {
            let text = value.to_string();
            let json = Json::parse(text.as_bytes()).map_err(|_| DynamodbError::serialization(""))?;
            crate::dynamodb::value::item_from_json(&json)
        };
        let key = parse(key)?;
        let image = new_image.as_ref().map(parse).transpose()?.map(Arc::new);
        self.with_context(now, 0, &CallPlan::default(), |dynamodb, context| {
            let table = dynamodb.table_mut(table)?;
            let key = table.exact_key(&key)?;
            table.tamper(context, &key, image);
            Ok(())
        })
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
