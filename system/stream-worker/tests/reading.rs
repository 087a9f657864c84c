//! One worker on a feed that splits, merges, trims, expires, throttles and is empty.

#![forbid(unsafe_code)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_ports::{BoxFuture, FeedStart, ShardProgress};
use nexus_ports::{GapListener, GapUnrepaired};
use nexus_ports_testing::{FeedCall, FeedFate};
use support::{Behaviour, World};

const SOON: Duration = Duration::from_secs(5);

/// Writes down what it is told, and refuses as often as it is told to.
#[derive(Default)]
struct Repairs {
    reported: Mutex<Vec<(String, ShardProgress)>>,
    refusals: Mutex<usize>,
}

impl GapListener for Repairs {
    fn trimmed<'a>(&'a self, shard: &'a str, after: &'a ShardProgress) -> BoxFuture<'a, Result<(), GapUnrepaired>> {
        Box::pin(async move {
            self.reported.lock().unwrap().push((shard.to_owned(), after.clone()));
            let mut refusals = self.refusals.lock().unwrap();
            if *refusals > 0 {
                *refusals -= 1;
                return Err(GapUnrepaired { detail: "the table does not answer".to_owned() });
            }
            Ok(())
        })
    }
}

fn opens(world: &World, shard: &str) -> Vec<FeedStart> {
    let opened = |call| match call {
        FeedCall::Open { shard: of, start } if of == shard => Some(start),
        _ => None,
    };
    world.feed.calls().into_iter().filter_map(opened).collect()
}

