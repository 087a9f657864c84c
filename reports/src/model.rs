//! The run record: what one run of the simulator found out, as data.
//!
//! Whatever a face shows is computed from this, so a record read back from a file shows the same. Only
//! `started_unix_ms`, the `wall_s` fields and `peak_memory_bytes` depend on the machine; all else is a function
//! of the trials.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    coverage::CoverageRow,
    dead_letters::{DeadLetterAccount, QueueAccount},
    exploration::Exploration,
    latencies::EncodedLatencies,
};

/// The version of the record's format that this crate writes and reads. It grows with every change of a field:
/// a reader that guesses at an unknown format would print wrong numbers with a straight face.
pub const FORMAT_VERSION: u32 = 4;

/// One run: all scenarios, all seeds, on one engine; or several runs merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    pub format_version: u32,
    /// Of the source tree, as version control names it; with a suffix if the tree was changed.
    pub revision: String,
    /// "turmoil" or "madsim"; after a merge of runs on both "turmoil+madsim".
    pub engine: String,
    /// The build profile: "sim", or "plain" where our own crates were not optimised.
    pub profile: String,
    /// When the run began, in milliseconds since 1970. Belongs into no hash and no comparison.
    pub started_unix_ms: u64,
    /// Real time that the run took. After a merge: the sum over the merged runs.
    #[serde(serialize_with = "six_decimals")]
    pub wall_s: f64,
    /// The seeds asked for, ascending.
    pub seeds: Vec<u64>,
    pub scenarios: Vec<ScenarioRecord>,
    pub determinism: Determinism,
    /// How the simulated AWS was made to take its time.
    pub latency_model: Vec<LatencyModelRow>,
    /// How each doubtful behaviour of AWS was assumed, and how many trials leaned on it.
    pub assumptions: Vec<Assumption>,
    /// Which engine can produce which fault kind: what cannot be produced is said, not skipped in silence.
    pub capabilities: Vec<Capability>,
    /// The documented behaviours of AWS that a trial may meet; [`TrialRecord::coverage`] tells which it met.
    pub coverage_rows: Vec<CoverageRow>,
    /// Bug files that the run wrote, besides those named by [`TrialRecord::bug_file`].
    pub bugs: Vec<String>,
    /// How trials were chosen and what that found; `None` if seeds alone chose them.
    pub exploration: Option<Exploration>,
}

impl RunRecord {
    /// An empty record of this format's version, to be filled by the runner.
    pub fn new(revision: impl Into<String>, engine: impl Into<String>, profile: impl Into<String>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            revision: revision.into(),
            engine: engine.into(),
            profile: profile.into(),
            started_unix_ms: 0,
            wall_s: 0.0,
            seeds: Vec::new(),
            scenarios: Vec::new(),
            determinism: Determinism::default(),
            latency_model: Vec::new(),
            assumptions: Vec::new(),
            capabilities: Vec::new(),
            coverage_rows: Vec::new(),
            bugs: Vec::new(),
            exploration: None,
        }
    }

    /// The engines that played a scenario, in the record's order.
    pub fn engines(&self) -> Vec<&str> {
        let mut engines: Vec<&str> = Vec::new();
        for scenario in &self.scenarios {
            if !engines.contains(&scenario.engine.as_str()) {
                engines.push(&scenario.engine);
            }
        }
        engines
    }

    /// What a face calls the scenario: its name, with the engine where the record has more than one.
    pub(crate) fn label(&self, scenario: &ScenarioRecord) -> String {
        match self.engines().len() {
            0 | 1 => scenario.name.clone(),
            _ => format!("{} ({})", scenario.name, scenario.engine),
        }
    }

    /// The same record without anything that the machine's real time and memory left in it: two runs of the same
    /// trials at the same revision are equal in this view.
    pub fn without_wall(&self) -> Self {
        let mut record = self.clone();
        record.started_unix_ms = 0;
        record.wall_s = 0.0;
        for trial in record.scenarios.iter_mut().flat_map(|scenario| &mut scenario.trials) {
            trial.wall_s = 0.0;
            trial.peak_memory_bytes = None;
        }
        record
    }
}

/// How many trials were run again in another process, and how many of them gave another trace hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Determinism {
    pub checked: u64,
    pub diverged: u64,
}

/// One row of the latency model of the simulated AWS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyModelRow {
    pub operation: String,
    #[serde(serialize_with = "six_decimals")]
    pub p50_ms: f64,
    #[serde(serialize_with = "six_decimals")]
    pub p90_ms: f64,
    #[serde(serialize_with = "six_decimals")]
    pub p99_ms: f64,
    /// Where the numbers come from.
    pub source: String,
}

