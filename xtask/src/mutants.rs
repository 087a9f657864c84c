//! The build that carries mutants: a scratch copy of the source, rewritten by `tools/mutants`.
//!
//! What the tool leaves in `target/mutants/tree` is of no further use; the laboratory built from it lies beside it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use nexus_commands::{BenchOptions, Engine, exit};
use serde_json::{Value, json};

use crate::{
    error::{At, XtaskError},
    flavour::{self, Flavour, LAB, MUTANTS},
    launch::Launch,
    planted_bugs,
    scratch_copy::{copy, mark, mirror},
    source_files,
    workspace::Workspace,
};

/// A laboratory with mutants, and the file that lists them.
pub struct Built {
    pub program: PathBuf,
    pub list: PathBuf,
}

/// Has a sample of mutants planted and the laboratory built with them.
///
/// # Errors
/// When cargo-mutants cannot be had, or the copy does not compile even without the mutants that the compiler blames.
pub fn build(workspace: &Workspace, options: &BenchOptions) -> Result<Built, XtaskError> {
    let flavour = Flavour::sim(options.engine);
    let folder = workspace.target().join("mutants");
    let _alone = planted_bugs::lock(&folder)?;
    let tree = prepare(workspace.root(), &folder)?;
    let request = json!({
        "root": workspace.root(),
        "tree": tree,
        "target": flavour.target(workspace),
        "package": LAB.package,
        "binary": LAB.binary,
        "profile": flavour.profile.name(),
        "sample": options.sample,
        "draw": options.draw,
    });
    let tool = flavour::build(workspace, workspace.root(), MUTANTS, Flavour::sim(Engine::Turmoil))?;
    let words = [OsString::from(request.to_string())];
    let (code, output) = Launch::new(workspace, tool, &words).with_flags_of(flavour).capture()?;
    let answer: Value = serde_json::from_slice(&output).unwrap_or_default();
    let path = |name: &str| answer.get(name).and_then(Value::as_str).filter(|_| code == exit::HELD).map(PathBuf::from);
    let (Some(executable), Some(list)) = (path("executable"), path("mutants")) else {
        return Err(XtaskError::Build { binary: MUTANTS.binary });
    };
    let program = folder.join(format!("nexus-lab-{}", options.engine));
    // The binary has the same name as the real tree's: nobody may start it by mistake.
    copy(&executable, &program)?;
    fs::remove_file(&executable).at("remove", &executable)?;
    Ok(Built { program, list })
}

/// Brings `folder/tree` up to the source of `root`, and says where it is.
fn prepare(root: &Path, folder: &Path) -> Result<PathBuf, XtaskError> {
    let staging = folder.join("staging");
    if staging.exists() {
        fs::remove_dir_all(&staging).at("empty", &staging)?;
    }
    for file in source_files::list(root)? {
        let to = staging.join(&file);
        copy(&root.join(&file), &to)?;
        if file.file_name().is_some_and(|name| name == "Cargo.toml") {
            mark(&to, "+mutants")?;
        }
    }
    let tree = folder.join("tree");
    mirror(&staging, &tree)?;
    fs::remove_dir_all(&staging).at("remove", &staging)?;
    Ok(tree)
}
