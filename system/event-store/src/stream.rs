//! Streams as read: gap-free, chained, or refused.

use nexus_ports::{EventRecord, StreamName, Version};

use crate::event_hash::{FIRST_PREVIOUS_HASH, event_hash};

/// The end of a stream: what an append continues from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHead {
    pub stream: StreamName,
    /// Version of the last event; [`Version::START`] for an empty stream.
    pub version: Version,
    /// Hash of the last event; 64 zeros for an empty stream.
    pub hash: String,
}

impl StreamHead {
    /// The head of a stream without events.
    pub fn empty(stream: StreamName) -> Self {
        Self { stream, version: Version::START, hash: FIRST_PREVIOUS_HASH.to_owned() }
    }

    /// Moves the head over the next event, or says why that event cannot be the next one.
    pub(crate) fn advance(&mut self, event: &EventRecord) -> Result<(), CorruptStream> {
        let defect = if event.stream != self.stream {
            Some(StreamDefect::ForeignStream { found: event.stream.clone() })
        } else if event.version != self.version.next() {
            Some(StreamDefect::Gap { found: event.version })
        } else if event.previous_hash != self.hash {
            Some(StreamDefect::ChainBroken)
        } else if event_hash(event) != event.hash {
            Some(StreamDefect::ContentChanged)
        } else {
            None
        };
        if let Some(defect) = defect {
            return Err(CorruptStream { stream: self.stream.clone(), at: self.version.next(), defect });
        }
        self.version = event.version;
        self.hash.clone_from(&event.hash);
        Ok(())
    }
}

/// A whole stream, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedStream {
    pub head: StreamHead,
    /// All events, ascending from version 1.
    pub events: Vec<EventRecord>,
}

/// The stored stream is not one that this store wrote: nothing may be decided on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream `{stream}` is corrupt at version {at}: {defect}")]
pub struct CorruptStream {
    pub stream: StreamName,
    /// The version that was expected here.
    pub at: Version,
    pub defect: StreamDefect,
}

/// What is wrong with a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamDefect {
    #[error("the next event found has version {found}")]
    Gap { found: Version },
    #[error("the event names another hash as that of its predecessor")]
    ChainBroken,
    #[error("the event's content does not match its hash")]
    ContentChanged,
    #[error("the event belongs to stream `{found}`")]
    ForeignStream { found: StreamName },
}
