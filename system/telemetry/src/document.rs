//! A group of measurements as documents of the embedded metric format.
//!
//! Source: "Specification: Embedded metric format" of the CloudWatch user guide: a document holds `_aws` with `Timestamp`
//! (milliseconds) and `CloudWatchMetrics`, a list of directives of `Namespace`, `Dimensions` and at most 100 `Metrics`;
//! whatever a directive names is a member of the root, dimensions as text, metrics as a number or at most 100 numbers.

use nexus_ports::{MetricUnit, canonical_json};
use serde_json::{Map, Value, json};

use crate::window::{Group, GroupKey, METADATA, SERVICE, Series};

const METRICS_MAX: usize = 100;
const VALUES_MAX: usize = 100;

/// Writes the group with as few documents as hold all of its values.
pub(crate) fn documents(namespace: &str, service: &str, key: &GroupKey, group: &Group) -> Vec<String> {
    let mut documents = Vec::new();
    let most_values = group.series.values().map(|series| series.values.len()).max().unwrap_or(0);
    for first_value in (0..most_values).step_by(VALUES_MAX) {
        let with_values: Vec<_> = group.series.iter().filter(|(_, series)| series.values.len() > first_value).collect();
        for metrics in with_values.chunks(METRICS_MAX) {
            documents.push(document(namespace, service, key, group.at_ms, metrics, first_value));
        }
    }
    documents
}

fn document(
    namespace: &str,
    service: &str,
    key: &GroupKey,
    at_ms: u64,
    metrics: &[(&&'static str, &Series)],
    first_value: usize,
) -> String {
    let mut root = Map::new();
    let mut dimension_set = vec![SERVICE];
    dimension_set.extend(key.dimensions.iter().map(|(name, _)| *name));
    let definitions: Vec<_> =
        metrics.iter().map(|(name, series)| json!({ "Name": name, "Unit": unit_name(series.unit) })).collect();
    let directive = json!({ "Namespace": namespace, "Dimensions": [dimension_set], "Metrics": definitions });
    root.insert(METADATA.to_owned(), json!({ "Timestamp": at_ms, "CloudWatchMetrics": [directive] }));
    root.insert(SERVICE.to_owned(), json!(service));
    for (name, value) in &key.dimensions {
        root.insert((*name).to_owned(), json!(value));
    }
    for (name, series) in metrics {
        let end = series.values.len().min(first_value + VALUES_MAX);
        let values = &series.values[first_value..end];
        let target = if let [single] = values { json!(single) } else { json!(values) };
        root.insert((**name).to_owned(), target);
    }
    canonical_json(&Value::Object(root))
}

fn unit_name(unit: MetricUnit) -> &'static str {
    match unit {
        // CloudWatch knows no gauges: its statistics over single values make the difference.
        MetricUnit::Count | MetricUnit::Gauge => "Count",
        MetricUnit::Milliseconds => "Milliseconds",
    }
}
