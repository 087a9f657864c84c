//! What is written, read as CloudWatch reads it.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_ports::{Measurement, MetricSink, MetricUnit};
use nexus_ports_testing::{EPOCH_UNIX_MS, TestPlatform};
use nexus_telemetry::{EmfMetrics, LineSink, MemoryMetrics};
use serde_json::Value;

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl LineSink for Lines {
    fn line(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

impl Lines {
    fn documents(&self) -> Vec<Value> {
        self.0.lock().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

struct Bench {
    test: TestPlatform,
    lines: Arc<Lines>,
    metrics: EmfMetrics,
}

fn bench() -> Bench {
    let test = TestPlatform::new(1);
    let lines = Arc::new(Lines::default());
    let metrics = EmfMetrics::new(test.platform.clone(), lines.clone(), "Nexus", "router");
    Bench { test, lines, metrics }
}

fn latency(value: f64, at_ms: u64) -> Measurement<'static> {
    Measurement { name: "RoutingLatency", unit: MetricUnit::Milliseconds, value, dimensions: &[], at_ms }
}

fn count(name: &'static str, value: f64, dimensions: &'static [(&'static str, &'static str)]) -> Measurement<'static> {
    Measurement { name, unit: MetricUnit::Count, value, dimensions, at_ms: 5 }
}

/// Extracts as the specification says: every directive's metrics from the root, under the values of its dimensions.
fn extracted(documents: &[Value]) -> BTreeMap<String, Vec<f64>> {
    let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for document in documents {
        assert!(document["_aws"]["Timestamp"].is_u64());
        for directive in document["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            let dimension_sets = directive["Dimensions"].as_array().unwrap();
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!(metrics.len() <= 100 && dimension_sets.len() == 1);
            let dimensions: Vec<_> =
                dimension_sets[0].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            let place: Vec<_> =
                dimensions.iter().map(|name| format!("{name}={}", document[name].as_str().unwrap())).collect();
            for metric in metrics {
                let name = metric["Name"].as_str().unwrap();
                let key = format!(
                    "{}/{name} {} {}",
                    directive["Namespace"].as_str().unwrap(),
                    metric["Unit"].as_str().unwrap(),
                    place.join(",")
                );
                let values = match &document[name] {
                    Value::Array(values) => values.iter().map(|value| value.as_f64().unwrap()).collect(),
                    single => vec![single.as_f64().unwrap()],
                };
                assert!(values.len() <= 100, "an array may hold 100 values");
                found.entry(key).or_default().extend::<Vec<f64>>(values);
            }
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn values_and_gauges_are_kept_one_by_one_and_counts_added_up() {
    let bench = bench();
    for value in [12.5, 7.0, 7.0] {
        bench.metrics.record(latency(value, 3));
    }
    for _ in 0..250 {
        bench.metrics.record(count("TotalEvents", 2.0, &[]));
    }
    bench.metrics.record(count("ValidationFailures", 1.0, &[("event_type", "OrderPlaced")]));
    for value in [2.0, 3.0] {
        bench.metrics.record(Measurement { unit: MetricUnit::Gauge, ..count("LeasesHeld", value, &[]) });
    }
    bench.metrics.flush();
    let documents = bench.lines.documents();
    assert_eq!(documents.len(), 2, "one for each set of dimensions");
    let wanted = BTreeMap::from([
        ("Nexus/LeasesHeld Count service=router".to_owned(), vec![2.0, 3.0]),
        ("Nexus/RoutingLatency Milliseconds service=router".to_owned(), vec![12.5, 7.0, 7.0]),
        ("Nexus/TotalEvents Count service=router".to_owned(), vec![500.0]),
        ("Nexus/ValidationFailures Count service=router,event_type=OrderPlaced".to_owned(), vec![1.0]),
    ]);
    assert_eq!(extracted(&documents), wanted);
    bench.metrics.flush();
    assert_eq!(bench.lines.documents().len(), 2, "nothing is written twice");
}

#[tokio::test(start_paused = true)]
async fn many_values_go_to_several_lines_and_none_is_lost() {
    let bench = bench();
    let values: Vec<f64> = (0..250).map(f64::from).collect();
    for value in &values {
        bench.metrics.record(latency(*value, 3));
    }
    bench.metrics.flush();
    let documents = bench.lines.documents();
    assert_eq!(documents.len(), 3);
    assert_eq!(extracted(&documents)["Nexus/RoutingLatency Milliseconds service=router"], values);
}

#[tokio::test(start_paused = true)]
async fn measurements_of_different_minutes_have_different_time_stamps() {
    let bench = bench();
    for at_ms in [60_500, 60_000, 119_999, 120_000] {
        bench.metrics.record(latency(1.0, at_ms));
    }
    bench.metrics.flush();
    let stamps: Vec<_> =
        bench.lines.documents().iter().map(|document| document["_aws"]["Timestamp"].as_u64().unwrap()).collect();
    assert_eq!(stamps, [60_000, 120_000]);
}

#[tokio::test(start_paused = true)]
async fn what_the_format_cannot_express_is_counted() {
    let cases: [(Measurement<'static>, &str); 8] = [
        (latency(f64::NAN, 1), "not a number"),
        (latency(f64::INFINITY, 1), "infinite"),
        (count("_aws", 1.0, &[]), "the metadata's name"),
        (count("service", 1.0, &[]), "a dimension's name"),
        (count("same", 1.0, &[("same", "x")]), "its own dimension's name"),
        (count("Total", 1.0, &[("kind", "")]), "an empty dimension"),
        (count("Total", 1.0, &[("kind", "a"), ("kind", "b")]), "a dimension twice"),
        (count("Total", 1.0, &[("service", "other")]), "the service again"),
    ];
    for (measurement, why) in cases {
        let bench = bench();
        bench.metrics.record(measurement);
        bench.metrics.flush();
        let documents = bench.lines.documents();
        let wanted = BTreeMap::from([("Nexus/MeasurementsDropped Count service=router".to_owned(), vec![1.0])]);
        assert_eq!(extracted(&documents), wanted, "{why}");
        assert_eq!(documents[0]["_aws"]["Timestamp"], EPOCH_UNIX_MS);
    }
}

#[tokio::test(start_paused = true)]
async fn it_flushes_regularly_and_when_the_handle_is_dropped() {
    let bench = bench();
    let handle = bench.metrics.start_flushing(Duration::from_secs(10));
    bench.metrics.record(latency(1.0, 3));
    bench.test.platform.sleep(Duration::from_secs(9)).await;
    assert_eq!(bench.lines.documents().len(), 0);
    bench.test.platform.sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.lines.documents().len(), 1);
    bench.metrics.record(latency(2.0, 3));
    drop(handle);
    assert_eq!(bench.lines.documents().len(), 2);
    bench.test.platform.sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.test.running_tasks(), 0, "the task has ended");
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_written_before_it_fills_the_memory() {
    let bench = bench();
    for _ in 0..10_000 {
        bench.metrics.record(latency(1.0, 3));
    }
    let documents = bench.lines.documents();
    assert_eq!(documents.len(), 100);
    assert!(documents.iter().all(|document| document.to_string().len() < 256 * 1024));
}

#[test]
fn the_memory_keeps_everything() {
    let metrics = MemoryMetrics::default();
    metrics.clone().record(latency(2.0, 3));
    metrics.record(latency(3.0, 4));
    metrics.record(count("TotalEvents", 1.0, &[("kind", "core")]));
    assert_eq!(metrics.values("RoutingLatency"), [2.0, 3.0]);
    assert_eq!((metrics.sum("RoutingLatency"), metrics.sum("Nothing")), (5.0, 0.0));
    assert_eq!(metrics.measurements()[2].dimensions, [("kind", "core".to_owned())]);
}
