//! Bug reports: one JSON file that anyone replays, one Markdown file that anyone reads.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use miette::Diagnostic;
use nexus_checkers::Violation;
use nexus_reports::{FaultRecord, replay_command};
use serde::{Deserialize, Serialize};

use crate::{child::TrialOutput, trial::Trial};

/// The version of the bug file's format; it grows with every change of a field.
pub const BUG_FORMAT_VERSION: u32 = 1;
/// How many of the last steps a Markdown report shows.
const LAST_STEPS: usize = 60;

/// A trial that broke something, with all that is needed to break it again and to notice if it breaks otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BugReport {
    pub bug_format_version: u32,
    /// Which build must replay it; `cargo xtask replay` reads this first.
    pub engine: String,
    /// The planted bug that the build was told to have; decides which build must replay it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted_bug: Option<String>,
    pub revision: String,
    pub profile: String,
    pub scenario: String,
    pub seed: u64,
    pub trace_hash: String,
    pub reason: String,
    /// Names of the checks that broke.
    pub broken: Vec<String>,
    pub violations: Vec<Violation>,
    /// What became of each planned fault.
    pub faults: Vec<FaultRecord>,
    /// Doubtful facts about AWS that the verdict leans on.
    pub assumptions: Vec<String>,
    pub trial: Trial,
    /// All lines of the trace, deflated, in base64.
    pub trace: String,
}

/// A bug file that cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum BugFileError {
    #[error("cannot read `{path}`: {source}")]
    #[diagnostic(help("bug files are written by `cargo xtask sim` beside its report, by default under target/nexus/"))]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is not a bug report: {problem}")]
    #[diagnostic(help("give a bug-<scenario>-<seed>.json as `cargo xtask sim` wrote it, unchanged"))]
    Malformed { path: PathBuf, problem: String },
    #[error("`{path}` has format version {found}, and this build reads version {BUG_FORMAT_VERSION}")]
    #[diagnostic(help("check out the revision that wrote it (`{revision}`) and replay it there"))]
    OtherVersion { path: PathBuf, found: u64, revision: String },
    #[error("cannot write `{path}`: {source}")]
    Unwritable { path: PathBuf, source: std::io::Error },
}

impl BugReport {
    pub fn new(trial: &Trial, output: &TrialOutput, revision: &str, profile: &str) -> Self {
        let record = &output.record;
        let broken = record.checks.iter().filter(|check| check.outcome == nexus_reports::Verdict::Broken);
        Self {
            bug_format_version: BUG_FORMAT_VERSION,
            engine: trial.engine.clone(),
            planted_bug: trial.planted_bug.clone(),
            revision: revision.to_owned(),
            profile: profile.to_owned(),
            scenario: trial.scenario.clone(),
            seed: trial.seed,
            trace_hash: record.trace_hash.clone(),
            reason: record.reason.clone(),
            broken: broken.map(|check| check.name.clone()).collect(),
            violations: output.violations.clone(),
            faults: record.faults.clone(),
            assumptions: trial.assumptions.names_in_use(),
            trial: trial.clone(),
            trace: compress(output.trace.as_deref().unwrap_or_default()),
        }
    }

    /// Lines of the recorded trace; none if the field is damaged.
    pub fn trace_lines(&self) -> Option<Vec<String>> {
        let packed = STANDARD.decode(&self.trace).ok()?;
        let mut text = String::new();
        DeflateDecoder::new(packed.as_slice()).read_to_string(&mut text).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }

    /// Writes `<stem>.json` and `<stem>.md` into `folder` and returns the JSON file's path.
    ///
    /// # Errors
    /// If the folder or a file cannot be written.
    pub fn write(&self, folder: &Path, stem: &str) -> Result<PathBuf, BugFileError> {
        let json_path = folder.join(format!("{stem}.json"));
        let markdown_path = folder.join(format!("{stem}.md"));
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |source| BugFileError::Unwritable { path, source }
        };
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| BugFileError::Malformed { path: json_path.clone(), problem: error.to_string() })?;
        fs::write(&json_path, json).map_err(unwritable(&json_path))?;
        fs::write(&markdown_path, self.markdown(&json_path)).map_err(unwritable(&markdown_path))?;
        Ok(json_path)
    }

    /// Reads a bug file.
    ///
    /// # Errors
    /// If there is none, if it is something else, or if another version of the format wrote it.
    pub fn read(path: &Path) -> Result<BugReport, BugFileError> {
        let malformed = |problem: String| BugFileError::Malformed { path: path.to_owned(), problem };
        let bytes = fs::read(path).map_err(|source| BugFileError::Unreadable { path: path.to_owned(), source })?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        let version = value.get("bug_format_version").and_then(serde_json::Value::as_u64);
        let found = version.ok_or_else(|| malformed("it has no `bug_format_version`".to_owned()))?;
        if found != u64::from(BUG_FORMAT_VERSION) {
            let revision = value["revision"].as_str().unwrap_or("unknown").to_owned();
            return Err(BugFileError::OtherVersion { path: path.to_owned(), found, revision });
        }
        let report: BugReport = serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?;
        report.trace_lines().ok_or_else(|| malformed("its trace is damaged".to_owned()))?;
        Ok(report)
    }

    fn markdown(&self, json_path: &Path) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_markdown(&mut text, json_path);
        text
    }

    fn write_markdown(&self, out: &mut String, json_path: &Path) -> std::fmt::Result {
        writeln!(out, "# `{}` broke with seed {}\n", self.scenario, self.seed)?;
        writeln!(out, "{}\n", self.reason)?;
        writeln!(out, "Replay it with\n\n```\n{}\n```\n", replay_command(&json_path.display().to_string()))?;
        writeln!(out, "| | |\n|---|---|")?;
        writeln!(out, "| engine | {} |", self.engine)?;
        writeln!(out, "| revision | `{}` (profile {}) |", self.revision, self.profile)?;
        writeln!(out, "| trace hash | `{}` |", self.trace_hash)?;
        writeln!(out, "| checks broken | {} |", self.broken.join(", "))?;
        let operations = self.trial.workload.operations.len();
        writeln!(out, "| trial | {operations} operations, {} faults |\n", self.trial.faults.len())?;
        writeln!(out, "## What broke\n")?;
        for violation in &self.violations {
            writeln!(out, "- **{}**: {}", violation.checker, violation.what)?;
            for line in &violation.evidence {
                writeln!(out, "  - `{}`", line.replace('`', "'"))?;
            }
        }
        writeln!(out, "\n## Faults\n\n| id | kind | contract | address | fired |\n|---|---|---|---|---|")?;
        for fault in &self.faults {
            let address = fault.address.replace('|', "\\|");
            writeln!(
                out,
                "| {} | {} | {} | {address} | {} |",
                fault.id,
                fault.kind,
                fault.contract.as_str(),
                fault.fired
            )?;
        }
        writeln!(out, "\n## Assumptions about AWS that this verdict leans on\n")?;
        for assumption in &self.assumptions {
            writeln!(out, "- {assumption}")?;
        }
        let lines = self.trace_lines().unwrap_or_default();
        let shown = lines.len().saturating_sub(LAST_STEPS);
        writeln!(out, "\n## The last {} of {} steps\n\n```", lines.len() - shown, lines.len())?;
        for line in &lines[shown..] {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "```")
    }
}

fn compress(lines: &[String]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    for line in lines {
        // Writing to a Vec cannot fail.
        let _ = writeln!(encoder, "{line}");
    }
    STANDARD.encode(encoder.finish().unwrap_or_default())
}
