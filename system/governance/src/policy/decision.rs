//! What is asked of the policies, and what they answer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The question put to the policies; in Rego it is `input`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInput {
    /// Which service asks, such as `command-service`.
    pub service: String,
    /// `append-event`, `read-events`, `update-event`, `delete-event`, …
    pub operation: String,
    /// What it would act on, such as `event-store`.
    pub store: String,
    /// On whose behalf: `customer`, `payments`, `warehouse`, `support` or `system`.
    pub role: String,
    /// The command's name; empty where there is none.
    pub command: String,
    /// The aggregate's id, such as `order-o-1`.
    pub aggregate: String,
    /// The types of the events that would be appended.
    pub event_types: Vec<String>,
    /// The money at stake, if any.
    pub amount_cents: Option<u64>,
}

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
    pub fn is_allowed(&self) -> bool {
        matches!(self, Decision::Allow)
    }
}

/// One line of the decision log: enough to prove later which rules answered which question, without storing the
/// question itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// SHA-256 of the policies and their data.
    pub bundle_digest: String,
    /// SHA-256 of the input's canonical JSON.
    pub input_digest: String,
    #[serde(flatten)]
    pub decision: Decision,
}
