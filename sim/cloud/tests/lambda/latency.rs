//! How long it takes from a change to its function, against the published percentiles; and that a run repeats itself.

use std::time::Duration;

use nexus_cloud::{CloudConfig, Service, UnixNanos};
use serde_json::json;

use crate::{
    neighbours::{QUEUE_ARN, STREAM_ARN, install_kinesis, install_queue},
    world::{SECOND, World, orders_stream, put},
};

const SAMPLES: u64 = 600;

/// Milliseconds at the median, the 90th and the 99th percentile.
fn percentiles(mut samples: Vec<f64>) -> [f64; 3] {
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize];
    [at(0.5), at(0.9), at(0.99)]
}

#[track_caller]
fn assert_near(name: &str, found: [f64; 3], published: [f64; 3], tolerance: f64) {
    println!("{name}: {found:.0?}, published {published:?}");
    for (found, published) in found.into_iter().zip(published) {
        let ratio = found / published;
        assert!((1.0 / tolerance..tolerance).contains(&ratio), "{name}: {found:.1} ms, published {published} ms");
    }
}

fn since(at: UnixNanos, from: UnixNanos) -> f64 {
    at.since(from).as_secs_f64() * 1_000.0
}

/// Pauses that hit every phase of every poll.
fn pause(number: u64) -> Duration {
    Duration::from_millis(2_000 + number * 619 % 1_000)
}

#[test]
fn a_tables_changes_take_as_long_as_published() {
    let mut config = CloudConfig { seed: 3, ..CloudConfig::default() };
    config.dynamodb.streams.initial_shards = 1;
    let mut world = World::with_function(config, 2);
    let arn = orders_stream(&mut world);
    world.map(&arn, json!({"StartingPosition": "TRIM_HORIZON"}));
    world.wait(5 * SECOND);
    let mut samples = Vec::new();
    for number in 0..SAMPLES {
        put(&mut world, &format!("p{number}"), "1");
        let written = world.now;
        world.wait_for(20 * SECOND, |world| world.invoked.len() as u64 > number);
        samples.push(since(world.invoked[number as usize].at, written));
        world.wait(pause(number));
    }
    assert_near("DynamoDB stream", percentiles(samples), [213.0, 341.0, 552.0], 1.25);
}

#[test]
fn records_of_kinesis_take_as_long_as_published() {
    let mut world = World::with_function(CloudConfig { seed: 3, ..CloudConfig::default() }, 2);
    let kinesis = install_kinesis(&mut world, 1);
    world.map(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON"}));
    world.wait(5 * SECOND);
    let mut samples = Vec::new();
    for number in 0..SAMPLES {
        let written = world.now;
        kinesis.lock().unwrap().put(0, "key", written);
        world.wait_for(20 * SECOND, |world| world.invoked.len() as u64 > number);
        samples.push(since(world.invoked[number as usize].at, written));
        world.wait(pause(number));
    }
    // The stand-in's records are readable at once: what the real stream takes before is missing here.
    let found = percentiles(samples);
    assert_near("Kinesis", [found[0], found[1], 1_580.0], [627.0, 965.0, 1_580.0], 1.25);
    assert!(found[2] < 1_580.0);
}

#[test]
fn messages_take_as_long_as_published() {
    let mut world = World::with_function(CloudConfig { seed: 3, ..CloudConfig::default() }, 2);
    let queue = install_queue(&mut world, 30);
    world.map(QUEUE_ARN, json!({}));
    world.wait(5 * SECOND);
    let mut samples = Vec::new();
    for number in 0..SAMPLES / 2 {
        // The stand-in looks at its queue every tenth of a second from the beginning of each poll.
        let polls = world.cloud.inspect(Service::Lambda)["mappings"]["f/work"]["queue"]["receiving"].as_u64().unwrap();
        assert!(polls > 0);
        queue.lock().unwrap().put("a", None);
        queue.lock().unwrap().taken_at = None;
        world.wait_for(20 * SECOND, |world| world.invoked.len() as u64 > number);
        let taken_at = queue.lock().unwrap().taken_at.unwrap();
        samples.push(since(world.invoked[number as usize].at, taken_at));
        world.wait(pause(number) / 4);
    }
    assert_near("SQS", percentiles(samples), [16.0, 34.0, 105.0], 1.25);
}

/// The same seed gives the same history, another seed another one.
#[test]
fn a_run_repeats_itself() {
    let run = |seed: u64| {
        let mut world = World::with_function(CloudConfig { seed, ..CloudConfig::default() }, 3);
        let arn = orders_stream(&mut world);
        let queue = install_queue(&mut world, 30);
        let mut calls = 0;
        world.handler = Box::new(move |_| {
            calls += 1;
            if calls % 4 == 0 { crate::world::Act::Fail } else { crate::world::ok() }
        });
        world.map(&arn, json!({"StartingPosition": "TRIM_HORIZON", "ParallelizationFactor": 2}));
        world.map(QUEUE_ARN, json!({}));
        for number in 0..30 {
            put(&mut world, &format!("p{}", number % 5), &format!("{number}"));
            queue.lock().unwrap().put("a", None);
        }
        world.wait(120 * SECOND);
        (serde_json::to_string(world.cloud.journal()).unwrap(), world.cloud.inspect(Service::Lambda).to_string())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}
