//! The shell on real loopback sockets: what a caller's connection goes through.
#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use nexus_cloud::{
    AnswerFate, Assumptions, Call, CallHook, CallOutcome, CallPlan, Cloud, CloudConfig, LatencyModel, RefuseBefore,
    Service, UnixNanos, WireRequest,
};
use nexus_cloud_shell::{ConnectionReset, EndpointShell, SharedCloud, call};
use nexus_ports::{Authority, BoxConnection, Platform};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Plans for the calls to come, in order of arrival.
#[derive(Clone, Default)]
struct Plans(Arc<Mutex<VecDeque<CallPlan>>>);

impl CallHook for Plans {
    fn on_call(&mut self, _: &Call) -> CallPlan {
        self.0.lock().unwrap().pop_front().unwrap_or_default()
    }
    fn on_outcome(&mut self, _: &Call, _: &CallOutcome) {}
}

struct Fixture {
    platform: Platform,
    cloud: SharedCloud,
    plans: Plans,
}

impl Fixture {
    fn new(latency_ms: u64) -> Self {
        let plans = Plans::default();
        let config = CloudConfig {
            latency: LatencyModel::fixed(latency_ms),
            assumptions: Assumptions::immediate(),
            ..CloudConfig::default()
        };
        let cloud = SharedCloud::new(Cloud::new(config, Box::new(plans.clone())));
        let platform = nexus_platform::production_on("test", IpAddr::V4(Ipv4Addr::LOCALHOST));
        Self { platform, cloud, plans }
    }

    fn plan(&self, plan: CallPlan) {
        self.plans.0.lock().unwrap().push_back(plan);
    }

    /// Starts an endpoint and gives its port.
    async fn endpoint(&self, service: Option<Service>) -> u16 {
        let acceptor = self.platform.listener.bind(0).await.unwrap();
        let port = acceptor.local_port();
        let (platform, cloud) = (self.platform.clone(), self.cloud.clone());
        let clock = platform.wall_clock.clone();
        let now = move || UnixNanos(clock.now().0.as_nanos() as u64);
        let served = async move { EndpointShell::serve_on(platform, cloud, service, acceptor, now).await.unwrap() };
        drop(self.platform.spawn("endpoint", served));
        port
    }

    async fn dial(&self, port: u16) -> BoxConnection {
        let authority = Authority { host: "127.0.0.1".into(), port, tls: false };
        self.platform.dialer.dial(&authority).await.unwrap()
    }

    /// Sends one request and reads until the connection closes or goes quiet for half a second.
    async fn exchange(&self, port: u16, target: &str, body: &str) -> String {
        let mut connection = self.dial(port).await;
        connection.write_all(request(target, body).as_bytes()).await.unwrap();
        self.read(&mut connection).await
    }

