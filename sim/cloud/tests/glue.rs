//! The Schema Registry as its callers see it: operations, members, errors, names and limits.
#![forbid(unsafe_code)]

mod support;

use nexus_cloud::Service;
use serde_json::{Value, json};
use support::{
    Answer, Driver, MS,
    glue::{create, id, order, register},
    kinesis::text,
    quick,
};

const ARN: &str = "arn:aws:glue:us-east-1:000000000000";
const TIME: &str = "2026-01-01T00:00:00.006Z";

#[test]
fn a_registry_is_made_shown_changed_listed_and_deleted() {
    let mut driver = Driver::new(quick());
    let created = driver
        .glue("CreateRegistry", json!({"RegistryName": "shop", "Description": "ours", "Tags": {"team": "orders"}}));
    let arn = format!("{ARN}:registry/shop");
    let wanted = json!({"RegistryArn": arn, "RegistryName": "shop", "Description": "ours", "Tags": {"team": "orders"}});
    assert_eq!(created.ok(), wanted);
    let mut shown = driver.glue("GetRegistry", json!({"RegistryId": {"RegistryArn": arn}})).ok();
    let registry = json!({
        "RegistryArn": arn, "RegistryName": "shop", "Description": "ours", "Status": "AVAILABLE",
        "CreatedTime": TIME, "UpdatedTime": TIME,
    });
    assert_eq!(shown, registry);
    let update = json!({"RegistryId": {"RegistryName": "shop"}, "Description": "theirs"});
    assert_eq!(driver.glue("UpdateRegistry", update).ok(), json!({"RegistryArn": arn, "RegistryName": "shop"}));
    shown = driver.glue("ListRegistries", json!({})).ok();
    assert_eq!(shown["Registries"][0]["Description"], "theirs");
    assert_eq!(shown.get("NextToken"), None);

    driver.glue("CreateSchema", create("Order", "NONE", &order(&[], &[]))).ok();
    let deleted = driver.glue("DeleteRegistry", json!({"RegistryId": {"RegistryName": "shop"}})).ok();
    assert_eq!(deleted["Status"], "DELETING");
    assert_eq!(driver.glue("GetRegistry", json!({"RegistryId": {"RegistryName": "shop"}})).ok()["Status"], "DELETING");
    assert_eq!(driver.glue("GetSchema", json!({"SchemaId": id("Order")})).ok()["SchemaStatus"], "DELETING");
    let refused = driver.glue("CreateSchema", create("Other", "NONE", &order(&[], &[])));
    assert_eq!(refused.code(), "InvalidInputException");
    assert_eq!(driver.glue("RegisterSchemaVersion", register(&order(&[], &["a"]))).code(), "EntityNotFoundException");
    driver.wait(MS * 1_000);
    let (code, message) = driver.glue("GetRegistry", json!({"RegistryId": {"RegistryName": "shop"}})).error();
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("EntityNotFoundException", "Registry is not found. RegistryName: shop")
    );
    assert_eq!(driver.steps_of_versions(), [(1, "PENDING"), (1, "AVAILABLE"), (1, "DELETING"), (1, "DELETED")]);
}

#[test]
fn a_schema_is_made_in_the_default_registry_if_none_is_named() {
    let mut driver = Driver::new(quick());
    let mut request = create("Order", "FULL", &order(&[], &[]));
    request.as_object_mut().unwrap().remove("RegistryId");
    let created = driver.glue("CreateSchema", request).ok();
    let version = text(&created["SchemaVersionId"]);
    assert_eq!(
        created,
        json!({
            "RegistryName": "default-registry", "RegistryArn": format!("{ARN}:registry/default-registry"),
            "SchemaName": "Order", "SchemaArn": format!("{ARN}:schema/default-registry/Order"),
            "DataFormat": "JSON", "Compatibility": "FULL", "SchemaCheckpoint": 1, "LatestSchemaVersion": 1,
            "NextSchemaVersion": 2, "SchemaStatus": "AVAILABLE", "SchemaVersionId": version,
            "SchemaVersionStatus": "AVAILABLE",
        })
    );
    let by_arn = json!({"SchemaId": {"SchemaArn": created["SchemaArn"]}});
    let shown = driver.glue("GetSchema", by_arn).ok();
    assert_eq!((&shown["Compatibility"], &shown["CreatedTime"]), (&json!("FULL"), &json!(TIME)));
    assert_eq!(driver.glue("ListRegistries", json!({})).ok()["Registries"][0]["RegistryName"], "default-registry");
}

