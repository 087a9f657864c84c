//! Concrete faults: what a trial carries.

use std::fmt;

use nexus_cloud::{AnswerFate, Call, CallPlan, EntryFailureCode, Quirk, RefuseBefore, Service};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::{CallAddress, Contract, FaultKind};

/// One fault of a trial. The id is stable under shrinking: removing others does not renumber it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFault {
    pub id: u32,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Happens to calls at an address.
    Call { address: CallAddress, effect: CallEffect },
    /// Happens to hosts and links at a time.
    Environment(EnvironmentFault),
}

/// What happens to an addressed call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CallEffect {
    ThrottleKeyRange,
    ThrottleAccount,
    ErrorBefore,
    ErrorAfter,
    ServiceUnavailable,
    LostAnswer,
    TruncatedAnswer,
    ResetBefore,
    ResetAfter,
    Hang,
    /// The call waits this long before it takes effect, and this long before it is answered.
    Delay {
        before_ms: u64,
        after_ms: u64,
    },
    Stale {
        by_ms: u64,
    },
    TransactionConflict,
    /// The calling host loses power; the call takes effect or not. It restarts after `down_ms`.
    CrashCaller {
        applied: bool,
        down_ms: u64,
    },
    /// Entries of a batch fail one by one; with `applied` they have their effect nevertheless.
    FailEntries {
        first: usize,
        count: usize,
        code: EntryFailureCode,
        applied: bool,
    },
    ExpireIterator,
    EmptyPage,
    Duplicate,
    Reverse,
    DelayDelivery {
        by_ms: u64,
    },
    DeleteDoesNotStick,
    Trim,
    UnreachableTarget,
    RefusedDelivery,
    FunctionDies,
}

impl CallEffect {
    pub fn kind(&self) -> FaultKind {
        match self {
            CallEffect::ThrottleKeyRange | CallEffect::ThrottleAccount => FaultKind::Throttle,
            CallEffect::ErrorBefore => FaultKind::ErrorBefore,
            CallEffect::ErrorAfter => FaultKind::ErrorAfter,
            CallEffect::ServiceUnavailable => FaultKind::ServiceUnavailable,
            CallEffect::LostAnswer => FaultKind::LostAnswer,
            CallEffect::TruncatedAnswer => FaultKind::TruncatedAnswer,
            CallEffect::ResetBefore => FaultKind::ResetBefore,
            CallEffect::ResetAfter => FaultKind::ResetAfter,
            CallEffect::Hang => FaultKind::Hang,
            CallEffect::Delay { .. } => FaultKind::LatencySpike,
            CallEffect::Stale { .. } => FaultKind::StaleRead,
            CallEffect::TransactionConflict => FaultKind::TransactionConflict,
            CallEffect::CrashCaller { .. } => FaultKind::CrashAtCall,
            CallEffect::FailEntries { .. } => FaultKind::FailedEntries,
            CallEffect::ExpireIterator => FaultKind::ExpiredIterator,
            CallEffect::EmptyPage => FaultKind::EmptyPage,
            CallEffect::Duplicate => FaultKind::Duplicate,
            CallEffect::Reverse => FaultKind::ReversedBatch,
            CallEffect::DelayDelivery { .. } => FaultKind::LateDelivery,
            CallEffect::DeleteDoesNotStick => FaultKind::UndeletedMessage,
            CallEffect::Trim => FaultKind::TrimmedRecords,
            CallEffect::UnreachableTarget => FaultKind::UnreachableTarget,
            CallEffect::RefusedDelivery => FaultKind::RefusedDelivery,
            CallEffect::FunctionDies => FaultKind::FunctionError,
        }
    }

