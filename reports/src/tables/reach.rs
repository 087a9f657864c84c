//! Tables of what the trials met: faults, rare states, documented behaviours.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    aggregate::ScenarioSummary,
    coverage::CoverageTable,
    engines::{EngineFault, engine_faults},
    format,
    model::RunRecord,
    tables::{Cell, Table, Tone, count, count_with_tone, number, plain, text, toned},
    totals::{faults_over, goals_over},
};

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

/// Fault kinds against engines: what each engine can produce, and what came of the faults that its trials planned.
pub(crate) fn engines(record: &RunRecord, summaries: &[ScenarioSummary]) -> Table {
    let faults = engine_faults(record, summaries);
    let engines: BTreeSet<&str> = faults.iter().map(|fault| fault.engine.as_str()).collect();
    let mut kinds: BTreeMap<&str, BTreeMap<&str, Cell>> = BTreeMap::new();
    for fault in &faults {
        kinds.entry(&fault.fault_kind).or_default().insert(&fault.engine, engine_fault_in_words(fault));
    }
    let mut table = Table::new([text("fault")].into_iter().chain(engines.iter().map(|engine| text(*engine))));
    for (kind, mut by_engine) in kinds {
        let cells = engines.iter().map(|engine| by_engine.remove(engine).unwrap_or_else(|| plain("–")));
        table.push([plain(kind)].into_iter().chain(cells));
    }
    table
}

/// "fired 40×, 7 of 8 faults (approximate: …)", "4 planned, none fired", "possible, not planned", "not possible: …".
fn engine_fault_in_words(fault: &EngineFault) -> Cell {
    let [planned, fired, firings] = [fault.planned, fault.fired, fault.firings].map(format::count);
    let with_note = |start: &str| match (fault.note.is_empty(), fault.supported) {
        (true, _) => start.to_owned(),
        (false, true) => format!("{start} (approximate: {})", fault.note),
        (false, false) => format!("{start}: {}", fault.note),
    };
    match (fault.supported, fault.planned, fault.fired) {
        (true, _, 1..) => toned(with_note(&format!("fired {firings}×, {fired} of {planned} faults")), Tone::Good),
        (true, 1.., 0) => toned(with_note(&format!("{planned} planned, none fired")), Tone::Doubtful),
        (true, 0, 0) => plain(with_note("possible, not planned")),
        // An engine that produced what it says it cannot is wrong about itself.
        (false, _, 1..) => toned(with_note(&format!("fired {firings}× though not possible")), Tone::Bad),
        (false, _, 0) => toned(with_note("not possible"), Tone::Doubtful),
    }
}

/// Rare states with the scenarios that reached them.
pub(crate) fn goals(summaries: &[ScenarioSummary]) -> Table {
    let mut table =
        Table::new([text("rare state"), number("trials"), number("reached in"), text("scenarios that reached it")]);
    for goal in goals_over(summaries) {
        let tone = if goal.reached == 0 { Tone::Doubtful } else { Tone::Plain };
        let scenarios = if goal.reached == 0 { "none".to_owned() } else { goal.scenarios.join(", ") };
        table.push([
            plain(&goal.name),
            count(goal.trials),
            toned(format::count(goal.reached), tone),
            toned(scenarios, tone),
        ]);
    }
    table
}

/// Every documented behaviour with the scenarios that met it, for a text that has no room for a column a scenario.
pub(crate) fn coverage_list(coverage: &CoverageTable) -> Table {
    let mut table = Table::new([text("section"), text("row"), text("behaviour"), number("times"), text("met in")]);
    for row in &coverage.rows {
        let met = coverage.scenarios.iter().zip(&row.counts).filter(|(_, number)| **number > 0);
        let met: Vec<String> = met.map(|(scenario, number)| format!("{scenario} {}", format::count(*number))).collect();
        let met = if met.is_empty() { toned("never", Tone::Doubtful) } else { plain(met.join(", ")) };
        let names = [&row.section, &row.row, &row.text].map(plain);
        table.push(names.into_iter().chain([count_with_doubt_at_zero(row.total()), met]));
    }
    table
}

/// Every documented behaviour against every scenario; a cell is empty where no trial met it.
pub(crate) fn coverage_matrix(coverage: &CoverageTable) -> Table {
    let scenarios = coverage.scenarios.iter().map(number);
    let mut table = Table::new([text("row"), text("behaviour"), number("all")].into_iter().chain(scenarios));
    for row in &coverage.rows {
        let names = [plain(&row.row), plain(&row.text), count_with_doubt_at_zero(row.total())];
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
