//! A made-up run of believable size and shape, the same on every call: for looking at the faces and for testing them.
//! No simulator is behind it; the numbers come from a small generator.

mod bus;
mod draws;
mod plans;
mod premises;

use std::collections::BTreeMap;

use nexus_reports::{
    CheckRecord, Determinism, EncodedLatencies, FaultRecord, GoalRecord, Latencies, LatencyShares, ObjectiveRecord,
    Phase, PhaseHistogram, Point, PointOutcome, RunRecord, ScenarioRecord, Series, TrialRecord, Verdict,
};

use draws::Draws;
use plans::{NO_FAULTS, PHASES, PLANS, Plan, PlannedFault};

/// Which made-up run.
pub struct Variant {
    pub revision: &'static str,
    pub engine: &'static str,
    /// What the router takes of its own: 120 is a fifth more than it should.
    pub router_percent: u64,
    /// See [`Draws`].
    pub weather: u64,
}

impl Default for Variant {
    fn default() -> Self {
        Self { revision: "4f1c2d9", engine: "turmoil", router_percent: 100, weather: 0 }
    }
}

/// The made-up run.
pub fn record() -> RunRecord {
    variant(&Variant::default())
}

/// A made-up run that differs in one thing or another.
pub fn variant(variant: &Variant) -> RunRecord {
    let mut record = RunRecord::new(variant.revision, variant.engine, "sim");
    record.started_unix_ms = 1_795_000_000_000;
    record.wall_s = 41.7;
    record.seeds = (1..=8).collect();
    record.scenarios = PLANS.iter().map(|plan| scenario(plan, variant)).collect();
    record.determinism = Determinism { checked: 3, diverged: 0 };
    record.latency_model = premises::latency_model();
    record.assumptions = premises::assumptions();
    record.capabilities = premises::capabilities(variant.engine);
    record.coverage_rows = premises::coverage_rows();
    record
}

fn scenario(plan: &Plan, variant: &Variant) -> ScenarioRecord {
    let mut scenario = ScenarioRecord {
        name: plan.name.to_owned(),
        engine: variant.engine.to_owned(),
        tier: plan.tier,
        description: plan.description.to_owned(),
        trials: (1..=plan.seeds).map(|seed| trial(plan, variant, seed)).collect(),
        objectives: vec![
            ObjectiveRecord::unjudged("command", "nominal", 99.0, 50.0),
            ObjectiveRecord::unjudged("command", "chaos", 99.0, 3_000.0),
            ObjectiveRecord::unjudged("routing", "nominal", 99.0, 500.0),
        ],
    };
    scenario.judge_objectives();
    scenario
}

/// What one operation of a customer came to.
struct Operation {
    start_us: u64,
    modelled_us: u64,
    injected_us: u64,
    own_us: u64,
    outcome: PointOutcome,
}

impl Operation {
    fn latency_us(&self) -> u64 {
        self.modelled_us + self.injected_us + self.own_us
    }
}

fn trial(plan: &Plan, variant: &Variant, seed: u64) -> TrialRecord {
    let draws = Draws { plan: plan.name, seed, weather: variant.weather };
    let mut hash = draws.named("trace hash");
    let mut trial = TrialRecord::new(seed, Verdict::Held, format!("{:016x}{:016x}", hash.roll(), hash.roll()));
    let commands = operations("command", plan.faults, draws, 44_000);
    let reads = operations("read", &NO_FAULTS, draws, 60_000);
    trial.aws_calls = commands.len() as u64 * 3 + reads.len() as u64;
    trial.latency = BTreeMap::from([
        ("command".to_owned(), histograms(&commands, Operation::latency_us)),
        ("read".to_owned(), histograms(&reads, Operation::latency_us)),
        (
            "aws:TransactWriteItems".to_owned(),
            histograms(&commands, |command| command.modelled_us + command.injected_us),
        ),
    ]);
    trial.shares = shares("command", &commands);
    bus::follow_events(&commands, variant, draws, &mut trial);
    let point = |operation: &Operation| Point {
        start_us: operation.start_us,
        latency_us: operation.latency_us(),
        outcome: operation.outcome,
    };
    trial.series = vec![
        Series::sampled("command", commands.iter().map(point).collect(), 1_200),
        Series::sampled("read", reads.iter().map(point).collect(), 600),
    ];
    trial.phases = PHASES.map(|(name, from_ms, until_ms)| Phase { name: name.to_owned(), from_ms, until_ms }).to_vec();
    trial.faults = faults(plan, variant, draws);
    trial.checks = checks(commands.len() as u64);
    trial.dead_letters = bus::dead_letters(plan, seed, commands.len() as u64);
    trial.queues = trial.dead_letters.as_ref().map(bus::queues).unwrap_or_default();
    trial.coverage = bus::coverage(plan, seed, commands.len() as u64);
    trial.goals = vec![
        goal("own write recognised after an unknown outcome", plan.name == "flaky-writes" && seed.is_multiple_of(2)),
        goal("two writers met on one stream", seed.is_multiple_of(3)),
        goal("token window passed during a retry", false),
    ];
    trial.simulated_s = 66.0;
    trial.wall_s = (900 + draws.named("wall time").roll() % 400) as f64 / 1_000.0;
    trial.peak_memory_bytes = Some(48_000_000 + draws.named("memory").roll() % 9_000_000);
    spoil(plan, seed, &mut trial);
    trial
}

