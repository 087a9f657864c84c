//! Breaks that were accepted because an upcaster bridges them, and the proof that it does.

use std::path::Path;

use nexus_domain::Event;
use nexus_governance_compatibility::{Finding, Side};
use serde::Deserialize;

use crate::{
    error::ToolError,
    files,
    repository::{Versions, schemas_folder},
};

/// One break that is known and bridged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedBreak {
    pub event_type: String,
    /// The version that breaks with an earlier one.
    pub version: u32,
    pub against: u32,
    /// The rules that it breaks; any other still counts.
    pub rules: Vec<String>,
    /// Why, for people.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptedFile {
    #[serde(default, rename = "break")]
    breaks: Vec<AcceptedBreak>,
}

pub fn read(root: &Path) -> Result<Vec<AcceptedBreak>, ToolError> {
    let path = schemas_folder(root).join("accepted-breaks.toml");
    let file: AcceptedFile = files::read_toml(&path)?;
    Ok(file.breaks)
}

impl AcceptedBreak {
    pub fn covers(&self, event_type: &str, version: u32, finding: &Finding) -> bool {
        self.event_type == event_type
            && self.version == version
            && usize::try_from(self.against) == Ok(finding.against)
            && self.rules.contains(&finding.rule)
    }
}

/// Whether the domain raises the finding's counterexample, a stored event of the old version, to a payload that today's
/// schema accepts.
///
/// # Errors
/// Why it does not, in a sentence.
pub fn bridged(event_type: &str, finding: &Finding, current: &Versions) -> Result<(), String> {
    let example = finding.counterexample.as_ref().ok_or("there is no stored event to try the upcaster on")?;
    if example.accepted_by != Side::Old {
        return Err("an upcaster raises old events; this is about new ones before old readers".to_owned());
    }
    let stored_version = u32::try_from(finding.against).map_err(|error| error.to_string())?;
    let raised = Event::from_stored(event_type, stored_version, &example.document)
        .map_err(|error| format!("the domain cannot read the counterexample: {error}"))?;
    let newest = current.get(event_type).and_then(|versions| versions.get(&raised.schema_version()));
    let newest = newest.ok_or_else(|| format!("version {} has no schema", raised.schema_version()))?;
    match newest.accepts(&raised.payload()) {
        true => Ok(()),
        false => Err(format!("raised, the counterexample is still refused: {}", raised.payload())),
    }
}
