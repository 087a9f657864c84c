//! The steps that run trials and read what the laboratory says of them.

use std::{collections::BTreeMap, ffi::OsString, fs, path::PathBuf};

use nexus_commands::{Engine, EngineChoice, JunitOption, ScheduleChoice, SimOptions, exit};
use serde_json::Value;

use super::Finding;
use crate::{
    error::XtaskError,
    flavour::{self, Flavour, LAB, Profile},
    launch::Launch,
    planted_bugs,
    workspace::Workspace,
};

/// Where the cheapest scenarios are: each trial of theirs takes a fraction of a second.
const SMOKE: &str = "scenarios/smoke";

/// Enough trials that an order depending on the process shows itself.
const DETERMINISM_SEEDS: u64 = 20;

/// Comparing builds needs few: a difference between them shows in nearly every trial.
const PROFILE_SEEDS: u64 = 4;

const CHAOS_SEEDS: u64 = 3;

/// A planted bug must be caught within so many seeds.
const BUG_SEEDS: u64 = 500;

/// So many of the planted bugs, spread over their list, stand for all of them.
const CANARIES: usize = 3;

/// Equal traces in another process, on both engines; and in a plain build against the optimised one.
pub fn determinism(workspace: &Workspace) -> Finding {
    let scenarios = smoke_scenarios(workspace)?;
    let mut checked = 0;
    for engine in Engine::ALL {
        let options =
            SimOptions { scenarios: scenarios.clone(), check_determinism: true, ..sim(engine, DETERMINISM_SEEDS) };
        let run = run_sim(workspace, options, Profile::Sim, &format!("determinism-{engine}"))?;
        checked += compared(&run.summary).map_err(|reason| format!("{engine}: {reason}"))?;
        run.expect(&[exit::HELD, exit::INCONCLUSIVE])?;
    }
    let hashes_of = |profile: Profile| {
        let options = SimOptions { scenarios: scenarios.clone(), ..sim(Engine::Turmoil, PROFILE_SEEDS) };
        let run = run_sim(workspace, options, profile, &format!("profile-{}", profile.name()))?;
        run.expect(&[exit::HELD, exit::INCONCLUSIVE])?;
        trace_hashes(&run.record()?).map_err(|reason| format!("{} build: {reason}", profile.name()))
    };
    let (optimised, plain) = (hashes_of(Profile::Sim)?, hashes_of(Profile::Plain)?);
    let equal = equal_hashes(&optimised, &plain)?;
    Ok(format!("{checked} trials twice, none diverged; {equal} trials equal in plain and optimised builds"))
}

/// Every scenario over a few seeds: nothing breaks.
pub fn chaos(workspace: &Workspace, engine: Engine) -> Finding {
    let options = SimOptions { scenarios: vec!["all".to_owned()], ..sim(engine, CHAOS_SEEDS) };
    let run = run_sim(workspace, options, Profile::Sim, &format!("chaos-{engine}"))?;
    run.expect(&[exit::HELD])?;
    trials_held(&run.summary)
}

/// A few of the planted bugs must be caught, or the checks have gone blind.
pub fn bugs(workspace: &Workspace) -> Finding {
    let names = planted_bugs::names(workspace.root()).map_err(|error| error.line())?;
    let canaries = spread(&names, CANARIES);
    let executable = planted_bugs::build(workspace, Engine::Turmoil).map_err(|error| error.line())?;
    let mut words: Vec<OsString> = ["bench", "bugs", "--json"].map(OsString::from).to_vec();
    words.push(format!("--seeds={BUG_SEEDS}").into());
    words.extend(canaries.iter().map(|name| format!("--only={name}").into()));
    let launch = Launch::new(workspace, executable, &words).with_planted_bugs();
    let (code, summary) = read(launch.capture())?;
    let found = all_caught(&summary, &canaries)?;
    match code {
        exit::HELD => Ok(found),
        other => Err(meaning(other)),
    }
}