    /// What the cloud must do to a call under this effect. Effects on one call add up: the first refusal wins.
    pub fn apply_to(&self, plan: &mut CallPlan) {
        let refuse = |plan: &mut CallPlan, refusal| plan.refuse = plan.refuse.or(Some(refusal));
        match self {
            CallEffect::ThrottleKeyRange => refuse(plan, RefuseBefore::ThrottleKeyRange),
            CallEffect::ThrottleAccount => refuse(plan, RefuseBefore::ThrottleAccount),
            CallEffect::ErrorBefore => refuse(plan, RefuseBefore::InternalServerError),
            CallEffect::ErrorAfter => plan.answer = AnswerFate::InternalServerError,
            CallEffect::ServiceUnavailable => refuse(plan, RefuseBefore::ServiceUnavailableHtml),
            CallEffect::LostAnswer => plan.answer = AnswerFate::Hang,
            CallEffect::TruncatedAnswer => plan.answer = AnswerFate::Truncate,
            CallEffect::ResetBefore => refuse(plan, RefuseBefore::Reset),
            CallEffect::ResetAfter => plan.answer = AnswerFate::Reset,
            CallEffect::Hang => refuse(plan, RefuseBefore::Hang),
            CallEffect::Delay { before_ms, after_ms } => {
                plan.delay_before += Duration::from_millis(*before_ms);
                plan.delay_after += Duration::from_millis(*after_ms);
            }
            CallEffect::Stale { by_ms } => plan.staleness = Some(Duration::from_millis(*by_ms)),
            CallEffect::TransactionConflict => refuse(plan, RefuseBefore::TransactionConflict),
            CallEffect::CrashCaller { applied: false, .. } => refuse(plan, RefuseBefore::Hang),
            CallEffect::CrashCaller { applied: true, .. } => plan.answer = AnswerFate::Hang,
            CallEffect::FailEntries { first, count, code, applied } => {
                plan.quirks.push(Quirk::FailEntries { first: *first, count: *count, code: *code, applied: *applied });
            }
            CallEffect::ExpireIterator => plan.quirks.push(Quirk::ExpireIterator),
            CallEffect::EmptyPage => plan.quirks.push(Quirk::EmptyPage),
            CallEffect::Duplicate => plan.quirks.push(Quirk::Duplicate),
            CallEffect::Reverse => plan.quirks.push(Quirk::Reverse),
            CallEffect::DelayDelivery { by_ms } => plan.quirks.push(Quirk::DelayDelivery { by_ms: *by_ms }),
            CallEffect::DeleteDoesNotStick => plan.quirks.push(Quirk::DeleteDoesNotStick),
            CallEffect::Trim => plan.quirks.push(Quirk::Trim),
            CallEffect::UnreachableTarget => plan.quirks.push(Quirk::UnreachableTarget),
            CallEffect::RefusedDelivery => plan.quirks.push(Quirk::RefusedDelivery),
            CallEffect::FunctionDies => plan.quirks.push(Quirk::FunctionDies),
        }
    }
}

/// What happens to hosts and links. Times are milliseconds since the trial's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EnvironmentFault {
    Crash {
        host: String,
        at_ms: u64,
        down_ms: u64,
    },
    Partition {
        first: String,
        second: String,
        one_way: bool,
        from_ms: u64,
        until_ms: u64,
    },
    SlowLink {
        first: String,
        second: String,
        latency_min_ms: u64,
        latency_max_ms: u64,
        from_ms: u64,
        until_ms: u64,
    },
    SlowHost {
        host: String,
        factor: f64,
        from_ms: u64,
        until_ms: u64,
    },
    ClockSkew {
        host: String,
        offset_ms: i64,
        from_ms: u64,
        until_ms: u64,
    },
    ClockLeap {
        host: String,
        by_ms: i64,
        at_ms: u64,
    },
    ClockDrift {
        host: String,
        drift_ppm: i32,
        from_ms: u64,
        until_ms: u64,
    },
    /// Nothing of the host runs, and nothing of it is lost.
    Pause {
        host: String,
        from_ms: u64,
        until_ms: u64,
    },
    /// One in so many calls of hosts to these services is befallen by one of the effects, in turn.
    BrownOut {
        services: Vec<Service>,
        effects: Vec<CallEffect>,
        one_in: u32,
        from_ms: u64,
        until_ms: u64,
    },
    /// Every call of a host to this service is answered with 503.
    RetryStorm {
        service: Service,
        from_ms: u64,
        until_ms: u64,
    },
    /// All these hosts restart with a release that does not know an event type, and at the end with the current one.
    Rollback {
        hosts: Vec<String>,
        event_type: String,
        from_ms: u64,
        until_ms: u64,
    },
    /// Somebody outside the system does something to the bus.
    Operator {
        act: OperatorAct,
        at_ms: u64,
    },
    /// From the trial's start the registry has no usable version of an event type; at the end somebody puts that right.
    UnusableSchema {
        event_type: String,
        fate: SchemaFate,
        until_ms: u64,
    },
    /// The host restarts with a release that does not know an event type, and at the end with the current one.
    OldRelease {
        host: String,
        event_type: String,
        from_ms: u64,
        until_ms: u64,
    },
}

