//! Where the reading of one shard stands: what to ask the feed, what to hand on, what is durable.

use std::{collections::VecDeque, time::Duration};

use nexus_ports::{
    FeedCursor, FeedFailure, FeedPage, FeedRecord, FeedShard, FeedStart, Handled, Monotonic, SequenceNumber,
    ShardProgress, UnixTime,
};

use crate::{backoff::Backoff, bookmark::Bookmark, held_lease::Urgency};

/// Listings may lag behind: a shard is believed to be gone when it was found missing this often in a row.
const ABSENCES_TO_BELIEVE: u32 = 3;

/// The next piece of work on a shard. At most one is under way at any time, which keeps the records in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkStep {
    Open(FeedStart),
    Read(FeedCursor),
    /// Give the handler what [`ShardReader::begin_handle`] returns; if that is nothing, time for what it kept back.
    Handle,
    /// Have it repaired: records after this position may be lost.
    ReportGap(ShardProgress),
    /// List the feed's shards: this one was not found.
    LookForShard,
    WaitUntil(Monotonic),
    /// The shard is closed, and all of it is durable.
    Finish,
}

/// Times of a [`ShardReader`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadPace {
    pub poll_every: Duration,
    pub read_spacing: Duration,
    pub retention: Duration,
    pub backoff: Backoff,
}

/// The state of reading one shard under one lease.
#[derive(Debug)]
pub(crate) struct ShardReader {
    shard: String,
    pace: ReadPace,
    /// Where a new cursor begins: after the last record that was READ, so that an expired cursor repeats nothing.
    resume: FeedStart,
    cursor: Option<FeedCursor>,
    /// The last record handed to the present handler.
    last_read: Option<SequenceNumber>,
    /// Read, and not yet handed on.
    pending: Vec<FeedRecord>,
    progress: ShardProgress,
    bookmark: Bookmark,
    /// Arrival times of records whose durable effect is awaited.
    arrivals: VecDeque<(SequenceNumber, u64)>,
    read_state: ReadState,
    /// Whether the last page was empty.
    is_idle: bool,
    accepts_more: bool,
    call_again_at: Option<Monotonic>,
    read_not_before: Monotonic,
    gap: Option<Gap>,
    /// Calls of the feed that failed since the last page.
    failures: u32,
    /// How often in a row the shard was neither to be opened nor listed.
    absences: u32,
    /// Handlers that panicked since one last returned.
    handler_failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadState {
    Open,
    /// The feed says that there is no such shard; a listing must confirm it.
    Missing,
    /// There is nothing more to read.
    Ended,
}

/// Records that may be lost.
#[derive(Clone, Copy, Debug)]
struct Gap {
    not_before: Monotonic,
    failures: u32,
    /// When the first record after the gap arrived: what a repair covers lies before it.
    next_arrival_ms: Option<u64>,
    /// What is still there must be read from its beginning.
    reads_from_oldest: bool,
}

impl ShardReader {
    pub(crate) fn new(
        shard: &str,
        pace: ReadPace,
        progress: ShardProgress,
        bookmark: Bookmark,
        now: Monotonic,
    ) -> Self {
        Self {
            shard: shard.to_owned(),
            pace,
            resume: start_after(&progress),
            cursor: None,
            last_read: None,
            pending: Vec::new(),
            read_state: if progress == ShardProgress::Finished { ReadState::Ended } else { ReadState::Open },
            progress,
            bookmark,
            arrivals: VecDeque::new(),
            is_idle: false,
            accepts_more: true,
            call_again_at: None,
            read_not_before: now,
            gap: None,
            failures: 0,
            absences: 0,
            handler_failures: 0,
        }
    }

    /// How far everything is durable, and what to remember with it.
    pub(crate) fn durable(&self) -> (&ShardProgress, &Bookmark) {
        (&self.progress, &self.bookmark)
    }

    /// How long the next read may take: a feed that is slow as a whole is given more and more time.
    pub(crate) fn read_patience(&self, first: Duration, most: Duration) -> Duration {
        first.saturating_mul(1 << self.failures.min(16)).min(most)
    }