#[test]
fn a_schema_without_a_definition_waits_for_its_first_version() {
    let mut driver = Driver::with_schema(support::glue::slow(), "BACKWARD");
    let mut request = create("Empty", "BACKWARD", &Value::Null);
    request.as_object_mut().unwrap().remove("SchemaDefinition");
    let created = driver.glue("CreateSchema", request).ok();
    assert_eq!(created.get("SchemaVersionId"), None);
    assert_eq!((&created["LatestSchemaVersion"], &created["NextSchemaVersion"]), (&json!(0), &json!(1)));
    let latest = json!({"SchemaId": id("Empty"), "SchemaVersionNumber": {"LatestVersion": true}});
    let (code, message) = driver.glue("GetSchemaVersion", latest.clone()).error();
    assert_eq!(code, "EntityNotFoundException");
    assert!(message.ends_with("VersionNumber: null, isLatestVersion: true"), "{message}");
    let first = json!({"SchemaId": id("Empty"), "SchemaDefinition": "{}"});
    assert_eq!(driver.glue("RegisterSchemaVersion", first).ok()["Status"], "AVAILABLE", "the first is not judged");
    assert_eq!(driver.glue("GetSchemaVersion", latest).ok()["VersionNumber"], 1);
}

#[test]
fn a_version_is_found_by_its_id_its_number_as_the_latest_and_by_its_definition() {
    let mut driver = Driver::with_schema(quick(), "BACKWARD");
    let second = order(&[], &["note"]);
    let (version_id, number, status) = driver.register(&second);
    assert_eq!((number, status.as_str()), (2, "AVAILABLE"), "nothing makes it wait here");
    let wanted = json!({
        "SchemaVersionId": version_id, "SchemaDefinition": second.to_string(), "DataFormat": "JSON",
        "SchemaArn": format!("{ARN}:schema/shop/Order"), "VersionNumber": 2, "Status": "AVAILABLE", "CreatedTime": TIME,
    });
    for request in [
        json!({"SchemaVersionId": version_id}),
        json!({"SchemaId": id("Order"), "SchemaVersionNumber": {"VersionNumber": 2}}),
        json!({"SchemaId": id("Order"), "SchemaVersionNumber": {"LatestVersion": true}}),
    ] {
        assert_eq!(driver.glue("GetSchemaVersion", request).ok(), wanted);
    }
    let spaced = serde_json::to_string_pretty(&second).unwrap();
    let found = driver.glue("GetSchemaByDefinition", json!({"SchemaId": id("Order"), "SchemaDefinition": spaced})).ok();
    assert_eq!((&found["SchemaVersionId"], &found["Status"]), (&json!(version_id), &json!("AVAILABLE")));
    let mut again = register(&second);
    again["SchemaDefinition"] = json!(spaced);
    assert_eq!(
        driver.glue("RegisterSchemaVersion", again).ok(),
        json!({"SchemaVersionId": version_id, "VersionNumber": 2, "Status": "AVAILABLE"}),
        "what is the same is not registered again"
    );
    let other = json!({"SchemaId": id("Order"), "SchemaDefinition": order(&[], &["other"]).to_string()});
    let (code, message) = driver.glue("GetSchemaByDefinition", other).error();
    assert_eq!(code, "EntityNotFoundException");
    assert_eq!(message, "Schema is not found. RegistryName: shop, SchemaName: Order, SchemaArn: null");
}

