//! A naive parking lot, whose every outcome can be scripted.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use nexus_ports::{
    BoxFuture, NotSent, ParkedAggregate, ParkingLot, ParkingMoved, ReadFailure, Rejected, Throttled, UnknownOutcome,
    WriteFailure,
};
use nexus_ports_testing::{ReadFate, WriteFate};

type Key = (String, String);

#[derive(Clone, Default)]
pub struct MemoryParking {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    parked: BTreeMap<Key, ParkedAggregate>,
    read_fates: VecDeque<ReadFate>,
    write_fates: VecDeque<WriteFate>,
}

type Written = Result<(), WriteFailure<ParkingMoved>>;

impl MemoryParking {
    pub fn script_reads(&self, fates: impl IntoIterator<Item = ReadFate>) {
        self.with(|state| state.read_fates.extend(fates));
    }

    pub fn script_writes(&self, fates: impl IntoIterator<Item = WriteFate>) {
        self.with(|state| state.write_fates.extend(fates));
    }

    pub fn drop_scripts(&self) {
        self.with(|state| {
            state.read_fates.clear();
            state.write_fates.clear();
        });
    }

    pub fn parked(&self) -> Vec<ParkedAggregate> {
        self.with(|state| state.parked.values().cloned().collect())
    }

    pub fn entry(&self, key: &str) -> Option<ParkedAggregate> {
        self.with(|state| state.parked.get(&("projection".to_owned(), key.to_owned())).cloned())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read_with<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T, ReadFailure> {
        let reason = || "scripted".to_owned();
        match self.with(|state| state.read_fates.pop_front().unwrap_or(ReadFate::Answered)) {
            ReadFate::Answered => Ok(self.with(|state| read(state))),
            ReadFate::NoAnswer => Err(ReadFailure::NoAnswer(UnknownOutcome { reason: reason() })),
            ReadFate::Throttled => Err(ReadFailure::Throttled(Throttled { code: reason() })),
            ReadFate::NotSent => Err(ReadFailure::NotSent(NotSent { reason: reason() })),
            ReadFate::Hangs => std::future::pending().await,
        }
    }

    async fn write_with(&self, apply: impl FnOnce(&mut State) -> Result<(), ParkingMoved>) -> Written {
        let reason = || "scripted".to_owned();
        let fate = self.with(|state| state.write_fates.pop_front().unwrap_or(WriteFate::Answered));
        let lost = || Err(WriteFailure::Unknown(UnknownOutcome { reason: reason() }));
        match fate {
            WriteFate::AnswerLost | WriteFate::AppliedLate { .. } => {
                let _ = self.with(apply);
                lost()
            }
            WriteFate::AppliedThenHangs => {
                let _ = self.with(apply);
                std::future::pending().await
            }
            WriteFate::RequestLost => lost(),
            WriteFate::Hangs => std::future::pending().await,
            WriteFate::Throttled | WriteFate::Contended => Err(WriteFailure::Throttled(Throttled { code: reason() })),
            WriteFate::NotSent => Err(WriteFailure::NotSent(NotSent { reason: reason() })),
            WriteFate::Rejected => Err(WriteFailure::Rejected(Rejected { code: reason(), message: reason() })),
            WriteFate::Answered | WriteFate::RefusalUnexplained => self.with(apply).map_err(WriteFailure::Refused),
        }
    }
}

fn standing_counter(state: &State, key: &Key) -> Option<u64> {
    state.parked.get(key).map(|parked| parked.counter)
}

impl ParkingLot for MemoryParking {
    fn list<'a>(&'a self, consumer: &'a str) -> BoxFuture<'a, Result<Vec<ParkedAggregate>, ReadFailure>> {
        let own =
            move |state: &State| state.parked.values().filter(|parked| parked.consumer == consumer).cloned().collect();
        Box::pin(self.read_with(own))
    }

    fn read<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<ParkedAggregate>, ReadFailure>> {
        Box::pin(self.read_with(move |state| state.parked.get(&(consumer.to_owned(), key.to_owned())).cloned()))
    }

    fn park<'a>(&'a self, parked: &'a ParkedAggregate) -> BoxFuture<'a, Written> {
        Box::pin(self.write_with(move |state| {
            let key = (parked.consumer.clone(), parked.key.clone());
            if state.parked.contains_key(&key) {
                return Err(ParkingMoved);
            }
            state.parked.insert(key, parked.clone());
            Ok(())
        }))
    }

    fn replace<'a>(&'a self, expected_counter: u64, parked: &'a ParkedAggregate) -> BoxFuture<'a, Written> {
        assert!(parked.counter > expected_counter, "the counter must grow");
        Box::pin(self.write_with(move |state| {
            let key = (parked.consumer.clone(), parked.key.clone());
            if standing_counter(state, &key) != Some(expected_counter) {
                return Err(ParkingMoved);
            }
            state.parked.insert(key, parked.clone());
            Ok(())
        }))
    }

    fn release<'a>(&'a self, consumer: &'a str, key: &'a str, expected_counter: u64) -> BoxFuture<'a, Written> {
        Box::pin(self.write_with(move |state| {
            let key = (consumer.to_owned(), key.to_owned());
            if standing_counter(state, &key) != Some(expected_counter) {
                return Err(ParkingMoved);
            }
            state.parked.remove(&key);
            Ok(())
        }))
    }
}
