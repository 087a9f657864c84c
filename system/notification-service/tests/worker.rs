//! The worker over a queue and an outbox that fail.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_notification_service::NotificationSettings;
use nexus_ports::MessageQueue;
use nexus_ports_testing::{QueueCallFate as CallFate, QueueStep, WriteFate};
use support::{Bench, cart};

#[tokio::test(start_paused = true)]
async fn messages_are_recorded_and_then_deleted() {
    let bench = Bench::new(1);
    for number in 0..8 {
        cart(&format!("k-{number}")).iter().for_each(|event| {
            bench.put(event);
        });
    }
    let _running = bench.start();
    bench.after(2).await;
    assert_eq!(bench.outbox.notifications().len(), 24);
    assert_eq!((bench.queue.bodies().len(), bench.outbox.asked()), (0, 24));
    assert_eq!(bench.counts.of("NotificationsRecorded"), 24);
    assert_eq!(bench.counts.of("NotificationLatency"), 24);
}

#[tokio::test(start_paused = true)]
async fn duplicates_have_no_second_effect_and_are_deleted() {
    let bench = Bench::new(1);
    let event = &cart("k-1")[0];
    for _ in 0..3 {
        bench.put(event);
    }
    let _running = bench.start();
    bench.after(2).await;
    assert_eq!((bench.outbox.notifications().len(), bench.queue.bodies().len()), (1, 0));
    assert_eq!(bench.counts.of("NotificationDuplicates"), 2);
}

