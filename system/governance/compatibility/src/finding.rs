//! What a comparison found, for programs (as JSON) and for people.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::options::{Direction, Mode};

/// Whether the new schema may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Compatible,
    /// Neither proven nor refuted. Treat it as incompatible, and say that it is undecided.
    Undecided,
    Incompatible,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Compatible => "compatible",
            Verdict::Undecided => "undecided",
            Verdict::Incompatible => "incompatible",
        }
    }
}

/// Where a finding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The mode that was asked for.
    Mode,
    /// The house rule: removed fields, changed types and new required fields break in every mode but NONE.
    HouseRule,
}

/// One of the two schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Old,
    New,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Old => "old",
            Side::New => "new",
        }
    }

    fn other(self) -> Side {
        match self {
            Side::Old => Side::New,
            Side::New => Side::Old,
        }
    }
}

/// A document that passes one schema and fails the other. Both were asked before it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counterexample {
    pub document: Value,
    /// The schema that accepts it; the other one refuses it.
    pub accepted_by: Side,
}

/// One way in which the new schema may not follow an earlier version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub source: Source,
    /// Stable, in kebab-case.
    pub rule: String,
    /// Incompatible or undecided.
    pub verdict: Verdict,
    /// JSON pointer into the new schema; into the old one for what is gone.
    pub pointer: String,
    /// Who could not read what; none for rules that do not ask.
    pub direction: Option<Direction>,
    /// Which of the previous versions, counted from 1 in the order in which they were given.
    pub against: usize,
    pub old: Option<Value>,
    pub new: Option<Value>,
    pub counterexample: Option<Counterexample>,
    /// Why nothing is shown, or why nothing was decided.
    pub note: Option<String>,
    pub mend: String,
}

/// The answer to "may this schema follow those?".
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// True for the verdict `compatible` alone.
    pub compatible: bool,
    pub verdict: Verdict,
    pub mode: Mode,
    pub findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn of(mode: Mode, findings: Vec<Finding>) -> Report {
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Compatible);
        Report { compatible: verdict == Verdict::Compatible, verdict, mode, findings }
    }
}

/// Longer values are cut where people read them; JSON carries them whole.
const SHOWN_CHARACTERS_MAX: usize = 240;

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{}: {} at {place}, against version {}", self.verdict.name(), self.rule, self.against)?;
        match (self.source, self.direction) {
            (Source::HouseRule, _) => f.write_str(" (house rule)")?,
            (_, Some(Direction::Backward)) => f.write_str(" (the new schema reads old documents)")?,
            (_, Some(Direction::Forward)) => f.write_str(" (the old schema reads new documents)")?,
            _ => {}
        }
        for (label, value) in [("old", &self.old), ("new", &self.new)] {
            if let Some(value) = value {
                write!(f, "\n  {label}: {}", shown(value))?;
            }
        }
        if let Some(example) = &self.counterexample {
            let (by, other) = (example.accepted_by.name(), example.accepted_by.other().name());
            write!(f, "\n  counterexample: {}", shown(&example.document))?;
            write!(f, "\n    accepted by the {by} schema, refused by the {other} one")?;
        }
        if let Some(note) = &self.note {
            write!(f, "\n  note: {note}")?;
        }
        write!(f, "\n  mend: {}", self.mend)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::Compatible => write!(f, "compatible ({})", self.mode)?,
            Verdict::Incompatible => write!(f, "incompatible ({})", self.mode)?,
            Verdict::Undecided => write!(f, "undecided, hence treated as incompatible ({})", self.mode)?,
        }
        self.findings.iter().try_for_each(|finding| write!(f, "\n\n{finding}"))
    }
}
