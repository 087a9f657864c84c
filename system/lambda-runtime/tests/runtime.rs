//! The loop against a scripted runtime API.
#![forbid(unsafe_code)]

mod support;

use std::{sync::Arc, sync::Mutex, time::Duration};

use nexus_lambda_runtime::{
    FunctionError, InvocationContext, LambdaFunction, LambdaRuntime, RuntimeEnded, RuntimeSettings,
};
use nexus_ports::{BoxFuture, Platform};
use nexus_ports_testing::{EPOCH_UNIX_MS, TestPlatform};
use serde_json::{Value, json};
use support::{Reply, RuntimeApiServer, authority, status};

/// Does as its payload says: `{"echo": …}`, `{"fail": …}` or `{"sleep_ms": …}`.
struct Puppet {
    platform: Platform,
    seen: Mutex<Vec<InvocationContext>>,
}

impl LambdaFunction for Puppet {
    fn invoke<'a>(&'a self, payload: Value, context: InvocationContext) -> BoxFuture<'a, Result<Value, FunctionError>> {
        Box::pin(async move {
            self.seen.lock().unwrap().push(context);
            if let Some(millis) = payload["sleep_ms"].as_u64() {
                self.platform.sleep(Duration::from_millis(millis)).await;
            }
            match payload["fail"].as_str() {
                Some(kind) => Err(FunctionError::new(kind, "as asked")),
                None => Ok(payload["echo"].clone()),
            }
        })
    }
}

fn invocation(id: &str, left_ms: u64, payload: &str) -> Reply {
    let deadline_ms = EPOCH_UNIX_MS + left_ms;
    let headers = format!(
        "Lambda-Runtime-Aws-Request-Id: {id}\r\nLambda-Runtime-Deadline-Ms: {deadline_ms}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:f\r\nLambda-Runtime-Trace-Id: Root=1-5;Sampled=1\r\n"
    );
    status("200 OK", &headers, payload)
}

/// What the server saw until nothing more happened for an hour, the contexts that the function saw, and how the runtime
/// ended if it did.
async fn play(next: Vec<Reply>, posts: Vec<Reply>) -> (RuntimeApiServer, Vec<InvocationContext>, Option<RuntimeEnded>) {
    let test = TestPlatform::new(1);
    let server = RuntimeApiServer::start(&test, next, posts);
    let puppet = Arc::new(Puppet { platform: test.platform.clone(), seen: Mutex::default() });
    let runtime = LambdaRuntime::new(test.platform.clone(), authority(), puppet.clone());
    let ended = match test.platform.timeout(Duration::from_secs(3_600), runtime.run()).await {
        Ok(Ok(never)) => match never {},
        Ok(Err(ended)) => Some(ended),
        Err(_) => None,
    };
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(test.running_tasks(), 0, "connections end with the runtime");
    let seen = puppet.seen.lock().unwrap().clone();
    (server, seen, ended)
}

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next";

fn posted(id: &str, what: &str) -> String {
    format!("POST /2018-06-01/runtime/invocation/{id}/{what}")
}

