//! The crate that imports AWS SDKs: our HTTP connector and pool, and the ports implemented on DynamoDB.
//!
//! Where to start: [`DynamoEventStorage`] implements [`EventStorage`](nexus_ports::EventStorage). Below it the real SDK
//! client runs on [`PlatformHttpClient`], [`PlatformSleep`] and [`PlatformTime`], so that nothing but the
//! [`Platform`](nexus_ports::Platform) under it differs between production and simulation.
//!
//! The SDK retries nothing here ([`client`]): the event store owns all attempts.
#![forbid(unsafe_code)]

pub mod client;
mod config;
mod connector;
mod failures;
mod items;
mod platform_runtime;
mod provision;
mod storage;
mod tables;

pub use config::{AwsConfig, static_credentials};
pub use connector::{ConnectionNeverMade, ConnectorLimits, PlatformHttpClient};
pub use platform_runtime::{PlatformInvocationIds, PlatformSleep, PlatformTime};
pub use provision::{ProvisionError, ProvisionedTable, provision_tables};
pub use storage::DynamoEventStorage;
pub use tables::{TableNames, table_definitions};
