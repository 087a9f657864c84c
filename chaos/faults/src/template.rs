//! What a scenario says about faults, and how a seed turns it into concrete ones.

use nexus_cloud::{EntryFailureCode, Service};
use proptest::{
    prelude::*,
    sample::{select, subsequence},
    strategy::BoxedStrategy,
};
use serde::{Deserialize, Serialize};

use crate::{
    CallAddress, CallEffect, EnvironmentFault, Fault, FaultKind, Forgery, OperatorAct, PolicyReplacement, RogueDeed,
    SchemaFate,
};

/// A whole number, or a range `[from, to]` with both ends included, from which each fault draws its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a whole number, or a range like [1, 5]")]
pub enum Whole {
    Exactly(u64),
    Between([u64; 2]),
}

impl Whole {
    pub fn bounds(self) -> (u64, u64) {
        match self {
            Whole::Exactly(value) => (value, value),
            Whole::Between([low, high]) => (low, high),
        }
    }

    fn strategy(self) -> impl Strategy<Value = u64> + use<> {
        let (low, high) = self.bounds();
        low..=high
    }
}

/// A family of faults as a scenario names it: kind, how many, against whom, how strong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultTemplate {
    pub kind: FaultKind,
    /// How many faults of this family a trial draws.
    #[serde(default = "FaultTemplate::default_count")]
    pub count: Whole,
    /// Host names or groups (`services`, `customers`, `aws`). For call faults: the callers, and by default any service.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// For faults between two hosts: the other end. By default the DynamoDB endpoint.
    #[serde(default)]
    pub peers: Vec<String>,
    /// For call faults: the endpoint; by default the one that the kind is about.
    #[serde(default)]
    pub service: Option<Service>,
    /// For call faults: which operations; by default those that the kind is interesting for.
    #[serde(default)]
    pub operations: Vec<String>,
    /// For call faults: aim each at the key of one planned command instead of at any call.
    #[serde(default)]
    pub keyed: bool,
    /// For call faults: which match is hit first.
    #[serde(default)]
    pub nth: Option<Whole>,
    /// For call faults: how many matches in a row are hit.
    #[serde(default)]
    pub hits: Option<Whole>,
    /// How long it lasts: outage of a crashed host, partition, slowness, skew; delay of a latency spike; age of a stale read.
    #[serde(default)]
    pub duration_ms: Option<Whole>,
    /// When it begins to act or to wait for its calls, in milliseconds since the trial's start. By default anywhere in the
    /// first two thirds of the window.
    #[serde(default)]
    pub start_ms: Option<Whole>,
    /// Milliseconds a clock is off (either direction), milliseconds a packet takes on a slow link, how many times slower a
    /// host computes, parts per million of a drift.
    #[serde(default)]
    pub strength: Option<Whole>,
    /// For old releases and schemas: the event types that it may be about; each fault draws one. By default any core event's.
    #[serde(default)]
    pub event_types: Vec<String>,
}

impl FaultTemplate {
    fn default_count() -> Whole {
        Whole::Exactly(1)
    }
}

/// What a template may draw from.
#[derive(Clone, Debug)]
pub struct TemplateContext {
    /// Hosts that run the system's services.
    pub services: Vec<String>,
    pub customers: Vec<String>,
    /// AWS endpoints' hosts.
    pub aws: Vec<String>,
    /// Keys of the planned commands as calls carry them, e.g. `nexus-idempotency/<key>`.
    pub keys: Vec<String>,
    /// When faults may act, in milliseconds since the trial's start.
    pub window_ms: (u64, u64),
    /// Hosts by what they run (`routers`, `projections`, `notifiers`, `dlq-processors`), for groups of that name.
    pub groups: Vec<(&'static str, Vec<String>)>,
}

/// A template that cannot be drawn from in this topology; `field` names the key to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct UnusableTemplate {
    pub field: &'static str,
    pub problem: String,
}

