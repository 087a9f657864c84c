//! `cargo xtask`: reads the command line, builds the program that does the work and becomes it.
//!
//! Where to read on: [`flavour`] says what is built and how, [`launch`] how a program is started, [`planted_bugs`] how
//! the scratch copy with bugs comes about, [`checks`] what `cargo xtask test` runs.
#![forbid(unsafe_code)]

mod bug_file;
mod checks;
mod error;
mod flavour;
mod hooks;
mod interrupt;
mod launch;
mod mutants;
mod planted_bugs;
mod revision;
mod revision_build;
#[cfg(test)]
mod scratch;
mod scratch_copy;
mod source_files;
mod workspace;

use std::{ffi::OsString, path::Path, process::ExitCode};

use nexus_commands::{
    BenchKind, BenchOptions, CertifyOptions, ChaosOptions, Engine, HooksCommand, LabCommand, SimOptions, XtaskCommand,
    exit, switch,
};

use crate::{
    error::XtaskError,
    flavour::{CLOUD_SERVER, DEPLOY_TOOL, Flavour, LAB, POLICY_CHECK, SCHEMA_CHECK},
    launch::Launch,
    workspace::Workspace,
};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let command = match nexus_commands::parse_xtask(arguments.iter().cloned()) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    match run(command, arguments.get(1..).unwrap_or_default()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}

/// `words` are the command line as typed, without the program's name.
fn run(command: XtaskCommand, words: &[OsString]) -> Result<u8, XtaskError> {
    match command {
        XtaskCommand::Lab(LabCommand::Sim(options)) => sim(&options, words),
        XtaskCommand::Lab(LabCommand::Chaos(options)) => chaos(&options, words),
        XtaskCommand::Lab(LabCommand::Replay(options)) => rerun(&options.file, options.diff.as_deref(), words),
        XtaskCommand::Lab(LabCommand::Shrink(options)) => rerun(&options.file, None, words),
        XtaskCommand::Lab(LabCommand::Certify(options)) => certify(&options, words),
        XtaskCommand::Lab(LabCommand::Bench(options)) => bench(&options, words),
        XtaskCommand::Lab(LabCommand::Report(_)) => become_lab(&Workspace::find()?, Engine::Turmoil, words),
        XtaskCommand::Cloud(_) => {
            let workspace = Workspace::find()?;
            let executable = flavour::build(&workspace, workspace.root(), CLOUD_SERVER, Flavour::sim(Engine::Turmoil))?;
            // The server's only task is to serve: it takes the options without the word `cloud`.
            Launch::new(&workspace, executable, words.get(1..).unwrap_or_default()).replace_process()
        }
        XtaskCommand::Deploy(_) => {
            let workspace = Workspace::find()?;
            let executable = flavour::build(&workspace, workspace.root(), DEPLOY_TOOL, Flavour::sim(Engine::Turmoil))?;
            // The tool's only task is the deployment: it takes the rest without the word `deploy`.
            Launch::new(&workspace, executable, words.get(1..).unwrap_or_default()).replace_process()
        }
        XtaskCommand::Schema(_) => {
            let workspace = Workspace::find()?;
            let executable = flavour::build(&workspace, workspace.root(), SCHEMA_CHECK, Flavour::sim(Engine::Turmoil))?;
            Launch::new(&workspace, executable, words.get(1..).unwrap_or_default()).replace_process()
        }
        XtaskCommand::Policy(_) => {
            let workspace = Workspace::find()?;
            let executable = flavour::build(&workspace, workspace.root(), POLICY_CHECK, Flavour::sim(Engine::Turmoil))?;
            // The program is about policies only: it takes the command without the word `policy`.
            Launch::new(&workspace, executable, words.get(1..).unwrap_or_default()).replace_process()
        }
        XtaskCommand::Hooks(HooksCommand::Install(options)) => hooks::install(&Workspace::find()?, &options),
        XtaskCommand::Test(options) => checks::run(&options),
    }
}

fn sim(options: &SimOptions, words: &[OsString]) -> Result<u8, XtaskError> {
    let workspace = Workspace::find()?;
    if let Some(engine) = options.engine.single() {
        return become_lab(&workspace, engine, words);
    }
    let out = options.out.clone().unwrap_or_else(|| workspace.output());
    let mut runs = Vec::new();
    for engine in options.engine.engines() {
        let executable = flavour::build(&workspace, workspace.root(), LAB, Flavour::sim(*engine))?;
        let arguments = options.on(*engine, out.join(engine.name())).to_arguments();
        runs.push((engine.name(), Launch::new(&workspace, executable, &arguments)));
    }
    launch::in_turn(runs, options.json)
}

