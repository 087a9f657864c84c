//! What every engine's network promises, judged by the same body on each: build with `--cfg madsim` for the second.
#![forbid(unsafe_code)]

#[macro_use]
mod support;

use std::{io, time::Duration};

use nexus_engine::{Direction, Support, capabilities, compiled_engine};
use nexus_ports::TimedOut;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn bytes_cross_under_an_alias_and_half_closing_leaves_the_other_half() {
    let outcome = run_world(config(1), |world| {
        let notes = world.notes.clone();
        world.engine.add_host(
            "server",
            program(move |platform, _| {
                let notes = notes.clone();
                async move {
                    let acceptor = platform.listener.bind(PORT).await?;
                    assert_eq!(acceptor.local_port(), PORT);
                    let (mut connection, peer) = acceptor.accept().await?;
                    let mut received = Vec::new();
                    connection.read_to_end(&mut received).await?;
                    notes.add(format!("{} bytes from {peer}", received.len()));
                    platform.sleep(ms(50)).await;
                    connection.write_all(b"answer after the end").await?;
                    connection.shutdown().await?;
                    connection.shutdown().await?;
                    Ok(())
                }
            }),
        );
        world.engine.add_alias("service.example.com", "server");
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "service.example.com").await?;
            connection.write_all(b"first").await?;
            connection.flush().await?;
            connection.write_all(b"second").await?;
            connection.shutdown().await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            notes.add(answer);
        });
        Script::until(ms(1_000))
    });
    outcome.expect_notes(&["11 bytes from client", "answer after the end"]);
}

#[test]
fn unknown_names_and_closed_ports_fail_at_once() {
    let outcome = run_world(config(1), |world| {
        world.engine.add_host("server", program(|_, _| async { Ok(()) }));
        client!(world, "client", |platform, notes| {
            let began = platform.monotonic();
            notes.add(format!("{:?}", dial(&platform, "nobody").await.err().map(|error| error.kind())));
            notes.add(format!("{:?}", dial(&platform, "server").await.err().map(|error| error.kind())));
            assert!(platform.monotonic().since(began) < ms(50));
        });
        Script::until(ms(1_000))
    });
    outcome.expect_notes(&["Some(NotFound)", "Some(ConnectionRefused)"]);
}

#[test]
fn a_port_is_bound_once_and_free_again_after_its_acceptor() {
    let outcome = run_world(config(1), |world| {
        client!(world, "host", |platform, notes| {
            let first = platform.listener.bind(PORT).await?;
            notes.add(format!("{:?}", platform.listener.bind(PORT).await.err().map(|error| error.kind())));
            drop(first);
            platform.listener.bind(PORT).await?;
            assert_ne!(platform.listener.bind(0).await?.local_port(), 0);
        });
        Script::until(ms(10))
    });
    outcome.expect_notes(&["Some(AddrInUse)"]);
}

#[test]
fn a_host_reaches_itself() {
    let outcome = run_world(config(1), |world| {
        let notes = world.notes.clone();
        world.engine.add_host(
            "alone",
            program(move |platform, _| {
                let notes = notes.clone();
                async move {
                    let acceptor = platform.listener.bind(PORT).await?;
                    let dialling = platform.clone();
                    platform.spawn("dial", async move {
                        let mut connection = dial(&dialling, "alone").await.unwrap();
                        connection.write_all(b"hello\n").await.unwrap();
                        dialling.sleep(ms(100)).await;
                    });
                    let (mut connection, peer) = acceptor.accept().await?;
                    notes.add(format!("{} from {peer}", read_line(&mut connection).await?));
                    Ok(())
                }
            }),
        );
        Script::until(ms(500))
    });
    outcome.expect_notes(&["hello from alone"]);
}

