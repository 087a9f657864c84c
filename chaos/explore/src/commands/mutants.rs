//! `bench mutants`: do the checks tell a system that was changed at random from the one that was meant?
//!
//! The build carries a sample of mutants, each behind a switch (`tools/mutants`). First every scenario is played without
//! any, to see which switches it passes: a mutant is then hunted only where it is reached, the cheapest scenario first.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_commands::{BenchOptions, exit, switch};
use nexus_reports::Verdict;
use nexus_scenario::{Scenario, Tier};
use serde::{Deserialize, Serialize};

use super::{Context, bench::draw, progress, sim::schedule};
use crate::{TrialOutput, TrialRequest, default_jobs, run_batch};

/// Seeds of each scenario that are played to see what it reaches.
const SEEDS_TO_REACH: u64 = 2;

/// So many of a hundred mutants that a scenario reaches must be caught.
const CAUGHT_MIN_PERCENT: usize = 85;

/// The list as `tools/mutants` writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutants: Vec<Planted>,
    /// Mutants of the sample's order that do not compile or cannot bear a switch.
    left_out: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planted {
    number: usize,
    name: String,
    /// The name without line and column.
    lasting_name: String,
    genre: String,
}

/// `chaos/mutants/survivors.toml`: why a mutant that no check notices is none that one should.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Explained {
    survivors: BTreeMap<String, String>,
}

/// How one mutant fared.
#[derive(Clone, Debug, Serialize)]
struct MutantResult {
    name: String,
    genre: String,
    /// Scenarios whose trials ask for its switch.
    reached_by: usize,
    caught: bool,
    /// The check that noticed it; `process` where the trial died or did not end.
    checker: Option<String>,
    scenario: Option<String>,
    /// Trials played until it was caught, or all of them.
    trials: u64,
    seconds: f64,
    /// For one that was not caught: why none should notice it.
    explanation: Option<String>,
}

/// A scenario in the order of the hunt.
struct Ground {
    tier: Tier,
    scenario: Scenario,
    reached: BTreeSet<usize>,
    aws_calls: u64,
}

pub fn run(options: &BenchOptions, context: &Context) -> Result<u8, Report> {
    let list = read_list()?;
    let explained = read_explained(&context.workspace.join("chaos").join("mutants").join("survivors.toml"))?;
    let chosen = chosen(&list.mutants, &options.only)?;
    let jobs = options.jobs.unwrap_or_else(default_jobs);
    let grounds = survey(options, context, jobs)?;
    let bar = progress::bar(chosen.len() as u64, options.json);
    let mut results = Vec::new();
    for planted in &chosen {
        if context.is_stopped() {
            break;
        }
        bar.set_message(planted.name.clone());
        let mut result = hunt(planted, &grounds, options, context, jobs)?;
        if !result.caught {
            result.explanation = explained.survivors.get(&planted.lasting_name).cloned();
        }
        results.push(result);
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&results, &list.left_out, options)?;
    Ok(if results.len() == chosen.len() && is_enough(&results) { exit::HELD } else { exit::BROKE })
}

fn read_list() -> Result<List, Report> {
    let path = Context::variable(switch::MUTANTS_VARIABLE)
        .map(PathBuf::from)
        .ok_or_else(|| miette!(help = "run it as `cargo xtask bench mutants`", "this build carries no mutants"))?;
    let text = fs::read_to_string(&path).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))?;
    serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))
}

/// All mutants, or those asked for by name.
fn chosen<'a>(mutants: &'a [Planted], only: &[String]) -> Result<Vec<&'a Planted>, Report> {
    if let Some(unknown) = only.iter().find(|name| mutants.iter().all(|planted| planted.name != **name)) {
        return Err(miette!(
            help = "names come from `bench mutants --json`, of the same source, --sample and --draw",
            "no mutant of this sample is called `{unknown}`"
        ));
    }
    Ok(mutants.iter().filter(|planted| only.is_empty() || only.contains(&planted.name)).collect())
}

fn read_explained(path: &Path) -> Result<Explained, Report> {
    if !path.exists() {
        return Ok(Explained::default());
    }
    let text = fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))?;
    toml::from_str(&text).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))
}

