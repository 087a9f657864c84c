//! A made-up run of believable size and shape, the same on every call: for looking at the faces and for testing them.
//! No simulator is behind it; the numbers come from a small generator.

use std::collections::{BTreeMap, BTreeSet};

use nexus_reports::{
    Assumption, Capability, CheckRecord, Contract, CoverageRow, DeadLetterAccount, Determinism, EncodedLatencies,
    FaultRecord, GoalRecord, Latencies, LatencyModelRow, LatencyShares, ObjectiveRecord, Phase, PhaseHistogram, Point,
    PointOutcome, RunRecord, ScenarioRecord, Series, Tier, TrialRecord, Verdict,
};

/// Phases as (name, from, until), in milliseconds.
const PHASES: [(&str, u64, u64); 4] =
    [("nominal", 0, 20_000), ("chaos", 20_000, 50_000), ("heal", 50_000, 60_000), ("drain", 60_000, 66_000)];

/// Kind, address, contract, from and until in milliseconds, milliseconds added to an operation under it.
type PlannedFault = (&'static str, &'static str, Contract, u64, u64, u64);

const NO_FAULTS: [PlannedFault; 0] = [];
const WRITE_FAULTS: [PlannedFault; 4] = [
    ("throttle", "dynamodb TransactWriteItems, every 3rd", Contract::Masked, 22_000, 27_000, 180),
    ("lost answer", "dynamodb TransactWriteItems, key order#17, 2nd match", Contract::Masked, 30_000, 31_000, 1_100),
    ("latency spike", "dynamodb, all operations", Contract::Detected, 36_000, 43_000, 420),
    ("reset", "command-service to dynamodb, every 5th connection", Contract::Masked, 40_000, 46_000, 240),
];
const NETWORK_FAULTS: [PlannedFault; 3] = [
    ("one-way partition", "command-service to dynamodb", Contract::Detected, 21_000, 29_000, 2_400),
    ("crash and restart", "command-service, with lost memory", Contract::Detected, 33_000, 35_500, 1_700),
    ("slow host", "command-service, service times ×8", Contract::Masked, 38_000, 48_000, 90),
];
const CLOCK_FAULTS: [PlannedFault; 2] = [
    ("clock leap", "command-service, −90 s", Contract::Masked, 25_000, 25_000, 0),
    ("stale read", "dynamodb Query, stream order#*", Contract::Masked, 28_000, 45_000, 6),
];

const STORM_FAULTS: [PlannedFault; 18] = [
    ("partition", "router to kinesis", Contract::Masked, 20_400, 24_000, 300),
    ("throttle", "kinesis PutRecords, every 2nd", Contract::Masked, 21_000, 23_500, 150),
    ("throttle", "dynamodb TransactWriteItems, every 4th", Contract::Masked, 26_000, 28_500, 180),
    ("throttle", "kinesis GetRecords, shard 2", Contract::Masked, 41_000, 42_000, 120),
    ("lost answer", "dynamodb TransactWriteItems, 3rd match", Contract::Masked, 22_300, 22_300, 900),
    ("lost answer", "kinesis PutRecords, 7th match", Contract::Masked, 31_800, 31_800, 900),
    ("lost answer", "sqs DeleteMessage, 2nd match", Contract::Masked, 44_100, 44_100, 0),
    ("crash", "router, with lost memory", Contract::Masked, 27_000, 29_200, 700),
    ("crash", "projection, with lost memory", Contract::Masked, 36_000, 38_000, 500),
    ("crash at call", "router before its checkpoint", Contract::Masked, 33_000, 33_000, 400),
    ("duplicate", "sqs ReceiveMessage, every 9th", Contract::Masked, 24_000, 47_000, 0),
    ("poison", "order#31 version 4", Contract::Detected, 30_000, 30_000, 0),
    ("poison", "cart#12 version 2", Contract::Detected, 34_000, 34_000, 0),
    ("slow host", "projection, service times ×6", Contract::Masked, 38_500, 45_500, 60),
    ("clock skew", "projection, +40 s", Contract::Masked, 20_000, 50_000, 0),
    ("reshard", "kinesis nexus-core, shard 1 in two", Contract::Masked, 39_000, 39_000, 40),
    ("region outage", "sqs, all operations", Contract::Excused, 46_000, 49_000, 0),
    ("transaction conflict", "dynamodb, order#8", Contract::Detected, 25_000, 26_000, 90),
];

struct Plan {
    name: &'static str,
    tier: Tier,
    description: &'static str,
    seeds: u64,
    faults: &'static [PlannedFault],
}

