//! One shard under one lease: renews, reads, handles and checkpoints until the shard ends, the lease is lost or the worker
//! stops.

use std::{future::poll_fn, panic::AssertUnwindSafe, sync::Arc, task::Poll, time::Duration};

use futures_util::FutureExt;
use nexus_ports::{
    BoxFuture, FeedCursor, FeedFailure, FeedPage, FeedShard, FeedStart, GapUnrepaired, Handled, Lease, LeaseFailure,
    MetricUnit, Monotonic, ReadFailure, ShardHandler, ShardProgress, UnixTime, UnknownOutcome, WriteFailure,
};
use tokio::sync::watch;

use crate::{
    bookmark::Bookmark,
    held_lease::{Draft, HeldLease, Holding, LeaseTimes, LossReason, StoreStep, Urgency},
    measure,
    shard_reader::{ReadPace, ShardReader, WorkStep},
    worker::Shared,
};

/// How a shard's task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ShardEnd {
    /// The shard is finished, and its lease says so.
    Finished,
    /// The lease was given up at a stop.
    Released,
    Lost(LossReason),
    /// Aborted, or ended by a panic outside of the handler.
    Died,
}

enum StoreAnswer {
    Written(Result<(), LeaseFailure>),
    ReadBack(Result<Option<Lease>, ReadFailure>),
}

enum WorkAnswer {
    Opened(Result<FeedCursor, FeedFailure>),
    Page { started_at: Monotonic, started_wall: UnixTime, page: Result<FeedPage, FeedFailure> },
    Handled { handler: Box<dyn ShardHandler>, handled: Handled },
    HandlerPanicked,
    GapReported { started_wall: UnixTime, repair: Result<(), GapUnrepaired> },
    Listed(Result<Vec<FeedShard>, FeedFailure>),
}

enum Event {
    Store(StoreAnswer),
    Work(WorkAnswer),
    StopAsked,
    Woken,
}

/// A call under way. Whether it may be dropped at a stop depends on what it is.
struct WorkCall {
    answer: BoxFuture<'static, WorkAnswer>,
    is_handler_call: bool,
}

pub(crate) struct ShardTask {
    shared: Arc<Shared>,
    shard: String,
    held: HeldLease,
    reader: ShardReader,
    /// `None` while it is at work.
    handler: Option<Box<dyn ShardHandler>>,
    store_call: Option<BoxFuture<'static, StoreAnswer>>,
    work_call: Option<WorkCall>,
    stop: watch::Receiver<bool>,
    /// Set at a stop: until then the handler may finish what it is doing.
    stop_by: Option<Monotonic>,
    is_finished: bool,
}

impl ShardTask {
    /// `lease` was just taken by a call that began at `taken_at`.
    pub(crate) fn new(shared: Arc<Shared>, lease: Lease, taken_at: Monotonic, stop: watch::Receiver<bool>) -> Self {
        let settings = &shared.settings;
        let times = LeaseTimes {
            validity: settings.lease_validity(),
            renew_every: settings.renew_every,
            checkpoint_every: settings.checkpoint_every,
            backoff: settings.lease_backoff(),
        };
        let pace = ReadPace {
            poll_every: settings.poll_every,
            read_spacing: settings.read_spacing,
            retention: settings.retention,
            backoff: settings.feed_backoff(),
        };
        let bookmark = Bookmark::decode(&lease.memory);
        let now = shared.platform.monotonic();
        let reader = ShardReader::new(&lease.shard, pace, lease.progress.clone(), bookmark, now);
        Self {
            shard: lease.shard.clone(),
            held: HeldLease::new(times, &settings.worker_id, lease, taken_at),
            reader,
            handler: None,
            store_call: None,
            work_call: None,
            stop,
            stop_by: None,
            is_finished: false,
            shared,
        }
    }

    pub(crate) async fn run(mut self) -> ShardEnd {
        self.begin_handler();
        loop {
            let now = self.shared.platform.monotonic();
            match self.held.holding(now) {
                Holding::Held => {}
                Holding::Released if self.is_finished => return ShardEnd::Finished,
                Holding::Released => return ShardEnd::Released,
                Holding::Lost(reason) => return self.lost(reason),
            }
            self.heed_stop(now);
            let work_wake = self.begin_work(now);
            let store_wake = self.begin_store_call(now);
            let cut_off_at = self.stop_by.filter(|_| self.work_call.is_some());
            let wakes = [work_wake, store_wake, cut_off_at].into_iter().flatten();
            let wake_at = wakes.fold(self.held.valid_until(), Monotonic::min);
            match self.next_event(wake_at.since(now)).await {
                Event::Store(answer) => self.on_store_answer(answer),
                Event::Work(answer) => self.on_work_answer(answer),
                Event::StopAsked => {
                    let now = self.shared.platform.monotonic();
                    self.stop_by = Some(Monotonic(now.0 + self.shared.settings.stop_grace));
                }
                Event::Woken => {}
            }
        }
    }

