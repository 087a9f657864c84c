//! `shrink FILE`.

use std::path::PathBuf;

use miette::{IntoDiagnostic, Report, miette};
use nexus_commands::ShrinkOptions;

use super::Context;
use crate::{BugReport, Shrinker, default_jobs};

pub fn run(options: &ShrinkOptions) -> Result<u8, Report> {
    let context = Context::from_environment();
    let report = BugReport::read(&options.file)?;
    super::check_engine(&report.engine)?;
    let check = report.broken.first().cloned().ok_or_else(|| {
        miette!(help = "only a report in which a check broke can be shrunk", "this report names no broken check")
    })?;
    let progress = super::progress::bar(0, options.json);
    let on_progress = |operations: usize, faults: usize| {
        progress.set_message(format!("{operations} operations, {faults} faults"));
        progress.tick();
    };
    let jobs = options.jobs.unwrap_or_else(default_jobs);
    let shrunk = Shrinker::new(check.clone(), jobs, &context.stop, &on_progress).shrink(&report.trial);
    progress.finish_and_clear();
    let Some(shrunk) = shrunk else {
        if context.is_stopped() {
            return Err(miette!("stopped before anything smaller was found"));
        }
        println!("`{check}` does not break in this trial at revision {}: nothing to shrink", context.revision);
        return Ok(nexus_commands::exit::INCONCLUSIVE);
    };
    let smaller = BugReport::new(&shrunk.trial, &shrunk.output, &context.revision, &context.profile);
    let (folder, stem) = place(options);
    let path = smaller.write(&folder, &stem)?;
    let before = (report.trial.workload.operations.len(), report.trial.faults.len());
    let after = (shrunk.trial.workload.operations.len(), shrunk.trial.faults.len());
    if options.json {
        let object = serde_json::json!({
            "check": check, "file": path, "trials_run": shrunk.trials_run,
            "before": {"operations": before.0, "faults": before.1},
            "after": {"operations": after.0, "faults": after.1},
        });
        println!("{}", serde_json::to_string(&object).into_diagnostic()?);
    } else {
        println!(
            "`{check}`: {} operations and {} faults shrunk to {} and {} ({} trials)",
            before.0, before.1, after.0, after.1, shrunk.trials_run
        );
        println!("{}\n  replay: {}", smaller.reason, nexus_reports::replay_command(&context.shown(&path)));
    }
    Ok(nexus_commands::exit::BROKE)
}

fn place(options: &ShrinkOptions) -> (PathBuf, String) {
    let named = options.out.clone().unwrap_or_else(|| {
        let stem = options.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        options.file.with_file_name(format!("{stem}-shrunk.json"))
    });
    let stem = named.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = named
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    (folder, stem)
}