/// A behaviour of AWS that its documentation leaves open, and how it was played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumption {
    pub name: String,
    pub value: String,
    /// Trials whose course touched this assumption.
    pub used: u64,
}

/// Whether an engine can produce a kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    pub fault_kind: String,
    pub engine: String,
    pub supported: bool,
    /// Why not, or with what limit; empty if there is nothing to say.
    pub note: String,
}

/// How dear a scenario is, which decides when it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Smoke,
    Fast,
    Slow,
    Regress,
}

impl Tier {
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Smoke => "smoke",
            Tier::Fast => "fast",
            Tier::Slow => "slow",
            Tier::Regress => "regress",
        }
    }
}

/// One scenario on one engine and its trials, one per seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioRecord {
    pub name: String,
    /// The engine that played all its trials: another one plays other trials from the same seeds.
    pub engine: String,
    pub tier: Tier,
    pub description: String,
    pub trials: Vec<TrialRecord>,
    /// Judged over all trials pooled; see [`ScenarioRecord::judge_objectives`].
    pub objectives: Vec<ObjectiveRecord>,
}

/// A bound on a percentile of a latency within a phase, pooled over the scenario's trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveRecord {
    /// Name of the latency, as in [`TrialRecord::latency`].
    pub latency: String,
    /// Name of the phase; empty for the whole trial.
    pub phase: String,
    /// Between 0 and 100, for example 99.0.
    #[serde(serialize_with = "six_decimals")]
    pub percentile: f64,
    #[serde(serialize_with = "six_decimals")]
    pub limit_ms: f64,
    /// `None` if no trial measured this latency in this phase; then the objective is not held either.
    #[serde(serialize_with = "six_decimals_if_any")]
    pub measured_ms: Option<f64>,
    pub held: bool,
}

impl ObjectiveRecord {
    /// An objective that nobody has judged yet.
    pub fn unjudged(latency: impl Into<String>, phase: impl Into<String>, percentile: f64, limit_ms: f64) -> Self {
        let (latency, phase) = (latency.into(), phase.into());
        Self { latency, phase, percentile, limit_ms, measured_ms: None, held: false }
    }
}

/// What a judge says. Unknown is never treated as failed, nor as held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Held,
    Broken,
    Inconclusive,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::Broken => "broken",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// One trial: a scenario played from one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialRecord {
    pub seed: u64,
    pub verdict: Verdict,
    /// Why, if the verdict is not that it held; empty otherwise.
    pub reason: String,
    pub trace_hash: String,
    pub checks: Vec<CheckRecord>,
    pub faults: Vec<FaultRecord>,
    pub goals: Vec<GoalRecord>,
    /// What became of the messages and of the parked aggregates; `None` if the scenario has no queue.
    pub dead_letters: Option<DeadLetterAccount>,
    /// The account of each queue and dead-letter queue by itself; empty if the scenario has none.
    pub queues: Vec<QueueAccount>,
    /// How often each coverage mark was met; see [`RunRecord::coverage_rows`].
    pub coverage: BTreeMap<String, u64>,
    /// Latency by name ("command", "read", "aws:TransactWriteItems", …), from the intended start, per phase. The names in
    /// [`crate::WAY_OF_AN_EVENT`] start elsewhere and have a table of their own.
    pub latency: BTreeMap<String, Vec<PhaseHistogram>>,
    /// Where the time of a latency went, per phase.
    pub shares: Vec<LatencyShares>,
    /// Single operations over time, down-sampled.
    pub series: Vec<Series>,
    pub phases: Vec<Phase>,
    pub aws_calls: u64,
    #[serde(serialize_with = "six_decimals")]
    pub simulated_s: f64,
    #[serde(serialize_with = "six_decimals")]
    pub wall_s: f64,
    pub peak_memory_bytes: Option<u64>,
    /// Where the bug report of this trial was written.
    pub bug_file: Option<String>,
}

impl TrialRecord {
    /// A trial of which only the verdict is known yet.
    pub fn new(seed: u64, verdict: Verdict, trace_hash: impl Into<String>) -> Self {
        Self {
            seed,
            verdict,
            reason: String::new(),
            trace_hash: trace_hash.into(),
            checks: Vec::new(),
            faults: Vec::new(),
            goals: Vec::new(),
            dead_letters: None,
            queues: Vec::new(),
            coverage: BTreeMap::new(),
            latency: BTreeMap::new(),
            shares: Vec::new(),
            series: Vec::new(),
            phases: Vec::new(),
            aws_calls: 0,
            simulated_s: 0.0,
            wall_s: 0.0,
            peak_memory_bytes: None,
            bug_file: None,
        }
    }

