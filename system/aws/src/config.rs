//! How AWS is reached, and for how long an answer is waited for.

use std::time::Duration;

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_smithy_runtime_api::client::http::{HttpClient, SharedHttpClient};
use nexus_ports::Platform;

use crate::{PlatformHttpClient, client};

/// Everything that the SDK clients of this crate are built from.
///
/// The SDK's own default is to wait for ever on a silent server, so every wait is bounded here. The defaults fit
/// DynamoDB transactions, whose published measurements end below 300 ms.
#[derive(Clone, Debug)]
pub struct AwsConfig {
    /// For example `eu-central-1`.
    pub region: String,
    /// Replaces the region's public endpoint, for example `http://127.0.0.1:4566`.
    pub endpoint_url: Option<String>,
    pub credentials: SharedCredentialsProvider,
    /// For name resolution, TCP and TLS together. 1 s: beyond a lost first packet's usual resend, below the patience of
    /// any caller.
    pub connect_timeout: Duration,
    /// For one request, its connect included. 2 s: about seven times the slowest measured transaction.
    pub attempt_timeout: Duration,
    /// For one SDK call. It makes one attempt, so this only has to be a little longer: 2.5 s.
    pub operation_timeout: Duration,
    /// An idle connection older than this is not used again. 20 s: servers and middleboxes close idle connections after
    /// a minute or more, and a connection closed under a request makes its outcome unknown.
    pub pool_idle_timeout: Duration,
    /// Idle connections kept for one host; further ones are closed. 16.
    pub pool_max_idle: usize,
    /// Replaces our own connector, whose pool settings above then mean nothing. None.
    pub http_client: Option<SharedHttpClient>,
}

impl AwsConfig {
    /// The defaults, for a region.
    pub fn new(region: impl Into<String>, credentials: impl ProvideCredentials + 'static) -> Self {
        Self {
            region: region.into(),
            endpoint_url: None,
            credentials: SharedCredentialsProvider::new(credentials),
            connect_timeout: Duration::from_millis(1_000),
            attempt_timeout: Duration::from_millis(2_000),
            operation_timeout: Duration::from_millis(2_500),
            pool_idle_timeout: Duration::from_secs(20),
            pool_max_idle: 16,
            http_client: None,
        }
    }

    /// The same with another way to carry requests.
    pub fn with_http_client(mut self, http_client: impl HttpClient + 'static) -> Self {
        self.http_client = Some(SharedHttpClient::new(http_client));
        self
    }

    /// The same with one pool of connections for all clients that are built from it (and its clones).
    pub fn with_shared_connections(self, platform: &Platform) -> Self {
        let connector = PlatformHttpClient::new(platform.clone(), client::limits(&self));
        self.with_http_client(connector)
    }

    /// The same with another endpoint. It replaces the endpoint of every service, so where services live apart, each
    /// client is given a config with its own.
    pub fn with_endpoint_url(mut self, endpoint_url: impl Into<String>) -> Self {
        self.endpoint_url = Some(endpoint_url.into());
        self
    }
}

/// Credentials that never expire, handed in as values.
pub fn static_credentials(
    access_key_id: impl Into<String>,
    secret_access_key: impl Into<String>,
    session_token: Option<String>,
) -> SharedCredentialsProvider {
    let credentials = Credentials::new(access_key_id, secret_access_key, session_token, None, "handed in");
    SharedCredentialsProvider::new(credentials)
}
