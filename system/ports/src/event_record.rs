//! The two kinds of record that the write side keeps: events and the answers given under idempotency keys.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Name of one aggregate's stream, for example `order-o-1`: 1 to 200 bytes of visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(String);

/// The text is not a stream name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a stream name: 1 to {} bytes of visible ASCII are wanted", StreamName::BYTES_MAX)]
pub struct InvalidStreamName {
    pub text: String,
}

impl StreamName {
    pub const BYTES_MAX: usize = 200;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StreamName {
    type Error = InvalidStreamName;

    fn try_from(text: String) -> Result<Self, InvalidStreamName> {
        let is_sound = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sound { Ok(Self(text)) } else { Err(InvalidStreamName { text }) }
    }
}

impl FromStr for StreamName {
    type Err = InvalidStreamName;

    fn from_str(text: &str) -> Result<Self, InvalidStreamName> {
        Self::try_from(text.to_owned())
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Position of an event in its stream: 1, 2, 3 … without gaps. 0 is the position before the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// Before the first event.
    pub const START: Version = Version(0);

    pub fn next(self) -> Version {
        Version(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One event as it is stored, once and for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    pub stream: StreamName,
    pub version: Version,
    /// UUIDv7 text; who finds it in storage knows whose write this is.
    pub event_id: String,
    pub event_type: String,
    pub schema_version: u32,
    /// Canonical JSON text ([`crate::canonical_json`]).
    pub payload: String,
    /// Wall clock of the writer. It can skew: order by version, never by this.
    pub recorded_at_ms: u64,
    pub envelope: EventEnvelope,
    /// Hash of the event before this one; 64 zeros for the first.
    pub previous_hash: String,
    /// SHA-256 over all of the above, lower-case hexadecimal. The event store documents the byte form.
    pub hash: String,
}

/// Where an event came from. Travels inside the event, since change feeds carry no headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventEnvelope {
    /// Idempotency key of the command that made the event.
    pub command_id: String,
    /// Id of the message that led to that command; of the command itself where a customer sent it.
    pub causation_id: String,
    /// Shared by everything that follows from one customer's request.
    pub correlation_id: String,
    /// W3C `traceparent`, if the request carried one.
    pub trace_context: Option<String>,
}

/// How a command was answered for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordedOutcome {
    Accepted,
    Refused,
}

impl RecordedOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            RecordedOutcome::Accepted => "accepted",
            RecordedOutcome::Refused => "refused",
        }
    }
}

/// The answer kept under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    pub key: String,
    /// SHA-256 of the command's canonical JSON, lower-case hexadecimal: tells a retry from a reuse of the key.
    pub payload_digest: String,
    pub outcome: RecordedOutcome,
    /// JSON text of the answer, given again to whoever asks under this key.
    pub answer: String,
    pub stream: StreamName,
    /// First and last version that the command wrote; only where accepted.
    pub versions: Option<VersionRange>,
    /// Ids of the events that the command wrote, in order of version; empty where refused.
    pub event_ids: Vec<String>,
    pub recorded_at_ms: u64,
}

/// Both ends are part of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    pub first: Version,
    pub last: Version,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names_are_short_visible_ascii() {
        for (text, is_sound) in [
            ("order-o-1", true),
            ("x", true),
            ("", false),
            ("with space", false),
            ("ümlaut", false),
            ("line\nbreak", false),
            (&"a".repeat(200), true),
            (&"a".repeat(201), false),
        ] {
            assert_eq!(text.parse::<StreamName>().is_ok(), is_sound, "{text:?}");
        }
    }
}
