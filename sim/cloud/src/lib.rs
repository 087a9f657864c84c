//! The simulated AWS, sans-I/O: services, wire codecs, latency model, journal.
#![forbid(unsafe_code)]

mod interface;

pub use interface::*;
