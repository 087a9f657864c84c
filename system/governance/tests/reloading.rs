//! Policies replaced while they are asked: by a sound bundle, by unsound ones, and in the midst of decisions.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nexus_governance::{
    Decision, HashedPolicyBundle, InvalidPolicyBundle, PolicyBundle, PolicyEnforcer, PolicyInput, PolicyModule,
    ReloadRefused, bundled_policies, bundled_policy_tests,
};
use serde_json::json;

fn input() -> PolicyInput {
    PolicyInput {
        service: "command-service".into(),
        operation: "append-event".into(),
        store: "event-store".into(),
        role: "customer".into(),
        command: "PlaceOrder".into(),
        aggregate: "order-o-1".into(),
        event_types: vec!["OrderPlaced".into()],
        amount_cents: Some(1),
    }
}

fn module(name: &str, source: &str) -> PolicyModule {
    PolicyModule { name: name.to_owned(), source: source.to_owned() }
}

/// A bundle of one policy that denies everything for this reason, with a test that holds.
fn denying(reason: &str) -> HashedPolicyBundle {
    let policy = "package nexus.a\n\ndeny contains {\"rule\": \"r\", \"reason\": data.a.reason} if input.role\n";
    let bundle = PolicyBundle { modules: vec![module("a", policy)], data: json!({"a": {"reason": reason}}) };
    let test = "package nexus.a_test\n\nimport data.nexus.a\n\n\
        test_it_denies if count(a.deny) == 1 with input as {\"role\": \"x\"}\n";
    let sha256 = bundle.digest();
    HashedPolicyBundle { bundle, tests: vec![module("a_test", test)], sha256 }
}

fn reason_of(decision: &Decision) -> &str {
    match decision {
        Decision::Allow => "allowed",
        Decision::Deny { denials } => &denials[0].reason,
    }
}

#[test]
fn a_sound_bundle_is_put_into_force_and_named_in_the_records() {
    let enforcer = PolicyEnforcer::from_catalogue().unwrap();
    let before = enforcer.decide_for_the_record(&input());
    assert!(before.decision.is_allowed());
    let bundle = denying("closed for the night");
    let sha256 = bundle.sha256.clone();
    let reloaded = enforcer.reload(bundle).unwrap();
    assert_eq!((&reloaded.from_digest, &reloaded.to_digest), (&before.bundle_digest, &sha256));
    assert_eq!(reloaded.tests_passed, 1);
    let after = enforcer.decide_for_the_record(&input());
    assert_eq!((reason_of(&after.decision), &after.bundle_digest), ("closed for the night", &sha256));
    assert_eq!(after.input_digest, before.input_digest);
    assert_eq!(after.decision.rules(), ["r"]);
}

#[test]
fn what_ships_may_be_reloaded() {
    let enforcer = PolicyEnforcer::from_bundle(denying("x").bundle).unwrap();
    let bundle = bundled_policies();
    let sha256 = bundle.digest().to_uppercase();
    let reloaded = enforcer.reload(HashedPolicyBundle { bundle, tests: bundled_policy_tests(), sha256 }).unwrap();
    assert!(reloaded.tests_passed > 30, "{reloaded:?}");
    assert!(enforcer.decide(&input()).is_allowed());
}

#[test]
fn a_bad_bundle_leaves_the_old_one_in_force() {
    type Spoil = fn(&mut HashedPolicyBundle);
    let rehash = |bundle: &mut HashedPolicyBundle| bundle.sha256 = bundle.bundle.digest();
    let table: [(&str, Spoil, bool); 7] = [
        ("digest", |bundle| bundle.sha256 = "0".repeat(64), false),
        ("a changed policy under the old digest", |bundle| bundle.bundle.modules[0].source.push('\n'), false),
        ("syntax", |bundle| bundle.bundle.modules[0].source.push_str("allow {"), true),
        (
            "a builtin that reads the clock",
            |bundle| {
                bundle.bundle.modules[0].source.push_str("allow if time.now_ns() > 0\n");
            },
            true,
        ),
        ("no policy", |bundle| bundle.bundle.modules.clear(), true),
        ("no tests", |bundle| bundle.tests.clear(), true),
        ("a test that fails", |bundle| bundle.tests[0].source.push_str("\ntest_more if false\n"), true),
    ];
    let enforcer = PolicyEnforcer::from_bundle(denying("old").bundle).unwrap();
    let in_force = enforcer.bundle_digest();
    let mut told = Vec::new();
    for (what, spoil, hashes_again) in table {
        let mut bundle = denying("new");
        spoil(&mut bundle);
        if hashes_again {
            rehash(&mut bundle);
        }
        let refused = enforcer.reload(bundle).unwrap_err();
        told.push(format!("{what}: {refused}"));
        assert_eq!(
            (enforcer.bundle_digest(), reason_of(&enforcer.decide(&input()))),
            (in_force.clone(), "old"),
            "{what}"
        );
    }
    insta::assert_snapshot!(told.join("\n----\n"));
}

