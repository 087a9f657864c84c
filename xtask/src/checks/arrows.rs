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
            let named = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
            let dependencies = named.map(|dependency| text(dependency, "name")).collect::<Result<_, _>>()?;
            let member = Member { folder: folder.to_string_lossy().replace('\\', "/"), dependencies };
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
            if member.folder == "xtask" {
                let heavy = member.dependencies.iter().filter(|dependency| !LIGHT.contains(&dependency.as_str()));
                found.extend(
                    heavy.map(|heavy| format!("{name} depends on {heavy}: the command line must build in seconds")),
                );
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
            ("system", "sim" | "chaos" | "reports" | "xtask") => Some("what ships knows nothing of simulation"),
            ("sim", "chaos") => Some("the simulator does not know who torments it"),
            ("reports", _) => Some("the reports model is a leaf"),
            _ if from.folder == "chaos/checkers" => Some("a judge shares no code with what it judges"),
            _ if from.folder == "xtask/commands" => Some("the command line's definition is a leaf"),
            _ => None,
        }
    }
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
            ("nexus-aws", "system/aws"),
            ("nexus-cloud", "sim/cloud"),
            ("nexus-engine", "sim/engine"),
            ("nexus-interposer", "sim/interposer"),
            ("nexus-checkers", "chaos/checkers"),
            ("nexus-explore", "chaos/explore"),
            ("nexus-reports", "reports"),
            ("xtask", "xtask"),
            ("nexus-commands", "xtask/commands"),
        ];
        let mut workspace = Workspace::default();
        for (name, folder) in folders {
            let dependencies =
                arrows.iter().filter(|(from, _)| *from == name).map(|(_, to)| (*to).to_owned()).collect();
            workspace.members.insert(name.to_owned(), Member { folder: folder.to_owned(), dependencies });
        }
        workspace
    }

    #[test]
    fn arrows_down_the_house_are_allowed() {
        let allowed = [
            ("nexus-aws", "nexus-domain"),
            ("nexus-aws", "tokio"),
            ("nexus-cloud", "nexus-domain"),
            ("nexus-engine", "nexus-interposer"),
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
            ("nexus-aws", "nexus-interposer"),
            ("nexus-engine", "nexus-explore"),
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
            house(&[("nexus-domain", "nexus-aws"), ("nexus-aws", "nexus-domain")]).forbidden(),
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
    fn metadata_that_says_nothing_is_an_error() {
        for metadata in [json!({}), json!({"workspace_root": "/w"}), json!({"workspace_root": "/w", "packages": []})] {
            assert!(Workspace::read(&metadata).is_err(), "{metadata}");
        }
    }
}
