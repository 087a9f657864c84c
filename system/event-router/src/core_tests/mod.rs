//! Records, answers and time in; calls and positions out.

mod batches;
mod gaps;
mod parking;
mod registry;

use std::{sync::Arc, time::Duration};

use nexus_governance::{SchemaGate, SchemaValidator};
use nexus_ports::{
    CallFailure, EntryFailure, EventPage, EventRecord, FeedRecord, Monotonic, NotSent, ParkReason, ParkedAggregate,
    ParkingMoved, Rejected, StreamName, Throttled, UnixTime, UnknownOutcome, Version, WriteFailure,
};

use crate::{
    RouterSettings,
    calls::{Answer, Batch, Call, Carried},
    events::{event, invalid_event, number, raw_record, record, sealed},
    examine::Examiner,
    notes::Note,
    remembered::Span,
    routing::Routing,
};

/// A routing with a clock that the test moves, and jitter that always draws the whole bound.
struct Bench {
    routing: Routing,
    now: Monotonic,
}

impl Bench {
    fn cold(memory: &str) -> Self {
        Self::with_gate(Arc::new(SchemaValidator::from_catalogue().unwrap()).into(), memory)
    }

    fn with_gate(gate: SchemaGate, memory: &str) -> Self {
        let settings = RouterSettings::default();
        let examiner = Examiner::new(gate, &settings);
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