/// The times of a fault of the environment, in milliseconds since the trial's start, by how they are given.
#[derive(Debug, PartialEq, Eq)]
pub enum Window<'f> {
    Moment { at_ms: &'f mut u64 },
    Outage { at_ms: &'f mut u64, down_ms: &'f mut u64 },
    FromStart { until_ms: &'f mut u64 },
    Span { from_ms: &'f mut u64, until_ms: &'f mut u64 },
}

/// Why the registry has no usable version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaFate {
    /// Nobody registered it.
    Late,
    Pending,
    Failed,
}

/// What operators and other producers do. `number` tells two acts of one kind apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OperatorAct {
    /// An event of an aggregate of its own, of a type that nobody registered; a second one follows it.
    PoisonEvent {
        number: u32,
    },
    PoisonRecord {
        number: u32,
    },
    PoisonMessage {
        number: u32,
    },
    SplitShard,
    MergeShards,
    /// A message move task from the notifications' dead-letter queue back to where they came from.
    Redrive {
        is_premature: bool,
    },
    /// Everything in the notification queue, or in its dead-letter queue, is thrown away.
    Purge {
        dead_letters: bool,
    },
    /// The version of an event type that this release writes is registered, and stays PENDING or ends in FAILURE.
    RegisterUnusably {
        event_type: String,
        fate: SchemaFate,
    },
    /// Whatever keeps the event type from having a usable version is put right.
    MendSchema {
        event_type: String,
    },
    /// A version that asks for a field which no event has.
    PushBreakingSchema {
        event_type: String,
    },
    /// A stored event is attacked past the system.
    RogueWrite {
        deed: RogueDeed,
    },
    /// A stored event that others follow is forged or removed, behind the API and its policies.
    Tamper {
        forgery: Forgery,
    },
    /// All command services are told to take other policies into force.
    ReplacePolicies {
        by: PolicyReplacement,
    },
}

/// The ways in which an item of a table can be changed or removed, but by a put, which the table must take from the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RogueDeed {
    Update,
    Delete,
    BatchPut,
    BatchDelete,
    TransactUpdate,
    TransactDelete,
}

impl RogueDeed {
    pub const ALL: [RogueDeed; 6] = [
        RogueDeed::Update,
        RogueDeed::Delete,
        RogueDeed::BatchPut,
        RogueDeed::BatchDelete,
        RogueDeed::TransactUpdate,
        RogueDeed::TransactDelete,
    ];
}

impl fmt::Display for RogueDeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RogueDeed::Update => "update",
            RogueDeed::Delete => "delete",
            RogueDeed::BatchPut => "put in a batch",
            RogueDeed::BatchDelete => "delete in a batch",
            RogueDeed::TransactUpdate => "update in a transaction",
            RogueDeed::TransactDelete => "delete in a transaction",
        })
    }
}

/// What becomes of a stored event that is tampered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forgery {
    /// A number in its payload is another one.
    Content,
    /// The same, by somebody who knows how events are hashed: the event agrees with its own hash, and not with the next event's.
    Rehashed,
    /// It is gone.
    Removed,
}

impl Forgery {
    pub const ALL: [Forgery; 3] = [Forgery::Content, Forgery::Rehashed, Forgery::Removed];
}

impl fmt::Display for Forgery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Forgery::Content => "an event forged",
            Forgery::Rehashed => "an event forged with its hash",
            Forgery::Removed => "an event removed",
        })
    }
}

/// What the policies in force are to be replaced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyReplacement {
    /// The same ones: a reload that changes nothing.
    Same,
    /// A bundle whose digest is not the one that was told.
    Damaged,
    /// A bundle that does not compile.
    Unsound,
    /// A bundle that allows everything, and so fails its own tests.
    Lax,
}

impl PolicyReplacement {
    pub const ALL: [PolicyReplacement; 4] =
        [PolicyReplacement::Same, PolicyReplacement::Damaged, PolicyReplacement::Unsound, PolicyReplacement::Lax];
}

