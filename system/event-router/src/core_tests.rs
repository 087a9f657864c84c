//! Records, answers and time in; calls and positions out.

use std::{sync::Arc, time::Duration};

use nexus_governance::SchemaValidator;
use nexus_ports::{
    CallFailure, EntryFailure, EventPage, FeedRecord, Monotonic, NotSent, ParkReason, ParkedAggregate, ParkingMoved,
    Rejected, Throttled, UnixTime, UnknownOutcome, Version, WriteFailure,
};

use crate::{
    RouterSettings,
    calls::{Answer, Batch, Call, Carried},
    events::{event, invalid_event, number, raw_record, record},
    examine::Examiner,
    notes::Note,
    routing::Routing,
};

/// A routing with a clock that the test moves, and jitter that always draws the whole bound.
struct Bench {
    routing: Routing,
    now: Monotonic,
}

impl Bench {
    fn cold(memory: &str) -> Self {
        let settings = RouterSettings::default();
        let examiner = Examiner::new(Arc::new(SchemaValidator::from_catalogue().unwrap()), &settings);
        let routing = Routing::new(settings, examiner, Box::new(|_, _| 1.0), memory);
        Self { routing, now: Monotonic(Duration::from_secs(1)) }
    }

    /// With the parking lot listed.
    fn new(parked: Vec<ParkedAggregate>) -> Self {
        let mut bench = Self::cold("");
        bench.routing.answered(Answer::ParkedList(Ok(parked)), bench.now);
        bench
    }

    fn accept(&mut self, records: Vec<FeedRecord>) {
        self.routing.accept(records, &|_| None);
    }

    fn calls(&mut self) -> Vec<Call> {
        self.routing.next_calls(self.now, UnixTime::from_millis(7))
    }

    /// The only call, a put: what it carries.
    fn put(&mut self) -> Vec<Carried> {
        match self.calls().as_slice() {
            [Call::Put { carried, .. }] => carried.clone(),
            other => panic!("one put is wanted, not {other:?}"),
        }
    }

    fn answer_put(&mut self, carried: Vec<Carried>, outcome: Result<Vec<Result<(), EntryFailure>>, CallFailure>) {
        let destination =
            if carried[0].key.starts_with("order") { crate::Destination::Core } else { crate::Destination::Background };
        self.routing.answered(Answer::Put { destination, carried, outcome }, self.now);
    }

    fn accepted(&mut self, carried: Vec<Carried>) {
        let outcome = carried.iter().map(|_| Ok(())).collect();
        self.answer_put(carried, Ok(outcome));
    }

    fn parking_written(&mut self, call: &Call, outcome: Result<(), WriteFailure<ParkingMoved>>) {
        let (Call::Park(written) | Call::Raise { raised: written, .. }) = call else { panic!("{call:?}") };
        self.routing.answered(Answer::ParkingWritten { written: written.clone(), outcome }, self.now);
    }

    fn pass(&mut self, ms: u64) {
        self.now = Monotonic(self.now.0 + Duration::from_millis(ms));
    }

    /// The durable position as the number it was made of.
    fn durable(&mut self) -> Option<u64> {
        self.routing.standing().durable_through.map(|number| number.as_str().parse().unwrap())
    }
}

fn carried(list: &[(&str, u64)]) -> Vec<Carried> {
    list.iter().map(|(key, version)| Carried { key: (*key).to_owned(), version: Version(*version) }).collect()
}

fn throttled() -> EntryFailure {
    EntryFailure::Throttled(Throttled { code: "Test".to_owned() })
}

fn unknown() -> UnknownOutcome {
    UnknownOutcome { reason: "test".to_owned() }
}

fn rejected() -> Rejected {
    Rejected { code: "Test".to_owned(), message: "no".to_owned() }
}

fn not_sent() -> CallFailure {
    CallFailure::NotSent(NotSent { reason: "test".to_owned() })
}

fn entry(key: &str, first: Option<u64>, last: Option<u64>, counter: u64) -> ParkedAggregate {
    ParkedAggregate {
        consumer: "router".to_owned(),
        key: key.to_owned(),
        first_version: first.map(Version),
        last_version: last.map(Version),
        body: String::new(),
        reason: ParkReason::Poison,
        detail: String::new(),
        attempts: 0,
        parked_at_ms: 0,
        counter,
    }
}

