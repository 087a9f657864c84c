//! Orders of tasks that are asked for: they are reached, they are a function of the seed, and they lose nothing.
#![forbid(unsafe_code)]

#[macro_use]
mod support;

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use nexus_engine::{EngineConfig, Pauses, Schedule};
use support::*;

fn schedules() -> [(&'static str, Schedule); 3] {
    let pauses = Some(Pauses { one_in: 5, max: ms(5) });
    [
        ("priorities", Schedule { changes_one_in: Some(4), pauses: None }),
        ("pauses", Schedule { changes_one_in: None, pauses }),
        ("both", Schedule { changes_one_in: Some(4), pauses }),
    ]
}

async fn let_others_go() {
    let mut has_waited = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One task acknowledges and then works; another, which looks long after, must be overtaken to see the one without the other.
fn is_seen_half_done(seed: u64, schedule: &Schedule) -> bool {
    let config = EngineConfig { schedule: schedule.clone(), ..config(seed) };
    let outcome = run_world(config, |world| {
        client!(world, "host", |platform, notes| {
            let (acknowledged, worked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let seen = (acknowledged.clone(), worked.clone());
            platform.spawn("worker", async move {
                acknowledged.store(true, Ordering::SeqCst);
                let_others_go().await;
                let_others_go().await;
                worked.store(true, Ordering::SeqCst);
            });
            platform.spawn("observer", async move {
                for _ in 0..8 {
                    let_others_go().await;
                }
                if seen.0.load(Ordering::SeqCst) && !seen.1.load(Ordering::SeqCst) {
                    notes.add("half done");
                }
            });
        });
        Script::until(ms(100))
    });
    outcome.ended.unwrap();
    !outcome.notes.is_empty()
}

#[test]
fn orders_are_reached_that_the_engine_hardly_takes() {
    let found = |schedule: &Schedule| (1..=60).filter(|seed| is_seen_half_done(*seed, schedule)).count();
    let by_itself = found(&Schedule::default());
    #[cfg(not(madsim))]
    assert_eq!(by_itself, 0, "tasks that take turns are never far apart");
    for (name, schedule) in schedules() {
        let asked_for = found(&schedule);
        assert!(asked_for > by_itself && asked_for >= 5, "{name}: {asked_for} of 60, {by_itself} by itself");
    }
}

/// Clients of a server that crashes in between.
fn busy(seed: u64, schedule: &Schedule) -> Outcome {
    let config = EngineConfig { schedule: schedule.clone(), ..config(seed) };
    run_world(config, |world| {
        world.engine.add_host("server", echo_server());
        for number in 0..3 {
            client!(world, &format!("client-{number}"), |platform, notes| {
                for request in 0..40u32 {
                    let exchange = async {
                        let mut connection = dial(&platform, "server").await?;
                        ask(&mut connection, &request.to_string()).await
                    };
                    let answer = platform.timeout(ms(200), exchange).await;
                    let answer = answer.map(|answer| answer.map_err(|error| error.kind()));
                    notes.add(format!("{} {request}: {answer:?} at {:?}", platform.host, platform.monotonic()));
                }
                notes.add("done");
            });
        }
        Script::until(ms(30_000))
            .at(ms(60), |control| control.crash("server"))
            .at(ms(90), |control| control.pause("client-1"))
            .at(ms(150), |control| control.restart("server"))
            .at(ms(200), |control| control.resume("client-1"))
    })
}

#[test]
fn a_seed_gives_one_order_and_everybody_comes_to_an_end() {
    for (name, schedule) in schedules() {
        for seed in 1..=3 {
            let first = busy(seed, &schedule);
            first.ended.as_ref().unwrap();
            assert_eq!(first.notes.iter().filter(|note| *note == "done").count(), 3, "{name}: {:#?}", first.notes);
            assert_eq!(first.notes, busy(seed, &schedule).notes, "{name}, seed {seed}");
        }
        assert_ne!(busy(1, &schedule).notes, busy(2, &schedule).notes, "{name}");
    }
}
