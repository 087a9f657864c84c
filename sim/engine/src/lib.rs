//! One small engine interface with turmoil and madsim behind it; clocks, entropy, computing time, trace hash.
//!
//! Which engine is there is decided when compiling: madsim with `--cfg madsim`, turmoil without. The rest of the
//! simulator names neither.
//!
//! # One process per run
//! A run is a function of its seed only in a fresh process: tokio numbers tasks per process, the AWS SDK keeps
//! statics, `std`'s hash keys belong to the thread that first asked for them. So start a process per trial, and in
//! it call [`prepare_thread`] (or [`on_fresh_thread`]) before anything else is built.
#![forbid(unsafe_code)]

mod capabilities;
mod compute;
mod disk;
mod entropy;
mod gate;
mod handles;
mod host;
mod host_clock;
mod interface;
mod links;
mod schedule;
mod trace;

#[cfg(madsim)]
mod madsim_engine;
#[cfg(madsim)]
mod memory_network;
#[cfg(madsim)]
mod timekeeper;
#[cfg(not(madsim))]
mod turmoil_engine;
#[cfg(not(madsim))]
mod turmoil_network;

pub use capabilities::{Support, capabilities};
pub use compute::Compute;
pub use handles::{Alarm, EngineHandles, SlownessHandle, TrueClock};
pub use interface::*;
pub use schedule::{Pauses, Schedule};
pub use trace::{Trace, TraceRecord};

/// The engine that this build contains.
pub const fn compiled_engine() -> EngineKind {
    if cfg!(madsim) { EngineKind::Madsim } else { EngineKind::Turmoil }
}

/// Makes the engine that this build contains, and what programs and directors hold of it.
pub fn new_engine(config: EngineConfig) -> (Box<dyn Engine>, EngineHandles) {
    #[cfg(madsim)]
    let (engine, handles) = madsim_engine::MadsimEngine::create(config);
    #[cfg(not(madsim))]
    let (engine, handles) = turmoil_engine::TurmoilEngine::create(config);
    (Box::new(engine), handles)
}

/// Makes this thread's ambient randomness a function of the seed: `fastrand` (the AWS SDK's jitter and ids) and what
/// `std` asks the operating system for (the order of `HashMap`). Call it first on a thread that has not yet used either,
/// in a process that runs nothing else: a thread that has already made a `HashMap` keeps its old keys.
pub fn prepare_thread(seed: u64) {
    fastrand::seed(seed);
    // madsim brings its own interposer, which seeds itself from the runtime's seed.
    #[cfg(not(madsim))]
    nexus_interposer::seed_thread(seed);
}

/// As large as a main thread's and more: the AWS SDK's futures are deep in unoptimised builds.
const STACK_BYTES: usize = 32 << 20;

/// Runs `body` on a new thread prepared for `seed`, and gives its result; a panic goes on in the caller. The caller waits
/// for it, so that nothing is left to a schedule. Panics if the system has no thread to give.
pub fn on_fresh_thread<T: Send + 'static>(seed: u64, body: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().name("simulation".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        prepare_thread(seed);
        body()
    });
    let thread = thread.unwrap_or_else(|error| panic!("no thread for the simulation: {error}"));
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
