//! Calls to Glue, and what its tests ask again and again.

use nexus_cloud::{CallPlan, JournalEntry, Quirk, SchemaVersionStep};
use serde_json::{Value, json};

use super::{Answer, CloudConfig, Driver, RequestId, START, Service, WireRequest, quick};

/// Versions take 500 ms to be judged, each exactly.
pub fn slow() -> CloudConfig {
    let mut config = quick();
    (config.assumptions.glue_pending_p50_ms, config.assumptions.glue_pending_p99_ms) = (500.0, 500.0);
    config
}

impl Driver {
    /// With a registry `shop`, and in it the schema `Order` of the given mode, whose first version is [`order`]`(&[], &[])`.
    pub fn with_schema(config: CloudConfig, mode: &str) -> Self {
        let mut driver = Self::new(config);
        let mut set_up = |operation: &str, request: Value| {
            driver.cloud.call_now(START, Service::Glue, operation, request).unwrap();
        };
        set_up("CreateRegistry", json!({"RegistryName": "shop"}));
        set_up("CreateSchema", create("Order", mode, &order(&[], &[])));
        driver
    }

    /// Sends without waiting.
    pub fn glue_send(&mut self, operation: &str, body: &Value) -> u64 {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        self.calls += 1;
        let wire = WireRequest {
            service: Service::Glue,
            caller: self.caller.clone(),
            method: "POST".into(),
            path: "/".into(),
            headers: vec![
                header("content-type", "application/x-amz-json-1.1"),
                header("x-amz-target", &format!("AWSGlue.{operation}")),
                header("authorization", "AWS4-HMAC-SHA256 Credential=any"),
            ],
            body: body.to_string().into_bytes().into(),
        };
        self.cloud.handle(self.now, RequestId(self.calls), wire);
        self.calls
    }

    pub fn glue(&mut self, operation: &str, body: Value) -> Answer {
        let call = self.glue_send(operation, &body);
        self.answer(call)
    }

    /// With something going wrong for this one call.
    pub fn glue_with(&mut self, quirk: Quirk, operation: &str, body: Value) -> Answer {
        self.plan_next(CallPlan { quirks: vec![quirk], ..CallPlan::default() });
        self.glue(operation, body)
    }

    /// Registers a version of `Order`; gives its id, number and status.
    pub fn register(&mut self, definition: &Value) -> (String, u64, String) {
        let answer = self.glue("RegisterSchemaVersion", register(definition)).ok();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        (text("SchemaVersionId"), answer["VersionNumber"].as_u64().unwrap(), text("Status"))
    }

    /// The status of a version, by its id.
    pub fn version_status(&mut self, id: &str) -> String {
        let version = self.glue("GetSchemaVersion", json!({"SchemaVersionId": id})).ok();
        version["Status"].as_str().unwrap().to_owned()
    }

    /// Steps of schema versions in the journal.
    pub fn schema_steps(&self) -> Vec<SchemaVersionStep> {
        let steps = self.cloud.journal().iter().filter_map(|entry| match entry {
            JournalEntry::SchemaVersion(step) => Some(step.clone()),
            _ => None,
        });
        steps.collect()
    }

    /// The same as number and status.
    pub fn steps_of_versions(&self) -> Vec<(u64, &'static str)> {
        self.schema_steps().iter().map(|step| (step.number, step.status.name())).collect()
    }
}

pub fn id(schema: &str) -> Value {
    json!({"RegistryName": "shop", "SchemaName": schema})
}

pub fn create(name: &str, mode: &str, definition: &Value) -> Value {
    json!({
        "RegistryId": {"RegistryName": "shop"}, "SchemaName": name, "DataFormat": "JSON", "Compatibility": mode,
        "SchemaDefinition": definition.to_string(),
    })
}

pub fn register(definition: &Value) -> Value {
    json!({"SchemaId": id("Order"), "SchemaDefinition": definition.to_string()})
}

/// An open order: `id` is required, and so are the given ones; the others are optional. All are texts.
pub fn order(required: &[&str], optional: &[&str]) -> Value {
    let names = required.iter().chain(optional).chain(&["id"]);
    let properties: serde_json::Map<String, Value> =
        names.map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": properties,
        "required": ([&["id"][..], required].concat()),
    })
}
