//! Operations about tables as a whole: create, describe, change, delete, tag, time-to-live.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    DynamoDb, Outcome,
    access::{ExpectedRevision, ResourcePolicy},
    context::Context,
    errors::DynamodbError,
    key::{KeySchema, KeyType},
    schema::{
        IndexDefinition, IndexProjection, TableDefinition, Throughput, ViewType, attribute_definitions, billing,
        index_definition, required, stream_specification, table_name, tags, throughput,
    },
    table::{Index, Table, TimeToLive},
};
use crate::{interface::UnixNanos, streams::Stream, wire::json::Json};

#[derive(Debug)]
pub enum TableOperation {
    Create(TableDefinition),
    Delete { table: String },
    Describe { table: String },
    List { start: Option<String>, limit: usize },
    Update(TableUpdate),
    UpdateTimeToLive { table: String, attribute: String, is_enabled: bool },
    DescribeTimeToLive { table: String },
    Tag { arn: String, tags: BTreeMap<String, String> },
    Untag { arn: String, keys: Vec<String> },
    ListTags { arn: String },
    DescribeLimits,
    DescribeEndpoints,
    DescribeContinuousBackups { table: String },
    PutPolicy { arn: String, text: String, expected: ExpectedRevision },
    GetPolicy { arn: String },
    DeletePolicy { arn: String, expected: ExpectedRevision },
}

#[derive(Debug)]
pub struct TableUpdate {
    table: String,
    /// `Some(None)` changes to on-demand.
    throughput: Option<Option<Throughput>>,
    stream: Option<Option<ViewType>>,
    attributes: BTreeMap<String, KeyType>,
    create_indexes: Vec<IndexRequest>,
    update_indexes: Vec<(String, Throughput)>,
    delete_indexes: Vec<String>,
    deletion_protection: Option<bool>,
}

/// An index to create, checked against the table when it is known.
#[derive(Debug)]
struct IndexRequest {
    definition: IndexDefinition,
}

impl TableOperation {
    pub fn parse(name: &str, json: &Json<'_>) -> Option<Outcome<Self>> {
        let with_table = |make: fn(String) -> Self| table_name(json).map(make);
        Some(match name {
            "CreateTable" => TableDefinition::from_json(json).map(Self::Create),
            "DeleteTable" => with_table(|table| Self::Delete { table }),
            "DescribeTable" => with_table(|table| Self::Describe { table }),
            "ListTables" => Self::list(json),
            "UpdateTable" => TableUpdate::from_json(json).map(Self::Update),
            "UpdateTimeToLive" => Self::update_time_to_live(json),
            "DescribeTimeToLive" => with_table(|table| Self::DescribeTimeToLive { table }),
            "TagResource" => Self::tag(json),
            "UntagResource" => Self::untag(json),
            "ListTagsOfResource" => resource_arn(json).map(|arn| Self::ListTags { arn }),
            "DescribeLimits" => Ok(Self::DescribeLimits),
            "DescribeEndpoints" => Ok(Self::DescribeEndpoints),
            "DescribeContinuousBackups" => with_table(|table| Self::DescribeContinuousBackups { table }),
            "PutResourcePolicy" => Self::put_policy(json),
            "GetResourcePolicy" => resource_arn(json).map(|arn| Self::GetPolicy { arn }),
            "DeleteResourcePolicy" => Self::delete_policy(json),
            _ => return None,
        })
    }

    fn put_policy(json: &Json<'_>) -> Outcome<Self> {
        let text = json.string("Policy")?.ok_or_else(|| required("policy"))?.to_owned();
        Ok(Self::PutPolicy { arn: resource_arn(json)?, text, expected: expected_revision(json)? })
    }

    fn delete_policy(json: &Json<'_>) -> Outcome<Self> {
        Ok(Self::DeletePolicy { arn: resource_arn(json)?, expected: expected_revision(json)? })
    }

