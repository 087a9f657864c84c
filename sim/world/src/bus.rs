//! What runs behind the event table, on simulated hosts: the same crates as in production, as workers or as functions.
//! Read it beside `system/nexus/src/wiring.rs`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_aws::{
    AwsConfig, DynamoEventStorage, DynamoLeaseStore, DynamoOutbox, DynamoParkingLot, DynamoQuarantine, DynamoReadModel,
    DynamoStreamCatalogue, TableNames,
};
use nexus_aws_bus::{DynamoStreamFeed, KinesisFeed, KinesisStream, SnsTopic, SqsQueue};
use nexus_cloud::{Cloud, Service, UnixNanos, service::ServiceError};
use nexus_dlq_processor::{DeadLetterSource, DlqProcessor, DlqSettings, EventClassifier};
use nexus_engine::{Compute, Program, SlownessHandle};
use nexus_event_router::{RepairFromTable, Router, RouterSettings};
use nexus_governance::{SchemaGate, SchemaValidator};
use nexus_lambda_runtime::{FeedFunction, LambdaFunction, LambdaRuntime, QueueFunction};
use nexus_notification_service::{NotificationSettings, NotificationWorker};
use nexus_ports::{
    AggregateReplayer, Authority, BoxFuture, EventRecord, FeedHandler, FeedRecord, Handled, LeaseStore, MetricSink,
    Platform, QueueBatchHandler, QueueMessage, RecordFeed, ShardHandler,
};
use nexus_query_dashboard::{Projection, ProjectionSettings};
use nexus_schemas::SchemaDocument;
use nexus_stream_worker::{StreamWorker, StreamWorkerSettings, unique_worker_id};
use serde_json::json;

use crate::{
    AWS_PORT,
    costly_queue::CostlyQueue,
    endpoint_name,
    meters::Meters,
    registry::{self, AskedRegistry},
    runtime_api_name,
    wiring::aws_config_for,
};

pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "us-east-1";
/// Names of what the bus is made of.
pub const CORE_STREAM: &str = "nexus-core";
pub const BACKGROUND_TOPIC: &str = "nexus-background";
pub const NOTIFICATION_QUEUE: &str = "nexus-notifications";
pub const NOTIFICATION_DEAD_LETTERS: &str = "nexus-notifications-dlq";
/// Where the topic puts what the notification queue does not take.
pub const BACKGROUND_DEAD_LETTERS: &str = "nexus-background-dlq";
/// Names of the functions, where the bus is hosted as such.
pub const FUNCTIONS: [&str; 3] = [ROUTER_FUNCTION, PROJECTION_FUNCTION, NOTIFICATION_FUNCTION];
const ROUTER_FUNCTION: &str = "event-router";
const PROJECTION_FUNCTION: &str = "projection";
const NOTIFICATION_FUNCTION: &str = "notifications";
/// A message that was received more often goes to the dead letters.
pub const RECEIVES_MAX: u32 = 5;

/// What a scenario says about the bus.
#[derive(Clone, Debug)]
pub struct BusSettings {
    pub connect_timeout: Duration,
    pub attempt_timeout: Duration,
    /// Computing time of one record.
    pub service_time: Duration,
    pub lease_duration: Duration,
    pub visibility_s: u32,
    /// The longest pause before a notification that failed is tried again.
    pub redelivery_max_s: u32,
    pub core_shards: u32,
    pub dead_letter_retention_s: u32,
    /// The dead letters are left alone until this long after the processor's first start.
    pub redrive_after: Duration,
    pub hosted_as_functions: bool,
    /// The schema registry, where routers ask it before they route.
    pub registry: Option<AskedRegistry>,
    /// Records or messages asked for at once, at most; 0: the services' own bounds.
    pub batch_max: u32,
}

impl BusSettings {
    /// The service's own bound, or the scenario's.
    fn bounded(&self, own: usize) -> usize {
        if self.batch_max == 0 { own } else { own.min(self.batch_max as usize) }
    }

    fn aws(&self, service: Service) -> AwsConfig {
        aws_config_for(service, self.connect_timeout, self.attempt_timeout)
    }
}

