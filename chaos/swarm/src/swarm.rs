//! Swarm testing: each trial draws which faults, sizes, time-outs, customers and doubtful facts exist in it at all.
//!
//! A trial in which everything may happen hardly ever gets far in any one direction: a queue that is purged never fills. So each
//! draw leaves most things out. Activation has two levels: a kind of fault is first switched on for the trial; then each of its
//! families draws how many of its addresses it hits.

use nexus_cloud::Assumptions;
use nexus_faults::{FaultKind, FaultTemplate, UnusableTemplate, Whole};
use nexus_scenario::{Bus, Hosting, Phases, Scenario, Schedule, Tier};
use nexus_workload::{WorkloadShape, WorkloadSource};
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};

use crate::{
    Trial,
    dice::{chance, draw, one_of},
    families::{generic_families, is_beyond_repair},
    seeded_runner,
};

/// The chaos phase of a scenario that has none.
const CHAOS_MS: u64 = 14_000;
/// Faults of one switched-on kind, by how much of it there is: hardly any, some, much.
const AMOUNTS: [[u64; 2]; 3] = [[1, 1], [1, 3], [3, 6]];
/// Of a hundred kinds so many are switched on: in a sparse swarm, and in a dense one.
const KINDS_ON_PERCENT: [u32; 3] = [6, 15, 30];
/// So long the drain of a swarmed trial lasts at least, with and without a bus: what went round by the dead letters needs it.
const DRAIN_MIN_MS: (u64, u64) = (180_000, 60_000);
/// Operations of a swarmed trial: beyond that, one trial would take the time of ten.
const OPERATIONS_MAX: f64 = 450.0;

/// What one seed makes of a scenario. Together with the seed it gives one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwarmConfig {
    pub seed: u64,
    pub tier: Tier,
    /// The scenario with what was drawn in place of what it says; its objectives are gone, as they speak of other sizes.
    pub scenario: Scenario,
    /// The kinds of faults that exist in this trial.
    pub kinds: Vec<FaultKind>,
    pub assumptions: Assumptions,
}

impl SwarmConfig {
    /// Draws from (scenario, seed). Each part is drawn from a stream of its own, so that a choice added to one part leaves
    /// the others as they were.
    pub fn draw(tier: Tier, base: &Scenario, seed: u64) -> SwarmConfig {
        let runner = |purpose: &str| seeded_runner(seed, &format!("swarm/{purpose}"));
        let mut scenario = base.clone();
        scenario.objectives.clear();
        scenario.network.tick_ms = scenario.network.tick_ms.max(2);
        draw_topology(&mut scenario, &mut runner("topology"));
        draw_bus(&mut scenario.bus, &mut runner("bus"));
        draw_patience(&mut scenario, &mut runner("service"));
        draw_schedule(&mut scenario, &mut runner("schedule"));
        draw_phases(&mut scenario, &mut runner("phases"));
        draw_workload(&mut scenario, &mut runner("workload"));
        let kinds = draw_faults(&mut scenario, base, &mut runner("faults"));
        let assumptions = draw_assumptions(&mut runner("assumptions"));
        SwarmConfig { seed, tier, scenario, kinds, assumptions }
    }

    /// The trial of this configuration.
    ///
    /// # Errors
    /// If a family of the scenario names hosts that the drawn topology does not have.
    pub fn trial(&self, engine: &str) -> Result<Trial, UnusableTemplate> {
        let drawn = Trial::draw(self.tier, &self.scenario, engine, self.seed)?;
        let faults = drawn.faults.iter().map(|planned| planned.fault.clone()).collect();
        Ok(Trial { assumptions: self.assumptions.clone(), ..drawn }.with_faults(faults))
    }
}

/// Replaces the value in half of all draws.
fn perhaps<T: Clone + std::fmt::Debug + 'static>(runner: &mut TestRunner, value: &mut T, choices: &[T]) {
    let (is_drawn, drawn) = (chance(runner, 50), one_of(runner, choices));
    if is_drawn {
        *value = drawn;
    }
}

fn draw_topology(scenario: &mut Scenario, runner: &mut TestRunner) {
    let topology = &mut scenario.topology;
    // Never fewer than the scenario has: its families may name them.
    let hosts = topology.command_services;
    perhaps(runner, &mut topology.command_services, &[hosts, hosts + 1, hosts + 2]);
    perhaps(runner, &mut topology.servers, &[1, 2, 4, 8]);
    perhaps(runner, &mut topology.service_time_us, &[50, 300, 1_000, 3_000]);
    let network = &mut scenario.network;
    let mut latency = (network.latency_min_us, network.latency_max_us);
    perhaps(runner, &mut latency, &[(100, 300), (200, 800), (500, 4_000), (2_000, 12_000)]);
    (network.latency_min_us, network.latency_max_us) = latency;
}

