//! `deploy`: the templates of `system/deploy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::help::examples;

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum DeployCommand {
    Synth(SynthOptions),
    Validate(ValidateOptions),
}

/// Write the templates that a deployment takes
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Write the templates that a deployment takes: that of the system as it is in system/deploy, and that of the \
        schema registry made from system/schemas.",
    after_help = examples(&[
        ("cargo xtask deploy synth", "writes both into target/nexus/deploy"),
        ("cargo xtask deploy synth --out system/deploy", "brings the committed schemas.yaml up to date"),
        ("cargo xtask deploy synth --check", "1 when the committed schemas.yaml is not what system/schemas gives"),
    ])
)]
pub struct SynthOptions {
    /// Where the templates go; target/nexus/deploy without it
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub out: Option<PathBuf>,

    /// Write nothing; tell whether the committed schemas.yaml is current
    #[arg(long)]
    pub check: bool,
}

/// Hold the templates against the code, the scenarios and cfn-lint
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Hold the templates against the code, the scenarios and cfn-lint.\n\n\
        Tables, stream, topic and queues must be those that `nexus provision` makes; roles may do the least, and nobody may \
        change an event; mappings have bounds and ends; every objective of scenarios/smoke has its alarm.\n\n\
        Exit codes: 0 all held; 1 something is not as it must be; 2 a file cannot be read; 4 cfn-lint cannot be had here.",
    after_help = examples(&[
        ("cargo xtask deploy validate", "everything; installs cfn-lint into target/deploy-lint the first time"),
        ("cargo xtask deploy validate --skip-lint", "what needs no Python and no network"),
    ])
)]
pub struct ValidateOptions {
    /// Leave cfn-lint out
    #[arg(long)]
    pub skip_lint: bool,
}
