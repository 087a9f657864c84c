//! Versions in time: judged some while after they were registered, held to their mode, and everything that a plan can do to
//! them.
#![forbid(unsafe_code)]

mod support;

use std::collections::BTreeMap;

use nexus_cloud::{AnswerFate, CallPlan, JournalEntry, Quirk, RefuseBefore, SchemaVersionStatus, Service, UnixNanos};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{
    Answer, Driver, MS, START,
    glue::{create, id, order, register, slow},
    quick,
};

#[test]
fn a_version_is_judged_some_time_after_it_was_registered() {
    let mut driver = Driver::with_schema(slow(), "BACKWARD");
    let (sound, number, status) = driver.register(&order(&[], &["note"]));
    assert_eq!((number, status.as_str()), (2, "PENDING"));
    let (broken, _, status) = driver.register(&order(&["more"], &[]));
    assert_eq!(status, "PENDING", "an incompatible version is taken like any other");
    let latest = json!({"SchemaId": id("Order"), "SchemaVersionNumber": {"LatestVersion": true}});
    assert_eq!(driver.glue("GetSchemaVersion", latest.clone()).ok()["VersionNumber"], 1);
    assert_eq!(driver.register(&order(&[], &["note"])), (sound.clone(), 2, "PENDING".to_owned()));
    driver.wait(MS * 500);
    assert_eq!(driver.version_status(&sound), "AVAILABLE");
    assert_eq!(driver.version_status(&broken), "FAILURE");
    let shown = driver.glue("GetSchema", json!({"SchemaId": id("Order")})).ok();
    assert_eq!((&shown["LatestSchemaVersion"], &shown["NextSchemaVersion"]), (&json!(2), &json!(3)));
    assert_eq!(driver.glue("GetSchemaVersion", latest).ok()["VersionNumber"], 2, "a failed version is no latest");
    assert_eq!(driver.register(&order(&["more"], &[])), (broken.clone(), 3, "FAILURE".to_owned()), "and stays failed");

    let steps = driver.schema_steps();
    let (order_id, at) =
        (|step: &nexus_cloud::SchemaVersionStep| (step.number, step.status), |ms: u64| START.plus(MS * ms as u32));
    let wanted = [
        (1, SchemaVersionStatus::Pending),
        (1, SchemaVersionStatus::Available),
        (2, SchemaVersionStatus::Pending),
        (3, SchemaVersionStatus::Pending),
        (2, SchemaVersionStatus::Available),
        (3, SchemaVersionStatus::Failure),
    ];
    assert_eq!(steps.iter().map(order_id).collect::<Vec<_>>(), wanted);
    assert_eq!((steps[2].at, steps[4].at), (at(6), at(506)));
    assert_eq!((steps[2].call_sequence, steps[4].call_sequence), (1, 0), "the cloud judges by itself");
    assert_eq!(*steps[3].definition, *order(&["more"], &[]).to_string());
    assert!(steps[5].definition.is_empty() && steps[5].version_id == broken);
    let reason = "BACKWARD is broken: version 3 does not read what version 2 allows: at the root more is required, which data need not have";
    assert_eq!(steps[5].note, reason);
    let held = &driver.cloud.inspect(Service::Glue)["registries"]["shop"]["schemas"]["Order"]["versions"][2];
    assert_eq!((&held["status"], &held["failure"]), (&json!("FAILURE"), &json!(reason)));
}