#[test]
fn the_difference_of_two_versions_is_a_patch() {
    let mut driver = Driver::with_schema(quick(), "BACKWARD");
    driver.register(&order(&[], &["note"]));
    let request = |kind: &str| {
        json!({
            "SchemaId": id("Order"), "FirstSchemaVersionNumber": {"VersionNumber": 1},
            "SecondSchemaVersionNumber": {"LatestVersion": true}, "SchemaDiffType": kind,
        })
    };
    let patch = text(&driver.glue("GetSchemaVersionsDiff", request("SYNTAX_DIFF")).ok()["Diff"]);
    let wanted = json!([{"op": "add", "path": "/properties/note", "value": {"type": "string"}}]);
    assert_eq!(serde_json::from_str::<Value>(&patch).unwrap(), wanted);
    assert_eq!(driver.glue("GetSchemaVersionsDiff", request("OTHER")).code(), "InvalidInputException");
}

#[test]
fn lists_come_in_pages() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    for name in ["a", "b", "c"] {
        driver.glue("CreateSchema", create(name, "NONE", &order(&[], &[]))).ok();
    }
    for name in ["x", "y", "z"] {
        driver.register(&order(&[], &[name]));
    }
    for (operation, request, list, member, wanted) in [
        ("ListSchemas", json!({}), "Schemas", "SchemaName", json!(["Order", "a", "b", "c"])),
        (
            "ListSchemas",
            json!({"RegistryId": {"RegistryName": "shop"}}),
            "Schemas",
            "SchemaName",
            json!(["Order", "a", "b", "c"]),
        ),
        ("ListSchemaVersions", json!({"SchemaId": id("Order")}), "Schemas", "VersionNumber", json!([1, 2, 3, 4])),
        ("ListRegistries", json!({}), "Registries", "RegistryName", json!(["shop"])),
    ] {
        let mut request = request;
        request["MaxResults"] = json!(3);
        let mut found = Vec::new();
        loop {
            let page = driver.glue(operation, request.clone()).ok();
            let entries = page[list].as_array().unwrap();
            assert!(entries.len() <= 3);
            found.extend(entries.iter().map(|entry| entry[member].clone()));
            match page.get("NextToken") {
                Some(token) => request["NextToken"] = token.clone(),
                None => break,
            }
        }
        assert_eq!(json!(found), wanted, "{operation}");
        request["NextToken"] = json!("bm9uZQ==");
        assert_eq!(driver.glue(operation, request).code(), "InvalidInputException", "{operation}");
    }
    let nowhere = json!({"RegistryId": {"RegistryName": "nowhere"}});
    assert_eq!(driver.glue("ListSchemas", nowhere).code(), "EntityNotFoundException");
}

#[test]
fn updates_need_a_version_for_a_mode_and_do_not_look_back() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    driver.register(&order(&["more"], &[]));
    let update = |more: Value| {
        let mut request = more;
        request["SchemaId"] = id("Order");
        request
    };
    for (request, code) in [
        (json!({}), "InvalidInputException"),
        (json!({"Compatibility": "FULL"}), "InvalidInputException"),
        (json!({"Compatibility": "FULLER", "SchemaVersionNumber": {"LatestVersion": true}}), "InvalidInputException"),
        (json!({"SchemaVersionNumber": {"VersionNumber": 9}}), "EntityNotFoundException"),
        (json!({"SchemaVersionNumber": {}}), "InvalidInputException"),
        (json!({"SchemaVersionNumber": {"VersionNumber": 1, "LatestVersion": true}}), "InvalidInputException"),
    ] {
        assert_eq!(driver.glue("UpdateSchema", update(request.clone())).code(), code, "{request}");
    }
    let request =
        json!({"Compatibility": "BACKWARD_ALL", "SchemaVersionNumber": {"VersionNumber": 2}, "Description": "d"});
    let wanted =
        json!({"SchemaArn": format!("{ARN}:schema/shop/Order"), "SchemaName": "Order", "RegistryName": "shop"});
    assert_eq!(driver.glue("UpdateSchema", update(request)).ok(), wanted);
    let shown = driver.glue("GetSchema", json!({"SchemaId": id("Order")})).ok();
    assert_eq!(shown["Compatibility"], "BACKWARD_ALL");
    assert_eq!((&shown["SchemaCheckpoint"], &shown["Description"]), (&json!(2), &json!("d")));
    // It reads version 2, and would not read version 1, which lies before the checkpoint.
    let third = order(&["more"], &["note"]);
    assert_eq!(driver.register(&third).2, "AVAILABLE");
    let back = json!({"SchemaVersionNumber": {"VersionNumber": 1}});
    driver.glue("UpdateSchema", update(back)).ok();
    let (failed, _, status) = driver.register(&order(&["more"], &["other"]));
    assert_eq!(status, "FAILURE", "now it would have to");
    let request = json!({"SchemaVersionNumber": {"VersionNumber": 4}});
    let (code, message) = driver.glue("UpdateSchema", update(request)).error();
    assert_eq!(code, "InvalidInputException", "{failed}");
    assert!(message.contains("Version 4 is FAILURE"), "{message}");
}

