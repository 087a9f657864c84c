//! Property: whatever becomes of calls, in whatever order records come and however often the worker crashes, nothing is
//! claimed as durable before it is, and in the end every view is the fold of its events.
#![forbid(unsafe_code)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nexus_ports::{
    AggregateReplayer, EventRecord, FeedRecord, Handled, ParkReason, ParkingLot, ReplayFailure, ShardHandler,
    StreamName, Version,
};
use nexus_ports_testing::{ReadFate, WriteFate};
use proptest::prelude::*;
use serde_json::Value;
use support::{Bench, expected_views, feed_event, feed_record, order, payment};

/// One thing that happens to the feed or its reader.
#[derive(Clone, Debug)]
enum Happening {
    /// The next record of this aggregate comes, if there is one.
    Next(usize),
    /// An earlier record of this aggregate comes again.
    Again { aggregate: usize, back: usize },
    /// The next two records of this aggregate come in the wrong order.
    Swapped(usize),
    /// The next record of this aggregate does not come in time, if ever.
    Missed(usize),
    /// Something that is no event comes under this aggregate's key.
    Garbage(usize),
    /// The next record of this aggregate comes with its payload changed.
    Damaged(usize),
    /// What came since is handed to the handler, which is stopped after this many milliseconds if it still works.
    Handle { crash_after_ms: Option<u64> },
    /// What came since is handed to the handler while someone releases what is parked.
    HandleAmidRelease,
    /// Time passes and the handler is called without records.
    Pause { pause_ms: u64 },
    /// The handler is dropped; the next one begins after the last durable record.
    Crash,
}

#[derive(Clone, Debug)]
struct Plan {
    /// How many events each payment has; two orders come beside them.
    payments: Vec<usize>,
    happenings: Vec<Happening>,
    view_writes: Vec<WriteFate>,
    view_reads: Vec<ReadFate>,
    lot_writes: Vec<WriteFate>,
    lot_reads: Vec<ReadFate>,
    store_reads: Vec<ReadFate>,
}

fn happening() -> impl Strategy<Value = Happening> {
    let aggregate = 0..5_usize;
    prop_oneof![
        12 => aggregate.clone().prop_map(Happening::Next),
        2 => (aggregate.clone(), 0..4_usize).prop_map(|(aggregate, back)| Happening::Again { aggregate, back }),
        2 => aggregate.clone().prop_map(Happening::Swapped),
        2 => aggregate.clone().prop_map(Happening::Missed),
        1 => aggregate.clone().prop_map(Happening::Garbage),
        1 => aggregate.prop_map(Happening::Damaged),
        6 => Just(Happening::Handle { crash_after_ms: None }),
        1 => (0..4_000_u64).prop_map(|ms| Happening::Handle { crash_after_ms: Some(ms) }),
        2 => Just(Happening::HandleAmidRelease),
        2 => (0..700_u64).prop_map(|pause_ms| Happening::Pause { pause_ms }),
        1 => Just(Happening::Crash),
    ]
}

fn write_fate() -> impl Strategy<Value = WriteFate> {
    prop_oneof![
        8 => Just(WriteFate::Answered),
        2 => Just(WriteFate::AnswerLost),
        1 => Just(WriteFate::RequestLost),
        2 => (1..6_u32).prop_map(|calls| WriteFate::AppliedLate { calls }),
        1 => Just(WriteFate::Hangs),
        1 => Just(WriteFate::AppliedThenHangs),
        1 => Just(WriteFate::Contended),
        3 => Just(WriteFate::Throttled),
        1 => Just(WriteFate::NotSent),
        1 => Just(WriteFate::Rejected),
    ]
}

