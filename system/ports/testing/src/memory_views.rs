//! A naive read model and a naive outbox, whose every outcome can be scripted.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use nexus_ports::{
    AlreadyRecorded, BoxFuture, Contended, NotSent, Notification, Outbox, ReadFailure, ReadModel, Rejected, StoredView,
    StreamName, Throttled, UnknownOutcome, Version, ViewMoved, WriteFailure,
};

use crate::{ReadFate, WriteFate};

/// Views in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryReadModel {
    state: Arc<Mutex<Views>>,
}

#[derive(Default)]
struct Views {
    views: BTreeMap<StreamName, StoredView>,
    /// Every write that took effect, in order.
    applied: Vec<StoredView>,
    /// Every write that was asked for.
    asked: Vec<StoredView>,
    reads: u32,
    read_fates: VecDeque<ReadFate>,
    write_fates: VecDeque<WriteFate>,
    late: Late<(Version, StoredView)>,
}

/// Notifications in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryOutbox {
    state: Arc<Mutex<Records>>,
}

#[derive(Default)]
struct Records {
    by_event: BTreeMap<String, Notification>,
    asked: u32,
    fates: VecDeque<WriteFate>,
    late: Late<Notification>,
}

/// Writes that arrive some calls after they were sent.
struct Late<W>(Vec<(u32, W)>);

impl<W> Default for Late<W> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<W> Late<W> {
    /// Takes out what was to come this many calls from now or earlier.
    fn due(&mut self, calls: u32) -> Vec<W> {
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|(left, _)| *left <= calls);
        self.0 = waiting.into_iter().map(|(left, write)| (left - calls, write)).collect();
        due.into_iter().map(|(_, write)| write).collect()
    }
}

fn reason() -> String {
    "scripted".to_owned()
}

/// Lets a write meet its fate. `None`: it is never answered.
fn meet<S, W, R: std::error::Error>(
    state: &mut S,
    fate: WriteFate,
    write: W,
    apply: impl Fn(&mut S, W) -> Result<(), R>,
    delay: impl Fn(&mut S, u32, W),
) -> Option<Result<(), WriteFailure<R>>> {
    let unknown = || Some(Err(WriteFailure::Unknown(UnknownOutcome { reason: reason() })));
    match fate {
        WriteFate::Answered | WriteFate::RefusalUnexplained => Some(apply(state, write).map_err(WriteFailure::Refused)),
        WriteFate::AnswerLost => {
            // Nobody hears whether it was refused.
            let _ = apply(state, write);
            unknown()
        }
        WriteFate::RequestLost => unknown(),
        WriteFate::AppliedLate { calls } => {
            delay(state, calls, write);
            unknown()
        }
        WriteFate::Hangs => None,
        WriteFate::AppliedThenHangs => {
            let _ = apply(state, write);
            None
        }
        WriteFate::Contended => Some(Err(WriteFailure::Contended(Contended))),
        WriteFate::Throttled => Some(Err(WriteFailure::Throttled(Throttled { code: reason() }))),
        WriteFate::NotSent => Some(Err(WriteFailure::NotSent(NotSent { reason: reason() }))),
        WriteFate::Rejected => Some(Err(WriteFailure::Rejected(Rejected { code: reason(), message: reason() }))),
    }
}

async fn or_hang<T>(answer: Option<T>) -> T {
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

impl MemoryReadModel {
    /// Fates of the next writes, in order; after them all are [`WriteFate::Answered`].
    pub fn script_writes(&self, fates: impl IntoIterator<Item = WriteFate>) {
        self.with(|state| state.write_fates.extend(fates));
    }

    /// Fates of the next reads, in order.
    pub fn script_reads(&self, fates: impl IntoIterator<Item = ReadFate>) {
        self.with(|state| state.read_fates.extend(fates));
    }

    /// Forgets fates that were scripted and not yet met, and applies all writes that are still on their way.
    pub fn settle(&self) {
        self.with(|state| {
            state.write_fates.clear();
            state.read_fates.clear();
            state.arrive(u32::MAX);
        });
    }

    pub fn views(&self) -> BTreeMap<StreamName, StoredView> {
        self.with(|state| state.views.clone())
    }

    pub fn view(&self, stream: &StreamName) -> Option<StoredView> {
        self.with(|state| state.views.get(stream).cloned())
    }

    /// Every write that took effect, in order.
    pub fn applied(&self) -> Vec<StoredView> {
        self.with(|state| state.applied.clone())
    }

    /// Every write that was asked for, whatever became of it.
    pub fn asked(&self) -> Vec<StoredView> {
        self.with(|state| state.asked.clone())
    }

    pub fn reads(&self) -> u32 {
        self.with(|state| state.reads)
    }

    /// Changes or removes views behind everyone's back.
    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<StreamName, StoredView>)) {
        self.with(|state| change(&mut state.views));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Views) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Views {
    fn arrive(&mut self, calls: u32) {
        for write in self.late.due(calls) {
            // Nobody waits for this answer any more.
            let _ = self.apply(write);
        }
    }

    fn apply(&mut self, (expected, view): (Version, StoredView)) -> Result<(), ViewMoved> {
        let standing = self.views.get(&view.stream).map_or(Version::START, |standing| standing.version);
        if standing != expected {
            return Err(ViewMoved { stream: view.stream });
        }
        self.applied.push(view.clone());
        self.views.insert(view.stream.clone(), view);
        Ok(())
    }
}

