//! The router over ports in memory: time, time-outs, replays and repairs.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_event_router::{ROUTER_CONSUMER, Repaired};
use nexus_ports::{
    AggregateReplayer, BoxFuture, FeedHandler, ParkReason, ParkingLot, ReadFailure, ReplayFailure, StreamCatalogue,
    StreamName, StreamPage, UnknownOutcome, Version,
};
use nexus_ports_testing::{CallFate, EntryFate, ReadFate, WriteFate};
use support::{
    LONG, World,
    events::{event, invalid_event, number, record},
};

#[tokio::test(start_paused = true)]
async fn events_go_their_two_ways_and_are_measured() {
    let world = World::new(1);
    world.test.platform.sleep(Duration::from_millis(41)).await;
    let mut handler = world.router().begin_shard("shard", 1, "");
    let handled = handler
        .handle(vec![
            record(1, &event("order-a", 1)),
            record(2, &event("cart-a", 1)),
            record(3, &invalid_event("order-b", 1)),
        ])
        .await;
    assert_eq!(handled.durable_through, Some(number(3)));
    assert_eq!((handled.call_again_after, handled.accepts_more), (None, true));
    assert_eq!((world.stream.taken().len(), world.topic.taken().len()), (1, 1));
    // Recorded 1 ms after the epoch, routed 41 ms after it.
    assert_eq!(world.metrics.of("RoutingLatency core"), [40.0]);
    assert_eq!(world.metrics.of("TotalEvents background"), [1.0]);
    assert_eq!(world.metrics.of("ValidationFailures OrderShipped"), [1.0]);
    assert_eq!(world.metrics.of("EventsParked poison"), [1.0]);
    assert_eq!(world.test.running_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_next_owner_goes_on_from_position_and_memory_without_repeating() {
    let world = World::new(1);
    let mut first = world.router().begin_shard("shard", 1, "");
    let handled = first.handle(vec![record(1, &event("order-a", 1)), record(2, &event("order-a", 2))]).await;
    drop(first);
    let mut second = world.router().begin_shard("shard", 2, &handled.memory);
    // The checkpoint was older than the memory could be: record 2 comes again.
    let handled = second.handle(vec![record(2, &event("order-a", 2)), record(3, &event("order-a", 3))]).await;
    assert_eq!(handled.durable_through, Some(number(3)));
    assert_eq!(world.taken("order-a"), [1, 2, 3]);
    assert_eq!(world.store.reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn handlers_of_one_process_share_what_they_remember() {
    let world = World::new(1);
    let router = world.router();
    router.begin_shard("parent", 1, "").handle(vec![record(1, &event("order-a", 1))]).await;
    router.begin_shard("child", 1, "").handle(vec![record(9, &event("order-a", 2))]).await;
    assert_eq!(world.taken("order-a"), [1, 2]);
    assert_eq!(world.store.reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_hangs_does_not_hold_up_the_other() {
    let world = World::new(1);
    world.topic.script([CallFate::Hangs]);
    let begun = world.test.platform.monotonic();
    let mut handler = world.router().begin_shard("shard", 1, "");
    let handled = handler.handle(vec![record(1, &event("cart-a", 1)), record(2, &event("order-a", 1))]).await;
    let took = world.test.platform.monotonic().since(begun);
    assert!(took <= Duration::from_millis(100), "{took:?}");
    assert_eq!(world.taken("order-a"), [1]);
    assert_eq!((handled.durable_through, handled.accepts_more), (None, true));
    assert_eq!(handled.call_again_after, Some(Duration::from_millis(5)), "the call goes on with the next one");
    let handled = world.drain(&mut *handler, vec![record(3, &event("order-a", 2))], LONG).await;
    assert_eq!((world.taken("order-a"), world.taken("cart-a")), (vec![1, 2], vec![1]));
    assert_eq!(handled.durable_through, Some(number(3)));
}

#[tokio::test(start_paused = true)]
async fn an_event_gets_three_attempts_in_all() {
    let fates = [
        CallFate::Throttled,
        CallFate::NotSent,
        CallFate::RequestLost,
        CallFate::AnswerLost,
        CallFate::Hangs,
        CallFate::TakenThenHangs,
        CallFate::Answered(vec![EntryFate::Throttled]),
        CallFate::Answered(vec![EntryFate::TakenUnknown]),
    ];
    for fate in fates {
        let world = World::new(1);
        world.stream.stay(Some(fate.clone()));
        let mut handler = world.router().begin_shard("shard", 1, "");
        let handled = world.drain(&mut *handler, vec![record(1, &event("order-a", 1))], LONG).await;
        assert_eq!(world.stream.calls().len(), 3, "{fate:?}");
        let parked = world.parking.entry(ROUTER_CONSUMER, "order-a").unwrap();
        assert_eq!((parked.reason, parked.attempts), (ParkReason::AttemptsExhausted, 3), "{fate:?}");
        assert_eq!(handled.durable_through, Some(number(1)), "{fate:?}");
        assert_eq!(world.metrics.of("RoutingRetries core").len(), 2, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_park_is_read_back_and_done_once() {
    for fate in [
        WriteFate::AnswerLost,
        WriteFate::RequestLost,
        WriteFate::Hangs,
        WriteFate::AppliedThenHangs,
        WriteFate::AppliedLate { calls: 3 },
        WriteFate::Throttled,
        WriteFate::NotSent,
        WriteFate::Contended,
    ] {
        let world = World::new(1);
        world.parking.script_writes([fate]);
        let mut handler = world.router().begin_shard("shard", 1, "");
        let records = vec![record(1, &invalid_event("order-a", 1)), record(2, &event("order-a", 2))];
        let handled = world.drain(&mut *handler, records, LONG).await;
        assert_eq!(handled.durable_through, Some(number(2)), "{fate:?}");
        let parked = world.parking.entry(ROUTER_CONSUMER, "order-a").unwrap();
        assert_eq!((parked.first_version, parked.last_version), (Some(Version(1)), Some(Version(2))), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_durable_while_the_parking_lot_is_silent() {
    let world = World::new(1);
    world.parking.script_reads([ReadFate::NoAnswer, ReadFate::Hangs, ReadFate::Throttled]);
    let mut handler = world.router().begin_shard("shard", 1, "");
    let handled = handler.handle(vec![record(1, &event("order-a", 1))]).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (None, false));
    assert!(handled.call_again_after.is_some());
    let handled = world.drain(&mut *handler, Vec::new(), LONG).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (Some(number(1)), true));
    assert_eq!(world.taken("order-a"), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_released_aggregate_flows_again_in_order() {
    let world = World::new(1);
    let router = world.router();
    let events: Vec<_> = (1..=4).map(|version| event("order-a", version)).collect();
    world.save(&events);
    world.stream.stay(Some(CallFate::Throttled));
    let mut handler = router.begin_shard("shard", 1, "");
    world.drain(&mut *handler, vec![record(1, &events[0])], LONG).await;
    world.stream.drop_scripts();
    world.drain(&mut *handler, vec![record(2, &events[1])], LONG).await;
    let parked = world.parking.entry(ROUTER_CONSUMER, "order-a").unwrap();
    assert_eq!((parked.last_version, parked.counter), (Some(Version(2)), 2));
    assert_eq!(world.taken("order-a"), [0; 0]);

    assert_eq!(router.replay(&events[0].stream, Version(1)).await, Ok(Version(4)));
    world.parking.release(ROUTER_CONSUMER, "order-a", 2).await.unwrap();
    let handled = world.drain(&mut *handler, vec![record(3, &events[2]), record(4, &events[3])], LONG).await;
    assert_eq!(handled.durable_through, Some(number(4)));
    let mut firsts = world.taken("order-a");
    firsts.dedup();
    assert_eq!(firsts[..4], [1, 2, 3, 4]);
    assert_eq!(world.parking.entries(), []);
}

#[tokio::test(start_paused = true)]
async fn a_replay_tells_how_far_it_came_and_why_it_stopped() {
    let stream: StreamName = "order-a".parse().unwrap();
    let good: Vec<_> = (1..=3).map(|version| event("order-a", version)).collect();
    let with_poison = vec![event("order-a", 1), invalid_event("order-a", 2), event("order-a", 3)];
    let with_hole = vec![event("order-a", 1), event("order-a", 3)];
    let none = || vec![];
    let taken = || CallFate::Answered(Vec::new());
    enum End {
        Reached(u64),
        Poison(u64),
        Interrupted(u64),
    }
    let table = [
        ("all", &good, 1, none(), End::Reached(3), 3),
        ("from the second", &good, 2, none(), End::Reached(3), 2),
        ("nothing there yet", &good, 4, none(), End::Reached(3), 0),
        ("from zero", &good, 0, none(), End::Reached(3), 3),
        ("one bad moment", &good, 1, vec![CallFate::RequestLost, CallFate::Throttled], End::Reached(3), 5),
        (
            "an outage",
            &good,
            1,
            vec![taken(), CallFate::NotSent, CallFate::NotSent, CallFate::NotSent],
            End::Interrupted(1),
            4,
        ),
        ("refused entry", &good, 1, vec![CallFate::Answered(vec![EntryFate::Rejected])], End::Poison(1), 1),
        ("refused calls", &good, 1, vec![CallFate::Rejected; 3], End::Poison(1), 3),
        ("poison", &with_poison, 1, none(), End::Poison(2), 1),
        ("a hole", &with_hole, 1, none(), End::Poison(2), 1),
    ];
    for (name, events, first, fates, end, calls) in table {
        let world = World::new(1);
        world.save(events);
        world.store.page_by(2);
        world.stream.script(fates);
        let replayed = world.router().replay(&stream, Version(first)).await;
        let is_as_wanted = match (&replayed, end) {
            (Ok(reached), End::Reached(wanted)) => reached.0 == wanted,
            (Err(ReplayFailure::Poison { version, .. }), End::Poison(wanted)) => version.0 == wanted,
            (Err(ReplayFailure::Interrupted { reached, .. }), End::Interrupted(wanted)) => reached.0 == wanted,
            _ => false,
        };
        assert!(is_as_wanted, "{name}: {replayed:?}");
        assert_eq!(world.stream.calls().len(), calls, "{name}");
    }
}

/// Pages of one name each, the second of which fails so many times.
struct Catalogue {
    streams: Vec<StreamName>,
    failures: std::sync::Mutex<u32>,
}

impl StreamCatalogue for Catalogue {
    fn page(&self, after: Option<String>) -> BoxFuture<'_, Result<StreamPage, ReadFailure>> {
        let index = after.map_or(0, |after| after.parse::<usize>().unwrap());
        let fails = index == 1 && {
            let mut failures = self.failures.lock().unwrap();
            let fails = *failures > 0;
            *failures = failures.saturating_sub(1);
            fails
        };
        let next = Some(index + 1).filter(|next| *next < self.streams.len()).map(|next| next.to_string());
        let page = (self.streams.get(index).cloned().into_iter().collect(), next);
        let failure = || ReadFailure::NoAnswer(UnknownOutcome { reason: "test".to_owned() });
        Box::pin(async move { if fails { Err(failure()) } else { Ok(page) } })
    }
}

#[tokio::test(start_paused = true)]
async fn a_repair_goes_through_all_aggregates_and_can_be_resumed() {
    let world = World::new(1);
    let streams = ["order-a", "order-b", "cart-c"].map(|name| name.parse::<StreamName>().unwrap());
    let lost: Vec<_> = (1..=2).flat_map(|version| ["order-a", "cart-c"].map(|stream| event(stream, version))).collect();
    world.save(&lost);
    world.save(&[event("order-b", 1), invalid_event("order-b", 2), event("order-b", 3)]);
    let catalogue = Catalogue { streams: streams.to_vec(), failures: std::sync::Mutex::new(4) };
    let router = world.router();
    // Event 1 of order-a was routed before the outage, and the process still knows it.
    router.begin_shard("shard", 1, "").handle(vec![record(1, &event("order-a", 1))]).await;

    let interrupted = router.repair_all(&catalogue, None).await.unwrap_err();
    assert_eq!(interrupted.done, Repaired { streams: 1, events: 1, parked: 0 });
    assert_eq!(interrupted.resume_after.as_deref(), Some("1"));
    // One failure is left, and is within the attempts.
    let repaired = router.repair_all(&catalogue, interrupted.resume_after).await.unwrap();
    assert_eq!(repaired, Repaired { streams: 2, events: 3, parked: 1 });
    assert_eq!((world.taken("order-a"), world.taken("cart-c")), (vec![1, 2], vec![1, 2]));
    assert_eq!(world.taken("order-b"), [1]);
    let parked = world.parking.entry(ROUTER_CONSUMER, "order-b").unwrap();
    assert_eq!((parked.first_version, parked.reason), (Some(Version(2)), ParkReason::Poison));
    assert_eq!(parked.body, serde_json::to_string(&invalid_event("order-b", 2)).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_repair_parks_once_and_from_the_earliest_event_whatever_the_parking_lot_answers() {
    for (fates, standing_from) in [
        (vec![WriteFate::AnswerLost], None),
        (vec![WriteFate::RequestLost, WriteFate::Throttled], None),
        (vec![], Some(3)),
        (vec![WriteFate::AnswerLost], Some(3)),
        (vec![], Some(1)),
    ] {
        let world = World::new(1);
        world.save(&[event("order-b", 1), invalid_event("order-b", 2), event("order-b", 3)]);
        if let Some(version) = standing_from {
            let mut handler = world.router().begin_shard("shard", 1, "");
            world.drain(&mut *handler, vec![record(1, &invalid_event("order-b", version))], LONG).await;
            world.parking.tamper(|entries| {
                for entry in entries.values_mut() {
                    (entry.first_version, entry.last_version) = (Some(Version(version)), Some(Version(3)));
                }
            });
        }
        world.parking.script_writes(fates.clone());
        let catalogue = Catalogue { streams: vec!["order-b".parse().unwrap()], failures: std::sync::Mutex::new(0) };
        let repaired = world.router().repair_all(&catalogue, None).await.unwrap();
        assert_eq!(repaired.parked, 1, "{fates:?}");
        let parked = world.parking.entry(ROUTER_CONSUMER, "order-b").unwrap();
        assert_eq!(
            parked.first_version,
            Some(Version(standing_from.unwrap_or(2).min(2))),
            "{fates:?} {standing_from:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn many_aggregates_share_full_batches() {
    let world = World::new(1);
    let mut handler = world.router().begin_shard("shard", 1, "");
    let names: Vec<_> = (0..1_000).map(|index| format!("order-{index}")).collect();
    let mut position = 0;
    for version in 1..=3 {
        let records = names.iter().map(|name| {
            position += 1;
            record(position, &event(name, version))
        });
        let handled = handler.handle(records.collect()).await;
        assert_eq!(handled.durable_through, Some(number(position)));
    }
    let sizes: Vec<_> = world.stream.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, [500; 6]);
    assert_eq!(world.store.reads(), 0);
}
