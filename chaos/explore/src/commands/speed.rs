//! `bench speed`: how fast the simulation is, and where its time goes. Figures, never a verdict: machines are noisy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use miette::{IntoDiagnostic, Report, miette};
use nexus_cloud::{Cloud, CloudConfig, LatencyModel, NoFaults, RequestId, Service, UnixNanos, WireRequest};
use nexus_commands::BenchOptions;
use nexus_engine::{Control, Director, EngineConfig, Next, Program};
use nexus_ports::EventStorage;
use nexus_reports::TrialRecord;
use nexus_world::{World, wiring};
use serde::Serialize;

use super::{Context, in_process};
use crate::{
    Trial, TrialRequest,
    play::{ENDPOINTS, EPOCH_UNIX_NS},
    run_batch,
};

const HANDLER_CALLS: u64 = 300_000;
const TCP_CALLS: u64 = 30_000;
const TRIALS: u64 = 6;
const IDLE_SIMULATED: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize)]
struct Speed {
    engine: String,
    profile: String,
    /// The bare core: decoded request in, answer out, no network and no SDK.
    handler_calls_per_s: f64,
    /// The real SDK client with a connector that hands requests to the core: no HTTP, no network; latency model off.
    in_process_calls_per_s: f64,
    /// The real SDK client, our connector, HTTP/1.1, the engine's network, the shell, the core; latency model off.
    simulated_network_calls_per_s: f64,
    /// What an idle simulated second of the smoke topology costs.
    idle_ms_per_simulated_s: f64,
    trial: TrialSpeed,
}

#[derive(Debug, Serialize)]
struct TrialSpeed {
    scenario: String,
    trials: u64,
    wall_s_median: f64,
    simulated_s_median: f64,
    aws_calls_median: u64,
    peak_memory_mib_median: u64,
    /// Wall time that remains for each AWS call once the idle cost is taken off: the customer's HTTP exchange, the service,
    /// the SDK, the cloud, the journal and the checkers.
    us_per_aws_call: f64,
}

pub fn run(options: &BenchOptions, context: &Context) -> Result<u8, Report> {
    let handler = handler_calls_per_s()?;
    let in_process = sdk_calls_per_s(Path::InProcess)?;
    let network = sdk_calls_per_s(Path::SimulatedNetwork)?;
    let idle = idle_ms_per_simulated_s()?;
    let trial = trial_speed(context, idle)?;
    let speed = Speed {
        engine: nexus_engine::compiled_engine().to_string(),
        profile: context.profile.clone(),
        handler_calls_per_s: handler,
        in_process_calls_per_s: in_process,
        simulated_network_calls_per_s: network,
        idle_ms_per_simulated_s: idle,
        trial,
    };
    if options.json {
        println!("{}", serde_json::to_string(&speed).into_diagnostic()?);
    } else {
        print(&speed);
    }
    Ok(nexus_commands::exit::HELD)
}

fn print(speed: &Speed) {
    let Speed {
        engine,
        profile,
        handler_calls_per_s,
        in_process_calls_per_s,
        simulated_network_calls_per_s,
        idle_ms_per_simulated_s,
        trial,
    } = speed;
    println!("engine {engine}, profile {profile}, one core");
    println!("  bare handler           {handler_calls_per_s:>10.0} calls/s");
    println!("  SDK, in process        {in_process_calls_per_s:>10.0} calls/s");
    println!("  over simulated network {simulated_network_calls_per_s:>10.0} calls/s");
    println!("  idle                   {idle_ms_per_simulated_s:>10.2} ms per simulated second");
    println!(
        "  a trial of `{}`: {:.2} s wall, {:.1} s simulated, {} AWS calls, {} MiB, {:.0} µs per AWS call (median of {})",
        trial.scenario,
        trial.wall_s_median,
        trial.simulated_s_median,
        trial.aws_calls_median,
        trial.peak_memory_mib_median,
        trial.us_per_aws_call,
        trial.trials
    );
}

fn config_without_latency() -> CloudConfig {
    CloudConfig { latency: LatencyModel::fixed(0), keep_journal: false, ..CloudConfig::default() }
}

