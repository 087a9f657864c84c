//! Open-loop customers: each operation starts at its intended time, whatever became of the others, and is tried again
//! under the same key until there is a definite answer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use nexus_checkers::{Attempt, Request, Response};
use nexus_engine::TrueClock;
use nexus_ports::{Authority, Platform};
use nexus_workload::{Action, PlannedOperation, Workload};

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// How customers reach the system.
#[derive(Clone, Debug)]
pub struct CustomerSettings {
    /// Hosts of the command service; attempts go round them.
    pub services: Vec<String>,
    pub port: u16,
    /// After this long an attempt counts as unanswered.
    pub timeout: Duration,
}

/// What customers saw, growing while the world runs. Kept outside the simulated hosts: no crash takes it.
#[derive(Clone, Default)]
pub struct Recorder {
    state: Arc<Mutex<RecorderState>>,
}

#[derive(Default)]
struct RecorderState {
    attempts: Vec<Attempt>,
    finished_operations: usize,
    last_finished_ns: u64,
}

impl Recorder {
    /// Every attempt so far, in order of invocation.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.lock().attempts.clone()
    }

    /// How many operations have their definite answer.
    pub fn finished_operations(&self) -> usize {
        self.lock().finished_operations
    }

    /// When the last of them had it, in nanoseconds since the Unix epoch.
    pub fn last_finished_ns(&self) -> u64 {
        self.lock().last_finished_ns
    }

    fn invoked(&self, attempt: Attempt) -> usize {
        let mut state = self.lock();
        state.attempts.push(attempt);
        state.attempts.len() - 1
    }

    fn completed(&self, index: usize, at_ns: u64, response: Response) {
        let mut state = self.lock();
        let attempt = &mut state.attempts[index];
        attempt.completed_ns = Some(at_ns);
        attempt.response = response;
    }

    fn finished(&self, at_ns: u64) {
        let mut state = self.lock();
        state.finished_operations += 1;
        state.last_finished_ns = state.last_finished_ns.max(at_ns);
    }

    fn lock(&self) -> MutexGuard<'_, RecorderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt as the trace shows it.
pub type AttemptTracer = Arc<dyn Fn(&Attempt) + Send + Sync>;

/// Everything that a customer's task needs.
#[derive(Clone)]
pub struct Customers {
    pub platform: Platform,
    pub clock: TrueClock,
    pub settings: Arc<CustomerSettings>,
    pub recorder: Recorder,
    pub on_completed: AttemptTracer,
}

impl Customers {
    /// Starts every operation at its intended time; ends when the last has been started.
    pub async fn run(self, workload: Arc<Workload>, epoch_ns: u64) {
        for operation in &workload.operations {
            let intended_ns = epoch_ns + operation.at_ms * 1_000_000;
            let wait_ns = intended_ns.saturating_sub(self.clock.now());
            if wait_ns > 0 {
                self.platform.sleep(Duration::from_nanos(wait_ns)).await;
            }
            let customers = self.clone();
            let operation = operation.clone();
            self.platform.spawn("customer", async move { customers.pursue(operation).await });
        }
    }

    /// Tries one operation until it has a definite answer.
    async fn pursue(&self, operation: PlannedOperation) {
        let mut number = 0;
        loop {
            number += 1;
            let response = self.attempt(&operation, number).await;
            if is_definite(&response) {
                self.recorder.finished(self.clock.now());
                return;
            }
            self.platform.sleep(self.backoff(&operation, number)).await;
        }
    }

    fn backoff(&self, operation: &PlannedOperation, number: u32) -> Duration {
        let ceiling = BACKOFF_FIRST.saturating_mul(1 << (number - 1).min(6)).min(BACKOFF_MAX);
        let fraction = self.platform.random_fraction("customer-backoff", &format!("{}/{number}", operation.id));
        // Half fixed, half random: never zero, or a refusal at once would be hammered.
        ceiling.mul_f64(0.5 + fraction / 2.0)
    }

