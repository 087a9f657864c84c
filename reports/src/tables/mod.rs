//! The run's tables, apart from how a face draws them: terminal and HTML show the same rows.

mod bus;
mod exploration;
mod reach;

use std::collections::BTreeMap;

use crate::{
    aggregate::{ScenarioSummary, Tally, objective_verdict, seeds_in_words},
    format,
    model::{RunRecord, Verdict},
    totals::checks_over,
};

pub(crate) use bus::{dead_letters, queues, routing, way_of_an_event};
pub(crate) use exploration::{exploration, exploration_in_words};
pub(crate) use reach::{coverage_in_words, coverage_list, coverage_matrix, engines, faults, goals};

/// Rows under named columns.
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) is_number: bool,
}

/// A text and what it means for the reader's mood.
#[derive(Clone)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Doubtful,
}

impl Tone {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Doubtful => "doubtful",
        }
    }
}

impl From<Verdict> for Tone {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Held => Tone::Good,
            Verdict::Broken => Tone::Bad,
            Verdict::Inconclusive => Tone::Doubtful,
        }
    }
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.rows.push(row.into_iter().collect());
    }
}

pub(crate) fn text(title: impl Into<String>) -> Column {
    Column { title: title.into(), is_number: false }
}

pub(crate) fn number(title: impl Into<String>) -> Column {
    Column { title: title.into(), is_number: true }
}

pub(crate) fn plain(text: impl Into<String>) -> Cell {
    toned(text, Tone::Plain)
}

pub(crate) fn toned(text: impl Into<String>, tone: impl Into<Tone>) -> Cell {
    Cell { text: text.into(), tone: tone.into() }
}

pub(crate) fn count(number: u64) -> Cell {
    plain(format::count(number))
}

pub(crate) fn milliseconds(ms: f64) -> Cell {
    plain(format::milliseconds(Some(ms)))
}

/// A number that calls for a look unless it is zero.
pub(crate) fn count_with_tone(number: u64, tone: Tone) -> Cell {
    toned(format::count(number), if number > 0 { tone } else { Tone::Plain })
}

/// "28 trials: 26 held, 1 broken, 1 inconclusive".
pub(crate) fn tally_in_words(tally: Tally) -> String {
    let trials = format::plural(tally.total(), "trial");
    let [held, broken, inconclusive] = [tally.held, tally.broken, tally.inconclusive].map(format::count);
    format!("{trials}: {held} held, {broken} broken, {inconclusive} inconclusive")
}

/// "held", "1 of 8 broken", "2 of 8 inconclusive", "objective missed".
pub(crate) fn verdict_in_words(summary: &ScenarioSummary) -> String {
    let (tally, total) = (summary.trials, summary.trials.total());
    match summary.verdict() {
        Verdict::Held => "held".to_owned(),
        Verdict::Broken if tally.broken > 0 => format!("{} of {total} broken", tally.broken),
        Verdict::Broken => "objective missed".to_owned(),
        Verdict::Inconclusive if total == 0 => "no trial".to_owned(),
        Verdict::Inconclusive if tally.inconclusive > 0 => format!("{} of {total} inconclusive", tally.inconclusive),
        Verdict::Inconclusive => "objective unmeasured".to_owned(),
    }
}

/// The one latency of the scenario table: what most scenarios would put into their one line.
pub(crate) fn headline_latency(summaries: &[ScenarioSummary]) -> Option<&str> {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in summaries.iter().filter_map(ScenarioSummary::headline_latency) {
        *votes.entry(name).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(name, votes)| (*votes, std::cmp::Reverse(*name))).map(|(name, _)| name)
}

