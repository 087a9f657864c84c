//! Connections in, on any Platform.

use std::{convert::Infallible, io, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use nexus_ports::{Acceptor, BoxConnection, Platform};

use crate::server_timer::PlatformTimer;

/// A connection whose next request's head is not whole after this time is closed, be it slow or idle.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept: it fails when file descriptors run out, and trying at once would spin.
const ACCEPT_FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// Binds a port and serves on it: see [`serve_on`].
///
/// # Errors
/// The port could not be bound.
pub async fn serve(platform: Platform, port: u16, router: Router) -> io::Result<Infallible> {
    let acceptor = platform.listener.bind(port).await?;
    Ok(serve_on(platform, acceptor, router).await)
}

/// Accepts connections and serves each in a task of its own, until its future is dropped. Errors end single
/// connections, never the service.
pub async fn serve_on(platform: Platform, acceptor: Box<dyn Acceptor>, router: Router) -> Infallible {
    let timer = PlatformTimer::new(platform.clone());
    loop {
        match acceptor.accept().await {
            Ok((connection, _peer)) => {
                platform.spawn("http-connection", serve_connection(connection, router.clone(), timer.clone()));
            }
            Err(_) => platform.sleep(ACCEPT_FAILURE_PAUSE).await,
        }
    }
}

async fn serve_connection(connection: BoxConnection, router: Router, timer: PlatformTimer) {
    let mut server = http1::Builder::new();
    // The date comes from the platform's clock, in the router.
    server.auto_date_header(false).timer(timer).header_read_timeout(HEADER_READ_TIMEOUT);
    // A connection ends by its peer's will or by a broken peer; neither is the service's business.
    let _ = server.serve_connection(TokioIo::new(connection), TowerToHyperService::new(router)).await;
}
