//! The simulated AWS, sans-I/O: services, wire codecs, latency model, journal.
//!
//! [`Cloud`] takes requests in and gives outputs out; whoever drives it owns the clock, the sockets and the tasks.
#![forbid(unsafe_code)]

mod assumptions;
mod cloud;
mod dynamodb;
mod entropy;
mod faults;
mod glue;
mod interface;
mod internal;
mod journal;
mod kinesis;
mod lambda;
mod latency;
pub mod service;
mod services;
mod sns;
mod sqs;
mod streams;
pub mod wire;

pub use assumptions::Assumptions;
pub use cloud::{Cloud, CloudConfig};
pub use dynamodb::{DynamoDbConfig, capacity::CapacityConfig, errors::DynamodbError};
pub use glue::GlueConfig;
pub use interface::*;
pub use kinesis::KinesisConfig;
pub use lambda::LambdaConfig;
pub use latency::{Cost, LatencyClass, LatencyModel};
pub use sns::SnsConfig;
pub use sqs::SqsConfig;
pub use streams::StreamConfig;
