//! The bus on AWS: the ports of feeds, streams, topics and queues on the SDKs of DynamoDB Streams, Kinesis, SNS and SQS.
//!
//! Where to start: [`DynamoStreamFeed`] and [`KinesisFeed`] are the sharded feeds that workers read; [`KinesisStream`],
//! [`SnsTopic`] and [`SqsQueue`] are where messages go. Each is one SDK client made of
//! [`ClientParts`](nexus_aws::ClientParts) and makes one attempt per call: whoever calls owns the attempts.
//! [`provision_bus`] makes what they lead to, [`find_topic`] and [`find_queue`] look addresses up by name; these, which no
//! service drives, own their attempts themselves.
//!
//! Every service has an endpoint of its own. Where the region's public ones are not meant, each constructor is given an
//! [`AwsConfig`](nexus_aws::AwsConfig) that names the endpoint of its service.
#![forbid(unsafe_code)]

mod attempts;
mod entries;
mod feeds;
mod images;
mod kinesis_feed;
mod kinesis_stream;
mod lookup;
mod provision;
mod sns;
mod sqs;
mod table_stream;

pub use kinesis_feed::KinesisFeed;
pub use kinesis_stream::KinesisStream;
pub use lookup::{find_queue, find_topic};
pub use provision::{
    BusDefinition, BusEndpoints, BusNames, BusPart, BusProvisionError, ProvisionedPart, provision_bus,
};
pub use sns::SnsTopic;
pub use sqs::SqsQueue;
pub use table_stream::DynamoStreamFeed;
