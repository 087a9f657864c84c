//! Rare states that a batch of trials must reach now and then: a run in which nothing rare happened proves little.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AwsCall, CheckInput,
    answer::Answer,
    bus_goals::bus_goals,
    checks::{idempotency_key_of, service_calls},
    item::{StoredEvent, events_written},
    sent::{Submission, submissions},
};

/// Each goal by name, and whether this run reached it. The list of names is the same for every run.
pub fn goals(input: &CheckInput) -> Vec<(&'static str, bool)> {
    let run = Run::of(input);
    let mut goals = vec![
        ("own-write-recognised-after-unknown", run.own_write_recognised()),
        ("conflict-decided-again", run.conflict_decided_again()),
        ("answer-replayed", run.any_answer(|answer| matches!(answer, Answer::Accepted(it) if it.is_replayed))),
        ("refusal-replayed", run.refusal_replayed()),
        ("sent-again-past-the-token-window", run.sent_past_token_window(input.settings.token_window_ns)),
        ("throttled-then-succeeded", run.throttled_then_succeeded()),
        ("unknown-then-answered", run.unknown_then_answered()),
        ("never-answered-but-took-effect", run.unanswered(true)),
        ("never-answered-and-no-effect", run.unanswered(false)),
        ("transaction-conflict", run.any_call(|call| has_code(call, "TransactionConflict"))),
        ("key-reuse-refused", run.rejected_with("idempotency-key-reused")),
        ("policy-denied", run.rejected_with("policy-denied")),
        ("schema-violation-refused", run.rejected_with("schema-violation")),
        ("domain-refusal", run.any_answer(|answer| matches!(answer, Answer::DomainRefused { .. }))),
        ("told-not-applied", run.any_answer(|answer| matches!(answer, Answer::NotApplied { .. }))),
        ("aggregate-contended", run.aggregate_contended()),
    ];
    goals.extend(bus_goals(input));
    goals
}

struct Run<'i> {
    submissions: Vec<Submission<'i>>,
    calls: Vec<&'i AwsCall>,
    /// Calls that write under an idempotency key, in order of arrival.
    writes_by_key: BTreeMap<&'i str, Vec<&'i AwsCall>>,
    events: Vec<StoredEvent>,
}

impl<'i> Run<'i> {
    fn of(input: &'i CheckInput) -> Self {
        let calls: Vec<&AwsCall> = service_calls(input).collect();
        let mut writes_by_key: BTreeMap<&str, Vec<&AwsCall>> = BTreeMap::new();
        for call in calls.iter().filter(|call| call.is_write) {
            if let Some(key) = idempotency_key_of(call, input) {
                writes_by_key.entry(key).or_default().push(call);
            }
        }
        let events = events_written(input).into_iter().map(|(_, event)| event).collect();
        Self { submissions: submissions(input), calls, writes_by_key, events }
    }

    fn any_answer(&self, wanted: impl Fn(&Answer) -> bool) -> bool {
        self.submissions.iter().flat_map(|submission| &submission.attempts).any(|(_, answer)| wanted(answer))
    }

    fn rejected_with(&self, wanted: &str) -> bool {
        self.any_answer(|answer| matches!(answer, Answer::Rejected { code } if code == wanted))
    }

    fn any_call(&self, wanted: impl Fn(&AwsCall) -> bool) -> bool {
        self.calls.iter().any(|call| wanted(call))
    }

    /// An applied write lost its answer, was sent again or looked up, and the client got the answer as a new one.
    fn own_write_recognised(&self) -> bool {
        self.submissions.iter().any(|submission| {
            let is_new = |answer: &Answer| matches!(answer, Answer::Accepted(accepted) if !accepted.is_replayed);
            let writes = self.writes_by_key.get(submission.key).map_or(&[][..], Vec::as_slice);
            let lost = |call: &&AwsCall| call.applied && (!call.delivered || call.status >= 500);
            let told = |call: &&AwsCall| call.applied && call.delivered && call.status == 200;
            let first_lost = writes.iter().position(lost);
            let is_first_applied = first_lost.is_some_and(|position| !writes[..position].iter().any(told));
            is_first_applied && submission.attempts.iter().any(|(_, answer)| is_new(answer))
        })
    }

    /// A condition failed, then the same command was written at another place.
    fn conflict_decided_again(&self) -> bool {
        self.writes_by_key.values().any(|writes| {
            writes.iter().enumerate().any(|(position, call)| {
                has_code(call, "ConditionalCheckFailed")
                    && writes[position + 1..].iter().any(|later| later.applied && later.keys != call.keys)
            })
        })
    }

    fn refusal_replayed(&self) -> bool {
        self.submissions.iter().any(|submission| {
            let refused = |answer: &Answer| matches!(answer, Answer::DomainRefused { .. });
            submission.attempts.iter().filter(|(_, answer)| refused(answer)).count() >= 2
        })
    }

    fn sent_past_token_window(&self, window_ns: u64) -> bool {
        let mut completed_ns: BTreeMap<&str, u64> = BTreeMap::new();
        self.calls.iter().any(|call| {
            let Some(token) = call.client_token.as_deref() else { return false };
            let is_past = completed_ns.get(token).is_some_and(|at_ns| call.at_ns > at_ns.saturating_add(window_ns));
            if let (true, Some(finished_ns)) = (call.applied, call.finished_ns) {
                completed_ns.entry(token).or_insert(finished_ns);
            }
            is_past
        })
    }

    fn throttled_then_succeeded(&self) -> bool {
        self.writes_by_key.values().any(|writes| {
            let throttled = writes.iter().position(|call| is_throttled(call));
            throttled.is_some_and(|position| writes[position + 1..].iter().any(|later| later.applied))
        })
    }

    fn unknown_then_answered(&self) -> bool {
        self.submissions.iter().any(|submission| {
            let unknown = submission.attempts.iter().position(|(_, answer)| *answer == Answer::Unknown);
            unknown.is_some_and(|position| submission.attempts[position + 1..].iter().any(|(_, it)| it.is_final()))
        })
    }

    fn unanswered(&self, took_effect: bool) -> bool {
        self.submissions.iter().any(|submission| {
            let is_pending = submission.first_kept_answer().is_none() && submission.is_in_doubt();
            is_pending && self.events.iter().any(|event| submission.explains(event)) == took_effect
        })
    }

    /// Two commands met: both wanted the same place in a stream.
    fn aggregate_contended(&self) -> bool {
        let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (key, writes) in &self.writes_by_key {
            for place in writes.iter().flat_map(|call| &call.keys).filter(|place| !place.ends_with(key)) {
                places.entry(place).or_default().insert(key);
            }
        }
        places.values().any(|keys| keys.len() >= 2)
    }
}

fn has_code(call: &AwsCall, code: &str) -> bool {
    call.cancellation_codes.iter().any(|found| found == code)
        || call.error.as_deref().is_some_and(|error| error.strip_suffix("Exception") == Some(code))
}

fn is_throttled(call: &AwsCall) -> bool {
    ["ProvisionedThroughputExceeded", "ThrottlingError", "Throttling"].iter().any(|code| has_code(call, code))
        || call.error.as_deref() == Some("RequestLimitExceeded")
}
