//! The four operations of the DynamoDB Streams API.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    iterator::{LIFETIME, ShardIterator},
    shard::{RETENTION, Shard, Stream, StreamRecord, parse_sequence, sequence_text},
};
use crate::{
    dynamodb::{
        context::Context,
        errors::DynamodbError,
        schema::{ViewType, not_in_enum, required},
        value::write_item,
    },
    interface::{MessageStep, MessageStepKind, Quirk, Service, UnixNanos},
    journal::RawEntry,
    wire::json::{Json, write_string},
};

type Outcome<T> = Result<T, DynamodbError>;

const MAX_RECORDS: usize = 1_000;
const MAX_BYTES: usize = 1024 * 1024;
const MAX_SHARDS_A_PAGE: usize = 100;
/// A caller counts as a reader of a shard for this long after its last read.
const READER_WINDOW: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub enum StreamsOperation {
    ListStreams { table: Option<String>, limit: usize, start: Option<String> },
    DescribeStream { arn: String, limit: usize, start: Option<String>, children_of: Option<String> },
    GetShardIterator { arn: String, shard: String, start: IteratorStart },
    GetRecords { iterator: ShardIterator, limit: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IteratorStart {
    TrimHorizon,
    Latest,
    At(u64),
    After(u64),
    /// The first record that was created then or later.
    AtTime(UnixNanos),
}

impl StreamsOperation {
    /// Reads the request of an operation, `None` for one that does not exist.
    pub fn parse(name: &str, json: &Json<'_>) -> Option<Outcome<Self>> {
        Some(match name {
            "ListStreams" => Self::list(json),
            "DescribeStream" => Self::describe(json),
            "GetShardIterator" => Self::iterator(json),
            "GetRecords" => Self::records(json),
            _ => return None,
        })
    }

    fn list(json: &Json<'_>) -> Outcome<Self> {
        Ok(Self::ListStreams {
            table: json.string("TableName")?.map(str::to_owned),
            limit: limit(json, MAX_SHARDS_A_PAGE)?,
            start: json.string("ExclusiveStartStreamArn")?.map(str::to_owned),
        })
    }

    fn describe(json: &Json<'_>) -> Outcome<Self> {
        let children_of = match json.get("ShardFilter")? {
            None => None,
            Some(filter) => match filter.string("Type")? {
                Some("CHILD_SHARDS") => {
                    Some(filter.string("ShardId")?.ok_or_else(|| required("shardFilter.shardId"))?.to_owned())
                }
                Some(other) => return Err(not_in_enum(other, "shardFilter.type", "[CHILD_SHARDS]")),
                None => return Err(required("shardFilter.type")),
            },
        };
        Ok(Self::DescribeStream {
            arn: arn(json)?,
            limit: limit(json, MAX_SHARDS_A_PAGE)?,
            start: json.string("ExclusiveStartShardId")?.map(str::to_owned),
            children_of,
        })
    }

    fn iterator(json: &Json<'_>) -> Outcome<Self> {
        let shard = json.string("ShardId")?.ok_or_else(|| required("shardId"))?.to_owned();
        let sequence = || {
            let text = json.string("SequenceNumber")?.ok_or_else(|| {
                DynamodbError::validation("The SequenceNumber parameter is required for this ShardIteratorType")
            })?;
            parse_sequence(text).ok_or_else(|| DynamodbError::validation("Invalid SequenceNumber"))
        };
        let start = match json.string("ShardIteratorType")? {
            Some("TRIM_HORIZON") => IteratorStart::TrimHorizon,
            Some("LATEST") => IteratorStart::Latest,
            Some("AT_SEQUENCE_NUMBER") => IteratorStart::At(sequence()?),
            Some("AFTER_SEQUENCE_NUMBER") => IteratorStart::After(sequence()?),
            Some("AT_TIMESTAMP") => {
                let seconds = json
                    .get("Timestamp")?
                    .ok_or_else(|| {
                        DynamodbError::validation("The Timestamp parameter is required for this ShardIteratorType")
                    })?
                    .as_seconds()?;
                IteratorStart::AtTime(UnixNanos((seconds.max(0.0) * 1_000.0) as u64 * 1_000_000))
            }
            Some(other) => {
                return Err(not_in_enum(
                    other,
                    "shardIteratorType",
                    "[AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON, AT_TIMESTAMP]",
                ));
            }
            None => return Err(required("shardIteratorType")),
        };
        Ok(Self::GetShardIterator { arn: arn(json)?, shard, start })
    }

    fn records(json: &Json<'_>) -> Outcome<Self> {
        let text = json.string("ShardIterator")?.ok_or_else(|| required("shardIterator"))?;
        let iterator = ShardIterator::decode(text).ok_or_else(|| DynamodbError::validation("Invalid ShardIterator"))?;
        Ok(Self::GetRecords { iterator, limit: limit(json, MAX_RECORDS)? })
    }

    /// `stream-table/shard` for reads of one shard.
    pub fn key(&self) -> Option<String> {
        let (arn, shard) = match self {
            Self::GetShardIterator { arn, shard, .. } => (arn, shard),
            Self::GetRecords { iterator, .. } => (&iterator.stream_arn, &iterator.shard),
            _ => return None,
        };
        let table = arn.split_once(":table/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
        Some(format!("{table}/{shard}"))
    }
}

fn arn(json: &Json<'_>) -> Outcome<String> {
    Ok(json.string("StreamArn")?.ok_or_else(|| required("streamArn"))?.to_owned())
}

fn limit(json: &Json<'_>, most: usize) -> Outcome<usize> {
    let Some(limit) = json.integer("Limit")? else { return Ok(most) };
    match usize::try_from(limit) {
        Ok(0) | Err(_) => Err(DynamodbError::validation(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
        ))),
        Ok(wanted) if wanted > most => Err(DynamodbError::validation(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value less than or equal to {most}"
        ))),
        Ok(wanted) => Ok(wanted),
    }
}

fn not_found(arn: &str) -> DynamodbError {
    DynamodbError::ResourceNotFound { message: format!("Requested resource not found: Stream: {arn} not found") }
}

/// Executes an operation over all streams there are, sorted by ARN within a table.
pub fn execute(
    operation: &StreamsOperation,
    streams: Vec<&mut Stream>,
    context: &mut Context<'_>,
    caller: &str,
) -> Outcome<Vec<u8>> {
    // What a stream without a table or switched off still held is gone after a day.
    let is_kept = |stream: &&mut Stream| stream.disabled_at.is_none_or(|at| at.plus(RETENTION) > context.now);
    let streams: Vec<&mut Stream> = streams.into_iter().filter(is_kept).collect();
    match operation {
        StreamsOperation::ListStreams { table, limit, start } => {
            list(&streams, table.as_deref(), *limit, start.as_deref())
        }
        StreamsOperation::DescribeStream { arn, limit, start, children_of } => {
            let stream = find_stream(streams, arn)?;
            stream.maintain(context.now);
            Ok(describe(stream, *limit, start.as_deref(), children_of.as_deref()))
        }
        StreamsOperation::GetShardIterator { arn, shard, start } => {
            let stream = find_stream(streams, arn)?;
            stream.maintain(context.now);
            shard_iterator(stream, shard, start, context.now)
        }
        StreamsOperation::GetRecords { iterator, limit } => {
            let stream = find_stream(streams, &iterator.stream_arn)?;
            stream.maintain(context.now);
            records(stream, iterator, *limit, context, caller)
        }
    }
}

fn find_stream<'s>(streams: Vec<&'s mut Stream>, arn: &str) -> Outcome<&'s mut Stream> {
    streams.into_iter().find(|stream| stream.arn == arn).ok_or_else(|| not_found(arn))
}