impl FaultTemplate {
    /// Checks the template against the topology.
    ///
    /// # Errors
    /// Names the first field that cannot be used and says why.
    pub fn check(&self, context: &TemplateContext) -> Result<(), UnusableTemplate> {
        context.expand("hosts", &self.hosts, &context.services)?;
        context.expand("peers", &self.peers, &context.aws)?;
        let ranges = [
            ("count", Some(self.count)),
            ("nth", self.nth),
            ("hits", self.hits),
            ("duration_ms", self.duration_ms),
            ("start_ms", self.start_ms),
            ("strength", self.strength),
        ];
        for (field, range) in ranges {
            let Some((low, high)) = range.map(Whole::bounds) else { continue };
            if low > high {
                let problem = format!("the range [{low}, {high}] runs backwards; write [{high}, {low}]");
                return Err(UnusableTemplate { field, problem });
            }
            if low == 0 && matches!(field, "nth" | "hits" | "strength") {
                return Err(UnusableTemplate { field, problem: "counts from 1, so 0 means nothing".into() });
            }
        }
        let (window_from, window_until) = context.window_ms;
        if let Some((low, high)) = self.start_ms.map(Whole::bounds)
            && !(window_from <= low && high < window_until)
        {
            let problem =
                format!("faults act from {window_from} ms until {window_until} ms; begin them inside of that");
            return Err(UnusableTemplate { field: "start_ms", problem });
        }
        if self.start_ms.is_some() && self.keyed {
            let problem = "a keyed fault waits for its command whenever that comes; leave it out".into();
            return Err(UnusableTemplate { field: "start_ms", problem });
        }
        if self.kind == FaultKind::Tampering && context.groups.iter().any(|(_, hosts)| !hosts.is_empty()) {
            let problem = "no check can tell yet what consumers owe of a forged event; leave the scenario's [bus] out";
            return Err(UnusableTemplate { field: "kind", problem: problem.into() });
        }
        if self.keyed && context.keys.is_empty() {
            return Err(UnusableTemplate { field: "keyed", problem: "the workload has no commands to aim at".into() });
        }
        Ok(())
    }

    /// Draws the faults of this family.
    pub fn strategy(&self, context: &TemplateContext) -> Result<BoxedStrategy<Vec<Fault>>, UnusableTemplate> {
        self.check(context)?;
        let (low, high) = self.count.bounds();
        let one = match self.kind {
            FaultKind::Crash
            | FaultKind::Partition
            | FaultKind::PartitionOneWay
            | FaultKind::SlowLink
            | FaultKind::SlowHost
            | FaultKind::ClockSkew
            | FaultKind::ClockLeap
            | FaultKind::ClockDrift
            | FaultKind::OldRelease
            | FaultKind::Pause
            | FaultKind::Rollback
            | FaultKind::PoisonEvent
            | FaultKind::PoisonRecord
            | FaultKind::PoisonMessage
            | FaultKind::ShardSplit
            | FaultKind::ShardMerge
            | FaultKind::Redrive
            | FaultKind::QueuePurge
            | FaultKind::WrongRedrive
            | FaultKind::LateSchema
            | FaultKind::PendingSchema
            | FaultKind::FailedSchema
            | FaultKind::RogueWrite
            | FaultKind::Tampering
            | FaultKind::PolicyReload
            | FaultKind::BreakingSchema => self.environment_strategy(context)?,
            FaultKind::BrownOut => self.brown_out_strategy(context),
            FaultKind::RetryStorm => self.storm_strategy(context),
            _ => self.call_strategy(context)?,
        };
        Ok(proptest::collection::vec(one, low as usize..=high as usize).boxed())
    }

    fn call_strategy(&self, context: &TemplateContext) -> Result<BoxedStrategy<Fault>, UnusableTemplate> {
        let callers: Vec<Option<String>> = if self.hosts.is_empty() {
            vec![None]
        } else {
            context.expand("hosts", &self.hosts, &context.services)?.into_iter().map(Some).collect()
        };
        let operations: Vec<String> = if self.operations.is_empty() {
            default_operations(self.kind, self.service()).iter().map(|name| name.to_string()).collect()
        } else {
            self.operations.clone()
        };
        let keys: Vec<Option<String>> =
            if self.keyed { context.keys.iter().cloned().map(Some).collect() } else { vec![None] };
        let nth = self.nth.unwrap_or(if self.keyed { Whole::Exactly(1) } else { Whole::Between([1, 12]) });
        let hits = self.hits.unwrap_or(Whole::Exactly(1));
        let window_until = context.window_ms.1;
        let start = self.start(context, 6);
        let service = self.service();
        let keyed = self.keyed;
        let address =
            (select(callers), select(operations), select(keys), nth.strategy(), hits.strategy(), start.strategy())
                .prop_map(move |(host, operation, key, nth, hits, from_ms)| CallAddress {
                    host,
                    service,
                    operation: Some(operation),
                    key,
                    // A keyed fault waits for its command whenever that comes.
                    from_ms: if keyed { 0 } else { from_ms },
                    until_ms: window_until,
                    nth: nth as u32,
                    count: hits as u32,
                });
        Ok((address, self.effect_strategy()).prop_map(|(address, effect)| Fault::Call { address, effect }).boxed())
    }

