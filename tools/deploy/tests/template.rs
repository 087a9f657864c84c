//! The committed templates hold, and every way of breaking them is found.
#![forbid(unsafe_code)]

use std::{collections::BTreeSet, fs, path::Path};

use nexus_deploy_tool::{Finding, Folders, Objective, Template, findings_in, validate};
use serde_json::{Value, json};

fn folders() -> Folders {
    Folders::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
}

fn objectives() -> Vec<Objective> {
    folders().smoke_objectives().unwrap()
}

#[test]
fn the_committed_templates_hold() {
    let findings = validate(&folders()).unwrap();
    assert!(findings.is_empty(), "{}", findings.iter().map(|finding| format!("{finding}\n")).collect::<String>());
}

/// Sets what the pointer names; a null takes it away.
fn changed(pointer: &str, value: Value) -> Vec<Finding> {
    let mut document = folders().template().unwrap().document().clone();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("the template has no {parent}"));
    match (parent, value) {
        (Value::Object(members), Value::Null) => assert!(members.remove(last).is_some(), "there is no {pointer}"),
        (Value::Object(members), value) => drop(members.insert(last.to_owned(), value)),
        (Value::Array(elements), value) => elements[last.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer} leads nowhere"),
    }
    findings_in(&Template::from_document(document).unwrap(), &objectives())
}

