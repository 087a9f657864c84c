//! One lease that this worker holds: when to write it, and when to believe that it is lost.

use std::time::Duration;

use nexus_ports::{Lease, LeaseFailure, Monotonic, ReadFailure, ShardProgress, WriteFailure};

use crate::backoff::Backoff;

/// What the holder wants the next write to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    pub progress: ShardProgress,
    pub memory: String,
    pub urgency: Urgency,
}

/// How soon progress should be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// With the usual period.
    Periodic,
    /// Nothing else is to do: sooner.
    Idle,
    /// Now, and the lease is given up with it.
    Release,
}

/// The next call to the lease store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreStep {
    Write {
        expected_counter: u64,
        lease: Lease,
    },
    /// An earlier write may have taken effect, or someone else wrote: look before believing either.
    ReadBack,
    WaitUntil(Monotonic),
}

/// How the holder stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    Held,
    Released,
    Lost(LossReason),
}

/// Why a lease was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LossReason {
    /// Not renewed in time: from here on someone else may take it.
    Expired,
    TakenOver,
    /// There is no lease any more.
    Deleted,
}

/// Times of a [`HeldLease`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseTimes {
    pub validity: Duration,
    pub renew_every: Duration,
    pub checkpoint_every: Duration,
    pub backoff: Backoff,
}

/// A write whose answer may be missing. Each has a counter of its own, so that what is read back tells which one it was.
#[derive(Clone, Debug)]
struct Attempt {
    lease: Lease,
    started_at: Monotonic,
}

/// The state of a held lease. At most one call to the store is under way at any time.
#[derive(Debug)]
pub(crate) struct HeldLease {
    times: LeaseTimes,
    worker_id: String,
    epoch: u64,
    /// As stored by the last write that is known to have taken effect.
    stored: Lease,
    /// START of that write: others count from when they see it, which is later.
    renewed_at: Monotonic,
    /// When progress was last written.
    checkpointed_at: Monotonic,
    /// The highest counter that any attempt carried.
    counter_used: u64,
    /// Attempts that may have taken effect, or still may.
    unsettled: Vec<Attempt>,
    must_read_back: bool,
    not_before: Monotonic,
    failures: u32,
    holding: Holding,
}

impl HeldLease {
    /// `stored` was written by us, by a call that began at `taken_at`.
    pub(crate) fn new(times: LeaseTimes, worker_id: &str, stored: Lease, taken_at: Monotonic) -> Self {
        Self {
            times,
            worker_id: worker_id.to_owned(),
            epoch: stored.epoch,
            counter_used: stored.counter,
            stored,
            renewed_at: taken_at,
            checkpointed_at: taken_at,
            unsettled: Vec::new(),
            must_read_back: false,
            not_before: taken_at,
            failures: 0,
            holding: Holding::Held,
        }
    }

