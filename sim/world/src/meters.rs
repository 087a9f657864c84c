//! What the services of a world measure of themselves, kept beside the truth so that the one can be held against the other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use nexus_ports::{Measurement, MetricSink};

/// All measurements of a host under one name with the same dimensions, added up: a long trial has millions of them.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterReading {
    pub host: String,
    pub name: &'static str,
    pub dimensions: Vec<(&'static str, String)>,
    pub measurements: u64,
    pub sum: f64,
}

type Key = (String, &'static str, Vec<(&'static str, String)>);

/// Measurements and their sum.
type Readings = BTreeMap<Key, (u64, f64)>;

/// The meters of all hosts. Clones share what they show; a host's crash takes nothing from it, as what was sent to
/// CloudWatch stays there.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    readings: Arc<Mutex<Readings>>,
}

/// Where one host sends its measurements.
struct HostMeter {
    host: String,
    readings: Arc<Mutex<Readings>>,
}

impl Meters {
    pub fn of_host(&self, host: &str) -> Arc<dyn MetricSink> {
        Arc::new(HostMeter { host: host.to_owned(), readings: self.readings.clone() })
    }

    /// By host, name and dimensions.
    pub fn readings(&self) -> Vec<MeterReading> {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = |(key, values): (&Key, &(u64, f64))| {
            let ((host, name, dimensions), (measurements, sum)) = (key.clone(), *values);
            MeterReading { host, name, dimensions, measurements, sum }
        };
        readings.iter().map(reading).collect()
    }
}

impl MetricSink for HostMeter {
    fn record(&self, measurement: Measurement<'_>) {
        let Measurement { name, value, dimensions, .. } = measurement;
        let dimensions = dimensions.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let (measurements, sum) = readings.entry((self.host.clone(), name, dimensions)).or_default();
        *measurements += 1;
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use nexus_ports::MetricUnit;

    use super::*;

    #[test]
    fn measurements_add_up_by_host_name_and_dimensions() {
        let meters = Meters::default();
        let record = |host: &str, name, value, kind: &str| {
            let dimensions: &[(&'static str, &str)] = &[("kind", kind)];
            meters.of_host(host).record(Measurement { name, unit: MetricUnit::Count, value, dimensions, at_ms: 0 });
        };
        for (host, name, value, kind) in [
            ("b", "Retries", 1.0, "x"),
            ("a", "Retries", 2.0, "x"),
            ("a", "Retries", 3.5, "x"),
            ("a", "Retries", 4.0, "y"),
        ] {
            record(host, name, value, kind);
        }
        let shown: Vec<_> = meters
            .readings()
            .into_iter()
            .map(|it| (it.host, it.dimensions[0].1.clone(), it.measurements, it.sum))
            .collect();
        let expected = [("a", "x", 2, 5.5), ("a", "y", 1, 4.0), ("b", "x", 1, 1.0)];
        assert_eq!(shown, expected.map(|(host, kind, count, sum)| (host.to_owned(), kind.to_owned(), count, sum)));
    }
}
