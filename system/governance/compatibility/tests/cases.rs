//! The table: an old schema, a new one, a mode, and what must come of it. One case a line in `cases.jsonl`.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use nexus_governance_compatibility::{Mode, Options, Report, Schema, Side, judge};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The previous versions, the oldest first.
    old: Vec<Value>,
    new: Value,
    mode: String,
    verdict: String,
    /// Every rule that is found, and no other.
    rules: BTreeSet<String>,
    #[serde(default)]
    house: bool,
    #[serde(default)]
    lenient: bool,
}

fn cases() -> Vec<Case> {
    include_str!("cases.jsonl").lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn schema(document: &Value) -> Schema {
    Schema::new(document.clone()).unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn report(case: &Case) -> Report {
    let mut options = Options::new(Mode::named(&case.mode).expect(&case.mode));
    options.house_rule = case.house;
    let options = if case.lenient { options.lenient() } else { options };
    let previous: Vec<Schema> = case.old.iter().map(schema).collect();
    judge(&schema(&case.new), &previous, &options)
}

#[test]
fn every_case_is_judged_as_the_table_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let report = report(&case);
        let rules: BTreeSet<String> = report.findings.iter().map(|finding| finding.rule.clone()).collect();
        if report.verdict.name() != case.verdict || rules != case.rules {
            wrong.push(format!(
                "{} ({}): wanted {} {:?}, got\n{report}",
                case.name, case.mode, case.verdict, case.rules
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn every_counterexample_passes_one_schema_and_fails_the_other() {
    let mut seen = 0;
    for case in cases() {
        for finding in report(&case).findings {
            let Some(example) = finding.counterexample else { continue };
            let (old, new) = (&case.old[finding.against - 1], &case.new);
            let accepts = |schema: &Value| jsonschema::draft7::new(schema).unwrap().is_valid(&example.document);
            let expected = (example.accepted_by == Side::Old, example.accepted_by == Side::New);
            assert_eq!((accepts(old), accepts(new)), expected, "{}: {}", case.name, example.document);
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} counterexamples are too few to tell anything");
}

#[test]
fn the_table_is_large_and_names_no_case_twice() {
    let cases = cases();
    assert!(cases.len() >= 200, "{}", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| (&case.name, &case.mode)).collect();
    assert_eq!(names.len(), cases.len());
}
