//! The work tree: where it is, where builds go, and how cargo is called in it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::error::XtaskError;

pub struct Workspace {
    root: PathBuf,
    metadata: Value,
    target: PathBuf,
}

impl Workspace {
    /// Finds the work tree that this program belongs to and asks cargo about it.
    ///
    /// # Errors
    /// When there is none, or cargo cannot read its manifests.
    pub fn find() -> Result<Workspace, XtaskError> {
        let root = find_root()?;
        let metadata = read_metadata(&root)?;
        let target = match metadata.get("target_directory").and_then(Value::as_str) {
            Some(folder) => PathBuf::from(folder),
            None => return Err(XtaskError::Metadata { reason: "it names no target_directory".to_owned() }),
        };
        Ok(Workspace { root, metadata, target })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where everything built or written goes, as cargo sees it.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where reports and bug files go when no other place is named. Not where builds go: whoever shares one target folder
    /// among clones keeps each clone's reports apart.
    pub fn output(&self) -> PathBuf {
        self.root.join("target").join("nexus")
    }

    /// What `cargo metadata --no-deps` says: the members, their targets and what each depends on.
    pub fn metadata(&self) -> &Value {
        &self.metadata
    }

    /// The crates of this workspace.
    pub fn member_names(&self) -> impl Iterator<Item = &str> {
        let packages = self.metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
        packages.filter_map(|package| package.get("name")?.as_str())
    }

    /// Cargo, called in the root of the work tree.
    pub fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }
}

/// Cargo as the caller named it, called in `folder` with no trace of the cargo that runs this program.
///
/// Build scripts may watch variables like `CARGO_MANIFEST_DIR` (ring's does): if ours leaked through, `cargo xtask` and a
/// plain `cargo build` would each undo the other's work.
pub fn cargo_in(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(folder).stdin(Stdio::null());
    forget_own_build(&mut command);
    command
}

/// Takes out of a command's environment what cargo sets for the program that it runs.
pub fn forget_own_build(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_this_crate) {
            command.env_remove(name);
        }
    }
}

fn describes_this_crate(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || name.starts_with("CARGO_BIN_")
        || matches!(name, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}

fn find_root() -> Result<PathBuf, XtaskError> {
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
    };
    let found = start.ancestors().find(|folder| {
        folder.join("Cargo.toml").is_file() && folder.join("xtask").join("commands").join("Cargo.toml").is_file()
    });
    found.map(Path::to_owned).ok_or(XtaskError::NoWorkspace { start })
}

fn read_metadata(root: &Path) -> Result<Value, XtaskError> {
    let output = cargo_in(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| XtaskError::Start { program: "cargo".to_owned(), source })?;
    if !output.status.success() {
        return Err(XtaskError::Metadata { reason: format!("it ended with {}", output.status) });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| XtaskError::Metadata { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_s_crate_is_forgotten_but_not_the_user_s_settings() {
        let table = [
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_MANIFEST_PATH", true),
            ("CARGO_PKG_VERSION_MAJOR", true),
            ("CARGO_PRIMARY_PACKAGE", true),
            ("CARGO_TARGET_DIR", false),
            ("CARGO_HOME", false),
            ("CARGO_BUILD_JOBS", false),
            ("RUSTFLAGS", false),
        ];
        for (name, forgotten) in table {
            assert_eq!(describes_this_crate(name), forgotten, "{name}");
        }
    }

    #[test]
    fn this_work_tree_is_found() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.root().join("xtask").is_dir());
        assert!(workspace.target().is_absolute());
    }
}
