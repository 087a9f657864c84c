//! Bad usage and bad input end with status 2 and say what to do.
#![forbid(unsafe_code)]

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Output},
};

fn nexus(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).output().unwrap()
}

const CREDENTIALS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any")];
const CONTAINER_ELSEWHERE: &[(&str, &str)] =
    &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://credentials.example.com/role")];

#[test]
fn what_the_caller_can_mend_ends_with_2_and_a_hint() {
    let manifest_folder = env!("CARGO_MANIFEST_DIR");
    let source_folder = format!("{manifest_folder}/src");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port().to_string();
    let on_loopback = ["command-service", "--listen-address", "127.0.0.1", "--listen-port", &taken_port];
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: &[Case] = &[
        (&[], CREDENTIALS, "Usage: nexus"),
        (&["command-servise"], CREDENTIALS, "command-service"),
        (&["command-service", "--listen-port", "70000"], CREDENTIALS, "--listen-port"),
        (&["provision", "--endpoint-url", "localhost:4566"], CREDENTIALS, "must begin with http:// or https://"),
        (&["provision"], &[], "AWS_ACCESS_KEY_ID"),
        (&["provision"], &[("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "")], "AWS_SECRET_ACCESS_KEY"),
        (&["command-service", "--policies", "/no/such/folder"], CREDENTIALS, "holds no policy"),
        (&["command-service", "--policies", &source_folder], CREDENTIALS, "holds no policy"),
        (&on_loopback, CREDENTIALS, "choose another with --listen-port"),
        (&["event-router", "--core-stream", "no such name"], CREDENTIALS, "--core-stream"),
        (&["event-router", "--background-topic", "arn:aws:sqs:eu-central-1:123456789012:q"], CREDENTIALS, "ARN"),
        (&["event-router", "--lease-seconds", "1"], CREDENTIALS, "--lease-seconds"),
        (&["notifier", "--notification-queue", "orders.fifo"], CREDENTIALS, "FIFO queues"),
        (&["notifier", "--notification-queue", "https://sqs.eu-central-1.amazonaws.com/"], CREDENTIALS, "URL"),
        (&["projection", "--region", "Frankfurt!"], CREDENTIALS, "eu-central-1"),
        (&["dlq-processor", "--dead-letter-retention-seconds", "1209601"], CREDENTIALS, "1209600"),
        (&["provision", "--events-table", "x"], CREDENTIALS, "3 to 255"),
        (&["query-dashboard", "--kinesis-endpoint-url", "kinesis"], CREDENTIALS, "http://"),
        (&["query-dashboard"], &[], "AWS_ACCESS_KEY_ID"),
        (&["query-dashboard"], CONTAINER_ELSEWHERE, "agents of ECS and EKS"),
        (&["event-router", "--schema-registry", "no such name"], CREDENTIALS, "--schema-registry"),
        (&["provision", "--glue-endpoint-url", "glue"], CREDENTIALS, "http://"),
        (&["lambda", "event-router"], CREDENTIALS, "AWS_LAMBDA_RUNTIME_API is not set"),
        (&["lambda", "projektion"], CREDENTIALS, "projection"),
    ];
    for (arguments, environment, expected) in cases {
        let output = nexus(arguments, environment);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_unreachable_endpoint_is_a_failure_not_bad_usage() {
    // Port 1 of the loopback address: nothing listens there, and the connection is refused at once.
    for (command, expected) in [
        ("provision", "no answer from DynamoDB"),
        ("event-router", "topic `nexus-background` cannot be looked up"),
        ("notifier", "queue `nexus-notifications` cannot be looked up"),
    ] {
        let output = nexus(&[command, "--endpoint-url", "http://127.0.0.1:1"], CREDENTIALS);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

/// Lambda's runtime API for one request: returns its head and body.
fn runtime_api_of_one_request() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        while !request.ends_with("\"stackTrace\":[]}") {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "the connection ended after {request}");
            request.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        request
    });
    (address, served)
}

#[test]
fn lambda_is_told_why_a_function_cannot_begin() {
    for (arguments, more, status, expected) in [
        (&["lambda", "projection"][..], vec![], 2, "Nexus.NoCredentials"),
        // As a bootstrap file: what the function is comes from its handler setting.
        (&[], vec![("_HANDLER", "projection")], 2, "Nexus.NoCredentials"),
        (&[], vec![("_HANDLER", "index.handler")], 2, "Nexus.WrongArguments"),
        (&["lambda", "event-router"], vec![("NEXUS_CORE_STREAM", "no such name")], 2, "Nexus.WrongArguments"),
        (&["lambda", "notifications", "--endpoint-url", "http://127.0.0.1:1"], CREDENTIALS.to_vec(), 1, "Nexus.Lookup"),
    ] {
        let (address, served) = runtime_api_of_one_request();
        let mut environment = more.clone();
        environment.push(("AWS_LAMBDA_RUNTIME_API", &address));
        let output = nexus(arguments, &environment);
        let request = served.join().unwrap();
        assert!(request.starts_with("POST /2018-06-01/runtime/init/error HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(expected), "{request}");
        assert_eq!(output.status.code(), Some(status), "{arguments:?} {more:?}");
    }
}

#[test]
fn help_names_every_command() {
    let output = nexus(&["--help"], &[]);
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout);
    for word in [
        "command-service",
        "event-router",
        "projection",
        "notifier",
        "dlq-processor",
        "query-dashboard",
        "lambda",
        "provision",
        "Event-sourced orders",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "Examples:",
    ] {
        assert!(help.contains(word), "{help}");
    }
}
