//! A network within one process: ports, and pipes between them.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use nexus_ports::{Acceptor, Authority, BoxConnection, BoxFuture, Dialer, Listener};
use tokio::{
    io::DuplexStream,
    sync::{Mutex as AsyncMutex, mpsc},
};

const PIPE_BYTES: usize = 64 << 10;
/// Where a listener that asks for port 0 is put first.
const FIRST_FREE_PORT: u16 = 49_152;

/// Every host name leads to this one network; only ports tell listeners apart. A port without a listener refuses.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    ports: Arc<Mutex<Ports>>,
}

#[derive(Default)]
struct Ports {
    listeners: BTreeMap<u16, mpsc::UnboundedSender<DuplexStream>>,
    /// Ports that let connections hang, as a firewall does that drops packets.
    silent: Vec<u16>,
    dialled: Vec<Authority>,
}

impl MemoryNetwork {
    /// Takes the server ends of all connections to a port, for tests that speak bytes.
    pub fn bind(&self, port: u16) -> mpsc::UnboundedReceiver<DuplexStream> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.with(|ports| ports.listeners.insert(port, sender));
        receiver
    }

    /// Lets every further connection to this port hang.
    pub fn silence(&self, port: u16) {
        self.with(|ports| ports.silent.push(port));
    }

    /// All connections that were ever asked for, in order.
    pub fn dialled(&self) -> Vec<Authority> {
        self.with(|ports| ports.dialled.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Ports) -> T) -> T {
        change(&mut self.ports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn connect(&self, to: &Authority) -> io::Result<Option<BoxConnection>> {
        self.with(|ports| {
            ports.dialled.push(to.clone());
            if ports.silent.contains(&to.port) {
                return Ok(None);
            }
            let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, format!("nobody listens on {to}"));
            let listener = ports.listeners.get(&to.port).ok_or_else(refused)?;
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            listener.send(far).map_err(|_| refused())?;
            Ok(Some(Box::new(near) as BoxConnection))
        })
    }
}

impl Dialer for MemoryNetwork {
    fn dial(&self, to: &Authority) -> BoxFuture<'static, io::Result<BoxConnection>> {
        let connected = self.connect(to);
        Box::pin(async move {
            match connected? {
                Some(connection) => Ok(connection),
                None => std::future::pending().await,
            }
        })
    }
}

impl Listener for MemoryNetwork {
    fn bind(&self, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let bound = self.with(|ports| {
            let port = match port {
                0 => (FIRST_FREE_PORT..).find(|port| !ports.listeners.contains_key(port)).unwrap_or(0),
                port => port,
            };
            if ports.listeners.contains_key(&port) {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("port {port} is taken")));
            }
            ports.listeners.insert(port, sender);
            Ok(port)
        });
        Box::pin(async move {
            let acceptor = MemoryAcceptor { port: bound?, connections: AsyncMutex::new(receiver) };
            Ok(Box::new(acceptor) as Box<dyn Acceptor>)
        })
    }
}

struct MemoryAcceptor {
    port: u16,
    connections: AsyncMutex<mpsc::UnboundedReceiver<DuplexStream>>,
}

impl Acceptor for MemoryAcceptor {
    fn local_port(&self) -> u16 {
        self.port
    }

    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxConnection, String)>> {
        Box::pin(async move {
            let connection = self.connections.lock().await.recv().await;
            let connection = connection.ok_or_else(|| io::Error::other("the network is gone"))?;
            Ok((Box::new(connection) as BoxConnection, "peer".to_owned()))
        })
    }
}
