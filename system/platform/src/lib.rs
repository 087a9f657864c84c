//! The production Platform: tokio, TLS sockets, the clock and entropy of the operating system.
//!
//! Its parts must be used inside a tokio runtime with I/O and time enabled.
#![forbid(unsafe_code)]

mod clocks;
mod disk;
mod network;
mod tasks;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
};

use nexus_ports::Platform;
use rustls::pki_types::CertificateDer;

/// A Platform that listens on every IPv4 address of the machine and keeps its files under the working folder.
pub fn production(host_name: &str) -> Platform {
    ProductionPlatform::new(host_name).build()
}

/// Like [`production`], listening on one address only (loopback: not reachable from other machines).
pub fn production_on(host_name: &str, listen_address: IpAddr) -> Platform {
    ProductionPlatform::new(host_name).listen_address(listen_address).build()
}

/// What can be chosen about a production Platform.
#[derive(Clone, Debug)]
pub struct ProductionPlatform {
    host_name: String,
    listen_address: IpAddr,
    disk_folder: PathBuf,
    extra_roots: Vec<CertificateDer<'static>>,
}

impl ProductionPlatform {
    pub fn new(host_name: &str) -> Self {
        Self {
            host_name: host_name.to_owned(),
            listen_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            disk_folder: PathBuf::from("."),
            extra_roots: Vec::new(),
        }
    }

    /// The address that every port is bound on.
    pub fn listen_address(mut self, address: IpAddr) -> Self {
        self.listen_address = address;
        self
    }

    /// The folder that all paths of [`nexus_ports::Disk`] are relative to.
    pub fn disk_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.disk_folder = folder.into();
        self
    }

    /// Trusts one more certificate authority, beside the public ones (a private endpoint's).
    pub fn trust(mut self, authority: CertificateDer<'static>) -> Self {
        self.extra_roots.push(authority);
        self
    }

    pub fn build(self) -> Platform {
        Platform {
            host: Arc::from(self.host_name),
            wall_clock: Arc::new(clocks::SystemWallClock),
            monotonic_clock: Arc::new(clocks::SystemMonotonicClock::new()),
            entropy: Arc::new(clocks::SystemEntropy),
            spawner: Arc::new(tasks::TokioSpawner),
            timer: Arc::new(tasks::TokioTimer),
            dialer: Arc::new(network::TcpDialer::new(self.extra_roots)),
            listener: Arc::new(network::TcpPortListener::new(self.listen_address)),
            disk: Arc::new(disk::FolderDisk::new(self.disk_folder)),
        }
    }
}
