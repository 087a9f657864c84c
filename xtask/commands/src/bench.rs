//! `bench`: how soon the planted bugs are caught, and how fast the simulation is.

use clap::{Args, ValueEnum};

use crate::{engine::Engine, help::examples, schedule::ScheduleChoice, values};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchKind {
    /// Every planted bug of chaos/bugs: is it caught, by which check, after how many seeds
    Bugs,
    /// Random changes to system/: does any check notice, and how soon
    Mutants,
    /// AWS calls a second at each seam, time and memory of a trial, where the time goes
    Speed,
}

impl BenchKind {
    pub const ALL: [BenchKind; 3] = [BenchKind::Bugs, BenchKind::Mutants, BenchKind::Speed];

    pub fn name(self) -> &'static str {
        match self {
            BenchKind::Bugs => "bugs",
            BenchKind::Mutants => "mutants",
            BenchKind::Speed => "speed",
        }
    }
}

/// Measure how soon planted bugs are caught and how fast trials run
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Measure how soon planted bugs are caught and how fast trials run.\n\n\
        `bugs` builds a scratch copy of this repository with every patch of chaos/bugs applied, switches one bug on at \
        a time and searches seeds until a check catches it. A bug that only makes the system slower is caught when, over \
        the same seeds without and with it, our own share of a latency grew, as `report diff` tells; both records are \
        kept. A bug that no seed reveals makes the exit code 1.\n\n\
        `mutants` does the same with a sample of the changes that cargo-mutants would make to system/, each behind a \
        switch in one build. A mutant is hunted in the scenarios that reach it, cheapest first, and each trial is held \
        against the same one without it. It is caught by a check, or when it makes the same seeds dearer or slower, as \
        `report diff` tells. The exit code is 1 when fewer than 85 in 100 of those that change the course of a trial are \
        caught, or one that is not is not explained in chaos/mutants/survivors.toml.\n\n\
        `speed` runs the benchmarks. With no word `speed` and `bugs` run, in that order.",
    after_help = examples(&[
        ("cargo xtask bench bugs", "every planted bug, at most 500 seeds each"),
        ("cargo xtask bench bugs --only policy-denied-but-written --seeds 50", "one bug, fewer seeds"),
        ("cargo xtask bench bugs --json | jq '.bugs[] | select(.caught | not)'", "what escaped"),
        ("cargo xtask bench mutants --sample 100 --seeds 60", "a hundred random changes, at most 60 trials each"),
        ("cargo xtask bench speed", "calls a second, time and memory of a trial"),
    ])
)]
pub struct BenchOptions {
    /// What to measure; bugs and speed when left out
    #[arg(value_name = "WHAT", value_enum)]
    pub kind: Option<BenchKind>,

    /// How many trials a planted bug or a mutant may take before it counts as missed
    #[arg(long, value_name = "N", value_parser = values::count, allow_negative_numbers = true, default_value = "500")]
    pub seeds: u64,

    /// How many mutants are drawn; 100 when left out
    #[arg(long, value_name = "N", value_parser = values::count, allow_negative_numbers = true)]
    pub sample: Option<u64>,

    /// Which mutants are drawn: the same number draws the same from the same source; 1 when left out
    #[arg(long, value_name = "SEED", value_parser = values::seed, allow_negative_numbers = true)]
    pub draw: Option<u64>,

    /// Only this bug (its patch's name without .patch), mutant (its whole name) or benchmark; may be given several times
    #[arg(long, value_name = "NAME", value_parser = values::name)]
    pub only: Vec<String>,

    /// What runs the trials
    #[arg(long, value_name = "ENGINE", value_enum, default_value = "turmoil")]
    pub engine: Engine,

    /// In which order the tasks of a host are taken
    #[arg(long, value_name = "SCHEDULE", value_enum, default_value = "scenario")]
    pub schedule: ScheduleChoice,

    /// How many trials run at a time; by default one a processor
    #[arg(long, value_name = "N", value_parser = values::jobs, allow_negative_numbers = true)]
    pub jobs: Option<usize>,

    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

impl BenchOptions {
    /// How many mutants are drawn.
    pub fn sample(&self) -> u64 {
        self.sample.unwrap_or(100)
    }

    /// Which are drawn.
    pub fn draw(&self) -> u64 {
        self.draw.unwrap_or(1)
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let of_mutants = self.sample.is_some() || self.draw.is_some();
        if of_mutants && self.kind != Some(BenchKind::Mutants) {
            return Some("--sample and --draw are of mutants: write `bench mutants --sample …`".to_owned());
        }
        // A name belongs to one of them: the others would know nothing by it.
        let ambiguous = self.kind.is_none() && !self.only.is_empty();
        ambiguous
            .then(|| "--only needs to know of what: write `bench bugs --only …` or `bench speed --only …`".to_owned())
    }
}
