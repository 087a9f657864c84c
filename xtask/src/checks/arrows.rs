//! Which crate may depend on which: the house's floors, read from cargo's own description of the workspace.
//!
//! Development dependencies and those behind a `cfg` count too: a test of `system/` that needs the simulator would tie
//! the two together as firmly as code does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// What the command line may link: it must build in seconds.
const LIGHT: [&str; 9] =
    ["anstream", "anstyle", "clap", "ctrlc", "miette", "nexus-commands", "serde_json", "sha2", "thiserror"];

/// The crates that may link AWS's own clients. What measures the seams reaches them through these.
const SPEAK_TO_AWS: [&str; 3] = ["system/aws", "system/aws/bus", "system/aws/glue"];

/// What tests of several crates need, and nothing that ships.
const FOR_TESTS_ONLY: &str = "system/ports/testing";

/// Crates that name no other crate of the workspace, and why.
const LEAVES: [(&str, &str); 8] = [
    ("system/domain", "the domain is pure"),
    ("system/ports", "everything stands on the ports, so they stand on nothing"),
    ("system/governance/compatibility", "what judges schemas knows none of them"),
    ("sim/cloud", "the simulated AWS shares no code with what it serves"),
    ("sim/interposer", "what holds unsafe code stays small enough to be read"),
    ("chaos/checkers", "a judge shares no code with what it judges"),
    ("chaos/workload", "customers are strangers to the system"),
    ("xtask/commands", "the command line's definition is a leaf"),
];

/// The programs of the system. They meet on the bus; what two of them need is a crate of its own.
const SERVICES: [&str; 7] = [
    "system/command-service",
    "system/stream-worker",
    "system/event-router",
    "system/query-dashboard",
    "system/notification-service",
    "system/dlq-processor",
    "system/lambda-runtime",
];

/// The workspace's crates and what each names in its manifest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    members: BTreeMap<String, Member>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Member {
    /// Relative to the root, with slashes.
    folder: String,
    dependencies: BTreeSet<String>,
    /// Those that are not for its tests alone.
    built_in: BTreeSet<String>,
}

impl Workspace {
    /// Reads `cargo metadata --no-deps`.
    ///
    /// # Errors
    /// When a field is missing: an empty workspace would have no forbidden arrow.
    pub fn read(metadata: &Value) -> Result<Workspace, String> {
        let text = |value: &Value, field: &str| -> Result<String, String> {
            let found = value.get(field).and_then(Value::as_str);
            found.map(str::to_owned).ok_or_else(|| format!("cargo metadata lacks the field `{field}`"))
        };
        let root = text(metadata, "workspace_root")?;
        let mut workspace = Workspace::default();
        for package in metadata.get("packages").and_then(Value::as_array).into_iter().flatten() {
            let manifest = text(package, "manifest_path")?;
            let folder = Path::new(&manifest).parent().and_then(|folder| folder.strip_prefix(&root).ok());
            let folder = folder.ok_or_else(|| format!("{manifest} lies outside the workspace"))?;
            let mut member = Member { folder: folder.to_string_lossy().replace('\\', "/"), ..Member::default() };
            for dependency in package.get("dependencies").and_then(Value::as_array).into_iter().flatten() {
                let dependency_name = text(dependency, "name")?;
                if dependency.get("kind").and_then(Value::as_str) != Some("dev") {
                    member.built_in.insert(dependency_name.clone());
                }
                member.dependencies.insert(dependency_name);
            }
            workspace.members.insert(text(package, "name")?, member);
        }
        if workspace.members.is_empty() { Err("cargo metadata names no package".to_owned()) } else { Ok(workspace) }
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Every forbidden arrow, in a sentence; sorted.
    pub fn forbidden(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, member) in &self.members {
            for (dependency, way) in self.reachable(name) {
                if let Some(rule) = self.rule_against(member, &dependency) {
                    found.push(format!("{name} depends on {dependency} ({}): {rule}", way.join(" -> ")));
                }
            }
            let direct = self.rules_against_direct(member);
            found
                .extend(direct.into_iter().map(|(dependency, rule)| format!("{name} depends on {dependency}: {rule}")));
        }
        found
    }

