//! The builder: add the simulated AWS, add hosts, run.

use nexus_cloud::{CallHook, Cloud, CloudConfig, Service, UnixNanos};
use nexus_cloud_shell::{EndpointShell, SharedCloud};
use nexus_engine::{Director, Engine, EngineConfig, EngineError, EngineHandles, Program, RunSummary, new_engine};

/// Endpoints answer in plain HTTP on the port that an `http://` endpoint URL implies.
pub const AWS_PORT: u16 = 80;

/// A simulated world, ready to run.
pub struct World;

impl World {
    /// Starts the description of a world. See `nexus_engine` for the rule of one engine per process.
    pub fn builder(config: EngineConfig) -> WorldBuilder {
        let (engine, handles) = new_engine(config);
        WorldBuilder { engine, handles }
    }
}

pub struct WorldBuilder {
    engine: Box<dyn Engine>,
    handles: EngineHandles,
}

/// The host that a service's endpoint runs on, for addresses of faults.
pub fn endpoint_host(service: Service) -> &'static str {
    service.name()
}

/// The DNS name of a service's endpoint in a region.
pub fn endpoint_name(service: Service, region: &str) -> String {
    match service {
        Service::Dynamodb => format!("dynamodb.{region}.amazonaws.com"),
        Service::DynamodbStreams => format!("streams.dynamodb.{region}.amazonaws.com"),
        Service::Kinesis | Service::Sns | Service::Sqs | Service::Lambda | Service::Glue => {
            format!("{service}.{region}.amazonaws.com")
        }
    }
}

/// The DNS name under which the execution environments of a function reach the runtime API.
pub fn runtime_api_name(function: &str, region: &str) -> String {
    format!("{function}.runtime.{}", endpoint_name(Service::Lambda, region))
}

impl WorldBuilder {
    /// True time, the alarm that calls the director, and the hosts' slowness.
    pub fn handles(&self) -> &EngineHandles {
        &self.handles
    }

    /// Adds the simulated AWS: one host for each endpoint that is wanted, all in front of one cloud. The endpoints' hosts
    /// may crash and be cut off; what they stored stays, as it does in AWS. Idle hosts cost time, so name only those in use.
    pub fn aws(&mut self, config: CloudConfig, hook: Box<dyn CallHook>, endpoints: &[Service]) -> SharedCloud {
        let region = config.region.clone();
        let cloud = SharedCloud::new(Cloud::new(config, hook));
        for service in endpoints.iter().copied() {
            self.engine.add_host(endpoint_host(service), self.endpoint_program(&cloud, service));
            self.engine.add_alias(&endpoint_name(service, &region), endpoint_host(service));
        }
        cloud
    }

    fn endpoint_program(&self, cloud: &SharedCloud, service: Service) -> Program {
        let cloud = cloud.clone();
        let clock = self.handles.true_time();
        std::sync::Arc::new(move |platform, _start_count| {
            let cloud = cloud.clone();
            let clock = clock.clone();
            Box::pin(async move {
                let now = move || UnixNanos(clock.now());
                EndpointShell::serve(platform, cloud, Some(service), AWS_PORT, now).await?;
                Ok(())
            })
        })
    }

    /// Gives each function a name of its own for the runtime API: by that name Lambda tells whose environment asks.
    pub fn function_aliases(&mut self, functions: &[&str], region: &str) {
        for function in functions {
            self.engine.add_alias(&runtime_api_name(function, region), endpoint_host(Service::Lambda));
        }
    }

    /// Adds a host. Hosts start in the order in which they were added.
    pub fn host(&mut self, name: &str, program: Program) {
        self.engine.add_host(name, program);
    }

    /// Runs the world until the director stops it.
    ///
    /// # Errors
    /// If a program failed, or the director did not stop the run within its bound.
    pub fn run(self, director: Box<dyn Director>) -> Result<RunSummary, EngineError> {
        self.engine.run(director)
    }
}