#[test]
fn a_round_trip_takes_the_links_latency() {
    let outcome = run_world(config(3), |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            for _ in 0..20 {
                let began = platform.monotonic();
                ask(&mut connection, "ping").await?;
                let took = platform.monotonic().since(began);
                // Two ways of 40 to 60 ms, and up to two ticks for each.
                assert!(took >= ms(78) && took <= ms(126), "a round trip took {took:?}");
            }
            notes.add("all");
        });
        Script::until(ms(10_000)).at(ms(5), |control| control.set_link_latency("client", "server", ms(40), ms(60)))
    });
    outcome.expect_notes(&["all"]);
}

#[test]
fn many_bytes_arrive_whole_and_in_order_at_a_slow_reader() {
    const LENGTH: usize = 4 << 20;
    let outcome = run_world(config(5), |world| {
        let notes = world.notes.clone();
        world.engine.add_host(
            "server",
            program(move |platform, _| {
                let notes = notes.clone();
                async move {
                    let acceptor = platform.listener.bind(PORT).await?;
                    let (mut connection, _) = acceptor.accept().await?;
                    let mut count = 0usize;
                    let mut piece = vec![0; 64 << 10];
                    loop {
                        let read = connection.read(&mut piece).await?;
                        if read == 0 {
                            break;
                        }
                        assert!(piece[..read].iter().enumerate().all(|(i, byte)| *byte == pattern(count + i)));
                        count += read;
                        platform.sleep(ms(1)).await;
                    }
                    notes.add(format!("{count}"));
                    Ok(())
                }
            }),
        );
        client!(world, "client", |platform, _notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            let bytes: Vec<u8> = (0..LENGTH).map(pattern).collect();
            for piece in bytes.chunks(10_000) {
                connection.write_all(piece).await?;
            }
            connection.shutdown().await?;
        });
        Script::until(ms(60_000))
    });
    outcome.expect_notes(&[&LENGTH.to_string()]);
}

fn pattern(position: usize) -> u8 {
    (position % 251) as u8
}

#[test]
fn closing_says_goodbye_and_closing_with_unread_bytes_resets() {
    let outcome = run_world(config(1), |world| {
        world.engine.add_host(
            "server",
            program(|platform, _| async move {
                let acceptor = platform.listener.bind(PORT).await?;
                let (polite, _) = acceptor.accept().await?;
                drop(polite);
                let (rude, _) = acceptor.accept().await?;
                platform.sleep(ms(100)).await;
                drop(rude);
                std::future::pending().await
            }),
        );
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            notes.add(format!("{:?}", connection.read_u8().await.err().map(|error| error.kind())));
            let mut connection = dial(&platform, "server").await?;
            connection.write_all(b"never read").await?;
            notes.add(format!("{:?}", connection.read_u8().await.err().map(|error| error.kind())));
            assert!(connection.write_all(b"more").await.is_err());
        });
        Script::until(ms(1_000))
    });
    outcome.expect_notes(&["Some(UnexpectedEof)", "Some(ConnectionReset)"]);
}

#[test]
fn a_partition_delays_what_was_sent_until_its_repair() {
    let outcome = run_world(config(7), |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            notes.add(ask(&mut connection, "before").await?);
            platform.sleep(ms(1_500)).await;
            let late = platform.timeout(ms(1_000), ask(&mut connection, "during")).await;
            notes.add(format!("{}", late.is_err()));
            notes.add(read_line(&mut connection).await?);
            assert!(platform.monotonic().0 >= ms(5_000));
        });
        Script::until(ms(30_000))
            .at(ms(1_000), |control| control.partition("client", "server", Direction::Both))
            .at(ms(5_000), |control| control.repair("server", "client"))
    });
    outcome.expect_notes(&["before", "true", "during"]);
}

#[test]
fn dialling_through_a_partition_hangs_and_leaks_nothing() {
    let outcome = run_world(config(7), |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            for _ in 0..300 {
                let attempt = platform.timeout(ms(20), dial(&platform, "server")).await;
                assert_eq!(attempt.err(), Some(TimedOut { after: ms(20) }));
            }
            notes.add("300 hung");
            let mut connection = dial(&platform, "server").await?;
            notes.add(ask(&mut connection, "through").await?);
        });
        Script::until(ms(30_000))
            .at(ms(10), |control| control.partition("client", "server", Direction::Both))
            .at(ms(10_000), |control| control.repair("client", "server"))
    });
    outcome.expect_notes(&["300 hung", "through"]);
}