    /// Dropping the task drops the handler in the middle of whatever it does: it must not go on without the lease.
    fn lost(self, reason: LossReason) -> ShardEnd {
        self.shared.count(measure::LEASES_LOST, 1.0);
        ShardEnd::Lost(reason)
    }

    fn begin_handler(&mut self) {
        let (_, bookmark) = self.reader.durable();
        self.handler = Some(self.shared.handler.begin_shard(&self.shard, self.held.epoch(), &bookmark.memory));
    }

    fn jitter(&self, purpose: &'static str) -> f64 {
        self.shared.platform.random_fraction(purpose, &self.shard)
    }

    /// At a stop reading is cut off at once, and the handler when its grace is over.
    fn heed_stop(&mut self, now: Monotonic) {
        let Some(stop_by) = self.stop_by else { return };
        if self.work_call.as_ref().is_some_and(|call| !call.is_handler_call || now >= stop_by) {
            self.work_call = None;
        }
    }

    /// Starts the next piece of work unless one is under way. Returns when to look again.
    fn begin_work(&mut self, now: Monotonic) -> Option<Monotonic> {
        if self.work_call.is_some() || self.stop_by.is_some() || self.is_finished {
            return None;
        }
        let answer: BoxFuture<'static, WorkAnswer> = match self.reader.step(now) {
            WorkStep::WaitUntil(at) => return Some(at),
            WorkStep::Finish => {
                self.is_finished = true;
                return None;
            }
            WorkStep::Handle => {
                let call = self.handle_call();
                self.work_call = Some(WorkCall { answer: call, is_handler_call: true });
                return None;
            }
            WorkStep::Open(start) => open(self.shared.clone(), self.shard.clone(), start),
            WorkStep::Read(cursor) => {
                let settings = &self.shared.settings;
                let patience = self.reader.read_patience(settings.read_timeout_first, settings.call_timeout);
                read(self.shared.clone(), cursor, patience)
            }
            WorkStep::LookForShard => list(self.shared.clone()),
            WorkStep::ReportGap(after) => {
                self.shared.count(measure::GAPS_FOUND, 1.0);
                report_gap(self.shared.clone(), self.shard.clone(), after)
            }
        };
        self.work_call = Some(WorkCall { answer, is_handler_call: false });
        None
    }

    fn handle_call(&mut self) -> BoxFuture<'static, WorkAnswer> {
        if self.handler.is_none() {
            self.begin_handler();
        }
        let records = self.reader.begin_handle();
        let handler = self.handler.take();
        Box::pin(async move {
            let Some(mut handler) = handler else { return WorkAnswer::HandlerPanicked };
            // After a panic the handler is dropped and never looked at again.
            match AssertUnwindSafe(handler.handle(records)).catch_unwind().await {
                Ok(handled) => WorkAnswer::Handled { handler, handled },
                Err(_) => WorkAnswer::HandlerPanicked,
            }
        })
    }

    /// Starts the next call to the lease store unless one is under way. Returns when to look again.
    fn begin_store_call(&mut self, now: Monotonic) -> Option<Monotonic> {
        if self.store_call.is_some() {
            return None;
        }
        let (durable, _) = self.reader.durable();
        let soonest = self.held.due_at(durable, self.urgency());
        if now < soonest {
            return Some(soonest);
        }
        let draft = self.draft();
        self.store_call = Some(match self.held.step(now, &draft) {
            StoreStep::WaitUntil(at) => return Some(at),
            StoreStep::ReadBack => read_back(self.shared.clone(), self.shard.clone()),
            StoreStep::Write { expected_counter, lease } => {
                self.held.begin_write(&lease, now);
                write(self.shared.clone(), expected_counter, lease)
            }
        });
        None
    }

    fn urgency(&self) -> Urgency {
        let is_stopped = self.stop_by.is_some() && self.work_call.is_none();
        if self.is_finished || is_stopped { Urgency::Release } else { self.reader.urgency() }
    }

    fn draft(&self) -> Draft {
        let (durable, bookmark) = self.reader.durable();
        let urgency = self.urgency();
        if self.is_finished {
            let memory = Bookmark { memory: String::new(), ..bookmark.clone() }.encode().unwrap_or_default();
            return Draft { progress: ShardProgress::Finished, memory, urgency };
        }
        match bookmark.encode() {
            Ok(memory) => Draft { progress: durable.clone(), memory, urgency },
            // Without its memory the position would be worthless to the next handler: the old pair stays.
            Err(_) => {
                let stored = self.held.stored();
                Draft { progress: stored.progress.clone(), memory: stored.memory.clone(), urgency }
            }
        }
    }

    fn on_store_answer(&mut self, answer: StoreAnswer) {
        self.store_call = None;
        let now = self.shared.platform.monotonic();
        let jitter = self.jitter("stream-worker-lease-backoff");
        match answer {
            StoreAnswer::Written(outcome) => {
                if !self.held.on_write(outcome, now, jitter) {
                    self.shared.count(measure::CHECKPOINT_FAILURES, 1.0);
                }
            }
            StoreAnswer::ReadBack(outcome) => self.held.on_read_back(outcome, now, jitter),
        }
    }

    fn on_work_answer(&mut self, answer: WorkAnswer) {
        self.work_call = None;
        let shared = self.shared.clone();
        let (now, wall) = (shared.platform.monotonic(), shared.platform.unix_time());
        let jitter = self.jitter("stream-worker-feed-backoff");
        match answer {
            WorkAnswer::Opened(outcome) => {
                self.count_failure(outcome.as_ref().err());
                self.reader.on_open(outcome, now, wall, jitter);
            }
            WorkAnswer::Page { started_at, started_wall, page } => {
                self.count_failure(page.as_ref().err());
                self.measure_lag(page.as_ref().ok(), wall);
                let count = self.reader.on_page(page, started_at, started_wall, now, jitter);
                if count > 0 {
                    shared.count(measure::RECORDS_READ, count as f64);
                }
            }
            WorkAnswer::Handled { handler, handled } => {
                self.handler = Some(handler);
                self.reader.on_handled(handled, now);
                if self.reader.durable().1.encode().is_err() {
                    shared.count(measure::CHECKPOINT_FAILURES, 1.0);
                }
            }
            WorkAnswer::HandlerPanicked => {
                shared.count(measure::HANDLER_PANICS, 1.0);
                self.reader.on_handler_gone(now, jitter);
            }
            WorkAnswer::GapReported { started_wall, repair } => {
                self.reader.on_gap_reported(repair.is_ok(), started_wall, now, jitter);
            }
            WorkAnswer::Listed(outcome) => self.reader.on_listing(outcome, now, jitter),
        }
    }

    fn count_failure(&self, failure: Option<&FeedFailure>) {
        if failure.is_some() {
            self.shared.count(measure::FEED_FAILURES, 1.0);
        }
    }

    /// A feed that does not tell how far behind a page is still tells when its records came.
    fn measure_lag(&self, page: Option<&FeedPage>, wall: UnixTime) {
        let Some(page) = page else { return };
        let last_arrival = page.records.last().and_then(|record| record.arrived_at_ms);
        let behind_ms = page.behind_ms.or(last_arrival.map(|at_ms| wall.as_millis().saturating_sub(at_ms)));
        if let Some(behind_ms) = behind_ms {
            self.shared.measure(measure::MILLIS_BEHIND, MetricUnit::Milliseconds, behind_ms as f64);
        }
    }

    /// Waits for whatever comes first. The lease is looked at before anything else is let go on: after a pause of the whole
    /// process the time is up although everything is ready.
    async fn next_event(&mut self, wake_in: Duration) -> Event {
        let Self { shared, held, store_call, work_call, stop, stop_by, .. } = self;
        let valid_until = held.valid_until();
        let mut timer = shared.platform.sleep(wake_in);
        let listens_for_stop = stop_by.is_none();
        let mut stopped = std::pin::pin!(async {
            // The worker that could ask for a stop is gone: nobody wants this task any more.
            let _ = stop.wait_for(|is_stopped| *is_stopped).await;
        });
        poll_fn(move |context| {
            if shared.platform.monotonic() >= valid_until {
                return Poll::Ready(Event::Woken);
            }
            if listens_for_stop && stopped.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::StopAsked);
            }
            if let Some(call) = store_call
                && let Poll::Ready(answer) = call.as_mut().poll(context)
            {
                return Poll::Ready(Event::Store(answer));
            }
            if let Some(call) = work_call
                && let Poll::Ready(answer) = call.answer.as_mut().poll(context)
            {
                return Poll::Ready(Event::Work(answer));
            }
            timer.as_mut().poll(context).map(|()| Event::Woken)
        })
        .await
    }
}

