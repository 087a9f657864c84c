//! What is built, and in which of the few ways.
//!
//! `sim` is the profile of everything: optimised, yet with assertions and overflow checks. madsim needs a `cfg` over all
//! crates, hence flags and a target folder of its own, or each build would throw the other's away. The plain build exists
//! only so that its traces can be compared with the optimised one's: our own crates are not optimised in it, and all others are
//! taken as `sim` built them, so it costs little.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nexus_commands::Engine;
use serde_json::Value;

use crate::{
    error::XtaskError,
    workspace::{Workspace, cargo_in},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Sim,
    /// As `Sim`, but our own crates are not optimised.
    Plain,
}

impl Profile {
    pub fn name(self) -> &'static str {
        match self {
            Profile::Sim => "sim",
            Profile::Plain => "plain",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavour {
    pub engine: Engine,
    pub profile: Profile,
}

impl Flavour {
    pub fn sim(engine: Engine) -> Flavour {
        Flavour { engine, profile: Profile::Sim }
    }

    pub fn target(self, workspace: &Workspace) -> PathBuf {
        match self.engine {
            Engine::Turmoil => workspace.target().to_owned(),
            Engine::Madsim => workspace.target().join("madsim"),
        }
    }

    /// How cargo is to build it.
    fn set_profile(self, workspace: &Workspace, command: &mut Command) {
        command.args(["--profile", Profile::Sim.name()]);
        if self.profile == Profile::Plain {
            // One by one: a level for the whole profile would be one for the crates of others too.
            for name in workspace.member_names() {
                command.arg("--config").arg(format!("profile.sim.package.{name}.opt-level=0"));
            }
        }
    }

    /// Adds the flags that this engine needs to those that the user has set.
    pub fn set_flags(self, command: &mut Command) {
        if self.engine == Engine::Turmoil {
            return;
        }
        // Cargo takes the encoded variable alone where both are set, so the flags must join the one that counts.
        let (name, value) = match std::env::var_os("CARGO_ENCODED_RUSTFLAGS") {
            Some(encoded) => ("CARGO_ENCODED_RUSTFLAGS", joined(Some(encoded), "\u{1f}", "--cfg\u{1f}madsim")),
            None => ("RUSTFLAGS", joined(std::env::var_os("RUSTFLAGS"), " ", "--cfg madsim")),
        };
        command.env(name, value);
    }
}

fn joined(present: Option<OsString>, separator: &str, addition: &str) -> OsString {
    match present {
        Some(mut flags) if !flags.is_empty() => {
            flags.push(separator);
            flags.push(addition);
            flags
        }
        _ => OsString::from(addition),
    }
}

/// A program of this workspace that the command line starts.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    pub package: &'static str,
    pub binary: &'static str,
}

/// Runs trials, shrinks and replays them, measures, and reads records.
pub const LAB: Program = Program { package: "nexus-explore", binary: "nexus-lab" };

/// Policies at the desk.
pub const POLICY_CHECK: Program = Program { package: "nexus-policy-check", binary: "nexus-policy-check" };

/// The simulated AWS behind a socket.
pub const CLOUD_SERVER: Program = Program { package: "nexus-cloud-shell", binary: "nexus-cloud-server" };

/// Makes and checks the templates of the deployment.
pub const DEPLOY_TOOL: Program = Program { package: "nexus-deploy-tool", binary: "nexus-deploy" };

/// Checks, compares and writes up the event schemas.
pub const SCHEMA_CHECK: Program = Program { package: "nexus-schema-check", binary: "nexus-schema-check" };

/// Plants mutants and builds the laboratory with them.
pub const MUTANTS: Program = Program { package: "nexus-mutants", binary: "nexus-mutants" };

/// Builds `program` from the sources in `source_root` and says where it is. Messages go to the error stream only, so that
/// the started program's output can be piped.
///
/// # Errors
/// [`XtaskError::Build`] when it does not compile; cargo has then said why.
pub fn build(
    workspace: &Workspace,
    source_root: &Path,
    program: Program,
    flavour: Flavour,
) -> Result<PathBuf, XtaskError> {
    let mut command = cargo_in(source_root);
    command.args(["build", "--package", program.package, "--bin", program.binary]);
    flavour.set_profile(workspace, &mut command);
    command.arg("--target-dir").arg(flavour.target(workspace));
    command.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    flavour.set_flags(&mut command);
    let cannot_start = |source| XtaskError::Start { program: "cargo".to_owned(), source };
    let mut child = command.spawn().map_err(cannot_start)?;
    let executable = child.stdout.take().and_then(|output| {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.filter_map(|line| executable_in(&line, program.binary)).last()
    });
    let status = child.wait().map_err(cannot_start)?;
    executable.filter(|_| status.success()).ok_or(XtaskError::Build { binary: program.binary })
}

/// The program's path, if this line of cargo's says that it is ready.
fn executable_in(line: &str, binary: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_artifact = message.get("reason")?.as_str()? == "compiler-artifact";
    let is_ours = message.get("target")?.get("name")?.as_str()? == binary;
    let executable = message.get("executable")?.as_str()?;
    (is_artifact && is_ours).then(|| PathBuf::from(executable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_added_to_those_present() {
        let table = [
            (None, "--cfg madsim"),
            (Some(""), "--cfg madsim"),
            (Some("-C target-cpu=native"), "-C target-cpu=native --cfg madsim"),
        ];
        for (present, expected) in table {
            assert_eq!(joined(present.map(OsString::from), " ", "--cfg madsim"), OsString::from(expected));
        }
    }

    #[test]
    fn the_executable_is_read_from_cargo_s_messages() {
        let ready = r#"{"reason":"compiler-artifact","target":{"name":"nexus-lab"},"executable":"/t/sim/nexus-lab"}"#;
        let table = [
            (ready, Some("/t/sim/nexus-lab")),
            (r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#, None),
            (r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}"#, None),
            (r#"{"reason":"build-finished","success":true}"#, None),
            ("not json", None),
        ];
        for (line, expected) in table {
            assert_eq!(executable_in(line, "nexus-lab"), expected.map(PathBuf::from), "{line}");
        }
    }
}
