//! The worker: shares the shards with its group, and runs a task for each lease that it holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{Either, select};
use nexus_ports::{
    FeedHandler, FeedShard, GapListener, Lease, LeaseStore, MetricSink, MetricUnit, Monotonic, Platform, RecordFeed,
    ShardProgress, TaskHandle, WriteFailure,
};
use tokio::sync::{mpsc, watch};

use crate::{
    StreamWorkerSettings,
    balance::{PlanInput, plan_leases},
    bookmark::Bookmark,
    lease_table::LeaseTable,
    lineage::{Listing, Readiness, readiness},
    measure,
    shard_task::{ShardEnd, ShardTask},
};

/// Reads a feed together with the other workers of its group. See the crate's documentation for what it promises.
pub struct StreamWorker {
    shared: Shared,
}

/// What a worker and its tasks share.
pub(crate) struct Shared {
    pub platform: Platform,
    pub feed: Arc<dyn RecordFeed>,
    pub leases: Arc<dyn LeaseStore>,
    pub handler: Arc<dyn FeedHandler>,
    pub gap_listener: Option<Arc<dyn GapListener>>,
    pub metrics: Arc<dyn MetricSink>,
    pub settings: StreamWorkerSettings,
}

impl Shared {
    pub(crate) fn measure(&self, name: &'static str, unit: MetricUnit, value: f64) {
        measure::record(&self.platform, &*self.metrics, &self.settings.group, name, unit, value);
    }

    pub(crate) fn count(&self, name: &'static str, value: f64) {
        self.measure(name, MetricUnit::Count, value);
    }
}

impl StreamWorker {
    pub fn new(
        platform: Platform,
        feed: Arc<dyn RecordFeed>,
        leases: Arc<dyn LeaseStore>,
        handler: Arc<dyn FeedHandler>,
        metrics: Arc<dyn MetricSink>,
        settings: StreamWorkerSettings,
    ) -> Self {
        Self { shared: Shared { platform, feed, leases, handler, gap_listener: None, metrics, settings } }
    }

    /// Has gaps repaired. Without a listener they are counted (`GapsFound`) and passed over.
    pub fn with_gap_listener(mut self, listener: Arc<dyn GapListener>) -> Self {
        self.shared.gap_listener = Some(listener);
        self
    }

    /// Works for ever. Dropping the future ends all work at once, as a crash would: leases expire by themselves.
    pub async fn run(self) {
        self.run_until(std::future::pending()).await;
    }

    /// Works until `stop` resolves; then reads no more, lets handlers finish what they are doing (within
    /// [`StreamWorkerSettings::stop_grace`]), writes the last checkpoints and releases the leases. No task is left when it
    /// returns.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send) {
        let mut membership = Membership::new(Arc::new(self.shared));
        {
            let (stop, work) = (pin!(stop), pin!(membership.work()));
            select(stop, work).await;
        }
        membership.shut_down().await;
    }
}

/// A task's last word.
struct TaskEnded {
    shard: String,
    epoch: u64,
    end: ShardEnd,
}

/// Says the last word of a task however the task ends.
struct LastWord {
    sender: mpsc::UnboundedSender<TaskEnded>,
    shard: String,
    epoch: u64,
    end: ShardEnd,
}

impl LastWord {
    fn say(mut self, end: ShardEnd) {
        self.end = end;
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        let (shard, epoch, end) = (self.shard.clone(), self.epoch, self.end.clone());
        // When nobody listens any more, nobody needs to know.
        let _ = self.sender.send(TaskEnded { shard, epoch, end });
    }
}

struct RunningTask {
    epoch: u64,
    handle: TaskHandle,
}

/// One worker's membership in its group.
struct Membership {
    shared: Arc<Shared>,
    table: LeaseTable,
    listing: Option<Listing>,
    running: BTreeMap<String, RunningTask>,
    /// Shards that ended while no child of theirs was listed, and until when to look for one eagerly.
    awaiting_children: BTreeMap<String, Monotonic>,
    scan_at: Monotonic,
    sync_at: Monotonic,
    failures: u32,
    stop: watch::Sender<bool>,
    ended_sender: mpsc::UnboundedSender<TaskEnded>,
    ended: mpsc::UnboundedReceiver<TaskEnded>,
}

/// A pass could not be completed; the next one will begin anew.
struct Interrupted;

impl Membership {
    fn new(shared: Arc<Shared>) -> Self {
        let now = shared.platform.monotonic();
        let (ended_sender, ended) = mpsc::unbounded_channel();
        Self {
            shared,
            table: LeaseTable::default(),
            listing: None,
            running: BTreeMap::new(),
            awaiting_children: BTreeMap::new(),
            scan_at: now,
            sync_at: now,
            failures: 0,
            stop: watch::Sender::new(false),
            ended_sender,
            ended,
        }
    }

