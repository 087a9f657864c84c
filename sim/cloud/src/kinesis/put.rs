//! PutRecord and PutRecords.

use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::{
    Kinesis,
    errors::{INTERNAL_FAILURE, Named, internal_failure, invalid_argument},
    input::{Input, Text},
    sequence::SequenceNumber,
    shard::NewRecord,
    stream::Stream,
};
use crate::{
    interface::{EntryFailureCode, MessageStep, MessageStepKind, Quirk, Service, UnixNanos},
    latency::{lognormal_of_two_ms, nanoseconds},
    service::{ServiceContext, ServiceError},
};

type Outcome<T> = Result<T, ServiceError>;

const MAX_ENTRIES: usize = 500;
const MAX_REQUEST_BYTES: usize = 10 * 1_048_576;
/// The model's own bound of a record; a stream's may be lower.
const MAX_RECORD_BYTES: usize = 10 * 1_048_576;
const ENTRY_MEMBERS: &[&str] = &["Data", "PartitionKey", "ExplicitHashKey"];

/// A record as a caller sent it.
#[derive(Debug)]
struct Entry<'v> {
    partition_key: &'v str,
    explicit_hash: Option<&'v str>,
    data: Vec<u8>,
}

/// Where a record came to lie.
#[derive(Clone, Debug)]
struct Placed {
    shard_id: String,
    sequence_number: String,
}

/// Why a record did not.
#[derive(Clone, Debug)]
enum Refused {
    Throttled { shard_id: String },
    InternalFailure,
}

/// What stays the same for all records of a call.
#[derive(Clone, Copy, Debug)]
struct Manner {
    enforce_limits: bool,
    copies: usize,
    delay_ms: u64,
}

impl Kinesis {
    pub(super) fn put_record(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let name = input.stream(&self.region, &self.account_id)?;
        let entry = read_entry(&mut input)?;
        let ordering = input.string("SequenceNumberForOrdering", Text::SequenceNumber)?;
        input.finish()?;
        let named = Named { stream: name, account_id: &self.account_id };
        let manner = self.manner(context);
        let stream = usable(self.streams.get_mut(name), named)?;
        check_sizes(stream, "data", std::slice::from_ref(&entry))?;
        let hash = hash_of(context, stream, &entry)?;
        if let Some(ordering) = ordering {
            check_ordering(context.now, named, ordering)?;
        }
        match put_one(context, stream, &entry, hash, 0, manner) {
            Ok(placed) => Ok(json!({"ShardId": placed.shard_id, "SequenceNumber": placed.sequence_number})),
            Err(Refused::Throttled { shard_id }) => Err(named.shard_throttled(&shard_id)),
            Err(Refused::InternalFailure) => Err(internal_failure()),
        }
    }

    pub(super) fn put_records(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let name = input.stream(&self.region, &self.account_id)?;
        let unknown_refused = context.assumptions.unknown_members_refused;
        let mut entries = Vec::new();
        for mut member in input.structures("Records", MAX_ENTRIES, ENTRY_MEMBERS, unknown_refused)? {
            entries.push(read_entry(&mut member)?);
            input.absorb(member);
        }
        input.finish()?;
        let named = Named { stream: name, account_id: &self.account_id };
        let manner = self.manner(context);
        let stream = usable(self.streams.get_mut(name), named)?;
        check_sizes(stream, "records", &entries)?;
        let hashes: Vec<u128> = entries.iter().map(|entry| hash_of(context, stream, entry)).collect::<Outcome<_>>()?;
        // The service promises no order among the records of a call; a fault may show it.
        let mut order: Vec<usize> = (0..entries.len()).collect();
        if context.quirks.contains(&Quirk::Reverse) {
            order.reverse();
        }
        let mut results = vec![Value::Null; entries.len()];
        let mut failed = 0;
        for index in order {
            let placed = put_one(context, stream, &entries[index], hashes[index], index, manner);
            failed += usize::from(placed.is_err());
            results[index] = describe(placed, named);
        }
        Ok(json!({"FailedRecordCount": failed, "Records": results}))
    }

