//! What a trial showed, as a set of names: an exploration goes where there are new ones.
//!
//! Each name tells one thing in one of the system's states: that a fault of a kind hit a class of calls while aggregates were
//! parked, that a rare goal was reached in a run in which a kind acted, that a service told a host a certain error. States are
//! named one dimension at a time and numbers by the power of two that they reach, or every trial would be new.

use std::collections::{BTreeMap, BTreeSet};

use nexus_cloud::{JournalEntry, MessageStepKind, UnixNanos};
use nexus_faults::{EnvironmentFault, Fault, PlannedFault};
use nexus_reports::{TrialRecord, Verdict};
use nexus_scenario::host_names;

use crate::{
    backlog::Backlog,
    play::{EPOCH_UNIX_NS, Played},
    trial::Trial,
};

/// What happened this long ago still shapes what happens now, in milliseconds: leases move, letters go round.
const RECENT_MS: u64 = 5_000;
/// Two faults that act within so many milliseconds on hosts of one sort are taken for one misfortune.
const CLOSE_MS: u64 = 2_000;

/// The features of a played and judged trial, sorted.
pub fn of(trial: &Trial, played: &Played, record: &TrialRecord) -> Vec<String> {
    let mut features = BTreeSet::new();
    let acts = acts(trial, played);
    faults_in_their_state(&acts, trial, played, &mut features);
    faults_together(&acts, &mut features);
    let kinds: BTreeSet<&str> = acts.iter().map(|act| act.kind).collect();
    for goal in record.goals.iter().filter(|goal| goal.reached) {
        features.insert(format!("goal {}", goal.name));
        features.extend(kinds.iter().map(|kind| format!("goal {} with {kind}", goal.name)));
    }
    for check in &record.checks {
        let outcome = if check.outcome == Verdict::Held { "" } else { " not held" };
        features.insert(format!("check {}{outcome}, examined {}", check.name, magnitude(check.examined)));
    }
    features.extend(record.coverage.iter().map(|(mark, times)| format!("mark {mark}, {}", magnitude(*times))));
    errors(played, &mut features);
    features.into_iter().collect()
}

/// 0, 1, 2, 4, 8 …: the largest power of two that is not above the number.
fn magnitude(number: u64) -> u64 {
    if number == 0 { 0 } else { 1 << number.ilog2() }
}

