//! Playing a trial for what its calls were, not only for its verdict: exhaustion begins with that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicBool,
};

use nexus_cloud::{JournalEntry, UnixNanos};
use nexus_scenario::host_names;
use nexus_swarm::lineage::{RecordedCall, Rescuer, rescuers};
use serde::{Deserialize, Serialize};

use crate::{
    backlog::Backlog,
    child::{ChildError, TrialOutput, converse},
    judge::judge,
    play::{EPOCH_UNIX_NS, Played, play},
    trial::Trial,
};

/// The hidden sub-command by which the laboratory starts itself for one recording.
pub const RECORD_COMMAND: &str = "record";
/// So many sorts of calls that stood in for one that was hit are told.
const RESCUERS_MAX: usize = 3;

/// What the parent asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    pub trial: Trial,
    /// Send every call back; else only those that stood in for one that a fault hit.
    pub want_calls: bool,
}

/// What comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    pub output: TrialOutput,
    /// In order of arrival.
    pub calls: Vec<RecordedCall>,
    /// Calls that stood in for the first one that a fault hit.
    pub rescuers: Vec<Rescuer>,
}

/// Plays, judges and records a trial in this process.
pub fn record(request: &RecordRequest) -> Recorded {
    let played = play(&request.trial);
    let output = judge(&request.trial, &played, false);
    let calls = recorded_calls(&request.trial, &played);
    let hit = played.firings.iter().filter_map(|firing| firing.call_sequence).min();
    let until_ms = request.trial.phases.chaos_window_ms().1;
    let rescuers = hit.map(|sequence| rescuers(&calls, sequence, until_ms, RESCUERS_MAX)).unwrap_or_default();
    Recorded { output, calls: if request.want_calls { calls } else { Vec::new() }, rescuers }
}

/// The same in a process of its own.
///
/// # Errors
/// If the process could not be started, died, took too long or was stopped.
pub fn record_in_child(request: &RecordRequest, stop: &AtomicBool) -> Result<Recorded, ChildError> {
    converse(RECORD_COMMAND, &request.trial, request, stop)
}

fn recorded_calls(trial: &Trial, played: &Played) -> Vec<RecordedCall> {
    let mut effective = BTreeSet::new();
    let mut backlog = Backlog::new(trial.bus.is_there(), host_names(trial.topology.command_services));
    // When something began, or ceased, to be owed.
    let mut owing_since: BTreeMap<u64, bool> = BTreeMap::new();
    for entry in &played.journal {
        let at = match entry {
            JournalEntry::Call { outcome, .. } => outcome.at,
            JournalEntry::Write { call_sequence, at, .. } => {
                effective.insert(*call_sequence);
                *at
            }
            JournalEntry::StreamRecord { at, .. } => *at,
            JournalEntry::Message(step) => {
                effective.insert(step.call_sequence);
                step.at
            }
            JournalEntry::SchemaVersion(step) => {
                effective.insert(step.call_sequence);
                step.at
            }
        };
        backlog.take(entry);
        owing_since.insert(at.0, backlog.owed() != (0, 0));
    }
    let is_owing = |at: UnixNanos| owing_since.range(..at.0).next_back().is_some_and(|(_, owing)| *owing);
    let mut calls: Vec<RecordedCall> = played
        .journal
        .iter()
        .filter_map(|entry| {
            let JournalEntry::Call { call, outcome } = entry else { return None };
            Some(RecordedCall {
                at_ms: call.at.since(UnixNanos(EPOCH_UNIX_NS)).as_millis() as u64,
                status: outcome.status,
                error: outcome.error.clone(),
                delivered: outcome.delivered,
                has_effect: effective.contains(&call.sequence),
                is_owing: is_owing(call.at),
                call: call.clone(),
            })
        })
        .collect();
    calls.sort_by_key(|recorded| recorded.call.sequence);
    calls
}
