//! GetShardIterator and GetRecords.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    Kinesis,
    errors::{self, Named, invalid_argument},
    input::{Input, Text},
    iterator::{LIFETIME, ShardIterator},
    sequence::SequenceNumber,
    shard::{Page, Shard, parse_shard_id, shard_id},
    stream::Stream,
};
use crate::{
    interface::{Quirk, UnixNanos},
    service::{ServiceContext, ServiceError},
};

type Outcome<T> = Result<T, ServiceError>;

const ITERATOR_TYPES: &[&str] =
    &["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"];
const MAX_RECORDS: i64 = 10_000;

/// Where an iterator shall begin, as a caller says it.
#[derive(Debug)]
struct Start<'v> {
    kind: &'v str,
    sequence: Option<&'v str>,
    timestamp: Option<UnixNanos>,
}

impl Kinesis {
    pub(super) fn get_shard_iterator(
        &mut self,
        context: &mut ServiceContext<'_>,
        mut input: Input<'_>,
    ) -> Outcome<Value> {
        let name = input.stream(&self.region, &self.account_id)?;
        let shard_text = input.required_string("ShardId", Text::Name)?;
        let start = Start {
            kind: input.required_string("ShardIteratorType", Text::OneOf(ITERATOR_TYPES))?,
            sequence: input.string("StartingSequenceNumber", Text::SequenceNumber)?,
            timestamp: input.timestamp("Timestamp")?,
        };
        input.finish()?;
        let named = Named { stream: name, account_id: &self.account_id };
        let number = parse_shard_id(shard_text).ok_or_else(|| named.shard_not_found(shard_text))?;
        let stream = self.streams.get_mut(name).filter(|stream| stream.is_usable());
        let stream = stream.ok_or_else(|| named.no_such_shard(&shard_id(number)))?;
        let incarnation = stream.incarnation;
        let shard = readable_shard(context, stream, number, named)?;
        let position = position_of(shard, &start, named, context.now)?;
        if self.config.enforce_limits && !shard.admit_iterator(context.now) {
            return Err(named.shard_throttled(&shard.id()));
        }
        let iterator =
            ShardIterator { stream: name.to_owned(), incarnation, shard: number, position, issued_at: context.now };
        Ok(json!({"ShardIterator": iterator.encode()}))
    }

    pub(super) fn get_records(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let text = input.required_string("ShardIterator", Text::Length(512))?;
        let limit = input.integer("Limit", 1, MAX_RECORDS)?.unwrap_or(MAX_RECORDS);
        let arn = input.string("StreamARN", Text::Length(2_048))?;
        input.finish()?;
        let iterator = ShardIterator::decode(text).ok_or_else(errors::no_iterator)?;
        if let Some(arn) = arn
            && super::input::stream_of_arn(arn, &self.region, &self.account_id)? != iterator.stream
        {
            return Err(invalid_argument("StreamARN and ShardIterator name different streams."));
        }
        let is_old = context.now.since(iterator.issued_at) > LIFETIME;
        if is_old || context.quirks.contains(&Quirk::ExpireIterator) {
            return Err(errors::iterator_expired(iterator.issued_at, context.now));
        }
        let named = Named { stream: &iterator.stream, account_id: &self.account_id };
        let stream = self.streams.get_mut(&iterator.stream);
        let stream = stream.filter(|stream| stream.is_usable() && stream.incarnation == iterator.incarnation);
        let stream = stream.ok_or_else(|| named.no_such_shard(&shard_id(iterator.shard)))?;
        let shard = readable_shard(context, stream, iterator.shard, named)?;
        if self.config.enforce_limits && !shard.admit_read(context.now) {
            return Err(named.shard_throttled(&shard.id()));
        }
        let page = if is_empty_page(context, shard, &iterator) {
            let behind_ms = shard.behind_ms(context.now, iterator.position);
            Page { skipped: 0, taken: 0, next: iterator.position, behind_ms, is_end: false }
        } else {
            shard.page(context.now, iterator.position, usize::try_from(limit).unwrap_or(1))
        };
        Ok(describe(stream, &iterator, &page, context.now))
    }
}

