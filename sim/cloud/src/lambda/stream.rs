//! Reading a stream: which shards there are, parents before children, and the calls by which they are read.
//!
//! What is read goes into lanes; see `delivery` for what happens there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    desk::{Desk, MappingPurpose, ShardStep},
    profile::Profile,
    records,
    settings::StartingPosition,
    shard::{Phase, Position, Shard},
    source::SourceKind,
};
use crate::{interface::UnixNanos, service::InternalAnswer};

/// As many records as one GetRecords may give.
const MOST_PER_READ: [(SourceKind, usize); 2] =
    [(SourceKind::DynamodbStream, 1_000), (SourceKind::KinesisStream, 10_000)];
/// Kinesis allows five reads per second and shard; one reader keeps to that.
const LEAST_BETWEEN_KINESIS_READS: Duration = Duration::from_millis(200);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
const DEFAULT_RETENTION: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub struct StreamReader {
    pub shards: BTreeMap<Arc<str>, Shard>,
    pub retention: Duration,
    pub problem: Option<String>,
    /// The shards found so far by a listing that is under way.
    listing: Option<Vec<FoundShard>>,
    was_listed: bool,
    is_discovery_due: bool,
}

#[derive(Debug)]
struct FoundShard {
    id: Arc<str>,
    parents: Vec<Arc<str>>,
    is_closed: bool,
}

impl StreamReader {
    pub fn new() -> Self {
        Self {
            shards: BTreeMap::new(),
            retention: DEFAULT_RETENTION,
            problem: None,
            listing: None,
            was_listed: false,
            is_discovery_due: false,
        }
    }

    /// Begins, or begins again behind the checkpoints.
    pub fn start(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        let lanes = usize::from(profile.settings.parallelization_factor);
        for shard in self.shards.values_mut().filter(|shard| shard.phase != Phase::Finished) {
            shard.restart(lanes);
        }
        self.listing = None;
        self.is_discovery_due = false;
        if profile.source.kind == SourceKind::KinesisStream {
            let request = json!({"StreamName": profile.source.name});
            profile.ask(desk, "DescribeStreamSummary", request, MappingPurpose::RetentionKnown);
        }
        let reading: Vec<Arc<str>> = self.ids(|shard| shard.phase == Phase::Reading);
        for id in reading {
            self.poll(desk, profile, &id);
        }
        self.discover(desk, profile);
    }

    fn ids(&self, wanted: impl Fn(&Shard) -> bool) -> Vec<Arc<str>> {
        self.shards.values().filter(|shard| wanted(shard)).map(|shard| shard.id.clone()).collect()
    }

    pub fn retention_known(&mut self, answer: &InternalAnswer) {
        // Without an answer the default stands: a day, the least that there is.
        if let InternalAnswer::Success(answer) = answer
            && let Some(hours) = answer["StreamDescriptionSummary"]["RetentionPeriodHours"].as_u64()
        {
            self.retention = Duration::from_secs(hours * 3600);
        }
    }

    pub fn in_flight(&self) -> usize {
        self.shards.values().map(Shard::in_flight).sum()
    }
}

/// Finding shards.
impl StreamReader {
    /// Lists the shards, unless that is under way.
    pub fn discover(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        if self.listing.is_none() {
            self.listing = Some(Vec::new());
            self.list_page(desk, profile, None);
        }
    }

    /// The time for the next regular listing has come.
    pub fn discovery_due(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        self.is_discovery_due = false;
        self.discover(desk, profile);
    }

    fn list_page(&self, desk: &mut Desk<'_, '_>, profile: &Profile, after: Option<&str>) {
        let (operation, request) = match (profile.source.kind, after) {
            (SourceKind::DynamodbStream, Some(after)) => {
                ("DescribeStream", json!({"StreamArn": profile.source.arn, "ExclusiveStartShardId": after}))
            }
            (SourceKind::DynamodbStream, None) => ("DescribeStream", json!({"StreamArn": profile.source.arn})),
            (_, Some(token)) => ("ListShards", json!({"NextToken": token})),
            (_, None) => ("ListShards", json!({"StreamName": profile.source.name})),
        };
        profile.ask(desk, operation, request, MappingPurpose::ShardsListed);
    }

