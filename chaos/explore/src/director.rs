//! Carries out the faults of the environment at their times, and ends the run.

use std::{collections::BTreeMap, time::Duration};

use nexus_engine::{Control, Direction, Director, Next};
use nexus_faults::{EnvironmentFault, Fault, FaultLedger, Firing, OperatorAct, PlannedFault, SchemaFate};

/// What the director asks its surroundings for and tells them.
pub trait Surroundings {
    /// Whether nothing is left to wait for: every customer answered and the system quiet for its bound.
    fn is_settled(&mut self, elapsed: Duration) -> bool;
    /// Somebody outside the system acts. Returns whether it changed anything: a queue without dead letters has none to move.
    fn operate(&mut self, elapsed: Duration, act: &OperatorAct) -> bool;
    /// From its next start the host runs a release that does not know these event types.
    fn install_release(&mut self, host: &str, unknown_event_types: Vec<String>);
    /// One line of the trace.
    fn note(&mut self, elapsed: Duration, text: String);
}

/// How often a run that could be over is looked at, in milliseconds.
const SETTLED_CHECK_MS: u64 = 250;
/// How long a host is down for a new release, in milliseconds.
const DEPLOYMENT_MS: u64 = 300;

pub struct PlanDirector<S> {
    /// (when, what), ascending.
    schedule: Vec<(u64, Step)>,
    next_step: usize,
    active: Vec<(u32, EnvironmentFault)>,
    /// Sum of the leaps so far, by host, in milliseconds.
    leaps_ms: BTreeMap<String, i64>,
    /// What operators want to do and could not yet: there may be no dead letters to move, or a shard is being split already.
    waiting_acts: Vec<(u32, OperatorAct)>,
    /// When crashed hosts come back, by host.
    down_until_ms: BTreeMap<String, u64>,
    ledger: FaultLedger,
    normal_link: (Duration, Duration),
    arrivals_end_ms: u64,
    end_ms: u64,
    surroundings: S,
}

#[derive(Clone, Debug)]
enum Step {
    Begin(u32, EnvironmentFault),
    End(u32),
}

impl<S: Surroundings> PlanDirector<S> {
    pub fn new(
        faults: &[PlannedFault],
        ledger: FaultLedger,
        normal_link: (Duration, Duration),
        arrivals_end_ms: u64,
        end_ms: u64,
        surroundings: S,
    ) -> Self {
        let mut schedule = Vec::new();
        for planned in faults {
            let Fault::Environment(fault) = &planned.fault else { continue };
            let (from_ms, until_ms) = planned.window_ms();
            schedule.push((from_ms, Step::Begin(planned.id, fault.clone())));
            // A crash ends with its restart; a leap and what an operator did never.
            let has_no_end = matches!(
                fault,
                EnvironmentFault::Crash { .. } | EnvironmentFault::ClockLeap { .. } | EnvironmentFault::Operator { .. }
            );
            if !has_no_end {
                schedule.push((until_ms, Step::End(planned.id)));
            }
        }
        schedule.sort_by_key(|(at_ms, _)| *at_ms);
        Self {
            schedule,
            next_step: 0,
            active: Vec::new(),
            leaps_ms: BTreeMap::new(),
            waiting_acts: Vec::new(),
            down_until_ms: BTreeMap::new(),
            ledger,
            normal_link,
            arrivals_end_ms,
            end_ms,
            surroundings,
        }
    }

    fn restart_due_hosts(&mut self, now_ms: u64, control: &mut dyn Control) {
        let due: Vec<String> = self
            .down_until_ms
            .iter()
            .filter(|(_, until_ms)| **until_ms <= now_ms)
            .map(|(host, _)| host.clone())
            .collect();
        for host in due {
            self.down_until_ms.remove(&host);
            control.restart(&host);
            self.note(control, format!("restart {host}"));
        }
    }

    fn crash_requested_hosts(&mut self, now_ms: u64, control: &mut dyn Control) {
        for request in self.ledger.take_crash_requests() {
            self.crash(&request.host, now_ms + request.down_ms, control);
        }
    }

    /// Returns whether it made a difference: the host was up, or it now stays down for longer.
    fn crash(&mut self, host: &str, until_ms: u64, control: &mut dyn Control) -> bool {
        let was_up = control.is_running(host);
        if was_up {
            control.crash(host);
            self.note(control, format!("crash {host} until {until_ms} ms"));
        }
        let until = self.down_until_ms.entry(host.to_owned()).or_insert(until_ms);
        let is_longer = *until < until_ms;
        *until = (*until).max(until_ms);
        was_up || is_longer
    }

