//! Why the tool could not do its work.

use std::{io, path::PathBuf};

use miette::Diagnostic;

/// An input that cannot be used, or an output that cannot be written.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum DeployError {
    #[error("cannot {action} {}", path.display())]
    #[diagnostic(help("look whether the path exists and may be accessed"))]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is no template: {reason}", path.display())]
    #[diagnostic(help(
        "a template is a YAML mapping with `Resources`, its functions in the long form (`Fn::Sub`, `Ref`)"
    ))]
    NoTemplate { path: PathBuf, reason: String },
    #[error("{} is no scenario: {reason}", path.display())]
    #[diagnostic(help("scenarios/README.md shows every key of a scenario"))]
    NoScenario { path: PathBuf, reason: String },
    #[error("no scenario of {} has an objective, so that no alarm could be missed", folder.display())]
    #[diagnostic(help("restore the folder's files, for instance with git"))]
    NoObjectives { folder: PathBuf },
    #[error("{step} failed: {output}")]
    #[diagnostic(help("remove the environment's folder and try again; `--skip-lint` does without cfn-lint"))]
    Lint { step: &'static str, output: String },
}
