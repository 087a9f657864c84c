//! Decides what is played next. It plays nothing itself: trials go out by generations, what they showed comes back.
//!
//! A generation is drawn from the corpus as it stood at the generation's beginning, and taken in whole and in order, so that
//! the trials of a run depend on its seed and their number alone, never on which process was faster.

use std::collections::BTreeMap;

use nexus_faults::UnusableTemplate;
use nexus_scenario::{Scenario, Tier};
use serde::{Deserialize, Serialize};

use crate::{Corpus, Mutation, Shard, SwarmConfig, Trial, mutate, seeded_runner};

/// Trials of one generation.
const GENERATION: usize = 16;
/// Of each five trials so many are plain random draws, whatever the corpus holds: guidance may be wrong.
const RANDOM_IN_FIVE: u64 = 2;

#[derive(Clone, Debug)]
pub struct ExploreSettings {
    /// Number of the first trial; a plain random trial's number is its seed.
    pub first: u64,
    /// Trials of all shards together; without a bound it goes on for ever.
    pub trials: Option<u64>,
    pub shard: Shard,
    /// `turmoil` or `madsim`.
    pub engine: String,
}

/// Where a trial came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Kept by an earlier run.
    Corpus,
    /// A plain draw of the swarm.
    Random,
    /// Made of a trial of the corpus.
    Mutated { by: Vec<Mutation> },
}

impl Origin {
    pub fn name(&self) -> &'static str {
        match self {
            Origin::Corpus => "corpus",
            Origin::Random => "random",
            Origin::Mutated { .. } => "mutated",
        }
    }
}

/// A trial to be played.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Unique in the run, over all shards.
    pub number: u64,
    pub origin: Origin,
    pub trial: Trial,
}

/// What a played candidate showed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The trial as it is worth keeping: without faults that found nothing to act on.
    pub trial: Trial,
    pub features: Vec<String>,
    pub is_broken: bool,
}

/// What came of the trials of one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginTally {
    pub trials: u64,
    pub new_features: u64,
    pub broken: u64,
}

/// How far the run was after a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressPoint {
    pub trials: u64,
    pub features: u64,
    pub corpus: u64,
}

pub struct Explorer {
    settings: ExploreSettings,
    scenarios: Vec<(Tier, Scenario)>,
    corpus: Corpus,
    /// Trials of an earlier run that are still to be played again.
    inherited: Vec<Trial>,
    positions: Box<dyn Iterator<Item = u64> + Send>,
    /// How many candidates this shard made so far.
    made: u64,
    tallies: BTreeMap<&'static str, OriginTally>,
    by_mutation: BTreeMap<Mutation, OriginTally>,
    progress: Vec<ProgressPoint>,
}

impl Explorer {
    /// `scenarios` are what plain draws start from, in turn; `inherited` are played first.
    ///
    /// # Panics
    /// Without any scenario.
    pub fn new(settings: ExploreSettings, scenarios: Vec<(Tier, Scenario)>, inherited: Vec<Trial>) -> Explorer {
        assert!(!scenarios.is_empty(), "an exploration starts from scenarios");
        let inherited: Vec<Trial> = inherited
            .into_iter()
            .filter(|trial| trial.engine == settings.engine)
            .filter(|trial| scenarios.iter().any(|(_, scenario)| scenario.name == trial.scenario))
            .rev()
            .collect();
        Explorer {
            positions: Box::new(settings.shard.positions(settings.trials)),
            settings,
            scenarios,
            corpus: Corpus::default(),
            inherited,
            made: 0,
            tallies: BTreeMap::new(),
            by_mutation: BTreeMap::new(),
            progress: Vec::new(),
        }
    }

    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// By [`Origin::name`].
    pub fn tallies(&self) -> &BTreeMap<&'static str, OriginTally> {
        &self.tallies
    }

    pub fn by_mutation(&self) -> &BTreeMap<Mutation, OriginTally> {
        &self.by_mutation
    }

    pub fn progress(&self) -> &[ProgressPoint] {
        &self.progress
    }

    /// The trials to be played next; none once there are no more.
    ///
    /// # Errors
    /// If a scenario's families do not fit its topology.
    pub fn next_generation(&mut self) -> Result<Vec<Candidate>, UnusableTemplate> {
        let mut candidates = Vec::new();
        while candidates.len() < GENERATION {
            let Some(position) = self.positions.next() else { break };
            let number = self.settings.first.wrapping_add(position);
            candidates.push(self.candidate(number)?);
            self.made += 1;
        }
        Ok(candidates)
    }

    fn candidate(&mut self, number: u64) -> Result<Candidate, UnusableTemplate> {
        if let Some(trial) = self.inherited.pop() {
            return Ok(Candidate { number, origin: Origin::Corpus, trial });
        }
        let mut runner = seeded_runner(number, "mutate");
        if self.made % 5 >= RANDOM_IN_FIVE
            && let Some(parent) = self.corpus.choose(&mut runner)
        {
            let other = self.corpus.choose(&mut runner).unwrap_or(parent);
            let (trial, by) = mutate(&parent.trial, &other.trial, &mut runner);
            return Ok(Candidate { number, origin: Origin::Mutated { by }, trial });
        }
        // Which scenario a number means must not depend on how many shards there are.
        let (tier, scenario) = &self.scenarios[(number % self.scenarios.len() as u64) as usize];
        let trial = SwarmConfig::draw(*tier, scenario, number).trial(&self.settings.engine)?;
        Ok(Candidate { number, origin: Origin::Random, trial })
    }

    /// Takes in what a generation showed, in the order of its candidates; nothing for one that was not played.
    pub fn absorb(&mut self, generation: &[Candidate], seen: &[Option<Seen>]) {
        for (candidate, seen) in generation.iter().zip(seen) {
            let Some(seen) = seen else { continue };
            let new = self.corpus.offer(&seen.trial, &seen.features) as u64;
            count(self.tallies.entry(candidate.origin.name()).or_default(), new, seen.is_broken);
            if let Origin::Mutated { by } = &candidate.origin {
                for mutation in by {
                    count(self.by_mutation.entry(*mutation).or_default(), new, seen.is_broken);
                }
            }
        }
        self.progress.push(ProgressPoint {
            trials: self.tallies.values().map(|tally| tally.trials).sum(),
            features: self.corpus.features() as u64,
            corpus: self.corpus.entries().len() as u64,
        });
    }
}

fn count(tally: &mut OriginTally, new_features: u64, is_broken: bool) {
    tally.trials += 1;
    tally.new_features += new_features;
    tally.broken += u64::from(is_broken);
}
