//! What is parked, and how it is accounted for.

use super::*;

#[test]
fn the_third_failed_attempt_parks_whatever_the_failures_were() {
    for (name, failure) in [("throttled", throttled()), ("unknown", EntryFailure::Unknown(unknown()))] {
        let mut bench = Bench::new(Vec::new());
        // A second aggregate keeps the call from failing as a whole.
        let others = (1..=3).map(|version| record(version + 10, &event("order-b", version)));
        bench.accept(std::iter::once(record(1, &event("order-a", 1))).chain(others).collect());
        for attempt in 1..=3 {
            let batch = bench.put();
            assert_eq!(batch[0], carried(&[("order-a", 1)])[0], "{name} {attempt}");
            bench.answer_put(batch, Ok(vec![Err(failure.clone()), Ok(())]));
            bench.pass(1_000);
        }
        let calls = bench.calls();
        let [Call::Park(parked)] = calls.as_slice() else { panic!("{name}: {calls:?}") };
        assert_eq!((parked.reason, parked.attempts), (ParkReason::AttemptsExhausted, 3), "{name}");
        assert_eq!((parked.first_version, parked.last_version), (Some(Version(1)), Some(Version(1))), "{name}");
        assert_eq!(parked.body, serde_json::to_string(&event("order-a", 1)).unwrap(), "{name}");
        assert_eq!(bench.durable(), None, "{name}: not before the parking lot answered");
        bench.parking_written(&calls[0], Ok(()));
        assert_eq!(bench.durable(), Some(13), "{name}");
    }
}

#[test]
fn poison_parks_at_once_and_only_its_own_aggregate() {
    let damaged = {
        let mut damaged = event("order-a", 3);
        damaged.payload = damaged.payload.replace("DHL", "UPS");
        damaged
    };
    let unknown_type = sealed(EventRecord { event_type: "EmailSent".to_owned(), ..event("order-a", 3) });
    let no_json = sealed(EventRecord { payload: "{".to_owned(), ..event("order-a", 3) });
    let unreadable = r#"{"stream":"order-a","version":3}"#;
    let table: [(&str, FeedRecord, Option<&str>); 5] = [
        ("against its schema", record(1, &invalid_event("order-a", 3)), Some("OrderShipped")),
        ("wrong hash", record(1, &damaged), Some("OrderShipped")),
        ("unknown type", record(1, &unknown_type), None),
        ("payload is no JSON", record(1, &no_json), Some("OrderShipped")),
        ("not an event, but telling its version", raw_record(1, "order-a", unreadable), None),
    ];
    for (name, poison, event_type) in table {
        let mut bench = Bench::cold("nexus-router-memory-1\norder-a 1 2\n");
        bench.routing.answered(Answer::ParkedList(Ok(Vec::new())), bench.now);
        let body = String::from_utf8(poison.body.clone()).unwrap();
        bench.accept(vec![poison, record(2, &event("order-a", 4)), record(3, &event("order-b", 1))]);
        let calls = bench.calls();
        let [Call::Park(parked), Call::Put { carried: put, .. }] = calls.as_slice() else {
            panic!("{name}: {calls:?}")
        };
        assert_eq!(*put, carried(&[("order-b", 1)]), "{name}");
        assert_eq!((parked.reason, parked.attempts, parked.counter), (ParkReason::Poison, 0, 1), "{name}");
        assert_eq!((parked.first_version, parked.last_version), (Some(Version(3)), Some(Version(4))), "{name}");
        assert_eq!((&parked.body, parked.parked_at_ms), (&body, 7), "{name}");
        let failed = Note::ValidationFailed { event_type: event_type.map(str::to_owned) };
        assert_eq!(bench.routing.notes, [failed], "{name}");
        bench.parking_written(&calls[0], Ok(()));
        assert_eq!(bench.durable(), Some(2), "{name}: event 4 is accounted for by the entry");
        bench.accepted(put.clone());
        assert_eq!(bench.durable(), Some(3), "{name}");
    }
}

#[test]
fn a_record_without_a_version_parks_the_aggregate_from_its_beginning() {
    for body in ["\u{0}garbage", r#"{"stream":"order-b","version":3}"#] {
        let mut bench = Bench::new(Vec::new());
        bench.accept(vec![raw_record(1, "order-a", body), record(2, &event("order-a", 4))]);
        let calls = bench.calls();
        let [Call::Park(parked)] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!((parked.first_version, parked.last_version), (None, Some(Version(4))));
        assert_eq!(parked.body, body);
        bench.parking_written(&calls[0], Ok(()));
        assert_eq!(bench.durable(), Some(2));
    }
}

