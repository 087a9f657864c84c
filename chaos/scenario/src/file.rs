//! The file format, and the checks that serde cannot make.

use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use nexus_faults::{FaultTemplate, TemplateContext};
use nexus_workload::WorkloadShape;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// One scenario, read and checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    pub name: String,
    pub description: String,
    pub topology: Topology,
    pub bus: Bus,
    pub registry: Registry,
    pub service: Service,
    pub network: Network,
    pub schedule: Schedule,
    pub phases: Phases,
    pub workload: WorkloadShape,
    pub faults: Vec<FaultTemplate>,
    pub objectives: Vec<ObjectiveTemplate>,
    /// Seeds run when the command line names no number.
    pub seeds: u64,
    /// Left out of `all`: it takes too long, or too much memory, to come along unasked.
    pub by_name_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topology {
    /// How many hosts run the command service: `orders-1`, `orders-2` …
    pub command_services: u32,
    /// How many requests such a host can compute at once.
    pub servers: u32,
    /// How long one request keeps one of these servers busy, in microseconds.
    pub service_time_us: u64,
}

impl Default for Topology {
    fn default() -> Self {
        Self { command_services: 2, servers: 4, service_time_us: 300 }
    }
}

/// What stands behind the event table. All zero: nothing, and only the write side is on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bus {
    /// Hosts that route events from the table's stream: `router-1` …
    pub routers: u32,
    /// Hosts that project the core stream onto views: `projection-1` …
    pub projections: u32,
    /// Hosts that work off the notification queue: `notifier-1` …
    pub notifiers: u32,
    /// Hosts that work off dead letters and release parked aggregates: `dlq-processor-1` …
    pub dlq_processors: u32,
    /// The same code as long-running workers with leases, or as functions behind event source mappings.
    pub hosting: Hosting,
    /// Shards of the core stream at the start.
    pub core_shards: u32,
    /// The table's stream begins a new shard after this many records; 0: only as time makes it.
    pub table_shard_records: u64,
    /// Computing time of one record in a router or consumer, in microseconds.
    pub service_time_us: u64,
    /// How long a worker may be silent before others take its shards.
    pub lease_duration_ms: u64,
    /// How long the notification queue hides a message from others.
    pub visibility_s: u32,
    /// The longest pause before a message that failed is tried again; it doubles from 2 s.
    pub redelivery_max_s: u32,
    /// How long the dead-letter queue keeps a message, counted from when it was first sent.
    pub dead_letter_retention_s: u32,
    /// The processor leaves dead letters alone before this time: an operator who first looks, and then acts.
    pub redrive_from_ms: u64,
    /// How many records or messages workers ask for at once, at most; 0: as many as they do by themselves.
    pub batch_max: u32,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            routers: 0,
            projections: 0,
            notifiers: 0,
            dlq_processors: 0,
            hosting: Hosting::Worker,
            core_shards: 2,
            table_shard_records: 0,
            service_time_us: 100,
            lease_duration_ms: 10_000,
            visibility_s: 30,
            redelivery_max_s: 300,
            dead_letter_retention_s: 1_209_600,
            redrive_from_ms: 0,
            batch_max: 0,
        }
    }
}

/// The registry of schemas, and how long its answers count. Left out: services go by the schemas that they were built with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registry {
    /// Command services and routers ask the registry whether a schema may be used.
    pub is_asked: bool,
    /// How long AVAILABLE is believed.
    pub fresh_ms: u64,
    /// How long anything else is believed.
    pub negative_ms: u64,
    /// How long after its expiry AVAILABLE still counts while the registry is silent.
    pub stale_ms: u64,
}

impl Default for Registry {
    fn default() -> Self {
        Self { is_asked: false, fresh_ms: 300_000, negative_ms: 3_000, stale_ms: 1_800_000 }
    }
}

/// In which order a host's tasks are taken, and how late. Left out: as the engine takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The most urgent task goes first, and one in so many steps the one that goes falls behind all others; 0: no priorities.
    pub changes_one_in: u32,
    /// One in so many steps is held back after it was woken; 0: none.
    pub pauses_one_in: u32,
    /// For how long at most, in milliseconds.
    pub pause_max_ms: u64,
}

