//! The verdicts as JUnit XML, which build servers read: one suite a scenario, one case a trial and an objective.

use std::fmt::Write as _;

use crate::{
    aggregate::objective_verdict,
    model::{ObjectiveRecord, RunRecord, ScenarioRecord, TrialRecord, Verdict, replay_command},
};

/// A case before it is written.
struct Case {
    name: String,
    class: String,
    seconds: f64,
    outcome: CaseOutcome,
}

enum CaseOutcome {
    Passed,
    /// Message and text.
    Failed(String, String),
    Skipped(String),
}

impl RunRecord {
    /// The run as JUnit XML. A trial that broke is a failure that carries its reason and its replay command; one that is
    /// inconclusive is skipped, since it has shown nothing.
    pub fn junit(&self) -> String {
        let mut suites: Vec<(String, Vec<Case>)> =
            self.scenarios.iter().map(|scenario| (self.label(scenario), self.cases(scenario))).collect();
        suites.push(("determinism".to_owned(), vec![self.determinism_case()]));
        let all = || suites.iter().flat_map(|(_, cases)| cases);
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a String cannot fail.
        let _ = writeln!(xml, "<testsuites name=\"nexus\" {}>", counts(all()));
        for (name, cases) in &suites {
            let _ = writeln!(xml, "  <testsuite name=\"{}\" {}>", escaped(name), counts(cases.iter()));
            cases.iter().for_each(|case| write_case(&mut xml, case));
            xml.push_str("  </testsuite>\n");
        }
        xml.push_str("</testsuites>\n");
        xml
    }

    fn cases(&self, scenario: &ScenarioRecord) -> Vec<Case> {
        let class = format!("nexus.{}.{}", scenario.engine, scenario.name);
        let trials = scenario.trials.iter().map(|trial| trial_case(&class, trial));
        trials.chain(scenario.objectives.iter().map(|objective| objective_case(&class, objective))).collect()
    }

    fn determinism_case(&self) -> Case {
        let determinism = &self.determinism;
        let outcome = match (determinism.checked, determinism.diverged) {
            (0, _) => CaseOutcome::Skipped("no trial was run twice".to_owned()),
            (_, 0) => CaseOutcome::Passed,
            (checked, diverged) => CaseOutcome::Failed(
                format!("diverged: {diverged} of {checked} trials"),
                "A trial that was run again gave another trace hash, so no verdict of this run can be replayed."
                    .to_owned(),
            ),
        };
        Case { name: "same trial, same trace".to_owned(), class: "nexus.determinism".to_owned(), seconds: 0.0, outcome }
    }
}

fn trial_case(class: &str, trial: &TrialRecord) -> Case {
    let outcome = match trial.verdict {
        Verdict::Held => CaseOutcome::Passed,
        Verdict::Inconclusive => CaseOutcome::Skipped(format!("inconclusive: {}", trial.reason)),
        Verdict::Broken => CaseOutcome::Failed(format!("broken: {}", trial.reason), told(trial)),
    };
    Case { name: format!("seed {}", trial.seed), class: class.to_owned(), seconds: trial.wall_s, outcome }
}

/// What broke, and how to see it again.
fn told(trial: &TrialRecord) -> String {
    let mut text = String::new();
    for check in trial.checks.iter().filter(|check| check.outcome == Verdict::Broken) {
        let _ = writeln!(text, "{}: {}", check.name, check.message);
    }
    let _ = writeln!(text, "trace {}", trial.trace_hash);
    if let Some(command) = trial.bug_file.as_deref().map(replay_command) {
        let _ = writeln!(text, "replay: {command}");
    }
    text
}

fn objective_case(class: &str, objective: &ObjectiveRecord) -> Case {
    let phase = if objective.phase.is_empty() { "all phases" } else { &objective.phase };
    let name = format!("{} p{} in {phase} within {} ms", objective.latency, objective.percentile, objective.limit_ms);
    let outcome = match (objective_verdict(objective), objective.measured_ms) {
        (Verdict::Held, _) => CaseOutcome::Passed,
        (Verdict::Broken, Some(measured_ms)) => CaseOutcome::Failed(
            format!("broken: {measured_ms:.3} ms measured"),
            format!("{measured_ms:.3} ms measured, {} ms allowed", objective.limit_ms),
        ),
        _ => CaseOutcome::Skipped("inconclusive: no trial measured it".to_owned()),
    };
    Case { name, class: class.to_owned(), seconds: 0.0, outcome }
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    let (mut tests, mut failures, mut skipped, mut seconds) = (0, 0, 0, 0.0);
    for case in cases {
        tests += 1;
        seconds += case.seconds;
        match case.outcome {
            CaseOutcome::Passed => {}
            CaseOutcome::Failed(..) => failures += 1,
            CaseOutcome::Skipped(_) => skipped += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{seconds:.3}\"")
}

fn write_case(xml: &mut String, case: &Case) {
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\"",
        escaped(&case.name),
        escaped(&case.class),
        case.seconds
    );
    let _ = match &case.outcome {
        CaseOutcome::Passed => writeln!(xml, "{head}/>"),
        CaseOutcome::Skipped(message) => {
            writeln!(xml, "{head}>\n      <skipped message=\"{}\"/>\n    </testcase>", escaped(message))
        }
        CaseOutcome::Failed(message, text) => writeln!(
            xml,
            "{head}>\n      <failure message=\"{}\" type=\"broken\">{}</failure>\n    </testcase>",
            escaped(message),
            escaped(text)
        ),
    };
}

/// Text for an attribute or an element. Control characters are not allowed in XML at all.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_the_document() {
        assert_eq!(escaped("a<b>&\"c\"\u{1}\n"), "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}\n");
    }
}
