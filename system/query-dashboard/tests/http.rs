//! Views over HTTP: what is shown, and how it is said that nothing is.
#![forbid(unsafe_code)]

mod support;

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{Method, Request, header};
use http_body_util::BodyExt;
use nexus_ports::Authority;
use nexus_ports_testing::ReadFate;
use nexus_query_dashboard::{DashboardSettings, router, serve, serve_until};
use serde_json::{Value, json};
use support::{Bench, expected_views, feed, payment};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

async fn bench() -> (Bench, Router) {
    let bench = Bench::new(1);
    bench.shard().handle(feed(&payment("p-1", 2))).await;
    let views = Arc::new(bench.views.clone());
    let router = router(bench.test.platform.clone(), views, DashboardSettings::default());
    (bench, router)
}

async fn ask(router: &Router, method: Method, path: &str) -> (u16, http::HeaderMap, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    (head.status.as_u16(), head.headers, body)
}

#[tokio::test(start_paused = true)]
async fn a_view_is_shown_with_its_version() {
    let (_bench, router) = bench().await;
    let (status, headers, body) = ask(&router, Method::GET, "/views/payment-p-1").await;
    assert_eq!((status, &body), (200, &expected_views(&payment("p-1", 2))["payment-p-1"]));
    assert_eq!(headers[header::ETAG], "\"2\"");
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(headers[header::DATE], "Thu, 01 Jan 2026 00:00:00 GMT");
    let (status, _, body) = ask(&router, Method::GET, "/health").await;
    assert_eq!((status, body), (200, json!({"status": "up"})));
}

#[tokio::test(start_paused = true)]
async fn failures_are_problems() {
    let (bench, router) = bench().await;
    for (method, path, fates, status, code) in [
        (Method::GET, "/views/payment-p-2", vec![], 404, "view-not-found"),
        (Method::GET, "/views/with%20space", vec![], 400, "invalid-stream"),
        (Method::GET, "/nothing", vec![], 404, "path-not-found"),
        (Method::DELETE, "/views/payment-p-1", vec![], 405, "method-not-allowed"),
        (
            Method::GET,
            "/views/payment-p-1",
            vec![ReadFate::Hangs, ReadFate::Throttled, ReadFate::NoAnswer],
            503,
            "unavailable",
        ),
    ] {
        bench.views.script_reads(fates);
        let (found, headers, body) = ask(&router, method, path).await;
        assert_eq!((found, body["code"].as_str(), body["status"].as_u64()), (status, Some(code), Some(status.into())));
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(headers.contains_key(header::RETRY_AFTER), status == 503);
    }
    bench.views.script_reads([ReadFate::Throttled, ReadFate::NoAnswer]);
    assert_eq!(ask(&router, Method::GET, "/views/payment-p-1").await.0, 200, "the third attempt");
}

fn here() -> Authority {
    Authority { host: "here".to_owned(), port: 8081, tls: false }
}

#[tokio::test(start_paused = true)]
async fn views_are_served_on_a_platform_until_it_stops() {
    let (bench, router) = bench().await;
    let platform = bench.test.platform.clone();
    let acceptor = platform.listener.bind(8081).await.unwrap();
    let stop = platform.sleep(Duration::from_secs(1));
    let serving = serve_until(platform.clone(), acceptor, router.clone(), stop, Duration::from_secs(5));
    let ask = async {
        let mut connection = platform.dialer.dial(&here()).await.unwrap();
        connection.write_all(b"GET /views/payment-p-1 HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(serving, ask);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(bench.test.running_tasks(), 0);
    assert!(platform.dialer.dial(&here()).await.is_err(), "the port is free");

    let _taken = platform.listener.bind(8082).await.unwrap();
    assert!(serve(platform.clone(), 8082, router).await.is_err());
}
