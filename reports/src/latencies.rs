//! Latency histograms: microseconds, three significant digits, from 1 µs to 1 h.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer as HistogramReader, Serializer as _, V2DeflateSerializer},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longer latencies count as this long: one hour.
pub const LONGEST_US: u64 = 3_600_000_000;

/// Two numbers closer than this factor may share a bucket.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The smallest range that a histogram with three digits has.
const NARROWEST_RANGE_US: u64 = 2_047;

/// A histogram of latencies. Recording and merging commute: the same latencies give the same histogram in any order.
#[derive(Clone)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

/// A point of a percentile curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Between 0 and 1.
    pub quantile: f64,
    pub latency_ms: f64,
}

impl Latencies {
    pub fn new() -> Self {
        // The histogram grows with the longest latency seen: one over the whole range would take 180 KiB, and a run has
        // thousands of them.
        Self { histogram: Histogram::new(SIGNIFICANT_DIGITS).expect("three digits are within what histograms allow") }
    }

    /// Records one latency; zero is allowed, as the share of a part that took no time. Those over an hour count as one
    /// hour.
    pub fn record_us(&mut self, latency_us: u64) {
        self.record_many_us(latency_us, 1);
    }

    /// Records the same latency `count` times.
    pub fn record_many_us(&mut self, latency_us: u64, count: u64) {
        self.histogram
            .record_n(latency_us.min(LONGEST_US), count)
            .expect("a growing histogram holds an hour of microseconds");
    }

    /// Adds all latencies of `other`.
    pub fn merge(&mut self, other: &Latencies) {
        self.histogram.add(&other.histogram).expect("a growing histogram holds whatever another one holds");
    }

    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// The latency that `percentile` per cent of the recorded ones do not exceed, to three digits. `None` if empty.
    pub fn percentile_ms(&self, percentile: f64) -> Option<f64> {
        let quantile = (percentile / 100.0).clamp(0.0, 1.0);
        self.quantile_ms(quantile)
    }

    fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        (!self.is_empty()).then(|| milliseconds(self.histogram.value_at_quantile(quantile).min(LONGEST_US)))
    }

    pub fn p50_ms(&self) -> Option<f64> {
        self.percentile_ms(50.0)
    }

    pub fn p99_ms(&self) -> Option<f64> {
        self.percentile_ms(99.0)
    }

    pub fn p999_ms(&self) -> Option<f64> {
        self.percentile_ms(99.9)
    }

    pub fn max_ms(&self) -> Option<f64> {
        self.percentile_ms(100.0)
    }

    /// The mean; means of parts add up to the mean of the whole, which percentiles do not.
    pub fn mean_ms(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.histogram.mean() / 1_000.0)
    }

    /// Points of the percentile curve, dense towards 1: `points_per_decade` for each factor of ten that remains
    /// beyond the quantile (0 to 90 %, 90 to 99 %, …). It ends where one single latency decides, with the longest.
    pub fn curve(&self, points_per_decade: u32) -> Vec<CurvePoint> {
        let mut curve = Vec::new();
        let steps_per_decade = f64::from(points_per_decade.max(1));
        for step in 0_u32.. {
            let beyond = 10_f64.powf(-f64::from(step) / steps_per_decade);
            if beyond * (self.count() as f64) < 1.0 {
                break;
            }
            let quantile = 1.0 - beyond;
            curve.extend(self.quantile_ms(quantile).map(|latency_ms| CurvePoint { quantile, latency_ms }));
        }
        if let (Some(last), Some(max_ms)) = (curve.last().copied(), self.max_ms()) {
            // Drawn at the quantile that only the longest one is beyond, since 1 lies infinitely far right.
            let quantile = 1.0 - 1.0 / (self.count() as f64);
            if last.quantile < quantile || last.latency_ms < max_ms {
                curve.retain(|point| point.quantile < quantile);
                curve.push(CurvePoint { quantile, latency_ms: max_ms });
            }
        }
        curve
    }

    /// The form for files: V2 with DEFLATE, in base64, as all HdrHistogram tools read it.
    pub fn encode(&self) -> EncodedLatencies {
        // The file names the histogram's range. A grown one's range depends on the order of growth, so it is rewritten
        // to the one range that fits: equal histograms must make equal files.
        let highest_us = self.histogram.max().clamp(NARROWEST_RANGE_US, 2 * LONGEST_US);
        let mut fitted: Histogram<u64> = Histogram::new_with_max(highest_us, SIGNIFICANT_DIGITS)
            .expect("an hour at three digits is within what histograms allow");
        fitted.add(&self.histogram).expect("the range was chosen to hold the maximum");
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&fitted, &mut bytes)
            .expect("writing to memory fails only when memory does");
        EncodedLatencies(BASE64_STANDARD.encode(bytes))
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Latencies {
    fn eq(&self, other: &Self) -> bool {
        self.histogram == other.histogram
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Latencies")
            .field("count", &self.count())
            .field("p50_ms", &self.p50_ms())
            .field("max_ms", &self.max_ms())
            .finish()
    }
}

impl FromIterator<u64> for Latencies {
    /// From microseconds.
    fn from_iter<I: IntoIterator<Item = u64>>(latencies_us: I) -> Self {
        let mut latencies = Latencies::new();
        for latency_us in latencies_us {
            latencies.record_us(latency_us);
        }
        latencies
    }
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// A histogram as it lies in a file: a few hundred bytes, where the open form takes tens of kilobytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedLatencies(String);

/// Why a text is no histogram of latencies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    #[error("the histogram is not base64: {reason}")]
    NotBase64 { reason: String },
    #[error("the histogram is not in HdrHistogram's V2 DEFLATE format: {reason}")]
    NotAHistogram { reason: String },
    #[error(
        "the histogram reaches {highest_us} µs with {digits} significant digits; latencies have 3 and end at one hour"
    )]
    OtherRange { highest_us: u64, digits: u8 },
}

impl EncodedLatencies {
    /// Takes a text that [`Latencies::encode`] or another HdrHistogram tool wrote.
    pub fn parse(text: &str) -> Result<Self, HistogramError> {
        decode(text).map(|_| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn decode(&self) -> Latencies {
        decode(&self.0).expect("only texts that decode become EncodedLatencies")
    }
}

impl Default for EncodedLatencies {
    fn default() -> Self {
        Latencies::new().encode()
    }
}

impl From<&Latencies> for EncodedLatencies {
    fn from(latencies: &Latencies) -> Self {
        latencies.encode()
    }
}

impl Serialize for EncodedLatencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EncodedLatencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn decode(text: &str) -> Result<Latencies, HistogramError> {
    let bytes =
        BASE64_STANDARD.decode(text).map_err(|error| HistogramError::NotBase64 { reason: error.to_string() })?;
    let mut read: Histogram<u64> = HistogramReader::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| HistogramError::NotAHistogram { reason: error.to_string() })?;
    let (highest_us, digits) = (read.max(), read.sigfig());
    if digits != SIGNIFICANT_DIGITS || read.lowest_equivalent(highest_us) > LONGEST_US {
        return Err(HistogramError::OtherRange { highest_us, digits });
    }
    read.auto(true);
    Ok(Latencies { histogram: read })
}
