//! The build that carries mutants: a scratch copy of the source, rewritten by `tools/mutants`.
//!
//! What the tool leaves in `target/mutants/tree` is of no further use; the laboratory built from it lies beside it.

use std::{ffi::OsString, path::PathBuf};

use nexus_commands::{BenchOptions, Engine, exit};
use serde_json::{Value, json};

use crate::{
    error::XtaskError,
    flavour::{self, Flavour, LAB, MUTANTS},
    launch::Launch,
    scratch_copy, source_files,
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
    let _alone = scratch_copy::lock(&folder)?;
    let files = source_files::list(workspace.root())?;
    let tree =
        scratch_copy::tree(&folder, "+mutants", |staging| scratch_copy::copy_files(&files, workspace.root(), staging))?;
    let request = json!({
        "root": workspace.root(),
        "folder": folder,
        "tree": tree,
        "tools": workspace.target().join("tools"),
        "target": flavour.target(workspace),
        "package": LAB.package,
        "binary": LAB.binary,
        "profile": flavour.profile.name(),
        "sample": options.sample(),
        "draw": options.draw(),
    });
    let tool = flavour::build(workspace, workspace.root(), MUTANTS, Flavour::sim(Engine::Turmoil))?;
    let words = [OsString::from(request.to_string())];
    let (code, output) = Launch::new(workspace, tool, &words).with_flags_of(flavour).capture()?;
    let answer: Value = serde_json::from_slice(&output).unwrap_or_default();
    let path = |name: &str| answer.get(name).and_then(Value::as_str).filter(|_| code == exit::HELD).map(PathBuf::from);
    let (Some(executable), Some(list)) = (path("executable"), path("mutants")) else {
        return Err(XtaskError::NoMutants);
    };
    let program = folder.join(format!("nexus-lab-{}", options.engine));
    scratch_copy::take_away(&executable, &program)?;
    Ok(Built { program, list })
}
