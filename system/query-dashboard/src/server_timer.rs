//! The platform's timer in the form that hyper's server wants.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};
use nexus_ports::{BoxFuture, Monotonic, Platform};

/// hyper speaks of deadlines as `Instant`, which only the operating system can make. One is taken as an origin and
/// every other is that origin plus the platform's time, so that no duration depends on the ambient clock.
#[derive(Clone)]
pub(crate) struct PlatformTimer {
    platform: Platform,
    origin: Instant,
    origin_monotonic: Monotonic,
}

impl PlatformTimer {
    pub(crate) fn new(platform: Platform) -> Self {
        #[expect(clippy::disallowed_methods, reason = "only the origin of a private time line; its value cancels out")]
        let origin = Instant::now();
        Self { origin_monotonic: platform.monotonic(), origin, platform }
    }
}

impl Timer for PlatformTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(PlatformSleep(Mutex::new(self.platform.sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        self.origin + self.platform.monotonic().since(self.origin_monotonic)
    }
}

/// hyper wants its sleep to be `Sync`. Polling takes the future exclusively, so the lock is never waited for.
struct PlatformSleep(Mutex<BoxFuture<'static, ()>>);

impl Sleep for PlatformSleep {}

impl Future for PlatformSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(context)
    }
}
