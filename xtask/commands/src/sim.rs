//! `sim`: run trials.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use crate::{
    engine::{Engine, EngineChoice},
    help::examples,
    report::JunitOption,
    schedule::ScheduleChoice,
    values,
};

/// Run scenarios under faults and judge them
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Run scenarios under faults and judge them.\n\n\
        With no option: every smoke and fast scenario, each over several seeds. A trial that breaks a property leaves \
        bug-<scenario>-<seed>.json and .md, which `replay` and `shrink` take.",
    after_help = examples(&[
        ("cargo xtask sim", "smoke and fast scenarios, several seeds"),
        ("cargo xtask sim --list", "what scenarios there are"),
        ("cargo xtask sim --scenario all --seeds 200 --engine both", "everything, on both engines"),
        ("cargo xtask sim --scenario crashes --seed 42", "one trial"),
        ("cargo xtask sim --engine madsim --schedule both", "tasks overtake each other, and go on late"),
        ("cargo xtask sim --check-determinism --seeds 20", "run trials twice and compare their traces"),
        ("cargo xtask sim --junit target/nexus/junit.xml", "for a build server: a failure carries verdict and replay command"),
        ("cargo xtask sim --json | jq .latency", "for programs"),
    ])
)]
pub struct SimOptions {
    /// A scenario's name or file, or `all`; may be given several times
    #[arg(long = "scenario", value_name = "NAME|PATH|all", value_parser = values::name, help_heading = "What to run")]
    pub scenarios: Vec<String>,

    /// The first seed; alone it means this one seed only
    #[arg(long, value_name = "N", value_parser = values::seed, allow_negative_numbers = true, help_heading = "What to run")]
    pub seed: Option<u64>,

    /// How many consecutive seeds each scenario gets
    #[arg(long, value_name = "N", value_parser = values::count, allow_negative_numbers = true, help_heading = "What to run")]
    pub seeds: Option<u64>,

    /// Drive the system with the customers recorded in this file
    #[arg(long, value_name = "FILE", help_heading = "What to run")]
    pub workload: Option<PathBuf>,

    /// What runs the trials
    #[arg(long, value_name = "ENGINE", value_enum, default_value = "turmoil", help_heading = "How to run it")]
    pub engine: EngineChoice,

    /// In which order the tasks of a host are taken
    #[arg(long, value_name = "SCHEDULE", value_enum, default_value = "scenario", help_heading = "How to run it")]
    pub schedule: ScheduleChoice,

    /// How many trials run at a time; by default one a processor
    #[arg(long, value_name = "N", value_parser = values::jobs, allow_negative_numbers = true, help_heading = "How to run it")]
    pub jobs: Option<usize>,

    /// Run every trial a second time in another process and compare the traces
    #[arg(long, help_heading = "How to run it")]
    pub check_determinism: bool,

    /// Where reports and bug files go; by default target/nexus
    #[arg(long, value_name = "DIR", help_heading = "What to print and keep")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub junit: JunitOption,

    /// List the scenarios and run nothing
    #[arg(
        long,
        conflicts_with_all = ["seed", "seeds", "jobs", "schedule", "check_determinism", "workload", "out", "junit"],
        help_heading = "What to print and keep"
    )]
    pub list: bool,

    /// Print one JSON object instead of tables
    #[arg(long, help_heading = "What to print and keep")]
    pub json: bool,
}

impl SimOptions {
    /// Where seeds begin when none is named.
    pub const FIRST_SEED: u64 = 1;

    /// The first seed and how many follow each other: `--seed` alone means one, neither means `default_count`.
    pub fn seed_span(&self, default_count: u64) -> (u64, u64) {
        let first = self.seed.unwrap_or(Self::FIRST_SEED);
        let count = self.seeds.unwrap_or(if self.seed.is_some() { 1 } else { default_count });
        (first, count)
    }

    /// The same options for one engine, its output in `out`.
    pub fn on(&self, engine: Engine, out: PathBuf) -> SimOptions {
        let junit = self.junit.on(engine);
        SimOptions { engine: engine.into(), out: (!self.list).then_some(out), junit, ..self.clone() }
    }

    /// The options as a command line, the command's name first: parsing it gives these options again.
    pub fn to_arguments(&self) -> Vec<OsString> {
        // Taken apart by name, so that an option added above cannot be forgotten here.
        let SimOptions {
            scenarios,
            seed,
            seeds,
            workload,
            engine,
            schedule,
            jobs,
            check_determinism,
            out,
            junit,
            list,
            json,
        } = self;
        let mut arguments = vec![OsString::from("sim")];
        let mut pair = |name: &str, value: OsString| {
            let mut joined = OsString::from(format!("--{name}="));
            joined.push(value);
            arguments.push(joined);
        };
        scenarios.iter().for_each(|scenario| pair("scenario", scenario.into()));
        seed.iter().for_each(|seed| pair("seed", seed.to_string().into()));
        seeds.iter().for_each(|seeds| pair("seeds", seeds.to_string().into()));
        workload.iter().for_each(|file| pair("workload", file.into()));
        pair("engine", engine.single().map_or("both", Engine::name).into());
        if *schedule != ScheduleChoice::default() {
            pair("schedule", schedule.name().into());
        }
        jobs.iter().for_each(|jobs| pair("jobs", jobs.to_string().into()));
        out.iter().for_each(|folder| pair("out", folder.into()));
        junit.junit.iter().for_each(|file| pair("junit", file.into()));
        for (given, flag) in [(check_determinism, "--check-determinism"), (list, "--list"), (json, "--json")] {
            if *given {
                arguments.push(flag.into());
            }
        }
        arguments
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let (first, count) = self.seed_span(1);
        first.checked_add(count - 1).is_none().then(|| {
            format!(
                "--seed {first} and --seeds {count} reach beyond the last seed, {}: begin lower or take fewer",
                u64::MAX
            )
        })
    }
}
