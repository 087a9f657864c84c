//! Leases in memory, with scripted outcomes and a journal of every write that took effect.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_ports::{
    BoxFuture, Contended, Lease, LeaseFailure, LeaseMoved, LeaseStore, NotSent, ReadFailure, Rejected, Throttled,
    UnknownOutcome, WriteFailure,
};

use crate::{ReadFate, WriteFate};

/// A write that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseWrite {
    pub group: String,
    pub before: Option<Lease>,
    pub after: Lease,
}

type Observer = Box<dyn FnMut(&LeaseWrite) + Send>;
type FateSource<F> = Box<dyn FnMut() -> F + Send>;

/// Leases in memory. Clones are the same client; [`MemoryLeaseStore::another_client`] shares the leases, but has fates of
/// its own, so that one worker's way to the store can be broken while another's is whole.
#[derive(Clone, Default)]
pub struct MemoryLeaseStore {
    stored: Arc<Mutex<Stored>>,
    client: Arc<Mutex<Client>>,
}

#[derive(Default)]
struct Stored {
    leases: BTreeMap<(String, String), Lease>,
    journal: Vec<LeaseWrite>,
    observer: Option<Observer>,
}

#[derive(Default)]
struct Client {
    write_fates: VecDeque<WriteFate>,
    read_fates: VecDeque<ReadFate>,
    draw_write_fate: Option<FateSource<WriteFate>>,
    draw_read_fate: Option<FateSource<ReadFate>>,
    late: Vec<(u32, Write)>,
    latency: Duration,
}

#[derive(Clone)]
struct Write {
    group: String,
    /// `None` creates.
    expected_counter: Option<u64>,
    lease: Lease,
}

impl MemoryLeaseStore {
    pub fn another_client(&self) -> Self {
        Self { stored: self.stored.clone(), client: Arc::default() }
    }

    /// Fates of this client's next writes, in order; after them all are [`WriteFate::Answered`].
    /// [`WriteFate::RefusalUnexplained`] is the same as that: a refusal of a lease explains nothing.
    pub fn script_writes(&self, fates: impl IntoIterator<Item = WriteFate>) {
        self.with_client(|client| client.write_fates.extend(fates));
    }

    /// Fates of this client's next reads and lists, in order.
    pub fn script_reads(&self, fates: impl IntoIterator<Item = ReadFate>) {
        self.with_client(|client| client.read_fates.extend(fates));
    }

    /// Decides the fate of every write that is not scripted.
    pub fn draw_write_fates(&self, draw: impl FnMut() -> WriteFate + Send + 'static) {
        self.with_client(|client| client.draw_write_fate = Some(Box::new(draw)));
    }

    /// Decides the fate of every read and list that is not scripted.
    pub fn draw_read_fates(&self, draw: impl FnMut() -> ReadFate + Send + 'static) {
        self.with_client(|client| client.draw_read_fate = Some(Box::new(draw)));
    }

    /// From now on every call of this client is answered, but for writes that are still to arrive late.
    pub fn heal(&self) {
        self.with_client(|client| {
            client.write_fates.clear();
            client.read_fates.clear();
            client.draw_write_fate = None;
            client.draw_read_fate = None;
        });
    }

    /// Each call takes this long; writes take effect half-way.
    pub fn set_latency(&self, latency: Duration) {
        self.with_client(|client| client.latency = latency);
    }

    /// All leases of a group, by shard.
    pub fn leases(&self, group: &str) -> Vec<Lease> {
        self.with_stored(|stored| stored.of_group(group))
    }

    /// Every write that took effect, in order.
    pub fn journal(&self) -> Vec<LeaseWrite> {
        self.with_stored(|stored| stored.journal.clone())
    }

    /// Shows every write to `observer` at the moment when it takes effect. It must not call this store.
    pub fn observe_writes(&self, observer: impl FnMut(&LeaseWrite) + Send + 'static) {
        self.with_stored(|stored| stored.observer = Some(Box::new(observer)));
    }

