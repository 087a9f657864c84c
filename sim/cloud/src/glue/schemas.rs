//! Schemas as such: made, described, listed, updated, deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Alarm, Glue,
    compatibility::Mode,
    definition::DataFormat,
    errors::{already_exists, invalid},
    input::Input,
    listing::Page,
    model::{Schema, Status, time_text},
    naming::{DEFAULT_REGISTRY, Number, SchemaRef, check_name, description},
    registries::check_live,
    tags,
    versions::{self, Draft},
};
use crate::{
    interface::{SchemaVersionStatus, UnixNanos},
    service::{ServiceContext, ServiceError},
};

type Outcome = Result<Value, ServiceError>;

/// What CreateSchema asks for.
struct NewSchema<'v> {
    registry: String,
    name: &'v str,
    format: DataFormat,
    mode: Mode,
    description: Option<&'v str>,
    tags: BTreeMap<String, String>,
    first: Option<Draft>,
}

pub fn read_format(input: &Input<'_>) -> Result<DataFormat, ServiceError> {
    DataFormat::parse(input.required_text("DataFormat")?).ok_or_else(|| invalid("Data format is not valid."))
}

fn read_mode(input: &Input<'_>) -> Result<Option<Mode>, ServiceError> {
    let parse = |name| Mode::parse(name).ok_or_else(|| invalid("Compatibility is not valid."));
    input.text("Compatibility")?.map(parse).transpose()
}

impl Schema {
    fn new(name: &str, format: DataFormat, mode: Mode, now: UnixNanos) -> Self {
        Self {
            name: name.to_owned(),
            format,
            mode,
            description: None,
            tags: BTreeMap::new(),
            status: Status::Available,
            created_at: now,
            updated_at: now,
            checkpoint: 1,
            versions: BTreeMap::new(),
            numbers_given: 0,
            judged_until: UnixNanos(0),
        }
    }

    /// From now on it and its versions are of no use, until the alarm removes them.
    pub fn start_deleting(&mut self, context: &mut ServiceContext<'_>, registry: &str, alarm: u64) {
        self.status = Status::Deleting(alarm);
        self.updated_at = context.now;
        for version in self.versions.values_mut() {
            version.change(context, registry, &self.name, SchemaVersionStatus::Deleting);
        }
    }
}

