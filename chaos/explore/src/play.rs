//! Plays one trial in this process: builds the world, runs it, hands out what happened.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_checkers::{Observation, TamperedEvent};
use nexus_cloud::{Call, CallOutcome, CloudConfig, JournalEntry, MessageStep, Service, UnixNanos};
use nexus_cloud_shell::SharedCloud;
use nexus_engine::{
    EngineConfig, Pauses, Program, RunSummary, Schedule, Trace, TraceRecord, TrueClock, on_fresh_thread,
};
use nexus_faults::{EnvironmentFault, Fault, FaultLedger, Firing, OperatorAct, PlanHook};
use nexus_scenario::{Hosting, host_names};
use nexus_world::{
    World, WorldBuilder, bus,
    meters::{MeterReading, Meters},
    registry, wiring,
};

use crate::{
    backlog::Backlog,
    customers::{CustomerSettings, Customers, Recorder},
    director::{PlanDirector, Surroundings},
    operator, policies, tampering,
    trial::Trial,
};

/// 2026-11-01 00:00:00 UTC: where every trial's true time starts.
pub const EPOCH_UNIX_NS: u64 = 1_793_491_200_000_000_000;
/// The services that the write side uses, each on a host of its own.
pub const ENDPOINTS: [Service; 2] = [Service::Dynamodb, Service::DynamodbStreams];
const BUS_ENDPOINTS: [Service; 5] =
    [Service::Dynamodb, Service::DynamodbStreams, Service::Kinesis, Service::Sns, Service::Sqs];
/// Lines of the trace that are kept; the hash goes on beyond them.
const TRACE_LINES_MAX: usize = 400_000;
/// How long the system must have been quiet before a trial may end early: longer than AWS takes for any call, or one that
/// still runs would be missed.
pub const QUIET: Duration = Duration::from_secs(6);

/// Everything that one run of a trial left behind.
pub struct Played {
    pub observation: Observation,
    pub journal: Vec<JournalEntry>,
    /// All items of each table at the end, as DynamoDB JSON.
    pub final_items: Vec<(String, Vec<Arc<serde_json::Value>>)>,
    pub firings: Vec<Firing>,
    pub trace: TraceRecord,
    pub summary: RunSummary,
    /// Operations that had a definite answer by the end.
    pub finished_operations: usize,
    /// What was still owed at the end: events that had not arrived, aggregates that waited, messages in queues.
    pub debts: Vec<String>,
    /// Stored events that an operator forged.
    pub tampered: Vec<TamperedEvent>,
    /// What services made of the policies that they were handed.
    pub replaced: Vec<policies::Replaced>,
    /// What the system measured of itself.
    pub told: Vec<MeterReading>,
    /// What the services behind the table held at the end.
    pub holdings: BTreeMap<String, serde_json::Value>,
    /// The run itself failed: a host's program ended or panicked, or time ran out.
    pub failure: Option<String>,
}

/// Plays the trial on a thread of its own. Call it once per process: see `nexus_engine` on what else would leak from run
/// to run.
pub fn play(trial: &Trial) -> Played {
    let trial = trial.clone();
    on_fresh_thread(trial.seed, move || play_here(&trial))
}

