//! What is let through.

use std::sync::Arc;

use nexus_governance::{GateRefusal, SchemaGate, SchemaRejection, SchemaValidator, provision_schemas};
use nexus_ports::SchemaVersionStatus as Status;
use nexus_ports_testing::RegistryFate as Fate;
use nexus_schemas::SchemaDocument;
use serde_json::{Value, json};

use crate::Bench;

fn shipped() -> Value {
    json!({"order_id": "o-1", "carrier": "DHL", "tracking_number": "JD0146"})
}

fn gate(bench: &Bench) -> SchemaGate {
    SchemaGate::with_registry(nexus_schemas::all(), bench.client.clone()).unwrap()
}

fn text(event_type: &str) -> &'static str {
    nexus_schemas::all().iter().find(|document| document.event_type == event_type).unwrap().text
}

#[tokio::test(start_paused = true)]
async fn everything_that_was_provisioned_passes_and_nothing_is_asked_twice() {
    let bench = Bench::default();
    let provisioning = provision_schemas(&bench.client, nexus_schemas::all()).await;
    assert_eq!(provisioning.obstacles, []);
    let calls = bench.registry.calls().len();
    let gate = gate(&bench);
    assert!(gate.asks_registry());
    for SchemaDocument { event_type, version, .. } in nexus_schemas::all() {
        assert_eq!(gate.clear(event_type, *version).await, Ok(()), "{event_type} {version}");
    }
    assert_eq!(gate.check("OrderShipped", 1, &shipped()).await, Ok(()));
    assert_eq!(bench.registry.calls().len(), calls, "provisioning has seen that they are available");
}

#[tokio::test(start_paused = true)]
async fn only_available_with_exactly_our_definition_counts() {
    let ours = text("OrderShipped");
    let table = [
        ("absent", None, "is not registered"),
        ("another definition", Some(("{}", Status::Available)), "is not registered"),
        ("failed", Some((ours, Status::Failure)), "is FAILURE"),
        ("on its way out", Some((ours, Status::Deleting)), "is DELETING"),
        ("not judged", Some((ours, Status::Pending)), "still PENDING"),
    ];
    for (name, standing, expected) in table {
        let bench = Bench::default();
        if let Some((text, status)) = standing {
            bench.registry.put("OrderShipped", text, status);
        }
        let refusal = gate(&bench).check("OrderShipped", 1, &shipped()).await.unwrap_err();
        assert!(refusal.to_string().contains(expected), "{name}: {refusal}");
        assert!(refusal.to_string().contains("`OrderShipped`"), "{name}: {refusal}");
        assert_eq!(matches!(refusal, GateRefusal::Pending(_)), name == "not judged");
        assert!(matches!(refusal, GateRefusal::Pending(_) | GateRefusal::NotUsable(_)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_is_held_against_its_schema_all_the_same() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", text("OrderShipped"), Status::Available);
    let gate = gate(&bench);
    let refusal = gate.check("OrderShipped", 1, &json!({"order_id": "o-1"})).await.unwrap_err();
    assert!(matches!(refusal, GateRefusal::Invalid(SchemaRejection::Violations(_))), "{refusal}");
    for (event_type, version) in [("OrderShipped", 2), ("Nonsense", 1)] {
        let refusal = gate.check(event_type, version, &shipped()).await.unwrap_err();
        assert!(matches!(refusal, GateRefusal::Invalid(SchemaRejection::UnknownSchema { .. })), "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cold_outage_refuses_and_a_warm_one_does_not() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", text("OrderShipped"), Status::Available);
    let gate = gate(&bench);
    bench.registry.stay(Some(Fate::NotSent));
    let refusal = gate.check("OrderShipped", 1, &shipped()).await.unwrap_err();
    assert!(matches!(refusal, GateRefusal::Unreachable(_)), "{refusal}");
    bench.registry.stay(None);
    bench.pass_s(2).await;
    assert_eq!(gate.check("OrderShipped", 1, &shipped()).await, Ok(()));
    bench.registry.stay(Some(Fate::NotSent));
    for seconds in [299, 2, 1_790] {
        bench.pass_s(seconds).await;
        assert_eq!(gate.check("OrderShipped", 1, &shipped()).await, Ok(()));
    }
    assert_eq!(bench.metrics.count("SchemaRegistryStaleUses OrderShipped"), 2);
    bench.pass_s(10).await;
    let refusal = gate.check("OrderShipped", 1, &shipped()).await.unwrap_err();
    assert!(matches!(refusal, GateRefusal::Unreachable(_)), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn without_a_registry_the_built_in_schemas_are_all_that_counts() {
    let gate = SchemaGate::from(Arc::new(SchemaValidator::from_catalogue().unwrap()));
    assert!(!gate.asks_registry());
    assert_eq!(gate.check("OrderShipped", 1, &shipped()).await, Ok(()));
    assert!(matches!(gate.check("OrderShipped", 1, &json!({})).await, Err(GateRefusal::Invalid(_))));
}
