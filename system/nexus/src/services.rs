//! The programs: each from its arguments to its orderly end.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use nexus_governance::{ProvisionedSchema, RegistrySettings, SchemaProvisioning, provision_schemas};
use nexus_platform::ProductionPlatform;
use nexus_ports::{Acceptor, NoMetrics, Platform};

use crate::{
    arguments::{
        AwsArguments, CommandServiceArguments, DlqProcessorArguments, EventRouterArguments, ListenArguments,
        NotifierArguments, ProjectionArguments, ProvisionArguments, QueryDashboardArguments, TableArguments,
    },
    aws::{Aws, Service},
    failure::Failure,
    metrics::Metrics,
    policies,
    stop::{StopRequests, work_until_stopped},
    wiring::Wiring,
};

/// How long requests under way may take after a request to stop: a little more than their deadline.
const REQUEST_GRACE: Duration = Duration::from_secs(12);
/// The same for workers, which themselves wait ten seconds for what is under way and then write their last checkpoints.
/// Container runtimes must be told to wait longer than that: many kill after ten seconds.
const WORKER_GRACE: Duration = Duration::from_secs(25);

pub(crate) async fn command_service(arguments: CommandServiceArguments) -> Result<(), Failure> {
    let platform = listening_platform("command-service", &arguments.listen);
    let metrics = Metrics::new(&platform, "command-service");
    let wiring = wiring(&platform, &arguments.aws, &arguments.tables, &metrics)?;
    let enforcer = policies::enforcer(arguments.policies.as_deref()).await?;
    let service = wiring.command_service(enforcer, &arguments.registry)?;
    let router = nexus_command_service::router(Arc::new(service));
    let mut requests = StopRequests::listen()?;
    let acceptor = listen(&platform, &arguments.listen).await?;
    let _flush = metrics.start_flushing();
    nexus_command_service::serve_until(platform, acceptor, router, async { requests.next().await }, REQUEST_GRACE)
        .await;
    Ok(())
}

pub(crate) async fn query_dashboard(arguments: QueryDashboardArguments) -> Result<(), Failure> {
    let platform = listening_platform("query-dashboard", &arguments.listen);
    let wiring = Wiring::new(&platform, Aws::new(&arguments.aws)?, &arguments.tables, Arc::new(NoMetrics));
    let router = wiring.query_dashboard();
    let mut requests = StopRequests::listen()?;
    let acceptor = listen(&platform, &arguments.listen).await?;
    nexus_query_dashboard::serve_until(platform, acceptor, router, async { requests.next().await }, REQUEST_GRACE)
        .await;
    Ok(())
}

pub(crate) async fn event_router(arguments: EventRouterArguments) -> Result<(), Failure> {
    let platform = nexus_platform::production("event-router");
    let metrics = Metrics::new(&platform, "event-router");
    let ends = &arguments.ends;
    let wiring = wiring(&platform, &ends.aws, &ends.tables, &metrics)?;
    let router = wiring.event_router(ends).await?;
    let worker = wiring.router_worker(router, arguments.worker).await?;
    let requests = StopRequests::listen()?;
    let (table, stream, topic) = (&ends.tables.events_table, &ends.core_stream, &ends.background_topic);
    say(&format!("routing the events of table {table} to stream {stream} and topic {topic}"))?;
    let _flush = metrics.start_flushing();
    work_until_stopped(&platform, WORKER_GRACE, requests, |stop| worker.run_until(stop)).await
}

pub(crate) async fn projection(arguments: ProjectionArguments) -> Result<(), Failure> {
    let platform = nexus_platform::production("projection");
    let metrics = Metrics::new(&platform, "projection");
    let ends = &arguments.ends;
    let wiring = wiring(&platform, &ends.aws, &ends.tables, &metrics)?;
    let worker = wiring.projection_worker(ends, arguments.worker).await?;
    let requests = StopRequests::listen()?;
    say(&format!("projecting stream {} onto table {}", ends.core_stream, ends.tables.views_table))?;
    let _flush = metrics.start_flushing();
    work_until_stopped(&platform, WORKER_GRACE, requests, |stop| worker.run_until(stop)).await
}

