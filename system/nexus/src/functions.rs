//! Lambda functions on a custom runtime.

use std::{ffi::OsString, sync::Arc, time::Duration};

use nexus_lambda_runtime::{
    FeedFunction, FunctionError, InvocationContext, LambdaFunction, LambdaRuntime, QueueFunction, RuntimeSettings,
};
use nexus_ports::{Authority, BoxFuture, FeedHandler, Platform};
use serde_json::Value;

use crate::{
    arguments::{AwsArguments, FunctionArguments, LambdaArguments, TableArguments},
    aws::Aws,
    failure::Failure,
    metrics::Metrics,
    stop::StopRequests,
    wiring::Wiring,
};

const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
/// Kept of an invocation's time to report what is not done; longer than the runtime's own margin.
const REPORT_MARGIN: Duration = Duration::from_millis(500);
/// How long an invocation waits for its metrics to be written out.
const METRICS_PATIENCE: Duration = Duration::from_millis(50);
/// An invocation has its messages worked on by one batch.
const BATCHES_AT_ONCE: usize = 1;

/// Answers invocations until Lambda ends the environment.
///
/// # Errors
/// The function could not be made ready, of which Lambda is told; or the environment is of no more use.
pub(crate) async fn run(arguments: LambdaArguments) -> Result<(), Failure> {
    let runtime_api = runtime_api(std::env::var(RUNTIME_API).ok().as_deref())?;
    let platform = nexus_platform::production("lambda");
    let function = match function(&platform, &arguments.function).await {
        Ok(function) => function,
        Err(failure) => {
            report(&platform, &runtime_api, failure.error_type(), failure.to_string()).await?;
            return Err(failure);
        }
    };
    let mut requests = StopRequests::listen()?;
    let runtime = LambdaRuntime::new(platform, runtime_api, function);
    tokio::select! {
        biased;
        ended = runtime.run() => match ended? {},
        // The environment is shut down; between invocations nothing is under way.
        () = requests.next() => Ok(()),
    }
}

/// The command line of this process. Lambda starts a `bootstrap` without arguments: then the function's handler setting,
/// which it puts into `_HANDLER`, says which function this is.
pub(crate) fn command_line() -> Vec<OsString> {
    let given: Vec<OsString> = std::env::args_os().collect();
    command_line_from(given, std::env::var_os(RUNTIME_API), std::env::var_os("_HANDLER"))
}

fn command_line_from(given: Vec<OsString>, runtime_api: Option<OsString>, handler: Option<OsString>) -> Vec<OsString> {
    let is_bare = given.len() <= 1;
    match (runtime_api, handler) {
        (Some(_), Some(handler)) if is_bare => vec!["nexus".into(), "lambda".into(), handler],
        _ => given,
    }
}

/// Tells Lambda that the arguments (or the variables in their place) are wrong, if this runs inside Lambda at all.
pub(crate) async fn report_wrong_arguments(message: String) {
    if let Ok(runtime_api) = runtime_api(std::env::var(RUNTIME_API).ok().as_deref()) {
        let platform = nexus_platform::production("lambda");
        // The process ends with its message anyhow.
        let _ = report(&platform, &runtime_api, "Nexus.WrongArguments", message).await;
    }
}

async fn report(
    platform: &Platform,
    runtime_api: &Authority,
    error_type: &str,
    message: String,
) -> Result<(), Failure> {
    let error = FunctionError::new(error_type, message);
    Ok(LambdaRuntime::report_init_error(platform, runtime_api, &error, &RuntimeSettings::default()).await?)
}

