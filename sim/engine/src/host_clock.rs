//! A host's clocks as functions of true time: an offset that can leap, a drift that can change.

use std::{sync::Mutex, time::Duration};

use nexus_ports::{Monotonic, MonotonicClock, UnixTime, WallClock};

use crate::{
    TrueClock,
    handles::{elapsed_ns, lock},
};

const MILLION: i128 = 1_000_000;
const NS_PER_MS: i128 = 1_000_000;

/// Both clocks of one host.
pub(crate) struct HostClock {
    true_clock: TrueClock,
    state: Mutex<ClockState>,
}

/// The clocks are straight lines since `since_ns`; each change of drift begins a new line where the old one ended.
#[derive(Clone, Copy, Debug, Default)]
struct ClockState {
    /// True elapsed nanoseconds at which this line began.
    since_ns: u64,
    drift_ppm: i32,
    /// What drifting added to the wall clock before `since_ns`.
    drifted_ns: i128,
    /// The monotonic clock at `since_ns`.
    monotonic_ns: i128,
    offset_ms: i64,
}

impl ClockState {
    /// What drifting adds from the line's beginning until `true_ns`.
    fn drift_since(&self, true_ns: u64) -> i128 {
        i128::from(true_ns.saturating_sub(self.since_ns)) * i128::from(self.drift_ppm) / MILLION
    }

    fn monotonic_at(&self, true_ns: u64) -> i128 {
        self.monotonic_ns + i128::from(true_ns.saturating_sub(self.since_ns)) + self.drift_since(true_ns)
    }

    fn begin_line_at(&mut self, true_ns: u64) {
        self.monotonic_ns = self.monotonic_at(true_ns);
        self.drifted_ns += self.drift_since(true_ns);
        self.since_ns = true_ns;
    }
}

fn as_duration(nanoseconds: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX))
}

impl HostClock {
    pub(crate) fn new(true_clock: TrueClock) -> Self {
        Self { true_clock, state: Mutex::new(ClockState::default()) }
    }

    fn true_ns(&self) -> u64 {
        elapsed_ns(self.true_clock.elapsed())
    }

    pub(crate) fn set_offset_ms(&self, offset_ms: i64) {
        lock(&self.state).offset_ms = offset_ms;
    }

    pub(crate) fn set_drift_ppm(&self, drift_ppm: i32) {
        assert!(
            i128::from(drift_ppm) > -MILLION,
            "a clock that drifts by {drift_ppm} ppm would stand still or go back"
        );
        let true_ns = self.true_ns();
        let mut state = lock(&self.state);
        state.begin_line_at(true_ns);
        state.drift_ppm = drift_ppm;
    }

    /// A restarted host counts its monotonic clock from 0; its wall clock ran on.
    pub(crate) fn restart(&self) {
        let true_ns = self.true_ns();
        let mut state = lock(&self.state);
        state.begin_line_at(true_ns);
        state.monotonic_ns = 0;
    }

    /// How much true time passes while this host's clocks advance by `local`: its timers run on its own clock.
    pub(crate) fn true_duration(&self, local: Duration) -> Duration {
        let drift_ppm = lock(&self.state).drift_ppm;
        if drift_ppm == 0 {
            return local;
        }
        let rate = MILLION + i128::from(drift_ppm);
        let local_ns = i128::try_from(local.as_nanos()).unwrap_or(i128::MAX / MILLION);
        // Rounded up: a timer must not fire before its own clock says so.
        as_duration((local_ns.saturating_mul(MILLION) + rate - 1) / rate)
    }
}

impl WallClock for HostClock {
    /// A clock set before 1970 stays at 1970.
    fn now(&self) -> UnixTime {
        let true_ns = self.true_ns();
        let state = *lock(&self.state);
        let skew_ns = i128::from(state.offset_ms) * NS_PER_MS + state.drifted_ns + state.drift_since(true_ns);
        UnixTime(as_duration(i128::from(self.true_clock.epoch_unix_ns()) + i128::from(true_ns) + skew_ns))
    }
}

impl MonotonicClock for HostClock {
    fn now(&self) -> Monotonic {
        let true_ns = self.true_ns();
        Monotonic(as_duration(lock(&self.state).monotonic_at(true_ns)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;
    use crate::{Elapsed, handles::TimeSource};

    #[derive(Default)]
    struct HandClock(AtomicU64);

    impl TimeSource for HandClock {
        fn elapsed(&self) -> Elapsed {
            Duration::from_secs(self.0.load(Ordering::SeqCst))
        }
    }

    fn host_clock() -> (Arc<HandClock>, HostClock) {
        let hand = Arc::new(HandClock::default());
        let clock = HostClock::new(TrueClock::new(1_000_000_000_000, hand.clone()));
        (hand, clock)
    }

    fn wall_ms(clock: &HostClock) -> u64 {
        WallClock::now(clock).as_millis()
    }

    fn monotonic_ms(clock: &HostClock) -> u128 {
        MonotonicClock::now(clock).0.as_millis()
    }

    #[test]
    fn a_leap_moves_the_wall_clock_only() {
        let (hand, clock) = host_clock();
        hand.0.store(10, Ordering::SeqCst);
        clock.set_offset_ms(-3_000);
        assert_eq!(wall_ms(&clock), 1_007_000);
        assert_eq!(monotonic_ms(&clock), 10_000);
    }

    #[test]
    fn a_changed_drift_goes_on_from_where_the_clocks_are() {
        let (hand, clock) = host_clock();
        clock.set_drift_ppm(100_000);
        hand.0.store(10, Ordering::SeqCst);
        clock.set_drift_ppm(-100_000);
        assert_eq!(wall_ms(&clock), 1_011_000);
        hand.0.store(20, Ordering::SeqCst);
        assert_eq!(wall_ms(&clock), 1_020_000);
        assert_eq!(monotonic_ms(&clock), 20_000);
    }

    #[test]
    fn a_restart_resets_the_monotonic_clock_and_keeps_the_wall_clock() {
        let (hand, clock) = host_clock();
        clock.set_drift_ppm(500_000);
        hand.0.store(10, Ordering::SeqCst);
        clock.restart();
        assert_eq!(monotonic_ms(&clock), 0);
        assert_eq!(wall_ms(&clock), 1_015_000);
        hand.0.store(12, Ordering::SeqCst);
        assert_eq!(monotonic_ms(&clock), 3_000);
    }

    #[test]
    fn timers_run_on_the_hosts_own_clock() {
        let (hand, clock) = host_clock();
        clock.set_drift_ppm(1_000_000);
        assert_eq!(clock.true_duration(Duration::from_secs(4)), Duration::from_secs(2));
        hand.0.store(2, Ordering::SeqCst);
        assert_eq!(monotonic_ms(&clock), 4_000);
    }
}
