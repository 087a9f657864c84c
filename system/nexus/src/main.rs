//! The real wiring: which crates stand behind which, on the production platform and real AWS.
//!
//! Read it beside the simulated wiring in `sim/world`: the same crates, other ends.
#![forbid(unsafe_code)]

mod arguments;
mod failure;
mod policies;

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use nexus_aws::{AwsConfig, DynamoEventStorage, provision_tables};
use nexus_command_service::{CommandService, CommandServiceSettings, router, serve_until};
use nexus_event_store::{EventStore, EventStoreSettings};
use nexus_governance::SchemaValidator;
use nexus_platform::ProductionPlatform;
use nexus_ports::Platform;

use crate::{
    arguments::{Arguments, AwsArguments, CommandServiceArguments, Subcommand},
    failure::Failure,
};

/// How long requests under way may take after a request to stop: a little more than their deadline.
const GRACE: Duration = Duration::from_secs(12);

fn main() -> ExitCode {
    // Ends the process with status 2 where the arguments are wrong, and 0 after --help.
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where even standard error is gone, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "nexus: {failure}");
            failure.exit_code()
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.subcommand {
        Subcommand::CommandService(arguments) => command_service(arguments).await,
        Subcommand::Provision(arguments) => provision(arguments).await,
    }
}

async fn command_service(arguments: CommandServiceArguments) -> Result<(), Failure> {
    let platform = ProductionPlatform::new("command-service").listen_address(arguments.listen_address).build();
    let config = aws_config(&arguments.aws)?;
    let storage = DynamoEventStorage::new(platform.clone(), &config, arguments.aws.table_names());
    let store = EventStore::new(platform.clone(), Arc::new(storage), EventStoreSettings::default());
    let enforcer = Arc::new(policies::enforcer(arguments.policies.as_deref()).await?);
    let validator = Arc::new(SchemaValidator::from_catalogue()?);
    let settings = CommandServiceSettings::default();
    let service = CommandService::new(platform.clone(), store, enforcer, validator, settings);
    listen(platform, &arguments, router(Arc::new(service))).await
}

async fn listen(platform: Platform, arguments: &CommandServiceArguments, router: axum::Router) -> Result<(), Failure> {
    let port = arguments.listen_port;
    let acceptor = platform.listener.bind(port).await.map_err(|source| Failure::Bind { port, source })?;
    say(&format!("listening on http://{}:{}", arguments.listen_address, acceptor.local_port()))?;
    serve_until(platform, acceptor, router, stop_requested(), GRACE).await;
    Ok(())
}

/// Resolves at an interrupt from the keyboard or a request to terminate, as container runtimes send it.
async fn stop_requested() {
    tokio::select! {
        biased;
        () = interrupted() => {}
        () = terminated() => {}
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // The signal cannot be listened to: its default, the end of the process, stays in force.
        std::future::pending().await
    }
}

#[cfg(unix)]
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => _ = terminate.recv().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

async fn provision(arguments: AwsArguments) -> Result<(), Failure> {
    let platform = nexus_platform::production("provision");
    for table in provision_tables(&platform, &aws_config(&arguments)?, &arguments.table_names()).await? {
        say(&format!("{}: {}", table.name, if table.created { "created" } else { "was there already" }))?;
    }
    Ok(())
}

fn aws_config(arguments: &AwsArguments) -> Result<AwsConfig, Failure> {
    let read = |name: &'static str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let required = |name| read(name).ok_or(Failure::NoCredentials { variable: name });
    let credentials = nexus_aws::static_credentials(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        read("AWS_SESSION_TOKEN"),
    );
    let mut config = AwsConfig::new(&arguments.region, credentials);
    config.endpoint_url.clone_from(&arguments.endpoint_url);
    Ok(config)
}

fn say(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(Failure::Runtime)
}
