//! Our own share of a latency, compared seed by seed.
//!
//! What AWS and the faults take is drawn anew wherever the course of a trial changes, and drowns a slowdown of our code. Our own
//! share is apart from that, and the same seed sets both runs the same work, so the difference within each seed is what the
//! code did; how much it scatters over the seeds is the noise.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    diff::{NOTABLE_CHANGE, NOTABLE_OWN_CHANGE_MS},
    latencies::Latencies,
    model::{TrialRecord, round_to_six_decimals},
};

/// Seeds that both runs must have played before the scatter of their differences is known well enough to judge.
pub const FEWEST_SEEDS: usize = 5;

/// Student's t by degrees of freedom, each for all degrees up to the next row: chance passes it once in 2,000 comparisons.
/// A run of all scenarios makes some hundreds of them.
const STUDENT_T: [(usize, f64); 14] = [
    (4, 8.610),
    (5, 6.869),
    (6, 5.959),
    (7, 5.408),
    (8, 5.041),
    (9, 4.781),
    (10, 4.587),
    (12, 4.318),
    (14, 4.140),
    (19, 3.883),
    (29, 3.659),
    (59, 3.463),
    (119, 3.374),
    (1_000, 3.300),
];

/// Our own share of one latency in one phase, in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnShareDiff {
    pub latency: String,
    pub phase: String,
    pub statistic: OwnStatistic,
    /// Seeds in which both runs measured it.
    pub seeds: u64,
    /// The statistic of each seed, averaged over the seeds.
    pub before_ms: f64,
    pub after_ms: f64,
    /// `after / before - 1`.
    pub change: f64,
    /// What the difference must exceed to be more than chance; `null` with fewer than [`FEWEST_SEEDS`] seeds.
    pub noise_ms: Option<f64>,
    pub verdict: OwnVerdict,
}

/// What is taken of the operations of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnStatistic {
    Mean,
    /// Seen through a few very slow operations, which a mean is not.
    Median,
}

/// What the comparison says of our own share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnVerdict {
    Grew,
    Shrank,
    WithinNoise,
    TooFewSeeds,
}

impl OwnStatistic {
    pub fn as_str(self) -> &'static str {
        match self {
            OwnStatistic::Mean => "mean",
            OwnStatistic::Median => "median",
        }
    }

    fn of(self, latencies: &Latencies) -> Option<f64> {
        match self {
            OwnStatistic::Mean => latencies.mean_ms(),
            OwnStatistic::Median => latencies.p50_ms(),
        }
    }
}

/// Latency, phase, statistic.
type Measured<'a> = (&'a str, &'a str, OwnStatistic);

/// Every latency and phase that both trials of at least one pair told apart.
pub(super) fn share_diffs(pairs: &[(&TrialRecord, &TrialRecord)]) -> Vec<OwnShareDiff> {
    let mut values: BTreeMap<Measured, Vec<(f64, f64)>> = BTreeMap::new();
    for (before, after) in pairs {
        for one in &before.shares {
            let twin = after.shares.iter().find(|it| (&it.latency, &it.phase) == (&one.latency, &one.phase));
            let Some(other) = twin else { continue };
            let (own_before, own_after) = (one.own.decode(), other.own.decode());
            for statistic in [OwnStatistic::Mean, OwnStatistic::Median] {
                let pair = statistic.of(&own_before).zip(statistic.of(&own_after));
                values.entry((&one.latency, &one.phase, statistic)).or_default().extend(pair);
            }
        }
    }
    // In the order in which trials live the phases.
    let phases = pairs.first().map(|(before, _)| before.phases.as_slice()).unwrap_or_default();
    let position = |phase: &str| phases.iter().position(|it| it.name == phase).unwrap_or(phases.len());
    let mut measured: Vec<_> = values.into_iter().filter(|(_, pairs)| !pairs.is_empty()).collect();
    measured.sort_by_key(|((latency, phase, statistic), _)| (*latency, position(phase), *phase, *statistic));
    measured
        .into_iter()
        .map(|((latency, phase, statistic), pairs)| share_diff(latency, phase, statistic, &pairs))
        .collect()
}