    fn manner(&self, context: &ServiceContext<'_>) -> Manner {
        let delay_ms = context.quirks.iter().map(|quirk| match quirk {
            Quirk::DelayDelivery { by_ms } => *by_ms,
            _ => 0,
        });
        Manner {
            enforce_limits: self.config.enforce_limits,
            copies: 1 + usize::from(context.quirks.contains(&Quirk::Duplicate)),
            delay_ms: delay_ms.max().unwrap_or(0),
        }
    }
}

fn usable<'s>(stream: Option<&'s mut Stream>, named: Named<'_>) -> Outcome<&'s mut Stream> {
    stream.filter(|stream| stream.is_usable()).ok_or_else(|| named.not_found())
}

fn read_entry<'v>(input: &mut Input<'v>) -> Outcome<Entry<'v>> {
    Ok(Entry {
        data: input.required_blob("Data", MAX_RECORD_BYTES)?,
        partition_key: input.required_string("PartitionKey", Text::Length(256))?,
        explicit_hash: input.string("ExplicitHashKey", Text::HashKey)?,
    })
}

/// `member` is where the request keeps its data: `data`, or the list `records`.
fn check_sizes(stream: &Stream, member: &str, entries: &[Entry<'_>]) -> Outcome<()> {
    for (index, entry) in entries.iter().enumerate() {
        if entry.data.len() > stream.max_record_bytes {
            let place = match member {
                "records" => format!("records.{}.member.data", index + 1),
                _ => member.to_owned(),
            };
            return Err(super::errors::validation(format!(
                "1 validation error detected: Value at '{place}' failed to satisfy constraint: Member must have length less than or equal to {}",
                stream.max_record_bytes
            )));
        }
    }
    let total: usize = entries.iter().map(|entry| entry.data.len() + entry.partition_key.len()).sum();
    if member == "records" && total > MAX_REQUEST_BYTES {
        return Err(invalid_argument("Records size exceeds 10 MB limit"));
    }
    Ok(())
}

/// The hash that decides on the shard: given, or made of the key, or drawn where the stream ignores keys.
fn hash_of(context: &mut ServiceContext<'_>, stream: &Stream, entry: &Entry<'_>) -> Outcome<u128> {
    if let Some(explicit) = entry.explicit_hash {
        return explicit.parse().map_err(|_| {
            invalid_argument(format!(
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {explicit}"
            ))
        });
    }
    if stream.ignores_keys {
        let key = format!("{}/{}", stream.name, entry.partition_key);
        return Ok(u128::from(context.entropy.next_u64("kinesis-distribution", &key)) << 64);
    }
    Ok(hash_of_key(entry.partition_key))
}

/// MD5 as a number of 128 bits.
pub fn hash_of_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// A number to write behind. Numbers only ever rise within a shard, and from parents to children, so that all there is
/// to do is to refuse what is no number of the past.
fn check_ordering(now: UnixNanos, named: Named<'_>, text: &str) -> Outcome<()> {
    let valid = SequenceNumber::parse(text).is_some_and(|number| number.second <= now.0 / 1_000_000_000);
    if valid {
        return Ok(());
    }
    let Named { stream, account_id } = named;
    Err(invalid_argument(format!(
        "ExclusiveMinimumSequenceNumber {text} used in PutRecord on stream {stream} under account {account_id} is invalid."
    )))
}

/// One record of a call, the `index`th: into its shard, unless a fault or a limit stands against it.
fn put_one(
    context: &mut ServiceContext<'_>,
    stream: &mut Stream,
    entry: &Entry<'_>,
    hash: u128,
    index: usize,
    manner: Manner,
) -> Result<Placed, Refused> {
    let failure = context.quirks.iter().find_map(|quirk| match quirk {
        Quirk::FailEntries { first, count, code, applied } => {
            (index.checked_sub(*first)? < *count).then_some((*code, *applied))
        }
        _ => None,
    });
    let Some(number) = stream.shard_of(hash) else { return Err(Refused::InternalFailure) };
    let Some((code, applied)) = failure else {
        return place(context, stream, entry, number, manner);
    };
    let placed = if applied { place(context, stream, entry, number, manner).map(|_| ()) } else { Ok(()) };
    placed?;
    Err(match code {
        EntryFailureCode::Throttled => Refused::Throttled { shard_id: super::shard::shard_id(number) },
        EntryFailureCode::InternalFailure => Refused::InternalFailure,
    })
}

fn place(
    context: &mut ServiceContext<'_>,
    stream: &mut Stream,
    entry: &Entry<'_>,
    number: u32,
    manner: Manner,
) -> Result<Placed, Refused> {
    stream.maintain_shard(context, number);
    let Some(shard) = stream.shards.get_mut(&number) else { return Err(Refused::InternalFailure) };
    let bytes = entry.data.len() + entry.partition_key.len();
    if manner.enforce_limits && !shard.admit_write(context.now, bytes) {
        return Err(Refused::Throttled { shard_id: shard.id() });
    }
    let mut first: Option<Placed> = None;
    for _ in 0..manner.copies {
        let new = new_record(context, &stream.name, entry, manner.delay_ms);
        let index = shard.append(new).index;
        let Some(record) = shard.records.back().filter(|record| record.index == index) else { continue };
        let placed = Placed { shard_id: shard.id(), sequence_number: shard.sequence(record).to_string() };
        note_accepted(context, &stream.name, entry, &placed, first.as_ref());
        first.get_or_insert(placed);
    }
    first.ok_or(Refused::InternalFailure)
}

fn new_record<'r>(
    context: &mut ServiceContext<'_>,
    stream: &str,
    entry: &'r Entry<'_>,
    delay_ms: u64,
) -> NewRecord<'r> {
    let assumptions = context.assumptions;
    let key = || format!("{stream}/{}", entry.partition_key);
    let mut visible_at = context.now.plus(std::time::Duration::from_millis(delay_ms));
    if assumptions.kinesis_lag_p50_ms > 0.0 {
        let quantile = context.entropy.next_fraction("kinesis-lag", &key());
        let lag_ms = lognormal_of_two_ms(assumptions.kinesis_lag_p50_ms, assumptions.kinesis_lag_p99_ms, quantile);
        visible_at = visible_at.plus(nanoseconds(lag_ms));
    }
    let mut arrival_ms = context.now.as_millis();
    if assumptions.kinesis_arrival_jitter_ms > 0 {
        let width = assumptions.kinesis_arrival_jitter_ms.saturating_mul(2).saturating_add(1);
        let drawn = context.entropy.next_u64("kinesis-arrival", &key()) % width;
        arrival_ms = (arrival_ms + drawn).saturating_sub(assumptions.kinesis_arrival_jitter_ms);
    }
    NewRecord {
        accepted_at: context.now,
        visible_at,
        arrival_ms,
        partition_key: entry.partition_key,
        data: &entry.data,
    }
}

