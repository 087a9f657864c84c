//! SDK clients with one owner of retries, bounded waits and no ambient inputs.

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::{
    Client,
    config::{
        AppName, Region, StalledStreamProtectionConfig,
        retry::{RetryConfig, RetryPartition},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use nexus_ports::Platform;

use crate::{AwsConfig, ConnectorLimits, PlatformHttpClient, PlatformInvocationIds, PlatformSleep, PlatformTime};

/// A DynamoDB client on this platform, made of [`ClientParts`].
pub fn dynamodb(platform: &Platform, config: &AwsConfig) -> Client {
    Client::from_conf(crate::sdk_config!(aws_sdk_dynamodb, ClientParts::new(platform, config)))
}

/// What every SDK client is made of, whichever service it speaks to; [`sdk_config!`](crate::sdk_config) puts it together.
///
/// Retries are off: an attempt of the SDK's would be one that its caller cannot see, count or judge. The retry
/// partition is the host's own, since partitions by name are shared by a whole process, which in simulation is many
/// hosts.
#[derive(Clone, Debug)]
pub struct ClientParts {
    pub region: Region,
    pub endpoint_url: Option<String>,
    pub credentials: SharedCredentialsProvider,
    pub http_client: SharedHttpClient,
    pub sleep: PlatformSleep,
    pub time_source: PlatformTime,
    pub invocation_ids: PlatformInvocationIds,
    pub retries: RetryConfig,
    pub retry_partition: RetryPartition,
    pub timeouts: TimeoutConfig,
    /// Off: bodies are read whole under the attempt's own time-out.
    pub stalled_stream_protection: StalledStreamProtectionConfig,
    pub app_name: Option<AppName>,
}

impl ClientParts {
    pub fn new(platform: &Platform, config: &AwsConfig) -> Self {
        let own_connector = || SharedHttpClient::new(PlatformHttpClient::new(platform.clone(), limits(config)));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.connect_timeout)
            .operation_attempt_timeout(config.attempt_timeout)
            .operation_timeout(config.operation_timeout)
            .build();
        Self {
            region: Region::new(config.region.clone()),
            endpoint_url: config.endpoint_url.clone(),
            credentials: config.credentials.clone(),
            http_client: config.http_client.clone().unwrap_or_else(own_connector),
            sleep: PlatformSleep(platform.clone()),
            time_source: PlatformTime(platform.clone()),
            invocation_ids: PlatformInvocationIds(platform.clone()),
            retries: RetryConfig::disabled(),
            retry_partition: RetryPartition::custom(platform.host.to_string()).build(),
            timeouts,
            stalled_stream_protection: StalledStreamProtectionConfig::disabled(),
            app_name: AppName::new("nexus").ok(),
        }
    }
}

pub(crate) fn limits(config: &AwsConfig) -> ConnectorLimits {
    ConnectorLimits {
        idle_timeout: config.pool_idle_timeout,
        idle_connections_max: config.pool_max_idle,
        ..ConnectorLimits::default()
    }
}

/// The `Config` of one service's SDK crate from [`ClientParts`](crate::ClientParts): `sdk_config!(aws_sdk_sqs, parts)`.
/// Each SDK crate has a builder type of its own with the same methods, which no function can be generic over.
#[macro_export]
macro_rules! sdk_config {
    ($sdk:ident, $parts:expr) => {{
        let parts: $crate::ClientParts = $parts;
        let mut builder = $sdk::config::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
            .region(parts.region)
            .credentials_provider(parts.credentials)
            .http_client(parts.http_client)
            .sleep_impl(parts.sleep)
            .time_source(parts.time_source)
            .invocation_id_generator(parts.invocation_ids)
            .retry_config(parts.retries)
            .retry_partition(parts.retry_partition)
            .timeout_config(parts.timeouts)
            .stalled_stream_protection(parts.stalled_stream_protection);
        builder.set_app_name(parts.app_name);
        builder.set_endpoint_url(parts.endpoint_url);
        builder.build()
    }};
}