    fn list(json: &Json<'_>) -> Outcome<Self> {
        let limit = json.integer("Limit")?.unwrap_or(100);
        let bounded = usize::try_from(limit).ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| {
            let bound = if limit < 1 { "greater than or equal to 1" } else { "less than or equal to 100" };
            DynamodbError::validation(format!(
                "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value {bound}"
            ))
        })?;
        Ok(Self::List { start: json.string("ExclusiveStartTableName")?.map(str::to_owned), limit: bounded })
    }

    fn update_time_to_live(json: &Json<'_>) -> Outcome<Self> {
        let specification = json.get("TimeToLiveSpecification")?.ok_or_else(|| required("timeToLiveSpecification"))?;
        Ok(Self::UpdateTimeToLive {
            table: table_name(json)?,
            attribute: specification
                .string("AttributeName")?
                .ok_or_else(|| required("timeToLiveSpecification.attributeName"))?
                .to_owned(),
            is_enabled: specification.bool("Enabled")?.ok_or_else(|| required("timeToLiveSpecification.enabled"))?,
        })
    }

    fn tag(json: &Json<'_>) -> Outcome<Self> {
        Ok(Self::Tag { arn: resource_arn(json)?, tags: tags(json)? })
    }

    fn untag(json: &Json<'_>) -> Outcome<Self> {
        let keys = json.strings("TagKeys")?.ok_or_else(|| required("tagKeys"))?;
        Ok(Self::Untag { arn: resource_arn(json)?, keys })
    }

    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Create(_)
                | Self::Delete { .. }
                | Self::Update(_)
                | Self::UpdateTimeToLive { .. }
                | Self::Tag { .. }
                | Self::Untag { .. }
                | Self::PutPolicy { .. }
                | Self::DeletePolicy { .. }
        )
    }
}

fn resource_arn(json: &Json<'_>) -> Outcome<String> {
    Ok(json.string("ResourceArn")?.ok_or_else(|| required("resourceArn"))?.to_owned())
}

fn expected_revision(json: &Json<'_>) -> Outcome<ExpectedRevision> {
    Ok(ExpectedRevision::read(json.string("ExpectedRevisionId")?))
}

impl TableUpdate {
    fn from_json(json: &Json<'_>) -> Outcome<Self> {
        let attributes = attribute_definitions(json)?;
        let changes_throughput = json.get("BillingMode")?.is_some() || json.get("ProvisionedThroughput")?.is_some();
        let mut update = Self {
            table: table_name(json)?,
            throughput: if changes_throughput { Some(billing(json)?) } else { None },
            stream: stream_specification(json)?,
            attributes,
            create_indexes: Vec::new(),
            update_indexes: Vec::new(),
            delete_indexes: Vec::new(),
            deletion_protection: json.bool("DeletionProtectionEnabled")?,
        };
        for change in json.array("GlobalSecondaryIndexUpdates")?.unwrap_or_default() {
            update.read_index_change(change)?;
        }
        Ok(update)
    }

    fn read_index_change(&mut self, change: &Json<'_>) -> Outcome<()> {
        let name = |json: &Json<'_>| -> Outcome<String> {
            Ok(json.string("IndexName")?.ok_or_else(|| required("indexName"))?.to_owned())
        };
        if let Some(create) = change.get("Create")? {
            let definition = index_definition(create, &self.attributes, true, false)?;
            self.create_indexes.push(IndexRequest { definition });
        }
        if let Some(update) = change.get("Update")? {
            let units = update.get("ProvisionedThroughput")?.ok_or_else(|| required("provisionedThroughput"))?;
            self.update_indexes.push((name(update)?, throughput(units)?));
        }
        if let Some(delete) = change.get("Delete")? {
            self.delete_indexes.push(name(delete)?);
        }
        Ok(())
    }
}

pub fn execute(dynamodb: &mut DynamoDb, context: &mut Context<'_>, operation: TableOperation) -> Outcome<Vec<u8>> {
    let answer = match operation {
        TableOperation::Create(definition) => create(dynamodb, context, definition)?,
        TableOperation::Delete { table } => delete(dynamodb, context, &table)?,
        TableOperation::Describe { table } => {
            let creation_time = dynamodb.creation_time();
            let table = named(dynamodb, &table)?;
            json!({"Table": describe(table, status(table, context.now, creation_time))})
        }
        TableOperation::List { start, limit } => list(dynamodb, start.as_deref(), limit),
        TableOperation::Update(update) => update_table(dynamodb, context, update)?,
        TableOperation::UpdateTimeToLive { table, attribute, is_enabled } => {
            update_time_to_live(dynamodb, context, &table, attribute, is_enabled)?
        }
        TableOperation::DescribeTimeToLive { table } => describe_time_to_live(named(dynamodb, &table)?),
        TableOperation::Tag { arn, tags } => {
            table_by_arn(dynamodb, &arn)?.definition.tags.extend(tags);
            return Ok(Vec::new());
        }
        TableOperation::Untag { arn, keys } => {
            let table = table_by_arn(dynamodb, &arn)?;
            for key in keys {
                table.definition.tags.remove(&key);
            }
            return Ok(Vec::new());
        }
        TableOperation::ListTags { arn } => {
            let tags: Vec<Value> = table_by_arn(dynamodb, &arn)?
                .definition
                .tags
                .iter()
                .map(|(key, value)| json!({"Key": key, "Value": value}))
                .collect();
            json!({"Tags": tags})
        }
        TableOperation::DescribeLimits => json!({
            "AccountMaxReadCapacityUnits": 80_000,
            "AccountMaxWriteCapacityUnits": 80_000,
            "TableMaxReadCapacityUnits": 40_000,
            "TableMaxWriteCapacityUnits": 40_000,
        }),
        TableOperation::DescribeEndpoints => json!({
            "Endpoints": [{"Address": format!("dynamodb.{}.amazonaws.com", dynamodb.region), "CachePeriodInMinutes": 1440}],
        }),
        TableOperation::PutPolicy { arn, text, expected } => dynamodb.put_policy(&arn, &text, &expected)?,
        TableOperation::GetPolicy { arn } => dynamodb.get_policy(&arn)?,
        TableOperation::DeletePolicy { arn, expected } => dynamodb.delete_policy(&arn, &expected)?,
        TableOperation::DescribeContinuousBackups { table } => {
            named(dynamodb, &table)
                .map_err(|_| DynamodbError::ResourceNotFound { message: format!("Table not found: {table}") })?;
            json!({"ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
            }})
        }
    };
    Ok(answer.to_string().into_bytes())
}

