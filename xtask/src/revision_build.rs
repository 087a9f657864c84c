//! The laboratory of another revision, built from a scratch copy of that revision's sources.
//!
//! The sources come out of git by an index of their own, so neither the work tree nor its index is touched, and no work tree
//! is registered. The copy lies in `target/certify/<side>/tree`.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use nexus_commands::Engine;

use crate::{
    error::XtaskError,
    flavour::{self, Flavour, LAB},
    revision, scratch_copy, source_files,
    workspace::Workspace,
};

/// What stands for the sources as they are now, committed or not.
pub const WORK_TREE: &str = "work-tree";

/// A laboratory and the revision that it is of.
#[derive(Debug, PartialEq, Eq)]
pub struct Built {
    pub program: PathBuf,
    pub revision: String,
}

/// Builds the laboratory of what the user calls `asked`, as one `side` of a comparison.
///
/// # Errors
/// When git knows no such revision, or it does not compile.
pub fn build(workspace: &Workspace, engine: Engine, side: &str, asked: &str) -> Result<Built, XtaskError> {
    let folder = workspace.target().join("certify").join(side);
    let (tree, revision) = prepare(workspace.root(), &folder, side, asked)?;
    let built = flavour::build(workspace, &tree, LAB, Flavour::sim(engine))?;
    let program = folder.join(format!("nexus-lab-{engine}"));
    scratch_copy::take_away(&built, &program)?;
    Ok(Built { program, revision })
}

/// Brings `folder/tree` up to the revision's sources, and says where it is and what the revision is called.
fn prepare(root: &Path, folder: &Path, side: &str, asked: &str) -> Result<(PathBuf, String), XtaskError> {
    let mark = format!("+{side}");
    if asked == WORK_TREE {
        let files = source_files::list(root)?;
        let tree = scratch_copy::tree(folder, &mark, |staging| scratch_copy::copy_files(&files, root, staging))?;
        return Ok((tree, revision::of(root)));
    }
    let commit = commit(root, asked)?;
    let tree = scratch_copy::tree(folder, &mark, |staging| check_out(root, folder, staging, &commit))?;
    Ok((tree, commit.chars().take(12).collect()))
}

fn commit(root: &Path, asked: &str) -> Result<String, XtaskError> {
    let output = source_files::git(root)
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
        .arg(format!("{asked}^{{commit}}"))
        .output()
        .map_err(|source| XtaskError::Start { program: "git".to_owned(), source })?;
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && commit.len() >= 12 {
        Ok(commit)
    } else {
        Err(XtaskError::NoRevision { asked: asked.to_owned() })
    }
}

fn check_out(root: &Path, folder: &Path, staging: &Path, commit: &str) -> Result<(), XtaskError> {
    let index = folder.join("index");
    let git = |arguments: &[&OsStr]| -> Result<(), XtaskError> {
        let output = source_files::git(root)
            .env("GIT_INDEX_FILE", &index)
            .args(arguments)
            .output()
            .map_err(|source| XtaskError::Start { program: "git".to_owned(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        Err(XtaskError::CheckOut { commit: commit.to_owned(), message })
    };
    git(&["read-tree".as_ref(), commit.as_ref()])?;
    let mut prefix = std::ffi::OsString::from("--prefix=");
    prefix.push(staging);
    prefix.push("/");
    git(&["checkout-index".as_ref(), "--all".as_ref(), "--force".as_ref(), &prefix])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scratch::Scratch;

    const MANIFEST: &str = "[workspace.package]\nversion = \"0.1.0\"\n";

    /// Two commits, and a change that is not committed.
    fn repository(name: &str) -> Scratch {
        let scratch = Scratch::new(name);
        scratch.git(&["init", "-q"]);
        scratch.write(".gitignore", "/target\n");
        scratch.write("Cargo.toml", MANIFEST);
        for text in ["one", "two"] {
            scratch.write("system/a.rs", text);
            scratch.git(&["add", "."]);
            scratch.git(&["commit", "-q", "-m", text]);
        }
        scratch.write("system/a.rs", "three");
        scratch
    }

    #[test]
    fn each_revision_is_copied_and_the_work_tree_left_alone() {
        let scratch = repository("revision-build");
        for (asked, wanted) in [("HEAD~1", "one"), ("HEAD", "two"), (WORK_TREE, "three"), ("HEAD~1", "one")] {
            let folder = scratch.path("target/certify/before");
            let (tree, revision) = prepare(scratch.root(), &folder, "before", asked).unwrap();
            assert_eq!(fs::read_to_string(tree.join("system/a.rs")).unwrap(), wanted, "{asked}");
            assert!(fs::read_to_string(tree.join("Cargo.toml")).unwrap().contains("0.1.0+before"));
            let head: String = scratch.git(&["rev-parse", "HEAD"]).chars().take(12).collect();
            assert_eq!(revision.starts_with(&head), asked != "HEAD~1", "{revision}");
        }
        assert_eq!(fs::read_to_string(scratch.path("system/a.rs")).unwrap(), "three");
        assert_eq!(scratch.git(&["status", "--porcelain"]).trim(), "M system/a.rs");
    }

    #[test]
    fn a_revision_that_is_not_there_is_named() {
        let scratch = repository("revision-build-none");
        for asked in ["no-such-branch", "--all", "HEAD:system"] {
            let error = prepare(scratch.root(), &scratch.path("target/x"), "x", asked).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(asked), "{error}");
        }
    }
}
