//! The schema registry of a world: who asks it, and how it is set up, spoiled and mended behind the system's back.

use std::{sync::Arc, time::Duration};

use nexus_aws_glue::GlueRegistry;
use nexus_cloud::{Cloud, Quirk, Service, UnixNanos, service::ServiceError};
use nexus_governance::{
    InvalidSchema, RegistryClient, RegistrySettings, SchemaDefinition, SchemaGate, SchemaValidator,
    registered_schema_name,
};
use nexus_ports::{NoMetrics, Platform};
use nexus_schemas::SchemaDocument;
use serde_json::{Value, json};

use crate::wiring::aws_config_for;

/// The registry's name.
pub const REGISTRY: &str = "nexus";

/// How services of a world ask the registry.
#[derive(Clone, Debug)]
pub struct AskedRegistry {
    pub fresh_for: Duration,
    pub negative_for: Duration,
    pub stale_for: Duration,
    pub connect_timeout: Duration,
    pub attempt_timeout: Duration,
}

impl AskedRegistry {
    fn client(&self, platform: &Platform) -> RegistryClient {
        let config = aws_config_for(Service::Glue, self.connect_timeout, self.attempt_timeout);
        let settings = RegistrySettings {
            fresh_for: self.fresh_for,
            negative_for: self.negative_for,
            stale_for: self.stale_for,
            ..RegistrySettings::default()
        };
        let registry = GlueRegistry::new(platform, &config, REGISTRY);
        RegistryClient::new(platform.clone(), Arc::new(registry), Arc::new(NoMetrics), settings)
    }
}

/// What a host's release goes by: these documents, and the registry before them where one is asked.
///
/// # Errors
/// A document is no usable schema.
pub(crate) fn gate(
    platform: &Platform,
    asked: Option<&AskedRegistry>,
    documents: &[SchemaDocument],
) -> Result<SchemaGate, InvalidSchema> {
    match asked {
        Some(asked) => SchemaGate::with_registry(documents, Arc::new(asked.client(platform))),
        None => Ok(Arc::new(SchemaValidator::from_documents(documents)?).into()),
    }
}

/// Makes the registry and registers every document, as `nexus provision` does, but for those of the event types left out.
///
/// # Errors
/// What the simulated AWS refuses.
pub fn set_up(cloud: &mut Cloud, now: UnixNanos, left_out: &[String]) -> Result<(), ServiceError> {
    cloud.call_now(now, Service::Glue, "CreateRegistry", json!({"RegistryName": REGISTRY}))?;
    for document in nexus_schemas::all() {
        if !left_out.iter().any(|event_type| event_type == document.event_type) {
            register_document(cloud, now, document, &[])?;
        }
    }
    Ok(())
}

/// Registers all versions of an event type, with what is to go wrong at it.
///
/// # Errors
/// What the simulated AWS refuses.
pub fn register(cloud: &mut Cloud, now: UnixNanos, event_type: &str, quirks: &[Quirk]) -> Result<(), ServiceError> {
    documents_of(event_type).try_for_each(|document| register_document(cloud, now, document, quirks))
}

/// Lets every version of an event type be usable again. `Ok(false)`: what failed is being deleted, and the rest follows.
///
/// # Errors
/// What the simulated AWS refuses.
pub fn mend(cloud: &mut Cloud, now: UnixNanos, event_type: &str) -> Result<bool, ServiceError> {
    cloud.call_now(now, Service::Glue, "ReleasePendingVersions", json!({}))?;
    let mut is_whole = true;
    for document in documents_of(event_type) {
        match status_of(cloud, now, document)?.as_deref() {
            Some("AVAILABLE") => {}
            None => register_document(cloud, now, document, &[])?,
            // A failed version keeps its definition for itself, and the first of a schema goes with the schema only.
            Some(_) => {
                let schema = json!({"SchemaId": schema_id(document)});
                cloud.call_now(now, Service::Glue, "DeleteSchema", schema)?;
                is_whole = false;
            }
        }
    }
    Ok(is_whole)
}

/// Registers a version of an event type's newest schema that asks for a field which no event has.
///
/// # Errors
/// What the simulated AWS refuses.
pub fn push_breaking_version(cloud: &mut Cloud, now: UnixNanos, event_type: &str) -> Result<(), ServiceError> {
    let Some(document) = documents_of(event_type).last() else { return Ok(()) };
    let mut definition: Value = serde_json::from_str(document.text)
        .map_err(|error| ServiceError::client("InvalidInputException", error.to_string()))?;
    definition["properties"]["loyalty_tier"] = json!({"type": "string"});
    if let Some(required) = definition["required"].as_array_mut() {
        required.push(json!("loyalty_tier"));
    }
    let request = json!({"SchemaId": schema_id(document), "SchemaDefinition": definition.to_string()});
    cloud.call_now(now, Service::Glue, "RegisterSchemaVersion", request).map(|_| ())
}

/// Each event version as `type/version`, the key that calls about its schema carry, and its definition.
pub fn registered() -> Vec<(String, String, String)> {
    let all = nexus_schemas::all().iter();
    all.map(|document| {
        let schema = registered_schema_name(document.event_type, document.version);
        let name = format!("{}/{}", document.event_type, document.version);
        (name, format!("{REGISTRY}/{schema}"), document.text.to_owned())
    })
    .collect()
}

fn documents_of(event_type: &str) -> impl Iterator<Item = &'static SchemaDocument> + use<> {
    let event_type = event_type.to_owned();
    nexus_schemas::all().iter().filter(move |document| document.event_type == event_type)
}

fn schema_id(document: &SchemaDocument) -> Value {
    let name = registered_schema_name(document.event_type, document.version);
    json!({"RegistryName": REGISTRY, "SchemaName": name})
}

fn register_document(
    cloud: &mut Cloud,
    now: UnixNanos,
    document: &SchemaDocument,
    quirks: &[Quirk],
) -> Result<(), ServiceError> {
    let definition = SchemaDefinition::from(document);
    let schema = json!({
        "RegistryId": {"RegistryName": REGISTRY},
        "SchemaName": definition.schema(),
        "DataFormat": "JSON",
        "Compatibility": "BACKWARD",
        "SchemaDefinition": definition.text(),
    });
    match cloud.call_now_with_quirks(now, Service::Glue, "CreateSchema", schema, quirks) {
        Err(error) if error.code == "AlreadyExistsException" => {
            let version = json!({"SchemaId": schema_id(document), "SchemaDefinition": definition.text()});
            cloud.call_now_with_quirks(now, Service::Glue, "RegisterSchemaVersion", version, quirks).map(|_| ())
        }
        created => created.map(|_| ()),
    }
}

fn status_of(cloud: &mut Cloud, now: UnixNanos, document: &SchemaDocument) -> Result<Option<String>, ServiceError> {
    let request = json!({"SchemaId": schema_id(document), "SchemaDefinition": document.text});
    match cloud.call_now(now, Service::Glue, "GetSchemaByDefinition", request) {
        Ok(found) => Ok(found["Status"].as_str().map(str::to_owned)),
        Err(error) if error.code == "EntityNotFoundException" => Ok(None),
        Err(error) => Err(error),
    }
}