#[test]
fn one_event_of_an_aggregate_is_under_way_at_a_time_and_others_share_its_batch() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![
        record(1, &event("order-a", 1)),
        record(2, &event("order-a", 2)),
        record(3, &event("order-b", 1)),
    ]);
    let first = bench.put();
    assert_eq!(first, carried(&[("order-a", 1), ("order-b", 1)]));
    assert_eq!(bench.calls(), [], "nothing more while these are under way");
    bench.accepted(first);
    assert_eq!(bench.durable(), Some(1), "record 2 is not routed yet");
    let second = bench.put();
    assert_eq!(second, carried(&[("order-a", 2)]));
    bench.accepted(second);
    assert_eq!(bench.durable(), Some(3));
    assert!(!bench.routing.standing().has_kept_back);
}

#[test]
fn the_batch_holds_what_is_documented() {
    let mut bench = Bench::new(Vec::new());
    let (order, cart) = (event("order-a", 1), event("cart-a", 1));
    bench.accept(vec![record(1, &order), record(2, &cart)]);
    let calls = bench.calls();
    let [Call::Put { batch: Batch::Stream(entries), .. }, Call::Put { batch: Batch::Topic(messages), .. }] =
        calls.as_slice()
    else {
        panic!("{calls:?}")
    };
    assert_eq!(entries[0].partition_key, "order-a");
    assert_eq!(serde_json::from_slice::<nexus_ports::EventRecord>(&entries[0].data).unwrap(), order);
    assert_eq!(serde_json::from_str::<nexus_ports::EventRecord>(&messages[0].body).unwrap(), cart);
    let attributes: Vec<_> =
        messages[0].attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(attributes, [("event_type", "ItemRemovedFromCart"), ("stream", "cart-a"), ("event_id", "cart-a/1")]);
}

#[test]
fn only_failed_entries_are_tried_again_and_hold_back_only_their_own_aggregate() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![
        record(1, &event("order-a", 1)),
        record(2, &event("order-b", 1)),
        record(3, &event("order-a", 2)),
        record(4, &event("order-b", 2)),
    ]);
    let first = bench.put();
    bench.answer_put(first, Ok(vec![Err(throttled()), Ok(())]));
    let second = bench.put();
    assert_eq!(second, carried(&[("order-b", 2)]), "a waits for its backoff, b goes on");
    bench.accepted(second);
    assert_eq!(bench.durable(), None);
    bench.pass(249);
    assert_eq!(bench.calls(), []);
    bench.pass(1);
    let third = bench.put();
    assert_eq!(third, carried(&[("order-a", 1)]));
    bench.accepted(third);
    let fourth = bench.put();
    bench.accepted(fourth);
    assert_eq!(bench.durable(), Some(4));
}

