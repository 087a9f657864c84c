//! madsim behind [`Engine`]: one executor that picks the next ready task at random, time that jumps over idleness.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use madsim::{
    Config,
    runtime::{Handle, NodeHandle, Runtime},
};
use nexus_ports::{BoxFuture, Spawner, TaskHandle, Timer};

use crate::{
    Alarm, Control, Direction, Director, Elapsed, Engine, EngineConfig, EngineError, EngineHandles, EngineKind, Next,
    Program, RunSummary, TrueClock,
    handles::{TimeSource, elapsed_ns},
    host::{Failures, Host, LifeParts},
    links::Latency,
    memory_network::{HostPort, MemoryNetwork},
    timekeeper::{Timekeeper, running_time_ns},
};

/// A director that asks to be called in the past is called after this: time must go on between two calls.
const DIRECTOR_PAUSE_MIN: Duration = Duration::from_millis(1);

/// madsim remembers every task ever spawned until it is asked for their number: asked this often it forgets the ended.
const SPAWNS_BETWEEN_SWEEPS: u64 = 65_536;

/// True time, also after the run's end.
#[derive(Default)]
struct RuntimeTime {
    end_ns: AtomicU64,
}

impl TimeSource for RuntimeTime {
    fn elapsed(&self) -> Elapsed {
        Duration::from_nanos(running_time_ns().unwrap_or_else(|| self.end_ns.load(Ordering::SeqCst)))
    }
}

pub(crate) struct MadsimEngine {
    config: EngineConfig,
    handles: EngineHandles,
    time: Arc<RuntimeTime>,
    failures: Failures,
    timekeeper: Arc<Timekeeper>,
    network: Arc<MemoryNetwork>,
    hosts: Vec<Arc<Host>>,
}

impl MadsimEngine {
    pub(crate) fn create(config: EngineConfig) -> (Self, EngineHandles) {
        let time = Arc::new(RuntimeTime::default());
        let handles = EngineHandles::new(TrueClock::new(config.epoch_unix_ns, time.clone()));
        let timekeeper = Arc::new(Timekeeper::default());
        let engine = Self {
            failures: Failures::new(handles.alarm()),
            network: MemoryNetwork::create(&config, timekeeper.clone()),
            timekeeper,
            hosts: Vec::new(),
            handles: handles.clone(),
            time,
            config,
        };
        (engine, handles)
    }

    fn start_hosts(&self, runtime: &Handle) {
        let spawned = Arc::new(AtomicU64::new(0));
        for (id, host) in self.hosts.iter().enumerate() {
            let (host, network, timekeeper) = (host.clone(), self.network.clone(), self.timekeeper.clone());
            let (spawned, name) = (spawned.clone(), host.name.to_string());
            let start = move || {
                let (host, port) = (host.clone(), HostPort::new(network.clone(), id));
                let (timekeeper, spawned) = (timekeeper.clone(), spawned.clone());
                async move {
                    // The node of this life: once it is killed nothing is spawned on it any more.
                    let runtime = Handle::current();
                    let node = runtime.get_node(&*host.name);
                    let node = node.unwrap_or_else(|| panic!("host `{}` runs without a node", host.name));
                    let parts = LifeParts {
                        spawner: Arc::new(MadsimSpawner { host: host.clone(), runtime, node, spawned }),
                        timer: Arc::new(MadsimTimer { host: host.clone(), timekeeper }),
                        dialer: Arc::new(port.clone()),
                        listener: Arc::new(port),
                    };
                    host.live(parts).await;
                }
            };
            runtime.create_node().name(name).init(start).build();
        }
    }

    async fn drive(&self, mut director: Box<dyn Director>) -> Result<RunSummary, EngineError> {
        let runtime = Handle::current();
        self.start_hosts(&runtime);
        let alarm = self.handles.alarm();
        let mut direct_at = Duration::ZERO;
        loop {
            let elapsed = self.handles.true_time().elapsed();
            self.timekeeper.run_due(elapsed_ns(elapsed));
            if let Some(failure) = self.failures.take() {
                return Err(failure);
            }
            if alarm.take() || elapsed >= direct_at {
                let mut control = MadsimControl { engine: self, runtime: &runtime };
                match director.direct(&mut control) {
                    Next::At(time) if time > elapsed => direct_at = time,
                    Next::At(_) => direct_at = elapsed + DIRECTOR_PAUSE_MIN,
                    Next::Stop => return Ok(RunSummary { simulated: elapsed, ticks: 0 }),
                }
            }
            if elapsed >= self.config.duration_max {
                return Err(EngineError::OutOfTime { duration_max: self.config.duration_max });
            }
            let latest = direct_at.min(self.config.duration_max);
            std::future::poll_fn(|context| self.poll_event(elapsed_ns(latest), &alarm, context)).await;
        }
    }

