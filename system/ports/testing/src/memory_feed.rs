//! A sharded feed in memory: splits, merges, trims, cursors that expire, and scripted outcomes.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_ports::{
    BoxFuture, FeedCursor, FeedFailure, FeedPage, FeedRecord, FeedShard, FeedStart, NotSent, RecordFeed, Rejected,
    SequenceNumber, Throttled, UnknownOutcome,
};

/// What becomes of one call. Without a script every call gets [`FeedFate::Answered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedFate {
    Answered,
    /// A read gives an empty page although records follow; other calls are answered.
    EmptyPage,
    /// A read finds its cursor expired; other calls are answered.
    CursorExpired,
    NoAnswer,
    Throttled,
    NotSent,
    Rejected,
    Hangs,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedCall {
    List,
    Open { shard: String, start: FeedStart },
    Read { shard: String },
}

/// A feed in memory. Clones share it. Sequence numbers ascend over all shards by ten.
#[derive(Clone)]
pub struct MemoryFeed {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// In the order of their making: parents before children.
    shards: Vec<Shard>,
    sequence: u64,
    shards_made: usize,
    cursor_generation: u64,
    fates: VecDeque<FeedFate>,
    draw_fate: Option<Box<dyn FnMut() -> FeedFate + Send>>,
    calls: Vec<FeedCall>,
    trims_silently: bool,
    tells_lag: bool,
    latency: Duration,
    page_records_max: Option<usize>,
}

struct Shard {
    id: String,
    parents: Vec<String>,
    is_closed: bool,
    records: BTreeMap<SequenceNumber, FeedRecord>,
    /// The newest record that was trimmed.
    trimmed_through: Option<SequenceNumber>,
}

impl MemoryFeed {
    /// `shards` open shards, named `shard-000` and so on.
    pub fn new(shards: usize) -> Self {
        let feed = Self { state: Arc::default() };
        feed.with(|state| {
            for _ in 0..shards {
                state.add_shard(Vec::new());
            }
        });
        feed
    }

    /// Puts a record into the open shard that the key's hash leads to, and returns that shard and the record's position.
    ///
    /// # Panics
    /// If no shard is open.
    pub fn put(&self, partition_key: &str, body: impl Into<Vec<u8>>, arrived_at_ms: u64) -> (String, SequenceNumber) {
        let mut hasher = DefaultHasher::new();
        partition_key.hash(&mut hasher);
        let hash = hasher.finish();
        let shard = self.with(|state| {
            let open: Vec<&Shard> = state.shards.iter().filter(|shard| !shard.is_closed).collect();
            assert!(!open.is_empty(), "no shard is open");
            open[(hash % open.len() as u64) as usize].id.clone()
        });
        let number = self.put_into(&shard, partition_key, body, arrived_at_ms);
        (shard, number)
    }

    /// Puts a record into a certain shard.
    ///
    /// # Panics
    /// If there is no such shard, or it is closed.
    pub fn put_into(
        &self,
        shard: &str,
        partition_key: &str,
        body: impl Into<Vec<u8>>,
        arrived_at_ms: u64,
    ) -> SequenceNumber {
        self.with(|state| {
            state.sequence += 10;
            let number = number(state.sequence);
            let shard = state.shard_mut(shard);
            assert!(!shard.is_closed, "{} is closed", shard.id);
            let record = FeedRecord {
                sequence_number: number.clone(),
                partition_key: partition_key.to_owned(),
                body: body.into(),
                arrived_at_ms: Some(arrived_at_ms),
            };
            shard.records.insert(number.clone(), record);
            number
        })
    }

    /// Closes a shard and opens two children; returns their names.
    pub fn split(&self, shard: &str) -> [String; 2] {
        self.with(|state| {
            state.shard_mut(shard).is_closed = true;
            [(); 2].map(|()| state.add_shard(vec![shard.to_owned()]))
        })
    }

    /// Closes a shard and opens one child, as a table's stream does every few hours.
    pub fn roll_over(&self, shard: &str) -> String {
        self.with(|state| {
            state.shard_mut(shard).is_closed = true;
            state.add_shard(vec![shard.to_owned()])
        })
    }

    /// Closes two shards and opens their common child.
    pub fn merge(&self, one: &str, other: &str) -> String {
        self.with(|state| {
            state.shard_mut(one).is_closed = true;
            state.shard_mut(other).is_closed = true;
            state.add_shard(vec![one.to_owned(), other.to_owned()])
        })
    }