/// Which release runs on which host: a host without an entry runs the current one.
#[derive(Clone, Debug, Default)]
pub struct Releases {
    unknown_event_types: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

impl Releases {
    /// From its next start the host knows no schema of these event types.
    pub fn install(&self, host: &str, unknown_event_types: Vec<String>) {
        let mut installed = self.unknown_event_types.lock().unwrap_or_else(PoisonError::into_inner);
        installed.insert(host.to_owned(), unknown_event_types);
    }

    /// The schemas that the host's release knows.
    fn documents(&self, host: &str) -> Vec<SchemaDocument> {
        let installed = self.unknown_event_types.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = installed.get(host).map(Vec::as_slice).unwrap_or_default();
        let is_known = |document: &&SchemaDocument| !unknown.iter().any(|unknown| unknown == document.event_type);
        nexus_schemas::all().iter().filter(is_known).copied().collect()
    }
}

/// One host that routes events.
pub fn router(settings: &BusSettings, releases: &Releases, meters: &Meters, slowness: SlownessHandle) -> Program {
    let (settings, releases, meters) = (settings.clone(), releases.clone(), meters.clone());
    Arc::new(move |platform, _start_count| {
        let (settings, releases, slowness) = (settings.clone(), releases.clone(), slowness.clone());
        let metrics = meters.of_host(&platform.host);
        Box::pin(async move {
            let schemas = registry::gate(&platform, settings.registry.as_ref(), &releases.documents(&platform.host))?;
            let router = event_router(&platform, &settings, schemas, metrics.clone());
            let catalogue =
                DynamoStreamCatalogue::new(&platform, &settings.aws(Service::Dynamodb), &TableNames::default());
            let handler = costing_time(&platform, &settings, slowness, Arc::new(router.clone()));
            if settings.hosted_as_functions {
                return run_function(&platform, ROUTER_FUNCTION, feed_function(&platform, handler)).await;
            }
            let feed =
                DynamoStreamFeed::new(&platform, &settings.aws(Service::DynamodbStreams), TableNames::default().events);
            let worker_settings = StreamWorkerSettings {
                lease_duration: settings.lease_duration,
                renew_every: settings.lease_duration / 3,
                lease_margin: settings.lease_duration / 10,
                ..StreamWorkerSettings::for_table_stream("router", unique_worker_id(&platform))
            };
            let gaps = RepairFromTable::new(router, catalogue);
            stream_worker(&platform, &settings, Arc::new(feed), handler, metrics, worker_settings)
                .with_gap_listener(Arc::new(gaps))
                .run()
                .await;
            Ok(())
        })
    })
}

fn event_router(
    platform: &Platform,
    settings: &BusSettings,
    schemas: SchemaGate,
    metrics: Arc<dyn MetricSink>,
) -> Router {
    let dynamodb = settings.aws(Service::Dynamodb);
    Router::new(
        platform.clone(),
        schemas,
        Arc::new(KinesisStream::new(platform, &settings.aws(Service::Kinesis), CORE_STREAM)),
        Arc::new(SnsTopic::new(platform, &settings.aws(Service::Sns), topic_arn())),
        Arc::new(DynamoParkingLot::new(platform, &dynamodb, &TableNames::default())),
        Arc::new(DynamoEventStorage::new(platform.clone(), &dynamodb, TableNames::default())),
        metrics,
        RouterSettings { call_timeout: settings.attempt_timeout, ..RouterSettings::default() },
    )
}

/// One host that projects the core stream onto views.
pub fn projection(settings: &BusSettings, meters: &Meters, slowness: SlownessHandle) -> Program {
    let (settings, meters) = (settings.clone(), meters.clone());
    Arc::new(move |platform, _start_count| {
        let (settings, slowness) = (settings.clone(), slowness.clone());
        let metrics = meters.of_host(&platform.host);
        Box::pin(async move {
            let projection = event_projection(&platform, &settings, metrics.clone());
            let handler = costing_time(&platform, &settings, slowness, Arc::new(projection));
            if settings.hosted_as_functions {
                return run_function(&platform, PROJECTION_FUNCTION, feed_function(&platform, handler)).await;
            }
            let feed = KinesisFeed::new(&platform, &settings.aws(Service::Kinesis), CORE_STREAM);
            let worker_settings = StreamWorkerSettings {
                lease_duration: settings.lease_duration,
                renew_every: settings.lease_duration / 3,
                lease_margin: settings.lease_duration / 10,
                ..StreamWorkerSettings::for_kinesis("projection", unique_worker_id(&platform))
            };
            stream_worker(&platform, &settings, Arc::new(feed), handler, metrics, worker_settings).run().await;
            Ok(())
        })
    })
}

fn event_projection(platform: &Platform, settings: &BusSettings, metrics: Arc<dyn MetricSink>) -> Projection {
    let dynamodb = settings.aws(Service::Dynamodb);
    Projection::new(
        platform.clone(),
        Arc::new(DynamoReadModel::new(platform, &dynamodb, &TableNames::default())),
        Arc::new(DynamoParkingLot::new(platform, &dynamodb, &TableNames::default())),
        Arc::new(DynamoEventStorage::new(platform.clone(), &dynamodb, TableNames::default())),
        metrics,
        ProjectionSettings { call_timeout: settings.attempt_timeout, ..ProjectionSettings::default() },
    )
}

fn stream_worker(
    platform: &Platform,
    settings: &BusSettings,
    feed: Arc<dyn RecordFeed>,
    handler: Arc<dyn FeedHandler>,
    metrics: Arc<dyn MetricSink>,
    worker_settings: StreamWorkerSettings,
) -> StreamWorker {
    let read_limit = settings.bounded(worker_settings.read_limit);
    let worker_settings = StreamWorkerSettings { read_limit, ..worker_settings };
    let leases: Arc<dyn LeaseStore> =
        Arc::new(DynamoLeaseStore::new(platform, &settings.aws(Service::Dynamodb), &TableNames::default()));
    StreamWorker::new(platform.clone(), feed, leases, handler, metrics, worker_settings)
}

/// One host that works off the notification queue.
pub fn notifier(settings: &BusSettings, meters: &Meters, slowness: SlownessHandle) -> Program {
    let (settings, meters) = (settings.clone(), meters.clone());
    Arc::new(move |platform, _start_count| {
        let (settings, slowness) = (settings.clone(), slowness.clone());
        let metrics = meters.of_host(&platform.host);
        Box::pin(async move {
            let outbox = DynamoOutbox::new(&platform, &settings.aws(Service::Dynamodb), &TableNames::default());
            let compute = Arc::new(Compute::new(platform.clone(), 1, slowness));
            let worker = NotificationWorker::new(
                platform.clone(),
                Arc::new(costly_queue(&platform, &settings, &compute, NOTIFICATION_QUEUE)),
                Arc::new(outbox),
                metrics,
                NotificationSettings {
                    visibility_seconds: settings.visibility_s,
                    redelivery_seconds_max: settings.redelivery_max_s,
                    batch_max: settings.bounded(NotificationSettings::default().batch_max as usize) as u32,
                    ..NotificationSettings::default()
                },
            );
            if settings.hosted_as_functions {
                let handler = Arc::new(CostlyBatches { worker, compute, cost: settings.service_time });
                return run_function(&platform, NOTIFICATION_FUNCTION, Arc::new(QueueFunction::new(handler))).await;
            }
            worker.run().await;
            Ok(())
        })
    })
}

/// One host that works off dead letters and releases parked aggregates.
pub fn dlq_processor(settings: &BusSettings, meters: &Meters, slowness: SlownessHandle) -> Program {
    let (settings, meters) = (settings.clone(), meters.clone());
    Arc::new(move |platform, _start_count| {
        let (settings, slowness) = (settings.clone(), slowness.clone());
        let metrics = meters.of_host(&platform.host);
        Box::pin(async move {
            let compute = Arc::new(Compute::new(platform.clone(), 1, slowness));
            let dynamodb = settings.aws(Service::Dynamodb);
            let validator = Arc::new(SchemaValidator::from_catalogue()?);
            let dlq_settings = dlq_settings(&settings);
            let check = move |event: &EventRecord| agrees_with_its_schema(&validator, event);
            let home = Arc::new(queue(&platform, &settings, NOTIFICATION_QUEUE));
            let classify = Arc::new(EventClassifier::new(dlq_settings.redrives_max, check));
            let source = |name: &str| DeadLetterSource {
                name: name.to_owned(),
                dead_letters: Arc::new(costly_queue(&platform, &settings, &compute, name)),
                home: home.clone(),
                classify: classify.clone(),
            };
            let sources = vec![source(NOTIFICATION_DEAD_LETTERS), source(BACKGROUND_DEAD_LETTERS)];
            let schemas = registry::gate(&platform, settings.registry.as_ref(), nexus_schemas::all())?;
            let router = event_router(&platform, &settings, schemas, metrics.clone());
            let replayers: Vec<(String, Arc<dyn AggregateReplayer>)> = vec![
                ("router".to_owned(), Arc::new(router)),
                ("projection".to_owned(), Arc::new(event_projection(&platform, &settings, metrics.clone()))),
            ];
            let processor = DlqProcessor::new(
                platform.clone(),
                sources,
                Arc::new(DynamoParkingLot::new(&platform, &dynamodb, &TableNames::default())),
                replayers,
                Arc::new(DynamoQuarantine::new(&platform, &dynamodb, &TableNames::default())),
                metrics,
                dlq_settings,
            );
            platform.sleep(settings.redrive_after).await;
            processor.run_until(std::future::pending()).await;
            Ok(())
        })
    })
}

/// The processor's patience, shortened to the length of a trial.
fn dlq_settings(settings: &BusSettings) -> DlqSettings {
    let retention_ms = u64::from(settings.dead_letter_retention_s) * 1_000;
    DlqSettings {
        retention_ms,
        rescue_before_ms: (retention_ms / 4).min(24 * 3_600_000),
        run_every: Duration::from_secs(2),
        redrive_pause: Duration::from_secs(2),
        visibility_seconds: 20,
        release_backoff_base: Duration::from_millis(500),
        release_backoff_max: Duration::from_secs(5),
        poison_retry_every: Duration::from_secs(8),
        call_timeout: settings.attempt_timeout,
        ..DlqSettings::default()
    }
}

fn agrees_with_its_schema(validator: &SchemaValidator, event: &EventRecord) -> Result<(), String> {
    let payload = serde_json::from_str(&event.payload).map_err(|error| format!("the payload is not JSON: {error}"))?;
    validator.validate(&event.event_type, event.schema_version, &payload).map_err(|rejection| rejection.to_string())
}

fn queue(platform: &Platform, settings: &BusSettings, name: &str) -> SqsQueue {
    SqsQueue::new(platform, &settings.aws(Service::Sqs), queue_url(name))
}

fn costly_queue(
    platform: &Platform,
    settings: &BusSettings,
    compute: &Arc<Compute>,
    name: &str,
) -> CostlyQueue<SqsQueue> {
    CostlyQueue { queue: queue(platform, settings, name), compute: compute.clone(), cost: settings.service_time }
}

pub fn queue_url(name: &str) -> String {
    format!("http://{}/{ACCOUNT}/{name}", endpoint_name(Service::Sqs, REGION))
}

pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

fn topic_arn() -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{BACKGROUND_TOPIC}")
}