const PLANS: [Plan; 5] = [
    Plan {
        name: "steady",
        tier: Tier::Smoke,
        description: "Orders at an even rate, nothing goes wrong: what the system costs by itself.",
        seeds: 8,
        faults: &NO_FAULTS,
    },
    Plan {
        name: "flaky-writes",
        tier: Tier::Fast,
        description: "DynamoDB throttles, loses answers and slows down while customers pay.",
        seeds: 8,
        faults: &WRITE_FAULTS,
    },
    Plan {
        name: "partitioned-service",
        tier: Tier::Fast,
        description: "The command service loses one direction of its network, then its memory.",
        seeds: 8,
        faults: &NETWORK_FAULTS,
    },
    Plan {
        name: "clock-leaps",
        tier: Tier::Slow,
        description: "Wall clocks leap while snapshots are read <stale> & late.",
        seeds: 4,
        faults: &CLOCK_FAULTS,
    },
    Plan {
        name: "storm",
        tier: Tier::Slow,
        description: "Everything at once, on the bus too: the backlog must be gone after the heal.",
        seeds: 4,
        faults: &STORM_FAULTS,
    },
];

/// The made-up run.
pub fn record() -> RunRecord {
    let mut record = RunRecord::new("4f1c2d9", "turmoil", "sim");
    record.started_unix_ms = 1_795_000_000_000;
    record.wall_s = 41.7;
    record.seeds = (1..=8).collect();
    record.scenarios = PLANS.iter().map(scenario).collect();
    record.determinism = Determinism { checked: 3, diverged: 0 };
    record.latency_model = latency_model();
    record.assumptions = assumptions();
    record.capabilities = capabilities();
    record.coverage_rows = coverage_rows();
    record
}

