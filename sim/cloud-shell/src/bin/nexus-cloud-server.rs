//! The simulated AWS on a real port, for any language's SDK.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
    process::ExitCode,
};

use clap::{Parser, ValueEnum};
use nexus_cloud::{Cloud, CloudConfig, LatencyModel, NoFaults, UnixNanos};
use nexus_cloud_shell::{EndpointShell, SharedCloud};

/// Serves the simulated AWS (DynamoDB and its streams, Kinesis, SNS, SQS, Lambda, Glue's Schema Registry) over plain HTTP, in memory.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Port to listen on; 0 chooses a free one.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// How long calls take: not at all, or as the latency model has it.
    #[arg(long, value_enum, default_value_t = Latency::None)]
    latency: Latency,
    /// Region in ARNs and stream records.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Seed of everything drawn at random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Throttle as the services do (per table, per partition key, per shard).
    #[arg(long)]
    capacity: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Latency {
    #[value(alias = "off")]
    None,
    Model,
}

impl Arguments {
    fn cloud(&self) -> Cloud {
        let mut config =
            CloudConfig { seed: self.seed, region: self.region.clone(), keep_journal: false, ..CloudConfig::default() };
        if self.latency == Latency::None {
            config.latency = LatencyModel::fixed(0);
            config.assumptions = nexus_cloud::Assumptions::immediate();
            (config.kinesis.creation_ms, config.kinesis.update_ms, config.kinesis.deletion_ms) = (0, 0, 0);
            config.glue.deletion_ms = 0;
        }
        config.dynamodb.capacity.enforce = self.capacity;
        config.kinesis.enforce_limits = self.capacity;
        Cloud::new(config, Box::new(NoFaults))
    }
}

/// Bad usage and what stands in the way of starting, like a port that is taken.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let address = format!("{}:{}", arguments.host, arguments.port);
            match error.kind() {
                io::ErrorKind::AddrInUse => {
                    eprintln!("error: {address} is taken by another program; choose another port with --port");
                }
                _ => eprintln!("error: cannot serve on {address}: {error}"),
            }
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let platform = nexus_platform::production_on("cloud", arguments.host);
        let acceptor = platform.listener.bind(arguments.port).await?;
        announce(arguments, acceptor.local_port());
        let clock = platform.wall_clock.clone();
        let now = move || UnixNanos(u64::try_from(clock.now().0.as_nanos()).unwrap_or(u64::MAX));
        let cloud = SharedCloud::new(arguments.cloud());
        EndpointShell::serve_on(platform, cloud, None, acceptor, now).await
    })
}

fn announce(arguments: &Arguments, port: u16) {
    let host = match arguments.host {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let url = format!("http://{host}:{port}");
    let region = &arguments.region;
    let usage = format!(
        "listening on {url}\n\
         services: dynamodb, dynamodbstreams, kinesis, sns, sqs, lambda, glue (the Schema Registry); everything is kept in memory\n\
         AWS CLI: AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any aws --region {region} --endpoint-url {url} dynamodb list-tables\n\
         boto3:   boto3.client(\"dynamodb\", endpoint_url=\"{url}\", region_name=\"{region}\", aws_access_key_id=\"any\", aws_secret_access_key=\"any\")\n"
    );
    // Whoever started the server may have stopped listening to it: that is no reason to stop serving.
    let mut output = io::stdout().lock();
    let _ = output.write_all(usage.as_bytes()).and_then(|()| output.flush());
}
