//! What the programs behind the event table want to know.

use std::time::Duration;

use clap::Args;
use nexus_aws_bus::{BusDefinition, BusNames};
use nexus_stream_worker::StreamWorkerSettings;

use super::{
    addresses::{QueueAddress, TopicAddress, queue_address, queue_name, stream_name, topic_address, topic_name},
    aws::{AwsArguments, RegistryArguments, TableArguments},
};

/// What the router is connected with, however it is hosted.
#[derive(Clone, Debug, Args)]
pub(crate) struct RouterEnds {
    /// Kinesis stream that core events go to
    #[arg(long, env = "NEXUS_CORE_STREAM", value_name = "NAME", default_value_t = BusNames::default().core_stream, value_parser = stream_name)]
    pub(crate) core_stream: String,
    /// SNS topic that all other events go to
    ///
    /// A name is looked up in the list of topics, which needs leave for sns:ListTopics; an ARN is not.
    #[arg(long, env = "NEXUS_BACKGROUND_TOPIC", value_name = "NAME|ARN", default_value = "nexus-background", value_parser = topic_address)]
    pub(crate) background_topic: TopicAddress,
    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
    #[command(flatten)]
    pub(crate) tables: TableArguments,
    #[command(flatten)]
    pub(crate) aws: AwsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct EventRouterArguments {
    #[command(flatten)]
    pub(crate) worker: WorkerArguments,
    #[command(flatten)]
    pub(crate) ends: RouterEnds,
}

/// What the projection is connected with, however it is hosted.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProjectionEnds {
    /// Kinesis stream of core events
    #[arg(long, env = "NEXUS_CORE_STREAM", value_name = "NAME", default_value_t = BusNames::default().core_stream, value_parser = stream_name)]
    pub(crate) core_stream: String,
    #[command(flatten)]
    pub(crate) tables: TableArguments,
    #[command(flatten)]
    pub(crate) aws: AwsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ProjectionArguments {
    #[command(flatten)]
    pub(crate) worker: WorkerArguments,
    #[command(flatten)]
    pub(crate) ends: ProjectionEnds,
}

/// How a worker shares a feed with the others of its kind.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WorkerArguments {
    /// How long a lease lives that its holder does not renew: the delay that a lost worker costs
    ///
    /// All workers of a kind must be given the same.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=600))]
    lease_seconds: u32,
    /// Shards that this process reads at most
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    shards_max: u32,
}

impl WorkerArguments {
    /// Three renewals fit into a lease, and its holder stops a tenth of it earlier than others may take it.
    pub(crate) fn apply(self, settings: StreamWorkerSettings) -> StreamWorkerSettings {
        let lease_duration = Duration::from_secs(self.lease_seconds.into());
        StreamWorkerSettings {
            lease_duration,
            renew_every: lease_duration / 3,
            lease_margin: lease_duration / 10,
            shards_max: usize::try_from(self.shards_max).unwrap_or(usize::MAX),
            ..settings
        }
    }
}

/// What the notification service is connected with, however it is hosted.
#[derive(Clone, Debug, Args)]
pub(crate) struct NotifierEnds {
    /// SQS queue of notifications
    ///
    /// A name is looked up, which needs leave for sqs:GetQueueUrl; a URL is not.
    #[arg(long, env = "NEXUS_NOTIFICATION_QUEUE", value_name = "NAME|URL", default_value = "nexus-notifications", value_parser = queue_address)]
    pub(crate) notification_queue: QueueAddress,
    /// How long a received message stays hidden from others while it is worked on
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..=43_200))]
    pub(crate) visibility_seconds: u32,
    #[command(flatten)]
    pub(crate) tables: TableArguments,
    #[command(flatten)]
    pub(crate) aws: AwsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct NotifierArguments {
    /// Batches of up to ten messages worked on side by side
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) batches_at_once: u32,
    #[command(flatten)]
    pub(crate) ends: NotifierEnds,
}

