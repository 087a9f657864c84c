//! Records put together, and compared.
#![forbid(unsafe_code)]

#[path = "../examples/support/sample.rs"]
mod sample;

use nexus_reports::{
    DiffOutcome, LatencyPart, MergeError, Outcome, OwnStatistic, PairedVerdict, RunRecord, TerminalOptions, Verdict,
    coverage_table, engines_json, engines_markdown,
};
use sample::Variant;

/// The sample cut into a record with the seeds up to `last` and one with the rest.
fn halves(last: u64) -> (RunRecord, RunRecord) {
    let (mut low, mut high) = (sample::record(), sample::record());
    let keep = |record: &mut RunRecord, wanted: &dyn Fn(u64) -> bool| {
        record.seeds.retain(|seed| wanted(*seed));
        for scenario in &mut record.scenarios {
            scenario.trials.retain(|trial| wanted(trial.seed));
            scenario.judge_objectives();
        }
    };
    keep(&mut low, &|seed| seed <= last);
    keep(&mut high, &|seed| seed > last);
    (low, high)
}

#[test]
fn two_halves_make_the_whole() {
    let whole = sample::record();
    let (low, high) = halves(3);
    for parts in [vec![low.clone(), high.clone()], vec![high, low]] {
        let merged = RunRecord::merge(parts).unwrap();
        assert!(merged.scenarios == whole.scenarios, "scenarios differ");
        assert_eq!(merged.seeds, whole.seeds);
        assert_eq!(merged.summary().latency, whole.summary().latency);
        assert_eq!(merged.determinism.checked, 6);
        assert_eq!(merged.wall_s, 2.0 * whole.wall_s);
        assert_eq!(merged.latency_model, whole.latency_model);
        assert_eq!(merged.assumptions.iter().map(|it| it.used).sum::<u64>(), 2 * 17);
    }
}

