//! The command line.

mod addresses;
mod aws;
mod bus;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use clap::{Args, Parser};

pub(crate) use addresses::{QueueAddress, TopicAddress};
pub(crate) use aws::{AwsArguments, RegistryArguments, TableArguments};
pub(crate) use bus::{
    DlqProcessorArguments, EventRouterArguments, NotifierArguments, NotifierEnds, ProjectionArguments, ProjectionEnds,
    ProvisionArguments, RouterEnds, WorkerArguments,
};

/// Event-sourced orders, governed from birth.
///
/// Settings with a variable can come from the environment; what the command line says goes first. Credentials come from
/// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or else from the container's endpoint
/// (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI). Metrics are lines on standard output, in
/// CloudWatch's embedded metric format. A request to terminate ends the work in order.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

const EXAMPLES: &str = "\
Examples:
  export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any   (a simulated AWS)
  nexus provision
  nexus command-service --listen-port 8080
  nexus event-router & nexus projection & nexus notifier & nexus dlq-processor &
  nexus query-dashboard --listen-port 8081";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Takes commands by HTTP: POST /commands, GET /orders/{id}, GET /health
    CommandService(CommandServiceArguments),
    /// Takes committed events from the event table's change stream to the core stream and the background topic
    ///
    /// Any number of routers share the work by leases. A router that ends leaves its leases to the others.
    #[command(after_help = "Example:\n  nexus event-router --lease-seconds 10")]
    EventRouter(EventRouterArguments),
    /// Keeps the read model: works off the core stream into one view per order and payment
    #[command(after_help = "Example:\n  nexus projection --core-stream nexus-core")]
    Projection(ProjectionArguments),
    /// Works off the notification queue: one record in the outbox per event
    #[command(after_help = "Example:\n  nexus notifier --notification-queue nexus-notifications")]
    Notifier(NotifierArguments),
    /// Works off dead letters (redrives or quarantines them) and releases parked aggregates
    #[command(after_help = "Example:\n  nexus dlq-processor --redrives-per-second 20 --run-every-seconds 30")]
    DlqProcessor(DlqProcessorArguments),
    /// Shows the read model by HTTP: GET /views/{stream}, GET /health
    #[command(
        after_help = "Example:\n  nexus query-dashboard --listen-port 8081\n  curl http://127.0.0.1:8081/views/order-o-1"
    )]
    QueryDashboard(QueryDashboardArguments),
    /// Runs as a Lambda function on a custom runtime (`provided.al2023`, or a container image)
    ///
    /// Lambda names its runtime API in AWS_LAMBDA_RUNTIME_API. A program called without arguments, as a `bootstrap` file
    /// is, takes the function's handler setting (`_HANDLER`: event-router, projection or notifications) for the command.
    /// Event source mappings need `ReportBatchItemFailures`.
    #[command(after_help = "Example, as the CMD of a container image:\n  nexus lambda event-router")]
    Lambda(LambdaArguments),
    /// Creates what is missing of tables, bus and, where one is named, schema registry; waits until it is usable, and says what was there already
    ///
    /// Whatever exists is left as it is; where it differs from what is wanted, that is an error.
    #[command(after_help = "Example:\n  nexus provision --core-shards 2 --schema-registry nexus")]
    Provision(ProvisionArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CommandServiceArguments {
    #[command(flatten)]
    pub(crate) listen: ListenArguments<8080>,
    /// Folder with policies (*.rego and data.json), instead of those built in
    #[arg(long, value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
    #[command(flatten)]
    pub(crate) tables: TableArguments,
    #[command(flatten)]
    pub(crate) aws: AwsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct QueryDashboardArguments {
    #[command(flatten)]
    pub(crate) listen: ListenArguments<8081>,
    #[command(flatten)]
    pub(crate) tables: TableArguments,
    #[command(flatten)]
    pub(crate) aws: AwsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ListenArguments<const DEFAULT_PORT: u16> {
    /// Port to listen on; 0 chooses a free one
    #[arg(long, default_value_t = DEFAULT_PORT)]
    pub(crate) listen_port: u16,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub(crate) listen_address: IpAddr,
}

#[derive(Debug, Args)]
pub(crate) struct LambdaArguments {
    #[command(subcommand)]
    pub(crate) function: FunctionArguments,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum FunctionArguments {
    /// Behind the event table's change stream
    EventRouter(RouterEnds),
    /// Behind the core stream
    Projection(ProjectionEnds),
    /// Behind the notification queue
    Notifications(NotifierEnds),
}
