//! What the desk policies judge: facts, read out of the work tree. In Rego they are `input`.
//!
//! Each kind of fact is gathered by a module of its own, and each says where it was read: a denial can then name file and
//! line.

mod crates;
mod objectives;
mod schemas;
mod secrets;
mod settings;
mod source;
mod statements;
mod template;
mod wiring;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

pub use crates::Crate;
pub use objectives::Objective;
pub use schemas::{EventType, Schema};
pub use secrets::Suspect;
pub use settings::RuntimeSettings;
pub use source::{HttpUse, Operation, SdkUse};
pub use statements::{Grant, Statement};
pub use template::{Resource, Template};
pub use wiring::{Service, ServiceCall};

use crate::{error::CheckError, worktree::WorkTree};

/// Everything that the desk policies are asked about.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    /// The workspace's crates and what each names in its manifest.
    pub crates: Vec<Crate>,
    /// The programs that the binary wires, and what each calls on AWS.
    pub services: Vec<Service>,
    /// AWS calls in the adapters' source.
    pub operations: Vec<Operation>,
    /// Where source names an AWS SDK.
    pub sdk_uses: Vec<SdkUse>,
    /// Where source speaks HTTP, or names an address.
    pub http_uses: Vec<HttpUse>,
    /// Deployment templates: their resources.
    pub resources: Vec<Resource>,
    /// IAM statements of these templates.
    pub statements: Vec<Statement>,
    pub schemas: Vec<Schema>,
    pub event_types: Vec<EventType>,
    pub objectives: Vec<Objective>,
    /// Places that look like secrets.
    pub suspects: Vec<Suspect>,
    /// What the policies at run time are set to.
    pub runtime: RuntimeSettings,
}

/// One kind of fact: the key that policies read it by, and the files that it comes from.
pub struct Kind {
    pub key: &'static str,
    concerns: fn(&str) -> bool,
}

/// Every kind of fact, and whether a file (its path from the root, with slashes) may change it.
pub const KINDS: [Kind; 12] = [
    Kind { key: "crates", concerns: |file| file.ends_with("Cargo.toml") },
    Kind { key: "services", concerns: is_system_source },
    Kind { key: "operations", concerns: is_system_source },
    Kind { key: "sdk_uses", concerns: is_source },
    Kind { key: "http_uses", concerns: is_system_source },
    Kind { key: "resources", concerns: template::is_template },
    Kind { key: "statements", concerns: |file| template::is_template(file) || is_system_source(file) },
    Kind { key: "schemas", concerns: |file| file.starts_with("system/schemas/") },
    Kind { key: "event_types", concerns: |file| file.starts_with("system/domain/") },
    Kind { key: "objectives", concerns: |file| file.starts_with("scenarios/") },
    Kind { key: "suspects", concerns: |_| true },
    Kind { key: "runtime", concerns: |file| file.starts_with("policies/runtime/") },
];

impl Kind {
    pub fn is_touched_by(&self, files: &BTreeSet<String>) -> bool {
        files.iter().any(|file| (self.concerns)(file))
    }
}

fn is_source(file: &str) -> bool {
    file.ends_with(".rs") || file.ends_with("Cargo.toml")
}

fn is_system_source(file: &str) -> bool {
    file.starts_with("system/") && is_source(file)
}

impl Facts {
    /// Gathers the kinds of facts that are `wanted`; the others stay empty.
    ///
    /// # Errors
    /// A file cannot be read, or is not what its name says.
    pub fn gather(tree: &WorkTree, wanted: &BTreeSet<&str>) -> Result<Facts, CheckError> {
        let any = |keys: &[&str]| keys.iter().any(|key| wanted.contains(key));
        let mut facts = Facts::default();
        if any(&["crates"]) {
            facts.crates = crates::gather(tree)?;
        }
        if any(&["services", "operations", "sdk_uses", "http_uses", "statements"]) {
            let sources = source::Sources::read(tree)?;
            facts.sdk_uses = source::sdk_uses(&sources);
            facts.http_uses = source::http_uses(&sources);
            facts.operations = source::operations(&sources);
            facts.services = wiring::gather(&sources, &facts.operations)?;
        }
        if any(&["resources", "statements"]) {
            let templates = template::gather(tree)?;
            let names = source::table_names(tree)?;
            facts.statements = statements::gather(&templates, &names);
            facts.resources = templates.into_iter().flat_map(|template| template.resources).collect();
        }
        if any(&["schemas"]) {
            facts.schemas = schemas::schemas(tree)?;
        }
        if any(&["event_types"]) {
            facts.event_types = schemas::event_types(tree)?;
        }
        if any(&["objectives"]) {
            facts.objectives = objectives::gather(tree)?;
        }
        if any(&["suspects"]) {
            facts.suspects = secrets::gather(tree)?;
        }
        if any(&["runtime"]) {
            facts.runtime = settings::gather(tree)?;
        }
        Ok(facts)
    }

    /// Everything.
    ///
    /// # Errors
    /// As [`Facts::gather`].
    pub fn gather_all(tree: &WorkTree) -> Result<Facts, CheckError> {
        Facts::gather(tree, &KINDS.iter().map(|kind| kind.key).collect())
    }

    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}