impl Schedule {
    /// Enough changes to overtake anybody several times within a request, and few enough to be overtaken for a while.
    pub const PRIORITIES: Schedule = Schedule { changes_one_in: 40, pauses_one_in: 0, pause_max_ms: 0 };
    /// Longer than a call to AWS, and shorter than anybody's patience.
    pub const PAUSES: Schedule = Schedule { changes_one_in: 0, pauses_one_in: 50, pause_max_ms: 40 };
    pub const BOTH: Schedule = Schedule { changes_one_in: 40, pauses_one_in: 50, pause_max_ms: 40 };

    pub fn is_engines_own(&self) -> bool {
        self.changes_one_in == 0 && self.pauses_one_in == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hosting {
    Worker,
    Lambda,
}

impl Bus {
    /// Whether anything stands behind the event table.
    pub fn is_there(&self) -> bool {
        self.routers > 0
    }

    pub fn router_hosts(&self) -> Vec<String> {
        numbered("router", self.routers)
    }

    pub fn projection_hosts(&self) -> Vec<String> {
        numbered("projection", self.projections)
    }

    pub fn notifier_hosts(&self) -> Vec<String> {
        numbered("notifier", self.notifiers)
    }

    pub fn dlq_processor_hosts(&self) -> Vec<String> {
        numbered("dlq-processor", self.dlq_processors)
    }

    /// All of them, in the order in which they start.
    pub fn hosts(&self) -> Vec<String> {
        [self.router_hosts(), self.projection_hosts(), self.notifier_hosts(), self.dlq_processor_hosts()].concat()
    }
}

fn numbered(name: &str, count: u32) -> Vec<String> {
    (1..=count).map(|number| format!("{name}-{number}")).collect()
}

/// Time-outs and bounds of the command service and its event store, and of the customers who call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    pub connect_timeout_ms: u64,
    pub attempt_timeout_ms: u64,
    /// Bound on one request of a customer inside the service.
    pub request_deadline_ms: u64,
    /// After this long a customer takes a request for unanswered and sends it again under the same key.
    pub customer_timeout_ms: u64,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 500,
            attempt_timeout_ms: 1_000,
            request_deadline_ms: 8_000,
            customer_timeout_ms: 10_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// One-way latency of every packet between two hosts.
    pub latency_min_us: u64,
    pub latency_max_us: u64,
    /// The step of engines that tick. Latencies shorter than a tick take a whole one.
    pub tick_ms: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self { latency_min_us: 200, latency_max_us: 800, tick_ms: 5 }
    }
}

/// How long each phase lasts. Faults live in `chaos`; customers come in `nominal`, `chaos` and `heal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phases {
    pub nominal_ms: u64,
    pub chaos_ms: u64,
    pub heal_ms: u64,
    /// No new customers; what is under way ends. By its end every customer has a definite answer.
    pub drain_ms: u64,
}

impl Default for Phases {
    fn default() -> Self {
        Self { nominal_ms: 5_000, chaos_ms: 15_000, heal_ms: 5_000, drain_ms: 30_000 }
    }
}

impl Phases {
    pub fn chaos_window_ms(&self) -> (u64, u64) {
        (self.nominal_ms, self.nominal_ms + self.chaos_ms)
    }

    /// When the last customer has come.
    pub fn arrivals_end_ms(&self) -> u64 {
        self.nominal_ms + self.chaos_ms + self.heal_ms
    }

    pub fn end_ms(&self) -> u64 {
        self.arrivals_end_ms() + self.drain_ms
    }

    /// Name, from and until of each phase.
    pub fn named(&self) -> Vec<(&'static str, u64, u64)> {
        let chaos_from = self.nominal_ms;
        let heal_from = chaos_from + self.chaos_ms;
        let drain_from = heal_from + self.heal_ms;
        vec![
            ("nominal", 0, chaos_from),
            ("chaos", chaos_from, heal_from),
            ("heal", heal_from, drain_from),
            ("drain", drain_from, drain_from + self.drain_ms),
        ]
    }
}

