//! cfn-lint, installed from PyPI into an environment of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::DeployError;

/// What is installed; a copy in the environment tells that it is complete.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// What cfn-lint said, if it could be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linted {
    Clean,
    /// Its own words.
    Complaints(String),
    /// Python or its package index cannot be reached from here.
    Unavailable(String),
}

/// Runs cfn-lint over the templates; installs it first where it is not there yet.
///
/// # Errors
/// Python or the installation failed, and not for want of a network; or a file of the environment cannot be written.
pub fn lint(environment: &Path, templates: &[PathBuf]) -> Result<Linted, DeployError> {
    if let Err(reason) = install(environment)? {
        return Ok(Linted::Unavailable(reason));
    }
    let mut command = Command::new(environment.join("bin/cfn-lint"));
    let output =
        command.args(templates).output().map_err(|source| at("start", &environment.join("bin/cfn-lint"), source))?;
    if output.status.success() {
        return Ok(Linted::Clean);
    }
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).join("\n");
    Ok(Linted::Complaints(text.trim().to_owned()))
}

/// The inner error is why it cannot be had on this machine.
fn install(environment: &Path) -> Result<Result<(), String>, DeployError> {
    let stamp = environment.join("installed-requirements.txt");
    let is_complete = || fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS);
    if is_complete() {
        return Ok(Ok(()));
    }
    // Two processes may want it at once: one installs, the other waits.
    let parent = environment.parent().unwrap_or(environment);
    fs::create_dir_all(parent).map_err(|source| at("create", parent, source))?;
    let lock_path = environment.with_extension("lock");
    let lock = fs::File::create(&lock_path).map_err(|source| at("create", &lock_path, source))?;
    lock.lock().map_err(|source| at("lock", &lock_path, source))?;
    if is_complete() {
        return Ok(Ok(()));
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(environment);
    if let Err(reason) = step("python3 -m venv", make)? {
        return Ok(Err(reason));
    }
    let list = environment.join("requirements.txt");
    fs::write(&list, REQUIREMENTS).map_err(|source| at("write", &list, source))?;
    let mut fill = Command::new(environment.join("bin/python"));
    fill.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list);
    if let Err(reason) = step("pip install", fill)? {
        return Ok(Err(reason));
    }
    fs::write(&stamp, REQUIREMENTS).map_err(|source| at("write", &stamp, source))?;
    Ok(Ok(()))
}

fn step(name: &'static str, mut command: Command) -> Result<Result<(), String>, DeployError> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Ok(Err(format!("{name}: {error}"))),
    };
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).join("\n");
    if output.status.success() {
        return Ok(Ok(()));
    }
    let unreachable = ["Connection", "resolve", "timed out", "No matching distribution", "ensurepip"];
    if unreachable.iter().any(|sign| text.contains(sign)) {
        return Ok(Err(format!("{name}: {}", text.lines().last().unwrap_or_default())));
    }
    Err(DeployError::Lint { step: name, output: text })
}

fn at(action: &'static str, path: &Path, source: std::io::Error) -> DeployError {
    DeployError::File { action, path: path.to_owned(), source }
}
