//! Policies that are replaced while services decide by them.

use nexus_checkers::{Examination, Finding, Violation};
use nexus_faults::PolicyReplacement;
use nexus_governance::{HashedPolicyBundle, PolicyBundle, PolicyModule, bundled_policies, bundled_policy_tests};
use nexus_world::wiring::Enforcers;

/// What one service made of a bundle that it was handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub by: PolicyReplacement,
    pub at_ns: u64,
    /// Digest of the bundle that was taken into force, if it was.
    pub in_force: Option<String>,
}

impl std::fmt::Display for Replaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.in_force {
            Some(digest) => write!(f, "in force is {digest}"),
            // The reasons are long; which it was follows from the bundle.
            None => f.write_str("refused"),
        }
    }
}

/// Hands every running service the bundle; what each made of it.
pub fn replace(enforcers: &Enforcers, by: PolicyReplacement, at_ns: u64) -> Vec<Replaced> {
    let outcomes = enforcers.reload(&bundle(by)).into_iter();
    outcomes.map(|outcome| Replaced { by, at_ns, in_force: outcome.ok().map(|reloaded| reloaded.to_digest) }).collect()
}

/// The policies that ship are taken into force whenever they are handed over, and nothing else ever is.
pub fn rightly_replaced(replaced: &[Replaced]) -> Finding {
    let mut examination = Examination::default();
    for replaced in replaced {
        let problem = problem_of(replaced);
        examination.expect(problem.is_none(), || {
            Violation::new(problem.unwrap_or_default()).evidence(replaced.to_string()).at(replaced.at_ns)
        });
    }
    examination.finish("policies-replaced")
}

fn problem_of(replaced: &Replaced) -> Option<String> {
    const SHA256_DIGITS: usize = 64;
    match (replaced.by, replaced.in_force.as_deref()) {
        (PolicyReplacement::Same, None) => Some("A service refused the very policies that it shipped with.".to_owned()),
        (PolicyReplacement::Same, Some(digest)) => (digest.len() != SHA256_DIGITS)
            .then(|| format!("A service calls the policies that are in force `{digest}`, which is no SHA-256.")),
        (PolicyReplacement::Damaged | PolicyReplacement::Unsound | PolicyReplacement::Lax, in_force) => {
            in_force.map(|_| format!("A service had its policies replaced by {}.", replaced.by))
        }
    }
}

fn bundle(by: PolicyReplacement) -> HashedPolicyBundle {
    let bundle = match by {
        PolicyReplacement::Same => bundled_policies(),
        // Nothing that its tests would notice: only the digest can tell.
        PolicyReplacement::Damaged => changed(|source| format!("{source}\n# A line more.\n")),
        PolicyReplacement::Unsound => changed(|_| "package nexus.command_authorization\n\nallow if {".to_owned()),
        PolicyReplacement::Lax => changed(|_| "package nexus.command_authorization\n\nallow if true\n".to_owned()),
    };
    let sha256 = match by {
        PolicyReplacement::Damaged => bundled_policies().digest(),
        _ => bundle.digest(),
    };
    HashedPolicyBundle { bundle, tests: bundled_policy_tests(), sha256 }
}

/// The policies that ship, with another text for who may send what.
fn changed(change: impl Fn(&str) -> String) -> PolicyBundle {
    let mut bundle = bundled_policies();
    for module in bundle.modules.iter_mut().filter(|module| module.name == "command_authorization") {
        *module = PolicyModule { source: change(&module.source), ..module.clone() };
    }
    bundle
}

#[cfg(test)]
mod tests {
    use nexus_governance::{PolicyEnforcer, ReloadRefused};

    use super::*;

    #[test]
    fn only_the_same_policies_are_taken_into_force() {
        let enforcer = PolicyEnforcer::from_catalogue().unwrap();
        let digest = enforcer.bundle_digest();
        for by in PolicyReplacement::ALL {
            let outcome = enforcer.reload(bundle(by));
            match by {
                PolicyReplacement::Same => assert_eq!(outcome.unwrap().to_digest, digest),
                PolicyReplacement::Damaged => assert!(matches!(outcome, Err(ReloadRefused::Digest { .. }))),
                PolicyReplacement::Unsound => assert!(matches!(outcome, Err(ReloadRefused::Invalid(_)))),
                PolicyReplacement::Lax => assert!(matches!(outcome, Err(ReloadRefused::Tests { .. }))),
            }
            assert_eq!(enforcer.bundle_digest(), digest, "{by}");
        }
    }

    #[test]
    fn what_is_taken_or_refused_wrongly_is_told() {
        let sound = "a".repeat(64);
        let cases = [
            (PolicyReplacement::Same, Some(sound.as_str()), None),
            (PolicyReplacement::Same, None, Some("refused the very policies")),
            (PolicyReplacement::Same, Some(""), Some("no SHA-256")),
            (PolicyReplacement::Damaged, None, None),
            (PolicyReplacement::Damaged, Some(sound.as_str()), Some("replaced by a damaged bundle")),
            (PolicyReplacement::Unsound, Some(sound.as_str()), Some("replaced by a bundle that does not compile")),
            (PolicyReplacement::Lax, Some(sound.as_str()), Some("replaced by a bundle that allows everything")),
        ];
        for (by, in_force, told) in cases {
            let replaced = Replaced { by, at_ns: 7, in_force: in_force.map(str::to_owned) };
            match (rightly_replaced(std::slice::from_ref(&replaced)), told) {
                (Finding::Held { examined: 1 }, None) => {}
                (Finding::Broken { violations }, Some(told)) => assert!(violations[0].what.contains(told), "{by}"),
                (finding, _) => panic!("{by}, {in_force:?}: {finding:?}"),
            }
        }
    }
}
