//! The sections that are a table with a heading and what one must know to read it.

use crate::{
    aggregate::ScenarioSummary,
    coverage::{CoverageTable, coverage_table},
    html::view::Section,
    model::RunRecord,
    tables::{self, Table},
};

/// All sections that have a row, in the page's order.
pub(super) fn sections(record: &RunRecord, summaries: &[ScenarioSummary]) -> Vec<Section> {
    let mut sections = verdicts(summaries);
    sections.extend(exploration(record));
    sections.extend(reach(record, summaries));
    sections.extend(premises(record));
    sections.retain(|section| !section.table.is_empty());
    sections
}

fn section(id: &'static str, titles: [&'static str; 2], note: impl Into<String>, table: Table) -> Section {
    let [title, short_title] = titles;
    Section { id, title, short_title, note: note.into(), class: "", table }
}

/// What was judged.
fn verdicts(summaries: &[ScenarioSummary]) -> Vec<Section> {
    vec![
        section(
            "objectives",
            ["Objectives"; 2],
            "Each bound is judged on the latencies of all trials pooled, from the intended start.",
            tables::objectives(summaries),
        ),
        section(
            "checks",
            ["Checks"; 2],
            "A check that examined nothing is vacuous: it has proved nothing.",
            tables::checks(summaries),
        ),
        section(
            "dead-letters",
            ["Dead letters"; 2],
            "Every message sent must be done, quarantined, expired or left, whichever queues it went through; every aggregate \
             parked must be released or still parked. Each trial's account is judged by itself.",
            tables::dead_letters(summaries),
        ),
        section(
            "queues",
            ["Queues"; 2],
            "What was sent to a queue or moved into it must have been done, dead-lettered, redriven, quarantined or dropped at \
             its expiry, or remain there. A message received twice counts twice under received.",
            tables::queues(summaries),
        ),
    ]
}

/// How the trials were chosen, where an exploration did.
fn exploration(record: &RunRecord) -> Option<Section> {
    let note = tables::exploration_in_words(record.exploration.as_ref()?).join(". ");
    Some(section("exploration", ["Exploration"; 2], format!("{note}."), tables::exploration(record)))
}

/// What the trials met.
fn reach(record: &RunRecord, summaries: &[ScenarioSummary]) -> Vec<Section> {
    let coverage = coverage_table(record);
    vec![
        section(
            "faults",
            ["Faults"; 2],
            "Masked: no client may notice. Detected: clients may be told, in a typed way. Excused: beyond what the system can \
             answer for. A trial whose planned fault never fired shows nothing about it.",
            tables::faults(summaries),
        ),
        section(
            "engines",
            ["Faults by engine", "Engines"],
            "How often faults of each kind fired on each engine, and how many of those that were planned did. What an engine \
             cannot produce, or never fired there, it has not tested.",
            tables::engines(record, summaries),
        ),
        section(
            "goals",
            ["Rare states"; 2],
            "States that a batch of trials should reach at least once.",
            tables::goals(summaries),
        ),
        Section {
            class: "matrix",
            ..section(
                "coverage",
                ["Coverage of AWS's documented behaviour", "Coverage"],
                coverage_note(&coverage),
                tables::coverage_matrix(&coverage),
            )
        },
    ]
}

fn coverage_note(coverage: &CoverageTable) -> String {
    let mut note = format!(
        "{}: how often the trials of each scenario met each. Hatched: never; what no trial met is not tested.",
        tables::coverage_in_words(coverage)
    );
    if !coverage.unnamed_marks.is_empty() {
        note.push_str(&format!(" Marks that belong to no row: {}.", coverage.unnamed_marks.join(", ")));
    }
    note
}

/// What the run rests on.
fn premises(record: &RunRecord) -> Vec<Section> {
    vec![
        section(
            "model",
            ["Latency model of the simulated AWS", "Model"],
            "A model, not a measurement of AWS: the modelled share of every latency above is drawn from it.",
            tables::latency_model(record),
        ),
        section(
            "assumptions",
            ["Assumptions about AWS", "Assumptions"],
            "Where AWS leaves its behaviour open, and how it was played here.",
            tables::assumptions(record),
        ),
    ]
}
