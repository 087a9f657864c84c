//! Every call of a run, and every deed that may befall it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use nexus_cloud::{Call, Service};
use nexus_faults::{CallAddress, CallEffect, Fault};
use serde::{Deserialize, Serialize};

use crate::{
    Trial,
    lineage::{RecordedCall, Rescuer, address_of},
};

/// How long a host that lost power stays away.
const DOWN_MS: u64 = 1_000;

/// What befalls a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// HTTP 500, nothing applied.
    Refused,
    /// Applied, and never answered.
    AppliedAndLost,
    /// Accepted, and never looked at.
    Hang,
    /// The caller loses power; the call has no effect.
    CrashBefore,
    /// The call has its effect; the caller loses power before it hears of it.
    CrashAfter,
    /// What is sent or delivered is there twice.
    Duplicate,
}

impl Deed {
    pub const ALL: [Deed; 6] =
        [Deed::Refused, Deed::AppliedAndLost, Deed::Hang, Deed::CrashBefore, Deed::CrashAfter, Deed::Duplicate];

    pub fn name(self) -> &'static str {
        match self {
            Deed::Refused => "refused",
            Deed::AppliedAndLost => "applied and lost",
            Deed::Hang => "hang",
            Deed::CrashBefore => "crash before",
            Deed::CrashAfter => "crash after",
            Deed::Duplicate => "duplicate",
        }
    }

    pub fn effect(self) -> CallEffect {
        match self {
            Deed::Refused => CallEffect::ErrorBefore,
            Deed::AppliedAndLost => CallEffect::LostAnswer,
            Deed::Hang => CallEffect::Hang,
            Deed::CrashBefore => CallEffect::CrashCaller { applied: false, down_ms: DOWN_MS },
            Deed::CrashAfter => CallEffect::CrashCaller { applied: true, down_ms: DOWN_MS },
            Deed::Duplicate => CallEffect::Duplicate,
        }
    }

    /// Why this cannot befall the call; none if it can.
    pub fn impossible_for(self, call: &Call) -> Option<&'static str> {
        let is_aws = Service::ALL.iter().any(|service| service.name() == call.caller);
        match self {
            Deed::CrashBefore | Deed::CrashAfter if is_aws => Some("AWS itself calls, and loses no power"),
            Deed::Duplicate if !can_be_duplicated(call) => {
                Some("nothing is sent or delivered by it that could be there twice")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn can_be_duplicated(call: &Call) -> bool {
    match call.service {
        Service::Kinesis => matches!(call.operation.as_str(), "PutRecord" | "PutRecords"),
        Service::Sqs => matches!(call.operation.as_str(), "SendMessage" | "SendMessageBatch" | "ReceiveMessage"),
        Service::Lambda => call.operation == "Invoke",
        Service::Dynamodb | Service::DynamodbStreams | Service::Sns | Service::Glue => false,
    }
}

/// Calls that differ in nothing but which thing of the same sort they are about, and when. One of them stands for all unless
/// every one is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallClass {
    pub caller: String,
    pub service: Service,
    pub operation: String,
    /// The keys with every name that holds a digit left out.
    pub key_class: String,
    /// How it ended, whether it had an effect, and whether something was on its way meanwhile.
    pub state: String,
}

impl CallClass {
    pub fn of(recorded: &RecordedCall) -> CallClass {
        let call = &recorded.call;
        let sorts: BTreeSet<String> = call.keys.iter().map(|key| sort_of(key)).collect();
        let outcome = recorded.error.clone().unwrap_or_else(|| "ok".to_owned());
        let effect = if recorded.has_effect { "effect" } else { "no effect" };
        let owing = if recorded.is_owing { "events on their way" } else { "nothing owed" };
        CallClass {
            caller: call.caller.clone(),
            service: call.service,
            operation: call.operation.clone(),
            key_class: sorts.into_iter().collect::<Vec<_>>().join(" + "),
            state: format!("{outcome}, {effect}, {owing}"),
        }
    }
}

impl fmt::Display for CallClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}/{} [{}] ({})", self.caller, self.service, self.operation, self.key_class, self.state)
    }
}

/// `nexus-events/order-o-3-1/2` becomes `nexus-events/order-o-#/#`.
fn sort_of(key: &str) -> String {
    let mut sort = String::new();
    for part in key.split_inclusive(['/', '-']) {
        let (name, mark) = match part.strip_suffix(['/', '-']) {
            Some(name) => (name, &part[name.len()..]),
            None => (part, ""),
        };
        if name.bytes().any(|byte| byte.is_ascii_digit()) {
            if !sort.ends_with("#-") && !sort.ends_with('#') {
                sort.push('#');
            } else if sort.ends_with('-') {
                sort.pop();
            }
        } else {
            sort.push_str(name);
        }
        sort.push_str(mark);
    }
    sort
}

/// One fault to be tried by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Single {
    pub address: CallAddress,
    pub deed: Deed,
    /// Position among [`Plan::classes`].
    pub class: usize,
}

impl Single {
    fn fault(&self) -> Fault {
        Fault::Call { address: self.address.clone(), effect: self.deed.effect() }
    }

    /// The run with this fault and no other.
    pub fn trial(&self, green: &Trial) -> Trial {
        green.clone().with_faults(vec![self.fault()])
    }
}

/// Two faults: a first one, and one on what stood in for the call that it hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    pub first: Single,
    pub rescuer: Rescuer,
    pub deed: Deed,
}

