//! Functions and mappings as clients manage them.

use serde_json::{Value, json};

use crate::{
    neighbours::{QUEUE_ARN, STREAM_ARN, install_kinesis, install_queue},
    world::{SECOND, World, quick},
};

const FUNCTIONS: &str = "/2015-03-31/functions";
const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

fn world() -> World {
    let mut world = World::with_function(quick(), 0);
    install_kinesis(&mut world, 1);
    install_queue(&mut world, 30);
    world
}

fn mapping(arn: &str, members: Value) -> Value {
    let mut request = json!({"FunctionName": "f", "EventSourceArn": arn});
    request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    request
}

#[test]
fn functions_are_created_changed_listed_and_deleted() {
    let mut world = World::new(quick());
    let create = json!({
        "FunctionName": "router", "Timeout": 10, "MemorySize": 256, "Role": "arn:aws:iam::1:role/r", "Handler": "h",
        "Runtime": "provided.al2023", "Code": {"ZipFile": "UEsFBg=="}, "Environment": {"Variables": {"A": "1"}},
    });
    let (status, created) = world.call("POST", FUNCTIONS, create.clone());
    assert_eq!(status, 201);
    assert_eq!(created["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:router");
    assert_eq!(
        (&created["Timeout"], &created["MemorySize"], &created["State"]),
        (&json!(10), &json!(256), &json!("Active"))
    );
    assert_eq!(created["LastModified"], "2026-01-01T00:00:00.006+0000");
    let again = world.error("POST", FUNCTIONS, create);
    assert_eq!(again, (409, "ResourceConflictException".into(), "Function already exist: router".into()));

    let (_, answer) =
        world.call("PUT", "/2017-10-31/functions/router/concurrency", json!({"ReservedConcurrentExecutions": 2}));
    assert_eq!(answer, json!({"ReservedConcurrentExecutions": 2}));
    let (_, got) = world.call("GET", "/2015-03-31/functions/router", Value::Null);
    assert_eq!(got["Concurrency"], answer);
    assert_eq!(world.call("DELETE", "/2017-10-31/functions/router/concurrency", Value::Null).0, 204);
    assert_eq!(world.call("GET", "/2019-09-30/functions/router/concurrency", Value::Null).1, json!({}));

    let (_, changed) = world.call("PUT", "/2015-03-31/functions/router/configuration", json!({"Timeout": 20}));
    assert_eq!((&changed["Timeout"], &changed["MemorySize"]), (&json!(20), &json!(256)));
    assert_ne!(changed["RevisionId"], created["RevisionId"]);

    world.create_function("another", 3);
    let (_, page) = world.call("GET", "/2015-03-31/functions?MaxItems=1", Value::Null);
    assert_eq!((&page["Functions"][0]["FunctionName"], &page["NextMarker"]), (&json!("another"), &json!("another")));
    let (_, page) = world.call("GET", "/2015-03-31/functions?MaxItems=1&Marker=another", Value::Null);
    assert_eq!(page["Functions"][0]["FunctionName"], "router");
    assert_eq!(page.get("NextMarker"), None);

    assert_eq!(world.call("DELETE", "/2015-03-31/functions/router", Value::Null).0, 204);
    let gone = world.error("GET", "/2015-03-31/functions/router", Value::Null);
    let message = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:router";
    assert_eq!(gone, (404, "ResourceNotFoundException".into(), message.into()));
}

#[test]
fn what_is_wrong_with_a_function_is_told() {
    let mut world = world();
    for (body, status, code) in [
        (json!({}), 400, "ValidationException"),
        (json!({"FunctionName": "a b"}), 400, "ValidationException"),
        (json!({"FunctionName": "a", "Timeout": 0}), 400, "ValidationException"),
        (json!({"FunctionName": "a", "Timeout": 901}), 400, "ValidationException"),
        (json!({"FunctionName": "a", "MemorySize": "much"}), 400, "SerializationException"),
        (json!([1]), 400, "SerializationException"),
    ] {
        let (found_status, found, _) = world.error("POST", FUNCTIONS, body.clone());
        assert_eq!((found_status, found.as_str()), (status, code), "{body}");
    }
    let unsigned = nexus_cloud::WireRequest {
        service: nexus_cloud::Service::Lambda,
        caller: "x".into(),
        method: "GET".into(),
        path: FUNCTIONS.into(),
        headers: vec![],
        body: vec![].into(),
    };
    world.cloud.handle(world.now, nexus_cloud::RequestId(9_999), unsigned);
    let end = world.now.plus(SECOND);
    let refused = world
        .cloud
        .advance(end)
        .into_iter()
        .any(|output| matches!(output, nexus_cloud::Output::Reply { response, .. } if response.status == 403));
    assert!(refused);
}

#[test]
fn a_mapping_goes_through_its_states() {
    let mut world = world();
    let (status, created) =
        world.call("POST", MAPPINGS, mapping(STREAM_ARN, json!({"StartingPosition": "TRIM_HORIZON"})));
    assert_eq!(status, 202);
    for (name, value) in [
        ("State", json!("Creating")),
        ("BatchSize", json!(100)),
        ("MaximumBatchingWindowInSeconds", json!(0)),
        ("ParallelizationFactor", json!(1)),
        ("MaximumRetryAttempts", json!(-1)),
        ("MaximumRecordAgeInSeconds", json!(-1)),
        ("BisectBatchOnFunctionError", json!(false)),
        ("StartingPosition", json!("TRIM_HORIZON")),
        ("DestinationConfig", json!({"OnFailure": {}})),
        ("FunctionResponseTypes", json!([])),
        ("EventSourceArn", json!(STREAM_ARN)),
        ("FunctionArn", json!("arn:aws:lambda:us-east-1:000000000000:function:f")),
        ("LastProcessingResult", json!("No records processed")),
    ] {
        assert_eq!(created[name], value, "{name}");
    }
    let uuid = created["UUID"].as_str().unwrap().to_owned();
    let path = format!("{MAPPINGS}/{uuid}");
    let (_, code, _) = world.error("PUT", &path, json!({"BatchSize": 5}));
    assert_eq!(code, "ResourceInUseException");
    world.wait(2 * SECOND);
    assert_eq!(world.mapping(&uuid)["State"], "Enabled");
    for (request, between, after) in [
        (json!({"BatchSize": 5}), "Updating", "Enabled"),
        (json!({"Enabled": false}), "Disabling", "Disabled"),
        (json!({"BatchSize": 6}), "Updating", "Disabled"),
        (json!({"Enabled": true}), "Enabling", "Enabled"),
    ] {
        let (status, answer) = world.call("PUT", &path, request.clone());
        assert_eq!((status, answer["State"].as_str().unwrap()), (202, between), "{request}");
        world.wait(2 * SECOND);
        assert_eq!(world.mapping(&uuid)["State"], after, "{request}");
    }
    assert_eq!(world.mapping(&uuid)["BatchSize"], 6);
    let (status, answer) = world.call("DELETE", &path, Value::Null);
    assert_eq!((status, &answer["State"]), (202, &json!("Deleting")));
    world.wait(2 * SECOND);
    let gone = world.error("GET", &path, Value::Null);
    assert_eq!(gone, (404, "ResourceNotFoundException".into(), "The resource you requested does not exist.".into()));
}

#[test]
fn a_source_feeds_a_function_through_one_mapping_only() {
    let mut world = world();
    let uuid = world.map(QUEUE_ARN, json!({}));
    let (status, code, message) = world.error("POST", MAPPINGS, mapping(QUEUE_ARN, json!({})));
    assert_eq!((status, code.as_str()), (409, "ResourceConflictException"));
    assert!(message.contains("already exists") && message.ends_with(&uuid), "{message}");
    let stream = mapping(STREAM_ARN, json!({"StartingPosition": "LATEST"}));
    assert_eq!(world.call("POST", MAPPINGS, stream.clone()).0, 202);
    let (status, _, message) = world.error("POST", MAPPINGS, stream);
    assert_eq!(status, 409);
    assert!(message.contains("provided mapping already exists"), "{message}");
    world.create_function("g", 3);
    let other = json!({"FunctionName": "g", "EventSourceArn": QUEUE_ARN});
    let (_, other) = world.call("POST", MAPPINGS, other);
    world.wait(2 * SECOND);
    let path = format!("{MAPPINGS}/{}", other["UUID"].as_str().unwrap());
    assert_eq!(world.error("PUT", &path, json!({"FunctionName": "f"})).0, 409);

    let count = |world: &mut World, query: &str| {
        world.call("GET", &format!("{MAPPINGS}/{query}"), Value::Null).1["EventSourceMappings"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count(&mut world, ""), 3);
    assert_eq!(count(&mut world, "?FunctionName=f"), 2);
    assert_eq!(
        count(&mut world, "?FunctionName=f&EventSourceArn=arn%3Aaws%3Asqs%3Aus-east-1%3A000000000000%3Awork"),
        1
    );
    let (_, page) = world.call("GET", &format!("{MAPPINGS}/?MaxItems=2"), Value::Null);
    let marker = page["NextMarker"].as_str().unwrap().to_owned();
    assert_eq!(count(&mut world, &format!("?MaxItems=2&Marker={marker}")), 1);
}

#[test]
fn what_is_wrong_with_a_mapping_is_told() {
    let mut world = world();
    let horizon = |members: Value| {
        let mut all = json!({"StartingPosition": "TRIM_HORIZON"});
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        all
    };
    let table = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/x";
    let invalid = "InvalidParameterValueException";
    for (arn, members, code) in [
        (STREAM_ARN, json!({}), "ValidationException"),
        (STREAM_ARN, json!({"StartingPosition": "MIDDLE"}), "ValidationException"),
        (STREAM_ARN, json!({"StartingPosition": "AT_TIMESTAMP"}), invalid),
        (STREAM_ARN, horizon(json!({"StartingPositionTimestamp": 5})), invalid),
        (table, json!({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 5}), invalid),
        (STREAM_ARN, horizon(json!({"BatchSize": 10_001})), "ValidationException"),
        (STREAM_ARN, horizon(json!({"BatchSize": 0})), "ValidationException"),
        (STREAM_ARN, horizon(json!({"MaximumBatchingWindowInSeconds": 301})), "ValidationException"),
        (STREAM_ARN, horizon(json!({"ParallelizationFactor": 11})), "ValidationException"),
        (STREAM_ARN, horizon(json!({"MaximumRetryAttempts": -2})), "ValidationException"),
        (STREAM_ARN, horizon(json!({"MaximumRecordAgeInSeconds": 59})), "ValidationException"),
        (STREAM_ARN, horizon(json!({"FunctionResponseTypes": ["Report"]})), "ValidationException"),
        (STREAM_ARN, horizon(json!({"TumblingWindowInSeconds": 5})), invalid),
        (STREAM_ARN, horizon(json!({"ScalingConfig": {"MaximumConcurrency": 2}})), invalid),
        (STREAM_ARN, horizon(json!({"DestinationConfig": {"OnFailure": {"Destination": "q"}}})), invalid),
        (STREAM_ARN, horizon(json!({"FilterCriteria": {"Filters": [{"Pattern": "no"}]}})), invalid),
        (STREAM_ARN, horizon(json!({"Topics": ["t"]})), invalid),
        (QUEUE_ARN, json!({"BatchSize": 11}), invalid),
        (QUEUE_ARN, json!({"ParallelizationFactor": 2}), invalid),
        (QUEUE_ARN, json!({"StartingPosition": "LATEST"}), invalid),
        (QUEUE_ARN, json!({"ScalingConfig": {"MaximumConcurrency": 1}}), "ValidationException"),
        ("arn:aws:sqs:us-east-1:1:q.fifo", json!({"BatchSize": 11, "MaximumBatchingWindowInSeconds": 1}), invalid),
        ("arn:aws:sqs:us-east-1:1:q.fifo", json!({"MaximumBatchingWindowInSeconds": 1}), invalid),
        ("arn:aws:s3:::bucket", json!({}), invalid),
    ] {
        let (status, found, message) = world.error("POST", MAPPINGS, mapping(arn, members.clone()));
        assert_eq!((status, found.as_str()), (400, code), "{arn} {members}: {message}");
    }
    let unknown = json!({"FunctionName": "nobody", "EventSourceArn": QUEUE_ARN});
    assert_eq!(world.error("POST", MAPPINGS, unknown).0, 404);
    let large = mapping(QUEUE_ARN, json!({"BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 1}));
    assert_eq!(world.call("POST", MAPPINGS, large).0, 202);
}