fn note_accepted(
    context: &mut ServiceContext<'_>,
    stream: &str,
    entry: &Entry<'_>,
    placed: &Placed,
    twin: Option<&Placed>,
) {
    if !context.journal.keeps() {
        return;
    }
    context.note(MessageStep {
        at: context.now,
        call_sequence: context.call_sequence,
        service: Service::Kinesis,
        place: format!("{stream}/{}", placed.shard_id),
        step: MessageStepKind::Accepted,
        message_id: placed.sequence_number.clone(),
        key: entry.partition_key.to_owned(),
        body: body_text(&entry.data).into(),
        receive_count: 0,
        note: twin.map_or_else(String::new, |twin| format!("duplicate of {}", twin.sequence_number)),
    });
}

/// As the journal keeps bodies.
fn body_text(data: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    match std::str::from_utf8(data) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64:{}", STANDARD.encode(data)),
    }
}

/// One result of PutRecords.
fn describe(placed: Result<Placed, Refused>, named: Named<'_>) -> Value {
    match placed {
        Ok(placed) => json!({"SequenceNumber": placed.sequence_number, "ShardId": placed.shard_id}),
        Err(Refused::Throttled { shard_id }) => {
            let error = named.shard_throttled(&shard_id);
            json!({"ErrorCode": error.code, "ErrorMessage": error.message})
        }
        Err(Refused::InternalFailure) => json!({"ErrorCode": "InternalFailure", "ErrorMessage": INTERNAL_FAILURE}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_md5_read_as_one_number() {
        // RFC 1321 gives the digest of "a": 0cc175b9c0f1b6a831c399e269772661.
        assert_eq!(hash_of_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
    }

    #[test]
    fn bodies_that_are_no_text_are_told_in_base64() {
        assert_eq!(body_text("ö".as_bytes()), "ö");
        assert_eq!(body_text(&[0xff, 0xfe]), "base64://4=");
    }
}
