//! Which services stand behind [`SimulatedService`].

use std::collections::BTreeMap;

use crate::{cloud::CloudConfig, interface::Service, lambda::Lambda, service::SimulatedService};

/// All of them, new.
pub fn all(config: &CloudConfig) -> BTreeMap<Service, Box<dyn SimulatedService>> {
    let mut services: BTreeMap<Service, Box<dyn SimulatedService>> = BTreeMap::new();
    services.insert(Service::Lambda, Box::new(Lambda::new(config.lambda.clone())));
    services
}
