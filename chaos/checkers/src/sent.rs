//! Attempts put together by what they asked for.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Attempt, CheckInput, Request, StorageWrite,
    answer::Answer,
    canonical::canonical_json,
    command::explains,
    item::{StoredEvent, events_written},
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

/// The events that one call left under one key.
pub(crate) struct Decision<'i> {
    pub key: String,
    pub events: Vec<(&'i StorageWrite, StoredEvent)>,
}

impl Decision<'_> {
    /// The submissions under its key that explain the most of it. Two commands that differ in one field may both explain an
    /// event which that field is not in: the whole decision tells them apart.
    pub(crate) fn sources<'s, 'i>(
        &self,
        submissions: &BTreeMap<&str, Vec<&'s Submission<'i>>>,
    ) -> Vec<&'s Submission<'i>> {
        let under_key = submissions.get(self.key.as_str()).map_or(&[][..], Vec::as_slice);
        let explained =
            |submission: &&Submission<'_>| self.events.iter().filter(|(_, event)| submission.explains(event)).count();
        let most = under_key.iter().map(explained).max().unwrap_or(0);
        under_key.iter().copied().filter(|submission| most > 0 && explained(submission) == most).collect()
    }
}

/// Every decision of which something lies in storage, in the order of storage.
pub(crate) fn decisions(input: &CheckInput) -> Vec<Decision<'_>> {
    let mut decisions: Vec<Decision<'_>> = Vec::new();
    let mut places: BTreeMap<(u64, String), usize> = BTreeMap::new();
    for (write, event) in events_written(input) {
        let key = event.command_id.clone();
        let place = *places.entry((write.call_sequence, key.clone())).or_insert(decisions.len());
        if place == decisions.len() {
            decisions.push(Decision { key, events: Vec::new() });
        }
        decisions[place].events.push((write, event));
    }
    decisions
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
