//! The story of a played trial: what its journals tell, as steps, messages, states and the chain that leads to a violation.
//!
//! Nothing here is guessed: each step is an entry of the journal of AWS, an attempt of a customer, a firing of a fault or a
//! note of the director; each link of the chain rests on data that both ends share (a call's number, a key, the id of an
//! event or a message, an idempotency key, a host).

mod chain;
mod draft;
mod from_customers;
mod from_faults;
mod from_journal;
mod queues;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use nexus_reports_story::{Change, Facts, Fault, FaultPoint, Host, Message, Phase, STORY_FORMAT_VERSION, Step, Story};

use self::draft::{Draft, Drafts};
use crate::{child::TrialOutput, play::Played, trial::Trial};

/// Steps that a story keeps; the rest, far from any violation, only counts.
const STEPS_MAX: usize = 20_000;

/// Tells the story. `revision` and `profile` name the build that played it.
pub fn tell(trial: &Trial, played: &Played, output: &TrialOutput, revision: &str, profile: &str) -> Story {
    let mut drafts = Drafts::default();
    from_journal::add(&mut drafts, played);
    from_customers::add(&mut drafts, trial, played);
    from_faults::add(&mut drafts, trial, played);
    let drafts = drafts.in_order();
    let told = chain::Chain::of(&drafts, &output.violations);
    let hosts = hosts(trial, &drafts);
    let lane: BTreeMap<&str, usize> = hosts.iter().enumerate().map(|(lane, host)| (host.name.as_str(), lane)).collect();
    let kept = kept(&drafts, &told);
    let number = |position: usize| position as u32 + 1;
    let (mut steps, mut messages) = (Vec::new(), Vec::new());
    for position in kept.iter().copied() {
        let draft = &drafts[position];
        steps.push(step(draft, number(position), &lane));
        messages.extend(draft.messages.iter().map(|message| Message {
            step: number(position),
            from: lane[message.from.as_str()],
            to: lane[message.to.as_str()],
            sent_us: message.sent_us,
            arrived_us: message.arrived_us,
            outcome: message.outcome,
            is_answer: message.is_answer,
            label: message.label.clone(),
        }));
    }
    Story {
        story_format_version: STORY_FORMAT_VERSION,
        facts: facts(trial, output, revision, profile),
        ended_us: played.summary.simulated.as_micros() as u64,
        phases: phases(trial),
        steps_left_out: (drafts.len() - steps.len()) as u32,
        steps,
        messages,
        faults: faults(trial, output, &drafts, &lane),
        changes: changes(&drafts, &hosts, kept.first().copied().unwrap_or(0)),
        violations: told.violations(&output.violations),
        chain_left_out: told.left_out,
        chain: told.links(),
        hosts,
    }
}

fn facts(trial: &Trial, output: &TrialOutput, revision: &str, profile: &str) -> Facts {
    Facts {
        scenario: trial.scenario.clone(),
        seed: trial.seed,
        engine: trial.engine.clone(),
        revision: revision.to_owned(),
        profile: profile.to_owned(),
        trace_hash: output.record.trace_hash.clone(),
        verdict: output.record.verdict.as_str().to_owned(),
        reason: output.record.reason.clone(),
        operations: trial.workload.operations.len() as u64,
        planned_faults: trial.faults.len() as u64,
        planted_bug: trial.planted_bug.clone(),
        assumptions: trial.assumptions.names_in_use(),
    }
}

fn phases(trial: &Trial) -> Vec<Phase> {
    let phase = |(name, from_ms, until_ms): (&str, u64, u64)| Phase {
        name: name.to_owned(),
        from_us: from_ms * 1_000,
        until_us: until_ms * 1_000,
    };
    trial.phases.named().into_iter().map(phase).collect()
}

/// Where a host stands from top to bottom: along the way of an event.
const ORDER: [&str; 12] = [
    "customers",
    "orders-",
    "dynamodb",
    "dynamodb-streams",
    "router-",
    "kinesis",
    "projection-",
    "sns",
    "sqs",
    "notifier-",
    "dlq-processor-",
    "lambda",
];

fn rank(name: &str) -> usize {
    let known = |known: &&&str| if known.ends_with('-') { name.starts_with(**known) } else { name == **known };
    ORDER.iter().enumerate().find(|(_, wanted)| known(wanted)).map_or(ORDER.len(), |(rank, _)| rank)
}