#[test]
fn versions_are_deleted_but_for_the_first_and_the_checkpoint() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    let ids: Vec<String> = ["a", "b", "c", "d"].iter().map(|name| driver.register(&order(&[], &[*name])).0).collect();
    let delete = |versions: &str| json!({"SchemaId": id("Order"), "Versions": versions});
    let checkpoint = json!({"SchemaId": id("Order"), "SchemaVersionNumber": {"VersionNumber": 3}});
    driver.glue("UpdateSchema", checkpoint).ok();
    for versions in ["1", "1-2", "3", "2-4", "0", "02", "b", "4-2", "", "4-", "-4", "200000"] {
        assert_eq!(driver.glue("DeleteSchemaVersions", delete(versions)).code(), "InvalidInputException", "{versions}");
    }
    assert_eq!(driver.glue("DeleteSchemaVersions", delete("2")).ok(), json!({"SchemaVersionErrors": []}));
    let errors = driver.glue("DeleteSchemaVersions", delete("5-6")).ok()["SchemaVersionErrors"].clone();
    assert_eq!((&errors[0]["VersionNumber"], errors.as_array().unwrap().len()), (&json!(6), 1));
    assert_eq!(errors[0]["ErrorDetails"]["ErrorCode"], "EntityNotFoundException");
    assert_eq!(driver.version_status(&ids[0]), "DELETING");
    let by_definition = json!({"SchemaId": id("Order"), "SchemaDefinition": order(&[], &["a"]).to_string()});
    assert_eq!(driver.glue("GetSchemaByDefinition", by_definition).code(), "EntityNotFoundException");
    assert_eq!(driver.glue("GetSchema", json!({"SchemaId": id("Order")})).ok()["LatestSchemaVersion"], 4);
    driver.wait(MS * 1_000);
    for gone in [&ids[0], &ids[3]] {
        let (code, message) = driver.glue("GetSchemaVersion", json!({"SchemaVersionId": gone})).error();
        assert_eq!(code, "EntityNotFoundException");
        assert_eq!(message, format!("Schema version is not found. SchemaVersionId: {gone}"));
    }
    let (again, number, _) = driver.register(&order(&[], &["a"]));
    assert_eq!(number, 6, "numbers are given once");
    assert!(!ids.contains(&again));
    driver.glue("DeleteSchema", json!({"SchemaId": id("Order")})).ok();
    assert_eq!(driver.glue("ListSchemas", json!({})).ok()["Schemas"], json!([]), "what is deleted is not listed");
    assert_eq!(driver.glue("CreateSchema", create("Order", "NONE", &order(&[], &[]))).code(), "AlreadyExistsException");
    driver.wait(MS * 1_000);
    driver.glue("CreateSchema", create("Order", "NONE", &order(&[], &[]))).ok();
}

