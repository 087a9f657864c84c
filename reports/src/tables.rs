//! The run's tables, apart from how a face draws them: terminal and HTML show the same rows.

use std::collections::BTreeMap;

use crate::{
    aggregate::{ScenarioSummary, Tally, checks_over, faults_over, objective_verdict, seeds_in_words},
    coverage::CoverageTable,
    dead_letters::DeadLetterAccount,
    format,
    model::{Capability, RunRecord, Verdict},
};

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

    fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
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

fn count(number: u64) -> Cell {
    plain(format::count(number))
}

fn milliseconds(ms: f64) -> Cell {
    plain(format::milliseconds(Some(ms)))
}

/// A number that calls for a look unless it is zero.
fn count_with_tone(number: u64, tone: Tone) -> Cell {
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

pub(crate) fn faults(summaries: &[ScenarioSummary]) -> Table {
    let mut table = Table::new([
        text("fault"),
        text("contract"),
        number("planned"),
        number("fired"),
        number("not fired"),
        number("times fired"),
    ]);
    for fault in faults_over(summaries) {
        table.push([
            plain(&fault.kind),
            plain(fault.contract.as_str()),
            count(fault.planned),
            count(fault.fired),
            count_with_tone(fault.not_fired(), Tone::Doubtful),
            count(fault.firings),
        ]);
    }
    table
}

/// Fault kinds against engines.
pub(crate) fn capabilities(record: &RunRecord) -> Table {
    let mut engines: Vec<&str> = record.capabilities.iter().map(|capability| capability.engine.as_str()).collect();
    engines.sort_unstable();
    engines.dedup();
    let mut by_kind: BTreeMap<&str, BTreeMap<&str, Cell>> = BTreeMap::new();
    for capability in &record.capabilities {
        by_kind.entry(&capability.fault_kind).or_default().insert(&capability.engine, capability_in_words(capability));
    }
    let mut table = Table::new([text("fault")].into_iter().chain(engines.iter().map(|engine| text(*engine))));
    for (kind, mut by_engine) in by_kind {
        let cells = engines.iter().map(|engine| by_engine.remove(engine).unwrap_or_else(|| plain("–")));
        table.push([plain(kind)].into_iter().chain(cells));
    }
    table
}

/// "full", "approximate: …", "none: …".
fn capability_in_words(capability: &Capability) -> Cell {
    let note = &capability.note;
    match (capability.supported, note.is_empty()) {
        (true, true) => toned("full", Tone::Good),
        (true, false) => plain(format!("approximate: {note}")),
        (false, true) => toned("none", Tone::Doubtful),
        (false, false) => toned(format!("none: {note}"), Tone::Doubtful),
    }
}

/// The latencies that follow an event, with the parts of those that have some.
pub(crate) fn way_of_an_event(summaries: &[ScenarioSummary]) -> Table {
    let mut table = Table::new([
        text("scenario"),
        text("latency"),
        text("phase"),
        number("count"),
        number("p50 ms"),
        number("p99 ms"),
        number("p99.9 ms"),
        number("AWS ms"),
        number("injected ms"),
        number("own ms"),
        number("own p99 ms"),
    ]);
    for summary in summaries {
        for step in summary.way_of_an_event() {
            let percentiles_ms = [50.0, 99.0, 99.9].map(|percentile| step.latencies.percentile_ms(percentile));
            let parts_ms = match step.shares {
                Some(shares) => {
                    let [modelled_ms, injected_ms, own_ms] = shares.means_ms().map(Some);
                    [modelled_ms, injected_ms, own_ms, shares.own.p99_ms()]
                }
                None => [None; 4],
            };
            let names = [plain(&summary.name), plain(step.latency), plain(step.phase), count(step.latencies.count())];
            let numbers = percentiles_ms.into_iter().chain(parts_ms).map(|ms| plain(format::milliseconds(ms)));
            table.push(names.into_iter().chain(numbers));
        }
    }
    table
}

/// What became of messages and parked aggregates, by scenario.
pub(crate) fn dead_letters(summaries: &[ScenarioSummary]) -> Table {
    let names = DeadLetterAccount::default().counts().map(|(name, _)| name);
    let columns = [text("scenario")].into_iter().chain(names.map(number)).chain([text("balances")]);
    let mut table = Table::new(columns);
    for (summary, total) in summaries.iter().filter_map(|summary| Some((summary, summary.dead_letters.as_ref()?))) {
        let counts = total.account.counts().map(|(name, number)| match name {
            "expired" | "left" | "still parked" => count_with_tone(number, Tone::Doubtful),
            _ => count(number),
        });
        let balances = if total.balances() {
            toned("yes", Tone::Good)
        } else {
            toned(format!("not in {} of {}", total.unbalanced, format::plural(total.trials, "trial")), Tone::Bad)
        };
        table.push([plain(&summary.name)].into_iter().chain(counts).chain([balances]));
    }
    table
}

/// Every documented behaviour with the scenarios that met it, for faces too narrow for a matrix.
pub(crate) fn coverage_list(coverage: &CoverageTable) -> Table {
    let mut table = Table::new([text("section"), text("row"), number("times"), text("met in")]);
    for row in &coverage.rows {
        let met = coverage.scenarios.iter().zip(&row.counts).filter(|(_, number)| **number > 0);
        let met: Vec<String> = met.map(|(scenario, number)| format!("{scenario} {}", format::count(*number))).collect();
        let met = if met.is_empty() { toned("never", Tone::Doubtful) } else { plain(met.join(", ")) };
        table.push([plain(&row.section), plain(&row.row), count_with_doubt_at_zero(row.total()), met]);
    }
    table
}

/// Every documented behaviour against every scenario; a cell is empty where no trial met it.
pub(crate) fn coverage_matrix(coverage: &CoverageTable) -> Table {
    let scenarios = coverage.scenarios.iter().map(number);
    let mut table =
        Table::new([text("section"), text("row"), text("behaviour"), number("all")].into_iter().chain(scenarios));
    for row in &coverage.rows {
        let names = [plain(&row.section), plain(&row.row), plain(&row.text), count_with_doubt_at_zero(row.total())];
        let cells = row.counts.iter().map(|number| if *number == 0 { plain("") } else { count(*number) });
        table.push(names.into_iter().chain(cells));
    }
    table
}

/// "41 of 52 documented behaviours were met".
pub(crate) fn coverage_in_words(coverage: &CoverageTable) -> String {
    let verb = if coverage.covered() == 1 { "was" } else { "were" };
    format!(
        "{} of {} {verb} met",
        coverage.covered(),
        format::plural(coverage.rows.len() as u64, "documented behaviour")
    )
}

fn count_with_doubt_at_zero(number: u64) -> Cell {
    toned(format::count(number), if number == 0 { Tone::Doubtful } else { Tone::Plain })
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

pub(crate) fn goals(summaries: &[ScenarioSummary]) -> Table {
    let mut table = Table::new([text("scenario"), text("rare state"), number("trials"), number("reached in")]);
    for (summary, goal) in summaries.iter().flat_map(|summary| summary.goals.iter().map(move |goal| (summary, goal))) {
        let tone = if goal.reached == 0 { Tone::Doubtful } else { Tone::Plain };
        let reached = if goal.reached == 0 { "none".to_owned() } else { format::count(goal.reached) };
        table.push([plain(&summary.name), plain(&goal.name), count(goal.trials), toned(reached, tone)]);
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