fn feed_function(platform: &Platform, handler: Arc<dyn FeedHandler>) -> Arc<dyn LambdaFunction> {
    Arc::new(FeedFunction::new(platform.clone(), handler, Duration::from_millis(500)))
}

/// Answers invocations for ever, as the execution environment of a function does.
async fn run_function(
    platform: &Platform,
    name: &str,
    function: Arc<dyn LambdaFunction>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let runtime_api = Authority { host: runtime_api_name(name, REGION), port: AWS_PORT, tls: false };
    LambdaRuntime::new(platform.clone(), runtime_api, function).run().await?;
    Ok(())
}

/// Lets every record cost its host computing time before the handler sees it.
struct CostlyRecords {
    inner: Arc<dyn FeedHandler>,
    compute: Arc<Compute>,
    cost: Duration,
}

struct CostlyShard {
    inner: Box<dyn ShardHandler>,
    compute: Arc<Compute>,
    cost: Duration,
}

fn costing_time(
    platform: &Platform,
    settings: &BusSettings,
    slowness: SlownessHandle,
    inner: Arc<dyn FeedHandler>,
) -> Arc<dyn FeedHandler> {
    let compute = Arc::new(Compute::new(platform.clone(), 1, slowness));
    Arc::new(CostlyRecords { inner, compute, cost: settings.service_time })
}

