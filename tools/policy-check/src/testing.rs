//! `policy test`: runs the `test_…` rules beside the policies, and tells which of the policies' rules no test reaches.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use serde::Serialize;

use crate::{
    error::CheckError,
    policies::{Folder, RulePlace, rule_name, rule_places},
};

/// One test's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestOutcome {
    pub file: String,
    pub line: u32,
    pub test: String,
    /// `None` if the rule held; else why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What the tests reached of one policy's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    pub file: String,
    /// Lines that can be evaluated.
    pub lines: usize,
    pub lines_covered: usize,
    pub lines_not_covered: Vec<u32>,
    pub rules: usize,
    pub rules_covered: usize,
    /// Rules with a line that no test evaluates.
    pub rules_not_covered: Vec<RulePlace>,
}

/// The result of a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TestReport {
    pub passed: usize,
    pub failed: usize,
    pub failures: Vec<TestOutcome>,
    pub coverage: Vec<Coverage>,
    /// Policies without a single test.
    pub untested: Vec<String>,
    pub rules_not_covered: usize,
}

impl TestReport {
    /// Every test held, every rule was reached.
    pub fn held(&self) -> bool {
        self.failed == 0 && self.rules_not_covered == 0 && self.untested.is_empty() && self.passed > 0
    }

    pub fn rules(&self) -> usize {
        self.coverage.iter().map(|coverage| coverage.rules).sum()
    }
}

/// Runs the tests of all folders.
///
/// # Errors
/// A policy or a test does not parse.
pub fn run(folders: &[Folder]) -> Result<TestReport, CheckError> {
    let mut report = TestReport::default();
    for folder in folders {
        run_folder(folder, &mut report)?;
    }
    report.rules_not_covered = report.coverage.iter().map(|coverage| coverage.rules_not_covered.len()).sum();
    Ok(report)
}

fn run_folder(folder: &Folder, report: &mut TestReport) -> Result<(), CheckError> {
    let mut engine = folder.engine(true)?;
    engine.set_enable_coverage(true);
    let modules = engine.get_modules().clone();
    let mut tested = BTreeSet::new();
    let (policies, tests): (Vec<_>, Vec<_>) =
        modules.iter().partition(|module| !module.package.span.source.get_path().ends_with("_test.rego"));
    for module in tests {
        let file = module.package.span.source.get_path().clone();
        let package = package_of(&file, folder);
        let mut seen = BTreeSet::new();
        for rule in &module.policy {
            let test = rule_name(rule);
            if !test.starts_with("test_") || !seen.insert(test.clone()) {
                continue;
            }
            let failure = failure_of(engine.eval_rule(format!("data.{package}.{test}")));
            tested.insert(file.trim_end_matches("_test.rego").to_owned());
            match failure {
                None => report.passed += 1,
                Some(_) => {
                    report.failed += 1;
                    let line = rule.span().line;
                    report.failures.push(TestOutcome { file: file.clone(), line, test, failure });
                }
            }
        }
    }
    let reached = reached_lines(&engine)?;
    for module in policies {
        let file = module.package.span.source.get_path().clone();
        if !tested.contains(file.trim_end_matches(".rego")) {
            report.untested.push(file.clone());
        }
        report.coverage.push(coverage_of(&file, rule_places(module), reached.get(&file)));
    }
    Ok(())
}

fn package_of(file: &str, folder: &Folder) -> String {
    let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".rego");
    format!("{}.{name}", folder.package)
}

fn failure_of<E: std::fmt::Display>(result: Result<Value, E>) -> Option<String> {
    match result {
        Ok(Value::Bool(true)) => None,
        Ok(Value::Undefined) => Some("it does not hold".to_owned()),
        Ok(other) => Some(format!("it is {other}, not true")),
        Err(error) => Some(CheckError::rego(&error).to_string()),
    }
}

/// Lines that were evaluated, and lines that were not.
type Lines = (BTreeSet<u32>, BTreeSet<u32>);

/// Both by file.
fn reached_lines(engine: &regorus::Engine) -> Result<BTreeMap<String, Lines>, CheckError> {
    let report = engine.get_coverage_report().map_err(|error| CheckError::rego(&error))?;
    Ok(report.files.into_iter().map(|file| (file.path, (file.covered, file.not_covered))).collect())
}

fn coverage_of(file: &str, rules: Vec<RulePlace>, lines: Option<&Lines>) -> Coverage {
    let empty = (BTreeSet::new(), BTreeSet::new());
    let (covered, not_covered) = lines.unwrap_or(&empty);
    let is_reached = |rule: &RulePlace| {
        let own = |lines: &BTreeSet<u32>| lines.range(rule.first_line..=rule.last_line).next().is_some();
        // Without any line evaluated, nothing is known of the file.
        lines.is_some() && !own(not_covered)
    };
    let rules_not_covered: Vec<RulePlace> = rules.iter().filter(|rule| !is_reached(rule)).cloned().collect();
    Coverage {
        file: file.to_owned(),
        lines: covered.len() + not_covered.len(),
        lines_covered: covered.len(),
        lines_not_covered: not_covered.iter().copied().collect(),
        rules: rules.len(),
        rules_covered: rules.len() - rules_not_covered.len(),
        rules_not_covered,
    }
}

/// One question that a test puts to a policy, with the settings that it puts in their place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    pub policy: String,
    pub input: serde_json::Value,
    /// `data.<policy>` as it was then; null where the policy has no settings.
    pub settings: serde_json::Value,
}

/// Every question that the tests of a folder put to its policies, each once: what another interpreter can be asked, too.
///
/// Each policy gets one rule more, which never holds but prints what it is asked.
///
/// # Errors
/// A policy or a test does not parse.
pub fn asked_by_tests(folder: &Folder) -> Result<Vec<Asked>, CheckError> {
    let mut listening = folder.clone();
    for (file, text) in &mut listening.policies {
        let name = file.trim_end_matches(".rego");
        let has_settings = folder.data.get(name).is_some();
        let settings = if has_settings { format!("data.{name}") } else { "null".to_owned() };
        let print = format!("print(\"{MARK}\", json.marshal([\"{name}\", input, {settings}]))");
        text.push_str(&format!("\ndeny contains \"never\" if {{\n\t{print}\n\tfalse\n}}\n"));
        if folder.path == crate::policies::RUNTIME {
            text.push_str(&format!("\nallow if {{\n\t{print}\n\tfalse\n}}\n"));
        }
    }
    let mut engine = listening.engine(true)?;
    engine.set_gather_prints(true);
    for (file, tests) in &listening.tests {
        let package = package_of(file, folder);
        let names = tests.lines().filter(|line| line.starts_with("test_")).filter_map(|line| line.split(' ').next());
        for test in names {
            engine.eval_rule(format!("data.{package}.{test}")).map_err(|error| CheckError::rego(&error))?;
        }
    }
    let printed = engine.take_prints().map_err(|error| CheckError::rego(&error))?;
    let mut asked: Vec<Asked> = Vec::new();
    for line in printed.iter().filter_map(|line| line.split_once(MARK)).map(|(_, text)| text.trim()) {
        let read = serde_json::from_str::<(String, serde_json::Value, serde_json::Value)>(line);
        let (policy, input, settings) = read.map_err(|error| CheckError::json("what a test asked", line, &error))?;
        let one = Asked { policy, input, settings };
        if !asked.contains(&one) {
            asked.push(one);
        }
    }
    Ok(asked)
}

const MARK: &str = "asked-by-a-test:";
