//! How single records end: in views, as duplicates, kept back, or parked.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_ports::{AggregateReplayer, FeedHandler, ParkReason, ParkingLot, ReplayFailure, Version};
use nexus_ports_testing::{ReadFate, WriteFate};
use nexus_query_dashboard::ProjectionSettings;
use serde_json::Value;
use support::{Bench, expected_views, feed, feed_event, feed_record, order, payment, through};

#[tokio::test(start_paused = true)]
async fn views_are_the_fold_of_the_events() {
    let bench = Bench::new(1);
    let events: Vec<_> = [order("o-1", false), order("o-2", true), payment("p-1", 5)].concat();
    let handled = bench.shard().handle(feed(&events)).await;
    assert_eq!(handled.durable_through, through(events.len()));
    assert_eq!((handled.call_again_after, handled.accepts_more, handled.memory.as_str()), (None, true, ""));
    let views = bench.views.views();
    for (stream, expected) in expected_views(&events) {
        let view = &views[&stream.parse().unwrap()];
        assert_eq!(serde_json::from_str::<Value>(&view.body).unwrap(), expected);
        assert_eq!(view.version.0, expected["version"].as_u64().unwrap());
    }
    assert_eq!(bench.views.applied().len(), 3, "what comes together is written at once");
}

#[tokio::test(start_paused = true)]
async fn duplicates_are_durable_without_a_write() {
    let bench = Bench::new(1);
    let events = payment("p-1", 3);
    bench.shard().handle(feed(&events)).await;
    let handled = bench.shard().handle(feed(events.iter().chain(&events))).await;
    assert_eq!(handled.durable_through, through(6));
    assert_eq!(bench.views.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_waited_for_and_then_closed_from_the_event_store() {
    let bench = Bench::new(1);
    let (events, other) = (payment("p-1", 4), order("o-1", false));
    bench.store(&events);
    let mut shard = bench.shard();
    let records = vec![feed_event(1, &events[0]), feed_event(2, &events[3]), feed_event(3, &other[0])];
    let handled = shard.handle(records).await;
    assert_eq!(handled.durable_through, through(1));
    assert_eq!(handled.call_again_after, Some(Duration::from_millis(500)));
    assert!(handled.accepts_more);
    assert_eq!(bench.view_version("order-o-1"), 1, "others flow");

    bench.test.platform.sleep(Duration::from_millis(499)).await;
    let handled = shard.handle(Vec::new()).await;
    assert_eq!(handled.call_again_after, Some(Duration::from_millis(1)));
    assert_eq!((bench.view_version("payment-p-1"), bench.storage.reads()), (1, 0), "still patient");

    bench.test.platform.sleep(Duration::from_millis(1)).await;
    let handled = shard.handle(Vec::new()).await;
    assert_eq!((handled.durable_through, handled.call_again_after), (through(3), None));
    assert_eq!(bench.view_version("payment-p-1"), 4);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_overtaken_comes_in_time() {
    let bench = Bench::new(1);
    let events = payment("p-1", 3);
    let mut shard = bench.shard();
    shard.handle(vec![feed_event(1, &events[2]), feed_event(2, &events[0])]).await;
    assert_eq!(bench.view_version("payment-p-1"), 1);
    let handled = shard.handle(vec![feed_event(3, &events[1])]).await;
    assert_eq!((handled.durable_through, bench.view_version("payment-p-1")), (through(3), 3));
    assert_eq!(bench.storage.reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_store_does_not_hold_is_poison() {
    let bench = Bench::new(1);
    let events = payment("p-1", 4);
    bench.store(&events[..2]);
    let mut shard = bench.shard();
    shard.handle(vec![feed_event(1, &events[3])]).await;
    bench.test.platform.sleep(Duration::from_millis(500)).await;
    let handled = shard.handle(Vec::new()).await;
    assert_eq!(handled.durable_through, through(1));
    let parked = bench.parked("payment-p-1").unwrap();
    assert_eq!((parked.reason, parked.first_version, parked.last_version), {
        (ParkReason::Poison, Some(Version(3)), Some(Version(4)))
    });
    assert_eq!(bench.view_version("payment-p-1"), 2, "what was there was taken in");
}

#[tokio::test(start_paused = true)]
async fn outcomes_of_a_write_are_settled_by_version() {
    use WriteFate::{AnswerLost, AppliedLate, AppliedThenHangs, Contended, Hangs, NotSent, RequestLost, Throttled};
    for (fates, writes) in [
        (vec![AnswerLost], 1),
        (vec![AppliedThenHangs], 1),
        (vec![AppliedLate { calls: 1 }], 1),
        (vec![RequestLost], 2),
        (vec![Hangs], 2),
        (vec![Throttled, NotSent], 3),
        (vec![Contended, AnswerLost], 2),
        (vec![Throttled, RequestLost, AnswerLost], 3),
    ] {
        let bench = Bench::new(1);
        bench.views.script_writes(fates.iter().copied());
        let handled = bench.shard().handle(feed(&payment("p-1", 2))).await;
        assert_eq!(handled.durable_through, through(2), "{fates:?}");
        assert_eq!((bench.view_version("payment-p-1"), bench.views.asked().len()), (2, writes), "{fates:?}");
        assert_eq!(bench.views.applied().len(), 1, "{fates:?}");
        assert_eq!(bench.parking.entries(), vec![], "{fates:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_that_someone_else_wrote_is_read_again() {
    let bench = Bench::new(1);
    let events = payment("p-1", 4);
    let mut shard = bench.shard();
    shard.handle(feed(&events[..1])).await;
    let other = Bench::new(2);
    other.shard().handle(feed(&events[..3])).await;
    bench.views.tamper(|views| *views = other.views.views());
    let handled = shard.handle(vec![feed_event(2, &events[1]), feed_event(3, &events[2])]).await;
    assert_eq!((handled.durable_through, bench.view_version("payment-p-1")), (through(3), 3));
    assert_eq!(bench.views.applied().len(), 1, "the refused write changed nothing");
    shard.handle(vec![feed_event(4, &events[3])]).await;
    assert_eq!(bench.view_version("payment-p-1"), 4);
}

#[tokio::test(start_paused = true)]
async fn three_attempts_and_then_the_aggregate_waits() {
    let bench = Bench::new(1);
    let (events, other) = (payment("p-1", 3), order("o-1", false));
    bench.store(&events);
    bench.views.script_writes([WriteFate::Throttled, WriteFate::RequestLost, WriteFate::Throttled]);
    let mut shard = bench.shard();
    let handled = shard.handle(vec![feed_event(1, &events[0])]).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (through(1), true));
    assert_eq!(bench.views.asked().len(), 3);
    let parked = bench.parked("payment-p-1").unwrap();
    assert_eq!(
        (parked.reason, parked.attempts, parked.first_version, parked.last_version, parked.body),
        (
            ParkReason::AttemptsExhausted,
            3,
            Some(Version(1)),
            Some(Version(1)),
            serde_json::to_string(&events[0]).unwrap()
        )
    );

    let handled = shard.handle(vec![feed_event(2, &other[0]), feed_event(3, &events[1])]).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (through(3), true));
    assert_eq!(bench.view_version("payment-p-1"), 0, "later events wait with the parked one");
    let parked = bench.parked("payment-p-1").unwrap();
    assert_eq!((parked.first_version, parked.last_version), (Some(Version(1)), Some(Version(2))));

    assert_eq!(bench.projection.replay(&events[0].stream, Version(1)).await, Ok(Version(3)));
    bench.parking.release("projection", "payment-p-1", parked.counter).await.unwrap();
    let handled = shard.handle(vec![feed_event(4, &events[2])]).await;
    assert_eq!((handled.durable_through, bench.view_version("payment-p-1")), (through(4), 3));
    assert_eq!(bench.parking.entries(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn what_another_owner_parked_is_known_from_the_lot() {
    let bench = Bench::new(1);
    let events = payment("p-1", 2);
    bench.views.script_writes([WriteFate::Rejected]);
    bench.shard().handle(vec![feed_event(1, &events[0])]).await;
    let writes = bench.views.asked().len();
    let handled = bench.shard().handle(vec![feed_event(2, &events[1])]).await;
    assert_eq!((handled.durable_through, bench.views.asked().len()), (through(2), writes));
    assert_eq!(bench.parked("payment-p-1").unwrap().last_version, Some(Version(2)));
}

#[tokio::test(start_paused = true)]
async fn poison_parks_its_aggregate_with_its_body_and_nothing_else() {
    let (events, cart_like) = (payment("p-1", 3), order("o-1", false));
    let mut unknown_type = events[1].clone();
    unknown_type.event_type = "PaymentVanished".to_owned();
    unknown_type.hash = nexus_event_store::event_hash(&unknown_type);
    let mut changed = events[1].clone();
    changed.payload = changed.payload.replace('1', "9");
    for (body, key, first, waits) in [
        (serde_json::to_string(&unknown_type).unwrap(), "payment-p-1", Some(2), true),
        (serde_json::to_string(&changed).unwrap(), "payment-p-1", Some(2), true),
        ("garbage".to_owned(), "payment-p-1", None, false),
        ("garbage".to_owned(), "no stream at all", None, false),
    ] {
        let bench = Bench::new(1);
        bench.store(&events);
        let mut shard = bench.shard();
        let records = vec![
            feed_event(1, &events[0]),
            feed_record(2, key, body.as_bytes()),
            feed_event(3, &events[2]),
            feed_event(4, &cart_like[0]),
        ];
        let handled = shard.handle(records).await;
        assert_eq!(bench.view_version("order-o-1"), 1, "others flow");
        let parked = bench.parked(key).unwrap();
        assert_eq!((parked.reason, &parked.body), (ParkReason::Poison, &body));
        assert_eq!(parked.first_version, first.map(Version));
        if waits {
            assert_eq!((handled.durable_through, parked.last_version), (through(4), Some(Version(3))));
            assert_eq!(bench.view_version("payment-p-1"), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_durable_while_the_parking_lot_does_not_answer() {
    let bench = Bench::new(1);
    let events = payment("p-1", 1);
    bench.parking.script_writes([WriteFate::Throttled; 3]);
    bench.parking.script_reads([ReadFate::Answered, ReadFate::Answered, ReadFate::Answered]);
    let mut shard = bench.shard();
    let handled = shard.handle(vec![feed_record(1, "payment-p-1", "garbage"), feed_event(2, &events[0])]).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (None, false));
    assert!(handled.call_again_after.is_some());
    assert_eq!(bench.parking.entries(), vec![]);
    let handled = shard.handle(Vec::new()).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (through(2), true));
    assert_eq!((bench.parking.entries().len(), handled.call_again_after), (1, None));
}

#[tokio::test(start_paused = true)]
async fn no_record_is_worked_on_before_the_parked_are_known() {
    let bench = Bench::new(1);
    bench.parking.script_reads([ReadFate::NoAnswer, ReadFate::Hangs, ReadFate::Throttled]);
    let mut shard = bench.shard();
    let handled = shard.handle(feed(&payment("p-1", 1))).await;
    assert_eq!((handled.durable_through, handled.accepts_more, bench.views.reads()), (None, false, 0));
    let handled = shard.handle(Vec::new()).await;
    assert_eq!(handled.durable_through, through(1));
}

#[tokio::test(start_paused = true)]
async fn an_outage_parks_few_aggregates() {
    let bench = Bench::new(1);
    bench.views.script_writes([WriteFate::NotSent; 400]);
    let events: Vec<_> = (0..100).flat_map(|number| payment(&format!("p-{number}"), 1)).collect();
    bench.store(&events);
    let mut shard = bench.shard();
    let mut handled = shard.handle(feed(&events)).await;
    let begun = bench.test.platform.monotonic();
    while bench.test.platform.monotonic().since(begun) < Duration::from_secs(30) {
        assert!(!handled.accepts_more);
        bench.test.platform.sleep(handled.call_again_after.unwrap()).await;
        handled = shard.handle(Vec::new()).await;
    }
    let parked = bench.parking.entries().len();
    assert!(parked <= 16 + 15, "{parked} of 100 parked in 30 s");
    bench.views.settle();
    bench.test.platform.sleep(handled.call_again_after.unwrap()).await;
    let handled = shard.handle(Vec::new()).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (through(100), true));
    assert_eq!(bench.views.views().len() + bench.parking.entries().len(), 100);
}

/// The only aggregate was parked for the outage: nothing is left to find out with that the outage is over.
#[tokio::test(start_paused = true)]
async fn reading_goes_on_once_everything_that_an_outage_stopped_is_parked() {
    let bench = Bench::new(1);
    bench.views.script_writes([WriteFate::NotSent; 3]);
    let mut shard = bench.shard();
    let handled = shard.handle(feed(&payment("p-1", 1))).await;
    assert!(bench.parked("payment-p-1").is_some());
    assert_eq!((handled.durable_through, handled.call_again_after, handled.accepts_more), (through(1), None, true));
    let events = payment("p-2", 2);
    let handled = shard.handle(vec![feed_event(2, &events[0]), feed_event(3, &events[1])]).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (through(3), true));
    assert_eq!(bench.view_version("payment-p-2"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_number_of_records_is_kept_back() {
    let bench = Bench::with(1, ProjectionSettings { kept_back_max: 3, ..ProjectionSettings::default() });
    let events = payment("p-1", 5);
    let mut shard = bench.shard();
    let handled = shard.handle(vec![feed_event(1, &events[2]), feed_event(2, &events[3])]).await;
    assert!(handled.accepts_more);
    let handled = shard.handle(vec![feed_event(3, &events[4])]).await;
    assert!(!handled.accepts_more);
    let handled = shard.handle(vec![feed_event(4, &events[0]), feed_event(5, &events[1])]).await;
    assert_eq!((handled.durable_through, handled.accepts_more), (through(5), true));
}

#[tokio::test(start_paused = true)]
async fn a_replay_goes_from_the_view_to_the_end_of_the_stream() {
    let bench = Bench::new(1);
    let events = payment("p-1", 7);
    bench.store(&events);
    bench.storage.page_by(2);
    bench.shard().handle(feed(&events[..2])).await;
    let stream = &events[0].stream;
    bench.storage.script_reads([ReadFate::Throttled, ReadFate::Hangs]);
    assert_eq!(bench.projection.replay(stream, Version(5)).await, Ok(Version(7)));
    assert_eq!(bench.view_version("payment-p-1"), 7);
    assert_eq!(bench.projection.replay(stream, Version(1)).await, Ok(Version(7)), "again, without harm");
    let unknown = "payment-unknown".parse().unwrap();
    assert_eq!(bench.projection.replay(&unknown, Version(1)).await, Ok(Version::START));
}

#[tokio::test(start_paused = true)]
async fn a_replay_says_what_stopped_it() {
    let bench = Bench::new(1);
    let mut events = payment("p-1", 5);
    events[3].payload = "{}".to_owned();
    bench.store(&events);
    let stream = &events[0].stream;
    let failure = bench.projection.replay(stream, Version(1)).await.unwrap_err();
    assert!(matches!(&failure, ReplayFailure::Poison { version: Version(4), .. }), "{failure}");
    assert_eq!(bench.view_version("payment-p-1"), 3);

    bench.storage.tamper(|stored| {
        stored.remove(&(stream.clone(), Version(4)));
    });
    let failure = bench.projection.replay(stream, Version(1)).await.unwrap_err();
    assert!(matches!(&failure, ReplayFailure::Poison { version: Version(4), .. }), "{failure}");

    bench.storage.script_reads([ReadFate::NoAnswer; 3]);
    let failure = bench.projection.replay(stream, Version(1)).await.unwrap_err();
    assert!(matches!(&failure, ReplayFailure::Interrupted { reached: Version(3), .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn an_emptied_read_model_is_built_anew_by_a_replay() {
    let bench = Bench::new(1);
    let events = payment("p-1", 3);
    bench.store(&events);
    for known in [2, 3] {
        bench.shard().handle(feed(&events[..known])).await;
        bench.views.tamper(|views| views.clear());
        assert_eq!(bench.projection.replay(&events[0].stream, Version(3)).await, Ok(Version(3)));
        assert_eq!(bench.view_version("payment-p-1"), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn an_emptied_read_model_is_built_anew_when_the_next_event_comes() {
    let bench = Bench::new(1);
    let events = payment("p-1", 3);
    bench.store(&events);
    let mut shard = bench.shard();
    shard.handle(feed(&events[..2])).await;
    bench.views.tamper(|views| views.clear());
    shard.handle(vec![feed_event(3, &events[2])]).await;
    bench.test.platform.sleep(Duration::from_millis(500)).await;
    let handled = shard.handle(Vec::new()).await;
    assert_eq!((handled.durable_through, bench.view_version("payment-p-1")), (through(3), 3));
    assert_eq!(bench.parking.entries(), vec![]);
}

/// A worker that was paused beyond its lease and the one that took over work on the same records at the same time.
#[tokio::test(start_paused = true)]
async fn two_workers_on_one_shard_end_in_one_view() {
    let bench = Bench::new(1);
    let other = bench.beside(2);
    let events: Vec<_> = (0..5).flat_map(|number| payment(&format!("p-{number}"), 6)).collect();
    bench.store(&events);
    bench.views.script_writes([
        WriteFate::AppliedLate { calls: 3 },
        WriteFate::AnswerLost,
        WriteFate::Throttled,
        WriteFate::RequestLost,
    ]);
    let (mut zombie, mut owner) = (bench.shard(), other.begin_shard("shard-0", 2, ""));
    for chunk in feed(&events).chunks(4) {
        let (one, two) = tokio::join!(zombie.handle(chunk.to_vec()), owner.handle(chunk.to_vec()));
        let last = chunk.last().map(|record| record.sequence_number.clone());
        assert_eq!((one.durable_through, two.durable_through), (last.clone(), last));
    }
    bench.views.settle();
    let mut positions = std::collections::BTreeMap::new();
    for view in bench.views.applied() {
        assert!(positions.insert(view.stream.clone(), view.version) < Some(view.version), "{} went back", view.stream);
    }
    for (stream, expected) in expected_views(&events) {
        let view = bench.views.view(&stream.parse().unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&view.body).unwrap(), expected);
    }
    assert_eq!(bench.parking.entries(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn a_view_that_cannot_be_read_is_left_for_people() {
    let bench = Bench::new(1);
    let events = payment("p-1", 2);
    bench.shard().handle(feed(&events[..1])).await;
    bench.views.tamper(|views| views.values_mut().for_each(|view| view.body = "{}".to_owned()));
    let fresh = Bench::new(2);
    fresh.views.tamper(|views| *views = bench.views.views());
    fresh.shard().handle(vec![feed_event(1, &events[1])]).await;
    let parked = fresh.parked("payment-p-1").unwrap();
    assert_eq!((parked.reason, parked.attempts), (ParkReason::Poison, 1));
    assert!(parked.detail.contains("cannot be read"), "{}", parked.detail);
    assert_eq!(fresh.views.asked().len(), 0);
}