#[test]
fn a_one_way_partition_stops_one_direction() {
    let outcome = run_world(config(9), |world| {
        let notes = world.notes.clone();
        world.engine.add_host(
            "server",
            program(move |platform, _| {
                let notes = notes.clone();
                async move {
                    let acceptor = platform.listener.bind(PORT).await?;
                    let (mut connection, _) = acceptor.accept().await?;
                    platform.sleep(ms(2_000)).await;
                    connection.write_all(b"downwards\n").await?;
                    let got = platform.timeout(ms(1_000), read_line(&mut connection)).await;
                    notes.add(format!("server heard: {}", got.is_ok()));
                    Ok(())
                }
            }),
        );
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            platform.sleep(ms(1_500)).await;
            connection.write_all(b"upwards\n").await?;
            notes.add(format!("client heard: {}", read_line(&mut connection).await?));
            platform.sleep(ms(3_000)).await;
        });
        Script::until(ms(4_000))
            .at(ms(1_000), |control| control.partition("client", "server", Direction::FirstToSecond))
    });
    outcome.expect_notes(&["client heard: downwards", "server heard: false"]);
}

#[test]
fn a_dial_whose_answer_cannot_come_back_hangs() {
    let outcome = run_world(config(9), |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(100)).await;
            let attempt = platform.timeout(ms(500), dial(&platform, "server")).await;
            notes.add(format!("hung: {}", attempt.is_err()));
            let mut connection = dial(&platform, "server").await?;
            notes.add(ask(&mut connection, "through").await?);
        });
        Script::until(ms(20_000))
            .at(ms(50), |control| control.partition("server", "client", Direction::FirstToSecond))
            .at(ms(2_000), |control| control.repair("client", "server"))
    });
    outcome.expect_notes(&["hung: true", "through"]);
}

#[test]
fn a_crash_is_silent_then_the_restarted_host_resets_old_connections() {
    let outcome = run_world(config(11), |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            notes.add(ask(&mut connection, "before").await?);
            // Crashed at 1 s, restarted at 3 s.
            let silence = platform.timeout(ms(1_900), connection.read_u8()).await;
            notes.add(format!("silent: {}", silence.is_err()));
            let hung = platform.timeout(ms(500), dial(&platform, "server")).await;
            notes.add(format!("dial hung: {}", hung.is_err()));
            platform.sleep(ms(2_000)).await;
            let kind = ask(&mut connection, "after").await.err().map(|error| error.kind());
            notes.add(format!("{kind:?}"));
            notes.add(ask(&mut dial(&platform, "server").await?, "anew").await?);
        });
        Script::until(ms(30_000))
            .at(ms(1_000), |control| {
                control.crash("server");
                control.crash("server");
                assert!(!control.is_running("server"));
            })
            .at(ms(3_000), |control| {
                control.restart("server");
                control.restart("server");
                assert!(control.is_running("server"));
            })
    });
    outcome.expect_notes(&["before", "silent: true", "dial hung: true", "Some(ConnectionReset)", "anew"]);
}

#[test]
fn what_was_sent_to_a_dead_host_meets_a_reset_after_its_restart() {
    let outcome = run_world(config(12), |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            platform.sleep(ms(1_500)).await;
            let kind = ask(&mut connection, "into the dark").await.err().map(|error| error.kind());
            assert!(platform.monotonic().0 >= ms(3_000));
            notes.add(format!("{kind:?}"));
        });
        Script::until(ms(60_000))
            .at(ms(1_000), |control| control.crash("server"))
            .at(ms(3_000), |control| control.restart("server"))
    });
    outcome.expect_notes(&["Some(ConnectionReset)"]);
}

