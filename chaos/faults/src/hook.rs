//! Makes the planned call faults happen inside the simulated AWS, and keeps the ledger of what fired.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nexus_cloud::{Call, CallHook, CallOutcome, CallPlan, UnixNanos};

use crate::{CallEffect, Fault, PlannedFault};

/// One fault acted once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    pub fault_id: u32,
    pub at_ms: u64,
    /// The call it acted on; none for faults of the environment.
    pub call_sequence: Option<u64>,
    /// The host that made that call.
    pub caller: Option<String>,
}

/// A host that must lose power now, because a call reached the point where its fault waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashRequest {
    pub fault_id: u32,
    pub host: String,
    pub down_ms: u64,
}

#[derive(Debug, Default)]
struct LedgerState {
    firings: Vec<Firing>,
    crash_requests: Vec<CrashRequest>,
}

/// What fired so far, shared by the hook (call faults) and the director (faults of the environment).
#[derive(Clone, Debug, Default)]
pub struct FaultLedger {
    state: Arc<Mutex<LedgerState>>,
}

impl FaultLedger {
    pub fn record(&self, firing: Firing) {
        self.lock().firings.push(firing);
    }

    pub fn firings(&self) -> Vec<Firing> {
        self.lock().firings.clone()
    }

    /// Hosts that must crash now; each is handed out once.
    pub fn take_crash_requests(&self) -> Vec<CrashRequest> {
        std::mem::take(&mut self.lock().crash_requests)
    }

    fn lock(&self) -> MutexGuard<'_, LedgerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of every call and how it ended.
type OutcomeListener = Box<dyn FnMut(&Call, &CallOutcome) + Send>;

/// The cloud's hook for one trial's plan.
pub struct PlanHook {
    epoch: UnixNanos,
    faults: Vec<PlannedFault>,
    /// Matches seen so far, by fault id.
    matches: BTreeMap<u32, u32>,
    ledger: FaultLedger,
    /// Called whenever a host must crash at once.
    on_crash: Box<dyn Fn() + Send>,
    /// Sees every call with what befalls it, for the trace.
    on_outcome: OutcomeListener,
}

impl PlanHook {
    /// `epoch` is the trial's start; faults that act on hosts and links are not the hook's and are passed over.
    pub fn new(
        epoch: UnixNanos,
        faults: &[PlannedFault],
        ledger: FaultLedger,
        on_crash: impl Fn() + Send + 'static,
        on_outcome: impl FnMut(&Call, &CallOutcome) + Send + 'static,
    ) -> Self {
        let is_own = |planned: &&PlannedFault| match &planned.fault {
            Fault::Call { .. } => true,
            Fault::Environment(fault) => fault.acts_on_calls(),
        };
        let faults = faults.iter().filter(is_own).cloned().collect();
        Self {
            epoch,
            faults,
            matches: BTreeMap::new(),
            ledger,
            on_crash: Box::new(on_crash),
            on_outcome: Box::new(on_outcome),
        }
    }
}

/// The effect of this fault on the call, if the fault means it at all; counts the match.
fn effect_of(planned: &PlannedFault, call: &Call, at_ms: u64, matches: &mut BTreeMap<u32, u32>) -> Option<CallEffect> {
    let means = match &planned.fault {
        Fault::Call { address, effect } => address.matches(call, at_ms) && effect_fits(effect, call),
        Fault::Environment(fault) => fault.covers(call, at_ms),
    };
    if !means {
        return None;
    }
    let match_number = matches.entry(planned.id).or_insert(0);
    *match_number += 1;
    match &planned.fault {
        Fault::Call { address, effect } => address.hits(*match_number).then(|| effect.clone()),
        Fault::Environment(fault) => fault.effect_on(*match_number),
    }
}

/// Whether this effect can act on this kind of call at all; a stale read cannot befall a strong one.
fn effect_fits(effect: &CallEffect, call: &Call) -> bool {
    match effect {
        CallEffect::Stale { .. } => call.is_eventual_read,
        CallEffect::TransactionConflict => call.is_write || call.is_transaction,
        // An entry that is not there cannot fail.
        CallEffect::FailEntries { first, .. } => call.keys.len() > *first,
        _ => true,
    }
}

impl CallHook for PlanHook {
    fn on_call(&mut self, call: &Call) -> CallPlan {
        let mut plan = CallPlan::default();
        let at_ms = call.at.since(self.epoch).as_millis() as u64;
        for planned in &self.faults {
            let Some(effect) = effect_of(planned, call, at_ms, &mut self.matches) else { continue };
            effect.apply_to(&mut plan);
            self.ledger.record(Firing {
                fault_id: planned.id,
                at_ms,
                call_sequence: Some(call.sequence),
                caller: Some(call.caller.clone()),
            });
            if let CallEffect::CrashCaller { down_ms, .. } = effect {
                let request = CrashRequest { fault_id: planned.id, host: call.caller.clone(), down_ms };
                self.ledger.lock().crash_requests.push(request);
                (self.on_crash)();
            }
        }
        plan
    }

    fn on_outcome(&mut self, call: &Call, outcome: &CallOutcome) {
        (self.on_outcome)(call, outcome);
    }
}
