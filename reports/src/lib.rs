//! The run record and its faces: terminal, JSON, HTML, JUnit, Markdown.
//!
//! A leaf of the workspace: it knows neither the system nor the simulator. A runner fills a [`RunRecord`]; whatever is shown is
//! computed from it.
#![forbid(unsafe_code)]

mod aggregate;
mod ci;
mod coverage;
mod dead_letters;
mod diff;
mod engines;
mod exploration;
mod format;
mod html;
mod json;
mod junit;
mod latencies;
mod markdown;
mod merge;
mod model;
mod report;
mod series;
mod summary;
mod tables;
mod terminal;
mod totals;
mod way;

pub use aggregate::{
    CheckSummary, DeadLetterSummary, FaultSummary, GoalSummary, QueueSummary, ScenarioSummary, ShareSummary, Tally,
    objective_verdict, seeds_in_words,
};
pub use coverage::{CoverageCount, CoverageRow, CoverageTable, coverage_table};
pub use dead_letters::{DeadLetterAccount, QueueAccount};
pub use diff::{
    CallsDiff, Diff, DiffOutcome, FEWEST_SEEDS, Growth, LatencyDiff, LatencyPart, NOTABLE_CHANGE, NOTABLE_CHANGE_CALLS,
    NOTABLE_CHANGE_MS, NOTABLE_OWN_CHANGE_MS, OwnShareDiff, OwnStatistic, PairedVerdict, RunName, ScenarioDiff,
};
pub use engines::{EngineFault, engines_json};
pub use exploration::{Exploration, ProgressRecord, ShareFound};
pub use html::HtmlError;
pub use json::{ReadError, WriteError};
pub use latencies::{CurvePoint, EncodedLatencies, HistogramError, LONGEST_US, Latencies};
pub use markdown::{coverage_markdown, engines_markdown};
pub use merge::MergeError;
pub use model::{
    Assumption, Capability, CheckRecord, Contract, Determinism, FORMAT_VERSION, FaultRecord, GoalRecord,
    LatencyModelRow, LatencyShares, ObjectiveRecord, Phase, PhaseHistogram, Point, PointOutcome, RunRecord,
    ScenarioRecord, Series, Tier, TrialRecord, Verdict, replay_command,
};
pub use report::Report;
pub use summary::{
    CoverageSummary, DeadLetterTotals, INCONCLUSIVE_SHARE_LIMIT, LatencySummary, Outcome, RoutingSummary, Summary,
};
pub use terminal::TerminalOptions;
pub use way::{WAY_OF_AN_EVENT, WayOfAnEvent};
