//! Ways in which the system can call AWS wrongly, and calls that only look wrong.
#![forbid(unsafe_code)]

use serde_json::json;

use super::{
    Breakage, Change, assert_each_is_noticed, breakage, finding,
    scene::{STEP_NS, Scene, confirm, confirm_and_ship, place},
};
use crate::{AwsCall, Finding};

const SECOND_NS: u64 = 1_000_000_000;

#[test]
fn each_is_noticed() {
    assert_each_is_noticed(&breakages());
}

/// Sends a key's transaction again under another token; the first keeps its outcome.
fn send_again(scene: &mut Scene, key: &str, change: impl FnOnce(&mut AwsCall)) {
    let mut again = scene.transaction(key).clone();
    again.at_ns += 5;
    again.client_token = Some("fresh".to_owned());
    change(&mut again);
    let position = scene.input.truth.calls.iter().position(|call| call.sequence == again.sequence).unwrap();
    scene.input.truth.calls.insert(position + 1, again);
}

pub(crate) fn breakages() -> Vec<Breakage> {
    [discipline(), lints()].into_iter().flatten().collect()
}

fn discipline() -> Vec<Breakage> {
    vec![
        breakage("attempts-bounded", "One append was sent 4 times; 3 are allowed", |scene| {
            for _ in 0..3 {
                let again = scene.transaction("confirm").clone();
                scene.input.truth.calls.push(again);
            }
        }),
        breakage("attempts-bounded", "13 writes were sent for 1 requests", |scene| {
            for number in 0..12 {
                send_again(scene, "confirm", |call| call.client_token = Some(format!("token-{number}")));
            }
        }),
        breakage("stable-token", "under a fresh token", |scene| {
            scene.transaction("confirm").delivered = false;
            send_again(scene, "confirm", |_| {});
        }),
        breakage("stable-token", "under a fresh token", |scene| {
            scene.transaction("confirm").status = 500;
            send_again(scene, "confirm", |_| {});
        }),
        // Still running when it was sent again.
        breakage("stable-token", "under a fresh token", |scene| {
            scene.transaction("confirm").finished_ns = None;
            send_again(scene, "confirm", |_| {});
        }),
        breakage("stable-token", "carries no token", |scene| scene.transaction("confirm").client_token = None),
        breakage("eventual-views", "did not have it yet", |scene| {
            scene.view("o-1", 200, json!({"status": "shipped", "version": 9}));
        }),
        breakage("eventual-views", "whose event is", |scene| {
            scene.view("o-1", 200, json!({"status": "cancelled", "version": 2}));
        }),
        // Asked for by a customer of another order, which is no excuse.
        breakage("strong-reads", "eventually consistent", |scene| {
            scene.view("o-2", 404, json!({"code": "order-not-found", "outcome": "refused"}));
            scene.input.truth.calls.last_mut().unwrap().keys = vec!["nexus-events/order-o-1".to_owned()];
        }),
        breakage("strong-reads", "eventually consistent", |scene| {
            let read = scene.input.truth.calls.iter_mut().find(|call| call.operation == "Query").unwrap();
            read.is_eventual_read = true;
        }),
        breakage("quiescence", "still calls AWS", |scene| {
            let quiet_from_ns = scene.input.settings.drain_ended_at_ns + scene.input.settings.quiescence_bound_ns;
            scene.call("Query", vec!["nexus-events/order-o-1".to_owned()], false);
            scene.input.truth.calls.last_mut().unwrap().at_ns = quiet_from_ns + 1;
        }),
        breakage("quiescence", "still running at the end", |scene| {
            scene.transaction("confirm").finished_ns = None;
        }),
        breakage("quiescence", "ran on after the drain", |scene| {
            scene.transaction("confirm").finished_ns = Some(200 * SECOND_NS);
        }),
    ]
}

fn lints() -> Vec<Breakage> {
    vec![
        breakage("lint-acknowledged-after-effect", "before its event was in storage", |scene| {
            scene.attempt("confirm").completed_ns = Some(1);
        }),
        breakage("lint-no-lost-update", "had changed since the caller read it", |scene| {
            // The second caller's read happened before the first caller's write.
            let writes: Vec<_> = scene.input.truth.writes.iter().filter(|write| write.key == "counter/x").collect();
            let first_write_ns = writes[0].at_ns;
            let last_read = scene
                .input
                .truth
                .calls
                .iter_mut()
                .rfind(|call| call.operation == "GetItem" && call.keys == ["counter/x"])
                .unwrap();
            last_read.at_ns = first_write_ns - STEP_NS / 2;
            last_read.finished_ns = Some(first_write_ns - STEP_NS / 4);
        }),
        breakage("lint-unprocessed-items", "nobody sent it again", |scene| {
            scene.input.truth.writes.retain(|write| write.key != "other/b");
        }),
    ]
}

