//! After an outage longer than the change feed keeps its records: everything once more, from the event table.

use futures_util::{StreamExt, stream};
use nexus_ports::{
    ParkReason, ParkedAggregate, ReadFailure, ReplayFailure, StreamCatalogue, StreamName, StreamPage, Version,
    WriteFailure,
};

use crate::{ROUTER_CONSUMER, Router, router::Shared, router::lost, routing::kept_body};

/// Aggregates repaired at once.
const REPAIRS_AT_ONCE: usize = 16;

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Aggregates that were looked at.
    pub streams: u64,
    /// Events that were routed.
    pub events: u64,
    /// Aggregates that were parked because one of their events cannot be routed.
    pub parked: u64,
}

/// A repair stopped; calling it again with `resume_after` goes on where it stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the repair stopped after {} streams: {detail}", .done.streams)]
pub struct RepairInterrupted {
    pub resume_after: Option<String>,
    pub detail: String,
    pub done: Repaired,
}

impl Router {
    /// Routes every event of every aggregate that this process does not know to have been routed: for the case that the
    /// feed lost records (a table's stream keeps them for 24 hours).
    ///
    /// Aggregates are taken from their first event on, or from the remembered version on where everything before it is
    /// remembered too. So most events are routed again: consumers go by version and pass over what they have.
    /// Within one aggregate events go in order; but a shard's handler that works at the same time may route a newer event
    /// before the missing older ones. Where that order matters, repair before the feed is read on from its oldest record.
    ///
    /// An aggregate with an event that cannot be routed is parked.
    ///
    /// # Errors
    /// The catalogue, the event store, a destination or the parking lot did not answer in all attempts.
    pub async fn repair_all(
        &self,
        catalogue: &dyn StreamCatalogue,
        resume_after: Option<String>,
    ) -> Result<Repaired, RepairInterrupted> {
        let mut done = Repaired::default();
        let mut after = resume_after;
        loop {
            let page = self.shared.page_of(catalogue, after.as_deref()).await;
            let (streams, next) = page.map_err(|failure| RepairInterrupted {
                resume_after: after.clone(),
                detail: failure.to_string(),
                done,
            })?;
            let repairs = streams.iter().map(|stream| self.shared.repair(stream)).collect::<Vec<_>>();
            let mut repairs = stream::iter(repairs).buffer_unordered(REPAIRS_AT_ONCE);
            while let Some(repaired) = repairs.next().await {
                let (events, is_parked) =
                    repaired.map_err(|detail| RepairInterrupted { resume_after: after.clone(), detail, done })?;
                done.streams += 1;
                done.events += events;
                done.parked += u64::from(is_parked);
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(done),
            }
        }
    }
}

impl Shared {
    async fn page_of(&self, catalogue: &dyn StreamCatalogue, after: Option<&str>) -> Result<StreamPage, ReadFailure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.in_time(catalogue.page(after.map(str::to_owned))).await.unwrap_or_else(lost) {
                Err(_) if attempts < self.settings.attempts_max => {
                    self.pause(attempts, "router-catalogue-backoff", after.unwrap_or_default()).await;
                }
                answered => return answered,
            }
        }
    }

    /// Events routed, and whether the aggregate was parked.
    async fn repair(&self, stream: &StreamName) -> Result<(u64, bool), String> {
        let known = self.remembered().get(stream.as_str());
        let first = match known {
            Some(span) if span.first == Version(1) => span.last.next(),
            _ => Version(1),
        };
        let routed = |reached: Version| reached.next().0.saturating_sub(first.0);
        match self.replay(stream, first).await {
            Ok(reached) => Ok((routed(reached), false)),
            Err(ReplayFailure::Interrupted { detail, .. }) => Err(format!("{stream}: {detail}")),
            Err(ReplayFailure::Poison { version, detail }) => {
                self.park_from(stream, version, detail).await?;
                Ok((version.0.saturating_sub(first.0), true))
            }
        }
    }

    /// Sees to it that the aggregate is parked from this version on.
    async fn park_from(&self, stream: &StreamName, version: Version, detail: String) -> Result<(), String> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.try_park_from(stream, version, &detail).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if attempts >= self.settings.attempts_max {
                return Err(format!("{stream} could not be parked: {failure}"));
            }
            self.pause(attempts, "router-parking-backoff", stream.as_str()).await;
        }
    }

    async fn try_park_from(&self, stream: &StreamName, version: Version, detail: &str) -> Result<(), String> {
        let read = self.in_time(self.parking.read(ROUTER_CONSUMER, stream.as_str())).await.unwrap_or_else(lost);
        let standing = read.map_err(|failure: ReadFailure| failure.to_string())?;
        let written = match &standing {
            Some(entry) if entry.first_version.is_none_or(|first| first <= version) => return Ok(()),
            Some(entry) => {
                let mut lowered = entry.clone();
                lowered.first_version = Some(version);
                lowered.counter += 1;
                self.park(Some(entry.counter), &lowered).await
            }
            None => {
                let body = self.body_at(stream, version).await?;
                self.park(None, &self.poisoned(stream, version, body, detail)).await
            }
        };
        // Refused and unknown alike: the next attempt reads what is there.
        written.map_err(|failure: WriteFailure<_>| failure.to_string())
    }

    fn poisoned(&self, stream: &StreamName, version: Version, body: String, detail: &str) -> ParkedAggregate {
        ParkedAggregate {
            consumer: ROUTER_CONSUMER.to_owned(),
            key: stream.as_str().to_owned(),
            first_version: Some(version),
            last_version: Some(version),
            body,
            reason: ParkReason::Poison,
            detail: detail.to_owned(),
            attempts: 0,
            parked_at_ms: self.platform.unix_time().as_millis(),
            counter: 1,
        }
    }

    /// The stored event as JSON; empty if there is none at this version.
    async fn body_at(&self, stream: &StreamName, version: Version) -> Result<String, String> {
        let page = self.read_events(stream, Version(version.0.saturating_sub(1))).await;
        let page = page.map_err(|failure| failure.to_string())?;
        match page.events.first().filter(|event| event.version == version) {
            Some(event) => serde_json::to_vec(event).map(|body| kept_body(&body)).map_err(|error| error.to_string()),
            None => Ok(String::new()),
        }
    }
}