fn sim(engine: Engine, seeds: u64) -> SimOptions {
    SimOptions {
        scenarios: vec![],
        seed: None,
        seeds: Some(seeds),
        workload: None,
        engine: EngineChoice::from(engine),
        schedule: ScheduleChoice::default(),
        jobs: None,
        check_determinism: false,
        out: None,
        junit: JunitOption::default(),
        list: false,
        json: true,
    }
}

/// A finished run of `sim`.
struct Run {
    code: u8,
    summary: Value,
    out: PathBuf,
}

impl Run {
    /// Trials ran, none broke, and the exit code is one of these.
    fn expect(&self, codes: &[u8]) -> Result<(), String> {
        let verdict = match trials_held(&self.summary) {
            Ok(_) if codes.contains(&self.code) => Ok(()),
            Ok(_) => Err(meaning(self.code)),
            Err(reason) => Err(reason),
        };
        verdict.map_err(|reason| format!("{reason}; reports and bug files are in {}", self.out.display()))
    }

    /// The whole record, which the run leaves beside its report.
    fn record(&self) -> Result<Value, String> {
        let path = self.out.join("record.json");
        let text = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{} is not JSON: {error}", path.display()))
    }
}

/// Builds the laboratory and runs the options; what it leaves behind goes to a folder of this step alone.
fn run_sim(workspace: &Workspace, options: SimOptions, profile: Profile, name: &str) -> Result<Run, String> {
    let engine = options.engine.single().ok_or("a step runs one engine at a time")?;
    let out = workspace.output().join("test").join(name);
    if out.exists() {
        // Bug files of an earlier run would look like this one's.
        fs::remove_dir_all(&out).map_err(|error| format!("cannot empty {}: {error}", out.display()))?;
    }
    let executable = flavour::build(workspace, workspace.root(), LAB, Flavour { engine, profile });
    let arguments = options.on(engine, out.clone()).to_arguments();
    let launch = Launch::new(workspace, executable.map_err(|error| error.line())?, &arguments).with_profile(profile);
    let (code, summary) = read(launch.capture())?;
    Ok(Run { code, summary, out })
}

fn read(captured: Result<(u8, Vec<u8>), XtaskError>) -> Result<(u8, Value), String> {
    let (code, output) = captured.map_err(|error| error.line())?;
    match serde_json::from_slice(&output) {
        Ok(summary) => Ok((code, summary)),
        Err(error) => Err(format!("the laboratory ended with {code} and printed no JSON object ({error})")),
    }
}

fn meaning(code: u8) -> String {
    match code {
        exit::HELD => "exit code 0: all held".to_owned(),
        exit::BROKE => "exit code 1: a property or an objective broke".to_owned(),
        exit::USAGE => "exit code 2: the laboratory refused its input".to_owned(),
        exit::DIVERGED => "exit code 3: a trial diverged".to_owned(),
        exit::INCONCLUSIVE => "exit code 4: too little happened to judge".to_owned(),
        other => format!("exit code {other}"),
    }
}

fn number(summary: &Value, pointer: &str) -> Result<u64, String> {
    summary.pointer(pointer).and_then(Value::as_u64).ok_or_else(|| format!("the summary lacks the number {pointer}"))
}

/// No trial broke, and there were trials.
fn trials_held(summary: &Value) -> Finding {
    let (trials, failed) = (number(summary, "/trials")?, number(summary, "/failed")?);
    let inconclusive = number(summary, "/inconclusive")?;
    let kinds = summary.get("faults_fired").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    match (trials, failed) {
        (0, _) => Err("no trial ran".to_owned()),
        (_, 0) => {
            Ok(format!("{trials} trials, none failed, {inconclusive} inconclusive, {kinds} kinds of fault fired"))
        }
        _ => Err(format!("{failed} of {trials} trials failed")),
    }
}

/// How many trials were run twice; none may have diverged.
fn compared(summary: &Value) -> Result<u64, String> {
    match (number(summary, "/determinism/checked")?, number(summary, "/determinism/diverged")?) {
        (0, _) => Err("no trial was run twice".to_owned()),
        (checked, 0) => Ok(checked),
        (checked, diverged) => Err(format!("{diverged} of {checked} trials diverged")),
    }
}

