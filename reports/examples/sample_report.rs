//! Writes a made-up run in every face, to look at them without a simulator:
//! `cargo run -p nexus-reports --example sample_report -- FOLDER`.
#![forbid(unsafe_code)]

#[path = "support/sample.rs"]
mod sample;

use std::{error::Error, path::PathBuf};

use nexus_reports::{Report, TerminalOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name the folder to write into")?);
    std::fs::create_dir_all(&folder)?;
    let record = sample::record();
    let report = Report::new(&record);
    let html = folder.join("report.html");
    std::fs::write(folder.join("record.json"), record.to_json()?)?;
    std::fs::write(folder.join("summary.json"), report.summary_json()?)?;
    std::fs::write(&html, report.html()?)?;
    let html = html.display().to_string();
    print!("{}", report.terminal(&TerminalOptions { colour: false, width: 120, html: Some(&html) }));
    Ok(())
}
