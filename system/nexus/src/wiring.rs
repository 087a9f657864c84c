//! Which crates stand behind which, on the production platform and real AWS.
//!
//! Read it beside `sim/world/src/wiring.rs` and `bus.rs`: the same crates, other ends.

use std::{sync::Arc, time::Duration};

use nexus_aws::{
    DynamoEventStorage, DynamoLeaseStore, DynamoOutbox, DynamoParkingLot, DynamoQuarantine, DynamoReadModel,
    DynamoStreamCatalogue, TableNames,
};
use nexus_aws_bus::{DynamoStreamFeed, KinesisFeed, KinesisStream, SnsTopic};
use nexus_aws_glue::GlueRegistry;
use nexus_command_service::{CommandService, CommandServiceSettings};
use nexus_dlq_processor::{DeadLetterSource, DlqProcessor, DlqSettings, EventClassifier};
use nexus_event_router::{RepairFromTable, Router, RouterSettings};
use nexus_event_store::{EventStore, EventStoreSettings};
use nexus_governance::{PolicyEnforcer, RegistryClient, RegistrySettings, SchemaGate, SchemaValidator};
use nexus_notification_service::{NotificationSettings, NotificationWorker};
use nexus_ports::{AggregateReplayer, EventRecord, FeedHandler, MetricSink, Platform, RecordFeed};
use nexus_query_dashboard::{DashboardSettings, Projection, ProjectionSettings};
use nexus_stream_worker::{StreamWorker, StreamWorkerSettings, unique_worker_id};

use crate::{
    arguments::{
        DlqProcessorArguments, NotifierEnds, ProjectionEnds, RegistryArguments, RouterEnds, TableArguments,
        WorkerArguments,
    },
    aws::{Aws, Service},
    failure::Failure,
};

/// What everything in one process is wired to.
pub(crate) struct Wiring {
    platform: Platform,
    aws: Aws,
    tables: TableNames,
    metrics: Arc<dyn MetricSink>,
}

impl Wiring {
    pub(crate) fn new(platform: &Platform, aws: Aws, tables: &TableArguments, metrics: Arc<dyn MetricSink>) -> Self {
        Self { platform: platform.clone(), aws, tables: tables.names(), metrics }
    }

    pub(crate) fn command_service(
        &self,
        enforcer: PolicyEnforcer,
        registry: &RegistryArguments,
    ) -> Result<CommandService, Failure> {
        let platform = || self.platform.clone();
        let store = EventStore::new(platform(), Arc::new(self.event_storage()), EventStoreSettings::default());
        let settings = CommandServiceSettings::default();
        Ok(CommandService::new(platform(), store, Arc::new(enforcer), self.schemas(registry)?, settings))
    }

    pub(crate) fn query_dashboard(&self) -> axum::Router {
        nexus_query_dashboard::router(self.platform.clone(), Arc::new(self.read_model()), DashboardSettings::default())
    }

    pub(crate) async fn event_router(&self, ends: &RouterEnds) -> Result<Router, Failure> {
        let topic_arn = self.aws.topic_arn(&self.platform, &ends.background_topic).await?;
        Ok(Router::new(
            self.platform.clone(),
            self.schemas(&ends.registry)?,
            Arc::new(KinesisStream::new(&self.platform, &self.aws.config(Service::Kinesis), &ends.core_stream)),
            Arc::new(SnsTopic::new(&self.platform, &self.aws.config(Service::Sns), topic_arn)),
            Arc::new(self.parking_lot()),
            Arc::new(self.event_storage()),
            self.metrics.clone(),
            RouterSettings::default(),
        ))
    }

    /// Reads the event table's change stream.
    pub(crate) async fn router_worker(&self, router: Router, worker: WorkerArguments) -> Result<StreamWorker, Failure> {
        let table = &self.tables.events;
        let feed = DynamoStreamFeed::new(&self.platform, &self.aws.config(Service::DynamodbStreams), table);
        self.check_feed(&feed, format!("the change stream of table `{table}`")).await?;
        let settings = StreamWorkerSettings::for_table_stream("router", unique_worker_id(&self.platform));
        let dynamodb = self.aws.config(Service::Dynamodb);
        let catalogue = DynamoStreamCatalogue::new(&self.platform, &dynamodb, &self.tables);
        let gaps = RepairFromTable::new(router.clone(), catalogue);
        let worker = self.stream_worker(Arc::new(feed), Arc::new(router), worker.apply(settings));
        Ok(worker.with_gap_listener(Arc::new(gaps)))
    }