pub(crate) fn scenarios(record: &RunRecord, summaries: &[ScenarioSummary]) -> Table {
    let mut table = Table::new([
        text("scenario"),
        text("seeds"),
        text("verdict"),
        number("faults fired"),
        number("p50 ms"),
        number("p99 ms"),
        number("p99.9 ms"),
        number("simulated"),
        number("wall"),
        number("AWS calls"),
    ]);
    let headline = headline_latency(summaries);
    for (scenario, summary) in record.scenarios.iter().zip(summaries) {
        let latency = headline.and_then(|name| summary.latency.get(name));
        let of_latency =
            |percentile: f64| plain(format::milliseconds(latency.and_then(|it| it.percentile_ms(percentile))));
        table.push([
            plain(&summary.name),
            plain(seeds_in_words(scenario.trials.iter().map(|trial| trial.seed), 3)),
            toned(verdict_in_words(summary), summary.verdict()),
            count(summary.firings()),
            of_latency(50.0),
            of_latency(99.0),
            of_latency(99.9),
            plain(format::seconds(summary.simulated_s)),
            plain(format::seconds(summary.wall_s)),
            count(summary.aws_calls),
        ]);
    }
    table
}

pub(crate) fn shares(summaries: &[ScenarioSummary]) -> Table {
    let mut table = Table::new([
        text("scenario"),
        text("latency"),
        number("mean ms"),
        number("modelled AWS ms"),
        number("injected ms"),
        number("own ms"),
    ]);
    for (summary, shares) in
        summaries.iter().flat_map(|summary| summary.shares.iter().map(move |shares| (summary, shares)))
    {
        let means_ms = shares.means_ms();
        let names = [plain(&summary.name), plain(&shares.latency), milliseconds(means_ms.iter().sum())];
        table.push(names.into_iter().chain(means_ms.map(milliseconds)));
    }
    table
}

pub(crate) fn checks(summaries: &[ScenarioSummary]) -> Table {
    let mut table = Table::new([
        text("check"),
        number("trials"),
        number("examined"),
        number("broken"),
        number("inconclusive"),
        text("verdict"),
    ]);
    for check in checks_over(summaries) {
        let verdict = match (check.trials.verdict(), check.is_vacuous()) {
            (Verdict::Held, true) => toned("vacuous: examined nothing", Tone::Doubtful),
            (verdict, _) => toned(verdict.as_str(), verdict),
        };
        table.push([
            plain(&check.name),
            count(check.trials.total()),
            count(check.examined),
            count_with_tone(check.trials.broken, Tone::Bad),
            count_with_tone(check.trials.inconclusive, Tone::Doubtful),
            verdict,
        ]);
    }
    table
}

pub(crate) fn objectives(summaries: &[ScenarioSummary]) -> Table {
    let mut table =
        Table::new([text("scenario"), text("objective"), number("limit ms"), number("measured ms"), text("verdict")]);
    for (summary, objective) in
        summaries.iter().flat_map(|summary| summary.objectives.iter().map(move |objective| (summary, objective)))
    {
        let phase = if objective.phase.is_empty() { "all phases" } else { &objective.phase };
        let verdict = objective_verdict(objective);
        let in_words = match verdict {
            Verdict::Held => "held",
            Verdict::Broken => "missed",
            Verdict::Inconclusive => "unmeasured",
        };
        table.push([
            plain(&summary.name),
            plain(format!("{} {}, {phase}", objective.latency, format::percentile(objective.percentile))),
            milliseconds(objective.limit_ms),
            plain(format::milliseconds(objective.measured_ms)),
            toned(in_words, verdict),
        ]);
    }
    table
}

pub(crate) fn latency_model(record: &RunRecord) -> Table {
    let mut table =
        Table::new([text("operation"), number("p50 ms"), number("p90 ms"), number("p99 ms"), text("source")]);
    for row in &record.latency_model {
        table.push([
            plain(&row.operation),
            milliseconds(row.p50_ms),
            milliseconds(row.p90_ms),
            milliseconds(row.p99_ms),
            plain(&row.source),
        ]);
    }
    table
}

pub(crate) fn assumptions(record: &RunRecord) -> Table {
    let mut table = Table::new([text("assumption"), text("value"), number("trials that used it")]);
    for assumption in &record.assumptions {
        table.push([plain(&assumption.name), plain(&assumption.value), count(assumption.used)]);
    }
    table
}
