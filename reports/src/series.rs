//! Thinning out of latency over time, so that a record stays small and yet loses no extreme.

use crate::model::{Point, PointOutcome, RunRecord, Series, Verdict};

/// Kept of each stretch of a series that is thinned out: the fastest, the slowest, the slowest that did not go well,
/// and one from the middle.
const KEPT_PER_STRETCH: usize = 4;

impl Series {
    /// Sorts `points` by intended start and keeps at most `cap` (at least four) of them. A series that is too long is cut
    /// into stretches of equally many operations; each keeps its extremes, so that no spike and no lone failure
    /// disappears, while the density of dots is no measure of the load any more.
    pub fn sampled(latency: impl Into<String>, mut points: Vec<Point>, cap: usize) -> Self {
        points.sort_unstable();
        let recorded = points.len() as u64;
        let cap = cap.max(KEPT_PER_STRETCH);
        if points.len() > cap {
            let stretches = cap / KEPT_PER_STRETCH;
            let length = points.len().div_ceil(stretches);
            points = points.chunks(length).flat_map(extremes).collect();
        }
        Self { latency: latency.into(), recorded, points }
    }

    /// The same series, thinned out further to at most `cap` points.
    pub fn thinned(&self, cap: usize) -> Self {
        let thinner = Self::sampled(self.latency.clone(), self.points.clone(), cap);
        Self { recorded: self.recorded, ..thinner }
    }
}

fn extremes(stretch: &[Point]) -> Vec<Point> {
    let by_latency = |index: &usize| stretch[*index].latency_us;
    let mut kept: Vec<usize> = Vec::with_capacity(KEPT_PER_STRETCH);
    kept.extend((0..stretch.len()).min_by_key(by_latency));
    kept.extend((0..stretch.len()).max_by_key(by_latency));
    kept.extend((0..stretch.len()).filter(|index| stretch[*index].outcome != PointOutcome::Ok).max_by_key(by_latency));
    kept.push(stretch.len() / 2);
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| stretch[index]).collect()
}

impl RunRecord {
    /// Drops the series of all but `trials_per_scenario` trials of each scenario: those that broke are kept first, then
    /// the inconclusive ones, then the lowest seeds. Histograms and all else stay.
    pub fn keep_series_of(&mut self, trials_per_scenario: usize) {
        for scenario in &mut self.scenarios {
            let mut order: Vec<usize> = (0..scenario.trials.len()).collect();
            order.sort_by_key(|index| interest(scenario.trials[*index].verdict, scenario.trials[*index].seed));
            for index in order.into_iter().skip(trials_per_scenario) {
                scenario.trials[index].series.clear();
            }
        }
    }
}

/// Sorts trials by how much a reader wants to see them.
pub(crate) fn interest(verdict: Verdict, seed: u64) -> (u8, u64) {
    let rank = match verdict {
        Verdict::Broken => 0,
        Verdict::Inconclusive => 1,
        Verdict::Held => 2,
    };
    (rank, seed)
}
