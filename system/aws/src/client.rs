//! SDK clients with one owner of retries, bounded waits and no ambient inputs.

use aws_sdk_dynamodb::{
    Client,
    config::{
        AppName, BehaviorVersion, Builder, Config, Region, StalledStreamProtectionConfig,
        retry::{RetryConfig, RetryPartition},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use nexus_ports::Platform;

use crate::{AwsConfig, ConnectorLimits, PlatformHttpClient, PlatformInvocationIds, PlatformSleep, PlatformTime};

/// A DynamoDB client on this platform.
///
/// Its retries are off: an attempt of the SDK's would be one that the event store cannot see, count or judge. Its
/// retry partition is its own, since partitions by name are shared by a whole process, which in simulation is many
/// hosts.
pub fn dynamodb(platform: &Platform, config: &AwsConfig) -> Client {
    Client::from_conf(dynamodb_config(platform, config))
}

fn connector_limits(config: &AwsConfig) -> ConnectorLimits {
    ConnectorLimits {
        idle_timeout: config.pool_idle_timeout,
        idle_connections_max: config.pool_max_idle,
        ..ConnectorLimits::default()
    }
}

fn dynamodb_config(platform: &Platform, config: &AwsConfig) -> Config {
    let own_connector = || PlatformHttpClient::new(platform.clone(), connector_limits(config));
    let http_client = config.http_client.clone().unwrap_or_else(|| SharedHttpClient::new(own_connector()));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .operation_attempt_timeout(config.attempt_timeout)
        .operation_timeout(config.operation_timeout)
        .build();
    let mut builder: Builder = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(config.region.clone()))
        .credentials_provider(config.credentials.clone())
        .http_client(http_client)
        .sleep_impl(PlatformSleep(platform.clone()))
        .time_source(PlatformTime(platform.clone()))
        .invocation_id_generator(PlatformInvocationIds(platform.clone()))
        .retry_config(RetryConfig::disabled())
        .retry_partition(RetryPartition::custom(platform.host.to_string()).build())
        .timeout_config(timeouts)
        // Bodies are read whole under the attempt's own time-out.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Ok(name) = AppName::new("nexus") {
        builder = builder.app_name(name);
    }
    builder.set_endpoint_url(config.endpoint_url.clone());
    builder.build()
}