/// A mix of one conditional put and two reads, as bytes, straight into the core.
#[allow(clippy::disallowed_methods)] // A measurement of real time.
fn handler_calls_per_s() -> Result<f64, Report> {
    let mut cloud = Cloud::new(config_without_latency(), Box::new(NoFaults));
    for table in wiring::table_definitions() {
        cloud
            .create_table_now(UnixNanos(EPOCH_UNIX_NS), &table)
            .map_err(|error| miette!("the benchmark's table is refused: {error:?}"))?;
    }
    let started = Instant::now();
    let mut answered = 0;
    for number in 0..HANDLER_CALLS {
        let (operation, body) = match number % 3 {
            0 => (
                "PutItem",
                format!(
                    r#"{{"TableName":"nexus-idempotency","Item":{{"pk":{{"S":"k{number}"}},"answer":{{"S":"an answer"}}}},"ConditionExpression":"attribute_not_exists(pk)"}}"#
                ),
            ),
            _ => (
                "GetItem",
                format!(
                    r#"{{"TableName":"nexus-idempotency","Key":{{"pk":{{"S":"k{}"}}}},"ConsistentRead":true}}"#,
                    number - number % 3
                ),
            ),
        };
        // A microsecond between calls: time goes on, and capacity with it.
        let now = UnixNanos(EPOCH_UNIX_NS + number * 1_000_000);
        cloud.handle(now, RequestId(number), wire_request(operation, body));
        answered += cloud.advance(now).len() as u64;
    }
    if answered != HANDLER_CALLS {
        return Err(miette!("the handler answered {answered} of {HANDLER_CALLS} calls at once"));
    }
    Ok(HANDLER_CALLS as f64 / started.elapsed().as_secs_f64())
}

fn wire_request(operation: &str, body: String) -> WireRequest {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    WireRequest {
        service: Service::Dynamodb,
        caller: "bench".to_owned(),
        method: "POST".to_owned(),
        path: "/".to_owned(),
        headers: vec![
            header("x-amz-target", &format!("DynamoDB_20120810.{operation}")),
            header("content-type", "application/x-amz-json-1.0"),
            header("authorization", "AWS4-HMAC-SHA256 Credential=bench"),
        ],
        body: Bytes::from(body),
    }
}

/// Stops once a flag is set.
struct UntilDone {
    done: Arc<AtomicBool>,
    at_most: Duration,
}

impl Director for UntilDone {
    fn direct(&mut self, control: &mut dyn Control) -> Next {
        let elapsed = control.elapsed();
        if self.done.load(Ordering::Relaxed) || elapsed >= self.at_most {
            return Next::Stop;
        }
        Next::At((elapsed + Duration::from_secs(1)).min(self.at_most))
    }
}

fn engine_config(duration_max: Duration) -> EngineConfig {
    EngineConfig {
        seed: 1,
        epoch_unix_ns: EPOCH_UNIX_NS,
        tick: Duration::from_millis(1),
        link_latency_min: Duration::from_micros(200),
        link_latency_max: Duration::from_micros(800),
        duration_max: duration_max + Duration::from_secs(1),
        schedule: nexus_engine::Schedule::default(),
    }
}

/// How requests reach the core.
#[derive(Clone, Copy, Debug)]
enum Path {
    InProcess,
    SimulatedNetwork,
}

