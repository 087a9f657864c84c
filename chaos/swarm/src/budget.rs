//! How much may go wrong in one trial: enough to break what can break, and so little that the system can recover.

use std::collections::BTreeMap;

use nexus_faults::{CallEffect, EnvironmentFault, Fault, FaultKind, OperatorAct, Window};

/// The bounds of a drawn trial. A scenario that somebody wrote is not held to them.
pub struct Budget;

impl Budget {
    /// Faults in all.
    pub const FAULTS_MAX: usize = 48;
    /// Faults that are addressed at calls of one service.
    pub const CALL_FAULTS_PER_SERVICE_MAX: usize = 16;
    /// Share of the chaos phase, in percent, that one host may spend without power or standing still.
    pub const DOWN_PERCENT_MAX: u64 = 60;
    /// Losses of power at a call, for which nobody knows beforehand which host it hits.
    pub const CRASHES_AT_CALLS_MAX: usize = 4;
    /// Of each kind of what operators and other producers do, and of trimmed records.
    pub const ACTS_PER_KIND_MAX: usize = 3;
    /// A wall clock steps no further than this in all, in milliseconds: beyond five minutes AWS refuses what it signs.
    pub const LEAPS_MAX_MS: u64 = 270_000;
    /// A brown-out or a storm, in percent of the chaos phase, for all of them together.
    pub const BAD_WEATHER_PERCENT_MAX: u64 = 60;
}

/// The faults that fit, in their order; each of them inside the window. A fault for which nothing is left is left out.
pub fn within(faults: Vec<Fault>, window_ms: (u64, u64)) -> Vec<Fault> {
    let mut spent = Spent { chaos_ms: window_ms.1.saturating_sub(window_ms.0), ..Spent::default() };
    let clipped = faults.into_iter().filter_map(|fault| clip(fault, window_ms));
    clipped.filter(|fault| spent.allows(fault)).take(Budget::FAULTS_MAX).collect()
}

/// The fault inside the window; none if nothing of it lies there.
fn clip(fault: Fault, (start_ms, end_ms): (u64, u64)) -> Option<Fault> {
    let inside = |at_ms: &mut u64| *at_ms = (*at_ms).clamp(start_ms, end_ms.saturating_sub(1).max(start_ms));
    match fault {
        Fault::Call { mut address, effect } => {
            address.from_ms = address.from_ms.min(end_ms);
            address.until_ms = address.until_ms.min(end_ms);
            let is_alive = address.from_ms < address.until_ms && address.nth > 0 && address.count > 0;
            is_alive.then_some(Fault::Call { address, effect })
        }
        Fault::Environment(mut fault) => {
            match fault.window_mut() {
                Window::Outage { at_ms, down_ms } => {
                    inside(at_ms);
                    *down_ms = (*down_ms).clamp(1, end_ms.saturating_sub(*at_ms).max(1));
                }
                Window::Moment { at_ms } => inside(at_ms),
                Window::FromStart { until_ms } => inside(until_ms),
                Window::Span { from_ms, until_ms } => {
                    inside(from_ms);
                    *until_ms = (*until_ms).clamp(*from_ms + 1, end_ms.max(*from_ms + 1));
                }
            }
            Some(Fault::Environment(fault))
        }
    }
}

/// What the faults so far took.
#[derive(Default)]
struct Spent {
    chaos_ms: u64,
    by_service: BTreeMap<String, usize>,
    crashes_at_calls: usize,
    down_ms: BTreeMap<String, u64>,
    leapt_ms: BTreeMap<String, u64>,
    acts: BTreeMap<FaultKind, usize>,
    weather_ms: u64,
}

impl Spent {
    fn allows(&mut self, fault: &Fault) -> bool {
        match fault {
            Fault::Call { address, effect } => {
                let fits = match effect {
                    CallEffect::CrashCaller { .. } => count(&mut self.crashes_at_calls, Budget::CRASHES_AT_CALLS_MAX),
                    CallEffect::Trim => {
                        count(self.acts.entry(FaultKind::TrimmedRecords).or_default(), Budget::ACTS_PER_KIND_MAX)
                    }
                    _ => true,
                };
                let of_service = self.by_service.entry(address.service.to_string()).or_default();
                fits && count(of_service, Budget::CALL_FAULTS_PER_SERVICE_MAX)
            }
            Fault::Environment(fault) => self.allows_environment(fault),
        }
    }

