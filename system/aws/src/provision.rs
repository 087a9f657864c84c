//! Makes the tables, or finds that they are there already.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::create_table::builders::CreateTableFluentBuilder,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
        StreamViewType, TableDescription, TableStatus,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use nexus_ports::Platform;

use crate::{
    AwsConfig, TableNames, client,
    failures::{Failure, classify},
    tables::{Table, tables},
};

const POLL_PAUSE: Duration = Duration::from_millis(500);
/// Two minutes: a table usually becomes active within ten seconds.
const POLLS_MAX: u32 = 240;

/// A table that is there and active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionedTable {
    pub name: String,
    /// False where it was there before.
    pub created: bool,
}

/// Why the tables could not be provided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    #[error("table `{table}` exists with other keys or without its change stream; it is left as it is")]
    Different { table: String },
    #[error("table `{table}` was not active after {} s", .waited.as_secs())]
    NotActive { table: String, waited: Duration },
    #[error("table `{table}`: {code}: {message}")]
    Rejected { table: String, code: String, message: String },
    #[error("table `{table}`: no answer from DynamoDB: {reason}")]
    NoAnswer { table: String, reason: String },
}

/// Creates the tables that are missing and waits until all are active. Running it again changes nothing.
///
/// # Errors
/// [`ProvisionError`]; a table that differs is never altered.
pub async fn provision_tables(
    platform: &Platform,
    config: &AwsConfig,
    names: &TableNames,
) -> Result<Vec<ProvisionedTable>, ProvisionError> {
    let client = client::dynamodb(platform, config);
    let mut provisioned = Vec::new();
    for table in tables(names) {
        let created = create(&client, &table).await?;
        wait_until_active(platform, &client, &table).await?;
        provisioned.push(ProvisionedTable { name: table.name, created });
    }
    Ok(provisioned)
}

/// Says whether the table was made now. An unanswered creation is not an error: the wait that follows finds out.
async fn create(client: &Client, table: &Table) -> Result<bool, ProvisionError> {
    let call = create_table(client, table).map_err(|error| ProvisionError::Rejected {
        table: table.name.clone(),
        code: "ConstructionFailure".to_owned(),
        message: error.to_string(),
    })?;
    match call.send().await {
        Ok(_) => Ok(true),
        Err(error) => match classify(&error) {
            Failure::Rejected { code, .. } if code == "ResourceInUseException" => Ok(false),
            Failure::Rejected { code, message } => {
                Err(ProvisionError::Rejected { table: table.name.clone(), code, message })
            }
            Failure::NotSent { reason } => Err(ProvisionError::NoAnswer { table: table.name.clone(), reason }),
            Failure::Contended | Failure::Throttled { .. } | Failure::Unknown { .. } => Ok(true),
        },
    }
}

fn create_table(client: &Client, table: &Table) -> Result<CreateTableFluentBuilder, BuildError> {
    let mut call = client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
    for (name, kind, role) in table.keys {
        let attribute = AttributeDefinition::builder().attribute_name(*name);
        call = call.attribute_definitions(attribute.attribute_type(ScalarAttributeType::from(*kind)).build()?);
        call =
            call.key_schema(KeySchemaElement::builder().attribute_name(*name).key_type(KeyType::from(*role)).build()?);
    }
    if table.has_stream {
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
        call = call.stream_specification(stream.build()?);
    }
    Ok(call)
}

async fn wait_until_active(platform: &Platform, client: &Client, table: &Table) -> Result<(), ProvisionError> {
    let mut last_reason = None;
    for _ in 0..POLLS_MAX {
        match client.describe_table().table_name(&table.name).send().await {
            Ok(answer) => match answer.table() {
                Some(description) if description.table_status() == Some(&TableStatus::Active) => {
                    return compare(table, description);
                }
                _ => last_reason = None,
            },
            Err(error) => last_reason = rejected_or_reason(table, &error)?,
        }
        platform.sleep(POLL_PAUSE).await;
    }
    let table = table.name.clone();
    Err(match last_reason {
        Some(reason) => ProvisionError::NoAnswer { table, reason },
        None => ProvisionError::NotActive { table, waited: POLL_PAUSE * POLLS_MAX },
    })
}

/// A table just made may not be known everywhere yet, so that its absence is waited out.
fn rejected_or_reason<E>(table: &Table, error: &SdkError<E, HttpResponse>) -> Result<Option<String>, ProvisionError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match classify(error) {
        Failure::Rejected { code, .. } if code == "ResourceNotFoundException" => Ok(Some(code)),
        Failure::Rejected { code, message } => {
            Err(ProvisionError::Rejected { table: table.name.clone(), code, message })
        }
        Failure::Throttled { code } => Ok(Some(code)),
        Failure::NotSent { reason } | Failure::Unknown { reason } => Ok(Some(reason)),
        Failure::Contended => Ok(Some("contention".to_owned())),
    }
}

fn compare(table: &Table, description: &TableDescription) -> Result<(), ProvisionError> {
    let keys = description.key_schema().iter().map(|key| {
        let attributes = description.attribute_definitions();
        let attribute = attributes.iter().find(|attribute| attribute.attribute_name() == key.attribute_name());
        let kind = attribute.map_or("", |attribute| attribute.attribute_type().as_str());
        (key.attribute_name(), kind, key.key_type().as_str())
    });
    let stream = description.stream_specification();
    let stream_is_right = !table.has_stream
        || stream.is_some_and(|stream| {
            stream.stream_enabled()
                && matches!(stream.stream_view_type(), Some(StreamViewType::NewImage | StreamViewType::NewAndOldImages))
        });
    if keys.eq(table.keys.iter().copied()) && stream_is_right {
        Ok(())
    } else {
        Err(ProvisionError::Different { table: table.name.clone() })
    }
}