/// The mode, the first version, more of them, and whether the last one is taken.
#[test]
fn modes_hold_versions_to_each_other() {
    let closed = |required: &[&str], optional: &[&str]| {
        let mut schema = order(required, optional);
        schema["additionalProperties"] = json!(false);
        schema
    };
    let none: &[&str] = &[];
    let drop = (order(&["a"], &["b"]), order(none, none));
    let drop_required = (order(&["a"], none), order(none, none));
    let drop_optional = (order(none, &["a"]), order(none, none));
    let add_optional = (order(none, none), order(none, &["a"]));
    let add_required = (order(none, none), order(&["a"], none));
    let add_closed = (closed(none, none), closed(none, &["a"]));
    for (mode, name, (first, second), is_taken) in [
        ("NONE", "add required", &add_required, true),
        ("BACKWARD", "drop", &drop, true),
        ("BACKWARD", "add optional", &add_optional, true),
        ("BACKWARD", "add required", &add_required, false),
        ("BACKWARD", "add to closed", &add_closed, true),
        ("FORWARD", "drop optional", &drop_optional, true),
        ("FORWARD", "drop required", &drop_required, false),
        ("FORWARD", "add optional", &add_optional, true),
        ("FORWARD", "add required", &add_required, true),
        ("FORWARD", "add to closed", &add_closed, false),
        ("FULL", "add optional", &add_optional, true),
        ("FULL", "drop optional", &drop_optional, true),
        ("FULL", "add required", &add_required, false),
        ("FULL", "drop required", &drop_required, false),
        ("FULL", "add to closed", &add_closed, false),
    ] {
        for (suffix, enforced) in [("", true), ("_ALL", true), ("", false)] {
            let mode = if mode == "NONE" { mode.to_owned() } else { format!("{mode}{suffix}") };
            let mut config = quick();
            config.assumptions.glue_json_compatibility_enforced = enforced;
            let mut driver = Driver::with_schema(config, "NONE");
            driver.glue("CreateSchema", create("Tried", &mode, first)).ok();
            let request = json!({"SchemaId": id("Tried"), "SchemaDefinition": second.to_string()});
            let status = driver.glue("RegisterSchemaVersion", request).ok()["Status"].clone();
            let wanted = if is_taken || !enforced { "AVAILABLE" } else { "FAILURE" };
            assert_eq!(status, wanted, "{mode}: {name}, enforced: {enforced}");
        }
    }
}

#[test]
fn all_means_all_since_the_checkpoint_and_failed_versions_count_for_nothing() {
    for (mode, wanted) in [("BACKWARD", "AVAILABLE"), ("BACKWARD_ALL", "FAILURE")] {
        let mut driver = Driver::with_schema(quick(), "NONE");
        driver.register(&order(&["a"], &[]));
        let update =
            json!({"SchemaId": id("Order"), "Compatibility": mode, "SchemaVersionNumber": {"VersionNumber": 1}});
        driver.glue("UpdateSchema", update).ok();
        assert_eq!(driver.register(&order(&["a", "b"], &[])).2, "FAILURE", "{mode}");
        // The newest that is of use is version 2, which requires `a` too; version 1 does not.
        assert_eq!(driver.register(&order(&["a"], &["c"])).2, wanted, "{mode}");
    }
}

#[test]
fn a_disabled_schema_takes_no_second_version() {
    let mut driver = Driver::with_schema(quick(), "DISABLED");
    for definition in [order(&[], &[]), order(&[], &["a"])] {
        let (code, message) = driver.glue("RegisterSchemaVersion", register(&definition)).error();
        assert_eq!(code, "InvalidInputException");
        let named = "SchemaId: SchemaId(schemaArn=null, schemaName=Order, registryName=shop)";
        assert_eq!(message, format!("Compatibility DISABLED does not allow versioning. {named}"));
    }
}

#[test]
fn versions_of_other_formats_are_taken_if_they_are_sound() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    let record = |field: &str| json!({"type": "record", "name": "R", "fields": [{"name": field, "type": "int"}]});
    for (format, first, second) in [
        ("AVRO", record("a").to_string(), record("b").to_string()),
        ("PROTOBUF", "message R { int32 a = 1; }".to_owned(), "message R { string a = 1; }".to_owned()),
    ] {
        let mut request = create(format, "FULL", &Value::Null);
        (request["DataFormat"], request["SchemaDefinition"]) = (json!(format), json!(first));
        driver.glue("CreateSchema", request).ok();
        let request = json!({"SchemaId": id(format), "SchemaDefinition": second});
        assert_eq!(driver.glue("RegisterSchemaVersion", request).ok()["Status"], "AVAILABLE");
    }
}

