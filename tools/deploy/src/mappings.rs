//! Functions and their event source mappings.

use serde_json::{Value, json};

use crate::{
    Finding, Template,
    template::{refers_to, texts},
};

const CHECK: &str = "mappings";
/// More, or -1, would be without a bound.
const RETRIES_MAX: u64 = 10_000;
/// The feeds keep a record for a day.
const RECORD_AGE_MAX_SECONDS: u64 = 86_400;
/// What `nexus lambda` knows.
const HANDLERS: [&str; 3] = ["event-router", "projection", "notifications"];

pub(crate) fn findings(template: &Template) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mappings = template.of_type("AWS::Lambda::EventSourceMapping");
    for (function, properties) in template.of_type("AWS::Lambda::Function") {
        let mut say = |message: String| findings.push(Finding::new(CHECK, function, message));
        if !properties["Handler"].as_str().is_some_and(|handler| HANDLERS.contains(&handler)) {
            say(format!("`nexus lambda` knows no function {}", properties["Handler"]));
        }
        if properties["Runtime"] != "provided.al2023" {
            say(format!("the program is a custom runtime, not {}", properties["Runtime"]));
        }
        if !mappings.iter().any(|(_, mapping)| refers_to(&mapping["FunctionName"], function)) {
            say("no mapping feeds it".to_owned());
        }
    }
    for (mapping, properties) in mappings {
        let problems = problems(template, properties);
        findings.extend(problems.into_iter().map(|problem| Finding::new(CHECK, mapping, problem)));
    }
    findings
}

fn problems(template: &Template, mapping: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if !texts(&mapping["FunctionResponseTypes"]).contains(&"ReportBatchItemFailures") {
        problems.push("without ReportBatchItemFailures, what was done is done again with what was not".to_owned());
    }
    match queue_of(template, mapping) {
        Some((queue, properties)) => problems.extend(problems_of_queue(template, mapping, queue, properties)),
        None => problems.extend(problems_of_feed(mapping)),
    }
    problems
}

fn queue_of<'t>(template: &'t Template, mapping: &Value) -> Option<(&'t str, &'t Value)> {
    let mut queues = template.of_type("AWS::SQS::Queue").into_iter();
    queues.find(|(queue, _)| refers_to(&mapping["EventSourceArn"], queue))
}

/// While an invocation may still work on a message, nobody else may see it.
fn problems_of_queue(template: &Template, mapping: &Value, queue: &str, properties: &Value) -> Vec<String> {
    let functions = template.of_type("AWS::Lambda::Function").into_iter();
    let timeouts = functions.filter(|(function, _)| refers_to(&mapping["FunctionName"], function));
    let visibility = properties["VisibilityTimeout"].as_u64();
    timeouts
        .filter(|(_, function)| function["Timeout"].as_u64() >= visibility)
        .map(|(function, _)| format!("{function} may take as long as {queue} hides a message, or longer"))
        .collect()
}

fn problems_of_feed(mapping: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if mapping["BisectBatchOnFunctionError"] != json!(true) {
        problems.push("a batch that fails as a whole is not split".to_owned());
    }
    if mapping["StartingPosition"] != "TRIM_HORIZON" {
        problems.push("events committed before the mapping would be skipped".to_owned());
    }
    for (bound, most) in [("MaximumRetryAttempts", RETRIES_MAX), ("MaximumRecordAgeInSeconds", RECORD_AGE_MAX_SECONDS)]
    {
        if !mapping[bound].as_u64().is_some_and(|value| (1..=most).contains(&value)) {
            problems.push(format!("{bound} is not a number from 1 to {most}"));
        }
    }
    if !mapping["DestinationConfig"]["OnFailure"]["Destination"].is_object() {
        problems.push("nobody is told of records that it gave up on".to_owned());
    }
    problems
}
