//! `shrink FILE`.

use std::sync::atomic::Ordering;

use miette::{IntoDiagnostic, Report, miette};
use nexus_commands::ShrinkOptions;

use super::{
    Context,
    replay::{place, search, stem},
};
use crate::{BugReport, Shrinker, Shrunk, TrialSize, default_jobs};

pub fn run(options: &ShrinkOptions) -> Result<u8, Report> {
    let context = Context::from_environment();
    let report = BugReport::read(&options.file)?;
    super::check_engine(&report.engine)?;
    let reason = report.failed_for().ok_or_else(|| {
        miette!(help = "only a report in which a check broke can be shrunk", "this report names no broken check")
    })?;
    let progress = super::progress::bar(0, options.json);
    let on_progress = |size: TrialSize| {
        progress.set_message(size.to_string());
        progress.tick();
    };
    let jobs = options.jobs.unwrap_or_else(default_jobs);
    let shrunk = Shrinker::new(reason.clone(), jobs, &context.stop, &on_progress).shrink(&report.trial);
    progress.finish_and_clear();
    let Some(shrunk) = shrunk else {
        if context.is_stopped() {
            return Err(miette!("stopped before anything smaller was found"));
        }
        println!("`{}` does not break in this trial at revision {}: nothing to shrink", reason.check, context.revision);
        return Ok(nexus_commands::exit::INCONCLUSIVE);
    };
    let smaller = smaller(&report, &shrunk, options, jobs, &context)?;
    let named = options
        .out
        .clone()
        .unwrap_or_else(|| options.file.with_file_name(format!("{}-shrunk.json", stem(&options.file))));
    let (folder, stem) = place(&named);
    let path = smaller.write(&folder, &stem)?;
    let (before, after) = (TrialSize::of(&report.trial), TrialSize::of(&shrunk.trial));
    if options.json {
        let object = serde_json::json!({
            "check": reason.check, "class": reason.class, "file": path, "trials_run": shrunk.trials_run,
            "before": before, "after": after, "cause": smaller.cause,
        });
        println!("{}", serde_json::to_string(&object).into_diagnostic()?);
    } else {
        println!("`{}`: {before} shrunk to {after} ({} trials)", reason.check, shrunk.trials_run);
        println!("{}", smaller.reason);
        smaller.chain.iter().for_each(|line| println!("  {line}"));
        if let Some(cause) = &smaller.cause {
            cause.lines().iter().for_each(|line| println!("  {line}"));
        }
        println!("  replay: {}", nexus_reports::replay_command(&context.shown(&path)));
        println!("  send:   {}", context.shown(&path.with_extension("html")));
    }
    Ok(nexus_commands::exit::BROKE)
}

/// The report of the smaller trial, with its cause.
fn smaller(
    report: &BugReport,
    shrunk: &Shrunk,
    options: &ShrinkOptions,
    jobs: usize,
    context: &Context,
) -> Result<BugReport, Report> {
    let mut smaller = BugReport::new(&shrunk.trial, &shrunk.output, &context.revision, &context.profile);
    smaller.shrunk_from = Some(report.shrunk_from.unwrap_or_else(|| TrialSize::of(&report.trial)));
    if options.no_cause || context.stop.load(Ordering::SeqCst) {
        return Ok(smaller);
    }
    // A trial whose process dies has no story, and no step to point at.
    if let Ok(told) = smaller.tell(&context.revision, &context.stop) {
        smaller.cause = search(&smaller, &told.story, jobs, context)?;
    }
    Ok(smaller)
}
