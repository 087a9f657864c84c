//! Timers of the madsim engine. madsim's own sleep lasts at least 1 ms, adds a timer with each poll and forgets none when it
//! is dropped; these are exact, wake once, and are cancelled by dropping them.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use madsim::time::TimeHandle;

use crate::handles::{elapsed_ns, lock};

/// When, and in which order among those due at once.
type Key = (u64, u64);

enum Entry {
    Wake(Waker),
    Call(Box<dyn FnOnce() + Send>),
}

#[derive(Default)]
pub(crate) struct Timekeeper {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Key, Entry>,
    added: u64,
    /// The task that runs what is due.
    driver: Option<Waker>,
    /// The earliest time for which madsim will wake the driver.
    armed_for_ns: Option<u64>,
}

/// True time inside a running simulation; None outside.
pub(crate) fn running_time_ns() -> Option<u64> {
    TimeHandle::try_current().map(|time| elapsed_ns(time.elapsed()))
}

impl Timekeeper {
    /// Runs `call` at that time, on the driver. It must not block and may add timers.
    pub(crate) fn call_at(&self, deadline_ns: u64, call: impl FnOnce() + Send + 'static) {
        self.add(deadline_ns, Entry::Call(Box::new(call)));
    }

    fn add(&self, deadline_ns: u64, entry: Entry) -> Key {
        let mut state = lock(&self.state);
        let key = (deadline_ns, state.added);
        state.added += 1;
        state.entries.insert(key, entry);
        if state.armed_for_ns.is_none_or(|armed| deadline_ns < armed) {
            state.arm(deadline_ns);
        }
        key
    }

    /// Takes out what is due, one after the other: what one adds may be due as well.
    pub(crate) fn run_due(&self, now_ns: u64) {
        while let Some(entry) = self.take_due(now_ns) {
            match entry {
                Entry::Wake(waker) => waker.wake(),
                Entry::Call(call) => call(),
            }
        }
    }

    fn take_due(&self, now_ns: u64) -> Option<Entry> {
        let mut state = lock(&self.state);
        let first = state.entries.first_entry()?;
        if first.key().0 > now_ns { None } else { Some(first.remove()) }
    }

    pub(crate) fn is_due(&self, now_ns: u64) -> bool {
        lock(&self.state).entries.first_key_value().is_some_and(|((deadline_ns, _), _)| *deadline_ns <= now_ns)
    }

    /// Called by the driver before it waits: it will be woken at the earliest timer, or at `latest_ns`.
    pub(crate) fn wake_driver_when_due(&self, now_ns: u64, latest_ns: u64, driver: &Waker) {
        let mut state = lock(&self.state);
        state.driver = Some(driver.clone());
        let earliest = state.entries.first_key_value().map_or(u64::MAX, |((deadline_ns, _), _)| *deadline_ns);
        let target = earliest.min(latest_ns);
        if state.armed_for_ns.is_none_or(|armed| armed <= now_ns || target < armed) {
            state.arm(target);
        }
    }

    /// A future that resolves at that time; dropping it cancels its timer.
    pub(crate) fn sleep_until(self: &Arc<Self>, deadline_ns: u64) -> SleepUntil {
        SleepUntil { timekeeper: self.clone(), deadline_ns, key: None }
    }
}

impl State {
    /// Outside a running simulation there is nobody to wake.
    fn arm(&mut self, deadline_ns: u64) {
        let (Some(driver), Some(time)) = (&self.driver, TimeHandle::try_current()) else { return };
        let wait = Duration::from_nanos(deadline_ns.saturating_sub(elapsed_ns(time.elapsed())));
        if wait.is_zero() {
            driver.wake_by_ref();
            return;
        }
        // A madsim sleep is at least 1 ms long when it is made; its reset knows no such bound. Polled once it has
        // left its timer behind and can be dropped.
        let mut sleep = time.sleep(Duration::ZERO);
        Pin::new(&mut sleep).reset(time.now_instant() + wait);
        if Future::poll(Pin::new(&mut sleep), &mut Context::from_waker(driver)).is_ready() {
            driver.wake_by_ref();
        }
        self.armed_for_ns = Some(deadline_ns);
    }
}

pub(crate) struct SleepUntil {
    timekeeper: Arc<Timekeeper>,
    deadline_ns: u64,
    key: Option<Key>,
}

impl Future for SleepUntil {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if running_time_ns().is_some_and(|now_ns| now_ns >= self.deadline_ns) {
            return Poll::Ready(());
        }
        if let Some(key) = self.key
            && let Some(entry) = lock(&self.timekeeper.state).entries.get_mut(&key)
        {
            *entry = Entry::Wake(context.waker().clone());
            return Poll::Pending;
        }
        let key = self.timekeeper.add(self.deadline_ns, Entry::Wake(context.waker().clone()));
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for SleepUntil {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            // Dropped outside the lock: a waker's last clone may drop a task, which drops its own sleeps.
            let _cancelled = lock(&self.timekeeper.state).entries.remove(&key);
        }
    }
}
