//! What the compiled engine costs: idle hosts, messages, dials, timers. Run it optimised:
//! `cargo run --profile sim -p nexus-engine --example engine_cost`, and again with `--cfg madsim`.
#![forbid(unsafe_code)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use nexus_engine::compiled_engine;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MESSAGE_BYTES: usize = 200;

#[expect(clippy::disallowed_methods, reason = "measures the machine, outside of any run")]
fn wall_time<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// Hosts that wake once a second, for five simulated minutes.
fn idle(tick_ms: u64, hosts: usize) {
    let mut config = config(1);
    config.tick = ms(tick_ms);
    let (outcome, took) = wall_time(|| {
        run_world(config, move |world| {
            for number in 0..hosts {
                let idler = program(|platform, _| async move {
                    loop {
                        platform.sleep(ms(1_000)).await;
                    }
                });
                world.engine.add_host(&format!("host-{number}"), idler);
            }
            Script::until(Duration::from_secs(300))
        })
    });
    let ticks = outcome.ended.unwrap().ticks;
    println!("idle: {hosts} hosts, 300 s, tick {tick_ms} ms: {:.3} s of wall time, {ticks} ticks", took.as_secs_f64());
}

/// Clients that send a message and wait for its echo, over and over, on one connection each.
fn messages(clients: usize, round_trips: usize) {
    let (outcome, took) = wall_time(|| {
        run_world(config(1), move |world| {
            world.engine.add_host("server", byte_echo());
            for number in 0..clients {
                let notes = world.notes.clone();
                let client = program(move |platform, _| {
                    let notes = notes.clone();
                    async move {
                        platform.sleep(ms(10)).await;
                        let mut connection = dial(&platform, "server").await?;
                        let mut message = [7u8; MESSAGE_BYTES];
                        for _ in 0..round_trips {
                            connection.write_all(&message).await?;
                            connection.read_exact(&mut message).await?;
                        }
                        notes.add("done");
                        Ok(())
                    }
                });
                world.engine.add_host(&format!("client-{number}"), client);
            }
            Script::until(Duration::from_millis(12 * round_trips as u64))
        })
    });
    let simulated = outcome.ended.unwrap().simulated;
    assert_eq!(outcome.notes.len(), clients, "not all clients finished in {simulated:?}");
    let count = 2 * clients * round_trips;
    let rate = count as f64 / took.as_secs_f64();
    println!("messages: {clients} clients, {count} messages in {:.3} s: {rate:.0} a second", took.as_secs_f64());
}

fn byte_echo() -> nexus_engine::Program {
    program(|platform, _| async move {
        let acceptor = platform.listener.bind(PORT).await?;
        loop {
            let (mut connection, _) = acceptor.accept().await?;
            platform.spawn("echo", async move {
                let mut bytes = [0; MESSAGE_BYTES];
                while let Ok(read @ 1..) = connection.read(&mut bytes).await {
                    if connection.write_all(&bytes[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}

/// One host whose tasks do nothing but sleep.
fn timers(tasks: usize, sleeps: usize) {
    let (outcome, took) = wall_time(|| {
        run_world(config(1), move |world| {
            let sleeper = program(move |platform, _| async move {
                for number in 0..tasks {
                    let sleeping = platform.clone();
                    platform.spawn("sleeper", async move {
                        for _ in 0..sleeps {
                            sleeping.sleep(ms(1 + (number % 7) as u64)).await;
                        }
                    });
                }
                Ok(())
            });
            world.engine.add_host("host", sleeper);
            Script::until(ms(9 * sleeps as u64))
        })
    });
    outcome.ended.unwrap();
    let rate = (tasks * sleeps) as f64 / took.as_secs_f64();
    println!("timers: {tasks} tasks, {sleeps} sleeps each: {rate:.0} sleeps a second");
}

fn main() {
    println!("engine: {}", compiled_engine());
    idle(1, 14);
    idle(5, 14);
    messages(1, 2_000);
    messages(16, 2_000);
    messages(64, 1_000);
    timers(1_000, 300);
}
