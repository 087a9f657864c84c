//! Smaller worlds: fewer hosts, shards and servers, fewer hits of a fault, shorter phases.

use nexus_faults::{EnvironmentFault, Fault, PlannedFault, Window};
use nexus_scenario::{Bus, Schedule};

use crate::trial::Trial;

/// What happens before the first customer or fault is of no interest beyond this.
const LEAD_MS: u64 = 300;
/// Windows of faults are not made shorter than this.
const WINDOW_MIN_MS: u64 = 20;

/// Every way to make the world smaller by one step, the boldest first.
pub fn candidates(trial: &Trial) -> Vec<Trial> {
    let mut found = Vec::new();
    found.extend(without_bus(trial));
    found.extend(fewer_hosts(trial));
    found.extend(smaller_bus(trial));
    if trial.topology.servers > 1 {
        let mut smaller = trial.clone();
        smaller.topology.servers = 1;
        found.push(smaller);
    }
    if !trial.schedule.is_engines_own() {
        found.push(Trial { schedule: Schedule::default(), ..trial.clone() });
    }
    found.extend(earlier(trial));
    found.extend(shorter(trial));
    found.extend(weaker_faults(trial));
    found.retain(|candidate| candidate != trial);
    found
}

fn without_bus(trial: &Trial) -> Option<Trial> {
    let hosts = trial.bus.hosts();
    let is_free = trial.faults.iter().all(|planned| match &planned.fault {
        Fault::Call { address, .. } => {
            matches!(address.service, nexus_cloud::Service::Dynamodb)
                && address.host.as_ref().is_none_or(|host| !hosts.contains(host))
        }
        Fault::Environment(EnvironmentFault::Operator { .. }) => false,
        Fault::Environment(fault) => {
            fault.hosts().iter().all(|host| host.starts_with("orders-") || *host == "dynamodb")
        }
    });
    (trial.bus.is_there() && is_free).then(|| Trial { bus: Bus::default(), ..trial.clone() })
}

/// The number of hosts of one kind.
type Count = fn(&mut Trial) -> &mut u32;

fn fewer_hosts(trial: &Trial) -> Vec<Trial> {
    let kinds: [(&str, Count, u32); 5] = [
        ("orders", |trial| &mut trial.topology.command_services, 1),
        ("router", |trial| &mut trial.bus.routers, 1),
        ("projection", |trial| &mut trial.bus.projections, 1),
        ("notifier", |trial| &mut trial.bus.notifiers, 1),
        // Not without any: what is parked or dies would lie there for good, and then a system that is mended breaks as well.
        ("dlq-processor", |trial| &mut trial.bus.dlq_processors, 1),
    ];
    let mut found = Vec::new();
    for (name, count, fewest) in kinds {
        let now = *count(&mut trial.clone());
        let mut wanted = vec![fewest, now.saturating_sub(1)];
        wanted.dedup();
        for fewer in wanted.into_iter().filter(|fewer| (fewest..now).contains(fewer)) {
            let is_named = trial.faults.iter().any(|planned| names_host_beyond(planned, name, fewer));
            if !is_named {
                let mut smaller = trial.clone();
                *count(&mut smaller) = fewer;
                found.push(smaller);
            }
        }
    }
    found
}

/// Whether the fault is about `name-N` with N beyond `last`.
fn names_host_beyond(planned: &PlannedFault, name: &str, last: u32) -> bool {
    let is_beyond = |host: &str| {
        let number = host.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        number.and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| number > last)
    };
    match &planned.fault {
        Fault::Call { address, .. } => address.host.as_deref().is_some_and(is_beyond),
        Fault::Environment(fault) => fault.hosts().into_iter().any(is_beyond),
    }
}

fn smaller_bus(trial: &Trial) -> Vec<Trial> {
    if !trial.bus.is_there() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut wanted = vec![1, trial.bus.core_shards.saturating_sub(1)];
    wanted.dedup();
    for fewer in wanted.into_iter().filter(|fewer| (1..trial.bus.core_shards).contains(fewer)) {
        let mut smaller = trial.clone();
        smaller.bus.core_shards = fewer;
        found.push(smaller);
    }
    if trial.bus.table_shard_records > 0 {
        let mut smaller = trial.clone();
        smaller.bus.table_shard_records = 0;
        found.push(smaller);
    }
    found
}

