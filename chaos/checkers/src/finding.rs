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
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            checker: String::new(),
            what: what.into(),
            evidence: Vec::new(),
            keys: Vec::new(),
            operations: Vec::new(),
            at_ns: None,
        }
    }

    pub(crate) fn evidence(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    pub(crate) fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(crate) fn operations(mut self, operations: impl IntoIterator<Item = u32>) -> Self {
        self.operations.extend(operations);
        self.operations.sort_unstable();
        self.operations.dedup();
        self
    }

    pub(crate) fn at(mut self, at_ns: u64) -> Self {
        self.at_ns = Some(at_ns);
        self
    }
}

/// Collects what one check looked at and what it found.
#[derive(Debug, Default)]
pub(crate) struct Examination {
    examined: u64,
    violations: Vec<Violation>,
    undecided: Option<String>,
}

impl Examination {
    /// One more thing was looked at.
    pub(crate) fn examine(&mut self) {
        self.examined += 1;
    }

    pub(crate) fn violation(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// Looks at one more thing, which is in order or not.
    pub(crate) fn expect(&mut self, is_in_order: bool, violation: impl FnOnce() -> Violation) {
        self.examine();
        if !is_in_order {
            self.violations.push(violation());
        }
    }

    pub(crate) fn undecided(&mut self, reason: impl Into<String>) {
        self.undecided.get_or_insert(reason.into());
    }

    /// A violation outweighs what stayed undecided; what stayed undecided outweighs what held.
    pub(crate) fn finish(self, checker: &str) -> Finding {
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