#[test]
fn refusals_are_told_apart_by_type() {
    let enforcer = PolicyEnforcer::from_bundle(denying("old").bundle).unwrap();
    let mut bundle = denying("new");
    bundle.sha256 = String::new();
    assert!(matches!(enforcer.reload(bundle), Err(ReloadRefused::Digest { .. })));
    let empty = PolicyBundle { modules: vec![], data: json!({}) };
    let hashed = HashedPolicyBundle { sha256: empty.digest(), bundle: empty, tests: vec![] };
    assert_eq!(enforcer.reload(hashed), Err(ReloadRefused::Invalid(InvalidPolicyBundle::Empty)));
    let mut bundle = denying("new");
    bundle.tests[0].source.push_str("\ntest_more if false\n");
    let Err(ReloadRefused::Tests { failures }) = enforcer.reload(bundle) else { panic!("put into force") };
    assert_eq!((failures[0].module.as_str(), failures[0].test.as_str()), ("a_test", "test_more"));
}

#[test]
fn a_folder_is_read_with_its_tests() {
    let whole = denying("x");
    let files = [
        ("a.rego".to_owned(), whole.bundle.modules[0].source.clone()),
        ("a_test.rego".to_owned(), whole.tests[0].source.clone()),
        ("data.json".to_owned(), whole.bundle.data.to_string()),
    ];
    let read = HashedPolicyBundle::from_files(files, whole.sha256.clone()).unwrap();
    assert_eq!(read, whole);
}

/// Deciding and reloading at the same time, on real threads: each decision is wholly by one of the two bundles, its
/// record names that one, and after a reload has returned none is by the bundle before it.
#[test]
fn every_decision_while_reloading_is_by_the_old_or_by_the_new_bundle() {
    const RELOADS: usize = 60;
    let (day, night) = (denying("day"), denying("night"));
    let enforcer = PolicyEnforcer::from_bundle(day.bundle.clone()).unwrap();
    let stop = AtomicBool::new(false);
    let (by_day, by_night) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let record = enforcer.decide_for_the_record(&input());
                    let (expected, count) = match reason_of(&record.decision) {
                        "day" => (&day.sha256, &by_day),
                        "night" => (&night.sha256, &by_night),
                        other => panic!("by neither bundle: {other}"),
                    };
                    assert_eq!(record.bundle_digest, *expected);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // On a busy machine the threads may come late.
        let is_enough = |round: usize| {
            let asked = [&by_day, &by_night].iter().all(|count| count.load(Ordering::Relaxed) > 0);
            round >= RELOADS && (asked || round >= 100 * RELOADS)
        };
        for round in (0..).take_while(|round| !is_enough(*round)) {
            let (bundle, reason) = if round % 2 == 0 { (&night, "night") } else { (&day, "day") };
            enforcer.reload(bundle.clone()).unwrap();
            assert_eq!(reason_of(&enforcer.decide(&input())), reason);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(by_day.into_inner() > 0 && by_night.into_inner() > 0, "both bundles were asked");
}

#[test]
fn a_denial_that_fails_denies() {
    let allow = "package nexus.a\n\nallow if input.role\n";
    let fails = "package nexus.b\n\ndeny contains {\"rule\": \"r\", \"reason\": \"x\"} if to_number(input.role) > 1\n";
    let sound = "package nexus.b\n\ndeny contains {\"rule\": \"r\", \"reason\": \"x\"} if input.role == \"nobody\"\n";
    let over_no_list = "package nexus.b\n\ndeny contains {\"rule\": \"r\", \"reason\": \"x\"} if {\n\tsome x in input.role\n\tx == 1\n}\n";
    for (source, allowed) in [(fails, false), (over_no_list, false), (sound, true)] {
        let policies =
            PolicyEnforcer::compile(&[module("a", allow), module("b", source)], json!({})).unwrap().in_force();
        assert_eq!(policies.decide(&input()).is_allowed(), allowed, "{source}");
    }
}