#[test]
fn whatever_is_broken_is_found() {
    let absent = Value::Null;
    let statement = |role: &str, index: u32, member: &str| {
        format!("/Resources/{role}/Properties/Policies/0/PolicyDocument/Statement/{index}/{member}")
    };
    let table: Vec<(String, Value, &str)> = vec![
        // Tables.
        ("/Parameters/ViewsTableName/Default".into(), json!("views"), "tables-as-provisioned"),
        ("/Resources/OutboxTable".into(), absent.clone(), "tables-as-provisioned"),
        (
            "/Resources/EventsTable/Properties/KeySchema/1/AttributeName".into(),
            json!("version"),
            "tables-as-provisioned",
        ),
        (
            "/Resources/EventsTable/Properties/AttributeDefinitions/1/AttributeType".into(),
            json!("S"),
            "tables-as-provisioned",
        ),
        (
            "/Resources/EventsTable/Properties/StreamSpecification/StreamViewType".into(),
            json!("KEYS_ONLY"),
            "tables-as-provisioned",
        ),
        ("/Resources/ViewsTable/Properties/BillingMode".into(), json!("PROVISIONED"), "tables-as-provisioned"),
        (
            "/Resources/IdempotencyTable/Properties/TimeToLiveSpecification".into(),
            json!({"AttributeName": "expires", "Enabled": true}),
            "tables-as-provisioned",
        ),
        // Bus.
        ("/Parameters/CoreStreamName/Default".into(), json!("core"), "bus-as-provisioned"),
        (
            "/Resources/CoreStream/Properties/StreamModeDetails/StreamMode".into(),
            json!("PROVISIONED"),
            "bus-as-provisioned",
        ),
        ("/Resources/CoreStream/Properties/ShardCount".into(), json!(2), "bus-as-provisioned"),
        ("/Resources/BackgroundTopic/Properties/FifoTopic".into(), json!(true), "bus-as-provisioned"),
        ("/Resources/NotificationQueue/Properties/VisibilityTimeout".into(), json!(60), "bus-as-provisioned"),
        (
            "/Resources/NotificationQueue/Properties/RedrivePolicy/maxReceiveCount".into(),
            json!(4),
            "bus-as-provisioned",
        ),
        (
            "/Resources/NotificationQueue/Properties/RedrivePolicy/deadLetterTargetArn".into(),
            json!({"Fn::GetAtt": ["RouterDeadLetters", "Arn"]}),
            "bus-as-provisioned",
        ),
        (
            "/Resources/NotificationDeadLetters/Properties/MessageRetentionPeriod".into(),
            json!(345_600),
            "bus-as-provisioned",
        ),
        ("/Resources/RouterDeadLetters/Properties/MessageRetentionPeriod".into(), absent.clone(), "bus-as-provisioned"),
        (
            "/Resources/NotificationSubscription/Properties/RawMessageDelivery".into(),
            json!(false),
            "bus-as-provisioned",
        ),
        (
            "/Resources/NotificationSubscription/Properties/FilterPolicy".into(),
            json!({"a": ["b"]}),
            "bus-as-provisioned",
        ),
        ("/Resources/NotificationSubscription/Properties/RedrivePolicy".into(), absent.clone(), "bus-as-provisioned"),
        ("/Resources/NotificationSubscription".into(), absent.clone(), "bus-as-provisioned"),
        ("/Resources/NotificationQueuePolicy".into(), absent.clone(), "bus-as-provisioned"),
        ("/Resources/SubscriptionDeadLettersPolicy".into(), absent.clone(), "bus-as-provisioned"),
        ("/Resources/Extra".into(), json!({"Type": "AWS::SQS::Queue", "Properties": {}}), "bus-as-provisioned"),
        // Roles.
        (statement("RouterRole", 2, "Action"), json!(["dynamodb:*"]), "least-privilege"),
        (statement("RouterRole", 2, "Resource"), json!("*"), "least-privilege"),
        (statement("RouterRole", 2, "Resource"), json!({"Fn::Sub": "arn:aws:dynamodb:*:*:table/*"}), "least-privilege"),
        (statement("RouterRole", 2, "NotAction"), json!(["sqs:SendMessage"]), "least-privilege"),
        (
            statement("ExecutionRole", 0, "Action"),
            json!(["ecr:GetAuthorizationToken", "s3:GetObject"]),
            "least-privilege",
        ),
        ("/Resources/CommandRole/Properties/ManagedPolicyArns".into(), json!(["arn"]), "least-privilege"),
        ("/Resources/CommandRole/Properties/Policies".into(), absent.clone(), "least-privilege"),
        ("/Resources/Extra".into(), json!({"Type": "AWS::IAM::Policy", "Properties": {}}), "least-privilege"),
        (statement("CommandRole", 0, "Condition"), absent.clone(), "events-are-never-changed"),
        (statement("CommandRole", 1, "Action"), json!(["dynamodb:UpdateItem"]), "events-are-never-changed"),
        (statement("CommandRole", 1, "Action"), json!(["dynamodb:DeleteItem"]), "events-are-never-changed"),
        (statement("RouterRole", 2, "Action"), json!(["dynamodb:PutItem"]), "events-are-never-changed"),
        (statement("RouterRole", 2, "Action"), json!(["dynamodb:Scan"]), "events-are-never-changed"),
        ("/Resources/EventsTable/Properties/ResourcePolicy".into(), absent.clone(), "events-are-never-changed"),
        (
            "/Resources/EventsTable/Properties/DeletionProtectionEnabled".into(),
            absent.clone(),
            "events-are-never-changed",
        ),
        // Functions and mappings.
        ("/Resources/RouterFunction/Properties/Handler".into(), json!("router"), "mappings"),
        ("/Resources/RouterFunction/Properties/Runtime".into(), json!("python3.14"), "mappings"),
        ("/Resources/RouterMapping".into(), absent.clone(), "mappings"),
        ("/Resources/RouterMapping/Properties/FunctionResponseTypes".into(), absent.clone(), "mappings"),
        ("/Resources/RouterMapping/Properties/BisectBatchOnFunctionError".into(), json!(false), "mappings"),
        ("/Resources/RouterMapping/Properties/MaximumRetryAttempts".into(), json!(-1), "mappings"),
        ("/Resources/RouterMapping/Properties/MaximumRecordAgeInSeconds".into(), absent.clone(), "mappings"),
        ("/Resources/RouterMapping/Properties/StartingPosition".into(), json!("LATEST"), "mappings"),
        ("/Resources/ProjectionMapping/Properties/DestinationConfig".into(), absent.clone(), "mappings"),
        ("/Resources/NotificationMapping/Properties/FunctionResponseTypes".into(), json!([]), "mappings"),
        ("/Resources/NotificationFunction/Properties/Timeout".into(), json!(30), "mappings"),
        // Alarms.
        ("/Resources/RoutingLatencyAlarm".into(), absent.clone(), "an-alarm-per-objective"),
        ("/Resources/CommandLatencyAlarm/Properties/Threshold".into(), json!(5), "an-alarm-per-objective"),
        ("/Resources/CommandLatencyAlarm/Properties/ExtendedStatistic".into(), json!("p90"), "an-alarm-per-objective"),
        ("/Resources/RoutingLatencyAlarm/Properties/MetricName".into(), json!("Latency"), "an-alarm-per-objective"),
        (
            "/Resources/RoutingLatencyAlarm/Properties/Dimensions/1/Value".into(),
            json!("background"),
            "an-alarm-per-objective",
        ),
        ("/Resources/ReadLatencyAlarm/Metadata/Objective/limit_ms".into(), json!(300), "an-alarm-per-objective"),
        ("/Resources/ReadLatencyAlarm/Metadata/Objective/latency".into(), json!("wait"), "an-alarm-per-objective"),
        ("/Resources/ReadLatencyAlarm/Metadata/Objective/bound".into(), json!(1), "an-alarm-per-objective"),
        ("/Resources/RouterDeadLettersAlarm".into(), absent.clone(), "nothing-fails-unseen"),
        ("/Resources/ProjectionErrorsAlarm".into(), absent.clone(), "nothing-fails-unseen"),
        ("/Resources/NotificationThrottlesAlarm".into(), absent.clone(), "nothing-fails-unseen"),
        ("/Resources/ProjectionIteratorAgeAlarm".into(), absent.clone(), "nothing-fails-unseen"),
        ("/Resources/TableWriteThrottlesAlarm/Properties/Metrics/1".into(), json!({}), "nothing-fails-unseen"),
    ];
    for (pointer, value, check) in table {
        let findings = changed(&pointer, value.clone());
        let checks: BTreeSet<&str> = findings.iter().map(|finding| finding.check).collect();
        assert!(checks.contains(check), "{pointer} = {value}: {findings:?}");
    }
}