/// A bound on a percentile of a latency, pooled over all seeds of the scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveTemplate {
    /// `command`, `read`, `routing`, `background`, `end-to-end`, `recovery`, or `aws:<Operation>`.
    pub latency: String,
    pub phase: String,
    pub percentile: f64,
    pub limit_ms: f64,
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    description: String,
    topology: Option<Spanned<Topology>>,
    bus: Option<Spanned<Bus>>,
    registry: Option<Spanned<Registry>>,
    service: Option<Spanned<Service>>,
    network: Option<Spanned<Network>>,
    schedule: Option<Spanned<Schedule>>,
    phases: Option<Spanned<Phases>>,
    workload: Spanned<WorkloadShape>,
    #[serde(default)]
    faults: Vec<Spanned<FaultTemplate>>,
    #[serde(default)]
    objectives: Vec<Spanned<ObjectiveTemplate>>,
    #[serde(default = "default_seeds")]
    seeds: u64,
    #[serde(default)]
    by_name_only: bool,
}

fn default_seeds() -> u64 {
    3
}

/// A scenario file that cannot be used: what, where, and how to mend it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{file}: {problem}")]
#[diagnostic(code(nexus::scenario))]
pub struct ScenarioError {
    pub file: String,
    pub problem: String,
    #[source_code]
    source_code: Arc<NamedSource<String>>,
    #[label("here")]
    span: Option<SourceSpan>,
    #[help]
    pub help: Option<String>,
}

/// A problem with a place, before it is known which file it is in.
struct Problem {
    what: String,
    span: Option<std::ops::Range<usize>>,
    help: Option<String>,
}

/// Reads a scenario. `name` is the file's name without its ending, `file` the path as errors should show it.
///
/// # Errors
/// Unknown keys, wrong types and values out of range, each with its place in the text.
pub fn parse(name: &str, file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    read(name, text).map_err(|problem| ScenarioError {
        file: file.to_owned(),
        problem: problem.what,
        source_code: Arc::new(NamedSource::new(file, text.to_owned()).with_language("toml")),
        span: problem.span.map(Into::into),
        help: problem.help,
    })
}

fn read(name: &str, text: &str) -> Result<Scenario, Problem> {
    let file: ScenarioFile = toml::from_str(text).map_err(|error| Problem {
        what: error.message().trim_end().to_owned(),
        span: error.span(),
        help: Some("scenarios/README.md lists every key with its meaning and its default".to_owned()),
    })?;
    check_numbers(&file)?;
    let scenario = Scenario {
        name: name.to_owned(),
        description: file.description,
        topology: value_or_default(file.topology),
        bus: value_or_default(file.bus),
        registry: value_or_default(file.registry),
        service: value_or_default(file.service),
        network: value_or_default(file.network),
        schedule: value_or_default(file.schedule),
        phases: value_or_default(file.phases),
        workload: WorkloadShape::default(),
        faults: Vec::new(),
        objectives: file.objectives.into_iter().map(Spanned::into_inner).collect(),
        seeds: file.seeds,
        by_name_only: file.by_name_only,
    };
    let context = TemplateContext {
        // The real keys come from the drawn workload; here only their existence matters.
        keys: vec!["any".to_owned()],
        ..scenario.template_context(Vec::new())
    };
    for template in &file.faults {
        template.get_ref().check(&context).map_err(|error| Problem {
            what: format!("this `{}` fault cannot be drawn: {error}", template.get_ref().kind),
            span: Some(template.span()),
            help: None,
        })?;
    }
    let faults: Vec<FaultTemplate> = file.faults.into_iter().map(Spanned::into_inner).collect();
    let workload_span = file.workload.span();
    let mut workload = file.workload.into_inner();
    workload.duration_ms = scenario.phases.arrivals_end_ms();
    workload.check().map_err(|error| Problem {
        what: format!("no such workload can be drawn: {error}"),
        span: Some(workload_span),
        help: Some("chaos/workload/README.md lists every key with its bounds".to_owned()),
    })?;
    Ok(Scenario { faults, workload, ..scenario })
}

fn value_or_default<T: Default>(table: Option<Spanned<T>>) -> T {
    table.map(Spanned::into_inner).unwrap_or_default()
}