fn named<'d>(dynamodb: &'d DynamoDb, table: &str) -> Outcome<&'d Table> {
    dynamodb.tables.get(table).ok_or_else(|| DynamodbError::table_not_found_named(table))
}

/// The table that tags and policies name by its ARN.
pub(super) fn table_by_arn<'d>(dynamodb: &'d mut DynamoDb, arn: &str) -> Outcome<&'d mut Table> {
    dynamodb.tables.values_mut().find(|table| table.arn == arn).ok_or_else(|| DynamodbError::ResourceNotFound {
        message: format!("Requested resource not found: ResourcArn: {arn} not found"),
    })
}

pub fn create(dynamodb: &mut DynamoDb, context: &Context<'_>, definition: TableDefinition) -> Outcome<Value> {
    if dynamodb.tables.contains_key(&definition.name) {
        return Err(DynamodbError::ResourceInUse { message: format!("Table already exists: {}", definition.name) });
    }
    let arn = format!("arn:aws:dynamodb:{}:{}:table/{}", dynamodb.region, dynamodb.account_id, definition.name);
    dynamodb.tables_created += 1;
    let bits = context.entropy.fixed_u64("table-id", dynamodb.tables_created);
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        bits >> 32,
        (bits >> 16) & 0xffff,
        (bits >> 4) & 0xfff,
        bits & 0xfff,
        bits.rotate_left(17) & 0xffff_ffff_ffff
    );
    let mut table = Table::new(definition, arn, id, context.now, &dynamodb.config.streams);
    if let Some(text) = table.definition.policy.take() {
        dynamodb.policies_put += 1;
        table.policy = Some(ResourcePolicy::read(&text, dynamodb.policies_put)?);
    }
    let description = json!({"TableDescription": describe(&table, "CREATING")});
    dynamodb.tables.insert(table.definition.name.clone(), table);
    Ok(description)
}

fn delete(dynamodb: &mut DynamoDb, context: &Context<'_>, name: &str) -> Outcome<Value> {
    if named(dynamodb, name)?.definition.deletion_protection {
        return Err(DynamodbError::validation(format!(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first. Table: {name}"
        )));
    }
    let mut table = dynamodb.tables.remove(name).ok_or_else(|| DynamodbError::table_not_found_named(name))?;
    let description = json!({"TableDescription": describe(&table, "DELETING")});
    if let Some(mut stream) = table.stream.take() {
        stream.disable(context.now);
        dynamodb.orphaned_streams.push(stream);
    }
    dynamodb.orphaned_streams.append(&mut table.former_streams);
    Ok(description)
}

fn list(dynamodb: &DynamoDb, start: Option<&str>, limit: usize) -> Value {
    let mut names: Vec<&String> =
        dynamodb.tables.keys().filter(|name| start.is_none_or(|start| name.as_str() > start)).take(limit + 1).collect();
    let more = names.len() > limit;
    names.truncate(limit);
    let mut answer = json!({"TableNames": names});
    if let (true, Some(last)) = (more, names.last()) {
        answer["LastEvaluatedTableName"] = json!(last);
    }
    answer
}

