//! Steps out of the firings of faults and the notes of the director.

use nexus_faults::{EnvironmentFault, Fault, PlannedFault};
use nexus_reports_story::StepKind;

use super::draft::{Draft, Drafts, Nature};
use crate::{
    play::{EPOCH_UNIX_NS, Played},
    trial::Trial,
};

/// Where faults are told that are about no host of the world.
const OPERATORS: &str = "operators";

/// The hosts that a fault is about.
pub fn hosts_of(planned: &PlannedFault) -> Vec<&str> {
    match &planned.fault {
        Fault::Call { address, .. } => address.host.as_deref().into_iter().collect(),
        Fault::Environment(EnvironmentFault::Operator { .. }) => vec![OPERATORS],
        Fault::Environment(fault) => fault.hosts(),
    }
}

pub fn add(drafts: &mut Drafts, trial: &Trial, played: &Played) {
    let calls: std::collections::BTreeMap<u64, (u64, String)> = drafts
        .iter()
        .filter(|draft| draft.is_call())
        .filter_map(|draft| Some((draft.call?, (draft.at_us, draft.host.clone()))))
        .collect();
    let firing = |firing: &nexus_faults::Firing| {
        let planned = trial.faults.iter().find(|planned| planned.id == firing.fault_id)?;
        let call = firing.call_sequence.and_then(|sequence| calls.get(&sequence));
        let host = match (call, hosts_of(planned).first()) {
            (Some((_, caller)), _) => caller.clone(),
            (None, Some(host)) => (*host).to_owned(),
            (None, None) => OPERATORS.to_owned(),
        };
        let on = firing.call_sequence.map_or(String::new(), |sequence| format!(" on call {sequence}"));
        let text = format!("fault {} acts{on}: {}, {}", planned.id, planned.kind(), planned.address());
        // The ledger counts milliseconds; the call that was hit knows its moment better.
        let at_us = call.map_or(firing.at_ms * 1_000, |(at_us, _)| *at_us);
        let mut draft = Draft::new(at_us, host, StepKind::Fault, text);
        draft.nature = Nature::Firing;
        draft.fault = Some(planned.id);
        draft.fault_call = firing.call_sequence;
        draft.fault_hosts = hosts_of(planned).into_iter().map(str::to_owned).collect();
        if let Fault::Environment(_) = &planned.fault {
            draft.until_us = Some(planned.window_ms().1 * 1_000).filter(|until_us| *until_us > at_us);
            draft.changes = lasting(planned);
        }
        Some(draft)
    };
    played.firings.iter().filter_map(firing).for_each(|draft| drafts.push(draft));
    played.trace.lines.iter().filter_map(|line| noted(line)).for_each(|draft| drafts.push(draft));
}

/// A fault that lasts is part of the state until its end.
fn lasting(planned: &PlannedFault) -> Vec<(String, String, Option<String>)> {
    let (from_ms, until_ms) = planned.window_ms();
    if until_ms <= from_ms || matches!(planned.fault, Fault::Environment(EnvironmentFault::Crash { .. })) {
        return Vec::new();
    }
    vec![("fault".to_owned(), planned.id.to_string(), Some(format!("{}: {}", planned.kind(), planned.address())))]
}

/// What the director notes of hosts that go and come, and of faults that end.
fn noted(line: &str) -> Option<Draft> {
    let (time, rest) = line.split_once(' ')?;
    let text = rest.strip_prefix("director ")?;
    let (seconds, nanoseconds) = time.split_once('.')?;
    let at_us = seconds.parse::<u64>().ok()? * 1_000_000 + nanoseconds.parse::<u64>().ok()? / 1_000;
    let draft = |host: &str, nature: Nature, state: &str| {
        let mut draft = Draft::new(at_us, host, StepKind::Host, text.to_owned());
        draft.nature = nature;
        draft.changes.push(("host".to_owned(), host.to_owned(), Some(state.to_owned())));
        draft
    };
    if let Some(rest) = text.strip_prefix("crash ") {
        let (host, until) = rest.split_once(" until ")?;
        return Some(draft(host, Nature::Crash, &format!("down until {until}")));
    }
    if let Some(host) = text.strip_prefix("restart ") {
        return Some(draft(host, Nature::Restart, "up"));
    }
    let id = text.strip_prefix("fault ")?.strip_suffix(" ends")?;
    let mut ended = Draft::new(at_us, OPERATORS, StepKind::Host, text.to_owned());
    ended.changes.push(("fault".to_owned(), id.to_owned(), None));
    Some(ended)
}

/// Nanoseconds since the epoch as microseconds of the trial.
pub fn us_of(at_ns: u64) -> u64 {
    at_ns.saturating_sub(EPOCH_UNIX_NS) / 1_000
}
