//! Small changes of a trial that showed something new: what is near it may show more.

use std::fmt;

use nexus_faults::{CallAddress, CallEffect, EnvironmentFault, Fault, FaultKind, OperatorAct, Window};
use nexus_scenario::{Hosting, host_names};
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};

use crate::{
    Trial,
    dice::{chance, draw, index, one_of},
    families::{generic_families, is_beyond_repair, skeleton},
};

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    AddFault,
    RemoveFault,
    MoveFault,
    ChangeAddress,
    ChangeEffect,
    /// A fault on the retry of what a fault hit.
    HitTheRetry,
    /// Faults of another trial join.
    Splice,
    ChangeTopology,
    ChangeWorkload,
    NewWorldSeed,
}

impl Mutation {
    pub const ALL: [Mutation; 10] = [
        Mutation::AddFault,
        Mutation::RemoveFault,
        Mutation::MoveFault,
        Mutation::ChangeAddress,
        Mutation::ChangeEffect,
        Mutation::HitTheRetry,
        Mutation::Splice,
        Mutation::ChangeTopology,
        Mutation::ChangeWorkload,
        Mutation::NewWorldSeed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Mutation::AddFault => "add-fault",
            Mutation::RemoveFault => "remove-fault",
            Mutation::MoveFault => "move-fault",
            Mutation::ChangeAddress => "change-address",
            Mutation::ChangeEffect => "change-effect",
            Mutation::HitTheRetry => "hit-the-retry",
            Mutation::Splice => "splice",
            Mutation::ChangeTopology => "change-topology",
            Mutation::ChangeWorkload => "change-workload",
            Mutation::NewWorldSeed => "new-world-seed",
        }
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Changes made to one trial at most.
const CHANGES_MAX: usize = 4;
/// A mutation that fits nowhere (no fault to remove) is drawn anew this often.
const TRIES: usize = 12;
/// Effects that a fault of calls may turn into.
const EFFECTS: [CallEffect; 11] = [
    CallEffect::ThrottleKeyRange,
    CallEffect::ErrorBefore,
    CallEffect::ErrorAfter,
    CallEffect::ServiceUnavailable,
    CallEffect::LostAnswer,
    CallEffect::TruncatedAnswer,
    CallEffect::ResetBefore,
    CallEffect::ResetAfter,
    CallEffect::Hang,
    CallEffect::Delay { before_ms: 1_500, after_ms: 0 },
    CallEffect::Delay { before_ms: 0, after_ms: 3_000 },
];

/// Another trial near `trial`, and what makes the difference. `other` may lend its faults.
pub fn mutate(trial: &Trial, other: &Trial, runner: &mut TestRunner) -> (Trial, Vec<Mutation>) {
    let wanted = draw(runner, 1..=CHANGES_MAX);
    let mut mutant = trial.clone();
    let mut made = Vec::new();
    for _ in 0..TRIES {
        if made.len() >= wanted {
            break;
        }
        let mutation = one_of(runner, &Mutation::ALL);
        if let Some(changed) = apply(mutation, mutant.clone(), other, runner) {
            mutant = changed;
            made.push(mutation);
        }
    }
    if made.is_empty() {
        mutant.seed = draw(runner, 0..=u64::MAX);
        made.push(Mutation::NewWorldSeed);
    }
    (mutant, made)
}

/// None if there is nothing to change in this way.
fn apply(mutation: Mutation, trial: Trial, other: &Trial, runner: &mut TestRunner) -> Option<Trial> {
    let mut faults: Vec<Fault> = trial.faults.iter().map(|planned| planned.fault.clone()).collect();
    match mutation {
        Mutation::AddFault => faults.push(new_fault(&trial, runner)?),
        Mutation::RemoveFault => {
            let position = position_of(&faults, |_| true, runner)?;
            faults.remove(position);
        }
        Mutation::MoveFault => {
            let position = position_of(&faults, |_| true, runner)?;
            let by_ms = draw(runner, -3_000_i64..=3_000);
            move_by(&mut faults[position], by_ms);
        }
        Mutation::ChangeAddress => {
            let position = position_of(&faults, |_| true, runner)?;
            change_address(&mut faults[position], &trial, runner);
        }
        Mutation::ChangeEffect => {
            let is_changeable = |fault: &Fault| matches!(fault, Fault::Call { effect, .. } if EFFECTS.contains(effect));
            let position = position_of(&faults, is_changeable, runner)?;
            if let Fault::Call { effect, .. } = &mut faults[position] {
                *effect = one_of(runner, &EFFECTS);
            }
        }
        Mutation::HitTheRetry => {
            let position = position_of(&faults, |fault| matches!(fault, Fault::Call { .. }), runner)?;
            let Fault::Call { mut address, effect } = faults[position].clone() else { return None };
            // Each fault counts its own matches, those that another one hit too.
            address.nth = address.nth.saturating_add(address.count);
            address.count = 1;
            let effect = if chance(runner, 50) { effect } else { one_of(runner, &EFFECTS) };
            faults.push(Fault::Call { address, effect });
        }
        Mutation::Splice => {
            let lent = other.faults.iter().map(|planned| &planned.fault);
            let lent: Vec<Fault> = lent.filter(|fault| fits(fault, &trial)).cloned().collect();
            let kept: Vec<Fault> = lent.into_iter().filter(|_| chance(runner, 50)).collect();
            if kept.is_empty() {
                return None;
            }
            faults.extend(kept);
        }
        Mutation::ChangeTopology => return change_topology(trial, runner),
        Mutation::ChangeWorkload => return change_workload(trial, runner),
        Mutation::NewWorldSeed => return Some(Trial { seed: draw(runner, 0..=u64::MAX), ..trial }),
    }
    Some(trial.with_faults(faults))
}

fn position_of(faults: &[Fault], wanted: impl Fn(&Fault) -> bool, runner: &mut TestRunner) -> Option<usize> {
    let positions: Vec<usize> = (0..faults.len()).filter(|position| wanted(&faults[*position])).collect();
    (!positions.is_empty()).then(|| one_of(runner, &positions))
}

fn new_fault(trial: &Trial, runner: &mut TestRunner) -> Option<Fault> {
    let scenario = skeleton(trial);
    let context = scenario.template_context(trial.command_keys());
    let families = generic_families(one_of(runner, FaultKind::ALL), &scenario);
    if families.is_empty() {
        return None;
    }
    let family = one_of(runner, &families);
    // A workload without commands has no key to aim at.
    let strategy = family.strategy(&context).ok()?;
    draw(runner, strategy).pop()
}

fn shifted(time_ms: u64, by_ms: i64) -> u64 {
    time_ms.saturating_add_signed(by_ms)
}

fn move_by(fault: &mut Fault, by_ms: i64) {
    match fault {
        // The end of its window stays: it waits for its call from another time on.
        Fault::Call { address, .. } => address.from_ms = shifted(address.from_ms, by_ms),
        Fault::Environment(fault) => match fault.window_mut() {
            Window::Moment { at_ms } | Window::Outage { at_ms, .. } => *at_ms = shifted(*at_ms, by_ms),
            Window::FromStart { until_ms } => *until_ms = shifted(*until_ms, by_ms),
            Window::Span { from_ms, until_ms } => {
                let lasts_ms = *until_ms - *from_ms;
                *from_ms = shifted(*from_ms, by_ms);
                *until_ms = *from_ms + lasts_ms;
            }
        },
    }
}

fn change_address(fault: &mut Fault, trial: &Trial, runner: &mut TestRunner) {
    match fault {
        Fault::Call { address, .. } => change_call_address(address, trial, runner),
        Fault::Environment(fault) => {
            let hosts = [host_names(trial.topology.command_services), trial.bus.hosts()].concat();
            let drawn = one_of(runner, &hosts);
            match fault {
                EnvironmentFault::Crash { host, .. }
                | EnvironmentFault::SlowHost { host, .. }
                | EnvironmentFault::ClockSkew { host, .. }
                | EnvironmentFault::ClockLeap { host, .. }
                | EnvironmentFault::ClockDrift { host, .. }
                | EnvironmentFault::Pause { host, .. } => *host = drawn,
                EnvironmentFault::Partition { first, second, .. }
                | EnvironmentFault::SlowLink { first, second, .. } => {
                    // The end that is an endpoint of AWS stays: two of our hosts hardly ever speak with each other.
                    let end = if hosts.contains(first) { first } else { second };
                    *end = drawn;
                }
                EnvironmentFault::BrownOut { one_in, .. } => *one_in = draw(runner, 1_u32..=8),
                EnvironmentFault::RetryStorm { .. }
                | EnvironmentFault::Rollback { .. }
                | EnvironmentFault::OldRelease { .. }
                | EnvironmentFault::UnusableSchema { .. }
                | EnvironmentFault::Operator { .. } => {}
            }
        }
    }
}

fn change_call_address(address: &mut CallAddress, trial: &Trial, runner: &mut TestRunner) {
    match index(runner, 4) {
        0 => address.nth = draw(runner, 1..=address.nth.saturating_mul(2).clamp(2, 40)),
        1 => address.count = draw(runner, 1_u32..=12),
        2 => address.host = if address.host.is_some() { None } else { perhaps_a_caller(trial, runner) },
        _ => {
            let keys = trial.command_keys();
            address.key = (address.key.is_none() && !keys.is_empty()).then(|| one_of(runner, &keys));
            if address.key.is_some() {
                (address.from_ms, address.nth) = (0, 1);
            }
        }
    }
}

fn perhaps_a_caller(trial: &Trial, runner: &mut TestRunner) -> Option<String> {
    let hosts = [host_names(trial.topology.command_services), trial.bus.hosts()].concat();
    (!hosts.is_empty()).then(|| one_of(runner, &hosts))
}

/// Whether everything that the fault names is there.
fn fits(fault: &Fault, trial: &Trial) -> bool {
    let has_host = |host: &str| {
        host == "customers"
            || nexus_cloud::Service::ALL.iter().any(|service| service.name() == host && is_endpoint(*service, trial))
            || host_names(trial.topology.command_services).iter().any(|known| known == host)
            || trial.bus.hosts().iter().any(|known| known == host)
    };
    match fault {
        Fault::Call { effect, .. } if is_beyond_repair(effect.kind(), trial.bus.hosting) => false,
        Fault::Call { address, .. } => {
            is_endpoint(address.service, trial) && address.host.as_deref().is_none_or(has_host)
        }
        Fault::Environment(EnvironmentFault::Operator { act: OperatorAct::PushBreakingSchema { .. }, .. })
        | Fault::Environment(EnvironmentFault::UnusableSchema { .. }) => trial.registry.is_asked,
        Fault::Environment(EnvironmentFault::Operator { act, .. }) if trial.bus.is_there() => !act.needs_no_consumers(),
        Fault::Environment(EnvironmentFault::Operator { act, .. }) => act.needs_no_bus(),
        Fault::Environment(EnvironmentFault::BrownOut { services, .. }) => {
            services.iter().all(|service| is_endpoint(*service, trial))
        }
        Fault::Environment(EnvironmentFault::RetryStorm { service, .. }) => is_endpoint(*service, trial),
        Fault::Environment(fault) => fault.hosts().into_iter().all(has_host),
    }
}

fn is_endpoint(service: nexus_cloud::Service, trial: &Trial) -> bool {
    match service {
        nexus_cloud::Service::Dynamodb => true,
        nexus_cloud::Service::Glue => trial.registry.is_asked,
        nexus_cloud::Service::Lambda => trial.bus.is_there() && trial.bus.hosting == Hosting::Lambda,
        _ => trial.bus.is_there(),
    }
}

/// Another size of something. Faults that name what is gone go with it.
fn change_topology(mut trial: Trial, runner: &mut TestRunner) -> Option<Trial> {
    let has_bus = trial.bus.is_there();
    match index(runner, if has_bus { 8 } else { 3 }) {
        0 => trial.topology.command_services = draw(runner, 1_u32..=3),
        1 => trial.topology.servers = one_of(runner, &[1, 2, 4]),
        2 => trial.topology.service_time_us = one_of(runner, &[50, 300, 3_000]),
        3 => trial.bus.hosting = if trial.bus.hosting == Hosting::Worker { Hosting::Lambda } else { Hosting::Worker },
        4 => trial.bus.core_shards = draw(runner, 1_u32..=4),
        5 => (trial.bus.routers, trial.bus.projections) = (draw(runner, 1_u32..=3), draw(runner, 1_u32..=3)),
        6 => trial.bus.lease_duration_ms = one_of(runner, &[3_000, 4_000, 10_000]),
        _ => (trial.bus.visibility_s, trial.bus.batch_max) = (one_of(runner, &[2, 3, 10]), one_of(runner, &[0, 3, 10])),
    }
    let faults = trial.faults.iter().map(|planned| planned.fault.clone());
    let faults = faults.filter(|fault| fits(fault, &trial)).collect();
    Some(trial.with_faults(faults))
}

/// Fewer customers, or the same ones in another rhythm.
fn change_workload(mut trial: Trial, runner: &mut TestRunner) -> Option<Trial> {
    let operations = &mut trial.workload.operations;
    if operations.len() < 4 {
        return None;
    }
    match index(runner, 3) {
        0 => {
            let from = index(runner, operations.len());
            let until = (from + operations.len() / 3 + 1).min(operations.len());
            operations.drain(from..until);
        }
        1 => {
            // A rush: everything of some seconds comes within one.
            let rush_ms = operations[index(runner, operations.len())].at_ms / 1_000 * 1_000;
            for operation in operations.iter_mut().filter(|it| (rush_ms..rush_ms + 4_000).contains(&it.at_ms)) {
                operation.at_ms = rush_ms + (operation.at_ms - rush_ms) / 4;
            }
        }
        _ => {
            let end_ms = trial.phases.arrivals_end_ms().saturating_sub(1);
            let by_ms = draw(runner, -2_000_i64..=2_000);
            for operation in operations.iter_mut() {
                operation.at_ms = shifted(operation.at_ms, by_ms).min(end_ms);
            }
        }
    }
    trial.workload.operations.sort_by_key(|operation| (operation.at_ms, operation.id));
    Some(trial)
}