fn play_here(trial: &Trial) -> Played {
    let mut world = World::builder(engine_config(trial));
    let clock = world.handles().true_time();
    let trace = Trace::new(TRACE_LINES_MAX);
    let ledger = FaultLedger::default();
    let cloud = add_aws(&mut world, trial, &ledger, &trace);
    let enforcers = wiring::Enforcers::default();
    add_command_services(&mut world, trial, &enforcers);
    let releases = bus::Releases::default();
    let meters = Meters::default();
    add_bus(&mut world, trial, &cloud, &releases, &meters);
    let recorder = Recorder::default();
    add_customers(&mut world, trial, &clock, &recorder, &trace);

    let tampered = Arc::new(Mutex::new(Vec::new()));
    let replaced = Arc::new(Mutex::new(Vec::new()));
    let surroundings = TrialSurroundings {
        tampered: tampered.clone(),
        replaced: replaced.clone(),
        cloud: cloud.clone(),
        recorder: recorder.clone(),
        trace: trace.clone(),
        releases,
        enforcers,
        operations: trial.workload.operations.len(),
        backlog: Backlog::new(trial.bus.is_there(), host_names(trial.topology.command_services)),
    };
    let director = PlanDirector::new(
        &trial.faults,
        ledger.clone(),
        link_latency(trial),
        trial.phases.arrivals_end_ms(),
        trial.phases.end_ms(),
        surroundings,
    );
    let (summary, failure) = match world.run(Box::new(director)) {
        Ok(summary) => (summary, None),
        Err(error) => (RunSummary::default(), Some(error.to_string())),
    };
    let journal = cloud.with(|cloud| cloud.take_journal());
    let mut backlog = Backlog::new(trial.bus.is_there(), host_names(trial.topology.command_services));
    backlog.follow(&journal);
    let mut debts = backlog.debts();
    debts.extend(cloud.with(|cloud| operator::messages_left(cloud)));
    let holdings = endpoints(trial)
        .into_iter()
        .map(|service| (service.to_string(), cloud.with(|cloud| cloud.inspect(service))))
        .filter(|(_, held)| !held.is_null())
        .collect();
    let final_items: Vec<_> = wiring::table_names()
        .into_iter()
        .map(|table| (table.clone(), shared_with(&journal, &table, cloud.with(|cloud| cloud.scan_now(&table)))))
        .collect();
    trace_messages(&trace, &journal);
    trace_storage(&trace, &final_items);
    let told = meters.readings();
    trace_meters(&trace, &told);
    Played {
        observation: Observation { attempts: recorder.attempts() },
        journal,
        final_items,
        firings: ledger.firings(),
        trace: trace.finish(),
        summary,
        finished_operations: recorder.finished_operations(),
        debts,
        tampered: std::mem::take(&mut *tampered.lock().unwrap_or_else(PoisonError::into_inner)),
        replaced: std::mem::take(&mut *replaced.lock().unwrap_or_else(PoisonError::into_inner)),
        told,
        holdings,
        failure,
    }
}

fn engine_config(trial: &Trial) -> EngineConfig {
    let (link_latency_min, link_latency_max) = link_latency(trial);
    EngineConfig {
        seed: trial.seed,
        epoch_unix_ns: EPOCH_UNIX_NS,
        tick: Duration::from_millis(trial.network.tick_ms),
        link_latency_min,
        link_latency_max,
        duration_max: Duration::from_millis(trial.phases.end_ms()) + Duration::from_secs(60),
        schedule: schedule(trial),
    }
}

fn schedule(trial: &Trial) -> Schedule {
    let wanted = &trial.schedule;
    let pauses = Pauses { one_in: wanted.pauses_one_in, max: Duration::from_millis(wanted.pause_max_ms) };
    Schedule {
        changes_one_in: (wanted.changes_one_in > 0).then_some(wanted.changes_one_in),
        pauses: (wanted.pauses_one_in > 0).then_some(pauses),
    }
}

fn link_latency(trial: &Trial) -> (Duration, Duration) {
    (Duration::from_micros(trial.network.latency_min_us), Duration::from_micros(trial.network.latency_max_us))
}

fn add_aws(world: &mut WorldBuilder, trial: &Trial, ledger: &FaultLedger, trace: &Trace) -> SharedCloud {
    let alarm = world.handles().alarm();
    let trace = trace.clone();
    let hook = PlanHook::new(
        UnixNanos(EPOCH_UNIX_NS),
        &trial.faults,
        ledger.clone(),
        move || alarm.ring(),
        move |call, outcome| trace_call(&trace, call, outcome),
    );
    let mut config = CloudConfig {
        seed: trial.seed,
        assumptions: trial.assumptions.clone(),
        keep_journal: true,
        ..CloudConfig::default()
    };
    if trial.bus.table_shard_records > 0 {
        config.dynamodb.streams.shard_max_records = Some(trial.bus.table_shard_records);
    }
    let cloud = world.aws(config, Box::new(hook), &endpoints(trial));
    cloud
        .with(|cloud| wiring::set_up(cloud, UnixNanos(EPOCH_UNIX_NS)))
        .expect("the system's own table definitions are sound");
    if trial.registry.is_asked {
        cloud
            .with(|cloud| registry::set_up(cloud, UnixNanos(EPOCH_UNIX_NS), &unusable_event_types(trial)))
            .expect("the system's own schemas are sound");
    }
    cloud
}