fn chaos(options: &ChaosOptions, words: &[OsString]) -> Result<u8, XtaskError> {
    let workspace = Workspace::find()?;
    if let Some(engine) = options.engine.single() {
        return become_lab(&workspace, engine, words);
    }
    let out = options.out.clone().unwrap_or_else(|| workspace.output().join("chaos"));
    let mut runs = Vec::new();
    for engine in options.engine.engines() {
        let executable = flavour::build(&workspace, workspace.root(), LAB, Flavour::sim(*engine))?;
        let arguments = options.on(*engine, out.join(engine.name())).to_arguments();
        runs.push((engine.name(), Launch::new(&workspace, executable, &arguments)));
    }
    launch::in_turn(runs, options.json)
}

/// Runs a bug report with the build that wrote it; the build with planted bugs plays trials without them as well, so it is
/// taken if only the other report has one.
fn rerun(file: &Path, other: Option<&Path>, words: &[OsString]) -> Result<u8, XtaskError> {
    let origin = bug_file::origin(file)?;
    let other = other.map(bug_file::origin).transpose()?;
    let workspace = Workspace::find()?;
    if origin.planted_bug.is_none() && other.is_none_or(|other| other.planted_bug.is_none()) {
        return become_lab(&workspace, origin.engine, words);
    }
    let executable = planted_bugs::build(&workspace, origin.engine)?;
    Launch::new(&workspace, executable, words).with_planted_bugs().replace_process()
}

/// Builds both revisions, and lets the laboratory of this tree judge them.
fn certify(options: &CertifyOptions, words: &[OsString]) -> Result<u8, XtaskError> {
    let origin = bug_file::origin(&options.file)?;
    if origin.planted_bug.is_some() {
        return Err(XtaskError::PlantedBugReport { path: options.file.clone() });
    }
    let workspace = Workspace::find()?;
    let build = |side: &str, asked: &str| revision_build::build(&workspace, origin.engine, side, asked);
    let (before, after) = (build("before", &options.before)?, build("after", &options.after)?);
    let executable = flavour::build(&workspace, workspace.root(), LAB, Flavour::sim(origin.engine))?;
    Launch::new(&workspace, executable, words)
        .with_variable("NEXUS_CERTIFY_BEFORE_PROGRAM", &before.program)
        .with_variable("NEXUS_CERTIFY_BEFORE_REVISION", &before.revision)
        .with_variable("NEXUS_CERTIFY_AFTER_PROGRAM", &after.program)
        .with_variable("NEXUS_CERTIFY_AFTER_REVISION", &after.revision)
        .replace_process()
}

fn bench(options: &BenchOptions, words: &[OsString]) -> Result<u8, XtaskError> {
    let workspace = Workspace::find()?;
    match options.kind {
        Some(BenchKind::Speed) => become_lab(&workspace, options.engine, words),
        Some(BenchKind::Bugs) => {
            let executable = planted_bugs::build(&workspace, options.engine)?;
            Launch::new(&workspace, executable, words).with_planted_bugs().replace_process()
        }
        Some(BenchKind::Mutants) => {
            let built = mutants::build(&workspace, options)?;
            let launch =
                Launch::new(&workspace, built.program, words).with_variable(switch::MUTANTS_VARIABLE, &built.list);
            launch.with_planted_bugs().replace_process()
        }
        None => {
            let said = |kind: BenchKind| -> Vec<OsString> {
                let rest = words.iter().skip(1).cloned();
                ["bench".into(), kind.name().into()].into_iter().chain(rest).collect()
            };
            let lab = flavour::build(&workspace, workspace.root(), LAB, Flavour::sim(options.engine))?;
            // The uplifted binary has the same name in both trees, so it is kept apart before the other is built.
            let kept = workspace.target().join("bugs").join(format!("nexus-lab-unpatched-{}", options.engine));
            scratch_copy::set_aside(&lab, &kept)?;
            let buggy = planted_bugs::build(&workspace, options.engine)?;
            let speed = Launch::new(&workspace, kept, &said(BenchKind::Speed));
            let bugs = Launch::new(&workspace, buggy, &said(BenchKind::Bugs)).with_planted_bugs();
            launch::in_turn(vec![(BenchKind::Speed.name(), speed), (BenchKind::Bugs.name(), bugs)], options.json)
        }
    }
}

fn become_lab(workspace: &Workspace, engine: Engine, words: &[OsString]) -> Result<u8, XtaskError> {
    let executable = flavour::build(workspace, workspace.root(), LAB, Flavour::sim(engine))?;
    Launch::new(workspace, executable, words).replace_process()
}

/// The code with which a shell reports a program that a signal ended, or the program's own.
fn code_of(status: std::process::ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status.code().map_or(exit::BROKE, |code| u8::try_from(code).unwrap_or(exit::BROKE))
}