/// Plays every scenario that a default run plays without a mutant, and notes whose switches it passes.
fn survey(options: &BenchOptions, context: &Context, jobs: usize) -> Result<Vec<Ground>, Report> {
    let mut scenarios = nexus_scenario::load_all(&context.scenarios())?;
    scenarios.retain(|(tier, _)| *tier != Tier::Slow);
    schedule(&mut scenarios, options.schedule);
    let folder = context.out(None).join("mutants-reached");
    if folder.exists() {
        fs::remove_dir_all(&folder).into_diagnostic()?;
    }
    fs::create_dir_all(&folder).into_diagnostic()?;
    let note_of = |scenario: &Scenario| folder.join(&scenario.name);
    let mut requests = Vec::new();
    for (tier, scenario) in &scenarios {
        let word = format!("{}{}", switch::REACHED, note_of(scenario).display());
        for seed in 1..=SEEDS_TO_REACH {
            requests.push(draw(*tier, scenario, seed, Some(&word))?);
        }
    }
    let bar = progress::bar(requests.len() as u64, options.json);
    let outputs = run_batch(&requests, jobs, &context.stop, |_, _| bar.inc(1));
    bar.finish_and_clear();
    let mut grounds = Vec::new();
    for ((tier, scenario), outputs) in scenarios.into_iter().zip(outputs.chunks(SEEDS_TO_REACH as usize)) {
        let outputs: Vec<&TrialOutput> = outputs.iter().flatten().collect();
        if let Some(broken) = outputs.iter().find(|output| output.record.verdict == Verdict::Broken) {
            let reason = &broken.record.reason;
            return Err(miette!(
                help = "mend this first: a check that breaks by itself catches every mutant",
                "`{}` breaks without any mutant: {reason}",
                scenario.name
            ));
        }
        let noted = fs::read_to_string(note_of(&scenario)).unwrap_or_default();
        let reached = noted.lines().filter_map(|line| line.parse().ok()).collect();
        let aws_calls = outputs.iter().map(|output| output.record.aws_calls).sum();
        grounds.push(Ground { tier, scenario, reached, aws_calls });
    }
    grounds.sort_by_key(|ground| ground.aws_calls);
    Ok(grounds)
}

/// Plays the scenarios that reach the mutant, seed by seed, until a check breaks.
#[allow(clippy::disallowed_methods)] // The hunt's own duration is what is measured.
fn hunt(
    planted: &Planted,
    grounds: &[Ground],
    options: &BenchOptions,
    context: &Context,
    jobs: usize,
) -> Result<MutantResult, Report> {
    let started = Instant::now();
    let grounds: Vec<&Ground> = grounds.iter().filter(|ground| ground.reached.contains(&planted.number)).collect();
    let mut result = MutantResult {
        name: planted.name.clone(),
        genre: planted.genre.clone(),
        reached_by: grounds.len(),
        caught: false,
        checker: None,
        scenario: None,
        trials: 0,
        seconds: 0.0,
        explanation: None,
    };
    let word = format!("{}{}", switch::MUTANT, planted.number);
    let mut next = 0;
    while !grounds.is_empty() && next < options.seeds && !result.caught && !context.is_stopped() {
        let until = (next + 2 * jobs as u64).min(options.seeds);
        let requests: Result<Vec<TrialRequest>, Report> = (next..until)
            .map(|number| {
                let ground = grounds[(number % grounds.len() as u64) as usize];
                draw(ground.tier, &ground.scenario, 1 + number / grounds.len() as u64, Some(&word))
            })
            .collect();
        let requests = requests?;
        next = until;
        let outputs = run_batch(&requests, jobs, &context.stop, |_, _| {});
        match outputs.iter().enumerate().find_map(|(index, output)| Some((index, noticed_by(output.as_ref()?)?))) {
            Some((index, checker)) => {
                result.caught = true;
                result.checker = Some(checker);
                result.scenario = Some(requests[index].trial.scenario.clone());
                result.trials += index as u64 + 1;
            }
            None => result.trials += requests.len() as u64,
        }
    }
    result.seconds = started.elapsed().as_secs_f64();
    Ok(result)
}

/// The check that tells this trial from a sound one. A process that does not end is told by its being given up: without a
/// mutant none takes a hundredth of that time.
fn noticed_by(output: &TrialOutput) -> Option<String> {
    let told = |check: &&nexus_reports::CheckRecord| {
        check.outcome == Verdict::Broken || (check.name == "process" && check.outcome == Verdict::Inconclusive)
    };
    output.record.checks.iter().find(told).map(|check| check.name.clone())
}

/// Whether so many were caught as must be, and the others are explained. What no scenario reaches says nothing about the
/// checks: it is told, as a gap of the scenarios.
fn is_enough(results: &[MutantResult]) -> bool {
    let reached: Vec<&MutantResult> = results.iter().filter(|result| result.reached_by > 0).collect();
    let caught = reached.iter().filter(|result| result.caught).count();
    let unexplained = reached.iter().any(|result| !result.caught && result.explanation.is_none());
    !reached.is_empty() && caught * 100 >= reached.len() * CAUGHT_MIN_PERCENT && !unexplained
}

