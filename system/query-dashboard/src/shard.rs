//! The records of one shard, worked off aggregate by aggregate.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use nexus_ports::{BoxFuture, FeedRecord, Handled, ShardHandler};

use crate::{
    lane::Lane,
    lane_worker::{LaneEnd, LaneReport, LaneWorker},
    ledger::Ledger,
    projection::Tools,
    record,
};

/// Aggregates are worked on side by side, the records of one in order of version. A record is durable once its view is
/// written or its aggregate is parked; what can be neither now is kept back.
///
/// While the read model fails as a whole, aggregates are tried one at a time with growing pauses between, and no further
/// records are taken: else an outage of a minute would park every aggregate that has an event in it.
pub(crate) struct ProjectionShard {
    tools: Arc<Tools>,
    ledger: Ledger,
    lanes: BTreeMap<String, Lane>,
    /// Aggregates that are believed to be parked; `None` until the lot was asked.
    parked: Option<BTreeSet<String>>,
    /// Calls in a row that a store brought to nothing.
    setbacks: u32,
    /// The aggregate that was tried last while a store failed: the next try is another's, so that one that can never be
    /// worked on does not stand before all others.
    last_probe: String,
}

impl ProjectionShard {
    pub(crate) fn new(tools: Arc<Tools>) -> Self {
        Self {
            tools,
            ledger: Ledger::default(),
            lanes: BTreeMap::new(),
            parked: None,
            setbacks: 0,
            last_probe: String::new(),
        }
    }

    fn take_in(&mut self, records: Vec<FeedRecord>) {
        let body_bytes_max = self.tools.settings.parked_body_bytes_max;
        for record in records {
            let incoming = record::read(&record, body_bytes_max);
            let ordinal = self.ledger.enter(record.sequence_number);
            self.lanes.entry(record.partition_key).or_default().take_in(incoming, ordinal);
        }
    }

    /// Works on everything that has a chance now. False if a store brought it to nothing.
    async fn work(&mut self) -> bool {
        if self.parked.is_none() {
            match self.tools.parker.parked_keys().await {
                Ok(keys) => self.parked = Some(keys),
                Err(_unavailable) => return false,
            }
        }
        let mut ready = self.take_ready();
        if self.setbacks > 0 && !ready.is_empty() {
            let probe = ready.remove(ready.iter().position(|(key, _)| *key > self.last_probe).unwrap_or_default());
            self.last_probe.clone_from(&probe.0);
            if !self.work_on(vec![probe]).await {
                ready.into_iter().for_each(|(key, lane)| self.put_back(key, lane));
                return false;
            }
        }
        self.work_on(ready).await
    }

    fn take_ready(&mut self) -> Vec<(String, Lane)> {
        let now = self.tools.platform.monotonic();
        let patience = self.tools.settings.gap_patience;
        let is_ready = |lane: &Lane| {
            lane.has_news || lane.gap_since.is_none_or(|since| now.since(since) >= patience) || lane.to_park.is_some()
        };
        let keys: Vec<_> = self.lanes.iter().filter(|(_, lane)| is_ready(lane)).map(|(key, _)| key.clone()).collect();
        keys.into_iter().filter_map(|key| self.lanes.remove_entry(&key)).collect()
    }

    fn put_back(&mut self, key: String, lane: Lane) {
        if !lane.is_empty() {
            self.lanes.insert(key, lane);
        }
    }

    /// Works on these lanes side by side. Once a store failed for one, those that were not begun are left for later.
    async fn work_on(&mut self, lanes: Vec<(String, Lane)>) -> bool {
        let has_failed = AtomicBool::new(false);
        let tools = self.tools.clone();
        let mut work: Vec<BoxFuture<'_, LaneReport>> = Vec::with_capacity(lanes.len());
        for (key, lane) in lanes {
            let is_parked = self.parked.as_ref().is_some_and(|parked| parked.contains(&key));
            let worker = LaneWorker { tools: &tools, is_parked, key, lane, settled: Vec::new() };
            work.push(Box::pin(unless_failed(worker, &has_failed)));
        }
        let reports: Vec<LaneReport> =
            stream::iter(work).buffer_unordered(self.tools.settings.aggregates_at_once.max(1)).collect().await;
        for report in reports {
            self.accept(report);
        }
        !has_failed.load(Ordering::Relaxed)
    }

    fn accept(&mut self, report: LaneReport) {
        for ordinal in report.settled {
            self.ledger.settle(ordinal);
        }
        if let Some(parked) = &mut self.parked {
            if report.is_parked {
                parked.insert(report.key.clone());
            } else {
                parked.remove(&report.key);
            }
        }
        self.put_back(report.key, report.lane);
    }

    fn handled(&mut self) -> Handled {
        // With nothing left to try again on, only further records can show that the read model is back.
        let is_failing = self.setbacks > 0 && !self.lanes.is_empty();
        let has_room = self.ledger.open_records() < self.tools.settings.kept_back_max;
        Handled {
            durable_through: self.ledger.durable_through().cloned(),
            // The views themselves say which versions were handled.
            memory: String::new(),
            call_again_after: self.call_again_after(),
            accepts_more: !is_failing && has_room,
        }
    }

    fn call_again_after(&self) -> Option<Duration> {
        if self.lanes.is_empty() {
            return None;
        }
        if self.setbacks > 0 {
            return Some(self.tools.settings.backoff_bound(self.setbacks.saturating_add(2)));
        }
        let now = self.tools.platform.monotonic();
        let patience = self.tools.settings.gap_patience;
        let left = |lane: &Lane| match lane.gap_since {
            Some(since) => patience.saturating_sub(now.since(since)),
            None => Duration::ZERO,
        };
        self.lanes.values().map(left).min()
    }
}

async fn unless_failed(worker: LaneWorker<'_>, has_failed: &AtomicBool) -> LaneReport {
    if has_failed.load(Ordering::Relaxed) {
        return worker.untouched();
    }
    let report = worker.work().await;
    if report.end == LaneEnd::StoreFailed {
        has_failed.store(true, Ordering::Relaxed);
    }
    report
}

impl ShardHandler for ProjectionShard {
    fn handle(&mut self, records: Vec<FeedRecord>) -> BoxFuture<'_, Handled> {
        Box::pin(async move {
            self.take_in(records);
            if !self.lanes.is_empty() {
                self.setbacks = if self.work().await { 0 } else { self.setbacks.saturating_add(1) };
            }
            self.handled()
        })
    }
}