    /// Closes a shard without a child.
    pub fn close(&self, shard: &str) {
        self.with(|state| state.shard_mut(shard).is_closed = true);
    }

    /// Makes every cursor that was given out so far expire.
    pub fn expire_cursors(&self) {
        self.with(|state| state.cursor_generation += 1);
    }

    /// Drops a shard's records up to and with this one.
    pub fn trim_through(&self, shard: &str, through: &SequenceNumber) {
        self.with(|state| {
            let shard = state.shard_mut(shard);
            shard.records.retain(|number, _| number > through);
            shard.trimmed_through = shard.trimmed_through.clone().max(Some(through.clone()));
        });
    }

    /// Whether trimmed records are passed over without a word, as Kinesis does, instead of [`FeedFailure::Trimmed`].
    pub fn trim_silently(&self, is_silent: bool) {
        self.with(|state| state.trims_silently = is_silent);
    }

    /// Whether pages tell how far behind they are, as those of Kinesis do (0 at the tip, else 1).
    pub fn tell_lag(&self, tells_lag: bool) {
        self.with(|state| state.tells_lag = tells_lag);
    }

    /// Removes a shard and all its records: it is older than the feed's retention.
    pub fn drop_shard(&self, shard: &str) {
        self.with(|state| state.shards.retain(|known| known.id != shard));
    }

    /// Fates of the next calls, in order.
    pub fn script(&self, fates: impl IntoIterator<Item = FeedFate>) {
        self.with(|state| state.fates.extend(fates));
    }

    /// Decides the fate of every call that is not scripted.
    pub fn draw_fates(&self, draw: impl FnMut() -> FeedFate + Send + 'static) {
        self.with(|state| state.draw_fate = Some(Box::new(draw)));
    }

    /// From now on every call is answered.
    pub fn heal(&self) {
        self.with(|state| {
            state.fates.clear();
            state.draw_fate = None;
        });
    }

    /// Each call takes this long.
    pub fn set_latency(&self, latency: Duration) {
        self.with(|state| state.latency = latency);
    }

    /// Splits reads into pages of this many records.
    pub fn page_by(&self, records_max: usize) {
        self.with(|state| state.page_records_max = Some(records_max));
    }

    /// Every call so far, in order, whatever became of it.
    pub fn calls(&self) -> Vec<FeedCall> {
        self.with(|state| state.calls.clone())
    }

    /// Shards that take records.
    pub fn open_shards(&self) -> Vec<String> {
        self.with(|state| state.shards.iter().filter(|shard| !shard.is_closed).map(|shard| shard.id.clone()).collect())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn call<T>(
        &self,
        call: FeedCall,
        answer: impl FnOnce(&mut State, FeedFate) -> Result<T, FeedFailure>,
    ) -> Result<T, FeedFailure> {
        let (fate, latency) = self.with(|state| {
            state.calls.push(call);
            let scripted = state.fates.pop_front();
            let fate = scripted.or_else(|| state.draw_fate.as_mut().map(|draw| draw()));
            (fate.unwrap_or(FeedFate::Answered), state.latency)
        });
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let reason = || "scripted".to_owned();
        match fate {
            FeedFate::Answered | FeedFate::EmptyPage | FeedFate::CursorExpired => {
                self.with(|state| answer(state, fate))
            }
            FeedFate::NoAnswer => Err(FeedFailure::NoAnswer(UnknownOutcome { reason: reason() })),
            FeedFate::Throttled => Err(FeedFailure::Throttled(Throttled { code: reason() })),
            FeedFate::NotSent => Err(FeedFailure::NotSent(NotSent { reason: reason() })),
            FeedFate::Rejected => Err(FeedFailure::Rejected(Rejected { code: reason(), message: reason() })),
            FeedFate::Hangs => std::future::pending().await,
        }
    }
}

impl State {
    fn add_shard(&mut self, parents: Vec<String>) -> String {
        let id = format!("shard-{:03}", self.shards_made);
        self.shards_made += 1;
        self.shards.push(Shard {
            id: id.clone(),
            parents,
            is_closed: false,
            records: BTreeMap::new(),
            trimmed_through: None,
        });
        id
    }

