//! `replay`, `shrink` and `certify`: what can be done with a bug report.

use std::path::PathBuf;

use clap::Args;

use crate::{help::examples, values};

/// Run the trial of a bug report again
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Run the trial of a bug report again.\n\n\
        At the revision that wrote the file the trace must be the same: exit 1 says that the bug is back, exit 3 that \
        the run diverged. At another revision the seeds nearby are tried too before the bug is called fixed (0), still \
        there (1) or not judged (4). The options that show something leave these codes as they are.",
    after_help = examples(&[
        ("cargo xtask replay target/nexus/bug-crashes-42.json", "the engine is read from the file"),
        ("cargo xtask replay bug.json --report out", "the one page to send, with everything in it"),
        ("cargo xtask replay bug.json --until 512", "the state of hosts, tables, queues and leases at step 512"),
        ("cargo xtask replay bug.json --verbose router-1", "every step of one host"),
        ("cargo xtask replay bug.json --diff other.json", "the first step that differs, then what differs"),
        ("cargo xtask replay bug.json --cause", "from when on nothing could have helped, and which trial close by passes"),
        ("cargo xtask replay --json bug.json", "for programs"),
    ])
)]
pub struct ReplayOptions {
    /// A bug report written by `sim`, `shrink` or `bench bugs`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Write the page with everything in it into this folder, and beside it a trace for Perfetto and a regression test
    #[arg(long, value_name = "DIR", help_heading = "What to show")]
    pub report: Option<PathBuf>,

    /// Stop at this step, and show the state there
    #[arg(long, value_name = "STEP", value_parser = values::step, allow_negative_numbers = true, help_heading = "What to show")]
    pub until: Option<u32>,

    /// Print every step of this host, or of all of them with `all`
    #[arg(long, value_name = "HOST", value_parser = values::name, help_heading = "What to show")]
    pub verbose: Option<String>,

    /// Play the trial of this other bug report too, and show where the two part
    #[arg(long, value_name = "OTHER", help_heading = "What to show")]
    pub diff: Option<PathBuf>,

    /// Search for the step after which the failure was inevitable, and for the nearest trial that passes
    #[arg(long, help_heading = "What to show")]
    pub cause: bool,

    /// Print one JSON object instead of text
    #[arg(long, help_heading = "What to show")]
    pub json: bool,
}

/// Make the trial of a bug report as small as it can be while it still breaks
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Make the trial of a bug report as small as it can be while it still breaks.\n\n\
        Faults, operations, hosts, shards, servers and time are taken away in turn, until none of them can be by itself; \
        what is left breaks the same check in the same way. The result does not depend on --jobs. Then the cause is \
        searched for: the step after which the failure was inevitable, and the nearest trial that passes.\n\n\
        Exit codes: 1 shrunk, and it still breaks; 2 the file cannot be used; 4 it does not break here.",
    after_help = examples(&[
        ("cargo xtask shrink target/nexus/bug-crashes-42.json", "writes the smaller trial beside the file"),
        ("cargo xtask shrink bug.json --out small.json --jobs 2", "writes it where you say"),
        ("cargo xtask shrink bug.json --no-cause", "only smaller"),
    ])
)]
pub struct ShrinkOptions {
    /// A bug report written by `sim` or `bench bugs`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Where the smaller trial goes; by default beside FILE
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// How many candidates run at a time; by default one a processor
    #[arg(long, value_name = "N", value_parser = values::jobs, allow_negative_numbers = true)]
    pub jobs: Option<usize>,

    /// Do not search for the cause
    #[arg(long)]
    pub no_cause: bool,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Certify that a change mends a bug
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Certify that a change mends a bug.\n\n\
        Both revisions are built from scratch copies of their sources. The old code must fail in the report's trial, in the \
        same check; the new code must hold in it, with every fault acting that acted on the old code, and in trials close to \
        it: under other world seeds, and with faults that hit one match earlier or later.\n\n\
        A revision is whatever git takes for a commit, or `work-tree`: the sources as they are now.\n\n\
        Exit codes: 0 certified; 1 the old code holds or the new code fails; 2 the file or a revision cannot be used; \
        4 nothing failed, but not every fault acted.",
    after_help = examples(&[
        ("cargo xtask certify bug.json --before HEAD~1 --after HEAD", "writes certificate-<bug>.md"),
        ("cargo xtask certify bug.json --before main --after work-tree --out fix.html", "as a page to attach"),
        ("cargo xtask certify bug.json --before v1 --after v2 --neighbours 100 --json", "for programs"),
    ])
)]
pub struct CertifyOptions {
    /// A bug report written by `sim` or `shrink`
    #[arg(value_name = "BUG")]
    pub file: PathBuf,

    /// The revision that has the bug
    #[arg(long, value_name = "REV", value_parser = values::name)]
    pub before: String,

    /// The revision that mends it
    #[arg(long, value_name = "REV", value_parser = values::name)]
    pub after: String,

    /// How many trials close to the recorded one the new code must hold in
    #[arg(long, value_name = "N", value_parser = values::whole, allow_negative_numbers = true, default_value = "20")]
    pub neighbours: u64,

    /// The certificate, as HTML if its name says so, else as Markdown; by default target/nexus/certificate-BUG.md
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// How many trials run at a time; by default one a processor
    #[arg(long, value_name = "N", value_parser = values::jobs, allow_negative_numbers = true)]
    pub jobs: Option<usize>,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}
