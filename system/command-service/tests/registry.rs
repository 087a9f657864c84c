//! Commands while the schema registry is there, slow, silent, or says no.
#![forbid(unsafe_code)]

mod support;

use std::sync::Arc;

use http::StatusCode;
use nexus_governance::{RegistryClient, RegistrySettings, SchemaGate, provision_schemas};
use nexus_ports::{NoMetrics, SchemaVersionStatus as Status};
use nexus_ports_testing::{MemorySchemaRegistry, RegistryFate as Fate};
use serde_json::json;
use support::{Answer, Bench, place};

struct Registered {
    bench: Bench,
    registry: MemorySchemaRegistry,
    client: Arc<RegistryClient>,
}

impl Registered {
    fn new() -> Self {
        let registry = MemorySchemaRegistry::default();
        let mut made = None;
        let bench = Bench::with(|test| {
            let (port, settings) = (Arc::new(registry.clone()), RegistrySettings::default());
            let client = RegistryClient::new(test.platform.clone(), port, Arc::new(NoMetrics), settings);
            let client = made.insert(Arc::new(client)).clone();
            SchemaGate::with_registry(nexus_schemas::all(), client).unwrap()
        });
        Self { bench, registry, client: made.unwrap() }
    }

    async fn place(&self, key: &str) -> Answer {
        self.bench.send(key, "customer", &place("o-1")).await
    }

    fn nothing_was_written(&self) {
        assert_eq!(self.bench.storage.events(), []);
        assert_eq!(self.bench.storage.records(), []);
        assert!(self.bench.storage.transactions().is_empty());
    }
}

fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!((&answer.body["code"], &answer.body["outcome"]), (&json!(code), &json!("not-applied")), "{answer:?}");
    assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
}

#[tokio::test(start_paused = true)]
async fn a_registered_event_is_stored_and_a_misfit_is_refused_as_ever() {
    let registered = Registered::new();
    assert_eq!(provision_schemas(&registered.client, nexus_schemas::all()).await.obstacles, []);
    assert_eq!(registered.place("key-1").await.status, StatusCode::OK);
    let mut misfit = place("o-2");
    misfit["currency"] = json!("euro");
    let refused = registered.bench.send("key-2", "customer", &misfit).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (422, &json!("schema-violation")));
    let denied = registered.bench.send("key-3", "warehouse", &place("o-3")).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    assert_eq!(registered.bench.storage.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_registry_has_not_made_available_is_not_stored() {
    let text =
        nexus_schemas::all().iter().find(|document| (document.event_type, document.version) == ("OrderPlaced", 2));
    let ours = text.unwrap().text;
    let table = [
        ("unregistered", None, 500, "schema-not-usable"),
        ("another-definition", Some(("{}", Status::Available)), 500, "schema-not-usable"),
        ("failed", Some((ours, Status::Failure)), 500, "schema-not-usable"),
        ("deleting", Some((ours, Status::Deleting)), 500, "schema-not-usable"),
        ("pending", Some((ours, Status::Pending)), 503, "schema-pending"),
    ];
    for (name, standing, status, code) in table {
        let registered = Registered::new();
        if let Some((text, status)) = standing {
            registered.registry.put("OrderPlaced.v2", text, status);
        }
        let answer = registered.place("key-1").await;
        is_problem(&answer, status, code);
        insta::assert_json_snapshot!(name, answer.body);
        registered.nothing_was_written();
        // Whoever mends the registry is not kept waiting for long, and the key is as good as new.
        registered.registry.remove("OrderPlaced.v2");
        registered.registry.put("OrderPlaced.v2", ours, Status::Available);
        registered.bench.test.platform.sleep(std::time::Duration::from_secs(3)).await;
        assert_eq!(registered.place("key-1").await.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cold_outage_refuses_in_time_and_says_why() {
    for (fate, words) in [
        (Fate::NotSent, "not sent"),
        (Fate::Throttled, "throttled"),
        (Fate::Hangs, "no answer within 1000 ms"),
        (Fate::Rejected, "ScriptedException"),
    ] {
        let registered = Registered::new();
        registered.registry.stay(Some(fate));
        let platform = &registered.bench.test.platform;
        let begun = platform.monotonic();
        let answer = registered.place("key-1").await;
        is_problem(&answer, 503, "registry-unavailable");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("schema registry") && detail.contains(words), "{detail}");
        assert!(platform.monotonic().since(begun).as_secs() < 4, "{fate:?}");
        registered.nothing_was_written();
        registered.registry.stay(None);
        assert_eq!(provision_schemas(&registered.client, nexus_schemas::all()).await.obstacles, []);
        assert_eq!(registered.place("key-1").await.status, StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn a_warm_outage_is_not_noticed_for_half_an_hour() {
    let registered = Registered::new();
    provision_schemas(&registered.client, nexus_schemas::all()).await;
    registered.registry.stay(Some(Fate::Hangs));
    let platform = &registered.bench.test.platform;
    let mut answered = Vec::new();
    for minutes in 1..=40 {
        platform.sleep(std::time::Duration::from_secs(60)).await;
        let command = place(&format!("o-{minutes}"));
        answered.push(registered.bench.send(&format!("key-{minutes}"), "customer", &command).await.status.as_u16());
    }
    assert_eq!(answered.iter().rposition(|status| *status == 200), Some(32), "{answered:?}");
    assert!(answered[..33].iter().all(|status| *status == 200) && answered[33..].iter().all(|status| *status == 503));
}

/// However patient the client of the registry is, a request is answered by its deadline.
#[tokio::test(start_paused = true)]
async fn the_deadline_bounds_the_wait() {
    let registry = MemorySchemaRegistry::default();
    registry.stay(Some(Fate::Hangs));
    let bench = Bench::with(|test| {
        let (port, settings) = (Arc::new(registry.clone()), RegistrySettings::patient());
        let client = RegistryClient::new(test.platform.clone(), port, Arc::new(NoMetrics), settings);
        SchemaGate::with_registry(nexus_schemas::all(), Arc::new(client)).unwrap()
    });
    let begun = bench.test.platform.monotonic();
    is_problem(&bench.send("key-1", "customer", &place("o-1")).await, 503, "registry-unavailable");
    assert_eq!(bench.test.platform.monotonic().since(begun).as_secs(), 10);
}
