//! Sharded feeds that can be read again: the change stream of the event table, and Kinesis.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Serialize};

use crate::{BoxFuture, NotSent, Rejected, Throttled, UnknownOutcome};

/// A feed of records in shards. Order holds within a shard; a child's records come after all of its parents'.
///
/// One attempt per call; nothing is retried inside.
pub trait RecordFeed: Send + Sync {
    /// All shards that still hold or may still take records, parents before their children.
    fn list_shards(&self) -> BoxFuture<'_, Result<Vec<FeedShard>, FeedFailure>>;

    /// A cursor into a shard. Cursors expire (15 minutes for a table's stream, 5 for Kinesis).
    fn open<'a>(&'a self, shard: &'a str, start: &'a FeedStart) -> BoxFuture<'a, Result<FeedCursor, FeedFailure>>;

    /// The next records, which may be none although more follow.
    fn read<'a>(&'a self, cursor: &'a FeedCursor, limit: usize) -> BoxFuture<'a, Result<FeedPage, FeedFailure>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedShard {
    pub id: String,
    /// One after a split, two after a merge, none at the beginning or where the parent's records are gone.
    pub parents: Vec<String>,
    /// No records will be added.
    pub is_closed: bool,
}

/// Where reading begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedStart {
    /// The oldest record that is still there.
    Oldest,
    After(SequenceNumber),
}

/// Opaque; made by [`RecordFeed::open`] and [`RecordFeed::read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedCursor(pub String);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPage {
    pub records: Vec<FeedRecord>,
    /// `None`: the shard is closed and read to its end.
    pub next: Option<FeedCursor>,
    /// How far behind the tip this page is, where the feed tells.
    pub behind_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    pub sequence_number: SequenceNumber,
    /// What decided the shard: for events, the name of their stream.
    pub partition_key: String,
    /// JSON of an [`crate::EventRecord`] where it is one; otherwise whatever came, to be parked as it is.
    pub body: Vec<u8>,
    /// When the feed took the record, by the feed's own clock and precision.
    pub arrived_at_ms: Option<u64>,
}

/// Position of a record in its shard: a decimal number of up to 129 digits, compared as a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SequenceNumber(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a sequence number: 1 to 129 decimal digits are wanted")]
pub struct InvalidSequenceNumber {
    pub text: String,
}

impl SequenceNumber {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl TryFrom<String> for SequenceNumber {
    type Error = InvalidSequenceNumber;

    fn try_from(text: String) -> Result<Self, InvalidSequenceNumber> {
        let is_sound = (1..=129).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_sound { Ok(Self(text)) } else { Err(InvalidSequenceNumber { text }) }
    }
}

impl From<SequenceNumber> for String {
    fn from(number: SequenceNumber) -> Self {
        number.0
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By value; numbers that differ only in leading zeros are told apart by their text, so that order and equality agree.
impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (self.significant(), other.significant());
        one.len().cmp(&two.len()).then_with(|| one.cmp(two)).then_with(|| self.0.cmp(&other.0))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a feed gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedFailure {
    /// Open a new cursor after the last record that was read.
    #[error("the cursor has expired")]
    CursorExpired,
    /// What was asked for is older than what the feed keeps: records were lost to this reader.
    #[error("the records at this position are no longer kept")]
    Trimmed,
    /// The shard, or the whole feed, is not there (any more).
    #[error("{what} was not found")]
    NotFound { what: String },
    #[error(transparent)]
    Throttled(#[from] Throttled),
    #[error(transparent)]
    NotSent(#[from] NotSent),
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error(transparent)]
    NoAnswer(#[from] UnknownOutcome),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> SequenceNumber {
        SequenceNumber::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn sequence_numbers_compare_by_value() {
        for (one, other, wanted) in [
            ("9", "10", Ordering::Less),
            ("100", "99", Ordering::Greater),
            ("7", "7", Ordering::Equal),
            ("007", "8", Ordering::Less),
            ("010", "9", Ordering::Greater),
        ] {
            assert_eq!(number(one).cmp(&number(other)), wanted, "{one} and {other}");
        }
    }

    #[test]
    fn sequence_numbers_are_digits() {
        for text in ["", "12a", "-1", " 1"] {
            assert!(SequenceNumber::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert!(SequenceNumber::try_from("1".repeat(129)).is_ok());
        assert!(SequenceNumber::try_from("1".repeat(130)).is_err());
    }
}
