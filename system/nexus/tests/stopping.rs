//! A request to terminate ends each program in order, whatever AWS does at that time.
#![forbid(unsafe_code)]
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:nexus-background";
const QUEUE: &str = "http://127.0.0.1/123456789012/nexus-notifications";
const DEAD_LETTERS: &str = "http://127.0.0.1/123456789012/nexus-notifications-dlq";
const UNDELIVERED: &str = "http://127.0.0.1/123456789012/nexus-background-dlq";

/// An AWS that takes every connection and never answers; and what tells of each connection.
fn silent_endpoint() -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, connections) = channel();
    thread::spawn(move || {
        let mut held = Vec::new();
        for connection in listener.incoming() {
            held.push(connection);
            // A test that asks for no more of them has dropped its end.
            let _ = told.send(());
        }
    });
    (format!("http://{address}"), connections)
}

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_nexus"))
        .args(arguments)
        .args(["--endpoint-url", &silent_endpoint().0])
        .env_clear()
        .envs([("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn terminate(child: &Child) {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn each_program_says_that_it_runs_and_ends_when_asked_to() {
    let dlq_processor = &[
        "dlq-processor",
        "--background-topic",
        TOPIC,
        "--notification-queue",
        QUEUE,
        "--notification-dead-letters",
        DEAD_LETTERS,
        "--background-dead-letters",
        UNDELIVERED,
    ];
    let cases: [(&[&str], &str); 6] = [
        (&["event-router", "--background-topic", TOPIC], "to stream nexus-core and topic arn:aws:sns"),
        (&["projection"], "projecting stream nexus-core onto table nexus-views"),
        (&["notifier", "--notification-queue", QUEUE], "recording notifications in table nexus-outbox"),
        (dlq_processor, "working off dead letters"),
        (&["command-service", "--listen-port", "0"], "listening on http://"),
        (&["query-dashboard", "--listen-port", "0"], "listening on http://"),
    ];
    thread::scope(|scope| {
        for (arguments, expected) in cases {
            scope.spawn(move || says_and_ends(arguments, expected));
        }
    });
}

fn says_and_ends(arguments: &[&str], expected: &str) {
    let mut child = start(arguments);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut first_line = String::new();
    output.read_line(&mut first_line).unwrap();
    assert!(first_line.contains(expected), "{arguments:?}: {first_line}");
    terminate(&child);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let ended = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&ended.stderr);
    // Broken off after its grace it would end with 1, and by the signal itself with none.
    assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {complaint}");
}

#[test]
fn a_function_without_an_invocation_ends_when_asked_to() {
    let (endpoint, connections) = silent_endpoint();
    let runtime_api = endpoint.trim_start_matches("http://");
    let mut child = Command::new(env!("CARGO_BIN_EXE_nexus"))
        .args(["lambda", "projection"])
        .env_clear()
        .envs([("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any"), ("AWS_LAMBDA_RUNTIME_API", runtime_api)])
        .spawn()
        .unwrap();
    connections.recv_timeout(Duration::from_secs(60)).expect("it asks for an invocation");
    terminate(&child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}
