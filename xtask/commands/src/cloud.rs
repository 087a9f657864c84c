//! `cloud`: the simulated AWS on a real socket.

use std::net::{IpAddr, Ipv4Addr};

use clap::{Args, ValueEnum};

use crate::help::examples;

/// How long the simulated services take to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LatencyChoice {
    /// As fast as this machine can
    None,
    /// As the latency model says, tail included
    Model,
}

/// Serve the simulated AWS on a port of this machine
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(
    about = "Serve the simulated AWS on a port of this machine",
    long_about = "Serve the simulated AWS on a port of this machine.\n\n\
        The same core that simulations use, reached by any AWS SDK or the AWS CLI through its endpoint setting. \
        Everything is kept in memory and gone when the program ends. Any credentials are accepted.",
    after_help = examples(&[
        ("cargo xtask cloud", "listens on http://127.0.0.1:4566"),
        ("cargo xtask cloud --port 0 --latency model", "a free port, answers as slow as the model says"),
        ("aws --endpoint-url http://127.0.0.1:4566 dynamodb list-tables", "from another terminal"),
    ])
)]
pub struct CloudOptions {
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 4566, allow_negative_numbers = true)]
    pub port: u16,

    /// The address to listen on; anything but loopback lets other machines in
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,

    /// How long answers take
    #[arg(long, value_name = "LATENCY", value_enum, default_value = "none")]
    pub latency: LatencyChoice,
}
