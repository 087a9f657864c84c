//! What the trials of a scenario come to together. All faces take their numbers from here, so that they cannot disagree.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    dead_letters::{DeadLetterAccount, QueueAccount},
    latencies::Latencies,
    model::{Contract, LatencyShares, ObjectiveRecord, Phase, ScenarioRecord, Tier, Verdict},
};

/// The trials of one scenario, added up and pooled.
#[derive(Clone, Debug)]
pub struct ScenarioSummary {
    pub name: String,
    pub engine: String,
    pub tier: Tier,
    pub trials: Tally,
    /// Each latency, over all phases and trials.
    pub latency: BTreeMap<String, Latencies>,
    /// Each latency per phase, over all trials; phases in the order in which trials live them.
    pub latency_by_phase: BTreeMap<String, Vec<(String, Latencies)>>,
    pub shares: Vec<ShareSummary>,
    /// By name of the latency and of the phase.
    pub shares_by_phase: BTreeMap<(String, String), ShareSummary>,
    pub dead_letters: Option<DeadLetterSummary>,
    /// Each queue over all trials, by name.
    pub queues: Vec<QueueSummary>,
    pub faults: Vec<FaultSummary>,
    pub checks: Vec<CheckSummary>,
    pub goals: Vec<GoalSummary>,
    pub objectives: Vec<ObjectiveRecord>,
    pub aws_calls: u64,
    pub simulated_s: f64,
    pub wall_s: f64,
    /// Of the trial that took most.
    pub peak_memory_bytes: Option<u64>,
}

/// Trials by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub held: u64,
    pub broken: u64,
    pub inconclusive: u64,
}

impl Tally {
    pub fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Held => self.held += 1,
            Verdict::Broken => self.broken += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
        }
    }

    pub fn total(&self) -> u64 {
        self.held + self.broken + self.inconclusive
    }

    /// Broken if any broke; inconclusive if nothing broke and some, or all there is, could not tell.
    pub fn verdict(&self) -> Verdict {
        if self.broken > 0 {
            Verdict::Broken
        } else if self.inconclusive > 0 || self.held == 0 {
            Verdict::Inconclusive
        } else {
            Verdict::Held
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.held += other.held;
        self.broken += other.broken;
        self.inconclusive += other.inconclusive;
    }
}

/// One check over many trials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckSummary {
    pub name: String,
    pub trials: Tally,
    pub examined: u64,
}

impl CheckSummary {
    /// A check that examined nothing in any trial has proved nothing.
    pub fn is_vacuous(&self) -> bool {
        self.examined == 0
    }
}

/// One kind of fault under one contract over many trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSummary {
    pub kind: String,
    pub contract: Contract,
    /// Faults planned.
    pub planned: u64,
    /// Planned faults that fired at least once.
    pub fired: u64,
    /// How often they fired in all.
    pub firings: u64,
}

impl FaultSummary {
    pub fn not_fired(&self) -> u64 {
        self.planned - self.fired
    }
}

/// A rare state, and in how many trials it was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoalSummary {
    pub name: String,
    pub trials: u64,
    pub reached: u64,
}

/// Where the time of a latency went on average, over all phases and trials. Only means add up.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareSummary {
    pub latency: String,
    pub count: u64,
    pub modelled: Latencies,
    pub injected: Latencies,
    pub own: Latencies,
}

/// The dead-letter accounts of many trials, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterSummary {
    pub account: DeadLetterAccount,
    /// Trials that kept an account.
    pub trials: u64,
    /// Trials whose account does not balance.
    pub unbalanced: u64,
}

/// The accounts of one queue in many trials, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSummary {
    pub account: QueueAccount,
    /// Trials that kept an account of it.
    pub trials: u64,
    /// Trials whose account of it does not balance.
    pub unbalanced: u64,
}

impl DeadLetterSummary {
    pub fn add(&mut self, other: &DeadLetterSummary) {
        self.account.add(&other.account);
        self.trials += other.trials;
        self.unbalanced += other.unbalanced;
    }

    /// Whether the account of every single trial balances.
    pub fn balances(&self) -> bool {
        self.unbalanced == 0
    }
}

impl ShareSummary {
    fn of(latency: &str) -> Self {
        let (modelled, injected, own) = (Latencies::new(), Latencies::new(), Latencies::new());
        Self { latency: latency.to_owned(), count: 0, modelled, injected, own }
    }

    fn absorb(&mut self, shares: &LatencyShares) {
        self.merge(&shares.modelled.decode(), &shares.injected.decode(), &shares.own.decode());
    }

