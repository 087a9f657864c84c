//! Policies as a set of files.

use serde_json::Value;

use super::InvalidPolicyBundle;
use crate::canonical::{canonical_json, digest_hex};

/// One policy: `name` is its file's name without `.rego` and the last part of its package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyModule {
    pub name: String,
    pub source: String,
}

impl PolicyModule {
    /// The file that the module came from, for messages.
    pub fn file(&self) -> String {
        format!("{}.rego", self.name)
    }
}

/// Policies and the data that they refer to.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyBundle {
    pub modules: Vec<PolicyModule>,
    /// Rego's `data`: one object with a key per policy.
    pub data: Value,
}

impl PolicyBundle {
    /// Sorts the files of a policies folder, given as (file name, text): `<name>.rego` are policies, `data.json` is
    /// their data, `<name>_test.rego` and everything else is left aside.
    ///
    /// # Errors
    /// `data.json` is not a JSON object. That the policies are sound is found by `PolicyEnforcer::compile`.
    pub fn from_files(files: impl IntoIterator<Item = (String, String)>) -> Result<PolicyBundle, InvalidPolicyBundle> {
        let mut bundle = PolicyBundle { modules: Vec::new(), data: Value::Object(serde_json::Map::new()) };
        for (file, text) in files {
            if file == "data.json" {
                bundle.data = serde_json::from_str(&text)
                    .map_err(|error| InvalidPolicyBundle::Data { file, message: error.to_string() })?;
            } else if let Some(name) = file.strip_suffix(".rego")
                && !name.ends_with("_test")
            {
                bundle.modules.push(PolicyModule { name: name.to_owned(), source: text });
            }
        }
        bundle.modules.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(bundle)
    }

    /// SHA-256 over the policies (by name) and their data, in hex: the bundle's identity. The order of the modules and
    /// the layout of the data do not count.
    pub fn digest(&self) -> String {
        let mut sorted: Vec<_> = self.modules.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let data = canonical_json(&self.data);
        let sources = sorted.iter().flat_map(|module| [module.name.as_str(), module.source.as_str()]);
        digest_hex(sources.chain([data.as_str()]))
    }
}

/// A bundle as it is handed to a running service: with the tests that it must pass, and the digest by which it was
/// ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct HashedPolicyBundle {
    pub bundle: PolicyBundle,
    /// Its `<policy>_test` modules.
    pub tests: Vec<PolicyModule>,
    /// What [`PolicyBundle::digest`] of `bundle` must be, in hex.
    pub sha256: String,
}

impl HashedPolicyBundle {
    /// Sorts the files of a policies folder as [`PolicyBundle::from_files`] does, its tests too.
    ///
    /// # Errors
    /// As [`PolicyBundle::from_files`].
    pub fn from_files(
        files: impl IntoIterator<Item = (String, String)>,
        sha256: String,
    ) -> Result<HashedPolicyBundle, InvalidPolicyBundle> {
        let (tests, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(file, _)| file.ends_with("_test.rego"));
        let mut tests: Vec<PolicyModule> = tests
            .into_iter()
            .map(|(file, source)| PolicyModule { name: file.trim_end_matches(".rego").to_owned(), source })
            .collect();
        tests.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(HashedPolicyBundle { bundle: PolicyBundle::from_files(others)?, tests, sha256 })
    }
}

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        vec![$(PolicyModule {
            name: $name.to_owned(),
            source: include_str!(concat!("../../../../policies/runtime/", $name, ".rego")).to_owned(),
        }),*]
    };
}

/// The policies that ship with the system, built into the program.
pub fn bundled_policies() -> PolicyBundle {
    let data = serde_json::from_str(include_str!("../../../../policies/runtime/data.json"))
        .unwrap_or_else(|error| unreachable!("the embedded data.json is checked by a test: {error}"));
    PolicyBundle {
        modules: embedded![
            "command_authorization",
            "event_store_immutability",
            "order_limits",
            "schema_registration",
            "snapshot_immutability",
            "temporal_queries",
        ],
        data,
    }
}

/// The Rego tests of [`bundled_policies`].
pub fn bundled_policy_tests() -> Vec<PolicyModule> {
    embedded![
        "command_authorization_test",
        "event_store_immutability_test",
        "order_limits_test",
        "schema_registration_test",
        "snapshot_immutability_test",
        "temporal_queries_test",
    ]
}