#[tokio::test(start_paused = true)]
async fn invocations_are_answered_one_after_another_on_one_connection() {
    let next = vec![
        invocation("a-1", 60_000, r#"{"echo":{"n":1}}"#),
        invocation("a-2", 60_000, r#"{"fail":"Function.Wrong"}"#),
        invocation("a-3", 60_000, r#"{"echo":3}"#),
    ];
    let (server, contexts, ended) = play(next, vec![]).await;
    let wanted =
        [NEXT, &posted("a-1", "response"), NEXT, &posted("a-2", "error"), NEXT, &posted("a-3", "response"), NEXT];
    assert_eq!(server.lines(), wanted);
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.connection == 0));
    assert_eq!(seen[1].body, r#"{"n":1}"#);
    assert_eq!(seen[3].error_type.as_deref(), Some("Function.Wrong"));
    let error: Value = serde_json::from_str(&seen[3].body).unwrap();
    assert_eq!(error, json!({"errorMessage": "as asked", "errorType": "Function.Wrong", "stackTrace": []}));
    assert_eq!((contexts[0].request_id.as_str(), contexts[0].deadline_ms), ("a-1", EPOCH_UNIX_MS + 60_000));
    assert_eq!(contexts[0].invoked_function_arn, "arn:f");
    assert_eq!(contexts[0].trace_id.as_deref(), Some("Root=1-5;Sampled=1"));
    assert_eq!(ended, None);
}

#[tokio::test(start_paused = true)]
async fn a_function_is_ended_shortly_before_its_deadline() {
    // Less than three seconds are not believed: then the clock is wrong, and not the invocation late.
    for (sleep_ms, left_ms, is_in_time) in [
        (4_500, 5_000, true),
        (4_900, 5_000, false),
        (9_000, 5_000, false),
        (2_700, 1_000, true),
        (2_900, 1_000, false),
        (2_700, 0, true),
        (2_900, 0, false),
    ] {
        let payload = format!(r#"{{"sleep_ms":{sleep_ms},"echo":1}}"#);
        let (server, _, _) = play(vec![invocation("i", left_ms, &payload)], vec![]).await;
        let what = if is_in_time { "response" } else { "error" };
        assert_eq!(server.lines()[1], posted("i", what), "{sleep_ms} of {left_ms} ms");
        let error_type = server.seen()[1].error_type.clone();
        assert_eq!(error_type.is_none(), is_in_time);
        assert!(is_in_time || error_type.as_deref() == Some("Function.TimedOut"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_not_json_is_an_error_of_its_invocation() {
    let (server, contexts, _) = play(vec![invocation("i", 60_000, "{")], vec![]).await;
    assert_eq!(server.lines(), [NEXT, &posted("i", "error"), NEXT]);
    assert_eq!(server.seen()[1].error_type.as_deref(), Some("Runtime.UnreadablePayload"));
    assert!(contexts.is_empty(), "the function was not asked");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_while_waiting_is_asked_again() {
    let cases = [
        ("closed", Reply::Close),
        ("no id", status("200 OK", "Lambda-Runtime-Deadline-Ms: 1\r\n", "{}")),
        ("no deadline", status("200 OK", "Lambda-Runtime-Aws-Request-Id: i\r\n", "{}")),
        ("an id that is a path", invocation("../init", 60_000, "{}")),
        ("forbidden", status("403 Forbidden", "", "{}")),
    ];
    for (why, reply) in cases {
        let next = vec![reply, invocation("i", 60_000, r#"{"echo":1}"#)];
        let (server, _, ended) = play(next, vec![]).await;
        assert_eq!(server.lines(), [NEXT, NEXT, &posted("i", "response"), NEXT], "{why}");
        assert_eq!(ended, None, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_is_repeated_while_it_has_no_answer() {
    let post = posted("i", "response");
    let cases = [
        (vec![Reply::Close], 2),
        (vec![Reply::Hang], 2),
        (vec![Reply::Hang, Reply::Close], 3),
        (vec![Reply::Close, Reply::Close, Reply::Close], 3),
        // It was taken the first time.
        (vec![Reply::Close, status("400 Bad Request", "", "{}")], 2),
        (vec![status("403 Forbidden", "", "{}")], 1),
    ];
    for (replies, posts) in cases {
        let (server, contexts, _) = play(vec![invocation("i", 60_000, r#"{"echo":1}"#)], replies.clone()).await;
        let lines = server.lines();
        assert_eq!(lines.iter().filter(|line| **line == post).count(), posts, "{replies:?}");
        assert_eq!(lines.last().map(String::as_str), Some(NEXT), "it goes on after {replies:?}");
        assert_eq!(contexts.len(), 1, "the function ran once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_too_large_becomes_an_error() {
    let replies = vec![status("413 Payload Too Large", "", "too much")];
    let (server, _, _) = play(vec![invocation("i", 60_000, r#"{"echo":1}"#)], replies).await;
    assert_eq!(server.lines(), [NEXT, &posted("i", "response"), &posted("i", "error"), NEXT]);
    assert_eq!(server.seen()[2].error_type.as_deref(), Some("Function.ResponseTooLarge"));
}

#[tokio::test(start_paused = true)]
async fn a_container_error_ends_the_runtime() {
    let gone = || status("500 Internal Server Error", "", "gone");
    let wanted = RuntimeEnded { status: 500, message: "gone".to_owned() };
    let cases = [
        (vec![gone()], vec![], 1),
        (vec![invocation("i", 60_000, r#"{"echo":1}"#)], vec![gone()], 2),
        (vec![invocation("i", 60_000, r#"{"fail":"X"}"#)], vec![gone()], 2),
    ];
    for (next, posts, requests) in cases {
        let (server, _, ended) = play(next, posts).await;
        assert_eq!((ended, server.lines().len()), (Some(wanted.clone()), requests));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_type_that_is_no_header_still_reaches_the_body() {
    let (server, _, _) = play(vec![invocation("i", 60_000, r#"{"fail":"two\nlines"}"#)], vec![]).await;
    let seen = &server.seen()[1];
    assert_eq!(seen.error_type.as_deref(), Some("Function.Error"));
    assert!(seen.body.contains(r#""errorType":"two\nlines""#), "{}", seen.body);
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_reported() {
    let test = TestPlatform::new(1);
    let server = RuntimeApiServer::start(&test, vec![], vec![Reply::Close]);
    let error = FunctionError::new("Runtime.Configuration", "no such table");
    let settings = RuntimeSettings::default();
    LambdaRuntime::report_init_error(&test.platform, &authority(), &error, &settings).await.unwrap();
    assert_eq!(server.lines(), vec!["POST /2018-06-01/runtime/init/error"; 2]);
    assert_eq!(server.seen()[1].error_type.as_deref(), Some("Runtime.Configuration"));
}
