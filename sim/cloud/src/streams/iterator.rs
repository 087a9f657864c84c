//! Shard iterators: opaque to callers, self-contained, good for 15 minutes.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::interface::UnixNanos;

pub const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The next sequence number to read in a shard, and when the iterator was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardIterator {
    pub stream_arn: String,
    pub shard: String,
    pub position: u64,
    pub issued_at: UnixNanos,
}

impl ShardIterator {
    pub fn encode(&self) -> String {
        let inner = format!("{}|{}|{}", self.shard, self.position, self.issued_at.0);
        format!("{}|1|{}", self.stream_arn, URL_SAFE_NO_PAD.encode(inner))
    }

    pub fn decode(text: &str) -> Option<Self> {
        let mut outer = text.splitn(3, '|');
        let (stream_arn, version, inner) = (outer.next()?, outer.next()?, outer.next()?);
        let inner = String::from_utf8(URL_SAFE_NO_PAD.decode(inner).ok()?).ok()?;
        let mut parts = inner.split('|');
        let iterator = Self {
            stream_arn: stream_arn.to_owned(),
            shard: parts.next()?.to_owned(),
            position: parts.next()?.parse().ok()?,
            issued_at: UnixNanos(parts.next()?.parse().ok()?),
        };
        (version == "1" && parts.next().is_none()).then_some(iterator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterators_survive_their_text_and_nothing_else_decodes() {
        let iterator = ShardIterator {
            stream_arn: "arn:aws:dynamodb:eu-west-1:1:table/t/stream/2026".into(),
            shard: "shardId-1".into(),
            position: 17,
            issued_at: UnixNanos(99),
        };
        assert_eq!(ShardIterator::decode(&iterator.encode()), Some(iterator));
        for text in ["", "a|b", "arn|1|!!", "arn|2|YXwxfDI", "arn|1|YXx4fDI"] {
            assert_eq!(ShardIterator::decode(text), None, "{text}");
        }
    }
}
