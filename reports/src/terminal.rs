//! The run as text for a terminal.

use anstyle::{AnsiColor, Style};
use comfy_table::{
    Attribute, Cell as DrawnCell, CellAlignment, Color, ContentArrangement, Table as DrawnTable, TableComponent,
    presets::NOTHING,
};

use crate::{
    aggregate::ScenarioSummary,
    coverage::{CoverageTable, coverage_table},
    format::{self, printable},
    model::{RunRecord, ScenarioRecord, TrialRecord, Verdict},
    report::Report,
    series::interest,
    summary::{Outcome, tally_over},
    tables::{self, Cell, Table, Tone, headline_latency, tally_in_words},
    totals::goals_over,
};

/// At most so many trials that did not hold are listed in full; the rest are counted.
const LISTED_TRIALS: usize = 20;

/// Scenarios whose events are followed step by step; more would make a table of hundreds of rows.
const SCENARIOS_FOLLOWED: usize = 4;

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

pub(crate) fn write(report: &Report, options: &TerminalOptions) -> String {
    let (record, summaries) = (report.record, report.scenarios());
    let pen = Pen { colour: options.colour, width: options.width };
    let parts = [
        Some(headline(report, &pen)),
        exploration(record, &pen),
        pen.section(&scenarios_title(summaries), &tables::scenarios(record, summaries)),
        pen.section("Where the time went (means, since only means add up)", &tables::shares(summaries)),
        pen.section(
            "Routing, from the commit to the stream: p99 by phase (of its objective), our own share, recovery after the heal; in ms",
            &tables::routing(summaries),
        ),
        way_of_an_event(summaries, &pen),
        pen.section("Checks", &tables::checks(summaries)),
        pen.section("Dead letters", &tables::dead_letters(summaries)),
        pen.section("Queues", &tables::queues(summaries)),
        pen.section("Faults", &tables::faults(summaries)),
        impossible_faults(record),
        pen.section("Objectives", &tables::objectives(summaries)),
        unreached_goals(summaries, &pen),
        coverage_in_short(&coverage_table(record), &pen),
        pen.section(
            "Latency model of the simulated AWS (a model, not a measurement of AWS)",
            &tables::latency_model(record),
        ),
        pen.section("Assumptions about AWS", &tables::assumptions(record)),
        failing_trials(record, &pen),
        options.html.map(|path| format!("Report: {}\n", printable(path))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
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

    /// A titled table, or nothing if it has no rows.
    pub(crate) fn section(&self, title: &str, table: &Table) -> Option<String> {
        (!table.is_empty()).then(|| format!("{}\n{}\n", self.title(title), self.draw(table)))
    }

    fn draw(&self, table: &Table) -> String {
        let mut drawn = DrawnTable::new();
        drawn.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width);
        drawn.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
        if self.colour {
            drawn.enforce_styling();
        } else {
            drawn.force_no_tty();
        }
        let bold = |title: &String| DrawnCell::new(printable(title)).add_attribute(Attribute::Bold);
        drawn.set_header(table.columns.iter().map(|column| bold(&column.title)));
        for row in &table.rows {
            drawn.add_row(row.iter().map(|cell| self.cell(cell)));
        }
        for (cells, column) in drawn.column_iter_mut().zip(&table.columns) {
            cells.set_padding((0, 1));
            if column.is_number {
                cells.set_cell_alignment(CellAlignment::Right);
            }
        }
        drawn.trim_fmt()
    }

    fn cell(&self, cell: &Cell) -> DrawnCell {
        let drawn = DrawnCell::new(printable(&cell.text));
        match cell.tone {
            Tone::Good if self.colour => drawn.fg(Color::Green),
            Tone::Bad if self.colour => drawn.fg(Color::Red),
            Tone::Doubtful if self.colour => drawn.fg(Color::Yellow),
            _ => drawn,
        }
    }
}

fn headline(report: &Report, pen: &Pen) -> String {
    let (record, outcome) = (report.record, report.outcome());
    let colour = match outcome {
        Outcome::Held => AnsiColor::Green,
        Outcome::Broken | Outcome::Diverged => AnsiColor::Red,
        Outcome::Inconclusive => AnsiColor::Yellow,
    };
    format!(
        "{}  {}; {}\nRevision {}, engine {}, profile {}; {} of wall time\n",
        pen.styled(colour.on_default().bold(), &outcome.as_str().to_uppercase()),
        tally_in_words(tally_over(report.scenarios())),
        determinism_in_words(record),
        printable(&record.revision),
        printable(&record.engine),
        printable(&record.profile),
        format::seconds(record.wall_s),
    )
}

fn exploration(record: &RunRecord, pen: &Pen) -> Option<String> {
    let in_words = tables::exploration_in_words(record.exploration.as_ref()?);
    let lines: String = in_words.iter().map(|line| format!("  {}\n", printable(line))).collect();
    Some(pen.section("Exploration", &tables::exploration(record)).unwrap_or_default() + &lines)
}

fn determinism_in_words(record: &RunRecord) -> String {
    match record.determinism.checked {
        0 => "determinism not checked".to_owned(),
        checked => format!("{} run again, {} diverged", format::plural(checked, "trial"), record.determinism.diverged),
    }
}

fn scenarios_title(summaries: &[ScenarioSummary]) -> String {
    match headline_latency(summaries) {
        Some(name) => format!("Scenarios (latency of {}, from the intended start, pooled over seeds)", printable(name)),
        None => "Scenarios (no latency measured)".to_owned(),
    }
}

/// What the run's engines cannot produce: a fault that never could fire has shown nothing.
fn impossible_faults(record: &RunRecord) -> Option<String> {
    let lines: Vec<String> = record
        .capabilities
        .iter()
        .filter(|capability| !capability.supported && record.engines().contains(&capability.engine.as_str()))
        .map(|one| {
            format!("  {} on {}: {}\n", printable(&one.fault_kind), printable(&one.engine), printable(&one.note))
        })
        .collect();
    (!lines.is_empty()).then(|| format!("Not possible:\n{}", lines.concat()))
}

/// Every step by phase, where the scenarios are so few that a reader will look at each.
fn way_of_an_event(summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let followed = summaries.iter().filter(|summary| !summary.way_of_an_event().is_empty()).count();
    if followed > SCENARIOS_FOLLOWED {
        return Some(format!(
            "The way of an event through each of these {followed} scenarios is in the HTML report.\n"
        ));
    }
    let title = "Way of an event (percentiles; its parts as means, since only means add up)";
    pen.section(title, &tables::way_of_an_event(summaries))
}

/// Only states that no trial of any scenario reached: they tell what the batch did not try.
fn unreached_goals(summaries: &[ScenarioSummary], pen: &Pen) -> Option<String> {
    let lines: Vec<String> = goals_over(summaries)
        .iter()
        .filter(|goal| goal.reached == 0)
        .map(|goal| format!("  {} ({})\n", printable(&goal.name), format::plural(goal.trials, "trial")))
        .collect();
    (!lines.is_empty()).then(|| format!("{}\n{}", pen.title("Rare states that no trial reached"), lines.concat()))
}

/// How many documented behaviours the trials met, and by section those that none met.
fn coverage_in_short(coverage: &CoverageTable, pen: &Pen) -> Option<String> {
    if coverage.rows.is_empty() {
        return None;
    }
    let mut missed: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in coverage.never_reached() {
        match missed.iter_mut().find(|(section, _)| *section == row.section) {
            Some((_, rows)) => rows.push(&row.row),
            None => missed.push((&row.section, vec![&row.row])),
        }
    }
    let line = |(section, rows): (&str, Vec<&str>)| {
        format!("  never in {}: {}\n", printable(section), printable(&rows.join(", ")))
    };
    let title = pen.title(&format!("Coverage: {}", tables::coverage_in_words(coverage)));
    let lines: String = missed.into_iter().map(line).collect();
    Some(format!("{title}\n{lines}{}", unnamed_marks(coverage)))
}

fn unnamed_marks(coverage: &CoverageTable) -> String {
    match coverage.unnamed_marks.as_slice() {
        [] => String::new(),
        marks => format!("  marks that belong to no row: {}\n", printable(&marks.join(", "))),
    }
}

fn failing_trials(record: &RunRecord, pen: &Pen) -> Option<String> {
    let failing = trials_not_held(record);
    if failing.is_empty() {
        return None;
    }
    let mut lines = vec![pen.title("Trials that did not hold")];
    for (scenario, trial) in failing.iter().take(LISTED_TRIALS) {
        lines.extend(failing_trial(&record.label(scenario), trial, pen));
    }
    if failing.len() > LISTED_TRIALS {
        lines.push(format!("  and {} more, in the HTML and JSON reports", failing.len() - LISTED_TRIALS));
    }
    Some(lines.join("\n") + "\n")
}

/// Broken trials first, then inconclusive ones; of each, the first of every scenario before the second of any, so that a list
/// cut short still names every scenario.
pub(crate) fn trials_not_held(record: &RunRecord) -> Vec<(&ScenarioRecord, &TrialRecord)> {
    let mut trials = Vec::new();
    for scenario in &record.scenarios {
        for verdict in [Verdict::Broken, Verdict::Inconclusive] {
            let of_verdict = scenario.trials.iter().filter(|trial| trial.verdict == verdict);
            trials
                .extend(of_verdict.enumerate().map(|(nth, trial)| (interest(verdict, nth as u64), (scenario, trial))));
        }
    }
    trials.sort_by_key(|(order, _)| *order);
    trials.into_iter().map(|(_, trial)| trial).collect()
}

fn failing_trial(scenario: &str, trial: &TrialRecord, pen: &Pen) -> Vec<String> {
    let colour = if trial.verdict == Verdict::Broken { AnsiColor::Red } else { AnsiColor::Yellow };
    let verdict = pen.styled(colour.on_default(), trial.verdict.as_str());
    let mut lines = vec![format!("  {}, seed {}: {verdict}", printable(scenario), trial.seed)];
    if !trial.reason.is_empty() {
        lines.push(format!("    {}", printable(&trial.reason)));
    }
    for check in trial.checks.iter().filter(|check| check.outcome != Verdict::Held) {
        lines.push(format!("    {} {}: {}", printable(&check.name), check.outcome.as_str(), printable(&check.message)));
    }
    lines.extend(trial.bug_file.as_deref().map(|path| format!("    bug file: {}", printable(path))));
    lines.extend(trial.replay_command().map(|command| format!("    replay:   {}", printable(&command))));
    lines
}
