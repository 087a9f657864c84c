//! The desk policies: their files, what facts they read, and what they deny.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use regorus::{
    Engine, Value,
    unstable::{Expr, Module, Ref, Rule, RuleHead},
};
use serde::Serialize;

use crate::error::CheckError;

/// Where the desk policies lie, from the root of the work tree.
pub const DESK: &str = "policies/desk";
/// Where the policies lie that services ask.
pub const RUNTIME: &str = "policies/runtime";

/// A folder of policies: `<name>.rego`, `<name>_test.rego` and `data.json`.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Relative to the root of the work tree.
    pub path: String,
    /// What packages begin with: `nexus` at run time, `nexus.desk` at the desk.
    pub package: &'static str,
    /// File name and text, sorted by name; tests apart.
    pub policies: BTreeMap<String, String>,
    pub tests: BTreeMap<String, String>,
    pub data: serde_json::Value,
}

/// One policy's objection to a fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub file: String,
    pub line: u64,
    pub policy: String,
    /// The rule's stable name in kebab-case.
    pub rule: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// How to mend it, in a sentence.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

impl Folder {
    /// # Errors
    /// The folder cannot be read, or has no policy.
    pub fn read(root: &Path, path: &str) -> Result<Folder, CheckError> {
        let folder = root.join(path);
        let package = if path == DESK { "nexus.desk" } else { "nexus" };
        let mut found = Folder {
            path: path.to_owned(),
            package,
            policies: BTreeMap::new(),
            tests: BTreeMap::new(),
            data: serde_json::json!({}),
        };
        let at = |action, path: &Path| {
            let path = path.to_owned();
            move |source| CheckError::File { action, path, source }
        };
        for entry in std::fs::read_dir(&folder).map_err(at("list", &folder))? {
            let path = entry.map_err(at("list", &folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.ends_with(".rego") && name != "data.json" {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(at("read", &path))?;
            found.add(name, text)?;
        }
        match found.policies.is_empty() {
            true => Err(CheckError::NoPolicies { folder }),
            false => Ok(found),
        }
    }

    fn add(&mut self, name: String, text: String) -> Result<(), CheckError> {
        if name == "data.json" {
            let file = format!("{}/{name}", self.path);
            self.data = serde_json::from_str(&text).map_err(|error| CheckError::json(&file, &text, &error))?;
        } else if name.ends_with("_test.rego") {
            self.tests.insert(name, text);
        } else {
            self.policies.insert(name, text);
        }
        Ok(())
    }

    /// The names of the policies, without `.rego`.
    pub fn names(&self) -> Vec<String> {
        self.policies.keys().map(|name| name.trim_end_matches(".rego").to_owned()).collect()
    }

    /// An engine with the policies, their data and, if wanted, their tests.
    ///
    /// # Errors
    /// A policy does not parse.
    pub fn engine(&self, with_tests: bool) -> Result<Engine, CheckError> {
        let mut engine = Engine::new();
        engine.set_strict_builtin_errors(true);
        engine.add_data(Value::from(self.data.clone())).map_err(|error| CheckError::rego(&error))?;
        let tests = if with_tests { Some(&self.tests) } else { None };
        for (name, text) in self.policies.iter().chain(tests.into_iter().flatten()) {
            let file = format!("{}/{name}", self.path);
            engine.add_policy(file, text.clone()).map_err(|error| CheckError::rego(&error))?;
        }
        Ok(engine)
    }

    /// The kinds of facts (`input.<kind>`) that a policy reads.
    ///
    /// # Errors
    /// The policy does not parse.
    pub fn facts_read_by(&self, name: &str) -> Result<BTreeSet<String>, CheckError> {
        let mut engine = Engine::new();
        let text = self.policies.get(&format!("{name}.rego")).cloned().unwrap_or_default();
        engine.add_policy(format!("{}/{name}.rego", self.path), text).map_err(|error| CheckError::rego(&error))?;
        let modules = engine.get_modules().clone();
        let mut found = BTreeSet::new();
        // The text says it best: every mention of `input.` is followed by the kind.
        for module in modules.iter() {
            let source = module.package.span.source.contents();
            for rest in source.split("input.").skip(1) {
                let kind: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                found.insert(kind);
            }
        }
        Ok(found)
    }

    /// What the named policies deny of the facts, sorted by place.
    ///
    /// # Errors
    /// A policy fails, or what it denies has the wrong form.
    pub fn findings(&self, names: &[String], facts: &serde_json::Value) -> Result<Vec<Finding>, CheckError> {
        let mut engine = self.engine(false)?;
        engine.set_input(Value::from(facts.clone()));
        let mut found = BTreeSet::new();
        for name in names {
            let path = format!("data.{}.{name}.deny", self.package);
            let denied = engine.eval_rule(path).map_err(|error| CheckError::rego(&error))?;
            let denied = serde_json::to_value(&denied).unwrap_or_default();
            for one in denied.as_array().into_iter().flatten() {
                found.insert(self.finding(name, one)?);
            }
        }
        Ok(found.into_iter().collect())
    }

    fn finding(&self, policy: &str, denied: &serde_json::Value) -> Result<Finding, CheckError> {
        let text = |key: &str| denied.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let read = || {
            Some(Finding {
                file: text("file")?,
                line: denied.get("line")?.as_u64()?,
                policy: policy.to_owned(),
                rule: text("rule")?,
                what: text("what")?,
                mend: text("mend")?,
            })
        };
        read().ok_or_else(|| CheckError::Policy {
            file: format!("{}/{policy}.rego", self.path),
            message: format!("it denies with {denied}"),
            help: "a desk policy denies with an object of the texts rule, what, file and mend, and the number line",
        })
    }
}

/// A rule as it stands in a file: one definition, of which a name may have several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RulePlace {
    pub name: String,
    pub first_line: u32,
    pub last_line: u32,
}

/// The rules of a module, with the lines that each takes.
pub fn rule_places(module: &Module) -> Vec<RulePlace> {
    module
        .policy
        .iter()
        .map(|rule| {
            let span = rule.span();
            let lines = span.text().trim_end().matches('\n').count();
            let last_line = span.line + u32::try_from(lines).unwrap_or(u32::MAX - span.line);
            RulePlace { name: rule_name(rule), first_line: span.line, last_line }
        })
        .collect()
}

pub fn rule_name(rule: &Rule) -> String {
    let refr = match rule {
        Rule::Spec { head: RuleHead::Set { refr, .. }, .. }
        | Rule::Spec { head: RuleHead::Compr { refr, .. }, .. }
        | Rule::Spec { head: RuleHead::Func { refr, .. }, .. }
        | Rule::Default { refr, .. } => refr,
    };
    name_of(refr)
}

fn name_of(refr: &Ref<Expr>) -> String {
    match refr.as_ref() {
        Expr::RefDot { refr, field: (span, _), .. } => format!("{}.{}", name_of(refr), span.text()),
        Expr::RefBrack { refr, .. } => name_of(refr),
        other => other.span().text().to_owned(),
    }
}