fn draw_bus(bus: &mut Bus, runner: &mut TestRunner) {
    if !bus.is_there() {
        return;
    }
    let (routers, projections, notifiers) = (bus.routers, bus.projections, bus.notifiers);
    perhaps(runner, &mut bus.routers, &[routers, routers + 1, 3.max(routers)]);
    perhaps(runner, &mut bus.projections, &[projections, projections + 1]);
    perhaps(runner, &mut bus.notifiers, &[notifiers, notifiers + 1]);
    perhaps(runner, &mut bus.hosting, &[Hosting::Worker, Hosting::Worker, Hosting::Lambda]);
    perhaps(runner, &mut bus.core_shards, &[1, 2, 4]);
    perhaps(runner, &mut bus.table_shard_records, &[0, 15, 40, 90]);
    perhaps(runner, &mut bus.service_time_us, &[50, 100, 1_000]);
    perhaps(runner, &mut bus.lease_duration_ms, &[3_000, 4_000, 10_000]);
    perhaps(runner, &mut bus.visibility_s, &[2, 3, 10, 30]);
    perhaps(runner, &mut bus.redelivery_max_s, &[1, 5, 30]);
    perhaps(runner, &mut bus.batch_max, &[0, 3, 10, 100]);
    if bus.dlq_processors == 0 {
        // Without it nothing that was parked would ever be released.
        bus.dlq_processors = 1;
    }
}

fn draw_patience(scenario: &mut Scenario, runner: &mut TestRunner) {
    let service = &mut scenario.service;
    let mut patience = (service.attempt_timeout_ms, service.request_deadline_ms, service.customer_timeout_ms);
    perhaps(runner, &mut patience, &[(1_000, 8_000, 10_000), (500, 4_000, 6_000), (2_000, 8_000, 12_000)]);
    (service.attempt_timeout_ms, service.request_deadline_ms, service.customer_timeout_ms) = patience;
    perhaps(runner, &mut service.connect_timeout_ms, &[200, 500, 1_000]);
}

/// The engine's own order in half of all trials, since whatever is drawn here is slower.
fn draw_schedule(scenario: &mut Scenario, runner: &mut TestRunner) {
    let rarely = Schedule { changes_one_in: 400, ..Schedule::PRIORITIES };
    perhaps(runner, &mut scenario.schedule, &[Schedule::PRIORITIES, rarely, Schedule::PAUSES, Schedule::BOTH]);
}

fn draw_phases(scenario: &mut Scenario, runner: &mut TestRunner) {
    let has_chaos = scenario.phases.chaos_ms > 0;
    let phases = &mut scenario.phases;
    if !has_chaos {
        *phases = Phases { nominal_ms: 3_000, chaos_ms: CHAOS_MS, heal_ms: 4_000, drain_ms: phases.drain_ms };
    }
    // Families that say when they begin would fall out of a window that moved.
    if scenario.faults.iter().all(|family| family.start_ms.is_none()) {
        perhaps(runner, &mut phases.nominal_ms, &[1_000, 3_000]);
        perhaps(runner, &mut phases.chaos_ms, &[8_000, 14_000, 20_000]);
    }
    let drain_min_ms = if scenario.bus.is_there() { DRAIN_MIN_MS.0 } else { DRAIN_MIN_MS.1 };
    phases.drain_ms = phases.drain_ms.max(drain_min_ms);
}

fn draw_workload(scenario: &mut Scenario, runner: &mut TestRunner) {
    let shape = &mut scenario.workload;
    shape.duration_ms = scenario.phases.arrivals_end_ms();
    if shape.source != WorkloadSource::Drawn {
        return;
    }
    perhaps(runner, &mut shape.operations_per_second, &[3.0, 10.0, 20.0, 30.0]);
    perhaps(runner, &mut shape.customers, &[2, 16]);
    perhaps(runner, &mut shape.aggregates, &[2, 6, 12, 40]);
    perhaps(runner, &mut shape.hot_share, &[0.0, 0.1, 0.5, 0.9]);
    perhaps(runner, &mut shape.cart_share, &[0.0, 0.2, 0.5, 0.8]);
    perhaps(runner, &mut shape.contention, &[0.0, 0.15, 0.5]);
    let mut shares = Shares::of(shape);
    let mixes = [
        Shares { read: 0.0, duplicate: 0.0, key_reuse: 0.0, forbidden: 0.0, malformed: 0.0 },
        Shares { read: 0.4, duplicate: 0.05, key_reuse: 0.02, forbidden: 0.03, malformed: 0.03 },
        Shares { read: 0.1, duplicate: 0.3, key_reuse: 0.1, forbidden: 0.0, malformed: 0.0 },
        Shares { read: 0.1, duplicate: 0.1, key_reuse: 0.05, forbidden: 0.2, malformed: 0.2 },
    ];
    perhaps(runner, &mut shares, &mixes);
    shares.put_into(shape);
    perhaps(runner, &mut shape.eventual_share, &[0.0, 0.25, 1.0]);
    perhaps(runner, &mut shape.together_share, &[0.0, 0.3, 1.0]);
    let rate_max = OPERATIONS_MAX * 1_000.0 / shape.duration_ms.max(1) as f64;
    shape.operations_per_second = shape.operations_per_second.min(rate_max);
}

/// What part of all operations is none of the ordinary ones.
#[derive(Clone, Copy, Debug)]
struct Shares {
    read: f64,
    duplicate: f64,
    key_reuse: f64,
    forbidden: f64,
    malformed: f64,
}

