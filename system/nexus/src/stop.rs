//! Requests to stop, and how long work may go on after one.

use std::{pin::pin, time::Duration};

use nexus_ports::{BoxFuture, Platform};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Does the work until it ends by itself, which it should do soon after the future that it is given resolves: at a request
/// to stop. `grace` later, or at a second request, it is broken off.
///
/// # Errors
/// The work was broken off.
pub(crate) async fn work_until_stopped<W: Future>(
    platform: &Platform,
    grace: Duration,
    work: impl FnOnce(BoxFuture<'static, ()>) -> W,
) -> Result<W::Output, Failure> {
    let (tell, told) = oneshot::channel();
    let mut work = pin!(work(Box::pin(async move { _ = told.await })));
    tokio::select! {
        biased;
        done = work.as_mut() => return Ok(done),
        () = stop_requested() => {}
    }
    _ = tell.send(());
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = stop_requested() => Err(Failure::BrokenOff { grace }),
        () = platform.sleep(grace) => Err(Failure::BrokenOff { grace }),
    }
}

/// Resolves at an interrupt from the keyboard or a request to terminate, as container runtimes send it.
pub(crate) async fn stop_requested() {
    tokio::select! {
        biased;
        () = interrupted() => {}
        () = terminated() => {}
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // The signal cannot be listened to: its default, the end of the process, stays in force.
        std::future::pending().await
    }
}

#[cfg(unix)]
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => _ = terminate.recv().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
