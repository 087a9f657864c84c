//! What can go wrong before or while a service runs, and the exit code for it.

use std::{io, path::PathBuf, process::ExitCode};

use nexus_aws::ProvisionError;
use nexus_governance::{InvalidPolicyBundle, InvalidSchema};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "the environment variable `{variable}` is not set\n\n\
         hint: export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a simulated endpoint takes any values"
    )]
    NoCredentials { variable: &'static str },
    #[error("port {port} cannot be listened on: {source}\n\nhint: choose another with --listen-port")]
    Bind { port: u16, source: io::Error },
    #[error("`{}` cannot be read: {source}", .path.display())]
    Policies { path: PathBuf, source: io::Error },
    #[error(
        "the folder `{}` holds no policy\n\nhint: it must exist and hold *.rego files, and data.json where they use data",
        .folder.display()
    )]
    NoPolicies { folder: PathBuf },
    #[error("the policies cannot be enforced: {0}")]
    InvalidPolicies(#[from] InvalidPolicyBundle),
    #[error("a built-in schema cannot be used: {0}")]
    InvalidSchema(#[from] InvalidSchema),
    #[error("{0}")]
    Provision(#[from] ProvisionError),
    #[error("{0}")]
    Runtime(io::Error),
}

impl Failure {
    /// 2 for what the caller can mend by other arguments or input, 1 for the rest.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::NoCredentials { .. }
            | Failure::Bind { .. }
            | Failure::Policies { .. }
            | Failure::NoPolicies { .. }
            | Failure::InvalidPolicies(_) => ExitCode::from(2),
            Failure::InvalidSchema(_) | Failure::Provision(_) | Failure::Runtime(_) => ExitCode::FAILURE,
        }
    }
}