    /// Services and effects of a region's bad hour: at least two services where there are two.
    fn brown_out_strategy(&self, context: &TemplateContext) -> BoxedStrategy<Fault> {
        let services = context.endpoints();
        let effects = vec![
            CallEffect::ThrottleKeyRange,
            CallEffect::ThrottleAccount,
            CallEffect::ErrorBefore,
            CallEffect::ErrorAfter,
            CallEffect::ServiceUnavailable,
            CallEffect::Delay { before_ms: 400, after_ms: 0 },
            CallEffect::Delay { before_ms: 0, after_ms: 1_500 },
        ];
        let window_until = context.window_ms.1;
        let at_least = services.len().min(2);
        let one_in = self.strength.unwrap_or(Whole::Between([2, 6])).strategy();
        let duration = self.duration_ms.unwrap_or(Whole::Between([1_000, 5_000])).strategy();
        (
            subsequence(services.clone(), at_least..=services.len()),
            subsequence(effects.clone(), 2..=effects.len()).prop_shuffle(),
            one_in,
            self.start(context, 7).strategy(),
            duration,
        )
            .prop_map(move |(services, effects, one_in, from_ms, duration_ms)| {
                let (one_in, until_ms) = (one_in as u32, (from_ms + duration_ms).min(window_until));
                Fault::Environment(EnvironmentFault::BrownOut { services, effects, one_in, from_ms, until_ms })
            })
            .boxed()
    }

    fn storm_strategy(&self, context: &TemplateContext) -> BoxedStrategy<Fault> {
        let services = self.service.map_or_else(|| context.endpoints(), |service| vec![service]);
        let window_until = context.window_ms.1;
        let duration = self.duration_ms.unwrap_or(Whole::Between([300, 2_500])).strategy();
        (select(services), self.start(context, 7).strategy(), duration)
            .prop_map(move |(service, from_ms, duration_ms)| {
                let until_ms = (from_ms + duration_ms).min(window_until);
                Fault::Environment(EnvironmentFault::RetryStorm { service, from_ms, until_ms })
            })
            .boxed()
    }

    /// When faults may begin; unless that is told, in the first so many tenths of the window.
    fn start(&self, context: &TemplateContext, tenths: u64) -> Whole {
        let (window_from, window_until) = context.window_ms;
        self.start_ms.unwrap_or(Whole::Between([window_from, window_from + (window_until - window_from) * tenths / 10]))
    }

    /// The endpoint that a fault of calls is about.
    fn service(&self) -> Service {
        self.service.unwrap_or(match self.kind {
            FaultKind::FailedEntries | FaultKind::ExpiredIterator | FaultKind::TrimmedRecords => Service::Kinesis,
            FaultKind::EmptyPage | FaultKind::Duplicate | FaultKind::ReversedBatch | FaultKind::UndeletedMessage => {
                Service::Sqs
            }
            FaultKind::LateDelivery | FaultKind::UnreachableTarget | FaultKind::RefusedDelivery => Service::Sns,
            FaultKind::FunctionError => Service::Lambda,
            _ => Service::Dynamodb,
        })
    }