    fn shard_mut(&mut self, id: &str) -> &mut Shard {
        match self.shards.iter_mut().find(|shard| shard.id == id) {
            Some(shard) => shard,
            None => panic!("there is no shard {id}"),
        }
    }

    fn find(&self, id: &str) -> Result<&Shard, FeedFailure> {
        let found = self.shards.iter().find(|shard| shard.id == id);
        found.ok_or_else(|| FeedFailure::NotFound { what: format!("shard {id}") })
    }

    fn cursor(&self, shard: &str, after: Option<&SequenceNumber>) -> FeedCursor {
        FeedCursor(format!("{}|{shard}|{}", self.cursor_generation, after.map_or("", SequenceNumber::as_str)))
    }

    fn open(&self, id: &str, start: &FeedStart) -> Result<FeedCursor, FeedFailure> {
        let shard = self.find(id)?;
        match start {
            // The horizon at this moment: what is trimmed after it is missed by this cursor.
            FeedStart::Oldest => Ok(self.cursor(id, shard.trimmed_through.as_ref())),
            FeedStart::After(number) => {
                self.refuse_trimmed(shard, Some(number))?;
                Ok(self.cursor(id, Some(number)))
            }
        }
    }

    fn refuse_trimmed(&self, shard: &Shard, after: Option<&SequenceNumber>) -> Result<(), FeedFailure> {
        let is_trimmed = shard.trimmed_through.as_ref() > after;
        if is_trimmed && !self.trims_silently { Err(FeedFailure::Trimmed) } else { Ok(()) }
    }

    fn read(&self, cursor: &FeedCursor, limit: usize, fate: FeedFate) -> Result<FeedPage, FeedFailure> {
        let mut parts = cursor.0.split('|');
        let generation = parts.next().unwrap_or_default();
        let id = parts.next().unwrap_or_default();
        let after = parts.next().and_then(|text| SequenceNumber::try_from(text.to_owned()).ok());
        if generation != self.cursor_generation.to_string() || fate == FeedFate::CursorExpired {
            return Err(FeedFailure::CursorExpired);
        }
        let shard = self.find(id)?;
        self.refuse_trimmed(shard, after.as_ref())?;
        let limit = if fate == FeedFate::EmptyPage { 0 } else { limit.min(self.page_records_max.unwrap_or(limit)) };
        let follow: Vec<&FeedRecord> =
            shard.records.values().filter(|record| Some(&record.sequence_number) > after.as_ref()).collect();
        let records: Vec<FeedRecord> = follow.iter().take(limit).map(|record| (*record).clone()).collect();
        let is_all = records.len() == follow.len();
        let last = records.last().map(|record| &record.sequence_number).or(after.as_ref());
        let next = (!(shard.is_closed && is_all)).then(|| self.cursor(id, last));
        let behind_ms = self.tells_lag.then_some(u64::from(!is_all));
        Ok(FeedPage { records, next, behind_ms })
    }
}

impl RecordFeed for MemoryFeed {
    fn list_shards(&self) -> BoxFuture<'_, Result<Vec<FeedShard>, FeedFailure>> {
        let list = |state: &mut State, _| {
            let view = |shard: &Shard| FeedShard {
                id: shard.id.clone(),
                parents: shard.parents.clone(),
                is_closed: shard.is_closed,
            };
            Ok(state.shards.iter().map(view).collect())
        };
        Box::pin(self.call(FeedCall::List, list))
    }

    fn open<'a>(&'a self, shard: &'a str, start: &'a FeedStart) -> BoxFuture<'a, Result<FeedCursor, FeedFailure>> {
        let call = FeedCall::Open { shard: shard.to_owned(), start: start.clone() };
        Box::pin(self.call(call, move |state, _| state.open(shard, start)))
    }

    fn read<'a>(&'a self, cursor: &'a FeedCursor, limit: usize) -> BoxFuture<'a, Result<FeedPage, FeedFailure>> {
        let shard = cursor.0.split('|').nth(1).unwrap_or_default().to_owned();
        Box::pin(self.call(FeedCall::Read { shard }, move |state, fate| state.read(cursor, limit, fate)))
    }
}

fn number(value: u64) -> SequenceNumber {
    match SequenceNumber::try_from(value.to_string()) {
        Ok(number) => number,
        Err(error) => panic!("{error}"),
    }
}
