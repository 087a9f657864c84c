//! The contracts of faults, as customers see them: what ended without a definite answer must be owed to something that may show
//! on the very host that was asked.

use std::collections::BTreeSet;

use nexus_checkers::{Attempt, Examination, Finding, Response, Violation};
use nexus_cloud::{JournalEntry, Service};
use nexus_faults::{Contract, EnvironmentFault, Fault, Firing, PlannedFault};
use nexus_scenario::host_names;

use crate::{
    customers::service_of,
    play::{EPOCH_UNIX_NS, Played},
    trial::Trial,
};

/// An attempt that ended without a definite answer must be owed to something: a fault whose contract allows it and that could
/// touch the host which was asked, or a call of that host that AWS itself let take longer than our patience.
pub fn contracts(trial: &Trial, played: &Played) -> Finding {
    let services = host_names(trial.topology.command_services);
    let excuses = Excuses::collect(trial, played, &services);
    let mut examination = Examination::default();
    for attempt in &played.observation.attempts {
        let host = service_of(&services, attempt.operation, attempt.attempt);
        let symptom = symptom(attempt)
            .filter(|_| !excuses.cover(host, attempt.invoked_ns, attempt.completed_ns.unwrap_or(u64::MAX)));
        examination.expect(symptom.is_none(), || {
            let violation = Violation::new(format!(
                "operation {} attempt {} ended as `{}` although no fault that may show on {host} was active",
                attempt.operation,
                attempt.attempt,
                symptom.unwrap_or_default()
            ));
            let violation = violation.evidence(format!("{attempt:?}")).operations([attempt.operation]);
            match attempt.completed_ns {
                Some(at_ns) => violation.at(at_ns),
                None => violation,
            }
        });
    }
    examination.finish("contracts")
}

/// How an attempt failed to be definite; none if it was.
fn symptom(attempt: &Attempt) -> Option<String> {
    match &attempt.response {
        Response::Unknown { reason } => Some(reason.clone()),
        // Whether it is rightly said is for the check of tampering.
        corrupt if corrupt.tells_of_corruption() => None,
        Response::Answered { status, body } if *status >= 500 => {
            Some(format!("{status} {}", body["code"].as_str().unwrap_or("")))
        }
        // A conflict that the service gave up on is contention among customers, not a fault.
        Response::Answered { .. } => None,
    }
}

/// The command services on which something may show.
#[derive(Debug, PartialEq, Eq)]
enum Reach {
    All,
    Hosts(BTreeSet<String>),
}

impl Reach {
    fn one(host: &str) -> Self {
        Reach::Hosts(BTreeSet::from([host.to_owned()]))
    }

    /// That of a fault which hit a call of `caller`, or, without one, the world around it. `None` if customers cannot feel it
    /// at all. A host behind the event table answers no customer; whatever befalls only such hosts excuses nothing.
    fn of(planned: &PlannedFault, caller: Option<&str>, services: &[String]) -> Option<Self> {
        let is_service = |host: &str| services.iter().any(|service| service == host);
        if let Some(caller) = caller {
            return is_service(caller).then(|| Reach::one(caller));
        }
        let fault = match &planned.fault {
            Fault::Call { .. } => return Some(Reach::All),
            // Each call that it hits counts by itself.
            Fault::Environment(EnvironmentFault::BrownOut { .. } | EnvironmentFault::RetryStorm { .. }) => return None,
            Fault::Environment(fault) => fault,
        };
        let hosts = fault.hosts();
        let touched: BTreeSet<String> =
            hosts.iter().filter(|host| is_service(host)).map(|host| (*host).to_owned()).collect();
        let is_behind_the_table =
            |host: &&str| *host != "customers" && Service::ALL.iter().all(|service| service.name() != *host);
        if !touched.is_empty() {
            Some(Reach::Hosts(touched))
        } else if hosts.iter().any(is_behind_the_table) {
            None
        } else {
            Some(Reach::All)
        }
    }

    fn has(&self, host: &str) -> bool {
        match self {
            Reach::All => true,
            Reach::Hosts(hosts) => hosts.contains(host),
        }
    }
}

/// A stretch of true time in which something was allowed to show on some hosts.
struct Stretch {
    from_ns: u64,
    until_ns: u64,
    reach: Reach,
}

struct Excuses {
    stretches: Vec<Stretch>,
}