#[test]
fn the_third_failed_attempt_parks_whatever_the_failures_were() {
    let failures: [(&str, fn() -> EntryFailure); 2] =
        [("throttled", throttled), ("unknown", || EntryFailure::Unknown(unknown()))];
    for (name, failure) in failures {
        let mut bench = Bench::new(Vec::new());
        // A second aggregate keeps the call from failing as a whole.
        let others = (1..=3).map(|version| record(version + 10, &event("order-b", version)));
        bench.accept(std::iter::once(record(1, &event("order-a", 1))).chain(others).collect());
        for attempt in 1..=3 {
            let batch = bench.put();
            assert_eq!(batch[0], carried(&[("order-a", 1)])[0], "{name} {attempt}");
            bench.answer_put(batch, Ok(vec![Err(failure()), Ok(())]));
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
    let unknown_type =
        crate::events::sealed(nexus_ports::EventRecord { event_type: "EmailSent".to_owned(), ..event("order-a", 3) });
    let no_json = crate::events::sealed(nexus_ports::EventRecord { payload: "{".to_owned(), ..event("order-a", 3) });
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
fn a_rejected_call_has_its_events_sent_alone_so_that_only_the_guilty_is_parked() {
    let mut bench = Bench::new(Vec::new());
    let records =
        ["a", "b", "c"].iter().zip(1..).map(|(id, position)| record(position, &event(&format!("order-{id}"), 1)));
    bench.accept(records.collect());
    let (mut accepted, mut parked) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        bench.pass(10_000);
        for call in bench.calls() {
            match &call {
                Call::Put { carried, .. } if carried.iter().any(|event| event.key == "order-b") => {
                    bench.answer_put(carried.clone(), Err(CallFailure::Rejected(rejected())));
                }
                Call::Put { carried, .. } => {
                    accepted.extend(carried.iter().map(|event| event.key.clone()));
                    bench.accepted(carried.clone());
                }
                Call::Park(entry) => {
                    parked.push((entry.key.clone(), entry.reason));
                    bench.parking_written(&call, Ok(()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    accepted.sort();
    assert_eq!(accepted, ["order-a", "order-c"]);
    assert_eq!(parked, [("order-b".to_owned(), ParkReason::Poison)]);
    assert_eq!(bench.durable(), Some(3));
}

#[test]
fn an_outage_spends_the_attempts_of_few_and_comes_back_slowly() {
    let mut bench = Bench::new(Vec::new());
    let records = (1..=600).map(|index| record(index, &event(&format!("order-{index}"), 1)));
    bench.accept(records.collect());
    let calls = bench.calls();
    let sizes: Vec<_> =
        calls.iter().map(|call| matches!(call, Call::Put { carried, .. } if carried.len() <= 500)).collect();
    assert_eq!(sizes, [true, true], "600 events take two calls");
    for call in calls {
        let Call::Put { carried, .. } = call else { panic!() };
        bench.answer_put(carried, Err(not_sent()));
    }
    let mut probed = std::collections::BTreeSet::new();
    for _ in 0..100 {
        bench.pass(5_000);
        let probe = bench.put();
        assert_eq!(probe.len(), 1);
        assert!(probed.insert(probe[0].key.clone()), "nobody is probed twice while others have more attempts left");
        bench.answer_put(probe, Err(not_sent()));
    }
    bench.pass(5_000);
    let mut sizes = Vec::new();
    while bench.routing.standing().has_kept_back {
        let batch = bench.put();
        sizes.push(batch.len());
        bench.accepted(batch);
    }
    assert_eq!(sizes[..8], [1, 2, 4, 8, 16, 32, 64, 128]);
    assert_eq!(bench.durable(), Some(600));
    let parked = bench.routing.notes.iter().filter(|note| matches!(note, Note::Parked { .. })).count();
    assert_eq!(parked, 0);
}

#[test]
fn one_destination_that_is_down_leaves_the_other_alone_until_too_much_waits() {
    let mut bench = Bench::new(Vec::new());
    let carts = (1..=2_000).map(|index| record(index, &event(&format!("cart-{index}"), 1)));
    bench.accept(carts.collect());
    for call in bench.calls() {
        let Call::Put { carried, .. } = call else { panic!() };
        bench.answer_put(carried, Err(CallFailure::Unknown(unknown())));
    }
    assert!(!bench.routing.standing().accepts_more, "2,000 wait for the topic");
    bench.accept(vec![record(3_000, &event("order-a", 1))]);
    let batch = bench.put();
    assert_eq!(batch, carried(&[("order-a", 1)]), "the stream is not down");
    bench.accepted(batch);
    bench.pass(5_000);
    let probe = bench.put();
    bench.accepted(probe);
    assert!(bench.routing.standing().accepts_more, "the topic answered");
    assert_eq!(bench.durable(), None, "the first probe went to an event that had not been tried before");
}

#[test]
fn a_call_of_which_no_entry_was_taken_failed_as_a_whole() {
    for (name, outcome, is_down) in [
        ("all throttled", vec![Err(throttled()), Err(throttled())], true),
        ("one taken", vec![Err(throttled()), Ok(())], false),
        ("one rejected", vec![Err(throttled()), Err(EntryFailure::Rejected(rejected()))], false),
        ("an answer that leaves all out", Vec::new(), true),
    ] {
        let mut bench = Bench::new(Vec::new());
        bench.accept(vec![record(1, &event("order-a", 1)), record(2, &event("order-b", 1))]);
        let batch = bench.put();
        bench.answer_put(batch, Ok(outcome));
        assert_eq!(bench.routing.lanes.core.is_down(), is_down, "{name}");
    }
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
    let stream: nexus_ports::StreamName = "order-a".parse().unwrap();
    let read = Call::ReadEvents { stream: stream.clone(), after: Version(1) };
    assert_eq!(bench.calls(), [read.clone()]);
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
fn an_event_whose_predecessor_was_never_stored_is_poison() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![record(1, &event("order-a", 1)), record(2, &event("order-a", 3))]);
    let batch = bench.put();
    bench.accepted(batch);
    bench.calls();
    bench.pass(500);
    bench.calls();
    let page = EventPage { events: vec![event("order-a", 3)], has_more: false };
    let stream = "order-a".parse().unwrap();
    bench.routing.answered(Answer::Events { stream, outcome: Ok(page) }, bench.now);
    let calls = bench.calls();
    let [Call::Park(parked)] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((parked.first_version, parked.reason), (Some(Version(3)), ParkReason::Poison));
    assert!(parked.detail.contains("version 2"), "{}", parked.detail);
}

#[test]
fn a_cold_aggregate_is_looked_at_for_recent_predecessors() {
    let aged = |version, recorded_at_ms| {
        crate::events::sealed(nexus_ports::EventRecord { recorded_at_ms, ..event("order-a", version) })
    };
    // What is stored before event 5, which was recorded at 100,000 ms; what goes first.
    let table: [(&str, Vec<nexus_ports::EventRecord>, &[u64]); 4] = [
        ("old ones", vec![aged(3, 1_000), aged(4, 80_000)], &[5]),
        ("one recent", vec![aged(3, 1_000), aged(4, 99_000)], &[4, 5]),
        ("recent by a clock that runs ahead", vec![aged(3, 95_000), aged(4, 101_000)], &[3, 4, 5]),
        ("none", vec![], &[5]),
    ];
    for (name, stored, wanted) in table {
        let mut bench = Bench::new(Vec::new());
        bench.accept(vec![record(1, &aged(5, 100_000))]);
        let stream: nexus_ports::StreamName = "order-a".parse().unwrap();
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
fn what_other_shards_know_spares_the_look() {
    let mut bench = Bench::new(Vec::new());
    let known = crate::remembered::Span { first: Version(1), last: Version(4) };
    bench.routing.accept(vec![record(1, &event("order-a", 5)), record(2, &event("order-a", 4))], &|_| Some(known));
    assert_eq!(bench.put(), carried(&[("order-a", 5)]));
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

#[test]
fn batches_stay_within_what_their_destination_takes() {
    let big = |stream: &str| {
        // 120 KiB of carrier's name fail the schema, so that the size has to come from the envelope.
        let mut big = event(stream, 1);
        big.envelope.correlation_id = "x".repeat(120 * 1024);
        crate::events::sealed(big)
    };
    let table: [(&str, Vec<nexus_ports::EventRecord>, &[usize]); 3] = [
        ("ten messages", (1..=25).map(|index| event(&format!("cart-{index}"), 1)).collect(), &[10, 10, 5]),
        ("256 KiB of messages", (1..=5).map(|index| big(&format!("cart-{index}"))).collect(), &[2, 2, 1]),
        ("5 MiB of entries", (1..=60).map(|index| big(&format!("order-{index}"))).collect(), &[42, 18]),
    ];
    for (name, events, wanted) in table {
        let mut bench = Bench::new(Vec::new());
        bench.accept(events.iter().zip(1..).map(|(event, position)| record(position, event)).collect());
        let sizes: Vec<_> = bench
            .calls()
            .iter()
            .map(|call| match call {
                Call::Put { carried, .. } => carried.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, wanted, "{name}");
    }
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
        bench.accept(vec![record(1, &crate::events::sealed(large))]);
        let calls = bench.calls();
        assert_eq!(matches!(calls.as_slice(), [Call::Park(_)]), is_poison, "{stream} {bytes}");
        assert_eq!(matches!(calls.as_slice(), [Call::Put { .. }]), !is_poison, "{stream} {bytes}");
    }
}
