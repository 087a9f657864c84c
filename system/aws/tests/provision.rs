//! Tables that are made, found, slow, different, or never become active.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_aws::{ProvisionError, ProvisionedTable, TableNames, provision_tables, table_definitions};
use nexus_ports_testing::TestPlatform;
use serde_json::{Value, json};
use support::{Reply, config, serve};

fn names() -> TableNames {
    TableNames { events: "e".to_owned(), idempotency: "i".to_owned(), ..TableNames::default() }
}

/// `DescribeTable`'s answer for a table as it was asked to be.
fn described(definition: &Value, status: &str) -> Reply {
    let mut table = definition.clone();
    table["TableStatus"] = json!(status);
    Reply::ok(&json!({"Table": table}).to_string())
}

fn error(status: u16, code: &str) -> Reply {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    Reply::Answer { status, body: json!({"__type": kind, "message": "as scripted"}).to_string() }
}

struct Provisioning {
    outcome: Result<Vec<ProvisionedTable>, ProvisionError>,
    bodies: Vec<Value>,
    took: Duration,
}

async fn provision(replies: Vec<Reply>) -> Provisioning {
    let test = TestPlatform::new(1);
    let seen = serve(&test, replies.into());
    let outcome = provision_tables(&test.platform, &config(), &names()).await;
    let bodies = seen.lock().unwrap().iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
    Provisioning { outcome, bodies, took: test.platform.monotonic().0 }
}

fn every_table(created: bool) -> Vec<ProvisionedTable> {
    let names = names();
    let names =
        [names.events, names.idempotency, names.leases, names.views, names.outbox, names.parked, names.quarantine];
    names.into_iter().map(|name| ProvisionedTable { name, created }).collect()
}

#[tokio::test(start_paused = true)]
async fn tables_are_made_as_defined_and_waited_for() {
    let definitions = table_definitions(&names());
    let (events, records) = (&definitions[0], &definitions[1]);
    let mut replies = vec![
        Reply::ok("{}"),
        error(400, "ResourceNotFoundException"),
        described(events, "CREATING"),
        error(400, "ThrottlingException"),
        described(events, "ACTIVE"),
        error(500, "InternalServerError"),
        described(records, "ACTIVE"),
    ];
    replies.extend(definitions[2..].iter().flat_map(|table| [Reply::ok("{}"), described(table, "ACTIVE")]));
    let provisioning = provision(replies).await;
    assert_eq!(provisioning.outcome, Ok(every_table(true)));
    assert_eq!(provisioning.bodies[0], *events, "what is sent is what is published");
    assert_eq!(provisioning.bodies[5], *records);
    assert!(provisioning.took >= Duration::from_millis(1_500), "{:?}", provisioning.took);
}

#[tokio::test(start_paused = true)]
async fn tables_that_are_there_are_left_as_they_are() {
    let definitions = table_definitions(&names());
    let replies =
        definitions.iter().flat_map(|table| [error(400, "ResourceInUseException"), described(table, "ACTIVE")]);
    let provisioning = provision(replies.collect()).await;
    assert_eq!(provisioning.outcome, Ok(every_table(false)));
    assert_eq!(provisioning.bodies.len(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_differs_is_an_error() {
    let definition = &table_definitions(&names())[0];
    let mut other_sort_key = definition.clone();
    other_sort_key["AttributeDefinitions"][1]["AttributeType"] = json!("S");
    let mut no_sort_key = definition.clone();
    no_sort_key["KeySchema"].as_array_mut().unwrap().pop();
    let mut no_stream = definition.clone();
    no_stream.as_object_mut().unwrap().remove("StreamSpecification");
    let mut keys_only = definition.clone();
    keys_only["StreamSpecification"]["StreamViewType"] = json!("KEYS_ONLY");
    for found in [other_sort_key, no_sort_key, no_stream, keys_only] {
        let replies = vec![error(400, "ResourceInUseException"), described(&found, "ACTIVE")];
        let outcome = provision(replies).await.outcome;
        assert_eq!(outcome, Err(ProvisionError::Different { table: "e".to_owned() }), "{found}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_becomes_active_is_given_up() {
    let definition = &table_definitions(&names())[0];
    let mut replies = vec![Reply::ok("{}")];
    replies.extend(std::iter::repeat_n(described(definition, "CREATING"), 240));
    let waited = Duration::from_secs(120);
    assert_eq!(provision(replies).await.outcome, Err(ProvisionError::NotActive { table: "e".to_owned(), waited }));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_at_once() {
    for replies in
        [vec![error(400, "AccessDeniedException")], vec![Reply::ok("{}"), error(400, "AccessDeniedException")]]
    {
        let provisioning = provision(replies).await;
        let Err(ProvisionError::Rejected { code, .. }) = provisioning.outcome else { panic!("not rejected") };
        assert_eq!(code, "AccessDeniedException");
        assert!(provisioning.took < Duration::from_secs(1));
    }
}