fn given_or_default<T: Default + Clone>(table: &Option<Spanned<T>>) -> T {
    table.as_ref().map(|table| table.get_ref().clone()).unwrap_or_default()
}

fn span_of<T>(table: &Option<Spanned<T>>) -> Option<std::ops::Range<usize>> {
    table.as_ref().map(Spanned::span)
}

fn check_numbers(file: &ScenarioFile) -> Result<(), Problem> {
    let at = |span: Option<std::ops::Range<usize>>, what: &str, help: &str| {
        Err(Problem { what: what.to_owned(), span, help: Some(help.to_owned()) })
    };
    let topology = given_or_default(&file.topology);
    if !(1..=64).contains(&topology.command_services) || topology.servers == 0 {
        return at(
            span_of(&file.topology),
            "a topology needs 1 to 64 command services with at least one server each",
            "write command_services = 2, servers = 4",
        );
    }
    let bus = given_or_default(&file.bus);
    let consumers = [bus.projections, bus.notifiers, bus.dlq_processors];
    if bus.routers == 0 && consumers.iter().any(|count| *count > 0) {
        return at(
            span_of(&file.bus),
            "consumers without a router would never see an event",
            "write routers = 2, or leave the whole table out",
        );
    }
    if bus.routers > 0 && (consumers[..2].contains(&0) || bus.core_shards == 0) {
        return at(
            span_of(&file.bus),
            "what is routed must go somewhere: a bus needs projections, notifiers and core shards",
            "write routers = 2, projections = 1, notifiers = 1, dlq_processors = 1",
        );
    }
    if bus.hosts().len() > 64 || bus.core_shards > 64 {
        return at(span_of(&file.bus), "a bus has at most 64 hosts and 64 core shards", "write smaller numbers");
    }
    let schedule = given_or_default(&file.schedule);
    if (schedule.pauses_one_in == 0) != (schedule.pause_max_ms == 0) || schedule.pause_max_ms > 1_000 {
        return at(
            span_of(&file.schedule),
            "pauses need both how often and how long at most, which is 1 to 1000 ms",
            "write pauses_one_in = 50, pause_max_ms = 40, or neither",
        );
    }
    let registry = given_or_default(&file.registry);
    if registry.fresh_ms == 0 || registry.negative_ms == 0 {
        return at(
            span_of(&file.registry),
            "an answer of the registry counts for a while: fresh_ms and negative_ms are above 0",
            "write fresh_ms = 300000, negative_ms = 3000",
        );
    }
    if bus.lease_duration_ms < 1_000
        || bus.visibility_s == 0
        || bus.redelivery_max_s == 0
        || bus.dead_letter_retention_s < 60
    {
        return at(
            span_of(&file.bus),
            "leases last at least 1000 ms, visibility and redelivery at least 1 s, retention at least 60 s",
            "write lease_duration_ms = 10000, visibility_s = 30, redelivery_max_s = 300, dead_letter_retention_s = 1209600",
        );
    }
    let network = given_or_default(&file.network);
    if network.tick_ms == 0 || network.latency_min_us > network.latency_max_us {
        return at(
            span_of(&file.network),
            "a tick lasts at least 1 ms, and latency_min_us is at most latency_max_us",
            "write tick_ms = 5",
        );
    }
    let phases = given_or_default(&file.phases);
    if phases.nominal_ms + phases.heal_ms == 0 || phases.drain_ms == 0 {
        return at(
            span_of(&file.phases),
            "a trial needs a time without faults and a drain",
            "write nominal_ms = 5000, heal_ms = 5000, drain_ms = 30000",
        );
    }
    if !file.faults.is_empty() && phases.chaos_ms == 0 {
        return at(
            span_of(&file.phases),
            "there are faults, but chaos_ms is 0: none of them could act",
            "give chaos_ms a length, or remove the faults",
        );
    }
    for objective in &file.objectives {
        let ObjectiveTemplate { phase, percentile, limit_ms, .. } = objective.get_ref();
        let phases = ["nominal", "chaos", "heal", "drain", ""];
        if !phases.contains(&phase.as_str()) {
            return at(
                Some(objective.span()),
                &format!("no phase is called `{phase}`"),
                "phases: nominal, chaos, heal, drain; an empty text means the whole trial",
            );
        }
        let is_percentile = *percentile > 0.0 && *percentile < 100.0;
        let is_limit = *limit_ms > 0.0 && limit_ms.is_finite();
        if !is_percentile || !is_limit {
            return at(
                Some(objective.span()),
                "a percentile lies between 0 and 100 and a limit is above 0",
                "write percentile = 99.0, limit_ms = 200.0",
            );
        }
    }
    if file.seeds == 0 {
        return Err(Problem {
            what: "seeds is 0: nothing would run".into(),
            span: None,
            help: Some("write seeds = 3, or leave it out".into()),
        });
    }
    Ok(())
}

