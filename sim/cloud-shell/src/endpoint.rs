//! One AWS endpoint on a Platform's listener, in HTTP/1.1.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use nexus_cloud::{Service, UnixNanos, WireRequest, WireResponse, wire};
use nexus_ports::{Acceptor, BoxConnection, Platform};

use crate::shared::{Delivery, SharedCloud};

/// More than any service takes; the cloud itself refuses smaller excesses in its own words.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Serves one endpoint.
pub struct EndpointShell {
    cloud: SharedCloud,
    /// `None`: a socket for all services, which are told apart by the request's target.
    service: Option<Service>,
    now: Arc<dyn Fn() -> UnixNanos + Send + Sync>,
}

/// Why a connection ends without a whole answer.
#[derive(Debug, thiserror::Error)]
enum Hangup {
    #[error("the answer is withheld")]
    Reset,
    #[error("the request's body did not arrive: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

impl EndpointShell {
    /// Binds `port` and serves for ever. `now` is the cloud's true time, whatever the Platform's own clock shows.
    ///
    /// # Errors
    /// If the port cannot be bound, or the listener fails.
    pub async fn serve(
        platform: Platform,
        cloud: SharedCloud,
        service: Option<Service>,
        port: u16,
        now: impl Fn() -> UnixNanos + Send + Sync + 'static,
    ) -> io::Result<()> {
        let acceptor = platform.listener.bind(port).await?;
        Self::serve_on(platform, cloud, service, acceptor, now).await
    }

    /// Like [`EndpointShell::serve`], on a port that is bound already.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve_on(
        platform: Platform,
        cloud: SharedCloud,
        service: Option<Service>,
        acceptor: Box<dyn Acceptor>,
        now: impl Fn() -> UnixNanos + Send + Sync + 'static,
    ) -> io::Result<()> {
        let shell = Arc::new(Self { cloud, service, now: Arc::new(now) });
        let pumped = shell.clone();
        let pump_platform = platform.clone();
        let pump = platform.spawn("cloud-pump", async move {
            pumped.cloud.pump(&pump_platform, || (pumped.now)()).await;
        });
        let _pump = AbortOnDrop(pump);
        loop {
            let (connection, peer) = acceptor.accept().await?;
            let shell = shell.clone();
            drop(platform.spawn("cloud-connection", async move { shell.connection(connection, peer).await }));
        }
    }

    async fn connection(self: Arc<Self>, connection: BoxConnection, peer: String) {
        let service = service_fn(|request| {
            let (shell, caller) = (self.clone(), peer.clone());
            async move { shell.answer(request, caller).await }
        });
        // The date comes from the cloud's own time: hyper's would be the machine's.
        let served = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(connection), service);
        // An error is a caller that went away or an answer withheld on purpose: nobody is left to be told.
        let _ = served.await;
    }

    async fn answer(&self, request: Request<Incoming>, caller: String) -> Result<Response<AnswerBody>, Hangup> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(Hangup::Body)?.to_bytes();
        let headers: Vec<(String, String)> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let method = head.method.as_str().to_owned();
        let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned());
        let service = self.service.or_else(|| wire::route(&method, &path, &headers)).unwrap_or(Service::Dynamodb);
        let request = WireRequest { service, caller, method, path, headers, body };
        match self.cloud.submit((self.now)(), request).await {
            Delivery::Reply(response) => Ok(to_http(response, None)),
            Delivery::Truncated(response) => {
                let half = response.body.len() / 2;
                Ok(to_http(response, Some(half)))
            }
            Delivery::Reset => Err(Hangup::Reset),
        }
    }
}

/// Ends the pump together with the shell that started it.
struct AbortOnDrop(nexus_ports::TaskHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn to_http(response: WireResponse, cut_after: Option<usize>) -> Response<AnswerBody> {
    let promised = response.body.len() as u64;
    let body = match cut_after {
        None => AnswerBody { bytes: Some(response.body), promised, is_cut: false, is_flushed: false },
        Some(bytes) => {
            AnswerBody { bytes: Some(response.body.slice(..bytes)), promised, is_cut: true, is_flushed: false }
        }
    };
    let mut builder = Response::builder().status(response.status);
    for (name, value) in response.headers {
        builder = builder.header(name, value);
    }
    builder.body(body).unwrap_or_else(|_| {
        // Only a header that is none gets here, and the cloud makes none of those.
        Response::new(AnswerBody { bytes: None, promised: 0, is_cut: false, is_flushed: false })
    })
}

/// An answer's body, perhaps ending before its promised length.
struct AnswerBody {
    bytes: Option<Bytes>,
    promised: u64,
    is_cut: bool,
    is_flushed: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the answer is cut off here")]
struct CutOff;

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, CutOff>>> {
        match self.bytes.take() {
            Some(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            // Only a body that is not ready lets the half go out before the connection ends.
            _ if self.is_cut && !self.is_flushed => {
                self.is_flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            _ if self.is_cut => Poll::Ready(Some(Err(CutOff))),
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.is_cut && self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.promised)
    }
}
