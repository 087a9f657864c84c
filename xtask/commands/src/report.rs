//! `report`: what can be done with the records of runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::help::examples;

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
]))]
pub struct ShowOptions {
    /// A record written by `sim` or `report merge`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// Compare two records: verdicts, faults, latencies
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = examples(&[
    ("cargo xtask report diff before.json after.json", "what changed from the first to the second"),
]))]
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
    ("cargo xtask report merge turmoil.json madsim.json --out all.json", "histograms are added up, not averaged"),
]))]
pub struct MergeOptions {
    /// The records to join, two or more
    #[arg(value_name = "FILE", num_args = 2.., required = true)]
    pub files: Vec<PathBuf>,

    /// Where the joined record goes
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Print the joined summary as one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}
