//! Alarms: one for each objective of the smoke scenarios, and for everything that could be lost or stuck in silence.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Finding, Template, template::refers_to};

const OBJECTIVES: &str = "an-alarm-per-objective";
const WATCHED: &str = "nothing-fails-unseen";
const ALARM: &str = "AWS::CloudWatch::Alarm";

/// A bound on a percentile of a latency, as a scenario states it and an alarm's `Metadata.Objective` repeats it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    pub latency: String,
    pub phase: String,
    pub percentile: f64,
    pub limit_ms: f64,
}

impl Objective {
    pub(crate) fn sort_key(&self) -> (&str, &str, u64, u64) {
        (&self.latency, &self.phase, self.percentile.to_bits(), self.limit_ms.to_bits())
    }
}

/// Where a latency is measured on real AWS.
struct Measured {
    latency: &'static str,
    namespace: &'static str,
    metric: &'static str,
    /// Of the metric's unit.
    milliseconds: f64,
    /// A dimension's value, or a resource that it refers to.
    dimension: &'static str,
}

const MEASURED: [Measured; 3] = [
    Measured { latency: "routing", namespace: "Nexus", metric: "RoutingLatency", milliseconds: 1.0, dimension: "core" },
    Measured {
        latency: "command",
        namespace: "AWS/ApplicationELB",
        metric: "TargetResponseTime",
        milliseconds: 1_000.0,
        dimension: "CommandTargets",
    },
    Measured {
        latency: "read",
        namespace: "AWS/ApplicationELB",
        metric: "TargetResponseTime",
        milliseconds: 1_000.0,
        dimension: "OrderTargets",
    },
];

#[derive(Deserialize)]
struct Scenario {
    #[serde(default)]
    objectives: Vec<Objective>,
}

/// # Errors
/// The text is no TOML, or an objective is not written as one.
pub(crate) fn objectives_of_scenario(text: &str) -> Result<Vec<Objective>, String> {
    toml::from_str::<Scenario>(text).map(|scenario| scenario.objectives).map_err(|error| error.to_string())
}

/// Each objective has its alarm, and each alarm that claims an objective watches just that.
pub(crate) fn objectives(template: &Template, objectives: &[Objective]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut claimed = Vec::new();
    for (name, resource) in template.resources().filter(|(_, resource)| resource["Type"] == ALARM) {
        let Some(claim) = resource["Metadata"].get("Objective") else { continue };
        match serde_json::from_value::<Objective>(claim.clone()) {
            Err(error) => findings.push(Finding::new(OBJECTIVES, name, format!("its objective is none: {error}"))),
            Ok(objective) => {
                let problems = problems(&objective, &resource["Properties"]);
                findings.extend(problems.into_iter().map(|problem| Finding::new(OBJECTIVES, name, problem)));
                if !objectives.contains(&objective) {
                    let message = format!("no smoke scenario has the objective {claim}");
                    findings.push(Finding::new(OBJECTIVES, name, message));
                }
                claimed.push(objective);
            }
        }
    }
    for objective in objectives.iter().filter(|objective| !claimed.contains(objective)) {
        let Objective { latency, phase, percentile, limit_ms } = objective;
        let message = format!("no alarm watches p{percentile} of `{latency}` below {limit_ms} ms (phase `{phase}`)");
        findings.push(Finding::new(OBJECTIVES, "scenarios/smoke", message));
    }
    findings
}

fn problems(objective: &Objective, alarm: &Value) -> Vec<String> {
    let Some(measured) = MEASURED.iter().find(|measured| measured.latency == objective.latency) else {
        return vec![format!("it is not known where `{}` is measured", objective.latency)];
    };
    let mut problems = Vec::new();
    let mut expect = |property: &str, wanted: Value| {
        if alarm[property] != wanted {
            problems.push(format!("{property} is {} instead of {wanted}", alarm[property]));
        }
    };
    expect("Namespace", json!(measured.namespace));
    expect("MetricName", json!(measured.metric));
    expect("ExtendedStatistic", json!(format!("p{}", objective.percentile)));
    expect("ComparisonOperator", json!("GreaterThanOrEqualToThreshold"));
    let limit_ms = alarm["Threshold"].as_f64().map(|threshold| threshold * measured.milliseconds);
    if limit_ms != Some(objective.limit_ms) {
        problems.push(format!("Threshold is {}, which is not {} ms", alarm["Threshold"], objective.limit_ms));
    }
    if !has_dimension(&alarm["Dimensions"], measured.dimension) {
        problems.push(format!("no dimension says {}", measured.dimension));
    }
    problems
}

fn has_dimension(dimensions: &Value, wanted: &str) -> bool {
    let mut values = dimensions.as_array().into_iter().flatten().map(|dimension| &dimension["Value"]);
    values.any(|value| value == wanted || refers_to(value, wanted))
}

/// Dead letters, functions, the feeds' age, and tables that throttle.
pub(crate) fn watched(template: &Template) -> Vec<Finding> {
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for (queue, properties) in template.of_type("AWS::SQS::Queue") {
        // A queue that gives up to another is watched there.
        if properties.get("RedrivePolicy").is_none() {
            wanted.push((queue, "ApproximateNumberOfMessagesVisible"));
        }
    }
    let feeds: Vec<_> = template
        .of_type("AWS::Lambda::EventSourceMapping")
        .into_iter()
        .filter(|(_, mapping)| mapping.get("StartingPosition").is_some())
        .map(|(_, mapping)| &mapping["FunctionName"])
        .collect();
    for (function, _) in template.of_type("AWS::Lambda::Function") {
        wanted.extend([(function, "Errors"), (function, "Throttles")]);
        if feeds.iter().any(|name| refers_to(name, function)) {
            wanted.push((function, "IteratorAge"));
        }
    }
    for (table, _) in template.of_type("AWS::DynamoDB::Table") {
        wanted.extend([(table, "ReadThrottleEvents"), (table, "WriteThrottleEvents")]);
    }
    let alarms = template.of_type(ALARM);
    let is_watched = |resource: &str, metric: &str| alarms.iter().any(|(_, alarm)| watches(alarm, resource, metric));
    let unwatched = wanted.into_iter().filter(|(resource, metric)| !is_watched(resource, metric));
    unwatched
        .map(|(resource, metric)| Finding::new(WATCHED, resource, format!("no alarm watches its `{metric}`")))
        .collect()
}

/// A plain alarm, or one over several metrics.
fn watches(alarm: &Value, resource: &str, metric: &str) -> bool {
    let is_it =
        |statement: &Value| statement["MetricName"] == metric && has_dimension(&statement["Dimensions"], resource);
    let several = alarm["Metrics"].as_array().into_iter().flatten();
    is_it(alarm) || several.map(|one| &one["MetricStat"]["Metric"]).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_from_scenarios() {
        let text = "description = \"x\"\n[[objectives]]\nlatency = \"routing\"\nphase = \"nominal\"\npercentile = 99.0\nlimit_ms = 500.0";
        let wanted =
            Objective { latency: "routing".to_owned(), phase: "nominal".to_owned(), percentile: 99.0, limit_ms: 500.0 };
        assert_eq!(objectives_of_scenario(text), Ok(vec![wanted]));
        assert_eq!(objectives_of_scenario("description = \"x\""), Ok(vec![]));
        for wrong in ["[[objectives]]\nlatency = \"routing\"", "[[objectives]]\nbound = 1", "["] {
            assert!(objectives_of_scenario(wrong).is_err(), "{wrong}");
        }
    }
}