#[test]
fn metadata_are_put_found_and_removed() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    let version = json!({"SchemaId": id("Order"), "SchemaVersionNumber": {"LatestVersion": true}});
    let with = |key: &str, value: &str| {
        let mut request = version.clone();
        request["MetadataKeyValue"] = json!({"MetadataKey": key, "MetadataValue": value});
        request
    };
    let put = driver.glue("PutSchemaVersionMetadata", with("team", "orders")).ok();
    assert_eq!(
        put,
        json!({
            "RegistryName": "shop", "SchemaName": "Order", "LatestVersion": true, "VersionNumber": 0,
            "MetadataKey": "team", "MetadataValue": "orders",
        })
    );
    driver.glue("PutSchemaVersionMetadata", with("team", "payments")).ok();
    driver.glue("PutSchemaVersionMetadata", with("state", "draft")).ok();
    assert_eq!(driver.glue("PutSchemaVersionMetadata", with("team", "orders")).code(), "AlreadyExistsException");
    for (key, value) in [("a b", "c"), ("", "c"), ("a", "ü"), (&*"k".repeat(129), "c"), ("a", &*"v".repeat(257))] {
        assert_eq!(driver.glue("PutSchemaVersionMetadata", with(key, value)).code(), "InvalidInputException", "{key}");
    }
    let found = driver.glue("QuerySchemaVersionMetadata", version.clone()).ok();
    let map = &found["MetadataInfoMap"];
    assert_eq!(map["team"]["MetadataValue"], "payments", "the newest comes first");
    assert_eq!(map["team"]["OtherMetadataValueList"][0]["MetadataValue"], "orders");
    assert_eq!(map["state"].get("OtherMetadataValueList"), None);
    let mut query = version.clone();
    query["MetadataList"] = json!([{"MetadataKey": "team", "MetadataValue": "orders"}, {"MetadataKey": "none"}]);
    let found = driver.glue("QuerySchemaVersionMetadata", query.clone()).ok();
    assert_eq!(found["MetadataInfoMap"].as_object().unwrap().len(), 1);
    assert_eq!(found["MetadataInfoMap"]["team"]["MetadataValue"], "orders");
    driver.glue("RemoveSchemaVersionMetadata", with("team", "orders")).ok();
    assert_eq!(driver.glue("RemoveSchemaVersionMetadata", with("team", "orders")).code(), "EntityNotFoundException");
    for number in 0..8 {
        driver.glue("PutSchemaVersionMetadata", with(&format!("key-{number}"), "v")).ok();
    }
    assert_eq!(
        driver.glue("PutSchemaVersionMetadata", with("more", "v")).code(),
        "ResourceNumberLimitExceededException"
    );
    let mut pages = version;
    pages["MaxResults"] = json!(4);
    let mut count = 0;
    loop {
        let page = driver.glue("QuerySchemaVersionMetadata", pages.clone()).ok();
        count += page["MetadataInfoMap"].as_object().unwrap().len();
        let Some(token) = page.get("NextToken") else { break };
        pages["NextToken"] = token.clone();
    }
    assert_eq!(count, 10);
}

#[test]
fn tags_stick_to_registries_and_schemas() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    for resource in ["registry/shop", "schema/shop/Order"] {
        let with = |more: Value| {
            let mut request = more;
            request["ResourceArn"] = json!(format!("{ARN}:{resource}"));
            request
        };
        driver.glue("TagResource", with(json!({"TagsToAdd": {"a": "1", "b": "2"}}))).ok();
        driver.glue("UntagResource", with(json!({"TagsToRemove": ["a", "c"]}))).ok();
        assert_eq!(driver.glue("GetTags", with(json!({}))).ok(), json!({"Tags": {"b": "2"}}));
    }
    for resource in ["registry/nowhere", "schema/shop/nothing", "job/shop"] {
        let request = json!({"ResourceArn": format!("{ARN}:{resource}")});
        assert_eq!(driver.glue("GetTags", request).code(), "EntityNotFoundException");
    }
}

