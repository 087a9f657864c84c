//! Streams as a whole: made, described, listed, tagged, kept for longer, deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Change, Kinesis,
    errors::{self, Named, invalid_argument},
    input::{Input, Text, stream_of_arn},
    listing::ListToken,
    shard::{Shard, parse_shard_id},
    stream::{Status, Stream},
};
use crate::service::{ServiceContext, ServiceError};

type Outcome<T> = Result<T, ServiceError>;

const ON_DEMAND_SHARDS: u32 = 4;
const ON_DEMAND_STREAMS: usize = 50;
const MAX_TAGS: usize = 50;
const MIN_RETENTION_HOURS: i64 = 24;
const MAX_RETENTION_HOURS: i64 = 8_760;
const MODES: &[&str] = &["PROVISIONED", "ON_DEMAND"];

/// What CreateStream asks for.
#[derive(Debug)]
struct NewStream<'v> {
    name: &'v str,
    shard_count: u32,
    is_on_demand: bool,
    ignores_keys: bool,
    max_record_kib: i64,
    tags: Vec<(&'v str, &'v str)>,
}

impl Kinesis {
    pub(super) fn create_stream(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let new = read_new_stream(&mut input, context.assumptions.unknown_members_refused)?;
        input.finish()?;
        let named = Named { stream: new.name, account_id: &self.account_id };
        if self.streams.contains_key(new.name) {
            return Err(named.already_exists());
        }
        self.check_shard_limit(u64::from(new.shard_count))?;
        if new.is_on_demand && self.on_demand_streams() >= ON_DEMAND_STREAMS {
            return Err(errors::limit_exceeded(format!(
                "Account {} has {ON_DEMAND_STREAMS} on-demand streams, which is its limit.",
                self.account_id
            )));
        }
        self.incarnations += 1;
        let mut stream = Stream::new(new.name.to_owned(), self.incarnations, new.shard_count, context.now);
        stream.is_on_demand = new.is_on_demand;
        stream.ignores_keys = new.ignores_keys;
        stream.max_record_bytes = usize::try_from(new.max_record_kib).unwrap_or(1_024) * 1_024;
        add_tags(&mut stream.tags, &new.tags, named)?;
        let incarnation = stream.incarnation;
        // What is set up without a network is there at once.
        let is_set_up = context.call_sequence == 0;
        if is_set_up || self.config.creation_ms == 0 {
            stream.status = Status::Active;
        } else {
            self.change_later(context, new.name, incarnation, self.config.creation_ms, Change::Activate);
        }
        self.streams.insert(new.name.to_owned(), stream);
        Ok(Value::Null)
    }

    fn on_demand_streams(&self) -> usize {
        self.streams.values().filter(|stream| stream.is_on_demand).count()
    }

    /// Open shards of all streams.
    fn open_shards(&self) -> u64 {
        self.streams.values().map(|stream| stream.open_count() as u64).sum()
    }

    pub(super) fn check_shard_limit(&self, more: u64) -> Outcome<()> {
        let (open, limit) = (self.open_shards(), self.config.shard_limit);
        if open + more <= limit {
            return Ok(());
        }
        Err(errors::limit_exceeded(format!(
            "This request would exceed the shard limit for the account {} in {}. Current shard count for the account: {open}. Limit: {limit}. Number of additional shards that would have resulted from this request: {more}. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.",
            self.account_id, self.region
        )))
    }

    pub(super) fn delete_stream(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let name = input.stream(&self.region, &self.account_id)?;
        let with_consumers = input.boolean("EnforceConsumerDeletion")?.unwrap_or(false);
        input.finish()?;
        let named = Named { stream: name, account_id: &self.account_id };
        let stream = self.streams.get_mut(name).ok_or_else(|| named.not_found())?;
        if !stream.consumers.is_empty() && !with_consumers {
            return Err(errors::in_use(format!(
                "Stream {name} under account {} has registered consumers; delete them first, or set EnforceConsumerDeletion.",
                self.account_id
            )));
        }
        if stream.status != Status::Deleting {
            stream.status = Status::Deleting;
            let incarnation = stream.incarnation;
            self.change_later(context, name, incarnation, self.config.deletion_ms, Change::Remove);
        }
        Ok(Value::Null)
    }

