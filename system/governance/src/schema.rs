//! The shape of events: one compiled validator per event type and version.

use std::{collections::BTreeMap, fmt};

use jsonschema::{PatternOptions, Validator, draft7};
use nexus_schemas::SchemaDocument;
use serde::Serialize;
use serde_json::Value;

const DRAFT_07: &str = "http://json-schema.org/draft-07/schema#";

/// Validators for all known event types and versions. Cheap to share: checking takes `&self` and no lock.
pub struct SchemaValidator {
    by_type: BTreeMap<String, BTreeMap<u32, Validator>>,
}

/// A schema document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchema {
    #[error("the schema of {event_type} version {version} is not JSON: {message}")]
    NotJson { event_type: String, version: u32, message: String },
    #[error("the schema of {event_type} version {version} declares {declared}; `$schema` must be `{DRAFT_07}`")]
    NotDraft07 { event_type: String, version: u32, declared: String },
    #[error("the schema of {event_type} version {version} is wrong at `{pointer}`: {message}")]
    Malformed { event_type: String, version: u32, pointer: String, message: String },
    #[error("{event_type} version {version} has two schemas")]
    Duplicate { event_type: String, version: u32 },
}

/// One place where a payload differs from its schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// JSON pointer (RFC 6901) into the payload; empty for the payload as a whole.
    pub pointer: String,
    /// What is wrong. It does not repeat the value, which may be personal or long.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "at `{place}`: {}", self.message)
    }
}

/// A payload may not be stored as this event type and version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaRejection {
    #[error("no schema is known for {event_type} version {version}")]
    UnknownSchema { event_type: String, version: u32 },
    /// Sorted by pointer, then message; never empty.
    #[error("the payload differs from its schema {}", join(.0))]
    Violations(Vec<Violation>),
}

fn join(violations: &[Violation]) -> String {
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("; ")
}

impl SchemaValidator {
    /// Compiles every document: event type, version, JSON Schema.
    ///
    /// # Errors
    /// A document is not valid draft-07, refers to another document, or a type and version appears twice.
    pub fn compile(documents: &[(String, u32, Value)]) -> Result<Self, InvalidSchema> {
        let mut by_type = BTreeMap::<String, BTreeMap<u32, Validator>>::new();
        for (event_type, version, schema) in documents {
            let validator = compile_one(event_type, *version, schema)?;
            let replaced = by_type.entry(event_type.clone()).or_default().insert(*version, validator);
            if replaced.is_some() {
                return Err(InvalidSchema::Duplicate { event_type: event_type.clone(), version: *version });
            }
        }
        Ok(Self { by_type })
    }

    /// Compiles the schemas that ship with the system (`nexus_schemas::all`).
    ///
    /// # Errors
    /// As [`SchemaValidator::compile`]; a test holds that it does not happen.
    pub fn from_catalogue() -> Result<Self, InvalidSchema> {
        Self::from_documents(nexus_schemas::all())
    }

    /// Compiles documents of the catalogue.
    ///
    /// # Errors
    /// As [`SchemaValidator::compile`].
    pub fn from_documents(documents: &[SchemaDocument]) -> Result<Self, InvalidSchema> {
        let documents: Vec<_> = documents
            .iter()
            .map(|document| {
                let (event_type, version) = (document.event_type.to_owned(), document.version);
                match serde_json::from_str(document.text) {
                    Ok(schema) => Ok((event_type, version, schema)),
                    Err(error) => Err(InvalidSchema::NotJson { event_type, version, message: error.to_string() }),
                }
            })
            .collect::<Result<_, _>>()?;
        Self::compile(&documents)
    }

    /// Checks a payload against the schema of its type and version.
    ///
    /// # Errors
    /// The type and version has no schema, or the payload differs from it: then with every difference.
    pub fn validate(&self, event_type: &str, version: u32, payload: &Value) -> Result<(), SchemaRejection> {
        let validator = self
            .by_type
            .get(event_type)
            .and_then(|versions| versions.get(&version))
            .ok_or_else(|| SchemaRejection::UnknownSchema { event_type: event_type.to_owned(), version })?;
        // Nearly every payload is right, and saying so needs no allocation.
        if validator.is_valid(payload) {
            return Ok(());
        }
        let mut violations: Vec<_> = validator.iter_errors(payload).map(|error| violation(&error)).collect();
        violations.sort();
        violations.dedup();
        Err(SchemaRejection::Violations(violations))
    }

    /// All known event types with their versions, sorted.
    pub fn known(&self) -> impl Iterator<Item = (&str, u32)> {
        self.by_type.iter().flat_map(|(event_type, versions)| versions.keys().map(|&v| (event_type.as_str(), v)))
    }
}

fn compile_one(event_type: &str, version: u32, schema: &Value) -> Result<Validator, InvalidSchema> {
    let declared = schema.get("$schema").and_then(Value::as_str);
    if declared != Some(DRAFT_07) {
        let declared = declared.map_or_else(|| "no `$schema`".to_owned(), |uri| format!("`{uri}`"));
        return Err(InvalidSchema::NotDraft07 { event_type: event_type.to_owned(), version, declared });
    }
    // The linear-time expression engine: a hostile string must not make a pattern run away.
    draft7::options().with_pattern_options(PatternOptions::regex()).build(schema).map_err(|error| {
        InvalidSchema::Malformed {
            event_type: event_type.to_owned(),
            version,
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
        }
    })
}

fn violation(error: &jsonschema::ValidationError<'_>) -> Violation {
    Violation { pointer: error.instance_path().to_string(), message: error.masked_with("the value").to_string() }
}
