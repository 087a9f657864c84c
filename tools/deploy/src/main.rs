//! `nexus-deploy`, which `cargo xtask deploy` builds and starts.
#![forbid(unsafe_code)]

use std::{env, path::PathBuf, process::ExitCode};

use miette::Report;
use nexus_commands::{DeployCommand, SynthOptions, ValidateOptions, exit};
use nexus_deploy_tool::{Finding, Folders, lint, schemas_findings, validate};

fn main() -> ExitCode {
    let command = match nexus_commands::parse_deploy(env::args_os()) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    let root = env::var_os("NEXUS_WORKSPACE_ROOT").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folders = Folders::new(root);
    let outcome = match command {
        DeployCommand::Synth(options) => synth(&folders, &options),
        DeployCommand::Validate(options) => judge(&folders, &options),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::from(exit::USAGE)
        }
    }
}

fn synth(folders: &Folders, options: &SynthOptions) -> Result<u8, Report> {
    if options.check {
        return Ok(tell(&schemas_findings(&folders.committed_schemas()?), "system/deploy/schemas.yaml is current"));
    }
    let out = options.out.clone().unwrap_or_else(|| folders.default_output());
    for path in folders.write_templates(&out)? {
        println!("{}", path.display());
    }
    Ok(exit::HELD)
}

fn judge(folders: &Folders, options: &ValidateOptions) -> Result<u8, Report> {
    let mut code = tell(&validate(folders)?, "tables, bus, roles, mappings, alarms and schemas are as they must be");
    if options.skip_lint {
        return Ok(code);
    }
    match lint::lint(&folders.lint_environment(), &folders.templates())? {
        lint::Linted::Clean => println!("held: cfn-lint has nothing to say"),
        lint::Linted::Complaints(text) => {
            println!("BROKE: cfn-lint\n{text}");
            code = exit::worst([code, exit::BROKE]);
        }
        lint::Linted::Unavailable(reason) => {
            eprintln!("note: cfn-lint cannot be had here, so that it judged nothing: {reason}");
            code = exit::worst([code, exit::INCONCLUSIVE]);
        }
    }
    Ok(code)
}

fn tell(findings: &[Finding], held: &str) -> u8 {
    if findings.is_empty() {
        println!("held: {held}");
        return exit::HELD;
    }
    for finding in findings {
        println!("BROKE: {finding}");
    }
    exit::BROKE
}