#[test]
fn a_trial_met_twice_is_a_determinism_check() {
    let record = sample::record();
    let merged = RunRecord::merge(vec![record.clone(), record.clone()]).unwrap();
    assert!(merged.scenarios == record.scenarios, "scenarios differ");
    assert_eq!((merged.determinism.checked, merged.determinism.diverged), (3 + 3 + 32, 0));
    let mut other = record.clone();
    other.scenarios[0].trials[0].trace_hash = "ff".to_owned();
    other.scenarios[1].trials[0].verdict = Verdict::Broken;
    other.profile = "dev".to_owned();
    let merged = RunRecord::merge(vec![record, other]).unwrap();
    assert_eq!(merged.determinism.diverged, 2);
    assert_eq!(merged.profile, "sim+dev");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let record = sample::record();
    let changed = |change: &dyn Fn(&mut RunRecord)| {
        let mut other = record.clone();
        change(&mut other);
        RunRecord::merge(vec![record.clone(), other]).unwrap_err()
    };
    assert_eq!(RunRecord::merge(Vec::new()).unwrap_err(), MergeError::Nothing);
    let cases = [
        (changed(&|record| record.revision = "zz".to_owned()), "different revisions, 4f1c2d9 and zz"),
        (changed(&|record| record.latency_model[1].p50_ms = 9.0), "different latency models for Query"),
        (
            changed(&|record| record.scenarios[2].objectives[0].limit_ms = 9.0),
            "partitioned-service has other objectives",
        ),
    ];
    for (error, wanted) in cases {
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn a_run_is_no_worse_than_itself() {
    let record = sample::record();
    let diff = record.diff(&record);
    assert!(!diff.is_worse());
    assert!(diff.terminal(&TerminalOptions::default()).ends_with("Not worse than before.\n"));
    assert!(diff.scenarios.iter().all(|scenario| scenario.latency.iter().all(|latency| latency.change == 0.0)));
}

#[test]
fn a_later_run_is_compared() {
    let before = sample::record();
    let mut after = before.clone();
    after.revision = "77aa001".to_owned();
    let renamed = after.scenarios.remove(3);
    after.scenarios.push(nexus_reports::ScenarioRecord { name: "clock-drift".to_owned(), ..renamed });
    let flaky = after.scenarios[1].trials.clone();
    // Slower by another scenario's latencies, one seed mended, another one broken.
    after.scenarios[0].trials.iter_mut().zip(flaky).for_each(|(trial, slower)| trial.latency = slower.latency);
    after.scenarios[1].trials[4].verdict = Verdict::Held;
    after.scenarios[1].trials[4].checks[2].outcome = Verdict::Held;
    after.scenarios[2].trials[1].verdict = Verdict::Broken;
    after.scenarios[2].trials[1].checks[3].outcome = Verdict::Broken;
    after.scenarios[2].trials[1].trace_hash = "00".to_owned();
    let diff = before.diff(&after);
    assert!(diff.is_worse());
    assert_eq!(
        (diff.only_before.as_slice(), diff.only_after.as_slice()),
        (&["clock-leaps".to_owned()][..], &["clock-drift".to_owned()][..])
    );
    assert_eq!(diff.scenarios[1].mended, [5]);
    assert_eq!(diff.scenarios[1].checks_mended, ["idempotency key"]);
    assert_eq!(
        (diff.scenarios[2].newly_broken.as_slice(), diff.scenarios[2].other_traces.as_slice()),
        (&[2][..], &[2][..])
    );
    let p99 = diff.scenarios[0].latency.iter().find(|it| it.latency == "command" && it.percentile == 99.0).unwrap();
    assert!(p99.notable && p99.change > 10.0, "{p99:?}");
    let read = diff.scenarios[0].latency.iter().filter(|it| it.latency == "read");
    assert!(
        read.clone().count() > 1 && read.clone().all(|it| !it.notable),
        "other draws alone are no change: {read:?}"
    );
    insta::assert_snapshot!("diff", diff.terminal(&TerminalOptions::default()));
    let json: serde_json::Value = serde_json::from_str(&diff.to_json().unwrap()).unwrap();
    assert_eq!(json["scenarios"][2]["newly_broken"][0], 2);
}

/// As the sample, but by another revision, which takes `router_percent` of the time that the router took.
fn later(router_percent: u64) -> RunRecord {
    sample::variant(&Variant { revision: "77aa001", router_percent, weather: 1, ..Variant::default() })
}

#[test]
fn a_router_slower_by_a_fifth_is_told_though_the_whole_hides_it() {
    let diff = sample::record().diff(&later(120));
    let steady = &diff.scenarios[0];
    let nominal = |it: &&nexus_reports::OwnShareDiff| it.latency == "routing" && it.phase == "nominal";
    let own: Vec<_> = steady.own_share.iter().filter(nominal).collect();
    assert_eq!(own.iter().map(|it| it.statistic).collect::<Vec<_>>(), [OwnStatistic::Mean, OwnStatistic::Median]);
    for own in own {
        assert_eq!((own.verdict, own.seeds), (PairedVerdict::Grew, 8), "{own:?}");
        assert!((0.15..0.25).contains(&own.change), "{own:?}");
    }
    let whole = |it: &&nexus_reports::LatencyDiff| it.latency == "routing" && it.part == LatencyPart::Whole;
    assert!(steady.latency.iter().filter(whole).all(|it| !it.notable), "the whole must hide it, or this shows nothing");
    let told = diff.own_regressions();
    assert!(told.iter().any(|sentence| sentence.starts_with("steady: our own share of routing GREW by ")), "{told:?}");
    assert_eq!(diff.outcome(), DiffOutcome::Worse);
    insta::assert_snapshot!("own_share", diff.terminal(&TerminalOptions::default()));
}

#[test]
fn other_weather_is_no_slowdown_and_a_faster_router_is_not_worse() {
    let same = sample::record().diff(&later(100));
    let judged = || same.scenarios.iter().flat_map(|scenario| &scenario.own_share);
    assert!(judged().any(|own| own.verdict == PairedVerdict::WithinNoise && own.change != 0.0));
    assert!(judged().all(|own| !matches!(own.verdict, PairedVerdict::Grew | PairedVerdict::Shrank)));
    assert_eq!(same.outcome(), DiffOutcome::NotWorse);
    assert!(same.terminal(&TerminalOptions::default()).contains("Our own share grew nowhere beyond noise."));
    let faster = sample::record().diff(&later(80));
    assert!(faster.scenarios[0].own_share.iter().any(|own| own.verdict == PairedVerdict::Shrank));
    assert_eq!(faster.outcome(), DiffOutcome::NotWorse);
}

#[test]
fn few_seeds_are_not_judged_and_none_in_common_is_said() {
    let (low, high) = halves(4);
    let diff = low.diff(&later(120));
    assert!(diff.scenarios.iter().flat_map(|one| &one.own_share).all(|own| own.verdict == PairedVerdict::TooFewSeeds));
    assert!(diff.terminal(&TerminalOptions::default()).contains("not judged where fewer than 5 seeds"));
    assert_eq!(low.diff(&high).outcome(), DiffOutcome::NothingInCommon);
    let codes = [DiffOutcome::NotWorse, DiffOutcome::Worse, DiffOutcome::Diverged, DiffOutcome::NothingInCommon];
    assert_eq!(codes.map(DiffOutcome::exit_code), [0, 1, 3, 4]);
}

fn both_engines() -> RunRecord {
    let madsim = sample::variant(&Variant { engine: "madsim", weather: 7, ..Variant::default() });
    RunRecord::merge(vec![sample::record(), madsim]).unwrap()
}

#[test]
fn engines_stay_apart_in_one_record() {
    let (turmoil, both) = (sample::record(), both_engines());
    assert_eq!((both.engine.as_str(), both.engines()), ("turmoil+madsim", vec!["turmoil", "madsim"]));
    assert_eq!(both.scenarios.len(), 2 * turmoil.scenarios.len());
    assert!(both.scenarios[..5] == turmoil.scenarios[..], "trials were mixed");
    assert_eq!((both.determinism.checked, both.outcome()), (6, Outcome::Broken));
    let text = both.terminal(&TerminalOptions::default());
    assert!(
        text.contains("flaky-writes (turmoil), seed 5") && text.contains("flaky-writes (madsim), seed 5"),
        "{text}"
    );
    assert!(text.contains("reset on madsim: its connector has no sockets"), "{text}");
    assert_eq!(coverage_table(&both).scenarios, coverage_table(&turmoil).scenarios);
    assert_eq!(both.diff(&turmoil).only_before.len(), 5, "another engine plays other trials");
}

#[test]
fn faults_by_engine() {
    let both = both_engines();
    insta::assert_snapshot!("engines", engines_markdown(&both));
    let faults: serde_json::Value = serde_json::from_str(&engines_json(&both).unwrap()).unwrap();
    let reset: Vec<_> = faults.as_array().unwrap().iter().filter(|it| it["fault_kind"] == "reset").collect();
    assert_eq!(reset.iter().map(|it| &it["supported"]).collect::<Vec<_>>(), [false, true]);
    assert!(reset[0]["planned"] == 0 && reset[1]["fired"] == 8, "{reset:?}");
}

#[test]
fn another_trace_at_the_same_revision_is_worse() {
    let before = sample::record();
    let mut after = before.clone();
    after.scenarios[0].trials[0].trace_hash = "00".to_owned();
    assert!(before.diff(&after).is_worse());
    after.revision = "another".to_owned();
    assert!(!before.diff(&after).is_worse());
}

#[test]
fn a_percentile_that_few_operations_decide_is_not_compared() {
    let (low, _) = halves(1);
    let compared: Vec<f64> = low.diff(&low).scenarios[0]
        .latency
        .iter()
        .filter(|it| it.latency == "command" && it.part == LatencyPart::Whole)
        .map(|it| it.percentile)
        .collect();
    assert_eq!(compared, [50.0, 99.0], "fifteen hundred operations have only one or two beyond p99.9");
}
