//! `replay FILE`.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Report, miette};
use nexus_commands::ReplayOptions;
use nexus_reports_story::{DiffGroup, Host, Step, Story, StoryDiff, step_line};
use serde_json::{Map, Value, json};

use super::Context;
use crate::{BugReport, Cause, Replayed, Search, StoryOutput, default_jobs, replay};

/// Entries of a list of differences that are printed; the JSON object has all.
const DIFFERENCES_PRINTED: usize = 12;
/// Groups of differences that are printed.
const GROUPS_PRINTED: usize = 30;
/// Steps before the wanted one that `--until` prints.
const STEPS_BEFORE: usize = 10;

pub fn run(options: &ReplayOptions) -> Result<u8, Report> {
    let context = Context::from_environment();
    let report = BugReport::read(&options.file)?;
    super::check_engine(&report.engine)?;
    let other = options.diff.as_deref().map(|path| read_other(path, &report)).transpose()?;
    let told = if wants_story(options) { Some(tell(&report, &context)?) } else { None };
    if let (Some(told), Some(step)) = (&told, options.until) {
        check_step(&told.story, step)?;
    }
    if let (Some(told), Some(host)) = (&told, &options.verbose) {
        check_host(&told.story, host)?;
    }
    let replayed = replay(&report, &context.revision, default_jobs(), &context.stop)
        .ok_or_else(|| miette!("stopped before the replay was over"))?;
    let mut printed = Printed { json: options.json, object: Map::new() };
    if options.json {
        let Value::Object(object) = serde_json::to_value(&replayed).into_diagnostic()? else {
            return Err(miette!("the outcome of a replay is an object"));
        };
        printed.object = object;
    } else {
        print(&report, &replayed, &context);
    }
    if let Some(told) = &told {
        show(options, &report, told, other.as_ref(), &context, &mut printed)?;
    }
    if options.json {
        println!("{}", Value::Object(printed.object));
    }
    Ok(replayed.exit_code())
}

fn wants_story(options: &ReplayOptions) -> bool {
    options.report.is_some()
        || options.until.is_some()
        || options.verbose.is_some()
        || options.diff.is_some()
        || options.cause
}

/// Either text as it comes, or fields of one object.
struct Printed {
    json: bool,
    object: Map<String, Value>,
}

impl Printed {
    fn field(&mut self, name: &str, value: Value) {
        self.object.insert(name.to_owned(), value);
    }
}

fn tell(report: &BugReport, context: &Context) -> Result<StoryOutput, Report> {
    report
        .tell(&context.revision, &context.stop)
        .map_err(|error| miette!("cannot tell the story of the trial: {error}"))
}

fn read_other(path: &Path, report: &BugReport) -> Result<BugReport, Report> {
    let other = BugReport::read(path)?;
    if other.engine != report.engine {
        return Err(miette!(
            help = "compare trials of one engine",
            "`{}` is a trial for {}, and the first is one for {}",
            path.display(),
            other.engine,
            report.engine
        ));
    }
    Ok(other)
}

fn check_step(story: &Story, step: u32) -> Result<(), Report> {
    let last = story.steps.last().map_or(0, |step| step.number);
    if step <= last {
        return Ok(());
    }
    Err(miette!(help = "give a step of this run", "there is no step {step}: the run has {last}"))
}

fn check_host(story: &Story, wanted: &str) -> Result<(), Report> {
    let is_known = |host: &Host| host.name == wanted;
    if wanted == "all" || story.hosts.iter().any(is_known) {
        return Ok(());
    }
    let names: Vec<&str> = story.hosts.iter().map(|host| host.name.as_str()).collect();
    Err(miette!(
        help = format!("its hosts are {}, or say `all`", names.join(", ")),
        "no host of this run is called `{wanted}`"
    ))
}

fn show(
    options: &ReplayOptions,
    report: &BugReport,
    told: &StoryOutput,
    other: Option<&BugReport>,
    context: &Context,
    printed: &mut Printed,
) -> Result<(), Report> {
    let story = &told.story;
    if let Some(step) = options.until {
        show_until(story, step, printed)?;
    }
    if let Some(host) = &options.verbose {
        show_host(story, host, options.until, printed);
    }
    if let Some(other) = other {
        let second = tell(other, context)?;
        show_difference(&StoryDiff::of(story, &second.story), printed)?;
    }
    let mut report = report.clone();
    if options.cause {
        let cause = search(&report, story, default_jobs(), context)?;
        show_cause(cause.as_ref(), printed)?;
        report.cause = cause.or(report.cause);
    }
    if let Some(folder) = &options.report {
        let page = report.write_page(story, folder, &stem(&options.file))?;
        if printed.json {
            printed.field("report", json!(page));
        } else {
            println!("the page to send: {}", context.shown(&page));
        }
    }
    Ok(())
}

/// The file's name without its ending.
pub(super) fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The cause of the report's failure; none if nothing broke in it.
pub(super) fn search(
    report: &BugReport,
    story: &Story,
    jobs: usize,
    context: &Context,
) -> Result<Option<Cause>, Report> {
    let Some(reason) = report.failed_for() else { return Ok(None) };
    let found = Search::new(&report.trial, &reason, jobs, &context.stop).run(story);
    found.map(Some).ok_or_else(|| miette!("stopped before the cause was found"))
}

