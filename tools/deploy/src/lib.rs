//! The templates of `system/deploy`: made, and held against what they must agree with.
//!
//! Where to start: [`validate`] names the checks. Each is a function from data to [`Finding`]s; files and processes are
//! touched in [`Folders`] and [`lint`] only.
#![forbid(unsafe_code)]

mod alarms;
mod error;
mod finding;
mod folders;
pub mod lint;
mod mappings;
mod provisioned;
mod roles;
mod schemas;
mod template;

pub use error::DeployError;
pub use finding::Finding;
pub use folders::Folders;
pub use schemas::{schemas_findings, template_of_schemas};
pub use template::Template;

pub use alarms::Objective;

/// Everything that can be told without another program: what provisioning would make, roles, mappings, alarms, schemas.
///
/// # Errors
/// A file cannot be read or understood.
pub fn validate(folders: &Folders) -> Result<Vec<Finding>, DeployError> {
    let template = folders.template()?;
    let objectives = folders.smoke_objectives()?;
    let mut findings = findings_in(&template, &objectives);
    findings.extend(schemas_findings(&folders.committed_schemas()?));
    Ok(findings)
}

/// What is wrong with the system's template.
pub fn findings_in(template: &Template, objectives: &[Objective]) -> Vec<Finding> {
    let checks = [
        provisioned::tables(template),
        provisioned::bus(template),
        roles::findings(template),
        mappings::findings(template),
        alarms::objectives(template, objectives),
        alarms::watched(template),
    ];
    checks.into_iter().flatten().collect()
}