    pub(crate) fn event_projection(&self) -> Projection {
        Projection::new(
            self.platform.clone(),
            Arc::new(self.read_model()),
            Arc::new(self.parking_lot()),
            Arc::new(self.event_storage()),
            self.metrics.clone(),
            ProjectionSettings::default(),
        )
    }

    /// Reads the core stream.
    pub(crate) async fn projection_worker(
        &self,
        ends: &ProjectionEnds,
        worker: WorkerArguments,
    ) -> Result<StreamWorker, Failure> {
        let stream = &ends.core_stream;
        let feed = KinesisFeed::new(&self.platform, &self.aws.config(Service::Kinesis), stream);
        self.check_feed(&feed, format!("stream `{stream}`")).await?;
        let settings = StreamWorkerSettings::for_kinesis("projection", unique_worker_id(&self.platform));
        Ok(self.stream_worker(Arc::new(feed), Arc::new(self.event_projection()), worker.apply(settings)))
    }

    fn stream_worker(
        &self,
        feed: Arc<dyn RecordFeed>,
        handler: Arc<dyn FeedHandler>,
        settings: StreamWorkerSettings,
    ) -> StreamWorker {
        let leases = DynamoLeaseStore::new(&self.platform, &self.aws.config(Service::Dynamodb), &self.tables);
        StreamWorker::new(self.platform.clone(), feed, Arc::new(leases), handler, self.metrics.clone(), settings)
    }

    /// A worker waits for a feed that does not answer; but one that is not there, or may not be read, is told at once.
    async fn check_feed(&self, feed: &dyn RecordFeed, what: String) -> Result<(), Failure> {
        use nexus_ports::FeedFailure;
        match feed.list_shards().await {
            Err(FeedFailure::NotFound { .. }) => Err(self.aws.missing(what)),
            Err(FeedFailure::Rejected(rejected)) => Err(Failure::Unreadable { what, reason: rejected.to_string() }),
            _ => Ok(()),
        }
    }

    pub(crate) async fn notification_worker(
        &self,
        ends: &NotifierEnds,
        batches_at_once: usize,
    ) -> Result<NotificationWorker, Failure> {
        let queue = self.aws.queue(&self.platform, &ends.notification_queue).await?;
        let outbox = DynamoOutbox::new(&self.platform, &self.aws.config(Service::Dynamodb), &self.tables);
        let visibility_seconds = ends.visibility_seconds;
        let settings = NotificationSettings {
            visibility_seconds,
            // Two of three may fail.
            heartbeat_every: Duration::from_secs(visibility_seconds.into()) / 3,
            batches_at_once,
            ..NotificationSettings::default()
        };
        let metrics = self.metrics.clone();
        Ok(NotificationWorker::new(self.platform.clone(), Arc::new(queue), Arc::new(outbox), metrics, settings))
    }

    pub(crate) async fn dlq_processor(&self, arguments: &DlqProcessorArguments) -> Result<DlqProcessor, Failure> {
        let settings = dlq_settings(arguments);
        let validator = SchemaValidator::from_catalogue()?;
        let check = move |event: &EventRecord| agrees_with_its_schema(&validator, event);
        let classify = Arc::new(EventClassifier::new(settings.redrives_max, check));
        let notifications = DeadLetterSource {
            name: "notifications".to_owned(),
            dead_letters: Arc::new(self.aws.queue(&self.platform, &arguments.notification_dead_letters).await?),
            home: Arc::new(self.aws.queue(&self.platform, &arguments.notification_queue).await?),
            classify: classify.clone(),
        };
        let background = DeadLetterSource {
            name: "background".to_owned(),
            dead_letters: Arc::new(self.aws.queue(&self.platform, &arguments.background_dead_letters).await?),
            home: Arc::new(self.aws.queue(&self.platform, &arguments.notification_queue).await?),
            classify,
        };
        let replayers: Vec<(String, Arc<dyn AggregateReplayer>)> = vec![
            ("router".to_owned(), Arc::new(self.event_router(&arguments.router).await?)),
            ("projection".to_owned(), Arc::new(self.event_projection())),
        ];
        Ok(DlqProcessor::new(
            self.platform.clone(),
            vec![notifications, background],
            Arc::new(self.parking_lot()),
            replayers,
            Arc::new(DynamoQuarantine::new(&self.platform, &self.aws.config(Service::Dynamodb), &self.tables)),
            self.metrics.clone(),
            settings,
        ))
    }

