//! What an engine promises: hosts that run programs on a [`Platform`], a network between them, a director that
//! decides at simulated times what happens to both.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use nexus_ports::Platform;

use crate::Schedule;

/// Which engine runs a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineKind {
    /// A faithful network: hosts, TCP, links with latency; time advances by ticks.
    Turmoil,
    /// Random task interleavings; time jumps over idleness.
    Madsim,
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EngineKind::Turmoil => "turmoil",
            EngineKind::Madsim => "madsim",
        })
    }
}

/// Time since the start of the simulation.
pub type Elapsed = Duration;

#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Everything random in the engine (schedule, link latency, host order, entropy) follows from it.
    pub seed: u64,
    /// The wall clock at the start, in nanoseconds since the Unix epoch.
    pub epoch_unix_ns: u64,
    /// turmoil's step. About 5 ms; 1 ms where latency is judged. madsim needs none.
    pub tick: Duration,
    /// One-way latency of every link: uniform in this range unless set for a pair.
    pub link_latency_min: Duration,
    pub link_latency_max: Duration,
    /// A run that has not been stopped by its director by then ends with [`EngineError::OutOfTime`].
    pub duration_max: Duration,
    /// In which order a host's tasks are taken.
    pub schedule: Schedule,
}

pub type ProgramResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;
pub type ProgramFuture = Pin<Box<dyn Future<Output = ProgramResult> + Send>>;

/// Starts (and after a crash restarts) a host. What it does not keep on `Platform::disk` is lost with a crash.
/// `start_count` is 0 at first, then 1, 2 … per restart.
///
/// A program that returns Ok leaves its tasks running and its host up. One that returns an error or panics, and a task
/// that panics, end the run with [`EngineError::HostFailed`].
pub type Program = Arc<dyn Fn(Platform, u32) -> ProgramFuture + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    Both,
    /// Only packets from the first named host to the second are lost.
    FirstToSecond,
}

/// What a director (and through it a fault plan) may do to the world. Unknown host names panic: a plan is checked
/// against its topology before it runs.
pub trait Control {
    fn elapsed(&self) -> Elapsed;
    /// Power loss: all tasks and memory of the host are gone at once, no goodbye packets reach its peers. Does nothing
    /// to a host that is down already.
    fn crash(&mut self, host: &str);
    /// Starts a crashed host again with its disk as it was. Does nothing to a host that is up.
    fn restart(&mut self, host: &str);
    /// Packets between the two get lost. As TCP sends them again, connections that live until the repair then go on; a
    /// dial hangs. Partitions and crashes do not undo each other.
    fn partition(&mut self, first: &str, second: &str, direction: Direction);
    /// Ends every partition between the two, in both directions.
    fn repair(&mut self, first: &str, second: &str);
    /// One-way latency of packets between two hosts from now on (both directions).
    fn set_link_latency(&mut self, first: &str, second: &str, min: Duration, max: Duration);
    /// Shifts the host's wall clock by this many milliseconds against true time, from now on. The monotonic clock stays.
    fn set_clock_offset_ms(&mut self, host: &str, offset_ms: i64);
    /// Lets the host's wall and monotonic clocks run fast (positive) or slow, in parts per million of true time.
    fn set_clock_drift_ppm(&mut self, host: &str, drift_ppm: i32);
    /// How many times slower than normal this host computes (1.0 = normal); see [`crate::Compute`].
    fn set_slowness(&mut self, host: &str, factor: f64);
    /// Nothing of the host runs until [`Control::resume`], and nothing of it is lost: its memory and connections stay, its
    /// clocks go on, packets reach its sockets. A crash ends the pause with everything else.
    fn pause(&mut self, host: &str);
    /// Lets a paused host go on. Does nothing to one that runs.
    fn resume(&mut self, host: &str);
    fn is_running(&self, host: &str) -> bool;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Call me again no later than at this time (or when woken, see [`crate::Alarm`]).
    At(Elapsed),
    /// The run is over.
    Stop,
}

/// Decides what happens when. Called at start, at the times it asked for (turmoil: at the first tick at or after),
/// and whenever an [`crate::Alarm`] rings.
pub trait Director {
    fn direct(&mut self, control: &mut dyn Control) -> Next;
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the run was not over after {} simulated seconds", .duration_max.as_secs())]
    OutOfTime { duration_max: Duration },
    #[error("host `{host}` failed: {message}")]
    HostFailed { host: String, message: String },
    #[error("the engine itself failed: {message}")]
    Broken { message: String },
}

/// Runs a world made of hosts. Made by [`crate::new_engine`]; use one engine per process (see the crate's documentation).
pub trait Engine {
    fn kind(&self) -> EngineKind;
    /// Hosts start in the order of their names' registration.
    fn add_host(&mut self, name: &str, program: Program);
    /// Another name under which a host is dialled, e.g. an AWS endpoint's DNS name.
    fn add_alias(&mut self, alias: &str, host: &str);
    /// Runs until the director stops it.
    fn run(self: Box<Self>, director: Box<dyn Director>) -> Result<RunSummary, EngineError>;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    pub simulated: Duration,
    /// turmoil: ticks; madsim: 0.
    pub ticks: u64,
}