    async fn read(&self, connection: &mut BoxConnection) -> String {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(Ok(count)) = self.platform.timeout(Duration::from_millis(500), connection.read(&mut buffer)).await
        {
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(bytes).unwrap()
    }
}

fn request(target: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.0\r\nx-amz-target: {target}\r\n\
         authorization: any\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

const LIST_TABLES: &str = "DynamoDB_20120810.ListTables";

#[tokio::test]
async fn answers_have_the_clouds_own_date_and_no_second_one() {
    let fixture = Fixture::new(5);
    let port = fixture.endpoint(Some(Service::Dynamodb)).await;
    let answer = fixture.exchange(port, LIST_TABLES, "{}").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(answer.matches("date: ").count(), 1, "{answer}");
    assert!(answer.contains("x-amzn-requestid: ") && answer.contains("x-amz-crc32: "), "{answer}");
    assert!(answer.ends_with(r#"{"TableNames":[]}"#), "{answer}");
}

#[tokio::test]
async fn one_socket_serves_all_services_by_target() {
    let fixture = Fixture::new(0);
    let port = fixture.endpoint(None).await;
    assert!(fixture.exchange(port, LIST_TABLES, "{}").await.contains("TableNames"));
    assert!(fixture.exchange(port, "DynamoDBStreams_20120810.ListStreams", "{}").await.contains("Streams"));
    assert!(fixture.exchange(port, "Kinesis_20131202.ListStreams", "{}").await.contains("UnknownOperationException"));
    let only_streams = fixture.endpoint(Some(Service::DynamodbStreams)).await;
    assert!(fixture.exchange(only_streams, LIST_TABLES, "{}").await.contains("UnknownOperationException"));
}

#[tokio::test]
async fn withheld_answers_close_the_connection() {
    let fixture = Fixture::new(1);
    let port = fixture.endpoint(Some(Service::Dynamodb)).await;
    fixture.plan(CallPlan { answer: AnswerFate::Reset, ..CallPlan::default() });
    assert_eq!(fixture.exchange(port, LIST_TABLES, "{}").await, "");
    fixture.plan(CallPlan { refuse: Some(RefuseBefore::Reset), ..CallPlan::default() });
    assert_eq!(fixture.exchange(port, LIST_TABLES, "{}").await, "");
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_arrives() {
    let fixture = Fixture::new(1);
    let port = fixture.endpoint(Some(Service::Dynamodb)).await;
    fixture.plan(CallPlan { answer: AnswerFate::Truncate, ..CallPlan::default() });
    let answer = fixture.exchange(port, LIST_TABLES, "{}").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", r#"{"TableNames":[]}"#.len())), "{head}");
    assert_eq!(body, r#"{"TableN"#);
}

#[tokio::test]
async fn a_hung_call_is_freed_when_its_caller_goes_away() {
    let fixture = Fixture::new(1);
    let port = fixture.endpoint(Some(Service::Dynamodb)).await;
    fixture.plan(CallPlan { answer: AnswerFate::Hang, ..CallPlan::default() });
    let mut connection = fixture.dial(port).await;
    connection.write_all(request(LIST_TABLES, "{}").as_bytes()).await.unwrap();
    assert_eq!(fixture.read(&mut connection).await, "");
    assert_eq!(fixture.cloud.waiting(), 1, "nobody has given up yet");
    drop(connection);
    for _ in 0..100 {
        if fixture.cloud.waiting() == 0 {
            return;
        }
        fixture.platform.sleep(Duration::from_millis(10)).await;
    }
    panic!("the waiter of a caller that left is still there");
}

#[tokio::test]
async fn many_connections_through_two_endpoints_each_get_their_own_answer() {
    let fixture = Fixture::new(20);
    let ports = [fixture.endpoint(Some(Service::Dynamodb)).await, fixture.endpoint(None).await];
    let exchanges = (0..40).map(|number| {
        let (fixture, port) = (&fixture, ports[number % 2]);
        async move {
            let body = format!(r#"{{"TableName":"table-{number}"}}"#);
            let answer = fixture.exchange(port, "DynamoDB_20120810.DescribeTable", &body).await;
            assert!(answer.contains(&format!("Table: table-{number} not found")), "{answer}");
        }
    });
    futures_util::future::join_all(exchanges).await;
    assert_eq!(fixture.cloud.waiting(), 0);
}

#[tokio::test]
async fn calls_in_process_need_no_socket_and_no_pump() {
    let fixture = Fixture::new(5);
    let request = || WireRequest {
        service: Service::Dynamodb,
        caller: "test".into(),
        method: "POST".into(),
        path: "/".into(),
        headers: [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", LIST_TABLES),
            ("authorization", "any"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        body: Bytes::from_static(b"{}"),
    };
    let response = call(&fixture.cloud, &fixture.platform, request()).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &br#"{"TableNames":[]}"#[..]));
    fixture.plan(CallPlan { answer: AnswerFate::Truncate, ..CallPlan::default() });
    assert_eq!(call(&fixture.cloud, &fixture.platform, request()).await, Err(ConnectionReset));
    fixture.plan(CallPlan { answer: AnswerFate::Hang, ..CallPlan::default() });
    let hung = fixture.platform.timeout(Duration::from_millis(100), call(&fixture.cloud, &fixture.platform, request()));
    assert!(hung.await.is_err());
    assert_eq!(fixture.cloud.waiting(), 0);
}
