//! Open-loop customers with intended start times, and recorded workloads.
//!
//! A [`Workload`] is data: what each customer asks, and when it means to. It does not depend on answers: a slow
//! system is asked no less, which is what makes latencies honest. Three ways lead to one:
//! [`WorkloadShape::generate`] draws it from a seed, [`tpch`] takes the orders of a public benchmark, [`parse_jsonl`]
//! reads it from a file.
//!
//! Nothing of `system/` is imported here. Commands are JSON as a stranger would write it, so that a change of the
//! system's own types cannot silently change what is asked of it.
#![forbid(unsafe_code)]

mod fate;
mod jsonl;
mod life;
mod plan;
mod shape;
mod tpch;

use serde::{Deserialize, Serialize};

pub use jsonl::{WorkloadError, parse_jsonl};
pub use shape::{InvalidShape, WorkloadShape, WorkloadSource};
pub use tpch::tpch;

/// All that customers will ask during a trial.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Customers are numbered from 0 to one below this.
    pub customers: u32,
    /// Sorted by `at_ms`, then `id`.
    pub operations: Vec<PlannedOperation>,
}

/// One thing that a customer will ask.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PlannedOperation {
    /// Unique in its workload; removing other operations does not change it.
    pub id: u32,
    /// The intended start, in milliseconds since the trial's start. Latency counts from here.
    pub at_ms: u64,
    pub customer: u32,
    pub action: Action,
}

/// What is asked.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// `POST /commands` with this role, idempotency key and body.
    Command { role: String, idempotency_key: String, body: serde_json::Value },
    /// `GET /orders/{order_id}`.
    ReadOrder {
        order_id: String,
        /// Whether an eventually consistent view is enough.
        #[serde(default)]
        eventual: bool,
    },
}

impl Workload {
    /// The workload as [`parse_jsonl`] reads it: one JSON object a line. Ids are not written; reading numbers the
    /// lines anew.
    pub fn to_jsonl(&self) -> String {
        self.operations.iter().map(|operation| format!("{}\n", operation.to_json())).collect()
    }
}

impl PlannedOperation {
    fn to_json(&self) -> serde_json::Value {
        let (at_ms, customer) = (self.at_ms, self.customer);
        match &self.action {
            Action::Command { role, idempotency_key, body } => serde_json::json!({
                "at_ms": at_ms, "customer": customer, "role": role, "idempotency_key": idempotency_key, "command": body,
            }),
            Action::ReadOrder { order_id, eventual: false } => {
                serde_json::json!({"at_ms": at_ms, "customer": customer, "read_order": order_id})
            }
            Action::ReadOrder { order_id, eventual: true } => {
                serde_json::json!({"at_ms": at_ms, "customer": customer, "read_order": order_id, "eventual": true})
            }
        }
    }
}
