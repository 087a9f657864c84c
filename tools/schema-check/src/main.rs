//! `nexus-schema-check`: what `cargo xtask schema` starts. Checks the event schemas, compares two, writes them up.
//!
//! Where to read on: [`check`] for the repository's own schemas, [`diff`] for two files, [`catalogue`] for the page of events,
//! [`story`] for who writes and reads an event, found by asking the services' own code.
#![forbid(unsafe_code)]

mod accepted;
mod catalogue;
mod check;
mod diff;
mod error;
mod files;
mod repository;
mod story;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use nexus_commands::{CompatibilityMode, SchemaCommand, exit, parse_schema};
use nexus_governance_compatibility::{Mode, Options};

use crate::error::ToolError;

fn main() -> ExitCode {
    let command = match parse_schema(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    let root = std::env::var_os("NEXUS_WORKSPACE_ROOT").map_or_else(|| PathBuf::from("."), PathBuf::from);
    match run(&command, &root) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            anstream::eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(exit::USAGE)
        }
    }
}

fn run(command: &SchemaCommand, root: &Path) -> Result<u8, ToolError> {
    match command {
        SchemaCommand::Check(options) => check::run(options, root),
        SchemaCommand::Diff(options) => diff::run(options),
        SchemaCommand::Docs(options) => catalogue::run(options, root),
    }
}

fn options(mode: CompatibilityMode, is_lenient: bool) -> Options {
    let mode = match mode {
        CompatibilityMode::None => Mode::None,
        CompatibilityMode::Disabled => Mode::Disabled,
        CompatibilityMode::Backward => Mode::Backward,
        CompatibilityMode::BackwardAll => Mode::BackwardAll,
        CompatibilityMode::Forward => Mode::Forward,
        CompatibilityMode::ForwardAll => Mode::ForwardAll,
        CompatibilityMode::Full => Mode::Full,
        CompatibilityMode::FullAll => Mode::FullAll,
    };
    if is_lenient { Options::new(mode).lenient() } else { Options::new(mode) }
}