#[test]
fn bytes_that_are_no_text_are_parked_as_base64() {
    let mut bench = Bench::new(Vec::new());
    let record = FeedRecord { body: vec![0xff, 0x00], ..raw_record(1, "order-a", "") };
    bench.accept(vec![record]);
    let calls = bench.calls();
    let [Call::Park(parked)] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(parked.body, "/wA=");
}

#[test]
fn what_is_parked_fits_into_an_item_of_400_kb() {
    let long = "ä".repeat(400 * 1024);
    let bytes = vec![0xff; 800 * 1024];
    for (key, body) in [("", long.as_bytes()), (long.as_str(), &bytes), ("order-a", b"")] {
        let mut bench = Bench::new(Vec::new());
        bench.accept(vec![FeedRecord { body: body.to_vec(), ..raw_record(1, key, "") }]);
        let calls = bench.calls();
        let [Call::Park(parked)] = calls.as_slice() else { panic!("{calls:?}") };
        assert!((1..=1_024).contains(&parked.key.len()), "{}", parked.key.len());
        let bytes = parked.body.len() + parked.detail.len() + parked.key.len();
        assert!(bytes < 390_000, "{bytes}");
        assert!(parked.body.len() > 300 * 1024 || body.is_empty(), "no more is cut off than must be");
        bench.parking_written(&calls[0], Ok(()));
        assert_eq!(bench.durable(), Some(1));
    }
}

#[test]
fn an_entry_that_the_service_rejects_is_poison() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![record(1, &event("order-a", 1)), record(2, &event("order-b", 1))]);
    let batch = bench.put();
    bench.answer_put(batch, Ok(vec![Err(EntryFailure::Rejected(rejected())), Ok(())]));
    let calls = bench.calls();
    let [Call::Park(parked)] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((parked.key.as_str(), parked.reason, parked.attempts), ("order-a", ParkReason::Poison, 1));
}

#[test]
fn later_events_of_a_parked_aggregate_raise_its_entry() {
    // What waits, the entry before, the entry after.
    let table: [(&[u64], ParkedAggregate, Option<ParkedAggregate>); 4] = [
        (&[6, 7], entry("order-a", Some(5), Some(5), 3), Some(entry("order-a", Some(5), Some(7), 4))),
        (&[5], entry("order-a", Some(5), Some(6), 3), None),
        (&[4], entry("order-a", Some(5), Some(6), 3), Some(entry("order-a", Some(4), Some(6), 4))),
        (&[2], entry("order-a", None, None, 1), Some(entry("order-a", None, Some(2), 2))),
    ];
    for (versions, before, after) in table {
        let mut bench = Bench::new(vec![before.clone()]);
        let records = versions.iter().zip(1..).map(|(version, position)| record(position, &event("order-a", *version)));
        bench.accept(records.collect());
        let calls = bench.calls();
        match after {
            Some(after) => {
                assert_eq!(calls, [Call::Raise { expected_counter: before.counter, raised: Box::new(after) }]);
                assert_eq!(bench.durable(), None);
                bench.parking_written(&calls[0], Ok(()));
            }
            None => assert_eq!(calls, []),
        }
        assert_eq!(bench.durable(), Some(versions.len() as u64), "{versions:?}");
    }
}