impl Scenario {
    /// What fault templates may draw from; `keys` are those of the drawn workload's commands.
    pub fn template_context(&self, keys: Vec<String>) -> TemplateContext {
        TemplateContext {
            services: host_names(self.topology.command_services),
            customers: vec!["customers".to_owned()],
            aws: vec!["dynamodb".to_owned()],
            keys,
            window_ms: self.phases.chaos_window_ms(),
            groups: vec![
                ("routers", self.bus.router_hosts()),
                ("projections", self.bus.projection_hosts()),
                ("notifiers", self.bus.notifier_hosts()),
                ("dlq-processors", self.bus.dlq_processor_hosts()),
                ("bus", self.bus.hosts()),
                ("streams", self.bus_endpoints(&["dynamodb-streams"])),
                ("kinesis", self.bus_endpoints(&["kinesis"])),
                ("queues", self.bus_endpoints(&["sns", "sqs"])),
                ("registry", if self.registry.is_asked { vec!["glue".to_owned()] } else { Vec::new() }),
            ],
        }
    }

    /// The endpoints' hosts, where there is a bus that uses them.
    fn bus_endpoints(&self, names: &[&str]) -> Vec<String> {
        if self.bus.is_there() { names.iter().map(|name| name.to_string()).collect() } else { Vec::new() }
    }
}

/// Names of the hosts that run the command service.
pub fn host_names(command_services: u32) -> Vec<String> {
    numbered("orders", command_services)
}

#[cfg(test)]
mod tests {
    use miette::{GraphicalReportHandler, GraphicalTheme};

    use super::*;

    const GOOD: &str = r#"
description = "One lost answer."

[workload]
operations_per_second = 20.0

[[faults]]
kind = "lost-answer"
count = [1, 3]
"#;

    fn rendered(text: &str) -> String {
        let error = parse("case", "scenarios/fast/case.toml", text).unwrap_err();
        let mut shown = String::new();
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_width(100)
            .render_report(&mut shown, &error)
            .unwrap();
        shown
    }

    #[test]
    fn a_short_file_is_filled_with_defaults() {
        let scenario = parse("case", "case.toml", GOOD).unwrap();
        assert_eq!(scenario.topology.command_services, 2);
        assert_eq!(scenario.workload.duration_ms, scenario.phases.arrivals_end_ms());
        assert_eq!(scenario.faults.len(), 1);
    }

    #[test]
    fn bad_files_are_explained_with_a_place() {
        let cases = [
            ("unknown_key", GOOD.replace("count", "cuont")),
            ("unknown_kind", GOOD.replace("lost-answer", "lost-mind")),
            ("wrong_type", GOOD.replace("[1, 3]", "\"many\"")),
            ("unknown_host", format!("{GOOD}hosts = [\"orders-9\"]\n")),
            ("backwards_range", GOOD.replace("[1, 3]", "[3, 1]")),
            ("syntax", GOOD.replace("kind = ", "kind ")),
            ("bad_schedule", format!("{GOOD}\n[schedule]\npauses_one_in = 50\n")),
            ("no_chaos", format!("{GOOD}\n[phases]\nchaos_ms = 0\n")),
            (
                "bad_phase",
                format!(
                    "{GOOD}\n[[objectives]]\nlatency = \"command\"\nphase = \"storm\"\npercentile = 99.0\nlimit_ms = 1.0\n"
                ),
            ),
        ];
        for (name, text) in cases {
            insta::assert_snapshot!(name, rendered(&text));
        }
    }
}
