//! The way of a command through the router, over a storage whose every outcome can be scripted.
#![forbid(unsafe_code)]

mod support;

use axum::body::Body;
use http::{Request, StatusCode};
use nexus_ports::{RecordedOutcome, StreamName, Version};
use nexus_ports_testing::{ReadFate, WriteFate};
use serde_json::{Value, json};
use support::{Answer, Bench, cancel, place, post};

fn is_problem(answer: &Answer, status: u16, code: &str, outcome: &str) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.body["status"], status);
    assert_eq!(answer.body["code"], code, "{answer:?}");
    assert_eq!(answer.body["type"], format!("urn:nexus:problem:{code}"));
    assert_eq!(answer.body["outcome"], outcome, "{answer:?}");
    assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
}

#[tokio::test(start_paused = true)]
async fn a_command_is_answered_stored_and_readable() {
    let bench = Bench::new();
    let answer = bench.send("key-1", "customer", &place("o-1")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["date"], "Thu, 01 Jan 2026 00:00:00 GMT");
    insta::assert_json_snapshot!("accepted", answer.body);

    let events = bench.storage.events();
    let stored: Value = serde_json::from_str(&events[0].payload).unwrap();
    assert_eq!(stored["total_cents"], 2_500);
    assert_eq!(events[0].envelope.command_id, "key-1");
    assert!(events[0].envelope.trace_context.as_ref().is_some_and(|context| context.starts_with("00-4bf9")));
    assert_eq!(answer.body["events"][0]["event_id"], events[0].event_id);

    insta::assert_json_snapshot!("order", bench.get("/orders/o-1").await.body);
    for query in ["", "?consistency=strong", "?consistency=eventual"] {
        assert_eq!(bench.get(&format!("/orders/o-1{query}")).await.body["version"], 1, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_key_gets_the_same_answer() {
    let bench = Bench::new();
    let mut first = bench.send("key-1", "customer", &place("o-1")).await;
    let reordered = r#"{"lines":[{"unit_price_cents":1250,"quantity":2,"sku":"BOOK-1"}],"currency":"EUR",
        "customer_id":"c-1","order_id":"o-1","type":"PlaceOrder"}"#;
    let second = bench.ask(post("key-1", "customer", reordered.to_owned())).await;
    assert_eq!(second.status, StatusCode::OK);
    first.body["replayed"] = json!(true);
    assert_eq!(second.body, first.body);
    assert_eq!(bench.storage.events().len(), 1);

    let reused = bench.send("key-1", "customer", &place("o-2")).await;
    is_problem(&reused, 422, "idempotency-key-reused", "refused");
    assert_eq!(bench.storage.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_domain_is_kept_under_its_key() {
    let bench = Bench::new();
    let first = bench.send("cancel-1", "customer", &cancel("o-1")).await;
    is_problem(&first, 409, "order-not-placed", "refused");
    assert_eq!(first.body["refusal"], "order-not-placed");
    bench.send("place-1", "customer", &place("o-1")).await;
    let again = bench.send("cancel-1", "customer", &cancel("o-1")).await;
    assert_eq!(again.body, first.body, "the order is placed now, but this key was answered");
    let other_key = bench.send("cancel-2", "customer", &cancel("o-1")).await;
    assert_eq!(other_key.status, StatusCode::OK);
    let outcomes: Vec<_> = bench.storage.records().into_iter().map(|record| (record.key, record.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            ("cancel-1".to_owned(), RecordedOutcome::Refused),
            ("cancel-2".to_owned(), RecordedOutcome::Accepted),
            ("place-1".to_owned(), RecordedOutcome::Accepted),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_policies_or_schemas_refuse_never_reaches_storage() {
    let bench = Bench::new();
    let misfit = json!({
        "type": "PlaceOrder", "order_id": "o-1", "customer_id": "c-1", "currency": "euro",
        "lines": [{"sku": "lower case", "quantity": 0, "unit_price_cents": 1}],
    });
    let table = [
        ("warehouse", place("o-1"), 403, "policy-denied"),
        ("nobody", place("o-1"), 403, "policy-denied"),
        // The domain would refuse this; but who may not send it neither learns that nor writes it down.
        ("warehouse", cancel("o-1"), 403, "policy-denied"),
        ("customer", misfit, 422, "schema-violation"),
    ];
    for (index, (role, command, status, code)) in table.into_iter().enumerate() {
        let answer = bench.send(&format!("key-{index}"), role, &command).await;
        is_problem(&answer, status, code, "refused");
        assert_eq!(bench.storage.events(), []);
        assert_eq!(bench.storage.records(), []);
        assert!(bench.storage.transactions().is_empty());
        insta::assert_json_snapshot!(format!("refused-{index}-{code}"), answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_command_is_refused_with_the_reason() {
    let bench = Bench::new();
    let plain = |body: &str| Request::post("/commands").body(Body::from(body.to_owned())).unwrap();
    let keyed = |key: &str| Request::post("/commands").header("idempotency-key", key).body(Body::empty()).unwrap();
    let unknown_key = json!({"type": "AbandonCart", "cart_id": "c-1", "carts": 1}).to_string();
    let table = [
        (plain("{}"), 400, "missing-idempotency-key"),
        (keyed(&"k".repeat(129)), 400, "missing-idempotency-key"),
        (keyed("with space"), 400, "missing-idempotency-key"),
        (keyed("key"), 400, "missing-role"),
        (post("key", "customer", "{\"type\":".to_owned()), 400, "malformed-command"),
        (post("key", "customer", "[]".to_owned()), 400, "malformed-command"),
        (post("key", "customer", r#"{"type":"DropTables"}"#.to_owned()), 400, "malformed-command"),
        (post("key", "customer", unknown_key), 400, "malformed-command"),
        (post("key", "customer", place("bad id").to_string()), 400, "malformed-command"),
        (post("key", "customer", " ".repeat(300 << 10)), 413, "body-too-large"),
    ];
    for (request, status, code) in table {
        is_problem(&bench.ask(request).await, status, code, "refused");
    }
    is_problem(&bench.get("/orders/o-1").await, 404, "order-not-found", "refused");
    is_problem(&bench.get("/orders/bad%20id").await, 400, "malformed-command", "refused");
    is_problem(&bench.get("/orders/o-1?consistency=loose").await, 400, "unknown-query", "refused");
    is_problem(&bench.get("/nowhere").await, 404, "path-not-found", "refused");
    is_problem(&bench.get("/commands").await, 405, "method-not-allowed", "refused");
    assert_eq!(bench.get("/health").await.status, StatusCode::OK);
    assert_eq!(bench.storage.reads(), 1, "only the order that could exist was looked for");
}

#[tokio::test(start_paused = true)]
async fn storage_failures_say_whether_the_command_may_be_applied() {
    use WriteFate as W;
    let table: [(&[WriteFate], u16, &str, &str); 6] = [
        (&[W::Throttled; 3], 503, "throttled", "not-applied"),
        (&[W::NotSent; 3], 503, "unavailable", "not-applied"),
        (&[W::Rejected], 500, "storage-rejected", "not-applied"),
        (&[W::RequestLost; 3], 504, "outcome-unknown", "unknown"),
        (&[W::Hangs; 3], 504, "outcome-unknown", "unknown"),
        (&[W::Contended; 9], 409, "conflict", "not-applied"),
    ];
    for (fates, status, code, outcome) in table {
        let bench = Bench::new();
        bench.storage.script_writes(fates.iter().copied());
        is_problem(&bench.send("key-1", "customer", &place("o-1")).await, status, code, outcome);
        bench.storage.settle();
        assert_eq!(bench.storage.events(), []);
        bench.storage.drop_scripts();
        let retried = bench.send("key-1", "customer", &place("o-1")).await;
        assert_eq!(retried.status, StatusCode::OK, "{fates:?}: the same key may be sent again");
    }
    let bench = Bench::new();
    bench.storage.script_reads([ReadFate::Throttled; 3]);
    is_problem(&bench.send("key-1", "customer", &place("o-1")).await, 503, "throttled", "not-applied");
    bench.storage.script_reads([ReadFate::NoAnswer; 3]);
    is_problem(&bench.get("/orders/o-1").await, 503, "unavailable", "not-applied");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_by_looking() {
    for fates in [vec![WriteFate::AnswerLost; 3], vec![WriteFate::AppliedThenHangs]] {
        let bench = Bench::new();
        bench.storage.script_writes(fates.clone());
        let answer = bench.send("key-1", "customer", &place("o-1")).await;
        assert_eq!(answer.status, StatusCode::OK, "{fates:?}");
        assert_eq!(answer.body["replayed"], false);
        assert_eq!(bench.storage.events().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_with_two_events_is_one_transaction_with_one_answer() {
    let (at_once, add, replace) = (
        json!({
            "type": "ConfirmPaymentAndShip", "order_id": "o-1", "payment_id": "p-1", "amount_cents": 2_500,
            "carrier": "Download", "tracking_number": "LINK-1",
        }),
        json!({
            "type": "AddItemToCart", "cart_id": "k-1", "customer_id": "c-1", "sku": "A", "quantity": 1,
            "unit_price_cents": 5,
        }),
        json!({
            "type": "ReplaceItemInCart", "cart_id": "k-1", "sku": "A", "new_sku": "B", "quantity": 2,
            "unit_price_cents": 7,
        }),
    );
    let table = [
        (place("o-1"), "system", at_once, ["PaymentConfirmed", "OrderShipped"]),
        (add, "customer", replace, ["ItemRemovedFromCart", "ItemAddedToCart"]),
    ];
    for (before, role, command, event_types) in table {
        for fates in [vec![], vec![WriteFate::AnswerLost; 3], vec![WriteFate::AppliedThenHangs]] {
            let bench = Bench::new();
            assert_eq!(bench.send("before", "customer", &before).await.status, StatusCode::OK);
            bench.storage.script_writes(fates.clone());
            let mut first = bench.send("both", role, &command).await;
            assert_eq!(first.status, StatusCode::OK, "{fates:?} {first:?}");
            assert_eq!(first.body["version"], 3);
            for (index, event_type) in event_types.iter().enumerate() {
                assert_eq!(first.body["events"][index]["event_type"], *event_type);
                assert_eq!(first.body["events"][index]["version"], 2 + index);
            }
            let stored = bench.storage.events();
            let versions: Vec<u64> = stored.iter().map(|event| event.version.0).collect();
            assert_eq!(versions, [1, 2, 3]);
            assert_eq!(stored[2].previous_hash, stored[1].hash);
            let again = bench.send("both", role, &command).await;
            first.body["replayed"] = json!(true);
            assert_eq!(again.body, first.body);
            assert_eq!(bench.storage.events().len(), 3);
        }
    }
    let bench = Bench::new();
    bench.send("place", "customer", &place("o-1")).await;
    let mut wrong = json!({
        "type": "ConfirmPaymentAndShip", "order_id": "o-1", "payment_id": "p-1", "amount_cents": 2_499,
        "carrier": "Download", "tracking_number": "LINK-1",
    });
    is_problem(&bench.send("mismatch", "system", &wrong).await, 409, "payment-amount-mismatch", "refused");
    wrong["amount_cents"] = json!(2_500);
    wrong["carrier"] = json!("");
    is_problem(&bench.send("second-misfit", "system", &wrong).await, 422, "schema-violation", "refused");
    for role in ["customer", "payments", "warehouse"] {
        is_problem(&bench.send("denied", role, &wrong).await, 403, "policy-denied", "refused");
    }
    assert_eq!(bench.storage.events().len(), 1, "neither event, whichever of them is at fault");
}

#[tokio::test(start_paused = true)]
async fn who_was_slower_decides_again() {
    let bench = Bench::new();
    bench.send("place", "customer", &place("o-1")).await;
    let (cancel, confirm) = (
        cancel("o-1"),
        json!({
            "type": "ConfirmPayment", "order_id": "o-1", "payment_id": "p-1", "amount_cents": 2_500,
        }),
    );
    let (cancelled, paid) =
        tokio::join!(bench.send("cancel", "customer", &cancel), bench.send("pay", "payments", &confirm));
    let mut versions: Vec<Version> = bench.storage.events().iter().map(|event| event.version).collect();
    versions.sort();
    let one_of_both = cancelled.status == StatusCode::OK && paid.body["code"] == "order-cancelled";
    let both = cancelled.status == StatusCode::OK && paid.status == StatusCode::OK;
    assert!(one_of_both && versions.len() == 2 || both && versions.len() == 3, "{cancelled:?} {paid:?}");
}

#[tokio::test(start_paused = true)]
async fn one_command_sent_twice_at_once_takes_effect_once() {
    let bench = Bench::new();
    let command = place("o-1");
    let (first, second) =
        tokio::join!(bench.send("key-1", "customer", &command), bench.send("key-1", "customer", &command));
    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(first.body["events"], second.body["events"]);
    assert_eq!(bench.storage.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_on_a_corrupt_stream() {
    let bench = Bench::new();
    bench.send("place", "customer", &place("o-1")).await;
    let stream: StreamName = "order-o-1".parse().unwrap();
    bench.storage.tamper(|events| events.get_mut(&(stream, Version(1))).unwrap().payload = "{}".to_owned());
    is_problem(&bench.send("cancel", "customer", &cancel("o-1")).await, 500, "corrupt-stream", "not-applied");
    is_problem(&bench.get("/orders/o-1").await, 500, "corrupt-stream", "not-applied");
    assert_eq!(bench.storage.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let bench = Bench::new();
    let (_sender, endless) = http_body_util::channel::Channel::<bytes::Bytes>::new(1);
    let endless = Body::new(endless);
    let request = post("key", "customer", String::new()).map(|_| endless);
    is_problem(&bench.ask(request).await, 408, "body-too-slow", "not-applied");
}
