//! Policies in Rego v1: who may do what. The convention that modules follow is told in `policies/README.md`.

mod bundle;
mod check;
mod compiled;
mod decision;
mod enforcer;
mod error;
mod question;
mod remembered;
mod testing;

pub use bundle::{HashedPolicyBundle, PolicyBundle, PolicyModule, bundled_policies, bundled_policy_tests};
pub use compiled::CompiledPolicies;
pub use decision::{Decision, DecisionRecord, Denial};
pub use enforcer::{PolicyEnforcer, ReloadRefused, Reloaded};
pub use error::{InvalidPolicyBundle, PolicyPosition};
pub use question::{PolicyInput, PolicyQuestion, QuestionKeys, TemporalQueryInput};
pub use testing::{PolicyTestOutcome, run_policy_tests};
