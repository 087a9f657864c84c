//! Metrics that a test can look at.

use std::sync::{Arc, Mutex, PoisonError};

use nexus_ports::{Measurement, MetricSink, MetricUnit};

/// Keeps every measurement, in order. Clones share what they keep.
#[derive(Clone, Debug, Default)]
pub struct MemoryMetrics {
    measurements: Arc<Mutex<Vec<OwnedMeasurement>>>,
}

/// A [`Measurement`] that outlives its recording.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedMeasurement {
    pub name: &'static str,
    pub unit: MetricUnit,
    pub value: f64,
    pub dimensions: Vec<(&'static str, String)>,
    pub at_ms: u64,
}

impl MemoryMetrics {
    pub fn measurements(&self) -> Vec<OwnedMeasurement> {
        self.measurements.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All values recorded under a name, whatever their dimensions.
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.measurements().iter().filter(|known| known.name == name).map(|known| known.value).collect()
    }

    /// Sum over all values recorded under a name.
    pub fn sum(&self, name: &str) -> f64 {
        self.values(name).iter().sum()
    }
}

impl MetricSink for MemoryMetrics {
    fn record(&self, measurement: Measurement<'_>) {
        let owned = OwnedMeasurement {
            name: measurement.name,
            unit: measurement.unit,
            value: measurement.value,
            dimensions: measurement.dimensions.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            at_ms: measurement.at_ms,
        };
        self.measurements.lock().unwrap_or_else(PoisonError::into_inner).push(owned);
    }
}
