//! Works on what waits of one aggregate.

use nexus_ports::{EventRecord, ParkReason, StreamName, Version};

use crate::{
    lane::Lane,
    ledger::Ordinal,
    parking::{LotUnavailable, ParkRequest, Raised},
    projection::Tools,
    view_writer::{Advance, Stop},
};

/// One aggregate while it is worked on.
pub(crate) struct LaneWorker<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) key: String,
    pub(crate) lane: Lane,
    /// Believed to be parked.
    pub(crate) is_parked: bool,
    /// Records that have had their durable effect.
    pub(crate) settled: Vec<Ordinal>,
}

/// The aggregate afterwards.
pub(crate) struct LaneReport {
    pub(crate) key: String,
    pub(crate) lane: Lane,
    pub(crate) is_parked: bool,
    pub(crate) settled: Vec<Ordinal>,
    pub(crate) end: LaneEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneEnd {
    /// Everything is durable, or waits for versions that did not come yet.
    Worked,
    /// A store did not do what was asked. The aggregate was parked for it, or is kept back.
    StoreFailed,
    Untouched,
}

impl LaneWorker<'_> {
    pub(crate) fn untouched(self) -> LaneReport {
        self.report(LaneEnd::Untouched)
    }

    pub(crate) async fn work(mut self) -> LaneReport {
        self.lane.has_news = false;
        let end = self.bring_forward().await;
        self.report(end)
    }

    fn report(self, end: LaneEnd) -> LaneReport {
        let Self { key, lane, is_parked, settled, .. } = self;
        LaneReport { key, lane, is_parked, settled, end }
    }

    async fn bring_forward(&mut self) -> LaneEnd {
        if self.is_parked {
            match self.wait_with_the_parked().await {
                Ok(Raised::Durably) => return LaneEnd::Worked,
                Ok(Raised::Released) => self.is_parked = false,
                Err(LotUnavailable) => return LaneEnd::StoreFailed,
            }
        }
        if let Some(request) = self.lane.to_park.take() {
            // The attempts were used up in an earlier call: only the parking is still owed.
            let is_outage = request.reason == ParkReason::AttemptsExhausted;
            return self.park(request, is_outage).await;
        }
        if let Ok(stream) = self.key.parse::<StreamName>()
            && let Some(stop) = self.project(&stream).await
        {
            let is_outage = stop.is_outage;
            let request = self.request(stop);
            return self.park(request, is_outage).await;
        }
        match self.poison_request() {
            Some(request) => self.park(request, false).await,
            None => LaneEnd::Worked,
        }
    }

    /// Later events of a parked aggregate only tell its entry that they wait too.
    async fn wait_with_the_parked(&mut self) -> Result<Raised, LotUnavailable> {
        let note = self.lane.poison_note();
        let raised = self.tools.parker.raise(&self.key, self.lane.last_version(), note.as_deref()).await?;
        if raised == Raised::Durably {
            self.settled.extend(self.lane.settle_all());
        }
        Ok(raised)
    }

    /// Brings the view forward as far as the events reach. `None`: no event is in the way, though some may wait for
    /// those before them.
    async fn project(&mut self, stream: &StreamName) -> Option<Stop> {
        loop {
            let run = self.lane.first_run();
            if run.is_empty() {
                return None;
            }
            match self.tools.writer.apply(stream, &run).await {
                Advance::Reached(version) => self.settle_through(version),
                Advance::Gap { reached } => {
                    self.settle_through(reached);
                    if !self.is_patience_over() {
                        return None;
                    }
                    if let Some(stop) = self.close_gap(stream, reached).await {
                        return Some(stop);
                    }
                }
                Advance::Stopped(stop) => {
                    self.settle_through(stop.reached);
                    return Some(stop);
                }
            }
        }
    }

    fn settle_through(&mut self, version: Version) {
        let settled = self.lane.settle_through(version);
        if !settled.is_empty() {
            self.lane.gap_since = None;
        }
        self.settled.extend(settled);
    }

    /// Begins to be patient at the first sight of a gap.
    fn is_patience_over(&mut self) -> bool {
        let now = self.tools.platform.monotonic();
        let since = *self.lane.gap_since.get_or_insert(now);
        now.since(since) >= self.tools.settings.gap_patience
    }

    /// Reads what is missing in front of the first event from the event store.
    async fn close_gap(&mut self, stream: &StreamName, reached: Version) -> Option<Stop> {
        let wanted = self.lane.first_event()?.version;
        match self.tools.writer.repair(stream, Some(wanted)).await {
            Advance::Reached(version) if version >= wanted => {
                self.tools.writer.count("GapsRepaired", 1.0);
                self.settle_through(version);
                None
            }
            Advance::Reached(reached) | Advance::Gap { reached } => Some(Stop {
                reached,
                version: reached.next(),
                body: None,
                reason: ParkReason::Poison,
                detail: format!("the event store ends before version {wanted}, which came by the feed"),
                attempts: 1,
                is_outage: false,
            }),
            Advance::Stopped(stop) => {
                self.settle_through(stop.reached.max(reached));
                Some(stop)
            }
        }
    }

    fn request(&self, stop: Stop) -> ParkRequest {
        let as_text = |event: &EventRecord| serde_json::to_string(event).ok();
        let in_lane = || self.lane.event(stop.version).or(self.lane.first_event()).and_then(as_text);
        ParkRequest {
            key: self.key.clone(),
            first_version: Some(stop.version),
            last_version: Some(stop.version),
            body: stop.body.clone().or_else(in_lane).unwrap_or_default(),
            reason: stop.reason,
            detail: stop.detail,
            attempts: stop.attempts,
        }
    }

    fn poison_request(&self) -> Option<ParkRequest> {
        let poison = self.lane.first_poison()?;
        Some(ParkRequest {
            key: self.key.clone(),
            first_version: poison.version,
            last_version: self.lane.last_version(),
            body: poison.body.clone(),
            reason: ParkReason::Poison,
            detail: self.lane.poison_note().unwrap_or_default(),
            attempts: 1,
        })
    }

    /// Parks everything that waits, also what came since the request was made.
    async fn park(&mut self, mut request: ParkRequest, is_outage: bool) -> LaneEnd {
        request.last_version = request.last_version.max(self.lane.last_version());
        if let Some(note) = self.lane.poison_note().filter(|note| !request.detail.contains(note)) {
            request.detail = format!("{}; then {note}", request.detail);
        }
        match self.tools.parker.park(&request).await {
            Ok(()) => {
                self.tools.count_parked(request.reason);
                self.is_parked = true;
                self.settled.extend(self.lane.settle_all());
                if is_outage { LaneEnd::StoreFailed } else { LaneEnd::Worked }
            }
            Err(LotUnavailable) => {
                self.lane.to_park = Some(request);
                LaneEnd::StoreFailed
            }
        }
    }
}
