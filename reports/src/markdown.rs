//! Tables for files that lie in the source tree, in GitHub's Markdown.

use crate::{
    coverage::{CoverageTable, coverage_table},
    model::RunRecord,
    report::Report,
    tables::{self, Table},
};

/// Which documented behaviour of AWS was met in which scenario, how often. The same record gives the same bytes.
pub fn coverage_markdown(record: &RunRecord) -> String {
    let coverage = coverage_table(record);
    let mut parts = vec!["# Coverage\n".to_owned(), coverage_introduction(record, &coverage)];
    if !coverage.rows.is_empty() {
        parts.push(table(&tables::coverage_list(&coverage)));
    }
    let missed: Vec<String> = coverage
        .never_reached()
        .map(|row| format!("- {} ({}): {}\n", escaped(&row.row), escaped(&row.section), escaped(&row.text)))
        .collect();
    if !missed.is_empty() {
        parts.push("## Never met\n".to_owned());
        parts.push(missed.concat());
    }
    if !coverage.unnamed_marks.is_empty() {
        parts.push("## Marks that belong to no row\n".to_owned());
        parts.push(coverage.unnamed_marks.iter().map(|mark| format!("- {}\n", escaped(mark))).collect());
    }
    parts.join("\n")
}

fn coverage_introduction(record: &RunRecord, coverage: &CoverageTable) -> String {
    let words = tables::coverage_in_words(coverage);
    format!(
        "{words}, on {} with the seeds {}.\nThe number after a scenario tells how often its trials met the behaviour. What \
         no trial met is not tested.\n",
        escaped(&record.engine),
        crate::aggregate::seeds_in_words(record.seeds.iter().copied(), 4),
    )
}

/// Which engine can produce which kind of fault, and how often its trials did. The same record gives the same bytes.
pub fn engines_markdown(record: &RunRecord) -> String {
    let matrix = tables::engines(record, Report::new(record).scenarios());
    let introduction = "Each cell tells how often faults of a kind fired on an engine, and how many of those that were planned did. \
                        What an engine cannot produce, or never fired there, it has not tested.\n";
    let rows = if matrix.is_empty() { "No engine is recorded.\n".to_owned() } else { table(&matrix) };
    ["# Faults by engine\n", introduction, &rows].join("\n")
}

fn table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(table.columns.iter().map(|column| escaped(&column.title)).collect());
    let rule = |is_number: bool| if is_number { "---:" } else { "---" };
    text.push_str(&line(table.columns.iter().map(|column| rule(column.is_number).to_owned()).collect()));
    for row in &table.rows {
        text.push_str(&line(row.iter().map(|cell| escaped(&cell.text)).collect()));
    }
    text
}

/// A text that can break out of no cell and mark nothing up: a stray `|` would shift all cells after it.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '\\' | '~' | '&' => escaped.extend(['\\', character]),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}
