//! The runtime API of Lambda, version 2018-06-01: HTTP/1.1 with a server inside the execution environment.
//!
//! Source: "Using the Lambda runtime API for custom runtimes" of the Lambda developer guide.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use nexus_ports::{Authority, Platform, TaskHandle};
use serde_json::{Value, json};

use crate::FunctionError;

const PREFIX: &str = "/2018-06-01/runtime";
const ERROR_TYPE_HEADER: &str = "lambda-runtime-function-error-type";
/// An event is at most 6 MB; its JSON may escape some of it. More is an error of the server's.
const BODY_BYTES_MAX: usize = 32 << 20;

/// One exchange with the runtime API went wrong on the way: whether the server saw the request is not known.
#[derive(Debug, thiserror::Error)]
#[error("the runtime API at {authority} did not answer: {reason}")]
pub(crate) struct NoAnswer {
    authority: Authority,
    reason: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A client with one connection, since the API answers one request at a time. What is broken is replaced at the next
/// request; nothing is retried here.
pub(crate) struct RuntimeApi {
    platform: Platform,
    authority: Authority,
    connection: Option<OpenConnection>,
}

struct OpenConnection {
    sender: SendRequest<Full<Bytes>>,
    driver: TaskHandle,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl RuntimeApi {
    pub(crate) fn new(platform: Platform, authority: Authority) -> Self {
        Self { platform, authority, connection: None }
    }

    /// Waits for the next invocation, as long as it takes: between invocations the whole environment is frozen, and a
    /// time-out would fire at the thaw and lose the invocation that has just come.
    pub(crate) async fn next(&mut self, connect_timeout: Duration) -> Result<Answer, NoAnswer> {
        let request = self.request(Method::GET, "/invocation/next", Bytes::new(), None)?;
        self.exchange(request, connect_timeout, None).await
    }

    pub(crate) async fn respond(
        &mut self,
        request_id: &str,
        response: &Value,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        let body = Bytes::from(response.to_string());
        let request = self.request(Method::POST, &format!("/invocation/{request_id}/response"), body, None)?;
        self.exchange(request, timeout, Some(timeout)).await
    }

    pub(crate) async fn report_error(
        &mut self,
        request_id: &str,
        error: &FunctionError,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        self.post_error(&format!("/invocation/{request_id}/error"), error, timeout).await
    }

    pub(crate) async fn report_init_error(
        &mut self,
        error: &FunctionError,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        self.post_error("/init/error", error, timeout).await
    }

    async fn post_error(&mut self, path: &str, error: &FunctionError, timeout: Duration) -> Result<Answer, NoAnswer> {
        let body = json!({ "errorMessage": error.message, "errorType": error.error_type, "stackTrace": [] });
        let request = self.request(Method::POST, path, Bytes::from(body.to_string()), Some(&error.error_type))?;
        self.exchange(request, timeout, Some(timeout)).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        error_type: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, NoAnswer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"))
            .header(header::HOST, self.authority.to_string())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(error_type) = error_type {
            // A type that is no header value is told in the body alone.
            let value = HeaderValue::try_from(error_type).unwrap_or(HeaderValue::from_static("Function.Error"));
            request = request.header(ERROR_TYPE_HEADER, value);
        }
        request.body(Full::new(body)).map_err(|error| self.no_answer(error))
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        connect_timeout: Duration,
        read_timeout: Option<Duration>,
    ) -> Result<Answer, NoAnswer> {
        let mut connection = self.connected(connect_timeout).await?;
        let authority = self.authority.clone();
        let no_answer = |reason: String| NoAnswer { authority: authority.clone(), reason };
        let exchange = async {
            let response =
                connection.sender.send_request(request).await.map_err(|error| no_answer(error.to_string()))?;
            let (head, body) = response.into_parts();
            let body =
                Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| no_answer(error.to_string()))?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        let answer = match read_timeout {
            Some(after) => {
                self.platform.timeout(after, exchange).await.map_err(|error| no_answer(error.to_string()))??
            }
            None => exchange.await?,
        };
        // Only after a whole answer: on any error the connection is dropped with this future.
        self.connection = Some(connection);
        Ok(answer)
    }

    async fn connected(&mut self, connect_timeout: Duration) -> Result<OpenConnection, NoAnswer> {
        if let Some(mut open) = self.connection.take() {
            // Resolves at once: an idle connection is either ready or was closed meanwhile.
            if open.sender.ready().await.is_ok() {
                return Ok(open);
            }
        }
        let dialled = self.platform.timeout(connect_timeout, self.platform.dialer.dial(&self.authority)).await;
        let stream = dialled.map_err(|error| self.no_answer(error))?.map_err(|error| self.no_answer(error))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| self.no_answer(error))?;
        let driver = self.platform.spawn("lambda-runtime-connection", async move {
            // Whatever ends the connection reaches the exchange that uses it through its sender.
            let _ = connection.await;
        });
        Ok(OpenConnection { sender, driver })
    }

    fn no_answer(&self, reason: impl std::fmt::Display) -> NoAnswer {
        NoAnswer { authority: self.authority.clone(), reason: reason.to_string() }
    }
}