impl FeedHandler for CostlyRecords {
    fn begin_shard(&self, shard: &str, epoch: u64, memory: &str) -> Box<dyn ShardHandler> {
        let inner = self.inner.begin_shard(shard, epoch, memory);
        Box::new(CostlyShard { inner, compute: self.compute.clone(), cost: self.cost })
    }
}

impl ShardHandler for CostlyShard {
    fn handle(&mut self, records: Vec<FeedRecord>) -> BoxFuture<'_, Handled> {
        let cost = self.cost * u32::try_from(records.len()).unwrap_or(u32::MAX);
        Box::pin(async move {
            if !cost.is_zero() {
                self.compute.work(cost).await;
            }
            self.inner.handle(records).await
        })
    }
}

/// The same for messages of a queue that come as invocations.
struct CostlyBatches {
    worker: NotificationWorker,
    compute: Arc<Compute>,
    cost: Duration,
}

impl QueueBatchHandler for CostlyBatches {
    fn handle_batch<'a>(&'a self, messages: Vec<QueueMessage>) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async move {
            self.compute.work(self.cost * u32::try_from(messages.len()).unwrap_or(u32::MAX)).await;
            self.worker.handle_batch(messages).await
        })
    }
}

/// Makes stream, topic and queues as `nexus provision` does, and for functions their mappings.
///
/// # Errors
/// What the simulated AWS refuses.
pub fn set_up(cloud: &mut Cloud, now: UnixNanos, settings: &BusSettings) -> Result<(), ServiceError> {
    let mut call = |service, operation: &str, request| cloud.call_now(now, service, operation, request).map(|_| ());
    call(Service::Kinesis, "CreateStream", json!({"StreamName": CORE_STREAM, "ShardCount": settings.core_shards}))?;
    let retention = json!({"MessageRetentionPeriod": settings.dead_letter_retention_s.to_string()});
    for name in [NOTIFICATION_DEAD_LETTERS, BACKGROUND_DEAD_LETTERS] {
        call(Service::Sqs, "CreateQueue", json!({"QueueName": name, "Attributes": retention}))?;
    }
    let redrive = json!({
        "deadLetterTargetArn": queue_arn(NOTIFICATION_DEAD_LETTERS),
        "maxReceiveCount": RECEIVES_MAX,
    });
    let attributes = json!({
        "VisibilityTimeout": settings.visibility_s.to_string(),
        "RedrivePolicy": redrive.to_string(),
    });
    call(Service::Sqs, "CreateQueue", json!({"QueueName": NOTIFICATION_QUEUE, "Attributes": attributes}))?;
    call(Service::Sns, "CreateTopic", json!({"Name": BACKGROUND_TOPIC}))?;
    let undelivered = json!({"deadLetterTargetArn": queue_arn(BACKGROUND_DEAD_LETTERS)});
    call(
        Service::Sns,
        "Subscribe",
        json!({
            "TopicArn": topic_arn(),
            "Protocol": "sqs",
            "Endpoint": queue_arn(NOTIFICATION_QUEUE),
            "Attributes": {"RawMessageDelivery": "true", "RedrivePolicy": undelivered.to_string()},
        }),
    )?;
    if settings.hosted_as_functions { set_up_functions(cloud, now, settings) } else { Ok(()) }
}

