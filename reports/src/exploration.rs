//! What a guided exploration found, beside what its trials came to: which part was guided, and whether that paid.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of one run, or of the shards of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exploration {
    /// What the trials of each origin found: `random` draws, those `mutated` from the corpus, the `corpus` of an earlier run.
    pub origins: BTreeMap<String, ShareFound>,
    /// The same by what was changed; a trial with several changes counts for each.
    pub mutations: BTreeMap<String, ShareFound>,
    /// Each thing that a trial showed, and how many trials showed it.
    pub features: BTreeMap<String, u64>,
    /// How far each shard was after each generation.
    pub progress: BTreeMap<String, Vec<ProgressRecord>>,
    /// Trials that were kept since they showed something new, and those among them that together show all of it.
    pub corpus: u64,
    pub corpus_cover: u64,
    /// Faults that were drawn; those that found nothing to act on were left out of their trial afterwards, since they changed
    /// nothing about it.
    pub faults_drawn: u64,
    pub faults_acted: u64,
}

/// What one share of the trials found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareFound {
    pub trials: u64,
    /// Features that no trial before had shown.
    pub new_features: u64,
    pub broken: u64,
}

/// After a generation of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressRecord {
    pub trials: u64,
    pub features: u64,
    pub corpus: u64,
}

impl Exploration {
    /// Takes in another shard's.
    pub fn absorb(&mut self, other: Exploration) {
        add_shares(&mut self.origins, other.origins);
        add_shares(&mut self.mutations, other.mutations);
        for (feature, trials) in other.features {
            *self.features.entry(feature).or_default() += trials;
        }
        self.progress.extend(other.progress);
        self.corpus += other.corpus;
        self.corpus_cover += other.corpus_cover;
        self.faults_drawn += other.faults_drawn;
        self.faults_acted += other.faults_acted;
    }

    /// A handful of points of each shard: trials so far, and features seen by then.
    pub(crate) fn milestones(&self) -> Vec<(&str, Vec<ProgressRecord>)> {
        const SHOWN: usize = 6;
        let thinned = |points: &Vec<ProgressRecord>| -> Vec<ProgressRecord> {
            let last = points.len().saturating_sub(1);
            let shown = SHOWN.min(points.len());
            (1..=shown).map(|nth| points[last * nth / shown]).collect()
        };
        self.progress.iter().map(|(shard, points)| (shard.as_str(), thinned(points))).collect()
    }
}

fn add_shares(into: &mut BTreeMap<String, ShareFound>, from: BTreeMap<String, ShareFound>) {
    for (name, found) in from {
        let known = into.entry(name).or_default();
        known.trials += found.trials;
        known.new_features += found.new_features;
        known.broken += found.broken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(name: &str, trials: u64, features: &[&str]) -> Exploration {
        let found = ShareFound { trials, new_features: features.len() as u64, broken: 1 };
        let point = |trials| ProgressRecord { trials, features: trials, corpus: 1 };
        Exploration {
            origins: [("random".to_owned(), found)].into(),
            mutations: [("splice".to_owned(), found)].into(),
            features: features.iter().map(|feature| ((*feature).to_owned(), 1)).collect(),
            progress: [(name.to_owned(), (1..=20).map(point).collect())].into(),
            corpus: 2,
            corpus_cover: 1,
            faults_drawn: 10,
            faults_acted: 7,
        }
    }

    #[test]
    fn shards_add_up_and_a_feature_that_both_saw_is_one() {
        let mut both = shard("1/2", 8, &["a", "b"]);
        both.absorb(shard("2/2", 7, &["b", "c"]));
        assert_eq!(both.origins["random"], ShareFound { trials: 15, new_features: 4, broken: 2 });
        assert_eq!(both.features.len(), 3);
        assert_eq!(both.features["b"], 2);
        assert_eq!((both.corpus, both.corpus_cover, both.faults_drawn, both.faults_acted), (4, 2, 20, 14));
        let milestones = both.milestones();
        assert_eq!(milestones.len(), 2);
        assert_eq!(milestones[0].1.len(), 6);
        assert_eq!(milestones[0].1.last().map(|point| point.trials), Some(20));
    }
}
