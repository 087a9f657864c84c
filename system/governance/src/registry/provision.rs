//! Registers what is missing, as often as one likes.

use nexus_ports::{AlreadyThere, ReadFailure, SchemaCompatibility, SchemaDraft, SchemaRefused, WriteFailure};
use nexus_schemas::SchemaDocument;

use super::{NotAvailable, RegistryClient, SchemaDefinition, definition::by_schema};

/// What every schema is made to keep: a new version reads what the one before it wrote.
const COMPATIBILITY: SchemaCompatibility = SchemaCompatibility::Backward;
const DATA_FORMAT: &str = "JSON";

/// What registering came to. Obstacles in one schema do not keep the others from being registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaProvisioning {
    pub provisioned: Vec<ProvisionedSchema>,
    pub obstacles: Vec<SchemaObstacle>,
}

/// An event version whose schema is AVAILABLE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionedSchema {
    pub event_type: String,
    pub version: u32,
    /// The name under which it is registered.
    pub schema: String,
    /// Of the registry's version.
    pub id: String,
    /// False where it was there before.
    pub created: bool,
}

/// What stands in the way of an event version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaObstacle {
    #[error("the schema registry cannot be made: {failure}")]
    Registry { failure: WriteFailure<AlreadyThere> },
    #[error(
        "schema `{schema}` exists and is different: it is {found} where {DATA_FORMAT} with {COMPATIBILITY} is wanted; \
         it is left as it is"
    )]
    Different { schema: String, found: String },
    #[error("schema `{schema}` cannot be read: {failure}")]
    Unreadable { schema: String, failure: ReadFailure },
    #[error("{event_type} version {version} cannot be registered in schema `{schema}`: {failure}")]
    NotRegistered { event_type: String, version: u32, schema: String, failure: WriteFailure<SchemaRefused> },
    #[error("{event_type} version {version} cannot be used: {source}{}", hint(.source))]
    NotAvailable { event_type: String, version: u32, source: NotAvailable },
}

fn hint(not_available: &NotAvailable) -> &'static str {
    match not_available {
        NotAvailable::Judged { status: nexus_ports::SchemaVersionStatus::Failure, .. } => {
            "; the registry refused it for ever: it breaks with the versions before it, and needs a changed definition \
             or a schema of its own"
        }
        NotAvailable::Judged { .. } => "; it is being deleted: begin again when it is gone",
        NotAvailable::NotInTime { .. } => "; begin again in a while",
    }
}

/// Makes the registry and its schemas where they are missing, registers the documents as their versions, and waits until
/// each is AVAILABLE. Running it again changes nothing. What differs is never altered.
pub async fn provision_schemas(client: &RegistryClient, documents: &[SchemaDocument]) -> SchemaProvisioning {
    let mut outcome = SchemaProvisioning::default();
    match client.create_registry().await {
        Ok(()) | Err(WriteFailure::Refused(AlreadyThere)) => {}
        Err(failure) => {
            outcome.obstacles.push(SchemaObstacle::Registry { failure });
            return outcome;
        }
    }
    for (schema, versions) in by_schema(documents) {
        if let Err(obstacle) = provide(client, &schema, &versions, &mut outcome.provisioned).await {
            outcome.obstacles.push(obstacle);
        }
    }
    outcome
}

/// All versions of one schema, oldest first: each is judged by the ones before it, so that none is registered after one that
/// failed.
async fn provide(
    client: &RegistryClient,
    schema: &str,
    versions: &[SchemaDocument],
    provisioned: &mut Vec<ProvisionedSchema>,
) -> Result<(), SchemaObstacle> {
    let unreadable = |failure| SchemaObstacle::Unreadable { schema: schema.to_owned(), failure };
    let mut is_there = match client.traits(schema).await.map_err(unreadable)? {
        None => false,
        Some(traits) if traits.data_format == DATA_FORMAT && traits.compatibility == Some(COMPATIBILITY) => true,
        Some(traits) => {
            let mode = traits.compatibility.map_or_else(|| "an unknown mode".to_owned(), |mode| mode.to_string());
            let found = format!("{} with {mode}", traits.data_format);
            return Err(SchemaObstacle::Different { schema: schema.to_owned(), found });
        }
    };
    for document in versions {
        let definition = SchemaDefinition::from(document);
        let was_registered = is_there && client.look(&definition).await.map_err(unreadable)?.is_some();
        if !was_registered {
            register(client, document, &definition, is_there).await?;
            is_there = true;
        }
        let event_type = || document.event_type.to_owned();
        let version = document.version;
        let id = client.wait_until_available(&definition).await;
        let id = id.map_err(|source| SchemaObstacle::NotAvailable { event_type: event_type(), version, source })?;
        let created = !was_registered;
        provisioned.push(ProvisionedSchema {
            event_type: event_type(),
            version,
            schema: schema.to_owned(),
            id,
            created,
        });
    }
    Ok(())
}

/// Registers the definition, with its schema where that is not there yet. A schema that turns out to be there after all was
/// made by an attempt whose answer was lost, or by somebody else at the same time: then the version is registered.
async fn register(
    client: &RegistryClient,
    document: &SchemaDocument,
    definition: &SchemaDefinition,
    is_schema_there: bool,
) -> Result<(), SchemaObstacle> {
    let mut registered = Err(WriteFailure::Refused(SchemaRefused::AlreadyThere));
    if !is_schema_there {
        registered = client
            .create_schema(&SchemaDraft {
                schema: definition.schema().to_owned(),
                compatibility: COMPATIBILITY,
                definition: definition.text().to_owned(),
            })
            .await;
    }
    if let Err(WriteFailure::Refused(SchemaRefused::AlreadyThere)) = registered {
        registered = client.register(definition).await;
    }
    registered.map(|_| ()).map_err(|failure| SchemaObstacle::NotRegistered {
        event_type: document.event_type.to_owned(),
        version: document.version,
        schema: definition.schema().to_owned(),
        failure,
    })
}
