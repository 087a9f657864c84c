//! TCP and TLS on tokio.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use nexus_ports::{Acceptor, Authority, BoxConnection, BoxFuture, Dialer, Listener};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

pub(crate) struct TcpDialer {
    tls: Result<TlsConnector, String>,
}

impl TcpDialer {
    /// A root certificate that cannot be read does not stop plain connections: it fails each TLS dial with its reason.
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>) -> Self {
        Self { tls: tls_connector(extra_roots).map_err(|error| error.to_string()) }
    }
}

fn tls_connector(extra_roots: Vec<CertificateDer<'static>>) -> Result<TlsConnector, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(root)?;
    }
    // The provider is named: the process-wide default is unset unless some binary installs one.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Dialer for TcpDialer {
    fn dial(&self, to: &Authority) -> BoxFuture<'static, io::Result<BoxConnection>> {
        let to = to.clone();
        let tls = if to.tls { Some(self.tls.clone()) } else { None };
        Box::pin(async move {
            let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
            // Requests are written whole: waiting to fill a segment would only add latency.
            stream.set_nodelay(true)?;
            let Some(tls) = tls else {
                return Ok(Box::new(stream) as BoxConnection);
            };
            let connector = tls.map_err(io::Error::other)?;
            let name =
                ServerName::try_from(to.host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            Ok(Box::new(connector.connect(name, stream).await?) as BoxConnection)
        })
    }
}

pub(crate) struct TcpPortListener {
    address: IpAddr,
}

impl TcpPortListener {
    pub(crate) fn new(address: IpAddr) -> Self {
        Self { address }
    }
}

impl Listener for TcpPortListener {
    fn bind(&self, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>> {
        let address = SocketAddr::new(self.address, port);
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            let local_port = listener.local_addr()?.port();
            Ok(Box::new(TcpAcceptor { listener, local_port }) as Box<dyn Acceptor>)
        })
    }
}

struct TcpAcceptor {
    listener: TcpListener,
    local_port: u16,
}

impl Acceptor for TcpAcceptor {
    fn local_port(&self) -> u16 {
        self.local_port
    }

    /// Connections that died in the queue are passed over; an error is one of the listener itself.
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxConnection, String)>> {
        Box::pin(async move {
            loop {
                match self.listener.accept().await {
                    Ok((stream, peer)) => {
                        if stream.set_nodelay(true).is_ok() {
                            return Ok((Box::new(stream) as BoxConnection, peer.to_string()));
                        }
                    }
                    Err(error) if died_in_queue(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        })
    }
}

fn died_in_queue(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
