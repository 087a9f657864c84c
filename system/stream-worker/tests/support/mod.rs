//! Workers on a feed and a lease store in memory, a handler that writes down every effect, and the rules that must hold.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod gate;
mod handler;
mod rules;

use std::{sync::Arc, time::Duration};

use nexus_ports::GapListener;
use nexus_ports::{Lease, Measurement, MetricSink, MetricUnit, Monotonic, SequenceNumber, ShardProgress, TaskHandle};
use nexus_ports_testing::{EPOCH_UNIX_MS, MemoryFeed, MemoryLeaseStore, TestPlatform};
use nexus_stream_worker::{StreamWorker, StreamWorkerSettings};
use tokio::sync::oneshot;

pub use gate::Gate;
pub use handler::{Behaviour, Effect, Effects, RecordingHandler};
pub use rules::Rules;

pub const GROUP: &str = "router";

/// What all workers of a test share.
pub struct World {
    /// Where the test itself runs; its clocks are the ones that effects and records carry.
    pub machine: TestPlatform,
    pub feed: MemoryFeed,
    pub leases: MemoryLeaseStore,
    pub effects: Effects,
    pub rules: Rules,
    pub listener: Option<Arc<dyn GapListener>>,
    /// Changes the settings of workers that are started from now on.
    pub adjust: fn(&mut StreamWorkerSettings),
}

/// One worker, and the ways to disturb it.
pub struct Running {
    pub id: String,
    pub leases: MemoryLeaseStore,
    pub gate: Gate,
    pub metrics: Arc<Metrics>,
    machine: TestPlatform,
    stop: Option<oneshot::Sender<()>>,
    task: TaskHandle,
}

impl World {
    pub fn new(shards: usize) -> Self {
        let (feed, leases) = (MemoryFeed::new(shards), MemoryLeaseStore::default());
        let effects = Effects::default();
        let rules = Rules::watch(&leases, &effects);
        let machine = TestPlatform::new(1);
        Self { machine, feed, leases, effects, rules, listener: None, adjust: |_| {} }
    }

    /// Puts `count` records for a key, wherever it leads.
    pub fn put(&self, key: &str, count: usize) {
        for _ in 0..count {
            let (shard, number) = self.feed.put(key, key, self.now_unix_ms());
            self.rules.expect(&shard, &number);
        }
    }

    pub fn put_into(&self, shard: &str, count: usize) -> Vec<SequenceNumber> {
        let put = |_| {
            let number = self.feed.put_into(shard, shard, shard, self.now_unix_ms());
            self.rules.expect(shard, &number);
            number
        };
        (0..count).map(put).collect()
    }

    pub fn start(&self, id: &str) -> Running {
        self.start_with(id, Behaviour::default())
    }

    pub fn start_with(&self, id: &str, behaviour: Behaviour) -> Running {
        let machine = TestPlatform::new(id.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte)));
        // All machines agree on the time of day.
        machine.leap_wall_clock_ms(i64::try_from(self.now_unix_ms() - EPOCH_UNIX_MS).unwrap());
        let (gate, leases, metrics) = (Gate::default(), self.leases.another_client(), Arc::new(Metrics::default()));
        leases.set_latency(Duration::from_millis(8));
        let mut settings = StreamWorkerSettings::for_table_stream(GROUP, id);
        (self.adjust)(&mut settings);
        let handler = RecordingHandler {
            worker: id.to_owned(),
            platform: self.machine.platform.clone(),
            effects: self.effects.clone(),
            behaviour,
        };
        let mut platform = machine.platform.clone();
        platform.spawner = gate.spawner(platform.spawner);
        let worker = StreamWorker::new(
            platform,
            Arc::new(self.feed.clone()),
            Arc::new(leases.clone()),
            Arc::new(handler),
            metrics.clone(),
            settings,
        );
        let worker = match &self.listener {
            Some(listener) => worker.with_gap_listener(listener.clone()),
            None => worker,
        };
        let (stop, stopped) = oneshot::channel();
        let run = worker.run_until(async move {
            let _ = stopped.await;
        });
        let task = self.machine.platform.spawn("worker", gate.wrap(Box::pin(run)));
        Running { id: id.to_owned(), leases, gate, metrics, machine, stop: Some(stop), task }
    }

    pub fn now(&self) -> Monotonic {
        self.machine.platform.monotonic()
    }

    pub fn now_unix_ms(&self) -> u64 {
        self.machine.platform.unix_time().as_millis()
    }

    pub async fn millis(&self, milliseconds: u64) {
        self.machine.platform.sleep(Duration::from_millis(milliseconds)).await;
    }

    pub async fn seconds(&self, seconds: u64) {
        self.millis(seconds * 1_000).await;
    }

    pub fn lease(&self, shard: &str) -> Lease {
        let leases = self.leases.leases(GROUP);
        leases.into_iter().find(|lease| lease.shard == shard).unwrap_or_else(|| panic!("{shard} has no lease"))
    }

    pub fn holder(&self, shard: &str) -> Option<String> {
        self.leases.leases(GROUP).into_iter().find(|lease| lease.shard == shard).and_then(|lease| lease.owner)
    }

    /// How many leases a worker holds.
    pub fn load(&self, id: &str) -> usize {
        self.leases.leases(GROUP).iter().filter(|lease| lease.owner.as_deref() == Some(id)).count()
    }

    pub fn is_finished(&self, shard: &str) -> bool {
        self.leases.leases(GROUP).iter().any(|lease| lease.shard == shard && lease.progress == ShardProgress::Finished)
    }

    /// Waits in simulated time until `holds`.
    pub async fn until(&self, what: &str, within: Duration, holds: impl Fn(&World) -> bool) {
        let begun = self.now();
        while !holds(self) {
            assert!(self.now().since(begun) < within, "not within {within:?}: {what}");
            self.millis(10).await;
        }
    }

    /// Waits until every record that was put has had its effect.
    pub async fn until_all_effective(&self, within: Duration) {
        self.until("every record has its effect", within, |world| world.rules.missing().is_empty()).await;
    }
}

impl Running {
    pub fn leap_wall_clock_ms(&self, offset_ms: i64) {
        self.machine.leap_wall_clock_ms(offset_ms);
    }

    /// Ends the worker in good order; nothing of it may be left.
    pub async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.join().await;
        assert_eq!(self.machine.running_tasks(), 0, "tasks of {} are left", self.id);
    }

    /// Ends it as a crash does.
    pub async fn crash(self) {
        self.task.abort();
        self.task.join().await;
        // Aborted tasks are dropped at the runtime's next turn.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(self.machine.running_tasks(), 0, "tasks of {} are left", self.id);
    }
}

#[derive(Default)]
pub struct Metrics {
    recorded: std::sync::Mutex<Vec<(&'static str, f64)>>,
}

impl Metrics {
    pub fn values(&self, name: &str) -> Vec<f64> {
        let recorded = self.recorded.lock().unwrap();
        recorded.iter().filter(|(of, _)| *of == name).map(|(_, value)| *value).collect()
    }

    pub fn sum(&self, name: &str) -> f64 {
        self.values(name).iter().sum()
    }
}

impl MetricSink for Metrics {
    fn record(&self, measurement: Measurement<'_>) {
        assert_eq!(measurement.dimensions, [("Group", GROUP)]);
        assert_eq!(measurement.unit == MetricUnit::Milliseconds, measurement.name == "MillisBehind");
        self.recorded.lock().unwrap().push((measurement.name, measurement.value));
    }
}