fn list(streams: &[&mut Stream], table: Option<&str>, limit: usize, start: Option<&str>) -> Outcome<Vec<u8>> {
    let mut wanted: Vec<&Stream> = streams
        .iter()
        .map(|stream| &**stream)
        .filter(|stream| table.is_none_or(|table| stream.table == table))
        .collect();
    wanted.sort_by(|one, other| one.arn.cmp(&other.arn));
    let mut page: Vec<&Stream> =
        wanted.into_iter().filter(|stream| start.is_none_or(|start| stream.arn.as_str() > start)).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let entries: Vec<Value> = page
        .iter()
        .map(|stream| json!({"StreamArn": stream.arn, "TableName": stream.table, "StreamLabel": stream.label}))
        .collect();
    let mut answer = json!({"Streams": entries});
    if let (true, Some(last)) = (more, page.last()) {
        answer["LastEvaluatedStreamArn"] = Value::String(last.arn.clone());
    }
    Ok(answer.to_string().into_bytes())
}

fn describe(stream: &Stream, limit: usize, start: Option<&str>, children_of: Option<&str>) -> Vec<u8> {
    let after = start.and_then(|start| stream.shards.iter().position(|shard| shard.id == start)).map_or(0, |at| at + 1);
    let wanted: Vec<&Shard> = stream.shards[after..]
        .iter()
        .filter(|shard| children_of.is_none_or(|parent| shard.parent.as_deref() == Some(parent)))
        .collect();
    let page = &wanted[..wanted.len().min(limit)];
    let shards: Vec<Value> = page.iter().map(|shard| describe_shard(shard)).collect();
    let mut description = json!({
        "StreamArn": stream.arn,
        "StreamLabel": stream.label,
        "StreamStatus": if stream.disabled_at.is_some() { "DISABLED" } else { "ENABLED" },
        "StreamViewType": stream.view.name(),
        "CreationRequestDateTime": stream.created_at.as_millis() as f64 / 1000.0,
        "TableName": stream.table,
        "Shards": shards,
    });
    if let (true, Some(last)) = (page.len() < wanted.len(), page.last()) {
        description["LastEvaluatedShardId"] = Value::String(last.id.clone());
    }
    json!({"StreamDescription": description}).to_string().into_bytes()
}

