//! Which services stand behind [`SimulatedService`].

use std::collections::BTreeMap;

use crate::{cloud::CloudConfig, interface::Service, kinesis, service::SimulatedService};

/// All of them, new.
pub fn all(config: &CloudConfig) -> BTreeMap<Service, Box<dyn SimulatedService>> {
    BTreeMap::from([kinesis::service(config)])
}
