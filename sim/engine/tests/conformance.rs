//! What every engine promises, judged by the same body on each: build with `--cfg madsim` for the second.
#![forbid(unsafe_code)]

mod support;

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use nexus_engine::{
    Alarm, Compute, Control, Direction, Director, EngineError, Next, Support, capabilities, compiled_engine,
    new_engine, on_fresh_thread,
};
use nexus_ports::TimedOut;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Adds a client whose body notes what it sees.
macro_rules! client {
    ($builder:expr, $name:expr, |$platform:ident, $notes:ident| $body:block) => {{
        let notes = $builder.notes.clone();
        $builder.engine.add_host(
            $name,
            program(move |$platform, _start_count| {
                let $notes = notes.clone();
                async move {
                    $body;
                    Ok(())
                }
            }),
        );
    }};
}

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
fn a_crash_loses_memory_and_unfinished_writes_and_keeps_the_disk() {
    let outcome = run_world(config(13), |world| {
        let notes = world.notes.clone();
        world.engine.add_host(
            "host",
            program(move |platform, start_count| {
                let notes = notes.clone();
                async move {
                    notes.add(format!("start {start_count} finds {:?}", platform.disk.list("state").await?));
                    assert!(platform.monotonic().0 < ms(2), "the monotonic clock starts anew");
                    if start_count == 0 {
                        platform.disk.write("state/kept", b"1".to_vec()).await?;
                        platform.disk.write("state/kept", b"2".to_vec()).await?;
                        let disk = platform.disk.clone();
                        platform.sleep(ms(999).saturating_sub(platform.monotonic().0)).await;
                        // The crash at 1000 ms falls into this write.
                        platform.sleep(Duration::from_micros(500)).await;
                        disk.write("state/lost", vec![0]).await?;
                        disk.write("state/lost too", vec![0]).await?;
                        disk.write("state/lost as well", vec![0]).await?;
                    } else {
                        notes.add(String::from_utf8(platform.disk.read("./state//kept").await?)?);
                    }
                    std::future::pending().await
                }
            }),
        );
        Script::until(ms(3_000)).at(ms(1_000), |c| c.crash("host")).at(ms(2_000), |c| c.restart("host"))
    });
    outcome.ended.as_ref().unwrap();
    assert_eq!(outcome.notes[0], "start 0 finds []");
    assert!(!outcome.notes[1].contains("lost as well"), "{}", outcome.notes[1]);
    assert!(outcome.notes[1].contains("state/kept"), "{}", outcome.notes[1]);
    assert_eq!(outcome.notes[2], "2");
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
fn work_queues_for_servers_and_a_slow_host_takes_longer() {
    let outcome = run_world(config(17), |world| {
        let (notes, handles) = (world.notes.clone(), world.handles.clone());
        world.engine.add_host(
            "host",
            program(move |platform, _| {
                let (notes, slowness) = (notes.clone(), handles.slowness("host"));
                async move {
                    let compute = Arc::new(Compute::new(platform.clone(), 2, slowness));
                    for number in 0..5 {
                        let (compute, platform, notes) = (compute.clone(), platform.clone(), notes.clone());
                        let began = platform.monotonic();
                        platform.clone().spawn("work", async move {
                            compute.work(ms(100)).await;
                            let took = platform.monotonic().since(began).as_millis() / 100;
                            notes.add(format!("{took}"));
                            let _ = number;
                        });
                    }
                    platform.sleep(ms(1_000)).await;
                    let began = platform.monotonic();
                    compute.work(ms(100)).await;
                    notes.add(format!("slow: {}", platform.monotonic().since(began).as_millis() / 100));
                    Ok(())
                }
            }),
        );
        Script::until(ms(3_000)).at(ms(900), |control| control.set_slowness("host", 7.0))
    });
    outcome.expect_notes(&["1", "1", "2", "2", "3", "slow: 7"]);
}

#[test]
fn costs_below_the_timers_resolution_add_up_to_the_right_throughput() {
    let outcome = run_world(config(17), |world| {
        let (notes, handles) = (world.notes.clone(), world.handles.clone());
        world.engine.add_host(
            "host",
            program(move |platform, _| {
                let (notes, slowness) = (notes.clone(), handles.slowness("host"));
                async move {
                    let compute = Arc::new(Compute::new(platform.clone(), 1, slowness));
                    let work: Vec<_> = (0..1_000)
                        .map(|_| {
                            let compute = compute.clone();
                            platform.spawn("work", async move { compute.work(Duration::from_micros(100)).await })
                        })
                        .collect();
                    let began = platform.monotonic();
                    for work in work {
                        work.join().await;
                    }
                    let took = platform.monotonic().since(began);
                    assert!(took >= ms(99) && took <= ms(103), "1000 times 0.1 ms took {took:?}");
                    notes.add("done");
                    Ok(())
                }
            }),
        );
        Script::until(ms(3_000))
    });
    outcome.expect_notes(&["done"]);
}

#[test]
fn leaps_and_drift_move_the_clocks_they_should() {
    let outcome = run_world(config(19), |world| {
        let (notes, true_time) = (world.notes.clone(), world.handles.true_time());
        world.engine.add_host(
            "host",
            program(move |platform, _| {
                let (notes, true_time) = (notes.clone(), true_time.clone());
                async move {
                    platform.sleep(ms(1_500)).await;
                    let true_ms = true_time.elapsed().as_millis() as i64;
                    let wall_ms = platform.unix_time().as_millis() as i64 - (EPOCH_UNIX_NS / 1_000_000) as i64;
                    notes.add(format!("leapt by {} s", (wall_ms - true_ms) / 1_000));
                    assert!(platform.monotonic().0 >= ms(1_500) && platform.monotonic().0 < ms(1_510));
                    platform.sleep(ms(1_000)).await;
                    // The clock runs twice as fast since 2 s in truth, and so do the timers that begin from then on.
                    let began = true_time.elapsed();
                    platform.sleep(ms(4_000)).await;
                    let took = true_time.elapsed() - began;
                    assert!(took >= ms(2_000) && took < ms(2_010), "4 s on a clock of double speed took {took:?}");
                    let gained = platform.monotonic().0 - true_time.elapsed();
                    assert!(gained.abs_diff(true_time.elapsed() - ms(2_000)) < ms(5), "gained {gained:?}");
                    assert_eq!(true_time.now(), EPOCH_UNIX_NS + true_time.elapsed().as_nanos() as u64);
                    Ok(())
                }
            }),
        );
        Script::until(ms(10_000))
            .at(ms(1_000), |control| control.set_clock_offset_ms("host", -30_000))
            .at(ms(2_000), |control| control.set_clock_drift_ppm("host", 1_000_000))
    });
    outcome.expect_notes(&["leapt by -30 s"]);
}

struct WaitsForAlarm {
    alarm: Alarm,
    calls: Vec<Duration>,
    notes: Notes,
}

impl Director for WaitsForAlarm {
    fn direct(&mut self, control: &mut dyn Control) -> Next {
        self.calls.push(control.elapsed());
        let _cloned = self.alarm.clone();
        if self.calls.len() < 2 {
            return Next::At(Duration::from_secs(1_000));
        }
        let woken_at = control.elapsed();
        assert!(woken_at >= ms(700) && woken_at <= ms(703), "the alarm was heard at {woken_at:?}");
        self.notes.add("woken");
        Next::Stop
    }
}

#[test]
fn an_alarm_calls_the_director_at_once() {
    let notes = on_fresh_thread(1, || {
        let (mut engine, handles) = new_engine(config(1));
        let (notes, alarm) = (Notes::default(), handles.alarm());
        engine.add_host(
            "host",
            program(move |platform, _| {
                let alarm = alarm.clone();
                async move {
                    platform.sleep(ms(700)).await;
                    alarm.ring();
                    Ok(())
                }
            }),
        );
        let director = WaitsForAlarm { alarm: handles.alarm(), calls: Vec::new(), notes: notes.clone() };
        engine.run(Box::new(director)).unwrap();
        notes.all()
    });
    assert_eq!(notes, ["woken"]);
}

#[test]
fn failures_of_programs_and_panics_of_tasks_end_the_run_with_their_host() {
    let cases: [(&str, nexus_engine::Program, &str); 3] = [
        ("returns", program(|_, _| async { Err("no configuration".into()) }), "no configuration"),
        ("panics", program(|_, _| async { panic!("in the program") }), "panicked: in the program"),
        (
            "task",
            program(|platform, _| async move {
                platform.spawn("bad", async { panic!("in {}", "a task") });
                std::future::pending().await
            }),
            "panicked: in a task",
        ),
    ];
    for (name, faulty, expected) in cases {
        let outcome = run_world(config(1), move |world| {
            world.engine.add_host("fine", echo_server());
            world.engine.add_host(name, faulty);
            Script::until(ms(1_000))
        });
        match outcome.ended {
            Err(EngineError::HostFailed { host, message }) => {
                assert_eq!((host.as_str(), message.as_str()), (name, expected));
            }
            other => panic!("`{name}` ended with {other:?}"),
        }
    }
}

#[test]
fn a_run_that_nobody_stops_is_out_of_time() {
    let mut short = config(1);
    short.duration_max = ms(250);
    let outcome = run_world(short, |world| {
        world.engine.add_host("host", echo_server());
        Script::until(ms(1_000))
    });
    assert!(matches!(outcome.ended, Err(EngineError::OutOfTime { duration_max }) if duration_max == ms(250)));
}

#[test]
fn tasks_end_by_themselves_by_abort_and_with_their_host() {
    let outcome = run_world(config(1), |world| {
        let notes = world.notes.clone();
        world.engine.add_host(
            "host",
            program(move |platform, start_count| {
                let notes = notes.clone();
                async move {
                    if start_count > 0 {
                        return Ok(());
                    }
                    platform.spawn("short", async {}).join().await;
                    let waiting = platform.spawn("waits", std::future::pending());
                    waiting.abort();
                    waiting.join().await;
                    notes.add("joined");
                    let ticking = platform.clone();
                    let ticks = notes.clone();
                    platform.spawn("ticks", async move {
                        loop {
                            ticking.sleep(ms(400)).await;
                            ticks.add("tick");
                        }
                    });
                    // The program's end leaves its tasks running; only the crash ends them.
                    Ok(())
                }
            }),
        );
        Script::until(ms(3_000)).at(ms(1_000), |c| c.crash("host")).at(ms(1_500), |c| c.restart("host"))
    });
    outcome.expect_notes(&["joined", "tick", "tick"]);
}

#[test]
fn entropy_goes_on_after_a_restart_and_depends_on_host_and_seed() {
    let draws = |seed| {
        let outcome = run_world(config(seed), |world| {
            for host in ["one", "two"] {
                let notes = world.notes.clone();
                world.engine.add_host(
                    host,
                    program(move |platform, _| {
                        let notes = notes.clone();
                        async move {
                            notes.add(platform.random_u64("test", "key").to_string());
                            Ok(())
                        }
                    }),
                );
            }
            Script::until(ms(30)).at(ms(10), |c| c.crash("one")).at(ms(20), |c| c.restart("one"))
        });
        outcome.notes
    };
    let (first, again, other) = (draws(1), draws(1), draws(2));
    assert_eq!(first, again);
    let distinct: BTreeSet<_> = first.iter().chain(&other).collect();
    assert_eq!(distinct.len(), 6);
}

#[test]
fn the_order_of_woken_tasks_varies_where_the_engine_says_so() {
    let orders: BTreeSet<Vec<String>> = (0..30)
        .map(|seed| {
            let outcome = run_world(config(seed), |world| {
                let notes = world.notes.clone();
                world.engine.add_host(
                    "host",
                    program(move |platform, _| {
                        for name in ["a", "b", "c"] {
                            let notes = notes.clone();
                            platform.spawn(name, async move { notes.add(name) });
                        }
                        async { Ok(()) }
                    }),
                );
                Script::until(ms(10))
            });
            outcome.notes
        })
        .collect();
    let interleaves = capabilities(compiled_engine()).contains(&("task_interleaving", Support::Full));
    assert_eq!(orders.len() > 3, interleaves, "{orders:?}");
}

#[test]
#[should_panic(expected = "there is no host `nobody`")]
fn a_plan_for_an_unknown_host_panics() {
    run_world(config(1), |world| {
        world.engine.add_host("host", echo_server());
        Script::until(ms(10)).at(ms(1), |control| control.crash("nobody"))
    });
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
