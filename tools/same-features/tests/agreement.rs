//! Holds the manifest's lists of features against what the laboratory asks for.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

const LABORATORY: &str = "nexus-explore";

const TOOLS: [&str; 2] = ["nexus-deploy-tool", "nexus-schema-check"];

/// Crates that a tool needs with more than the laboratory asks for; nothing of the AWS SDK stands on them.
const BUILT_TWICE: [&str; 1] = ["regex-automata"];

#[test]
fn the_tools_build_what_the_laboratory_builds() {
    let laboratory = third_party(LABORATORY);
    assert!(laboratory.len() > 100, "the laboratory stands on more than {} crates", laboratory.len());
    for tool in TOOLS {
        let missing: Vec<String> = third_party(tool)
            .into_iter()
            .filter(|(package, _)| !BUILT_TWICE.iter().any(|name| package.starts_with(&format!("{name} "))))
            .filter_map(|(package, features)| {
                let shared = laboratory.get(&package)?;
                let other: Vec<String> = features.difference(shared).cloned().collect();
                (!other.is_empty()).then(|| format!("{package}: {other:?}, the laboratory's are {shared:?}"))
            })
            .collect();
        assert!(
            missing.is_empty(),
            "{tool} builds these anew; add the features to tools/same-features/Cargo.toml:\n{}",
            missing.join("\n")
        );
    }
}

/// Each crate of a registry that `package` is built from, with every set of features that it is built with: one for what
/// runs, another where macros and build scripts use it, too.
fn third_party(package: &str) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}|{f}"])
        .args(["--package", package])
        .output()
        .unwrap_or_else(|error| panic!("cargo tree does not start: {error}"));
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line = line.trim_end_matches(" (*)");
        // A path behind the version is a member of this workspace.
        let Some((package, features)) = line.split_once('|').filter(|(package, _)| !package.contains("(/")) else {
            continue;
        };
        found.entry(package.to_owned()).or_default().insert(features.to_owned());
    }
    found
}