    pub(crate) fn stored(&self) -> &Lease {
        &self.stored
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// From this moment on another worker may hold the lease.
    pub(crate) fn valid_until(&self) -> Monotonic {
        Monotonic(self.renewed_at.0 + self.times.validity)
    }

    pub(crate) fn holding(&mut self, now: Monotonic) -> Holding {
        if self.holding == Holding::Held && now >= self.valid_until() {
            self.holding = Holding::Lost(LossReason::Expired);
        }
        self.holding.clone()
    }

    /// What to do now. To be asked only while no call is under way.
    pub(crate) fn step(&self, now: Monotonic, draft: &Draft) -> StoreStep {
        let due_at = self.due_at(&draft.progress, draft.urgency);
        match (now >= due_at, self.must_read_back) {
            (false, _) => StoreStep::WaitUntil(due_at),
            (true, true) => StoreStep::ReadBack,
            (true, false) => StoreStep::Write { expected_counter: self.stored.counter, lease: self.next_lease(draft) },
        }
    }

    /// When the next call is due.
    pub(crate) fn due_at(&self, progress: &ShardProgress, urgency: Urgency) -> Monotonic {
        let renewal_at = Monotonic(self.renewed_at.0 + self.times.renew_every);
        let checkpoint_at = |every: Duration| Monotonic(self.checkpointed_at.0 + every);
        let due_at = match urgency {
            _ if self.must_read_back => self.not_before,
            Urgency::Release => self.not_before,
            _ if *progress <= self.stored.progress => renewal_at,
            Urgency::Idle => renewal_at.min(checkpoint_at(self.times.checkpoint_every / 4)),
            Urgency::Periodic => renewal_at.min(checkpoint_at(self.times.checkpoint_every)),
        };
        due_at.max(self.not_before)
    }

    fn next_lease(&self, draft: &Draft) -> Lease {
        // Progress is compared with what is stored, whatever the draft says: it never goes back.
        let (progress, memory) = if draft.progress >= self.stored.progress {
            (draft.progress.clone(), draft.memory.clone())
        } else {
            (self.stored.progress.clone(), self.stored.memory.clone())
        };
        let is_release = draft.urgency == Urgency::Release;
        Lease {
            owner: if is_release { None } else { Some(self.worker_id.clone()) },
            epoch: if is_release { self.epoch + 1 } else { self.epoch },
            counter: self.counter_used + 1,
            progress,
            memory,
            ..self.stored.clone()
        }
    }

    /// The write of [`StoreStep::Write`] goes out.
    pub(crate) fn begin_write(&mut self, lease: &Lease, now: Monotonic) {
        self.counter_used = lease.counter;
        self.unsettled.push(Attempt { lease: lease.clone(), started_at: now });
    }

    /// The outcome of the latest write. `jitter` is in [0, 1). Returns whether it is known to have taken effect.
    pub(crate) fn on_write(&mut self, outcome: Result<(), LeaseFailure>, now: Monotonic, jitter: f64) -> bool {
        match outcome {
            Ok(()) => {
                if let Some(attempt) = self.unsettled.pop() {
                    self.settle(attempt);
                }
                return true;
            }
            // Someone wrote: another worker, or an earlier attempt of ours.
            Err(WriteFailure::Refused(_)) => {
                self.unsettled.pop();
                self.must_read_back = true;
                self.not_before = now;
            }
            Err(WriteFailure::Unknown(_)) => {
                self.must_read_back = true;
                self.not_before = now;
            }
            Err(
                WriteFailure::Contended(_)
                | WriteFailure::Throttled(_)
                | WriteFailure::NotSent(_)
                | WriteFailure::Rejected(_),
            ) => {
                self.unsettled.pop();
                self.pause(now, jitter);
            }
        }
        false
    }

    /// The outcome of [`StoreStep::ReadBack`].
    pub(crate) fn on_read_back(&mut self, outcome: Result<Option<Lease>, ReadFailure>, now: Monotonic, jitter: f64) {
        let found = match outcome {
            Err(_) => return self.pause(now, jitter),
            Ok(None) => return self.lose(LossReason::Deleted),
            Ok(Some(found)) => found,
        };
        let identity = |lease: &Lease| (lease.owner.clone(), lease.epoch, lease.counter);
        let own_attempt = self.unsettled.iter().position(|attempt| identity(&attempt.lease) == identity(&found));
        if let Some(index) = own_attempt {
            let attempt = self.unsettled.swap_remove(index);
            self.settle(attempt);
        } else if found.owner.as_deref() == Some(&self.worker_id) && found.epoch == self.epoch {
            // The attempt has not taken effect so far. It still may, and remains to be recognised if it does.
            self.must_read_back = false;
            self.pause(now, jitter);
        } else {
            self.lose(LossReason::TakenOver);
        }
    }

    fn settle(&mut self, attempt: Attempt) {
        if attempt.lease.progress > self.stored.progress {
            self.checkpointed_at = attempt.started_at;
        }
        if attempt.lease.owner.is_none() && self.holding == Holding::Held {
            self.holding = Holding::Released;
        }
        self.stored = attempt.lease;
        self.renewed_at = self.renewed_at.max(attempt.started_at);
        // Whatever else is on its way expects a counter that is gone.
        self.unsettled.clear();
        self.must_read_back = false;
        self.failures = 0;
    }

    fn pause(&mut self, now: Monotonic, jitter: f64) {
        self.failures += 1;
        self.not_before = Monotonic(now.0 + self.times.backoff.pause(self.failures, jitter));
    }

    fn lose(&mut self, reason: LossReason) {
        self.holding = Holding::Lost(reason);
    }
}

#[cfg(test)]
mod tests;
