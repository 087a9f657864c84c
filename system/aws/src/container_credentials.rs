//! Credentials from the endpoint that a container is given (ECS tasks, EKS Pod Identity).
//!
//! Source: "Container credential provider" of the AWS SDKs and Tools reference guide.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, error::CredentialsError, future},
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::{
    body::SdkBody,
    date_time::{DateTime, Format},
};
use http::{HeaderValue, Uri, header};
use nexus_ports::Platform;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{ConnectorLimits, PlatformHttpClient};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// With the connection's it stays below the patience of one attempt of an AWS call, which may wait for it.
const READ_TIMEOUT: Duration = Duration::from_millis(1_000);
/// An answer is some hundred bytes; session tokens may be long.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Credentials are asked for anew so long before they expire. Containers are given new ones earlier than that.
const REFRESH_AHEAD: Duration = Duration::from_secs(5 * 60);
/// When to ask again after a refresh failed, and for credentials that live no longer than [`REFRESH_AHEAD`].
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Addresses that credentials may be fetched from without TLS, beside the loopback's: the agents of ECS and EKS.
const AGENTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// What the endpoint wants in the `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthorizationToken {
    None,
    Text(String),
    /// A file on the platform's disk, read anew each time: it is renewed while the container runs.
    File(String),
}

impl fmt::Debug for AuthorizationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthorizationToken::None => f.write_str("None"),
            AuthorizationToken::Text(_) => f.write_str("Text(…)"),
            AuthorizationToken::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Credentials must not be fetched from just anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not an https URL, nor an http URL of the loopback address or of the agents of ECS and EKS")]
pub struct InvalidCredentialsUrl {
    pub url: String,
}

/// Fetches credentials over the platform, keeps them, and renews them five minutes before they expire. While a renewal
/// fails, those at hand go on being used until they really expire.
///
/// One request per question: whoever makes the AWS call owns the attempts.
#[derive(Clone)]
pub struct ContainerCredentials {
    platform: Platform,
    http: PlatformHttpClient,
    url: Uri,
    token: AuthorizationToken,
    /// Held over a fetch, so that clients that ask at once share one.
    kept: std::sync::Arc<Mutex<Option<Kept>>>,
}

#[derive(Clone)]
struct Kept {
    answer: Answer,
    expires_at: SystemTime,
    ask_again_at: SystemTime,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    /// RFC 3339.
    expiration: String,
}

impl ContainerCredentials {
    /// # Errors
    /// [`InvalidCredentialsUrl`].
    pub fn new(platform: &Platform, url: &str, token: AuthorizationToken) -> Result<Self, InvalidCredentialsUrl> {
        let uri: Option<Uri> = url.parse().ok();
        let uri = uri.filter(is_trusted).ok_or_else(|| InvalidCredentialsUrl { url: url.to_owned() })?;
        let limits = ConnectorLimits { body_bytes_max: ANSWER_BYTES_MAX, ..ConnectorLimits::default() };
        Ok(Self {
            platform: platform.clone(),
            http: PlatformHttpClient::new(platform.clone(), limits),
            url: uri,
            token,
            kept: std::sync::Arc::default(),
        })
    }

    async fn credentials(&self) -> provider::Result {
        let mut kept = self.kept.lock().await;
        let now = self.platform.unix_time().as_system_time();
        if let Some(kept) = kept.as_ref().filter(|kept| now < kept.ask_again_at) {
            return Ok(kept.credentials());
        }
        match self.fetch(now).await {
            Ok(fetched) => Ok(kept.insert(fetched).credentials()),
            Err(error) => match kept.as_mut().filter(|kept| now < kept.expires_at) {
                Some(kept) => {
                    kept.ask_again_at = kept.expires_at.min(now + ASK_AGAIN_AFTER);
                    Ok(kept.credentials())
                }
                None => Err(error),
            },
        }
    }

    async fn fetch(&self, now: SystemTime) -> Result<Kept, CredentialsError> {
        let request = self.request().await?;
        let response = self.http.send(request, CONNECT_TIMEOUT, READ_TIMEOUT).await;
        let response = response.map_err(CredentialsError::provider_error)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(CredentialsError::provider_error(format!(
                "the endpoint of credentials answered HTTP {status}"
            )));
        }
        let body = response.body().bytes().unwrap_or_default();
        // The answer is a secret: no error quotes it.
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|error| unreadable(format!("line {}, column {}", error.line(), error.column())))?;
        let expires_at = DateTime::from_str(&answer.expiration, Format::DateTimeWithOffset)
            .ok()
            .and_then(|time| SystemTime::try_from(time).ok())
            .ok_or_else(|| unreadable("its expiration is no time".to_owned()))?;
        let ahead = expires_at.checked_sub(REFRESH_AHEAD).unwrap_or(now);
        Ok(Kept { ask_again_at: ahead.max(expires_at.min(now + ASK_AGAIN_AFTER)), answer, expires_at })
    }

    async fn request(&self) -> Result<HttpRequest, CredentialsError> {
        let mut request = http::Request::new(SdkBody::empty());
        *request.uri_mut() = self.url.clone();
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = self.token().await? {
            let mut value = HeaderValue::try_from(token).map_err(|_| {
                CredentialsError::invalid_configuration("the authorization token cannot be sent in a header")
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        HttpRequest::try_from(request).map_err(CredentialsError::invalid_configuration)
    }

    async fn token(&self) -> Result<Option<String>, CredentialsError> {
        match &self.token {
            AuthorizationToken::None => Ok(None),
            AuthorizationToken::Text(text) => Ok(Some(text.clone())),
            AuthorizationToken::File(path) => {
                let bytes = self.platform.disk.read(path).await.map_err(CredentialsError::provider_error)?;
                let text = String::from_utf8(bytes).map_err(|_| unreadable("its token is not text".to_owned()))?;
                Ok(Some(text.trim_end().to_owned()))
            }
        }
    }
}

impl Kept {
    /// With the time to ask again in the place of the expiry: at that time the SDK, which keeps credentials as well, asks.
    fn credentials(&self) -> Credentials {
        let Answer { access_key_id, secret_access_key, token, .. } = self.answer.clone();
        Credentials::new(access_key_id, secret_access_key, token, Some(self.ask_again_at), "container")
    }
}

impl ProvideCredentials for ContainerCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl fmt::Debug for ContainerCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerCredentials")
            .field("url", &self.url)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

fn unreadable(what: String) -> CredentialsError {
    CredentialsError::provider_error(format!("what the endpoint of credentials gave cannot be read: {what}"))
}

fn is_trusted(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match url.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => {
            let address = host.parse::<IpAddr>();
            let is_agent = |address: IpAddr| AGENTS.iter().any(|agent| agent.parse() == Ok(address));
            host == "localhost" || address.is_ok_and(|address| address.is_loopback() || is_agent(address))
        }
        _ => false,
    }
}