/// The shard, after retention and faults took from it what they take.
fn readable_shard<'s>(
    context: &mut ServiceContext<'_>,
    stream: &'s mut Stream,
    number: u32,
    named: Named<'_>,
) -> Outcome<&'s mut Shard> {
    stream.maintain_shard(context, number);
    if context.quirks.contains(&Quirk::Trim) {
        stream.trim_shard(context, number);
    }
    stream.shards.get_mut(&number).ok_or_else(|| named.no_such_shard(&shard_id(number)))
}

/// The service gives empty pages now and then although there is something to read.
fn is_empty_page(context: &mut ServiceContext<'_>, shard: &Shard, iterator: &ShardIterator) -> bool {
    if context.quirks.contains(&Quirk::EmptyPage) {
        return true;
    }
    let share = context.assumptions.kinesis_empty_page_share;
    let key = format!("{}/{}", iterator.stream, shard.id());
    share > 0.0 && context.entropy.next_fraction("kinesis-empty-page", &key) < share
}

fn position_of(shard: &Shard, start: &Start<'_>, named: Named<'_>, now: UnixNanos) -> Outcome<u64> {
    let by_sequence = matches!(start.kind, "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER");
    if by_sequence != start.sequence.is_some() {
        let and = if by_sequence { "no" } else { "also a" };
        return Err(invalid_argument(format!(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {} and {and} StartingSequenceNumber.",
            start.kind
        )));
    }
    match (start.kind, start.sequence) {
        ("TRIM_HORIZON", _) => Ok(0),
        ("LATEST", _) => Ok(shard.tip()),
        ("AT_TIMESTAMP", _) => position_at_time(shard, start.timestamp, now),
        ("AFTER_SEQUENCE_NUMBER", Some(text)) => Ok(index_of(shard, text, named)? + 1),
        (_, text) => index_of(shard, text.unwrap_or_default(), named),
    }
}

fn position_at_time(shard: &Shard, timestamp: Option<UnixNanos>, now: UnixNanos) -> Outcome<u64> {
    let Some(timestamp) = timestamp else {
        return Err(invalid_argument(
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.",
        ));
    };
    if timestamp.as_millis() > now.as_millis() {
        return Err(invalid_argument(format!(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: {}, currentTimestampInMillis: {}",
            timestamp.as_millis(),
            now.as_millis()
        )));
    }
    Ok(shard.position_at(timestamp.as_millis()))
}

/// The index in a sequence number of this shard: of a record, or of its beginning or end.
fn index_of(shard: &Shard, text: &str, named: Named<'_>) -> Outcome<u64> {
    let Named { stream, account_id } = named;
    let id = shard.id();
    let used = format!(
        "StartingSequenceNumber {text} used in GetShardIterator on shard {id} in stream {stream} under account {account_id} is invalid"
    );
    let Some(number) = SequenceNumber::parse(text) else { return Err(invalid_argument(format!("{used}."))) };
    if number.shard != shard.number {
        return Err(invalid_argument(format!(
            "Invalid StartingSequenceNumber. It encodes {}, while it was used in a call to a shard with {id}",
            shard_id(number.shard)
        )));
    }
    if !shard.owns(number) {
        return Err(invalid_argument(format!("{used} because it did not come from this stream.")));
    }
    Ok(number.index)
}

fn describe(stream: &Stream, iterator: &ShardIterator, page: &Page, now: UnixNanos) -> Value {
    let Some(shard) = stream.shards.get(&iterator.shard) else { return Value::Null };
    let records: Vec<Value> = shard
        .records
        .range(page.skipped..page.skipped + page.taken)
        .map(|record| {
            json!({
                "SequenceNumber": shard.sequence(record).to_string(),
                "ApproximateArrivalTimestamp": record.arrival_ms as f64 / 1_000.0,
                "Data": STANDARD.encode(&record.data),
                "PartitionKey": record.partition_key,
            })
        })
        .collect();
    let mut answer = json!({"Records": records, "MillisBehindLatest": page.behind_ms});
    if page.is_end {
        let children = shard.children.iter().filter_map(|number| stream.shards.get(number));
        answer["ChildShards"] = children.map(Shard::describe_as_child).collect();
    } else {
        let next = ShardIterator { position: page.next, issued_at: now, ..iterator.clone() };
        answer["NextShardIterator"] = json!(next.encode());
    }
    answer
}