    fn take_due_steps(&mut self, now_ms: u64, control: &mut dyn Control) {
        while let Some((at_ms, step)) = self.schedule.get(self.next_step).cloned() {
            if at_ms > now_ms {
                return;
            }
            self.next_step += 1;
            match step {
                Step::Begin(id, fault) => self.begin(id, fault, now_ms, control),
                Step::End(id) => self.end(id, now_ms, control),
            }
        }
    }

    fn begin(&mut self, id: u32, fault: EnvironmentFault, now_ms: u64, control: &mut dyn Control) {
        self.note(control, format!("fault {id} begins: {} {fault}", fault.kind()));
        let fired = match &fault {
            EnvironmentFault::Crash { host, at_ms, down_ms } => self.crash(host, at_ms + down_ms, control),
            EnvironmentFault::Operator { act, .. } => {
                self.waiting_acts.push((id, act.clone()));
                return;
            }
            EnvironmentFault::UnusableSchema { event_type, fate, .. } => {
                self.active.push((id, fault.clone()));
                match fate {
                    // It is not there from the start.
                    SchemaFate::Late => true,
                    fate => {
                        let act = OperatorAct::RegisterUnusably { event_type: event_type.clone(), fate: *fate };
                        self.waiting_acts.push((id, act));
                        return;
                    }
                }
            }
            EnvironmentFault::OldRelease { .. } | EnvironmentFault::Rollback { .. } => {
                self.active.push((id, fault.clone()));
                self.deploy(&fault, now_ms, control);
                true
            }
            // The hook of the cloud notes each call that it acts on.
            EnvironmentFault::BrownOut { .. } | EnvironmentFault::RetryStorm { .. } => return,
            EnvironmentFault::Pause { host, .. } => {
                let was_up = control.is_running(host);
                self.active.push((id, fault.clone()));
                self.renew(&fault, control);
                was_up
            }
            EnvironmentFault::ClockLeap { host, by_ms, .. } => {
                *self.leaps_ms.entry(host.clone()).or_default() += by_ms;
                self.renew(&fault, control);
                true
            }
            _ => {
                self.active.push((id, fault.clone()));
                self.renew(&fault, control);
                true
            }
        };
        if fired {
            self.ledger.record(Firing { fault_id: id, at_ms: now_ms, call_sequence: None, caller: None });
        }
    }

    /// Installs what all old releases now active amount to, and restarts the hosts.
    fn deploy(&mut self, fault: &EnvironmentFault, now_ms: u64, control: &mut dyn Control) {
        for host in deployed_hosts(fault) {
            let unknown = self.active.iter().filter(|(_, other)| deployed_hosts(other).contains(&host));
            let unknown = unknown.filter_map(|(_, other)| unknown_event_type(other).cloned()).collect();
            self.surroundings.install_release(host, unknown);
            self.crash(host, now_ms + DEPLOYMENT_MS, control);
        }
    }

    fn end(&mut self, id: u32, now_ms: u64, control: &mut dyn Control) {
        let Some(position) = self.active.iter().position(|(active_id, _)| *active_id == id) else { return };
        let (_, fault) = self.active.remove(position);
        self.note(control, format!("fault {id} ends"));
        if let EnvironmentFault::UnusableSchema { event_type, .. } = &fault {
            self.waiting_acts.push((id, OperatorAct::MendSchema { event_type: event_type.clone() }));
        }
        self.deploy(&fault, now_ms, control);
        self.renew(&fault, control);
    }

