//! turmoil behind [`Engine`]: a runtime per host, a link per pair of hosts, time in ticks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use nexus_ports::{BoxFuture, Spawner, TaskHandle, Timer};
use tokio::{runtime::Handle, time::Instant};
use turmoil::Sim;

use crate::{
    Alarm, Control, Direction, Director, Elapsed, Engine, EngineConfig, EngineError, EngineHandles, EngineKind, Next,
    Program, RunSummary, TrueClock,
    handles::{TimeSource, elapsed_ns, lock},
    host::{Failures, Host, LifeParts},
    links::{HostId, Latency, Links},
    turmoil_network::{CAPACITY, TurmoilDialer, TurmoilListener},
};

/// Far more connections than turmoil's own range allows, so that many short ones do not use it up.
const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 16_384..=65_535;

/// True time. While hosts run, turmoil knows how far the running one is inside its tick; between ticks (in the director,
/// and while a crash destroys tasks) only the number of whole ticks counts.
#[derive(Default)]
struct TickTime {
    between_ticks_ns: AtomicU64,
    hosts_run: AtomicBool,
}

impl TimeSource for TickTime {
    fn elapsed(&self) -> Elapsed {
        let inside_tick = if self.hosts_run.load(Ordering::SeqCst) { turmoil::sim_elapsed() } else { None };
        inside_tick.unwrap_or_else(|| Duration::from_nanos(self.between_ticks_ns.load(Ordering::SeqCst)))
    }
}

pub(crate) struct TurmoilEngine {
    config: EngineConfig,
    handles: EngineHandles,
    time: Arc<TickTime>,
    failures: Failures,
    links: Arc<Mutex<Links>>,
    hosts: Vec<Arc<Host>>,
}

impl TurmoilEngine {
    pub(crate) fn create(config: EngineConfig) -> (Self, EngineHandles) {
        assert!(!config.tick.is_zero(), "turmoil needs a tick");
        let time = Arc::new(TickTime::default());
        let handles = EngineHandles::new(TrueClock::new(config.epoch_unix_ns, time.clone()));
        let engine = Self {
            failures: Failures::new(handles.alarm()),
            links: Arc::new(Mutex::new(Links::new(&config))),
            hosts: Vec::new(),
            handles: handles.clone(),
            time,
            config,
        };
        (engine, handles)
    }

    fn build_simulation(&self) -> Sim<'static> {
        let latency = Latency::new(self.config.link_latency_min, self.config.link_latency_max);
        let mut simulation = turmoil::Builder::new()
            .epoch(UNIX_EPOCH + Duration::from_nanos(self.config.epoch_unix_ns))
            .rng_seed(self.config.seed)
            .tick_duration(self.config.tick)
            .min_message_latency(latency.min)
            .max_message_latency(latency.max)
            .tcp_capacity(CAPACITY)
            .ephemeral_ports(EPHEMERAL_PORTS)
            .enable_random_order()
            // The director ends the run, and `run` below its time: turmoil's own limit only concerns its clients.
            .simulation_duration(Duration::MAX)
            .build();
        for (id, host) in self.hosts.iter().enumerate() {
            let (host, links) = (host.clone(), self.links.clone());
            let name = host.name.clone();
            simulation.host(&*name, move || {
                let (host, links) = (host.clone(), links.clone());
                async move {
                    // Only here, inside the first tick of this life, do its runtime and its time exist.
                    let parts = life_parts(&host, id, &links);
                    host.live(parts).await;
                    Ok(())
                }
            });
        }
        simulation
    }
}

fn life_parts(host: &Arc<Host>, id: HostId, links: &Arc<Mutex<Links>>) -> LifeParts {
    let runtime = Handle::current();
    LifeParts {
        spawner: Arc::new(TurmoilSpawner { host: host.clone(), runtime: runtime.clone() }),
        timer: Arc::new(TurmoilTimer { host: host.clone() }),
        dialer: Arc::new(TurmoilDialer::new(id, links.clone(), runtime)),
        listener: Arc::new(TurmoilListener),
    }
}

impl Engine for TurmoilEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Turmoil
    }

    fn add_host(&mut self, name: &str, program: Program) {
        lock(&self.links).add_host(name);
        let host = Host::new(name, program, &self.config, &self.handles, self.failures.clone());
        self.hosts.push(Arc::new(host));
    }

    fn add_alias(&mut self, alias: &str, host: &str) {
        lock(&self.links).add_alias(alias, host);
    }

    fn run(self: Box<Self>, mut director: Box<dyn Director>) -> Result<RunSummary, EngineError> {
        let mut simulation = self.build_simulation();
        let alarm: Alarm = self.handles.alarm();
        let mut direct_at = Duration::ZERO;
        let mut ticks = 0;
        loop {
            let elapsed = simulation.elapsed();
            if let Some(failure) = self.failures.take() {
                return Err(failure);
            }
            // Asked first: a ringing alarm must be taken even when the director's time has come anyway.
            if alarm.take() || elapsed >= direct_at {
                match director.direct(&mut TurmoilControl { simulation: &mut simulation, engine: &self }) {
                    Next::At(time) => direct_at = time,
                    Next::Stop => return Ok(RunSummary { simulated: elapsed, ticks }),
                }
            }
            if elapsed >= self.config.duration_max {
                return Err(EngineError::OutOfTime { duration_max: self.config.duration_max });
            }
            self.step(&mut simulation)?;
            ticks += 1;
        }
    }
}