#[tokio::test(start_paused = true)]
async fn outcomes_of_a_record_are_settled_by_trying_again() {
    use WriteFate::{AnswerLost, AppliedLate, AppliedThenHangs, Contended, Hangs, NotSent, RequestLost, Throttled};
    for fates in [
        vec![AnswerLost],
        vec![AppliedThenHangs],
        vec![AppliedLate { calls: 1 }],
        vec![RequestLost, Hangs],
        vec![Throttled, NotSent],
        vec![Contended, AnswerLost],
    ] {
        let bench = Bench::new(1);
        bench.put(&cart("k-1")[0]);
        bench.outbox.script(fates.iter().copied());
        let _running = bench.start();
        bench.after(8).await;
        assert_eq!((bench.outbox.notifications().len(), bench.queue.bodies().len()), (1, 0), "{fates:?}");
        assert_eq!(bench.outbox.asked() as usize, fates.len() + 1, "{fates:?}");
        let received = bench.queue.steps().iter().filter(|step| matches!(step, QueueStep::Received { .. })).count();
        assert_eq!(received, 1, "{fates:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_for_now_comes_again_later_and_later() {
    let bench = Bench::new(1);
    let message_id = bench.put(&cart("k-1")[0]);
    bench.outbox.script([WriteFate::NotSent; 9]);
    let _running = bench.start();
    bench.after(60).await;
    let expected: Vec<_> = [2, 4, 8].map(|seconds| (message_id.clone(), seconds)).into();
    assert_eq!(bench.queue.visibility_changes(), expected);
    assert_eq!((bench.outbox.notifications().len(), bench.queue.bodies().len()), (1, 0));
    assert_eq!(bench.outbox.asked(), 10, "three attempts a receive");
}

#[tokio::test(start_paused = true)]
async fn poison_is_in_the_dead_letter_queue_soon_and_was_never_deleted() {
    let bench = Bench::new(1);
    bench.queue.put("garbage");
    bench.put(&cart("k-1")[0]);
    let _running = bench.start();
    bench.after(10).await;
    assert_eq!(bench.dead_letters.bodies(), ["garbage"]);
    assert_eq!(bench.queue.bodies().len(), 0);
    let steps = bench.queue.steps();
    assert!(steps.iter().all(|step| !matches!(step, QueueStep::Deleted { body, .. } if body == "garbage")));
    let is_dead = |step: &QueueStep| matches!(step, QueueStep::DeadLettered { receive_count: 5, .. });
    assert_eq!(steps.iter().filter(|step| is_dead(step)).count(), 1);
    assert_eq!(bench.counts.of("PoisonMessages unreadable"), 5);
}

#[tokio::test(start_paused = true)]
async fn slow_work_keeps_its_messages_hidden() {
    let settings = NotificationSettings { call_timeout: Duration::from_secs(25), ..NotificationSettings::default() };
    let bench = Bench::with(1, settings);
    bench.put(&cart("k-1")[0]);
    bench.outbox.script([WriteFate::Hangs, WriteFate::Hangs]);
    let _running = bench.start();
    bench.after(60).await;
    assert_eq!((bench.outbox.notifications().len(), bench.queue.bodies().len()), (1, 0));
    let received = bench.queue.steps().iter().filter(|step| matches!(step, QueueStep::Received { .. })).count();
    assert_eq!(received, 1, "50 s of work on a message that is hidden for 30 s");
    assert_eq!(bench.queue.visibility_changes().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn failing_heartbeats_and_old_handles_are_harmless() {
    let settings = NotificationSettings { call_timeout: Duration::from_secs(25), ..NotificationSettings::default() };
    let bench = Bench::with(1, settings);
    bench.put(&cart("k-1")[0]);
    bench.outbox.script([WriteFate::AppliedThenHangs, WriteFate::Hangs]);
    bench.queue.script_visibility([CallFate::NotSent, CallFate::AppliedThenHangs, CallFate::Rejected]);
    let _running = bench.start();
    bench.after(200).await;
    assert_eq!((bench.outbox.notifications().len(), bench.queue.bodies().len()), (1, 0));
    assert!(bench.counts.of("VisibilityFailures") >= 2);
}

#[tokio::test(start_paused = true)]
async fn deletes_that_fail_are_tried_again_or_the_message_comes_again() {
    use CallFate::{AnswerLost, EntriesThrottled, FirstEntryInDoubt, NotSent, Rejected, RequestLost, Throttled};
    for (fates, receives) in [
        (vec![FirstEntryInDoubt, EntriesThrottled], 2),
        (vec![AnswerLost], 2),
        (vec![Throttled, NotSent], 2),
        (vec![RequestLost, RequestLost, RequestLost], 4),
        (vec![Rejected], 4),
    ] {
        let bench = Bench::new(1);
        let events = cart("k-1");
        bench.put(&events[0]);
        bench.put(&events[1]);
        bench.queue.script_deletes(fates.iter().copied());
        let _running = bench.start();
        bench.after(60).await;
        assert_eq!((bench.outbox.notifications().len(), bench.queue.bodies().len()), (2, 0), "{fates:?}");
        let received = bench.queue.steps().iter().filter(|step| matches!(step, QueueStep::Received { .. })).count();
        assert_eq!(received, receives, "{fates:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_receives_are_survived_at_a_slower_pace() {
    use CallFate::{AnswerLost, AppliedThenHangs, NotSent, Rejected, RequestLost, Throttled};
    let bench = Bench::new(1);
    bench.put(&cart("k-1")[0]);
    let fates = [NotSent, Throttled, Rejected, AnswerLost, RequestLost, AppliedThenHangs];
    bench.queue.script_receives(fates);
    let _running = bench.start();
    bench.after(120).await;
    assert_eq!((bench.outbox.notifications().len(), bench.queue.bodies().len()), (1, 0));
    for (name, count) in [("unknown", 3), ("not-sent", 1), ("throttled", 1), ("rejected", 1)] {
        assert_eq!(bench.counts.of(&format!("ReceiveFailures {name}")), count, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_outbox_does_not_use_up_the_receives_of_many() {
    let bench = Bench::new(1);
    (0..100).for_each(|number| {
        bench.put(&cart(&format!("k-{number}"))[0]);
    });
    bench.outbox.script([WriteFate::NotSent; 1_000]);
    let _running = bench.start();
    bench.after(45).await;
    let received = bench.queue.steps().iter().filter(|step| matches!(step, QueueStep::Received { .. })).count();
    assert!(received < 60, "{received} receives in 45 s of outage");
    bench.outbox.settle();
    bench.after(300).await;
    let dead = bench.dead_letters.bodies().len();
    assert_eq!((bench.outbox.notifications().len() + dead, bench.queue.bodies().len()), (100, 0));
    assert!(dead <= 3, "{dead} of 100 messages were received five times in 45 s");
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_work_finish_and_leaves_nothing_running() {
    let bench = Bench::new(1);
    bench.put(&cart("k-1")[0]);
    bench.outbox.script([WriteFate::Hangs]);
    let (stop, ended) = bench.start();
    bench.after(1).await;
    stop.send(()).unwrap();
    bench.put(&cart("k-2")[0]);
    let asked = bench.test.platform.monotonic();
    ended.await.unwrap();
    assert!(bench.test.platform.monotonic().since(asked) < Duration::from_secs(4));
    assert!(bench.outbox.contains(&cart("k-1")[0].event_id), "what was at hand is finished");
    tokio::task::yield_now().await;
    assert_eq!(bench.test.running_tasks(), 0);
    let before = bench.queue.steps();
    bench.after(100).await;
    assert_eq!(bench.queue.steps(), before, "nothing is received any more");
}

#[tokio::test(start_paused = true)]
async fn a_stop_between_receives_begins_none() {
    let bench = Bench::with(1, NotificationSettings { backoff_first: Duration::from_secs(4), ..Default::default() });
    bench.queue.script_receives([CallFate::NotSent]);
    let (stop, ended) = bench.start();
    tokio::task::yield_now().await;
    assert_eq!(bench.counts.of("ReceiveFailures not-sent"), 1);
    bench.put(&cart("k-1")[0]);
    stop.send(()).unwrap();
    ended.await.unwrap();
    assert!(bench.queue.steps().iter().all(|step| matches!(step, QueueStep::Sent { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_a_receive_under_way_gives_at_the_stop_is_worked_on() {
    let bench = Bench::new(1);
    let (stop, ended) = bench.start();
    bench.after(1).await;
    stop.send(()).unwrap();
    bench.put(&cart("k-1")[0]);
    ended.await.unwrap();
    assert_eq!((bench.outbox.notifications().len(), bench.queue.bodies().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_function_is_told_what_must_come_again() {
    let bench = Bench::new(1);
    let ids = [bench.put(&cart("k-1")[0]), bench.queue.put("garbage"), bench.put(&cart("k-2")[0])];
    bench.outbox.script([WriteFate::Rejected]);
    let messages = bench.queue.receive(10, 0, 30).await.unwrap();
    let failed = bench.worker.handle_batch(messages).await;
    assert_eq!(failed, ids[..2]);
    assert!(bench.outbox.contains(&cart("k-2")[0].event_id));
    assert_eq!(bench.queue.bodies().len(), 3, "whoever called deletes");
    assert_eq!(bench.worker.handle_batch(Vec::new()).await, Vec::<String>::new());
}