    fn merge(&mut self, modelled: &Latencies, injected: &Latencies, own: &Latencies) {
        self.modelled.merge(modelled);
        self.injected.merge(injected);
        self.own.merge(own);
        self.count = self.own.count();
    }

    /// Adds the operations of another summary of the same latency.
    pub fn add(&mut self, other: &ShareSummary) {
        self.merge(&other.modelled, &other.injected, &other.own);
    }

    /// Mean milliseconds of the modelled, the injected and the own part.
    pub fn means_ms(&self) -> [f64; 3] {
        [&self.modelled, &self.injected, &self.own].map(|part| part.mean_ms().unwrap_or(0.0))
    }
}

impl ScenarioRecord {
    /// Adds up and pools all trials.
    pub fn summary(&self) -> ScenarioSummary {
        let mut trials = Tally::default();
        for trial in &self.trials {
            trials.count(trial.verdict);
        }
        let latency_by_phase = self.latency_by_phase();
        let shares_by_phase = self.shares_by_phase();
        ScenarioSummary {
            name: self.name.clone(),
            engine: self.engine.clone(),
            tier: self.tier,
            trials,
            latency: latency_by_phase.iter().map(|(name, phases)| (name.clone(), pool(phases))).collect(),
            latency_by_phase,
            shares: shares_over_phases(&shares_by_phase),
            shares_by_phase,
            dead_letters: self.dead_letters(),
            queues: self.queues(),
            faults: self.faults(),
            checks: self.checks(),
            goals: self.goals(),
            objectives: self.objectives.clone(),
            aws_calls: self.trials.iter().map(|trial| trial.aws_calls).sum(),
            simulated_s: self.trials.iter().map(|trial| trial.simulated_s).sum(),
            wall_s: self.trials.iter().map(|trial| trial.wall_s).sum(),
            peak_memory_bytes: self.trials.iter().filter_map(|trial| trial.peak_memory_bytes).max(),
        }
    }

    /// Measures every objective over all trials pooled, and says whether it held.
    pub fn judge_objectives(&mut self) {
        let by_phase = self.latency_by_phase();
        for objective in &mut self.objectives {
            let mut pooled = Latencies::new();
            for (phase, latencies) in by_phase.get(&objective.latency).into_iter().flatten() {
                if objective.phase.is_empty() || *phase == objective.phase {
                    pooled.merge(latencies);
                }
            }
            objective.measured_ms = pooled.percentile_ms(objective.percentile);
            objective.held = objective.measured_ms.is_some_and(|measured_ms| measured_ms <= objective.limit_ms);
        }
    }

    fn latency_by_phase(&self) -> BTreeMap<String, Vec<(String, Latencies)>> {
        let order = self.phase_order();
        let mut pooled: BTreeMap<String, BTreeMap<(usize, String), Latencies>> = BTreeMap::new();
        for (name, histograms) in self.trials.iter().flat_map(|trial| &trial.latency) {
            let by_phase = pooled.entry(name.clone()).or_default();
            for histogram in histograms {
                let position = order.iter().position(|phase| *phase == histogram.phase).unwrap_or(order.len());
                by_phase.entry((position, histogram.phase.clone())).or_default().merge(&histogram.histogram.decode());
            }
        }
        let unplaced = |by_phase: BTreeMap<(usize, String), Latencies>| {
            by_phase.into_iter().map(|((_, phase), latencies)| (phase, latencies)).collect()
        };
        pooled.into_iter().map(|(name, by_phase)| (name, unplaced(by_phase))).collect()
    }

    /// Names of phases by when they begin in the earliest trial that has them.
    fn phase_order(&self) -> Vec<&str> {
        let mut order: Vec<&str> = Vec::new();
        for Phase { name, .. } in self.trials.iter().flat_map(|trial| &trial.phases) {
            if !order.contains(&name.as_str()) {
                order.push(name);
            }
        }
        order
    }

    fn shares_by_phase(&self) -> BTreeMap<(String, String), ShareSummary> {
        let mut pooled: BTreeMap<(String, String), ShareSummary> = BTreeMap::new();
        for shares in self.trials.iter().flat_map(|trial| &trial.shares) {
            let key = (shares.latency.clone(), shares.phase.clone());
            pooled.entry(key).or_insert_with(|| ShareSummary::of(&shares.latency)).absorb(shares);
        }
        pooled
    }

    fn dead_letters(&self) -> Option<DeadLetterSummary> {
        let mut summary: Option<DeadLetterSummary> = None;
        for account in self.trials.iter().filter_map(|trial| trial.dead_letters.as_ref()) {
            let total = summary.get_or_insert_default();
            total.account.add(account);
            total.trials += 1;
            total.unbalanced += u64::from(!account.balances());
        }
        summary
    }

