//! The schema registry on Glue, against scripted answers in its JSON.
#![forbid(unsafe_code)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use nexus_aws_glue::GlueRegistry;
use nexus_ports::{
    AlreadyThere, DefinedVersion, Platform, ReadFailure, SchemaCompatibility, SchemaDraft, SchemaRefused,
    SchemaRegistry, SchemaTraits, SchemaVersion, SchemaVersionPage, SchemaVersionStatus as Status,
    SchemaVersionWithDefinition, WriteFailure,
};
use nexus_ports_testing::TestPlatform;
use serde_json::{Value, json};
use support::{Reply, Seen, config, serve};

const ID: &str = "3a7a9f0e-4d2b-4a45-8c0e-1f2d3c4b5a69";
const TEXT: &str = r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#;

fn script(replies: impl IntoIterator<Item = Reply>) -> (GlueRegistry, Arc<Mutex<Vec<Seen>>>) {
    let test = TestPlatform::new(9);
    let seen = serve(&test, replies.into_iter().collect());
    (GlueRegistry::new(&test.platform, &config(), "nexus"), seen)
}

fn ok(body: Value) -> Reply {
    Reply::ok(&body.to_string())
}

fn error(status: u16, code: &str) -> Reply {
    Reply::Answer { status, body: json!({"__type": code, "Message": "as scripted"}).to_string() }
}

fn draft() -> SchemaDraft {
    SchemaDraft {
        schema: "OrderShipped".to_owned(),
        compatibility: SchemaCompatibility::Backward,
        definition: TEXT.to_owned(),
    }
}

fn version(status: Status) -> SchemaVersion {
    SchemaVersion { id: ID.to_owned(), number: 2, status }
}