    fn effect_strategy(&self) -> BoxedStrategy<CallEffect> {
        let duration = |default: [u64; 2]| self.duration_ms.unwrap_or(Whole::Between(default)).strategy();
        match self.kind {
            FaultKind::Throttle => select(vec![CallEffect::ThrottleKeyRange, CallEffect::ThrottleAccount]).boxed(),
            FaultKind::ErrorBefore => Just(CallEffect::ErrorBefore).boxed(),
            FaultKind::ErrorAfter => Just(CallEffect::ErrorAfter).boxed(),
            FaultKind::ServiceUnavailable => Just(CallEffect::ServiceUnavailable).boxed(),
            FaultKind::LostAnswer => Just(CallEffect::LostAnswer).boxed(),
            FaultKind::TruncatedAnswer => Just(CallEffect::TruncatedAnswer).boxed(),
            FaultKind::ResetBefore => Just(CallEffect::ResetBefore).boxed(),
            FaultKind::ResetAfter => Just(CallEffect::ResetAfter).boxed(),
            FaultKind::Hang => Just(CallEffect::Hang).boxed(),
            FaultKind::TransactionConflict => Just(CallEffect::TransactionConflict).boxed(),
            FaultKind::StaleRead => duration([200, 3_000]).prop_map(|by_ms| CallEffect::Stale { by_ms }).boxed(),
            FaultKind::CrashAtCall => (any::<bool>(), duration([200, 3_000]))
                .prop_map(|(applied, down_ms)| CallEffect::CrashCaller { applied, down_ms })
                .boxed(),
            FaultKind::FailedEntries => failed_entries(self.service()),
            FaultKind::ExpiredIterator => Just(CallEffect::ExpireIterator).boxed(),
            FaultKind::EmptyPage => Just(CallEffect::EmptyPage).boxed(),
            FaultKind::Duplicate => Just(CallEffect::Duplicate).boxed(),
            FaultKind::ReversedBatch => Just(CallEffect::Reverse).boxed(),
            FaultKind::LateDelivery => {
                duration([500, 5_000]).prop_map(|by_ms| CallEffect::DelayDelivery { by_ms }).boxed()
            }
            FaultKind::UndeletedMessage => Just(CallEffect::DeleteDoesNotStick).boxed(),
            FaultKind::TrimmedRecords => Just(CallEffect::Trim).boxed(),
            FaultKind::UnreachableTarget => Just(CallEffect::UnreachableTarget).boxed(),
            FaultKind::RefusedDelivery => Just(CallEffect::RefusedDelivery).boxed(),
            FaultKind::FunctionError => Just(CallEffect::FunctionDies).boxed(),
            // The rest are faults of the environment; `strategy` never asks for them here.
            _ => (duration([200, 4_000]), any::<bool>())
                .prop_map(|(total_ms, before)| match before {
                    true => CallEffect::Delay { before_ms: total_ms, after_ms: 0 },
                    false => CallEffect::Delay { before_ms: 0, after_ms: total_ms },
                })
                .boxed(),
        }
    }

    fn environment_strategy(&self, context: &TemplateContext) -> Result<BoxedStrategy<Fault>, UnusableTemplate> {
        let hosts = context.expand("hosts", &self.hosts, &self.default_hosts(context))?;
        let host = select(hosts.clone());
        let peer = select(context.expand("peers", &self.peers, &context.aws)?);
        let window_until = context.window_ms.1;
        let start = self.start(context, 7);
        let duration = self.duration_ms.unwrap_or(match self.kind {
            // Long enough for others to take over what it holds.
            FaultKind::Pause | FaultKind::Rollback => Whole::Between([2_000, 14_000]),
            _ => Whole::Between([500, 4_000]),
        });
        let strength = self.strength.unwrap_or(default_strength(self.kind));
        let kind = self.kind;
        let event_types = match self.event_types.is_empty() {
            true => CORE_EVENT_TYPES.iter().map(|name| name.to_string()).collect(),
            false => self.event_types.clone(),
        };
        Ok((
            host,
            peer,
            start.strategy(),
            duration.strategy(),
            strength.strategy(),
            any::<bool>(),
            select(event_types),
            any::<u32>(),
        )
            .prop_map(move |(host, peer, from_ms, duration_ms, strength, flip, event_type, number)| {
                let until_ms = (from_ms + duration_ms).min(window_until);
                if kind == FaultKind::Rollback {
                    let hosts = hosts.clone();
                    return Fault::Environment(EnvironmentFault::Rollback { hosts, event_type, from_ms, until_ms });
                }
                let draw = EnvironmentDraw { host, peer, from_ms, until_ms, strength, flip, event_type, number };
                Fault::Environment(draw.into_fault(kind))
            })
            .boxed())
    }

