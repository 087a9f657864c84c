//! A connector that carries the SDK's requests straight to the simulated AWS: what is left when the network is taken away.

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use nexus_aws::{DynamoEventStorage, TableNames};
use nexus_cloud::{Service, UnixNanos, WireRequest, WireResponse};
use nexus_cloud_shell::{SharedCloud, call_at};
use nexus_engine::TrueClock;
use nexus_ports::Platform;
use nexus_world::wiring;

/// The system's own storage client over this connector.
pub fn storage(platform: &Platform, cloud: &SharedCloud, clock: &TrueClock) -> DynamoEventStorage {
    let connector = InProcess { platform: platform.clone(), cloud: cloud.clone(), clock: clock.clone() };
    let config = wiring::default_aws_config().with_http_client(connector);
    DynamoEventStorage::new(platform.clone(), &config, TableNames::default())
}

#[derive(Clone)]
struct InProcess {
    platform: Platform,
    cloud: SharedCloud,
    clock: TrueClock,
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let clock = this.clock.clone();
            let now = move || UnixNanos(clock.now());
            let request = wire_request(&request, &this.platform.host);
            let answer = call_at(&this.cloud, &this.platform, now, request).await;
            http_response(answer.map_err(|reset| ConnectorError::io(reset.into()))?)
        })
    }
}

fn wire_request(request: &HttpRequest, caller: &str) -> WireRequest {
    let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    WireRequest {
        service: Service::Dynamodb,
        caller: caller.to_owned(),
        method: request.method().to_owned(),
        path: "/".to_owned(),
        headers,
        body: Bytes::copy_from_slice(request.body().bytes().unwrap_or_default()),
    }
}

fn http_response(answer: WireResponse) -> Result<HttpResponse, ConnectorError> {
    let mut builder = http::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    let response =
        builder.body(SdkBody::from(answer.body)).map_err(|error| ConnectorError::other(error.into(), None))?;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}
