//! Names: what they may look like, and what a request means by them.

use super::{
    Glue,
    errors::{invalid, not_found, wrong_characters, wrong_length},
    input::Input,
    model::{Registry, Schema, Version},
};
use crate::service::ServiceError;

type Outcome<T> = Result<T, ServiceError>;

pub const DEFAULT_REGISTRY: &str = "default-registry";
const MAX_NAME: usize = 255;
const MAX_DESCRIPTION: usize = 2_048;
const SCHEMA_ID: &[&str] = &["SchemaArn", "SchemaName", "RegistryName"];
const NUMBER: &[&str] = &["LatestVersion", "VersionNumber"];

/// Letters, digits, and `-_$#.`.
pub fn check_name(name: &str, parameter: &str) -> Outcome<()> {
    check(name, parameter, MAX_NAME, |letter| letter.is_ascii_alphanumeric() || "-_$#.".contains(letter))
}

/// For keys and values of metadata.
pub fn check_metadata(text: &str, parameter: &str, most: usize) -> Outcome<()> {
    check(text, parameter, most, |letter| letter.is_ascii_alphanumeric() || "+-=._/@".contains(letter))
}

fn check(text: &str, parameter: &str, most: usize, is_allowed: impl Fn(char) -> bool) -> Outcome<()> {
    if text.is_empty() || text.len() > most {
        return Err(wrong_length(parameter));
    }
    if text.chars().all(is_allowed) { Ok(()) } else { Err(wrong_characters(parameter)) }
}

pub fn description<'v>(input: &Input<'v>) -> Outcome<Option<&'v str>> {
    let Some(text) = input.text("Description")? else { return Ok(None) };
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(wrong_length("description"));
    }
    let is_allowed = |letter: char| letter >= ' ' || "\r\n\t".contains(letter);
    if text.chars().all(is_allowed) { Ok(Some(text)) } else { Err(wrong_characters("description")) }
}

/// How a request names a schema.
#[derive(Clone, Copy, Debug)]
pub struct SchemaRef<'v> {
    pub arn: Option<&'v str>,
    pub registry: Option<&'v str>,
    pub schema: Option<&'v str>,
}

impl<'v> SchemaRef<'v> {
    pub fn read(input: &Input<'v>) -> Outcome<Self> {
        Self::of(&input.required_structure("SchemaId", SCHEMA_ID)?)
    }

    pub fn read_if_there(input: &Input<'v>) -> Outcome<Option<Self>> {
        input.structure("SchemaId", SCHEMA_ID)?.map(|id| Self::of(&id)).transpose()
    }

    fn of(id: &Input<'v>) -> Outcome<Self> {
        let (arn, registry) = (id.text("SchemaArn")?, id.text("RegistryName")?);
        let schema = id.text("SchemaName")?;
        match (arn, registry, schema) {
            (Some(_), None, None) => {}
            (Some(_), ..) => {
                return Err(invalid(
                    "One of (registryName and schemaName) or schemaArn has to be provided, both cannot be provided.",
                ));
            }
            (None, Some(registry), Some(schema)) => {
                check_name(registry, "registryName")?;
                check_name(schema, "schemaName")?;
            }
            (None, ..) => {
                return Err(invalid("At least one of (registryName and schemaName) or schemaArn has to be provided."));
            }
        }
        Ok(Self { arn, registry, schema })
    }

    /// As errors tell it: the names that an ARN ends with are told beside it.
    fn names(self) -> String {
        let or_null = |name: Option<&'v str>| name.unwrap_or("null");
        let mut of_arn = self.arn.into_iter().flat_map(|arn| arn.rsplit('/'));
        let (schema, registry) = (self.schema.or(of_arn.next()), self.registry.or(of_arn.next()));
        format!(
            "RegistryName: {}, SchemaName: {}, SchemaArn: {}",
            or_null(registry),
            or_null(schema),
            or_null(self.arn)
        )
    }

    pub fn not_found(self) -> ServiceError {
        not_found(format!("Schema is not found. {}", self.names()))
    }

