//! Views over HTTP.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, header};
use jiff::{Timestamp, fmt::rfc2822};
use nexus_ports::{Platform, ReadFailure, ReadModel, StoredView, StreamName, UnixTime};
use serde_json::json;

use crate::{DashboardSettings, problem::ViewFailure};

/// What the routes share.
struct Dashboard {
    platform: Platform,
    read_model: Arc<dyn ReadModel>,
    settings: DashboardSettings,
}

/// The read side's routes: `GET /views/{stream}`, `GET /health`.
pub fn router(platform: Platform, read_model: Arc<dyn ReadModel>, settings: DashboardSettings) -> Router {
    let dashboard = Arc::new(Dashboard { platform, read_model, settings });
    Router::new()
        .route("/views/{stream}", get(get_view))
        .route("/health", get(async || Json(json!({"status": "up"}))))
        .fallback(async || ViewFailure::PathNotFound)
        .method_not_allowed_fallback(async || ViewFailure::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(dashboard.clone(), dated))
        .with_state(dashboard)
}

async fn get_view(
    State(dashboard): State<Arc<Dashboard>>,
    Path(stream): Path<String>,
) -> Result<Response, ViewFailure> {
    let stream = StreamName::try_from(stream)?;
    let view = dashboard.read(&stream).await?.ok_or(ViewFailure::NotFound { stream })?;
    let mut response = Response::new(Body::from(view.body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Digits between quotes are a valid header.
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", view.version)) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

impl Dashboard {
    /// Attempts a read until it is answered or the attempts are used up.
    async fn read(&self, stream: &StreamName) -> Result<Option<StoredView>, ViewFailure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let read = self.platform.timeout(self.settings.call_timeout, self.read_model.read(stream)).await;
            let reason = match read {
                Ok(Ok(view)) => return Ok(view),
                Ok(Err(ReadFailure::Rejected(rejected))) => return Err(ViewFailure::Rejected(rejected)),
                Ok(Err(ReadFailure::Unreadable(unreadable))) => return Err(ViewFailure::Unreadable(unreadable)),
                Ok(Err(failure)) => failure.to_string(),
                Err(timed_out) => timed_out.to_string(),
            };
            if attempts >= self.settings.attempts_max {
                return Err(ViewFailure::Unavailable { attempts, reason });
            }
            let bound = self.settings.backoff_first.saturating_mul(1 << (attempts - 1).min(20));
            let fraction = self.platform.random_fraction("dashboard-backoff", stream.as_str());
            self.platform.sleep(bound.mul_f64(fraction)).await;
        }
    }
}

/// Dates every answer by the platform's clock. The HTTP library would ask the operating system's.
async fn dated(State(dashboard): State<Arc<Dashboard>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await.into_response();
    if let Some(date) = http_date(dashboard.platform.unix_time()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn http_date(now: UnixTime) -> Option<HeaderValue> {
    let timestamp = Timestamp::from_second(i64::try_from(now.0.as_secs()).ok()?).ok()?;
    let text = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp).ok()?;
    HeaderValue::try_from(text).ok()
}
