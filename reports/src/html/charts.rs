//! What the page's charts draw, as JSON for its script.

use serde::{Serialize, Serializer};

use crate::{
    aggregate::{ScenarioSummary, objective_verdict},
    model::{FaultRecord, ObjectiveRecord, Phase, Point, PointOutcome, RunRecord, ScenarioRecord, Series, TrialRecord},
    series::interest,
    way::WAY_OF_AN_EVENT,
};

/// Trials per scenario whose operations are drawn over time: broken ones first, then inconclusive ones, then low seeds.
pub(crate) const DRAWN_TRIALS: usize = 4;

/// Points on the whole page. Some fifteen bytes each, they would otherwise make up the file.
const POINT_BUDGET: usize = 60_000;

/// Of one series, however much room there is: more dots than this only overlap.
const POINTS_PER_SERIES: usize = 1_500;

/// Of one series, however many there are: fewer would show no shape.
const FEWEST_POINTS_PER_SERIES: usize = 80;

const CURVE_POINTS_PER_DECADE: u32 = 24;

#[derive(Serialize)]
pub(crate) struct Charts<'a> {
    outcomes: [&'static str; 5],
    way: [&'static str; 4],
    scenarios: Vec<ScenarioCharts<'a>>,
}

#[derive(Serialize)]
struct ScenarioCharts<'a> {
    name: &'a str,
    headline: Option<&'a str>,
    curves: Vec<Curve<'a>>,
    way_parts: Vec<WayParts<'a>>,
    /// Bounds on the latencies of the way.
    bounds: Vec<Bound<'a>>,
    trials: Vec<TrialChart<'a>>,
}

#[derive(Serialize)]
struct Curve<'a> {
    latency: &'a str,
    /// `None` over all phases.
    phase: Option<&'a str>,
    count: u64,
    /// How many nines the quantile has (1 for p90, 2 for p99, …), and milliseconds.
    points: Vec<(Decimals<4>, Decimals<3>)>,
}

/// Where the time of a latency along the way of an event went in one phase.
#[derive(Serialize)]
struct WayParts<'a> {
    latency: &'a str,
    phase: &'a str,
    /// Modelled, injected and own.
    means_ms: [Decimals<3>; 3],
}

/// What an objective demands of a latency in a phase.
#[derive(Serialize)]
struct Bound<'a> {
    latency: &'a str,
    phase: &'a str,
    percentile: Decimals<3>,
    limit_ms: Decimals<3>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct TrialChart<'a> {
    seed: u64,
    verdict: &'static str,
    phases: &'a [Phase],
    faults: &'a [FaultRecord],
    series: Vec<SeriesChart<'a>>,
}

#[derive(Serialize)]
struct SeriesChart<'a> {
    latency: &'a str,
    recorded: u64,
    /// Seconds since the trial's start, milliseconds, index into `outcomes`.
    points: Vec<(Decimals<3>, Decimals<3>, usize)>,
}

/// A number written with at most so many decimals.
struct Decimals<const DIGITS: i32>(f64);

impl<const DIGITS: i32> Serialize for Decimals<DIGITS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scale = 10_f64.powi(DIGITS);
        serializer.serialize_f64((self.0 * scale).round() / scale)
    }
}

impl<'a> Charts<'a> {
    pub(crate) fn new(record: &'a RunRecord, summaries: &'a [ScenarioSummary]) -> Self {
        let drawn: Vec<Vec<&TrialRecord>> = record.scenarios.iter().map(drawn_trials).collect();
        let series = drawn.iter().flatten().map(|trial| trial.series.len()).sum::<usize>();
        let cap = (POINT_BUDGET / series.max(1)).clamp(FEWEST_POINTS_PER_SERIES, POINTS_PER_SERIES);
        let of_scenario = |(summary, trials): (&'a ScenarioSummary, Vec<&'a TrialRecord>)| ScenarioCharts {
            name: &summary.name,
            headline: summary.headline_latency().map(|(name, _)| name),
            curves: curves(summary),
            way_parts: way_parts(summary),
            bounds: bounds(summary),
            trials: trials.into_iter().map(|trial| trial_chart(trial, cap)).collect(),
        };
        Self {
            way: WAY_OF_AN_EVENT,
            outcomes: PointOutcome::ALL.map(PointOutcome::as_str),
            scenarios: summaries.iter().zip(drawn).map(of_scenario).collect(),
        }
    }

