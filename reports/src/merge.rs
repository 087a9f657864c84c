//! Several records of one revision, made into one: the shards of a CI run, or more seeds added later.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    coverage::CoverageRow,
    model::{Assumption, Capability, LatencyModelRow, RunRecord, ScenarioRecord, TrialRecord},
};

/// Why records cannot be one record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    #[error("there is no record to merge; name at least one")]
    Nothing,
    #[error(
        "the records are of different revisions, {first} and {other}: merge runs of one revision, compare others by a diff"
    )]
    OtherRevision { first: String, other: String },
    #[error("the records have different latency models for {operation}: their latencies must not be pooled")]
    OtherLatencyModel { operation: String },
    #[error("coverage row {row} has another text or other marks in another record: its counts must not be added up")]
    OtherCoverageRow { row: String },
    #[error("scenario {scenario} has other objectives in another record: run both with the same scenario file")]
    OtherObjectives { scenario: String },
}

impl RunRecord {
    /// Makes one record of several. Trials of the same scenario on the same engine are put together, and objectives are judged
    /// anew over all of them; a scenario that two engines played stays two, since the same seed is another trial on each. A trial that two records have counts once, and as a determinism check: another trace hash or verdict means
    /// that it diverged. Wall times add up, also if the runs went on at the same time.
    pub fn merge(records: Vec<RunRecord>) -> Result<RunRecord, MergeError> {
        let mut records = records.into_iter();
        let mut merged = records.next().ok_or(MergeError::Nothing)?;
        for record in records {
            check_kinship(&merged, &record)?;
            absorb(&mut merged, record)?;
        }
        for scenario in &mut merged.scenarios {
            scenario.trials.sort_by_key(|trial| trial.seed);
            scenario.judge_objectives();
        }
        Ok(merged)
    }
}

fn check_kinship(merged: &RunRecord, other: &RunRecord) -> Result<(), MergeError> {
    if merged.revision != other.revision {
        return Err(MergeError::OtherRevision { first: merged.revision.clone(), other: other.revision.clone() });
    }
    Ok(())
}

fn absorb(merged: &mut RunRecord, other: RunRecord) -> Result<(), MergeError> {
    join_names(&mut merged.profile, &other.profile);
    join_names(&mut merged.engine, &other.engine);
    merged.started_unix_ms = merged.started_unix_ms.min(other.started_unix_ms);
    merged.wall_s += other.wall_s;
    merged.seeds = merged.seeds.iter().copied().chain(other.seeds).collect::<BTreeSet<_>>().into_iter().collect();
    merged.determinism.checked += other.determinism.checked;
    merged.determinism.diverged += other.determinism.diverged;
    for scenario in other.scenarios {
        absorb_scenario(merged, scenario)?;
    }
    absorb_latency_model(&mut merged.latency_model, other.latency_model)?;
    absorb_assumptions(&mut merged.assumptions, other.assumptions);
    absorb_capabilities(&mut merged.capabilities, other.capabilities);
    absorb_coverage_rows(&mut merged.coverage_rows, other.coverage_rows)?;
    if let Some(exploration) = other.exploration {
        merged.exploration.get_or_insert_default().absorb(exploration);
    }
    merged.bugs = merged.bugs.drain(..).chain(other.bugs).collect::<BTreeSet<_>>().into_iter().collect();
    Ok(())
}

/// "sim" and "dev" are "sim+dev".
fn join_names(known: &mut String, other: &str) {
    for name in other.split('+') {
        if !known.split('+').any(|one| one == name) {
            *known = format!("{known}+{name}");
        }
    }
}

fn absorb_scenario(merged: &mut RunRecord, other: ScenarioRecord) -> Result<(), MergeError> {
    let Some(known) =
        merged.scenarios.iter_mut().find(|known| (&known.name, &known.engine) == (&other.name, &other.engine))
    else {
        merged.scenarios.push(other);
        return Ok(());
    };
    let bounds = |scenario: &ScenarioRecord| -> Vec<(String, String, u64, u64)> {
        let bound = |objective: &crate::model::ObjectiveRecord| {
            let numbers = (objective.percentile.to_bits(), objective.limit_ms.to_bits());
            (objective.latency.clone(), objective.phase.clone(), numbers.0, numbers.1)
        };
        scenario.objectives.iter().map(bound).collect()
    };
    if bounds(known) != bounds(&other) {
        return Err(MergeError::OtherObjectives { scenario: other.name });
    }
    for trial in other.trials {
        match known.trials.iter().find(|one| one.seed == trial.seed) {
            None => known.trials.push(trial),
            Some(twin) => {
                merged.determinism.checked += 1;
                merged.determinism.diverged += u64::from(!same_course(twin, &trial));
            }
        }
    }
    Ok(())
}

fn same_course(one: &TrialRecord, other: &TrialRecord) -> bool {
    one.trace_hash == other.trace_hash && one.verdict == other.verdict
}

fn absorb_latency_model(known: &mut Vec<LatencyModelRow>, other: Vec<LatencyModelRow>) -> Result<(), MergeError> {
    for row in other {
        match known.iter().find(|one| one.operation == row.operation) {
            None => known.push(row),
            Some(one) if *one == row => {}
            Some(_) => return Err(MergeError::OtherLatencyModel { operation: row.operation }),
        }
    }
    Ok(())
}

fn absorb_capabilities(known: &mut Vec<Capability>, other: Vec<Capability>) {
    for capability in other {
        if !known.contains(&capability) {
            known.push(capability);
        }
    }
}

fn absorb_coverage_rows(known: &mut Vec<CoverageRow>, other: Vec<CoverageRow>) -> Result<(), MergeError> {
    for row in other {
        match known.iter().find(|one| one.row == row.row) {
            None => known.push(row),
            Some(one) if *one == row => {}
            Some(_) => return Err(MergeError::OtherCoverageRow { row: row.row }),
        }
    }
    Ok(())
}

fn absorb_assumptions(known: &mut Vec<Assumption>, other: Vec<Assumption>) {
    let mut used: BTreeMap<(String, String), u64> = BTreeMap::new();
    for assumption in known.drain(..).chain(other) {
        *used.entry((assumption.name, assumption.value)).or_default() += assumption.used;
    }
    known.extend(used.into_iter().map(|((name, value), used)| Assumption { name, value, used }));
}