impl ReadModel for MemoryReadModel {
    fn read<'a>(&'a self, stream: &'a StreamName) -> BoxFuture<'a, Result<Option<StoredView>, ReadFailure>> {
        Box::pin(async move {
            let answer = self.with(|state| {
                state.arrive(1);
                state.reads += 1;
                Some(match state.read_fates.pop_front().unwrap_or(ReadFate::Answered) {
                    ReadFate::Answered => Ok(state.views.get(stream).cloned()),
                    ReadFate::NoAnswer => Err(ReadFailure::NoAnswer(UnknownOutcome { reason: reason() })),
                    ReadFate::Throttled => Err(ReadFailure::Throttled(Throttled { code: reason() })),
                    ReadFate::NotSent => Err(ReadFailure::NotSent(NotSent { reason: reason() })),
                    ReadFate::Hangs => return None,
                })
            });
            or_hang(answer).await
        })
    }

    fn write<'a>(
        &'a self,
        expected: Version,
        view: &'a StoredView,
    ) -> BoxFuture<'a, Result<(), WriteFailure<ViewMoved>>> {
        Box::pin(async move {
            let answer = self.with(|state| {
                state.arrive(1);
                state.asked.push(view.clone());
                let fate = state.write_fates.pop_front().unwrap_or(WriteFate::Answered);
                let delay = |state: &mut Views, calls, write| state.late.0.push((calls, write));
                meet(state, fate, (expected, view.clone()), Views::apply, delay)
            });
            or_hang(answer).await
        })
    }
}

impl MemoryOutbox {
    /// Fates of the next records, in order; after them all are [`WriteFate::Answered`].
    pub fn script(&self, fates: impl IntoIterator<Item = WriteFate>) {
        self.with(|state| state.fates.extend(fates));
    }

    /// Forgets fates that were scripted and not yet met, and applies all writes that are still on their way.
    pub fn settle(&self) {
        self.with(|state| {
            state.fates.clear();
            state.arrive(u32::MAX);
        });
    }

    pub fn notifications(&self) -> Vec<Notification> {
        self.with(|state| state.by_event.values().cloned().collect())
    }

    pub fn contains(&self, event_id: &str) -> bool {
        self.with(|state| state.by_event.contains_key(event_id))
    }

    /// Calls so far.
    pub fn asked(&self) -> u32 {
        self.with(|state| state.asked)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Records) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Records {
    fn arrive(&mut self, calls: u32) {
        for notification in self.late.due(calls) {
            // Nobody waits for this answer any more.
            let _ = self.apply(notification);
        }
    }

    fn apply(&mut self, notification: Notification) -> Result<(), AlreadyRecorded> {
        if self.by_event.contains_key(&notification.event_id) {
            return Err(AlreadyRecorded);
        }
        self.by_event.insert(notification.event_id.clone(), notification);
        Ok(())
    }
}

impl Outbox for MemoryOutbox {
    fn record<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), WriteFailure<AlreadyRecorded>>> {
        Box::pin(async move {
            let answer = self.with(|state| {
                state.arrive(1);
                state.asked += 1;
                let fate = state.fates.pop_front().unwrap_or(WriteFate::Answered);
                let delay = |state: &mut Records, calls, write| state.late.0.push((calls, write));
                meet(state, fate, notification.clone(), Records::apply, delay)
            });
            or_hang(answer).await
        })
    }
}
