//! Routes, headers and bodies.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, RawQuery, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::{Timestamp, fmt::rfc2822};
use nexus_domain::Command;
use nexus_event_store::Deadline;
use nexus_ports::{ReadConsistency, UnixTime};
use serde_json::json;

use crate::{CommandAnswer, CommandFailure, CommandRequest, CommandService, OrderView};

/// The service's routes: `POST /commands`, `GET /orders/{order_id}`, `GET /health`.
pub fn router(service: Arc<CommandService>) -> Router {
    Router::new()
        .route("/commands", post(post_command))
        .route("/orders/{order_id}", get(get_order))
        .route("/health", get(async || Json(json!({"status": "up"}))))
        .fallback(async || CommandFailure::PathNotFound)
        .method_not_allowed_fallback(async || CommandFailure::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(service.clone(), dated))
        .with_state(service)
}

async fn post_command(
    State(service): State<Arc<CommandService>>,
    request: Request,
) -> Result<Json<CommandAnswer>, CommandFailure> {
    let deadline = service.deadline();
    let (head, body) = request.into_parts();
    let idempotency_key = idempotency_key(&head.headers)?;
    let role = visible_header(&head.headers, "x-nexus-role").ok_or(CommandFailure::MissingRole)?;
    let trace_context = visible_header(&head.headers, "traceparent");
    let body = whole_body(&service, body, deadline).await?;
    let command: Command =
        serde_json::from_slice(&body).map_err(|error| CommandFailure::MalformedCommand(error.to_string()))?;
    let request = CommandRequest { command, idempotency_key, role, trace_context };
    service.execute(request, deadline).await.map(Json)
}

async fn get_order(
    State(service): State<Arc<CommandService>>,
    Path(order_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<OrderView>, CommandFailure> {
    let consistency = consistency(query.as_deref())?;
    let order = service.order(&order_id, consistency, service.deadline()).await?;
    order.map(Json).ok_or(CommandFailure::OrderNotFound { order_id })
}

/// Strong unless the query says `consistency=eventual`. Anything else in it is a slip that the sender should know of.
fn consistency(query: Option<&str>) -> Result<ReadConsistency, CommandFailure> {
    match query {
        None | Some("" | "consistency=strong") => Ok(ReadConsistency::Strong),
        Some("consistency=eventual") => Ok(ReadConsistency::Eventual),
        Some(query) => Err(CommandFailure::UnknownQuery { query: query.to_owned() }),
    }
}

async fn whole_body(service: &CommandService, body: Body, deadline: Deadline) -> Result<Bytes, CommandFailure> {
    let bytes_max = service.settings.body_bytes_max;
    let remaining = deadline.remaining(&service.platform).unwrap_or_default();
    let read = service.platform.timeout(remaining, Limited::new(body, bytes_max).collect()).await;
    match read.map_err(|_| CommandFailure::BodyTooSlow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(CommandFailure::BodyTooLarge { bytes_max }),
        Err(error) => Err(CommandFailure::MalformedCommand(error.to_string())),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, CommandFailure> {
    visible_header(headers, "idempotency-key")
        .filter(|key| key.len() <= 128)
        .ok_or(CommandFailure::MissingIdempotencyKey)
}

/// The header's value if it is there once, is not empty and has visible ASCII characters only.
fn visible_header(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    let is_sound = values.next().is_none() && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    is_sound.then(|| value.to_owned())
}

/// Dates every answer by the platform's clock. The HTTP library would ask the operating system's.
async fn dated(State(service): State<Arc<CommandService>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await.into_response();
    if let Some(date) = http_date(service.platform.unix_time()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn http_date(now: UnixTime) -> Option<HeaderValue> {
    let timestamp = Timestamp::from_second(i64::try_from(now.0.as_secs()).ok()?).ok()?;
    let text = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp).ok()?;
    HeaderValue::try_from(text).ok()
}
