//! The summary of a run for a build server's page: green in one line, red with the verdict and how to replay it.

use std::fmt::Write as _;

use crate::{
    markdown::escaped,
    model::{RunRecord, ScenarioRecord, TrialRecord, Verdict},
    report::Report,
    summary::Outcome,
};

/// Failures that are told one by one; a summary is for the first glance.
const FAILURES_TOLD: usize = 20;

impl RunRecord {
    /// The run in GitHub's Markdown. The same record gives the same bytes.
    pub fn summary_markdown(&self) -> String {
        let report = Report::new(self);
        let (outcome, summary) = (report.outcome(), report.summary());
        let mark = match outcome {
            Outcome::Held => "✅",
            Outcome::Broken | Outcome::Diverged => "❌",
            Outcome::Inconclusive => "⚠️",
        };
        let mut text = format!(
            "## {mark} Nexus: {}\n\n{} trials: {} held, {} broken, {} inconclusive. Revision `{}`, {}.\n",
            outcome.as_str(),
            summary.trials,
            summary.passed,
            summary.failed,
            summary.inconclusive,
            self.revision,
            escaped(&self.engine)
        );
        // Writing to a String cannot fail.
        if self.determinism.diverged > 0 {
            let _ = writeln!(
                text,
                "\n{} of {} trials that were run twice gave another trace: no verdict of this run can be replayed.",
                self.determinism.diverged, self.determinism.checked
            );
        }
        let broken: Vec<(&ScenarioRecord, &TrialRecord)> = self
            .scenarios
            .iter()
            .flat_map(|scenario| scenario.trials.iter().map(move |trial| (scenario, trial)))
            .filter(|(_, trial)| trial.verdict == Verdict::Broken)
            .collect();
        for (scenario, trial) in broken.iter().take(FAILURES_TOLD) {
            self.tell_failure(&mut text, scenario, trial);
        }
        if broken.len() > FAILURES_TOLD {
            let _ = writeln!(text, "\n{} more trials broke.", broken.len() - FAILURES_TOLD);
        }
        self.tell_objectives(&mut text);
        self.tell_scenarios(&mut text);
        text
    }

    fn tell_failure(&self, text: &mut String, scenario: &ScenarioRecord, trial: &TrialRecord) {
        let name = escaped(&self.label(scenario));
        let _ = writeln!(text, "\n### {name}, seed {}: broken\n\n{}\n", trial.seed, escaped(&trial.reason));
        if let Some(command) = trial.replay_command() {
            let _ = writeln!(text, "```\n{command}\n```");
        }
        let _ = writeln!(text, "\nTrace `{}`", trial.trace_hash);
    }

    fn tell_objectives(&self, text: &mut String) {
        for scenario in &self.scenarios {
            for objective in scenario.objectives.iter().filter(|objective| !objective.held) {
                let measured = objective
                    .measured_ms
                    .map_or("nothing measured it".to_owned(), |measured_ms| format!("{measured_ms:.1} ms measured"));
                let _ = writeln!(
                    text,
                    "\nObjective missed in {}: {} p{} in {} within {} ms; {measured}.",
                    escaped(&self.label(scenario)),
                    escaped(&objective.latency),
                    objective.percentile,
                    escaped(&objective.phase),
                    objective.limit_ms
                );
            }
        }
    }

    fn tell_scenarios(&self, text: &mut String) {
        text.push_str("\n<details><summary>Scenarios</summary>\n\n| scenario | held | broken | inconclusive |\n|---|---:|---:|---:|\n");
        for scenario in &self.scenarios {
            let count = |verdict: Verdict| scenario.trials.iter().filter(|trial| trial.verdict == verdict).count();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                escaped(&self.label(scenario)),
                count(Verdict::Held),
                count(Verdict::Broken),
                count(Verdict::Inconclusive)
            );
        }
        text.push_str("\n</details>\n");
    }
}
