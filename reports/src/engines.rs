//! Which engine can produce which kind of fault, and which of them its trials really met.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{aggregate::ScenarioSummary, json::WriteError, model::RunRecord, report::Report};

/// One kind of fault on one engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EngineFault {
    pub fault_kind: String,
    pub engine: String,
    /// What the engine says of itself; an engine that says nothing is taken to be able to.
    pub supported: bool,
    /// Why not, or with what limit; empty if there is nothing to say.
    pub note: String,
    /// Faults of this kind that trials on this engine planned.
    pub planned: u64,
    /// Planned faults that fired at least once.
    pub fired: u64,
    /// How often they fired in all.
    pub firings: u64,
}

/// By kind, then by engine: what the engines say of themselves, and what trials planned.
pub(crate) fn engine_faults(record: &RunRecord, summaries: &[ScenarioSummary]) -> Vec<EngineFault> {
    let mut faults: BTreeMap<(&str, &str), EngineFault> = BTreeMap::new();
    let new = |kind: &str, engine: &str| EngineFault {
        fault_kind: kind.to_owned(),
        engine: engine.to_owned(),
        supported: true,
        ..EngineFault::default()
    };
    for one in &record.capabilities {
        let known = faults.entry((&one.fault_kind, &one.engine)).or_insert_with(|| new(&one.fault_kind, &one.engine));
        known.supported = one.supported;
        known.note.clone_from(&one.note);
    }
    for (summary, fault) in summaries.iter().flat_map(|one| one.faults.iter().map(move |fault| (one, fault))) {
        let known = faults.entry((&fault.kind, &summary.engine)).or_insert_with(|| new(&fault.kind, &summary.engine));
        known.planned += fault.planned;
        known.fired += fault.fired;
        known.firings += fault.firings;
    }
    faults.into_values().collect()
}

/// All kinds of fault on all engines of the record as one line of JSON.
///
/// # Errors
/// None in practice: the rows hold only text and whole numbers.
pub fn engines_json(record: &RunRecord) -> Result<String, WriteError> {
    let faults = engine_faults(record, Report::new(record).scenarios());
    serde_json::to_string(&faults).map_err(|error| WriteError::NotRepresentable { reason: error.to_string() })
}
