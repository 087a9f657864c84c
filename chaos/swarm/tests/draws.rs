//! What every drawn, mutated and exhausted trial owes, whatever its seed.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use nexus_cloud::{Call, Service, UnixNanos};
use nexus_faults::{EnvironmentFault, Fault, FaultKind};
use nexus_scenario::{Scenario, Tier};
use nexus_swarm::{
    Budget, Candidate, Corpus, ExploreSettings, Explorer, Origin, Seen, Shard, SwarmConfig, Trial,
    exhaustion::{Account, Deed, Tried, pairs, plan},
    lineage::{RecordedCall, Rescue, rescuers},
    mutate, seeded_runner,
};
use proptest::prelude::*;

const BUS: &str = r#"
description = "A bus."

[bus]
routers = 2
projections = 1
notifiers = 1
dlq_processors = 1

[phases]
nominal_ms = 4000
chaos_ms = 14000
heal_ms = 4000
drain_ms = 90000

[workload]
operations_per_second = 10.0

[[faults]]
kind = "failed-entries"
count = [1, 3]
start_ms = [4000, 9000]

[[faults]]
kind = "crash"
hosts = ["routers"]
count = [0, 3]
"#;

const WRITE_SIDE: &str = r#"
description = "No bus."

[workload]
operations_per_second = 10.0

[[faults]]
kind = "lost-answer"
count = [0, 2]
"#;

fn scenario(name: &str, text: &str) -> Scenario {
    nexus_scenario::parse(name, "case.toml", text).unwrap()
}

fn scenarios() -> Vec<(Tier, Scenario)> {
    vec![(Tier::Fast, scenario("bus", BUS)), (Tier::Fast, scenario("write-side", WRITE_SIDE))]
}

fn drawn(seed: u64) -> Trial {
    let (tier, scenario) = &scenarios()[(seed % 2) as usize];
    SwarmConfig::draw(*tier, scenario, seed).trial("turmoil").unwrap()
}

/// Each fault lies inside the chaos, and no host is away for longer than the budget allows.
fn assert_within_budget(trial: &Trial) {
    let (from_ms, until_ms) = trial.phases.chaos_window_ms();
    let mut down_ms: BTreeMap<&str, u64> = BTreeMap::new();
    let mut by_service: BTreeMap<Service, usize> = BTreeMap::new();
    assert!(trial.faults.len() <= Budget::FAULTS_MAX);
    for planned in &trial.faults {
        let (begins_ms, ends_ms) = planned.window_ms();
        assert!(begins_ms <= ends_ms && ends_ms <= until_ms, "{}: {}", planned.kind(), planned.address());
        match &planned.fault {
            Fault::Call { address, .. } => *by_service.entry(address.service).or_default() += 1,
            Fault::Environment(fault) => {
                assert!(from_ms <= begins_ms, "{}: {}", planned.kind(), planned.address());
                match fault {
                    EnvironmentFault::Crash { host, .. } | EnvironmentFault::Pause { host, .. } => {
                        *down_ms.entry(host).or_default() += ends_ms - begins_ms;
                    }
                    _ => {}
                }
            }
        }
    }
    let down_max_ms = (until_ms - from_ms) * Budget::DOWN_PERCENT_MAX / 100;
    assert!(down_ms.values().all(|down| *down <= down_max_ms), "{down_ms:?} of {down_max_ms}");
    assert!(by_service.values().all(|count| *count <= Budget::CALL_FAULTS_PER_SERVICE_MAX), "{by_service:?}");
}