impl fmt::Display for PolicyReplacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PolicyReplacement::Same => "the same ones",
            PolicyReplacement::Damaged => "a damaged bundle",
            PolicyReplacement::Unsound => "a bundle that does not compile",
            PolicyReplacement::Lax => "a bundle that allows everything",
        })
    }
}

impl OperatorAct {
    /// Whether it is about the event table or the command services, which every trial has.
    pub fn needs_no_bus(&self) -> bool {
        matches!(
            self,
            OperatorAct::RogueWrite { .. } | OperatorAct::Tamper { .. } | OperatorAct::ReplacePolicies { .. }
        )
    }

    /// Whether consumers behind the table would meet what it leaves, which no check can tell from their own faults: a replay
    /// that reads a forged event parks it, rightly.
    pub fn needs_no_consumers(&self) -> bool {
        matches!(self, OperatorAct::Tamper { .. })
    }

    pub fn kind(&self) -> FaultKind {
        match self {
            OperatorAct::PoisonEvent { .. } => FaultKind::PoisonEvent,
            OperatorAct::PoisonRecord { .. } => FaultKind::PoisonRecord,
            OperatorAct::PoisonMessage { .. } => FaultKind::PoisonMessage,
            OperatorAct::SplitShard => FaultKind::ShardSplit,
            OperatorAct::MergeShards => FaultKind::ShardMerge,
            OperatorAct::Redrive { is_premature: false } => FaultKind::Redrive,
            OperatorAct::Redrive { is_premature: true } => FaultKind::WrongRedrive,
            OperatorAct::Purge { .. } => FaultKind::QueuePurge,
            OperatorAct::RegisterUnusably { fate, .. } => fate.kind(),
            OperatorAct::MendSchema { .. } => FaultKind::LateSchema,
            OperatorAct::PushBreakingSchema { .. } => FaultKind::BreakingSchema,
            OperatorAct::RogueWrite { .. } => FaultKind::RogueWrite,
            OperatorAct::Tamper { .. } => FaultKind::Tampering,
            OperatorAct::ReplacePolicies { .. } => FaultKind::PolicyReload,
        }
    }
}

impl SchemaFate {
    pub fn kind(self) -> FaultKind {
        match self {
            SchemaFate::Late => FaultKind::LateSchema,
            SchemaFate::Pending => FaultKind::PendingSchema,
            SchemaFate::Failed => FaultKind::FailedSchema,
        }
    }
}

impl fmt::Display for OperatorAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OperatorAct::PoisonEvent { number } => write!(f, "event table, poison {number}"),
            OperatorAct::PoisonRecord { number } => write!(f, "core stream, poison {number}"),
            OperatorAct::PoisonMessage { number } => write!(f, "notification queue, poison {number}"),
            OperatorAct::SplitShard | OperatorAct::MergeShards => f.write_str("core stream"),
            OperatorAct::Redrive { .. } | OperatorAct::Purge { dead_letters: true } => {
                f.write_str("dead-letter queue of notifications")
            }
            OperatorAct::Purge { dead_letters: false } => f.write_str("notification queue"),
            OperatorAct::RegisterUnusably { event_type, .. }
            | OperatorAct::MendSchema { event_type }
            | OperatorAct::PushBreakingSchema { event_type } => write!(f, "schema of {event_type}"),
            OperatorAct::RogueWrite { deed } => write!(f, "event table, {deed}"),
            OperatorAct::Tamper { forgery } => write!(f, "event table, {forgery}"),
            OperatorAct::ReplacePolicies { by } => write!(f, "policies, by {by}"),
        }
    }
}

impl EnvironmentFault {
    pub fn kind(&self) -> FaultKind {
        match self {
            EnvironmentFault::Crash { .. } => FaultKind::Crash,
            EnvironmentFault::Partition { one_way: false, .. } => FaultKind::Partition,
            EnvironmentFault::Partition { one_way: true, .. } => FaultKind::PartitionOneWay,
            EnvironmentFault::SlowLink { .. } => FaultKind::SlowLink,
            EnvironmentFault::SlowHost { .. } => FaultKind::SlowHost,
            EnvironmentFault::ClockSkew { .. } => FaultKind::ClockSkew,
            EnvironmentFault::ClockLeap { .. } => FaultKind::ClockLeap,
            EnvironmentFault::ClockDrift { .. } => FaultKind::ClockDrift,
            EnvironmentFault::Operator { act, .. } => act.kind(),
            EnvironmentFault::OldRelease { .. } => FaultKind::OldRelease,
            EnvironmentFault::Pause { .. } => FaultKind::Pause,
            EnvironmentFault::BrownOut { .. } => FaultKind::BrownOut,
            EnvironmentFault::RetryStorm { .. } => FaultKind::RetryStorm,
            EnvironmentFault::Rollback { .. } => FaultKind::Rollback,
            EnvironmentFault::UnusableSchema { fate, .. } => fate.kind(),
        }
    }

