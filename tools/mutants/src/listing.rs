//! What cargo-mutants finds, and the sample that is drawn from it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A line and a column, both counted from 1; columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Span {
    pub start: Position,
    pub end: Position,
}

/// The kinds of change that cargo-mutants makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

/// One change, as `cargo mutants --list --json` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Mutant {
    /// Place and change in words: what it is known by.
    pub name: String,
    /// Relative to the workspace, with slashes.
    pub file: String,
    pub span: Span,
    pub replacement: String,
    pub genre: Genre,
}

impl Mutant {
    /// The name without line and column, which move with every edit above them.
    pub fn lasting_name(&self) -> String {
        let (_, change) = self.name.split_once(": ").unwrap_or(("", &self.name));
        format!("{}: {change}", self.file)
    }
}

/// A repeatable order of what may be sampled: those of `folders` that a switch can be put before.
///
/// A field left out of a struct literal cannot be switched, since the field's value may have been moved; there are few.
pub fn shuffled(listing: Vec<Mutant>, folders: &[String], draw: u64) -> Vec<Mutant> {
    let mut mutants: Vec<Mutant> = listing
        .into_iter()
        .filter(|mutant| mutant.genre != Genre::StructField)
        .filter(|mutant| folders.iter().any(|folder| mutant.file.starts_with(folder)))
        .collect();
    // The listing's order is cargo-mutants' affair.
    mutants.sort_by(|one, other| one.name.cmp(&other.name));
    mutants.dedup_by(|one, other| one.name == other.name);
    fastrand::Rng::with_seed(draw).shuffle(&mut mutants);
    mutants
}

/// The mutants of each file, with the numbers that they are switched by.
pub type ByFile = BTreeMap<String, Vec<(usize, Mutant)>>;

/// The first `count` mutants that are not refused by name, by file. Each is numbered by its place among all: when one is
/// refused, the files of the others stay as they are.
pub fn sample(shuffled: &[Mutant], count: usize, refused: &BTreeSet<String>) -> ByFile {
    let mut by_file = ByFile::new();
    let usable = shuffled.iter().enumerate().filter(|(_, mutant)| !refused.contains(&mutant.name));
    for (number, mutant) in usable.take(count) {
        by_file.entry(mutant.file.clone()).or_default().push((number, mutant.clone()));
    }
    by_file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(name: &str, file: &str, genre: Genre) -> Mutant {
        let position = Position { line: 1, column: 1 };
        let span = Span { start: position, end: position };
        Mutant { name: name.to_owned(), file: file.to_owned(), span, replacement: String::new(), genre }
    }

    #[test]
    fn a_sample_is_repeatable_and_keeps_to_its_folder() {
        let listing: Vec<Mutant> = (0..40)
            .map(|number| mutant(&format!("m{number:02}"), "system/a.rs", Genre::FnValue))
            .chain([mutant("elsewhere", "sim/b.rs", Genre::FnValue)])
            .chain([mutant("field", "system/a.rs", Genre::StructField)])
            .collect();
        let reversed: Vec<Mutant> = listing.iter().rev().cloned().collect();
        let folders = ["system/".to_owned()];
        let one = shuffled(listing.clone(), &folders, 7);
        assert_eq!(one.len(), 40);
        assert_eq!(one, shuffled(reversed, &folders, 7), "the listing's order does not matter");
        assert_ne!(one, shuffled(listing, &folders, 8));
    }

    #[test]
    fn what_is_refused_is_replaced_by_the_next() {
        let order: Vec<Mutant> = ["a", "b", "c", "d"].map(|name| mutant(name, name, Genre::FnValue)).to_vec();
        let refused = BTreeSet::from(["b".to_owned()]);
        let sampled = sample(&order, 2, &refused);
        let names: Vec<(usize, &str)> = sampled.values().flatten().map(|(number, m)| (*number, &*m.name)).collect();
        assert_eq!(names, [(0, "a"), (2, "c")]);
    }

    #[test]
    fn a_lasting_name_does_not_move_with_lines() {
        let mut moved = mutant("system/a.rs:12:5: replace f with ()", "system/a.rs", Genre::FnValue);
        assert_eq!(moved.lasting_name(), "system/a.rs: replace f with ()");
        moved.name = "system/a.rs:99:7: replace f with ()".to_owned();
        assert_eq!(moved.lasting_name(), "system/a.rs: replace f with ()");
    }
}
