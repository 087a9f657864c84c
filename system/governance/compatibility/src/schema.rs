//! One schema document that can be used: draft-07, valid, whole in itself, and no larger than a registry takes.

use jsonschema::{Validator, draft7};
use serde_json::Value;

use crate::{
    graph::Graph,
    pointer::{self, join},
};

/// The longest definition that AWS Glue's schema registry accepts, in characters.
pub const CHARACTERS_MAX: usize = 170_000;

const DRAFT_07: [&str; 2] = ["http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-07/schema"];

/// A schema cannot be used, whatever it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSchema {
    /// Line and column count from 1.
    #[error("it is not JSON: {message} (line {line}, column {column})")]
    NotJson { line: usize, column: usize, message: String },
    #[error("it has {characters} characters; the registry takes at most {CHARACTERS_MAX}")]
    TooLarge { characters: usize },
    #[error("at `/$schema`: it declares `{declared}`; declare `http://json-schema.org/draft-07/schema#`, or nothing")]
    NotDraft07 { declared: String },
    #[error("at `{}`: {message}", if pointer.is_empty() { "/" } else { pointer })]
    Invalid { pointer: String, message: String },
    #[error("at `{pointer}`: `{reference}` leads to another document; copy what it needs into `definitions`")]
    RemoteReference { pointer: String, reference: String },
    #[error(
        "at `{pointer}`: `{reference}` leads nowhere; name a schema of this document, such as `#/definitions/line`"
    )]
    DanglingReference { pointer: String, reference: String },
    #[error(
        "at `{pointer}`: the references lead back here without describing anything; let one of them name a property"
    )]
    EndlessReference { pointer: String },
    #[error("at `{pointer}`: an `$id` inside the document moves the base of the references below it; remove it")]
    MovedBase { pointer: String },
    #[error("at `{pointer}`: the schema nests too deeply; name parts of it in `definitions`")]
    TooDeep { pointer: String },
}

impl UnusableSchema {
    /// JSON pointer to the place; empty for the document as a whole.
    pub fn pointer(&self) -> &str {
        match self {
            UnusableSchema::NotJson { .. } | UnusableSchema::TooLarge { .. } => "",
            UnusableSchema::NotDraft07 { .. } => "/$schema",
            UnusableSchema::Invalid { pointer, .. }
            | UnusableSchema::RemoteReference { pointer, .. }
            | UnusableSchema::DanglingReference { pointer, .. }
            | UnusableSchema::EndlessReference { pointer }
            | UnusableSchema::MovedBase { pointer }
            | UnusableSchema::TooDeep { pointer } => pointer,
        }
    }
}

/// A usable schema.
#[derive(Debug)]
pub struct Schema {
    document: Value,
    validator: Validator,
}

impl Schema {
    /// Reads a schema from its text.
    ///
    /// # Errors
    /// As [`Schema::new`], or the text is not JSON or too long.
    pub fn parse(text: &str) -> Result<Schema, UnusableSchema> {
        let characters = text.chars().count();
        if characters > CHARACTERS_MAX {
            return Err(UnusableSchema::TooLarge { characters });
        }
        let document = serde_json::from_str(text).map_err(|error| UnusableSchema::NotJson {
            line: error.line(),
            column: error.column(),
            message: without_place(&error.to_string()),
        })?;
        Schema::new(document)
    }

    /// Takes a schema as JSON. A document that declares no `$schema` is read as draft-07.
    ///
    /// # Errors
    /// It is not valid draft-07, has references that cannot be followed, or is too large.
    pub fn new(document: Value) -> Result<Schema, UnusableSchema> {
        let characters = document.to_string().chars().count();
        if characters > CHARACTERS_MAX {
            return Err(UnusableSchema::TooLarge { characters });
        }
        match document.get("$schema") {
            None => {}
            Some(Value::String(declared)) if DRAFT_07.contains(&declared.as_str()) => {}
            Some(other) => {
                let declared = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
                return Err(UnusableSchema::NotDraft07 { declared });
            }
        }
        // Our own reading first: it tells where a reference goes wrong.
        if let Err(error) = draft7::meta::validate(&document) {
            return Err(invalid(&error));
        }
        refuse_moved_bases(&document, "", false)?;
        refuse_remote_references(&document, &document, "")?;
        Graph::default().add(&document)?;
        let validator = draft7::options().build(&document).map_err(|error| invalid(&error))?;
        Ok(Schema { document, validator })
    }

    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Whether a document passes, by the validator that the system itself validates with.
    pub fn accepts(&self, document: &Value) -> bool {
        self.validator.is_valid(document)
    }
}

fn invalid(error: &jsonschema::ValidationError<'_>) -> UnusableSchema {
    UnusableSchema::Invalid { pointer: error.instance_path().to_string(), message: error.to_string() }
}

/// Serde's message says line and column at its end; both are told apart here.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(what, _)| what).to_owned()
}

/// Keywords whose values are data, not schemas.
const DATA: [&str; 4] = ["enum", "const", "default", "examples"];

fn parts<'d>(schema: &'d Value, pointer: &str) -> Vec<(String, &'d Value)> {
    match schema {
        Value::Object(fields) => {
            let schemas = fields.iter().filter(|(name, _)| !DATA.contains(&name.as_str()));
            schemas.map(|(name, part)| (join(pointer, name), part)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, part)| (join(pointer, &index.to_string()), part)).collect()
        }
        _ => Vec::new(),
    }
}

fn refuse_moved_bases(schema: &Value, pointer: &str, is_moved: bool) -> Result<(), UnusableSchema> {
    if is_moved && schema.get("$ref").is_some_and(Value::is_string) {
        return Err(UnusableSchema::MovedBase { pointer: pointer.to_owned() });
    }
    let identifier = schema.get("$id").and_then(Value::as_str);
    let is_moved =
        is_moved || (!pointer.is_empty() && identifier.is_some_and(|identifier| !identifier.starts_with('#')));
    parts(schema, pointer).into_iter().try_for_each(|(pointer, part)| refuse_moved_bases(part, &pointer, is_moved))
}

/// Also in definitions that nothing uses: the registry reads those too.
fn refuse_remote_references(document: &Value, schema: &Value, place: &str) -> Result<(), UnusableSchema> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        pointer::resolve(document, reference, place)?;
    }
    parts(schema, place).into_iter().try_for_each(|(place, part)| refuse_remote_references(document, part, &place))
}
