//! Ways in which the answers that clients got can be wrong.
#![forbid(unsafe_code)]

use serde_json::json;

use super::{
    Breakage, assert_each_is_noticed, breakage,
    scene::{Scene, confirm, place, ship},
};
use crate::{Request, TamperedEvent};

fn forge(scene: &mut Scene, stream: &str) {
    scene.input.settings.tampered.push(TamperedEvent { stream: stream.to_owned(), version: 1, at_ns: 0 });
}

#[test]
fn each_is_noticed() {
    assert_each_is_noticed(&breakages());
}

pub(crate) fn breakages() -> Vec<Breakage> {
    vec![
        breakage("idempotency-answers", "Two different commands were answered", |scene| {
            scene.carry_out("place", "customer", place("o-9"));
        }),
        breakage("idempotency-answers", "under one key differ", |scene| {
            scene.replay("confirm", "payments", confirm("o-1"));
            scene.last_answer("confirm")["events"][0]["event_id"] = json!("another");
        }),
        breakage("idempotency-answers", "under one key differ", |scene| {
            scene.refuse("ship", "warehouse", ship("o-1"), "order-already-shipped");
        }),
        breakage("idempotency-answers", "under one key differ", |scene| {
            let answer = scene.last_answer("cancel");
            answer["code"] = json!("order-cancelled");
        }),
        breakage("idempotency-answers", "as newly carried out more than once", |scene| {
            let first = scene.attempt("confirm").clone();
            scene.input.observation.attempts.push(first);
        }),
        breakage("idempotency-answers", "both refused for good and answered", |scene| {
            scene.reject("ship", "warehouse", ship("o-1"), 422, "idempotency-key-reused");
        }),
        breakage("idempotency-answers", "both refused for good and answered", |scene| {
            scene.reject("ship", "warehouse", ship("o-1"), 422, "schema-violation");
        }),
        breakage("linearizability", "No order of the operations on order-o-1", |scene| {
            scene.read("o-1", 200, json!({"status": "paid", "version": 2}));
        }),
        breakage("tampering-detected", "`order-o-1` was decided on", |scene| forge(scene, "order-o-1")),
        breakage("tampering-detected", "`order-o-1` was shown", |scene| {
            forge(scene, "order-o-1");
            scene.input.observation.attempts.retain(|attempt| matches!(attempt.request, Request::ReadOrder { .. }));
        }),
        breakage("tampering-detected", "`order-o-1` was called corrupt", |scene| {
            *scene.last_answer("confirm") = json!({"code": "corrupt-stream", "outcome": "not-applied"});
        }),
        breakage("answers-well-formed", "a problem without a code", |scene| {
            *scene.last_answer("cancel") = json!({"outcome": "refused"});
        }),
        breakage("answers-well-formed", "does not say its outcome", |scene| {
            *scene.last_answer("cancel") = json!({"code": "order-already-shipped"});
        }),
        breakage("answers-well-formed", "an acceptance without its events", |scene| {
            scene.last_answer("confirm")["events"] = json!([]);
        }),
        breakage("answers-well-formed", "instead of order-o-1", |scene| {
            scene.last_answer("confirm")["aggregate"] = json!("order-o-2");
        }),
        breakage("answers-well-formed", "a command without a key was accepted", |scene| {
            scene.attempt("confirm").idempotency_key = None;
        }),
        breakage("answers-well-formed", "what is no command was accepted", |scene| {
            scene.attempt("confirm").request = crate::Request::Command(json!({"type": "Nonsense"}));
        }),
        breakage("convergence", "no definite answer within the bound", |scene| {
            scene.lose_answer("late", "customer", place("o-5"));
        }),
        breakage("convergence", "no definite answer within the bound", |scene| {
            let end_ns = scene.input.settings.ended_at_ns;
            scene.attempt("confirm").completed_ns = Some(end_ns - 1);
        }),
    ]
}