    /// Whether it acts on calls, inside the simulated AWS, instead of on hosts and links.
    pub fn acts_on_calls(&self) -> bool {
        matches!(self, EnvironmentFault::BrownOut { .. } | EnvironmentFault::RetryStorm { .. })
    }

    /// Whether a fault that acts on calls is about this one. `at_ms` is its arrival since the trial's start. What AWS calls
    /// by itself is left alone: a region's bad hour is what hosts see.
    pub fn covers(&self, call: &Call, at_ms: u64) -> bool {
        let is_host = Service::ALL.iter().all(|service| service.name() != call.caller);
        is_host
            && match self {
                EnvironmentFault::BrownOut { services, from_ms, until_ms, .. } => {
                    services.contains(&call.service) && (*from_ms..*until_ms).contains(&at_ms)
                }
                EnvironmentFault::RetryStorm { service, from_ms, until_ms } => {
                    *service == call.service && (*from_ms..*until_ms).contains(&at_ms)
                }
                _ => false,
            }
    }

    /// What befalls the `match_number`-th call (from 1) that a fault of calls covers.
    pub fn effect_on(&self, match_number: u32) -> Option<CallEffect> {
        match self {
            EnvironmentFault::BrownOut { effects, one_in, .. } => {
                let one_in = (*one_in).max(1);
                let round = (match_number - 1) / one_in;
                let is_hit = (match_number - 1).is_multiple_of(one_in);
                effects.get(round as usize % effects.len().max(1)).filter(|_| is_hit).cloned()
            }
            EnvironmentFault::RetryStorm { .. } => Some(CallEffect::ServiceUnavailable),
            _ => None,
        }
    }

    /// When it may act, in milliseconds since the trial's start.
    pub fn window_ms(&self) -> (u64, u64) {
        match self.clone().window_mut() {
            Window::Moment { at_ms } => (*at_ms, *at_ms),
            Window::Outage { at_ms, down_ms } => (*at_ms, *at_ms + *down_ms),
            Window::FromStart { until_ms } => (0, *until_ms),
            Window::Span { from_ms, until_ms } => (*from_ms, *until_ms),
        }
    }

    /// Its times, for whoever moves, clips or shortens faults.
    pub fn window_mut(&mut self) -> Window<'_> {
        match self {
            EnvironmentFault::ClockLeap { at_ms, .. } | EnvironmentFault::Operator { at_ms, .. } => {
                Window::Moment { at_ms }
            }
            EnvironmentFault::Crash { at_ms, down_ms, .. } => Window::Outage { at_ms, down_ms },
            EnvironmentFault::UnusableSchema { until_ms, .. } => Window::FromStart { until_ms },
            EnvironmentFault::Partition { from_ms, until_ms, .. }
            | EnvironmentFault::SlowLink { from_ms, until_ms, .. }
            | EnvironmentFault::SlowHost { from_ms, until_ms, .. }
            | EnvironmentFault::ClockSkew { from_ms, until_ms, .. }
            | EnvironmentFault::ClockDrift { from_ms, until_ms, .. }
            | EnvironmentFault::Pause { from_ms, until_ms, .. }
            | EnvironmentFault::BrownOut { from_ms, until_ms, .. }
            | EnvironmentFault::RetryStorm { from_ms, until_ms, .. }
            | EnvironmentFault::Rollback { from_ms, until_ms, .. }
            | EnvironmentFault::OldRelease { from_ms, until_ms, .. } => Window::Span { from_ms, until_ms },
        }
    }

    pub fn hosts(&self) -> Vec<&str> {
        match self {
            EnvironmentFault::Partition { first, second, .. } | EnvironmentFault::SlowLink { first, second, .. } => {
                vec![first, second]
            }
            EnvironmentFault::Crash { host, .. }
            | EnvironmentFault::SlowHost { host, .. }
            | EnvironmentFault::ClockSkew { host, .. }
            | EnvironmentFault::ClockLeap { host, .. }
            | EnvironmentFault::ClockDrift { host, .. }
            | EnvironmentFault::OldRelease { host, .. }
            | EnvironmentFault::Pause { host, .. } => vec![host],
            EnvironmentFault::Rollback { hosts, .. } => hosts.iter().map(String::as_str).collect(),
            EnvironmentFault::Operator { .. }
            | EnvironmentFault::BrownOut { .. }
            | EnvironmentFault::RetryStorm { .. }
            | EnvironmentFault::UnusableSchema { .. } => Vec::new(),
        }
    }
}

