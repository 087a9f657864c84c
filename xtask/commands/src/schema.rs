//! `schema`: the event schemas checked, compared and written up.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::help::examples;

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SchemaCommand {
    Check(SchemaCheckOptions),
    Diff(SchemaDiffOptions),
    Docs(SchemaDocsOptions),
}

/// Which schemas must understand which documents, as AWS Glue names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompatibilityMode {
    /// Anything may follow
    None,
    /// Nothing may follow the first version
    Disabled,
    /// The new schema reads what was written under the previous one
    Backward,
    /// The new schema reads what was written under all previous ones
    BackwardAll,
    /// The previous schema reads what is written under the new one
    Forward,
    /// All previous schemas read what is written under the new one
    ForwardAll,
    /// Both, towards the previous version
    Full,
    /// Both, towards all previous versions
    FullAll,
}

/// Check every event schema of this repository against its earlier versions and the last release
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Check every event schema of this repository against its earlier versions and the last release.\n\n\
        Every event type of the domain has a schema, each schema is usable draft-07, versions of one event type are compatible \
        with each other, and nothing that was released has changed. Breaks that were accepted, with the upcaster that \
        bridges them, are listed in system/schemas/accepted-breaks.toml.\n\n\
        Exit codes: 0 all held; 1 something broke, or could not be decided; 2 a file cannot be read.",
    after_help = examples(&[
        ("cargo xtask schema check", "everything, with a counterexample for what broke"),
        ("cargo xtask schema check --json", "the same as one JSON object"),
        ("cargo xtask schema check --mode FULL_ALL", "what would also stand in the way of old readers"),
    ])
)]
pub struct SchemaCheckOptions {
    /// How versions of one event type must fit together
    #[arg(long, value_name = "MODE", value_enum, ignore_case = true, default_value = "BACKWARD_ALL")]
    pub mode: CompatibilityMode,

    /// Assume that writers write only what their schema declares, even where it is open
    #[arg(long)]
    pub lenient: bool,

    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Tell whether one schema may follow another
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Tell whether one schema may follow another.\n\n\
        For what stands in the way it shows a document that one of the two accepts and the other refuses, checked by a \
        validator before it is shown. Removed fields, changed types and new required fields break in every mode but NONE.\n\n\
        Exit codes: 0 compatible; 1 incompatible, or undecided; 2 a file cannot be read or is no usable draft-07 schema.",
    after_help = examples(&[
        ("cargo xtask schema diff v1.json v2.json", "may v2 follow v1?"),
        (
            "cargo xtask schema diff v1.json v2.json --mode FULL",
            "in both directions: old readers, new documents, too",
        ),
        ("cargo xtask schema diff v1.json v2.json --lenient", "writers write only what they declare"),
        ("cargo xtask schema diff v1.json v2.json --json", "an object for programs"),
    ])
)]
pub struct SchemaDiffOptions {
    /// The schema that documents were written under
    #[arg(value_name = "OLD")]
    pub old: PathBuf,

    /// The schema that is to follow
    #[arg(value_name = "NEW")]
    pub new: PathBuf,

    /// Which of the two must understand the other's documents
    #[arg(long, value_name = "MODE", value_enum, ignore_case = true, default_value = "BACKWARD")]
    pub mode: CompatibilityMode,

    /// Assume that writers write only what their schema declares, even where it is open
    #[arg(long)]
    pub lenient: bool,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Write the catalogue of events: fields, bounds, who writes and who reads
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Write the catalogue of events: fields, bounds, who writes and who reads.\n\n\
        Fields and bounds come from the schemas, commands from the domain, destinations from the router; who reads an event is \
        found by giving one to each consumer's own code.\n\n\
        Exit codes: 0 written, or up to date; 1 with --check: the file is stale; 2 a file cannot be read or written.",
    after_help = examples(&[
        ("cargo xtask schema docs", "prints the page"),
        ("cargo xtask schema docs --out system/schemas/CATALOGUE.md", "writes it where it is kept"),
        ("cargo xtask schema docs --check", "says whether the page that is kept is stale"),
    ])
)]
pub struct SchemaDocsOptions {
    /// Where the page goes; without it, to standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Write nothing: compare with the file (system/schemas/CATALOGUE.md if --out names no other)
    #[arg(long)]
    pub check: bool,
}
