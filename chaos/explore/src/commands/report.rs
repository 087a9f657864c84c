//! `report show|diff|merge`.

use std::{fs, path::Path};

use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_commands::{DiffOptions, MergeOptions, ReportCommand, ShowOptions};
use nexus_reports::{RunRecord, TerminalOptions, coverage_markdown, coverage_table, engines_json, engines_markdown};

use super::Context;

pub fn run(command: &ReportCommand) -> Result<u8, Report> {
    match command {
        ReportCommand::Show(options) => show(options),
        ReportCommand::Diff(options) => diff(options),
        ReportCommand::Merge(options) => merge(options),
    }
}

fn show(options: &ShowOptions) -> Result<u8, Report> {
    let record = read(&options.file)?;
    write_junit(&record, options.junit.junit.as_deref())?;
    if options.markdown {
        print!("{}", record.summary_markdown());
        return Ok(nexus_commands::exit::HELD);
    }
    match (options.coverage, options.engines, options.json) {
        (true, _, true) => println!("{}", coverage_table(&record).to_json().into_diagnostic()?),
        (true, _, false) => print!("{}", coverage_markdown(&record)),
        (_, true, true) => println!("{}", engines_json(&record).into_diagnostic()?),
        (_, true, false) => print!("{}", engines_markdown(&record)),
        (false, false, true) => println!("{}", record.summary_json().into_diagnostic()?),
        (false, false, false) => print!("{}", record.terminal(&terminal_options())),
    }
    Ok(nexus_commands::exit::HELD)
}

/// Writes the verdicts for a build server, if it asked for them.
pub(super) fn write_junit(record: &RunRecord, file: Option<&Path>) -> Result<(), Report> {
    let Some(file) = file else { return Ok(()) };
    let cannot = || format!("cannot write `{}`", file.display());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).into_diagnostic().wrap_err_with(cannot)?;
    }
    fs::write(file, record.junit()).into_diagnostic().wrap_err_with(cannot)
}

fn diff(options: &DiffOptions) -> Result<u8, Report> {
    let (before, after) = (read(&options.before)?, read(&options.after)?);
    let diff = before.diff(&after);
    if options.json {
        println!("{}", diff.to_json().into_diagnostic()?);
    } else {
        print!("{}", diff.terminal(&terminal_options()));
    }
    Ok(diff.outcome().exit_code())
}

fn merge(options: &MergeOptions) -> Result<u8, Report> {
    let html = options.out.with_extension("html");
    if html == options.out {
        return Err(miette!(
            help = "give it another ending, as in `all.json`; the HTML report is written beside it",
            "`{}` would hold both the record and its HTML report",
            html.display()
        ));
    }
    let records: Result<Vec<RunRecord>, Report> = options.files.iter().map(|file| read(file)).collect();
    let merged = RunRecord::merge(records?).into_diagnostic()?;
    fs::write(&options.out, merged.to_json().into_diagnostic()?)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write `{}`", options.out.display()))?;
    fs::write(&html, merged.html().into_diagnostic()?)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write `{}`", html.display()))?;
    if options.json {
        println!("{}", merged.summary_json().into_diagnostic()?);
    } else {
        let html = html.display().to_string();
        print!("{}", merged.terminal(&TerminalOptions { html: Some(&html), ..terminal_options() }));
    }
    Ok(nexus_commands::exit::HELD)
}

/// A record. The error names the file, what is wrong with it, and how to come by one that can be read.
fn read(file: &Path) -> Result<RunRecord, Report> {
    // The error's text tells its causes already, so they are not told again below it.
    RunRecord::read_file(file).map_err(|error| miette!("{error}"))
}

fn terminal_options() -> TerminalOptions<'static> {
    TerminalOptions { colour: Context::colour(), width: super::sim::terminal_width(), html: None }
}
