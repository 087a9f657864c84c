//! What the policies answer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One policy's objection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Denial {
    /// The rule's stable name in kebab-case.
    pub rule: String,
    /// A sentence for people.
    pub reason: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.reason)
    }
}

/// The policies' answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    Allow,
    /// Sorted by rule, then reason; never empty.
    Deny {
        denials: Vec<Denial>,
    },
}

impl Decision {
    /// The rules that denied, sorted, each once; none if it is allowed.
    pub fn rules(&self) -> Vec<&str> {
        let Decision::Deny { denials } = self else { return Vec::new() };
        let mut rules: Vec<&str> = denials.iter().map(|denial| denial.rule.as_str()).collect();
        rules.dedup();
        rules
    }

    pub fn is_allowed(&self) -> bool {
        matches!(self, Decision::Allow)
    }
}

/// One line of the decision log: enough to prove later which rules answered which question, without storing the
/// question itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// SHA-256 of the policies and their data: of the bundle that gave this very answer.
    pub bundle_digest: String,
    /// SHA-256 of the input's canonical JSON.
    pub input_digest: String,
    #[serde(flatten)]
    pub decision: Decision,
}
