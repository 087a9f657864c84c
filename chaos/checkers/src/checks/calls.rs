//! How the system calls AWS: how often, how strongly, and whether it ever stops.

use std::collections::BTreeMap;

use super::Check;
use crate::{AwsCall, CheckInput, Needs, Request, Response, Violation, finding::Examination, input::partition_in};

pub(crate) const ATTEMPTS_BOUNDED: Check = Check {
    name: "attempts-bounded",
    needs: Needs::GroundTruth,
    describe: "One append is sent no more often than its attempts allow, and one idempotency key no more often than its requests, rounds and attempts allow together.",
    run: attempts_bounded,
};

pub(crate) const STRONG_READS: Check = Check {
    name: "strong-reads",
    needs: Needs::GroundTruth,
    describe: "The system reads events and idempotency records strongly, but for views that a customer asked to be eventual: nothing is decided on stale data.",
    run: strong_reads,
};

pub(crate) const QUIESCENCE: Check = Check {
    name: "quiescence",
    needs: Needs::GroundTruth,
    describe: "After the drain and its bound no service calls AWS but to look for work and to renew leases, and no other call is still running.",
    run: quiescence,
};

/// The system's own calls; customers and tests may call AWS as they like.
pub(crate) fn service_calls(input: &CheckInput) -> impl Iterator<Item = &AwsCall> {
    input.truth.calls.iter().filter(|call| input.settings.is_service_host(&call.caller))
}

/// The idempotency key that a write is about.
pub(crate) fn idempotency_key_of<'c>(call: &'c AwsCall, input: &CheckInput) -> Option<&'c str> {
    call.keys.iter().find_map(|key| partition_in(key, &input.settings.idempotency_table))
}

/// How a call is shown as evidence.
pub(crate) fn told(call: &AwsCall) -> String {
    let error = call.error.as_deref().unwrap_or("no error");
    let token = call.client_token.as_deref().unwrap_or("none");
    format!(
        "call {} by {} at {} ns: {}, status {}, {error}, applied {}, delivered {}, token {token}",
        call.sequence, call.caller, call.at_ns, call.operation, call.status, call.applied, call.delivered
    )
}

fn attempts_bounded(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let mut by_token: BTreeMap<&str, Vec<&AwsCall>> = BTreeMap::new();
    let mut by_key: BTreeMap<&str, Vec<&AwsCall>> = BTreeMap::new();
    for call in service_calls(input).filter(|call| call.is_write) {
        if let Some(token) = &call.client_token {
            by_token.entry(token).or_default().push(call);
        }
        if let Some(key) = idempotency_key_of(call, input) {
            by_key.entry(key).or_default().push(call);
        }
    }
    for (token, calls) in by_token {
        let too_many = calls.len() > settings.append_attempts_max as usize;
        examination.expect(!too_many, || {
            let what =
                format!("One append was sent {} times; {} are allowed.", calls.len(), settings.append_attempts_max);
            with_calls(Violation::new(what).key(token), &calls)
        });
    }
    let mut requests: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for attempt in &input.observation.attempts {
        if let Some(key) = &attempt.idempotency_key {
            requests.entry(key).or_default().push(attempt.operation);
        }
    }
    for (key, calls) in by_key {
        let requests = requests.get(key).map_or(&[][..], Vec::as_slice);
        // After the last round a refusal may be recorded, which is a write of its own.
        let rounds = u64::from(settings.decision_rounds_max) + 1;
        let writes_max = requests.len().max(1) as u64 * rounds * u64::from(settings.append_attempts_max);
        examination.expect(calls.len() as u64 <= writes_max, || {
            let what = format!(
                "{} writes were sent for {} requests under one idempotency key; {writes_max} are allowed.",
                calls.len(),
                requests.len()
            );
            with_calls(Violation::new(what).key(key), &calls).operations(requests.iter().copied())
        });
    }
}

fn with_calls(violation: Violation, calls: &[&AwsCall]) -> Violation {
    let violation = calls.iter().take(20).fold(violation, |violation, call| violation.evidence(told(call)));
    match calls.last() {
        Some(last) => violation.at(last.at_ns),
        None => violation,
    }
}

fn strong_reads(input: &CheckInput, examination: &mut Examination) {
    let is_about_own_tables = |call: &AwsCall| call.keys.iter().any(|key| input.settings.is_own_table_key(key));
    for call in service_calls(input).filter(|call| !call.is_write && is_about_own_tables(call)) {
        let is_allowed = !call.is_eventual_read || was_asked_for(call, input);
        examination.expect(is_allowed, || {
            let violation = Violation::new("A service read events or idempotency records eventually consistent.");
            Violation { keys: call.keys.clone(), ..violation.at(call.at_ns).evidence(told(call)) }
        });
    }
}

/// Whether a customer waited for an eventual view of this very order when the call was made.
fn was_asked_for(call: &AwsCall, input: &CheckInput) -> bool {
    let table = &input.settings.events_table;
    input.observation.attempts.iter().any(|attempt| match &attempt.request {
        Request::ReadOrder { order_id, eventual: true } => {
            // A customer who lost patience does not stop the service, which may still be reading for him.
            let is_over = matches!(attempt.response, Response::Answered { .. });
            let until_ns = attempt.completed_ns.filter(|_| is_over).unwrap_or(u64::MAX);
            (attempt.invoked_ns..=until_ns).contains(&call.at_ns)
                && call.keys.iter().all(|key| partition_in(key, table) == Some(&format!("order-{order_id}")))
        }
        _ => false,
    })
}

fn quiescence(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let quiet_from_ns = settings.drain_ended_at_ns.saturating_add(settings.quiescence_bound_ns);
    if settings.ended_at_ns < quiet_from_ns || quiet_from_ns == u64::MAX {
        return;
    }
    for call in service_calls(input).filter(|call| !is_watching(call, input)) {
        let problem = match call.finished_ns {
            _ if call.at_ns > quiet_from_ns => Some("A service still calls AWS after the drain and its bound."),
            None => Some("A service's call of AWS is still running at the end."),
            Some(finished_ns) if finished_ns > quiet_from_ns => {
                Some("A service's call of AWS ran on after the drain and its bound.")
            }
            Some(_) => None,
        };
        examination.expect(problem.is_none(), || {
            let violation = Violation::new(problem.unwrap_or_default()).at(call.at_ns).evidence(told(call));
            Violation { keys: call.keys.clone(), ..violation }
        });
    }
}

/// A consumer stands by for ever: it looks for work, holds its leases and reads what is parked.
fn is_watching(call: &AwsCall, input: &CheckInput) -> bool {
    let settings = &input.settings;
    let all_in = |table: &str| !call.keys.is_empty() && call.keys.iter().all(|key| is_in_table(key, table));
    settings.polling_operations.contains(&call.operation)
        || all_in(&settings.leases_table)
        || !call.is_write && all_in(&settings.parked_table)
}

fn is_in_table(key: &str, table: &str) -> bool {
    key == table || partition_in(key, table).is_some()
}
