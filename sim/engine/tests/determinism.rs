//! A run is a function of its seed: the same in two processes and in any build, another for another seed.
#![forbid(unsafe_code)]

mod support;

use std::{collections::BTreeSet, process::Command};

use nexus_engine::Direction;
use support::*;

const SEED_VARIABLE: &str = "NEXUS_ENGINE_TEST_SEED";
const CLIENTS: usize = 4;

/// Clients with jitter, dials, time-outs and ambient hash maps; a crash, a partition, a slow link.
fn busy_world(seed: u64) -> Outcome {
    run_world(config(seed), |world| {
        world.engine.add_host("server", echo_server());
        let (trace, time) = (world.trace.clone(), world.handles.true_time());
        for number in 0..CLIENTS {
            let (trace, time) = (trace.clone(), time.clone());
            let client = program(move |platform, start_count| {
                let (trace, time) = (trace.clone(), time.clone());
                async move {
                    trace.line(time.elapsed(), &platform.host, format!("start {start_count}"));
                    trace.line(time.elapsed(), &platform.host, ambient_order());
                    for request in 0..200u32 {
                        let pause = platform.random_u64("pause", &request.to_string()) % 40;
                        platform.sleep(ms(pause)).await;
                        let exchange = async {
                            let mut connection = dial(&platform, "server").await?;
                            ask(&mut connection, &request.to_string()).await
                        };
                        let answer = platform.timeout(ms(100), exchange).await;
                        let answer = answer.map(|answer| answer.map_err(|error| error.kind()));
                        trace.line(time.elapsed(), &platform.host, format!("{request}: {answer:?}"));
                    }
                    Ok(())
                }
            });
            world.engine.add_host(&format!("client-{number}"), client);
        }
        Script::until(ms(8_000))
            .at(ms(500), |control| control.partition("client-1", "server", Direction::Both))
            .at(ms(700), |control| control.partition("server", "client-2", Direction::FirstToSecond))
            .at(ms(1_000), |control| control.crash("server"))
            .at(ms(1_200), |control| control.crash("client-3"))
            .at(ms(1_500), |control| control.restart("server"))
            .at(ms(1_600), |control| control.restart("client-3"))
            .at(ms(2_000), |control| control.repair("client-1", "server"))
            .at(ms(2_100), |control| control.repair("client-2", "server"))
            .at(ms(2_500), |control| control.set_link_latency("client-0", "server", ms(20), ms(40)))
    })
}

#[expect(clippy::disallowed_types, reason = "the order of std's maps is what is judged here")]
fn ambient_order() -> String {
    let order: Vec<u32> = (0..12).collect::<std::collections::HashSet<u32>>().into_iter().collect();
    format!("{order:?} {}", fastrand::u32(..))
}

/// Run by the other tests in a new process; by itself it has no work.
#[test]
#[expect(clippy::disallowed_methods, reason = "how the parent process hands the seed in")]
fn helper_prints_a_trace() {
    let Ok(seed) = std::env::var(SEED_VARIABLE) else { return };
    let outcome = busy_world(seed.parse().unwrap());
    outcome.ended.unwrap();
    for line in &outcome.trace.lines {
        println!("LINE {line}");
    }
    println!("HASH {} {}", outcome.trace.hash_hex, outcome.trace.line_count);
}

fn trace_of_new_process(seed: u64) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_prints_a_trace", "--nocapture"])
        .env(SEED_VARIABLE, seed.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let marked = |line: &&str| line.starts_with("LINE") || line.starts_with("HASH");
    text.lines().filter(marked).map(str::to_owned).collect()
}

#[test]
fn the_same_seed_gives_the_same_trace_in_other_processes() {
    for seed in [1, 2] {
        let first = trace_of_new_process(seed);
        assert!(first.len() > 400, "the trace has only {} lines", first.len());
        let again = trace_of_new_process(seed);
        for (number, (ours, theirs)) in first.iter().zip(&again).enumerate() {
            assert_eq!(ours, theirs, "seed {seed} parts at line {number}");
        }
        assert_eq!(first.len(), again.len());
    }
}

#[test]
fn other_seeds_give_other_traces() {
    let hashes: BTreeSet<String> = (1..=4).map(|seed| trace_of_new_process(seed).pop().unwrap()).collect();
    assert_eq!(hashes.len(), 4);
}

/// What makes a worker process that runs one trial after the other admissible, as far as the engine is concerned.
#[test]
fn the_same_seed_gives_the_same_trace_again_in_one_process() {
    let first = busy_world(6).trace;
    let between = busy_world(7).trace;
    let again = busy_world(6).trace;
    assert_eq!(first.first_difference(&again), None);
    assert_eq!(first.hash_hex, again.hash_hex);
    assert_ne!(first.hash_hex, between.hash_hex);
}
