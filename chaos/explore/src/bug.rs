//! Bug reports: one JSON file that anyone replays, one Markdown file that anyone reads, one page with everything in it.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use miette::Diagnostic;
use nexus_checkers::Violation;
use nexus_reports::{FaultRecord, replay_command};
use nexus_reports_story::{Attachments, Command, Story, chain_lines, regression_test};
use serde::{Deserialize, Serialize};

use crate::{
    cause::Cause,
    child::{ChildError, StoryOutput, StoryRequest, TrialOutput, tell_in_child},
    reason::Reason,
    shrink::TrialSize,
    trial::Trial,
};

/// The version of the bug file's format; it grows with every change of a field.
pub const BUG_FORMAT_VERSION: u32 = 2;
/// The oldest version that is read as well: it lacks only what later ones may leave out.
const OLDEST_FORMAT_VERSION: u32 = 1;
/// Trials with more operations get no story when their report is written: it would take as long as the trial itself, and
/// `replay --report` tells it whenever it is wanted.
const OPERATIONS_TOLD_MAX: usize = 2_000;
/// How many of the last lines of the trace a Markdown report shows.
const LAST_LINES: usize = 60;
/// Trials of this size are shown whole in the Markdown report.
const MINIMAL_OPERATIONS: usize = 12;

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
    /// The trial that it was shrunk from; none if it was not shrunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrunk_from: Option<TrialSize>,
    /// What is known of the cause, if it was searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The steps that led to the violation, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// The same as a sequence diagram, in Mermaid's language.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diagram: String,
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
            shrunk_from: None,
            cause: None,
            chain: Vec::new(),
            diagram: String::new(),
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

    /// What the trial failed for; none if no check broke.
    pub fn failed_for(&self) -> Option<Reason> {
        Reason::of(&self.broken, &self.violations)
    }

    /// Plays the trial once more, in a process of its own, and tells its story.
    ///
    /// # Errors
    /// As [`tell_in_child`].
    pub fn tell(&self, revision: &str, stop: &AtomicBool) -> Result<StoryOutput, ChildError> {
        let trial = self.trial.clone();
        tell_in_child(&StoryRequest { trial, revision: revision.to_owned(), profile: self.profile.clone() }, stop)
    }

    /// Writes `<stem>.json`, `<stem>.md` and the page `<stem>.html` into `folder` and returns the JSON file's path. The
    /// trial is played once more for its story; a very large one is left without chain and page.
    ///
    /// # Errors
    /// If the folder or a file cannot be written.
    pub fn write(&self, folder: &Path, stem: &str) -> Result<PathBuf, BugFileError> {
        let json_path = folder.join(format!("{stem}.json"));
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let mut report = self.clone();
        let is_told = self.trial.workload.operations.len() <= OPERATIONS_TOLD_MAX;
        // A trial whose process dies has no story, and its report is written nevertheless.
        let told = if is_told { self.tell(&self.revision, &AtomicBool::new(false)).ok() } else { None };
        if let Some(told) = &told {
            report.chain = chain_lines(&told.story);
            report.diagram = told.story.mermaid();
        }
        let json = report.to_json(&json_path)?;
        write_file(&json_path, &json)?;
        write_file(&folder.join(format!("{stem}.md")), &report.markdown(&json_path))?;
        if let Some(told) = &told {
            let page = told.story.page(&report.attachments(&json_path, json));
            write_file(&folder.join(format!("{stem}.html")), &page)?;
        }
        Ok(json_path)
    }

    /// Writes the page with everything in it, and the trace for Perfetto and the regression test beside it. Returns the
    /// page's path.
    ///
    /// # Errors
    /// If the folder or a file cannot be written.
    pub fn write_page(&self, story: &Story, folder: &Path, stem: &str) -> Result<PathBuf, BugFileError> {
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let json_path = folder.join(format!("{stem}.json"));
        let report = Self { chain: chain_lines(story), diagram: story.mermaid(), ..self.clone() };
        let json = report.to_json(&json_path)?;
        write_file(&json_path, &json)?;
        write_file(&folder.join(format!("{stem}.md")), &report.markdown(&json_path))?;
        let attachments = report.attachments(&json_path, json);
        let page_path = folder.join(format!("{stem}.html"));
        write_file(&page_path, &story.page(&attachments))?;
        let trace_path = folder.join(format!("{stem}.trace.json.gz"));
        fs::write(&trace_path, story.perfetto_gzip()).map_err(unwritable(&trace_path))?;
        if let Some(test) = &attachments.regression_test {
            write_file(&folder.join(&test.file_name), &test.source)?;
        }
        Ok(page_path)
    }

    fn to_json(&self, path: &Path) -> Result<String, BugFileError> {
        serde_json::to_string_pretty(self)
            .map_err(|error| BugFileError::Malformed { path: path.to_owned(), problem: error.to_string() })
    }

    /// What the page carries besides the story.
    fn attachments(&self, json_path: &Path, json: String) -> Attachments {
        let name = json_path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // A regression test is for the code that is not told to be wrong.
        let trial = Trial { planted_bug: None, ..self.trial.clone() };
        // A trial always serialises: it came out of a file or a draw.
        let trial_json = serde_json::to_string_pretty(&trial).unwrap_or_default();
        let facts = nexus_reports_story::Facts {
            scenario: self.scenario.clone(),
            seed: self.seed,
            engine: self.engine.clone(),
            revision: self.revision.clone(),
            reason: self.reason.clone(),
            ..nexus_reports_story::Facts::default()
        };
        let check = self.broken.first().cloned().unwrap_or_default();
        let path = json_path.display().to_string();
        let command = |text: String, purpose: &str| Command { text, purpose: purpose.to_owned() };
        Attachments {
            bug_report: Some((name, json)),
            regression_test: Some(regression_test(&facts, &check, &trial_json)),
            trial: Some(trial_json),
            commands: vec![
                command(
                    format!("git checkout {} && {}", self.commit(), replay_command(&path)),
                    "plays the trial again, at the revision that wrote the report",
                ),
                command(format!("cargo xtask shrink {path}"), "makes it as small as it gets and says what caused it"),
                command(
                    format!("{} --until STEP", replay_command(&path)),
                    "shows the state of hosts, tables, queues and leases at a step",
                ),
            ],
            cause: self.cause.as_ref().map(Cause::lines).unwrap_or_default(),
            size: self.shrunk_from.map(|from| format!("from {from}")),
        }
    }

    /// The revision without the digest of uncommitted changes.
    fn commit(&self) -> &str {
        self.revision.split('+').next().unwrap_or(&self.revision)
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
        if !(u64::from(OLDEST_FORMAT_VERSION)..=u64::from(BUG_FORMAT_VERSION)).contains(&found) {
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
        writeln!(out, "| trial | {operations} operations, {} faults |", self.trial.faults.len())?;
        if let Some(from) = &self.shrunk_from {
            writeln!(out, "| shrunk | from {from} to {} |", TrialSize::of(&self.trial))?;
        }
        writeln!(out, "| verdict | broken |")?;
        writeln!(out, "\n## What broke\n")?;
        for violation in &self.violations {
            writeln!(out, "- **{}**: {}", violation.checker, violation.what)?;
            for line in &violation.evidence {
                writeln!(out, "  - `{}`", line.replace('`', "'"))?;
            }
        }
        self.write_chain(out)?;
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
        if self.trial.workload.operations.len() <= MINIMAL_OPERATIONS {
            writeln!(out, "\n## The trial\n\n```json")?;
            writeln!(out, "{}", serde_json::to_string_pretty(&self.trial).unwrap_or_default())?;
            writeln!(out, "```")?;
        }
        let lines = self.trace_lines().unwrap_or_default();
        let shown = lines.len().saturating_sub(LAST_LINES);
        writeln!(out, "\n## The last {} of {} lines of the trace\n\n```", lines.len() - shown, lines.len())?;
        for line in &lines[shown..] {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "```")
    }

    fn write_chain(&self, out: &mut String) -> std::fmt::Result {
        if let Some(cause) = &self.cause {
            writeln!(out, "\n## Cause\n")?;
            for line in cause.lines() {
                writeln!(out, "- {line}")?;
            }
            writeln!(out, "\n| a trial that differs in one thing | outcome |\n|---|---|")?;
            for altered in &cause.altered {
                writeln!(out, "| {} | {} |", altered.difference.replace('|', "\\|"), altered.outcome)?;
            }
        }
        if !self.chain.is_empty() {
            writeln!(out, "\n## Causal chain\n")?;
            for line in &self.chain {
                writeln!(out, "- {}", line.replace('`', "'").replace('<', "&lt;"))?;
            }
            writeln!(out, "\n```mermaid\n{}```", self.diagram)?;
        }
        Ok(())
    }
}

fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> BugFileError + use<> {
    let path = path.to_owned();
    move |source| BugFileError::Unwritable { path, source }
}

fn write_file(path: &Path, text: &str) -> Result<(), BugFileError> {
    fs::write(path, text).map_err(unwritable(path))
}

fn compress(lines: &[String]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    for line in lines {
        // Writing to a Vec cannot fail.
        let _ = writeln!(encoder, "{line}");
    }
    STANDARD.encode(encoder.finish().unwrap_or_default())
}