    /// Ready when a timer is due, the alarm rings or `latest_ns` has come.
    fn poll_event(&self, latest_ns: u64, alarm: &Alarm, context: &mut Context<'_>) -> Poll<()> {
        let now_ns = running_time_ns().unwrap_or_default();
        if alarm.is_ringing() || now_ns >= latest_ns || self.timekeeper.is_due(now_ns) {
            return Poll::Ready(());
        }
        alarm.wake_on_ring(context.waker());
        self.timekeeper.wake_driver_when_due(now_ns, latest_ns, context.waker());
        Poll::Pending
    }
}

impl Engine for MadsimEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Madsim
    }

    fn add_host(&mut self, name: &str, program: Program) {
        self.network.add_host(name);
        let host = Host::new(name, program, &self.config, &self.handles, self.failures.clone());
        self.hosts.push(Arc::new(host));
    }

    fn add_alias(&mut self, alias: &str, host: &str) {
        self.network.with_links(|links| links.add_alias(alias, host));
    }

    fn run(self: Box<Self>, director: Box<dyn Director>) -> Result<RunSummary, EngineError> {
        let runtime = Runtime::with_seed_and_config(self.config.seed, Config::default());
        runtime.block_on(async {
            let ended = self.drive(director).await;
            self.time.end_ns.store(running_time_ns().unwrap_or_default(), Ordering::SeqCst);
            ended
        })
    }
}

struct MadsimControl<'a> {
    engine: &'a MadsimEngine,
    runtime: &'a Handle,
}

impl MadsimControl<'_> {
    fn host(&self, name: &str) -> &Host {
        &self.engine.hosts[self.engine.network.with_links(|links| links.known(name))]
    }
}

impl Control for MadsimControl<'_> {
    fn elapsed(&self) -> Elapsed {
        self.engine.handles.true_time().elapsed()
    }

    fn crash(&mut self, host: &str) {
        let id = self.engine.network.with_links(|links| links.known(host));
        if self.engine.network.crash(id) {
            self.runtime.kill(&*self.engine.hosts[id].name);
        }
    }

    fn restart(&mut self, host: &str) {
        let id = self.engine.network.with_links(|links| links.known(host));
        if self.engine.network.restart(id) {
            self.runtime.restart(&*self.engine.hosts[id].name);
        }
    }

    fn partition(&mut self, first: &str, second: &str, direction: Direction) {
        self.engine.network.with_links(|links| {
            let (first, second) = (links.known(first), links.known(second));
            links.block(first, second, direction);
        });
    }

    fn repair(&mut self, first: &str, second: &str) {
        self.engine.network.with_links(|links| {
            let (first, second) = (links.known(first), links.known(second));
            links.unblock(first, second);
        });
    }

    fn set_link_latency(&mut self, first: &str, second: &str, min: Duration, max: Duration) {
        self.engine.network.with_links(|links| {
            let (first, second) = (links.known(first), links.known(second));
            links.set_latency(first, second, Latency::new(min, max));
        });
    }

    fn set_clock_offset_ms(&mut self, host: &str, offset_ms: i64) {
        self.host(host).clock.set_offset_ms(offset_ms);
    }

    fn set_clock_drift_ppm(&mut self, host: &str, drift_ppm: i32) {
        self.host(host).clock.set_drift_ppm(drift_ppm);
    }

    fn set_slowness(&mut self, host: &str, factor: f64) {
        self.host(host).slowness.set(factor);
    }

    fn pause(&mut self, host: &str) {
        self.host(host).gate.shut();
    }

    fn resume(&mut self, host: &str) {
        self.host(host).gate.open();
    }

    fn is_running(&self, host: &str) -> bool {
        self.engine.network.with_links(|links| !links.is_down(links.known(host)))
    }
}

struct MadsimSpawner {
    host: Arc<Host>,
    runtime: Handle,
    node: NodeHandle,
    /// How many tasks the whole run spawned.
    spawned: Arc<AtomicU64>,
}

impl Spawner for MadsimSpawner {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle {
        if self.spawned.fetch_add(1, Ordering::SeqCst) % SPAWNS_BETWEEN_SWEEPS == SPAWNS_BETWEEN_SWEEPS - 1 {
            let _swept = self.runtime.metrics().num_tasks();
        }
        let running = self.node.spawn(self.host.guarded(task));
        let abort = running.abort_handle();
        TaskHandle::new(
            move || abort.abort(),
            Box::pin(async move {
                let _ended = running.await;
            }),
        )
    }
}

struct MadsimTimer {
    host: Arc<Host>,
    timekeeper: Arc<Timekeeper>,
}

impl Timer for MadsimTimer {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let now_ns = running_time_ns().unwrap_or_default();
        let wait_ns = elapsed_ns(self.host.clock.true_duration(duration));
        Box::pin(self.timekeeper.sleep_until(now_ns.saturating_add(wait_ns)))
    }
}