    /// Puts or removes leases behind everybody's back; the journal does not show it.
    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<(String, String), Lease>)) {
        self.with_stored(|stored| change(&mut stored.leases));
    }

    fn with_stored<T>(&self, change: impl FnOnce(&mut Stored) -> T) -> T {
        change(&mut self.stored.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_client<T>(&self, change: impl FnOnce(&mut Client) -> T) -> T {
        change(&mut self.client.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn half_way(&self) {
        let latency = self.with_client(|client| client.latency);
        if !latency.is_zero() {
            tokio::time::sleep(latency / 2).await;
        }
    }

    /// Applies this client's writes that were to come this many calls from now or earlier.
    fn arrive(&self, calls: u32) {
        let due: Vec<(u32, Write)> = self.with_client(|client| {
            let (due, waiting) = client.late.drain(..).partition(|(left, _)| *left <= calls);
            client.late = waiting;
            for (left, _) in &mut client.late {
                *left -= calls;
            }
            due
        });
        for (_, write) in due {
            // Nobody waits for this answer any more.
            let _ = self.with_stored(|stored| stored.apply(write));
        }
    }

    async fn write(&self, write: Write) -> Result<(), LeaseFailure> {
        self.half_way().await;
        self.arrive(1);
        let answer = self.meet_write_fate(write);
        self.half_way().await;
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// `None` hangs.
    fn meet_write_fate(&self, write: Write) -> Option<Result<(), LeaseFailure>> {
        let unknown = || WriteFailure::Unknown(UnknownOutcome { reason: "scripted".to_owned() });
        let apply = |write| self.with_stored(|stored| stored.apply(write)).map_err(WriteFailure::Refused);
        let fate = self.with_client(|client| {
            let scripted = client.write_fates.pop_front();
            scripted.or_else(|| client.draw_write_fate.as_mut().map(|draw| draw())).unwrap_or(WriteFate::Answered)
        });
        Some(match fate {
            WriteFate::Answered | WriteFate::RefusalUnexplained => apply(write),
            WriteFate::AnswerLost => {
                let _ = apply(write);
                Err(unknown())
            }
            WriteFate::RequestLost => Err(unknown()),
            WriteFate::AppliedLate { calls } => {
                self.with_client(|client| client.late.push((calls, write)));
                Err(unknown())
            }
            WriteFate::Hangs => return None,
            WriteFate::AppliedThenHangs => {
                let _ = apply(write);
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
    }

    async fn read_with<T>(&self, read: impl FnOnce(&mut Stored) -> T) -> Result<T, ReadFailure> {
        self.half_way().await;
        self.arrive(1);
        let fate = self.with_client(|client| {
            let scripted = client.read_fates.pop_front();
            scripted.or_else(|| client.draw_read_fate.as_mut().map(|draw| draw())).unwrap_or(ReadFate::Answered)
        });
        let found = self.with_stored(read);
        self.half_way().await;
        let reason = || "scripted".to_owned();
        match fate {
            ReadFate::Answered => Ok(found),
            ReadFate::NoAnswer => Err(ReadFailure::NoAnswer(UnknownOutcome { reason: reason() })),
            ReadFate::Throttled => Err(ReadFailure::Throttled(Throttled { code: reason() })),
            ReadFate::NotSent => Err(ReadFailure::NotSent(NotSent { reason: reason() })),
            ReadFate::Hangs => std::future::pending().await,
        }
    }
}

impl Stored {
    fn of_group(&self, group: &str) -> Vec<Lease> {
        self.leases.iter().filter(|((of, _), _)| of == group).map(|(_, lease)| lease.clone()).collect()
    }

    fn apply(&mut self, write: Write) -> Result<(), LeaseMoved> {
        let key = (write.group.clone(), write.lease.shard.clone());
        let before = self.leases.get(&key).cloned();
        let is_as_expected = before.as_ref().map(|lease| lease.counter) == write.expected_counter;
        let grows = write.expected_counter.is_none_or(|expected| write.lease.counter > expected);
        assert!(grows, "a lease was written without raising its counter: {:?}", write.lease);
        if !is_as_expected {
            return Err(LeaseMoved { shard: write.lease.shard });
        }
        self.leases.insert(key, write.lease.clone());
        let written = LeaseWrite { group: write.group, before, after: write.lease };
        if let Some(observer) = &mut self.observer {
            observer(&written);
        }
        self.journal.push(written);
        Ok(())
    }
}

impl LeaseStore for MemoryLeaseStore {
    fn list<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<Vec<Lease>, ReadFailure>> {
        Box::pin(self.read_with(move |stored| stored.of_group(group)))
    }

    fn read<'a>(&'a self, group: &'a str, shard: &'a str) -> BoxFuture<'a, Result<Option<Lease>, ReadFailure>> {
        Box::pin(self.read_with(move |stored| stored.leases.get(&(group.to_owned(), shard.to_owned())).cloned()))
    }

    fn create<'a>(&'a self, group: &'a str, lease: &'a Lease) -> BoxFuture<'a, Result<(), LeaseFailure>> {
        Box::pin(self.write(Write { group: group.to_owned(), expected_counter: None, lease: lease.clone() }))
    }

    fn replace<'a>(
        &'a self,
        group: &'a str,
        expected_counter: u64,
        lease: &'a Lease,
    ) -> BoxFuture<'a, Result<(), LeaseFailure>> {
        let expected_counter = Some(expected_counter);
        Box::pin(self.write(Write { group: group.to_owned(), expected_counter, lease: lease.clone() }))
    }
}
