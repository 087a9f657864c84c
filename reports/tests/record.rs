//! The record as a file, and what is computed from it.
#![forbid(unsafe_code)]

#[path = "../examples/support/sample.rs"]
mod sample;

use nexus_reports::{
    CheckRecord, Contract, FORMAT_VERSION, FaultRecord, ObjectiveRecord, Outcome, Point, PointOutcome, QueueAccount,
    ReadError, RunRecord, ScenarioRecord, Series, Tier, TrialRecord, Verdict, replay_command, seeds_in_words,
};

#[test]
fn a_record_comes_back_from_json_as_it_was() {
    let record = sample::record();
    let json = record.to_json().unwrap();
    let read = RunRecord::from_json(&json).unwrap();
    assert!(read == record, "the record changed on its way");
    assert!(read.to_json().unwrap() == json, "the text changed on its way");
}

#[test]
fn unround_numbers_settle_at_the_first_writing() {
    let mut record = sample::record();
    record.wall_s = 0.1 + 0.2;
    record.scenarios[0].trials[0].simulated_s = std::f64::consts::PI * 1e5;
    let json = record.to_json().unwrap();
    assert!(RunRecord::from_json(&json).unwrap().to_json().unwrap() == json, "numbers moved again");
    record.wall_s = f64::NAN;
    assert!(record.to_json().unwrap_err().to_string().contains("NaN is not a finite number"));
}

#[test]
fn only_wall_data_differs_between_machines() {
    let record = sample::record();
    let mut elsewhere = record.clone();
    elsewhere.started_unix_ms += 5;
    elsewhere.wall_s *= 3.0;
    elsewhere.scenarios[1].trials[2].wall_s = 9.0;
    elsewhere.scenarios[1].trials[2].peak_memory_bytes = None;
    assert!(elsewhere != record, "wall data is compared");
    assert!(elsewhere.without_wall() == record.without_wall(), "wall data is left");
    elsewhere.scenarios[1].trials[2].aws_calls += 1;
    assert!(elsewhere.without_wall() != record.without_wall(), "other data is lost");
}

#[test]
fn a_damaged_file_is_told_with_its_place() {
    let whole = sample::record().to_json().unwrap();
    let histogram = whole.find("\"HISTFA").unwrap();
    let damaged = |from: &str, to: &str| whole.replacen(from, to, 1);
    let cases = [
        (String::new(), "not JSON: EOF while parsing"),
        (whole[..whole.len() / 2].to_owned(), "not JSON: EOF while parsing"),
        ("[1]".to_owned(), "not a run record"),
        ("{\"trial\":1}".to_owned(), "not a run record"),
        (damaged("\"format_version\":4", "\"format_version\":\"1\""), "not a run record"),
        (damaged("\"format_version\":4", "\"format_version\":7"), "format version 7, where this build reads version 4"),
        (
            damaged("\"verdict\":\"held\"", "\"verdict\":\"fine\""),
            "at scenarios[0].trials[0].verdict: unknown variant `fine`",
        ),
        (damaged("\"aws_calls\":", "\"aws_cols\":"), "unknown field `aws_cols`"),
        (damaged("\"engine\":\"turmoil\",", ""), "missing field `engine`"),
        (
            format!("{}\"HIST!{}", &whole[..histogram], &whole[histogram + 6..]),
            "at scenarios[0].trials[0].latency.aws:TransactWriteItems[0].histogram: the histogram is not base64",
        ),
    ];
    for (text, wanted) in cases {
        let told = RunRecord::from_json(&text).unwrap_err().to_string();
        assert!(told.contains(wanted), "{told:?} does not tell {wanted:?}");
    }
}

