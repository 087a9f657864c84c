//! What is registered under which name.

use std::{collections::BTreeMap, fmt, sync::Arc};

use nexus_schemas::SchemaDocument;
use sha2::{Digest, Sha256};

/// Event versions that cannot read what the version before them wrote, so that an upcaster has to stand between the two.
/// A registry that holds a schema to BACKWARD refuses such a version for ever; each begins a schema of its own.
const INCOMPATIBLE_VERSIONS: &[(&str, u32)] = &[
    // The currency is required.
    ("OrderPlaced", 2),
];

/// The name under which the schema of this event version is registered: the event type, and from a version on that breaks
/// with those before it, the type with that version (`OrderPlaced.v2`).
pub fn registered_schema_name(event_type: &str, version: u32) -> String {
    let breaks = INCOMPATIBLE_VERSIONS.iter().filter(|(broken, at)| *broken == event_type && *at <= version);
    match breaks.map(|(_, at)| at).max() {
        Some(at) => format!("{event_type}.v{at}"),
        None => event_type.to_owned(),
    }
}

/// A schema's text under its registered name. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SchemaDefinition {
    schema: Arc<str>,
    text: Arc<str>,
    pub(crate) key: DefinitionKey,
}

/// Stands for name and text where they are compared often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DefinitionKey([u8; 32]);

impl SchemaDefinition {
    pub fn new(schema: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let (schema, text) = (schema.into(), text.into());
        let mut hasher = Sha256::new();
        for part in [&schema, &text] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Self { schema, text, key: DefinitionKey(hasher.finalize().into()) }
    }

    /// The name under which it is registered.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// JSON Schema.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<&SchemaDocument> for SchemaDefinition {
    fn from(document: &SchemaDocument) -> Self {
        Self::new(registered_schema_name(document.event_type, document.version), document.text)
    }
}

impl fmt::Debug for SchemaDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchemaDefinition({}, {} bytes)", self.schema, self.text.len())
    }
}

/// The documents of each registered schema, in the order of their versions.
pub(crate) fn by_schema(documents: &[SchemaDocument]) -> BTreeMap<String, Vec<SchemaDocument>> {
    let mut schemas = BTreeMap::<String, Vec<SchemaDocument>>::new();
    for document in documents {
        schemas.entry(registered_schema_name(document.event_type, document.version)).or_default().push(*document);
    }
    for versions in schemas.values_mut() {
        versions.sort_by_key(|document| document.version);
    }
    schemas
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::SchemaValidator;

    #[test]
    fn names_follow_the_type_and_its_breaks() {
        for (event_type, version, wanted) in [
            ("OrderPlaced", 1, "OrderPlaced"),
            ("OrderPlaced", 2, "OrderPlaced.v2"),
            ("OrderPlaced", 3, "OrderPlaced.v2"),
            ("OrderShipped", 1, "OrderShipped"),
            ("OrderShipped", 2, "OrderShipped"),
        ] {
            assert_eq!(registered_schema_name(event_type, version), wanted);
        }
        let allowed = |character: char| character.is_ascii_alphanumeric() || "-_$#.".contains(character);
        for document in nexus_schemas::all() {
            let name = registered_schema_name(document.event_type, document.version);
            assert!(name.len() <= 255 && name.chars().all(allowed), "{name} is no name for Glue");
        }
    }

    /// Each break is one: what the version before wrote is refused by it.
    #[test]
    fn a_version_that_breaks_does_not_read_the_one_before() {
        let validator = SchemaValidator::from_catalogue().unwrap();
        let order = json!({
            "order_id": "o-1", "customer_id": "c-1", "total_cents": 500,
            "lines": [{"sku": "A-1", "quantity": 2, "unit_price_cents": 250}],
        });
        let samples = [("OrderPlaced", 2, order)];
        assert_eq!(samples.len(), INCOMPATIBLE_VERSIONS.len());
        for ((event_type, version, sample), listed) in samples.into_iter().zip(INCOMPATIBLE_VERSIONS) {
            assert_eq!((event_type, version), *listed);
            assert_eq!(validator.validate(event_type, version - 1, &sample), Ok(()));
            assert!(validator.validate(event_type, version, &sample).is_err());
        }
    }

    #[test]
    fn name_and_text_make_the_key() {
        let definition = |schema: &str, text: &str| SchemaDefinition::new(schema, text);
        assert_eq!(definition("a", "{}").key, definition("a", "{}").key);
        assert_ne!(definition("a", "{}").key, definition("b", "{}").key);
        assert_ne!(definition("a", "{}").key, definition("a", "{ }").key);
        assert_ne!(definition("a{", "}").key, definition("a", "{}").key);
        assert_eq!(format!("{:?}", definition("a", "{}")), "SchemaDefinition(a, 2 bytes)");
    }
}