/// The trace hash of each trial, by "scenario/seed".
fn trace_hashes(record: &Value) -> Result<BTreeMap<String, String>, String> {
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut hashes = BTreeMap::new();
    for scenario in list(record, "scenarios") {
        let name = scenario.get("name").and_then(Value::as_str).ok_or("a scenario of the record has no name")?;
        for trial in list(&scenario, "trials") {
            let seed = trial.get("seed").and_then(Value::as_u64).ok_or("a trial of the record has no seed")?;
            match trial.get("trace_hash").and_then(Value::as_str) {
                Some(hash) if !hash.is_empty() => hashes.insert(format!("{name}/{seed}"), hash.to_owned()),
                _ => return Err(format!("trial {name}/{seed} has no trace hash")),
            };
        }
    }
    if hashes.is_empty() { Err("the record has no trial".to_owned()) } else { Ok(hashes) }
}

fn equal_hashes(optimised: &BTreeMap<String, String>, plain: &BTreeMap<String, String>) -> Result<usize, String> {
    for (trial, hash) in optimised {
        match plain.get(trial) {
            Some(other) if other == hash => {}
            Some(other) => return Err(format!("trial {trial} has trace {hash} when optimised and {other} when plain")),
            None => return Err(format!("trial {trial} ran only when optimised")),
        }
    }
    match plain.len() == optimised.len() {
        true => Ok(optimised.len()),
        false => Err(format!("{} trials when optimised, {} when plain", optimised.len(), plain.len())),
    }
}

/// Each canary must be in the list of bugs, and caught.
fn all_caught(summary: &Value, canaries: &[String]) -> Finding {
    let bugs = summary.get("bugs").and_then(Value::as_array).ok_or("the summary lacks the list `bugs`")?;
    let is_caught = |canary: &String| {
        let named = bugs.iter().find(|bug| bug.get("name").and_then(Value::as_str) == Some(canary));
        named.and_then(|bug| bug.get("caught")).and_then(Value::as_bool) == Some(true)
    };
    let missed: Vec<&str> = canaries.iter().filter(|canary| !is_caught(canary)).map(String::as_str).collect();
    match (canaries.len(), missed.len()) {
        (0, _) => Err("no canary was chosen".to_owned()),
        (count, 0) => Ok(format!("{count} canaries caught: {}", canaries.join(", "))),
        (_, _) => Err(format!("not caught within {BUG_SEEDS} seeds: {}", missed.join(", "))),
    }
}

/// At most `count` of the names, evenly spread, first and last included.
fn spread(names: &[String], count: usize) -> Vec<String> {
    if names.len() <= count || count < 2 {
        return names.iter().take(count).cloned().collect();
    }
    (0..count).map(|place| names[place * (names.len() - 1) / (count - 1)].clone()).collect()
}