#[derive(Debug, Args)]
pub(crate) struct DlqProcessorArguments {
    /// SQS queue of dead letters
    #[arg(long, env = "NEXUS_NOTIFICATION_DEAD_LETTERS", value_name = "NAME|URL", default_value = "nexus-notifications-dlq", value_parser = queue_address)]
    pub(crate) notification_dead_letters: QueueAddress,
    /// SQS queue of what the topic could not deliver to the queue of notifications
    #[arg(long, env = "NEXUS_BACKGROUND_DEAD_LETTERS", value_name = "NAME|URL", default_value = "nexus-background-dlq", value_parser = queue_address)]
    pub(crate) background_dead_letters: QueueAddress,
    /// SQS queue that they came from and are sent back to
    #[arg(long, env = "NEXUS_NOTIFICATION_QUEUE", value_name = "NAME|URL", default_value = "nexus-notifications", value_parser = queue_address)]
    pub(crate) notification_queue: QueueAddress,
    /// A letter that was redriven so often is quarantined
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) redrives_max: u32,
    /// Letters sent back per second at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) redrives_per_second: u32,
    /// Pause between runs
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) run_every_seconds: u32,
    /// How long the dead-letter queue keeps a message, so that none expires unseen
    #[arg(long, value_name = "SECONDS", default_value_t = BusDefinition::default().dead_letter_retention_seconds, value_parser = clap::value_parser!(u32).range(60..=1_209_600))]
    pub(crate) dead_letter_retention_seconds: u32,
    /// How long after its last replay a poisoned aggregate is tried again
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub(crate) poison_retry_seconds: u32,
    #[command(flatten)]
    pub(crate) router: RouterEnds,
}

#[derive(Debug, Args)]
pub(crate) struct ProvisionArguments {
    /// Kinesis stream of core events
    #[arg(long, env = "NEXUS_CORE_STREAM", value_name = "NAME", default_value_t = BusNames::default().core_stream, value_parser = stream_name)]
    core_stream: String,
    /// Shards of that stream; without it the stream is on-demand and scales by itself
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    core_shards: Option<u32>,
    /// SNS topic of all other events
    #[arg(long, env = "NEXUS_BACKGROUND_TOPIC", value_name = "NAME", default_value_t = BusNames::default().background_topic, value_parser = topic_name)]
    background_topic: String,
    /// SQS queue of notifications
    #[arg(long, env = "NEXUS_NOTIFICATION_QUEUE", value_name = "NAME", default_value_t = BusNames::default().notification_queue, value_parser = queue_name)]
    notification_queue: String,
    /// SQS queue for what was received five times in vain, kept for 14 days
    #[arg(long, env = "NEXUS_NOTIFICATION_DEAD_LETTERS", value_name = "NAME", default_value_t = BusNames::default().notification_dead_letters, value_parser = queue_name)]
    notification_dead_letters: String,
    /// SQS queue for what the topic could not deliver to the queue of notifications, kept for 14 days
    #[arg(long, env = "NEXUS_BACKGROUND_DEAD_LETTERS", value_name = "NAME", default_value_t = BusNames::default().background_dead_letters, value_parser = queue_name)]
    background_dead_letters: String,
    /// How long the queue of notifications hides a received message where the receiver asks for no other time
    ///
    /// Lambda does not ask, and wants at least the time-out of the function; six times as much is advised.
    #[arg(long, value_name = "SECONDS", default_value_t = BusDefinition::default().visibility_seconds, value_parser = clap::value_parser!(u32).range(1..=43_200))]
    visibility_seconds: u32,
    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
    #[command(flatten)]
    pub(crate) tables: TableArguments,
    #[command(flatten)]
    pub(crate) aws: AwsArguments,
}

