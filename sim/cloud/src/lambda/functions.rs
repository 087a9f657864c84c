//! Functions, their execution environments and their invocations.
//!
//! An execution environment is whoever calls the runtime API for a function: while its `invocation/next` waits, it is idle;
//! from the moment that an invocation is handed to it until the response, the error or the time-out, it is busy. The most
//! lately idle environment is taken first, as Lambda prefers warm ones. An environment may name itself with the header
//! `x-nexus-environment`: a further `next` of the same name then replaces the one that waits (its connection is gone), and
//! ends an unanswered invocation of it at once with `Runtime.ExitError`, as the real service notices that a process died.
//! Without a name, a dead environment is found out by the time-out of what it was given.
//!
//! Where no environment is idle, an invocation waits for one a short while (`environment_wait_ms`, the place of a cold
//! start) and is then throttled. Reserved concurrency throttles at once.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    LambdaConfig,
    desk::{Desk, Purpose},
    errors::{self, ThrottleReason},
    invocation::{Ended, Invocation, Invoker},
    response::{self, Report},
};
use crate::{
    interface::{MessageStepKind, Quirk, UnixNanos},
    service::{Answer, Execution, ServiceError},
};

/// Asynchronous events are tried once and then twice more, after one and two minutes, and are given up after six hours.
const ASYNC_RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
const ASYNC_MAX_AGE: Duration = Duration::from_secs(6 * 3600);
const ASYNC_FIRST_BACKOFF: Duration = Duration::from_secs(1);
const ASYNC_MAX_BACKOFF: Duration = Duration::from_secs(300);
/// A process that a fault kills lives this long with its invocation.
const TIME_TO_DIE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub settings: Value,
    pub timeout: Duration,
    pub reserved: Option<u32>,
    pub busy: u32,
    pub init_errors: u64,
    idle: Vec<IdleEnvironment>,
    waiting: VecDeque<(u64, Invocation)>,
}

#[derive(Debug)]
struct IdleEnvironment {
    call_sequence: u64,
    name: Option<String>,
    quirks: Vec<Quirk>,
}

/// An event of `InvocationType: Event` until it is done with.
#[derive(Debug)]
struct AsyncEvent {
    function: String,
    payload: String,
    request_id: String,
    accepted_at: UnixNanos,
    errors: u32,
    throttles: u32,
    /// A fault keeps the function from being reached for the next try.
    is_unreachable: bool,
}

#[derive(Debug)]
pub struct Functions {
    config: LambdaConfig,
    by_name: BTreeMap<String, Function>,
    running: BTreeMap<String, Invocation>,
    events: BTreeMap<u64, AsyncEvent>,
    delayed: BTreeMap<u64, Invocation>,
    /// By the invocation that a process dies of: the environment that goes on without it.
    dying: BTreeMap<String, IdleEnvironment>,
    last_ticket: u64,
    busy: u32,
}

/// Where an invocation went.
enum Placed {
    /// The environment's call is to be answered with this.
    With { call_sequence: u64, answer: Answer },
    /// An environment that a fault cut off has it: nobody will answer.
    Nowhere,
}

impl Functions {
    pub fn new(config: LambdaConfig) -> Self {
        Self {
            config,
            by_name: BTreeMap::new(),
            running: BTreeMap::new(),
            events: BTreeMap::new(),
            delayed: BTreeMap::new(),
            dying: BTreeMap::new(),
            last_ticket: 0,
            busy: 0,
        }
    }

