//! A mapping's settings: reading, bounds, defaults.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    errors::{invalid_parameter, validation},
    filter::Filters,
    members,
    source::{Source, SourceKind},
};
use crate::{interface::UnixNanos, service::ServiceError};

/// Where reading of a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartingPosition {
    TrimHorizon,
    Latest,
    AtTimestamp(UnixNanos),
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub is_enabled: bool,
    pub batch_size: usize,
    pub window: Duration,
    pub parallelization_factor: u8,
    pub starting_position: StartingPosition,
    /// `None`: until the record expires.
    pub maximum_retry_attempts: Option<u32>,
    /// `None`: until the record expires.
    pub maximum_record_age: Option<Duration>,
    pub bisects: bool,
    pub reports_failures: bool,
    /// ARN of a queue or topic for notices about discarded batches.
    pub failure_destination: Option<String>,
    pub maximum_concurrency: Option<u32>,
    pub filters: Filters,
}

const MAX_BATCH: i64 = 10_000;
const MAX_FIFO_BATCH: usize = 10;
const MAX_RECORD_AGE_SECONDS: i64 = 604_800;
const MIN_RECORD_AGE_SECONDS: i64 = 60;

/// Members for event sources that are not simulated, and for what streams only or queues only have.
const OTHER_SOURCES: [&str; 7] = [
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "SelfManagedEventSource",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
];
const STREAMS_ONLY: [&str; 7] = [
    "ParallelizationFactor",
    "StartingPosition",
    "StartingPositionTimestamp",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
];
const QUEUES_ONLY: [&str; 1] = ["ScalingConfig"];

impl Settings {
    pub fn defaults(source: &Source) -> Self {
        Self {
            is_enabled: true,
            batch_size: if source.is_queue() { 10 } else { 100 },
            window: Duration::ZERO,
            parallelization_factor: 1,
            starting_position: StartingPosition::TrimHorizon,
            maximum_retry_attempts: None,
            maximum_record_age: None,
            bisects: false,
            reports_failures: false,
            failure_destination: None,
            maximum_concurrency: None,
            filters: Filters::default(),
        }
    }

    /// The settings of a new mapping.
    pub fn for_creation(source: &Source, request: &Value) -> Result<Self, ServiceError> {
        let mut settings = Self::defaults(source);
        if !source.is_queue() {
            settings.starting_position = starting_position(source, request)?;
        }
        settings.change(source, request)?;
        Ok(settings)
    }

    /// Takes over what a request names, and checks the whole.
    pub fn change(&mut self, source: &Source, request: &Value) -> Result<(), ServiceError> {
        refuse_unsupported(source, request)?;
        if let Some(is_enabled) = members::boolean(request, "Enabled")? {
            self.is_enabled = is_enabled;
        }
        if let Some(size) = members::integer(request, "BatchSize", 1, MAX_BATCH)? {
            self.batch_size = size as usize;
        }
        if let Some(seconds) = members::integer(request, "MaximumBatchingWindowInSeconds", 0, 300)? {
            self.window = Duration::from_secs(seconds as u64);
        }
        if let Some(factor) = members::integer(request, "ParallelizationFactor", 1, 10)? {
            self.parallelization_factor = factor as u8;
        }
        self.change_failure_handling(request)?;
        if let Some(scaling) = members::object(request, "ScalingConfig")? {
            self.maximum_concurrency =
                members::integer(scaling, "MaximumConcurrency", 2, 1_000)?.map(|limit| limit as u32);
        }
        if let Some(criteria) = members::object(request, "FilterCriteria")? {
            self.filters = Filters::from_criteria(criteria)?;
        }
        self.check(source)
    }

    fn change_failure_handling(&mut self, request: &Value) -> Result<(), ServiceError> {
        if let Some(attempts) = members::integer(request, "MaximumRetryAttempts", -1, 10_000)? {
            self.maximum_retry_attempts = u32::try_from(attempts).ok();
        }
        if let Some(seconds) = members::integer(request, "MaximumRecordAgeInSeconds", -1, MAX_RECORD_AGE_SECONDS)? {
            if (0..MIN_RECORD_AGE_SECONDS).contains(&seconds) {
                return Err(validation(
                    "maximumRecordAgeInSeconds",
                    &format!("'{seconds}'"),
                    "be -1 or have value greater than or equal to 60",
                ));
            }
            self.maximum_record_age = u64::try_from(seconds).ok().map(Duration::from_secs);
        }
        if let Some(bisects) = members::boolean(request, "BisectBatchOnFunctionError")? {
            self.bisects = bisects;
        }
        if let Some(types) = members::array(request, "FunctionResponseTypes")? {
            if let Some(other) = types.iter().find(|kind| *kind != "ReportBatchItemFailures") {
                let constraint = "satisfy enum value set: [ReportBatchItemFailures]";
                return Err(validation("functionResponseTypes", &format!("'{other}'"), constraint));
            }
            self.reports_failures = !types.is_empty();
        }
        if let Some(config) = members::object(request, "DestinationConfig")? {
            self.failure_destination = failure_destination(config)?;
        }
        Ok(())
    }