fn assert_ids_differ(trial: &Trial) {
    let ids: BTreeSet<u32> = trial.faults.iter().map(|planned| planned.id).collect();
    assert_eq!(ids.len(), trial.faults.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_draw_keeps_its_budget_and_is_the_same_each_time_and_from_a_file(seed in any::<u64>()) {
        let trial = drawn(seed);
        assert_within_budget(&trial);
        assert_ids_differ(&trial);
        prop_assert_eq!(&drawn(seed), &trial);
        let text = serde_json::to_string(&trial).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Trial>(&text).unwrap(), &trial);
        let (tier, base) = &scenarios()[(seed % 2) as usize];
        let config = SwarmConfig::draw(*tier, base, seed);
        let text = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<SwarmConfig>(&text).unwrap(), &config);
    }

    #[test]
    fn a_mutant_keeps_the_budget_is_the_same_each_time_and_differs(seed in any::<u64>(), other in any::<u64>()) {
        let (parent, lender) = (drawn(seed), drawn(other));
        let mut last = parent.clone();
        for round in 0..6 {
            let (mutant, made) = mutate(&last, &lender, &mut seeded_runner(seed, &format!("round {round}")));
            let again = mutate(&last, &lender, &mut seeded_runner(seed, &format!("round {round}")));
            prop_assert_eq!(&again.0, &mutant);
            prop_assert!(!made.is_empty());
            assert_within_budget(&mutant);
            assert_ids_differ(&mutant);
            prop_assert!(mutant.workload.operations.is_sorted_by_key(|operation| (operation.at_ms, operation.id)));
            last = mutant;
        }
    }

    #[test]
    fn a_corpus_only_grows_in_what_it_shows_and_its_cover_shows_the_same(
        shown in proptest::collection::vec(proptest::collection::btree_set(0_u8..40, 0..8), 1..24)
    ) {
        let trial = drawn(1);
        let (mut corpus, mut twin) = (Corpus::default(), Corpus::default());
        let mut all = BTreeSet::new();
        for (number, features) in shown.iter().enumerate() {
            let trial = Trial { seed: number as u64, ..trial.clone() };
            let features: Vec<String> = features.iter().map(|feature| format!("feature {feature}")).collect();
            let new = features.iter().filter(|feature| !all.contains(*feature)).count();
            all.extend(features.iter().cloned());
            prop_assert_eq!(corpus.offer(&trial, &features), new);
            twin.offer(&trial, &features);
            prop_assert_eq!(corpus.features(), all.len());
        }
        prop_assert_eq!(&corpus, &twin);
        let cover = corpus.cover();
        let covered: BTreeSet<String> = cover.iter().flat_map(|entry| entry.features.clone()).collect();
        prop_assert_eq!(&covered, &all);
        prop_assert!(cover.len() <= corpus.entries().len());
    }
}

#[test]
fn a_swarm_leaves_most_out_and_has_everything_in_the_end() {
    let mut seen = BTreeSet::new();
    for seed in 0..600 {
        let (tier, base) = &scenarios()[0];
        let config = SwarmConfig::draw(*tier, base, seed);
        assert!(config.kinds.len() < FaultKind::ALL.len() * 3 / 4, "seed {seed}: nearly every kind is on");
        seen.extend(config.kinds);
    }
    let missing: Vec<&FaultKind> = FaultKind::ALL.iter().filter(|kind| !seen.contains(kind)).collect();
    let others = [FaultKind::LateSchema, FaultKind::PendingSchema, FaultKind::FailedSchema, FaultKind::BreakingSchema];
    let expected = [&[FaultKind::Tampering, FaultKind::WrongRedrive], &others[..]].concat();
    assert_eq!(
        missing,
        expected.iter().collect::<Vec<_>>(),
        "only scenarios that starve their consumer, that have none, or that ask a registry"
    );
}

/// A world in which a trial shows what faults it has: enough to see that what is guided by features finds more of them.
fn shown_by(candidate: &Candidate) -> Seen {
    let kinds = candidate.trial.faults.iter().map(|planned| planned.kind().to_string());
    let features: BTreeSet<String> = kinds.chain([candidate.trial.scenario.clone()]).collect();
    let is_broken = candidate.number % 7 == 3;
    Seen { trial: candidate.trial.clone(), features: features.into_iter().collect(), is_broken }
}

fn explored(shard: Shard, trials: u64) -> Vec<Candidate> {
    let settings = ExploreSettings { first: 10, trials: Some(trials), shard, engine: "turmoil".into() };
    let mut explorer = Explorer::new(settings, scenarios(), Vec::new());
    let mut all = Vec::new();
    loop {
        let generation = explorer.next_generation().unwrap();
        if generation.is_empty() {
            break;
        }
        let seen: Vec<Option<Seen>> = generation.iter().map(|candidate| Some(shown_by(candidate))).collect();
        explorer.absorb(&generation, &seen);
        all.extend(generation);
    }
    let tallied: u64 = explorer.tallies().values().map(|tally| tally.trials).sum();
    assert_eq!(tallied, all.len() as u64);
    let points: Vec<u64> = explorer.progress().iter().map(|point| point.features).collect();
    assert!(points.is_sorted(), "{points:?}");
    all
}

