//! What both engines keep of a host: what survives its crashes, and the first reason for which a run failed.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::FutureExt;
use nexus_ports::{BoxFuture, Dialer, Listener, Platform, Spawner, Timer};

use crate::{
    Alarm, EngineConfig, EngineError, EngineHandles, Program, SlownessHandle,
    disk::{Files, MemoryDisk},
    entropy::HostEntropy,
    gate::Gate,
    handles::lock,
    host_clock::HostClock,
    schedule::{Schedule, Turnstile},
};

/// A host across all its lives.
pub(crate) struct Host {
    pub(crate) name: Arc<str>,
    pub(crate) clock: Arc<HostClock>,
    pub(crate) slowness: SlownessHandle,
    /// Shut while the host stands still.
    pub(crate) gate: Arc<Gate>,
    entropy: Arc<HostEntropy>,
    files: Files,
    program: Program,
    starts: AtomicU32,
    failures: Failures,
    seed: u64,
    schedule: Schedule,
    /// Of the life that goes on; none where the engine's own order is left alone.
    turnstile: Mutex<Option<Arc<Turnstile>>>,
}

/// The parts of a Platform that an engine makes anew for each life of a host.
pub(crate) struct LifeParts {
    pub(crate) spawner: Arc<dyn Spawner>,
    pub(crate) timer: Arc<dyn Timer>,
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) listener: Arc<dyn Listener>,
}

impl Host {
    pub(crate) fn new(
        name: &str,
        program: Program,
        config: &EngineConfig,
        handles: &EngineHandles,
        failures: Failures,
    ) -> Self {
        Self {
            name: Arc::from(name),
            clock: Arc::new(HostClock::new(handles.true_time())),
            slowness: handles.slowness(name),
            gate: Arc::default(),
            entropy: Arc::new(HostEntropy::new(config.seed, name)),
            files: Files::default(),
            program,
            starts: AtomicU32::new(0),
            failures,
            seed: config.seed,
            schedule: config.schedule.clone(),
            turnstile: Mutex::default(),
        }
    }

    /// One life of the host's program. After a program returned Ok its tasks live on: the host stays up until the run
    /// ends or it is crashed.
    pub(crate) async fn live(self: Arc<Self>, parts: LifeParts) {
        let start_count = self.starts.fetch_add(1, Ordering::SeqCst);
        if start_count > 0 {
            self.clock.restart();
        }
        // Whatever held the life before this one back, power has been off since.
        self.gate.open();
        if !self.schedule.is_engines_own() {
            let timer = parts.timer.clone();
            let turnstile = Turnstile::new(self.schedule.clone(), timer, self.seed, &self.name, start_count);
            *lock(&self.turnstile) = Some(turnstile);
        }
        let platform = self.platform(parts);
        let program = self.in_turn((self.program)(platform, start_count));
        let life = AssertUnwindSafe(async { self.gate.pass(program).await });
        let life = life.catch_unwind().await;
        match life {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failures.report(&self.name, error.to_string()),
            Err(panic) => self.failures.report(&self.name, panic_message(panic.as_ref())),
        }
        std::future::pending::<()>().await;
    }

    fn platform(&self, parts: LifeParts) -> Platform {
        Platform {
            host: self.name.clone(),
            wall_clock: self.clock.clone(),
            monotonic_clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            spawner: parts.spawner,
            timer: parts.timer.clone(),
            dialer: parts.dialer,
            listener: parts.listener,
            disk: Arc::new(MemoryDisk::new(self.files.clone(), parts.timer)),
        }
    }

    fn in_turn<T: Send + 'static>(&self, task: BoxFuture<'static, T>) -> BoxFuture<'static, T> {
        match &*lock(&self.turnstile) {
            Some(turnstile) => Box::pin(turnstile.pass(task)),
            None => task,
        }
    }

    /// A task whose panic fails the run: in simulation a panic is a defect that was found, wherever it happened.
    pub(crate) fn guarded(&self, task: BoxFuture<'static, ()>) -> impl Future<Output = ()> + Send + 'static {
        let failures = self.failures.clone();
        let name = self.name.clone();
        let gate = self.gate.clone();
        let task = self.in_turn(task);
        async move {
            if let Err(panic) = AssertUnwindSafe(gate.pass(task)).catch_unwind().await {
                failures.report(&name, panic_message(panic.as_ref()));
            }
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "with a value that is no text".to_owned());
    format!("panicked: {text}")
}

/// Holds the first failure of a run, and rings the alarm so that the engine stops at it.
#[derive(Clone)]
pub(crate) struct Failures {
    first: Arc<Mutex<Option<EngineError>>>,
    alarm: Alarm,
}

impl Failures {
    pub(crate) fn new(alarm: Alarm) -> Self {
        Self { first: Arc::default(), alarm }
    }

    fn report(&self, host: &str, message: String) {
        lock(&self.first).get_or_insert(EngineError::HostFailed { host: host.to_owned(), message });
        self.alarm.ring();
    }

    pub(crate) fn take(&self) -> Option<EngineError> {
        lock(&self.first).take()
    }
}
