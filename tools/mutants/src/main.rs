//! Plants a sample of the mutants that cargo-mutants finds, and builds the laboratory with them.
//!
//! All mutants of a sample go into one copy of the source, each behind a switch that is asked at run time, so one build
//! serves all of them: a hundred builds would take hours. A mutant that does not compile is left out and the next of the
//! sample's order takes its place. Started by `cargo xtask bench mutants`, with one word: the [`Request`] as JSON.
#![forbid(unsafe_code)]

mod blame;
mod build;
mod error;
mod listing;
mod plant;

use std::{path::PathBuf, process::ExitCode};

use nexus_commands::exit;
use serde::{Deserialize, Serialize};

use crate::error::MutantsError;

/// What is asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The repository.
    root: PathBuf,
    /// A copy of it, which is rewritten.
    tree: PathBuf,
    /// Where the list of the planted mutants is written.
    folder: PathBuf,
    /// Where cargo-mutants is installed if there is none.
    tools: PathBuf,
    /// Where cargo builds.
    target: PathBuf,
    package: String,
    binary: String,
    profile: String,
    sample: usize,
    draw: u64,
}

/// What was made; printed as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    executable: String,
    /// The file that lists the planted mutants.
    mutants: PathBuf,
}

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            anstream::println!("{}", serde_json::json!(answer));
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(exit::USAGE)
        }
    }
}

fn answer() -> Result<Answer, MutantsError> {
    let mut words = std::env::args().skip(1);
    let (Some(word), None) = (words.next(), words.next()) else {
        return Err(MutantsError::Request("one word is expected".to_owned()));
    };
    let request: Request = serde_json::from_str(&word).map_err(|error| MutantsError::Request(error.to_string()))?;
    build::build(&request)
}