#[test]
fn a_version_stays_pending_as_long_as_it_is_told_to() {
    let mut driver = Driver::with_schema(slow(), "BACKWARD");
    let registering = |driver: &mut Driver, quirk: Quirk, name: &str| {
        let answer = driver.glue_with(quirk, "RegisterSchemaVersion", register(&order(&[], &[name]))).ok();
        assert_eq!(answer["Status"], "PENDING");
        answer["SchemaVersionId"].as_str().unwrap().to_owned()
    };
    let forever = registering(&mut driver, Quirk::StayPending { release_after_ms: None }, "a");
    let late = registering(&mut driver, Quirk::StayPending { release_after_ms: Some(2_000) }, "b");
    let (usual, ..) = driver.register(&order(&[], &["c"]));
    driver.wait(MS * 500);
    assert_eq!(driver.version_status(&usual), "AVAILABLE", "others do not wait for it");
    assert_eq!(driver.version_status(&late), "PENDING");
    driver.wait(MS * 1_500);
    assert_eq!(driver.version_status(&late), "AVAILABLE");
    driver.wait(MS * 3_600_000);
    assert_eq!(driver.version_status(&forever), "PENDING");
    assert_eq!(driver.cloud.next_deadline(), None, "nothing is due any more");
    assert_eq!(driver.register(&order(&[], &["a"])), (forever.clone(), 2, "PENDING".to_owned()));
    let now = driver.now;
    let released = driver.cloud.call_now(now, Service::Glue, "ReleasePendingVersions", json!({})).unwrap();
    assert_eq!(released, json!({"SchemaVersionIds": [forever]}));
    assert_eq!(driver.version_status(&forever), "AVAILABLE");
    let first = create("New", "NONE", &json!({}));
    let answer = driver.glue_with(Quirk::StayPending { release_after_ms: None }, "CreateSchema", first).ok();
    assert_eq!((&answer["SchemaStatus"], &answer["SchemaVersionStatus"]), (&json!("AVAILABLE"), &json!("PENDING")));
}

#[test]
fn a_sound_version_fails_if_it_is_told_to() {
    let mut driver = Driver::with_schema(slow(), "NONE");
    let answer = driver.glue_with(Quirk::FailVersion, "RegisterSchemaVersion", register(&order(&[], &["a"]))).ok();
    let failed = answer["SchemaVersionId"].as_str().unwrap().to_owned();
    assert_eq!(answer["Status"], "PENDING");
    driver.wait(MS * 500);
    assert_eq!(driver.version_status(&failed), "FAILURE");
    assert_eq!(driver.schema_steps().last().unwrap().note, "an injected fault");
    // What another operation does with a quirk of a registration: nothing.
    let read = driver.glue_with(Quirk::FailVersion, "GetSchemaVersion", json!({"SchemaVersionId": failed}));
    assert_eq!(read.ok()["Status"], "FAILURE");
    let same = driver.glue_with(Quirk::FailVersion, "RegisterSchemaVersion", register(&order(&[], &[]))).ok();
    assert_eq!(same["Status"], "AVAILABLE", "it registered nothing");
}

#[test]
fn deleting_does_not_wait_for_a_verdict() {
    let mut driver = Driver::with_schema(slow(), "NONE");
    driver.register(&order(&[], &["a"]));
    driver.glue("DeleteSchemaVersions", json!({"SchemaId": id("Order"), "Versions": "2"})).ok();
    driver.register(&order(&[], &["b"]));
    driver.glue("DeleteSchema", json!({"SchemaId": id("Order")})).ok();
    driver.wait(MS * 5_000);
    let wanted = [
        (1, "PENDING"),
        (1, "AVAILABLE"),
        (2, "PENDING"),
        (2, "DELETING"),
        (3, "PENDING"),
        (1, "DELETING"),
        (3, "DELETING"),
        (2, "DELETED"),
        (1, "DELETED"),
        (3, "DELETED"),
    ];
    assert_eq!(driver.steps_of_versions(), wanted);
    let held = driver.cloud.inspect(Service::Glue);
    assert_eq!(held, json!({"registries": {"shop": {"status": "AVAILABLE", "schemas": {}}}, "changes_pending": 0}));
}

#[test]
fn what_is_made_again_is_not_removed_by_an_older_deletion() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    driver.glue("DeleteRegistry", json!({"RegistryId": {"RegistryName": "shop"}})).ok();
    driver.glue("DeleteSchema", json!({"SchemaId": id("Order")})).ok();
    driver.wait(MS * 995);
    driver.glue("CreateRegistry", json!({"RegistryName": "shop"})).ok();
    driver.glue("CreateSchema", create("Order", "NONE", &json!({}))).ok();
    driver.wait(MS * 5_000);
    assert_eq!(driver.glue("GetSchema", json!({"SchemaId": id("Order")})).ok()["SchemaStatus"], "AVAILABLE");
}

