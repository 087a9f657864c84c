//! One cloud for many endpoints: requests in from anywhere, each output back to whoever waits for it.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task,
    time::Duration,
};

use futures_util::future::{Either, select};
use nexus_cloud::{Cloud, Output, RequestId, UnixNanos, WireRequest, WireResponse};
use nexus_ports::Platform;
use tokio::sync::{Notify, oneshot};

/// What a waiting connection has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Reply(WireResponse),
    /// Send the head and half the body, then close.
    Truncated(WireResponse),
    /// Close without an answer.
    Reset,
}

/// The connection was closed before a whole answer arrived; whether the call took effect is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed before a whole answer arrived")]
pub struct ConnectionReset;

struct Shared {
    cloud: Cloud,
    waiters: BTreeMap<RequestId, oneshot::Sender<Delivery>>,
    requests: u64,
    /// The cloud's time never goes back, even if a machine's clock does.
    now: UnixNanos,
}

impl Shared {
    fn advance(&mut self, now: UnixNanos) {
        self.now = self.now.max(now);
        for output in self.cloud.advance(self.now) {
            let (request, delivery) = match output {
                Output::Reply { request, response } => (request, Delivery::Reply(response)),
                Output::Truncated { request, response } => (request, Delivery::Truncated(response)),
                Output::Reset { request } => (request, Delivery::Reset),
            };
            if let Some(waiter) = self.waiters.remove(&request) {
                // A waiter that just went away has no use for its answer.
                let _ = waiter.send(delivery);
            }
        }
    }
}

/// A handle on the one cloud; clones share it.
#[derive(Clone)]
pub struct SharedCloud {
    shared: Arc<Mutex<Shared>>,
    deadline_changed: Arc<Notify>,
}

impl SharedCloud {
    pub fn new(cloud: Cloud) -> Self {
        let shared = Shared { cloud, waiters: BTreeMap::new(), requests: 0, now: UnixNanos::default() };
        Self { shared: Arc::new(Mutex::new(shared)), deadline_changed: Arc::new(Notify::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Direct access, for set-up and for judging afterwards.
    pub fn with<T>(&self, work: impl FnOnce(&mut Cloud) -> T) -> T {
        self.locked(|shared| work(&mut shared.cloud))
    }

    /// Works under the lock, and wakes the pumps afterwards if something is due earlier than before.
    fn locked<T>(&self, work: impl FnOnce(&mut Shared) -> T) -> T {
        let mut shared = self.lock();
        let before = shared.cloud.next_deadline();
        let result = work(&mut shared);
        let after = shared.cloud.next_deadline();
        drop(shared);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.deadline_changed.notify_waiters();
        }
        result
    }

    /// Hands a request in. What is due at once is delivered at once; the rest needs somebody to pump.
    pub fn submit(&self, now: UnixNanos, request: WireRequest) -> Waiter {
        let (sender, receiver) = oneshot::channel();
        let id = self.locked(|shared| {
            shared.requests += 1;
            let id = RequestId(shared.requests);
            shared.waiters.insert(id, sender);
            let now = shared.now.max(now);
            shared.cloud.handle(now, id, request);
            shared.advance(now);
            id
        });
        Waiter { id, receiver, cloud: self.clone() }
    }

    /// Does and delivers what is due.
    pub fn advance(&self, now: UnixNanos) {
        self.lock().advance(now);
    }

    /// How long until something is due, if anything is.
    pub fn next_due_in(&self, now: UnixNanos) -> Option<Duration> {
        let shared = self.lock();
        shared.cloud.next_deadline().map(|deadline| deadline.since(shared.now.max(now)))
    }

    /// Requests that wait for their answer, hung ones included.
    pub fn waiting(&self) -> usize {
        self.lock().waiters.len()
    }

    /// Wakes at every deadline and delivers, for ever. One pump serves every endpoint; several do no harm.
    pub async fn pump(&self, platform: &Platform, now: impl Fn() -> UnixNanos) {
        loop {
            let mut changed = std::pin::pin!(self.deadline_changed.notified());
            // Registered before looking, so that no request slips in between.
            changed.as_mut().enable();
            let moment = now();
            self.advance(moment);
            match self.next_due_in(moment) {
                None => changed.await,
                Some(wait) => {
                    // A sleep of nothing would not let time pass.
                    let sleep = platform.sleep(wait.max(Duration::from_micros(1)));
                    select(sleep, changed).await;
                }
            }
        }
    }
}

/// The place of one request in the queue for answers. Dropping it frees the place; the call itself goes on.
pub struct Waiter {
    id: RequestId,
    receiver: oneshot::Receiver<Delivery>,
    cloud: SharedCloud,
}

impl Future for Waiter {
    type Output = Delivery;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Delivery> {
        Pin::new(&mut self.receiver).poll(context).map(|outcome| outcome.unwrap_or(Delivery::Reset))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.cloud.lock().waiters.remove(&self.id);
    }
}

/// One call in process, on the Platform's wall clock.
///
/// # Errors
/// [`ConnectionReset`] where a network would have closed the connection. A hung call never returns.
pub async fn call(
    cloud: &SharedCloud,
    platform: &Platform,
    request: WireRequest,
) -> Result<WireResponse, ConnectionReset> {
    let clock = platform.wall_clock.clone();
    let now = move || UnixNanos(u64::try_from(clock.now().0.as_nanos()).unwrap_or(u64::MAX));
    call_at(cloud, platform, now, request).await
}

/// One call in process, on a clock of the caller's choice. Needs no pump: while it waits, it delivers for everybody.
///
/// # Errors
/// [`ConnectionReset`] where a network would have closed the connection. A hung call never returns.
pub async fn call_at(
    cloud: &SharedCloud,
    platform: &Platform,
    now: impl Fn() -> UnixNanos,
    request: WireRequest,
) -> Result<WireResponse, ConnectionReset> {
    let mut waiter = cloud.submit(now(), request);
    loop {
        let delivery = match cloud.next_due_in(now()) {
            None => (&mut waiter).await,
            Some(wait) => {
                let sleep = platform.sleep(wait.max(Duration::from_micros(1)));
                match select(&mut waiter, sleep).await {
                    Either::Left((delivery, _)) => delivery,
                    Either::Right(_) => {
                        cloud.advance(now());
                        continue;
                    }
                }
            }
        };
        return match delivery {
            Delivery::Reply(response) => Ok(response),
            Delivery::Truncated(_) | Delivery::Reset => Err(ConnectionReset),
        };
    }
}
