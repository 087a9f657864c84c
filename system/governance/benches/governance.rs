//! What governance costs on the write path: one validation per event type, bare and behind the gate; a look-up of what is
//! remembered of the schema registry; one policy decision. Before the means, percentiles of single validations are printed.
#![forbid(unsafe_code)]

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use jsonschema::{PatternOptions, Validator, draft7};
use nexus_domain::{Event, OrderLine, RefundDue};
use nexus_governance::{
    PolicyEnforcer, PolicyInput, RegistryClient, RegistrySettings, SchemaDefinition, SchemaGate, SchemaValidator,
    TemporalQueryInput, registered_schema_name,
};
use nexus_ports::{Monotonic, MonotonicClock, NoMetrics, Platform, SchemaVersionStatus};
use nexus_ports_testing::{MemorySchemaRegistry, TestPlatform};

fn line(number: u32) -> OrderLine {
    OrderLine { sku: format!("SKU-{number}"), quantity: number + 1, unit_price_cents: 1_999 }
}

fn order(lines: u32) -> Event {
    Event::OrderPlaced {
        order_id: "o-1".into(),
        customer_id: "c-1".into(),
        currency: "EUR".into(),
        lines: (0..lines).map(line).collect(),
        total_cents: 5_997,
    }
}

fn events() -> Vec<(&'static str, Event)> {
    let (order_id, payment_id, cart_id) = ("o-1".to_owned(), "p-1".to_owned(), "c-1".to_owned());
    let customer_id = "customer-1".to_owned();
    vec![
        ("OrderPlaced, 2 lines", order(2)),
        ("OrderPlaced, 50 lines", order(50)),
        (
            "PaymentConfirmed",
            Event::PaymentConfirmed { order_id: order_id.clone(), payment_id: payment_id.clone(), amount_cents: 5_997 },
        ),
        (
            "OrderShipped",
            Event::OrderShipped { order_id: order_id.clone(), carrier: "DHL".into(), tracking_number: "JD0146".into() },
        ),
        (
            "OrderCancelled",
            Event::OrderCancelled {
                order_id: order_id.clone(),
                reason: "ordered by mistake".into(),
                refund_due: Some(RefundDue { payment_id: payment_id.clone(), amount_cents: 5_997 }),
            },
        ),
        (
            "PaymentProcessed",
            Event::PaymentProcessed {
                payment_id: payment_id.clone(),
                order_id: order_id.clone(),
                amount_cents: 5_997,
                method: "card".into(),
            },
        ),
        ("PaymentRefunded", Event::PaymentRefunded { payment_id, order_id, amount_cents: 5_997 }),
        (
            "ItemAddedToCart",
            Event::ItemAddedToCart {
                cart_id: cart_id.clone(),
                customer_id: customer_id.clone(),
                sku: "SKU-1".into(),
                quantity: 2,
                unit_price_cents: 1_999,
            },
        ),
        ("ItemRemovedFromCart", Event::ItemRemovedFromCart { cart_id: cart_id.clone(), sku: "SKU-1".into() }),
        ("CartAbandoned", Event::CartAbandoned { cart_id, customer_id, total_cents: 1_999 }),
    ]
}

fn validation(criterion: &mut Criterion) {
    let validator = SchemaValidator::from_catalogue().expect("the catalogue compiles");
    let mut group = criterion.benchmark_group("validate");
    for (name, event) in events() {
        let payload = event.payload();
        validator.validate(event.event_type(), event.schema_version(), &payload).expect("the sample is valid");
        group.bench_function(name, |bencher| {
            bencher
                .iter(|| validator.validate(event.event_type(), event.schema_version(), black_box(&payload)).is_ok());
        });
    }
    let mut wrong = order(2).payload();
    wrong["currency"] = "euro".into();
    assert!(validator.validate("OrderPlaced", 2, &wrong).is_err(), "the sample is invalid");
    group.bench_function("OrderPlaced, refused", |bencher| {
        bencher.iter(|| validator.validate("OrderPlaced", 2, black_box(&wrong)).is_err());
    });
    group.finish();
}

/// The validator alone, as the schema's author would run it.
fn bare(event: &Event) -> Validator {
    let schema = serde_json::from_str(text_of(event)).expect("the schema is JSON");
    draft7::options().with_pattern_options(PatternOptions::regex()).build(&schema).expect("the schema compiles")
}

fn text_of(event: &Event) -> &'static str {
    let (event_type, version) = (event.event_type(), event.schema_version());
    let found = nexus_schemas::all().iter().find(|found| found.event_type == event_type && found.version == version);
    found.expect("every event has a schema").text
}

/// The clock that production has; that of the tests asks a runtime each time.
struct SystemClock(Instant);

