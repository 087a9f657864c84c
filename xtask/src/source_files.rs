//! Which files are source: what git tracks or would, and without git the folders of the house.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::error::{At, XtaskError};

/// What a build and its trials are made of, when no git is there to ask.
const SOURCES: [&str; 12] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "chaos",
    "clippy.toml",
    "policies",
    "reports",
    "scenarios",
    "sim",
    "system",
    "tools",
    "xtask",
];

/// Whether a path, relative to the root, is part of what a build and its trials are made of.
pub fn is_source(file: &Path) -> bool {
    file.components().next().and_then(|first| first.as_os_str().to_str()).is_some_and(|first| SOURCES.contains(&first))
}

/// Every file of the work tree that is or may become part of the repository, relative to `root`, sorted; files that git lists but that are deleted are left out.
///
/// # Errors
/// When a folder cannot be read.
pub fn list(root: &Path) -> Result<Vec<PathBuf>, XtaskError> {
    let mut files = match git_names(root, &["ls-files", "--cached", "--others", "--exclude-standard", "-z"]) {
        Some(names) => names.into_iter().filter(|name| root.join(name).is_file()).collect(),
        None => walk_sources(root)?,
    };
    files.sort();
    files.dedup();
    Ok(files)
}

/// The files in the folders of the house, relative to `root`, sorted.
pub fn walk_sources(root: &Path) -> Result<Vec<PathBuf>, XtaskError> {
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = SOURCES.iter().map(PathBuf::from).filter(|name| root.join(name).exists()).collect();
    while let Some(name) = waiting.pop() {
        let path = root.join(&name);
        if path.is_file() {
            files.push(name);
        } else if path.is_dir() && path.file_name().is_none_or(|folder| folder != "target" && folder != "__pycache__") {
            for entry in fs::read_dir(&path).at("list", &path)? {
                waiting.push(name.join(entry.at("list", &path)?.file_name()));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What git prints for these words in `root`, as names separated by NUL; none where git or a work tree is missing.
pub fn git_names(root: &Path, words: &[&str]) -> Option<Vec<PathBuf>> {
    let output = git(root).args(words).stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Some(names.map(path_from_bytes).collect())
}

/// Git, called in `root` and nowhere else: a hook's `GIT_DIR` would lead it astray.
pub fn git(root: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(root).stdin(Stdio::null());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

#[cfg(unix)]
fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn names(files: Vec<PathBuf>) -> Vec<String> {
        files.into_iter().map(|file| file.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn git_tells_what_is_source() {
        let scratch = Scratch::new("source-git");
        scratch.git(&["init", "-q"]);
        scratch.write(".gitignore", "/target\n");
        scratch.write("system/a.rs", "a");
        scratch.write("deleted.rs", "b");
        scratch.git(&["add", "."]);
        scratch.write("untracked file.rs", "c");
        scratch.write("target/sim/program", "d");
        fs::remove_file(scratch.path("deleted.rs")).unwrap();
        assert_eq!(names(list(scratch.root()).unwrap()), [".gitignore", "system/a.rs", "untracked file.rs"]);
    }

    #[test]
    fn without_git_the_folders_of_the_house_are_source() {
        let scratch = Scratch::new("source-plain");
        for name in [
            "Cargo.toml",
            "system/b/src/lib.rs",
            "chaos/bugs/a.patch",
            "notes.txt",
            "target/sim/program",
            "system/target/x",
        ] {
            scratch.write(name, "x");
        }
        assert_eq!(names(list(scratch.root()).unwrap()), ["Cargo.toml", "chaos/bugs/a.patch", "system/b/src/lib.rs"]);
    }
}