pub(crate) async fn notifier(arguments: NotifierArguments) -> Result<(), Failure> {
    let platform = nexus_platform::production("notifier");
    let metrics = Metrics::new(&platform, "notifier");
    let ends = &arguments.ends;
    let wiring = wiring(&platform, &ends.aws, &ends.tables, &metrics)?;
    let batches_at_once = usize::try_from(arguments.batches_at_once).unwrap_or(usize::MAX);
    let worker = wiring.notification_worker(ends, batches_at_once).await?;
    let requests = StopRequests::listen()?;
    say(&format!("recording notifications in table {}", ends.tables.outbox_table))?;
    let _flush = metrics.start_flushing();
    work_until_stopped(&platform, WORKER_GRACE, requests, |stop| worker.run_until(stop)).await
}

pub(crate) async fn dlq_processor(arguments: DlqProcessorArguments) -> Result<(), Failure> {
    let platform = nexus_platform::production("dlq-processor");
    let metrics = Metrics::new(&platform, "dlq-processor");
    let wiring = wiring(&platform, &arguments.router.aws, &arguments.router.tables, &metrics)?;
    let processor = wiring.dlq_processor(&arguments).await?;
    let requests = StopRequests::listen()?;
    say("working off dead letters and releasing parked aggregates")?;
    let _flush = metrics.start_flushing();
    let account = work_until_stopped(&platform, WORKER_GRACE, requests, |stop| processor.run_until(stop)).await?;
    say(&format!(
        "dead letters: {} received, {} redriven, {} quarantined, {} left; parked aggregates: {} released",
        account.received, account.redriven, account.quarantined, account.left, account.released
    ))
}

pub(crate) async fn provision(arguments: ProvisionArguments) -> Result<(), Failure> {
    let platform = nexus_platform::production("provision");
    let aws = Aws::new(&arguments.aws)?;
    let told = |created| if created { "created" } else { "was there already" };
    let dynamodb = aws.config(Service::Dynamodb);
    for table in nexus_aws::provision_tables(&platform, &dynamodb, &arguments.tables.names()).await? {
        say(&format!("table {}: {}", table.name, told(table.created)))?;
    }
    for part in nexus_aws_bus::provision_bus(&platform, &aws.bus_endpoints(), &arguments.definition()).await? {
        say(&format!("{} {}: {}", part.part, part.name, told(part.created)))?;
    }
    let Some(registry) = &arguments.registry.schema_registry else { return Ok(()) };
    let wiring = Wiring::new(&platform, aws, &arguments.tables, Arc::new(NoMetrics));
    let client = wiring.registry_client(registry, RegistrySettings::patient());
    let SchemaProvisioning { provisioned, obstacles } = provision_schemas(&client, nexus_schemas::all()).await;
    for ProvisionedSchema { event_type, version, schema, created, .. } in provisioned {
        say(&format!("schema {schema} in registry {registry}: {event_type} version {version} {}", told(created)))?;
    }
    if obstacles.is_empty() { Ok(()) } else { Err(Failure::ProvisionSchemas { registry: registry.clone(), obstacles }) }
}

fn wiring(
    platform: &Platform,
    aws: &AwsArguments,
    tables: &TableArguments,
    metrics: &Metrics,
) -> Result<Wiring, Failure> {
    Ok(Wiring::new(platform, Aws::new(aws)?, tables, metrics.sink()))
}

fn listening_platform<const DEFAULT_PORT: u16>(name: &str, arguments: &ListenArguments<DEFAULT_PORT>) -> Platform {
    ProductionPlatform::new(name).listen_address(arguments.listen_address).build()
}

async fn listen<const DEFAULT_PORT: u16>(
    platform: &Platform,
    arguments: &ListenArguments<DEFAULT_PORT>,
) -> Result<Box<dyn Acceptor>, Failure> {
    let port = arguments.listen_port;
    let acceptor = platform.listener.bind(port).await.map_err(|source| Failure::Bind { port, source })?;
    say(&format!("listening on http://{}", SocketAddr::new(arguments.listen_address, acceptor.local_port())))?;
    Ok(acceptor)
}

fn say(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(Failure::Runtime)
}