impl Excuses {
    fn collect(trial: &Trial, played: &Played, services: &[String]) -> Self {
        // What a fault leaves behind (dead connections, queues, hung attempts) may show this long after it.
        let aftermath_ns = (trial.service.customer_timeout_ms + trial.service.request_deadline_ms) * 1_000_000;
        let fired = played.firings.iter().filter_map(|firing| {
            let planned = trial.faults.iter().find(|planned| planned.id == firing.fault_id)?;
            stretch_of(planned, firing, services, aftermath_ns)
        });
        let patience_ns = trial.service.attempt_timeout_ms * 1_000_000;
        let suffered = played.journal.iter().filter_map(|entry| {
            let JournalEntry::Call { call, outcome } = entry else { return None };
            let took_ns = outcome.at.since(call.at).as_nanos() as u64;
            let is_slow = took_ns + 2 * trial.network.tick_ms * 1_000_000 >= patience_ns;
            let is_refused = matches!(outcome.status, 400 | 500..)
                && outcome.error.as_deref().is_some_and(|code| is_overload(call.service, code));
            let is_felt = (is_slow || is_refused) && services.contains(&call.caller);
            is_felt.then(|| Stretch {
                from_ns: call.at.0,
                until_ns: outcome.at.0 + aftermath_ns,
                reach: Reach::one(&call.caller),
            })
        });
        Self { stretches: fired.chain(suffered).collect() }
    }

    fn cover(&self, host: &str, from_ns: u64, until_ns: u64) -> bool {
        let meets = |stretch: &Stretch| stretch.from_ns <= until_ns && from_ns <= stretch.until_ns;
        self.stretches.iter().any(|stretch| meets(stretch) && stretch.reach.has(host))
    }
}

fn stretch_of(planned: &PlannedFault, firing: &Firing, services: &[String], aftermath_ns: u64) -> Option<Stretch> {
    if planned.contract() == Contract::Masked {
        return None;
    }
    let reach = Reach::of(planned, firing.caller.as_deref(), services)?;
    let ends_ms = match planned.fault {
        Fault::Environment(_) if firing.caller.is_none() => planned.window_ms().1.max(firing.at_ms),
        _ => firing.at_ms,
    };
    let at_ns = |ms: u64| EPOCH_UNIX_NS + ms * 1_000_000;
    Some(Stretch { from_ns: at_ns(firing.at_ms), until_ns: at_ns(ends_ms) + aftermath_ns, reach })
}

/// Errors by which AWS says of itself that it had too much to do. Where a limit is one of counts (tables, say), the same
/// name says nothing of the kind: only a table's stream, which knows no other, throttles by it.
fn is_overload(service: Service, code: &str) -> bool {
    match code {
        "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" => true,
        "LimitExceededException" => service == Service::DynamodbStreams,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_service_has_its_words_for_too_much_to_do() {
        let cases = [
            (Service::Dynamodb, "ProvisionedThroughputExceededException", true),
            (Service::Dynamodb, "LimitExceededException", false),
            (Service::DynamodbStreams, "LimitExceededException", true),
            (Service::Kinesis, "LimitExceededException", false),
            (Service::DynamodbStreams, "ExpiredIteratorException", false),
        ];
        for (service, code, expected) in cases {
            assert_eq!(is_overload(service, code), expected, "{service} {code}");
        }
    }

    fn planned(fault: serde_json::Value) -> PlannedFault {
        serde_json::from_value(json!({"id": 1, "fault": fault})).unwrap()
    }

    #[test]
    fn a_fault_excuses_those_hosts_that_can_feel_it() {
        let partition = |first: &str, second: &str| {
            planned(json!({"environment": {"what": "partition", "first": first, "second": second, "one_way": false,
                "from_ms": 1, "until_ms": 2}}))
        };
        let pause =
            |host: &str| planned(json!({"environment": {"what": "pause", "host": host, "from_ms": 1, "until_ms": 2}}));
        let hang = planned(json!({"call": {"address": {"service": "dynamodb", "from_ms": 0, "until_ms": 9, "nth": 1,
            "count": 1}, "effect": {"effect": "hang"}}}));
        let storm = planned(
            json!({"environment": {"what": "retry-storm", "service": "dynamodb", "from_ms": 1, "until_ms": 2}}),
        );
        let services = host_names(2);
        let one = || Some(Reach::one("orders-2"));
        let cases = [
            (&hang, Some("orders-2"), one()),
            (&hang, Some("router-1"), None),
            (&storm, Some("orders-2"), one()),
            (&storm, Some("projection-1"), None),
            (&storm, None, None),
            (&partition("orders-2", "dynamodb"), None, one()),
            (&partition("customers", "orders-2"), None, one()),
            (&partition("dynamodb", "projection-1"), None, None),
            (&pause("notifier-1"), None, None),
            (&pause("customers"), None, Some(Reach::All)),
        ];
        for (fault, caller, expected) in cases {
            assert_eq!(Reach::of(fault, caller, &services), expected, "{fault:?}, called by {caller:?}");
        }
    }
}
