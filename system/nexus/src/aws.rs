//! The real AWS: credentials from the environment, and an endpoint for each service.

use nexus_aws::AwsConfig;
use nexus_aws_bus::{BusEndpoints, SqsQueue, find_queue, find_topic};
use nexus_ports::Platform;

use crate::{
    arguments::{AwsArguments, QueueAddress, TopicAddress},
    credentials,
    failure::Failure,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Dynamodb,
    DynamodbStreams,
    Glue,
    Kinesis,
    Sns,
    Sqs,
}

/// How AWS is reached from this process.
pub(crate) struct Aws {
    config: AwsConfig,
    arguments: AwsArguments,
}

impl Aws {
    /// # Errors
    /// There are no credentials, or they cannot be used.
    pub(crate) fn new(arguments: &AwsArguments) -> Result<Self, Failure> {
        let credentials = credentials::from_environment()?;
        Ok(Self { config: AwsConfig::new(&arguments.region, credentials), arguments: arguments.clone() })
    }

    /// The config of one service: its own endpoint goes before the common one, and that before the region's.
    pub(crate) fn config(&self, service: Service) -> AwsConfig {
        let own = match service {
            Service::Dynamodb => &self.arguments.dynamodb_endpoint_url,
            Service::DynamodbStreams => &self.arguments.dynamodb_streams_endpoint_url,
            Service::Glue => &self.arguments.glue_endpoint_url,
            Service::Kinesis => &self.arguments.kinesis_endpoint_url,
            Service::Sns => &self.arguments.sns_endpoint_url,
            Service::Sqs => &self.arguments.sqs_endpoint_url,
        };
        match own.as_ref().or(self.arguments.endpoint_url.as_ref()) {
            Some(endpoint_url) => self.config.clone().with_endpoint_url(endpoint_url),
            None => self.config.clone(),
        }
    }

    pub(crate) fn bus_endpoints(&self) -> BusEndpoints {
        BusEndpoints {
            kinesis: self.config(Service::Kinesis),
            sns: self.config(Service::Sns),
            sqs: self.config(Service::Sqs),
        }
    }

    /// # Errors
    /// A topic given by name is not there, or SNS does not say where.
    pub(crate) async fn topic_arn(&self, platform: &Platform, topic: &TopicAddress) -> Result<String, Failure> {
        let name = match topic {
            TopicAddress::Arn(arn) => return Ok(arn.clone()),
            TopicAddress::Name(name) => name,
        };
        let found = find_topic(platform, &self.config(Service::Sns), name).await;
        let found = found.map_err(|failure| Failure::Lookup { what: format!("topic `{name}`"), failure })?;
        found.ok_or_else(|| self.missing(format!("topic `{name}`")))
    }

    /// # Errors
    /// A queue given by name is not there, or SQS does not say where.
    pub(crate) async fn queue(&self, platform: &Platform, queue: &QueueAddress) -> Result<SqsQueue, Failure> {
        let config = self.config(Service::Sqs);
        let url = match queue {
            QueueAddress::Url(url) => url.clone(),
            QueueAddress::Name(name) => {
                let what = format!("queue `{name}`");
                let found = find_queue(platform, &config, name).await;
                let found = found.map_err(|failure| Failure::Lookup { what: what.clone(), failure })?;
                found.ok_or_else(|| self.missing(what))?
            }
        };
        Ok(SqsQueue::new(platform, &config, url))
    }

    pub(crate) fn missing(&self, what: String) -> Failure {
        Failure::Missing { what, region: self.arguments.region.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_s_own_endpoint_goes_before_the_common_one() {
        let url = |name: &str| Some(format!("http://{name}"));
        let mut arguments = AwsArguments {
            region: "eu-central-1".to_owned(),
            endpoint_url: url("common"),
            dynamodb_endpoint_url: url("dynamodb"),
            dynamodb_streams_endpoint_url: url("streams"),
            glue_endpoint_url: url("glue"),
            kinesis_endpoint_url: url("kinesis"),
            sns_endpoint_url: url("sns"),
            sqs_endpoint_url: None,
        };
        let aws = |arguments: &AwsArguments| Aws {
            config: AwsConfig::new(&arguments.region, nexus_aws::static_credentials("AKID", "secret", None)),
            arguments: arguments.clone(),
        };
        let with_common = aws(&arguments);
        for (service, wanted) in [
            (Service::Dynamodb, "dynamodb"),
            (Service::DynamodbStreams, "streams"),
            (Service::Glue, "glue"),
            (Service::Kinesis, "kinesis"),
            (Service::Sns, "sns"),
            (Service::Sqs, "common"),
        ] {
            assert_eq!(with_common.config(service).endpoint_url, url(wanted), "{service:?}");
        }
        let endpoints = with_common.bus_endpoints();
        assert_eq!(endpoints.kinesis.endpoint_url, url("kinesis"));
        assert_eq!(endpoints.sns.endpoint_url, url("sns"));
        assert_eq!(endpoints.sqs.endpoint_url, url("common"));
        arguments.endpoint_url = None;
        assert_eq!(aws(&arguments).config(Service::Sqs).endpoint_url, None, "the region's own");
        assert_eq!(aws(&arguments).config(Service::Sqs).region, "eu-central-1");
    }
}