    /// What this member's own manifest must not name, be it of the workspace or not.
    fn rules_against_direct<'m>(&self, member: &'m Member) -> Vec<(&'m str, &'static str)> {
        let mut found = Vec::new();
        for dependency in &member.dependencies {
            let folder = self.members.get(dependency).map(|to| to.folder.as_str());
            if member.folder == "xtask" && !LIGHT.contains(&dependency.as_str()) {
                found.push((dependency.as_str(), "the command line must build in seconds"));
            }
            if dependency.starts_with("aws-sdk-") && !SPEAK_TO_AWS.contains(&member.folder.as_str()) {
                found.push((dependency.as_str(), "only the adapters speak to AWS"));
            }
            if folder == Some(FOR_TESTS_ONLY) && member.built_in.contains(dependency) {
                found.push((dependency.as_str(), "what tests need is built into nothing"));
            }
        }
        found
    }

    /// Every member that `from` depends on, directly or not, with the way there.
    fn reachable(&self, from: &str) -> BTreeMap<String, Vec<String>> {
        let mut ways: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut waiting = vec![vec![from.to_owned()]];
        while let Some(way) = waiting.pop() {
            let Some(member) = way.last().and_then(|last| self.members.get(last)) else { continue };
            for dependency in &member.dependencies {
                if dependency != from && self.members.contains_key(dependency) && !ways.contains_key(dependency) {
                    let longer: Vec<String> = way.iter().cloned().chain([dependency.clone()]).collect();
                    ways.insert(dependency.clone(), longer.clone());
                    waiting.push(longer);
                }
            }
        }
        ways
    }

    fn rule_against(&self, from: &Member, dependency: &str) -> Option<&'static str> {
        let to = self.members.get(dependency)?;
        let (above, below) = (floor(&from.folder), floor(&to.folder));
        match (above, below) {
            _ if above == "system" && to.folder == "sim/interposer" => Some("what ships never links the interposer"),
            ("system", "sim" | "chaos" | "reports" | "tools" | "xtask") => {
                Some("what ships knows nothing of simulation")
            }
            ("sim", "chaos" | "reports" | "tools" | "xtask") => Some("the simulator does not know who torments it"),
            ("reports", _) => Some("the reports model is a leaf"),
            ("system", "system") => rule_within_system(&from.folder, &to.folder),
            _ => leaf_rule(&from.folder),
        }
    }
}

fn leaf_rule(from: &str) -> Option<&'static str> {
    LEAVES.iter().find(|(folder, _)| *folder == from).map(|(_, rule)| *rule)
}

/// The binary wires everything together; all others keep apart.
fn rule_within_system(from: &str, to: &str) -> Option<&'static str> {
    if from == "system/nexus" {
        return None;
    }
    leaf_rule(from).or_else(|| match to {
        "system/nexus" => Some("nothing stands on the binary"),
        "system/platform" => Some("only the binary stands on the real machine"),
        _ if SERVICES.contains(&from) && SERVICES.contains(&to) => Some("services meet on the bus, not in code"),
        _ if SPEAK_TO_AWS.contains(&to) && !SPEAK_TO_AWS.contains(&from) => {
            Some("services are written against ports, not against AWS")
        }
        _ => None,
    })
}