fn describe_shard(shard: &Shard) -> Value {
    let mut range = json!({"StartingSequenceNumber": sequence_text(shard.first_sequence)});
    if let Some(last) = shard.last_sequence {
        range["EndingSequenceNumber"] = Value::String(sequence_text(last));
    }
    let mut description = json!({"ShardId": shard.id, "SequenceNumberRange": range});
    if let Some(parent) = &shard.parent {
        description["ParentShardId"] = Value::String(parent.clone());
    }
    description
}

fn shard_iterator(stream: &Stream, shard_id: &str, start: &IteratorStart, now: UnixNanos) -> Outcome<Vec<u8>> {
    let shard =
        stream.shards.iter().find(|shard| shard.id == shard_id).ok_or_else(|| DynamodbError::ResourceNotFound {
            message: format!("Requested resource not found: Shard does not exist: {shard_id}"),
        })?;
    let in_range = |sequence: u64| {
        let last = shard.last_sequence.unwrap_or_else(|| stream.last_sequence());
        if sequence < shard.first_sequence || sequence > last {
            return Err(DynamodbError::validation("Invalid SequenceNumber"));
        }
        if sequence < shard.trimmed_before && shard.trimmed_before > shard.first_sequence {
            return Err(DynamodbError::TrimmedDataAccess);
        }
        Ok(sequence)
    };
    let position = match start {
        IteratorStart::TrimHorizon => shard.trimmed_before,
        IteratorStart::Latest => {
            let visible = shard.records.iter().rev().find(|record| record.visible_at <= now);
            visible.map_or(shard.trimmed_before, |record| record.sequence + 1)
        }
        IteratorStart::At(sequence) => in_range(*sequence)?,
        IteratorStart::AtTime(time) => {
            let first = shard.records.iter().find(|record| record.created_at >= *time);
            let end = shard.records.back().map_or(shard.trimmed_before, |record| record.sequence + 1);
            first.map_or(end, |record| record.sequence)
        }
        // The record right before the trim point may be gone: what follows it is still there.
        IteratorStart::After(sequence) if sequence.checked_add(1) == Some(shard.trimmed_before) => shard.trimmed_before,
        IteratorStart::After(sequence) => in_range(*sequence)? + 1,
    };
    let iterator =
        ShardIterator { stream_arn: stream.arn.clone(), shard: shard_id.to_owned(), position, issued_at: now };
    Ok(json!({"ShardIterator": iterator.encode()}).to_string().into_bytes())
}