    /// What is built in, and the registry before it where one is named.
    fn schemas(&self, registry: &RegistryArguments) -> Result<SchemaGate, Failure> {
        match &registry.schema_registry {
            None => Ok(Arc::new(SchemaValidator::from_catalogue()?).into()),
            Some(name) => {
                let client = self.registry_client(name, RegistrySettings::default());
                Ok(SchemaGate::with_registry(nexus_schemas::all(), Arc::new(client))?)
            }
        }
    }

    pub(crate) fn registry_client(&self, name: &str, settings: RegistrySettings) -> RegistryClient {
        let registry = GlueRegistry::new(&self.platform, &self.aws.config(Service::Glue), name);
        RegistryClient::new(self.platform.clone(), Arc::new(registry), self.metrics.clone(), settings)
    }

    fn event_storage(&self) -> DynamoEventStorage {
        DynamoEventStorage::new(self.platform.clone(), &self.aws.config(Service::Dynamodb), self.tables.clone())
    }

    fn parking_lot(&self) -> DynamoParkingLot {
        DynamoParkingLot::new(&self.platform, &self.aws.config(Service::Dynamodb), &self.tables)
    }

    fn read_model(&self) -> DynamoReadModel {
        DynamoReadModel::new(&self.platform, &self.aws.config(Service::Dynamodb), &self.tables)
    }
}

fn dlq_settings(arguments: &DlqProcessorArguments) -> DlqSettings {
    let retention_ms = u64::from(arguments.dead_letter_retention_seconds) * 1_000;
    let default = DlqSettings::default();
    DlqSettings {
        redrives_max: arguments.redrives_max,
        redrives_per_second: arguments.redrives_per_second,
        run_every: Duration::from_secs(arguments.run_every_seconds.into()),
        retention_ms,
        // Of a short retention the last quarter, so that letters are redriven at all.
        rescue_before_ms: default.rescue_before_ms.min(retention_ms / 4),
        poison_retry_every: Duration::from_secs(arguments.poison_retry_seconds.into()),
        ..default
    }
}

fn agrees_with_its_schema(validator: &SchemaValidator, event: &EventRecord) -> Result<(), String> {
    let payload = serde_json::from_str(&event.payload).map_err(|error| format!("the payload is not JSON: {error}"))?;
    validator.validate(&event.event_type, event.schema_version, &payload).map_err(|rejection| rejection.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Subcommand};

    #[test]
    fn letters_are_rescued_a_day_before_their_end_or_in_the_last_quarter() {
        const DAY_MS: u64 = 24 * 3_600_000;
        for (retention_seconds, rescue_before_ms) in [(1_209_600, DAY_MS), (3_600, 900_000)] {
            let retention = format!("--dead-letter-retention-seconds={retention_seconds}");
            let arguments = ["nexus", "dlq-processor", "--redrives-max=4", "--run-every-seconds=9", &retention];
            let Subcommand::DlqProcessor(arguments) = Arguments::try_parse_from(arguments).unwrap().subcommand else {
                panic!("another program")
            };
            let settings = dlq_settings(&arguments);
            assert_eq!(settings.retention_ms, retention_seconds * 1_000);
            assert_eq!(settings.rescue_before_ms, rescue_before_ms);
            assert_eq!((settings.redrives_max, settings.run_every), (4, Duration::from_secs(9)));
        }
    }

    #[test]
    fn dead_letters_are_held_against_the_schemas() {
        let validator = SchemaValidator::from_catalogue().unwrap();
        let event = |payload: &str| EventRecord {
            stream: "order-o-1".parse().unwrap(),
            version: nexus_ports::Version(2),
            event_id: "event-2".to_owned(),
            event_type: "OrderCancelled".to_owned(),
            schema_version: 1,
            payload: payload.to_owned(),
            recorded_at_ms: 1,
            envelope: nexus_ports::EventEnvelope {
                command_id: "key".to_owned(),
                causation_id: "cause".to_owned(),
                correlation_id: "correlation".to_owned(),
                trace_context: None,
            },
            previous_hash: String::new(),
            hash: String::new(),
        };
        let judged = |payload: &str| agrees_with_its_schema(&validator, &event(payload));
        assert_eq!(judged(r#"{"order_id":"o-1","reason":"too late"}"#), Ok(()));
        assert!(judged(r#"{"order_id":"o-1"}"#).unwrap_err().contains("reason"));
        assert!(judged("no JSON").unwrap_err().contains("not JSON"));
    }
}
