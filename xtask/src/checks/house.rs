//! The steps that look at the house itself: its arrows, its crate roots, its files.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Finding, arrows, crate_roots, tidy};
use crate::{source_files, workspace::Workspace};

/// The one crate that may hold unsafe code: it stands in for a function of the C library.
const MAY_BE_UNSAFE: &str = "nexus-interposer";

/// Others' work, kept as it came.
const VENDORED: &str = "vendor";

pub fn arrows(workspace: &Workspace) -> Finding {
    let house = arrows::Workspace::read(workspace.metadata())?;
    all_clear(house.forbidden(), format!("{} crates, every arrow points down", house.len()), "forbidden arrows")
}

pub fn forbid_unsafe(workspace: &Workspace) -> Finding {
    let roots = crate_roots_of(workspace.metadata());
    if roots.is_empty() {
        return Err("cargo metadata names no crate root".to_owned());
    }
    let mut open = Vec::new();
    for root in &roots {
        let source = fs::read_to_string(root).map_err(|error| format!("cannot read {root}: {error}"))?;
        if !crate_roots::forbids_unsafe_code(&source) {
            let shown = Path::new(root).strip_prefix(workspace.root()).unwrap_or(Path::new(root));
            open.push(format!("{}: write #![forbid(unsafe_code)] at its head", shown.display()));
        }
    }
    all_clear(open, format!("{} crate roots forbid unsafe code", roots.len()), "crate roots without the ban")
}

/// The root of every target of every member: libraries, programs, tests, benchmarks, examples, build scripts.
fn crate_roots_of(metadata: &Value) -> Vec<String> {
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let packages = list(metadata, "packages").into_iter();
    let bound = packages.filter(|package| package.get("name").and_then(Value::as_str) != Some(MAY_BE_UNSAFE));
    let targets = bound.flat_map(|package| list(&package, "targets"));
    targets.filter_map(|target| target.get("src_path").and_then(Value::as_str).map(str::to_owned)).collect()
}

pub fn tidy(workspace: &Workspace) -> Finding {
    let root = workspace.root().to_string_lossy();
    let mut untidy = Vec::new();
    let mut read = 0_usize;
    let files = source_files::list(workspace.root()).map_err(|error| error.line())?;
    for file in files.iter().filter(|file| !file.components().any(|part| part.as_os_str() == VENDORED)) {
        let path = workspace.root().join(file);
        let content = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        // What is not text has no lines to judge.
        let Ok(text) = String::from_utf8(content) else { continue };
        read += 1;
        let places = tidy::places(&text, &root).into_iter();
        untidy.extend(places.map(|(line, complaint)| format!("{}:{line}: {complaint}", file.display())));
    }
    match read {
        0 => Err("no file was read".to_owned()),
        _ => all_clear(untidy, format!("{read} files"), "places"),
    }
}

fn all_clear(found: Vec<String>, held: String, what: &str) -> Finding {
    match found.len() {
        0 => Ok(held),
        count => Err(format!("{count} {what}\n  {}", found.join("\n  "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_target_of_every_crate_but_the_interposer_is_looked_at() {
        let metadata = json!({"packages": [
            {"name": "nexus-domain", "targets": [{"src_path": "lib.rs"}, {"src_path": "tests/a.rs"}]},
            {"name": "nexus-interposer", "targets": [{"src_path": "interposer.rs"}]},
        ]});
        assert_eq!(crate_roots_of(&metadata), ["lib.rs", "tests/a.rs"]);
        assert!(crate_roots_of(&json!({})).is_empty());
    }

    #[test]
    fn a_single_find_fails_the_step() {
        assert_eq!(all_clear(vec![], "fine".to_owned(), "finds"), Ok("fine".to_owned()));
        let failed = all_clear(vec!["a:1: b".to_owned()], "fine".to_owned(), "finds");
        assert_eq!(failed, Err("1 finds\n  a:1: b".to_owned()));
    }
}
