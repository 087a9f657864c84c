//! Requests to stop, and how long work may go on after one.

use std::{io, pin::pin, time::Duration};

use nexus_ports::{BoxFuture, Platform};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Interrupts from the keyboard and requests to terminate, as container runtimes send them. From its making on they no
/// longer end the process by themselves; so it is made before the program says that it runs.
pub(crate) struct StopRequests {
    signals: signals::Signals,
}

impl StopRequests {
    /// # Errors
    /// The signals cannot be listened to.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self { signals: signals::Signals::listen().map_err(Failure::Runtime)? })
    }

    /// The next request.
    pub(crate) async fn next(&mut self) {
        self.signals.next().await;
    }
}

/// Does the work until it ends by itself, which it should do soon after the future that it is given resolves: at a request
/// to stop. `grace` later, or at a second request, it is broken off.
///
/// # Errors
/// The work was broken off.
pub(crate) async fn work_until_stopped<W: Future>(
    platform: &Platform,
    grace: Duration,
    mut requests: StopRequests,
    work: impl FnOnce(BoxFuture<'static, ()>) -> W,
) -> Result<W::Output, Failure> {
    let (tell, told) = oneshot::channel();
    let mut work = pin!(work(Box::pin(async move { _ = told.await })));
    tokio::select! {
        biased;
        done = work.as_mut() => return Ok(done),
        () = requests.next() => {}
    }
    _ = tell.send(());
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = requests.next() => Err(Failure::BrokenOff),
        () = platform.sleep(grace) => Err(Failure::BrokenOff),
    }
}

#[cfg(unix)]
mod signals {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::io;

    pub(super) struct Signals {
        interrupt: Signal,
        terminate: Signal,
    }

    impl Signals {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
        }

        pub(super) async fn next(&mut self) {
            tokio::select! {
                biased;
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use super::io;

    pub(super) struct Signals;

    impl Signals {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                // It cannot be listened to: its default, the end of the process, stays in force.
                std::future::pending().await
            }
        }
    }
}
