//! `chaos`: look for what nobody thought of.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use crate::{
    engine::{Engine, EngineChoice},
    help::examples,
    values,
};

/// Look for failures that nobody thought of, by drawn, mutated or exhausted faults
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    long_about = "Look for failures that nobody thought of.\n\n\
        Each trial draws which faults, sizes, time-outs, customers and doubtful facts about AWS exist in it at all. A trial \
        that shows something new is kept in a corpus and mutated; a share of plain random draws always remains. With \
        --exhaust instead: one trial for every AWS call of a scenario and every deed that may befall it, then pairs. A trial \
        that breaks a property leaves a bug file, which `replay` and `shrink` take.",
    after_help = examples(&[
        ("cargo xtask chaos", "explore for ten minutes"),
        ("cargo xtask chaos --seeds 500 --seed 7", "500 trials, the same ones each time"),
        ("cargo xtask chaos --minutes 30 --corpus target/corpus", "go on from what earlier runs found"),
        ("cargo xtask chaos --seeds 4000 --shard 2/4", "one machine's part of a fleet; join the parts with `report merge`"),
        ("cargo xtask chaos --exhaust smallest --pairs 200", "every single fault of a small run, then pairs"),
    ])
)]
pub struct ChaosOptions {
    /// A scenario's name or file that draws start from; may be given several times; by default smoke and fast ones
    #[arg(long = "scenario", value_name = "NAME|PATH", value_parser = values::name, conflicts_with = "exhaust", help_heading = "What to run")]
    pub scenarios: Vec<String>,

    /// Number of the first trial (with --exhaust: the seed of the run); 1 by default
    #[arg(long, value_name = "N", value_parser = values::seed, allow_negative_numbers = true, help_heading = "What to run")]
    pub seed: Option<u64>,

    /// How many trials, over all shards: the same ones each time
    #[arg(long, value_name = "N", value_parser = values::count, allow_negative_numbers = true, conflicts_with_all = ["minutes", "exhaust"], help_heading = "What to run")]
    pub seeds: Option<u64>,

    /// How long to go on; 10 by default
    #[arg(long, value_name = "N", value_parser = values::count, allow_negative_numbers = true, conflicts_with = "exhaust", help_heading = "What to run")]
    pub minutes: Option<u64>,

    /// Play one part of a run, such as 1/4; by default what the CI matrix or AWS Batch says in its variables
    #[arg(long, value_name = "I/N", value_parser = values::name, conflicts_with = "exhaust", help_heading = "What to run")]
    pub shard: Option<String>,

    /// Where interesting trials are kept from run to run; by default `corpus` beside the reports, begun anew
    #[arg(long, value_name = "DIR", conflicts_with = "exhaust", help_heading = "What to run")]
    pub corpus: Option<PathBuf>,

    /// Try every AWS call of this scenario's faultless run with every deed that may befall it
    #[arg(long, value_name = "NAME|PATH", value_parser = values::name, help_heading = "Exhaustion")]
    pub exhaust: Option<String>,

    /// How many pairs of faults to try afterwards; 100 by default
    #[arg(long, value_name = "N", value_parser = values::whole, allow_negative_numbers = true, requires = "exhaust", help_heading = "Exhaustion")]
    pub pairs: Option<u64>,

    /// Try every single call, not one of each class
    #[arg(long, requires = "exhaust", help_heading = "Exhaustion")]
    pub every: bool,

    /// What runs the trials
    #[arg(long, value_name = "ENGINE", value_enum, default_value = "turmoil", help_heading = "How to run it")]
    pub engine: EngineChoice,

    /// How many trials run at a time; by default one a processor
    #[arg(long, value_name = "N", value_parser = values::jobs, allow_negative_numbers = true, help_heading = "How to run it")]
    pub jobs: Option<usize>,

    /// Where reports and bug files go; by default target/nexus/chaos
    #[arg(long, value_name = "DIR", help_heading = "What to print and keep")]
    pub out: Option<PathBuf>,

    /// Print one JSON object instead of tables
    #[arg(long, help_heading = "What to print and keep")]
    pub json: bool,
}

impl ChaosOptions {
    /// Where trials begin when no number is named.
    pub const FIRST: u64 = 1;
    /// How long an exploration goes on when neither its time nor its trials are named.
    pub const MINUTES: u64 = 10;
    /// Pairs tried when their number is not named.
    pub const PAIRS: u64 = 100;

    pub fn first(&self) -> u64 {
        self.seed.unwrap_or(Self::FIRST)
    }

    /// The same options for one engine, its output in `out`; each engine keeps a corpus of its own.
    pub fn on(&self, engine: Engine, out: PathBuf) -> ChaosOptions {
        let corpus = self.corpus.as_ref().map(|folder| folder.join(engine.name()));
        ChaosOptions { engine: engine.into(), out: Some(out), corpus, ..self.clone() }
    }

    /// The options as a command line, the command's name first: parsing it gives these options again.
    pub fn to_arguments(&self) -> Vec<OsString> {
        // Taken apart by name, so that an option added above cannot be forgotten here.
        let ChaosOptions {
            scenarios,
            seed,
            seeds,
            minutes,
            shard,
            corpus,
            exhaust,
            pairs,
            every,
            engine,
            jobs,
            out,
            json,
        } = self;
        let mut arguments = vec![OsString::from("chaos")];
        let mut pair = |name: &str, value: OsString| {
            let mut joined = OsString::from(format!("--{name}="));
            joined.push(value);
            arguments.push(joined);
        };
        scenarios.iter().for_each(|scenario| pair("scenario", scenario.into()));
        seed.iter().for_each(|seed| pair("seed", seed.to_string().into()));
        seeds.iter().for_each(|seeds| pair("seeds", seeds.to_string().into()));
        minutes.iter().for_each(|minutes| pair("minutes", minutes.to_string().into()));
        shard.iter().for_each(|shard| pair("shard", shard.into()));
        corpus.iter().for_each(|folder| pair("corpus", folder.into()));
        exhaust.iter().for_each(|scenario| pair("exhaust", scenario.into()));
        pairs.iter().for_each(|pairs| pair("pairs", pairs.to_string().into()));
        pair("engine", engine.single().map_or("both", Engine::name).into());
        jobs.iter().for_each(|jobs| pair("jobs", jobs.to_string().into()));
        out.iter().for_each(|folder| pair("out", folder.into()));
        for (given, flag) in [(every, "--every"), (json, "--json")] {
            if *given {
                arguments.push(flag.into());
            }
        }
        arguments
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let (first, count) = (self.first(), self.seeds.unwrap_or(1));
        first.checked_add(count - 1).is_none().then(|| {
            format!("--seed {first} and --seeds {count} reach beyond the last number, {}: begin lower", u64::MAX)
        })
    }
}