/// Makes one trial break and one inconclusive, so that both are seen.
fn spoil(plan: &Plan, seed: u64, trial: &mut TrialRecord) {
    if (plan.name, seed) == ("flaky-writes", 5) {
        trial.verdict = Verdict::Broken;
        trial.reason = "idempotency key: key k-000417 was answered twice with different versions".to_owned();
        trial.bug_file = Some("target/nexus/bug-flaky-writes-5.json".to_owned());
        trial.checks[2].outcome = Verdict::Broken;
        trial.checks[2].message =
            "key k-000417: first answer version 3, second answer version 4 <other payload>".to_owned();
    }
    if (plan.name, seed) == ("partitioned-service", 7) {
        trial.verdict = Verdict::Inconclusive;
        trial.reason = "fault f2 (crash and restart) was planned and never fired".to_owned();
    }
}

/// Open-loop operations of one kind until the end of the drain, one each `gap_us` on average.
fn operations(kind: &str, faults: &[PlannedFault], draws: Draws, gap_us: u64) -> Vec<Operation> {
    let named = |purpose: &str| draws.named(&format!("{kind} {purpose}"));
    let (mut gaps, mut hits, mut outcomes) = (named("gaps"), named("hits"), named("outcomes"));
    let (mut modelled, mut injected, mut own) = (named("modelled"), named("injected"), named("own"));
    let mut operations = Vec::new();
    let mut start_us = gap_us;
    while start_us < PHASES[3].2 * 1_000 {
        let start_ms = start_us / 1_000;
        let hit = hits.roll().is_multiple_of(3);
        let struck = faults.iter().find(|fault| hit && fault.3 <= start_ms && start_ms < fault.4);
        let injected_us = struck.map_or(0, |fault| fault.5 * 1_000 * (40 + injected.roll() % 100) / 100);
        let outcome = match (struck.map(|fault| fault.0), outcomes.roll() % 108) {
            (Some("throttle"), 0..27) => PointOutcome::Throttled,
            (Some("lost answer" | "one-way partition"), 0..36) => PointOutcome::Unknown,
            (_, 107) => PointOutcome::Refused,
            (_, 106) => PointOutcome::Conflicted,
            _ => PointOutcome::Ok,
        };
        let own_us = 350 + own.tail(180) + if injected_us > 0 { 9_000 + own.tail(6_000) } else { 0 };
        let modelled_us = 3_400 + modelled.tail(1_500);
        operations.push(Operation { start_us, modelled_us, injected_us, own_us, outcome });
        start_us += gap_us / 2 + gaps.roll() % gap_us;
    }
    operations
}

fn histograms(operations: &[Operation], latency_us: impl Fn(&Operation) -> u64) -> Vec<PhaseHistogram> {
    let of_phase = |(phase, from_ms, until_ms): (&str, u64, u64)| PhaseHistogram {
        phase: phase.to_owned(),
        histogram: pooled(operations, from_ms, until_ms, &latency_us),
    };
    PHASES.map(of_phase).to_vec()
}

fn shares(latency: &str, operations: &[Operation]) -> Vec<LatencyShares> {
    let of_phase = |(phase, from_ms, until_ms): (&str, u64, u64)| LatencyShares {
        latency: latency.to_owned(),
        phase: phase.to_owned(),
        modelled: pooled(operations, from_ms, until_ms, &|operation| operation.modelled_us),
        injected: pooled(operations, from_ms, until_ms, &|operation| operation.injected_us),
        own: pooled(operations, from_ms, until_ms, &|operation| operation.own_us),
    };
    PHASES.map(of_phase).to_vec()
}

fn pooled(
    operations: &[Operation],
    from_ms: u64,
    until_ms: u64,
    latency_us: &dyn Fn(&Operation) -> u64,
) -> EncodedLatencies {
    let within = |operation: &&Operation| (from_ms..until_ms).contains(&(operation.start_us / 1_000));
    operations.iter().filter(within).map(latency_us).collect::<Latencies>().encode()
}

fn faults(plan: &Plan, variant: &Variant, draws: Draws) -> Vec<FaultRecord> {
    let record = |(index, fault): (usize, &PlannedFault)| {
        let id = format!("f{}", index + 1);
        let mut dice = draws.named(&id);
        let silent = match plan.name {
            "partitioned-service" => draws.seed == 7 && index == 1,
            "storm" => fault.0 == "region outage" || (draws.seed == 1 && index == 3),
            _ => false,
        };
        let fired = if silent { 0 } else { 1 + dice.roll() % 40 };
        let first_fired_ms = (fired > 0).then(|| fault.3 + dice.roll() % 400);
        FaultRecord {
            id,
            kind: fault.0.to_owned(),
            address: fault.1.to_owned(),
            contract: fault.2,
            planned_from_ms: fault.3,
            planned_until_ms: fault.4,
            fired,
            first_fired_ms,
            acted_until_ms: first_fired_ms.map(|first_ms| fault.4.saturating_sub(dice.roll() % 900).max(first_ms)),
        }
    };
    let possible = plan.faults.iter().enumerate().filter(|(_, fault)| premises::is_possible(variant.engine, fault.0));
    possible.map(record).collect()
}

fn checks(commands: u64) -> Vec<CheckRecord> {
    let check = |name: &str, examined: u64| CheckRecord {
        name: name.to_owned(),
        outcome: Verdict::Held,
        examined,
        message: String::new(),
    };
    vec![
        check("immutability", commands * 2),
        check("gap-free versions", commands),
        check("idempotency key", commands / 4),
        check("durability", commands),
        check("linearizability per aggregate", commands / 9),
        check("no refused operation reached storage", commands / 30),
        check("events appear in the stream", 0),
    ]
}

fn goal(name: &str, reached: bool) -> GoalRecord {
    GoalRecord { name: name.to_owned(), reached }
}
