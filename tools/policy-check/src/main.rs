//! `nexus-policy-check`: what `cargo xtask policy` starts.
#![forbid(unsafe_code)]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use nexus_commands::{
    PolicyCheckOptions, PolicyCommand, PolicyExplainOptions, PolicyGraphFormat, PolicyGraphOptions, PolicyTestOptions,
    exit, parse_policy,
};
use nexus_policy_check::{
    check,
    error::CheckError,
    explain::{self, InputKind},
    facts::Facts,
    graph::{self, Graph},
    policies::{DESK, Folder, RUNTIME},
    show, testing,
    worktree::WorkTree,
};

fn main() -> ExitCode {
    let command = match parse_policy(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    match run(&command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            anstream::eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(exit::USAGE)
        }
    }
}

/// Where the sources are: as `cargo xtask` says, or here.
fn root() -> PathBuf {
    std::env::var_os("NEXUS_WORKSPACE_ROOT").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

fn run(command: &PolicyCommand) -> Result<u8, CheckError> {
    let root = root();
    match command {
        PolicyCommand::Test(options) => test(&root, options),
        PolicyCommand::Check(options) => check(&root, options),
        PolicyCommand::Graph(options) => graph(&root, options),
        PolicyCommand::Explain(options) => explain(&root, options),
    }
}

fn test(root: &Path, options: &PolicyTestOptions) -> Result<u8, CheckError> {
    let report = testing::run(&[Folder::read(root, RUNTIME)?, Folder::read(root, DESK)?])?;
    match options.json {
        true => print(&show::json(&report)),
        false => print(&show::tests(&report)),
    }
    Ok(if report.held() { exit::HELD } else { exit::BROKE })
}

fn check(root: &Path, options: &PolicyCheckOptions) -> Result<u8, CheckError> {
    let tree = WorkTree::open(root)?;
    if let Some(file) = &options.facts {
        write(file, &show::json(&Facts::gather_all(&tree)?))?;
    }
    let changed = if options.changed { Some(tree.changed_files()?) } else { None };
    let report = check::run(&tree, &Folder::read(root, DESK)?, changed.as_ref())?;
    match options.json {
        true => print(&show::json(&report)),
        false => print(&show::check(&report)),
    }
    Ok(if report.held() { exit::HELD } else { exit::BROKE })
}

fn graph(root: &Path, options: &PolicyGraphOptions) -> Result<u8, CheckError> {
    let facts = Facts::gather(&WorkTree::open(root)?, &["services"].into())?;
    let graph = Graph::new(&facts.services);
    let text = match options.format {
        PolicyGraphFormat::Dot => graph::dot(&graph),
        PolicyGraphFormat::Mermaid => graph::mermaid(&graph),
        PolicyGraphFormat::Svg => graph::svg(&graph),
        PolicyGraphFormat::Json => show::json(&graph),
    };
    match &options.out {
        Some(file) => write(file, &text)?,
        None => print(&text),
    }
    Ok(exit::HELD)
}

fn explain(root: &Path, options: &PolicyExplainOptions) -> Result<u8, CheckError> {
    let file = options.input.display().to_string();
    let text = std::fs::read_to_string(&options.input).map_err(|source| CheckError::File {
        action: "read",
        path: options.input.clone(),
        source,
    })?;
    let input: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| CheckError::json(&file, &text, &error))?;
    let kind = explain::kind_of(&file, &text, &input)?;
    let folder = Folder::read(root, if kind == InputKind::Runtime { RUNTIME } else { DESK })?;
    let explanation = explain::explain(&folder, kind, &input)?;
    match options.json {
        true => print(&show::json(&explanation)),
        false => print(&show::explanation(&explanation)),
    }
    Ok(if explanation.decision == "allow" { exit::HELD } else { exit::BROKE })
}

fn write(file: &Path, text: &str) -> Result<(), CheckError> {
    std::fs::write(file, text).map_err(|source| CheckError::File { action: "write", path: file.to_owned(), source })
}

/// A reader that went away, as `head` does, wants no more: that is no failure.
fn print(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ =
        out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
}
