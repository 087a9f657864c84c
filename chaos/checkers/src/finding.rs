//! What checkers say.

use serde::{Deserialize, Serialize};

use crate::CheckInput;

/// One property that every run must have.
pub trait Checker {
    /// Stable, in kebab-case.
    fn name(&self) -> &'static str;
    fn needs(&self) -> Needs;
    /// The property, in one sentence.
    fn describe(&self) -> &'static str;
    fn check(&self, input: &CheckInput) -> Finding;
}

/// Which of the two histories a checker looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    /// What clients saw is enough: the checker judges live runs too.
    ObservationOnly,
    GroundTruth,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Finding {
    /// Nothing was found. `examined` is how many things were really looked at: 0 means that the check was vacuous.
    Held {
        examined: u64,
    },
    Broken {
        violations: Vec<Violation>,
    },
    /// The bound on work was reached first; never a guess.
    Undecided {
        reason: String,
    },
}

/// One way in which a run broke a property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// [`Checker::name`].
    pub checker: String,
    /// One sentence.
    pub what: String,
    pub evidence: Vec<String>,
    /// Storage keys (`table/partition[/sort]`), idempotency keys or aggregates concerned.
    pub keys: Vec<String>,
    /// Logical operations concerned.
    pub operations: Vec<u32>,
    pub at_ns: Option<u64>,
}

impl Violation {
    /// Of the check that will finish the examination.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            checker: String::new(),
            what: what.into(),
            evidence: Vec::new(),
            keys: Vec::new(),
            operations: Vec::new(),
            at_ns: None,
        }
    }

    /// Something that shows it: a call, an answer, an item.
    pub fn evidence(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// What it is about: a stream, a key of a table, an event, a message.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Logical operations of customers that have to do with it.
    pub fn operations(mut self, operations: impl IntoIterator<Item = u32>) -> Self {
        self.operations.extend(operations);
        self.operations.sort_unstable();
        self.operations.dedup();
        self
    }

    /// When it showed, in nanoseconds since the Unix epoch.
    pub fn at(mut self, at_ns: u64) -> Self {
        self.at_ns = Some(at_ns);
        self
    }
}

/// Collects what one check looked at and what it found.
#[derive(Debug, Default)]
pub struct Examination {
    examined: u64,
    violations: Vec<Violation>,
    undecided: Option<String>,
}

impl Examination {
    /// One more thing was looked at.
    pub fn examine(&mut self) {
        self.examined += 1;
    }

    /// Something that is not in order, beside what was counted.
    pub fn violation(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// Looks at one more thing, which is in order or not.
    pub fn expect(&mut self, is_in_order: bool, violation: impl FnOnce() -> Violation) {
        self.examine();
        if !is_in_order {
            self.violations.push(violation());
        }
    }

    /// What could not be judged, and why; the first such reason is told.
    pub fn undecided(&mut self, reason: impl Into<String>) {
        self.undecided.get_or_insert(reason.into());
    }

    /// A violation outweighs what stayed undecided; what stayed undecided outweighs what held.
    pub fn finish(self, checker: &str) -> Finding {
        if !self.violations.is_empty() {
            let named = |violation| Violation { checker: checker.to_owned(), ..violation };
            return Finding::Broken { violations: self.violations.into_iter().map(named).collect() };
        }
        match self.undecided {
            Some(reason) => Finding::Undecided { reason },
            None => Finding::Held { examined: self.examined },
        }
    }
}