#[test]
fn a_refused_or_unknown_raise_is_read_back() {
    let before = entry("order-a", Some(5), Some(5), 3);
    let refused = || WriteFailure::Refused(ParkingMoved);
    let lost = || WriteFailure::Unknown(unknown());
    // How the raise ended, what is read back, what comes next.
    enum Next {
        Durable,
        RaiseFrom(u64),
        Route,
    }
    let table = [
        ("lost, applied", lost(), Some(entry("order-a", Some(5), Some(6), 4)), Next::Durable),
        ("lost, not applied", lost(), Some(before.clone()), Next::RaiseFrom(3)),
        ("lost, then released", lost(), None, Next::Route),
        (
            "moved by another attempt of the releaser",
            refused(),
            Some(entry("order-a", Some(5), Some(5), 9)),
            Next::RaiseFrom(9),
        ),
        ("released", refused(), None, Next::Route),
    ];
    for (name, failure, read, next) in table {
        let mut bench = Bench::new(vec![before.clone()]);
        bench.accept(vec![record(1, &event("order-a", 6))]);
        let calls = bench.calls();
        bench.parking_written(&calls[0], Err(failure));
        assert_eq!(bench.durable(), None, "{name}");
        bench.pass(5_000);
        assert_eq!(bench.calls(), [Call::ReadParked { key: "order-a".to_owned() }], "{name}");
        let read = Answer::ParkedRead { key: "order-a".to_owned(), outcome: Ok(read) };
        bench.routing.answered(read, bench.now);
        match (next, bench.calls().as_slice()) {
            (Next::Durable, []) => assert_eq!(bench.durable(), Some(1), "{name}"),
            (Next::RaiseFrom(counter), [Call::Raise { expected_counter, .. }]) => {
                assert_eq!(*expected_counter, counter, "{name}");
            }
            (Next::Route, [Call::Put { carried: put, .. }]) => {
                assert_eq!(*put, carried(&[("order-a", 6)]), "{name}: the release worked off event 5");
            }
            (_, calls) => panic!("{name}: {calls:?}"),
        }
    }
}

#[test]
fn a_silent_parking_lot_keeps_everything_back_and_stops_the_reading() {
    let mut bench = Bench::cold("");
    bench.accept(vec![record(1, &event("order-a", 1))]);
    assert_eq!(bench.calls(), [Call::ListParked], "nothing is routed before the list is there");
    assert_eq!(bench.calls(), []);
    bench.routing.answered(Answer::ParkedList(Err(unknown().into())), bench.now);
    let standing = bench.routing.standing();
    assert!(!standing.accepts_more);
    assert_eq!(bench.calls(), []);
    assert_eq!(bench.routing.standing().wake, Some(Monotonic(bench.now.0 + Duration::from_millis(250))));
    bench.pass(250);
    assert_eq!(bench.calls(), [Call::ListParked]);
    bench.routing.answered(Answer::ParkedList(Ok(Vec::new())), bench.now);
    assert!(bench.routing.standing().accepts_more);
    assert_eq!(bench.put(), carried(&[("order-a", 1)]));
}

#[test]
fn an_event_larger_than_its_destination_takes_is_poison() {
    for (stream, bytes, is_poison) in [
        ("cart-a", 255 * 1024, false),
        ("cart-a", 257 * 1024, true),
        ("order-a", 1023 * 1024, false),
        ("order-a", 1025 * 1024, true),
    ] {
        let mut large = event(stream, 1);
        large.envelope.correlation_id = "x".repeat(bytes);
        let mut bench = Bench::new(Vec::new());
        bench.accept(vec![record(1, &sealed(large))]);
        let calls = bench.calls();
        assert_eq!(matches!(calls.as_slice(), [Call::Park(_)]), is_poison, "{stream} {bytes}");
        assert_eq!(matches!(calls.as_slice(), [Call::Put { .. }]), !is_poison, "{stream} {bytes}");
    }
}

#[test]
fn a_release_that_went_on_in_steps_leaves_no_gap_behind() {
    let mut bench = Bench::cold("nexus-router-memory-1\norder-a 1 4\n");
    bench.routing.answered(Answer::ParkedList(Ok(vec![entry("order-a", Some(5), Some(8), 1)])), bench.now);
    bench.accept(vec![record(1, &event("order-a", 9))]);
    let calls = bench.calls();
    bench.parking_written(&calls[0], Err(WriteFailure::Refused(ParkingMoved)));
    bench.calls();
    // The releaser came as far as event 6 and moved the entry on; then it released it.
    for found in [Some(entry("order-a", Some(7), Some(8), 99)), None] {
        let read = Answer::ParkedRead { key: "order-a".to_owned(), outcome: Ok(found) };
        bench.routing.answered(read, bench.now);
        if let [raise @ Call::Raise { .. }] = bench.calls().as_slice() {
            bench.parking_written(raise, Err(WriteFailure::Refused(ParkingMoved)));
            assert_eq!(bench.calls(), [Call::ReadParked { key: "order-a".to_owned() }]);
        }
    }
    let batch = bench.routing.next_calls(bench.now, UnixTime::from_millis(7));
    assert_eq!(batch, [], "the put began already");
    bench.accepted(carried(&[("order-a", 9)]));
    assert_eq!(bench.routing.standing().memory, "nexus-router-memory-1\norder-a 1 9\n");
}
