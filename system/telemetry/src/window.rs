//! Measurements gathered until the next flush.

use std::collections::BTreeMap;

use nexus_ports::{Measurement, MetricUnit};

/// CloudWatch's resolution: measurements of different minutes must not share a time stamp.
const MINUTE_MS: u64 = 60_000;
/// More would not fit in a dimension set (30) beside the service's own.
const DIMENSIONS_MAX: usize = 29;
/// The name of the dimension that tells the service, and the member that holds the metadata.
pub(crate) const SERVICE: &str = "service";
pub(crate) const METADATA: &str = "_aws";

/// What goes into the same documents: minute and dimensions, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    minute: u64,
    pub(crate) dimensions: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) struct Group {
    /// The earliest measurement's.
    pub(crate) at_ms: u64,
    pub(crate) series: BTreeMap<&'static str, Series>,
}

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) unit: MetricUnit,
    pub(crate) values: Vec<f64>,
}

/// Everything since the last flush.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) groups: BTreeMap<GroupKey, Group>,
    /// Values held, over all series.
    pub(crate) values: usize,
    /// Measurements that the format cannot express.
    pub(crate) dropped: u64,
}

impl Window {
    /// Counts of a series are added up, since their sum is what is watched; other values are kept one by one for their
    /// percentiles.
    pub(crate) fn add(&mut self, measurement: &Measurement<'_>) {
        if !is_expressible(measurement) {
            self.dropped += 1;
            return;
        }
        let mut dimensions: Vec<_> =
            measurement.dimensions.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        dimensions.sort();
        let key = GroupKey { minute: measurement.at_ms / MINUTE_MS, dimensions };
        let empty = Group { at_ms: measurement.at_ms, series: BTreeMap::new() };
        let group = self.groups.entry(key).or_insert(empty);
        group.at_ms = group.at_ms.min(measurement.at_ms);
        let empty = Series { unit: measurement.unit, values: Vec::new() };
        let series = group.series.entry(measurement.name).or_insert(empty);
        match (series.unit, series.values.first_mut()) {
            (unit, _) if unit != measurement.unit => self.dropped += 1,
            (MetricUnit::Count, Some(sum)) => *sum += measurement.value,
            _ => {
                series.values.push(measurement.value);
                self.values += 1;
            }
        }
    }
}

/// All names are members of one JSON object, so that each must be there once; JSON has no infinite numbers; and CloudWatch
/// takes no empty dimension.
fn is_expressible(measurement: &Measurement<'_>) -> bool {
    let reserved = |name: &str| name.is_empty() || name == METADATA || name == SERVICE;
    let names = || measurement.dimensions.iter().map(|(name, _)| *name);
    let is_repeated = |name: &str| names().filter(|other| *other == name).count() > 1;
    measurement.value.is_finite()
        && measurement.dimensions.len() <= DIMENSIONS_MAX
        && !reserved(measurement.name)
        && measurement.dimensions.iter().all(|(name, value)| {
            !reserved(name) && *name != measurement.name && !is_repeated(name) && !value.is_empty()
        })
}