impl Glue {
    fn read_new_schema<'v>(&self, input: &Input<'v>) -> Result<NewSchema<'v>, ServiceError> {
        let registry = self.named_registry(input)?;
        let name = input.required_text("SchemaName")?;
        check_name(name, "schemaName")?;
        let format = read_format(input)?;
        // That it may be left out is in the service's model; what it is then is not told: the guide recommends this one.
        let mode = read_mode(input)?.unwrap_or(Mode::Backward);
        let description = description(input)?;
        let tags = tags::read(input, "Tags")?;
        let text = input.text("SchemaDefinition")?;
        let first = text.map(|text| Draft::read(format, text)).transpose()?;
        Ok(NewSchema { registry, name, format, mode, description, tags, first })
    }

    pub(super) fn create_schema(&mut self, context: &mut ServiceContext<'_>, input: &Input<'_>) -> Outcome {
        let NewSchema { registry, name, format, mode, description, tags, first } = self.read_new_schema(input)?;
        if registry == DEFAULT_REGISTRY && !self.registries.contains_key(&registry) {
            self.open_registry(&registry, context.now)?;
        }
        let found = self.registry(&registry)?;
        check_live(found)?;
        if found.schemas.contains_key(name) {
            return Err(already_exists(format!("Schema already exists. SchemaName: {name}")));
        }
        self.check_limit("schemas", self.schemas_held(), 1)?;
        self.check_limit("schema versions", self.versions_held(), usize::from(first.is_some()))?;
        let mut schema = Schema::new(name, format, mode, context.now);
        schema.description = description.map(str::to_owned);
        schema.tags = tags;
        self.registry_mut(&registry)?.schemas.insert(name.to_owned(), schema);
        let version = first.map(|draft| self.add_version(context, &registry, name, draft)).transpose()?;
        self.show_created(&registry, name, version.as_deref())
    }

    fn show_created(&self, registry: &str, name: &str, version: Option<&str>) -> Outcome {
        let schema = self.registry(registry)?.schemas.get(name);
        let schema = schema.ok_or_else(|| invalid("The schema was removed while it was made."))?;
        let mut answer = self.show_schema(registry, schema);
        if let Some(members) = answer.as_object_mut() {
            members.remove("CreatedTime");
            members.remove("UpdatedTime");
        }
        if !schema.tags.is_empty() {
            answer["Tags"] = json!(schema.tags);
        }
        if let Some((.., version)) = version.and_then(|id| self.version_with_id(id)) {
            answer["SchemaVersionId"] = json!(version.id);
            answer["SchemaVersionStatus"] = json!(version.status.name());
        }
        Ok(answer)
    }

    fn show_schema(&self, registry: &str, schema: &Schema) -> Value {
        let latest = schema.latest_number();
        let mut shown = json!({
            "RegistryName": registry,
            "RegistryArn": self.registry_arn(registry),
            "SchemaName": schema.name,
            "SchemaArn": self.schema_arn(registry, &schema.name),
            "DataFormat": schema.format.name(),
            "Compatibility": schema.mode.name(),
            "SchemaCheckpoint": schema.checkpoint,
            "LatestSchemaVersion": latest,
            "NextSchemaVersion": latest + 1,
            "SchemaStatus": schema.status.name(),
            "CreatedTime": time_text(schema.created_at),
            "UpdatedTime": time_text(schema.updated_at),
        });
        if let Some(description) = &schema.description {
            shown["Description"] = json!(description);
        }
        shown
    }

    pub(super) fn get_schema(&self, input: &Input<'_>) -> Outcome {
        let (registry, schema) = self.schema(SchemaRef::read(input)?)?;
        Ok(self.show_schema(registry, schema))
    }

    /// Of one registry, or of all; without those that are being deleted.
    pub(super) fn list_schemas(&self, input: &Input<'_>) -> Outcome {
        let page = Page::read(input, "schemas", 100)?;
        let only = match input.structure("RegistryId", &["RegistryName", "RegistryArn"])? {
            Some(_) => Some(self.named_registry(input)?),
            None => None,
        };
        if let Some(name) = &only {
            self.registry(name)?;
        }
        let wanted = self.registries.values().filter(|it| only.as_ref().is_none_or(|name| *name == it.name));
        let schemas = wanted.flat_map(|registry| registry.schemas.values().map(move |schema| (registry, schema)));
        let shown = schemas.filter(|(_, schema)| !schema.status.is_deleting()).map(|(registry, schema)| {
            let mut item = json!({
                "RegistryName": registry.name,
                "SchemaName": schema.name,
                "SchemaArn": self.schema_arn(&registry.name, &schema.name),
                "SchemaStatus": schema.status.name(),
                "CreatedTime": time_text(schema.created_at),
                "UpdatedTime": time_text(schema.updated_at),
            });
            if let Some(description) = &schema.description {
                item["Description"] = json!(description);
            }
            // The separator sorts before every letter of a name, so that keys come in the order of the entries.
            (format!("{}\u{1}{}", registry.name, schema.name), item)
        });
        Ok(page.cut("Schemas", shown))
    }

    /// Sets the description, the mode and its checkpoint. What was registered before is not judged anew.
    pub(super) fn update_schema(&mut self, context: &mut ServiceContext<'_>, input: &Input<'_>) -> Outcome {
        let named = SchemaRef::read(input)?;
        let number = Number::read(input, "SchemaVersionNumber")?;
        let (mode, description) = (read_mode(input)?, description(input)?);
        match (mode, number, description) {
            (Some(_), None, _) => {
                return Err(invalid("SchemaVersionNumber has to be provided when Compatibility is provided."));
            }
            (None, None, None) => {
                return Err(invalid("One of SchemaVersionNumber, Compatibility or Description has to be provided."));
            }
            _ => {}
        }
        let arn = self.schema(named).map(|(registry, schema)| self.schema_arn(registry, &schema.name))?;
        let (registry, schema) = self.live_schema_mut(named)?;
        let checkpoint = number.map(|number| number.of(schema, named)).transpose()?;
        if let Some(version) = checkpoint.filter(|version| version.status != SchemaVersionStatus::Available) {
            let (number, status) = (version.number, version.status.name());
            return Err(invalid(format!("Version {number} is {status}; only an AVAILABLE one can be the checkpoint.")));
        }
        schema.checkpoint = checkpoint.map_or(schema.checkpoint, |version| version.number);
        schema.mode = mode.unwrap_or(schema.mode);
        if let Some(description) = description {
            schema.description = Some(description.to_owned());
        }
        schema.updated_at = context.now;
        Ok(json!({"SchemaArn": arn, "SchemaName": schema.name, "RegistryName": registry}))
    }

    pub(super) fn delete_schema(&mut self, context: &mut ServiceContext<'_>, input: &Input<'_>) -> Outcome {
        let named = SchemaRef::read(input)?;
        let (registry, schema) =
            self.schema(named).map(|(registry, schema)| (registry.to_owned(), schema.name.clone()))?;
        let alarm = self.alarms_set + 1;
        let found = self.registry_mut(&registry)?.schemas.get_mut(&schema).ok_or_else(|| named.not_found())?;
        if !found.status.is_deleting() {
            found.start_deleting(context, &registry, alarm);
            let remove = Alarm::RemoveSchema { registry: registry.clone(), schema: schema.clone() };
            self.set_alarm(context, self.deletion_time(context), remove);
        }
        Ok(json!({"SchemaArn": self.schema_arn(&registry, &schema), "SchemaName": schema, "Status": "DELETING"}))
    }

    pub(super) fn check_limit(&self, what: &str, held: usize, more: usize) -> Result<(), ServiceError> {
        let limit = if what == "schemas" { self.config.schema_limit } else { self.config.version_limit };
        if held + more > limit { Err(super::errors::too_many(what)) } else { Ok(()) }
    }

    fn schemas_held(&self) -> usize {
        self.registries.values().map(|registry| registry.schemas.len()).sum()
    }

    pub(super) fn versions_held(&self) -> usize {
        self.addresses.len()
    }

    pub(super) fn check_schema_version_validity(&self, input: &Input<'_>) -> Outcome {
        let format = read_format(input)?;
        Ok(match versions::examine(format, input.required_text("SchemaDefinition")?)? {
            Ok(_) => json!({"Valid": true}),
            Err(reason) => json!({"Valid": false, "Error": reason}),
        })
    }
}
