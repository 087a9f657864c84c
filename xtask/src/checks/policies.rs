//! The step that asks the policies.

use std::ffi::OsString;

use nexus_commands::{Engine, exit};
use serde_json::Value;

use super::Finding;
use crate::{
    flavour::{self, Flavour, POLICY_CHECK},
    launch::Launch,
    workspace::Workspace,
};

/// The policies' own tests, then the work tree against the policies of the desk.
pub fn policies(workspace: &Workspace) -> Finding {
    let tested = tests_held(&ask(workspace, "test")?)?;
    let checked = nothing_found(&ask(workspace, "check")?)?;
    Ok(format!("{tested}; {checked}"))
}

fn ask(workspace: &Workspace, command: &str) -> Result<Value, String> {
    let executable = flavour::build(workspace, workspace.root(), POLICY_CHECK, Flavour::sim(Engine::Turmoil));
    let words: Vec<OsString> = [command, "--json"].map(OsString::from).to_vec();
    let launch = Launch::new(workspace, executable.map_err(|error| error.line())?, &words);
    let (code, output) = launch.capture().map_err(|error| error.line())?;
    let report = serde_json::from_slice(&output).map_err(|error| format!("policy {command} printed no JSON ({error})"));
    match code {
        exit::HELD | exit::BROKE => report,
        other => Err(format!("policy {command} ended with exit code {other}; it has said why above")),
    }
}

fn number(report: &Value, key: &str) -> Result<u64, String> {
    report.get(key).and_then(Value::as_u64).ok_or_else(|| format!("the report lacks the number `{key}`"))
}

fn tests_held(report: &Value) -> Finding {
    let (passed, failed) = (number(report, "passed")?, number(report, "failed")?);
    let uncovered = number(report, "rules_not_covered")?;
    let untested = report.get("untested").and_then(Value::as_array).map_or(0, Vec::len);
    match (passed, failed, uncovered, untested) {
        (0, ..) => Err("no test of a policy ran".to_owned()),
        (_, 0, 0, 0) => Ok(format!("{passed} tests of policies held and reach every rule")),
        _ => Err(format!(
            "{failed} tests failed, {uncovered} rules are not covered, {untested} policies have no test; \
             `cargo xtask policy test` names them"
        )),
    }
}

fn nothing_found(report: &Value) -> Finding {
    let findings = report.get("findings").and_then(Value::as_array).ok_or("the report lacks the list `findings`")?;
    let policies = report.get("policies").and_then(Value::as_array).map_or(0, Vec::len);
    let text = |finding: &Value, key: &str| finding.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let told: Vec<String> = findings
        .iter()
        .map(|finding| {
            let line = finding.get("line").and_then(Value::as_u64).unwrap_or_default();
            let (file, rule) = (text(finding, "file"), text(finding, "rule"));
            format!("{file}:{line}: {rule}: {}; {}", text(finding, "what"), text(finding, "mend"))
        })
        .collect();
    match (policies, told.len()) {
        (0, _) => Err("no policy was asked".to_owned()),
        (_, 0) => Ok(format!("{policies} policies of the desk found nothing")),
        (_, count) => Err(format!("{count} findings\n  {}", told.join("\n  "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tests_hold_only_when_some_ran_and_reach_everything() {
        let report = |passed: u64, failed: u64, uncovered: u64, untested: &[&str]| json!({"passed": passed, "failed": failed, "rules_not_covered": uncovered, "untested": untested});
        assert!(tests_held(&report(60, 0, 0, &[])).is_ok());
        for broken in [
            report(0, 0, 0, &[]),
            report(60, 1, 0, &[]),
            report(60, 0, 1, &[]),
            report(60, 0, 0, &["a.rego"]),
            json!({"passed": 1}),
            json!(null),
        ] {
            assert!(tests_held(&broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn each_finding_is_told_with_its_place() {
        assert!(nothing_found(&json!({"findings": [], "policies": ["a"]})).is_ok());
        assert!(nothing_found(&json!({"findings": [], "policies": []})).is_err());
        assert!(nothing_found(&json!({})).is_err());
        let finding = json!({"file": "a.yaml", "line": 7, "rule": "r", "what": "it is wrong", "mend": "mend it"});
        let told = nothing_found(&json!({"findings": [finding], "policies": ["a"]})).unwrap_err();
        assert_eq!(told, "1 findings\n  a.yaml:7: r: it is wrong; mend it");
    }
}
