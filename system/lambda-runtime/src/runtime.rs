//! The loop: next invocation, function, response.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use nexus_ports::{Authority, Monotonic, Platform};
use serde_json::Value;

use crate::{
    FunctionError, InvocationContext, LambdaFunction,
    runtime_api::{Answer, NoAnswer, RuntimeApi},
};

/// How patiently the runtime talks with Lambda.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// Bound of making a connection, and of posting one response or error.
    pub call_timeout: Duration,
    /// Attempts to post one response or error, the first included.
    pub attempts_max: u32,
    /// Upper bound of the pause after a failed exchange; it doubles with each further one.
    pub backoff_base: Duration,
    pub backoff_max: Duration,
    /// A function still running so long before its deadline is ended, so that an error can be reported. At the deadline
    /// itself Lambda would end the whole environment.
    pub deadline_margin: Duration,
    /// An invocation that has just been handed over has at least so long, whatever the wall clock makes of its deadline: with
    /// a clock that is ahead each would be over before it began, and so would be all that come after it. Three seconds are
    /// what Lambda gives a function of which nothing is said.
    pub time_left_min: Duration,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(2),
            attempts_max: 3,
            backoff_base: Duration::from_millis(20),
            backoff_max: Duration::from_secs(1),
            deadline_margin: Duration::from_millis(200),
            time_left_min: Duration::from_secs(3),
        }
    }
}

/// Lambda cannot use this environment any more: the process should end, and a fresh one takes over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runtime API ended the environment: status {status}: {message}")]
pub struct RuntimeEnded {
    pub status: u16,
    pub message: String,
}

/// A custom runtime for one function.
pub struct LambdaRuntime {
    platform: Platform,
    runtime_api: Authority,
    function: Arc<dyn LambdaFunction>,
    settings: RuntimeSettings,
}

struct Invocation {
    context: InvocationContext,
    payload: Result<Value, FunctionError>,
}

impl LambdaRuntime {
    /// `runtime_api` is what Lambda names in `AWS_LAMBDA_RUNTIME_API`; it speaks plain HTTP.
    pub fn new(platform: Platform, runtime_api: Authority, function: Arc<dyn LambdaFunction>) -> Self {
        Self { platform, runtime_api, function, settings: RuntimeSettings::default() }
    }

    #[must_use]
    pub fn with_settings(self, settings: RuntimeSettings) -> Self {
        Self { settings, ..self }
    }

    /// Works off invocations, one at a time, until the future is dropped.
    ///
    /// # Errors
    /// Ends only if the API says that the environment is of no more use.
    pub async fn run(&self) -> Result<Infallible, RuntimeEnded> {
        let mut api = RuntimeApi::new(self.platform.clone(), self.runtime_api.clone());
        loop {
            let invocation = self.next(&mut api).await?;
            let request_id = invocation.context.request_id.clone();
            match self.invoke(invocation).await {
                Ok(response) => self.respond(&mut api, &request_id, &response).await?,
                Err(error) => self.report(&mut api, &request_id, &error).await?,
            }
        }
    }

