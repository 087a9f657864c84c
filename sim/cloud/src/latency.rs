//! How long each operation takes: lognormal bodies through published percentiles, and a rare tail of seconds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Percentiles of one class of operations, in milliseconds, and where they come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyClass {
    pub name: String,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub source: String,
}

/// Maps an operation and a random number to the time that the service takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyModel {
    /// Multiplies every duration; 0 answers at once.
    pub scale: f64,
    /// The same time for every operation, in milliseconds, instead of the classes.
    pub fixed_ms: Option<f64>,
    pub classes: Vec<LatencyClass>,
    /// The tail lies between these, in milliseconds.
    pub tail_min_ms: f64,
    pub tail_max_ms: f64,
}

const TAIL_NOTE: &str = "rare tail: modelled";
const DEBRIE: &str = "Alex DeBrie, client in Lambda, n about 400";
const NO_SOURCE: &str = "modelled: no public percentiles found";
const TO_FIT: &str = "fitted, so that SQS to Lambda takes 16/34/105 ms end to end";
const GUESS: &str = "assumed from \"single-digit milliseconds\"";

/// name, p50, p90, p99, source. Batch sizes stand in the name: between two sizes the percentiles are interpolated.
const CLASSES: &[(&str, f64, f64, f64, &str)] = &[
    ("write", 7.6, 11.3, 16.2, DEBRIE),
    ("batch-write/5", 8.1, 13.3, 25.5, DEBRIE),
    ("batch-write/25", 10.2, 16.0, 27.6, DEBRIE),
    ("transact-write/5", 25.3, 30.7, 92.5, DEBRIE),
    ("transact-write/25", 32.1, 40.5, 97.5, DEBRIE),
    ("transact-cancelled", 25.3, 30.6, 84.9, DEBRIE),
    ("read-eventual", 4.0, 7.0, 12.0, GUESS),
    ("read-strong", 5.0, 9.0, 18.0, GUESS),
    ("batch-read", 8.0, 14.0, 27.0, GUESS),
    ("transact-read", 12.0, 20.0, 60.0, GUESS),
    ("scan", 10.0, 20.0, 60.0, GUESS),
    ("stream-read", 5.0, 10.0, 30.0, GUESS),
    ("control", 15.0, 30.0, 100.0, GUESS),
    ("kinesis-put", 10.0, 20.0, 60.0, NO_SOURCE),
    ("kinesis-read", 8.0, 15.0, 40.0, NO_SOURCE),
    ("sqs-send", 8.0, 20.0, 60.0, NO_SOURCE),
    ("sqs-receive", 8.0, 20.0, 60.0, NO_SOURCE),
    ("sqs-delete", 6.0, 15.0, 50.0, NO_SOURCE),
    ("sns-publish", 12.0, 25.0, 70.0, NO_SOURCE),
    ("glue-read", 15.0, 30.0, 100.0, NO_SOURCE),
    ("glue-write", 25.0, 60.0, 200.0, NO_SOURCE),
    ("lambda-poll", 2.0, 4.0, 10.0, NO_SOURCE),
    ("lambda-invoke", 20.0, 45.0, 150.0, TO_FIT),
];

impl Default for LatencyModel {
    fn default() -> Self {
        Self {
            scale: 1.0,
            fixed_ms: None,
            classes: CLASSES
                .iter()
                .map(|(name, p50_ms, p90_ms, p99_ms, source)| LatencyClass {
                    name: (*name).to_owned(),
                    p50_ms: *p50_ms,
                    p90_ms: *p90_ms,
                    p99_ms: *p99_ms,
                    source: (*source).to_owned(),
                })
                .collect(),
            tail_min_ms: 1_000.0,
            tail_max_ms: 5_000.0,
        }
    }
}

/// What the model needs to know of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub class: &'static str,
    /// Items in the call, for classes that depend on it.
    pub items: usize,
}

impl LatencyModel {
    /// Every operation takes exactly this long.
    pub fn fixed(milliseconds: u64) -> Self {
        Self { fixed_ms: Some(milliseconds as f64), ..Self::default() }
    }

    /// No random draw is needed when every duration is the same.
    pub fn is_constant(&self) -> bool {
        self.fixed_ms.is_some() || self.scale <= 0.0
    }

    /// The duration at `quantile` (in (0, 1)) of this kind of call; `tail` is `Some(fraction)` for a call of the long tail.
    pub fn duration(&self, cost: Cost, quantile: f64, tail: Option<f64>) -> Duration {
        let milliseconds = match (self.fixed_ms, tail) {
            (Some(fixed), _) => fixed,
            (None, Some(fraction)) => self.tail_min_ms + fraction * (self.tail_max_ms - self.tail_min_ms),
            (None, None) => self.body_ms(cost, quantile),
        };
        nanoseconds(milliseconds * self.scale.max(0.0))
    }

    fn body_ms(&self, cost: Cost, quantile: f64) -> f64 {
        let (p50, p90, p99) = self.percentiles(cost);
        lognormal_ms(p50, p90, p99, quantile)
    }

