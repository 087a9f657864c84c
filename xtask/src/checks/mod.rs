//! `cargo xtask test`: every check, each a named step with its time. All run, whatever fails; a table tells at the end.

mod arrows;
mod crate_roots;
mod house;
mod policies;
mod schemas;
mod table;
mod tests_of_crates;
mod tidy;
mod trials;

use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Effects, Style};
use nexus_commands::{Step, TestOptions, exit};

use crate::{error::XtaskError, interrupt, workspace::Workspace};

const TITLE: Style = AnsiColor::Cyan.on_default().effects(Effects::BOLD);

/// What a step found: a line for the table, or why it failed.
pub type Finding = Result<String, String>;

struct Outcome {
    step: Step,
    finding: Finding,
    took: Duration,
}

/// Runs the chosen steps and prints what they found.
///
/// # Errors
/// When the options leave no step, or there is no work tree.
pub fn run(options: &TestOptions) -> Result<u8, XtaskError> {
    let steps = options.steps();
    if steps.is_empty() {
        return Err(XtaskError::NoSteps);
    }
    if options.list {
        for step in steps {
            anstream::println!("{TITLE}{:<14}{TITLE:#} {}", step.name(), step.purpose());
        }
        return Ok(exit::HELD);
    }
    let workspace = Workspace::find()?;
    interrupt::watch();
    let outcomes = run_all(&steps, |step| finding_of(step, &workspace));
    anstream::println!("\n{}", table::summary(&outcomes, steps.len()));
    Ok(exit_code(&outcomes, steps.len()))
}

fn run_all(steps: &[Step], mut finding_of: impl FnMut(Step) -> Finding) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for step in steps {
        if interrupt::happened() {
            break;
        }
        anstream::println!("\n{TITLE}== {}{TITLE:#}: {}", step.name(), step.purpose());
        let started = Instant::now();
        let finding = finding_of(*step);
        let outcome = Outcome { step: *step, finding, took: started.elapsed() };
        anstream::println!("{}", table::line(&outcome));
        outcomes.push(outcome);
    }
    outcomes
}

/// Every step must have run and held.
fn exit_code(outcomes: &[Outcome], planned: usize) -> u8 {
    let all_held = outcomes.iter().all(|outcome| outcome.finding.is_ok());
    match (all_held, outcomes.len() == planned) {
        (true, true) => exit::HELD,
        (false, _) => exit::BROKE,
        (true, false) => interrupt::EXIT_CODE,
    }
}

fn finding_of(step: Step, workspace: &Workspace) -> Finding {
    use nexus_commands::Engine::{Madsim, Turmoil};
    match step {
        Step::Fmt => tests_of_crates::fmt(workspace),
        Step::Arrows => house::arrows(workspace),
        Step::ForbidUnsafe => house::forbid_unsafe(workspace),
        Step::Tidy => house::tidy(workspace),
        Step::Policies => policies::policies(workspace),
        Step::Schemas => schemas::schemas(workspace),
        Step::Clippy => tests_of_crates::clippy(workspace),
        Step::Unit => tests_of_crates::unit(workspace),
        Step::EngineMadsim => tests_of_crates::engine_madsim(workspace),
        Step::Determinism => trials::determinism(workspace),
        Step::ChaosTurmoil => trials::chaos(workspace, Turmoil),
        Step::ChaosMadsim => trials::chaos(workspace, Madsim),
        Step::Bugs => trials::bugs(workspace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_does_not_stop_the_others_and_fails_the_whole() {
        let steps = [Step::Fmt, Step::Tidy, Step::Unit];
        let outcomes = run_all(&steps, |step| match step {
            Step::Tidy => Err("a marker".to_owned()),
            _ => Ok("fine".to_owned()),
        });
        assert_eq!(outcomes.len(), 3);
        assert_eq!(exit_code(&outcomes, 3), exit::BROKE);
        let held = run_all(&steps, |_| Ok(String::new()));
        assert_eq!(exit_code(&held, 3), exit::HELD);
        assert_eq!(exit_code(&held[..2], 3), interrupt::EXIT_CODE, "a step that never ran is no success");
    }
}
