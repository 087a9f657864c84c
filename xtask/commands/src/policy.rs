//! `policy`: the policies at the desk. `hooks`: what git runs before a commit.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::help::examples;

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum PolicyCommand {
    Test(PolicyTestOptions),
    Check(PolicyCheckOptions),
    Graph(PolicyGraphOptions),
    Explain(PolicyExplainOptions),
}

/// Run the policies' own tests, with coverage
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Run the policies' own tests, with coverage.\n\n\
        Runs every `test_…` rule of policies/runtime and policies/desk. Exit code 1 when one fails, when a policy has no test, \
        or when a rule has a line that no test evaluates.",
    after_help = examples(&[
        ("cargo xtask policy test", "the tests, and what they reach of each policy"),
        ("cargo xtask policy test --json | jq .coverage", "for programs: passed, failed, failures, coverage"),
    ])
)]
pub struct PolicyTestOptions {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Hold source, templates and settings against the policies of the desk
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Hold source, templates and settings against the policies of the desk.\n\n\
        Facts are read from the work tree: crates and their arrows, AWS calls and HTTP in the source, the services' wiring, \
        deployment templates and their IAM statements, schemas, event types, objectives, places that look like secrets. Each \
        finding says what is wrong, where, by which rule, and how to mend it. Exit code 1 when there is one.",
    after_help = examples(&[
        ("cargo xtask policy check", "everything"),
        ("cargo xtask policy check --changed", "only policies that concern what differs from the last commit"),
        ("cargo xtask policy check --json | jq '.findings[].rule'", "for programs"),
        ("cargo xtask policy check --facts facts.json", "keeps what was read, as input for `policy explain`"),
    ])
)]
pub struct PolicyCheckOptions {
    /// Only the policies that read what differs from the last commit
    #[arg(long)]
    pub changed: bool,

    /// Where all facts go, as JSON
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// In which form the graph is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyGraphFormat {
    /// Graphviz' language
    Dot,
    /// A flowchart for Markdown
    Mermaid,
    /// A picture
    Svg,
    /// Vertices and edges
    Json,
}

/// Draw the services, what they call, and what carries their events
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Draw the services, what they call, and what carries their events.\n\n\
        Read from the source: the binary's wiring is followed from each service to the AWS calls of the adapters that it builds.",
    after_help = examples(&[
        ("cargo xtask policy graph --format svg --out graph.svg", "a picture"),
        ("cargo xtask policy graph --format mermaid", "for Markdown"),
    ])
)]
pub struct PolicyGraphOptions {
    /// The form
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "mermaid")]
    pub format: PolicyGraphFormat,

    /// Where it goes; by default to standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Tell why the policies allow or deny an input
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Tell why the policies allow or deny an input.\n\n\
        INPUT is what a service asks (it has an `operation`; the policies of policies/runtime judge it), or facts as `policy \
        check --facts` writes them (those of policies/desk do). Every condition of every rule is evaluated until one does not \
        hold, and is shown with what it read. Exit code 0 when it is allowed, 1 when it is denied, 2 when INPUT cannot be judged.",
    after_help = examples(&[
        ("cargo xtask policy explain input.json", "the decision, and the conditions that held or failed"),
        ("cargo xtask policy explain --json input.json", "for programs"),
    ])
)]
pub struct PolicyExplainOptions {
    /// A JSON file
    #[arg(value_name = "INPUT")]
    pub input: PathBuf,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum HooksCommand {
    Install(HooksInstallOptions),
}

/// Let git run the checks that concern a commit before it is made
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Let git run the checks that concern a commit before it is made.\n\n\
        Writes a pre-commit hook to where git looks for hooks (core.hooksPath, else .git/hooks). It checks only what the commit \
        changes, with programs that are built already where they are. A hook that is not ours is left alone, unless told \
        otherwise. `git commit --no-verify` goes past it; continuous integration does not.",
    after_help = examples(&[
        ("cargo xtask hooks install", "once in each clone"),
        ("cargo xtask hooks install --force", "in place of another hook, which is kept beside it"),
    ])
)]
pub struct HooksInstallOptions {
    /// Replace a hook that is not ours; it is kept as pre-commit.before-nexus
    #[arg(long)]
    pub force: bool,
}