    /// The stream that a request names, whatever its status.
    fn named_stream(&mut self, input: &mut Input<'_>) -> Outcome<&mut Stream> {
        let name = input.stream(&self.region, &self.account_id)?;
        let named = Named { stream: name, account_id: &self.account_id };
        self.streams.get_mut(name).ok_or_else(|| named.not_found())
    }

    pub(super) fn describe_stream(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let limit = input.integer("Limit", 1, 10_000)?.unwrap_or(100).min(100) as usize;
        let start = input.string("ExclusiveStartShardId", Text::Name)?;
        let (region, account_id) = (self.region.clone(), self.account_id.clone());
        let stream = self.named_stream(&mut input)?;
        input.finish()?;
        stream.maintain(context);
        let named = Named { stream: &stream.name, account_id: &account_id };
        let first = match start {
            None => 0,
            Some(text) => parse_shard_id(text).ok_or_else(|| named.shard_not_found(text))?.saturating_add(1),
        };
        let mut shards = stream.shards.range(first..).map(|(_, shard)| shard);
        // A stream shows its shards when it has been made.
        let is_new = stream.status == Status::Creating;
        let shown: Vec<Value> = shards.by_ref().take(if is_new { 0 } else { limit }).map(Shard::describe).collect();
        let has_more = !is_new && shards.next().is_some();
        let mut described = describe_common(stream, &region, &account_id);
        described["Shards"] = json!(shown);
        described["HasMoreShards"] = json!(has_more);
        Ok(json!({"StreamDescription": described}))
    }

    pub(super) fn describe_stream_summary(&mut self, mut input: Input<'_>) -> Outcome<Value> {
        let (region, account_id) = (self.region.clone(), self.account_id.clone());
        let stream = self.named_stream(&mut input)?;
        input.finish()?;
        let mut described = describe_common(stream, &region, &account_id);
        described["OpenShardCount"] = json!(stream.open_count());
        described["ConsumerCount"] = json!(stream.consumers.len());
        described["MaxRecordSizeInKiB"] = json!(stream.max_record_bytes / 1_024);
        Ok(json!({"StreamDescriptionSummary": described}))
    }

    pub(super) fn list_streams(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let limit = input.integer("Limit", 1, 10_000)?.unwrap_or(100) as usize;
        let start = input.string("ExclusiveStartStreamName", Text::Name)?;
        let token = input.string("NextToken", Text::Length(1_048_576))?;
        input.finish()?;
        let after = match token {
            Some(token) => ListToken::decode(token, context.now)?.after,
            None => start.unwrap_or_default().to_owned(),
        };
        let mut rest = self.streams.values().filter(|stream| stream.name > after).peekable();
        let mut shown: Vec<&Stream> = Vec::new();
        while let Some(stream) = rest.next_if(|_| shown.len() < limit) {
            shown.push(stream);
        }
        let summaries: Vec<Value> =
            shown.iter().map(|stream| describe_briefly(stream, &self.region, &self.account_id)).collect();
        let names: Vec<&str> = shown.iter().map(|stream| stream.name.as_str()).collect();
        let has_more = rest.peek().is_some();
        let mut answer = json!({"StreamNames": names, "HasMoreStreams": has_more, "StreamSummaries": summaries});
        if let (true, Some(last)) = (has_more, shown.last()) {
            let after = last.name.clone();
            let token = ListToken { stream: String::new(), filter: Value::Null, after, issued_at: context.now };
            answer["NextToken"] = json!(token.encode());
        }
        Ok(answer)
    }

    pub(super) fn describe_limits(&mut self, input: Input<'_>) -> Outcome<Value> {
        input.finish()?;
        Ok(json!({
            "ShardLimit": self.config.shard_limit,
            "OpenShardCount": self.open_shards(),
            "OnDemandStreamCount": self.on_demand_streams(),
            "OnDemandStreamCountLimit": ON_DEMAND_STREAMS,
        }))
    }

