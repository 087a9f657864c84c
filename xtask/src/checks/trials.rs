//! The steps that run trials and read what the laboratory says of them.

use std::{ffi::OsString, fs, path::PathBuf};

use nexus_commands::{Engine, EngineChoice, SimOptions, exit};
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

/// Equal traces in another process, on both engines; and in a debug build against the optimised one.
pub fn determinism(workspace: &Workspace) -> Finding {
    let scenarios = smoke_scenarios(workspace)?;
    let mut checked = 0;
    for engine in Engine::ALL {
        let options =
            SimOptions { scenarios: scenarios.clone(), check_determinism: true, ..sim(engine, DETERMINISM_SEEDS) };
        let summary = run_sim(workspace, options, Profile::Sim, &format!("determinism-{engine}"))?;
        checked += compared(&summary).map_err(|reason| format!("{engine}: {reason}"))?;
    }
    let hashes_of = |profile: Profile| {
        let options = SimOptions { scenarios: scenarios.clone(), ..sim(Engine::Turmoil, PROFILE_SEEDS) };
        let summary = run_sim(workspace, options, profile, &format!("profile-{}", profile.name()))?;
        trace_hashes(&summary).map_err(|reason| format!("{} build: {reason}", profile.name()))
    };
    let (optimised, debug) = (hashes_of(Profile::Sim)?, hashes_of(Profile::Dev)?);
    let equal = equal_hashes(&optimised, &debug)?;
    Ok(format!("{checked} trials twice, none diverged; {equal} trials equal in debug and optimised builds"))
}

/// Every scenario over a few seeds: nothing breaks.
pub fn chaos(workspace: &Workspace, engine: Engine) -> Finding {
    let options = SimOptions { scenarios: vec!["all".to_owned()], ..sim(engine, CHAOS_SEEDS) };
    let summary = run_sim(workspace, options, Profile::Sim, &format!("chaos-{engine}"))?;
    trials_held(&summary)
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
    all_caught(&summary, &canaries).and_then(|found| expect_held(code).map(|()| found))
}

fn sim(engine: Engine, seeds: u64) -> SimOptions {
    SimOptions {
        scenarios: vec![],
        seed: None,
        seeds: Some(seeds),
        workload: None,
        engine: EngineChoice::from(engine),
        jobs: None,
        check_determinism: false,
        out: None,
        list: false,
        json: true,
    }
}

/// Builds the laboratory, runs the options, and gives its summary; anything but "all held" is an error that says so.
fn run_sim(workspace: &Workspace, options: SimOptions, profile: Profile, out: &str) -> Result<Value, String> {
    let engine = options.engine.single().ok_or("a step runs one engine at a time")?;
    let out = workspace.target().join("nexus").join("test").join(out);
    let executable = flavour::build(workspace, workspace.root(), LAB, Flavour { engine, profile });
    let arguments = options.on(engine, out.clone()).to_arguments();
    let launch = Launch::new(workspace, executable.map_err(|error| error.line())?, &arguments).with_profile(profile);
    let (code, summary) = read(launch.capture())?;
    let verdict = match trials_held(&summary) {
        Ok(_) => expect_held(code),
        Err(reason) => Err(reason),
    };
    verdict.map(|()| summary).map_err(|reason| format!("{reason}; reports and bug files are in {}", out.display()))
}

fn read(captured: Result<(u8, Vec<u8>), XtaskError>) -> Result<(u8, Value), String> {
    let (code, output) = captured.map_err(|error| error.line())?;
    match serde_json::from_slice(&output) {
        Ok(summary) => Ok((code, summary)),
        Err(error) => Err(format!("the laboratory ended with {code} and printed no JSON object ({error})")),
    }
}

fn expect_held(code: u8) -> Result<(), String> {
    match code {
        exit::HELD => Ok(()),
        exit::BROKE => Err("exit code 1: a property broke".to_owned()),
        exit::DIVERGED => Err("exit code 3: a trial diverged".to_owned()),
        exit::INCONCLUSIVE => Err("exit code 4: too little happened to judge".to_owned()),
        other => Err(format!("exit code {other}")),
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
fn trace_hashes(summary: &Value) -> Result<serde_json::Map<String, Value>, String> {
    match summary.get("trace_hashes").and_then(Value::as_object) {
        Some(hashes) if !hashes.is_empty() => Ok(hashes.clone()),
        _ => Err("the summary lacks trace_hashes".to_owned()),
    }
}

fn equal_hashes(
    optimised: &serde_json::Map<String, Value>,
    debug: &serde_json::Map<String, Value>,
) -> Result<usize, String> {
    for (trial, hash) in optimised {
        if debug.get(trial) != Some(hash) {
            let other = debug.get(trial).unwrap_or(&Value::Null);
            return Err(format!("trial {trial} has trace {hash} when optimised and {other} in debug"));
        }
    }
    match debug.len() == optimised.len() {
        true => Ok(optimised.len()),
        false => Err(format!("{} trials when optimised, {} in debug", optimised.len(), debug.len())),
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
        false => Ok(paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()),
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
    fn builds_are_equal_only_trial_by_trial() {
        let hashes = |value: Value| trace_hashes(&json!({"trace_hashes": value}));
        let one = hashes(json!({"a/1": "x", "b/1": "y"})).unwrap();
        assert_eq!(equal_hashes(&one, &one), Ok(2));
        for other in [json!({"a/1": "x", "b/1": "z"}), json!({"a/1": "x"}), json!({"a/1": "x", "b/1": "y", "c/1": "w"})]
        {
            assert!(equal_hashes(&one, &hashes(other.clone()).unwrap()).is_err(), "{other}");
        }
        assert!(hashes(json!({})).is_err(), "no hash at all proves nothing");
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
