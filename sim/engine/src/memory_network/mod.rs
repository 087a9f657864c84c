//! TCP in memory for the madsim engine: handshakes, ordered segments with latency, a window, FIN and RST, loss with
//! retransmission, power loss. madsim's own TCP refuses a dial through a partition and says goodbye for killed hosts.

mod connection;
mod state;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll},
};

use nexus_ports::{Acceptor, Authority, BoxConnection, BoxFuture, Dialer, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::{
    connection::{ACCEPTOR, DIALER, Handshake, Payload, WINDOW_BYTES},
    state::{ConnectionId, Effects, Event, HostSockets, NetworkState},
};
use crate::{
    EngineConfig,
    handles::lock,
    links::{HostId, Links},
    timekeeper::{Timekeeper, running_time_ns},
};

pub(crate) struct MemoryNetwork {
    state: Mutex<NetworkState>,
    timekeeper: Arc<Timekeeper>,
    /// For the events in the timekeeper: they must not keep the network alive.
    this: Weak<MemoryNetwork>,
}

impl MemoryNetwork {
    pub(crate) fn create(config: &EngineConfig, timekeeper: Arc<Timekeeper>) -> Arc<Self> {
        let state = Mutex::new(NetworkState::new(config));
        Arc::new_cyclic(|this| Self { state, timekeeper, this: this.clone() })
    }

    pub(crate) fn add_host(&self, name: &str) -> HostId {
        let mut state = lock(&self.state);
        state.hosts.push(HostSockets::default());
        state.links.add_host(name)
    }

    pub(crate) fn with_links<T>(&self, work: impl FnOnce(&mut Links) -> T) -> T {
        work(&mut lock(&self.state).links)
    }

    /// Power loss; false if the host was down already.
    pub(crate) fn crash(&self, host: HostId) -> bool {
        self.change(|state, _now_ns| {
            let was_up = state.links.take_down(host);
            if was_up {
                state.crash(host);
            }
            was_up
        })
    }

    /// False if the host was not down.
    pub(crate) fn restart(&self, host: HostId) -> bool {
        self.change(|state, _now_ns| {
            let was_down = state.links.bring_up(host);
            if was_down {
                state.restart(host);
            }
            was_down
        })
    }

    /// Changes the state, then does what that asked for: wakers may run other code, so the lock is released first.
    fn change<T>(&self, change: impl FnOnce(&mut NetworkState, u64) -> T) -> T {
        let now_ns = running_time_ns().unwrap_or_default();
        let mut state = lock(&self.state);
        let result = change(&mut state, now_ns);
        self.perform(state);
        result
    }

    fn perform(&self, mut state: MutexGuard<'_, NetworkState>) {
        let Effects { wake, schedule } = std::mem::take(&mut state.effects);
        drop(state);
        for (at_ns, event) in schedule {
            self.schedule(at_ns, event);
        }
        for waker in wake {
            waker.wake();
        }
    }

    fn schedule(&self, at_ns: u64, event: Event) {
        let this = self.this.clone();
        self.timekeeper.call_at(at_ns, move || {
            if let Some(network) = this.upgrade() {
                network.change(|state, now_ns| state.handle(now_ns, event));
            }
        });
    }

    fn life(&self, host: HostId) -> u32 {
        lock(&self.state).hosts[host].life
    }
}

/// The sockets of one life of a host.
#[derive(Clone)]
pub(crate) struct HostPort {
    network: Arc<MemoryNetwork>,
    host: HostId,
    life: u32,
}

impl HostPort {
    pub(crate) fn new(network: Arc<MemoryNetwork>, host: HostId) -> Self {
        let life = network.life(host);
        Self { network, host, life }
    }
}

impl Dialer for HostPort {
    fn dial(&self, to: &Authority) -> BoxFuture<'static, io::Result<BoxConnection>> {
        let network = self.network.clone();
        let (from, port) = (self.host, to.port);
        let Some(to_host) = network.with_links(|links| links.resolve(&to.host)) else {
            let error = io::Error::new(io::ErrorKind::NotFound, format!("no host is called `{}`", to.host));
            return Box::pin(std::future::ready(Err(error)));
        };
        let name = to.to_string();
        Box::pin(async move {
            let id = network.change(|state, now_ns| state.dial(now_ns, from, to_host, port));
            // Made before the wait: dropping the dial drops it, and closes this end.
            let connection = MemoryConnection { network: network.clone(), id, end: DIALER };
            std::future::poll_fn(|context| network.poll_dial(id, context))
                .await
                .map_err(|kind| io::Error::new(kind, format!("dialling {name}: {kind}")))?;
            Ok(Box::new(connection) as BoxConnection)
        })
    }
}