    /// Whom a fault of the environment befalls where nobody is named.
    fn default_hosts(&self, context: &TemplateContext) -> Vec<String> {
        match self.kind {
            FaultKind::Rollback => context.group("routers").unwrap_or(&context.services).clone(),
            _ => context.services.clone(),
        }
    }
}

struct EnvironmentDraw {
    host: String,
    peer: String,
    from_ms: u64,
    until_ms: u64,
    strength: u64,
    /// Chooses between two directions: of a one-way partition, of a clock's error.
    flip: bool,
    event_type: String,
    number: u32,
}

impl EnvironmentDraw {
    fn into_fault(self, kind: FaultKind) -> EnvironmentFault {
        let EnvironmentDraw { host, peer, from_ms, until_ms, strength, flip, event_type, number } = self;
        let act = |act| EnvironmentFault::Operator { act, at_ms: from_ms };
        let signed_strength = if flip { strength as i64 } else { -(strength as i64) };
        let (first, second) = if flip { (host.clone(), peer) } else { (peer, host.clone()) };
        match kind {
            FaultKind::Crash => EnvironmentFault::Crash { host, at_ms: from_ms, down_ms: until_ms - from_ms },
            FaultKind::Partition => EnvironmentFault::Partition { first, second, one_way: false, from_ms, until_ms },
            FaultKind::PartitionOneWay => {
                EnvironmentFault::Partition { first, second, one_way: true, from_ms, until_ms }
            }
            FaultKind::SlowLink => EnvironmentFault::SlowLink {
                first,
                second,
                latency_min_ms: strength / 2,
                latency_max_ms: strength,
                from_ms,
                until_ms,
            },
            FaultKind::SlowHost => EnvironmentFault::SlowHost { host, factor: strength as f64, from_ms, until_ms },
            FaultKind::ClockSkew => EnvironmentFault::ClockSkew { host, offset_ms: signed_strength, from_ms, until_ms },
            FaultKind::ClockLeap => EnvironmentFault::ClockLeap { host, by_ms: signed_strength, at_ms: from_ms },
            FaultKind::OldRelease => EnvironmentFault::OldRelease { host, event_type, from_ms, until_ms },
            FaultKind::Pause => EnvironmentFault::Pause { host, from_ms, until_ms },
            FaultKind::PoisonEvent => act(OperatorAct::PoisonEvent { number }),
            FaultKind::PoisonRecord => act(OperatorAct::PoisonRecord { number }),
            FaultKind::PoisonMessage => act(OperatorAct::PoisonMessage { number }),
            FaultKind::ShardSplit => act(OperatorAct::SplitShard),
            FaultKind::ShardMerge => act(OperatorAct::MergeShards),
            FaultKind::Redrive => act(OperatorAct::Redrive { is_premature: false }),
            FaultKind::QueuePurge => act(OperatorAct::Purge { dead_letters: flip }),
            FaultKind::WrongRedrive => act(OperatorAct::Redrive { is_premature: true }),
            FaultKind::RogueWrite => act(OperatorAct::RogueWrite { deed: nth_of(&RogueDeed::ALL, number) }),
            FaultKind::Tampering => act(OperatorAct::Tamper { forgery: nth_of(&Forgery::ALL, number) }),
            FaultKind::PolicyReload => {
                act(OperatorAct::ReplacePolicies { by: nth_of(&PolicyReplacement::ALL, number) })
            }
            FaultKind::BreakingSchema => act(OperatorAct::PushBreakingSchema { event_type }),
            FaultKind::LateSchema => unusable(event_type, SchemaFate::Late, until_ms),
            FaultKind::PendingSchema => unusable(event_type, SchemaFate::Pending, until_ms),
            FaultKind::FailedSchema => unusable(event_type, SchemaFate::Failed, until_ms),
            _ => EnvironmentFault::ClockDrift { host, drift_ppm: signed_strength as i32, from_ms, until_ms },
        }
    }
}

fn nth_of<T: Copy>(choices: &[T], number: u32) -> T {
    choices[number as usize % choices.len()]
}

