//! How outcomes are printed.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Effects, Style};

use super::Outcome;

const HELD: Style = AnsiColor::Green.on_default().effects(Effects::BOLD);
const FAILED: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const DIMMED: Style = Style::new().effects(Effects::DIMMED);

/// One step's outcome, its detail whole.
pub fn line(outcome: &Outcome) -> String {
    let (style, word) = verdict(outcome);
    let detail = match &outcome.finding {
        Ok(detail) | Err(detail) => detail,
    };
    format!("{style}{word}{style:#} {} {DIMMED}({}){DIMMED:#} {detail}", outcome.step.name(), seconds(outcome.took))
}

/// All outcomes, one line each, and how many of the planned steps held.
pub fn summary(outcomes: &[Outcome], planned: usize) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let (style, word) = verdict(outcome);
        let (Ok(detail) | Err(detail)) = &outcome.finding;
        let first = detail.lines().next().unwrap_or_default();
        let _ = writeln!(
            text,
            "{style}{word:<6}{style:#}  {:<14}  {DIMMED}{:>8}{DIMMED:#}  {first}",
            outcome.step.name(),
            seconds(outcome.took)
        );
    }
    let held = outcomes.iter().filter(|outcome| outcome.finding.is_ok()).count();
    let total: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    let style = if held == planned { HELD } else { FAILED };
    let _ = write!(text, "{style}{held} of {planned} steps held{style:#} in {}", seconds(total));
    if outcomes.len() < planned {
        let _ = write!(text, "; {} did not run", planned - outcomes.len());
    }
    text
}

fn verdict(outcome: &Outcome) -> (Style, &'static str) {
    if outcome.finding.is_ok() { (HELD, "held") } else { (FAILED, "FAILED") }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use nexus_commands::Step;

    use super::*;

    #[test]
    fn the_summary_counts_what_failed() {
        let outcomes = [
            Outcome { step: Step::Fmt, finding: Ok("clean".to_owned()), took: Duration::from_millis(1_234) },
            Outcome { step: Step::Tidy, finding: Err("two places\nfirst".to_owned()), took: Duration::from_millis(10) },
        ];
        let text = anstream::adapter::strip_str(&summary(&outcomes, 3)).to_string();
        let expected = "held    fmt                1.2 s  clean\n\
                        FAILED  tidy               0.0 s  two places\n\
                        1 of 3 steps held in 1.2 s; 1 did not run";
        assert_eq!(text, expected);
        assert!(line(&outcomes[1]).contains("first"), "the step's own line keeps every detail");
    }
}