impl MemoryNetwork {
    fn poll_dial(&self, id: ConnectionId, context: &mut Context<'_>) -> Poll<Result<(), io::ErrorKind>> {
        let mut state = lock(&self.state);
        let Some(connection) = state.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected));
        };
        match connection.handshake {
            Handshake::Established => Poll::Ready(Ok(())),
            Handshake::Failed(kind) => Poll::Ready(Err(kind)),
            Handshake::Pending => {
                connection.dial_waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Listener for HostPort {
    fn bind(&self, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>> {
        let sockets = self.clone();
        Box::pin(async move {
            let port = sockets.network.change(|state, _now_ns| state.bind(sockets.host, port))?;
            Ok(Box::new(MemoryAcceptor { sockets, port }) as Box<dyn Acceptor>)
        })
    }
}

struct MemoryAcceptor {
    sockets: HostPort,
    port: u16,
}

impl MemoryAcceptor {
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(BoxConnection, String)>> {
        let HostPort { network, host, .. } = &self.sockets;
        let mut state = lock(&network.state);
        let Some(listener) = state.hosts[*host].listeners.get_mut(&self.port) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let Some(id) = listener.queue.pop_front() else {
            listener.wakers.push(context.waker().clone());
            return Poll::Pending;
        };
        let dialer = state.connections.get(&id).map(|connection| connection.ends[DIALER].host);
        let name = dialer.map_or_else(String::new, |dialer| state.links.name(dialer).to_owned());
        drop(state);
        let connection = MemoryConnection { network: network.clone(), id, end: ACCEPTOR };
        Poll::Ready(Ok((Box::new(connection), name)))
    }
}

impl Acceptor for MemoryAcceptor {
    fn local_port(&self) -> u16 {
        self.port
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxConnection, String)>> {
        Box::pin(std::future::poll_fn(|context| self.poll_accept(context)))
    }
}

impl Drop for MemoryAcceptor {
    fn drop(&mut self) {
        let HostPort { network, host, life } = &self.sockets;
        network.change(|state, now_ns| state.unbind(now_ns, *host, *life, self.port));
    }
}

/// An application's hold on one end of a connection.
struct MemoryConnection {
    network: Arc<MemoryNetwork>,
    id: ConnectionId,
    end: usize,
}

impl Drop for MemoryConnection {
    fn drop(&mut self) {
        self.network.change(|state, now_ns| state.close(now_ns, self.id, self.end));
    }
}

impl AsyncRead for MemoryConnection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (id, end_number) = (self.id, self.end);
        self.network.change(|state, _now_ns| {
            let Some(connection) = state.connections.get_mut(&id) else {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            };
            let [dialer, acceptor] = &mut connection.ends;
            let (end, peer) = if end_number == DIALER { (dialer, acceptor) } else { (acceptor, dialer) };
            if end.read_into(buffer) > 0 {
                state.effects.wake.extend(peer.writer.take());
                return Poll::Ready(Ok(()));
            }
            if buffer.remaining() == 0 || end.peer_finished {
                return Poll::Ready(Ok(()));
            }
            if let Some(kind) = end.failure {
                return Poll::Ready(Err(kind.into()));
            }
            end.reader = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

impl MemoryConnection {
    fn write(state: &mut NetworkState, now_ns: u64, id: ConnectionId, end: usize, bytes: &[u8]) -> io::Result<usize> {
        let Some(connection) = state.connections.get_mut(&id) else { return Err(io::ErrorKind::BrokenPipe.into()) };
        if connection.lanes[end].fin_sent || connection.ends[end].failure.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let occupied = connection.lanes[end].bytes_under_way + connection.ends[1 - end].received_bytes;
        let count = bytes.len().min(WINDOW_BYTES.saturating_sub(occupied));
        if count > 0 {
            state.push_segment(now_ns, id, end, Payload::Data(bytes[..count].to_vec()));
        }
        Ok(count)
    }
}

impl AsyncWrite for MemoryConnection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (id, end) = (self.id, self.end);
        self.network.change(|state, now_ns| match Self::write(state, now_ns, id, end, bytes) {
            Ok(0) if !bytes.is_empty() => {
                if let Some(connection) = state.connections.get_mut(&id) {
                    connection.ends[end].writer = Some(context.waker().clone());
                }
                Poll::Pending
            }
            result => Poll::Ready(result),
        })
    }

    /// Every write is on its way already.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Sends the FIN once; reading goes on.
    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (id, end) = (self.id, self.end);
        self.network.change(|state, now_ns| {
            let Some(connection) = state.connections.get_mut(&id) else { return };
            if !connection.lanes[end].fin_sent && connection.ends[end].failure.is_none() {
                connection.lanes[end].fin_sent = true;
                state.push_segment(now_ns, id, end, Payload::Fin);
            }
        });
        Poll::Ready(Ok(()))
    }
}
