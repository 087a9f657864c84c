//! The command line.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use clap::{Args, Parser};
use nexus_aws::TableNames;

/// Event-sourced orders, governed from birth.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Takes commands by HTTP: POST /commands, GET /orders/{id}, GET /health
    CommandService(CommandServiceArguments),
    /// Creates the DynamoDB tables that are missing and waits until they are active
    Provision(AwsArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CommandServiceArguments {
    /// Port to listen on; 0 chooses a free one
    #[arg(long, default_value_t = 8080)]
    pub(crate) listen_port: u16,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub(crate) listen_address: IpAddr,
    /// Folder with policies (*.rego and data.json), instead of those built in
    #[arg(long, value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) aws: AwsArguments,
}

/// Where AWS is. Credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
#[derive(Debug, Args)]
pub(crate) struct AwsArguments {
    /// AWS region
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub(crate) region: String,
    /// Endpoint to use instead of the region's own, for example http://127.0.0.1:4566
    #[arg(long, env = "AWS_ENDPOINT_URL", value_name = "URL", value_parser = endpoint_url)]
    pub(crate) endpoint_url: Option<String>,
    /// Table of events
    #[arg(long, default_value_t = TableNames::default().events)]
    pub(crate) events_table: String,
    /// Table of idempotency records
    #[arg(long, default_value_t = TableNames::default().idempotency)]
    pub(crate) idempotency_table: String,
}

impl AwsArguments {
    pub(crate) fn table_names(&self) -> TableNames {
        TableNames {
            events: self.events_table.clone(),
            idempotency: self.idempotency_table.clone(),
            ..TableNames::default()
        }
    }
}

fn endpoint_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(authority) if !authority.is_empty() && !authority.starts_with('/') => Ok(text.to_owned()),
        _ => Err("it must begin with http:// or https:// and name a host".to_owned()),
    }
}
