//! hyper's HTTP/1.1 over the engines' connections: keep-alive, bodies, a peer that closes, a stale pooled connection.
#![forbid(unsafe_code)]

mod support;

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1::SendRequest, service::service_fn};
use hyper_util::rt::TokioIo;
use nexus_engine::Program;
use nexus_ports::Platform;
use support::*;

/// Answers with the request's body; `/close` closes the connection after the answer.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let closes = request.uri().path() == "/close";
    let body = request.into_body().collect().await?.to_bytes();
    let mut response = Response::new(Full::new(body));
    if closes {
        response.headers_mut().insert("connection", hyper::header::HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn http_server() -> Program {
    program(|platform, _| async move {
        let acceptor = platform.listener.bind(PORT).await?;
        loop {
            let (connection, _peer) = acceptor.accept().await?;
            platform.spawn("http connection", async move {
                let serving = hyper::server::conn::http1::Builder::new()
                    .auto_date_header(false)
                    .serve_connection(TokioIo::new(connection), service_fn(answer));
                // A client that resets the connection is no failure of the server.
                let _served = serving.await;
            });
        }
    })
}

async fn handshake(platform: &Platform) -> SendRequest<Full<Bytes>> {
    let connection = dial(platform, "server").await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
    platform.spawn("http client", async move {
        let _ended: Result<(), hyper::Error> = connection.await;
    });
    sender
}

async fn post(sender: &mut SendRequest<Full<Bytes>>, path: &str, body: Bytes) -> Result<Bytes, hyper::Error> {
    sender.ready().await?;
    let request = Request::post(path).header("host", "server").body(Full::new(body));
    let request = request.unwrap_or_else(|error: hyper::http::Error| panic!("a bad request: {error}"));
    let response = sender.send_request(request).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

#[test]
fn requests_share_a_connection_and_large_bodies_come_back_whole() {
    let outcome = run_world(config(1), |world| {
        world.engine.add_host("server", http_server());
        let notes = world.notes.clone();
        world.engine.add_host(
            "client",
            program(move |platform, _| {
                let notes = notes.clone();
                async move {
                    platform.sleep(ms(20)).await;
                    let mut sender = handshake(&platform).await;
                    for length in [0usize, 1, 70_000, 1 << 20] {
                        let body: Bytes = (0..length).map(|i| (i % 253) as u8).collect::<Vec<u8>>().into();
                        let came_back = post(&mut sender, "/", body.clone()).await? == body;
                        notes.add(format!("{length} {came_back}"));
                    }
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
                }
            }),
        );
        Script::until(ms(5_000))
    });
    outcome.expect_notes(&["0 true", "1 true", "70000 true", "1048576 true"]);
}

#[test]
fn a_closing_server_and_a_crashed_one_are_noticed() {
    let outcome = run_world(config(2), |world| {
        world.engine.add_host("server", http_server());
        let notes = world.notes.clone();
        world.engine.add_host(
            "client",
            program(move |platform, _| {
                let notes = notes.clone();
                async move {
                    platform.sleep(ms(20)).await;
                    let mut sender = handshake(&platform).await;
                    notes.add(format!("{:?}", post(&mut sender, "/close", Bytes::from_static(b"last")).await));
                    platform.sleep(ms(50)).await;
                    notes.add(format!("closed: {}", sender.is_closed()));

                    let mut stale = handshake(&platform).await;
                    assert!(post(&mut stale, "/", Bytes::from_static(b"kept alive")).await.is_ok());
                    // The server is crashed at 1 s and back at 2 s: the pooled connection looks whole.
                    platform.sleep(ms(3_000)).await;
                    notes.add(format!("looks whole: {}", !stale.is_closed()));
                    notes.add(format!("stale fails: {}", post(&mut stale, "/", Bytes::new()).await.is_err()));
                    let mut fresh = handshake(&platform).await;
                    notes.add(format!("{:?}", post(&mut fresh, "/", Bytes::from_static(b"anew")).await));
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
                }
            }),
        );
        Script::until(ms(10_000)).at(ms(1_000), |c| c.crash("server")).at(ms(2_000), |c| c.restart("server"))
    });
    outcome.expect_notes(&["Ok(b\"last\")", "closed: true", "looks whole: true", "stale fails: true", "Ok(b\"anew\")"]);
}

/// hyper must not need more than the I/O traits: a request through a partition waits and then completes.
#[test]
fn a_request_waits_out_a_partition() {
    let outcome = run_world(config(3), |world| {
        world.engine.add_host("server", http_server());
        let notes = world.notes.clone();
        world.engine.add_host(
            "client",
            program(move |platform, _| {
                let notes = notes.clone();
                async move {
                    platform.sleep(ms(20)).await;
                    let mut sender = handshake(&platform).await;
                    platform.sleep(ms(1_000)).await;
                    let answer = post(&mut sender, "/", Bytes::from_static(b"patience")).await;
                    assert!(platform.monotonic().0 >= ms(4_000));
                    notes.add(format!("{answer:?}"));
                    Ok::<(), Infallible>(()).map_err(Into::into)
                }
            }),
        );
        Script::until(ms(20_000))
            .at(ms(1_000), |c| c.partition("client", "server", nexus_engine::Direction::Both))
            .at(ms(4_000), |c| c.repair("client", "server"))
    });
    outcome.expect_notes(&["Ok(b\"patience\")"]);
}
