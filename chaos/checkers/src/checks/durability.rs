//! What was acknowledged is in storage; what was refused is not; and nothing else is.

use std::collections::BTreeMap;

use super::Check;
use crate::{
    CheckInput, Needs, SentCommand, StorageWrite, Violation,
    answer::{Accepted, Answer},
    finding::Examination,
    item::{StoredEvent, event_key, events_written, final_streams},
    sent::{Submission, decisions, submissions, submissions_by_key},
};

pub(crate) const ACKNOWLEDGED_DURABLE: Check = Check {
    name: "acknowledged-durable",
    needs: Needs::GroundTruth,
    describe: "The events of every acknowledged command lie in storage with the ids, types and versions that were acknowledged.",
    run: acknowledged_durable,
};

pub(crate) const REFUSED_ABSENT: Check = Check {
    name: "refused-absent",
    needs: Needs::GroundTruth,
    describe: "A command that was refused (by the domain, a policy, a schema, for its reused key), or whose every attempt was told as not applied, has left no event.",
    run: refused_absent,
};

pub(crate) const NO_PHANTOM: Check = Check {
    name: "no-phantom",
    needs: Needs::GroundTruth,
    describe: "Every stored event follows from a command that some client had sent before, under the key that the event names.",
    run: no_phantom,
};

pub(crate) const WHOLE_DECISIONS: Check = Check {
    name: "whole-decisions",
    needs: Needs::GroundTruth,
    describe: "A command leaves all of its events or none: those that it asks for, in their order, at versions side by side in one stream.",
    run: whole_decisions,
};

fn acknowledged_durable(input: &CheckInput, examination: &mut Examination) {
    let streams = final_streams(input);
    for submission in submissions(input) {
        for (attempt, answer) in &submission.attempts {
            let Answer::Accepted(accepted) = answer else { continue };
            for missing in missing_events(accepted, submission.key, &streams, examination) {
                let mut violation =
                    Violation::new(format!("An acknowledged event is not in storage as acknowledged: {missing}."))
                        .key(format!("{}/{}", input.settings.events_table, accepted.aggregate))
                        .key(submission.key)
                        .operations([attempt.operation]);
                violation.at_ns = attempt.completed_ns;
                examination.violation(violation);
            }
        }
    }
}

fn missing_events(
    accepted: &Accepted,
    key: &str,
    streams: &BTreeMap<String, Vec<StoredEvent>>,
    examination: &mut Examination,
) -> Vec<String> {
    let stored = streams.get(&accepted.aggregate).map_or(&[][..], Vec::as_slice);
    let mut missing = Vec::new();
    for event in &accepted.events {
        examination.examine();
        let wanted = format!("{} version {} with id {}", event.event_type, event.version, event.event_id);
        match stored.iter().find(|found| found.version == event.version) {
            None => missing.push(format!("{wanted}; nothing lies there")),
            Some(found) => {
                let is_it =
                    found.event_id == event.event_id && found.event_type == event.event_type && found.command_id == key;
                if !is_it {
                    missing.push(format!("{wanted}; instead lies {} of command {}", found.label(), found.command_id));
                }
            }
        }
    }
    missing
}

