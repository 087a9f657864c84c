//! A transaction that is sent again carries the token that it carried before.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Check,
    calls::{idempotency_key_of, service_calls, told},
};
use crate::{AwsCall, CheckInput, Needs, Violation, finding::Examination};

pub(crate) const STABLE_TOKEN: Check = Check {
    name: "stable-token",
    needs: Needs::GroundTruth,
    describe: "A transaction on the same items is sent again under the same token, unless the earlier one was refused for certain or a client's further request began a new execution.",
    run: stable_token,
};

fn stable_token(input: &CheckInput, examination: &mut Examination) {
    let mut by_items: BTreeMap<Vec<&str>, Vec<&AwsCall>> = BTreeMap::new();
    for call in service_calls(input).filter(|call| call.is_write && call.is_transaction) {
        let mut items: Vec<&str> = call.keys.iter().map(String::as_str).collect();
        items.sort_unstable();
        by_items.entry(items).or_default().push(call);
    }
    let requests = requests_by_key(input);
    for calls in by_items.values() {
        for (position, call) in calls.iter().enumerate() {
            let requested = idempotency_key_of(call, input).and_then(|key| requests.get(key));
            let executions =
                requested.map_or(1, |times| times.iter().filter(|at_ns| **at_ns <= call.at_ns).count().max(1));
            examine_call(call, &calls[..position], executions, examination);
        }
    }
}

fn requests_by_key(input: &CheckInput) -> BTreeMap<&str, Vec<u64>> {
    let mut requests: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for attempt in &input.observation.attempts {
        if let Some(key) = &attempt.idempotency_key {
            requests.entry(key).or_default().push(attempt.invoked_ns);
        }
    }
    requests
}

/// Each execution keeps to one token for as long as it may have taken effect, so there cannot be more such tokens
/// than executions.
fn examine_call(call: &AwsCall, earlier: &[&AwsCall], executions: usize, examination: &mut Examination) {
    let Some(token) = &call.client_token else {
        examination.examine();
        let violation = Violation::new("A transaction carries no token.").at(call.at_ns).evidence(told(call));
        examination.violation(Violation { keys: call.keys.clone(), ..violation });
        return;
    };
    let is_fresh = earlier.iter().all(|earlier| earlier.client_token.as_ref() != Some(token));
    let open: BTreeSet<&str> = earlier
        .iter()
        .filter(|earlier| !is_refused_for_certain(earlier, call.at_ns))
        .filter_map(|earlier| earlier.client_token.as_deref())
        .collect();
    examination.expect(!is_fresh || open.len() < executions, || {
        let what = "A transaction was sent again under a fresh token although the earlier one may have taken effect.";
        let violation = Violation::new(what).at(call.at_ns).evidence(told(call));
        let violation = earlier.iter().fold(violation, |violation, earlier| violation.evidence(told(earlier)));
        Violation { keys: call.keys.clone(), ..violation }
    });
}

fn is_refused_for_certain(call: &AwsCall, at_ns: u64) -> bool {
    let is_answered = call.delivered && call.finished_ns.is_some_and(|finished_ns| finished_ns <= at_ns);
    is_answered && call.status == 400 && !call.applied
}