    pub(crate) fn urgency(&self) -> Urgency {
        let is_idle = self.pending.is_empty() && (self.is_idle || self.read_state == ReadState::Ended);
        if is_idle { Urgency::Idle } else { Urgency::Periodic }
    }

    /// What to do now. To be asked only while no work is under way.
    pub(crate) fn step(&self, now: Monotonic) -> WorkStep {
        if self.gap.is_some_and(|gap| now >= gap.not_before) {
            return WorkStep::ReportGap(self.progress.clone());
        }
        if self.gap.is_none() && !self.pending.is_empty() {
            return WorkStep::Handle;
        }
        if self.call_again_at.is_some_and(|at| now >= at) {
            return WorkStep::Handle;
        }
        match self.next_read() {
            _ if self.gap.is_some() => {}
            Some(WorkStep::Finish) => return WorkStep::Finish,
            Some(read) if now >= self.read_not_before => return read,
            _ => {}
        }
        WorkStep::WaitUntil(self.wake_at(now))
    }

    fn next_read(&self) -> Option<WorkStep> {
        match (self.read_state, &self.cursor) {
            (ReadState::Ended, _) => self.is_all_durable().then_some(WorkStep::Finish),
            (ReadState::Missing, _) => Some(WorkStep::LookForShard),
            (ReadState::Open, _) if !self.accepts_more => None,
            (ReadState::Open, Some(cursor)) => Some(WorkStep::Read(cursor.clone())),
            (ReadState::Open, None) => Some(WorkStep::Open(self.resume.clone())),
        }
    }

    fn wake_at(&self, now: Monotonic) -> Monotonic {
        let gap_at = self.gap.map(|gap| gap.not_before);
        let reads_on = self.gap.is_none() && self.next_read().is_some();
        let read_at = reads_on.then_some(self.read_not_before);
        let soonest = [gap_at, read_at, self.call_again_at].into_iter().flatten().min();
        soonest.unwrap_or(Monotonic(now.0 + self.pace.poll_every))
    }

    fn is_all_durable(&self) -> bool {
        match (&self.last_read, &self.progress) {
            (None, _) | (_, ShardProgress::Finished) => true,
            (Some(_), ShardProgress::Untouched) => false,
            (Some(read), ShardProgress::After(durable)) => durable >= read,
        }
    }

    /// The outcome of [`WorkStep::Open`]. `wall` is the time by our own wall clock.
    pub(crate) fn on_open(
        &mut self,
        outcome: Result<FeedCursor, FeedFailure>,
        now: Monotonic,
        wall: UnixTime,
        jitter: f64,
    ) {
        match outcome {
            // Long gone: a feed that does not tell goes on at its oldest record as if nothing were missing.
            Ok(_) if self.is_stale_by(wall.as_millis()) => {
                self.gap = Some(Gap::new(now));
            }
            Ok(cursor) => {
                self.cursor = Some(cursor);
                self.absences = 0;
            }
            Err(failure) => self.on_failure(failure, now, jitter),
        }
    }

    /// The outcome of [`WorkStep::Read`]; the call began at `started_at` (`started_wall` by our own wall clock). Returns how
    /// many records came.
    pub(crate) fn on_page(
        &mut self,
        outcome: Result<FeedPage, FeedFailure>,
        started_at: Monotonic,
        started_wall: UnixTime,
        now: Monotonic,
        jitter: f64,
    ) -> usize {
        let page = match outcome {
            Ok(page) => page,
            Err(failure) => {
                self.on_failure(failure, now, jitter);
                return 0;
            }
        };
        self.failures = 0;
        let at_tip = page.records.is_empty() && page.behind_ms == Some(0);
        if at_tip && self.is_all_durable() {
            self.freshen(started_wall.as_millis());
        }
        self.is_idle = page.records.is_empty();
        let spacing = if self.is_idle { self.pace.poll_every } else { Duration::ZERO };
        self.read_not_before = Monotonic(started_at.0 + spacing.max(self.pace.read_spacing));
        if page.next.is_none() {
            self.read_state = ReadState::Ended;
        }
        self.cursor = page.next;
        let count = self.take_records(page.records, now);
        self.drain_at_end(now);
        count
    }

