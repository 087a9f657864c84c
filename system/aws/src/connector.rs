//! HTTP/1.1 for the SDK over the platform's dialer: connections, a small idle pool, bounded waits and bodies.

mod error;
mod pool;

use std::{fmt, sync::Arc, time::Duration};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use http::{HeaderValue, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nexus_ports::{Authority, Platform};

pub use error::ConnectionNeverMade;
use error::{broken, never_made, unusable};
use pool::{Lease, Pool, PooledConnection};

/// What the connector keeps and reads at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorLimits {
    /// Idle connections older than this are closed instead of used.
    pub idle_timeout: Duration,
    /// Idle connections kept for one host.
    pub idle_connections_max: usize,
    /// A longer response body is an error. 32 MiB: DynamoDB's largest answer is 16 MB of items, in JSON somewhat more.
    pub body_bytes_max: usize,
}

impl Default for ConnectorLimits {
    fn default() -> Self {
        Self { idle_timeout: Duration::from_secs(20), idle_connections_max: 16, body_bytes_max: 32 << 20 }
    }
}

/// The HTTP client under every SDK client, in production and in simulation alike.
///
/// A connection goes back to the pool only after a whole response was read from it. After any error, and when a call is
/// given up (a time-out drops its future), the connection is closed, and so are the idle ones to the same host: what
/// silenced one has often silenced all that were made before.
#[derive(Clone)]
pub struct PlatformHttpClient {
    platform: Platform,
    pool: Arc<Pool>,
    limits: ConnectorLimits,
}

impl PlatformHttpClient {
    pub fn new(platform: Platform, limits: ConnectorLimits) -> Self {
        let pool = Arc::new(Pool::new(limits.idle_timeout, limits.idle_connections_max));
        Self { platform, pool, limits }
    }

    /// Idle connections held at the moment, for metrics and tests.
    pub fn idle_connections(&self) -> usize {
        self.pool.idle_connections()
    }
}

impl PlatformHttpClient {
    /// One request outside of any SDK client.
    pub(crate) async fn send(
        &self,
        request: HttpRequest,
        connect_timeout: Duration,
        read_timeout: Duration,
    ) -> Result<HttpResponse, ConnectorError> {
        let (connect_timeout, read_timeout) = (Some(connect_timeout), Some(read_timeout));
        PlatformHttpConnector { client: self.clone(), connect_timeout, read_timeout }.exchange(request).await
    }
}

impl fmt::Debug for PlatformHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformHttpClient").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl HttpClient for PlatformHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(PlatformHttpConnector {
            client: self.clone(),
            connect_timeout: settings.connect_timeout(),
            read_timeout: settings.read_timeout(),
        })
    }
}

/// The client with one call's time-outs.
#[derive(Clone, Debug)]
struct PlatformHttpConnector {
    client: PlatformHttpClient,
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
}

impl HttpConnector for PlatformHttpConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.exchange(request).await })
    }
}

impl PlatformHttpConnector {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (authority, mut request) = addressed(request)?;
        loop {
            let mut lease = self.connection(&authority).await?;
            let is_reused = lease.is_reused();
            let response = match self.bounded_read(lease.send(request)).await? {
                Ok(response) => response,
                Err(mut error) => match error.take_message() {
                    // The idle connection was closed by its server before a byte of this request was written.
                    Some(unsent) if is_reused => {
                        request = unsent;
                        continue;
                    }
                    Some(_) => return Err(never_made(error.into_error())),
                    None => return Err(broken(error.into_error())),
                },
            };
            let (head, body) = response.into_parts();
            let body = self.bounded_read(Limited::new(body, self.client.limits.body_bytes_max).collect()).await?;
            let body = body.map_err(broken)?.to_bytes();
            lease.give_back(self.client.platform.monotonic());
            return sdk_response(head, body);
        }
    }

    async fn connection(&self, authority: &Authority) -> Result<Lease, ConnectorError> {
        let pool = &self.client.pool;
        while let Some(mut idle) = pool.take(authority, self.client.platform.monotonic()) {
            // Resolves at once: a pooled connection is either ready or was closed while it lay idle.
            if idle.sender.ready().await.is_ok() {
                return Ok(Lease::reused(pool, authority, idle));
            }
        }
        let dialled = match self.connect_timeout {
            Some(after) => self.client.platform.timeout(after, self.dial(authority)).await.map_err(never_made)?,
            None => self.dial(authority).await,
        };
        Ok(Lease::fresh(pool, authority, dialled?))
    }

    async fn dial(&self, authority: &Authority) -> Result<PooledConnection, ConnectorError> {
        let platform = &self.client.platform;
        let stream = platform.dialer.dial(authority).await.map_err(never_made)?;
        let (sender, connection) = http1::handshake::<_, SdkBody>(TokioIo::new(stream)).await.map_err(never_made)?;
        let driver = platform.spawn("aws-http-connection", async move {
            // Whatever ends the connection reaches the call that used it through its sender.
            let _ = connection.await;
        });
        Ok(PooledConnection { sender, driver })
    }

    async fn bounded_read<T>(&self, read: impl Future<Output = T> + Send) -> Result<T, ConnectorError> {
        match self.read_timeout {
            Some(after) => {
                self.client.platform.timeout(after, read).await.map_err(|error| ConnectorError::timeout(error.into()))
            }
            None => Ok(read.await),
        }
    }
}

/// Where the request goes, and the request in origin form with its Host header, as servers want it.
fn addressed(mut request: http::Request<SdkBody>) -> Result<(Authority, http::Request<SdkBody>), ConnectorError> {
    let uri = request.uri().clone();
    let host = uri.host().ok_or_else(|| unusable("the request's URI names no host"))?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(unusable("the request's URI is neither http nor https")),
    };
    let port_of_scheme = if tls { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(port_of_scheme);
    // The signature covers this value, which leaves out the scheme's own port.
    let host_header = if port == port_of_scheme { host.to_owned() } else { format!("{host}:{port}") };
    let host_header = HeaderValue::try_from(host_header).map_err(|error| ConnectorError::user(error.into()))?;
    request.headers_mut().insert(header::HOST, host_header);
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((Authority { host, port, tls }, request))
}

fn sdk_response(head: http::response::Parts, body: bytes::Bytes) -> Result<HttpResponse, ConnectorError> {
    let response = http::Response::from_parts(head, SdkBody::from(body));
    let response = HttpResponse::try_from(response).map_err(broken)?;
    Ok(response)
}