/// Functions and the mappings that feed them: shards in order with partial answers, the queue in batches.
fn set_up_functions(cloud: &mut Cloud, now: UnixNanos, settings: &BusSettings) -> Result<(), ServiceError> {
    let table =
        cloud.call_now(now, Service::Dynamodb, "DescribeTable", json!({"TableName": TableNames::default().events}))?;
    let timeout_s = settings.visibility_s.min(10);
    for name in FUNCTIONS {
        let function = json!({"FunctionName": name, "Timeout": timeout_s, "MemorySize": 256});
        cloud.call_now(now, Service::Lambda, "CreateFunction", function)?;
    }
    let core_stream = format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{CORE_STREAM}");
    let feeds =
        [(ROUTER_FUNCTION, table["Table"]["LatestStreamArn"].clone()), (PROJECTION_FUNCTION, json!(core_stream))];
    for (function, source) in feeds {
        let mapping = json!({
            "FunctionName": function,
            "EventSourceArn": source,
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 100,
            "BisectBatchOnFunctionError": true,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        cloud.call_now(now, Service::Lambda, "CreateEventSourceMapping", mapping)?;
    }
    let mapping = json!({
        "FunctionName": NOTIFICATION_FUNCTION,
        "EventSourceArn": queue_arn(NOTIFICATION_QUEUE),
        "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    });
    cloud.call_now(now, Service::Lambda, "CreateEventSourceMapping", mapping).map(|_| ())
}