fn open(shared: Arc<Shared>, shard: String, start: FeedStart) -> BoxFuture<'static, WorkAnswer> {
    Box::pin(async move { WorkAnswer::Opened(shared.bounded_feed_call(shared.feed.open(&shard, &start)).await) })
}

fn read(shared: Arc<Shared>, cursor: FeedCursor, patience: Duration) -> BoxFuture<'static, WorkAnswer> {
    Box::pin(async move {
        let (started_at, started_wall) = (shared.platform.monotonic(), shared.platform.unix_time());
        let call = shared.feed.read(&cursor, shared.settings.read_limit);
        let page = shared.feed_call_within(patience, call).await;
        WorkAnswer::Page { started_at, started_wall, page }
    })
}

fn list(shared: Arc<Shared>) -> BoxFuture<'static, WorkAnswer> {
    Box::pin(async move { WorkAnswer::Listed(shared.bounded_feed_call(shared.feed.list_shards()).await) })
}

fn report_gap(shared: Arc<Shared>, shard: String, after: ShardProgress) -> BoxFuture<'static, WorkAnswer> {
    Box::pin(async move {
        let started_wall = shared.platform.unix_time();
        let Some(listener) = &shared.gap_listener else {
            return WorkAnswer::GapReported { started_wall, repair: Ok(()) };
        };
        let repair = AssertUnwindSafe(listener.trimmed(&shard, &after)).catch_unwind().await;
        let panicked = |_| Err(GapUnrepaired { detail: "the repair panicked".to_owned() });
        WorkAnswer::GapReported { started_wall, repair: repair.unwrap_or_else(panicked) }
    })
}

