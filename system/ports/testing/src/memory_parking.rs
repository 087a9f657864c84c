//! A naive parking lot with scripted outcomes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use nexus_ports::{
    BoxFuture, Contended, NotSent, ParkedAggregate, ParkingLot, ParkingMoved, ReadFailure, Rejected, Throttled,
    UnknownOutcome, WriteFailure,
};

use crate::{ReadFate, WriteFate};

/// Entries in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryParkingLot {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<(String, String), ParkedAggregate>,
    write_fates: VecDeque<WriteFate>,
    read_fates: VecDeque<ReadFate>,
    late: Vec<(u32, Write)>,
    writes: Vec<ParkedAggregate>,
    reads: u32,
}

#[derive(Clone)]
enum Write {
    Park(ParkedAggregate),
    Replace { expected_counter: u64, entry: ParkedAggregate },
    Release { consumer: String, key: String, expected_counter: u64 },
}

impl MemoryParkingLot {
    /// Fates of the next writes, in order; after them all are [`WriteFate::Answered`].
    pub fn script_writes(&self, fates: impl IntoIterator<Item = WriteFate>) {
        self.with(|state| state.write_fates.extend(fates));
    }

    /// Fates of the next reads and lists, in order.
    pub fn script_reads(&self, fates: impl IntoIterator<Item = ReadFate>) {
        self.with(|state| state.read_fates.extend(fates));
    }

    /// Forgets fates that were scripted and not yet met.
    pub fn drop_scripts(&self) {
        self.with(|state| {
            state.write_fates.clear();
            state.read_fates.clear();
        });
    }

    /// Applies all writes that are still on their way.
    pub fn settle(&self) {
        self.with(|state| state.arrive(u32::MAX));
    }

    pub fn entries(&self) -> Vec<ParkedAggregate> {
        self.with(|state| state.entries.values().cloned().collect())
    }

    pub fn entry(&self, consumer: &str, key: &str) -> Option<ParkedAggregate> {
        self.with(|state| state.entries.get(&(consumer.to_owned(), key.to_owned())).cloned())
    }

    /// Every entry that was to be parked or replaced, whatever became of it.
    pub fn writes(&self) -> Vec<ParkedAggregate> {
        self.with(|state| state.writes.clone())
    }

    /// Reads and lists asked for so far.
    pub fn reads(&self) -> u32 {
        self.with(|state| state.reads)
    }

    /// Puts or removes entries behind everybody's back.
    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<(String, String), ParkedAggregate>)) {
        self.with(|state| change(&mut state.entries));
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `None` hangs.
    fn write(&self, write: Write) -> Option<Result<(), WriteFailure<ParkingMoved>>> {
        self.with(|state| {
            state.arrive(1);
            if let Write::Park(entry) | Write::Replace { entry, .. } = &write {
                state.writes.push(entry.clone());
            }
            let unknown = || Err(WriteFailure::Unknown(UnknownOutcome { reason: "scripted".to_owned() }));
            Some(match state.write_fates.pop_front().unwrap_or(WriteFate::Answered) {
                WriteFate::Answered | WriteFate::RefusalUnexplained => {
                    state.apply(write).map_err(WriteFailure::Refused)
                }
                WriteFate::AnswerLost => {
                    let _ = state.apply(write);
                    unknown()
                }
                WriteFate::RequestLost => unknown(),
                WriteFate::AppliedLate { calls } => {
                    state.late.push((calls, write));
                    unknown()
                }
                WriteFate::Hangs => return None,
                WriteFate::AppliedThenHangs => {
                    let _ = state.apply(write);
                    return None;
                }
                WriteFate::Contended => Err(WriteFailure::Contended(Contended)),
                WriteFate::Throttled => Err(WriteFailure::Throttled(Throttled { code: "Scripted".to_owned() })),
                WriteFate::NotSent => Err(WriteFailure::NotSent(NotSent { reason: "scripted".to_owned() })),
                WriteFate::Rejected => Err(WriteFailure::Rejected(Rejected {
                    code: "ScriptedException".to_owned(),
                    message: "scripted".to_owned(),
                })),
            })
        })
    }

    /// `None` hangs.
    fn read_with<T>(&self, read: impl FnOnce(&State) -> T) -> Option<Result<T, ReadFailure>> {
        self.with(|state| {
            state.arrive(1);
            state.reads += 1;
            let reason = || "scripted".to_owned();
            Some(match state.read_fates.pop_front().unwrap_or(ReadFate::Answered) {
                ReadFate::Answered => Ok(read(state)),
                ReadFate::NoAnswer => Err(ReadFailure::NoAnswer(UnknownOutcome { reason: reason() })),
                ReadFate::Throttled => Err(ReadFailure::Throttled(Throttled { code: reason() })),
                ReadFate::NotSent => Err(ReadFailure::NotSent(NotSent { reason: reason() })),
                ReadFate::Hangs => return None,
            })
        })
    }
}