    pub fn shards_listed(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, answer: InternalAnswer) {
        let page = match answer {
            InternalAnswer::Success(page) => page,
            InternalAnswer::Error { code, message, .. } => {
                self.problem = Some(format!("PROBLEM: the event source cannot be read: {code}: {message}"));
                return self.listing_failed(desk, profile);
            }
            InternalAnswer::NoAnswer => return self.listing_failed(desk, profile),
        };
        let (shards, next) = match profile.source.kind {
            SourceKind::DynamodbStream => {
                let description = &page["StreamDescription"];
                (&description["Shards"], description["LastEvaluatedShardId"].as_str())
            }
            _ => (&page["Shards"], page["NextToken"].as_str()),
        };
        let found = shards.as_array().into_iter().flatten().filter_map(found_shard);
        self.listing.get_or_insert_default().extend(found);
        match next {
            Some(next) => self.list_page(desk, profile, Some(next)),
            None => self.listing_complete(desk, profile),
        }
    }

    fn listing_failed(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        self.listing = None;
        self.schedule_discovery(desk, profile, Duration::from_secs(1));
    }

    fn schedule_discovery(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, after: Duration) {
        if !std::mem::replace(&mut self.is_discovery_due, true) {
            profile.wake_after(desk, after, MappingPurpose::Discover);
        }
    }

    fn listing_complete(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        let found = self.listing.take().unwrap_or_default();
        self.problem = None;
        let is_first = !std::mem::replace(&mut self.was_listed, true);
        let listed: std::collections::BTreeSet<Arc<str>> = found.iter().map(|shard| shard.id.clone()).collect();
        // A finished shard that the stream forgot needs no memory either.
        self.shards.retain(|id, shard| shard.phase != Phase::Finished || listed.contains(id));
        for shard in found {
            self.add_shard(desk, profile, shard, is_first);
        }
        self.start_ready_shards(desk, profile);
        let every = Duration::from_millis(profile.config.discovery_interval_ms);
        self.schedule_discovery(desk, profile, every);
    }

    fn add_shard(&mut self, desk: &Desk<'_, '_>, profile: &Profile, found: FoundShard, is_first: bool) {
        if self.shards.contains_key(&found.id) {
            return;
        }
        // A shard that appears later continues what is read already: from LATEST, its first records would be lost.
        let start = match profile.settings.starting_position {
            StartingPosition::Latest if is_first => Position::Latest,
            StartingPosition::AtTimestamp(at) if is_first => Position::At(at),
            _ => Position::Horizon,
        };
        let is_past = start == Position::Latest && found.is_closed;
        let lanes = usize::from(profile.settings.parallelization_factor);
        let mut shard = Shard::new(found.id.clone(), found.parents, start, lanes);
        shard.last_read_at = desk.context.now;
        if is_past {
            shard.phase = Phase::Finished;
        }
        self.shards.insert(found.id, shard);
    }

    /// Shards whose parents are done with, or gone from the stream, are read from now on.
    fn start_ready_shards(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        let is_finished = |id: &Arc<str>| self.shards.get(id).is_none_or(|shard| shard.phase == Phase::Finished);
        let ready = self.ids(|shard| shard.phase == Phase::Waiting && shard.parents.iter().all(is_finished));
        for id in ready {
            if let Some(shard) = self.shards.get_mut(&id) {
                shard.phase = Phase::Reading;
            }
            self.poll(desk, profile, &id);
        }
    }

    /// If everything of a shard is done, its children may begin.
    pub fn finish_if_drained(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str) {
        let Some(shard) = self.shards.get_mut(id) else { return };
        if shard.phase == Phase::Reading && shard.is_drained() {
            shard.phase = Phase::Finished;
            shard.lanes.clear();
            self.start_ready_shards(desk, profile);
            // Children may be younger than the last listing.
            self.discover(desk, profile);
        }
    }
}

fn found_shard(shard: &Value) -> Option<FoundShard> {
    let parents = ["ParentShardId", "AdjacentParentShardId"];
    Some(FoundShard {
        id: shard["ShardId"].as_str()?.into(),
        parents: parents.iter().filter_map(|name| shard[*name].as_str()).map(Arc::from).collect(),
        is_closed: shard["SequenceNumberRange"]["EndingSequenceNumber"].is_string(),
    })
}

