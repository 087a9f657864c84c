//! Nothing ambient gets into what is sent: the same platform sends the same bytes.
#![forbid(unsafe_code)]

#[path = "../../tests/support/mod.rs"]
mod support;

use nexus_aws::AwsConfig;
use nexus_aws_bus::{DynamoStreamFeed, KinesisFeed, KinesisStream, SnsTopic, SqsQueue};
use nexus_ports::{
    FeedStart, MessageQueue, MessageTopic, Platform, QueueDraft, RecordFeed, RecordStream, StreamEntry, TopicMessage,
};
use nexus_ports_testing::TestPlatform;
use support::{Reply, config, serve};

/// One call of every kind to every service, each of which fails.
async fn call_everything(platform: &Platform, config: &AwsConfig) {
    let attributes = vec![("event_type".to_owned(), "CartAbandoned".to_owned())];
    assert!(DynamoStreamFeed::new(platform, config, "table").list_shards().await.is_err());
    let feed = KinesisFeed::new(platform, config, "stream");
    assert!(feed.list_shards().await.is_err());
    assert!(feed.open("shard-1", &FeedStart::Oldest).await.is_err());
    let entry = StreamEntry { partition_key: "order-o-1".to_owned(), data: b"{}".to_vec() };
    assert!(KinesisStream::new(platform, config, "stream").put(&[entry]).await.is_err());
    let message = TopicMessage { body: "{}".to_owned(), attributes: attributes.clone() };
    assert!(SnsTopic::new(platform, config, "arn").publish(&[message]).await.is_err());
    let queue = SqsQueue::new(platform, config, "http://sqs.test/queue");
    assert!(queue.receive(10, 20, 30).await.is_err());
    assert!(queue.delete(&["handle-1".to_owned()]).await.is_err());
    assert!(queue.send(&[QueueDraft { body: "{}".to_owned(), attributes }]).await.is_err());
    assert!(queue.set_visibility("handle-1", 0).await.is_err());
}

const CALLS: usize = 9;

async fn sent(seed: u64) -> Vec<(String, String)> {
    let test = TestPlatform::new(seed);
    let replies = std::iter::repeat_n(Reply::Answer { status: 503, body: String::new() }, CALLS);
    let seen = serve(&test, replies.collect());
    call_everything(&test.platform, &config()).await;
    let seen = seen.lock().unwrap();
    seen.iter().map(|seen| (seen.head.clone(), seen.body.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_platform_sends_the_same_bytes() {
    let (first, again, other) = (sent(1).await, sent(1).await, sent(2).await);
    assert_eq!(first.len(), CALLS);
    assert_eq!(first, again);
    for (index, ((head, body), (other_head, other_body))) in first.iter().zip(&other).enumerate() {
        assert_eq!(body, other_body, "no body holds entropy");
        assert_ne!(head, other_head, "call {index} has an id of its own from the platform's entropy");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_config_share_connections_where_that_is_wanted() {
    for (is_shared, connections) in [(false, 5), (true, 1)] {
        let test = TestPlatform::new(3);
        let replies = std::iter::repeat_n(Reply::Answer { status: 400, body: String::new() }, CALLS);
        let seen = serve(&test, replies.collect());
        let config = if is_shared { config().with_shared_connections(&test.platform) } else { config() };
        call_everything(&test.platform, &config).await;
        assert_eq!(seen.lock().unwrap().len(), CALLS);
        assert_eq!(test.network.dialled().len(), connections, "shared: {is_shared}");
    }
}
