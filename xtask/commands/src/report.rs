//! `report`: what can be done with the records of runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{engine::Engine, help::examples};

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ReportCommand {
    Show(ShowOptions),
    Diff(DiffOptions),
    Merge(MergeOptions),
}

/// Print the tables of a run's record again
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = examples(&[
    ("cargo xtask report show target/nexus/record.json", "the tables that the run printed"),
    ("cargo xtask report show --json target/nexus/record.json", "the summary as one JSON object"),
    (
        "cargo xtask report show --coverage target/nexus/record.json > scenarios/COVERAGE.md",
        "which documented behaviour of AWS was met in which scenario, how often",
    ),
    ("cargo xtask report show --engines all.json", "which kinds of fault fired on which engine"),
    ("cargo xtask report show --markdown target/nexus/record.json >> $GITHUB_STEP_SUMMARY", "the summary of a CI run"),
    ("cargo xtask report show --junit junit.xml target/nexus/record.json", "the verdicts as JUnit XML"),
]))]
pub struct ShowOptions {
    /// A record written by `sim` or `report merge`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print the coverage of AWS's documented behaviour by the scenarios, as a Markdown table
    #[arg(long, conflicts_with = "engines")]
    pub coverage: bool,

    /// Print the kinds of fault by the engines that produced them, as a Markdown table
    #[arg(long)]
    pub engines: bool,

    /// Print a summary for a build server, as Markdown: the verdict, and for each failure how to replay it
    #[arg(long, conflicts_with_all = ["coverage", "engines", "json"])]
    pub markdown: bool,

    #[command(flatten)]
    pub junit: JunitOption,

    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// For build servers: whatever runs trials, or reads their record, can write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct JunitOption {
    /// Write the verdicts as JUnit XML into this file; a failure carries its reason and its replay command
    #[arg(long, value_name = "FILE", help_heading = "What to print and keep")]
    pub junit: Option<PathBuf>,
}

impl JunitOption {
    /// The same for one engine of several: `junit.xml` becomes `junit-madsim.xml`.
    pub fn on(&self, engine: Engine) -> JunitOption {
        let with_engine = |file: &PathBuf| {
            let mut name = file.file_stem().unwrap_or_default().to_owned();
            name.push(format!("-{}", engine.name()));
            if let Some(extension) = file.extension() {
                name.push(".");
                name.push(extension);
            }
            file.with_file_name(name)
        };
        JunitOption { junit: self.junit.as_ref().map(with_engine) }
    }
}

/// Compare two records: verdicts, latencies, our own share of them
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Compare two records: verdicts, latencies, our own share of them.\n\n\
        Only seeds that both runs played are compared. Our own share of a latency is compared seed by seed, apart from what \
        AWS and the faults took: it is said to have grown only beyond what chance explains, and not before both runs played 5 \
        seeds.\n\n\
        Exit codes: 0 not worse; 1 a seed or a check broke that had not, or a latency or our own share of one grew; 2 a record \
        cannot be read; 3 the same trial of the same revision left another trace; 4 no seed in common.",
    after_help = examples(&[
        ("cargo xtask report diff before.json after.json", "what changed from the first to the second"),
    ])
)]
pub struct DiffOptions {
    /// The record to compare with
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,

    /// The record that is judged
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,

    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// Join the records of several runs into one
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = examples(&[
    ("cargo xtask report merge turmoil.json madsim.json --out all.json", "histograms are added up, engines stay apart"),
]))]
pub struct MergeOptions {
    /// The records to join, two or more
    #[arg(value_name = "FILE", num_args = 2.., required = true)]
    pub files: Vec<PathBuf>,

    /// Where the joined record goes; its HTML report is written beside it
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Print the joined summary as one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}