fn records(
    stream: &mut Stream,
    iterator: &ShardIterator,
    limit: usize,
    context: &mut Context<'_>,
    caller: &str,
) -> Outcome<Vec<u8>> {
    let now = context.now;
    if context.quirks.contains(&Quirk::ExpireIterator) || now.since(iterator.issued_at) > LIFETIME {
        return Err(DynamodbError::ExpiredIterator {
            created: crate::wire::iso_8601_ms(iterator.issued_at),
            now: crate::wire::iso_8601_ms(now),
        });
    }
    let view = stream.view;
    let table = stream.table.clone();
    let shard =
        stream.shards.iter_mut().find(|shard| shard.id == iterator.shard).ok_or(DynamodbError::TrimmedDataAccess)?;
    if context.quirks.contains(&Quirk::Trim) {
        trim_to_newest(shard, &table, context);
    }
    if iterator.position < shard.trimmed_before {
        return Err(DynamodbError::TrimmedDataAccess);
    }
    admit_reader(shard, caller, now, context.assumptions.stream_readers_limited)?;
    let mut out = br#"{"Records":["#.to_vec();
    let mut next = iterator.position;
    let mut bytes = 0;
    let first = shard.records.partition_point(|record| record.sequence < iterator.position);
    let limit = if context.quirks.contains(&Quirk::EmptyPage) { 0 } else { limit };
    for (index, record) in shard.records.range(first..).take(limit).enumerate() {
        if record.visible_at > now || (index > 0 && bytes + record.size_bytes > MAX_BYTES) {
            break;
        }
        if index > 0 {
            out.push(b',');
        }
        write_record(&mut out, record, view, context.region);
        bytes += record.size_bytes;
        next = record.sequence + 1;
    }
    out.push(b']');
    let unread = shard.records.back().is_some_and(|record| record.sequence >= next);
    if unread || shard.last_sequence.is_none() {
        let iterator = ShardIterator { position: next, issued_at: now, ..iterator.clone() };
        out.extend_from_slice(b",\"NextShardIterator\":");
        write_string(&mut out, &iterator.encode());
    }
    out.push(b'}');
    Ok(out)
}

/// Drops all records that are older than the newest visible one, as if their retention had ended.
fn trim_to_newest(shard: &mut Shard, table: &str, context: &mut Context<'_>) {
    let visible = shard.records.partition_point(|record| record.visible_at <= context.now);
    for record in shard.records.drain(..visible.saturating_sub(1)) {
        shard.trimmed_before = record.sequence + 1;
        context.journal.push(RawEntry::Message(Box::new(MessageStep {
            at: context.now,
            call_sequence: context.call_sequence,
            service: Service::DynamodbStreams,
            place: format!("{table}/{}", shard.id),
            step: MessageStepKind::Trimmed,
            message_id: sequence_text(record.sequence),
            key: String::new(),
            body: "".into(),
            receive_count: 0,
            note: "by a fault".to_owned(),
        })));
    }
}

fn admit_reader(shard: &mut Shard, caller: &str, now: UnixNanos, limited: bool) -> Outcome<()> {
    shard.readers.retain(|(name, at)| name != caller && now.since(*at) < READER_WINDOW);
    if limited && shard.readers.len() >= 2 {
        return Err(DynamodbError::LimitExceeded {
            message: "Subscriber limit exceeded: more than two readers are reading the same shard".into(),
        });
    }
    shard.readers.push((caller.to_owned(), now));
    Ok(())
}

/// One record in the form of the API.
pub fn write_record(out: &mut Vec<u8>, record: &StreamRecord, view: ViewType, region: &str) {
    let sequence = sequence_text(record.sequence);
    let event_id =
        format!("{:016x}{:016x}", crate::entropy::mix(record.sequence), crate::entropy::mix(!record.sequence));
    out.extend_from_slice(
        format!(
            r#"{{"eventID":"{event_id}","eventName":"{}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"{region}","dynamodb":{{"ApproximateCreationDateTime":{},"Keys":"#,
            record.event.name(),
            record.created_at.0 / 1_000_000_000,
        )
        .as_bytes(),
    );
    write_item(out, &record.keys);
    let (with_old, with_new) = match view {
        ViewType::KeysOnly => (false, false),
        ViewType::OldImage => (true, false),
        ViewType::NewImage => (false, true),
        ViewType::NewAndOldImages => (true, true),
    };
    for (name, wanted, image) in [("NewImage", with_new, &record.new_image), ("OldImage", with_old, &record.old_image)]
    {
        if let (true, Some(image)) = (wanted, image) {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            write_item(out, image);
        }
    }
    out.extend_from_slice(
        format!(
            r#","SequenceNumber":"{sequence}","SizeBytes":{},"StreamViewType":"{}"}}"#,
            record.size_bytes,
            view.name()
        )
        .as_bytes(),
    );
    if record.is_expiry {
        out.extend_from_slice(br#","userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}"#);
    }
    out.push(b'}');
}