#[test]
fn definitions_have_to_be_sound_in_their_format() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    let newer = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema"}"#;
    for (format, definition, is_valid) in [
        ("JSON", r#"{"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"}"#, true),
        ("JSON", r#"{"$schema": "http://json-schema.org/draft-06/schema#", "const": 1}"#, true),
        ("JSON", newer, false),
        ("JSON", "{", false),
        ("AVRO", r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}"#, true),
        ("AVRO", r#"{"type": "record", "name": "Order"}"#, false),
        ("PROTOBUF", r#"syntax = "proto3"; message Order { string id = 1; }"#, true),
        ("PROTOBUF", r#"syntax = "proto3"; message Order { string id; }"#, false),
    ] {
        let request = json!({"DataFormat": format, "SchemaDefinition": definition});
        let answer = driver.glue("CheckSchemaVersionValidity", request).ok();
        assert_eq!(answer["Valid"], is_valid, "{definition}");
        assert_eq!(answer.get("Error").is_some_and(Value::is_string), !is_valid, "{definition}");
        let name = format!("{format}-{is_valid}");
        let mut request = create(&name, "NONE", &Value::Null);
        request["DataFormat"] = json!(format);
        request["SchemaDefinition"] = json!(definition);
        match driver.glue("CreateSchema", request) {
            Answer::Body { status: 200, body } => assert!(is_valid && body["DataFormat"] == format, "{definition}"),
            refused => {
                let (code, message) = refused.error();
                let start = format!("Schema definition of {format} data format is invalid: ");
                let is_told = code == "InvalidInputException" && message.starts_with(&start);
                assert!(is_told && !is_valid || code == "AlreadyExistsException" && is_valid, "{code} {message}");
            }
        }
    }
    let request = json!({"SchemaId": id("Order"), "SchemaDefinition": newer});
    assert_eq!(driver.glue("RegisterSchemaVersion", request).code(), "InvalidInputException");
}

#[test]
fn names_and_other_members_are_checked() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    let long = "n".repeat(256);
    let version = "00000000-0000-4000-8000-000000000000";
    let cases = [
        ("CreateRegistry", json!({}), "ValidationException"),
        ("CreateRegistry", json!({"RegistryName": 7}), "SerializationException"),
        ("CreateRegistry", json!({"RegistryName": "a", "Name": "a"}), "SerializationException"),
        ("CreateRegistry", json!({"RegistryName": "a b"}), "InvalidInputException"),
        ("CreateRegistry", json!({"RegistryName": ""}), "InvalidInputException"),
        ("CreateRegistry", json!({"RegistryName": long}), "InvalidInputException"),
        ("CreateRegistry", json!({"RegistryName": "a", "Description": "d".repeat(2_049)}), "InvalidInputException"),
        ("CreateRegistry", json!({"RegistryName": "a", "Description": "\u{7}"}), "InvalidInputException"),
        ("CreateRegistry", json!({"RegistryName": "a", "Tags": {"": "v"}}), "InvalidInputException"),
        ("CreateRegistry", json!({"RegistryName": "shop"}), "AlreadyExistsException"),
        ("GetRegistry", json!({"RegistryId": {"RegistryName": "a", "RegistryArn": "b"}}), "InvalidInputException"),
        ("GetRegistry", json!({"RegistryId": {"RegistryArn": "b"}}), "InvalidInputException"),
        (
            "GetRegistry",
            json!({"RegistryId": {"RegistryArn": "arn:aws:glue:eu-west-1:1:registry/shop"}}),
            "EntityNotFoundException",
        ),
        ("GetRegistry", json!({}), "EntityNotFoundException"),
        ("UpdateRegistry", json!({"RegistryId": {"RegistryName": "shop"}}), "ValidationException"),
        ("CreateSchema", create("a/b", "NONE", &json!({})), "InvalidInputException"),
        ("CreateSchema", create("Order", "NONE", &json!({})), "AlreadyExistsException"),
        ("CreateSchema", create("a", "SOME", &json!({})), "InvalidInputException"),
        ("CreateSchema", json!({"SchemaName": "a", "DataFormat": "XML"}), "InvalidInputException"),
        ("CreateSchema", json!({"SchemaName": "a"}), "ValidationException"),
        (
            "CreateSchema",
            json!({"RegistryId": {"RegistryName": "b"}, "SchemaName": "a", "DataFormat": "JSON"}),
            "EntityNotFoundException",
        ),
        ("GetSchema", json!({}), "ValidationException"),
        ("GetSchema", json!({"SchemaId": {}}), "InvalidInputException"),
        ("GetSchema", json!({"SchemaId": {"SchemaName": "Order"}}), "InvalidInputException"),
        ("GetSchema", json!({"SchemaId": {"SchemaArn": "a", "SchemaName": "b"}}), "InvalidInputException"),
        ("GetSchema", json!({"SchemaId": {"SchemaArn": "a"}}), "InvalidInputException"),
        (
            "GetSchema",
            json!({"SchemaId": {"SchemaArn": "arn:aws:glue:us-east-1:1:schema/shop/Order"}}),
            "EntityNotFoundException",
        ),
        ("GetSchema", json!({"SchemaId": id("Other")}), "EntityNotFoundException"),
        ("GetSchemaVersion", json!({}), "InvalidInputException"),
        ("GetSchemaVersion", json!({"SchemaId": id("Order")}), "InvalidInputException"),
        ("GetSchemaVersion", json!({"SchemaVersionNumber": {"LatestVersion": true}}), "InvalidInputException"),
        ("GetSchemaVersion", json!({"SchemaVersionId": "x"}), "InvalidInputException"),
        (
            "GetSchemaVersion",
            json!({"SchemaVersionId": version.to_uppercase().replace('8', "A")}),
            "InvalidInputException",
        ),
        ("GetSchemaVersion", json!({"SchemaVersionId": version}), "EntityNotFoundException"),
        ("GetSchemaVersion", json!({"SchemaVersionId": version, "SchemaId": id("Order")}), "InvalidInputException"),
        (
            "GetSchemaVersion",
            json!({"SchemaId": id("Order"), "SchemaVersionNumber": {"VersionNumber": 0}}),
            "ValidationException",
        ),
        (
            "GetSchemaVersion",
            json!({"SchemaId": id("Order"), "SchemaVersionNumber": {"VersionNumber": 2}}),
            "EntityNotFoundException",
        ),
        ("RegisterSchemaVersion", json!({"SchemaId": id("Order")}), "ValidationException"),
        ("RegisterSchemaVersion", json!({"SchemaId": id("Order"), "SchemaDefinition": ""}), "InvalidInputException"),
        ("ListSchemas", json!({"MaxResults": 101}), "ValidationException"),
        ("ListSchemas", json!({"MaxResults": 0}), "ValidationException"),
        ("GetTable", json!({}), "UnknownOperationException"),
        ("ReleasePendingVersions", json!({}), "UnknownOperationException"),
    ];
    for (operation, request, code) in cases {
        assert_eq!(driver.glue(operation, request.clone()).code(), code, "{operation} {request}");
    }
    assert_eq!(driver.cloud.inspect(Service::Glue)["registries"].as_object().unwrap().len(), 1);
}

#[test]
fn definitions_end_at_170_000_characters() {
    let mut driver = Driver::with_schema(quick(), "NONE");
    for (length, is_taken) in [(170_000, true), (170_001, false)] {
        let padding = "ü".repeat(length - r#"{"title":""}"#.len());
        let answer = driver.glue("RegisterSchemaVersion", register(&json!({"title": padding})));
        assert_eq!(matches!(answer, Answer::Body { status: 200, .. }), is_taken, "{length}");
    }
}

#[test]
fn the_account_has_limits() {
    let mut config = quick();
    (config.glue.registry_limit, config.glue.schema_limit, config.glue.version_limit) = (2, 3, 4);
    let mut driver = Driver::with_schema(config, "NONE");
    driver.glue("CreateRegistry", json!({"RegistryName": "second"})).ok();
    let (code, message) = driver.glue("CreateRegistry", json!({"RegistryName": "third"})).error();
    assert_eq!(code, "ResourceNumberLimitExceededException");
    assert_eq!(message, "More registries cannot be created. The maximum limit has been reached.");
    let mut in_default = create("a", "NONE", &json!({}));
    in_default.as_object_mut().unwrap().remove("RegistryId");
    assert_eq!(driver.glue("CreateSchema", in_default).code(), "ResourceNumberLimitExceededException");
    for name in ["b", "c"] {
        driver.glue("CreateSchema", create(name, "NONE", &json!({}))).ok();
    }
    let more = driver.glue("CreateSchema", create("d", "NONE", &json!({}))).error().1;
    assert_eq!(more, "More schemas cannot be created. The maximum limit has been reached.");
    driver.register(&order(&[], &["a"]));
    let more = driver.glue("RegisterSchemaVersion", register(&order(&[], &["b"]))).error().1;
    assert_eq!(more, "More schema versions cannot be created. The maximum limit has been reached.");
    assert_eq!(driver.register(&order(&[], &["a"])).1, 2, "what is there is no more");
    driver.glue("DeleteSchema", json!({"SchemaId": id("b")})).ok();
    driver.wait(MS * 1_000);
    driver.register(&order(&[], &["b"]));
}