    fn take_records(&mut self, records: Vec<FeedRecord>, now: Monotonic) -> usize {
        let first_arrival = records.iter().find_map(|record| record.arrived_at_ms);
        if let Some(arrived_at_ms) = first_arrival.filter(|at_ms| self.is_stale_by(*at_ms)) {
            self.gap = Some(Gap { next_arrival_ms: Some(arrived_at_ms), ..Gap::new(now) });
        }
        // After a gap the oldest records that are left may be ones that the handler has already, or that are durable.
        let durable = match &self.progress {
            ShardProgress::After(number) => Some(number),
            ShardProgress::Untouched | ShardProgress::Finished => None,
        };
        let known_through = durable.max(self.last_read.as_ref()).cloned();
        let is_new = |record: &FeedRecord| Some(&record.sequence_number) > known_through.as_ref();
        let fresh: Vec<FeedRecord> = records.into_iter().filter(is_new).collect();
        if let Some(last) = fresh.last() {
            self.resume = FeedStart::After(last.sequence_number.clone());
            self.last_read = Some(last.sequence_number.clone());
        }
        for record in &fresh {
            self.arrivals.extend(record.arrived_at_ms.map(|at_ms| (record.sequence_number.clone(), at_ms)));
        }
        let count = fresh.len();
        self.pending.extend(fresh);
        count
    }

    /// Whether what lies directly after our position may have been dropped by the time `at_ms`.
    fn is_stale_by(&self, at_ms: u64) -> bool {
        let retention_ms = u64::try_from(self.pace.retention.as_millis()).unwrap_or(u64::MAX);
        self.bookmark.fresh_at_ms.is_some_and(|fresh_at_ms| at_ms.saturating_sub(fresh_at_ms) >= retention_ms)
    }

    fn freshen(&mut self, at_ms: u64) {
        self.bookmark.fresh_at_ms = self.bookmark.fresh_at_ms.max(Some(at_ms));
    }

    fn on_failure(&mut self, failure: FeedFailure, now: Monotonic, jitter: f64) {
        self.failures += 1;
        self.read_not_before = Monotonic(now.0 + self.pace.backoff.pause(self.failures, jitter));
        match failure {
            FeedFailure::CursorExpired => {
                // A first expiry is no sign of trouble: the handler took its time.
                if self.cursor.take().is_some() && self.failures == 1 {
                    self.read_not_before = now;
                }
            }
            FeedFailure::Trimmed => {
                self.cursor = None;
                self.gap = Some(Gap { reads_from_oldest: true, ..Gap::new(now) });
            }
            FeedFailure::NotFound { .. } => {
                self.cursor = None;
                self.read_state = ReadState::Missing;
            }
            // What was rejected will be rejected again, but permissions and settings get mended: the pause grows.
            FeedFailure::Throttled(_)
            | FeedFailure::NotSent(_)
            | FeedFailure::Rejected(_)
            | FeedFailure::NoAnswer(_) => {}
        }
    }

    /// The outcome of [`WorkStep::LookForShard`].
    pub(crate) fn on_listing(&mut self, outcome: Result<Vec<FeedShard>, FeedFailure>, now: Monotonic, jitter: f64) {
        match outcome {
            Ok(shards) if shards.iter().any(|shard| shard.id == self.shard) => {
                self.read_state = ReadState::Open;
                self.absences = 0;
            }
            Ok(_) if self.absences + 1 < ABSENCES_TO_BELIEVE => {
                self.read_state = ReadState::Open;
                self.absences += 1;
                self.read_not_before = Monotonic(now.0 + self.pace.poll_every);
            }
            Ok(_) => {
                self.read_state = ReadState::Ended;
                self.gap = Some(Gap::new(now));
                self.drain_at_end(now);
            }
            Err(_) => {
                self.failures += 1;
                self.read_not_before = Monotonic(now.0 + self.pace.backoff.pause(self.failures, jitter));
            }
        }
    }