fn update_table(dynamodb: &mut DynamoDb, context: &mut Context<'_>, update: TableUpdate) -> Outcome<Value> {
    let streams = dynamodb.config.streams.clone();
    let creation_time = dynamodb.creation_time();
    let table =
        dynamodb.tables.get_mut(&update.table).ok_or_else(|| DynamodbError::table_not_found_named(&update.table))?;
    if let Some(view) = update.stream {
        switch_stream(table, context.now, view, &streams)?;
    }
    if let Some(throughput) = update.throughput {
        table.definition.throughput = throughput;
    }
    if let Some(protected) = update.deletion_protection {
        table.definition.deletion_protection = protected;
    }
    for name in &update.delete_indexes {
        let known = table.indexes.iter().any(|index| index.definition.name == *name && index.definition.is_global);
        if !known {
            return Err(DynamodbError::ResourceNotFound {
                message: format!("Requested resource not found: Index: {name} not found"),
            });
        }
        table.indexes.retain(|index| index.definition.name != *name);
    }
    for (name, throughput) in update.update_indexes {
        let index = table.indexes.iter_mut().find(|index| index.definition.name == name);
        let index = index.ok_or_else(|| DynamodbError::ResourceNotFound {
            message: format!("Requested resource not found: Index: {name} not found"),
        })?;
        index.definition.throughput = Some(throughput);
    }
    for request in update.create_indexes {
        create_index(table, context.now, request.definition, &update.attributes)?;
    }
    let definitions: Vec<IndexDefinition> = table.indexes.iter().map(|index| index.definition.clone()).collect();
    table.definition.indexes = definitions;
    drop_unused_attributes(table);
    Ok(json!({"TableDescription": describe(table, status(table, context.now, creation_time))}))
}

fn switch_stream(
    table: &mut Table,
    now: UnixNanos,
    view: Option<ViewType>,
    streams: &crate::streams::StreamConfig,
) -> Outcome<()> {
    match (view, &mut table.stream) {
        (Some(_), Some(_)) => {
            return Err(DynamodbError::validation(
                "Table already has an enabled stream: TableName: ".to_owned() + &table.name,
            ));
        }
        (None, None) => {
            return Err(DynamodbError::validation(
                "Table has no stream to disable: TableName: ".to_owned() + &table.name,
            ));
        }
        (Some(view), none) => *none = Some(Stream::new(&table.arn, &table.name, view, now, streams.clone())),
        (None, some) => {
            if let Some(mut stream) = some.take() {
                stream.disable(now);
                table.former_streams.push(stream);
            }
        }
    }
    table.definition.stream = view;
    Ok(())
}

fn create_index(
    table: &mut Table,
    now: UnixNanos,
    definition: IndexDefinition,
    attributes: &BTreeMap<String, KeyType>,
) -> Outcome<()> {
    if table.indexes.iter().any(|index| index.definition.name == definition.name) {
        return Err(DynamodbError::validation(format!(
            "Attempting to create an index which already exists: {}",
            definition.name
        )));
    }
    for (name, kind) in definition.keys.attributes() {
        if attributes.get(name).is_some_and(|given| given == kind) {
            table.definition.attributes.insert(name.clone(), *kind);
        }
    }
    let mut index = Index::new(definition, &table.arn);
    // Backfilling: what is there already appears in the index at once.
    let keys = table.definition.keys.clone();
    for (key, item) in table.items.iter() {
        index.apply(&keys, now, now, key, None, Some(item));
    }
    table.indexes.push(index);
    Ok(())
}

fn drop_unused_attributes(table: &mut Table) {
    let (keys, indexes) = (table.definition.keys.clone(), &table.definition.indexes);
    table
        .definition
        .attributes
        .retain(|name, _| keys.is_key(name) || indexes.iter().any(|index| index.keys.is_key(name)));
}

fn update_time_to_live(
    dynamodb: &mut DynamoDb,
    context: &mut Context<'_>,
    name: &str,
    attribute: String,
    is_enabled: bool,
) -> Outcome<Value> {
    let table = dynamodb.tables.get_mut(name).ok_or_else(|| DynamodbError::table_not_found_named(name))?;
    let current = table.time_to_live.as_ref().filter(|ttl| ttl.is_enabled);
    match (current, is_enabled) {
        (Some(_), true) => return Err(DynamodbError::validation("TimeToLive is already enabled")),
        (None, false) => return Err(DynamodbError::validation("TimeToLive is already disabled")),
        (Some(ttl), false) if ttl.attribute != attribute => {
            return Err(DynamodbError::validation(format!(
                "TimeToLive is active on a different AttributeName: current AttributeName is {}",
                ttl.attribute
            )));
        }
        _ => {}
    }
    table.time_to_live = Some(TimeToLive { attribute: attribute.clone(), is_enabled });
    if is_enabled {
        let items: Vec<_> = table.items.iter().map(|(key, item)| (key.clone(), item.clone())).collect();
        for (key, item) in items {
            table.schedule_expiry(context, &key, &item);
        }
    }
    Ok(json!({"TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": is_enabled}}))
}

