//! Which calls stood in for one that failed: what made the outcome come about all the same.
//!
//! A fault that a system survives was survived by something: the same call made again, a look at what the lost one left, another
//! host that took over. Whether *that* may fail too is the question that pairs of faults ask; pairs that have nothing to do with
//! each other ask nothing that single faults did not.

use std::collections::BTreeSet;

use nexus_cloud::Call;
use nexus_faults::CallAddress;
use serde::{Deserialize, Serialize};

/// A call of a played trial, with as much of its outcome as a choice among calls needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedCall {
    pub call: Call,
    /// When it arrived, in milliseconds since the trial's start.
    pub at_ms: u64,
    pub status: u16,
    pub error: Option<String>,
    pub delivered: bool,
    /// It changed storage, or moved a message.
    pub has_effect: bool,
    /// Something was on its way from a customer to a consumer when it arrived.
    pub is_owing: bool,
}

impl RecordedCall {
    fn succeeded(&self) -> bool {
        self.delivered && self.error.is_none() && self.status == 200
    }
}

/// How a call stood in for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rescue {
    /// The same host made the same call about the same thing once more.
    Again,
    /// The same host asked otherwise about the same thing.
    LookedUp,
    /// Another host made the same call about the same thing.
    TakenOver,
}

/// A call that stood in, with its address in the very run in which it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rescuer {
    pub rescue: Rescue,
    pub address: CallAddress,
    pub at_ms: u64,
}

/// The address of one recorded call: exactly this one, as long as the run up to it is the same. `calls` are in order of
/// arrival.
pub fn address_of(calls: &[RecordedCall], position: usize, until_ms: u64) -> CallAddress {
    let call = &calls[position].call;
    let mut address = CallAddress {
        host: Some(call.caller.clone()),
        service: call.service,
        operation: Some(call.operation.clone()),
        key: call.keys.first().cloned(),
        from_ms: 0,
        until_ms,
        nth: 1,
        count: 1,
    };
    let earlier = calls[..position].iter().filter(|other| address.matches(&other.call, other.at_ms)).count();
    address.nth = earlier as u32 + 1;
    address
}

/// What a call is about: its keys, and for an event also its stream, since another version of it will do.
fn subjects(call: &Call) -> BTreeSet<&str> {
    let mut subjects = BTreeSet::new();
    for key in &call.keys {
        subjects.insert(key.as_str());
        if let Some((stream, version)) = key.rsplit_once('/')
            && !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_digit())
        {
            subjects.insert(stream);
        }
    }
    subjects
}

/// The first call of each sort that stood in for the one of this sequence number; at most `at_most`, in order of arrival.
pub fn rescuers(calls: &[RecordedCall], hit_sequence: u64, until_ms: u64, at_most: usize) -> Vec<Rescuer> {
    let Some(hit) = calls.iter().find(|recorded| recorded.call.sequence == hit_sequence) else { return Vec::new() };
    let wanted = subjects(&hit.call);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (position, later) in calls.iter().enumerate() {
        let is_candidate = later.call.sequence > hit_sequence && later.at_ms < until_ms && later.succeeded();
        if !is_candidate || found.len() >= at_most || subjects(&later.call).is_disjoint(&wanted) {
            continue;
        }
        let Some(rescue) = rescue(&hit.call, &later.call) else { continue };
        if seen.insert((rescue, later.call.caller.as_str(), later.call.operation.as_str())) {
            found.push(Rescuer { rescue, address: address_of(calls, position, until_ms), at_ms: later.at_ms });
        }
    }
    found
}

fn rescue(hit: &Call, later: &Call) -> Option<Rescue> {
    let is_same_call = hit.service == later.service && hit.operation == later.operation;
    match (hit.caller == later.caller, is_same_call) {
        (true, true) => Some(Rescue::Again),
        (true, false) => Some(Rescue::LookedUp),
        (false, true) => Some(Rescue::TakenOver),
        (false, false) => None,
    }
}