fn requests() -> Vec<(&'static str, Value)> {
    let pair = json!({"MetadataKey": "k", "MetadataValue": "v"});
    let latest = json!({"LatestVersion": true});
    vec![
        ("CreateRegistry", json!({"RegistryName": "other"})),
        ("GetRegistry", json!({"RegistryId": {"RegistryName": "shop"}})),
        ("ListRegistries", json!({})),
        ("UpdateRegistry", json!({"RegistryId": {"RegistryName": "shop"}, "Description": "d"})),
        ("DeleteRegistry", json!({"RegistryId": {"RegistryName": "shop"}})),
        ("CreateSchema", create("Other", "NONE", &json!({}))),
        ("GetSchema", json!({"SchemaId": id("Order")})),
        ("ListSchemas", json!({})),
        ("UpdateSchema", json!({"SchemaId": id("Order"), "Description": "d"})),
        ("DeleteSchema", json!({"SchemaId": id("Order")})),
        ("RegisterSchemaVersion", register(&order(&[], &["a"]))),
        ("GetSchemaVersion", json!({"SchemaId": id("Order"), "SchemaVersionNumber": latest})),
        ("GetSchemaByDefinition", register(&order(&[], &[]))),
        ("ListSchemaVersions", json!({"SchemaId": id("Order")})),
        ("CheckSchemaVersionValidity", json!({"DataFormat": "JSON", "SchemaDefinition": "{}"})),
        ("DeleteSchemaVersions", json!({"SchemaId": id("Order"), "Versions": "2"})),
        (
            "PutSchemaVersionMetadata",
            json!({"SchemaId": id("Order"), "SchemaVersionNumber": latest, "MetadataKeyValue": pair}),
        ),
        ("QuerySchemaVersionMetadata", json!({"SchemaId": id("Order"), "SchemaVersionNumber": latest})),
    ]
}

fn can_conflict(operation: &str) -> bool {
    ["Create", "Update", "Delete", "Register"].iter().any(|verb| operation.starts_with(verb))
}

fn loaded() -> Driver {
    let mut driver = Driver::with_schema(quick(), "NONE");
    driver.register(&order(&[], &["first"]));
    driver
}

/// What the registry holds, without what differs from run to run.
fn held(driver: &Driver) -> Value {
    driver.cloud.inspect(Service::Glue)
}

#[test]
fn every_refusal_of_every_operation_leaves_the_registry_alone() {
    for (operation, body) in requests() {
        for (refusal, status, code) in [
            (RefuseBefore::ThrottleKeyRange, 400, "ThrottlingException"),
            (RefuseBefore::ThrottleAccount, 400, "ThrottlingException"),
            (RefuseBefore::RequestLimitExceeded, 400, "ThrottlingException"),
            (RefuseBefore::InternalServerError, 500, "InternalServiceException"),
            (RefuseBefore::TransactionConflict, 400, "ConcurrentModificationException"),
            (RefuseBefore::TransactionInProgress, 400, "ConcurrentModificationException"),
        ] {
            let mut driver = loaded();
            let before = held(&driver);
            driver.plan_next(CallPlan { refuse: Some(refusal), ..CallPlan::default() });
            let answer = driver.glue(operation, body.clone());
            let Answer::Body { status: found, .. } = &answer else { panic!("{answer:?}") };
            let is_conflict = code == "ConcurrentModificationException";
            let (status, code) = if is_conflict && !can_conflict(operation) {
                (500, "InternalServiceException")
            } else {
                (status, code)
            };
            assert_eq!(*found, status, "{operation} {refusal:?}");
            assert_eq!(answer.code(), code, "{operation} {refusal:?}");
            assert_eq!(held(&driver), before, "{operation} {refusal:?}");
        }
    }
}

