//! Writes a made-up run in every face, to look at them without a simulator:
//! `cargo run -p nexus-reports --example sample_report -- FOLDER`.
#![forbid(unsafe_code)]

#[path = "support/sample.rs"]
mod sample;

use std::{error::Error, fs, path::PathBuf};

use nexus_reports::{Report, RunRecord, TerminalOptions, coverage_markdown, engines_markdown};
use sample::Variant;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name the folder to write into")?);
    fs::create_dir_all(&folder)?;
    let record = sample::record();
    let madsim = sample::variant(&Variant { engine: "madsim", weather: 7, ..Variant::default() });
    let both = RunRecord::merge(vec![record.clone(), madsim])?;
    let slower =
        sample::variant(&Variant { revision: "77aa001", router_percent: 120, weather: 1, ..Variant::default() });
    let report = Report::new(&record);
    let html = folder.join("report.html");
    fs::write(folder.join("record.json"), record.to_json()?)?;
    fs::write(folder.join("slower.json"), slower.to_json()?)?;
    fs::write(folder.join("summary.json"), report.summary_json()?)?;
    fs::write(&html, report.html()?)?;
    fs::write(folder.join("both-engines.html"), both.html()?)?;
    fs::write(folder.join("coverage.md"), coverage_markdown(&record))?;
    fs::write(folder.join("engines.md"), engines_markdown(&both))?;
    let html = html.display().to_string();
    let options = TerminalOptions { html: Some(&html), ..TerminalOptions::default() };
    println!("{}", report.terminal(&options));
    print!("{}", record.diff(&slower).terminal(&options));
    Ok(())
}