    /// Sets what `fault` is about to what all faults now active make of it, so that faults may overlap.
    fn renew(&self, fault: &EnvironmentFault, control: &mut dyn Control) {
        let active = || self.active.iter().map(|(_, fault)| fault);
        match fault {
            EnvironmentFault::Crash { .. }
            | EnvironmentFault::Operator { .. }
            | EnvironmentFault::OldRelease { .. }
            | EnvironmentFault::Rollback { .. }
            | EnvironmentFault::BrownOut { .. }
            | EnvironmentFault::RetryStorm { .. }
            | EnvironmentFault::UnusableSchema { .. } => {}
            EnvironmentFault::Pause { host, .. } => {
                let is_paused = |other: &EnvironmentFault| matches!(other, EnvironmentFault::Pause { host: paused, .. } if paused == host);
                if active().any(is_paused) {
                    control.pause(host);
                } else {
                    control.resume(host);
                }
            }
            EnvironmentFault::SlowHost { host, .. } => {
                let factors = active().filter_map(|other| match other {
                    EnvironmentFault::SlowHost { host: slow, factor, .. } if slow == host => Some(*factor),
                    _ => None,
                });
                control.set_slowness(host, factors.fold(1.0, f64::max));
            }
            EnvironmentFault::ClockSkew { host, .. } | EnvironmentFault::ClockLeap { host, .. } => {
                let skews = active().filter_map(|other| match other {
                    EnvironmentFault::ClockSkew { host: skewed, offset_ms, .. } if skewed == host => Some(*offset_ms),
                    _ => None,
                });
                let leaps_ms = self.leaps_ms.get(host).copied().unwrap_or(0);
                control.set_clock_offset_ms(host, leaps_ms + skews.sum::<i64>());
            }
            EnvironmentFault::ClockDrift { host, .. } => {
                let drifts = active().filter_map(|other| match other {
                    EnvironmentFault::ClockDrift { host: drifting, drift_ppm, .. } if drifting == host => {
                        Some(*drift_ppm)
                    }
                    _ => None,
                });
                control.set_clock_drift_ppm(host, drifts.sum());
            }
            EnvironmentFault::SlowLink { first, second, .. } => {
                let slowest = active().filter_map(|other| match other {
                    EnvironmentFault::SlowLink { first: f, second: s, latency_min_ms, latency_max_ms, .. }
                        if same_link((f, s), (first, second)) =>
                    {
                        Some((*latency_min_ms, *latency_max_ms))
                    }
                    _ => None,
                });
                let (min, max) =
                    slowest.max_by_key(|(_, max_ms)| *max_ms).map_or(self.normal_link, |(min_ms, max_ms)| {
                        (Duration::from_millis(min_ms), Duration::from_millis(max_ms))
                    });
                control.set_link_latency(first, second, min, max);
            }
            EnvironmentFault::Partition { first, second, .. } => {
                control.repair(first, second);
                for other in active() {
                    let EnvironmentFault::Partition { first: f, second: s, one_way, .. } = other else { continue };
                    if same_link((f, s), (first, second)) {
                        let direction = if *one_way { Direction::FirstToSecond } else { Direction::Both };
                        control.partition(f, s, direction);
                    }
                }
            }
        }
    }

    fn try_waiting_acts(&mut self, now_ms: u64, control: &dyn Control) {
        let elapsed = control.elapsed();
        for (id, act) in std::mem::take(&mut self.waiting_acts) {
            if self.surroundings.operate(elapsed, &act) {
                self.note(control, format!("fault {id} acts: {act}"));
                self.ledger.record(Firing { fault_id: id, at_ms: now_ms, call_sequence: None, caller: None });
            } else {
                self.waiting_acts.push((id, act));
            }
        }
    }

    fn note(&mut self, control: &dyn Control, text: String) {
        self.surroundings.note(control.elapsed(), text);
    }

    fn next_time(&self, now_ms: u64) -> u64 {
        let step = self.schedule.get(self.next_step).map(|(at_ms, _)| *at_ms);
        let restart = self.down_until_ms.values().min().copied();
        let settled =
            Some(if now_ms < self.arrivals_end_ms { self.arrivals_end_ms } else { now_ms + SETTLED_CHECK_MS });
        let act = (!self.waiting_acts.is_empty()).then_some(now_ms + SETTLED_CHECK_MS);
        [step, restart, act, settled, Some(self.end_ms)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.end_ms)
            .max(now_ms + 1)
    }
}

/// The hosts on which a fault puts another release.
fn deployed_hosts(fault: &EnvironmentFault) -> Vec<&String> {
    match fault {
        EnvironmentFault::OldRelease { host, .. } => vec![host],
        EnvironmentFault::Rollback { hosts, .. } => hosts.iter().collect(),
        _ => Vec::new(),
    }
}

/// What that release does not know.
fn unknown_event_type(fault: &EnvironmentFault) -> Option<&String> {
    match fault {
        EnvironmentFault::OldRelease { event_type, .. } | EnvironmentFault::Rollback { event_type, .. } => {
            Some(event_type)
        }
        _ => None,
    }
}

fn same_link(one: (&String, &String), other: (&String, &String)) -> bool {
    one == other || one == (other.1, other.0)
}

impl<S: Surroundings> Director for PlanDirector<S> {
    fn direct(&mut self, control: &mut dyn Control) -> Next {
        let elapsed = control.elapsed();
        let now_ms = elapsed.as_millis() as u64;
        self.restart_due_hosts(now_ms, control);
        self.crash_requested_hosts(now_ms, control);
        self.take_due_steps(now_ms, control);
        self.try_waiting_acts(now_ms, control);
        let nothing_planned = self.next_step == self.schedule.len() && self.down_until_ms.is_empty();
        let over = now_ms >= self.arrivals_end_ms && nothing_planned && self.surroundings.is_settled(elapsed);
        if over || now_ms >= self.end_ms {
            return Next::Stop;
        }
        Next::At(Duration::from_millis(self.next_time(now_ms)))
    }
}