async fn function(platform: &Platform, function: &FunctionArguments) -> Result<Arc<dyn LambdaFunction>, Failure> {
    let name = match function {
        FunctionArguments::EventRouter(_) => "event-router",
        FunctionArguments::Projection(_) => "projection",
        FunctionArguments::Notifications(_) => "notifier",
    };
    let metrics = Metrics::new(platform, name);
    let inner: Arc<dyn LambdaFunction> = match function {
        FunctionArguments::EventRouter(ends) => {
            let router = wiring(platform, &ends.aws, &ends.tables, &metrics)?.event_router(ends).await?;
            feed_function(platform, Arc::new(router))
        }
        FunctionArguments::Projection(ends) => {
            let projection = wiring(platform, &ends.aws, &ends.tables, &metrics)?.event_projection();
            feed_function(platform, Arc::new(projection))
        }
        FunctionArguments::Notifications(ends) => {
            let wiring = wiring(platform, &ends.aws, &ends.tables, &metrics)?;
            Arc::new(QueueFunction::new(Arc::new(wiring.notification_worker(ends, BATCHES_AT_ONCE).await?)))
        }
    };
    Ok(Arc::new(WritesMetrics { inner, metrics }))
}

fn feed_function(platform: &Platform, handler: Arc<dyn FeedHandler>) -> Arc<dyn LambdaFunction> {
    Arc::new(FeedFunction::new(platform.clone(), handler, REPORT_MARGIN))
}

fn wiring(
    platform: &Platform,
    aws: &AwsArguments,
    tables: &TableArguments,
    metrics: &Metrics,
) -> Result<Wiring, Failure> {
    Ok(Wiring::new(platform, Aws::new(aws)?, tables, metrics.sink()))
}

/// Writes an invocation's metrics out before its answer: the environment is frozen right after that.
struct WritesMetrics {
    inner: Arc<dyn LambdaFunction>,
    metrics: Metrics,
}

impl LambdaFunction for WritesMetrics {
    fn invoke<'a>(&'a self, payload: Value, context: InvocationContext) -> BoxFuture<'a, Result<Value, FunctionError>> {
        Box::pin(async move {
            let outcome = self.inner.invoke(payload, context).await;
            tokio::task::block_in_place(|| self.metrics.flush(METRICS_PATIENCE));
            outcome
        })
    }
}

/// Lambda gives host and port, without a scheme.
fn runtime_api(variable: Option<&str>) -> Result<Authority, Failure> {
    let text = variable.ok_or_else(|| Failure::NoRuntimeApi("is not set".to_owned()))?;
    let authority = match text.rsplit_once(':') {
        Some((host, port)) => port.parse().ok().map(|port| (host, port)),
        None => Some((text, 80)),
    };
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '@', ' ']);
    match authority {
        Some((host, port)) if is_host(host) => Ok(Authority { host: host.to_owned(), port, tls: false }),
        _ => Err(Failure::NoRuntimeApi(format!("is `{text}`, which is not a host and port"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_api_is_host_and_port() {
        for (text, wanted) in [
            ("127.0.0.1:9001", Some(("127.0.0.1", 9001))),
            ("runtime.lambda.test", Some(("runtime.lambda.test", 80))),
            ("http://127.0.0.1:9001", None),
            ("127.0.0.1:port", None),
            (":9001", None),
            ("", None),
        ] {
            let found = runtime_api(Some(text)).ok();
            let wanted = wanted.map(|(host, port)| Authority { host: host.to_owned(), port, tls: false });
            assert_eq!(found, wanted, "{text:?}");
        }
        assert!(matches!(runtime_api(None), Err(Failure::NoRuntimeApi(_))));
    }

    #[test]
    fn a_bare_bootstrap_is_told_by_its_handler_what_it_is() {
        let api = || Some(OsString::from("127.0.0.1:9001"));
        let handler = || Some(OsString::from("projection"));
        for (given, api, handler, wanted) in [
            (vec!["/var/task/bootstrap"], api(), handler(), vec!["nexus", "lambda", "projection"]),
            (vec![], api(), handler(), vec!["nexus", "lambda", "projection"]),
            (vec!["nexus", "lambda", "event-router"], api(), handler(), vec!["nexus", "lambda", "event-router"]),
            (vec!["nexus"], None, handler(), vec!["nexus"]),
            (vec!["bootstrap"], api(), None, vec!["bootstrap"]),
        ] {
            let given = given.into_iter().map(OsString::from).collect();
            assert_eq!(command_line_from(given, api, handler), wanted);
        }
    }
}
