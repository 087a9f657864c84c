//! A second opinion on the compatibility checker: its cases, and many more pairs of schemas, judged by jsoncompat as well.
//!
//! It writes `DIFFERENCES.md`. It exits with 1 if a difference has no explanation in `explanations.toml`, if an explanation has no
//! difference, or if a document refutes a "compatible" of ours; with 2 if it could not ask at all.
#![forbid(unsafe_code)]

mod draft;
mod explanations;
#[path = "../../../system/governance/compatibility/tests/generated/mod.rs"]
mod generated;
mod opinions;
mod page;
mod questions;
mod tally;

use std::{fs, path::Path, process::ExitCode};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::Value;

use crate::{
    explanations::Difference,
    opinions::{Opinions, Sides},
    questions::Question,
    tally::Tally,
};

/// Documents to which every "compatible" is put.
const DOCUMENTS: usize = 400;

fn main() -> ExitCode {
    match run(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(open) if open.is_empty() => ExitCode::SUCCESS,
        Ok(open) => {
            open.iter().for_each(|line| eprintln!("{line}"));
            eprintln!("error: {} things are left open; say in explanations.toml what is so, or mend it", open.len());
            ExitCode::from(1)
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// What is left open, one line or more each.
fn run(folder: &Path) -> Result<Vec<String>, String> {
    let explanations = explanations::read(&folder.join("explanations.toml"))?;
    let questions = questions::all(&folder.join("../../system/governance/compatibility"))?;
    let documents = documents();
    let mut tally = Tally::new(documents.len());
    let mut differences = Vec::new();
    let mut open = Vec::new();
    for question in &questions.all {
        let opinions = opinions::on(question, &Sides::of(question)?, &documents)?;
        tally.add(question.origin, &opinions);
        open.extend(refuted(question, &opinions));
        if opinions.differ() {
            differences.push(Difference::new(question, opinions));
        }
    }
    println!("{}", tally.line());
    let sorted = explanations::sort(&explanations, &differences);
    write_page(folder, &page::page(&questions, &tally, &sorted))?;
    open.extend(sorted.open);
    Ok(open)
}

fn write_page(folder: &Path, page: &str) -> Result<(), String> {
    let path = folder.join("DIFFERENCES.md");
    fs::write(&path, page).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The same on every run.
fn documents() -> Vec<Value> {
    let mut runner = TestRunner::deterministic();
    let strategy = generated::document();
    let trees = (0..DOCUMENTS).filter_map(|_| strategy.new_tree(&mut runner).ok());
    trees.map(|tree| tree.current()).collect()
}

/// A fault of ours, for which no explanation is taken.
fn refuted(question: &Question, opinions: &Opinions) -> Option<String> {
    let document = opinions.refutation.as_ref()?;
    Some(format!(
        "WRONG: {}: we say compatible, but {document} is accepted where it is written and refused where it is read\n  \
         written: {}\n  read: {}",
        question.name,
        question.written(),
        question.read()
    ))
}
