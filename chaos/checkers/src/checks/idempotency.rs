//! One idempotency key, one command, one answer, one set of events.

use std::collections::BTreeMap;

use super::Check;
use crate::{
    CheckInput, Needs, StorageWrite, Violation,
    answer::Answer,
    canonical::payload_digest,
    finding::Examination,
    item::{StoredAnswer, StoredEvent, answers_written, events_written},
    sent::{Submission, is_kept, submissions, submissions_by_key},
};

pub(crate) const ANSWERS: Check = Check {
    name: "idempotency-answers",
    needs: Needs::ObservationOnly,
    describe: "All answers that are kept under one key are the same answer, one of them at most is given as new, and only one command is ever answered under a key.",
    run: answers,
};

pub(crate) const RECORDS: Check = Check {
    name: "idempotency-records",
    needs: Needs::GroundTruth,
    describe: "Each key has at most one set of events, written by one call, and one record that names exactly these and never changes; each event has its record.",
    run: records,
};

fn answers(input: &CheckInput, examination: &mut Examination) {
    let submissions = submissions(input);
    for (key, under_key) in submissions_by_key(&submissions) {
        let kept_for: Vec<_> = under_key.iter().filter(|submission| submission.first_kept_answer().is_some()).collect();
        examination.expect(kept_for.len() <= 1, || {
            let violation = Violation::new("Two different commands were answered under one idempotency key.").key(key);
            kept_for.iter().fold(violation, |violation, submission| {
                violation.evidence(submission.body.to_string()).operations(submission.operations())
            })
        });
        for submission in under_key {
            one_answer(submission, examination);
        }
    }
}

/// All answers to one command under one key.
fn one_answer(submission: &Submission<'_>, examination: &mut Examination) {
    let broken = |what: &str, evidence: Vec<String>| Violation {
        evidence,
        ..Violation::new(what).key(submission.key).operations(submission.operations())
    };
    let kept: Vec<_> = submission.attempts.iter().filter(|(_, answer)| is_kept(answer)).collect();
    if let Some(((_, first), later)) = kept.split_first() {
        let differing = later.iter().find(|(_, answer)| !is_same_answer(first, answer));
        examination.expect(differing.is_none(), || {
            let other = differing.map(|(_, answer)| format!("{answer:?}"));
            broken(
                "Two answers to one command under one key differ.",
                [Some(format!("{first:?}")), other].into_iter().flatten().collect(),
            )
        });
    }
    let is_new = |answer: &Answer| matches!(answer, Answer::Accepted(accepted) if !accepted.is_replayed);
    let new_count = kept.iter().filter(|(_, answer)| is_new(answer)).count();
    examination.expect(new_count <= 1, || {
        broken("One command was answered as newly carried out more than once.", vec![format!("{new_count} times")])
    });
    for (attempt, answer) in &submission.attempts {
        let Answer::Rejected { code } = answer else { continue };
        let contradicts = match code.as_str() {
            // Who reuses a key did not send the command that was answered under it.
            "idempotency-key-reused" => !kept.is_empty(),
            // A policy looks at nothing but the command and the role, a schema at nothing but the command.
            _ => kept.iter().any(|(other, answer)| matches!(answer, Answer::Accepted(_)) && other.role == attempt.role),
        };
        examination.expect(!contradicts, || {
            broken("One command under one key was both refused for good and answered.", vec![code.clone()])
        });
    }
}

fn is_same_answer(left: &Answer, right: &Answer) -> bool {
    match (left, right) {
        (Answer::Accepted(left), Answer::Accepted(right)) => {
            (&left.aggregate, left.version, &left.events) == (&right.aggregate, right.version, &right.events)
        }
        _ => left == right,
    }
}

fn records(input: &CheckInput, examination: &mut Examination) {
    let submissions = submissions(input);
    let sent = submissions_by_key(&submissions);
    let mut events: BTreeMap<String, Vec<(&StorageWrite, StoredEvent)>> = BTreeMap::new();
    for (write, event) in events_written(input) {
        events.entry(event.command_id.clone()).or_default().push((write, event));
    }
    let mut records: BTreeMap<String, (&StorageWrite, StoredAnswer)> = BTreeMap::new();
    for (write, record) in answers_written(input) {
        records.entry(record.key.clone()).or_insert((write, record));
    }
    unchanged_records(input, examination);
    for (key, written) in &events {
        let first_call = written[0].0.call_sequence;
        let is_one_call = written.iter().all(|(write, _)| write.call_sequence == first_call);
        examination.expect(is_one_call, || {
            let violation =
                Violation::new("The events of one idempotency key were written by more than one call.").key(key);
            written.iter().fold(violation, |violation, (write, event)| {
                violation.key(&write.key).evidence(format!("call {}: {}", write.call_sequence, event.label()))
            })
        });
        examination.expect(records.contains_key(key), || {
            Violation::new("Events have no idempotency record.").key(key).key(&written[0].0.key).at(written[0].0.at_ns)
        });
    }
    for (key, (write, record)) in &records {
        let written = events.get(key).map_or(&[][..], Vec::as_slice);
        let problem = record_problem(record, written);
        examination.expect(problem.is_none(), || {
            Violation::new(format!("An idempotency record {}.", problem.unwrap_or_default()))
                .key(&write.key)
                .at(write.at_ns)
                .evidence(format!("{record:?}"))
        });
        let bodies = sent.get(key.as_str()).map_or(&[][..], Vec::as_slice);
        let is_of_sent = bodies.iter().any(|submission| payload_digest(submission.body) == record.payload_digest);
        examination.expect(is_of_sent, || {
            Violation::new("An idempotency record is of a command that nobody sent under its key.")
                .key(&write.key)
                .at(write.at_ns)
                .operations(bodies.iter().flat_map(|submission| submission.operations()))
        });
    }
}

fn unchanged_records(input: &CheckInput, examination: &mut Examination) {
    let of_table = input.truth.writes.iter().filter(|write| write.table == input.settings.idempotency_table);
    for write in of_table {
        examination.expect(write.old_image.is_none(), || {
            let verb = if write.new_image.is_some() { "overwritten" } else { "deleted" };
            Violation::new(format!("An idempotency record was {verb}."))
                .key(&write.key)
                .at(write.at_ns)
                .evidence(format!("call {}", write.call_sequence))
        });
    }
}

fn record_problem(record: &StoredAnswer, written: &[(&StorageWrite, StoredEvent)]) -> Option<&'static str> {
    if !record.is_accepted {
        return (!written.is_empty()).then_some("says refused, yet its command has events");
    }
    let mut events: Vec<&StoredEvent> = written.iter().map(|(_, event)| event).collect();
    events.sort_by_key(|event| event.version);
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Some("says accepted, yet its command has no events");
    };
    if !events.iter().map(|event| &event.event_id).eq(&record.event_ids) {
        return Some("names other events than its command has");
    }
    if (record.first_version, record.last_version) != (Some(first.version), Some(last.version)) {
        return Some("names other versions than its events have");
    }
    (record.stream != first.stream).then_some("names another stream than its events are in")
}