#[test]
fn an_objective_without_alarm_is_named() {
    let template = folders().template().unwrap();
    let mut wanted = objectives();
    wanted.push(Objective { latency: "background".into(), phase: "nominal".into(), percentile: 99.0, limit_ms: 900.0 });
    let findings = findings_in(&template, &wanted);
    insta::assert_snapshot!(findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

/// Programs read their settings from variables; a misspelt one would silently leave the default.
#[test]
fn every_variable_is_one_that_nexus_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../system/nexus/src/arguments");
    let known: String =
        fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    let template = folders().template().unwrap();
    let mut seen = BTreeSet::new();
    for resource in template.document()["Resources"].as_object().unwrap().values() {
        let properties = &resource["Properties"];
        seen.extend(
            properties["Environment"]["Variables"].as_object().into_iter().flatten().map(|(name, _)| name.clone()),
        );
        let containers = properties["ContainerDefinitions"].as_array().into_iter().flatten();
        let variables = containers.flat_map(|container| container["Environment"].as_array().into_iter().flatten());
        seen.extend(variables.map(|variable| variable["Name"].as_str().unwrap().to_owned()));
    }
    assert!(seen.len() >= 8, "{seen:?}");
    for name in seen {
        assert!(known.contains(&format!("env = \"{name}\"")), "`nexus` reads no variable {name}");
    }
}

#[test]
fn the_dashboard_is_json_about_things_of_the_template() {
    let template = folders().template().unwrap();
    let resources = &template.document()["Resources"];
    let body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    assert!(!widgets.is_empty());
    for widget in widgets {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            let words: Vec<&str> = metric.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
            assert!(
                words.len() >= 4 && words.len().is_multiple_of(2),
                "{metric} is namespace, name and pairs of dimensions"
            );
            for name in words.iter().filter_map(|word| word.strip_prefix("${")?.strip_suffix('}')) {
                let resource = name.split('.').next().unwrap();
                assert!(resources[resource].is_object(), "the dashboard shows {resource}, which is not there");
            }
        }
    }
}

#[test]
fn templates_are_written_as_they_were_checked() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("synth");
    let written = folders().write_templates(&out).unwrap();
    for (written, committed) in written.iter().zip(folders().templates()) {
        assert_eq!(fs::read_to_string(written).unwrap(), fs::read_to_string(committed).unwrap());
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let nowhere = Folders::new("/nowhere");
    assert_eq!(nowhere.template().unwrap_err().to_string(), "cannot read /nowhere/system/deploy/template.yaml");
    assert_eq!(nowhere.smoke_objectives().unwrap_err().to_string(), "cannot list /nowhere/scenarios/smoke");
    assert_eq!(nowhere.committed_schemas().unwrap(), "");
}
