//! Policies in Rego v1: who may do what. The convention that modules follow is told in `policies/README.md`.

mod bundle;
mod check;
mod decision;
mod enforcer;
mod error;
mod testing;

pub use bundle::{PolicyBundle, PolicyModule, bundled_policies, bundled_policy_tests};
pub use decision::{Decision, DecisionRecord, Denial, PolicyInput};
pub use enforcer::PolicyEnforcer;
pub use error::{InvalidPolicyBundle, PolicyPosition};
pub use testing::{PolicyTestOutcome, run_policy_tests};
