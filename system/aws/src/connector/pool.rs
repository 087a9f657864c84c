//! Idle connections by host, and the lease that decides what becomes of one after its use.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_smithy_types::body::SdkBody;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1::SendRequest},
};
use nexus_ports::{Authority, Monotonic, TaskHandle};

/// A connection and the task that drives it. Dropping it closes both.
pub(super) struct PooledConnection {
    pub(super) sender: SendRequest<SdkBody>,
    pub(super) driver: TaskHandle,
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        // Without this, a driver waiting for a silent peer would hold its socket for ever.
        self.driver.abort();
    }
}

struct Idle {
    connection: PooledConnection,
    since: Monotonic,
}

/// Idle connections: the one used last is used next, so that surplus ones age and go.
pub(super) struct Pool {
    idle_timeout: Duration,
    idle_connections_max: usize,
    idle: Mutex<BTreeMap<Authority, VecDeque<Idle>>>,
}

impl Pool {
    pub(super) fn new(idle_timeout: Duration, idle_connections_max: usize) -> Self {
        Self { idle_timeout, idle_connections_max, idle: Mutex::default() }
    }

    /// An idle connection to this host, if there is one that is young and open.
    pub(super) fn take(&self, authority: &Authority, now: Monotonic) -> Option<PooledConnection> {
        let mut idle = self.lock();
        idle.retain(|_, connections| {
            connections.retain(|idle| now.since(idle.since) < self.idle_timeout && !idle.connection.sender.is_closed());
            !connections.is_empty()
        });
        idle.get_mut(authority)?.pop_back().map(|idle| idle.connection)
    }

    pub(super) fn idle_connections(&self) -> usize {
        self.lock().values().map(VecDeque::len).sum()
    }

    fn put(&self, authority: &Authority, connection: PooledConnection, now: Monotonic) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.lock();
        let connections = idle.entry(authority.clone()).or_default();
        connections.push_back(Idle { connection, since: now });
        while connections.len() > self.idle_connections_max {
            connections.pop_front();
        }
    }

    fn forget(&self, authority: &Authority) {
        self.lock().remove(authority);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Authority, VecDeque<Idle>>> {
        // Every change leaves the map sound, so a panic elsewhere while it was locked broke nothing.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropped without [`Lease::give_back`], be it by an error or because the call was given up, it
/// closes the connection and the idle ones to the same host.
pub(super) struct Lease {
    connection: PooledConnection,
    suspicion: Suspicion,
    is_reused: bool,
}

impl Lease {
    pub(super) fn fresh(pool: &Arc<Pool>, authority: &Authority, connection: PooledConnection) -> Self {
        let suspicion = Suspicion { pool: pool.clone(), authority: authority.clone(), is_cleared: false };
        Self { connection, suspicion, is_reused: false }
    }

    pub(super) fn reused(pool: &Arc<Pool>, authority: &Authority, connection: PooledConnection) -> Self {
        Self { is_reused: true, ..Self::fresh(pool, authority, connection) }
    }

    pub(super) fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Sends the request. Where no byte of it was written, the error carries it back.
    pub(super) async fn send(
        &mut self,
        request: http::Request<SdkBody>,
    ) -> Result<http::Response<Incoming>, TrySendError<http::Request<SdkBody>>> {
        self.connection.sender.try_send_request(request).await
    }

    pub(super) fn give_back(mut self, now: Monotonic) {
        self.suspicion.is_cleared = true;
        self.suspicion.pool.put(&self.suspicion.authority, self.connection, now);
    }
}

/// Held while a connection is in use: unless cleared, its end is the end of the idle connections to that host too.
struct Suspicion {
    pool: Arc<Pool>,
    authority: Authority,
    is_cleared: bool,
}

impl Drop for Suspicion {
    fn drop(&mut self) {
        if !self.is_cleared {
            self.pool.forget(&self.authority);
        }
    }
}
