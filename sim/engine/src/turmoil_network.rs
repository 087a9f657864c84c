//! turmoil's TCP behind the Platform's dialer and listener, with what it lacks of TCP put right: a lost SYN is sent
//! again instead of refusing, an answer that cannot come back keeps the dialer waiting, an abandoned dial leaks no port.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use nexus_ports::{Acceptor, Authority, BoxConnection, BoxFuture, Dialer, Listener};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    sync::oneshot,
};
use turmoil::net::{TcpListener, TcpStream};

use crate::{
    handles::lock,
    links::{HostId, Links},
};

/// Segments that a connection may have under way, and connections that may wait to be accepted. turmoil has one number for
/// both, and panics when the second is exceeded.
pub(crate) const CAPACITY: usize = 8_192;

/// Connections to one port that may wait to be accepted; a SYN beyond them is lost, as Linux does. Half of what turmoil
/// bears: SYNs of crashed dialers still lie in its queue and are not counted here.
const BACKLOG: usize = CAPACITY / 2;

/// Linux's first waits before a SYN is sent again double from here (RFC 6298, section 2).
const SYN_RETRY_FIRST: Duration = Duration::from_secs(1);
const SYN_RETRY_MAX: Duration = Duration::from_secs(32);

pub(crate) struct TurmoilDialer {
    from: HostId,
    links: Arc<Mutex<Links>>,
    runtime: Handle,
}

impl TurmoilDialer {
    pub(crate) fn new(from: HostId, links: Arc<Mutex<Links>>, runtime: Handle) -> Self {
        Self { from, links, runtime }
    }
}

impl Dialer for TurmoilDialer {
    fn dial(&self, to: &Authority) -> BoxFuture<'static, io::Result<BoxConnection>> {
        let Some(to_host) = lock(&self.links).resolve(&to.host) else {
            let error = io::Error::new(io::ErrorKind::NotFound, format!("no host is called `{}`", to.host));
            return Box::pin(std::future::ready(Err(error)));
        };
        let route = Route { from: self.from, to: to_host, port: to.port, links: self.links.clone() };
        let runtime = self.runtime.clone();
        Box::pin(async move {
            let (tell, connected) = oneshot::channel();
            // A task of its own: turmoil never frees the port of a connect that is dropped half-way. If nobody waits any
            // more, the finished connection is dropped and closes.
            runtime.spawn(async move {
                let _nobody_waits = tell.send(route.connect().await);
            });
            let stream = connected.await.map_err(io::Error::other)??;
            Ok(Box::new(TurmoilConnection { stream, is_shut_down: false }) as BoxConnection)
        })
    }
}

struct Route {
    from: HostId,
    to: HostId,
    port: u16,
    links: Arc<Mutex<Links>>,
}

impl Route {
    async fn connect(self) -> io::Result<TcpStream> {
        let mut wait = SYN_RETRY_FIRST;
        let waiting = loop {
            match WaitingDial::begin(&self) {
                Some(waiting) => break waiting,
                None => sleep(wait).await,
            }
            wait = (wait * 2).min(SYN_RETRY_MAX);
        };
        let host = lock(&self.links).name(self.to).to_owned();
        let stream = TcpStream::connect((host.as_str(), self.port)).await?;
        drop(waiting);
        // turmoil's SYN-ACK is instant and passes every partition: let it take its way back.
        let way_back = lock(&self.links).latency(self.from, self.to).min;
        sleep(way_back).await;
        wait = SYN_RETRY_FIRST;
        while self.answer_is_lost() {
            sleep(wait).await;
            wait = (wait * 2).min(SYN_RETRY_MAX);
        }
        Ok(stream)
    }

    fn answer_is_lost(&self) -> bool {
        self.from != self.to && lock(&self.links).is_blocked(self.to, self.from)
    }
}

/// A dial that waits to be accepted, counted as long as it lives.
struct WaitingDial {
    to: (HostId, u16),
    links: Arc<Mutex<Links>>,
}

impl WaitingDial {
    /// None if the port's queue is full.
    fn begin(route: &Route) -> Option<Self> {
        let to = (route.to, route.port);
        let mut links = lock(&route.links);
        let waiting = links.waiting_dials(to);
        if *waiting >= BACKLOG {
            return None;
        }
        *waiting += 1;
        Some(Self { to, links: route.links.clone() })
    }
}

impl Drop for WaitingDial {
    fn drop(&mut self) {
        *lock(&self.links).waiting_dials(self.to) -= 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "inside a simulated host tokio's clock is the simulated one")]
async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

pub(crate) struct TurmoilListener;

impl Listener for TurmoilListener {
    fn bind(&self, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(("0.0.0.0", port)).await?;
            let local_port = listener.local_addr()?.port();
            Ok(Box::new(TurmoilAcceptor { listener, local_port }) as Box<dyn Acceptor>)
        })
    }
}

struct TurmoilAcceptor {
    listener: TcpListener,
    local_port: u16,
}

impl Acceptor for TurmoilAcceptor {
    fn local_port(&self) -> u16 {
        self.local_port
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxConnection, String)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            let name = turmoil::reverse_lookup(peer.ip()).unwrap_or_else(|| peer.ip().to_string());
            Ok((Box::new(TurmoilConnection { stream, is_shut_down: false }) as BoxConnection, name))
        })
    }
}

/// turmoil's stream, except that shutting down twice is no error: on a real socket it is none.
struct TurmoilConnection {
    stream: TcpStream,
    is_shut_down: bool,
}

impl AsyncRead for TurmoilConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // turmoil judges by the buffer's capacity; a full buffer must not swallow a segment.
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TurmoilConnection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut_down {
            return Poll::Ready(Ok(()));
        }
        self.is_shut_down = true;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