#[tokio::test(start_paused = true)]
async fn records_are_handled_once_in_order_and_checkpointed() {
    let world = World::new(2);
    world.put_into("shard-000", 25);
    world.feed.page_by(10);
    let worker = world.start("one");
    world.until_all_effective(SOON).await;
    let more = world.put_into("shard-001", 5);
    world.until_all_effective(SOON).await;
    let last = ShardProgress::After(more[4].clone());
    world.until("idle progress is written", SOON, |world| world.lease("shard-001").progress == last).await;
    assert_eq!(world.effects.count(), 30, "nothing is handled twice while nothing fails");
    assert_eq!(worker.metrics.sum("RecordsRead"), 30.0);
    assert_eq!(worker.metrics.values("LeasesHeld").last(), Some(&2.0));
    worker.stop().await;
    assert_eq!((world.holder("shard-000"), world.holder("shard-001")), (None, None));
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn an_event_waits_for_less_than_a_poll() {
    let world = World::new(1);
    let worker = world.start("one");
    world.seconds(5).await;
    for _ in 0..20 {
        world.put_into("shard-000", 1);
        let put_at = world.now();
        world.until_all_effective(SOON).await;
        assert!(world.now().since(put_at) <= Duration::from_millis(260), "{:?}", world.now().since(put_at));
        world.millis(137).await;
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn children_are_read_after_their_parents_and_found_at_once() {
    let world = World::new(1);
    let worker = world.start_with("one", Behaviour { latency: Duration::from_millis(700), ..Behaviour::default() });
    world.put_into("shard-000", 10);
    world.seconds(3).await;
    world.put_into("shard-000", 10);
    let [left, right] = world.feed.split("shard-000");
    world.put_into(&left, 3);
    world.put_into(&right, 3);
    let merged = world.feed.merge(&left, &right);
    world.put_into(&merged, 3);
    // Three generations; without an eager look each would cost up to half a minute.
    world.until_all_effective(Duration::from_secs(12)).await;
    for shard in ["shard-000", &left, &right] {
        world.until("it is finished", SOON, |world| world.is_finished(shard)).await;
        assert_eq!(world.holder(shard), None);
    }
    worker.stop().await;
    let parents = [(&left, "shard-000"), (&right, "shard-000"), (&merged, left.as_str()), (&merged, right.as_str())];
    world.rules.check(&parents.map(|(child, parent)| (child.clone(), parent.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_roll_over_costs_less_than_a_scan() {
    let world = World::new(1);
    let worker = world.start("one");
    let mut shard = "shard-000".to_owned();
    for _ in 0..20 {
        world.seconds(3).await;
        shard = world.feed.roll_over(&shard);
        world.put_into(&shard, 1);
        let put_at = world.now();
        world.until_all_effective(SOON).await;
        assert!(world.now().since(put_at) < Duration::from_millis(400), "{:?}", world.now().since(put_at));
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_of_a_shard_that_was_dropped_before_anybody_saw_it_is_read() {
    let world = World::new(1);
    let child = world.feed.roll_over("shard-000");
    world.feed.drop_shard("shard-000");
    world.put_into(&child, 3);
    let worker = world.start("one");
    world.until_all_effective(SOON).await;
    assert_eq!(opens(&world, &child), [FeedStart::Oldest]);
    worker.stop().await;
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_dropped_with_its_lease_unfinished_is_repaired_before_its_child_begins() {
    let mut world = World::new(1);
    let repairs = Arc::new(Repairs::default());
    *repairs.refusals.lock().unwrap() = 3;
    world.listener = Some(repairs.clone());
    let read = world.put_into("shard-000", 3);
    let worker = world.start("one");
    world.until_all_effective(SOON).await;
    worker.stop().await;
    let child = world.feed.roll_over("shard-000");
    world.put_into(&child, 2);
    world.feed.drop_shard("shard-000");
    let worker = world.start("two");
    world.until_all_effective(Duration::from_secs(20)).await;
    let reported = repairs.reported.lock().unwrap().clone();
    assert_eq!(reported, vec![("shard-000".to_owned(), ShardProgress::After(read[2].clone())); 4]);
    assert!(world.is_finished("shard-000"));
    worker.stop().await;
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_cursor_neither_skips_nor_repeats() {
    let world = World::new(1);
    world.feed.page_by(4);
    // What is read stays unchecked-in for long, so that a return to the checkpoint would show.
    let worker = world.start_with("one", Behaviour { keeps_back: 2, ..Behaviour::default() });
    for _ in 0..10 {
        world.put_into("shard-000", 7);
        world.millis(180).await;
        world.feed.expire_cursors();
    }
    world.until_all_effective(SOON).await;
    assert_eq!(world.effects.count(), 70);
    assert!(opens(&world, "shard-000").len() >= 8);
    worker.stop().await;
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn what_was_trimmed_is_repaired_before_anything_further_is_read() {
    for is_silent in [false, true] {
        let mut world = World::new(1);
        let repairs = Arc::new(Repairs::default());
        *repairs.refusals.lock().unwrap() = 2;
        world.listener = Some(repairs.clone());
        world.adjust = |settings| settings.retention = Duration::from_secs(600);
        world.feed.trim_silently(is_silent);
        let read = world.put_into("shard-000", 3);
        let worker = world.start("one");
        world.until_all_effective(SOON).await;
        worker.stop().await;
        // Nobody reads for longer than the feed keeps records.
        let lost = world.put_into("shard-000", 4);
        world.seconds(700).await;
        world.feed.trim_through("shard-000", &lost[3]);
        lost.iter().for_each(|number| world.rules.expect_no_more("shard-000", number));
        world.put_into("shard-000", 2);
        let worker = world.start("two");
        world.until_all_effective(SOON).await;
        assert_eq!(
            *repairs.reported.lock().unwrap(),
            vec![("shard-000".to_owned(), ShardProgress::After(read[2].clone())); 3],
            "silent: {is_silent}"
        );
        assert_eq!(worker.metrics.sum("GapsFound"), 3.0);
        worker.stop().await;
        world.rules.check(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_shorter_than_the_retention_is_no_gap() {
    let mut world = World::new(1);
    let repairs = Arc::new(Repairs::default());
    world.listener = Some(repairs.clone());
    world.adjust = |settings| settings.retention = Duration::from_secs(600);
    world.put_into("shard-000", 3);
    let worker = world.start("one");
    world.until_all_effective(SOON).await;
    worker.stop().await;
    world.seconds(550).await;
    world.put_into("shard-000", 3);
    let worker = world.start("two");
    world.until_all_effective(SOON).await;
    assert_eq!(*repairs.reported.lock().unwrap(), []);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failing_and_empty_reads_are_outlived() {
    for fate in [
        FeedFate::Throttled,
        FeedFate::NoAnswer,
        FeedFate::NotSent,
        FeedFate::Rejected,
        FeedFate::EmptyPage,
        FeedFate::CursorExpired,
        FeedFate::Hangs,
    ] {
        let world = World::new(1);
        world.put_into("shard-000", 5);
        world.feed.script([FeedFate::Answered; 2]);
        world.feed.script([fate; 6]);
        let worker = world.start("one");
        world.until_all_effective(Duration::from_secs(30)).await;
        assert_eq!(world.effects.count(), 5, "{fate:?}");
        worker.stop().await;
        world.rules.check(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_feed_is_asked_ever_more_rarely() {
    let world = World::new(1);
    world.feed.script([FeedFate::Answered; 2]);
    world.feed.draw_fates(|| FeedFate::Throttled);
    let worker = world.start("one");
    world.seconds(60).await;
    let reads = world.feed.calls().len();
    // 240 polls without back-off; the mean pause at the bound is two and a half seconds.
    assert!((10..70).contains(&reads), "{reads} calls in a minute");
    world.feed.heal();
    world.put_into("shard-000", 1);
    world.until_all_effective(Duration::from_secs(6)).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_keeps_back_is_not_checkpointed_and_not_read_past() {
    let world = World::new(1);
    world.feed.page_by(2);
    let behaviour = Behaviour { keeps_back: 100, full_at: Some(4), ..Behaviour::default() };
    let numbers = world.put_into("shard-000", 12);
    let worker = world.start_with("one", behaviour.clone());
    world.until_all_effective(Duration::from_secs(20)).await;
    let last = ShardProgress::After(numbers[11].clone());
    world.until("all is checkpointed", SOON, |world| world.lease("shard-000").progress == last).await;
    assert_eq!(world.effects.count(), 12);
    worker.stop().await;
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_begins_anew_after_what_is_durable_and_the_lease_stays() {
    let world = World::new(1);
    world.feed.page_by(3);
    let behaviour = Behaviour { keeps_back: 1, panics: Arc::new(Mutex::new(vec![2, 3, 6])), ..Behaviour::default() };
    world.put_into("shard-000", 9);
    let worker = world.start_with("one", behaviour);
    world.until_all_effective(SOON).await;
    assert_eq!(worker.metrics.sum("HandlerPanics"), 3.0);
    assert_eq!(worker.metrics.sum("LeasesLost"), 0.0);
    assert_eq!(world.lease("shard-000").epoch, 1);
    assert!(world.effects.memories("shard-000").len() == 4);
    worker.stop().await;
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn the_memory_goes_to_the_next_handler_with_its_position() {
    let world = World::new(1);
    let numbers = world.put_into("shard-000", 3);
    let worker = world.start("one");
    world.until_all_effective(SOON).await;
    worker.stop().await;
    world.start("two").stop().await;
    let worker = world.start("three");
    world.seconds(2).await;
    assert_eq!(world.effects.memories("shard-000"), ["".to_owned(), numbers[2].to_string()]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_cannot_be_stored_keeps_the_position_back_but_not_the_lease() {
    let world = World::new(1);
    world.put_into("shard-000", 3);
    let worker = world.start_with("one", Behaviour { memory_bytes: 70_000, ..Behaviour::default() });
    world.until_all_effective(SOON).await;
    world.seconds(30).await;
    let lease = world.lease("shard-000");
    assert_eq!((lease.progress, lease.owner.as_deref(), lease.epoch), (ShardProgress::Untouched, Some("one"), 1));
    assert!(worker.metrics.sum("CheckpointFailures") > 0.0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_handler_finish_and_writes_its_last_progress() {
    let world = World::new(1);
    let worker = world.start_with("one", Behaviour { latency: Duration::from_secs(4), ..Behaviour::default() });
    let numbers = world.put_into("shard-000", 3);
    world.seconds(2).await;
    assert_eq!(world.effects.count(), 0, "the handler is at work");
    worker.stop().await;
    assert_eq!(world.effects.count(), 3);
    let lease = world.lease("shard-000");
    assert_eq!((lease.owner, lease.progress), (None, ShardProgress::After(numbers[2].clone())));
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_handler_that_hangs() {
    let world = World::new(1);
    let worker = world.start_with("one", Behaviour { hangs: Arc::new(Mutex::new(vec![1])), ..Behaviour::default() });
    world.put_into("shard-000", 3);
    world.seconds(60).await;
    assert_eq!(world.holder("shard-000").as_deref(), Some("one"), "the lease is renewed meanwhile");
    let asked_at = world.now();
    worker.stop().await;
    assert!(world.now().since(asked_at) < Duration::from_secs(11), "{:?}", world.now().since(asked_at));
    assert_eq!((world.holder("shard-000"), world.effects.count()), (None, 0));
}
