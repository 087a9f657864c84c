//! The router over a storage in memory.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use nexus_command_service::{CommandService, CommandServiceSettings, router};
use nexus_event_store::{EventStore, EventStoreSettings};
use nexus_governance::{PolicyEnforcer, SchemaGate, SchemaValidator};
use nexus_ports_testing::{MemoryEventStorage, TestPlatform};
use serde_json::{Value, json};
use tower::ServiceExt;

pub struct Bench {
    pub test: TestPlatform,
    pub storage: MemoryEventStorage,
    pub router: Router,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Value,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| SchemaGate::from(Arc::new(SchemaValidator::from_catalogue().unwrap())))
    }

    /// With a gate made on the bench's platform.
    pub fn with(schemas: impl FnOnce(&TestPlatform) -> SchemaGate) -> Self {
        let test = TestPlatform::new(5);
        let storage = MemoryEventStorage::default();
        let settings = EventStoreSettings::default();
        let store = EventStore::new(test.platform.clone(), Arc::new(storage.clone()), settings);
        let enforcer = Arc::new(PolicyEnforcer::from_catalogue().unwrap());
        let schemas = schemas(&test);
        let settings = CommandServiceSettings::default();
        let service = CommandService::new(test.platform.clone(), store, enforcer, schemas, settings);
        Self { test, storage, router: router(Arc::new(service)) }
    }

    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body: serde_json::from_slice(&bytes).unwrap() }
    }

    pub async fn send(&self, key: &str, role: &str, command: &Value) -> Answer {
        self.ask(post(key, role, command.to_string())).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

pub fn post(key: &str, role: &str, body: String) -> Request<Body> {
    Request::post("/commands")
        .header("idempotency-key", key)
        .header("x-nexus-role", role)
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(Body::from(body))
        .unwrap()
}

pub fn place(order_id: &str) -> Value {
    json!({
        "type": "PlaceOrder", "order_id": order_id, "customer_id": "c-1", "currency": "EUR",
        "lines": [{"sku": "BOOK-1", "quantity": 2, "unit_price_cents": 1_250}],
    })
}

pub fn cancel(order_id: &str) -> Value {
    json!({"type": "CancelOrder", "order_id": order_id, "reason": "changed my mind"})
}