    fn now(&self) -> Monotonic {
        self.shared.platform.monotonic()
    }

    /// A fraction in [0, 1) that differs between workers.
    fn jitter(&self, purpose: &'static str) -> f64 {
        self.shared.platform.random_fraction(purpose, &self.shared.settings.worker_id)
    }

    async fn work(&mut self) {
        loop {
            if let Some(ended) = self.next_ended(self.scan_at).await {
                self.on_ended(ended).await;
                continue;
            }
            let is_complete = self.pass().await.is_ok();
            self.failures = if is_complete { 0 } else { self.failures + 1 };
            self.scan_at = Monotonic(self.now().0 + self.pause_before_scan());
            self.shared.measure(measure::LEASES_HELD, MetricUnit::Gauge, self.running.len() as f64);
        }
    }

    /// The next task that ends before `until`.
    async fn next_ended(&mut self, until: Monotonic) -> Option<TaskEnded> {
        let pause = self.shared.platform.sleep(until.since(self.now()));
        match select(pin!(self.ended.recv()), pause).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => None,
        }
    }

    fn pause_before_scan(&self) -> Duration {
        let spread = 0.8 + 0.4 * self.jitter("stream-worker-scan");
        let extra = match self.failures {
            0 => Duration::ZERO,
            failures => self.shared.settings.feed_backoff().pause(failures, self.jitter("stream-worker-scan-backoff")),
        };
        self.shared.settings.lease_scan_every.mul_f64(spread) + extra
    }

    async fn on_ended(&mut self, ended: TaskEnded) {
        if self.running.get(&ended.shard).is_some_and(|task| task.epoch == ended.epoch)
            && let Some(task) = self.running.remove(&ended.shard)
        {
            task.handle.join().await;
        }
        if ended.end == ShardEnd::Finished {
            let now = self.now();
            self.awaiting_children.insert(ended.shard, Monotonic(now.0 + self.shared.settings.shard_sync_every));
            (self.scan_at, self.sync_at) = (now, now);
        }
    }

    /// Looks at everything, and takes what is ours to take.
    async fn pass(&mut self) -> Result<(), Interrupted> {
        // Leases first: what a lease calls a parent must be looked for in a listing that is younger than the lease.
        let leases = self.shared.bounded_lease_list().await.map_err(|_| Interrupted)?;
        self.table.observe(leases, self.now());
        if self.needs_sync() {
            self.sync().await?;
        }
        self.create_missing().await?;
        for shard in self.plan() {
            self.take(&shard).await;
        }
        Ok(())
    }

    fn needs_sync(&self) -> bool {
        let Some(listing) = &self.listing else { return true };
        self.now() >= self.sync_at
            || self.awaiting_children.keys().any(|shard| !listing.has_child_of(shard))
            || self.table.iter().any(|seen| readiness(seen, &self.table, listing) == Readiness::NeedsListing)
    }

    async fn sync(&mut self) -> Result<(), Interrupted> {
        let started_at = self.now();
        let shards = self.shared.bounded_list_shards().await.map_err(|_| Interrupted)?;
        let now = self.now();
        let listing = Listing::new(shards, started_at);
        self.awaiting_children.retain(|shard, until| now < *until && !listing.has_child_of(shard));
        self.listing = Some(listing);
        // Spread, so that the workers of a group do not list all at once.
        let spread = 0.8 + 0.4 * self.jitter("stream-worker-sync");
        self.sync_at = Monotonic(now.0 + self.shared.settings.shard_sync_every.mul_f64(spread));
        Ok(())
    }

    /// Makes leases for shards that have none. Stops at the first that fails, since none may exist before its parent's.
    async fn create_missing(&mut self) -> Result<(), Interrupted> {
        let Some(listing) = &self.listing else { return Err(Interrupted) };
        let listed_at = listing.started_at();
        let missing: Vec<FeedShard> = listing.without_lease(&self.table).cloned().collect();
        for shard in missing {
            let lease = new_lease(shard, self.shared.platform.unix_time().as_millis());
            match self.shared.bounded_create(&lease).await {
                Ok(()) => self.table.observe_one(lease, listed_at),
                // Another worker made it; the next scan will show it.
                Err(WriteFailure::Refused(_)) => {}
                Err(_) => return Err(Interrupted),
            }
        }
        Ok(())
    }

    fn plan(&self) -> Vec<String> {
        let Some(listing) = &self.listing else { return Vec::new() };
        let is_candidate = |lease: &Lease| lease.progress != ShardProgress::Finished;
        let candidates: Vec<_> = self
            .table
            .iter()
            .filter(|seen| is_candidate(&seen.lease) && readiness(seen, &self.table, listing) == Readiness::Ready)
            .collect();
        let running: BTreeSet<String> = self.running.keys().cloned().collect();
        plan_leases(PlanInput {
            worker_id: &self.shared.settings.worker_id,
            candidates: &candidates,
            running: &running,
            lease_duration: self.shared.settings.lease_duration,
            shards_max: self.shared.settings.shards_max,
            now: self.now(),
            randomness: self.shared.platform.random_u64("stream-worker-plan", &self.shared.settings.worker_id),
        })
    }

    /// Tries to take one lease. If the outcome stays unknown, the next scan shows the lease in our name and without a task,
    /// which makes it free to us.
    async fn take(&mut self, shard: &str) {
        let Some(mut stored) = self.table.get(shard).map(|seen| seen.lease.clone()) else { return };
        if stored.owner.as_ref() == Some(&self.shared.settings.worker_id) {
            // In our name, from a life of the lease that is over. Given up first, so that the epoch that we then work under
            // begins with a change of owner, as every epoch does.
            let released = handed_over(&stored, None);
            if self.shared.bounded_replace(stored.counter, &released).await.is_err() {
                return;
            }
            self.table.observe_one(released.clone(), self.now());
            stored = released;
        }
        let taken = handed_over(&stored, Some(self.shared.settings.worker_id.clone()));
        let started_at = self.now();
        let is_ours = match self.shared.bounded_replace(stored.counter, &taken).await {
            Ok(()) => true,
            Err(WriteFailure::Unknown(_)) => {
                let found = self.shared.bounded_lease_read(shard).await;
                matches!(found, Ok(Some(found)) if is_same_write(&found, &taken))
            }
            Err(_) => false,
        };
        if is_ours {
            self.table.observe_one(taken.clone(), self.now());
            self.start(taken, started_at);
        }
    }

    fn start(&mut self, lease: Lease, taken_at: Monotonic) {
        let (shard, epoch) = (lease.shard.clone(), lease.epoch);
        let sender = self.ended_sender.clone();
        let last_word = LastWord { sender, shard: shard.clone(), epoch, end: ShardEnd::Died };
        let task = ShardTask::new(self.shared.clone(), lease, taken_at, self.stop.subscribe());
        let handle = self.shared.platform.spawn("stream-worker-shard", async move {
            let end = task.run().await;
            last_word.say(end);
        });
        self.running.insert(shard, RunningTask { epoch, handle });
    }

    /// Ends all tasks in good order, and gives up leases that are in our name without one.
    async fn shut_down(&mut self) {
        self.stop.send_replace(true);
        while !self.running.is_empty() {
            let Some(ended) = self.ended.recv().await else { break };
            self.on_ended(ended).await;
        }
        // A lease may have been taken by a call that the stop cut off. If this fails, it expires.
        let Ok(leases) = self.shared.bounded_lease_list().await else { return };
        for lease in leases {
            if lease.owner.as_ref() == Some(&self.shared.settings.worker_id) {
                let released =
                    Lease { owner: None, epoch: lease.epoch + 1, counter: lease.counter + 1, ..lease.clone() };
                let _ = self.shared.bounded_replace(lease.counter, &released).await;
            }
        }
    }
}

impl Drop for Membership {
    /// A worker whose future is dropped leaves no task behind.
    fn drop(&mut self) {
        for task in self.running.values() {
            task.handle.abort();
        }
    }
}

/// The same lease with another owner, and therefore under the next epoch.
fn handed_over(lease: &Lease, owner: Option<String>) -> Lease {
    Lease { owner, epoch: lease.epoch + 1, counter: lease.counter + 1, ..lease.clone() }
}

/// Our own write is known by who, when and how often: no other worker writes our name, and we never write it twice alike.
fn is_same_write(one: &Lease, other: &Lease) -> bool {
    (&one.owner, one.epoch, one.counter) == (&other.owner, other.epoch, other.counter)
}

/// A lease that nobody holds yet. Its position counts as fresh from now on: what the feed drops before anybody reads it
/// is a gap.
fn new_lease(shard: FeedShard, unix_ms: u64) -> Lease {
    let bookmark = Bookmark { fresh_at_ms: Some(unix_ms), memory: String::new() };
    Lease {
        shard: shard.id,
        parents: shard.parents,
        owner: None,
        epoch: 0,
        counter: 1,
        progress: ShardProgress::Untouched,
        memory: bookmark.encode().unwrap_or_default(),
    }
}