    pub fn get(&self, name: &str) -> Option<&Function> {
        self.by_name.get(name)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Function> {
        self.by_name.get_mut(name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Function> {
        self.by_name.values()
    }

    pub fn insert(&mut self, name: String, settings: Value, timeout: Duration) {
        let function = Function {
            name: name.clone(),
            settings,
            timeout,
            reserved: None,
            busy: 0,
            init_errors: 0,
            idle: Vec::new(),
            waiting: VecDeque::new(),
        };
        self.by_name.insert(name, function);
    }

    /// Deletes a function. Its environments are told, what waits for one is refused, what runs may end.
    pub fn remove(&mut self, desk: &mut Desk<'_, '_>, name: &str) {
        let Some(function) = self.by_name.remove(name) else { return };
        for environment in function.idle {
            let gone = errors::function_not_found(&desk.function_arn(name));
            desk.context.complete(environment.call_sequence, Err(gone));
        }
        for (_, invocation) in function.waiting {
            self.refuse(desk, invocation, errors::function_not_found(&desk.function_arn(name)));
        }
    }

    fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// The operation Invoke; also how mappings invoke.
    pub fn invoke(&mut self, desk: &mut Desk<'_, '_>, name: &str, request: &Value) -> Execution {
        match self.try_invoke(desk, name, request) {
            Ok(execution) => execution,
            Err(error) => Execution::Answer(Err(error)),
        }
    }

    fn try_invoke(&mut self, desk: &mut Desk<'_, '_>, name: &str, request: &Value) -> Result<Execution, ServiceError> {
        let invocation = Invocation::from_request(desk, name, request)?;
        if !self.by_name.contains_key(name) {
            return Err(errors::function_not_found(&desk.function_arn(name)));
        }
        let is_unreachable = desk.context.quirks.contains(&Quirk::UnreachableTarget);
        match request["InvocationType"].as_str() {
            Some("DryRun") => Ok(Execution::Answer(Ok(json!({"StatusCode": 204}).into()))),
            Some("Event") => {
                let copies = if desk.context.quirks.contains(&Quirk::Duplicate) { 2 } else { 1 };
                for copy in 0..copies {
                    self.accept_event(desk, &invocation, copy > 0, is_unreachable);
                }
                Ok(Execution::Answer(Ok(json!({"StatusCode": 202, "Payload": ""}).into())))
            }
            _ if is_unreachable => Err(errors::service("The function could not be reached.")),
            _ => {
                self.start_with_quirks(desk, invocation)?;
                Ok(Execution::Wait)
            }
        }
    }

    fn start_with_quirks(&mut self, desk: &mut Desk<'_, '_>, mut invocation: Invocation) -> Result<(), ServiceError> {
        if desk.context.quirks.contains(&Quirk::Reverse) {
            invocation.reverse_queue_records();
        }
        let twin = desk.context.quirks.contains(&Quirk::Duplicate).then(|| invocation.twin(desk));
        if let Some(by_ms) = delay_of(desk.context.quirks) {
            let ticket = self.ticket();
            self.delayed.insert(ticket, invocation);
            desk.wake_after(Duration::from_millis(by_ms), Purpose::Delayed { ticket });
        } else if let Err((_, error)) = self.place(desk, invocation) {
            return Err(error);
        }
        if let Some(twin) = twin {
            // A poller that overlaps with the first: nobody waits for what becomes of it.
            let _ = self.place(desk, twin);
        }
        Ok(())
    }

    /// A delay that a fault asked for is over.
    pub fn delay_passed(&mut self, desk: &mut Desk<'_, '_>, ticket: u64) {
        if let Some(invocation) = self.delayed.remove(&ticket) {
            self.place_or_refuse(desk, invocation);
        }
    }

    fn place_or_refuse(&mut self, desk: &mut Desk<'_, '_>, invocation: Invocation) {
        if let Err((invocation, error)) = self.place(desk, invocation) {
            self.refuse(desk, *invocation, error);
        }
    }

    /// Hands an invocation to an idle environment, or lets it wait for one.
    fn place(
        &mut self,
        desk: &mut Desk<'_, '_>,
        invocation: Invocation,
    ) -> Result<(), (Box<Invocation>, ServiceError)> {
        let (config_limit, busy, wait) =
            (self.config.account_concurrency, self.busy, Duration::from_millis(self.config.environment_wait_ms));
        let Some(function) = self.by_name.get_mut(&invocation.function) else {
            let gone = errors::function_not_found(&desk.function_arn(&invocation.function));
            return Err((Box::new(invocation), gone));
        };
        let wanted = function.busy + function.waiting.len() as u32;
        let reason = match function.reserved {
            Some(limit) if wanted >= limit => Some(ThrottleReason::ReservedConcurrency),
            None if busy >= config_limit => Some(ThrottleReason::AccountConcurrency),
            _ => None,
        };
        if let Some(reason) = reason {
            return Err((Box::new(invocation), errors::throttled(reason)));
        }
        if let Some(environment) = function.idle.pop() {
            if let Placed::With { call_sequence, answer } = self.dispatch(desk, environment, invocation) {
                desk.context.complete(call_sequence, Ok(answer));
            }
            return Ok(());
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        desk.wake_after(wait, Purpose::PlacementExpired { function: function.name.clone(), ticket });
        function.waiting.push_back((ticket, invocation));
        Ok(())
    }

    /// No environment came in time.
    pub fn placement_expired(&mut self, desk: &mut Desk<'_, '_>, name: &str, ticket: u64) {
        let Some(function) = self.by_name.get_mut(name) else { return };
        let Some(index) = function.waiting.iter().position(|(waiting, _)| *waiting == ticket) else { return };
        if let Some((_, invocation)) = function.waiting.remove(index) {
            self.refuse(desk, invocation, errors::throttled(ThrottleReason::AccountConcurrency));
        }
    }

    fn dispatch(&mut self, desk: &mut Desk<'_, '_>, environment: IdleEnvironment, invocation: Invocation) -> Placed {
        let IdleEnvironment { call_sequence, name, quirks } = environment;
        let Some(function) = self.by_name.get_mut(&invocation.function) else { return Placed::Nowhere };
        let timeout = function.timeout;
        function.busy += 1;
        self.busy += 1;
        let request_id = invocation.request_id.clone();
        let (dying_id, environment_name) = (request_id.clone(), name.clone());
        desk.note(
            &invocation.function,
            MessageStepKind::Invoked,
            &request_id,
            &invocation.source_key,
            invocation.source_note.clone(),
        );
        desk.wake_after(timeout, Purpose::Timeout { request_id: request_id.clone() });
        let answer = invocation.handed_over(desk, timeout);
        let twin = quirks.contains(&Quirk::Duplicate).then(|| invocation.twin(desk));
        self.running.insert(request_id, Invocation { environment: name, ..invocation });
        if let Some(twin) = twin {
            // As above: the result of an overlapping poller reaches nobody.
            let _ = self.place(desk, twin);
        }
        if quirks.contains(&Quirk::FunctionDies) {
            // A fresh process of the same environment goes on waiting where the one that dies asked.
            let successor = IdleEnvironment { call_sequence, name: environment_name, quirks: Vec::new() };
            self.dying.insert(dying_id.clone(), successor);
            desk.wake_after(TIME_TO_DIE, Purpose::Death { request_id: dying_id });
            Placed::Nowhere
        } else if quirks.contains(&Quirk::UnreachableTarget) {
            Placed::Nowhere
        } else {
            Placed::With { call_sequence, answer }
        }
    }

    /// An environment is ready for the next invocation.
    pub fn next(&mut self, desk: &mut Desk<'_, '_>, name: &str, environment: Option<String>) -> Execution {
        if !self.by_name.contains_key(name) {
            return Execution::Answer(Err(errors::function_not_found(&desk.function_arn(name))));
        }
        if let Some(environment) = &environment {
            self.environment_returns(desk, name, environment);
        }
        let quirks = desk.context.quirks.to_vec();
        let idle = IdleEnvironment { call_sequence: desk.context.call_sequence, name: environment, quirks };
        match self.serve(desk, name, idle) {
            Placed::With { answer, .. } => Execution::Answer(Ok(answer)),
            Placed::Nowhere => Execution::Wait,
        }
    }

    /// Gives an environment the invocation that has waited longest, or lets it wait for one.
    fn serve(&mut self, desk: &mut Desk<'_, '_>, name: &str, idle: IdleEnvironment) -> Placed {
        let Some(function) = self.by_name.get_mut(name) else { return Placed::Nowhere };
        match function.waiting.pop_front() {
            Some((_, invocation)) => self.dispatch(desk, idle, invocation),
            None => {
                function.idle.push(idle);
                Placed::Nowhere
            }
        }
    }

    /// A process that got this invocation is dead before it did anything.
    pub fn died(&mut self, desk: &mut Desk<'_, '_>, request_id: &str) {
        let Some(successor) = self.dying.remove(request_id) else { return };
        let Some(name) = self.running.get(request_id).map(|invocation| invocation.function.clone()) else { return };
        self.end(desk, request_id, Ended::Exited);
        if let Placed::With { call_sequence, answer } = self.serve(desk, &name, successor) {
            desk.context.complete(call_sequence, Ok(answer));
        }
    }

    /// An environment of this name calls anew: what it waited for or worked on before is lost.
    fn environment_returns(&mut self, desk: &mut Desk<'_, '_>, name: &str, environment: &str) {
        let is_same = |candidate: &Option<String>| candidate.as_deref() == Some(environment);
        if let Some(function) = self.by_name.get_mut(name)
            && let Some(index) = function.idle.iter().position(|idle| is_same(&idle.name))
        {
            let replaced = function.idle.remove(index);
            let gone = errors::service("The environment asked anew.");
            desk.context.complete(replaced.call_sequence, Err(gone));
        }
        let unanswered = self
            .running
            .values()
            .find(|invocation| invocation.function == name && is_same(&invocation.environment))
            .map(|invocation| invocation.request_id.clone());
        if let Some(request_id) = unanswered {
            self.end(desk, &request_id, Ended::Exited);
        }
    }

    /// The runtime API's answers to an invocation: its response, or its error.
    pub fn answered(&mut self, desk: &mut Desk<'_, '_>, name: &str, request: &Value, is_error: bool) -> Execution {
        let request_id = request["RequestId"].as_str().unwrap_or_default();
        if self.running.get(request_id).is_none_or(|invocation| invocation.function != name) {
            return Execution::Answer(Err(errors::invalid_request_id()));
        }
        let payload = request["Payload"].as_str().unwrap_or_default().to_owned();
        let dies = desk.context.quirks.contains(&Quirk::FunctionDies);
        let ended = match (is_error, payload.len() > super::MAX_SYNCHRONOUS_BYTES) {
            _ if dies => Ended::Exited,
            (_, true) => Ended::TooLarge { bytes: payload.len() },
            (true, _) => Ended::Error { payload, kind: request["ErrorType"].as_str().map(str::to_owned) },
            (false, _) => Ended::Success { payload },
        };
        let is_too_large = matches!(ended, Ended::TooLarge { .. });
        self.end(desk, request_id, ended);
        if is_too_large {
            let error = ServiceError::client("RequestEntityTooLarge", "Exceeded maximum allowed payload size");
            return Execution::Answer(Err(error.with_status(413)));
        }
        Execution::Answer(Ok(json!({"status": "OK"}).into()))
    }

    /// An environment could not initialise: the oldest invocation that waits for one fails by that.
    pub fn initialisation_failed(&mut self, desk: &mut Desk<'_, '_>, name: &str, request: &Value) -> Execution {
        let Some(function) = self.by_name.get_mut(name) else {
            return Execution::Answer(Err(errors::function_not_found(&desk.function_arn(name))));
        };
        function.init_errors += 1;
        if let Some((_, invocation)) = function.waiting.pop_front() {
            let payload = request["Payload"].as_str().unwrap_or_default().to_owned();
            let kind = request["ErrorType"].as_str().map(str::to_owned);
            self.conclude(desk, invocation, Ended::Error { payload, kind });
        }
        Execution::Answer(Ok(json!({"status": "OK"}).into()))
    }

    pub fn timed_out(&mut self, desk: &mut Desk<'_, '_>, request_id: &str) {
        // An invocation that has ended in time is not there any more.
        if let Some(after) = self.running.get(request_id).map(|invocation| self.timeout_of(&invocation.function)) {
            self.end(desk, request_id, Ended::TimedOut { after });
        }
    }

    fn timeout_of(&self, name: &str) -> Duration {
        self.by_name.get(name).map_or(Duration::ZERO, |function| function.timeout)
    }

    fn end(&mut self, desk: &mut Desk<'_, '_>, request_id: &str, ended: Ended) {
        let Some(invocation) = self.running.remove(request_id) else { return };
        self.busy = self.busy.saturating_sub(1);
        if let Some(function) = self.by_name.get_mut(&invocation.function) {
            function.busy = function.busy.saturating_sub(1);
        }
        let note = match &ended {
            Ended::Success { payload } if invocation.reports_failures => match response::read(payload) {
                Report::Success => "ok".to_owned(),
                Report::Partial(identifiers) => format!("partial:{}", identifiers.join(",")),
                Report::TotalFailure => "error".to_owned(),
            },
            Ended::Success { .. } => "ok".to_owned(),
            Ended::TimedOut { .. } => "timed-out".to_owned(),
            Ended::Error { .. } | Ended::TooLarge { .. } | Ended::Exited => "error".to_owned(),
        };
        desk.note(&invocation.function, MessageStepKind::Returned, request_id, &invocation.source_key, note);
        self.conclude(desk, invocation, ended);
    }

    /// Tells whoever invoked how it ended.
    fn conclude(&mut self, desk: &mut Desk<'_, '_>, invocation: Invocation, ended: Ended) {
        match invocation.invoker {
            Invoker::Call { sequence } => {
                let answer = ended.to_answer(&invocation.request_id);
                desk.context.complete(sequence, Ok(answer.into()));
            }
            Invoker::Event { id } if ended.is_error() => self.event_failed(desk, id),
            Invoker::Event { id } => {
                self.events.remove(&id);
            }
            Invoker::Nobody => {}
        }
    }

    fn refuse(&mut self, desk: &mut Desk<'_, '_>, invocation: Invocation, error: ServiceError) {
        match invocation.invoker {
            Invoker::Call { sequence } => desk.context.complete(sequence, Err(error)),
            Invoker::Event { id } => self.event_throttled(desk, id),
            Invoker::Nobody => {}
        }
    }
}

/// Asynchronous events.
impl Functions {
    fn accept_event(&mut self, desk: &mut Desk<'_, '_>, invocation: &Invocation, is_copy: bool, is_unreachable: bool) {
        let id = self.ticket();
        let request_id = if is_copy { invocation.twin(desk).request_id } else { invocation.request_id.clone() };
        desk.note_with_body(
            &invocation.function,
            MessageStepKind::Accepted,
            &request_id,
            &invocation.source_key,
            invocation.payload.clone(),
            if is_copy { format!("duplicate of {}", invocation.request_id) } else { String::new() },
        );
        let event = AsyncEvent {
            function: invocation.function.clone(),
            payload: invocation.payload.clone(),
            request_id,
            accepted_at: desk.now(),
            errors: 0,
            throttles: 0,
            is_unreachable,
        };
        let lag =
            super::async_lag(desk, &event.function) + Duration::from_millis(delay_of(desk.context.quirks).unwrap_or(0));
        self.events.insert(id, event);
        desk.wake_after(lag, Purpose::AsyncAttempt { event: id });
    }

    pub fn event_due(&mut self, desk: &mut Desk<'_, '_>, id: u64) {
        let Some(event) = self.events.get_mut(&id) else { return };
        if std::mem::take(&mut event.is_unreachable) {
            self.event_throttled(desk, id);
            return;
        }
        let invocation = Invocation::of_event(&event.function, &event.payload, &event.request_id, id);
        self.place_or_refuse(desk, invocation);
    }

    fn event_failed(&mut self, desk: &mut Desk<'_, '_>, id: u64) {
        let Some(event) = self.events.get_mut(&id) else { return };
        let delay = ASYNC_RETRY_DELAYS.get(event.errors as usize).copied();
        event.errors += 1;
        match delay {
            Some(delay) => desk.wake_after(delay, Purpose::AsyncAttempt { event: id }),
            None => self.drop_event(desk, id, "RetriesExhausted"),
        }
    }

    fn event_throttled(&mut self, desk: &mut Desk<'_, '_>, id: u64) {
        let Some(event) = self.events.get_mut(&id) else { return };
        event.throttles += 1;
        let (throttles, age, key) =
            (event.throttles, desk.now().since(event.accepted_at), format!("event/{}", event.function));
        if age >= ASYNC_MAX_AGE {
            return self.drop_event(desk, id, "EventAgeExceeded");
        }
        let wait = desk.backoff(&key, throttles - 1, ASYNC_FIRST_BACKOFF, ASYNC_MAX_BACKOFF);
        desk.wake_after(wait, Purpose::AsyncAttempt { event: id });
    }

    fn drop_event(&mut self, desk: &mut Desk<'_, '_>, id: u64, condition: &str) {
        if let Some(event) = self.events.remove(&id) {
            desk.note(&event.function, MessageStepKind::Discarded, &event.request_id, "", format!("none {condition}"));
        }
    }
}

impl Functions {
    /// What every function is doing.
    pub fn inspect(&self) -> Value {
        let functions = self.by_name.values().map(|function| {
            let running: Vec<&str> = self
                .running
                .values()
                .filter(|invocation| invocation.function == function.name)
                .map(|invocation| invocation.request_id.as_str())
                .collect();
            let events = self.events.values().filter(|event| event.function == function.name).count();
            let state = json!({
                "idle": function.idle.len(),
                "busy": function.busy,
                "waiting": function.waiting.len(),
                "running": running,
                "events": events,
                "init_errors": function.init_errors,
                "reserved": function.reserved,
            });
            (function.name.clone(), state)
        });
        Value::Object(functions.collect())
    }
}

fn delay_of(quirks: &[Quirk]) -> Option<u64> {
    quirks.iter().find_map(|quirk| match quirk {
        Quirk::DelayDelivery { by_ms } => Some(*by_ms),
        _ => None,
    })
}
