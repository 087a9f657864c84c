//! Bad usage and bad input end with status 2 and say what to do.
#![forbid(unsafe_code)]

use std::process::{Command, Output};

fn nexus(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).output().unwrap()
}

const CREDENTIALS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any")];

#[test]
fn what_the_caller_can_mend_ends_with_2_and_a_hint() {
    let manifest_folder = env!("CARGO_MANIFEST_DIR");
    let source_folder = format!("{manifest_folder}/src");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
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
    let output = nexus(&["provision", "--endpoint-url", "http://127.0.0.1:1"], CREDENTIALS);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("no answer from DynamoDB"), "{message}");
}

#[test]
fn help_names_every_command() {
    let output = nexus(&["--help"], &[]);
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout);
    for word in ["command-service", "provision", "Event-sourced orders"] {
        assert!(help.contains(word), "{help}");
    }
}