/// Strong reads by the system's own storage client, many side by side, as fast as they come.
#[allow(clippy::disallowed_methods)] // A measurement of real time.
fn sdk_calls_per_s(path: Path) -> Result<f64, Report> {
    const READERS: u64 = 64;
    nexus_engine::prepare_thread(1);
    let at_most = Duration::from_secs(3_600);
    let mut world = World::builder(engine_config(at_most));
    let cloud = world.aws(config_without_latency(), Box::new(NoFaults), &ENDPOINTS);
    for table in wiring::table_definitions() {
        cloud
            .with(|cloud| cloud.create_table_now(UnixNanos(EPOCH_UNIX_NS), &table))
            .map_err(|error| miette!("the benchmark's table is refused: {error:?}"))?;
    }
    let done = Arc::new(AtomicBool::new(false));
    let (left, alarm, finished) = (Arc::new(AtomicU64::new(READERS)), world.handles().alarm(), done.clone());
    let clock = world.handles().true_time();
    let program: Program = Arc::new(move |platform, _| {
        let (left, alarm, finished) = (left.clone(), alarm.clone(), finished.clone());
        let (cloud, clock) = (cloud.clone(), clock.clone());
        Box::pin(async move {
            for reader in 0..READERS {
                let storage = match path {
                    Path::SimulatedNetwork => wiring::storage(&platform),
                    Path::InProcess => in_process::storage(&platform, &cloud, &clock),
                };
                let (left, alarm, finished) = (left.clone(), alarm.clone(), finished.clone());
                platform.spawn("reader", async move {
                    for number in 0..TCP_CALLS / READERS {
                        let key = format!("{reader}-{number}");
                        // The figure is calls, not answers: nothing is stored, every read finds nothing.
                        let _ = storage.read_idempotency_record(&key).await;
                    }
                    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                        finished.store(true, Ordering::Relaxed);
                        alarm.ring();
                    }
                });
            }
            std::future::pending::<()>().await;
            Ok(())
        })
    });
    world.host("load", program);
    let started = Instant::now();
    let director = UntilDone { done: done.clone(), at_most };
    world.run(Box::new(director)).into_diagnostic()?;
    if !done.load(Ordering::Relaxed) {
        return Err(miette!("the readers did not finish within {} simulated seconds", at_most.as_secs()));
    }
    Ok(TCP_CALLS as f64 / started.elapsed().as_secs_f64())
}

/// The smoke topology with nobody in it.
#[allow(clippy::disallowed_methods)] // A measurement of real time.
fn idle_ms_per_simulated_s() -> Result<f64, Report> {
    let mut world = World::builder(engine_config(IDLE_SIMULATED));
    world.aws(config_without_latency(), Box::new(NoFaults), &ENDPOINTS);
    for host in ["orders-1", "orders-2", "customers"] {
        let idle: Program = Arc::new(|_, _| {
            Box::pin(async {
                std::future::pending::<()>().await;
                Ok(())
            })
        });
        world.host(host, idle);
    }
    let started = Instant::now();
    let director = UntilDone { done: Arc::new(AtomicBool::new(false)), at_most: IDLE_SIMULATED };
    world.run(Box::new(director)).into_diagnostic()?;
    Ok(started.elapsed().as_secs_f64() * 1_000.0 / IDLE_SIMULATED.as_secs_f64())
}

fn trial_speed(context: &Context, idle_ms_per_simulated_s: f64) -> Result<TrialSpeed, Report> {
    let (tier, scenario) = nexus_scenario::find(&context.scenarios(), "nominal")?;
    let engine = nexus_engine::compiled_engine().to_string();
    let requests: Result<Vec<TrialRequest>, _> = (1..=TRIALS)
        .map(|seed| Ok(TrialRequest { trial: Trial::draw(tier, &scenario, &engine, seed)?, want_trace: false }))
        .collect();
    let requests = requests.map_err(|error: nexus_faults::UnusableTemplate| miette!("{error}"))?;
    // One at a time, so that trials do not compete for cores.
    let outputs = run_batch(&requests, 1, &context.stop, |_, _| {});
    let records: Vec<TrialRecord> = outputs.into_iter().flatten().map(|output| output.record).collect();
    if records.is_empty() {
        return Err(miette!("stopped before a trial was over"));
    }
    let wall_s_median = median(records.iter().map(|record| record.wall_s).collect());
    let simulated_s_median = median(records.iter().map(|record| record.simulated_s).collect());
    let aws_calls_median = median(records.iter().map(|record| record.aws_calls as f64).collect());
    let memory: Vec<f64> =
        records.iter().filter_map(|record| record.peak_memory_bytes).map(|bytes| bytes as f64).collect();
    let busy_s = (wall_s_median - simulated_s_median * idle_ms_per_simulated_s / 1_000.0).max(0.0);
    Ok(TrialSpeed {
        scenario: scenario.name,
        trials: records.len() as u64,
        wall_s_median,
        simulated_s_median,
        aws_calls_median: aws_calls_median as u64,
        peak_memory_mib_median: (median(memory) / f64::from(1 << 20)) as u64,
        us_per_aws_call: busy_s * 1e6 / aws_calls_median.max(1.0),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
