//! A server that answers each request as scripted, in bytes, so that half answers and broken connections can be sent.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_aws::{AwsConfig, DynamoEventStorage, TableNames, static_credentials};
use nexus_ports::{
    AppendTransaction, EventEnvelope, EventRecord, IdempotencyRecord, Platform, RecordedOutcome, Version, VersionRange,
};
use nexus_ports_testing::TestPlatform;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub const PORT: u16 = 4566;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole JSON answer; the connection stays open.
    Answer { status: u16, body: String },
    /// The same with one more header line.
    AnswerWithHeader { status: u16, header: String, body: String },
    /// The same after a while.
    AnswerAfter { wait: Duration, body: String },
    /// A whole answer, then the connection is closed.
    AnswerThenClose { status: u16, body: String },
    /// These bytes, then the connection is closed.
    BytesThenClose(String),
    /// These bytes, then silence.
    BytesThenSilence(String),
}

impl Reply {
    pub fn ok(body: &str) -> Self {
        Self::Answer { status: 200, body: body.to_owned() }
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counts from 0, in the order in which connections were made.
    pub connection: usize,
    /// Request line and headers.
    pub head: String,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A storage whose AWS is a script.
pub struct Bench {
    pub test: TestPlatform,
    pub storage: DynamoEventStorage,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Bench {
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let test = TestPlatform::new(3);
        let seen = serve(&test, replies.into_iter().collect());
        let storage = DynamoEventStorage::new(test.platform.clone(), &config(), TableNames::default());
        Self { test, storage, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections_made(&self) -> usize {
        self.test.network.dialled().len()
    }
}

pub fn config() -> AwsConfig {
    AwsConfig::new("us-east-1", static_credentials("AKID", "secret", None))
        .with_endpoint_url(format!("http://dynamodb.test:{PORT}"))
}

/// Serves the replies in order, whichever connection asks; after the last one every request hangs.
pub fn serve(test: &TestPlatform, replies: VecDeque<Reply>) -> Arc<Mutex<Vec<Seen>>> {
    let mut connections = test.network.bind(PORT);
    let replies = Arc::new(Mutex::new(replies));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let answered = seen.clone();
    let beside = test.clone();
    test.spawn_beside(async move {
        let mut connection = 0;
        while let Some(stream) = connections.recv().await {
            let platform = beside.platform.clone();
            beside.spawn_beside(serve_connection(platform, stream, connection, replies.clone(), answered.clone()));
            connection += 1;
        }
    });
    seen
}

async fn serve_connection(
    platform: Platform,
    mut stream: DuplexStream,
    connection: usize,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    while let Some((head, body)) = read_request(&mut stream).await {
        seen.lock().unwrap().push(Seen { connection, head, body });
        let reply = replies.lock().unwrap().pop_front();
        match reply.unwrap_or(Reply::BytesThenSilence(String::new())) {
            Reply::Answer { status, body } => send(&mut stream, &whole(status, &body)).await,
            Reply::AnswerWithHeader { status, header, body } => {
                let answer = whole(status, &body).replacen("\r\n", &format!("\r\n{header}\r\n"), 1);
                send(&mut stream, &answer).await;
            }
            Reply::AnswerAfter { wait, body } => {
                platform.sleep(wait).await;
                send(&mut stream, &whole(200, &body)).await;
            }
            Reply::AnswerThenClose { status, body } => return send(&mut stream, &whole(status, &body)).await,
            Reply::BytesThenClose(bytes) => return send(&mut stream, &bytes).await,
            Reply::BytesThenSilence(bytes) => {
                send(&mut stream, &bytes).await;
                std::future::pending::<()>().await;
            }
        }
    }
}

pub fn whole(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amzn-requestid: R-1\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

async fn send(stream: &mut DuplexStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn read_request(stream: &mut DuplexStream) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

pub fn event(version: u64) -> EventRecord {
    EventRecord {
        stream: "order-o-1".parse().unwrap(),
        version: Version(version),
        event_id: format!("event-{version}"),
        event_type: "OrderPlaced".to_owned(),
        schema_version: 2,
        payload: "{}".to_owned(),
        recorded_at_ms: 1_000,
        envelope: EventEnvelope {
            command_id: "key-1".to_owned(),
            causation_id: "cause".to_owned(),
            correlation_id: "correlation".to_owned(),
            trace_context: (version == 2).then(|| "00-trace".to_owned()),
        },
        previous_hash: "p".to_owned(),
        hash: "h".to_owned(),
    }
}

pub fn record() -> IdempotencyRecord {
    IdempotencyRecord {
        key: "key-1".to_owned(),
        payload_digest: "digest".to_owned(),
        outcome: RecordedOutcome::Accepted,
        answer: r#"{"version":2}"#.to_owned(),
        stream: "order-o-1".parse().unwrap(),
        versions: Some(VersionRange { first: Version(1), last: Version(2) }),
        event_ids: vec!["event-1".to_owned(), "event-2".to_owned()],
        recorded_at_ms: 1_000,
    }
}

pub fn refusal() -> IdempotencyRecord {
    IdempotencyRecord {
        outcome: RecordedOutcome::Refused,
        answer: r#"{"code":"no"}"#.to_owned(),
        versions: None,
        event_ids: Vec::new(),
        ..record()
    }
}

pub fn transaction() -> AppendTransaction {
    AppendTransaction { events: vec![event(1), event(2)], record: record(), token: "token-1".to_owned() }
}
