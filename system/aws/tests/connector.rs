//! The connector under the real SDK: pooled, stale, broken, silent and half-dead connections.
#![forbid(unsafe_code)]

mod support;

use std::time::Duration;

use nexus_ports::{AppendFailure, EventStorage, WriteFailure};
use support::{Bench, PORT, Reply, transaction, whole};

async fn append(bench: &Bench) -> Result<(), AppendFailure> {
    bench.storage.append(&transaction()).await
}

fn is_unknown(result: &Result<(), AppendFailure>) -> bool {
    matches!(result, Err(WriteFailure::Unknown(_)))
}

fn is_not_sent(result: &Result<(), AppendFailure>) -> bool {
    matches!(result, Err(WriteFailure::NotSent(_)))
}

/// Lets tasks that are ready run, without letting time pass.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_in_origin_form_and_say_that_they_are_the_only_attempt() {
    let bench = Bench::new([Reply::ok("{}")]);
    append(&bench).await.unwrap();
    let seen = bench.seen();
    assert!(seen[0].head.starts_with("POST / HTTP/1.1\r\n"), "{}", seen[0].head);
    assert_eq!(seen[0].header("host"), Some("dynamodb.test:4566"));
    assert_eq!(seen[0].header("x-amz-target"), Some("DynamoDB_20120810.TransactWriteItems"));
    assert_eq!(seen[0].header("amz-sdk-request"), Some("attempt=1; max=1"));
    assert_eq!(seen[0].header("x-amz-date"), Some("20260101T000000Z"), "signed by the platform's clock");
    assert!(seen[0].body.contains(r#""ClientRequestToken":"token-1""#), "{}", seen[0].body);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again() {
    let bench = Bench::new([Reply::ok("{}"), Reply::ok("{}"), Reply::ok("{}")]);
    for _ in 0..3 {
        append(&bench).await.unwrap();
    }
    assert_eq!(bench.connections_made(), 1);
    assert!(bench.seen().iter().all(|seen| seen.connection == 0));
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_have_a_connection_each() {
    let bench = Bench::new(vec![Reply::ok("{}"); 4]);
    let transaction = transaction();
    let (first, second) = tokio::join!(bench.storage.append(&transaction), bench.storage.append(&transaction));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(bench.connections_made(), 2);
    let (first, second) = tokio::join!(bench.storage.append(&transaction), bench.storage.append(&transaction));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(bench.connections_made(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_grows_too_old() {
    let bench = Bench::new(vec![Reply::ok("{}"); 3]);
    append(&bench).await.unwrap();
    bench.test.platform.sleep(Duration::from_secs(19)).await;
    append(&bench).await.unwrap();
    assert_eq!(bench.connections_made(), 1);
    bench.test.platform.sleep(Duration::from_secs(21)).await;
    append(&bench).await.unwrap();
    assert_eq!(bench.connections_made(), 2);
    settle().await;
    assert_eq!(bench.test.running_tasks(), 1, "the old connection's driver is gone");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_its_server_closed_while_idle_costs_nothing() {
    let reply = || Reply::AnswerThenClose { status: 200, body: "{}".to_owned() };
    // Noticed before the next request, or only when it is to be written.
    for is_noticed in [true, false] {
        let bench = Bench::new([reply(), reply()]);
        append(&bench).await.unwrap();
        if is_noticed {
            settle().await;
        }
        append(&bench).await.unwrap();
        assert_eq!(bench.connections_made(), 2);
        assert_eq!(bench.seen().len(), 2, "no request was sent twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_under_a_request_makes_its_outcome_unknown_and_is_not_sent_again() {
    let bench = Bench::new([Reply::ok("{}"), Reply::BytesThenClose(String::new()), Reply::ok("{}")]);
    append(&bench).await.unwrap();
    assert!(is_unknown(&append(&bench).await));
    assert_eq!(bench.seen().len(), 2);
    append(&bench).await.unwrap();
    assert_eq!(bench.connections_made(), 2);
}

#[tokio::test(start_paused = true)]
async fn broken_answers_are_unknown_and_their_connection_is_not_used_again() {
    let head_only_half = "HTTP/1.1 200 OK\r\ncontent-le";
    let body_only_half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":";
    let not_json = whole(200, "<html>busy</html>");
    for broken in [head_only_half, body_only_half, not_json.as_str(), "garbage\r\n\r\n"] {
        let bench = Bench::new([Reply::BytesThenClose(broken.to_owned()), Reply::ok("{}")]);
        let result = append(&bench).await;
        // DynamoDB's answer to a transaction carries nothing that the SDK must parse, so 200 alone means done.
        assert!(is_unknown(&result) || broken == not_json && result.is_ok(), "{broken:?}: {result:?}");
        append(&bench).await.unwrap();
        assert_eq!(bench.connections_made(), 2, "{broken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_attempt_and_leaves_nothing_behind() {
    let half_head = "HTTP/1.1 200 OK\r\n";
    let half_body = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    for silence in ["", half_head, half_body] {
        let bench = Bench::new([Reply::BytesThenSilence(silence.to_owned())]);
        let begun = bench.test.platform.monotonic();
        assert!(is_unknown(&append(&bench).await), "{silence:?}");
        let waited = bench.test.platform.monotonic().since(begun);
        assert!((1_999..=2_010).contains(&waited.as_millis()), "{silence:?}: {waited:?}");
        settle().await;
        assert_eq!(bench.test.running_tasks(), 0, "{silence:?}: the connection's driver is gone");
    }
}

#[tokio::test(start_paused = true)]
async fn after_silence_the_idle_connections_to_that_host_are_not_trusted() {
    let silence = Reply::BytesThenSilence(String::new());
    let bench = Bench::new([Reply::ok("{}"), Reply::ok("{}"), silence, Reply::ok("{}")]);
    let transaction = transaction();
    let (first, second) = tokio::join!(bench.storage.append(&transaction), bench.storage.append(&transaction));
    assert!(first.is_ok() && second.is_ok());
    assert!(is_unknown(&append(&bench).await));
    append(&bench).await.unwrap();
    assert_eq!(bench.connections_made(), 3, "the second idle connection was closed with the silent one");
    settle().await;
    assert_eq!(bench.test.running_tasks(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_never_connects_was_never_sent() {
    let nobody = nexus_ports_testing::TestPlatform::new(1);
    let tables = nexus_aws::TableNames::default();
    let storage = nexus_aws::DynamoEventStorage::new(nobody.platform.clone(), &support::config(), tables);
    let refused = storage.append(&transaction()).await;
    assert!(is_not_sent(&refused), "{refused:?}");

    nobody.network.silence(PORT);
    let begun = nobody.platform.monotonic();
    let timed_out = storage.append(&transaction()).await;
    assert!(is_not_sent(&timed_out), "{timed_out:?}");
    let waited = nobody.platform.monotonic().since(begun);
    assert!((999..=1_010).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_beyond_the_bound_is_not_read_to_its_end() {
    let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", 64 << 20, "x".repeat(60 << 10));
    let bench = Bench::new([Reply::BytesThenSilence(endless)]);
    let limits = nexus_aws::ConnectorLimits { body_bytes_max: 32 << 10, ..Default::default() };
    let client = nexus_aws::PlatformHttpClient::new(bench.test.platform.clone(), limits);
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_dynamodb::config::Region::from_static("us-east-1"))
        .credentials_provider(support::config().credentials)
        .endpoint_url(format!("http://dynamodb.test:{PORT}"))
        .http_client(client.clone())
        .sleep_impl(nexus_aws::PlatformSleep(bench.test.platform.clone()))
        .time_source(nexus_aws::PlatformTime(bench.test.platform.clone()))
        .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
        .build();
    let begun = bench.test.platform.monotonic();
    let listed = aws_sdk_dynamodb::Client::from_conf(config).list_tables().send().await;
    assert!(listed.is_err());
    assert!(bench.test.platform.monotonic().since(begun) < Duration::from_secs(1));
    assert_eq!(client.idle_connections(), 0);
}