#[test]
fn answers_get_lost_and_the_effect_stays() {
    for (operation, body) in requests() {
        let mut undisturbed = loaded();
        undisturbed.glue(operation, body.clone()).ok();
        let wanted = held(&undisturbed);
        for (fate, answer) in [
            (AnswerFate::Reset, Answer::Reset),
            (AnswerFate::Truncate, Answer::Truncated),
            (AnswerFate::Hang, Answer::Silence),
            (AnswerFate::InternalServerError, Answer::Body { status: 500, body: Value::Null }),
        ] {
            let mut driver = loaded();
            driver.plan_next(CallPlan { answer: fate, ..CallPlan::default() });
            let call = driver.glue_send(operation, &body);
            driver.wait(MS * 10);
            match (driver.has_answer(call), fate) {
                (false, AnswerFate::Hang) => {}
                (true, AnswerFate::InternalServerError) => {
                    assert_eq!(driver.answer(call).code(), "InternalServiceException", "{operation}");
                }
                (true, _) => assert_eq!(driver.answer(call), answer, "{operation} {fate:?}"),
                (false, _) => panic!("{operation} {fate:?}: no answer"),
            }
            assert_eq!(held(&driver), wanted, "{operation} {fate:?}");
        }
        for refusal in [RefuseBefore::Reset, RefuseBefore::Hang, RefuseBefore::ServiceUnavailableHtml] {
            let mut driver = loaded();
            let before = held(&driver);
            driver.plan_next(CallPlan { refuse: Some(refusal), ..CallPlan::default() });
            match (driver.glue(operation, body.clone()), refusal) {
                (Answer::Reset, RefuseBefore::Reset) | (Answer::Silence, RefuseBefore::Hang) => {}
                (Answer::Text { status: 503, .. }, RefuseBefore::ServiceUnavailableHtml) => {}
                (other, _) => panic!("{operation} {refusal:?}: {other:?}"),
            }
            assert_eq!(held(&driver), before, "{operation} {refusal:?}");
        }
    }
}

#[test]
fn delays_come_before_and_after_the_effect() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    let plan = CallPlan { delay_before: MS * 100, delay_after: MS * 1_000, ..CallPlan::default() };
    driver.plan_next(plan);
    let call = driver.glue_send("RegisterSchemaVersion", &register(&order(&[], &["a"])));
    driver.wait(MS * 105);
    assert_eq!(driver.steps_of_versions().len(), 2, "only what was set up");
    driver.wait(MS);
    assert_eq!(driver.steps_of_versions().len(), 4);
    driver.wait(MS * 1_003);
    assert!(!driver.has_answer(call));
    driver.wait(MS);
    assert!(driver.has_answer(call));
}

#[test]
fn calls_are_addressed_by_registry_and_schema() {
    let mut driver = loaded();
    let version = driver.register(&order(&[], &["first"])).0;
    let arn = "arn:aws:glue:us-east-1:000000000000";
    for (operation, request, key) in [
        ("GetSchemaVersion", json!({"SchemaVersionId": version}), "shop/Order"),
        ("GetSchema", json!({"SchemaId": {"SchemaArn": format!("{arn}:schema/shop/Order")}}), "shop/Order"),
        ("RegisterSchemaVersion", register(&order(&[], &[])), "shop/Order"),
        ("CreateSchema", create("New", "NONE", &json!({})), "shop/New"),
        ("GetRegistry", json!({"RegistryId": {"RegistryArn": format!("{arn}:registry/shop")}}), "shop"),
        ("CreateRegistry", json!({"RegistryName": "other"}), "other"),
    ] {
        driver.glue(operation, request).ok();
        let call = driver.seen.lock().unwrap().last().unwrap().0.clone();
        assert_eq!((call.operation.as_str(), call.keys), (operation, vec![key.to_owned()]));
    }
}

#[test]
fn without_a_signature_nothing_is_answered() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    let wire = nexus_cloud::WireRequest {
        service: Service::Glue,
        caller: "client".into(),
        method: "POST".into(),
        path: "/".into(),
        headers: vec![
            ("content-type".into(), "application/x-amz-json-1.1".into()),
            ("x-amz-target".into(), "AWSGlue.ListRegistries".into()),
        ],
        body: "{}".into(),
    };
    driver.cloud.handle(driver.now, nexus_cloud::RequestId(7), wire);
    assert_eq!(driver.answer(7).code(), "MissingAuthenticationToken");
}

/// What a run of calls does: a definition's number, and whether and how its registration is disturbed.
#[derive(Clone, Debug)]
enum Act {
    Register { definition: u8, quirk: Option<Quirk>, is_lost: bool },
    Delete { number: u64 },
    Wait { ms: u32 },
    Release,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let quirk = prop_oneof![
        4 => Just(None),
        1 => (0..3_000u64).prop_map(|ms| Some(Quirk::StayPending { release_after_ms: Some(ms) })),
        1 => Just(Some(Quirk::StayPending { release_after_ms: None })),
        1 => Just(Some(Quirk::FailVersion)),
    ];
    let act = prop_oneof![
        5 => (0..6u8, quirk, any::<bool>()).prop_map(|(definition, quirk, is_lost)| Act::Register { definition, quirk, is_lost }),
        1 => (2..6u64).prop_map(|number| Act::Delete { number }),
        3 => (0..2_000u32).prop_map(|ms| Act::Wait { ms }),
        1 => Just(Act::Release),
    ];
    proptest::collection::vec(act, 1..30)
}