    fn allows_environment(&mut self, fault: &EnvironmentFault) -> bool {
        let down_max_ms = self.chaos_ms * Budget::DOWN_PERCENT_MAX / 100;
        match fault {
            EnvironmentFault::Crash { host, down_ms, .. } => {
                spend(self.down_ms.entry(host.clone()).or_default(), *down_ms, down_max_ms)
            }
            EnvironmentFault::Pause { host, from_ms, until_ms } => {
                spend(self.down_ms.entry(host.clone()).or_default(), until_ms - from_ms, down_max_ms)
            }
            EnvironmentFault::ClockLeap { host, by_ms, .. } => {
                spend(self.leapt_ms.entry(host.clone()).or_default(), by_ms.unsigned_abs(), Budget::LEAPS_MAX_MS)
            }
            EnvironmentFault::ClockSkew { host, offset_ms, .. } => {
                spend(self.leapt_ms.entry(host.clone()).or_default(), offset_ms.unsigned_abs(), Budget::LEAPS_MAX_MS)
            }
            EnvironmentFault::BrownOut { from_ms, until_ms, .. }
            | EnvironmentFault::RetryStorm { from_ms, until_ms, .. } => {
                let weather_max_ms = self.chaos_ms * Budget::BAD_WEATHER_PERCENT_MAX / 100;
                spend(&mut self.weather_ms, until_ms - from_ms, weather_max_ms)
            }
            EnvironmentFault::Operator { act, .. } => count(self.acts.entry(act.kind()).or_default(), acts_max(act)),
            EnvironmentFault::UnusableSchema { fate, .. } => {
                count(self.acts.entry(fate.kind()).or_default(), Budget::ACTS_PER_KIND_MAX)
            }
            EnvironmentFault::OldRelease { .. } | EnvironmentFault::Rollback { .. } => {
                count(self.acts.entry(FaultKind::OldRelease).or_default(), Budget::ACTS_PER_KIND_MAX)
            }
            EnvironmentFault::Partition { .. }
            | EnvironmentFault::SlowLink { .. }
            | EnvironmentFault::SlowHost { .. }
            | EnvironmentFault::ClockDrift { .. } => true,
        }
    }
}

/// Shards that split and merge all the time leave nobody the time to read them.
fn acts_max(act: &OperatorAct) -> usize {
    match act {
        OperatorAct::SplitShard | OperatorAct::MergeShards => 2,
        _ => Budget::ACTS_PER_KIND_MAX,
    }
}

/// Takes one, if one is left.
fn count(taken: &mut usize, at_most: usize) -> bool {
    let fits = *taken < at_most;
    *taken += usize::from(fits);
    fits
}

/// Takes so much, if so much is left.
fn spend(spent: &mut u64, amount: u64, at_most: u64) -> bool {
    let fits = *spent + amount <= at_most;
    *spent += if fits { amount } else { 0 };
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(host: &str, at_ms: u64, down_ms: u64) -> Fault {
        Fault::Environment(EnvironmentFault::Crash { host: host.into(), at_ms, down_ms })
    }

    #[test]
    fn a_host_is_down_for_part_of_the_chaos_only() {
        let faults = vec![
            crash("a", 1_000, 4_000),
            crash("a", 6_000, 3_000),
            crash("b", 1_000, 4_000),
            crash("a", 9_000, 1_000),
        ];
        let kept = within(faults, (1_000, 11_000));
        assert_eq!(kept, [crash("a", 1_000, 4_000), crash("b", 1_000, 4_000), crash("a", 9_000, 1_000)]);
    }

    #[test]
    fn faults_end_with_the_chaos() {
        let table = [
            (crash("a", 500, 100), Some(crash("a", 1_000, 100))),
            (crash("a", 1_900, 900), Some(crash("a", 1_900, 100))),
            (crash("a", 5_000, 100), Some(crash("a", 1_999, 1))),
        ];
        for (given, wanted) in table {
            assert_eq!(clip(given.clone(), (1_000, 2_000)), wanted, "{given:?}");
        }
    }
}