/// Event types of which the registry has no usable version at the start.
fn unusable_event_types(trial: &Trial) -> Vec<String> {
    let unusable = trial.faults.iter().filter_map(|planned| match &planned.fault {
        Fault::Environment(EnvironmentFault::UnusableSchema { event_type, .. }) => Some(event_type.clone()),
        _ => None,
    });
    unusable.collect()
}

fn asked_registry(trial: &Trial) -> Option<registry::AskedRegistry> {
    trial.registry.is_asked.then(|| registry::AskedRegistry {
        fresh_for: Duration::from_millis(trial.registry.fresh_ms),
        negative_for: Duration::from_millis(trial.registry.negative_ms),
        stale_for: Duration::from_millis(trial.registry.stale_ms),
        connect_timeout: Duration::from_millis(trial.service.connect_timeout_ms),
        attempt_timeout: Duration::from_millis(trial.service.attempt_timeout_ms),
    })
}

/// The endpoints that this trial's hosts call.
fn endpoints(trial: &Trial) -> Vec<Service> {
    let mut endpoints = bus_endpoints(trial);
    endpoints.extend(trial.registry.is_asked.then_some(Service::Glue));
    endpoints
}

fn bus_endpoints(trial: &Trial) -> Vec<Service> {
    match (trial.bus.is_there(), trial.bus.hosting) {
        (false, _) => ENDPOINTS.to_vec(),
        (true, Hosting::Worker) => BUS_ENDPOINTS.to_vec(),
        (true, Hosting::Lambda) => [BUS_ENDPOINTS.as_slice(), &[Service::Lambda]].concat(),
    }
}

/// Everything behind the event table: stream, topic and queues, and the hosts that use them.
fn add_bus(world: &mut WorldBuilder, trial: &Trial, cloud: &SharedCloud, releases: &bus::Releases, meters: &Meters) {
    if !trial.bus.is_there() {
        return;
    }
    let settings = bus_settings(trial);
    cloud
        .with(|cloud| bus::set_up(cloud, UnixNanos(EPOCH_UNIX_NS), &settings))
        .expect("the system's own stream, topic and queues are sound");
    if settings.hosted_as_functions {
        world.function_aliases(&bus::FUNCTIONS, bus::REGION);
    }
    for host in trial.bus.router_hosts() {
        let program = bus::router(&settings, releases, meters, world.handles().slowness(&host));
        world.host(&host, program);
    }
    for host in trial.bus.projection_hosts() {
        let program = bus::projection(&settings, meters, world.handles().slowness(&host));
        world.host(&host, program);
    }
    for host in trial.bus.notifier_hosts() {
        let program = bus::notifier(&settings, meters, world.handles().slowness(&host));
        world.host(&host, program);
    }
    for host in trial.bus.dlq_processor_hosts() {
        let program = bus::dlq_processor(&settings, meters, world.handles().slowness(&host));
        world.host(&host, program);
    }
}

fn bus_settings(trial: &Trial) -> bus::BusSettings {
    bus::BusSettings {
        connect_timeout: Duration::from_millis(trial.service.connect_timeout_ms),
        attempt_timeout: Duration::from_millis(trial.service.attempt_timeout_ms),
        service_time: Duration::from_micros(trial.bus.service_time_us),
        lease_duration: Duration::from_millis(trial.bus.lease_duration_ms),
        visibility_s: trial.bus.visibility_s,
        redelivery_max_s: trial.bus.redelivery_max_s,
        core_shards: trial.bus.core_shards,
        dead_letter_retention_s: trial.bus.dead_letter_retention_s,
        redrive_after: Duration::from_millis(trial.bus.redrive_from_ms),
        hosted_as_functions: trial.bus.hosting == Hosting::Lambda,
        registry: asked_registry(trial),
        batch_max: trial.bus.batch_max,
    }
}