#[test]
fn a_reset_that_is_lost_comes_again_after_the_repair() {
    let outcome = run_world(config(12), |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            platform.sleep(ms(2_500)).await;
            let hung = platform.timeout(ms(2_000), ask(&mut connection, "who are you?")).await;
            notes.add(format!("hung: {}", hung.is_err()));
            let kind = connection.read_u8().await.err().map(|error| error.kind());
            assert!(platform.monotonic().0 >= ms(6_000));
            notes.add(format!("{kind:?}"));
        });
        Script::until(ms(60_000))
            .at(ms(1_000), |control| control.crash("server"))
            .at(ms(1_500), |control| control.partition("server", "client", Direction::FirstToSecond))
            .at(ms(2_000), |control| control.restart("server"))
            .at(ms(6_000), |control| control.repair("client", "server"))
    });
    outcome.expect_notes(&["hung: true", "Some(ConnectionReset)"]);
}

#[test]
fn a_listener_that_nobody_accepts_at_holds_dials_and_drops_them_with_itself() {
    let outcome = run_world(config(4), |world| {
        world.engine.add_host(
            "server",
            program(|platform, _| async move {
                let acceptor = platform.listener.bind(PORT).await?;
                platform.sleep(ms(3_000)).await;
                drop(acceptor);
                std::future::pending().await
            }),
        );
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            for number in 0..100 {
                let (dialling, notes) = (platform.clone(), notes.clone());
                platform.spawn("dial", async move {
                    // An engine may say that the connection is there before it is accepted, as a kernel does.
                    let failed = match dial(&dialling, "server").await {
                        Ok(mut connection) => connection.read_u8().await.is_err(),
                        Err(_) => true,
                    };
                    if number == 99 {
                        let at_the_end = dialling.monotonic().0 >= ms(3_000);
                        notes.add(format!("failed {failed}, at the end {at_the_end}"));
                    }
                });
            }
        });
        Script::until(ms(10_000))
    });
    outcome.expect_notes(&["failed true, at the end true"]);
}

#[test]
fn crashes_and_partitions_do_not_undo_each_other() {
    let outcome = run_world(config(15), |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            for at_ms in [3_500, 5_500, 7_500] {
                platform.sleep(ms(at_ms).saturating_sub(platform.monotonic().0)).await;
                let reached = platform.timeout(ms(300), dial(&platform, "server")).await;
                notes.add(format!("{at_ms}: {}", matches!(reached, Ok(Ok(_)))));
            }
        });
        Script::until(ms(9_000))
            .at(ms(1_000), |c| c.partition("client", "server", Direction::Both))
            .at(ms(2_000), |c| c.crash("server"))
            // The restart must leave the partition.
            .at(ms(3_000), |c| c.restart("server"))
            .at(ms(4_000), |c| c.crash("server"))
            // The repair must leave the host dead.
            .at(ms(5_000), |c| c.repair("client", "server"))
            .at(ms(7_000), |c| c.restart("server"))
    });
    outcome.expect_notes(&["3500: false", "5500: false", "7500: true"]);
}

#[test]
fn a_partitioned_connection_is_given_up_where_the_engine_says_so() {
    let mut coarse = config(21);
    coarse.tick = ms(10);
    let outcome = run_world(coarse, |world| {
        world.engine.add_host("server", echo_server());
        client!(world, "client", |platform, notes| {
            platform.sleep(ms(20)).await;
            let mut connection = dial(&platform, "server").await?;
            platform.sleep(ms(1_000)).await;
            let bound = Duration::from_secs(300);
            let ended = match platform.timeout(bound, ask(&mut connection, "into the dark")).await {
                Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => "given up",
                Ok(_) => "answered",
                Err(_) => "hung",
            };
            notes.add(ended);
        });
        Script::until(Duration::from_secs(310))
            .at(ms(1_000), |control| control.partition("client", "server", Direction::Both))
    });
    let gives_up = capabilities(compiled_engine()).contains(&("retransmission_limit", Support::Full));
    outcome.expect_notes(&[if gives_up { "given up" } else { "hung" }]);
}
