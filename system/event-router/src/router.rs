//! The router as its hosts see it, and the calls that all its parts make.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nexus_governance::SchemaGate;
use nexus_ports::{
    BoxFuture, EventStorage, FeedHandler, MessageTopic, MetricSink, ParkedAggregate, ParkingLot, ParkingMoved,
    Platform, ReadConsistency, RecordStream, ShardHandler, StreamName, UnknownOutcome, Version, WriteFailure,
};

use crate::{
    RouterSettings,
    calls::{Answer, Batch, Call, Carried},
    examine::Examiner,
    notes::{Note, measure},
    remembered::{Remembered, Span},
    routing::{ROUTER_CONSUMER, Routing},
    shard::RouterShard,
};

/// Routes events of the change feed. Cheap to clone; clones share what they remember.
///
/// Whoever hosts it calls [`FeedHandler::begin_shard`] per shard with the checkpoint's memory (a Lambda function per
/// invocation with none), then `handle` again and again: until nothing is kept back, or until its time is nearly over. The
/// first record after `durable_through` is then the one that must come again.
#[derive(Clone)]
pub struct Router {
    pub(crate) shared: Arc<Shared>,
}

/// What all shards' handlers have in common.
pub(crate) struct Shared {
    pub platform: Platform,
    pub settings: RouterSettings,
    pub examiner: Examiner,
    pub events: Arc<dyn EventStorage>,
    pub parking: Arc<dyn ParkingLot>,
    stream: Arc<dyn RecordStream>,
    topic: Arc<dyn MessageTopic>,
    metrics: Arc<dyn MetricSink>,
    remembered: Mutex<Remembered>,
}

impl Router {
    /// All ports attempt once per call and retry nothing. `schemas` is a validator where the built-in schemas are all that
    /// counts, or a gate that asks the schema registry as well.
    #[allow(clippy::too_many_arguments, reason = "one of each port; a bag for them would only rename the list")]
    pub fn new(
        platform: Platform,
        schemas: impl Into<SchemaGate>,
        stream: Arc<dyn RecordStream>,
        topic: Arc<dyn MessageTopic>,
        parking: Arc<dyn ParkingLot>,
        events: Arc<dyn EventStorage>,
        metrics: Arc<dyn MetricSink>,
        settings: RouterSettings,
    ) -> Self {
        let examiner = Examiner::new(schemas.into(), &settings);
        let remembered = Mutex::new(Remembered::new(settings.aggregates_remembered));
        let shared = Shared { platform, settings, examiner, events, parking, stream, topic, metrics, remembered };
        Self { shared: Arc::new(shared) }
    }
}

impl FeedHandler for Router {
    fn begin_shard(&self, _shard: &str, _epoch: u64, memory: &str) -> Box<dyn ShardHandler> {
        let platform = self.shared.platform.clone();
        let jitter = Box::new(move |purpose, key: &str| platform.random_fraction(purpose, key));
        let routing = Routing::new(self.shared.settings.clone(), self.shared.examiner.clone(), jitter, memory);
        Box::new(RouterShard::new(self.shared.clone(), routing))
    }
}

impl Shared {
    pub fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn learn(&self, learned: impl IntoIterator<Item = (StreamName, Span)>) {
        let mut remembered = self.remembered();
        for (stream, span) in learned {
            remembered.keep(&stream, span);
        }
    }

    pub fn count(&self, notes: &[Note]) {
        let now = self.platform.unix_time();
        for note in notes {
            measure(&*self.metrics, now, note);
        }
    }

    /// Makes the call, once.
    pub fn perform(self: &Arc<Self>, call: Call) -> BoxFuture<'static, Answer> {
        let shared = self.clone();
        Box::pin(async move {
            match call {
                Call::Put { carried, batch } => shared.put(carried, batch).await,
                Call::ListParked => {
                    Answer::ParkedList(shared.in_time(shared.parking.list(ROUTER_CONSUMER)).await.unwrap_or_else(lost))
                }
                Call::Park(parked) => shared.write_parked(None, parked).await,
                Call::Raise { expected_counter, raised } => shared.write_parked(Some(expected_counter), raised).await,
                Call::ReadParked { key } => {
                    let read = shared.in_time(shared.parking.read(ROUTER_CONSUMER, &key)).await;
                    Answer::ParkedRead { outcome: read.unwrap_or_else(lost), key }
                }
                Call::AskSchema(shape) => {
                    let outcome = shared.examiner.gate.clear(&shape.event_type, shape.schema_version).await;
                    Answer::Schema { shape, outcome }
                }
                Call::ReadEvents { stream, after } => {
                    let outcome = shared.read_events(&stream, after).await;
                    Answer::Events { stream, outcome }
                }
            }
        })
    }

    pub async fn read_events(
        &self,
        stream: &StreamName,
        after: Version,
    ) -> Result<nexus_ports::EventPage, nexus_ports::ReadFailure> {
        self.in_time(self.events.read_events(stream, after, ReadConsistency::Strong)).await.unwrap_or_else(lost)
    }

    pub async fn put(&self, carried: Vec<Carried>, batch: Batch) -> Answer {
        let destination = batch.destination();
        let outcome = match batch {
            Batch::Stream(entries) => {
                let put = self.in_time(self.stream.put(&entries)).await.unwrap_or_else(lost);
                put.map(|outcomes| outcomes.into_iter().map(|outcome| outcome.map(drop)).collect())
            }
            Batch::Topic(messages) => self.in_time(self.topic.publish(&messages)).await.unwrap_or_else(lost),
        };
        Answer::Put { destination, carried, outcome }
    }

    async fn write_parked(&self, expected_counter: Option<u64>, written: Box<ParkedAggregate>) -> Answer {
        let outcome = self.park(expected_counter, &written).await;
        Answer::ParkingWritten { written, outcome }
    }

    /// Writes an entry of the parking lot: a new one, or in place of the one with this counter.
    pub async fn park(
        &self,
        expected_counter: Option<u64>,
        entry: &ParkedAggregate,
    ) -> Result<(), WriteFailure<ParkingMoved>> {
        let write = match expected_counter {
            None => self.parking.park(entry),
            Some(counter) => self.parking.replace(counter, entry),
        };
        self.in_time(write).await.unwrap_or_else(|unknown| Err(WriteFailure::Unknown(unknown)))
    }

    /// A call without an answer in time has an unknown outcome: it may still take effect.
    pub async fn in_time<T>(&self, call: impl Future<Output = T> + Send) -> Result<T, UnknownOutcome> {
        let within = self.settings.call_timeout;
        self.platform.timeout(within, call).await.map_err(|late| UnknownOutcome { reason: late.to_string() })
    }
}

pub(crate) fn lost<T, F: From<UnknownOutcome>>(unknown: UnknownOutcome) -> Result<T, F> {
    Err(F::from(unknown))
}