fn add_command_services(world: &mut WorldBuilder, trial: &Trial, enforcers: &wiring::Enforcers) {
    let settings = wiring::CommandServiceSettings {
        connect_timeout: Duration::from_millis(trial.service.connect_timeout_ms),
        attempt_timeout: Duration::from_millis(trial.service.attempt_timeout_ms),
        request_deadline: Duration::from_millis(trial.service.request_deadline_ms),
        servers: trial.topology.servers as usize,
        service_time: Duration::from_micros(trial.topology.service_time_us),
        registry: asked_registry(trial),
    };
    for host in host_names(trial.topology.command_services) {
        let program = wiring::command_service(&settings, enforcers, world.handles().slowness(&host));
        world.host(&host, program);
    }
}

fn add_customers(world: &mut WorldBuilder, trial: &Trial, clock: &TrueClock, recorder: &Recorder, trace: &Trace) {
    let settings = Arc::new(CustomerSettings {
        services: host_names(trial.topology.command_services),
        port: wiring::COMMAND_SERVICE_PORT,
        timeout: Duration::from_millis(trial.service.customer_timeout_ms),
    });
    let workload = Arc::new(trial.workload.clone());
    let (clock, recorder, trace) = (clock.clone(), recorder.clone(), trace.clone());
    let program: Program = Arc::new(move |platform, _start_count| {
        let trace = trace.clone();
        let customers = Customers {
            platform,
            clock: clock.clone(),
            settings: settings.clone(),
            recorder: recorder.clone(),
            on_completed: Arc::new(move |attempt| {
                let completed_ns = attempt.completed_ns.unwrap_or(attempt.invoked_ns);
                let text =
                    format!("operation {} attempt {}: {:?}", attempt.operation, attempt.attempt, attempt.response);
                trace.line(Duration::from_nanos(completed_ns - EPOCH_UNIX_NS), "customers", text);
            }),
        };
        let workload = workload.clone();
        Box::pin(async move {
            customers.run(workload, EPOCH_UNIX_NS).await;
            // A host whose program ends would end the run.
            std::future::pending::<()>().await;
            Ok(())
        })
    });
    world.host("customers", program);
}

fn trace_call(trace: &Trace, call: &Call, outcome: &CallOutcome) {
    let elapsed = Duration::from_nanos(outcome.at.0 - EPOCH_UNIX_NS);
    let text = format!(
        "#{} {} {} [{}] {}{}{}{}",
        call.sequence,
        call.caller,
        call.operation,
        call.keys.join(" "),
        outcome.status,
        outcome.error.as_ref().map(|error| format!(" {error}")).unwrap_or_default(),
        if outcome.applied { " applied" } else { "" },
        if outcome.delivered { "" } else { " undelivered" },
    );
    trace.line(elapsed, call.service.name(), text);
}

/// The life of messages belongs to the trace as well.
fn trace_messages(trace: &Trace, journal: &[JournalEntry]) {
    for entry in journal {
        if let JournalEntry::SchemaVersion(step) = entry {
            let elapsed = Duration::from_nanos(step.at.0 - EPOCH_UNIX_NS);
            let (schema, number, status) = (&step.schema, step.number, step.status.name());
            trace.line(elapsed, Service::Glue.name(), format!("{schema} version {number} is {status} {}", step.note));
        }
        let JournalEntry::Message(step) = entry else { continue };
        let MessageStep { at, service, place, step, message_id, key, body, receive_count, note, .. } = step;
        let elapsed = Duration::from_nanos(at.0 - EPOCH_UNIX_NS);
        trace.line(
            elapsed,
            service.name(),
            format!("{place} {step:?} {message_id} [{key}] {receive_count} {note} {body}"),
        );
    }
}