/// Takes away the time before anything happens.
fn earlier(trial: &Trial) -> Option<Trial> {
    let arrivals = trial.workload.operations.iter().map(|operation| operation.at_ms);
    // Windows of calls begin with the chaos and tell nothing of when they act.
    let faults = trial.faults.iter().filter(|planned| matches!(planned.fault, Fault::Environment(_)));
    let first = arrivals.chain(faults.map(|planned| planned.window_ms().0)).min()?;
    let by_ms = first.saturating_sub(LEAD_MS);
    if by_ms == 0 {
        return None;
    }
    let mut earlier = trial.clone();
    for operation in &mut earlier.workload.operations {
        operation.at_ms -= by_ms;
    }
    for planned in &mut earlier.faults {
        move_fault(&mut planned.fault, by_ms);
    }
    let from_nominal = by_ms.min(earlier.phases.nominal_ms);
    earlier.phases.nominal_ms -= from_nominal;
    let from_chaos = (by_ms - from_nominal).min(earlier.phases.chaos_ms);
    earlier.phases.chaos_ms -= from_chaos;
    earlier.phases.heal_ms = earlier.phases.heal_ms.saturating_sub(by_ms - from_nominal - from_chaos);
    Some(earlier)
}

fn move_fault(fault: &mut Fault, by_ms: u64) {
    let shift = |times: &mut [&mut u64]| times.iter_mut().for_each(|time| **time = time.saturating_sub(by_ms));
    match fault {
        Fault::Call { address, .. } => shift(&mut [&mut address.from_ms, &mut address.until_ms]),
        Fault::Environment(fault) => match fault.window_mut() {
            Window::Moment { at_ms } | Window::Outage { at_ms, .. } => shift(&mut [at_ms]),
            Window::FromStart { until_ms } => shift(&mut [until_ms]),
            Window::Span { from_ms, until_ms } => shift(&mut [from_ms, until_ms]),
        },
    }
}

/// Takes away the empty end of chaos and heal. The time that the system has to recover stays what it was, since a failure
/// to recover must not come from having less of it.
fn shorter(trial: &Trial) -> Option<Trial> {
    let last_arrival_ms = trial.workload.operations.iter().map(|operation| operation.at_ms).max().unwrap_or(0);
    let last_fault_ms = trial.faults.iter().map(|planned| planned.window_ms().1).max().unwrap_or(0);
    let chaos_end_ms = trial.phases.chaos_window_ms().1;
    let needed_ms = last_arrival_ms.max(last_fault_ms.min(chaos_end_ms)) + 1;
    if needed_ms >= trial.phases.arrivals_end_ms() {
        return None;
    }
    let mut shorter = trial.clone();
    let phases = &mut shorter.phases;
    phases.drain_ms += phases.heal_ms;
    phases.heal_ms = 0;
    phases.nominal_ms = phases.nominal_ms.min(needed_ms);
    phases.chaos_ms = needed_ms - phases.nominal_ms;
    Some(shorter)
}

/// One fault at a time: one hit instead of many, half as long.
fn weaker_faults(trial: &Trial) -> Vec<Trial> {
    let mut found = Vec::new();
    for index in 0..trial.faults.len() {
        let mut weaker = trial.clone();
        if weaken(&mut weaker.faults[index].fault) {
            found.push(weaker);
        }
    }
    found
}

fn weaken(fault: &mut Fault) -> bool {
    let halve = |from_ms: u64, until_ms: &mut u64| {
        let half_ms = until_ms.saturating_sub(from_ms) / 2;
        let is_worth_it = half_ms >= WINDOW_MIN_MS;
        if is_worth_it {
            *until_ms = from_ms + half_ms;
        }
        is_worth_it
    };
    match fault {
        Fault::Call { address, .. } if address.count > 1 => {
            address.count = if address.count > 4 { address.count / 2 } else { 1 };
            true
        }
        Fault::Call { .. } => false,
        Fault::Environment(fault) => match fault.window_mut() {
            Window::Outage { down_ms, .. } => halve(0, down_ms),
            Window::FromStart { until_ms } => halve(0, until_ms),
            Window::Moment { .. } => false,
            Window::Span { from_ms, until_ms } => halve(*from_ms, until_ms),
        },
    }
}