/// Reading shards.
impl StreamReader {
    /// Reads a shard, unless it is being read, has ended, or holds more than its lanes can take.
    pub fn poll(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str) {
        let Some(shard) = self.shards.get_mut(id) else { return };
        if shard.phase != Phase::Reading || shard.is_reading || shard.has_ended || is_full(shard, profile) {
            return;
        }
        shard.is_reading = true;
        let purpose = |step| MappingPurpose::Shard { shard: shard.id.clone(), step };
        match &shard.iterator {
            Some(iterator) => {
                let most =
                    MOST_PER_READ.iter().find(|(kind, _)| *kind == profile.source.kind).map_or(1_000, |(_, n)| *n);
                let request = json!({"ShardIterator": iterator, "Limit": most});
                let purpose = purpose(ShardStep::Read);
                profile.ask(desk, "GetRecords", request, purpose);
            }
            None => {
                let request = iterator_request(profile, shard);
                let purpose = purpose(ShardStep::Positioned);
                profile.ask(desk, "GetShardIterator", request, purpose);
            }
        }
    }

    /// The time to read has come.
    pub fn poll_due(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str) {
        if let Some(shard) = self.shards.get_mut(id) {
            shard.is_poll_due = false;
            self.poll(desk, profile, id);
        }
    }

    fn poll_later(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, after: Duration) {
        let Some(shard) = self.shards.get_mut(id) else { return };
        if !std::mem::replace(&mut shard.is_poll_due, true) {
            let purpose = MappingPurpose::Shard { shard: shard.id.clone(), step: ShardStep::Poll };
            profile.wake_after(desk, after, purpose);
        }
    }

    /// After lanes became free: reads on, at the stream's pace.
    pub fn resume(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str) {
        let now = desk.now();
        let Some(shard) = self.shards.get(id) else { return };
        if !shard.is_poll_due && !shard.is_reading && !shard.has_ended && !is_full(shard, profile) {
            let since = now.since(shard.last_read_at);
            let after = least_between_reads(profile).saturating_sub(since);
            self.poll_later(desk, profile, id, after);
        }
    }

    pub fn positioned(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, answer: InternalAnswer) {
        let now = desk.now();
        let Some(shard) = self.shards.get_mut(id) else { return };
        shard.is_reading = false;
        match answer {
            InternalAnswer::Success(answer) => {
                shard.iterator = answer["ShardIterator"].as_str().map(str::to_owned);
                if shard.position == Position::Latest {
                    // Should this iterator be lost, reading goes on from this moment, not from a later "latest".
                    shard.position = Position::At(now);
                    shard.start = Position::At(now);
                }
                self.poll(desk, profile, id);
            }
            InternalAnswer::Error { code, .. } if is_position_gone(&code) && shard.position != Position::Horizon => {
                self.lose_position(desk, profile, id);
            }
            InternalAnswer::Error { code, .. } if code == "ResourceNotFoundException" => {
                self.shard_is_gone(desk, profile, id);
            }
            _ => self.retry_read(desk, profile, id),
        }
    }

    pub fn read(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, answer: InternalAnswer) -> Vec<u8> {
        let now = desk.now();
        let Some(shard) = self.shards.get_mut(id) else { return Vec::new() };
        shard.is_reading = false;
        shard.last_read_at = now;
        match answer {
            InternalAnswer::Success(page) => return self.page_read(desk, profile, id, page),
            InternalAnswer::Error { code, .. } if code == "ExpiredIteratorException" => {
                shard.iterator = None;
                self.reposition(desk, profile, id);
            }
            InternalAnswer::Error { code, .. } if code == "TrimmedDataAccessException" => {
                self.lose_position(desk, profile, id);
            }
            InternalAnswer::Error { code, .. } if code == "ResourceNotFoundException" => {
                self.shard_is_gone(desk, profile, id);
            }
            _ => self.retry_read(desk, profile, id),
        }
        Vec::new()
    }