fn read_fate() -> impl Strategy<Value = ReadFate> {
    prop_oneof![
        6 => Just(ReadFate::Answered),
        1 => Just(ReadFate::NoAnswer),
        2 => Just(ReadFate::Throttled),
        1 => Just(ReadFate::Hangs),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    use prop::collection::vec;
    let fates = (
        vec(write_fate(), 0..30),
        vec(read_fate(), 0..20),
        vec(write_fate(), 0..20),
        vec(read_fate(), 0..20),
        vec(read_fate(), 0..10),
    );
    (vec(1..9_usize, 3), vec(happening(), 1..80), fates).prop_map(|(payments, happenings, fates)| {
        let (view_writes, view_reads, lot_writes, lot_reads, store_reads) = fates;
        Plan { payments, happenings, view_writes, view_reads, lot_writes, lot_reads, store_reads }
    })
}

/// What a run reached, to see that the plans reach what is rare.
#[derive(Debug, Default)]
struct Reached {
    poison_parked: bool,
    exhausted_parked: bool,
    raised: bool,
    kept_back: bool,
    repaired: bool,
    stopped_amid: bool,
    released_amid: bool,
}

/// Replays what is parked and releases it, as far as the faults let it. The keys of those that may be released now.
async fn release_some(bench: &Bench) -> Vec<String> {
    let mut keys = Vec::new();
    for parked in bench.parking.entries() {
        let stream: StreamName = parked.key.parse().unwrap();
        let first = parked.first_version.unwrap_or(Version(1));
        let Ok(reached) = bench.projection.replay(&stream, first).await else { continue };
        if Some(reached) >= parked.last_version {
            let release = bench.parking.release("projection", &parked.key, parked.counter);
            // Released or not, if the answer was lost.
            let _ = bench.test.platform.timeout(Duration::from_secs(2), release).await;
            keys.push(parked.key);
        }
    }
    keys
}

struct World {
    bench: Bench,
    aggregates: Vec<Vec<EventRecord>>,
    /// How many events of each aggregate have come.
    come: Vec<usize>,
    feed: Vec<FeedRecord>,
    /// How many records of the feed the current handler was given.
    given: usize,
    /// How many records of the feed are durable by what handlers said.
    durable: usize,
    shard: Box<dyn ShardHandler>,
    /// Keys that were parked and may have been released.
    released: BTreeSet<String>,
    reached: Reached,
}

impl World {
    fn new(plan: &Plan) -> Self {
        let bench = Bench::new(11);
        let mut aggregates: Vec<_> =
            plan.payments.iter().enumerate().map(|(index, events)| payment(&format!("p-{index}"), *events)).collect();
        aggregates.extend([order("o-1", false), order("o-2", true)]);
        aggregates.iter().for_each(|events| bench.store(events));
        bench.storage.page_by(3);
        bench.views.script_writes(plan.view_writes.iter().copied());
        bench.views.script_reads(plan.view_reads.iter().copied());
        bench.parking.script_writes(plan.lot_writes.iter().copied());
        bench.parking.script_reads(plan.lot_reads.iter().copied());
        bench.storage.script_reads(plan.store_reads.iter().copied());
        let (come, shard) = (vec![0; aggregates.len()], bench.shard());
        Self {
            bench,
            aggregates,
            come,
            feed: Vec::new(),
            given: 0,
            durable: 0,
            shard,
            released: BTreeSet::new(),
            reached: Reached::default(),
        }
    }

    fn arrive(&mut self, aggregate: usize, index: usize, change: impl FnOnce(&mut EventRecord)) {
        if let Some(event) = self.aggregates[aggregate].get(index) {
            let mut event = event.clone();
            change(&mut event);
            self.feed.push(feed_event(self.feed.len() + 1, &event));
            self.come[aggregate] = self.come[aggregate].max(index + 1);
        }
    }

    async fn play(&mut self, happening: &Happening) -> Result<(), TestCaseError> {
        match *happening {
            Happening::Next(aggregate) => self.arrive(aggregate, self.come[aggregate], |_| {}),
            Happening::Again { aggregate, back } => {
                if let Some(index) = self.come[aggregate].checked_sub(1 + back) {
                    self.arrive(aggregate, index, |_| {});
                }
            }
            Happening::Swapped(aggregate) => {
                let next = self.come[aggregate];
                self.arrive(aggregate, next + 1, |_| {});
                self.arrive(aggregate, next, |_| {});
            }
            Happening::Missed(aggregate) => {
                self.come[aggregate] = (self.come[aggregate] + 1).min(self.aggregates[aggregate].len());
            }
            Happening::Garbage(aggregate) => {
                let key = self.aggregates[aggregate][0].stream.to_string();
                self.feed.push(feed_record(self.feed.len() + 1, &key, "garbage"));
            }
            Happening::Damaged(aggregate) => {
                self.arrive(aggregate, self.come[aggregate], |event| event.payload = "{}".to_owned());
            }
            Happening::Handle { crash_after_ms } => self.handle(crash_after_ms).await?,
            Happening::HandleAmidRelease => {
                let records = self.feed[self.given..].to_vec();
                self.given = self.feed.len();
                let (handled, released) = tokio::join!(self.shard.handle(records), release_some(&self.bench));
                self.reached.released_amid |= !released.is_empty();
                self.released.extend(released);
                self.judge(&handled)?;
            }
            Happening::Pause { pause_ms } => {
                self.bench.test.platform.sleep(Duration::from_millis(pause_ms)).await;
                self.handle(None).await?;
            }
            Happening::Crash => self.crash(),
        }
        Ok(())
    }

    fn crash(&mut self) {
        self.shard = self.bench.shard();
        self.given = self.durable;
    }

    async fn handle(&mut self, crash_after_ms: Option<u64>) -> Result<(), TestCaseError> {
        let records = self.feed[self.given..].to_vec();
        self.given = self.feed.len();
        let work = self.shard.handle(records);
        let handled = match crash_after_ms {
            None => Some(work.await),
            Some(ms) => self.bench.test.platform.timeout(Duration::from_millis(ms), work).await.ok(),
        };
        match handled {
            Some(handled) => self.judge(&handled),
            None => {
                self.reached.stopped_amid = true;
                self.crash();
                Ok(())
            }
        }
    }

    /// Nothing is claimed that is not so, and who keeps records back asks to be called again.
    fn judge(&mut self, handled: &Handled) -> Result<(), TestCaseError> {
        let durable = handled.durable_through.as_ref().map_or(0, |number| number.as_str().parse().unwrap());
        // A new handler that has made nothing durable yet says nothing, which takes nothing back.
        self.durable = self.durable.max(durable);
        for record in &self.feed[..self.durable] {
            prop_assert!(self.is_durable(record), "claimed, but not durable: {:?}", record);
        }
        prop_assert_eq!(self.durable < self.given, handled.call_again_after.is_some());
        self.reached.kept_back |= !handled.accepts_more;
        self.reached.repaired |= self.bench.storage.reads() > 0;
        for parked in self.bench.parking.entries() {
            self.reached.poison_parked |= parked.reason == ParkReason::Poison;
            self.reached.exhausted_parked |= parked.reason == ParkReason::AttemptsExhausted;
            self.reached.raised |= parked.last_version > parked.first_version;
        }
        Ok(())
    }

    fn is_durable(&self, record: &FeedRecord) -> bool {
        let parked = self.bench.parked(&record.partition_key);
        let event: Option<EventRecord> = serde_json::from_slice(&record.body).ok();
        match event {
            // What cannot be read was parked, and may have been released since.
            None => parked.is_some() || self.released.contains(&record.partition_key),
            Some(event) => {
                let waits = parked.is_some_and(|parked| parked.last_version >= Some(event.version));
                waits || self.bench.view_version(event.stream.as_str()) >= event.version.0
            }
        }
    }

    /// No more faults: everything is delivered, worked off and released.
    async fn heal(&mut self) -> Result<(), TestCaseError> {
        self.bench.views.settle();
        self.bench.storage.drop_scripts();
        self.bench.parking.drop_scripts();
        self.bench.parking.settle();
        for aggregate in 0..self.aggregates.len() {
            while self.come[aggregate] < self.aggregates[aggregate].len() {
                self.arrive(aggregate, self.come[aggregate], |_| {});
            }
            // The last one may have been missed; whoever sees it learns of all before it.
            self.arrive(aggregate, self.aggregates[aggregate].len() - 1, |_| {});
        }
        let begun = self.bench.test.platform.monotonic();
        while self.durable < self.feed.len() {
            self.handle(None).await?;
            self.bench.test.platform.sleep(Duration::from_millis(100)).await;
            let waited = self.bench.test.platform.monotonic().since(begun);
            prop_assert!(waited < Duration::from_secs(30), "not quiet in time");
        }
        self.release().await
    }

    async fn release(&self) -> Result<(), TestCaseError> {
        for parked in self.bench.parking.entries() {
            let stream: StreamName = parked.key.parse().unwrap();
            let first = parked.first_version.unwrap_or(Version(1));
            let replayed: Result<Version, ReplayFailure> = self.bench.projection.replay(&stream, first).await;
            prop_assert!(replayed.is_ok(), "{:?}", replayed);
            prop_assert!(Some(replayed.unwrap()) >= parked.last_version);
            self.bench.parking.release("projection", &parked.key, parked.counter).await.unwrap();
        }
        Ok(())
    }

    fn judge_views(&self) -> Result<(), TestCaseError> {
        let views = self.bench.views.views();
        for (stream, expected) in expected_views(&self.aggregates.concat()) {
            let view = views.get(&stream.parse().unwrap()).map(|view| view.body.clone()).unwrap_or_default();
            let view: Value = serde_json::from_str(&view).unwrap_or_default();
            prop_assert_eq!(view, expected);
        }
        let mut positions: BTreeMap<StreamName, Version> = BTreeMap::new();
        for view in self.bench.views.applied() {
            let before = positions.insert(view.stream.clone(), view.version);
            prop_assert!(before < Some(view.version), "{} went back", view.stream);
        }
        Ok(())
    }
}

fn run(plan: &Plan) -> Result<Reached, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(plan);
        for happening in &plan.happenings {
            world.play(happening).await?;
        }
        world.heal().await?;
        world.judge_views()?;
        Ok(world.reached)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn views_become_the_fold_of_their_events(plan in plan()) {
        run(&plan)?;
    }
}

/// The property above is worth something only if its plans reach the rare ends.
#[test]
fn plans_reach_every_end() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..150 {
        let plan = plan().new_tree(&mut runner).unwrap().current();
        let reached = run(&plan).unwrap();
        for (name, is_reached) in [
            ("poison parked", reached.poison_parked),
            ("attempts exhausted", reached.exhausted_parked),
            ("raised", reached.raised),
            ("kept back", reached.kept_back),
            ("repaired", reached.repaired),
            ("stopped amid", reached.stopped_amid),
            ("released amid", reached.released_amid),
        ] {
            *counts.entry(name).or_default() += u32::from(is_reached);
        }
    }
    for (name, count) in &counts {
        assert!(*count >= 5, "{name}: {counts:?}");
    }
}