fn smoke_scenarios(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.root().join(SMOKE);
    let entries = fs::read_dir(&folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    match paths.is_empty() {
        true => Err(format!("there is no scenario in {}", folder.display())),
        false => Ok(paths
            .iter()
            .filter_map(|path| path.file_stem())
            .map(|name| name.to_string_lossy().into_owned())
            .collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn trials_hold_only_when_some_ran_and_none_failed() {
        let table = [
            (json!({"trials": 3, "failed": 0, "inconclusive": 1, "faults_fired": {"reset": 2}}), true),
            (json!({"trials": 3, "failed": 1, "inconclusive": 0}), false),
            (json!({"trials": 0, "failed": 0, "inconclusive": 0}), false),
            (json!({"trials": 3, "failed": 0}), false),
            (json!({}), false),
            (json!(null), false),
        ];
        for (summary, held) in table {
            assert_eq!(trials_held(&summary).is_ok(), held, "{summary}");
        }
    }

    #[test]
    fn determinism_is_shown_only_by_comparing() {
        let table = [
            (json!({"determinism": {"checked": 5, "diverged": 0}}), Ok(5)),
            (json!({"determinism": {"checked": 5, "diverged": 1}}), Err("1 of 5 trials diverged".to_owned())),
            (json!({"determinism": {"checked": 0, "diverged": 0}}), Err("no trial was run twice".to_owned())),
            (json!({}), Err("the summary lacks the number /determinism/checked".to_owned())),
        ];
        for (summary, expected) in table {
            assert_eq!(compared(&summary), expected, "{summary}");
        }
    }

    #[test]
    fn hashes_are_read_from_the_record() {
        let trial = |seed: u64, hash: &str| json!({"seed": seed, "trace_hash": hash, "verdict": "held"});
        let record = json!({"scenarios": [
            {"name": "a", "trials": [trial(1, "x"), trial(2, "y")]},
            {"name": "b", "trials": [trial(1, "z")]},
        ]});
        let hashes = trace_hashes(&record).unwrap();
        let expected =
            [("a/1", "x"), ("a/2", "y"), ("b/1", "z")].map(|(trial, hash)| (trial.to_owned(), hash.to_owned()));
        assert_eq!(hashes, BTreeMap::from(expected));
        for record in
            [json!({}), json!({"scenarios": []}), json!({"scenarios": [{"name": "a", "trials": [trial(1, "")]}]})]
        {
            assert!(trace_hashes(&record).is_err(), "no hash at all proves nothing: {record}");
        }
    }

    #[test]
    fn builds_are_equal_only_trial_by_trial() {
        let hashes = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(trial, hash)| ((*trial).to_owned(), (*hash).to_owned())).collect()
        };
        let one = hashes(&[("a/1", "x"), ("b/1", "y")]);
        assert_eq!(equal_hashes(&one, &one), Ok(2));
        let others: [&[(&str, &str)]; 3] =
            [&[("a/1", "x"), ("b/1", "z")], &[("a/1", "x")], &[("a/1", "x"), ("b/1", "y"), ("c/1", "w")]];
        for other in others {
            assert!(equal_hashes(&one, &hashes(other)).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_run_is_judged_by_its_trials_and_its_exit_code() {
        let run = |code: u8, failed: u64| Run {
            code,
            summary: json!({"trials": 3, "failed": failed, "inconclusive": 0}),
            out: PathBuf::from("out"),
        };
        assert_eq!(run(exit::HELD, 0).expect(&[exit::HELD]), Ok(()));
        assert_eq!(run(exit::INCONCLUSIVE, 0).expect(&[exit::HELD, exit::INCONCLUSIVE]), Ok(()));
        for (code, failed) in
            [(exit::INCONCLUSIVE, 0), (exit::BROKE, 0), (exit::DIVERGED, 0), (exit::HELD, 1), (101, 0)]
        {
            assert!(
                run(code, failed).expect(&[exit::HELD]).is_err_and(|reason| reason.ends_with("in out")),
                "{code} {failed}"
            );
        }
    }

    #[test]
    fn every_canary_must_be_caught_by_name() {
        let canaries = ["a".to_owned(), "b".to_owned()];
        let caught = |a: bool, b: bool| json!({"bugs": [{"name": "a", "caught": a}, {"name": "b", "caught": b}]});
        assert!(all_caught(&caught(true, true), &canaries).is_ok());
        assert!(all_caught(&caught(true, false), &canaries).is_err_and(|reason| reason.ends_with(": b")));
        assert!(all_caught(&json!({"bugs": [{"name": "a", "caught": true}]}), &canaries).is_err());
        assert!(all_caught(&json!({"bugs": []}), &[]).is_err());
        assert!(all_caught(&json!({}), &canaries).is_err());
    }

    #[test]
    fn canaries_spread_over_the_list() {
        let names: Vec<String> = "abcdefgh".chars().map(String::from).collect();
        assert_eq!(spread(&names, 3), ["a", "d", "h"]);
        assert_eq!(spread(&names[..2], 3), ["a", "b"]);
        assert_eq!(spread(&[], 3), Vec::<String>::new());
    }
}