fn scenario(plan: &Plan) -> ScenarioRecord {
    let mut scenario = ScenarioRecord {
        name: plan.name.to_owned(),
        tier: plan.tier,
        description: plan.description.to_owned(),
        trials: (1..=plan.seeds).map(|seed| trial(plan, seed)).collect(),
        objectives: vec![
            ObjectiveRecord::unjudged("command", "nominal", 99.0, 50.0),
            ObjectiveRecord::unjudged("command", "chaos", 99.0, 3_000.0),
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

fn trial(plan: &Plan, seed: u64) -> TrialRecord {
    let draws = Draws { plan: plan.name, seed };
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
    follow_events(&commands, draws, &mut trial);
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
    trial.faults = faults(plan, draws);
    trial.checks = checks(commands.len() as u64);
    trial.dead_letters = dead_letters(plan, seed, commands.len() as u64);
    trial.coverage = coverage(plan, seed, commands.len() as u64);
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

/// What came after each command: its event on the stream, a notification, the read model.
fn follow_events(commands: &[Operation], draws: Draws, trial: &mut TrialRecord) {
    let [mut stream, mut router, mut queue, mut consumer, mut view, mut projection] =
        ["stream", "router", "queue", "consumer", "view", "projection"].map(|purpose| draws.named(purpose));
    let after = |command: &Operation, modelled_us: u64, own_us: u64| Operation {
        start_us: command.start_us,
        modelled_us,
        injected_us: command.injected_us / 2,
        own_us,
        outcome: command.outcome,
    };
    let mut routing = Vec::new();
    let mut background = Vec::new();
    let mut end_to_end = Vec::new();
    for command in commands {
        let routed = after(command, 11_000 + stream.tail(6_000), 1_800 + router.tail(900));
        background.push(after(command, 34_000 + queue.tail(20_000), 4_000 + consumer.tail(2_500)));
        let mut seen = after(
            command,
            command.modelled_us + routed.modelled_us + 18_000 + view.tail(9_000),
            command.own_us + routed.own_us + 2_600 + projection.tail(1_200),
        );
        seen.injected_us = command.injected_us + routed.injected_us;
        routing.push(routed);
        end_to_end.push(seen);
    }
    for (name, events) in [("routing", &routing), ("background", &background), ("end-to-end", &end_to_end)] {
        trial.latency.insert(name.to_owned(), histograms(events, Operation::latency_us));
    }
    trial.shares.extend(shares("routing", &routing).into_iter().chain(shares("end-to-end", &end_to_end)));
    if commands.iter().any(|command| command.injected_us > 0) {
        let recovery_us = 900_000 + draws.named("recovery").tail(700_000);
        let histogram = Latencies::from_iter([recovery_us]).encode();
        trial.latency.insert("recovery".to_owned(), vec![PhaseHistogram { phase: "heal".to_owned(), histogram }]);
    }
}

/// Storms dead-letter and park; in one trial a message is lost.
fn dead_letters(plan: &Plan, seed: u64, sent: u64) -> Option<DeadLetterAccount> {
    match plan.name {
        "steady" => Some(DeadLetterAccount { sent, done: sent, ..DeadLetterAccount::default() }),
        "storm" => Some(DeadLetterAccount {
            sent,
            done: sent - 3 - u64::from(seed == 2),
            dead_lettered: 11 + seed,
            redriven: 8 + seed,
            quarantined: 3,
            parked: 4,
            released: 3,
            still_parked: 1,
            ..DeadLetterAccount::default()
        }),
        _ => None,
    }
}

fn coverage(plan: &Plan, seed: u64, calls: u64) -> BTreeMap<String, u64> {
    let mut marks = BTreeMap::from([("dynamodb.transact.committed".to_owned(), calls)]);
    let mut mark = |name: &str, count: u64| marks.insert(name.to_owned(), count);
    if plan.name != "steady" {
        mark("dynamodb.transact.cancelled", 3 + seed);
    }
    if plan.name == "clock-leaps" {
        mark("dynamodb.query.stale", 40 * seed);
    }
    if plan.name == "storm" {
        mark("kinesis.throttled", 12 * seed);
        mark("kinesis.split", 1);
        mark("sqs.visibility.expired", 2 + seed);
        mark("sqs.duplicate", 5);
        mark("sqs.purged", seed % 2);
    }
    marks
}

fn coverage_rows() -> Vec<CoverageRow> {
    let row = |row: &str, section: &str, text: &str, marks: &[&str]| CoverageRow {
        row: row.to_owned(),
        section: section.to_owned(),
        text: text.to_owned(),
        marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
    };
    let transact = ["dynamodb.transact.committed", "dynamodb.transact.cancelled"];
    vec![
        row("dynamodb/transaction", "4 DynamoDB", "A transaction commits as a whole or not at all.", &transact),
        row(
            "dynamodb/stale-read",
            "4 DynamoDB",
            "An eventually consistent read may be stale.",
            &["dynamodb.query.stale"],
        ),
        row("kinesis/throttle", "6 Kinesis", "A shard refuses what exceeds its throughput.", &["kinesis.throttled"]),
        row("kinesis/split", "6 Kinesis", "After a split the parent is read out first.", &["kinesis.split"]),
        row(
            "kinesis/iterator-expiry",
            "6 Kinesis",
            "An iterator expires after 5 minutes.",
            &["kinesis.iterator.expired"],
        ),
        row("sqs/visibility", "7 SQS", "A message whose time-out passed comes again.", &["sqs.visibility.expired"]),
        row("sqs/duplicate", "7 SQS", "A standard queue may deliver a message twice.", &["sqs.duplicate"]),
        row("sqs/retention", "7 SQS", "A message past its retention is dropped | unseen.", &["sqs.expired"]),
    ]
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

fn faults(plan: &Plan, draws: Draws) -> Vec<FaultRecord> {
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
    plan.faults.iter().enumerate().map(record).collect()
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

fn latency_model() -> Vec<LatencyModelRow> {
    let row = |operation: &str, p50_ms: f64, p90_ms: f64, p99_ms: f64, source: &str| LatencyModelRow {
        operation: operation.to_owned(),
        p50_ms,
        p90_ms,
        p99_ms,
        source: source.to_owned(),
    };
    vec![
        row("GetItem", 2.5, 4.0, 9.0, "published measurements, same region"),
        row("Query", 3.1, 5.2, 12.0, "published measurements, same region"),
        row("TransactWriteItems", 4.4, 8.0, 21.0, "about twice a PutItem, as its two phases suggest"),
    ]
}

fn assumptions() -> Vec<Assumption> {
    let assumption =
        |name: &str, value: &str, used: u64| Assumption { name: name.to_owned(), value: value.to_owned(), used };
    vec![
        assumption("transaction token window", "10 min from the first call", 12),
        assumption("throttled transactions use capacity", "yes", 5),
        assumption("stream record order within a shard after a split", "parents first", 0),
    ]
}

fn capabilities() -> Vec<Capability> {
    let kinds: BTreeSet<&str> = PLANS.iter().flat_map(|plan| plan.faults).map(|fault| fault.0).collect();
    let of_kind = |kind: &str| {
        let whole = |engine: &str, note: &str| Capability {
            fault_kind: kind.to_owned(),
            engine: engine.to_owned(),
            supported: !note.starts_with("its connector"),
            note: note.to_owned(),
        };
        let note = match kind {
            "reset" => "its connector has no sockets",
            "slow host" => "delays tasks, not packets",
            _ => "",
        };
        [whole("turmoil", ""), whole("madsim", note)]
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

/// Where a trial's numbers come from: a stream of draws for each named purpose, so that one draw more in one place moves no
/// number of another.
#[derive(Clone, Copy)]
struct Draws {
    plan: &'static str,
    seed: u64,
}

impl Draws {
    fn named(self, purpose: &str) -> Dice {
        let letters = self.plan.bytes().chain([0]).chain(purpose.bytes());
        let hashed = letters
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Dice(Dice(hashed).roll() ^ Dice(self.seed).roll())
    }
}

/// splitmix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Mostly around `scale`, seldom many times as much.
    fn tail(&mut self, scale: u64) -> u64 {
        let rarity = (self.roll() % 1_000_000 + 1) as f64 / 1_000_000.0;
        (scale as f64 * rarity.powf(-0.45)) as u64
    }
}
