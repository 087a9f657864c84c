//! A stream and a topic that keep what they take, and a script of what becomes of each call.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use nexus_ports::{
    BoxFuture, CallFailure, EntryFailure, EntryOutcomes, MessageTopic, NotSent, RecordStream, Rejected, SequenceNumber,
    StreamEntry, StreamPosition, Throttled, TopicMessage, UnknownOutcome,
};

/// What becomes of one entry of a call that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryFate {
    Taken,
    Throttled,
    /// Not taken, although nobody can know.
    Unknown,
    /// Taken, although the answer says that it is unknown.
    TakenUnknown,
    Rejected,
}

/// What becomes of one call. Without a script every call gets [`CallFate::Answered`] with all entries taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFate {
    /// Answered, with these fates of its entries; entries beyond the list are taken.
    Answered(Vec<EntryFate>),
    /// All entries are taken; the answer is lost.
    AnswerLost,
    /// Nothing is taken; no answer.
    RequestLost,
    /// Never answers, and takes nothing.
    Hangs,
    /// Takes all entries and never answers.
    TakenThenHangs,
    Throttled,
    NotSent,
    Rejected,
}

/// A stream in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryStream {
    state: Arc<Mutex<State<StreamEntry>>>,
}

/// A topic in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryTopic {
    state: Arc<Mutex<State<TopicMessage>>>,
}

struct State<E> {
    taken: Vec<E>,
    calls: Vec<Vec<E>>,
    call_fates: VecDeque<CallFate>,
    /// By partition key of an entry, or by the `stream` attribute of a message.
    fates_by_key: BTreeMap<String, EntryFate>,
    /// What every call gets that meets no script.
    standing_fate: Option<CallFate>,
}

impl<E> Default for State<E> {
    fn default() -> Self {
        Self {
            taken: Vec::new(),
            calls: Vec::new(),
            call_fates: VecDeque::new(),
            fates_by_key: BTreeMap::new(),
            standing_fate: None,
        }
    }
}

trait Keyed: Clone {
    fn key(&self) -> &str;
}

impl Keyed for StreamEntry {
    fn key(&self) -> &str {
        &self.partition_key
    }
}

impl Keyed for TopicMessage {
    fn key(&self) -> &str {
        self.attributes.iter().find(|(name, _)| name == "stream").map_or("", |(_, value)| value)
    }
}

impl<E: Keyed> State<E> {
    /// `None` hangs; otherwise for each entry the number that it got.
    fn call(&mut self, entries: &[E]) -> Option<Result<EntryOutcomes<u64>, CallFailure>> {
        self.calls.push(entries.to_vec());
        let fate = self.call_fates.pop_front().or_else(|| self.standing_fate.clone());
        let unknown = || Err(CallFailure::Unknown(UnknownOutcome { reason: "scripted".to_owned() }));
        Some(match fate.unwrap_or(CallFate::Answered(Vec::new())) {
            CallFate::Answered(fates) => Ok(self.answer(entries, &fates)),
            CallFate::AnswerLost => {
                self.taken.extend_from_slice(entries);
                unknown()
            }
            CallFate::RequestLost => unknown(),
            CallFate::Hangs => return None,
            CallFate::TakenThenHangs => {
                self.taken.extend_from_slice(entries);
                return None;
            }
            CallFate::Throttled => Err(CallFailure::Throttled(throttled())),
            CallFate::NotSent => Err(CallFailure::NotSent(NotSent { reason: "scripted".to_owned() })),
            CallFate::Rejected => Err(CallFailure::Rejected(rejected())),
        })
    }

    fn answer(&mut self, entries: &[E], fates: &[EntryFate]) -> EntryOutcomes<u64> {
        let unknown = || EntryFailure::Unknown(UnknownOutcome { reason: "scripted".to_owned() });
        let mut outcomes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let by_key = self.fates_by_key.get(entry.key()).copied();
            let fate = by_key.or_else(|| fates.get(index).copied()).unwrap_or(EntryFate::Taken);
            if matches!(fate, EntryFate::Taken | EntryFate::TakenUnknown) {
                self.taken.push(entry.clone());
            }
            outcomes.push(match fate {
                EntryFate::Taken => Ok(self.taken.len() as u64),
                EntryFate::Throttled => Err(EntryFailure::Throttled(throttled())),
                EntryFate::Unknown | EntryFate::TakenUnknown => Err(unknown()),
                EntryFate::Rejected => Err(EntryFailure::Rejected(rejected())),
            });
        }
        outcomes
    }
}

fn throttled() -> Throttled {
    Throttled { code: "Scripted".to_owned() }
}

fn rejected() -> Rejected {
    Rejected { code: "ScriptedException".to_owned(), message: "scripted".to_owned() }
}

macro_rules! scripted {
    ($name:ident, $entry:ty) => {
        impl $name {
            /// Fates of the next calls, in order.
            pub fn script(&self, fates: impl IntoIterator<Item = CallFate>) {
                self.with(|state| state.call_fates.extend(fates));
            }

            /// Fate of all calls for which none is scripted; `None` for none but the usual one.
            pub fn stay(&self, fate: Option<CallFate>) {
                self.with(|state| state.standing_fate = fate);
            }

            /// Fate of every entry with this key (of a message: with this attribute `stream`), before any script.
            pub fn set_fate_of_key(&self, key: &str, fate: Option<EntryFate>) {
                self.with(|state| match fate {
                    Some(fate) => state.fates_by_key.insert(key.to_owned(), fate),
                    None => state.fates_by_key.remove(key),
                });
            }

            /// Forgets fates that were scripted and not yet met, for calls and keys.
            pub fn drop_scripts(&self) {
                self.with(|state| {
                    state.call_fates.clear();
                    state.fates_by_key.clear();
                    state.standing_fate = None;
                });
            }

            /// Everything that was taken, in order.
            pub fn taken(&self) -> Vec<$entry> {
                self.with(|state| state.taken.clone())
            }

            /// The entries of every call, whatever became of it.
            pub fn calls(&self) -> Vec<Vec<$entry>> {
                self.with(|state| state.calls.clone())
            }

            fn with<T>(&self, change: impl FnOnce(&mut State<$entry>) -> T) -> T {
                change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    };
}

scripted!(MemoryStream, StreamEntry);
scripted!(MemoryTopic, TopicMessage);

async fn or_hang<T>(answer: Option<T>) -> T {
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

impl RecordStream for MemoryStream {
    fn put<'a>(
        &'a self,
        entries: &'a [StreamEntry],
    ) -> BoxFuture<'a, Result<EntryOutcomes<StreamPosition>, CallFailure>> {
        Box::pin(async move {
            let outcomes = or_hang(self.with(|state| state.call(entries))).await?;
            Ok(outcomes.into_iter().map(|outcome| outcome.map(position)).collect())
        })
    }
}

fn position(number: u64) -> StreamPosition {
    let sequence_number = SequenceNumber::try_from(number.to_string());
    StreamPosition {
        shard: "shard-0".to_owned(),
        sequence_number: sequence_number.unwrap_or_else(|error| unreachable!("{error}")),
    }
}

impl MessageTopic for MemoryTopic {
    fn publish<'a>(&'a self, messages: &'a [TopicMessage]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        Box::pin(async move {
            let outcomes = or_hang(self.with(|state| state.call(messages))).await?;
            Ok(outcomes.into_iter().map(|outcome| outcome.map(drop)).collect())
        })
    }
}
