//! The policies in force, and how they are replaced.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    CompiledPolicies, Decision, DecisionRecord, HashedPolicyBundle, InvalidPolicyBundle, PolicyBundle, PolicyModule,
    PolicyQuestion, PolicyTestOutcome, bundled_policies, run_policy_tests,
};

/// The policies in force. Services share one; [`PolicyEnforcer::reload`] replaces what it decides by while it is asked.
pub struct PolicyEnforcer {
    /// The lock is held only to take or to put the pointer, never while policies are compiled or asked.
    in_force: RwLock<Arc<CompiledPolicies>>,
}

/// A reload took place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Digest of the bundle that was in force before.
    pub from_digest: String,
    /// Digest of the bundle that is in force now; equal if it was the same bundle.
    pub to_digest: String,
    /// How many tests of its own the new bundle passed.
    pub tests_passed: usize,
}

/// A bundle was not put into force; the one before it still is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadRefused {
    #[error(
        "the bundle's SHA-256 is {found}, but {expected} was told\n\n\
         hint: it was damaged or changed on its way; fetch it again, or tell the digest of what is really meant"
    )]
    Digest { expected: String, found: String },
    #[error("the bundle cannot be enforced: {0}")]
    Invalid(#[from] InvalidPolicyBundle),
    #[error(
        "the bundle brings no test\n\n\
         hint: a bundle is put into force only if its own tests hold; add the `_test.rego` files beside its policies"
    )]
    NoTests,
    #[error("{} of the bundle's own tests fail: {}", failures.len(), TestList(failures))]
    Tests { failures: Vec<PolicyTestOutcome> },
}

struct TestList<'a>(&'a [PolicyTestOutcome]);

impl fmt::Display for TestList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, outcome) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let why = outcome.failure.as_deref().unwrap_or_default();
            write!(f, "{separator}{}.{} ({why})", outcome.module, outcome.test)?;
        }
        Ok(())
    }
}

impl PolicyEnforcer {
    /// Checks and compiles the modules with their data.
    ///
    /// # Errors
    /// The bundle is not sound: see [`InvalidPolicyBundle`], which tells file, line and a remedy.
    pub fn compile(modules: &[PolicyModule], data: serde_json::Value) -> Result<Self, InvalidPolicyBundle> {
        Self::from_bundle(PolicyBundle { modules: modules.to_vec(), data })
    }

    /// Compiles a whole bundle, such as one read from a folder.
    ///
    /// # Errors
    /// As [`PolicyEnforcer::compile`].
    pub fn from_bundle(bundle: PolicyBundle) -> Result<Self, InvalidPolicyBundle> {
        Ok(Self { in_force: RwLock::new(Arc::new(CompiledPolicies::compile(&bundle)?)) })
    }

    /// Compiles the policies that ship with the system.
    ///
    /// # Errors
    /// As [`PolicyEnforcer::compile`]; a test holds that it does not happen.
    pub fn from_catalogue() -> Result<Self, InvalidPolicyBundle> {
        Self::from_bundle(bundled_policies())
    }

    /// The policies in force now. Whoever asks several questions that must be answered by the same policies asks these.
    pub fn in_force(&self) -> Arc<CompiledPolicies> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides by the policies in force: see [`CompiledPolicies::decide`].
    pub fn decide(&self, question: &impl PolicyQuestion) -> Decision {
        self.in_force().decide(question)
    }

    /// Decides, and gives the line for the decision log: decision and bundle belong together even while policies are
    /// being replaced.
    pub fn decide_for_the_record(&self, question: &impl PolicyQuestion) -> DecisionRecord {
        self.in_force().decide_for_the_record(question)
    }

    /// SHA-256 over the policies in force (by name) and their data, in hex.
    pub fn bundle_digest(&self) -> String {
        self.in_force().digest().to_owned()
    }

    /// Puts a bundle into force: its digest must be the one told, it must compile, and its own tests must hold. Decisions
    /// that are under way end by the bundle that they began with; later ones go by the new one.
    ///
    /// # Errors
    /// [`ReloadRefused`]: whatever is wrong with the bundle, the one before it stays in force.
    pub fn reload(&self, hashed: HashedPolicyBundle) -> Result<Reloaded, ReloadRefused> {
        let HashedPolicyBundle { bundle, tests, sha256 } = hashed;
        let found = bundle.digest();
        if !sha256.eq_ignore_ascii_case(&found) {
            return Err(ReloadRefused::Digest { expected: sha256, found });
        }
        let compiled = CompiledPolicies::compile(&bundle)?;
        let tests_passed = self_test(&bundle, &tests)?;
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *in_force, Arc::new(compiled));
        drop(in_force);
        Ok(Reloaded { from_digest: before.digest().to_owned(), to_digest: found, tests_passed })
    }
}

fn self_test(bundle: &PolicyBundle, tests: &[PolicyModule]) -> Result<usize, ReloadRefused> {
    let outcomes = run_policy_tests(bundle, tests)?;
    if outcomes.is_empty() {
        return Err(ReloadRefused::NoTests);
    }
    let count = outcomes.len();
    let failures: Vec<_> = outcomes.into_iter().filter(|outcome| outcome.failure.is_some()).collect();
    if failures.is_empty() { Ok(count) } else { Err(ReloadRefused::Tests { failures }) }
}
