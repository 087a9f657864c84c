//! Policies that are replaced while services decide by them.

use nexus_faults::PolicyReplacement;
use nexus_governance::{HashedPolicyBundle, PolicyBundle, PolicyModule, bundled_policies, bundled_policy_tests};
use nexus_world::wiring::Enforcers;

/// Hands every running service the bundle; what each made of it, in words.
pub fn replace(enforcers: &Enforcers, by: PolicyReplacement) -> Vec<String> {
    let outcomes = enforcers.reload(&bundle(by)).into_iter();
    outcomes
        .map(|outcome| match outcome {
            Ok(reloaded) => format!("in force is {}", reloaded.to_digest),
            // The reasons are long; which it was follows from the bundle.
            Err(_) => "refused".to_owned(),
        })
        .collect()
}

fn bundle(by: PolicyReplacement) -> HashedPolicyBundle {
    let bundle = match by {
        PolicyReplacement::Same | PolicyReplacement::Damaged => bundled_policies(),
        PolicyReplacement::Unsound => with_authorization("package nexus.command_authorization\n\nallow if {"),
        PolicyReplacement::Lax => with_authorization("package nexus.command_authorization\n\nallow if true\n"),
    };
    let sha256 = match by {
        PolicyReplacement::Damaged => "0".repeat(64),
        _ => bundle.digest(),
    };
    HashedPolicyBundle { bundle, tests: bundled_policy_tests(), sha256 }
}

/// The policies that ship, with another text for who may send what.
fn with_authorization(source: &str) -> PolicyBundle {
    let mut bundle = bundled_policies();
    for module in bundle.modules.iter_mut().filter(|module| module.name == "command_authorization") {
        *module = PolicyModule { source: source.to_owned(), ..module.clone() };
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
}
