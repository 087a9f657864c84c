//! One number of each seed in both runs: did it grow, or is that chance?

use serde::Serialize;

use crate::{diff::NOTABLE_CHANGE, model::round_to_six_decimals};

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

/// What a comparison seed by seed says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairedVerdict {
    Grew,
    Shrank,
    WithinNoise,
    TooFewSeeds,
}

/// A number of both runs, averaged over the seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Compared {
    pub before: f64,
    pub after: f64,
    /// `after / before - 1`.
    pub change: f64,
    /// What the difference must exceed to be more than chance; `None` with fewer than [`FEWEST_SEEDS`] seeds.
    pub noise: Option<f64>,
    pub verdict: PairedVerdict,
}

/// Compares the number before and after of each seed. `smallest` stands for what is less when a share is taken of it; a
/// difference of no more than `least_change` is called no change.
pub(super) fn compared(pairs: &[(f64, f64)], smallest: f64, least_change: f64) -> Compared {
    let before = mean(pairs.iter().map(|(before, _)| *before));
    let after = mean(pairs.iter().map(|(_, after)| *after));
    let differences: Vec<f64> = pairs.iter().map(|(before, after)| after - before).collect();
    let noise = noise(&differences).map(round_to_six_decimals);
    let change = round_to_six_decimals((after - before) / before.max(smallest));
    let difference = after - before;
    let is_large = change.abs() > NOTABLE_CHANGE && difference.abs() > least_change;
    let verdict = match noise {
        None => PairedVerdict::TooFewSeeds,
        Some(noise) if !is_large || difference.abs() <= noise => PairedVerdict::WithinNoise,
        Some(_) if difference > 0.0 => PairedVerdict::Grew,
        Some(_) => PairedVerdict::Shrank,
    };
    Compared { before: round_to_six_decimals(before), after: round_to_six_decimals(after), change, noise, verdict }
}

/// What the mean of such differences may be by chance alone.
fn noise(differences: &[f64]) -> Option<f64> {
    if differences.len() < FEWEST_SEEDS {
        return None;
    }
    let degrees = differences.len() - 1;
    let average = mean(differences.iter().copied());
    let squares: f64 = differences.iter().map(|difference| (difference - average).powi(2)).sum();
    let standard_error = (squares / degrees as f64 / differences.len() as f64).sqrt();
    let quantile = STUDENT_T.iter().rev().find(|(from, _)| *from <= degrees).map(|(_, quantile)| *quantile)?;
    Some(quantile * standard_error)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_students_bound_of_the_mean_difference() {
        // Standard deviation 2 over five differences: 8.610 × 2 / √5.
        let bound = noise(&[1.0, 3.0, 5.0, 3.0, 3.0]).unwrap();
        assert!((bound - 8.610 * 2.0_f64.sqrt() / 5.0_f64.sqrt()).abs() < 1e-9, "{bound}");
        assert_eq!(noise(&[1.0; 4]), None);
        assert_eq!(noise(&[1.0; 5_000]), Some(0.0));
    }
}
