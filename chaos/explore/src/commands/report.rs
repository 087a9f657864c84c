//! `report show|diff|merge`.

use std::fs;

use miette::{IntoDiagnostic, Report, WrapErr};
use nexus_commands::ReportCommand;
use nexus_reports::{RunRecord, TerminalOptions};

use super::Context;

pub fn run(command: &ReportCommand) -> Result<u8, Report> {
    match command {
        ReportCommand::Show(options) => {
            let record = RunRecord::read_file(&options.file).into_diagnostic()?;
            if options.json {
                println!("{}", record.summary_json().into_diagnostic()?);
            } else {
                print!("{}", record.terminal(&TerminalOptions { colour: Context::colour(), ..Default::default() }));
            }
        }
        ReportCommand::Diff(options) => {
            let before = RunRecord::read_file(&options.before).into_diagnostic()?;
            let after = RunRecord::read_file(&options.after).into_diagnostic()?;
            let diff = before.diff(&after);
            if options.json {
                println!("{}", diff.to_json().into_diagnostic()?);
            } else {
                print!("{}", diff.terminal(&TerminalOptions { colour: Context::colour(), ..Default::default() }));
            }
        }
        ReportCommand::Merge(options) => {
            let records: Result<Vec<RunRecord>, _> =
                options.files.iter().map(|file| RunRecord::read_file(file)).collect();
            let merged = RunRecord::merge(records.into_diagnostic()?).into_diagnostic()?;
            fs::write(&options.out, merged.to_json().into_diagnostic()?)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot write `{}`", options.out.display()))?;
            if options.json {
                println!("{}", merged.summary_json().into_diagnostic()?);
            } else {
                print!("{}", merged.terminal(&TerminalOptions { colour: Context::colour(), ..Default::default() }));
            }
        }
    }
    Ok(nexus_commands::exit::HELD)
}
