//! The step that holds schemas and templates against what they are made of.

use std::ffi::OsString;

use nexus_commands::{Engine, exit};

use super::Finding;
use crate::{
    flavour::{self, DEPLOY_TOOL, Flavour, Program, SCHEMA_CHECK},
    launch::Launch,
    workspace::Workspace,
};

/// Each tool, the words that it is started with, and what its success shows.
const CHECKS: [(Program, &[&str], &str); 4] = [
    (SCHEMA_CHECK, &["check"], "schemas fit those before them"),
    (SCHEMA_CHECK, &["docs", "--check"], "their catalogue is current"),
    (DEPLOY_TOOL, &["synth", "--check"], "so are the templates"),
    // cfn-lint is asked in a test of the tool's own, which says so where it cannot be had.
    (DEPLOY_TOOL, &["validate", "--skip-lint"], "which make what `nexus provision` makes"),
];

/// Event schemas against the released ones, their catalogue and the templates against their sources.
pub fn schemas(workspace: &Workspace) -> Finding {
    for (program, words, _) in CHECKS {
        let executable = flavour::build(workspace, workspace.root(), program, Flavour::sim(Engine::Turmoil));
        let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        let launch = Launch::new(workspace, executable.map_err(|error| error.line())?, &arguments);
        let (code, output) = launch.capture().map_err(|error| error.line())?;
        held(program, words, code, &String::from_utf8_lossy(&output))?;
    }
    Ok(CHECKS.map(|(_, _, shown)| shown).join(", "))
}

fn held(program: Program, words: &[&str], code: u8, output: &str) -> Result<(), String> {
    match code {
        exit::HELD => Ok(()),
        code => Err(format!("`{} {}` ended with exit code {code}\n{}", program.binary, words.join(" "), output.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_success_holds_and_the_rest_is_told() {
        assert_eq!(held(SCHEMA_CHECK, &["check"], exit::HELD, "fine"), Ok(()));
        for code in [exit::BROKE, exit::USAGE, exit::INCONCLUSIVE, 101] {
            let told = held(SCHEMA_CHECK, &["docs", "--check"], code, "stale\n").unwrap_err();
            assert_eq!(told, format!("`nexus-schema-check docs --check` ended with exit code {code}\nstale"));
        }
    }
}