    /// Tells Lambda that the function could not even be made ready (its configuration is wrong, say). The process should
    /// end afterwards.
    ///
    /// # Errors
    /// As [`LambdaRuntime::run`].
    pub async fn report_init_error(
        platform: &Platform,
        runtime_api: &Authority,
        error: &FunctionError,
        settings: &RuntimeSettings,
    ) -> Result<(), RuntimeEnded> {
        let mut api = RuntimeApi::new(platform.clone(), runtime_api.clone());
        for attempts_made in 1..=settings.attempts_max {
            match api.report_init_error(error, settings.call_timeout).await {
                Ok(answer) => return ended(&answer).map_or(Ok(()), Err),
                Err(_) if attempts_made < settings.attempts_max => settings.pause(platform, attempts_made).await,
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Asks until there is an invocation. An exchange that breaks may have lost one: Lambda then sees its time run out and
    /// invokes again, which is harmless, since deliveries are at least once anyhow.
    async fn next(&self, api: &mut RuntimeApi) -> Result<Invocation, RuntimeEnded> {
        let mut failures = 0u32;
        loop {
            if let Ok(answer) = api.next(self.settings.call_timeout).await {
                if let Some(ended) = ended(&answer) {
                    return Err(ended);
                }
                if let Some(invocation) = self.read(&answer) {
                    return Ok(invocation);
                }
            }
            failures = failures.saturating_add(1);
            self.settings.pause(&self.platform, failures).await;
        }
    }

    fn read(&self, answer: &Answer) -> Option<Invocation> {
        if !answer.status.is_success() {
            return None;
        }
        let context = self.context(&answer.headers)?;
        let payload = serde_json::from_slice(&answer.body)
            .map_err(|error| FunctionError::new("Runtime.UnreadablePayload", format!("not JSON: {error}")));
        Some(Invocation { context, payload })
    }

    /// `None` if the headers do not tell which invocation this is: it cannot be answered then.
    fn context(&self, headers: &HeaderMap) -> Option<InvocationContext> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let deadline_ms: u64 = text("lambda-runtime-deadline-ms")?.parse().ok()?;
        let left_ms = deadline_ms.saturating_sub(self.platform.unix_time().as_millis());
        let left = Duration::from_millis(left_ms).max(self.settings.time_left_min);
        Some(InvocationContext {
            request_id: text("lambda-runtime-aws-request-id").filter(|id| is_path_segment(id))?,
            deadline_ms,
            deadline: Monotonic(self.platform.monotonic().0.saturating_add(left)),
            invoked_function_arn: text("lambda-runtime-invoked-function-arn").unwrap_or_default(),
            trace_id: text("lambda-runtime-trace-id"),
        })
    }

    async fn invoke(&self, invocation: Invocation) -> Result<Value, FunctionError> {
        let payload = invocation.payload?;
        let margin = self.settings.deadline_margin;
        let timed_out = || {
            let message = format!("not done {} ms before the deadline", margin.as_millis());
            FunctionError::new("Function.TimedOut", message)
        };
        let left = invocation.context.remaining(&self.platform, margin).ok_or_else(timed_out)?;
        let running = self.function.invoke(payload, invocation.context);
        self.platform.timeout(left, running).await.map_err(|_| timed_out())?
    }

    async fn respond(&self, api: &mut RuntimeApi, request_id: &str, response: &Value) -> Result<(), RuntimeEnded> {
        for attempts_made in 1..=self.settings.attempts_max {
            match api.respond(request_id, response, self.settings.call_timeout).await {
                Ok(answer) if answer.status == StatusCode::PAYLOAD_TOO_LARGE => {
                    let error = FunctionError::new("Function.ResponseTooLarge", message_of(&answer));
                    return self.report(api, request_id, &error).await;
                }
                answered => match self.settle(answered, attempts_made).await? {
                    Posted::Over => return Ok(()),
                    Posted::Again => {}
                },
            }
        }
        Ok(())
    }

    async fn report(&self, api: &mut RuntimeApi, request_id: &str, error: &FunctionError) -> Result<(), RuntimeEnded> {
        for attempts_made in 1..=self.settings.attempts_max {
            let answered = api.report_error(request_id, error, self.settings.call_timeout).await;
            if let Posted::Over = self.settle(answered, attempts_made).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// After a post. Without an answer it is posted again: if the first one was taken, the API refuses the second, and the
    /// invocation is over either way. So it is when all attempts are used up: Lambda then lets its time run out.
    async fn settle(&self, answered: Result<Answer, NoAnswer>, attempts_made: u32) -> Result<Posted, RuntimeEnded> {
        match answered {
            Ok(answer) => ended(&answer).map_or(Ok(Posted::Over), Err),
            Err(_) => {
                if attempts_made < self.settings.attempts_max {
                    self.settings.pause(&self.platform, attempts_made).await;
                }
                Ok(Posted::Again)
            }
        }
    }
}

enum Posted {
    Over,
    Again,
}

impl RuntimeSettings {
    /// Exponential with full jitter.
    async fn pause(&self, platform: &Platform, failures: u32) {
        let doublings = failures.saturating_sub(1).min(20);
        let bound = self.backoff_base.saturating_mul(1 << doublings).min(self.backoff_max);
        platform.sleep(bound.mul_f64(platform.random_fraction("lambda-runtime-backoff", ""))).await;
    }
}

/// 500 means that the environment cannot be used any more ("container error").
fn ended(answer: &Answer) -> Option<RuntimeEnded> {
    (answer.status == StatusCode::INTERNAL_SERVER_ERROR)
        .then(|| RuntimeEnded { status: answer.status.as_u16(), message: message_of(answer) })
}

fn message_of(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Ids become part of a path.
fn is_path_segment(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
