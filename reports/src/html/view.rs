//! What the page's template prints, already in words.

use crate::{
    aggregate::{ScenarioSummary, ShareSummary, seeds_in_words},
    format,
    html::{charts::DRAWN_TRIALS, sections::sections},
    model::{RunRecord, ScenarioRecord, TrialRecord, Verdict},
    report::Report,
    series::interest,
    summary::{Outcome, Summary},
    tables::{self, Cell, Table, Tone, headline_latency, tally_in_words},
    terminal::trials_not_held,
};

/// Trials listed per scenario; a run of hundreds of seeds would make a page too long to scroll.
const LISTED_TRIALS: usize = 60;

/// Trials that did not hold, listed in full.
const LISTED_FAILURES: usize = 50;

/// Of these, so many are seen at once; the others would push the rest of the report out of sight.
const OPEN_FAILURES: usize = 4;

pub(super) struct View {
    pub(super) title: String,
    pub(super) outcome: &'static str,
    pub(super) outcome_tone: &'static str,
    pub(super) verdict: String,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) started_unix_ms: u64,
    pub(super) tiles: Vec<Tile>,
    pub(super) failures: Vec<Failure>,
    pub(super) folded_failures: Vec<Failure>,
    pub(super) failures_left_out: usize,
    pub(super) scenarios: Table,
    pub(super) scenario_details: Vec<ScenarioDetails>,
    pub(super) headline: String,
    pub(super) drawn_trials: usize,
    pub(super) shares: Vec<ShareBar>,
    pub(super) routing: Table,
    pub(super) way: Table,
    pub(super) sections: Vec<Section>,
}

/// One number that sums up the run.
pub(super) struct Tile {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
    pub(super) tone: &'static str,
}

/// A trial that did not hold.
pub(super) struct Failure {
    pub(super) scenario: String,
    pub(super) seed: u64,
    pub(super) verdict: Cell,
    pub(super) reason: String,
    pub(super) checks: Vec<(String, String)>,
    pub(super) trace_hash: String,
    pub(super) bug_file: Option<String>,
    pub(super) replay_command: Option<String>,
}

/// What a scenario's row unfolds.
pub(super) struct ScenarioDetails {
    pub(super) row: Vec<Cell>,
    pub(super) tier: &'static str,
    pub(super) description: String,
    pub(super) trials: Table,
    pub(super) trials_left_out: usize,
}

/// The mean of a latency, cut into parts.
pub(super) struct ShareBar {
    pub(super) scenario: String,
    pub(super) latency: String,
    pub(super) mean: String,
    pub(super) parts: Vec<SharePart>,
}

pub(super) struct SharePart {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) mean: String,
    pub(super) percent: String,
}

/// A table with its heading and what one must know to read it.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// For the bar of links.
    pub(super) short_title: &'static str,
    pub(super) note: String,
    /// For the style sheet.
    pub(super) class: &'static str,
    pub(super) table: Table,
}

impl View {
    pub(super) fn new(report: &Report) -> Self {
        let (record, summaries) = (report.record, report.scenarios());
        let (summary, outcome) = (report.summary(), report.outcome());
        let scenarios = tables::scenarios(record, summaries);
        let details =
            record.scenarios.iter().zip(&scenarios.rows).map(|(scenario, row)| details(scenario, row.clone()));
        let not_held = trials_not_held(record);
        let mut failures: Vec<Failure> = not_held
            .iter()
            .take(LISTED_FAILURES)
            .map(|(scenario, trial)| failure(record.label(scenario), trial))
            .collect();
        let folded_failures = failures.split_off(failures.len().min(OPEN_FAILURES));
        Self {
            title: format!("Nexus report: {} at {}", outcome.as_str(), record.revision),
            outcome: outcome.as_str(),
            outcome_tone: tone(outcome).as_str(),
            verdict: verdict_in_words(record, summaries, outcome),
            facts: facts(record),
            started_unix_ms: record.started_unix_ms,
            tiles: tiles(record, summaries, &summary),
            failures,
            folded_failures,
            failures_left_out: not_held.len().saturating_sub(LISTED_FAILURES),
            scenario_details: details.collect(),
            headline: headline_latency(summaries).unwrap_or("–").to_owned(),
            scenarios,
            drawn_trials: DRAWN_TRIALS,
            shares: summaries
                .iter()
                .flat_map(|summary| summary.shares.iter().map(|shares| share_bar(&summary.name, shares)))
                .collect(),
            routing: tables::routing(summaries),
            way: tables::way_of_an_event(summaries),
            sections: sections(record, summaries),
        }
    }
}

fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Held => Tone::Good,
        Outcome::Broken | Outcome::Diverged => Tone::Bad,
        Outcome::Inconclusive => Tone::Doubtful,
    }
}

fn verdict_in_words(record: &RunRecord, summaries: &[ScenarioSummary], outcome: Outcome) -> String {
    let missed = summaries
        .iter()
        .flat_map(|summary| &summary.objectives)
        .filter(|objective| crate::aggregate::objective_verdict(objective) == Verdict::Broken)
        .count() as u64;
    let mut words = tally_in_words(crate::summary::tally_over(summaries));
    if missed > 0 {
        words.push_str(&format!("; {} missed", format::plural(missed, "objective")));
    }
    if outcome == Outcome::Diverged {
        words.push_str(&format!("; {} diverged when run again", format::plural(record.determinism.diverged, "trial")));
    }
    words
}

fn facts(record: &RunRecord) -> Vec<(&'static str, String)> {
    vec![
        ("Revision", record.revision.clone()),
        ("Engine", record.engine.clone()),
        ("Profile", record.profile.clone()),
        ("Seeds", seeds_in_words(record.seeds.iter().copied(), 4)),
    ]
}

fn tiles(record: &RunRecord, summaries: &[ScenarioSummary], summary: &Summary) -> Vec<Tile> {
    let mut tiles = vec![trials_tile(summary), determinism_tile(summary), faults_tile(summaries, summary)];
    tiles.extend(latency_tile(summaries, summary));
    tiles.push(tile(
        "AWS calls",
        format::count(summary.aws_calls),
        "answered by the simulated AWS".to_owned(),
        Tone::Plain,
    ));
    tiles.push(time_tile(record, summary));
    tiles
}

fn tile(label: &'static str, value: String, note: String, tone: Tone) -> Tile {
    Tile { label, value, note, tone: tone.as_str() }
}

fn trials_tile(summary: &Summary) -> Tile {
    let tone = match (summary.failed, summary.inconclusive, summary.trials) {
        (0, 0, 1..) => Tone::Good,
        (0, ..) => Tone::Doubtful,
        _ => Tone::Bad,
    };
    let [trials, broken, inconclusive] = [summary.trials, summary.failed, summary.inconclusive].map(format::count);
    let note = format!("of {trials}; {broken} broken, {inconclusive} inconclusive");
    tile("Trials held", format::count(summary.passed), note, tone)
}

fn determinism_tile(summary: &Summary) -> Tile {
    let determinism = summary.determinism;
    let tone = if determinism.diverged > 0 { Tone::Bad } else { Tone::Plain };
    let (value, note) = match determinism.checked {
        0 => ("–".to_owned(), "not checked".to_owned()),
        checked => {
            let diverged = format::count(determinism.diverged);
            let same = format::count(checked.saturating_sub(determinism.diverged));
            (same, format!("of {} run again; {diverged} diverged", format::count(checked)))
        }
    };
    tile("Same trace again", value, note, tone)
}

fn faults_tile(summaries: &[ScenarioSummary], summary: &Summary) -> Tile {
    let firings: u64 = summary.faults_fired.values().sum();
    let not_fired: u64 = summaries.iter().flat_map(|summary| &summary.faults).map(|fault| fault.not_fired()).sum();
    let note = format!("{} planned and never fired", format::count(not_fired));
    tile("Faults fired", format::count(firings), note, Tone::Plain)
}

