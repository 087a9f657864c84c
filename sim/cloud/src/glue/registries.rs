//! Registries as such.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Alarm, Glue,
    errors::{already_exists, invalid, too_many},
    input::Input,
    listing::Page,
    model::{Registry, Status, time_text},
    naming::{check_name, description},
    tags,
};
use crate::{
    interface::UnixNanos,
    service::{ServiceContext, ServiceError},
};

type Outcome = Result<Value, ServiceError>;

impl Glue {
    pub(super) fn create_registry(&mut self, context: &mut ServiceContext<'_>, input: &Input<'_>) -> Outcome {
        let name = input.required_text("RegistryName")?;
        check_name(name, "registryName")?;
        let description = description(input)?;
        let tags = tags::read(input, "Tags")?;
        if self.registries.contains_key(name) {
            return Err(already_exists(format!("Registry already exists. RegistryName: {name}")));
        }
        self.open_registry(name, context.now)?;
        let mut answer = json!({"RegistryArn": self.registry_arn(name), "RegistryName": name});
        let registry = self.registry_mut(name)?;
        registry.description = description.map(str::to_owned);
        registry.tags = tags;
        if let Some(description) = description {
            answer["Description"] = json!(description);
        }
        if !registry.tags.is_empty() {
            answer["Tags"] = json!(registry.tags);
        }
        Ok(answer)
    }

    /// Makes an empty registry.
    pub(super) fn open_registry(&mut self, name: &str, now: UnixNanos) -> Result<(), ServiceError> {
        if self.registries.len() >= self.config.registry_limit {
            return Err(too_many("registries"));
        }
        let registry = Registry {
            name: name.to_owned(),
            description: None,
            tags: BTreeMap::new(),
            status: Status::Available,
            created_at: now,
            updated_at: now,
            schemas: BTreeMap::new(),
        };
        self.registries.insert(name.to_owned(), registry);
        Ok(())
    }

    fn show_registry(&self, registry: &Registry) -> Value {
        let mut shown = json!({
            "RegistryName": registry.name,
            "RegistryArn": self.registry_arn(&registry.name),
            "Status": registry.status.name(),
            "CreatedTime": time_text(registry.created_at),
            "UpdatedTime": time_text(registry.updated_at),
        });
        if let Some(description) = &registry.description {
            shown["Description"] = json!(description);
        }
        shown
    }

    pub(super) fn get_registry(&self, input: &Input<'_>) -> Outcome {
        Ok(self.show_registry(self.registry(&self.named_registry(input)?)?))
    }

    pub(super) fn list_registries(&self, input: &Input<'_>) -> Outcome {
        let page = Page::read(input, "registries", 100)?;
        Ok(page.cut("Registries", self.registries.values().map(|it| (it.name.clone(), self.show_registry(it)))))
    }

    pub(super) fn update_registry(&mut self, context: &mut ServiceContext<'_>, input: &Input<'_>) -> Outcome {
        input.required_text("Description")?;
        let description = description(input)?;
        let name = self.named_registry(input)?;
        let registry = self.registry_mut(&name)?;
        check_live(registry)?;
        registry.description = description.map(str::to_owned);
        registry.updated_at = context.now;
        Ok(json!({"RegistryName": name, "RegistryArn": self.registry_arn(&name)}))
    }

    /// All schemas go with their registry.
    pub(super) fn delete_registry(&mut self, context: &mut ServiceContext<'_>, input: &Input<'_>) -> Outcome {
        let name = self.named_registry(input)?;
        let alarm = self.alarms_set + 1;
        let registry = self.registry_mut(&name)?;
        if !registry.status.is_deleting() {
            registry.status = Status::Deleting(alarm);
            registry.updated_at = context.now;
            for schema in registry.schemas.values_mut().filter(|schema| !schema.status.is_deleting()) {
                schema.start_deleting(context, &registry.name, alarm);
            }
            self.set_alarm(context, self.deletion_time(context), Alarm::RemoveRegistry { registry: name.clone() });
        }
        let status = self.registries.get(&name).map_or("DELETING", |registry| registry.status.name());
        Ok(json!({"RegistryName": name, "RegistryArn": self.registry_arn(&name), "Status": status}))
    }

    pub(super) fn inspect_registries(&self) -> Value {
        let schemas = |registry: &Registry| -> Map<String, Value> {
            registry.schemas.iter().map(|(name, schema)| (name.clone(), schema.inspect())).collect()
        };
        let shown = self.registries.iter().map(|(name, registry)| {
            (name.clone(), json!({"status": registry.status.name(), "schemas": schemas(registry)}))
        });
        Value::Object(shown.collect())
    }
}

/// A registry that is being deleted takes no changes.
pub fn check_live(registry: &Registry) -> Result<(), ServiceError> {
    if registry.status.is_deleting() {
        return Err(invalid(format!("Registry is being deleted. RegistryName: {}", registry.name)));
    }
    Ok(())
}