fn unusable(event_type: String, fate: SchemaFate, until_ms: u64) -> EnvironmentFault {
    EnvironmentFault::UnusableSchema { event_type, fate, until_ms }
}

/// Event types that go to the core stream.
const CORE_EVENT_TYPES: &[&str] = &["OrderPlaced", "PaymentConfirmed", "OrderShipped", "OrderCancelled"];

/// Some of a batch's entries fail; half of the internal failures had their effect nevertheless.
fn failed_entries(service: Service) -> BoxedStrategy<CallEffect> {
    let code = select(vec![EntryFailureCode::Throttled, EntryFailureCode::InternalFailure]);
    // Mostly the first entry: an idle system sends batches of one, and what is not there cannot fail. A queue's deletes hardly
    // ever come in larger ones.
    let first = if service == Service::Sqs { vec![0] } else { vec![0, 0, 0, 0, 1, 1, 2] };
    (select(first), 1usize..4, code, any::<bool>())
        .prop_map(|(first, count, code, applied)| CallEffect::FailEntries {
            first,
            count,
            code,
            applied: applied && code == EntryFailureCode::InternalFailure,
        })
        .boxed()
}

/// Calls for which a kind is interesting.
fn default_operations(kind: FaultKind, service: Service) -> &'static [&'static str] {
    use FaultKind::{EmptyPage, ExpiredIterator, LateDelivery, ReversedBatch, TrimmedRecords, UndeletedMessage};
    match (service, kind) {
        (Service::Kinesis, ExpiredIterator | EmptyPage | TrimmedRecords) => &["GetRecords"],
        (Service::Kinesis, _) => &["PutRecords"],
        (Service::DynamodbStreams, _) => &["GetRecords"],
        (Service::Sqs, UndeletedMessage) => &["DeleteMessageBatch"],
        (Service::Sqs, FaultKind::FailedEntries) => &["DeleteMessageBatch"],
        (Service::Sqs, LateDelivery) => &["SendMessage"],
        (Service::Sqs, EmptyPage | ReversedBatch) => &["ReceiveMessage"],
        (Service::Sqs, _) => &["ReceiveMessage", "DeleteMessageBatch"],
        (Service::Sns, _) => &["PublishBatch"],
        (Service::Lambda, FaultKind::FunctionError) => &["NextInvocation", "InvocationResponse"],
        (Service::Lambda, _) => &["Invoke"],
        (Service::Glue, _) => &["GetSchemaVersion", "GetSchemaByDefinition", "RegisterSchemaVersion"],
        (Service::Dynamodb, _) => match kind {
            FaultKind::ErrorAfter
            | FaultKind::LostAnswer
            | FaultKind::ResetAfter
            | FaultKind::TruncatedAnswer
            | FaultKind::TransactionConflict => &["TransactWriteItems"],
            FaultKind::StaleRead => &["Query"],
            _ => &["TransactWriteItems", "Query", "GetItem"],
        },
    }
}

fn default_strength(kind: FaultKind) -> Whole {
    match kind {
        // Packets that take long enough to trip some time-outs, but not all.
        FaultKind::SlowLink => Whole::Between([50, 400]),
        FaultKind::SlowHost => Whole::Between([10, 100]),
        FaultKind::ClockDrift => Whole::Between([100, 50_000]),
        // From a second to five minutes: SigV4 tolerates five.
        _ => Whole::Between([1_000, 300_000]),
    }
}

impl TemplateContext {
    /// Host names behind the names and groups given; `default` when none is given.
    fn expand(
        &self,
        field: &'static str,
        names: &[String],
        default: &[String],
    ) -> Result<Vec<String>, UnusableTemplate> {
        if names.is_empty() {
            return Ok(default.to_vec());
        }
        let mut hosts = Vec::new();
        for name in names {
            match name.as_str() {
                "services" => hosts.extend(self.services.iter().cloned()),
                "customers" => hosts.extend(self.customers.iter().cloned()),
                "aws" => hosts.extend(self.aws.iter().cloned()),
                group if self.group(group).is_some() => hosts.extend(self.group(group).into_iter().flatten().cloned()),
                host if self.all().any(|known| known == host) => hosts.push(host.to_owned()),
                unknown => {
                    let known: Vec<&str> = self.all().collect();
                    let problem = format!(
                        "no host or group is called `{unknown}`; hosts here: {}; groups: {}",
                        known.join(", "),
                        self.group_names().join(", ")
                    );
                    return Err(UnusableTemplate { field, problem });
                }
            }
        }
        Ok(hosts)
    }