#[test]
fn an_exploration_is_the_same_each_time_and_always_keeps_a_random_share() {
    let (first, second) = (explored(Shard::WHOLE, 60), explored(Shard::WHOLE, 60));
    assert_eq!(first.len(), 60);
    for (one, other) in first.iter().zip(&second) {
        assert_eq!((one.number, &one.origin, &one.trial), (other.number, &other.origin, &other.trial));
    }
    let of = |name: &str| first.iter().filter(|candidate| candidate.origin.name() == name).count();
    assert!(of("random") >= 24 && of("mutated") >= 20, "{} random, {} mutated", of("random"), of("mutated"));
}

#[test]
fn shards_play_different_numbers_and_together_all_of_them() {
    let numbers = |index| explored(Shard { index, count: 3 }, 31).into_iter().map(|candidate| candidate.number);
    let mut all: Vec<u64> = (0..3).flat_map(numbers).collect();
    all.sort_unstable();
    assert_eq!(all, (10..41).collect::<Vec<_>>());
}

#[test]
fn what_an_earlier_run_kept_is_played_first() {
    let settings =
        |engine: &str| ExploreSettings { first: 0, trials: Some(16), shard: Shard::WHOLE, engine: engine.to_owned() };
    let kept = vec![drawn(4), drawn(5)];
    let generation = Explorer::new(settings("turmoil"), scenarios(), kept.clone()).next_generation().unwrap();
    let origins: Vec<&Origin> = generation.iter().take(3).map(|candidate| &candidate.origin).collect();
    assert_eq!(origins, [&Origin::Corpus, &Origin::Corpus, &Origin::Random]);
    assert_eq!((&generation[0].trial, &generation[1].trial), (&kept[0], &kept[1]));
    let foreign = Explorer::new(settings("madsim"), scenarios(), kept).next_generation().unwrap();
    assert!(
        foreign.iter().all(|candidate| candidate.origin == Origin::Random),
        "another engine's trials are not played"
    );
}

#[test]
fn a_corpus_survives_its_folder() {
    let folder = std::env::temp_dir().join(format!("nexus-corpus-{}", std::process::id()));
    let mut corpus = Corpus::default();
    corpus.offer(&drawn(2), &["a".into(), "b".into()]);
    corpus.offer(&drawn(3), &["b".into(), "c".into()]);
    corpus.offer(&drawn(4), &["a".into(), "b".into(), "c".into(), "d".into()]);
    assert_eq!(corpus.write(&folder).unwrap(), 1, "the third shows all that the others do");
    std::fs::write(folder.join("notes.txt"), "not ours").unwrap();
    assert_eq!(Corpus::read_trials(&folder).unwrap(), [drawn(4)]);
    std::fs::write(folder.join("broken.json"), "{}").unwrap();
    let problem = Corpus::read_trials(&folder).unwrap_err().to_string();
    assert!(problem.contains("broken.json"), "{problem}");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(Corpus::read_trials(&folder).unwrap(), []);
}

fn recorded(sequence: u64, caller: &str, service: Service, operation: &str, keys: &[&str]) -> RecordedCall {
    RecordedCall {
        call: Call {
            sequence,
            at: UnixNanos(sequence),
            caller: caller.into(),
            service,
            operation: operation.into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            is_write: true,
            is_transaction: false,
            is_eventual_read: false,
            client_token: None,
            invocation_id: None,
            attempt: None,
        },
        at_ms: sequence * 10,
        status: 200,
        error: None,
        delivered: true,
        has_effect: true,
        is_owing: true,
    }
}

