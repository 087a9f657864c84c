//! How results look on a terminal, and as JSON.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};
use serde::Serialize;

use crate::{
    check::CheckReport,
    explain::{Condition, Explanation, RuleTrace},
    policies::Finding,
    testing::{Coverage, TestReport},
};

const BAD: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const GOOD: Style = AnsiColor::Green.on_default().effects(Effects::BOLD);
const HINT: Style = AnsiColor::Green.on_default();
const TITLE: Style = AnsiColor::Cyan.on_default().effects(Effects::BOLD);
const DIMMED: Style = Style::new().effects(Effects::DIMMED);

pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

pub fn tests(report: &TestReport) -> String {
    let mut text = String::new();
    for failure in &report.failures {
        let why = failure.failure.as_deref().unwrap_or_default();
        let _ = writeln!(text, "{BAD}failed{BAD:#} {} ({}:{}): {why}", failure.test, failure.file, failure.line);
    }
    for file in &report.untested {
        let _ = writeln!(text, "{BAD}untested{BAD:#} {file}: it has no test; write {}", test_file(file));
    }
    for coverage in &report.coverage {
        let _ = writeln!(text, "{}", coverage_line(coverage));
        for rule in &coverage.rules_not_covered {
            let lines: Vec<String> = coverage
                .lines_not_covered
                .iter()
                .filter(|line| (rule.first_line..=rule.last_line).contains(line))
                .map(ToString::to_string)
                .collect();
            let place = format!("{}:{}", coverage.file, rule.first_line);
            let _ = writeln!(
                text,
                "  {BAD}not covered{BAD:#} `{}` ({place}): no test evaluates line {}; add one to {}",
                rule.name,
                lines.join(", "),
                test_file(&coverage.file)
            );
        }
    }
    let verdict = if report.held() { format!("{GOOD}held{GOOD:#}") } else { format!("{BAD}broke{BAD:#}") };
    let _ = writeln!(
        text,
        "\n{verdict}: {} tests passed, {} failed; {} of {} rules covered",
        report.passed,
        report.failed,
        report.rules() - report.rules_not_covered,
        report.rules()
    );
    text
}

fn test_file(policy: &str) -> String {
    policy.replace(".rego", "_test.rego")
}

fn coverage_line(coverage: &Coverage) -> String {
    format!(
        "{:<52} {:>2}/{:<2} rules  {:>3}/{:<3} lines",
        coverage.file, coverage.rules_covered, coverage.rules, coverage.lines_covered, coverage.lines
    )
}

pub fn check(report: &CheckReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let _ = writeln!(text, "{}\n", finding_lines(finding));
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let facts: Vec<String> =
        report.facts.iter().map(|(key, count)| format!("{count} {}", key.replace('_', " "))).collect();
    let judged = format!("{} policies over {}", report.policies.len(), facts.join(", "));
    let left_out = match report.left_out.len() {
        0 => String::new(),
        count => format!("; {count} left out, as nothing that they read has changed"),
    };
    match report.findings.len() {
        0 => writeln!(text, "{GOOD}held{GOOD:#}: {judged}{left_out}"),
        count => writeln!(text, "{BAD}broke{BAD:#}: {count} findings of {judged}{left_out}"),
    }
    .unwrap_or_default();
    text
}

fn finding_lines(finding: &Finding) -> String {
    format!(
        "{BAD}{}{BAD:#} {}\n  {DIMMED}at{DIMMED:#}   {}:{}\n  {DIMMED}by{DIMMED:#}   policies/desk/{}.rego\n  {HINT}mend{HINT:#} {}",
        finding.rule, finding.what, finding.file, finding.line, finding.policy, finding.mend
    )
}

pub fn explanation(explanation: &Explanation) -> String {
    let style = if explanation.decision == "allow" { GOOD } else { BAD };
    let mut text = format!("{style}{}{style:#}\n", explanation.decision);
    section(&mut text, "These rules hold", &explanation.held);
    section(&mut text, "These do not", &explanation.not_held);
    if explanation.decision == "deny" && explanation.held.iter().all(|trace| trace.role != "deny") {
        text.push_str("\nNo rule denies this, but none allows it either, and what no policy allows is denied.\n");
    }
    text
}

fn section(text: &mut String, title: &str, traces: &[RuleTrace]) {
    if !traces.is_empty() {
        let _ = writeln!(text, "\n{TITLE}{title}{TITLE:#}");
    }
    for trace in traces {
        rule(text, trace, 1);
    }
}

fn rule(text: &mut String, trace: &RuleTrace, depth: usize) {
    let indent = "  ".repeat(depth);
    let role = if trace.role == "helper" { String::new() } else { format!("{} ", trace.role) };
    let _ = writeln!(text, "{indent}{role}{} {DIMMED}{}:{}{DIMMED:#}", trace.rule, trace.file, trace.line);
    for said in &trace.says {
        let sentence = ["reason", "what"].iter().find_map(|key| said.get(*key).and_then(serde_json::Value::as_str));
        if let Some(sentence) = sentence {
            let _ = writeln!(text, "{indent}  {BAD}→{BAD:#} {sentence}");
        }
    }
    for one in &trace.conditions {
        condition(text, one, depth + 1);
    }
}

fn condition(text: &mut String, condition: &Condition, depth: usize) {
    let indent = "  ".repeat(depth);
    let (style, sign) = match condition.outcome {
        "held" => (GOOD, "✓"),
        "failed" => (BAD, "✗"),
        "error" => (BAD, "!"),
        _ => (DIMMED, "·"),
    };
    let _ = writeln!(text, "{indent}{style}{sign}{style:#} {:>3} {}", condition.line, condition.text);
    if let Some(error) = &condition.error {
        let _ = writeln!(text, "{indent}      {BAD}{error}{BAD:#}");
    }
    for reading in &condition.read {
        let _ = writeln!(text, "{indent}      {DIMMED}{} = {}{DIMMED:#}", reading.path, reading.value);
    }
    for trace in &condition.rests_on {
        rule(text, trace, depth + 3);
    }
}
