//! `policy check`: facts out of the work tree, held against the desk policies.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    error::CheckError,
    facts::{Facts, KINDS},
    policies::{DESK, Finding, Folder},
    worktree::WorkTree,
};

#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    pub findings: Vec<Finding>,
    /// The policies that were held against the facts.
    pub policies: Vec<String>,
    /// Policies left out because nothing that they read has changed.
    pub left_out: Vec<String>,
    /// How many facts of each kind were read.
    pub facts: Vec<(String, usize)>,
    /// What a reader should know before trusting a verdict without findings.
    pub notes: Vec<String>,
}

impl CheckReport {
    pub fn held(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Which policies are held against which facts.
pub struct Choice {
    pub policies: Vec<String>,
    pub left_out: Vec<String>,
    pub kinds: BTreeSet<&'static str>,
}

impl Choice {
    /// Every policy, or with `changed` those that read a kind of fact that these files may change. A change of a policy
    /// itself chooses it, too.
    ///
    /// # Errors
    /// A policy does not parse.
    pub fn make(folder: &Folder, changed: Option<&BTreeSet<String>>) -> Result<Choice, CheckError> {
        let mut choice = Choice { policies: Vec::new(), left_out: Vec::new(), kinds: BTreeSet::new() };
        for name in folder.names() {
            let read = folder.facts_read_by(&name)?;
            let kinds = KINDS.iter().filter(|kind| read.contains(kind.key));
            let touched = changed.is_none_or(|files| {
                let own = [format!("{DESK}/{name}.rego"), format!("{DESK}/data.json")];
                own.iter().any(|file| files.contains(file)) || kinds.clone().any(|kind| kind.is_touched_by(files))
            });
            if touched {
                choice.kinds.extend(kinds.map(|kind| kind.key));
                choice.policies.push(name);
            } else {
                choice.left_out.push(name);
            }
        }
        Ok(choice)
    }
}

/// # Errors
/// Facts cannot be read, or a policy fails.
pub fn run(tree: &WorkTree, folder: &Folder, changed: Option<&BTreeSet<String>>) -> Result<CheckReport, CheckError> {
    let choice = Choice::make(folder, changed)?;
    let facts = Facts::gather(tree, &choice.kinds)?;
    let document = facts.to_json();
    let findings = folder.findings(&choice.policies, &document)?;
    let count = |key: &str| document[key].as_array().map_or(1, Vec::len);
    let notes = if choice.kinds.contains("resources") && facts.resources.is_empty() {
        vec!["there is no deployment template in system/deploy: policies on it had nothing to judge".to_owned()]
    } else {
        Vec::new()
    };
    Ok(CheckReport {
        findings,
        policies: choice.policies,
        left_out: choice.left_out,
        facts: choice.kinds.iter().map(|key| ((*key).to_owned(), count(key))).collect(),
        notes,
    })
}
