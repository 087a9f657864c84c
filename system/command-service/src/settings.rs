//! Bounds of the command service.

use std::time::Duration;

/// Bounds on time, size and repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandServiceSettings {
    /// A request is answered within this time, if need be with "unknown". 10 s: three attempts of 2 s, their pauses,
    /// the reads before and the look afterwards fit in.
    pub request_deadline: Duration,
    /// How often a command is decided again because others wrote first, the first decision included.
    pub rounds_max: u32,
    /// A longer body is refused. 256 KiB: an event has to fit in an item of 400 KB.
    pub body_bytes_max: usize,
}

impl Default for CommandServiceSettings {
    fn default() -> Self {
        Self { request_deadline: Duration::from_secs(10), rounds_max: 3, body_bytes_max: 256 << 10 }
    }
}
