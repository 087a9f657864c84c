//! Connections over a Platform: kept alive, dated by its clock, closed when their head never ends.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_command_service::{serve, serve_until};
use nexus_ports::Authority;
use nexus_ports_testing::WriteFate;
use support::{Bench, place};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn here() -> Authority {
    Authority { host: "here".to_owned(), port: 8080, tls: false }
}

fn started() -> Bench {
    let bench = Bench::new();
    let (platform, router) = (bench.test.platform.clone(), bench.router.clone());
    bench.test.platform.spawn("server", async move {
        let served = serve(platform, 8080, router).await;
        panic!("the service ended: {served:?}");
    });
    bench
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_connection_carries_several_requests() {
    let bench = started();
    settle().await;
    let mut connection = bench.test.platform.dialer.dial(&here()).await.unwrap();
    let body = place("o-1").to_string();
    let post = format!(
        "POST /commands HTTP/1.1\r\nhost: here\r\nidempotency-key: k-1\r\nx-nexus-role: customer\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    for (request, expected) in [
        (post.as_str(), "HTTP/1.1 200 OK\r\n"),
        ("GET /orders/o-1 HTTP/1.1\r\nhost: here\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        ("GET /orders/o-2 HTTP/1.1\r\nhost: here\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
    ] {
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = vec![0; 4096];
        let count = connection.read(&mut bytes).await.unwrap();
        let answer = String::from_utf8_lossy(&bytes[..count]);
        assert!(answer.starts_with(expected), "{answer}");
        assert_eq!(answer.matches("date: Thu, 01 Jan 2026 00:00:00 GMT\r\n").count(), 1, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_given_up_by_the_platforms_time() {
    let bench = started();
    settle().await;
    let begun = bench.test.platform.monotonic();
    let mut connection = bench.test.platform.dialer.dial(&here()).await.unwrap();
    connection.write_all(b"GET /health HTTP/1.1\r\nhos").await.unwrap();
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).await.unwrap();
    let waited = bench.test.platform.monotonic().since(begun);
    assert!((Duration::from_secs(29)..=Duration::from_secs(31)).contains(&waited), "{waited:?}");
    settle().await;
    assert_eq!(bench.test.running_tasks(), 1, "only the accept loop is left");
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_ends_alone() {
    let bench = started();
    settle().await;
    for garbage in ["\0\0\0", "GET", "GET / HTTP/9.9\r\n\r\n"] {
        let mut connection = bench.test.platform.dialer.dial(&here()).await.unwrap();
        connection.write_all(garbage.as_bytes()).await.unwrap();
        drop(connection);
    }
    settle().await;
    let mut connection = bench.test.platform.dialer.dial(&here()).await.unwrap();
    connection.write_all(b"GET /health HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    settle().await;
    assert_eq!(bench.test.running_tasks(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_taken_port_is_an_error() {
    let bench = started();
    settle().await;
    let error = serve(bench.test.platform.clone(), 8080, bench.router.clone()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_answered_before_the_service_stops() {
    let bench = Bench::new();
    let platform = bench.test.platform.clone();
    let acceptor = platform.listener.bind(8080).await.unwrap();
    let stop = platform.sleep(Duration::from_secs(1));
    let router = bench.router.clone();
    let serving = serve_until(platform.clone(), acceptor, router, stop, Duration::from_secs(30));

    bench.storage.script_writes([WriteFate::AppliedThenHangs]);
    let ask = async {
        let mut idle = platform.dialer.dial(&here()).await.unwrap();
        let mut busy = platform.dialer.dial(&here()).await.unwrap();
        let body = place("o-1").to_string();
        let head = "POST /commands HTTP/1.1\r\nhost: here\r\nidempotency-key: k-1\r\nx-nexus-role: customer\r\n";
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        busy.write_all(request.as_bytes()).await.unwrap();
        let (mut answer, mut nothing) = (String::new(), String::new());
        busy.read_to_string(&mut answer).await.unwrap();
        idle.read_to_string(&mut nothing).await.unwrap();
        (answer, nothing)
    };
    let begun = platform.monotonic();
    let ((), (answer, nothing)) = tokio::join!(serving, ask);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(nothing, "");
    // The storage hangs for the request's deadline of 10 s less what is reserved for the look.
    let waited = platform.monotonic().since(begun);
    assert!((Duration::from_secs(8)..=Duration::from_secs(11)).contains(&waited), "{waited:?}");
    assert!(platform.dialer.dial(&here()).await.is_err(), "the port is free");
    assert_eq!(bench.test.running_tasks(), 0);
}
