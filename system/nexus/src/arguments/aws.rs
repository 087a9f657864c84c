//! Where AWS is, and what its tables are called.

use clap::Args;
use nexus_aws::TableNames;

use super::addresses::{endpoint_url, region, registry_name, table_name};

/// Where AWS is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "AWS")]
pub(crate) struct AwsArguments {
    /// AWS region
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1", value_parser = region)]
    pub(crate) region: String,
    /// Endpoint to use instead of the region's own, for example http://127.0.0.1:4566
    #[arg(long, env = "AWS_ENDPOINT_URL", value_name = "URL", value_parser = endpoint_url)]
    pub(crate) endpoint_url: Option<String>,
    /// Endpoint of DynamoDB alone
    #[arg(long, env = "AWS_ENDPOINT_URL_DYNAMODB", value_name = "URL", value_parser = endpoint_url)]
    pub(crate) dynamodb_endpoint_url: Option<String>,
    /// Endpoint of DynamoDB Streams alone
    #[arg(long, env = "AWS_ENDPOINT_URL_DYNAMODB_STREAMS", value_name = "URL", value_parser = endpoint_url)]
    pub(crate) dynamodb_streams_endpoint_url: Option<String>,
    /// Endpoint of Glue alone
    #[arg(long, env = "AWS_ENDPOINT_URL_GLUE", value_name = "URL", value_parser = endpoint_url)]
    pub(crate) glue_endpoint_url: Option<String>,
    /// Endpoint of Kinesis alone
    #[arg(long, env = "AWS_ENDPOINT_URL_KINESIS", value_name = "URL", value_parser = endpoint_url)]
    pub(crate) kinesis_endpoint_url: Option<String>,
    /// Endpoint of SNS alone
    #[arg(long, env = "AWS_ENDPOINT_URL_SNS", value_name = "URL", value_parser = endpoint_url)]
    pub(crate) sns_endpoint_url: Option<String>,
    /// Endpoint of SQS alone
    #[arg(long, env = "AWS_ENDPOINT_URL_SQS", value_name = "URL", value_parser = endpoint_url)]
    pub(crate) sqs_endpoint_url: Option<String>,
}

/// Who says which schemas count.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Schemas")]
pub(crate) struct RegistryArguments {
    /// Schema registry (AWS Glue) that must have the schema of every event as AVAILABLE
    ///
    /// Without it the schemas that are built in are all that counts. `nexus provision`, given the same name, makes the
    /// registry and registers them. A service needs leave for glue:GetSchemaByDefinition; `nexus provision` moreover for
    /// glue:CreateRegistry, glue:CreateSchema, glue:GetSchema and glue:RegisterSchemaVersion.
    #[arg(long, env = "NEXUS_SCHEMA_REGISTRY", value_name = "NAME", value_parser = registry_name)]
    pub(crate) schema_registry: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tables")]
pub(crate) struct TableArguments {
    /// Table of events
    #[arg(long, env = "NEXUS_EVENTS_TABLE", value_name = "NAME", default_value_t = TableNames::default().events, value_parser = table_name)]
    pub(crate) events_table: String,
    /// Table of idempotency records
    #[arg(long, env = "NEXUS_IDEMPOTENCY_TABLE", value_name = "NAME", default_value_t = TableNames::default().idempotency, value_parser = table_name)]
    pub(crate) idempotency_table: String,
    /// Table of leases on shards
    #[arg(long, env = "NEXUS_LEASES_TABLE", value_name = "NAME", default_value_t = TableNames::default().leases, value_parser = table_name)]
    pub(crate) leases_table: String,
    /// Table of views: the read model
    #[arg(long, env = "NEXUS_VIEWS_TABLE", value_name = "NAME", default_value_t = TableNames::default().views, value_parser = table_name)]
    pub(crate) views_table: String,
    /// Table of notifications
    #[arg(long, env = "NEXUS_OUTBOX_TABLE", value_name = "NAME", default_value_t = TableNames::default().outbox, value_parser = table_name)]
    pub(crate) outbox_table: String,
    /// Table of parked aggregates
    #[arg(long, env = "NEXUS_PARKED_TABLE", value_name = "NAME", default_value_t = TableNames::default().parked, value_parser = table_name)]
    pub(crate) parked_table: String,
    /// Table of quarantined letters
    #[arg(long, env = "NEXUS_QUARANTINE_TABLE", value_name = "NAME", default_value_t = TableNames::default().quarantine, value_parser = table_name)]
    pub(crate) quarantine_table: String,
}

impl TableArguments {
    pub(crate) fn names(&self) -> TableNames {
        TableNames {
            events: self.events_table.clone(),
            idempotency: self.idempotency_table.clone(),
            leases: self.leases_table.clone(),
            views: self.views_table.clone(),
            outbox: self.outbox_table.clone(),
            parked: self.parked_table.clone(),
            quarantine: self.quarantine_table.clone(),
        }
    }
}