    /// The hosts of a group that has any.
    fn group(&self, name: &str) -> Option<&Vec<String>> {
        self.groups.iter().find(|(group, hosts)| *group == name && !hosts.is_empty()).map(|(_, hosts)| hosts)
    }

    /// The services whose endpoints are there.
    fn endpoints(&self) -> Vec<Service> {
        Service::ALL.into_iter().filter(|service| self.all().any(|host| host == service.name())).collect()
    }

    fn group_names(&self) -> Vec<&str> {
        let others = self.groups.iter().filter(|(_, hosts)| !hosts.is_empty()).map(|(name, _)| *name);
        ["services", "customers", "aws"].into_iter().chain(others).collect()
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let others = self.groups.iter().flat_map(|(_, hosts)| hosts);
        self.services.iter().chain(&self.customers).chain(&self.aws).chain(others).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    use super::*;

    fn context() -> TemplateContext {
        TemplateContext {
            services: vec!["orders-1".into(), "orders-2".into()],
            customers: vec!["customers".into()],
            aws: vec!["dynamodb".into()],
            keys: vec!["nexus-idempotency/k1".into()],
            window_ms: (1_000, 5_000),
            groups: vec![("routers", vec!["router-1".into()])],
        }
    }

    fn template(kind: FaultKind) -> FaultTemplate {
        FaultTemplate {
            kind,
            count: Whole::Between([2, 4]),
            hosts: vec![],
            peers: vec![],
            service: None,
            operations: vec![],
            keyed: false,
            nth: None,
            hits: None,
            duration_ms: None,
            strength: None,
            start_ms: None,
            event_types: vec![],
        }
    }

    #[test]
    fn every_kind_draws_faults_of_its_own_kind_inside_the_window() {
        let mut runner = TestRunner::deterministic();
        for kind in FaultKind::ALL {
            // What a forged event means to consumers is not judged: where there are any, it is refused.
            let mut context = context();
            if *kind == FaultKind::Tampering {
                assert_eq!(template(*kind).check(&context).unwrap_err().field, "kind");
                context.groups.clear();
            }
            let faults = template(*kind).strategy(&context).unwrap().new_tree(&mut runner).unwrap().current();
            assert!((2..=4).contains(&faults.len()), "{kind}");
            for fault in faults {
                let planned = crate::PlannedFault { id: 0, fault };
                assert_eq!(planned.kind(), *kind);
                let (from_ms, until_ms) = planned.window_ms();
                let is_there_from_the_start =
                    matches!(planned.fault, Fault::Environment(EnvironmentFault::UnusableSchema { .. }));
                let from_ms = if is_there_from_the_start && from_ms == 0 { 1_000 } else { from_ms };
                assert!(1_000 <= from_ms && from_ms <= until_ms && until_ms <= 5_000, "{kind}: {from_ms}..{until_ms}");
            }
        }
    }

    #[test]
    fn unusable_templates_say_which_field_and_why() {
        let cases = [
            (FaultTemplate { hosts: vec!["mars".into()], ..template(FaultKind::Crash) }, "hosts"),
            (FaultTemplate { peers: vec!["mars".into()], ..template(FaultKind::Partition) }, "peers"),
            (FaultTemplate { nth: Some(Whole::Exactly(0)), ..template(FaultKind::Hang) }, "nth"),
            (FaultTemplate { count: Whole::Between([5, 2]), ..template(FaultKind::Hang) }, "count"),
            (FaultTemplate { start_ms: Some(Whole::Between([900, 2_000])), ..template(FaultKind::Crash) }, "start_ms"),
            (FaultTemplate { start_ms: Some(Whole::Exactly(5_000)), ..template(FaultKind::Hang) }, "start_ms"),
        ];
        for (template, field) in cases {
            assert_eq!(template.check(&context()).unwrap_err().field, field);
        }
    }
}
