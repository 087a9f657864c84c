//! Connections in, on any Platform.

use std::{convert::Infallible, io, pin::pin, time::Duration};

use axum::Router;
use futures_util::future::{Either, select};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use nexus_ports::{Acceptor, BoxConnection, Platform};
use tokio::sync::watch;

use crate::server_timer::PlatformTimer;

/// A connection without a whole request head for this long is closed.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept, which would fail again at once.
const ACCEPT_FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// Binds a port and serves on it: see [`serve_on`].
///
/// # Errors
/// The port could not be bound.
pub async fn serve(platform: Platform, port: u16, router: Router) -> io::Result<Infallible> {
    let acceptor = platform.listener.bind(port).await?;
    Ok(serve_on(platform, acceptor, router).await)
}

/// Serves each connection in a task of its own, until its future is dropped.
pub async fn serve_on(platform: Platform, acceptor: Box<dyn Acceptor>, router: Router) -> Infallible {
    let (stopping, _) = watch::channel(false);
    accept_all(&platform, acceptor, router, &stopping).await
}

/// Like [`serve_on`] until `stop` resolves; then requests under way have `grace` to be answered.
pub async fn serve_until(
    platform: Platform,
    acceptor: Box<dyn Acceptor>,
    router: Router,
    stop: impl Future<Output = ()> + Send,
    grace: Duration,
) {
    let (stopping, _) = watch::channel(false);
    match select(pin!(stop), pin!(accept_all(&platform, acceptor, router, &stopping))).await {
        Either::Left(((), _accepting)) => {}
        Either::Right((never, _)) => match never {},
    }
    stopping.send_replace(true);
    // Each connection holds a receiver: the channel closes with the last of them.
    let _ = platform.timeout(grace, stopping.closed()).await;
}

async fn accept_all(
    platform: &Platform,
    acceptor: Box<dyn Acceptor>,
    router: Router,
    stopping: &watch::Sender<bool>,
) -> Infallible {
    let timer = PlatformTimer::new(platform.clone());
    loop {
        match acceptor.accept().await {
            Ok((connection, _peer)) => {
                let served = serve_connection(connection, router.clone(), timer.clone(), stopping.subscribe());
                platform.spawn("http-connection", served);
            }
            Err(_) => platform.sleep(ACCEPT_FAILURE_PAUSE).await,
        }
    }
}

async fn serve_connection(
    connection: BoxConnection,
    router: Router,
    timer: PlatformTimer,
    mut stopping: watch::Receiver<bool>,
) {
    let mut server = http1::Builder::new();
    // The router dates answers by the platform's clock.
    server.auto_date_header(false).timer(timer).header_read_timeout(HEADER_READ_TIMEOUT);
    let mut serving = pin!(server.serve_connection(TokioIo::new(connection), TowerToHyperService::new(router)));
    let is_stopping = async { stopping.wait_for(|is_stopping| *is_stopping).await.is_ok() };
    match select(serving.as_mut(), pin!(is_stopping)).await {
        // However a connection ends, it is its peer's business.
        Either::Left(_ended) => return,
        Either::Right((true, _)) => serving.as_mut().graceful_shutdown(),
        // Nobody is left who could ask for an end.
        Either::Right((false, _)) => {}
    }
    let _ = serving.await;
}
