//! Attempts put together by what they asked for.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Attempt, CheckInput, Request, answer::Answer, canonical::canonical_json, command::explains, item::StoredEvent,
};

/// All attempts, by whomever and in whichever operation, to have one command carried out under one idempotency key.
pub(crate) struct Submission<'i> {
    pub key: &'i str,
    pub body: &'i Value,
    /// In order of invocation.
    pub attempts: Vec<(&'i Attempt, Answer)>,
}

impl<'i> Submission<'i> {
    pub(crate) fn operations(&self) -> impl Iterator<Item = u32> {
        self.attempts.iter().map(|(attempt, _)| attempt.operation)
    }

    pub(crate) fn invoked_ns(&self) -> u64 {
        self.attempts.iter().map(|(attempt, _)| attempt.invoked_ns).min().unwrap_or(0)
    }

    /// Whether an event in storage says what this command asked for.
    pub(crate) fn explains(&self, event: &StoredEvent) -> bool {
        event.command_id == self.key && self.explains_content(event)
    }

    fn explains_content(&self, event: &StoredEvent) -> bool {
        explains(self.body, &event.stream, &event.event_type, event.schema_version, &event.payload_json())
    }

    /// The earliest answer that is kept under the key: an acceptance or a refusal by the domain.
    pub(crate) fn first_kept_answer(&self) -> Option<(u64, &Answer)> {
        let kept = self.attempts.iter().filter(|(_, answer)| is_kept(answer));
        kept.filter_map(|(attempt, answer)| Some((attempt.completed_ns?, answer))).min_by_key(|&(at_ns, _)| at_ns)
    }

    /// Whether some attempt may have taken effect without anyone having seen its answer.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.attempts.iter().any(|(_, answer)| matches!(answer, Answer::Unknown | Answer::Malformed { .. }))
    }

    pub(crate) fn has_acceptance(&self) -> bool {
        self.attempts.iter().any(|(_, answer)| matches!(answer, Answer::Accepted(_)))
    }
}

/// Whether an answer is one that the idempotency record gives again.
pub(crate) fn is_kept(answer: &Answer) -> bool {
    matches!(answer, Answer::Accepted(_) | Answer::DomainRefused { .. })
}

/// All commands that were sent with a key, by key and then by command.
pub(crate) fn submissions(input: &CheckInput) -> Vec<Submission<'_>> {
    let mut by_command: BTreeMap<(&str, String), Submission<'_>> = BTreeMap::new();
    for attempt in &input.observation.attempts {
        let (Request::Command(body), Some(key)) = (&attempt.request, &attempt.idempotency_key) else { continue };
        let submission = by_command.entry((key, canonical_json(body))).or_insert_with(|| Submission {
            key,
            body,
            attempts: Vec::new(),
        });
        submission.attempts.push((attempt, Answer::of(attempt)));
    }
    let mut submissions: Vec<_> = by_command.into_values().collect();
    for submission in &mut submissions {
        submission.attempts.sort_by_key(|(attempt, _)| (attempt.invoked_ns, attempt.operation, attempt.attempt));
    }
    submissions
}

/// The same by key: more than one command under a key means that the key was reused.
pub(crate) fn submissions_by_key<'s, 'i>(
    submissions: &'s [Submission<'i>],
) -> BTreeMap<&'i str, Vec<&'s Submission<'i>>> {
    let mut by_key: BTreeMap<&str, Vec<&Submission<'_>>> = BTreeMap::new();
    for submission in submissions {
        by_key.entry(submission.key).or_default().push(submission);
    }
    by_key
}