    async fn attempt(&self, operation: &PlannedOperation, number: u32) -> Response {
        let (idempotency_key, role, request) = describe(&operation.action);
        let index = self.recorder.invoked(Attempt {
            operation: operation.id,
            attempt: number,
            customer: operation.customer,
            idempotency_key,
            role,
            request,
            invoked_ns: self.clock.now(),
            completed_ns: None,
            response: Response::Unknown { reason: "never answered".to_owned() },
        });
        let service = service_of(&self.settings.services, operation.id, number).to_owned();
        let exchange = self.exchange(service, &operation.action);
        let response = match self.platform.timeout(self.settings.timeout, exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(reason)) => Response::Unknown { reason },
            Err(timed_out) => Response::Unknown { reason: timed_out.to_string() },
        };
        self.recorder.completed(index, self.clock.now(), response.clone());
        (self.on_completed)(&self.recorder.lock().attempts[index]);
        response
    }

    /// One request over a connection of its own.
    async fn exchange(&self, service: String, action: &Action) -> Result<Response, String> {
        let authority = Authority { host: service, port: self.settings.port, tls: false };
        let stream = self.platform.dialer.dial(&authority).await.map_err(|error| format!("connect: {error}"))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let driver = self.platform.spawn("customer-connection", async move {
            // The request's own future reports what went wrong with the connection.
            let _ = connection.await;
        });
        let result = async {
            let answer = sender.send_request(http_request(&authority, action)).await.map_err(|e| e.to_string())?;
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
            let body = serde_json::from_slice(&bytes).map_err(|error| format!("answer is not JSON: {error}"))?;
            Ok(classify(status, body))
        }
        .await;
        driver.abort();
        result
    }
}

/// The host that an attempt goes to: attempts of one operation go round them.
pub fn service_of(services: &[String], operation: u32, attempt: u32) -> &str {
    &services[(operation + attempt) as usize % services.len()]
}

fn describe(action: &Action) -> (Option<String>, String, Request) {
    match action {
        Action::Command { role, idempotency_key, body } => {
            (Some(idempotency_key.clone()), role.clone(), Request::Command(body.clone()))
        }
        Action::ReadOrder { order_id, eventual } => {
            let request = Request::ReadOrder { order_id: order_id.clone(), eventual: *eventual };
            (None, "customer".to_owned(), request)
        }
    }
}

fn http_request(authority: &Authority, action: &Action) -> http::Request<Full<bytes::Bytes>> {
    let builder = http::Request::builder().header("host", authority.to_string());
    let request = match action {
        Action::Command { role, idempotency_key, body } => builder
            .method("POST")
            .uri("/commands")
            .header("content-type", "application/json")
            .header("idempotency-key", idempotency_key)
            .header("x-nexus-role", role)
            .body(Full::from(body.to_string())),
        Action::ReadOrder { order_id, eventual } => {
            let consistency = if *eventual { "eventual" } else { "strong" };
            builder.uri(format!("/orders/{order_id}?consistency={consistency}")).body(Full::default())
        }
    };
    // A recorded workload may carry a key that no header can; such a request is still sent, as one without a key.
    request.unwrap_or_else(|_| {
        let mut bare = http::Request::new(Full::default());
        *bare.method_mut() = http::Method::POST;
        *bare.uri_mut() = http::Uri::from_static("/commands");
        bare
    })
}

/// 504 says itself that the outcome is unknown.
fn classify(status: u16, body: serde_json::Value) -> Response {
    if status == 504 {
        return Response::Unknown { reason: format!("504 {}", body["code"].as_str().unwrap_or("gateway time-out")) };
    }
    Response::Answered { status, body }
}

/// Whether an answer ends the operation. Not applied (503, or a conflict that the service gave up on) is tried again, but for a
/// stream that was found to be corrupt: that takes an operator.
pub fn is_definite(response: &Response) -> bool {
    match response {
        Response::Unknown { .. } => false,
        corrupt if corrupt.tells_of_corruption() => true,
        Response::Answered { status, body } => *status < 500 && body["outcome"].as_str() != Some("not-applied"),
    }
}
