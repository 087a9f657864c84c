//! What a record of the feed is: an event, or something that cannot be worked on.

use base64::{Engine, prelude::BASE64_STANDARD};
use nexus_event_store::event_hash;
use nexus_ports::{EventRecord, FeedRecord, Version};
use serde_json::Value;

/// A record under its partition key.
#[derive(Debug)]
pub(crate) enum Incoming {
    Event(Box<EventRecord>),
    Poison(Poison),
}

/// A record that no attempt will help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Poison {
    /// Where it claims to stand in its stream, if that could be read.
    pub(crate) version: Option<Version>,
    pub(crate) body: String,
    pub(crate) detail: String,
}

#[derive(Debug, thiserror::Error)]
enum NotAnEvent {
    #[error("the record is not an event: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the record names the stream {stream}, but came under the key {key}")]
    ForeignKey { stream: String, key: String },
    #[error("no event has version 0")]
    VersionZero,
    #[error("the record's content does not match its hash")]
    ContentChanged,
}

/// Reads a record. Its aggregate is the one that its partition key names: only under that key is order promised, so a
/// record that names another stream is not believed.
pub(crate) fn read(record: &FeedRecord, body_bytes_max: usize) -> Incoming {
    match read_event(record) {
        Ok(event) => Incoming::Event(Box::new(event)),
        Err(error) => Incoming::Poison(Poison {
            version: claimed_version(record),
            body: parkable_body(&record.body, body_bytes_max),
            detail: format!("sequence number {}: {error}", record.sequence_number),
        }),
    }
}

fn read_event(record: &FeedRecord) -> Result<EventRecord, NotAnEvent> {
    let event: EventRecord = serde_json::from_slice(&record.body)?;
    if event.stream.as_str() != record.partition_key {
        return Err(NotAnEvent::ForeignKey { stream: event.stream.into(), key: record.partition_key.clone() });
    }
    if event.version == Version::START {
        return Err(NotAnEvent::VersionZero);
    }
    if event_hash(&event) != event.hash {
        return Err(NotAnEvent::ContentChanged);
    }
    Ok(event)
}

/// The version of a record that is not an event but still tells which one of its stream it was meant to be.
fn claimed_version(record: &FeedRecord) -> Option<Version> {
    let value: Value = serde_json::from_slice(&record.body).ok()?;
    let is_own_stream = value.get("stream")?.as_str()? == record.partition_key;
    let version = value.get("version")?.as_u64()?;
    (is_own_stream && version > 0).then_some(Version(version))
}

/// The body as text, base64 where it is none. What is longer than a parked record may be is cut: the whole of it stays
/// in the feed as long as the feed keeps records.
pub(crate) fn parkable_body(body: &[u8], bytes_max: usize) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => cut(text, bytes_max),
        Err(_) => BASE64_STANDARD.encode(&body[..body.len().min(bytes_max / 4 * 3)]),
    }
}

/// The longest beginning of the text that fits and ends between characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

#[cfg(test)]
mod tests {
    use nexus_ports::{EventEnvelope, SequenceNumber};

    use super::*;

    fn event() -> EventRecord {
        let mut event = EventRecord {
            stream: "order-o-1".parse().unwrap(),
            version: Version(3),
            event_id: "e".to_owned(),
            event_type: "OrderShipped".to_owned(),
            schema_version: 1,
            payload: "{}".to_owned(),
            recorded_at_ms: 1,
            envelope: EventEnvelope {
                command_id: "c".to_owned(),
                causation_id: "c".to_owned(),
                correlation_id: "c".to_owned(),
                trace_context: None,
            },
            previous_hash: "0".repeat(64),
            hash: String::new(),
        };
        event.hash = event_hash(&event);
        event
    }

    fn record(body: impl Into<Vec<u8>>) -> FeedRecord {
        FeedRecord {
            sequence_number: SequenceNumber::try_from("7".to_owned()).unwrap(),
            partition_key: "order-o-1".to_owned(),
            body: body.into(),
            arrived_at_ms: None,
        }
    }

    fn poison(body: impl Into<Vec<u8>>) -> Poison {
        match read(&record(body), 100) {
            Incoming::Poison(poison) => poison,
            Incoming::Event(event) => panic!("{event:?} was taken for an event"),
        }
    }

    #[test]
    fn an_event_is_read_as_it_is() {
        let body = serde_json::to_vec(&event()).unwrap();
        match read(&record(body), 100) {
            Incoming::Event(read) => assert_eq!(*read, event()),
            Incoming::Poison(poison) => panic!("{poison:?}"),
        }
    }

    #[test]
    fn what_is_no_event_says_why_and_where_it_stood() {
        let changed = |change: fn(&mut EventRecord)| {
            let mut event = event();
            change(&mut event);
            serde_json::to_string(&event).unwrap()
        };
        let rehashed = |change: fn(&mut EventRecord)| {
            let mut event = event();
            change(&mut event);
            event.hash = event_hash(&event);
            serde_json::to_string(&event).unwrap()
        };
        for (body, version, reason) in [
            ("not json".to_owned(), None, "not an event"),
            ("{}".to_owned(), None, "not an event"),
            (r#"{"stream":"order-o-1","version":4}"#.to_owned(), Some(4), "not an event"),
            (r#"{"stream":"order-o-2","version":4}"#.to_owned(), None, "not an event"),
            (r#"{"stream":"order-o-1","version":-4}"#.to_owned(), None, "not an event"),
            (changed(|event| event.payload = "{\"a\":1}".to_owned()), Some(3), "does not match its hash"),
            (rehashed(|event| event.version = Version(0)), None, "version 0"),
            (rehashed(|event| event.stream = "order-o-2".parse().unwrap()), None, "under the key order-o-1"),
        ] {
            let poison = poison(body.clone());
            assert_eq!(poison.version, version.map(Version), "{body}");
            assert!(poison.detail.contains(reason) && poison.detail.contains("number 7"), "{}", poison.detail);
        }
    }

    #[test]
    fn bodies_are_kept_as_text_or_base64_and_cut() {
        assert_eq!(poison("plain").body, "plain");
        assert_eq!(poison([0xff, 0xfe]).body, "//4=");
        assert_eq!(poison("é".repeat(60)).body, "é".repeat(50));
        assert_eq!(poison(vec![0xff; 1_000]).body.len(), 100);
        assert_eq!(cut("aé", 2), "a");
    }
}
