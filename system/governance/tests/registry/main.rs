//! The registry's client, gate and provisioning, over a registry in memory whose every outcome can be scripted.
#![forbid(unsafe_code)]

mod client;
mod crowd;
mod gate;
mod provisioning;

use std::sync::{Arc, Mutex};

use nexus_governance::{RegistryClient, RegistrySettings, SchemaDefinition};
use nexus_ports::{Measurement, MetricSink};
use nexus_ports_testing::{MemorySchemaRegistry, RegistryOperation, TestPlatform};

#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Vec<String>>>);

impl Metrics {
    /// How often this was measured: the name, then values of its dimensions.
    pub fn count(&self, wanted: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|measured| *measured == wanted).count()
    }
}

impl MetricSink for Metrics {
    fn record(&self, measurement: Measurement<'_>) {
        let dimensions = measurement.dimensions.iter().map(|(_, value)| format!(" {value}"));
        self.0.lock().unwrap().push(std::iter::once(measurement.name.to_owned()).chain(dimensions).collect());
    }
}

/// A client over a registry in memory, on a clock that nobody waits for.
pub struct Bench {
    pub test: TestPlatform,
    pub registry: MemorySchemaRegistry,
    pub metrics: Metrics,
    pub client: Arc<RegistryClient>,
}

impl Default for Bench {
    fn default() -> Self {
        Self::with(RegistrySettings::default())
    }
}

impl Bench {
    pub fn with(settings: RegistrySettings) -> Self {
        let test = TestPlatform::new(11);
        let (registry, metrics) = (MemorySchemaRegistry::default(), Metrics::default());
        let client =
            RegistryClient::new(test.platform.clone(), Arc::new(registry.clone()), Arc::new(metrics.clone()), settings);
        Self { test, registry, metrics, client: Arc::new(client) }
    }

    pub fn calls(&self, operation: RegistryOperation) -> usize {
        self.registry.calls().iter().filter(|called| **called == operation).count()
    }

    pub async fn pass_s(&self, seconds: u64) {
        self.test.platform.sleep(std::time::Duration::from_secs(seconds)).await;
    }
}

pub fn definition() -> SchemaDefinition {
    SchemaDefinition::new("OrderShipped", "{}")
}
