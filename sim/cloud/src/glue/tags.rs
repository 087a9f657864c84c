//! Tags of registries and schemas.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Glue,
    errors::{invalid, not_found},
    input::Input,
};
use crate::service::ServiceError;

const MAX_TAGS: usize = 50;

pub fn read(input: &Input<'_>, member: &str) -> Result<BTreeMap<String, String>, ServiceError> {
    let pairs = input.text_map(member)?;
    let fits = |text: &str, most: usize| text.chars().count() <= most;
    if pairs.iter().any(|(key, value)| key.is_empty() || !fits(key, 128) || !fits(value, 256)) {
        return Err(invalid("Keys of tags have 1 to 128 characters, values up to 256."));
    }
    if pairs.len() > MAX_TAGS {
        return Err(invalid("New Tags cannot be empty or more than 50"));
    }
    Ok(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

impl Glue {
    /// The tags of the registry or the schema that a request names by its ARN.
    fn tags_of(&mut self, input: &Input<'_>) -> Result<&mut BTreeMap<String, String>, ServiceError> {
        let arn = input.required_text("ResourceArn")?;
        let (registry_prefix, of_account) = (self.registry_arn(""), self.schema_arn("", ""));
        let schema_prefix = of_account.trim_end_matches('/');
        let missing = || not_found(format!("Resource is not found. ResourceArn: {arn}"));
        if let Some(name) = arn.strip_prefix(&registry_prefix) {
            return self.registries.get_mut(name).map(|registry| &mut registry.tags).ok_or_else(missing);
        }
        let names = arn.strip_prefix(schema_prefix).and_then(|rest| rest.strip_prefix('/')?.split_once('/'));
        let (registry, schema) = names.ok_or_else(missing)?;
        let found = self.registries.get_mut(registry).and_then(|registry| registry.schemas.get_mut(schema));
        found.map(|schema| &mut schema.tags).ok_or_else(missing)
    }

    pub(super) fn tag_resource(&mut self, input: &Input<'_>) -> Result<Value, ServiceError> {
        let new = read(input, "TagsToAdd")?;
        let tags = self.tags_of(input)?;
        let added = new.keys().filter(|key| !tags.contains_key(*key)).count();
        if tags.len() + added > MAX_TAGS {
            return Err(invalid("New Tags cannot be empty or more than 50"));
        }
        tags.extend(new);
        Ok(json!({}))
    }

    pub(super) fn untag_resource(&mut self, input: &Input<'_>) -> Result<Value, ServiceError> {
        let keys = input.texts("TagsToRemove")?;
        let tags = self.tags_of(input)?;
        for key in keys {
            tags.remove(key);
        }
        Ok(json!({}))
    }

    pub(super) fn get_tags(&mut self, input: &Input<'_>) -> Result<Value, ServiceError> {
        let tags = self.tags_of(input)?;
        Ok(json!({"Tags": tags}))
    }
}