impl Shares {
    fn of(shape: &WorkloadShape) -> Shares {
        Shares {
            read: shape.read_share,
            duplicate: shape.duplicate_share,
            key_reuse: shape.key_reuse_share,
            forbidden: shape.forbidden_share,
            malformed: shape.malformed_share,
        }
    }

    fn put_into(self, shape: &mut WorkloadShape) {
        shape.read_share = self.read;
        shape.duplicate_share = self.duplicate;
        shape.key_reuse_share = self.key_reuse;
        shape.forbidden_share = self.forbidden;
        shape.malformed_share = self.malformed;
    }
}

/// Chooses families: half of the scenario's own, and of each kind that is switched on one or a few of those that fit.
fn draw_faults(scenario: &mut Scenario, base: &Scenario, runner: &mut TestRunner) -> Vec<FaultKind> {
    let percent = one_of(runner, &KINDS_ON_PERCENT);
    let own = base.faults.iter().filter(|_| chance(runner, 50));
    // The scenario meant them for another hosting than the one that was drawn.
    let own = own.filter(|family| !is_beyond_repair(family.kind, scenario.bus.hosting));
    let mut families: Vec<FaultTemplate> = own.cloned().collect();
    for kind in FaultKind::ALL {
        let is_on = chance(runner, percent);
        let amount = one_of(runner, &AMOUNTS);
        let candidates = generic_families(*kind, scenario);
        if !is_on || candidates.is_empty() {
            continue;
        }
        let wanted = draw(runner, 1..=candidates.len().min(3));
        for _ in 0..wanted {
            let mut family = one_of(runner, &candidates);
            family.count = Whole::Between(amount);
            if chance(runner, 30) {
                family.hits = Some(one_of(runner, &[Whole::Between([1, 3]), Whole::Between([2, 12])]));
            }
            families.push(family);
        }
    }
    let mut kinds: Vec<FaultKind> = families.iter().map(|family| family.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    scenario.faults = families;
    kinds
}

/// Facts about AWS that nobody outside is sure of: mostly as they are likeliest, and now and then at the edge of what may be.
fn draw_assumptions(runner: &mut TestRunner) -> Assumptions {
    let mut drawn = Assumptions::default();
    fn doubt<T: Clone + std::fmt::Debug + 'static>(runner: &mut TestRunner, value: &mut T, others: &[T]) {
        let (is_drawn, other) = (chance(runner, 20), one_of(runner, others));
        if is_drawn {
            *value = other;
        }
    }
    doubt(runner, &mut drawn.latency_tail_share, &[0.0, 0.005]);
    doubt(runner, &mut drawn.stale_read_share, &[0.0, 0.5]);
    doubt(runner, &mut drawn.stale_read_max_ms, &[10, 1_000]);
    doubt(runner, &mut drawn.stream_torn_share, &[0.0, 1.0]);
    doubt(runner, &mut drawn.unknown_members_refused, &[false]);
    doubt(runner, &mut drawn.stream_readers_limited, &[false]);
    let mut stream_lag = (drawn.stream_lag_p50_ms, drawn.stream_lag_p99_ms);
    doubt(runner, &mut stream_lag, &[(1.0, 10.0), (200.0, 2_000.0)]);
    (drawn.stream_lag_p50_ms, drawn.stream_lag_p99_ms) = stream_lag;
    let mut kinesis_lag = (drawn.kinesis_lag_p50_ms, drawn.kinesis_lag_p99_ms);
    doubt(runner, &mut kinesis_lag, &[(1.0, 10.0), (200.0, 1_500.0)]);
    (drawn.kinesis_lag_p50_ms, drawn.kinesis_lag_p99_ms) = kinesis_lag;
    doubt(runner, &mut drawn.kinesis_empty_page_share, &[0.0, 0.3]);
    doubt(runner, &mut drawn.kinesis_arrival_jitter_ms, &[0, 300]);
    let mut queue_lag = (drawn.sqs_delivery_p50_ms, drawn.sqs_delivery_p99_ms);
    doubt(runner, &mut queue_lag, &[(1.0, 5.0), (50.0, 1_000.0)]);
    (drawn.sqs_delivery_p50_ms, drawn.sqs_delivery_p99_ms) = queue_lag;
    doubt(runner, &mut drawn.sqs_reorder_share, &[0.0, 0.3]);
    doubt(runner, &mut drawn.sqs_duplicate_share, &[0.0, 0.05]);
    doubt(runner, &mut drawn.sqs_short_poll_empty_share, &[0.0, 0.4]);
    doubt(runner, &mut drawn.sqs_stale_delete_share, &[0.0, 1.0]);
    let mut topic_lag = (drawn.sns_delivery_p50_ms, drawn.sns_delivery_p99_ms);
    doubt(runner, &mut topic_lag, &[(1.0, 10.0), (200.0, 2_000.0)]);
    (drawn.sns_delivery_p50_ms, drawn.sns_delivery_p99_ms) = topic_lag;
    doubt(runner, &mut drawn.lambda_unknown_sequence_fails_batch, &[false]);
    drawn
}