/// The items, as the images of the journal where it has the very same: nearly all of them, and a long trial would hardly fit
/// into memory twice.
fn shared_with(journal: &[JournalEntry], of_table: &str, items: Vec<serde_json::Value>) -> Vec<Arc<serde_json::Value>> {
    let identity = |item: &serde_json::Value| (item["pk"].to_string(), item["sk"].to_string());
    let mut last_images = BTreeMap::new();
    for entry in journal {
        if let JournalEntry::Write { table, new_image: Some(image), .. } = entry
            && table == of_table
        {
            last_images.insert(identity(image), image);
        }
    }
    let share = |item: serde_json::Value| match last_images.get(&identity(&item)) {
        Some(image) if ***image == item => Arc::clone(image),
        _ => Arc::new(item),
    };
    items.into_iter().map(share).collect()
}

/// What lies in storage at the end belongs to the trace too: two runs that agree on every step but not on a byte differ.
fn trace_storage(trace: &Trace, final_items: &[(String, Vec<Arc<serde_json::Value>>)]) {
    for (table, items) in final_items {
        for item in items {
            trace.line(Duration::ZERO, table, item);
        }
    }
}

/// And what the system told of itself: it depends on every step.
fn trace_meters(trace: &Trace, told: &[MeterReading]) {
    for reading in told {
        trace.line(
            Duration::ZERO,
            &reading.host,
            format!("{} {:?}: {} in {}", reading.name, reading.dimensions, reading.sum, reading.measurements),
        );
    }
}

struct TrialSurroundings {
    tampered: Arc<Mutex<Vec<TamperedEvent>>>,
    replaced: Arc<Mutex<Vec<policies::Replaced>>>,
    cloud: SharedCloud,
    recorder: Recorder,
    trace: Trace,
    releases: bus::Releases,
    enforcers: wiring::Enforcers,
    operations: usize,
    backlog: Backlog,
}

fn at(elapsed: Duration) -> UnixNanos {
    UnixNanos(EPOCH_UNIX_NS).plus(elapsed)
}

impl Surroundings for TrialSurroundings {
    fn is_settled(&mut self, elapsed: Duration) -> bool {
        let backlog = &mut self.backlog;
        self.cloud.with(|cloud| backlog.follow(cloud.journal()));
        self.recorder.finished_operations() == self.operations
            && backlog.is_clear()
            && at(elapsed) >= backlog.last_step().plus(QUIET)
            && at(elapsed) >= UnixNanos(self.recorder.last_finished_ns()).plus(QUIET)
            && self.cloud.with(|cloud| operator::messages_left(cloud)).is_empty()
    }

    fn operate(&mut self, elapsed: Duration, act: &OperatorAct) -> bool {
        if let OperatorAct::ReplacePolicies { by } = act {
            let outcomes = policies::replace(&self.enforcers, *by, at(elapsed).0);
            for outcome in &outcomes {
                self.trace.line(elapsed, "operator", format!("{act}: {outcome}"));
            }
            let is_done = !outcomes.is_empty();
            self.replaced.lock().unwrap_or_else(PoisonError::into_inner).extend(outcomes);
            return is_done;
        }
        if let OperatorAct::Tamper { forgery } = act {
            let mut tampered = self.tampered.lock().unwrap_or_else(PoisonError::into_inner);
            let event = self.cloud.with(|cloud| tampering::tamper(cloud, at(elapsed), *forgery, &tampered));
            let Some(event) = event else { return false };
            self.trace.line(elapsed, "operator", format!("{act}: {} version {}", event.stream, event.version));
            tampered.push(event);
            return true;
        }
        match self.cloud.with(|cloud| operator::operate(cloud, at(elapsed), act)) {
            Ok(acted) => acted,
            Err(error) => {
                self.trace.line(elapsed, "operator", format!("{act} was refused: {error}"));
                false
            }
        }
    }

    fn install_release(&mut self, host: &str, unknown_event_types: Vec<String>) {
        self.releases.install(host, unknown_event_types);
    }

    fn note(&mut self, elapsed: Duration, text: String) {
        self.trace.line(elapsed, "director", text);
    }
}