    /// Both ways of changing how long records are kept.
    pub(super) fn change_retention(
        &mut self,
        context: &mut ServiceContext<'_>,
        mut input: Input<'_>,
        longer: bool,
    ) -> Outcome<Value> {
        let hours = input.required_integer("RetentionPeriodHours", i64::from(i32::MIN), i64::from(i32::MAX))?;
        let account_id = self.account_id.clone();
        let stream = self.named_stream(&mut input)?;
        input.finish()?;
        check_retention(stream, hours, longer)?;
        if stream.status != Status::Active {
            return Err(Named { stream: &stream.name, account_id: &account_id }.not_active(stream.status.name()));
        }
        // What was past retention before is gone, however long it is from now on.
        stream.maintain(context);
        stream.retention_hours = hours.unsigned_abs();
        Ok(Value::Null)
    }

    pub(super) fn update_max_record_size(&mut self, mut input: Input<'_>) -> Outcome<Value> {
        let kib = input.required_integer("MaxRecordSizeInKiB", 1_024, 10_240)?;
        let account_id = self.account_id.clone();
        let stream = self.named_stream(&mut input)?;
        input.finish()?;
        if stream.status != Status::Active {
            return Err(Named { stream: &stream.name, account_id: &account_id }.not_active(stream.status.name()));
        }
        stream.max_record_bytes = usize::try_from(kib).unwrap_or(1_024) * 1_024;
        Ok(Value::Null)
    }

    pub(super) fn add_tags_to_stream(&mut self, mut input: Input<'_>) -> Outcome<Value> {
        let tags = input.text_map("Tags", true)?;
        let account_id = self.account_id.clone();
        let stream = self.named_stream(&mut input)?;
        input.finish()?;
        add_tags(&mut stream.tags, &tags, Named { stream: &stream.name, account_id: &account_id })?;
        Ok(Value::Null)
    }

    pub(super) fn remove_tags_from_stream(&mut self, mut input: Input<'_>) -> Outcome<Value> {
        let keys = input.strings("TagKeys", MAX_TAGS)?;
        let stream = self.named_stream(&mut input)?;
        input.finish()?;
        for key in keys {
            stream.tags.remove(key);
        }
        Ok(Value::Null)
    }

    pub(super) fn list_tags_for_stream(&mut self, mut input: Input<'_>) -> Outcome<Value> {
        let limit = input.integer("Limit", 1, 50)?.unwrap_or(50) as usize;
        let start = input.string("ExclusiveStartTagKey", Text::Length(128))?.unwrap_or_default();
        let stream = self.named_stream(&mut input)?;
        input.finish()?;
        let mut rest = stream.tags.iter().filter(|(key, _)| key.as_str() > start);
        let shown: Vec<Value> =
            rest.by_ref().take(limit).map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        Ok(json!({"Tags": shown, "HasMoreTags": rest.next().is_some()}))
    }

    /// The newer operations on tags, which name their stream as a resource.
    pub(super) fn tags_of_resource(&mut self, operation: &str, mut input: Input<'_>) -> Outcome<Value> {
        let arn = input.required_string("ResourceARN", Text::Length(2_048))?;
        let tags = if operation == "TagResource" { input.text_map("Tags", true)? } else { Vec::new() };
        let keys = if operation == "UntagResource" { input.strings("TagKeys", MAX_TAGS)? } else { Vec::new() };
        input.finish()?;
        let name = stream_of_arn(arn, &self.region, &self.account_id)?;
        let named = Named { stream: name, account_id: &self.account_id };
        let stream = self.streams.get_mut(name).ok_or_else(|| named.not_found())?;
        add_tags(&mut stream.tags, &tags, named)?;
        for key in keys {
            stream.tags.remove(key);
        }
        if operation != "ListTagsForResource" {
            return Ok(Value::Null);
        }
        let shown: Vec<Value> = stream.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        Ok(json!({"Tags": shown}))
    }
}