#[test]
fn calls_that_only_look_wrong_pass() {
    let sound: &[(&str, &str, Change)] = &[
        ("stable-token", "the same token after a lost answer", |scene| {
            scene.transaction("confirm").delivered = false;
            let token = scene.transaction("confirm").client_token.clone();
            send_again(scene, "confirm", |call| call.client_token = token);
        }),
        ("stable-token", "a fresh token after a refusal that is certain", |scene| {
            let refused = scene.transaction("confirm");
            (refused.status, refused.applied) = (400, false);
            refused.cancellation_codes = vec!["TransactionConflict".to_owned(), "None".to_owned()];
            send_again(scene, "confirm", |_| {});
        }),
        ("stable-token", "a further request of the client begins a new execution", |scene| {
            scene.transaction("confirm").delivered = false;
            let mut earlier = scene.attempt("confirm").clone();
            earlier.completed_ns = None;
            scene.input.observation.attempts.insert(0, earlier);
            send_again(scene, "confirm", |_| {});
        }),
        ("stable-token", "another place in the stream", |scene| {
            scene.transaction("confirm").delivered = false;
            send_again(scene, "confirm", |call| call.keys[0] = "nexus-events/order-o-1/9".to_owned());
        }),
        ("strong-reads", "a customer reads as it likes", |scene| {
            scene.call("Query", vec!["nexus-events/order-o-1".to_owned()], false);
            let read = scene.input.truth.calls.last_mut().unwrap();
            (read.caller, read.is_eventual_read) = ("customer-1".to_owned(), true);
        }),
        ("strong-reads", "a stale read of another table", |scene| {
            scene.call("Query", vec!["nexus-events-copy/order-o-1".to_owned()], false);
            scene.input.truth.calls.last_mut().unwrap().is_eventual_read = true;
        }),
        ("lint-unprocessed-items", "what was left is sent again", |scene| {
            scene.input.truth.writes.retain(|write| write.key != "other/b");
            scene.call("BatchWriteItem", vec!["other/b".to_owned()], true);
            let call = scene.input.truth.calls.last().unwrap().sequence;
            let mut write = scene.input.truth.writes[scene.write_at("other/a")].clone();
            (write.call_sequence, write.key) = (call, "other/b".to_owned());
            scene.input.truth.writes.push(write);
        }),
        ("policy", "another role may do what the first may not", |scene| {
            scene.reject("both", "customer", confirm("o-8"), 403, "policy-denied");
            scene.carry_out("both", "payments", confirm("o-8"));
        }),
        ("refused-absent", "an event of the command before it says what this one would have said, too", |scene| {
            let mut other = confirm_and_ship("o-3");
            other["payment_id"] = json!("p-2");
            scene.reject("at-once", "system", other, 422, "idempotency-key-reused");
        }),
        ("refused-absent", "another role may do what the first may not", |scene| {
            scene.reject("both", "customer", confirm("o-8"), 403, "policy-denied");
            scene.lose_answer("both", "payments", confirm("o-8"));
        }),
    ];
    for (checker, why, change) in sound {
        let mut scene = Scene::sound();
        change(&mut scene);
        let found = finding(&scene.input, checker);
        assert!(matches!(found, Finding::Held { examined } if examined > 0), "{checker}, {why}: {found:#?}");
    }
}

#[test]
fn what_is_not_due_yet_stays_undecided() {
    let open: &[(&str, Change)] = &[
        ("stream-complete", |scene| drop(scene.input.truth.stream.pop())),
        ("convergence", |scene| scene.lose_answer("late", "customer", place("o-5"))),
    ];
    for (checker, change) in open {
        let mut scene = Scene::sound();
        change(&mut scene);
        scene.input.settings.ended_at_ns = scene.now_ns;
        let found = finding(&scene.input, checker);
        assert!(matches!(&found, Finding::Undecided { reason } if reason.contains("the record ends")), "{found:#?}");
    }
}