    /// The command that plays this trial again, if a bug report was written.
    pub fn replay_command(&self) -> Option<String> {
        self.bug_file.as_deref().map(replay_command)
    }
}

/// The command that replays a bug file, quoted for a POSIX shell where the path needs it.
pub fn replay_command(bug_file: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+=:,@%".contains(character);
    if !bug_file.is_empty() && bug_file.chars().all(plain) {
        format!("cargo xtask replay {bug_file}")
    } else {
        format!("cargo xtask replay '{}'", bug_file.replace('\'', r"'\''"))
    }
}

/// What one checker said of one trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRecord {
    pub name: String,
    pub outcome: Verdict,
    /// Things looked at (events, keys, histories). A check that held over nothing is vacuous.
    pub examined: u64,
    /// What broke, or why the check could not tell; empty if it held.
    pub message: String,
}

/// What a fault's kind promises of the system under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// No client may notice.
    Masked,
    /// Clients may be told, in a typed way.
    Detected,
    /// The damage is beyond what the system can answer for.
    Excused,
}

impl Contract {
    pub fn as_str(self) -> &'static str {
        match self {
            Contract::Masked => "masked",
            Contract::Detected => "detected",
            Contract::Excused => "excused",
        }
    }
}

/// A fault that a trial planned, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRecord {
    /// Unique within the trial.
    pub id: String,
    pub kind: String,
    /// The logical place: host, service, operation, key or command, nth match.
    pub address: String,
    pub contract: Contract,
    /// Milliseconds of simulated time since the trial's start, as all times of a trial.
    pub planned_from_ms: u64,
    pub planned_until_ms: u64,
    pub fired: u64,
    pub first_fired_ms: Option<u64>,
    /// When its last action ended; of a fault of the environment (a partition, a slow host) when it was lifted. `None` if it
    /// never fired.
    pub acted_until_ms: Option<u64>,
}

/// A rare state that the scenario's batch of trials should reach at least once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoalRecord {
    pub name: String,
    pub reached: bool,
}

/// The latencies of one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseHistogram {
    pub phase: String,
    pub histogram: EncodedLatencies,
}

/// Where the time of a latency went: each operation's latency = modelled + injected + own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyShares {
    /// Name of the latency, as in [`TrialRecord::latency`].
    pub latency: String,
    pub phase: String,
    /// Drawn from the latency model of the simulated AWS.
    pub modelled: EncodedLatencies,
    /// Added by faults.
    pub injected: EncodedLatencies,
    /// What the code under test added: queueing, computing, retries and their pauses.
    pub own: EncodedLatencies,
}

/// A stretch of a trial, in milliseconds of simulated time since its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    pub from_ms: u64,
    pub until_ms: u64,
}

/// Operations of one latency over time. See [`Series::sampled`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    pub latency: String,
    /// How many operations there were; more than `points` if the series was thinned out.
    pub recorded: u64,
    /// By intended start, ascending.
    pub points: Vec<Point>,
}

/// One operation. Written as `[start_us, latency_us, outcome]`, since a record holds many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The intended start, in microseconds of simulated time since the trial's start.
    pub start_us: u64,
    /// From the intended start to the answer, or to giving up.
    pub latency_us: u64,
    pub outcome: PointOutcome,
}

/// How an operation ended, in the words of the system's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointOutcome {
    Ok,
    Refused,
    Conflicted,
    Throttled,
    Unknown,
}

impl PointOutcome {
    pub const ALL: [PointOutcome; 5] = [Self::Ok, Self::Refused, Self::Conflicted, Self::Throttled, Self::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            PointOutcome::Ok => "ok",
            PointOutcome::Refused => "refused",
            PointOutcome::Conflicted => "conflicted",
            PointOutcome::Throttled => "throttled",
            PointOutcome::Unknown => "unknown",
        }
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.start_us, self.latency_us, self.outcome).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (start_us, latency_us, outcome) = Deserialize::deserialize(deserializer)?;
        Ok(Self { start_us, latency_us, outcome })
    }
}

/// Six decimals come back from JSON as the very same number, whichever parser reads them; seventeen may not. A number that
/// is none (NaN, infinite) is refused, since JSON would turn it into a null that cannot be read back.
fn six_decimals<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if !value.is_finite() {
        return Err(serde::ser::Error::custom(format!("{value} is not a finite number")));
    }
    serializer.serialize_f64(round_to_six_decimals(*value))
}

fn six_decimals_if_any<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => six_decimals(value, serializer),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn round_to_six_decimals(value: f64) -> f64 {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.is_finite() { rounded } else { value }
}