fn show_cause(cause: Option<&Cause>, printed: &mut Printed) -> Result<(), Report> {
    if printed.json {
        printed.field("cause", serde_json::to_value(cause).into_diagnostic()?);
        return Ok(());
    }
    println!("\ncause:");
    match cause {
        Some(cause) => cause.lines().iter().for_each(|line| println!("  {line}")),
        None => println!("  the report names no check that broke"),
    }
    Ok(())
}

fn show_until(story: &Story, number: u32, printed: &mut Printed) -> Result<(), Report> {
    let state = story.state_at(number);
    let until = story.steps.partition_point(|step| step.number <= number);
    if printed.json {
        let step = story.step(number);
        printed.field(
            "until",
            json!({"step": step, "state": serde_json::to_value(&state).into_diagnostic()?.get("groups")}),
        );
        return Ok(());
    }
    println!("\nstopped after step {number}:");
    for step in &story.steps[until.saturating_sub(STEPS_BEFORE)..until] {
        println!("  {}", step_line(story, step));
    }
    for (of, entries) in &state.groups {
        println!("\n{of}");
        for (name, entry) in entries {
            println!("  {name}: {} (since step {})", entry.value, entry.since);
        }
    }
    Ok(())
}

fn show_host(story: &Story, host: &str, until: Option<u32>, printed: &mut Printed) {
    let lane = story.hosts.iter().position(|known| known.name == host);
    let concerns = |step: &&Step| {
        let is_end = |message: &nexus_reports_story::Message| Some(message.from) == lane || Some(message.to) == lane;
        let is_before_end = until.is_none_or(|until| step.number <= until);
        let of_messages = story.messages.partition_point(|message| message.step < step.number);
        let mut messages = story.messages[of_messages..].iter().take_while(|message| message.step == step.number);
        is_before_end && (lane.is_none() || Some(step.host) == lane || messages.any(is_end))
    };
    let steps = story.steps.iter().filter(concerns);
    if printed.json {
        let lines: Vec<&Step> = steps.collect();
        printed.field("steps", json!(lines));
        return;
    }
    println!("\nsteps of {host}:");
    for step in steps {
        println!("  {}", step_line(story, step));
    }
    if story.steps_left_out > 0 {
        println!("  ({} steps of the run are not in its story)", story.steps_left_out);
    }
}

fn show_difference(diff: &StoryDiff, printed: &mut Printed) -> Result<(), Report> {
    if printed.json {
        printed.field("diff", serde_json::to_value(diff).into_diagnostic()?);
        return Ok(());
    }
    let Some((_, one, other)) = &diff.first else {
        println!("\nno difference: both runs are the same, step by step");
        return Ok(());
    };
    let line = |line: &Option<String>| line.clone().unwrap_or_else(|| "(the run is over)".to_owned());
    println!("\nthe first step that differs:\n  first:  {}\n  second: {}", line(one), line(other));
    for group in diff.groups.iter().take(GROUPS_PRINTED) {
        print_group(group);
    }
    if diff.groups.len() > GROUPS_PRINTED {
        println!("\n{} more aggregates and hosts differ; --json has all of them", diff.groups.len() - GROUPS_PRINTED);
    }
    Ok(())
}

fn print_group(group: &DiffGroup) {
    println!("\n{} {}", group.of, group.name);
    for (sign, lines) in [("-", &group.only_first), ("+", &group.only_second)] {
        for text in lines.iter().take(DIFFERENCES_PRINTED) {
            println!("  {sign} {text}");
        }
        if lines.len() > DIFFERENCES_PRINTED {
            println!("  {sign} and {} more", lines.len() - DIFFERENCES_PRINTED);
        }
    }
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    for (of, one, other) in &group.ends {
        println!("  at the end, {of}: {} | {}", value(one), value(other));
    }
}

fn print(report: &BugReport, replayed: &Replayed, context: &Context) {
    println!("{} seed {} on {}: {}", report.scenario, report.seed, report.engine, report.reason);
    match replayed {
        Replayed::Reproduced { trace_hash } => {
            println!("reproduced: same revision, same trace {trace_hash}");
            for violation in &report.violations {
                println!("  {}: {}", violation.checker, violation.what);
            }
        }
        Replayed::Diverged { line_number, recorded, replayed } => {
            println!("DIVERGED at line {line_number} of the trace although the revision is the same:");
            println!("  recorded: {recorded}\n  replayed: {replayed}");
        }
        Replayed::StillBroken { seed, broken, same_faults_fired } => {
            let faults =
                if *same_faults_fired { "the same addressed faults fired" } else { "not all recorded faults fired" };
            println!(
                "still broken at revision {} (world seed {seed}; {faults}): {}",
                context.revision,
                broken.join(", ")
            );
        }
        Replayed::Fixed { neighbours } => {
            println!(
                "fixed at revision {}: the same addressed faults fired and it held, as did {neighbours} neighbouring seeds",
                context.revision
            );
        }
        Replayed::Inconclusive { missing_faults } => {
            println!(
                "inconclusive at revision {}: nothing broke, but these recorded faults did not fire:",
                context.revision
            );
            for fault in missing_faults {
                println!("  {fault}");
            }
        }
    }
}

/// Where `file` would lie beside a file that the user named, without an ending.
pub(super) fn place(named: &Path) -> (PathBuf, String) {
    let folder = named
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    (folder, stem(named))
}