    /// The outcome of [`WorkStep::ReportGap`]; the repair began at `started_wall` by our own wall clock.
    pub(crate) fn on_gap_reported(&mut self, is_repaired: bool, started_wall: UnixTime, now: Monotonic, jitter: f64) {
        let Some(gap) = &mut self.gap else { return };
        if !is_repaired {
            gap.failures += 1;
            gap.not_before = Monotonic(now.0 + self.pace.backoff.pause(gap.failures, jitter));
            return;
        }
        let (next_arrival_ms, reads_from_oldest) = (gap.next_arrival_ms, gap.reads_from_oldest);
        self.gap = None;
        self.freshen(next_arrival_ms.unwrap_or_default().max(started_wall.as_millis()));
        if reads_from_oldest {
            self.resume = FeedStart::Oldest;
        }
    }

    /// The records of [`WorkStep::Handle`] go to the handler.
    pub(crate) fn begin_handle(&mut self) -> Vec<FeedRecord> {
        self.call_again_at = None;
        // What comes after a gap waits until the gap is repaired.
        if self.gap.is_some() { Vec::new() } else { std::mem::take(&mut self.pending) }
    }

    /// The outcome of [`WorkStep::Handle`].
    pub(crate) fn on_handled(&mut self, handled: Handled, now: Monotonic) {
        if let Some(through) = handled.durable_through {
            self.advance(through, handled.memory);
        }
        self.handler_failures = 0;
        self.accepts_more = handled.accepts_more;
        // Whoever takes no more must be called again, also if it does not ask for it.
        let default = (!self.accepts_more).then_some(self.pace.poll_every);
        self.call_again_at = handled.call_again_after.or(default).map(|after| Monotonic(now.0 + after));
        self.drain_at_end(now);
    }

    /// At the end of a shard no further records will give the handler an occasion to finish what it kept back.
    fn drain_at_end(&mut self, now: Monotonic) {
        if self.read_state == ReadState::Ended && !self.is_all_durable() && self.call_again_at.is_none() {
            self.call_again_at = Some(Monotonic(now.0 + self.pace.poll_every));
        }
    }

    /// Progress never goes back, nor beyond what the handler was given.
    fn advance(&mut self, through: SequenceNumber, memory: String) {
        let was_given = self.last_read.as_ref().is_some_and(|last| through <= *last);
        let wanted = ShardProgress::After(through.clone());
        if !was_given || wanted < self.progress {
            return;
        }
        self.progress = wanted;
        self.bookmark.memory = memory;
        while let Some((_, at_ms)) = self.arrivals.pop_front_if(|(number, _)| *number <= through) {
            self.freshen(at_ms);
        }
    }

    /// The handler is gone, with all that it kept back: a new one begins after what is durable.
    pub(crate) fn on_handler_gone(&mut self, now: Monotonic, jitter: f64) {
        let handler_failures = self.handler_failures + 1;
        let pause = self.pace.backoff.pause(handler_failures, jitter);
        *self = Self {
            read_not_before: Monotonic(now.0 + pause),
            handler_failures,
            gap: self.gap,
            ..Self::new(&self.shard, self.pace, self.progress.clone(), self.bookmark.clone(), now)
        };
    }
}

impl Gap {
    fn new(now: Monotonic) -> Self {
        Self { not_before: now, failures: 0, next_arrival_ms: None, reads_from_oldest: false }
    }
}

fn start_after(progress: &ShardProgress) -> FeedStart {
    match progress {
        ShardProgress::After(number) => FeedStart::After(number.clone()),
        ShardProgress::Untouched | ShardProgress::Finished => FeedStart::Oldest,
    }
}

#[cfg(test)]
mod tests;