fn small_run() -> Vec<RecordedCall> {
    vec![
        recorded(1, "orders-1", Service::Dynamodb, "Query", &["nexus-events/order-o-1"]),
        recorded(
            2,
            "orders-1",
            Service::Dynamodb,
            "TransactWriteItems",
            &["nexus-events/order-o-1/1", "nexus-idempotency/key-1"],
        ),
        recorded(3, "router-1", Service::Kinesis, "PutRecords", &["nexus-core/order-o-1"]),
        recorded(4, "orders-1", Service::Dynamodb, "Query", &["nexus-events/order-o-1"]),
        recorded(
            5,
            "orders-1",
            Service::Dynamodb,
            "TransactWriteItems",
            &["nexus-events/order-o-1/2", "nexus-idempotency/key-2"],
        ),
        recorded(6, "sns", Service::Sqs, "SendMessage", &["nexus-notifications"]),
        recorded(7, "router-1", Service::Kinesis, "PutRecords", &["nexus-core/order-o-1"]),
        recorded(99, "router-1", Service::Kinesis, "PutRecords", &["nexus-core/order-o-1"]),
    ]
}

#[test]
fn every_call_meets_every_deed_or_a_reason_why_not() {
    let calls = small_run();
    for every in [false, true] {
        let plan = plan(&calls, 500, every);
        assert_eq!((plan.calls, plan.calls_beyond), (7, 1));
        assert_eq!(plan.classes.iter().map(|count| count.calls).sum::<u64>(), 7);
        let tried: u64 = plan.classes.iter().map(|count| count.tried).sum();
        assert_eq!(tried, if every { 7 } else { 4 });
        let impossible: u64 = plan.impossible.values().sum();
        assert_eq!(plan.singles.len() as u64 + impossible, tried * Deed::ALL.len() as u64);
        for single in &plan.singles {
            let hit = calls
                .iter()
                .filter(|it| single.address.matches(&it.call, it.at_ms))
                .nth(single.address.nth as usize - 1);
            let class = &plan.classes[single.class].class;
            assert_eq!(hit.map(|it| &it.call.operation), Some(&class.operation), "{}", single.address);
        }
    }
    let second_query = plan(&calls, 500, true).singles.iter().filter(|it| it.address.nth == 2).count();
    assert_eq!(second_query, 5 + 6, "the second Query meets 5 deeds, the second PutRecords 6");
}

#[test]
fn the_account_of_an_exhaustion_adds_up() {
    let outcomes = [
        Tried::Held,
        Tried::Broken { reason: "b".into() },
        Tried::Undecided { reason: "u".into() },
        Tried::Unreachable { why: "w".into() },
        Tried::Held,
    ];
    let mut account = Account::of(outcomes.len());
    for (tried, outcome) in outcomes.iter().enumerate() {
        assert!(!account.is_exhausted(), "after {tried} of {}", outcomes.len());
        account.count(outcome);
        assert_eq!(account.tried(), tried as u64 + 1);
    }
    assert!(account.is_exhausted());
    assert_eq!(
        (account.held, account.broken, account.undecided, account.unreachable, account.fired()),
        (2, 1, 1, 1, 4)
    );
}

#[test]
fn what_stood_in_for_a_lost_call_is_found_with_its_address() {
    let mut calls = small_run();
    calls[1].delivered = false;
    let found = rescuers(&calls, 2, 500, 8);
    let said: Vec<(Rescue, Option<&str>, u32)> =
        found.iter().map(|it| (it.rescue, it.address.operation.as_deref(), it.address.nth)).collect();
    assert_eq!(said, [(Rescue::LookedUp, Some("Query"), 2), (Rescue::Again, Some("TransactWriteItems"), 1)]);
    assert!(rescuers(&calls, 98, 500, 8).is_empty());

    let plan = plan(&calls, 500, false);
    let survived: Vec<_> = plan.singles.iter().map(|single| (single.clone(), found.clone())).collect();
    let all = pairs(&survived, usize::MAX);
    assert_eq!(all.len(), plan.singles.len() * 2 * 5);
    assert_eq!(pairs(&survived, 7), all[..7]);
    let classes: BTreeSet<usize> = all[..plan.classes.len()].iter().map(|pair| pair.first.class).collect();
    assert_eq!(classes.len(), plan.classes.len(), "the first pairs are about different classes");
}