    fn check(&self, source: &Source) -> Result<(), ServiceError> {
        match source.kind {
            SourceKind::StandardQueue if self.batch_size > 10 && self.window.is_zero() => Err(invalid_parameter(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
            )),
            SourceKind::FifoQueue if self.batch_size > MAX_FIFO_BATCH => {
                Err(invalid_parameter("Batch size must be between 1 and 10 for a FIFO queue."))
            }
            SourceKind::FifoQueue if !self.window.is_zero() => {
                Err(invalid_parameter("Batching window is not supported for FIFO queues."))
            }
            _ => Ok(()),
        }
    }

    /// The members of a mapping's description that come from its settings.
    pub fn describe(&self, source: &Source) -> Value {
        let types: &[&str] = if self.reports_failures { &["ReportBatchItemFailures"] } else { &[] };
        let mut description = json!({
            "BatchSize": self.batch_size,
            "MaximumBatchingWindowInSeconds": self.window.as_secs(),
            "FunctionResponseTypes": types,
        });
        if let Some(criteria) = self.filters.criteria() {
            description["FilterCriteria"] = criteria;
        }
        if source.is_queue() {
            if let Some(limit) = self.maximum_concurrency {
                description["ScalingConfig"] = json!({"MaximumConcurrency": limit});
            }
            return description;
        }
        let on_failure = match &self.failure_destination {
            Some(arn) => json!({"Destination": arn}),
            None => json!({}),
        };
        description["ParallelizationFactor"] = json!(self.parallelization_factor);
        description["DestinationConfig"] = json!({"OnFailure": on_failure});
        description["MaximumRecordAgeInSeconds"] =
            json!(self.maximum_record_age.map_or(-1, |age| age.as_secs() as i64));
        description["MaximumRetryAttempts"] = json!(self.maximum_retry_attempts.map_or(-1, i64::from));
        description["BisectBatchOnFunctionError"] = json!(self.bisects);
        description["TumblingWindowInSeconds"] = json!(0);
        let (position, timestamp) = match self.starting_position {
            StartingPosition::TrimHorizon => ("TRIM_HORIZON", None),
            StartingPosition::Latest => ("LATEST", None),
            StartingPosition::AtTimestamp(at) => ("AT_TIMESTAMP", Some(at.as_millis() as f64 / 1_000.0)),
        };
        description["StartingPosition"] = json!(position);
        if let Some(timestamp) = timestamp {
            description["StartingPositionTimestamp"] = json!(timestamp);
        }
        description
    }
}

fn refuse_unsupported(source: &Source, request: &Value) -> Result<(), ServiceError> {
    let names = |name: &&&str| request.get(**name).is_some_and(|value| !value.is_null());
    let foreign: &[&str] = if source.is_queue() { &STREAMS_ONLY } else { &QUEUES_ONLY };
    if let Some(name) = foreign.iter().chain(&OTHER_SOURCES).find(names) {
        return Err(invalid_parameter(format!("Unsupported parameter for given event source mapping type: {name}")));
    }
    if members::integer(request, "TumblingWindowInSeconds", 0, 900)?.is_some_and(|seconds| seconds > 0) {
        return Err(invalid_parameter("Tumbling windows are not simulated: TumblingWindowInSeconds must be 0."));
    }
    if request.get("ProvisionedPollerConfig").is_some_and(|value| !value.is_null()) {
        return Err(invalid_parameter("Provisioned pollers are not simulated: leave ProvisionedPollerConfig out."));
    }
    Ok(())
}

fn starting_position(source: &Source, request: &Value) -> Result<StartingPosition, ServiceError> {
    let timestamp = members::number(request, "StartingPositionTimestamp")?;
    match members::one_of(request, "StartingPosition", &["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"])? {
        None => Err(validation("startingPosition", "null", "not be null")),
        Some("AT_TIMESTAMP") if source.kind != SourceKind::KinesisStream => {
            Err(invalid_parameter("Unsupported starting position for arn type. Please specify TRIM_HORIZON or LATEST."))
        }
        Some("AT_TIMESTAMP") => {
            let seconds = timestamp.ok_or_else(|| {
                invalid_parameter("StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP")
            })?;
            Ok(StartingPosition::AtTimestamp(UnixNanos((seconds.max(0.0) * 1_000.0) as u64 * 1_000_000)))
        }
        Some(_) if timestamp.is_some() => {
            Err(invalid_parameter("StartingPositionTimestamp is only valid when StartingPosition is AT_TIMESTAMP"))
        }
        Some("LATEST") => Ok(StartingPosition::Latest),
        Some(_) => Ok(StartingPosition::TrimHorizon),
    }
}

fn failure_destination(config: &Value) -> Result<Option<String>, ServiceError> {
    let Some(on_failure) = members::object(config, "OnFailure")? else { return Ok(None) };
    let Some(arn) = members::string(on_failure, "Destination")? else { return Ok(None) };
    let is_known = [":sqs:", ":sns:"].iter().any(|service| arn.contains(service)) && arn.starts_with("arn:");
    if arn.ends_with(".fifo") || !is_known {
        return Err(invalid_parameter(format!(
            "The destination ARN {arn} is invalid: a standard queue or a standard topic is wanted."
        )));
    }
    Ok(Some(arn.to_owned()))
}
