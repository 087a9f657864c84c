//! A naive event storage: two ordered maps, and a script of what becomes of each call.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use nexus_ports::{
    AppendFailure, AppendRefused, AppendTransaction, BoxFuture, Contended, EventPage, EventRecord, EventStorage,
    IdempotencyRecord, NotSent, ReadConsistency, ReadFailure, RecordFailure, RecordRefused, Rejected, StreamName,
    Throttled, UnknownOutcome, Version, WriteFailure,
};

/// What becomes of one write. Without a script every write gets [`WriteFate::Answered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFate {
    /// Applied if its conditions hold, and answered.
    Answered,
    /// Applied if its conditions hold; the answer is lost.
    AnswerLost,
    /// Not applied; no answer.
    RequestLost,
    /// Applied (if its conditions hold then) just before this many further calls; the answer is lost.
    AppliedLate {
        calls: u32,
    },
    /// Never answers and is not applied.
    Hangs,
    /// Applied if its conditions hold, and never answers.
    AppliedThenHangs,
    /// Where refused, nothing is told about what stood in the way.
    RefusalUnexplained,
    Contended,
    Throttled,
    NotSent,
    Rejected,
}

/// What becomes of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFate {
    Answered,
    NoAnswer,
    Throttled,
    NotSent,
    Hangs,
}

/// Events and records in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryEventStorage {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    events: BTreeMap<(StreamName, Version), EventRecord>,
    records: BTreeMap<String, IdempotencyRecord>,
    write_fates: VecDeque<WriteFate>,
    read_fates: VecDeque<ReadFate>,
    late: Vec<(u32, Write)>,
    transactions: Vec<AppendTransaction>,
    page_events_max: Option<usize>,
    reads: u32,
}

#[derive(Clone)]
enum Write {
    Append(AppendTransaction),
    Record(IdempotencyRecord),
}

impl MemoryEventStorage {
    /// Fates of the next writes, in order; after them all are [`WriteFate::Answered`].
    pub fn script_writes(&self, fates: impl IntoIterator<Item = WriteFate>) {
        self.with(|state| state.write_fates.extend(fates));
    }

    /// Fates of the next reads, in order.
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

    /// Splits reads into pages of this many events.
    pub fn page_by(&self, events_max: usize) {
        self.with(|state| state.page_events_max = Some(events_max));
    }

    /// Applies all writes that are still on their way.
    pub fn settle(&self) {
        self.with(|state| state.arrive(u32::MAX));
    }

    pub fn events(&self) -> Vec<EventRecord> {
        self.with(|state| state.events.values().cloned().collect())
    }

    pub fn records(&self) -> Vec<IdempotencyRecord> {
        self.with(|state| state.records.values().cloned().collect())
    }

    /// Every append that was asked for, whatever became of it.
    pub fn transactions(&self) -> Vec<AppendTransaction> {
        self.with(|state| state.transactions.clone())
    }

    /// Reads asked for so far.
    pub fn reads(&self) -> u32 {
        self.with(|state| state.reads)
    }

    /// Changes or removes stored events behind the store's back.
    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<(StreamName, Version), EventRecord>)) {
        self.with(|state| change(&mut state.events));
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `None` hangs.
    fn write(&self, write: Write) -> Option<Result<(), WriteFailure<AppendRefused>>> {
        self.with(|state| {
            state.arrive(1);
            if let Write::Append(transaction) = &write {
                state.transactions.push(transaction.clone());
            }
            let unknown = || WriteFailure::Unknown(UnknownOutcome { reason: "scripted".to_owned() });
            Some(match state.write_fates.pop_front().unwrap_or(WriteFate::Answered) {
                WriteFate::Answered => state.apply(write).map_err(|refused| WriteFailure::Refused(*refused)),
                WriteFate::RefusalUnexplained => {
                    state.apply(write).map_err(|_| WriteFailure::Refused(AppendRefused::default()))
                }
                WriteFate::AnswerLost => {
                    let _ = state.apply(write);
                    Err(unknown())
                }
                WriteFate::RequestLost => Err(unknown()),
                WriteFate::AppliedLate { calls } => {
                    state.late.push((calls, write));
                    Err(unknown())
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
    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Option<Result<T, ReadFailure>> {
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
        let (due, waiting) = self.late.drain(..).partition(|(left, _)| *left <= calls);
        self.late = waiting;
        for (left, _) in &mut self.late {
            *left -= calls;
        }
        let due: Vec<(u32, Write)> = due;
        for (_, write) in due {
            // Nobody waits for this answer any more.
            let _ = self.apply(write);
        }
    }

    fn apply(&mut self, write: Write) -> Result<(), Box<AppendRefused>> {
        let (events, record) = match write {
            Write::Append(transaction) => (transaction.events, transaction.record),
            Write::Record(record) => (Vec::new(), record),
        };
        let key = |event: &EventRecord| (event.stream.clone(), event.version);
        let standing_events: Vec<_> = events.iter().filter_map(|event| self.events.get(&key(event)).cloned()).collect();
        let standing_record = self.records.get(&record.key).cloned();
        if !standing_events.is_empty() || standing_record.is_some() {
            return Err(Box::new(AppendRefused { events: standing_events, record: standing_record }));
        }
        self.events.extend(events.into_iter().map(|event| (key(&event), event)));
        self.records.insert(record.key.clone(), record);
        Ok(())
    }

    fn page(&self, stream: &StreamName, after: Version) -> EventPage {
        let from = (stream.clone(), after.next());
        let to = (stream.clone(), Version(u64::MAX));
        let mut events: Vec<_> = self.events.range(from..=to).map(|(_, event)| event.clone()).collect();
        let events_max = self.page_events_max.unwrap_or(usize::MAX);
        let has_more = events.len() > events_max;
        events.truncate(events_max);
        EventPage { events, has_more }
    }
}

async fn or_hang<T>(answer: Option<T>) -> T {
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

impl EventStorage for MemoryEventStorage {
    fn append<'a>(&'a self, transaction: &'a AppendTransaction) -> BoxFuture<'a, Result<(), AppendFailure>> {
        Box::pin(async move { or_hang(self.write(Write::Append(transaction.clone()))).await })
    }

    fn read_events<'a>(
        &'a self,
        stream: &'a StreamName,
        after: Version,
        _consistency: ReadConsistency,
    ) -> BoxFuture<'a, Result<EventPage, ReadFailure>> {
        Box::pin(async move { or_hang(self.read(|state| state.page(stream, after))).await })
    }

    fn read_idempotency_record<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<IdempotencyRecord>, ReadFailure>> {
        Box::pin(async move { or_hang(self.read(|state| state.records.get(key).cloned())).await })
    }

    fn record_answer<'a>(&'a self, record: &'a IdempotencyRecord) -> BoxFuture<'a, Result<(), RecordFailure>> {
        Box::pin(async move {
            or_hang(self.write(Write::Record(record.clone()))).await.map_err(|failure| match failure {
                WriteFailure::Refused(refused) => WriteFailure::Refused(RecordRefused { record: refused.record }),
                WriteFailure::Contended(contended) => WriteFailure::Contended(contended),
                WriteFailure::Throttled(throttled) => WriteFailure::Throttled(throttled),
                WriteFailure::NotSent(not_sent) => WriteFailure::NotSent(not_sent),
                WriteFailure::Rejected(rejected) => WriteFailure::Rejected(rejected),
                WriteFailure::Unknown(unknown) => WriteFailure::Unknown(unknown),
            })
        })
    }
}