fn floor(folder: &str) -> &str {
    folder.split('/').next().unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn house(arrows: &[(&str, &str)]) -> Workspace {
        let folders = [
            ("nexus-domain", "system/domain"),
            ("nexus-ports", "system/ports"),
            ("nexus-ports-testing", "system/ports/testing"),
            ("nexus-governance", "system/governance"),
            ("nexus-governance-compatibility", "system/governance/compatibility"),
            ("nexus-schema-check", "tools/schema-check"),
            ("nexus-event-router", "system/event-router"),
            ("nexus-query-dashboard", "system/query-dashboard"),
            ("nexus-aws", "system/aws"),
            ("nexus-aws-bus", "system/aws/bus"),
            ("nexus-aws-glue", "system/aws/glue"),
            ("nexus-platform", "system/platform"),
            ("nexus", "system/nexus"),
            ("nexus-cloud", "sim/cloud"),
            ("nexus-engine", "sim/engine"),
            ("nexus-interposer", "sim/interposer"),
            ("nexus-checkers", "chaos/checkers"),
            ("nexus-workload", "chaos/workload"),
            ("nexus-explore", "chaos/explore"),
            ("nexus-reports", "reports"),
            ("xtask", "xtask"),
            ("nexus-commands", "xtask/commands"),
        ];
        let mut workspace = Workspace::default();
        for (name, folder) in folders {
            let dependencies: BTreeSet<String> =
                arrows.iter().filter(|(from, _)| *from == name).map(|(_, to)| (*to).to_owned()).collect();
            let member = Member { folder: folder.to_owned(), built_in: dependencies.clone(), dependencies };
            workspace.members.insert(name.to_owned(), member);
        }
        workspace
    }

    #[test]
    fn arrows_down_the_house_are_allowed() {
        let allowed = [
            ("nexus-event-router", "nexus-domain"),
            ("nexus-event-router", "nexus-ports"),
            ("nexus-ports-testing", "nexus-ports"),
            ("nexus-schema-check", "nexus-governance-compatibility"),
            ("nexus-schema-check", "nexus-event-router"),
            ("nexus-aws", "tokio"),
            ("nexus-aws", "aws-sdk-dynamodb"),
            ("nexus-aws-bus", "nexus-aws"),
            ("nexus-aws-bus", "aws-sdk-kinesis"),
            ("nexus-aws-glue", "nexus-aws"),
            ("nexus-aws-glue", "aws-sdk-glue"),
            ("nexus", "nexus-aws-bus"),
            ("nexus", "nexus-aws-glue"),
            ("nexus", "nexus-platform"),
            ("nexus", "nexus-event-router"),
            ("nexus-engine", "nexus-interposer"),
            ("nexus-engine", "nexus-aws"),
            ("nexus-engine", "nexus-platform"),
            ("nexus-explore", "nexus-engine"),
            ("nexus-explore", "nexus-reports"),
            ("nexus-explore", "nexus-checkers"),
            ("nexus-explore", "nexus-commands"),
            ("nexus-checkers", "serde"),
            ("xtask", "nexus-commands"),
            ("xtask", "clap"),
            ("nexus-commands", "clap"),
        ];
        assert_eq!(house(&allowed).forbidden(), Vec::<String>::new());
    }

    #[test]
    fn each_arrow_up_the_house_is_found() {
        let table = [
            ("nexus-domain", "nexus-cloud"),
            ("nexus-domain", "nexus-explore"),
            ("nexus-domain", "nexus-reports"),
            ("nexus-domain", "nexus-commands"),
            ("nexus-domain", "nexus-ports"),
            ("nexus-ports", "nexus-domain"),
            ("nexus-governance-compatibility", "nexus-domain"),
            ("nexus-event-router", "nexus-schema-check"),
            ("nexus-engine", "nexus-schema-check"),
            ("nexus-event-router", "nexus-query-dashboard"),
            ("nexus-event-router", "nexus-aws"),
            ("nexus-event-router", "nexus-aws-bus"),
            ("nexus-event-router", "nexus-aws-glue"),
            ("nexus-event-router", "nexus-platform"),
            ("nexus-event-router", "nexus-ports-testing"),
            ("nexus-event-router", "aws-sdk-sns"),
            ("nexus-governance", "aws-sdk-glue"),
            ("nexus-aws", "nexus"),
            ("nexus-aws", "nexus-interposer"),
            ("nexus-engine", "nexus-explore"),
            ("nexus-engine", "nexus-reports"),
            ("nexus-engine", "nexus-commands"),
            ("nexus-engine", "aws-sdk-sqs"),
            ("nexus-cloud", "nexus-domain"),
            ("nexus-workload", "nexus-domain"),
            ("nexus-workload", "nexus-cloud"),
            ("nexus-reports", "nexus-domain"),
            ("nexus-reports", "nexus-commands"),
            ("nexus-checkers", "nexus-domain"),
            ("nexus-checkers", "nexus-reports"),
            ("nexus-commands", "nexus-domain"),
            ("xtask", "tokio"),
            ("xtask", "nexus-explore"),
        ];
        for (from, to) in table {
            let found = house(&[(from, to)]).forbidden();
            assert_eq!(found.len(), 1, "{from} -> {to}: {found:?}");
            assert!(found[0].starts_with(&format!("{from} depends on {to}")), "{found:?}");
        }
    }

    #[test]
    fn a_way_round_is_found_and_shown() {
        let found = house(&[
            ("nexus-aws", "nexus-domain"),
            ("nexus-domain", "nexus-engine"),
            ("nexus-engine", "nexus-interposer"),
        ]);
        let found = found.forbidden();
        let expected = "nexus-aws depends on nexus-interposer (nexus-aws -> nexus-domain -> nexus-engine -> nexus-interposer): \
                        what ships never links the interposer";
        assert!(found.iter().any(|line| line == expected), "{found:?}");
        assert_eq!(found.len(), 4, "both crates of system/ reach both crates of sim/: {found:?}");
    }

    #[test]
    fn a_circle_ends() {
        assert_eq!(
            house(&[("nexus-aws", "nexus-aws-bus"), ("nexus-aws-bus", "nexus-aws")]).forbidden(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn metadata_is_read_with_every_kind_of_dependency() {
        let metadata = json!({
            "workspace_root": "/w",
            "packages": [
                {"name": "nexus-domain", "manifest_path": "/w/system/domain/Cargo.toml", "dependencies": [
                    {"name": "nexus-cloud", "kind": "dev", "target": null}]},
                {"name": "nexus-cloud", "manifest_path": "/w/sim/cloud/Cargo.toml", "dependencies": [
                    {"name": "nexus-explore", "kind": null, "target": "cfg(madsim)"}]},
                {"name": "nexus-explore", "manifest_path": "/w/chaos/explore/Cargo.toml", "dependencies": []},
            ],
        });
        let workspace = Workspace::read(&metadata).unwrap();
        assert_eq!((workspace.len(), workspace.forbidden().len()), (3, 3), "{:?}", workspace.forbidden());
    }

    #[test]
    fn what_only_tests_link_may_come_from_the_crate_for_tests() {
        let package = |kind: Value| {
            json!({"name": "nexus-event-router", "manifest_path": "/w/system/event-router/Cargo.toml", "dependencies": [
                {"name": "nexus-ports-testing", "kind": kind, "target": null}]})
        };
        let testing = json!({"name": "nexus-ports-testing", "manifest_path": "/w/system/ports/testing/Cargo.toml",
            "dependencies": []});
        for (kind, forbidden) in [(json!("dev"), 0), (json!(null), 1), (json!("build"), 1)] {
            let metadata = json!({"workspace_root": "/w", "packages": [package(kind.clone()), testing]});
            let found = Workspace::read(&metadata).unwrap().forbidden();
            assert_eq!(found.len(), forbidden, "{kind}: {found:?}");
        }
    }

    #[test]
    fn metadata_that_says_nothing_is_an_error() {
        for metadata in [json!({}), json!({"workspace_root": "/w"}), json!({"workspace_root": "/w", "packages": []})] {
            assert!(Workspace::read(&metadata).is_err(), "{metadata}");
        }
    }
}
