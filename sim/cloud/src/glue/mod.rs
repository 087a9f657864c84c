//! Simulated Glue, the Schema Registry only: registries, schemas, versions that are judged some time after they were
//! registered, and their metadata.
//!
//! Read in the service's model: operations, members, errors, limits. Modelled, since no source tells it (‡ in the fact
//! sheet): how long a version is PENDING; what of a JSON schema is compared ([`reading`]); that versions are judged in the
//! order of their numbers; that lists come in the order of names or numbers; that numbers are never used twice, while
//! LatestSchemaVersion and NextSchemaVersion go by the newest AVAILABLE version; that a checkpoint which is to be deleted
//! is invalid input; that what is being deleted is shown and takes no part in anything else. Rates of calls are not limited.

mod codec;
mod compatibility;
mod definition;
mod errors;
mod input;
mod listing;
mod metadata;
mod model;
mod naming;
mod operations;
mod reading;
mod registries;
mod schemas;
mod tags;
mod versions;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::{
    model::{Registry, Status, Version},
    naming::DEFAULT_REGISTRY,
    operations::Operation,
};
use crate::{
    interface::{Call, RefuseBefore, SchemaVersionStatus, Service, WireRequest},
    latency::Cost,
    service::{
        Answer, CallShape, Decoded, Encoded, Execution, InternalAnswer, ServiceContext, ServiceError, SimulatedService,
    },
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GlueConfig {
    /// Registries that the account may have.
    pub registry_limit: usize,
    /// Schemas that it may have, in all registries.
    pub schema_limit: usize,
    /// Versions that it may have, in all schemas, whatever their status.
    pub version_limit: usize,
    /// How long registries, schemas and versions stay DELETING, in milliseconds.
    pub deletion_ms: u64,
}

impl Default for GlueConfig {
    /// Quotas as AWS listed them at first; they have been raised since, and may be on request.
    fn default() -> Self {
        Self { registry_limit: 10, schema_limit: 1_000, version_limit: 1_000, deletion_ms: 1_000 }
    }
}

/// All registries of one account and region.
#[derive(Debug)]
pub struct Glue {
    config: GlueConfig,
    account_id: String,
    region: String,
    registries: BTreeMap<String, Registry>,
    /// Where each version is, by its id.
    addresses: BTreeMap<String, Address>,
    alarms: BTreeMap<u64, Alarm>,
    /// Alarms set so far; each has its number.
    alarms_set: u64,
}

#[derive(Debug)]
struct Address {
    registry: String,
    schema: String,
    number: u64,
}

/// Something begun that takes a while.
#[derive(Debug)]
enum Alarm {
    Judge { version_id: String },
    RemoveVersions { ids: Vec<String> },
    RemoveSchema { registry: String, schema: String },
    RemoveRegistry { registry: String },
}

impl Glue {
    pub fn new(config: GlueConfig, account_id: String, region: String) -> Self {
        Self {
            config,
            account_id,
            region,
            registries: BTreeMap::new(),
            addresses: BTreeMap::new(),
            alarms: BTreeMap::new(),
            alarms_set: 0,
        }
    }

    fn set_alarm(&mut self, context: &mut ServiceContext<'_>, after: Duration, alarm: Alarm) {
        self.alarms_set += 1;
        self.alarms.insert(self.alarms_set, alarm);
        context.wake_at(context.now.plus(after), self.alarms_set);
    }

    /// What is set up without a network is gone as soon as time goes on.
    fn deletion_time(&self, context: &ServiceContext<'_>) -> Duration {
        Duration::from_millis(if context.call_sequence == 0 { 0 } else { self.config.deletion_ms })
    }

    fn ring(&mut self, context: &mut ServiceContext<'_>, number: u64, alarm: Alarm) {
        match alarm {
            Alarm::Judge { version_id } => self.judge(context, &version_id),
            Alarm::RemoveVersions { ids } => {
                for id in ids {
                    self.remove_version(context, &id);
                }
            }
            Alarm::RemoveSchema { registry, schema } => {
                let Some(found) = self.registries.get_mut(&registry) else { return };
                // It may have gone with its registry, and come again.
                let is_it = found.schemas.get(&schema).is_some_and(|it| it.status == Status::Deleting(number));
                if let Some(removed) = is_it.then(|| found.schemas.remove(&schema)).flatten() {
                    self.forget(context, &registry, &schema, removed.versions.into_values());
                }
            }
            Alarm::RemoveRegistry { registry } => {
                if self.registries.get(&registry).is_none_or(|it| it.status != Status::Deleting(number)) {
                    return;
                }
                let Some(removed) = self.registries.remove(&registry) else { return };
                for (name, schema) in removed.schemas {
                    self.forget(context, &registry, &name, schema.versions.into_values());
                }
            }
        }
    }

    fn remove_version(&mut self, context: &mut ServiceContext<'_>, id: &str) {
        let Some(Address { registry, schema, number }) = self.addresses.get(id) else { return };
        let (registry, schema, number) = (registry.clone(), schema.clone(), *number);
        let found = self.registries.get_mut(&registry).and_then(|found| found.schemas.get_mut(&schema));
        let version = found.and_then(|found| found.versions.remove(&number));
        self.forget(context, &registry, &schema, version.into_iter());
    }

    /// The end of versions that were taken out of their schema.
    fn forget(
        &mut self,
        context: &mut ServiceContext<'_>,
        registry: &str,
        schema: &str,
        versions: impl Iterator<Item = Version>,
    ) {
        for mut version in versions {
            version.change(context, registry, schema, SchemaVersionStatus::Deleted);
            self.addresses.remove(&version.id);
        }
    }

    /// `registry/schema` or `registry`, as far as can be told without reading the request properly.
    fn key_of(&self, operation: &str, request: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let arn = |value: &Value| value.as_str().and_then(|arn| Some(arn.split_once('/')?.1.to_owned()));
        let id = &request["SchemaId"];
        if let Some(key) = arn(&id["SchemaArn"]).or_else(|| arn(&request["ResourceArn"])) {
            return Some(key);
        }
        if let Some(schema) = id["SchemaName"].as_str() {
            return Some(format!("{}/{schema}", id["RegistryName"].as_str().unwrap_or(DEFAULT_REGISTRY)));
        }
        if let Some(version_id) = request["SchemaVersionId"].as_str() {
            let address = self.addresses.get(version_id);
            return address.map(|address| format!("{}/{}", address.registry, address.schema));
        }
        let of = &request["RegistryId"];
        let named =
            text(&of["RegistryName"]).or_else(|| arn(&of["RegistryArn"])).or_else(|| text(&request["RegistryName"]));
        match operation {
            "CreateSchema" => {
                let registry = named.unwrap_or_else(|| DEFAULT_REGISTRY.to_owned());
                Some(format!("{registry}/{}", request["SchemaName"].as_str().unwrap_or_default()))
            }
            _ => named,
        }
    }
}

impl SimulatedService for Glue {
    fn decode(&self, wire: &WireRequest) -> Result<Decoded, ServiceError> {
        codec::decode(wire, |name| Operation::find(name).is_some())
    }

    fn encode(&self, _operation: &str, result: &Result<Answer, ServiceError>, _request_id: &str) -> Encoded {
        codec::encode(result)
    }

    fn shape(&self, operation: &str, request: &Value) -> CallShape {
        let is_write = Operation::find(operation).is_some_and(|operation| operation.is_write);
        let class = if is_write { "glue-write" } else { "glue-read" };
        let keys = self.key_of(operation, request).into_iter().collect();
        CallShape { keys, is_write, cost: Cost { class, items: 1 } }
    }

    fn execute(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: Value) -> Execution {
        let result = match Operation::find(operation) {
            Some(known) => self.run(context, known, &request),
            // No operation of the service: a call over the wire cannot name it.
            None if operation == "ReleasePendingVersions" && context.call_sequence == 0 => {
                Ok(self.release_pending_versions(context))
            }
            None => Err(ServiceError::client("UnknownOperationException", "")),
        };
        Execution::from(result)
    }

    fn wake(&mut self, context: &mut ServiceContext<'_>, token: u64) {
        if let Some(alarm) = self.alarms.remove(&token) {
            self.ring(context, token, alarm);
        }
    }

    fn answered(&mut self, _context: &mut ServiceContext<'_>, _token: u64, _answer: InternalAnswer) {
        // The registry asks no neighbour for anything.
    }

    fn refusal(&self, refusal: RefuseBefore, call: &Call) -> ServiceError {
        let can_conflict = Operation::find(&call.operation).is_some_and(|operation| operation.can_conflict);
        errors::refusal(refusal, can_conflict)
    }

    fn inspect(&self) -> Value {
        json!({"registries": self.inspect_registries(), "changes_pending": self.alarms.len()})
    }
}

/// Glue for a cloud of this account and region.
pub fn service(config: &crate::CloudConfig) -> (Service, Box<dyn SimulatedService>) {
    let glue = Glue::new(config.glue.clone(), config.account_id.clone(), config.region.clone());
    (Service::Glue, Box::new(glue))
}