    /// JSON that may stand inside a script element: no `<` can close it, no line separator breaks it.
    pub(crate) fn to_embedded_json(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        let mut embedded = String::with_capacity(json.len());
        for character in json.chars() {
            match character {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    embedded.push_str(&format!("\\u{:04x}", u32::from(character)));
                }
                _ => embedded.push(character),
            }
        }
        Ok(embedded)
    }
}

fn drawn_trials(scenario: &ScenarioRecord) -> Vec<&TrialRecord> {
    let mut trials: Vec<&TrialRecord> = scenario.trials.iter().filter(|trial| !trial.series.is_empty()).collect();
    trials.sort_by_key(|trial| interest(trial.verdict, trial.seed));
    trials.truncate(DRAWN_TRIALS);
    trials
}

fn curves(summary: &ScenarioSummary) -> Vec<Curve<'_>> {
    let mut curves = Vec::new();
    for (latency, pooled) in &summary.latency {
        let phases = summary.latency_by_phase.get(latency).into_iter().flatten();
        let by_phase = phases.map(|(phase, latencies)| (Some(phase.as_str()), latencies));
        for (phase, latencies) in [(None, pooled)].into_iter().chain(by_phase) {
            let points = latencies.curve(CURVE_POINTS_PER_DECADE);
            let nines = |quantile: f64| Decimals(-(1.0 - quantile).log10());
            let points = points.iter().map(|point| (nines(point.quantile), Decimals(point.latency_ms))).collect();
            curves.push(Curve { latency, phase, count: latencies.count(), points });
        }
    }
    curves
}

fn way_parts(summary: &ScenarioSummary) -> Vec<WayParts<'_>> {
    let mut parts = Vec::new();
    // The command is the way's first step, though it is shown among the customers' latencies as well.
    for (phase, _) in summary.latency_by_phase.get("command").into_iter().flatten() {
        if let Some(shares) = summary.shares_by_phase.get(&("command".to_owned(), phase.clone())) {
            parts.push(WayParts { latency: "command", phase, means_ms: shares.means_ms().map(Decimals) });
        }
    }
    for step in summary.way_of_an_event() {
        if let Some(shares) = step.shares {
            let means_ms = shares.means_ms().map(Decimals);
            parts.push(WayParts { latency: step.latency, phase: step.phase, means_ms });
        }
    }
    parts
}

fn bounds(summary: &ScenarioSummary) -> Vec<Bound<'_>> {
    summary.objectives.iter().map(bound).collect()
}

fn bound(objective: &ObjectiveRecord) -> Bound<'_> {
    Bound {
        latency: &objective.latency,
        phase: &objective.phase,
        percentile: Decimals(objective.percentile),
        limit_ms: Decimals(objective.limit_ms),
        verdict: objective_verdict(objective).as_str(),
    }
}

fn trial_chart(trial: &TrialRecord, cap: usize) -> TrialChart<'_> {
    TrialChart {
        seed: trial.seed,
        verdict: trial.verdict.as_str(),
        phases: &trial.phases,
        faults: &trial.faults,
        series: trial.series.iter().map(|series| series_chart(series, cap)).collect(),
    }
}

fn series_chart(series: &Series, cap: usize) -> SeriesChart<'_> {
    let drawn = |point: &Point| {
        let outcome = PointOutcome::ALL.iter().position(|outcome| *outcome == point.outcome).unwrap_or_default();
        (Decimals(point.start_us as f64 / 1e6), Decimals(point.latency_us as f64 / 1e3), outcome)
    };
    SeriesChart {
        latency: &series.latency,
        recorded: series.recorded,
        points: series.thinned(cap).points.iter().map(drawn).collect(),
    }
}
