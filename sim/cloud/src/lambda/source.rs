//! Event sources, known by their ARNs.

use super::errors::invalid_parameter;
use crate::{interface::Service, service::ServiceError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    DynamodbStream,
    KinesisStream,
    StandardQueue,
    FifoQueue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub kind: SourceKind,
    pub arn: String,
    /// Of the table, stream or queue.
    pub name: String,
    account_id: String,
    region: String,
}

impl Source {
    pub fn from_arn(arn: &str) -> Result<Self, ServiceError> {
        let unrecognized = || invalid_parameter(format!("Unrecognized event source: {arn}"));
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", _, service, region, account_id, resource] = parts[..] else { return Err(unrecognized()) };
        let path: Vec<&str> = resource.split('/').collect();
        let (kind, name) = match (service, path.as_slice()) {
            ("dynamodb", ["table", name, "stream", _]) => (SourceKind::DynamodbStream, *name),
            ("kinesis", ["stream", name]) => (SourceKind::KinesisStream, *name),
            ("kinesis", ["stream", _, "consumer", _]) => {
                return Err(invalid_parameter(
                    "A registered consumer (enhanced fan-out) is no event source here: name the stream itself.",
                ));
            }
            ("sqs", [name]) if name.ends_with(".fifo") => (SourceKind::FifoQueue, *name),
            ("sqs", [name]) => (SourceKind::StandardQueue, *name),
            _ => return Err(unrecognized()),
        };
        Ok(Self {
            kind,
            arn: arn.to_owned(),
            name: name.to_owned(),
            account_id: account_id.to_owned(),
            region: region.to_owned(),
        })
    }

    pub fn is_queue(&self) -> bool {
        matches!(self.kind, SourceKind::StandardQueue | SourceKind::FifoQueue)
    }

    pub fn service(&self) -> Service {
        match self.kind {
            SourceKind::DynamodbStream => Service::DynamodbStreams,
            SourceKind::KinesisStream => Service::Kinesis,
            SourceKind::StandardQueue | SourceKind::FifoQueue => Service::Sqs,
        }
    }

    /// For queues.
    pub fn queue_url(&self) -> String {
        format!("https://sqs.{}.amazonaws.com/{}/{}", self.region, self.account_id, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_known_by_their_arns() {
        for (arn, kind, name) in [
            ("arn:aws:dynamodb:r:1:table/t/stream/2026-01-01T00:00:00.000", SourceKind::DynamodbStream, "t"),
            ("arn:aws:kinesis:r:1:stream/core", SourceKind::KinesisStream, "core"),
            ("arn:aws:sqs:r:1:queue", SourceKind::StandardQueue, "queue"),
            ("arn:aws:sqs:r:1:queue.fifo", SourceKind::FifoQueue, "queue.fifo"),
        ] {
            let source = Source::from_arn(arn).unwrap();
            assert_eq!((source.kind, source.name.as_str()), (kind, name));
        }
        assert_eq!(
            Source::from_arn("arn:aws:sqs:eu-west-1:1:q").unwrap().queue_url(),
            "https://sqs.eu-west-1.amazonaws.com/1/q"
        );
        for arn in [
            "",
            "queue",
            "arn:aws:dynamodb:r:1:table/t",
            "arn:aws:s3:::bucket",
            "arn:aws:kinesis:r:1:stream/s/consumer/c:1",
        ] {
            assert_eq!(Source::from_arn(arn).unwrap_err().code, "InvalidParameterValueException", "{arn}");
        }
    }
}
