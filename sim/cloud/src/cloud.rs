//! The mailbox: calls arrive, wait, take effect and are answered, each at its time and in order.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
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
    interface::{
        AnswerFate, Call, CallHook, CallOutcome, CallPlan, Output, RefuseBefore, RequestId, Service, UnixNanos,
        WireRequest, WireResponse,
    },
    journal::{Journal, RawEntry},
    latency::{Cost, LatencyModel},
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
    Rejected(Rejection),
    Refused(RefuseBefore),
}

#[derive(Debug)]
struct Pending {
    request: RequestId,
    call: Call,
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

/// What an effect gives back: the answer, and whether a write of it is in storage.
struct Effect {
    response: WireResponse,
    error: Option<DynamodbError>,
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
            ready: Vec::new(),
            date: (0, wire::http_date(UnixNanos(0)).into()),
            hook,
            config,
        }
    }

    pub fn config(&self) -> &CloudConfig {
        &self.config
    }

    /// Takes a request in. Nothing comes out before [`Cloud::advance`].
    pub fn handle(&mut self, now: UnixNanos, request: RequestId, wire: WireRequest) {
        // What was due before this request arrived happens before it, however late the shell is.
        self.run_until(now);
        self.calls += 1;
        let work = self.decode(&wire);
        let call = self.describe(now, wire, &work);
        let plan = self.hook.on_call(&call);
        let cost = match &work {
            Work::Dynamodb(operation) => operation.cost(),
            Work::Streams(_) => Cost { class: "stream-read", items: 1 },
            _ => Cost { class: "read-eventual", items: 1 },
        };
        let work = match plan.refuse {
            Some(RefuseBefore::PartialBatch) if faults::is_batch(&call) => work,
            Some(RefuseBefore::PartialBatch) => Work::Refused(RefuseBefore::ThrottleKeyRange),
            Some(refusal) => Work::Refused(refusal),
            None => work,
        };
        let delay = plan.delay_before;
        let pending = Box::new(Pending { request, call, plan, work, cost, service_time: Duration::ZERO });
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
            }
        }
    }

    fn schedule(&mut self, due: UnixNanos, event: Event) {
        self.scheduled += 1;
        self.mailbox.push(Reverse(Scheduled { due, order: self.scheduled, event }));
    }

    fn decode(&self, wire: &WireRequest) -> Work {
        let rejected = |error: DynamodbError| Work::Rejected(Rejection::Error(error));
        let name = match wire::operation(wire, &self.config.region, self.config.needs_authorization) {
            Ok(name) => name,
            Err(rejection) => return Work::Rejected(rejection),
        };
        let json = match Json::parse(&wire.body) {
            Ok(json @ Json::Object(_)) => json,
            _ => return rejected(DynamodbError::serialization("")),
        };
        if self.config.assumptions.unknown_members_refused
            && let Err(error) = wire::check_members(name, &json)
        {
            return rejected(error.into());
        }
        let unknown = || DynamodbError::UnknownOperation { message: String::new() };
        match wire.service {
            Service::Dynamodb => match Operation::parse(name, &json) {
                Some(Ok(operation)) => Work::Dynamodb(Box::new(operation)),
                Some(Err(error)) => rejected(error),
                None => rejected(unknown()),
            },
            Service::DynamodbStreams => match StreamsOperation::parse(name, &json) {
                Some(Ok(operation)) => Work::Streams(operation),
                Some(Err(error)) => rejected(error),
                None => rejected(unknown()),
            },
        }
    }

    fn describe(&self, now: UnixNanos, wire: WireRequest, work: &Work) -> Call {
        let target = wire::header(&wire.headers, "x-amz-target").unwrap_or_default();
        let operation = target.split_once('.').map_or("", |(_, name)| name).to_owned();
        let (keys, is_write, is_transaction, is_eventual_read, client_token) = match work {
            Work::Dynamodb(operation) => (
                self.dynamodb.logical_keys(operation),
                operation.is_write(),
                operation.is_transaction(),
                operation.is_eventual_read(),
                operation.client_token().map(str::to_owned),
            ),
            Work::Streams(operation) => (operation.key().into_iter().collect(), false, false, false, None),
            _ => (Vec::new(), false, false, false, None),
        };
        let attempt = wire::header(&wire.headers, "amz-sdk-request")
            .and_then(|value| value.split(';').find_map(|part| part.trim().strip_prefix("attempt="))?.parse().ok());
        Call {
            sequence: self.calls,
            at: now,
            service: wire.service,
            operation,
            keys,
            is_write,
            is_transaction,
            is_eventual_read,
            client_token,
            invocation_id: wire::header(&wire.headers, "amz-sdk-invocation-id").map(str::to_owned),
            attempt,
            caller: wire.caller,
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
        let head = self.response_head(now, pending.call.sequence);
        let work = std::mem::replace(&mut pending.work, Work::Refused(RefuseBefore::Hang));
        let effect = match work {
            Work::Refused(RefuseBefore::Hang) => return self.finish_silently(now, pending, false),
            Work::Refused(RefuseBefore::Reset) => return self.finish_silently(now, pending, true),
            Work::Refused(RefuseBefore::ServiceUnavailableHtml) => {
                Effect { response: head.service_unavailable_html(), error: None, applied: false }
            }
            Work::Refused(refusal) => {
                let arn = faults::resource(&pending.call, &self.dynamodb);
                let error = faults::refusal(refusal, &pending.call, arn);
                Effect { response: head.error(&error), error: Some(error), applied: false }
            }
            Work::Rejected(rejection) => {
                let error = match &rejection {
                    Rejection::Error(error) => Some(error.clone()),
                    Rejection::Plain { .. } => None,
                };
                Effect { response: head.rejection(&rejection), error, applied: false }
            }
            work => {
                let outcome = self.execute(now, &pending, work);
                match outcome {
                    Ok(body) => Effect { response: head.success(body), error: None, applied: pending.call.is_write },
                    Err(error) => Effect { response: head.error(&error), error: Some(error), applied: false },
                }
            }
        };
        self.finish(now, pending, effect);
    }

    fn execute(&mut self, now: UnixNanos, pending: &Pending, work: Work) -> Result<Vec<u8>, DynamodbError> {
        let call = &pending.call;
        self.with_context(now, call.sequence, &pending.plan, |dynamodb, context| match work {
            Work::Dynamodb(operation) => dynamodb.execute(context, *operation),
            Work::Transaction(transaction, prepared) => dynamodb.commit(context, &transaction, prepared?),
            Work::Streams(operation) => {
                crate::streams::api::execute(&operation, dynamodb.streams_mut(), context, &call.caller)
            }
            Work::Rejected(_) | Work::Refused(_) => Err(DynamodbError::InternalServerError),
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
            self.schedule_output(now, &pending, Output::Reset { request: pending.request });
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
        let Effect { response, error, applied } = effect;
        let request = pending.request;
        let cancellation_codes = error.as_ref().map(DynamodbError::cancellation_codes).unwrap_or_default();
        let (response, error) = match pending.plan.answer {
            AnswerFate::InternalServerError => {
                let head = self.response_head(now, pending.call.sequence);
                (head.error(&DynamodbError::InternalServerError), Some(DynamodbError::InternalServerError))
            }
            _ => (response, error),
        };
        let outcome = CallOutcome {
            at: now,
            status: response.status,
            cancellation_codes,
            error: match &error {
                Some(error) => Some(error.code().to_owned()),
                None if response.status == 503 => Some("ServiceUnavailable".to_owned()),
                None => None,
            },
            applied,
            delivered: matches!(pending.plan.answer, AnswerFate::Deliver | AnswerFate::InternalServerError),
            modelled_service_ns: nanoseconds(pending.service_time),
        };
        let output = match pending.plan.answer {
            AnswerFate::Deliver | AnswerFate::InternalServerError => Some(Output::Reply { request, response }),
            AnswerFate::Reset => Some(Output::Reset { request }),
            AnswerFate::Hang => None,
            AnswerFate::Truncate => Some(Output::Truncated { request, response }),
        };
        if let Some(output) = output {
            self.schedule_output(now, &pending, output);
        }
        self.record(pending.call, outcome);
    }

    fn schedule_output(&mut self, now: UnixNanos, pending: &Pending, output: Output) {
        let rest = pending.service_time.saturating_sub(pending.service_time.mul_f64(SHARE_BEFORE_EFFECT));
        self.schedule(now.plus(rest).plus(pending.plan.delay_after), Event::Output(output));
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
