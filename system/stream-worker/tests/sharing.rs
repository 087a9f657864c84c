//! Several workers: balance, take-over, zombies, and a lease store that loses, delays and refuses.

#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_ports::ShardProgress;
use nexus_ports_testing::{ReadFate, WriteFate};
use support::{Behaviour, GROUP, Running, World};

const SOON: Duration = Duration::from_secs(5);
/// A lease's duration, a scan, and some calls.
const TAKEN_OVER: Duration = Duration::from_secs(14);

async fn until_balanced(world: &World, workers: &[&Running], within: Duration) {
    world
        .until("the leases are spread evenly", within, |world| {
            let loads: Vec<usize> = workers.iter().map(|worker| world.load(&worker.id)).collect();
            let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
            spread <= 1 && loads.iter().sum::<usize>() == world.feed.open_shards().len()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn workers_share_evenly_and_then_leave_each_other_alone() {
    let world = World::new(8);
    let one = world.start("one");
    world.until("all are taken by the only worker", SOON, |world| world.load("one") == 8).await;
    let two = world.start("two");
    let three = world.start("three");
    until_balanced(&world, &[&one, &two, &three], Duration::from_secs(60)).await;
    let epochs = |world: &World| world.leases.leases(GROUP).iter().map(|lease| lease.epoch).collect::<Vec<_>>();
    let settled = epochs(&world);
    world.seconds(120).await;
    assert_eq!(epochs(&world), settled, "nothing moves any more");
    for key in 0..40 {
        world.put(&format!("order-{key}"), 2);
    }
    world.until_all_effective(SOON).await;
    assert_eq!(world.effects.count(), 80, "without failures nothing is handled twice");
    for worker in [one, two, three] {
        worker.stop().await;
    }
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn released_leases_go_on_at_once_and_those_of_a_crash_after_their_expiry() {
    let world = World::new(4);
    let (one, two) = (world.start("one"), world.start("two"));
    until_balanced(&world, &[&one, &two], Duration::from_secs(60)).await;
    one.stop().await;
    world.until("released leases are taken", Duration::from_secs(3), |world| world.load("two") == 4).await;
    let three = world.start("three");
    until_balanced(&world, &[&two, &three], Duration::from_secs(60)).await;
    for key in 0..40 {
        world.put(&format!("order-{key}"), 2);
    }
    two.crash().await;
    let crashed_at = world.now();
    world.until("expired leases are taken", TAKEN_OVER, |world| world.load("three") == 4).await;
    assert!(world.now().since(crashed_at) > Duration::from_secs(6), "not before they expired");
    world.until_all_effective(SOON).await;
    three.stop().await;
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_nothing_that_was_kept_back() {
    let world = World::new(1);
    world.feed.page_by(5);
    let one = world
        .start_with("one", Behaviour { keeps_back: 3, latency: Duration::from_millis(400), ..Behaviour::default() });
    for _ in 0..10 {
        world.put_into("shard-000", 4);
        world.millis(300).await;
    }
    assert!(world.effects.count() > 0 && !world.rules.missing().is_empty(), "it crashes in the middle");
    one.crash().await;
    let two = world.start("two");
    world.until_all_effective(Duration::from_secs(20)).await;
    assert!(world.effects.count() < 60, "what was checkpointed is not repeated: {}", world.effects.count());
    two.stop().await;
    world.rules.check(&[]);
}

#[tokio::test(start_paused = true)]
async fn a_zombie_changes_nothing_when_it_wakes() {
    // Asleep in the middle of a handler's call, and with a checkpoint due at the moment of waking.
    for latency_ms in [0, 400] {
        let world = World::new(1);
        let behaviour = Behaviour { latency: Duration::from_millis(latency_ms), ..Behaviour::default() };
        let zombie = world.start_with("zombie", behaviour);
        world.put_into("shard-000", 5);
        world.until_all_effective(SOON).await;
        world.put_into("shard-000", 5);
        world.millis(260).await;
        zombie.gate.shut();
        let heir = world.start("heir");
        world
            .until("the heir takes over", TAKEN_OVER, |world| world.holder("shard-000").as_deref() == Some("heir"))
            .await;
        world.put_into("shard-000", 5);
        world.until_all_effective(SOON).await;
        world.seconds(2).await;
        let (inherited, effects_of_zombie) = (world.lease("shard-000"), world.effects.of_worker("zombie"));
        zombie.gate.open();
        world.seconds(30).await;
        let lease = world.lease("shard-000");
        assert_eq!((lease.owner, lease.epoch, lease.progress), (inherited.owner, inherited.epoch, inherited.progress));
        assert_eq!(world.effects.of_worker("zombie"), effects_of_zombie, "its handler does not go on");
        assert_eq!(zombie.metrics.sum("LeasesLost"), 1.0);
        zombie.stop().await;
        heir.stop().await;
        world.rules.check(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_cut_off_from_the_lease_store_stops_before_another_starts() {
    for fate in
        [WriteFate::Hangs, WriteFate::RequestLost, WriteFate::Throttled, WriteFate::NotSent, WriteFate::Rejected]
    {
        let world = World::new(1);
        let cut_off = world.start("cut-off");
        world.put_into("shard-000", 3);
        world.until_all_effective(SOON).await;
        let heir = world.start("heir");
        world.seconds(5).await;
        cut_off.leases.draw_write_fates(move || fate);
        cut_off.leases.draw_read_fates(|| ReadFate::NotSent);
        for _ in 0..200 {
            world.put_into("shard-000", 1);
            world.millis(100).await;
        }
        world.until_all_effective(SOON).await;
        let effects = world.effects.all();
        let last_of_old =
            effects.iter().filter(|effect| effect.worker == "cut-off").map(|effect| effect.at).max().unwrap();
        let first_of_new =
            effects.iter().filter(|effect| effect.worker == "heir").map(|effect| effect.at).min().unwrap();
        assert!(last_of_old < first_of_new, "{fate:?}: both were at work at once");
        assert_eq!(world.holder("shard-000").as_deref(), Some("heir"), "{fate:?}");
        cut_off.leases.heal();
        cut_off.stop().await;
        heir.stop().await;
        world.rules.check(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_do_not_cost_the_lease() {
    for fate in [
        WriteFate::AnswerLost,
        WriteFate::RequestLost,
        WriteFate::AppliedThenHangs,
        WriteFate::AppliedLate { calls: 2 },
    ] {
        let world = World::new(1);
        let worker = world.start("one");
        world.seconds(2).await;
        let mut is_second = false;
        worker.leases.draw_write_fates(move || {
            is_second = !is_second;
            if is_second { fate } else { WriteFate::Answered }
        });
        for _ in 0..60 {
            world.put_into("shard-000", 1);
            world.seconds(1).await;
        }
        world.until_all_effective(SOON).await;
        assert_eq!(world.lease("shard-000").epoch, 1, "{fate:?}");
        assert_eq!(world.effects.count(), 60, "{fate:?}: nothing is read twice");
        assert_eq!(worker.metrics.sum("LeasesLost"), 0.0);
        assert!(worker.metrics.sum("CheckpointFailures") > 5.0, "{fate:?}: the answers were lost");
        worker.leases.heal();
        worker.stop().await;
        world.rules.check(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_by_a_lost_answer_is_worked_on() {
    for fate in [WriteFate::AnswerLost, WriteFate::AppliedLate { calls: 3 }] {
        let world = World::new(1);
        world.put_into("shard-000", 3);
        let worker = world.start("one");
        // The lease's making, then its taking; the read that would settle the doubt fails as well.
        worker.leases.script_writes([WriteFate::Answered, fate]);
        worker.leases.script_reads([ReadFate::Answered, ReadFate::NoAnswer]);
        world.until_all_effective(SOON).await;
        assert_eq!(world.holder("shard-000").as_deref(), Some("one"), "{fate:?}");
        worker.stop().await;
        assert_eq!(world.holder("shard-000"), None);
        world.rules.check(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn leases_that_cannot_be_made_hold_back_their_children() {
    let world = World::new(1);
    world.put_into("shard-000", 3);
    let [left, right] = world.feed.split("shard-000");
    world.put_into(&left, 2);
    world.put_into(&right, 2);
    let worker = world.start("one");
    worker.leases.script_writes([
        WriteFate::Throttled,
        WriteFate::RequestLost,
        WriteFate::AnswerLost,
        WriteFate::NotSent,
    ]);
    world.until_all_effective(Duration::from_secs(20)).await;
    worker.stop().await;
    // Otherwise another worker could take the parent for one that was gone before anybody saw it.
    let made = world.leases.journal().into_iter().filter(|write| write.before.is_none()).map(|write| write.after.shard);
    assert_eq!(made.collect::<Vec<_>>(), ["shard-000", &left, &right]);
    world.rules.check(&[(left, "shard-000".to_owned()), (right, "shard-000".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_little_room_leaves_nothing_unread() {
    let mut world = World::new(6);
    world.adjust = |settings| settings.shards_max = 1;
    let small = world.start("small");
    world.until("it takes one", SOON, |world| world.load("small") == 1).await;
    world.adjust = |_| {};
    let big = world.start("big");
    world
        .until("the rest is taken beyond the fair share", Duration::from_secs(20), |world| world.load("big") == 5)
        .await;
    small.stop().await;
    big.stop().await;
}

#[tokio::test(start_paused = true)]
async fn wall_clocks_decide_nothing_about_leases() {
    let world = World::new(2);
    let (one, two) = (world.start("one"), world.start("two"));
    until_balanced(&world, &[&one, &two], Duration::from_secs(60)).await;
    let epochs = |world: &World| world.leases.leases(GROUP).iter().map(|lease| lease.epoch).collect::<Vec<_>>();
    let before = epochs(&world);
    one.leap_wall_clock_ms(3_600_000);
    two.leap_wall_clock_ms(-3_600_000);
    world.seconds(60).await;
    assert_eq!(epochs(&world), before);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_is_noticed_and_nothing_is_lost() {
    let world = World::new(1);
    let worker = world.start("one");
    world.put_into("shard-000", 3);
    world.until_all_effective(SOON).await;
    // An operator, or a worker with another idea of what is fair.
    world.leases.tamper(|leases| {
        for lease in leases.values_mut() {
            lease.owner = Some("thief".to_owned());
            lease.epoch += 1;
            lease.counter += 1;
        }
    });
    world.put_into("shard-000", 3);
    world.until("it gives up", SOON, |_| worker.metrics.sum("LeasesLost") == 1.0).await;
    world
        .until("it takes the lease back when the thief does nothing", TAKEN_OVER, |world| world.load("one") == 1)
        .await;
    world.until_all_effective(SOON).await;
    let done = world.effects.of("shard-000").last().unwrap().clone();
    world
        .until("progress", SOON, |world| world.lease("shard-000").progress == ShardProgress::After(done.clone()))
        .await;
    worker.stop().await;
    world.rules.check(&[]);
}