    fn queues(&self) -> Vec<QueueSummary> {
        let mut pooled: BTreeMap<&str, QueueSummary> = BTreeMap::new();
        for account in self.trials.iter().flat_map(|trial| &trial.queues) {
            let total = pooled.entry(&account.queue).or_default();
            total.account.queue.clone_from(&account.queue);
            total.account.add(account);
            total.trials += 1;
            total.unbalanced += u64::from(!account.balances());
        }
        pooled.into_values().collect()
    }

    fn faults(&self) -> Vec<FaultSummary> {
        let mut pooled: BTreeMap<(&str, Contract), FaultSummary> = BTreeMap::new();
        for fault in self.trials.iter().flat_map(|trial| &trial.faults) {
            let summary = pooled.entry((&fault.kind, fault.contract)).or_insert_with(|| FaultSummary {
                kind: fault.kind.clone(),
                contract: fault.contract,
                planned: 0,
                fired: 0,
                firings: 0,
            });
            summary.planned += 1;
            summary.fired += u64::from(fault.fired > 0);
            summary.firings += fault.fired;
        }
        pooled.into_values().collect()
    }

    fn checks(&self) -> Vec<CheckSummary> {
        let mut pooled: BTreeMap<&str, CheckSummary> = BTreeMap::new();
        for check in self.trials.iter().flat_map(|trial| &trial.checks) {
            let summary = pooled.entry(&check.name).or_default();
            summary.name.clone_from(&check.name);
            summary.trials.count(check.outcome);
            summary.examined += check.examined;
        }
        pooled.into_values().collect()
    }

    fn goals(&self) -> Vec<GoalSummary> {
        let mut pooled: BTreeMap<&str, GoalSummary> = BTreeMap::new();
        for goal in self.trials.iter().flat_map(|trial| &trial.goals) {
            let summary = pooled.entry(&goal.name).or_default();
            summary.name.clone_from(&goal.name);
            summary.trials += 1;
            summary.reached += u64::from(goal.reached);
        }
        pooled.into_values().collect()
    }
}

impl ScenarioSummary {
    /// The latency that one line about the scenario shows: "command" if there is one, else the first that is not a single
    /// AWS call, else the first.
    pub fn headline_latency(&self) -> Option<(&str, &Latencies)> {
        let of_clients = || self.latency.iter().find(|(name, _)| !name.starts_with("aws:"));
        let found = self.latency.get_key_value("command").or_else(of_clients).or_else(|| self.latency.iter().next());
        found.map(|(name, latencies)| (name.as_str(), latencies))
    }

    /// What the trials and the objectives say together.
    pub fn verdict(&self) -> Verdict {
        let mut tally = self.trials;
        for objective in &self.objectives {
            tally.count(objective_verdict(objective));
        }
        if self.trials.total() == 0 { Verdict::Inconclusive } else { tally.verdict() }
    }

    /// How often faults fired in all.
    pub fn firings(&self) -> u64 {
        self.faults.iter().map(|fault| fault.firings).sum()
    }
}

/// An objective that nothing measured was neither kept nor broken.
pub fn objective_verdict(objective: &ObjectiveRecord) -> Verdict {
    match (objective.held, objective.measured_ms) {
        (true, _) => Verdict::Held,
        (false, Some(_)) => Verdict::Broken,
        (false, None) => Verdict::Inconclusive,
    }
}

fn pool(phases: &[(String, Latencies)]) -> Latencies {
    let mut pooled = Latencies::new();
    for (_, latencies) in phases {
        pooled.merge(latencies);
    }
    pooled
}

fn shares_over_phases(by_phase: &BTreeMap<(String, String), ShareSummary>) -> Vec<ShareSummary> {
    let mut pooled: BTreeMap<&str, ShareSummary> = BTreeMap::new();
    for ((latency, _), shares) in by_phase {
        pooled.entry(latency).or_insert_with(|| ShareSummary::of(latency)).add(shares);
    }
    pooled.into_values().collect()
}

/// Seeds in words: "1–20", "3", "1–4, 9, 12–13" (at most `parts` runs, then an ellipsis).
pub fn seeds_in_words(seeds: impl IntoIterator<Item = u64>, parts: usize) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seed in seeds.into_iter().collect::<BTreeSet<_>>() {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(seed) => *last = seed,
            _ => runs.push((seed, seed)),
        }
    }
    let in_words = |(first, last): &(u64, u64)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}–{last}"),
    };
    let mut words: Vec<String> = runs.iter().take(parts).map(in_words).collect();
    if runs.len() > parts {
        words.push("…".to_owned());
    }
    words.join(", ")
}
