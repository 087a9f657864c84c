//! The work tree: its files, and what cargo and git say of it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::error::CheckError;

/// Folders that hold nothing of ours.
const LEFT_ASIDE: [&str; 4] = ["target", ".git", "vendor", "node_modules"];

pub struct WorkTree {
    root: PathBuf,
    /// Relative to the root, with slashes, sorted.
    files: Vec<String>,
}

impl WorkTree {
    /// # Errors
    /// The folder cannot be listed.
    pub fn open(root: &Path) -> Result<WorkTree, CheckError> {
        let files = git_files(root).map_or_else(|| walk(root), Ok)?;
        Ok(WorkTree { root: root.to_owned(), files })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// # Errors
    /// The file cannot be read, or is not UTF-8.
    pub fn read(&self, file: &str) -> Result<String, CheckError> {
        let path = self.root.join(file);
        fs::read_to_string(&path).map_err(|source| CheckError::File { action: "read", path, source })
    }

    /// # Errors
    /// The file cannot be read.
    pub fn read_bytes(&self, file: &str) -> Result<Vec<u8>, CheckError> {
        let path = self.root.join(file);
        fs::read(&path).map_err(|source| CheckError::File { action: "read", path, source })
    }

    /// `cargo metadata --no-deps`: the members and what each names.
    ///
    /// # Errors
    /// Cargo cannot be started, or cannot read the manifests.
    pub fn cargo_metadata(&self) -> Result<Value, CheckError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| CheckError::Start { program: "cargo", source })?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(CheckError::Metadata { reason });
        }
        serde_json::from_slice(&output.stdout).map_err(|error| CheckError::Metadata { reason: error.to_string() })
    }

    /// Files that differ from the last commit, staged or not, new ones too.
    ///
    /// # Errors
    /// There is no git, or this is no work tree of its.
    pub fn changed_files(&self) -> Result<BTreeSet<String>, CheckError> {
        let changed = git(&self.root, &["diff", "--name-only", "-z", "--no-renames", "HEAD"]);
        let new = git(&self.root, &["ls-files", "--others", "--exclude-standard", "-z"]);
        match (changed, new) {
            (Some(changed), Some(new)) => Ok(changed.into_iter().chain(new).collect()),
            _ => Err(CheckError::NoGit { root: self.root.clone() }),
        }
    }
}

/// What git lists and the disk holds; none without git.
fn git_files(root: &Path) -> Option<Vec<String>> {
    let mut files = git(root, &["ls-files", "--cached", "--others", "--exclude-standard", "-z"])?;
    files.retain(|file| root.join(file).is_file() && !file.split('/').any(|part| LEFT_ASIDE.contains(&part)));
    files.sort();
    files.dedup();
    Some(files)
}

fn git(root: &Path, words: &[&str]) -> Option<Vec<String>> {
    // Only a repository whose top is this very folder: a scratch copy inside another's folder is none of its files.
    if !root.join(".git").exists() {
        return None;
    }
    let mut command = Command::new("git");
    // Inside a hook git names its own folder and index, which hold for the index only: the tree is `root`.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    let output = command.args(words).current_dir(root).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    output.status.success().then(|| names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

fn walk(root: &Path) -> Result<Vec<String>, CheckError> {
    let mut files = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        let path = root.join(&folder);
        let unreadable = |source| CheckError::File { action: "list", path: path.clone(), source };
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            if LEFT_ASIDE.iter().any(|aside| name == *aside) {
                continue;
            }
            let file = folder.join(&name);
            if root.join(&file).is_dir() {
                waiting.push(file);
            } else {
                files.push(file.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    files.sort();
    Ok(files)
}