fn describe_time_to_live(table: &Table) -> Value {
    let description = match &table.time_to_live {
        Some(ttl) if ttl.is_enabled => json!({"TimeToLiveStatus": "ENABLED", "AttributeName": ttl.attribute}),
        _ => json!({"TimeToLiveStatus": "DISABLED"}),
    };
    json!({"TimeToLiveDescription": description})
}

fn status(table: &Table, now: UnixNanos, creation_time: std::time::Duration) -> &'static str {
    if now < table.created_at.plus(creation_time) { "CREATING" } else { "ACTIVE" }
}

fn key_schema(keys: &KeySchema) -> Value {
    let elements: Vec<Value> = keys
        .attributes()
        .zip(["HASH", "RANGE"])
        .map(|((name, _), kind)| json!({"AttributeName": name, "KeyType": kind}))
        .collect();
    Value::Array(elements)
}

fn describe_throughput(throughput: Option<Throughput>) -> Value {
    let (read, write) = throughput.map_or((0, 0), |units| (units.read_units, units.write_units));
    json!({"NumberOfDecreasesToday": 0, "ReadCapacityUnits": read, "WriteCapacityUnits": write})
}

fn seconds(at: UnixNanos) -> f64 {
    at.as_millis() as f64 / 1000.0
}

fn describe(table: &Table, status: &str) -> Value {
    let definition = &table.definition;
    let attributes: Vec<Value> = definition
        .attributes
        .iter()
        .map(|(name, kind)| json!({"AttributeName": name, "AttributeType": kind.name()}))
        .collect();
    let mut description = json!({
        "AttributeDefinitions": attributes,
        "TableName": definition.name,
        "KeySchema": key_schema(&definition.keys),
        "TableStatus": status,
        "CreationDateTime": seconds(table.created_at),
        "ProvisionedThroughput": describe_throughput(definition.throughput),
        "TableSizeBytes": table.size_bytes,
        "ItemCount": table.item_count,
        "TableArn": table.arn,
        "TableId": table.id,
        "DeletionProtectionEnabled": definition.deletion_protection,
    });
    if definition.throughput.is_none() {
        description["BillingModeSummary"] = json!({
            "BillingMode": "PAY_PER_REQUEST",
            "LastUpdateToPayPerRequestDateTime": seconds(table.created_at),
        });
        description["WarmThroughput"] =
            json!({"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"});
    }
    for (name, is_global) in [("LocalSecondaryIndexes", false), ("GlobalSecondaryIndexes", true)] {
        let indexes: Vec<Value> = table
            .indexes
            .iter()
            .filter(|index| index.definition.is_global == is_global)
            .map(|index| describe_index(index, status, definition.throughput))
            .collect();
        if !indexes.is_empty() {
            description[name] = Value::Array(indexes);
        }
    }
    if let Some(stream) = &table.stream {
        description["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": stream.view.name()});
        description["LatestStreamLabel"] = json!(stream.label);
        description["LatestStreamArn"] = json!(stream.arn);
    } else if let Some(stream) = table.former_streams.last() {
        description["LatestStreamLabel"] = json!(stream.label);
        description["LatestStreamArn"] = json!(stream.arn);
    }
    description
}

fn describe_index(index: &Index, table_status: &str, table_throughput: Option<Throughput>) -> Value {
    let definition = &index.definition;
    let projection = match &definition.projection {
        IndexProjection::All => json!({"ProjectionType": "ALL"}),
        IndexProjection::KeysOnly => json!({"ProjectionType": "KEYS_ONLY"}),
        IndexProjection::Include(names) => json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": names}),
    };
    let (mut rows, mut bytes) = (0u64, 0u64);
    for (_, item) in index.rows.iter() {
        rows += 1;
        bytes += super::value::item_size_bytes(item) as u64;
    }
    let mut description = json!({
        "IndexName": definition.name,
        "KeySchema": key_schema(&definition.keys),
        "Projection": projection,
        "IndexSizeBytes": bytes,
        "ItemCount": rows,
        "IndexArn": index.arn,
    });
    if definition.is_global {
        description["IndexStatus"] = json!(table_status);
        let throughput = table_throughput.and(definition.throughput);
        description["ProvisionedThroughput"] = describe_throughput(throughput);
    }
    description
}