impl MonotonicClock for SystemClock {
    fn now(&self) -> Monotonic {
        Monotonic(self.0.elapsed())
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn real_now() -> Instant {
    Instant::now()
}

fn platform() -> Platform {
    Platform { monotonic_clock: Arc::new(SystemClock(real_now())), ..TestPlatform::new(1).platform }
}

/// A client that remembers every schema of the catalogue as AVAILABLE, for longer than any benchmark runs.
fn warm_client() -> Arc<RegistryClient> {
    let registry = MemorySchemaRegistry::default();
    for document in nexus_schemas::all() {
        let schema = registered_schema_name(document.event_type, document.version);
        registry.put(&schema, document.text, SchemaVersionStatus::Available);
    }
    let settings = RegistrySettings { fresh_for: Duration::from_secs(86_400), ..RegistrySettings::default() };
    let client = RegistryClient::new(platform(), Arc::new(registry), Arc::new(NoMetrics), settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    runtime.block_on(async {
        for document in nexus_schemas::all() {
            let found = client.find(&SchemaDefinition::from(document)).await.expect("the registry answers");
            assert!(found.is_some(), "it is registered");
        }
    });
    Arc::new(client)
}

/// What a future gives that never has to wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn gate(criterion: &mut Criterion) {
    let gate = SchemaGate::with_registry(nexus_schemas::all(), warm_client()).expect("the catalogue compiles");
    let mut group = criterion.benchmark_group("gate");
    for (name, event) in events() {
        let (payload, bare) = (event.payload(), bare(&event));
        let (event_type, version) = (event.event_type(), event.schema_version());
        assert!(bare.is_valid(&payload) && at_once(gate.check(event_type, version, &payload)).is_ok());
        percentiles(&format!("{name}, bare"), || bare.is_valid(black_box(&payload)));
        percentiles(&format!("{name}, validator"), || gate.validate(event_type, version, black_box(&payload)).is_ok());
        percentiles(&format!("{name}, gate"), || at_once(gate.check(event_type, version, black_box(&payload))).is_ok());
        group.bench_function(format!("{name}, bare"), |bencher| bencher.iter(|| bare.is_valid(black_box(&payload))));
        group.bench_function(name, |bencher| {
            bencher.iter(|| at_once(gate.check(event_type, version, black_box(&payload))).is_ok());
        });
    }
    group.finish();
}

/// Single runs, each with the two readings of the clock around it (some 40 ns).
fn percentiles(name: &str, mut run: impl FnMut() -> bool) {
    const RUNS: usize = 50_000;
    let mut nanoseconds: Vec<u128> = (0..RUNS)
        .map(|_| {
            let begun = real_now();
            assert!(run());
            begun.elapsed().as_nanos()
        })
        .collect();
    nanoseconds.sort_unstable();
    let at = |share: f64| nanoseconds[((RUNS - 1) as f64 * share) as usize];
    println!("{name}: p50 {} ns, p99 {} ns, p99.9 {} ns", at(0.5), at(0.99), at(0.999));
}

fn look_up(criterion: &mut Criterion) {
    let client = warm_client();
    let definition = SchemaDefinition::from(&nexus_schemas::all()[5]);
    let mut group = criterion.benchmark_group("registry");
    group.bench_function("cached, known to be available", |bencher| {
        bencher.iter(|| client.is_known_available(black_box(&definition)));
    });
    group.bench_function("cached, with its id", |bencher| {
        bencher.iter(|| at_once(client.find(black_box(&definition))).is_ok());
    });
    group.finish();
}

fn decision(criterion: &mut Criterion) {
    let enforcer = PolicyEnforcer::from_catalogue().expect("the bundle compiles");
    let allowed = PolicyInput {
        service: "command-service".into(),
        operation: "append-event".into(),
        store: "event-store".into(),
        role: "customer".into(),
        command: "PlaceOrder".into(),
        aggregate: "order-o-1".into(),
        event_types: vec!["OrderPlaced".into()],
        amount_cents: Some(5_997),
    };
    let denied = PolicyInput { role: "warehouse".into(), ..allowed.clone() };
    assert!(enforcer.decide(&allowed).is_allowed() && !enforcer.decide(&denied).is_allowed());
    let past = TemporalQueryInput {
        service: "query-dashboard".into(),
        store: "event-store".into(),
        role: "customer".into(),
        client: "client-1".into(),
        queries_in_last_minute: 3,
    };
    assert!(enforcer.decide(&past).is_allowed());
    let mut group = criterion.benchmark_group("policy");
    group.bench_function("allowed", |bencher| bencher.iter(|| enforcer.decide(black_box(&allowed))));
    group.bench_function("denied", |bencher| bencher.iter(|| enforcer.decide(black_box(&denied))));
    group.bench_function("temporal query", |bencher| bencher.iter(|| enforcer.decide(black_box(&past))));
    let policies = enforcer.in_force();
    group.bench_function("allowed, never asked before", |bencher| {
        bencher.iter(|| policies.decide_afresh(black_box(&allowed)));
    });
    group.bench_function("denied, never asked before", |bencher| {
        bencher.iter(|| policies.decide_afresh(black_box(&denied)));
    });
    group.bench_function("for the record", |bencher| {
        bencher.iter(|| enforcer.decide_for_the_record(black_box(&allowed)))
    });
    group.finish();
}

criterion_group!(governance, validation, gate, look_up, decision);
criterion_main!(governance);
