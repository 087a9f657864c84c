//! ListShards, with its filters and its pages.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    Kinesis,
    errors::{Named, invalid_argument},
    input::{Input, Text},
    shard::{Shard, parse_shard_id, shard_id},
    stream::Stream,
};
use crate::{
    interface::UnixNanos,
    service::{ServiceContext, ServiceError},
};

type Outcome<T> = Result<T, ServiceError>;

const DEFAULT_SHARDS_A_PAGE: i64 = 1_000;
const MAX_SHARDS_A_PAGE: i64 = 10_000;
const TOKEN_LIFETIME: Duration = Duration::from_secs(300);
const FILTERS: &[&str] =
    &["AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP"];

/// A token says all this by itself.
const BESIDE_NO_TOKEN: &[&str] =
    &["StreamName", "StreamARN", "StreamCreationTimestamp", "ExclusiveStartShardId", "ShardFilter"];

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct ListToken {
    pub stream: String,
    /// As the first request had it.
    pub filter: Value,
    /// The last name that was shown.
    pub after: String,
    pub issued_at: UnixNanos,
}

impl ListToken {
    pub fn encode(&self) -> String {
        let Self { stream, filter, after, issued_at } = self;
        STANDARD.encode(json!([stream, filter, after, issued_at.0]).to_string())
    }

    /// # Errors
    /// What is no token, or one older than five minutes.
    pub fn decode(text: &str, now: UnixNanos) -> Outcome<Self> {
        let invalid = || invalid_argument("Invalid NextToken.");
        let bytes = STANDARD.decode(text).map_err(|_| invalid())?;
        let (stream, filter, after, issued_at): (String, Value, String, u64) =
            serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let issued_at = UnixNanos(issued_at);
        if now.since(issued_at) > TOKEN_LIFETIME {
            let message = "NextToken expired. It was handed out more than 300 seconds ago.";
            return Err(ServiceError::client("ExpiredNextTokenException", message));
        }
        Ok(Self { stream, filter, after, issued_at })
    }
}

/// Which shards a listing shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    All,
    After(u32),
    /// Open at that time.
    At(UnixNanos),
    /// Open at that time or later.
    From(UnixNanos),
    Open,
}

impl Filter {
    fn shows(self, shard: &Shard) -> bool {
        match self {
            Filter::All => true,
            Filter::After(number) => shard.number > number,
            Filter::Open => shard.closed_at.is_none(),
            Filter::At(at) => shard.opened_at <= at && shard.closed_at.is_none_or(|closed| closed >= at),
            Filter::From(at) => shard.closed_at.is_none_or(|closed| closed >= at),
        }
    }
}

impl Kinesis {
    pub(super) fn list_shards(&mut self, context: &mut ServiceContext<'_>, mut input: Input<'_>) -> Outcome<Value> {
        let limit = input.integer("MaxResults", 1, MAX_SHARDS_A_PAGE)?.unwrap_or(DEFAULT_SHARDS_A_PAGE) as usize;
        let token = input.string("NextToken", Text::Length(1_048_576))?;
        let start = input.string("ExclusiveStartShardId", Text::Name)?;
        let (name, filter, after) = match token {
            Some(token) => {
                if let Some(name) = BESIDE_NO_TOKEN.iter().find(|name| input.has(name)) {
                    return Err(invalid_argument(format!("NextToken and {name} cannot be provided together.")));
                }
                input.finish()?;
                let token = ListToken::decode(token, context.now)?;
                (token.stream, token.filter, Some(token.after))
            }
            None => {
                if !input.has("StreamName") && !input.has("StreamARN") {
                    return Err(invalid_argument("Either NextToken or StreamName should be provided."));
                }
                let name = input.stream(&self.region, &self.account_id)?.to_owned();
                let filter = read_filter(&mut input, context.assumptions.unknown_members_refused)?;
                input.finish()?;
                (name, filter, start.map(str::to_owned))
            }
        };
        let named = Named { stream: &name, account_id: &self.account_id };
        let stream = self.streams.get_mut(&name).ok_or_else(|| named.not_found())?;
        stream.maintain(context);
        let shown = to_filter(&filter, stream, context.now, named)?;
        let after = match after.as_deref() {
            None => None,
            Some(text) => Some(parse_shard_id(text).ok_or_else(|| named.shard_not_found(text))?),
        };
        let rest = stream.shards.values().filter(|shard| after.is_none_or(|after| shard.number > after));
        let mut rest = rest.filter(|shard| shown.shows(shard)).peekable();
        let mut page: Vec<&Shard> = Vec::new();
        while let Some(shard) = rest.next_if(|_| page.len() < limit) {
            page.push(shard);
        }
        let mut answer = json!({"Shards": page.iter().map(|shard| shard.describe()).collect::<Vec<_>>()});
        if let (Some(_), Some(last)) = (rest.peek(), page.last()) {
            let after = shard_id(last.number);
            let token = ListToken { stream: name.clone(), filter, after, issued_at: context.now };
            answer["NextToken"] = json!(token.encode());
        }
        Ok(answer)
    }
}

/// A filter as `[type, shard, milliseconds]`, so that a token can carry it; null for none.
fn read_filter(input: &mut Input<'_>, unknown_refused: bool) -> Outcome<Value> {
    let Some(mut filter) = input.structure("ShardFilter", &["Type", "ShardId", "Timestamp"], unknown_refused)? else {
        return Ok(Value::Null);
    };
    let kind = filter.required_string("Type", Text::OneOf(FILTERS))?;
    let shard = filter.string("ShardId", Text::Name)?;
    let timestamp = filter.timestamp("Timestamp")?;
    input.absorb(filter);
    let is_by_time = matches!(kind, "AT_TIMESTAMP" | "FROM_TIMESTAMP");
    if is_by_time != timestamp.is_some() || (kind == "AFTER_SHARD_ID") != shard.is_some() {
        return Err(invalid_argument(format!(
            "ShardFilter of type {kind}: AFTER_SHARD_ID takes a ShardId, AT_TIMESTAMP and FROM_TIMESTAMP take a Timestamp, the others take neither."
        )));
    }
    Ok(json!([kind, shard, timestamp.map(UnixNanos::as_millis)]))
}

fn to_filter(filter: &Value, stream: &Stream, now: UnixNanos, named: Named<'_>) -> Outcome<Filter> {
    // Nothing is older than the stream.
    let horizon = stream.horizon(now).max(stream.created_at);
    let at = || UnixNanos(filter[2].as_u64().unwrap_or_default().saturating_mul(1_000_000)).max(horizon);
    Ok(match filter[0].as_str() {
        Some("AFTER_SHARD_ID") => {
            let text = filter[1].as_str().unwrap_or_default();
            Filter::After(parse_shard_id(text).ok_or_else(|| named.shard_not_found(text))?)
        }
        Some("AT_TRIM_HORIZON") => Filter::At(horizon),
        Some("AT_LATEST") => Filter::Open,
        Some("AT_TIMESTAMP") => Filter::At(at()),
        Some("FROM_TIMESTAMP") => Filter::From(at()),
        _ => Filter::All,
    })
}
