//! Orders of tasks, by name.

use clap::ValueEnum;

/// In which order the tasks of a host are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum ScheduleChoice {
    /// As each scenario says: mostly the engine's own order
    #[default]
    Scenario,
    /// The most urgent task first; now and then it falls behind all others
    Priorities,
    /// Now and then a task goes on later than it could
    Pauses,
    /// Priorities and pauses
    Both,
}

impl ScheduleChoice {
    /// The name as the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            ScheduleChoice::Scenario => "scenario",
            ScheduleChoice::Priorities => "priorities",
            ScheduleChoice::Pauses => "pauses",
            ScheduleChoice::Both => "both",
        }
    }
}
