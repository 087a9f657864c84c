//! What is asked: the checker's table, changes as people make them, and pairs drawn at random, each cut into single questions.

use std::{fmt, fs, path::Path};

use nexus_governance_compatibility::{Direction, Mode, Options, Schema, judge};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde::Deserialize;
use serde_json::Value;

use crate::generated;

/// Pairs drawn at random; each is asked in both directions.
const PAIRS_DRAWN: usize = 5_000;

/// Where a question comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Table,
    Evolution,
    Drawn,
    /// Drawn pairs that have formats, without them.
    Bare,
}

impl Origin {
    pub const ALL: [Origin; 4] = [Origin::Table, Origin::Evolution, Origin::Drawn, Origin::Bare];
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Table => "the table of cases",
            Origin::Evolution => "changes as people make them",
            Origin::Drawn => "pairs drawn at random",
            Origin::Bare => "those with formats, without them",
        })
    }
}

/// Does one schema accept all that is written under the other?
pub struct Question {
    pub origin: Origin,
    /// One of a kind within its origin.
    pub name: String,
    pub old: Value,
    pub new: Value,
    pub direction: Direction,
    /// Writers are taken to write only what their schema declares.
    pub is_lenient: bool,
}

impl Question {
    pub fn written(&self) -> &Value {
        if self.direction == Direction::Backward { &self.old } else { &self.new }
    }

    pub fn read(&self) -> &Value {
        if self.direction == Direction::Backward { &self.new } else { &self.old }
    }

    /// The mode that asks this and nothing else.
    pub fn mode(&self) -> Mode {
        if self.direction == Direction::Backward { Mode::Backward } else { Mode::Forward }
    }
}

/// All questions, and the number of the table's cases that ask nothing about documents.
pub struct Questions {
    pub all: Vec<Question>,
    pub cases: usize,
    pub cases_without_documents: usize,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    old: Vec<Value>,
    new: Value,
    mode: String,
    verdict: String,
    #[serde(default)]
    house: bool,
    #[serde(default)]
    lenient: bool,
}

#[derive(Deserialize)]
struct Evolution {
    name: String,
    old: Value,
    new: Value,
}

/// Reads and draws all questions; `checker` is the checker's folder.
///
/// # Errors
/// A file cannot be read, or a case of the table is judged here otherwise than in the checker's own tests.
pub fn all(checker: &Path) -> Result<Questions, String> {
    let cases: Vec<Case> = lines_of(&checker.join("tests/cases.jsonl"))?;
    let mut questions = Questions { all: Vec::new(), cases: cases.len(), cases_without_documents: 0 };
    for case in cases {
        hold_to_the_table(&case)?;
        let asked = from_case(&case)?;
        questions.cases_without_documents += usize::from(asked.is_empty());
        questions.all.extend(asked);
    }
    for evolution in lines_of::<Evolution>(&checker.join("tests/evolutions.jsonl"))? {
        questions.all.extend(both_ways(Origin::Evolution, &evolution.name, &evolution.old, &evolution.new));
    }
    questions.all.extend(drawn());
    Ok(questions)
}

fn lines_of<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let parsed = text.lines().zip(1..).map(|(line, number)| {
        serde_json::from_str(line).map_err(|error| format!("{}:{number}: {error}", path.display()))
    });
    parsed.collect()
}

/// Numbers are read otherwise in this build than in the system's; the checker must not judge otherwise for it.
fn hold_to_the_table(case: &Case) -> Result<(), String> {
    let usable = |document: &Value| Schema::new(document.clone()).map_err(|error| format!("{}: {error}", case.name));
    let options = Options { house_rule: case.house, ..Options::new(mode_of(case)?) };
    let options = if case.lenient { options.lenient() } else { options };
    let previous = case.old.iter().map(usable).collect::<Result<Vec<Schema>, String>>()?;
    let verdict = judge(&usable(&case.new)?, &previous, &options).verdict.name();
    match verdict == case.verdict {
        true => Ok(()),
        false => Err(format!("{} ({}): the table says {}, this build {verdict}", case.name, case.mode, case.verdict)),
    }
}

fn mode_of(case: &Case) -> Result<Mode, String> {
    Mode::named(&case.mode).ok_or_else(|| format!("{}: there is no mode {}", case.name, case.mode))
}

/// A case as single questions: every version that counts, in every direction that its mode asks for, without the house rule.
fn from_case(case: &Case) -> Result<Vec<Question>, String> {
    let mode = mode_of(case)?;
    let directions: &[Direction] = match mode {
        Mode::None | Mode::Disabled => &[],
        Mode::Backward | Mode::BackwardAll => &[Direction::Backward],
        Mode::Forward | Mode::ForwardAll => &[Direction::Forward],
        Mode::Full | Mode::FullAll => &[Direction::Backward, Direction::Forward],
    };
    let newest = case.old.len().saturating_sub(1);
    let counted = case.old.iter().zip(1..).skip(if mode.is_transitive() { 0 } else { newest });
    let mut asked = Vec::new();
    for (old, version) in counted {
        for direction in directions {
            let (new, direction) = (case.new.clone(), *direction);
            let name = format!("{} ({}, version {version}, {})", case.name, case.mode, named(direction));
            let is_plain = case.old.len() == 1 && directions.len() == 1;
            let name = if is_plain { format!("{} ({})", case.name, case.mode) } else { name };
            let (old, is_lenient) = (old.clone(), case.lenient);
            asked.push(Question { origin: Origin::Table, name, old, new, direction, is_lenient });
        }
    }
    Ok(asked)
}

fn named(direction: Direction) -> &'static str {
    if direction == Direction::Backward { "backward" } else { "forward" }
}

fn both_ways(origin: Origin, name: &str, old: &Value, new: &Value) -> [Question; 2] {
    [(Direction::Backward, "BACKWARD"), (Direction::Forward, "FORWARD")].map(|(direction, mode)| Question {
        origin,
        name: format!("{name} ({mode})"),
        old: old.clone(),
        new: new.clone(),
        direction,
        is_lenient: false,
    })
}

/// The pairs with which the checker measures how often it is undecided: the same on every run. Formats make a schema opaque to
/// jsoncompat, so pairs that have any are asked once more without.
fn drawn() -> Vec<Question> {
    let mut runner = TestRunner::deterministic();
    let strategy = generated::pair();
    let trees = (0..PAIRS_DRAWN).filter_map(|_| strategy.new_tree(&mut runner).ok());
    let pairs = trees.map(|tree| tree.current()).enumerate();
    let usable = |schema: &Value| Schema::new(schema.clone()).is_ok();
    let pairs = pairs.filter(|(_, (old, new))| usable(old) && usable(new));
    pairs.flat_map(|(number, (old, new))| as_they_are_and_without_formats(number, &old, &new)).collect()
}

fn as_they_are_and_without_formats(number: usize, old: &Value, new: &Value) -> Vec<Question> {
    let mut asked = Vec::from(both_ways(Origin::Drawn, &format!("pair {number}"), old, new));
    let (bare_old, bare_new) = (without_formats(old), without_formats(new));
    if (&bare_old, &bare_new) != (old, new) {
        asked.extend(both_ways(Origin::Bare, &format!("pair {number} without formats"), &bare_old, &bare_new));
    }
    asked
}

/// Of drawn schemas only: no property and no data of theirs is called `format`.
fn without_formats(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(keyword, _)| *keyword != "format");
            Value::Object(kept.map(|(keyword, value)| (keyword.clone(), without_formats(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_formats).collect()),
        other => other.clone(),
    }
}
