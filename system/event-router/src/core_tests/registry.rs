//! The schema registry before the destinations.

use nexus_governance::{
    GateRefusal, RegistryClient, RegistrySettings, RegistryUnreachable, SchemaNotUsable, SchemaPending,
};
use nexus_ports::{NoMetrics, SchemaVersionStatus};
use nexus_ports_testing::{MemorySchemaRegistry, TestPlatform};

use super::*;
use crate::shapes::Shape;

/// A routing whose gate asks a registry; the tests answer in its place.
fn bench() -> Bench {
    let (test, registry) = (TestPlatform::new(1), Arc::new(MemorySchemaRegistry::default()));
    let client = RegistryClient::new(test.platform, registry, Arc::new(NoMetrics), RegistrySettings::default());
    let gate = SchemaGate::with_registry(nexus_schemas::all(), Arc::new(client)).unwrap();
    let mut bench = Bench::with_gate(gate, "");
    bench.routing.answered(Answer::ParkedList(Ok(Vec::new())), bench.now);
    bench
}

fn shape(event_type: &str) -> Shape {
    Shape { event_type: event_type.to_owned(), schema_version: 1 }
}

fn question(event_type: &str) -> Call {
    Call::AskSchema(shape(event_type))
}

fn unreachable() -> Result<(), GateRefusal> {
    Err(GateRefusal::Unreachable(RegistryUnreachable { failure: unknown().into() }))
}

fn pending() -> Result<(), GateRefusal> {
    Err(SchemaPending { event_type: "OrderShipped".to_owned(), version: 1, schema: "OrderShipped".to_owned() }.into())
}

fn failed() -> Result<(), GateRefusal> {
    let status = Some(SchemaVersionStatus::Failure);
    Err(SchemaNotUsable {
        event_type: "OrderShipped".to_owned(),
        version: 1,
        schema: "OrderShipped".to_owned(),
        status,
    }
    .into())
}

impl Bench {
    fn tell(&mut self, event_type: &str, outcome: Result<(), GateRefusal>) {
        self.routing.answered(Answer::Schema { shape: shape(event_type), outcome }, self.now);
    }
}

#[tokio::test]
async fn a_shape_is_asked_for_once_and_then_its_events_go() {
    let mut bench = bench();
    bench.accept(vec![
        record(1, &event("order-a", 1)),
        record(2, &event("order-b", 1)),
        record(3, &event("cart-a", 1)),
    ]);
    assert_eq!(bench.calls(), [question("ItemRemovedFromCart"), question("OrderShipped")]);
    assert_eq!(bench.calls(), [], "nothing more while these are under way");
    bench.tell("OrderShipped", Ok(()));
    let batch = bench.put();
    assert_eq!(batch, carried(&[("order-a", 1), ("order-b", 1)]), "the other shape waits alone");
    bench.accepted(batch);
    bench.tell("ItemRemovedFromCart", Ok(()));
    let batch = bench.put();
    bench.accepted(batch);
    assert_eq!(bench.durable(), Some(3));
    // For a second nobody asks again; afterwards events go on while it is asked again.
    bench.pass(999);
    bench.accept(vec![record(4, &event("order-a", 2))]);
    let batch = bench.put();
    bench.accepted(batch);
    bench.pass(1);
    bench.accept(vec![record(5, &event("order-a", 3))]);
    let calls = bench.calls();
    assert!(matches!(calls.as_slice(), [Call::AskSchema(_), Call::Put { .. }]), "{calls:?}");
}

#[tokio::test]
async fn a_registry_that_is_down_parks_nobody_and_is_probed_once_at_a_time() {
    let mut bench = bench();
    let records = (1..=300).map(|index| record(index, &event(&format!("order-{index}"), 1)));
    let carts = (301..=600).map(|index| record(index, &event(&format!("cart-{index}"), 1)));
    bench.accept(records.chain(carts).collect());
    let mut asked = Vec::new();
    for probe in 0..100 {
        let calls = bench.calls();
        assert_eq!(calls.len(), if probe == 0 { 2 } else { 1 }, "{calls:?}");
        assert_eq!(bench.calls(), [], "one at a time");
        for call in calls {
            let Call::AskSchema(shape) = call else { panic!("{call:?}") };
            bench.tell(&shape.event_type, unreachable());
            asked.push(shape.event_type);
        }
        assert_eq!(bench.calls(), [], "a pause comes first");
        assert!(bench.routing.standing().wake.is_some());
        bench.pass(5_000);
    }
    let orders = asked.iter().filter(|event_type| *event_type == "OrderShipped").count();
    assert!((45..=55).contains(&orders), "probes go around: {orders} of {}", asked.len());
    assert_eq!(bench.durable(), None);
    let Some(Call::AskSchema(shape)) = bench.calls().pop() else { panic!("a probe is due") };
    bench.tell(&shape.event_type, Ok(()));
    let calls = bench.calls();
    assert!(calls.iter().any(|call| matches!(call, Call::AskSchema(_))), "the other is asked for at once: {calls:?}");
    let parked = bench.routing.notes.iter().filter(|note| matches!(note, Note::Parked { .. })).count();
    let attempts = bench.routing.active.values().flat_map(|aggregate| aggregate.waiting.values());
    assert_eq!((parked, attempts.map(|item| item.attempts).max()), (0, Some(0)), "no attempt was spent");
}

