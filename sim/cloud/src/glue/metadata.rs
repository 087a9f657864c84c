//! Metadata of versions: keys, each with one value or more.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Glue,
    errors::{already_exists, limit_exceeded, not_found},
    input::Input,
    listing::Page,
    model::{Metadata, Version, time_text},
    naming::{VersionRef, check_metadata, no_version},
};
use crate::service::{ServiceContext, ServiceError};

type Outcome = Result<Value, ServiceError>;

const MAX_PAIRS: usize = 10;
const PAIR: &[&str] = &["MetadataKey", "MetadataValue"];

fn read_pair<'v>(input: &Input<'v>) -> Result<(&'v str, &'v str), ServiceError> {
    let pair = input.required_structure("MetadataKeyValue", PAIR)?;
    let (key, value) = (pair.required_text("MetadataKey")?, pair.required_text("MetadataValue")?);
    check_metadata(key, "key", 128)?;
    check_metadata(value, "value", 256)?;
    Ok((key, value))
}

impl Glue {
    fn version_mut(&mut self, named: VersionRef<'_>) -> Result<&mut Version, ServiceError> {
        let id = self.version(named)?.2.id.clone();
        let address = self.addresses.get(&id).ok_or_else(|| no_version(&id))?;
        let registry = self.registries.get_mut(&address.registry);
        let schema = registry.and_then(|registry| registry.schemas.get_mut(&address.schema));
        let version = schema.and_then(|schema| schema.versions.get_mut(&address.number));
        version.ok_or_else(|| no_version(&id))
    }

    pub(super) fn put_schema_version_metadata(
        &mut self,
        context: &mut ServiceContext<'_>,
        input: &Input<'_>,
    ) -> Outcome {
        let (key, value) = read_pair(input)?;
        let version = self.version_mut(VersionRef::read(input)?)?;
        if version.metadata.len() >= MAX_PAIRS {
            return Err(limit_exceeded("Your resource limits for Schema Version Metadata have been exceeded."));
        }
        if version.metadata.iter().any(|pair| pair.key == key && pair.value == value) {
            let id = &version.id;
            return Err(already_exists(format!(
                "Resource already exist for schema version id: {id}, metadata key: {key}, metadata value: {value}"
            )));
        }
        version.metadata.push(Metadata { key: key.to_owned(), value: value.to_owned(), created_at: context.now });
        Ok(self.echo(input, key, value))
    }

    pub(super) fn remove_schema_version_metadata(&mut self, input: &Input<'_>) -> Outcome {
        let (key, value) = read_pair(input)?;
        let version = self.version_mut(VersionRef::read(input)?)?;
        let position = version.metadata.iter().position(|pair| pair.key == key && pair.value == value);
        let position = position.ok_or_else(|| {
            let id = &version.id;
            not_found(format!("Metadata is not found. SchemaVersionId: {id}, key: {key}, value: {value}"))
        })?;
        version.metadata.remove(position);
        Ok(self.echo(input, key, value))
    }

    /// The version as the request named it, with the pair: what is not named is not looked up.
    fn echo(&self, input: &Input<'_>, key: &str, value: &str) -> Value {
        let mut answer = json!({
            "LatestVersion": false,
            "VersionNumber": 0,
            "MetadataKey": key,
            "MetadataValue": value,
        });
        if let Ok(Some(id)) = input.text("SchemaVersionId") {
            answer["SchemaVersionId"] = json!(id);
        }
        if let Ok(Some(number)) = input.structure("SchemaVersionNumber", &["LatestVersion", "VersionNumber"]) {
            answer["LatestVersion"] = json!(number.boolean("LatestVersion").unwrap_or(false));
            answer["VersionNumber"] = json!(number.integer("VersionNumber", 1, 100_000).ok().flatten().unwrap_or(0));
        }
        if let Ok(Some(schema)) = input.structure("SchemaId", &["SchemaArn", "SchemaName", "RegistryName"]) {
            for name in ["SchemaArn", "SchemaName", "RegistryName"] {
                if let Ok(Some(text)) = schema.text(name) {
                    answer[name] = json!(text);
                }
            }
        }
        answer
    }

    /// A key's newest value is its value, and the others are its other values.
    pub(super) fn query_schema_version_metadata(&self, input: &Input<'_>) -> Outcome {
        let page = Page::read(input, "metadata", 50)?;
        let mut wanted = Vec::new();
        for pair in input.structures("MetadataList", PAIR)? {
            wanted.push((pair.text("MetadataKey")?, pair.text("MetadataValue")?));
        }
        let (.., version) = self.version(VersionRef::read(input)?)?;
        let is_wanted = |pair: &&Metadata| {
            let fits = |text: Option<&str>, of: &str| text.is_none_or(|text| text == of);
            wanted.is_empty() || wanted.iter().any(|(key, value)| fits(*key, &pair.key) && fits(*value, &pair.value))
        };
        let mut by_key: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for pair in version.metadata.iter().rev().filter(is_wanted) {
            let shown = json!({"MetadataValue": pair.value, "CreatedTime": time_text(pair.created_at)});
            by_key.entry(&pair.key).or_default().push(shown);
        }
        let entries = by_key.into_iter().map(|(key, mut values)| {
            let mut info = values.remove(0);
            if !values.is_empty() {
                info["OtherMetadataValueList"] = Value::Array(values);
            }
            (key.to_owned(), json!([key, info]))
        });
        let mut answer = page.cut("MetadataInfoMap", entries);
        let pairs = answer["MetadataInfoMap"].as_array().cloned().unwrap_or_default();
        let as_entry = |pair: &Value| (pair[0].as_str().unwrap_or_default().to_owned(), pair[1].clone());
        answer["MetadataInfoMap"] = Value::Object(pairs.iter().map(as_entry).collect::<Map<String, Value>>());
        answer["SchemaVersionId"] = json!(version.id);
        Ok(answer)
    }
}
