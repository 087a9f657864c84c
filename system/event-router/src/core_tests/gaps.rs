//! Versions that come too early, twice or late.

use super::*;

#[test]
fn versions_seen_before_are_durable_at_once() {
    let mut bench = Bench::cold("nexus-router-memory-1\norder-a 2 4\n");
    bench.routing.answered(Answer::ParkedList(Ok(Vec::new())), bench.now);
    bench.accept(vec![
        record(1, &event("order-a", 3)),
        record(2, &event("order-a", 5)),
        record(3, &event("order-a", 5)),
    ]);
    assert_eq!(bench.durable(), Some(1));
    let batch = bench.put();
    assert_eq!(batch, carried(&[("order-a", 5)]));
    bench.accepted(batch);
    assert_eq!(bench.durable(), Some(3), "both records of event 5");
    assert_eq!(bench.routing.standing().memory, "nexus-router-memory-1\norder-a 2 5\n");
}

#[test]
fn a_version_older_than_everything_remembered_is_routed_late_rather_than_dropped() {
    let mut bench = Bench::cold("nexus-router-memory-1\norder-a 4 4\n");
    bench.routing.answered(Answer::ParkedList(Ok(Vec::new())), bench.now);
    bench.accept(vec![record(1, &event("order-a", 3))]);
    let batch = bench.put();
    bench.accepted(batch);
    assert_eq!(bench.routing.standing().memory, "nexus-router-memory-1\norder-a 3 4\n");
}

#[test]
fn a_gap_is_waited_out_and_closed_by_its_records() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![record(1, &event("order-a", 1)), record(2, &event("order-a", 3))]);
    let batch = bench.put();
    bench.accepted(batch);
    assert_eq!(bench.calls(), []);
    assert_eq!(bench.routing.standing().wake, Some(Monotonic(bench.now.0 + Duration::from_millis(500))));
    bench.pass(499);
    assert_eq!(bench.calls(), []);
    bench.accept(vec![record(3, &event("order-a", 2))]);
    for version in [2, 3] {
        let batch = bench.put();
        assert_eq!(batch, carried(&[("order-a", version)]));
        bench.accepted(batch);
    }
    assert_eq!(bench.durable(), Some(3));
}

#[test]
fn a_gap_that_stays_is_closed_from_the_event_store() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![record(1, &event("order-a", 1)), record(2, &event("order-a", 4))]);
    let batch = bench.put();
    bench.accepted(batch);
    bench.routing.notes.clear();
    assert_eq!(bench.calls(), []);
    bench.pass(500);
    let stream: StreamName = "order-a".parse().unwrap();
    let read = Call::ReadEvents { stream: stream.clone(), after: Version(1) };
    assert_eq!(bench.calls(), std::slice::from_ref(&read));
    let failed = Answer::Events { stream: stream.clone(), outcome: Err(unknown().into()) };
    bench.routing.answered(failed, bench.now);
    assert_eq!(bench.calls(), []);
    bench.pass(250);
    assert_eq!(bench.calls(), [read]);
    let page =
        EventPage { events: vec![event("order-a", 2), event("order-a", 3), event("order-a", 4)], has_more: false };
    bench.routing.answered(Answer::Events { stream, outcome: Ok(page) }, bench.now);
    assert_eq!(bench.routing.notes, [Note::GapRepaired { events: 2 }]);
    for version in [2, 3, 4] {
        let batch = bench.put();
        assert_eq!(batch, carried(&[("order-a", version)]));
        bench.accepted(batch);
    }
    assert_eq!(bench.durable(), Some(2));
}

#[test]
fn an_aggregate_with_an_event_that_is_lost_even_to_the_store_waits_for_it() {
    for stored in [vec![event("order-a", 5)], vec![event("order-a", 3), event("order-a", 4), event("order-a", 5)]] {
        let mut bench = Bench::new(Vec::new());
        bench.accept(vec![record(1, &event("order-a", 1)), record(2, &event("order-a", 5))]);
        let batch = bench.put();
        bench.accepted(batch);
        bench.calls();
        bench.pass(500);
        bench.calls();
        let page = EventPage { events: stored, has_more: false };
        let stream = "order-a".parse().unwrap();
        bench.routing.answered(Answer::Events { stream, outcome: Ok(page) }, bench.now);
        let calls = bench.calls();
        let [Call::Park(parked)] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!((parked.first_version, parked.last_version), (Some(Version(2)), Some(Version(5))));
        assert_eq!(parked.reason, ParkReason::Poison);
        assert!(parked.detail.contains("version 2"), "{}", parked.detail);
        bench.parking_written(&calls[0], Ok(()));
        assert_eq!(bench.durable(), Some(2));
    }
}

#[test]
fn a_cold_aggregate_is_looked_at_for_recent_predecessors() {
    let aged = |version, recorded_at_ms| sealed(EventRecord { recorded_at_ms, ..event("order-a", version) });
    // What is stored before event 5, which was recorded at 100,000 ms; what goes first.
    let table: [(&str, Vec<EventRecord>, &[u64]); 4] = [
        ("old ones", vec![aged(3, 1_000), aged(4, 80_000)], &[5]),
        ("one recent", vec![aged(3, 1_000), aged(4, 99_000)], &[4, 5]),
        ("recent by a clock that runs ahead", vec![aged(3, 95_000), aged(4, 101_000)], &[3, 4, 5]),
        ("none", vec![], &[5]),
    ];
    for (name, stored, wanted) in table {
        let mut bench = Bench::new(Vec::new());
        bench.accept(vec![record(1, &aged(5, 100_000))]);
        let stream: StreamName = "order-a".parse().unwrap();
        assert_eq!(bench.calls(), [Call::ReadEvents { stream: stream.clone(), after: Version::START }], "{name}");
        let page = EventPage { events: stored, has_more: true };
        bench.routing.answered(Answer::Events { stream, outcome: Ok(page) }, bench.now);
        for version in wanted {
            let batch = bench.put();
            assert_eq!(batch, carried(&[("order-a", *version)]), "{name}");
            bench.accepted(batch);
        }
        assert_eq!(bench.durable(), Some(1), "{name}");
    }
}

#[test]
fn what_this_process_knows_from_elsewhere_spares_the_look() {
    for (memory, first, last) in [("", 1, 4), ("nexus-router-memory-1\norder-a 1 2\n", 3, 4)] {
        let mut bench = Bench::cold(memory);
        bench.routing.answered(Answer::ParkedList(Ok(Vec::new())), bench.now);
        let elsewhere = Span { first: Version(first), last: Version(last) };
        let records = vec![record(1, &event("order-a", 5)), record(2, &event("order-a", 4))];
        bench.routing.accept(records, &|_| Some(elsewhere));
        assert_eq!(bench.put(), carried(&[("order-a", 5)]), "{memory:?}");
    }
}

#[test]
fn a_record_read_twice_counts_once() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![record(1, &event("order-a", 1)), record(1, &event("order-a", 1))]);
    let batch = bench.put();
    bench.accepted(batch);
    assert_eq!(bench.durable(), Some(1));
    bench.accept(vec![record(1, &event("order-a", 1))]);
    assert_eq!(bench.calls(), []);
    assert_eq!(bench.routing.standing().durable_through, Some(number(1)));
}
