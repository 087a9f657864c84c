//! `bench bugs|mutants|speed`.

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_commands::{BenchKind, BenchOptions};
use nexus_reports::Verdict;
use nexus_scenario::{Scenario, Tier};
use serde::{Deserialize, Serialize};

use super::{Context, mutants, progress, sim::schedule, slowness::Comparison, speed};
use crate::{BugReport, Trial, TrialOutput, TrialRequest, default_jobs, run_batch};

pub fn run(options: &BenchOptions) -> Result<u8, Report> {
    let context = Context::from_environment();
    match options.kind {
        Some(BenchKind::Bugs) => bugs(options, &context),
        Some(BenchKind::Mutants) => mutants::run(options, &context),
        Some(BenchKind::Speed) => speed::run(options, &context),
        None => {
            let speed = speed::run(options, &context)?;
            Ok(nexus_commands::exit::worst([speed, bugs(options, &context)?]))
        }
    }
}

/// What a planted bug's file beside its patch says (`chaos/bugs/<name>.toml`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlantedBug {
    #[serde(skip)]
    name: String,
    /// What is wrong, in one sentence.
    description: String,
    /// The checks of which at least one must break.
    #[serde(default)]
    checkers: Vec<String>,
    /// Instead of checks: the latency of which our own share must be seen to grow.
    slows: Option<String>,
    /// Scenarios searched, in this order, seed by seed.
    scenarios: Vec<String>,
}

/// How one planted bug fared.
#[derive(Clone, Debug, Serialize)]
struct BugResult {
    name: String,
    description: String,
    caught: bool,
    /// The check that caught it; `own-share` where the comparison of two runs did.
    checker: Option<String>,
    /// What that comparison said.
    #[serde(skip_serializing_if = "Option::is_none")]
    growth: Option<String>,
    /// Trials run until it was caught, or all of them; of a comparison, the seeds that both runs played.
    seeds_to_detect: u64,
    seconds: f64,
    scenario: Option<String>,
    report: Option<String>,
}

fn bugs(options: &BenchOptions, context: &Context) -> Result<u8, Report> {
    let planted = load_planted(&context.workspace.join("chaos").join("bugs"), &options.only)?;
    let out = context.out(None).join("bugs");
    let mut results = Vec::new();
    let bar = progress::bar(planted.len() as u64, options.json);
    for bug in &planted {
        bar.set_message(bug.name.clone());
        results.push(hunt(bug, options, context, &out)?);
        bar.inc(1);
        if context.is_stopped() {
            break;
        }
    }
    bar.finish_and_clear();
    print(&results, options.json)?;
    let all_caught = results.len() == planted.len() && results.iter().all(|result| result.caught);
    Ok(if all_caught { nexus_commands::exit::HELD } else { nexus_commands::exit::BROKE })
}

fn load_planted(folder: &Path, only: &[String]) -> Result<Vec<PlantedBug>, Report> {
    let entries = fs::read_dir(folder)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read the planted bugs in `{}`", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let mut planted = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).into_diagnostic()?;
        let mut bug: PlantedBug =
            toml::from_str(&text).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))?;
        check_ways(&bug, &path)?;
        bug.name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        planted.push(bug);
    }
    if let Some(unknown) = only.iter().find(|name| planted.iter().all(|bug| bug.name != **name)) {
        let known = planted.iter().map(|bug| bug.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(miette!(help = format!("known: {known}"), "no planted bug is called `{unknown}`"));
    }
    planted.retain(|bug| only.is_empty() || only.contains(&bug.name));
    Ok(planted)
}

/// A bug breaks checks, or it slows one scenario.
fn check_ways(bug: &PlantedBug, path: &Path) -> Result<(), Report> {
    let is_sound = if bug.slows.is_some() {
        bug.checkers.is_empty() && bug.scenarios.len() == 1
    } else {
        !bug.checkers.is_empty()
    };
    if is_sound {
        return Ok(());
    }
    Err(miette!(
        help = "write the `checkers` of which one must break; or the latency that the bug `slows`, no checkers, and one scenario",
        "`{}` does not say in one way how its bug is caught",
        path.display()
    ))
}

/// Searches seeds, all scenarios of the bug for each, until one of its checks breaks.
#[allow(clippy::disallowed_methods)] // The hunt's own duration is what is measured.
fn hunt(bug: &PlantedBug, options: &BenchOptions, context: &Context, out: &Path) -> Result<BugResult, Report> {
    let mut scenarios = bug_scenarios(bug, context)?;
    schedule(&mut scenarios, options.schedule);
    let started = Instant::now();
    let jobs = options.jobs.unwrap_or_else(default_jobs);
    let chunk = (jobs * 4) as u64;
    let mut result = BugResult {
        name: bug.name.clone(),
        description: bug.description.clone(),
        caught: false,
        checker: None,
        growth: None,
        seeds_to_detect: 0,
        seconds: 0.0,
        scenario: None,
        report: None,
    };
    if let Some(latency) = &bug.slows {
        let comparison = Comparison { bug: &bug.name, latency, scenario: &scenarios[0] };
        let found = comparison.hunt(options.seeds, jobs, context, out)?;
        result.caught = found.growth.is_some();
        result.checker = found.growth.as_ref().map(|_| "own-share".to_owned());
        result.growth = found.growth;
        result.seeds_to_detect = found.seeds;
        result.scenario = Some(scenarios[0].1.name.clone());
        result.report = Some(found.record);
        result.seconds = started.elapsed().as_secs_f64();
        return Ok(result);
    }
    let mut next = 0;
    while next < options.seeds && !context.is_stopped() && !result.caught {
        let until = (next + chunk).min(options.seeds);
        let requests: Result<Vec<TrialRequest>, Report> =
            (next..until).map(|number| request(bug, &scenarios, number)).collect();
        next = until;
        search_chunk(bug, &requests?, jobs, context, out, &mut result)?;
    }
    result.seconds = started.elapsed().as_secs_f64();
    Ok(result)
}