    fn percentiles(&self, cost: Cost) -> (f64, f64, f64) {
        if let Some(class) = self.classes.iter().find(|class| class.name == cost.class) {
            return (class.p50_ms, class.p90_ms, class.p99_ms);
        }
        let mut sizes = self.classes.iter().filter_map(|class| {
            let (name, size) = class.name.split_once('/')?;
            (name == cost.class).then(|| size.parse::<f64>().ok().map(|size| (size, class)))?
        });
        let (Some((low_size, low)), Some((high_size, high))) = (sizes.next(), sizes.next()) else {
            return (10.0, 20.0, 60.0);
        };
        let along = ((cost.items as f64 - low_size) / (high_size - low_size)).clamp(0.0, 4.0);
        let between = |from: f64, to: f64| from + along * (to - from);
        (between(low.p50_ms, high.p50_ms), between(low.p90_ms, high.p90_ms), between(low.p99_ms, high.p99_ms))
    }

    /// The model as a table for reports.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        match self.fixed_ms {
            Some(fixed) => text.push_str(&format!("every operation: {:.1} ms\n", fixed * self.scale)),
            None => {
                text.push_str(&format!("{:<20} {:>8} {:>8} {:>8}  source\n", "class (ms)", "p50", "p90", "p99"));
                for class in &self.classes {
                    text.push_str(&format!(
                        "{:<20} {:>8.1} {:>8.1} {:>8.1}  {}\n",
                        class.name,
                        class.p50_ms * self.scale,
                        class.p90_ms * self.scale,
                        class.p99_ms * self.scale,
                        class.source
                    ));
                }
                text.push_str(&format!(
                    "{:<20} {:>8.0} to {:.0}  {TAIL_NOTE}\n",
                    "tail",
                    self.tail_min_ms * self.scale,
                    self.tail_max_ms * self.scale
                ));
            }
        }
        text
    }
}

/// A sample of a distribution that is lognormal on each side of its 90th percentile and meets all three given ones.
pub fn lognormal_ms(p50_ms: f64, p90_ms: f64, p99_ms: f64, quantile: f64) -> f64 {
    if p50_ms <= 0.0 {
        return 0.0;
    }
    const Z90: f64 = 1.281_551_565_544_600_4;
    const Z99: f64 = 2.326_347_874_040_841;
    let z = normal_quantile(quantile);
    let body = libm::log(p90_ms / p50_ms) / Z90;
    let upper = libm::log(p99_ms / p90_ms) / (Z99 - Z90);
    let logarithm = libm::log(p50_ms) + if z <= Z90 { z * body } else { Z90 * body + (z - Z90) * upper };
    libm::exp(logarithm)
}

/// A sample between two percentiles only: one lognormal through the median and the 99th.
pub fn lognormal_of_two_ms(p50_ms: f64, p99_ms: f64, quantile: f64) -> f64 {
    if p50_ms <= 0.0 {
        return 0.0;
    }
    let sigma = libm::log(p99_ms / p50_ms) / 2.326_347_874_040_841;
    p50_ms * libm::exp(sigma * normal_quantile(quantile))
}

pub fn nanoseconds(milliseconds: f64) -> Duration {
    Duration::from_nanos((milliseconds * 1_000_000.0) as u64)
}

/// Inverse of the standard normal distribution by Acklam's rational approximation (relative error below 1.2e-9).
fn normal_quantile(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    const LOW: f64 = 0.02425;
    let polynomial = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let side = |probability: f64| {
        let q = libm::sqrt(-2.0 * libm::log(probability));
        polynomial(&C, q) / (polynomial(&D, q) * q + 1.0)
    };
    if probability < LOW {
        side(probability)
    } else if probability > 1.0 - LOW {
        -side(1.0 - probability)
    } else {
        let q = probability - 0.5;
        let r = q * q;
        polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, wanted: f64) {
        assert!((value / wanted - 1.0).abs() < 1e-6, "{value} is not {wanted}");
    }

    #[test]
    fn the_body_meets_its_percentiles() {
        let model = LatencyModel::default();
        let at = |class, items, quantile| {
            model.duration(Cost { class, items }, quantile, None).as_nanos() as f64 / 1_000_000.0
        };
        for (class, items, p50, p90, p99) in [
            ("write", 1, 7.6, 11.3, 16.2),
            ("transact-write", 1, 25.3, 30.7, 92.5),
            ("transact-write", 25, 32.1, 40.5, 97.5),
            ("transact-write", 15, 28.7, 35.6, 95.0),
            ("read-strong", 1, 5.0, 9.0, 18.0),
        ] {
            near(at(class, items, 0.5), p50);
            near(at(class, items, 0.9), p90);
            near(at(class, items, 0.99), p99);
        }
    }

    #[test]
    fn fixed_and_scaled_models() {
        let cost = Cost { class: "write", items: 1 };
        assert_eq!(LatencyModel::fixed(3).duration(cost, 0.999, None), Duration::from_millis(3));
        let silent = LatencyModel { scale: 0.0, ..LatencyModel::default() };
        assert_eq!(silent.duration(cost, 0.999, Some(0.5)), Duration::ZERO);
        let tail = LatencyModel::default().duration(cost, 0.5, Some(0.5));
        assert_eq!(tail, Duration::from_millis(3_000));
    }

    #[test]
    fn the_description_names_every_class() {
        let text = LatencyModel::default().describe();
        for (name, ..) in CLASSES {
            assert!(text.contains(name), "{name} is missing in\n{text}");
        }
    }
}