#[tokio::test]
async fn reading_stops_while_too_much_waits_for_the_registry() {
    let mut bench = bench();
    bench.accept((1..=1_999).map(|index| record(index, &event(&format!("order-{index}"), 1))).collect());
    assert_eq!(bench.calls(), [question("OrderShipped")]);
    bench.tell("OrderShipped", unreachable());
    assert!(bench.routing.standing().accepts_more);
    bench.accept(vec![record(2_000, &event("order-2000", 1))]);
    assert!(!bench.routing.standing().accepts_more, "2,000 wait");
    bench.pass(250);
    assert_eq!(bench.calls(), [question("OrderShipped")]);
    bench.tell("OrderShipped", Ok(()));
    assert!(bench.routing.standing().accepts_more, "the registry answered");
}

#[tokio::test]
async fn what_was_cleared_flows_on_for_a_while_without_the_registry() {
    let mut bench = bench();
    bench.accept(vec![record(1, &event("order-a", 1))]);
    bench.calls();
    bench.tell("OrderShipped", Ok(()));
    let batch = bench.put();
    bench.accepted(batch);
    let mut routed_until_ms = 0;
    for position in 2..=20 {
        bench.pass(500);
        bench.accept(vec![record(position, &event("order-a", position))]);
        for call in bench.calls() {
            match call {
                Call::AskSchema(shape) => bench.tell(&shape.event_type, unreachable()),
                Call::Put { carried, .. } => {
                    routed_until_ms = (position - 1) * 500;
                    bench.accepted(carried);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(routed_until_ms, 5_500, "six seconds after it was cleared, the clearance has run out");
}

#[tokio::test]
async fn a_schema_that_was_refused_parks_its_events_and_no_others() {
    let mut bench = bench();
    bench.accept(vec![
        record(1, &event("order-a", 1)),
        record(2, &event("order-a", 2)),
        record(3, &event("cart-a", 1)),
    ]);
    bench.calls();
    bench.tell("OrderShipped", failed());
    bench.tell("ItemRemovedFromCart", Ok(()));
    let calls = bench.calls();
    let [Call::Park(parked), Call::Put { carried: put, .. }] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(*put, carried(&[("cart-a", 1)]));
    assert_eq!((parked.reason, parked.attempts), (ParkReason::Poison, 0));
    assert_eq!((parked.first_version, parked.last_version), (Some(Version(1)), Some(Version(2))));
    assert!(parked.detail.contains("FAILURE"), "{}", parked.detail);
    assert_eq!(parked.body, serde_json::to_string(&event("order-a", 1)).unwrap());
    assert_eq!(bench.routing.notes, [Note::ValidationFailed { event_type: Some("OrderShipped".to_owned()) }]);
    bench.parking_written(&calls[0], Ok(()));
    assert_eq!(bench.durable(), Some(2));
    // Once it is mended, new aggregates flow.
    bench.pass(1_000);
    bench.accept(vec![record(4, &event("order-b", 1))]);
    assert_eq!(bench.calls(), [question("OrderShipped")]);
    bench.tell("OrderShipped", Ok(()));
    assert_eq!(bench.put(), carried(&[("order-b", 1)]));
}

#[tokio::test]
async fn a_schema_that_is_not_judged_yet_makes_its_events_wait_and_no_others() {
    let mut bench = bench();
    bench.accept(vec![record(1, &event("order-a", 1)), record(2, &event("cart-a", 1))]);
    bench.calls();
    bench.tell("OrderShipped", pending());
    bench.tell("ItemRemovedFromCart", Ok(()));
    let batch = bench.put();
    assert_eq!(batch, carried(&[("cart-a", 1)]));
    bench.accepted(batch);
    assert_eq!(bench.calls(), []);
    assert_eq!(bench.routing.standing().wake, Some(Monotonic(bench.now.0 + Duration::from_secs(1))));
    assert!(!bench.routing.lanes.registry.is_down(), "the registry answers");
    bench.pass(1_000);
    assert_eq!(bench.calls(), [question("OrderShipped")]);
    bench.tell("OrderShipped", Ok(()));
    let batch = bench.put();
    bench.accepted(batch);
    assert_eq!(bench.durable(), Some(2));
}

#[tokio::test]
async fn what_is_invalid_needs_no_registry_to_be_parked() {
    let mut bench = bench();
    bench.accept(vec![record(1, &invalid_event("order-a", 1))]);
    let calls = bench.calls();
    let [Call::Park(parked)] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(parked.reason, ParkReason::Poison);
}
