//! A handler that writes down each effect, and can be slow, hold back, refuse more, hang or panic.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_ports::{BoxFuture, FeedHandler, FeedRecord, Handled, Monotonic, Platform, SequenceNumber, ShardHandler};

/// One durable effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub worker: String,
    pub shard: String,
    pub epoch: u64,
    /// Tells handlers apart that were begun under the same epoch.
    pub life: usize,
    pub number: SequenceNumber,
    pub at: Monotonic,
}

/// All effects of all workers, in order.
#[derive(Clone, Default)]
pub struct Effects {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    effects: Vec<Effect>,
    counts: BTreeMap<(String, SequenceNumber), usize>,
    repaired: BTreeSet<(String, SequenceNumber)>,
    lives: usize,
    /// Memories that handlers were begun with.
    memories: Vec<(String, String)>,
}

impl Effects {
    pub fn all(&self) -> Vec<Effect> {
        self.state.lock().unwrap().effects.clone()
    }

    pub fn of(&self, shard: &str) -> Vec<SequenceNumber> {
        self.all().into_iter().filter(|effect| effect.shard == shard).map(|effect| effect.number).collect()
    }

    pub fn of_worker(&self, worker: &str) -> usize {
        self.state.lock().unwrap().effects.iter().filter(|effect| effect.worker == worker).count()
    }

    pub fn count(&self) -> usize {
        self.state.lock().unwrap().effects.len()
    }

    pub fn has(&self, shard: &str, number: &SequenceNumber) -> bool {
        self.state.lock().unwrap().counts.contains_key(&(shard.to_owned(), number.clone()))
    }

    /// Counts a record as effective although no handler was given it: it was repaired from elsewhere.
    pub fn repair(&self, shard: &str, number: &SequenceNumber) {
        let mut state = self.state.lock().unwrap();
        state.repaired.insert((shard.to_owned(), number.clone()));
        state.counts.entry((shard.to_owned(), number.clone())).or_default();
    }

    pub fn is_repaired(&self, shard: &str, number: &SequenceNumber) -> bool {
        self.state.lock().unwrap().repaired.contains(&(shard.to_owned(), number.clone()))
    }

    pub fn memories(&self, shard: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.memories.iter().filter(|(of, _)| of == shard).map(|(_, memory)| memory.clone()).collect()
    }

    fn add(&self, effect: Effect) {
        let mut state = self.state.lock().unwrap();
        *state.counts.entry((effect.shard.clone(), effect.number.clone())).or_default() += 1;
        state.effects.push(effect);
    }
}

/// How the handlers of one worker behave.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Each call takes this long, before its effects.
    pub latency: Duration,
    /// Records that become durable only by a later call.
    pub keeps_back: usize,
    /// Takes no more while it keeps this many back.
    pub full_at: Option<usize>,
    /// Calls (counted over all handlers of the worker) that panic before any effect.
    pub panics: Arc<Mutex<Vec<usize>>>,
    /// Calls that never return.
    pub hangs: Arc<Mutex<Vec<usize>>>,
    pub calls: Arc<Mutex<usize>>,
    /// Bytes of memory that it asks for beside the position.
    pub memory_bytes: usize,
}

pub struct RecordingHandler {
    pub worker: String,
    pub platform: Platform,
    pub effects: Effects,
    pub behaviour: Behaviour,
}

impl FeedHandler for RecordingHandler {
    fn begin_shard(&self, shard: &str, epoch: u64, memory: &str) -> Box<dyn ShardHandler> {
        let mut state = self.effects.state.lock().unwrap();
        state.lives += 1;
        state.memories.push((shard.to_owned(), memory.to_owned()));
        Box::new(RecordingShardHandler {
            worker: self.worker.clone(),
            platform: self.platform.clone(),
            shard: shard.to_owned(),
            epoch,
            life: state.lives,
            effects: self.effects.clone(),
            behaviour: self.behaviour.clone(),
            kept_back: VecDeque::new(),
            durable_through: None,
        })
    }
}

struct RecordingShardHandler {
    worker: String,
    platform: Platform,
    shard: String,
    epoch: u64,
    life: usize,
    effects: Effects,
    behaviour: Behaviour,
    kept_back: VecDeque<FeedRecord>,
    durable_through: Option<SequenceNumber>,
}

impl ShardHandler for RecordingShardHandler {
    fn handle(&mut self, records: Vec<FeedRecord>) -> BoxFuture<'_, Handled> {
        Box::pin(async move {
            let call = {
                let mut calls = self.behaviour.calls.lock().unwrap();
                *calls += 1;
                *calls
            };
            assert!(!self.behaviour.panics.lock().unwrap().contains(&call), "the handler panics as it was told");
            if self.behaviour.hangs.lock().unwrap().contains(&call) {
                std::future::pending::<()>().await;
            }
            // A call without records works off what was kept back.
            let keeps = if records.is_empty() { 0 } else { self.behaviour.keeps_back };
            self.kept_back.extend(records);
            self.platform.sleep(self.behaviour.latency).await;
            while self.kept_back.len() > keeps {
                let Some(record) = self.kept_back.pop_front() else { break };
                self.make_durable(record.sequence_number);
            }
            self.handled()
        })
    }
}

impl RecordingShardHandler {
    fn make_durable(&mut self, number: SequenceNumber) {
        self.durable_through = Some(number.clone());
        self.effects.add(Effect {
            worker: self.worker.clone(),
            shard: self.shard.clone(),
            epoch: self.epoch,
            life: self.life,
            number,
            at: self.platform.monotonic(),
        });
    }

    fn handled(&self) -> Handled {
        let keeps_any = !self.kept_back.is_empty();
        let text = self.durable_through.as_ref().map(SequenceNumber::to_string).unwrap_or_default();
        Handled {
            durable_through: self.durable_through.clone(),
            memory: format!("{text}{}", "x".repeat(self.behaviour.memory_bytes)),
            call_again_after: keeps_any.then_some(Duration::from_millis(300)),
            accepts_more: self.behaviour.full_at.is_none_or(|full_at| self.kept_back.len() < full_at),
        }
    }
}
