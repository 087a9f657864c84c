//! Calls of AWS, compared seed by seed: they are what the bill is made of, and where throttling begins.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    diff::{
        NOTABLE_CHANGE_CALLS,
        paired::{PairedVerdict, compared},
    },
    model::TrialRecord,
};

/// Latencies of calls of AWS are named so.
const PREFIX: &str = "aws:";

/// How often one operation was called, in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallsDiff {
    /// As AWS names it.
    pub operation: String,
    /// Seeds that both runs played.
    pub seeds: u64,
    /// Calls in a trial, averaged over the seeds.
    pub before: f64,
    pub after: f64,
    /// `after / before - 1`, of one call where there was less.
    pub change: f64,
    /// What the difference must exceed to be more than chance; `null` with too few seeds.
    pub noise: Option<f64>,
    pub verdict: PairedVerdict,
}

/// Every operation that a trial of either run called.
pub(super) fn calls_diffs(pairs: &[(&TrialRecord, &TrialRecord)]) -> Vec<CallsDiff> {
    let counted: Vec<_> = pairs.iter().map(|(before, after)| (counts(before), counts(after))).collect();
    let operations: BTreeSet<&str> =
        counted.iter().flat_map(|(before, after)| before.keys().chain(after.keys()).copied()).collect();
    let diff = |operation: &str| {
        let values: Vec<(f64, f64)> =
            counted.iter().map(|(before, after)| (count_of(before, operation), count_of(after, operation))).collect();
        let compared = compared(&values, 1.0, NOTABLE_CHANGE_CALLS);
        CallsDiff {
            operation: operation.to_owned(),
            seeds: values.len() as u64,
            before: compared.before,
            after: compared.after,
            change: compared.change,
            noise: compared.noise,
            verdict: compared.verdict,
        }
    };
    operations.into_iter().map(diff).collect()
}

fn count_of(counts: &BTreeMap<&str, u64>, operation: &str) -> f64 {
    counts.get(operation).copied().unwrap_or(0) as f64
}

fn counts(trial: &TrialRecord) -> BTreeMap<&str, u64> {
    let calls = trial.latency.iter().filter_map(|(name, phases)| Some((name.strip_prefix(PREFIX)?, phases)));
    calls
        .map(|(operation, phases)| (operation, phases.iter().map(|phase| phase.histogram.decode().count()).sum()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latencies::Latencies,
        model::{PhaseHistogram, Verdict},
    };

    fn trial(seed: u64, gets: u64) -> TrialRecord {
        let mut trial = TrialRecord::new(seed, Verdict::Held, "");
        let mut took = Latencies::new();
        took.record_many_us(3_000, gets);
        let phase = PhaseHistogram { phase: "nominal".to_owned(), histogram: took.encode() };
        trial.latency.insert("aws:GetItem".to_owned(), vec![phase.clone()]);
        trial.latency.insert("command".to_owned(), vec![phase]);
        trial
    }

    fn verdict(pairs: &[(u64, u64)]) -> PairedVerdict {
        let trials: Vec<_> =
            (1..).zip(pairs).map(|(seed, (before, after))| (trial(seed, *before), trial(seed, *after))).collect();
        let pairs: Vec<_> = trials.iter().map(|(before, after)| (before, after)).collect();
        let diffs = calls_diffs(&pairs);
        assert_eq!(diffs.iter().map(|diff| diff.operation.as_str()).collect::<Vec<_>>(), ["GetItem"]);
        diffs[0].verdict
    }

    #[test]
    fn calls_must_grow_in_the_same_seeds_beyond_their_scatter() {
        let table: [(&[(u64, u64)], PairedVerdict); 5] = [
            (&[(100, 120), (300, 322), (50, 70), (200, 221), (10, 30)], PairedVerdict::Grew),
            (&[(120, 100), (322, 300), (70, 50), (221, 200), (30, 10)], PairedVerdict::Shrank),
            (&[(100, 140), (300, 260), (50, 90), (200, 170), (10, 30)], PairedVerdict::WithinNoise),
            (&[(1_000, 1_020); 6], PairedVerdict::WithinNoise),
            (&[(100, 200); 4], PairedVerdict::TooFewSeeds),
        ];
        for (pairs, expected) in table {
            assert_eq!(verdict(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn an_operation_that_nobody_called_before_is_compared_with_none() {
        let trials: Vec<_> = (1..=5).map(|seed| (TrialRecord::new(seed, Verdict::Held, ""), trial(seed, 3))).collect();
        let pairs: Vec<_> = trials.iter().map(|(before, after)| (before, after)).collect();
        let diff = &calls_diffs(&pairs)[0];
        assert_eq!((diff.before, diff.after, diff.change, diff.verdict), (0.0, 3.0, 3.0, PairedVerdict::Grew));
    }
}