impl State {
    /// Lets writes arrive that were to come this many calls from now or earlier.
    fn arrive(&mut self, calls: u32) {
        let (due, waiting): (Vec<_>, Vec<_>) = self.late.drain(..).partition(|(left, _)| *left <= calls);
        self.late = waiting;
        for (left, _) in &mut self.late {
            *left -= calls;
        }
        for (_, write) in due {
            // Nobody waits for this answer any more.
            let _ = self.apply(write);
        }
    }

    fn apply(&mut self, write: Write) -> Result<(), ParkingMoved> {
        let place = |entry: &ParkedAggregate| (entry.consumer.clone(), entry.key.clone());
        match write {
            Write::Park(entry) => {
                if self.entries.contains_key(&place(&entry)) {
                    return Err(ParkingMoved);
                }
                self.entries.insert(place(&entry), entry);
            }
            Write::Replace { expected_counter, entry } => {
                let standing = self.entries.get_mut(&place(&entry)).filter(|found| found.counter == expected_counter);
                *standing.ok_or(ParkingMoved)? = entry;
            }
            Write::Release { consumer, key, expected_counter } => {
                let place = (consumer, key);
                if self.entries.get(&place).map(|found| found.counter) != Some(expected_counter) {
                    return Err(ParkingMoved);
                }
                self.entries.remove(&place);
            }
        }
        Ok(())
    }
}

async fn or_hang<T>(answer: Option<T>) -> T {
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

impl ParkingLot for MemoryParkingLot {
    fn list<'a>(&'a self, consumer: &'a str) -> BoxFuture<'a, Result<Vec<ParkedAggregate>, ReadFailure>> {
        let list = move |state: &State| {
            let own = state.entries.values().filter(|entry| entry.consumer == consumer);
            own.cloned().collect()
        };
        Box::pin(async move { or_hang(self.read_with(list)).await })
    }

    fn read<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<ParkedAggregate>, ReadFailure>> {
        let place = (consumer.to_owned(), key.to_owned());
        Box::pin(async move { or_hang(self.read_with(|state| state.entries.get(&place).cloned())).await })
    }

    fn park<'a>(&'a self, parked: &'a ParkedAggregate) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        Box::pin(async move { or_hang(self.write(Write::Park(parked.clone()))).await })
    }

    fn replace<'a>(
        &'a self,
        expected_counter: u64,
        parked: &'a ParkedAggregate,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        let write = Write::Replace { expected_counter, entry: parked.clone() };
        Box::pin(async move { or_hang(self.write(write)).await })
    }

    fn release<'a>(
        &'a self,
        consumer: &'a str,
        key: &'a str,
        expected_counter: u64,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ParkingMoved>>> {
        let write = Write::Release { consumer: consumer.to_owned(), key: key.to_owned(), expected_counter };
        Box::pin(async move { or_hang(self.write(write)).await })
    }
}
