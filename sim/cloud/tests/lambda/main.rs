//! Lambda through the public cloud: its API, the runtime API, and mappings from streams and queues.
#![forbid(unsafe_code)]

mod api;
mod faults;
mod latency;
mod neighbours;
mod property;
mod queues;
mod runtime;
mod streams;
mod together;
mod world;
