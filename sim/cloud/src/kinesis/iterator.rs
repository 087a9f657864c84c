//! Shard iterators: opaque to callers, self-contained, good for five minutes.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::interface::UnixNanos;

pub const LIFETIME: Duration = Duration::from_secs(300);

/// The real ones begin so, which makes them begin with `AAAAAAAAAAE`.
const PREFIX: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

/// The index of the next record to read in a shard, and when the iterator was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardIterator {
    pub stream: String,
    /// Tells a stream from one of the same name that was deleted before.
    pub incarnation: u64,
    pub shard: u32,
    pub position: u64,
    pub issued_at: UnixNanos,
}

impl ShardIterator {
    pub fn encode(&self) -> String {
        let mut bytes = PREFIX.to_vec();
        let Self { stream, incarnation, shard, position, issued_at } = self;
        bytes.extend_from_slice(format!("{shard}|{position}|{}|{incarnation}|{stream}", issued_at.0).as_bytes());
        STANDARD.encode(bytes)
    }

    pub fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let inner = std::str::from_utf8(bytes.strip_prefix(&PREFIX)?).ok()?;
        let mut parts = inner.splitn(5, '|');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (shard, position, issued_at, incarnation) = (number()?, number()?, number()?, number()?);
        Some(Self {
            stream: parts.next()?.to_owned(),
            incarnation,
            shard: u32::try_from(shard).ok()?,
            position,
            issued_at: UnixNanos(issued_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterators_survive_their_text_and_nothing_else_decodes() {
        let iterator = ShardIterator {
            stream: "n".repeat(128),
            incarnation: u64::MAX,
            shard: u32::MAX,
            position: u64::MAX,
            issued_at: UnixNanos(u64::MAX),
        };
        let text = iterator.encode();
        assert!(text.starts_with("AAAAAAAAAAE") && text.len() <= 512, "{text}");
        assert_eq!(ShardIterator::decode(&text), Some(iterator));
        for inner in ["", "1|2|3|4", "x|2|3|4|s", "4294967296|2|3|4|s", "1|-2|3|4|s"] {
            let text = STANDARD.encode([&PREFIX[..], inner.as_bytes()].concat());
            assert_eq!(ShardIterator::decode(&text), None, "{inner}");
        }
        assert_eq!(ShardIterator::decode("nonsense!"), None);
        assert_eq!(ShardIterator::decode(&STANDARD.encode("1|2|3|4|s")), None);
    }
}
