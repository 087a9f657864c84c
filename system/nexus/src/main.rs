//! The real Nexus: the production platform and real AWS under the crates of `system/`.
//!
//! Where to start: `wiring.rs` says which crates stand behind which; `services.rs` and `functions.rs` run them.
#![forbid(unsafe_code)]

mod arguments;
mod aws;
mod credentials;
mod failure;
mod functions;
mod metrics;
mod output;
mod policies;
mod services;
mod stop;
mod wiring;

use std::{io::Write, process::ExitCode};

use clap::Parser;

use crate::{
    arguments::{Arguments, Subcommand},
    failure::Failure,
};

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)
        .and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where even standard error is gone, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "nexus: {failure}");
            failure.exit_code()
        }
    }
}

async fn run() -> Result<(), Failure> {
    match parse().await.subcommand {
        Subcommand::CommandService(arguments) => services::command_service(arguments).await,
        Subcommand::EventRouter(arguments) => services::event_router(arguments).await,
        Subcommand::Projection(arguments) => services::projection(arguments).await,
        Subcommand::Notifier(arguments) => services::notifier(arguments).await,
        Subcommand::DlqProcessor(arguments) => services::dlq_processor(arguments).await,
        Subcommand::QueryDashboard(arguments) => services::query_dashboard(arguments).await,
        Subcommand::Lambda(arguments) => functions::run(arguments).await,
        Subcommand::Provision(arguments) => services::provision(arguments).await,
    }
}

/// Ends the process with status 2 where the arguments are wrong, and 0 after --help.
async fn parse() -> Arguments {
    match Arguments::try_parse_from(functions::command_line()) {
        Ok(arguments) => arguments,
        Err(error) => {
            if error.use_stderr() {
                functions::report_wrong_arguments(error.to_string()).await;
            }
            error.exit()
        }
    }
}