fn hosts(trial: &Trial, drafts: &[Draft]) -> Vec<Host> {
    let mut names: BTreeSet<&str> = drafts.iter().map(|draft| draft.host.as_str()).collect();
    for message in drafts.iter().flat_map(|draft| &draft.messages) {
        names.extend([message.from.as_str(), message.to.as_str()]);
    }
    names.extend(trial.faults.iter().flat_map(from_faults::hosts_of));
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| (rank(name), *name));
    let is_endpoint = |name: &str| nexus_cloud::Service::ALL.iter().any(|service| service.name() == name);
    names.into_iter().map(|name| Host { name: name.to_owned(), is_endpoint: is_endpoint(name) }).collect()
}

/// All steps, or where there are too many: the chain, and what lies around the first violation, polls last of all.
fn kept(drafts: &[Draft], told: &chain::Chain) -> Vec<usize> {
    if drafts.len() <= STEPS_MAX {
        return (0..drafts.len()).collect();
    }
    let centre = told.centre().unwrap_or(drafts.len());
    let is_poll = |position: usize| drafts[position].kind == nexus_reports_story::StepKind::Poll;
    let mut wanted: Vec<usize> = (0..drafts.len()).collect();
    wanted.sort_by_key(|position| (!told.has(*position), is_poll(*position), position.abs_diff(centre)));
    wanted.truncate(STEPS_MAX);
    wanted.sort_unstable();
    wanted
}

fn step(draft: &Draft, number: u32, lane: &BTreeMap<&str, usize>) -> Step {
    Step {
        number,
        at_us: draft.at_us,
        until_us: draft.until_us,
        host: lane[draft.host.as_str()],
        kind: draft.kind,
        service: draft.service.clone(),
        aggregate: draft.aggregate.clone(),
        operation: draft.operation,
        call: draft.call,
        text: draft.text.clone(),
    }
}

/// All changes; of those before the first step that is kept only the last of each thing.
fn changes(drafts: &[Draft], hosts: &[Host], first_kept: usize) -> Vec<Change> {
    let mut current: BTreeMap<(String, String), Change> = BTreeMap::new();
    for host in hosts.iter().filter(|host| !host.is_endpoint) {
        let change = Change {
            step: 0,
            of: "host".to_owned(),
            name: host.name.clone(),
            before: None,
            after: Some("up".to_owned()),
        };
        current.insert(("host".to_owned(), host.name.clone()), change);
    }
    let mut later = Vec::new();
    let mut values: BTreeMap<(String, String), String> =
        current.iter().filter_map(|(key, change)| Some((key.clone(), change.after.clone()?))).collect();
    for (position, draft) in drafts.iter().enumerate() {
        for (of, name, after) in &draft.changes {
            let key = (of.clone(), name.clone());
            let before = match after {
                Some(value) => values.insert(key.clone(), value.clone()),
                None => values.remove(&key),
            };
            if before == *after {
                continue;
            }
            let change =
                Change { step: position as u32 + 1, of: of.clone(), name: name.clone(), before, after: after.clone() };
            if position < first_kept {
                current.insert(key, change);
            } else {
                later.push(change);
            }
        }
    }
    let mut changes: Vec<Change> = current.into_values().collect();
    changes.sort_by_key(|change| change.step);
    changes.extend(later);
    changes
}

fn faults(trial: &Trial, output: &TrialOutput, drafts: &[Draft], lane: &BTreeMap<&str, usize>) -> Vec<Fault> {
    let calls = drafts.iter().enumerate().filter(|(_, draft)| draft.is_call());
    let calls: BTreeMap<u64, u32> =
        calls.filter_map(|(position, draft)| Some((draft.call?, position as u32 + 1))).collect();
    let fault = |planned: &nexus_faults::PlannedFault| {
        let points = drafts.iter().enumerate().filter(|(_, draft)| draft.fault == Some(planned.id));
        let points = points.map(|(position, draft)| FaultPoint {
            at_us: draft.at_us,
            step: position as u32 + 1,
            call_step: draft.fault_call.and_then(|call| calls.get(&call).copied()),
        });
        let (from_ms, until_ms) = planned.window_ms();
        let record = output.record.faults.iter().find(|record| record.id == planned.id.to_string());
        let acted_until_us = record.and_then(|record| record.acted_until_ms).unwrap_or(until_ms) * 1_000;
        Fault {
            id: planned.id,
            kind: planned.kind().to_string(),
            contract: planned.contract().to_string(),
            address: planned.address(),
            from_us: from_ms * 1_000,
            // Windows of calls reach to the end of the chaos, however early the fault has acted.
            until_us: if record.is_some_and(|record| record.fired > 0) { acted_until_us } else { until_ms * 1_000 },
            hosts: from_faults::hosts_of(planned).into_iter().filter_map(|host| lane.get(host).copied()).collect(),
            points: points.collect(),
        }
    };
    trial.faults.iter().map(fault).collect()
}