fn bug_scenarios(bug: &PlantedBug, context: &Context) -> Result<Vec<(Tier, Scenario)>, Report> {
    let mut scenarios = Vec::new();
    for name in &bug.scenarios {
        let found = nexus_scenario::find(&context.scenarios(), name);
        scenarios.push(found.map_err(Report::from).wrap_err_with(|| format!("planted bug `{}`", bug.name))?);
    }
    if scenarios.is_empty() {
        return Err(miette!("planted bug `{}` names no scenario", bug.name));
    }
    Ok(scenarios)
}

/// The n-th trial of a hunt: scenarios take turns, so that the cheapest way to the bug is not known beforehand.
fn request(bug: &PlantedBug, scenarios: &[(Tier, Scenario)], number: u64) -> Result<TrialRequest, Report> {
    let (tier, scenario) = &scenarios[(number % scenarios.len() as u64) as usize];
    let seed = 1 + number / scenarios.len() as u64;
    draw(*tier, scenario, seed, Some(&bug.name))
}

/// The trial of a seed, with a bug switched on or without.
pub(super) fn draw(tier: Tier, scenario: &Scenario, seed: u64, bug: Option<&str>) -> Result<TrialRequest, Report> {
    let engine = nexus_engine::compiled_engine().to_string();
    let mut trial =
        Trial::draw(tier, scenario, &engine, seed).map_err(|error| miette!("{}: {error}", scenario.name))?;
    trial.planted_bug = bug.map(str::to_owned);
    Ok(TrialRequest { trial, want_trace: false })
}

fn search_chunk(
    bug: &PlantedBug,
    requests: &[TrialRequest],
    jobs: usize,
    context: &Context,
    out: &Path,
    result: &mut BugResult,
) -> Result<(), Report> {
    let caught_by = |output: &TrialOutput| {
        let broken = output.record.checks.iter().filter(|check| check.outcome == Verdict::Broken);
        broken.map(|check| &check.name).find(|name| bug.checkers.contains(name)).cloned()
    };
    let first: Mutex<Option<usize>> = Mutex::new(None);
    let outputs = run_batch(requests, jobs, &context.stop, |index, output| {
        if caught_by(output).is_some() {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            *first = Some(first.map_or(index, |known| known.min(index)));
        }
    });
    let Some(index) = first.into_inner().unwrap_or_else(PoisonError::into_inner) else {
        result.seeds_to_detect += requests.len() as u64;
        return Ok(());
    };
    let Some(output) = &outputs[index] else { return Ok(()) };
    result.seeds_to_detect += index as u64 + 1;
    result.caught = true;
    result.checker = caught_by(output);
    let trial = &requests[index].trial;
    result.scenario = Some(trial.scenario.clone());
    let report = BugReport::new(trial, output, &context.revision, &context.profile);
    let path = report.write(out, &format!("bug-{}-{}-{}", bug.name, trial.scenario, trial.seed))?;
    result.report = Some(context.shown(&path));
    Ok(())
}

fn print(results: &[BugResult], json: bool) -> Result<(), Report> {
    if json {
        let object = serde_json::json!({ "bugs": results });
        println!("{}", serde_json::to_string(&object).into_diagnostic()?);
        return Ok(());
    }
    let width = results.iter().map(|result| result.name.len()).max().unwrap_or(0);
    for result in results {
        let verdict = if result.caught { "caught" } else { "ESCAPED" };
        println!(
            "{:width$}  {verdict:7}  {:>4} seeds  {:>6.1} s  {:28} {}",
            result.name,
            result.seeds_to_detect,
            result.seconds,
            result.checker.as_deref().unwrap_or("-"),
            result.report.as_deref().unwrap_or("-"),
        );
        if let Some(growth) = &result.growth {
            println!("{:width$}  {growth}", "");
        }
        if !result.caught {
            println!("{:width$}  {}", "", result.description);
        }
    }
    let caught = results.iter().filter(|result| result.caught).count();
    println!("{caught} of {} planted bugs caught", results.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_bug_says_in_one_way_how_it_is_caught() {
        let cases = [
            ("checkers = ['fencing']\nscenarios = ['a', 'b']", true),
            ("slows = 'routing'\nscenarios = ['a']", true),
            ("scenarios = ['a']", false),
            ("checkers = ['fencing']\nslows = 'routing'\nscenarios = ['a']", false),
            ("slows = 'routing'\nscenarios = ['a', 'b']", false),
            ("slows = 'routing'\nscenarios = []", false),
        ];
        for (text, is_sound) in cases {
            let bug: PlantedBug = toml::from_str(&format!("description = 'd'\n{text}")).expect(text);
            let checked = check_ways(&bug, Path::new("chaos/bugs/some.toml"));
            assert_eq!(checked.is_ok(), is_sound, "{text}");
            if let Err(report) = checked {
                assert!(report.to_string().contains("chaos/bugs/some.toml"), "{report}");
            }
        }
    }
}
