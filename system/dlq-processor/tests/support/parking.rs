//! A parking lot, and a consumer with its event store, as small as can be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use nexus_ports::{
    AggregateReplayer, BoxFuture, CallFailure, ParkReason, ParkedAggregate, ParkingLot, ParkingMoved, ReadFailure,
    ReplayFailure, StreamName, Version, WriteFailure,
};

use super::Weather;

type Entries = BTreeMap<(String, String), ParkedAggregate>;

pub struct MemoryParkingLot {
    weather: Weather,
    pub entries: Mutex<Entries>,
}

impl MemoryParkingLot {
    pub fn new(weather: &Weather) -> Arc<Self> {
        Arc::new(Self { weather: weather.clone(), entries: Mutex::default() })
    }

    pub fn insert(&self, parked: ParkedAggregate) {
        self.entries.lock().unwrap().insert((parked.consumer.clone(), parked.key.clone()), parked);
    }

    pub fn find(&self, consumer: &str, key: &str) -> Option<ParkedAggregate> {
        self.entries.lock().unwrap().get(&(consumer.to_owned(), key.to_owned())).cloned()
    }

    async fn change(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut Entries) -> Result<(), ParkingMoved> + Send,
    ) -> Result<(), WriteFailure<ParkingMoved>> {
        let changed = self.weather.play(operation, || change(&mut self.entries.lock().unwrap())).await;
        changed.map_err(write_failure)?.map_err(WriteFailure::Refused)
    }

    async fn look<T>(&self, look: impl FnOnce(&Entries) -> T + Send) -> Result<T, ReadFailure> {
        self.weather.play("look", || look(&self.entries.lock().unwrap())).await.map_err(read_failure)
    }
}

fn write_failure(failure: CallFailure) -> WriteFailure<ParkingMoved> {
    match failure {
        CallFailure::Throttled(why) => WriteFailure::Throttled(why),
        CallFailure::NotSent(why) => WriteFailure::NotSent(why),
        CallFailure::Rejected(why) => WriteFailure::Rejected(why),
        CallFailure::Unknown(why) => WriteFailure::Unknown(why),
    }
}

fn read_failure(failure: CallFailure) -> ReadFailure {
    match failure {
        CallFailure::Throttled(why) => why.into(),
        CallFailure::NotSent(why) => why.into(),
        CallFailure::Rejected(why) => why.into(),
        CallFailure::Unknown(why) => why.into(),
    }
}

fn id(consumer: &str, key: &str) -> (String, String) {
    (consumer.to_owned(), key.to_owned())
}

impl ParkingLot for MemoryParkingLot {
    fn list<'a>(&'a self, consumer: &'a str) -> BoxFuture<'a, Result<Vec<ParkedAggregate>, ReadFailure>> {
        Box::pin(
            self.look(move |entries| entries.values().filter(|parked| parked.consumer == consumer).cloned().collect()),
        )
    }

    fn read<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<ParkedAggregate>, ReadFailure>> {
        Box::pin(self.look(move |entries| entries.get(&id(consumer, key)).cloned()))
    }

    fn park<'a>(&'a self, parked: &'a ParkedAggregate) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        Box::pin(self.change("park", move |entries| match entries.entry(id(&parked.consumer, &parked.key)) {
            std::collections::btree_map::Entry::Occupied(_) => Err(ParkingMoved),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(parked.clone());
                Ok(())
            }
        }))
    }

    fn replace<'a>(
        &'a self,
        expected_counter: u64,
        parked: &'a ParkedAggregate,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        assert!(parked.counter > expected_counter);
        Box::pin(self.change("replace", move |entries| {
            let standing = entries.get_mut(&id(&parked.consumer, &parked.key)).ok_or(ParkingMoved)?;
            if standing.counter != expected_counter {
                return Err(ParkingMoved);
            }
            *standing = parked.clone();
            Ok(())
        }))
    }

    fn release<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
        expected_counter: u64,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        Box::pin(self.change("release", move |entries| {
            let standing = entries.get(&id(consumer, key)).ok_or(ParkingMoved)?;
            if standing.counter != expected_counter {
                return Err(ParkingMoved);
            }
            entries.remove(&id(consumer, key));
            Ok(())
        }))
    }
}

/// An event store that knows only how many events a stream has, and a consumer whose effects are sets of versions.
pub struct Aggregates {
    weather: Weather,
    lot: Arc<MemoryParkingLot>,
    pub state: Mutex<AggregatesState>,
}

#[derive(Default)]
pub struct AggregatesState {
    pub heads: BTreeMap<String, u64>,
    pub effects: BTreeMap<String, BTreeSet<u64>>,
    /// Events that cannot be worked on.
    pub poison: BTreeSet<(String, u64)>,
    /// First version of each replay that began.
    pub replays: Vec<(String, u64)>,
}

pub const CONSUMER: &str = "router";

impl Aggregates {
    pub fn new(weather: &Weather, lot: &Arc<MemoryParkingLot>) -> Arc<Self> {
        Arc::new(Self { weather: weather.clone(), lot: lot.clone(), state: Mutex::default() })
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut AggregatesState) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Appends an event, and lets the consumer see it at once: it waits behind a parked aggregate, has its effect, or (if
    /// it `fails` for this reason) parks its aggregate.
    pub fn append(&self, stream: &str, fails: Option<ParkReason>) {
        let version = self.with(|state| {
            let head = state.heads.entry(stream.to_owned()).or_default();
            *head += 1;
            if fails == Some(ParkReason::Poison) {
                state.poison.insert((stream.to_owned(), *head));
            }
            *head
        });
        let mut entries = self.lot.entries.lock().unwrap();
        if let Some(parked) = entries.get_mut(&id(CONSUMER, stream)) {
            parked.last_version = Some(Version(version));
            parked.counter += 1;
        } else if let Some(reason) = fails {
            entries.insert(id(CONSUMER, stream), ParkedAggregate { reason, ..exhausted(stream, version) });
        } else {
            self.with(|state| state.effects.entry(stream.to_owned()).or_default().insert(version));
        }
    }
}

/// An aggregate that waits from this version on, as a consumer parks it.
pub fn exhausted(stream: &str, version: u64) -> ParkedAggregate {
    ParkedAggregate {
        consumer: CONSUMER.to_owned(),
        key: stream.to_owned(),
        first_version: Some(Version(version)),
        last_version: Some(Version(version)),
        body: format!("event {version} of {stream}"),
        reason: ParkReason::AttemptsExhausted,
        detail: "throttled".to_owned(),
        attempts: 3,
        parked_at_ms: 7,
        counter: 1,
    }
}

impl AggregateReplayer for Aggregates {
    fn replay<'a>(&'a self, stream: &'a StreamName, first: Version) -> BoxFuture<'a, Result<Version, ReplayFailure>> {
        Box::pin(async move {
            let key = stream.as_str();
            self.with(|state| state.replays.push((key.to_owned(), first.0)));
            let mut next = first.0;
            // As a strong read that was made when the replay began.
            let head = self.with(|state| state.heads.get(key).copied().unwrap_or(0));
            while next <= head {
                if self.with(|state| state.poison.contains(&(key.to_owned(), next))) {
                    return Err(ReplayFailure::Poison { version: Version(next), detail: "bad".to_owned() });
                }
                let apply = || self.with(|state| state.effects.entry(key.to_owned()).or_default().insert(next));
                if let Err(failure) = self.weather.play("effect", apply).await {
                    let reached = Version(next - 1);
                    return Err(ReplayFailure::Interrupted { reached, detail: failure.to_string() });
                }
                next += 1;
            }
            Ok(Version(head))
        })
    }
}
