//! The run as text for a terminal.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, TableComponent, presets::NOTHING};

use crate::{
    aggregate::{ScenarioSummary, Tally, checks_over, faults_over, objective_verdict, seeds_in_words},
    format,
    model::{RunRecord, ScenarioRecord, TrialRecord, Verdict},
    series::interest,
    summary::{Outcome, tally_over},
};

/// At most so many trials that did not hold are listed in full; the rest are counted.
const LISTED_TRIALS: usize = 20;

/// How to write for a terminal. Nothing is asked of the terminal itself, so the same record gives the same text.
#[derive(Clone, Copy, Debug)]
pub struct TerminalOptions<'a> {
    /// Whether to colour by ANSI escapes.
    pub colour: bool,
    /// In columns.
    pub width: u16,
    /// Where the HTML report was written.
    pub html: Option<&'a str>,
}

impl Default for TerminalOptions<'_> {
    fn default() -> Self {
        Self { colour: false, width: 120, html: None }
    }
}

impl RunRecord {
    /// The whole report as text that ends with a line break.
    pub fn terminal(&self, options: &TerminalOptions) -> String {
        let summaries = self.summaries();
        let pen = Pen { colour: options.colour, width: options.width };
        let parts = [
            headline(self, &summaries, &pen),
            scenario_table(self, &summaries, &pen),
            share_table(&summaries, &pen),
            check_table(&summaries, &pen),
            fault_table(self, &summaries, &pen),
            objective_table(&summaries, &pen),
            goals(&summaries, &pen),
            latency_model(self, &pen),
            assumptions(self, &pen),
            failing_trials(self, &pen),
            options.html.map(|path| format!("Report: {}\n", format::printable(path))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

/// Knows whether to colour and how wide to write.
pub(crate) struct Pen {
    pub(crate) colour: bool,
    pub(crate) width: u16,
}

impl Pen {
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    pub(crate) fn title(&self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    pub(crate) fn table(&self, columns: &[Column]) -> Table {
        let mut table = Table::new();
        table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width);
        table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(columns.iter().map(|column| self.cell(column.title).add_attribute(Attribute::Bold)));
        for (cells, column) in table.column_iter_mut().zip(columns) {
            cells.set_padding((0, 1));
            if column.is_number {
                cells.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    pub(crate) fn cell(&self, text: impl AsRef<str>) -> Cell {
        Cell::new(format::printable(text.as_ref()))
    }

    pub(crate) fn coloured_cell(&self, text: impl AsRef<str>, colour: Color) -> Cell {
        let cell = self.cell(text);
        if self.colour { cell.fg(colour) } else { cell }
    }

    pub(crate) fn verdict(&self, verdict: Verdict, text: impl AsRef<str>) -> Cell {
        let colour = match verdict {
            Verdict::Held => Color::Green,
            Verdict::Broken => Color::Red,
            Verdict::Inconclusive => Color::Yellow,
        };
        self.coloured_cell(text, colour)
    }
}

pub(crate) struct Column {
    title: &'static str,
    is_number: bool,
}

pub(crate) const fn text(title: &'static str) -> Column {
    Column { title, is_number: false }
}

pub(crate) const fn number(title: &'static str) -> Column {
    Column { title, is_number: true }
}

fn section(pen: &Pen, title: &str, table: &Table) -> Option<String> {
    (table.row_count() > 0).then(|| format!("{}\n{}\n", pen.title(title), table.trim_fmt()))
}

fn headline(record: &RunRecord, summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let outcome = record.outcome_of(summaries);
    let colour = match outcome {
        Outcome::Held => AnsiColor::Green,
        Outcome::Broken | Outcome::Diverged => AnsiColor::Red,
        Outcome::Inconclusive => AnsiColor::Yellow,
    };
    let verdict = pen.styled(colour.on_default().bold(), &outcome.as_str().to_uppercase());
    let tally = tally_over(summaries);
    let determinism = match record.determinism.checked {
        0 => "determinism not checked".to_owned(),
        checked => format!("{} run again, {} diverged", format::plural(checked, "trial"), record.determinism.diverged),
    };
    Some(format!(
        "{verdict}  {}; {determinism}\nRevision {}, engine {}, profile {}; {} of wall time\n",
        tally_in_words(tally),
        format::printable(&record.revision),
        format::printable(&record.engine),
        format::printable(&record.profile),
        format::seconds(record.wall_s),
    ))
}

/// "28 trials: 26 held, 1 broken, 1 inconclusive".
pub(crate) fn tally_in_words(tally: Tally) -> String {
    let trials = format::plural(tally.total(), "trial");
    format!("{trials}: {} held, {} broken, {} inconclusive", tally.held, tally.broken, tally.inconclusive)
}

fn scenario_table(record: &RunRecord, summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let mut table = pen.table(&[
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
        let of_latency = |percentile: f64| format::milliseconds(latency.and_then(|it| it.percentile_ms(percentile)));
        table.add_row(vec![
            pen.cell(&summary.name),
            pen.cell(seeds_in_words(scenario.trials.iter().map(|trial| trial.seed), 3)),
            pen.verdict(summary.verdict(), verdict_in_words(summary)),
            pen.cell(format::count(summary.firings())),
            pen.cell(of_latency(50.0)),
            pen.cell(of_latency(99.0)),
            pen.cell(of_latency(99.9)),
            pen.cell(format::seconds(summary.simulated_s)),
            pen.cell(format::seconds(summary.wall_s)),
            pen.cell(format::count(summary.aws_calls)),
        ]);
    }
    let title = match headline {
        Some(name) => format!("Scenarios (latency of {}, from the intended start, pooled over seeds)", format::printable(name)),
        None => "Scenarios (no latency measured)".to_owned(),
    };
    section(pen, &title, &table)
}

/// The one latency of the scenario table: what most scenarios would put into their one line.
fn headline_latency(summaries: &[ScenarioSummary]) -> Option<&str> {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in summaries.iter().filter_map(ScenarioSummary::headline_latency) {
        *votes.entry(name).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(name, votes)| (*votes, std::cmp::Reverse(*name))).map(|(name, _)| name)
}

fn share_table(summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let columns = [
        text("scenario"),
        text("latency"),
        number("mean ms"),
        number("modelled AWS ms"),
        number("injected ms"),
        number("own ms"),
    ];
    let mut table = pen.table(&columns);
    for (summary, shares) in summaries.iter().flat_map(|summary| summary.shares.iter().map(move |shares| (summary, shares))) {
        let means_ms = shares.means_ms();
        let mut row = vec![pen.cell(&summary.name), pen.cell(&shares.latency)];
        row.push(pen.cell(format::milliseconds(Some(means_ms.iter().sum()))));
        row.extend(means_ms.map(|mean_ms| pen.cell(format::milliseconds(Some(mean_ms)))));
        table.add_row(row);
    }
    section(pen, "Where the time went (means, since only means add up)", &table)
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

fn check_table(summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let mut table = pen.table(&[
        text("check"),
        number("trials"),
        number("examined"),
        number("broken"),
        number("inconclusive"),
        text("verdict"),
    ]);
    for check in checks_over(summaries) {
        let verdict = match (check.trials.verdict(), check.is_vacuous()) {
            (Verdict::Held, true) => pen.verdict(Verdict::Inconclusive, "vacuous: examined nothing"),
            (verdict, _) => pen.verdict(verdict, verdict.as_str()),
        };
        table.add_row(vec![
            pen.cell(&check.name),
            pen.cell(format::count(check.trials.total())),
            pen.cell(format::count(check.examined)),
            pen.cell(format::count(check.trials.broken)),
            pen.cell(format::count(check.trials.inconclusive)),
            verdict,
        ]);
    }
    section(pen, "Checks", &table)
}

fn fault_table(record: &RunRecord, summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let columns =
        [text("fault"), text("contract"), number("planned"), number("fired"), number("not fired"), number("times fired")];
    let mut table = pen.table(&columns);
    for fault in faults_over(summaries) {
        let not_fired = format::count(fault.not_fired());
        table.add_row(vec![
            pen.cell(&fault.kind),
            pen.cell(fault.contract.as_str()),
            pen.cell(format::count(fault.planned)),
            pen.cell(format::count(fault.fired)),
            if fault.not_fired() > 0 { pen.coloured_cell(not_fired, Color::Yellow) } else { pen.cell(not_fired) },
            pen.cell(format::count(fault.firings)),
        ]);
    }
    let unsupported: Vec<String> = record
        .capabilities
        .iter()
        .filter(|capability| !capability.supported && capability.engine == record.engine)
        .map(|capability| format!("  {}: {}\n", format::printable(&capability.fault_kind), format::printable(&capability.note)))
        .collect();
    let unsupported = (!unsupported.is_empty())
        .then(|| format!("Not possible on {}:\n{}", format::printable(&record.engine), unsupported.concat()));
    let parts: Vec<String> = [section(pen, "Faults", &table), unsupported].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.concat())
}

fn objective_table(summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let columns = [text("scenario"), text("objective"), number("limit ms"), number("measured ms"), text("verdict")];
    let mut table = pen.table(&columns);
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
        table.add_row(vec![
            pen.cell(&summary.name),
            pen.cell(format!("{} {}, {phase}", objective.latency, format::percentile(objective.percentile))),
            pen.cell(format::milliseconds(Some(objective.limit_ms))),
            pen.cell(format::milliseconds(objective.measured_ms)),
            pen.verdict(verdict, in_words),
        ]);
    }
    section(pen, "Objectives", &table)
}

/// Only states that no trial of their scenario reached: they tell what the batch did not try.
fn goals(summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let lines: Vec<String> = summaries
        .iter()
        .flat_map(|summary| summary.goals.iter().filter(|goal| goal.reached == 0).map(move |goal| (summary, goal)))
        .map(|(summary, goal)| {
            let trials = format::plural(goal.trials, "trial");
            format!("  {}: {} ({trials})\n", format::printable(&summary.name), format::printable(&goal.name))
        })
        .collect();
    (!lines.is_empty()).then(|| format!("{}\n{}", pen.title("Rare states that no trial reached"), lines.concat()))
}

fn latency_model(record: &RunRecord, pen: &Pen) -> Option<String> {
    let columns = [text("operation"), number("p50 ms"), number("p90 ms"), number("p99 ms"), text("source")];
    let mut table = pen.table(&columns);
    for row in &record.latency_model {
        table.add_row(vec![
            pen.cell(&row.operation),
            pen.cell(format::milliseconds(Some(row.p50_ms))),
            pen.cell(format::milliseconds(Some(row.p90_ms))),
            pen.cell(format::milliseconds(Some(row.p99_ms))),
            pen.cell(&row.source),
        ]);
    }
    section(pen, "Latency model of the simulated AWS (a model, not a measurement of AWS)", &table)
}

fn assumptions(record: &RunRecord, pen: &Pen) -> Option<String> {
    let mut table = pen.table(&[text("assumption"), text("value"), number("trials that used it")]);
    for assumption in record.assumptions.iter().filter(|assumption| assumption.used > 0) {
        table.add_row(vec![
            pen.cell(&assumption.name),
            pen.cell(&assumption.value),
            pen.cell(format::count(assumption.used)),
        ]);
    }
    section(pen, "Assumptions about AWS that verdicts lean on", &table)
}

fn failing_trials(record: &RunRecord, pen: &Pen) -> Option<String> {
    let mut failing: Vec<(&ScenarioRecord, &TrialRecord)> = record
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.trials.iter().map(move |trial| (scenario, trial)))
        .filter(|(_, trial)| trial.verdict != Verdict::Held)
        .collect();
    failing.sort_by_key(|(_, trial)| interest(trial.verdict, 0));
    if failing.is_empty() {
        return None;
    }
    let mut lines = vec![pen.title("Trials that did not hold")];
    for (scenario, trial) in failing.iter().take(LISTED_TRIALS) {
        lines.extend(failing_trial(scenario, trial, pen));
    }
    if failing.len() > LISTED_TRIALS {
        lines.push(format!("  and {} more, in the HTML and JSON reports", failing.len() - LISTED_TRIALS));
    }
    Some(lines.join("\n") + "\n")
}

fn failing_trial(scenario: &ScenarioRecord, trial: &TrialRecord, pen: &Pen) -> Vec<String> {
    let colour = if trial.verdict == Verdict::Broken { AnsiColor::Red } else { AnsiColor::Yellow };
    let verdict = pen.styled(colour.on_default(), trial.verdict.as_str());
    let mut lines = vec![format!("  {}, seed {}: {verdict}", format::printable(&scenario.name), trial.seed)];
    if !trial.reason.is_empty() {
        lines.push(format!("    {}", format::printable(&trial.reason)));
    }
    for check in trial.checks.iter().filter(|check| check.outcome != Verdict::Held) {
        let message = format::printable(&check.message);
        lines.push(format!("    {} {}: {message}", format::printable(&check.name), check.outcome.as_str()));
    }
    lines.extend(trial.bug_file.as_deref().map(|path| format!("    bug file: {}", format::printable(path))));
    lines.extend(trial.replay_command().map(|command| format!("    replay:   {}", format::printable(&command))));
    lines
}
