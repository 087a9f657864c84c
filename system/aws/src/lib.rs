//! AWS under the ports: our HTTP connector and pool, what every SDK client is made of, and the ports implemented on
//! DynamoDB. The bus (streams, topics, queues) has a crate of its own, so that its SDKs build beside this one.
//!
//! Where to start: [`DynamoEventStorage`] implements [`EventStorage`](nexus_ports::EventStorage); the other stores
//! ([`DynamoLeaseStore`], [`DynamoReadModel`], [`DynamoOutbox`], [`DynamoParkingLot`], [`DynamoQuarantine`]) keep one item
//! per record and write it under a condition. Below them the real SDK client runs on [`PlatformHttpClient`],
//! [`PlatformSleep`] and [`PlatformTime`], so that nothing but the [`Platform`](nexus_ports::Platform) under it differs
//! between production and simulation.
//!
//! The SDK retries nothing here ([`ClientParts`]): the service that calls a port owns all attempts.
#![forbid(unsafe_code)]

pub mod client;
mod config;
mod connector;
mod container_credentials;
pub mod failures;
mod items;
mod leases;
mod outbox;
mod parking_lot;
mod platform_runtime;
mod provision;
mod quarantine;
mod record_table;
mod storage;
mod stream_catalogue;
mod tables;
mod views;

/// Where clients get their credentials from, whichever way that is.
pub use aws_credential_types::provider::SharedCredentialsProvider as CredentialsProvider;
pub use client::ClientParts;
pub use config::{AwsConfig, static_credentials};
pub use connector::{ConnectionNeverMade, ConnectorLimits, PlatformHttpClient};
pub use container_credentials::{AuthorizationToken, ContainerCredentials, InvalidCredentialsUrl};
pub use items::{StoredAttribute, event_record};
pub use leases::DynamoLeaseStore;
pub use outbox::DynamoOutbox;
pub use parking_lot::DynamoParkingLot;
pub use platform_runtime::{PlatformInvocationIds, PlatformSleep, PlatformTime};
pub use provision::{ProvisionError, ProvisionedTable, provision_tables};
pub use quarantine::DynamoQuarantine;
pub use storage::DynamoEventStorage;
pub use stream_catalogue::DynamoStreamCatalogue;
pub use tables::{NEVER_ON_EVENTS, TableNames, events_policy, table_definitions};
pub use views::DynamoReadModel;
