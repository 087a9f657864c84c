//! What a table is declared to be: keys, indexes, billing, stream.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    errors::DynamodbError,
    key::{KeySchema, KeyType},
};
use crate::wire::json::Json;

type Outcome<T> = Result<T, DynamodbError>;

#[derive(Clone, Debug, PartialEq)]
pub enum IndexProjection {
    All,
    KeysOnly,
    Include(BTreeSet<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throughput {
    pub read_units: u64,
    pub write_units: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct IndexDefinition {
    pub name: String,
    pub keys: KeySchema,
    pub projection: IndexProjection,
    /// Global indexes have partitions of their own and lag; local ones share the table's.
    pub is_global: bool,
    pub throughput: Option<Throughput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewType {
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

impl ViewType {
    pub fn name(self) -> &'static str {
        match self {
            ViewType::KeysOnly => "KEYS_ONLY",
            ViewType::NewImage => "NEW_IMAGE",
            ViewType::OldImage => "OLD_IMAGE",
            ViewType::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    fn parse(name: &str) -> Outcome<Self> {
        match name {
            "KEYS_ONLY" => Ok(ViewType::KeysOnly),
            "NEW_IMAGE" => Ok(ViewType::NewImage),
            "OLD_IMAGE" => Ok(ViewType::OldImage),
            "NEW_AND_OLD_IMAGES" => Ok(ViewType::NewAndOldImages),
            other => Err(not_in_enum(
                other,
                "streamSpecification.streamViewType",
                "[NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY]",
            )),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    pub name: String,
    pub keys: KeySchema,
    pub attributes: BTreeMap<String, KeyType>,
    pub indexes: Vec<IndexDefinition>,
    /// `None` for on-demand tables.
    pub throughput: Option<Throughput>,
    pub stream: Option<ViewType>,
    pub tags: BTreeMap<String, String>,
    pub deletion_protection: bool,
    /// The text of the policy that the table is made with.
    pub policy: Option<String>,
}

pub fn not_in_enum(value: &str, member: &str, allowed: &str) -> DynamodbError {
    DynamodbError::validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must satisfy enum value set: {allowed}"
    ))
}

pub fn required(member: &str) -> DynamodbError {
    DynamodbError::validation(format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

/// The table's name from a request: a plain name, or the ARN that newer clients may send.
pub fn table_name(json: &Json<'_>) -> Outcome<String> {
    let given = json.string("TableName")?.ok_or_else(|| required("tableName"))?;
    named_table(given)
}

fn bad_name(given: &str, must: &str) -> DynamodbError {
    DynamodbError::validation(format!(
        "1 validation error detected: Value '{given}' at 'tableName' failed to satisfy constraint: Member must {must}"
    ))
}

/// Checks a table name and reduces an ARN to the name inside it.
pub fn named_table(given: &str) -> Outcome<String> {
    let name = match given.strip_prefix("arn:") {
        Some(_) => given.split_once(":table/").map_or(given, |(_, name)| name),
        None => given,
    };
    if name.is_empty() {
        return Err(DynamodbError::validation(
            "1 validation error detected: Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return Err(bad_name(given, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"));
    }
    if name.len() > 255 {
        return Err(bad_name(given, "have length less than or equal to 255"));
    }
    Ok(name.to_owned())
}

impl TableDefinition {
    /// Reads a CreateTable request.
    pub fn from_json(json: &Json<'_>) -> Outcome<Self> {
        let name = table_name(json)?;
        if name.len() < 3 {
            return Err(bad_name(&name, "have length greater than or equal to 3"));
        }
        let attributes = attribute_definitions(json)?;
        let keys = key_schema(json, &attributes, "keySchema")?;
        let throughput = billing(json)?;
        let mut indexes = Vec::new();
        for (member, is_global) in [("LocalSecondaryIndexes", false), ("GlobalSecondaryIndexes", true)] {
            for index in json.array(member)?.unwrap_or_default() {
                indexes.push(index_definition(index, &attributes, is_global, throughput.is_some())?);
            }
        }
        let definition = Self {
            name,
            keys,
            attributes,
            indexes,
            throughput,
            stream: stream_specification(json)?.flatten(),
            tags: tags(json)?,
            deletion_protection: json.bool("DeletionProtectionEnabled")?.unwrap_or(false),
            policy: json.string("ResourcePolicy")?.map(str::to_owned),
        };
        definition.check()?;
        Ok(definition)
    }

    /// Refuses declarations that contradict themselves.
    pub fn check(&self) -> Outcome<()> {
        let mut used: BTreeSet<&str> = self.keys.attributes().map(|(name, _)| name.as_str()).collect();
        let mut names = BTreeSet::new();
        for index in &self.indexes {
            used.extend(index.keys.attributes().map(|(name, _)| name.as_str()));
            if !names.insert(&index.name) {
                return Err(DynamodbError::invalid_parameter(format!("Duplicate index name: {}", index.name)));
            }
            if !index.is_global {
                self.check_local(index)?;
            }
        }
        if used.len() != self.attributes.len() && self.indexes.is_empty() {
            return Err(DynamodbError::invalid_parameter(
                "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
            ));
        }
        if used.len() != self.attributes.len() {
            return Err(DynamodbError::invalid_parameter(format!(
                "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
                self.attributes.keys().cloned().collect::<Vec<_>>().join(", "),
                used.into_iter().collect::<Vec<_>>().join(", ")
            )));
        }
        let count = |global: bool| self.indexes.iter().filter(|index| index.is_global == global).count();
        if count(true) > 20 {
            return Err(DynamodbError::invalid_parameter(
                "GlobalSecondaryIndex count exceeds the per-table limit of 20",
            ));
        }
        if count(false) > 5 {
            return Err(DynamodbError::invalid_parameter(
                "Number of LocalSecondaryIndexes exceeds per-table limit of 5",
            ));
        }
        Ok(())
    }

    fn check_local(&self, index: &IndexDefinition) -> Outcome<()> {
        if self.keys.sort.is_none() {
            return Err(DynamodbError::invalid_parameter(
                "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
            ));
        }
        if index.keys.partition != self.keys.partition {
            return Err(DynamodbError::invalid_parameter(format!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: {}. index hash key: {}, table hash key: {}",
                index.name, index.keys.partition.0, self.keys.partition.0
            )));
        }
        if index.keys.sort.is_none() {
            return Err(DynamodbError::invalid_parameter(format!(
                "Index KeySchema does not have a range key for index: {}",
                index.name
            )));
        }
        Ok(())
    }
}

/// The declared types of key attributes.
pub fn attribute_definitions(json: &Json<'_>) -> Outcome<BTreeMap<String, KeyType>> {
    let mut attributes = BTreeMap::new();
    for definition in json.array("AttributeDefinitions")?.unwrap_or_default() {
        let name = definition
            .string("AttributeName")?
            .ok_or_else(|| required("attributeDefinitions.1.member.attributeName"))?;
        let kind = match definition.string("AttributeType")? {
            Some("S") => KeyType::S,
            Some("N") => KeyType::N,
            Some("B") => KeyType::B,
            Some(other) => {
                return Err(not_in_enum(other, "attributeDefinitions.1.member.attributeType", "[B, N, S]"));
            }
            None => return Err(required("attributeDefinitions.1.member.attributeType")),
        };
        if attributes.insert(name.to_owned(), kind).is_some() {
            return Err(DynamodbError::validation(format!("Cannot have two attributes with the same name: {name}")));
        }
    }
    Ok(attributes)
}

fn key_schema(json: &Json<'_>, attributes: &BTreeMap<String, KeyType>, member: &str) -> Outcome<KeySchema> {
    let elements = json.array("KeySchema")?.ok_or_else(|| required(member))?;
    if elements.len() > 2 {
        return Err(DynamodbError::validation(
            "1 validation error detected: Value at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2",
        ));
    }
    let mut partition = None;
    let mut sort = None;
    for (index, element) in elements.iter().enumerate() {
        let name = element.string("AttributeName")?.ok_or_else(|| required("keySchema.1.member.attributeName"))?;
        let Some(kind) = attributes.get(name) else {
            return Err(DynamodbError::invalid_parameter(format!(
                "Some index key attributes are not defined in AttributeDefinitions. Keys: [{name}], AttributeDefinitions: [{}]",
                attributes.keys().cloned().collect::<Vec<_>>().join(", ")
            )));
        };
        let slot = match element.string("KeyType")? {
            Some("HASH") if index == 0 => &mut partition,
            Some("RANGE") if index == 1 => &mut sort,
            Some("HASH" | "RANGE") if index == 0 => {
                return Err(DynamodbError::validation(
                    "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
                ));
            }
            Some("HASH" | "RANGE") => {
                return Err(DynamodbError::validation(
                    "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
                ));
            }
            Some(other) => {
                return Err(not_in_enum(other, &format!("keySchema.{}.member.keyType", index + 1), "[HASH, RANGE]"));
            }
            None => return Err(required("keySchema.1.member.keyType")),
        };
        *slot = Some((name.to_owned(), *kind));
    }
    let partition = partition.ok_or_else(|| {
        DynamodbError::validation(
            "1 validation error detected: Value '[]' at 'keySchema' failed to satisfy constraint: Member must have length greater than or equal to 1",
        )
    })?;
    if sort.as_ref().is_some_and(|(name, _)| *name == partition.0) {
        return Err(DynamodbError::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    Ok(KeySchema { partition, sort })
}

/// `None` stands for on-demand.
pub fn billing(json: &Json<'_>) -> Outcome<Option<Throughput>> {
    let throughput = json.get("ProvisionedThroughput")?.map(throughput).transpose()?;
    match (json.string("BillingMode")?, throughput) {
        (Some("PAY_PER_REQUEST"), None) => Ok(None),
        (Some("PAY_PER_REQUEST"), Some(_)) => Err(DynamodbError::invalid_parameter(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        )),
        (Some("PROVISIONED") | None, Some(throughput)) => Ok(Some(throughput)),
        (Some("PROVISIONED") | None, None) => Err(DynamodbError::invalid_parameter(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        )),
        (Some(other), _) => Err(not_in_enum(other, "billingMode", "[PROVISIONED, PAY_PER_REQUEST]")),
    }
}

pub fn throughput(json: &Json<'_>) -> Outcome<Throughput> {
    let units = |name: &str, member: &str| {
        let units = json.long(name)?.ok_or_else(|| required(&format!("provisionedThroughput.{member}")))?;
        u64::try_from(units).ok().filter(|units| *units > 0).ok_or_else(|| {
            DynamodbError::validation(format!(
                "1 validation error detected: Value '{units}' at 'provisionedThroughput.{member}' failed to satisfy constraint: Member must have value greater than or equal to 1"
            ))
        })
    };
    Ok(Throughput {
        read_units: units("ReadCapacityUnits", "readCapacityUnits")?,
        write_units: units("WriteCapacityUnits", "writeCapacityUnits")?,
    })
}

/// Reads one index of CreateTable or of UpdateTable's Create action.
pub fn index_definition(
    json: &Json<'_>,
    attributes: &BTreeMap<String, KeyType>,
    is_global: bool,
    table_is_provisioned: bool,
) -> Outcome<IndexDefinition> {
    let name = json.string("IndexName")?.ok_or_else(|| required("indexName"))?.to_owned();
    if !(3..=255).contains(&name.len()) {
        return Err(DynamodbError::validation(
            "IndexName must be at least 3 characters long and at most 255 characters long",
        ));
    }
    let keys = key_schema(json, attributes, "keySchema")?;
    let projection = json.get("Projection")?.ok_or_else(|| required("projection"))?;
    let projection = match projection.string("ProjectionType")? {
        Some("ALL") => IndexProjection::All,
        Some("KEYS_ONLY") => IndexProjection::KeysOnly,
        Some("INCLUDE") => {
            let names = projection.strings("NonKeyAttributes")?.unwrap_or_default();
            if names.is_empty() {
                return Err(DynamodbError::invalid_parameter(
                    "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
                ));
            }
            IndexProjection::Include(names.into_iter().collect())
        }
        Some(other) => {
            return Err(not_in_enum(other, "projection.projectionType", "[ALL, INCLUDE, KEYS_ONLY]"));
        }
        None => return Err(DynamodbError::invalid_parameter("Unknown ProjectionType: null")),
    };
    let given = json.get("ProvisionedThroughput")?.map(throughput).transpose()?;
    if is_global && table_is_provisioned && given.is_none() {
        return Err(DynamodbError::invalid_parameter(format!(
            "ProvisionedThroughput is not specified for index: {name}"
        )));
    }
    Ok(IndexDefinition { name, keys, projection, is_global, throughput: given })
}

/// `None`: not in the request. `Some(None)`: the stream is to be off.
pub fn stream_specification(json: &Json<'_>) -> Outcome<Option<Option<ViewType>>> {
    let Some(specification) = json.get("StreamSpecification")? else { return Ok(None) };
    let view = specification.string("StreamViewType")?.map(ViewType::parse).transpose()?;
    match (specification.bool("StreamEnabled")?, view) {
        (Some(true), Some(view)) => Ok(Some(Some(view))),
        (Some(true), None) => {
            Err(DynamodbError::invalid_parameter("StreamViewType is required when StreamEnabled is true"))
        }
        (Some(false), None) => Ok(Some(None)),
        (Some(false), Some(_)) => {
            Err(DynamodbError::invalid_parameter("StreamViewType is specified but StreamEnabled is false"))
        }
        (None, _) => Err(required("streamSpecification.streamEnabled")),
    }
}

pub fn tags(json: &Json<'_>) -> Outcome<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for tag in json.array("Tags")?.unwrap_or_default() {
        let key = tag.string("Key")?.ok_or_else(|| required("tags.1.member.key"))?;
        let value = tag.string("Value")?.ok_or_else(|| required("tags.1.member.value"))?;
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}