/// Plays acts, reading the newest version's status after each.
fn play(acts: &[Act]) -> (Driver, Vec<(UnixNanos, String, String)>) {
    let mut config = slow();
    (config.assumptions.glue_pending_p50_ms, config.assumptions.glue_pending_p99_ms) = (300.0, 4_000.0);
    let mut driver = Driver::with_schema(config, "BACKWARD");
    let mut seen = Vec::new();
    for act in acts {
        match act {
            Act::Register { definition, quirk, is_lost } => {
                let names = ["a", "b", "c", "d", "e"];
                let optional = &names[..usize::from(*definition).min(names.len())];
                let schema = if *definition == 5 { order(&["more"], &[]) } else { order(&[], optional) };
                let answer = if *is_lost { AnswerFate::Reset } else { AnswerFate::Deliver };
                driver.plan_next(CallPlan { quirks: quirk.iter().cloned().collect(), answer, ..CallPlan::default() });
                driver.glue("RegisterSchemaVersion", register(&schema));
            }
            Act::Delete { number } => {
                driver
                    .glue("DeleteSchemaVersions", json!({"SchemaId": id("Order"), "Versions": number.to_string()}))
                    .ok();
            }
            Act::Wait { ms } => driver.wait(MS * *ms),
            Act::Release => {
                let now = driver.now;
                driver.cloud.call_now(now, Service::Glue, "ReleasePendingVersions", json!({})).unwrap();
            }
        }
        let before = driver.now;
        let listed = driver.glue("ListSchemaVersions", json!({"SchemaId": id("Order")})).ok();
        for version in listed["Schemas"].as_array().unwrap() {
            let text = |name: &str| version[name].as_str().unwrap().to_owned();
            seen.push((before.plus(MS * 6), text("SchemaVersionId"), text("Status")));
        }
    }
    (driver, seen)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// The journal alone tells, for each moment, what each version's status was.
    #[test]
    fn the_journal_tells_every_status_that_callers_see(acts in acts()) {
        let (driver, seen) = play(&acts);
        let steps = driver.schema_steps();
        for (at, version, status) in &seen {
            let last = steps.iter().rev().find(|step| step.version_id == *version && step.at <= *at);
            prop_assert_eq!(last.map(|step| step.status.name()), Some(status.as_str()));
        }
        let mut ways: BTreeMap<&str, Vec<SchemaVersionStatus>> = BTreeMap::new();
        let mut last_at = UnixNanos(0);
        for step in &steps {
            prop_assert!(step.at >= last_at, "the journal goes forward");
            last_at = step.at;
            ways.entry(&step.version_id).or_default().push(step.status);
        }
        for way in ways.values() {
            use SchemaVersionStatus::{Available, Deleted, Deleting, Failure, Pending};
            prop_assert_eq!(way[0], Pending);
            for pair in way.windows(2) {
                let is_allowed = matches!(
                    pair,
                    [Pending, Available | Failure | Deleting] | [Available | Failure, Deleting] | [Deleting, Deleted]
                );
                prop_assert!(is_allowed, "{:?}", way);
            }
        }
    }

    #[test]
    fn the_same_acts_leave_the_same_journal(acts in acts()) {
        let journal = |driver: &Driver| serde_json::to_string(driver.cloud.journal()).unwrap();
        prop_assert_eq!(journal(&play(&acts).0), journal(&play(&acts).0));
    }
}

#[test]
fn entries_of_the_journal_survive_their_text() {
    let mut driver = Driver::with_schema(slow(), "BACKWARD");
    driver.register(&order(&["more"], &[]));
    driver.wait(MS * 1_000);
    let is_version = |entry: &&JournalEntry| matches!(entry, JournalEntry::SchemaVersion(_));
    let texts: Vec<String> =
        driver.cloud.journal().iter().filter(is_version).map(|entry| serde_json::to_string(entry).unwrap()).collect();
    assert_eq!(texts.len(), 4);
    assert!(texts[3].starts_with(r#"{"entry":"schema-version","at":"#), "{}", texts[3]);
    assert!(texts[3].contains(r#""status":"failure""#), "{}", texts[3]);
    for text in &texts {
        let entry: JournalEntry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), *text);
    }
}