/// The only request: its operation and body.
fn sent(seen: &Mutex<Vec<Seen>>) -> (String, Value) {
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1, "attempted once");
    assert_eq!(seen[0].header("content-type"), Some("application/x-amz-json-1.1"));
    let target = seen[0].header("x-amz-target").unwrap().strip_prefix("AWSGlue.").unwrap();
    (target.to_owned(), serde_json::from_str(&seen[0].body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_call_says_what_it_must_and_reads_what_it_is_told() {
    let place = json!({"RegistryName": "nexus", "SchemaName": "OrderShipped"});

    let (registry, seen) = script([ok(json!({"RegistryName": "nexus", "RegistryArn": "arn"}))]);
    assert_eq!(registry.create_registry().await, Ok(()));
    assert_eq!(sent(&seen), ("CreateRegistry".to_owned(), json!({"RegistryName": "nexus"})));

    let (registry, seen) = script([ok(json!({
        "SchemaName": "OrderShipped", "LatestSchemaVersion": 1, "SchemaVersionId": ID, "SchemaVersionStatus": "PENDING",
    }))]);
    let created = SchemaVersion { number: 1, ..version(Status::Pending) };
    assert_eq!(registry.create_schema(&draft()).await, Ok(created));
    let wanted = json!({
        "RegistryId": {"RegistryName": "nexus"}, "SchemaName": "OrderShipped", "DataFormat": "JSON",
        "Compatibility": "BACKWARD", "SchemaDefinition": TEXT,
    });
    assert_eq!(sent(&seen), ("CreateSchema".to_owned(), wanted));

    let (registry, seen) = script([ok(json!({"DataFormat": "JSON", "Compatibility": "FULL_ALL"}))]);
    let traits = SchemaTraits { data_format: "JSON".to_owned(), compatibility: Some(SchemaCompatibility::FullAll) };
    assert_eq!(registry.schema("OrderShipped").await, Ok(Some(traits)));
    assert_eq!(sent(&seen), ("GetSchema".to_owned(), json!({"SchemaId": place})));

    let (registry, seen) = script([ok(json!({"SchemaVersionId": ID, "VersionNumber": 2, "Status": "PENDING"}))]);
    assert_eq!(registry.register_version("OrderShipped", TEXT).await, Ok(version(Status::Pending)));
    let wanted = json!({"SchemaId": place, "SchemaDefinition": TEXT});
    assert_eq!(sent(&seen), ("RegisterSchemaVersion".to_owned(), wanted.clone()));

    let (registry, seen) = script([ok(json!({"SchemaVersionId": ID, "DataFormat": "JSON", "Status": "FAILURE"}))]);
    let defined = DefinedVersion { id: ID.to_owned(), status: Status::Failure };
    assert_eq!(registry.version_by_definition("OrderShipped", TEXT).await, Ok(Some(defined)));
    assert_eq!(sent(&seen), ("GetSchemaByDefinition".to_owned(), wanted));

    let whole = json!({"SchemaVersionId": ID, "SchemaDefinition": TEXT, "VersionNumber": 2, "Status": "AVAILABLE"});
    let found = SchemaVersionWithDefinition { version: version(Status::Available), definition: TEXT.to_owned() };
    let (registry, seen) = script([ok(whole.clone())]);
    assert_eq!(registry.version_by_id(ID).await, Ok(Some(found.clone())));
    assert_eq!(sent(&seen), ("GetSchemaVersion".to_owned(), json!({"SchemaVersionId": ID})));

    let (registry, seen) = script([ok(whole)]);
    assert_eq!(registry.version_by_number("OrderShipped", 2).await, Ok(Some(found)));
    let wanted = json!({"SchemaId": place, "SchemaVersionNumber": {"VersionNumber": 2}});
    assert_eq!(sent(&seen), ("GetSchemaVersion".to_owned(), wanted));
}

#[tokio::test(start_paused = true)]
async fn versions_come_page_by_page() {
    let item = json!({"SchemaVersionId": ID, "VersionNumber": 2, "Status": "DELETING"});
    let (registry, seen) = script([
        ok(json!({"Schemas": [item], "NextToken": "page-2"})),
        ok(json!({"Schemas": []})),
        error(400, "EntityNotFoundException"),
    ]);
    let first = registry.versions("OrderShipped", None).await.unwrap().unwrap();
    let wanted = SchemaVersionPage { versions: vec![version(Status::Deleting)], next_page: Some("page-2".to_owned()) };
    assert_eq!(first, wanted);
    let last = registry.versions("OrderShipped", first.next_page.as_deref()).await;
    assert_eq!(last, Ok(Some(SchemaVersionPage::default())));
    assert_eq!(registry.versions("OrderShipped", None).await, Ok(None));
    let bodies: Vec<Value> =
        seen.lock().unwrap().iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
    assert_eq!(bodies[1]["NextToken"], "page-2");
    assert_eq!(bodies[0]["MaxResults"], 100);
}

/// Every answer that is an error of some kind, and what a read and a write must make of it.
fn failures() -> Vec<(Reply, &'static str, &'static str)> {
    let unusable = |body: Value| ok(body);
    vec![
        (error(400, "EntityNotFoundException"), "absent", "absent"),
        (error(400, "com.amazonaws.glue#EntityNotFoundException"), "absent", "absent"),
        (error(400, "AlreadyExistsException"), "rejected", "there"),
        (error(400, "ConcurrentModificationException"), "rejected", "contended"),
        (error(400, "ThrottlingException"), "throttled", "throttled"),
        (error(400, "InvalidInputException"), "rejected", "rejected"),
        (error(400, "AccessDeniedException"), "rejected", "rejected"),
        (error(400, "ResourceNumberLimitExceededException"), "rejected", "rejected"),
        (error(403, "ExpiredTokenException"), "rejected", "rejected"),
        (error(500, "InternalServiceException"), "unknown", "unknown"),
        (error(503, "ThrottlingException"), "unknown", "unknown"),
        (Reply::Answer { status: 503, body: "<html>Service Unavailable</html>".to_owned() }, "unknown", "unknown"),
        (Reply::BytesThenClose(String::new()), "unknown", "unknown"),
        (Reply::BytesThenSilence(String::new()), "unknown", "unknown"),
        (Reply::ok("{\"SchemaVersionId\":"), "unknown", "unknown"),
        (unusable(json!({})), "unreadable", "unknown"),
        (unusable(json!({"SchemaVersionId": ID, "VersionNumber": 1, "Status": "ARCHIVED"})), "unreadable", "unknown"),
        (unusable(json!({"VersionNumber": 1, "Status": "AVAILABLE"})), "unreadable", "unknown"),
        (unusable(json!({"SchemaVersionId": ID, "VersionNumber": 0, "Status": "AVAILABLE"})), "unreadable", "unknown"),
    ]
}

fn kind_of_read<T>(outcome: Result<Option<T>, ReadFailure>) -> &'static str {
    match outcome {
        Ok(Some(_)) => "found",
        Ok(None) => "absent",
        Err(ReadFailure::Throttled(_)) => "throttled",
        Err(ReadFailure::NotSent(_)) => "not sent",
        Err(ReadFailure::Rejected(_)) => "rejected",
        Err(ReadFailure::NoAnswer(_)) => "unknown",
        Err(ReadFailure::Unreadable(_)) => "unreadable",
    }
}

fn kind_of_write<T>(outcome: Result<T, WriteFailure<SchemaRefused>>) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(WriteFailure::Refused(SchemaRefused::NoSuchSchema)) => "absent",
        Err(WriteFailure::Refused(SchemaRefused::AlreadyThere)) => "there",
        Err(WriteFailure::Contended(_)) => "contended",
        Err(WriteFailure::Throttled(_)) => "throttled",
        Err(WriteFailure::NotSent(_)) => "not sent",
        Err(WriteFailure::Rejected(_)) => "rejected",
        Err(WriteFailure::Unknown(_)) => "unknown",
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_becomes_its_outcome_after_one_attempt() {
    for (reply, read, written) in failures() {
        let (registry, seen) = script([reply.clone()]);
        assert_eq!(kind_of_read(registry.version_by_id(ID).await), read, "{reply:?}");
        assert_eq!(seen.lock().unwrap().len(), 1, "{reply:?}: attempted again");
        let (registry, seen) = script([reply.clone()]);
        // Creating answers under other names, so that what is unusable here is unusable there.
        assert_eq!(kind_of_write(registry.create_schema(&draft()).await), written, "{reply:?}");
        assert_eq!(seen.lock().unwrap().len(), 1, "{reply:?}: attempted again");
    }
    let test = TestPlatform::new(9);
    let nobody = GlueRegistry::new(&test.platform, &config(), "nexus");
    assert_eq!(kind_of_read(nobody.version_by_definition("OrderShipped", TEXT).await), "not sent");
    assert_eq!(kind_of_write(nobody.register_version("OrderShipped", TEXT).await), "not sent");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_means_what_it_can_mean_to_its_call() {
    let (registry, _seen) = script([error(400, "AlreadyExistsException"), error(400, "EntityNotFoundException")]);
    assert_eq!(registry.create_registry().await, Err(WriteFailure::Refused(AlreadyThere)));
    assert!(matches!(registry.create_registry().await, Err(WriteFailure::Rejected(_))));
    let (registry, _seen) = script([error(400, "AlreadyExistsException"), error(400, "EntityNotFoundException")]);
    assert_eq!(kind_of_write(registry.register_version("OrderShipped", TEXT).await), "rejected");
    assert_eq!(kind_of_write(registry.register_version("OrderShipped", TEXT).await), "absent");
    let (registry, _seen) = script([
        error(400, "EntityNotFoundException"),
        ok(json!({"Compatibility": "BACKWARD"})),
        ok(json!({"DataFormat": "AVRO", "Compatibility": "SIDEWAYS"})),
    ]);
    assert_eq!(registry.schema("OrderShipped").await, Ok(None));
    assert_eq!(kind_of_read(registry.schema("OrderShipped").await), "unreadable");
    let traits = SchemaTraits { data_format: "AVRO".to_owned(), compatibility: None };
    assert_eq!(registry.schema("OrderShipped").await, Ok(Some(traits)));
}

/// One call of every kind, each of which fails.
async fn call_everything(platform: &Platform) {
    let registry = GlueRegistry::new(platform, &config(), "nexus");
    assert!(registry.create_registry().await.is_err());
    assert!(registry.create_schema(&draft()).await.is_err());
    assert!(registry.schema("OrderShipped").await.is_err());
    assert!(registry.register_version("OrderShipped", TEXT).await.is_err());
    assert!(registry.version_by_id(ID).await.is_err());
    assert!(registry.version_by_number("OrderShipped", 1).await.is_err());
    assert!(registry.version_by_definition("OrderShipped", TEXT).await.is_err());
    assert!(registry.versions("OrderShipped", None).await.is_err());
}

const CALLS: usize = 8;

async fn everything_sent(seed: u64) -> Vec<(String, String)> {
    let test = TestPlatform::new(seed);
    let seen = serve(&test, std::iter::repeat_n(error(503, "InternalServiceException"), CALLS).collect());
    call_everything(&test.platform).await;
    let seen = seen.lock().unwrap();
    seen.iter().map(|seen| (seen.head.clone(), seen.body.clone())).collect()
}

/// Nothing ambient gets into what is sent.
#[tokio::test(start_paused = true)]
async fn the_same_platform_sends_the_same_bytes() {
    let (first, again, other) = (everything_sent(1).await, everything_sent(1).await, everything_sent(2).await);
    assert_eq!(first.len(), CALLS);
    assert_eq!(first, again);
    for ((head, body), (other_head, other_body)) in first.iter().zip(&other) {
        assert_eq!(body, other_body, "no body holds entropy");
        assert_ne!(head, other_head, "each call has an id of its own from the platform's entropy");
    }
}