fn write(shared: Arc<Shared>, expected_counter: u64, lease: Lease) -> BoxFuture<'static, StoreAnswer> {
    Box::pin(async move {
        let written = shared.bounded_replace(expected_counter, &lease).await;
        StoreAnswer::Written(written)
    })
}

fn read_back(shared: Arc<Shared>, shard: String) -> BoxFuture<'static, StoreAnswer> {
    Box::pin(async move { StoreAnswer::ReadBack(shared.bounded_lease_read(&shard).await) })
}

impl Shared {
    async fn bounded_feed_call<T>(&self, call: BoxFuture<'_, Result<T, FeedFailure>>) -> Result<T, FeedFailure> {
        self.feed_call_within(self.settings.call_timeout, call).await
    }

    async fn feed_call_within<T>(
        &self,
        patience: Duration,
        call: BoxFuture<'_, Result<T, FeedFailure>>,
    ) -> Result<T, FeedFailure> {
        let answer = self.platform.timeout(patience, call).await;
        answer.unwrap_or_else(|late| Err(FeedFailure::NoAnswer(UnknownOutcome { reason: late.to_string() })))
    }

    pub(crate) async fn bounded_list_shards(&self) -> Result<Vec<FeedShard>, FeedFailure> {
        self.bounded_feed_call(self.feed.list_shards()).await
    }

    pub(crate) async fn bounded_replace(&self, expected_counter: u64, lease: &Lease) -> Result<(), LeaseFailure> {
        let call = self.leases.replace(&self.settings.group, expected_counter, lease);
        let answer = self.platform.timeout(self.settings.call_timeout, call).await;
        answer.unwrap_or_else(|late| Err(WriteFailure::Unknown(UnknownOutcome { reason: late.to_string() })))
    }

    pub(crate) async fn bounded_create(&self, lease: &Lease) -> Result<(), LeaseFailure> {
        let call = self.leases.create(&self.settings.group, lease);
        let answer = self.platform.timeout(self.settings.call_timeout, call).await;
        answer.unwrap_or_else(|late| Err(WriteFailure::Unknown(UnknownOutcome { reason: late.to_string() })))
    }

    pub(crate) async fn bounded_lease_read(&self, shard: &str) -> Result<Option<Lease>, ReadFailure> {
        let call = self.leases.read(&self.settings.group, shard);
        let answer = self.platform.timeout(self.settings.call_timeout, call).await;
        answer.unwrap_or_else(|late| Err(ReadFailure::NoAnswer(UnknownOutcome { reason: late.to_string() })))
    }

    pub(crate) async fn bounded_lease_list(&self) -> Result<Vec<Lease>, ReadFailure> {
        let call = self.leases.list(&self.settings.group);
        let answer = self.platform.timeout(self.settings.call_timeout, call).await;
        answer.unwrap_or_else(|late| Err(ReadFailure::NoAnswer(UnknownOutcome { reason: late.to_string() })))
    }
}
