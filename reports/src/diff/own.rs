//! Our own share of a latency, compared seed by seed.
//!
//! What AWS and the faults take is drawn anew wherever the course of a trial changes, and drowns a slowdown of our code. Our own
//! share is apart from that, and the same seed sets both runs the same work, so the difference within each seed is what the
//! code did; how much it scatters over the seeds is the noise.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    diff::{
        NOTABLE_OWN_CHANGE_MS,
        paired::{PairedVerdict, compared},
    },
    latencies::Latencies,
    model::TrialRecord,
};

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
    pub verdict: PairedVerdict,
}

/// What is taken of the operations of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnStatistic {
    Mean,
    /// Seen through a few very slow operations, which a mean is not.
    Median,
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
    // Latencies have whole microseconds; a share of a zero one is taken of one microsecond.
    let compared = compared(pairs_ms, 0.001, NOTABLE_OWN_CHANGE_MS);
    OwnShareDiff {
        latency: latency.to_owned(),
        phase: phase.to_owned(),
        statistic,
        seeds: pairs_ms.len() as u64,
        before_ms: compared.before,
        after_ms: compared.after,
        change: compared.change,
        noise_ms: compared.noise,
        verdict: compared.verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs_ms: &[(f64, f64)]) -> PairedVerdict {
        share_diff("routing", "nominal", OwnStatistic::Mean, pairs_ms).verdict
    }

    #[test]
    fn a_difference_must_exceed_its_scatter_and_matter() {
        let scaled = |factor: f64, jitter_ms: f64| -> Vec<(f64, f64)> {
            let jitter = [0.9, -1.0, 0.2, -0.5, 0.6, -0.2];
            jitter.iter().map(|one| (10.0, 10.0 * factor + one * jitter_ms)).collect()
        };
        assert_eq!(verdict(&scaled(1.2, 0.2)), PairedVerdict::Grew);
        assert_eq!(verdict(&scaled(0.8, 0.2)), PairedVerdict::Shrank);
        assert_eq!(verdict(&scaled(1.2, 4.0)), PairedVerdict::WithinNoise, "it scatters more than it moved");
        assert_eq!(verdict(&scaled(1.04, 0.0)), PairedVerdict::WithinNoise, "beyond chance, but too small to care for");
        assert_eq!(verdict(&scaled(1.0, 0.0)), PairedVerdict::WithinNoise);
        assert_eq!(verdict(&scaled(2.0, 0.0)[..4]), PairedVerdict::TooFewSeeds);
    }
}
