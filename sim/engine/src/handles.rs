//! What the world around an engine holds of it: true time, the alarm, each host's slowness.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
};

use crate::Elapsed;

/// The state stays usable after a panic elsewhere: the run is failing then, and its end must still be told.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where an engine's time can be read from any host and from the director.
pub(crate) trait TimeSource: Send + Sync {
    fn elapsed(&self) -> Elapsed;
}

/// True simulated time, untouched by any host's offset or drift. For the simulated cloud and for histories, not for
/// services. Cheap to clone; valid on every host and in the director.
///
/// A message is received later than it was sent, always. But turmoil runs the hosts of one tick one after the other, each
/// from the tick's beginning: what hosts put into shared memory (a trace, a history) is not sorted by this clock.
#[derive(Clone)]
pub struct TrueClock {
    epoch_unix_ns: u64,
    source: Arc<dyn TimeSource>,
}

impl TrueClock {
    pub(crate) fn new(epoch_unix_ns: u64, source: Arc<dyn TimeSource>) -> Self {
        Self { epoch_unix_ns, source }
    }

    /// Nanoseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.epoch_unix_ns.saturating_add(elapsed_ns(self.elapsed()))
    }

    /// Time since the start of the simulation.
    pub fn elapsed(&self) -> Elapsed {
        self.source.elapsed()
    }

    pub fn epoch_unix_ns(&self) -> u64 {
        self.epoch_unix_ns
    }
}

impl fmt::Debug for TrueClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrueClock").field("elapsed", &self.elapsed()).finish()
    }
}

/// An elapsed time as whole nanoseconds; it holds 584 years.
pub(crate) fn elapsed_ns(elapsed: Elapsed) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Calls the director: with turmoil at the next tick, with madsim at once. Any task of any host may ring it.
#[derive(Clone, Debug, Default)]
pub struct Alarm {
    inner: Arc<AlarmState>,
}

#[derive(Debug, Default)]
struct AlarmState {
    ringing: AtomicBool,
    listener: Mutex<Option<Waker>>,
}

impl Alarm {
    pub fn ring(&self) {
        self.inner.ringing.store(true, Ordering::SeqCst);
        let listener = lock(&self.inner.listener).take();
        if let Some(listener) = listener {
            listener.wake();
        }
    }

    /// Whether it rang since this was last asked.
    pub(crate) fn take(&self) -> bool {
        self.inner.ringing.swap(false, Ordering::SeqCst)
    }

    #[cfg(madsim)]
    pub(crate) fn is_ringing(&self) -> bool {
        self.inner.ringing.load(Ordering::SeqCst)
    }

    #[cfg(madsim)]
    pub(crate) fn wake_on_ring(&self, waker: &Waker) {
        *lock(&self.inner.listener) = Some(waker.clone());
    }
}

/// How many times slower than normal a host computes now. Set by the director, read by [`crate::Compute`].
#[derive(Clone, Debug)]
pub struct SlownessHandle {
    factor_bits: Arc<AtomicU64>,
}

impl Default for SlownessHandle {
    fn default() -> Self {
        Self { factor_bits: Arc::new(AtomicU64::new(1.0f64.to_bits())) }
    }
}

impl SlownessHandle {
    pub fn factor(&self) -> f64 {
        f64::from_bits(self.factor_bits.load(Ordering::SeqCst))
    }

    pub(crate) fn set(&self, factor: f64) {
        assert!(factor.is_finite() && factor > 0.0, "a slowness factor is a positive number, not {factor}");
        self.factor_bits.store(factor.to_bits(), Ordering::SeqCst);
    }
}

/// What programs and directors hold of an engine. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandles {
    true_clock: TrueClock,
    alarm: Alarm,
    slowness: Arc<Mutex<BTreeMap<String, SlownessHandle>>>,
}

impl EngineHandles {
    pub(crate) fn new(true_clock: TrueClock) -> Self {
        Self { true_clock, alarm: Alarm::default(), slowness: Arc::default() }
    }

    /// A host's slowness. It may be asked for before the host is added.
    pub fn slowness(&self, host: &str) -> SlownessHandle {
        lock(&self.slowness).entry(host.to_owned()).or_default().clone()
    }

    pub fn true_time(&self) -> TrueClock {
        self.true_clock.clone()
    }

    pub fn alarm(&self) -> Alarm {
        self.alarm.clone()
    }
}