    pub fn disabled(self) -> ServiceError {
        let or_null = |name: Option<&'v str>| name.unwrap_or("null");
        invalid(format!(
            "Compatibility DISABLED does not allow versioning. SchemaId: SchemaId(schemaArn={}, schemaName={}, registryName={})",
            or_null(self.arn),
            or_null(self.schema),
            or_null(self.registry)
        ))
    }
}

/// Which version of a schema a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    Latest,
    Is(u64),
}

impl Number {
    pub fn read(input: &Input<'_>, member: &str) -> Outcome<Option<Self>> {
        let Some(number) = input.structure(member, NUMBER)? else { return Ok(None) };
        let (latest, exact) = (number.boolean("LatestVersion")?, number.integer("VersionNumber", 1, 100_000)?);
        match (latest, exact) {
            (true, Some(_)) => Err(invalid("Only one of VersionNumber or LatestVersion is required.")),
            (true, None) => Ok(Some(Number::Latest)),
            (false, Some(exact)) => Ok(Some(Number::Is(exact.unsigned_abs()))),
            (false, None) => Err(invalid("One of version number (or) latest version is required.")),
        }
    }

    pub fn of<'s>(self, schema: &'s Schema, named: SchemaRef<'_>) -> Outcome<&'s Version> {
        let found = match self {
            Number::Latest => schema.latest(),
            Number::Is(number) => schema.versions.get(&number),
        };
        found.ok_or_else(|| {
            let (number, latest) = match self {
                Number::Latest => ("null".to_owned(), true),
                Number::Is(number) => (number.to_string(), false),
            };
            not_found(format!(
                "Schema version is not found. {}, VersionNumber: {number}, isLatestVersion: {latest}",
                named.names()
            ))
        })
    }
}

/// How a request names a version.
#[derive(Clone, Copy, Debug)]
pub enum VersionRef<'v> {
    Id(&'v str),
    Number(SchemaRef<'v>, Number),
}

impl<'v> VersionRef<'v> {
    pub fn read(input: &Input<'v>) -> Outcome<Self> {
        let schema = SchemaRef::read_if_there(input)?;
        let number = Number::read(input, "SchemaVersionNumber")?;
        match (input.text("SchemaVersionId")?, schema, number) {
            (Some(id), None, None) if is_version_id(id) => Ok(VersionRef::Id(id)),
            (Some(_), None, None) => Err(wrong_characters("SchemaVersionId")),
            (Some(_), ..) => {
                Err(invalid("No other input parameters can be specified when fetching by SchemaVersionId."))
            }
            (None, Some(schema), Some(number)) => Ok(VersionRef::Number(schema, number)),
            (None, Some(_), None) => Err(invalid("One of version number (or) latest version is required.")),
            (None, None, _) => {
                Err(invalid("At least one of (registryName and schemaName) or schemaArn has to be provided."))
            }
        }
    }
}

/// Lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn is_version_id(text: &str) -> bool {
    let is_hexadecimal = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().all(|part| is_hexadecimal(part)) && parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
}

impl Glue {
    pub(super) fn registry_arn(&self, registry: &str) -> String {
        format!("arn:aws:glue:{}:{}:registry/{registry}", self.region, self.account_id)
    }

    pub(super) fn schema_arn(&self, registry: &str, schema: &str) -> String {
        format!("arn:aws:glue:{}:{}:schema/{registry}/{schema}", self.region, self.account_id)
    }