impl TurmoilEngine {
    fn step(&self, simulation: &mut Sim<'static>) -> Result<(), EngineError> {
        self.time.hosts_run.store(true, Ordering::SeqCst);
        let stepped = simulation.step();
        self.time.hosts_run.store(false, Ordering::SeqCst);
        self.time.between_ticks_ns.store(elapsed_ns(simulation.elapsed()), Ordering::SeqCst);
        // Programs report their failures themselves; what comes out here is turmoil's own.
        stepped.map(|_finished| ()).map_err(|error| EngineError::Broken { message: error.to_string() })
    }
}

/// What a link does with the packets of one direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Open,
    /// Packets wait, as TCP's retransmission would make them, and arrive after the repair.
    Held,
}

struct TurmoilControl<'a> {
    simulation: &'a mut Sim<'static>,
    engine: &'a TurmoilEngine,
}

impl TurmoilControl<'_> {
    fn host(&self, name: &str) -> &Host {
        &self.engine.hosts[lock(&self.engine.links).known(name)]
    }

    fn pair(&self, first: &str, second: &str) -> (HostId, HostId) {
        let links = lock(&self.engine.links);
        (links.known(first), links.known(second))
    }

    /// What the plan and the crashes together make of a direction.
    fn lane(&self, from: HostId, to: HostId) -> Lane {
        let links = lock(&self.engine.links);
        if links.is_blocked(from, to) || links.is_down(from) || links.is_down(to) { Lane::Held } else { Lane::Open }
    }

    /// Brings turmoil's link to the state that `lane` gives for both directions. Held packets of a direction that is open
    /// again are sent on.
    fn apply(&self, first: HostId, second: HostId) {
        let (there, back) = (self.lane(first, second), self.lane(second, first));
        let name = |id: HostId| lock(&self.engine.links).name(id).to_owned();
        let (first, second) = (name(first), name(second));
        let (first, second) = (first.as_str(), second.as_str());
        if there == Lane::Open && back == Lane::Open {
            self.simulation.release(first, second);
            return;
        }
        self.simulation.hold(first, second);
        if there == Lane::Open {
            self.reopen(first, second);
        }
        if back == Lane::Open {
            self.reopen(second, first);
        }
    }

    /// Opens one direction of a link that is held. turmoil's hold knows only both at once: the direction's state is
    /// repaired alone, and what it held is delivered by hand.
    fn reopen(&self, from: &str, to: &str) {
        self.simulation.repair_oneway(from, to);
        let (from, to) = (self.simulation.lookup(from), self.simulation.lookup(to));
        self.simulation.links(|links| {
            for message in links.flatten() {
                let (source, destination) = message.pair();
                if source.ip() == from && destination.ip() == to {
                    message.deliver();
                }
            }
        });
    }

    fn apply_to_all_links_of(&self, host: HostId) {
        for other in (0..self.engine.hosts.len()).filter(|other| *other != host) {
            self.apply(host, other);
        }
    }

    /// No packet of `host` gets out from here on, and those under way are lost.
    fn silence(&self, host: HostId) {
        let names: Vec<Arc<str>> = self.engine.hosts.iter().map(|host| host.name.clone()).collect();
        for (other, other_name) in names.iter().enumerate() {
            if other != host {
                self.simulation.partition_oneway(&*names[host], &**other_name);
            }
        }
    }
}

impl Control for TurmoilControl<'_> {
    fn elapsed(&self) -> Elapsed {
        self.simulation.elapsed()
    }

    fn crash(&mut self, host: &str) {
        let id = lock(&self.engine.links).known(host);
        if !lock(&self.engine.links).take_down(id) {
            return;
        }
        // turmoil runs destructors, whose goodbye packets would tell the peers. A machine without power sends none.
        self.silence(id);
        self.simulation.crash(&*self.engine.hosts[id].name);
        self.apply_to_all_links_of(id);
    }

    fn restart(&mut self, host: &str) {
        let id = lock(&self.engine.links).known(host);
        if !lock(&self.engine.links).bring_up(id) {
            return;
        }
        self.simulation.bounce(&*self.engine.hosts[id].name);
        self.apply_to_all_links_of(id);
    }

    fn partition(&mut self, first: &str, second: &str, direction: Direction) {
        let (first, second) = self.pair(first, second);
        lock(&self.engine.links).block(first, second, direction);
        self.apply(first, second);
    }

    fn repair(&mut self, first: &str, second: &str) {
        let (first, second) = self.pair(first, second);
        lock(&self.engine.links).unblock(first, second);
        self.apply(first, second);
    }

    fn set_link_latency(&mut self, first: &str, second: &str, min: Duration, max: Duration) {
        let latency = Latency::new(min, max);
        let (first, second) = self.pair(first, second);
        lock(&self.engine.links).set_latency(first, second, latency);
        let (first, second) = (&*self.engine.hosts[first].name, &*self.engine.hosts[second].name);
        // The first call sets both ends of the range, the second widens it.
        self.simulation.set_link_latency(first, second, latency.min);
        self.simulation.set_link_max_message_latency(first, second, latency.max);
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
        let links = lock(&self.engine.links);
        !links.is_down(links.known(host))
    }
}

struct TurmoilSpawner {
    host: Arc<Host>,
    runtime: Handle,
}

impl Spawner for TurmoilSpawner {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle {
        let running = self.runtime.spawn(self.host.guarded(task));
        let abort = running.abort_handle();
        TaskHandle::new(
            move || abort.abort(),
            Box::pin(async move {
                let _ended = running.await;
            }),
        )
    }
}

struct TurmoilTimer {
    host: Arc<Host>,
}

impl Timer for TurmoilTimer {
    #[expect(clippy::disallowed_methods, reason = "inside a simulated host tokio's clock is the simulated one")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        match Instant::now().checked_add(self.host.clock.true_duration(duration)) {
            Some(deadline) => Box::pin(tokio::time::sleep_until(deadline)),
            None => Box::pin(std::future::pending()),
        }
    }
}
