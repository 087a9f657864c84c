//! What can go wrong before the work begins: what happened, where, and how to mend it.

use std::{io, path::PathBuf};

use anstyle::{AnsiColor, Effects, Style};
use nexus_commands::{UnknownEngine, exit};

const ERROR: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const HINT: Style = AnsiColor::Green.on_default().effects(Effects::BOLD);

#[derive(Debug, thiserror::Error)]
pub enum XtaskError {
    #[error("no Nexus work tree at {} or above it", start.display())]
    NoWorkspace { start: PathBuf },

    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("cannot start `{program}`")]
    Start { program: String, source: io::Error },

    #[error("`cargo metadata` did not describe the workspace: {reason}")]
    Metadata { reason: String },

    #[error("building {binary} failed")]
    Build { binary: &'static str },

    #[error("no laboratory with mutants was built")]
    NoMutants,

    #[error("{} is not a bug report: {reason}", path.display())]
    NotABugReport { path: PathBuf, reason: String },

    #[error("{} names an engine that is not there", path.display())]
    BugReportEngine { path: PathBuf, source: UnknownEngine },

    #[error("there is no planted bug in {}", folder.display())]
    NoPlantedBugs { folder: PathBuf },

    #[error("the planted bug {} does not apply to the source as it is now:\n{message}", patch.display())]
    PatchDoesNotApply { patch: PathBuf, message: String },

    #[error("there is no revision `{asked}`")]
    NoRevision { asked: String },

    #[error("git cannot copy the sources of {commit}:\n{message}")]
    CheckOut { commit: String, message: String },

    #[error("{} is a report of a planted bug, which no revision mends", path.display())]
    PlantedBugReport { path: PathBuf },

    #[error("every step is excluded")]
    NoSteps,

    #[error("{} has no folder for git's hooks", root.display())]
    NoHooks { root: PathBuf },

    #[error("there is a pre-commit hook already that is not ours: {}", path.display())]
    ForeignHook { path: PathBuf },
}

impl XtaskError {
    /// What the reader can do about it.
    fn mend(&self) -> &'static str {
        match self {
            XtaskError::NoWorkspace { .. } => "run the command inside a clone of Nexus",
            XtaskError::File { .. } => {
                "check that the path is right, that you may use it and that the disk is not full"
            }
            XtaskError::Start { .. } => {
                "install the program (Debian: apt-get install git; Rust: https://rustup.rs) or put it on PATH"
            }
            XtaskError::Metadata { .. } => "mend the manifest that cargo names above",
            XtaskError::Build { .. } => "mend what the compiler names above",
            XtaskError::NoMutants => "mend what is named above",
            XtaskError::NotABugReport { .. } => "give the .json file that `cargo xtask sim` wrote for a failing trial",
            XtaskError::BugReportEngine { .. } => {
                "the file was changed by hand, or written by a later version: replay it there"
            }
            XtaskError::NoPlantedBugs { .. } => "restore the .patch files of that folder, for instance with git",
            XtaskError::PatchDoesNotApply { .. } => "bring the patch up to the source that it changes",
            XtaskError::NoHooks { .. } => "run the command inside a clone that git made",
            XtaskError::ForeignHook { .. } => {
                "call `cargo xtask policy check --changed` from it, or give --force: it is then kept beside ours"
            }
            XtaskError::NoRevision { .. } => {
                "name a commit, a branch or a tag that `git rev-parse` knows, or `work-tree` for the sources as they are"
            }
            XtaskError::CheckOut { .. } => "mend what git names above; a shallow clone lacks what lies before it",
            XtaskError::PlantedBugReport { .. } => "give the report of a trial without planted bugs",
            XtaskError::NoSteps => "give a step to --only that --skip leaves; `cargo xtask test --list` names them",
        }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            XtaskError::Build { .. } | XtaskError::Metadata { .. } => exit::BUILD_FAILED,
            _ => exit::USAGE,
        }
    }

    /// Writes the error, its causes and the way out to the error stream.
    pub fn print(&self) {
        anstream::eprintln!("{ERROR}error:{ERROR:#} {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            anstream::eprintln!("  because: {error}");
            cause = error.source();
        }
        anstream::eprintln!("\n{HINT}hint:{HINT:#} {}", self.mend());
    }

    /// The error and its causes in one line, for a table.
    pub fn line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// Gives an input/output error the path and the deed that it lacks.
pub trait At<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, XtaskError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, XtaskError> {
        self.map_err(|source| XtaskError::File { action, path: path.to_owned(), source })
    }
}
