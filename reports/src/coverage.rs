//! Which documented behaviours of AWS the trials met, and in which scenario: what no trial met is not tested.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    json::WriteError,
    model::{RunRecord, ScenarioRecord},
};

/// One documented behaviour of AWS that a trial may meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverageRow {
    /// Unique name, "sqs/visibility".
    pub row: String,
    /// Where the behaviour is written down, "7 SQS".
    pub section: String,
    /// The behaviour in a sentence.
    pub text: String,
    /// Meeting any of these marks counts as meeting this row.
    pub marks: Vec<String>,
}

/// Rows against scenarios.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoverageTable {
    /// The columns of the counts, in the record's order.
    pub scenarios: Vec<String>,
    /// In the record's order.
    pub rows: Vec<CoverageCount>,
    /// Marks that trials met and no row names: a row is missing, or a name was misspelt.
    pub unnamed_marks: Vec<String>,
}

/// How often a row was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoverageCount {
    pub row: String,
    pub section: String,
    pub text: String,
    /// One for each of [`CoverageTable::scenarios`], summed over the trials.
    pub counts: Vec<u64>,
}

impl CoverageCount {
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl CoverageTable {
    /// The table as one line of JSON.
    ///
    /// # Errors
    /// None in practice: a table holds only text and whole numbers.
    pub fn to_json(&self) -> Result<String, WriteError> {
        serde_json::to_string(self).map_err(|error| WriteError::NotRepresentable { reason: error.to_string() })
    }

    /// How many rows at least one trial met.
    pub fn covered(&self) -> usize {
        self.rows.iter().filter(|row| row.total() > 0).count()
    }

    /// Rows that no trial met.
    pub fn never_reached(&self) -> impl Iterator<Item = &CoverageCount> {
        self.rows.iter().filter(|row| row.total() == 0)
    }
}

/// Counts how often the trials of each scenario met each of the record's rows.
pub fn coverage_table(record: &RunRecord) -> CoverageTable {
    let named: BTreeSet<&String> = record.coverage_rows.iter().flat_map(|row| &row.marks).collect();
    let met: BTreeSet<&String> = record
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.trials)
        .flat_map(|trial| trial.coverage.iter().filter(|(_, count)| **count > 0).map(|(mark, _)| mark))
        .collect();
    // A scenario that several engines played is one column: AWS's behaviour is the same below all of them.
    let mut scenarios: Vec<String> = Vec::new();
    for scenario in &record.scenarios {
        if !scenarios.contains(&scenario.name) {
            scenarios.push(scenario.name.clone());
        }
    }
    let in_scenario = |row: &CoverageRow, name: &String| -> u64 {
        let played = record.scenarios.iter().filter(|scenario| scenario.name == *name);
        played.map(|scenario| times_met(row, scenario)).sum()
    };
    let counted = |row: &CoverageRow| CoverageCount {
        row: row.row.clone(),
        section: row.section.clone(),
        text: row.text.clone(),
        counts: scenarios.iter().map(|name| in_scenario(row, name)).collect(),
    };
    CoverageTable {
        rows: record.coverage_rows.iter().map(counted).collect(),
        scenarios,
        unnamed_marks: met.difference(&named).map(|mark| (*mark).clone()).collect(),
    }
}

fn times_met(row: &CoverageRow, scenario: &ScenarioRecord) -> u64 {
    let marks: BTreeSet<&String> = row.marks.iter().collect();
    scenario.trials.iter().flat_map(|trial| marks.iter().filter_map(|mark| trial.coverage.get(*mark))).sum()
}