/// `router-2` is a router.
fn sort_of_host(host: &str) -> &str {
    match host.rsplit_once('-') {
        Some((sort, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => sort,
        _ => host,
    }
}

/// A fault that acted: when, of which kind, on what.
struct Act<'a> {
    at_ms: u64,
    kind: &'static str,
    /// Sort of host, or of call.
    class: String,
    host: &'a str,
}

fn acts<'a>(trial: &'a Trial, played: &'a Played) -> Vec<Act<'a>> {
    let mut calls = BTreeMap::new();
    for entry in &played.journal {
        if let JournalEntry::Call { call, .. } = entry {
            calls.insert(call.sequence, call);
        }
    }
    let mut acts: Vec<Act> = played
        .firings
        .iter()
        .filter_map(|firing| {
            let planned = trial.faults.iter().find(|planned| planned.id == firing.fault_id)?;
            let kind = planned.kind().name();
            let act = match firing.call_sequence.and_then(|sequence| calls.get(&sequence)) {
                Some(call) => Act {
                    at_ms: firing.at_ms,
                    kind,
                    class: format!("{} {}/{}", sort_of_host(&call.caller), call.service, call.operation),
                    host: &call.caller,
                },
                None => Act { at_ms: firing.at_ms, kind, class: class_of(planned), host: first_host(planned) },
            };
            Some(act)
        })
        .collect();
    acts.sort_by_key(|act| act.at_ms);
    acts
}

fn class_of(planned: &PlannedFault) -> String {
    match &planned.fault {
        // It acted on a call that was still running when the trial ended.
        Fault::Call { address, .. } => format!("{}/{}", address.service, address.operation.as_deref().unwrap_or("*")),
        Fault::Environment(EnvironmentFault::Operator { act, .. }) => act.kind().to_string(),
        Fault::Environment(fault) => {
            let sorts: BTreeSet<&str> = fault.hosts().into_iter().map(sort_of_host).collect();
            sorts.into_iter().collect::<Vec<_>>().join("+")
        }
    }
}

fn first_host(planned: &PlannedFault) -> &str {
    match &planned.fault {
        Fault::Call { address, .. } => address.host.as_deref().unwrap_or("*"),
        Fault::Environment(fault) => fault.hosts().first().copied().unwrap_or("*"),
    }
}

/// In which state the system was when each fault acted.
fn faults_in_their_state(acts: &[Act], trial: &Trial, played: &Played, features: &mut BTreeSet<String>) {
    let mut state = State::new(trial);
    let mut entries = played.journal.iter().peekable();
    for act in acts {
        while let Some(entry) = entries.next_if(|entry| elapsed_ms(time_of(entry)) < act.at_ms) {
            state.take(entry);
        }
        for named in state.names(act.at_ms, trial) {
            features.insert(format!("{} at {} while {named}", act.kind, act.class));
        }
    }
}

fn time_of(entry: &JournalEntry) -> UnixNanos {
    match entry {
        JournalEntry::Call { outcome, .. } => outcome.at,
        JournalEntry::Write { at, .. } | JournalEntry::StreamRecord { at, .. } => *at,
        JournalEntry::Message(step) => step.at,
        JournalEntry::SchemaVersion(step) => step.at,
    }
}

fn elapsed_ms(at: UnixNanos) -> u64 {
    at.since(UnixNanos(EPOCH_UNIX_NS)).as_millis() as u64
}

/// What the system is at, as far as it shows in storage and queues.
struct State {
    backlog: Backlog,
    lease_owners: BTreeMap<String, String>,
    lease_moved_ms: Option<u64>,
    redriven_ms: Option<u64>,
    dead_lettered_ms: Option<u64>,
    refused_ms: Option<u64>,
}

impl State {
    fn new(trial: &Trial) -> Self {
        Self {
            backlog: Backlog::new(trial.bus.is_there(), host_names(trial.topology.command_services)),
            lease_owners: BTreeMap::new(),
            lease_moved_ms: None,
            redriven_ms: None,
            dead_lettered_ms: None,
            refused_ms: None,
        }
    }

    fn take(&mut self, entry: &JournalEntry) {
        self.backlog.take(entry);
        let at_ms = elapsed_ms(time_of(entry));
        match entry {
            JournalEntry::Write { table, key, new_image: Some(image), .. } if table == "nexus-leases" => {
                let owner = image["owner"]["S"].as_str().unwrap_or_default().to_owned();
                if self.lease_owners.insert(key.clone(), owner.clone()).is_some_and(|before| before != owner) {
                    self.lease_moved_ms = Some(at_ms);
                }
            }
            JournalEntry::Message(step) if step.step == MessageStepKind::Moved => self.redriven_ms = Some(at_ms),
            JournalEntry::Message(step) if step.step == MessageStepKind::DeadLettered => {
                self.dead_lettered_ms = Some(at_ms);
            }
            JournalEntry::Call { outcome, .. } if outcome.status >= 500 || !outcome.delivered => {
                self.refused_ms = Some(at_ms);
            }
            _ => {}
        }
    }

    /// One name for each dimension.
    fn names(&self, at_ms: u64, trial: &Trial) -> Vec<String> {
        let (owed, parked) = self.backlog.owed();
        let recently = |then: Option<u64>| then.is_some_and(|then| at_ms.saturating_sub(then) <= RECENT_MS);
        let phase = trial.phases.named().into_iter().find(|(_, from, until)| (*from..*until).contains(&at_ms));
        let mut names = vec![
            format!("in {}", phase.map_or("drain", |(name, ..)| name)),
            format!("{} deliveries are owed", magnitude(owed as u64)),
        ];
        if parked > 0 {
            names.push(format!("{} aggregates are parked", magnitude(parked as u64)));
        }
        let recent = [
            (self.lease_moved_ms, "a lease moves"),
            (self.redriven_ms, "dead letters are redriven"),
            (self.dead_lettered_ms, "messages become dead letters"),
            (self.refused_ms, "something failed just before"),
        ];
        names.extend(recent.iter().filter(|(then, _)| recently(*then)).map(|(_, name)| (*name).to_owned()));
        let hosts_away = trial.faults.iter().filter(|planned| is_away(planned, at_ms)).count();
        if hosts_away > 0 {
            names.push(format!("{hosts_away} hosts are away"));
        }
        names
    }
}

fn is_away(planned: &PlannedFault, at_ms: u64) -> bool {
    let (from_ms, until_ms) = planned.window_ms();
    let takes_away =
        matches!(planned.fault, Fault::Environment(EnvironmentFault::Crash { .. } | EnvironmentFault::Pause { .. }));
    takes_away && (from_ms + 1..until_ms).contains(&at_ms)
}

/// Which kinds follow each other closely on hosts of one sort.
fn faults_together(acts: &[Act], features: &mut BTreeSet<String>) {
    for (position, first) in acts.iter().enumerate() {
        let sort = sort_of_host(first.host);
        let close = acts[position + 1..].iter().take_while(|later| later.at_ms <= first.at_ms + CLOSE_MS);
        for second in close.filter(|later| sort_of_host(later.host) == sort && later.kind != first.kind) {
            features.insert(format!("{} then {} on {sort}", first.kind, second.kind));
        }
    }
}

/// What hosts were told.
fn errors(played: &Played, features: &mut BTreeSet<String>) {
    for entry in &played.journal {
        let JournalEntry::Call { call, outcome } = entry else { continue };
        if let Some(code) = &outcome.error {
            features.insert(format!(
                "{} is told {code} by {}/{}",
                sort_of_host(&call.caller),
                call.service,
                call.operation
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_sort_and_numbers_of_a_magnitude_are_one() {
        let hosts =
            [("router-2", "router"), ("dlq-processor-1", "dlq-processor"), ("dynamodb-streams", "dynamodb-streams")];
        for (host, sort) in hosts {
            assert_eq!(sort_of_host(host), sort);
        }
        let magnitudes: Vec<u64> = [0, 1, 2, 3, 4, 7, 8, 1_000].into_iter().map(magnitude).collect();
        assert_eq!(magnitudes, [0, 1, 2, 2, 4, 4, 8, 512]);
    }
}
