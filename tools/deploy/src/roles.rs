//! What roles may do: the least, and of the event table hardly anything.

use serde_json::Value;

use crate::{
    Finding, Template,
    template::{one_or_many, refers_to, texts},
};

const CHECK: &str = "least-privilege";
const EVENTS_CHECK: &str = "events-are-never-changed";
const EVENTS_TABLE: &str = "EventsTable";

/// The only role that puts events.
const APPENDING_ROLE: &str = "CommandRole";

/// IAM knows no narrower resource for these.
const WITHOUT_RESOURCE: [&str; 1] = ["ecr:GetAuthorizationToken"];

/// Actions on the event table that read it, as table or as stream.
const READS_OF_EVENTS: [&str; 9] = [
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DescribeStream",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "dynamodb:Query",
];

/// Looks at every statement of every role, and for statements that are elsewhere.
pub(crate) fn findings(template: &Template) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (role, properties) in template.of_type("AWS::IAM::Role") {
        let mut say = |check, message: String| findings.push(Finding::new(check, role, message));
        if properties.get("ManagedPolicyArns").is_some() {
            say(CHECK, "a managed policy grants what nobody here reads; write the statements out".to_owned());
        }
        let statements = statements(properties);
        if statements.is_empty() {
            say(CHECK, "a role without statements is of no use".to_owned());
        }
        for statement in statements {
            let name = statement["Sid"].as_str().unwrap_or("a statement without Sid");
            problems(statement).into_iter().for_each(|problem| say(CHECK, format!("{name}: {problem}")));
            if mentions_events(&statement["Resource"]) {
                let problems = problems_with_events(role, statement);
                problems.into_iter().for_each(|problem| say(EVENTS_CHECK, format!("{name}: {problem}")));
            }
        }
    }
    for kind in ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy"] {
        let elsewhere = template.of_type(kind).into_iter();
        findings.extend(elsewhere.map(|(name, _)| Finding::new(CHECK, name, "statements belong into their role")));
    }
    findings.extend(table_guard(template));
    findings
}

fn statements(role: &Value) -> Vec<&Value> {
    let policies = one_or_many(&role["Policies"]).into_iter();
    policies.flat_map(|policy| one_or_many(&policy["PolicyDocument"]["Statement"])).collect()
}

fn problems(statement: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let actions = texts(&statement["Action"]);
    if statement["Effect"] != "Allow" {
        problems.push("a role only allows".to_owned());
    }
    if actions.is_empty() {
        problems.push("it names no action".to_owned());
    }
    for open in ["NotAction", "NotResource", "NotPrincipal"] {
        if statement.get(open).is_some() {
            problems.push(format!("`{open}` allows what is not listed"));
        }
    }
    let wide = actions.iter().filter(|action| action.contains(['*', '?']));
    problems.extend(wide.map(|action| format!("the action `{action}` is a pattern")));
    let resources = one_or_many(&statement["Resource"]);
    if resources.is_empty() {
        problems.push("it names no resource".to_owned());
    }
    let may_be_open = !actions.is_empty() && actions.iter().all(|action| WITHOUT_RESOURCE.contains(action));
    for resource in resources {
        if !may_be_open && !is_narrow(resource) {
            problems.push(format!("the resource {resource} is not one resource of this template or of its parameters"));
        }
    }
    problems
}

/// A reference; or a text to substitute that begins with one and leaves open at most what follows it.
fn is_narrow(resource: &Value) -> bool {
    match &resource["Fn::Sub"] {
        Value::Null => resource.get("Ref").is_some() || resource.get("Fn::GetAtt").is_some(),
        Value::String(text) => {
            text.starts_with("${")
                && text.split('*').next().is_some_and(|start| start.ends_with('/') || start.len() == text.len())
        }
        _ => false,
    }
}

fn mentions_events(resource: &Value) -> bool {
    refers_to(resource, EVENTS_TABLE) || refers_to(resource, "EventsTableName")
}

fn problems_with_events(role: &str, statement: &Value) -> Vec<String> {
    let only_in_transactions = statement["Condition"]["ForAnyValue:StringEquals"]["dynamodb:EnclosingOperation"]
        == serde_json::json!(["TransactWriteItems"]);
    let mut problems = Vec::new();
    for action in texts(&statement["Action"]) {
        match action {
            "dynamodb:PutItem" if role != APPENDING_ROLE => {
                problems.push("only the command service appends events".to_owned())
            }
            "dynamodb:PutItem" if !only_in_transactions => {
                problems.push(
                    "events are put in transactions only; condition it on dynamodb:EnclosingOperation".to_owned(),
                );
            }
            "dynamodb:PutItem" => {}
            read if READS_OF_EVENTS.contains(&read) => {}
            other => problems.push(format!("`{other}` on the event table is neither an append nor a bounded read")),
        }
    }
    problems
}

/// The table itself refuses, whoever asks.
fn table_guard(template: &Template) -> Vec<Finding> {
    let table = &template.document()["Resources"][EVENTS_TABLE]["Properties"];
    let mut findings = Vec::new();
    let denied: Vec<&str> = one_or_many(&table["ResourcePolicy"]["PolicyDocument"]["Statement"])
        .into_iter()
        .filter(|statement| statement["Effect"] == "Deny" && statement["Principal"] == "*")
        .filter(|statement| statement.get("Condition").is_none())
        .flat_map(|statement| texts(&statement["Action"]))
        .collect();
    for action in nexus_aws::NEVER_ON_EVENTS {
        if !denied.contains(&action) {
            let message = format!("its resource policy does not deny `{action}` to everybody");
            findings.push(Finding::new(EVENTS_CHECK, EVENTS_TABLE, message));
        }
    }
    for (property, wanted) in
        [("/DeletionProtectionEnabled", true), ("/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", true)]
    {
        if table.pointer(property) != Some(&Value::Bool(wanted)) {
            findings.push(Finding::new(EVENTS_CHECK, EVENTS_TABLE, format!("{property} is not {wanted}")));
        }
    }
    findings
}