fn print(results: &[MutantResult], left_out: &[String], options: &BenchOptions) -> Result<(), Report> {
    let caught = results.iter().filter(|result| result.caught).count();
    let reached = results.iter().filter(|result| result.reached_by > 0).count();
    let mut trials: Vec<u64> = results.iter().filter(|result| result.caught).map(|result| result.trials).collect();
    trials.sort_unstable();
    let median_trials = trials.get(trials.len() / 2).copied();
    if options.json {
        let object = serde_json::json!({
            "mutants": results,
            "sampled": results.len(),
            "reached": reached,
            "caught": caught,
            "median_trials": median_trials,
            "left_out": left_out,
        });
        println!("{}", serde_json::to_string(&object).into_diagnostic()?);
        return Ok(());
    }
    for result in results {
        let verdict = match (result.caught, result.reached_by) {
            (true, _) => "caught",
            (false, 0) => "unreached",
            (false, _) => "SURVIVED",
        };
        let silent = if result.reached_by == 0 { "no scenario reaches it" } else { "unexplained" };
        let by = result.checker.as_deref().or(result.explanation.as_deref()).unwrap_or(silent);
        println!("{verdict:9}  {:>4} trials  {:>6.1} s  {}\n{:32}{by}", result.trials, result.seconds, result.name, "");
    }
    let (sampled, left_out) = (results.len(), left_out.len());
    println!("{caught} of {reached} mutants caught that a scenario reaches; {sampled} sampled, {left_out} left out");
    Ok(())
}

#[cfg(test)]
mod tests {
    use nexus_reports::{CheckRecord, TrialRecord};

    use super::*;

    fn output(name: &str, outcome: Verdict) -> TrialOutput {
        let mut record = TrialRecord::new(1, outcome, "");
        record.checks.push(CheckRecord { name: name.to_owned(), outcome, examined: 1, message: String::new() });
        TrialOutput { record, violations: Vec::new(), features: Vec::new(), trace: None }
    }

    fn result(caught: bool, explanation: Option<&str>) -> MutantResult {
        MutantResult {
            name: String::new(),
            genre: String::new(),
            reached_by: 1,
            caught,
            checker: None,
            scenario: None,
            trials: 1,
            seconds: 0.0,
            explanation: explanation.map(str::to_owned),
        }
    }

    #[test]
    fn a_mutant_is_noticed_by_a_broken_check_or_by_a_trial_that_does_not_end() {
        let cases = [
            ("durability", Verdict::Broken, Some("durability")),
            ("durability", Verdict::Inconclusive, None),
            ("durability", Verdict::Held, None),
            ("process", Verdict::Inconclusive, Some("process")),
        ];
        for (name, outcome, expected) in cases {
            assert_eq!(noticed_by(&output(name, outcome)).as_deref(), expected, "{name} {outcome:?}");
        }
    }

    #[test]
    fn a_mutant_that_is_not_in_the_sample_is_named() {
        let planted = |name: &str| Planted {
            number: 0,
            name: name.to_owned(),
            lasting_name: name.to_owned(),
            genre: "FnValue".to_owned(),
        };
        let sample = [planted("a.rs:1:1: replace f with ()"), planted("b.rs:2:2: delete !")];
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            chosen(&sample, &only).map(|chosen| chosen.iter().map(|planted| planted.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).expect("all").len(), 2);
        assert_eq!(names(&["b.rs:2:2: delete !"]).expect("one"), ["b.rs:2:2: delete !"]);
        assert!(names(&["b.rs"]).unwrap_err().to_string().contains("called `b.rs`"));
    }

    #[test]
    fn eighty_five_of_a_hundred_are_enough_if_the_others_are_explained() {
        let results = |caught: usize, explanation| {
            let survivors = std::iter::repeat_n(result(false, explanation), 100 - caught);
            std::iter::repeat_n(result(true, None), caught).chain(survivors).collect::<Vec<_>>()
        };
        assert!(is_enough(&results(85, Some("only a log line differs"))));
        assert!(!is_enough(&results(84, Some("only a log line differs"))));
        assert!(!is_enough(&results(85, None)));
        assert!(is_enough(&results(100, None)));
        let beyond = MutantResult { reached_by: 0, ..result(false, None) };
        assert!(is_enough(&[result(true, None), beyond.clone()]), "what nothing reaches is no hole in the checks");
        assert!(!is_enough(&[beyond]), "a sample that nothing reaches shows nothing");
    }
}