impl ProvisionArguments {
    pub(crate) fn definition(&self) -> BusDefinition {
        BusDefinition {
            names: BusNames {
                core_stream: self.core_stream.clone(),
                background_topic: self.background_topic.clone(),
                notification_queue: self.notification_queue.clone(),
                notification_dead_letters: self.notification_dead_letters.clone(),
                background_dead_letters: self.background_dead_letters.clone(),
            },
            core_shards: self.core_shards,
            visibility_seconds: self.visibility_seconds,
            ..BusDefinition::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Subcommand};

    fn parsed(arguments: &[&str]) -> Subcommand {
        Arguments::try_parse_from(std::iter::once(&"nexus").chain(arguments)).unwrap().subcommand
    }

    #[test]
    fn a_lease_is_renewed_three_times_and_given_up_early() {
        let Subcommand::EventRouter(arguments) =
            parsed(&["event-router", "--lease-seconds", "30", "--shards-max", "7"])
        else {
            panic!("another program")
        };
        let settings = arguments.worker.apply(StreamWorkerSettings::for_table_stream("router", "worker-1"));
        assert_eq!(settings.lease_duration, Duration::from_secs(30));
        assert_eq!(settings.renew_every, Duration::from_secs(10));
        assert_eq!(settings.lease_margin, Duration::from_secs(3));
        assert_eq!(settings.shards_max, 7);
        assert_eq!((settings.group.as_str(), settings.worker_id.as_str()), ("router", "worker-1"));
    }

    #[test]
    fn the_bus_is_defined_by_the_arguments() {
        let Subcommand::Provision(arguments) = parsed(&["provision"]) else { panic!("another program") };
        assert_eq!(arguments.definition(), BusDefinition::default());
        let Subcommand::Provision(arguments) = parsed(&[
            "provision",
            "--core-stream=s",
            "--core-shards=2",
            "--background-topic=t",
            "--notification-queue=q",
            "--notification-dead-letters=d",
            "--background-dead-letters=b",
            "--visibility-seconds=60",
        ]) else {
            panic!("another program")
        };
        let names = BusNames {
            core_stream: "s".to_owned(),
            background_topic: "t".to_owned(),
            notification_queue: "q".to_owned(),
            notification_dead_letters: "d".to_owned(),
            background_dead_letters: "b".to_owned(),
        };
        let wanted = BusDefinition { names, core_shards: Some(2), visibility_seconds: 60, ..BusDefinition::default() };
        assert_eq!(arguments.definition(), wanted);
    }

    #[test]
    fn a_registry_is_named_or_there_is_none() {
        let Subcommand::EventRouter(router) = parsed(&["event-router"]) else { panic!("another program") };
        assert_eq!(router.ends.registry.schema_registry, None);
        for program in ["event-router", "command-service", "dlq-processor", "provision"] {
            let registry = match parsed(&[program, "--schema-registry", "nexus"]) {
                Subcommand::EventRouter(arguments) => arguments.ends.registry,
                Subcommand::CommandService(arguments) => arguments.registry,
                Subcommand::DlqProcessor(arguments) => arguments.router.registry,
                Subcommand::Provision(arguments) => arguments.registry,
                _ => panic!("another program"),
            };
            assert_eq!(registry.schema_registry.as_deref(), Some("nexus"), "{program}");
        }
    }

    /// Programs find what `nexus provision` makes, without a word.
    #[test]
    fn all_defaults_name_the_same_bus() {
        let names = BusNames::default();
        let Subcommand::DlqProcessor(dlq) = parsed(&["dlq-processor"]) else { panic!("another program") };
        assert_eq!(dlq.notification_queue, QueueAddress::Name(names.notification_queue.clone()));
        assert_eq!(dlq.notification_dead_letters, QueueAddress::Name(names.notification_dead_letters));
        assert_eq!(dlq.background_dead_letters, QueueAddress::Name(names.background_dead_letters));
        assert_eq!(dlq.router.background_topic, TopicAddress::Name(names.background_topic));
        assert_eq!(dlq.router.core_stream, names.core_stream);
        let Subcommand::Notifier(notifier) = parsed(&["notifier"]) else { panic!("another program") };
        assert_eq!(notifier.ends.notification_queue, QueueAddress::Name(names.notification_queue));
        let Subcommand::Projection(projection) = parsed(&["projection"]) else { panic!("another program") };
        assert_eq!(projection.ends.core_stream, names.core_stream);
    }
}
