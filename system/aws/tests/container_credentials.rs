//! Credentials of a container: fetched, kept, renewed early, and used on while their endpoint fails.
#![forbid(unsafe_code)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_credential_types::{Credentials, provider::ProvideCredentials};
use nexus_aws::{AuthorizationToken, AwsConfig, ContainerCredentials, DynamoEventStorage, TableNames};
use nexus_ports::{EventStorage, ReadConsistency, ReadFailure, Version};
use nexus_ports_testing::TestPlatform;
use serde_json::json;
use support::{PORT, Reply, Seen, serve};

fn url() -> String {
    format!("http://169.254.170.2:{PORT}/v2/credentials/1?role=x")
}

struct Script {
    test: TestPlatform,
    credentials: ContainerCredentials,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    fn new(token: AuthorizationToken, replies: impl IntoIterator<Item = Reply>) -> Self {
        let test = TestPlatform::new(5);
        let seen = serve(&test, replies.into_iter().collect());
        let credentials = ContainerCredentials::new(&test.platform, &url(), token).unwrap();
        Self { test, credentials, seen }
    }

    fn now(&self) -> SystemTime {
        self.test.platform.unix_time().as_system_time()
    }

    async fn ask(&self) -> Option<Credentials> {
        self.credentials.provide_credentials().await.ok()
    }

