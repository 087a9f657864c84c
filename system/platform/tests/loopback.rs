//! The production Platform against the real operating system, on loopback only.
#![forbid(unsafe_code)]

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use nexus_platform::{ProductionPlatform, production_on};
use nexus_ports::{Authority, Platform};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn authority(host: &str, port: u16, tls: bool) -> Authority {
    Authority { host: host.to_owned(), port, tls }
}

/// A fresh folder under the build's own scratch space.
fn scratch_folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _absent = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn echo_once(platform: &Platform) -> u16 {
    let acceptor = platform.listener.bind(0).await.unwrap();
    let port = acceptor.local_port();
    platform.spawn("echo", async move {
        let (mut connection, peer) = acceptor.accept().await.unwrap();
        assert!(peer.starts_with("127.0.0.1:"), "peer was {peer}");
        let mut received = Vec::new();
        connection.read_to_end(&mut received).await.unwrap();
        connection.write_all(&received).await.unwrap();
        connection.shutdown().await.unwrap();
    });
    port
}

#[tokio::test]
async fn plain_connection_carries_bytes_after_the_dialer_half_closed() {
    let platform = production_on("test", LOOPBACK);
    let port = echo_once(&platform).await;
    assert_ne!(port, 0);
    let mut connection = platform.dialer.dial(&authority("127.0.0.1", port, false)).await.unwrap();
    connection.write_all(b"across the loopback").await.unwrap();
    connection.shutdown().await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"across the loopback");
}

#[tokio::test]
async fn dialling_a_closed_port_is_refused() {
    let platform = production_on("test", LOOPBACK);
    let port = platform.listener.bind(0).await.unwrap().local_port();
    let error = platform.dialer.dial(&authority("127.0.0.1", port, false)).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

/// A TLS server with a certificate for `localhost` that only those who are told to trust it accept.
async fn tls_server(platform: &Platform) -> (u16, rcgen::CertifiedKey<rcgen::KeyPair>) {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let acceptor = platform.listener.bind(0).await.unwrap();
    let port = acceptor.local_port();
    platform.spawn("tls server", async move {
        while let Ok((connection, _peer)) = acceptor.accept().await {
            // A client that does not trust the certificate ends the handshake.
            if let Ok(mut session) = tls.accept(connection).await {
                let asked_name = session.get_ref().1.server_name().unwrap_or("none").to_owned();
                session.write_all(asked_name.as_bytes()).await.unwrap();
                session.shutdown().await.unwrap();
            }
        }
    });
    (port, certified)
}

#[tokio::test]
async fn tls_names_the_server_and_trusts_only_known_authorities() {
    let plain = production_on("test", LOOPBACK);
    let (port, certified) = tls_server(&plain).await;
    let to = authority("localhost", port, true);

    let trusting = ProductionPlatform::new("test").trust(certified.cert.der().clone()).build();
    let mut session = trusting.dialer.dial(&to).await.unwrap();
    let mut asked_name = String::new();
    session.read_to_string(&mut asked_name).await.unwrap();
    assert_eq!(asked_name, "localhost");

    let error = plain.dialer.dial(&to).await.err().expect("an unknown authority must not be trusted");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn timer_and_monotonic_clock_agree() {
    let platform = production_on("test", LOOPBACK);
    let before = platform.monotonic();
    platform.sleep(Duration::from_millis(30)).await;
    assert!(platform.monotonic().since(before) >= Duration::from_millis(30));
    let late = platform.timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
    assert_eq!(late.unwrap_err().after, Duration::from_millis(10));
}

#[tokio::test]
async fn wall_clock_is_in_this_century_and_entropy_differs() {
    let platform = production_on("test", LOOPBACK);
    assert!(platform.unix_time().as_millis() > 1_700_000_000_000);
    assert_ne!(platform.random_u64("test", "key"), platform.random_u64("test", "key"));
}

#[tokio::test]
async fn aborted_and_panicking_tasks_can_be_joined() {
    let platform = production_on("test", LOOPBACK);
    let waiting = platform.spawn("waits for ever", std::future::pending());
    waiting.abort();
    waiting.join().await;
    platform.spawn("panics", async { panic!("on purpose") }).join().await;
}

#[tokio::test]
async fn disk_replaces_whole_files_and_lists_only_finished_ones() {
    let folder = scratch_folder("disk");
    let platform = ProductionPlatform::new("test").disk_folder(&folder).build();
    let disk = &platform.disk;
    assert_eq!(disk.list("state/inner").await.unwrap(), Vec::<String>::new());
    assert_eq!(disk.read("state/inner/b").await.unwrap_err().kind(), io::ErrorKind::NotFound);
    disk.write("state/inner/b", b"first, and longer".to_vec()).await.unwrap();
    disk.write("state/inner/b", b"second".to_vec()).await.unwrap();
    disk.write("state/inner/a", Vec::new()).await.unwrap();
    disk.write("top", b"t".to_vec()).await.unwrap();
    std::fs::write(folder.join("state/inner/c.7-1.unfinished"), b"torn").unwrap();
    assert_eq!(disk.read("state/inner/b").await.unwrap(), b"second");
    assert_eq!(disk.list("state/inner").await.unwrap(), ["state/inner/a", "state/inner/b"]);
    assert_eq!(disk.list("").await.unwrap(), ["top"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn disk_refuses_to_leave_its_folder() {
    let platform = ProductionPlatform::new("test").disk_folder(scratch_folder("escape")).build();
    for path in ["../outside", "/etc/hostname", "inside/../../outside"] {
        assert_eq!(platform.disk.read(path).await.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path}");
        assert_eq!(platform.disk.write(path, vec![1]).await.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path}");
    }
}

#[tokio::test]
async fn concurrent_writers_leave_one_whole_file() {
    let folder = scratch_folder("writers");
    let platform = ProductionPlatform::new("test").disk_folder(&folder).build();
    let contents: Vec<Vec<u8>> = (0..8u8).map(|writer| vec![writer; 1 << 16]).collect();
    let writers: Vec<_> = contents
        .iter()
        .map(|content| {
            let write = platform.disk.write("contended", content.clone());
            platform.spawn("writer", async move { write.await.unwrap() })
        })
        .collect();
    for writer in writers {
        writer.join().await;
    }
    let left = platform.disk.read("contended").await.unwrap();
    assert!(contents.contains(&left), "{} bytes of mixed content", left.len());
    std::fs::remove_dir_all(folder).unwrap();
}
