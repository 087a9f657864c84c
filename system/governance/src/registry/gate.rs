//! What stands before persistence and before routing.

use std::{collections::BTreeMap, sync::Arc};

use nexus_ports::SchemaVersionStatus;
use nexus_schemas::SchemaDocument;
use serde_json::Value;

use super::{RegistryClient, RegistryUnreachable, SchemaDefinition};
use crate::{InvalidSchema, SchemaRejection, SchemaValidator};

/// Lets a payload through if its schema may be used and the payload has its shape. Cheap to clone.
///
/// With a registry, an event version may be used while the registry has AVAILABLE exactly the definition that this program
/// was built with. Without one, what the program was built with is all that counts: `SchemaGate::from(validator)`.
#[derive(Clone)]
pub struct SchemaGate {
    validator: Arc<SchemaValidator>,
    registered: Option<Arc<Registered>>,
}

struct Registered {
    client: Arc<RegistryClient>,
    definitions: BTreeMap<String, BTreeMap<u32, SchemaDefinition>>,
}

/// Why a payload was not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateRefusal {
    #[error(transparent)]
    Invalid(#[from] SchemaRejection),
    #[error(transparent)]
    NotUsable(#[from] SchemaNotUsable),
    #[error(transparent)]
    Pending(#[from] SchemaPending),
    #[error(transparent)]
    Unreachable(#[from] RegistryUnreachable),
}

/// The registry says that this event version may not be used: only a person can change that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the definition of {event_type} version {version} {} in schema `{schema}` of the registry", stands(.status))]
pub struct SchemaNotUsable {
    pub event_type: String,
    pub version: u32,
    pub schema: String,
    /// `None`: the registry has no such definition.
    pub status: Option<SchemaVersionStatus>,
}

/// The registry has the definition and has not judged it yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the definition of {event_type} version {version} is still PENDING in schema `{schema}` of the registry")]
pub struct SchemaPending {
    pub event_type: String,
    pub version: u32,
    pub schema: String,
}

fn stands(status: &Option<SchemaVersionStatus>) -> String {
    match status {
        Some(status) => format!("is {status}"),
        None => "is not registered".to_owned(),
    }
}

impl From<Arc<SchemaValidator>> for SchemaGate {
    /// Asks no registry.
    fn from(validator: Arc<SchemaValidator>) -> Self {
        Self { validator, registered: None }
    }
}

impl SchemaGate {
    /// Compiles the documents, and holds the registry to the same ones.
    ///
    /// # Errors
    /// As [`SchemaValidator::compile`].
    pub fn with_registry(documents: &[SchemaDocument], client: Arc<RegistryClient>) -> Result<Self, InvalidSchema> {
        let validator = Arc::new(SchemaValidator::from_documents(documents)?);
        let mut definitions = BTreeMap::<String, BTreeMap<u32, SchemaDefinition>>::new();
        for document in documents {
            let versions = definitions.entry(document.event_type.to_owned()).or_default();
            versions.insert(document.version, SchemaDefinition::from(document));
        }
        Ok(Self { validator, registered: Some(Arc::new(Registered { client, definitions })) })
    }

    /// Whether anything but the program's own schemas is asked.
    pub fn asks_registry(&self) -> bool {
        self.registered.is_some()
    }

    /// Checks that the event version may be used and that the payload has its shape.
    ///
    /// # Errors
    /// See [`GateRefusal`].
    pub async fn check(&self, event_type: &str, version: u32, payload: &Value) -> Result<(), GateRefusal> {
        self.clear(event_type, version).await?;
        Ok(self.validate(event_type, version, payload)?)
    }

    /// Checks the payload's shape alone.
    ///
    /// # Errors
    /// As [`SchemaValidator::validate`].
    pub fn validate(&self, event_type: &str, version: u32, payload: &Value) -> Result<(), SchemaRejection> {
        self.validator.validate(event_type, version, payload)
    }

    /// Checks that the event version may be used.
    ///
    /// # Errors
    /// All of [`GateRefusal`]; of [`GateRefusal::Invalid`] only that no schema is known.
    pub async fn clear(&self, event_type: &str, version: u32) -> Result<(), GateRefusal> {
        let Some(registered) = &self.registered else { return Ok(()) };
        let definition = registered.definitions.get(event_type).and_then(|versions| versions.get(&version));
        let definition =
            definition.ok_or_else(|| SchemaRejection::UnknownSchema { event_type: event_type.to_owned(), version })?;
        if registered.client.is_known_available(definition) {
            return Ok(());
        }
        let status = registered.client.find(definition).await?.map(|found| found.status);
        let (event_type, schema) = (event_type.to_owned(), definition.schema().to_owned());
        match status {
            Some(SchemaVersionStatus::Available) => Ok(()),
            Some(SchemaVersionStatus::Pending) => Err(SchemaPending { event_type, version, schema }.into()),
            _ => Err(SchemaNotUsable { event_type, version, schema, status }.into()),
        }
    }
}
