//! The crates of the workspace and the arrows between them.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use serde_json::Value;

use crate::{error::CheckError, worktree::WorkTree};

#[derive(Clone, Debug, Serialize)]
pub struct Crate {
    pub name: String,
    /// Relative to the root, such as `system/domain`.
    pub folder: String,
    pub dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Dependency {
    pub name: String,
    /// `normal`, `dev` or `build`.
    pub kind: String,
    /// Where it lies, if it is a crate of this workspace.
    pub folder: Option<String>,
    pub file: String,
    pub line: usize,
}

pub(super) fn gather(tree: &WorkTree) -> Result<Vec<Crate>, CheckError> {
    let metadata = tree.cargo_metadata()?;
    let root = text(&metadata, "workspace_root")?;
    let packages = metadata.get("packages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut folders = BTreeMap::new();
    for package in packages {
        folders.insert(text(package, "name")?, folder_of(package, &root)?);
    }
    let mut crates = Vec::new();
    for package in packages {
        crates.push(read(tree, package, &folders)?);
    }
    crates.sort_by(|a: &Crate, b| a.folder.cmp(&b.folder));
    match crates.is_empty() {
        true => Err(CheckError::Metadata { reason: "it names no package".to_owned() }),
        false => Ok(crates),
    }
}

fn read(tree: &WorkTree, package: &Value, folders: &BTreeMap<String, String>) -> Result<Crate, CheckError> {
    let name = text(package, "name")?;
    let folder = folders.get(&name).cloned().unwrap_or_default();
    let file = if folder.is_empty() { "Cargo.toml".to_owned() } else { format!("{folder}/Cargo.toml") };
    let manifest = tree.read(&file)?;
    let mut dependencies = Vec::new();
    for dependency in package.get("dependencies").and_then(Value::as_array).into_iter().flatten() {
        let name = text(dependency, "name")?;
        dependencies.push(Dependency {
            line: line_naming(&manifest, &name),
            folder: folders.get(&name).cloned(),
            kind: dependency.get("kind").and_then(Value::as_str).unwrap_or("normal").to_owned(),
            file: file.clone(),
            name,
        });
    }
    dependencies.sort_by(|a, b| (&a.name, &a.kind).cmp(&(&b.name, &b.kind)));
    Ok(Crate { name, folder, dependencies })
}

fn text(value: &Value, field: &str) -> Result<String, CheckError> {
    let found = value.get(field).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| CheckError::Metadata { reason: format!("it lacks the field `{field}`") })
}

fn folder_of(package: &Value, root: &str) -> Result<String, CheckError> {
    let manifest = text(package, "manifest_path")?;
    let folder = Path::new(&manifest).parent().and_then(|folder| folder.strip_prefix(root).ok());
    let folder =
        folder.ok_or_else(|| CheckError::Metadata { reason: format!("{manifest} lies outside the workspace") })?;
    Ok(folder.to_string_lossy().replace('\\', "/"))
}

/// The line (from 1) on which a manifest names a dependency; 1 if it is written in a form that is not met here.
fn line_naming(manifest: &str, name: &str) -> usize {
    let names_it = |line: &str| {
        let line = line.trim_start().trim_start_matches("[dependencies.").trim_start_matches("[dev-dependencies.");
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(['=', '.', ']']))
    };
    manifest.lines().position(names_it).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_found_by_its_whole_name() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\nserde_json.workspace = true\nserde = \"1\"\n";
        assert_eq!(line_naming(manifest, "serde"), 6);
        assert_eq!(line_naming(manifest, "serde_json"), 5);
        assert_eq!(line_naming(manifest, "tokio"), 1);
        assert_eq!(line_naming("[dependencies.tokio]\nversion = \"1\"\n", "tokio"), 1);
    }
}