fn refused_absent(input: &CheckInput, examination: &mut Examination) {
    let submissions = submissions(input);
    let by_key = submissions_by_key(&submissions);
    let mut left: BTreeMap<&str, Vec<(&Submission<'_>, &StorageWrite, &StoredEvent)>> = BTreeMap::new();
    let decisions = decisions(input);
    for decision in &decisions {
        for source in decision.sources(&by_key) {
            let explained = decision.events.iter().filter(|(_, event)| source.explains(event));
            left.entry(source.key).or_default().extend(explained.map(|(write, event)| (source, *write, event)));
        }
    }
    for submission in &submissions {
        let Some(told) = told_as_absent(submission) else { continue };
        let under_key = left.get(submission.key).map_or(&[][..], Vec::as_slice);
        let found = under_key.iter().find(|(source, ..)| std::ptr::eq(*source, submission));
        examination.expect(found.is_none(), || {
            let violation = Violation::new(format!("A command that was told as {told} left an event in storage."))
                .key(submission.key)
                .operations(submission.operations());
            match found {
                Some((_, write, event)) => violation
                    .key(event_key(&input.settings.events_table, event))
                    .at(write.at_ns)
                    .evidence(event.label()),
                None => violation,
            }
        });
    }
}

/// How clients were told that the command had no effect; `None` if that was not said, or not for certain.
fn told_as_absent(submission: &Submission<'_>) -> Option<String> {
    if submission.has_acceptance() {
        return None;
    }
    let refusal = submission.attempts.iter().find_map(|(_, answer)| match answer {
        Answer::DomainRefused { code } => Some(code),
        Answer::Rejected { code } => Some(code),
        _ => None,
    });
    let first_role = &submission.attempts.first()?.0.role;
    match refusal {
        // Another role may rightly have done what this one may not.
        Some(code)
            if code == "policy-denied"
                && submission.attempts.iter().any(|(attempt, _)| attempt.role != *first_role) =>
        {
            None
        }
        Some(code) => Some(format!("refused ({code})")),
        None if submission.attempts.iter().all(|(_, answer)| matches!(answer, Answer::NotApplied { .. })) => {
            Some("not applied".to_owned())
        }
        None => None,
    }
}

fn no_phantom(input: &CheckInput, examination: &mut Examination) {
    let submissions = submissions(input);
    let by_key = submissions_by_key(&submissions);
    for decision in decisions(input) {
        let under_key = by_key.get(decision.key.as_str()).map_or(&[][..], Vec::as_slice);
        let sources = decision.sources(&by_key);
        for (write, event) in &decision.events {
            let explaining = sources.iter().filter(|submission| submission.explains(event));
            let problem = match explaining.map(|submission| submission.invoked_ns()).min() {
                None if under_key.is_empty() => Some("names a command that no client sent"),
                None => Some("does not say what the command under its key asked for"),
                Some(invoked_ns) if invoked_ns > write.at_ns => Some("was there before its command was sent"),
                Some(_) => None,
            };
            examination.expect(problem.is_none(), || {
                Violation::new(format!("A stored event {}.", problem.unwrap_or_default()))
                    .key(event_key(&input.settings.events_table, event))
                    .key(&event.command_id)
                    .at(write.at_ns)
                    .evidence(format!("{}: {}", event.label(), event.payload))
                    .operations(under_key.iter().flat_map(|submission| submission.operations()))
            });
        }
    }
}

fn whole_decisions(input: &CheckInput, examination: &mut Examination) {
    let submissions = submissions(input);
    let by_key = submissions_by_key(&submissions);
    let mut left: BTreeMap<String, Vec<StoredEvent>> = BTreeMap::new();
    for (_, event) in events_written(input) {
        left.entry(event.command_id.clone()).or_default().push(event);
    }
    for (key, mut events) in left {
        events.sort_by_key(|event| event.version);
        let Some(first) = events.first() else { continue };
        let under_key = by_key.get(key.as_str()).map_or(&[][..], Vec::as_slice);
        let explained =
            |submission: &&&Submission<'_>| events.iter().filter(|event| submission.explains(event)).count();
        // Events that nobody asked for are another check's business.
        let source = under_key.iter().rev().max_by_key(explained).filter(|submission| explained(submission) > 0);
        let Some(source) = source else { continue };
        let Some(command) = SentCommand::read(source.body) else { continue };
        let is_whole = events.iter().map(|event| event.event_type.as_str()).eq(command.event_types().iter().copied())
            && events.iter().map(|event| event.version).eq(first.version..first.version + events.len() as u64)
            && events.iter().all(|event| event.stream == first.stream);
        examination.expect(is_whole, || {
            let wanted = command.event_types().join(", ");
            let violation = Violation::new(format!("A command left other events than the ones it asks for: {wanted}."))
                .key(event_key(&input.settings.events_table, first))
                .key(&key)
                .operations(source.operations());
            events.iter().fold(violation, |violation, event| violation.evidence(event.label()))
        });
    }
}
