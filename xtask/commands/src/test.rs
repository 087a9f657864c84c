//! `test`: every check of this repository.

use clap::{Args, ValueEnum};

use crate::help::examples;

/// One check. They run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Step {
    /// Formatting is rustfmt's
    Fmt,
    /// No workspace crate depends on one it must not know
    Arrows,
    /// Every crate root forbids unsafe code, the interposer's apart
    ForbidUnsafe,
    /// No path of someone's machine, no unfinished marker, no conflict marker
    Tidy,
    /// The policies' tests hold and reach every rule; source, templates and settings keep the policies
    Policies,
    /// Schemas fit those before them; their catalogue and the templates are current
    Schemas,
    /// No clippy warning in any target
    Clippy,
    /// Unit, property and integration tests of every crate
    Unit,
    /// The engine's tests once more on madsim
    EngineMadsim,
    /// Equal traces: twice in a row on both engines, and with our crates optimised and not
    Determinism,
    /// Every scenario over a few seeds on turmoil
    ChaosTurmoil,
    /// Every scenario over a few seeds on madsim
    ChaosMadsim,
    /// Canaries among the planted bugs must be caught
    Bugs,
}

impl Step {
    /// The name as the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Step::Fmt => "fmt",
            Step::Arrows => "arrows",
            Step::ForbidUnsafe => "forbid-unsafe",
            Step::Tidy => "tidy",
            Step::Policies => "policies",
            Step::Schemas => "schemas",
            Step::Clippy => "clippy",
            Step::Unit => "unit",
            Step::EngineMadsim => "engine-madsim",
            Step::Determinism => "determinism",
            Step::ChaosTurmoil => "chaos-turmoil",
            Step::ChaosMadsim => "chaos-madsim",
            Step::Bugs => "bugs",
        }
    }

    /// What the step shows, in one line.
    pub fn purpose(self) -> String {
        self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }
}

/// Run every check of this repository
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    about = "Run every check of this repository",
    long_about = "Run every check of this repository.\n\n\
        All steps run even when one fails; a table at the end tells which held and how long each took. The exit code is \
        1 when one failed.",
    after_help = examples(&[
        ("cargo xtask test", "everything, as continuous integration does"),
        ("cargo xtask test --list", "the steps and what each shows"),
        ("cargo xtask test --only fmt --only clippy", "before a commit"),
        ("cargo xtask test --skip bugs", "everything but the planted bugs"),
    ])
)]
pub struct TestOptions {
    /// Only this step; may be given several times
    #[arg(long, value_name = "STEP", value_enum, hide_possible_values = true)]
    pub only: Vec<Step>,

    /// All but this step; may be given several times
    #[arg(long, value_name = "STEP", value_enum, hide_possible_values = true)]
    pub skip: Vec<Step>,

    /// List the steps and run none
    #[arg(long)]
    pub list: bool,
}

impl TestOptions {
    /// The chosen steps in the order in which they run; none when the options exclude each other.
    pub fn steps(&self) -> Vec<Step> {
        Step::value_variants()
            .iter()
            .copied()
            .filter(|step| self.only.is_empty() || self.only.contains(step))
            .filter(|step| !self.skip.contains(step))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for step in Step::value_variants() {
            assert_eq!(Step::from_str(step.name(), false), Ok(*step));
            assert!(!step.purpose().is_empty(), "{step:?} says what it shows");
        }
    }

    #[test]
    fn only_and_skip_choose_in_running_order() {
        let table: [(&[Step], &[Step], &[Step]); 4] = [
            (&[Step::Bugs, Step::Fmt], &[], &[Step::Fmt, Step::Bugs]),
            (&[Step::Fmt, Step::Tidy], &[Step::Fmt], &[Step::Tidy]),
            (&[Step::Fmt], &[Step::Fmt], &[]),
            (&[Step::Unit, Step::Unit], &[], &[Step::Unit]),
        ];
        for (only, skip, expected) in table {
            let options = TestOptions { only: only.to_vec(), skip: skip.to_vec(), list: false };
            assert_eq!(options.steps(), expected, "only {only:?} skip {skip:?}");
        }
        let all = TestOptions { only: vec![], skip: vec![], list: false };
        assert_eq!(all.steps(), Step::value_variants());
    }
}
