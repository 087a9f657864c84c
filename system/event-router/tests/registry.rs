//! The router behind a schema gate, over a registry in memory.
#![forbid(unsafe_code)]

mod support;

use std::{sync::Arc, time::Duration};

use nexus_event_router::{ROUTER_CONSUMER, Router};
use nexus_governance::{RegistryClient, RegistrySettings, SchemaGate, provision_schemas};
use nexus_ports::{
    AggregateReplayer, FeedHandler, ParkReason, ReplayFailure, SchemaVersionStatus as Status, StreamName, Version,
};
use nexus_ports_testing::{Judgement, MemorySchemaRegistry, RegistryFate as Fate, RegistryOperation as Op};
use support::{
    LONG, World,
    events::{event, number, record},
};

struct Registered {
    world: World,
    registry: MemorySchemaRegistry,
    client: Arc<RegistryClient>,
}

impl Registered {
    fn new() -> Self {
        let (world, registry) = (World::new(1), MemorySchemaRegistry::default());
        let platform = world.test.platform.clone();
        let (port, metrics) = (Arc::new(registry.clone()), Arc::new(world.metrics.clone()));
        let client = Arc::new(RegistryClient::new(platform, port, metrics, RegistrySettings::default()));
        Self { world, registry, client }
    }

    async fn provisioned() -> Self {
        let registered = Self::new();
        let provisioning = provision_schemas(&registered.client, nexus_schemas::all()).await;
        assert_eq!(provisioning.obstacles, []);
        registered
    }

    fn router(&self) -> Router {
        self.world.router_behind(SchemaGate::with_registry(nexus_schemas::all(), self.client.clone()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn events_go_their_two_ways_once_the_registry_lets_them() {
    let registered = Registered::provisioned().await;
    let mut handler = registered.router().begin_shard("shard", 1, "");
    let handled = handler.handle(vec![record(1, &event("order-a", 1)), record(2, &event("cart-a", 1))]).await;
    assert_eq!((handled.durable_through, handled.call_again_after), (Some(number(2)), None));
    assert_eq!((registered.world.taken("order-a"), registered.world.taken("cart-a")), (vec![1], vec![1]));
    assert_eq!(registered.world.test.running_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_registry_delays_and_parks_nobody() {
    for fate in [Fate::NotSent, Fate::Throttled, Fate::Hangs, Fate::Rejected, Fate::RequestLost] {
        let registered = Registered::new();
        for document in nexus_schemas::all() {
            registered.registry.put(document.event_type, document.text, Status::Available);
        }
        registered.registry.stay(Some(fate));
        let mut handler = registered.router().begin_shard("shard", 1, "");
        let records = (1..=1_000).map(|index| record(index, &event(&format!("order-{index}"), 1)));
        let patience = Duration::from_secs(120);
        let handled = registered.world.drain(&mut *handler, records.collect(), patience).await;
        assert_eq!(handled.durable_through, None, "{fate:?}");
        assert_eq!(registered.world.parking.entries(), [], "{fate:?}");
        assert_eq!(registered.world.stream.calls().len(), 0, "{fate:?}");
        let asked = registered.registry.calls().len();
        assert!((20..=200).contains(&asked), "{fate:?}: it is probed, and not run over: {asked}");
        registered.registry.stay(None);
        let handled = registered.world.drain(&mut *handler, Vec::new(), LONG).await;
        assert_eq!(handled.durable_through, Some(number(1_000)), "{fate:?}");
        assert_eq!(registered.world.stream.taken().len(), 1_000, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_warm_router_outlasts_an_outage() {
    let registered = Registered::provisioned().await;
    registered.registry.stay(Some(Fate::Hangs));
    let mut handler = registered.router().begin_shard("shard", 1, "");
    for minute in 1..=30 {
        let handled =
            registered.world.drain(&mut *handler, vec![record(minute, &event("order-a", minute))], LONG).await;
        assert_eq!(handled.durable_through, Some(number(minute)));
        registered.world.test.platform.sleep(Duration::from_secs(60)).await;
    }
    assert!(!registered.world.metrics.of("SchemaRegistryStaleUses OrderShipped").is_empty(), "and it shows");
}

#[tokio::test(start_paused = true)]
async fn a_pending_schema_is_waited_for() {
    let registered = Registered::new();
    let text = nexus_schemas::all().iter().find(|document| document.event_type == "OrderShipped").unwrap().text;
    registered.registry.put("OrderShipped", "older", Status::Available);
    registered.registry.judge(Judgement::GoodAfter { reads: 3 });
    registered.client.register(&nexus_governance::SchemaDefinition::new("OrderShipped", text)).await.unwrap();
    let mut handler = registered.router().begin_shard("shard", 1, "");
    let begun = registered.world.test.platform.monotonic();
    let handled = registered.world.drain(&mut *handler, vec![record(1, &event("order-a", 1))], LONG).await;
    assert_eq!(handled.durable_through, Some(number(1)));
    assert_eq!(registered.world.parking.entries(), []);
    let took = registered.world.test.platform.monotonic().since(begun);
    assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&took), "{took:?}");
    let looks = registered.registry.calls().iter().filter(|called| **called == Op::ByDefinition).count();
    assert_eq!(looks, 4, "every three seconds");
}

#[tokio::test(start_paused = true)]
async fn an_unregistered_schema_is_poison_until_someone_registers_it() {
    let registered = Registered::new();
    let (world, router) = (&registered.world, registered.router());
    let events = [event("order-a", 1), event("order-a", 2)];
    world.save(&events);
    let mut handler = router.begin_shard("shard", 1, "");
    let handled = world.drain(&mut *handler, vec![record(1, &events[0]), record(2, &events[1])], LONG).await;
    assert_eq!(handled.durable_through, Some(number(2)));
    let parked = world.parking.entry(ROUTER_CONSUMER, "order-a").unwrap();
    assert_eq!((parked.reason, parked.attempts), (ParkReason::Poison, 0));
    assert!(parked.detail.contains("not registered"), "{}", parked.detail);
    assert_eq!(world.metrics.of("ValidationFailures OrderShipped").len(), 1);

    let stream: StreamName = "order-a".parse().unwrap();
    let replayed = router.replay(&stream, Version(1)).await;
    assert!(matches!(replayed, Err(ReplayFailure::Poison { version: Version(1), .. })), "{replayed:?}");
    assert_eq!(provision_schemas(&registered.client, nexus_schemas::all()).await.obstacles, []);
    assert_eq!(router.replay(&stream, Version(1)).await, Ok(Version(2)));
    assert_eq!(world.taken("order-a"), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_stops_where_the_registry_is_silent_and_says_so() {
    let registered = Registered::new();
    registered.registry.stay(Some(Fate::NotSent));
    registered.world.save(&[event("order-a", 1)]);
    let replayed = registered.router().replay(&"order-a".parse().unwrap(), Version(1)).await;
    let Err(ReplayFailure::Interrupted { reached: Version(0), detail }) = replayed else { panic!("{replayed:?}") };
    assert!(detail.contains("schema registry"), "{detail}");
}