impl Pair {
    pub fn trial(&self, green: &Trial) -> Trial {
        let second = Fault::Call { address: self.rescuer.address.clone(), effect: self.deed.effect() };
        green.clone().with_faults(vec![self.first.fault(), second])
    }
}

/// Calls of one class, and how many of them are tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassCount {
    pub class: CallClass,
    pub calls: u64,
    pub tried: u64,
}

/// Everything that is to be tried on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Calls that the plan is about.
    pub calls: u64,
    /// Calls that came after everything had settled: nothing follows in which their failure could show.
    pub calls_beyond: u64,
    pub classes: Vec<ClassCount>,
    pub singles: Vec<Single>,
    /// Deeds that cannot befall a chosen call, by deed and reason.
    pub impossible: BTreeMap<String, u64>,
}

/// Plans every single fault of a run. `calls` are in order of arrival; those from `until_ms` on are left out. Of each class of
/// calls the middle one is tried, or with `every` all of them.
pub fn plan(calls: &[RecordedCall], until_ms: u64, every: bool) -> Plan {
    let mut members: BTreeMap<CallClass, Vec<usize>> = BTreeMap::new();
    let mut calls_beyond = 0;
    for (position, recorded) in calls.iter().enumerate() {
        if recorded.at_ms < until_ms {
            members.entry(CallClass::of(recorded)).or_default().push(position);
        } else {
            calls_beyond += 1;
        }
    }
    let mut plan = Plan {
        calls: calls.len() as u64 - calls_beyond,
        calls_beyond,
        classes: Vec::new(),
        singles: Vec::new(),
        impossible: BTreeMap::new(),
    };
    for (class, positions) in members {
        let chosen = if every { positions.clone() } else { vec![positions[positions.len() / 2]] };
        for position in &chosen {
            add_deeds(&mut plan, calls, *position, until_ms);
        }
        plan.classes.push(ClassCount { class, calls: positions.len() as u64, tried: chosen.len() as u64 });
    }
    plan
}

fn add_deeds(plan: &mut Plan, calls: &[RecordedCall], position: usize, until_ms: u64) {
    for deed in Deed::ALL {
        match deed.impossible_for(&calls[position].call) {
            Some(reason) => *plan.impossible.entry(format!("{deed}: {reason}")).or_default() += 1,
            None => {
                let address = address_of(calls, position, until_ms);
                plan.singles.push(Single { address, deed, class: plan.classes.len() });
            }
        }
    }
}

/// The pairs that lineage asks for, the most different ones first, at most `at_most`. `survived` are the single faults that
/// were survived, each with what stood in.
pub fn pairs(survived: &[(Single, Vec<Rescuer>)], at_most: usize) -> Vec<Pair> {
    let mut rounds: BTreeMap<usize, Vec<Pair>> = BTreeMap::new();
    let mut seen_of_class: BTreeMap<usize, usize> = BTreeMap::new();
    for (first, rescuers) in survived {
        for rescuer in rescuers {
            for deed in [Deed::AppliedAndLost, Deed::CrashAfter, Deed::Refused, Deed::CrashBefore, Deed::Hang] {
                let is_aws = rescuer.address.host.as_deref().is_some_and(is_aws);
                if is_aws && matches!(deed, Deed::CrashBefore | Deed::CrashAfter) {
                    continue;
                }
                let round = seen_of_class.entry(first.class).or_default();
                let pair = Pair { first: first.clone(), rescuer: rescuer.clone(), deed };
                rounds.entry(*round).or_default().push(pair);
                *round += 1;
            }
        }
    }
    rounds.into_values().flatten().take(at_most).collect()
}

fn is_aws(host: &str) -> bool {
    Service::ALL.iter().any(|service| service.name() == host)
}

/// What came of one tried fault, or pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "came-to", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tried {
    Held,
    Broken {
        reason: String,
    },
    /// It acted, and a check could not tell.
    Undecided {
        reason: String,
    },
    /// It never acted.
    Unreachable {
        why: String,
    },
}

/// The account of everything that was tried: what was planned is the sum of what came of it and what is still open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub planned: u64,
    pub held: u64,
    pub broken: u64,
    pub undecided: u64,
    pub unreachable: u64,
}

impl Account {
    pub fn of(planned: usize) -> Account {
        Account { planned: planned as u64, ..Account::default() }
    }

    pub fn count(&mut self, tried: &Tried) {
        *match tried {
            Tried::Held => &mut self.held,
            Tried::Broken { .. } => &mut self.broken,
            Tried::Undecided { .. } => &mut self.undecided,
            Tried::Unreachable { .. } => &mut self.unreachable,
        } += 1;
    }

    /// Those that acted.
    pub fn fired(&self) -> u64 {
        self.held + self.broken + self.undecided
    }

    pub fn tried(&self) -> u64 {
        self.fired() + self.unreachable
    }

    /// Whether nothing is left that was planned and not tried.
    pub fn is_exhausted(&self) -> bool {
        self.tried() == self.planned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_one_sort_whatever_they_name() {
        let table = [
            ("nexus-events/order-o-3-1/2", "nexus-events/order-o-#/#"),
            ("nexus-events/order-o-large-17/2", "nexus-events/order-o-large-#/#"),
            ("nexus-idempotency/key-12", "nexus-idempotency/key-#"),
            ("nexus-leases/router/shardId-000000000001", "nexus-leases/router/shardId-#"),
            ("nexus-notifications", "nexus-notifications"),
            ("", ""),
        ];
        for (key, wanted) in table {
            assert_eq!(sort_of(key), wanted, "{key}");
        }
    }
}