#[test]
fn a_file_is_named_in_its_error() {
    let folder = std::env::temp_dir().join(format!("nexus-reports-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("record.json");
    let missing = RunRecord::read_file(&path).unwrap_err();
    assert!(matches!(missing, ReadError::Unreadable { .. }));
    assert!(missing.to_string().contains("record.json"));
    std::fs::write(&path, "{}").unwrap();
    assert!(RunRecord::read_file(&path).unwrap_err().to_string().contains("record.json: not a run record"));
    std::fs::write(&path, sample::record().to_json().unwrap()).unwrap();
    assert_eq!(RunRecord::read_file(&path).unwrap().format_version, FORMAT_VERSION);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_summary_is_one_object_with_the_promised_names() {
    let summary: serde_json::Value = serde_json::from_str(&sample::record().summary_json().unwrap()).unwrap();
    let names: Vec<&str> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = [
        "trials",
        "passed",
        "failed",
        "inconclusive",
        "determinism",
        "faults_fired",
        "latency",
        "aws_calls",
        "simulated_s",
        "wall_s",
        "bugs",
        "routing",
        "dead_letters",
        "coverage",
    ];
    wanted.sort_unstable();
    let mut names = names;
    names.sort_unstable();
    assert_eq!(names, wanted);
    assert_eq!((&summary["trials"], &summary["passed"], &summary["failed"]), (&32.into(), &30.into(), &1.into()));
    assert_eq!(summary["determinism"]["checked"], 3);
    assert_eq!(summary["bugs"][0], "target/nexus/bug-flaky-writes-5.json");
    for name in ["count", "p50_ms", "p99_ms", "p999_ms", "max_ms"] {
        assert!(summary["latency"]["command"][name].is_number(), "{name}");
    }
    for name in ["p50_ms", "p99_ms", "p999_ms", "ours_p99_ms"] {
        assert!(summary["routing"]["nominal"][name].is_number(), "{name}");
    }
    assert_eq!((&summary["coverage"]["rows"], &summary["coverage"]["covered"]), (&8.into(), &6.into()));
}

fn scenario_of(verdicts: &[Verdict]) -> ScenarioRecord {
    let trial = |(seed, verdict): (usize, &Verdict)| TrialRecord::new(seed as u64, *verdict, "00");
    ScenarioRecord {
        name: "any".to_owned(),
        engine: "turmoil".to_owned(),
        tier: Tier::Smoke,
        description: String::new(),
        trials: verdicts.iter().enumerate().map(trial).collect(),
        objectives: Vec::new(),
    }
}

#[test]
fn the_outcome_follows_from_trials_objectives_and_determinism() {
    use Verdict::{Broken, Held, Inconclusive};
    let mostly_held: Vec<Verdict> = std::iter::repeat_n(Held, 19).chain([Inconclusive]).collect();
    let objective =
        |measured_ms, held| ObjectiveRecord { measured_ms, held, ..ObjectiveRecord::unjudged("x", "", 99.0, 5.0) };
    let cases: [(&[Verdict], Vec<ObjectiveRecord>, u64, Outcome); 9] = [
        (&[], vec![], 0, Outcome::Inconclusive),
        (&[Held, Held], vec![], 0, Outcome::Held),
        (&[Held, Broken, Inconclusive], vec![], 0, Outcome::Broken),
        (&[Held, Inconclusive], vec![], 0, Outcome::Inconclusive),
        (&mostly_held, vec![], 0, Outcome::Held),
        (&[Held], vec![objective(Some(4.0), true)], 0, Outcome::Held),
        (&[Held], vec![objective(Some(6.0), false)], 0, Outcome::Broken),
        (&[Held], vec![objective(None, false)], 0, Outcome::Inconclusive),
        (&[Broken], vec![], 1, Outcome::Diverged),
    ];
    for (verdicts, objectives, diverged, wanted) in cases {
        let mut record = RunRecord::new("r", "turmoil", "sim");
        record.scenarios.push(ScenarioRecord { objectives, ..scenario_of(verdicts) });
        record.determinism.diverged = diverged;
        assert_eq!(record.outcome(), wanted, "{verdicts:?}");
    }
    let codes = [Outcome::Held, Outcome::Broken, Outcome::Diverged, Outcome::Inconclusive].map(Outcome::exit_code);
    assert_eq!(codes, [0, 1, 3, 4]);
}

#[test]
fn faults_and_checks_add_up_over_trials() {
    let mut scenario = scenario_of(&[Verdict::Held, Verdict::Broken]);
    for (index, trial) in scenario.trials.iter_mut().enumerate() {
        let fired = index as u64 * 3;
        trial.faults = vec![FaultRecord {
            id: "f1".to_owned(),
            kind: "throttle".to_owned(),
            address: "dynamodb".to_owned(),
            contract: Contract::Masked,
            planned_from_ms: 0,
            planned_until_ms: 9,
            fired,
            first_fired_ms: (fired > 0).then_some(4),
            acted_until_ms: (fired > 0).then_some(8),
        }];
        let check = |name: &str, outcome, examined| CheckRecord {
            name: name.to_owned(),
            outcome,
            examined,
            message: String::new(),
        };
        trial.checks = vec![check("durability", trial.verdict, 10), check("empty", Verdict::Held, 0)];
    }
    let summary = scenario.summary();
    let fault = &summary.faults[0];
    assert_eq!((fault.planned, fault.fired, fault.not_fired(), fault.firings), (2, 1, 1, 3));
    let [durability, empty] = summary.checks.as_slice() else { panic!("two checks") };
    assert_eq!((durability.trials.total(), durability.trials.broken, durability.examined), (2, 1, 20));
    assert!(!durability.is_vacuous() && empty.is_vacuous());
    let mut record = RunRecord::new("r", "turmoil", "sim");
    record.scenarios.push(scenario);
    assert_eq!(record.summary().faults_fired["throttle"], 3);
}

#[test]
fn objectives_are_judged_over_all_trials() {
    let record = sample::record();
    let scenario = &record.scenarios[1];
    let summary = scenario.summary();
    let chaos = &summary.latency_by_phase["command"].iter().find(|(phase, _)| phase == "chaos").unwrap().1;
    let objective = scenario.objectives.iter().find(|objective| objective.phase == "chaos").unwrap();
    assert_eq!(objective.measured_ms, chaos.p99_ms());
    let order: Vec<&str> = summary.latency_by_phase["command"].iter().map(|(phase, _)| phase.as_str()).collect();
    assert_eq!(order, ["nominal", "chaos", "heal", "drain"]);
    let mut unmeasured = scenario.clone();
    unmeasured.objectives = vec![ObjectiveRecord::unjudged("command", "audit", 99.0, 5.0)];
    unmeasured.judge_objectives();
    assert_eq!((unmeasured.objectives[0].measured_ms, unmeasured.objectives[0].held), (None, false));
}

#[test]
fn means_of_shares_add_up_to_the_mean_of_the_whole() {
    for scenario in &sample::record().scenarios {
        let summary = scenario.summary();
        let whole_ms = summary.latency["command"].mean_ms().unwrap();
        let parts_ms: f64 = summary.shares[0].means_ms().iter().sum();
        assert!((whole_ms - parts_ms).abs() < whole_ms * 0.003, "{whole_ms} against {parts_ms}");
    }
}

#[test]
fn thinning_out_keeps_extremes_and_failures() {
    let point = |index: u64| Point {
        start_us: index * 10,
        latency_us: if index == 7_777 { 900_000 } else { 1_000 + index % 13 },
        outcome: if index == 3_333 { PointOutcome::Unknown } else { PointOutcome::Ok },
    };
    let series = Series::sampled("command", (0..10_000).rev().map(point).collect(), 400);
    assert_eq!(series.recorded, 10_000);
    assert!((100..=400).contains(&series.points.len()), "{}", series.points.len());
    assert!(series.points.windows(2).all(|pair| pair[0].start_us < pair[1].start_us));
    assert!(series.points.iter().any(|point| point.latency_us == 900_000));
    assert!(series.points.iter().any(|point| point.outcome == PointOutcome::Unknown));
    let thinner = series.thinned(40);
    assert_eq!((thinner.recorded, thinner.points.len() <= 40), (10_000, true));
    assert!(thinner.points.iter().any(|point| point.latency_us == 900_000));
    let short = Series::sampled("read", (0..5).map(point).collect(), 400);
    assert_eq!((short.recorded, short.points.len()), (5, 5));
}

#[test]
fn every_account_of_a_queue_is_judged_by_itself() {
    let account = |done: u64, remaining: u64| QueueAccount {
        queue: "q".to_owned(),
        sent: 5,
        moved_in: 2,
        done,
        dead_lettered: 1,
        remaining,
        ..QueueAccount::default()
    };
    assert!(account(6, 0).balances() && account(5, 1).balances());
    assert!(!account(5, 0).balances(), "one vanished");
    assert!(!account(6, 1).balances(), "one appeared from nowhere");
    let mut scenario = scenario_of(&[Verdict::Held, Verdict::Held, Verdict::Held]);
    for (trial, account) in scenario.trials.iter_mut().zip([account(5, 0), account(6, 1), account(6, 0)]) {
        trial.queues = vec![account];
    }
    let [queue] = scenario.summary().queues.try_into().unwrap();
    assert!(queue.account.balances(), "the sum hides what the parts show");
    assert_eq!((queue.trials, queue.unbalanced, queue.account.sent), (3, 2, 15));
}

#[test]
fn series_are_kept_of_the_trials_that_did_not_hold() {
    let mut record = sample::record();
    record.keep_series_of(2);
    let kept: Vec<u64> =
        record.scenarios[1].trials.iter().filter(|trial| !trial.series.is_empty()).map(|trial| trial.seed).collect();
    assert_eq!(kept, [1, 5]);
}

#[test]
fn names_are_told_in_words() {
    let seeds: [(&[u64], &str); 6] = [
        (&[], ""),
        (&[3], "3"),
        (&[2, 1], "1, 2"),
        (&[1, 2, 3, 7, 9, 10, 11], "1–3, 7, 9–11"),
        (&[1, 3, 5, 7, 9], "1, 3, 5, 7, …"),
        (&[u64::MAX - 1, u64::MAX], "18446744073709551614, 18446744073709551615"),
    ];
    for (seeds, wanted) in seeds {
        assert_eq!(seeds_in_words(seeds.iter().copied(), 4), wanted);
    }
    assert_eq!(replay_command("target/nexus/bug-a-1.json"), "cargo xtask replay target/nexus/bug-a-1.json");
    assert_eq!(replay_command("my bug's.json"), r"cargo xtask replay 'my bug'\''s.json'");
}