fn share_diff(latency: &str, phase: &str, statistic: OwnStatistic, pairs_ms: &[(f64, f64)]) -> OwnShareDiff {
    let before_ms = mean(pairs_ms.iter().map(|(before, _)| *before));
    let after_ms = mean(pairs_ms.iter().map(|(_, after)| *after));
    let differences_ms: Vec<f64> = pairs_ms.iter().map(|(before, after)| after - before).collect();
    let noise_ms = noise_ms(&differences_ms).map(round_to_six_decimals);
    // Latencies have whole microseconds; a share of a zero one is taken of one microsecond.
    let change = round_to_six_decimals((after_ms - before_ms) / before_ms.max(0.001));
    let difference_ms = after_ms - before_ms;
    let is_large = change.abs() > NOTABLE_CHANGE && difference_ms.abs() > NOTABLE_OWN_CHANGE_MS;
    let verdict = match noise_ms {
        None => OwnVerdict::TooFewSeeds,
        Some(noise_ms) if !is_large || difference_ms.abs() <= noise_ms => OwnVerdict::WithinNoise,
        Some(_) if difference_ms > 0.0 => OwnVerdict::Grew,
        Some(_) => OwnVerdict::Shrank,
    };
    OwnShareDiff {
        latency: latency.to_owned(),
        phase: phase.to_owned(),
        statistic,
        seeds: pairs_ms.len() as u64,
        before_ms: round_to_six_decimals(before_ms),
        after_ms: round_to_six_decimals(after_ms),
        change,
        noise_ms,
        verdict,
    }
}

/// What the mean of such differences may be by chance alone.
fn noise_ms(differences_ms: &[f64]) -> Option<f64> {
    if differences_ms.len() < FEWEST_SEEDS {
        return None;
    }
    let degrees = differences_ms.len() - 1;
    let mean_ms = mean(differences_ms.iter().copied());
    let squares: f64 = differences_ms.iter().map(|difference| (difference - mean_ms).powi(2)).sum();
    let standard_error_ms = (squares / degrees as f64 / differences_ms.len() as f64).sqrt();
    let quantile = STUDENT_T.iter().rev().find(|(from, _)| *from <= degrees).map(|(_, quantile)| *quantile)?;
    Some(quantile * standard_error_ms)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs_ms: &[(f64, f64)]) -> OwnVerdict {
        share_diff("routing", "nominal", OwnStatistic::Mean, pairs_ms).verdict
    }

    #[test]
    fn a_difference_must_exceed_its_scatter_and_matter() {
        let scaled = |factor: f64, jitter_ms: f64| -> Vec<(f64, f64)> {
            let jitter = [0.9, -1.0, 0.2, -0.5, 0.6, -0.2];
            jitter.iter().map(|one| (10.0, 10.0 * factor + one * jitter_ms)).collect()
        };
        assert_eq!(verdict(&scaled(1.2, 0.2)), OwnVerdict::Grew);
        assert_eq!(verdict(&scaled(0.8, 0.2)), OwnVerdict::Shrank);
        assert_eq!(verdict(&scaled(1.2, 4.0)), OwnVerdict::WithinNoise, "it scatters more than it moved");
        assert_eq!(verdict(&scaled(1.04, 0.0)), OwnVerdict::WithinNoise, "beyond chance, but too small to care for");
        assert_eq!(verdict(&scaled(1.0, 0.0)), OwnVerdict::WithinNoise);
        assert_eq!(verdict(&scaled(2.0, 0.0)[..4]), OwnVerdict::TooFewSeeds);
    }

    #[test]
    fn noise_is_students_bound_of_the_mean_difference() {
        // Standard deviation 2 over five differences: 8.610 × 2 / √5.
        let noise = noise_ms(&[1.0, 3.0, 5.0, 3.0, 3.0]).unwrap();
        assert!((noise - 8.610 * 2.0_f64.sqrt() / 5.0_f64.sqrt()).abs() < 1e-9, "{noise}");
        assert_eq!(noise_ms(&[1.0; 4]), None);
        assert_eq!(noise_ms(&[1.0; 5_000]), Some(0.0));
    }
}
