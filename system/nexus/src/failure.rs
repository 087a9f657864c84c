//! What can go wrong before or while a service runs, and the exit code for it.

use std::{io, path::PathBuf, process::ExitCode};

use nexus_aws::ProvisionError;
use nexus_aws_bus::BusProvisionError;
use nexus_governance::{InvalidPolicyBundle, InvalidSchema, SchemaObstacle};
use nexus_lambda_runtime::RuntimeEnded;
use nexus_ports::CallFailure;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "the environment variable `{variable}` is not set\n\n\
         hint: export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a simulated endpoint takes any values"
    )]
    NoCredentials { variable: &'static str },
    #[error("the container's credentials cannot be asked for: {0}")]
    ContainerCredentials(String),
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
    ProvisionBus(#[from] BusProvisionError),
    #[error("not every schema can be used from registry `{registry}`:{}", lines(.obstacles))]
    ProvisionSchemas { registry: String, obstacles: Vec<SchemaObstacle> },
    #[error(
        "{what} is not there in region {region}\n\nhint: `nexus provision` makes it; check names, region and account"
    )]
    Missing { what: String, region: String },
    #[error("{what} cannot be looked up: {failure}")]
    Lookup { what: String, failure: CallFailure },
    #[error("{what} cannot be read: {reason}")]
    Unreadable { what: String, reason: String },
    #[error(
        "the work under way did not end in time after the request to stop: it was broken off, and will be repeated"
    )]
    BrokenOff,
    #[error(
        "AWS_LAMBDA_RUNTIME_API {0}\n\nhint: Lambda sets it; outside of Lambda run `nexus event-router`, `nexus \
         projection` or `nexus notifier` instead"
    )]
    NoRuntimeApi(String),
    #[error("{0}")]
    RuntimeEnded(#[from] RuntimeEnded),
    #[error("{0}")]
    Runtime(io::Error),
}

fn lines(obstacles: &[SchemaObstacle]) -> String {
    obstacles.iter().map(|obstacle| format!("\n- {obstacle}")).collect()
}

impl Failure {
    /// 2 for what the caller can mend by other arguments or input, 1 for the rest.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::NoCredentials { .. }
            | Failure::ContainerCredentials(_)
            | Failure::Bind { .. }
            | Failure::Policies { .. }
            | Failure::NoPolicies { .. }
            | Failure::InvalidPolicies(_)
            | Failure::Missing { .. }
            | Failure::NoRuntimeApi(_) => ExitCode::from(2),
            Failure::InvalidSchema(_)
            | Failure::Provision(_)
            | Failure::ProvisionBus(_)
            | Failure::ProvisionSchemas { .. }
            | Failure::Lookup { .. }
            | Failure::Unreadable { .. }
            | Failure::BrokenOff
            | Failure::RuntimeEnded(_)
            | Failure::Runtime(_) => ExitCode::FAILURE,
        }
    }

    /// What kind of failure Lambda is told of, beside the text.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Failure::NoCredentials { .. } | Failure::ContainerCredentials(_) => "Nexus.NoCredentials",
            Failure::Missing { .. } => "Nexus.Missing",
            Failure::Lookup { .. } => "Nexus.Lookup",
            _ => "Nexus.Init",
        }
    }
}
