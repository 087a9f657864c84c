//! Starting the program that does the work.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{Command, Stdio},
};

use nexus_commands::exit;
use serde_json::{Map, Value};

use crate::{
    code_of,
    error::XtaskError,
    flavour::{Flavour, Profile},
    interrupt, revision,
    workspace::{Workspace, forget_own_build},
};

/// A program ready to start: its words, and an environment that tells it where it comes from.
///
/// | variable | meaning |
/// |---|---|
/// | `NEXUS_REVISION` | which source it was built from, see [`revision`] |
/// | `NEXUS_WORKSPACE_ROOT` | where scenarios and policies are, and `target/nexus` for output |
/// | `NEXUS_PROFILE` | `sim` or `dev` |
/// | `NEXUS_PLANTED_BUGS` | `1` in the build that carries planted bugs, else absent |
/// | `NEXUS_MUTANTS` | in the build that carries mutants: the file that lists them |
/// | `NEXUS_CERTIFY_BEFORE_PROGRAM`, `…_REVISION`, the same with `AFTER` | for `certify`: the laboratories of both revisions |
pub struct Launch {
    command: Command,
    program: String,
}

impl Launch {
    pub fn new(workspace: &Workspace, executable: PathBuf, arguments: &[OsString]) -> Launch {
        let program = executable.file_name().unwrap_or(OsStr::new("program")).to_string_lossy().into_owned();
        let mut command = Command::new(executable);
        forget_own_build(&mut command);
        command
            .args(arguments)
            .env("NEXUS_REVISION", revision::of(workspace.root()))
            .env("NEXUS_WORKSPACE_ROOT", workspace.root())
            .env("NEXUS_PROFILE", Profile::Sim.name())
            .env_remove("NEXUS_PLANTED_BUGS");
        Launch { command, program }
    }

    pub fn with_planted_bugs(mut self) -> Launch {
        self.command.env("NEXUS_PLANTED_BUGS", "1");
        self
    }

    /// Tells the program one more thing.
    pub fn with_variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Launch {
        self.command.env(name, value);
        self
    }

    /// Has the compiler that the program starts build for an engine.
    pub fn with_flags_of(mut self, flavour: Flavour) -> Launch {
        flavour.set_flags(&mut self.command);
        self
    }

    pub fn with_profile(mut self, profile: Profile) -> Launch {
        self.command.env("NEXUS_PROFILE", profile.name());
        self
    }

    /// Becomes the program: signals reach it directly, and its exit code is this one's.
    #[cfg(unix)]
    pub fn replace_process(mut self) -> Result<u8, XtaskError> {
        let source = std::os::unix::process::CommandExt::exec(&mut self.command);
        Err(XtaskError::Start { program: self.program, source })
    }

    /// Where a process cannot become another, waits for it instead.
    #[cfg(not(unix))]
    pub fn replace_process(self) -> Result<u8, XtaskError> {
        interrupt::watch();
        self.wait()
    }

    /// Runs the program with this one's streams and gives its exit code.
    pub fn wait(mut self) -> Result<u8, XtaskError> {
        match self.command.status() {
            Ok(status) => Ok(code_of(status)),
            Err(source) => Err(XtaskError::Start { program: self.program, source }),
        }
    }

    /// Runs the program and gives its exit code and what it printed; errors go on to this program's error stream.
    pub fn capture(mut self) -> Result<(u8, Vec<u8>), XtaskError> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        match self.command.spawn().and_then(std::process::Child::wait_with_output) {
            Ok(output) => Ok((code_of(output.status), output.stdout)),
            Err(source) => Err(XtaskError::Start { program: self.program, source }),
        }
    }
}

/// Runs the programs one after another; the worst exit code counts. As JSON, what each prints becomes a field of one
/// object, `null` where a program printed none.
pub fn in_turn(runs: Vec<(&'static str, Launch)>, json: bool) -> Result<u8, XtaskError> {
    interrupt::watch();
    let mut codes = Vec::new();
    let mut printed = Map::new();
    for (name, run) in runs {
        if interrupt::happened() {
            codes.push(interrupt::EXIT_CODE);
            break;
        }
        if json {
            let (code, output) = run.capture()?;
            codes.push(code);
            printed.insert(name.to_owned(), read_json(name, &output));
        } else {
            anstream::println!("== {name}");
            codes.push(run.wait()?);
        }
    }
    if json {
        anstream::println!("{}", Value::Object(printed));
    }
    Ok(exit::worst(codes))
}

fn read_json(name: &str, output: &[u8]) -> Value {
    serde_json::from_slice(output).unwrap_or_else(|error| {
        anstream::eprintln!("note: {name} printed no JSON object ({error}); null stands for it");
        Value::Null
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Launch {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Launch { command, program: "sh".to_owned() }
    }

    #[test]
    fn the_worst_exit_code_counts_and_signals_count_as_shells_do() {
        let table = [
            ("exit 0", "exit 0", 0),
            ("exit 1", "exit 4", 1),
            ("exit 3", "exit 1", 3),
            ("kill -TERM $$", "exit 1", 143),
        ];
        for (first, second, expected) in table {
            let runs = vec![("first", shell(first)), ("second", shell(second))];
            assert_eq!(in_turn(runs, false).unwrap(), expected, "{first}; {second}");
        }
    }

    #[test]
    fn output_is_captured_whole() {
        let (code, output) = shell("echo '{\"a\":1}'; exit 4").capture().unwrap();
        assert_eq!((code, read_json("sh", &output)), (4, serde_json::json!({"a": 1})));
        assert_eq!(read_json("sh", b"thread panicked"), Value::Null);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let missing = Launch { command: Command::new("/nowhere/nexus-lab"), program: "nexus-lab".to_owned() };
        let error = missing.wait().unwrap_err();
        assert_eq!((error.to_string(), error.exit_code()), ("cannot start `nexus-lab`".to_owned(), 2));
    }
}