    fn asked(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn answer(key: &str, expires_at: SystemTime) -> Reply {
    let seconds = expires_at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = aws_smithy_types::DateTime::from_secs(i64::try_from(seconds).unwrap());
    let expiration = time.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap();
    let body = json!({"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": expiration});
    Reply::ok(&body.to_string())
}

/// After the test platform's wall clock, which begins where it likes.
fn in_seconds(seconds: u64) -> SystemTime {
    TestPlatform::new(5).platform.unix_time().as_system_time() + Duration::from_secs(seconds)
}

fn key(credentials: Option<Credentials>) -> Option<String> {
    credentials.map(|credentials| credentials.access_key_id().to_owned())
}

#[tokio::test(start_paused = true)]
async fn credentials_are_fetched_once_and_renewed_before_they_expire() {
    let hour = 3_600;
    let script = Script::new(
        AuthorizationToken::Text("Bearer of token".to_owned()),
        [answer("AKID1", in_seconds(hour)), answer("AKID2", in_seconds(2 * hour))],
    );
    let (one, other) = tokio::join!(script.ask(), script.ask());
    let one = one.unwrap();
    assert_eq!((one.access_key_id(), one.secret_access_key(), one.session_token()), ("AKID1", "s", Some("t")));
    assert_eq!(key(other).as_deref(), Some("AKID1"));
    let until_refresh = one.expiry().unwrap().duration_since(script.now()).unwrap();
    assert!((hour - 302..=hour - 300).contains(&until_refresh.as_secs()), "{until_refresh:?}");
    assert_eq!(script.asked(), 1, "two questions at once are one request");
    {
        let seen = script.seen.lock().unwrap();
        assert!(seen[0].head.starts_with("GET /v2/credentials/1?role=x HTTP/1.1\r\n"), "{}", seen[0].head);
        assert_eq!(seen[0].header("authorization"), Some("Bearer of token"));
        assert_eq!(seen[0].header("host"), Some(format!("169.254.170.2:{PORT}").as_str()));
    }

    script.test.platform.sleep(until_refresh - Duration::from_secs(2)).await;
    assert_eq!(key(script.ask().await).as_deref(), Some("AKID1"));
    script.test.platform.sleep(Duration::from_secs(3)).await;
    assert_eq!(key(script.ask().await).as_deref(), Some("AKID2"), "five minutes before their end");
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_the_endpoint_fails_those_at_hand_are_used_until_they_expire() {
    let failures = std::iter::repeat_n(Reply::Answer { status: 500, body: String::new() }, 20);
    let script =
        Script::new(AuthorizationToken::None, std::iter::once(answer("AKID1", in_seconds(600))).chain(failures));
    assert_eq!(key(script.ask().await).as_deref(), Some("AKID1"));
    script.test.platform.sleep(Duration::from_secs(400)).await;
    let kept = script.ask().await.unwrap();
    assert_eq!(script.asked(), 2);
    let pause = kept.expiry().unwrap().duration_since(script.now()).unwrap();
    assert!(pause <= Duration::from_secs(60), "{pause:?}");
    assert!(script.ask().await.is_some(), "it is not asked at every call");
    assert_eq!(script.asked(), 2);
    script.test.platform.sleep(Duration::from_secs(61)).await;
    assert!(script.ask().await.is_some());
    assert_eq!(script.asked(), 3);
    script.test.platform.sleep(Duration::from_secs(200)).await;
    assert!(script.ask().await.is_none(), "they have expired");
}

#[tokio::test(start_paused = true)]
async fn unusable_answers_give_no_credentials_and_no_secrets_away() {
    let without_expiration = json!({"AccessKeyId": "a", "SecretAccessKey": "hidden"}).to_string();
    let odd_time = json!({"AccessKeyId": "a", "SecretAccessKey": "hidden", "Expiration": "soon"}).to_string();
    for reply in [
        Reply::Answer { status: 404, body: "hidden".to_owned() },
        Reply::ok("hidden"),
        Reply::ok(&without_expiration),
        Reply::ok(&odd_time),
        Reply::BytesThenClose(String::new()),
        Reply::BytesThenSilence(String::new()),
    ] {
        let script = Script::new(AuthorizationToken::None, [reply.clone()]);
        let error = script.credentials.provide_credentials().await.unwrap_err();
        assert!(!format!("{error:?}").contains("hidden"), "{reply:?}: {error:?}");
        assert!(script.test.platform.monotonic().0 < Duration::from_millis(1_600), "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_in_a_file_is_read_anew_each_time() {
    let script = Script::new(
        AuthorizationToken::File("token".to_owned()),
        [answer("AKID1", in_seconds(600)), answer("AKID2", in_seconds(3_600))],
    );
    assert_eq!(key(script.ask().await), None, "the file is not there");
    for (token, wait_s) in [("first", 0), ("second", 301)] {
        script.test.platform.disk.write("token", format!("{token}\n").into_bytes()).await.unwrap();
        script.test.platform.sleep(Duration::from_secs(wait_s)).await;
        assert!(script.ask().await.is_some());
    }
    let seen = script.seen.lock().unwrap();
    let tokens: Vec<_> = seen.iter().map(|seen| seen.header("authorization").unwrap()).collect();
    assert_eq!(tokens, ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn an_aws_call_without_credentials_was_never_sent() {
    let script = Script::new(AuthorizationToken::None, [Reply::Answer { status: 503, body: String::new() }]);
    let config = AwsConfig::new("us-east-1", script.credentials.clone())
        .with_endpoint_url(format!("http://dynamodb.test:{PORT}"));
    let storage = DynamoEventStorage::new(script.test.platform.clone(), &config, TableNames::default());
    let failure = storage.read_events(&"order-o-1".parse().unwrap(), Version::START, ReadConsistency::Strong).await;
    assert!(matches!(failure, Err(ReadFailure::NotSent(_))), "{failure:?}");
    assert_eq!(script.asked(), 1);
}

#[test]
fn credentials_come_from_trusted_places_only() {
    let platform = TestPlatform::new(1).platform;
    for (url, wanted) in [
        ("http://169.254.170.2/v2/credentials/1", true),
        ("http://169.254.170.23/v1/credentials", true),
        ("http://[fd00:ec2::23]/v1/credentials", true),
        ("http://127.0.0.1:51679/creds", true),
        ("http://localhost/creds", true),
        ("https://credentials.example.com/creds", true),
        ("http://credentials.example.com/creds", false),
        ("http://169.254.169.254/latest", false),
        ("ftp://127.0.0.1/creds", false),
        ("/v2/credentials", false),
        ("", false),
    ] {
        assert_eq!(ContainerCredentials::new(&platform, url, AuthorizationToken::None).is_ok(), wanted, "{url}");
    }
}