fn read_new_stream<'v>(input: &mut Input<'v>, unknown_refused: bool) -> Outcome<NewStream<'v>> {
    let name = input.required_string("StreamName", Text::Name)?;
    let shard_count = input.integer("ShardCount", 1, i64::from(i32::MAX))?;
    let is_on_demand = read_mode(input, unknown_refused)?.unwrap_or(false);
    let max_record_kib = input.integer("MaxRecordSizeInKiB", 1_024, 10_240)?.unwrap_or(1_024);
    let strategy = input.string("RecordDistributionStrategy", Text::OneOf(&["AUTO", "USER_PARTITION_KEY"]))?;
    let tags = input.text_map("Tags", false)?;
    let shard_count = match (is_on_demand, shard_count) {
        (true, None) => ON_DEMAND_SHARDS,
        (true, Some(_)) => {
            return Err(errors::validation("ShardCount cannot be given for a stream in On-Demand mode."));
        }
        (false, Some(count)) => u32::try_from(count.max(1)).unwrap_or(u32::MAX),
        (false, None) => return Err(errors::validation("ShardCount is needed for a stream in Provisioned mode.")),
    };
    let ignores_keys = strategy == Some("AUTO");
    if ignores_keys && !is_on_demand {
        return Err(errors::validation("RecordDistributionStrategy AUTO needs a stream in On-Demand mode."));
    }
    Ok(NewStream { name, shard_count, is_on_demand, ignores_keys, max_record_kib, tags })
}

/// Whether StreamModeDetails asks for the on-demand mode, if they are there.
pub fn read_mode(input: &mut Input<'_>, unknown_refused: bool) -> Outcome<Option<bool>> {
    let Some(mut details) = input.structure("StreamModeDetails", &["StreamMode"], unknown_refused)? else {
        return Ok(None);
    };
    let mode = details.required_string("StreamMode", Text::OneOf(MODES))?;
    input.absorb(details);
    Ok(Some(mode == "ON_DEMAND"))
}

fn check_retention(stream: &Stream, hours: i64, longer: bool) -> Outcome<()> {
    let (name, existing) = (&stream.name, stream.retention_hours as i64);
    if hours < MIN_RETENTION_HOURS {
        return Err(invalid_argument(format!(
            "Minimum allowed retention period is {MIN_RETENTION_HOURS} hours. Requested retention period ({hours} hours) is too short."
        )));
    }
    if hours > MAX_RETENTION_HOURS {
        return Err(invalid_argument(format!(
            "Maximum allowed retention period is {MAX_RETENTION_HOURS} hours. Requested retention period ({hours} hours) is too long."
        )));
    }
    let wrong_way = if longer { hours < existing } else { hours > existing };
    if wrong_way {
        let (word, other) = if longer { ("shorter", "Decrease") } else { ("longer", "Increase") };
        return Err(invalid_argument(format!(
            "Requested retention period ({hours} hours) for stream {name} can not be {word} than existing retention period ({existing} hours). Use {other}RetentionPeriod API."
        )));
    }
    Ok(())
}

fn add_tags(tags: &mut BTreeMap<String, String>, new: &[(&str, &str)], named: Named<'_>) -> Outcome<()> {
    let fits = |text: &str, most: usize| text.chars().count() <= most;
    if new.iter().any(|(key, value)| key.is_empty() || !fits(key, 128) || !fits(value, 256)) {
        return Err(errors::validation("Keys of tags have 1 to 128 characters, values up to 256."));
    }
    let added = new.iter().filter(|(key, _)| !tags.contains_key(*key)).count();
    if tags.len() + added > MAX_TAGS {
        return Err(invalid_argument(format!(
            "Failed to add tags to stream {} under account {} because a given stream cannot have more than {MAX_TAGS} tags associated with it.",
            named.stream, named.account_id
        )));
    }
    tags.extend(new.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Ok(())
}

fn describe_briefly(stream: &Stream, region: &str, account_id: &str) -> Value {
    json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn(region, account_id),
        "StreamStatus": stream.status.name(),
        "StreamModeDetails": {"StreamMode": MODES[usize::from(stream.is_on_demand)]},
        "StreamCreationTimestamp": stream.created_at.as_millis() as f64 / 1_000.0,
    })
}

fn describe_common(stream: &Stream, region: &str, account_id: &str) -> Value {
    let mut described = describe_briefly(stream, region, account_id);
    described["RetentionPeriodHours"] = json!(stream.retention_hours);
    described["EnhancedMonitoring"] = json!([{"ShardLevelMetrics": []}]);
    described["EncryptionType"] = json!("NONE");
    described
}