impl PlannedFault {
    pub fn kind(&self) -> FaultKind {
        match &self.fault {
            Fault::Call { effect, .. } => effect.kind(),
            Fault::Environment(fault) => fault.kind(),
        }
    }

    pub fn contract(&self) -> Contract {
        self.kind().contract()
    }

    /// When it may act, in milliseconds since the trial's start.
    pub fn window_ms(&self) -> (u64, u64) {
        match &self.fault {
            Fault::Call { address, .. } => (address.from_ms, address.until_ms),
            Fault::Environment(fault) => fault.window_ms(),
        }
    }

    /// The address in words, for reports.
    pub fn address(&self) -> String {
        match &self.fault {
            Fault::Call { address, .. } => address.to_string(),
            Fault::Environment(fault) => fault.to_string(),
        }
    }
}

impl fmt::Display for EnvironmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvironmentFault::Crash { host, at_ms, down_ms } => write!(f, "{host} at {at_ms} ms for {down_ms} ms"),
            EnvironmentFault::UnusableSchema { event_type, until_ms, .. } => {
                write!(f, "schema of {event_type} until {until_ms} ms")
            }
            EnvironmentFault::Partition { first, second, one_way, from_ms, until_ms } => {
                let arrow = if *one_way { "-x>" } else { "<x>" };
                write!(f, "{first} {arrow} {second} in {from_ms}..{until_ms} ms")
            }
            EnvironmentFault::SlowLink { first, second, latency_min_ms, latency_max_ms, from_ms, until_ms } => {
                write!(
                    f,
                    "{first} <-> {second} {latency_min_ms}..{latency_max_ms} ms a packet in {from_ms}..{until_ms} ms"
                )
            }
            EnvironmentFault::SlowHost { host, factor, from_ms, until_ms } => {
                write!(f, "{host} {factor:.1} times slower in {from_ms}..{until_ms} ms")
            }
            EnvironmentFault::ClockSkew { host, offset_ms, from_ms, until_ms } => {
                write!(f, "{host} off by {offset_ms} ms in {from_ms}..{until_ms} ms")
            }
            EnvironmentFault::ClockLeap { host, by_ms, at_ms } => write!(f, "{host} leaps by {by_ms} ms at {at_ms} ms"),
            EnvironmentFault::ClockDrift { host, drift_ppm, from_ms, until_ms } => {
                write!(f, "{host} drifts by {drift_ppm} ppm in {from_ms}..{until_ms} ms")
            }
            EnvironmentFault::Operator { act, at_ms } => write!(f, "{act} at {at_ms} ms"),
            EnvironmentFault::OldRelease { host, event_type, from_ms, until_ms } => {
                write!(f, "{host} does not know {event_type} in {from_ms}..{until_ms} ms")
            }
            EnvironmentFault::Pause { host, from_ms, until_ms } => {
                write!(f, "{host} stands still in {from_ms}..{until_ms} ms")
            }
            EnvironmentFault::BrownOut { services, one_in, from_ms, until_ms, .. } => {
                let services: Vec<&str> = services.iter().map(|service| service.name()).collect();
                write!(f, "one in {one_in} calls of {} in {from_ms}..{until_ms} ms", services.join(", "))
            }
            EnvironmentFault::RetryStorm { service, from_ms, until_ms } => {
                write!(f, "every call of {service} in {from_ms}..{until_ms} ms")
            }
            EnvironmentFault::Rollback { hosts, event_type, from_ms, until_ms } => {
                write!(f, "{} do not know {event_type} in {from_ms}..{until_ms} ms", hosts.join(", "))
            }
        }
    }
}