    /// Takes a page in, and says in which lanes something arrived.
    fn page_read(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, page: Value) -> Vec<u8> {
        let now = desk.now();
        let Some(shard) = self.shards.get_mut(id) else { return Vec::new() };
        shard.failures = 0;
        shard.iterator = page["NextShardIterator"].as_str().map(str::to_owned);
        shard.has_ended = shard.iterator.is_none();
        let records = page["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut touched = std::collections::BTreeSet::new();
        for record in records {
            let (region, account_id) = (desk.context.region, desk.context.account_id);
            let Some(event) = records::stream_event(&profile.source, id, region, account_id, record) else { continue };
            let item = records::stream_item(&profile.source, shard.next_ordinal(), &event);
            shard.position = Position::After(item.sequence.clone());
            if !profile.settings.filters.pass(profile.source.kind, &event) {
                shard.skip(item.sequence);
                continue;
            }
            let (lane, begins_window) = shard.take_in(item, now);
            touched.insert(lane as u8);
            if begins_window && !profile.settings.window.is_zero() {
                let step = ShardStep::Window { lane: lane as u8 };
                let purpose = MappingPurpose::Shard { shard: shard.id.clone(), step };
                profile.wake_after(desk, profile.settings.window, purpose);
            }
        }
        let after = interval(profile, &page);
        if shard.has_ended {
            // Batches that waited for company wait no longer.
            touched.extend(0..shard.lanes.len() as u8);
        } else {
            self.poll_later(desk, profile, id, after);
        }
        touched.into_iter().collect()
    }

    /// What was to be read next is trimmed: the rest is read from where the stream begins now.
    fn lose_position(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str) {
        let Some(shard) = self.shards.get_mut(id) else { return };
        shard.iterator = None;
        shard.position = Position::Horizon;
        shard.start = Position::Horizon;
        shard.trims += 1;
        self.problem = Some("PROBLEM: records were trimmed before they were read".to_owned());
        self.reposition(desk, profile, id);
    }

    /// Asks for another iterator at once, but not over and over.
    fn reposition(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str) {
        let Some(shard) = self.shards.get_mut(id) else { return };
        if shard.failures > 0 {
            self.retry_read(desk, profile, id);
        } else {
            shard.failures = 1;
            self.poll(desk, profile, id);
        }
    }

    fn shard_is_gone(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str) {
        if let Some(shard) = self.shards.get_mut(id) {
            shard.has_ended = true;
            self.finish_if_drained(desk, profile, id);
        }
    }

    fn retry_read(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str) {
        let Some(shard) = self.shards.get_mut(id) else { return };
        shard.failures += 1;
        let failures = shard.failures - 1;
        let wait = desk.backoff(&format!("{}/{id}/read", profile.key), failures, FIRST_BACKOFF, MAX_BACKOFF);
        self.poll_later(desk, profile, id, wait);
    }
}

/// Reading ahead ends when every lane has a batch in hand and another one ready.
fn is_full(shard: &Shard, profile: &Profile) -> bool {
    shard.unfinished() >= 2 * profile.settings.batch_size * shard.lanes.len()
}

fn least_between_reads(profile: &Profile) -> Duration {
    match profile.source.kind {
        SourceKind::DynamodbStream => Duration::from_millis(profile.config.dynamodb_poll_interval_ms),
        _ => LEAST_BETWEEN_KINESIS_READS,
    }
}

/// How long until the next read: a Kinesis stream that is behind is read as fast as its limits allow.
fn interval(profile: &Profile, page: &Value) -> Duration {
    match profile.source.kind {
        SourceKind::KinesisStream if page["MillisBehindLatest"].as_u64().unwrap_or(0) == 0 => {
            Duration::from_millis(profile.config.kinesis_poll_interval_ms)
        }
        _ => least_between_reads(profile),
    }
}

fn is_position_gone(code: &str) -> bool {
    matches!(code, "TrimmedDataAccessException" | "ValidationException" | "InvalidArgumentException")
}

fn iterator_request(profile: &Profile, shard: &Shard) -> Value {
    let mut request = json!({"ShardId": &*shard.id});
    // The two APIs name the same things differently.
    let (stream_member, stream, sequence_member) = match profile.source.kind {
        SourceKind::DynamodbStream => ("StreamArn", &profile.source.arn, "SequenceNumber"),
        _ => ("StreamName", &profile.source.name, "StartingSequenceNumber"),
    };
    request[stream_member] = json!(stream);
    let seconds = |at: &UnixNanos| json!(at.as_millis() as f64 / 1_000.0);
    let kind = match &shard.position {
        Position::Horizon => "TRIM_HORIZON",
        Position::Latest => "LATEST",
        Position::At(at) => {
            request["Timestamp"] = seconds(at);
            "AT_TIMESTAMP"
        }
        Position::After(sequence) => {
            request[sequence_member] = json!(sequence);
            "AFTER_SEQUENCE_NUMBER"
        }
    };
    request["ShardIteratorType"] = json!(kind);
    request
}