    /// The registry that a request names, or the default one; whether it exists is another question.
    pub(super) fn named_registry(&self, input: &Input<'_>) -> Outcome<String> {
        let Some(id) = input.structure("RegistryId", &["RegistryName", "RegistryArn"])? else {
            return Ok(DEFAULT_REGISTRY.to_owned());
        };
        match (id.text("RegistryName")?, id.text("RegistryArn")?) {
            (Some(_), Some(_)) => {
                Err(invalid("One of registryName or registryArn has to be provided, both cannot be provided."))
            }
            (Some(name), None) => check_name(name, "registryName").map(|()| name.to_owned()),
            (None, Some(arn)) => {
                let name = arn.strip_prefix(&self.registry_arn("")).filter(|name| !name.is_empty());
                name.map(str::to_owned).ok_or_else(|| match arn.starts_with("arn:aws:glue:") {
                    true => not_found(format!("Registry is not found. RegistryArn: {arn}")),
                    false => wrong_characters("registryArn"),
                })
            }
            (None, None) => Ok(DEFAULT_REGISTRY.to_owned()),
        }
    }

    pub(super) fn registry(&self, name: &str) -> Outcome<&Registry> {
        self.registries.get(name).ok_or_else(|| no_registry(name))
    }

    pub(super) fn registry_mut(&mut self, name: &str) -> Outcome<&mut Registry> {
        self.registries.get_mut(name).ok_or_else(|| no_registry(name))
    }

    /// Names of the registry and the schema; whether the schema exists is another question.
    fn names_of(&self, named: SchemaRef<'_>) -> Outcome<(String, String)> {
        let names = match named {
            SchemaRef { registry: Some(registry), schema: Some(schema), .. } => Some((registry, schema)),
            SchemaRef { arn: Some(arn), .. } if !arn.starts_with("arn:aws:glue:") => {
                return Err(wrong_characters("schemaArn"));
            }
            SchemaRef { arn, .. } => {
                let prefix = format!("arn:aws:glue:{}:{}:schema/", self.region, self.account_id);
                arn.and_then(|arn| arn.strip_prefix(&prefix)?.split_once('/'))
            }
        };
        names.map(|(registry, schema)| (registry.to_owned(), schema.to_owned())).ok_or_else(|| named.not_found())
    }

    /// A schema with the name of its registry.
    pub(super) fn schema(&self, named: SchemaRef<'_>) -> Outcome<(&str, &Schema)> {
        let (registry, schema) = self.names_of(named)?;
        let registry = self.registries.get(&registry).ok_or_else(|| named.not_found())?;
        let schema = registry.schemas.get(&schema).ok_or_else(|| named.not_found())?;
        Ok((&registry.name, schema))
    }

    /// The same, unless it is being deleted: then it takes no part in anything.
    pub(super) fn live_schema(&self, named: SchemaRef<'_>) -> Outcome<(&str, &Schema)> {
        self.schema(named)
            .and_then(|found| if found.1.status.is_deleting() { Err(named.not_found()) } else { Ok(found) })
    }

    pub(super) fn live_schema_mut(&mut self, named: SchemaRef<'_>) -> Outcome<(String, &mut Schema)> {
        let (registry, schema) = self.names_of(named)?;
        let found = self.registries.get_mut(&registry).and_then(|found| found.schemas.get_mut(&schema));
        let found = found.filter(|schema| !schema.status.is_deleting()).ok_or_else(|| named.not_found())?;
        Ok((registry, found))
    }

    /// A version with its schema and the name of its registry.
    pub(super) fn version(&self, named: VersionRef<'_>) -> Outcome<(&str, &Schema, &Version)> {
        match named {
            VersionRef::Number(schema, number) => {
                let (registry, found) = self.schema(schema)?;
                Ok((registry, found, number.of(found, schema)?))
            }
            VersionRef::Id(id) => self.version_with_id(id).ok_or_else(|| no_version(id)),
        }
    }

    pub(super) fn version_with_id(&self, id: &str) -> Option<(&str, &Schema, &Version)> {
        let address = self.addresses.get(id)?;
        let registry = self.registries.get(&address.registry)?;
        let schema = registry.schemas.get(&address.schema)?;
        Some((&registry.name, schema, schema.versions.get(&address.number)?))
    }
}

fn no_registry(name: &str) -> ServiceError {
    not_found(format!("Registry is not found. RegistryName: {name}"))
}

pub fn no_version(id: &str) -> ServiceError {
    not_found(format!("Schema version is not found. SchemaVersionId: {id}"))
}
