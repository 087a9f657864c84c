//! How long it takes to decide ten thousand operations: over many aggregates, on one hot aggregate, and on one hot
//! register where answers tell little.
#![forbid(unsafe_code)]

use criterion::{Criterion, criterion_group, criterion_main};
use nexus_checkers::{
    Attempt, CheckInput, Checker, Finding, Observation, Request, Response, all,
    linearizability::{Completion, Operation, Register, RegisterInput, RegisterOutput, Verdict, decide},
};
use serde_json::json;

const OPERATIONS: u64 = 10_000;
/// An operation is under way beside about this many others.
const CONCURRENCY: u64 = 20;

/// Items put into a cart over and over: a history of one aggregate may be as long as one likes. Each hundredth
/// command is never answered; half of these took effect.
fn carts(aggregates: u64) -> CheckInput {
    let mut random = fastrand::Rng::with_seed(7);
    let mut versions = vec![0; aggregates as usize];
    let mut attempts = Vec::new();
    for operation in 0..OPERATIONS {
        let cart = operation % aggregates;
        let effect_ns = (operation + 1) * 1_000;
        let is_pending = operation % 100 == 99;
        if !is_pending || random.bool() {
            versions[cart as usize] += 1;
        }
        let version = versions[cart as usize];
        let body = json!({"type": "AddItemToCart", "cart_id": format!("c-{cart}"), "customer_id": "x", "sku": "A",
            "quantity": 1, "unit_price_cents": 5});
        let answer = json!({"aggregate": format!("cart-c-{cart}"), "version": version, "replayed": false,
            "events": [{"event_id": format!("e-{operation}"), "event_type": "ItemAddedToCart", "version": version}]});
        attempts.push(Attempt {
            operation: operation as u32,
            attempt: 1,
            customer: 1,
            idempotency_key: Some(format!("key-{operation}")),
            role: "customer".to_owned(),
            request: Request::Command(body),
            invoked_ns: effect_ns.saturating_sub(random.u64(0..CONCURRENCY * aggregates * 500)),
            completed_ns: (!is_pending).then(|| effect_ns + random.u64(0..CONCURRENCY * aggregates * 500)),
            response: if is_pending {
                Response::Unknown { reason: "time-out".to_owned() }
            } else {
                Response::Answered { status: 200, body: answer }
            },
        });
    }
    CheckInput { observation: Observation { attempts }, ..CheckInput::default() }
}

fn hot_register() -> Vec<Operation<RegisterInput, RegisterOutput>> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut state = None;
    let mut history = Vec::new();
    for operation in 0..OPERATIONS {
        let effect_ns = (operation + 1) * 1_000;
        let (input, output) = if random.bool() {
            state = Some(random.i64(0..1_000));
            (RegisterInput::Write(state.unwrap_or_default()), RegisterOutput::Written)
        } else {
            (RegisterInput::Read, RegisterOutput::Value(state))
        };
        let completion = Some(Completion { output, completed_ns: effect_ns + random.u64(0..CONCURRENCY * 100) });
        history.push(Operation {
            input,
            invoked_ns: effect_ns.saturating_sub(random.u64(0..CONCURRENCY * 100)),
            completion,
        });
    }
    history
}

fn checker() -> Box<dyn Checker> {
    all().into_iter().find(|checker| checker.name() == "linearizability").expect("the checker")
}

fn decide_ten_thousand(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10,000 operations");
    group.sample_size(10);
    for (name, aggregates) in [("500 aggregates", 500), ("one hot aggregate", 1)] {
        let input = carts(aggregates);
        let linearizability = checker();
        assert_eq!(linearizability.check(&input), Finding::Held { examined: OPERATIONS }, "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| linearizability.check(&input)));
    }
    let history = hot_register();
    let is_linearizable = matches!(decide(&Register, &history, u64::MAX), Verdict::Linearizable { .. });
    assert!(is_linearizable, "made to be linearizable");
    group.bench_function("one hot register", |bencher| bencher.iter(|| decide(&Register, &history, u64::MAX)));
    group.finish();
}

criterion_group!(benches, decide_ten_thousand);
criterion_main!(benches);
