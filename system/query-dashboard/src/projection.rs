//! The projection: from the stream of core events to the read model.

use std::sync::Arc;

use nexus_ports::{
    AggregateReplayer, BoxFuture, EventStorage, FeedHandler, Measurement, MetricSink, MetricUnit, ParkReason,
    ParkingLot, Platform, ReadModel, ReplayFailure, ShardHandler, StreamName, Version,
};

use crate::{
    ProjectionSettings,
    parking::Parker,
    shard::ProjectionShard,
    view_cache::ViewCache,
    view_writer::{Advance, ViewWriter},
};

/// Projects events onto views: one handler per shard, and replays for parked aggregates.
///
/// Everything is decided by the version that a view carries. A write is conditional on it, so that duplicates, records
/// out of order, two workers on one shard and answers that were lost all end in the same view.
pub struct Projection {
    tools: Arc<Tools>,
}

/// What every shard of a projection works with.
pub(crate) struct Tools {
    pub(crate) platform: Platform,
    pub(crate) writer: ViewWriter,
    pub(crate) parker: Parker,
    pub(crate) metrics: Arc<dyn MetricSink>,
    pub(crate) settings: ProjectionSettings,
}

impl Projection {
    pub fn new(
        platform: Platform,
        read_model: Arc<dyn ReadModel>,
        parking: Arc<dyn ParkingLot>,
        events: Arc<dyn EventStorage>,
        metrics: Arc<dyn MetricSink>,
        settings: ProjectionSettings,
    ) -> Self {
        let writer = ViewWriter {
            platform: platform.clone(),
            read_model,
            events,
            metrics: metrics.clone(),
            cache: ViewCache::new(settings.views_cached),
            settings: settings.clone(),
        };
        let parker = Parker { platform: platform.clone(), lot: parking, settings: settings.clone() };
        Self { tools: Arc::new(Tools { platform, writer, parker, metrics, settings }) }
    }
}

impl FeedHandler for Projection {
    /// Needs neither memory nor fencing: the views know which versions they contain, and refuse what does not follow.
    fn begin_shard(&self, _shard: &str, _epoch: u64, _memory: &str) -> Box<dyn ShardHandler> {
        Box::new(ProjectionShard::new(self.tools.clone()))
    }
}

impl AggregateReplayer for Projection {
    /// Begins at the view's own version, whatever `first` is: what the view contains needs no replay, and what it lacks
    /// does.
    fn replay<'a>(&'a self, stream: &'a StreamName, _first: Version) -> BoxFuture<'a, Result<Version, ReplayFailure>> {
        Box::pin(async move {
            // A replay is also how an emptied read model is filled again: our memory may be from before.
            self.tools.writer.forget(stream);
            match self.tools.writer.repair(stream, None).await {
                Advance::Reached(version) | Advance::Gap { reached: version } => Ok(version),
                Advance::Stopped(stop) => Err(match stop.reason {
                    ParkReason::Poison => ReplayFailure::Poison { version: stop.version, detail: stop.detail },
                    ParkReason::AttemptsExhausted => {
                        ReplayFailure::Interrupted { reached: stop.reached, detail: stop.detail }
                    }
                }),
            }
        })
    }
}

impl Tools {
    pub(crate) fn count_parked(&self, reason: ParkReason) {
        let reason = match reason {
            ParkReason::Poison => "poison",
            ParkReason::AttemptsExhausted => "attempts-exhausted",
        };
        self.metrics.record(Measurement {
            name: "EventsParked",
            unit: MetricUnit::Count,
            value: 1.0,
            dimensions: &[("consumer", crate::parking::CONSUMER), ("reason", reason)],
            at_ms: self.platform.unix_time().as_millis(),
        });
    }
}
