//! What every engine promises of its hosts (lives, disks, clocks, tasks, computing time) and of its director, judged by the
//! same body on each: build with `--cfg madsim` for the second.
#![forbid(unsafe_code)]

#[macro_use]
mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use nexus_engine::{
    Alarm, Compute, Control, Director, EngineError, Next, Support, capabilities, compiled_engine, new_engine,
    on_fresh_thread,
};
use support::*;

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
fn a_paused_host_stands_still_and_then_goes_on_with_all_it_had() {
    let outcome = run_world(config(19), |world| {
        client!(world, "host", |platform, notes| {
            let (ticking, ticks) = (platform.clone(), notes.clone());
            platform.spawn("ticks", async move {
                for tick in 0..6 {
                    ticking.sleep(ms(300)).await;
                    ticks.add(format!("tick {tick} at {} s", ticking.monotonic().0.as_millis() / 1_000));
                }
            });
            let held_in_memory = platform.monotonic().0;
            platform.sleep(ms(1_100)).await;
            assert!(held_in_memory < ms(10));
            notes.add(format!("awake at {} s", platform.monotonic().0.as_millis() / 1_000));
        });
        Script::until(ms(6_000)).at(ms(1_000), |c| c.pause("host")).at(ms(4_000), |c| c.resume("host"))
    });
    outcome.ended.as_ref().unwrap();
    let mut notes = outcome.notes.clone();
    // Both tasks are due when the host goes on; which of them is first is the scheduler's.
    notes.sort();
    let expected = [
        "awake at 4 s",
        "tick 0 at 0 s",
        "tick 1 at 0 s",
        "tick 2 at 0 s",
        "tick 3 at 4 s",
        "tick 4 at 4 s",
        "tick 5 at 4 s",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn a_crash_ends_a_pause() {
    let outcome = run_world(config(19), |world| {
        let notes = world.notes.clone();
        world.engine.add_host(
            "host",
            program(move |platform, start_count| {
                let notes = notes.clone();
                async move {
                    platform.sleep(ms(100)).await;
                    notes.add(format!("life {start_count}"));
                    platform.sleep(ms(700)).await;
                    notes.add(format!("end of life {start_count}"));
                    Ok(())
                }
            }),
        );
        let script = Script::until(ms(3_000)).at(ms(500), |c| c.pause("host"));
        script
            .at(ms(1_000), |c| c.crash("host"))
            .at(ms(1_500), |c| c.restart("host"))
            .at(ms(2_600), |c| c.resume("host"))
    });
    outcome.expect_notes(&["life 0", "life 1", "end of life 1"]);
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