fn latency_tile(summaries: &[ScenarioSummary], summary: &Summary) -> Option<Tile> {
    let (name, latency) = summary.latency.get_key_value(headline_latency(summaries)?)?;
    let [p50, p99, p999] = [latency.p50_ms, latency.p99_ms, latency.p999_ms].map(format::milliseconds);
    let note = format!("{name}: p50 {p50} ms, p99.9 {p999} ms");
    Some(tile("p99 of all scenarios", format!("{p99} ms"), note, Tone::Plain))
}

fn time_tile(record: &RunRecord, summary: &Summary) -> Tile {
    let speed = if record.wall_s > 0.0 { summary.simulated_s / record.wall_s } else { 0.0 };
    let wall = format::seconds(record.wall_s);
    let note = format!("in {wall} of wall time, {}× as fast", format::count(speed.round() as u64));
    tile("Simulated time", format::seconds(summary.simulated_s), note, Tone::Plain)
}

fn failure(scenario: String, trial: &TrialRecord) -> Failure {
    let broken = trial.checks.iter().filter(|check| check.outcome != Verdict::Held);
    Failure {
        scenario,
        seed: trial.seed,
        verdict: tables::toned(trial.verdict.as_str(), trial.verdict),
        reason: trial.reason.clone(),
        checks: broken.map(|check| (check.name.clone(), check.message.clone())).collect(),
        trace_hash: trial.trace_hash.clone(),
        bug_file: trial.bug_file.clone(),
        replay_command: trial.replay_command(),
    }
}

fn details(scenario: &ScenarioRecord, row: Vec<Cell>) -> ScenarioDetails {
    let mut trials: Vec<&TrialRecord> = scenario.trials.iter().collect();
    trials.sort_by_key(|trial| interest(trial.verdict, trial.seed));
    let mut table = Table::new([
        tables::text("seed"),
        tables::text("verdict"),
        tables::number("faults fired"),
        tables::number("planned"),
        tables::number("AWS calls"),
        tables::number("simulated"),
        tables::number("wall"),
        tables::number("peak memory"),
        tables::text("trace hash"),
    ]);
    table.rows = trials.iter().take(LISTED_TRIALS).map(|trial| trial_row(trial)).collect();
    ScenarioDetails {
        row,
        tier: scenario.tier.as_str(),
        description: scenario.description.clone(),
        trials: table,
        trials_left_out: trials.len().saturating_sub(LISTED_TRIALS),
    }
}

fn trial_row(trial: &TrialRecord) -> Vec<Cell> {
    let fired = trial.faults.iter().filter(|fault| fault.fired > 0).count() as u64;
    let words = [
        format::count(fired),
        format::count(trial.faults.len() as u64),
        format::count(trial.aws_calls),
        format::seconds(trial.simulated_s),
        format::seconds(trial.wall_s),
        trial.peak_memory_bytes.map_or("–".to_owned(), format::bytes),
        trial.trace_hash.clone(),
    ];
    let mut row = vec![tables::plain(trial.seed.to_string()), tables::toned(trial.verdict.as_str(), trial.verdict)];
    row.extend(words.map(tables::plain));
    row
}

fn share_bar(scenario: &str, shares: &ShareSummary) -> ShareBar {
    let means_ms = shares.means_ms();
    let total_ms: f64 = means_ms.iter().sum();
    let names = [("modelled AWS", "modelled"), ("injected by faults", "injected"), ("own", "own")];
    let part = |((name, class), mean_ms): (_, f64)| SharePart {
        name,
        class,
        mean: format!("{} ms", format::milliseconds(Some(mean_ms))),
        percent: format!("{:.2}", if total_ms > 0.0 { 100.0 * mean_ms / total_ms } else { 0.0 }),
    };
    ShareBar {
        scenario: scenario.to_owned(),
        latency: shares.latency.clone(),
        mean: format!("{} ms", format::milliseconds(Some(total_ms))),
        parts: names.into_iter().zip(means_ms).map(part).collect(),
    }
}
