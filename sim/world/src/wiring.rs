//! What runs on hosts of the write side: read it beside `system/nexus/src/wiring.rs`, which wires the same crates to real
//! AWS. What runs behind the event table is in `bus.rs`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_aws::{AwsConfig, DynamoEventStorage, TableNames};
use nexus_cloud::{Cloud, Service, UnixNanos, service::ServiceError};
use nexus_command_service::{CommandService, CommandServiceSettings as ServiceSettings, router, serve};
use nexus_engine::{Compute, Program, SlownessHandle};
use nexus_event_store::{EventStore, EventStoreSettings};
use nexus_governance::{HashedPolicyBundle, PolicyEnforcer, ReloadRefused, Reloaded};
use nexus_ports::Platform;
use serde_json::json;

use crate::{
    endpoint_name,
    registry::{self, AskedRegistry},
};

/// Where the command service listens.
pub const COMMAND_SERVICE_PORT: u16 = 8080;
const REGION: &str = "us-east-1";

/// What a scenario may say about a host that runs the command service.
#[derive(Clone, Debug)]
pub struct CommandServiceSettings {
    pub connect_timeout: Duration,
    /// Bound on one attempt of one AWS call.
    pub attempt_timeout: Duration,
    pub request_deadline: Duration,
    /// How many requests the host computes at once.
    pub servers: usize,
    /// How long one request keeps a server busy.
    pub service_time: Duration,
    /// The schema registry, where it is asked before anything is stored.
    pub registry: Option<AskedRegistry>,
}

/// Names of the system's tables.
pub fn table_names() -> Vec<String> {
    let TableNames { events, idempotency, leases, views, outbox, parked, quarantine } = TableNames::default();
    vec![events, idempotency, leases, views, outbox, parked, quarantine]
}

/// The system's tables as CreateTable requests.
pub fn table_definitions() -> Vec<serde_json::Value> {
    nexus_aws::table_definitions(&TableNames::default())
}

/// Makes the tables, the event table under the policy that a deployment gives it.
///
/// # Errors
/// What the simulated AWS refuses.
pub fn set_up(cloud: &mut Cloud, now: UnixNanos) -> Result<(), ServiceError> {
    for table in table_definitions() {
        cloud.call_now(now, Service::Dynamodb, "CreateTable", table)?;
    }
    let events = TableNames::default().events;
    let described = cloud.call_now(now, Service::Dynamodb, "DescribeTable", json!({"TableName": events}))?;
    let arn = described["Table"]["TableArn"].as_str().unwrap_or_default();
    let policy = json!({"ResourceArn": arn, "Policy": nexus_aws::events_policy(arn).to_string()});
    cloud.call_now(now, Service::Dynamodb, "PutResourcePolicy", policy).map(drop)
}

/// The policies in force in each running host, for whoever replaces them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Enforcers {
    by_host: Arc<Mutex<BTreeMap<String, Arc<PolicyEnforcer>>>>,
}

impl Enforcers {
    /// A host that starts anew has what its release ships.
    fn started(&self, host: &str, enforcer: Arc<PolicyEnforcer>) {
        self.by_host.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), enforcer);
    }

    /// Hands the bundle to every host that ever started, in the order of their names; what became of it in each.
    pub fn reload(&self, bundle: &HashedPolicyBundle) -> Vec<Result<Reloaded, ReloadRefused>> {
        let by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        by_host.values().map(|enforcer| enforcer.reload(bundle.clone())).collect()
    }
}

/// One host of the command service: the crates that ship, under a queue for the host's computing time.
pub fn command_service(settings: &CommandServiceSettings, enforcers: &Enforcers, slowness: SlownessHandle) -> Program {
    let (settings, enforcers) = (settings.clone(), enforcers.clone());
    Arc::new(move |platform, _start_count| {
        let (settings, enforcers) = (settings.clone(), enforcers.clone());
        let slowness = slowness.clone();
        Box::pin(async move {
            let compute = Arc::new(Compute::new(platform.clone(), settings.servers, slowness));
            let enforcer = Arc::new(PolicyEnforcer::from_catalogue()?);
            enforcers.started(&platform.host, enforcer.clone());
            let service = router(Arc::new(assemble(&platform, &settings, enforcer)?));
            let service = costing_time(service, compute, settings.service_time);
            serve(platform, COMMAND_SERVICE_PORT, service).await?;
            Ok(())
        })
    })
}

/// The real wiring, with simulated ends: the same clients, store, policies and schemas as in production.
fn assemble(
    platform: &Platform,
    settings: &CommandServiceSettings,
    enforcer: Arc<PolicyEnforcer>,
) -> Result<CommandService, Box<dyn std::error::Error + Send + Sync>> {
    let storage = DynamoEventStorage::new(platform.clone(), &aws_config(settings), TableNames::default());
    let store = EventStore::new(platform.clone(), Arc::new(storage), EventStoreSettings::default());
    let schemas = registry::gate(platform, settings.registry.as_ref(), nexus_schemas::all())?;
    let service_settings =
        ServiceSettings { request_deadline: settings.request_deadline, ..ServiceSettings::default() };
    Ok(CommandService::new(platform.clone(), store, enforcer, schemas, service_settings))
}

/// The system's own storage client as a host would hold it, with default patience: for benchmarks and tests.
pub fn storage(platform: &Platform) -> DynamoEventStorage {
    DynamoEventStorage::new(platform.clone(), &default_aws_config(), TableNames::default())
}

/// How a host with default patience reaches the simulated AWS.
pub fn default_aws_config() -> AwsConfig {
    let default = AwsConfig::new(REGION, nexus_aws::static_credentials("AKIDSIMULATED", "simulated-secret", None));
    let settings = CommandServiceSettings {
        connect_timeout: default.connect_timeout,
        attempt_timeout: default.attempt_timeout,
        request_deadline: default.operation_timeout,
        servers: 1,
        service_time: Duration::ZERO,
        registry: None,
    };
    aws_config(&settings)
}

fn aws_config(settings: &CommandServiceSettings) -> AwsConfig {
    aws_config_for(Service::Dynamodb, settings.connect_timeout, settings.attempt_timeout)
}

/// How a host reaches one endpoint of the simulated AWS.
pub(crate) fn aws_config_for(service: Service, connect_timeout: Duration, attempt_timeout: Duration) -> AwsConfig {
    let credentials = nexus_aws::static_credentials("AKIDSIMULATED", "simulated-secret", None);
    let endpoint = endpoint_name(service, REGION);
    let mut config = AwsConfig::new(REGION, credentials).with_endpoint_url(format!("http://{endpoint}"));
    config.connect_timeout = connect_timeout;
    config.attempt_timeout = attempt_timeout;
    // One attempt per SDK call: the operation's bound only has to be a little longer.
    config.operation_timeout = attempt_timeout + attempt_timeout / 4;
    config
}

/// Lets every request cost the host computing time before it is looked at, so that queueing and overload exist.
fn costing_time(service: axum::Router, compute: Arc<Compute>, cost: Duration) -> axum::Router {
    service.layer(axum::middleware::from_fn(move |request, next: axum::middleware::Next| {
        let compute = compute.clone();
        async move {
            compute.work(cost).await;
            next.run(request).await
        }
    }))
}
